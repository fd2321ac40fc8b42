#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the example: Redis, the application and httpd in a temporary folder, until Ctrl-C.

    examples/django/run.py [--port N] [--wsgi] [--settings lab.settings_early] [--once]

--wsgi: in mod_wsgi instead of gunicorn. --once: try the main things, say what came out, and end.
The module is taken from build/, or from where the environment variable ETV_MODULE says.
"""
import argparse
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
PYTHON = sys.executable
PATIENCE = 60  # seconds until something that was started answers
MODULES = "authz_core unixd log_config mime alias macro filter deflate brotli headers setenvif env".split()

CONF = """\
ServerRoot "{root}"
ServerName localhost
PidFile "{root}/httpd.pid"
DefaultRuntimeDir "{root}"
Listen 127.0.0.1:{port}
{load}
LoadModule etag_version_module "{module}"
{user}
ErrorLog "{root}/error.log"
LogLevel warn mpm_event:notice
LogFormat "%>s %B bytes %D us, etag-version: %{{etag-version}}n (%{{etag-version-models}}n), %r" lab
CustomLog "{root}/access.log" lab
TypesConfig "{root}/mime.types"
DocumentRoot "{home}/static"
<Directory "/">
    AllowOverride None
    Require all granted
</Directory>
Define LAB_HOME "{home}"
Define LAB_RUN "{root}"
Define LAB_STORE "redis+unix://{root}/redis.sock"
{backend}
Include "{home}/httpd.conf"
"""

TEXT = """
The example is at      http://localhost:{port}/     (log in as alice, password alice-of-the-lab, or as bob)
Its log                {root}/access.log
What reached Django    {root}/data/calls.log

A list of 140 KB, and the same with its tag: httpd answers, and calls.log has no new line.

    curl -si http://localhost:{port}/api/spectra/ | grep -i ^etag
    curl -si http://localhost:{port}/api/spectra/ -H 'If-None-Match: W/"..."' | head -1

Change something, and the old tag is worth nothing:

    curl -u alice:alice-of-the-lab -X PATCH -H 'Content-Type: application/json' -d '{{"name": "mine"}}' \\
         http://localhost:{port}/api/spectra/7/

The versions, as the application writes them:

    redis-cli -s {root}/redis.sock --scan --pattern ':1:model_version:*'

Ctrl-C stops everything.
"""


class Wrong(Exception):
    """What somebody should be told."""


def program(*names):
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found:
            return found
    raise Wrong(f"{' or '.join(names)} is not installed")


def modules_folder():
    for folder in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"):
        if os.path.isdir(folder):
            return Path(folder)
    raise Wrong("the folder of httpd's modules was not found")


def free_port(first):
    for port in range(first, first + 200):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Wrong(f"no free port from {first} on")


def server_user():
    """Whoever is root lets the servers run without rights."""
    if os.geteuid() != 0:
        return None
    for name in ("www-data", "apache", "http", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Wrong("no user without rights (www-data, apache, nobody) was found")


class Site:
    """The three servers, started in order, stopped in the other."""

    def __init__(self, options):
        self.options, self.started, self.user = options, [], server_user()
        self.port = free_port(options.port)
        self.root = Path(tempfile.mkdtemp(prefix="lab-"))
        self.root.chmod(0o755)
        self.home, self.data = self.root / "django", self.root / "data"
        self.env = {**os.environ, "LAB_DATA": str(self.data), "LAB_REDIS": f"unix://{self.root}/redis.sock?db=0",
                    "LAB_SECRET": secrets.token_hex(32), "DJANGO_SETTINGS_MODULE": options.settings,
                    "PYTHONDONTWRITEBYTECODE": "1"}
        if options.once:
            self.env["LAB_TESTING"] = "1"

    def start(self):
        # A copy: the servers' user may not be allowed to read where this stands.
        shutil.copytree(HERE, self.home, ignore=shutil.ignore_patterns("__pycache__", "data"))
        self.data.mkdir()
        for command in (["migrate", "-v0"], ["load_lab", "-v0"]):
            subprocess.run([PYTHON, str(self.home / "manage.py"), *command], env=self.env, check=True,
                           stdout=subprocess.DEVNULL)
        if self.user:
            for path in (self.data, self.data / "db.sqlite3"):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.run("Redis", [program("redis-server", "valkey-server"), "--port", "0", "--unixsocket", "redis.sock",
                           "--unixsocketperm", "777", "--save", "", "--loglevel", "warning", "--dir", str(self.root)],
                 lambda: connects(self.root / "redis.sock"))
        if not self.options.wsgi:
            self.run("the application", self.gunicorn(), lambda: connects(self.root / "gunicorn.sock"))
        self.write_conf()
        self.run("httpd", [program("apache2", "httpd"), "-d", str(self.root), "-f", str(self.root / "httpd.conf"),
                           "-DFOREGROUND"], self.answers)

    def gunicorn(self):
        command = [PYTHON, "-m", "gunicorn", "--bind", f"unix:{self.root}/gunicorn.sock", "--threads", "4",
                   # httpd makes a connection for each request: none is closed just when it is used again.
                   "--keep-alive", "0", "--worker-tmp-dir", str(self.data), "--chdir", str(self.home)]
        if self.user:
            command += ["--user", str(self.user.pw_uid), "--group", str(self.user.pw_gid)]
        return command + ["lab.wsgi"]

    def write_conf(self):
        folder = modules_folder()
        module = Path(os.environ.get("ETV_MODULE") or REPO / os.environ.get("BUILD", "build") / "mod_etag_version.so")
        if not module.exists():
            raise Wrong(f"{module} is missing: run `make` first")
        load = ["mpm_event", *MODULES, *(["wsgi"] if self.options.wsgi else ["proxy", "proxy_http"])]
        lines = [f'<IfModule !{name}_module>\n    LoadModule {name}_module "{folder}/mod_{name}.so"\n</IfModule>'
                 for name in load if (folder / f"mod_{name}.so").exists()]
        backend = "" if self.options.wsgi else f'Define BACKEND "unix:{self.root}/gunicorn.sock|http://localhost"'
        user = f"User #{self.user.pw_uid}\nGroup #{self.user.pw_gid}" if self.user else ""
        (self.root / "mime.types").write_text("text/css css\ntext/javascript js\n", encoding="ascii")
        (self.root / "httpd.conf").write_text(
            CONF.format(root=self.root, home=self.home, port=self.port, module=module, load="\n".join(lines), user=user,
                        backend=backend), encoding="utf-8")

    def run(self, name, command, ready):
        """A session of its own: Ctrl-C reaches this script alone, which then stops things in order."""
        with open(self.root / "output.log", "ab") as log:
            process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.started.append((name, process))
        limit = time.monotonic() + PATIENCE
        while not ready():
            if process.poll() is not None or time.monotonic() > limit:
                raise Wrong(f"{name} did not start:\n{self.logs()}")
            time.sleep(0.05)

    def answers(self):
        """Whether the application answers, through httpd."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=PATIENCE) as answer:
                return answer.status == 200
        except OSError:
            return False

    def logs(self):
        files = [self.root / "output.log", self.root / "error.log"]
        text = "".join(f.read_text(errors="replace") for f in files if f.exists())
        return "\n".join(text.splitlines()[-20:])

    def wait(self):
        while True:
            for name, process in self.started:
                if process.poll() is not None:
                    raise Wrong(f"{name} ended by itself:\n{self.logs()}")
            time.sleep(0.5)

    def stop(self):
        for _, process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def connects(path):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            s.connect(str(path))
        return True
    except OSError:
        return False


