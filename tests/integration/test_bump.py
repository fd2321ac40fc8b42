# SPDX-License-Identifier: Apache-2.0
"""ETagVersionInvalidate: which requests bump, and when."""
import pytest

from harness.bumping import MODEL, SITE, await_pages, page_tag, proxied, stored
from harness.origin import held_back, script_of
from harness.wait import until

SAFE = ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH"]
UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PROPPATCH", "MKCOL", "LOCK", "MERGE", "PURGE", "get", "Query", "X"]
BUMPED = [200, 201, 202, 204, 205, 301, 302, 303, 304, 307, 308, 500, 501, 503, 507]
REFUSED = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 428, 429, 451, 499]


@pytest.fixture(scope="module", name="origin")
def _origin(shared_origin):
    def answer(exchange):
        query = dict(pair.split("=") for pair in exchange.target.partition("?")[2].split("&") if pair)
        status = query.get("status", "200")
        fields = ["Location: /elsewhere"] if status in ("201", "301", "302", "303", "307", "308") else []
        script_of("x\n" if status not in ("204", "304") else b"", *fields, status=f"{status} Said So")(exchange)

    origin = shared_origin()
    origin.default = answer
    return origin


@pytest.fixture(scope="module", name="server")
def _server(shared_httpd, origin):
    return shared_httpd(proxied(origin) + SITE, "proxy")


@pytest.mark.parametrize("method", SAFE)
def test_safe_methods_never_bump(server, method):
    before = page_tag(server)
    server.request(method, "/page")
    assert page_tag(server) == before


@pytest.mark.parametrize("method", UNSAFE)
def test_all_other_methods_bump(server, method):
    before = page_tag(server)
    answer = server.request(method, "/page", body=b"a=b")
    assert answer.status == 200
    assert server.get("/page", tag=before).status == 200
    assert page_tag(server) != before
    assert server.why(answer) == "bumped"


@pytest.mark.parametrize("status", BUMPED)
def test_what_may_have_changed_something(server, status):
    before = page_tag(server)
    assert server.request("POST", f"/page?status={status}", body=b"a=b").status == status
    assert page_tag(server) != before


@pytest.mark.parametrize("status", REFUSED)
def test_what_was_refused(server, status):
    before = page_tag(server)
    answer = server.request("POST", f"/page?status={status}", body=b"a=b")
    assert answer.status == status
    assert page_tag(server) == before
    assert server.get("/page", tag=before).status == 304
    assert server.why(answer) == "unsafe"


@pytest.mark.parametrize("status", BUMPED + REFUSED)
def test_the_status_of_a_safe_request_is_of_no_interest(server, status):
    before = page_tag(server)
    server.get(f"/page?status={status}")
    assert page_tag(server) == before


def test_h2(new_httpd, origin):
    server = new_httpd(proxied(origin) + SITE + "Protocols h2c http/1.1\n", "proxy h2")
    before = page_tag(server)
    assert server.request("POST", "/page", body=b"a=b", proto="h2").status == 200
    assert server.get("/page", tag=before).status == 200
    between = page_tag(server)
    assert between != before
    assert server.request("POST", "/page?status=404", body=b"a=b", proto="h2").status == 404
    assert page_tag(server) == between


# --- what is bumped ---

MANY = """
<Location />
  ETagVersion Version
</Location>
""" + "".join(f"""
<Location /{name}>
  ETagVersionModels {name}
</Location>""" for name in "abcde") + """
<Location /b>
  ETagVersionInvalidate a models
</Location>
<Location /b/inner>
  ETagVersionInvalidate +d -a
</Location>
<Location /b/none>
  ETagVersionInvalidate none
</Location>
<LocationMatch "^/by/(?<NAME>[^/]*)$">
  ETagVersionInvalidate %{env:MATCH_NAME} e
</LocationMatch>
<Location /header>
  ETagVersionInvalidate "%{req:X-What}" e
</Location>
<Location /off>
  ETagVersion Off
  ETagVersionInvalidate a
</Location>
SetEnvIf X-Switch . no-etag-version
"""


@pytest.fixture(scope="module", name="many")
def _many(shared_httpd, origin):
    return shared_httpd(proxied(origin) + MANY, "proxy setenvif", bump=False)


@pytest.mark.parametrize("target, headers, bumped", [
    ("/a", [], ""),
    ("/b", [], "ab"),
    ("/b/inner", [], "bd"),
    ("/b/none", [], ""),
    ("/by/c", [], "ce"),
    ("/header", [("X-What", "d")], "de"),
    ("/off", [], "a"),
    ("/b", [("X-Switch", "1")], "ab"),
], ids=["nothing", "both", "edited", "none", "capture", "expression", "off", "switched-off"])
def test_which_models(many, target, headers, bumped):
    before = {name: page_tag(many, f"/{name}") for name in "abcde"}
    assert many.request("POST", target, headers, body=b"").status == 200
    after = {name: page_tag(many, f"/{name}") for name in "abcde"}
    assert "".join(name for name in "abcde" if before[name] != after[name]) == bumped


@pytest.mark.parametrize("headers", [[], [("X-What", "%open:a")], [("X-What", "n" * 257)], [("X-What", "a\tb")]],
                         ids=["empty", "reserved", "long", "control"])
