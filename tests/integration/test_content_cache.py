# SPDX-License-Identifier: Apache-2.0
"""mod_cache in front of content tags: it stores them, and a body that is the same again revalidates what it stored."""
import pytest

from harness import pages
from harness.backend import Reply
from harness.codings import decode
from harness.reader import is_content
from harness.wait import until

SITE = """
Protocols h2c http/1.1
CacheEnable @STORE@ /
CacheQuickHandler @QUICK@
CacheHeader On
CacheDetailHeader On
CacheIgnoreNoLastMod On
@STORAGE@
<LocationMatch "^/(http|cgi|wsgi|fcgi|static)/">
  ETagVersion Content
</LocationMatch>
<Location /static/>
  ETagVersionUpstreamETag Replace
</Location>
<LocationMatch "/short">
  ETagVersionCacheControl max-age=1
</LocationMatch>
<LocationMatch "-policy">
  ETagVersionCacheControl max-age=600
  ETagVersionVary X-Kind
  Header set Access-Control-Allow-Origin "*"
</LocationMatch>
<LocationMatch "/gzip">
  SetOutputFilter DEFLATE
</LocationMatch>
<LocationMatch "/br">
  SetOutputFilter BROTLI_COMPRESS
</LocationMatch>
"""
STORAGE = {"disk": 'CacheRoot "@ROOT@/cache"\nCacheDirLevels 1\nCacheDirLength 1',
           "socache": "CacheSocache shmcb:@ROOT@/run/socache(4194304)\nCacheSocacheMaxSize 1048576"}
BODY = "One page of the catalogue.\n" * 40
CHANGED = "Another edition of that page.\n" * 40
AGAIN = [("Cache-Control", "max-age=0")]  # makes mod_cache revalidate; no condition of the client's own
ASIDE = [("Cache-Control", "no-store")]  # passes by mod_cache
OTHER = '"c0123456789abcdefghijkl"'
KINDS = ["http", "cgi", "wsgi", "fcgi", "static"]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def serve(make, store, quick):
    conf = SITE.replace("@STORAGE@", STORAGE[store]).replace("@STORE@", store).replace("@QUICK@", quick)
    server = pages.serve(make, conf, " ".join(KINDS), f"headers filter deflate brotli h2 cache_{store}", start=False)
    (server.root / "cache").mkdir()
    (server.root / "cache").chmod(0o777)
    return server.start()


def _of(store, quick):
    def fixture(shared_httpd):
        made = serve(shared_httpd, store, quick)
        yield made
        pages.close_pages(made)
    return pytest.fixture(scope="module", name=f"{store}_{quick.lower()}")(fixture)


disk_on, disk_off, socache_on, socache_off = (_of(*each) for each in (
    ("disk", "On"), ("disk", "Off"), ("socache", "On"), ("socache", "Off")))


@pytest.fixture(params=["on", "off"])
def server(request):
    """With mod_cache_disk, quick handler on and off. Each test has pages of its own."""
    return request.getfixturevalue(f"disk_{request.param}")


def verdict(answer):
    """HIT, MISS or REVALIDATE, as mod_cache says."""
    return (answer.one("X-Cache") or "none").split()[0]


def calls(server, kind, name):
    """The backend's calls where it counts them."""
    return server.pages[kind].calls(name) if kind == "http" else None


def same(answer, whole, how=None):
    """The stored 200, with its tag and its headers."""
    assert (answer.status, answer.body, answer.etag) == (200, whole.body, whole.etag), answer
    assert how is None or verdict(answer) == how, answer
    for name in ("Content-Type", "Cache-Control", "Access-Control-Allow-Origin", "Content-Encoding"):
        assert answer.one(name) == whole.one(name), answer
    assert answer.members("Vary") == whole.members("Vary")


@EVERY_KIND
@pytest.mark.parametrize("name", ["stored", "stored-policy"])
def test_stored_with_its_tag(server, kind, name):
    path = server.pages[kind].put(name, BODY)
    whole = server.get(path)
    assert whole.status == 200 and whole.text == BODY and is_content(whole.etag) and verdict(whole) == "MISS"
    asked = calls(server, kind, name)
    same(server.get(path), whole, "HIT")
    server.pages[kind].put(name, CHANGED)
    same(server.get(path), whole, "HIT")
    for tag in (whole.etag, f"{OTHER}, W/{whole.etag}", "*"):
        again = server.get(path, tag=tag)
        assert again.status == 304 and again.etag == whole.etag and again.body == b"", again
    assert calls(server, kind, name) == asked


