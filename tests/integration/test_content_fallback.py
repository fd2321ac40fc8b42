# SPDX-License-Identifier: Apache-2.0
"""Mode On: a version tag where there can be one, a content tag elsewhere. And who shares content tags."""
import random

import pytest

from harness.backend import Reply
from harness.reader import is_content
from harness.tags import digest, is_version
from harness.wait import until

SECRET = "ETagVersionSecret the-same-on-all-hosts\n"
SITE = """
ProxyPass /p/ @BACKEND@/p/
<Location /p/>
  ETagVersion On
  ETagVersionModels m
</Location>
<Location /p/content>
  ETagVersion Content
</Location>
<Location /p/version>
  ETagVersion Version
</Location>
<Location /p/no_models>
  ETagVersionModels none
</Location>
<Location /p/absent>
  ETagVersionModels never.set
  ETagVersionMissing Skip
</Location>
<Location /p/young>
  ETagVersionSettle 1h
</Location>
<Location /p/failing>
  ETagVersionModels "%{env:NOT_THERE}"
</Location>
<Location /p/saltless>
  ETagVersionSalt "%{HTTP:X-Release}"
</Location>
<Location /p/off>
  ETagVersion Off
</Location>
"""
BODY = "always the same words\n"
COOKIE = [("Cookie", "a=b")]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    backend = shared_backend()
    backend.default = Reply(body=BODY)
    server = shared_httpd(SECRET + SITE.replace("@BACKEND@", backend.url), "proxy")
    server.backend = backend
    server.content_tag = server.get("/p/content").etag
    assert is_content(server.content_tag)
    return server


