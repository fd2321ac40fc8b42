# SPDX-License-Identifier: Apache-2.0
"""The applications of examples/recipes behind httpd, as docs/recipes tells."""
import os
import re
import socket
import sys

from . import places
from .databases import Program
from .ports import free_port

HOME = places.REPO / "examples/recipes"
# The default timeout is for stores that are not meant to be slow; this machine may be.
STORE = "ETagVersionStore @STORE@\nETagVersionFreshness strict\nETagVersionStoreTimeout connect=20s command=20s\n"


class Monitor:
    """Which models were bumped meanwhile, a set for each command that did it."""

    def __init__(self, redis):
        self._redis = redis
        self._client = redis.client()
        assert self._client.command("MONITOR") == b"OK"

    def bumps(self):
        """Since the last look; what the module does for itself does not count."""
        self._redis("ECHO", "so-far")
        found = []
        while True:
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', self._client._reply().decode())
            if words[:2] == ["ECHO", "so-far"]:
                return found
            if words and words[0].upper() in ("SET", "MSET"):
                names = [w[len("model_version:"):] for w in words[1::2] if w.startswith("model_version:")]
                if names and not names[0].startswith("%"):
                    found.append(set(names))

    def close(self):
        self._client.close()


class Shop:
    """One of the small shops and a httpd in front of it."""

    def __init__(self, server, redis, closing):
        self.server, self.redis, self._closing = server, redis, closing
        self.monitor = Monitor(redis)
        closing.append(self.monitor)

    def call(self, method, path):
        """A request that must succeed."""
        answer = self.server.request(method, path, body=b"" if method != "GET" else None)
        assert answer.status in (200, 201, 204), f"{method} {path}: {answer.status} {answer.text}"
        return answer

    def reads(self, path, tag=None):
        """GET; what came of it: the response and the word in the log."""
        answer = self.server.get(path, tag=tag)
        return answer, self.server.why(answer)


def environment(**more):
    own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    return {**own, **{name: str(value) for name, value in more.items()}}


def python():
    """The distribution's, which has the packages."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def listens(port):
    def answers():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        except OSError:
            return False
    return answers


def run_app(command, folder, name, **env):
    """`command(port)` starts an application; returns the program and its port."""
    port = free_port()
    return Program(command(port), folder, env=environment(PORT=port, PYTHONDONTWRITEBYTECODE=1, **env), cwd=HOME / name,
                   ready=listens(port), what=name), port
