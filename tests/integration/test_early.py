# SPDX-License-Identifier: Apache-2.0
"""The main promise: a client that holds the version tag gets 304, and the backend is not called."""
import re

import pytest

from harness.apps import KINDS
from harness.backend import Reply
from harness.client import request_bytes
from harness.tags import check_pair

CONF = """
Protocols h2c http/1.1
<Location /app/>
  ETagVersion Version
  ETagVersionModels shop.Item shop.Price
  ETagVersionUpstreamETag Replace
  ETagVersionCacheControl max-age=60
  ETagVersionVary Accept-Language
  Header set X-Policy "set by httpd"
  Header always set X-Always "always by httpd"
  Header set Access-Control-Allow-Origin "https://a.example"
</Location>
"""
TAG = re.compile(r'W/"([vu])[A-Za-z0-9_-]{22}"\Z')
ABSENT_FROM_304 = ("Content-Type", "Content-Length", "Transfer-Encoding", "Content-Encoding",
                   "Set-Cookie", "Last-Modified", "X-Origin", "Content-Language", "Accept-Ranges")


@pytest.fixture
def served(new_httpd):
    """A factory: the server and the application behind it."""
    apps = []

    def make(kind, mpm="event", conf=CONF):
        app = KINDS[kind]()
        apps.append(app)
        http2 = "" if mpm == "prefork" else "h2"  # mod_http2 does not run there
        server = new_httpd(app.conf + conf, f"{app.modules} headers {http2}", mpm=mpm, start=False)
        app.prepare(server)
        return server.start(), app
    yield make
    for app in apps:
        app.close()


def check_304(answer, full):
    """What an early 304 must carry and what it must not."""
    check_pair(full, answer)
    assert answer.one("Date")
    for name in ABSENT_FROM_304:
        assert not answer.all(name), f"{name} on a 304: {answer}"
    assert answer.one("X-Policy") == full.one("X-Policy") == "set by httpd"
    assert answer.one("X-Always") == full.one("X-Always") == "always by httpd"
    assert answer.one("Access-Control-Allow-Origin") == "https://a.example"


def story(server, app, method, proto):
    """200 with a tag, 304 without a call, bump, 200 with another tag and one call more."""
    def ask(verb=method, tag=None):
        headers = [("If-None-Match", tag)] if tag else []
        return server.request(verb, app.path, headers, proto=proto)

    def expect_calls(before, more):
        if app.counts:
            assert app.calls() == before + more

    def tagged(answer):
        """The 200 with a tag. To HTTP/1.0 a body of unknown length may be cut off unnoticed, so there
        the tag comes from an HTTP/1.1 response; returns also how many calls more that took."""
        if answer.etag is None and proto == "1.0":
            assert server.why(answer) == "stream" and not answer.all("Content-Length")
            return server.get(app.path), 1
        return answer, 0

    start = app.calls()
    full, more = tagged(ask("GET"))
    if app.counts:
        start += more
    assert full.status == 200 and full.body, full
    assert TAG.match(full.etag or ""), full
    assert full.one("Cache-Control") == "max-age=60"
    assert full.members("Vary") == ["accept-language"]
    expect_calls(start, 1)
    if not app.counts:
        app.change()

    again = ask(tag=full.etag)
    check_304(again, full)
    assert server.why(again) == "early-304"
    assert server.logged(again)[2]
    expect_calls(start, 1)

    other = "HEAD" if method == "GET" else "GET"
    check_304(ask(other, tag=full.etag), full)
    expect_calls(start, 1)

    server.bump("shop.Price")
    changed = ask(tag=full.etag)
    assert changed.status == 200
    if method == "GET":
        assert changed.body and changed.body != full.body
    changed, more = tagged(changed)
    assert TAG.match(changed.etag) and changed.etag != full.etag
    assert more or server.why(changed) == "changed"
    expect_calls(start, 2 + more)
    check_304(ask(tag=changed.etag), changed)
    assert ask(tag=full.etag).status == 200


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_backend(served, kind):
    server, app = served(kind)
    story(server, app, "GET", "1.1")


