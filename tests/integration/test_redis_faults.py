# SPDX-License-Identifier: Apache-2.0
"""The Redis store when things go wrong: readers are served, and no old tag ever matches again."""
import threading
import time

import pytest

from harness.load import Crowd
from harness.tags import is_version
from harness.wait import until

SITE = """
ETagVersionFreshness strict
ProxyPass /p/ @BACKEND@/p/
<LocationMatch "^/p/(?<NAME>.+)$">
  ETagVersion Version
  ETagVersionModels m.%{env:MATCH_NAME}
</LocationMatch>
<Location /p/literal>
  ETagVersionModels literal
</Location>
"""
TIMEOUTS = "ETagVersionStoreTimeout connect=400ms command=400ms"
KEY = "model_version:m.a"
WORSE = "etag_version:(warn|error)"


@pytest.fixture
def backend(new_backend):
    return new_backend()


@pytest.fixture
def site(new_httpd, backend):
    """A server for a store's URL; what the module says about a sick store is expected."""
    def make(url, conf=TIMEOUTS, mpm="event"):
        server = new_httpd(f"ETagVersionStore {url}\n{conf}\n" + SITE.replace("@BACKEND@", backend.url), "proxy",
                           mpm=mpm)
        server.log.expect(WORSE, optional=True)
        return server
    return make


def tagged(server, path="/p/a"):
    """The tag of a page; None when there is none right now."""
    answer = server.get(path)
    assert answer.status == 200
    return answer.etag if is_version(answer.etag) else None


def await_tag(server, path="/p/a"):
    return until(lambda: tagged(server, path), "version tags to come back")


def expect_untagged(server, old, why=None, path="/p/a", times=5):
    for _ in range(times):
        answer = server.get(path, tag=old)
        assert answer.status == 200 and not is_version(answer.etag), answer
        assert why is None or server.why(answer) == why


def test_store_down_at_start(site, new_redis):
    redis = new_redis()
    redis.kill()
    server = site(redis.url)
    expect_untagged(server, 'W/"v0123456789012345678901"', "store-down", times=20)
    assert server.request("POST", "/bump?model=m.a", body=b"").status == 503
    redis.start()
    redis("SET", KEY, "1")
    tag = await_tag(server)
    assert server.get("/p/a", tag=tag).status == 304


def test_killed_and_restarted_empty(site, new_redis):
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(redis.unix_url)
    old = await_tag(server)
    redis.kill()
    expect_untagged(server, old, "store-down", times=20)
    redis.start()
    redis("SET", KEY, "1")
    tag = await_tag(server)
    assert tag != old and server.get("/p/a", tag=old).status == 200


def test_restarted_with_its_data(site, new_redis):
    """The same values under the same keys, but a write may have been lost in between."""
    redis = new_redis("--dbfilename", "kept.rdb")
    redis("SET", KEY, "1")
    server = site(redis.url)
    old = await_tag(server)
    redis("SAVE")
    redis("SET", KEY, "2")
    redis.restart()
    assert redis("GET", KEY) == b"1", "the write was lost, as it should be here"
    tag = await_tag(server)
    assert tag != old and server.get("/p/a", tag=old).status == 200


@pytest.mark.parametrize("flush", ["FLUSHALL", "FLUSHDB"])
def test_flushed_counters_repeat_but_tags_do_not(site, new_redis, flush):
    redis = new_redis()
    server = site(redis.unix_url)
    seen = set()
    for _ in range(4):
        for _ in range(3):
            redis("INCR", KEY)
            tag = await_tag(server)
            assert tag not in seen
            seen.add(tag)
        for old in seen - {tag}:
            assert server.get("/p/a", tag=old).status == 200
        redis(flush)
        answer = server.get("/p/a", tag=tag)
        assert answer.status == 200 and not is_version(answer.etag)


