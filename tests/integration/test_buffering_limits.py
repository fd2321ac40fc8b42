# SPDX-License-Identifier: Apache-2.0
"""The limits of content mode's memory: of one response, of the process; and that it comes back."""
import random
import threading

import pytest

from harness.buffering import LIMIT, MODULES, ONE_CHILD, build, conf_for, healthy
from harness.client import request_bytes
from harness.load import all_together
from harness.origin import cut, held_back, script_of
from harness.reader import Reader, is_content
from harness.wait import PATIENCE, until


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    return build(shared_httpd, shared_origin())


@pytest.mark.parametrize("how", ["length", "chunked", "close"])
@pytest.mark.parametrize("size, tagged", [(1, True), (LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False),
                                          (2 * LIMIT, False), (10 * LIMIT + 7, False)])
def test_the_limit_of_one_response(server, how, size, tagged):
    body = random.Random(size).randbytes(size)
    path = server.origin.on(f"/o/{how}{size}", script_of(body, how=how, pieces=cut(body, 1000, 30_000)))
    for proto in ("1.1", "1.0"):
        answer = server.get(path, proto=proto)
        assert answer.status == 200 and answer.body == body
        assert is_content(answer.etag) if tagged else answer.etag is None, (server.why(answer), answer)
        assert server.why(answer) == ("fresh" if tagged else "oversize")
        assert server.get(path, tag='"x"', proto=proto).body == body


def test_files_and_the_limit(server):
    for name, size in (("at", LIMIT), ("above", LIMIT + 1)):
        answer = server.get(f"/static/{name}.txt")
        assert answer.body == bytes(size)
        assert is_content(answer.etag) == (name == "at"), (server.why(answer), answer)


def test_past_the_limit_nothing_is_held_back(server):
    """What was gathered until then is sent, and then each piece at once."""
    first = random.Random(3).randbytes(LIMIT + 5000)

    def run(exchange):
        exchange.head("Transfer-Encoding: chunked")
        for piece in cut(first, 100, 9000):
            exchange.chunk(piece)
        for number in range(5):
            exchange.wait(f"past{number}")
            exchange.chunk(b"piece %d\n" % number)
        exchange.end()

    server.origin.on("/o/past", run)
    with Reader(server.port) as reader:
        assert reader.ask("/o/past").begin().etag is None
        reader.arrived(len(first))
        assert bytes(reader.body) == first
        for number in range(5):
            server.origin.say(f"past{number}")
            reader.arrived(b"piece %d\n" % number)
        assert len(reader.rest().body) == len(first) + 5 * 8
    assert server.why(reader.answer) == "oversize"


def test_the_limit_of_the_process(new_httpd, new_origin):
    """More at once than fit: some stream on without a tag, all are right; afterwards there is room again."""
    origin = new_origin()
    body = random.Random(9).randbytes(200_000)
    held = body[-10:]
    server = new_httpd(conf_for(origin, "256K 1M") + ONE_CHILD,
                       MODULES)

    for turn in range(3):
        for how in ("length", "chunked"):
            path, signal = f"/o/{how}", f"{turn}{how}"
            origin.on(path, held_back(body[:-10], held, length=len(body) if how == "length" else None, signal=signal))
            streaming, lock, words = threading.Semaphore(0), threading.Lock(), []

            def one(_number, path=path, streaming=streaming, lock=lock, words=words):
                with Reader(server.port) as reader:
                    answer = reader.ask(path).begin()
                    if answer.etag is None:
                        reader.arrived(1)
                        streaming.release()
                    answer = reader.rest()
                assert answer.status == 200 and answer.body == body
                with lock:
                    words.append((is_content(answer.etag), server.why(answer)))

            crowd = threading.Thread(target=all_together, args=(14, one), daemon=True)
            crowd.start()
            # While the rest of every body is held back: four or five fit, what does not fit is on its way.
            for _ in range(14 - 5):
                assert streaming.acquire(timeout=PATIENCE), "nothing streams although nothing fits any more"
            origin.say(signal)
            crowd.join(PATIENCE)
            assert len(words) == 14, "somebody got something wrong"
            assert sum(tag for tag, _ in words) <= 5
            assert {word for tag, word in words if not tag} == {"oversize"}
            assert {word for tag, word in words if tag} <= {"fresh"}
            # All memory is back.
            origin.on("/o/after", script_of(body, how=how))
            for _ in range(10):
                healthy(server, "/o/after")


def test_no_memory_at_all(new_httpd, new_origin):
    """A limit of nothing: no response is held back, and none has a tag."""
    origin = new_origin()
    origin.on("/o/x", script_of("some words\n", how="chunked", pieces=[b"some ", b"words\n"]))
    server = new_httpd(conf_for(origin, "0"),
                       MODULES, start=False)
    server.write("htdocs/static/x.txt", "x\n")
    server.start()
    for path in ("/o/x", "/static/x.txt"):
        answer = server.get(path)
        assert answer.status == 200 and answer.body and not is_content(answer.etag)
        assert server.why(answer) == "oversize"


def test_limit_after_a_graceful_restart(new_httpd, new_origin):
    """Another limit counts, and without the line the default does."""
    origin = new_origin()
    origin.on("/o/x", script_of(bytes(LIMIT + 1), how="chunked"))
    server = new_httpd(conf_for(origin), MODULES)
    assert server.why(server.get("/o/x")) == "oversize"
    for new, word in (("ETagVersionBufferLimit 1M 4M", "fresh"), ("ETagVersionBufferLimit 10K", "oversize"),
                      ("", "fresh")):
        server.conf = conf_for(origin).replace("ETagVersionBufferLimit 256K 4M", new)
        server._write_conf()
        server.graceful()
        # a child of the old generation may still take a connection or two
        until(lambda word=word: server.why(server.get("/o/x")) == word, f"{word} under {new or 'the default'}")
        until(lambda word=word: all(server.why(server.get("/o/x")) == word for _ in range(10)), "the same for good")


def test_memory_comes_back(new_httpd, new_origin):
    """Room for four bodies, twenty clients that hang up in the middle of theirs, and faults of the backend."""
    origin = new_origin()
    body = random.Random(9).randbytes(200_000)
    server = new_httpd(conf_for(origin, "256K 1M") + ONE_CHILD,
                       MODULES)
    server.log.expect("proxy|AH0", optional=True)
    children = server.children()
    origin.on("/o/whole", script_of(body, how="chunked"))
    origin.on("/o/cut", lambda exchange: (exchange.head("Content-Length: 200000"), exchange.send(body[:-10])))
    origin.on("/o/held", held_back(body[:-10], body[-10:]))
    for number in range(20):
        with Reader(server.port) as reader:
            reader.ask("/o/held")
            until(lambda number=number: origin.calls("/o/held") == number + 1, "the request at the origin")
    for _ in range(10):
        with server.connect() as connection:
            connection.send(request_bytes("GET", "/o/cut"))
            try:
                assert not is_content(connection.read_response().etag)
            except (EOFError, ConnectionError):
                pass
    origin.say("go")
    until(lambda: origin.done("/o/held") == 20, "the origin to finish")

    def one(_number):
        answer = server.get("/o/whole")
        assert answer.body == body and is_content(answer.etag), server.why(answer)

    until(lambda: is_content(server.get("/o/whole").etag), "the memory of those who hung up")
    for _ in range(10):
        all_together(2, one)
    assert server.children() == children
