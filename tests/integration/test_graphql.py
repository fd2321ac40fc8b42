# SPDX-License-Identifier: Apache-2.0
"""ETagVersionGraphQL: which requests have tags, what these are made of, and when they are good."""
import json

import pytest

from harness.fastcgi import PhpFpm
from harness.graphql import FORM, HASH, JSON, TEXT, Answer, GraphQLServer, Site, body_of, said, url
from harness.tags import OWN, check_pair, coding, digest, is_version, letter

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


# --- which operation ---

KNOWN = {
    "named": ((LIST, "SpectraList"), "site spectra list"),
    "alone": ((LIST,), "site spectra list"),
    "selected": ((BOTH, "SpectraList"), "site spectra list"),
    "question-mark": ((ONE, None, {"id": "1"}), "site spectrum owner"),
    "star": (("query _FPB_anything { x }",), "site fpb"),
    "star-for-nothing": (("query _FPB_ { x }",), "site fpb"),
    "comments": (("# SaveSpectrum\n,,query SpectraList # x\n{ spectra { id } }\nfragment F on T { a }",),
                 "site spectra list"),
    "braces-in-strings": (('query SpectraList { a(b: "} mutation X {") { id } }',), "site spectra list"),
    "persisted": ((None, "SpectraList", None, HASH), "site spectra list"),
    "registered": ((LIST, "SpectraList", None, HASH), "site spectra list"),
    "name-is-empty": ((LIST, ""), "site spectra list"),
}
UNKNOWN = {
    "no-pattern": (OTHER,),
    "selects-the-other": (BOTH, "Other"),
    "selects-nobody": (LIST, "SpectraLists"),
    "two-and-no-name": (BOTH,),
    "anonymous": ("{ spectra { id } }",),
    "case": ("query spectralist { x }",),
    "longer": ("query SpectrumX { x }",),
    "mutation": (MUTATION,),
    "subscription": ("subscription SpectraList { x }",),
    "pattern-without-models": ("query Me { me }",),
    "hash-alone": (None, None, None, HASH),
    "name-alone": (None, "SpectraList"),
    "malformed": ("query SpectraList { spectra ",),
    "empty": ("",),
    "nothing": (),
    "twice": (LIST + LIST, "SpectraList"),
    "name-with-blank": (LIST, " SpectraList"),
    "long-name": (f"query {'_FPB_' + 'x' * 300} {{ x }}",),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("method", ["GET", "QUERY", "POST"])
def test_operations_with_a_tag(site, method, name):
    args, models = KNOWN[name]
    if method == "GET":
        how = (method, url("/g/get", *args))
    else:
        how = (method, "/g/post", said(*args))
    if method == "POST" and name in ("persisted", "registered"):  # behind a hash may as well be a mutation
        site.has_none("unsafe", *how)
        return
    answer, asked = site.ask(*how)
    assert asked and is_version(answer.etag), f"{site.server.why(answer)}: {answer}"
    assert site.server.logged(answer)[1:] == ("fresh", models)
    again, asked = site.ask(*how, tag=answer.etag)
    assert asked is None and site.server.why(again) == "early-304"
    check_pair(answer, again)


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "QUERY", "POST"])
def test_operations_without_a_tag(site, method, name):
    if method == "GET":
        site.has_none("operation", method, url("/g/get", *UNKNOWN[name]))
        answer, _ = site.has_none("fresh", method, url("/g/on", *UNKNOWN[name]))
        assert OWN.match(answer.etag).group(1) == "c", "there is a content tag at least"
        again = site.server.get(url("/g/on", *UNKNOWN[name]), tag=answer.etag)
        assert again.status == 200, "the backend says another number each time"
        return
    reason = "unsafe"
    for place in ("/g/post", "/g/poston"):
        answer, asked = site.ask(method, place, said(*UNKNOWN[name]), tag='W/"v' + "A" * 22 + '"')
        assert answer.status == 200 and not answer.all("ETag"), answer
        assert asked.get("If-None-Match") == 'W/"v' + "A" * 22 + '"'
        assert site.server.why(answer) in (reason, "operation")


