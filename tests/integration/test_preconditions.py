# SPDX-License-Identifier: Apache-2.0
"""ETagVersionPreconditions: whether an unsafe request changes what its client has seen."""
import threading
import time
from collections import Counter

import pytest

from harness.backend import Reply
from harness.load import all_together
from harness.tags import digest, is_version, with_letter, with_suffix
from harness.wait import until

METHODS = ("PUT", "PATCH", "DELETE", "POST")
OTHER = '"v' + "A" * 22 + '"'
BODY = '"c' + "A" * 22 + '"'


def places(url):
    """Locations by name; each has a model of its own, or one of each object."""
    lines = [f"ProxyPass /p/ {url}/p/", "ETagVersionStoreTimeout connect=5s command=5s"]
    for name, conf in {
        "strong": "",
        "weak": "ETagVersionStrength Weak",
        "require": "ETagVersionPreconditions Require",
        "off": "ETagVersionPreconditions Off",
        "version": "ETagVersion Version",
        "content": "ETagVersion Content",
        "bare": "ETagVersionModels none",
        "two": "ETagVersionModels m.two m.other",
        "vary": "ETagVersionVary Accept-Language",
        "user": "ETagVersionIdentity cookie:sid",
        "settle": "ETagVersionSettle 1h",
        "failed": "ETagVersionModels %{env:NOBODY}",
    }.items():
        models = "" if "ETagVersionModels" in conf else f"ETagVersionModels m.{name}\n"
        lines.append(f"<Location /p/{name}>\nETagVersion On\nETagVersionStrength Strong\n"
                     f"ETagVersionPreconditions Check\n{models}{conf}\n</Location>")
    for name, more in (("made", ""), ("claimed", "ETagVersionInvalidate models\n")):
        lines.append(f'<LocationMatch "^/p/{name}/(?<ID>[^/]+)$">\nETagVersion Version\nETagVersionStrength Strong\n'
                     f"ETagVersionPreconditions Check\nETagVersionModels {name}:%{{env:MATCH_ID}}\n{more}</LocationMatch>")
    return "\n".join(lines) + "\n"


class Site:
    """A server, its backend, and questions about both."""

    def __init__(self, server, backend):
        self.server, self.backend = server, backend

    def tag(self, path):
        answer = self.server.get(path)
        assert answer.status == 200 and is_version(answer.etag), f"{self.server.why(answer)}: {answer}"
        return answer.etag

    def change(self, path, headers=(), method="PUT", body=b"new"):
        """The answer, and what the backend got: None when it was not asked."""
        before = self.backend.calls(path)
        answer = self.server.request(method, path, headers, body)
        asked = self.backend.calls(path) - before
        assert asked in (0, 1)
        return answer, self.backend.last(path) if asked else None


@pytest.fixture(scope="module", params=["local", "redis"])
def site(request, shared_httpd, shared_backend, shared_redis):
    backend = shared_backend()
    store = "" if request.param == "local" else f'ETagVersionStore "{shared_redis().unix_url}"\n'
    return Site(shared_httpd(store + places(backend.url), "proxy headers env"), backend)


def passed(pair, *gone):
    """The backend was asked, and the named fields were not passed on."""
    answer, request = pair
    assert answer.status == 200 and request, answer
    for name in gone:
        assert request.get(name) is None, name
    return request


def refused(site, pair, status=412, why=None):
    answer, request = pair
    assert answer.status == status and request is None, answer
    assert not answer.all("ETag")
    assert site.server.why(answer) == (why or str(status))
    return answer


@pytest.mark.parametrize("method", METHODS)
def test_methods(site, method):
    path = "/p/strong"
    tag = site.tag(path)
    passed(site.change(path, {"If-Match": tag}, method), "If-Match")
    refused(site, site.change(path, {"If-Match": OTHER}, method))
    passed(site.change(path, (), method))


