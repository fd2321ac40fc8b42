# SPDX-License-Identifier: Apache-2.0
"""Bodies that lose their end, programs that miscount, clients that are slow or leave."""
import random
import socket
import time

import pytest

from harness import places
from harness.buffering import LIMIT, MODULES, ONE_CHILD, build, conf_for, healthy
from harness.client import request_bytes
from harness.origin import cut, framed, held_back, script_of
from harness.reader import Reader, is_content
from harness.wait import until


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    return build(shared_httpd, shared_origin())


def dying(*parts, reset=False):
    def run(exchange):
        exchange.send(*parts)
        if reset:
            exchange.reset()
    return run


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = PLAIN + b"Transfer-Encoding: chunked\r\n\r\n"
TRUNCATED = {
    "short of its length": dying(PLAIN + b"Content-Length: 100\r\n\r\nonly this"),
    "short by one byte": dying(PLAIN + b"Content-Length: 10\r\n\r\nonly this"),
    "nothing of its length": dying(PLAIN + b"Content-Length: 100\r\n\r\n"),
    "short of much": dying(PLAIN + b"Content-Length: 200000\r\n\r\n", bytes(199_999)),
    "reset in a body with a length": dying(PLAIN + b"Content-Length: 100\r\n\r\nonly this", reset=True),
    "no last chunk": dying(CHUNKED + framed(b"hello")),
    "no chunk at all": dying(CHUNKED),
    "half a chunk": dying(CHUNKED + framed(b"hello") + b"9\r\nwor"),
    "half a last chunk": dying(CHUNKED + framed(b"hello") + b"0\r\n"),
    "reset in a chunk": dying(CHUNKED + framed(b"hello") + b"9\r\nwor", reset=True),
    "reset behind a chunk": dying(CHUNKED + framed(b"hello"), reset=True),
    "reset behind many chunks": dying(CHUNKED + framed(bytes(3000)) * 60, reset=True),
    "not a length": dying(CHUNKED + framed(b"hello") + b"zz\r\n"),
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated(server, name, version):
    """No tag of ours, no hang, and the next request is fine."""
    server.log.expect("proxy|http:error|AH0", optional=True)
    path = server.origin.on("/o/truncated", TRUNCATED[name])
    for headers in ([], [("If-None-Match", '"x"')], [("If-None-Match", "*")], [("If-Match", "*")]):
        with server.connect() as connection:
            connection.send(request_bytes("GET", path, headers, version=version))
            try:
                answer = connection.read_response()
            except (EOFError, ConnectionError):
                continue
            assert answer.etag is None, answer
            assert answer.status != 304, "nobody may keep what is not known to be whole"
    healthy(server)


@pytest.mark.parametrize("name", ["less", "more", "empty", "right"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_programs_that_miscount(server, name, version):
    """A CGI program's Content-Length that is not the body's: no tag, no hang. httpd ignores it unless told to trust."""
    server.log.expect("cgi|AH0", optional=True)
    with server.connect() as connection:
        connection.send(request_bytes("GET", f"/trusted/{name}.sh", version=version))
        try:
            answer = connection.read_response()
        except (EOFError, ConnectionError):
            assert name != "right"
            return
        assert answer.status == 200
        if name == "right":
            assert answer.text == "right" and is_content(answer.etag)
        else:
            assert answer.etag is None, answer
    ignored = server.get(f"/cgi/{name}.sh", proto=version)
    assert bool(ignored.etag) == bool(ignored.body) and server.why(ignored) == ("fresh" if ignored.body else "empty")
    healthy(server)


# --- clients -------------------------------------------------------------------------------------

def test_slow_client(new_httpd, new_origin):
    """It reads some of six megabytes and stops; others are served; then it reads the rest."""
    origin = new_origin()
    body = random.Random(2).randbytes(6_000_000)
    origin.on("/o/large", script_of(body, how="chunked", pieces=cut(body, 5000, 60_000)))
    origin.on("/o/next", script_of("next\n"))
    server = new_httpd(conf_for(origin, "8M 64M") + ONE_CHILD, MODULES)
    with Reader(server.port) as reader:
        reader._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)  # far less, and TCP itself takes minutes
        answer = reader.ask("/o/large").begin()
        reader.arrived(50_000)
        assert is_content(answer.etag), "the tag came with the head"
        for _ in range(5):
            healthy(server)
            assert server.get("/o/large").body == body
        assert reader.rest().body == body
    assert server.get("/o/large", tag=answer.etag).status == 304


def test_pipelined_requests(server):
    """Two requests in one piece: two answers in order."""
    body = random.Random(8).randbytes(100_000)
    server.origin.on("/o/first", script_of(body, how="chunked", pieces=cut(body, 1, 3000)))
    tag = server.get("/o/first").etag
    with server.connect() as connection:
        for _ in range(3):
            connection.send(request_bytes("GET", "/o/first")
                            + request_bytes("GET", "/o/first", [("If-None-Match", tag)])
                            + request_bytes("HEAD", "/o/first") + request_bytes("GET", "/o/next"))
            assert connection.read_response().body == body
            assert connection.read_response().status == 304
            assert connection.read_response("HEAD").status == 200
            assert connection.read_response().text == "next\n"
        connection.expect_nothing_more()


@pytest.mark.parametrize("condition, status", [(("If-None-Match", '"theirs"'), 304), (("If-Match", '"other"'), 412)])
@pytest.mark.parametrize("media", ["text/event-stream", "text/plain", "video/mp4"])
def test_what_nobody_reads_is_stopped(server, media, condition, status):
    """Where the header decides, an endless response is not read for ever behind it."""
    def endless(exchange):
        exchange.head('ETag: "theirs"', media=media)
        while True:
            exchange.send(b"one more line\n" * 100)

    path = server.origin.on(f"/o/unread-{status}-{media[-5:]}", endless)
    server.log.expect("proxy|AH0", optional=True)
    answer = server.get(path, [condition])
    assert answer.status == status
    until(lambda: server.origin.done(path) == 1, "the origin to see the end")
    healthy(server)


@pytest.mark.parametrize("condition, status", [(("If-None-Match", "*"), 304), (("If-Match", '"x"'), 412)])
@pytest.mark.parametrize("media", ["text/event-stream", "text/plain"])
def test_slow_and_endless_is_stopped_too(server, media, condition, status):
    """A few bytes now and then, for a client that may be gone: time counts as well."""
    def trickle(exchange):
        exchange.head('ETag: "theirs"', media=media)
        while True:
            exchange.send(b"still there\n")
            time.sleep(0.1)

    path = server.origin.on(f"/o/slow-{status}-{media[-5:]}", trickle)
    server.log.expect("proxy|AH0", optional=True)
    assert server.get(path, [condition]).status == status
    until(lambda: server.origin.done(path) == 1, "the origin to see the end")


@pytest.mark.parametrize("enabled", ["", 'CacheEnable disk /\nCacheRoot "@ROOT@/cache"\n'], ids=["loaded", "enabled"])
def test_what_nobody_reads_is_stopped_beside_mod_cache(new_httpd, new_origin, enabled):
    """A cache may want the rest of a body that the client needs not; but not of one without end."""
    def endless(exchange):
        exchange.head('ETag: "theirs"', "Cache-Control: max-age=60")
        while True:
            exchange.send(bytes(8192))

    origin = new_origin()
    origin.on("/o/endless", endless)
    server = new_httpd(conf_for(origin) + enabled, f"{MODULES} cache_disk", start=False)
    (server.root / "cache").mkdir()
    places.writable(server.root / "cache")
    server.start()
    server.log.expect("proxy|cache|AH0", optional=True)
    answer = server.get("/o/endless", tag='"theirs"')
    assert answer.status == 304
    until(lambda: origin.done("/o/endless") == 1, "the origin to see the end")


def test_client_that_leaves(server):
    """In the middle of a body that streams and of one that is held: the server and the next request are fine."""
    server.log.expect("proxy|AH0", optional=True)
    children = server.children()
    for name, first in (("held", b"a beginning"), ("streamed", bytes(LIMIT + 10_000))):
        path = server.origin.on(f"/o/left_{name}", held_back(first, bytes(5000), signal=name))
        for number in range(10):
            with Reader(server.port) as reader:
                reader.ask(path)
                if name == "streamed":
                    reader.begin()
                    reader.arrived(1000)
                else:
                    until(lambda path=path, number=number: server.origin.calls(path) == number + 1, "the request")
        server.origin.say(name)
        until(lambda path=path: server.origin.done(path) == 10, "the origin to finish")
        healthy(server)
    assert server.children() == children
