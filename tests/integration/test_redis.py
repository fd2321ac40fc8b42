# SPDX-License-Identifier: Apache-2.0
"""The Redis store when all is well: what it reads, what it writes, how it logs in."""
import pickle
import socket
import time

import pytest

from harness.backend import Reply
from harness.redis import RedisError
from harness.tags import is_version
from harness.wait import until

SITE = """
ETagVersionFreshness strict
ETagVersionStoreTimeout connect=5s command=5s
<Location />
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels proteins.Protein
</Location>
<Location /two.txt>
  ETagVersionModels proteins.Protein proteins.State
</Location>
<Location /skip.txt>
  ETagVersionModels absent
  ETagVersionMissing Skip
</Location>
<LocationMatch "^/by/(?<NAME>.+)$">
  ETagVersionModels %{env:MATCH_NAME}
</LocationMatch>
"""
KEY = "model_version:proteins.Protein"


@pytest.fixture
def site(new_httpd):
    """A server whose store is the given URL."""
    def make(url, conf="", bump=True, mpm="event", site=SITE):
        server = new_httpd(f'ETagVersionStore "{url}"\nAliasMatch ^/by/ "@ROOT@/htdocs/x.txt"\n{conf}\n{site}',
                           "alias", bump=bump, mpm=mpm, start=False)
        for name in ("x", "two", "skip"):
            server.write(f"htdocs/{name}.txt", f"{name}\n")
        return server.start()
    return make


@pytest.fixture
def redis(new_redis):
    return new_redis()


def tag_of(server, path="/x.txt"):
    answer = server.get(path)
    assert answer.status == 200 and is_version(answer.etag), f"{server.why(answer)}: {answer}"
    return answer.etag


PICKLE_4 = pickle.dumps("2025-01-01T00:00:00", 4)
PICKLE_5 = pickle.dumps("2025-01-01T00:00:00", 5)


@pytest.mark.parametrize("value, other", [
    (b"8", b"9"), (b"-3", b"3"), (b"1", b"01"), (b"2025-01-01T00:00:00+00:00", b"2025-01-01T00:00:01+00:00"),
    (PICKLE_4, PICKLE_5), (b'"2025-01-01"', b"2025-01-01"), (b'{"a": 1}', b'{"a":1}'), (b"", b"\x00"),
    (b"a\x00b", b"a\x00c"), (b"\r\n$-1\r\n", b"\r\n$-1\r\n\r\n"), (b"x" * 512, b"x" * 511 + b"y"),
    (b"ab", b"ab "), (b"\xff\xfe", b"\xff\xff"),
], ids=lambda v: repr(v)[:20])
def test_values_are_opaque(site, redis, value, other):
    server = site(redis.unix_url)
    redis("SET", KEY, value)
    tag = tag_of(server)
    assert server.get("/x.txt", tag=tag).status == 304
    redis("SET", KEY, value)
    assert server.get("/x.txt", tag=tag).status == 304, "only equality matters"
    redis("SET", KEY, other)
    answer = server.get("/x.txt", tag=tag)
    assert answer.status == 200 and is_version(answer.etag) and answer.etag != tag
    assert redis("GET", KEY) == other
    if value:
        assert value not in b"".join(v.encode("latin-1") for _, v in answer.headers) or len(value) < 4


def test_what_is_no_token_gives_no_tag(site, redis):
    server = site(redis.url)
    tag = tag_of(server)
    for command in (["SET", KEY, "x" * 513], ["SET", KEY, "x" * 100000], ["HSET", KEY, "a", "b"],
                    ["RPUSH", KEY, "a"], ["SADD", KEY, "a"], ["XADD", KEY, "*", "a", "b"]):
        redis("DEL", KEY)
        redis(*command)
        for path in ("/x.txt", "/two.txt"):
            answer = server.get(path, tag=tag)
            assert answer.status == 200 and not is_version(answer.etag), command
    # The connection is as good as before.
    redis("DEL", KEY)
    redis("SET", KEY, "1")
    assert server.get("/x.txt", tag=tag_of(server)).status == 304
    redis("DEL", KEY)
    redis("HSET", KEY, "a", "b")
    assert is_version(server.get("/by/other").etag) is False
    redis("SET", "model_version:other", "1")
    assert is_version(server.get("/by/other").etag)


