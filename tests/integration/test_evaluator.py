# SPDX-License-Identifier: Apache-2.0
"""Preconditions of GET and HEAD, judged by the module: who sees them, and what a 304 and a 412 look like."""
import re

import pytest

from harness import pages
from harness.client import Connection, request_bytes
from harness.origin import held_back
from harness.reader import is_content, kind as own_kind
from harness.wait import until

SITE = """
Protocols h2c http/1.1
CustomLog "@ROOT@/logs/conditions.log" "%{X-Req}i\\t%{If-Match}i\\t%{If-None-Match}i\\t%{If-Modified-Since}i\\t\\
%{If-Unmodified-Since}i\\t%{Range}i\\t%{If-Range}i"
<LocationMatch "/tag_set$">
  Header set ETag "\\"mine\\""
</LocationMatch>
<LocationMatch "/tag_unset$">
  Header unset ETag
</LocationMatch>
SetEnvIf Request_URI "/switched_off$" no-etag-version
ETagVersionBufferLimit 1M
<LocationMatch "/as_get$">
  ETagVersionHead AsGet
</LocationMatch>
ProxyPass /origin/ @ORIGIN@/origin/ disablereuse=on
<LocationMatch "^/(http|cgi|wsgi|wsgid|fcgi|static|origin)/">
  ETagVersion Content
</LocationMatch>
<LocationMatch "/headers$">
  ETagVersion Headers
  ETagVersionHeaders X-Origin-Version
</LocationMatch>
<LocationMatch "/on(_models)?$">
  ETagVersion On
</LocationMatch>
<LocationMatch "/(version|no_models)$">
  ETagVersion Version
</LocationMatch>
<LocationMatch "/(on_models|version)$">
  ETagVersionModels m
</LocationMatch>
<LocationMatch "/off$">
  ETagVersion Off
</LocationMatch>
<LocationMatch "/policy$">
  ETagVersionCacheControl max-age=60
  ETagVersionVary X-More
</LocationMatch>
<LocationMatch "/cors$">
  Header set Access-Control-Allow-Origin "*"
  Header append Vary Origin
  Header always set X-Frame-Options DENY
  Header set Content-Language de
</LocationMatch>
<LocationMatch "/with_page$">
  ErrorDocument 412 /static/sorry.txt
</LocationMatch>
<LocationMatch "/with_program$">
  ErrorDocument 412 /cgi/sorry
</LocationMatch>
<LocationMatch "/with_text$">
  ErrorDocument 412 "not as you thought"
</LocationMatch>
"""
BODY = "0123456789" * 10
MODIFIED = "Sun, 21 Oct 2007 23:21:47 GMT"
EARLIER = "Sat, 20 Oct 2007 23:21:47 GMT"
LATER = "Mon, 22 Oct 2007 23:21:47 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"
OWN = '"c0123456789abcdefghijkl"'
CONDITIONS = {"If-Match": '"x"', "If-None-Match": '"x"', "If-Modified-Since": EARLIER, "If-Unmodified-Since": LATER}
DYNAMIC = ["http", "cgi", "wsgi", "fcgi"]
PROGRAMS = [*DYNAMIC, "wsgid"]
# What belongs to the representation and not to a 304 (RFC 9110 §15.4.5).
GONE = {"content-type", "content-length", "content-encoding", "content-language", "content-range", "content-md5",
        "accept-ranges", "transfer-encoding", "digest", "repr-digest", "content-digest"}
FULL = [("Cache-Control", "public, max-age=30"), ("Expires", FUTURE), ("Vary", "X-Kind"), ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2; Path=/"), ("Content-Location", "/alt"), ("Link", "</a.css>; rel=preload"), ("X-One", "1"),
        ("X-One", "2"), ("Content-Language", "en"), ("Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="), ("Digest", "md5=x"),
        ("Repr-Digest", "sha-256=:x:"), ("Content-Digest", "sha-256=:x:"), ("Accept-Ranges", "bytes"),
        ("Last-Modified", MODIFIED), ("Content-Security-Policy", "default-src 'self'"),
        ("Access-Control-Allow-Origin", "https://a.example")]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    origin = shared_origin()
    made = pages.serve(shared_httpd, SITE.replace("@ORIGIN@", origin.url), "http cgi wsgi wsgid fcgi static",
                       "headers setenvif h2 alias", start=False)
    made.write("htdocs/static/sorry.txt", "sorry\n")
    made.origin = origin
    yield made.start()
    pages.close_pages(made)


