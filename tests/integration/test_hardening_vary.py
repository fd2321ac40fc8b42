# SPDX-License-Identifier: Apache-2.0
"""What httpd itself looked at before the handler is part of what a tag stands for, whatever the handler does."""
import itertools

import pytest

from harness.backend import Reply
from harness.tags import check_pair, is_version

# Each rule turns X-Mode on for the backend, by a request header that only httpd's configuration reads.
RULES = {
    "if": ("X-Beta", "1", """
        <If "%{HTTP:X-Beta} == '1'">
          RequestHeader set X-Mode beta
        </If>"""),
    "if-req": ("X-Beta", "1", """
        <If "req('X-Beta') =~ /^[01]$/">
          RequestHeader set X-Mode beta
        </If>"""),
    "if-else": ("X-Beta", "1", """
        <If "%{HTTP:X-Beta} != '1'">
          RequestHeader unset X-Mode
        </If>
        <Else>
          RequestHeader set X-Mode beta
        </Else>"""),
    "if-cookieless-language": ("Accept-Language", "de", """
        <If "%{HTTP:Accept-Language} =~ /^de/">
          RequestHeader set X-Mode beta
        </If>"""),
    "rewrite": ("User-Agent", "Mobile", """
        RewriteEngine On
        RewriteCond %{HTTP_USER_AGENT} Mobile
        RewriteRule ^/v/ - [E=MODE:1]
        RequestHeader set X-Mode beta env=MODE"""),
    "rewrite-header": ("X-Beta", "1", """
        RewriteEngine On
        RewriteCond %{HTTP:X-Beta} =1
        RewriteRule ^/v/ - [E=MODE:1]
        RequestHeader set X-Mode beta env=MODE"""),
}
SCOPE = """
<Location /v/>
  ETagVersion Version
  ETagVersionModels m
  @MORE@
</Location>
"""
CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "${HTTP_X_MODE:-plain}"
"""


@pytest.fixture
def serve(new_httpd, new_backend, new_fastcgi):
    """A server whose application is behind a handler that replaces the response's headers, or keeps them."""
    def make(kind, rule, more=""):
        name, value, lines = RULES[rule]
        conf = lines + SCOPE.replace("@MORE@", more)
        if kind == "proxy":
            backend = new_backend()
            backend.default = lambda request: Reply(body=f"{request.get('X-Mode') or 'plain'}\n")
            conf += f"ProxyPass /v/ {backend.url}/v/"
        elif kind == "fcgi":
            app = new_fastcgi(lambda params, _: f"Content-Type: text/plain\r\n\r\n"
                                                f"{params.get('HTTP_X_MODE', 'plain')}\n")
            conf += f"ProxyPass /v/ fcgi://127.0.0.1:{app.port}/"
        else:
            conf += 'ScriptSock @ROOT@/run/cgisock\nScriptAlias /v/ "@ROOT@/cgi/"'
        server = new_httpd(conf, f"{'proxy' if kind == 'proxy' else kind} headers rewrite alias", start=False)
        server.write("cgi/x", CGI, 0o755)
        server.log.expect("ETV0330.*varies on", optional=True)
        return server.start(), (name, value)
    return make


def matrix(test):
    for name, values in (("rule", list(RULES)), ("kind", ["proxy", "fcgi", "cgid"])):
        test = pytest.mark.parametrize(name, values)(test)
    return test


@matrix
def test_uncovered(serve, kind, rule):
    """Nobody said that the header counts: no tag, and the log says what to add."""
    server, header = serve(kind, rule)
    beta = server.get("/v/x", [header])
    assert beta.text == "beta\n"
    assert not is_version(beta.etag) and server.why(beta) == "vary"
    assert server.log.lines(f"ETV0330.*varies on {header[0]}")
    plain = server.get("/v/x", tag=beta.etag or '"x"')
    assert plain.status == 200 and plain.text == "plain\n"


@matrix
def test_covered(serve, kind, rule):
    name = RULES[rule][0]
    server, header = serve(kind, rule, f"ETagVersionVary {name}\nETagVersionCacheControl max-age=60")
    requests = [[], [header], [(name, header[1] + "0")], [(name, "other")]]
    pages = [server.get("/v/x", headers) for headers in requests]
    assert [page.text for page in pages[:2]] == ["plain\n", "beta\n"]
    assert len({page.etag for page in pages}) == len(requests)
    for headers, page in zip(requests, pages):
        assert page.members("Vary") == [name.lower()]
        check_pair(page, server.get("/v/x", headers, tag=page.etag))
    for (headers, _), (_, page) in itertools.permutations(zip(requests, pages), 2):
        assert server.get("/v/x", headers, tag=page.etag).status == 200


@pytest.mark.parametrize("kind", ["proxy", "fcgi", "cgid"])
@pytest.mark.parametrize("rule", ["rewrite", "rewrite-header"])
def test_tag_of_a_request_that_did_not_match(serve, kind, rule):
    """mod_rewrite speaks of a header only where its condition was met; elsewhere there is a tag."""
    server, header = serve(kind, rule)
    plain = server.get("/v/x")
    assert plain.text == "plain\n"
    beta = server.get("/v/x", [header], tag=plain.etag or '"x"')
    assert beta.status == 200 and beta.text == "beta\n"


def test_covered_by_identity(new_httpd, new_backend):
    """Cookie is covered by naming the cookie, here as anywhere."""
    backend = new_backend()
    conf = f"""
        ProxyPass /v/ {backend.url}/v/
        <If "%{{HTTP:Cookie}} =~ /beta/">
          RequestHeader set X-Mode beta
        </If>""" + SCOPE.replace("@MORE@", "") + """
        <Location /v/named>
          ETagVersionIdentity header:Cookie
        </Location>"""
    server = new_httpd(conf, "proxy headers")
    server.log.expect("ETV0330.*Cookie", optional=True)
    assert not is_version(server.get("/v/x").etag)
    full = server.get("/v/named", [("Cookie", "beta=1")])
    assert is_version(full.etag) and full.members("Vary") == ["cookie"]
    assert server.get("/v/named", [("Cookie", "beta=1")], tag=full.etag).status == 304
    assert server.get("/v/named", [("Cookie", "beta=0")], tag=full.etag).status == 200


def test_united_with_the_vary_of_the_backend(serve, new_httpd, new_backend):
    """Both sides' names stand in one line, each once, and both must be covered."""
    backend = new_backend()
    backend.on("/v/x", Reply(headers=[("Vary", "x-beta, X-Kind"), ("Vary", "Accept-Encoding")]))
    for more, tagged in (("ETagVersionVary X-Beta", False), ("ETagVersionVary X-Kind", False),
                         ("ETagVersionVary X-Beta X-Kind", True)):
        server = new_httpd(RULES["if"][2] + SCOPE.replace("@MORE@", more) + f"ProxyPass /v/ {backend.url}/v/",
                           "proxy headers")
        server.log.expect("ETV0330", optional=True)
        answer = server.get("/v/x")
        assert answer.members("Vary") == ["accept-encoding", "x-beta", "x-kind"]
        assert is_version(answer.etag) == tagged
        if tagged:
            check_pair(answer, server.get("/v/x", tag=answer.etag))