def test_absent_is_created_once_or_skipped(site, redis):
    server = site(redis.unix_url)
    tag_of(server)
    value = int(redis("GET", KEY))
    assert abs(value / 1e9 - time.time()) < 3600, "Unix microseconds times 1000"
    assert redis("TTL", KEY) == -1
    tag_of(server)
    assert int(redis("GET", KEY)) == value
    answer = server.get("/skip.txt")
    assert not is_version(answer.etag) and server.why(answer) == "missing"
    assert redis("EXISTS", "model_version:absent") == 0
    answer = server.get("/by/unknown")
    assert not is_version(answer.etag) and server.why(answer) == "missing"
    assert redis("EXISTS", "model_version:unknown") == 0


def test_clients_of_all_kinds_change_versions(site, redis):
    server = site(redis.url)
    redis("SET", KEY, "8")
    for command in (["INCR", KEY], ["SET", KEY, "x"], ["DEL", KEY], ["EVAL", "redis.call('SET', KEYS[1], 'y')",
                                                                   1, KEY], ["MSET", KEY, "z"]):
        tag = tag_of(server)
        redis(*command)
        answer = server.get("/x.txt", tag=tag)
        assert answer.status == 200 and is_version(answer.etag) and answer.etag != tag, command
    tag = tag_of(server)
    redis("PEXPIRE", KEY, 1)
    until(lambda: not redis("EXISTS", KEY), "the key to expire")
    assert server.get("/x.txt", tag=tag).status == 200


def test_several_models(site, redis):
    server = site(redis.unix_url)
    for model in ("proteins.Protein", "proteins.State"):
        tag = tag_of(server, "/two.txt")
        redis("SET", f"model_version:{model}", "new")
        assert server.get("/two.txt", tag=tag).status == 200
    tag = tag_of(server, "/two.txt")
    redis("SET", "model_version:proteins.Other", "1")
    assert server.get("/two.txt", tag=tag).status == 304
    redis("MSET", "model_version:proteins.Protein", "a", "model_version:proteins.State", "b")
    tag = tag_of(server, "/two.txt")
    redis("MSET", "model_version:proteins.Protein", "b", "model_version:proteins.State", "a")
    assert server.get("/two.txt", tag=tag).status == 200, "swapped values"


def test_bump_writes_an_integer(site, redis):
    server = site(redis.unix_url)
    values = set()
    for _ in range(20):
        tag = tag_of(server)
        server.bump("proteins.Protein")
        assert server.get("/x.txt", tag=tag).status == 200
        values.add(int(redis("GET", KEY)))
    assert len(values) == 20 and all(v < 2 ** 63 for v in values)
    assert redis("TTL", KEY) == -1
    assert redis("INCR", KEY) > 0


@pytest.mark.parametrize("prefix", [":1:model_version:", "cache_version:", "{tag}:", "a b:"])
def test_prefix(site, redis, prefix):
    server = site(redis.unix_url, f'ETagVersionKeyPrefix "{prefix}"')
    redis("SET", f"{prefix}proteins.Protein", PICKLE_5)
    tag = tag_of(server)
    redis("SET", KEY, "1")
    assert server.get("/x.txt", tag=tag).status == 304
    redis("SET", f"{prefix}proteins.Protein", PICKLE_4)
    assert server.get("/x.txt", tag=tag).status == 200
    assert all(key.startswith(prefix.encode()) or key == KEY.encode() for key in redis("KEYS", "*"))


def test_awkward_names(site, redis):
    """Names from a request never leave their key."""
    server = site(redis.url)
    for name in ("a%20b", "a%0D%0ASET%20x%20y", "%25epoch", "%C3%BC", "a'b", "%7Bx%7D", "*", "a:b"):
        answer = server.get(f"/by/{name}")
        assert answer.status in (200, 404) and not is_version(answer.etag)
    assert redis("EXISTS", "x") == 0
    redis("SET", "model_version:ü", "1")
    assert is_version(server.get("/by/%C3%BC").etag)


def test_database(site, redis):
    for url in (f"{redis.url}/3", f"{redis.unix_url}?db=3"):
        server = site(url)
        tag = tag_of(server)
        redis("SET", KEY, "in database 0")
        assert server.get("/x.txt", tag=tag).status == 304
        redis("SELECT", 3)
        redis("SET", KEY, url)
        redis("SELECT", 0)
        assert server.get("/x.txt", tag=tag).status == 200


