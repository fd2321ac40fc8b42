# SPDX-License-Identifier: Apache-2.0
"""The embedded store: one shared memory for all children and for the parent's whole life."""
import os
import random
import signal

import pytest

from harness.load import Crowd, all_together
from harness.tags import is_version
from harness.wait import until

CONF = """
<Location />
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels m
</Location>
<LocationMatch "^/by/(?<NAME>[^/]+)$">
  ETagVersionModels %{env:MATCH_NAME}
</LocationMatch>
"""
RETRIED = (EOFError, ConnectionError)


@pytest.fixture
def site(new_httpd):
    """A server with /x.txt (model m) and /by/<anything> (a model of that name)."""
    def make(conf="", mpm="event", **more):
        server = new_httpd('AliasMatch ^/by/ "@ROOT@/htdocs/x.txt"\n' + CONF + conf, "alias", mpm=mpm,
                           start=False, **more)
        server.write("htdocs/x.txt", "x\n")
        return server.start()
    return make


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_graceful_restart_keeps_versions(site, mpm):
    server = site(mpm=mpm)
    server.bump("one")
    tags = {path: server.get(path).etag for path in ("/x.txt", "/by/one")}
    for _ in range(3):
        server.graceful()
        for path, tag in tags.items():
            assert server.get(path, tag=tag).status == 304
    server.bump("m")
    assert server.get("/x.txt", tag=tags["/x.txt"]).status == 200
    assert server.get("/by/one", tag=tags["/by/one"]).status == 304


def test_full_restart_begins_anew(site):
    server = site()
    seen = set()
    for _ in range(3):
        tag = server.get("/x.txt").etag
        assert is_version(tag) and tag not in seen
        seen.add(tag)
        server.restart()
        for old in seen:
            assert server.get("/x.txt", tag=old).status == 200


def test_all_children_see_a_bump_at_once(site):
    server = site(mpm="prefork")
    connections = [server.connect() for _ in range(6)]  # each keeps a child to itself
    tags = [c.request("GET", "/x.txt").etag for c in connections]
    assert len(set(tags)) == 1
    for _ in range(20):
        old = tags[0]
        assert random.choice(connections).request("POST", "/bump?model=m", body=b"").status == 204
        answers = [c.request("GET", "/x.txt", [("If-None-Match", old)]) for c in connections]
        assert [a.status for a in answers] == [200] * 6
        tags = [a.etag for a in answers]
        assert len(set(tags)) == 1
        assert {c.request("GET", "/x.txt", [("If-None-Match", tags[0])]).status for c in connections} == {304}
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_created_once_by_many_readers(site, mpm):
    server = site("".join(f'<LocationMatch "^/by/{i}$">\nETagVersionModels n{i}\n</LocationMatch>\n'
                          for i in range(20)), mpm=mpm)
    for i in range(20):
        tags = []
        all_together(6, lambda _n, i=i, tags=tags: tags.append(server.get(f"/by/{i}").etag))
        assert len(tags) == 6 and len(set(tags)) == 1 and is_version(tags[0])


