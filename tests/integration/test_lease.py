# SPDX-License-Identifier: Apache-2.0
"""ETagVersionFreshness lease when all is well: who is asked, what is shared, and what is seen when."""
import contextlib
import time

import pytest

from harness.lease import (ALIASES, CHILDREN, KEY, LEADS, PUSHED, SITE, UNPUSHED, acknowledged, await_change,
                           await_hits, await_table, await_tag, calls, leader, pids, tag_of)
from harness.load import all_together
from harness.tags import is_version
from harness.wait import until


@pytest.fixture
def site(new_httpd):
    """A server whose store is the given URL."""
    def make(url, conf="", mpm="event", freshness="lease 60s", site=SITE, start=True):
        server = new_httpd(f"ETagVersionStore {url}\n{ALIASES}\nETagVersionFreshness {freshness}\n"
                           f"ETagVersionStoreTimeout connect=5s command=5s\n{site}\n{conf}",
                           "alias", mpm=mpm, start=False)
        server.write("htdocs/x.txt", "x\n")
        return server.start() if start else server
    return make


@pytest.fixture
def redis(new_redis):
    return new_redis()


# --- the directive --------------------------------------------------------------------------------

def test_lease_is_the_default(new_httpd, redis):
    server = new_httpd(f"ETagVersionStore {redis.url}\n{SITE}", start=False)
    server.write("htdocs/x.txt", "x\n")
    server.start()
    await_table(server)
    assert len(server.log.lines(LEADS)) == 1
    tag = await_tag(server)
    redis("SET", KEY, "1")
    await_change(server, tag, time.monotonic(), lease=1)


@pytest.mark.parametrize("good", ["strict", "lease", "lease 250ms", "LEASE 1s", "lease 60s", "lease 50ms", "lease 2"])
def test_values(site, good):
    code, output = site("redis://127.0.0.1:1", freshness=good, start=False).configtest()
    assert code == 0, output


@pytest.mark.parametrize("bad", ["lease 49ms", "lease 61s", "lease 0", "lease -1s", "lease soon", "loose",
                                 "strict 1s", "1s", "lease 1s 2s", '""'])
def test_wrong_values_explain(site, bad):
    code, output = site("redis://127.0.0.1:1", freshness=bad, start=False).configtest()
    accepted = ("strict, or lease", "a lease from 50ms to 60s", "strict: ask the primary")
    assert code != 0 and "ETagVersionFreshness" in output and any(text in output for text in accepted), output


def test_strict_keeps_no_table(site, redis):
    server = site(redis.url, freshness="strict")
    tag = tag_of(server)
    before = calls(redis, "mget")
    for _ in range(20):
        assert server.get("/x.txt", tag=tag).status == 304
    assert calls(redis, "mget") == before + 20
    assert not server.log.lines(PUSHED) and not server.log.lines(LEADS)
    assert b"__redis__:invalidate" not in b"".join(redis("PUBSUB", "CHANNELS"))


# --- who is asked ---------------------------------------------------------------------------------

ROUNDS = ("multi", "exec", "mget", "role", "ping", "info", "set")


