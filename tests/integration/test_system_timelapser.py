# SPDX-License-Identifier: Apache-2.0
"""System 3: images, counts, settings, an event stream; docs/systems.md has the table of its rows."""
import hashlib
import json
import re
import subprocess

import pytest

from harness import places
from harness.client import Connection, request_bytes
from harness.events import Stream
from harness.lab import USERS, home
from harness.lease import await_table
from harness.wait import until

PREFIX = ":1:model_version:"
VERSION = r'W/"[uv][\w~-]{22,}"'
JSON = [("Content-Type", "application/json")]
IMAGES, COUNT, OVERVIEW, SETTINGS = (f"/timelapse/{name}/" for name in ("images", "images/count", "overview", "settings"))
HANDLERS = """
<Location "/etag-version/events">
    SetHandler etag-version-events
    ETagVersionServe events
</Location>
<Location "/etag-version/admin">
    SetHandler etag-version-admin
    ETagVersionServe admin
</Location>
"""


class Timelapse:
    """A lab, and what the tests do with images."""

    def __init__(self, lab):
        self.lab, self.redis = lab, lab.redis
        self.get, self.request = lab.get, lab.request

    def image(self, number):
        return f"{IMAGES}{number}/"

    def retitle(self, number, title):
        answer = self.request("PUT", self.image(number), JSON, json.dumps({"title": title}).encode())
        assert answer.status == 200, answer

    def add(self, **said):
        answer = self.request("POST", IMAGES, JSON, json.dumps(said).encode())
        assert answer.status == 201, answer
        return json.loads(answer.text)["id"]

    def remove(self, number):
        assert self.request("DELETE", self.image(number)).status == 204

    def held(self, path, headers=()):
        """A response with a tag."""
        answer = self.get(path, headers)
        assert answer.status == 200 and answer.etag, answer
        return answer

    def versioned(self, path):
        """One with a version tag. The very first one of an image has none: its version is made while it is answered."""
        self.held(path)
        answer = self.held(path)
        assert re.fullmatch(VERSION, answer.etag), answer
        return answer

    def kept(self, path, tag, headers=(), asked=0):
        """304, for which Django was asked so often."""
        before = self.lab.calls_of(path)
        answer = self.get(path, headers, tag=tag)
        assert answer.status == 304 and not answer.body and answer.etag == tag, answer
        assert self.lab.calls_of(path) == before + asked
        return answer

    def downloads(self, path, tag, headers=()):
        answer = self.get(path, headers, tag=tag)
        assert answer.status == 200 and answer.body and answer.etag and answer.etag != tag, answer
        return answer


@pytest.fixture(scope="module")
def site(shared_lab):
    """gunicorn; each request asks Redis."""
    return Timelapse(shared_lab(conf=HANDLERS))


@pytest.fixture(scope="module")
def headers_site(shared_lab):
    """Where nobody bumps: tags of response headers."""
    return Timelapse(shared_lab(conf=f'Include "{home()}/conf/timelapse_headers.conf"\n'))


@pytest.fixture(scope="module")
def cached(shared_lab):
    """mod_cache in front."""
    return Timelapse(shared_lab(conf=f'Define LAB_CACHE @ROOT@/run\nInclude "{home()}/conf/timelapse_cache.conf"\n',
                                modules="cache cache_disk"))


@pytest.fixture(scope="module")
def leased(shared_lab):
    """Redis pushes its changes, which the event stream needs."""
    return Timelapse(shared_lab(conf=HANDLERS, freshness="lease 2s"))


@pytest.fixture(scope="module")
def own(shared_lab):
    """The application's own ETag code; httpd's module is off."""
    return Timelapse(shared_lab(settings="lab.settings_own", etv=False))


@pytest.fixture(scope="module")
def wsgi(shared_lab):
    return Timelapse(shared_lab(server="wsgi"))


@pytest.fixture(params=["site", "wsgi"])
def both(request):
    """Behind mod_proxy and inside httpd."""
    return request.getfixturevalue(request.param)


# --- tags -----------------------------------------------------------------------------------------