@pytest.mark.parametrize("mpm, proto", [("prefork", "1.1"), ("worker", "h2"), ("event", "1.0"),
                                        ("event", "h2")])
def test_each_mpm_and_protocol(served, mpm, proto):
    server, app = served("http", mpm)
    story(server, app, "GET", proto)
    story(server, app, "HEAD", proto)


@pytest.mark.parametrize("kind", ["fcgi", "wsgi"])
def test_http_1_0_from_streaming_backends(served, kind):
    server, app = served(kind)
    story(server, app, "GET", "1.0")


@pytest.mark.long
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_whole_matrix(served, kind, mpm):
    server, app = served(kind, mpm)
    for proto in ("1.0", "1.1") + (("h2",) if mpm != "prefork" else ()):
        story(server, app, "GET", proto)
        # The stock server's CGI answers to HEAD break an HTTP/2 stream now and then.
        if not (proto == "h2" and kind.startswith("cgi")):
            story(server, app, "HEAD", proto)


def test_connection_stays_usable(served):
    """304 and HEAD have no body, so the next answer on the connection begins where it must."""
    server, app = served("http")
    tag = server.get(app.path).etag
    calls = app.calls()
    with server.connect() as connection:
        for _ in range(20):
            assert connection.request("GET", app.path, [("If-None-Match", tag)]).status == 304
            assert connection.request("HEAD", app.path, [("If-None-Match", tag)]).status == 304
            assert connection.request("GET", app.path, [("If-None-Match", '"x"')]).status == 200
            assert connection.request("HEAD", app.path).status == 200
        connection.expect_nothing_more()
    assert app.calls() == calls + 40


def test_pipelined_requests(served):
    """Several requests in one packet: their answers come in order, each whole."""
    server, app = served("http")
    tag = server.get(app.path).etag
    with server.connect() as connection:
        asked = [("GET", tag, 304), ("HEAD", tag, 304), ("GET", '"x"', 200), ("GET", tag, 304), ("HEAD", '"x"', 200),
                 ("GET", tag, 304)]
        connection.send(b"".join(request_bytes(method, app.path, [("If-None-Match", sent)])
                                 for method, sent, _ in asked))
        for method, _, status in asked:
            assert connection.read_response(method).status == status
        connection.expect_nothing_more()


def test_requests_without_headers(served):
    """HTTP/0.9 has neither headers nor conditions."""
    server, app = served("static")
    with server.connect() as connection:
        connection.send(f"GET {app.path}\r\n".encode())
        with pytest.raises(EOFError, match=r"read so far: b'static 1\\n'"):
            connection.read_response()
    assert server.get(app.path).status == 200


def test_proxied_date_does_not_matter(served):
    """A 304 has exactly one Date, httpd's own."""
    server, app = served("http")
    app.backend.on(app.path, Reply(headers=[("Date", "Thu, 01 Jan 2015 00:00:00 GMT")]))
    full = server.get(app.path)
    again = server.get(app.path, tag=full.etag)
    assert again.status == 304 and again.one("Date") and "2015" not in again.one("Date")


def test_strong_tags_when_asked(served):
    server, app = served("http", conf=CONF.replace(
        "ETagVersionUpstreamETag", "ETagVersionStrength Strong\n  ETagVersionUpstreamETag"))
    full = server.get(app.path)
    assert re.match(r'"[vu][A-Za-z0-9_-]{22}"\Z', full.etag)
    for sent in (full.etag, "W/" + full.etag):
        again = server.get(app.path, tag=sent)
        assert (again.status, again.etag) == (304, full.etag)


def test_several_tags_in_a_list(served):
    server, app = served("http")
    full = server.get(app.path)
    for sent in (f'"a", {full.etag}', f'{full.etag},"a"', f',, "a,b" ,\t{full.etag} ,',
                 full.etag.replace("W/", "")):
        again = server.get(app.path, tag=sent)
        assert (again.status, again.etag) == (304, full.etag), sent
    with server.connect() as connection:
        again = connection.request("GET", app.path, [("If-None-Match", '"a"'),
                                                     ("If-None-Match", full.etag)])
        assert again.status == 304