def test_swapped_databases(site, new_redis):
    redis = new_redis()
    server = site(redis.url)
    redis("SET", KEY, "1")
    old = await_tag(server)
    redis("SELECT", 1)
    redis("SET", KEY, "2")
    redis("SWAPDB", 0, 1)
    assert server.get("/p/a", tag=old).status == 200
    redis("SELECT", 0)
    redis("SET", KEY, "1")
    assert server.get("/p/a", tag=old).status == 200


def test_frozen(site, new_redis):
    """Each request is answered; after the first few nobody waits for the store any more."""
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(redis.url, "ETagVersionStoreTimeout connect=1s command=1s")
    old = await_tag(server)
    redis.freeze()
    begin = time.monotonic()
    expect_untagged(server, old, "store-down", times=100)
    assert time.monotonic() - begin < 50, "each request seems to wait for the whole deadline"
    redis.thaw()
    tag = await_tag(server)
    assert server.get("/p/a", tag=tag).status == 304


def test_frozen_from_the_start(site, new_redis):
    """The connection is made by the kernel, and then nothing is ever said."""
    redis = new_redis()
    redis.freeze()
    server = site(redis.unix_url)
    begin = time.monotonic()
    expect_untagged(server, 'W/"v0123456789012345678901"', "store-down", times=60)
    assert time.monotonic() - begin < 20
    redis.thaw()
    redis("SET", KEY, "1")
    await_tag(server)


def test_unreachable_address(site):
    server = site("redis://10.255.255.1:6379")
    begin = time.monotonic()
    expect_untagged(server, 'W/"v0123456789012345678901"', "store-down", times=60)
    assert time.monotonic() - begin < 20


def test_too_many_clients(site, new_redis):
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(redis.url)
    redis("CONFIG", "SET", "maxclients", "1")
    expect_untagged(server, 'W/"v0123456789012345678901"', "store-down")
    redis("CONFIG", "SET", "maxclients", "1000")
    await_tag(server)


def test_password_changed(site, new_redis):
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(redis.url)
    tag = await_tag(server)
    redis("CONFIG", "SET", "requirepass", "new")
    redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    expect_untagged(server, tag, "store-down")
    redis("CONFIG", "SET", "requirepass", "")
    assert await_tag(server) == tag


@pytest.mark.parametrize("how", ["drip", "mute"])
def test_slow_answers(site, new_redis, new_drip, how):
    """A deadline for the whole exchange, however many bytes arrive in time."""
    redis = new_redis()
    redis("SET", KEY, "1")
    drip = new_drip(redis.port)
    server = site(f"redis://127.0.0.1:{drip.port}", "ETagVersionStoreTimeout connect=1s command=500ms")
    old = await_tag(server)
    if how == "drip":
        drip.pause = 0.2  # an answer has some hundred bytes
    else:
        drip.mute = True
    begin = time.monotonic()
    expect_untagged(server, old, "store-down", times=60)
    assert time.monotonic() - begin < 25, "single bytes kept a request waiting"
    redis("SET", KEY, "2")
    drip.pause, drip.mute = 0, False
    tag = await_tag(server)
    assert server.get("/p/a", tag=old).status == 200
    assert server.get("/p/a", tag=tag).status == 304


def test_late_answers_are_not_taken_for_others(site, new_redis, new_drip):
    """After a timeout the answer to the old question must not become that of the next."""
    redis = new_redis()
    for name in "ab":
        redis("SET", f"model_version:m.{name}", f"version of {name}")
    drip = new_drip(redis.port)
    server = site(f"redis://127.0.0.1:{drip.port}", "ETagVersionStoreTimeout connect=1s command=100ms")
    tags = {name: await_tag(server, f"/p/{name}") for name in "ab"}
    for _ in range(2):
        drip.pause = 0.003
        for name in "abab":
            server.get(f"/p/{name}")
        drip.pause = 0
        for name in "ab":
            assert await_tag(server, f"/p/{name}") == tags[name]


