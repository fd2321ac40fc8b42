# SPDX-License-Identifier: Apache-2.0
"""Nothing is held back, nothing is mixed up: streams, upgrades, dying backends, many requests at once."""
import re
import socket
import subprocess
import threading

import pytest

from harness import places
from harness.backend import Reply
from harness.client import request_bytes
from harness.tags import is_version
from harness.wait import PATIENCE, until

SITE = """
Protocols h2c http/1.1
ProxyPass /s/ http://127.0.0.1:@BACKEND@/s/ flushpackets=on
<Location /s/>
  ETagVersion Version
  ETagVersionModels m
</Location>
"""


class RawBackend:
    """Answers each connection with what the test's function writes into the socket."""

    def __init__(self, write):
        self._write = write
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65536)
                if not part:
                    return
                data += part
            try:
                self._write(connection, data)
            except OSError:
                pass

    def close(self):
        self._listener.close()


@pytest.fixture
def behind(new_httpd):
    """A server in front of a backend that writes by hand."""
    made = []

    def make(write, modules="proxy h2"):
        made.append(RawBackend(write))
        return new_httpd(SITE.replace("@BACKEND@", str(made[-1].port)), modules)
    yield make
    for backend in made:
        backend.close()


@pytest.mark.parametrize("media", ["text/event-stream", "application/json"])
def test_streams_are_not_held_back(behind, media):
    """The second event is sent only when the client has read the first."""
    seen = threading.Event()

    def write(connection, _request):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "6\r\nfirst\n\r\n".encode())
        assert seen.wait(PATIENCE)
        connection.sendall(b"7\r\nsecond\n\r\n0\r\n\r\n")

    server = behind(write)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as s:
        s.sendall(request_bytes("GET", "/s/events"))
        data = b""
        while b"first" not in data:
            part = s.recv(65536)
            assert part, data
            data += part
        seen.set()
        while b"second" not in data:
            data += s.recv(65536)


def test_upgrades_pass(behind):
    """101 Switching Protocols goes through with its bytes in both directions, and without a tag."""
    def write(connection, request):
        assert b"websocket" in request.lower()
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        connection.sendall(connection.recv(100).upper())

    server = behind(write)
    server.restart(server.conf.replace("/s/ flushpackets=on", "/s/ upgrade=websocket"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as s:
        s.sendall(request_bytes("GET", "/s/socket", [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                                     ("If-None-Match", 'W/"v0123456789012345678901"')],
                                request_id="upgraded"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(1000)
        assert head.startswith(b"HTTP/1.1 101") and b"etag" not in head.lower()
        s.sendall(b"hello")
        assert s.recv(100) == b"HELLO"
    log = server.root / "logs/access.log"
    until(lambda: "upgraded\t101" in log.read_text(), "the upgraded connection to end")


@pytest.mark.parametrize("bytes_sent", [
    b"", b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz"])
def test_backends_that_die(behind, bytes_sent):
    """No gateway error has a tag, and a body that is cut off is never a good 200."""
    server = behind(lambda connection, _request: connection.sendall(bytes_sent))
    server.log.expect("proxy(_http)?:(warn|error)|http:error|AH0", optional=True)
    try:
        answer = server.get("/s/x")
    except (EOFError, ConnectionError, AssertionError, ValueError):
        return  # cut off before the end, as it should be
    assert answer.status >= 500
    assert not is_version(answer.etag)


def test_informational_responses(behind):
    """103 Early Hints before the response do not count as the response."""
    server = behind(lambda connection, _request: connection.sendall(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"))
    answer = server.get("/s/x")
    assert (answer.status, answer.text) == (200, "ok\n") and is_version(answer.etag)
    assert server.get("/s/x", tag=answer.etag).status == 304


def test_large_body(new_httpd, new_backend):
    """Four megabytes through the filters, byte for byte."""

    backend = new_backend()
    body = bytes(range(256)) * 16384
    backend.default = Reply(body=body)
    server = new_httpd(f"ProxyPass / {backend.url}/\n<Location />\nETagVersion Version\nETagVersionModels m\n"
                       "</Location>", "proxy")
    answer = server.get("/x")
    assert answer.body == body and is_version(answer.etag)
    again = server.get("/x", tag=answer.etag)
    assert again.status == 304 and backend.calls() == 1


def h2load(server, *arguments):
    """Status counts of an h2load run."""
    run = subprocess.run([places.program("h2load"), *arguments], capture_output=True, text=True, timeout=300,
                         check=False)
    assert run.returncode == 0, run.stderr
    counts = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", run.stdout)
    failed = re.search(r"requests:.* (\d+) failed, (\d+) errored, (\d+) timeout", run.stdout)
    assert failed and failed.groups() == ("0", "0", "0"), run.stdout
    return tuple(int(n) for n in counts.groups())


@pytest.mark.parametrize("mpm, h1, store", [("event", False, "local"), ("worker", True, "local"),
                                            ("prefork", True, "redis"), ("event", False, "redis")])
def test_many_at_once(new_httpd, new_backend, new_redis, mpm, h1, store):
    """Streams of many connections beside each other: every one is a 304, no call; then every one a 200."""
    backend = new_backend()
    url = new_redis().url if store == "redis" else "local"
    server = new_httpd(f"ETagVersionStore {url}\nETagVersionStoreTimeout connect=5s command=5s\n"
                       f"Protocols h2c http/1.1\nProxyPass /p/ {backend.url}/p/\n<Location />\n"
                       "ETagVersion Version\nETagVersionModels a b\n</Location>",
                       "proxy" + ("" if mpm == "prefork" else " h2"), mpm=mpm)
    target = f"http://127.0.0.1:{server.port}/p/x"
    host = f"127.0.0.1:{server.port}"
    tag = server.get("/p/x", host=host).etag
    calls = backend.calls()
    options = ["-n", "2000", "-c", "4", "-m", "1" if h1 else "10", "-H", f"if-none-match: {tag}"]
    options += ["--h1"] if h1 else []
    assert h2load(server, *options, target) == (0, 2000, 0, 0)
    assert backend.calls() == calls
    server.bump("b", host=host)
    assert h2load(server, *[o.replace("2000", "200") for o in options], target) == (200, 0, 0, 0)
    until(lambda: backend.calls() == calls + 200, "the backend's counter")
