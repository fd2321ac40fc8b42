# SPDX-License-Identifier: Apache-2.0
"""The command line tool, with Redis itself and through httpd's handlers."""
import hashlib
import json
import os
import re
import subprocess
import threading
import time

import pytest

from harness import places
from harness.certs import Authority
from harness.wait import PATIENCE, until

CONF = """
@STORE@
ETagVersionStoreTimeout connect=10s command=10s
<Location /admin>
  SetHandler etag-version-admin
  ETagVersionServe admin
</Location>
<Location /events>
  SetHandler etag-version-events
  ETagVersionServe events
</Location>
<Location /locked>
  SetHandler etag-version-admin
  ETagVersionServe admin
  AuthType Basic
  AuthName x
  AuthUserFile @ROOT@/users
  Require valid-user
</Location>
<Location /closed>
  SetHandler etag-version-admin
</Location>
"""


def environment(more=None):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("ETAG_VERSION") and not k.lower().endswith("_proxy")}
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "")
    return {**env, **(more or {})}


def tool(*words, env=None, data=None, status=0):
    """Run it: what it printed; `status` None for (status, out, err)."""
    done = subprocess.run([places.tool(), *map(str, words)], env=environment(env), input=data, capture_output=True,
                          timeout=PATIENCE, check=False)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Sanitizer" not in err and "runtime error" not in err, err
    if status is None:
        return done.returncode, out, err
    assert done.returncode == status, (done.returncode, out, err)
    return out if status == 0 or out else err


def rows(text):
    return [line.split("\t") for line in text.splitlines()]


