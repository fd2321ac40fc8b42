# SPDX-License-Identifier: Apache-2.0
"""Names that come from requests: remembered, within bounds, and never at the cost of the configured ones."""
import random
import time

import pytest

from harness.lease import (ALIASES, CHILDREN, LITERALS, SITE, acknowledged, await_change, await_hits, await_table,
                           await_tag, calls, tag_of)
from harness.memory import Memory
from harness.tags import is_version
from harness.wait import until

# Rounds of the leader, and changes that are heard of late; each flood asks hundreds of times for configured names.
FEW = 12


@pytest.fixture
def redis(new_redis):
    return new_redis()


@pytest.fixture
def site(new_httpd, redis):
    def make(conf="", mpm="event"):
        server = new_httpd(f"ETagVersionStore {redis.url}\n{ALIASES}\nETagVersionFreshness lease 60s\n"
                           f"ETagVersionStoreTimeout connect=5s command=5s\n{SITE}\n{conf}", "alias", mpm=mpm,
                           start=False)
        server.write("htdocs/x.txt", "x\n")
        return await_table(server.start())
    return make


def test_learned_names_are_remembered(site, redis):
    server = site()
    redis("SET", "model_version:known", "1")
    tag = await_hits(server, redis, "/by/known")
    tag = await_change(server, tag, acknowledged(redis, "SET", "model_version:known", "2"), 60, "/by/known")[1].etag
    assert is_version(tag)
    redis("DEL", "model_version:known")
    answer = await_change(server, tag, time.monotonic(), 60, "/by/known")[1]
    assert not is_version(answer.etag) and server.why(answer) == "missing"


def test_absent_names_are_remembered_until_they_come(site, redis):
    server = site()
    tag_of(server)

    def asks_nobody():
        before = calls(redis, "mget")
        answers = [server.get("/by/absent") for _ in range(5)]
        assert all(not is_version(answer.etag) for answer in answers)
        return calls(redis, "mget") == before
    until(asks_nobody, "the absence to be known")
    for value in "12":
        redis("SET", "model_version:absent", value)
        tag = await_tag(server, "/by/absent")
        assert server.get("/by/absent", tag=tag).status == 304
        redis("DEL", "model_version:absent")
        await_change(server, tag, time.monotonic(), 60, "/by/absent")
        until(asks_nobody, "the absence to be known")


def flood(server, redis, names, seed=1):
    """So many names nobody has heard of, while the pages of the configured ones are asked for; returns how many
    questions the store got more than there were new names."""
    rng = random.Random(seed)
    tags = {name: await_hits(server, redis, f"/lit/{name}") for name in LITERALS}
    before = calls(redis, "mget")
    with server.connect() as connection:
        for i in range(names):
            answer = connection.request("GET", f"/by/{rng.randrange(10 ** 12):x}")
            assert answer.status == 200 and not is_version(answer.etag)
            if i % 20 == 0:
                for name, tag in tags.items():
                    assert connection.request("GET", f"/lit/{name}", [("If-None-Match", tag)]).status == 304
    return calls(redis, "mget") - before - names


@pytest.mark.parametrize("size", [16, 1024])
def test_configured_names_stay(site, redis, size):
    """Requests for them ask nobody, whatever else is asked for."""
    server = site(f"ETagVersionTableSize {size}")
    assert flood(server, redis, 2000) < FEW
    assert flood(server, redis, 100, seed=2) < FEW
    known = [f"known{i}" for i in range(40)]
    redis("MSET", *(word for name in known for word in (f"model_version:{name}", "1")))
    tags = {name: await_tag(server, f"/by/{name}") for name in known}
    redis("MSET", *(word for name in known for word in (f"model_version:{name}", "2")))
    for name, tag in tags.items():
        await_change(server, tag, time.monotonic(), 60, f"/by/{name}")


@pytest.mark.memory
def test_memory_is_bounded(site, redis):
    server = site(CHILDREN["prefork"].replace("6", "1"), "prefork")
    flood(server, redis, 2000)
    memory = Memory(server.children()[0])
    before = memory.now()
    flood(server, redis, 4000, seed=2)
    assert memory.now() - before < 2 << 20, f"{memory.now() - before} bytes more"


@pytest.mark.long
@pytest.mark.storm
@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_flood_of_names(site, redis, mpm):
    """More than the table holds, by its default."""
    server = site(CHILDREN[mpm], mpm)
    assert flood(server, redis, 40000) < FEW
