# SPDX-License-Identifier: Apache-2.0
"""A small FastCGI responder that counts its calls, and a private php-fpm."""
import socketserver
import struct
import subprocess
import threading

from . import places
from .wait import until

_BEGIN, _END, _PARAMS, _STDIN, _STDOUT = 1, 3, 4, 5, 6


def _length(data, at):
    if data[at] < 128:
        return data[at], at + 1
    return struct.unpack(">I", data[at:at + 4])[0] & 0x7FFFFFFF, at + 4


def _params(data):
    out, at = {}, 0
    while at < len(data):
        name_len, at = _length(data, at)
        value_len, at = _length(data, at)
        out[data[at:at + name_len].decode()] = data[at + name_len:at + name_len + value_len].decode()
        at += name_len + value_len
    return out


class _Handler(socketserver.StreamRequestHandler):
    def _record(self, kind, ident, content):
        self.wfile.write(struct.pack(">BBHHBB", 1, kind, ident, len(content), 0, 0) + content)

    def handle(self):
        params, body = b"", b""
        while True:
            head = self.rfile.read(8)
            if len(head) < 8:
                return
            _, kind, ident, length, padding, _ = struct.unpack(">BBHHBB", head)
            content = self.rfile.read(length + padding)[:length]
            if kind == _PARAMS:
                params += content
            elif kind == _STDIN:
                body += content
                if not length:
                    break
        output = self.server.owner.take(_params(params), body)
        for start in range(0, len(output), 60000):
            self._record(_STDOUT, ident, output[start:start + 60000])
        self._record(_STDOUT, ident, b"")
        self._record(_END, ident, struct.pack(">IB3x", 0, 0))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass


class FastCgi:
    """`output(params, number)` gives the bytes in CGI form: headers, blank line, body."""

    def __init__(self, output):
        self._lock = threading.Lock()
        self._calls = 0
        self._output = output
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, params, _body):
        with self._lock:
            self._calls += 1
            number = self._calls
        output = self._output(params, number)
        return output.encode() if isinstance(output, str) else output

    def calls(self):
        with self._lock:
            return self._calls

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class PhpFpm:
    """php-fpm with one pool of two processes on a unix socket; `extensions`: with all that are installed."""

    def __init__(self, extensions=False):
        self.root = places.new_folder("etv-p-")
        self.socket = self.root / "php.sock"
        owner = f"user = {places.USER}\ngroup = {places.USER}\n" if places.IS_ROOT else ""
        conf = self.root / "fpm.conf"
        conf.write_text(
            f"[global]\nerror_log = {self.root}/fpm.log\ndaemonize = no\n[it]\n{owner}"
            f"listen = {self.socket}\nlisten.mode = 0666\npm = static\npm.max_children = 2\n")
        self._process = subprocess.Popen(
            [places.program("php-fpm", "/usr/sbin/php-fpm*"), *([] if extensions else ["-n"]), "-F", "-y", str(conf)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.socket.exists() or self._process.poll() is not None, "php-fpm's socket")
        assert self._process.poll() is None, (self.root / "fpm.log").read_text()

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        places.remove_folder(self.root)
