# SPDX-License-Identifier: Apache-2.0
"""Writers, readers and a judge that knows when each write was acknowledged.

The judge never accuses wrongly. A tag belongs at most to the newest version that had been begun when the tag was
first seen; so once a later version has been acknowledged, the tag is old. A request arrived at the earliest when the
reader began to send it, and a write was acknowledged at the latest when the writer had read the answer. If even
between these two moments there is more than the lease, the answer was stale.
"""
import random
import socket
import threading
import time

from .load import Crowd
from .redis import RedisError
from .tags import is_version

_AGAIN = 0.05


class Stale(AssertionError):
    """An old tag was good for too long."""


class _Model:
    def __init__(self):
        self.lock = threading.Lock()  # one write at a time, so that their order is known
        self.begun = 0
        self.done = {}  # number of a write -> when it was acknowledged; writes that failed are missing
        self.tags = {}  # tag -> the newest version that it can be of
        self.order = []  # tags as they were first seen

    def old_since(self, tag):
        """When the version of this tag was replaced for certain; None when it may be the current one."""
        for number in range(self.tags[tag] + 1, self.begun + 1):
            if number in self.done:
                return self.done[number]
        return None


class Ledger:
    """What was written when, what was answered when, and whether that is right."""

    def __init__(self, names, lease, allowance=0.0):
        self.names, self.lease, self.allowance = list(names), lease, allowance
        self.worst = 0.0
        self.counts = {}
        self._models = {name: _Model() for name in names}
        self._lock = threading.Lock()
        self._events = []

    def count(self, what, n=1):
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + n

    def note(self, what):
        """For the message of a failure: what happened lately."""
        with self._lock:
            self._events = self._events[-39:] + [(time.monotonic(), what)]

    def write(self, name, do):
        """Let `do(number)` write a new version; if it raises OSError or EOFError, nobody knows whether it did."""
        model = self._models[name]
        with model.lock:
            model.begun += 1
            number = model.begun
            try:
                do(number)
            except (OSError, EOFError) as error:
                self.count("unknown writes")
                return error
            model.done[number] = time.monotonic()
        self.count("writes")
        return None

    def everything_changes(self, do):
        """Like write, for something that outdates all versions at once."""
        models = list(self._models.values())
        for model in models:
            model.lock.acquire()
        try:
            for model in models:
                model.begun += 1
            result = do()
            now = time.monotonic()
            for model in models:
                model.done[model.begun] = now
            self.count("changes of everything")
            return result
        finally:
            for model in models:
                model.lock.release()

    def pick_tag(self, name, rng):
        """Mostly the newest tag, now and then one from before; None when there is none yet."""
        order = self._models[name].order
        if not order:
            return None
        return order[-1] if rng.random() < 0.6 else rng.choice(order[-6:])

    def answered(self, name, asked, sent_at, status, tag, who):
        """Judge an answer to a request with If-None-Match `asked` that was sent at that moment."""
        model = self._models[name]
        self.count(f"{status}")
        if status == 304:
            self._judge(model, asked, sent_at, f"304 for {name} by {who}")
        elif status == 200 and is_version(tag):
            if tag in model.tags:
                self._judge(model, tag, sent_at, f"an old tag on {name} by {who}")
            else:
                model.tags[tag] = model.begun
                model.order.append(tag)
        elif status == 200:
            self.count("200 without a tag")
        else:
            raise AssertionError(f"{status} for {name} by {who}")

    def _judge(self, model, tag, sent_at, what):
        since = model.old_since(tag)
        if since is None or since > sent_at:
            return
        late = sent_at - since
        with self._lock:
            self.worst = max(self.worst, late)
        if late > self.lease + self.allowance:
            lately = "".join(f"\n  {sent_at - at:8.3f} s before: {event}" for at, event in self._events)
            raise Stale(f"{what}: sent {late:.3f} s after the acknowledgement of a later version, with a lease of "
                        f"{self.lease:g} s{lately}")

    def report(self):
        counted = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        return f"lease {self.lease:g} s, oldest tag in use {self.worst:.3f} s; {counted}"


