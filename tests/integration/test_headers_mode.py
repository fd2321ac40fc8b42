# SPDX-License-Identifier: Apache-2.0
"""Mode Headers: tags from what the application says about a response, without reading its body."""
import os

import pytest

from harness.origin import held_back, script_of
from harness.reader import Reader, is_headers
from harness.tags import digest, is_version

SITE = """
ETagVersionSecret the-same-on-all-hosts
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
<Location /o/>
  ETagVersion Headers
</Location>
<Location /o/named>
  ETagVersionHeaders X-Total-Count Last-Modified
</Location>
<Location /o/one>
  ETagVersionHeaders X-Revision
</Location>
<Location /o/added>
  ETagVersionHeaders +X-Revision
</Location>
<Location /o/taken>
  ETagVersionHeaders +x-revision -last-modified -CONTENT-LENGTH
</Location>
<Location /o/weak_words>
  ETagVersionHeaders Content-Length Content-Type
</Location>
<Location /o/length>
  ETagVersionHeaders Content-Length
</Location>
<Location /o/none>
  ETagVersionHeaders none
</Location>
<Location /o/strong>
  ETagVersionStrength Strong
</Location>
<Location /o/user>
  ETagVersionIdentity cookie:sid
</Location>
<Location /o/everyone>
  ETagVersionIdentity none
</Location>
<Location /o/kind>
  ETagVersionVary X-Kind
</Location>
<Location /o/replace>
  ETagVersionUpstreamETag Replace
</Location>
<Location /o/packed>
  SetOutputFilter DEFLATE
</Location>
"""
DATE = "Last-Modified: Thu, 19 Nov 1981 08:52:00 GMT"
LATER = "Last-Modified: Thu, 19 Nov 1981 08:53:00 GMT"


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    origin = shared_origin()
    server = shared_httpd(SITE.replace("@ORIGIN@", origin.url), "proxy filter deflate")
    server.origin = origin
    return server


def answer_to(server, path, *fields, body="body", headers=(), **more):
    server.origin.on(path, script_of(body, *fields, **more))
    return server.get(path, headers)


def tag_of(server, path, *fields, **more):
    answer = answer_to(server, path, *fields, **more)
    assert answer.status == 200 and is_headers(answer.etag), (server.why(answer), answer)
    return answer.etag


def test_default(server):
    """Last-Modified and Content-Length."""
    tag = tag_of(server, "/o/x", DATE)
    assert tag.startswith('W/"h')
    assert tag_of(server, "/o/x", DATE) == tag
    assert tag_of(server, "/o/x", DATE, body="else") == tag, "the body is not looked at"
    assert tag_of(server, "/o/x", LATER) != tag
    assert tag_of(server, "/o/x", DATE, body="longer") != tag
    assert tag_of(server, "/o/x", DATE, "X-Other: 1", media="text/html") == tag


def test_life_of_a_tag(server):
    path, body = "/o/life", "the body\n"
    tag = tag_of(server, path, DATE, body=body)
    first = server.get(path)
    assert server.why(first) == "fresh" and first.text == body
    calls = server.origin.calls(path)
    again = server.get(path, tag=tag)
    assert (again.status, again.etag, again.body) == (304, tag, b"") and server.why(again) == "late-304"
    assert server.origin.calls(path) == calls + 1 and server.origin.last(path).get("If-None-Match") is None
    assert again.one("Last-Modified") and not again.all("Content-Length") and not again.all("Content-Type")
    changed = server.get(path, tag='W/"h0123456789012345678901"')
    assert changed.status == 200 and changed.text == body and server.why(changed) == "changed"
    assert server.get(path, [("If-Modified-Since", DATE[15:])]).status == 304
    assert server.get(path, [("If-Match", tag)]).status == 412, "If-Match compares strongly"
    assert server.get(path, [("If-Match", "*")]).status == 200


# Path, fields, more for script_of: no tag.
MISSING = {
    "no date": ("/o/x", [], {}),
    "no length": ("/o/x", [DATE], {"how": "chunked"}),
    "no length until the end": ("/o/x", [DATE], {"how": "close"}),
    "one of two": ("/o/named", [DATE], {}),
    "other of two": ("/o/named", ["X-Total-Count: 3"], {}),
    "none of one": ("/o/one", [DATE], {}),
    "none of the added": ("/o/added", [DATE], {}),
    "too little": ("/o/weak_words", [DATE], {}),
    "length alone": ("/o/length", [DATE], {}),
    "none": ("/o/none", [DATE], {}),
    "created": ("/o/x", [DATE], {"status": "201 Created"}),
    "not found": ("/o/x", [DATE], {"status": "404 Not Found"}),
    "partial": ("/o/x", [DATE, "Content-Range: bytes 0-3/9"], {"status": "206 Partial Content"}),
    "no-store": ("/o/x", [DATE, "Cache-Control: max-age=1, no-store"], {}),
    "private": ("/o/x", [DATE, "Cache-Control: private"], {}),
    "set-cookie": ("/o/x", [DATE, "Set-Cookie: a=b"], {}),
    "vary": ("/o/x", [DATE, "Vary: X-Unnamed"], {}),
    "vary on everything": ("/o/x", [DATE, "Vary: *"], {}),
    "vary on cookies": ("/o/x", [DATE, "Vary: Cookie"], {}),
    "age": ("/o/x", [DATE, "Age: 1"], {}),
}
WORDS = {"no-store": "no-store", "private": "private", "set-cookie": "set-cookie", "vary": "vary", "age": "cached",
         "vary on everything": "vary", "not found": "status", "created": "status", "partial": "status"}


