# SPDX-License-Identifier: Apache-2.0
"""What the client asked for decides, not what an internal redirect made of it: methods and the switch."""
import pytest

from harness import places
from harness.tags import check_pair, is_version

SITE = """
@HANDLER@
<Location /m/>
  ETagVersion Version
  ETagVersionModels m
  ETagVersionCacheControl max-age=60
  ETagVersionCacheControlUnsafe no-store
</Location>
"""
POST = """#!/bin/sh
cat > /dev/null
printf x >> "$COUNTER"
printf 'Location: /m/page\\r\\n\\r\\n'
"""
PAGE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\npage\\n'
"""
CGI = """
SetEnv COUNTER "@ROOT@/count/calls"
ScriptAlias /m/ "@ROOT@/cgi/"
"""


@pytest.fixture(params=["cgid", "cgi"])
def redirecting(request, new_httpd):
    """/m/act answers with a local redirect to /m/page; calls() counts what /m/act did."""
    handler = CGI + ("ScriptSock @ROOT@/run/cgisock" if request.param == "cgid" else "")
    server = new_httpd(SITE.replace("@HANDLER@", handler), f"alias env {request.param}", start=False)
    server.write("cgi/act", POST, 0o755)
    server.write("cgi/page", PAGE, 0o755)
    places.writable(server.write("count/calls", ""))
    server.calls = lambda: (server.root / "count/calls").stat().st_size
    return server.start()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "GETX", "get"])
def test_local_redirect_of_unsafe_methods(redirecting, method):
    """CGI's local redirect goes on as GET, and the answer is still that to the client's method."""
    server = redirecting
    body = b"a=1" if method != "DELETE" else None
    page, act = server.get("/m/page"), server.get("/m/act")
    assert is_version(page.etag) and is_version(act.etag)
    for tag in (None, page.etag, act.etag, f"{page.etag}, {act.etag}"):
        headers = [("If-None-Match", tag)] if tag else []
        calls = server.calls()
        answer = server.request(method, "/m/act", headers, body=body)
        assert answer.status == 200 and answer.text == "page\n", f"{method} {tag}: {answer}"
        assert not is_version(answer.etag) and answer.members("Cache-Control") == ["no-store"]
        assert server.calls() == calls + 1


def test_local_redirect_of_reads(redirecting):
    server = redirecting
    full = server.get("/m/act")
    assert full.text == "page\n" and full.members("Cache-Control") == ["max-age=60"]
    check_pair(full, server.get("/m/act", tag=full.etag))
    head = server.request("HEAD", "/m/act")
    assert head.members("Cache-Control") == ["max-age=60"]
    assert server.request("HEAD", "/m/act", [("If-None-Match", full.etag)]).status == 304
    direct = server.get("/m/page")
    assert direct.etag != full.etag
    assert server.get("/m/page", tag=full.etag).status == 200
    assert server.get("/m/act", tag=direct.etag).status == 200


ERRORS = """
ScriptSock @ROOT@/run/cgisock
ScriptAlias /m/ "@ROOT@/cgi/"
ErrorDocument 403 /m/page
ErrorDocument 404 /m/page
ErrorDocument 409 /m/page
<Location /m/denied>
  Require all denied
</Location>
<Location />
  ETagVersion Version
  ETagVersionModels m
  ETagVersionCacheControl max-age=60
  ETagVersionCacheControlUnsafe no-store
