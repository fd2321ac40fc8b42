# SPDX-License-Identifier: Apache-2.0
"""A tag of this module alone must not make mod_cache keep what nobody gave a lifetime to."""
import pytest

from harness.backend import Reply
from harness.tags import is_version

SITE = """
CacheEnable disk /t/
CacheRoot "@ROOT@/cache"
CacheHeader On
CacheQuickHandler @QUICK@
@EXTRA@
ProxyPass /t/ @BACKEND@/t/
ProxyPass /u/ @BACKEND@/u/
<LocationMatch "^/(t|u)/">
  ETagVersion Content
</LocationMatch>
<Location /t/version>
  ETagVersion Version
  ETagVersionModels m
</Location>
<Location /t/off>
  ETagVersion Off
</Location>
"""
GUARD = "max-age=0, must-revalidate"


@pytest.fixture(params=["On", "Off"], ids=lambda quick: f"quick-{quick}")
def site(request, new_httpd, new_backend):
    def make(extra=""):
        backend = new_backend()
        conf = SITE.replace("@QUICK@", request.param).replace("@EXTRA@", extra).replace("@BACKEND@", backend.url)
        server = new_httpd(conf, "proxy cache_disk", start=False)
        (server.root / "cache").mkdir()
        (server.root / "cache").chmod(0o777)
        server.backend = backend
        server.quick = request.param
        return server.start()
    return make


def how(answer):
    return answer.one("X-Cache").split()[0]


def test_content_is_stored_and_asked_about(site):
    server = site()
    server.backend.on("/t/page", Reply(body="one edition"))
    first = server.get("/t/page")
    assert first.etag.startswith('"c') and first.one("Cache-Control") == GUARD
    again = server.get("/t/page")
    assert how(again) == "REVALIDATE" and again.body == b"one edition" and again.etag == first.etag
    assert server.backend.calls("/t/page") == 2
    server.backend.on("/t/page", Reply(body="another edition"))
    changed = server.get("/t/page")
    assert changed.body == b"another edition" and changed.etag != first.etag


def test_a_bump_is_seen_at_once(site):
    server = site()
    first = server.get("/t/version")
    assert is_version(first.etag) and first.one("Cache-Control") == GUARD
    again = server.get("/t/version")
    assert how(again) == "REVALIDATE" and again.body == first.body
    assert server.backend.calls("/t/version") == 1, "the version was enough"
    server.bump("m")
    assert server.get("/t/version").body != first.body


@pytest.mark.parametrize("name, value", [
    ("Cache-Control", "max-age=60"), ("Cache-Control", "public, s-maxage=60"), ("Expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ("Last-Modified", "Thu, 10 Jan 2008 21:20:10 GMT"), ("ETag", '"theirs"')])
def test_a_lifetime_or_validator_of_its_own_is_enough(site, name, value):
    server = site()
    server.backend.on("/t/own", Reply(headers={name: value}))
    first = server.get("/t/own")
    assert first.one("Cache-Control") == (value if name == "Cache-Control" else None)
    assert how(server.get("/t/own")) == "HIT"


def test_what_is_not_cached_is_left_alone(site):
    server = site()
    for path in ("/u/page", "/t/off"):
        answer = server.get(path)
        assert answer.one("Cache-Control") is None, path
    assert server.get("/u/page").etag.startswith('"c')


def test_other_directives_stay(site):
    server = site()
    server.backend.on("/t/some", Reply(headers={"Cache-Control": "public, no-transform"}))
    assert set(server.get("/t/some").members("Cache-Control")) == {"public", "no-transform", "max-age=0", "must-revalidate"}


def test_authorization_is_no_reason_to_store(site):
    """must-revalidate would let a shared cache keep it (RFC 9111 section 3.5)."""
    server = site()
    path = "/t/mine"
    first = server.get(path, [("Authorization", "Basic eDp5")])
    assert first.one("Cache-Control") in ({"On": [None], "Off": ["max-age=0", None]}[server.quick])
    assert server.get(path).body != first.body


def test_whoever_asks_for_storing_gets_it(site):
    server = site("CacheIgnoreNoLastMod On")
    first = server.get("/t/page")
    assert first.one("Cache-Control") is None and first.etag.startswith('"c')
    again = server.get("/t/page")
    assert how(again) == "HIT" and again.etag == first.etag


@pytest.mark.parametrize("extra", [
    "<Location /other/>\nCacheIgnoreNoLastMod On\n</Location>",
    "CacheIgnoreNoLastMod On\n<Location /other/>\nCacheIgnoreNoLastMod Off\n</Location>"])
def test_what_holds_elsewhere_does_not_count(site, extra):
    server = site(extra)
    assert server.get("/t/page").one("Cache-Control") == GUARD


@pytest.mark.parametrize("value", ['max-age="0"', "max-age=", "max-age", "max-age=abc", "max-age=0.5", "s-maxage=x"])
def test_lifetimes_that_mod_cache_cannot_read(site, value):
    server = site()
    server.backend.on("/t/odd", Reply(headers={"Cache-Control": value}))
    assert server.get("/t/odd").etag
    assert how(server.get("/t/odd")) != "HIT"


def test_a_date_that_is_none_is_no_validator(site):
    server = site()
    server.backend.on("/t/odd", Reply(headers={"Last-Modified": "garbage"}))
    assert server.get("/t/odd").one("Cache-Control") == GUARD
    assert how(server.get("/t/odd")) != "HIT"
