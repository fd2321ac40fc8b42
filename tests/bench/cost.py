#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per request, counted by callgrind.

A single httpd process (-X) serves the same conditional GET over one kept connection, FEW times in one
run and MANY times in another; the difference of the two counts, divided by the difference of the
numbers, is what one request costs, without start and end of the server. Directives stand at the server
level: a <Location> costs about 2,500 more for the merging that httpd does, whatever the module.

usage: cost.py [--check] [--mpm event|prefork]; --check exits 1 beyond the limits.
"""
import argparse
import re
import sys

import rig

FEW, MANY = 200, 2000
# What the early 304 may cost more than the constant one.
LIMITS = {"local": 2500, "redis": 14000}


def instructions(case, mpm, n):
    with rig.Folder() as folder:
        redis, store = None, ""
        if case == "redis":
            redis, path = rig.start_redis(folder)
            store = f"ETagVersionStore redis+unix://{path}\nETagVersionStoreTimeout connect=20s command=20s\n"
        try:
            return counted(folder, case, mpm, n, store)
        finally:
            if redis:
                redis.stop()


def counted(folder, case, mpm, n, store):
    port = rig.free_port()
    body = rig.load_line(folder, case) + store + (rig.VERSIONED if case in LIMITS else "")
    threads = "" if mpm == "prefork" else "StartServers 1\nThreadsPerChild 8\nMaxRequestWorkers 8\n"
    out = folder / "callgrind.out"
    command = [rig.program("valgrind"), "--tool=callgrind", "--vgdb=no", f"--callgrind-out-file={out}",
               *rig.write_conf(folder, port, mpm, threads + body), "-X"]
    server = rig.Process(command, folder / "valgrind.log")
    try:
        rig.wait_until(lambda: rig.answers(port), "httpd", server.process, server.log)
        tag = rig.tag_of(port, case)
        client, text = rig.Client(port), rig.request_text(case, tag)
        for _ in range(n):
            status, _headers = client.send(text)
            if status != b"304":
                rig.fail(f"{case}: {status.decode()} instead of 304")
        client.close()
    finally:
        server.stop()
    totals = re.findall(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.M)
    if not totals:
        rig.fail(f"callgrind left no total\n{server.log.read_text(errors='replace')}")
    return int(totals[-1])


def cost(case, mpm):
    return (instructions(case, mpm, MANY) - instructions(case, mpm, FEW)) / (MANY - FEW)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--mpm", choices=("event", "prefork"), default="event")
    options = parser.parse_args()
    print(f"Instructions per request ({options.mpm}, keep-alive, callgrind)", flush=True)
    costs, bad = {}, 0
    for case, what in rig.CASES.items():
        costs[case] = cost(case, options.mpm)
        line = f"  {what:<50} {costs[case]:>9,.0f}"
        if case in LIMITS:
            more = costs[case] - costs["const"]
            line += f"   {more:+,.0f} to the constant 304, limit {LIMITS[case]:,}"
            if more > LIMITS[case]:
                bad += 1
                line += "   TOO MUCH"
        print(line, flush=True)
    return 1 if options.check and bad else 0


if __name__ == "__main__":
    sys.exit(main())
