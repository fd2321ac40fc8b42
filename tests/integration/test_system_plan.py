# SPDX-License-Identifier: Apache-2.0
"""System 2: integer counters that Django's cache moves on with INCR; docs/systems.md has the table of its rows."""
import contextlib
import json
import re
import subprocess
import threading

import pytest

from harness import places
from harness.lab import USERS
from harness.wait import until

PREFIX = ":1:cache_version:"
HOST = "plan.localhost"
STRONG = r'"[uv][\w~-]{22,}"'  # a version tag without W/
JSON = [("Content-Type", "application/json")]
LIFETIMES = {"collections": 300, "spectra": 600, "proteins": 3600, "references": 86400, "lineages": 604800}


class Plan:
    """A lab, asked by the name of the plan's virtual host."""

    def __init__(self, lab):
        self.lab, self.redis = lab, lab.redis

    def get(self, resource, headers=(), tag=None):
        return self.lab.get(f"/plan/{resource}/", headers, tag=tag, host=HOST)

    def save(self, resource, number, **fields):
        answer = self.lab.request("PATCH", f"/plan/{resource}/{number}/", JSON, json.dumps(fields).encode(), host=HOST)
        assert answer.status == 200, answer
        return answer

    def counter(self, resource):
        value = self.redis("GET", PREFIX + resource)
        return value if value is None else int(value)

    def asked(self, resource):
        return self.lab.calls_of(f"/plan/{resource}/")

    def held(self, resource, headers=()):
        """The response, of which it is sure that Django is not asked for it again."""
        first = self.get(resource, headers)
        assert first.status == 200 and first.etag, first
        self.kept(resource, first.etag, headers)
        return first

    def kept(self, resource, tag, headers=()):
        before = self.asked(resource)
        answer = self.get(resource, headers, tag=tag)
        assert answer.status == 304 and answer.etag == tag and not answer.body, answer
        assert self.asked(resource) == before, "Django was asked"
        return answer

    def downloads(self, resource, tag, headers=()):
        """The tag is worth nothing any more."""
        before = self.asked(resource)
        answer = self.get(resource, headers, tag=tag)
        assert answer.status == 200 and answer.etag and answer.etag != tag, answer
        assert self.asked(resource) == before + 1
        return answer


@pytest.fixture(scope="module")
def plan(shared_lab):
    """gunicorn; each request asks Redis, so that a bump by anybody counts for the very next one."""
    return Plan(shared_lab())


@pytest.fixture(scope="module")
def wsgi(shared_lab):
    return Plan(shared_lab(server="wsgi"))


@pytest.fixture(params=["plan", "wsgi"])
def both(request):
    """Behind mod_proxy and inside httpd."""
    return request.getfixturevalue(request.param)


# --- counters -------------------------------------------------------------------------------------

def test_counter_is_a_raw_integer_incremented_by_each_save_that_never_expires(both):
    both.save("spectra", 1, name="first")
    before = both.counter("spectra")
    assert re.fullmatch(rb"[0-9]+", both.redis("GET", PREFIX + "spectra"))
    both.save("spectra", 1, name="second")
    assert both.counter("spectra") == before + 1
    assert both.redis("TTL", PREFIX + "spectra") == -1


def test_counter_is_incremented_atomically(plan):
    """While another program counts up the same counter all the time, no step of either is lost."""
    plan.save("lineages", 1, mutation="A1B")
    before, steps, saved = plan.counter("lineages"), [], threading.Event()

    def other_program():
        with contextlib.closing(plan.redis.client()) as client:
            while not saved.is_set():
                steps.append(client("INCR", PREFIX + "lineages"))
    other = threading.Thread(target=other_program)
    other.start()
    for number in range(1, 21):
        plan.save("lineages", number, mutation="C2D")
    saved.set()
    other.join()
    assert plan.counter("lineages") == before + len(steps) + 20
    assert len(set(steps)) == len(steps) > 20


def test_integer_counters_written_by_any_client_work(plan):
    """redis-cli, another program: whoever says INCR."""
    first = plan.held("proteins")
    plan.redis("INCR", PREFIX + "proteins")
    second = plan.downloads("proteins", first.etag)
    assert plan.kept("proteins", second.etag)
    plan.redis("DECR", PREFIX + "spectra")
    assert plan.kept("proteins", second.etag), "another resource's counter is none of its business"


def test_counter_that_httpd_made_is_an_integer_that_django_increments(plan):
    """Nobody has saved yet: the module makes the key, and cache.incr goes on from there."""
    plan.redis("DEL", PREFIX + "references")
    first = plan.held("references")
    made = plan.counter("references")
    plan.save("references", 1, year=2001)
    assert plan.counter("references") == made + 1
    plan.downloads("references", first.etag)


