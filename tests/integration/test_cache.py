# SPDX-License-Identifier: Apache-2.0
"""mod_cache in front: the module's 304 revalidates what it stored, and nothing old gets a new version."""
import itertools

import pytest

from harness.backend import Reply
from harness.tags import is_version, letter
from harness.wait import until

SITE = """
Protocols h2c http/1.1
CacheEnable @STORE@ /
CacheQuickHandler @QUICK@
CacheHeader On
CacheDetailHeader On
CacheStorePrivate On
CacheIgnoreNoLastMod On
@STORAGE@
ProxyPass /c/ @BACKEND@/c/
<Location />
  ETagVersion Version
  ETagVersionModels m
</Location>
<Location /c/policy>
  ETagVersionCacheControl max-age=1
</Location>
<Location /c/long>
  ETagVersionCacheControl max-age=600
</Location>
<Location /c/user>
  ETagVersionIdentity cookie:sid
  ETagVersionCacheControl private, max-age=1
</Location>
<Location /c/packed>
  SetOutputFilter @FILTER@
  ETagVersionCacheControl max-age=1
</Location>
<Location /c/kind>
  ETagVersionVary X-Kind
  ETagVersionCacheControl max-age=1
</Location>
<Location /c/cors>
  Header set Access-Control-Allow-Origin "*"
  ETagVersionCacheControl max-age=1
</Location>
<Location /s/>
  ETagVersionUpstreamETag Replace
  ETagVersionCacheControl max-age=1
</Location>
"""
LONG = "All the proteins of the table. " * 50
AGAIN = [("Cache-Control", "max-age=0")]  # makes mod_cache revalidate; no condition of the client's own


@pytest.fixture
def site(new_httpd, new_backend):
    """A factory; the backend is an attribute of the server."""
    def make(store="disk", quick="On", filter_name="DEFLATE", extra=""):
        backend = new_backend()
        storage = ('CacheRoot "@ROOT@/cache"\nCacheDirLevels 1\nCacheDirLength 1' if store == "disk"
                   else 'CacheSocache shmcb:@ROOT@/run/socache(1048576)\nCacheSocacheMaxSize 102400')
        conf = SITE + extra
        for mark, value in (("@STORE@", store), ("@QUICK@", quick), ("@STORAGE@", storage),
                            ("@BACKEND@", backend.url), ("@FILTER@", filter_name)):
            conf = conf.replace(mark, value)
        server = new_httpd(conf, f"proxy headers filter deflate brotli h2 cache_{store}", start=False)
        (server.root / "cache").mkdir()
        (server.root / "cache").chmod(0o777)
        server.write("htdocs/s/a.txt", "static one\n")
        server.backend = backend
        return server.start()
    return make


def verdict(answer):
    """HIT, MISS or REVALIDATE, as mod_cache says."""
    return (answer.one("X-Cache") or "none").split()[0]


def get(server, path, headers=(), tag=None, proto="1.1"):
    answer = server.get(path, headers, tag=tag, proto=proto)
    assert answer.status in (200, 304)
    assert answer.status == 304 or answer.body, f"an empty 200: {answer}"
    return answer


def stored(server, path, headers=()):
    """Ask until the cache has it."""
    first = get(server, path, headers)
    until(lambda: verdict(get(server, path, headers)) in ("HIT", "REVALIDATE"), "the cache to store it")
    return first


