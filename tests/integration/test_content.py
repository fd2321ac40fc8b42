# SPDX-License-Identifier: Apache-2.0
"""Content tags: the same for the same bytes however they come, another one for anything else."""
import random
import shutil

import pytest

from harness import places
from harness.origin import cut, script_of
from harness.reader import is_content
from harness.tags import digest

SECRET = "ETagVersionSecret the-same-on-all-hosts\n"
PIECES = cut(random.Random(7).randbytes(80_000), 1, 14)[:10_000]
BODY = b"".join(PIECES)
GZIPPED = b"\x1f\x8b not really, but nobody here unpacks it"

WAYS = """
Protocols h2c http/1.1
ScriptSock @ROOT@/run/cgisock
ScriptAlias /cgi/ "@ROOT@/cgi/"
WSGIDestroyInterpreter Off
WSGIScriptAlias /wsgi @ROOT@/app.wsgi
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
ProxyPass /flush/ @ORIGIN@/flush/ disablereuse=on flushpackets=on
<Location />
  ETagVersion Content
  ETagVersionUpstreamETag Replace
</Location>
<Location /static/sendfile>
  EnableSendfile On
  EnableMMAP Off
</Location>
<Location /static/mmap>
  EnableSendfile Off
  EnableMMAP On
</Location>
<Location /static/both>
  EnableSendfile On
  EnableMMAP On
</Location>
<Location /static/neither>
  EnableSendfile Off
  EnableMMAP Off
</Location>
"""
CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n%s\\r\\n' "$2"
cat "{body}"
"""
CGI_LENGTH = CGI.replace("%s", "Content-Length: {length}\\r\\n")
WSGI = """
import sys
sys.path.insert(0, {harness!r})
from harness.origin import cut

def application(environ, start_response):
    body = open({body!r}, "rb").read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter(cut(body, 1, 14, seed=3))
"""
PATHS = ["/o/length", "/o/chunked", "/o/ten_thousand", "/o/close", "/flush/ten_thousand", "/flush/length",
         "/flush/close", "/cgi/plain.sh", "/cgi/length.sh", "/wsgi", "/static/sendfile/x.txt", "/static/mmap/x.txt",
         "/static/both/x.txt", "/static/neither/x.txt"]


def site(make, origin, conf, modules="proxy", **more):
    return make(SECRET + conf.replace("@ORIGIN@", origin.url), modules, **more)


@pytest.fixture(scope="module")
def ways(shared_httpd, shared_origin):
    """The same body by every way there is."""
    origin = shared_origin()
    for folder in ("o", "flush"):
        origin.on(f"/{folder}/length", script_of(BODY))
        origin.on(f"/{folder}/chunked", script_of(BODY, how="chunked"))
        origin.on(f"/{folder}/ten_thousand", script_of(BODY, how="chunked", pieces=PIECES))
        origin.on(f"/{folder}/close", script_of(BODY, "Connection: close", how="close"))
    server = site(shared_httpd, origin, WAYS, "proxy alias env cgid wsgi h2", start=False)
    body = server.write("body", BODY)
    server.write("cgi/plain.sh", CGI.format(body=body), 0o755)
    server.write("cgi/length.sh", CGI_LENGTH.format(body=body, length=len(BODY)), 0o755)
    shutil.copytree(places.REPO / "tests/integration/harness", server.root / "python/harness")
    server.write("app.wsgi", WSGI.format(body=str(body), harness=str(server.root / "python")))
    for folder in ("sendfile", "mmap", "both", "neither"):
        server.write(f"htdocs/static/{folder}/x.txt", BODY)
    return server.start()


@pytest.mark.parametrize("proto", ["1.1", "1.0", "h2"])
def test_one_body_has_one_tag(ways, proto):
    assert len(PIECES) == 10_000
    tags = {}
    for path in PATHS:
        answer = ways.get(path, proto=proto)
        assert answer.status == 200 and answer.body == BODY, (path, answer)
        tags[path] = answer.etag
    assert len(set(tags.values())) == 1 and is_content(tags[PATHS[0]]), tags
    assert tags[PATHS[0]].startswith('"c')
    assert tags[PATHS[0]] == ways.get(PATHS[0]).etag, "another protocol, another tag"


@pytest.mark.parametrize("path", PATHS)
def test_each_way_revalidates(ways, path):
    tag = ways.get(path).etag
    again = ways.get(path, tag=tag)
    assert again.status == 304 and again.etag == tag and again.body == b"", again
    assert ways.why(again) == "late-304"
    changed = ways.get(path, tag='"c0123456789012345678901"')
    assert changed.status == 200 and changed.body == BODY and ways.why(changed) == "changed"


VARIANTS = """
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
<Location /o/>
  ETagVersion Content