def test_model_versions_of_the_other_prefix_are_other_keys(plan):
    """The same lab has system 1's and 3's versions under :1:model_version: and they do not meet."""
    plan.save("spectra", 2, name="once more")
    assert plan.redis("EXISTS", ":1:model_version:spectra") == 0
    first = plan.held("spectra")
    plan.redis("SET", ":1:model_version:spectra", "1")
    plan.kept("spectra", first.etag)
    plan.redis("DEL", ":1:model_version:spectra")


def test_strong_tag_from_the_version_and_another_one_after_a_save(both):
    first = both.held("spectra")
    assert re.fullmatch(STRONG, first.etag)
    both.save("spectra", 3, name=f"saved at {both.counter('spectra')}")
    second = both.downloads("spectra", first.etag)
    assert re.fullmatch(STRONG, second.etag) and second.body != first.body
    both.kept("spectra", second.etag)


def test_delete_and_create_give_another_tag(plan):
    first = plan.held("proteins")
    made = plan.lab.request("POST", "/plan/proteins/", JSON, b'{"name": "new", "sequence": "M"}', host=HOST)
    assert made.status == 201 and made.one("Cache-Control") == "no-store"
    second = plan.downloads("proteins", first.etag)
    gone = plan.lab.request("DELETE", f"/plan/proteins/{json.loads(made.text)['id']}/", host=HOST)
    assert gone.status == 204
    third = plan.downloads("proteins", second.etag)
    assert third.body == first.body and third.etag != first.etag, "the same list under a later version"


# --- the plan's decorators ------------------------------------------------------------------------

def test_conditional_get(both):
    """140 KB the first time, less than 1 KB the second, and Django does not run."""
    first = both.held("spectra")
    assert 130_000 < len(first.body) < 160_000
    again = both.kept("spectra", first.etag)
    assert sum(len(k) + len(v) + 4 for k, v in again.headers) < 1000


def test_success_is_measured_by_the_access_log(plan):
    """Four of five requests and more are spared the application, as docs/operations.md counts them; so are their bytes."""
    tag, sent, answers = plan.held("spectra").etag, 0, []
    for turn in range(24):
        if turn % 12 == 5:
            plan.save("spectra", 1, name=f"measured {turn}")
        answers.append(plan.get("spectra", tag=tag))
        tag = answers[-1].etag
        sent += len(answers[-1].body) + sum(len(k) + len(v) + 4 for k, v in answers[-1].headers)
    why = [plan.lab.why(answer) for answer in answers]
    spared = why.count("early-304") / sum(why.count(word) for word in ("early-304", "late-304", "changed", "fresh"))
    assert set(why) == {"early-304", "changed"} and why.count("changed") == 2 and spared >= 0.8
    assert sent < 24 * 130_000 * 0.2


def test_cache_control_public(plan):
    answer = plan.held("proteins")
    assert answer.members("Cache-Control") == ["max-age=3600", "public"]
    assert plan.kept("proteins", answer.etag).members("Cache-Control") == ["max-age=3600", "public"]


def test_cache_control_private_is_for_each_user_alone(plan):
    ada, bob = (plan.lab.login(name) for name in USERS)
    mine, theirs = (plan.held("collections", [("Cookie", cookie)]) for cookie in (ada, bob))
    for answer in (mine, theirs, plan.kept("collections", mine.etag, [("Cookie", ada)])):
        assert answer.members("Cache-Control") == ["max-age=300", "private"]
        assert "cookie" in answer.members("Vary")
    assert mine.etag != theirs.etag
    plan.downloads("collections", mine.etag, [("Cookie", bob)])
    assert plan.get("collections", tag=mine.etag).status == 403


def test_vary_on_headers(plan):
    german, english = [("Accept-Language", "de")], [("Accept-Language", "en")]
    one, other = plan.held("references", german), plan.held("references", english)
    assert "Ein neues" in one.text and "A new" in other.text
    assert "accept-language" in one.members("Vary")
    assert "accept-language" in plan.kept("references", one.etag, german).members("Vary")
    plan.downloads("references", one.etag, english)


@pytest.mark.parametrize("resource", LIFETIMES)
def test_semantic_ttl(plan, resource):
    """5 min, 10 min, 1 h, 1 day, 1 week: each is a Define, each resource a line with a Macro."""
    cookie = [("Cookie", plan.lab.login())] if resource == "collections" else []
    answer = plan.held(resource, cookie)
    assert f"max-age={LIFETIMES[resource]}" in answer.members("Cache-Control")


