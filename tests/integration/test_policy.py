# SPDX-License-Identifier: Apache-2.0
"""Cache-Control and Vary: merged, one line each, whatever table the backend's lines came in."""
import pytest

from harness.backend import Reply
from harness.table import Case, build, each
from harness.tags import check_pair, is_version, letter


def directives(answer):
    """Cache-Control as a set of directives, quoted commas kept; a failure when on several lines."""
    value, out, part, quoted = answer.one("Cache-Control") or "", [], "", False
    for char in value + ",":
        if char == "," and not quoted:
            out.append(part.strip())
            part = ""
            continue
        quoted ^= char == '"'
        part += char
    found = [d for d in out if d]
    assert len(found) == len({d.split("=")[0].lower() for d in found}), f"twice in {value!r}"
    return {d if '"' in d else d.lower() for d in found}


def cc(name, policy, own, want, **more):
    lines = own if isinstance(own, list) else [own] if own else []
    return Case(name, f"ETagVersionCacheControl {policy}" if policy else "",
                [("Cache-Control", line) for line in lines], want=set(want), **more)


MERGE = [
    cc("alone", "max-age=60", None, {"max-age=60"}),
    cc("quoted", '"public, max-age=600"', None, {"public", "max-age=600"}),
    cc("unquoted_list", "public, max-age=600", None, {"public", "max-age=600"}),
    cc("spaces", "public max-age=600", None, {"public", "max-age=600"}),
    cc("word_merge", "merge max-age=60", None, {"max-age=60"}),
    cc("word_merge_quoted", 'merge "max-age=60, must-revalidate"', None, {"max-age=60", "must-revalidate"}),
    cc("smaller_own", "max-age=60", "max-age=30", {"max-age=30"}),
    cc("smaller_policy", "max-age=60", "max-age=600", {"max-age=60"}),
    cc("zero", "max-age=60", "max-age=0", {"max-age=0"}),
    cc("no_number", "max-age=60", "max-age=soon", {"max-age=0"}),
    cc("upper_case", "max-age=60", "MAX-AGE=30, Must-Revalidate", {"max-age=30", "must-revalidate"}),
    cc("s_maxage", "s-maxage=60, max-age=10", "s-maxage=30", {"s-maxage=30", "max-age=10"}),
    cc("other_lifetimes", "stale-while-revalidate=60, stale-if-error=60",
       "stale-while-revalidate=30, stale-if-error=90", {"stale-while-revalidate=30", "stale-if-error=60"}),
    cc("no_cache_stays", "max-age=60", "no-cache", {"no-cache", "max-age=60"}),
    cc("unknown_kept", "max-age=60", "foo, bar=1", {"foo", "bar=1", "max-age=60"}),
    cc("quoted_string_kept", "max-age=60", 'ext="a, max-age=5"', {'ext="a, max-age=5"', "max-age=60"}),
    cc("two_lines", "max-age=60", ["max-age=30", "no-transform"], {"max-age=30", "no-transform"}),
    cc("duplicates", "max-age=60", "max-age=50, max-age=40", {"max-age=40"}),
    cc("immutable", "max-age=31536000, immutable", "max-age=31536000", {"max-age=31536000", "immutable"}),
    cc("empty_members", "max-age=60", ", ,no-transform,,", {"no-transform", "max-age=60"}),
    cc("set", "set max-age=60", "max-age=30, foo", {"max-age=60"}),
    cc("set_alone", 'set "public, max-age=60"', None, {"public", "max-age=60"}),
    cc("ifunset_with_own", "ifunset max-age=60", "no-transform", {"no-transform"}),
    cc("ifunset_alone", "ifunset max-age=60", None, {"max-age=60"}),
    cc("no_policy", None, "max-age=30, foo", {"max-age=30", "foo"}),
    cc("none", "none", "max-age=30", {"max-age=30"}),
    cc("none_alone", "none", None, set()),
]

# No version tags here: private and no-store forbid them, but the policy holds.
UNTAGGED = [
    cc("private_wins", "public, max-age=60", "private", {"private", "max-age=60"}),
    cc("no_store_stays", "max-age=60", "no-store", {"no-store", "max-age=60"}),
    cc("policy_private", "private, max-age=60", "public", {"private", "max-age=60"}),
    cc("policy_no_store", "no-store", "max-age=60", {"no-store", "max-age=60"}),
]


def unsafe(name, status=200, own=None, **more):
    headers = [("Cache-Control", own)] if own else []
    return Case(name, 'ETagVersionCacheControl max-age=60\n'
                'ETagVersionCacheControlUnsafe no-cache, no-store, must-revalidate',
                headers, status=status, **more)


UNSAFE = [unsafe("unsafe"), unsafe("unsafe_own", own="max-age=9"), unsafe("unsafe_404", 404),
          unsafe("unsafe_500", 500), unsafe("unsafe_204", 204)]

HEADER_LINES = [
    Case("add_cc", 'ETagVersionCacheControl max-age=60\nHeader add Cache-Control no-transform',
         [("Cache-Control", "foo")], want={"max-age=60", "no-transform", "foo"}),
    Case("always_add_cc", 'ETagVersionCacheControl max-age=60\nHeader always add Cache-Control no-transform',
         [("Cache-Control", "foo")], want={"max-age=60", "no-transform", "foo"}),
    Case("always_set_cc", 'ETagVersionCacheControl max-age=60\nHeader always set Cache-Control no-transform',
         [("Cache-Control", "foo")], want={"max-age=60", "no-transform", "foo"}),
    Case("expires", 'ETagVersionCacheControl max-age=60\nExpiresActive On\n'
         'ExpiresDefault "access plus 10 minutes"', [("Cache-Control", "foo")],
         want={"max-age=60", "foo"}),
    Case("expires_no_cache", 'ETagVersionCacheControl max-age=60\nExpiresActive On\n'
         'ExpiresDefault "access plus 1 second"', [("Cache-Control", "no-cache")],
         want={"max-age=1", "no-cache"}),
]


def vary(name, conf, own, want):
    lines = own if isinstance(own, list) else [own] if own else []
    return Case(name, conf, [("Vary", line) for line in lines], want=want)


VARY = [
    vary("vary_policy", "ETagVersionVary Accept-Language X-Kind", None, ["accept-language", "x-kind"]),
    vary("vary_union", "ETagVersionVary Accept-Language X-Kind", "x-kind, Accept-Encoding",
         ["accept-encoding", "accept-language", "x-kind"]),
    vary("vary_lines", "ETagVersionVary X-Kind", ["X-Kind", "x-kind, Accept-Encoding"],
         ["accept-encoding", "x-kind"]),
    vary("vary_always", "ETagVersionVary X-Kind\nHeader always add Vary x-kind\nHeader add Vary X-KIND",
         "X-Kind", ["x-kind"]),
    vary("vary_star", "ETagVersionVary X-Kind", "*", ["*"]),
    vary("vary_none", "ETagVersionVary none", "Accept-Encoding", ["accept-encoding"]),
]

AUTH = [("Authorization", "Bearer one")]
AUTHORIZED = [
    Case("auth_named", 'ETagVersionIdentity header:Authorization\n'
         'ETagVersionCacheControl "public, max-age=60, s-maxage=9, must-revalidate"', sent=AUTH,
         want={"private", "max-age=60"}),
    Case("auth_none", 'ETagVersionIdentity none\n'
         'ETagVersionCacheControl "public, max-age=60, s-maxage=9, must-revalidate"', sent=AUTH,
         want={"public", "max-age=60", "s-maxage=9", "must-revalidate"}),
    Case("auth_own", 'ETagVersionIdentity none\nETagVersionCacheControl max-age=60',
         [("Cache-Control", "public, must-revalidate")], sent=AUTH,
         want={"public", "must-revalidate", "max-age=60"}),
    Case("auth_uncovered", 'ETagVersionCacheControl "public, max-age=60, s-maxage=9"', sent=AUTH,
         want={"max-age=60"}),
    Case("cookie_named", 'ETagVersionIdentity cookie:sid\nETagVersionCacheControl "public, max-age=60"',
         want={"private", "max-age=60"}),
    Case("header_named", 'ETagVersionIdentity header:X-Team\nETagVersionCacheControl max-age=60',
         want={"private", "max-age=60"}),
    Case("named_no_policy", 'ETagVersionIdentity header:X-Team', want={"private"}),
    Case("named_set", 'ETagVersionIdentity header:X-Team\nETagVersionCacheControl set "max-age=60"',
         want={"private", "max-age=60"}),
]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return build(shared_httpd, shared_backend(),
                 MERGE + UNTAGGED + UNSAFE + HEADER_LINES + VARY + AUTHORIZED, "headers expires")


@pytest.mark.parametrize("case", **each(MERGE + HEADER_LINES))
def test_merge(server, case):
    full = server.get(case.path)
    assert directives(full) == case.want
    again = server.get(case.path, tag=full.etag)
    check_pair(full, again)
    if letter(full.etag) == "v":
        assert directives(again) == case.want
    head = server.request("HEAD", case.path)
    assert directives(head) == case.want


@pytest.mark.parametrize("case", **each(UNTAGGED))
def test_what_forbids_a_tag_keeps_its_policy(server, case):
    answer = server.get(case.path, tag='"x"')
    assert directives(answer) == case.want
    assert not is_version(answer.etag)


@pytest.mark.parametrize("case", **each(UNSAFE))
def test_unsafe(server, case):
    own = dict(case.reply.headers).get("Cache-Control")
    want = {"no-cache", "no-store", "must-revalidate"} | ({own} if own else set())
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = server.request(method, case.path, body=b"x")
        assert directives(answer) == want, method
    if case.reply.status == 200:
        assert "no-store" not in directives(server.get(case.path))


