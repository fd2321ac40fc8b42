# SPDX-License-Identifier: Apache-2.0
"""System 1, FPbase's model versions: Django writes versions into Redis, httpd answers. docs/systems.md names each test."""
import hashlib
import json
import pickle
import threading
import urllib.parse

import pytest

from harness.client import Response
from harness.tags import check_pair, is_version
from harness.wait import until

SPECTRA, PROTEINS, STATES = "/api/spectra/", "/api/proteins/", "/api/states/"
EGFP, VENUS = "/api/proteins/egfp/", "/api/proteins/venus/"
JSON = ("Content-Type", "application/json")


@pytest.fixture(scope="module")
def lab(shared_lab):
    return shared_lab()


@pytest.fixture(scope="module")
def own(shared_lab):
    """The application answers conditional requests itself, as the original did; httpd only passes on."""
    return shared_lab(settings="lab.settings_own", etv=False)


def wire_size(answer: Response):
    return len(answer.body) + sum(len(k) + len(v) + 4 for k, v in answer.headers) + len("HTTP/1.1 304 Not Modified\r\n\r\n")


def graphql(operation, document, **variables):
    """The URL of a query."""
    query = {"operationName": operation, "query": document}
    if variables:
        query["variables"] = json.dumps(variables)
    return "/graphql/?" + urllib.parse.urlencode(query)


SPECTRA_LIST = "query SpectraList { spectra { id name category owner { name } } }"


# --- versions in Redis ----------------------------------------------------------------------------

def test_a_version_is_what_django_redis_writes_under_its_own_key(lab):
    lab.scenario("save_protein", slug="egfp", name="written")
    written = lab.redis("GET", ":1:model_version:proteins.Protein")
    assert written.startswith(b"\x80\x04") and written.endswith(b"\x94."), written  # a pickled text
    assert isinstance(pickle.loads(written), str)
    assert lab.redis("TTL", ":1:model_version:proteins.Protein") == -1
    first = lab.tagged(PROTEINS)
    assert lab.httpd.logged(first)[2] == "proteins.Protein proteins.State"
    assert pickle.loads(written).encode() not in repr(first).encode()


@pytest.mark.django4
def test_a_version_is_what_djangos_own_redis_cache_writes(shared_lab):
    lab = shared_lab(settings="lab.settings_native")
    old = lab.tagged(PROTEINS)
    lab.scenario("save_protein", slug="egfp", name="written natively")
    written = lab.redis("GET", ":1:model_version:proteins.Protein")
    assert written.startswith(b"\x80\x05"), written
    new = lab.get(PROTEINS, tag=old.etag)
    assert new.status == 200 and "written natively" in new.text and new.etag != old.etag
    before = lab.calls()
    check_pair(new, lab.get(PROTEINS, tag=new.etag))
    assert lab.calls() == before


@pytest.mark.parametrize("prefix", [":1:model_version:", "model_version:", "shop:7:model_version:"])
def test_any_key_prefix(lab, new_httpd, prefix):
    keeper = f'ETagVersionStore {lab.redis.unix_url}\nETagVersionFreshness strict\n'
    keeper += "" if prefix == "model_version:" else f"ETagVersionKeyPrefix {prefix}\n"
    server = new_httpd(keeper + "<Location />\nETagVersion Version\nETagVersionIdentity none\nETagVersionMissing Skip\n"
                                "ETagVersionModels prefixed.Model\nETagVersionUpstreamETag Replace\n</Location>")
    server.write("htdocs/x.txt", "x\n")
    assert server.why(server.get("/x.txt")) == "missing"
    lab.redis("SET", f"{prefix}prefixed.Model", "2026-01-01T00:00:00")
    tag = server.get("/x.txt").etag
    assert is_version(tag) and server.get("/x.txt", tag=tag).status == 304
    lab.redis("SET", f"{prefix}prefixed.Model", "2026-01-01T00:00:01")
    assert server.get("/x.txt", tag=tag).status == 200
    lab.redis("DEL", f"{prefix}prefixed.Model")


