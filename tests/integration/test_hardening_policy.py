# SPDX-License-Identifier: Apache-2.0
"""The policy never makes a response more cacheable than the application said, by whatever field it said it."""
import time
from email.utils import formatdate

import pytest

from harness.backend import Reply
from harness.table import Case, build, each
from harness.tags import check_pair, is_version, letter

HOUR = 3600
PAST = "Thu, 19 Nov 1981 08:52:00 GMT"


def after(seconds):
    return formatdate(time.time() + seconds, usegmt=True)


class Expiring(Case):
    """A response with Expires made at the time of the request, and what is to come of Cache-Control."""

    def __init__(self, name, conf, expires, want, headers=()):
        super().__init__(name, conf, want=want)
        self.reply = lambda _request: Reply(headers=[
            *headers, *(("Expires", expires() if callable(expires) else expires) for _ in [0] if expires)])


PUBLIC = "ETagVersionCacheControl public, max-age=3600"
SHARED = "ETagVersionCacheControl s-maxage=600"


def soon():
    return after(30)


def late():
    return after(24 * HOUR)


# `want`: other directives, and the bounds of each lifetime.
CASES = [
    Expiring("zero", PUBLIC, "0", {"public": None, "max-age": (0, 0)}),
    Expiring("past", PUBLIC, PAST, {"public": None, "max-age": (0, 0)}),
    Expiring("past_pragma", PUBLIC, PAST, {"public": None, "max-age": (0, 0)}, [("Pragma", "no-cache")]),
    Expiring("minus_one", PUBLIC, "-1", {"public": None, "max-age": (0, 0)}),
    Expiring("nonsense", PUBLIC, "tomorrow", {"public": None, "max-age": (0, 0)}),
    Expiring("now", PUBLIC, lambda: after(0), {"public": None, "max-age": (0, 0)}),
    Expiring("soon", PUBLIC, soon, {"public": None, "max-age": (25, 31)}),
    Expiring("late", PUBLIC, late, {"public": None, "max-age": (HOUR, HOUR)}),
    Expiring("with_others", PUBLIC, soon, {"public": None, "no-transform": None, "max-age": (25, 31)},
             [("Cache-Control", "no-transform")]),
    Expiring("own_max_age", PUBLIC, "0", {"public": None, "max-age": (60, 60)},
             [("Cache-Control", "max-age=60")]),
    Expiring("own_longer_max_age", PUBLIC, "0", {"public": None, "max-age": (HOUR, HOUR)},
             [("Cache-Control", "max-age=99999")]),
    Expiring("shared_zero", SHARED, "0", {"max-age": (0, 0), "s-maxage": (0, 0)}),
    Expiring("shared_soon", SHARED, soon, {"max-age": (25, 31), "s-maxage": (25, 31)}),
    Expiring("own_s_maxage", "ETagVersionCacheControl max-age=3600", "0",
             {"max-age": (0, 0), "s-maxage": (60, 60)}, [("Cache-Control", "s-maxage=60")]),
    Expiring("stale_while", "ETagVersionCacheControl stale-while-revalidate=600", "0",
             {"max-age": (0, 0)}),
    Expiring("stale_while_too", "ETagVersionCacheControl max-age=60, stale-while-revalidate=600", "0",
             {"max-age": (0, 0)}),
    Expiring("no_lifetime", "ETagVersionCacheControl must-revalidate", "0", {"must-revalidate": None}),
    Expiring("set", "ETagVersionCacheControl set max-age=60", "0", {"max-age": (60, 60)}),
    Expiring("ifunset", "ETagVersionCacheControl ifunset max-age=60", soon, {}),
    Expiring("ifunset_past", "ETagVersionCacheControl ifunset max-age=60", "0", {}),
    Expiring("ifunset_free", "ETagVersionCacheControl ifunset max-age=60", None, {"max-age": (60, 60)}),
    Expiring("none", "ETagVersionCacheControl none", "0", {}),
    Expiring("module", f'{PUBLIC}\nExpiresActive On\nExpiresDefault "access plus 30 seconds"', None,
             {"public": None, "max-age": (30, 30)}),
    Expiring("named", f"ETagVersionIdentity cookie:sid\n{PUBLIC}", "0", {"private": None, "max-age": (0, 0)}),
]


LAX = "ETagVersionCacheControl public, max-age=60, stale-while-revalidate=600, stale-if-error=86400"