class Patient(Connection):
    """Asks again on a new connection when the server has closed this one behind a complete answer, as it may."""

    def request(self, *args, **more):
        try:
            return super().request(*args, **more)
        except (EOFError, ConnectionError):
            assert not self._in, f"not the beginning of an answer: {self._in[:200]!r}"
            self._sock.close()
            super().__init__(self._port)
            return super().request(*args, **more)

    def __init__(self, port):
        self._port = port
        super().__init__(port)


def every_kind(kinds=None):
    return pytest.mark.parametrize("kind", kinds or DYNAMIC)


# --- what the backend sees ------------------------------------------------------------------------

def seen(server, kind, name, method, sent):
    """The conditions and ranges with which the backend was asked."""
    page = server.pages[kind]
    path = page.put(name, BODY, [("X-Origin-Version", "1")])
    server.request(method, path, sent, b"x" if method in ("POST", "PUT", "PATCH") else None)
    asked = page.asked(name)
    assert asked.method == method
    return {field: asked.get(field) for field in [*CONDITIONS, "Range", "If-Range"] if asked.get(field) is not None}


@every_kind()
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("scope", ["content", "headers", "on", "on_models", "version"])
def test_backends_see_no_condition(server, scope, method, kind):
    for field, value in CONDITIONS.items():
        assert seen(server, kind, scope, method, [(field, value)]) == {}, field
    assert seen(server, kind, scope, method, list(CONDITIONS.items())) == {}
    twice = [("If-None-Match", '"x"'), ("If-None-Match", '"y"'), ("if-match", "*")]
    assert seen(server, kind, scope, method, twice) == {}


@every_kind()
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("scope", ["off", "no_models", "switched_off"])
def test_outside_the_scope_nothing_is_touched(server, scope, method, kind):
    sent = {**CONDITIONS, "Range": "bytes=0-4", "If-Range": OWN}
    assert seen(server, kind, scope, method, list(sent.items())) == sent
    for field, value in CONDITIONS.items():
        assert seen(server, kind, scope, method, [(field, value)]) == {field: value}


@every_kind()
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_touched(server, method, kind):
    """What their conditions mean is decided before the application acts (RFC 9110 §13.2.1)."""
    sent = {**CONDITIONS, "Range": "bytes=0-4", "If-Range": OWN}
    assert seen(server, kind, "methods", method, list(sent.items())) == sent


PAIRS = {
    "range alone": ({}, True),
    "tag of others": ({"If-Range": '"x"'}, True),
    "weak tag of others": ({"If-Range": 'W/"x"'}, True),
    "date": ({"If-Range": MODIFIED}, True),
    "content tag": ({"If-Range": OWN}, False),
    "If-Match": ({"If-Match": "*"}, False),
    "If-None-Match": ({"If-None-Match": '"x"'}, False),
    "If-Modified-Since": ({"If-Modified-Since": EARLIER}, False),
    "If-Unmodified-Since": ({"If-Unmodified-Since": FUTURE}, False),
    "tag and condition": ({"If-Range": '"x"', "If-None-Match": '"y"'}, False),
}


@every_kind()
@pytest.mark.parametrize("fields, passed", PAIRS.values(), ids=PAIRS.keys())
def test_range_and_if_range_go_together(server, fields, passed, kind):
    sent = {"Range": "bytes=0-4", **fields}
    want = {k: v for k, v in sent.items() if k in ("Range", "If-Range")} if passed else {}
    assert seen(server, kind, "pairs", "GET", list(sent.items())) == want


# --- 304 ------------------------------------------------------------------------------------------

def check_304(whole, again, tag=True):
    """The 200 without its representation; both in any order of lines."""
    assert again.status == 304 and again.body == b"", again
    kept = sorted((k.lower(), v) for k, v in whole.headers if k.lower() not in GONE | {"date"})
    got = sorted((k.lower(), v) for k, v in again.headers if k.lower() != "date")
    assert got == kept
    assert again.one("Date") and (again.etag == whole.etag if tag else True)


