# SPDX-License-Identifier: Apache-2.0
"""examples/django through httpd: each URL answers, has the tag that it should have, and revalidates without Django."""
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.parse

import pytest

from harness import places
from harness.lab import USERS
from harness.ports import free_port
from harness.tags import check_pair, is_version
from harness.wait import until

PUBLIC = ["/api/proteins/", "/api/proteins/egfp/", "/api/states/", "/api/spectra/", "/api/spectra/7/",
          "/api/optical-configs/", "/api/references/", "/proteins/egfp/image.png", "/proteins/egfp/lineage.json"]
PAGES = ["/", "/proteins/", "/proteins/egfp/", "/references/"]
FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture(scope="module", name="made")
def fixture_made(shared_lab):
    return functools.lru_cache(lambda server: shared_lab(server=server))


@pytest.fixture(scope="module", params=["gunicorn", "wsgi"])
def lab(request, made):
    return made(request.param)


@pytest.fixture(scope="module")
def site(made):
    """For what has nothing to do with the server in which Django runs."""
    return made("gunicorn")


@pytest.mark.parametrize("path", PUBLIC + PAGES)
def test_each_url_has_a_version_tag_and_revalidates_without_a_call(lab, path):
    first = lab.tagged(path)
    before = lab.calls()
    again = lab.get(path, tag=first.etag)
    check_pair(first, again)
    assert lab.calls() == before
    private = path in PAGES
    assert ("private" if private else "public") in first.members("Cache-Control")
    assert ("cookie" in first.members("Vary")) == private


def test_a_save_gives_new_tags_to_what_shows_it_and_to_nothing_else(lab):
    name = f"EGFP in {lab.server}"
    old = {path: lab.tagged(path) for path in ("/api/proteins/", "/api/proteins/egfp/", "/proteins/egfp/",
                                               "/proteins/egfp/image.png", "/")}
    others = {path: lab.tagged(path) for path in ("/api/proteins/venus/", "/api/spectra/7/", "/api/optical-configs/")}
    lab.scenario("save_protein", slug="egfp", name=name)
    for path, first in old.items():
        fresh = lab.get(path, tag=first.etag)
        assert fresh.status == 200 and is_version(fresh.etag) and fresh.etag != first.etag, fresh
        assert fresh.body != first.body or path == "/"
    for path, first in others.items():
        assert lab.get(path, tag=first.etag).status == 304, path


# --- users ----------------------------------------------------------------------------------------

def test_pages_of_users_have_tags_of_their_own(site):
    alice, bob = ([("Cookie", site.login(user))] for user in USERS)
    pages = [site.tagged("/", cookie) for cookie in (alice, bob, [])]
    assert ["alice" in p.text for p in pages] == [True, False, False]
    assert ["bob" in p.text for p in pages] == [False, True, False]
    assert len({p.etag for p in pages}) == 3
    assert site.get("/", alice, tag=pages[0].etag).status == 304
    for headers in (bob, []):
        other = site.get("/", headers, tag=pages[0].etag)
        assert other.status == 200 and "alice" not in other.text


def test_a_login_of_somebody_else_changes_no_tag(site):
    first = site.tagged("/references/")
    site.login("bob")
    assert site.get("/references/", tag=first.etag).status == 304


@pytest.mark.parametrize("path", ["/accounts/login/", "/proteins/egfp/edit/"])
def test_forms_have_no_tag(site, path):
    answer = site.get(path, [("Cookie", site.login())] if "edit" in path else [])
    assert answer.status == 200 and "csrfmiddlewaretoken" in answer.text and answer.etag is None


def test_editing_in_the_form_shows_on_the_page(site):
    cookie = [("Cookie", site.login())]
    old = site.tagged("/proteins/mcherry/", cookie)
    form = site.get("/proteins/mcherry/edit/", cookie)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text).group(1)
    fields = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "name": "Cherry", "blurb": "Edited.", "year": 2004})
    done = site.request("POST", "/proteins/mcherry/edit/", [*cookie, FORM], fields.encode())
    assert (done.status, done.one("Location")) == (302, "/proteins/mcherry/")
    fresh = site.get("/proteins/mcherry/", cookie, tag=old.etag)
    assert fresh.status == 200 and "Cherry" in fresh.text and fresh.etag != old.etag


def test_logging_out_ends_the_session_and_clears_the_browsers_cache(site):
    cookie = site.login()
    headers = [("Cookie", cookie)]
    page = site.get("/accounts/logout/", headers)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text).group(1)
    answer = site.request("POST", "/accounts/logout/", [*headers, FORM], f"csrfmiddlewaretoken={token}".encode())
    assert answer.status == 302 and answer.one("Clear-Site-Data") == '"cache"'
    assert "Not logged in" in site.get("/", headers).text


# --- changes --------------------------------------------------------------------------------------

CHANGES = [
    ("save_state", {"slug": "venus", "qy": 0.01}, ["/api/states/", "/api/proteins/", "/proteins/venus/"]),
    ("save_spectrum", {"id": 9, "name": "nine"}, ["/api/spectra/", "/api/spectra/9/"]),
    ("delete_spectrum", {"id": 30}, ["/api/spectra/", "/"]),
    ("set_m2m", {"config": 1, "spectra": [5, 6]}, ["/api/optical-configs/"]),
    ("clear_m2m", {"config": 2}, ["/api/optical-configs/"]),
    ("set_references", {"slug": "venus", "references": [3, 4]}, ["/api/references/", "/references/"]),
    ("delete_protein", {"slug": "dsred"},
     ["/api/proteins/tdtomato/", "/proteins/tdtomato/", "/proteins/tdtomato/lineage.json"]),
    ("bulk_update", {"names": {"ypet": "Y", "citrine": "C"}},
     ["/api/proteins/", "/api/proteins/ypet/", "/proteins/citrine/"]),
    ("queryset_update", {"year": 2004, "blurb": "Of 2004."}, ["/api/proteins/"]),
]


