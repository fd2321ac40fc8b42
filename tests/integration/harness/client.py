# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/1 client: the test decides every byte of the request and sees every byte of the answer."""
import itertools
import socket
import ssl
import subprocess

from . import places
from .wait import PATIENCE

_ids = itertools.count(1)


class Response:
    """One response. `headers` keeps order, spelling and duplicates."""

    def __init__(self, version, status, reason, headers, body, request_id):
        self.version, self.status, self.reason = version, status, reason
        self.headers, self.body, self.id = headers, body, request_id

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name):
        """The header's value, None when absent; several lines are a failure."""
        values = self.all(name)
        assert len(values) <= 1, f"{len(values)} lines of {name}: {values}"
        return values[0] if values else None

    @property
    def etag(self):
        return self.one("ETag")

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def members(self, name):
        """The members of a comma separated header without quoted strings, lower case, sorted."""
        value = self.one(name)
        return sorted(m.strip().lower() for m in value.split(",") if m.strip()) if value else []

    def __repr__(self):
        head = "".join(f"\n  {k}: {v}" for k, v in self.headers)
        return f"<{self.version} {self.status}{head}\n  ({len(self.body)} bytes) {self.body[:80]!r}>"


class Connection:
    """A connection to a server; use it for one request or for many in a row."""

    def __init__(self, port, host="127.0.0.1", tls=None, timeout=PATIENCE):
        self._sock = socket.create_connection((host, port), timeout=timeout)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._sock = tls.wrap_socket(self._sock, server_hostname="localhost")
        self._in = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._sock.close()

    def send(self, data):
        self._sock.sendall(data)

    def request(self, method, target, headers=(), body=None, version="1.1", host="localhost"):
        """Send one request and read its answer; header values are sent as they are."""
        request_id = str(next(_ids))
        self.send(request_bytes(method, target, headers, body, version, host, request_id))
        return self.read_response(method, request_id)

    def read_response(self, method="GET", request_id=None):
        while True:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status, reason = (lines[0].split(" ", 2) + [""])[:3]
            assert version.startswith("HTTP/1."), f"this is no status line: {lines[0]!r}"
            headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            answer = Response(version, int(status), reason, headers, b"", request_id)
            if answer.status >= 200:
                break
        if method != "HEAD" and answer.status not in (204, 304):
            answer.body = self._read_body(answer)
        return answer

    def expect_nothing_more(self):
        """Half-close and read to the end: behind the last answer there must be no byte."""
        if isinstance(self._sock, ssl.SSLSocket):
            self.close()
            return
        self._sock.shutdown(socket.SHUT_WR)
        rest = self._in
        while True:
            try:
                data = self._sock.recv(65536)
            except ConnectionResetError:
                break
            if not data:
                break
            rest += data
        assert not rest, f"{len(rest)} bytes behind the answer: {rest[:200]!r}"

    def _fill(self):
        data = self._sock.recv(65536)
        if not data:
            raise EOFError(f"the server closed the connection; read so far: {self._in[:200]!r}")
        self._in += data

    def _until(self, mark):
        while mark not in self._in:
            self._fill()
        head, self._in = self._in.split(mark, 1)
        return head

    def _exactly(self, size):
        while len(self._in) < size:
            self._fill()
        data, self._in = self._in[:size], self._in[size:]
        return data

    def _read_body(self, answer):
        if "chunked" in (answer.one("Transfer-Encoding") or "").lower():
            body = b""
            while True:
                size = int(self._until(b"\r\n").split(b";")[0], 16)
                if size == 0:
                    while self._until(b"\r\n"):
                        pass
                    return body
                body += self._exactly(size)
                assert self._exactly(2) == b"\r\n", "broken chunk"
        length = answer.one("Content-Length")
        if length is not None:
            return self._exactly(int(length))
        body = self._in
        try:
            while True:
                self._in = b""
                self._fill()
                body += self._in
        except EOFError:
            self._in = b""
            return body


def request_bytes(method, target, headers=(), body=None, version="1.1", host="localhost",
                  request_id=None):
    """The bytes of a request; a list or dict of headers, host=None for no Host field."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    lines = [f"{method} {target} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    if request_id:
        lines.append(f"X-Req: {request_id}")
    if body is not None and not any(k.lower() == "transfer-encoding" for k, _ in pairs):
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{k}: {v}" for k, v in pairs]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def fetch(port, method="GET", target="/", headers=(), body=None, version="1.1", host="localhost",
          tls=None, address="127.0.0.1"):
    """One request on a connection of its own, which must be silent behind the answer."""
    with Connection(port, address, tls) as connection:
        answer = connection.request(method, target, headers, body, version, host)
        connection.expect_nothing_more()
        return answer


def fetch_h2(port, method="GET", target="/", headers=(), body=None, host="localhost"):
    """One request over HTTP/2 without TLS and without upgrade, by curl."""
    request_id = str(next(_ids))
    command = [places.program("curl"), "-sS", "-i", "--http2-prior-knowledge", "--max-time",
               str(int(PATIENCE)), "-H", f"Host: {host}", "-H", f"X-Req: {request_id}",
               "-H", "Accept:", "-H", "User-Agent:"]
    command += ["-I"] if method == "HEAD" else ["-X", method]
    for key, value in (headers.items() if isinstance(headers, dict) else headers):
        command += ["-H", f"{key}: {value}" if value else f"{key};"]
    if body is not None:
        command += ["--data-binary", "@-"]
    run = subprocess.run(command + [f"http://127.0.0.1:{port}{target}"], input=body,
                         capture_output=True, check=False)
    assert run.returncode == 0, f"curl: {run.stderr.decode()}"
    head, _, rest = run.stdout.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    version, status = lines[0].split(" ")[:2]
    assert version == "HTTP/2", f"not HTTP/2: {lines[0]!r}"
    pairs = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
    return Response(version, int(status), "", pairs, rest, request_id)
