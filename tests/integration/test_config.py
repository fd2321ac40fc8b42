# SPDX-License-Identifier: Apache-2.0
"""Wrong values are startup errors that help; contexts are enforced; secrets are never shown."""
import pytest

CHOICES = {
    "ETagVersion": (["Off", "On", "Version", "Content", "Headers", "off", "on", "CONTENT"],
                    ["", "Yes", "1", "Versions", "Header", "\"On Content\""], "Off, On, Version, Content or Headers"),
    "ETagVersionHead": (["Off", "AsGet", "asget"], ["", "On", "Get", "As-Get"], "Off or AsGet"),
    "ETagVersionStrength": (["Weak", "Strong", "Default"], ["", "Strongest", "W/"], "Weak, Strong or Default"),
    "ETagVersionUpstreamETag": (["Keep", "Replace"], ["", "Drop"], "Keep or Replace"),
    "ETagVersionMissing": (["Initialize", "Skip"], ["", "Create"], "Initialize or Skip"),
}
GOOD = [f"{name} {value}" for name, (good, _, _) in CHOICES.items() for value in good] + [
    "ETagVersionModels none", "ETagVersionModels a", "ETagVersionModels +a -b", "ETagVersionModels a b c",
    'ETagVersionModels "a model"', "ETagVersionModels " + " ".join(f"m{i}" for i in range(32)),
    "ETagVersionModels " + "x" * 256, 'ETagVersionModels "a:%{env:MATCH_X}"',
    "ETagVersionModels proteins.Protein:%{env:MATCH_SLUG}", "ETagVersionModels -%{env:X}",
    "ETagVersionSalt release-7", 'ETagVersionSalt "%{HTTP_HOST}"', "ETagVersionSalt none",
    "ETagVersionIdentity none", "ETagVersionIdentity user", "ETagVersionIdentity cookie:sid header:X-Team user",
    "ETagVersionIdentity +cookie:sid", "ETagVersionIdentity -user",
    "ETagVersionCacheControl none", "ETagVersionCacheControl max-age=60", "ETagVersionCacheControl set no-store",
    'ETagVersionCacheControl merge "public, max-age=60"', "ETagVersionCacheControl ifunset private, max-age=1",
    'ETagVersionCacheControl "no-cache=\\"Set-Cookie\\", foo=bar"',
    "ETagVersionCacheControlUnsafe no-cache, no-store, must-revalidate", "ETagVersionCacheControlUnsafe none",
    "ETagVersionVary none", "ETagVersionVary Accept-Language X-Kind", "ETagVersionVary +X-Kind -Accept",
    "ETagVersionSettle 0", "ETagVersionSettle 5", "ETagVersionSettle 250ms", "ETagVersionSettle 2m",
    "ETagVersionSettle 1h", "ETagVersionSettle 1d",
    "ETagVersionTypes *", "ETagVersionTypes none", "ETagVersionTypes text/* application/json application/*+json",
    "ETagVersionTypes +application/pdf -image/*", "ETagVersionTypes TEXT/Html", "ETagVersionTypes +*",
    'ETagVersionTypes "text/x-1.2+a_b"',
    "ETagVersionHeaders none", "ETagVersionHeaders Last-Modified Content-Length", "ETagVersionHeaders X-Total-Count",
    "ETagVersionHeaders +X-Revision -content-length", "ETagVersionHeaders Content-Length Content-Type",
    "ETagVersionTagHeader none", "ETagVersionTagHeader Surrogate-Key xkey Cache-Tag", "ETagVersionTagHeader +XKEY",
]
# Everywhere but in .htaccess.
GOOD_PLACE = [
    "ETagVersionInvalidate none", "ETagVersionInvalidate models", "ETagVersionInvalidate +models -a",
    'ETagVersionInvalidate a "b:%{env:MATCH_X}" models', "ETagVersionInvalidateRequire On",
    "ETagVersionInvalidateRequire off", "ETagVersionInvalidateHeader X-Bump", "ETagVersionInvalidateHeader Off",
    "ETagVersionModelsHeader X-Models", "ETagVersionModelsHeader off", "ETagVersionPreconditions Off",
    "ETagVersionPreconditions check", "ETagVersionPreconditions Require", "ETagVersionServe none",
    "ETagVersionServe status admin events", "ETagVersionServe Admin",
]
GOOD_SERVER = [
    "ETagVersionStore local", "ETagVersionStore redis://127.0.0.1", "ETagVersionStore redis://127.0.0.1:6380/2",
    "ETagVersionStore redis://u:p@127.0.0.1/0", "ETagVersionStore redis://:p@localhost:1",
    "ETagVersionStore redis://[::1]:6379/15", "ETagVersionStore redis+unix:///run/r.sock?db=3",
    "ETagVersionStore redis+unix:///run/r.sock", "ETagVersionStore redis+sentinel://127.0.0.1,[::1]:5/my.master/3",
    "ETagVersionStore redis+sentinel://u:p@localhost/m",
    "ETagVersionStoreTimeout connect=1s command=20ms", "ETagVersionStoreTimeout command=1",
    "ETagVersionKeyPrefix :1:model_version:", "ETagVersionKeyPrefix cache_version:",
    "ETagVersionFreshness strict", "ETagVersionTableSize 16", "ETagVersionTableSize 100000",
    "ETagVersionSecret 0123456789abcdef",
    "ETagVersionBufferLimit 8M 256M", "ETagVersionBufferLimit 64K", "ETagVersionBufferLimit 100000 1G",
    "ETagVersionBufferLimit 64k 1m", "ETagVersionBufferLimit 0", "ETagVersionBufferLimit 1M 1M",
    "ETagVersionEventsLimit 0", "ETagVersionEventsLimit 8",
]
BAD = [(name, value, accepted) for name, (_, bad, accepted) in CHOICES.items() for value in bad if value] + [
    ("ETagVersionModels", "a +b", "+"),
    ("ETagVersionModels", "+a b", "+"),
    ("ETagVersionModels", "none a", "none"),
    ("ETagVersionModels", "x" * 257, "256"),
    ("ETagVersionModels", " ".join(f"m{i}" for i in range(33)), "32"),
    ("ETagVersionModels", '"a:%{nosuch"', "%{nosuch"),
    ("ETagVersionModels", "%epoch", "%"),
    ("ETagVersionModels", "a, b", "blanks"),
    ("ETagVersionInvalidate", "a, b", "blanks"),
    ("ETagVersionInvalidate", "a +models", "+"),
    ("ETagVersionInvalidate", " ".join(f"m{i}" for i in range(33)), "32"),
    ("ETagVersionInvalidateRequire", "503", "On or Off"),
    ("ETagVersionInvalidateHeader", "a b", "one"),
    ("ETagVersionInvalidateHeader", "X:Bump", "Off"),
    ("ETagVersionModelsHeader", "*", "Off"),
    ("ETagVersionModelsHeader", "etag", "X-Models"),
    ("ETagVersionPreconditions", "On", "Off, Check or Require"),
    ("ETagVersionServe", "admin none", "admin"),
    ("ETagVersionServe", "everything", "status, admin and events"),
    ("ETagVersionTagHeader", "Edge-Cache-Tag", "Surrogate-Key"),
    ("ETagVersionIdentity", "everyone", "cookie:NAME"),
    ("ETagVersionIdentity", "cookie:", "cookie:NAME"),
    ("ETagVersionIdentity", "header:", "header:NAME"),
    ("ETagVersionIdentity", "cookie", "cookie:NAME"),
    ("ETagVersionIdentity", "header:a b", "header:NAME"),
    ("ETagVersionIdentity", '"cookie:a b"', "cookie:NAME"),
    ("ETagVersionIdentity", '"header:a:b"', "header:NAME"),
    ("ETagVersionIdentity", "none user", "none"),
    ("ETagVersionIdentity", "user +cookie:a", "+"),
    ("ETagVersionCacheControl", "max-age=soon", "max-age"),
    ("ETagVersionCacheControl", "max-age=-1", "max-age"),
    ("ETagVersionCacheControl", "max-age=1.5", "max-age"),
    ("ETagVersionCacheControl", "max-age", "max-age"),
    ("ETagVersionCacheControl", '"public, private"', "private"),
    ("ETagVersionCacheControl", '"a b@c"', "a b@c"),
    ("ETagVersionCacheControl", "=5", "=5"),
    ("ETagVersionCacheControl", "set", "merge|set|ifunset"),
    ("ETagVersionCacheControlUnsafe", "max-age=soon", "max-age"),
    ("ETagVersionVary", "*", "*"),
    ("ETagVersionVary", '"X Kind"', "X Kind"),
    ("ETagVersionVary", "X-Kind:", "X-Kind:"),
    ("ETagVersionVary", "X-Kind +Accept", "+"),
    ("ETagVersionSettle", "soon", "ms, s, m, h or d"),
    ("ETagVersionSettle", "-1s", "ms, s, m, h or d"),
    ("ETagVersionSettle", "1.5s", "ms, s, m, h or d"),
    ("ETagVersionSettle", "5w", "ms, s, m, h or d"),
    ("ETagVersionSettle", "99999999999999999999", "ms, s, m, h or d"),
    *(("ETagVersionTypes", value, "type/subtype") for value in (
        "text", "text/", "/plain", "text/plain;charset=utf-8", "*/*", "*/plain", "text/pl*", "te*t/plain",
        "text/*+", "text/plain,text/html", '"text/plain text/html"')),
    ("ETagVersionTypes", '""', "at least one name"),
    ("ETagVersionTypes", "text/plain +text/html", "+"),
    ("ETagVersionTypes", "none text/plain", "none"),
    ("ETagVersionTypes", "text/plain none", "none"),
    ("ETagVersionTypes", "+", "+"),
    ("ETagVersionHeaders", '"X Kind"', "header"),
    ("ETagVersionHeaders", "X-Kind:", "header"),
    ("ETagVersionHeaders", "X-Kind +X-Other", "+"),
    ("ETagVersionHeaders", "none X-Kind", "none"),
    ("ETagVersionHeaders", "-", "-"),
]
BAD_SERVER = [
    ("ETagVersionStore", "memory", "local"),
    ("ETagVersionStore", "http://127.0.0.1", "redis://"),
    ("ETagVersionStore", "redis://", "redis://"),
    ("ETagVersionStore", "redis://127.0.0.1:0", "port"),
    ("ETagVersionStore", "redis://127.0.0.1:65536", "port"),
    ("ETagVersionStore", "redis://127.0.0.1/x", "db"),
    ("ETagVersionStore", "redis://127.0.0.1/-1", "db"),
    ("ETagVersionStore", "redis://[::1", "["),
    ("ETagVersionStore", "redis+unix://relative.sock", "/"),
    ("ETagVersionStore", "redis+unix:///a.sock?db=x", "db"),
    ("ETagVersionStore", "rediss://127.0.0.1?cert=/a", "key"),
    ("ETagVersionStore", "rediss://127.0.0.1?ca=a.pem", "absolute"),
    ("ETagVersionStore", "redis+sentinel://127.0.0.1,localhost", "name of the primary"),
    ("ETagVersionStore", "redis+sentinel://127.0.0.1,127.0.0.1/m", "twice"),
    ("ETagVersionStoreTimeout", "50ms", "connect="),
    ("ETagVersionStoreTimeout", "connect=0", "connect="),
    ("ETagVersionStoreTimeout", "connect=soon", "connect="),
    ("ETagVersionStoreTimeout", "read=50ms", "command="),
    ("ETagVersionStoreTimeout", "command=2h", "command="),
    ("ETagVersionKeyPrefix", '""', "argument"),
    ("ETagVersionKeyPrefix", "x" * 200, "128"),
    ("ETagVersionFreshness", "loose", "strict"),
    ("ETagVersionTableSize", "0", "whole number"),
    ("ETagVersionTableSize", "-5", "whole number"),
    ("ETagVersionTableSize", "many", "whole number"),
    ("ETagVersionTableSize", "16k", "whole number"),
    ("ETagVersionTableSize", "99999999999", "whole number"),
    ("ETagVersionSecret", "short", "16"),
    ("ETagVersionSecret", "file:/nonexistent/secret", "/nonexistent/secret"),
    *(("ETagVersionBufferLimit", value, "8M 256M") for value in (
        "many", "-1", "8X", "8MB", "M", "1.5M", "99999999999999999999", "99999999999G", "8M many", "8M -1", "+8M",
        "0x10")),
    ("ETagVersionBufferLimit", "8M 4M", "process"),
    ("ETagVersionBufferLimit", "512M", "process"),
    ("ETagVersionBufferLimit", "8M 256M 1", "ETagVersionBufferLimit"),
    ("ETagVersionStorePassword", "plain", "file:"),
    ("ETagVersionStorePassword", "file:/nonexistent/password", "/nonexistent/password"),
]
GLOBAL = {"ETagVersionTableSize", "ETagVersionBufferLimit", "ETagVersionEventsLimit"}  # not even in a virtual host
SERVER_ONLY = {line.split()[0] for line in GOOD_SERVER} | {"ETagVersionStorePassword"}


