# SPDX-License-Identifier: Apache-2.0
"""Bumps and faults: several hosts on one store, and what is left of a change when somebody dies in the middle of it."""
import os
import signal
import time

import pytest

from harness.bumping import MODEL, NO_STORE, SITE, Data, await_pages, page_tag, post, proxied, stored
from harness.lease import await_table
from harness.netns import new_link
from harness.tags import is_version
from harness.wait import until

GRACE = 2
OPEN = f"model_version:%open:{MODEL}"
FRESHNESS = {"strict": 0.0, "lease 500ms": 0.5}


class Reader:
    """Asks a host again and again with the tags of what it has; notes every 304 for data that was old."""

    def __init__(self, server, data, lease):
        self.server, self.data, self.lease = server, data, lease
        self.bodies, self.stale, self.good = {}, [], 0

    def ask(self):
        """Once with every tag so far, and once without."""
        for tag, body in list(self.bodies.items()) + [(None, None)]:
            with self.data.lock:
                number, since = self.data.number, self.data.committed_at
            sent = time.monotonic()
            answer = self.server.get("/page", tag=tag)
            if answer.status == 304:
                self.good += 1
                if body != number and sent - since > self.lease:
                    self.stale.append((tag, body, number, sent - since))
            else:
                assert answer.status == 200, answer
                if is_version(answer.etag):
                    # The body may be newer than the tag, never older.
                    self.bodies.setdefault(answer.etag, int(answer.body))

    def until_good(self, what="304s to come back"):
        """Until the newest data are answered with 304 again."""
        def good():
            before = self.good
            self.ask()
            return self.good > before
        until(good, what, 60)


@pytest.fixture(name="hosts")
def _hosts(new_httpd, new_origin):
    data = Data(new_origin())

    def make(*urls, freshness="strict", more="", patience="5s"):
        made = []
        for url in urls:
            server = new_httpd(stored(url, freshness, patience) + f"Timeout {GRACE}\n" +
                               proxied(data.origin, "timeout=60") + SITE + more, "proxy")
            made.append(server if freshness == "strict" else await_table(server))
        return data, made
    return make


