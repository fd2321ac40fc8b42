# SPDX-License-Identifier: Apache-2.0
"""Ranges and If-Range: parts of a body whose tag says that they belong together."""
import re

import pytest

from harness import pages
from harness.reader import is_content
from harness.tags import is_version

SITE = """
Protocols h2c http/1.1
<LocationMatch "^/(http|cgi|wsgi|wsgid|fcgi|static)/">
  ETagVersion Content
</LocationMatch>
<LocationMatch "/weak$">
  ETagVersionStrength Weak
</LocationMatch>
<LocationMatch "/on$">
  ETagVersion On
  ETagVersionModels m
</LocationMatch>
<LocationMatch "/version$">
  ETagVersion Version
  ETagVersionModels m
</LocationMatch>
"""
BODY = "0123456789" * 10
MODIFIED = "Sun, 21 Oct 2007 23:21:47 GMT"
EARLIER = "Sat, 20 Oct 2007 23:21:47 GMT"
LATER = "Mon, 22 Oct 2007 23:21:47 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"
OWN = '"c0123456789abcdefghijkl"'
DYNAMIC = ["http", "cgi", "wsgi", "fcgi"]
PROGRAMS = [*DYNAMIC, "wsgid"]


@pytest.fixture(scope="module")
def server(shared_httpd):
    made = pages.serve(shared_httpd, SITE, "http cgi wsgi wsgid fcgi static", "h2")
    yield made
    pages.close_pages(made)


def every_kind(kinds=None):
    return pytest.mark.parametrize("kind", kinds or DYNAMIC)


def check_part(answer, first, last, body=BODY):
    assert answer.status == 206 and answer.text == body[first:last + 1], answer
    assert answer.one("Content-Range") == f"bytes {first}-{last}/{len(body)}"


@every_kind([*PROGRAMS, "static"])
def test_if_range_with_a_tag(server, kind):
    page = server.pages[kind]
    path = page.put("resumed", BODY)
    tag = server.get(path).etag
    assert tag.startswith('"')
    for proto in ("1.1", "1.0"):
        part = server.get(path, {"Range": "bytes=10-19", "If-Range": tag}, proto=proto)
        check_part(part, 10, 19)
        assert part.etag == tag
    for other in (OWN, '"x"', f"W/{tag}", tag[:-1], "no date"):
        answer = server.get(path, {"Range": "bytes=10-19", "If-Range": other})
        assert answer.status == 200 and answer.text == BODY and answer.etag == tag, (other, answer)
    changed = BODY + BODY[::-1]
    page.put("resumed", changed)
    answer = server.get(path, {"Range": "bytes=10-19", "If-Range": tag})
    assert answer.status == 200 and answer.text == changed and answer.etag != tag


@every_kind()
def test_if_range_with_a_weak_tag(server, kind):
    path = server.pages[kind].put("weak", BODY)
    tag = server.get(path).etag
    assert is_content(tag) and tag.startswith('W/"')
    for sent in (tag, tag[2:]):
        answer = server.get(path, {"Range": "bytes=10-19", "If-Range": sent})
        assert answer.status == 200 and answer.text == BODY
    check_part(server.get(path, {"Range": "bytes=10-19"}), 10, 19)


@every_kind()
def test_if_range_with_a_date(server, kind):
    page = server.pages[kind]
    path = page.put("dated", BODY, [("Last-Modified", MODIFIED)])
    check_part(server.get(path, {"Range": "bytes=10-19", "If-Range": MODIFIED}), 10, 19)
    for other in (EARLIER, LATER, FUTURE, "0"):
        assert server.get(path, {"Range": "bytes=10-19", "If-Range": other}).text == BODY
    page.put("dated", BODY, [("Last-Modified", LATER)])
    answer = server.get(path, {"Range": "bytes=10-19", "If-Range": MODIFIED})
    assert answer.status == 200 and answer.text == BODY
    page.put("dated", BODY)
    assert server.get(path, {"Range": "bytes=10-19", "If-Range": MODIFIED}).status == 200, "no date at all"