@pytest.fixture
def check(new_httpd):
    """Judge a configuration: exit status and output."""
    server = new_httpd(start=False, bump=False, modules="alias env")

    def run(conf):
        server.conf = conf
        return server.configtest()
    return run


def inside(lines, section="<Location />"):
    return f"{section}\n" + "\n".join(lines) + f"\n</{section[1:].split()[0]}>"


@pytest.mark.parametrize("section", ["<Location />", "<Directory />", '<Files "a">', '<LocationMatch "^/(?<X>.)">'])
def test_right_values_in_each_context(check, section):
    """One section for each line: lists of one section count as one line."""
    status, output = check("\n".join(inside([line], section) for line in GOOD))
    assert status == 0, output
    status, output = check("\n".join(inside([line], section) for line in GOOD_PLACE))
    assert status == 0, output


def test_right_values_in_the_server(check):
    for line in GOOD_SERVER:
        status, output = check(line)
        assert status == 0, output
    status, output = check("\n".join(f"<VirtualHost *:1{i:03}>\n{line}\n</VirtualHost>" for i, line in
                                     enumerate(GOOD + GOOD_SERVER) if line.split()[0] not in GLOBAL))
    assert status == 0, output


@pytest.mark.parametrize("directive, value, accepted", BAD + BAD_SERVER,
                         ids=[f"{d}-{v[:20]}" for d, v, _ in BAD + BAD_SERVER])