@pytest.mark.parametrize("method", ["put", "Patch", "dElete", "pOST"])
def test_case_of_methods(site, method):
    """httpd does not know them, but an application may take them for what they look like."""
    path = "/p/strong"
    answer, _ = site.change(path, {"If-Match": site.tag(path)}, method)
    assert answer.status == 501 and answer.one("Server").startswith("BaseHTTP"), "the backend was asked"
    refused(site, site.change(path, {"If-Match": OTHER}, method))
    refused(site, site.change("/p/require", (), method), 428)


@pytest.mark.parametrize("method", ["PROPPATCH", "PUTT", "PU", "XPUT"])
def test_methods_that_are_not_guarded(site, method):
    answer, _ = site.change("/p/require", {"If-Match": OTHER}, method)
    assert answer.status == 501 and answer.one("Server").startswith("BaseHTTP"), "the backend was asked"


def test_list(site):
    path = "/p/strong"
    tag = site.tag(path)
    for value in (tag, f"{OTHER}, {tag}", f'"x", {tag}', f"{tag},", f"{BODY}, {tag}"):
        passed(site.change(path, {"If-Match": value}), "If-Match")
    twice = passed(site.change(path, [("If-Match", OTHER), ("If-Match", tag)]), "If-Match")
    assert twice.body == b"new"
    for value in (OTHER, f"{OTHER}, {BODY}", BODY, "W/" + tag, with_suffix(tag, "-gzip"), f"W/{OTHER}",
                  tag[1:-1], "", ",", '"', with_letter(tag, "c"), with_letter(tag, "u")):
        refused(site, site.change(path, {"If-Match": value}))


@pytest.mark.parametrize("value", ['"x"', "*", '"x", "y"', f'{OTHER}, "x"', 'W/"x"', f'"x", {BODY}'])
def test_the_backends_own(site, value):
    path = "/p/strong"
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    request = passed(site.change(path, {"If-Match": value, "If-Unmodified-Since": date}))
    assert request.get("If-Match") == value and request.get("If-Unmodified-Since") == date


def test_if_unmodified_since(site):
    """Without If-Match it is the backend's; with one of ours it must be ignored (RFC 9110 13.1.4)."""
    path, date = "/p/strong", "Fri, 01 Jan 1999 00:00:00 GMT"
    assert passed(site.change(path, {"If-Unmodified-Since": date})).get("If-Unmodified-Since") == date
    passed(site.change(path, {"If-Unmodified-Since": date, "If-Match": site.tag(path)}),
           "If-Match", "If-Unmodified-Since")


def test_changed_meanwhile(site):
    path = "/p/version"
    tag = site.tag(path)
    site.server.bump("m.version")
    refused(site, site.change(path, {"If-Match": tag}))
    new = site.tag(path)
    assert digest(new) != digest(tag)
    passed(site.change(path, {"If-Match": new}), "If-Match")


def test_any_of_the_models(site):
    path = "/p/two"
    tag = site.tag(path)
    passed(site.change(path, {"If-Match": tag}), "If-Match")
    site.server.bump("m.other")
    refused(site, site.change(path, {"If-Match": tag}))


def test_another_urls_tag(site):
    refused(site, site.change("/p/version", {"If-Match": site.tag("/p/two")}))
    refused(site, site.change("/p/version?x=1", {"If-Match": site.tag("/p/version")}))


def test_same_fields_as_get(site):
    path = "/p/vary"
    german, tag = [("Accept-Language", "de")], site.tag(path)
    refused(site, site.change(path, german + [("If-Match", tag)]))
    passed(site.change(path, [("If-Match", tag)]), "If-Match")
    german_tag = site.server.get(path, german).etag
    passed(site.change(path, german + [("If-Match", german_tag)]), "If-Match")


def test_identity(site):
    """Users have tags of their own; where a credential is not covered, there are none."""
    mine = [("Cookie", "sid=1")]
    tag = site.server.get("/p/user", mine).etag
    assert is_version(tag)
    passed(site.change("/p/user", mine + [("If-Match", tag)]), "If-Match")
    refused(site, site.change("/p/user", [("Cookie", "sid=2"), ("If-Match", tag)]))
    refused(site, site.change("/p/strong", mine + [("If-Match", site.tag("/p/strong"))]))


