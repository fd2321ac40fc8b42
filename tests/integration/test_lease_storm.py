# SPDX-License-Identifier: Apache-2.0
"""Storms: several hosts on one store, changes from all sides, faults of every kind; no old tag outlives the lease."""
import os
import random
import signal
import time

import pytest

from harness.lease import ALIASES, CHILDREN, LITERALS, SITE, await_table, leader
from harness.netns import LinkByProxy, new_link
from harness.storm import Ledger, Storm

SECONDS = 60
LEASE = 0.5
# What a host that loses children and a store now and then has to say.
TROUBLE = (r"ETV01(01|06|07|08|11|12|13|17|20|31|51)|AH1039[23]: children are killed successively"
           r"|AH0004[5-7]|AH03490: scoreboard is full")


@pytest.fixture
def hosts(new_httpd):
    """Servers that share a store and a configuration, as behind one load balancer."""
    def make(url, mpms=("event", "event"), lease="lease 500ms"):
        made = []
        for mpm in mpms:
            server = new_httpd(f"ETagVersionStore {url}\n{ALIASES}\nETagVersionFreshness {lease}\n"
                               f"ETagVersionStoreTimeout connect=200ms command=200ms\n{CHILDREN[mpm]}\n{SITE}",
                               "alias", mpm=mpm, level="notice etag_version:info", start=False)
            server.write("htdocs/x.txt", "x\n")
            server.log.expect(TROUBLE, optional=True)
            made.append(await_table(server.start()))
        return made
    return make


def rage(storm, ledger, faults, seconds, rng, pause):
    """One fault after the other, with calm between them."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fault = rng.choice(faults)
        ledger.note(fault.__name__)
        fault()
        storm.go_on(rng.random() * pause)
    storm.until_lively(200, 60)


def seeded():
    seed = random.randrange(10 ** 6)
    print("seed", seed)
    return random.Random(seed)


def signal_child(server, number, pid=None):
    """To some child, or this one; it may just have gone."""
    try:
        pid = pid or random.choice(server.children())
        os.kill(pid, number)
        return pid
    except (ProcessLookupError, IndexError):
        return None


@pytest.mark.long
@pytest.mark.storm
@pytest.mark.parametrize("mpms", [("event", "event"), ("worker", "prefork")], ids="-".join)
def test_children_die(hosts, new_redis, mpms):
    redis, rng = new_redis(), seeded()
    servers = hosts(redis.url, mpms)
    ledger = Ledger(LITERALS, LEASE)

    def kill_a_child():
        signal_child(rng.choice(servers), signal.SIGKILL)

    def kill_the_leader():
        server = rng.choice(servers)
        if leader(server) in server.children():
            signal_child(server, signal.SIGKILL, leader(server))

    with Storm(ledger, servers, lambda: redis.client(timeout=2), readers=4, writers=2) as storm:
        rage(storm, ledger, [kill_a_child, kill_the_leader], SECONDS, rng, 0.8)
    assert ledger.counts["304"] > 1000 and ledger.counts["writes"] > 500, ledger.report()


class Faults:
    """What may happen to a store and to those who use it."""

    def __init__(self, servers, redis, other, ledger, rng):
        self._servers, self._redis, self._other = servers, redis, other
        self._ledger, self._rng = ledger, rng
        self._database = 0

    def all(self):
        return [getattr(self, name) for name in dir(self) if name[0] != "_" and name != "all"]

    def _moment(self):
        time.sleep(self._rng.choice((0.02, 0.2, 0.7, 1.5)) * self._rng.random())

    def leader_frozen(self):
        server = self._rng.choice(self._servers)
        pid = leader(server)
        if pid in server.children() and signal_child(server, signal.SIGSTOP, pid):
            self._moment()
            signal_child(server, signal.SIGCONT, pid)

    def leader_killed(self):
        server = self._rng.choice(self._servers)
        if leader(server) in server.children():
            signal_child(server, signal.SIGKILL, leader(server))

    def graceful_restart(self):
        self._rng.choice(self._servers).graceful()

    def redis_frozen(self):
        self._redis.freeze()
        self._moment()
        self._redis.thaw()

    def connections_killed(self):
        self._redis("CLIENT", "KILL", "TYPE", self._rng.choice(("normal", "pubsub")), "SKIPME", "yes")

    def flushed(self):
        self._ledger.everything_changes(lambda: self._redis(self._rng.choice(("FLUSHALL", "FLUSHDB"))))

    def swapped(self):
        self._database += 1  # one that was never used
        self._ledger.everything_changes(lambda: self._redis("SWAPDB", 0, self._database))

    def reloaded(self):
        self._redis("DEBUG", "RELOAD")

    def restarted(self):
        self._ledger.everything_changes(self._redis.restart)

    def demoted_and_promoted(self):
        self._other("MSET", *(word for name in LITERALS for word in (f"model_version:{name}", self._rng.random())))
        self._ledger.everything_changes(lambda: self._redis("REPLICAOF", "127.0.0.1", self._other.port))
        if self._rng.random() < 0.5:
            self._moment()
        self._ledger.everything_changes(self._redis.promote)


@pytest.mark.long
@pytest.mark.storm
@pytest.mark.parametrize("mpms", [("event", "event"), ("event", "prefork")], ids="-".join)
def test_everything_goes_wrong(hosts, new_redis, mpms):
    redis = new_redis("--enable-debug-command", "yes", "--databases", "2000")
    other, rng = new_redis(), seeded()
    servers = hosts(redis.url, mpms)
    ledger = Ledger(LITERALS, LEASE)
    faults = Faults(servers, redis, other, ledger, rng).all()
    with Storm(ledger, servers, lambda: redis.client(timeout=2), readers=4, writers=2) as storm:
        rage(storm, ledger, faults, SECONDS, rng, 1.2)
    assert ledger.counts["304"] > 1000 and ledger.counts["writes"] > 200, ledger.report()


@pytest.mark.long
@pytest.mark.storm
@pytest.mark.parametrize("kind", ["best", "proxy"])
def test_partitions(hosts, kind):
    """The network between hosts and store comes and goes, while writers reach the store."""
    rng = seeded()
    link = new_link() if kind == "best" else LinkByProxy()
    try:
        print("link:", link.kind)
        servers = hosts(f"redis://{link.host}:{link.port}")
        ledger = Ledger(LITERALS, LEASE)

        def cut():
            link.cut(near=rng.random() < 0.5)
            time.sleep(rng.choice((0.1, 0.6, 2.5)) * rng.random())
            link.mend()

        # Hosts' own bumps would mostly not arrive.
        with Storm(ledger, servers, lambda: link.redis.client(timeout=2), readers=4, writers=2, bumps=0.05) as storm:
            rage(storm, ledger, [cut], SECONDS / 2, rng, 1.5)
        assert ledger.counts["304"] > 500 and ledger.counts["writes"] > 500, ledger.report()
        for server in servers:
            server.stop()  # before its store
    finally:
        link.close()
