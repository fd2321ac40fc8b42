# SPDX-License-Identifier: Apache-2.0
"""Sections merge field by field; lists are replaced or edited; names are expressions."""
import pytest

from harness.reader import kind
from harness.tags import is_version
from harness.wait import until

TREE = """
<Location />
  ETagVersion Version
  ETagVersionModels a b
  ETagVersionUpstreamETag Replace
  ETagVersionCacheControl max-age=60
  ETagVersionVary X-Kind
  ETagVersionStrength Strong
</Location>
<Location /inherit>
  ETagVersionSettle 0
</Location>
<Location /models_replace>
  ETagVersionModels c
</Location>
<Location /models_edit>
  ETagVersionModels +c -a
</Location>
<Location /models_edit/deeper>
  ETagVersionModels +d
  ETagVersionModels -c
</Location>
<Location /models_none>
  ETagVersionModels none
</Location>
<Location /models_none/again>
  ETagVersionModels +z
</Location>
<Location /models_lines>
  ETagVersionModels c
  ETagVersionModels d
</Location>
<Location /models_twice>
  ETagVersionModels +a +a
</Location>
<Location /off>
  ETagVersion Off
</Location>
<Location /off/on>
  ETagVersion Version
</Location>
<Location /policy>
  ETagVersionCacheControl max-age=5
</Location>
<Location /policy_none>
  ETagVersionCacheControl none
</Location>
<Location /vary>
  ETagVersionVary Accept-Language
</Location>
<Location /vary_edit>
  ETagVersionVary +Accept-Language -x-kind
</Location>
<Location /vary_none>
  ETagVersionVary none
</Location>
<Location /strength>
  ETagVersionStrength Default
</Location>
<Location /identity>
  ETagVersionIdentity header:X-Team
</Location>
<Location /identity/edit>
  ETagVersionIdentity +header:X-Role
</Location>
<Location /identity/none>
  ETagVersionIdentity none
</Location>
<Location /everyone>
  ETagVersionIdentity none
</Location>
<Location /everyone/but>
  ETagVersionIdentity +header:X-Team
</Location>
<Location /identity/minus>
  ETagVersionIdentity -header:X-Team
</Location>
<Location /upstream>
  ETagVersionUpstreamETag Keep
</Location>
<LocationMatch "^/named/(?<SLUG>[^/]*)(?:/(?<REST>.*))?$">
  ETagVersionModels "p:%{env:MATCH_SLUG}"
</LocationMatch>
<LocationMatch "^/mixed/(?<SLUG>[^/]*)$">
  ETagVersionModels +p:%{env:MATCH_SLUG} -b
</LocationMatch>
<LocationMatch "^/unnamed/(?<SLUG>[^/]*)$">
  ETagVersionModels q:%{env:MATCH_SLUG}
</LocationMatch>
<LocationMatch "^/unnamed/minus$">
  ETagVersionModels -q:%{env:MATCH_SLUG} +a
</LocationMatch>
<Location /alone>
  ETagVersionModels "%{env:NOT_THERE}"
</Location>
<Location /by_header>
  ETagVersionModels "t:%{HTTP:X-Tenant}"
</Location>
<Location /salted>
  ETagVersionSalt "r%{HTTP:X-Release}"
</Location>
<Location /salt_empty>
  ETagVersionSalt "%{HTTP:X-Release}"
</Location>
<Location /salt_text>
  ETagVersionSalt one
</Location>
"""


@pytest.fixture(scope="module")
def server(shared_httpd):
    server = shared_httpd(TREE, "headers", start=False)
    for line in TREE.splitlines():
        if line.startswith("<Location /") and len(line) > 12:
            name = line.split("/", 1)[1].rstrip(">")
            server.write(f"htdocs/{name}/x.txt", f"{name}\n")
    for name in ("named/egfp", "named/mcherry", "named/" + "n" * 200, "mixed/egfp", "unnamed/egfp", "unnamed/minus"):
        server.write(f"htdocs/{name}", "p\n")
    return server.start()