@pytest.mark.parametrize("other", ["content", "headers"])
@pytest.mark.parametrize("method", ["GET", "QUERY", "POST"])
def test_modes_without_versions(site, method, other):
    """Patterns mean nothing there, and bodies pass."""
    how = (method, url(f"/g/{other}", LIST)) if method == "GET" else (method, f"/g/{other}", said(LIST))
    answer, asked = site.ask(*how)
    assert answer.status == 200 and not is_version(answer.etag)
    assert method == "GET" or json.loads(asked.body) == said(LIST)


def test_any_operation(site):
    for query in ("{ spectra { id } }", OTHER, LIST):
        assert site.holds(site.tag("GET", url("/g/all", query)), "GET", url("/g/all", query))
    site.has_none("operation", "GET", url("/g/all", MUTATION))


@pytest.mark.parametrize("method", ["GET", "QUERY", "POST"])
def test_models(site, method):
    """Each of them is one more reason for another tag, and no other model is."""
    def how(query):
        return ("GET", url("/g/get", query)) if method == "GET" else (method, "/g/post", said(query))

    for query, mine in ((LIST, ("site", "spectra", "list")), (ONE, ("spectrum", "owner", "site")),
                        ("query _FPB_a { x }", ("fpb",))):
        tag = site.tag(*how(query))
        for model in {"spectra", "list", "spectrum", "owner", "fpb", "unheard"} - set(mine):
            site.server.bump(model)
        assert site.holds(tag, *how(query))
        for model in mine:
            site.server.bump(model)
            assert not site.holds(tag, *how(query)), model
            tag, old = site.tag(*how(query)), tag
            assert digest(tag) != digest(old) and site.holds(tag, *how(query))


def test_variables_in_the_url(site):
    one, two = (url("/g/get", ONE, None, {"id": n}) for n in ("1", "2"))
    tag = site.tag("GET", one)
    assert digest(site.tag("GET", two)) != digest(tag)
    assert not site.holds(tag, "GET", two) and site.holds(tag, "GET", one)


@pytest.mark.parametrize("more", ["query=x", "query", "query[]=x", "query[0]=x", "QUERY=x", "+query=x", "%20query=x",
                                  "operationName=Other", "operationname=Other", "id=1", "documentId=1", "a=1;b=2",
                                  "extensions=%7B", "extensions=1", "%zz=1&query=%zz", "qu%65ry=x"])
def test_query_strings_that_servers_read_differently(site, more):
    for target in (f"{url('/g/get', LIST)}&{more}", f"/g/get?{more}&{url('', LIST)[1:]}"):
        answer, asked = site.has_none("operation", "GET", target)
        assert asked.target == target and not answer.all("ETag")


@pytest.mark.parametrize("more", ["x=1", "queries=x", "&&", "variables=", "variables=%7B%7D", "=", "x=%zz",
                                  "extensions="])
def test_query_strings_with_more(site, more):
    target = f"{url('/g/get', LIST)}&{more}"
    assert site.holds(site.tag("GET", target), "GET", target)


def test_no_query_string(site):
    for method in ("GET", "POST", "QUERY"):
        answer, asked = site.ask(method, "/g/post")
        assert answer.status == 200 and asked and not answer.all("ETag")
        assert site.server.why(answer) in (("operation",) if method == "GET" else ("operation", "unsafe"))


def test_without_models_of_the_place(site):
    answer, _ = site.ask("GET", url("/g/nomodels", LIST))
    assert site.server.logged(answer)[2] == "spectra list" and is_version(answer.etag)


@pytest.mark.parametrize("ways", [1, 2])
def test_too_many_models(site, ways):
    """16 for each operation and one of the place: two operations have more than a tag is made of."""
    batch = [said(f"query Many{i} {{ x }}") for i in range(ways)]
    for method in ("POST", "QUERY"):
        if ways == 1:
            assert site.holds(site.tag(method, "/g/many", batch), method, "/g/many", batch)
        else:
            site.has_none("too-many-models", method, "/g/many", batch)


def test_head(site):
    """Nobody sees what is in the body."""
    target = url("/g/get", LIST)
    answer, _ = site.ask("HEAD", target)
    assert answer.status == 200 and not answer.all("ETag") and site.server.why(answer) == "head"
    tag = site.tag("GET", target)
    again, asked = site.ask("HEAD", target, tag=tag)
    assert again.status == 304 and asked is None and again.etag == tag
    target = url("/g/asget", LIST)
    tag = site.tag("GET", target)
    again, asked = site.ask("HEAD", target)
    assert again.status == 200 and asked and not again.all("ETag"), again
    assert site.holds(tag, "HEAD", target)


