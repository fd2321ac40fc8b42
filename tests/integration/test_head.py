# SPDX-License-Identifier: Apache-2.0
"""HEAD: never the tag of nothing; with AsGet what GET would say, and never a byte of its body."""
import os

import pytest

from harness import places
from harness.origin import script_of
from harness.reader import is_content
from harness.tags import is_version
from harness.wait import until

BODY = "The words of the page, and some more of them.\n" * 40
SITE = """
ETagVersionSecret the-same-on-all-hosts
Protocols h2c http/1.1
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
WSGIDestroyInterpreter Off
WSGIScriptAlias /wsgi @ROOT@/app.wsgi
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
ProxyPass /off/ @ORIGIN@/off/ disablereuse=on
ProxyPass /down/ http://127.0.0.1:1/ disablereuse=on retry=0
ProxyPass /down_text/ http://127.0.0.1:2/ disablereuse=on retry=0
ProxyPass /down_local/ http://127.0.0.1:3/ disablereuse=on retry=0
ProxyPass /override/ @ORIGIN@/override/ disablereuse=on
<Location />
  ETagVersion Content
  ETagVersionUpstreamETag Replace
  ETagVersionHead AsGet
</Location>
<Location /off/>
  ETagVersionHead Off
</Location>
<Location /o/on>
  ETagVersion On
  ETagVersionModels m
</Location>
<Location /o/version>
  ETagVersion Version
  ETagVersionModels m
</Location>
<Location /o/nothing>
  ETagVersion Off
</Location>
<Location /o/packed>
  SetOutputFilter DEFLATE
</Location>
<Location /down_text/>
  ErrorDocument 503 "The backend is away."
</Location>
<Location /down_local/>
  ErrorDocument 503 /errors/away.html
</Location>
<Location /override/>
  ProxyErrorOverride On
  ErrorDocument 404 /errors/none.html
</Location>
<Location /forbidden>
  Require all denied
</Location>
<Location /forbidden_text>
  Require all denied
  ErrorDocument 403 "This is not for you."
</Location>
<Location /o/short>
  ETagVersionTypes *
</Location>
"""
PROGRAMS = {
    "plain.sh": "printf 'Content-Type: text/plain\\r\\n\\r\\n'; cat @ROOT@/body",
    "method.sh": "printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$REQUEST_METHOD\"",
    "away.sh": "printf 'Location: http://localhost/elsewhere\\r\\n\\r\\na body that nobody needs\\n'",
    "here.sh": "printf 'Location: /plain/x.txt\\r\\n\\r\\n'",
    "gone.sh": "printf 'Status: 404 Not Found\\r\\nContent-Type: text/plain\\r\\n\\r\\n'; cat @ROOT@/body",
    "broken.sh": "printf 'no header\\n'",
    "silent.sh": "exit 3",
    "short.sh": "printf 'Content-Type: text/plain\\r\\nContent-Length: 100\\r\\n\\r\\nshort'",
}
WSGI = """
def application(environ, start_response):
    body = open({body!r}, "rb").read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body[:100], body[100:]]
"""


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    origin = shared_origin()
    for path, more in (("length", {}), ("chunked", {"how": "chunked"}), ("close", {"how": "close"})):
        origin.on(f"/o/{path}", script_of(BODY, **more))
    for path in ("packed", "on", "version", "nothing", "next"):
        origin.on(f"/o/{path}", script_of(BODY))
    origin.on("/o/ranged", script_of(BODY))
    origin.on("/off/x", script_of(BODY, "Last-Modified: Thu, 19 Nov 1981 08:52:00 GMT"))
    server = shared_httpd(SITE.replace("@ORIGIN@", origin.url), "proxy alias cgid wsgi h2 filter deflate", start=False)
    server.origin = origin
    server.write("body", BODY)
    for name, text in PROGRAMS.items():
        server.write(f"cgi/{name}", f"#!/bin/sh\n{text}\n".replace("@ROOT@", str(server.root)), 0o755)
    server.write("app.wsgi", WSGI.format(body=str(server.root / "body")))
    server.write("htdocs/plain/x.txt", BODY)
    server.write("htdocs/folder/index.html", BODY)
    server.write("htdocs/errors/away.html", "<p>away, and a page says so</p>\n")
    server.write("htdocs/errors/none.html", "<p>none, and a page says so</p>\n")
    server.write("htdocs/forbidden", BODY)
    return server.start()