@pytest.mark.parametrize("name, args, paths", CHANGES, ids=[c[0] for c in CHANGES])
def test_each_kind_of_change_gives_new_data_under_a_new_tag(site, name, args, paths):
    old = {path: site.tagged(path) for path in paths}
    site.scenario(name, **args)
    for path, first in old.items():
        fresh = site.get(path, tag=first.etag)
        assert fresh.status == 200 and is_version(fresh.etag) and fresh.etag != first.etag, f"{path}: {fresh}"
        assert fresh.body != first.body, path


def test_a_save_while_redis_is_down_is_bumped_when_it_is_back(new_lab):
    lab = new_lab()
    lab.tagged("/api/proteins/")
    lab.redis.kill()
    lab.log.expect(r"ETV\d+", optional=True)
    assert lab.get("/api/proteins/").status == 200
    lab.scenario("save_protein", slug="egfp", name="Saved without Redis")
    lab.redis.start()
    until(lambda: lab.redis("EXISTS", lab.key("proteins.Protein:egfp")), "the bump")
    fresh = until(lambda: (lambda a: a.etag and a)(lab.get("/api/proteins/")), "a tag again")
    assert "Saved without Redis" in fresh.text


# --- GraphQL: the application alone ---------------------------------------------------------------

LIST = """query SpectraList($c: String) { spectra(category: $c) { id name owner { ...who } } }
          fragment who on Owner { name }"""


def graphql(site, method, asked, content="application/json"):
    body = asked.encode() if isinstance(asked, str) else json.dumps(asked).encode()
    answer = site.request(method, "/graphql/", [("Content-Type", content)], body)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_graphql_by_get_post_and_query(site):
    asked = {"query": LIST, "operationName": "SpectraList", "variables": {"c": "l"}}
    parameters = urllib.parse.urlencode({**asked, "variables": json.dumps(asked["variables"])})
    by_get = json.loads(site.get(f"/graphql/?{parameters}").body)
    spectra = by_get["data"]["spectra"]
    assert len(spectra) == 20 and all(set(s) == {"id", "name", "owner"} for s in spectra)
    for method in ("POST", "QUERY"):
        assert graphql(site, method, asked) == by_get
        assert graphql(site, method, parameters, "application/x-www-form-urlencoded") == by_get
    assert graphql(site, "POST", [asked, {"query": "{ me { username } }"}]) == [by_get, {"data": {"me": None}}]
    by_itself = graphql(site, "QUERY", "{ spectrum(id: 1) { id } }", "application/graphql")
    assert by_itself == {"data": {"spectrum": {"id": 1}}}


def test_graphql_answers_about_the_user_are_private(site):
    target = "/graphql/?" + urllib.parse.urlencode({"query": "{ me { username } }"})
    answer = site.get(target, [("Cookie", site.login())])
    assert json.loads(answer.body) == {"data": {"me": {"username": "alice"}}}
    assert "private" in answer.members("Cache-Control") and "cookie" in answer.members("Vary")


def test_graphql_mutations_need_post_and_bump(site):
    old = site.tagged("/api/spectra/11/")
    asked = {"query": 'mutation SaveSpectrum($id: ID!, $name: String!) { saveSpectrum(id: $id, name: $name) { name } }',
             "variables": {"id": 11, "name": "eleven"}}
    assert "errors" in graphql(site, "QUERY", asked)
    assert site.get("/api/spectra/11/", tag=old.etag).status == 304
    assert graphql(site, "POST", asked) == {"data": {"saveSpectrum": {"name": "eleven"}}}
    assert site.get("/api/spectra/11/", tag=old.etag).status == 200


def test_graphql_persisted_queries(site):
    text = "{ opticalConfig(id: 1) { name } }"
    digest = hashlib.sha256(text.encode()).hexdigest()
    by_hash = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
    assert graphql(site, "POST", by_hash)["errors"][0]["message"] == "PersistedQueryNotFound"
    full = graphql(site, "POST", {**by_hash, "query": text})
    assert full["data"]["opticalConfig"]["name"] and graphql(site, "POST", by_hash) == full


@pytest.mark.parametrize("text", [
    "{", "query A {me{username}} query A {me{username}}", "{ nothing }", "{ spectrum(id: 999999) { id } }",
    "query A {me{username}} query B {me{username}}", '{ spectrum(id: "x") { id } }', "{ ...f }",
    "{ ...f } fragment f on Query { ...f }", "{ me { username } } %"])
def test_graphql_errors_are_told_of(site, text):
    assert "errors" in graphql(site, "POST", {"query": text})


# --- variants -------------------------------------------------------------------------------------

def test_django_can_hash_bodies(new_lab):
    lab = new_lab(conditional_get=True, etv=False)
    first = lab.get("/api/proteins/")
    assert lab.get("/api/proteins/", tag=first.etag).status == 304 and lab.calls() == 2


@pytest.mark.systems
@pytest.mark.parametrize("options", [[], pytest.param(["--wsgi"], marks=pytest.mark.long)], ids=["gunicorn", "wsgi"])
def test_what_a_person_runs(options):
    """examples/django/run.py, as make demo-django does."""
    program = places.REPO / "examples" / "django" / "run.py"
    run = subprocess.run([sys.executable, str(program), "--once", "--port", str(free_port()), *options],
                         env={**os.environ, "ETV_MODULE": str(places.etv_module())}, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0 and re.search(r"with the old tag: +200, ", run.stdout), run.stdout + run.stderr
