# SPDX-License-Identifier: Apache-2.0
"""Bodies that are looked at for their operations reach the backend byte for byte, whatever they are."""
import gzip
import itertools
import json
import random
import subprocess
import threading

import pytest

from harness import places
from harness.client import request_bytes
from harness.graphql import FORM, HASH, JSON, TEXT, GraphQLServer, Site, chunked, half_close, said, url
from harness.memory import Memory
from harness.tags import is_version
from harness.wait import until

MOST = 131072
LIST = "query SpectraList { spectra { id } }"
OTHER = "query Other { x }"
MUTATION = "mutation Save { save }"
PLACE = """
<Location /g/>
  ETagVersion On
  ETagVersionModels site
  ETagVersionGraphQLPost On
  ETagVersionGraphQL Spectra* spectra
  ETagVersionGraphQL Save spectra
  ETagVersionInvalidate models
</Location>
<Location /g/inflate>
  SetInputFilter DEFLATE
</Location>
<Location /g/quiet>
  ETagVersionInvalidate none
</Location>
<Location /g/bare>
  SetInputFilter DEFLATE
  ETagVersion Off
  ETagVersionGraphQL none
  ETagVersionInvalidate none
</Location>
"""


@pytest.fixture(scope="module", name="backend")
def _backend():
    server = GraphQLServer()
    yield server
    server.close()


@pytest.fixture(scope="module", name="site")
def _site(shared_httpd, backend):
    return Site(shared_httpd(f"Protocols h2c http/1.1\nMergeTrailers On\nProxyPass /g/ {backend.url}/g/\n{PLACE}",
                             "proxy filter deflate h2"), backend)


def padded(size, query=LIST):
    """A request of so many bytes."""
    body = json.dumps(said(query, None, {"pad": ""})).encode()
    return body.replace(b'"pad": ""', b'"pad": "' + b"x" * (size - len(body)) + b'"')


def junk(size):
    return random.Random(size).randbytes(size)


BODIES = {
    "query": (said(LIST), JSON, True),
    "mutation": (said(MUTATION), JSON, False),
    "document": (LIST.encode(), TEXT, True),
    "form": (url("", LIST)[1:].encode(), FORM, True),
    "batch": ([said(LIST), said(LIST)], JSON, True),
    "exactly": (padded(MOST), JSON, True),
    "one-more": (padded(MOST + 1), JSON, False),
    "one-less": (padded(MOST - 1), JSON, True),
    "300k": (padded(300_000), JSON, False),
    "5m": (padded(5_000_000), JSON, False),
    "junk": (junk(5000), JSON, False),
    "large-junk": (junk(200_000), JSON, False),
    "nul-bytes": (b"\0" * 9000, JSON, False),
    "empty": (b"", JSON, False),
    "one-byte": (b"{", JSON, False),
    "line-ends": (b"\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", JSON, False),
    "multipart": (b'--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n'
                  + json.dumps(said(LIST)).encode() + b"\r\n--b--\r\n", "multipart/form-data; boundary=b", False),
}


def send(site, framing, method, path, body, media, headers=()):
    """One request in one of the ways to send a body; the answer, and what the backend got: None when not asked."""
    pairs, before = [("Content-Type", media), *headers], site.backend.calls()
    if framing == "h2":
        return site.ask(method, path, body, media, headers, proto="h2")
    with site.server.connect() as connection:
        number = f"s{next(NUMBERS)}"
        if framing in ("length", "close"):
            pairs += [("Connection", "close")] if framing == "close" else []
            answer = connection.request(method, path, pairs, body)
        else:
            data = body if framing == "expect" else chunked(body, *sizes_of(framing, body))
            pairs += [("Expect", "100-continue"), ("Content-Length", str(len(body)))] if framing == "expect" else \
                [("Transfer-Encoding", "chunked")]
            connection.send(request_bytes(method, path, pairs, request_id=number))
            sender = threading.Thread(target=connection.send, args=(data,))
            sender.start()
            answer = connection.read_response(method, number)
            sender.join()
        asked = site.backend.calls() - before
        if "close" in answer.members("Connection"):
            connection.expect_nothing_more()
        else:  # the connection is where it should be
            again = connection.request("GET", "/g/next")
            assert again.status == 200 and site.backend.last().path == "/g/next", again
        assert asked in (0, 1)
        return answer, site.backend.last(path) if asked else None