def head(server, target, headers=(), **more):
    return server.request("HEAD", target, headers, **more)


@pytest.mark.parametrize("proto", ["1.1", "1.0", "h2"])
def test_off(server, proto):
    """The backend is asked with HEAD, there is no body to hash, and so no tag."""
    tag = server.get("/off/x").etag
    assert is_content(tag)
    answer = head(server, "/off/x", proto=proto)
    assert answer.status == 200 and answer.etag is None and server.why(answer) == "head"
    assert server.origin.last("/off/x").method == "HEAD"
    assert answer.one("Content-Length") == str(len(BODY))
    for condition in (tag, '"x"'):
        answer = head(server, "/off/x", [("If-None-Match", condition)], proto=proto)
        assert answer.status in (200, 304) and answer.etag in (None, tag)
    dated = [("If-Modified-Since", "Thu, 19 Nov 1981 08:52:00 GMT")]
    assert head(server, "/off/x", dated, proto=proto).status == 304


def test_off_for_other_kinds(new_httpd):
    """Whatever makes the response: the tag of the empty body is nobody's tag."""
    server = new_httpd(SITE.replace("@ORIGIN@", "http://127.0.0.1:4").replace("AsGet", "Off"),
                       "proxy alias cgid wsgi h2 filter deflate", start=False)
    server.write("body", BODY)
    server.write("cgi/plain.sh", f"#!/bin/sh\n{PROGRAMS['plain.sh']}\n".replace("@ROOT@", str(server.root)), 0o755)
    server.write("app.wsgi", WSGI.format(body=str(server.root / "body")))
    server.write("htdocs/plain/x.txt", BODY)
    server.start()
    for path in ("/plain/x.txt", "/cgi/plain.sh", "/wsgi"):
        tag = server.get(path).etag
        assert is_content(tag)
        for proto in ("1.1", "1.0", "h2"):
            if proto == "h2" and path != "/plain/x.txt":
                continue  # mod_http2 by itself now and then breaks the stream of a script's HEAD
            answer = head(server, path, proto=proto)
            assert answer.status == 200 and answer.etag in (None, tag), path
            assert not is_content(answer.etag) or path == "/plain/x.txt"


PATHS = ["/o/length", "/o/chunked", "/o/close", "/cgi/plain.sh", "/wsgi", "/plain/x.txt", "/o/on", "/folder/"]


@pytest.mark.parametrize("proto", ["1.1", "1.0", "h2"])
def test_as_get(server, proto):
    """GET's tag, Content-Length and conditions."""
    for path in PATHS:
        full = server.get(path, proto=proto)
        assert full.status == 200 and full.text == BODY and full.etag
        answer = head(server, path, proto=proto)
        assert (answer.status, answer.etag, answer.body) == (200, full.etag, b""), (path, answer)
        assert answer.one("Content-Type") == full.one("Content-Type")
        assert answer.one("Content-Length") in (full.one("Content-Length"), str(len(BODY))), path
        if full.one("Content-Length"):
            assert answer.one("Content-Length") == full.one("Content-Length"), path
        assert server.why(answer) == "fresh"
        again = head(server, path, [("If-None-Match", full.etag)], proto=proto)
        assert (again.status, again.etag, again.body) == (304, full.etag, b""), (path, again)
        assert server.why(again) == ("early-304" if is_version(full.etag) else "late-304")
        failed = head(server, path, [("If-Match", '"x"')], proto=proto)
        assert failed.status == 412 and failed.body == b"" and server.why(failed) == "412"
        changed = head(server, path, [("If-None-Match", '"x"')], proto=proto)
        assert (changed.status, changed.etag) == (200, full.etag) and server.why(changed) == "changed"