def test_timestamp_tag_by_per_object_version(both):
    """Each image has a version of its own, which Django makes when it is first read, and bumps when it is saved."""
    five, six = both.versioned(both.image(5)), both.versioned(both.image(6))
    both.kept(both.image(5), five.etag)
    both.retitle(5, f"changed, {both.lab.calls_of(both.image(5))}")
    both.downloads(both.image(5), five.etag)
    both.kept(both.image(6), six.etag)
    assert both.redis("TTL", PREFIX + "image:5") == -1


def test_first_read_of_an_image_creates_its_version(site):
    site.redis("DEL", PREFIX + "image:77")
    assert site.held(site.image(77)).etag.startswith('"c'), "not even a version tag of a version that was made meanwhile"
    assert site.redis("EXISTS", PREFIX + "image:77") == 1
    site.kept(site.image(77), site.versioned(site.image(77)).etag)


def test_timestamp_tag_by_a_response_header(headers_site):
    """X-Updated-At tells; Django runs, and what the client has is not sent again."""
    first = headers_site.held(headers_site.image(5))
    assert first.etag.startswith('W/"h') and first.one("X-Updated-At")
    headers_site.kept(headers_site.image(5), first.etag, asked=1)
    headers_site.retitle(5, "another title")
    headers_site.downloads(headers_site.image(5), first.etag)


def test_content_tag_without_timestamps(both):
    first = both.held(OVERVIEW)
    assert re.fullmatch(r'"c[\w-]{22}"', first.etag)
    both.kept(OVERVIEW, first.etag, asked=1)
    both.add(camera="a camera more")
    both.downloads(OVERVIEW, first.etag)


def test_composite_tag_of_id_and_version(site):
    """Two images with the same bytes and times: their tags differ, and neither is good for the other."""
    same = {"camera": "roof", "title": "twin", "updated_at": "2025-01-01T00:00:00+00:00"}
    one, other = site.image(site.add(**same)), site.image(site.add(**same))
    first, second = site.versioned(one), site.versioned(other)
    assert first.etag != second.etag
    site.downloads(other, first.etag)
    site.kept(other, second.etag)
    assert site.lab.httpd.logged(second)[2] == f"image:{other.split('/')[-2]} timelapse.Camera"


def test_collection_tag_by_several_versions(site):
    """New with each image, also when number and latest time stay as they were; and when a camera is new."""
    first = site.versioned(IMAGES)
    assert site.lab.httpd.logged(first)[2] == "timelapse.Image timelapse.Camera"
    site.kept(IMAGES, first.etag)
    site.retitle(7, "title seven")
    second = site.downloads(IMAGES, first.etag)
    lose_one_and_gain_an_older_one(site)
    third = site.downloads(IMAGES, second.etag)
    assert third.one("X-Total-Count") == second.one("X-Total-Count")
    assert third.one("Last-Modified") == second.one("Last-Modified") and third.body != second.body
    site.kept(IMAGES, third.etag)


def lose_one_and_gain_an_older_one(site):
    """One goes, another one is imported from an archive: the count and the latest timestamp are as before."""
    rows = json.loads(site.get(IMAGES).text)
    site.remove(min(row["id"] for row in rows if row["title"].startswith("image ")))
    site.add(camera="roof", title="from the archive", updated_at="2024-12-24T00:00:00+00:00")


def test_collection_tag_by_response_headers(headers_site):
    """X-Total-Count and Last-Modified: a tag of the headers, as the original made it of the database."""
    first = headers_site.held(IMAGES)
    assert first.etag.startswith('W/"h') and first.one("X-Total-Count") and first.one("Last-Modified")
    headers_site.kept(IMAGES, first.etag, asked=1)
    number = headers_site.add(camera="roof")
    second = headers_site.downloads(IMAGES, first.etag)
    assert int(second.one("X-Total-Count")) == int(first.one("X-Total-Count")) + 1
    headers_site.remove(number)
    headers_site.kept(IMAGES, first.etag, asked=1)


# --- the evaluator --------------------------------------------------------------------------------