</Location>
<Location /o/weak>
  ETagVersionStrength Weak
</Location>
<Location /o/strong>
  ETagVersionStrength Strong
</Location>
<Location /o/default>
  ETagVersionStrength Default
</Location>
<Location /o/any>
  ETagVersionTypes *
</Location>
"""


@pytest.fixture(scope="module")
def plain(shared_httpd, shared_origin):
    """Mode Content in front of an origin that the tests fill."""
    origin = shared_origin()
    server = site(shared_httpd, origin, VARIANTS)
    server.origin = origin
    return server


def tag_of(server, body, *fields, path="/o/x", target=None, **more):
    """The tag for a response; `more` as for script_of."""
    server.origin.on(path, script_of(body, *fields, **more))
    answer = server.get(target or path)
    assert answer.status == 200
    return answer.etag


# The sizes at which the hash changes its way, and the blocks of memory their number.
SIZES = [1, 2, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 255, 256, 257, 1023, 1024, 1025, 8191, 8192, 8193, 16255,
         16256, 16383, 16384, 16385, 65535, 65536, 65537, 131_072, 200_001, 1_000_003]


def test_sizes_and_pieces(plain):
    data = random.Random(11).randbytes(max(SIZES))
    tags = {}
    for size in SIZES:
        body = data[:size]
        whole = tag_of(plain, body)
        assert is_content(whole), size
        for smallest, largest, seed in ((1, 3000, size), (4096, 70_000, size + 1)):
            pieces = cut(body, smallest, largest, seed)
            assert tag_of(plain, body, how="chunked", pieces=pieces) == whole, (size, smallest, largest, seed)
        assert tag_of(plain, body, how="close") == whole, size
        tags[size] = whole
    assert len(set(tags.values())) == len(SIZES)


def test_what_the_tag_depends_on(plain):
    """Every one of these differs from every other."""
    body = b"the same bytes\n"
    variants = [
        ((), {}),
        ((), {"media": "text/html"}),
        ((), {"media": "text/plain; charset=utf-8"}),
        ((), {"media": "text/plain;charset=iso-8859-1"}),
        (("Content-Language: en",), {}),
        (("Content-Language: en-GB",), {}),
        (("Content-Language: en, de",), {}),
        (("Content-Encoding: gzip",), {}),
        (("Content-Encoding: br",), {}),
        (("Content-Encoding: gzip", "Content-Language: en"), {}),
    ]
    tags = [tag_of(plain, body, *fields, **more) for fields, more in variants]
    assert all(map(is_content, tags)), tags
    assert len({digest(tag) for tag in tags}) == len(variants), tags
    for tag, (fields, _) in zip(tags, variants):
        coding = fields[0].split(": ")[1] if fields and "Encoding" in fields[0] else None
        assert tag.endswith(f'-{coding}"') == bool(coding) and tag.startswith("W/") == bool(coding), tag


def test_fields_cannot_be_moved_into_each_other(plain):
    """The end of one field is not the beginning of the next, nor the body's end a field."""
    seen = [tag_of(plain, body, *fields, media=media, path="/o/any") for body, media, *fields in (
        ("ab", "text/plain"), ("a", "btext/plain"), ("abtext/plain", None), ("ab", "text/plainx"),
        ("ab", "text/plain", "Content-Language: x"), ("ab\0text/plain", None),
        ("ab", None, "Content-Language: text/plain"),
        ("ab\n", "text/plain"), ("ab", "text/p", "Content-Language: lain"))]
    assert len(set(seen)) == len(seen) and all(map(is_content, seen)), seen