@pytest.mark.parametrize("path", PATHS)
def test_connections_stay_in_step(server, path):
    """Behind each answer to HEAD the next one begins."""
    tag = server.get(path).etag
    with server.connect() as connection:
        for headers in ([], [("If-None-Match", tag)], [("If-Match", '"x"')], [("Range", "bytes=0-9")],
                        [("Range", "bytes=999999-")], [("If-None-Match", '"x"'), ("Range", "bytes=1-2")],
                        [("If-Range", tag), ("Range", "bytes=0-9")]):
            first = connection.request("HEAD", path, headers)
            assert first.status in (200, 206, 304, 412, 416), first
            full = connection.request("GET", path)
            assert full.status == 200 and full.text == BODY and full.etag == tag
        connection.expect_nothing_more()


@pytest.mark.parametrize("path", ["/o/length", "/cgi/method.sh", "/o/nothing", "/o/version"])
def test_what_the_backend_sees(server, path):
    """GET where content tags are made, HEAD elsewhere; and the log says what the client asked."""
    answer = head(server, path)
    assert answer.status == 200
    if path.startswith("/o/"):
        assert server.origin.last(path).method == ("GET" if path == "/o/length" else "HEAD")
    else:
        assert answer.etag == server.get(path).etag, "the program's output depends on the method"
    assert f"HEAD {path} HTTP/1.1" in (server.root / "logs/access.log").read_text()


@pytest.mark.parametrize("also", [[], [("If-None-Match", '"x"')], [("If-Range", '"theirs"')]])
def test_range_is_none_of_heads_business(server, also):
    """RFC 9110 section 14.2: nobody may be asked for a part, and the answer speaks of the whole."""
    whole = head(server, "/o/ranged")
    answer = head(server, "/o/ranged", [("Range", "bytes=9-39"), *also])
    assert (answer.status, answer.etag) == (200, whole.etag) and is_content(whole.etag)
    assert answer.one("Content-Length") == whole.one("Content-Length") == str(len(BODY))
    seen = server.origin.last("/o/ranged")
    assert seen.get("Range") is None and seen.get("If-Range") is None


def test_encoded(server):
    accept = [("Accept-Encoding", "gzip")]
    full = server.get("/o/packed", accept)
    assert full.one("Content-Encoding") == "gzip"
    answer = head(server, "/o/packed", accept)
    assert answer.etag == full.etag and answer.etag.endswith('-gzip"') and answer.body == b""
    assert "accept-encoding" in answer.members("Vary")
    assert head(server, "/o/packed", accept + [("If-None-Match", full.etag)]).status == 304
    plain = head(server, "/o/packed")
    assert is_content(plain.etag) and not plain.etag.endswith('-gzip"') and plain.etag.startswith('"')