def test_demoted(site, new_redis):
    """A primary that became a replica keeps its connections and its run id."""
    redis, copy = new_redis(), new_redis()
    redis("SET", KEY, "1")
    server = site(redis.unix_url)
    old = await_tag(server)
    copy.replica_of(redis)
    copy.promote()  # it has all keys that the module made
    redis("SET", KEY, "2")
    redis.replica_of(copy)
    expect_untagged(server, old)
    assert server.request("POST", "/bump?model=m.a", body=b"").status == 503
    redis.promote()
    tag = await_tag(server)
    assert tag != old and server.get("/p/a", tag=old).status == 200


def test_demoted_and_promoted_without_traffic(site, new_redis):
    """Nobody asked in between, so only what is in the store can tell."""
    redis, other = new_redis(), new_redis()
    redis("SET", KEY, "1")
    server = site(redis.unix_url)
    old = await_tag(server)
    redis("SET", KEY, "2")
    other("SET", KEY, "1")
    redis.replica_of(other)
    redis.promote()
    assert server.get("/p/a", tag=old).status == 200


def test_demoted_to_its_own_copy_and_back(site, new_redis):
    """The primary came back with older data of its own and the same epoch, and no request saw it as a replica."""
    redis, copy = new_redis(), new_redis()
    redis("SET", KEY, "1")
    server = site(redis.unix_url)
    old = await_tag(server)
    copy.replica_of(redis)
    copy.promote()
    redis("SET", KEY, "2")
    assert server.get("/p/a", tag=old).status == 200
    redis.replica_of(copy)
    redis.promote()
    assert redis("GET", KEY) == b"1"
    assert server.get("/p/a", tag=old).status == 200


def test_promoted_replica_without_the_last_write(site, new_redis, new_drip):
    primary, replica = new_redis(), new_redis()
    primary("SET", KEY, "1")
    drip = new_drip(primary.port)
    server = site(f"redis://127.0.0.1:{drip.port}")
    old = await_tag(server)
    replica.replica_of(primary)
    replica.promote()
    primary("SET", KEY, "2")
    assert replica("GET", KEY) == b"1"
    drip.target = replica.port
    primary.kill()
    drip.drop()
    tag = await_tag(server)
    assert tag != old
    assert server.get("/p/a", tag=old).status == 200
    # And back again: the old primary returns empty under its address.
    drip.target = primary.start().port
    drip.drop()
    primary("SET", KEY, "1")
    again = await_tag(server)
    assert again not in (old, tag) and server.get("/p/a", tag=tag).status == 200


def test_replica_is_no_store(site, new_redis):
    primary, replica = new_redis(), new_redis()
    primary("SET", KEY, "1")
    await_tag(site(primary.url))  # all keys that the module makes are there
    replica.replica_of(primary)
    server = site(replica.url)
    expect_untagged(server, 'W/"v0123456789012345678901"')
    replica.promote()
    await_tag(server)


def test_loading(site, new_redis):
    redis = new_redis("--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024",
                      "--dbfilename", "kept.rdb")
    for i in range(600):
        redis("SET", f"filler:{i}", "x" * 100)
    redis("SET", KEY, "1")
    server = site(redis.url)
    old = await_tag(server)
    redis("SAVE")
    redis.kill()
    redis.start()
    answers = []
    tag = until(lambda: answers.append(server.get("/p/a", tag=old)) or
                (is_version(answers[-1].etag) and answers[-1].etag), "the end of loading")
    assert tag != old
    assert all(a.status == 200 for a in answers)


def test_read_only(site, new_redis):
    """Nothing can be created or bumped; what exists is still a version."""
    redis = new_redis()
    server = site(redis.url)
    redis("SET", KEY, "1")
    tag = await_tag(server)
    redis("CONFIG", "SET", "min-replicas-to-write", "3")
    assert server.get("/p/a", tag=tag).status == 304
    expect_untagged(server, tag, path="/p/literal")
    assert server.request("POST", "/bump?model=m.a", body=b"").status == 503
    assert server.get("/p/a").status == 200
    redis("CONFIG", "SET", "min-replicas-to-write", "0")
    await_tag(server, "/p/literal")
    server.bump("m.a")
    assert server.get("/p/a", tag=tag).status == 200


