# SPDX-License-Identifier: Apache-2.0
"""Preconditions on the ways through httpd: internal redirects, error pages, included pages, .htaccess, the switch."""
import pytest

from harness import pages
from harness.backend import Reply
from harness.reader import is_content

SITE = """
Protocols h2c http/1.1
SetEnvIf X-Off 1 no-etag-version
ErrorDocument 404 /static/sorry.txt
<LocationMatch "^/(http|cgi|static|dir|ssi|front|rewritten)">
  ETagVersion Content
  ETagVersionUpstreamETag Replace
</LocationMatch>
<LocationMatch "^/http/out">
  ETagVersion Off
</LocationMatch>
<Directory "@ROOT@/htdocs/dir/program">
  DirectoryIndex /cgi/index
</Directory>
<Directory "@ROOT@/htdocs/front">
  FallbackResource /cgi/front
</Directory>
<Directory "@ROOT@/htdocs/rewritten">
  Options +FollowSymLinks
  RewriteEngine On
  RewriteRule ^(.+)$ /http/$1 [PT]
</Directory>
<Directory "@ROOT@/htdocs/ssi">
  Options +Includes
  AddOutputFilter INCLUDES .shtml
</Directory>
<Directory "@ROOT@/htdocs/dir/list">
  Options +Indexes
</Directory>
<Directory "@ROOT@/htdocs/dir/languages">
  Options +MultiViews
  AddLanguage en .en
  AddLanguage de .de
</Directory>
<Directory "@ROOT@/htdocs/access">
  AllowOverride FileInfo
</Directory>
"""
BODY = "one representation\n" * 5
OTHER = '"c0123456789abcdefghijkl"'


@pytest.fixture(scope="module")
def server(shared_httpd):
    made = pages.serve(shared_httpd, SITE, "http cgi static",
                       "setenvif rewrite include h2 alias autoindex negotiation", start=False)
    made.write("htdocs/static/sorry.txt", "sorry\n")
    made.write("htdocs/dir/file/index.html", BODY)
    made.write("htdocs/dir/program/x", "")
    made.write("htdocs/dir/list/x.txt", "")
    for language in ("en", "de"):
        made.write(f"htdocs/dir/languages/page.txt.{language}", f"{language} {BODY}")
    made.write("htdocs/front/x", "")
    made.write("htdocs/rewritten/x", "")
    made.start()
    for name in ("index", "front", "target"):
        made.pages["cgi"].put(name, BODY)
    made.pages["cgi"].put("go", headers=[("Location", "/cgi/target")], media=None)
    made.pages["cgi"].put("out", headers=[("Location", "/http/out")], media=None)
    made.pages["http"].put("page", BODY)
    made.pages["http"].put("out", BODY, [("ETag", '"theirs"')])
    yield made
    pages.close_pages(made)


@pytest.mark.parametrize("path, asked", [
    ("/dir/file/", None), ("/dir/program/", ("cgi", "index")), ("/front/any/thing", ("cgi", "front")),
    ("/rewritten/page", ("http", "page")), ("/cgi/go", ("cgi", "target"))])
@pytest.mark.parametrize("proto", ["1.1", "h2"])
def test_internal_redirects(server, path, asked, proto):
    """The conditions are for the answer, whatever made it; no program on the way sees them."""
    whole = server.get(path, proto=proto)
    assert whole.status == 200 and whole.text == BODY and is_content(whole.etag), whole
    for sent, status in (({"If-None-Match": whole.etag}, 304), ({"If-None-Match": OTHER}, 200),
                         ({"If-Match": OTHER}, 412), ({"If-Match": whole.etag}, 200),
                         ({"Range": "bytes=0-4", "If-Range": whole.etag}, 206),
                         ({"Range": "bytes=0-4", "If-Range": OTHER}, 200),
                         ({"Range": "bytes=900-", "If-Match": "*"}, 416)):
        answer = server.get(path, sent, proto=proto)
        assert answer.status == status, (sent, answer)
        assert status not in (200, 206) or answer.text == BODY[:5 if status == 206 else None]
        if asked:
            seen = server.pages[asked[0]].asked(asked[1])
            assert [seen.get(name) for name in (*sent, "If-None-Match")] == [None] * (len(sent) + 1), sent
    if path == "/cgi/go":
        assert server.pages["cgi"].asked("go").get("If-Match") is None


def test_chosen_by_language(server):
    """Content negotiation picks a file in a redirect of its own kind."""
    tags = {}
    for language in ("en", "de"):
        accept = {"Accept-Language": language}
        whole = server.get("/dir/languages/page.txt", accept)
        assert whole.text == f"{language} {BODY}" and is_content(whole.etag)
        assert "accept-language" in whole.members("Vary")
        again = server.get("/dir/languages/page.txt", accept, tag=whole.etag)
        assert again.status == 304 and again.etag == whole.etag and again.members("Vary") == whole.members("Vary")
        assert server.get("/dir/languages/page.txt", {**accept, "If-Match": OTHER}).status == 412
        part = server.get("/dir/languages/page.txt", {**accept, "Range": "bytes=0-1", "If-Range": whole.etag})
        assert part.status == 206 and part.text == language
        tags[language] = whole.etag
    assert tags["en"] != tags["de"]
    assert server.get("/dir/languages/page.txt", {"Accept-Language": "en"}, tag=tags["de"]).status == 200