def test_missing_database(site, redis):
    server = site(f"{redis.url}/99")
    server.log.expect("etag_version:(warn|error)")
    answer = server.get("/x.txt")
    assert answer.status == 200 and not is_version(answer.etag) and server.why(answer) == "store-down"


LOGINS = [
    ("redis://:pa%20ss%40@127.0.0.1:PORT", ""),
    ("redis+unix://:pa%20ss%40@SOCKET", ""),
    ("redis://127.0.0.1:PORT", "pa ss@\n"),
    ("redis+unix://SOCKET", "pa ss@\n"),
    ("redis://:wrong@127.0.0.1:PORT", "pa ss@"),
    ("redis://reader:se%3Acret@127.0.0.1:PORT", ""),
    ("redis://reader@127.0.0.1:PORT", "se:cret\n"),
]


@pytest.mark.parametrize("url, file", LOGINS, ids=[f"{u[:24]}{'-file' if f else ''}" for u, f in LOGINS])
def test_login(site, new_redis, tmp_path, url, file):
    redis = new_redis("--requirepass", "pa ss@", password="pa ss@")
    redis("ACL", "SETUSER", "reader", "on", ">se:cret", "~*", "+@all")
    conf = ""
    if file:
        (tmp_path / "password").write_text(file)
        conf = f"ETagVersionStorePassword file:{tmp_path}/password"
    server = site(url.replace("PORT", str(redis.port)).replace("SOCKET", str(redis.socket)), conf)
    tag = tag_of(server)
    redis("SET", KEY, "new")
    assert server.get("/x.txt", tag=tag).status == 200
    assert "se:cret" not in server.log.text() and "pa ss@" not in server.log.text()


@pytest.mark.parametrize("url", ["redis://:wr0ng@127.0.0.1:PORT", "redis://127.0.0.1:PORT",
                                 "redis://reader:wr0ng@127.0.0.1:PORT"])
def test_refused_login(site, new_redis, url):
    redis = new_redis("--requirepass", "right", password="right")
    server = site(url.replace("PORT", str(redis.port)))
    server.log.expect("etag_version:(warn|error)")
    for _ in range(30):
        answer = server.get("/x.txt", tag='W/"v0123456789012345678901"')
        assert answer.status == 200 and not is_version(answer.etag)
        assert server.why(answer) == "store-down"
    assert "wr0ng" not in server.log.text()
    assert len(server.log.lines("etag_version:(warn|error)")) < 10, "one cause, few lines"


@pytest.mark.parametrize("denied", ["-role", "-info", "-mget", "-exec", "-multi"])
def test_missing_permissions(site, new_redis, denied):
    redis = new_redis()
    redis("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", denied)
    server = site(f"redis://reader:pw@127.0.0.1:{redis.port}")
    server.log.expect("etag_version:(warn|error)")
    for _ in range(20):
        answer = server.get("/x.txt")
        assert answer.status == 200 and not is_version(answer.etag), denied
    assert len(server.log.lines("etag_version:(warn|error)")) < 10
    redis("ACL", "SETUSER", "reader", "+@all")
    until(lambda: is_version(server.get("/x.txt").etag), "tags once the permission is given")


def test_few_permissions_suffice(site, new_redis):
    """A reader that may not write keys: what exists gets tags."""
    redis = new_redis()
    writer = site(redis.url)
    tag_of(writer)
    redis("ACL", "SETUSER", "reader", "on", ">pw", "%R~model_version:*", "-@all", "+multi", "+exec", "+mget",
          "+exists", "+role", "+info", "+get", "+ping", "+auth", "+select", "+client")
    server = site(f"redis://reader:pw@127.0.0.1:{redis.port}")
    server.log.expect("etag_version:", optional=True)
    tag = tag_of(server)
    redis("SET", KEY, "changed")
    assert server.get("/x.txt", tag=tag).status == 200
    assert server.request("POST", "/bump?model=proteins.Protein", body=b"").status == 503
    with pytest.raises(RedisError):
        redis("NOSUCHCOMMAND")


def test_ipv6(site, new_redis):
    assert socket.has_ipv6, "this machine has no IPv6"
    redis = new_redis("--bind", "127.0.0.1 ::1")
    server = site(f"redis://[::1]:{redis.port}")
    tag = tag_of(server)
    redis("SET", KEY, "new")
    assert server.get("/x.txt", tag=tag).status == 200


