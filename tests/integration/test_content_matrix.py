# SPDX-License-Identifier: Apache-2.0
"""Every combination of encoder, cache, backend and kind of request: a 200, a 304, and a changed body with a new tag."""
import re
from itertools import product

import pytest

from harness import pages
from harness.codings import decode
from harness.reader import is_content

pytestmark = pytest.mark.long

CODINGS = {"identity": ("", None, None), "deflate": ("SetOutputFilter DEFLATE", "gzip", "gzip"),
           "brotli": ("SetOutputFilter BROTLI_COMPRESS", "br", "br"),
           "by-type": ("AddOutputFilterByType BROTLI_COMPRESS;DEFLATE text/plain", "gzip", "gzip")}
CACHES = {"none": None, "quick": "On", "normal": "Off"}
KINDS = ["http", "cgi", "static", "wsgi", "static-keep"]
METHODS = ["GET", "HEAD", "Range"]
SITE = """
<LocationMatch "^/(http|cgi|wsgi|static)/">
  ETagVersion Content
  ETagVersionHead AsGet
</LocationMatch>
<Location /static/>
  ETagVersionUpstreamETag Replace
</Location>
<Location /static/keep>
  ETagVersionUpstreamETag Keep
</Location>
"""
CACHE = """
CacheEnable disk /
CacheRoot "@ROOT@/cache"
CacheDirLevels 1
CacheDirLength 1
CacheHeader On
CacheQuickHandler @QUICK@
"""
BODY = "Words that can be packed, and some numbers: 0123456789.\n" * 30
CHANGED = "Other words that can be packed, and fewer numbers: 01234.\n" * 30
REPRESENTATION = ("Content-Type", "Content-Length", "Content-Encoding", "Content-Range", "Accept-Ranges",
                  "Transfer-Encoding")


@pytest.fixture(scope="module")
def servers(shared_httpd):
    """One server for each way of caching."""
    made = {}
    for cache, quick in CACHES.items():
        conf = SITE + "".join(f'<LocationMatch "/(keep-)?{coding}-">\n{line}\n</LocationMatch>\n'
                              for coding, (line, _, _) in CODINGS.items() if line)
        conf += CACHE.replace("@QUICK@", quick) if quick else ""
        made[cache] = pages.serve(shared_httpd, conf, "http cgi static wsgi",
                                  "filter deflate brotli" + (" cache_disk" if quick else ""), start=False)
        folder = made[cache].root / "cache"
        folder.mkdir()
        folder.chmod(0o777)
        made[cache].start()
    yield made
    for server in made.values():
        pages.close_pages(server)


class Cell:
    """A page and a client that takes its coding."""

    def __init__(self, server, kind, coding, method):
        self._server = server
        self._page = server.pages[kind.removesuffix("-keep")]
        self._name = f"{'keep-' if kind.endswith('-keep') else ''}{coding}-{method}"
        self.keeps, self.kind = kind.endswith("-keep"), kind
        _, self._accept, self.coding = CODINGS[coding]

    def put(self, body):
        self.path = self._page.put(self._name, body)

    def ask(self, method="GET", anew=False, **fields):
        """anew: a cache on the way has to ask behind."""
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        headers += [("Accept-Encoding", self._accept)] if self._accept else []
        headers += [("Cache-Control", "max-age=0")] if anew else []
        return self._server.request(method, self.path, headers)

    def asked_method(self):
        return self._page.asked(self._name).method if self.kind != "static" and not self.keeps else "GET"

    def check_tag(self, answer):
        tag = answer.etag
        assert tag and (self.keeps or is_content(tag)), answer
        if answer.status == 200:
            assert answer.one("Content-Encoding") == self.coding
        if answer.all("Content-Encoding"):
            assert tag.startswith('W/"') and tag.count(f"-{self.coding}") == 1 and tag.endswith(f'-{self.coding}"')
            assert "accept-encoding" in answer.members("Vary")
        else:
            assert tag.startswith('"')

    def check_whole(self, answer, body):
        assert answer.status == 200 and decode(answer) == body, answer
        self.check_tag(answer)
        return answer

    def check_304(self, answer, whole, tag=None):
        assert answer.status == 304 and answer.body == b"" and answer.etag == (tag or whole.etag), answer
        assert answer.members("Vary") == whole.members("Vary") and answer.one("Date")
        # What mod_cache answers from its store keeps some of them.
        stored = ("Content-Type", "Content-Length", "Content-Range")
        for name in stored if answer.all("X-Cache") else REPRESENTATION:
            assert not answer.all(name), answer


