# SPDX-License-Identifier: Apache-2.0
"""Facts about conditional requests (vectors.json), through backends that know nothing of conditions or ranges.

A fact has a `resource` (the origin's plain answer), a `request`, and what the client must get. Kinds: universal = any
correct server, generate = making tags, parse = grammar, cache = a cache in front, unsafe = other methods, choice =
one project's decision, not a rule.
"""
import json
import re
from pathlib import Path

import pytest

from harness import pages

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())

# What differs from the facts: id -> (what is expected instead, the section that justifies it).
DEVIATIONS = {}

# What this module does where others made a choice of their own: id -> (the difference to `expect`, why).
CHOICES = {
    "023-fresh-no-cache": ({"status": 304, "body": "none"}, "no-cache in a request is for caches, RFC 9111 §5.2.1.4"),
    "024-fresh-no-cache": ({"status": 304, "body": "none"}, "RFC 9111 §5.2.1.4"),
    "049-nginx-beyond": ({}, "a later date is a valid HTTP-date, RFC 9110 §13.1.3"),
    "085-dj-c-test_all_if_none_match": ({"status": 304, "body": "none"}, "a representation exists, RFC 9110 §13.1.2"),
    "092-dj-c-test_all_if_match": ({"status": 200, "body": "full"}, "a representation exists, RFC 9110 §13.1.1"),
    "103-dj-c-test_single_condition_7": ({"status": 200, "body": "full"},
                                         "ignored without a modification date, RFC 9110 §13.1.4"),
    "125-dj-m-test_no_head": ({}, "no content tag without the content; ETagVersionHead AsGet makes one"),
    "158-rack-etag-set": ({"headers_present": []}, "content tags are for a 200 to GET"),
    "159-rack-etag-default": ({"headers_present": [], "headers_absent": ["Cache-Control"]},
                              "no policy but the administrator's"),
    "162-rack-etag-not": ({"headers_present": ["ETag"], "headers_absent": []},
                          "a tag is a stronger validator than a date, RFC 9110 §8.8.1"),
    "166-send-should": ({}, "a 304 is the 200 without the representation"),
    "170-send-if-range": ({"status": 200, "body": "full"}, "If-Range compares strongly, RFC 9110 §13.1.5"),
    "176-werkzeug-test_etags": ({"status": 200, "body": "full"}, "a token is no entity-tag, RFC 9110 §8.8.3"),
    "183-ct-conditional-etag-quoted-respond-unquoted": ({}, "RFC 9110 §8.8.3"),
    "184-ct-conditional-etag-unquoted-respond-quoted": ({}, "RFC 9110 §8.8.3"),
    "185-ct-conditional-etag-unquoted-respond-unquot": ({"status": 200, "body": "full"}, "RFC 9110 §8.8.3"),
    "187-ct-conditional-etag-weak-respond-omit-slash": ({}, "RFC 9110 §8.8.3"),
}
CONDITIONS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Range", "If-Range")
REPRESENTATION = ("Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range",
                  "Transfer-Encoding", "Accept-Ranges")
CONTENT = "<Location />\n  ETagVersion Content\n</Location>\n"
CACHE = """
CacheEnable disk /
CacheRoot "@ROOT@/cache"
CacheDirLevels 1
CacheDirLength 1
CacheQuickHandler @QUICK@
"""


def of_kinds(*kinds):
    """For pytest.mark.parametrize."""
    chosen = [v for v in VECTORS if v["kind"] in kinds]
    return pytest.mark.parametrize("vector", chosen, ids=[v["id"] for v in chosen])


def expected(vector):
    """What the client must get here; deviations and choices are applied."""
    change = DEVIATIONS.get(vector["id"]) or CHOICES.get(vector["id"]) or ({}, "")
    return {**vector["expect"], **change[0]}


def body_of(vector):
    line = f"{vector['id']} "
    return (line * 100)[:vector["resource"]["body_length"]].encode()


def fields_of(vector):
    """The request's fields; a list of values stands for as many lines."""
    return [(name, each) for name, value in vector["request"]["headers"].items()
            for each in (value if isinstance(value, list) else [value])]


def put(page, vector):
    """Let a backend answer as the fact says; returns the path."""
    resource = vector["resource"]
    headers = list(resource["headers"].items())
    headers += [("ETag", resource["etag"])] if resource["etag"] is not None else []
    headers += [("Last-Modified", resource["last_modified"])] if resource["last_modified"] is not None else []
    return page.put(vector["id"], body_of(vector), headers, resource["status"])


def part_of(vector, answer):
    """The body of a 206, whose Content-Range must say the same."""
    whole = body_of(vector)
    first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", dict(fields_of(vector))["Range"]).groups())
    assert answer.one("Content-Range") == f"bytes {first}-{last}/{len(whole)}"
    return whole[first:last + 1]


