# SPDX-License-Identifier: Apache-2.0
"""A GraphQL server that a test scripts, and clients that ask it in all the ways there are."""
import json
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

from .tags import is_version

JSON, TEXT, FORM = "application/json", "application/graphql", "application/x-www-form-urlencoded"
HASH = {"persistedQuery": {"version": 1, "sha256Hash": "ecf4edb46db40b51" * 4}}


class Asked:
    """What the server received; `broken` when the body did not come to its end."""

    def __init__(self, method, target, headers, body, broken):
        self.method, self.target, self.headers, self.body, self.broken = method, target, headers, body, broken
        self.path = target.split("?", 1)[0]

    def get(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Answer:
    """What it says. `pieces`: chunks of so many bytes; `declared`: a Content-Length that may be a lie."""

    def __init__(self, body=None, status=200, headers=(), media=JSON, pieces=0, declared=None):
        body = json.dumps(body) if isinstance(body, (dict, list)) else body
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.headers, self.media = status, list(headers), media
        self.pieces, self.declared = pieces, declared


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format, *args):  # noqa: A002 (the name is the base class's)
        pass

    def handle_expect_100(self):
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def _read(self):
        """The body, and whether it broke off."""
        body = b""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            while True:
                line = self.rfile.readline()
                if not line.strip():
                    return body, True
                size = int(line.split(b";")[0], 16)
                part = self.rfile.read(size)
                body += part
                if size == 0:
                    while self.rfile.readline().strip():
                        pass
                    return body, False
                if len(part) < size or self.rfile.readline() != b"\r\n":
                    return body, True
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        return body, len(body) < length

    def _serve(self):
        body, broken = self._read()
        asked = Asked(self.command, self.path, list(self.headers.items()), body, broken)
        answer, number = self.server.owner.take(asked)
        if broken:
            self.close_connection = True
            return
        content = answer.body if answer.body is not None else b'{"data":{"call":%d}}' % number
        self.send_response_only(answer.status)
        if answer.media:
            self.send_header("Content-Type", answer.media)
        for key, value in answer.headers:
            self.send_header(key, value)
        if answer.pieces:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(content) if answer.declared is None else answer.declared))
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.pieces:
            for at in range(0, len(content), answer.pieces):
                part = content[at:at + answer.pieces]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                if len(content) <= 4096:
                    self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(content)
        if answer.declared is not None:
            self.wfile.flush()
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_QUERY = do_PUT = do_PATCH = do_DELETE = _serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a proxy that closes an idle connection


class GraphQLServer:
    """on(path, answer): an Answer, or a function of what was Asked. By default `{"data":{"call":N}}`."""

    def __init__(self):
        self._lock = threading.Lock()
        self._count, self._answers, self._asked = Counter(), {}, []
        self.default = Answer()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def on(self, path, answer):
        self._answers[path] = answer

    def take(self, asked):
        with self._lock:
            self._count[asked.path] += 1
            self._asked.append(asked)
            number = sum(self._count.values())
        answer = self._answers.get(asked.path, self.default)
        return (answer(asked) if callable(answer) else answer), number

    def calls(self, path=None):
        with self._lock:
            return sum(self._count.values()) if path is None else self._count[path]

    def last(self, path=None):
        with self._lock:
            return [asked for asked in self._asked if path in (None, asked.path)][-1]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def said(query=None, name=None, variables=None, extensions=None):
    """The parameters of one request, without those that are absent."""
    every = {"query": query, "operationName": name, "variables": variables, "extensions": extensions}
    return {key: value for key, value in every.items() if value is not None}


def url(path, *args, **more):
    """A GET's target."""
    pairs = {k: v if isinstance(v, str) else json.dumps(v) for k, v in said(*args, **more).items()}
    return f"{path}?{urlencode(pairs)}"


def body_of(what):
    """The bytes of a JSON body."""
    return what if isinstance(what, bytes) else json.dumps(what).encode()


def chunked(body, *sizes):
    """The body in chunks of these sizes, over and over."""
    out, at, turn = [], 0, 0
    while at < len(body):
        part = body[at:at + sizes[turn % len(sizes)]]
        out.append(b"%x\r\n%s\r\n" % (len(part), part))
        at, turn = at + len(part), turn + 1
    return b"".join(out) + b"0\r\n\r\n"


class Site:
    """A server and its backend: what was answered, and whether the backend was asked."""

    def __init__(self, server, backend):
        self.server, self.backend = server, backend

    def ask(self, method, target, what=None, media=JSON, headers=(), tag=None, **more):
        """The answer, and what the backend got: None when it was not asked."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if tag is not None:
            pairs.append(("If-None-Match", tag))
        if what is not None and media:
            pairs.append(("Content-Type", media))
        before = self.backend.calls()
        body = None if what is None else body_of(what)
        answer = self.server.request(method, target, pairs, body, **more)
        asked = self.backend.calls() - before
        assert asked in (0, 1), f"the backend was asked {asked} times"
        return answer, self.backend.last() if asked else None

    def get(self, target, **more):
        return self.ask("GET", target, **more)

    def tag(self, method, target, what=None, **more):
        """Its version tag; a failure when it has none."""
        answer, _ = self.ask(method, target, what, **more)
        assert answer.status == 200 and is_version(answer.etag), f"{self.server.why(answer)}: {answer}"
        return answer.etag

    def holds(self, tag, method, target, what=None, **more):
        """Whether the tag is answered 304 without the backend; else a 200 of the backend."""
        answer, asked = self.ask(method, target, what, tag=tag, **more)
        if answer.status == 304:
            assert asked is None and answer.body == b"" and answer.etag, answer
            return True
        assert answer.status == 200 and asked, f"{self.server.why(answer)}: {answer}"
        return False

    def has_none(self, why, method, target, what=None, **more):
        """No version tag, for that reason; returns both sides."""
        answer, asked = self.ask(method, target, what, **more)
        assert answer.status == 200 and asked, answer
        assert not is_version(answer.etag), f"{self.server.why(answer)}: {answer}"
        assert self.server.why(answer) == why, f"{self.server.why(answer)}: {answer}"
        return answer, asked


def half_close(connection):
    """End the client's side, so that a body that is not whole ends."""
    connection._sock.shutdown(socket.SHUT_WR)  # pylint: disable=protected-access
