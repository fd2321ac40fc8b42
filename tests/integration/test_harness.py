# SPDX-License-Identifier: Apache-2.0
"""The harness itself, against the stock server without the module."""
import pytest

from harness.backend import Reply
from harness.errorlog import ErrorLog


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_serves_static_files_and_restarts(new_httpd, mpm):
    server = new_httpd(etv=False, mpm=mpm, start=False)
    server.write("htdocs/a.txt", "hello\n")
    server.start()
    first = server.get("/a.txt")
    assert (first.status, first.body) == (200, b"hello\n")
    server.graceful()
    assert server.get("/a.txt", tag=first.etag).status == 304
    server.restart()
    assert server.request("HEAD", "/a.txt").one("Content-Length") == "6"
    assert server.logged(server.get("/a.txt")) == (200, None, None)


def test_speaks_all_protocols_to_a_counting_backend(new_httpd, new_backend):
    backend = new_backend()
    backend.on("/x", Reply(headers=[("X-Two", "a"), ("X-Two", "b")]))
    server = new_httpd(f"Protocols h2c http/1.1\nProxyPass / {backend.url}/", "proxy h2", etv=False)
    for number, proto in enumerate(["1.0", "1.1", "h2"], 1):
        answer = server.get("/x", proto=proto)
        assert (answer.status, answer.text) == (200, f"/x {number}\n")
        assert answer.all("X-Two") == ["a", "b"]
    assert backend.calls("/x") == 3
    with server.connect() as connection:
        for _ in range(3):
            assert connection.request("GET", "/x").status == 200
            assert connection.request("HEAD", "/x").body == b""
        connection.expect_nothing_more()


def test_redis_and_drip(new_redis, new_drip):
    redis = new_redis()
    assert redis("SET", "a", b"\x00\r\n") == b"OK"
    redis.freeze()
    redis.thaw()
    assert redis("GET", "a") == b"\x00\r\n"
    replica = new_redis()
    replica.replica_of(redis)
    assert replica("GET", "a") == b"\x00\r\n"
    redis.restart()
    assert redis("GET", "a") is None
    drip = new_drip(redis.port, pause=0.001)
    from harness.redis import RedisClient
    client = RedisClient(port=drip.port)
    assert client("PING") == b"PONG"
    client.close()


def test_error_log_is_judged(tmp_path):
    file = tmp_path / "log"
    file.write_text("[t] [core:notice] fine\n[t] [core:warn] [pid 1] bad\n"
                    "[t] [core:error] announced\nx: runtime error: y\n")
    log = ErrorLog(file)
    log.expect("announced")
    log.expect("never said")
    log.expect("may be said", optional=True)
    problems = log.problems()
    assert len(problems) == 3 and "never said" in problems[2]
    assert log.problems() == []


def test_configtest_reports(new_httpd):
    server = new_httpd("NoSuchDirective on", etv=False, start=False)
    status, output = server.configtest()
    assert status != 0 and "NoSuchDirective" in output
