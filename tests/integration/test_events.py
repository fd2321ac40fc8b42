# SPDX-License-Identifier: Apache-2.0
"""SetHandler etag-version-events: every bump is told, or that one was missed; and streams end as they should."""
import contextlib
import json
import os
import signal
import socket

import pytest

from harness.certs import Authority
from harness.events import SITE, CurlStream, Stream
from harness.lease import await_table
from harness.ports import free_port
from harness.wait import until

MPMS = ["event", "worker", "prefork"]


@pytest.fixture
def site(new_httpd):
    def make(conf="", modules="", mpm="event", **more):
        return new_httpd(SITE + conf, modules, mpm=mpm, **more)
    return make


@pytest.fixture
def watch():
    """Open streams; those that are open at the end are closed."""
    with contextlib.ExitStack() as stack:
        def open_one(server, query="", *args, **more):
            stream = stack.enter_context(Stream(server.port, "/events" + query, *args, **more))
            assert stream.answer.status == 200, stream.answer
            return stream
        yield open_one


@pytest.fixture
def leased(new_httpd, new_redis):
    """A server whose store pushes, and the store."""
    def make(conf="", mpm="event", freshness="lease 2s"):
        redis = new_redis()
        server = new_httpd(f"ETagVersionStore {redis.url}\nETagVersionFreshness {freshness}\n"
                           f"ETagVersionStoreTimeout connect=5s command=5s\n{SITE}{conf}", mpm=mpm)
        return await_table(server) if freshness != "strict" else server, redis
    return make


def refused(server, status, query="", method="GET", headers=(), says=""):
    answer = server.request(method, "/events" + query, headers)
    assert answer.status == status and not answer.etag, answer
    if method != "HEAD" and says:
        assert says in json.loads(answer.text)["error"]
    return answer


# --- what a stream looks like ---------------------------------------------------------------------

@pytest.mark.parametrize("mpm", MPMS)
def test_bumps_are_told(site, watch, mpm):
    server = site(mpm=mpm)
    stream = watch(server)
    assert stream.answer.one("Content-Type") == "text/event-stream"
    assert stream.answer.one("Cache-Control") == "no-store"
    assert stream.answer.one("X-Accel-Buffering") == "no"
    assert stream.answer.one("Transfer-Encoding") == "chunked"
    assert stream.parser.retry == 2000 and len(stream.parser.comments) == 1 and not stream.parser.events
    first = stream.last_id
    server.bump("proteins.Protein")
    assert stream.bump() == "proteins.Protein"
    assert stream.last_id != first
    server.bump("proteins.Protein:egfp")
    server.bump("other")
    assert [stream.bump(), stream.bump()] == ["proteins.Protein:egfp", "other"]


def test_over_tls(site):
    with contextlib.closing(Authority()) as authority:
        port = free_port()
        server = site(f"SSLSessionCache shmcb:@ROOT@/run/sessions\nListen 127.0.0.1:{port}\n"
                      f"<VirtualHost 127.0.0.1:{port}>\n{authority.conf()}</VirtualHost>\n"
                      "ETagVersionEventsLimit 1\n", modules="tls")
        with Stream(port, tls=authority.context()) as stream:
            server.bump("m")
            assert stream.bump() == "m"
        await_slot(server)


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_over_http2(site, mpm):
    server = site("Protocols h2c http/1.1\nETagVersionEventsLimit 1\n", "h2", mpm=mpm)
    with CurlStream(server.port) as stream:
        server.bump("m")
        assert stream.bump() == "m"
        refused(server, 503)
    await_slot(server)


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_http2_ends_properly(site, mpm):
    server = site("Protocols h2c http/1.1\n", "h2", mpm=mpm)
    with CurlStream(server.port) as stream:
        server.graceful()
        assert stream.until_end()
        server.bump("between")
    with CurlStream(server.port, "/events?lastEventId=" + stream.last_id) as back:
        assert back.bump() == "between"


def slot_is_free(server):
    with Stream(server.port) as stream:
        return stream.answer.status == 200


def await_slot(server):
    until(lambda: slot_is_free(server), "a slot to become free")


