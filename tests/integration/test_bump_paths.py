# SPDX-License-Identifier: Apache-2.0
"""Bumps on the ways that requests take inside httpd, and with each kind of backend."""
import pytest

from harness.apps import KINDS
from harness.bumping import MODEL, SITE, await_pages, page_tag, proxied, stored
from harness.origin import script_of
from harness.wait import until

MODELS = "abc"
PAGES = "".join(f"""
<Location /{name}>
  ETagVersion Version
  ETagVersionModels {name}
  ETagVersionUpstreamETag Replace
</Location>""" for name in MODELS)

SCRIPT = """#!/bin/sh
case "$QUERY_STRING" in
local) printf 'Location: /target/good\\r\\n\\r\\n';;
lost) printf 'Location: /target/none\\r\\n\\r\\n';;
remote) printf 'Location: http://localhost/a\\r\\n\\r\\n';;
204 | 304) printf 'Status: %s Said So\\r\\n\\r\\n' "$QUERY_STRING";;
*) printf 'Status: %s Said So\\r\\nContent-Type: text/plain\\r\\n\\r\\nsaid\\n' "$QUERY_STRING";;
esac
"""


def tags(server):
    return {name: page_tag(server, f"/{name}") for name in MODELS}


def changed(server, before):
    after = tags(server)
    return "".join(name for name in MODELS if before[name] != after[name])


# --- each kind of backend ---

@pytest.mark.parametrize("kind", [name for name in KINDS if name != "static"])
def test_each_kind_of_backend(new_httpd, kind):
    app = KINDS[kind]()
    try:
        server = new_httpd(app.conf + SITE, app.modules, mpm="prefork" if kind == "cgi" else "event", start=False)
        app.prepare(server)
        server.start()
        for _ in range(3):
            before = page_tag(server, app.path)
            assert server.get(app.path, tag=before).status == 304
            answer = server.request("POST", app.path, body=b"")
            assert answer.status == 200 and server.why(answer) == "bumped"
            assert server.get(app.path, tag=before).status == 200
            assert page_tag(server, app.path) != before
    finally:
        app.close()


def test_a_file_takes_no_post(new_httpd):
    server = new_httpd(SITE + "<Location />\n  ETagVersionUpstreamETag Replace\n</Location>\n", start=False)
    server.write("htdocs/page", "x\n")
    server.start()
    before = page_tag(server)
    assert server.request("POST", "/page", body=b"").status in (200, 405)
    assert server.request("PUT", "/page", body=b"").status == 405
    assert server.request("PUT", "/nowhere", body=b"").status in (404, 405)
    assert server.get("/page", tag=page_tag(server)).status == 304
    assert before


# --- internal redirects ---

@pytest.fixture(scope="module", name="server")
def _server(shared_httpd):
    server = shared_httpd(PAGES + """
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
<Location /cgi/>
  ETagVersionInvalidate a
</Location>
<Location /target/>
  ETagVersionInvalidate b
</Location>
<Directory "@ROOT@/htdocs/front">
  RewriteEngine On
  RewriteRule "^(.*)" /cgi/script [L]
</Directory>
<Location /front/>
  ETagVersionInvalidate c
</Location>
<Directory "@ROOT@/htdocs/fall">
  FallbackResource /cgi/script
</Directory>
<Location /fall/>
  ETagVersionInvalidate c
</Location>
<Location /denied>
  Require all denied
  ETagVersionInvalidate a
</Location>
Action go-on /target/nowhere virtual
<Location /action>
  SetHandler go-on
  ETagVersionInvalidate a
</Location>
ErrorDocument 500 /error.txt
ErrorDocument 409 /cgi/script?200
ErrorDocument 410 http://localhost/elsewhere
""", "actions alias cgid rewrite static", start=False)
    server.write("cgi/script", SCRIPT, 0o755)
    for name in MODELS:
        server.write(f"htdocs/{name}", "x\n")
    for name in ("target/good", "front/x", "fall/x", "denied"):
        server.write(f"htdocs/{name}", "x\n")
    server.write("htdocs/error.txt", "sorry\n")
    return server.start()


@pytest.mark.parametrize("method, target, status, bumped", [
    ("POST", "/cgi/script?200", 200, "a"),
    ("GET", "/cgi/script?200", 200, ""),
    ("POST", "/cgi/script?204", 204, "a"),
    ("POST", "/cgi/script?302", 302, "a"),
    ("POST", "/cgi/script?304", 304, "a"),
    ("POST", "/cgi/script?404", 404, ""),
    ("POST", "/cgi/script?409", 409, ""),      # its page is another script, with GET
    ("POST", "/cgi/script?500", 500, "a"),     # its page is a file
    ("POST", "/cgi/script?remote", 302, "a"),
    ("POST", "/cgi/script?local", 200, "ab"),  # has worked, and then named another page
    ("POST", "/cgi/script?lost", 404, "ab"),   # the same, with a page that is not there
    ("GET", "/cgi/script?local", 200, ""),
    ("POST", "/action/x", 404, "ab"),      # a handler has redirected with POST: it may have worked before
    ("POST", "/front/x?200", 200, "ac"),
    ("POST", "/front/x?403", 403, ""),
    ("POST", "/fall/y?200", 200, "a"),
    ("POST", "/denied", 403, ""),         # before any handler
    ("POST", "/target/none", 404, ""),
], ids=str)
def test_internal_redirects(server, method, target, status, bumped):
    server.log.expect("AH01630: client denied", optional=True)
    before = tags(server)
    answer = server.request(method, target, body=b"")
    assert answer.status == status
    assert changed(server, before) in (bumped, bumped + "c" if target.startswith("/fall") else bumped)
    for name in MODELS:  # nothing is left open
        assert server.get(f"/{name}", tag=page_tag(server, f"/{name}")).status == 304


