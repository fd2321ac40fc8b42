# SPDX-License-Identifier: Apache-2.0
"""A body that may have lost its end is no version of anything."""
import socket
import threading

import pytest

from harness import client
from harness.tags import is_version

SITE = """
ProxyPass /b/ http://127.0.0.1:@PORT@/b/ @PROXY@
<Location /b/>
  ETagVersion Version
  ETagVersionModels m
  @MORE@
</Location>
"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED, WHOLE = HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"


class Pieces:
    """Sends pieces, each when the test says so (or after the client hung up), and closes."""

    def __init__(self, pieces):
        self._pieces = pieces
        self.go = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.recv(65536)
                for number, piece in enumerate(self._pieces):
                    if number:
                        self.go.acquire(timeout=5)
                    connection.sendall(piece)

    def close(self):
        self._listener.close()


@pytest.fixture
def serve(new_httpd):
    made = []

    def make(pieces, more="", proxy="", modules=""):
        made.append(Pieces(pieces))
        conf = SITE.replace("@PORT@", str(made[-1].port)).replace("@PROXY@", proxy).replace("@MORE@", more)
        server = new_httpd(conf, f"proxy {modules}")
        server.log.expect("proxy.*(AH01102|AH01110|AH00898|AH01115|AH10501|AH01106)|proxy_http:error", optional=True)
        return server, made[-1]
    yield make
    for backend in made:
        backend.close()


# What the backend sends before it dies.
BROKEN = {
    "right behind the head": [CHUNKED, b""],
    "in the first chunk": [CHUNKED + b"9\r\nhel"],
    "in the first chunk, later": [CHUNKED, b"9\r\nhel"],
    "behind a chunk": [CHUNKED + b"5\r\nhello\r\n"],
    "behind a chunk, later": [CHUNKED + b"5\r\nhello\r\n", b""],
    "in the second chunk": [CHUNKED + b"5\r\nhello\r\n", b"9\r\nwor"],
    "behind many chunks": [CHUNKED] + [b"5\r\nhello\r\n"] * 5,
    "broken length": [CHUNKED + b"5\r\nhello\r\n", b"zz\r\n"],
}


@pytest.mark.parametrize("proxy", ["", "flushpackets=on"], ids=["buffered", "flushed"])
@pytest.mark.parametrize("pieces", BROKEN.values(), ids=BROKEN.keys())
def test_truncated_for_http10(serve, pieces, proxy):
    """HTTP/1.0 has no last chunk: what arrives looks whole, so it must not be revalidated for good."""
    server, backend = serve(pieces, proxy=proxy)
    with server.connect() as connection:
        connection.send(client.request_bytes("GET", "/b/x", version="1.0"))
        for _ in pieces[1:]:
            backend.go.release()
        answer = connection.read_response()
    assert not is_version(answer.etag), answer


@pytest.mark.parametrize("pieces", [BROKEN["behind a chunk, later"], BROKEN["in the second chunk"]])
def test_truncated_for_http10_through_an_encoder(serve, pieces):
    """mod_deflate takes the length away."""
    server, backend = serve(pieces, "SetOutputFilter DEFLATE", modules="filter deflate")
    with server.connect() as connection:
        connection.send(client.request_bytes("GET", "/b/x", [("Accept-Encoding", "gzip")], version="1.0"))
        for _ in pieces[1:]:
            backend.go.release()
        assert not is_version(connection.read_response().etag)


@pytest.mark.parametrize("pieces", [BROKEN["behind a chunk, later"], BROKEN["in the second chunk"]])
def test_truncated_for_http11_shows(serve, pieces):
    """Whoever speaks HTTP/1.1 sees that the end is missing, and keeps nothing."""
    server, backend = serve(pieces, proxy="flushpackets=on")
    with server.connect() as connection:
        connection.send(client.request_bytes("GET", "/b/x"))
        for _ in pieces[1:]:
            backend.go.release()
        with pytest.raises(EOFError):
            connection.read_response()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("more, modules", [("", ""), ("SetOutputFilter DEFLATE", "filter deflate")],
                         ids=["plain", "encoded"])
def test_whole_bodies_with_a_length(new_httpd, new_backend, version, more, modules):
    """A length, or all of the body at once, is good enough for HTTP/1.0."""
    backend = new_backend()
    backend.default.body = "many words " * 100
    server = new_httpd(SITE.replace("@PORT@", str(backend.port)).replace("@PROXY@", "").replace("@MORE@", more),
                       f"proxy {modules}")
    headers = [("Accept-Encoding", "gzip")] if more else []
    full = server.get("/b/x", headers, proto=version)
    assert full.status == 200 and is_version(full.etag), server.why(full)
    assert full.etag.endswith('-gzip"') == bool(more)
    again = server.get("/b/x", headers, tag=full.etag, proto=version)
    assert again.status == 304 and again.etag == full.etag


def test_static_files(new_httpd):
    server = new_httpd("<Location />\nETagVersion Version\nETagVersionModels m\nETagVersionUpstreamETag Replace\n"
                       "</Location>", start=False)
    server.write("htdocs/x.txt", "x" * 200_000)
    server.start()
    for version in ("1.0", "1.1"):
        full = server.get("/x.txt", proto=version)
        assert is_version(full.etag) and server.get("/x.txt", tag=full.etag, proto=version).status == 304


@pytest.mark.parametrize("version, tagged", [("1.1", True), ("1.0", None)])
def test_whole_chunked_bodies(serve, version, tagged):
    """Without a length HTTP/1.0 may go without a tag, but what has one is complete."""
    server, backend = serve([CHUNKED + WHOLE])
    answer = server.get("/b/x", proto=version)
    assert answer.text == "hello"
    if tagged:
        assert is_version(answer.etag)
    else:
        assert is_version(answer.etag) or server.why(answer) == "stream"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_error_responses_of_the_proxy(serve, method):
    """The backend hangs up without a word."""
    server, _ = serve([b""])
    server.log.expect("AH01102|AH00898|AH01097|AH10501", optional=True)
    for version in ("1.0", "1.1"):
        answer = server.request(method, "/b/x", proto=version)
        assert answer.status == 502 and not is_version(answer.etag)
