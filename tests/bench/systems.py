#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a revalidation of the example's list of spectra (140 KB) costs, in three ways side by side.

The same application (examples/django) three times, each behind an httpd of its own that proxies to gunicorn:

  body      the application hashes what it has rendered (Django's ConditionalGetMiddleware)
  check     the application compares versions before it renders (the example's own code, lab/own_etags.py)
  module    this module answers, from its shared table (lease) or after asking Redis (strict)

A client asks for the list over one kept connection with the tag that it holds, in rounds that alternate between
the ways. CPU is what the kernel counts for all processes of a way: httpd, gunicorn, Redis. Times are the median of
what the client waited; on a busy machine only the ratios mean something.

usage: systems.py [--rounds N] [--seconds S] [--json FILE]
"""
import argparse
import json
import os
import shutil
import socket
import statistics
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BUILD", "build"))
os.environ.setdefault("ETV_MODULE", str((REPO / BUILD / "mod_etag_version.so").resolve()))
os.environ.setdefault("ETV_DEMO_MODULE", str((REPO / BUILD / "mod_etag_version_demo.so").resolve()))
sys.path.insert(0, str(REPO / "tests" / "integration"))

from harness import places  # noqa: E402
from harness.lab import Lab  # noqa: E402

LIST = "/api/spectra/"
TICKS = os.sysconf("SC_CLK_TCK")
WAYS = {
    "plain": ("200 by the application, no conditions", {"etv": False}),
    "body": ("304 by the application: body hashed (ConditionalGetMiddleware)", {"etv": False, "conditional_get": True}),
    "check": ("304 by the application: versions compared", {"etv": False, "settings": "lab.settings_own"}),
    "lease": ("304 by the module: ETagVersionFreshness lease 1s", {"freshness": "lease 1s"}),
    "strict": ("304 by the module: ETagVersionFreshness strict", {"freshness": "strict"}),
}
PARTS = ("httpd", "application", "redis")


def family(pid):
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            try:
                found += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                pass
    return found


def cpu_of(pid):
    """Seconds of CPU that a process and its living descendants have used."""
    ticks = 0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


class Way:
    """One way: its servers, a connection, and what was measured."""

    def __init__(self, name, shared):
        self.name, (self.what, options) = name, WAYS[name]
        self.lab = Lab(shared, **options)
        self.pids = {"httpd": self.lab.httpd.process.pid, "application": self.lab.gunicorn.process.pid,
                     "redis": self.lab.redis.process.pid}
        answer = self.lab.get(LIST) if name == "plain" else self.lab.tagged(LIST)
        self.size, tag = len(answer.body), answer.etag
        self.expected = 200 if name == "plain" else 304
        condition = f"If-None-Match: {tag}\r\n" if tag else ""
        self.request = f"GET {LIST} HTTP/1.1\r\nHost: localhost\r\n{condition}\r\n".encode()
        self.connection = socket.create_connection(("127.0.0.1", self.lab.port))
        self.waited, self.requests, self.bytes, self.cpu = [], 0, 0, dict.fromkeys(PARTS, 0.0)

    def ask(self):
        began = time.perf_counter()
        self.connection.sendall(self.request)
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.connection.recv(1 << 18)
            if not more:
                raise SystemExit(f"{self.name}: the server closed the connection")
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        if int(head.split(b" ", 2)[1]) != self.expected:
            raise SystemExit(f"{self.name}: {head.decode()}")
        left = length_of(head, self.expected) - len(body)
        size = len(data)
        while left > 0:
            more = self.connection.recv(1 << 18)
            left -= len(more)
            size += len(more)
        self.waited.append(time.perf_counter() - began)
        self.bytes = size

    def round(self, seconds):
        """Ask for some time; whoever is fast is asked more often, so that CPU can be told in ticks."""
        before = {part: cpu_of(pid) for part, pid in self.pids.items()}
        calls, n = self.lab.calls(), 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.ask()
            n += 1
        self.requests += n
        for part, pid in self.pids.items():
            self.cpu[part] += cpu_of(pid) - before[part]
        self.called = self.lab.calls() - calls

    def result(self):
        cpu = {part: used / self.requests * 1e6 for part, used in self.cpu.items()}
        return {"way": self.name, "what": self.what, "requests": self.requests, "bytes": self.bytes,
                "median_us": statistics.median(self.waited) * 1e6, "cpu_us": cpu, "cpu_all_us": sum(cpu.values()),
                "backend_calls_in_last_round": self.called}

    def close(self):
        self.connection.close()
        self.lab.close()


def length_of(head, status):
    if status == 304:
        return 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    raise SystemExit("a response without Content-Length")


def show(results, size):
    body = next(r for r in results if r["way"] == "body")
    print(f"Revalidation of {LIST} ({size:,} bytes), one client, CPU in microseconds per request")
    print(f"{'':66} {'requests':>8} {'waited':>9} {'httpd':>7} {'app':>8} {'Redis':>6} {'CPU':>8} {'body hash /':>11} {'bytes':>7}")
    for r in results:
        cpu = r["cpu_us"]
        print(f"{r['what']:66} {r['requests']:8,} {r['median_us'] / 1000:6.2f} ms {cpu['httpd']:7.0f} "
              f"{cpu['application']:8.0f} {cpu['redis']:6.0f} {r['cpu_all_us']:8.0f} "
              f"{body['cpu_all_us'] / r['cpu_all_us']:10.1f}x {r['bytes']:7,}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    shared = places.new_folder("etv-bench-")
    ways = []
    try:
        for name in WAYS:
            ways.append(Way(name, shared))
        for way in ways:  # caches and pools fill
            way.round(0.5)
            way.waited, way.requests, way.cpu = [], 0, dict.fromkeys(PARTS, 0.0)
        for _ in range(options.rounds):
            for way in ways:
                way.round(options.seconds)
        results = [way.result() for way in ways]
    finally:
        for way in ways:
            way.close()
        shutil.rmtree(shared, ignore_errors=True)
    show(results, ways[0].size)
    for r in results:
        if r["way"] in ("lease", "strict") and r["backend_calls_in_last_round"]:
            raise SystemExit(f"{r['way']}: the application was asked {r['backend_calls_in_last_round']} times")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