def test_weak_tags(site):
    """RFC 9110 13.1.1 compares strongly: no weak tag can be true."""
    site.server.log.expect("ETV0380")
    path = "/p/weak"
    tag = site.tag(path)
    assert tag.startswith("W/")
    refused(site, site.change(path, {"If-Match": tag}))
    refused(site, site.change(path, {"If-Match": tag[2:]}))
    assert passed(site.change(path, {"If-Match": '"x"'})).get("If-Match") == '"x"'
    assert site.server.log.lines("ETV0380"), "the administrator is told"


def test_backends_letter(site):
    """A tag with the letter u is as good."""
    path = "/p/strong"
    site.backend.on(path, Reply(200, {"Cache-Control": "max-age=7"}))
    tag = site.tag(path)
    assert tag.startswith('"u')
    site.backend.on(path, Reply())
    passed(site.change(path, {"If-Match": tag}), "If-Match")
    assert site.tag(path).startswith('"v')


def test_if_none_match_tags(site):
    path = "/p/strong"
    tag = site.tag(path)
    for value in (tag, "W/" + tag, f'"x", {tag}', with_suffix(tag, "-gzip")):
        refused(site, site.change(path, {"If-None-Match": value}))
    for value in (OTHER, '"x"'):
        assert passed(site.change(path, {"If-None-Match": value})).get("If-None-Match") == value
    refused(site, site.change(path, {"If-Match": tag, "If-None-Match": tag}))
    passed(site.change(path, {"If-Match": tag, "If-None-Match": OTHER}), "If-Match")


def test_create(site):
    """Nothing is there as long as a model of its own is not; asking does not make it."""
    path = "/p/made/new"
    for _ in range(2):
        assert passed(site.change(path, {"If-None-Match": "*"})).get("If-None-Match") == "*"
    site.server.get(path)
    passed(site.change(path, {"If-None-Match": "*"}))
    site.server.bump("made:new")
    refused(site, site.change(path, {"If-None-Match": "*"}))
    refused(site, site.change(path, [("If-None-Match", "*"), ("Cookie", "sid=1")]))
    passed(site.change("/p/made/newer", [("If-None-Match", "*"), ("Cookie", "sid=1")]))


def test_nothing_there_matches_nothing(site):
    refused(site, site.change("/p/made/nothing", {"If-Match": OTHER}))


@pytest.mark.parametrize("name", ["off", "content", "bare"])
def test_not_in_force(site, name):
    path = f"/p/{name}"
    for value in (OTHER, BODY, "*", '"x"'):
        assert passed(site.change(path, {"If-Match": value})).get("If-Match") == value


@pytest.mark.parametrize("name", ["settle", "failed"])
def test_versions_that_say_nothing(site, name):
    path = f"/p/{name}"
    refused(site, site.change(path, {"If-Match": OTHER}))
    passed(site.change(path, {"If-Match": '"x"'}))
    passed(site.change(path))


@pytest.mark.parametrize("method", METHODS)
def test_require(site, method):
    path = "/p/require"
    refused(site, site.change(path, method=method), 428)
    for name, value in (("If-Match", '"x"'), ("If-Match", "*"), ("If-None-Match", '"x"'),
                        ("If-Unmodified-Since", "Fri, 01 Jan 1999 00:00:00 GMT")):
        assert passed(site.change(path, {name: value}, method)).get(name) == value
    passed(site.change(path, {"If-Match": site.tag(path)}, method), "If-Match")


def test_other_methods(site):
    """GET and HEAD have their own rules; OPTIONS is nobody's business."""
    path = "/p/require"
    tag = site.tag(path)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert site.server.request(method, path).status == 200
    assert site.server.get(path, tag=tag).status == 304
    assert site.server.get(path, {"If-Match": OTHER}).status == 412
    assert site.server.get(path, {"If-Match": tag}).status == 200


