# SPDX-License-Identifier: Apache-2.0
"""A server with places of GraphQL, and fixtures for it: what is configured where, and the scripted backend."""
import pytest

from .graphql import Answer, GraphQLServer, Site

LIST = "query SpectraList { spectra { id } }"
ONE = "query Spectrum($id: ID!) { spectrum(id: $id) { id } }"
OTHER = "query Other { x }"
BOTH = LIST + "\n" + OTHER
MUTATION = "mutation SaveSpectrum { save { id } }"
GZIP = [("Accept-Encoding", "gzip")]
PATTERNS = """
  ETagVersionModels site
  ETagVersionGraphQL SpectraList spectra
  ETagVersionGraphQL Spectra* list
  ETagVersionGraphQL Spectr?m spectrum site owner
  ETagVersionGraphQL _FPB_* fpb
  ETagVersionGraphQL SaveSpectrum spectrum
  ETagVersionGraphQL Me none
"""
PLACES = {
    "get": "",
    "on": "ETagVersion On",
    "content": "ETagVersion Content",
    "headers": "ETagVersion Headers",
    "post": "ETagVersionGraphQLPost On",
    "poston": "ETagVersion On\nETagVersionGraphQLPost On",
    "all": "ETagVersionGraphQL * everything",
    "strong": "ETagVersionStrength Strong\nETagVersionGraphQLPost On",
    "policy": 'ETagVersionGraphQLPost On\nETagVersionCacheControl "max-age=7"\n'
              'ETagVersionCacheControlUnsafe "no-store"',
    "nopolicy": 'ETagVersionCacheControl "max-age=7"\nETagVersionCacheControlUnsafe "no-store"',
    "restricted": 'ETagVersionCacheControl set "private, max-age=7, must-revalidate"',
    "require": "ETagVersionPreconditions Require\nETagVersionGraphQLPost On",
    "checked": "ETagVersionPreconditions Require",
    "session": "ETagVersionIdentity cookie:sid\nETagVersionGraphQLPost On",
    "language": "ETagVersionVary Accept-Language\nETagVersionGraphQLPost On",
    "asget": "ETagVersion On\nETagVersionHead AsGet",
    "deflate": "SetOutputFilter DEFLATE\nETagVersionGraphQLPost On",
    "bytype": "AddOutputFilterByType DEFLATE application/json\nETagVersionGraphQLPost On",
    "many": "ETagVersionGraphQLPost On\n" + "\n".join(
        f"ETagVersionGraphQL Many{i} " + " ".join(f"m{i}.{j}" for j in range(16)) for i in range(4)),
    "nomodels": "ETagVersionModels none\nETagVersionGraphQLPost On",
}


@pytest.fixture(scope="module", name="backend")
def _backend():
    server = GraphQLServer()
    yield server
    server.close()


def conf(url_of_backend, places):
    lines = [f"ProxyPass /g/ {url_of_backend}/g/", "ETagVersionBufferLimit 1M",
             f"<Location /g/>\n  ETagVersion Version{PATTERNS}</Location>"]
    return "\n".join(lines + [f"<Location /g/{name}>\n{more}\n</Location>" for name, more in places.items()]) + "\n"


@pytest.fixture(scope="module", name="site")
def _site(shared_httpd, backend):
    return Site(shared_httpd(conf(backend.url, PLACES), "proxy filter deflate"), backend)


@pytest.fixture(name="says")
def _says(backend):
    """says(path, body, ...): what the backend answers during the test."""
    changed = []

    def say(path, *args, **more):
        changed.append(path)
        backend.on(path, Answer(*args, **more))
        return path
    yield say
    for path in changed:
        backend.on(path, backend.default)