</Location>
"""


@pytest.mark.parametrize("path, status", [("/m/denied", 403), ("/none", 404), ("/m/conflict", 409)])
def test_error_documents_of_unsafe_methods(new_httpd, path, status):
    """An error page is made by GET, too; what it answers is still a POST."""
    server = new_httpd(ERRORS, "cgid alias", start=False)
    server.write("cgi/page", PAGE, 0o755)
    server.write("cgi/denied", PAGE, 0o755)
    server.write("cgi/conflict", "#!/bin/sh\nprintf 'Status: 409\\r\\n\\r\\n'\n", 0o755)
    server.log.expect("AH01630|AH01797|AH02811", optional=True)
    server.start()
    tags = [server.get(where).etag for where in ("/m/page", path)]
    assert is_version(tags[0]) and not is_version(tags[1])
    for method in ("POST", "PUT", "DELETE"):
        for tag in (None, tags[0]):
            answer = server.request(method, path, [("If-None-Match", tag)] if tag else [], body=b"")
            wanted = 405 if path == "/none" and method != "POST" else status  # no file takes these
            assert answer.status == wanted and not is_version(answer.etag), f"{method} {tag}: {answer}"
            assert answer.members("Cache-Control") == ["no-store"]
    answer = server.get(path, tag=tags[0])
    assert answer.status == status and not answer.all("Cache-Control") and not is_version(answer.etag)


SWITCH = """
ScriptSock @ROOT@/run/cgisock
RewriteEngine On
@SERVER@
<Directory "@ROOT@/htdocs">
  Options +ExecCGI +FollowSymLinks
  AddHandler cgi-script .sh
  ETagVersion Version
  ETagVersionModels m
  ETagVersionIdentity none
  ETagVersionCacheControl max-age=60
  ETagVersionCacheControlUnsafe no-store
  RewriteEngine On
  @DIRECTORY@
</Directory>
<Directory "@ROOT@/htdocs/off">
  RewriteEngine On
  @OFF@
</Directory>
<Directory "@ROOT@/htdocs/on">
  RewriteEngine On
  RewriteRule ^ /front.sh [L]
</Directory>
"""
TO_FRONT = "RewriteRule ^ /front.sh [L]"
SWITCHES = {
    "setenv": {"off": f"SetEnv no-etag-version 1\n{TO_FRONT}"},
    "setenv-empty": {"off": f'SetEnv no-etag-version ""\n{TO_FRONT}'},
    "setenvif": {"off": f'SetEnvIf Request_URI "^/off" no-etag-version\n{TO_FRONT}'},
    "rewrite": {"off": f"RewriteRule ^ - [E=no-etag-version:1]\n{TO_FRONT}"},
    "with-the-redirect": {"off": "RewriteRule ^ /front.sh [E=no-etag-version:1,L]"},
    "server-rewrite": {"server": "RewriteRule ^/off - [E=no-etag-version:1]", "off": TO_FRONT},
    "fallback": {"off": "SetEnv no-etag-version 1\nFallbackResource /front.sh"},
    "twice": {"off": "SetEnv no-etag-version 1\nRewriteRule ^ /middle.sh [L]",
              "directory": "RewriteRule ^middle /front.sh [L]"},
    "local-redirect": {"off": "SetEnv no-etag-version 1\nRewriteRule ^ - [L]", "path": "/off/local.sh"},
}


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES.keys())
def test_switched_off_before_a_redirect(new_httpd, switch):
    conf = SWITCH
    for mark in ("server", "directory", "off"):
        conf = conf.replace(f"@{mark.upper()}@", switch.get(mark, ""))
    server = new_httpd(conf, "cgid env rewrite setenvif", start=False)
    server.write("htdocs/front.sh", PAGE, 0o755)
    server.write("htdocs/off/local.sh", "#!/bin/sh\nprintf 'Location: /front.sh\\r\\n\\r\\n'\n", 0o755)
    server.write("htdocs/on/x", "")
    server.start()
    path = switch.get("path", "/off/page")
    on = server.get("/on/page")
    assert on.text == "page\n" and is_version(on.etag) and on.one("Cache-Control") == "max-age=60"
    assert is_version(server.get("/front.sh").etag)
    for tag in (None, on.etag):
        off = server.get(path, tag=tag)
        assert off.status == 200 and off.text == "page\n"
        assert off.etag is None and not off.all("Cache-Control"), off
    assert not server.request("POST", path, body=b"").all("Cache-Control")
    assert server.request("POST", "/on/page", body=b"").one("Cache-Control") == "no-store"
