# SPDX-License-Identifier: Apache-2.0
"""System 4: seven viewsets behind one place with content tags; docs/systems.md has the table of its rows."""
import json
import re
import shutil

import pytest

from harness.lab import EXAMPLE, home

NAMES = ["organisms", "sites", "samples", "runs", "reads", "labels", "notes"]
SAFE = ["max-age=60", "must-revalidate"]
UNSAFE = ["must-revalidate", "no-cache", "no-store"]
JSON = [("Content-Type", "application/json")]
GZIP = [("Accept-Encoding", "gzip")]


@pytest.fixture(scope="module")
def site(shared_lab):
    """The module before gunicorn: the one <Location> of examples/django/conf/upstream.conf."""
    return shared_lab()


@pytest.fixture(scope="module")
def own(shared_lab):
    """The application's own middleware and mixin; httpd's module is off."""
    return shared_lab(settings="lab.settings_own", etv=False)


@pytest.fixture(scope="module")
def wsgi(shared_lab):
    """The application inside httpd."""
    return shared_lab(server="wsgi")


@pytest.fixture(scope="module")
def htaccess(site, shared_httpd):
    """A site whose only configuration for /up/ is one .htaccess file; the same gunicorn behind it."""
    server = shared_httpd(f'Define BACKEND "{site.gunicorn.backend}"\n'
                          '<Directory "@ROOT@/htdocs">\n  AllowOverride FileInfo\n</Directory>\n', "proxy rewrite", start=False)
    (server.root / "htdocs" / "up").mkdir()
    shutil.copy(home() / "conf" / "upstream.htaccess", server.root / "htdocs" / "up" / ".htaccess")
    return server.start()


PLACES = ([("site", name) for name in NAMES] + [("htaccess", name) for name in NAMES] + [("own", "notes"), ("wsgi", "notes")])


@pytest.fixture(params=PLACES, ids=lambda p: "-".join(p))
def place(request):
    """A server and the URL of one viewset's list: through <Location>, .htaccess, mod_wsgi, and the application's own code."""
    kind, name = request.param
    return request.getfixturevalue(kind), f"/up/{name}/"


def write(server, method, path, **fields):
    return server.request(method, path, JSON, json.dumps(fields).encode())


def create(server, path, name):
    answer = write(server, "POST", path, name=name)
    assert answer.status == 201, answer
    return f"{path}{json.loads(answer.text)['id']}/", answer


# --- its five tests -------------------------------------------------------------------------------

def test_get_has_an_etag_and_max_age_60(place):
    server, path = place
    for target in (path, path + "1/"):
        answer = server.get(target)
        assert answer.status == 200 and answer.body
        assert re.fullmatch(r'"[\w-]{20,}"', answer.etag), answer
        assert answer.members("Cache-Control") == SAFE


def test_matching_if_none_match_gives_304_with_an_empty_body(place):
    server, path = place
    first = server.get(path)
    second = server.get(path, tag=first.etag)
    assert second.status == 304 and second.body == b"" and second.etag == first.etag
    assert second.members("Cache-Control") == SAFE
    assert second.one("Content-Length") is None and second.one("Content-Type") is None


def test_a_stale_tag_gives_200_the_full_body_and_a_new_etag(place):
    server, path = place
    target, _ = create(server, path, "before")
    old = server.get(target)
    assert write(server, "PATCH", target, name="after").status == 200
    new = server.get(target, tag=old.etag)
    assert new.status == 200 and json.loads(new.text)["name"] == "after"
    assert new.etag and new.etag != old.etag
    assert server.get(target, tag=new.etag).status == 304


def test_delete_has_no_cache_no_store(place):
    server, path = place
    target, made = create(server, path, "to be deleted")
    assert made.members("Cache-Control") == UNSAFE, "POST"
    for method in ("PUT", "PATCH"):
        assert write(server, method, target, name="still here").members("Cache-Control") == UNSAFE, method
    assert server.request("OPTIONS", target).members("Cache-Control") == UNSAFE
    gone = server.request("DELETE", target)
    assert gone.status == 204 and gone.members("Cache-Control") == UNSAFE and not gone.etag
    again = server.request("DELETE", target)
    assert again.status == 404 and again.members("Cache-Control") == UNSAFE