@pytest.mark.parametrize("path, models", [
    ("/inherit", "a b"),
    ("/models_replace", "c"),
    ("/models_edit", "b c"),
    ("/models_edit/deeper", "b d"),
    ("/models_none", None),
    ("/models_none/again", "z"),
    ("/models_lines", "c d"),
    ("/models_twice", "a b"),
    ("/off", None),
    ("/off/on", "a b"),
    ("/policy", "a b"),
])
def test_models(server, path, models):
    answer = server.get(path + "/x.txt")
    assert answer.status == 200
    logged = server.logged(answer)[2]
    assert sorted(logged.split()) == models.split() if models else logged is None
    assert is_version(answer.etag) == bool(models)


@pytest.mark.parametrize("path, cache_control, vary", [
    ("/inherit", "max-age=60", ["x-kind"]),
    ("/models_none", "max-age=60", ["x-kind"]),
    ("/off", None, []),
    ("/policy", "max-age=5", ["x-kind"]),
    ("/policy_none", None, ["x-kind"]),
    ("/vary", "max-age=60", ["accept-language"]),
    ("/vary_edit", "max-age=60", ["accept-language"]),
    ("/vary_none", "max-age=60", []),
])
def test_policy(server, path, cache_control, vary):
    answer = server.get(path + "/x.txt")
    assert (answer.one("Cache-Control"), answer.members("Vary")) == (cache_control, vary)


def test_other_fields(server):
    assert server.get("/inherit/x.txt").etag.startswith('"')
    assert server.get("/strength/x.txt").etag.startswith("W/")
    kept = server.get("/upstream/x.txt")
    assert kept.etag and not is_version(kept.etag)
    assert server.get("/identity/x.txt").members("Vary") == ["x-kind", "x-team"]
    assert server.get("/identity/edit/x.txt").members("Vary") == ["x-kind", "x-role", "x-team"]
    assert server.get("/identity/none/x.txt").members("Vary") == ["x-kind"]


def test_identity_edits(server):
    """Adding a name to `none` makes it an identity; taking the last one away leaves it unset."""
    cookie = [("Cookie", "a=b")]
    assert is_version(server.get("/everyone/x.txt", cookie).etag)
    answer = server.get("/everyone/but/x.txt")
    assert is_version(answer.etag) and answer.members("Cache-Control") == ["max-age=60", "private"]
    assert server.get("/everyone/but/x.txt", [("X-Team", "a")]).etag != answer.etag
    assert not is_version(server.get("/everyone/but/x.txt", cookie).etag)
    answer = server.get("/identity/minus/x.txt")
    assert is_version(answer.etag) and answer.one("Cache-Control") == "max-age=60"
    assert not is_version(server.get("/identity/minus/x.txt", cookie).etag)


def test_named_captures(server):
    first = server.get("/named/egfp")
    assert server.why(first) == "missing", "a name from a request is not created by reading"
    assert first.etag is None or not is_version(first.etag)
    server.bump("p:egfp")
    egfp = server.get("/named/egfp")
    assert is_version(egfp.etag) and server.logged(egfp)[2] == "p:egfp"
    server.bump("p:mcherry")
    assert server.get("/named/egfp", tag=egfp.etag).status == 304
    server.bump("p:egfp")
    assert server.get("/named/egfp", tag=egfp.etag).status == 200


def test_edited_with_captures(server):
    server.bump("p:egfp")
    answer = server.get("/mixed/egfp")
    assert sorted(server.logged(answer)[2].split()) == ["a", "p:egfp"]
    tag = answer.etag
    server.bump("a")
    assert server.get("/mixed/egfp", tag=tag).status == 200


def test_minus_matches_the_text_before_expansion(server):
    answer = server.get("/unnamed/minus")
    assert server.logged(answer)[2] == "a"


@pytest.mark.parametrize("path", ["/alone/x.txt", "/named/" + "n" * 200])
def test_failed_expansion_means_no_tag(server, path):
    answer = server.get(path, tag='W/"v0123456789012345678901"')
    assert answer.status == 200 and not is_version(answer.etag)


