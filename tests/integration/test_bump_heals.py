# SPDX-License-Identifier: Apache-2.0
"""What would be pending for good, or lost, if nobody looked after it: changes that come back, and stores that move."""
import os
import signal

import pytest

from harness.bumping import MODEL, SITE, Data, await_pages, page_tag, post, proxied, stored
from harness.hole import Hole
from harness.tags import is_version
from harness.wait import until

GRACE = 2
OPEN = f"model_version:%open:{MODEL}"
ALIVE = "model_version:%alive:*"
# What hosts say about a store that is not there, and of what was left behind.
FAULTS = r"ETV01(01|06|07|08|11|12|13|17|20|31|41|51)"
OTHER = "<Location /other>\n  ETagVersionModels other\n  ETagVersionInvalidate models\n</Location>\n"


def test_a_finished_change_comes_back_with_an_older_state(new_httpd, new_origin, new_redis):
    """The child that made it goes on changing other models."""
    redis, data = new_redis(), Data(new_origin())
    a, b = (new_httpd(stored(redis.url) + f"Timeout {GRACE}\n" + proxied(data.origin, "timeout=60") + SITE + OTHER,
                      "proxy") for _ in range(2))
    old = [page_tag(server) for server in (a, b)]
    for server in (a, b):
        server.log.expect(FAULTS, optional=True)
    data.hold_before = "answer"
    with post(a) as client:
        until(lambda: redis("EXISTS", OPEN), "the announcement")
        redis("SAVE")
        data.origin.say("answer")
        assert client.read_response().status == 200
    until(lambda: not redis("EXISTS", OPEN), "the end of the change")
    redis.restart()
    until(lambda: redis("SMEMBERS", OPEN), "what was saved")

    def is_healed():
        a.request("POST", "/other", body=b"")
        return all(is_version(server.get("/page").etag) for server in (a, b))
    until(is_healed, "tags, while the child shows life all the time", 90)
    assert not redis("EXISTS", OPEN)
    for server, tag in zip((a, b), old):
        assert server.get("/page", tag=tag).status == 200


def test_a_short_timeout_does_not_shorten_anothers_protection(new_httpd, new_origin, new_redis):
    redis, slow, quick = new_redis(), Data(new_origin()), Data(new_origin())
    server = new_httpd(f"""
{stored(redis.url)}
Timeout 60
<VirtualHost *:@PORT@>
  ServerName localhost
  {proxied(slow.origin)}{SITE}
</VirtualHost>
<VirtualHost *:@PORT@>
  ServerName short
  Timeout 1
  {proxied(quick.origin)}{OTHER}
</VirtualHost>
""", "proxy")
    slow.hold_before = "answer"
    with post(server) as client:
        until(lambda: slow.origin.calls("/page"), "the backend to be asked")
        for _ in range(3):
            assert server.request("POST", "/other", body=b"", host="short").status == 200
            keys = redis("KEYS", ALIVE)
            assert keys and all(int(redis("PTTL", key)) > 30000 for key in keys)
        slow.origin.say("answer")
        assert client.read_response().status == 200


def reconfigure(server, conf):
    """Graceful restart with another configuration; returns the old children."""
    old = server.children()
    server.conf = conf
    server._write_conf()  # pylint: disable=protected-access
    server.graceful()
    until(lambda: set(server.children()) - set(old), "new children")
    return old


@pytest.mark.parametrize("when", ["waiting", "under-way"])
def test_the_store_gets_another_address(new_httpd, new_origin, new_redis, when):
    """Of all moments in the outage of its old one, and bumps wait for that. An old child lives on, and tries it."""
    redis, data = new_redis(), Data(new_origin())
    hole = Hole(redis.port)

    def conf(port):
        return stored(f"redis://127.0.0.1:{port}", patience="300ms") + proxied(data.origin, "timeout=60") + SITE
    server = new_httpd(conf(hole.port), "proxy")
    server.log.expect(FAULTS, optional=True)
    tag = page_tag(server)
    assert server.get("/page", tag=tag).status == 304
    try:
        data.origin.on("/slow", lambda exchange: (exchange.wait("slow"), exchange.head("Content-Length: 0")))
        slow = server.connect()
        slow.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: data.origin.calls("/slow"), "a long request")
        hole.silence()
        data.hold_before = "commit"
        client = post(server)
        until(lambda: data.origin.calls("/page") > 1, "the backend to be asked")
        if when == "waiting":
            data.origin.say("commit")
            assert client.read_response().status == 200
            assert server.get("/page", tag=tag).status == 200
        old = reconfigure(server, conf(redis.port))
        if when == "under-way":
            assert server.why(server.get("/page", tag=tag)) == "pending"
        if when == "under-way":
            data.origin.say("commit")
            assert client.read_response().status == 200
        await_pages(server, tag)
        assert len(server.log.lines("ETV0155")) == 1
        assert set(old) & set(server.children())
        client.close()
        data.origin.say("slow")
        assert slow.read_response().status == 200
        slow.close()
    finally:
        hole.close()


def test_the_local_store_gets_another_prefix(new_httpd, new_origin):
    """A change that a child of before has left behind must not be pending for ever."""
    data = Data(new_origin())

    def conf(prefix):
        return f"Timeout {GRACE}\nETagVersionKeyPrefix {prefix}\n" + proxied(data.origin, "timeout=60") + SITE
    server = new_httpd(conf("a:"), "proxy")
    server.log.expect("exit signal Killed", optional=True)
    tag = page_tag(server)
    data.hold_before = "commit"
    with post(server):
        until(lambda: data.origin.calls("/page") > 1, "the backend to be asked")
        for pid in reconfigure(server, conf("b:")):
            os.kill(pid, signal.SIGKILL)
        assert server.why(server.get("/page", tag=tag)) == "pending"
        data.origin.say("commit")
    await_pages(server, tag)
    assert len(server.log.lines("ETV0155")) == 1