def check_get(cell):
    whole = cell.check_whole(cell.ask(), BODY)
    for anew in (False, True, False):
        assert cell.check_whole(cell.ask(anew=anew), BODY).etag == whole.etag
        cell.check_304(cell.ask(anew=anew, If_None_Match=whole.etag), whole)
        cell.check_304(cell.ask(anew=anew, If_None_Match=f'"x", {whole.etag}'), whole)
        assert cell.check_whole(cell.ask(anew=anew, If_None_Match='"x"'), BODY).etag == whole.etag
        assert cell.ask(anew=anew, If_Match='"x"').status == 412
    cell.put(CHANGED)
    changed = cell.check_whole(cell.ask(anew=True, If_None_Match=whole.etag), CHANGED)
    assert changed.etag != whole.etag
    assert cell.check_whole(cell.ask(If_None_Match=whole.etag), CHANGED).etag == changed.etag
    cell.check_304(cell.ask(anew=True, If_None_Match=changed.etag), changed)


def check_head(cell):
    """HEAD first, so that a cache could store its missing body."""
    head = cell.ask("HEAD")
    assert head.status == 200 and cell.asked_method() == "GET", head
    cell.check_tag(head)
    whole = cell.check_whole(cell.ask(), BODY)
    for anew in (False, True, False):
        head = cell.ask("HEAD", anew)
        assert head.status == 200 and head.etag == whole.etag, head
        for name in ("Content-Type", "Content-Encoding", "Vary"):
            assert head.all(name) == whole.all(name), f"{head} {whole}"
        assert not cell.coding or head.one("Content-Length") != str(len(BODY)), head
        assert cell.coding or head.one("Content-Length") == str(len(BODY)), head
        cell.check_304(cell.ask("HEAD", anew, If_None_Match=whole.etag), whole)
        assert cell.ask("HEAD", anew, If_None_Match='"x"').status == 200
        assert cell.ask("HEAD", anew, If_Match='"x"').status == 412
        assert cell.check_whole(cell.ask(anew=anew), BODY).etag == whole.etag
    cell.put(CHANGED)
    changed = cell.ask("HEAD", anew=True, If_None_Match=whole.etag)
    assert changed.status == 200 and changed.etag != whole.etag, changed
    cell.check_tag(changed)
    assert cell.check_whole(cell.ask(anew=True, If_None_Match=whole.etag), CHANGED).etag == changed.etag


def check_part(cell, answer, body, tag=None):
    """A part of the plain body; of a coded one also the whole, whose bytes are not the same each time.

    A cache that has nothing yet may answer with the whole, too.
    """
    cold = (answer.one("X-Cache") or "").startswith("MISS")
    if (cell.coding or cold) and answer.status == 200:
        cell.check_whole(answer, body)
        return
    assert answer.status == 206, answer
    first, last, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.one("Content-Range")).groups())
    assert (first, last) == (5, 9) and len(answer.body) == 5
    cell.check_tag(answer)
    if not cell.coding:
        assert size == len(body) and answer.text == body[5:10] and answer.etag == (tag or answer.etag)


def check_range(cell):
    check_part(cell, cell.ask(Range="bytes=5-9"), BODY)
    whole = cell.check_whole(cell.ask(), BODY)
    for anew in (False, True, False):
        check_part(cell, cell.ask(anew=anew, Range="bytes=5-9"), BODY, whole.etag)
        check_part(cell, cell.ask(anew=anew, Range="bytes=5-9", If_None_Match='"x"'), BODY, whole.etag)
        check_part(cell, cell.ask(anew=anew, Range="bytes=5-9", If_Match="*"), BODY, whole.etag)
        resumed = cell.ask(anew=anew, Range="bytes=5-9", If_Range=whole.etag)
        assert resumed.status == (200 if cell.coding else 206), resumed
        check_part(cell, resumed, BODY, whole.etag)
        cell.check_whole(cell.ask(anew=anew, Range="bytes=5-9", If_Range='"x"'), BODY)
        cell.check_304(cell.ask(anew=anew, Range="bytes=5-9", If_None_Match=whole.etag), whole)
        assert cell.ask(anew=anew, Range="bytes=5-9", If_Match='"x"').status == 412
        assert cell.ask(anew=anew, Range="bytes=99999-", If_Match="*").status == 416
    cell.put(CHANGED)
    changed = cell.check_whole(cell.ask(anew=True, Range="bytes=5-9", If_Range=whole.etag), CHANGED)
    assert changed.etag != whole.etag
    cell.check_whole(cell.ask(), CHANGED)


CHECKS = {"GET": check_get, "HEAD": check_head, "Range": check_range}


@pytest.mark.parametrize("cache, coding, kind, method", list(product(CACHES, CODINGS, KINDS, METHODS)))
def test_cell(servers, cache, coding, kind, method):
    cell = Cell(servers[cache], kind, coding, method)
    cell.put(BODY)
    CHECKS[method](cell)