def test_stale_while_revalidate(plan):
    answer = plan.held("spectra")
    wanted = ["max-age=600", "public", "stale-while-revalidate=86400"]
    assert answer.members("Cache-Control") == wanted
    assert plan.kept("spectra", answer.etag).members("Cache-Control") == wanted


def test_surrogate_keys_name_the_resource(plan):
    first = plan.held("spectra")
    for answer in (first, plan.kept("spectra", first.etag)):
        assert [answer.one(name) for name in ("Surrogate-Key", "Cache-Tag", "xkey")] == ["spectra"] * 3


def test_cdn_purge_on_bump(plan):
    """`etag-version watch` tells of a save by Django under the name that stands in Surrogate-Key: what a purger needs."""
    watch = subprocess.Popen([places.tool(), "watch", "--store", plan.redis.url, "--prefix", PREFIX, "--count", "1"],
                             stdout=subprocess.PIPE, text=True)
    try:
        assert watch.stdout.readline() == "*\treset\n"
        plan.save("references", 2, year=1999)
        assert watch.stdout.readline().split("\t")[0].strip() == plan.held("references").one("Surrogate-Key")
        assert watch.wait(30) == 0
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


# --- nothing is ever stale ------------------------------------------------------------------------

def recover(plan, resource="spectra"):
    """Until the store is used again after an outage: a response has a tag."""
    return until(lambda: plan.get(resource).etag, "a tag after the outage")


def test_flush_matches_no_old_tag_and_clients_download_once(plan):
    """Also when the counter is at the old number again: INCR begins anew at 1."""
    for _ in range(3):
        plan.save("spectra", 4, name="old data")
    plan.redis("SET", PREFIX + "spectra", 2)
    old = plan.held("spectra")
    plan.redis("FLUSHALL")
    plan.save("spectra", 4, name="newer")
    plan.save("spectra", 4, name="newest")
    assert plan.counter("spectra") == 2, "the number repeats"
    new = plan.downloads("spectra", old.etag)
    assert "newest" in new.text
    plan.kept("spectra", new.etag)
    plan.downloads("spectra", old.etag)


def test_flush_while_nobody_saves(plan):
    old = plan.held("proteins")
    plan.redis("FLUSHALL")
    new = plan.downloads("proteins", old.etag)
    assert new.body == old.body
    plan.kept("proteins", new.etag)


def outage_is_logged(plan):
    """What httpd says about a store that goes away."""
    plan.lab.log.expect(r"ETV01\d\d:", optional=True)


def test_restart_matches_no_old_tag(plan):
    """Redis comes back empty, and the counter is moved on to the number that it had."""
    plan.redis("SET", PREFIX + "spectra", 7)
    old = plan.held("spectra")
    outage_is_logged(plan)
    plan.redis.restart()
    plan.redis("SET", PREFIX + "spectra", 7)
    recover(plan)
    new = plan.downloads("spectra", old.etag)
    plan.kept("spectra", new.etag)


def test_failover_matches_no_old_tag(plan, new_redis):
    """A replica that lags is promoted, and all follow it: the last save is lost, and its number is used once more."""
    plan.redis("SET", PREFIX + "spectra", 40)
    plan.held("spectra")
    replica = new_redis()
    replica.replica_of(plan.redis)
    replica.promote()
    plan.save("spectra", 5, name="the counter is 41")
    old = plan.held("spectra")
    plan.redis.replica_of(replica)
    plan.redis.promote()
    assert plan.counter("spectra") == 40
    plan.save("spectra", 5, name="the counter is 41 again")
    assert plan.counter("spectra") == 41
    new = plan.downloads("spectra", old.etag)
    assert "41 again" in new.text
    plan.kept("spectra", new.etag)


def test_an_outage_of_redis_is_no_outage_of_the_site(plan):
    """Readers get 200 without a tag; a save during the outage is told to Redis when it is back."""
    old = plan.held("proteins")
    before = plan.counter("proteins")
    outage_is_logged(plan)
    plan.redis.kill()
    answer = plan.get("proteins", tag=old.etag)
    assert answer.status == 200 and not answer.etag and len(answer.body) == len(old.body)
    plan.save("proteins", 1, name="saved meanwhile")
    plan.redis.start()
    until(lambda: plan.counter("proteins"), "the counter is told")
    recover(plan, "proteins")
    assert before
    assert "saved meanwhile" in plan.downloads("proteins", old.etag).text