def test_what_the_tag_does_not_depend_on(plain):
    body = b"the same bytes\n"
    tag = tag_of(plain, body)
    assert is_content(tag)
    assert tag_of(plain, body, path="/o/other") == tag
    assert tag_of(plain, body, target="/o/x?query=1") == tag
    assert plain.get("/o/x", host="another.example").etag == tag
    sent = [("Cookie", "a=b"), ("Authorization", "Basic eDp5"), ("Accept-Language", "de")]
    assert plain.get("/o/x", sent).etag == tag
    for fields in (["Last-Modified: Thu, 19 Nov 1981 08:52:00 GMT"], ["X-Number: 5"], ["Set-Cookie: a=b"],
                   ["Cache-Control: private, max-age=5"], ["Vary: X-Unnamed"], ["Vary: *"],
                   ["Content-Location: /y"], ["Expires: 0"]):
        assert tag_of(plain, body, *fields) == tag, fields


def test_one_byte_makes_another_tag(plain):
    dice = random.Random(5)
    body = dice.randbytes(100_000)
    seen = {tag_of(plain, body)}
    for position in [0, 1, len(body) - 1, *dice.sample(range(len(body)), 20)]:
        changed = bytearray(body)
        changed[position] ^= 1 << dice.randrange(8)
        seen.add(tag_of(plain, bytes(changed)))
    seen |= {tag_of(plain, body + b"\0"), tag_of(plain, body[:-1]), tag_of(plain, b"\0" + body)}
    assert len(seen) == 1 + 23 + 3 and all(map(is_content, seen))


def test_strength(plain):
    weak, strong, default = (tag_of(plain, "text", path=f"/o/{name}") for name in ("weak", "strong", "default"))
    assert strong == default and is_content(strong) and strong.startswith('"c')
    assert weak == "W/" + strong
    assert plain.get("/o/weak", tag=weak).status == 304
    assert plain.get("/o/weak", tag=strong).status == 304, "If-None-Match compares weakly"
    assert plain.get("/o/strong", tag=weak).status == 304
    for path, tag, status in (("weak", weak, 412), ("weak", strong, 412), ("strong", strong, 200),
                              ("strong", weak, 412)):
        assert plain.get(f"/o/{path}", [("If-Match", tag)]).status == status, (path, tag)


def test_a_coded_tag_is_never_strong(plain):
    tag = tag_of(plain, GZIPPED, "Content-Encoding: gzip", path="/o/strong")
    assert tag.startswith('W/"c') and tag.endswith('-gzip"')


# --- media types ---------------------------------------------------------------------------------

DEFAULT_YES = ["text/plain", "text/html; charset=utf-8", "TEXT/CSS", "application/json",
               "application/json;charset=utf-8", 'application/json ; profile="a;b, text/event-stream"',
               "application/geo+json", "Application/Vnd.Api+JSON; ext=1", "application/javascript",
               "application/xml", "image/png", "image/svg+xml", "IMAGE/JPEG"]
DEFAULT_NO = ["application/octet-stream", "application/pdf", "video/mp4", "application/jsonx", "application/json-seq",
              "application/xhtml+xml", "font/woff2", "multipart/form-data; boundary=text/plain", "text", None]
STREAMS = ["text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace; boundary=x",
           "application/grpc", "application/grpc+proto", "application/grpc-web+proto"]
# Name of the location: its lines, the types that get a tag, and those that do not.
TYPES = {
    "default": ("", DEFAULT_YES, DEFAULT_NO),
    "all": ("ETagVersionTypes *", DEFAULT_YES + DEFAULT_NO, []),
    "replaced": ("ETagVersionTypes application/pdf video/*",
                 ["application/pdf", "APPLICATION/PDF", "video/mp4", "video/webm; codecs=x"],
                 ["text/plain", "application/json", "audio/mp4", "application/pdfx"]),
    "added": ("ETagVersionTypes +application/pdf", DEFAULT_YES + ["application/pdf"], ["video/mp4"]),
    "taken": ("ETagVersionTypes -image/* -application/json",
              ["text/plain", "application/geo+json"], ["image/png", "application/json"]),
    "both": ("ETagVersionTypes +Font/* -TEXT/*", ["font/woff2", "application/json"], ["text/plain"]),
    "suffix": ("ETagVersionTypes application/*+json",
               ["application/geo+json", "application/a+b+json", "Application/X+Json"],
               ["application/json", "text/x+json", "application/+jsonx", "application/geo+xml"]),
    "none": ("ETagVersionTypes none", [], DEFAULT_YES + DEFAULT_NO),
    "lines": ("ETagVersionTypes text/plain\nETagVersionTypes text/css", ["text/plain", "text/css"], ["text/html"]),
    "parameters": ("ETagVersionTypes text/html", ["text/html", "text/html;level=1", "text/html\t; a=b"],
                   ["text/htmlx", "xtext/html"]),
}


