# SPDX-License-Identifier: Apache-2.0
"""A client that reads a body as it arrives, and the texts of the other kinds of tags."""
from .client import Connection, Response, _ids, request_bytes
from .tags import OWN
from .wait import PATIENCE


class Reader(Connection):
    """One request at a time: ask(), begin(), then read as much as the test wants to."""

    def __init__(self, port, timeout=PATIENCE):
        super().__init__(port, timeout=timeout)
        self.interim, self.answer, self.body = [], None, bytearray()
        self._pieces = None

    def ask(self, target, headers=(), method="GET", version="1.1"):
        self._request_id = str(next(_ids))
        self.send(request_bytes(method, target, headers, version=version, request_id=self._request_id))
        return self

    def begin(self):
        """Read to the end of the head; interim responses are kept in `interim`."""
        while True:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, status, reason = (lines[0].split(" ", 2) + [""])[:3]
            headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            answer = Response(version, int(status), reason, headers, b"", self._request_id)
            if answer.status >= 200 or answer.status == 101:
                break
            self.interim.append(answer)
        self.answer, self.body, self._pieces = answer, bytearray(), self.pieces()
        return answer

    def arrived(self, what):
        """Read until the body so far contains these bytes, or is this long."""
        while not (len(self.body) >= what if isinstance(what, int) else what in self.body):
            piece = next(self._pieces, None)
            assert piece is not None, f"the body ended without {what!r}: {bytes(self.body[-200:])!r}"
            self.body += piece
        return self

    def rest(self):
        """Read to the end; EOFError when it is cut off. Returns the whole response."""
        for piece in self._pieces:
            self.body += piece
        self.answer.body = bytes(self.body)
        return self.answer

    def pieces(self):
        """The body in the pieces in which it comes, without the chunked coding."""
        length = self.answer.one("Content-Length")
        if self.answer.status in (204, 304):
            return
        if "chunked" in (self.answer.one("Transfer-Encoding") or "").lower():
            while True:
                size = int(self._until(b"\r\n").split(b";")[0], 16)
                if size == 0:
                    while self._until(b"\r\n"):
                        pass
                    return
                yield from self._some(size)
                assert self._exactly(2) == b"\r\n", "broken chunk"
        elif length is not None:
            yield from self._some(int(length))
        else:
            while True:
                try:
                    if not self._in:
                        self._fill()
                except EOFError:
                    return
                data, self._in = self._in, b""
                yield data

    def _some(self, size):
        while size:
            if not self._in:
                self._fill()
            data, self._in = self._in[:size], self._in[size:]
            size -= len(data)
            yield data


def kind(tag):
    """The letter of one of the module's tags, None for others and for none."""
    found = OWN.match(tag or "")
    return found.group(1) if found else None


def is_content(tag):
    return kind(tag) == "c"


def is_headers(tag):
    return kind(tag) == "h"
