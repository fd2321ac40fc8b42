# SPDX-License-Identifier: Apache-2.0
"""ETagVersionModelsHeader: responses say what they depend on, and their tags carry it from host to host."""
import re
import threading

import pytest

from harness.backend import Reply
from harness.lease import await_table
from harness.tags import digest, is_version, letter, names, with_letter
from harness.wait import until

HEADER = "X-Depends-On"
PLACE = f"""
ProxyPass /p/ @BACKEND@/p/
ETagVersion @MODE@
ETagVersionModelsHeader {HEADER}
"""
FRESHNESS = {"strict": "ETagVersionFreshness strict", "lease": "ETagVersionFreshness lease 20s"}


def declares(models, **more):
    return Reply(200, {HEADER: models}, **more)


@pytest.fixture
def backend(new_backend):
    backend = new_backend()
    backend.on("/p/ab", declares("b, a"))
    return backend


@pytest.fixture
def host(new_httpd, backend):
    """One host of a fleet; all have the same backend, and each its own memory."""
    def make(conf="", mode="Version", modules="proxy", place=PLACE, **more):
        place = place.replace("@BACKEND@", backend.url).replace("@MODE@", mode)
        return new_httpd(conf + place, modules, **more)
    return make


def fleet(host, redis, n=2, freshness="strict", **more):
    """Hosts on one Redis, in which the models a and b have versions."""
    for model in "abc":
        redis("SET", f"model_version:{model}", f"1{model}")
    hosts = [host(f"ETagVersionStore {redis.url}\n{FRESHNESS[freshness]}\n"
                  f"ETagVersionStoreTimeout connect=5s command=5s\n", **more) for _ in range(n)]
    if freshness == "lease":
        for each in hosts:
            await_table(each)
    return hosts


def learn(server, path="/p/ab", **more):
    """The tag of a declared list: the first response tells the host the names, the next has the tag."""
    first = server.get(path, **more)
    assert first.status == 200
    again = server.get(path, **more)
    assert again.status == 200 and is_version(again.etag), f"{server.why(again)}: {again}"
    assert names(again.etag)[0], again
    return again


# --- one host -------------------------------------------------------------------------------------

def test_local_store(host, backend):
    """From the second GET on, as long as nothing changes; a bump of any of them ends it."""
    server = host()
    for model in "ab":
        server.bump(model)
    full = learn(server)
    assert not full.all(HEADER)
    before = backend.calls()
    again = server.get("/p/ab", tag=full.etag)
    assert again.status == 304 and again.etag == full.etag and not again.all(HEADER)
    assert server.logged(again) == (304, "early-304", "a b")
    assert backend.calls() == before
    for model in "ba":
        server.bump(model)
        new = server.get("/p/ab", tag=full.etag)
        assert new.status == 200 and new.etag != full.etag
        assert names(new.etag) == names(full.etag), "the same list has the same name"
        assert server.get("/p/ab", tag=new.etag).status == 304
        full = new


def test_a_known_version_counts_at_once(host):
    """The local store knows what it gave before the handler began, so the first response has its tag."""
    server = host()
    server.bump("a")
    server.bump("b")
    first = server.get("/p/ab")
    assert is_version(first.etag) and server.why(first) == "fresh"
    assert server.get("/p/ab", tag=first.etag).status == 304


@pytest.mark.parametrize("mpm", ["prefork", "worker"])
def test_children_and_generations(host, backend, mpm):
    """What one child has learned all know, also those of the next generation."""
    server = host(mpm=mpm)
    server.bump("a")
    server.bump("b")
    tag = learn(server).etag
    calls = backend.calls()
    for _ in range(12):
        assert server.get("/p/ab", tag=tag).status == 304
    server.graceful()
    for _ in range(12):
        assert server.get("/p/ab", tag=tag).status == 304
    assert backend.calls() == calls
    server.bump("b")
    assert server.get("/p/ab", tag=tag).status == 200


def test_over_http2(host, backend):
    server = host("Protocols h2c http/1.1\n", modules="proxy h2")
    server.bump("a")
    server.bump("b")
    tag = learn(server, proto="h2").etag
    calls = backend.calls()
    again = server.get("/p/ab", tag=tag, proto="h2")
    assert again.status == 304 and again.etag == tag and backend.calls() == calls


def test_models_that_nobody_bumped(host, backend):
    """What a backend declares is not created: there is no version, and no tag."""
    server = host()
    server.bump("a")
    for _ in range(3):
        answer = server.get("/p/ab")
        assert answer.status == 200 and not answer.etag and not answer.all(HEADER)
    assert server.why(answer) == "missing"
    assert backend.calls() == 3