def test_access_comes_first(new_httpd, new_backend):
    server = new_httpd(f"""
ProxyPass /p/ {new_backend().url}/p/
<Location /p/>
  ETagVersion On
  ETagVersionModels m
  ETagVersionPreconditions Require
  Require all denied
</Location>""", "proxy")
    server.log.expect("AH01630")
    assert server.request("PUT", "/p/x", body=b"").status == 403


def test_static_file_under_dav(new_httpd):
    """mod_dav would answer 412 to a tag that it does not know."""
    server = new_httpd("""
DavLockDB @ROOT@/run/lock
<Location /d/>
  Dav On
  ETagVersion On
  ETagVersionStrength Strong
  ETagVersionUpstreamETag Replace
  ETagVersionModels m.dav
  ETagVersionPreconditions Check
</Location>""", "dav dav_fs mime", start=False)
    file = server.write("htdocs/d/x.txt", "old\n", 0o666)
    file.parent.chmod(0o777)
    server.start()
    tag = server.get("/d/x.txt").etag
    assert is_version(tag)
    assert server.request("PUT", "/d/x.txt", {"If-Match": OTHER}, b"bad\n").status == 412
    assert file.read_text() == "old\n"
    assert server.request("PUT", "/d/x.txt", {"If-Match": tag}, b"new\n").status == 204
    assert file.read_text() == "new\n"
    server.bump("m.dav")
    assert server.request("PUT", "/d/x.txt", {"If-Match": tag}, b"bad\n").status == 412
    assert file.read_text() == "new\n"


@pytest.fixture(scope="module", params=["local", "redis"])
def declaring(request, shared_httpd, shared_backend, shared_redis):
    """A place where the backend names the models; two hosts if they have a store in common."""
    backend = shared_backend()
    conf = f"""
ProxyPass /p/ {backend.url}/p/
ETagVersionStoreTimeout connect=5s command=5s
<Location /p/>
  ETagVersion Version
  ETagVersionStrength Strong
  ETagVersionModelsHeader X-Depends-On
  ETagVersionInvalidateHeader X-Changes
  ETagVersionPreconditions Require
</Location>
"""
    if request.param == "local":
        return [Site(shared_httpd(conf, "proxy"), backend)]
    conf += f'ETagVersionStore "{shared_redis().unix_url}"\nETagVersionFreshness strict\n'
    return [Site(shared_httpd(conf, "proxy"), backend) for _ in range(2)]


def test_declared_models(declaring):
    """The tag says which models it is made of, to a host that never saw the URL, too."""
    first, last = declaring[0], declaring[-1]
    path = "/p/declared"
    for model in ("d.a", "d.b"):
        first.server.bump(model)
    first.backend.on(path, lambda r: Reply(200, {"X-Depends-On": "d.a, d.b"} if r.method == "GET" else
                                           {"X-Changes": "d.b"}))

    def tag():
        first.server.get(path)
        return first.tag(path)
    old = tag()
    assert "." in old, "it names no list"
    refused(last, last.change(path, {"If-Match": OTHER}))
    refused(last, last.change(path, {"If-Match": with_letter(old, "u")}))
    refused(last, last.change(path + "?x", {"If-Match": old}))
    refused(last, last.change(path), 428)
    assert not passed(last.change(path, {"If-Match": old}), "If-Match").get("If-None-Match")
    refused(last, last.change(path, {"If-Match": old}))
    new = tag()
    assert digest(new) != digest(old)
    refused(last, last.change(path, {"If-None-Match": new}))
    last.server.bump("d.a")
    refused(last, last.change(path, {"If-Match": f"{old}, {new}"}))
    answer, _ = last.change(path, {"If-Match": f"{old}, {new}, {tag()}"})
    assert answer.status == 200 and not answer.all("ETag")