@EVERY_KIND
@pytest.mark.parametrize("name", ["stale", "stale-policy"])
def test_stale_entry_is_revalidated(server, kind, name):
    page = server.pages[kind]
    path = page.put(name, BODY)
    whole = server.get(path)
    for _ in range(3):
        before = calls(server, kind, name)
        same(server.get(path, AGAIN), whole, "REVALIDATE")
        assert kind != "http" or calls(server, kind, name) == before + 1
        same(server.get(path), whole, "HIT")
        again = server.get(path, AGAIN, tag=whole.etag)
        assert again.status == 304 and again.etag == whole.etag, again
    page.put(name, CHANGED)
    fresh = server.get(path, AGAIN)
    assert fresh.status == 200 and fresh.text == CHANGED and fresh.etag != whole.etag and is_content(fresh.etag)
    same(server.get(path), fresh, "HIT")
    same(server.get(path, AGAIN), fresh, "REVALIDATE")
    assert server.get(path, AGAIN, tag=whole.etag).text == CHANGED
    page.put(name, BODY)
    assert server.get(path, AGAIN).etag == whole.etag, "the same bytes have the same tag"


@pytest.mark.parametrize("kind", ["http", "cgi"])
def test_grows_stale_by_itself(server, kind):
    path = server.pages[kind].put("short", BODY)
    whole = server.get(path)
    until(lambda: verdict(server.get(path)) == "REVALIDATE", "the entry to grow stale")
    same(server.get(path, AGAIN), whole, "REVALIDATE")
    server.pages[kind].put("short", CHANGED)
    fresh = until(lambda: (lambda answer: answer.text == CHANGED and answer)(server.get(path)), "the change to show")
    assert fresh.etag != whole.etag


@pytest.mark.parametrize("kind", ["http", "fcgi", "cgi", "wsgi"])
def test_who_sees_the_conditions_of_the_cache(server, kind):
    """Another server may know better; a program of this httpd does not answer for it."""
    page = server.pages[kind]
    path = page.put("conditions", BODY)
    whole = server.get(path)
    same(server.get(path, AGAIN), whole, "REVALIDATE")
    if kind == "http":
        assert page.asked("conditions").get("If-None-Match") == whole.etag
    elif kind != "fcgi":
        assert page.asked("conditions").get("If-None-Match") is None


def test_backend_that_judges_for_itself(server):
    """Its own tag, its own 304: mod_cache gets what the backend said."""
    page = server.pages["http"]
    page.backend.on("/http/judging", lambda request: Reply(
        304 if request.get("If-None-Match") == '"theirs"' else 200, [("ETag", '"theirs"')], BODY))
    whole = server.get("/http/judging")
    assert whole.etag == '"theirs"'
    for _ in range(2):
        same(server.get("/http/judging", AGAIN), whole, "REVALIDATE")
        assert server.get("/http/judging", AGAIN, tag='"theirs"').status == 304
        same(server.get("/http/judging"), whole, "HIT")


def test_kept_tags(server):
    """A backend's tag without a backend that judges."""
    page = server.pages["http"]
    path = page.put("kept", BODY, [("ETag", '"theirs"')])
    whole = server.get(path)
    for _ in range(2):
        same(server.get(path, AGAIN), whole, "REVALIDATE")
        same(server.get(path), whole, "HIT")
        assert server.get(path, AGAIN, tag='"theirs"').status == 304
    page.put("kept", CHANGED, [("ETag", '"theirs, too"')])
    assert server.get(path, AGAIN).text == CHANGED
    assert server.get(path).etag == '"theirs, too"'


