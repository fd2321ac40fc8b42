# SPDX-License-Identifier: Apache-2.0
"""The rights that the pushed table needs, and what happens without: every request asks, as under strict."""
import time

import pytest

from harness.lease import (ALIASES, KEY, LEADS, PUSHED, REFUSED, SITE, acknowledged, await_change, await_hits,
                           await_table, await_tag, calls)
from harness.tags import is_version
from harness.wait import until

# What documentation says is enough. Database 2, so that SELECT is needed, too.
FOR_VERSIONS = ("~model_version:*", "+multi", "+exec", "+mget", "+exists", "+set", "+role", "+info", "+select")
FOR_PUSHES = ("&__redis__:invalidate", "+ping", "+subscribe", "+client|id", "+client|tracking")


@pytest.fixture
def redis(new_redis):
    redis = new_redis()
    redis("SELECT", 2)
    return redis


@pytest.fixture
def site(new_httpd, redis):
    """A server whose store knows it as a user with these rights alone."""
    def make(*rights, url=None):
        redis("ACL", "SETUSER", "least", "reset", "on", ">pw", *rights)
        server = new_httpd(f"ETagVersionStore {url or f'redis://least:pw@127.0.0.1:{redis.port}/2'}\n{ALIASES}\n"
                           f"ETagVersionFreshness lease 60s\nETagVersionStoreTimeout connect=5s command=5s\n{SITE}",
                           "alias", start=False)
        server.write("htdocs/x.txt", "x\n")
        return server.start()
    return make


def expect_strict(server, redis):
    """Each request asks, and sees at once what was changed before it."""
    tag = await_tag(server)
    before = calls(redis, "mget")
    for _ in range(10):
        assert server.get("/x.txt", tag=tag).status == 304
    assert calls(redis, "mget") >= before + 10
    for i in range(5):
        tag = await_change(server, tag, acknowledged(redis, "SET", KEY, f"{time.monotonic()} {i}"), lease=0)[1].etag
        assert is_version(tag)
    server.bump("m")
    assert server.get("/x.txt", tag=tag).status == 200


def expect_one_line(server, what=""):
    lines = server.log.lines(REFUSED + ":")
    assert len(lines) == 1 and what in lines[0], lines
    assert len(server.log.lines("etag_version:(warn|error)")) == 1
    assert "pw@" not in server.log.text()


def test_least_rights_are_enough(site, redis):
    server = await_table(site(*FOR_VERSIONS, *FOR_PUSHES))
    tag = await_hits(server, redis)
    for i in range(5):
        tag = await_change(server, tag, acknowledged(redis, "SET", KEY, f"{i}"), 60)[1].etag
        assert is_version(tag)
    server.bump("m")
    assert server.get("/x.txt", tag=tag).status == 200
    redis("FLUSHALL")
    await_hits(server, redis)
    assert not server.log.lines("etag_version:(warn|error)")


@pytest.mark.parametrize("missing", FOR_PUSHES)
def test_without_a_right_for_pushes(site, redis, missing):
    server = site(*FOR_VERSIONS, *(right for right in FOR_PUSHES if right != missing))
    server.log.expect(f"{REFUSED}.*ACL")
    until(lambda: server.log.lines(REFUSED), "the line that explains")
    expect_strict(server, redis)
    expect_one_line(server, "client|tracking")
    assert not server.log.lines(PUSHED)
    # Given the right, the next one who leads uses it.
    redis("ACL", "SETUSER", "least", missing)
    server.graceful()
    await_table(server)
    await_hits(server, redis)


@pytest.mark.parametrize("missing", [right for right in FOR_VERSIONS if right not in ("~model_version:*", "+set")])
def test_without_a_right_for_versions(site, redis, missing):
    server = site(*(right for right in FOR_VERSIONS if right != missing), *FOR_PUSHES)
    server.log.expect("ETV01(05|07|17|13|03|04)")
    for _ in range(10):
        answer = server.get("/x.txt", tag='W/"v0123456789012345678901"')
        assert answer.status == 200 and not is_version(answer.etag), missing
    # Listening needs no EXISTS; nothing enters the table, all the same.
    assert missing == "+exists" or not server.log.lines(PUSHED)
    assert len(server.log.lines("etag_version:(warn|error)")) < 6, "one cause, few lines"
    redis("ACL", "SETUSER", "least", missing)
    await_table(server)
    await_hits(server, redis)


def test_rights_taken_away_and_given_back(site, redis):
    """While the table is in use."""
    server = await_table(site(*FOR_VERSIONS, *FOR_PUSHES))
    server.log.expect("ETV01(08|31|32|05|17)", optional=True)
    for gone in FOR_PUSHES:
        tag = await_hits(server, redis)
        if gone[0] == "&":
            redis("ACL", "SETUSER", "least", "resetchannels")  # Redis ends the subscriber's connection
        else:
            redis("ACL", "SETUSER", "least", gone.replace("+", "-"))
            redis("CLIENT", "KILL", "TYPE", "pubsub")
        tag = await_change(server, tag, acknowledged(redis, "SET", KEY, gone), 60)[1].etag or await_tag(server)
        until(lambda: server.log.lines(REFUSED), "the line that explains")
        expect_strict(server, redis)
        redis("ACL", "SETUSER", "least", gone)
        leads = len(server.log.lines(LEADS))
        server.graceful()
        until(lambda: len(server.log.lines(LEADS)) > leads, "a new leader")


@pytest.mark.parametrize("command", ["CLIENT", "SUBSCRIBE"])
def test_server_that_cannot_push(new_redis, new_httpd, command):
    """As servers did before they could."""
    redis = new_redis("--rename-command", command, "")
    server = new_httpd(f"ETagVersionStore {redis.url}\nETagVersionStoreTimeout connect=5s command=5s\n{SITE}",
                       start=False)
    server.write("htdocs/x.txt", "x\n")
    server.start()
    server.log.expect(REFUSED)
    until(lambda: server.log.lines(REFUSED), "the line that explains")
    expect_strict(server, redis)
    expect_one_line(server, command)