@pytest.mark.parametrize("quick", ["On", "Off"])
@pytest.mark.parametrize("path, own", [("/c/policy", None), ("/c/own", "max-age=1"), ("/c/cors", None)])
def test_stale_entry_is_revalidated_without_the_backend(site, quick, path, own):
    server = site(quick=quick)
    server.backend.on(path, Reply(200, [("Cache-Control", own)] if own else [], None))
    first = stored(server, path)
    assert letter(first.etag) == ("u" if own else "v")
    calls = server.backend.calls(path)

    def same(answer, how):
        assert (answer.status, answer.body, answer.etag) == (200, first.body, first.etag), answer
        assert verdict(answer) == how, answer
        assert answer.one("Cache-Control") == first.one("Cache-Control")
        assert answer.one("Content-Type") == first.one("Content-Type")
        assert answer.one("Access-Control-Allow-Origin") == first.one("Access-Control-Allow-Origin")
        assert server.backend.calls(path) == calls

    for _ in range(3):
        same(get(server, path, AGAIN), "REVALIDATE")
    # It is fresh again, and grows stale by itself.
    until(lambda: verdict(get(server, path)) == "REVALIDATE", "the entry to grow stale")
    same(get(server, path, AGAIN), "REVALIDATE")
    for headers in ([], AGAIN):
        assert get(server, path, headers, tag=first.etag).status == 304
    assert server.backend.calls(path) == calls
    # For a condition that does not match, mod_cache does not use its entry at all.
    assert get(server, path, tag='"other"').etag == first.etag
    first = get(server, path)

    calls = server.backend.calls(path)
    server.bump("m")
    fresh = get(server, path, AGAIN)
    assert fresh.status == 200 and fresh.body != first.body and fresh.etag != first.etag
    assert server.backend.calls(path) == calls + 1
    assert get(server, path, AGAIN).body == fresh.body
    assert server.backend.calls(path) == calls + 1
    assert get(server, path, AGAIN, tag=first.etag).status == 200


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_nothing_from_a_cache_gets_a_new_version(site, quick):
    """The stored page is old after a bump; whoever stamps it with the new version makes it stale for good."""
    server = site(quick=quick)
    data = ["old\n"]
    server.backend.on("/c/long", lambda _request: Reply(body=data[0]))
    first = stored(server, "/c/long")
    data[0] = "new\n"
    server.bump("m")
    for tag in (None, first.etag, None):
        answer = get(server, "/c/long", tag=tag)
        assert answer.etag == first.etag and answer.body in (b"", first.body)
    for headers, tag in (([], '"x"'), ([], None), (AGAIN, None), ([], first.etag), ([], None)):
        answer = get(server, "/c/long", headers, tag=tag)
        assert answer.status == 304 or (answer.etag == first.etag) == (answer.text == "old\n")
    assert get(server, "/c/long").text == "new\n"


@pytest.mark.parametrize("age", ["0", "10"])
def test_cache_behind_the_module(new_httpd, new_backend, age):
    """A response that was in a cache before it came here has an Age: it may be older than the version."""
    backend = new_backend()
    backend.default = Reply(200, [("Age", age)])
    server = new_httpd(f"ProxyPass / {backend.url}/\n<Location />\nETagVersion Version\nETagVersionModels m\n"
                       "</Location>", "proxy")
    answer = server.get("/x")
    assert not is_version(answer.etag) and answer.one("Age") == age


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_static_files(site, quick):
    server = site(quick=quick)
    first = stored(server, "/s/a.txt")
    assert is_version(first.etag)
    server.write("htdocs/s/a.txt", "static two, longer\n")
    assert get(server, "/s/a.txt", AGAIN).body == first.body, "no bump, no change"
    server.bump("m")
    fresh = get(server, "/s/a.txt", AGAIN)
    assert fresh.text == "static two, longer\n" and fresh.etag != first.etag


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_http2(site, quick):
    server = site(quick=quick)
    first = stored(server, "/c/policy")
    calls = server.backend.calls("/c/policy")
    for proto in ("h2", "1.0", "h2"):
        answer = get(server, "/c/policy", AGAIN, proto=proto)
        assert (answer.body, answer.etag, verdict(answer)) == (first.body, first.etag, "REVALIDATE")
    assert get(server, "/c/policy", AGAIN, tag=first.etag, proto="h2").status == 304
    assert server.backend.calls("/c/policy") == calls


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_head(site, quick):
    server = site(quick=quick)
    first = stored(server, "/c/policy")
    calls = server.backend.calls("/c/policy")
    answer = server.request("HEAD", "/c/policy", AGAIN)
    assert answer.status == 200 and answer.etag == first.etag
    assert server.backend.calls("/c/policy") == calls
    assert get(server, "/c/policy").body == first.body


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_users_do_not_get_each_others_pages(site, quick):
    """A 304 without the whole Vary would turn one user's entry into everyone's."""
    server = site(quick=quick)
    server.backend.on("/c/user", lambda request: Reply(body=f"page of {request.get('Cookie')}\n"))
    users = [[("Cookie", f"sid={i}")] for i in range(3)] + [[]]
    for _ in range(3):
        for user, extra in itertools.product(users, ([], AGAIN)):
            answer = get(server, "/c/user", user + extra)
            assert answer.text == f"page of {user[0][1] if user else None}\n"
            assert "cookie" in answer.members("Vary")


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_kinds_do_not_get_each_others_pages(site, quick):
    server = site(quick=quick)
    server.backend.on("/c/kind", lambda request: Reply(body=f"kind {request.get('X-Kind')}\n"))
    for kind in ("a", "b", "a", "b"):
        for extra in ([], AGAIN, AGAIN):
            answer = get(server, "/c/kind", [("X-Kind", kind)] + extra)
            assert answer.text == f"kind {kind}\n" and answer.members("Vary") == ["x-kind"]


