#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests per second of each kind of 304, as a ratio to the static 304 of the same server.

One event-MPM server, with virtual hosts for the cases. Each round measures the static file and then the
case, so that a change of the machine's mood meets both; the median of the rounds' ratios counts.

usage: speed.py [--rounds 5] [--seconds 2] [--connections 8]
"""
import argparse
import re
import statistics
import subprocess
import sys

import rig


def configuration(folder, ports, socket_path):
    """A virtual host per case: the main server's static file is what all are compared with."""
    body = rig.load_line(folder, "const") + rig.load_line(folder, "local")
    body += "StartServers 2\nServerLimit 4\nThreadsPerChild 25\nMaxRequestWorkers 100\n"
    for case, port in ports.items():
        inner = ""
        if case == "redis":
            inner += f"ETagVersionStore redis+unix://{socket_path}\n"
        if case in ("local", "redis"):
            inner += rig.VERSIONED
        body += f'Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nDocumentRoot "{folder}/htdocs"\n' \
                f"{inner}</VirtualHost>\n"
    return body


class Load:
    """wrk if it is there, else ab."""

    def __init__(self, seconds, connections):
        self.seconds, self.connections = seconds, connections
        try:
            self.tool, self.name = rig.program("wrk"), "wrk"
        except SystemExit:
            self.tool, self.name = rig.program("ab"), "ab"

    def rate(self, port, case, tag):
        """Requests per second; every answer must have been a 304, which is a matter of its size."""
        url = f"http://127.0.0.1:{port}/{case}/a"
        headers = ["-H", "Host: localhost", "-H", f"If-None-Match: {tag}"]  # a tag covers Host
        if self.name == "wrk":
            command = [self.tool, "-t1", f"-c{self.connections}", f"-d{self.seconds}s", *headers, url]
            rate, bytes_rate = r"Requests/sec:\s+([\d.]+)", r"Transfer/sec:\s+([\d.]+)(.)"
        else:
            command = [self.tool, "-q", "-k", f"-c{self.connections}", f"-t{self.seconds}", "-n9999999",
                       *headers, url]
            rate, bytes_rate = r"Requests per second:\s+([\d.]+)", r"Transfer rate:\s+([\d.]+) \[(.)"
        output = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False).stdout
        found, sent = re.search(rate, output), re.search(bytes_rate, output)
        if not found or not sent:
            rig.fail(f"{self.name} says:\n{output}")
        requests = float(found.group(1))
        size = float(sent.group(1)) * {"K": 1e3, "M": 1e6, "G": 1e9}.get(sent.group(2), 1) / requests
        if size > rig.FILE_BYTES:
            rig.fail(f"{case}: {size:.0f} bytes per answer: these are no 304")
        return requests


def check_304(port, case, tag):
    client = rig.Client(port)
    status, _headers = client.send(rig.request_text(case, tag))
    client.close()
    if status != b"304":
        rig.fail(f"{case}: {status.decode()} instead of 304")


def measure(options, folder, ports):
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
            statics.append(load.rate(ports["static"], "static", tags["static"]))
            rates.append(load.rate(ports[case], case, tags[case]))
            ratios.append(rates[-1] / statics[-1])
        print(f"  {rig.CASES[case]:<50} {statistics.median(rates):>8,.0f}/s   static 304 "
              f"{statistics.median(statics):>8,.0f}/s   ratio {statistics.median(ratios):.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
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
            measure(options, folder, ports)
        finally:
            if server:
                server.stop()
            redis.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