def test_listed(server):
    """A page that httpd writes itself."""
    tag = server.get("/dir/list/").etag
    assert is_content(tag)
    assert server.get("/dir/list/", tag=tag).status == 304
    assert server.get("/dir/list/", {"If-Match": OTHER}).status == 412
    server.write("htdocs/dir/list/y.txt", "")
    assert server.get("/dir/list/", tag=tag).status == 200


def test_redirect_out_of_the_scope(server):
    """What was taken away on the way is there again for a backend that judges for itself."""
    sent = {"If-None-Match": '"x"', "If-Modified-Since": "Sat, 20 Oct 2007 23:21:47 GMT", "Range": "bytes=0-4",
            "If-Range": OTHER}
    answer = server.get("/cgi/out", sent)
    assert answer.status in (200, 206) and answer.etag == '"theirs"'
    asked = server.pages["http"].asked("out")
    assert {name: asked.get(name) for name in sent} == sent


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_error_documents(server, method):
    """404 stays 404: the condition is not about the page that explains it."""
    tag = server.get("/static/sorry.txt").etag
    assert is_content(tag)
    for path in ("/static/none.txt", "/dir/none/"):
        for sent in ({}, {"If-None-Match": tag}, {"If-None-Match": "*"}, {"If-Match": OTHER},
                     {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, {"Range": "bytes=0-2", "If-Match": OTHER}):
            answer = server.request(method, path, sent)
            assert answer.status == 404 and answer.text == ("sorry\n" if method == "GET" else ""), (sent, answer)
            assert not is_content(answer.etag)


@pytest.fixture
def included(server):
    """A page that includes a proxied page, a program and a file."""
    server.write("htdocs/ssi/page.shtml", 'a<!--#include virtual="/http/inc" -->b<!--#include virtual="/cgi/inc" -->c'
                                          '<!--#include virtual="/static/inc.txt" -->d')
    tags = [server.get(server.pages[kind].put("inc", f"{kind}!")).etag for kind in ("http", "cgi", "static")]
    assert all(is_content(tag) for tag in tags)
    return tags


@pytest.mark.parametrize("proto", ["1.1", "h2"])
def test_included_pages_are_whole(server, included, proto):
    """A condition is about the whole page, never about its parts."""
    for sent in ([], [("If-None-Match", tag) for tag in included], [("If-Match", "*")],
                 [("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")],
                 [("Range", "bytes=0-1"), ("If-Range", included[0])],
                 [("If-None-Match", OTHER), ("Range", "bytes=900-")]):
        answer = server.get("/ssi/page.shtml", sent, proto=proto)
        if answer.status == 416:  # the whole page was there in one piece, so the range could be judged
            continue
        assert answer.status == 200 and answer.text == "ahttp!bcgi!cstatic!d", (sent, answer)
        assert answer.etag not in included


def test_included_page_of_a_backend_that_judges(server, included):
    """It must not be asked with the client's condition, which is about another page."""
    server.pages["http"].backend.on("/http/inc", lambda request: Reply(304 if request.get("If-None-Match") else 200,
                                                                       body="http!"))
    answer = server.get("/ssi/page.shtml", tag=OTHER)
    assert answer.text == "ahttp!bcgi!cstatic!d", answer


def test_htaccess(server):
    """The same through a .htaccess, one folder in, its neighbour out."""
    lines = "ETagVersion Content\nETagVersionUpstreamETag Replace\nETagVersionCacheControl max-age=60\n"
    server.write("htdocs/access/in/x.txt", BODY)
    server.write("htdocs/access/in/deeper/off/x.txt", BODY)
    server.write("htdocs/access/out/x.txt", BODY)
    server.write("htdocs/access/in/.htaccess", lines)
    server.write("htdocs/access/in/deeper/off/.htaccess", "ETagVersion Off\n")
    for path in ("/access/out/x.txt", "/access/in/deeper/off/x.txt"):
        assert not is_content(server.get(path).etag), path
    whole = server.get("/access/in/x.txt")
    assert is_content(whole.etag) and whole.one("Cache-Control") == "max-age=60"
    again = server.get("/access/in/x.txt", tag=whole.etag)
    assert again.status == 304 and again.one("Cache-Control") == "max-age=60" and not again.all("Content-Type")
    assert server.get("/access/in/x.txt", {"If-Match": OTHER}).status == 412
    part = server.get("/access/in/x.txt", {"Range": "bytes=0-2", "If-Range": whole.etag})
    assert part.status == 206 and part.text == BODY[:3]
    # The file's own tag, which is not replaced elsewhere, still works there.
    own = server.get("/access/out/x.txt").etag
    assert own and server.get("/access/out/x.txt", tag=own).status == 304


def test_switched_off_for_a_request(server):
    page = server.pages["http"]
    path = page.put("switch", BODY)
    tag = server.get(path).etag
    sent = {"If-None-Match": tag, "If-Match": OTHER, "Range": "bytes=0-4", "If-Range": tag}
    answer = server.get(path, [("X-Off", "1"), *sent.items()])
    assert answer.status in (200, 206) and answer.etag is None and server.why(answer) == "bypass"
    assert {name: page.asked("switch").get(name) for name in sent} == sent
    assert server.get(path, tag=tag).status == 304


def test_own_404_of_a_program_is_not_judged(server):
    path = server.pages["cgi"].put("gone", BODY, [("ETag", '"t"')], 404)
    for sent in ({"If-None-Match": '"t"'}, {"If-Match": OTHER}):
        assert server.get(path, sent).status == 404