@every_kind([*DYNAMIC, "static"])
def test_parts(server, kind):
    server.log.expect("proxy_fcgi:error.*AH01075", optional=True)  # what the stock server says about its own 416
    path = server.pages[kind].put("parts", BODY)
    tag = server.get(path).etag
    for sent in ([], [("If-None-Match", OWN)], [("If-Match", tag)], [("If-Range", tag)],
                 [("If-Unmodified-Since", FUTURE)]):
        for value, first, last in (("bytes=0-4", 0, 4), ("bytes=95-", 95, 99), ("bytes=-5", 95, 99),
                                   ("bytes=90-999", 90, 99)):
            part = server.get(path, [("Range", value), *sent])
            check_part(part, first, last)
            assert part.etag == tag
        answer = server.get(path, [("Range", "bytes=100-"), *sent])
        assert answer.status == 416, (sent, answer)
        assert server.get(path, [("Range", "lines=1-2"), *sent]).text == BODY
    assert server.get(path, [("Range", "bytes=100-"), ("If-None-Match", tag)]).status == 304
    assert server.get(path, [("Range", "bytes=100-"), ("If-Match", '"x"')]).status == 412
    answer = server.get(path, [("Range", "bytes=100-"), ("If-Range", '"x"')])
    assert answer.status == 200 and answer.text == BODY, "a range that does not count cannot be wrong"
    assert server.request("HEAD", path, [("Range", "bytes=0-4"), ("If-None-Match", OWN)]).status in (200, 206)


@every_kind([*DYNAMIC, "static"])
def test_many_parts(server, kind):
    path = server.pages[kind].put("parts", BODY)
    tag = server.get(path).etag
    for sent in ([], [("If-None-Match", OWN)], [("If-Range", tag)]):
        answer = server.get(path, [("Range", "bytes=0-4,50-51,98-"), *sent])
        assert answer.status == 206 and answer.etag == tag and not answer.all("Content-Range")
        boundary = re.fullmatch(r"multipart/byteranges; boundary=(.+)", answer.one("Content-Type")).group(1)
        parts = answer.text.split(f"--{boundary}")
        assert parts[-1] == "--\r\n"
        found = []
        for part in parts[1:-1]:
            head, body = part.split("\r\n\r\n", 1)
            assert "content-type: text/plain" in head.lower()
            found.append((re.search(r"(?i)content-range: bytes ([^\r]+)", head).group(1), body[:-2]))
        assert found == [("0-4/100", "01234"), ("50-51/100", "01"), ("98-99/100", "89")]


def test_parts_over_http2(server):
    path = server.pages["http"].put("parts", BODY)
    tag = server.get(path).etag
    check_part(server.get(path, {"Range": "bytes=10-19", "If-Range": tag}, proto="h2"), 10, 19)
    assert server.get(path, {"Range": "bytes=10-19", "If-Range": OWN}, proto="h2").text == BODY
    assert server.get(path, {"Range": "bytes=10-19", "If-Match": '"x"'}, proto="h2").status == 412
    assert server.get(path, {"Range": "bytes=100-", "If-Match": tag}, proto="h2").status == 416


@every_kind(["http", "cgi"])
def test_version_tags_and_ranges(server, kind):
    """A version tag says nothing of bytes; where a range is asked for, a content tag takes its place."""
    page = server.pages[kind]
    path = page.put("on", BODY)
    version = server.get(path).etag
    assert is_version(version)
    part = server.get(path, {"Range": "bytes=0-4"})
    check_part(part, 0, 4)
    assert is_content(part.etag) and part.etag.startswith('"')
    check_part(server.get(path, {"Range": "bytes=5-9", "If-Range": part.etag}), 5, 9)
    for sent in (version, version[2:]):
        assert server.get(path, {"Range": "bytes=5-9", "If-Range": sent}).text == BODY
    page.put("on", BODY[::-1])
    assert server.get(path, {"Range": "bytes=5-9", "If-Range": part.etag}).text == BODY[::-1]
    path = page.put("version", BODY)
    part = server.get(path, {"Range": "bytes=0-4"})
    assert part.status in (200, 206) and part.etag is None, part
