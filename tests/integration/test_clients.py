# SPDX-License-Identifier: Apache-2.0
"""Clients that keep for themselves what they got: curl with its files of tags, and a caching client of Python."""
import itertools

import pytest

from harness.backend import Reply
from harness.bumping import proxied
from harness.clients import Caching, Curl, new_cache
from harness.tags import coding, digest, is_version, letter

SITE = """
<Location />
  ETagVersion Version
  ETagVersionModels m
  ETagVersionIdentity none
  ETagVersionCacheControl "public, max-age=0, must-revalidate"
</Location>
<LocationMatch "^/[a-z-]*packed">
  SetOutputFilter DEFLATE
</LocationMatch>
<LocationMatch "^/strong">
  ETagVersionStrength Strong
</LocationMatch>
<LocationMatch "^/user">
  ETagVersionIdentity cookie:sessionid
</LocationMatch>
<LocationMatch "^/content">
  ETagVersion Content
</LocationMatch>
<LocationMatch "^/long">
  ETagVersionCacheControl "public, max-age=600"
</LocationMatch>
<LocationMatch "^/off">
  ETagVersion Off
</LocationMatch>
"""
LONG = "All the proteins of the table. " * 100
_ids = itertools.count(1)


@pytest.fixture(scope="module")
def backend(shared_backend):
    return shared_backend()


@pytest.fixture(scope="module")
def server(shared_httpd, backend):
    return shared_httpd(proxied(backend) + SITE, "proxy headers filter deflate")


def new_page(backend, kind):
    """A path of one test alone, and a page there that tells how often it was made."""
    path = f"/{kind}-{next(_ids)}"
    backend.on(path, lambda asked: Reply(body=f"{asked.number} {LONG}"))
    return path


@pytest.fixture
def curl(server, tmp_path):
    return Curl(server, tmp_path)


@pytest.mark.parametrize("kind, options, suffix", [
    ("plain", [], ""), ("strong", [], ""), ("packed", [], ""), ("packed", ["--compressed"], "-gzip"),
    ("strong-packed", ["--compressed"], "-gzip")])
def test_curl(curl, server, backend, kind, options, suffix):
    path = new_page(backend, kind)
    assert curl(path, *options)[0] == 200 and curl.page == f"1 {LONG}"
    first = curl.tag
    assert is_version(first) and coding(first).startswith(suffix) and bool(coding(first)) == bool(suffix)
    assert first.startswith("W/") != kind.startswith("strong") or suffix
    for _ in range(3):
        assert curl(path, *options) == (304, "early-304")
        assert curl.page == f"1 {LONG}" and curl.tag == first
    assert backend.calls(path) == 1
    server.bump("m")
    assert curl(path, *options) == (200, "changed")
    assert curl.page == f"2 {LONG}" and curl.tag != first and is_version(curl.tag)
    assert curl(path, *options) == (304, "early-304") and backend.calls(path) == 2


def test_curl_that_cannot_unpack_any_more(curl, server, backend):
    """The tag of the compressed page is no reason for 304 to whoever does not accept it; the other way round it is."""
    path = new_page(backend, "packed")
    assert curl(path)[0] == 200 and not coding(curl.tag)
    assert curl(path, "--compressed") == (304, "early-304") and curl.page == f"1 {LONG}"
    server.bump("m")
    assert curl(path, "--compressed")[0] == 200 and coding(curl.tag) and curl.page == f"2 {LONG}"
    assert curl(path)[0] == 200 and curl.page == f"3 {LONG}" and not coding(curl.tag)


def test_curl_with_head(curl, server, backend):
    """A tag that HEAD brought holds for GET as well."""
    path = new_page(backend, "plain")
    assert curl(path, "-I")[0] == 200
    tag = curl.tag
    assert is_version(tag)
    assert curl(path, "-I") == (304, "early-304") and curl(path) == (304, "early-304") and curl.tag == tag
    server.bump("m")
    assert curl(path)[0] == 200 and curl.tag != tag and curl.page == f"2 {LONG}"


def test_curl_and_tags_that_are_not_ours(curl, server, backend):
    """The application's own tag stays; httpd compares it, or the application itself where the module is off."""
    edition = ["one"]

    def answer(asked):
        tag = f'"{edition[0]}"'
        if asked.get("If-None-Match") == tag:
            return Reply(304, {"ETag": tag})
        return Reply(200, {"ETag": tag}, f"{edition[0]} {LONG}")
    for kind, why in (("plain", "late-304"), ("off", None)):
        path = backend.on(f"/{kind}-{next(_ids)}", answer)
        for calls, (edition[0], status) in enumerate([("one", 200), ("one", 304), ("two", 200), ("two", 304)], 1):
            assert curl(path)[0] == status, (path, edition)
            assert curl.tag == f'"{edition[0]}"' and curl.page == f"{edition[0]} {LONG}"
            assert backend.calls(path) == calls
        assert curl(path)[1] == why
        server.bump("m")
        assert curl(path)[0] == 304, "a bump says nothing about a tag of the application"
        (curl.folder / "tag").unlink()


