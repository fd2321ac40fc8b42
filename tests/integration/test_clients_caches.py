# SPDX-License-Identifier: Apache-2.0
"""Caches in front, as docs/recipes.md sets them up: each keeps pages, asks each time, and spares the application."""
import itertools
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import places
from harness.backend import Reply
from harness.bumping import proxied, stored
from harness.caches import APACHE, DROPPED, FRONTS, HEADER, NGINX, VARNISH, Cached, front_of
from harness.codings import decode
from harness.tags import is_version, letter
from harness.wait import until

SITE = """
<Location />
  ETagVersion Version
  ETagVersionModels m
  ETagVersionCacheControl "public, max-age=0, must-revalidate"
  ETagVersionIdentity none
</Location>
<LocationMatch "^/packed">
  AddOutputFilterByType BROTLI_COMPRESS;DEFLATE text/plain
</LocationMatch>
<LocationMatch "^/strong">
  ETagVersionStrength Strong
</LocationMatch>
<LocationMatch "^/user">
  ETagVersionIdentity cookie:sessionid
</LocationMatch>
<LocationMatch "^/content">
  ETagVersion Content
</LocationMatch>
<LocationMatch "^/kind">
  ETagVersionVary X-Kind
</LocationMatch>
<LocationMatch "^/form">
  ETagVersionInvalidate models
</LocationMatch>
<LocationMatch "^/saved">
  ETagVersionStrength Strong
  ETagVersionPreconditions Require
  ETagVersionInvalidate models
</LocationMatch>
<LocationMatch "^/declared">
  ETagVersion On
  ETagVersionModels none
  ETagVersionModelsHeader X-Models
</LocationMatch>
"""
LONG = "All the proteins of the table. " * 100

class Site(Cached):
    """With an application that the test decides."""

    def __init__(self, kind, front, origin, backend):
        super().__init__(kind, front, origin, backend.calls)
        self.backend = backend

    def bump(self, model="m"):
        self.origin.bump(model)


@pytest.fixture(scope="module", params=FRONTS)
def cached(request, shared_httpd, shared_backend, shared_nginx, shared_varnish):
    backend, kind = shared_backend(), request.param
    site = proxied(backend) + HEADER + SITE
    modules = "proxy headers filter deflate brotli"
    if kind == "same_httpd":
        origin = shared_httpd(f"{site}{APACHE}CacheQuickHandler Off\n", f"{modules} cache_disk")
    else:
        origin = shared_httpd(site, modules)
    return Site(kind, front_of(kind, origin, shared_nginx, shared_varnish, shared_httpd), origin, backend)


OWN, DATED = [("Cache-Control", "no-transform")], [("Last-Modified", "Thu, 10 Jan 2008 21:20:10 GMT")]


@pytest.mark.parametrize("path, own, accept, mark", [
    ("/plain", [], None, "v"), ("/own", OWN, None, "u"), ("/dated", DATED, None, "v"), ("/strong", [], None, "v"),
    ("/packed", [], "gzip", "v"), ("/packed-own", OWN + DATED, "gzip", "u"), ("/packed-not", [], None, "vu")])
def test_stale_page_is_served_again_without_the_application(cached, path, own, accept, mark):
    cached.backend.on(path, lambda request: Reply(200, own, f"{request.number} {LONG}"))
    headers = [("Accept-Encoding", accept)] if accept else []
    first = cached.get(path, headers)
    assert first.status == 200 and cached.how(first) == "MISS" and is_version(first.etag), first
    assert letter(first.etag) in mark
    assert decode(first) == f"1 {LONG}" and cached.backend.calls(path) == 1

    for _ in range(3):
        again = cached.from_cache(path, headers)
        assert (again.status, again.body, again.etag) == (200, first.body, first.etag)
        for name in ("Content-Type", "Content-Encoding", "Cache-Control", "Vary", "Last-Modified"):
            assert again.one(name) == first.one(name), name
        # Varnish knows one tag, and answers a list with the page.
        lists = [f'"other", {first.etag}', "*"] if cached.kind != "varnish" else []
        for tag in [first.etag] + lists:
            told = cached.from_cache(path, headers, tag=tag)
            assert told.status == 304 and not told.body and told.etag == first.etag, told
    assert cached.backend.calls(path) == 1
    other = cached.get(path, headers, tag='"other"')
    assert other.status == 200 and decode(other) == f"{cached.backend.calls(path)} {LONG}"

    calls = cached.backend.calls(path)
    cached.bump()
    fresh = cached.get(path, headers, tag=first.etag)
    assert fresh.status == 200 and decode(fresh) == f"{calls + 1} {LONG}"
    assert fresh.etag != first.etag and is_version(fresh.etag) and cached.how(fresh) == "MISS"
    assert cached.from_cache(path, headers).body == fresh.body
    assert cached.from_cache(path, headers, tag=fresh.etag).status == 304
    assert cached.get(path, headers, tag=first.etag).status == 200