def kill_host(server):
    """All its processes at once, so that nothing is cleaned up."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


# --- a host dies ---

@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])
def test_a_host_dies_between_commit_and_bump(hosts, new_redis, freshness, protected):
    redis = new_redis()
    data, (a, b) = hosts(redis.url, redis.url, freshness=freshness)
    lease = FRESHNESS[freshness]
    reader = Reader(b, data, lease)
    reader.until_good()
    data.hold_after = "answer"
    with post(a):
        until(lambda: data.number == 1, "the backend to commit")
        kill_host(a)
    if not protected:
        redis("DEL", OPEN)
    end = time.monotonic() + lease + 2 * GRACE
    while time.monotonic() < end and not reader.stale:
        reader.ask()
        time.sleep(0.02)
    if not protected:
        assert reader.stale, "without the intent in the store there should have been stale answers"
        return
    assert not reader.stale
    reader.until_good()
    assert not reader.stale
    assert redis("EXISTS", OPEN) == 0
    assert b.log.lines("ETV0353") == []  # it was not a request that did it


def test_a_child_dies_on_a_host_with_the_local_store(new_httpd, new_origin):
    data = Data(new_origin())
    server = new_httpd(f"Timeout {GRACE}\n" + proxied(data.origin, "timeout=60") + SITE, "proxy")
    reader = Reader(server, data, 0.0)
    reader.until_good()
    data.hold_after = "answer"
    with post(server):
        until(lambda: data.number == 1, "the backend to commit")
        old = server.children()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
    until(lambda: server.children() and not set(old) & set(server.children()), "other children")
    reader.until_good()
    assert not reader.stale


# --- a child is ended ---

ENDS = {
    "restart": lambda server: os.kill(server.process.pid, signal.SIGHUP),
    "child": lambda server: [os.kill(pid, signal.SIGTERM) for pid in server.children()],
    "stop": lambda server: os.kill(server.process.pid, signal.SIGTERM),
}


@pytest.mark.parametrize("end,store", [("restart", "local"), ("restart", "redis"), ("child", "local"),
                                       ("child", "redis"), ("stop", "redis")])
def test_a_child_is_ended_before_the_commit(new_httpd, new_origin, new_redis, end, store):
    """With prefork a signal ends it in the middle of a request. The backend goes on, and commits later."""
    data = Data(new_origin())
    redis = new_redis() if store == "redis" else None
    servers = [new_httpd((stored(redis.url) if redis else "") + f"Timeout {2 * GRACE}\n" +
                         proxied(data.origin, "timeout=60") + SITE, "proxy", mpm="prefork")
               for _ in range(2 if redis else 1)]
    readers = [Reader(server, data, 0.0) for server in servers]
    for reader in readers:
        reader.until_good()
    data.hold_before = "commit"
    calls = data.origin.calls()
    old = servers[0].children()
    with post(servers[0]):
        until(lambda: data.origin.calls() > calls, "the backend to begin")
        ENDS[end](servers[0])
        until(lambda: not set(old) & set(servers[0].children()), "the children to end")
        if end == "stop":
            servers[0].process.wait()
            readers.pop(0)
        for _ in range(10):  # as it was, and without a tag
            for reader in readers:
                answer = reader.server.get("/page")
                assert (answer.status, int(answer.body), answer.etag) == (200, 0, None), answer
                time.sleep(0.02)
        data.origin.say("commit")
        until(lambda: data.number == 1, "the backend to commit")
    for reader in readers:
        reader.until_good()
        assert not reader.stale
    if redis:
        until(lambda: redis("EXISTS", OPEN) == 0, "the intent to be gone")


# --- the store goes away ---

def restartable(new_redis, kept):
    return new_redis("--appendonly", "yes", "--appendfsync", "always") if kept else new_redis()


@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("kept", [True, False], ids=["persistent", "forgetful"])
@pytest.mark.parametrize("down", ["before-commit", "after-commit", "at-bump"])
def test_the_store_restarts_in_the_middle(hosts, new_redis, freshness, kept, down):
    redis = restartable(new_redis, kept)
    data, (a, b) = hosts(redis.url, redis.url, freshness=freshness)
    for server in (a, b):
        server.log.expect(NO_STORE, optional=True)
    readers = [Reader(server, data, FRESHNESS[freshness]) for server in (a, b)]
    for reader in readers:
        reader.until_good()
    data.hold_before, data.hold_after = "commit", "answer"
    with post(a) as client:
        until(lambda: data.origin.calls("/page") and redis("EXISTS", OPEN), "the intent")
        if down == "before-commit":
            redis.restart()
            for reader in readers:
                reader.ask()
        data.origin.say("commit")
        until(lambda: data.number == 1, "the backend to commit")
        if down == "after-commit":
            redis.restart()
            for reader in readers:
                reader.ask()
        if down == "at-bump":
            redis.kill()
        data.origin.say("answer")
        assert client.read_response().status == 200
    for reader in readers:
        reader.ask()
    if down == "at-bump":
        redis.start()
    for reader in readers:
        reader.until_good()
        assert not reader.stale
    until(lambda: redis("EXISTS", OPEN) == 0, "the intent to be gone")


def test_a_bump_survives_a_graceful_restart(hosts, new_redis):
    redis = new_redis("--appendonly", "yes")
    data, (a, b) = hosts(redis.url, redis.url)
    for server in (a, b):
        server.log.expect(NO_STORE, optional=True)
    readers = [Reader(server, data, 0.0) for server in (a, b)]
    for reader in readers:
        reader.until_good()
    data.hold_after = "answer"
    with post(a) as client:
        until(lambda: data.number == 1, "the backend to commit")
        redis.kill()
        data.origin.say("answer")
        assert client.read_response().status == 200
    old = a.children()
    a.graceful()
    until(lambda: a.children() and not set(old) & set(a.children()), "the old children to end")
    answer = a.get("/page")
    assert answer.etag is None and a.why(answer) == "pending"
    redis.start()
    for reader in readers:
        reader.until_good()
        assert not reader.stale


@pytest.fixture(name="link")
def _link():
    link = new_link()
    yield link
    link.close()


@pytest.mark.long
@pytest.mark.parametrize("freshness", FRESHNESS)
def test_a_host_is_cut_off(link, hosts, freshness):  # hosts end before the link does
    """What it cannot deliver, another host completes after the grace; then it delivers, too."""
    data, (a, b) = hosts(f"redis://{link.host}:{link.port}", link.redis.unix_url, freshness=freshness,
                         patience="300ms")
    for server in (a, b):
        server.log.expect(NO_STORE, optional=True)
    readers = [Reader(server, data, FRESHNESS[freshness]) for server in (a, b)]
    for reader in readers:
        reader.until_good()
    data.hold_after = "answer"
    with post(a) as client:
        until(lambda: data.number == 1, "the backend to commit")
        link.cut()
        data.origin.say("answer")
        assert client.read_response().status == 200
    readers[0].ask()
    readers[1].until_good()
    before = page_tag(b)
    link.mend()
    readers[0].until_good()
    until(lambda: page_tag(b) != before, "the bump of the host that was cut off")
    for reader in readers:
        assert not reader.stale


# --- ETagVersionInvalidateRequire ---

def test_no_change_without_a_store(hosts, new_redis):
    redis = new_redis()
    data, (a,) = hosts(redis.url, more="<Location />\n  ETagVersionInvalidateRequire On\n</Location>\n")
    a.log.expect(NO_STORE, optional=True)
    a.log.expect("ETV0351")
    assert a.request("POST", "/page", body=b"").status == 200
    redis.kill()
    calls = data.origin.calls()
    for _ in range(3):
        answer = a.request("POST", "/page", body=b"a=b")
        assert answer.status == 503 and int(answer.one("Retry-After")) >= 1
        assert a.why(answer) == "store-down"
    assert data.origin.calls() == calls and data.number == 1
    assert a.get("/page").status == 200
    redis.start()
    until(lambda: a.request("POST", "/page", body=b"").status == 200, "changes to be taken again")
    assert await_pages(a, None)


def test_a_change_without_a_store(hosts, new_redis):
    """Without the directive it goes on: this host knows, and delivers the bump later."""
    redis = new_redis("--appendonly", "yes")
    data, (a, b) = hosts(redis.url, redis.url)
    for server in (a, b):
        server.log.expect(NO_STORE, optional=True)
    before = page_tag(a)
    redis.kill()
    answer = a.request("POST", "/page", body=b"")
    assert answer.status == 200 and a.why(answer) == "undelivered" and data.number == 1
    redis.start()
    assert await_pages(a, before) == await_pages(b, before)


# --- read your writes ---

@pytest.mark.parametrize("store", ["local", "strict", "lease 500ms"])
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_clients_read_what_they_wrote(new_httpd, new_origin, new_redis, mpm, store):
    """At once, from any child of this host, and under strict from any other host."""
    data = Data(new_origin())
    redis = new_redis() if store != "local" else None
    lines = stored(redis.url, store) if redis else ""
    servers = [new_httpd(lines + proxied(data.origin) + SITE, "proxy", mpm=mpm) for _ in range(2 if redis else 1)]
    if store.startswith("lease"):
        for server in servers:
            await_table(server)
    checked = servers if store == "strict" else servers[:1]
    for _ in range(25):
        held = {server: page_tag(server) for server in checked}
        assert all(server.get("/page", tag=tag).status == 304 for server, tag in held.items())
        assert servers[0].request("POST", "/page", body=b"").status == 200
        for server, tag in held.items():
            answer = server.get("/page", tag=tag)
            assert answer.status == 200 and int(answer.body) == data.number
        until(lambda: all(is_version(server.get("/page").etag) for server in checked), "tags")