@pytest.mark.parametrize("name", MISSING)
def test_no_tag(server, name):
    path, fields, more = MISSING[name]
    server.log.expect("the response varies on X-Unnamed", optional=True)
    answer = answer_to(server, path, *fields, **more)
    assert answer.etag is None and answer.text == "body", answer
    why = server.why(answer)
    assert why and why not in ("fresh", "changed") and why == WORDS.get(name, why)


@pytest.mark.parametrize("path, one, other", [
    ("/o/named", ["X-Total-Count: 3", DATE], ["X-Total-Count: 4", DATE]),
    ("/o/named", ["X-Total-Count: 3", DATE], ["X-Total-Count: 3", LATER]),
    ("/o/one", ["X-Revision: a"], ["X-Revision: b"]),
    ("/o/one", ["X-Revision: a"], ["X-Revision: a", "X-Revision: a"]),
    ("/o/one", ["X-Revision: a", "X-Revision: b"], ["X-Revision: b", "X-Revision: a"]),
    ("/o/added", ["X-Revision: a", DATE], ["X-Revision: b", DATE]),
    ("/o/added", ["X-Revision: a", DATE], ["X-Revision: a", LATER]),
    ("/o/taken", ["X-Revision: a"], ["X-Revision: b"]),
])
def test_values_make_tags(server, path, one, other):
    first = tag_of(server, path, *one)
    without_length = path in ("/o/one", "/o/taken", "/o/named")
    if without_length:
        assert tag_of(server, path, *one, body="another body", how="chunked") == first
    assert tag_of(server, path, *other) != first


def test_names_without_regard_to_case(server):
    tag = tag_of(server, "/o/one", "X-Revision: a")
    assert tag_of(server, "/o/one", "x-REVISION: a") == tag
    assert tag_of(server, "/o/one", "X-Revision: A") != tag


def test_bound_to_url_and_host(server):
    """Other than content tags: these headers say nothing about which page this is."""
    tag = tag_of(server, "/o/x", DATE)
    seen = {tag, tag_of(server, "/o/y", DATE), server.get("/o/x?a=b", ()).etag,
            server.get("/o/x", host="another.example").etag}
    assert len(seen) == 4 and all(map(is_headers, seen))
    assert server.get("/o/y", tag=tag).status == 200


def test_identity(server):
    alice, bob = [("Cookie", "sid=alice")], [("Cookie", "sid=bob")]
    tags = [answer_to(server, "/o/user", DATE, headers=user).etag for user in (alice, bob, [])]
    assert len(set(tags)) == 3 and all(map(is_headers, tags)), tags
    answer = server.get("/o/user", alice, tag=tags[0])
    assert answer.status == 304 and "cookie" in answer.members("Vary")
    assert "private" in server.get("/o/user", alice).members("Cache-Control")
    assert server.get("/o/user", bob, tag=tags[0]).status == 200
    answer = answer_to(server, "/o/x", DATE, headers=alice)
    assert answer.etag is None and server.why(answer) == "identity"
    answer = answer_to(server, "/o/x", DATE, headers=[("Authorization", "Basic eDp5")])
    assert answer.etag is None and server.why(answer) == "identity"
    assert is_headers(answer_to(server, "/o/everyone", DATE, "Set-Cookie: a=b", "Cache-Control: private",
                                headers=alice).etag)


def test_vary(server):
    one = answer_to(server, "/o/kind", DATE, "Vary: X-Kind", headers=[("X-Kind", "1")])
    two = server.get("/o/kind", [("X-Kind", "2")])
    assert is_headers(one.etag) and is_headers(two.etag) and one.etag != two.etag
    assert server.get("/o/kind", [("X-Kind", "2")], tag=one.etag).status == 200


def test_strength(server):
    tag = tag_of(server, "/o/strong", DATE)
    assert tag.startswith('"h')
    assert server.get("/o/strong", [("If-Match", tag)]).status == 200
    assert server.get("/o/strong", tag="W/" + tag).status == 304


def test_backends_own_tag(server):
    answer = answer_to(server, "/o/x", DATE, 'ETag: "theirs"')
    assert answer.etag == '"theirs"' and server.why(answer) == "kept"
    assert server.get("/o/x", tag='"theirs"').status == 304
    tag = tag_of(server, "/o/replace", DATE, 'ETag: "theirs"')
    assert server.get("/o/replace", tag='"theirs"').status == 200
    assert server.get("/o/replace", tag=tag).status == 304