def bumper(server, path, model):
    """A crowd member: after each acknowledged bump its old tag must be dead."""
    def work(_number, running):
        connection = server.connect()
        while running():
            try:
                tag = connection.request("GET", path).etag
                status = connection.request("POST", f"/bump?model={model}", body=b"").status
                assert status == 204
                answer = connection.request("GET", path, [("If-None-Match", tag)])
            except RETRIED:
                connection = server.connect()
                continue
            # A child that dies while it writes leaves no version, so the response keeps the file's own tag.
            assert answer.status == 200 or not is_version(tag), "a stale 304"
            work.rounds += 1
    work.rounds = 0
    return work


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_graceful_restarts_under_load(site, mpm):
    """Old and new children side by side agree on every bump; a reader's tag survives."""
    server = site(mpm=mpm)
    for model in ("stable", "shared"):
        server.bump(model)
    tag = server.get("/by/stable").etag
    hits = [0]

    def read(_number, running):
        while running():
            try:
                assert server.get("/by/stable", tag=tag).status == 304
            except RETRIED:
                continue
            hits[0] += 1

    work = bumper(server, "/by/shared", "shared")
    with Crowd(2, work) as writers, Crowd(2, read) as readers:
        for _ in range(4):
            before = work.rounds, hits[0]
            server.graceful()
            until(lambda: (work.rounds > before[0] + 10 and hits[0] > before[1] + 10)
                  or writers.check() or readers.check(), "traffic after a graceful restart")


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_no_304_after_a_bump(site, mpm):
    server = site(mpm=mpm)
    for model in ("a", "b"):
        server.bump(model)
    works = [bumper(server, "/by/a", "a"), bumper(server, "/by/b", "b")]
    with Crowd(2, works[0]) as first, Crowd(2, works[1]) as second:
        until(lambda: min(w.rounds for w in works) > 150 or first.check() or second.check(), "300 rounds")


