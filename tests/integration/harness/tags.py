# SPDX-License-Identifier: Apache-2.0
"""The text of the module's tags, and questions that many tests ask."""
import re

# Letter, digest, the list of models and the set of header fields that it names, coding.
OWN = re.compile(r'(?:W/)?"([vuch])([A-Za-z0-9_-]{22})((?:\.[A-Za-z0-9_-]{22})?)((?:~[A-Za-z0-9_-]{22})?)'
                 r'((?:-[a-z0-9+]+)?)"\Z')
CACHING = ("Cache-Control", "Expires", "Vary")


def is_version(tag):
    """Whether this is a version tag of the module."""
    found = OWN.match(tag or "")
    return bool(found) and found.group(1) in "vu"


def letter(tag):
    assert is_version(tag), f"not a version tag: {tag}"
    return OWN.match(tag).group(1)


def with_letter(tag, new):
    start = tag.index('"') + 1
    return tag[:start] + new + tag[start + 1:]


def with_suffix(tag, suffix):
    return f'{tag[:-1]}{suffix}"'


def digest(tag):
    return OWN.match(tag).group(2)


def names(tag):
    """What a tag names, as it stands in the text: of models, of header fields; empty for nothing."""
    return OWN.match(tag).group(3, 4)


def coding(tag):
    """The suffix that names a content coding, with its dash; empty for none."""
    return OWN.match(tag).group(5)


def check_pair(full, again):
    """Law 5 for a 200 and the early 304 to its tag."""
    assert full.status == 200 and is_version(full.etag), full
    assert again.status == 304 and again.body == b"", again
    assert again.etag == full.etag
    for name in ("Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding",
                 "Set-Cookie", "Last-Modified", "X-Origin"):
        assert not again.all(name), f"{name} on an early 304: {again}"
    if letter(full.etag) == "v":
        assert again.one("Cache-Control") == full.one("Cache-Control"), f"{full} {again}"
        assert again.members("Vary") == full.members("Vary"), f"{full} {again}"
        assert bool(again.one("Expires")) == bool(full.one("Expires"))
    elif names(full.etag)[1]:
        for name in CACHING:
            assert again.one(name) == full.one(name), f"{full} {again}"
    else:
        for name in CACHING:
            assert not again.all(name), f"{name} on the 304 to a u tag: {again}"
