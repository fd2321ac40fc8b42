# SPDX-License-Identifier: Apache-2.0
"""A client that is answered in the middle of a body: mod_cache stores what everybody else must get."""
import pytest

from harness.backend import Reply
from harness.codings import decode
from harness.wait import until

SITE = """
CacheEnable disk /
CacheRoot "@ROOT@/cache"
CacheHeader On
ProxyPass /t/ @BACKEND@/t/
@FILTER@
<Location /t/>
  ETagVersion Content
  ETagVersionHead AsGet
  Substitute s/secret/XXXXXX/n
</Location>
"""
FILTERS = ["AddOutputFilterByType DEFLATE text/plain", "AddOutputFilterByType BROTLI_COMPRESS text/plain",
           "AddOutputFilterByType SUBSTITUTE text/plain", "SetOutputFilter DEFLATE",
           "FilterDeclare F\nFilterProvider F SUBSTITUTE \"%{CONTENT_TYPE} =~ m#^text/#\"\nFilterChain F",
           "FilterDeclare F\nFilterProvider F DEFLATE \"%{CONTENT_TYPE} =~ m#^text/#\"\nFilterChain F"]
BODY = "".join(f"line {number} with a secret\n" for number in range(12_000))
MODIFIED = "Thu, 10 Jan 2008 21:20:10 GMT"


@pytest.fixture(params=FILTERS, ids=lambda text: text.split()[0] + "-" + text.split()[-3 if "Type" in text else 1])
def server(request, new_httpd, new_backend):
    backend = new_backend()
    conf = SITE.replace("@FILTER@", request.param).replace("@BACKEND@", backend.url)
    server = new_httpd(conf, "proxy filter deflate brotli substitute cache_disk", start=False)
    (server.root / "cache").mkdir()
    (server.root / "cache").chmod(0o777)
    server.backend, server.hides = backend, "SUBSTITUTE" in request.param
    return server.start()


@pytest.mark.parametrize("method, field, value, status", [
    ("GET", "If-None-Match", '"theirs"', 304), ("GET", "If-None-Match", "*", 304), ("GET", "If-Modified-Since", MODIFIED, 304),
    ("GET", "If-Match", '"other"', 412), ("HEAD", "If-None-Match", '"theirs"', 304), ("HEAD", "Accept", "*/*", 200)])
def test_what_is_stored_is_whole(server, method, field, value, status):
    accept = ("Accept-Encoding", "gzip, br")
    server.backend.on("/t/page", Reply(200, {"ETag": '"theirs"', "Last-Modified": MODIFIED, "Cache-Control": "max-age=60"},
                                       BODY))
    first = server.request(method, "/t/page", [accept, (field, value)])
    assert first.status == status
    for _ in range(2):
        answer = server.get("/t/page", [accept])
        assert answer.status == 200
        assert decode(answer) == (BODY.replace("secret", "XXXXXX") if server.hides else BODY)
    log = server.root / "logs/access.log"
    until(lambda: log.read_text().count("\n") == 3, "three requests in the log")
    assert sum(f"\t{status}\t" in line for line in log.read_text().splitlines()) == (3 if status == 200 else 1)