FRONT = """
<Directory "@ROOT@/htdocs">
  ETagVersion Version
  ETagVersionStrength Strong
  ETagVersionModels m.page
  ETagVersionPreconditions Require
  %s
</Directory>
<Directory "@ROOT@/htdocs/app">
  AllowOverride FileInfo
  Options +ExecCGI +FollowSymLinks
  AddHandler cgi-script .cgi
</Directory>
%s
"""
ECHO = """#!/bin/sh
[ "$REQUEST_METHOD" = GET ] || echo "$HTTP_IF_MATCH|$REQUEST_METHOD" >>%s/run/log
cat >/dev/null
printf 'Content-Type: text/plain\\n\\nok\\n'
"""


@pytest.mark.parametrize("bumps", ["", "ETagVersionInvalidate models"], ids=["alone", "bumps"])
@pytest.mark.parametrize("how", ["rewrite", "fallback", "index"])
def test_front_controllers(new_httpd, how, bumps):
    """One script serves all URLs; it is asked once, and the request is not in its own way."""
    conf = {"rewrite": "", "fallback": "FallbackResource /app/front.cgi", "index": "DirectoryIndex front.cgi"}[how]
    server = new_httpd(FRONT % (bumps, f'<Directory "@ROOT@/htdocs/app">\n{conf}\n</Directory>'),
                       "rewrite cgid mime dir", start=False)
    server.write("htdocs/app/front.cgi", ECHO % server.root, 0o755)
    if how == "rewrite":
        server.write("htdocs/app/.htaccess", "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n"
                     "RewriteRule . front.cgi [L]\n")
    (server.root / "htdocs/app").chmod(0o755)
    server.start()
    path = "/app/" if how == "index" else "/app/some/page"
    method = "POST" if how == "index" else "PUT"
    tag = server.get(path).etag
    assert is_version(tag)
    assert server.request(method, path, {"If-Match": OTHER}, b"x").status == 412
    assert server.request(method, path, {}, b"x").status == 428
    answer = server.request(method, path, {"If-Match": tag}, b"x")
    assert answer.status == 200, (answer, server.why(answer))
    if bumps:
        assert server.request(method, path, {"If-Match": tag}, b"x").status == 412
    assert (server.root / "run/log").read_text() == f"|{method}\n"


def test_not_in_htaccess(new_httpd):
    server = new_httpd('<Directory "@ROOT@/htdocs">\nAllowOverride All\n</Directory>', start=False)
    server.write("htdocs/.htaccess", "ETagVersionPreconditions Off\n")
    server.write("htdocs/x.txt", "x\n")
    server.start()
    server.log.expect("not allowed here")
    assert server.get("/x.txt").status == 500


def test_store_down(new_httpd, new_backend, new_redis):
    """What cannot be shown to be true is not taken for true."""
    redis, backend = new_redis(), new_backend()
    site = Site(new_httpd(f'ETagVersionStore "{redis.url}"\nETagVersionFreshness strict\n' + places(backend.url),
                          "proxy env"), backend)
    path = "/p/strong"
    tag = site.tag(path)
    site.server.log.expect("ETV01")
    redis.kill()
    answer = refused(site, site.change(path, {"If-Match": tag}), 503, "store-down")
    assert answer.one("Retry-After")
    refused(site, site.change(path, {"If-None-Match": "*"}), 503, "store-down")
    refused(site, site.change(path, {"If-Match": "W/" + tag}))
    passed(site.change(path, {"If-Match": '"x"'}))
    passed(site.change(path))
    refused(site, site.change("/p/require"), 428)
    site.server.log.expect("ETV0380")
    refused(site, site.change("/p/weak", {"If-Match": tag}))


# --- with ETagVersionInvalidate: of those that rely on the same state, one goes on ----------------------