@pytest.mark.parametrize("quick", ["On", "Off"])
@pytest.mark.parametrize("filter_name, coding", [("DEFLATE", "gzip"), ("BROTLI_COMPRESS", "br")])
def test_encoded_entries(site, quick, filter_name, coding):
    """After revalidations of the packed entry, a client that cannot unpack still gets the plain page."""
    server = site(quick=quick, filter_name=filter_name)
    server.backend.on("/c/packed", Reply(body=LONG))
    accept = [("Accept-Encoding", coding)]
    packed = stored(server, "/c/packed", accept)
    assert packed.one("Content-Encoding") == coding and packed.etag.endswith(f'-{coding}"')
    for _ in range(2):
        again = get(server, "/c/packed", accept + AGAIN)
        assert again.one("Content-Encoding") == coding and again.body == packed.body
        assert again.etag == packed.etag and "accept-encoding" in again.members("Vary")
        for extra in ([], AGAIN):
            plain = get(server, "/c/packed", extra)
            assert plain.text == LONG and not plain.one("Content-Encoding")
            assert not plain.etag.endswith(f'-{coding}"')


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_socache_never_loses_the_body(site, quick):
    """mod_cache_socache forgets the body when it revalidates: the module must not give it the chance."""
    server = site("socache", quick)
    assert server.log.lines(r"etag_version:notice.*mod_cache_socache"), "no word of it at startup"
    first = stored(server, "/c/policy")
    for extra, tag in ((AGAIN, None), ([], None), ([], None), (AGAIN, first.etag), ([], None), (AGAIN, '"x"'),
                       ([], None), ([], first.etag), (AGAIN, None), (AGAIN, None), ([], None)):
        answer = get(server, "/c/policy", extra, tag=tag)
        if answer.status == 200:
            assert answer.text.startswith("/c/policy ")
    server.bump("m")
    old = get(server, "/c/policy", AGAIN)
    assert old.body != first.body and old.etag != first.etag
    # A client's own condition is answered early as ever, when the cache has nothing to say.
    tag = get(server, "/c/nocache", [("Cache-Control", "no-cache")]).etag
    calls = server.backend.calls("/c/nocache")
    again = get(server, "/c/nocache", [("Cache-Control", "no-cache")], tag=tag)
    assert again.status == 304 and server.backend.calls("/c/nocache") == calls


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_bumps_between_requests(site, quick):
    """Alternate: after a bump a revalidating client gets the new page, and the stored one keeps its tag."""
    server = site(quick=quick)
    pages = {}
    for _ in range(20):
        server.bump("m")
        answer = get(server, "/c/policy", AGAIN)
        assert answer.etag not in pages
        pages[answer.etag] = answer.body
        assert len(set(pages.values())) == len(pages)
        for headers in ([], AGAIN):
            answer = get(server, "/c/policy", headers)
            assert pages[answer.etag] == answer.body
