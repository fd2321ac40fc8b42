# SPDX-License-Identifier: Apache-2.0
"""ETagVersionGraphQL: which requests have tags, what these are made of, and when they are good."""
import json

import pytest

from harness.graphql import FORM, HASH, TEXT, Site, said, url
from harness.graphql_place import BOTH, LIST, MUTATION, ONE, OTHER, conf
from harness.graphql_place import _backend, _says, _site  # noqa: F401 (fixtures)
from harness.tags import OWN, check_pair, digest, is_version, letter


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