def test_encoded(server):
    """mod_deflate takes the length away after it was looked at."""
    accept = [("Accept-Encoding", "gzip")]
    answer = answer_to(server, "/o/packed", DATE, body="words " * 500, headers=accept)
    assert answer.one("Content-Encoding") == "gzip" and is_headers(answer.etag)
    assert answer.etag.startswith("W/") and answer.etag.endswith('-gzip"')
    assert "accept-encoding" in answer.members("Vary")
    again = server.get("/o/packed", accept, tag=answer.etag)
    assert again.status == 304 and again.etag == answer.etag and "accept-encoding" in again.members("Vary")
    plain = server.get("/o/packed")
    assert not plain.one("Content-Encoding") and digest(plain.etag) == digest(answer.etag)
    assert server.get("/o/packed", tag=answer.etag).status == 200, "this client cannot read gzip"
    assert server.get("/o/packed", accept, tag=plain.etag).status == 304


@pytest.mark.parametrize("proto", ["1.1", "1.0"])
def test_head(server, proto):
    """The same headers, the same tag; the backend is asked with HEAD."""
    tag = tag_of(server, "/o/head", DATE)
    answer = server.request("HEAD", "/o/head", proto=proto)
    assert (answer.status, answer.etag, answer.one("Content-Length")) == (200, tag, "4")
    assert server.origin.last("/o/head").method == "HEAD"
    assert server.request("HEAD", "/o/head", [("If-None-Match", tag)], proto=proto).status == 304


def test_range(server):
    """A weak tag never satisfies If-Range; a backend's 206 stays as it is."""
    tag = tag_of(server, "/o/x", DATE)
    answer = server.get("/o/x", [("Range", "bytes=0-1"), ("If-Range", tag)])
    assert (answer.status, answer.text) == (200, "body")
    server.origin.on("/o/x", script_of("bo", DATE, "Content-Range: bytes 0-1/4", status="206 Partial Content"))
    answer = server.get("/o/x", [("Range", "bytes=0-1")])
    assert (answer.status, answer.text, answer.etag) == (206, "bo", None)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_nothing_is_buffered(server, version):
    """The head and the beginning arrive while the backend holds the rest back."""
    path, signal = f"/o/one/held{version}", f"rest{version}"
    server.origin.on(path, held_back(b"beginning", b" and end", "X-Revision: 7", signal=signal))
    with Reader(server.port) as reader:
        answer = reader.ask(path, version=version).begin()
        assert is_headers(answer.etag) or version == "1.0"
        reader.arrived(b"beginning")
        assert not server.origin.said(signal)
        server.origin.say(signal)
        assert reader.rest().text == "beginning and end"


def test_static_files(new_httpd):
    server = new_httpd("ETagVersionSecret the-same-on-all-hosts\n<Location />\nETagVersion Headers\n"
                       "ETagVersionUpstreamETag Replace\n</Location>", start=False)
    file = server.write("htdocs/x.txt", "static\n")
    os.utime(file, (1e9, 1e9))
    server.start()
    tag = server.get("/x.txt").etag
    assert is_headers(tag) and server.get("/x.txt", tag=tag).status == 304
    os.utime(file, (1e9 + 60, 1e9 + 60))
    answer = server.get("/x.txt", tag=tag)
    assert answer.status == 200 and is_headers(answer.etag) and answer.etag != tag
    assert server.request("HEAD", "/x.txt").etag == answer.etag


def test_hosts_and_secrets(new_httpd, new_origin):
    """Tags are the same wherever the secret is; a restart changes nothing."""
    origin = new_origin()
    origin.default = script_of("body", DATE)
    conf = SITE.replace("@ORIGIN@", origin.url)
    one, two, stranger = (new_httpd(text, "proxy filter deflate") for text in
                          (conf, conf, conf.replace("the-same-on-all-hosts", "quite-another-secret")))
    tag = one.get("/o/x").etag
    assert is_headers(tag) and two.get("/o/x", tag=tag).status == 304
    assert stranger.get("/o/x", tag=tag).status == 200
    one.restart()
    assert one.get("/o/x", tag=tag).status == 304


def test_other_modes_know_nothing_of_it(new_httpd, new_origin):
    origin = new_origin()
    origin.default = script_of("body", DATE)
    server = new_httpd(SITE.replace("@ORIGIN@", origin.url) + "<Location /o/version>\nETagVersion Version\n"
                       "ETagVersionModels m\n</Location>\n<Location /o/models>\nETagVersionModels m\n</Location>",
                       "proxy filter deflate")
    assert is_version(server.get("/o/version").etag)
    assert is_headers(server.get("/o/models").etag)
    tag = server.get("/o/models").etag
    server.bump("m")
    assert server.get("/o/models", tag=tag).status == 304, "versions have no part in it"
