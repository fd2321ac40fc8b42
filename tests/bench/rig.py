# SPDX-License-Identifier: Apache-2.0
"""What the measurements share: a minimal httpd, a private Redis, a fast origin, and a keep-alive client."""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BUILD = REPO / os.environ.get("BUILD", "build")
PATIENCE = 60
FILE_BYTES = 1000  # of the file: more than any 304 here has
CONSTANT = 'W/"v0123456789abcdefghijkl"'  # of mod_const304.c

# Name of a case -> what it is.
CASES = {
    "static": "304 of a static file",
    "const": "constant 304 from a fixups hook",
    "local": "early 304, local store, two models",
    "lease": "early 304, Redis under a lease, two models",
    "redis": "early 304, Redis asked over a unix socket, two models",
}
VERSIONED = """
ETagVersion Version
ETagVersionModels proteins.Protein proteins.State
ETagVersionUpstreamETag Replace
"""
# Two cases that differ in who names the models: the configuration, or the response.
AS_IS = {
    "configured": "early 304, local store, two models that the configuration names",
    "declared": "early 304, local store, two models that the response declares",
}
NAMES = "proteins.Protein", "proteins.State"
# The directives of proxied cases.
OFF, CONTENT = "ETagVersion Off\n", "ETagVersion Content\n"
SIZES = {"1 KB": 1 << 10, "140 KB": 140 << 10, "4 MB": 4 << 20}


# Ended from outside, a measurement ends its servers, too.
signal.signal(signal.SIGTERM, lambda *_args: sys.exit(143))


def fail(text):
    sys.exit(f"bench: {text}")


def find_program(*names):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def program(*names):
    return find_program(*names) or fail(f"{' or '.join(names)} is not installed")


def modules_folder():
    for folder in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"):
        if os.path.isdir(folder):
            return Path(folder)
    return fail("the folder of httpd's modules was not found")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, process, log=None):
    limit = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > limit:
            fail(f"{what} did not start\n{log.read_text(errors='replace') if log and log.exists() else ''}")
        time.sleep(0.05)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


