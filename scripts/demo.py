#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows the main job: httpd with the module in front of a slow application, and what is saved.

Builds a private httpd under build/demo, starts it and the application on loopback ports, tells the
story with measured sizes and times, checks each step, then serves a page for people until Ctrl-C.
With ONCE=1 it stops after the story and exits 0 only if every step came out right.
"""
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
BUILD = REPO / os.environ.get("BUILD", "build")
LIST = "/api/spectra/"
MODEL = "proteins.Protein"
TAG = re.compile(r'W/"[uv][A-Za-z0-9_-]{22}"\Z')
FIRST_PORT, PORTS = 8080, 200
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 30  # seconds until something that was started answers


class Wrong(Exception):
    """Something that should have come out otherwise; the text says what."""


# --- ports, programs and folders ----------------------------------------------------------------

def free_port(first):
    for port in range(first, first + PORTS):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Wrong(f"no free port from {first} to {first + PORTS - 1}")


def any_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def httpd_program():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for name in ("apache2", "httpd"):
        found = shutil.which(name, path=path)
        if found:
            return found
    raise Wrong("httpd is not installed (apache2-bin on Debian, httpd on Fedora)")


def modules_folder():
    for folder in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"):
        if os.path.isdir(folder):
            return Path(folder)
    raise Wrong("the folder of httpd's modules was not found")


def load_lines(folder):
    """Some distributions compile a few of these in; then there is no file to load."""
    lines = []
    for name in ("mpm_event", "unixd", "log_config", "authz_core", "authz_host", "proxy", "proxy_http"):
        file = folder / f"mod_{name}.so"
        if file.exists():
            lines.append(f'<IfModule !{name}_module>\n    LoadModule {name}_module "{file}"\n</IfModule>')
    return "\n".join(lines)


def user_lines():
    """httpd started by root gives up its rights."""
    if os.geteuid() != 0:
        return ""
    for name in ("www-data", "apache", "http", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return f"User {name}\nGroup #{user.pw_gid}"
    raise Wrong("no user without rights (www-data, apache, nobody) was found")


# --- the two servers ----------------------------------------------------------------------------

class Servers:
    """The application and httpd: started in order, stopped by their process ids."""

    def __init__(self):
        self.started = []
        self.port = free_port(FIRST_PORT)
        self.root = BUILD / "demo" / str(self.port)

    def start(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        backend_port = any_port()
        self.write_conf(backend_port)
        self.run("the application", backend_port,
                 [sys.executable, "-B", str(REPO / "examples/demo/backend.py"), str(backend_port)])
        self.run("httpd", self.port, [httpd_program(), "-d", str(self.root), "-f",
                                      str(self.root / "httpd.conf"), "-DFOREGROUND"])

    def write_conf(self, backend_port):
        folder = modules_folder()
        text = (REPO / "examples/demo/httpd.conf.in").read_text(encoding="utf-8")
        for mark, value in (("ROOT", self.root), ("PORT", self.port), ("BACKEND", backend_port),
                            ("LOAD", load_lines(folder)), ("USER", user_lines()),
                            ("READABLE", folder), ("MODULE", BUILD / "mod_etag_version.so"),
                            ("DEMO_MODULE", BUILD / "mod_etag_version_demo.so")):
            text = text.replace(f"@{mark}@", str(value))
        (self.root / "httpd.conf").write_text(text, encoding="utf-8")

    def run(self, name, port, command):
        """A session of its own: Ctrl-C reaches this script alone, which then stops things in order."""
        with open(self.root / "output.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.started.append((name, process))
        limit = time.monotonic() + PATIENCE
        while not answers(port):
            if process.poll() is not None or time.monotonic() > limit:
                raise Wrong(f"{name} did not start:\n{self.logs()}")
            time.sleep(0.05)

    def logs(self):
        text = ""
        for name in ("output.log", "error.log"):
            file = self.root / name
            if file.exists():
                text += file.read_text(errors="replace")
        return "\n".join(text.splitlines()[-20:])

    def ended(self):
        """The name of a server that is no longer there, or None."""
        return next((name for name, process in self.started if process.poll() is not None), None)

    def stop(self):
        for _, process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.started = []


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


# --- requests -----------------------------------------------------------------------------------

class Answer:
    def __init__(self, raw, seconds):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.received, self.ms = len(raw), seconds * 1000

    @property
    def tag(self):
        return self.headers.get("etag")


def request(port, method, target, tag=None):
    """One request on a connection of its own; counts every byte that came back."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: localhost:{port}", "Connection: close"]
    if tag:
        lines.append(f"If-None-Match: {tag}")
    if method == "POST":
        lines.append("Content-Length: 0")
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
        s.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        raw = b""
        while chunk := s.recv(65536):
            raw += chunk
    if not raw.startswith(b"HTTP/"):
        raise Wrong(f"{method} {target}: no answer")
    return Answer(raw, time.monotonic() - start)


