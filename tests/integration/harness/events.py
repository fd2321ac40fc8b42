# SPDX-License-Identifier: Apache-2.0
"""A client of server-sent events, over HTTP/1 with or without TLS, and over HTTP/2 by curl."""
import json
import os
import select
import socket
import subprocess
import time

from . import client, places
from .wait import PATIENCE

SITE = """
<Location /events>
  SetHandler etag-version-events
  ETagVersionServe events
</Location>
"""


class Ended(Exception):
    """The stream has ended; `properly`: as the protocol says."""

    def __init__(self, properly):
        super().__init__("the stream ended" + ("" if properly else " without its end"))
        self.properly = properly


class Event:
    """One event; `name` is None for an id without data."""

    def __init__(self, name, data, last_id):
        self.name, self.data, self.id = name, data, last_id

    @property
    def model(self):
        return json.loads(self.data)["model"]

    def __repr__(self):
        return f"<{self.name} {self.data} {self.id}>"


class _Parser:
    """Bytes to events, as the HTML Standard says; keeps comments."""

    def __init__(self):
        self._in = b""
        self._name, self._data = "", []
        self.last_id = self.retry = None
        self.comments, self.events, self.bytes = [], [], 0

    def feed(self, data):
        self.bytes += len(data)
        self._in += data
        *lines, self._in = self._in.split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8"))

    def _line(self, line):
        if not line:
            if self._data:
                self.events.append(Event(self._name or "message", "\n".join(self._data), self.last_id))
            self._name, self._data = "", []
        elif line.startswith(":"):
            self.comments.append(line[1:].strip())
        else:
            field, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "id":
                self.last_id = value
            elif field == "event":
                self._name = value
            elif field == "data":
                self._data.append(value)
            elif field == "retry":
                self.retry = int(value)
            else:
                raise AssertionError(f"not a field of event streams: {line!r}")


class _Reader:
    """What both transports share: events, each once, in order."""

    def __init__(self):
        self.parser = _Parser()
        self._taken = 0

    @property
    def last_id(self):
        return self.parser.last_id

    def _receive(self, deadline):
        raise NotImplementedError

    def _one_more(self, deadline, what):
        assert time.monotonic() < deadline, f"waited in vain for {what}; so far {self.parser.events}"
        self._receive(deadline)

    def event(self, seconds=PATIENCE):
        """The next event."""
        deadline = time.monotonic() + seconds
        while len(self.parser.events) == self._taken:
            self._one_more(deadline, "an event")
        self._taken += 1
        return self.parser.events[self._taken - 1]

    def bump(self):
        """The model of the next event, which must be a bump."""
        event = self.event()
        assert event.name == "bump", event
        return event.model

    def reset(self):
        event = self.event()
        assert event.name == "reset" and event.data == "{}", event

    def first_words(self):
        """Until the stream is open: bumps after that are its."""
        deadline = time.monotonic() + PATIENCE
        while not self.last_id:
            self._one_more(deadline, "the first id")
        return self

    def comment(self, number, seconds=PATIENCE):
        """Comment number so-and-so, from 0."""
        deadline = time.monotonic() + seconds
        while len(self.parser.comments) <= number:
            self._one_more(deadline, f"comment {number}")
        return self.parser.comments[number]

    def until_end(self, seconds=PATIENCE):
        """Read to the end; whether it ended as the protocol says."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._one_more(deadline, "the end of the stream")
        except Ended as end:
            return end.properly


class Stream(_Reader):
    """Over HTTP/1.1. `answer` has the headers; a body that is no stream is read."""

    def __init__(self, port, target="/events", headers=(), tls=None, receive_buffer=None, host="localhost"):
        super().__init__()
        self._connection = client.Connection(port, tls=tls)
        self._sock = self._connection._sock
        if receive_buffer:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._connection.send(client.request_bytes("GET", target, headers, host=host))
        self.answer = self._head()
        self._left, self._over = 0, False
        if self.answer.one("Content-Type") == "text/event-stream":
            self.first_words()
        else:
            self.answer.body = self._connection._read_body(self.answer)

    def _head(self):
        lines = self._connection._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = (lines[0].split(" ", 2) + [""])[:3]
        pairs = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        return client.Response(version, int(status), reason, pairs, b"", None)

    def _receive(self, deadline):
        c = self._connection
        self._sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            size = int(c._until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                assert not c._until(b"\r\n")
                raise Ended(True)
            self.parser.feed(c._exactly(size))
            assert c._exactly(2) == b"\r\n", "broken chunk"
        except (EOFError, ConnectionResetError) as error:
            raise Ended(False) from error
        except TimeoutError as error:
            raise AssertionError(f"the stream is silent; so far {self.parser.events[-5:]}") from error

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class CurlStream(_Reader):
    """Over HTTP/2; properly ended when curl says so."""

    def __init__(self, port, target="/events"):
        super().__init__()
        self._process = subprocess.Popen(
            [places.program("curl"), "-sSN", "--http2-prior-knowledge", "-H", "Host: localhost",
             f"http://127.0.0.1:{port}{target}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.first_words()

    def _receive(self, deadline):
        fd = self._process.stdout.fileno()
        ready, _, _ = select.select([fd], [], [], max(0.01, deadline - time.monotonic()))
        assert ready, "the stream is silent"
        data = os.read(fd, 65536)
        if not data:
            raise Ended(self._process.wait(PATIENCE) == 0)
        self.parser.feed(data)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
