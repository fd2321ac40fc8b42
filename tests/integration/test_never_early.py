# SPDX-License-Identifier: Apache-2.0
"""What must never be answered early, and which fields of If-None-Match match."""
import pytest

from harness.backend import Reply
from harness.tags import is_version, letter, with_letter, with_suffix

CONF = """
ProxyPass /app/ @BACKEND@/app/
SetEnvIf X-Off 1 no-etag-version
SetEnvIf X-Deny 1 denied
<Location /app/>
  ETagVersion Version
  ETagVersionModels shop.Item
</Location>
<Location /app/guarded>
  <RequireAll>
    Require all granted
    Require not env denied
  </RequireAll>
</Location>
<Location /app/moved>
  RedirectMatch ^/app/moved http://localhost/elsewhere
</Location>

<Location /static/>
  ETagVersion Version
  ETagVersionModels shop.Item
  ETagVersionUpstreamETag Replace
</Location>

ErrorDocument 404 /static/error.txt
<Location /errors/>
  ErrorDocument 404 /app/error
</Location>
<Directory "@ROOT@/htdocs/ssi">
  Options +Includes
  AddOutputFilter INCLUDES .shtml
</Directory>

<Directory "@ROOT@/htdocs/rewritten">
  Options +FollowSymLinks
  RewriteEngine On
  RewriteRule ^in/(.*)$ /plain/$1
</Directory>
<Location /rewritten/in>
  ETagVersion Version
  ETagVersionModels shop.Item
  ETagVersionUpstreamETag Replace
</Location>

<VirtualHost *:@PORT@>
  ServerName localhost
</VirtualHost>
<VirtualHost *:@PORT@>
  ServerName other
  ProxyPass /app/ @BACKEND@/app/
</VirtualHost>
"""


@pytest.fixture(scope="module")
def shop(shared_httpd, shared_backend):
    """The server, with its backend as an attribute."""
    backend = shared_backend()
    server = shared_httpd(CONF.replace("@BACKEND@", backend.url),
                          "proxy static setenvif include rewrite alias", start=False)
    server.write("htdocs/static/a.txt", "static a\n")
    server.write("htdocs/static/error.txt", "sorry\n")
    server.write("htdocs/static/gone.txt", "soon gone\n")
    server.write("htdocs/plain/p.txt", "plain p\n")
    server.write("htdocs/rewritten/empty.txt", "")
    server.write("htdocs/ssi/page.shtml", 'before <!--#include virtual="/app/inc" --> after\n')
    server.backend = backend
    return server.start()


def tag_of(server, path):
    tag = server.get(path).etag
    assert is_version(tag), tag
    return tag


def expect_called(server, path, answer, calls):
    assert answer.status != 304, answer
    assert server.backend.calls(path) == calls + 1