@pytest.mark.parametrize("mpm, many", [("event", 10000), ("worker", 2000), ("prefork", 2000)])
def test_requests_ask_nobody(site, redis, mpm, many):
    """With the longest lease there are hardly any rounds, so every command would be a request's."""
    server = site(redis.url, CHILDREN[mpm], mpm)
    await_table(server)
    tag = await_hits(server, redis)
    before, begin = calls(redis, *ROUNDS), time.monotonic()

    def ask(_number):
        with server.connect() as connection:
            for _ in range(many // 4):
                assert connection.request("GET", "/x.txt", [("If-None-Match", tag)]).status == 304
    all_together(4, ask)
    rounds = 20 + (time.monotonic() - begin) / 15  # on a busy machine the table may begin anew
    more = [after - old for after, old in zip(calls(redis, *ROUNDS), before)]
    own = {"info": 1}  # this count itself
    for name, n in zip(ROUNDS, more):
        # a round is one transaction with two INFO, behind one PING
        assert n - own.get(name, 0) <= rounds * (2 if name == "info" else 1), dict(zip(ROUNDS, more))
    assert more[ROUNDS.index("set")] == 0


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_one_question_after_a_change(site, redis, mpm):
    """All children of a host take the answer from the first one that asks."""
    server = site(redis.url, CHILDREN[mpm], mpm)
    await_table(server)
    old = await_hits(server, redis)
    for value in range(5):
        before = calls(redis, "multi", "mget", "exec", "ping")
        redis("SET", KEY, f"value {value}")
        answer = until(lambda: (lambda a: a if a.status == 200 else None)(server.get("/x.txt", tag=old)),
                       "the change to be seen")
        for _ in range(30):
            assert server.get("/x.txt", tag=answer.etag).status == 304
            assert server.get("/x.txt", tag=old).status == 200
        *more, rounds = (a - b for a, b in zip(calls(redis, "multi", "mget", "exec", "ping"), before))
        assert [n - rounds for n in more] == [1, 1, 1]
        old = answer.etag


def test_pages_of_several_models(site, redis):
    server = site(redis.url, """
        <LocationMatch "^/lit/two$">
          ETagVersionModels l0 l1
        </LocationMatch>""")
    await_table(server)
    tag = await_hits(server, redis, "/lit/two")
    redis("SET", "model_version:l2", "other")
    redis("SET", "elsewhere:l0", "other")
    assert server.get("/lit/two", tag=tag).status == 304
    for model in ("l0", "l1"):
        redis("SET", f"model_version:{model}", "new")
        tag = await_change(server, tag, time.monotonic(), 60, "/lit/two")[1].etag
    before = calls(redis, "mget")
    tag_of(server, "/lit/l0"), tag_of(server, "/lit/l1")
    assert calls(redis, "mget") == before, "the same models of other pages"


# --- what is seen when ----------------------------------------------------------------------------

def of_old(redis):
    """What the other databases of the swap have: another epoch key, or none."""
    other = redis.client()
    other("SELECT", 7)
    other("SET", KEY, "of old")
    other.close()


CHANGES = [
    ("SET", ["SET", KEY, "s"]), ("INCR", ["INCR", KEY]), ("DEL", ["DEL", KEY]), ("UNLINK", ["UNLINK", KEY]),
    ("GETSET", ["GETSET", KEY, "g"]), ("APPEND", ["APPEND", KEY, "1"]), ("MSET", ["MSET", "a", "1", KEY, "m"]),
    ("EVAL", ["EVAL", "redis.call('SET', KEYS[1], 'y')", 1, KEY]), ("RENAME to", ["RENAME", "spare", KEY]),
    ("RENAME from", ["RENAME", KEY, "spare2"]), ("COPY", ["COPY", "spare", KEY, "REPLACE"]),
    ("MOVE", ["MOVE", KEY, 9]), ("SETEX", ["SETEX", KEY, 100, "x"]),
    ("HSET", ["EVAL", "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'a', 'b')", 1, KEY]),
    ("FLUSHDB", ["FLUSHDB"]), ("FLUSHALL", ["FLUSHALL"]), ("FLUSHALL ASYNC", ["FLUSHALL", "ASYNC"]),
    ("SWAPDB", ["SWAPDB", 0, 7]), ("epoch", ["DEL", "model_version:%epoch"]),
]


def test_changes_are_seen(site, redis):
    """Whatever changes a version, the old tag is refused at most a lease after the acknowledgement."""
    lease = 0.4
    server = site(redis.url, freshness="lease 400ms")
    await_table(server)
    delays = {}
    for name, command in CHANGES:
        redis("DEL", KEY)
        redis("SET", KEY, 5)
        redis("SET", "spare", name)
        of_old(redis)
        tag = await_tag(server)
        for _ in range(3):
            tag = await_tag(server)  # what was made just now may be heard of still
        good, answer = await_change(server, tag, acknowledged(redis, *command), lease)
        delays[name] = good
        if name == "HSET":
            assert not is_version(answer.etag)
        for _ in range(3):
            assert server.get("/x.txt", tag=tag).status == 200, name
    print("old tags were good for", {name: f"{1000 * d:.0f} ms" for name, d in delays.items() if d})


@pytest.mark.parametrize("command", [["FLUSHDB"], ["FLUSHALL"], ["DEL", "model_version:%epoch"]], ids=" ".join)
def test_what_is_pushed_is_heard_at_once(site, redis, command):
    """Not only by the next round, which with the longest lease is some time away."""
    server = site(redis.url)
    await_table(server)
    for _ in range(3):
        tag = await_hits(server, redis)
        await_change(server, tag, acknowledged(redis, *command), 10)


def test_databases_swapped_and_back(site, redis):
    """What was read of the other database meanwhile is not remembered for this one."""
    server = site(redis.url)
    await_table(server)
    names = [f"here{i}" for i in range(5)]
    other = redis.client()
    other("SELECT", 7)
    other("MSET", "model_version:%epoch", "of its own", "model_version:%secret", "0123456789abcdef" * 2)
    other.close()
    for name in names:
        redis("SET", f"model_version:{name}", "1")
    tags = {name: await_hits(server, redis, f"/by/{name}") for name in names}
    server.log.expect("ETV01(08|31)")
    redis("CLIENT", "KILL", "TYPE", "pubsub")  # the table begins anew
    until(lambda: server.log.lines(UNPUSHED + ":"), "the end of the old table")
    await_hits(server, redis)
    redis("SWAPDB", 0, 7)
    for name in names:
        assert server.get(f"/by/{name}", tag=tags[name]).status == 200
        assert not is_version(server.get(f"/by/{name}").etag)
    redis("SWAPDB", 0, 7)
    for name in names:  # seen at the next round, if one fell in between
        until(lambda: server.get(f"/by/{name}", tag=tags[name]).status == 304, "the old data")


def test_expiry_is_seen(site, redis):
    server = site(redis.url, freshness="lease 400ms")
    await_table(server)
    redis("SET", KEY, "1")
    tag = await_tag(server)
    redis("PEXPIRE", KEY, 30)
    until(lambda: not redis("EXISTS", KEY), "the key to expire")
    await_change(server, tag, time.monotonic(), 0.4)


def test_new_server_life_is_seen(site, new_redis):
    """The same values after DEBUG RELOAD are the same; after a restart, demotion or promotion they prove nothing."""
    redis, other = new_redis("--enable-debug-command", "yes", "--dbfilename", "kept.rdb"), new_redis()
    lease = 0.4
    server = site(redis.url, freshness="lease 400ms")
    server.log.expect(r"ETV01(01|06|07|08|11|12|13|17|20|31)", optional=True)
    await_table(server)
    redis("SET", KEY, "1")
    tag = await_tag(server)
    redis("DEBUG", "RELOAD")
    assert await_tag(server) == tag
    redis("SET", KEY, "2")
    tag = await_change(server, tag, time.monotonic(), lease)[1].etag or await_tag(server)

    other("SET", KEY, "2")
    redis("REPLICAOF", "127.0.0.1", other.port)
    await_change(server, tag, time.monotonic(), lease)
    until(lambda: b"master_link_status:up" in redis("INFO", "replication"), "the replica in step")
    assert not is_version(server.get("/x.txt").etag)
    redis.promote()
    again = await_tag(server)
    assert again != tag and server.get("/x.txt", tag=tag).status == 200

    redis("SAVE")
    before = len(server.log.lines(PUSHED))
    redis.restart()
    started = time.monotonic()
    assert redis("GET", KEY) == b"2"
    await_change(server, again, started, lease)
    assert await_tag(server) not in (tag, again)
    redis("SET", KEY, "3")
    until(lambda: server.get("/x.txt", tag=again).status == 200, "life to go on")
    assert before >= 1


@contextlib.contextmanager
def connections(server, n):
    opened = [server.connect() for _ in range(n)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


def ask(server, opened, number, *request, **more):
    """On that connection; on a new one when httpd, being busy, has closed it meanwhile."""
    try:
        return opened[number].request(*request, **more)
    except (EOFError, ConnectionError):
        opened[number].close()
        opened[number] = server.connect()
        return opened[number].request(*request, **more)


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_own_bump_is_seen_at_once(site, redis, mpm):
    """By whoever asks next, at any child of this host; also the other way round."""
    server = site(redis.url, CHILDREN[mpm], mpm)
    await_table(server)
    with connections(server, 5 if mpm == "prefork" else 18) as opened:
        for _ in range(15):
            tag = await_tag(server)
            for number in range(len(opened)):
                assert ask(server, opened, number, "GET", "/x.txt", [("If-None-Match", tag)]).status == 304
            assert ask(server, opened, 0, "POST", "/bump?model=m", body=b"").status == 204
            for number in range(len(opened)):
                answer = ask(server, opened, number, "GET", "/x.txt", [("If-None-Match", tag)])
                assert answer.status == 200 and is_version(answer.etag) and answer.etag != tag


def test_hosts_hear_each_other(site, redis):
    one, two = site(redis.url), site(redis.url)
    for server in (one, two):
        await_table(server)
    for writer, reader in ((one, two), (two, one)) * 5:
        tag = await_hits(reader, redis)
        writer.bump("m")
        await_change(reader, tag, time.monotonic(), 60)
    # one connection for pushes and one for rounds of each host, not of each child
    clients = redis("CLIENT", "LIST").decode()
    assert clients.count("cmd=subscribe") + clients.count("sub=1") >= 2
    assert clients.count(" sub=1") == 2, clients


# --- what is apart --------------------------------------------------------------------------------

def test_stores_never_mix(new_httpd, new_redis):
    """Virtual hosts that differ in the server, the database, the prefix, the user or the lease: the same model
    has another value for each, and a change concerns none of the others."""
    one, two = new_redis(), new_redis()
    one("ACL", "SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all")
    stores = {
        "plain": (f"redis://127.0.0.1:{one.port}", "", 60),
        "db": (f"redis://127.0.0.1:{one.port}/3", "", 60),
        "prefix": (f"redis://127.0.0.1:{one.port}", "ETagVersionKeyPrefix other:", 60),
        "two": (f"redis://127.0.0.1:{two.port}", "", 60),
        "strict": (f"redis://127.0.0.1:{two.port}/1", "", 0),
        "local": ("local", "", 0),
    }
    same = {
        "again": (f"redis://127.0.0.1:{one.port}", "", 60),
        "short": (f"redis://127.0.0.1:{one.port}", "", 0.3),
        "user": (f"redis://reader:pw@127.0.0.1:{one.port}", "", 60),
        "asked": (f"redis://127.0.0.1:{one.port}", "", 0),
    }
    conf = [SITE]
    for name, (url, more, lease) in {**stores, **same}.items():
        freshness = f"lease {int(lease * 1000)}ms" if lease else "strict"
        conf.append(f"<VirtualHost *:@PORT@>\nServerName {name}\nETagVersionStore {url}\n{more}\n"
                    f"ETagVersionFreshness {freshness}\n"
                    "ETagVersionStoreTimeout connect=5s command=5s\n</VirtualHost>")
    server = new_httpd("\n".join(conf), start=False)
    server.write("htdocs/x.txt", "x\n")
    server.start()
    keys = {"plain": (one, 0, KEY), "db": (one, 3, KEY), "prefix": (one, 0, "other:m"), "two": (two, 0, KEY),
            "strict": (two, 1, KEY)}
    until(lambda: len(server.log.lines(PUSHED)) >= 6, "all tables to be in use")

    def change(name, value):
        if name == "local":
            server.bump("m", host="local")
            return time.monotonic()
        redis, db, key = keys[name]
        redis("SELECT", db)
        redis("SET", key, value)
        return time.monotonic()

    for i, name in enumerate(stores):
        change(name, f"{i}")
    lease = {name: entry[2] for name, entry in {**stores, **same}.items()}
    tags = {}
    for name in {**stores, **same}:
        tags[name] = await_tag(server, host=name)
        until(lambda: server.get("/x.txt", tag=tags[name], host=name).status == 304 or  # the first change is heard
              tags.update({name: await_tag(server, host=name)}), "a steady tag")
    assert len(set(tags.values())) == len(tags)
    for round_ in range(2):
        for changed in stores:
            then = change(changed, f"{changed} {round_}")
            hit = [changed] + (list(same) if changed == "plain" else [])
            for name in hit:
                tags[name] = await_change(server, tags[name], then, lease[name] or 0, host=name)[1].etag
                assert is_version(tags[name])
            for name, tag in tags.items():
                assert server.get("/x.txt", tag=tag, host=name).status == 304, (changed, name)


def test_two_sites_of_one_store_share(site, redis):
    """Virtual hosts that say the same in lines of their own have one listener and one table."""
    host = ("<VirtualHost *:@PORT@>\nServerName {}\nETagVersionStore {}\nETagVersionFreshness lease 60s\n"
            "ETagVersionStoreTimeout connect=5s command=5s\n</VirtualHost>\n")
    server = site(redis.url, host.format("one", redis.url) + host.format("two", redis.url))
    await_table(server)
    await_hits(server, redis, host="one")
    before = calls(redis, "mget")
    tag_of(server, host="two")
    assert calls(redis, "mget") == before
    assert len(server.log.lines(LEADS)) == 1
    tags = {name: tag_of(server, host=name) for name in ("one", "two")}
    server.bump("m", host="one")
    for name, tag in tags.items():
        assert server.get("/x.txt", tag=tag, host=name).status == 200


def test_a_stopped_server_leaves_nothing(site, redis):
    server = site(redis.url, CHILDREN["event"])
    await_table(server)
    assert leader(server) in server.children() and len(pids(server, PUSHED)) == 1
    server.stop(gracefully=True)
    until(lambda: len(redis("CLIENT", "LIST").splitlines()) == 1, "the connections to be gone")
