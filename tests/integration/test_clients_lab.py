# SPDX-License-Identifier: Apache-2.0
"""examples/django behind caches and before clients that keep things: versions that Django bumps in Redis."""
import base64
import json

import pytest

from harness.caches import APACHE, DROPPED, FRONTS, HEADER, Cached, front_of
from harness.clients import Caching, Curl
from harness.codings import decode
from harness.lab import USERS
from harness.tags import is_version
from harness.wait import until

SPECTRA = "/api/spectra/"
GZIP, BOTH = [("Accept-Encoding", "gzip")], [("Accept-Encoding", "gzip, br")]


class Site(Cached):
    """A cache before the example."""

    def __init__(self, kind, front, lab):
        super().__init__(kind, front, lab.httpd, lab.calls_of)
        self.lab = lab

    def settled(self, path, headers=(), **more):
        """A page with a tag; a version that was missing is there for the second request."""
        return until(lambda: (lambda page: is_version(page.etag) and page)(self.get(path, headers, **more)), "a tag")


@pytest.fixture(scope="module")
def lab(shared_lab):
    return shared_lab(conf=HEADER)


@pytest.fixture(scope="module", params=FRONTS)
def cached(request, lab, shared_lab, shared_httpd, shared_nginx, shared_varnish):
    kind = request.param
    if kind == "same_httpd":
        lab = shared_lab(conf=f"{APACHE}CacheQuickHandler Off\n", modules="cache_disk")
    return Site(kind, front_of(kind, lab.httpd, shared_nginx, shared_varnish, shared_httpd), lab)


def check_spectra(cached, page):
    """All of the list, as Django has it now."""
    assert page.status == 200 and json.loads(decode(page)) == json.loads(cached.lab.direct("GET", SPECTRA).data)


def test_list_of_spectra(cached):
    """140 KB that are serialized once; after that, each client of the cache costs a 304 between cache and httpd."""
    variants = [[], GZIP, BOTH]
    first = [cached.settled(SPECTRA, headers) for headers in variants]
    assert len(first[0].body) > 100_000
    for headers in variants:
        cached.kept(SPECTRA, headers)
    for _ in range(2):
        for headers, page in zip(variants, first):
            again = cached.from_cache(SPECTRA, headers)
            assert decode(again) == decode(first[0]) and again.etag == page.etag
            assert again.one("Content-Encoding") == page.one("Content-Encoding")
            assert cached.from_cache(SPECTRA, headers, tag=page.etag).status == 304
    head = cached.from_cache(SPECTRA, GZIP, "HEAD") if cached.kind != "same_httpd" else cached.get(SPECTRA, GZIP)
    assert head.status == 200
    cached.lab.scenario("save_spectrum", id=7, name=f"behind {cached.kind}")
    for headers, page in zip(variants, first):
        fresh = cached.get(SPECTRA, headers, tag=page.etag)
        assert fresh.etag != page.etag and f"behind {cached.kind}" in decode(fresh)
        check_spectra(cached, fresh)
        cached.kept(SPECTRA, headers)
        assert decode(cached.from_cache(SPECTRA, headers)) == decode(fresh)


def test_saving_through_the_cache(cached):
    """A PATCH passes; who asks next, through the cache, has what it saved."""
    path, name = "/api/proteins/egfp/", f"EGFP behind {cached.kind}"
    old = cached.settled(path)
    cached.kept(path)
    assert cached.from_cache(path).body == old.body
    login = base64.b64encode(f"alice:{USERS['alice']}".encode()).decode()
    if cached.kind in ("mod_cache", "same_httpd"):
        cached.front.log.expect(DROPPED, optional=True)
    fields = [("Authorization", f"Basic {login}"), ("Content-Type", "application/json")]
    answer = cached.front.request("PATCH", path, fields,
                                  json.dumps({"name": name}).encode())
    assert answer.status == 200, answer
    fresh = cached.get(path, tag=old.etag)
    assert fresh.status == 200 and json.loads(fresh.body)["name"] == name
    cached.kept(path)
    assert cached.from_cache(path).body == fresh.body
    assert name in cached.get("/api/proteins/").text


def test_users_have_their_own_pages(cached):
    """The home page greets; alice's is nobody else's, and a 304 of hers is for her alone."""
    cookies = {user: [("Cookie", cached.lab.login(user))] for user in ("alice", "bob")}
    cookies["guest"] = []
    greeting = {"alice": "Welcome back, alice.", "bob": "Welcome back, bob.", "guest": "Welcome, guest."}
    tags = {}
    for user in ["alice", "bob", "guest"] * 2:
        page = cached.settled("/", cookies[user])
        assert greeting[user] in page.text and cached.how(page) in ("MISS", "PASS")
        assert not [other for other in greeting if other != user and greeting[other] in page.text]
        tags[user] = page.etag
    for user in ("alice", "bob"):
        calls = cached.calls("/")
        told = cached.get("/", cookies[user], tag=tags[user])
        assert told.status == 304 and cached.origin.why(told) == "early-304" and cached.calls("/") == calls
        for other in cookies:
            if other != user:
                page = cached.get("/", cookies[user], tag=tags[other])
                assert page.status == 200 and greeting[user] in page.text
    # What is the same for all is one page in the cache, whoever is logged in.
    first = cached.settled(SPECTRA)
    cached.kept(SPECTRA)
    for user, headers in cookies.items():
        if user == "guest" or cached.kind != "nginx":  # nginx: whoever is logged in goes past the cache
            assert cached.from_cache(SPECTRA, headers).body == first.body
        assert cached.get(SPECTRA, headers, tag=first.etag).status == 304


def test_flush_of_redis(cached):
    """All versions are lost: what is in the cache is fetched again, once."""
    first = cached.settled(SPECTRA)
    calls = cached.calls(SPECTRA)
    cached.lab.redis("FLUSHALL")
    page = cached.get(SPECTRA, tag=first.etag)
    assert page.status == 200 and cached.calls(SPECTRA) == calls + 1
    fresh = cached.settled(SPECTRA)
    assert fresh.etag != first.etag and fresh.body == first.body
    cached.kept(SPECTRA)
    assert cached.from_cache(SPECTRA).body == first.body


def test_curl(lab, tmp_path):
    curl = Curl(lab.httpd, tmp_path)
    for compressed, name in (([], "curl"), (["--compressed"], "curl, compressed")):
        lab.scenario("save_spectrum", id=7, name=name)
        assert curl(SPECTRA, *compressed)[0] == 200
        assert name in curl.page and is_version(curl.tag)
        calls, tag = lab.calls_of(SPECTRA), curl.tag
        for _ in range(3):
            assert curl(SPECTRA, *compressed) == (304, "early-304")
        assert lab.calls_of(SPECTRA) == calls and curl.tag == tag
        assert json.loads(curl.page) == json.loads(lab.direct("GET", SPECTRA).data)


def test_python_cache(lab):
    client = Caching(lab.httpd, lab.calls_of)
    page = client.fetched(SPECTRA, lab.direct("GET", SPECTRA).data.decode())
    for _ in range(3):
        client.revalidated(SPECTRA, page.text)
    lab.scenario("save_spectrum", id=8, name="python")
    fresh = client.fetched(SPECTRA, lab.direct("GET", SPECTRA).data.decode())
    assert "python" in fresh.text and "python" not in page.text
    client.revalidated(SPECTRA, fresh.text)
    client.close()
