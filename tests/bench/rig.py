# SPDX-License-Identifier: Apache-2.0
"""What the measurements share: a minimal httpd, a private Redis, and a keep-alive client."""
import os
import pwd
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
    "redis": "early 304, Redis over a unix socket, two models",
}
VERSIONED = """
ETagVersion Version
ETagVersionModels proteins.Protein proteins.State
ETagVersionUpstreamETag Replace
"""


def fail(text):
    sys.exit(f"bench: {text}")


def program(*names):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    return fail(f"{' or '.join(names)} is not installed")


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


def load_line(folder, case):
    """The modules that a case needs, and no other."""
    name = {"const": "const304", "local": "etag_version", "redis": "etag_version"}.get(case)
    return f'LoadModule {name}_module "{folder}/mod_{name}.so"\n' if name else ""


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
    """One kept connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

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