def sizes_of(framing, body):
    """Of chunks, which come in this order over and over."""
    if framing == "chunked":
        return (1, 7, 4096, 3, 20_000) if len(body) < MOST * 2 else (1, 200_000, 7, 900_000)
    return (1_000_000,) if framing == "large-chunks" or len(body) > MOST + 1 else (1,)


NUMBERS = itertools.count()
FRAMINGS = ["length", "chunked", "expect", "h2"]


@pytest.mark.parametrize("framing", FRAMINGS + [pytest.param(f, marks=pytest.mark.long)
                                                for f in ("large-chunks", "tiny-chunks", "close")])
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("method", ["POST", pytest.param("QUERY", marks=pytest.mark.long)])
def test_byte_for_byte(site, method, name, framing):
    body, media, tagged = BODIES[name]
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    for path in ("/g/a", "/g/quiet"):
        answer, asked = send(site, framing, method, path, body, media)
        assert answer.status == 200 and asked and not asked.broken, answer
        assert asked.method == method and asked.body == body
        assert asked.get("Content-Type") == media
        assert is_version(answer.etag) == tagged, site.server.why(answer)
        assert tagged or not answer.all("ETag")
        if not tagged:
            continue
        again, asked = send(site, framing, method, path, body, media, [("If-None-Match", answer.etag)])
        assert again.status == 304 and asked is None and again.etag == answer.etag