def test_order_and_case_of_the_list(host, backend):
    server = host()
    for model in ("a", "b", "A"):
        server.bump(model)
    tags = []
    for models in ("a,b", "b , a", "a,,b,a", "A,b"):
        backend.on("/p/x", declares(models))
        server.get("/p/x")
        tags.append(server.get("/p/x").etag)
    assert len(set(tags[:3])) == 1 and tags[3] != tags[0]


def test_several_lines(host, backend):
    server = host()
    server.bump("a")
    server.bump("b")
    backend.on("/p/x", Reply(200, [(HEADER, "a"), (HEADER.upper(), "b")]))
    full = learn(server, "/p/x")
    assert server.logged(full)[2] == "a b" and not full.all(HEADER)
    server.bump("b")
    assert server.get("/p/x", tag=full.etag).status == 200


def test_the_backend_changes_its_mind(host, backend):
    """Each response is tagged by what it declares itself."""
    server = host()
    for model in "abc":
        server.bump(model)
    tags = {}
    for models in ("a", "b", "a,b", "", None, "a"):
        backend.on("/p/x", Reply(200, {} if models is None else {HEADER: models}))
        server.get("/p/x", tag='"x"')
        answer = server.get("/p/x", tag='"x"')
        assert answer.status == 200
        if models:
            assert names(answer.etag)[0]
            assert tags.setdefault(models, answer.etag) == answer.etag
        else:
            assert not answer.etag, "no models, no version tag"
    server.bump("a")
    assert server.get("/p/x", tag=tags["b"]).status == 304
    assert server.get("/p/x", tag=tags["a"]).status == 200
    # any of several tags
    assert server.get("/p/x", tag=f'"x", {tags["a"]}, {tags["a,b"]}, {tags["b"]}').etag == tags["b"]


def test_configured_and_declared(host, backend):
    """Both count; a response that declares nothing depends on the configured models alone."""
    server = host("ETagVersionModels m\n")
    server.bump("a")
    server.bump("b")
    backend.on("/p/plain", Reply())
    plain = server.get("/p/plain")
    assert is_version(plain.etag) and names(plain.etag) == ("", "")
    assert server.get("/p/plain", tag=plain.etag).status == 304
    full = learn(server)
    assert server.logged(full)[2] == "m a b"
    assert server.get("/p/ab", tag=full.etag).status == 304
    for model in ("m", "a", "b"):
        server.bump(model)
        new = server.get("/p/ab", tag=full.etag)
        assert new.status == 200 and new.etag != full.etag
        full = new
    assert server.get("/p/plain", tag=plain.etag).status == 200


def test_head_and_get_have_one_tag(host):
    server = host()
    server.bump("a")
    server.bump("b")
    full = learn(server)
    head = server.request("HEAD", "/p/ab")
    assert head.etag == full.etag and not head.all(HEADER)
    assert server.request("HEAD", "/p/ab", [("If-None-Match", full.etag)]).status == 304


def test_strong_and_coded(host, backend):
    server = host("ETagVersionStrength Strong\nSetOutputFilter DEFLATE\n", modules="proxy filter deflate")
    server.bump("a")
    server.bump("b")
    plain = learn(server)
    assert plain.etag.startswith('"')
    gzip = [("Accept-Encoding", "gzip")]
    backend.on("/p/ab", declares("a,b", body="long " * 500))
    coded = learn(server, headers=gzip)
    assert coded.etag.startswith("W/") and coded.etag.endswith('-gzip"')
    assert server.get("/p/ab", gzip, tag=coded.etag).etag == coded.etag
    assert server.get("/p/ab", tag=coded.etag).status == 200
    assert server.get("/p/ab", gzip, tag=f"{plain.etag}, {coded.etag}").status == 304


# --- what is not a list -----------------------------------------------------------------------------

@pytest.mark.parametrize("models", [",".join(f"m{i}" for i in range(17)), "x" * 257, "a, %b", "a,b\tc"],
                         ids=["seventeen", "long", "percent", "tab"])
