# SPDX-License-Identifier: Apache-2.0
"""Compressed responses: whoever compresses and however it is configured, one weak tag with one suffix, and Vary."""
from itertools import product

import pytest

from harness import pages
from harness.backend import Reply
from harness.codings import decode, gzipped
from harness.reader import is_content
from harness.tags import coding as suffix, digest, with_suffix

WORDS = "All the proteins of the table, and what is known of them.\n" * 40
OTHER_WORDS = "Some other proteins of the table, and what is known of them.\n" * 40
CODINGS = {"gzip": "DEFLATE", "br": "BROTLI_COMPRESS"}
# Ways to put an encoder into the chain. A smart filter that is declared without a type runs as RESOURCE,
# before everything that looks at the content.
IF_TEXT = '"%{{CONTENT_TYPE}} =~ m#^text/#"'
WAYS = {
    "set": "SetOutputFilter {filter}",
    "add": "AddOutputFilterByType {filter} text/plain text/html",
    "smart": f"FilterProvider P{{id}} {{filter}} {IF_TEXT}\nFilterChain P{{id}}",
    "content_set": f"FilterDeclare C{{id}} CONTENT_SET\nFilterProvider C{{id}} {{filter}} {IF_TEXT}\n"
                   "FilterChain C{id}",
    "resource": f"FilterDeclare R{{id}}\nFilterProvider R{{id}} {{filter}} {IF_TEXT}\nFilterChain R{{id}}",
}
ALTER = ["AddSuffix", "NoChange", "Remove"]
SITE = """
<LocationMatch "^/(http|cgi|wsgi|static)/">
  ETagVersion Content
</LocationMatch>
<LocationMatch "^/static/|/replaced">
  ETagVersionUpstreamETag Replace
</LocationMatch>
<LocationMatch "/inflate">
  SetOutputFilter INFLATE
</LocationMatch>
<LocationMatch "/again">
  SetOutputFilter INFLATE;DEFLATE
</LocationMatch>
<LocationMatch "/both">
  SetOutputFilter DEFLATE;BROTLI_COMPRESS
</LocationMatch>
<LocationMatch "/(choice|replaced|strong)">
  AddOutputFilterByType BROTLI_COMPRESS;DEFLATE text/plain
</LocationMatch>
<LocationMatch "/strong">
  ETagVersionStrength Strong
</LocationMatch>
"""
# The first virtual host answers to every name.
HOST = """
<VirtualHost *:@PORT@>
  ServerName {alter}.example
  DeflateAlterETag {alter}
  BrotliAlterETag {alter}
</VirtualHost>
"""


def _location(way, coding):
    lines = WAYS[way].format(filter=CODINGS[coding], id=f"_{coding}")
    return f'<LocationMatch "/{way}-{coding}">\n{lines}\n</LocationMatch>\n'


@pytest.fixture(scope="module")
def server(shared_httpd):
    conf = (SITE + "".join(_location(way, coding) for way, coding in product(WAYS, CODINGS))
            + "".join(HOST.format(alter=alter) for alter in ALTER))
    made = pages.serve(shared_httpd, conf, "http cgi wsgi static", "filter deflate brotli")
    yield made
    pages.close_pages(made)


class Client:
    """One client of a virtual host; accept=None sends no Accept-Encoding."""

    def __init__(self, server, path, alter="AddSuffix"):
        self._server, self._path, self._host = server, path, f"{alter}.example"

    def get(self, accept=None, tag=None, **fields):
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if accept is not None:
            headers["Accept-Encoding"] = accept
        return self._server.get(self._path, headers, tag=tag, host=self._host)

    def revalidates(self, whole, accept, tag):
        """304 with the tag that matched, and what the 200 said about caching."""
        again = self.get(accept, tag)
        assert again.status == 304 and again.body == b"", (accept, tag, again)
        assert again.etag == tag
        assert again.members("Vary") == whole.members("Vary")
        for name in ("Content-Encoding", "Content-Type", "Content-Length"):
            assert not again.all(name), again

    def does_not(self, accept, tag, want):
        """The whole representation, the same as `want`."""
        answer = self.get(accept, tag)
        assert (answer.status, answer.etag) == (200, want.etag), (accept, tag, answer)
        assert answer.one("Content-Encoding") == want.one("Content-Encoding") and decode(answer) == decode(want)