@pytest.mark.parametrize("field, status", [
    ("{tag}", 304), ("{strong}", 304), ('"a", {tag}', 304), ('"a",{tag} , W/"b"', 304), ('"with,comma", {tag}', 304),
    (', ,{tag},', 304), ("*", 304),
    ('"a"', 200), ('W/"a", "b"', 200), ("{bare}", 200), ('"a" {tag}', 200), ('w/{strong}', 200),
], ids=lambda v: str(v).replace("/", "_"))
@pytest.mark.parametrize("path", [IMAGES, OVERVIEW], ids=["version", "content"])
def test_evaluator(site, path, field, status):
    """validate_etag_match and extract_etag_from_headers: lists, weak and strong, `*`; what is no list matches nothing."""
    tag = site.held(path).etag
    strong = tag[2:] if tag.startswith("W/") else tag
    answer = site.get(path, tag=field.format(tag=tag, strong=strong, bare=strong.strip('"')))
    assert answer.status == status, answer


def test_evaluator_over_several_lines(site):
    tag = site.held(IMAGES).etag
    assert site.get(IMAGES, [("If-None-Match", '"a"'), ("If-None-Match", tag)]).status == 304


# --- a cache in front -----------------------------------------------------------------------------

def test_cache_stores_the_tag_and_is_revalidated_without_the_backend(cached):
    """cached_response_with_etag: mod_cache keeps the body, the module's tag says that it is still good."""
    first = cached.get(IMAGES)
    assert first.status == 200 and first.one("X-Cache").startswith("MISS")
    before = cached.lab.calls_of(IMAGES)
    for _ in range(3):
        again = cached.get(IMAGES)
        assert again.status == 200 and again.body == first.body and again.etag == first.etag
        assert again.one("X-Cache").startswith("REVALIDATE")
    cached.kept(IMAGES, first.etag)
    assert cached.lab.calls_of(IMAGES) == before, "Django was asked"
    cached.retitle(3, "number three")
    new = cached.get(IMAGES)
    assert new.status == 200 and "number three" in new.text and new.etag != first.etag
    assert cached.lab.calls_of(IMAGES) == before + 1
    # mod_cache takes no response whose Date, a whole second, lies before its last revalidation: not in the same second.
    until(lambda: cached.get(IMAGES).one("X-Cache").startswith("REVALIDATE"), "the new list to be revalidated")
    assert cached.get(IMAGES).etag == new.etag


def test_cache_serves_files_without_any_question(cached):
    path = f"{cached.image(4)}file.jpg"
    first = cached.get(path)
    again = cached.get(path)
    assert again.one("X-Cache").startswith("HIT") and again.body == first.body and again.etag == first.etag
    assert cached.lab.calls_of(path) == 1


# --- bump if changed ------------------------------------------------------------------------------

def by_tool(site, text):
    run = subprocess.run([places.tool(), "bump", "timelapse.Count", "--if-digest-of", "-", "--store", site.redis.url,
                          "--prefix", PREFIX], input=text, stdout=subprocess.PIPE, check=True)
    return run.stdout.decode().split("\t")[2].strip()


def by_http(site, text):
    body = f"model=timelapse.Count&if-digest={hashlib.sha256(text).hexdigest()}".encode()
    answer = site.request("POST", "/etag-version/admin", [("Content-Type", "application/x-www-form-urlencoded")], body)
    assert answer.status == 200, answer
    return "bumped" if json.loads(answer.text)["bumped"] else "unchanged"


@pytest.mark.parametrize("bump", [by_tool, by_http])
def test_bump_only_if_the_digest_differs(site, bump):
    """invalidate_with_etag_validation: a job looks at the data, and bumps the counts' version if they are others."""
    def job():
        return bump(site, site.get(COUNT).body)
    job()
    first = site.held(COUNT)
    site.retitle(8, f"a title, {bump.__name__}")
    assert job() == "unchanged"
    site.kept(COUNT, first.etag)
    site.add(camera="garden")
    assert job() == "bumped"
    second = site.downloads(COUNT, first.etag)
    assert json.loads(second.text)["count"] == json.loads(first.text)["count"] + 1
    assert job() == "unchanged"
    site.kept(COUNT, second.etag)


# --- policies -------------------------------------------------------------------------------------

def test_image_files_are_immutable_for_a_year(both):
    path = f"{both.image(9)}file.jpg"
    first = both.get(path)
    assert first.status == 200 and first.body[:3] == b"\xff\xd8\xff" and first.etag.startswith('W/"h')
    for answer in (first, both.kept(path, first.etag, asked=1)):
        assert answer.members("Cache-Control") == ["immutable", "max-age=31536000", "public"]
    both.retitle(9, "another title, the same picture")
    both.kept(path, first.etag, asked=1)


