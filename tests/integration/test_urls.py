# SPDX-License-Identifier: Apache-2.0
"""Internal redirects: each URL has its own tags, and the names captured from it hold to the end."""
import pytest

from harness import places
from harness.backend import Reply
from harness.tags import is_version

PAGE = """#!/bin/sh
printf x >> "$COUNTER"
printf 'Content-Type: text/plain\\n\\npage of %s\\n' "$REQUEST_URI"
"""
REWRITE = """
RewriteEngine On
RewriteCond %{REQUEST_FILENAME} !-f
RewriteRule ^ index.sh [L]
"""
FRONT = """
ScriptSock @ROOT@/run/cgisock
SetEnv COUNTER "@ROOT@/count/calls"
<Directory "@ROOT@/htdocs/app">
  Options +ExecCGI +FollowSymLinks
  AllowOverride FileInfo
  AddHandler cgi-script .sh
  ETagVersion Version
  ETagVersionModels site
  @RULES@
</Directory>
"""
# The folder names the model; the captures come from the client's URL, not from the controller's.
CAPTURE = """
<LocationMatch "^/app/item/(?<SLUG>[^/]+)$">
  ETagVersionSettle 0
</LocationMatch>
<LocationMatch "^/app/(?<SLUG>index.sh)$">
  ETagVersionSettle 0
</LocationMatch>
<Directory "@ROOT@/htdocs/app">
  ETagVersionModels item:%{env:MATCH_SLUG}
</Directory>
"""


@pytest.fixture
def app(new_httpd):
    """A front controller below /app/; `calls()` counts how often it ran."""
    def make(rules="", htaccess="", extra="", modules="rewrite"):
        server = new_httpd(FRONT.replace("@RULES@", rules) + extra, f"static env cgid alias {modules}", start=False)
        server.write("htdocs/app/index.sh", PAGE, 0o755)
        if htaccess:
            server.write("htdocs/app/.htaccess", htaccess)
        (server.root / "count").mkdir()
        places.writable(server.root / "count")
        counter = server.root / "count/calls"
        counter.touch()
        places.writable(counter)
        server.calls = lambda: counter.stat().st_size
        return server.start()
    return make


FRONTS = {
    "directory": {"rules": REWRITE},
    "htaccess": {"htaccess": REWRITE},
    "fallback": {"rules": "FallbackResource /app/index.sh"},
    "server_rewrite": {"extra": "RewriteEngine On\nRewriteRule ^/app/ /app/index.sh [L]\n"},
    "alias": {"extra": 'AliasMatch ^/app/ "@ROOT@/htdocs/app/index.sh"'},
    "error_document": {"rules": "ErrorDocument 404 /app/index.sh"},
}


@pytest.mark.parametrize("kind", [k for k in FRONTS if k != "error_document"])
def test_urls_of_one_front_controller(app, kind):
    server = app(**FRONTS[kind])
    urls = ["/app/one", "/app/two", "/app/deep/er", "/app/one?a=1", "/app/one?a=2"]
    tags = {}
    for url in urls:
        answer = server.get(url)
        assert (answer.status, answer.text) == (200, f"page of {url}\n")
        assert is_version(answer.etag), f"{server.why(answer)}: {answer}"
        tags[url] = answer.etag
    assert len(set(tags.values())) == len(urls)
    calls = server.calls()
    for url in urls:
        answer = server.get(url, tag=tags[url])
        assert (answer.status, answer.etag) == (304, tags[url])
        assert server.why(answer) == "early-304"
    assert server.calls() == calls
    for url, tag in ((u, t) for u in urls for v, t in tags.items() if u != v):
        assert server.get(url, tag=tag).status == 200
    server.bump("site")
    for url in urls:
        answer = server.get(url, tag=tags[url])
        assert answer.status == 200 and is_version(answer.etag)
    answer = server.request("HEAD", "/app/one", [("If-None-Match", server.get("/app/one").etag)])
    assert answer.status == 304


def test_error_document_as_front_controller(app):
    """The page is made for a request that failed: no tag, no early answer."""
    server = app(**FRONTS["error_document"])
    answer = server.get("/app/one", tag="*")
    assert answer.text == "page of /app/one\n" and not is_version(answer.etag)


@pytest.mark.parametrize("kind", ["directory", "htaccess", "fallback"])
def test_captures_of_the_first_request_win(app, kind):
    settings = dict(FRONTS[kind])
    settings["extra"] = CAPTURE
    server = app(**settings)
    for slug in ("egfp", "mcherry"):
        server.bump(f"item:{slug}")
    tags = {slug: server.get(f"/app/item/{slug}").etag for slug in ("egfp", "mcherry")}
    assert all(map(is_version, tags.values())) and len(set(tags.values())) == 2
    server.bump("item:egfp")
    assert server.get("/app/item/mcherry", tag=tags["mcherry"]).status == 304
    changed = server.get("/app/item/egfp", tag=tags["egfp"])
    assert changed.status == 200
    assert server.logged(changed)[2] == "item:egfp"


