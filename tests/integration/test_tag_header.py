# SPDX-License-Identifier: Apache-2.0
"""ETagVersionTagHeader: models in the headers that other caches purge by, on 200 and 304."""
import pytest

from harness.backend import Reply
from harness.table import Case, build, each
from harness.tags import check_pair, is_version, letter

NAMES = ("Surrogate-Key", "xkey", "Cache-Tag")
KEY = "ETagVersionTagHeader Surrogate-Key"
TWO = "ETagVersionModels m.one m.two:7"
ODD = 'ETagVersionModels "a model, 50%"'
LONG = "ETagVersionModels " + " ".join(f"m{i:03}" + "x" * 252 for i in range(32))

# want: the letter, and what the headers are
CASES = [
    Case("off", TWO, want=("v", {})),
    Case("key", f"{KEY}\n{TWO}", want=("v", {"Surrogate-Key": "m.one m.two:7"})),
    Case("xkey", f"ETagVersionTagHeader xkey\n{TWO}", want=("v", {"xkey": "m.one m.two:7"})),
    Case("cache_tag", f"ETagVersionTagHeader Cache-Tag\n{TWO}", want=("v", {"Cache-Tag": "m.one,m.two:7"})),
    Case("all", f"ETagVersionTagHeader cache-tag XKEY surrogate-key\n{TWO}",
         want=("v", {"Surrogate-Key": "m.one m.two:7", "xkey": "m.one m.two:7", "Cache-Tag": "m.one,m.two:7"})),
    Case("none", f"ETagVersionTagHeader none\n{TWO}", want=("v", {})),
    Case("odd", f"{KEY}\n{ODD}", want=("v", {"Surrogate-Key": "a%20model%2C%2050%25"})),
    Case("policy", f"{KEY}\n{TWO}\nETagVersionCacheControl max-age=60",
         want=("v", {"Surrogate-Key": "m.one m.two:7"})),
    Case("own", f"{KEY}\n{TWO}", {"Surrogate-Key": "page m.one"},
         want=("u", {"Surrogate-Key": "page m.one m.two:7"})),
    Case("own_lines", f"{KEY}\n{TWO}", [("Surrogate-Key", "page"), ("Surrogate-Key", "b c")],
         want=("u", {"Surrogate-Key": "page b c m.one m.two:7"})),
    Case("own_same", f"{KEY}\n{TWO}", {"Surrogate-Key": "m.one m.two:7"},
         want=("v", {"Surrogate-Key": "m.one m.two:7"})),
    Case("own_commas", f"ETagVersionTagHeader Cache-Tag\n{TWO}", {"Cache-Tag": "page , m.one"},
         want=("u", {"Cache-Tag": "page , m.one,m.two:7"})),
    Case("own_other", f"ETagVersionTagHeader xkey\n{TWO}", {"Surrogate-Key": "page"},
         want=("v", {"Surrogate-Key": "page", "xkey": "m.one m.two:7"})),
    Case("header_set", f'{KEY}\n{TWO}\nHeader set Surrogate-Key "mine"',
         want=("v", {"Surrogate-Key": "mine"})),
    Case("header_unset", f"{KEY}\n{TWO}\nHeader unset Surrogate-Key", {"Surrogate-Key": "page"},
         want=("v", {})),
    Case("header_append", f'{KEY}\n{TWO}\nHeader edit Surrogate-Key "$" " mine"',
         want=("v", {"Surrogate-Key": "m.one m.two:7 mine"})),
    Case("header_for_200", f'{KEY}\n{TWO}\nHeader set Surrogate-Key "mine" "expr=%{{REQUEST_STATUS}} == 200"',
         want=("u", {"Surrogate-Key": "mine"})),
    Case("untagged", f"{KEY}\n{TWO}", {"Set-Cookie": "a=b"}, want=("", {"Surrogate-Key": "m.one m.two:7"})),
    Case("kept", f"{KEY}\n{TWO}", {"ETag": '"own"'}, want=("", {"Surrogate-Key": "m.one m.two:7"})),
    Case("not_set", f"{KEY}\nETagVersionModels not.set\nETagVersionMissing Skip",
         want=("", {"Surrogate-Key": "not.set"})),
    Case("no_name", f"{KEY}\nETagVersionModels m.one %{{env:NOBODY}}", want=("", {})),
    Case("error", f"{KEY}\n{TWO}", status=404, want=("", {})),
    Case("failed", f"{KEY}\n{TWO}", status=500, want=("", {})),
    Case("redirect", f"{KEY}\n{TWO}", {"Location": "/"}, status=302, want=("", {})),
    Case("created", f"{KEY}\n{TWO}", status=203, want=("", {"Surrogate-Key": "m.one m.two:7"})),
    Case("bypass", f"{KEY}\n{TWO}\nSetEnv no-etag-version 1", want=("", {})),
]
WARNED = [
    Case("too_long", f"ETagVersionTagHeader xkey Surrogate-Key\n{LONG}", want=("v", {"Surrogate-Key": LONG[18:]})),
    Case("too_long_own", f"ETagVersionTagHeader xkey\n{LONG}", {"xkey": "page"}, want=("u", {"xkey": "page"})),
]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return build(shared_httpd, shared_backend(), CASES + WARNED, "headers env alias deflate setenvif",
                 "ETagVersionStrength Weak")


