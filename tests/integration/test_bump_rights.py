# SPDX-License-Identifier: Apache-2.0
"""The rights in Redis that changes need, and what happens without: readers go on, and one line says what to do."""
import pytest

from harness.bumping import MODEL, SITE, await_pages, page_tag, proxied
from harness.origin import script_of
from harness.tags import is_version
from harness.wait import until

FOR_VERSIONS = ("~model_version:*", "+multi", "+exec", "+mget", "+exists", "+set", "+role", "+info")
FOR_CHANGES = ("+sadd", "+srem", "+srandmember", "+watch", "+unwatch")
OPEN = f"model_version:%open:{MODEL}"
GONE = "00000000000000aa.1"


@pytest.fixture
def redis(new_redis):
    return new_redis()


@pytest.fixture
def site(new_httpd, new_origin, redis):
    """A server whose store knows it as a user with these rights alone."""
    def make(*rights):
        origin = new_origin()
        origin.default = script_of("x\n")
        redis("ACL", "SETUSER", "least", "reset", "on", ">pw", *rights)
        return new_httpd(f"ETagVersionStore redis://least:pw@127.0.0.1:{redis.port}\nETagVersionFreshness strict\n"
                         f"ETagVersionStoreTimeout connect=5s command=5s\n{proxied(origin)}{SITE}", "proxy")
    return make


def test_least_rights_are_enough(site, redis):
    server = site(*FOR_VERSIONS, *FOR_CHANGES)
    tag = page_tag(server)
    for _ in range(5):
        assert server.request("POST", "/page", body=b"x").status == 200
        tag = await_pages(server, tag)
    assert redis("EXISTS", OPEN) == 0
    redis("SADD", OPEN, GONE)
    assert not is_version(server.get("/page").etag)
    await_pages(server, tag)
    assert not server.log.lines("etag_version:(warn|error)")


@pytest.mark.parametrize("missing", FOR_CHANGES)
def test_without_a_right_for_changes(site, redis, missing):
    server = site(*FOR_VERSIONS, *(right for right in FOR_CHANGES if right != missing))
    server.log.expect("ETV0105.*may not run|ETV015", optional=True)
    tag = page_tag(server)
    for _ in range(3):
        assert server.request("POST", "/page", body=b"x").status == 200
        assert server.get("/page", tag=tag).status == 200, "the client's own next request"
    lines = server.log.lines("ETV0105")
    assert len(lines) == (missing in ("+sadd", "+srem")), lines
    redis("SADD", OPEN, GONE)
    assert not is_version(server.get("/page").etag)
    if missing not in ("+watch", "+unwatch", "+sadd"):
        until(lambda: server.log.lines("ETV0105"), "the line that explains")
        assert all(right in server.log.lines("ETV0105")[0] for right in FOR_CHANGES)
    redis("ACL", "SETUSER", "least", missing)
    await_pages(server, tag)


def test_what_is_no_set_is_left_to_a_person(site, redis):
    server = site(*FOR_VERSIONS, *FOR_CHANGES)
    server.log.expect("ETV0140|ETV015", optional=True)
    tag = page_tag(server)
    redis("SET", OPEN, "x")
    for _ in range(3):
        assert not is_version(server.get("/page", tag=tag).etag)
        assert server.request("POST", "/page", body=b"x").status == 200
    until(lambda: server.log.lines("ETV0140"), "the line that names the key")
    assert OPEN in server.log.lines("ETV0140")[0]
    redis("DEL", OPEN)
    await_pages(server, tag)
