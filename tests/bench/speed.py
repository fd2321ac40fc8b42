#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests per second of each kind of 304, as a ratio to the static 304 of the same server; then of proxied
responses (proxied.py).

One event-MPM server, with virtual hosts for the cases. Each round measures the static file and then the
case, so that a change of the machine's mood meets both; the median of the rounds' ratios counts.

usage: speed.py [--rounds 5] [--seconds 2] [--connections 8] [--only early|proxied]
"""
import argparse
import statistics
import sys

import proxied
import rig
from load import Load


def configuration(folder, ports, socket_path):
    """A virtual host per case: the main server's static file is what all are compared with."""
    body = rig.load_line(folder, "const") + rig.load_line(folder, "local")
    body += "StartServers 2\nServerLimit 4\nThreadsPerChild 25\nMaxRequestWorkers 100\n"
    for case, port in ports.items():
        inner = ""
        if case in ("redis", "lease"):
            inner += f"ETagVersionStore redis+unix://{socket_path}\n"
            inner += f"ETagVersionFreshness {'strict' if case == 'redis' else 'lease'}\n"
        if case in ("local", "redis", "lease"):
            inner += rig.VERSIONED
        body += f'Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nDocumentRoot "{folder}/htdocs"\n' \
                f"{inner}</VirtualHost>\n"
    return body


def check_304(port, case, tag):
    client = rig.Client(port)
    status, _headers = client.send(rig.request_text(case, tag))
    client.close()
    if status != b"304":
        rig.fail(f"{case}: {status.decode()} instead of 304")


def rate(load, port, case, tag):
    """Requests per second; every answer must have been a 304, which is a matter of its size."""
    per_second, size = load.run(f"http://127.0.0.1:{port}/{case}/a", f"If-None-Match: {tag}")
    if size > rig.FILE_BYTES:
        rig.fail(f"{case}: {size:.0f} bytes per answer: these are no 304")
    return per_second


def measure(options, ports):
    load = Load(options.seconds, options.connections)
    tags = {case: rig.tag_of(port, case) for case, port in ports.items()}
    for case, port in ports.items():
        check_304(port, case, tags[case])
    print(f"Requests per second ({load.name}, {options.connections} connections, {options.rounds} rounds of "
          f"{options.seconds} s, event, keep-alive)", flush=True)
    for case in ports:
        if case == "static":
            continue
        ratios, rates, statics = [], [], []
        for _ in range(options.rounds):
            statics.append(rate(load, ports["static"], "static", tags["static"]))
            rates.append(rate(load, ports[case], case, tags[case]))
            ratios.append(rates[-1] / statics[-1])
        print(f"  {rig.CASES[case]:<50} {statistics.median(rates):>8,.0f}/s   static 304 "
              f"{statistics.median(statics):>8,.0f}/s   ratio {statistics.median(ratios):.2f}", flush=True)


def early(options):
    with rig.Folder() as folder:
        redis, path = rig.start_redis(folder)
        server = None
        try:
            main_port = rig.free_port()
            ports = {case: rig.free_port() for case in rig.CASES}
            command = rig.write_conf(folder, main_port, "event", configuration(folder, ports, path))
            server = rig.Process([*command, "-DFOREGROUND"], folder / "output.log")
            rig.wait_until(lambda: all(map(rig.answers, ports.values())), "httpd", server.process,
                           server.log)
            measure(options, ports)
        finally:
            if server:
                server.stop()
            redis.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--only", choices=("early", "proxied"))
    parser.add_argument("group", nargs="*", help="of the proxied: " + ", ".join(proxied.GROUPS))
    options = parser.parse_args()
    if options.only != "proxied":
        early(options)
    if options.only != "early":
        proxied.run(2 * options.rounds - 1, max(1, options.seconds // 2), options.group or list(proxied.GROUPS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