def test_wrong_values_name_directive_value_and_what_is_accepted(check, directive, value, accepted):
    line = f"{directive} {value}"
    status, output = check(line if directive in SERVER_ONLY else inside([line]))
    assert status != 0, f"accepted: {line}"
    assert directive in output
    assert accepted in output, output
    if directive not in ("ETagVersionSecret", "ETagVersionStorePassword") and len(value) < 60:
        words = value.strip('"').split()
        assert not words or any(word in output for word in words), output


@pytest.mark.parametrize("directive", sorted({d for d, _, _ in BAD + BAD_SERVER} | {"ETagVersionSalt"}))
def test_no_value_is_an_error(check, directive):
    status, output = check(directive if directive in SERVER_ONLY else inside([directive]))
    assert status != 0 and directive in output, output


@pytest.mark.parametrize("directive", sorted(SERVER_ONLY))
def test_server_directives_are_refused_elsewhere(check, directive):
    line = next((g for g in GOOD_SERVER if g.startswith(directive + " ")), directive + " file:/dev/null")
    for section in ("<Location />", "<Directory />"):
        status, output = check(inside([line], section))
        assert status != 0 and directive in output
    if directive in GLOBAL:
        status, output = check(f"<VirtualHost *:80>\n{line}\n</VirtualHost>")
        assert status != 0 and directive in output


