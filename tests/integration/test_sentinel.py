# SPDX-License-Identifier: Apache-2.0
"""Stores behind sentinels: the primary that they name is asked, and trusted no longer than they confirm it."""
import threading
import time

import pytest

from harness.load import Crowd
from harness.redis import RedisError
from harness.tags import is_version
from harness.wait import until

FRESHNESS = ["strict", "lease"]
LEASE = 1.0  # how long a confirmation holds, unless it is configured
SITE = """
ETagVersionStore @STORE@
ETagVersionStoreTimeout connect=1s command=1s
ETagVersionFreshness @FRESHNESS@
ProxyPass /p/ @BACKEND@/p/
<LocationMatch "^/p/(?<NAME>.+)$">
  ETagVersion Version
  ETagVersionModels m.%{env:MATCH_NAME}
</LocationMatch>
"""
KEY = "model_version:m.a"

pytestmark = pytest.mark.parametrize("freshness", FRESHNESS)


@pytest.fixture
def site(new_sentinels, new_httpd, new_backend, freshness):  # sentinels end after httpd
    def make(url, conf=""):
        text = SITE.replace("@STORE@", url).replace("@FRESHNESS@", freshness)
        server = new_httpd(text.replace("@BACKEND@", new_backend().url) + conf, "proxy")
        server.log.expect("etag_version:(warn|error)", optional=True)
        return server
    assert new_sentinels
    return make


@pytest.fixture
def pair(new_redis):
    """A primary and a replica in step."""
    def make(*options, **more):
        primary, replica = new_redis(*options, **more), new_redis(*options, **more)
        for server in (primary, replica):
            server("ACL", "SETUSER", "web", "on", ">pw", "~*", "&*", "+@all")
            server("CONFIG", "SET", "masteruser", "web", "masterauth", "pw")
        replica.replica_of(primary)
        primary("SET", KEY, "1")
        until(lambda: replica("GET", KEY) == b"1", "the replica to follow")
        return primary, replica
    return make


def run(redis, *words):
    """On a connection of its own: sentinels close those that they find."""
    client = redis.client()
    try:
        return client(*words)
    finally:
        client.close()


def tagged(server):
    answer = server.get("/p/a")
    assert answer.status == 200
    return answer.etag if is_version(answer.etag) else None


def await_tag(server):
    return until(lambda: tagged(server), "version tags")


def await_other_tag(server, old):
    def find():
        tag = tagged(server)
        return tag if tag != old else None
    return until(find, "another tag")


def await_untagged(server):
    until(lambda: not tagged(server), "tags to cease")


class NeverAgain:
    """Clients that ask on and on. From a moment on, a tag must not be seen nor match any more."""

    def __init__(self, server, old):
        self.server, self.old = server, old
        self.from_then = None
        self.answers = 0
        self._lock = threading.Lock()
        self.crowd = Crowd(3, self._ask)

    def _ask(self, number, running):
        while running():
            begun = time.monotonic()
            answer = self.server.get("/p/a", tag=self.old) if number else self.server.get("/p/a")
            assert answer.status in (200, 304)
            is_late = self.from_then is not None and begun > self.from_then
            assert not is_late or (answer.status == 200 and answer.etag != self.old), "an old tag"
            with self._lock:
                self.answers += is_late

    def since_now(self, lease=0.0):
        self.from_then = time.monotonic() + lease

    def await_answers(self, n):
        until(lambda: self.crowd.check() or self.answers >= n, "answers")

    def __enter__(self):
        self.crowd.__enter__()
        return self

    def __exit__(self, *error):
        return self.crowd.__exit__(*error)


def test_primary_is_found_and_bumped(site, pair, new_sentinels):
    primary, _ = pair()
    group = new_sentinels(primary)
    server = site(group.url.replace("127.0.0.1", "localhost", 1))
    old = await_tag(server)
    assert server.get("/p/a", tag=old).status == 304
    server.bump("m.a")
    new = tagged(server)
    assert new not in (None, old) and server.get("/p/a", tag=old).status == 200
    assert primary("GET", KEY) != b"1"


def test_database(site, pair, new_sentinels):
    primary, _ = pair()
    primary("SELECT", 3)
    primary("SET", KEY, "in 3")
    server = site(new_sentinels(primary).url + "/3")
    await_tag(server)
    primary("DEL", KEY)
    await_untagged(server)


def test_killed_primary(site, pair, new_sentinels):
    primary, replica = pair()
    group = new_sentinels(primary)
    server = site(group.url)
    old = await_tag(server)
    with NeverAgain(server, old) as never:
        primary.kill()
        group.await_named(replica)
        run(replica, "SET", KEY, "2")
        never.since_now(LEASE)
        new = await_other_tag(server, old)
        never.await_answers(30)
    assert server.get("/p/a", tag=new).status == 304
    server.bump("m.a")
    assert run(replica, "GET", KEY) != b"2"


def test_ordered_failover(site, pair, new_sentinels):
    """The old primary lives on, as a replica."""
    primary, replica = pair()
    group = new_sentinels(primary)
    server = site(group.url)
    old = await_tag(server)
    with NeverAgain(server, old) as never:
        group.failover()
        group.await_named(replica)
        until(lambda: b"role:master" in run(replica, "INFO", "replication"), "the replica to be promoted")
        run(replica, "SET", KEY, "2")
        never.since_now(LEASE)
        new = await_other_tag(server, old)
        never.await_answers(30)
    assert server.get("/p/a", tag=new).status == 304