def test_host_name(site, new_redis):
    redis = new_redis()
    server = site(f"redis://localhost:{redis.port}")
    server.log.expect("etag_version:warn", optional=True)
    until(lambda: is_version(server.get("/x.txt").etag), "the name to be resolved")
    tag = tag_of(server)
    redis("SET", KEY, "new")
    assert server.get("/x.txt", tag=tag).status == 200


def test_unknown_host_name(site):
    server = site("redis://no-such-host.invalid")
    server.log.expect("etag_version:(warn|error)", optional=True)
    for _ in range(20):
        answer = server.get("/x.txt")
        assert answer.status == 200 and server.why(answer) == "store-down"


def test_bumps_reach_other_servers(site, redis):
    one, two = site(redis.unix_url), site(redis.unix_url)
    for writer, reader in ((one, two), (two, one)):
        tag = tag_of(reader)
        assert reader.get("/x.txt", tag=tag).status == 304
        writer.bump("proteins.Protein")
        assert reader.get("/x.txt", tag=tag).status == 200


def test_two_hosts_make_the_same_tags(new_httpd, new_backend, redis):
    """Behind one load balancer, a tag of one host is good at the other."""
    backend = new_backend()
    one, two = (new_httpd(f"ETagVersionStore {redis.unix_url}\nProxyPass / {backend.url}/\n"
                          "<Location />\nETagVersion Version\nETagVersionModels m\n</Location>",
                          "proxy", bump=False) for _ in range(2))
    tag = one.get("/x", host="site.example").etag
    assert is_version(tag)
    assert two.get("/x", host="site.example", tag=tag).status == 304


def test_eviction_is_warned_about(site, new_redis):
    redis = new_redis("--maxmemory-policy", "allkeys-lru")
    server = site(redis.url)
    server.log.expect("(?i)noeviction")
    tag_of(server)
    for _ in range(10):
        tag_of(server)
    assert len(server.log.lines("(?i)noeviction")) <= 3


@pytest.mark.parametrize("mpm", ["worker", "prefork"])
def test_other_mpms(site, redis, mpm):
    server = site(redis.unix_url, mpm=mpm)
    tag = tag_of(server)
    assert server.get("/x.txt", tag=tag).status == 304
    server.graceful()
    assert server.get("/x.txt", tag=tag).status == 304
    server.bump("proteins.Protein")
    assert server.get("/x.txt", tag=tag).status == 200


def test_tags_survive_a_restart_of_httpd(site, redis):
    server = site(redis.unix_url)
    tag = tag_of(server)
    server.restart()
    assert server.get("/x.txt", tag=tag).status == 304


def test_settle_counts_on_this_host(site, redis):
    server = site(redis.unix_url, site=SITE.replace("<Location />", "<Location />\n  ETagVersionSettle 1s"))
    answer = server.get("/x.txt")
    assert not is_version(answer.etag) and server.why(answer) == "settling"
    tag = until(lambda: (lambda a: a.etag if is_version(a.etag) else None)(server.get("/x.txt")), "settling")
    redis("SET", KEY, "new")
    answer = server.get("/x.txt", tag=tag)
    assert answer.status == 200 and server.why(answer) == "settling"


@pytest.mark.parametrize("freshness", ["strict", "lease"])
def test_letters(new_httpd, new_backend, redis, freshness):
    """The key that Redis keeps serves both letters, for as long as the request needs it."""
    backend = new_backend()
    backend.default = Reply(body=b"x", headers={"Cache-Control": "max-age=30"})
    server = new_httpd(f"ETagVersionStore {redis.url}\nETagVersionFreshness {freshness}\nProxyPass /p/ {backend.url}/\n"
                       "<Location /p/>\nETagVersion Version\nETagVersionModels m\n</Location>", "proxy")
    tags = [server.get(f"/p/{n % 3}").etag for n in range(12)]
    assert tags[:3] * 4 == tags and len(set(tags)) == 3 and all(tag.startswith('W/"u') for tag in tags)
    calls = backend.calls()
    assert all(server.get(f"/p/{n}", tag=tags[n]).status == 304 for n in range(3)) and backend.calls() == calls
