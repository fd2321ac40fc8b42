# SPDX-License-Identifier: Apache-2.0
"""What comes between httpd and Redis: readers are served, and no old tag is good for longer than the lease."""
import time

import pytest

from harness.hole import BOTH, DOWN, UP, Hole, is_other, is_push
from harness.lease import (ALIASES, CHILDREN, KEY, PUSHED, SITE, UNPUSHED, acknowledged, await_change, await_hits,
                           await_table, await_tag, await_use, calls)
from harness.load import Crowd
from harness.tags import is_version
from harness.wait import until

TROUBLE = r"ETV01(01|07|08|17|20|31)"
LEASE = 0.4


@pytest.fixture
def redis(new_redis):
    return new_redis()


@pytest.fixture
def new_hole():
    made = []

    def make(redis):
        made.append(Hole(redis.port))
        return made[-1]
    yield make
    for hole in made:
        hole.close()


@pytest.fixture
def site(new_httpd):
    """A server whose table is in use; what it says about a sick store is expected."""
    def make(port, lease="lease 400ms", mpm="event", timeouts="connect=300ms command=300ms", children=None):
        server = new_httpd(f"ETagVersionStore redis://127.0.0.1:{port}\n{ALIASES}\nETagVersionFreshness {lease}\n"
                           f"ETagVersionStoreTimeout {timeouts}\n{children or CHILDREN[mpm]}\n{SITE}", "alias", mpm=mpm,
                           start=False)
        server.write("htdocs/x.txt", "x\n")
        server.log.expect(TROUBLE, optional=True)
        return await_table(server.start())
    return make


def published(server):
    return len(server.log.lines(PUSHED + ":"))


def serves(server, tag, since, lease=LEASE):
    """A request now is answered, and if with 304, then not too late."""
    sent = time.monotonic()
    answer = server.get("/x.txt", tag=tag)
    assert answer.status in (200, 304)
    if answer.status == 304:
        assert sent - since <= lease, f"304 {sent - since:.3f} s after the store was last heard of"
    return answer


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_frozen(site, redis, mpm):
    """A store that nobody hears may be about to forget what it said."""
    server = site(redis.port, mpm=mpm, timeouts="connect=150ms command=150ms")
    for i in range(2):
        tag = await_tag(server)
        redis.freeze()
        since = time.monotonic()
        until(lambda: serves(server, tag, since).status == 200, "the table to be void")
        for _ in range(10):
            answer = server.get("/x.txt", tag=tag)
            assert answer.status == 200 and not is_version(answer.etag)
        assert server.log.lines(UNPUSHED + ":")
        redis.thaw()
        then = acknowledged(redis, "SET", KEY, f"{i}")
        await_change(server, tag, then, LEASE)
        await_use(server, redis)


@pytest.mark.long
def test_log_does_not_end_with_what_is_over(site, redis):
    """Lines of one kind come once in ten seconds; the last of them is true all the same."""
    server = site(redis.port)
    for _ in range(3):
        lost = len(server.log.lines(UNPUSHED + ":"))
        redis.freeze()
        until(lambda: len(server.log.lines(UNPUSHED + ":")) > lost, "the line about the loss", 60)
        redis.thaw()
        until(lambda: published(server) > lost + 1, "the line about the return", 60)


def test_frozen_for_a_moment(site, redis):
    """Shorter than the lease: nothing is lost, and nobody has to wait for the store."""
    server = site(redis.port, "lease 60s")
    tag = await_hits(server, redis)
    for _ in range(5):
        redis.freeze()
        for _ in range(20):
            assert server.get("/x.txt", tag=tag).status == 304
        redis.thaw()
        assert server.get("/x.txt", tag=tag).status == 304
    tag = await_change(server, tag, acknowledged(redis, "SET", KEY, "1"), 60)[1].etag
    assert published(server) == 1 and not server.log.lines(UNPUSHED)


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_connections_killed(site, redis, kind):
    server = site(redis.port, "lease 60s", timeouts="connect=5s command=5s")
    for i in range(10):
        tag = await_hits(server, redis)
        redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        # With the longest lease, a change that is not heard of would stay unnoticed.
        await_change(server, tag, acknowledged(redis, "SET", KEY, f"{i}"), 10)


@pytest.mark.parametrize("lost", ["pushes", "answers"])
def test_own_bump_needs_no_push(site, redis, new_hole, lost):
    """What this host changes, it knows; also when it does not know whether it has."""
    hole = new_hole(redis)
    server = site(hole.port, "lease 60s")
    server.log.expect("ETV015[12]", optional=True)  # what was not acknowledged is tried again
    for _ in range(2):
        tag = await_hits(server, redis)
        assert server.get("/x.txt", tag=tag).status == 304
        hole.silence((DOWN,), is_push if lost == "pushes" else None)
        answer = server.request("POST", "/bump?model=m", body=b"")
        assert answer.status == (204 if lost == "pushes" else 503)
        for _ in range(4):
            assert server.get("/x.txt", tag=tag).status == 200
        hole.sound()


