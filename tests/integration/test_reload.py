# SPDX-License-Identifier: Apache-2.0
"""A graceful restart may load this module to another address; and coded responses whose headers were the backend's."""
import pytest

from harness.backend import Reply
from harness.tags import is_version, letter

CONF = """
<Location />
  ETagVersion Version
  ETagVersionModels m
  ETagVersionUpstreamETag Replace
</Location>
"""
OTHERS = ["alias", "env", "headers", "expires", "rewrite", "substitute", "proxy", "proxy_http", "cache"]


@pytest.mark.parametrize("before, after", [([], OTHERS), (OTHERS, []), (OTHERS[:3], OTHERS[3:]), (OTHERS, OTHERS)],
                         ids=["added", "removed", "exchanged", "same"])
def test_versions_outlive_other_modules(new_httpd, before, after):
    """The table is found again when other modules come or go in front of this one."""
    server = new_httpd(CONF, "", start=False)
    own = list(server.modules)
    server.write("htdocs/x.txt", "x\n")
    server.modules = before + own
    tag = server.start().get("/x.txt").etag
    assert is_version(tag)
    server.modules = after + own
    server._write_conf()
    server.graceful()
    for _ in range(5):
        assert server.get("/x.txt", tag=tag).status == 304
    server.bump("m")
    assert server.get("/x.txt", tag=tag).status == 200


def test_coded_response_of_a_backend(new_httpd, new_backend):
    """Nothing but this module touches the headers; an early 304 for a `u` tag has those of its 200."""
    backend = new_backend()
    backend.on("/p/u", Reply(headers=[("Content-Encoding", "gzip"), ("Cache-Control", "max-age=5"),
                                      ("Vary", "Host, Accept-Encoding")], body="packed"))
    backend.on("/p/v", Reply(headers=[("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")], body="packed"))
    server = new_httpd(f"{CONF}\nProxyPass /p/ {backend.url}/p/\n", "proxy")
    accept = [("Accept-Encoding", "gzip")]
    for path, expected, lifetime in (("/p/u", "u", ["max-age=5"]), ("/p/v", "v", [])):
        full = server.get(path, accept)
        assert letter(full.etag) == expected and full.etag.endswith('-gzip"')
        again = server.get(path, accept, tag=full.etag)
        assert again.status == 304 and again.etag == full.etag
        assert again.all("Vary") == full.all("Vary") != []
        assert again.all("Cache-Control") == full.all("Cache-Control") == lifetime
        assert not again.all("Expires")