@pytest.mark.parametrize("mode", ["Version", "On"])
def test_no_list(host, backend, models, mode):
    """No version tag; a content tag where that is allowed."""
    server = host("ETagVersionModels m\n", mode=mode)
    backend.on("/p/x", declares(models))
    for _ in range(2):
        answer = server.get("/p/x")
        assert answer.status == 200 and not answer.all(HEADER)
        assert (letter_of(answer) == "c") if mode == "On" else not answer.etag
    if mode == "Version":
        assert server.why(answer) == "declared"
    assert server.log.lines("ETV0360")


def letter_of(answer):
    return answer.etag and re.search('"(.)', answer.etag).group(1)


def test_sixteen_models(host, backend):
    server = host()
    models = [f"{'m' * 200}.{i}" for i in range(16)]
    for model in models:
        server.bump(model)
    backend.on("/p/x", declares(",".join(models)))
    full = learn(server, "/p/x")
    assert server.get("/p/x", tag=full.etag).status == 304
    server.bump(models[7])
    assert server.get("/p/x", tag=full.etag).status == 200


def test_content_tag_until_the_names_are_known(host, backend):
    """On: a response that may not have its version tag yet has one of its content."""
    server = host("ETagVersionSettle 1h\n", mode="On")
    server.bump("a")
    server.bump("b")
    for _ in range(3):
        answer = server.get("/p/ab")
        assert letter_of(answer) == "c"
    backend.on("/p/ab", declares("a", body="fixed"))
    tag = server.get("/p/ab").etag
    assert server.get("/p/ab", tag=tag).status == 304


# --- whose word it is -------------------------------------------------------------------------------

def test_clients_cannot_declare(host, backend):
    server = host()
    server.bump("a")
    backend.on("/p/plain", Reply())
    for _ in range(2):
        answer = server.get("/p/plain", {HEADER: "a"})
        assert not answer.etag and not answer.all(HEADER)


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 500, 503])
@pytest.mark.parametrize("mode", ["Version", "On", "Off", "Content", "Headers"])
def test_taken_away_everywhere(host, backend, mode, status):
    server = host(mode=mode)
    backend.on("/p/x", Reply(status, {HEADER: "a", "Location": "/p/ab"}))
    for method in ("GET", "HEAD", "POST", "DELETE"):
        answer = server.request(method, "/p/x", body=b"" if method == "POST" else None)
        assert answer.status == status and not answer.all(HEADER), answer


def test_taken_away_from_scripts(host):
    """Scripts write among the headers that httpd's own error pages and local redirects keep."""
    server = host(f"""
        ScriptAlias /c/ "@ROOT@/cgi/"
        ErrorDocument 404 /c/error.sh
        Alias /t/ "@ROOT@/htdocs/"
        <Location /t/>
          ETagVersionModelsHeader Off
        </Location>
        """, modules="proxy cgid alias", start=False)
    head = f"#!/bin/sh\nprintf 'Content-Type: text/plain\\n{HEADER}: a\\n"
    server.write("cgi/page.sh", f"{head}\\npage\\n'\n", 0o755)
    server.write("cgi/error.sh", f"{head}Status: 404\\n\\nno\\n'\n", 0o755)
    server.write("cgi/broken.sh", f"{head}Status: 500\\n\\nno\\n'\n", 0o755)
    server.write("cgi/local.sh", f"#!/bin/sh\nprintf 'Location: /c/page.sh\\n{HEADER}: b\\n\\n'\n", 0o755)
    server.write("cgi/away.sh", f"#!/bin/sh\nprintf 'Location: /t/x.txt\\n{HEADER}: b\\n\\n'\n", 0o755)
    server.write("htdocs/x.txt", "x\n")
    server.start()
    server.bump("a")
    server.bump("b")
    for path, status in (("/c/page.sh", 200), ("/nowhere", 404), ("/c/broken.sh", 500), ("/c/local.sh", 200),
                         ("/c/away.sh", 200)):
        for _ in range(2):
            answer = server.get(path)
            assert answer.status == status and not answer.all(HEADER), (path, answer)
    assert server.get("/c/page.sh", tag=server.get("/c/page.sh").etag).status == 304


def test_another_header_is_just_a_header(host, backend):
    server = host(place="ProxyPass /p/ @BACKEND@/p/\nETagVersion @MODE@\n")
    assert server.get("/p/ab").one(HEADER) == "b, a"


# --- tags that are not ours -------------------------------------------------------------------------

def swap(tag, other):
    """One tag's digest with what the other names."""
    return tag.replace(names(tag)[0], names(other)[0])


