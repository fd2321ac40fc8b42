# SPDX-License-Identifier: Apache-2.0
"""The letters v and u, and tags of encoded responses: an early 304 says what its 200 said, or nothing."""
import gzip

import pytest

from harness.backend import Reply
from harness.table import Case, build, each
from harness.tags import check_pair, digest, letter, names

LONG = "All the proteins of the table. " * 100
VARY_AE = "ETagVersionVary Accept-Encoding"
POLICY = "ETagVersionCacheControl max-age=60"

PLAIN = [
    Case("bare", want="v"),
    Case("policy", POLICY, want="v"),
    Case("policy_vary", POLICY + "\nETagVersionVary Accept-Language", want="v"),
    Case("own_cc", headers={"Cache-Control": "max-age=30"}, want="u"),
    Case("own_cc_and_policy", POLICY, {"Cache-Control": "max-age=30"}, want="u"),
    Case("own_cc_policy_vary", POLICY + "\nETagVersionVary X-Kind", {"Cache-Control": "max-age=30"}, want="u"),
    Case("own_cc_identity", POLICY + "\nETagVersionIdentity cookie:sid", {"Cache-Control": "max-age=30"},
         sent=[("Cookie", "sid=1")], want="u"),
    Case("own_cc_headers_set", 'Header set Expires "0"\nHeader always set Vary Accept-Encoding',
         {"Cache-Control": "max-age=30"}, want="u"),
    Case("own_cc_expires", "ExpiresActive On\nExpiresDefault \"access plus 10 minutes\"",
         {"Cache-Control": "foo"}, want="u"),
    Case("own_weaker_cc", POLICY, {"Cache-Control": "max-age=600"}),
    Case("own_equal_cc", POLICY, {"Cache-Control": "max-age=60"}),
    Case("own_unknown_cc", POLICY, {"Cache-Control": "foo=bar"}, want="u"),
    Case("set_over_own", "ETagVersionCacheControl set max-age=60",
         {"Cache-Control": "max-age=30"}, want="v"),
    Case("ifunset_with_own", "ETagVersionCacheControl ifunset max-age=60",
         {"Cache-Control": "max-age=30"}, want="u"),
    Case("ifunset_without", "ETagVersionCacheControl ifunset max-age=60", want="v"),
    Case("own_expires", headers={"Expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, want="u"),
    Case("own_expires_and_policy", POLICY, {"Expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, want="u"),
    Case("own_pragma", headers={"Pragma": "no-cache"}),
    Case("own_vary_covered", "ETagVersionVary Accept-Language", {"Vary": "Accept-Language"}),
    Case("own_vary_part", "ETagVersionVary Accept-Language X-Kind", {"Vary": "X-Kind"}),
    Case("own_vary_ae", headers={"Vary": "Accept-Encoding"}, want="u"),
    Case("own_vary_ae_named", VARY_AE, {"Vary": "Accept-Encoding"}),
    Case("expires_default", "ExpiresActive On\nExpiresDefault \"access plus 10 minutes\""),
    Case("expires_and_policy", "ExpiresActive On\nExpiresDefault \"access plus 10 minutes\"\n" + POLICY),
    Case("expires_by_type", "ExpiresActive On\nExpiresByType text/plain \"access plus 1 hour\""),
    Case("header_set_cc", 'Header set Cache-Control "max-age=5"'),
    Case("header_set_cc_policy", POLICY + '\nHeader set Cache-Control "max-age=5"'),
    Case("header_always_set_cc", 'Header always set Cache-Control "max-age=5"'),
    Case("header_set_expires", 'Header set Expires "0"'),
    Case("header_append_vary", 'ETagVersionVary X-Kind\nHeader append Vary X-Kind'),
    Case("header_merge_cc", POLICY + '\nHeader merge Cache-Control "no-transform"'),
    Case("header_unset_cc", POLICY + "\nHeader unset Cache-Control"),
    Case("header_unset_own_cc", "Header unset Cache-Control", {"Cache-Control": "max-age=30"}),
    Case("header_always_unset_cc", POLICY + "\nHeader always unset Cache-Control"),
    Case("header_for_200_only", 'Header set Cache-Control "max-age=5" "expr=%{REQUEST_STATUS} == 200"'),
    Case("header_for_304_only", 'Header set Cache-Control "max-age=5" "expr=%{REQUEST_STATUS} == 304"'),
    Case("header_by_type", 'Header set Cache-Control "max-age=5" "expr=%{CONTENT_TYPE} =~ /plain/"'),
    Case("moody"),
    Case("header_cors_vary", 'ETagVersionVary Origin\nHeader set Access-Control-Allow-Origin "%{HTTP_ORIGIN}e"\n'
         'Header merge Vary Origin'),
]

GZIP, BR = [("Accept-Encoding", "gzip")], [("Accept-Encoding", "br")]
BOTH = [("Accept-Encoding", "br, gzip")]
ENCODED = [
    Case("deflate", "SetOutputFilter DEFLATE", sent=GZIP, want="-gzip", body=LONG),
    Case("deflate_policy", "SetOutputFilter DEFLATE\n" + POLICY, sent=GZIP, want="-gzip", body=LONG),
    Case("deflate_vary", "SetOutputFilter DEFLATE\n" + VARY_AE, sent=GZIP, want="-gzip", body=LONG),
    Case("deflate_type", "AddOutputFilterByType DEFLATE text/plain", sent=GZIP, want="-gzip", body=LONG),
    Case("deflate_identity", "SetOutputFilter DEFLATE", want="", body=LONG),
    Case("deflate_strong", "SetOutputFilter DEFLATE\nETagVersionStrength Strong", sent=GZIP,
         want="-gzip", body=LONG),
    Case("brotli", "SetOutputFilter BROTLI_COMPRESS", sent=BR, want="-br", body=LONG),
    Case("brotli_type", "AddOutputFilterByType BROTLI_COMPRESS text/plain", sent=BR, want="-br", body=LONG),
    Case("brotli_policy", "SetOutputFilter BROTLI_COMPRESS\n" + POLICY, sent=BR, want="-br", body=LONG),
    Case("brotli_vary", "SetOutputFilter BROTLI_COMPRESS\nETagVersionVary Accept-Encoding X-Kind",
         sent=BR, want="-br", body=LONG),
    Case("brotli_identity", "SetOutputFilter BROTLI_COMPRESS", want="", body=LONG),
    Case("two_filters_br", "SetOutputFilter BROTLI_COMPRESS;DEFLATE", sent=BOTH, want="-br", body=LONG),
    Case("two_filters_gzip", "SetOutputFilter BROTLI_COMPRESS;DEFLATE", sent=GZIP, want="-gzip", body=LONG),
    Case("backend_gzip", headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}, sent=GZIP,
         want="-gzip", body=gzip.compress(LONG.encode())),
    Case("backend_gzip_strong", "ETagVersionStrength Strong", sent=GZIP, want="-gzip",
         headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}, body=gzip.compress(LONG.encode())),
    Case("backend_br_filter_on", "SetOutputFilter DEFLATE", sent=BOTH, want="-br", body=b"\x0bnot-looked-at",
         headers={"Content-Encoding": "br", "Vary": "Accept-Encoding"}),
    Case("inflate", "SetOutputFilter INFLATE", body=gzip.compress(LONG.encode()),
         headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}, want=""),
]


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return build(shared_httpd, shared_backend(), PLAIN + ENCODED, "headers expires filter deflate brotli")


def pair(server, case, method="GET"):
    """The 200 and its early 304; the backend is called once."""
    before = server.backend.calls(case.path)
    full = server.request(method, case.path, case.sent)
    again = server.request(method, case.path, case.sent + [("If-None-Match", full.etag)])
    assert server.backend.calls(case.path) == before + 1
    check_pair(full, again)
    return full, again


@pytest.mark.parametrize("case", **each(PLAIN))
def test_headers_of_200_and_304(server, case):
    full, _ = pair(server, case)
    pair(server, case, "HEAD")
    if case.want:
        assert letter(full.etag) == case.want, full


@pytest.mark.parametrize("case", **each(ENCODED))
def test_encoded(server, case):
    full, again = pair(server, case)
    if case.want is not None:
        assert full.etag.endswith(case.want + '"')
        own = letter(full.etag) + digest(full.etag) + "".join(names(full.etag))
        assert full.etag == f'{full.etag.split(chr(34))[0]}"{own}{case.want}"'
        coding = full.one("Content-Encoding")
        assert coding == (case.want[1:] or None), "the case did not do what it is for"
    if full.one("Content-Encoding"):
        assert full.etag.startswith("W/"), "compressed bytes are not reproducible"
    # Without the coding, the client must get the representation that it can read.
    if full.one("Content-Encoding"):
        plain = server.get(case.path, tag=full.etag)
        assert plain.status == 200
    assert "-br-br" not in again.etag and "-gzip-gzip" not in again.etag


def test_two_codings_in_one_list(server):
    """The 304 names one of the client's tags and speaks for that one."""
    case = next(c for c in ENCODED if c.name == "deflate")
    by_tag = {answer.etag: answer for answer in (server.get(case.path), server.get(case.path, GZIP))}
    assert len(by_tag) == 2
    both = server.get(case.path, GZIP, tag=", ".join(by_tag))
    check_pair(by_tag[both.etag], both)
    # A representation without a coding may always be used on.
    plain = next(tag for tag in by_tag if not tag.endswith('-gzip"'))
    check_pair(by_tag[plain], server.get(case.path, GZIP, tag=plain))


def test_letter_follows_each_response(server):
    """A backend that changes its mind: each of the two tags brings back what its own 200 had."""
    path = "/t/moody"
    seen = {}
    for headers in ({}, {"Cache-Control": "max-age=7"}):
        server.backend.on(path, Reply(200, headers))
        full = server.get(path, tag='"x"')
        seen[letter(full.etag)] = full
    assert sorted(seen) == ["u", "v"]
    for full in seen.values():
        check_pair(full, server.get(path, tag=full.etag))


def test_head_and_get_have_one_tag(server):
    for case in PLAIN[:4]:
        assert server.request("HEAD", case.path).etag == server.get(case.path).etag


@pytest.mark.parametrize("alter", ["AddSuffix", "NoChange", "Remove"])
def test_encoders_that_treat_tags_otherwise(new_httpd, new_backend, alter):
    """The suffix does not depend on what the encoder does with tags."""
    cases = [Case("gz", "SetOutputFilter DEFLATE", sent=GZIP, body=LONG),
             Case("br", "SetOutputFilter BROTLI_COMPRESS", sent=BR, body=LONG)]
    server = build(new_httpd, new_backend(), cases, "filter deflate brotli",
                   f"DeflateAlterETag {alter}\nBrotliAlterETag {alter}")
    for case, suffix in zip(cases, ("-gzip", "-br")):
        full, _ = pair(server, case)
        assert full.one("Content-Encoding") and full.etag.endswith(suffix + '"')
