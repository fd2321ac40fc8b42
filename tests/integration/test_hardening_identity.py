# SPDX-License-Identifier: Apache-2.0
"""Users are told apart by everything that may tell them apart, and never merged by accident."""
import itertools

import pytest

from harness.backend import Reply
from harness.table import Case, build
from harness.tags import is_version

INHERITED = """
ProxyPass /i/ @BACKEND@/i/
<Location /i/>
  ETagVersion Version
  ETagVersionModels m
  ETagVersionIdentity @PARENT@
  ETagVersionCacheControl public, max-age=60
</Location>
<Location /i/child/>
  @CHILD@
</Location>
"""

# parent, child's line, the child's requests: is the response for everyone, for a named user, or nothing known
INHERITANCE = [
    ("none", "", "everyone"),
    ("none", "ETagVersionIdentity none", "everyone"),
    ("none", "ETagVersionIdentity +cookie:sid", "named"),
    ("none", "ETagVersionIdentity +cookie:sid +header:X-Team", "named"),
    ("none", "ETagVersionIdentity cookie:sid", "named"),
    ("none", "ETagVersionIdentity cookie:sid\nETagVersionCacheControl none", "named"),
    ("cookie:sid", "", "named"),
    ("cookie:sid", "ETagVersionIdentity +cookie:sid", "named"),
    ("cookie:sid", "ETagVersionIdentity none", "everyone"),
    ("cookie:sid", "ETagVersionIdentity +header:X-Team", "named"),
]


@pytest.mark.parametrize("parent, child, kind", INHERITANCE)
def test_identity_added_to_none_is_named(new_httpd, new_backend, parent, child, kind):
    backend = new_backend()
    backend.on("/i/child/sets", Reply(headers=[("Set-Cookie", "sid=9")]))
    conf = INHERITED.replace("@BACKEND@", backend.url).replace("@PARENT@", parent).replace("@CHILD@", child)
    server = new_httpd(conf, "proxy")
    al, bo = [("Cookie", "sid=al")], [("Cookie", "sid=bo")]
    full = server.get("/i/child/x", al)
    assert is_version(full.etag)
    assert ("private" in full.members("Cache-Control")) == (kind == "named")
    assert ("public" in full.members("Cache-Control")) == (kind == "everyone")
    assert server.get("/i/child/x", bo, tag=full.etag).status == (304 if kind == "everyone" else 200)
    assert is_version(server.get("/i/child/sets", al).etag) == (kind == "everyone")
    bearer = server.get("/i/child/x", [*al, ("Authorization", "Bearer 1")])
    assert is_version(bearer.etag) == (kind == "everyone")


def test_identity_taken_back_is_not_none(new_httpd, new_backend):
    """What a section added and the next one took away leaves an empty list: nothing is known of users."""
    conf = INHERITED.replace("@PARENT@", "none").replace("@CHILD@", "ETagVersionIdentity +cookie:sid") + """
        <Location /i/child/deep/>
          ETagVersionIdentity -cookie:sid
        </Location>"""
    server = new_httpd(conf.replace("@BACKEND@", new_backend().url), "proxy")
    assert is_version(server.get("/i/child/deep/x").etag)
    for headers in ([("Cookie", "sid=1")], [("Authorization", "Bearer 1")]):
        answer = server.get("/i/child/deep/x", headers)
        assert not is_version(answer.etag) and server.why(answer) == "identity"


@pytest.mark.parametrize("words", ["+none", "-none", "+cookie:sid +none", "+None"])
def test_none_is_written_alone(new_httpd, words):
    line = f"ETagVersionIdentity {words}"
    server = new_httpd(f"<Location /x>\n{line}\n</Location>", start=False)
    status, output = server.configtest()
    assert status != 0 and "ETagVersionIdentity" in output and "none" in output.lower(), output
    server.conf = '<Directory "@ROOT@/htdocs">\nAllowOverride FileInfo\nETagVersionIdentity cookie:sid\n</Directory>'
    server.write("htdocs/x.txt", "x\n")
    server.write("htdocs/.htaccess", line + "\n")
    server.start()
    server.log.expect("core:alert.*ETagVersionIdentity")
    assert server.get("/x.txt").status == 500


LINES = """
ProxyPass /l/ @BACKEND@/l/
SetEnvIf X-Who alice WHO_ALICE
SetEnvIf X-Who bob WHO_BOB
SetEnvIf X-Who both WHO_ALICE
SetEnvIf X-Who both WHO_BOB
<Location /l/>
  ETagVersion Version
  ETagVersionModels m
  @COVER@
  RequestHeader add @NAME@ "@VALUE@alice" env=WHO_ALICE
  RequestHeader add @NAME@ "@VALUE@bob" env=WHO_BOB
</Location>
"""