# --- QUERY ---

def test_query_covers_the_body(site):
    how = ("QUERY", "/g/post")
    bodies = [said(ONE, None, {"id": n}) for n in "12"] + [said(ONE), said(LIST), [said(ONE)],
                                                            json.dumps(said(LIST), indent=1).encode()]
    tags = [site.tag(*how, body) for body in bodies]
    assert len({digest(tag) for tag in tags}) == len(bodies)
    for i, tag in enumerate(tags):
        for j, body in enumerate(bodies):
            assert site.holds(tag, *how, body) == (i == j)


def test_query_covers_media_and_method(site):
    document, form = LIST.encode(), url("", LIST)[1:].encode()
    asked = {
        "text": ("QUERY", "/g/post", document, {"media": TEXT}),
        "text-utf8": ("QUERY", "/g/post", document, {"media": TEXT + "; charset=utf-8"}),
        "form": ("QUERY", "/g/post", form, {"media": FORM}),
        "json": ("QUERY", "/g/post", said(LIST), {}),
        "json-utf8": ("QUERY", "/g/post", said(LIST), {"media": "application/json;charset=UTF-8"}),
        "url": ("QUERY", "/g/post?x=1", said(LIST), {}),
        "place": ("QUERY", "/g/strong", said(LIST), {}),
        "post": ("POST", "/g/post", said(LIST), {}),
        "post-form": ("POST", "/g/post", form, {"media": FORM}),
        "get": ("GET", url("/g/post", LIST), None, {}),
    }
    tags = {name: site.tag(*how[:3], **how[3]) for name, how in asked.items()}
    assert len({digest(tag) for tag in tags.values()}) == len(tags)
    for name, tag in tags.items():
        for other, how in asked.items():
            assert site.holds(tag, *how[:3], **how[3]) == (name == other), (name, other)


def test_query_where_post_is_off(site):
    tag = site.tag("QUERY", "/g/get", said(LIST))
    assert site.holds(tag, "QUERY", "/g/get", said(LIST))


def test_no_body_no_operation(site):
    for method in ("QUERY", "POST"):
        for body in (None, b""):
            answer, asked = site.ask(method, "/g/post", body)
            assert answer.status == 200 and not answer.all("ETag") and asked.body == b""


def test_get_with_a_body(site):
    site.has_none("request-body", "GET", url("/g/get", LIST), said(LIST))


def test_registered_methods_alone(new_httpd, backend):
    """The directive itself makes the method known."""
    site = Site(new_httpd("HttpProtocolOptions Strict RegisteredMethods\n" + conf(backend.url, {"get": ""}), "proxy"),
                backend)
    assert site.holds(site.tag("QUERY", "/g/get", said(LIST)), "QUERY", "/g/get", said(LIST))
    assert site.server.request("QUERIES", "/g/get").status == 501
    bare = new_httpd(f"HttpProtocolOptions Strict RegisteredMethods\nProxyPass /g/ {backend.url}/g/", "proxy")
    assert bare.request("QUERY", "/g/get").status == 501


# --- POST ---

CONDITIONS = [("If-None-Match", '"x"'), ("If-Match", '"y"'), ("If-Modified-Since", "Fri, 01 Jan 1999 00:00:00 GMT"),
              ("If-Unmodified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")]


def test_post_is_off(site):
    """As if the module were not there."""
    tag = site.tag("QUERY", "/g/get", said(LIST))
    answer, asked = site.ask("POST", "/g/get", said(LIST), tag=tag)
    assert answer.status == 200 and not answer.all("ETag") and asked.get("If-None-Match") == tag
    answer, asked = site.ask("POST", "/g/get", said(LIST), headers=CONDITIONS)
    assert answer.status == 200 and not answer.all("ETag")
    assert [asked.get(name) for name, _ in CONDITIONS] == [value for _, value in CONDITIONS]
    assert site.server.why(answer) == "unsafe"


