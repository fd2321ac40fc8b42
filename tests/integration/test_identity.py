# SPDX-License-Identifier: Apache-2.0
"""Whoever is told apart by the application is told apart by the tags, or gets none."""
import base64
import hashlib
import itertools

import pytest

from harness import client
from harness.certs import Authority
from harness.ports import free_port
from harness.table import Case, build, each
from harness.tags import is_version


def basic(user):
    return ("Authorization", "Basic " + base64.b64encode(f"{user}:pw".encode()).decode())


COOKIE, OTHER_COOKIE = ("Cookie", "sid=1"), ("Cookie", "sid=2")
BEARER, OTHER_BEARER = ("Authorization", "Bearer 1"), ("Authorization", "Bearer 2")

# identity, request headers, whether a version tag may come
REQUESTS = [
    (None, [], True),
    (None, [COOKIE], False),
    (None, [BEARER], False),
    (None, [("Cookie", "")], None),
    ("none", [], True),
    ("none", [COOKIE, BEARER], True),
    ("cookie:sid", [], True),
    ("cookie:sid", [COOKIE], True),
    ("cookie:sid", [("Cookie", "csrf=7")], True),
    ("cookie:sid", [BEARER], False),
    ("cookie:sid", [COOKIE, BEARER], False),
    ("header:Cookie", [COOKIE], True),
    ("header:Cookie", [BEARER], False),
    ("header:Authorization", [BEARER], True),
    ("header:Authorization", [COOKIE], False),
    ("header:authorization", [BEARER], True),
    ("header:X-Team", [("X-Team", "a")], True),
    ("header:X-Team", [COOKIE], False),
    ("header:X-Team", [BEARER], False),
    ("user", [], True),
    ("user", [BEARER], False),
    ("user", [COOKIE], False),
    ("user cookie:sid", [COOKIE], True),
    ("user cookie:sid", [COOKIE, BEARER], False),
    ("cookie:sid header:Authorization", [COOKIE, BEARER], True),
]
REQUEST_CASES = [
    Case(f"rq{n}", f"ETagVersionIdentity {identity}" if identity else "", sent=sent, want=want)
    for n, (identity, sent, want) in enumerate(REQUESTS)]

# identity, what the backend answers, whether a version tag may come
RESPONSES = [
    (None, [("Set-Cookie", "a=b")], False),
    ("cookie:sid", [("Set-Cookie", "a=b")], False),
    ("user", [("Set-Cookie", "a=b")], False),
    ("none", [("Set-Cookie", "a=b")], True),
    (None, [("Cache-Control", "private")], False),
    (None, [("Cache-Control", "max-age=3, PRIVATE")], False),
    (None, [("Cache-Control", 'ext="private"')], True),
    ("cookie:sid", [("Cache-Control", "private")], True),
    ("none", [("Cache-Control", "private")], True),
    (None, [("Cache-Control", "no-store")], False),
    ("cookie:sid", [("Cache-Control", "no-store")], False),
    ("none", [("Cache-Control", "no-store")], False),
    ("none", [("Cache-Control", "max-age=5"), ("Cache-Control", "No-Store")], False),
    ("none", [("Vary", "*")], False),
    ("none", [("Vary", "Accept-Encoding, *")], False),
    (None, [("Vary", "Cookie")], False),
    (None, [("Vary", "Authorization")], False),
    ("cookie:sid", [("Vary", "cookie")], True),
    ("cookie:sid", [("Vary", "Cookie, Authorization")], False),
    ("header:Authorization", [("Vary", "Authorization")], True),
    ("header:Authorization", [("Vary", "Cookie")], False),
    ("header:X-Team", [("Vary", "Cookie")], False),
    ("header:X-Team", [("Vary", "X-Team")], True),
    ("none", [("Vary", "Cookie, Authorization")], True),
    (None, [("Vary", "Accept-Encoding")], True),
]
RESPONSE_CASES = [
    Case(f"rp{n}", f"ETagVersionIdentity {identity}" if identity else "", headers, want=want)
    for n, (identity, headers, want) in enumerate(RESPONSES)]