class Watcher:
    """`etag-version watch` in the background, and the lines that it has printed."""

    def __init__(self, *words, env=None):
        self.lines = []
        self.process = subprocess.Popen([places.tool(), "watch", *map(str, words)], env=environment(env),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    def wait_for(self, line, times=1):
        until(lambda: self.lines.count(line) >= times or self.process.poll() is not None,
              lambda: f"{line!r} among {self.lines}")
        assert self.lines.count(line) >= times, (self.lines, self.process.stderr.read())

    def end(self):
        status = self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._thread.join(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def watch():
    made = []

    def make(*words, **more):
        made.append(Watcher(*words, **more))
        return made[-1]
    yield make
    for watcher in made:
        watcher.close()


@pytest.fixture
def site(new_httpd):
    def make(store="", start=True):
        server = new_httpd(CONF.replace("@STORE@", store), "basic", start=False)
        server.write("users", "cron:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")  # password
        if start:
            server.start()
            server.admin = f"http://127.0.0.1:{server.port}/admin"
            server.events = f"http://127.0.0.1:{server.port}/events"
        return server
    return make


@pytest.fixture(params=["redis", "unix", "admin", "admin-redis"])
def where(request, new_redis, site):
    """Options that say where the versions are."""
    if request.param == "admin":
        return "--admin", site().admin
    redis = new_redis()
    if request.param == "admin-redis":
        return "--admin", site(f"ETagVersionStore {redis.url}").admin
    return "--store", redis.url if request.param == "redis" else redis.unix_url


# --- bump and get ---------------------------------------------------------------------------------

def test_bump_and_get(where):
    assert rows(tool(*where, "get", "a", "b", status=1)) == [["a", "-", "absent"], ["b", "-", "absent"]]
    bumped = rows(tool(*where, "bump", "a", "b c", "caf\u00e9"))
    assert [(row[0], row[2]) for row in bumped] == [("a", "bumped"), ("b c", "bumped"), ("caf\u00e9", "bumped")]
    assert rows(tool(*where, "get", "a", "b c", "caf\u00e9")) == [[m, v, "found"] for m, v, _ in bumped]
    said = json.loads(tool(*where, "--json", "get", "a"))
    assert said["versions"][0]["version"] == bumped[0][1] and said["versions"][0]["state"] == "found"
    assert rows(tool(*where, "get", "a", "none", status=1))[1] == ["none", "-", "absent"]


def test_many(where):
    models = [f"m{i}" for i in range(100)]
    assert [row[0] for row in rows(tool(*where, "bump", *models))] == models


def test_if_digest(where, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"one" * 100000)

    def bump(*how, data=None):
        return rows(tool(*where, "bump", "d", *how, data=data))[0][1:]
    first = bump("--if-digest-of", data)
    assert first[1] == "bumped"
    assert bump("--if-digest-of", data) == [first[0], "unchanged"]
    assert bump("--if-digest-of", "-", data=data.read_bytes()) == [first[0], "unchanged"]
    data.write_bytes(b"two")
    assert bump("--if-digest-of", data)[1] == "bumped"
    assert bump("--if-digest", hashlib.sha256(data.read_bytes()).hexdigest())[1] == "unchanged"
    assert bump("--if-digest", "x")[1] == "bumped" and bump("--if-digest", "x")[1] == "unchanged"
    assert "unchanged" in json.loads(tool(*where, "bump", "--json", "d", "--if-digest", "x"))


def test_tokens_in_redis(new_redis):
    redis = new_redis()
    tool("--store", redis.url, "--prefix", "p:", "bump", "--model", "-x")
    assert redis("GET", "p:-x").isdigit()
    redis("SET", "p:b", b"\x01\x02")
    redis("SET", "p:l", "x" * 60)
    redis("SET", "p:huge", "x" * 600)
    got = rows(tool("--store", redis.url, "--prefix", "p:", "get", "b", "l", "huge", status=1))
    assert got == [["b", "base64:AQI=", "found"], ["l", "?", "found"], ["huge", "-", "unusable"]]


def test_environment(new_redis, site):
    redis = new_redis()
    tool("bump", "a", env={"ETAG_VERSION_STORE": redis.url})
    assert redis("EXISTS", "model_version:a") == 1
    server = site()
    tool("bump", "a", env={"ETAG_VERSION_ADMIN": server.admin})
    assert rows(tool("get", "a", env={"ETAG_VERSION_ADMIN": server.admin}))[0][2] == "found"


# --- credentials ----------------------------------------------------------------------------------

def test_password_of_redis(new_redis, tmp_path):
    redis = new_redis("--requirepass", "pa/ss:word", password="pa/ss:word")
    secret = tmp_path / "secret"
    secret.write_text("pa/ss:word\n")
    url = f"redis://127.0.0.1:{redis.port}"
    assert "found" not in tool("--store", url, "bump", "a", status=3)
    tool("--store", url, "--password-file", secret, "bump", "a")
    tool("--store", url, "bump", "a", env={"ETAG_VERSION_PASSWORD": "pa/ss:word"})
    tool("--store", f"redis://:pa%2Fss%3Aword@127.0.0.1:{redis.port}", "bump", "a")


@pytest.mark.parametrize("url", ["redis://u:S3CRET@127.0.0.1:1", "redis://:S3CRET@127.0.0.1:99999",
                                 "redis://u:S3CRET@[::1", "bogus://u:S3CRET@h", "rediss://u:S3CRET@127.0.0.1:1?x=y"])
def test_passwords_are_never_shown(url):
    status, out, err = tool("--store", url, "bump", "a", status=None)
    assert status in (2, 3) and err and "S3CRET" not in out + err
    status, out, err = tool("bump", "a", env={"ETAG_VERSION_STORE": url}, status=None)
    assert status in (2, 3) and "S3CRET" not in out + err


@pytest.mark.parametrize("words, shown", [
    (["--stroe=redis://u:S3CRET@h", "bump", "a"], "--stroe"),
    (["--stroe", "redis://u:S3CRET@h", "bump", "a"], "--stroe"),
    (["--json=S3CRET", "bump", "a"], "--json"), (["--p=S3CRET", "bump", "a"], "--p"),
    (["--redis://u:S3CRET@h", "bump", "a"], "--redis"), (["-pS3CRET", "bump", "a"], "-p"),
    (["--user", "S3CRET", "-\x9b"], "-?"), (["--user", "S3CRET", "--store"], "--store"),
])
def test_mistyped_options(words, shown):
    status, out, err = tool(*words, status=None)
    assert status == 2 and not out and "S3CRET" not in err and shown in err and len(err.splitlines()) == 1


def test_passwords_of_addresses_leave_the_process_list(new_redis, watch):
    redis = new_redis("--requirepass", "S3CRET", password="S3CRET")
    watcher = watch("--store", f"redis://:S3CRET@127.0.0.1:{redis.port}", "a")
    watcher.wait_for("*\treset")
    with open(f"/proc/{watcher.process.pid}/cmdline", "rb") as f:
        assert b"S3CRET" not in f.read()


def test_http_credentials(site, tmp_path):
    server = site()
    url = server.admin.replace("/admin", "/locked")
    secret = tmp_path / "secret"
    secret.write_text("password\n")
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login cron password password\n")
    assert "401" in tool("--admin", url, "bump", "a", status=4)
    server.log.expect("auth_basic:error", optional=True)
    tool("--admin", url, "--user", "cron", "--password-file", secret, "bump", "a")
    tool("--admin", url, "--user", "cron", "bump", "a", env={"ETAG_VERSION_PASSWORD": "password"})
    tool("--admin", url, "--netrc", "bump", "a", env={"HOME": str(tmp_path)})
    tool("--admin", url, "--user", "cron", "get", "a", env={"ETAG_VERSION_PASSWORD": "wrong"}, status=4)
    assert "--user" in tool("--admin", url.replace("//", "//cron:password@"), "bump", "a", status=2)


def test_tls(new_httpd, new_redis):
    authority = Authority()
    try:
        server = new_httpd(CONF.replace("@STORE@", "SSLSessionCache shmcb:@ROOT@/run/sessions") + authority.conf(), "basic tls", start=False)
        server.write("users", "")
        server.start()
        admin = f"https://localhost:{server.port}/admin"
        assert "no answer" in tool("--admin", admin, "bump", "a", status=3)
        tool("--admin", admin, "--ca", authority.root / "ca.crt", "bump", "a")
        other = admin.replace("localhost", "127.0.0.1")  # the certificate is for the name
        tool("--admin", other, "--ca", authority.root / "ca.crt", "bump", "a", status=3)
        redis = new_redis(tls=authority.redis())
        tool("--store", redis.tls_url(authority), "bump", "a")
        assert redis("EXISTS", "model_version:a") == 1
        tool("--store", f"rediss://localhost:{redis.tls_port}", "bump", "a", status=3)
    finally:
        authority.close()


# --- what goes wrong ------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [
    [], ["bump"], ["frob", "a"], ["bump", "a"], ["--store", "local", "bump", "a"], ["--store", "x", "bump", "a"],
    ["--admin", "ftp://h/", "bump", "a"], ["--admin", "http://h/", "watch"], ["--events", "http://h/", "get", "a"],
    ["--store", "redis://h", "--admin", "http://h/", "get", "a"], ["--store", "redis://h", "bump", "%epoch"],
    ["--store", "redis://h", "bump", "a\nb"], ["--store", "redis://h", "bump", ""],
    ["--store", "redis://h", "bump", "a", "b", "--if-digest", "x"],
    ["--store", "redis://h", "bump", "a", "--if-digest", "x y"],
    ["--store", "redis://h", "get", "a", "--if-digest", "x"],
    ["--store", "redis://h", "bump", "a", "--if-digest", "x", "--if-digest-of", "y"],
    ["--store", "redis://h", "bump", "a", "--if-digest-of", "/no/such/file"],
    ["--store", "redis://h", "bump", "a", "--password-file", "/no/such/file"],
    ["--store", "redis://h", "bump", "a", "--timeout", "soon"], ["--store", "redis://h", "watch", "--count", "0"], ["--store", "redis://h", "watch", "--count", "3x"],
    ["--store", "redis://h", "get", "a", "--count", "1"], ["--bogus"],
    ["--store", "rediss://h?ca=/no/such/file", "get", "a"],
], ids=lambda words: " ".join(words)[:40].replace("\n", " "))
def test_usage(words):
    status, out, err = tool(*words, status=None)
    assert status == 2 and out == "" and err.strip()


