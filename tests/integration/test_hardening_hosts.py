# SPDX-License-Identifier: Apache-2.0
"""No virtual host's tag is good at another, whatever they share: name, address, configuration."""
import itertools

import pytest

from harness import client
from harness.ports import free_port
from harness.tags import is_version

SITE = """
ScriptSock @ROOT@/run/cgisock
ScriptAlias /c/ "@ROOT@/cgi/"
@HOSTS@
<Location /c/>
  ETagVersion Version
  ETagVersionModels m
</Location>
"""
PAGE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\n%s\\n' $((${#TENANT} + 1)) "$TENANT"
"""
HOST = """
<VirtualHost @ADDRESS@>
ServerName @NAME@
SetEnv TENANT @TENANT@
@OWN@
</VirtualHost>
"""
OWN = {"nothing": ("", ""), "both": ("ETagVersionKeyPrefix v:",) * 2, "one": ("", "ETagVersionKeyPrefix v:"),
       "section": ("<Location /c/>\nETagVersionStrength Weak\n</Location>", "")}


@pytest.fixture
def tenants(new_httpd):
    """A server with the main host and two virtual ones on ports of their own; gives the three ports."""
    def make(names, own, tenants=("one", "two")):
        ports = [free_port(), free_port()]
        hosts = "SetEnv TENANT main\n" + "".join(f"Listen 127.0.0.1:{port}\n" for port in ports)
        for port, name, line, tenant in zip(ports, names, own, tenants):
            hosts += (HOST.replace("@ADDRESS@", f"127.0.0.1:{port}").replace("@NAME@", name)
                      .replace("@TENANT@", tenant).replace("@OWN@", line))
        server = new_httpd(SITE.replace("@HOSTS@", hosts), "cgid alias env", start=False)
        server.write("cgi/t.sh", PAGE, 0o755)
        server.start()
        return [server.port, *ports]
    return make


def get(port, headers=(), **more):
    return client.fetch(port, "GET", "/c/t.sh", headers, **more)


@pytest.mark.parametrize("own", OWN.values(), ids=OWN.keys())
@pytest.mark.parametrize("names", [("site.example", "site.example"), ("a.example", "b.example")],
                         ids=["same", "different"])
def test_hosts_on_addresses(tenants, names, own):
    """Only the address tells the tenants apart: the request names no host, or the same one."""
    ports = tenants(names, own)
    for more in ({"version": "1.0", "host": None}, {"host": "site.example"}, {"host": "SHARED.example:80"}):
        pages = {port: get(port, **more) for port in ports}
        assert [page.text for page in pages.values()] == ["main\n", "one\n", "two\n"]
        assert all(is_version(page.etag) for page in pages.values())
        for (at, page), other in itertools.product(pages.items(), ports):
            again = get(other, [("If-None-Match", page.etag)], **more)
            assert again.status == (304 if at == other else 200), (more, names)


@pytest.mark.parametrize("own", OWN.values(), ids=OWN.keys())
def test_hosts_on_one_address(new_httpd, own):
    """Hosts of one address are told apart by name; an alias is the same host with other URLs."""
    hosts = "".join(HOST.replace("@ADDRESS@", "127.0.0.1:@PORT@").replace("@NAME@", f"{name}.example")
                    .replace("@TENANT@", name).replace("@OWN@", f"ServerAlias {name}2.example\n{line}")
                    for name, line in zip("ab", own))
    server = new_httpd(SITE.replace("@HOSTS@", hosts), "cgid alias env", start=False)
    server.write("cgi/t.sh", PAGE, 0o755)
    server.start()
    hosts = ["a.example", "a2.example", "b.example", "b2.example"]
    tags = {host: get(server.port, host=host).etag for host in hosts}
    assert all(map(is_version, tags.values())) and len(set(tags.values())) == 4
    for host, other in itertools.product(hosts, hosts):
        again = get(server.port, [("If-None-Match", tags[host])], host=other)
        assert again.status == (304 if host == other else 200), (host, other)


@pytest.mark.parametrize("own", ["", "ETagVersionKeyPrefix model_version:"])
def test_machines_of_a_fleet_agree(new_httpd, new_backend, new_redis, own):
    """Where only one virtual host has a name, the ports and addresses it has on each machine do not matter."""
    redis, backend = new_redis(), new_backend()
    conf = f"""
        ETagVersionStore {redis.url}
        ETagVersionFreshness strict
        ProxyPass /c/ {backend.url}/c/
        """ + SITE.split("@HOSTS@", 1)[1]
    ports = [free_port() for _ in range(2)]
    for port in ports:
        host = HOST.replace("@ADDRESS@", f"127.0.0.1:{port}").replace("SetEnv TENANT @TENANT@", "")
        host = host.replace("@NAME@", "a.example").replace("@OWN@", own)
        new_httpd(f"Listen 127.0.0.1:{port}\n{host}\n{conf}", "proxy")
    pages = [get(port, host="a.example") for port in ports]
    assert is_version(pages[0].etag) and pages[0].etag == pages[1].etag
    again = get(ports[1], [("If-None-Match", pages[0].etag)], host="a.example")
    assert again.status == 304