def check(vector, want, answer, whole):
    """Every word of `expect`; `whole` is the plain answer to the same client."""
    assert answer.status == want["status"], answer
    assert whole.status == vector["resource"]["status"] and whole.body == body_of(vector)
    if want["body"] == "none":
        assert answer.body == b""
    elif want["body"] == "full":
        assert answer.body == body_of(vector)
    elif want["body"] == "partial":
        assert answer.body == part_of(vector, answer)
    else:
        assert want["body"] == "any"
    for name in want["headers_present"]:
        assert answer.all(name), f"no {name}: {answer}"
    for name in want["headers_absent"]:
        assert not answer.all(name), f"{name}: {answer}"
    for name in want["headers_same_as_200"]:
        assert answer.all(name) and answer.all(name) == whole.all(name), f"{name}: {answer} {whole}"
    if vector["resource"]["etag"] is not None:
        assert whole.etag == vector["resource"]["etag"], "the backend's own tag"
    if answer.status == 304:
        for name in REPRESENTATION:
            assert not answer.all(name), f"{name}: {answer}"
        assert answer.etag == whole.etag and answer.one("Date")


def test_the_tables_are_about_facts():
    """Each choice is listed, nothing else is, and no fact is left out."""
    kinds = {v["id"]: v["kind"] for v in VECTORS}
    assert len(kinds) == len(VECTORS)
    assert set(CHOICES) == {i for i, kind in kinds.items() if kind == "choice"}
    assert set(DEVIATIONS) <= set(kinds) - set(CHOICES)
    assert set(kinds.values()) == {"universal", "generate", "parse", "cache", "unsafe", "choice"}
    for v in VECTORS:
        assert set(v) == {"id", "kind", "scope", "resource", "request", "expect", "note"}
        assert set(v["expect"]) == {"status", "body", "headers_present", "headers_absent", "headers_same_as_200"}


@pytest.fixture(scope="module")
def server(shared_httpd):
    made = pages.serve(shared_httpd, CONTENT, "http cgi", bump=False)
    yield made
    pages.close_pages(made)


@of_kinds("universal", "generate", "parse", "cache", "choice")
@pytest.mark.parametrize("kind", ["http", "cgi"])
def test_vector(server, kind, vector):
    page = server.pages[kind]
    path, method = put(page, vector), vector["request"]["method"]
    whole = server.request("GET" if method == "HEAD" else method, path, body=b"" if method == "POST" else None)
    answer = server.request(method, path, fields_of(vector), b"" if method == "POST" else None)
    check(vector, expected(vector), answer, whole)
    for name in CONDITIONS[:4]:
        assert page.asked(vector["id"]).get(name) is None, f"the backend saw {name}"


@of_kinds("unsafe")
@pytest.mark.parametrize("kind", ["http", "cgi"])
def test_conditions_of_other_methods_are_the_backends(server, kind, vector):
    """What they mean is decided before the application acts, so the backend must know them."""
    page = server.pages[kind]
    path, method = put(page, vector), vector["request"]["method"]
    answer = server.request(method, path, fields_of(vector), b"new content")
    assert answer.status == 200 and answer.body == body_of(vector), answer
    asked = page.asked(vector["id"])
    assert asked.method == method
    for name in CONDITIONS:
        assert asked.get(name) == dict(fields_of(vector)).get(name)


@pytest.fixture(scope="module")
def caches(shared_httpd):
    """Servers with mod_cache_disk, by the word behind CacheQuickHandler."""
    made = {}
    for quick in ("On", "Off"):
        made[quick] = pages.serve(shared_httpd, CONTENT + CACHE.replace("@QUICK@", quick), "http cgi", "cache_disk",
                                  start=False, bump=False)
        folder = made[quick].root / "cache"
        folder.mkdir()
        folder.chmod(0o777)
        made[quick].start()
    yield made
    for each in made.values():
        pages.close_pages(each)


@of_kinds("cache")
@pytest.mark.parametrize("kind", ["http", "cgi"])
@pytest.mark.parametrize("quick", ["On", "Off"])
def test_behind_a_cache(caches, quick, kind, vector):
    """Warmed by one plain request."""
    server = caches[quick]
    page = server.pages[kind]
    path = put(page, vector)
    whole = server.get(path)
    answer = server.get(path, fields_of(vector))
    check(vector, expected(vector), answer, whole)
    if kind == "http" and "If-Modified-Since" not in vector["request"]["headers"]:
        # mod_cache looks at each condition by itself, and asks behind when one of them fails.
        assert page.calls(vector["id"]) == 1, "the cache has it"
