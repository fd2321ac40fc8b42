# SPDX-License-Identifier: Apache-2.0
"""An application whose data change through httpd, writers and readers, and a judge that knows the committed data.

The judge never accuses wrongly: a reader's request arrived at the earliest when it began to send it, and a writer knew
of its commit at the latest when it had read the answer. If a newer number than that of the reader's copy was known
before the reader asked, by more than what is allowed between these two hosts, a 304 was stale.
"""
import random
import threading
import time

from .backend import Reply
from .load import Crowd
from .storm import Reader, Stale
from .tags import is_version

_KEPT = 4  # copies of an object that a reader keeps


class Numbers:
    """The application: one number for each object, told by GET, raised by POST. Answers wait after the commit."""

    def __init__(self, backend, names, delay):
        self._lock = threading.Lock()
        self._numbers = dict.fromkeys(names, 0)
        self._delay = delay
        for name in names:
            backend.on(f"/{name}", lambda request, name=name: self._answer(request, name))

    def _answer(self, request, name):
        dice = random.random()
        with self._lock:
            if request.method == "POST" and dice >= 0.1:
                self._numbers[name] += 1
            number = self._numbers[name]
        status = 200
        if request.method == "POST":  # refused, failed after the commit, or done
            status = 409 if dice < 0.1 else 500 if dice < 0.2 else 200
        return Reply(status, body=f"{number}\n", delay=random.random() * self._delay)


class _Object:
    def __init__(self):
        self.known = []  # numbers that a writer was told, ascending: (number, when, through which server)


class Mutations:
    """Writers and readers for a while; `allowed(writer's server, reader's server)` in seconds."""

    def __init__(self, servers, names, allowed, writers=8, readers=32, pause=0.1):
        self._servers, self._names, self._allowed = servers, list(names), allowed
        self._objects = {name: _Object() for name in names}
        self._lock = threading.Lock()
        self._writers, self._pause = writers, pause
        self.counts = {"304": 0, "200": 0, "untagged": 0, "writes": 0, "refused": 0, "broken": 0}
        self.stale = []
        self._crowd = Crowd(writers + readers, self._work)

    def run(self, seconds, until_stale=False):
        """@return what was stale: there should be nothing"""
        end = time.monotonic() + seconds
        with self._crowd:
            while time.monotonic() < end and not (until_stale and self.stale):
                self._crowd.check()
                time.sleep(0.05)
        print("mutations:", self.counts, "stale:", len(self.stale))
        return self.stale

    def _work(self, number, running):
        rng = random.Random()
        clients = {server: Reader(server.port, timeout=30.0) for server in self._servers}
        copies = {name: [] for name in self._names}
        while running():
            server = rng.choice(self._servers)
            name = rng.choice(self._names)
            try:
                if number < self._writers:
                    self._write(clients[server], server, name)
                    time.sleep(rng.random() * 2 * self._pause)
                else:
                    self._read(clients[server], server, name, copies[name], rng)
            except OSError:  # httpd closes idle connections when it has many; what a write did is not known then
                with self._lock:
                    self.counts["broken"] += 1
        for client in clients.values():
            client.close()

    def _write(self, client, server, name):
        _, status, _ = client.ask("POST", f"/{name}")
        now = time.monotonic()
        with self._lock:
            self.counts["refused" if status == 409 else "writes"] += 1
            if status != 409:
                self._objects[name].known.append((int(client.body), now, server))

    def _read(self, client, server, name, copies, rng):
        tag, number = rng.choice(copies) if copies and rng.random() < 0.9 else (None, None)
        sent_at, status, got = client.ask("GET", f"/{name}", tag)
        if status == 304:
            self._judge(server, name, number, sent_at)
        elif status == 200:
            if is_version(got):
                copies[:] = [c for c in copies if c[0] != got][-_KEPT + 1:] + [(got, int(client.body))]
        else:
            raise AssertionError(f"{status} for {name}")
        with self._lock:
            self.counts[f"{status}"] += 1
            self.counts["untagged"] += status == 200 and not is_version(got)

    def _judge(self, server, name, number, sent_at):
        with self._lock:
            newer = [(n, when, via) for n, when, via in self._objects[name].known[-64:] if n > number]
        for newest, when, via in newer:
            late = sent_at - when - self._allowed(via, server)
            if late > 0:
                self.stale.append(f"{name}: 304 for {number}, {late:.3f} s too late after {newest} was known "
                                  f"({'same' if via is server else 'other'} host)")
                return

    def check(self, least=200):
        """Raise if anything was stale, or there was too little to judge."""
        if self.stale:
            raise Stale(f"{len(self.stale)} stale answers:\n" + "\n".join(self.stale[:10]))
        for what in ("304", "200", "writes"):
            assert self.counts[what] >= least, f"too little to judge: {self.counts}"