def test_http_1_0_client(site):
    server = site()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
        plain.sendall(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = b""
        while b"\nid: " not in text:
            text += plain.recv(4096)
        server.bump("m")
        while b'data: {"model":"m"}' not in text:
            text += plain.recv(4096)
    assert b"chunked" not in text


def test_nothing_touches_a_stream(site, watch):
    """Tags, policies, encoders and the HEAD that is run as GET are for other responses."""
    server = site("<Location />\n  ETagVersion On\n  ETagVersionModels m\n  ETagVersionHead AsGet\n"
                  "  ETagVersionCacheControl set \"public, max-age=60\"\n  ETagVersionTypes *\n"
                  "  SetOutputFilter DEFLATE\n</Location>\n", "deflate")
    tag = server.get("/").etag
    headers = [("Accept-Encoding", "gzip"), ("If-None-Match", tag or "*"), ("Range", "bytes=0-3")]
    stream = watch(server, "", headers)
    assert stream.answer.one("Cache-Control") == "no-store"
    assert not stream.answer.etag and not stream.answer.one("Content-Encoding")
    server.bump("m")
    assert stream.bump() == "m"
    head = server.request("HEAD", "/events", headers)
    assert head.status == 200 and head.one("Content-Type") == "text/event-stream" and not head.etag
    assert head.one("Cache-Control") == "no-store"


# --- who gets one ---------------------------------------------------------------------------------

def test_closed_unless_served(site):
    server = site("""
<Location /events-closed>
  SetHandler etag-version-events
</Location>
<Location /events-admin>
  SetHandler etag-version-events
  ETagVersionServe admin
</Location>
<Directory "@ROOT@/htdocs/customer">
  AllowOverride FileInfo
</Directory>
""")
    server.write("htdocs/customer/.htaccess", "SetHandler etag-version-events\n")
    server.write("htdocs/customer/x.txt", "x\n")
    for target in ("/events-closed", "/events-admin", "/customer/x.txt"):
        for method in ("GET", "HEAD", "POST"):
            assert server.request(method, target, body=b"" if method == "POST" else None).status == 404


def test_methods(site):
    server = site()
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert refused(server, 405, method=method).one("Allow") == "GET, HEAD"
    head = server.request("HEAD", "/events?model=x")
    assert head.status == 200 and head.one("Content-Type") == "text/event-stream"
    refused(server, 400, "?model=", "HEAD")


def test_pages_cannot_include_one(site):
    server = site("<Directory \"@ROOT@/htdocs\">\n  Options +Includes\n  AddOutputFilter INCLUDES .html\n"
                  "</Directory>\n", "include static")
    server.write("htdocs/x.html", '<!--#include virtual="/events" -->end\n')
    server.log.expect(r"AH01372|unable to include", optional=True)
    assert server.get("/x.html").text.endswith("end\n")


@pytest.mark.parametrize("query, says", [
    ("?model=", "1 to 256 bytes"), ("?model", "1 to 256 bytes"), ("?model=%25x", "no % in front"),
    ("?model=" + "a" * 257, "1 to 256 bytes"), ("?model=a%0Ab", "control"), ("?model=a%00b", "%"),
    ("?model=%zz", "hexadecimal"), ("?model=%2", "hexadecimal"), ("?model=%25*", "no % in front"),
    ("?" + "&".join(f"model=m{i}" for i in range(33)), "32"), ("?lastEventId=%4", "hexadecimal")])
def test_queries_that_are_wrong(site, query, says):
    refused(site(), 400, query, says=says)


def test_limit(site, watch):
    server = site("ETagVersionEventsLimit 2\n")
    first, second = watch(server), watch(server)
    answer = refused(server, 503, says="ETagVersionEventsLimit")
    assert int(answer.one("Retry-After")) > 0
    first.close()
    await_slot(server)
    server.bump("m")
    assert second.bump() == "m"


WORKERS = {  # six, of one process or of the server
    "event": "ServerLimit 1\nThreadsPerChild 6\nMaxRequestWorkers 6\nMinSpareThreads 1\nMaxSpareThreads 6\n",
    "worker": "ServerLimit 1\nThreadsPerChild 6\nMaxRequestWorkers 6\nMinSpareThreads 1\nMaxSpareThreads 6\n",
    "prefork": "MaxRequestWorkers 6\nMaxSpareServers 6\n",
}


BUSY = r"AH00286|AH03490|AH00484|AH10159|AH00161|AH00288"  # httpd has no workers to spare


def fill(server, watch, most):
    """Open streams until the server wants no more."""
    server.log.expect(BUSY, optional=True)
    streams = []

    def one_more():  # the place of one that was closed is free within a second; who is killed answers nothing
        with contextlib.suppress(AssertionError, ConnectionError, EOFError):
            streams.append(watch(server))
        return len(streams) == most
    until(one_more, f"{most} streams")
    refused(server, 503, says="ETagVersionEventsLimit")
    return streams


@pytest.mark.parametrize("mpm", MPMS)
def test_streams_leave_workers_for_others(site, watch, mpm):
    """When nothing is said, half of the workers: of a process's threads, or of all processes."""
    server = site(WORKERS[mpm], mpm=mpm)
    server.write("htdocs/x.html", "page")
    streams = fill(server, watch, 3)
    for _ in range(20):
        assert server.get("/x.html").text == "page"
    streams[0].close()
    await_slot(server)
    server.graceful()
    assert streams[1].until_end()
    until(lambda: slot_is_free(server), "the new generation")


def test_limit_of_a_server_of_processes(site, watch):
    server = site("ETagVersionEventsLimit 2\n", mpm="prefork")
    server.write("htdocs/x.html", "page")
    streams = fill(server, watch, 2)
    server.log.expect(r"exit signal Killed|AH00052", optional=True)
    for pid in server.children():  # they give nothing back
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not any(stream.until_end() for stream in streams)
    fill(server, watch, 2)  # the places of processes that are gone
    assert server.get("/x.html").text == "page"


@pytest.mark.parametrize("mpm", MPMS)
def test_limit_that_leaves_no_worker(site, watch, mpm):
    """It is warned of, and honoured."""
    server = site(WORKERS[mpm] + "ETagVersionEventsLimit 6\n", mpm=mpm)
    server.log.expect(r"ETV0376: ETagVersionEventsLimit 6: every worker")
    server.log.expect(BUSY, optional=True)
    for _ in range(5):
        watch(server)
    assert slot_is_free(server)


def test_limit_that_leaves_one_worker(site):
    site(WORKERS["event"] + "ETagVersionEventsLimit 5\n")  # no warning


def test_strict_redis_has_none(leased):
    server, _ = leased(freshness="strict")
    server.log.expect(r"ETV0375: no events: .* ETagVersionFreshness lease")
    for _ in range(3):
        refused(server, 503, says="ETagVersionFreshness lease")
    assert len(server.log.lines("ETV0375")) == 1


# --- filters --------------------------------------------------------------------------------------

NAMES = ["a", "ab", "abc", "b*", "x y", "x+y", "a&b=c", "\u00e9"]


@pytest.mark.parametrize("query, wanted", [
    ("", NAMES), ("?", NAMES), ("?other=1&&", NAMES), ("?model=*", NAMES),
    ("?model=a", ["a"]), ("?model=a*", ["a", "ab", "abc", "a&b=c"]), ("?model=ab&model=b*", ["ab", "b*"]),
    ("?model=ab%2A", ["ab", "abc"]), ("?model=x+y", ["x y"]), ("?model=x%20y&model=x%2By", ["x y", "x+y"]),
    ("?model=a%26b%3Dc", ["a&b=c"]), ("?model=%C3%A9", ["\u00e9"]), ("?model=" + "a" * 256 + "&model=abc", ["abc"]),
    ("?model=" + "a" * 256 + "*&model=abc", ["abc"]), ("?" + "&".join(f"model=m{i}" for i in range(31)) + "&model=b**",
                                                       ["b*"])])
def test_filters(shared_site, query, wanted):
    server = shared_site
    with Stream(server.port, "/events" + query) as stream:
        for name in NAMES:
            server.bump("".join(f"%{byte:02X}" for byte in name.encode()))
        got = [stream.bump() for _ in wanted]
        assert got == wanted
        assert not stream.parser.events[len(wanted):]


@pytest.fixture(name="shared_site", scope="module")
def _shared_site(shared_httpd):
    return shared_httpd(SITE)


@pytest.mark.parametrize("mpm", MPMS)
def test_stores_are_told_apart(site, watch, mpm):
    server = site("<VirtualHost *>\nServerName localhost\n</VirtualHost>\n"
                  "<VirtualHost *>\nServerName other\nETagVersionKeyPrefix other:\n</VirtualHost>\n", mpm=mpm)
    here, there = watch(server), watch(server, host="other")
    server.bump("m", host="other")
    server.bump("n")
    server.bump("o", host="other")
    assert here.bump() == "n"
    assert [there.bump(), there.bump()] == ["m", "o"]


# --- coming back ----------------------------------------------------------------------------------

def test_resume(shared_site, watch):
    server = shared_site
    stream = watch(server)
    at = stream.last_id
    server.bump("one")
    server.bump("two")
    stream.bump()
    middle = stream.last_id
    stream.close()
    assert [watch(server, "", [("Last-Event-ID", middle)]).bump() for _ in range(2)] == ["two", "two"]
    back = watch(server, f"?lastEventId={at}")
    assert [back.bump(), back.bump()] == ["one", "two"]
    both = watch(server, f"?lastEventId={at}", [("Last-Event-ID", middle)])  # the browser's own knows better
    assert both.bump() == "two"
    filtered = watch(server, "?model=two", [("Last-Event-ID", at)])
    assert filtered.bump() == "two"


def another_id(at, nonce=None, number=None):
    a, b = at.split("-")
    return f"{nonce or a}-{b if number is None else number}"


@pytest.mark.parametrize("make", [
    lambda at: "garbage", lambda at: at + "0", lambda at: at + "x", lambda at: another_id(at, number=10**18 - 1),
    lambda at: another_id(at, number="9" * 30), lambda at: another_id(at, number="-1"),
    lambda at: another_id(at, nonce="0" * 16), lambda at: "x" * 4000])
def test_unknown_ids(shared_site, watch, make):
    server = shared_site
    at = watch(server).last_id
    stream = watch(server, "", [("Last-Event-ID", make(at))])
    stream.reset()
    server.bump("m")
    assert stream.bump() == "m"
    assert stream.last_id.split("-")[0] == at.split("-")[0]


def test_empty_id_is_none(shared_site, watch):
    server = shared_site
    stream = watch(server, "?lastEventId=", [("Last-Event-ID", "")])
    server.bump("m")
    assert stream.bump() == "m"


@pytest.mark.parametrize("mpm", MPMS)
def test_graceful_restart(site, watch, mpm):
    server = site(mpm=mpm)
    stream = watch(server)
    server.bump("before")
    assert stream.bump() == "before"
    server.graceful()
    assert stream.until_end(), "browsers come back at once only when the body has its end"
    server.bump("between")
    back = watch(server, "", [("Last-Event-ID", stream.last_id)])
    assert back.bump() == "between"
    server.bump("after")
    assert back.bump() == "after"


@pytest.mark.parametrize("mpm", MPMS)
def test_full_restart_is_told(site, watch, mpm):
    server = site(mpm=mpm)
    stream = watch(server)
    server.stop(gracefully=True)
    assert stream.until_end()
    server.start()
    watch(server, "", [("Last-Event-ID", stream.last_id)]).reset()


@pytest.mark.parametrize("mpm", MPMS)
def test_stop_with_open_streams(site, watch, mpm):
    server = site(mpm=mpm)
    streams = [watch(server) for _ in range(3)]
    server.stop()
    for stream in streams:
        stream.until_end()


def test_child_that_is_killed(site, watch):
    """The feed is the host's, not the process's."""
    server = site()
    stream = watch(server)
    server.log.expect(r"exit signal Killed|AH00052", optional=True)
    for pid in server.children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not stream.until_end()
    server.bump("between")
    back = watch(server, "", [("Last-Event-ID", stream.last_id)])
    assert back.bump() == "between"


# --- many bumps, slow clients ---------------------------------------------------------------------

def test_burst(site, watch):
    server = site()
    stream = watch(server)
    with server.connect() as connection:
        for i in range(1000):
            assert connection.request("POST", f"/bump?model=m{i % 10}", body=b"").status == 204
    server.bump("end")
    seen = set()
    while "end" not in seen:
        seen.add(stream.bump())
    assert seen == {f"m{i}" for i in range(10)} | {"end"}
    assert len(stream.parser.events) <= 1001


def test_batches_name_each_model_once(leased, watch):
    """All that comes in one push is one batch, mostly."""
    server, redis = leased()
    stream = watch(server)
    for _ in range(5):
        redis("EVAL", "for i = 1, 300 do redis.call('SET', KEYS[1] .. i % 3, i) end", "1", "model_version:m")
    redis("SET", "model_version:end", "1")
    seen = []
    while "end" not in seen:
        event = stream.event()
        if event.name == "bump":
            seen.append(event.model)
    assert set(seen) == {"m0", "m1", "m2", "end"}
    assert len(seen) < 100


def names_of(n, length=200):
    return [f"{i:06d}".ljust(length, "n") for i in range(n)]


def set_all(redis, names):
    for at in range(0, len(names), 1000):
        redis("MSET", *[word for name in names[at:at + 1000] for word in ("model_version:" + name, "1")])


def test_slow_client(leased, watch):
    """Who reads too slowly gets everything, or is told that it did not."""
    server, redis = leased("Timeout 600\n")  # nobody reads while all is set, however long that takes
    stream = watch(server, receive_buffer=65536)
    names = names_of(30000)
    set_all(redis, names)
    redis("SET", "model_version:end", "1")
    seen, was_reset = set(), False
    while "end" not in seen and not was_reset:
        event = stream.event()
        was_reset |= event.name == "reset"
        if event.name == "bump":
            seen.add(event.model)
    assert was_reset or seen >= set(names)
    assert was_reset, "30000 bumps are more than the feed and all buffers hold"
    redis("SET", "model_version:after", "1")
    while (event := stream.event()).data != '{"model":"after"}':
        if event.name == "reset":  # once more, and it may have covered that bump
            redis("SET", "model_version:after", "2")


def test_client_that_never_reads(leased, watch):
    server, redis = leased("Timeout 2\nETagVersionEventsLimit 1\n")
    watch(server, receive_buffer=4096)
    done = []

    def free():
        if not done:
            set_all(redis, names_of(10000))
        if slot_is_free(server):
            done.append(1)
        return done
    until(free, "the slot of a client that does not read")


def test_too_old_id(leased, watch):
    server, redis = leased()
    stream = watch(server)
    at = stream.last_id
    set_all(redis, names_of(5000, 10))
    redis("SET", "model_version:end", "1")
    while True:
        event = stream.event()
        if event.name == "reset" or event.model == "end":
            break
    watch(server, "", [("Last-Event-ID", at)]).reset()


# --- Redis ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("mpm", MPMS)
def test_pushes(leased, watch, mpm):
    server, redis = leased(mpm=mpm)
    stream = watch(server)
    redis("SET", "model_version:m", "1")
    assert stream.bump() == "m"
    server.bump("n")
    assert stream.bump() == "n"
    redis("DEL", "model_version:m")
    assert stream.bump() == "m"
    redis("SET", "model_version:%own", "1")
    redis("SET", "elsewhere:m", "1")
    redis("SET", "model_version:n", "1", "PX", "1")
    assert stream.bump() == "n"
    until(lambda: redis("GET", "model_version:n") is None, "the key to expire")
    assert stream.bump() == "n"


def test_two_hosts(leased, new_httpd, watch):
    """What one host bumps is told by the other."""
    server, redis = leased()
    other = await_table(new_httpd(f"ETagVersionStore {redis.url}\n{SITE}"))
    stream = watch(other)
    server.bump("m")
    assert stream.bump() == "m"


def test_any_names(leased, watch):
    server, redis = leased()
    stream = watch(server)
    for name, told in ((b'a"b\\c', 'a"b\\c'), ("\u20ac\U0001f600".encode(), "\u20ac\U0001f600"),
                       (b"x\xff\xc3", "x\ufffd\ufffd"), (b"n" * 256, "n" * 256), (b"</script>", "</script>")):
        redis("SET", b"model_version:" + name, "1")
        assert stream.bump() == told
    for name in (b"a\nb", b"a\0b", b"\x7f", b"n" * 257, b"%x", b""):  # no models
        redis("SET", b"model_version:" + name, "1")
    redis("SET", "model_version:end", "1")
    assert stream.bump() == "end"


def test_flush_is_a_reset(leased, watch):
    server, redis = leased()
    stream = watch(server, "?model=m")
    redis("SET", "model_version:m", "1")
    assert stream.bump() == "m"
    redis("FLUSHALL")
    stream.reset()
    redis("SET", "model_version:m", "2")
    while stream.event().name != "bump":
        pass


def test_lost_connection_is_a_reset(leased, watch):
    server, redis = leased()
    stream = watch(server)
    server.log.expect(r"ETV01\d\d", optional=True)
    redis("CLIENT", "KILL", "TYPE", "pubsub")
    stream.reset()
    redis("SET", "model_version:m", "1")
    while stream.event().data != '{"model":"m"}':
        pass


def test_restart_of_the_store_is_a_reset(leased, watch):
    server, redis = leased()
    stream = watch(server)
    server.log.expect(r"ETV01\d\d", optional=True)
    redis.restart()
    stream.reset()


# --- heartbeats -----------------------------------------------------------------------------------

@pytest.mark.long
@pytest.mark.parametrize("mpm", MPMS)
def test_heartbeats(site, watch, mpm):
    """They carry the id on, so that who hears of nothing else is not too old when it comes back."""
    server = site(mpm=mpm)
    stream = watch(server, "?model=never")
    first = stream.last_id
    server.bump("m")
    stream.comment(1, 90)
    assert stream.last_id != first and not stream.parser.events
    stream.comment(2, 90)
