# SPDX-License-Identifier: Apache-2.0
"""The admin handler: bumps and versions over HTTP."""
import json

import pytest

from harness.client import request_bytes
from harness.tags import is_version

CONF = """
@STORE@
ETagVersionStoreTimeout connect=10s command=10s
<Location /admin>
  SetHandler etag-version-admin
  ETagVersionServe admin
</Location>
<Location /closed>
  SetHandler etag-version-admin
</Location>
<Location /covered>
  SetHandler etag-version-admin
  ETagVersionServe admin
  ETagVersion On
  ETagVersionModels m
  ETagVersionIdentity none
  ETagVersionCacheControl set max-age=60
  ETagVersionHead AsGet
</Location>
<Location /page.html>
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels shop.Item
</Location>
"""
FORM = [("Content-Type", "application/x-www-form-urlencoded")]
JSON = [("Content-Type", "application/json")]


@pytest.fixture(scope="module", params=["local", "redis"])
def server(request, shared_httpd, shared_redis):
    redis = shared_redis() if request.param == "redis" else None
    store = f"ETagVersionStore {redis.url}" if redis else ""
    server = shared_httpd(CONF.replace("@STORE@", store), "static include", start=False)
    server.write("htdocs/page.html", "a page\n")
    server.redis = redis
    return server.start()


def post(server, body=b"", headers=FORM, target="/admin", **more):
    return server.request("POST", target, headers, body, **more)


def read(answer, status=200):
    """The JSON of an answer, whose headers are those of an API."""
    assert answer.status == status, answer
    assert answer.one("Content-Type") == "application/json"
    assert answer.one("Cache-Control") == "no-store"
    assert answer.one("X-Content-Type-Options") == "nosniff"
    assert answer.etag is None and answer.one("Vary") is None
    return json.loads(answer.body)


def refused(answer, status, word=""):
    said = read(answer, status)
    assert set(said) == {"error"} and word in said["error"], said


def names(entries):
    return [entry["model"] for entry in entries]


# --- bumps ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("body, headers, target, expected", [
    (b"model=a", FORM, "/admin", ["a"]),
    (b"model=a&model=b", FORM, "/admin", ["a", "b"]),
    (b"model=caf%C3%A9+x%26", FORM, "/admin", ["caf\u00e9 x&"]),
    (b"model=a", [("Content-Type", "Application/X-WWW-Form-Urlencoded; charset=utf-8")], "/admin", ["a"]),
    (b'{"models":["a","b"]}', JSON, "/admin", ["a", "b"]),
    (b'{"model":"a"}', [("Content-Type", "application/json;charset=UTF-8")], "/admin", ["a"]),
    (b'{"bumps":[{"model":"b"},{"model":"a"}]}', JSON, "/admin", ["b", "a"]),
    (b"", [], "/admin?model=a&model=b", ["a", "b"]),
    (None, [], "/admin?model=a", ["a"]),
    (b"model=b&model=a", FORM, "/admin?model=a", ["a", "b"]),
    (b'{"models":["c"]}', JSON, "/admin?model=a", ["a", "c"]),
], ids=lambda value: None)
def test_bumps(server, body, headers, target, expected):
    said = read(post(server, body, headers, target))
    assert set(said) == {"bumped", "unchanged"} and said["unchanged"] == []
    assert names(said["bumped"]) == expected
    for entry in said["bumped"]:
        assert entry["version"].isdigit() and int(entry["version"]) < 2 ** 63
        assert entry["token_time"].endswith("Z")


@pytest.mark.parametrize("proto", ["1.1", "1.0"])
def test_a_bump_changes_the_tag(server, proto):
    read(post(server, b"model=shop.Item"))
    tag = server.get("/page.html").etag
    assert is_version(tag) and server.get("/page.html", tag=tag).status == 304
    read(post(server, b"model=shop.Item", proto=proto))
    assert server.get("/page.html", tag=tag).status == 200
    tag = server.get("/page.html").etag
    assert server.get("/page.html", tag=tag).status == 304


def test_many_models(server):
    models = [f"many.{i}" for i in range(128)]
    said = read(post(server, json.dumps({"models": models}).encode(), JSON))
    assert names(said["bumped"]) == models
    assert len({entry["version"] for entry in said["bumped"]}) == 128
    shown = read(server.get("/admin?" + "&".join(f"model={m}" for m in models[:100])))["versions"]
    assert [(e["model"], e["version"]) for e in shown] == [(e["model"], e["version"]) for e in said["bumped"][:100]]
    refused(post(server, json.dumps({"models": models + ["more"]}).encode(), JSON), 400, "128")


