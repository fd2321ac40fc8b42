# SPDX-License-Identifier: Apache-2.0
"""ETagVersionGraphQL: which responses have tags, of which backends, and what stands in front of them."""
import json

import pytest

from harness.fastcgi import PhpFpm
from harness.graphql import HASH, JSON, Answer, Site, body_of, said, url
from harness.graphql_place import GZIP, LIST, MUTATION, ONE, OTHER, PATTERNS, PLACES, conf
from harness.graphql_place import _backend, _says, _site  # noqa: F401 (fixtures)
from harness.tags import OWN, coding, is_version


# --- what is answered ---

ERRORS = [{"message": "no"}]
PADDED = {"data": {"x": ["y" * 1000] * 200}}
BAD = {
    "first": ({"errors": ERRORS, "data": None}, {}),
    "last": ({"data": {"a": {"errors": 1}}, "errors": ERRORS}, {}),
    "unknown-hash": ({"errors": [{"message": "PersistedQueryNotFound"}]}, {}),
    "in-a-batch": ([{"data": 1}, {"data": None, "errors": ERRORS}], {}),
    "pieces": ({"data": {"errors": None}, "errors": ERRORS}, {"pieces": 1}),
    "large": ({**PADDED, "errors": ERRORS}, {}),
    "large-pieces": ({**PADDED, "errors": ERRORS}, {"pieces": 1000}),
    "graphql-media": ({"errors": ERRORS}, {"media": "application/graphql-response+json; charset=utf-8"}),
    "no-json": ("<html>", {}),
    "cut": ('{"data": {"a": 1}', {}),
    "more-behind": ('{"data": 1} {"errors": []}', {}),
    "nothing": ("", {}),
    "scalar": ("1", {}),
    "escaped": ('{"data": 1, "\\u0065rrors": [1]}', {}),
    "twice": ('{"errors": [], "data": 1, "errors": [1]}', {}),
}
GOOD = {
    "plain": ({"data": {"a": 1}}, {}),
    "errors-are-none": ({"data": 1, "errors": []}, {}),
    "errors-are-null": ({"errors": None, "data": 1}, {}),
    "deeper": ({"data": {"errors": ERRORS}, "extensions": {"errors": ERRORS}}, {}),
    "in-text": ({"data": '"errors":[1]'}, {}),
    "batch": ([{"data": 1}, {"data": 2}], {}),
    "pieces": ({"data": {"a": "b"}}, {"pieces": 1}),
    "large": (PADDED, {}),
    "large-pieces": (PADDED, {"pieces": 777}),
    "graphql-media": ({"data": 1}, {"media": "application/graphql-response+json"}),
}


def test_policy_is_for_responses_with_a_version_tag(site, says):
    """`public` is not for a query that nobody named, nor for an error; what the backend says stays."""
    def policy_of(target):
        return site.get(target)[0].one("Cache-Control")
    assert policy_of(url("/g/nopolicy", LIST)) == "max-age=7"
    assert policy_of(url("/g/nopolicy", OTHER)) is None and policy_of("/g/nopolicy") is None
    says("/g/nopolicy", {"errors": [{"message": "PersistedQueryNotFound"}]}, headers=[("Cache-Control", "no-cache")])
    assert policy_of(url("/g/nopolicy", None, "SpectraList", None, HASH)) == "no-cache"
    assert policy_of(url("/g/nopolicy", LIST)) == "no-cache"
    says("/g/restricted", {"data": 1}, headers=[("Cache-Control", "public, max-age=600")])
    restricted = site.get(url("/g/restricted", OTHER))[0].members("Cache-Control")
    assert restricted == ["max-age=600", "must-revalidate", "private"]


@pytest.mark.parametrize("name", BAD)
def test_errors(site, says, name):
    body, more = BAD[name]
    for place in ("get", "on", "post", "poston"):
        says(f"/g/{place}", body, **more)
    sent = body if isinstance(body, str) else json.dumps(body)
    answer, _ = site.has_none("graphql-errors", "GET", url("/g/get", LIST))
    assert answer.text == sent and not answer.all("ETag")
    answer, _ = site.ask("GET", url("/g/on", LIST))
    assert answer.text == sent
    assert OWN.match(answer.etag).group(1) == "c" if sent else not answer.all("ETag"), answer
    for method in ("POST", "QUERY"):
        for place in ("post", "poston"):
            answer, asked = site.ask(method, f"/g/{place}", said(LIST))
            assert answer.status == 200 and answer.text == sent and asked
            assert not answer.all("ETag") and site.server.why(answer) == "graphql-errors", answer