@pytest.mark.parametrize("name", ["query", "mutation", "exactly", "one-more", "300k", "junk", "form"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_same_framing_as_without(site, name, framing):
    """How the backend gets a body is as without the module."""
    body, media, _ = BODIES[name]
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    seen = []
    for path in ("/g/bare", "/g/a"):
        _, asked = send(site, framing, "POST", path, body, media)
        assert asked.body == body
        seen.append((asked.get("Content-Length"), asked.get("Transfer-Encoding"), asked.get("Content-Type")))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_encoded_bodies(site, framing):
    """They are not decoded here; where httpd does it, the backend gets what it would have got."""
    body = gzip.compress(json.dumps(said(LIST)).encode() * 50)
    headers = [("Content-Encoding", "gzip")]
    answer, asked = send(site, framing, "POST", "/g/a", body, JSON, headers)
    assert answer.status == 200 and asked.body == body and asked.get("Content-Encoding") == "gzip"
    assert not answer.all("ETag")
    _, bare = send(site, framing, "POST", "/g/bare", body, JSON, headers)
    answer, asked = send(site, framing, "POST", "/g/inflate", body, JSON, headers)
    assert answer.status == 200 and not answer.all("ETag")
    assert bare.body == gzip.decompress(body) == asked.body
    assert bare.get("Content-Encoding") == asked.get("Content-Encoding")
    plain = json.dumps(said(LIST)).encode()
    answer, asked = send(site, framing, "POST", "/g/inflate", plain, JSON)
    assert answer.status == 200 and asked.body == plain and is_version(answer.etag)


def test_h2_without_a_length(site, tmp_path):
    """HTTP/2 needs none: the end of the stream is the end of the body."""
    for name in ("query", "mutation", "exactly", "one-more", "300k", "empty"):
        body, media, tagged = BODIES[name]
        file = tmp_path / name
        file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        run = subprocess.run([places.program("curl"), "-sS", "-i", "--http2-prior-knowledge", "--max-time", "30", "-H",
                              f"Content-Type: {media}", "-H", "Content-Length:", "--data-binary", f"@{file}",
                              f"http://127.0.0.1:{site.server.port}/g/a"], capture_output=True, check=True)
        head = run.stdout.partition(b"\r\n\r\n")[0].decode()
        assert head.startswith("HTTP/2 200") and ("etag: W/" in head) == tagged, head
        asked = site.backend.last("/g/a")
        assert asked.body == file.read_bytes() and not asked.broken


def test_trailers(site):
    """What stands behind a body is no field of its header, not even where httpd is told to take it for one."""
    body = json.dumps(said(LIST)).encode()
    tag = site.tag("POST", "/g/a", said(LIST))
    with site.server.connect() as connection:
        for more in ("If-None-Match: " + tag, "Content-Type: text/plain\r\nX-Trailer: x"):
            connection.send(request_bytes("POST", "/g/a", [("Content-Type", JSON), ("Transfer-Encoding", "chunked")])
                            + chunked(body, 9)[:-2] + f"{more}\r\n\r\n".encode())
            answer = connection.read_response("POST")
            assert answer.status == 200 and answer.etag == tag
            asked = site.backend.last("/g/a")
            assert asked.body == body and asked.get("Content-Type") == JSON and not asked.get("X-Trailer")
        assert connection.request("GET", "/g/next").status == 200


def test_slow_client(site):
    """Bytes that come one by one make the same body."""
    body = json.dumps(said(LIST)).encode()
    for head in ([("Content-Length", str(len(body)))], [("Transfer-Encoding", "chunked")]):
        sent = chunked(body, 3) if head[0][0] == "Transfer-Encoding" else body
        with site.server.connect() as connection:
            connection.send(request_bytes("POST", "/g/a", [("Content-Type", JSON), *head]))
            for i in range(len(sent)):
                connection.send(sent[i:i + 1])
            answer = connection.read_response("POST")
        assert answer.status == 200 and site.backend.last("/g/a").body == body and is_version(answer.etag)


def test_pipelined(site):
    """What stands behind the body of a POST that was answered early is the next request."""
    body = json.dumps(said(LIST)).encode()
    tag = site.tag("POST", "/g/a", said(LIST))
    head = [("Content-Type", JSON), ("If-None-Match", tag)]
    before = site.backend.calls()
    first = request_bytes("POST", "/g/a", head, body)
    second = request_bytes("POST", "/g/a", [*head, ("Transfer-Encoding", "chunked")]) + chunked(body, 5)
    with site.server.connect() as connection:
        connection.send(first + second + first + request_bytes("GET", "/g/next", []))
        for _ in range(3):
            answer = connection.read_response("POST")
            assert answer.status == 304, answer
        answer = connection.read_response("GET")
        assert answer.status == 200 and site.backend.last().path == "/g/next"
        connection.expect_nothing_more()
    assert site.backend.calls() == before + 1


def test_pipelined_behind_large_ones(site):
    large, small = padded(200_000), json.dumps(said(MUTATION)).encode()
    with site.server.connect() as connection:
        sent = b"".join(request_bytes("POST", f"/g/{i}", [("Content-Type", JSON)], body)
                        for i, body in enumerate((large, small, large)))
        sender = threading.Thread(target=connection.send, args=(sent,))
        sender.start()
        for i, body in enumerate((large, small, large)):
            assert connection.read_response("POST").status == 200
            assert site.backend.last(f"/g/{i}").body == body
        sender.join()


def random_request(chance):
    """Method, target, media type and body: some are queries, some nearly."""
    query = chance.choice([LIST, OTHER, MUTATION, "query SpectraX { a }"])
    what = chance.choice([said(query), [said(query)] * chance.randrange(1, 4),
                          said(query, None, {"a": chance.randrange(3)})])
    body, media = json.dumps(what).encode(), JSON
    if chance.random() < 0.2:
        body, media = query.encode(), TEXT
    if chance.random() < 0.15:
        at = chance.randrange(len(body))
        body = body[:at] + chance.randbytes(chance.randrange(3)) + body[at + chance.randrange(2):]
    if chance.random() < 0.1:
        body += b" " * chance.choice([8191, MOST - len(body), MOST + 1 - len(body), 300_000])
    return chance.choice(["POST", "POST", "QUERY"]), chance.choice(["/g/a", "/g/quiet", "/g/quiet?x=1"]), media, body


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_many_on_one_connection(site, seed):
    """Requests in all framings, early answers in between: each gets its own answer, the backend each body."""
    chance, tags, early = random.Random(seed), {}, 0
    with site.server.connect() as connection:
        for _ in range(150 if seed == 1 else 1500):
            asks = chance.choice(list(tags)) if tags and chance.random() < 0.5 else random_request(chance)
            method, target, media, body = asks
            mine = chance.random() < 0.7
            sent = tags.get(asks) if mine else chance.choice(list(tags.values()) or [None])
            pairs = [("Content-Type", media)] + ([("If-None-Match", sent)] if sent else [])
            before = site.backend.calls()
            if chance.random() < 0.5:
                data = chunked(body, chance.choice([1, 17, 8000]) if len(body) < 9000 else 8191)
                connection.send(request_bytes(method, target, [*pairs, ("Transfer-Encoding", "chunked")]) + data)
            else:
                connection.send(request_bytes(method, target, pairs, body))
            answer = connection.read_response(method)
            asked = site.backend.last() if site.backend.calls() > before else None
            if answer.status == 304:
                assert asked is None and sent and answer.etag == sent == tags.get(asks)
                early += 1
                continue
            assert answer.status == 200 and asked.body == body and asked.method == method and asked.target == target
            if is_version(answer.etag):
                assert answer.etag not in tags.values() or tags.get(asks) == answer.etag
                tags[asks] = answer.etag
    assert len(tags) > 5 and early > 5


# --- bodies that do not end ---

@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_aborted(site, framing, size):
    """Half a request is none."""
    site.server.log.expect("AH01095|AH01097|AH01084|AH00896|AH01102|AH10(0|1)", optional=True)
    before, body = site.backend.calls(), padded(120_000)[:size]
    head = ("Content-Length", "120000") if framing == "length" else ("Transfer-Encoding", "chunked")
    with site.server.connect() as connection:
        connection.send(request_bytes("POST", "/g/a", [("Content-Type", JSON), head]))
        connection.send(body if framing == "length" else chunked(body, 4000)[:-5])
        half_close(connection)
        try:
            answer = connection.read_response("POST")
            assert answer.status in (400, 408), answer
            assert answer.one("Connection") == "close", answer
        except (EOFError, ConnectionError):
            pass
    until(lambda: site.server.get("/g/next").status == 200, "the next request")
    assert site.backend.calls() == before + 1, "the backend was called with half a body"


@pytest.mark.parametrize("bad", [b"zz\r\nabc\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\n\r\n",
                                 b"ffffffffffffffff1\r\nx\r\n", b"3\r\nabc0\r\n\r\n"])
def test_broken_chunks(site, bad):
    site.server.log.expect("AH0|AH1", optional=True)
    before = site.backend.calls()
    with site.server.connect() as connection:
        connection.send(request_bytes("POST", "/g/a", [("Content-Type", JSON), ("Transfer-Encoding", "chunked")]))
        connection.send(bad + request_bytes("GET", "/g/smuggled", []))
        try:
            answer = connection.read_response("POST")
            assert answer.status in (400, 413), answer
            connection.expect_nothing_more()
        except (EOFError, ConnectionError):
            pass
    assert site.backend.calls("/g/smuggled") == 0 and site.backend.calls() == before


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_limit_of_httpd(limited, framing):
    """LimitRequestBody answers, before a script runs."""
    limited.log.expect("AH01588|AH01587|AH00", optional=True)
    pairs, small = [("Content-Type", JSON)], json.dumps(said(LIST)).encode()
    with limited.connect() as connection:
        head, body = (("Content-Length", "5000"), padded(5000)) if framing == "length" else \
            (("Transfer-Encoding", "chunked"), chunked(padded(5000), 400))
        connection.send(request_bytes("POST", "/cgi/x.sh", [*pairs, head]) + body)
        answer = connection.read_response("POST")
    assert answer.status == 413, answer
    assert limited.request("POST", "/cgi/x.sh", pairs, small).text == '{"data": %d}' % len(small)


@pytest.fixture(scope="module", name="limited")
def _limited(shared_httpd):
    server = shared_httpd("""
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
LimitRequestBody 1000
<Location /cgi/>
  ETagVersion On
  ETagVersionGraphQLPost On
  ETagVersionGraphQL Spectra* spectra
</Location>
""", "alias cgid", start=False)
    server.write("cgi/x.sh", "#!/bin/sh\nprintf 'Content-Type: application/json\\n\\n{\"data\": %d}' $(wc -c)\n", 0o755)
    return server.start()


def test_waiting_for_bytes_is_no_reason_to_call(site):
    """The backend is called when the body is there, not before."""
    body = json.dumps(said(LIST)).encode()
    before = site.backend.calls("/g/waits")
    with site.server.connect() as connection:
        connection.send(request_bytes("POST", "/g/waits", [("Content-Type", JSON), ("Content-Length", str(len(body)))])
                        + body[:-1])
        assert site.server.get("/g/next").status == 200
        assert site.backend.calls("/g/waits") == before
        connection.send(body[-1:])
        assert connection.read_response("POST").status == 200
    assert site.backend.calls("/g/waits") == before + 1


# --- what is not understood ---

def text(query):
    return json.dumps(said(query))


UNKNOWN = {
    "batch-of-33": ([said(LIST)] * 33, JSON),
    "empty-batch": ([], JSON),
    "mutation-in-a-batch": ([said(LIST), said(MUTATION)], JSON),
    "other-in-a-batch": ([said(LIST), said(OTHER)], JSON),
    "batch-of-batches": ([[said(LIST)]], JSON),
    "null-in-a-batch": ([said(LIST), None], JSON),
    "duplicate-query": (f'{{"query": "{LIST}", "query": "{MUTATION}"}}', JSON),
    "duplicate-escaped": (f'{{"query": "{LIST}", "\\u0071uery": "{MUTATION}"}}', JSON),
    "duplicate-name": (f'{{"query": "{LIST} {MUTATION}", "operationName": "SpectraList", "operationName": "Save"}}',
                       JSON),
    "case-of-a-key": (f'{{"query": "{LIST}", "Query": "{MUTATION}"}}', JSON),
    "name-is-a-number": ({"query": LIST, "operationName": 1}, JSON),
    "query-is-a-list": ({"query": [LIST]}, JSON),
    "query-is-an-object": ({"query": {"a": LIST}}, JSON),
    "variables-are-text": ({"query": LIST, "variables": "x"}, JSON),
    "extensions-are-text": ({"query": LIST, "extensions": "x"}, JSON),
    "number": ("1", JSON),
    "string": (json.dumps(LIST), JSON),
    "null": ("null", JSON),
    "no-json": (LIST, JSON),
    "behind": (text(LIST) + text(MUTATION), JSON),
    "cut": (text(LIST)[:-1], JSON),
    "comment": (text(LIST) + " // x", JSON),
    "comma": (text(LIST)[:-1] + ",}", JSON),
    "single-quotes": (text(LIST).replace('"', "'"), JSON),
    "mark": ("\ufeff" + text(LIST), JSON),
    "utf-16": (text(LIST).encode("utf-16-le"), JSON),
    "utf-16-named": (text(LIST).encode("utf-16"), JSON + "; charset=utf-16"),
    "charset": (text(LIST), JSON + "; charset=utf-7"),
    "charset-twice": (text(LIST), JSON + "; charset=utf-8; charset=utf-7"),
    "charset-hidden": (text(LIST), JSON + "; xcharset=utf-8; charset=utf-7"),
    "charset-longer": (text(LIST), JSON + "; charset=utf-80"),
    "invalid-utf-8": (b'{"query": "query SpectraList { a(x: \\"\xff\\") }"}', JSON),
    "nul": (text(LIST) + "\0", JSON),
    "nul-escaped": (text(LIST + "\0"), JSON),
    "nul-in-the-document": (LIST + "\0" + MUTATION, TEXT),
    "deep": ('{"query": "' + LIST + '", "variables": {"a": ' + "[" * 40000 + "]" * 40000 + "}}", JSON),
    "deep-objects": ('{"query": "' + LIST + '", "variables": ' + '{"a": ' * 10000 + "1" + "}" * 10000 + "}", JSON),
    "deep-document": (f"query SpectraList {'{ a ' * 20000}{'}' * 20000}", TEXT),
    "open": ("[" * MOST, JSON),
    "many-strings": ("[" + '"",' * 40000 + '""]', JSON),
    "large-number": ('{"query": "' + LIST + '", "variables": {"a": ' + "9" * 5000 + "}}", JSON),
    "twice-in-a-form": (url("", LIST)[1:] + "&" + url("", MUTATION)[1:], FORM),
    "twice-escaped": (url("", LIST)[1:] + "&%71uery=" + url("", MUTATION)[7:], FORM),
    "array-in-a-form": (url("", LIST)[1:] + "&query[]=x", FORM),
    "semicolon": (url("", LIST)[1:] + ";" + url("", MUTATION)[1:], FORM),
    "percent": (url("", LIST)[1:] + "&operationName=%zz", FORM),
    "form-as-json": (url("", LIST)[1:], JSON),
    "json-as-form": (text(LIST), FORM),
    "json-as-document": (text(LIST), TEXT),
    "two-media-types": (text(LIST), JSON + ", text/plain"),
    "no-media-type": (text(LIST), None),
    "other-media-type": (text(LIST), "text/plain"),
    "longer-media-type": (text(LIST), "application/jsonx"),
    "json-suffix": (text(LIST), "application/graphql+json"),
    "other-member": ({**said(LIST), "x": 1}, JSON),
    "query-id": ({**said(LIST), "queryId": "x"}, JSON),
    "operation-id": ({**said(LIST), "extensions": {"operationId": "x"}}, JSON),
    "media-type-parameter": (text(LIST), JSON + "; x=application/graphql"),
    "method-in-a-form": (url("", LIST)[1:] + "&_method=DELETE", FORM),
    "other-in-a-form": (url("", LIST)[1:] + "&x=1", FORM),
    "hash-beside-a-document": (said(LIST, None, None, HASH), JSON),
    "mutation-beside-it": (said(LIST + MUTATION, "SpectraList"), JSON),
    "hash-alone": (said(None, "SpectraList", None, HASH), JSON),
}
TAGGED = {
    "batch-of-32": ([said(LIST)] * 32, JSON),
    "blanks": (" \n" + json.dumps(said(LIST), indent=3) + "\r\n", JSON),
    "charset-quoted": (text(LIST), JSON + '; charset="UTF-8"'),
    "nulls": ({"query": LIST, "operationName": None, "variables": None, "extensions": None}, JSON),
    "escapes": ('{"\\u0071uery": "\\u0071uery SpectraList {a}"}', JSON),
    "mutation-in-text": (said('query SpectraList { a(x: "mutation") # mutation Save { save }\n }'), JSON),
    "other-query": (said(LIST + OTHER, "SpectraList"), JSON),
    "media-type-in-capitals": (text(LIST), "Application/JSON"),
    "mark-of-a-document": ("\ufeff" + LIST, TEXT),
}


# It depends on the server whether these are mutations; one must not come by a safe method.
OF_SAFE_METHODS = ("hash-alone", "hash-beside-a-document", "mutation-beside-it")


def bytes_of(body):
    return body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_not_understood(site, method, name):
    """No tag, and the same bytes: whatever a server may make of them."""
    body, media = bytes_of(UNKNOWN[name][0]), UNKNOWN[name][1]
    answer, asked = site.ask(method, "/g/unknown", body, media, tag='"x"')
    if name in OF_SAFE_METHODS and method == "QUERY":
        assert is_version(answer.etag)
        return
    assert answer.status == 200 and not answer.all("ETag"), answer
    assert asked.body == body and asked.get("Content-Type") == media and asked.get("If-None-Match") == '"x"'


@pytest.mark.parametrize("name", TAGGED)
@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_understood(site, method, name):
    body, media = bytes_of(TAGGED[name][0]), TAGGED[name][1]
    answer, asked = site.ask(method, "/g/a", body, media)
    assert is_version(answer.etag) and asked.body == body, site.server.why(answer)
    assert site.holds(answer.etag, method, "/g/a", body, media=media)


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@pytest.mark.parametrize("args", ["query=" + MUTATION.replace(" ", "%20"), "operationName=Save", "variables=%7B%7D",
                                  "extensions=%7B%7D", "id=7", "%71uery=x", "x=1&query", "Query=x", "query[]=x",
                                  "documentId=1"])
def test_parameters_in_both(site, method, args):
    """Some servers prefer those of the URL."""
    answer, asked = site.ask(method, "/g/a?" + args, said(LIST))
    assert answer.status == 200 and not answer.all("ETag") and asked.body == text(LIST).encode()
    assert asked.target == "/g/a?" + args


def test_a_query_string_for_something_else(site):
    """QUERY changes nothing, whatever a server takes from there; of a POST that is not known."""
    tag = site.tag("QUERY", "/g/a?x=1&tracing=on", said(LIST))
    assert site.holds(tag, "QUERY", "/g/a?x=1&tracing=on", said(LIST))
    assert not site.ask("POST", "/g/a?x=1&tracing=on", said(LIST))[0].all("ETag")


@pytest.mark.parametrize("fields", [[("Content-Type", TEXT), ("Content-Type", JSON)],
                                    [("Content-Type", JSON), ("Content-Type", TEXT)],
                                    [("Content-Type", JSON), ("Content-Type", JSON)]])
def test_two_media_types(site, fields):
    """Which of them a server believes is not known."""
    answer, asked = site.ask("POST", "/g/a", said(LIST), media=None, headers=fields)
    assert not answer.all("ETag") and asked.body == text(LIST).encode()


@pytest.mark.parametrize("coding", ["identity", "gzip", "x", ""])
def test_content_coding(site, coding):
    answer, asked = site.ask("POST", "/g/a", said(LIST), headers=[("Content-Encoding", coding)])
    assert not answer.all("ETag") and asked.body == text(LIST).encode()


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_override"])
def test_another_method(site, name):
    """Some servers take it from there."""
    answer, asked = site.ask("POST", "/g/a", said(LIST), headers=[(name, "DELETE")])
    assert not answer.all("ETag") and asked.body == text(LIST).encode() and site.server.why(answer) == "bumped"


# --- what it costs ---

@pytest.mark.memory
def test_memory_of_tiny_pieces(new_httpd, backend):
    """A body in the smallest of pieces, each in a packet of its own, takes no more than its own size."""
    server = new_httpd(f"ProxyPass /g/ {backend.url}/g/\n{PLACE}", "proxy filter deflate", mpm="worker")
    memory, body = Memory(server.children()[0]), padded(50_000)
    server.get("/g/next")
    before = memory.now()
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/g/a", [("Content-Type", JSON), ("Content-Length", str(len(body)))]))
        for i in range(len(body) - 1):
            connection.send(body[i:i + 1])
        assert memory.now() - before < 2 << 20, f"{memory.now() - before} bytes more"
        connection.send(body[-1:])
        assert is_version(connection.read_response("POST").etag)
    assert backend.last("/g/a").body == body


def test_trailers_do_not_become_fields_of_the_header(new_httpd, backend):
    """Under MergeTrailers, what a client says behind the body must not pass by what was said in front of it."""
    server = new_httpd(f"MergeTrailers On\nRequestHeader unset X-Remote-User\nProxyPass /g/ {backend.url}/g/\n{PLACE}",
                       "proxy headers filter deflate")
    body = json.dumps(said(LIST)).encode()
    for path in ("/g/x", "/g/bare"):
        with server.connect() as connection:
            head = request_bytes("POST", path, [("Content-Type", JSON), ("Transfer-Encoding", "chunked"),
                                                ("Trailer", "X-Remote-User")])
            end = chunked(body, 9)[:-2] + b"X-Remote-User: admin\r\nX-HTTP-Method-Override: DELETE\r\n\r\n"
            connection.send(head + end)
            assert connection.read_response("POST").status == 200
        asked = backend.last(path)
        assert asked.body == body and not asked.get("X-Remote-User") and not asked.get("X-HTTP-Method-Override"), path