def unprivileged():
    for name in ("www-data", "apache", "http", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return fail("no user without rights was found")


class Folder:
    """A temporary folder that httpd's user may enter and write to."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="etv-b-"))
        self.path.chmod(0o777)
        return self.path

    def __exit__(self, *error):
        shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """Started with its output in a file, ended by TERM."""

    def __init__(self, command, log):
        self.log = log
        # Root's processes give up their rights before they start: valgrind writes its file at the end.
        user = unprivileged() if os.geteuid() == 0 else None
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        with open(log, "ab") as f:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f,
                                            stderr=subprocess.STDOUT, **who)

    def cpu_seconds(self):
        """Processor time so far, of the process and its children."""
        ticks, parents = {}, {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, fields = int(path.parent.name), path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
        ours = {self.process.pid} | {pid for pid, parent in parents.items() if parent == self.process.pid}
        return sum(ticks.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_redis(folder):
    """Redis on a unix socket in the folder; returns (process, path of the socket)."""
    path = folder / "redis.sock"
    redis = Process([program("redis-server"), "--port", "0", "--unixsocket", str(path),
                     "--unixsocketperm", "777", "--save", "", "--appendonly", "no",
                     "--dir", str(folder), "--daemonize", "no"], folder / "redis.log")
    wait_until(path.exists, "redis-server", redis.process, redis.log)
    return redis, path


def start_origin(folder):
    """tests/bench/origin.c, compiled and started; returns (process, port)."""
    binary, source = folder / "origin", REPO / "tests" / "bench" / "origin.c"
    compiler = os.environ.get("CC") or program("gcc", "cc")
    subprocess.run([*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", str(source),
                    "-o", str(binary)], check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    origin = Process([str(binary), str(port)], folder / "origin.log")
    wait_until(lambda: answers(port), "origin", origin.process, origin.log)
    return origin, port


def load_line(folder, case):
    """The modules that a case needs, and no other."""
    name = {"static": None, "const": "const304"}.get(case, "etag_version")
    return f'LoadModule {name}_module "{folder}/mod_{name}.so"\n' if name else ""


def load_proxy(folder, *more):
    """mod_proxy_http, this module, and more of httpd's own."""
    lines = [f'LoadModule {name}_module "{modules_folder()}/mod_{name}.so"\n'
             for name in ("proxy", "proxy_http", *more)]
    return "".join(lines) + f'LoadModule etag_version_module "{folder}/mod_etag_version.so"\n'


def as_is(folder, case, port):
    """A page with headers of its own, and a virtual host that gives its models their versions."""
    page = folder / "htdocs" / case / "a"
    page.parent.mkdir(parents=True)
    page.write_text(f"X-Models: {', '.join(NAMES)}\nContent-Type: text/plain\n\n{'x' * FILE_BYTES}")
    named = f"ETagVersionModels {' '.join(NAMES)}\n"
    return (f'LoadModule asis_module "{modules_folder()}/mod_asis.so"\n' + load_line(folder, "local") +
            "ETagVersion Version\nETagVersionUpstreamETag Replace\nSetHandler send-as-is\n" +
            ("ETagVersionModelsHeader X-Models\n" if case == "declared" else named) +
            f"Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\n{named}</VirtualHost>\n")


def proxied_request(size, tag=None, more=""):
    condition = f"If-None-Match: {tag}\r\n" if tag else ""
    return f"GET /json/{size} HTTP/1.1\r\nHost: localhost\r\n{condition}{more}\r\n".encode()


def content_tag(port, size):
    """The ETag of a proxied 200 under ETagVersion Content."""
    client = Client(port)
    status, headers = client.send(proxied_request(size))
    client.close()
    if status != b"200" or not re.fullmatch(r'"c[\w-]{22}"', headers.get("ETag", "")):
        fail(f"{size} bytes proxied: {status.decode()} with the ETag {headers.get('ETag')}")
    return headers["ETag"]


def write_conf(folder, port, mpm, body):
    """The minimal configuration: no access log, connections kept for good."""
    modules = modules_folder()
    names = [f"mpm_{mpm}", "unixd", "log_config", "authz_core"]
    load = "\n".join(f'<IfModule !{name}_module>\nLoadModule {name}_module "{modules}/mod_{name}.so"\n</IfModule>'
                     for name in names if (modules / f"mod_{name}.so").exists())
    for case in CASES:
        (folder / "htdocs" / case).mkdir(parents=True, exist_ok=True)
        (folder / "htdocs" / case / "a").write_text("x" * FILE_BYTES)
    for name in ("mod_etag_version.so", "mod_const304.so"):
        shutil.copy(BUILD / name, folder)  # the build may be where only its owner can look
    conf = folder / "httpd.conf"
    conf.write_text(f"""
ServerRoot "{folder}"
ServerName localhost
PidFile "{folder}/httpd.pid"
DefaultRuntimeDir "{folder}"
Listen 127.0.0.1:{port}
ErrorLog "{folder}/error.log"
LogLevel warn
{load}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
MaxConnectionsPerChild 0
DocumentRoot "{folder}/htdocs"
<Directory "/">
    AllowOverride None
    Options None
    Require all granted
</Directory>
{body}
""")
    return [program("apache2", "httpd"), "-d", str(folder), "-f", str(conf)]


class Client:
    """One kept connection. With a large buffer, httpd's writes never wait."""

    def __init__(self, port, buffer=0):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.connect(("127.0.0.1", port))

    def close(self):
        self.socket.close()

    def send(self, request):
        self.socket.sendall(request)
        raw = b""
        while b"\r\n\r\n" not in raw:
            chunk = self.socket.recv(65536)
            if not chunk:
                fail("httpd closed the connection")
            raw += chunk
        head, _, body = raw.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:])
        left = int(headers.get("Content-Length", 0)) - len(body)
        while left > 0:
            left -= len(self.socket.recv(min(left, 65536)))
        return head.split()[1], headers


def request_text(case, tag=None):
    condition = f"If-None-Match: {tag}\r\n" if tag else ""
    return f"GET /{case}/a HTTP/1.1\r\nHost: localhost\r\n{condition}\r\n".encode()


def tag_of(port, case):
    """The ETag of a case's 200, of the kind that the case is about."""
    if case == "const":
        return CONSTANT
    client = Client(port)
    status, headers = client.send(request_text(case))
    client.close()
    if status != b"200" or "ETag" not in headers:
        fail(f"{case}: {status.decode()} without an ETag")
    if headers["ETag"].startswith('W/"v') != (case != "static"):
        fail(f"{case}: the ETag is {headers['ETag']}")
    return headers["ETag"]
