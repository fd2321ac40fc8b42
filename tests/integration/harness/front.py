# SPDX-License-Identifier: Apache-2.0
"""What the caches have in common that stand in front of an httpd: a program in the foreground, and its log."""
import os
import signal
import socket
import subprocess

from . import client, places
from .errorlog import ErrorLog
from .httpd import LIVE
from .ports import free_port
from .wait import until


class Front:
    """
    A server in a temporary folder. In `conf`, @ROOT@ and @PORT@ stand for the folder and the port, @NAME@ for keyword
    arguments. What the program says goes to its log; a line that `bad` finds fails the test.
    """

    kind, bad = None, None

    def __init__(self, conf, start=True, **marks):
        self.root = places.new_folder("etv-f-")
        self.conf, self.marks = conf, marks
        self.port = self.process = None
        (self.root / "logs").mkdir()
        self.log = ErrorLog(self.root / "logs" / "error.log", self.bad)
        self._prepare()
        if start:
            try:
                self.start()
            except AssertionError:
                LIVE.discard(self)
                self.stop()
                places.remove_folder(self.root)
                raise

    def _prepare(self):
        """Make what the program needs in the folder."""

    def _files(self):
        """Names and texts of the configuration."""
        raise NotImplementedError

    def _command(self):
        raise NotImplementedError

    def start(self):
        """Start and wait until it serves; a port that somebody else took meanwhile is replaced."""
        LIVE.add(self)
        for _ in range(20):
            self.port = free_port()
            for name, text in self._files().items():
                (self.root / name).write_text(self._filled(text))
            mark = self.log.size()
            with open(self.log.path, "ab") as output:
                self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                                start_new_session=True)
            until(lambda: self.process.poll() is not None or self._serves(), f"{self.kind} starting")
            if self.process.poll() is None:
                return self
            said = self.log.text()[mark:]
            assert "Address already in use" in said or "Could not bind" in said, f"{self.kind} did not start:\n{said}"
            self.log.forgive(mark, "")
        raise AssertionError(f"{self.kind} found no free port")

    def _filled(self, text):
        for name, value in {**self.marks, "ROOT": self.root, "PORT": self.port}.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    def _serves(self):
        """Whether the port answers, and is this program's."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def stop(self):
        process, self.process = self.process, None
        if not process:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        clean = process.poll() is not None
        try:
            os.killpg(process.pid, signal.SIGKILL)  # whatever children may be left
        except ProcessLookupError:
            pass
        process.wait()
        assert clean, f"{self.kind} did not end within 20 s"

    def close(self):
        """Stop, judge the log, remove the folder."""
        try:
            self.stop()
            problems = self.log.problems()
            assert not problems, f"{self.kind} said:\n" + "\n".join(problems)
        finally:
            LIVE.discard(self)
            places.remove_folder(self.root)

    # -- requests, as of Httpd -------------------------------------------------------------------

    def request(self, method, target, headers=(), body=None, proto="1.1", host="localhost"):
        return client.fetch(self.port, method, target, headers, body, proto, host)

    def get(self, target, headers=(), tag=None, **more):
        """GET; `tag` becomes If-None-Match."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if tag is not None:
            pairs.append(("If-None-Match", tag))
        return self.request("GET", target, pairs, **more)
