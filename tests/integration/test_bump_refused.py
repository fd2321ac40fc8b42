# SPDX-License-Identifier: Apache-2.0
"""Whose word a 4xx is: a backend that refuses has changed nothing, httpd that gives up cannot know."""
import socket
import subprocess
from types import SimpleNamespace

import pytest

from harness import places
from harness.bumping import SITE, await_pages, page_tag, proxied
from harness.origin import framed, script_of
from harness.wait import PATIENCE, until

KEPT = 3  # seconds for which httpd would have waited
CONF = f"Timeout {KEPT}\n"
PIECE = framed(b"x" * 100000)
UNREADABLE = r"AH(01084|01097|02608)"  # what mod_proxy says about such bodies
MPMS = ["event", "prefork"]


def _work(exchange):
    """Commits as soon as it is asked, and goes on reading."""
    exchange.wait_for_hangup()


@pytest.fixture(name="origin")
def _origin(new_origin):
    origin = new_origin()
    origin.default = script_of("x\n")
    origin.on("/page/work", _work)
    return origin


def begin(client, target="/page/work", framing="Transfer-Encoding: chunked"):
    client.send(f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())


def assert_left(server, before, path="/page"):
    """Nothing is said while the backend may be at work, and then there is a new version."""
    answer = server.get(path, tag=before)
    assert answer.status == 200 and answer.etag is None and server.why(answer) == "pending"
    assert await_pages(server, before, path) != before


# --- bodies without end ---

@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("how, status", [("gone", None), ("slow", 408), ("garbage", 400)])
def test_a_body_that_cannot_be_read(new_httpd, origin, how, status, mpm):
    server = new_httpd(CONF + proxied(origin) + SITE + "RequestReadTimeout body=1\n",
                       "proxy reqtimeout", mpm=mpm)
    server.log.expect(UNREADABLE, optional=True)
    before = page_tag(server)
    with server.connect() as client:
        begin(client)
        client.send(PIECE)
        until(lambda: origin.calls("/page/work"), "the backend to be asked")
        if how == "garbage":
            client.send(b"this is no size\r\n")
        if status:
            assert client.read_response().status == status
    until(lambda: "POST" in (server.root / "logs/access.log").read_text(), "the end of the request")
    assert_left(server, before)