def test_post_that_is_no_query(site):
    for place in ("post", "poston"):
        for body in (said(MUTATION), said(OTHER), [said(LIST), said(MUTATION)]):
            answer, asked = site.ask("POST", f"/g/{place}", body, headers=CONDITIONS)
            assert answer.status == 200 and not answer.all("ETag"), answer
            assert [asked.get(name) for name, _ in CONDITIONS] == [value for _, value in CONDITIONS]


def test_post_list_and_star(site):
    tag = site.tag("POST", "/g/post", said(LIST))
    for value in (f'"x", {tag}', tag[2:]):
        assert site.holds(value, "POST", "/g/post", said(LIST))
    assert not site.holds('"x"', "POST", "/g/post", said(LIST))
    assert site.holds(tag, "POST", "/g/post", said(LIST), headers=[("If-Modified-Since", CONDITIONS[2][1])])


@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_late_304(site, says, method):
    """Where the backend was asked all the same, conditions are judged as those of a GET are."""
    path = says("/g/strong", {"data": {"a": 1}})
    tag = site.tag(method, path, said(LIST))
    assert not tag.startswith("W/")
    answer, asked = site.ask(method, path, said(LIST), headers=[("If-Match", tag)])
    assert answer.status == 200 and asked and answer.etag == tag
    answer, _ = site.ask(method, path, said(LIST), headers=[("If-Match", '"x"')])
    assert answer.status == 412
    answer, _ = site.ask(method, path, said(LIST), tag="*")
    assert answer.status == 304 and site.server.why(answer) == "late-304"


@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_strength(site, method):
    tag = site.tag(method, "/g/strong", said(LIST))
    assert tag.startswith('"v') and site.holds(tag, method, "/g/strong", said(LIST))


def test_policy(site):
    def says_of(place, method, body):
        return site.ask(method, f"/g/{place}", body)[0].one("Cache-Control")

    assert says_of("policy", "POST", said(LIST)) == "max-age=7"
    assert says_of("policy", "QUERY", said(LIST)) == "max-age=7"
    assert says_of("policy", "POST", said(MUTATION)) == "no-store"
    assert says_of("policy", "POST", b"junk") == "no-store"
    assert says_of("nopolicy", "POST", said(LIST)) == "no-store"
    assert says_of("nopolicy", "QUERY", said(LIST)) == "max-age=7"
    for method in ("POST", "QUERY"):
        full, _ = site.ask(method, "/g/policy", said(LIST))
        again, asked = site.ask(method, "/g/policy", said(LIST), tag=full.etag)
        assert asked is None and letter(full.etag) == "v"
        check_pair(full, again)


def test_preconditions(site):
    """Of queries nobody asks for a condition, of changes nobody here can have one of ours."""
    assert site.ask("POST", "/g/require", said(LIST))[0].status == 200
    assert site.ask("POST", "/g/checked", said(LIST))[0].status == 200
    assert site.holds(site.tag("POST", "/g/require", said(LIST)), "POST", "/g/require", said(LIST))
    assert site.ask("POST", "/g/require", said(MUTATION))[0].status == 200


# --- who asks ---

@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_identity(site, method):
    def how(place):
        return (method, url(f"/g/{place}", LIST)) if method == "GET" else (method, f"/g/{place}", said(LIST))

    alice, bob = [("Cookie", "sid=a")], [("Cookie", "sid=b")]
    tag = site.tag(*how("session"), headers=alice)
    assert site.holds(tag, *how("session"), headers=alice)
    assert not site.holds(tag, *how("session"), headers=bob)
    assert not site.holds(tag, *how("session"))
    for place, headers in (("post", alice), ("post", [("Authorization", "Bearer x")]),
                           ("session", [("Authorization", "Bearer x")])):
        answer, asked = site.ask(*how(place), headers=headers)
        assert not answer.all("ETag") and site.server.why(answer) == "identity" and asked


@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_vary(site, method):
    how = (method, url("/g/language", LIST)) if method == "GET" else (method, "/g/language", said(LIST))
    german = [("Accept-Language", "de")]
    tag = site.tag(*how, headers=german)
    assert site.holds(tag, *how, headers=german) and not site.holds(tag, *how)


# --- what is answered ---

