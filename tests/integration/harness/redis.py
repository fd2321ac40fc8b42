# SPDX-License-Identifier: Apache-2.0
"""A private redis-server, and just enough of a client."""
import signal
import socket
import subprocess

from . import places
from .ports import free_port
from .wait import PATIENCE, until


class RedisError(Exception):
    """An error reply."""


class RedisClient:
    """Commands over one connection; replies are bytes, int, None, list."""

    def __init__(self, port=None, path=None, user=None, password=None, host="127.0.0.1",
                 timeout=PATIENCE):
        if path:
            self._sock = socket.socket(socket.AF_UNIX)
            self._sock.settimeout(timeout)
            self._sock.connect(str(path))
        else:
            self._sock = socket.create_connection((host, port), timeout=timeout)
        self._file = self._sock.makefile("rb")
        if password:
            self.command("AUTH", *([user] if user else []), password)

    def command(self, *words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self._sock.sendall(b"*%d\r\n" % len(parts) +
                           b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts))
        return self._reply()

    __call__ = command

    def _reply(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._file.read(size + 2)[:-2]
        if kind == b"*":
            size = int(rest)
            return None if size < 0 else [self._reply() for _ in range(size)]
        raise AssertionError(f"not RESP: {line!r}")

    def close(self):
        self._file.close()
        self._sock.close()


class RedisServer:
    """redis-server on 127.0.0.1 and a unix socket; keeps nothing on disk unless asked.

    `tls`: options of redis-server (harness/certs.py) that make it listen with TLS on `tls_port` too.
    `cluster`: a node of a Redis Cluster (harness/cluster.py), without slots.
    """

    def __init__(self, *options, start=True, user=None, password=None, tls=(), cluster=False):
        self.root = places.new_folder("etv-r-")
        self.socket = self.root / "redis.sock"
        self.options = list(options)
        self.user, self.password = user, password
        self.tls, self.cluster = list(tls), cluster
        self.port = self.tls_port = self.bus_port = None
        self.process = None
        self._client = None
        if start:
            self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def tls_url(self, authority, host="localhost", more=""):
        """The address with TLS; `authority` is trusted."""
        return f"rediss://{host}:{self.tls_port}?ca={authority.root}/ca.crt{more}"

    @property
    def unix_url(self):
        return f"redis+unix://{self.socket}"

    def start(self):
        """Start (again, on the same port) and wait for an answer."""
        for _ in range(20):
            self.port = self.port or free_port()
            self.tls_port = self.tls_port or (free_port() if self.tls else None)
            self.bus_port = self.bus_port or (free_port() if self.cluster else None)
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if until(lambda: self.process.poll() is not None or self._listens(), "redis-server"):
                if self.process.poll() is None:
                    return self
            output = self.process.stdout.read().decode(errors="replace")
            assert "in use" in output, f"redis-server did not start:\n{output}"
            self.port = self.tls_port = self.bus_port = None
        raise AssertionError("redis-server found no free port")

    def _command(self):
        command = [places.redis_program(), "--port", str(self.port), "--bind", "127.0.0.1",
                   "--unixsocket", str(self.socket), "--unixsocketperm", "777",
                   "--dir", str(self.root), "--loglevel", "warning", "--repl-diskless-sync-delay", "0"]
        if "--save" not in self.options:
            command += ["--save", ""]
        if "--maxmemory-policy" not in self.options:
            command += ["--maxmemory-policy", "noeviction"]
        if self.tls:
            command += ["--tls-port", str(self.tls_port), *self.tls]
        if self.cluster:
            command += ["--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)]
        return command + self.options

    def _listens(self):
        """Whether this very process answers, not another run's server on the same port."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                s.settimeout(5)
                s.sendall(b"PING\r\n")
                if not s.recv(100).startswith((b"+PONG", b"-NOAUTH", b"-LOADING", b"-MASTERDOWN")):
                    return False
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(self.socket))
        except OSError:
            return False
        return True

    def client(self, timeout=PATIENCE):
        """A new connection of the test's own."""
        return RedisClient(path=self.socket, user=self.user, password=self.password, timeout=timeout)

    def command(self, *words):
        """A command on the connection that the test keeps."""
        if not self._client:
            self._client = self.client()
        return self._client.command(*words)

    __call__ = command

    def kill(self):
        """kill -9."""
        self._forget_client()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.process.stdout.close()
        self.process = None
        self.socket.unlink(missing_ok=True)

    def restart(self):
        self.kill()
        return self.start()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: _state(self.process.pid) == "T", "redis-server to stand still")

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def replica_of(self, primary):
        """Follow another server and wait until in step."""
        self("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda: b"master_link_status:up" in self("INFO", "replication"), "replica in step")

    def promote(self):
        self("REPLICAOF", "NO", "ONE")

    def _forget_client(self):
        if self._client:
            self._client.close()
            self._client = None

    def close(self):
        if self.process and self.process.poll() is None:
            self.thaw()
        self.kill()
        places.remove_folder(self.root)


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


