# SPDX-License-Identifier: Apache-2.0
"""ETagVersionInvalidateHeader: what backends say is bumped, and leaves with no response."""
import pytest

from harness.bumping import NO_STORE, await_pages, page_tag, proxied, stored
from harness.origin import held_back, script_of
from harness.wait import until

HEADER = "X-Bump"
NAMES = "abc"
SITE = """
<Location />
  ETagVersion Version
  ETagVersionInvalidateHeader X-Bump
</Location>
""" + "".join(f"""
<Location /{name}>
  ETagVersionModels {name}
</Location>""" for name in NAMES) + """
<Location /off>
  ETagVersionInvalidateHeader Off
</Location>
<Location /only>
  ETagVersion Off
</Location>
<Location /configured>
  ETagVersionInvalidate a
</Location>
"""


class Said:
    """An origin whose answer to a path is a status and what it says in the header, line by line."""

    def __init__(self, origin):
        self.origin = origin
        origin.default = script_of("x\n")

    def on(self, path, *lines, status="200 OK", **more):
        fields = [f"{HEADER}: {line}" for line in lines]
        body = "" if status[:3] in ("204", "304") else "x\n"
        return self.origin.on(path, script_of(body, *fields, status=status, **more))


@pytest.fixture(scope="module", name="said")
def _said(shared_origin):
    return Said(shared_origin())


@pytest.fixture(scope="module", name="server")
def _server(shared_httpd, said):
    # a 502 leaves models pending for as long
    return shared_httpd("Timeout 5\n" + proxied(said.origin) + SITE, "proxy")


def tags(server):
    return {name: page_tag(server, f"/{name}") for name in NAMES}


def changed(server, before):
    after = tags(server)
    return "".join(name for name in NAMES if before[name] != after[name])