@pytest.mark.parametrize("condition", ["If-Match", "If-None-Match"])
def test_one_of_many(site, condition):
    path = f"/p/claimed/many-{condition.lower()}"
    if condition == "If-Match":
        site.server.bump(path.rsplit("/", 1)[1].join(["claimed:", ""]))
        value = site.tag(path)
    else:
        value = "*"
    release, calls, answers = threading.Event(), [], []

    def slow(request):
        if request.method == "PUT":
            calls.append(request)
            release.wait(10)
        return Reply()
    site.backend.on(path, slow)

    def put(_number):
        answers.append(site.server.request("PUT", path, {condition: value}, b"new"))
        if len(answers) == 19:  # the one that is left is with the backend
            release.set()
    all_together(20, put)
    done = Counter(answer.status for answer in answers)
    # With so many at once, some may be told that too many names of customers are being asked for.
    assert done[200] == 1 and done[412] and done[200] + done[412] + done[503] == 20, done
    assert all(site.server.why(a) == "busy" for a in answers if a.status == 503)
    assert len(calls) == 1
    new = until(lambda: site.server.get(path).etag, "a tag for the new state")
    refused(site, site.change(path, {condition: value}))
    site.backend.on(path, Reply())
    passed(site.change(path, {"If-Match": new}), "If-Match")
    refused(site, site.change(path, {"If-Match": new}))


def test_what_the_backend_refuses(site):
    """Nothing has changed: the same tag is good again."""
    path = "/p/claimed/refused"
    site.server.bump("claimed:refused")
    tag = site.tag(path)
    site.backend.on(path, lambda request: Reply(400 if request.method == "PUT" else 200))
    for _ in range(2):
        answer, request = site.change(path, {"If-Match": tag})
        assert answer.status == 400 and request
    site.backend.on(path, Reply())
    assert site.tag(path) == tag
    passed(site.change(path, {"If-Match": tag}), "If-Match")
    refused(site, site.change(path, {"If-Match": tag}))


def test_one_after_another(site):
    path = "/p/claimed/row"
    site.server.bump("claimed:row")
    old = None
    for _ in range(5):
        tag = site.tag(path)
        assert tag != old
        passed(site.change(path, {"If-Match": tag}), "If-Match")
        if old:
            refused(site, site.change(path, {"If-Match": old}))
        old = tag


@pytest.fixture(params=["strict", "lease", "local"])
def hosts(request, new_httpd, new_backend, new_redis):
    """Two hosts with one Redis, or one host, and what they stand in front of."""
    backend = new_backend()
    if request.param == "local":
        return [Site(new_httpd(places(backend.url), "proxy env"), backend)]
    store = f'ETagVersionStore "{new_redis().unix_url}"\nETagVersionFreshness {request.param}\n'
    return [Site(new_httpd(store + places(backend.url), "proxy env"), backend) for _ in range(2)]


class Sum:
    """A backend that adds up, and knows when somebody added to what was there before."""

    def __init__(self):
        self.value, self.lost, self.lock = 0, 0, threading.Lock()

    def __call__(self, request):
        if request.method == "GET":
            return Reply(body=str(self.value))
        seen = self.value
        if int(request.body) != seen + 1:
            self.lost += 1
        time.sleep(0.002)  # the slower, the more would be lost
        if self.value != seen:
            self.lost += 1
        self.value = int(request.body)
        return Reply(200 if int(request.body) % 3 else 500)  # what fails late has changed something


def test_no_update_is_lost(hosts):
    """Everybody adds one to what they have seen, on all hosts at once: nothing is added twice to the same."""
    path, most = "/p/claimed/sum", 60
    counter = Sum()
    hosts[0].backend.on(path, counter)
    hosts[0].server.bump("claimed:sum")
    done, refusals = [], []

    def add(number):
        site = hosts[number % len(hosts)]
        while len(done) < most:
            before = site.server.get(path)
            if not before.etag or not is_version(before.etag):
                continue  # a change is under way
            answer = site.server.request("PUT", path, {"If-Match": before.etag}, str(int(before.body) + 1).encode())
            assert answer.status in (200, 412, 500, 503), answer
            (refusals if answer.status in (412, 503) else done).append(answer.status)
    all_together(8, add)
    assert counter.lost == 0, f"{counter.lost} of {len(done)} were lost, {len(refusals)} refused"
    assert counter.value == len(done) >= most