# Targets, and what the origin says where it is asked; each twice, and a page in between.
FAULTS = {
    "down": ("/down/x", None, 503),
    "down, own text": ("/down_text/x", None, 503),
    "down, own page": ("/down_local/x", None, 503),
    "404 of the backend": ("/o/none", script_of(BODY, status="404 Not Found"), 404),
    "404 of the backend, chunked": ("/o/none", script_of(BODY, status="404 Not Found", how="chunked"), 404),
    "404 of the backend, own page": ("/override/none", script_of(BODY, status="404 Not Found"), 404),
    "500 of the backend": ("/o/broken", script_of(BODY, status="500 Internal Server Error"), 500),
    "410 of the backend": ("/o/gone", script_of(BODY, status="410 Gone"), 410),
    "302 of the backend": ("/o/moved", script_of(BODY, "Location: /y", status="302 Found"), 302),
    "201 of the backend": ("/o/made", script_of(BODY, "Location: /y", status="201 Created"), 201),
    "204 of the backend": ("/o/no_content", script_of("", status="204 No Content", how="none", media=None), 204),
    "older than HTTP/1.0": ("/o/garbage", lambda exchange: exchange.send("no header\r\n\r\n"), 200),
    "garbage of the backend": ("/o/garbage", lambda exchange: exchange.head("no colon here"), 502),
    "nothing of the backend": ("/o/closed", lambda exchange: None, 502),
    "no such file": ("/none", None, 404),
    "forbidden": ("/forbidden", None, 403),
    "forbidden, own text": ("/forbidden_text", None, 403),
    "folder": ("/folder", None, 301),
    "redirect by a program": ("/cgi/away.sh", None, 302),
    "redirect inside": ("/cgi/here.sh", None, 200),
    "404 by a program": ("/cgi/gone.sh", None, 404),
    "broken program": ("/cgi/broken.sh", None, 500),
    "silent program": ("/cgi/silent.sh", None, 500),
    "no such program": ("/cgi/none.sh", None, 404),
    "short program": ("/cgi/short.sh", None, 200),
    "empty": ("/o/empty", script_of(""), 200),
    "own 200 for HEAD only": ("/o/typeless", script_of(BODY, media=None), 200),
    "no-store": ("/o/unstored", script_of(BODY, "Cache-Control: no-store"), 200),
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_path_sends_a_body(server, name):
    target, script, status = FAULTS[name]
    server.log.expect("proxy|cgi|authz_core|AH0", optional=True)
    if script:
        server.origin.on(target, script)
    expected = server.get(target)
    assert expected.status == status, expected
    for headers in ([], [("If-None-Match", '"x"')], [("If-Match", '"x"')], [("If-None-Match", "*")]):
        with server.connect() as connection:
            first = connection.request("HEAD", target, headers)
            assert first.status == status or (first.status in (304, 412) and headers and 200 <= status < 300), first
            assert not is_content(first.etag) or first.etag == expected.etag
            if "close" in first.members("Connection"):
                connection.expect_nothing_more()
                continue
            following = connection.request("GET", "/o/next")
            assert following.status == 200 and following.text == BODY
            try:
                assert connection.request("HEAD", target, headers).status == first.status
            except EOFError:  # mod_proxy's way to make a client try again
                assert status == 502


def test_death_in_the_body(server):
    """The backend dies while it sends what nobody will see."""
    def dies(exchange):
        exchange.head("Transfer-Encoding: chunked")
        exchange.chunk(b"some of it")
        exchange.send(b"99\r\nand no")

    server.log.expect("proxy|AH0", optional=True)
    server.origin.on("/o/dies", dies)
    for path in ("/o/dies",):
        answer = head(server, path)
        assert answer.etag is None
        with server.connect() as connection:
            try:
                connection.request("HEAD", path)
                assert connection.request("GET", "/o/next").text == BODY
            except (EOFError, ConnectionError):
                pass  # it may hang up instead


# --- what has no end -----------------------------------------------------------------------------

LIMITED = """
Timeout 300
ETagVersionBufferLimit 128K 1M
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
<Location />
  ETagVersion Content
  ETagVersionHead AsGet
</Location>
"""


def endless(media, *fields, silent=False, line=b"one more line\n"):
    """Goes on until the other side hangs up."""
    def run(exchange):
        exchange.head(*fields, media=media)
        exchange.send(line)
        if silent:
            exchange.wait_for_hangup()
        while not silent:
            exchange.send(line)
    return run


ENDLESS = {
    "event stream": endless("text/event-stream", silent=True),
    "event stream that never pauses": endless("text/event-stream"),
    "mixed": endless("multipart/x-mixed-replace; boundary=x", silent=True),
    "accel": endless("text/plain", "X-Accel-Buffering: no", silent=True),
    "grpc": endless("application/grpc", silent=True),
    "other type": endless("application/octet-stream", silent=True),
    "other type that never pauses": endless("video/mp4", line=bytes(8192)),
    "oversize": endless("text/plain", line=bytes(8192)),
    "oversize by its length": endless("text/plain", "Content-Length: 1000000000", silent=True),
    "oversize by its length, never pauses": endless("text/plain", "Content-Length: 1000000000", line=bytes(8192)),
    "no-store": endless("text/plain", "Cache-Control: no-store", silent=True),
    "kept": endless("text/plain", 'ETag: "theirs"', silent=True),
}


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_endless_responses(new_httpd, new_origin, mpm):
    """HEAD is answered, and the backend is told that nobody listens."""
    origin = new_origin()
    server = new_httpd(LIMITED.replace("@ORIGIN@", origin.url), f"proxy alias {'cgid' if mpm == 'event' else 'cgi'}",
                       mpm=mpm, start=False)
    if mpm == "prefork":
        server.conf = server.conf.replace("ScriptSock @ROOT@/run/cgisock\n", "")
    server.write("cgi/endless.sh", "#!/bin/sh\necho $$ > \"$0.pid\"\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
                                   "exec yes\n", 0o755)
    places.writable(server.root / "cgi")
    server.start()
    server.log.expect("proxy|cgi|AH0", optional=True)
    origin.on("/o/next", script_of(BODY))
    for number, (name, script) in enumerate(ENDLESS.items()):
        path = origin.on(f"/o/{number}", script)
        with server.connect() as connection:
            answer = connection.request("HEAD", path)
            assert answer.status == 200 and not is_content(answer.etag), name
            assert answer.one("Content-Length") in (None, "1000000000"), name
            until(lambda path=path: origin.done(path) == 1, f"the origin to see the end of {name}")
            if "close" not in answer.members("Connection"):
                assert connection.request("GET", "/o/next").text == BODY, name
    answer = head(server, "/cgi/endless.sh")
    assert answer.status == 200 and answer.etag is None
    pid = int((server.root / "cgi/endless.sh.pid").read_text())
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the program to end")


def test_trickling(new_httpd, new_origin):
    """Text that takes its time: HEAD waits no longer than GET would."""
    def trickles(exchange):
        exchange.head(media="text/plain")
        while True:
            exchange.send(b"one more line\n")
            exchange.pause(0.05)

    origin = new_origin()
    server = new_httpd(LIMITED.replace("@ORIGIN@", origin.url), "proxy alias cgid")
    server.log.expect("proxy|AH0", optional=True)
    origin.on("/o/x", trickles)
    answer = head(server, "/o/x")
    assert answer.status == 200 and answer.etag is None and server.why(answer) == "stream"
    until(lambda: origin.done("/o/x") == 1, "the origin to see the end")


# --- mod_cache -----------------------------------------------------------------------------------

CACHE = """
CacheEnable disk /
CacheQuickHandler @QUICK@
CacheHeader On
CacheIgnoreNoLastMod On
CacheRoot "@ROOT@/cache"
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
<Location />
  ETagVersion Content
  ETagVersionHead @HEAD@
</Location>
"""


@pytest.mark.parametrize("quick", ["On", "Off"])
@pytest.mark.parametrize("mode", ["AsGet", "Off"])
def test_cached(new_httpd, new_origin, quick, mode):
    """HEAD before, between and after: no GET ever gets an empty page, and all tags agree."""
    origin = new_origin()
    origin.default = script_of(BODY, "Cache-Control: max-age=600")
    conf = CACHE.replace("@QUICK@", quick).replace("@HEAD@", mode).replace("@ORIGIN@", origin.url)
    server = new_httpd(conf, "proxy cache_disk", start=False)
    (server.root / "cache").mkdir()
    places.writable(server.root / "cache")
    server.start()
    again = [("Cache-Control", "max-age=0")]
    tag = server.get("/o/other").etag
    assert is_content(tag)
    for headers in ([], again, [("If-None-Match", tag)], [("If-None-Match", '"x"')], [("If-None-Match", tag), *again]):
        path = f"/o/{len(origin.requests)}"
        for method in ("HEAD", "HEAD", "GET", "HEAD", "GET", "HEAD", "GET"):
            for extra in (headers, []):
                answer = server.request(method, path, extra)
                assert answer.status == 200 or (answer.status == 304 and ("If-None-Match", tag) in extra), answer
                assert answer.etag in ((tag,) if method == "GET" or mode == "AsGet" else (tag, None)), answer
                assert answer.body == (BODY.encode() if method == "GET" and answer.status == 200 else b"")