def test_garbled_tags(host, backend):
    server = host()
    for model in "abc":
        server.bump(model)
    backend.on("/p/c", declares("c"))
    tag, other = learn(server).etag, learn(server, "/p/c").etag
    assert server.get("/p/ab", tag=tag).status == 304
    start, name = tag.index('"') + 1, names(tag)[0]
    bad = [tag[:i] + ("A" if tag[i] != "A" else "B") + tag[i + 1:] for i in range(start, len(tag) - 1)]
    bad += [tag[:i] + '"' for i in range(start, len(tag) - 1)]
    bad += [swap(tag, other), swap(other, tag), other, tag.replace(name, ""), tag.replace(name, name * 2),
            tag.replace(".", "~"), with_letter(tag, "u"), with_letter(tag, "c"), tag[:-1] + "~" + name[1:] + '"',
            tag.replace(name, "." + "A" * 22), tag.replace(digest(tag), name[1:])]
    for text in bad:
        answer = server.get("/p/ab", tag=text)
        assert answer.status == 200 and answer.etag == tag, text
    assert server.get("/p/ab", tag=", ".join(bad[-20:] + [tag])).status in (200, 304)
    assert server.get("/p/ab", tag=tag).status == 304


def test_tags_of_another_secret(host, backend, new_redis):
    redis = new_redis()
    one, two = [fleet(lambda conf, **more: host(conf + f"ETagVersionSecret {16 * secret}\n", **more), redis, 1)[0]
                for secret in "xy"]
    for each in (one, two):
        tag = learn(each).etag
        assert each.get("/p/ab", tag=tag).status == 304
    other = two if each is one else one
    calls = backend.calls()
    answer = other.get("/p/ab", tag=tag)
    assert answer.status == 200 and backend.calls() == calls + 1


# --- two hosts --------------------------------------------------------------------------------------

@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("configured", ["", "ETagVersionModels m\n"], ids=["declared", "both"])
def test_a_host_that_never_saw_the_url(host, backend, new_redis, freshness, configured):
    redis = new_redis()
    one, two, three = fleet(lambda conf, **more: host(conf + configured, **more), redis, 3, freshness)
    full = learn(one)
    calls = backend.calls()
    for other in (two, three, one):
        for _ in range(2):
            again = other.get("/p/ab", tag=full.etag)
            assert again.status == 304 and again.etag == full.etag
    assert backend.calls() == calls, "no backend was asked"
    two.bump("a")
    for each in (two, one, three):
        answer = until(lambda each=each: (a := each.get("/p/ab", tag=full.etag)).status == 200 and a, "the bump")
        assert answer.body != full.body
    if freshness == "strict":
        new = three.get("/p/ab").etag
        assert is_version(new) and one.get("/p/ab", tag=new).status == 304


@pytest.mark.parametrize("freshness", FRESHNESS)
def test_a_lost_registry(host, backend, new_redis, freshness):
    """A host that cannot resolve the name asks the backend, and then knows."""
    redis = new_redis()
    one, two = fleet(host, redis, 2, freshness)
    tag = learn(one).etag
    for key in redis("KEYS", "model_version:%models:*"):
        redis("DEL", key)
    calls = backend.calls()
    assert two.get("/p/ab", tag=tag).status == 200 and backend.calls() == calls + 1
    assert two.get("/p/ab", tag=tag).status == 304


@pytest.mark.parametrize("text", [b"a", b"a,b,c", b"", b"\x00" * 100, b"b,a", b"x" * 5000],
                         ids=["other", "more", "empty", "zeros", "order", "long"])
def test_a_registry_that_lies(host, backend, new_redis, text):
    """The name is the name of the text: another text under it counts for nothing."""
    redis = new_redis()
    one, two = fleet(host, redis)
    tag = learn(one).etag
    keys = redis("KEYS", "model_version:%models:*")
    assert len(keys) == 1
    redis("SET", keys[0], text)
    calls = backend.calls()
    assert two.get("/p/ab", tag=tag).status == 200 and backend.calls() == calls + 1


def test_redis_forgets_everything(host, backend, new_redis):
    redis = new_redis()
    one, two = fleet(host, redis)
    tag = learn(one).etag
    redis("FLUSHALL")
    for each in (one, two):
        answer = each.get("/p/ab", tag=tag)
        assert answer.status == 200 and answer.etag != tag


def test_published_once(host, backend, new_redis):
    """A host tells the store once, however many responses have the same list."""
    redis = new_redis()
    one, = fleet(host, redis, 1)
    learn(one)
    key, = redis("KEYS", "model_version:%models:*")
    assert 0 < redis("TTL", key) <= 7 * 24 * 3600
    redis("DEL", key)
    for _ in range(5):
        one.get("/p/ab")
    assert not redis("KEYS", "model_version:%models:*")


