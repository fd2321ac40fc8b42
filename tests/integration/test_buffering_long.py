# SPDX-License-Identifier: Apache-2.0
"""Large bodies, many at once, and backends that are killed."""
import os
import random
import signal
import threading
from collections import Counter

import pytest

from harness.client import Connection, request_bytes
from harness.load import Crowd, all_together
from harness.memory import Memory
from harness.mortal import Mortal, body_of, response_of
from harness.origin import cut, framed
from harness.ports import free_port
from harness.reader import Reader, is_content
from harness.wait import PATIENCE, until

pytestmark = pytest.mark.long

MB = 1024 * 1024
SITE = """
ETagVersionSecret the-same-on-all-hosts
ETagVersionBufferLimit @LIMIT@
ThreadLimit 256
StartServers 1
ServerLimit 1
ThreadsPerChild 256
MaxRequestWorkers 256
MinSpareThreads 1
MaxSpareThreads 256
Timeout 300
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
<Location />
  ETagVersion Content
</Location>
"""


def site(new_httpd, origin, limit, more="", modules="proxy alias env cgid"):
    server = new_httpd(SITE.replace("@ORIGIN@", origin).replace("@LIMIT@", limit) + more, modules, level="notice")
    server.memory = Memory(_worker(server))
    return server


def _worker(server):
    """The child that serves: cgid's daemon is the one with a single thread."""
    def busy():
        return [pid for pid in server.children() if len(os.listdir(f"/proc/{pid}/task")) > 10]
    return until(busy, "the child")[0]


def drain(port, target, pattern, version="1.1"):
    """Read a body that must be the pattern again and again; returns the head and the size."""
    size, endless = 0, memoryview(pattern + pattern[:MB])
    with Reader(port) as reader:
        answer = reader.ask(target, version=version).begin()
        for piece in reader.pieces():
            at = size % len(pattern)
            assert endless[at:at + len(piece)] == piece, f"other bytes at {size}: {piece[:100]!r}"
            size += len(piece)
    return answer, size


# --- one gigabyte --------------------------------------------------------------------------------

EIGHT = random.Random(8).randbytes(8 * MB)
GIGABYTE = 1024 * MB