def test_cluster_says_no(site, new_redis):
    redis = new_redis(cluster=True)
    server = site(redis.url, TIMEOUTS + '\nETagVersionKeyPrefix "{etag}:"')
    expect_untagged(server, 'W/"v0123456789012345678901"')
    assert server.request("POST", "/bump?model=m.a", body=b"").status == 503


def test_out_of_memory(site, new_redis):
    redis = new_redis("--maxmemory", "1")
    server = site(redis.url)
    expect_untagged(server, 'W/"v0123456789012345678901"', path="/p/literal")
    redis("CONFIG", "SET", "maxmemory", "0")
    await_tag(server, "/p/literal")


def test_connections_closed_by_the_server(site, new_redis):
    """Idle connections that Redis closed are replaced without a failed request."""
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(redis.url, "ETagVersionStoreTimeout connect=5s command=5s")
    tag = await_tag(server)
    for _ in range(10):
        redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until(lambda: len(redis("CLIENT", "LIST").splitlines()) == 1, "the connections to be gone")
        answer = until(lambda: (lambda a: a if a.status == 304 else None)(server.get("/p/a", tag=tag)), "a 304")
        assert answer.etag == tag


def test_own_keys_lost_or_spoiled(site, new_redis):
    """Without its epoch key a store has been flushed; with nonsense under it, it cannot be trusted."""
    redis = new_redis()
    redis("SET", KEY, "1")
    server = site(redis.url)
    seen = []

    def expect_new():
        tag = await_tag(server)
        assert tag not in seen
        assert all(server.get("/p/a", tag=old).status == 200 for old in seen)
        seen.append(tag)

    expect_new()
    own = [key.decode() for key in redis("KEYS", "model_version:%*")]
    assert "model_version:%epoch" in own
    redis("DEL", "model_version:%epoch")
    expect_new()
    redis("DEL", *own)
    redis("SET", KEY, "1")
    expect_new()
    for command in (["HSET", "model_version:%epoch", "a", "b"], ["SET", "model_version:%epoch", ""],
                    ["SET", "model_version:%epoch", "x" * 5000], ["RPUSH", "model_version:%epoch", "1"]):
        redis("DEL", "model_version:%epoch")
        redis(*command)
        for _ in range(3):
            answer = server.get("/p/a", tag=seen[-1])
            assert answer.status == 200
            assert not is_version(answer.etag) or answer.etag not in seen
    redis("DEL", "model_version:%epoch")
    expect_new()


def test_busy_with_a_script(site, new_redis):
    redis = new_redis("--busy-reply-threshold", "50")
    redis("SET", KEY, "1")
    server = site(redis.url)
    tag = await_tag(server)
    busy = redis.client()
    script = "local t = redis.call('TIME')[1]; while redis.call('TIME')[1] - t < 2 do end; return 1"
    with Crowd(1, lambda _n, _r: busy("EVAL", script, 0)) as crowd:
        until(lambda: server.get("/p/a", tag=tag).status == 200, "the script to keep Redis busy")
        crowd.join()
    until(lambda: server.get("/p/a", tag=tag).status == 304, "the tag to be good again")


def test_stores_of_two_virtual_hosts(new_httpd, new_redis, backend):
    """Each virtual host has its own store; a sick one does not touch the other."""
    one, two = new_redis(), new_redis()
    server = new_httpd(f"""
        ETagVersionStore {one.url}
        ProxyPass / {backend.url}/
        <Location />
          ETagVersion Version
          ETagVersionModels m
        </Location>
        <Location /bump>
          ProxyPass "!"
        </Location>
        <VirtualHost *:@PORT@>
          ServerName one
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName two
          ETagVersionStore {two.unix_url}
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName three
          ETagVersionStore local
        </VirtualHost>""", "proxy")
    hosts = ["one", "two", "three"]
    tags = {host: server.get("/x", host=host).etag for host in hosts}
    assert all(map(is_version, tags.values()))
    for bumped in hosts:
        server.bump("m", host=bumped)
        for host in hosts:
            assert server.get("/x", host=host, tag=tags[host]).status == (200 if host == bumped else 304)
        tags[bumped] = server.get("/x", host=bumped).etag
    server.log.expect(WORSE, optional=True)
    two.kill()
    until(lambda: server.get("/x", host="two", tag=tags["two"]).status == 200, "the end of the lease", 10)
    assert server.get("/x", host="one", tag=tags["one"]).status == 304
    assert server.get("/x", host="three", tag=tags["three"]).status == 304


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_faults_under_load(site, new_redis, backend, mpm):
    """Kill, freeze, flush, restart while clients ask: all are served, none with an old page."""
    redis = new_redis()
    server = site(redis.url, "ETagVersionStoreTimeout connect=250ms command=250ms", mpm)
    faults_under_load(server, redis, rounds=1)


@pytest.mark.long
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_many_faults_under_load(site, new_redis, backend, mpm):
    redis = new_redis()
    server = site(redis.url, "ETagVersionStoreTimeout connect=100ms command=50ms", mpm)
    faults_under_load(server, redis, rounds=8)


def faults_under_load(server, redis, rounds):
    """Clients bump by SET and ask with the old tag; a bump counts only when Redis said OK."""
    counts = {"rounds": 0, "early": 0}
    lock = threading.Lock()

    def work(number, running):
        path, key, client, serial = f"/p/w{number}", f"model_version:m.w{number}", None, 0
        while running():
            tag = tagged(server, path)
            if tag and server.get(path, tag=tag).status == 304:
                with lock:
                    counts["early"] += 1
            client, acknowledged = bump(redis, client, key, f"{number}:{serial}")
            serial += 1
            answer = server.get(path, tag=tag or '"x"')
            assert answer.status == 200 or (answer.status == 304 and not acknowledged), answer
            with lock:
                counts["rounds"] += 1

    def lively(name, more):
        before = counts[name]
        until(lambda: counts[name] >= before + more or crowd.check(), f"{more} more {name}")

    with Crowd(4, work) as crowd:
        for _ in range(rounds):
            lively("early", 20)
            redis("FLUSHALL")
            lively("early", 20)
            redis.restart()
            lively("early", 20)
            redis.freeze()
            lively("rounds", 4)
            redis.thaw()
            lively("early", 20)
            redis.kill()
            lively("rounds", 40)
            redis.start()
        lively("early", 20)


def bump(redis, client, key, value):
    """SET by a client of its own; returns the connection for the next time and whether it was done."""
    try:
        if client is None:
            client = redis.client(timeout=0.5)  # the crowd must not stand still with a frozen store
        return client, client("SET", key, value) == b"OK"
    except (OSError, EOFError):
        return None, False


def alternation(server, redis, enough):
    """Several clients bump and ask with the tag from before: never 304."""
    counts = [0] * 4

    def work(number, running):
        client, path = redis.client(), f"/p/w{number % 2}"
        with server.connect() as connection:
            while running():
                tag = connection.request("GET", path).etag
                if number % 3:
                    client("SET", f"model_version:m.w{number % 2}", f"{number} {counts[number]}")
                else:
                    answer = connection.request("POST", f"/bump?model=m.w{number % 2}", body=b"")
                    assert answer.status == 204
                answer = connection.request("GET", path, [("If-None-Match", tag or '"x"')])
                assert answer.status == 200, f"304 after an acknowledged bump: {answer}"
                counts[number] += 1
        client.close()

    with Crowd(4, work) as crowd:
        until(lambda: enough(counts) or crowd.check(), "enough rounds", 150)


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_alternation(site, new_redis, mpm):
    redis = new_redis()
    server = site(redis.unix_url, "ETagVersionStoreTimeout connect=5s command=5s", mpm)
    alternation(server, redis, lambda counts: min(counts) >= 75)


@pytest.mark.long
@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_alternation_storm(site, new_redis, mpm):
    redis = new_redis()
    server = site(redis.url, "ETagVersionStoreTimeout connect=5s command=5s", mpm)
    end = time.monotonic() + 60
    alternation(server, redis, lambda counts: time.monotonic() > end and min(counts) > 300)
