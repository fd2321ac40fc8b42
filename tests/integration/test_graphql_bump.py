# SPDX-License-Identifier: Apache-2.0
"""ETagVersionInvalidate where GraphQL is spoken: queries change nothing, mutations whatever is named there."""
import json

import pytest

from harness.graphql import FORM, HASH, JSON, TEXT, Answer, GraphQLServer, Site, body_of, chunked, said, url
from harness.tags import is_version

LIST = "query SpectraList { spectra { id } }"
OTHER = "query Other { x }"
SAVE = "mutation SaveSpectrum { save { id } }"
RENAME = "mutation RenameProtein { rename { id } }"
UNHEARD = "mutation Unheard { x }"
LISTEN = "subscription SpectraChanges { id }"
MODELS = ("site", "spectra", "list", "protein", "log", "apart")
ALL = "site spectra list protein"
PLACES = {
    "models": "ETagVersionInvalidate models",
    "post": "ETagVersionInvalidate models\nETagVersionGraphQLPost On",
    "on": "ETagVersion On\nETagVersionInvalidate models\nETagVersionGraphQLPost On",
    "off": "ETagVersion Off\nETagVersionInvalidate models",
    "named": "ETagVersionInvalidate log",
    "both": "ETagVersionInvalidate log models",
    "nothing": "ETagVersionGraphQLPost On",
    "header": "ETagVersionInvalidateHeader X-Changes",
    "require": "ETagVersionInvalidate models\nETagVersionInvalidateRequire On\nETagVersionPreconditions Require",
}


@pytest.fixture(scope="module", name="backend")
def _backend():
    server = GraphQLServer()
    yield server
    server.close()


def conf(backend):
    lines = [f"ProxyPass /g/ {backend.url}/g/\nProxyPass /m/ {backend.url}/m/", """
<Location /g/>
  ETagVersion Version
  ETagVersionModels site
  ETagVersionGraphQL SpectraList spectra
  ETagVersionGraphQL SaveSpectrum spectra list
  ETagVersionGraphQL RenameProtein protein
  ETagVersionGraphQL SpectraChanges list
  ETagVersionGraphQL Rename* protein
</Location>"""]
    lines += [f"<Location /g/{name}>\n{more}\n</Location>" for name, more in PLACES.items()]
    lines += [f"<Location /m/{name}>\nETagVersion Version\nETagVersionModels {name}\n</Location>" for name in MODELS]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module", params=["local", pytest.param("redis", marks=pytest.mark.long)],
                name="site")
def _site(request, shared_httpd, shared_redis, backend):
    store = ""
    if request.param == "redis":
        store = (f'ETagVersionStore "{shared_redis().unix_url}"\nETagVersionFreshness strict\n'
                 "ETagVersionStoreTimeout connect=5s command=5s\n")
    site = Site(shared_httpd(store + conf(backend), "proxy"), backend)
    site.tags = {}
    return site


def changed(site):
    """Which models have been bumped since the last time."""
    found = []
    for name in MODELS:
        headers = [("If-None-Match", site.tags[name])] if name in site.tags else []
        answer = site.server.request("GET", f"/m/{name}", headers)
        if answer.status == 200:
            assert is_version(answer.etag), f"{name}: {site.server.why(answer)}"
            found.append(name)
            site.tags[name] = answer.etag
    return " ".join(found)


def post(site, path, what, media=JSON, method="POST", headers=(), status=200):
    changed(site)
    answer, asked = site.ask(method, path, what, media, headers)
    assert answer.status == status and asked, answer
    assert asked.body == (b"" if what is None else body_of(what))
    return changed(site), answer


READS = {
    "query": (said(LIST), JSON),
    "unknown-query": (said(OTHER), JSON),
    "anonymous": (said("{ x }"), JSON),
    "batch": ([said(LIST), said(OTHER)], JSON),
    "document": (LIST.encode(), TEXT),
    "form": (url("", LIST)[1:].encode(), FORM),
    "other-query": (said(LIST + OTHER, "SpectraList"), JSON),
    "subscription": (said(LISTEN), JSON),
    "subscription-in-a-batch": ([said(LISTEN), said(LIST)], JSON),
}