@pytest.fixture(scope="module")
def typed(shared_httpd, shared_origin):
    origin = shared_origin()
    sections = "".join(f"<Location /o/{name}>\n{lines}\n</Location>\n" for name, (lines, _, _) in TYPES.items())
    server = site(shared_httpd, origin, VARIANTS + sections)
    server.origin = origin
    return server


@pytest.mark.parametrize("name", TYPES)
def test_types(typed, name):
    _, tagged, untagged = TYPES[name]
    for media in tagged + untagged + STREAMS:
        typed.origin.on(f"/o/{name}", script_of("body\n", media=media))
        answer = typed.get(f"/o/{name}")
        assert answer.text == "body\n" and answer.one("Content-Type") == media
        why = typed.why(answer)
        if media in tagged:
            assert is_content(answer.etag) and why == "fresh", (media, why, answer)
        else:
            words = ("stream", "type") if media in STREAMS else ("type",)
            assert answer.etag is None and why in words, (media, why, answer)


def test_the_word_for_streams(typed):
    """Also where all types are covered."""
    for fields, media in ((["X-Accel-Buffering: no"], "text/plain"), (["x-accel-buffering: NO"], "application/json"),
                          *(([], media) for media in STREAMS)):
        typed.origin.on("/o/all", script_of("body\n", *fields, media=media))
        answer = typed.get("/o/all")
        assert answer.etag is None and typed.why(answer) == "stream", (fields, media)
    typed.origin.on("/o/all", script_of("body\n", "X-Accel-Buffering: yes"))
    assert is_content(typed.get("/o/all").etag)


# --- no tag --------------------------------------------------------------------------------------

NONE = {
    "created": (("x",), {"status": "201 Created"}, ("status",)),
    "non_authoritative": (("x",), {"status": "203 Non-Authoritative Information"}, ("status",)),
    "accepted": (("x",), {"status": "202 Accepted"}, ("status",)),
    "no_content": (("",), {"status": "204 No Content", "how": "none", "media": None}, ("status", "empty")),
    "partial": (("x", "Content-Range: bytes 0-0/9"), {"status": "206 Partial Content"}, ("status",)),
    "multiple_choices": (("x",), {"status": "300 Multiple Choices"}, ("status",)),
    "found": (("x", "Location: /y"), {"status": "302 Found"}, ("status",)),
    "not_found": (("x",), {"status": "404 Not Found"}, ("status",)),
    "error": (("x",), {"status": "500 Internal Server Error"}, ("status",)),
    "unavailable": (("x",), {"status": "503 Service Unavailable"}, ("status",)),
    "no_store": (("x", "Cache-Control: no-store"), {}, ("no-store",)),
    "no_store_last": (("x", "Cache-Control: max-age=5", "Cache-Control: foo=bar, No-Store"), {}, ("no-store",)),
    "no_store_value": (("x", "Cache-Control: no-store=1"), {}, ("no-store",)),
    "empty": (("",), {}, ("empty",)),
    "empty_chunked": (("",), {"how": "chunked"}, ("empty",)),
    "empty_close": (("",), {"how": "close"}, ("empty",)),
    "range_on_200": (("x", "Content-Range: bytes 0-0/9"), {}, None),
    "aged": (("x", "Age: 0"), {}, ("cached",)),
    "aged_more": (("x", "Age: 17"), {}, ("cached",)),
    "own": (("x", 'ETag: "theirs"'), {}, ("kept",)),
    "own_weak": (("x", 'ETag: W/"theirs"'), {}, ("kept",)),
}
SOME = {
    "quoted_no_store": ("x", 'Cache-Control: foo="a, no-store, b"'),
    "quoted_no_store_alone": ("x", 'Cache-Control: private="no-store"'),
    "longer_no_store": ("x", "Cache-Control: no-storex, xno-store"),
    "no_cache": ("x", "Cache-Control: no-cache"),
    "private": ("x", "Cache-Control: private"),
    "cookie": ("x", "Set-Cookie: a=b"),
    "vary": ("x", "Vary: X-Whatever, Cookie"),
    "vary_star": ("x", "Vary: *"),
}