def shown(answer):
    return {name: answer.one(name) for name in NAMES if answer.all(name)}


def check(server, case):
    want, headers = case.want
    full = server.get(case.path, case.sent)
    assert shown(full) == headers
    if not want:
        assert not is_version(full.etag)
        return
    assert letter(full.etag) == want
    again = server.get(case.path, case.sent, tag=full.etag)
    check_pair(full, again)
    configured = {k: v for k, v in headers.items() if k.lower() in case.conf.lower()}
    assert shown(again) == configured
    head = server.request("HEAD", case.path, case.sent)
    assert shown(head) == headers and head.etag == full.etag


@pytest.mark.parametrize("case", **each(CASES))
def test_table(server, case):
    check(server, case)


@pytest.mark.parametrize("case", **each(WARNED))
def test_a_list_that_readers_would_cut_off(server, case):
    server.log.expect("ETV0385")
    check(server, case)


def test_late_304(server):
    """What the 200 says, the 304 that is made of it says."""
    case = next(c for c in CASES if c.name == "kept")
    answer = server.get(case.path, tag='"own"')
    assert answer.status == 304 and shown(answer) == case.want[1]


def test_other_methods(server):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert shown(server.request(method, "/t/key", body=b"")) == {}, method


def test_in_front_of_a_cache(new_httpd, new_backend):
    """What mod_cache stored is sent with the same names, and they are there once."""
    backend = new_backend()
    server = new_httpd(f"""
ProxyPass /p/ {backend.url}/p/
CacheRoot @ROOT@/run
CacheEnable disk /p/
CacheQuickHandler off
CacheDefaultExpire 60
<Location /p/>
  ETagVersion Version
  ETagVersionModels m.one
  {KEY}
  ETagVersionCacheControl max-age=60
</Location>""", "proxy cache_disk")
    backend.on("/p/x", Reply(200, {"Surrogate-Key": "page"}))
    answers = [server.get("/p/x") for _ in range(3)]
    assert backend.calls("/p/x") == 1, "it is to be stored"
    assert [a.one("Surrogate-Key") for a in answers] == ["page m.one"] * 3


def test_declared_models(new_httpd, new_backend):
    """What the response declares is named, too, also by the early 304 to its tag."""
    backend = new_backend()
    server = new_httpd(f"""
ProxyPass /p/ {backend.url}/p/
<Location /p/>
  ETagVersion Version
  ETagVersionModels m.one
  ETagVersionModelsHeader X-Depends-On
  ETagVersionTagHeader Surrogate-Key Cache-Tag
</Location>""", "proxy")
    server.bump("m.two")
    backend.on("/p/x", Reply(200, {"X-Depends-On": "m.two"}))
    first = server.get("/p/x")
    full = server.get("/p/x")
    again = server.get("/p/x", tag=full.etag)
    check_pair(full, again)
    for answer in (first, full, again):
        assert shown(answer) == {"Surrogate-Key": "m.one m.two", "Cache-Tag": "m.one,m.two"}
    assert backend.calls() == 2


def test_wrong_values(new_httpd):
    server = new_httpd("ETagVersionTagHeader X-Models", start=False)
    status, output = server.configtest()
    assert status != 0 and "Surrogate-Key, xkey and Cache-Tag" in output