def test_work_that_a_client_can_make(host, backend, new_redis):
    """Names that are not genuine are not looked for, and of genuine ones four."""
    redis = new_redis()
    one, two = fleet(host, redis)
    tags = []
    for i in range(10):
        redis("SET", f"model_version:m{i}", "1")
        backend.on(f"/p/{i}", declares(f"m{i}"))
        tags.append(learn(one, f"/p/{i}").etag)

    def gets():
        found = re.search(rb"cmdstat_get:calls=(\d+)", redis("INFO", "commandstats"))
        return int(found.group(1)) if found else 0
    before = gets()
    forged = [swap(tags[0], f'"v{"x" * 22}.{letter}{"y" * 21}"') for letter in "abcdefghij"]
    assert two.get("/p/ab", tag=", ".join(forged)).status == 200
    assert gets() == before
    assert two.get("/p/ab", tag=", ".join(tags)).status == 200
    assert gets() - before <= 4


# --- law 2 ------------------------------------------------------------------------------------------

class Gate:
    """A reply that waits until it is told to go on."""

    def __init__(self, reply):
        self.reply, self.entered, self.go = reply, threading.Event(), threading.Event()

    def __call__(self, request):
        self.entered.set()
        assert self.go.wait(20)
        return self.reply


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize("store", ["local", "strict", "lease"])
def test_a_bump_while_the_backend_works(host, backend, new_redis, store, known):
    """The response may be old data: it must not get the new version."""
    if store == "local":
        server = host()
        server.bump("a")
        server.bump("b")
    else:
        server, = fleet(host, new_redis(), 1, store)
    backend.on("/p/x", declares("a,b"))
    if known:
        learn(server, "/p/x")
    else:
        learn(server)  # the versions are known to this host, not to this URL
    gate = Gate(declares("a,b", body="old"))
    backend.on("/p/x", gate)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.get("/p/x")))
    thread.start()
    assert gate.entered.wait(20)
    server.bump("b")
    gate.go.set()
    thread.join(20)
    old = answers[0]
    assert old.status == 200 and old.text == "old"
    backend.on("/p/x", declares("a,b", body="new"))
    new = until(lambda: (a := server.get("/p/x")).etag and is_version(a.etag) and a, "a version tag")
    assert new.text == "new" and new.etag != old.etag
    if old.etag:
        assert server.get("/p/x", tag=old.etag).text == "new"
    if not known:
        assert not old.etag, server.why(old)


# --- other headers that name models -----------------------------------------------------------------

def test_tag_headers_name_them(host, backend):
    """Other caches purge by them, and see the same on 200 and 304."""
    server = host("ETagVersionTagHeader Surrogate-Key\nETagVersionModels m\n")
    server.bump("a")
    server.bump("b")
    full = learn(server)
    assert full.one("Surrogate-Key") == "m a b" and letter(full.etag) == "v"
    again = server.get("/p/ab", tag=full.etag)
    assert again.status == 304 and again.one("Surrogate-Key") == "m a b"
    backend.on("/p/plain", Reply())
    assert server.get("/p/plain").one("Surrogate-Key") == "m"


# --- mod_cache in front -----------------------------------------------------------------------------

@pytest.mark.parametrize("quick", ["On", "Off"])
def test_a_cache_in_front(host, backend, quick):
    """mod_cache revalidates what it stored without the backend; the header is not stored."""
    server = host(f"""
        CacheEnable disk /p/
        CacheRoot "@ROOT@/cache"
        CacheQuickHandler {quick}
        """, modules="proxy cache_disk", start=False)
    (server.root / "cache").mkdir()
    (server.root / "cache").chmod(0o777)
    server.start()
    backend.on("/p/x", Reply(200, {HEADER: "a,b", "Cache-Control": "max-age=0"}))
    server.bump("a")
    server.bump("b")
    first = server.get("/p/x")
    assert is_version(first.etag) and letter(first.etag) == "u"
    for _ in range(3):
        again = server.get("/p/x")
        assert again.body == first.body and again.etag == first.etag and not again.all(HEADER)
        assert again.one("Cache-Control") == first.one("Cache-Control")
    assert backend.calls("/p/x") == 1
    assert server.get("/p/x", tag=first.etag).status == 304
    server.bump("b")
    assert server.get("/p/x").body != first.body