def test_late_answer_is_not_remembered(site, redis, new_hole):
    """A version that was asked for before a change, and is heard of after it."""
    hole = new_hole(redis)
    # A single child, so that the request finds a connection that was made before the silence.
    server = site(hole.port, "lease 60s", timeouts="connect=20s command=20s", children="StartServers 1")
    for i in range(3):
        old = await_hits(server, redis)
        await_change(server, old, acknowledged(redis, "SET", KEY, f"{i} before"), 10)
        old = await_hits(server, redis)
        redis("SET", KEY, f"{i} between")
        time.sleep(0.1)  # until it has been heard, which nothing shows
        asked = calls(redis, "mget")
        hole.silence((DOWN,), is_other)
        answers = []
        with Crowd(1, lambda _number, _running: answers.append(server.get("/x.txt", tag=old))) as crowd:
            until(lambda: calls(redis, "mget") > asked, "the request to ask")
            then = acknowledged(redis, "SET", KEY, f"{i} after")
            time.sleep(0.2)  # as above
            hole.sound()
            crowd.join()
        answer = answers[0]
        assert answer.status == 200 and is_version(answer.etag) and answer.etag != old
        await_change(server, answer.etag, then, 10)


def test_paused(site, redis):
    """Writes wait, and are acknowledged later; the server answers pings meanwhile."""
    server = site(redis.port)
    tag = await_tag(server)
    redis("CLIENT", "PAUSE", 300, "WRITE")
    then = acknowledged(redis, "SET", KEY, "1")
    tag = await_change(server, tag, then, LEASE)[1].etag or await_tag(server)
    redis("CLIENT", "PAUSE", 700, "ALL")
    then = acknowledged(redis, "SET", KEY, "2")
    await_change(server, tag, then, LEASE)


def test_more_pushes_than_the_server_keeps(site, redis):
    """It ends a connection whose pushes do not fit; then everything is void."""
    server = site(redis.port, "lease 60s", timeouts="connect=5s command=5s")
    redis("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4kb 0 0")
    tag = await_hits(server, redis)
    words = [word for i in range(20000) for word in (f"model_version:filler{i}", "1")]
    then = acknowledged(redis, "MSET", *words, KEY, "1")
    await_change(server, tag, then, 10)
    await_hits(server, redis)


def test_very_many_keys_at_once(site, redis):
    server = site(redis.port, "lease 60s", timeouts="connect=5s command=5s")
    tag = await_hits(server, redis)
    words = [word for i in range(50000) for word in (f"model_version:filler{i}", "1")]
    then = acknowledged(redis, "MSET", *words, KEY, "1")
    tag = await_change(server, tag, then, 10)[1].etag
    redis("DEL", *words[::2])
    assert server.get("/x.txt", tag=tag).status == 304
    await_hits(server, redis)
    assert published(server) == 1


def silence(name, directions, only=None, marks=pytest.mark.long):
    return pytest.param(directions, only, id=name, marks=marks)


@pytest.mark.parametrize("directions, only", [
    silence("all", BOTH, marks=()), silence("up", (UP,)), silence("down", (DOWN,)), silence("push", BOTH, is_push),
    silence("push-up", (UP,), is_push), silence("push-down", (DOWN,), is_push, marks=()),
    silence("rest-up", (UP,), is_other), silence("rest-down", (DOWN,), is_other, marks=()),
])
def test_silence(site, redis, new_hole, directions, only):
    """The network swallows everything, one direction, or one of the connections, and nobody is told."""
    hole = new_hole(redis)
    server = site(hole.port, timeouts="connect=150ms command=150ms")
    worst = 0.0
    for i in range(2):
        tag = await_tag(server)
        assert server.get("/x.txt", tag=tag).status in (200, 304)
        hole.silence(directions, only)
        worst = max(worst, await_change(server, tag, acknowledged(redis, "SET", KEY, f"{i}"), LEASE)[0])
        for _ in range(5):
            assert server.get("/x.txt", tag=tag).status == 200
        redis("SET", KEY, f"{i} and {i}")
        hole.sound()  # what was held back comes late, among it answers that are no longer true
        for _ in range(20):
            assert server.get("/x.txt", tag=tag).status == 200
        tag = await_tag(server)
        await_use(server, redis)
    print(f"old tags were good for {1000 * worst:.0f} ms of {1000 * LEASE:.0f} ms")


def test_silence_from_the_start(site, redis, new_hole):
    """Connections that are made and never answered."""
    hole = new_hole(redis)
    server = site(hole.port, timeouts="connect=150ms command=150ms")
    tag = await_tag(server)
    hole.silence()
    redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    redis("CLIENT", "KILL", "TYPE", "pubsub")
    await_change(server, tag, acknowledged(redis, "SET", KEY, "1"), LEASE)
    for _ in range(10):
        assert server.get("/x.txt", tag=tag).status == 200
    hole.sound()
    await_use(server, redis)