@pytest.mark.parametrize("one, other", [
    (b"8", b"-3"), (b"2026-11-20T10:00:00+00:00", b"2026-11-20T10:00:01+00:00"), (b'"2026-11-20"', b'"2026-11-21"'),
    (pickle.dumps("2026-11-20", 4), pickle.dumps("2026-11-20", 5)), (b"\x00\xff\r\n", b"\x00\xff\r\n\x00"), (b"x" * 512, b"y" * 512)],
    ids=["integer", "timestamp", "json", "pickle", "bytes", "512-bytes"])
def test_versions_are_opaque_bytes(lab, one, other):
    key = lab.key("proteins.Protein:venus")
    lab.redis("SET", key, one)
    first = lab.get(VENUS)
    assert is_version(first.etag) and lab.get(VENUS, tag=first.etag).status == 304
    lab.redis("SET", key, other)
    second = lab.get(VENUS, tag=first.etag)
    assert second.status == 200 and is_version(second.etag) and second.etag != first.etag
    lab.redis("SET", key, one)
    assert lab.get(VENUS, tag=first.etag).status == 304, "only equality counts"
    lab.scenario("bump", models=["proteins.Protein:venus"])


def test_an_absent_version_is_made_by_the_application_at_the_first_read(lab):
    lab.redis("DEL", lab.key("proteins.Reference"))
    first = lab.get("/api/references/")
    assert first.status == 200 and first.etag is None and lab.why(first) == "missing"
    assert lab.redis("GET", lab.key("proteins.Reference")).startswith(b"\x80\x04"), "httpd must not write an integer there"
    assert is_version(lab.get("/api/references/").etag)


# --- lists and details ----------------------------------------------------------------------------

def test_a_list_depends_on_the_combined_version_of_several_models(lab):
    tag = lab.tagged(PROTEINS).etag
    for model, status in (("proteins.Reference", 304), ("proteins.State", 200), ("proteins.Protein", 200)):
        lab.scenario("bump", models=[model])
        answer = lab.get(PROTEINS, tag=tag)
        assert answer.status == status, model
        tag = answer.etag


def test_a_drf_list_with_two_models_needs_no_code_of_its_own(lab):
    first = lab.tagged(PROTEINS)
    lab.scenario("save_state", slug="egfp", qy=0.61)
    assert lab.get(PROTEINS, tag=first.etag).status == 200


def test_version_tags_are_weak_and_lists_are_parsed(lab):
    tag = lab.tagged(PROTEINS).etag
    assert tag.startswith('W/"')
    strong = tag[2:]
    for condition in (tag, strong, f'"a", {tag}', f'W/"x,y" ,, {tag}, "z"', f'"\\", {tag}'):
        assert lab.get(PROTEINS, tag=condition).status == 304, condition
    for condition in (tag.replace('W/', 'w/'), tag[:-1], strong.strip('"'), f"'{strong}'", '"d41d8c"'):
        assert lab.get(PROTEINS, tag=condition).status == 200, condition


def test_the_spectra_list_of_140_kb_becomes_less_than_1_kb_without_serializing(lab):
    first = lab.tagged(SPECTRA)
    assert 130_000 < len(first.body) < 150_000
    before = lab.calls()
    for _ in range(20):
        again = lab.get(SPECTRA, tag=first.etag)
        check_pair(first, again)
        assert wire_size(again) < 1000
    assert lab.calls() == before and lab.why(again) == "early-304"


@pytest.mark.parametrize("path", [EGFP, "/api/spectra/7/", "/proteins/egfp/", "/references/", "/proteins/egfp/image.png",
                                  "/proteins/egfp/lineage.json"])
def test_any_response_of_the_backend(lab, path):
    """Details, pages, generated images, JSON of a family tree."""
    first = lab.tagged(path)
    before = lab.calls()
    check_pair(first, lab.get(path, tag=first.etag))
    assert lab.calls() == before


def test_an_object_has_a_version_of_its_own_by_a_named_capture(lab):
    egfp, venus = lab.tagged(EGFP), lab.tagged(VENUS)
    image = lab.tagged("/proteins/egfp/image.png")
    lab.scenario("save_protein", slug="egfp", name="EGFP, the brighter")
    fresh = lab.get(EGFP, tag=egfp.etag)
    assert fresh.status == 200 and "the brighter" in fresh.text
    assert lab.get(VENUS, tag=venus.etag).status == 304
    assert lab.get("/proteins/egfp/image.png", tag=image.etag).status == 200
    assert lab.httpd.logged(fresh)[2] == "proteins.Protein:egfp"