@pytest.mark.parametrize("name", NONE)
def test_no_tag(plain, name):
    arguments, more, words = NONE[name]
    path = plain.origin.on(f"/o/{name}", script_of(*arguments, **more))
    own = next((field[6:] for field in arguments if field.startswith("ETag")), None)
    for proto in ("1.1", "1.0"):
        answer = plain.get(path, proto=proto)
        assert answer.status == int(more.get("status", "200")[:3]) and answer.text == arguments[0], answer
        assert answer.etag == own
        if words:
            assert plain.why(answer) in words
        for method in ("POST", "PUT", "DELETE"):
            assert plain.request(method, path, body=b"", proto=proto).etag == own


@pytest.mark.parametrize("name", SOME)
def test_no_obstacle(plain, name):
    path = plain.origin.on(f"/o/{name}", script_of(*SOME[name]))
    answer = plain.get(path)
    assert is_content(answer.etag) and plain.why(answer) == "fresh", plain.why(answer)
    again = plain.get(path, tag=answer.etag)
    assert again.status == 304 and again.etag == answer.etag


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(plain, method):
    """Their 200 is no representation of the target, and their conditions are the backend's."""
    path = plain.origin.on("/o/methods", script_of("the same\n"))
    tag = plain.get(path).etag
    answer = plain.request(method, path, [("If-None-Match", tag)], body=b"x")
    assert answer.status == 200 and answer.etag is None and answer.text == "the same\n"
    assert plain.origin.last(path).get("If-None-Match") == tag


STATIC = """
<Location />
  ETagVersion Content
  ETagVersionUpstreamETag Replace
</Location>
<Location /keep>
  ETagVersionUpstreamETag Keep
</Location>
<Location /none>
  FileETag None
</Location>
<Location /included>
  Options +Includes
  AddOutputFilter INCLUDES .shtml
</Location>
"""


@pytest.fixture(scope="module")
def static(shared_httpd):
    server = shared_httpd(SECRET + STATIC, "include", start=False)
    for folder in ("keep", "none", "included", "plain"):
        server.write(f"htdocs/{folder}/x.txt", f"{folder}\n")
    server.write("htdocs/plain/empty.txt", "")
    server.write("htdocs/included/page.shtml", 'before <!--#include virtual="x.txt" --> after\n')
    return server.start()


def test_static_files(static):
    tag = static.get("/plain/x.txt").etag
    assert is_content(tag)
    kept = static.get("/keep/x.txt")
    assert kept.etag and not is_content(kept.etag) and static.why(kept) == "kept"
    assert static.get("/keep/x.txt", tag=kept.etag).status == 304
    answer = static.get("/none/x.txt")
    assert answer.status == 200 and answer.etag is None and static.why(answer) == "no-etag"
    answer = static.get("/plain/empty.txt")
    assert answer.etag is None or not is_content(answer.etag)
    static.write("htdocs/plain/x.txt", "changed\n")
    changed = static.get("/plain/x.txt", tag=tag)
    assert changed.text == "changed\n" and is_content(changed.etag) and changed.etag != tag
    assert static.get("/plain/none.txt").etag is None


def test_subrequests_have_no_tag_of_their_own(static):
    page = static.get("/included/page.shtml")
    assert page.text == "before included\n after\n"
    assert page.etag is None or is_content(page.etag)
    assert page.etag != static.get("/included/x.txt").etag
    static.write("htdocs/included/x.txt", "something else\n")
    again = static.get("/included/page.shtml", tag=page.etag or '"x"')
    assert again.status == 200 and "something else" in again.text
    assert again.etag is None or again.etag != page.etag