# --- --once ---------------------------------------------------------------------------------------

class Trial:
    """The main things, checked."""

    def __init__(self, site):
        self.site = site

    def ask(self, path, tag=None, data=None):
        """Status, tag, and length of the body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.site.port}{path}", data)
        if tag:
            request.add_header("If-None-Match", tag)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers["ETag"], len(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers["ETag"], len(error.read())

    def calls(self):
        return len((self.site.data / "calls.log").read_text(encoding="utf-8").splitlines())

    def expect(self, what, found, right):
        print(f"  {what:34} {found}", flush=True)
        if not right:
            raise Wrong(f"{what}: {found}\n{self.site.logs()}")

    def run(self):
        status, tag, size = self.ask("/api/spectra/")
        self.expect("the list of spectra:", f"{status}, {size:,} bytes, ETag {tag}",
                    status == 200 and tag and 130_000 < size < 150_000)
        before = self.calls()
        status, again, size = self.ask("/api/spectra/", tag)
        calls = self.calls() - before
        self.expect("the same, with that tag:", f"{status}, {size} bytes, Django called {calls} times",
                    (status, again, size, calls) == (304, tag, 0, 0))
        status, _, _ = self.ask("/_lab/run", data=b'{"name": "save_spectrum", "args": {"id": 7, "name": "mine"}}')
        self.expect("a spectrum is saved by Django:", status, status == 200)
        limit = time.monotonic() + PATIENCE
        while self.ask("/api/spectra/", tag)[0] == 304 and time.monotonic() < limit:
            time.sleep(0.01)  # for at most the lease
        status, new, size = self.ask("/api/spectra/", tag)
        self.expect("the list, with the old tag:", f"{status}, {size:,} bytes, ETag {new}",
                    status == 200 and new and new != tag)


def on_signal(number, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--settings", default="lab.settings")
    parser.add_argument("--wsgi", action="store_true")
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args()
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in ending:
        signal.signal(number, on_signal)
    site = None
    try:
        site = Site(options)
        print(f"Starting Redis, Django and httpd under {site.root}", flush=True)
        site.start()
        if options.once:
            Trial(site).run()
        else:
            print(TEXT.format(port=site.port, root=site.root), flush=True)
            site.wait()
        return 0
    except (Wrong, OSError, subprocess.CalledProcessError) as wrong:
        print(f"\nThis came out wrong: {wrong}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping.")
        return 1 if options.once else 0
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_IGN)
        if site:
            site.stop()


if __name__ == "__main__":
    sys.exit(main())