@pytest.mark.parametrize("name", GOOD)
def test_no_errors(site, says, name):
    body, more = GOOD[name]
    says("/g/get", body, **more)
    says("/g/post", body, **more)
    answer, _ = site.ask("GET", url("/g/get", LIST))
    assert answer.text == json.dumps(body) and is_version(answer.etag), site.server.why(answer)
    answer, _ = site.ask("POST", "/g/post", said(LIST))
    assert answer.text == json.dumps(body) and is_version(answer.etag), site.server.why(answer)


OTHERS = {
    "media": ("type", "{}", {"media": "text/plain"}),
    "no-media": ("type", "{}", {"media": None}),
    "status": ("status", "{}", {"status": 203}),
    "encoded": ("coding", b"\x1f\x8b bytes", {"headers": [("Content-Encoding", "gzip")]}),
    "oversize": ("oversize", {"data": "x" * 1_100_000}, {}),
    "oversize-pieces": ("oversize", {"data": "x" * 1_100_000}, {"pieces": 4000}),
    "no-store": ("no-store", {"data": 1}, {"headers": [("Cache-Control", "no-store")]}),
    "cookie": ("set-cookie", {"data": 1}, {"headers": [("Set-Cookie", "a=b")]}),
    "varies": ("vary", {"data": 1}, {"headers": [("Vary", "User-Agent")]}),
    "own-tag": ("kept", {"data": 1}, {"headers": [("ETag", '"mine"')]}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_responses_that_are_not_looked_at(site, says, name):
    why, body, more = OTHERS[name]
    if name == "varies":
        site.server.log.expect("ETV0330", optional=True)
    for method, place in (("GET", "get"), ("POST", "post"), ("QUERY", "post")):
        says(f"/g/{place}", body, **more)
        target = url("/g/get", LIST) if method == "GET" else "/g/post"
        answer, asked = site.ask(method, target, None if method == "GET" else said(LIST))
        sent = json.dumps(body) if isinstance(body, dict) else body
        assert asked and answer.body == (sent if isinstance(sent, bytes) else sent.encode())
        assert answer.status == more.get("status", 200) and not is_version(answer.etag), answer
        assert site.server.why(answer) == why


@pytest.mark.parametrize("place", ["get", "on", "post"])
def test_truncated(site, says, place):
    """What is missing may be the errors."""
    site.server.log.expect("AH0110[0-9]|ETV0340|AH10154|AH01110|AH00898", optional=True)
    says(f"/g/{place}", '{"data": 1}', declared=500)
    head = "GET {} HTTP/1.1" if place != "post" else "POST {} HTTP/1.1"
    body = b"" if place != "post" else json.dumps(said(LIST)).encode()
    target = url(f"/g/{place}", LIST) if place != "post" else "/g/post"
    with site.server.connect() as connection:
        connection.send((head.format(target) + "\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                         + (f"Content-Length: {len(body)}\r\n" if body else "") + "\r\n").encode() + body)
        try:
            answer = connection.read_response()
        except EOFError as end:
            assert b'ETag: W/"' not in str(end).encode()
            return
    assert answer.status >= 500 or not answer.all("ETag"), answer


@pytest.mark.parametrize("place", ["deflate", "bytype"])
@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_encoders(site, says, place, method):
    """The look into the body comes before them."""
    how = (method, url(f"/g/{place}", LIST)) if method == "GET" else (method, f"/g/{place}", said(LIST))
    says(f"/g/{place}", PADDED)
    plain, coded = site.tag(*how), site.tag(*how, headers=GZIP)
    assert coding(coded) == "-gzip" and coding(plain) == ""
    for tag in (plain, coded):
        assert site.holds(tag, *how, headers=GZIP)
    assert site.holds(plain, *how)
    says(f"/g/{place}", {**PADDED, "errors": ERRORS})
    answer, _ = site.ask(*how, headers=GZIP)
    assert answer.one("Content-Encoding") == "gzip" and not answer.all("ETag"), answer
    assert site.server.why(answer) == "graphql-errors"


# --- the kinds of backends ---

CGI = """#!/bin/sh
echo x >>"@ROOT@/run/calls"
cat >"@ROOT@/run/body"
printf 'Content-Type: application/json\\r\\n\\r\\n{"data":{"got":%s}}' "$(wc -c <"@ROOT@/run/body")"
"""
SHORT = """#!/bin/sh
cat >/dev/null
printf 'Content-Type: application/json\\r\\nContent-Length: 50\\r\\n\\r\\n{"data": 1}'
"""
WSGI = """
import json
def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    with open("@ROOT@/run/calls", "a") as f:
        f.write("x\\n")
    with open("@ROOT@/run/body", "wb") as f:
        f.write(body)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"data": {"got": len(body)}}).encode()]
"""
PHP = """<?php
file_put_contents("@ROOT@/run/calls", "x\\n", FILE_APPEND);
file_put_contents("@ROOT@/run/body", file_get_contents("php://input"));
header("Content-Type: application/json");
echo json_encode(["data" => ["got" => strlen(file_get_contents("php://input"))]]);
"""


def files(server):
    """Write the programs; their bodies and calls go to the server's folder run/."""
    server.write("cgi/gql.sh", CGI.replace("@ROOT@", str(server.root)), 0o755)
    server.write("cgi/short.sh", SHORT, 0o755)
    server.write("gql.wsgi", WSGI.replace("@ROOT@", str(server.root)))
    server.write("htdocs/php/gql.php", PHP.replace("@ROOT@", str(server.root)))


@pytest.fixture(scope="module", name="programs")
def _programs(shared_httpd):
    php = PhpFpm()
    lines = f"""
ScriptAlias /cgi/ "@ROOT@/cgi/"
SetEnv ap_trust_cgilike_cl yes
ScriptSock @ROOT@/run/cgisock
WSGIDestroyInterpreter Off
WSGIScriptAlias /wsgi "@ROOT@/gql.wsgi"
<FilesMatch "\\.php$">
  SetHandler "proxy:unix:{php.socket}|fcgi://localhost"
</FilesMatch>
<Location />
  ETagVersion Version
  ETagVersionGraphQLPost On{PATTERNS}
</Location>"""
    server = shared_httpd(lines, "alias env cgid wsgi fcgi", start=False)
    files(server)
    yield server.start()
    php.close()


@pytest.mark.parametrize("path", ["/cgi/gql.sh", "/wsgi", "/php/gql.php"])
@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_programs(programs, path, method):
    """Other backends than proxied ones read the body, too."""
    server, calls = programs, programs.root / "run" / "calls"
    query = json.dumps(said(LIST)).encode()
    target, body = (url(path, LIST), None) if method == "GET" else (path, query)
    headers = [("Content-Type", "application/json")]
    answer = server.request(method, target, headers, body)
    if method == "QUERY" and answer.status == 405:
        return
    assert answer.status == 200 and is_version(answer.etag), f"{server.why(answer)}: {answer}"
    if body:
        assert (server.root / "run" / "body").read_bytes() == body
        assert json.loads(answer.text)["data"]["got"] == len(body)
    before = calls.read_text()
    again = server.request(method, target, headers + [("If-None-Match", answer.etag)], body)
    assert again.status == 304 and calls.read_text() == before
    server.bump("list")
    assert server.request(method, target, headers + [("If-None-Match", answer.etag)], body).status == 200
    if body:
        assert (server.root / "run" / "body").read_bytes() == body


@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_less_than_announced(programs, method):
    """What a script did not come to say may be errors."""
    target, body = (url("/cgi/short.sh", LIST), None) if method == "GET" else ("/cgi/short.sh", body_of(said(LIST)))
    answer = programs.request(method, target, [("Content-Type", JSON)], body)
    assert answer.status == 200 and answer.text == '{"data": 1}' and not answer.all("ETag"), answer
    assert programs.why(answer) == "error"


# --- servers ---

@pytest.mark.parametrize("mpm", ["prefork", "worker"])
def test_mpm(new_httpd, backend, mpm):
    site = Site(new_httpd(conf(backend.url, {"get": "", "post": PLACES["post"]}), "proxy", mpm=mpm), backend)
    for how in (("GET", url("/g/get", LIST)), ("QUERY", "/g/get", said(LIST)), ("POST", "/g/post", said(LIST))):
        tag = site.tag(*how)
        assert site.holds(tag, *how)
        site.server.bump("spectra")
        assert not site.holds(tag, *how)
    site.has_none("operation", "GET", url("/g/get", OTHER))
    answer, asked = site.ask("POST", "/g/post", said(MUTATION))
    assert asked and not answer.all("ETag")


# --- models that the backend names ---

def test_declared_models(new_httpd, backend, says):
    """What it names for one body says nothing about another one."""
    server = new_httpd(f"""
ProxyPass /g/ {backend.url}/g/
<Location /g/>
  ETagVersion Version
  ETagVersionModelsHeader X-Depends-On
  ETagVersionGraphQL Spectr* spectra
  ETagVersionGraphQLPost On
</Location>""", "proxy")
    site = Site(server, backend)
    backend.on("/g/declares", lambda asked: Answer({"data": 1}, headers=[
        ("X-Depends-On", "d.one" if b'"1"' in asked.body or "%221%22" in asked.target else "d.two")]))
    for model in ("spectra", "d.one", "d.two"):
        server.bump(model)
    for method in ("GET", "POST", "QUERY"):
        def how(number):
            args = (ONE, None, {"id": number})
            return (method, url("/g/declares", *args)) if method == "GET" else (method, "/g/declares", said(*args))
        for number in "12":  # the first time tells what it depends on
            site.ask(*how(number))
        one, two = (site.tag(*how(number)) for number in "12")
        assert site.holds(one, *how("1")) and site.holds(two, *how("2"))
        assert not site.holds(one, *how("2")) and not site.holds(two, *how("1"))
        server.bump("d.one")
        assert not site.holds(one, *how("1")) and site.holds(two, *how("2"))
        server.bump("spectra")
        assert not site.holds(two, *how("2"))
    backend.on("/g/declares", Answer({"errors": ERRORS}, headers=[("X-Depends-On", "d.one")]))
    for method in ("POST", "QUERY"):
        answer, _ = site.has_none("graphql-errors", method, "/g/declares", said(ONE))
        assert not answer.all("X-Depends-On")
        answer, _ = site.ask(method, "/g/declares", said(OTHER))
        assert not answer.all("ETag") and not answer.all("X-Depends-On")


# --- in front of others ---

@pytest.mark.parametrize("cache, quick", [("cache_disk", "On"), ("cache_disk", "Off"), ("cache_socache", "On")])
def test_cache(new_httpd, backend, cache, quick):
    """mod_cache stores what was got, revalidates it by its tag, and has no part in what was posted."""
    where = 'CacheRoot "@ROOT@/run"\nCacheEnable disk /g/' if cache == "cache_disk" else "CacheEnable socache /g/"
    server = new_httpd(f"{where}\nCacheQuickHandler {quick}\n" + conf(backend.url, {
        "post": 'ETagVersionGraphQLPost On\nETagVersionCacheControl "max-age=0"'}), f"proxy {cache}")
    site = Site(server, backend)
    target = url("/g/post", LIST)
    tag = site.tag("GET", target)
    assert site.server.get(target, tag=tag).status == 304
    before = backend.calls()
    assert server.get(target).etag == tag
    server.bump("spectra")
    assert not site.holds(tag, "GET", target)
    assert backend.calls() > before
    for method in ("POST", "QUERY"):
        tag = site.tag(method, "/g/post", said(LIST))
        assert site.holds(tag, method, "/g/post", said(LIST))
        answer, asked = site.ask(method, "/g/post", said(LIST))
        assert asked and answer.etag == tag
        answer, asked = site.ask(method, "/g/post", said(MUTATION))
        assert asked and not answer.all("ETag")


def test_subrequest(new_httpd, backend, says):
    """A page that includes a GraphQL answer has no tag of that one, and a posted form leaves it alone."""
    server = new_httpd(f"""
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
<Directory "@ROOT@/htdocs">
  Options +Includes
</Directory>
{conf(backend.url, {"post": PLACES["post"]})}
""", "proxy include mime", start=False)
    server.write("htdocs/page.shtml", f'<!--#include virtual="{url("/g/post", LIST)}" -->\n')
    server.start()
    says("/g/post", {"data": "included"})
    for _ in range(2):
        answer = server.get("/page.shtml")
        assert answer.status == 200 and "included" in answer.text and not answer.all("ETag"), answer
    answer = server.request("POST", "/page.shtml", [("Content-Type", "application/json")],
                            json.dumps(said(LIST)).encode())
    assert "included" in answer.text or answer.status == 405
