# SPDX-License-Identifier: Apache-2.0
"""The header registry: the early 304 to a u tag carries what its 200 carried, on any host."""
import calendar
import email.utils
import time

import pytest

from harness.backend import Reply
from harness.tags import CACHING, check_pair, digest, is_version, letter, names, with_letter
from harness.wait import until

PLACE = """
ProxyPass /p/ @BACKEND@/p/
ETagVersion Version
ETagVersionModels m
ETagVersionVary X-Kind
"""


@pytest.fixture
def host(new_httpd, new_backend):
    backend = new_backend()

    def make(conf="", modules="proxy", **more):
        server = new_httpd(conf + PLACE.replace("@BACKEND@", backend.url), modules, **more)
        server.backend = backend
        return server
    return make


def fleet(host, redis, conf="", n=2):
    return [host(f"ETagVersionStore {redis.url}\nETagVersionFreshness strict\n{conf}") for _ in range(n)]


def seconds(date):
    return calendar.timegm(email.utils.parsedate(date))


SETS = {
    "cache_control": {"Cache-Control": "max-age=30"},
    "vary": {"Vary": "Accept-Encoding"},
    "both": {"Cache-Control": "public, max-age=30, foo=\"a, b\"", "Vary": "X-Kind, Accept-Encoding"},
    "past": {"Expires": "Thu, 01 Jan 1970 00:00:00 GMT", "Cache-Control": "no-cache"},
    "zero": {"Expires": "0"},
    "two_lines": [("Cache-Control", "max-age=30"), ("Cache-Control", "foo"), ("Vary", "X-Kind"),
                  ("Vary", "accept-encoding")],
}


@pytest.mark.parametrize("headers", SETS.values(), ids=SETS.keys())
def test_exact_on_another_host(host, new_redis, headers):
    one, two = fleet(host, new_redis())
    one.backend.on("/p/x", Reply(200, headers))
    full = one.get("/p/x")
    assert letter(full.etag) == "u" and names(full.etag)[1], full
    assert one.get("/p/x").etag == full.etag, "the same headers, the same tag"
    calls = one.backend.calls()
    for server in (two, one, two):
        again = server.get("/p/x", tag=full.etag)
        check_pair(full, again)
        for name in CACHING:
            assert again.all(name) == full.all(name)
    assert one.backend.calls() == calls
    two.bump("m")
    assert one.get("/p/x", tag=full.etag).status == 200


def test_expires_that_repeats_max_age(host):
    """It moves with the response; the tag stays the same as time goes by."""
    server = host()

    def reply(_request):
        now = time.time()
        return Reply(200, {"Date": email.utils.formatdate(now, usegmt=True), "Cache-Control": "max-age=600",
                           "Expires": email.utils.formatdate(now + 600, usegmt=True)})
    server.backend.on("/p/x", reply)
    full = server.get("/p/x")
    assert names(full.etag)[1]
    until(lambda: server.get("/p/x").one("Date") != full.one("Date"), "the clock to tick")
    assert server.get("/p/x").etag == full.etag
    again = server.get("/p/x", tag=full.etag)
    assert again.status == 304 and again.one("Cache-Control") == "max-age=600"
    assert seconds(again.one("Expires")) - seconds(again.one("Date")) == 600
    assert again.one("Date") != full.one("Date")


@pytest.mark.parametrize("more", [{}, {"Cache-Control": "max-age=60"}], ids=["alone", "with another max-age"])
def test_expires_of_its_own_names_no_set(host, new_redis, more):
    """It may be another date each time, and sets would be as many as there are seconds."""
    redis = new_redis()
    server, = fleet(host, redis, n=1)
    when = email.utils.formatdate(time.time() + 600, usegmt=True)
    server.backend.on("/p/x", Reply(200, {"Expires": when, **more}))
    full = server.get("/p/x")
    assert letter(full.etag) == "u" and names(full.etag) == ("", "")
    check_pair(full, server.get("/p/x", tag=full.etag))


def test_moving_expires_leaves_nothing_behind(host, new_redis):
    redis = new_redis()
    server, = fleet(host, redis, n=1)
    at = [time.time()]

    def reply(_request):
        at[0] += 61
        return Reply(200, {"Expires": email.utils.formatdate(at[0], usegmt=True)})
    server.backend.on("/p/x", reply)
    server.get("/p/x")
    before = redis("DBSIZE")
    with server.connect() as connection:
        tags = {connection.request("GET", "/p/x").etag for _ in range(1000)}
    assert redis("DBSIZE") == before
    assert len(tags) == 1 and server.get("/p/x", tag=tags.pop()).status == 304


def test_max_age_that_the_policy_made_of_a_date(host):
    """Said again later it would be a longer lifetime: the 304 says nothing, and caches keep what they have."""
    server = host('ETagVersionCacheControl max-age=600\n')
    when = email.utils.formatdate(time.time() + 300, usegmt=True)
    server.backend.on("/p/x", Reply(200, {"Expires": when}))
    full = server.get("/p/x")
    assert "max-age" in full.one("Cache-Control") and letter(full.etag) == "u"
    assert names(full.etag) == ("", "")
    check_pair(full, server.get("/p/x", tag=full.etag))


def test_headers_that_configuration_would_give(host):
    """Exactly those of the 200: what only configuration gives is not added."""
    server = host('ETagVersionCacheControl ifunset "max-age=60"\n', modules="proxy headers")
    server.backend.on("/p/x", Reply(200, {"Cache-Control": "max-age=5"}))
    full = server.get("/p/x")
    assert full.one("Cache-Control") == "max-age=5"
    check_pair(full, server.get("/p/x", tag=full.etag))


