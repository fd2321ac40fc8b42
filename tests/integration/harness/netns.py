# SPDX-License-Identifier: Apache-2.0
"""A Redis behind a network link that can be cut: a network namespace of its own where this machine allows that, else a
proxy that falls silent. Tests reach the server in any case through its unix socket."""
import os
import shutil
import socket
import subprocess

from .hole import DOWN, UP, Hole
from .redis import RedisServer


def _ip(*words):
    run = subprocess.run([_program(), *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise OSError(f"ip {' '.join(words)}: {run.stderr.strip()}")


def _program():
    found = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise OSError("there is no program ip")
    return found


class Namespace:
    """A network namespace with one pair of interfaces; OSError where that is not allowed."""

    _made = 0

    def __init__(self):
        Namespace._made += 1
        number = f"{os.getpid()}-{Namespace._made}"
        self.name, self.outside, self.inside = f"etv-{number}", f"eo{number}"[:15], f"ei{number}"[:15]
        net = f"10.{200 + os.getpid() // 200 % 50}.{os.getpid() % 200}"
        first = 4 * (Namespace._made % 60)
        self.host, here = f"{net}.{first + 2}", f"{net}.{first + 1}"
        # While the link is down, nothing meant for it may leave this machine by another way.
        self._instead = ("blackhole", f"{net}.{first}/30", "metric", "4000")
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self.outside, "type", "veth", "peer", "name", self.inside, "netns", self.name)
            _ip("addr", "add", f"{here}/30", "dev", self.outside)
            _ip("link", "set", self.outside, "up")
            _ip("route", "add", *self._instead)
            self.run("addr", "add", f"{self.host}/30", "dev", self.inside)
            self.run("link", "set", self.inside, "up")
            self.run("link", "set", "lo", "up")
        except OSError:
            self.close()
            raise

    def run(self, *words):
        _ip("-n", self.name, *words)

    def close(self):
        for words in (("route", "del", *self._instead), ("netns", "del", self.name)):
            subprocess.run([_program(), *words], capture_output=True, check=False)


class _Inside(RedisServer):
    def __init__(self, namespace, *options):
        self._namespace = namespace
        super().__init__(*options)

    def _command(self):
        command = super()._command()
        at = command.index("--bind")
        command[at + 1] = "0.0.0.0"
        return [_program(), "netns", "exec", self._namespace.name, *command, "--protected-mode", "no"]

    def _listens(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(self.socket))
                s.sendall(b"PING\r\n")
                return s.recv(100).startswith(b"+PONG")
        except OSError:
            return False


class LinkInNamespace:
    """Redis at host:port, until the link is cut: `near` on this side of it, else on the other."""

    kind = "network namespace"

    def __init__(self, *options):
        self._namespace = Namespace()
        try:
            self.redis = _Inside(self._namespace, *options)
        except BaseException:
            self._namespace.close()
            raise
        self.host, self.port = self._namespace.host, self.redis.port

    def cut(self, near=False):
        if near:
            _ip("link", "set", self._namespace.outside, "down")
        else:
            self._namespace.run("link", "set", self._namespace.inside, "down")

    def mend(self):
        self._namespace.run("link", "set", self._namespace.inside, "up")
        _ip("link", "set", self._namespace.outside, "up")

    def close(self):
        self.redis.close()
        self._namespace.close()


class LinkByProxy:
    """The same with a proxy; `near` swallows what goes to the server, else what comes from it."""

    kind = "proxy"

    def __init__(self, *options):
        self.redis = RedisServer(*options)
        self._hole = Hole(self.redis.port)
        self.host, self.port = "127.0.0.1", self._hole.port

    def cut(self, near=False):
        self._hole.silence((UP,) if near else (DOWN,))

    def mend(self):
        self._hole.sound()

    def close(self):
        self._hole.close()
        self.redis.close()


def new_link(*options):
    """The first kind that this machine allows."""
    try:
        return LinkInNamespace(*options)
    except OSError as error:
        print(f"no network namespaces here ({error}): a proxy stands in")
        return LinkByProxy(*options)