def test_settings_are_private_for_five_minutes(both):
    ada, bob = ([("Cookie", both.lab.login(name))] for name in USERS)
    mine, theirs = both.held(SETTINGS, ada), both.held(SETTINGS, bob)
    for answer in (mine, both.kept(SETTINGS, mine.etag, ada)):
        assert answer.members("Cache-Control") == ["max-age=300", "private"]
        assert "cookie" in answer.members("Vary")
    assert mine.etag != theirs.etag and "alice" in mine.text and "bob" in theirs.text
    both.downloads(SETTINGS, mine.etag, bob)
    assert both.get(SETTINGS, tag=mine.etag).status == 302, "who is not logged in"


def test_settings_have_a_new_tag_after_a_post(site):
    cookie = site.lab.login()
    ada = [("Cookie", cookie)]
    first = site.held(SETTINGS, ada)
    token = re.search(r"csrftoken=(\w+)", cookie).group(1)
    posted = site.request("POST", SETTINGS, ada + [("X-CSRFToken", token),
                                                   ("Content-Type", "application/x-www-form-urlencoded")], b"interval=17")
    assert posted.status == 200 and posted.one("Cache-Control") == "no-store"
    assert json.loads(site.downloads(SETTINGS, first.etag, ada).text)["interval"] == 17


def test_counts_are_kept_for_five_minutes(site):
    first = site.held(COUNT)
    assert first.members("Cache-Control") == ["max-age=300", "public"]
    assert site.kept(COUNT, first.etag).members("Cache-Control") == ["max-age=300", "public"]


# --- event streams --------------------------------------------------------------------------------

def test_event_stream_of_the_application_passes_unbuffered(both):
    """The second event is caused after the first has been read, so nothing can have been held back; and it has no tag."""
    with Connection(both.lab.port) as connection:
        connection.send(request_bytes("GET", "/timelapse/events/?limit=2", [("If-None-Match", '"x"')]))
        head = connection._until(b"\r\n\r\n").decode().lower()
        assert " 200 " in head and "text/event-stream" in head and "etag:" not in head
        connection._until(b"event: ready\n")
        for title in ("first event", "second event"):
            both.retitle(11, title)
            connection._until(f'"title": "{title}"'.encode())


def test_event_stream_of_bumps_shows_a_save_by_django(leased):
    """ETagVersionServe events: who listens hears of a save in Django, fetches, and has the new state."""
    await_table(leased.lab.httpd)
    leased.versioned(leased.image(12))
    with Stream(leased.lab.port, "/etag-version/events?model=image:12") as stream:
        old = leased.versioned(leased.image(12))
        leased.retitle(13, "nobody listens to this")
        leased.retitle(12, "told by an event")
        assert stream.bump() == "image:12"
        assert "told by an event" in leased.downloads(leased.image(12), old.etag).text


# --- where the application's own code falls short -------------------------------------------------

def test_own_code_304_loses_cache_control(own):
    first = own.held(IMAGES)
    assert first.one("Cache-Control")
    assert own.kept(IMAGES, first.etag, asked=1).one("Cache-Control") is None


def test_304_keeps_cache_control(site):
    first = site.versioned(IMAGES)
    assert first.members("Cache-Control") == ["max-age=0", "must-revalidate", "public"]
    assert site.kept(IMAGES, first.etag).members("Cache-Control") == first.members("Cache-Control")


def test_own_code_gives_one_user_the_settings_of_another(own):
    """Settings that were made at the same moment have the same tag: with hers, he gets 304 for his."""
    ada, bob = ([("Cookie", own.lab.login(name))] for name in USERS)
    mine, theirs = own.held(SETTINGS, ada), own.held(SETTINGS, bob)
    assert mine.etag == theirs.etag and mine.body != theirs.body
    own.kept(SETTINGS, mine.etag, bob, asked=1)


def test_own_code_does_not_see_an_image_replaced_by_an_older_one(own):
    """Count and latest timestamp are the same, and the list is stale; test_collection_tag_by_several_versions has it right."""
    first = own.held(IMAGES)
    lose_one_and_gain_an_older_one(own)
    own.kept(IMAGES, first.etag, asked=1)
    assert own.get(IMAGES).body != first.body