@pytest.mark.parametrize("name, value, cover", [
    ("X-User", "", "ETagVersionIdentity header:X-User"),
    ("X-User", "", "ETagVersionVary X-User"),
    ("Authorization", "Token ", "ETagVersionIdentity header:Authorization"),
    ("Cookie", "sid=", "ETagVersionIdentity header:Cookie"),
    ("Cookie", "sid=", "ETagVersionIdentity cookie:sid"),
])
@pytest.mark.parametrize("sent", [[], ["z"], ["y", "z"]], ids=["none", "one", "two"])
def test_every_line_of_a_field_counts(new_httpd, new_backend, name, value, cover, sent):
    """A trusted proxy or mod_headers adds its line behind the ones that the client wrote itself."""
    backend = new_backend()
    backend.default = lambda request: Reply(body=" | ".join(
        v for k, v in request.headers if k.lower() == name.lower()))
    conf = LINES.replace("@BACKEND@", backend.url).replace("@COVER@", cover)
    server = new_httpd(conf.replace("@NAME@", name).replace("@VALUE@", value), "proxy headers setenvif")
    own = [(name, value + text) for text in sent]
    people = [[*own, ("X-Who", who)] for who in ("alice", "bob", "both", "nobody")]
    pages = [server.get("/l/x", headers) for headers in people]
    assert len({page.body for page in pages}) == len(people), "the backend cannot tell them apart either"
    assert all(is_version(page.etag) for page in pages)
    assert len({page.etag for page in pages}) == len(people)
    for (who, page), (headers, _) in itertools.product(zip(people, pages), zip(people, pages)):
        expected = 304 if who is headers else 200
        assert server.get("/l/x", headers, tag=page.etag).status == expected, (who, headers)


# Different people, whichever of several cookies of the name the application believes.
COOKIES = [
    [],
    ["sid="],
    ["sid=1"],
    ["sid=2"],
    ["sid=1,sid=2"],
    ["sid=2,sid=1"],
    ["sid=1; sid=2"],
    ["sid=2; sid=1"],
    ["sid=1,2"],
    ["sid=1,sid=2; sid=3"],
    ["sid=1,sid=2; sid=4"],
    ["a=b,sid=1; sid=2"],
    ["a=b,sid=2; sid=1"],
    ["a=b,sid=1"],
    ["a=b,sid=2"],
    ["sid=,sid=,sid=1"],
    ["sid=,sid=,sid=2"],
    ["sid = 1,sid = 2"],
    ['sid="1;1"'],
    ['sid="1;2"'],
    ['sid= "1;3"'],
    ['sid= "1;4"'],
    ["x=1 sid=1"],
    ["x=1 sid=2"],
    ["x=1\tsid=1"],
    ["x=1; sid=3; y=1 sid=4"],
    ["x=1; sid=3; y=1 sid=5"],
]


# These may say the same of the user: all that any application can find is one value.
ONE_USER = [{"sid=1", "a=b,sid=1", "x=1 sid=1", "x=1\tsid=1"}, {"sid=2", "a=b,sid=2", "x=1 sid=2"}]


def test_several_cookies_of_the_name(new_httpd, new_backend):
    case = Case("several", "ETagVersionIdentity cookie:sid")
    server = build(new_httpd, new_backend(), [case])
    requests = [[("Cookie", line) for line in lines] for lines in COOKIES]
    tags = [server.get(case.path, headers).etag for headers in requests]
    assert all(map(is_version, tags))
    for (a, one), (b, two) in itertools.combinations(zip(COOKIES, tags), 2):
        same = any(set(a + b) <= lines for lines in ONE_USER)
        assert same or one != two, (a, b)
    for headers, tag in zip(requests, tags):
        assert server.get(case.path, headers, tag=tag).status == 304


def test_other_cookies_do_not_matter_while_there_is_one(new_httpd, new_backend):
    case = Case("one", "ETagVersionIdentity cookie:sid")
    server = build(new_httpd, new_backend(), [case])
    lines = ["sid=1", "sid=1; a=b", "a=b; sid=1", "a=b;sid=1;c=d", "sidx=7; sid=1; xsid=8"]
    assert len({server.get(case.path, [("Cookie", line)]).etag for line in lines}) == 1
