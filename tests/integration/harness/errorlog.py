# SPDX-License-Identifier: Apache-2.0
"""Judging httpd's error log: every line that is worse than a notice must have been announced."""
import re

_BAD_LEVEL = re.compile(r"\[[a-z0-9_]*:(warn|error|crit|alert|emerg)\]")
_BAD_TEXT = re.compile(r"AddressSanitizer|UndefinedBehaviorSanitizer|ThreadSanitizer|LeakSanitizer"
                       r"|runtime error:|exit signal|glibc detected|malloc\(\)|free\(\)|Traceback"
                       r"|stack smashing|[Ss]egmentation fault|Assertion .* failed")

# What the stock server itself says now and then, whatever module is under test.
HARMLESS = (
    r"AH00045: child process \d+ still did not exit",  # a keep-alive connection at the end of a test
    r"AH10159: server is within MinSpareThreads",
    r"AH00161: server reached MaxRequestWorkers",
    r"AH00484: server reached MaxRequestWorkers",
    r"AH01882: Init: this version of mod_ssl was compiled against a newer library",
    r"AH00288: long lost child came home",
)


class ErrorLog:
    """The error log of one server; remembers how far it has been judged. `bad` finds the bad lines."""

    def __init__(self, path, bad=_BAD_LEVEL):
        self.path, self._bad = path, bad
        self._judged = 0
        self._expected = []  # [regex, optional, times seen]
        self._forgiven = []  # (from, to, regex): lines in this stretch of the file do not count

    def text(self):
        try:
            return self.path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def lines(self, pattern=""):
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def expect(self, pattern, optional=False):
        """Allow lines like this until the end of the test; unless optional, one must occur."""
        self._expected.append([re.compile(pattern), optional, 0])

    def size(self):
        return len(self.text())

    def forgive(self, start, pattern):
        """Lines like this that came after `start` and until now do not count."""
        self._forgiven.append((start, self.size(), re.compile(pattern)))

    def problems(self):
        """What is wrong with the lines since the last call; forgets the expectations."""
        text = self.text()
        at, end = self._judged, text.rfind("\n") + 1
        self._judged = max(at, end)
        out = []
        for line in text[at:end].splitlines(keepends=True):
            if not self._is_forgiven(at, line) and self._is_unexpected(line.rstrip("\n")):
                out.append(line.rstrip("\n"))
            at += len(line)
        out += [f"expected in the error log, but never came: {pattern.pattern}"
                for pattern, optional, seen in self._expected if not optional and not seen]
        self._expected = []
        return out

    def _is_forgiven(self, at, line):
        return any(start <= at < end and regex.search(line) for start, end, regex in self._forgiven)

    def _is_unexpected(self, line):
        known = False
        for entry in self._expected:
            if entry[0].search(line):
                entry[2] += 1
                known = True
        if known:
            return False
        if _BAD_TEXT.search(line):
            return True
        return bool(self._bad.search(line)) and not any(re.search(h, line) for h in HARMLESS)