def test_tokens_are_those_of_the_store(server):
    first, second = (read(post(server, b"model=t"))["bumped"][0]["version"] for _ in range(2))
    assert first != second
    assert read(server.get("/admin?model=t"))["versions"][0]["version"] == second
    if server.redis:
        assert server.redis("GET", "model_version:t").decode() == second


def test_if_digest(server):
    def bump(digest, model="digested"):
        said = read(post(server, json.dumps({"model": model, "if-digest": digest}).encode(), JSON))
        (entry,) = said["bumped"] + said["unchanged"]
        return bool(said["bumped"]), entry["version"]
    assert bump("one")[0]
    changed, version = bump("one")
    assert not changed
    assert bump("one") == (False, version)
    changed, other = bump("two")
    assert changed and other != version
    assert bump("two") == (False, other)
    assert bump("one")[0]
    read(post(server, b"model=digested"))  # by somebody who does not say of what data
    assert bump("one")[0]


def test_if_digest_in_a_form_and_among_others(server):
    assert names(read(post(server, b"model=f&if-digest=sha-256%3D%3Ax"))["bumped"]) == ["f"]
    assert names(read(post(server, b"", [], "/admin?model=f&if-digest=sha-256%3d:x"))["unchanged"]) == ["f"]
    body = {"bumps": [{"model": "f", "if-digest": "sha-256=:x"}, {"model": "g"}, {"model": "h", "if-digest": "1"}]}
    said = read(post(server, json.dumps(body).encode(), JSON))
    assert names(said["unchanged"]) == ["f"] and sorted(names(said["bumped"])) == ["g", "h"]


# --- versions -------------------------------------------------------------------------------------

def test_versions_and_ages(server):
    version = read(post(server, b"model=seen"))["bumped"][0]["version"]
    for target in ("/admin?model=seen&model=never", "/admin?model=seen&model=never&model=seen"):
        seen, never = read(server.get(target))["versions"]
        assert seen["state"] == "found" and seen["version"] == version and seen["age_seconds"] >= 0
        assert never == {"model": "never", "state": "absent"}  # and it was not created


def test_head(server):
    answer = server.request("HEAD", "/admin?model=a")
    assert answer.status == 200 and answer.body == b"" and answer.etag is None
    assert answer.one("Content-Type") == "application/json"
    assert server.request("HEAD", "/admin").status == 400