VARY_CASES = [
    Case("vary_backend", headers=[("Vary", "X-Unnamed")], want=False),
    Case("vary_part", "ETagVersionVary X-Kind", [("Vary", "X-Kind, X-Unnamed")], want=False),
    Case("vary_header_set", "Header set Vary X-Unnamed", want=False),
    Case("vary_header_always", "Header always set Vary X-Unnamed", want=False),
    Case("vary_merged", "Header merge Vary X-Unnamed", want=False),
    Case("vary_named", "ETagVersionVary x-unnamed", [("Vary", "X-Unnamed")], want=True),
    Case("vary_unset", "Header unset Vary", [("Vary", "X-Unnamed")], want=True),
    Case("vary_and_none", "ETagVersionIdentity none", [("Vary", "X-Unnamed")], want=False),
]
HEADERS_SET = [
    Case("set_cookie_by_httpd", 'Header set Set-Cookie "a=b"', want=False),
    Case("set_cookie_always", 'Header always set Set-Cookie "a=b"', want=False),
    Case("no_store_by_httpd", 'ETagVersionIdentity none\nHeader set Cache-Control no-store', want=False),
    Case("private_by_httpd", "Header set Cache-Control private", want=False),
    Case("cookie_unset", "Header unset Set-Cookie", [("Set-Cookie", "a=b")], want=True),
    Case("policy_no_store", "ETagVersionIdentity none\nETagVersionCacheControl no-store", want=False),
]
MORE = [
    Case("shared", "ETagVersionIdentity none"),
    Case("by_cookie", "ETagVersionIdentity cookie:sid"),
    Case("by_header", "ETagVersionIdentity header:Cookie"),
    Case("by_auth", "ETagVersionIdentity header:Authorization"),
    Case("by_two", "ETagVersionIdentity header:X-A header:X-B"),
    Case("by_vary", "ETagVersionVary X-A X-B"),
]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return build(shared_httpd, shared_backend(),
                 REQUEST_CASES + RESPONSE_CASES + VARY_CASES + HEADERS_SET + MORE, "headers")


def check(server, case):
    """Tag or none as wanted, and never an early 304 without one."""
    full = server.get(case.path, case.sent)
    if case.want is not None:
        assert is_version(full.etag) == case.want, full
    calls = server.backend.calls(case.path)
    again = server.get(case.path, case.sent, tag=full.etag or 'W/"v0123456789012345678901"')
    if is_version(full.etag):
        assert again.status == 304 and server.backend.calls(case.path) == calls
    else:
        assert again.status == 200 and server.backend.calls(case.path) == calls + 1
    return full


@pytest.mark.parametrize("case, identity", [(c, r[0]) for c, r in zip(REQUEST_CASES, REQUESTS)],
                         ids=[f"{r[0]}-{'+'.join(k for k, _ in r[1])}" for r in REQUESTS])
def test_uncovered_credentials_get_no_tag(server, case, identity):
    full = check(server, case)
    if case.want is False:
        assert server.why(full) == "identity"
        clean = server.get(case.path)
        assert is_version(clean.etag)
        assert server.get(case.path, case.sent, tag=clean.etag).status == 200
    if identity and identity != "none":
        assert not is_version(full.etag) or "private" in full.members("Cache-Control")


@pytest.mark.parametrize("case", RESPONSE_CASES, ids=[f"{r[0]}-{r[1][0][0]}-{r[1][0][1]}" for r in RESPONSES])
def test_responses_that_are_for_one_user(server, case):
    server.log.expect("no version tag: the response varies on", optional=True)
    check(server, case)


@pytest.mark.parametrize("case", **each(HEADERS_SET))
def test_judged_after_mod_headers(server, case):
    check(server, case)