@pytest.mark.parametrize("extra, url", [
    ("", "/dir/"),
    ("DirectoryIndex start.txt index.txt", "/dir/"),
    ("DirectoryIndex index.sh", "/app/"),
])
def test_directory_index(app, extra, url):
    server = app(extra=f'{extra or "DirectoryIndex index.txt"}\n<Directory "@ROOT@/htdocs/dir">\n'
                       'ETagVersion Version\nETagVersionModels site\nETagVersionUpstreamETag Replace\n</Directory>')
    server.write("htdocs/dir/index.txt", "index\n")
    full = server.get(url)
    assert full.status == 200 and is_version(full.etag), server.why(full)
    calls = server.calls()
    again = server.get(url, tag=full.etag)
    assert again.status == 304 and server.why(again) == "early-304"
    assert server.calls() == calls
    server.bump("site")
    assert server.get(url, tag=full.etag).status == 200
    if url == "/dir/":
        direct = server.get("/dir/index.txt")
        assert direct.etag != server.get(url).etag


def test_listing_of_a_folder(new_httpd):
    """A listing asks about each file with subrequests; only the listing itself is answered."""
    server = new_httpd('<Directory "@ROOT@/htdocs/list">\nOptions +Indexes\nETagVersion Version\n'
                       'ETagVersionModels site\nETagVersionUpstreamETag Replace\n</Directory>',
                       "static autoindex", start=False)
    for i in range(5):
        server.write(f"htdocs/list/f{i}.txt", "x\n")
    server.start()
    full = server.get("/list/")
    assert full.status == 200 and "f4.txt" in full.text and is_version(full.etag)
    assert server.get("/list/", tag=full.etag).status == 304
    assert server.get("/list/", tag=server.get("/list/f1.txt").etag).status == 200


def test_negotiated_variants(new_httpd):
    """Type maps and MultiViews choose among files, which is a Vary that must be named."""
    server = new_httpd('<Directory "@ROOT@/htdocs/nego">\nOptions +MultiViews\nETagVersion Version\n'
                       'ETagVersionModels site\nETagVersionUpstreamETag Replace\nETagVersionVary Accept-Language\n'
                       'AddLanguage en .en\nAddLanguage de .de\nLanguagePriority en de\n'
                       'ForceLanguagePriority Prefer Fallback\n</Directory>', "static negotiation", start=False)
    for language in ("en", "de"):
        server.write(f"htdocs/nego/page.txt.{language}", f"{language}\n")
    server.log.expect("no version tag: the response varies on", optional=True)
    server.start()
    tags = {}
    for language in ("en", "de"):
        answer = server.get("/nego/page.txt", [("Accept-Language", language)])
        assert answer.text == f"{language}\n" and "accept-language" in answer.members("Vary")
        tags[language] = answer.etag
    for language, other in (("en", "de"), ("de", "en")):
        answer = server.get("/nego/page.txt", [("Accept-Language", language)], tag=tags[other])
        assert (answer.status, answer.text) == (200, f"{language}\n")


@pytest.mark.parametrize("kind", ["v", "u"])
def test_hosts_of_one_catch_all(new_httpd, new_backend, kind):
    """One virtual host that serves many names by the Host field."""

    backend = new_backend()
    backend.default = Reply(200, [("Cache-Control", "max-age=5")] if kind == "u" else [])
    server = new_httpd(f"ProxyPass / {backend.url}/\n<Location />\nETagVersion Version\n"
                       "ETagVersionModels m\n</Location>", "proxy")
    tags = {host: server.get("/x", host=host).etag for host in ("a.example", "b.example", "a.example:8080")}
    assert len(set(tags.values())) == 3 and all(tag.startswith(f'W/"{kind}') for tag in tags.values())
    for host, other in (("a.example", "b.example"), ("b.example", "a.example"), ("a.example", "a.example:8080")):
        assert server.get("/x", host=host, tag=tags[other]).status == 200
    for host in ("A.Example", "a.example"):
        assert server.get("/x", host=host, tag=tags["a.example"]).status == 304
    assert server.get("http://a.example/x", host="b.example", tag=tags["b.example"]).status == 200
    assert server.get("/x", host=None, proto="1.0", tag=tags["a.example"]).status == 200
