# SPDX-License-Identifier: Apache-2.0
"""The admin handler when the store is away, and when bodies are malformed."""
import json
import random

import pytest

from harness.client import request_bytes
from harness.tags import is_version
from harness.wait import until

CONF = """
ETagVersionStoreTimeout connect=2s command=2s
<Location /admin>
  SetHandler etag-version-admin
  ETagVersionServe admin
</Location>
<Location /page.html>
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels m
</Location>
"""
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
JSON = [("Content-Type", "application/json")]
WORSE = "etag_version:(warn|error)"


@pytest.fixture
def site(new_httpd):
    def make(store="", mpm="event", more=""):
        server = new_httpd(store + CONF + more, "static", mpm=mpm, start=False)
        server.write("htdocs/page.html", "a page\n")
        return server.start()
    return make


def bump(server, body=b"model=m", headers=FORM):
    answer = server.request("POST", "/admin", headers, body)
    return answer, json.loads(answer.body)


@pytest.mark.parametrize("freshness", ["strict", "lease"])
def test_store_down(site, new_redis, freshness):
    redis = new_redis("--dbfilename", "kept.rdb")
    server = site(f"ETagVersionStore {redis.url}\nETagVersionFreshness {freshness}\n")
    server.log.expect(WORSE, optional=True)
    assert bump(server)[0].status == 200
    tag = until(lambda: server.get("/page.html").etag, "a tag")
    before = redis("GET", "model_version:m")
    redis("SAVE")
    redis.kill()
    answer, said = bump(server, b"model=m&model=n")
    assert answer.status == 503 and answer.one("Retry-After") == "1"
    assert said["failed"] == ["m", "n"] and said["retrying"] is True and said["bumped"] == []
    answer = server.get("/admin?model=m")
    assert answer.status == 503 and answer.one("Retry-After") == "1"
    redis.start()  # with the old version
    until(lambda: redis("GET", "model_version:m") not in (None, before), "the bump to be delivered")
    until(lambda: redis("GET", "model_version:n") is not None, "the other bump")
    assert server.get("/page.html", tag=tag).status == 200
    until(lambda: is_version(server.get("/page.html").etag), "tags to come back")


def test_old_tag_never_matches_while_undelivered(site, new_redis):
    """The store comes back with the old version before the bump has been told again."""
    redis = new_redis("--dbfilename", "kept.rdb")
    server = site(f"ETagVersionStore {redis.url}\nETagVersionFreshness strict\n")
    server.log.expect(WORSE, optional=True)
    bump(server)
    tag = server.get("/page.html").etag
    redis.freeze()
    answer, said = bump(server, b'{"model":"m","if-digest":"x"}', JSON)
    assert answer.status == 503 and said["retrying"]
    redis.thaw()
    for _ in range(50):
        assert server.get("/page.html", tag=tag).status == 200
    until(lambda: is_version(server.get("/page.html").etag), "tags to come back")


def test_changing_is_told(site, new_redis):
    redis = new_redis()
    server = site(f"ETagVersionStore {redis.url}\nETagVersionFreshness strict\n")
    bump(server)
    redis("SET", "model_version:%alive:0123456789abcdef", "1", "PX", "60000")
    redis("SADD", "model_version:%open:m", "0123456789abcdef.1")
    (entry,) = json.loads(server.get("/admin?model=m").body)["versions"]
    assert entry == {"model": "m", "state": "changing"}
    redis("DEL", "model_version:%open:m")
    until(lambda: json.loads(server.get("/admin?model=m").body)["versions"][0]["state"] == "found", "the end of it")


# --- malformed bodies -----------------------------------------------------------------------------

SEEDS = [
    (FORM, b"model=fuzz.a&model=fuzz.b"),
    (FORM, b"model=fuzz.a&if-digest=sha-256%3D%3Aabc%3A"),
    (FORM, b"model=%C3%A9%20x+y&&model=fuzz.c"),
    (JSON, b'{"models":["fuzz.a","fuzz.b"]}'),
    (JSON, b'{"model":"fuzz.a","if-digest":"abc"}'),
    (JSON, b'{"bumps":[{"model":"fuzz.a","if-digest":"x"},{"model":"\\u00e9\\ud83d\\ude00"}]}'),
]
BITS = [b"\x00", b"\xff", b"%", b"%00", b"%zz", b"&", b"=", b"+", b"{", b"[", b"]", b"}", b'"', b"\\", b"\\u0000",
        b"\\ud800", b",", b":", b"null", b"1e999", b"-", b"\xc0\xaf", b"\xed\xa0\x80", b"\r\n", b"model", b"models",
        b"bumps", b"if-digest", b"[" * 500, b'{"a":' * 200, b"a" * 300, b"9" * 400]
ALLOWED = {200, 400, 413, 415}


def mutate(rng, body):
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(body))
        kind = rng.randint(0, 4)
        if kind == 0:
            body = body[:at] + rng.choice(BITS) + body[at:]
        elif kind == 1:
            body = body[:at] + body[at + rng.randint(1, 6):]
        elif kind == 2:
            body = body[:at] + bytes([rng.randrange(256)]) + body[at + 1:]
        elif kind == 3:
            body = body[:at]
        else:
            body = body[:at] + body * rng.choice([1, 1, 1, 20]) + body[at:]
    return body[:70000]


def framed(rng, headers, body):
    """A request, chunked or with a length; now and then with another media type."""
    headers = list(headers)
    if rng.random() < 0.1:
        headers = rng.choice([FORM, JSON, [], [("Content-Type", "text/plain")], [("Content-Type", "application/")]])
    if rng.random() < 0.3:
        at = rng.randint(0, len(body))
        parts = [part for part in (body[:at], body[at:]) if part]
        wire = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        return request_bytes("POST", "/admin", headers + [("Transfer-Encoding", "chunked")], wire)
    return request_bytes("POST", "/admin", headers, body)


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_thousands_of_malformed_bodies(site, mpm):
    """Whatever is sent, it is answered as an API does; no child dies, and nobody has to be told."""
    server = site(mpm=mpm)
    children = set(server.children())
    rng = random.Random(f"bodies for {mpm}")
    seen = set()
    for _ in range(3000):
        headers, body = rng.choice(SEEDS)
        with server.connect() as connection:
            connection.send(framed(rng, headers, mutate(rng, body)))
            answer = connection.read_response("POST")
        seen.add(answer.status)
        assert answer.status in ALLOWED, answer
        said = json.loads(answer.body)
        assert set(said) == ({"bumped", "unchanged"} if answer.status == 200 else {"error"}), answer
    assert {200, 400, 415} <= seen
    if mpm == "event":
        assert set(server.children()) == children
    assert bump(server)[0].status == 200