# --- changes --------------------------------------------------------------------------------------

CHANGES = {
    "save": (SPECTRA, "save_spectrum", {"id": 3, "name": "saved"}, "saved"),
    "create": (PROTEINS, "create_protein", {"slug": "made", "name": "Made just now"}, "Made just now"),
    "m2m": ("/api/optical-configs/", "set_m2m", {"config": 1, "spectra": [1, 2, 3]}, None),
    "m2m-clear": ("/api/optical-configs/", "clear_m2m", {"config": 2}, None),
    "m2m-reverse": ("/api/references/", "set_references", {"slug": "venus", "references": [1, 2]}, None),
    "bulk-update": (PROTEINS, "bulk_update", {"names": {"venus": "Venus in bulk"}}, "Venus in bulk"),
    "queryset-update": (VENUS, "queryset_update", {"year": 2002, "blurb": "by SQL"}, None),
    "delete": (SPECTRA, "delete_spectrum", {"id": 5}, None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_gives_the_next_request_a_new_tag(lab, name):
    path, scenario, args, text = CHANGES[name]
    first = lab.tagged(path)
    done = lab.scenario(scenario, **args)
    assert done.get("updated", 1) > 0 and done.get("deleted", 1) > 0, done
    fresh = lab.get(path, tag=first.etag)
    assert fresh.status == 200 and is_version(fresh.etag) and fresh.etag != first.etag
    assert text is None or text in fresh.text
    assert fresh.body != first.body or name == "queryset-update"
    before = lab.calls()
    check_pair(fresh, lab.get(path, tag=fresh.etag))
    assert lab.calls() == before


def test_a_rolled_back_change_keeps_the_tag(lab):
    first = lab.tagged(EGFP)
    lab.scenario("rolled_back", slug="egfp", name="never")
    assert lab.get(EGFP, tag=first.etag).status == 304


# --- GraphQL --------------------------------------------------------------------------------------

def test_graphql_operations_that_are_named_get_304(lab):
    target = graphql("SpectraList", SPECTRA_LIST)
    first = lab.tagged(target)
    before = lab.calls()
    check_pair(first, lab.get(target, tag=first.etag))
    assert lab.calls() == before
    other = lab.tagged(graphql("_FPB_Configs", "query _FPB_Configs { opticalConfigs { id name } }"))
    assert other.etag != first.etag
    assert lab.httpd.logged(other)[2].split()[0] == "proteins.OpticalConfig"


@pytest.mark.parametrize("operation, document", [
    ("Me", "query Me { me { username } }"), ("Unlisted", "query Unlisted { proteins { name } }"),
    ("SpectraListed", "query SpectraListed { spectra { id } }")])
def test_graphql_operations_that_are_not_named_get_no_tag(lab, operation, document):
    answer = lab.get(graphql(operation, document))
    assert answer.status == 200 and answer.etag is None and lab.why(answer) == "operation"


def test_graphql_variables_are_part_of_the_tag(lab):
    document = "query Spectrum($id: Int!) { spectrum(id: $id) { id name } }"
    one, two = (lab.tagged(graphql("Spectrum", document, id=n)) for n in (1, 2))
    assert one.etag != two.etag
    assert lab.get(graphql("Spectrum", document, id=2), tag=one.etag).status == 200


@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_graphql_by_post_and_query(lab, method):
    body = b'{"operationName": "SpectraList", "query": "%s", "variables": {}}' % SPECTRA_LIST.encode()
    first = lab.request(method, "/graphql/", [JSON], body)
    assert first.status == 200 and is_version(first.etag), first
    before = lab.calls()
    again = lab.request(method, "/graphql/", [JSON, ("If-None-Match", first.etag)], body)
    check_pair(first, again)
    assert lab.calls() == before
    assert lab.request(method, "/graphql/", [JSON, ("If-None-Match", first.etag)], body + b" ").status == 200


def test_a_graphql_mutation_gives_lists_a_new_tag(lab):
    target = graphql("SpectraList", SPECTRA_LIST)
    first, rest = lab.tagged(target), lab.tagged(SPECTRA)
    body = b'{"query": "mutation SaveSpectrum { saveSpectrum(id: 9, name: \\"mutated\\") { id } }"}'
    assert lab.request("POST", "/graphql/", [JSON], body).status == 200
    fresh = lab.get(target, tag=first.etag)
    assert fresh.status == 200 and "mutated" in fresh.text and fresh.etag != first.etag
    assert "mutated" in lab.get(SPECTRA, tag=rest.etag).text


def test_a_persisted_query_that_is_not_known_yet_gets_no_tag(lab):
    document = "query _FPB_Persisted { opticalConfigs { id name } }"
    extensions = json.dumps({"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}})
    by_hash = "/graphql/?" + urllib.parse.urlencode({"operationName": "_FPB_Persisted", "extensions": extensions})
    unknown = lab.get(by_hash)
    assert unknown.status == 200 and "PersistedQueryNotFound" in unknown.text
    assert unknown.etag is None and lab.why(unknown) == "graphql-errors"
    lab.get(by_hash + "&" + urllib.parse.urlencode({"query": document}))
    known = lab.tagged(by_hash)
    assert "data" in known.text
    check_pair(known, lab.get(by_hash, tag=known.etag))


# --- policy and users -----------------------------------------------------------------------------

def test_cache_control_and_vary_are_on_the_200_and_on_the_304(shared_lab):
    lab = shared_lab(life="max-age=600")
    coded = [("Accept-Encoding", "gzip")]
    first = lab.tagged(SPECTRA, coded)
    again = lab.get(SPECTRA, coded, tag=first.etag)
    for answer in (first, again):
        assert answer.members("Cache-Control") == ["max-age=600", "public"]
        assert "accept-encoding" in answer.members("Vary")
    check_pair(first, again)
    assert first.one("Content-Encoding") == "gzip" and first.etag.endswith('-gzip"')


def test_pages_of_users_are_private_and_vary_on_cookie(lab):
    alice, bob = ([("Cookie", lab.login(user))] for user in ("alice", "bob"))
    pages = {who: lab.tagged("/", cookie) for who, cookie in (("alice", alice), ("bob", bob), ("", []))}
    assert len({page.etag for page in pages.values()}) == 3
    for page in pages.values():
        assert "private" in page.members("Cache-Control") and "cookie" in page.members("Vary")
    assert "Welcome back, alice" in pages["alice"].text and "Welcome back, bob" in pages["bob"].text
    before = lab.calls()
    check_pair(pages["alice"], lab.get("/", alice, tag=pages["alice"].etag))
    assert lab.calls() == before
    for cookie in (bob, []):
        assert lab.get("/", cookie, tag=pages["alice"].etag).status == 200


# --- faults of the original, and their absence ----------------------------------------------------

def test_fault_a_304_of_the_application_has_the_etag_alone(own, lab):
    first = own.get(SPECTRA)
    again = own.get(SPECTRA, tag=first.etag)
    assert again.status == 304 and first.one("Cache-Control") and not again.all("Cache-Control") and not again.all("Vary")
    first = lab.tagged(SPECTRA)
    again = lab.get(SPECTRA, tag=first.etag)
    assert again.one("Cache-Control") == first.one("Cache-Control") is not None
    assert again.members("Vary") == first.members("Vary")


def test_fault_the_applications_versions_expire_with_max_age(own, lab):
    first = own.get(PROTEINS)
    assert 0 < own.redis("TTL", own.key("proteins.Protein")) <= 300
    own.redis("PEXPIRE", own.key("proteins.Protein"), 1)
    until(lambda: own.redis("EXISTS", own.key("proteins.Protein")) == 0, "the version to expire")
    again = own.get(PROTEINS, tag=first.etag)
    assert again.status == 200 and again.body == first.body, "the same data is sent again"
    lab.tagged(PROTEINS)
    for key in lab.redis("KEYS", ":1:model_version:proteins.*"):
        assert b"%" in key or lab.redis("TTL", key) == -1, key


def test_fault_an_outage_of_redis_is_an_error_in_the_application(new_lab):
    own, lab = new_lab(settings="lab.settings_own", etv=False), new_lab()
    first, tag = own.get(PROTEINS), lab.tagged(PROTEINS).etag
    own.redis.kill()
    assert own.get(PROTEINS, tag=first.etag).status == 500
    lab.log.expect(r"ETV01\d\d", optional=True)
    lab.redis.kill()
    answer = lab.get(PROTEINS, tag=tag)
    assert answer.status == 200 and answer.etag is None and lab.why(answer) == "store-down"
    lab.redis.start()


def in_background(lab, name, /, **args):
    """Start a scenario that waits inside its transaction; returns what ends it."""
    thread = threading.Thread(target=lab.scenario, args=(name,), kwargs=args)
    thread.start()
    until((lab.data / "saved").exists, "save() inside the transaction")

    def commit():
        lab.go()
        thread.join(60)
        assert not thread.is_alive()
    return commit


def read_during_a_transaction(lab, path=EGFP):
    """What a reader gets between save() and commit, and with that tag afterwards."""
    old = lab.tagged(path)
    commit = in_background(lab, "slow_transaction", slug="egfp", name="committed late")
    during = lab.get(path, tag=old.etag)
    why = None if during.status == 304 else lab.why(during) if lab.etv else ""
    commit()
    return old, during, why, lab.get(path, tag=during.etag)


def test_fault_signals_before_the_commit_keep_old_data_for_good(new_lab):
    """The application's own tags: a reader in between holds old data under the new version."""
    lab = new_lab(settings="lab.settings_own", etv=False, threads=4)
    old, during, _, after = read_during_a_transaction(lab, PROTEINS)
    assert during.status == 200 and during.body == old.body and during.etag != old.etag
    assert after.status == 304, "stale, and it stays"
    assert "committed late" in lab.get(PROTEINS).text


def test_bumps_on_commit_leave_no_reader_with_old_data(new_lab):
    lab = new_lab(threads=4)
    _, during, _, after = read_during_a_transaction(lab)
    assert during.status == 304
    assert after.status == 200 and "committed late" in after.text


def test_bumps_before_the_commit_need_settle(new_lab):
    """The same application behind the module: without ETagVersionSettle stale, with it not."""
    without = new_lab(settings="lab.settings_early", threads=4)
    old, during, _, after = read_during_a_transaction(without)
    assert during.status == 200 and during.body == old.body and after.status == 304, "this is what Settle is for"
    lab = new_lab(settings="lab.settings_early", threads=4, conf='<Location "/api/">\nETagVersionSettle 3s\n</Location>')
    until(lambda: lab.get(EGFP).etag, "the first version to settle")
    _, during, why, after = read_during_a_transaction(lab)
    assert during.status == 200 and during.etag is None and why == "settling"
    assert after.status == 200 and "committed late" in after.text
    settled = until(lambda: [a for a in [lab.get(EGFP)] if a.etag], "the new version to settle")[0]
    assert "committed late" in settled.text and lab.get(EGFP, tag=settled.etag).status == 304


def test_fault_the_applications_tag_is_shared_by_all_urls(own, lab):
    assert own.get(PROTEINS).etag == own.get(PROTEINS + "?other=1").etag
    assert own.get(PROTEINS + "?other=1", tag=own.get(PROTEINS).etag).status == 304
    first = lab.tagged(PROTEINS)
    other = lab.tagged(PROTEINS + "?other=1")
    assert other.etag != first.etag and lab.get(PROTEINS + "?other=1", tag=first.etag).status == 200


def test_fault_an_integer_version_breaks_the_application(own, lab):
    """Which is why ETagVersionMissing Skip is in the example's configuration."""
    for site in (own, lab):
        site.redis("SET", site.key("proteins.State"), "8")
    assert own.get(PROTEINS).status == 500
    assert is_version(lab.get(PROTEINS).etag)
    for site in (own, lab):
        site.scenario("bump", models=["proteins.State"])