@EVERY_KIND
@pytest.mark.parametrize("held", ["right", "wrong", "both", "date"])
def test_clients_that_always_ask_warm_the_cache(server, kind, held):
    """The first of them gets its answer, and the cache the whole page."""
    name = f"asking-{held}"
    path = server.pages[kind].put(name, BODY)
    tag = server.get(path, ASIDE).etag
    assert is_content(tag)
    sent = {"right": {"If-None-Match": tag}, "wrong": {"If-None-Match": OTHER},
            "both": {"If-None-Match": f"{OTHER}, {tag}"},
            "date": {"If-None-Match": tag, "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}}[held]
    want = 200 if held == "wrong" else 304
    before = calls(server, kind, name)
    for _ in range(3):
        assert server.get(path, sent).status == want
    if kind == "http" and held in ("right", "both"):
        assert calls(server, kind, name) == before + 1, "each of them went through to the backend"
    hit = server.get(path)
    assert verdict(hit) == "HIT" and hit.text == BODY and hit.etag == tag, hit
    # The same when the entry is stale and the page has changed meanwhile.
    server.pages[kind].put(name, CHANGED)
    first = server.get(path, AGAIN, tag=tag)
    assert first.status == 200 and first.text == CHANGED and first.etag != tag
    same(server.get(path), first, "HIT")
    assert server.get(path, tag=tag).text == CHANGED


@pytest.mark.parametrize("extra", [[], AGAIN, ASIDE], ids=["plain", "again", "aside"])
def test_conditions_on_several_lines(server, extra):
    """They are still the client's own, not the cache's."""
    page = server.pages["http"]
    path = page.put("lines", BODY)
    tag = server.get(path).etag
    for name, second, status in (("If-None-Match", '"y"', 200), ("If-None-Match", tag, 304), ("If-Match", '"y"', 412),
                                 ("If-Match", tag, 200)):
        answer = server.get(path, [(name, OTHER), (name, second), *extra])
        assert answer.status == status, answer
        asked = page.asked("lines")
        assert asked.get("If-Match") is None and asked.get("If-None-Match") in (None, tag)


@EVERY_KIND
def test_412_does_not_spoil_the_cache(server, kind):
    path = server.pages[kind].put("failing", BODY)
    for headers in ([], AGAIN, []):
        assert server.get(path, [("If-Match", OTHER), *headers]).status == 412
        whole = server.get(path)
        assert whole.status == 200 and whole.text == BODY and is_content(whole.etag)
        assert server.get(path, [("If-Match", whole.etag), *headers]).text == BODY
    same(server.get(path), whole, "HIT")


@EVERY_KIND
def test_parts(server, kind):
    """A part is never stored as the whole, and comes from the whole that is stored.

    Who meets a cold cache may get it all: mod_cache passes on the body before it knows that this was the end.
    """
    page = server.pages[kind]
    path = page.put("parts", BODY)
    tag = server.get(path, ASIDE).etag
    first = server.get(path, [("Range", "bytes=4-7"), ("If-Range", tag)])
    assert first.etag == tag and (first.status, first.text) in ((206, BODY[4:8]), (200, BODY))
    for headers in ([], AGAIN, []):
        part = server.get(path, [("Range", "bytes=4-7"), ("If-Range", tag), *headers])
        assert part.status == 206 and part.text == BODY[4:8] and part.etag == tag, part
    whole = server.get(path)
    assert whole.status == 200 and whole.text == BODY and whole.etag == tag and verdict(whole) == "HIT"
    page.put("parts", CHANGED)
    answer = server.get(path, [("Range", "bytes=4-7"), ("If-Range", tag), *AGAIN])
    assert answer.status == 200 and answer.text == CHANGED and answer.etag != tag, answer
    part = server.get(path, [("Range", "bytes=4-7"), ("If-Range", answer.etag)])
    assert part.status == 206 and part.text == CHANGED[4:8]


@EVERY_KIND
def test_head(server, kind):
    """HEAD is answered from what is stored, and never harms it."""
    path = server.pages[kind].put("head", BODY)
    whole = server.get(path)
    head = server.request("HEAD", path)
    assert head.status == 200 and head.etag == whole.etag and verdict(head) == "HIT"
    assert server.request("HEAD", path, [("If-None-Match", whole.etag)]).status == 304
    head = server.request("HEAD", path, AGAIN)
    assert head.status == 200 and head.etag in (None, whole.etag)
    for headers in ([], AGAIN, []):
        answer = server.get(path, headers)
        assert (answer.status, answer.body, answer.etag) == (200, whole.body, whole.etag)


@EVERY_KIND
@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_coded_entries(server, kind, coding):
    page = server.pages[kind]
    path = page.put(coding, BODY)
    accept = [("Accept-Encoding", coding)]
    coded = server.get(path, accept)
    assert coded.one("Content-Encoding") == coding and coded.etag.endswith(f'-{coding}"')
    identity = '"' + coded.etag[3:-len(coding) - 2] + '"'
    for _ in range(2):
        same(server.get(path, accept), server.get(path, accept), "HIT")
        answer = server.get(path, accept + AGAIN)
        assert verdict(answer) == "REVALIDATE" and answer.etag == coded.etag and decode(answer) == BODY
        assert "accept-encoding" in answer.members("Vary")
        for tag in (coded.etag, identity):
            for extra in ([], AGAIN):
                again = server.get(path, accept + extra, tag=tag)
                assert again.status == 304 and again.etag in (tag, coded.etag), again
        for extra in ([], AGAIN, []):
            plain = server.get(path, extra)
            assert plain.status == 200 and plain.text == BODY and plain.etag == identity, plain
            assert not plain.all("Content-Encoding")
            assert server.get(path, extra, tag=coded.etag).text == BODY
            assert server.get(path, extra, tag=identity).status == 304
            assert decode(server.get(path, accept + extra)) == BODY
    page.put(coding, CHANGED)
    for headers in (accept, []):
        answer = server.get(path, headers + AGAIN)
        assert decode(answer) == CHANGED and answer.etag not in (coded.etag, identity)
        assert bool(answer.all("Content-Encoding")) == bool(headers)


def test_variants_are_told_apart(server):
    """After revalidations, each kind of client still gets its own page."""
    page = server.pages["http"]
    page.backend.on("/http/variants", lambda request: Reply(body=f"for {request.get('X-Kind')}\n" * 9,
                                                            headers=[("Vary", "X-Kind")]))
    tags = {}
    for kind in ("a", "b", "c") * 2:
        for extra in ([], AGAIN, []):
            answer = server.get("/http/variants", [("X-Kind", kind), *extra])
            assert answer.text == f"for {kind}\n" * 9 and answer.members("Vary") == ["x-kind"]
            assert tags.setdefault(kind, answer.etag) == answer.etag
        for other, tag in tags.items():
            for extra in ([], AGAIN):
                again = server.get("/http/variants", [("X-Kind", kind), *extra], tag=tag)
                assert again.status == (304 if other == kind else 200) and again.etag == tags[kind]


def test_http2(server):
    path = server.pages["http"].put("h2", BODY)
    whole = server.get(path, proto="h2")
    # Over HTTP/2 the answer may have been read before the entry is in its place.
    until(lambda: verdict(server.get(path, proto="h2")) == "HIT", "the entry")
    same(server.get(path, proto="h2"), whole, "HIT")
    same(server.get(path, AGAIN, proto="h2"), whole, "REVALIDATE")
    same(server.get(path, AGAIN, proto="1.0"), whole, "REVALIDATE")
    for headers in ([], AGAIN):
        assert server.get(path, headers, tag=whole.etag, proto="h2").status == 304
    assert server.get(path, [("If-Match", OTHER)], proto="h2").status == 412
    assert server.get(path, [("Range", "bytes=1-4"), ("If-Range", whole.etag)], proto="h2").text == BODY[1:5]


@EVERY_KIND
def test_large_page(server, kind):
    """More than one brigade, out of the cache as it went in."""
    path = server.pages[kind].put("large", BODY * 800)
    whole = server.get(path)
    assert whole.text == BODY * 800 and is_content(whole.etag)
    same(server.get(path), whole, "HIT")
    same(server.get(path, AGAIN), whole, "REVALIDATE")
    assert server.get(path, AGAIN, tag=whole.etag).status == 304
    server.pages[kind].put("large", CHANGED * 800)
    assert server.get(path, AGAIN).text == CHANGED * 800


@pytest.mark.parametrize("quick", ["on", "off"])
@EVERY_KIND
def test_socache_never_loses_the_body(request, quick, kind):
    """mod_cache_socache forgets the body when it revalidates: it must not get the chance."""
    server = request.getfixturevalue(f"socache_{quick}")
    assert server.log.lines(r"etag_version:notice.*mod_cache_socache"), "no word of it at startup"
    page = server.pages[kind]
    path = page.put("kept", BODY)
    whole = server.get(path)
    assert is_content(whole.etag)
    hits = 0
    for extra, tag in ((AGAIN, None), ([], None), ([], None), (AGAIN, whole.etag), ([], None), (AGAIN, OTHER),
                       ([], None), ([], whole.etag), (AGAIN, None), (AGAIN, None), ([], None), ([], None)):
        answer = server.get(path, extra, tag=tag)
        assert answer.status == (304 if tag == whole.etag else 200), answer
        assert answer.status == 304 or (answer.text == BODY and answer.etag == whole.etag), answer
        hits += verdict(answer) == "HIT"
        assert verdict(answer) != "REVALIDATE", answer
    assert hits, "nothing was ever stored"
    page.put("kept", CHANGED)
    fresh = server.get(path, AGAIN)
    assert fresh.text == CHANGED and fresh.etag != whole.etag
    assert server.get(path).text == CHANGED and server.get(path, tag=whole.etag).text == CHANGED
    assert server.get(path, AGAIN, tag=fresh.etag).status == 304
    part = server.get(path, [("Range", "bytes=4-7"), ("If-Range", fresh.etag)])
    assert part.status == 206 and part.text == CHANGED[4:8]
    assert server.get(path, [("If-Match", whole.etag)]).status == 412
