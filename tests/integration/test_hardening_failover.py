# SPDX-License-Identifier: Apache-2.0
"""A primary that lost an acknowledged write is noticed by the first request, not by the next look at it."""
import pytest

from harness.tags import is_version
from harness.wait import until

KEY = "model_version:m"
SITE = """
ETagVersionStore @STORE@
ETagVersionStoreTimeout connect=5s command=5s
ETagVersionFreshness strict
ProxyPass /f/ @BACKEND@/f/
<Location /f/>
  ETagVersion Version
  ETagVersionModels m
</Location>
"""


@pytest.fixture
def site(new_httpd, new_backend):
    def make(url):
        server = new_httpd(SITE.replace("@STORE@", url).replace("@BACKEND@", new_backend().url), "proxy")
        server.log.expect("etag_version:(warn|error)", optional=True)
        return server
    return make


@pytest.mark.parametrize("rounds", [1, 4])
@pytest.mark.parametrize("way", ["url", "unix_url"])
def test_writes_lost_between_two_requests(site, new_redis, way, rounds):
    """Demoted to a copy of its past and promoted again, on a connection that was used a moment ago."""
    primary, copy = new_redis(), new_redis()
    server = site(getattr(primary, way))
    for number in range(rounds):
        primary("SET", KEY, f"{number}0")
        copy.replica_of(primary)
        copy.promote()
        old = server.get("/f/x").etag
        assert is_version(old)
        assert server.get("/f/x", tag=old).status == 304
        primary("SET", KEY, f"{number}1")
        primary.replica_of(copy)
        primary.promote()
        assert primary("GET", KEY) == f"{number}0".encode()
        answer = server.get("/f/x", tag=old)
        assert answer.status == 200 and answer.etag != old, "not modified, and the store had taken a newer version"


@pytest.mark.parametrize("requests", [0, 1, 5])
def test_writes_lost_while_requests_see_it_change(site, new_redis, requests):
    """Requests while it is a replica get no tag, and old tags do not come back afterwards."""
    primary, copy = new_redis(), new_redis()
    primary("SET", KEY, "1")
    copy.replica_of(primary)
    copy.promote()
    server = site(primary.url)
    old = server.get("/f/x").etag
    primary("SET", KEY, "2")
    primary.replica_of(copy)
    for _ in range(requests):
        answer = server.get("/f/x", tag=old)
        assert answer.status == 200 and not is_version(answer.etag)
    primary.promote()
    assert server.get("/f/x", tag=old).status == 200

    def tag():
        found = server.get("/f/x", tag=old)
        assert found.status == 200 and found.etag != old
        return found.etag
    new = until(tag, "version tags to come back")
    assert server.get("/f/x", tag=new).status == 304
    assert server.get("/f/x", tag=old).status == 200
