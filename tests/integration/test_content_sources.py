# SPDX-License-Identifier: Apache-2.0
"""Content tags and what else has a part in a response: negotiation, listings, filters, FastCGI, redirects inside."""
import os

import pytest

from harness.fastcgi import FastCgi
from harness.origin import script_of
from harness.reader import is_content
from harness.tags import digest

SITE = """
ETagVersionSecret the-same-on-all-hosts
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
ProxyPass /fcgi/ fcgi://127.0.0.1:@FCGI@/
AddLanguage de .de
AddLanguage en .en
AddEncoding x-gzip .gz
LanguagePriority en de
ForceLanguagePriority Prefer Fallback
<Location />
  ETagVersion Content
  ETagVersionUpstreamETag Replace
  ETagVersionHead AsGet
</Location>
<Directory @ROOT@/htdocs/many>
  Options +MultiViews
</Directory>
<Directory @ROOT@/htdocs/list>
  Options +Indexes
</Directory>
<Location /o/changed>
  AddOutputFilterByType SUBSTITUTE text/plain
  Substitute s/one/two/
</Location>
<Location /charset>
  AddDefaultCharset utf-8
</Location>
<Location /charset/latin>
  AddDefaultCharset iso-8859-1
</Location>
<Location /o/language>
  Header set Content-Language de
</Location>
<Location /o/hidden>
  Header set Cache-Control no-store
</Location>
<Location /o/tagged>
  Header set ETag '"from-the-administrator"'
</Location>
RewriteEngine On
RewriteRule ^/short$ /plain/one.txt [PT]
RewriteRule ^/proxied$ @ORIGIN@/o/one [P]
<Directory @ROOT@/htdocs/front>
  RewriteEngine On
  RewriteRule ^page/.*$ /plain/one.txt [L]
</Directory>
ErrorDocument 404 /plain/one.txt
"""
ONE, TWO = "one line\n" * 50, "two line\n" * 50


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    origin = shared_origin()
    for path in ("one", "changed", "language", "hidden", "tagged"):
        origin.on(f"/o/{path}", script_of(ONE, how="chunked"))
    origin.on("/o/two", script_of(TWO))
    fcgi = FastCgi(lambda params, number: f"Content-Type: text/plain\r\n\r\n{ONE}")
    server = shared_httpd(SITE.replace("@ORIGIN@", origin.url).replace("@FCGI@", str(fcgi.port)),
                          "proxy fcgi mime dir autoindex negotiation filter substitute headers rewrite", start=False)
    server.origin = origin
    for path in ("plain/one.txt", "plain/one.txt.de", "plain/one.txt.en", "plain/one.txt.gz", "many/page.txt.de",
                 "many/page.txt.en", "charset/one.txt", "charset/latin/one.txt", "list/a.txt", "list/b.txt"):
        server.write(f"htdocs/{path}", ONE)
    (server.root / "htdocs/front/page").mkdir(parents=True)
    os.chmod(server.root / "htdocs/front", 0o755)
    yield server.start()
    fcgi.close()


def test_the_same_bytes(server):
    """However the request came to them."""
    paths = ("/plain/one.txt", "/o/one", "/fcgi/x", "/short", "/proxied", "/front/page/7")
    tags = {path: server.get(path).etag for path in paths}
    assert len(set(tags.values())) == 1 and is_content(tags["/o/one"]), tags
    for path in paths:
        assert server.get(path, tag=tags[path]).status == 304, path
        assert server.request("HEAD", path).etag == tags[path], path


def test_filters_before(server):
    """The tag is that of what is sent, not of what the origin said."""
    changed = server.get("/o/changed")
    assert changed.text == TWO and changed.etag == server.get("/o/two").etag
    assert server.get("/o/changed", tag=changed.etag).status == 304


def test_languages_and_encodings(server):
    tags = [server.get(f"/plain/one.txt{ending}", [("Accept-Encoding", "gzip")]).etag
            for ending in ("", ".de", ".en", ".gz")]
    assert all(map(is_content, tags)) and len({digest(tag) for tag in tags}) == 4, tags
    assert tags[3].startswith("W/") and tags[3].endswith(('-x-gzip"', '-gzip"'))


@pytest.mark.parametrize("language", ["de", "en"])
def test_negotiated(server, language):
    answer = server.get("/many/page", [("Accept-Language", language)])
    assert answer.text == ONE and answer.one("Content-Language") == language and is_content(answer.etag)
    assert answer.etag == server.get(f"/plain/one.txt.{language}").etag
    again = server.get("/many/page", [("Accept-Language", language)], tag=answer.etag)
    assert again.status == 304 and again.etag == answer.etag
    other = {"de": "en", "en": "de"}[language]
    assert server.get("/many/page", [("Accept-Language", other)], tag=answer.etag).status == 200


def test_listings(server):
    """A page that httpd makes itself, with a subrequest for each line of it."""
    answer = server.get("/list/")
    assert "a.txt" in answer.text and is_content(answer.etag), server.why(answer)
    assert server.get("/list/", tag=answer.etag).status == 304
    server.write("htdocs/list/c.txt", "")
    again = server.get("/list/", tag=answer.etag)
    assert again.status == 200 and "c.txt" in again.text and again.etag != answer.etag


def test_error_pages_have_no_tag(server):
    answer = server.get("/none")
    assert answer.status == 404 and answer.text == ONE and not is_content(answer.etag)
    assert server.get("/none", tag=server.get("/plain/one.txt").etag).status == 404


def test_mod_headers_has_the_last_word(server):
    """What it sets afterwards counts: no-store forbids a tag, and a tag of the administrator's stays."""
    answer = server.get("/o/hidden")
    assert answer.etag is None and server.why(answer) == "no-store"
    answer = server.get("/o/tagged")
    assert answer.text == ONE and (is_content(answer.etag) or answer.etag == '"from-the-administrator"')
    assert server.get("/o/tagged", tag=answer.etag).status == 304


@pytest.mark.parametrize("one, other", [("/charset/one.txt", "/plain/one.txt"),
                                        ("/charset/one.txt", "/charset/latin/one.txt"),
                                        ("/o/language", "/o/one")])
def test_types_and_languages_that_httpd_adds(server, one, other):
    """The same bytes in another charset, or said to be another language, are another representation."""
    first, second = server.get(one), server.get(other)
    assert first.body == second.body and is_content(first.etag) and is_content(second.etag)
    assert (first.one("Content-Type"), first.one("Content-Language")) != (second.one("Content-Type"),
                                                                          second.one("Content-Language"))
    assert first.etag != second.etag