def test_help():
    text = tool("--help")
    assert "Exit status" in text
    for option in re.findall(r"(?<![-\w])--[a-z][a-z-]+", (places.REPO / "docs" / "cli.md").read_text()):
        assert option in text, option


def test_store_down(new_redis):
    redis = new_redis()
    redis.kill()
    for command in ("bump", "get"):
        status, out, err = tool("--store", redis.url, "--timeout", "300ms", command, "a", status=None)
        assert status == 3 and out == "" and "ETV0101" in err


def test_server_down_or_refusing(site, new_redis):
    server = site()
    closed = server.admin.replace("/admin", "/closed")
    assert "404" in tool("--admin", closed, "bump", "a", status=4)
    page = server.admin.replace("/admin", "/x.html")
    server.write("htdocs/x.html", "hello")
    assert "etag-version-admin" in tool("--admin", page, "get", "a", status=4)
    assert "etag-version-admin" in tool("--admin", page, "bump", "a", status=4)
    server.stop()
    assert "no answer" in tool("--admin", server.admin, "bump", "a", status=3)
    redis = new_redis()
    redis.kill()
    server = site(f"ETagVersionStore {redis.url}")
    server.log.expect("etag_version:(warn|error)", optional=True)
    assert "503" in tool("--admin", server.admin, "bump", "a", status=3)
    redis.start()
    until(lambda: redis("EXISTS", "model_version:a") == 1, "the bump that httpd remembered")