@pytest.mark.parametrize("case", **each(VARY_CASES))
def test_vary_must_be_covered(server, case):
    server.log.expect("(?i)x-unnamed", optional=True)
    full = check(server, case)
    if case.want is False:
        assert server.why(full) == "vary"


def test_uncovered_vary_is_explained_in_the_log(new_httpd, new_backend):
    backend = new_backend()
    case = Case("explained", headers=[("Vary", "X-Secretary")])
    server = build(new_httpd, backend, [case])
    server.log.expect("ETagVersionVary.*X-Secretary")
    server.get(case.path)


def tags(server, path, requests):
    out = []
    with server.connect() as connection:
        for headers in requests:
            tag = connection.request("GET", path, headers).etag
            assert is_version(tag), headers
            out.append(tag)
    return out


def expect_all_different(server, path, requests):
    """No two requests share a tag, and no one's tag is good for another."""
    found = tags(server, path, requests)
    assert len(set(found)) == len(found)
    with server.connect() as connection:
        for (a, tag), (b, _) in itertools.permutations(list(zip(requests, found)), 2):
            assert connection.request("GET", path, [*b, ("If-None-Match", tag)]).status == 200, (a, b)
        for headers, tag in zip(requests, found):
            assert connection.request("GET", path, [*headers, ("If-None-Match", tag)]).status == 304


def test_same_for_everyone(server):
    found = tags(server, "/t/shared", [[], [COOKIE], [OTHER_COOKIE], [BEARER, COOKIE]])
    assert len(set(found)) == 1


def test_cookies_tell_users_apart(server):
    expect_all_different(server, "/t/by_cookie", [
        [], [COOKIE], [OTHER_COOKIE], [("Cookie", "sid=")], [("Cookie", "sid=1; sid=2")],
        [("Cookie", "sid=2; sid=1")], [("Cookie", "sid=11")], [("Cookie", 'sid="1"')],
        [("Cookie", "sid=%31")]])


def test_other_cookies_do_not(server):
    found = tags(server, "/t/by_cookie", [[COOKIE], [("Cookie", "a=b; sid=1")], [("Cookie", "sid=1;c=d")],
                                          [("Cookie", "xsid=2; sid=1; sidx=3")]])
    assert len(set(found)) == 1


def test_whole_cookie_header(server):
    expect_all_different(server, "/t/by_header", [
        [], [COOKIE], [("Cookie", "a=b; sid=1")], [("Cookie", "sid=1; a=b")], [OTHER_COOKIE]])


def test_authorization_header(server):
    expect_all_different(server, "/t/by_auth", [[], [BEARER], [OTHER_BEARER], [("Authorization", "Basic 1")]])


def test_values_do_not_flow_into_each_other(server):
    for path in ("/t/by_two", "/t/by_vary"):
        expect_all_different(server, path, [
            [("X-A", "1"), ("X-B", "2")], [("X-A", "2"), ("X-B", "1")], [("X-A", "12")],
            [("X-B", "12")], [("X-A", "1"), ("X-B", "22")], [("X-A", "12"), ("X-B", "2")], []])


def test_names_join_vary(server):
    assert server.get("/t/by_cookie").members("Vary") == ["cookie"]
    assert server.get("/t/by_header").members("Vary") == ["cookie"]
    assert server.get("/t/by_auth").members("Vary") == ["authorization"]
    assert server.get("/t/by_two").members("Vary") == ["x-a", "x-b"]
    assert server.get("/t/shared").members("Vary") == []


BASIC = """
ProxyPass /b/ @BACKEND@/b/
<Location /b/>
  ETagVersion Version
  ETagVersionModels m
  AuthType Basic
  AuthName it
  AuthUserFile "@ROOT@/passwords"
  Require valid-user
</Location>
<Location /b/user>
  ETagVersionIdentity user
</Location>
<Location /b/user_cookie>
  ETagVersionIdentity user cookie:sid
</Location>
<Location /b/header>
  ETagVersionIdentity header:Authorization
</Location>
<Location /b/none>
  ETagVersionIdentity none
</Location>
"""


