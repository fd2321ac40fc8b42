# SPDX-License-Identifier: Apache-2.0
"""One server for tests of what content mode holds back."""
from .origin import script_of
from .reader import is_content

LIMIT = 256 * 1024
# No timeout of httpd may end what hangs.
SITE = """
Timeout 300
ETagVersionSecret the-same-on-all-hosts
ETagVersionBufferLimit 256K 4M
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
ScriptAlias /trusted/ "@ROOT@/cgi/"
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
ProxyPass /socket/ @ORIGIN@/socket/ upgrade=websocket
<Location />
  ETagVersion Content
</Location>
<Location /o/headers>
  ETagVersion Headers
  ETagVersionHeaders X-Revision
</Location>
<Location /o/version>
  ETagVersion Version
  ETagVersionModels m
</Location>
<Location /o/on>
  ETagVersion On
  ETagVersionModels m
</Location>
<Location /o/nothing>
  ETagVersion Off
</Location>
<Location /static>
  ETagVersionUpstreamETag Replace
</Location>
<Location /trusted/>
  SetEnv ap_trust_cgilike_cl 1
</Location>
"""
ONE_CHILD = "StartServers 1\nServerLimit 1\nThreadsPerChild 32\nMaxRequestWorkers 32\nMinSpareThreads 1\n" \
            "MaxSpareThreads 32\n"


MODULES = "proxy alias env cgid proxy_wstunnel"


def conf_for(origin, limit="256K 4M"):
    return SITE.replace("@ORIGIN@", origin.url).replace("256K 4M", limit)


def build(make, origin):
    """A running server; `origin` is an attribute of it."""
    server = make(conf_for(origin), MODULES, start=False)
    server.origin = origin
    for name, text in (("less", "Content-Length: 100\\r\\n\\r\\nonly this"),
                       ("more", "Content-Length: 5\\r\\n\\r\\nmuch more"),
                       ("empty", "Content-Length: 5\\r\\n\\r\\n"), ("right", "Content-Length: 5\\r\\n\\r\\nright")):
        server.write(f"cgi/{name}.sh", f"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n{text}'\n", 0o755)
    server.write("htdocs/static/at.txt", bytes(LIMIT))
    server.write("htdocs/static/above.txt", bytes(LIMIT + 1))
    origin.on("/o/next", script_of("next\n"))
    return server.start()


def healthy(server, target="/o/next"):
    """A small response has its tag: the memory for it is there."""
    answer = server.get(target)
    assert answer.status == 200 and is_content(answer.etag), (server.why(answer), answer)