def test_over_long_expansion_means_no_tag(server):
    server.bump("t:" + "x" * 254)
    answer = server.get("/by_header/x.txt", [("X-Tenant", "x" * 254)])
    assert is_version(answer.etag)
    answer = server.get("/by_header/x.txt", [("X-Tenant", "x" * 255)])
    assert answer.status == 200 and not is_version(answer.etag)


def test_request_headers_in_expressions_join_vary(server):
    server.bump("t:one")
    answer = server.get("/by_header/x.txt", [("X-Tenant", "one")])
    assert answer.members("Vary") == ["x-kind", "x-tenant"]
    assert is_version(answer.etag)
    assert server.get("/by_header/x.txt", [("X-Tenant", "two")], tag=answer.etag).status == 200


def test_model_names_cannot_reach_reserved_keys(server):
    for name in ("%epoch", "%secret"):
        answer = server.request("POST", f"/bump?model={name.replace('%', '%25')}", body=b"")
        assert answer.status == 400


def test_control_characters_in_expanded_names(server):
    answer = server.get("/by_header/x.txt", [("X-Tenant", "a\tb")])
    assert answer.status == 200 and not is_version(answer.etag)


def test_salt(server):
    plain, one, two = (server.get("/salted/x.txt", headers) for headers in
                       ([], [("X-Release", "1")], [("X-Release", "2")]))
    tags = {plain.etag, one.etag, two.etag}
    assert len(tags) == 3 and all(map(is_version, tags))
    assert one.members("Vary") == ["x-kind", "x-release"]
    assert server.get("/salted/x.txt", [("X-Release", "2")], tag=one.etag).status == 200
    assert is_version(server.get("/salt_text/x.txt").etag)
    assert not is_version(server.get("/salt_empty/x.txt").etag)
    assert is_version(server.get("/salt_empty/x.txt", [("X-Release", "1")]).etag)


def test_salt_change_changes_tags(new_httpd):
    conf = '<Location />\nETagVersion Version\nETagVersionModels m\nETagVersionUpstreamETag Replace\n%s\n</Location>'
    server = new_httpd(conf % "ETagVersionSalt one", start=False)
    server.write("htdocs/x.txt", "x\n")
    tag = server.start().get("/x.txt").etag
    server.conf = conf % "ETagVersionSalt two"
    server._write_conf()
    server.graceful()
    # a child of the old generation may still take a connection or two
    answer = until(lambda: (lambda a: a if a.status == 200 else None)(server.get("/x.txt", tag=tag)), "a new tag")
    assert is_version(answer.etag) and answer.etag != tag


def test_directory_and_htaccess_merge(new_httpd):
    server = new_httpd("""
        <Directory "@ROOT@/htdocs">
          AllowOverride FileInfo
          ETagVersion Version
          ETagVersionModels a
          ETagVersionUpstreamETag Replace
        </Directory>
        <Location /sub>
          ETagVersionModels +c
        </Location>""", start=False)
    server.write("htdocs/sub/.htaccess", "ETagVersionModels +b\nETagVersionCacheControl max-age=9\n")
    server.write("htdocs/sub/x.txt", "x\n")
    server.start()
    answer = server.get("/sub/x.txt")
    assert sorted(server.logged(answer)[2].split()) == ["a", "b", "c"]
    assert answer.one("Cache-Control") == "max-age=9"


def test_missing_is_not_created_from_htaccess(new_httpd):
    server = new_httpd("""
        <Directory "@ROOT@/htdocs">
          AllowOverride FileInfo
          ETagVersion Version
          ETagVersionUpstreamETag Replace
        </Directory>
        <Location /skip>
          ETagVersionModels skipped
          ETagVersionMissing Skip
        </Location>""", start=False)
    server.write("htdocs/x.txt", "x\n")
    server.write("htdocs/skip/x.txt", "x\n")
    server.write("htdocs/.htaccess", "ETagVersionModels private.Model\n")
    server.start()
    for path, model in (("/x.txt", "private.Model"), ("/skip/x.txt", "skipped")):
        for _ in range(2):
            answer = server.get(path)
            assert not is_version(answer.etag) and server.why(answer) == "missing"
        server.bump(model)
        assert is_version(server.get(path).etag)


