# SPDX-License-Identifier: Apache-2.0
"""The clients of the measurements of speed: wrk if it is there, else ab."""
import re
import subprocess

import rig

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Load:
    def __init__(self, seconds, connections):
        self.seconds, self.connections = seconds, connections
        self.name = "wrk" if rig.find_program("wrk") else "ab"
        self.tool = rig.program(self.name)

    def run(self, url, *headers):
        """(requests per second, bytes per answer) over kept connections."""
        lines = [word for line in ("Host: localhost", *headers) for word in ("-H", line)]  # a tag covers Host
        if self.name == "wrk":
            command = [self.tool, "-t1", f"-c{self.connections}", f"-d{self.seconds}s", *lines, url]
            rate, bytes_rate = r"Requests/sec:\s+([\d.]+)", r"Transfer/sec:\s+([\d.]+)(.)"
        else:
            command = [self.tool, "-q", "-k", f"-c{self.connections}", f"-t{self.seconds}", "-n9999999",
                       *lines, url]
            rate, bytes_rate = r"Requests per second:\s+([\d.]+)", r"Transfer rate:\s+([\d.]+) \[(.)"
        output = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False).stdout
        found, sent = re.search(rate, output), re.search(bytes_rate, output)
        if not found or not sent or float(found.group(1)) == 0:
            rig.fail(f"{self.name} says:\n{output}")
        requests = float(found.group(1))
        return requests, float(sent.group(1)) * UNITS.get(sent.group(2), 1) / requests