@pytest.mark.parametrize("lines, bumped", [
    (["a"], "a"),
    (["a, b"], "ab"),
    ([" a ,,\tb\t, "], "ab"),
    (["a", "c"], "ac"),
    ([""], ""),
    (["%open:a, %epoch, b"], "b"),
    (["a" * 257 + ",b"], "b"),
    (["a, a, a"], "a"),
    (["d e, a"], "a"),
], ids=["one", "two", "spaces", "lines", "nothing", "reserved", "long", "again", "inner-space"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_names(server, said, method, lines, bumped):
    said.on("/say", *lines)
    before = tags(server)
    answer = server.request(method, "/say", body=b"" if method == "POST" else None)
    assert answer.status == 200 and not answer.all(HEADER)
    assert changed(server, before) == bumped


def test_more_names_than_are_taken(server, said):
    server.log.expect("ETV0354", optional=True)
    said.on("/say", ", ".join(f"n{i}" for i in range(31)) + ", a, b")
    before = tags(server)
    assert not server.get("/say").all(HEADER)
    assert changed(server, before) == "a"
    assert server.log.lines("ETV0354")


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "301 Moved", "304 Not Modified", "400 Bad Request",
                                    "404 Not Found", "409 Conflict", "500 Oops", "502 Bad", "503 Busy"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_whatever_the_method_and_the_status(server, said, method, status):
    """The backend says so itself."""
    said.on("/say", "a", status=status)
    before = page_tag(server, "/a")
    answer = server.request(method, "/say", body=b"" if method == "POST" else None)
    assert answer.status == int(status[:3]) and not answer.all(HEADER)
    if status.startswith("502"):  # see test_a_backend_that_may_go_on
        assert await_pages(server, before, "/a") != before
    else:
        assert server.get("/a", tag=before).status == 200
        assert page_tag(server, "/a") != before


def test_with_models_of_the_place(server, said):
    said.on("/configured", "b")
    before = tags(server)
    answer = server.request("POST", "/configured", body=b"")
    assert answer.status == 200
    assert changed(server, before) == "ab"
    assert server.logged(answer) == (200, "bumped", "a b")
    said.on("/configured", "b", status="409 Conflict")
    before = tags(server)
    assert server.request("POST", "/configured", body=b"").status == 409
    assert changed(server, before) == "b"


def test_without_tags(server, said):
    said.on("/only", "a")
    before = tags(server)
    assert not server.get("/only").all(HEADER)
    assert changed(server, before) == "a"


def test_off(server, said):
    said.on("/off", "a")
    before = tags(server)
    assert server.get("/off").one(HEADER) == "a"
    assert changed(server, before) == ""


def test_what_clients_say_is_of_no_interest(server, said):
    said.on("/say")
    before = tags(server)
    for method in ("GET", "POST"):
        server.request(method, "/say", [(HEADER, "a")], body=b"")
    assert changed(server, before) == ""


def test_a_stream(new_httpd, new_origin, new_redis):
    """Bumped before the first byte leaves and at the end."""
    redis, origin = new_redis(), new_origin()
    said = Said(origin)
    origin.on("/stream", held_back(b"first", b"last", f"{HEADER}: a"))
    server = new_httpd(stored(redis.url) + proxied(said.origin) + SITE, "proxy")
    before = page_tag(server, "/a")
    first = redis("GET", "model_version:a")
    with server.connect() as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        second = until(lambda: redis("GET", "model_version:a") != first and redis("GET", "model_version:a"),
                       "the first bump")
        assert server.why(server.get("/a", tag=before)) == "pending"
        origin.say()
        answer = client.read_response()
        assert answer.body == b"firstlast" and not answer.all(HEADER)
    assert redis("GET", "model_version:a") not in (first, second)
    assert server.get("/a", tag=before).status == 200
    assert page_tag(server, "/a") != before


def test_a_store_that_is_not_there(new_httpd, new_origin, new_redis):
    """This host knows, and tells the store later."""
    redis = new_redis("--appendonly", "yes")
    said = Said(new_origin())
    server = new_httpd(stored(redis.url) + proxied(said.origin) + SITE, "proxy")
    server.log.expect(NO_STORE, optional=True)
    said.on("/say", "a")
    before, version = page_tag(server, "/a"), redis("GET", "model_version:a")
    redis.kill()
    answer = server.get("/say")
    assert answer.status == 200 and not answer.all(HEADER) and server.why(answer) == "undelivered"
    assert server.why(server.get("/a", tag=before)) == "pending"
    redis.start()
    assert await_pages(server, before, "/a") != before
    assert redis("GET", "model_version:a") != version


# --- where httpd makes the response, or keeps it ---

@pytest.mark.parametrize("document", ["", "ErrorDocument 500 /error.txt\n", 'ErrorDocument 500 "oh"\n'],
                         ids=["own", "page", "text"])
@pytest.mark.parametrize("override", ["", "ProxyErrorOverride On\n"], ids=["theirs", "ours"])
def test_error_pages(new_httpd, new_origin, document, override):
    said = Said(new_origin())
    server = new_httpd("ProxyPass /error.txt !\n" + proxied(said.origin) + SITE + document + override, "proxy",
                       start=False)
    server.write("htdocs/error.txt", "a page\n")
    server.start()
    said.on("/say", "a", status="500 Oops")
    for method in ("GET", "POST"):
        before = page_tag(server, "/a")
        answer = server.request(method, "/say", body=b"")
        assert answer.status == 500 and not answer.all(HEADER)
        assert page_tag(server, "/a") != before


CGI = """#!/bin/sh
case "$QUERY_STRING" in
local) printf 'X-Bump: a\\r\\nLocation: /b\\r\\n\\r\\n';;
denied) printf 'X-Bump: a\\r\\nLocation: /denied\\r\\n\\r\\n';;
remote) printf 'X-Bump: a\\r\\nLocation: http://localhost/b\\r\\n\\r\\n';;
error) printf 'Status: 500 Oops\\r\\nX-Bump: a\\r\\nContent-Type: text/plain\\r\\n\\r\\nno\\n';;
*) printf 'X-Bump: a\\r\\nContent-Type: text/plain\\r\\n\\r\\nyes\\n';;
esac
"""


@pytest.mark.parametrize("program", ["cgi", "cgid"])
def test_cgi(new_httpd, new_origin, program):
    said = Said(new_origin())
    sock = "ScriptSock @ROOT@/run/cgisock\n" if program == "cgid" else ""
    server = new_httpd(f'{sock}ScriptAlias /cgi/ "@ROOT@/cgi/"\nProxyPass /cgi/ !\n' + proxied(said.origin) + SITE
                       + "<Location /denied>\n  Require all denied\n  ETagVersionInvalidateHeader Off\n</Location>\n",
                       f"proxy alias {program}", start=False, mpm="prefork" if program == "cgi" else "event")
    server.write("cgi/say", CGI, 0o755)
    server.log.expect("AH01630: client denied")
    server.start()
    for query, status in (("", 200), ("local", 200), ("remote", 302), ("error", 500), ("denied", 403)):
        before = page_tag(server, "/a")
        answer = server.get(f"/cgi/say?{query}")
        assert answer.status == status and not answer.all(HEADER), query
        assert server.get("/a", tag=before).status == 200, query
        assert page_tag(server, "/a") != before, query


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_caches_keep_nothing_of_it(new_httpd, new_origin, quick):
    """What is stored does not have the header, and what is served from it bumps nothing."""
    said = Said(new_origin())
    server = new_httpd('CacheRoot "@ROOT@/cache"\nCacheEnable disk /kept\nCacheIgnoreNoLastMod On\n'
                       f"CacheQuickHandler {quick}\n" + proxied(said.origin) + SITE +
                       "<Location /kept>\n  ETagVersionCacheControl max-age=60\n</Location>\n",
                       "proxy cache_disk", start=False)
    (server.root / "cache").mkdir()
    (server.root / "cache").chmod(0o777)
    server.start()
    said.on("/kept", "a", status="200 OK")
    before = tags(server)
    assert not server.get("/kept").all(HEADER)
    assert changed(server, before) == "a"
    before = tags(server)
    for _ in range(3):
        assert not server.get("/kept").all(HEADER)
    assert said.origin.calls("/kept") == 1
    assert changed(server, before) == ""
    files = [f.read_bytes() for f in (server.root / "cache").rglob("*") if f.is_file()]
    assert files and not [f for f in files if HEADER.encode() in f]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_parts_of_a_page(new_httpd, new_origin, method):
    """A part that another backend makes may say so, too."""
    said = Said(new_origin())
    server = new_httpd("ProxyPass /page.shtml !\n" + proxied(said.origin) + SITE +
                       '<Directory "@ROOT@/htdocs">\n  Options +Includes\n  AddType text/html .shtml\n'
                       "  AddOutputFilter INCLUDES .shtml\n</Directory>\n", "proxy include mime", start=False)
    server.write("htdocs/page.shtml", '<!--#include virtual="/part" -->end\n')
    server.start()
    said.on("/part", "a")
    before = tags(server)
    answer = server.request(method, "/page.shtml", body=b"" if method == "POST" else None)
    assert answer.body == (b"" if method == "HEAD" else b"x\nend\n") and not answer.all(HEADER)
    assert changed(server, before) == "a"