def test_if_sections(new_httpd):
    """Conditions on the request choose the configuration; httpd adds what they read to Vary."""
    server = new_httpd("""
        <Location />
          ETagVersionModels m
          ETagVersionUpstreamETag Replace
        </Location>
        <If "%{HTTP:X-On} == 'yes'">
          ETagVersion Version
        </If>
        <Location /x.txt>
          ETagVersionVary X-On
        </Location>""", start=False)
    server.write("htdocs/x.txt", "x\n")
    server.write("htdocs/unnamed.txt", "x\n")
    server.start()
    assert not is_version(server.get("/x.txt").etag)
    server.log.expect("the response varies on X-On")
    assert not is_version(server.get("/unnamed.txt", [("X-On", "yes")]).etag)
    on = [("X-On", "yes")]
    tag = server.get("/x.txt", on).etag
    assert is_version(tag)
    assert server.get("/x.txt", on, tag=tag).status == 304
    answer = server.get("/x.txt", tag=tag)
    assert answer.status == 200 and server.logged(answer)[1:] == (None, None)


def test_too_many_models_after_merging(new_httpd):
    sections = "".join(f"<Location /{'a/' * depth}>\nETagVersionModels " +
                       " ".join(f"+m{depth}.{i}" for i in range(12)) + "\n</Location>\n" for depth in range(1, 4))
    server = new_httpd("<Location />\nETagVersion Version\nETagVersionUpstreamETag Replace\n</Location>\n" + sections,
                       start=False)
    for depth in range(1, 4):
        server.write(f"htdocs/{'a/' * depth}x.txt", "x\n")
    server.start()
    assert is_version(server.get("/a/x.txt").etag) and is_version(server.get("/a/a/x.txt").etag)
    answer = server.get("/a/a/a/x.txt")
    assert answer.status == 200 and not is_version(answer.etag), "at most 32 names"


def test_whole_server_in_scope(new_httpd):
    """The directives outside of all sections, and a virtual host that says otherwise."""
    server = new_httpd("""
        ETagVersion Version
        ETagVersionModels m
        ETagVersionUpstreamETag Replace
        <VirtualHost *:@PORT@>
          ServerName localhost
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName off
          ETagVersion Off
        </VirtualHost>""", start=False)
    server.write("htdocs/x.txt", "x\n")
    server.start()
    assert is_version(server.get("/x.txt").etag)
    assert not is_version(server.get("/x.txt", host="off").etag)
    answer = server.get("/bump?model=m")
    assert answer.status == 405 and not is_version(answer.etag)


