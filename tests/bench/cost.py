#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per request, counted by callgrind.

A single httpd process (-X) serves the same request over one kept connection, FEW times in one run and
MANY times in another; the difference of the two counts, divided by the difference of the numbers, is what
one request costs, without start and end of the server. Directives stand at the server level: a <Location>
costs about 2,500 more for the merging that httpd does, whatever the module.

The first part counts the 304s that are answered early, beside a constant one. The second part counts
proxied responses under ETagVersion Content, beside the same module switched off. Three runs differ by less
than 0.1 % at 1 KB and 0.3 % at 140 KB. What is counted of the digest is AVX2: valgrind knows no AVX-512.

usage: cost.py [--check] [--mpm event|prefork] [--profile FOLDER] [case ...]
  --check exits 1 beyond the limits; --profile keeps callgrind's files, for callgrind_annotate
"""
import argparse
import re
import shutil
import sys
from pathlib import Path

import rig

FEW, MANY = 200, 2000
# What the early 304 may cost more than the constant one.
LIMITS = {"local": 2500, "redis": 14000}
# What it may cost more under a lease than with the local store, and where the response names the models.
LEASE_MORE = 300
DECLARED_MORE = 600

# The proxied cases: what, size, directives, conditional.
PROXIED = {
    "off-1k": ("200 of 1 KB proxied, ETagVersion Off", "1 KB", rig.OFF, False),
    "content-1k": ("200 of 1 KB proxied, ETagVersion Content", "1 KB", rig.CONTENT, False),
    "late-1k": ("late 304 for 1 KB proxied", "1 KB", rig.CONTENT, True),
    "off-140k": ("200 of 140 KB proxied, ETagVersion Off", "140 KB", rig.OFF, False),
    "content-140k": ("200 of 140 KB proxied, ETagVersion Content", "140 KB", rig.CONTENT, False),
    "late-140k": ("late 304 for 140 KB proxied", "140 KB", rig.CONTENT, True),
}
# What they may cost, as a multiple of the case with the module switched off.
RATIOS = {"content-1k": ("off-1k", 1.06), "content-140k": ("off-140k", 1.7)}
PROXIED_FEW, PROXIED_MANY = 100, 1100
# How many reads and writes a response takes must not be a matter of luck: no socket's buffer is ever too
# small for a whole response, so the origin has sent everything while httpd still reads the header.
BUFFER = 1 << 20
WHOLE = f"ProxyReceiveBufferSize {BUFFER}\nSendBufferSize {BUFFER}\n"


class Server:
    """apache2 -X under callgrind."""

    def __init__(self, folder, mpm, body, keep=None):
        self.port, self.out, self.keep = rig.free_port(), folder / "callgrind.out", keep
        threads = "" if mpm == "prefork" else "StartServers 1\nThreadsPerChild 8\nMaxRequestWorkers 8\n"
        command = [rig.program("valgrind"), "--tool=callgrind", "--vgdb=no",
                   f"--callgrind-out-file={self.out}",
                   *rig.write_conf(folder, self.port, mpm, threads + body), "-X"]
        self.process = rig.Process(command, folder / "valgrind.log")
        rig.wait_until(lambda: rig.answers(self.port), "httpd", self.process.process, self.process.log)

    def stop(self):
        self.process.stop()

    def instructions(self):
        """Of the whole run, after stop()."""
        text = self.out.read_text(errors="replace") if self.out.exists() else ""
        totals = re.findall(r"^(?:summary|totals): (\d+)", text, re.M)
        if not totals:
            rig.fail(f"callgrind left no total\n{self.process.log.read_text(errors='replace')}")
        if self.keep:
            shutil.copy(self.out, self.keep)
        return int(totals[-1])


def early(case, mpm, n, keep, versioned=rig.VERSIONED):
    """Instructions of a run with n early 304."""
    with rig.Folder() as folder:
        redis, store = None, ""
        if case in ("redis", "lease"):
            redis, path = rig.start_redis(folder)
            store = f"ETagVersionStore redis+unix://{path}\nETagVersionStoreTimeout connect=20s command=20s\n"
            store += f"ETagVersionFreshness {'strict' if case == 'redis' else 'lease 60s'}\n"
        try:
            body = rig.load_line(folder, case) + store + (versioned if case not in ("static", "const") else "")
            server = Server(folder, mpm, body, keep)
            try:
                tag = rig.tag_of(server.port, case)
                repeat(rig.Client(server.port), rig.request_text(case, tag), n, b"304", case)
            finally:
                server.stop()
            return server.instructions()
        finally:
            if redis:
                redis.stop()


def as_is(case, mpm, n, keep):
    """Instructions of a run with n early 304 to a page that brings headers of its own."""
    with rig.Folder() as folder:
        port = rig.free_port()
        server = Server(folder, mpm, rig.as_is(folder, case, port), keep)
        try:
            rig.tag_of(port, case)  # the models have versions from now on
            tag = rig.tag_of(server.port, case)
            if ("." in tag) != (case == "declared"):
                rig.fail(f"{case}: the ETag is {tag}")
            repeat(rig.Client(server.port), rig.request_text(case, tag), n, b"304", case)
        finally:
            server.stop()
        return server.instructions()


def proxied(case, mpm, n, keep):
    """Instructions of a run with n proxied responses."""
    _what, size, directives, conditional = PROXIED[case]
    with rig.Folder() as folder:
        origin, origin_port = rig.start_origin(folder)
        try:
            body = rig.load_proxy(folder) + WHOLE + directives
            body += f"ProxyPass / http://127.0.0.1:{origin_port}/\n"
            server = Server(folder, mpm, body, keep)
            try:
                bytes_ = rig.SIZES[size]
                tag = rig.content_tag(server.port, bytes_) if directives == rig.CONTENT else None
                text = rig.proxied_request(bytes_, tag if conditional else None)
                client = rig.Client(server.port, 4 * BUFFER)
                repeat(client, text, n, b"304" if conditional else b"200", case)
            finally:
                server.stop()
            return server.instructions()
        finally:
            origin.stop()


def repeat(client, text, n, wanted, case):
    for _ in range(n):
        status, _headers = client.send(text)
        if status != wanted:
            rig.fail(f"{case}: {status.decode()} instead of {wanted.decode()}")
    client.close()


def cost(case, options):
    run, few, many = (early, FEW, MANY) if case in rig.CASES else (as_is, FEW, MANY) if case in rig.AS_IS else \
        (proxied, PROXIED_FEW, PROXIED_MANY)
    keep = options.profile and options.profile / f"callgrind.{case}"
    return (run(case, options.mpm, many, keep) - run(case, options.mpm, few, None)) / (many - few)


def cost_of_early(case, mpm, versioned):
    """Of an early 304 under other directives than usual."""
    return (early(case, mpm, MANY, None, versioned) - early(case, mpm, FEW, None, versioned)) / (MANY - FEW)


def has_avx2():
    info = Path("/proc/cpuinfo")
    return info.exists() and " avx2" in info.read_text()


def verdict(case, costs):
    """What a line says beside the figure, and whether it is too much."""
    text, bad = "", False
    if case in LIMITS and "const" in costs:
        more = costs[case] - costs["const"]
        bad = more > LIMITS[case]
        text = f"   {more:+,.0f} to the constant 304, limit {LIMITS[case]:,}"
    elif case == "lease" and "local" in costs:
        more = costs[case] - costs["local"]
        bad = more > LEASE_MORE
        text = f"   {more:+,.0f} to the local store, limit {LEASE_MORE}"
    elif case == "declared" and "configured" in costs:
        more = costs[case] - costs["configured"]
        bad = more > DECLARED_MORE
        text = f"   {more:+,.0f} to configured ones, limit {DECLARED_MORE}"
    elif case in PROXIED and not case.startswith("off") and (base := "off-" + case.split("-")[1]) in costs:
        ratio = costs[case] / costs[base]
        text = f"   {ratio:.4f} x Off"
        if case in RATIOS:
            bad = ratio > RATIOS[case][1]
            text += f", limit {RATIOS[case][1]:.4f}"
    if bad:
        text += "   TOO MUCH"
        if case == "content-140k" and not has_avx2():
            text += " (the limit is for AVX2, which this processor has not)"
    return text, bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--mpm", choices=("event", "prefork"), default="event")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    names = dict(rig.CASES) | rig.AS_IS | {case: what for case, (what, *_rest) in PROXIED.items()}
    if unknown := set(options.case) - set(names):
        parser.error(f"no case named {', '.join(unknown)}: {', '.join(names)}")
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    print(f"Instructions per request ({options.mpm}, keep-alive, callgrind)", flush=True)
    costs, any_bad = {}, False
    for case, what in names.items():
        if options.case and case not in options.case:
            continue
        costs[case] = cost(case, options)
        text, bad = verdict(case, costs)
        any_bad = any_bad or bad
        print(f"  {what:<50} {costs[case]:>9,.0f}{text}", flush=True)
    return 1 if options.check and any_bad else 0


if __name__ == "__main__":
    sys.exit(main())
