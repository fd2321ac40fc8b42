# SPDX-License-Identifier: Apache-2.0
"""Fields that httpd changes on the way to the backend: what tells clients apart there is in the tag here."""
import itertools
import socket

import pytest

from harness import client
from harness.backend import Reply
from harness.tags import is_version
from harness.wait import PATIENCE

SITE = """
@TOP@
ProxyPass /h/ @BACKEND@/h/
<Location /h/>
  ETagVersion Version
  ETagVersionModels m
  @MORE@
</Location>
"""
REWRITES = {
    "late": 'RequestHeader set X-Tenant "expr=%{HTTP_HOST}"\nRequestHeader set Host app.internal',
    "unset": 'RequestHeader set X-Tenant "expr=%{HTTP_HOST}"\nRequestHeader unset Host',
    "edit": 'RequestHeader set X-Tenant "expr=%{HTTP_HOST}"\nRequestHeader edit Host ".*" app.internal',
    "early": 'SetEnvIf Host "^(.*)$" TENANT=$1\nRequestHeader set Host app.internal early\n'
             'RequestHeader set X-Tenant "%{TENANT}e"',
    "same": 'RequestHeader set X-Tenant "expr=%{HTTP_HOST}"',
}
HOSTS = ["a.example", "b.example", "a.example.org", "app.internal", "a", "[::1]", "127.0.0.1"]


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES.keys())
def test_tenants_whose_host_is_replaced(new_httpd, new_backend, rewrite):
    """One backend for all tenants, told by a field of its own which of them is asked for."""
    backend = new_backend()
    backend.default = lambda request: Reply(body=f"tenant {request.get('X-Tenant')}\n")
    early = "early" in rewrite
    conf = SITE.replace("@TOP@", rewrite if early else "").replace("@MORE@", "" if early else rewrite)
    server = new_httpd(conf.replace("@BACKEND@", backend.url), "proxy headers setenvif")
    pages = {host: server.get("/h/x", host=host) for host in HOSTS}
    for host, page in pages.items():
        assert is_version(page.etag), host
        assert early or page.text == f"tenant {host}\n"
    for host, other in itertools.product(HOSTS, HOSTS):
        answer = server.get("/h/x", tag=pages[host].etag, host=other)
        assert answer.status == (304 if host == other else 200), (host, other)
    for host, page in pages.items():
        assert server.get("/h/x", tag=page.etag, host=host.upper()).status == 304


class From(client.Connection):
    """A connection from another address of the loopback interface."""

    def __init__(self, port, source):
        self._sock = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self._in = b""


ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


def from_each(server, headers=(), tag=None):
    pages = {}
    for address in ADDRESSES:
        with From(server.port, address) as connection:
            condition = [("If-None-Match", tag)] if tag else []
            pages[address] = connection.request("GET", "/h/x", [*headers, *condition])
    return pages


@pytest.mark.parametrize("sent", [[], [("X-Forwarded-For", "10.0.0.1")]], ids=["direct", "behind another"])
@pytest.mark.parametrize("more, vary", [
    ("ETagVersionVary X-Forwarded-For", "X-Forwarded-For"),
    ("ETagVersionVary x-forwarded-for", "X-Forwarded-For"),
    ("ETagVersionVary X-Forwarded-For", None),
    ("ETagVersionIdentity header:X-Forwarded-For", "X-Forwarded-For"),
])
def test_address_that_the_proxy_adds(new_httpd, new_backend, sent, more, vary):
    """mod_proxy writes the client's address into the field after the tag was made."""
    backend = new_backend()
    backend.default = lambda request: Reply(body=f"for {request.get('X-Forwarded-For')}\n",
                                            headers=[("Vary", vary)] if vary else [])
    server = new_httpd(SITE.replace("@TOP@", "").replace("@MORE@", more).replace("@BACKEND@", backend.url), "proxy")
    pages = from_each(server, sent)
    assert len({page.body for page in pages.values()}) == len(ADDRESSES)
    for address, page in pages.items():
        if not is_version(page.etag):
            continue  # no tag is as good
        for other, again in from_each(server, sent, page.etag).items():
            assert again.status == (304 if other == address else 200), (address, other)


def test_address_does_not_matter_elsewhere(new_httpd, new_backend):
    """Whoever does not name the field shares tags between addresses."""
    conf = SITE.replace("@TOP@", "").replace("@MORE@", "ETagVersionVary X-Kind")
    server = new_httpd(conf.replace("@BACKEND@", new_backend().url), "proxy")
    assert len({page.etag for page in from_each(server).values()}) == 1


@pytest.mark.parametrize("conf, modules", [
    ("<Directory \"@ROOT@/htdocs\">\nFileETag None\n</Directory>", ""),
    ("<Directory \"@ROOT@/htdocs\">\nOptions +Includes\nAddOutputFilter INCLUDES .html\n</Directory>", "include"),
], ids=["FileETag", "include"])
def test_no_tag_is_claimed_where_httpd_sends_none(new_httpd, conf, modules):
    """httpd strips every ETag of such a response; the log must not say that there was one."""
    server = new_httpd(conf + "\n<Location />\nETagVersion Version\nETagVersionModels m\n"
                       "ETagVersionUpstreamETag Replace\n</Location>", modules, start=False)
    server.write("htdocs/x.html", "<p>x</p>\n")
    server.start()
    answer = server.get("/x.html")
    assert answer.status == 200
    assert bool(answer.etag) == (server.why(answer) in ("fresh", "changed")), server.why(answer)