class Reader:
    """A keep-alive client that knows just enough of HTTP to be quick."""

    def __init__(self, port, timeout=10.0):
        self._port, self._timeout = port, timeout
        self._sock = None
        self.body = b""  # of the last answer

    def close(self):
        if self._sock:
            self._sock.close()
            self._sock = None

    def ask(self, method, path, tag=None):
        """@return when it was sent, status, ETag. OSError when there was no whole answer."""
        if not self._sock:
            self._sock = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        more = f"If-None-Match: {tag}\r\n" if tag else ""
        more += "Content-Length: 0\r\n" if method == "POST" else ""
        sent_at = time.monotonic()
        try:
            self._sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
            status, head = self._read()
        except OSError:
            self.close()
            raise
        return sent_at, status, head.get("etag")

    def _read(self):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        text, _, body = data.partition(b"\r\n\r\n")
        lines = text.decode("latin-1").split("\r\n")
        head = {key.lower(): value.strip() for key, value in (line.split(":", 1) for line in lines[1:])}
        status = int(lines[0].split(" ")[1])
        length = 0 if status in (204, 304) else int(head["content-length"])
        while len(body) < length:
            body += self._more()
        if head.get("connection", "").lower() == "close":
            self.close()
        self.body = body
        return status, head

    def _more(self):
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


class Storm:
    """Readers and writers on all models of a ledger; faults() come from the test in its own thread.

    `servers` share one store whose clients `new_client()` makes. The page of the model NAME is `/lit/NAME`.
    """

    def __init__(self, ledger, servers, new_client, readers=3, writers=1, pause=0.01, bumps=0.4, again=0.0):
        self._ledger, self._servers, self._new_client = ledger, servers, new_client
        self._pause, self._bumps, self._again = pause, bumps, again
        self._readers = readers
        self._crowd = Crowd(readers + writers, self._work)
        self._seed = random.random()

    def _work(self, number, running):
        rng = random.Random(f"{self._seed} {number}")
        if number < self._readers:
            self._read(number, rng, running)
        else:
            self._write(rng, running)

    def _read(self, number, rng, running):
        clients = {}
        while running():
            server = rng.choice(self._servers)
            client = clients.setdefault(server, Reader(server.port))
            if rng.random() < 0.02:
                client.close()  # the next one may be served by another child
            for _ in range(rng.randrange(1, 8)):
                self._ask(client, rng, f"reader {number} of {server.root.name}")
            time.sleep(self._again)
        for client in clients.values():
            client.close()

    def _ask(self, client, rng, who):
        name = rng.choice(self._ledger.names)
        tag = self._ledger.pick_tag(name, rng)
        try:
            sent_at, status, got = client.ask("GET", f"/lit/{name}", tag)
        except OSError:
            self._ledger.count("broken requests")
            time.sleep(_AGAIN)
            return
        self._ledger.answered(name, tag, sent_at, status, got, who)

    def _write(self, rng, running):
        client = [None]
        while running():
            name = rng.choice(self._ledger.names)
            if rng.random() < self._bumps:
                failed = self._ledger.write(name, lambda _n, m=name: self._bump(rng.choice(self._servers), m))
            else:
                failed = self._ledger.write(name, lambda n, m=name: self._set(client, m, n))
            time.sleep(_AGAIN if failed else rng.random() * 2 * self._pause)
        if client[0]:
            client[0].close()

    def _bump(self, server, name):
        reader = Reader(server.port)
        try:
            _, status, _ = reader.ask("POST", f"/bump?model={name}")
        finally:
            reader.close()
        if status != 204:
            raise ConnectionError(f"{status} to a bump")  # not delivered, or nobody knows

    def _set(self, client, name, number):
        try:
            if not client[0]:
                client[0] = self._new_client()
            client[0]("SET", f"model_version:{name}", f"{number} {random.random()}")
        except (OSError, EOFError):
            if client[0]:
                client[0].close()
            client[0] = None
            raise
        except RedisError as error:  # nothing was written
            raise ConnectionError(str(error)) from error

    def __enter__(self):
        self._crowd.__enter__()
        return self

    def __exit__(self, *error):
        try:
            self._crowd.__exit__(*error)
        finally:
            print("storm:", self._ledger.report())

    def check(self):
        """Raise what any of them found."""
        self._crowd.check()

    def go_on(self, seconds):
        """Let it rage for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(0.02)

    def until_lively(self, more=50, seconds=30.0):
        """Until so many more requests were answered from versions that are known."""
        start, deadline = self._ledger.counts.get("304", 0), time.monotonic() + seconds
        while self._ledger.counts.get("304", 0) < start + more:
            self.check()
            assert time.monotonic() < deadline, f"no life after {seconds} s: {self._ledger.report()}"
            time.sleep(0.01)
