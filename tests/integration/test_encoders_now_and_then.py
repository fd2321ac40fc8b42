# SPDX-License-Identifier: Apache-2.0
"""Responses that are encoded for some requests only: what their tags and dates still say."""
import pytest

from harness.backend import Reply

WORDS = "All the proteins of the table, and what is known of them.\n" * 40
MODIFIED = "Thu, 10 Jan 2008 21:20:10 GMT"
SITE = """
SetEnvIf User-Agent plain no-gzip
ProxyPass /t/ @BACKEND@/t/
<Location /t/>
  ETagVersion Content
  SetOutputFilter DEFLATE
</Location>
"""
GZIP = ("Accept-Encoding", "gzip")


@pytest.fixture
def server(new_httpd, new_backend):
    backend = new_backend()
    server = new_httpd(SITE.replace("@BACKEND@", backend.url), "proxy filter deflate setenvif")
    server.backend = backend
    return server


def test_vary_of_a_304_that_names_a_coding(server):
    """The 200 would not be encoded, nor vary on it; a cache that stored the encoded one must know."""
    server.backend.on("/t/page", Reply(200, {"Vary": "X-Kind"}, WORDS))
    coded = server.get("/t/page", [GZIP])
    assert coded.etag.endswith('-gzip"')
    again = server.get("/t/page", [GZIP, ("User-Agent", "plain")], tag=coded.etag)
    assert again.status == 304 and again.etag == coded.etag
    assert set(map(str.lower, again.members("Vary"))) == {"x-kind", "accept-encoding"}
    plain = server.get("/t/page", [GZIP, ("User-Agent", "plain")])
    assert plain.text == WORDS


@pytest.mark.parametrize("media, coded", [("text/plain", False), ("application/x-other", False), ("text/plain", True),
                                          ("application/x-other", True)])
def test_range_by_date(server, media, coded):
    """Encoded bytes are made anew each time, so a date promises nothing about them; with or without a tag."""
    server.backend.on("/t/part", Reply(200, {"Last-Modified": MODIFIED}, WORDS, content_type=media))
    sent = [("Range", "bytes=0-9"), ("If-Range", MODIFIED)] + ([GZIP] if coded else [])
    answer = server.get("/t/part", sent)
    if coded:
        assert answer.status == 200 and answer.one("Content-Encoding") == "gzip"
    else:
        assert answer.status in (200, 206) and WORDS.startswith(answer.text)