@pytest.mark.parametrize("place", ["models", "post", "on", "off", "named", "both", "nothing", "require"])
@pytest.mark.parametrize("name", READS)
def test_reads(site, place, name):
    """Nothing is bumped, and other clients' tags stay good."""
    tag = site.tag("GET", url("/g/models", LIST))
    what, answer = post(site, f"/g/{place}", *READS[name])
    assert what == "" and site.server.why(answer) != "bumped"
    assert site.holds(tag, "GET", url("/g/models", LIST))


CHANGES = {
    "mutation": (said(SAVE), JSON),
    "other-mutation": (said(RENAME), JSON),
    "selected": (said(SAVE + RENAME, "RenameProtein"), JSON),
    "document": (SAVE.encode(), TEXT),
    "form": (url("", SAVE)[1:].encode(), FORM),
    "two": ([said(RENAME), said(SAVE)], JSON),
    "beside-a-query": ([said(LIST), said(RENAME)], JSON),
    "no-pattern": (said(UNHEARD), JSON),
    "one-without-a-pattern": ([said(RENAME), said(UNHEARD)], JSON),
    "beside-an-unknown-query": ([said(RENAME), said(OTHER)], JSON),
    "anonymous": (said("mutation { x }"), JSON),
    "malformed": (said("mutation RenameProtein {"), JSON),
    "no-json": (b"{", JSON),
    "duplicate-keys": (b'{"query": "query SpectraList { a }", "query": "mutation X { a }"}', JSON),
    "persisted": (said(None, "SpectraList", None, HASH), JSON),
    "persisted-mutation": (said(None, "RenameProtein", None, HASH), JSON),
    "hash-beside-a-query": (said(LIST, None, None, HASH), JSON),
    "mutation-beside-a-query": (said(LIST + SAVE, "SpectraList"), JSON),
    "other-member": ({**said(LIST), "queryId": "x"}, JSON),
    "upload": (b'--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{}\r\n--b--\r\n',
               "multipart/form-data; boundary=b"),
    "long": (said(LIST, None, {"x": "y" * 200_000}), JSON),
    "other-media": (said(LIST), "text/plain"),
    "no-media": (said(LIST), None),
    "empty": (b"", JSON),
    "no-body": (None, None),
    "batch-of-33": ([said(LIST)] * 33, JSON),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("place", ["models", "on"])
def test_changes(site, place, name):
    """All of the place: the name of a mutation is the client's word."""
    what, answer = post(site, f"/g/{place}", *CHANGES[name])
    assert what == ALL and not answer.all("ETag")
    assert site.server.why(answer) == "bumped"


def test_another_host(new_httpd, new_redis, backend):
    """A host learns from the store of mutations that another one has passed on."""
    store = f'ETagVersionStore "{new_redis().unix_url}"\nETagVersionStoreTimeout connect=5s command=5s\n'
    here, there = (Site(new_httpd(store + "ETagVersionFreshness strict\n" + conf(backend), "proxy"), backend)
                   for _ in range(2))
    tag = there.tag("GET", url("/g/models", LIST))
    assert here.ask("POST", "/g/models", said(LIST))[0].status == 200
    assert there.holds(tag, "GET", url("/g/models", LIST))
    assert here.ask("POST", "/g/models", said(SAVE))[0].status == 200
    assert not there.holds(tag, "GET", url("/g/models", LIST))


def test_where_tags_are_off(site):
    assert post(site, "/g/off", said(RENAME))[0] == ALL


def test_parameters_in_the_url(site):
    """Of what a server may take from there nothing is known."""
    assert post(site, "/g/models?query=query%20SpectraList%7Ba%7D", said(RENAME))[0] == ALL
    assert post(site, "/g/models?" + url("", SAVE)[1:], said(LIST))[0] == ALL
    assert post(site, "/g/models?x=1", said(LIST))[0] == ALL
    assert post(site, "/g/models?" + url("", LIST)[1:], None, None)[0] == ALL


def test_names_that_are_configured(site):
    assert post(site, "/g/named", said(SAVE))[0] == "log"
    assert post(site, "/g/named", b"junk")[0] == "log"
    assert post(site, "/g/both", said(RENAME))[0] == ALL + " log"
    assert post(site, "/g/both", b"junk")[0] == ALL + " log"
    assert post(site, "/g/nothing", said(SAVE))[0] == ""


def test_what_the_backend_says(site, backend):
    """Its word counts for queries as well: it knows better."""
    backend.on("/g/header", Answer({"data": 1}, headers=[("X-Changes", "apart")]))
    for query in (LIST, SAVE):
        assert post(site, "/g/header", said(query))[0] == "apart"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods(site, method):
    """They are no GraphQL, whatever is in their bodies."""
    assert post(site, "/g/models", said(LIST), method=method)[0] == ALL


@pytest.mark.parametrize("method", ["QUERY", "GET"])
def test_safe_methods(site, method):
    changed(site)
    site.ask(method, "/g/models", said(SAVE))
    site.ask("GET", url("/g/models", SAVE))
    assert changed(site) == ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_refused(site, backend, status):
    backend.on("/g/models/refuses", Answer({"errors": [{}]}, status=status))
    assert post(site, "/g/models/refuses", said(SAVE), status=status)[0] == ""
    assert post(site, "/g/models/refuses", b"junk", status=status)[0] == ""


@pytest.mark.parametrize("status", [200, 201, 302, 500, 503])
def test_perhaps_changed(site, backend, status):
    """With errors some of it may be done."""
    backend.on("/g/models/works", Answer({"errors": [{}]}, status=status, headers=[("Location", "/")]))
    assert post(site, "/g/models/works", said(RENAME), status=status)[0] == ALL


def test_preconditions(site):
    """There is nothing that a mutation could name, so that nobody is asked to."""
    assert post(site, "/g/require", said(RENAME))[0] == ALL


def test_no_304_while_it_runs(site, backend):
    """From before the backend is called until it is bumped, tags that depend on it are not good."""
    path = url("/g/models", LIST)
    tag, seen = site.tag("GET", path), []

    def work(_asked):
        seen.append(site.server.get(path, tag=tag).status)
        return Answer({"data": 1})
    backend.on("/g/models/slow", work)
    site.server.request("POST", "/g/models/slow", [("Content-Type", JSON)], body_of(said(SAVE)))
    site.server.request("POST", "/g/models/slow", [("Content-Type", JSON)], body_of(said(LIST)))
    assert seen == [200, 200]  # of the second one the tag was old already
    tag = site.tag("GET", path)
    site.server.request("POST", "/g/models/slow", [("Content-Type", JSON)], body_of(said(LIST)))
    site.server.request("POST", "/g/models/slow", [("Content-Type", JSON)], body_of(said(RENAME)))
    assert seen[2:] == [304, 200]


def test_chunked_mutation(site):
    changed(site)
    body = json.dumps(said(RENAME)).encode()
    with site.server.connect() as connection:
        for query, models in ((RENAME, ALL), (LIST, "")):
            body = body_of(said(query))
            connection.send(b"POST /g/models HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 1, 5))
            assert connection.read_response("POST").status == 200
            assert site.backend.last("/g/models").body == body and changed(site) == models


def test_many_models(new_httpd, backend):
    """A mutation bumps the models of all patterns, more than one change can name."""
    names = [f"m{i}" for i in range(120)]
    patterns = "\n".join(f"ETagVersionGraphQL P{i} {' '.join(names[i * 30:i * 30 + 30])}" for i in range(4))
    pages = "".join(f"<Location /m/{n}>\nETagVersion Version\nETagVersionModels {n}\n</Location>\n" for n in names)
    server = new_httpd(f"ProxyPass / {backend.url}/\n<Location /g/>\n{patterns}\nETagVersionInvalidate models\n"
                       f"</Location>\n{pages}", "proxy", bump=False)
    with server.connect() as connection:
        def tags():
            return [connection.request("GET", f"/m/{name}").etag for name in names]
        before = tags()
        kind = [("Content-Type", JSON)]
        assert connection.request("POST", "/g/x", kind, body_of(said("mutation P2 { x }"))).status == 200
        assert all(a != b for a, b in zip(before, tags()))