ERRORS = [{"message": "no"}]
PADDED = {"data": {"x": ["y" * 1000] * 200}}
BAD = {
    "first": ({"errors": ERRORS, "data": None}, {}),
    "last": ({"data": {"a": {"errors": 1}}, "errors": ERRORS}, {}),
    "unknown-hash": ({"errors": [{"message": "PersistedQueryNotFound"}]}, {}),
    "in-a-batch": ([{"data": 1}, {"data": None, "errors": ERRORS}], {}),
    "pieces": ({"data": {"errors": None}, "errors": ERRORS}, {"pieces": 1}),
    "large": ({**PADDED, "errors": ERRORS}, {}),
    "large-pieces": ({**PADDED, "errors": ERRORS}, {"pieces": 1000}),
    "graphql-media": ({"errors": ERRORS}, {"media": "application/graphql-response+json; charset=utf-8"}),
    "no-json": ("<html>", {}),
    "cut": ('{"data": {"a": 1}', {}),
    "more-behind": ('{"data": 1} {"errors": []}', {}),
    "nothing": ("", {}),
    "scalar": ("1", {}),
    "escaped": ('{"data": 1, "\\u0065rrors": [1]}', {}),
    "twice": ('{"errors": [], "data": 1, "errors": [1]}', {}),
}
GOOD = {
    "plain": ({"data": {"a": 1}}, {}),
    "errors-are-none": ({"data": 1, "errors": []}, {}),
    "errors-are-null": ({"errors": None, "data": 1}, {}),
    "deeper": ({"data": {"errors": ERRORS}, "extensions": {"errors": ERRORS}}, {}),
    "in-text": ({"data": '"errors":[1]'}, {}),
    "batch": ([{"data": 1}, {"data": 2}], {}),
    "pieces": ({"data": {"a": "b"}}, {"pieces": 1}),
    "large": (PADDED, {}),
    "large-pieces": (PADDED, {"pieces": 777}),
    "graphql-media": ({"data": 1}, {"media": "application/graphql-response+json"}),
}


def test_policy_is_for_responses_with_a_version_tag(site, says):
    """`public` is not for a query that nobody named, nor for an error; what the backend says stays."""
    def policy_of(target):
        return site.get(target)[0].one("Cache-Control")
    assert policy_of(url("/g/nopolicy", LIST)) == "max-age=7"
    assert policy_of(url("/g/nopolicy", OTHER)) is None and policy_of("/g/nopolicy") is None
    says("/g/nopolicy", {"errors": [{"message": "PersistedQueryNotFound"}]}, headers=[("Cache-Control", "no-cache")])
    assert policy_of(url("/g/nopolicy", None, "SpectraList", None, HASH)) == "no-cache"
    assert policy_of(url("/g/nopolicy", LIST)) == "no-cache"
    says("/g/restricted", {"data": 1}, headers=[("Cache-Control", "public, max-age=600")])
    restricted = site.get(url("/g/restricted", OTHER))[0].members("Cache-Control")
    assert restricted == ["max-age=600", "must-revalidate", "private"]


@pytest.mark.parametrize("name", BAD)
def test_errors(site, says, name):
    body, more = BAD[name]
    for place in ("get", "on", "post", "poston"):
        says(f"/g/{place}", body, **more)
    sent = body if isinstance(body, str) else json.dumps(body)
    answer, _ = site.has_none("graphql-errors", "GET", url("/g/get", LIST))
    assert answer.text == sent and not answer.all("ETag")
    answer, _ = site.ask("GET", url("/g/on", LIST))
    assert answer.text == sent
    assert OWN.match(answer.etag).group(1) == "c" if sent else not answer.all("ETag"), answer
    for method in ("POST", "QUERY"):
        for place in ("post", "poston"):
            answer, asked = site.ask(method, f"/g/{place}", said(LIST))
            assert answer.status == 200 and answer.text == sent and asked
            assert not answer.all("ETag") and site.server.why(answer) == "graphql-errors", answer


@pytest.mark.parametrize("name", GOOD)
def test_no_errors(site, says, name):
    body, more = GOOD[name]
    says("/g/get", body, **more)
    says("/g/post", body, **more)
    answer, _ = site.ask("GET", url("/g/get", LIST))
    assert answer.text == json.dumps(body) and is_version(answer.etag), site.server.why(answer)
    answer, _ = site.ask("POST", "/g/post", said(LIST))
    assert answer.text == json.dumps(body) and is_version(answer.etag), site.server.why(answer)