def test_each_change_is_begun_once(new_httpd, new_redis):
    """Also where a request is redirected inside httpd on its way."""
    redis = new_redis()
    server = new_httpd(stored(redis.url) + """
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
<Directory "@ROOT@/htdocs/front">
  RewriteEngine On
  RewriteRule "^(.*)" /cgi/script [L]
</Directory>
<Location />
  ETagVersionInvalidate a
</Location>
""", "alias cgid rewrite", start=False)
    server.write("cgi/script", SCRIPT, 0o755)
    server.write("htdocs/front/x", "x\n")
    server.start()
    answer = server.request("POST", "/front/x?200", body=b"")
    assert answer.status == 200
    stats = redis("INFO", "commandstats").decode()
    assert "cmdstat_sadd:calls=1," in stats, stats
    assert redis("EXISTS", "model_version:%open:a") == 0


# --- the module's own handlers ---

def test_own_handlers_do_not_count(new_httpd, new_redis):
    """What holds for a whole site holds for its handlers too, which say themselves what is bumped."""
    redis = new_redis()
    server = new_httpd(stored(redis.url) + PAGES + """
<Location />
  ETagVersionInvalidate a
  ETagVersionInvalidateRequire On
  ETagVersionInvalidateHeader X-Bump
</Location>
<Location /admin>
  SetHandler etag-version-admin
  ETagVersionServe admin
</Location>
<Location /events>
  SetHandler etag-version-events
  ETagVersionServe events
</Location>
<Location /closed>
  SetHandler etag-version-admin
</Location>
""", start=False)
    for name in MODELS:
        server.write(f"htdocs/{name}", "x\n")
    server.start()
    before = tags(server)
    for method, target, status in (("POST", "/admin?model=b", 200), ("DELETE", "/admin", 405), ("POST", "/admin", 400),
                                   ("POST", "/events", 405), ("POST", "/closed?model=c", 404)):
        assert server.request(method, target, body=b"").status == status
    assert changed(server, before) == "b"
    assert "cmdstat_sadd" not in redis("INFO", "commandstats").decode()
    assert server.get("/a", tag=before["a"]).status == 304


# --- connections that become something else ---

def test_a_connection_that_becomes_a_tunnel(new_httpd, new_origin):
    """There is no end of a response: the first bump is all there is, and nothing waits for the tunnel's end."""
    origin = new_origin()
    origin.default = script_of("x\n")

    def switch(exchange):
        exchange.head("Connection: Upgrade", "Upgrade: websocket", status="101 Switching Protocols", media=None)
        exchange.echo()
    origin.on("/tunnel", switch)
    server = new_httpd(proxied(origin, "upgrade=websocket") + SITE, "proxy")
    before = page_tag(server)
    with server.connect() as client:
        for _ in range(3):  # what only asks for a tunnel is a request like others
            client.send(b"POST /page HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\nContent-Length: 0\r\n\r\n")
            assert client.read_response().status == 200
            assert page_tag(server) != before
            before = page_tag(server)
        client.send(b"POST /tunnel HTTP/1.1\r\nHost: localhost\r\nX-Req: switched\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\nContent-Length: 0\r\n\r\n")
        until(lambda: origin.calls("/tunnel"), "the backend to be asked")
        assert await_pages(server, before) != before
    until(lambda: "switched\t101\tbumped" in (server.root / "logs/access.log").read_text(), "the tunnel's end")


def test_interim_responses(new_httpd, new_origin, new_redis):
    """They are no responses: the backend is still at work."""
    redis, origin = new_redis(), new_origin()
    origin.default = script_of("x\n")

    def slowly(exchange):
        exchange.head("Link: </style>; rel=preload", status="103 Early Hints", media=None)
        exchange.wait()
        script_of("no\n", status="409 Conflict")(exchange)
    origin.on("/slow", slowly)
    server = new_httpd(stored(redis.url) + proxied(origin) + SITE, "proxy")
    before = page_tag(server)
    version = redis("GET", f"model_version:{MODEL}")
    with server.connect() as client:
        client.send(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        until(lambda: server.why(server.get("/page", tag=before)) == "pending", "the change to begin")
        origin.say()
        assert client.read_response().status == 409
    assert redis("GET", f"model_version:{MODEL}") == version
    assert server.get("/page", tag=before).status == 304
