# SPDX-License-Identifier: Apache-2.0
"""Redis over TLS: who is believed, what the log says about the others, and that nobody waits for long."""
import os
import re
import socket
import time

import pytest

from harness import client, places
from harness.certs import Authority
from harness.ports import free_port
from harness.redis import RedisServer
from harness.tags import is_version
from harness.wait import until

FRESHNESS = ["strict", "lease"]
KEY = "model_version:m"
SITE = """
ETagVersionStore "@STORE@"
ETagVersionStoreTimeout connect=5s command=5s
ETagVersionFreshness @FRESHNESS@
<Location />
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels m
</Location>
"""


@pytest.fixture(scope="module", name="authority")
def _authority():
    made = Authority()
    made.make("redis", "DNS:localhost,IP:127.0.0.1")
    made.make("elsewhere", "DNS:elsewhere.example,IP:127.0.0.2")
    made.make("expired", days=0)
    made.make("client", "DNS:client")
    for key in made.root.glob("*.key"):
        key.chmod(0o600)  # httpd's children could not read it
    yield made
    made.close()


@pytest.fixture(scope="module", name="stranger")
def _stranger():
    """Another authority."""
    made = Authority()
    yield made
    made.close()


@pytest.fixture(scope="module", name="redis")
def _redis(authority):
    server = RedisServer(tls=authority.redis("redis"))
    yield server
    server.close()


@pytest.fixture(name="site")
def _site(new_httpd, request):
    def make(url, conf=SITE, start=True, freshness=None, **more):
        freshness = freshness or FRESHNESS[0]
        server = new_httpd(conf.replace("@STORE@", url).replace("@FRESHNESS@", freshness), start=False, **more)
        server.write("htdocs/x.txt", "x\n")
        return server.start() if start else server
    return make


def has_tag(server):
    answer = server.get("/x.txt")
    assert answer.status == 200
    return is_version(answer.etag) and answer.etag


def refused(server, pattern):
    """No tag, and the log says why."""
    server.log.expect(r"ETV0125: rediss://\S+: TLS: " + pattern)
    server.log.expect("ETV0117", optional=True)
    answer = server.get("/x.txt")
    assert answer.status == 200 and not is_version(answer.etag)
    assert server.why(answer) == "store-down"


@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_versions(site, redis, authority, mpm, host, freshness):
    redis("FLUSHALL")
    server = site(redis.tls_url(authority, host), mpm=mpm, freshness=freshness)
    tag = has_tag(server)
    assert tag
    until(lambda: server.get("/x.txt", tag=tag).status == 304, "304")
    server.bump("m")
    answer = server.get("/x.txt", tag=tag)
    assert answer.status == 200 and is_version(answer.etag)
    server.graceful()
    until(lambda: server.get("/x.txt", tag=answer.etag).status == 304, "304 after a graceful restart")
    redis("INCR", KEY)
    until(lambda: server.get("/x.txt", tag=answer.etag).status == 200, "the new version")


@pytest.mark.parametrize("freshness", FRESHNESS)
def test_client_certificate(site, authority, new_redis, freshness):
    """Its key is readable for root alone, and httpd's children are not root."""
    redis = new_redis(tls=authority.redis("redis", clients="yes"))
    server = site(redis.tls_url(authority, more=f"&cert={authority.root}/client.crt&key={authority.root}/client.key"),
                  freshness=freshness)
    tag = has_tag(server)
    assert tag
    until(lambda: server.get("/x.txt", tag=tag).status == 304, "304")
    server.graceful()
    assert has_tag(server)


@pytest.mark.parametrize("certificate, pattern", [
    ("elsewhere", "the server's certificate is for another host"),
    ("expired", "the server's certificate, or that of its authority, has expired"),
])
def test_wrong_certificates(site, authority, new_redis, certificate, pattern):
    redis = new_redis(tls=authority.redis(certificate))
    refused(site(redis.tls_url(authority)), pattern)


def test_untrusted(site, redis, stranger):
    refused(site(redis.tls_url(stranger)), "the server's certificate is not of a trusted authority")


def test_authorities_of_the_system(site, redis):
    refused(site(f"rediss://localhost:{redis.tls_port}"), "the server's certificate is not of a trusted authority")


def test_missing_client_certificate(site, authority, new_redis):
    redis = new_redis(tls=authority.redis("redis", clients="yes"))
    refused(site(redis.tls_url(authority)), "the server wants a client certificate")


def test_foreign_client_certificate(site, authority, stranger, new_redis):
    redis = new_redis(tls=authority.redis("redis", clients="yes"))
    files = f"&cert={stranger.root}/localhost.crt&key={stranger.root}/localhost.key"
    refused(site(redis.tls_url(authority, more=files)), "the server does not accept the client certificate")


def test_plain_server(site, authority, new_redis):
    redis = new_redis()
    url = f"rediss://localhost:{redis.port}?ca={authority.root}/ca.crt"
    refused(site(url, SITE.replace("connect=5s", "connect=300ms")), "")