def test_frozen_primary_that_wakes(site, pair, new_sentinels):
    primary, replica = pair()
    group = new_sentinels(primary)
    server = site(group.url)
    old = await_tag(server)
    with NeverAgain(server, old) as never:
        primary.freeze()
        group.await_named(replica)
        run(replica, "SET", KEY, "2")
        never.since_now(LEASE)
        new = await_other_tag(server, old)
        primary.thaw()
        never.await_answers(never.answers + 100)
    assert server.get("/p/a", tag=new).status == 304


def isolate(primary):
    """Sentinels are shut out, while the store's own user goes on unaware."""
    client = primary.client()
    client("AUTH", "web", "pw")
    client("ACL", "SETUSER", "default", "off", "resetpass")
    for kind in ("normal", "pubsub"):
        client("CLIENT", "KILL", "TYPE", kind, "USER", "default")
    return client


@pytest.mark.parametrize("freeze", [False, True])
def test_isolated_primary(site, pair, new_sentinels, freeze):
    """It answers as before, and does not know that it was replaced."""
    primary, replica = pair()
    group = new_sentinels(primary)
    server = site(group.url.replace("//", "//web:pw@"))
    old = await_tag(server)
    with NeverAgain(server, old) as never:
        client = isolate(primary)
        if freeze:
            primary.freeze()
        group.await_named(replica)
        run(replica, "SET", KEY, "2")
        never.since_now(LEASE)
        if freeze:
            primary.thaw()
        new = await_other_tag(server, old)
        never.await_answers(50)
        assert client("ROLE")[0] == b"master" and client("GET", KEY) == b"1"
    assert server.get("/p/a", tag=new).status == 304
    client.close()


def test_isolated_primary_without_successor(site, new_redis, new_sentinels):
    """No replica can take over, but the sentinels cannot vouch for the primary any more."""
    primary = new_redis()
    primary("ACL", "SETUSER", "web", "on", ">pw", "~*", "&*", "+@all")
    primary("SET", KEY, "1")
    group = new_sentinels(primary, replicas=0)
    server = site(group.url.replace("//", "//web:pw@"))
    await_tag(server)
    client = isolate(primary)
    await_untagged(server)
    client("ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "+@all")
    await_tag(server)
    assert server.log.lines("ETV0122")
    client.close()


@pytest.mark.parametrize("stop, go", [("kill", "start"), ("freeze", "thaw")])
def test_no_sentinel_answers(site, pair, new_sentinels, stop, go):
    primary, _ = pair()
    group = new_sentinels(primary)
    server = site(group.url)
    old = await_tag(server)
    with NeverAgain(server, old) as never:
        group.each(stop)
        never.since_now(LEASE)
        primary("SET", KEY, "2")
        never.await_answers(30)
        assert tagged(server) is None
    answer = server.get("/p/a", tag=old)
    assert answer.status == 200 and server.why(answer) == "store-down"
    assert server.request("POST", "/bump?model=m.a", body=b"").status == 503
    group.each(go)
    assert await_tag(server) != old
    assert server.log.lines("ETV0122")


def has_quorum(sentinel, group):
    try:
        return sentinel("SENTINEL", "CKQUORUM", group.name).startswith(b"OK")
    except RedisError:
        return False


def test_one_sentinel_after_the_other(site, pair, new_sentinels):
    """As long as two of three stand, tags do not cease for longer than a round takes."""
    primary, _ = pair()
    group = new_sentinels(primary)
    server = site(group.url)
    tag = await_tag(server)
    for sentinel in group.sentinels:
        sentinel.kill()
        assert until(lambda: tagged(server), "the others to be asked") == tag
        sentinel.start()
        until(lambda: all(has_quorum(s, group) for s in group.sentinels), "the sentinel to be back")
    assert tagged(server) == tag


def test_minority_confirms_nothing(site, pair, new_sentinels):
    """One sentinel of three is left: the other two may have replaced the primary elsewhere."""
    primary, _ = pair()
    group = new_sentinels(primary)
    server = site(group.url)
    await_tag(server)
    for sentinel in group.sentinels[1:]:
        sentinel.kill()
    await_untagged(server)
    for sentinel in group.sentinels[1:]:
        sentinel.start()
    await_tag(server)


def test_unknown_name(site, pair, new_sentinels):
    primary, _ = pair()
    group = new_sentinels(primary)
    server = site(group.url.replace("/mymaster", "/yourmaster"))
    for _ in range(20):
        answer = server.get("/p/a", tag='W/"v0123456789012345678901"')
        assert answer.status == 200 and server.why(answer) == "store-down"
    assert server.request("POST", "/bump?model=m.a", body=b"").status == 503
    assert server.log.lines("ETV0123")
    assert server.log.lines('no primary named "yourmaster"')


def test_no_sentinel_but_the_primary_itself(site, new_redis):
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(f"redis+sentinel://127.0.0.1:{redis.port}/mymaster")
    assert tagged(server) is None
    assert server.log.lines("is no sentinel")


@pytest.mark.parametrize("login, from_file, works", [
    (":guarded@", "", True), (":wr0ng@", "", False), ("", "guarded\n", True), (":wr0ng@", "guarded\n", True),
    ("", "", False)])
def test_sentinel_with_password(site, pair, new_sentinels, tmp_path, login, from_file, works):
    """The primary has the same one: sentinels, replica and store log in with it."""
    primary, _ = pair("--requirepass", "guarded", password="guarded")
    group = new_sentinels(primary, "sentinel auth-pass mymaster guarded", password="guarded")
    conf = ""
    if from_file:
        file = tmp_path / "password"
        file.write_text(from_file)
        conf = f"ETagVersionStorePassword file:{file}\n"
    server = site(group.url.replace("//", "//" + login), conf)
    if works:
        await_tag(server)
    else:
        assert tagged(server) is None
        assert server.log.lines("refuse the login")
    assert "guarded" not in server.log.text() and "wr0ng" not in server.log.text()