def twin(server, method, path, sent, proto="1.1"):
    """A plain answer and one with conditions."""
    whole = server.request(method, path, proto=proto)
    assert whole.status == 200, whole
    return whole, server.request(method, path, sent(whole), proto=proto)


@every_kind()
@pytest.mark.parametrize("name", ["plain", "policy", "cors"])
@pytest.mark.parametrize("own", [None, '"theirs"', 'W/"theirs"'], ids=["content", "strong", "weak"])
def test_304_is_the_200_without_the_representation(server, own, name, kind):
    path = server.pages[kind].put(name, BODY, FULL + ([("ETag", own)] if own else []))
    whole, again = twin(server, "GET", path, lambda whole: [("If-None-Match", whole.etag)])
    assert whole.etag == own or (is_content(whole.etag) and not own)
    check_304(whole, again)
    check_304(*twin(server, "GET", path, lambda _: [("If-Modified-Since", MODIFIED)]))
    assert again.all("Set-Cookie") == ["a=1", "b=2; Path=/"]
    if name == "policy":
        assert "max-age=30" in again.one("Cache-Control") and again.members("Vary") == ["x-kind", "x-more"]
    if name == "cors":
        assert "*" in again.all("Access-Control-Allow-Origin") and again.one("X-Frame-Options") == "DENY"
        assert again.members("Vary") == ["origin", "x-kind"]


@every_kind()
def test_304_to_head(server, kind):
    path = server.pages[kind].put("plain", BODY, FULL + [("ETag", '"theirs"')])
    check_304(*twin(server, "HEAD", path, lambda whole: [("If-None-Match", '"theirs"')]))
    check_304(*twin(server, "HEAD", path, lambda _: [("If-Modified-Since", MODIFIED)]))


