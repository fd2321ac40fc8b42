# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that falls silent, as a network does that loses packets: nothing is closed, nothing is refused, and what
was sent meanwhile arrives when the silence ends."""
import socket
import threading

UP, DOWN = "to the server", "from the server"
BOTH = (UP, DOWN)


class Hole:
    """Passes bytes to `target`, except in the directions that are silent.

    `only` restricts the silence to connections of which the client's first bytes satisfy it. New connections are
    accepted also in a silence, as by a kernel whose process does not answer.
    """

    def __init__(self, target, host="127.0.0.1"):
        self._target = (host, target)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._silent, self._only = (), None
        self._closed = False
        self._open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self, directions=BOTH, only=None):
        """From now on; `only(bytes)` is asked what a connection's client has sent so far."""
        with self._changed:
            self._silent, self._only = tuple(directions), only

    def sound(self):
        """All that was held back arrives now."""
        with self._changed:
            self._silent = ()
            self._changed.notify_all()

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target, timeout=10)
                server.settimeout(None)
            except OSError:
                continue
            self._open |= {client, server}
            said = []
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, direction in ((client, server, UP), (server, client, DOWN)):
                threading.Thread(target=self._pump, args=(source, sink, direction, said), daemon=True).start()

    def _pump(self, source, sink, direction, said):
        try:
            while data := source.recv(65536):
                if direction == UP and len(said) < 64:
                    said.append(data)
                self._await_sound(direction, said)
                sink.sendall(data)
        except OSError:
            pass
        self._await_sound(direction, said)  # the end of a connection is lost like its bytes
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
            self._open.discard(s)

    def _await_sound(self, direction, said):
        with self._changed:
            while direction in self._silent and not self._closed and \
                    (not self._only or self._only(b"".join(said))):
                self._changed.wait(1)

    def close(self):
        self._closed = True
        self.sound()
        self._listener.close()
        for s in list(self._open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def is_push(said):
    """Of a connection that listens to changes."""
    return b"SUBSCRIBE" in said


def is_other(said):
    return b"SUBSCRIBE" not in said