def test_page_for_people(server):
    answer = server.get("/admin", [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")])
    assert answer.status == 200 and answer.one("Content-Type") == "text/html; charset=utf-8"
    assert '<form method="post">' in answer.text and "<script" not in answer.text
    assert "default-src 'none'" in answer.one("Content-Security-Policy")
    assert answer.one("Referrer-Policy") == "same-origin"  # else the form's own POST would have no Origin
    assert answer.one("Cache-Control") == "no-store" and answer.etag is None
    refused(server.get("/admin"), 400, "?model=NAME")
    refused(server.get("/admin", [("Accept", "application/json")]), 400)


# --- what is refused ------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "FOO"])
def test_other_methods(server, method):
    answer = server.request(method, "/admin?model=a", body=b"")
    refused(answer, 405)
    assert answer.members("Allow") == ["get", "head", "options", "post"]


def test_options(server):
    answer = server.request("OPTIONS", "/admin")
    assert answer.status == 200
    assert {"get", "head", "options", "post"} <= set(answer.members("Allow"))


@pytest.mark.parametrize("type_", ["text/plain", "application/xml", "multipart/form-data; boundary=x",
                                   "application/json5", "application/*", "nonsense", None])
def test_media_types(server, type_):
    answer = post(server, b"model=a", [("Content-Type", type_)] if type_ else [])
    refused(answer, 415)
    assert answer.members("Accept-Post") == ["application/json", "application/x-www-form-urlencoded"]


@pytest.mark.parametrize("coding", ["gzip", "br", "identity"])
def test_encoded_bodies(server, coding):
    refused(post(server, b"model=a", FORM + [("Content-Encoding", coding)]), 415, "encoded")


@pytest.mark.parametrize("body, headers, target", [
    (b"", FORM, "/admin"),
    (b"", [], "/admin?"),
    (b"&", FORM, "/admin"),
    (b"x=1", FORM, "/admin"),
    (b"model=%", FORM, "/admin"),
    (b"model=%00", FORM, "/admin"),
    (b"model=a\x00b", FORM, "/admin"),
    (b"model=%ff", FORM, "/admin"),
    (b"model=%25epoch", FORM, "/admin"),
    (b"model=a", FORM, "/admin?x=1"),
    (b"model=a", FORM, "/admin?model=%zz"),
    (b"model=a", FORM, "/admin?model=a&if-digest=x"),
    (b"model=a&model=b&if-digest=x", FORM, "/admin"),
    (b"{", JSON, "/admin"),
    (b"{}", JSON, "/admin"),
    (b'{"models":["a"],"models":["b"]}', JSON, "/admin"),
    (b'{"models":["a"],"x":1}', JSON, "/admin"),
    (b'{"models":[["a"]]}', JSON, "/admin"),
    (b'{"model":"\xff"}', JSON, "/admin"),
    (b'{"model":"\\u0000"}', JSON, "/admin"),
    (b"model=a", JSON, "/admin"),
    (b'{"models":["a"]}', FORM, "/admin"),
], ids=lambda value: None)
def test_wrong_bodies(server, body, headers, target):
    refused(post(server, body, headers, target), 400)


@pytest.mark.parametrize("target", ["/admin?model=", "/admin?x=1", "/admin?model=%00", "/admin?&",
                                    "/admin?model=a&if-digest=x", "/admin?model=%c0%af"])
def test_wrong_queries(server, target):
    refused(server.get(target), 400)


def test_large_bodies(server):
    just = b"model=a" + b"&" * (65536 - 7)
    assert names(read(post(server, just))["bumped"]) == ["a"]
    refused(post(server, just + b"&"), 413, "65536")
    chunked = FORM + [("Transfer-Encoding", "chunked")]
    assert names(read(post(server, chunks(just, 10000), chunked))["bumped"]) == ["a"]
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/admin", chunked, chunks(just + b"&", 10000)[:-5]))
        refused(connection.read_response("POST"), 413)  # without the end of it
    with server.connect() as connection:  # a length is enough
        connection.send(request_bytes("POST", "/admin", FORM + [("Content-Length", "65537"), ("Expect", "100-continue")]))
        answer = connection.read_response("POST")
        assert answer.status == 413 and answer.one("Connection") == "close"


def chunks(body, size):
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_expect_continue(server):
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/admin", FORM + [("Content-Length", "7"), ("Expect", "100-continue")]))
        assert connection._until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")  # pylint: disable=protected-access
        connection.send(b"model=a")
        assert names(read(connection.read_response("POST"))["bumped"]) == ["a"]


@pytest.mark.parametrize("head, body", [
    (FORM + [("Content-Length", "20")], b"model=a"),
    (FORM + [("Transfer-Encoding", "chunked")], b"7\r\nmodel=a\r\n"),
    (FORM + [("Transfer-Encoding", "chunked")], b"xyz\r\nmodel=a\r\n0\r\n\r\n"),
], ids=["length", "chunk", "no-chunk"])
def test_broken_bodies_bump_nothing(server, head, body):
    before = read(server.get("/admin?model=a"))["versions"]
    with server.connect() as connection:
        connection.send(request_bytes("POST", "/admin", head) + body)
        connection._sock.shutdown(1)  # pylint: disable=protected-access
        answer = connection.read_response("POST")
    assert answer.status == 400, answer
    after = read(server.get("/admin?model=a"))["versions"]
    assert [e.get("version") for e in before] == [e.get("version") for e in after]


# --- other sites ----------------------------------------------------------------------------------

@pytest.mark.parametrize("headers, host, allowed", [
    ([], "localhost", True),
    ([("Sec-Fetch-Site", "same-origin")], "localhost", True),
    ([("Sec-Fetch-Site", "none")], "localhost", True),
    ([("Sec-Fetch-Site", "same-site")], "localhost", False),
    ([("Sec-Fetch-Site", "cross-site")], "localhost", False),
    ([("Sec-Fetch-Site", "")], "localhost", False),
    ([("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "none")], "localhost", False),
    ([("Origin", "http://localhost")], "localhost", True),
    ([("Origin", "http://localhost:80")], "localhost", True),
    ([("Origin", "http://localhost")], "localhost:80", True),
    ([("Origin", "HTTP://LOCALHOST")], "localhost", True),
    ([("Origin", "http://localhost:8080")], "localhost:8080", True),
    ([("Origin", "http://[::1]:8080")], "[::1]:8080", True),
    ([("Origin", "http://localhost")], "localhost:8080", False),
    ([("Origin", "http://localhost:8080")], "localhost", False),
    ([("Origin", "https://localhost")], "localhost", False),
    ([("Origin", "https://localhost:80")], "localhost", False),
    ([("Origin", "http://localhost.evil.example")], "localhost", False),
    ([("Origin", "http://evil.example")], "localhost", False),
    ([("Origin", "null")], "localhost", False),
    ([("Origin", "")], "localhost", False),
    ([("Origin", "http://localhost"), ("Origin", "http://evil.example")], "localhost", False),
    ([("Origin", "http://localhost"), ("Sec-Fetch-Site", "cross-site")], "localhost", False),
], ids=lambda value: None)
def test_other_sites(server, headers, host, allowed):
    answer = post(server, b"model=a", FORM + headers, host=host)
    if allowed:
        read(answer)
    else:
        refused(answer, 403, "another site")


# --- where it is open -----------------------------------------------------------------------------

def test_closed_unless_served(server):
    for answer in (post(server, b"model=a", target="/closed"), server.get("/closed?model=a"),
                   server.request("OPTIONS", "/closed")):
        assert answer.status == 404


def test_own_filters_leave_it_alone(server):
    answer = server.get("/covered?model=a")
    read(answer)
    assert answer.one("Content-Length") == str(len(answer.body))
    read(server.get("/covered?model=a", tag="*"))
    read(post(server, b"model=a", target="/covered"))
    assert server.request("HEAD", "/covered?model=a").body == b""


def test_not_within_other_pages(new_httpd):
    server = new_httpd("""
        <Location /admin>
          SetHandler etag-version-admin
          ETagVersionServe admin
        </Location>
        <Location /x.shtml>
          Options +Includes
          SetOutputFilter INCLUDES
        </Location>
        ErrorDocument 404 /admin?model=a
        """, "include static")
    server.write("htdocs/x.shtml", '<!--#include virtual="/admin?model=a" -->')
    server.log.expect("unable to include", optional=True)
    assert "versions" not in server.get("/x.shtml").text
    answer = server.get("/no-such-file")
    assert answer.status == 404 and "versions" not in answer.text


def test_htaccess_cannot_open_it(new_httpd):
    server = new_httpd("<Directory @ROOT@/htdocs>\n  AllowOverride All\n</Directory>")
    server.write("htdocs/d/x", "x")
    server.write("htdocs/d/.htaccess", "SetHandler etag-version-admin\n")
    assert server.get("/d/x?model=a").status == 404
    server.write("htdocs/d/.htaccess", "SetHandler etag-version-admin\nETagVersionServe admin\n")
    server.log.expect("not allowed here")
    assert server.get("/d/x?model=a").status == 500


def test_access_is_httpds(new_httpd):
    server = new_httpd("""
        <Location /admin>
          SetHandler etag-version-admin
          ETagVersionServe admin
          Require all denied
        </Location>""")
    server.log.expect("client denied", optional=True)
    assert post(server, b"model=a").status == 403 and server.get("/admin?model=a").status == 403


def test_h2(new_httpd):
    server = new_httpd("Protocols h2c http/1.1\n" + CONF.replace("@STORE@", ""), "h2")
    answer = server.request("POST", "/admin", FORM, b"model=a&model=b", proto="h2")
    assert answer.status == 200 and names(json.loads(answer.body)["bumped"]) == ["a", "b"]
    answer = server.request("POST", "/admin", FORM + [("Origin", f"http://localhost:{server.port}")], b"model=a",
                            proto="h2", host=f"localhost:{server.port}")
    assert answer.status == 200
    answer = server.request("POST", "/admin", FORM + [("Origin", "http://evil.example")], b"model=a", proto="h2")
    assert answer.status == 403


# --- what Redis holds -----------------------------------------------------------------------------

def test_what_redis_holds(new_httpd, new_redis):
    redis = new_redis()
    server = new_httpd(CONF.replace("@STORE@", f"ETagVersionStore {redis.url}\nETagVersionFreshness strict"))
    redis("SET", "model_version:text", "release-7")
    redis("SET", "model_version:bytes", b"\x00\xff")
    redis("SET", "model_version:long", "x" * 100)
    redis("SET", "model_version:huge", "x" * 600)
    said = read(server.get("/admin?model=text&model=bytes&model=long&model=huge&model=none"))["versions"]
    for entry in said:
        entry.pop("age_seconds", None)
    assert said == [
        {"model": "text", "version": "release-7", "state": "found"},
        {"model": "bytes", "version": None, "version_base64": "AP8=", "state": "found"},
        {"model": "long", "version": None, "opaque": True, "state": "found"},
        {"model": "huge", "state": "unusable"},
        {"model": "none", "state": "absent"}]
    assert redis("EXISTS", "model_version:none") == 0
    token = read(post(server, b"model=none"))["bumped"][0]["version"]
    assert redis("GET", "model_version:none").decode() == token
