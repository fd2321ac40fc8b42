# SPDX-License-Identifier: Apache-2.0
"""A private httpd in a temporary folder, started from a configuration that the test states."""
import os
import re
import signal
import socket
import subprocess

from . import client, places
from .errorlog import ErrorLog
from .ports import free_port
from .wait import until

# Names of module groups, so that a test states what it needs in a word.
GROUPS = {
    "core": "authz_core",
    "proxy": "proxy proxy_http",
    "fcgi": "proxy proxy_fcgi",
    "static": "mime dir",
    "basic": "authn_core authn_file auth_basic authz_user authz_host",
    "cache_disk": "cache cache_disk",
    "cache_socache": "cache socache_shmcb cache_socache",
    "tls": "socache_shmcb ssl",
    "h2": "http2",
}

MPM = {
    "event": "StartServers 1\nServerLimit 3\nThreadsPerChild 16\nMaxRequestWorkers 48\n"
             "MinSpareThreads 1\nMaxSpareThreads 48",
    "worker": "StartServers 1\nServerLimit 3\nThreadsPerChild 16\nMaxRequestWorkers 48\n"
              "MinSpareThreads 1\nMaxSpareThreads 48",
    "prefork": "StartServers 4\nMinSpareServers 3\nMaxSpareServers 6\nMaxRequestWorkers 12",
}

_HEAD = """\
ServerRoot "@ROOT@"
ServerName localhost
PidFile "@ROOT@/run/httpd.pid"
DefaultRuntimeDir "@ROOT@/run"
Listen 127.0.0.1:@PORT@
@LOAD@
@USER@
@MPM@
GracefulShutdownTimeout 5
KeepAliveTimeout 20
MaxKeepAliveRequests 0
Timeout 20
ErrorLog "@ROOT@/logs/error.log"
LogLevel @LEVEL@
LogFormat "%{X-Req}i\\t%>s\\t%{etag-version}n\\t%{etag-version-models}n\\t%r" etv
CustomLog "@ROOT@/logs/access.log" etv
DocumentRoot "@ROOT@/htdocs"
<Directory />
  AllowOverride None
  Require all granted
</Directory>
@MIME@
@BUMP@
"""

_MIME = "text/html html htm shtml\ntext/plain txt\napplication/json json\ntext/css css\nimage/png png\n"

# A busy machine answers later than the default of ETagVersionStoreTimeout, which tells a fault from an answer.
PATIENT = "ETagVersionStoreTimeout connect=5s command=5s\n"

LIVE = set()  # servers whose error logs the fixture in conftest.py judges after each test