def test_head(cached):
    """HEAD fills no cache with an empty page, and is answered from it."""
    path = "/head"
    for _ in range(2):
        nothing = cached.front.request("HEAD", path)
        assert nothing.status == 200 and not nothing.body and is_version(nothing.etag)
    page = cached.get(path)
    assert page.status == 200 and page.text.startswith("/head ") and page.etag == nothing.etag
    calls = cached.backend.calls(path)
    head = cached.from_cache(path, method="HEAD")
    assert head.status == 200 and head.etag == page.etag and not head.body
    assert cached.from_cache(path, method="HEAD", tag=page.etag).status == 304
    assert cached.from_cache(path).body == page.body
    assert cached.backend.calls(path) == calls
    cached.bump()
    head = cached.front.request("HEAD", path)
    assert head.status == 200 and head.etag != page.etag
    page = cached.get(path)
    assert page.text.startswith("/head ") and page.etag == head.etag


@pytest.mark.parametrize("accepts", [
    (None, "gzip", "gzip, br"), ("gzip", "gzip, br", None), ("gzip, br", None, "gzip")], ids=lambda each: str(each[0]))
def test_codings_never_mix(cached, accepts):
    path = f"/packed-first-{len(accepts[0] or '')}"
    cached.backend.on(path, lambda request: Reply(body=f"{request.number} {LONG}"))
    accepts = list(accepts) + ["identity", "gzip;q=0", "br"]
    understood = {"gzip": ["gzip"], "gzip, br": ["gzip", "br"], "br": ["br"]}
    known, old = {}, set()
    for turn in range(4):
        if turn == 2:
            cached.bump()
        texts = set()
        for accept, conditional in itertools.product(accepts, (False, True)):
            tag = known.get(accept) if conditional else None
            answer = cached.get(path, [("Accept-Encoding", accept)] if accept else [], tag=tag)
            if answer.status == 304:
                assert answer.etag == tag
                continue
            assert answer.one("Content-Encoding") in [None, *understood.get(accept, [])], f"{accept}: {answer}"
            texts.add(decode(answer))
            assert decode(answer).endswith(LONG)
            known[accept] = answer.etag
            if turn in (1, 3):
                assert cached.how(answer) == "REVALIDATED"
        if turn >= 2:
            assert not texts & old, "old data after the bump"
        else:
            old |= texts


def test_users_never_get_each_others_page(cached):
    """The page is private by its identity, so no cache keeps it; the module still answers each user early."""
    path = "/user"
    cached.backend.on(path, lambda request: Reply(body=f"page of {request.get('Cookie')}\n"))
    users = [f"sessionid={name}" for name in ("ann", "bob", "cay")]
    tags = {}
    for _, user in itertools.product(range(3), users + [None]):
        answer = cached.get(path, [("Cookie", user)] if user else [])
        assert answer.text == f"page of {user}\n" and cached.how(answer) in ("MISS", "PASS")
        assert "private" in answer.members("Cache-Control")
        tags[user] = answer.etag
    assert len(set(tags.values())) == len(users) + 1
    calls = cached.backend.calls(path)
    for user in users:
        told = cached.get(path, [("Cookie", user)], tag=tags[user])
        assert told.status == 304 and cached.origin.why(told) == "early-304"
    assert cached.backend.calls(path) == calls
    for user, other in itertools.permutations(users, 2):
        answer = cached.get(path, [("Cookie", user)], tag=tags[other])
        assert answer.status == 200 and answer.text == f"page of {user}\n"
    cached.bump()
    answer = cached.get(path, [("Cookie", users[0])], tag=tags[users[0]])
    assert answer.status == 200 and answer.etag != tags[users[0]]
    if cached.kind == "nginx":
        assert not any(b"page of" in kept for kept in cached.front.kept())