@pytest.mark.parametrize("line", [
    "ETagVersionStore redis://al:s3cr3t@127.0.0.1:99999",
    "ETagVersionStore redis://:s3cr3t@127.0.0.1/x",
    "ETagVersionStore redis://al:s3cr3t@",
    "ETagVersionStore rediss://al:s3cr3t@127.0.0.1?x=1",
    "ETagVersionStore redis+sentinel://al:s3cr3t@127.0.0.1",
    "ETagVersionStore redis+sentinel://al:s3cr3t/mymaster",
    "ETagVersionStore http://al:s3cr3t@127.0.0.1",
    "ETagVersionStore redis://al:s3cr3t@x@127.0.0.1:y",
    "ETagVersionStore redis+unix://al:s3cr3t@relative",
    "ETagVersionStore al:s3cr3t@127.0.0.1",
    "ETagVersionStorePassword s3cr3t",
    "ETagVersionSecret s3cr3t",
])
def test_errors_do_not_show_secrets(check, line):
    status, output = check(line)
    assert status != 0 and line.split()[0] in output
    assert "s3cr3t" not in output


@pytest.mark.parametrize("content, good", [
    ("0123456789abcdef\n", True), ("0123456789abcdef\r\n", True), ("short\n", False), ("", False)])
def test_secret_file(check, tmp_path, content, good):
    file = tmp_path / "secret"
    file.write_text(content)
    status, output = check(f"ETagVersionSecret file:{file}")
    assert (status == 0) == good, output


