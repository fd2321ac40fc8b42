# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that can slow the answers of a server down to single bytes, or swallow them."""
import socket
import threading
import time


class DripProxy:
    """Passes bytes to the port `target`; `pause` seconds between single bytes of the answers, 0 for full speed.

    With `mute` set, answers vanish. Changes count for open connections too. `target` may be changed
    for new connections; drop() ends those that are open.
    """

    def __init__(self, target, pause=0.0, mute=False):
        self.target, self.pause, self.mute = target, pause, mute
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._open = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source, sink, slowly):
        try:
            while not self._closed:
                data = source.recv(65536)
                if not data:
                    break
                if slowly:
                    self._pass_slowly(data, sink)
                else:
                    sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            _shut(s)
            s.close()
            self._open.discard(s)

    def _pass_slowly(self, data, sink):
        while data and not self._closed:
            if self.mute:
                return
            pause = self.pause
            part, data = (data[:1], data[1:]) if pause else (data, b"")
            sink.sendall(part)
            if pause:
                time.sleep(pause)

    def drop(self):
        """End all open connections."""
        for s in list(self._open):
            _shut(s)

    def close(self):
        self._closed = True
        self._listener.close()
        self.drop()


def _shut(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