def test_a_public_page_is_one_for_all(cached):
    """Cookies of whoever counts visitors are no reason to pass the cache by."""
    path = "/public"
    first = cached.get(path, [("Cookie", "visitor=1")])
    for headers in ([("Cookie", "visitor=2; seen=yes")], [], [("Cookie", "visitor=1")]):
        assert cached.from_cache(path, headers).body == first.body
        assert cached.from_cache(path, headers, tag=first.etag).status == 304


def test_kinds_never_mix(cached):
    path = "/kind"
    cached.backend.on(path, lambda request: Reply(body=f"kind {request.get('X-Kind')}\n"))
    kinds = [("X-Kind", kind) for kind in "abc"]
    for kind in kinds * 2:
        assert cached.get(path, [kind]).text == f"kind {kind[1]}\n"
    for kind in kinds * 2:
        assert cached.from_cache(path, [kind]).text == f"kind {kind[1]}\n"


def test_hosts_never_mix(cached):
    path = "/hosts"
    cached.backend.on(path, lambda request: Reply(body=f"{request.number}\n"))
    pages = {host: cached.get(path, host=host) for host in ("one.example", "two.example")}
    assert len({page.etag for page in pages.values()}) == 2
    for host, page in list(pages.items()) * 2:
        again = cached.from_cache(path, host=host)
        assert again.body == page.body and again.etag == page.etag
    assert cached.get(path, host="one.example", tag=pages["two.example"].etag).status == 200


def test_a_form_through_the_cache(cached):
    """A POST passes, httpd bumps, and the next reader has the new page."""
    data = ["old\n"]

    def answer(request):
        if request.method == "POST":
            data[0] = request.body.decode()
        return Reply(body=data[0])
    for path in ("/form", "/list-of-forms"):
        cached.backend.on(path, answer)
        assert cached.get(path).text == "old\n" and cached.from_cache(path).text == "old\n"
    if cached.kind in ("mod_cache", "same_httpd"):
        cached.front.log.expect(DROPPED)
    assert cached.front.request("POST", "/form", body=b"new\n").status == 200
    for path in ("/list-of-forms", "/form"):
        assert cached.get(path).text == "new\n" and cached.from_cache(path).text == "new\n"


def test_no_lost_update_through_the_cache(cached):
    """The conditions of a PUT reach httpd, and what it saved is there for the next reader."""
    data = ["old\n"]

    def answer(request):
        if request.method == "PUT":
            data[0] = request.body.decode()
        return Reply(body=data[0])
    path = cached.backend.on("/saved", answer)
    first = cached.get(path)
    assert cached.from_cache(path).etag == first.etag and not first.etag.startswith("W/")
    if cached.kind in ("mod_cache", "same_httpd"):
        cached.front.log.expect(DROPPED)
    assert cached.front.request("PUT", path, body=b"no condition\n").status == 428
    assert cached.front.request("PUT", path, [("If-Match", first.etag)], b"new\n").status == 200
    assert cached.front.request("PUT", path, [("If-Match", first.etag)], b"late\n").status == 412
    assert cached.get(path).text == "new\n" and cached.from_cache(path).text == "new\n"


def test_pages_that_name_their_models(cached):
    path = "/declared"
    cached.backend.on(path, lambda request: Reply(200, [("X-Models", "d, e")], f"{request.number}\n"))
    cached.bump("e")  # a name that was never bumped has no version yet
    for model in "de":
        cached.bump(model)
        page = until(lambda: (lambda found: is_version(found.etag) and found)(cached.get(path)), "a version tag")
        assert page.text == f"{cached.backend.calls(path)}\n"
        for _ in range(3):
            assert cached.from_cache(path).body == page.body
            assert cached.from_cache(path, tag=page.etag).status == 304


def test_content_tags(cached):
    """The application runs, but what the cache has is not sent again."""
    path = "/content"
    cached.backend.on(path, Reply(body=LONG))
    first = cached.get(path)
    assert first.etag.startswith('"c') and first.text == LONG
    for calls in (2, 3):
        again = cached.get(path)
        assert cached.how(again) == "REVALIDATED" and again.text == LONG and again.etag == first.etag
        assert cached.backend.calls(path) == calls
    assert cached.get(path, tag=first.etag).status == 304
    cached.backend.on(path, Reply(body=f"new {LONG}"))
    fresh = cached.get(path, tag=first.etag)
    assert fresh.status == 200 and fresh.text == f"new {LONG}" and fresh.etag != first.etag