def gigabyte_of(how, media):
    framing = {"length": f"Content-Length: {GIGABYTE}", "chunked": "Transfer-Encoding: chunked",
               "close": "Connection: close"}

    def run(exchange):
        exchange.head(framing[how], media=media)
        for number in range(GIGABYTE // MB):
            block = EIGHT[number % 8 * MB:(number % 8 + 1) * MB]
            exchange.send(framed(block) if how == "chunked" else block)
        if how == "chunked":
            exchange.end()
    return run


@pytest.mark.memory
@pytest.mark.parametrize("how, media, word", [
    ("length", "text/plain", "oversize"), ("chunked", "text/plain", "oversize"),
    ("chunked", "application/octet-stream", "type"), ("close", "text/plain", "oversize")])
def test_a_gigabyte_streams_through(new_httpd, new_origin, how, media, word):
    """The child grows by no more than the limit of one response and a little for the connection."""
    origin = new_origin()
    origin.on("/o/warm", lambda exchange: (exchange.head(f"Content-Length: {MB}"), exchange.send(EIGHT[:MB])))
    origin.on("/o/large", gigabyte_of(how, media))
    server = site(new_httpd, origin.url, "8M 64M")
    for _ in range(5):
        assert is_content(server.get("/o/warm").etag)
    before = server.memory.forget()
    answer, size = drain(server.port, "/o/large", EIGHT)
    growth = server.memory.peak() - before
    print(f"{how} {media}: grew by {growth / MB:.1f} MB at most")
    assert answer.status == 200 and size == GIGABYTE
    assert answer.etag is None and server.why(answer) == word
    assert growth < 8 * MB + 2 * MB
    assert is_content(server.get("/o/warm").etag)


@pytest.mark.memory
@pytest.mark.parametrize("largest", [1, 14, 500])
def test_small_chunks_are_packed(new_httpd, new_origin, largest):
    """A body takes its own size, not 8 KB for each chunk of a few bytes."""
    origin = new_origin()
    body = EIGHT[:2 * MB]
    data = b"".join(map(framed, cut(body, 1, largest))) + b"0\r\n\r\n"
    origin.on("/o/small", lambda exchange: (exchange.head("Transfer-Encoding: chunked"), exchange.send(data)))
    origin.on("/o/warm", lambda exchange: (exchange.head(f"Content-Length: {MB}"), exchange.send(EIGHT[:MB])))
    server = site(new_httpd, origin.url, "8M 64M")
    for _ in range(5):
        assert is_content(server.get("/o/warm").etag)
    before = server.memory.forget()
    answer, size = drain(server.port, "/o/small", EIGHT)
    growth = server.memory.peak() - before
    print(f"chunks of at most {largest}: {size / MB:.1f} MB, grew by {growth / MB:.1f} MB, {server.why(answer)}")
    assert size == len(body) and growth < len(body) + 2 * MB


# --- many at once --------------------------------------------------------------------------------

SEVEN = random.Random(7).randbytes(7 * MB)


def seven(exchange):
    """Half of them with a length, half chunked; the rest comes when all requests are there."""
    chunked = exchange.target.endswith("chunked")
    exchange.head("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(SEVEN)}")
    for at in range(0, len(SEVEN), 100_000):
        piece = SEVEN[at:at + 100_000]
        exchange.send(framed(piece) if chunked else piece)
        if at == 0:
            exchange.wait("all")
    if chunked:
        exchange.end()


def fetch_sevens(server, origin, count):
    """Tags and words of that many responses at once, each checked byte for byte."""
    seen, lock = [], threading.Lock()

    def one(number):
        answer, size = drain(server.port, "/o/seven?" + ("chunked" if number % 2 else "length"), SEVEN)
        assert answer.status == 200 and size == len(SEVEN), (size, answer)
        with lock:
            seen.append((answer.etag, server.why(answer)))

    crowd = Crowd(count, lambda number, _running: one(number))
    with crowd:
        until(lambda: origin.calls("/o/seven") >= count, "all requests at the origin", PATIENCE * 4)
        origin.say("all")
        crowd.join(PATIENCE * 8)
    assert len(seen) == count
    return seen


@pytest.mark.memory
@pytest.mark.parametrize("limit, most", [("8M 64M", 64), ("8M 256M", 256)])
def test_two_hundred_at_once(new_httpd, new_origin, limit, most):
    """All complete, the child's memory bounded, and some or most have a tag."""
    origin = new_origin()
    origin.on("/o/seven", seven)
    server = site(new_httpd, origin.url, limit)
    server.get("/none")
    before = server.memory.forget()
    seen = fetch_sevens(server, origin, 200)
    growth = server.memory.peak() - before
    words = Counter(word for _, word in seen)
    print(f"{limit}: {dict(words)}, grew by {growth / MB:.0f} MB at most")
    tags = {tag for tag, _ in seen if tag}
    # `stream`: without a length, and the origin made them wait for each other.
    assert set(words) <= {"fresh", "oversize", "stream"} and words["fresh"] == sum(1 for tag, _ in seen if tag)
    assert len(tags) <= 1 and all(map(is_content, tags))
    # Beside the limit: buffers of httpd and of mod_proxy for each of the 200.
    assert growth < most * MB + 200 * 256 * 1024
    # Afterwards all of the memory is there again.
    for _ in range(5):
        answer, size = drain(server.port, "/o/seven?chunked", SEVEN)
        assert is_content(answer.etag) and size == len(SEVEN), server.why(answer)


def test_most_have_tags_by_default(new_httpd, new_origin):
    """With the default limit and as many clients as a busy server has, most responses have a tag."""
    origin = new_origin()
    origin.on("/o/seven", seven)
    server = site(new_httpd, origin.url, "8M 256M")
    origin.say("all")
    fetched, lock = Counter(), threading.Lock()

    def one(_number):
        for turn in range(10):
            answer, size = drain(server.port, "/o/seven?" + ("chunked" if turn % 2 else "length"), SEVEN)
            assert size == len(SEVEN)
            with lock:
                fetched[bool(answer.etag)] += 1

    all_together(20, one)
    print(f"{fetched[True]} of 200 with a tag")
    assert fetched[True] > 100


# --- many after each other -----------------------------------------------------------------------

@pytest.mark.memory
def test_nothing_is_left_behind(new_httpd, new_origin):
    """Thousands of requests of every kind over one connection: the child does not grow."""
    origin = new_origin()
    body = EIGHT[:60_000]
    origin.on("/o/whole", lambda exchange: (exchange.head("Content-Length: 60000"), exchange.send(body)))
    origin.on("/o/chunked", lambda exchange: (exchange.head("Transfer-Encoding: chunked"),
                                              exchange.send(b"".join(map(framed, cut(body, 1, 5000)))), exchange.end()))
    origin.on("/o/over", lambda exchange: (exchange.head("Connection: close"), exchange.send(body, body)))
    origin.on("/o/cut", lambda exchange: (exchange.head("Connection: close", "Content-Length: 60000"),
                                          exchange.send(body[:-1])))
    server = site(new_httpd, origin.url, "100K 1M", "ETagVersionHead AsGet\n")
    server.log.expect("proxy|AH0", optional=True)
    tag = server.get("/o/whole").etag
    assert is_content(tag)

    def round_of_requests():
        with server.connect() as connection:
            for path in ("/o/whole", "/o/chunked", "/o/over"):
                for method in ("GET", "HEAD"):
                    for headers in ([], [("If-None-Match", tag)], [("If-Match", '"x"')], [("Range", "bytes=0-9")]):
                        connection.request(method, path, headers)
        ask(server, "/o/cut")

    for _ in range(50):
        round_of_requests()
    before = server.memory.now()
    for _ in range(200):
        round_of_requests()
    growth = server.memory.now() - before
    print(f"grew by {growth / MB:.2f} MB in {200 * 25} requests")
    assert growth < 2 * MB
    assert is_content(server.get("/o/chunked").etag)


# --- backends that are killed --------------------------------------------------------------------

def ask(server, target, version="1.1"):
    """What became of a request: a response, or None when the connection was cut."""
    with Connection(server.port) as connection:
        connection.send(request_bytes("GET", target, version=version))
        try:
            return connection.read_response()
        except (EOFError, ConnectionError):
            return None


def places_of_death(size, how, seed, count=50):
    """Random places; the first ones where a mistake would be likely."""
    whole = len(response_of(how, size))
    dice = random.Random(seed)
    sure = [1, whole - size if how == "length" else 70, whole - 1, whole - 2, whole - 5, whole - 7]
    return sure + [dice.randrange(1, whole) for _ in range(count - len(sure))]


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_killed_origin(new_httpd, tmp_path, how):
    """kill -9 in the middle of a response, fifty times."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    size, port = 200_000, free_port()
    origin = Mortal(port, tmp_path)
    server = site(new_httpd, f"http://127.0.0.1:{port}", "8M 64M")
    server.log.expect("proxy|http:error|AH0", optional=True)
    origin.start()
    try:
        for number, stop in enumerate(places_of_death(size, how, seed)):
            version = ("1.1", "1.0")[number % 2]
            result = []

            def work(stop=stop, version=version, result=result):
                result.append(ask(server, f"/o/x?how={how}&size={size}&stop={stop}", version))

            client = threading.Thread(target=work)
            client.start()
            until(origin.mark.exists, f"the origin at byte {stop}")
            origin.kill()
            client.join(PATIENCE)
            assert result, f"seed {seed}, byte {stop}: the client hangs"
            answer = result[0]
            assert answer is None or answer.etag is None, f"seed {seed}, byte {stop}: {answer}"
            origin.start()
            answer = server.get(f"/o/x?how={how}&size=300")
            assert answer.body == body_of(300) and is_content(answer.etag), f"seed {seed}, after byte {stop}: {answer}"
    finally:
        origin.kill()


PROGRAM = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\n' 200000
stop=${QUERY_STRING#stop=}
head -c "${stop:-200000}" @BODY@
test "$stop" || exit 0
sleep 60 &
echo $$ > @MARK@.new && mv @MARK@.new @MARK@
wait
"""


@pytest.mark.parametrize("way", ["program", "program behind a proxy"])
def test_killed_program(new_httpd, way):
    """A CGI program that announced its length and is killed; directly, and on a server behind a proxy."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    trust = "<Location /cgi/>\nSetEnv ap_trust_cgilike_cl 1\n</Location>\n"
    inner = site(new_httpd, "http://127.0.0.1:1", "8M 64M", trust)
    mark = inner.root / "mark/pid"
    mark.parent.mkdir()
    mark.parent.chmod(0o777)
    body = inner.write("body", body_of(200_000))
    inner.write("cgi/x.sh", PROGRAM.replace("@BODY@", str(body)).replace("@MARK@", str(mark)), 0o755)
    server = inner
    if way != "program":
        inner.restart(inner.conf.replace("ETagVersion Content", "ETagVersion Off"))
        server = site(new_httpd, "http://127.0.0.1:1", "8M 64M",
                      f"ProxyPass /p/ http://127.0.0.1:{inner.port}/cgi/ disablereuse=on\n")
    target = "/cgi/x.sh" if server is inner else "/p/x.sh"
    for each in {server, inner}:
        each.log.expect("proxy|cgi|http:error|AH0", optional=True)
    dice = random.Random(seed)
    for number, stop in enumerate([1, 199_999] + [dice.randrange(1, 200_000) for _ in range(48)]):
        version = ("1.1", "1.0")[number % 2]
        result = []
        mark.unlink(missing_ok=True)

        def work(stop=stop, version=version, result=result):
            result.append(ask(server, f"{target}?stop={stop}", version))

        client = threading.Thread(target=work)
        client.start()
        until(mark.exists, f"the program at byte {stop}")
        _kill_family(int(mark.read_text()))
        client.join(PATIENCE)
        assert result, f"seed {seed}, byte {stop}: the client hangs"
        assert result[0] is None or result[0].etag is None, f"seed {seed}, byte {stop}: {result[0]}"
        if number % 10 == 9:
            answer = server.get(target)
            assert answer.body == body_of(200_000) and is_content(answer.etag), f"seed {seed}, after byte {stop}"


def _kill_family(pid):
    """kill -9 for a program and what it started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        family = [pid, *map(int, f.read().split())]
    for each in family:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass
