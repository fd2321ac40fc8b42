# SPDX-License-Identifier: Apache-2.0
"""ETagVersionGraphQL in the configuration: merging, errors, .htaccess, and redirects inside the server."""
import json

import pytest

from harness.graphql import JSON, GraphQLServer, body_of, said, url
from harness.tags import is_version

LIST = "query SpectraList { spectra { id } }"
SAVE = "mutation SaveSpectrum { save { id } }"


@pytest.fixture(scope="module", name="backend")
def _backend():
    server = GraphQLServer()
    yield server
    server.close()


# --- merging ---

TREE = {
    "/": "ETagVersion Version\nETagVersionGraphQL A a1 a2\nETagVersionGraphQL B* b",
    "/inherits": "",
    "/adds": "ETagVersionGraphQL C c",
    "/replaces": "ETagVersionGraphQL A a9",
    "/edits": "ETagVersionGraphQL A +a3 -a1",
    "/edits/deeper": "ETagVersionGraphQL A -a2\nETagVersionGraphQL A +a4\nETagVersionGraphQL C c",
    "/edits/deeper/again": "ETagVersionGraphQL A a5",
    "/edits-a-new-one": "ETagVersionGraphQL C +c +d -a1",
    "/lines": "ETagVersionGraphQL A x\nETagVersionGraphQL A y",
    "/takes-one-away": "ETagVersionGraphQL A none",
    "/takes-one-away/back": "ETagVersionGraphQL A +z",
    "/takes-away": "ETagVersionGraphQL none",
    "/takes-away/more": "ETagVersionGraphQL C c",
    "/begins-anew": "ETagVersionGraphQL none\nETagVersionGraphQL C c",
    "/begins-anew/edits": "ETagVersionGraphQL A +a1",
    "/models": "ETagVersionModels m\nETagVersionGraphQL A a1 m",
    "/overlap": "ETagVersionGraphQL ? one\nETagVersionGraphQL * all",
    "/expression": 'ETagVersionGraphQL A "a:%{req:X-Tenant}"\nETagVersionVary X-Tenant',
    "/called-none": "ETagVersionGraphQL none n\nETagVersionGraphQL NONE n2",
}
MERGED = [
    ("/", "A", "a1 a2"), ("/", "Bx", "b"), ("/", "C", None), ("/inherits", "A", "a1 a2"), ("/inherits", "B", "b"),
    ("/adds", "A", "a1 a2"), ("/adds", "C", "c"), ("/adds", "Bee", "b"), ("/replaces", "A", "a9"),
    ("/replaces", "B", "b"), ("/edits", "A", "a2 a3"), ("/edits", "B", "b"), ("/edits/deeper", "A", "a3 a4"),
    ("/edits/deeper", "C", "c"), ("/edits/deeper/again", "A", "a5"), ("/edits/deeper/again", "C", "c"),
    ("/edits-a-new-one", "C", "c d"), ("/edits-a-new-one", "A", "a1 a2"), ("/lines", "A", "x y"),
    ("/takes-one-away", "A", None), ("/takes-one-away", "B", "b"), ("/takes-one-away/back", "A", "z"),
    ("/takes-away", "A", "no-models"), ("/takes-away/more", "C", "c"), ("/takes-away/more", "A", None),
    ("/begins-anew", "A", None), ("/begins-anew", "C", "c"), ("/begins-anew", "B", None),
    ("/begins-anew/edits", "A", "a1"), ("/begins-anew/edits", "C", "c"), ("/models", "A", "m a1"),
    ("/models", "B", "m b"), ("/overlap", "A", "a1 a2 one all"), ("/overlap", "Bx", "b all"),
    ("/overlap", "B", "b one all"), ("/overlap", "Zz", "all"), ("/expression", "A", "a:t"),
    ("/called-none", "none", "n"), ("/called-none", "NONE", "n2"), ("/called-none", "A", "a1 a2"),
]


@pytest.fixture(scope="module", name="tree")
def _tree(shared_httpd, backend):
    sections = "".join(f"<Location {path}>\n{lines}\n</Location>\n" for path, lines in TREE.items())
    server = shared_httpd(f"ProxyPass /bump !\nProxyPass / {backend.url}/\n{sections}", "proxy")
    server.bump("a:t")  # what a client can say is not made for it
    return server


@pytest.mark.parametrize("path, name, models", MERGED)
def test_merging(tree, path, name, models):
    answer = tree.get(url(f"{path.rstrip('/')}/x", f"query {name} {{ x }}"), [("X-Tenant", "t")])
    _, why, noted = tree.logged(answer)
    if models in (None, "no-models"):
        assert not answer.all("ETag") and why == (models or "operation")
    else:
        assert is_version(answer.etag) and sorted(noted.split()) == sorted(models.split())


def test_merging_in_htaccess(new_httpd, backend):
    server = new_httpd("""
<Directory "@ROOT@/htdocs">
  AllowOverride FileInfo
  ETagVersion Version
  ETagVersionGraphQL A a
  ETagVersionGraphQL B b
</Directory>""", "proxy rewrite", start=False)
    places = []
    rewrite = f"RewriteEngine On\nRewriteRule ^(.*)$ {backend.url}/$1 [P]\n"
    for path, lines, known in (("x", "", {"A": "a", "B": "b"}),
                               ("x/y", "ETagVersionGraphQL A +c\nETagVersionGraphQLPost On\n", {"A": "a c", "B": "b"}),
                               ("x/y/z", "ETagVersionGraphQL none\nETagVersionGraphQL C* c\n", {"Cc": "c", "A": None})):
        server.write(f"htdocs/{path}/.htaccess", rewrite + lines)
        places.append((path, known))
    server.start()
    for path, known in places:
        for name, models in known.items():
            answer = server.get(url(f"/{path}/graphql", f"query {name} {{ x }}"))
            assert server.logged(answer)[2] == models, answer
    answer = server.request("POST", "/x/y/graphql", [("Content-Type", JSON)], body_of(said("query B { x }")))
    assert is_version(answer.etag) and server.logged(answer)[2] == "b"
    answer = server.request("POST", "/x/graphql", [("Content-Type", JSON)], body_of(said("query B { x }")))
    assert not answer.all("ETag")


def test_same_name_in_htaccess(new_httpd):
    """What the server's configuration names is made when it is missing, whoever else names it."""
    server = new_httpd("""
<Directory "@ROOT@/htdocs">
  AllowOverride FileInfo
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels site
  ETagVersionGraphQL A a
</Directory>""", "mime", start=False)
    server.write("htdocs/x.json", '{"data": 1}')
    server.write("htdocs/.htaccess", "ETagVersionGraphQL A +site\nETagVersionGraphQL * a\nETagVersionGraphQL B b\n")
    server.start()
    assert is_version(server.get(url("/x.json", "query A { x }")).etag)
    answer = server.get(url("/x.json", "query B { x }"))
    assert not is_version(answer.etag) and server.why(answer) == "missing"


# --- errors ---

PATTERN, NAMES = "letters, digits", "must follow"
WRONG = [
    ("", "ETagVersionGraphQL"), ("A", NAMES), ('"" a', PATTERN), ("A-B a", PATTERN), ("A.B a", PATTERN),
    ("[AB] a", PATTERN), ("A,B a", PATTERN), ("/A a", PATTERN), ("Ä a", PATTERN), ('"A B" a', PATTERN),
    ("%{req:X} a", PATTERN), ("x" * 129 + " a", PATTERN), ("A a +b", "ETagVersionGraphQL"),
    ("A +a b", "ETagVersionGraphQL"), ("A none a", "none"), ("A a none", "none"), ("A a,", "without commas"),
    ("A %a", "%"), ("A " + "n" * 257, "256"), ("A " + " ".join(f"m{i}" for i in range(33)), "32"),
    ("A %{req:", "expression"), ("A a\nETagVersionGraphQL none", "in front"),
    ("none\nETagVersionGraphQL none", "in front"), ("\nETagVersionGraphQL ".join(f"A{i} a" for i in range(65)), "64"),
]
RIGHT = ["* a", "? a", "_FPB_* a b", "x" * 128 + " a", "A none", "none", "A +a -b", "none\nETagVersionGraphQL A a",
         "A " + " ".join(f"m{i}" for i in range(32)), "\nETagVersionGraphQL ".join(f"A{i} a" for i in range(64)),
         '"A" "a"', "A " + "n" * 256, 'A "a:%{req:X}"', "0 a"]


@pytest.fixture(scope="module", name="check")
def _check(shared_httpd):
    server = shared_httpd("", start=False)

    def run(value, section="<Location />", name="ETagVersionGraphQL"):
        server.conf = f"{section}\n{name} {value}\n</{section[1:].split()[0].rstrip('>')}>"
        return server.configtest()
    return run


@pytest.mark.parametrize("value, accepted", WRONG, ids=[v[:20] for v, _ in WRONG])
def test_wrong_values(check, value, accepted):
    status, output = check(value)
    assert status != 0 and "ETagVersionGraphQL" in output and accepted in output, output


@pytest.mark.parametrize("section", ["Location", "Directory", "Files", "VirtualHost"])
def test_right_values(check, section):
    name = "*:1" if section == "VirtualHost" else "/x"
    sections = [f"<{section} {name}{i}>\nETagVersionGraphQL {value}\n</{section}>" for i, value in enumerate(RIGHT)]
    status, output = check("on\n</Location>\n" + "\n".join(sections) + "\n<Location />", name="ETagVersionGraphQLPost")
    assert status == 0, output


def test_post_is_on_or_off(check):
    assert check("on", name="ETagVersionGraphQLPost")[0] == 0
    for value in ("perhaps", "1", ""):
        status, output = check(value, name="ETagVersionGraphQLPost")
        assert status != 0 and "ETagVersionGraphQLPost" in output and (not value or "On or Off" in output)


def test_wrong_values_in_htaccess(new_httpd):
    server = new_httpd('<Directory "@ROOT@/htdocs">\nAllowOverride FileInfo\n</Directory>', start=False)
    for i, (value, _) in enumerate(WRONG):
        server.write(f"htdocs/d{i}/.htaccess", f"ETagVersionGraphQL {value}\n")
        server.write(f"htdocs/d{i}/a.txt", "a\n")
    server.start()
    server.log.expect("htaccess: .*ETagVersionGraphQL")
    for i, (value, accepted) in enumerate(WRONG):
        mark = server.log.size()
        assert server.get(f"/d{i}/a.txt").status == 500, value
        assert accepted in server.log.text()[mark:]


# --- redirects inside the server ---

SCRIPT = """#!/bin/sh
echo "$REQUEST_METHOD $REQUEST_URI" >>"@ROOT@/run/calls"
cat >"@ROOT@/run/body"
case "$QUERY_STRING" in
  *local*) printf 'Location: %s\\n\\n' "/app/index.cgi?seen" ;;
  *missing*) printf 'Status: 404 No\\nContent-Type: application/json\\n\\n{"data":null}' ;;
  *) printf 'Content-Type: application/json\\n\\n{"data":{"got":%s}}' "$(wc -c <"@ROOT@/run/body")" ;;
esac
"""
GRAPHQL = "ETagVersionGraphQLPost On\nETagVersionGraphQL Spectra* spectra\nETagVersionGraphQL SaveSpectrum spectra\n"
REDIRECTS = {
    "rewritten": "RewriteEngine On\nRewriteRule ^graphql$ index.cgi [L]\n",
    "front": "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . index.cgi [L]\n",
    "twice": "RewriteEngine On\nRewriteRule ^graphql$ second [L]\nRewriteRule ^second$ index.cgi [L]\n",
    "fallback": "FallbackResource /fallback/index.cgi\n",
    "action": 'SetHandler gql-app\n<Files "index.cgi">\nSetHandler cgi-script\n</Files>\n',
    "directory": "DirectoryIndex index.cgi\n",
    "app": "",
}


@pytest.fixture(scope="module", name="apps")
def _apps(shared_httpd, backend):
    server = shared_httpd(f"""
ScriptSock @ROOT@/run/cgisock
AddHandler cgi-script .cgi
ProxyPass /deep/ {backend.url}/deep/
<Directory "@ROOT@/htdocs">
  AllowOverride FileInfo Indexes
  Options +ExecCGI +FollowSymLinks
  ETagVersion Version
  ETagVersionModels site
  ETagVersionInvalidate models
  {GRAPHQL}
</Directory>
<Location /seen>
  ETagVersion Version
  ETagVersionModels spectra
  ETagVersionUpstreamETag Replace
</Location>
<Location /app/missing>
  ErrorDocument 404 /app/index.cgi?error
</Location>
Action gql-app /action/index.cgi virtual
Alias /seen "@ROOT@/seen.txt"
""", "alias cgid rewrite actions mime dir proxy", start=False)
    for name, lines in REDIRECTS.items():
        server.write(f"htdocs/{name}/.htaccess", lines)
        server.write(f"htdocs/{name}/index.cgi", SCRIPT.replace("@ROOT@", str(server.root)), 0o755)
    server.write("seen.txt", "seen\n")
    return server.start()


def post(server, path, what, headers=()):
    """The answer, and the body that a script got; None when none ran."""
    calls = server.root / "run" / "calls"
    calls.write_text("") if not calls.exists() else None
    calls.chmod(0o666)
    before = calls.read_text()
    answer = server.request("POST", path, [("Content-Type", JSON), *headers], body_of(what))
    ran = calls.read_text() != before
    return answer, (server.root / "run" / "body").read_bytes() if ran else None


@pytest.mark.parametrize("name", [name for name in REDIRECTS if name not in ("app", "directory")]
                         + ["directory/", "app/index.cgi"])
def test_redirects(apps, name):
    """The body and what it says go along."""
    path = f"/{name}/graphql" if "/" not in name else f"/{name}"
    query = said(LIST, None, {"name": name})
    answer, body = post(apps, path, query)
    assert answer.status == 200 and body == body_of(query), answer
    assert is_version(answer.etag) and apps.logged(answer)[2] == "site spectra", apps.why(answer)
    again, body = post(apps, path, query, [("If-None-Match", answer.etag)])
    assert again.status == 304 and body is None and again.etag == answer.etag
    other, body = post(apps, path, said(LIST), [("If-None-Match", answer.etag)])
    assert other.status == 200 and body == body_of(said(LIST))
    seen = apps.get("/seen").etag
    assert apps.get("/seen", tag=seen).status == 304 and is_version(seen), "queries have not bumped"
    changed, body = post(apps, path, said(SAVE))
    assert changed.status == 200 and body == body_of(said(SAVE)) and not changed.all("ETag")
    assert apps.get("/seen", tag=seen).status == 200
    again, body = post(apps, path, query, [("If-None-Match", answer.etag)])
    assert again.status == 200 and body == body_of(query)
    for what in (b"junk", body_of(said(LIST, None, {"pad": "x" * 200_000}))):
        answer, body = post(apps, path, what, [("If-None-Match", again.etag)])
        assert answer.status == 200 and body == what and not answer.all("ETag")


def test_front_controller_elsewhere(new_httpd):
    """What the place's URL leads to is in no place of GraphQL: there are no tags, but queries change nothing."""
    server = new_httpd(f"""
ScriptSock @ROOT@/run/cgisock
AddHandler cgi-script .cgi
<Directory "@ROOT@/htdocs">
  AllowOverride FileInfo
  Options +ExecCGI +FollowSymLinks
</Directory>
<Location /graphql>
  ETagVersion Version
  ETagVersionInvalidate models
  {GRAPHQL}
</Location>
<Location /seen>
  ETagVersion Version
  ETagVersionModels spectra
  ETagVersionUpstreamETag Replace
</Location>
Alias /seen "@ROOT@/seen.txt"
""", "alias cgid rewrite mime dir", start=False)
    server.write("htdocs/.htaccess", "RewriteEngine On\nRewriteRule ^graphql$ index.cgi [L]\n")
    server.write("htdocs/index.cgi", SCRIPT.replace("@ROOT@", str(server.root)), 0o755)
    server.write("seen.txt", "seen\n")
    server.start()
    seen = server.get("/seen").etag
    assert is_version(seen)
    for what, bumped in ((said(LIST), False), (said(SAVE), True), (said(LIST), False), (b"junk", True)):
        answer, body = post(server, "/graphql", what)
        assert answer.status == 200 and body == body_of(what) and not answer.all("ETag"), answer
        again = server.get("/seen", tag=seen)
        assert again.status == (200 if bumped else 304)
        seen = again.etag


def test_redirect_by_a_script(apps):
    """What a script redirects to is a GET, but the client has asked something else."""
    answer, body = post(apps, "/app/index.cgi?local", said(LIST))
    assert answer.status == 200 and not is_version(answer.etag), answer
    assert body == b""