def check_coded(answer, coding, text=WORDS):
    assert answer.status == 200 and answer.one("Content-Encoding") == coding, answer
    assert decode(answer) == text
    assert "accept-encoding" in answer.members("Vary"), answer


@pytest.mark.parametrize("kind, way, coding, alter",
                         list(product(["http"], WAYS, CODINGS, ALTER))
                         + list(product(["cgi", "wsgi", "static"], ["set", "add", "resource"], CODINGS, ["AddSuffix"])))
def test_own_tags(server, kind, way, coding, alter):
    name = f"{way}-{coding}"
    client = Client(server, server.pages[kind].put(name, WORDS), alter)
    plain, coded = client.get(), client.get(coding)
    assert plain.status == 200 and plain.text == WORDS and not plain.all("Content-Encoding")
    assert is_content(plain.etag) and plain.etag.startswith('"c') and not plain.etag.endswith(f'-{coding}"')
    check_coded(coded, coding)
    assert coded.etag == "W/" + with_suffix(plain.etag, f"-{coding}")
    assert "accept-encoding" in plain.members("Vary")
    for _ in range(3):
        assert client.get(coding).etag == coded.etag, "the same representation, another tag"
    other = "br" if coding == "gzip" else "gzip"
    client.revalidates(coded, coding, coded.etag)
    client.revalidates(coded, f"identity;q=0.1, {coding};q=0.5", coded.etag)
    client.revalidates(coded, coding, plain.etag)
    client.revalidates(plain, None, plain.etag)
    client.does_not(None, coded.etag, plain)
    client.does_not(f"{coding};q=0", coded.etag, plain)
    client.does_not(coding, "W/" + with_suffix(plain.etag, f"-{other}"), coded)
    # If-Match compares strongly: with the tag of what the coded bytes stand for, never with a weak one.
    assert client.get(coding, If_Match=plain.etag).status == 200
    assert client.get(coding, If_Match=coded.etag).status == 412
    # A part of the one must not be put behind a part of the other.
    for tag in (plain.etag, coded.etag):
        check_coded(client.get(coding, Range="bytes=5-9", If_Range=tag), coding)
    assert client.get(None, Range="bytes=5-9", If_Range=plain.etag).text == WORDS[5:10]
    server.pages[kind].put(name, OTHER_WORDS)
    for tag in (plain.etag, coded.etag):
        changed = client.get(coding, tag)
        check_coded(changed, coding, OTHER_WORDS)
        assert suffix(changed.etag) == f"-{coding}" and digest(changed.etag) != digest(plain.etag)


@pytest.mark.parametrize("own", ['"theirs"', 'W/"theirs"'], ids=["strong", "weak"])
@pytest.mark.parametrize("way, coding, alter", list(product(WAYS, CODINGS, ALTER)))
def test_kept_tags(server, way, coding, alter, own):
    """The backend's own tag stands for what httpd encodes; it becomes weak, with the suffix."""
    client = Client(server, server.pages["http"].put(f"{way}-{coding}", WORDS, [("ETag", own)]), alter)
    plain, coded = client.get(), client.get(coding)
    assert plain.status == 200 and plain.text == WORDS and plain.etag == own
    check_coded(coded, coding)
    assert coded.etag == f'W/"theirs-{coding}"'
    client.revalidates(coded, coding, coded.etag)
    client.revalidates(coded, coding, own)
    client.revalidates(plain, None, own)
    client.does_not(None, coded.etag, plain)
    client.does_not(coding, '"other"', coded)
    assert client.get(coding, If_Match='"theirs"').status == (200 if own == '"theirs"' else 412)
    assert client.get(coding, If_Match=coded.etag).status == 412
    check_coded(client.get(coding, Range="bytes=5-9", If_Range='"theirs"'), coding)


