# SPDX-License-Identifier: Apache-2.0
"""Writers and readers through httpd, with ETagVersionInvalidate: no reader is told that old data are good."""
import pytest

from harness.bumping import stored
from harness.lease import await_table
from harness.mutations import Mutations, Numbers

NAMES = [f"object{i}" for i in range(12)]
LEASE = 0.5


def site(backend, invalidate="models", store=""):
    places = "".join(f"<Location /{name}>\n  ETagVersionModels {name}\n</Location>\n" for name in NAMES)
    return (f"{store}ProxyPass /bump !\nProxyPass / {backend.url}/\n"
            f"<Location />\n  ETagVersion Version\n  ETagVersionInvalidate {invalidate}\n</Location>\n{places}")


def run(servers, backend, seconds, allowed, **more):
    Numbers(backend, NAMES, 0.02)
    mutations = Mutations(servers, NAMES, allowed)
    mutations.run(seconds, **more)
    return mutations


@pytest.mark.long
@pytest.mark.storm
@pytest.mark.parametrize("freshness", ["strict", "lease 500ms"])
def test_two_hosts(new_httpd, new_backend, new_redis, freshness):
    """What was written through this host is seen at once; through the other one, after the lease at most."""
    redis, backend = new_redis(), new_backend()
    store = stored(redis.url, freshness)
    servers = [new_httpd(site(backend, store=store), "proxy", level="notice etag_version:info") for _ in range(2)]
    lease = 0.0
    if freshness != "strict":
        lease = LEASE
        for server in servers:
            await_table(server)
    run(servers, backend, 60, lambda a, b: 0.0 if a is b else lease).check()
    assert not redis("KEYS", "model_version:%open:*")


@pytest.mark.long
@pytest.mark.storm
def test_one_host_with_the_local_store(new_httpd, new_backend):
    backend = new_backend()
    server = new_httpd(site(backend), "proxy", level="notice etag_version:info")
    run([server], backend, 60, lambda a, b: 0.0).check()


@pytest.mark.long
def test_the_judge_sees_what_is_stale(new_httpd, new_backend):
    """The same without bumps."""
    backend = new_backend()
    server = new_httpd(site(backend, invalidate="none"), "proxy", level="notice etag_version:info")
    assert run([server], backend, 60, lambda a, b: 0.0, until_stale=True).stale
