# SPDX-License-Identifier: Apache-2.0
"""An origin in a process of its own, for tests that kill it. Run as a program it serves; Mortal starts it.

The query says what is sent: how=length|chunked, size=N, stop=N. After `stop` bytes of the whole
response, head included, the process writes its number into a file and waits to be killed.
"""
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PATTERN = bytes(range(256))


def body_of(size):
    return (PATTERN * (size // 256 + 1))[:size]


def response_of(how, size, chunk=1000):
    """All bytes of the response."""
    head, body = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", body_of(size)
    if how == "length":
        return head + b"Content-Length: %d\r\n\r\n" % size + body
    pieces = [body[at:at + chunk] for at in range(0, size, chunk)]
    return (head + b"Transfer-Encoding: chunked\r\n\r\n" +
            b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")


def _answer(connection, mark):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    query = {key: values[0] for key, values in parse_qs(urlsplit(data.split(b" ")[1].decode()).query).items()}
    response = response_of(query["how"], int(query["size"]))
    stop = int(query.get("stop", len(response)))
    connection.sendall(response[:stop])
    if stop < len(response):
        mark.write_text(str(os.getpid()))
        while True:
            time.sleep(60)
    connection.close()


def _serve(port, mark):
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, mark), daemon=True).start()


class Mortal:
    """The process; start() it again after kill(), on the same port."""

    def __init__(self, port, folder):
        self.port, self.mark = port, Path(folder) / "mortal.pid"
        self._process = None

    def start(self):
        self.mark.unlink(missing_ok=True)
        self._process = subprocess.Popen([sys.executable, __file__, str(self.port), str(self.mark)],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._process.stdout.readline() == b"ready\n", "the origin did not start"
        return self

    def kill(self):
        """kill -9."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdout.close()
            self._process = None


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]))