CONTENT = """
ETagVersionSecret the-same-on-all-hosts
<Location />
  ETagVersion Content
  ETagVersionUpstreamETag Replace
  ETagVersionTypes text/plain text/css
  ETagVersionHeaders Last-Modified
</Location>
<Location /inherit>
  ETagVersionSettle 0
</Location>
<Location /types_replace>
  ETagVersionTypes text/html
</Location>
<Location /types_edit>
  ETagVersionTypes +text/html -TEXT/plain
</Location>
<Location /types_edit/deeper>
  ETagVersionTypes +text/plain
  ETagVersionTypes -text/css
</Location>
<Location /types_none>
  ETagVersionTypes none
</Location>
<Location /types_none/again>
  ETagVersionTypes +text/plain
</Location>
<Location /types_all>
  ETagVersionTypes *
</Location>
<Location /types_all/but>
  ETagVersionTypes -*
</Location>
<Location /types_all/minus>
  ETagVersionTypes -text/plain
</Location>
<Location /mode>
  ETagVersion Headers
</Location>
<Location /mode/back>
  ETagVersion Content
</Location>
<Location /mode/on>
  ETagVersion On
  ETagVersionModels m
</Location>
<Location /mode/on/without>
  ETagVersionModels none
</Location>
<Location /mode/off>
  ETagVersion Off
</Location>
<Location /mode/none>
  ETagVersionHeaders none
</Location>
<Location /mode/none/again>
  ETagVersionHeaders +Last-Modified
</Location>
<Location /mode/edit>
  ETagVersionHeaders +X-Not-There
</Location>
<Location /mode/edit/deeper>
  ETagVersionHeaders -x-not-there
</Location>
<Location /head>
  ETagVersionHead AsGet
</Location>
<Location /head/off>
  ETagVersionHead Off
</Location>
<Location /head/inherit>
  ETagVersionTypes +text/html
</Location>
"""
# Path: the letters of the tags of x.txt, x.css and x.html.
LETTERS = {
    "inherit": "cc-", "types_replace": "--c", "types_edit": "-cc", "types_edit/deeper": "c-c", "types_none": "---",
    "types_none/again": "c--", "types_all": "ccc", "types_all/but": "---", "types_all/minus": "ccc", "mode": "hhh",
    "mode/back": "cc-", "mode/on": "vvv", "mode/on/without": "cc-", "mode/off": "---", "mode/none": "---",
    "mode/none/again": "hhh", "mode/edit": "---", "mode/edit/deeper": "hhh", "head": "cc-", "head/off": "cc-",
    "head/inherit": "ccc",
}


@pytest.fixture(scope="module")
def content(shared_httpd):
    server = shared_httpd(CONTENT, start=False)
    for path in LETTERS:
        for ending in ("txt", "css", "html"):
            server.write(f"htdocs/{path}/x.{ending}", f"{path} {ending}\n")
    return server.start()


@pytest.mark.parametrize("path", LETTERS)
def test_modes_types_and_headers(content, path):
    got = "".join((kind(content.get(f"/{path}/x.{ending}").etag) or "-").replace("u", "v")
                  for ending in ("txt", "css", "html"))
    assert got == LETTERS[path]


def test_head(content):
    for path, as_get in (("inherit", False), ("head", True), ("head/off", False), ("head/inherit", True)):
        answer = content.request("HEAD", f"/{path}/x.txt")
        assert answer.status == 200 and (kind(answer.etag) == "c") == as_get, path


def test_new_directives_in_htaccess_and_hosts(new_httpd):
    """Directory, .htaccess and virtual hosts merge the same way."""
    server = new_httpd("""
        ETagVersion Content
        ETagVersionTypes text/plain
        ETagVersionUpstreamETag Replace
        <VirtualHost *:@PORT@>
          ServerName localhost
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName other
          ETagVersionTypes +text/css
          ETagVersionHead AsGet
        </VirtualHost>
        <VirtualHost *:@PORT@>
          ServerName headers
          ETagVersion Headers
        </VirtualHost>
        <Directory "@ROOT@/htdocs/sub">
          AllowOverride FileInfo
        </Directory>""", start=False)
    server.write("htdocs/sub/.htaccess", "ETagVersionTypes +text/html\nETagVersionHead AsGet\n")
    for ending in ("txt", "css", "html"):
        server.write(f"htdocs/x.{ending}", "x\n")
        server.write(f"htdocs/sub/x.{ending}", "x\n")
    server.start()

    def letters(folder, host, method="GET"):
        return "".join(kind(server.request(method, f"{folder}/x.{ending}", host=host).etag) or "-"
                       for ending in ("txt", "css", "html"))

    assert letters("", "localhost") == "c--" and letters("/sub", "localhost") == "c-c"
    assert letters("", "other") == "cc-" and letters("/sub", "other") == "ccc"
    assert letters("", "headers") == "hhh" and letters("/sub", "headers") == "hhh"
    assert letters("", "localhost", "HEAD") == "---" and letters("/sub", "localhost", "HEAD") == "c-c"
    assert letters("", "other", "HEAD") == "cc-" and letters("/sub", "other", "HEAD") == "ccc"