def test_tags_that_look_coded_already(server):
    """A suffix of the backend's is a part of its tag like any other."""
    client = Client(server, server.pages["http"].put("set-gzip", WORDS, [("ETag", '"theirs-br"')]))
    plain, coded = client.get(), client.get("gzip")
    assert (plain.etag, coded.etag) == ('"theirs-br"', 'W/"theirs-br-gzip"')
    client.revalidates(coded, "gzip", '"theirs-br"')
    client.revalidates(plain, None, '"theirs-br"')


@pytest.mark.parametrize("alter", ALTER)
@pytest.mark.parametrize("kind", ["http", "cgi", "wsgi"])
def test_replaced_and_strong(server, kind, alter):
    """Coded bytes differ from time to time, so no strength makes their tag strong."""
    for name, headers in (("replaced", [("ETag", '"theirs"')]), ("strong", [])):
        client = Client(server, server.pages[kind].put(name, WORDS, headers), alter)
        plain, coded = client.get(), client.get("gzip")
        assert is_content(plain.etag) and plain.etag.startswith('"')
        check_coded(coded, "gzip")
        assert coded.etag == "W/" + with_suffix(plain.etag, "-gzip")
        client.revalidates(coded, "gzip", plain.etag)


@pytest.mark.parametrize("alter", ALTER)
def test_two_codings_to_choose_from(server, alter):
    client = Client(server, server.pages["http"].put("choice", WORDS), alter)
    plain, packed, br = client.get(), client.get("gzip"), client.get("gzip, br")
    check_coded(packed, "gzip")
    check_coded(br, "br")
    assert digest(plain.etag) == digest(packed.etag) == digest(br.etag)
    assert br.etag.endswith('-br"') and packed.etag.endswith('-gzip"')
    for tag in (plain.etag, packed.etag, br.etag):
        client.revalidates(br, "gzip, br", tag)
    client.does_not("gzip", br.etag, packed)
    client.does_not("br", packed.etag, br)
    client.revalidates(packed, "gzip", f"{packed.etag}")


def test_both_encoders_in_a_row(server):
    """The second one leaves alone what is coded already."""
    client = Client(server, server.pages["http"].put("both", WORDS))
    plain = client.get()
    for accept in ("gzip", "br", "gzip, br", "br, gzip"):
        coded = client.get(accept)
        coding = coded.one("Content-Encoding")
        check_coded(coded, coding)
        assert coded.etag == "W/" + with_suffix(plain.etag, f"-{coding}")
        client.revalidates(coded, accept, coded.etag)
        client.revalidates(coded, accept, plain.etag)


def test_too_small_to_be_coded(server):
    """What an encoder passes on as it is keeps its strong tag."""
    client = Client(server, server.pages["http"].put("set-gzip", "tiny\n"))
    plain, packed = client.get(), client.get("gzip")
    assert decode(packed) == "tiny\n"
    if not packed.all("Content-Encoding"):
        assert packed.etag == plain.etag and packed.etag.startswith('"c')
    client.revalidates(packed, "gzip", plain.etag)
    client.revalidates(packed, "gzip", packed.etag)


# --- backends that encode by themselves -------------------------------------------------------------

def origin(text=WORDS, headers=(), coding="gzip", always=False):
    """Sends gzip to whom it may; the name of the coding is the test's."""
    def reply(request):
        accepted = (request.get("Accept-Encoding") or "").replace("gzip;q=0", "")
        if always or "gzip" in accepted:
            return Reply(200, [*headers, ("Content-Encoding", coding)], gzipped(text))
        return Reply(200, headers, text)
    return reply


@pytest.mark.parametrize("name", ["bare", "set-gzip", "add-gzip", "content_set-gzip", "resource-gzip", "set-br",
                                  "both"])
@pytest.mark.parametrize("vary", [[], [("Vary", "Accept-Encoding")], [("Vary", "accept-encoding, X-Kind")]],
                         ids=["none", "alone", "more"])