def test_curl_and_content_tags(curl, backend):
    path = backend.on(f"/content-{next(_ids)}", Reply(body=f"one {LONG}"))
    assert curl(path)[0] == 200
    assert curl(path) == (304, "late-304") and curl.page == f"one {LONG}" and curl.tag.startswith('"c')
    backend.on(path, Reply(body=f"two {LONG}"))
    assert curl(path) == (200, "changed") and curl.page == f"two {LONG}"


@pytest.fixture
def caching(server, backend):
    made = []

    def make(**more):
        made.append(Caching(server, backend.calls, **more))
        return made[-1]
    yield make
    for each in made:
        each.close()


@pytest.mark.systems
@pytest.mark.parametrize("kind, own, mark", [("plain", None, "v"), ("strong", None, "v"), ("packed", None, "v"),
                                            ("own", "no-transform", "u")])
def test_python_cache(caching, server, backend, kind, own, mark):
    path = new_page(backend, kind)
    if own:
        backend.on(path, lambda asked: Reply(200, {"Cache-Control": own}, f"{asked.number} {LONG}"))
    client = caching()
    first = client.fetched(path, f"1 {LONG}")
    assert letter(first.headers["ETag"]) == mark
    for _ in range(3):
        again = client.revalidated(path, f"1 {LONG}")
        for name in ("ETag", "Cache-Control", "Vary", "Content-Type"):
            assert again.headers.get(name) == first.headers.get(name), name
    server.bump("m")
    fresh = client.fetched(path, f"2 {LONG}")
    assert fresh.headers["ETag"] != first.headers["ETag"]
    client.revalidated(path, f"2 {LONG}")
    head = client.get(path, "HEAD")
    assert head.status_code == 200 and not head.content
    assert digest(head.headers["ETag"]) == digest(fresh.headers["ETag"])
    client.revalidated(path, f"2 {LONG}")


@pytest.mark.systems
def test_python_cache_for_two_kinds_of_clients(caching, server, backend):
    """One cache under two clients, of which one accepts gzip: Vary keeps them apart, before a bump and after it."""
    path, cache = new_page(backend, "packed"), new_cache()
    packed, plain = caching(cache=cache), caching(cache=cache, accept="identity")
    for client, coding_of in [(packed, "gzip"), (plain, None), (packed, "gzip"), (plain, None)]:
        answer = client.fetched(path, f"{backend.calls(path) + 1} {LONG}")
        assert answer.headers.get("Content-Encoding") == coding_of and "Accept-Encoding" in answer.headers["Vary"]
        assert client.revalidated(path, answer.text).headers.get("Content-Encoding") == coding_of
    server.bump("m")
    for client in (packed, plain):
        client.fetched(path, f"{backend.calls(path) + 1} {LONG}")


@pytest.mark.systems
def test_python_cache_of_two_users(caching, server, backend):
    path, cache = f"/user-{next(_ids)}", new_cache()
    backend.on(path, lambda asked: Reply(body=f"page of {asked.get('Cookie')}"))
    users = [(caching(cache=cache), "page of None")]
    for name in ("ann", "bob"):
        users.append((caching(cache=cache, cookies={"sessionid": name}), f"page of sessionid={name}"))
    for client, text in users * 2:
        answer = client.fetched(path, text)
        assert "private" in answer.headers["Cache-Control"] and "Cookie" in answer.headers["Vary"]
        client.revalidated(path, text)
    server.bump("m")
    for client, text in users:
        client.fetched(path, text)


@pytest.mark.systems
def test_python_cache_does_not_ask_within_the_lifetime(caching, server, backend):
    path = new_page(backend, "long")
    client = caching()
    client.fetched(path, f"1 {LONG}")
    answer = client.get(path)
    assert answer.from_cache and answer.text == f"1 {LONG}"
    server.bump("m")
    assert client.get(path).text == f"1 {LONG}", "a bump reaches it when max-age has run out"
    client.fetched(path, f"2 {LONG}", **{"Cache-Control": "no-cache"})


@pytest.mark.systems
def test_python_cache_and_content_tags(caching, backend):
    path = backend.on(f"/content-{next(_ids)}", Reply(body=f"one {LONG}"))
    client = caching()
    assert client.get(path).text == f"one {LONG}"
    client.revalidated(path, f"one {LONG}", "late-304")
    backend.on(path, Reply(body=f"two {LONG}"))
    answer = client.get(path)
    assert answer.text == f"two {LONG}" and not answer.from_cache