def htaccess(new_httpd, override, text, shared=False):
    server = new_httpd(f'<Directory "@ROOT@/htdocs">\n  AllowOverride {override}\n</Directory>', start=False)
    server.write("htdocs/a.txt", "a\n")
    server.write("htdocs/.htaccess", text)
    return server.start()


@pytest.mark.parametrize("override, works", [("FileInfo", True), ("All", True), ("AuthConfig Indexes Limit", False),
                                             ("None", None)])
def test_htaccess_needs_fileinfo(new_httpd, override, works):
    lines = [line for line in GOOD if "MATCH" not in line]
    server = htaccess(new_httpd, override, "\n".join(f'<Files "f{i}">\n{line}\n</Files>'
                                                     for i, line in enumerate(lines))
                      + "\nETagVersion Version\nETagVersionModels m\nETagVersionCacheControl max-age=60\n")
    if works is False:
        server.log.expect("not allowed")
    answer = server.get("/a.txt")
    assert answer.status == (500 if works is False else 200)
    assert answer.one("Cache-Control") == ("max-age=60" if works else None)


@pytest.mark.parametrize("line", ["ETagVersion Perhaps", "ETagVersionModels a +b", "ETagVersionVary *",
                                  "ETagVersionStore local", "ETagVersionSecret 0123456789abcdef", *GOOD_PLACE])
def test_htaccess_errors(new_httpd, line):
    server = htaccess(new_httpd, "FileInfo", line)
    server.log.expect(line.split()[0])
    assert server.get("/a.txt").status == 500


def test_restricted_expressions_in_htaccess(new_httpd, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    server = htaccess(new_httpd, "FileInfo",
                      f"ETagVersion Version\nETagVersionModels \"%{{file:{secret}}}\"\n")
    server.log.expect("ETagVersionModels", optional=True)
    answer = server.get("/a.txt")
    assert answer.status == 500 or not (answer.etag or "").startswith('W/"v')
    assert "hidden" not in server.log.text()
    assert "hidden" not in (server.root / "logs/access.log").read_text()


def test_mod_info_does_not_show_passwords(new_httpd, tmp_path):
    password = tmp_path / "password"
    password.write_text("s3cr3t-in-a-file\n")
    server = new_httpd(f"""
        ETagVersionStore redis://127.0.0.1:1
        ETagVersionStorePassword file:{password}
        ETagVersionSecret file:{password}
        <Location /server-info>
          SetHandler server-info
        </Location>
        <Location />
          ETagVersion Version
          ETagVersionModels m
        </Location>""", "info")
    server.log.expect("etag_version:", optional=True)
    server.write("htdocs/a.txt", "a\n")
    page = server.get("/server-info")
    assert page.status == 200 and "ETagVersionStorePassword" in page.text
    assert "s3cr3t" not in page.text
    assert server.get("/a.txt").status == 200
    assert "s3cr3t" not in server.log.text()


def test_secret_makes_tags_repeat(new_httpd):
    """With a secret and Redis absent, tags still begin anew with the local store's instance."""
    conf = "ETagVersionSecret 0123456789abcdef\n" + inside(
        ["ETagVersion Version", "ETagVersionModels m", "ETagVersionUpstreamETag Replace"])
    server = new_httpd(conf, start=False)
    server.write("htdocs/a.txt", "a\n")
    tag = server.start().get("/a.txt").etag
    server.restart()
    answer = server.get("/a.txt", tag=tag)
    assert answer.status == 200 and answer.etag != tag