@pytest.mark.parametrize("proto", ["1.0", "h2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_304_of_other_protocols(server, method, proto):
    path = server.pages["http"].put("cors", BODY, FULL + [("ETag", '"theirs"')])
    check_304(*twin(server, method, path, lambda whole: [("If-None-Match", whole.etag)], proto))
    path = server.pages["http"].put("cors", BODY, FULL)
    check_304(*twin(server, "GET", path, lambda whole: [("If-None-Match", whole.etag)], proto))
    answer = server.request(method, path, [("If-Match", '"x"')], proto=proto)
    assert answer.status == 412 and bool(answer.body) == (method == "GET")


def test_304_of_files(server):
    path = server.pages["static"].put("plain", BODY)
    for sent in (lambda whole: [("If-None-Match", f'"x", {whole.etag}')],
                 lambda whole: [("If-Modified-Since", whole.one("Last-Modified"))], lambda _: [("If-None-Match", "*")]):
        for method in ("GET", "HEAD"):
            check_304(*twin(server, method, path, sent))


def test_304_keeps_the_backends_date(server):
    path = server.pages["http"].put("plain", BODY, [("Date", MODIFIED)])
    whole, again = twin(server, "GET", path, lambda whole: [("If-None-Match", whole.etag)])
    assert again.status == 304 and again.one("Date") == whole.one("Date") == MODIFIED


# --- 412 ------------------------------------------------------------------------------------------

def check_412(answer, method="GET"):
    """One of httpd's own error pages, with nothing of the 200."""
    assert answer.status == 412, answer
    assert answer.one("Content-Type").startswith("text/html")
    if method == "GET":
        assert b"<title>412 Precondition Failed</title>" in answer.body
    else:
        assert answer.body == b""
    for name in ("ETag", "Last-Modified", "Content-Location", "X-One", "Content-MD5", "Content-Language",
                 "Access-Control-Allow-Origin", "Accept-Ranges"):
        assert not answer.all(name), f"{name}: {answer}"


@every_kind([*PROGRAMS, "static"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_412_is_a_page_of_httpd(server, method, kind):
    """`Header always` is for it, `Header set` and the policy for reads are not."""
    page, headers = server.pages[kind], [] if kind == "static" else [h for h in FULL if "C" not in h[0][0] + h[0][-1]]
    for name in ("plain", "cors", "policy"):
        path = page.put(name, BODY, headers)
        for field, value in (("If-Match", '"x"'), ("If-Unmodified-Since", "Sat, 20 Oct 2001 23:21:47 GMT")):
            answer = server.request(method, path, [(field, value)])
            if field == "If-Unmodified-Since" and not server.get(path).all("Last-Modified"):
                assert answer.status == 200
                continue
            check_412(answer, method)
            assert server.why(answer) == "412"
            assert answer.one("X-Frame-Options") == ("DENY" if name == "cors" and kind != "static" else None)
            assert "max-age=60" not in answer.members("Cache-Control")


@every_kind(PROGRAMS)
def test_412_with_a_page_of_the_administrator(server, kind):
    """The condition is not judged again over the error page."""
    server.pages["cgi"].put("sorry", "sorry, too\n")
    for name, text in (("with_page", "sorry\n"), ("with_text", "not as you thought"), ("with_program", "sorry, too\n")):
        path = server.pages[kind].put(name, BODY, [("ETag", '"theirs"')])
        for sent in ([("If-Match", '"x"')], [("If-Match", '"x"'), ("If-None-Match", "*")]):
            answer = server.get(path, sent)
            assert (answer.status, answer.text) == (412, text), answer
            answer = server.request("HEAD", path, sent)
            assert (answer.status, answer.body) == (412, b"")


@every_kind(PROGRAMS)
@pytest.mark.parametrize("own", [None, '"theirs"'], ids=["content", "theirs"])
def test_large_bodies(server, own, kind):
    """What the client does not get may be more than the module would keep; the next answer is in order."""
    body = BODY * (30_000 if own else 9_000)
    path = server.pages[kind].put("large", body, [("ETag", own)] if own else [])
    for _ in range(2):
        with Patient(server.port) as connection:
            whole = connection.request("GET", path)
            assert whole.status == 200 and whole.body == body.encode()
            assert connection.request("GET", path, [("If-Match", '"x"')]).status == 412
            assert connection.request("GET", path, [("If-None-Match", whole.etag)]).status == 304
            if own:
                assert connection.request("HEAD", path, [("If-Match", '"x"')]).status == 412
                assert connection.request("HEAD", path, [("If-None-Match", own)]).status == 304
            assert connection.request("GET", path).body == body.encode()
            connection.expect_nothing_more()


@every_kind(PROGRAMS)
@pytest.mark.parametrize("own", [None, '"theirs"'], ids=["content", "theirs"])
@pytest.mark.parametrize("times", [50, 30_000])
def test_head_that_runs_as_get(server, times, own, kind):
    """Nothing of the body that was made for it stands before the next answer."""
    path = server.pages[kind].put("as_get", BODY * times, [("ETag", own)] if own else [])
    with Patient(server.port) as connection:
        whole = connection.request("GET", path)
        for sent, status in (({}, 200), ({"If-None-Match": whole.etag or "*"}, 304), ({"If-Match": '"x"'}, 412),
                             ({"If-None-Match": '"x"'}, 200)):
            for _ in range(2):
                answer = connection.request("HEAD", path, sent)
                assert answer.status == status and server.logged(answer)[0] == status, (sent, answer)
                assert status == 412 or answer.etag in (whole.etag, None), answer
            assert connection.request("GET", path).text == BODY * times
        connection.expect_nothing_more()


@pytest.mark.parametrize("media", ["text/plain", "video/mp4"])
@pytest.mark.parametrize("length", [100, None], ids=["length", "chunked"])
def test_the_answer_does_not_wait_for_the_body(server, length, media):
    """The backend's own tag decides, and that is there before its body is."""
    origin = server.origin
    for sent, status in (({"If-None-Match": '"t"'}, 304), ({"If-Match": '"x"'}, 412)):
        signal = f"{length} {media} {status}"
        path = origin.on("/origin/slow", held_back(BODY[:50].encode(), BODY[50:].encode(), 'ETag: "t"', media=media,
                                                   length=length, signal=signal))
        with server.connect() as connection:
            assert connection.request("GET", path, sent).status == status
            origin.say(signal)
            assert connection.request("GET", server.pages["http"].put("after", BODY)).text == BODY
            connection.expect_nothing_more()


@every_kind([*PROGRAMS, "static"])
def test_one_connection_for_all(server, kind):
    """Each answer is read where the last one ended: no byte too many, none too few."""
    page = server.pages[kind]
    path = page.put("kept", BODY, [] if kind == "static" else [("ETag", '"theirs"')])
    tag = server.get(path).etag
    plan = [([], 200), ([("If-Match", '"x"')], 412), ([("If-None-Match", tag)], 304), ([("If-Match", tag)], 200),
            ([("If-None-Match", tag), ("If-Match", '"x"')], 412), ([("If-None-Match", "*")], 304)]
    with server.connect() as connection:
        for sent, status in plan * 2:
            for method in ("HEAD", "GET", "HEAD", "GET"):
                answer = connection.request(method, path, sent)
                assert answer.status == status, (method, sent, answer)
                assert status != 200 or method == "HEAD" or answer.text == BODY
        connection.expect_nothing_more()


@every_kind(["http", "cgi", "wsgi", "static"])
def test_requests_with_a_body(server, kind):
    """What a client sends with its GET is no next request, whatever the answer."""
    path = server.pages[kind].put("kept", BODY)
    tag = server.get(path).etag
    smuggled = request_bytes("GET", "/elsewhere") * 200
    with server.connect() as connection:
        for sent, status in (([("If-None-Match", tag)], 304), ([("If-Match", '"x"')], 412), ([("If-Match", tag)], 200),
                             ([("Range", "bytes=0-4"), ("If-Match", tag)], 206)):
            for body in (smuggled, None, b"", smuggled[:100]):
                assert connection.request("GET", path, sent, body).status == status
        connection.expect_nothing_more()


def test_pipelined(server):
    """Requests sent at once are answered in their order."""
    page = server.pages["http"]
    path = page.put("piped", BODY, [("ETag", '"theirs"')])
    plan = [("GET", [], 200), ("GET", [("If-None-Match", '"theirs"')], 304), ("HEAD", [("If-Match", '"x"')], 412),
            ("GET", [("If-Match", '"x"')], 412), ("GET", [("Range", "bytes=1-2"), ("If-Match", "*")], 206),
            ("HEAD", [("If-None-Match", "*")], 304), ("GET", [("Range", "bytes=500-"), ("If-Match", "*")], 416),
            ("POST", [("If-Match", '"x"')], 200), ("HEAD", [], 200), ("GET", [("If-None-Match", '"y"')], 200)]
    with server.connect() as connection:
        connection.send(b"".join(request_bytes(method, path, sent, b"abc" if method == "POST" else None)
                                 for method, sent, _ in plan))
        for method, sent, status in plan:
            answer = connection.read_response(method)
            assert answer.status == status, (method, sent, answer)
            assert status != 206 or answer.body == b"12"
        connection.expect_nothing_more()


# --- the order of RFC 9110 §13.2.2, and what is no condition at all --------------------------------

THEIRS = [("ETag", '"t"'), ("Last-Modified", MODIFIED)]
ORDER = [
    (200, ("If-Match", '"x"'), ("If-Match", '"t"')),
    (412, ("If-Match", '*, "t"')),
    (200, ("If-None-Match", '*, "t"')),
    (304, ("If-Match", "*"), ("If-None-Match", "*")),
    (304, ("If-Match", '"t"'), ("If-Modified-Since", MODIFIED)),
    (200, ("If-Match", '"t"'), ("If-Unmodified-Since", EARLIER)),
    (200, ("If-Match", '"t"'), ("If-Unmodified-Since", "no date")),
    (412, ("If-Match", '"x"'), ("If-Unmodified-Since", LATER), ("If-None-Match", '"t"')),
    (412, ("If-Unmodified-Since", EARLIER)),
    (412, ("If-Unmodified-Since", EARLIER), ("If-None-Match", '"t"')),
    (200, ("If-Unmodified-Since", FUTURE)),
    (200, ("If-Unmodified-Since", "no date")),
    (200, ("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", EARLIER)),
    (304, ("If-Unmodified-Since", MODIFIED), ("If-Modified-Since", MODIFIED)),
    (200, ("If-None-Match", '"x"'), ("If-Modified-Since", LATER)),
    (304, ("If-None-Match", '"t"'), ("If-Modified-Since", EARLIER)),
    (304, ("If-None-Match", '"t"'), ("If-Modified-Since", "no date")),
    (304, ("If-Modified-Since", FUTURE)),
    (304, ("If-Modified-Since", "Sunday, 21-Oct-07 23:21:47 GMT")),
    (304, ("If-Modified-Since", "Sun Oct 21 23:21:47 2007")),
    (200, ("If-Modified-Since", "Sunday, 21-Oct-07 23:21:46 GMT")),
    (200, ("If-Modified-Since", f"{MODIFIED}, {MODIFIED}")),
    (200, ("If-Modified-Since", MODIFIED), ("If-Modified-Since", MODIFIED)),
    (200, ("If-Modified-Since", f"{MODIFIED}; length=100")),
    (200, ("If-Modified-Since", "0")),
    (412, ("If-Match", '"x"'), ("Range", "bytes=0-4")),
    (304, ("If-None-Match", '"t"'), ("Range", "bytes=0-4")),
    (304, ("If-None-Match", '"t"'), ("Range", "bytes=0-4"), ("If-Range", '"x"')),
]


@every_kind(["http", "cgi"])
@pytest.mark.parametrize("case", ORDER, ids=lambda case: " ".join(":".join(pair)[:30] for pair in case[1:]))
def test_order(server, case, kind):
    path = server.pages[kind].put("order", BODY, THEIRS)
    for method in ("GET", "HEAD"):
        answer = server.request(method, path, case[1:])
        assert answer.status == case[0], (method, answer)
        assert case[0] != 200 or method == "HEAD" or answer.text == BODY


@every_kind(PROGRAMS)
def test_content_tags_in_conditions(server, kind):
    page = server.pages[kind]
    path = page.put("tagged", BODY)
    tag = server.get(path).etag
    assert is_content(tag) and tag.startswith('"')
    for sent, status in (({"If-Match": tag}, 200), ({"If-Match": f"W/{tag}"}, 412), ({"If-Match": OWN}, 412),
                         ({"If-None-Match": f"W/{tag}"}, 304), ({"If-None-Match": f'{OWN}, {tag}'}, 304),
                         ({"If-None-Match": OWN}, 200), ({"If-Match": tag, "If-None-Match": tag}, 304)):
        assert server.get(path, sent).status == status, sent
    page.put("tagged", BODY[::-1])
    assert server.get(path, {"If-Match": tag}).status == 412
    answer = server.get(path, tag=tag)
    assert answer.status == 200 and answer.etag != tag and server.why(answer) == "changed"


@every_kind()
@pytest.mark.parametrize("mode", ["content", "headers", "on", "on_models", "version"])
def test_every_mode_judges(server, mode, kind):
    page = server.pages[kind]
    path = page.put(mode, BODY, [("Last-Modified", MODIFIED), ("X-Origin-Version", "1")])
    whole = server.get(path)
    letter = {"content": "c", "on": "c", "headers": "h"}.get(mode)
    assert own_kind(whole.etag) == letter or (not letter and own_kind(whole.etag) in "vu"), whole
    strong = whole.etag.startswith('"')
    for sent, status in (({"If-None-Match": whole.etag}, 304), ({"If-None-Match": f"{OWN}, {whole.etag}"}, 304),
                         ({"If-None-Match": "*"}, 304), ({"If-None-Match": OWN}, 200),
                         ({"If-Match": whole.etag}, 200 if strong else 412), ({"If-Match": OWN}, 412),
                         ({"If-Match": "*"}, 200), ({"If-Modified-Since": MODIFIED}, 304),
                         ({"If-None-Match": OWN, "If-Modified-Since": MODIFIED}, 200),
                         ({"If-Match": "*", "If-None-Match": whole.etag}, 304),
                         ({"If-Match": OWN, "If-None-Match": whole.etag}, 412),
                         ({"If-Unmodified-Since": EARLIER}, 412),
                         ({"If-Unmodified-Since": EARLIER, "If-None-Match": whole.etag}, 412),
                         ({"If-Unmodified-Since": MODIFIED, "If-None-Match": whole.etag}, 304)):
        answer = server.get(path, sent)
        assert answer.status == status, (sent, answer)
        assert status != 304 or answer.etag == whole.etag or "*" in sent.values() or "If-Modified-Since" in sent


def test_the_administrators_tag(server):
    """`Header` comes after the backend; its word counts."""
    page = server.pages["http"]
    for own in ([], [("ETag", '"theirs"')]):
        path = page.put("tag_set", BODY, own)
        whole = server.get(path)
        assert whole.etag == '"mine"'
        check_304(whole, server.get(path, tag='"mine"'))
        for sent, status in (({"If-Match": '"mine"'}, 200), ({"If-Match": '"theirs"'}, 412),
                             ({"If-None-Match": '"theirs"'}, 200), ({"Range": "bytes=0-4", "If-Range": '"mine"'}, 206)):
            assert server.get(path, sent).status == status, sent
    path = page.put("tag_unset", BODY, [("ETag", '"theirs"')])
    assert server.get(path).etag is None
    assert server.get(path, tag='"theirs"').status == 200


def test_the_log_shows_what_the_client_sent(server):
    path = server.pages["http"].put("logged", BODY)
    tag = server.get(path).etag
    for sent, status in (({"If-None-Match": tag}, 304), ({"If-None-Match": '"x"'}, 200), ({"If-Match": '"x"'}, 412),
                         ({"If-Modified-Since": EARLIER, "If-Range": OWN}, 200),
                         ({"Range": "bytes=0-1", "If-Range": tag}, 206)):
        answer = server.get(path, sent)
        assert answer.status == status
        line = until(lambda: re.search(f"^{answer.id}\t(.*)$", (server.root / "logs/conditions.log").read_text(), re.M),
                     "the line in the log").group(1).replace("\\", "")
        assert line.split("\t") == [sent.get(name, "-") for name in [*CONDITIONS, "Range", "If-Range"]]


# --- what the backend decided ---------------------------------------------------------------------

def own_fields(answer):
    """What the backend decided: how httpd frames a program's output is a matter of moments."""
    return [pair for pair in answer.headers if pair[0] not in ("Date", "Content-Length", "Transfer-Encoding")]


@pytest.mark.parametrize("status", [206, 300, 301, 302, 304, 307, 400, 404, 410, 412, 416, 429, 500, 503])
@every_kind(["http", "cgi"])
def test_other_statuses_are_the_backends(server, status, kind):
    """A condition counts only where the answer without it would be a success (RFC 9110 §13.2.1)."""
    headers = [("ETag", '"t"'), ("Last-Modified", MODIFIED), ("Cache-Control", "max-age=30"), ("X-One", "1")]
    headers += {206: [("Content-Range", "bytes 0-99/1000")], 301: [("Location", "http://a.example/")],
                416: [("Content-Range", "bytes */1000")]}.get(status, [])
    path = server.pages[kind].put("status", "" if status == 304 else BODY, headers, status)
    conditions = [[("If-None-Match", '"t"')], [("If-Match", '"x"')], [("If-Modified-Since", MODIFIED)],
                  [("If-Unmodified-Since", EARLIER)], [("If-None-Match", "*"), ("Range", "bytes=0-4")]]
    if status == 206:
        conditions = [[("Range", "bytes=0-99")], [("Range", "bytes=0-99"), ("If-Range", '"t"')]]
    plain = server.get(path)
    assert plain.status == status and plain.etag == '"t"' and plain.one("X-One") == "1"
    assert plain.text == ("" if status == 304 else BODY)
    for sent in conditions:
        answer = server.get(path, sent)
        assert answer.status == status and answer.body == plain.body, (sent, answer)
        assert own_fields(answer) == own_fields(plain)


@pytest.mark.parametrize("status", [304, 206, 404])
def test_nothing_is_added_to_them(server, status):
    extra = {206: [("Content-Range", "bytes 0-99/1000")]}.get(status, [])
    path = server.pages["http"].put("status", "" if status == 304 else BODY, extra, status)
    answer = server.get(path, [("Range", "bytes=0-99")] if status == 206 else [])
    assert answer.status == status and answer.etag is None


@pytest.mark.parametrize("status", [201, 202, 203, 204])
def test_any_success_is_conditional(server, status):
    path = server.pages["http"].put("status", "" if status == 204 else BODY, THEIRS, status)
    for sent, want in (([], status), ([("If-None-Match", '"t"')], 304), ([("If-None-Match", '"x"')], status),
                       ([("If-Match", '"x"')], 412), ([("If-Modified-Since", MODIFIED)], 304),
                       ([("If-Unmodified-Since", EARLIER)], 412)):
        assert server.get(path, sent).status == want, sent