def test_basic_auth_users(new_httpd, new_backend):
    server = new_httpd(BASIC.replace("@BACKEND@", new_backend().url), "proxy basic", start=False)
    server.write("passwords", "".join(f"{u}:{_sha('pw')}\n" for u in ("al", "bo")))
    server.start()
    al, bo = [basic("al")], [basic("bo")]
    expect_all_different(server, "/b/user", [al, bo])
    expect_all_different(server, "/b/user_cookie", [al, bo, al + [COOKIE], bo + [COOKIE]])
    assert len(set(tags(server, "/b/none", [al, bo]))) == 1
    tag = server.get("/b/user", al).etag
    assert server.get("/b/user", tag=tag).status == 401
    for headers in (al, al + [COOKIE]):
        answer = server.get("/b/unset", headers)
        assert answer.etag is None and server.why(answer) == "identity"
    assert server.get("/b/user", al + [COOKIE]).etag is None
    # r->user is covered by `user` alone.
    assert server.get("/b/header", al).etag is None


def _sha(password):
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


TLS = """
SSLSessionCache shmcb:@ROOT@/run/tls(65536)
ProxyPass /c/ @BACKEND@/c/
Listen 127.0.0.1:@TLSPORT@
<VirtualHost *:@TLSPORT@>
@TLS@
</VirtualHost>
<Location /c/>
  ETagVersion Version
  ETagVersionModels m
</Location>
<Location /c/user>
  ETagVersionIdentity user
</Location>
<Location /c/cookie>
  ETagVersionIdentity cookie:sid
</Location>
<Location /c/none>
  ETagVersionIdentity none
</Location>
"""


@pytest.fixture
def authority():
    made = Authority()
    yield made
    made.close()


def test_client_certificates(new_httpd, new_backend, authority):
    port = free_port()
    authority.make("al")
    authority.make("bo")
    conf = (TLS.replace("@BACKEND@", new_backend().url).replace("@TLSPORT@", str(port))
            .replace("@TLS@", authority.conf()))
    new_httpd(conf, "proxy tls")

    def get(path, who, tag=None):
        return client.fetch(port, "GET", path, [("If-None-Match", tag)] if tag else [],
                            tls=authority.context(who))

    nobody = get("/c/user", None)
    al, bo = get("/c/user", "al"), get("/c/user", "bo")
    found = [answer.etag for answer in (nobody, al, bo)]
    assert all(is_version(tag) for tag in found) and len(set(found)) == 3
    assert get("/c/user", "al", al.etag).status == 304
    assert get("/c/user", "bo", al.etag).status == 200
    assert get("/c/user", None, al.etag).status == 200
    assert is_version(get("/c/unset", None).etag)
    for path in ("/c/unset", "/c/cookie"):
        assert get(path, "al").etag is None, path
        assert get(path, "al", get(path, None).etag).status == 200
    assert get("/c/none", "al").etag == get("/c/none", "bo").etag


def test_http2_splits_cookies(new_httpd, new_backend):
    """HTTP/2 may send one Cookie header as several; it is the same user."""
    case = Case("crumbs", "ETagVersionIdentity cookie:sid")
    server = build(new_httpd, new_backend(), [case], "h2", "Protocols h2c http/1.1")
    whole = server.get(case.path, [("Cookie", "a=b; sid=1")]).etag
    crumbs = server.get(case.path, [("Cookie", "a=b"), ("Cookie", "sid=1")], proto="h2")
    assert crumbs.etag == whole
    other = server.get(case.path, [("Cookie", "a=b"), ("Cookie", "sid=2")], proto="h2")
    assert is_version(other.etag) and other.etag != whole