def test_replace(new_httpd, new_origin):
    origin = new_origin()
    server = site(new_httpd, origin, VARIANTS + "<Location /o/replace>\nETagVersionUpstreamETag Replace\n</Location>")
    for path in ("/o/keep", "/o/replace"):
        origin.on(path, script_of("x", 'ETag: "theirs"'))
    assert server.get("/o/keep").etag == '"theirs"'
    kept = server.get("/o/keep", tag='"theirs"')
    assert kept.status == 304 and kept.etag == '"theirs"'
    replaced = server.get("/o/replace")
    assert is_content(replaced.etag) and server.why(replaced) == "fresh"
    assert server.get("/o/replace", tag='"theirs"').status == 200
    assert server.get("/o/replace", tag=replaced.etag).status == 304
    for exchange in origin.requests:
        assert exchange.get("If-None-Match") is None, "conditions are the module's own business here"


def test_switched_off(new_httpd, new_origin):
    origin = new_origin()
    origin.default = script_of("x")
    server = site(new_httpd, origin, VARIANTS + "SetEnvIf X-Off 1 no-etag-version\n", "proxy setenvif")
    tag = server.get("/o/x").etag
    answer = server.get("/o/x", [("X-Off", "1")], tag=tag)
    assert answer.status == 200 and answer.etag is None and server.why(answer) == "bypass"
    assert origin.last("/o/x").get("If-None-Match") == tag


CACHE = """
CacheEnable disk /
CacheQuickHandler @QUICK@
CacheHeader On
CacheIgnoreNoLastMod On
CacheRoot "@ROOT@/cache"
SetEnvIf X-Off 1 no-etag-version
"""


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_hits_are_not_tagged_anew(new_httpd, new_origin, quick):
    """What a cache stored without a tag stays without; what it stored with one keeps that."""
    origin = new_origin()
    for path in ("/o/without", "/o/with"):
        origin.on(path, script_of("stored\n", "Cache-Control: max-age=600"))
    server = site(new_httpd, origin, VARIANTS + CACHE.replace("@QUICK@", quick), "proxy setenvif cache_disk",
                  start=False)
    places.writable((server.root / "cache").mkdir() or server.root / "cache")
    server.start()
    first = server.get("/o/without", [("X-Off", "1")])
    assert first.etag is None
    hit = server.get("/o/without")
    assert hit.one("X-Cache").startswith("HIT") and hit.etag is None and hit.text == "stored\n"
    tag = server.get("/o/with").etag
    hit = server.get("/o/with")
    assert is_content(tag) and hit.one("X-Cache").startswith("HIT") and hit.etag == tag and hit.text == "stored\n"
    assert server.get("/o/with", tag=tag).status == 304
    assert origin.calls("/o/with") == 1 and origin.calls("/o/without") == 1


def test_notes(plain):
    path = plain.origin.on("/o/notes", script_of("body", "Last-Modified: Thu, 19 Nov 1981 08:52:00 GMT"))
    first = plain.get(path)
    assert plain.why(first) == "fresh"

    def why(status, *headers):
        answer = plain.get(path, headers)
        assert answer.status == status, answer
        return plain.why(answer)

    assert why(304, ("If-None-Match", first.etag)) == "late-304"
    assert why(304, ("If-None-Match", "*")) == "late-304"
    assert why(304, ("If-Modified-Since", "Thu, 19 Nov 1981 08:52:00 GMT")) == "late-304"
    assert why(200, ("If-None-Match", '"x"')) == "changed"
    assert why(412, ("If-Match", '"x"')) == "412"
    assert why(412, ("If-Unmodified-Since", "Thu, 19 Nov 1981 08:51:00 GMT")) == "412"
    answer = plain.request("HEAD", path)
    assert answer.status == 200 and answer.etag is None and plain.why(answer) == "head"
    for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
        word = plain.why(plain.request(method, path, body=b"" if method == "POST" else None))
        assert word and " " not in word, method