def test_an_answer_cannot_move_the_cursor(new_backend):
    backend = new_backend()
    reply = json.dumps({"versions": [{"model": "a\x1b[2J\tb", "version": "1\x07", "state": "found"}]})
    from harness.backend import Reply  # pylint: disable=import-outside-toplevel
    backend.on("/v", Reply(200, (), reply, content_type="application/json"))
    assert tool("--admin", backend.url + "/v", "get", "a") == "a?[2J?b\t1?\tfound\n"
    backend.on("/e", Reply(400, (), json.dumps({"error": "x\x1b[2Jy"}), content_type="application/json"))
    assert "x?[2Jy" in tool("--admin", backend.url + "/e", "get", "a", status=4)
    reply = json.dumps({"versions": [{"model": "a\x9b2J\xe9\u20ac", "version": "1", "state": "found"}]},
                       ensure_ascii=False).encode()
    backend.on("/c1", Reply(200, (), reply, content_type="application/json"))
    assert tool("--admin", backend.url + "/c1", "get", "a") == "a?2J\xe9\u20ac\t1\tfound\n"
    backend.on("/big", Reply(200, (), "x" * (2 << 20)))
    tool("--admin", backend.url + "/big", "get", "a", status=3)
    backend.on("/moved", Reply(302, [("Location", "file:///etc/passwd")], ""))
    tool("--admin", backend.url + "/moved", "get", "a", status=4)


# --- watch ----------------------------------------------------------------------------------------

@pytest.fixture(params=["store", "events", "events-redis"])
def watched(request, new_redis, site):
    """(where to watch, where to bump)."""
    if request.param == "events":
        server = site()
        return ("--events", server.events), ("--admin", server.admin)
    redis = new_redis()
    if request.param == "store":
        return ("--store", redis.url), ("--store", redis.url)
    server = site(f"ETagVersionStore {redis.url}")
    until(lambda: server.log.lines("ETV0130"), "the server to listen")
    return ("--events", server.events), ("--store", redis.url)


def test_watch(watched, watch):
    at, by = watched
    everything = watch(*at)
    some = watch(*at, "a", "b.*", "--count", "3", "--json")
    for watcher, line in ((everything, "*\treset"), (some, '{"reset":true}')):
        watcher.wait_for(line)
    for model in ("a", "c", "b.1"):
        tool(*by, "bump", model)
        everything.wait_for(model)
    tool(*by, "bump", "a")
    everything.wait_for("a", 2)
    assert some.end() == 0
    assert [line for line in some.lines if "reset" not in line] == ['{"model":"a"}', '{"model":"b.1"}', '{"model":"a"}']


def test_watched_names_cannot_move_the_cursor(new_redis, watch):
    redis = new_redis()
    watcher = watch("--store", redis.url)
    watcher.wait_for("*\treset")
    redis("SET", b"model_version:a\x9b2J\xc2\x9b\xc3\xa9\xff", "1")
    watcher.wait_for("a?2J?\xe9?")


def test_watch_does_not_come_back_at_once(new_origin, watch):
    """However little the server asks for: not within a second."""
    origin = new_origin()
    seen = []

    def answer(exchange):
        seen.append(time.monotonic())
        exchange.head("Content-Type: text/event-stream", "Connection: close")
        exchange.send(b"retry: 1\n\n")
    origin.default = answer
    watch("--events", origin.url + "/events")
    until(lambda: len(seen) >= 4, "the fourth connection")
    assert seen[3] - seen[0] > 1, "three pauses, whatever each took to be seen"


def test_watch_goes_on_after_a_restart(new_redis, site, watch):
    redis = new_redis()
    direct = watch("--store", redis.url)
    direct.wait_for("*\treset")
    redis.restart()
    direct.wait_for("*\treset", 2)
    tool("--store", redis.url, "bump", "a")
    direct.wait_for("a")

    server = site()
    remote = watch("--events", server.events)
    remote.wait_for("*\treset")
    tool("--admin", server.admin, "bump", "b")
    remote.wait_for("b")
    server.graceful()
    tool("--admin", server.admin, "bump", "c")
    remote.wait_for("c")


def test_watch_refused(site, watch):
    server = site()
    watcher = watch("--events", server.events.replace("/events", "/closed"))
    assert watcher.end() == 4


def test_watch_ends_with_its_reader(new_redis):
    redis = new_redis()
    watcher = subprocess.Popen([places.tool(), "--store", redis.url, "watch"], env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert watcher.stdout.readline() == b"*\treset\n"
    watcher.stdout.close()

    def ended():
        redis("INCR", "model_version:a")
        return watcher.poll() is not None
    until(ended, "the end")
    watcher.wait()