@pytest.mark.parametrize("headers,status", [
    ([("If-None-Match", "*")], 304),
    ([("If-None-Match", "T"), ("If-Match", "T")], 412),  # weak: RFC 9110 §13.1.1 compares strongly
    ([("If-None-Match", "T"), ("If-Match", "*")], 304),
    ([("If-None-Match", "T"), ("If-Match", '"other"')], 412),
    # without a Last-Modified nothing is known to be newer
    ([("If-None-Match", "T"), ("If-Unmodified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")], 304),
    ([("If-None-Match", "T"), ("If-Unmodified-Since", "Thu, 01 Jan 2015 00:00:00 GMT")], 304),
    ([("If-None-Match", "T"), ("If-Unmodified-Since", "no date")], 304),
], ids=lambda v: v if isinstance(v, int) else "+".join(f"{k}:{x[:6]}" for k, x in v))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_conditions_are_judged_behind_the_backend(shop, method, headers, status):
    path = "/app/conditions"
    tag = tag_of(shop, path)
    calls = shop.backend.calls(path)
    answer = shop.request(method, path, [(k, tag if v == "T" else v) for k, v in headers])
    assert answer.status == status, answer
    assert shop.backend.calls(path) == calls + 1
    assert not [name for name, _ in shop.backend.last(path).headers if name.lower().startswith("if-")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_go_to_the_backend(shop, method):
    path = "/app/methods"
    tag = tag_of(shop, path)
    calls = shop.backend.calls(path)
    answer = shop.request(method, path, [("If-None-Match", tag)], body=b"x")
    expect_called(shop, path, answer, calls)
    assert answer.status == 200, "the condition of an unsafe request is the backend's to judge"
    assert not is_version(answer.etag)
    assert shop.backend.last(path).get("If-None-Match") == tag


def test_trace_is_no_get(shop):
    tag = tag_of(shop, "/static/a.txt")
    answer = shop.request("TRACE", "/static/a.txt", [("If-None-Match", tag)])
    assert answer.status == 200 and b"TRACE" in answer.body and not is_version(answer.etag)


@pytest.mark.parametrize("sent", [
    "", " ", ",", '""', 'W/""', "v", "DIGEST", '"DIGEST', 'DIGEST"', "'DIGEST'", 'w/"DIGEST"',
    'W/ "DIGEST"', 'W"DIGEST"', '/"DIGEST"', 'W/W/"DIGEST"', '" DIGEST"', '"DIGEST "',
    '"xDIGEST"', '"DIGESTx"', '\\"DIGEST\\"', '"a\\", "DIGEST', 'garbage, W/"DIGEST"',
    '"a" "b", W/"DIGEST"', '"a"b, W/"DIGEST"', '*, W/"DIGEST"', '**', '"*"', '"a" b W/"DIGEST"',
    '"a";W/"DIGEST"', '"W/"DIGEST""', '"' + "a" * 7000 + '"',
], ids=lambda s: s[:24].replace("DIGEST", "T") or "empty")
def test_these_fields_do_not_match(shop, sent):
    path = "/app/lists"
    tag = tag_of(shop, path)
    calls = shop.backend.calls(path)
    answer = shop.get(path, tag=sent.replace("DIGEST", tag.split('"')[1]))
    expect_called(shop, path, answer, calls)
    assert answer.etag == tag


@pytest.mark.parametrize("sent", [
    "TAG", "STRONG", '"a",TAG', '"a" , TAG', ",,TAG,,", 'W/"a", W/"b", "c", TAG, "d"', '"", TAG',
    '"*", TAG', '"a,b", TAG', '"a\\", TAG', ' \t TAG \t', '"W/", TAG', 'TAG, TAG',
    '"\x80\xff", TAG', ", ".join(f'"t{i}"' for i in range(200)) + ", TAG",
], ids=lambda s: s[:24])
def test_these_fields_match(shop, sent):
    path = "/app/lists"
    tag = tag_of(shop, path)
    calls = shop.backend.calls(path)
    answer = shop.get(path, tag=sent.replace("TAG", tag).replace("STRONG", tag[2:]))
    assert (answer.status, answer.etag) == (304, tag)
    assert shop.backend.calls(path) == calls


@pytest.mark.parametrize("suffix, accept, early", [
    ("-gzip", None, False),
    ("-gzip", "", False),
    ("-gzip", "gzip", True),
    ("-gzip", "GZIP", True),
    ("-gzip", "x-gzip", True),
    ("-gzip", "deflate, gzip;q=0.5", True),
    ("-gzip", "gzip;q=0", False),
    ("-gzip", "gzip; q=0.000", False),
    ("-gzip", "gzip ; Q=0.001", True),
    ("-gzip", "*", True),
    ("-gzip", "*;q=0", False),
    ("-gzip", "gzip;q=0, *", False),
    ("-gzip", "*;q=0, gzip", True),
    ("-gzip", "identity", False),
    ("-gzip", "br", False),
    ("-br", "br", True),
    ("-br", "gzip", False),
    ("-gzip-gzip", "gzip", False),
    ("-", "gzip", False),
    ("-", "*", False),
    ("gzip", "gzip", False),
    ("", None, True),
    ("", "gzip", True),
    ("", "identity;q=0", True),
])
def test_suffix_needs_a_client_that_reads_the_coding(shop, suffix, accept, early):
    path = "/app/coded"
    sent = with_suffix(tag_of(shop, path), suffix)
    calls = shop.backend.calls(path)
    answer = shop.get(path, [("Accept-Encoding", accept)] if accept is not None else [], tag=sent)
    if early:
        assert (answer.status, answer.etag) == (304, sent)
        assert shop.backend.calls(path) == calls
    else:
        expect_called(shop, path, answer, calls)


def test_tampered_tags_do_not_match(shop):
    path = "/app/tampered"
    tag = tag_of(shop, path)
    start = tag.index('"') + 2
    wrong = [with_letter(tag, {"v": "u", "u": "v"}[letter(tag)]), with_letter(tag, "c"),
             with_letter(tag, "h"), with_letter(tag, "V"), with_letter(tag, "U"),
             tag[:start] + tag[start + 1:], tag[:start] + "A" + tag[start:]]
    for at in range(start, start + 22):
        wrong.append(tag[:at] + ("B" if tag[at] != "B" else "C") + tag[at + 1:])
    # The last character carries only two bits: a decoder that ignores the rest sees four alike.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = last.index(tag[start + 21])
    wrong += [tag[:start + 21] + last[at ^ bit] + tag[start + 22:] for bit in (1, 2, 4, 8)]
    swapped = tag[start:start + 22].swapcase()
    if swapped != tag[start:start + 22]:
        wrong.append(tag[:start] + swapped + tag[start + 22:])
    with shop.connect() as connection:
        for sent in wrong:
            assert connection.request("GET", path, [("If-None-Match", sent)]).status == 200, sent
        assert connection.request("GET", path, [("If-None-Match", tag)]).status == 304


@pytest.mark.parametrize("change", [
    {"host": "other"}, {"host": "localhost:80"}, {"target": "/app/bound?a=2"},
    {"target": "/app/bound"}, {"target": "/app/bound?"}, {"target": "/app//bound?a=1"},
    {"target": "/app/b%6fund?a=1"}, {"target": "/app/bound?a=1&b"}, {"target": "/app/other?a=1"},
    {"target": "/app/Bound?a=1"},
], ids=str)
def test_a_tag_belongs_to_one_url(shop, change):
    tag = tag_of(shop, "/app/bound?a=1")
    answer = shop.get(change.get("target", "/app/bound?a=1"), tag=tag,
                      host=change.get("host", "localhost"))
    assert answer.status == 200 and is_version(answer.etag) and answer.etag != tag


def test_host_is_compared_without_case(shop):
    tag = tag_of(shop, "/app/host")
    assert shop.get("/app/host", tag=tag, host="LOCALHOST").status == 304


def test_switched_off_for_a_request(shop):
    path = "/app/off"
    tag = tag_of(shop, path)
    calls = shop.backend.calls(path)
    answer = shop.get(path, [("X-Off", "1")], tag=tag)
    expect_called(shop, path, answer, calls)
    assert answer.etag is None
    assert shop.why(answer) == "bypass"


def test_access_is_judged_first(shop):
    path = "/app/guarded"
    tag = tag_of(shop, path)
    shop.log.expect("AH01630", optional=True)
    denied = shop.get(path, [("X-Deny", "1")], tag=tag)
    assert denied.status == 403 and not is_version(denied.etag)
    assert shop.get(path, tag=tag).status == 304


def test_redirects_stay_redirects(shop):
    answer = shop.get("/app/moved", tag='W/"v0123456789012345678901"')
    assert answer.status == 302 and not is_version(answer.etag)


def test_subrequest_is_never_answered(shop):
    """An included page is a part of its parent, whatever tag the client sent."""
    inc = tag_of(shop, "/app/inc")
    calls = shop.backend.calls("/app/inc")
    answer = shop.get("/ssi/page.shtml", tag=inc)
    assert answer.status == 200
    assert "before /app/inc" in answer.text and "after" in answer.text
    assert shop.backend.calls("/app/inc") == calls + 1
    assert not is_version(answer.etag)


@pytest.mark.parametrize("path", ["/static/none.txt", "/errors/none.txt"])
def test_error_document_is_no_answer_to_the_condition(shop, path):
    document = "/static/error.txt" if path.startswith("/static/") else "/app/error"
    own = tag_of(shop, document)
    for tag in (None, own, "*"):
        answer = shop.get(path, tag=tag)
        assert answer.status == (404 if path.startswith("/static/") else 200)  # mod_proxy sets 200
        assert answer.text.startswith(document if document.startswith("/app") else "sorry")
        assert not is_version(answer.etag)


def test_missing_file_is_404(shop):
    tag = tag_of(shop, "/static/gone.txt")
    assert shop.get("/static/gone.txt", tag=tag).status == 304
    (shop.root / "htdocs/static/gone.txt").unlink()
    answer = shop.get("/static/gone.txt", tag=tag)
    assert answer.status == 404 and not is_version(answer.etag)


def test_rewrite_out_of_scope(shop):
    """The scope of the final request counts, not that of the request before an internal redirect."""
    answer = shop.get("/rewritten/in/p.txt")
    assert (answer.status, answer.text) == (200, "plain p\n")
    assert not is_version(answer.etag)


@pytest.mark.parametrize("status", [201, 204, 300, 301, 302, 307, 400, 404, 410, 429, 500, 503])
def test_only_a_200_gets_a_version_tag(shop, status):
    path = shop.backend.on(f"/app/status{status}", Reply(status, [("Location", "/x")]))
    answer = shop.get(path, tag='W/"v0123456789012345678901"')
    assert answer.status == status and not is_version(answer.etag)


def test_parts_get_no_version_tag(shop):
    path = "/static/a.txt"
    tag = tag_of(shop, path)
    part = shop.get(path, [("Range", "bytes=0-3")])
    assert part.status == 206 and part.body == b"stat" and not is_version(part.etag)
    assert shop.get(path, [("Range", "bytes=0-3")], tag=tag).status == 304
    whole = shop.get(path, [("Range", "bytes=0-3"), ("If-Range", tag)])
    assert (whole.status, whole.body) == (200, b"static a\n")
    whole = shop.get(path, [("Range", "bytes=0-3"), ("If-Range", tag[2:])])
    assert (whole.status, whole.body) == (200, b"static a\n")


def test_part_from_the_backend_keeps_its_tag(shop):
    path = shop.backend.on("/app/part", lambda request: Reply(
        206, [("Content-Range", "bytes 0-3/9"), ("ETag", '"theirs"')], "part"))
    answer = shop.get(path, [("Range", "bytes=0-3")])
    assert answer.status == 206 and answer.etag == '"theirs"'


def test_a_304_that_the_backend_made_is_left_alone(shop):
    def reply(request):
        if request.get("If-None-Match"):
            return Reply(304, [("ETag", '"theirs"')])
        return Reply(200, [("ETag", '"theirs"')])
    path = shop.backend.on("/app/own304", reply)
    assert shop.get(path).etag == '"theirs"'
    answer = shop.get(path, tag='"theirs"')
    assert answer.status in (200, 304) and answer.etag == '"theirs"'


def test_if_modified_since_does_not_spoil_the_match(shop):
    path = "/app/dates"
    tag = tag_of(shop, path)
    for date in ("Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "nonsense"):
        assert shop.get(path, [("If-Modified-Since", date)], tag=tag).status == 304
        calls = shop.backend.calls(path)
        expect_called(shop, path, shop.get(path, [("If-Modified-Since", date)], tag='"x"'), calls)