# --- the story ----------------------------------------------------------------------------------

class Story:
    """The steps, each printed as it happens and checked."""

    def __init__(self, port):
        self.port, self.number = port, 0

    def calls(self):
        return json.loads(request(self.port, "GET", "/calls").body)["calls"]

    def check(self, condition, what):
        if not condition:
            raise Wrong(f"step {self.number}: {what}")

    def say(self, title):
        self.number += 1
        print(f"\n{self.number}. {title}")

    def load(self, title, tag, status, more_calls):
        self.say(title)
        before = self.calls()
        answer = request(self.port, "GET", LIST, tag)
        after = self.calls()
        print(f"     GET {LIST}" + (f"   If-None-Match: {tag}" if tag else ""))
        print(f"     {answer.status}   ETag: {answer.tag}")
        print(f"     body {len(answer.body):,} bytes   received {answer.received:,} bytes in all   "
              f"{answer.ms:.1f} ms   calls of the application {before} -> {after}")
        self.check(answer.status == status, f"the status is {answer.status}, not {status}")
        self.check(after == before + more_calls,
                   f"the application was called {after - before} times, not {more_calls}")
        self.check(TAG.match(answer.tag or ""), f"the ETag {answer.tag} is not a version tag")
        self.check(len(answer.body) > 100_000 if status == 200 else not answer.body,
                   f"the body has {len(answer.body)} bytes")
        self.check("max-age=0" in answer.headers.get("cache-control", ""),
                   f"Cache-Control is {answer.headers.get('cache-control')}")
        return answer

    def bump(self):
        self.say(f"Somebody edits a protein; the model {MODEL} is bumped")
        edit = request(self.port, "POST", "/edit")
        bump = request(self.port, "POST", f"/bump?model={MODEL}")
        print(f"     POST /edit   {edit.status}   {edit.body.decode(errors='replace')}")
        print(f"     POST /bump?model={MODEL}   {bump.status}   {bump.ms:.1f} ms")
        self.check(edit.status == 200, f"the edit's status is {edit.status}")
        self.check(bump.status == 204, f"the bump's status is {bump.status}, not 204")

    def tell(self):
        first = self.load("A client loads the list: the application renders it", None, 200, 1)
        again = self.load("It asks again with the tag: httpd answers, the application is not called",
                          first.tag, 304, 0)
        self.check(again.tag == first.tag, "the 304 has another ETag")
        self.bump()
        fresh = self.load("It asks with the old tag: new data, new tag", first.tag, 200, 1)
        self.check(fresh.tag != first.tag, "the ETag is the old one")
        self.check(fresh.body != first.body, "the data is the old one")
        last = self.load("It asks with the new tag: 304 again", fresh.tag, 304, 0)
        self.check(last.tag == fresh.tag, "the 304 has another ETag")
        print(f"\nEvery step came out right: {first.received:,} bytes and {first.ms:.0f} ms became "
              f"{again.received:,} bytes and {again.ms:.1f} ms, without a call of the application.",
              flush=True)


def serve(servers):
    print(f"\nThe same in a browser:  http://localhost:{servers.port}/\n"
          f"Log:                    {servers.root}/access.log\n"
          "Ctrl-C stops everything.", flush=True)
    while True:
        name = servers.ended()
        if name:
            raise Wrong(f"{name} ended by itself:\n{servers.logs()}")
        time.sleep(0.5)


def on_signal(number, frame):
    raise KeyboardInterrupt


def main():
    for number in ENDING:
        signal.signal(number, on_signal)
    servers = None
    try:
        servers = Servers()
        print(f"Starting a slow application and httpd with mod_etag_version under {servers.root}",
              flush=True)
        servers.start()
        Story(servers.port).tell()
        if os.environ.get("ONCE", "") in ("", "0"):
            serve(servers)
        return 0
    except Wrong as wrong:
        print(f"\nThis came out wrong: {wrong}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError) as error:
        print(f"\nThis came out wrong: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping.")
        return 0 if os.environ.get("ONCE", "") in ("", "0") else 1
    finally:
        if servers:
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            servers.stop()


if __name__ == "__main__":
    sys.exit(main())