def test_backend_that_encodes(server, name, vary):
    """With or without an encoder in front, which finds nothing to do."""
    path = f"/http/{name}"
    server.pages["http"].backend.on(path, origin(headers=vary))
    client = Client(server, path)
    coded = client.get("gzip")
    check_coded(coded, "gzip")
    assert coded.body == gzipped(WORDS), "coded twice"
    assert is_content(coded.etag) and coded.etag.startswith('W/"') and suffix(coded.etag) == "-gzip"
    assert coded.members("Vary") == sorted({"accept-encoding", *(["x-kind"] if "X-Kind" in str(vary) else [])})
    client.revalidates(coded, "gzip", coded.etag)
    plain = client.get()
    assert plain.text == WORDS and plain.etag.startswith('"c') and not suffix(plain.etag)
    client.does_not(None, coded.etag, plain)
    client.does_not("gzip;q=0", coded.etag, client.get("gzip;q=0"))
    client.revalidates(plain, None, plain.etag)
    server.pages["http"].backend.on(path, origin(OTHER_WORDS, vary))
    changed = client.get("gzip", coded.etag)
    check_coded(changed, "gzip", OTHER_WORDS)
    assert digest(changed.etag) != digest(coded.etag)


def test_tag_of_a_backend_that_encodes(server):
    """It knows which of its representations the tag is for."""
    server.pages["http"].backend.on("/http/bare", origin(headers=[("ETag", '"theirs"')]))
    client = Client(server, "/http/bare")
    coded = client.get("gzip")
    assert coded.etag == '"theirs"' and coded.body == gzipped(WORDS)
    assert client.get("gzip", '"theirs"').status == 304


@pytest.mark.parametrize("coding, suffix, accept", [
    ("gzip", "-gzip", "gzip"), ("GZip", "-gzip", "gzip"), ("x-gzip", None, "gzip, x-gzip"), ("zstd", "-zstd", "zstd"),
    ("deflate", "-deflate", "deflate"), ("gzip, br", None, "gzip, br")])
def test_other_codings_of_a_backend(server, coding, suffix, accept):
    """Coded for everyone; a 304 confirms that only to clients that say they can read it."""
    server.pages["http"].backend.on("/http/bare", origin(coding=coding, always=True))
    client = Client(server, "/http/bare")
    coded = client.get(accept)
    assert coded.body == gzipped(WORDS) and coded.one("Content-Encoding") == coding
    assert "accept-encoding" in coded.members("Vary")
    if suffix is None and coded.etag is None:
        return  # no tag is as good
    assert is_content(coded.etag) or suffix is None
    assert coded.etag.startswith('W/"c') and coded.etag.endswith(f'{suffix or ""}"')
    assert suffix is None or coded.etag.count(suffix) == 1
    if suffix:
        client.revalidates(coded, accept, coded.etag)
        for other in (None, "identity"):
            assert client.get(other, coded.etag).status == 200, other


@pytest.mark.parametrize("alter", ALTER)
def test_inflated(server, alter):
    """Unpacked on the way: the same as if the backend had never packed it."""
    same = Client(server, server.pages["http"].put("bare", WORDS), alter).get()
    server.pages["http"].backend.on("/http/inflate", origin(always=True))
    client = Client(server, "/http/inflate", alter)
    for accept in (None, "gzip"):
        plain = client.get(accept)
        assert plain.text == WORDS and not plain.all("Content-Encoding")
        assert plain.etag == same.etag
        client.revalidates(plain, accept, plain.etag)
        part = client.get(accept, Range="bytes=5-9", If_Range=plain.etag)
        assert part.status == 206 and part.text == WORDS[5:10]


@pytest.mark.parametrize("alter", ALTER)
def test_inflated_and_coded_again(server, alter):
    server.pages["http"].backend.on("/http/again", origin(always=True))
    client = Client(server, "/http/again", alter)
    plain, coded = client.get(), client.get("gzip")
    assert plain.text == WORDS and not plain.all("Content-Encoding") and plain.etag.startswith('"c')
    check_coded(coded, "gzip")
    assert coded.etag == "W/" + with_suffix(plain.etag, "-gzip")
    client.revalidates(coded, "gzip", coded.etag)
    client.revalidates(coded, "gzip", plain.etag)
    client.does_not(None, coded.etag, plain)