def test_a_stream_that_is_reset(new_httpd, origin):
    """The same over HTTP/2: curl gives up in the middle of its body."""
    server = new_httpd(CONF + proxied(origin) + SITE + "Protocols h2c http/1.1\n", "proxy h2")
    server.log.expect(r"AH\d+|http2:", optional=True)
    before = page_tag(server)
    with subprocess.Popen([places.program("curl"), "-sS", "--http2-prior-knowledge", "-X", "POST", "-T", "-",
                           f"http://127.0.0.1:{server.port}/page/work"],
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as curl:
        curl.stdin.write(b"x" * 100000)
        curl.stdin.flush()
        until(lambda: origin.calls("/page/work"), "the backend to be asked")
        curl.kill()
    until(lambda: "POST" in (server.root / "logs/access.log").read_text(), "the end of the request")
    assert_left(server, before)


SCRIPT = """#!/bin/sh
if [ "$REQUEST_METHOD" = POST ]; then echo 1 > "{mark}"; cat > /dev/null; fi
printf 'Content-Type: text/plain\\r\\n\\r\\nx\\n'
"""


@pytest.mark.parametrize("how, status", [("gone", None), ("much", 413)])
@pytest.mark.parametrize("mpm, program", [("prefork", "cgi"), ("event", "cgid")])
def test_a_script_that_does_not_care_for_the_body(new_httpd, mpm, program, how, status):
    sock = "ScriptSock @ROOT@/run/cgisock\n" if program == "cgid" else ""
    server = new_httpd(CONF + sock + 'ScriptAlias /cgi/ "@ROOT@/cgi/"\n' + SITE + "LimitRequestBody 200000\n",
                       f"alias {program}",
                       mpm=mpm, start=False)
    server.log.expect(r"AH\d+", optional=True)
    folder = server.root / "count"
    folder.mkdir()
    places.writable(folder)
    server.write("cgi/page", SCRIPT.format(mark=folder / "mark"), 0o755)
    server.start()
    before = page_tag(server, "/cgi/page")
    with server.connect() as client:
        begin(client, "/cgi/page")
        client.send(PIECE)
        until((folder / "mark").exists, "the script to commit")
        if how == "much":
            client.send(PIECE + PIECE)
            assert client.read_response().status == status
    until(lambda: "POST" in (server.root / "logs/access.log").read_text(), "the end of the request")
    assert_left(server, before, "/cgi/page")


# --- answers that another module does not let through ---

LUA = """
function refuse(r)
  r.status = tonumber(r.args)
  coroutine.yield("")
  while bucket do coroutine.yield(bucket) end
end
"""


@pytest.mark.parametrize("status, refusal", [(200, 403), (200, 500), (409, 403)])
def test_an_answer_that_another_module_refuses(new_httpd, origin, status, refusal):
    origin.on("/page/odd", script_of("x\n", status=f"{status} Said So"))
    server = new_httpd(CONF + "LuaOutputFilter refuse @ROOT@/refuse.lua refuse\n<Location /page/odd>\n"
                       "  SetOutputFilter refuse\n</Location>\n" + proxied(origin) + SITE, "proxy lua", start=False)
    server.write("refuse.lua", LUA)
    server.start()
    before = page_tag(server)
    assert server.request("POST", f"/page/odd?{refusal}", body=b"x").status == refusal
    if status == 200:
        assert_left(server, before)
    else:
        assert server.get("/page", tag=before).status == 304


# --- backends that refuse ---

@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("status", [400, 401, 403, 408, 413])
def test_a_backend_whose_page_httpd_replaces(new_httpd, origin, status, mpm):
    """The handler says nothing but the status, as httpd does that cannot read a body."""
    origin.on("/page/odd", script_of("no\n", status=f"{status} Said So"))
    server = new_httpd(CONF + proxied(origin) + "ProxyErrorOverride On\n" + SITE, "proxy", mpm=mpm)
    before = page_tag(server)
    for body in (b"", b"x" * 10, b"x" * 300000):
        assert server.request("POST", "/page/odd", body=body).status == status
        assert server.get("/page", tag=before).status == 304


_WSGI = """
def application(environ, start_response):
    unsafe = environ["REQUEST_METHOD"] == "POST"
    status = environ["QUERY_STRING"] if unsafe else "200"
    if unsafe and environ["PATH_INFO"] == "/some":
        environ["wsgi.input"].read(10)
    if unsafe and environ["PATH_INFO"] == "/all":
        try:
            environ["wsgi.input"].read()
        except OSError:
            status = "400"
    start_response(status + " Said So", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"x\\n"]
"""


@pytest.mark.parametrize("mpm", MPMS)
def test_an_application_that_does_not_want_the_body(new_httpd, mpm):
    """Clients must not be able to switch tags off by requests that are not even read."""
    server = new_httpd(CONF + 'WSGIDestroyInterpreter Off\nWSGIScriptAlias /app "@ROOT@/app.wsgi"\n' + SITE, "wsgi",
                       mpm=mpm, start=False)
    server.write("app.wsgi", _WSGI)
    server.start()
    before = page_tag(server, "/app/page")
    for path in ("/app/page", "/app/some"):
        for status in (400, 401, 403, 404, 413):
            with server.connect() as client:
                begin(client, f"{path}?{status}", "Content-Length: 1000000")
                client.send(b"x" * 100)
                assert client.read_response().status == status
                assert server.get("/app/page", tag=before).status == 304
            assert server.get("/app/page", tag=before).status == 304


def test_an_application_that_is_done_with_what_it_got(new_httpd):
    """It has said so itself: nothing has to wait for it, but it may have stored the half."""
    server = new_httpd('WSGIDestroyInterpreter Off\nWSGIScriptAlias /app "@ROOT@/app.wsgi"\n' + SITE +
                       "RequestReadTimeout body=1\n", "wsgi reqtimeout", start=False)
    server.write("app.wsgi", _WSGI)
    server.start()
    before = page_tag(server, "/app/page")
    with server.connect() as client:
        begin(client, "/app/all?200", "Content-Length: 1000000")
        client.send(b"x" * 100)
        assert client.read_response().status == 400
    until(lambda: len(server.log.lines("ETV0353: bumped")) == 2, "the end of the change")
    assert page_tag(server, "/app/page", tag=before) != before


def test_bodies_are_passed_on_as_they_come(new_httpd):
    """mod_proxy writes them to files first where a filter for their content is in the way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        backend = SimpleNamespace(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = new_httpd(proxied(backend) + SITE, "proxy")
        with server.connect() as client:
            begin(client, framing="Content-Length: 200000")
            client.send(b"x" * 100000)
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as sent:
                head = b"".join(iter(sent.readline, b"\r\n"))
                assert b"Content-Length: 200000\r\n" in head and sent.read(50000) == b"x" * 50000
                client.send(b"x" * 100000)
                assert sent.read(150000) == b"x" * 150000
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx\n")
                assert client.read_response().status == 200
