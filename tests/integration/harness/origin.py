# SPDX-License-Identifier: Apache-2.0
"""An origin whose every byte the test decides, and when it is sent."""
import random
import socket
import struct
import threading
import time
from collections import Counter, defaultdict

from .wait import PATIENCE


class Exchange:
    """One request and the connection on which a script answers it."""

    def __init__(self, origin, connection, head):
        self._origin, self._connection = origin, connection
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target = lines[0].split(" ")[:2]
        self.path = self.target.split("?", 1)[0]
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]

    def get(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def send(self, *parts):
        for part in parts:
            self._connection.sendall(part if isinstance(part, bytes) else part.encode("latin-1"))

    def head(self, *fields, status="200 OK", media="text/plain"):
        """Status line and fields, `Name: value` each; the script says how the body ends."""
        self.send("\r\n".join([f"HTTP/1.1 {status}", *([f"Content-Type: {media}"] if media else []), *fields])
                  + "\r\n\r\n")

    def chunk(self, data):
        self.send(framed(data))

    def end(self):
        self.send(b"0\r\n\r\n")

    def wait(self, name="go"):
        """Go on when the test says so (Origin.say); the test's end counts as well."""
        assert self._origin.signal(name).wait(PATIENCE * 2), f"{self.path}: nobody said {name}"

    def said(self, name="go"):
        return self._origin.signal(name).is_set()

    def pause(self, seconds):
        """The origin's own rhythm; no test waits for it."""
        time.sleep(seconds)

    def reset(self):
        """End the connection with RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def echo(self):
        """Send back what comes, in capitals, until the other side closes."""
        while data := self._connection.recv(65536):
            self.send(data.upper())

    def wait_for_hangup(self):
        """Until the other side closes."""
        self._connection.settimeout(PATIENCE)
        try:
            while self._connection.recv(65536):
                pass
        except ConnectionError:
            pass


class Origin:
    """Answers paths with scripts: functions of the Exchange. The connection closes behind each answer."""

    def __init__(self):
        self._lock = threading.Lock()
        self._scripts = {}
        self._signals = defaultdict(threading.Event)
        self._count = Counter()
        self._done = Counter()
        self._broken = Counter()
        self.requests = []
        self.default = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
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
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65536)
                if not part:
                    return
                data += part
            head, body = data.split(b"\r\n\r\n", 1)
            exchange = Exchange(self, connection, head)
            missing = int(exchange.get("Content-Length") or 0) - len(body)
            while missing > 0:  # closing with bytes unread would be a reset
                missing -= len(connection.recv(65536)) or missing
            with self._lock:
                self._count[exchange.path] += 1
                self.requests.append(exchange)
            script = self._scripts.get(exchange.path, self.default) or script_of(b"", status="404 Not Found")
            try:
                script(exchange)
            except OSError:  # the other side hung up
                with self._lock:
                    self._broken[exchange.path] += 1
            with self._lock:
                self._done[exchange.path] += 1

    def on(self, path, script):
        self._scripts[path] = script
        return path

    def signal(self, name):
        with self._lock:
            return self._signals[name]

    def say(self, name="go"):
        self.signal(name).set()

    def said(self, name="go"):
        return self.signal(name).is_set()

    def calls(self, path=None):
        with self._lock:
            return sum(self._count.values()) if path is None else self._count[path]

    def done(self, path):
        """How many scripts of this path have ended."""
        with self._lock:
            return self._done[path]

    def broken(self, path):
        """How many of them because the other side hung up."""
        with self._lock:
            return self._broken[path]

    def last(self, path):
        with self._lock:
            return [r for r in self.requests if r.path == path][-1]

    def close(self):
        with self._lock:
            signals = list(self._signals.values())
        for each in signals:
            each.set()
        self._listener.close()


def framed(data):
    """One chunk of the chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def cut(body, smallest, largest, seed=1):
    """The body in pieces of random sizes, the same ones each time."""
    dice, at, pieces = random.Random(seed), 0, []
    while at < len(body):
        size = dice.randint(smallest, largest)
        pieces.append(body[at:at + size])
        at += size
    return pieces


def script_of(body, *fields, how="length", pieces=None, status="200 OK", media="text/plain"):
    """A script for a whole body: framed by a `length`, `chunked`, or until the connection `close`s."""
    body = body.encode() if isinstance(body, str) else body

    def run(exchange):
        pairs = list(fields)
        if how == "length":
            pairs.append(f"Content-Length: {len(body)}")
        elif how == "chunked":
            pairs.append("Transfer-Encoding: chunked")
        exchange.head(*pairs, status=status, media=media)
        if exchange.method == "HEAD":
            return
        exchange.send(whole)

    whole = body
    if how == "chunked":
        whole = b"".join(map(framed, pieces if pieces is not None else [body] if body else [])) + b"0\r\n\r\n"
    return run


def held_back(first, rest, *fields, media="text/plain", length=None, signal="go"):
    """Sends the first part, and the rest when the test says so; with a Content-Length or chunked."""
    def run(exchange):
        def put(part):
            if length is not None:
                exchange.send(part)
            elif part:
                exchange.chunk(part)

        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        exchange.head(*fields, framing, media=media)
        put(first)
        exchange.wait(signal)
        put(rest)
        if length is None:
            exchange.end()
    return run


def trickle(line, pause, *fields, media="text/plain", signal="go"):
    """One line after the other in chunks until the test says so; the pause sets the origin's rhythm."""
    def run(exchange):
        exchange.head(*fields, "Transfer-Encoding: chunked", media=media)
        while not exchange.said(signal):
            exchange.chunk(line)
            exchange.pause(pause)
        exchange.chunk(b"end\n")
        exchange.end()
    return run