def test_an_expression_that_names_nothing(many, headers):
    many.log.expect("ETV0350", optional=True)  # once a minute
    before = page_tag(many, "/e")
    assert many.request("POST", "/header", headers, body=b"").status == 200
    assert page_tag(many, "/e") != before
    assert many.log.lines("ETV0350")


# --- when ---

def test_streamed_responses_are_bumped_at_both_ends(new_httpd, new_origin, new_redis):
    """What the backend commits before its last byte is in the last version."""
    redis, origin = new_redis(), new_origin()
    origin.default = script_of("x\n")
    origin.on("/stream", held_back(b"first", b"last"))
    server = new_httpd(stored(redis.url) + proxied(origin) + SITE, "proxy")
    before = page_tag(server)
    first = redis("GET", f"model_version:{MODEL}")
    with server.connect() as client:
        client.send(b"POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        until(lambda: origin.calls("/stream"), "the backend to be asked")
        second = until(lambda: redis("GET", f"model_version:{MODEL}") != first and
                       redis("GET", f"model_version:{MODEL}"), "the first bump")
        for tag in (before, None):
            answer = server.get("/page", tag=tag)
            assert answer.status == 200 and answer.etag is None and server.why(answer) == "pending"
        origin.say()
        assert client.read_response().body == b"firstlast"
    assert redis("GET", f"model_version:{MODEL}") not in (first, second)
    assert redis("EXISTS", f"model_version:%open:{MODEL}") == 0
    assert page_tag(server) != before


@pytest.mark.parametrize("store", ["local", "redis"])
def test_nothing_is_said_while_the_backend_works(new_httpd, new_origin, new_redis, store):
    origin = new_origin()
    origin.default = script_of("x\n")

    def slow(exchange):
        exchange.wait()
        script_of("done\n")(exchange)
    origin.on("/slow", slow)
    lines = stored(new_redis().url, "lease") if store == "redis" else ""
    server = new_httpd(lines + proxied(origin) + SITE, "proxy")
    before = page_tag(server)
    with server.connect() as client:
        client.send(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        until(lambda: origin.calls("/slow"), "the backend to be asked")
        for tag in (before, None):
            answer = server.get("/page", tag=tag)
            assert answer.status == 200 and answer.etag is None and server.why(answer) == "pending"
        origin.say()
        assert client.read_response().status == 200
    assert server.get("/page", tag=before).status == 200
    assert page_tag(server) != before


def test_a_refused_request_leaves_the_version_in_force(new_httpd, new_origin):
    origin = new_origin()
    origin.default = script_of("x\n")

    def slow(exchange):
        exchange.wait()
        script_of("no\n", status="409 Conflict")(exchange)
    origin.on("/slow", slow)
    server = new_httpd(proxied(origin) + SITE, "proxy")
    before = page_tag(server)
    with server.connect() as client:
        client.send(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        until(lambda: origin.calls("/slow"), "the backend to be asked")
        assert server.why(server.get("/page", tag=before)) == "pending"
        origin.say()
        assert client.read_response().status == 409
    assert server.get("/page", tag=before).status == 304


# --- backends that may go on after their response ---

def _hang(exchange):
    exchange.wait()


def _break_off(exchange):
    exchange.head("Content-Length: 100")
    exchange.send(b"half")


@pytest.mark.parametrize("how", ["timeout", "broken", "gone"])
def test_a_backend_that_may_go_on(new_httpd, new_origin, how):
    """It may commit after httpd has given up: nothing is said for as long as httpd would have waited."""
    origin = new_origin()
    origin.default = script_of("x\n")
    origin.on("/page/odd", _break_off if how == "broken" else _hang)
    server = new_httpd(proxied(origin, "timeout=1") + "Timeout 3\n" + SITE, "proxy")
    server.log.expect(r"proxy(_http)?:error|AH01102|AH00898|AH01110", optional=True)
    before = page_tag(server)
    with server.connect() as client:
        client.send(b"POST /page/odd HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        if how == "timeout":
            assert client.read_response().status in (502, 504)
        elif how == "broken":
            with pytest.raises((EOFError, ConnectionError)):
                client.read_response()
        else:
            until(lambda: origin.calls("/page/odd"), "the backend to be asked")
    answer = server.get("/page", tag=before)
    assert answer.status == 200 and answer.etag is None and server.why(answer) == "pending"
    origin.say()
    assert await_pages(server, before) != before


def test_a_client_that_hangs_up(new_httpd, new_origin):
    """Its request goes on to its end, and the bump is made all the same."""
    origin = new_origin()
    origin.default = script_of("x\n")
    origin.on("/stream", held_back(b"a" * 100000, b"b" * 1000000))
    server = new_httpd(proxied(origin) + "Timeout 3\n" + SITE, "proxy")
    before = page_tag(server)
    with server.connect() as client:
        client.send(b"POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        until(lambda: origin.calls("/stream"), "the backend to be asked")
    origin.say()
    until(lambda: origin.done("/stream"), "the backend to be done")
    assert server.get("/page", tag=before).status == 200
    assert await_pages(server, before) != before


def test_requests_of_httpd_itself_and_errors_before_the_handler(server):
    before = page_tag(server)
    assert server.request("OPTIONS", "*").status == 200
    with server.connect() as client:
        client.send(b"POST /page HTTP/1.1\r\nHost: localhost\r\nBroken\r\n\r\n")
        assert client.read_response().status == 400
    assert page_tag(server) == before