OTHERS = {
    "media": ("type", "{}", {"media": "text/plain"}),
    "no-media": ("type", "{}", {"media": None}),
    "status": ("status", "{}", {"status": 203}),
    "encoded": ("coding", b"\x1f\x8b bytes", {"headers": [("Content-Encoding", "gzip")]}),
    "oversize": ("oversize", {"data": "x" * 1_100_000}, {}),
    "oversize-pieces": ("oversize", {"data": "x" * 1_100_000}, {"pieces": 4000}),
    "no-store": ("no-store", {"data": 1}, {"headers": [("Cache-Control", "no-store")]}),
    "cookie": ("set-cookie", {"data": 1}, {"headers": [("Set-Cookie", "a=b")]}),
    "varies": ("vary", {"data": 1}, {"headers": [("Vary", "User-Agent")]}),
    "own-tag": ("kept", {"data": 1}, {"headers": [("ETag", '"mine"')]}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_responses_that_are_not_looked_at(site, says, name):
    why, body, more = OTHERS[name]
    if name == "varies":
        site.server.log.expect("ETV0330", optional=True)
    for method, place in (("GET", "get"), ("POST", "post"), ("QUERY", "post")):
        says(f"/g/{place}", body, **more)
        target = url("/g/get", LIST) if method == "GET" else "/g/post"
        answer, asked = site.ask(method, target, None if method == "GET" else said(LIST))
        sent = json.dumps(body) if isinstance(body, dict) else body
        assert asked and answer.body == (sent if isinstance(sent, bytes) else sent.encode())
        assert answer.status == more.get("status", 200) and not is_version(answer.etag), answer
        assert site.server.why(answer) == why


@pytest.mark.parametrize("place", ["get", "on", "post"])
def test_truncated(site, says, place):
    """What is missing may be the errors."""
    site.server.log.expect("AH0110[0-9]|ETV0340|AH10154|AH01110|AH00898", optional=True)
    says(f"/g/{place}", '{"data": 1}', declared=500)
    head = "GET {} HTTP/1.1" if place != "post" else "POST {} HTTP/1.1"
    body = b"" if place != "post" else json.dumps(said(LIST)).encode()
    target = url(f"/g/{place}", LIST) if place != "post" else "/g/post"
    with site.server.connect() as connection:
        connection.send((head.format(target) + "\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                         + (f"Content-Length: {len(body)}\r\n" if body else "") + "\r\n").encode() + body)
        try:
            answer = connection.read_response()
        except EOFError as end:
            assert b'ETag: W/"' not in str(end).encode()
            return
    assert answer.status >= 500 or not answer.all("ETag"), answer


@pytest.mark.parametrize("place", ["deflate", "bytype"])
@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_encoders(site, says, place, method):
    """The look into the body comes before them."""
    how = (method, url(f"/g/{place}", LIST)) if method == "GET" else (method, f"/g/{place}", said(LIST))
    says(f"/g/{place}", PADDED)
    plain, coded = site.tag(*how), site.tag(*how, headers=GZIP)
    assert coding(coded) == "-gzip" and coding(plain) == ""
    for tag in (plain, coded):
        assert site.holds(tag, *how, headers=GZIP)
    assert site.holds(plain, *how)
    says(f"/g/{place}", {**PADDED, "errors": ERRORS})
    answer, _ = site.ask(*how, headers=GZIP)
    assert answer.one("Content-Encoding") == "gzip" and not answer.all("ETag"), answer
    assert site.server.why(answer) == "graphql-errors"


# --- the kinds of backends ---

CGI = """#!/bin/sh
echo x >>"@ROOT@/run/calls"
cat >"@ROOT@/run/body"
printf 'Content-Type: application/json\\r\\n\\r\\n{"data":{"got":%s}}' "$(wc -c <"@ROOT@/run/body")"
"""
SHORT = """#!/bin/sh
cat >/dev/null
printf 'Content-Type: application/json\\r\\nContent-Length: 50\\r\\n\\r\\n{"data": 1}'
"""
WSGI = """
import json
def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    with open("@ROOT@/run/calls", "a") as f:
        f.write("x\\n")
    with open("@ROOT@/run/body", "wb") as f:
        f.write(body)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"data": {"got": len(body)}}).encode()]
"""
PHP = """<?php
file_put_contents("@ROOT@/run/calls", "x\\n", FILE_APPEND);
file_put_contents("@ROOT@/run/body", file_get_contents("php://input"));
header("Content-Type: application/json");
echo json_encode(["data" => ["got" => strlen(file_get_contents("php://input"))]]);
"""


def files(server):
    """Write the programs; their bodies and calls go to the server's folder run/."""
    server.write("cgi/gql.sh", CGI.replace("@ROOT@", str(server.root)), 0o755)
    server.write("cgi/short.sh", SHORT, 0o755)
    server.write("gql.wsgi", WSGI.replace("@ROOT@", str(server.root)))
    server.write("htdocs/php/gql.php", PHP.replace("@ROOT@", str(server.root)))


@pytest.fixture(scope="module", name="programs")
def _programs(shared_httpd):
    php = PhpFpm()
    lines = f"""
ScriptAlias /cgi/ "@ROOT@/cgi/"
SetEnv ap_trust_cgilike_cl yes
ScriptSock @ROOT@/run/cgisock
WSGIDestroyInterpreter Off
WSGIScriptAlias /wsgi "@ROOT@/gql.wsgi"
<FilesMatch "\\.php$">
  SetHandler "proxy:unix:{php.socket}|fcgi://localhost"
</FilesMatch>
<Location />
  ETagVersion Version
  ETagVersionGraphQLPost On{PATTERNS}
</Location>"""
    server = shared_httpd(lines, "alias env cgid wsgi fcgi", start=False)
    files(server)
    yield server.start()
    php.close()


@pytest.mark.parametrize("path", ["/cgi/gql.sh", "/wsgi", "/php/gql.php"])
@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_programs(programs, path, method):
    """Other backends than proxied ones read the body, too."""
    server, calls = programs, programs.root / "run" / "calls"
    query = json.dumps(said(LIST)).encode()
    target, body = (url(path, LIST), None) if method == "GET" else (path, query)
    headers = [("Content-Type", "application/json")]
    answer = server.request(method, target, headers, body)
    if method == "QUERY" and answer.status == 405:
        return
    assert answer.status == 200 and is_version(answer.etag), f"{server.why(answer)}: {answer}"
    if body:
        assert (server.root / "run" / "body").read_bytes() == body
        assert json.loads(answer.text)["data"]["got"] == len(body)
    before = calls.read_text()
    again = server.request(method, target, headers + [("If-None-Match", answer.etag)], body)
    assert again.status == 304 and calls.read_text() == before
    server.bump("list")
    assert server.request(method, target, headers + [("If-None-Match", answer.etag)], body).status == 200
    if body:
        assert (server.root / "run" / "body").read_bytes() == body


@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
def test_less_than_announced(programs, method):
    """What a script did not come to say may be errors."""
    target, body = (url("/cgi/short.sh", LIST), None) if method == "GET" else ("/cgi/short.sh", body_of(said(LIST)))
    answer = programs.request(method, target, [("Content-Type", JSON)], body)
    assert answer.status == 200 and answer.text == '{"data": 1}' and not answer.all("ETag"), answer
    assert programs.why(answer) == "error"


# --- servers ---

@pytest.mark.parametrize("mpm", ["prefork", "worker"])
def test_mpm(new_httpd, backend, mpm):
    site = Site(new_httpd(conf(backend.url, {"get": "", "post": PLACES["post"]}), "proxy", mpm=mpm), backend)
    for how in (("GET", url("/g/get", LIST)), ("QUERY", "/g/get", said(LIST)), ("POST", "/g/post", said(LIST))):
        tag = site.tag(*how)
        assert site.holds(tag, *how)
        site.server.bump("spectra")
        assert not site.holds(tag, *how)
    site.has_none("operation", "GET", url("/g/get", OTHER))
    answer, asked = site.ask("POST", "/g/post", said(MUTATION))
    assert asked and not answer.all("ETag")


# --- models that the backend names ---

def test_declared_models(new_httpd, backend, says):
    """What it names for one body says nothing about another one."""
    server = new_httpd(f"""
ProxyPass /g/ {backend.url}/g/
<Location /g/>
  ETagVersion Version
  ETagVersionModelsHeader X-Depends-On
  ETagVersionGraphQL Spectr* spectra
  ETagVersionGraphQLPost On
</Location>""", "proxy")
    site = Site(server, backend)
    backend.on("/g/declares", lambda asked: Answer({"data": 1}, headers=[
        ("X-Depends-On", "d.one" if b'"1"' in asked.body or "%221%22" in asked.target else "d.two")]))
    for model in ("spectra", "d.one", "d.two"):
        server.bump(model)
    for method in ("GET", "POST", "QUERY"):
        def how(number):
            args = (ONE, None, {"id": number})
            return (method, url("/g/declares", *args)) if method == "GET" else (method, "/g/declares", said(*args))
        for number in "12":  # the first time tells what it depends on
            site.ask(*how(number))
        one, two = (site.tag(*how(number)) for number in "12")
        assert site.holds(one, *how("1")) and site.holds(two, *how("2"))
        assert not site.holds(one, *how("2")) and not site.holds(two, *how("1"))
        server.bump("d.one")
        assert not site.holds(one, *how("1")) and site.holds(two, *how("2"))
        server.bump("spectra")
        assert not site.holds(two, *how("2"))
    backend.on("/g/declares", Answer({"errors": ERRORS}, headers=[("X-Depends-On", "d.one")]))
    for method in ("POST", "QUERY"):
        answer, _ = site.has_none("graphql-errors", method, "/g/declares", said(ONE))
        assert not answer.all("X-Depends-On")
        answer, _ = site.ask(method, "/g/declares", said(OTHER))
        assert not answer.all("ETag") and not answer.all("X-Depends-On")


# --- in front of others ---

@pytest.mark.parametrize("cache, quick", [("cache_disk", "On"), ("cache_disk", "Off"), ("cache_socache", "On")])
def test_cache(new_httpd, backend, cache, quick):
    """mod_cache stores what was got, revalidates it by its tag, and has no part in what was posted."""
    where = 'CacheRoot "@ROOT@/run"\nCacheEnable disk /g/' if cache == "cache_disk" else "CacheEnable socache /g/"
    server = new_httpd(f"{where}\nCacheQuickHandler {quick}\n" + conf(backend.url, {
        "post": 'ETagVersionGraphQLPost On\nETagVersionCacheControl "max-age=0"'}), f"proxy {cache}")
    site = Site(server, backend)
    target = url("/g/post", LIST)
    tag = site.tag("GET", target)
    assert site.server.get(target, tag=tag).status == 304
    before = backend.calls()
    assert server.get(target).etag == tag
    server.bump("spectra")
    assert not site.holds(tag, "GET", target)
    assert backend.calls() > before
    for method in ("POST", "QUERY"):
        tag = site.tag(method, "/g/post", said(LIST))
        assert site.holds(tag, method, "/g/post", said(LIST))
        answer, asked = site.ask(method, "/g/post", said(LIST))
        assert asked and answer.etag == tag
        answer, asked = site.ask(method, "/g/post", said(MUTATION))
        assert asked and not answer.all("ETag")


def test_subrequest(new_httpd, backend, says):
    """A page that includes a GraphQL answer has no tag of that one, and a posted form leaves it alone."""
    server = new_httpd(f"""
AddType text/html .shtml
AddOutputFilter INCLUDES .shtml
<Directory "@ROOT@/htdocs">
  Options +Includes
</Directory>
{conf(backend.url, {"post": PLACES["post"]})}
""", "proxy include mime", start=False)
    server.write("htdocs/page.shtml", f'<!--#include virtual="{url("/g/post", LIST)}" -->\n')
    server.start()
    says("/g/post", {"data": "included"})
    for _ in range(2):
        answer = server.get("/page.shtml")
        assert answer.status == 200 and "included" in answer.text and not answer.all("ETag"), answer
    answer = server.request("POST", "/page.shtml", [("Content-Type", "application/json")],
                            json.dumps(said(LIST)).encode())
    assert "included" in answer.text or answer.status == 405