def test_plain_client(site, redis):
    server = site(f"redis://localhost:{redis.tls_port}", SITE.replace("connect=5s", "connect=300ms"))
    server.log.expect("ETV01(07|08|09)")
    server.log.expect("ETV0117", optional=True)
    answer = server.get("/x.txt")
    assert answer.status == 200 and not is_version(answer.etag)


def test_handshake_in_drips(site, authority, redis, new_drip):
    """At this pace the handshake would take more than a minute."""
    drip = new_drip(redis.tls_port, pause=0.05)
    url = f"rediss://localhost:{drip.port}?ca={authority.root}/ca.crt"
    began = time.monotonic()
    server = site(url, SITE.replace("connect=5s", "connect=300ms"))
    refused(server, "no answer in time to the handshake")
    assert time.monotonic() - began < 30
    drip.pause = 0
    until(lambda: has_tag(server), "tags once it is fast")


def test_answers_in_small_pieces(site, authority, redis, new_drip):
    drip = new_drip(redis.tls_port, pause=0.00001)
    server = site(f"rediss://localhost:{drip.port}?ca={authority.root}/ca.crt",
                  SITE.replace("=5s", "=50s"))
    tag = has_tag(server)
    assert tag and server.get("/x.txt", tag=tag).status == 304


def test_connections_that_break(site, authority, redis, new_drip):
    """Idle connections that are gone cost no request its tag."""
    redis("FLUSHALL")
    drip = new_drip(redis.tls_port)
    server = site(f"rediss://localhost:{drip.port}?ca={authority.root}/ca.crt")
    tag = has_tag(server)
    for _ in range(5):
        drip.drop()
        assert server.get("/x.txt", tag=tag).status == 304


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_beside_mod_ssl(site, authority, redis, mpm):
    """Both use OpenSSL in the same threads; neither sees the other's errors."""
    port = free_port()
    conf = SITE + (f"SSLSessionCache shmcb:@ROOT@/run/sessions\nListen 127.0.0.1:{port}\n"
                   f"<VirtualHost 127.0.0.1:{port}>\n{authority.conf()}</VirtualHost>\n")
    server = site(redis.tls_url(authority), conf, modules="tls", mpm=mpm)
    for _ in range(5):
        tag = has_tag(server)
        answer = client.fetch(port, "GET", "/x.txt", [], tls=authority.context())
        assert tag and is_version(answer.etag)
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(b"no handshake at all\r\n\r\n")
            while plain.recv(4096):
                pass
    assert not server.log.lines("ETV01")


@pytest.mark.parametrize("freshness", FRESHNESS)
def test_least_rights(site, authority, new_redis, freshness):
    """What docs/operations.md says that the user needs is enough, and nothing of it can be missing."""
    rights = "~model_version:* +multi +exec +mget +exists +set +role +info +select".split()
    if freshness == "lease":
        rights += "&__redis__:invalidate +ping +subscribe +client|id +client|tracking".split()
    redis = new_redis(tls=authority.redis("redis"))
    redis("ACL", "SETUSER", "etag", "on", ">secret", "resetchannels", *rights)
    server = site(redis.tls_url(authority).replace("//", "//etag:secret@"), freshness=freshness)
    tag = has_tag(server)
    until(lambda: server.get("/x.txt", tag=tag).status == 304, "304")
    if freshness == "lease":
        until(lambda: server.log.lines("ETV0130"), "the table of versions in use")
    server.bump("m")
    assert server.get("/x.txt", tag=tag).status == 200


# --- files -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("query, says", [
    ("?ca=@ROOT@/missing", r"ca=\S+/missing: the file cannot be read: No such file or directory"),
    ("?ca=@ROOT@/mime.types", r"ca=\S+/mime.types: the file holds no certificate in PEM form"),
    ("?ca=@CA@/ca.crt&cert=@CA@/client.crt&key=@CA@/redis.key", r"key=\S+/redis.key: the file holds the key of another"),
    ("?ca=@CA@/ca.crt&cert=@CA@/client.crt&key=@CA@/nothing", r"key=\S+/nothing: the file cannot be read"),
], ids=["missing", "no-pem", "other-key", "no-key"])
def test_files(site, authority, query, says):
    server = site("rediss://localhost:1" + query.replace("@CA@", str(authority.root)), start=False)
    status, output = server.configtest()
    assert status != 0 and "ETV0408: ETagVersionStore rediss://localhost:1/0: " in output, output
    assert re.search(says, output), output


def test_files_that_only_root_can_read(site, authority, redis):
    server = site(f"rediss://localhost:{redis.tls_port}?ca=@ROOT@/certs/ca.crt", start=False)
    server.write("certs/ca.crt", (authority.root / "ca.crt").read_bytes(), mode=0o600)
    os.chmod(server.root / "certs", 0o700 if places.IS_ROOT else 0o755)
    server.start()
    assert has_tag(server)


def test_a_file_that_went_missing_stops_nobody_who_runs(site, authority, redis):
    """What was read at the start is what counts until the configuration is read again."""
    server = site(f"rediss://localhost:{redis.tls_port}?ca=@ROOT@/ca.crt", start=False)
    server.write("ca.crt", (authority.root / "ca.crt").read_bytes())
    server.start()
    (server.root / "ca.crt").unlink()
    assert has_tag(server)