def test_an_unknown_set(host, new_redis):
    """Nobody knows any more what the 200 said: the backend says it again, and then all know."""
    redis = new_redis()
    one, two = fleet(host, redis)
    one.backend.on("/p/x", Reply(200, {"Cache-Control": "max-age=30"}))
    full = one.get("/p/x")
    key, = redis("KEYS", "model_version:%fields:*")
    assert 0 < redis("TTL", key) <= 7 * 24 * 3600
    redis("DEL", key)
    calls = one.backend.calls()
    late = two.get("/p/x", tag=full.etag)
    assert late.status == 304 and two.why(late) == "late-304", "the same data, and the same headers"
    assert late.one("Cache-Control") == "max-age=30"
    assert one.backend.calls() == calls + 1
    assert redis("KEYS", "model_version:%fields:*") == [key]
    check_pair(full, two.get("/p/x", tag=full.etag))
    assert one.backend.calls() == calls + 1


@pytest.mark.parametrize("text", [b"", b"Cache-Control: max-age=999999\n", b"Set-Cookie: a=b\n", b"\x00" * 50],
                         ids=["empty", "other", "foreign", "zeros"])
def test_a_store_that_lies(host, new_redis, text):
    redis = new_redis()
    one, two = fleet(host, redis)
    one.backend.on("/p/x", Reply(200, {"Cache-Control": "max-age=30"}))
    full = one.get("/p/x")
    key, = redis("KEYS", "model_version:%fields:*")
    redis("SET", key, text)
    again = two.get("/p/x", tag=full.etag)
    assert again.one("Cache-Control") == "max-age=30" and not again.all("Set-Cookie")
    assert two.why(again) == "late-304"


def test_garbled(host):
    server = host()
    replies = {"/p/x": {"Cache-Control": "max-age=30"}, "/p/y": {"Cache-Control": "max-age=31"}, "/p/v": {}}
    tags = {}
    for path, headers in replies.items():
        server.backend.on(path, Reply(200, headers))
        tags[path] = server.get(path).etag
    tag, name = tags["/p/x"], names(tags["/p/x"])[1]
    assert server.get("/p/x", tag=tag).status == 304
    start = tag.index('"') + 1
    bad = [tag[:i] + ("A" if tag[i] != "A" else "B") + tag[i + 1:] for i in range(start, len(tag) - 1)]
    bad += [tag[:i] + '"' for i in range(start, len(tag) - 1)]
    bad += [tag.replace(name, names(tags["/p/y"])[1]), tag.replace(name, ""), with_letter(tag, "v"),
            tag.replace("~", "."), tags["/p/v"].replace(digest(tags["/p/v"]), digest(tag))]
    for text in bad:
        answer = server.get("/p/x", tag=text)
        assert answer.status == 200 and answer.etag == tag, text


def test_too_much_to_remember(host):
    """A u tag that names nothing: its 304 says nothing of the three."""
    server = host()
    server.backend.on("/p/x", Reply(200, {"Cache-Control": "foo=" + "x" * 4500}))
    full = server.get("/p/x")
    assert letter(full.etag) == "u" and names(full.etag) == ("", "")
    check_pair(full, server.get("/p/x", tag=full.etag))


def test_with_declared_models(host, new_redis):
    redis = new_redis()
    redis("SET", "model_version:a", "1")
    one, two = fleet(host, redis, "ETagVersionModelsHeader X-Models\n")
    one.backend.on("/p/x", Reply(200, {"X-Models": "a", "Cache-Control": "max-age=30"}))
    one.get("/p/x")
    full = one.get("/p/x")
    assert letter(full.etag) == "u" and all(names(full.etag))
    calls = one.backend.calls()
    check_pair(full, two.get("/p/x", tag=full.etag))
    assert one.backend.calls() == calls
    one.bump("a")
    assert two.get("/p/x", tag=full.etag).status == 200


def test_tag_headers_too(host, new_redis):
    one, two = fleet(host, new_redis(), "ETagVersionTagHeader Surrogate-Key\n")
    one.backend.on("/p/x", Reply(200, {"Surrogate-Key": "own"}))
    full = one.get("/p/x")
    assert full.one("Surrogate-Key") == "own m" and letter(full.etag) == "u"
    again = two.get("/p/x", tag=full.etag)
    check_pair(full, again)
    assert again.one("Surrogate-Key") == "own m"


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_a_cache_in_front(host, quick):
    """mod_cache takes the 304's headers over what it stored: they are the same."""
    server = host(f"""
        CacheEnable disk /p/
        CacheRoot "@ROOT@/cache"
        CacheQuickHandler {quick}
        """, modules="proxy cache_disk", start=False)
    (server.root / "cache").mkdir()
    (server.root / "cache").chmod(0o777)
    server.start()
    server.backend.on("/p/x", Reply(200, {"Cache-Control": "foo"}))
    first = server.get("/p/x")
    assert is_version(first.etag) and names(first.etag)[1]
    for _ in range(3):
        again = server.get("/p/x")
        assert again.body == first.body and again.etag == first.etag
        assert again.one("Cache-Control") == first.one("Cache-Control")
    assert "max-age=0" in first.one("Cache-Control"), "no lifetime that nobody gave"
    assert server.backend.calls("/p/x") == 1
    server.bump("m")
    assert server.get("/p/x").body != first.body