class Httpd:
    """One server. Everything under `root` is the test's to change before start().

    In `conf`, @ROOT@ and @PORT@ stand for the folder and the port.
    """

    def __init__(self, conf="", modules="", mpm="event", etv=True, bump=True, level=None, env=None,
                 patient=True):
        self.root = places.new_folder("etv-h-")
        self.conf, self.mpm, self.etv, self.bump_on = conf, mpm, etv, bump and etv
        self.level = level or "notice" + (" etag_version:debug" if etv else "")
        self.env, self.patient = env or {}, patient
        self.modules = _expand(f"core {modules} {'static' if 'mime' not in modules else ''}")
        self.port = None
        self.process = None
        for name in ("run", "logs", "htdocs"):
            (self.root / name).mkdir()
        places.writable(self.root / "run")
        (self.root / "mime.types").write_text(_MIME)
        self.log = ErrorLog(self.root / "logs" / "error.log")

    # -- life cycle ------------------------------------------------------------------------------

    def start(self):
        """Start and wait until it serves; a port that somebody else took meanwhile is replaced."""
        LIVE.add(self)
        for _ in range(20):
            self.port = self.port or free_port()
            self._write_conf()
            before = len(self._ready_lines())
            self.process = subprocess.Popen(
                self._command("-DFOREGROUND"), env=self._env(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
            until(lambda: self.process.poll() is not None or len(self._ready_lines()) > before,
                  "httpd starting")
            if self.process.poll() is None:
                until(self._answers, "httpd's port")
                until(self._has_cgid, "the socket of mod_cgid")
                return self
            output = self.process.stdout.read().decode(errors="replace")
            if "Address already in use" not in output:
                raise AssertionError(f"httpd did not start:\n{output}\n{self.log.text()}")
            self.port = None
        raise AssertionError("httpd found no free port")

    def _has_cgid(self):
        """mod_cgid's daemon gives its socket to the children's user only after it listens on it."""
        if "cgid" not in self.modules or os.geteuid() != 0:
            return True
        return any(path.stat().st_uid != 0 for path in (self.root / "run").glob("cgisock*"))

    def graceful(self):
        """Graceful restart; returns when the new generation has been configured."""
        before = len(self._ready_lines())
        os.kill(self.process.pid, signal.SIGUSR1)
        until(lambda: len(self._ready_lines()) > before or self.process.poll() is not None,
              "graceful restart")
        assert self.process.poll() is None, f"httpd ended in a graceful restart:\n{self.log.text()}"

    def stop(self, gracefully=False):
        """End it and wait; a server that does not end in time is killed and that is a failure.

        With SIGTERM the stock threaded MPMs close sockets under their workers' feet, and about one
        child in a hundred dies of it, so there only an end by SIGWINCH (a second longer) can show
        whether a child cleans up without a fault.
        """
        if not self.process:
            return
        process, self.process = self.process, None
        mark = self.log.size()
        if process.poll() is None:
            process.send_signal(signal.SIGWINCH if gracefully else signal.SIGTERM)
        try:
            process.wait(20)
            clean = True
        except subprocess.TimeoutExpired:
            clean = False
        try:
            os.killpg(process.pid, signal.SIGKILL)  # whatever children may be left
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()
        if self.mpm != "prefork" and not gracefully:
            self.log.forgive(mark, r"exit signal Segmentation fault"
                                   r"|\[mpm_(event|worker):\w+\].*\(9\)Bad file descriptor")
        assert clean, "httpd did not end within 20 s"

    def restart(self, conf=None):
        """Stop and start again on the same port, with another configuration if given."""
        self.stop()
        self.conf = self.conf if conf is None else conf
        return self.start()

    def dispose(self):
        """Stop, judge the error log, remove the folder; returns what was wrong."""
        problems = []
        try:
            self.stop()
        except AssertionError as error:
            problems.append(str(error))
        problems += self.log.problems()
        LIVE.discard(self)
        places.remove_folder(self.root)
        return problems

    def children(self):
        """The process ids of the serving children."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as f:
            return [int(pid) for pid in f.read().split()]

    # -- configuration ---------------------------------------------------------------------------

    def configtest(self, *options):
        """`httpd -t`: exit status and output."""
        self.port = self.port or free_port()
        self._write_conf()
        run = subprocess.run(self._command("-t", *options), env=self._env(), text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=60, check=False)
        return run.returncode, run.stdout

    def _command(self, *options):
        return [places.httpd_program(), "-d", str(self.root), "-f", str(self.root / "httpd.conf"),
                *options]

    def _env(self):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        if os.environ.get("ETV_PRELOAD"):
            env["LD_PRELOAD"] = os.environ["ETV_PRELOAD"]
            env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        env.update(self.env)
        return env

    def _write_conf(self):
        text = _HEAD + (PATIENT if self._is_to_wait() else "") + self.conf + "\n"
        for mark, value in (
                ("@LOAD@", self._load_lines()), ("@MPM@", MPM[self.mpm]),
                ("@USER@", f"User {places.USER}\nGroup {places.USER}" if places.IS_ROOT else ""),
                ("@LEVEL@", self.level),
                ("@MIME@", 'TypesConfig "@ROOT@/mime.types"' if "mime" in self.modules else ""),
                ("@BUMP@", "<Location /bump>\n  SetHandler etag-version-demo-bump\n</Location>"
                 if self.bump_on else ""),
                ("@ROOT@", str(self.root)), ("@PORT@", str(self.port))):
            text = text.replace(mark, value)
        (self.root / "httpd.conf").write_text(text)

    def _is_to_wait(self):
        """With a store that answers, a test is not about its time-outs."""
        return self.etv and self.patient and "redis" in self.conf and "ETagVersionStoreTimeout" not in self.conf

    def _load_lines(self):
        folder = places.modules_dir()
        lines = [f"LoadModule mpm_{self.mpm}_module {folder}/mod_mpm_{self.mpm}.so"]
        lines += [f"LoadModule {name}_module {folder}/mod_{name}.so" for name in self.modules]
        if self.etv:
            lines.append(f"LoadModule etag_version_module {places.etv_module()}")
        if self.bump_on:
            lines.append(f"LoadModule etag_version_demo_module {places.demo_module()}")
        return "\n".join(lines)

    def _ready_lines(self):
        return self.log.lines("resuming normal operations")

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    # -- requests --------------------------------------------------------------------------------

    def write(self, path, content, mode=0o644):
        """A file below the root, folders made as needed."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        return file

    def request(self, method, target, headers=(), body=None, proto="1.1", host="localhost"):
        if proto == "h2":
            return client.fetch_h2(self.port, method, target, headers, body, host)
        return client.fetch(self.port, method, target, headers, body, proto, host)

    def get(self, target, headers=(), tag=None, **more):
        """GET; `tag` becomes If-None-Match."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if tag is not None:
            pairs.append(("If-None-Match", tag))
        return self.request("GET", target, pairs, **more)

    def connect(self):
        return client.Connection(self.port)

    def bump(self, model, host="localhost"):
        answer = self.request("POST", f"/bump?model={model}", body=b"", host=host)
        assert answer.status == 204, f"bump of {model}: {answer}"

    def logged(self, answer):
        """The access log's words for a response: (status, reason, models); '-' is None."""
        path = self.root / "logs" / "access.log"

        def find():
            found = re.search(rf"^{answer.id}\t(.*)$", path.read_text(errors="replace"), re.M)
            return found and found.group(1).split("\t")
        status, why, models = until(find, f"access log line of request {answer.id}")[:3]
        return int(status), None if why == "-" else why, None if models == "-" else models

    def why(self, answer):
        """The reason word of a response."""
        return self.logged(answer)[1]


def _expand(names):
    """Module names with groups replaced, each once, in order."""
    out = []
    for name in names.split():
        for each in GROUPS.get(name, name).split():
            if each not in out:
                out.append(each)
    return out