@pytest.mark.long
@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_children_that_die_leave_the_store_whole(site, mpm):
    """kill -9 at any moment, also inside the store, must neither hang nor forget a bump."""
    server = site(mpm=mpm)
    for model in ("a", "b"):
        server.bump(model)
    work = bumper(server, "/by/a", "a")
    other = bumper(server, "/by/b", "b")
    with Crowd(3, work) as first, Crowd(3, other) as second:
        for _ in range(40):
            server.log.expect("exit signal Killed", optional=True)
            before = work.rounds, other.rounds
            children = server.children()
            if children:
                try:
                    os.kill(random.choice(children), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            until(lambda: (work.rounds > before[0] + 2 and other.rounds > before[1] + 2)
                  or first.check() or second.check(), "traffic after the death of a child")
    assert is_version(server.get("/x.txt").etag)


@pytest.mark.parametrize("size", [16, 64])
def test_full_table_forgets_but_never_repeats(site, size):
    server = site(f"ETagVersionTableSize {size}\n")
    names = [f"n{i}" for i in range(size * 7)]
    seen = {}
    with server.connect() as connection:
        for name in names * 3:
            assert connection.request("POST", f"/bump?model={name}", body=b"").status == 204
            old = seen.setdefault(name, [])
            answer = connection.request("GET", f"/by/{name}", [("If-None-Match", ", ".join(old) or '"x"')])
            assert answer.status == 200 and is_version(answer.etag) and answer.etag not in old
            old.append(answer.etag)
    kept = 0
    for name in names:
        answer = server.get(f"/by/{name}", tag=seen[name][-1])
        if answer.status == 200:
            assert server.why(answer) == "missing" and not is_version(answer.etag)
        kept += answer.status == 304
        for old in seen[name][:-1]:
            assert server.get(f"/by/{name}", tag=old).status == 200
    assert 0 < kept < len(names)  # a table may have more room than was asked for, within reason


def test_recently_used_entries_stay(site):
    server = site("ETagVersionTableSize 64\n")
    server.bump("hot")
    tag = server.get("/by/hot").etag
    for i in range(300):
        server.bump(f"cold{i}")
        assert server.get("/by/hot", tag=tag).status == 304, f"lost after {i} others"


def test_literal_names_come_back_with_new_tokens(site):
    count = 100
    server = site("ETagVersionTableSize 16\n" + "".join(
        f'<LocationMatch "^/by/{i}$">\nETagVersionModels lit{i}\n</LocationMatch>\n' for i in range(count)))
    tags = {}
    for _ in range(3):
        for i in range(count):
            answer = server.get(f"/by/{i}")
            assert is_version(answer.etag)
            tags.setdefault(i, set()).add(answer.etag)
    for i in range(count):
        server.bump(f"lit{i}")
        for tag in tags[i]:
            assert server.get(f"/by/{i}", tag=tag).status == 200


def test_settle(site):
    """Data may be seen before its commit: a new version rests before it makes tags."""
    server = site("<Location /x.txt>\nETagVersionSettle 1500ms\n</Location>\n")

    def settled():
        answer = server.get("/x.txt")
        if is_version(answer.etag):
            return answer.etag
        assert server.why(answer) == "settling"
        return None

    assert settled() is None
    tag = until(settled, "the first version to settle")
    assert server.get("/x.txt", tag=tag).status == 304
    server.bump("m")
    assert server.get("/x.txt", tag=tag).status == 200
    assert settled() is None
    fresh = until(settled, "the second version to settle")
    assert fresh != tag
    server.graceful()
    assert server.get("/x.txt", tag=fresh).status == 304, "a graceful restart forgot the age"


def test_settle_for_long(site):
    server = site("<Location />\nETagVersionSettle 1h\n</Location>\n")
    for _ in range(3):
        answer = server.get("/x.txt", tag='W/"v0123456789012345678901"')
        assert answer.status == 200 and not is_version(answer.etag)
        assert server.why(answer) == "settling"


def test_virtual_hosts_share_versions_of_one_prefix(site):
    server = site("""
        <VirtualHost *:@PORT@>
          ServerName localhost
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName same
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName other
          ETagVersionKeyPrefix other:
        </VirtualHost>""")
    tags = {host: server.get("/x.txt", host=host).etag for host in ("localhost", "same", "other")}
    assert len(set(tags.values())) == 3
    server.bump("m", host="localhost")
    status = {host: server.get("/x.txt", host=host, tag=tag).status for host, tag in tags.items()}
    assert status == {"localhost": 200, "same": 200, "other": 304}


def test_table_size_change_needs_a_full_restart(site):
    server = site("ETagVersionTableSize 64\n")
    tag = server.get("/x.txt").etag
    server.conf = server.conf.replace("TableSize 64", "TableSize 128")
    server.configtest()  # writes the file
    server.log.expect("ETagVersionTableSize|restart", optional=True)
    server.graceful()
    assert server.get("/x.txt", tag=tag).status == 304
    server.restart()
    assert server.get("/x.txt", tag=tag).status == 200


@pytest.mark.parametrize("mpm, store", [("event", "local"), ("event", "redis"), ("worker", "redis"),
                                        ("prefork", "local"), ("prefork", "redis"), ("prefork", "frozen"),
                                        ("prefork", "nowhere"), ("event", "nowhere")])
def test_servers_end_well(new_httpd, new_redis, mpm, store):
    """Children end without a fault and in time, whatever state their store is in."""
    redis = new_redis() if store in ("redis", "frozen") else None
    url = redis.unix_url if redis else {"local": "local", "nowhere": "redis://no-such-host.invalid"}[store]
    server = new_httpd(f"ETagVersionStore {url}\n<Location />\nETagVersion Version\nETagVersionModels m\n"
                       "ETagVersionUpstreamETag Replace\n</Location>", mpm=mpm, start=False,
                       patient=store == "redis")
    server.write("htdocs/x.txt", "x\n")
    for gracefully in (True, False) if mpm == "prefork" else (True,):
        if store in ("frozen", "nowhere"):
            server.log.expect("etag_version:(warn|error)", optional=True)
        server.start()

        def use():
            tagged = is_version(server.get("/x.txt").etag)
            assert tagged or store in ("frozen", "nowhere")

        all_together(4, lambda _number: use())
        server.graceful()
        use()
        if store == "frozen":
            redis.freeze()
            use()
        server.stop(gracefully)
        if store == "frozen":
            redis.thaw()


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_children_come_and_go(site, mpm):
    """A child that lives for three connections takes nothing with it."""
    server = site("MaxConnectionsPerChild 3\n", mpm=mpm)
    tag = server.get("/x.txt").etag
    for _ in range(15):
        assert server.get("/x.txt", tag=tag).status == 304
    server.bump("m")
    for _ in range(15):
        assert server.get("/x.txt", tag=tag).status == 200
