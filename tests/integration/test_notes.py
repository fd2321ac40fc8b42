# SPDX-License-Identifier: Apache-2.0
"""The reason words for the access log, and a module that is loaded but not switched on."""
import os

import pytest

from harness.backend import Reply
from harness.table import Case, build
from harness.tags import is_version

CASES = [
    Case("plain"),
    Case("nothing", "ETagVersionModels none"),
    Case("absent", "ETagVersionModels never\nETagVersionMissing Skip"),
    Case("young", "ETagVersionSettle 1h"),
    Case("private_cookie"),
    Case("varying", headers=[("Vary", "X-Unnamed")]),
    Case("own", headers=[("ETag", '"theirs"')]),
    Case("replaced", "ETagVersionUpstreamETag Replace", [("ETag", '"theirs"')]),
    Case("two", "ETagVersionModels one two"),
    Case("off", "ETagVersion Off"),
]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return build(shared_httpd, shared_backend(), CASES, "setenvif", "SetEnvIf X-Off 1 no-etag-version")


def test_reasons(server):
    server.log.expect("X-Unnamed", optional=True)

    def why(name, headers=(), tag=None):
        return server.why(server.get(f"/t/{name}", headers, tag=tag))

    tag = server.get("/t/plain").etag
    assert why("plain") == "fresh"
    assert why("plain", tag=tag) == "early-304"
    assert why("plain", tag='"other"') == "changed"
    assert why("nothing") == "no-models"
    assert why("absent") == "missing"
    assert why("young") == "settling"
    assert why("private_cookie", [("Cookie", "a=b")]) == "identity"
    assert why("varying") == "vary"
    assert why("plain", [("X-Off", "1")]) == "bypass"
    assert why("own") == "kept"
    assert why("off") is None


def test_reason_is_one_word_for_everything(server):
    """Whatever happens, a request in scope has one word without spaces."""
    server.log.expect("X-Unnamed", optional=True)
    for case in CASES[:-1]:
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            word = server.why(server.request(method, case.path, body=b"" if method == "POST" else None))
            assert word and " " not in word, (case, method)


def test_store_down_is_a_reason(new_httpd):
    server = new_httpd("ETagVersionStore redis://127.0.0.1:1\n<Location />\nETagVersion Version\n"
                       "ETagVersionModels m\n</Location>", start=False)
    server.write("htdocs/a.txt", "a\n")
    server.log.expect("etag_version:(warn|error)")
    assert server.why(server.start().get("/a.txt")) == "store-down"


def test_models_are_logged(server):
    assert sorted(server.logged(server.get("/t/two"))[2].split()) == ["one", "two"]
    tag = server.get("/t/two").etag
    assert sorted(server.logged(server.get("/t/two", tag=tag))[2].split()) == ["one", "two"]
    assert server.logged(server.get("/t/nothing"))[2] is None
    assert server.logged(server.get("/t/off"))[1:] == (None, None)


def test_a_backends_own_tag(server):
    """Kept: it is the application's; replaced: the administrator said so."""
    own = server.get("/t/own")
    assert own.etag == '"theirs"'
    calls = server.backend.calls("/t/own")
    assert server.get("/t/own", tag='"theirs"').etag == '"theirs"'
    assert server.backend.calls("/t/own") == calls + 1
    replaced = server.get("/t/replaced")
    assert is_version(replaced.etag)
    assert server.get("/t/replaced", tag='"theirs"').status == 200
    assert server.get("/t/replaced", tag=replaced.etag).status == 304


def test_file_etag_none_wins(new_httpd):
    server = new_httpd("FileETag None\n<Location />\nETagVersion Version\nETagVersionModels m\n"
                       "ETagVersionUpstreamETag Replace\n</Location>", start=False)
    server.write("htdocs/a.txt", "a\n")
    server.start()
    answer = server.get("/a.txt")
    assert answer.status == 200
    if not answer.etag:
        assert server.get("/a.txt", tag='W/"v0123456789012345678901"').status == 200


OFF = """
ProxyPass /p/ @BACKEND@/p/
<Location /set>
  ETagVersion Off
  ETagVersionModels m
  ETagVersionCacheControl max-age=60
  ETagVersionCacheControlUnsafe no-store
  ETagVersionVary X-Kind
</Location>
<Location /packed>
  SetOutputFilter DEFLATE
</Location>
<Location /p/headers>
  Header set Cache-Control "max-age=1"
  Header always add Vary Origin
  ExpiresActive On
  ExpiresDefault "access plus 1 hour"
</Location>
"""
# The directives can only be stated where the module is loaded.
PLAIN = OFF[:OFF.index("<Location /set>")] + OFF[OFF.index("</Location>") + len("</Location>"):]


def test_off_means_off(new_httpd, new_backend):
    """Loaded but not enabled: every byte is as without the module, but for the time of day."""
    backend = new_backend()
    backend.on("/p/tag", Reply(200, [("ETag", '"x"'), ("Cache-Control", "max-age=3"), ("Cache-Control", "foo"),
                                     ("Vary", "A"), ("Vary", "B")], "same"))
    for path in ("/p/headers", "/p/plain"):
        backend.on(path, Reply(body="always the same " * 40))
    backend.on("/p/error", Reply(500, body="oh"))
    answers = []
    for conf, etv in ((PLAIN, False), (OFF, True)):
        server = new_httpd(conf.replace("@BACKEND@", backend.url), "proxy headers expires filter deflate",
                           etv=etv, bump=False, start=False)
        for name in ("a.txt", "set/a.txt", "packed/a.txt"):
            file = server.write(f"htdocs/{name}", "a file\n" * 99)
            os.utime(file, (1e9, 1e9))
        server.start()
        got = []
        own = {path: server.get(path).etag for path in ("/a.txt", "/set/a.txt", "/packed/a.txt", "/p/tag")}
        for path in (*own, "/p/headers", "/p/plain", "/p/error", "/none"):
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                for headers in ([], [("Accept-Encoding", "gzip"), ("Cookie", "a=b")],
                                [("If-None-Match", own.get(path) or "*")], [("If-Match", '"no"')],
                                [("Range", "bytes=0-2")]):
                    if headers == [("Range", "bytes=0-2")] and path.startswith("/p/"):
                        continue  # depends on whether the body came in one piece
                    answer = server.request(method, path, headers, body=b"" if method == "POST" else None)
                    assert server.logged(answer)[1:] == (None, None)
                    got.append((method, path, headers, answer.status, answer.body,
                                [(k, sorted(v.split(",")) if k == "Allow" else v) for k, v in answer.headers
                                 if k not in ("Date", "Expires")]))  # the order in Allow is random
        answers.append(got)
    for without, with_module in zip(*answers):
        assert without == with_module