def test_error_document(apps):
    """A page about an error is no answer to the query."""
    apps.log.expect("AH01276|AH02811", optional=True)
    for path in ("/app/missing", "/app/index.cgi?missing"):
        answer, _ = post(apps, path, said(LIST))
        assert answer.status == 404 and not answer.all("ETag"), answer
        with apps.connect() as connection:
            for _ in range(2):
                again = connection.request("POST", path, [("Content-Type", JSON)], body_of(said(LIST)))
                assert again.status == 404
            assert connection.request("GET", "/seen").text == "seen\n"


# --- what comes before ---

def test_access_comes_first(new_httpd, backend):
    """Who may not ask is told so, whatever tag is known, and without a look at the body."""
    server = new_httpd(f"""
ProxyPass /g/ {backend.url}/g/
<Location /g/>
  ETagVersion Version
  ETagVersionIdentity none
  {GRAPHQL}
  Require env let_me_in
</Location>
SetEnvIf X-Let-Me-In yes let_me_in""", "proxy setenvif authz_host")
    server.log.expect("AH01630")
    may, ask = [("X-Let-Me-In", "yes")], [("Content-Type", JSON)]
    tag = server.request("POST", "/g/x", may + ask, body_of(said(LIST))).etag
    assert is_version(tag)
    assert server.request("POST", "/g/x", [*ask, ("If-None-Match", tag)], body_of(said(LIST))).status == 403
    assert server.request("POST", "/g/x", [*may, *ask, ("If-None-Match", tag)], body_of(said(LIST))).status == 304
    with server.connect() as connection:
        connection.send(b"POST /g/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
        assert connection.read_response("POST").status == 403


def test_switch(new_httpd, backend):
    server = new_httpd(f"ProxyPass /g/ {backend.url}/g/\nSetEnvIf X-Off . no-etag-version\n"
                       f"<Location /g/>\nETagVersion Version\n{GRAPHQL}</Location>", "proxy setenvif")
    for headers, tagged in (([], True), ([("X-Off", "1")], False)):
        answer = server.request("POST", "/g/x", [("Content-Type", JSON), *headers], body_of(said(LIST)))
        assert answer.status == 200 and is_version(answer.etag) == tagged
        assert json.loads(backend.last().body) == said(LIST)


def test_no_patterns_no_look(new_httpd, backend):
    """Without a pattern posted bodies are nobody's business: they pass while they come."""
    server = new_httpd(f"ProxyPass /g/ {backend.url}/g/\n<Location /g/>\nETagVersion Version\nETagVersionModels m\n"
                       "ETagVersionGraphQLPost On\nETagVersionGraphQL A a\nETagVersionGraphQL none\n</Location>",
                       "proxy", start=False)
    status, output = server.configtest()
    assert status != 0 and "in front" in output
    server.conf = server.conf.replace("ETagVersionGraphQL A a\n", "")
    server.start()
    answer = server.request("POST", "/g/x", [("Content-Type", JSON)], body_of(said(LIST)))
    assert answer.status == 200 and not answer.all("ETag") and server.why(answer) == "unsafe"
    assert is_version(server.get(url("/g/x", LIST)).etag), "an ordinary place with models"


def test_patterns_of_many_sections(new_httpd, backend):
    """There is room for 64 in all: with more nothing is known of operations, at a bounded cost."""
    def section(place, first, last):
        lines = "\n".join(f"ETagVersionGraphQL P{i}_* m{i}" for i in range(first, last))
        return f"<Location {place}>\n{lines}\n</Location>\n"
    server = new_httpd(f"ProxyPass /g/ {backend.url}/g/\n<Location /g/>\nETagVersion Version\n</Location>\n" +
                       section("/g/", 0, 40) + section("/g/a", 40, 64) + section("/g/a/b", 64, 65) +
                       '<Location /g/c>\nETagVersionGraphQL none\nETagVersionGraphQL P99_* m99\n</Location>\n', "proxy")
    for path, name, tagged in (("/g/a", "P0_x", True), ("/g/a", "P63_x", True), ("/g/a", "P64_x", False),
                               ("/g/a/b", "P0_x", False), ("/g/a/b", "P64_x", False), ("/g/c", "P99_x", True),
                               ("/g/c", "P0_x", False)):
        answer = server.get(url(path, f"query {name} {{ x }}"))
        assert bool(answer.etag) == tagged, (path, name)
        assert tagged or server.why(answer) == "operation"