def test_a_crowd_while_it_is_bumped(cached):
    """Whoever asks after a bump has the data of after it, however many ask."""
    path, lock, number = "/crowd", threading.Lock(), [0]
    cached.backend.on(path, lambda request: Reply(body=f"{number[0]}\n", delay=0.01))

    def reader(_):
        for _ in range(12):
            with lock:
                least = number[0]
            assert int(cached.get(path).text) >= least
    if cached.kind in ("mod_cache", "same_httpd"):  # what another reader replaces meanwhile is as if it were not stored
        cached.front.log.expect("AH00708: Cannot open data file", optional=True)
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(reader, each) for each in range(6)]
        for _ in range(10):
            following = number[0] + 1
            with lock:
                number[0] = following
                cached.bump()
        for each in running:
            each.result()
    assert cached.get(path).text == "10\n"


def test_nginx_with_a_second_in_which_it_does_not_ask(new_nginx, new_httpd, new_backend):
    """A lifetime alone, and nginx compresses: one page is kept for all clients."""
    backend = new_backend()
    origin = new_httpd(proxied(backend) + SITE + """
<Location />
  ETagVersionCacheControl "public, max-age=0, s-maxage=1, must-revalidate"
</Location>
""", "proxy headers filter deflate brotli")
    own = """
        proxy_set_header Accept-Encoding "";
        gzip on;
        gzip_proxied any;
        gzip_types text/plain;
"""
    front = new_nginx(NGINX.replace("proxy_ignore_headers Cache-Control Expires;", own), HTTPD=origin.port)
    cached = Site("nginx", front, origin, backend)
    backend.on("/strong", lambda request: Reply(body=f"{request.number} {LONG}"))
    first = cached.get("/strong")
    assert first.etag.startswith('"v')
    until(lambda: cached.how(cached.get("/strong")) == "REVALIDATED", "the page to grow stale")
    assert cached.get("/strong").body == first.body and backend.calls("/strong") == 1
    packed = cached.get("/strong", [("Accept-Encoding", "gzip")])
    assert packed.one("Content-Encoding") == "gzip" and decode(packed) == f"1 {LONG}"
    assert packed.etag == f"W/{first.etag}"
    assert cached.get("/strong", [("Accept-Encoding", "gzip")], tag=packed.etag).status == 304
    cached.bump()
    until(lambda: decode(cached.get("/strong", [("Accept-Encoding", "gzip")])) == f"2 {LONG}", "the new page")
    assert cached.get("/strong").text == f"2 {LONG}"


def test_nginx_before_two_hosts(new_nginx, new_httpd, new_backend, new_redis):
    """What one host tagged, the other one knows again; a bump through one counts on both."""
    backend, redis = new_backend(), new_redis()
    conf = stored(redis.url) + proxied(backend) + HEADER + SITE
    hosts = [new_httpd(conf, "proxy headers filter deflate brotli") for _ in range(2)]
    both = f"server 127.0.0.1:{hosts[1].port};\n    keepalive"
    front = new_nginx(NGINX.replace("keepalive", both, 1), HTTPD=hosts[0].port)
    cached = Site("nginx", front, hosts[0], backend)

    def told(host):
        return (host.root / "logs/access.log").read_text().count("early-304")
    for turn, host in enumerate(hosts, 1):
        first = cached.get("/plain")
        assert first.text == f"/plain {turn}\n"
        answers = [cached.get("/plain") for _ in range(8)]
        assert all(cached.how(each) == "REVALIDATED" and each.body == first.body for each in answers)
        assert backend.calls("/plain") == turn
        for each in hosts:
            until(lambda: told(each) >= 3 * turn, "its share")  # pylint: disable=cell-var-from-loop
        host.bump("m")


KEPT = """
<Location />
  ETagVersion Version
  ETagVersionIdentity none
  ETagVersionCacheControl "public, max-age=0, s-maxage=86400"
  ETagVersionTagHeader xkey Surrogate-Key
</Location>
<Location /items>
  ETagVersionModels shop.Item shop.Price
</Location>
<Location /item-7>
  ETagVersionModels shop.Item:7
</Location>
"""


