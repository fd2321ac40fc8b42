# SPDX-License-Identifier: Apache-2.0
"""examples/django behind httpd: Redis, the application in gunicorn or mod_wsgi, the example's configuration."""
import atexit
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.parse
from pathlib import Path

from . import places
from .httpd import Httpd
from .redis import RedisServer
from .wait import until

EXAMPLE = places.REPO / "examples" / "django"
PYTHON = os.environ.get("ETV_PYTHON", "/usr/bin/python3")
MODULES = "proxy static alias macro filter deflate brotli headers setenvif env rewrite"
USERS = {"alice": "alice-of-the-lab", "bob": "bob-of-the-lab"}
_IGNORED = ("__pycache__", "data", "*.md", ".*")
_home = None


def home():
    """The example's code, once per worker, where the server's user may read it, compiled."""
    global _home
    if _home is None:
        folder = places.new_folder("etv-x-")
        atexit.register(places.remove_folder, folder)
        shutil.copytree(EXAMPLE, folder / "django", ignore=shutil.ignore_patterns(*_IGNORED))
        subprocess.run([PYTHON, "-m", "compileall", "-q", str(folder)], check=True)
        _home = folder / "django"
    return _home


def template(shared):
    """A database with all data, made once per run of the tests; `shared` is a folder that all workers see."""
    shared.mkdir(parents=True, exist_ok=True)
    ready = shared / "ready.sqlite3"
    with open(shared / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            (shared / "db.sqlite3").unlink(missing_ok=True)
            for command in (["migrate", "-v0"], ["load_lab"]):
                manage(*command, data=shared)
            (shared / "db.sqlite3").rename(ready)
    return ready


def environment(data, redis="redis://127.0.0.1:1/0", settings="lab.settings", **more):
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return {**kept, "LAB_DATA": str(data), "LAB_REDIS": redis, "LAB_TESTING": "1", "LAB_SECRET": "tests" * 10,
            "DJANGO_SETTINGS_MODULE": settings, "PYTHONDONTWRITEBYTECODE": "1", **more}


def manage(*command, data, **more):
    run = subprocess.run([PYTHON, str(home() / "manage.py"), *command], env=environment(data, **more), text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert run.returncode == 0, f"manage.py {command}:\n{run.stdout}"
    return run.stdout


class Gunicorn:
    """The application on a unix socket: one process, some threads."""

    def __init__(self, root, env, threads=2):
        self.root, self.env, self.threads = root, env, threads
        self.socket = root / "gunicorn.sock"
        self.process = None
        self.start()

    @property
    def backend(self):
        return f"unix:{self.socket}|http://localhost"

    def output(self):
        return (self.root / "gunicorn.log").read_text(errors="replace")

    def start(self):
        command = [PYTHON, "-m", "gunicorn", "--bind", f"unix:{self.socket}", "--workers", "1", "--threads",
                   str(self.threads), "--worker-class", "gthread", "--keep-alive", "0", "--timeout", "60",
                   "--graceful-timeout", "5", "--worker-tmp-dir", str(self.root), "--chdir", str(home())]
        if places.IS_ROOT:
            command += ["--user", places.USER, "--group", places.USER]
        with open(self.root / "gunicorn.log", "ab") as log:
            self.process = subprocess.Popen(command + ["lab.wsgi"], env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        until(lambda: self.process.poll() is not None or self._answers(), lambda: f"gunicorn:\n{self.output()}")
        assert self.process.poll() is None, f"gunicorn did not start:\n{self.output()}"
        self.socket.chmod(0o777)

    def _answers(self):
        """A request that Django answers: the worker has loaded the application."""
        try:
            return _over(self.socket, "GET", "/_lab/run").status == 405
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def _over(path, method, target, headers=(), body=None):
    """A request past httpd; the answer has `.status`, `.headers` and `.data`."""
    connection = _UnixConnection(path)
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        answer.data = answer.read()
        return answer
    finally:
        connection.close()


class Lab:
    """A site of its own: database, Redis, application, httpd.

    settings: lab.settings and its variants; server: "gunicorn" or "wsgi" (mod_wsgi); conf: more for httpd, behind the
    example's; defines: {name: value} for it (LIFE ...); modules: more modules; conditional_get: Django hashes
    bodies; etv=False: httpd without the module. `life` and `freshness` are such that caches revalidate and nothing
    is ever to be waited for.
    """

    def __init__(self, shared, settings="lab.settings", server="gunicorn", conf="", modules="", defines=None,
                 life="max-age=0", freshness="strict", conditional_get=False, etv=True, threads=2, start=True,
                 redis=None, env=None, **more):
        self.data = places.writable(places.new_folder("etv-l-"))
        places.writable(shutil.copyfile(template(shared), self.data / "db.sqlite3"))
        places.writable(_touched(self.data / "calls.log"))
        self.redis = redis or RedisServer()
        self._own_redis = redis is None
        self.env = environment(self.data, f"unix://{self.redis.socket}?db=0", settings, **(env or {}))
        if conditional_get:
            self.env["LAB_CONDITIONAL_GET"] = "1"
        self.server, self.threads, self.etv = server, threads, etv
        self.gunicorn = self.httpd = None
        self.defines = {"LAB_HOME": str(home()), "LAB_DATA": str(self.data), "LAB_RUN": str(self.data), "LIFE": life,
                        "FRESHNESS": freshness, "LAB_STORE": self.redis.unix_url, **(defines or {})}
        self.extra, self.modules, self.more, self._mark = conf, modules, more, 0
        if start:
            self.start()

    def start(self):
        if self.server == "gunicorn":
            self.gunicorn = Gunicorn(self.data, self.env, self.threads)
            self.defines["BACKEND"] = self.gunicorn.backend
        modules = f"{MODULES} {self.modules}" + (" wsgi" if self.server == "wsgi" else "")
        self.httpd = Httpd(self.conf(), modules, etv=self.etv, env=self.env, **self.more)
        self.httpd.start()
        return self

    def conf(self):
        lines = [f'Define {name} "{value}"' for name, value in self.defines.items()]
        if self.etv:  # a busy machine is no outage
            lines.append("ETagVersionStoreTimeout connect=5s command=5s")
        lines.append(f'Include "{home()}/httpd.conf"' if self.etv else _without_module())
        return "\n".join(lines) + "\n" + self.extra

    # -- requests --------------------------------------------------------------------------------

    @property
    def port(self):
        return self.httpd.port

    @property
    def log(self):
        return self.httpd.log

    def url(self, target="/", host="localhost"):
        return f"http://{host}:{self.port}{target}"

    def request(self, method, target, headers=(), body=None, **more):
        return self.httpd.request(method, target, headers, body, **more)

    def get(self, target, headers=(), tag=None, **more):
        return self.httpd.get(target, headers, tag, **more)

    def why(self, answer):
        return self.httpd.why(answer)

    def direct(self, method, target, headers=(), body=None):
        """The application itself, without httpd (gunicorn only)."""
        return _over(self.gunicorn.socket, method, target, headers, body)

    def tagged(self, target, headers=(), **more):
        """A 200 with a tag: a version that was missing is there for the second request."""
        answer = self.get(target, headers, **more)
        if answer.etag is None:
            answer = self.get(target, headers, **more)
        assert answer.status == 200 and answer.etag, f"{target}: {answer}"
        return answer

    def login(self, user="alice"):
        """Logs in through httpd; returns the Cookie header's value."""
        page = self.get("/accounts/login/")
        csrf = _cookies(page)["csrftoken"]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text).group(1)
        form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "username": user, "password": USERS[user]})
        answer = self.request("POST", "/accounts/login/", [("Cookie", f"csrftoken={csrf}"), _FORM,
                                                            ("Origin", self.url("").rstrip("/"))],
                              form.encode(), host=f"localhost:{self.port}")
        assert answer.status == 302, f"login: {answer}"
        cookies = _cookies(answer)
        return f"sessionid={cookies['sessionid']}; csrftoken={cookies['csrftoken']}"

    # -- the application -------------------------------------------------------------------------

    def scenario(self, name, /, **args):
        """Runs one of lab/scenarios.py; does not count as a call."""
        body = json.dumps({"name": name, "args": args}).encode()
        answer = self.request("POST", "/_lab/run", [("Content-Type", "application/json")], body)
        assert answer.status == 200, f"{name}: {answer}\n{self.gunicorn.output() if self.gunicorn else ''}"
        return json.loads(answer.body)

    def call_lines(self):
        """(method, target, user, status) of each request that reached Django, but for scenarios."""
        lines = (self.data / "calls.log").read_text().splitlines()
        return [tuple(line.split(" ")) for line in lines if " /_lab/" not in line]

    def calls(self):
        return len(self.call_lines())

    def calls_of(self, target):
        """How often Django was asked for this target (path and query)."""
        return sum(line[1] == target for line in self.call_lines())

    def key(self, model):
        """The key in Redis under which the application keeps a model's version."""
        return f":1:model_version:{model}"

    def go(self):
        """Lets slow_transaction commit."""
        (self.data / "go").touch()

    # -- the end ---------------------------------------------------------------------------------

    def close(self):
        """Stop everything; returns what was wrong with httpd."""
        problems = []
        if self.httpd:
            problems = self.httpd.dispose()
        if self.gunicorn:
            self.gunicorn.stop()
        if self._own_redis:
            self.redis.close()
        places.remove_folder(self.data)
        return problems


_FORM = ("Content-Type", "application/x-www-form-urlencoded")


def _cookies(answer):
    return dict(line.split(";")[0].split("=", 1) for line in answer.all("Set-Cookie"))


def _touched(path):
    Path(path).touch()
    return path


def _without_module():
    """The example's configuration without this module's directives."""
    return re.sub(r"(?m)^<Macro (.|\n)*?^</Macro>\n|^\s*ETagVersion.*\n|^\s*Use Lab.*\n|^Include .*\n", "",
                  (home() / "httpd.conf").read_text())