def test_the_tag_changes_when_the_content_changes(place):
    server, path = place
    tags = [server.get(path).etag]
    target, _ = create(server, path, "one more")
    tags.append(server.get(path).etag)
    assert write(server, "PATCH", target, name="another name").status == 200
    tags.append(server.get(path).etag)
    assert server.request("DELETE", target).status == 204
    assert len(set(tags)) == 3, tags
    assert server.get(path).etag == tags[0], "the bytes are those of the beginning, and so is their tag"


# --- what else its table says ---------------------------------------------------------------------

def test_the_tag_is_a_hash_of_the_body(site):
    """The same bytes have the same tag, wherever they are; and Django ran for each of the answers."""
    one, _ = create(site, "/up/notes/", "note")
    before = site.calls_of(one)
    tags = {site.get(one, [("X-Anything", str(n))]).etag for n in range(3)}
    assert len(tags) == 1 and tags.pop().startswith('"c')
    assert site.calls_of(one) == before + 3
    lists = [site.get(f"/up/labels/?nothing={n}") for n in (1, 2)]
    assert lists[0].etag == lists[1].etag and lists[0].body == lists[1].body


def test_one_location_serves_all_seven(site):
    text = (EXAMPLE / "conf" / "upstream.conf").read_text()
    assert len(re.findall("^<", text, re.M)) == 2 and '<Location "/up/">' in text
    tags = {name: site.get(f"/up/{name}/").etag for name in NAMES}
    assert len(set(tags.values())) == 7 and all(tags.values()), tags


def test_one_htaccess_serves_all_seven(htaccess):
    assert "ETagVersion" not in htaccess.conf, "only .htaccess speaks of it"
    answers = [htaccess.get(f"/up/{name}/") for name in NAMES]
    assert all(a.status == 200 and a.etag.startswith('"c') and a.members("Cache-Control") == SAFE for a in answers)
    assert [htaccess.get(f"/up/{name}/", tag=a.etag).status for name, a in zip(NAMES, answers)] == [304] * 7


def test_errors_are_not_kept_for_a_minute(site):
    answer = site.get("/up/notes/999999/")
    assert answer.status == 404 and not answer.etag and "max-age=60" not in answer.members("Cache-Control")


# --- where the application's own code falls short -------------------------------------------------

def test_own_code_head_is_not_cacheable(own):
    """The own mixin takes HEAD for a method that writes, and the middleware gives it no tag."""
    head = own.request("HEAD", "/up/notes/")
    assert head.members("Cache-Control") == UNSAFE and not head.etag


def test_head_is_like_get(site):
    get, head = site.get("/up/notes/"), site.request("HEAD", "/up/notes/")
    assert head.etag == get.etag and head.members("Cache-Control") == SAFE
    assert head.one("Content-Length") == get.one("Content-Length")
    assert site.request("HEAD", "/up/notes/", [("If-None-Match", get.etag)]).status == 304


def test_own_code_with_compression_never_gives_304(own):
    """mod_deflate makes another tag of the application's, which the application does not know when it comes back."""
    first = own.get("/up/notes/", GZIP)
    assert first.one("Content-Encoding") == "gzip" and first.etag.endswith('-gzip"')
    second = own.get("/up/notes/", GZIP, tag=first.etag)
    assert second.status == 200 and second.body


def test_compression_keeps_304(site):
    first = site.get("/up/notes/", GZIP)
    assert first.one("Content-Encoding") == "gzip" and first.etag.endswith('-gzip"')
    second = site.get("/up/notes/", GZIP, tag=first.etag)
    assert second.status == 304 and second.body == b"" and second.members("Cache-Control") == SAFE