@pytest.fixture
def kept(new_varnish, new_httpd, new_backend, new_redis):
    """Pages that Varnish keeps for a day, without a question."""
    backend, redis = new_backend(), new_redis()
    origin = new_httpd(stored(redis.url) + proxied(backend) + KEPT, "proxy")
    found = Site("varnish", new_varnish(VARNISH, HTTPD=origin.port), origin, backend)
    found.redis = redis
    found.first = {path: found.get(path) for path in ("/items", "/item-7")}
    for path, page in found.first.items():
        assert is_version(page.etag) and found.how(found.get(path)) == "HIT" and backend.calls(path) == 1
    assert found.first["/items"].one("xkey") == found.first["/items"].one("Surrogate-Key") == "shop.Item shop.Price"
    return found


def banning(model, field="xkey"):
    """As docs/recipes.md has it."""
    return "ban", f"obj.http.{field}", "~", f"(^|[[:space:]]){model}([[:space:]]|$)"


@pytest.mark.parametrize("field", ["xkey", "Surrogate-Key"])
def test_varnish_bans_by_model(kept, field):
    kept.bump("shop.Price")
    assert kept.get("/items").body == kept.first["/items"].body, "a bump alone does not reach what is not asked about"
    kept.front.adm(*banning("shop.Price", field))
    fresh = kept.get("/items")
    assert fresh.body != kept.first["/items"].body and kept.how(fresh) == "MISS"
    assert kept.how(kept.get("/items")) == "HIT" and kept.how(kept.get("/item-7")) == "HIT"
    kept.front.adm(*banning("shop.Item", field))
    assert kept.how(kept.get("/items")) == "MISS"
    assert kept.how(kept.get("/item-7")) == "HIT", "another name that begins alike"
    kept.front.adm(*banning("shop.Item:7", field))
    assert kept.how(kept.get("/item-7")) == "MISS" and kept.how(kept.get("/items")) == "HIT"


def test_varnish_asks_again_about_a_page(kept):
    """A purge forgets the page; the soft one makes Varnish ask, and costs no run of the application."""
    assert kept.front.request("REFRESH", "/items").status == 200
    again = kept.from_cache("/items")
    assert again.body == kept.first["/items"].body and kept.how(kept.get("/items")) == "HIT"
    kept.bump("shop.Item")
    assert kept.front.request("REFRESH", "/items").status == 200
    fresh = kept.get("/items")
    assert kept.how(fresh) == "MISS" and fresh.body != again.body
    assert kept.front.request("PURGE", "/items").status == 200
    assert kept.how(kept.get("/items")) == "MISS" and kept.backend.calls("/items") == 3


def test_varnish_follows_the_bumps(kept):
    """The tool watches, a shell bans: whatever bumps, the page is new soon."""
    script = r"""
"$1" watch --store "$2" | while IFS="$(printf '\t')" read -r model what; do
    if [ "$what" = reset ]; then
        varnishadm -n "$3" ban obj.status != 0
    else
        varnishadm -n "$3" ban obj.http.xkey '~' "(^|[[:space:]])$model([[:space:]]|\$)"
    fi
done
"""
    def hit(path):
        until(lambda: kept.how(kept.get(path)) == "HIT", "a page in the cache")

    def fetched(path, calls):
        until(lambda: kept.get(path) and kept.backend.calls(path) > calls, "the page after the bump")

    words = ["/bin/sh", "-c", script, "sh", places.tool(), kept.redis.url, kept.front.root / "work"]
    follower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        until(lambda: "obj.status" in kept.front.adm("ban.list"), "the ban of the beginning")
        for path, model in (("/items", "shop.Price"), ("/item-7", "shop.Item:7"), ("/items", "shop.Item")):
            hit("/items")
            hit("/item-7")
            calls = {each: kept.backend.calls(each) for each in kept.first}
            kept.redis("INCR", f"model_version:{model}")
            fetched(path, calls[path])
            for each, before in calls.items():
                hit(each)
                assert kept.backend.calls(each) == before + (each == path)
    finally:
        os.killpg(follower.pid, signal.SIGKILL)
        follower.communicate()