def test_unsafe_errors_of_httpd_itself(new_httpd):
    """Whoever says no, the answer to an unsafe request must not be kept."""
    server = new_httpd("""
        ProxyPass /dead/ http://127.0.0.1:1/
        SetEnvIf X-Deny 1 denied
        ErrorDocument 410 /error.txt
        Redirect 410 /gone
        <Location />
          ETagVersion Version
          ETagVersionModels m
          ETagVersionCacheControl max-age=60
          ETagVersionCacheControlUnsafe no-store
          <RequireAll>
            Require all granted
            Require not env denied
          </RequireAll>
        </Location>""", "proxy setenvif alias", start=False)
    server.log.expect("AH01630")
    server.log.expect("AH00957|AH01114|AH10016|AH00126|AH01079")
    server.write("htdocs/a.txt", "a\n")
    server.write("htdocs/error.txt", "error\n")
    server.start()
    for path, headers, want in (("/a.txt", [], 405), ("/none.txt", [], 405), ("/a.txt", [("X-Deny", "1")], 403),
                                ("/dead/x", [], 503), ("/gone", [], 410)):
        answer = server.request("DELETE", path, headers)
        assert answer.status == want and directives(answer) == {"no-store"}, f"{path}: {answer}"
        assert not is_version(answer.etag)
        if path != "/a.txt":
            answer = server.get(path, headers)
            assert answer.status >= 400 and directives(answer) == set(), f"{path}: {answer}"


@pytest.mark.parametrize("status", [301, 404, 500])
def test_read_policy_is_for_success_only(server, status):
    server.backend.on("/t/alone", Reply(status))
    assert directives(server.get("/t/alone")) == set()
    server.backend.on("/t/alone", Reply())


@pytest.mark.parametrize("case", **each(VARY))
def test_vary(server, case):
    full = server.get(case.path)
    assert full.members("Vary") == case.want
    if case.want == ["*"]:
        assert not is_version(full.etag)
        return
    again = server.get(case.path, tag=full.etag)
    check_pair(full, again)
    if letter(full.etag) == "v":
        assert again.members("Vary") == case.want


@pytest.mark.parametrize("case", **each(AUTHORIZED))
def test_users(server, case):
    full = server.get(case.path, case.sent)
    assert directives(full) == case.want
    if case.name == "auth_uncovered":
        assert not is_version(full.etag)
        return
    again = server.get(case.path, case.sent, tag=full.etag)
    check_pair(full, again)
    if letter(full.etag) == "v":
        assert directives(again) == case.want


FIELDS = [("Content-Type", "text/plain"), ("Cache-Control", "foo"), ("Cache-Control", "max-age=30"),
          ("Vary", "X-Kind"), ("Vary", "Accept-Encoding")]
CGI_OUTPUT = "".join(f"{name}: {value}\n" for name, value in FIELDS) + "\nhello\n"
CGI = f"#!/bin/sh\ncat <<'END'\n{CGI_OUTPUT}END\n"
WSGI = f"""
def application(environ, start_response):
    start_response("200 OK", {FIELDS!r})
    return [b"hello\\n"]
"""
LINES = """
<Location /app/>
  ETagVersion Version
  ETagVersionModels a
  ETagVersionCacheControl max-age=60
  ETagVersionVary X-Kind
</Location>
"""


@pytest.mark.parametrize("kind", ["cgid", "wsgi", "fcgi"])
def test_one_line_from_every_backend(new_httpd, new_fastcgi, kind):
    """CGI and FastCGI put these into the other header table, WSGI appends lines."""
    conf, modules = {
        "cgid": ('ScriptSock @ROOT@/run/cgisock\nScriptAlias /app/ "@ROOT@/cgi/"', "alias cgid"),
        "wsgi": ('WSGIDestroyInterpreter Off\nWSGIScriptAlias /app "@ROOT@/app.wsgi"', "wsgi"),
        "fcgi": ("ProxyPass /app/ fcgi://127.0.0.1:@FCGI@/", "fcgi"),
    }[kind]
    if kind == "fcgi":
        conf = conf.replace("@FCGI@", str(new_fastcgi(lambda params, number: CGI_OUTPUT).port))
    server = new_httpd(conf + LINES, modules, start=False)
    server.write("cgi/page", CGI, 0o755)
    server.write("app.wsgi", WSGI)
    server.start()
    full = server.get("/app/page")
    assert full.status == 200 and full.text == "hello\n"
    assert directives(full) == {"foo", "max-age=30"}
    assert full.members("Vary") == ["accept-encoding", "x-kind"]
    check_pair(full, server.get("/app/page", tag=full.etag))


def test_policy_without_models(new_httpd, new_backend):
    backend = new_backend()
    server = new_httpd(f"""
        ProxyPass / {backend.url}/
        <Location />
          ETagVersion Version
          ETagVersionCacheControl max-age=60
          ETagVersionCacheControlUnsafe no-store
          ETagVersionVary X-Kind
        </Location>""", "proxy", bump=False)
    answer = server.get("/x")
    assert directives(answer) == {"max-age=60"} and answer.members("Vary") == ["x-kind"]
    assert answer.etag is None
    assert directives(server.request("DELETE", "/x")) == {"no-store"}