# Name: path, what the backend adds, what the client sends.
FALLBACKS = {
    "no models": ("/p/no_models", [], []),
    "missing": ("/p/absent", [], []),
    "settling": ("/p/young", [], []),
    "expansion": ("/p/failing", [], []),
    "salt": ("/p/saltless", [("Vary", "X-Release")], []),
    "cookie": ("/p/x", [], COOKIE),
    "authorization": ("/p/x", [], [("Authorization", "Basic eDp5")]),
    "vary": ("/p/vary", [("Vary", "X-Unnamed")], []),
    "vary on everything": ("/p/star", [("Vary", "*")], []),
    "vary on cookies": ("/p/vary_cookie", [("Vary", "Cookie")], []),
    "set-cookie": ("/p/set_cookie", [("Set-Cookie", "a=b")], []),
    "private": ("/p/private", [("Cache-Control", "private")], []),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_fallback(server, name):
    path, added, sent = FALLBACKS[name]
    server.log.expect("the response varies on (X-Unnamed|Cookie)", optional=True)
    server.backend.on(path, Reply(200, added, BODY))
    answer = server.get(path, sent)
    assert answer.text == BODY and answer.etag == server.content_tag, (server.why(answer), answer)
    assert server.why(answer) == "fresh"
    calls = server.backend.calls()
    again = server.get(path, sent, tag=answer.etag)
    assert again.status == 304 and again.etag == answer.etag and server.why(again) == "late-304"
    assert server.backend.calls() == calls + 1
    server.backend.on(path, Reply(200, added, BODY + "more\n"))
    changed = server.get(path, sent, tag=answer.etag)
    assert changed.status == 200 and changed.text == BODY + "more\n" and server.why(changed) == "changed"
    assert is_content(changed.etag) and changed.etag != answer.etag


def test_the_reason_without_a_body_to_hash(server):
    """HEAD has no content tag, and no version tag either where there is a reason."""
    answer = server.request("HEAD", "/p/x")
    assert is_version(answer.etag)
    answer = server.request("HEAD", "/p/x", COOKIE)
    assert answer.status == 200 and answer.etag is None


def test_versions_where_they_can_be_had(server):
    server.backend.on("/p/x", Reply(body=BODY))
    answer = server.get("/p/x")
    assert is_version(answer.etag) and answer.etag.startswith("W/") and server.why(answer) == "fresh"
    calls = server.backend.calls()
    again = server.get("/p/x", tag=answer.etag)
    assert again.status == 304 and server.why(again) == "early-304" and server.backend.calls() == calls
    both = server.get("/p/x", tag=f"{server.content_tag}, {answer.etag}")
    assert both.status == 304 and both.etag == answer.etag and server.backend.calls() == calls
    # The content tag of an earlier time is not the tag of today's representation.
    changed = server.get("/p/x", tag=server.content_tag)
    assert changed.status in (200, 304) and changed.etag in (answer.etag, server.content_tag)
    server.bump("m")
    changed = server.get("/p/x", tag=answer.etag)
    assert changed.status == 200 and is_version(changed.etag) and changed.etag != answer.etag


def test_back_to_versions(server):
    """As soon as the reason is gone."""
    server.backend.on("/p/absent", Reply(body=BODY))
    for _ in range(2):
        assert is_content(server.get("/p/absent").etag)
    server.bump("never.set")
    assert is_version(server.get("/p/absent").etag)
    assert is_content(server.get("/p/absent", COOKIE).etag)
    assert is_version(server.get("/p/absent").etag)
    server.backend.on("/p/changing", Reply(200, [("Cache-Control", "private")], BODY))
    assert is_content(server.get("/p/changing").etag)
    server.backend.on("/p/changing", Reply(body=BODY))
    assert is_version(server.get("/p/changing").etag)


@pytest.mark.parametrize("fields, status, body", [([("Cache-Control", "no-store")], 200, BODY),
                                                  ([("Age", "0")], 200, BODY), ([], 404, BODY), ([], 200, ""),
                                                  ([("ETag", '"own"')], 200, BODY)])
def test_no_fallback_for_what_has_no_content_tag(server, fields, status, body):
    server.backend.on("/p/no_models", Reply(status, fields, body))
    answer = server.get("/p/no_models")
    assert answer.status == status and answer.etag == dict(fields).get("ETag")


def test_content_and_version_are_kept_apart(server):
    """A client cannot take one for the other."""
    for path in ("/p/x", "/p/version", "/p/no_models"):
        server.backend.on(path, Reply(body=BODY))
        tag = server.get(path).etag
        start = tag.index('"') + 1
        for letter in "vuch":
            if letter != tag[start] and {letter, tag[start]} != set("uv"):
                other = tag[:start] + letter + tag[start + 1:]
                assert server.get(path, tag=other).status == 200, (tag, other)
    assert digest(server.get("/p/x").etag) != digest(server.content_tag)


def test_other_modes_do_not_fall_back(server):
    assert is_version(server.get("/p/version").etag)
    answer = server.get("/p/version", COOKIE)
    assert answer.etag is None and server.why(answer) == "identity"
    answer = server.get("/p/off")
    assert answer.etag is None and server.why(answer) is None
    assert is_content(server.get("/p/content", COOKIE).etag)


def test_range(server):
    """Where Range is present there is no version tag, but the 206 has the strong content tag."""
    body = "0123456789" * 10
    server.backend.on("/p/range", Reply(body=body))
    assert is_version(server.get("/p/range").etag)
    part = server.get("/p/range", [("Range", "bytes=10-19")])
    assert (part.status, part.text) == (206, "0123456789"), part
    assert is_content(part.etag) and part.etag.startswith('"'), part
    more = server.get("/p/range", [("Range", "bytes=20-24"), ("If-Range", part.etag)])
    assert (more.status, more.text, more.etag) == (206, "01234", part.etag)
    server.backend.on("/p/range", Reply(body=body + "new"))
    whole = server.get("/p/range", [("Range", "bytes=20-24"), ("If-Range", part.etag)])
    assert whole.status == 200 and whole.text == body + "new" and whole.etag != part.etag


def test_every_reason_in_a_random_order(server):
    """Whatever came before, each request has the kind of tag that it must have."""
    dice = random.Random(17)
    server.log.expect("the response varies on X-Unnamed", optional=True)
    server.bump("never.set")
    for path, added in (("/p/any1", []), ("/p/any2", [("Vary", "X-Unnamed")]), ("/p/any3", [("Set-Cookie", "a=b")])):
        server.backend.on(path, Reply(200, added, BODY))
    tags = [None, server.content_tag, '"x"']
    with server.connect() as connection:
        for _ in range(150):
            path = dice.choice(["/p/any1", "/p/any2", "/p/any3"])
            cookie, tag = dice.choice([[], COOKIE]), dice.choice(tags)
            answer = connection.request("GET", path, cookie + ([("If-None-Match", tag)] if tag else []))
            version = path == "/p/any1" and not cookie
            assert is_version(answer.etag) == version and (version or answer.etag == server.content_tag), answer
            if not version:
                assert answer.status == (304 if tag == server.content_tag else 200), answer
            if is_version(answer.etag) and len(tags) == 3:
                tags.append(answer.etag)


# --- stores and secrets --------------------------------------------------------------------------

REDIS = """
ETagVersionStore @REDIS@
ETagVersionStoreTimeout connect=5s command=5s
"""


def redis_site(redis, backend, more=""):
    return more + REDIS.replace("@REDIS@", redis.url) + SITE.replace("@BACKEND@", backend.url)


def test_redis_that_dies(new_httpd, new_backend, new_redis):
    """Version tags, content tags while the store is down, version tags again."""
    backend, redis = new_backend(), new_redis()
    backend.default = Reply(body=BODY)
    server = new_httpd(redis_site(redis, backend, SECRET), "proxy")
    server.log.expect("etag_version", optional=True)
    version = server.get("/p/x").etag
    assert is_version(version)
    content = server.get("/p/content").etag
    redis.kill()
    for tag in (None, version, '"x"'):
        answer = server.get("/p/x", tag=tag)
        assert answer.status == 200 and answer.text == BODY and answer.etag == content, answer
    assert server.get("/p/x", tag=content).status == 304
    assert server.get("/p/version").etag is None
    redis.start()
    answer = until(lambda: (lambda a: a if is_version(a.etag) else None)(server.get("/p/x")), "version tags")
    assert answer.etag != version, "another instance of the store"
    assert server.get("/p/x", tag=answer.etag).status == 304
    assert server.get("/p/content").etag == content


def test_redis_that_was_never_there(new_httpd, new_backend):
    backend = new_backend()
    backend.default = Reply(body=BODY)
    store = "ETagVersionStore redis://127.0.0.1:1\n"
    server = new_httpd(SECRET + store + SITE.replace("@BACKEND@", backend.url), "proxy")
    server.log.expect("etag_version", optional=True)
    answer = server.get("/p/x")
    assert is_content(answer.etag) and server.get("/p/x", tag=answer.etag).status == 304
    assert server.get("/p/content").etag == answer.etag


def test_redis_keeps_the_secret(new_httpd, new_backend, new_redis):
    """Two hosts of one Redis have the same content tags; those of another Redis have not."""
    backend, redis, other = new_backend(), new_redis(), new_redis()
    backend.default = Reply(body=BODY)
    servers = [new_httpd(redis_site(redis, backend), "proxy") for _ in range(2)]
    stranger = new_httpd(redis_site(other, backend), "proxy")
    tags = {path: servers[0].get(path).etag for path in ("/p/content", "/p/no_models")}
    assert is_content(tags["/p/content"]) and len(set(tags.values())) == 1
    for path, tag in tags.items():
        assert servers[1].get(path).etag == tag
        assert servers[1].get(path, tag=tag).status == 304
        assert is_content(stranger.get(path).etag) and stranger.get(path).etag != tag
    servers[1].restart()
    assert servers[1].get("/p/content").etag == tags["/p/content"]


def test_secret_unknown_while_redis_is_down(new_httpd, new_backend, new_redis):
    """Without the secret that Redis keeps there is no content tag that other hosts would have."""
    backend, redis = new_backend(), new_redis()
    backend.default = Reply(body=BODY)
    conf = redis_site(redis, backend)
    tag = new_httpd(conf, "proxy").get("/p/content").etag
    redis.freeze()
    late = new_httpd(conf.replace("=5s", "=50ms"), "proxy")
    late.log.expect("etag_version", optional=True)
    answer = late.get("/p/content")
    assert answer.status == 200 and answer.text == BODY and answer.etag in (None, tag)
    redis.thaw()
    until(lambda: late.get("/p/content").etag == tag, "the same tag as on the other host")


def test_secrets(new_httpd, new_backend):
    """The same secret gives the same tags, on another server and after a restart; another one does not."""
    backend = new_backend()
    backend.default = Reply(body=BODY)
    conf = SITE.replace("@BACKEND@", backend.url)
    one, two, other, none = (new_httpd(secret + conf, "proxy") for secret in
                             (SECRET, SECRET, "ETagVersionSecret quite-another-secret\n", ""))
    tag = one.get("/p/content").etag
    assert is_content(tag) and two.get("/p/content").etag == tag
    assert two.get("/p/content", tag=tag).status == 304
    for stranger in (other, none):
        answer = stranger.get("/p/content", tag=tag)
        assert answer.status == 200 and is_content(answer.etag) and answer.etag != tag
    assert other.get("/p/content").etag != none.get("/p/content").etag
    own = none.get("/p/content").etag
    for server, expected in ((one, tag), (none, own)):
        server.graceful()
        for _ in range(20):
            assert server.get("/p/content").etag == expected, "other tags after a graceful restart"
    one.restart()
    assert one.get("/p/content", tag=tag).status == 304
    none.restart()
    answer = none.get("/p/content", tag=own)
    assert answer.status == 200 and is_content(answer.etag) and answer.etag != own