def answers(name, conf, own, want):
    return Case(name, conf, [("Cache-Control", own)] if own else [], want=want)


# Leave to serve what is stale needs the word of both, once either has said how long it lives.
STALE = [
    answers("alone", LAX, None, {"public", "max-age=60", "stale-while-revalidate=600", "stale-if-error=86400"}),
    answers("other_word", LAX, "no-transform", {"no-transform", "public", "max-age=60",
                                                "stale-while-revalidate=600", "stale-if-error=86400"}),
    answers("lifetime_zero", LAX, "max-age=0", {"public", "max-age=0"}),
    answers("lifetime", LAX, "max-age=10", {"public", "max-age=10"}),
    answers("shared_lifetime", LAX, "s-maxage=10", {"public", "max-age=60", "s-maxage=10"}),
    answers("no_cache", LAX, "no-cache", {"no-cache", "public", "max-age=60"}),
    answers("must", LAX, "must-revalidate", {"must-revalidate", "public", "max-age=60"}),
    answers("one_of_them", LAX, "max-age=10, stale-if-error=5", {"public", "max-age=10", "stale-if-error=5"}),
    answers("both", LAX, "max-age=10, stale-if-error=99999, stale-while-revalidate=5",
            {"public", "max-age=10", "stale-if-error=86400", "stale-while-revalidate=5"}),
    answers("by_the_policy", "ETagVersionCacheControl max-age=60", "max-age=10, stale-if-error=5", {"max-age=10"}),
]


def lifetimes(answer):
    """Cache-Control as a dict; None for directives without an argument."""
    found = {}
    for member in answer.members("Cache-Control"):
        name, _, value = member.partition("=")
        assert name not in found, f"twice: {answer}"
        found[name] = int(value) if value else None
    return found


def check(found, want):
    assert set(found) == set(want), found
    for name, bounds in want.items():
        if bounds:
            assert bounds[0] <= found[name] <= bounds[1], found
        else:
            assert found[name] is None


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return build(shared_httpd, shared_backend(), CASES + STALE, "headers expires")


@pytest.mark.parametrize("case", **each(CASES))
def test_expires_counts_as_a_lifetime(server, case):
    full = server.get(case.path)
    check(lifetimes(full), case.want)
    check(lifetimes(server.request("HEAD", case.path)), case.want)
    assert is_version(full.etag)
    again = server.get(case.path, tag=full.etag)
    check_pair(full, again)
    if letter(full.etag) == "v" and again.all("Cache-Control"):
        check(lifetimes(again), case.want)


@pytest.mark.parametrize("case", **each([c for c in CASES if not c.name == "module"]))
def test_expires_itself_stays(server, case):
    """The application's field is not the policy's to change."""
    sent = case.reply(None).headers
    answer = server.get(case.path)
    expires = dict(sent).get("Expires")
    assert bool(answer.one("Expires")) == bool(expires)
    if expires and not expires.endswith("GMT"):
        assert answer.one("Expires") == expires
    assert answer.all("Pragma") == [value for name, value in sent if name == "Pragma"]


@pytest.mark.parametrize("case", **each(STALE))
def test_leave_to_serve_what_is_stale(server, case):
    full = server.get(case.path)
    assert set(full.members("Cache-Control")) == case.want
    check_pair(full, server.get(case.path, tag=full.etag))


@pytest.mark.parametrize("age, expires, want", [(0, 100, 100), (50, 100, 150), (500, -100, 400), (0, -5, 0)])
def test_measured_from_the_date_of_the_response(new_httpd, new_fastcgi, age, expires, want):
    """A clock of the application's that is behind, or a response that is old: its Date is what counts."""
    app = new_fastcgi(lambda _params, _number: (
        f"Content-Type: text/plain\r\nDate: {after(-age)}\r\nExpires: {after(expires)}\r\n\r\nx\n"))
    server = new_httpd(f"ProxyPass /d/ fcgi://127.0.0.1:{app.port}/\n<Location /d/>\nETagVersion Version\n"
                       "ETagVersionModels m\nETagVersionCacheControl max-age=3600\n</Location>", "fcgi")
    found = lifetimes(server.get("/d/x"))["max-age"]
    assert found <= want + 1, "more than the application said"
    assert found >= max(0, want - age - 2), "much less than the application said"
