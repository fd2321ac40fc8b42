# SPDX-License-Identifier: Apache-2.0
"""What a stranger or a customer sends costs work in proportion to its length, not to its square.

The bounds are far above what an honest answer needs, sanitizers included, and far below what a
quadratic one takes: memory is the child's high-water mark, time is its processor time.
"""
import os

import pytest

from harness.tags import is_version, with_suffix

FIELD = 65536  # what administrators with large cookies or Kerberos set LimitRequestFieldSize to
MEMORY_MOST_KB = 100_000
CPU_MOST_S = 2.0

SITE = """
LimitRequestFieldSize 65536
LimitRequestLine 8190
ProxyPass /p/ @BACKEND@/p/
<Location /p/>
  ETagVersion Version
  ETagVersionModels m
</Location>
<Location /p/cookie>
  ETagVersionIdentity cookie:sid
</Location>
<Location /p/cookies>
  ETagVersionIdentity cookie:sid cookie:sid2 header:X-Team
</Location>
<Location /p/varied>
  ETagVersionVary X-Kind
</Location>
"""


class Cost:
    """What the serving child has used since this object was made."""

    def __init__(self, server):
        (self._child,) = server.children()
        self._cpu, self._memory = self._cpu_s(), self._memory_kb()

    def _cpu_s(self):
        with open(f"/proc/{self._child}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory_kb(self):
        with open(f"/proc/{self._child}/status", encoding="ascii", errors="replace") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))

    def check(self):
        memory, cpu = self._memory_kb() - self._memory, self._cpu_s() - self._cpu
        assert memory < MEMORY_MOST_KB, f"{memory} kB more memory"
        assert cpu < CPU_MOST_S, f"{cpu} s of processor time"


@pytest.fixture(scope="module")
def server(shared_httpd, shared_backend):
    return shared_httpd(SITE.replace("@BACKEND@", shared_backend().url), "proxy")


def fill(unit, size=FIELD - 100):
    return (unit * (size // len(unit) + 1))[:size]


COOKIES = {
    "commas": "sid=,",
    "commas and spaces": "sid = , ",
    "semicolons": "sid=;",
    "long values": "sid=" + "v" * 500 + ",",
    "names that only begin like it": "sidx=,",
    "separators": ";,",
    "spaces": " ",
}


@pytest.mark.parametrize("path", ["/p/cookie", "/p/cookies"])
@pytest.mark.parametrize("unit", COOKIES.values(), ids=COOKIES.keys())
def test_cookie_fields(server, path, unit):
    cost = Cost(server)
    headers = [("Cookie", "a=b; " + fill(unit))]
    full = server.get(path, headers)
    assert full.status == 200 and is_version(full.etag)
    assert server.get(path, headers, tag=full.etag).status == 304
    cost.check()


VALUES = {"commas": ",", "members": "a,", "one long value": "x"}


@pytest.mark.parametrize("path, name", [("/p/cookies", "X-Team"), ("/p/varied", "X-Kind")])
@pytest.mark.parametrize("unit", VALUES.values(), ids=VALUES.keys())
def test_other_fields_of_tags(server, path, name, unit):
    cost = Cost(server)
    headers = [(name, fill(unit))]
    full = server.get(path, headers)
    assert full.status == 200 and is_version(full.etag)
    assert server.get(path, headers, tag=full.etag).status == 304
    cost.check()


PARTS = [*"abcdefghijklmnopqrstuvwxyz", *"01234"]
ACCEPTS = ",".join(PARTS[:-1]) + ","
CODED_LISTS = {
    "many parts": "-" + "+".join(PARTS),
    "one part": "-zz",
    "empty parts": "-" + "+" * 60,
    "one long part": "-" + "z" * 60,
}


@pytest.mark.parametrize("suffix", CODED_LISTS.values(), ids=CODED_LISTS.keys())
def test_lists_of_coded_tags(server, suffix):
    """Members of the right digest, each of which must be held against all of Accept-Encoding."""
    tag = with_suffix(server.get("/p/plain").etag, suffix)
    cost = Cost(server)
    answer = server.get("/p/plain", [("Accept-Encoding", ACCEPTS + fill("q,"))],
                        tag=fill(tag + ",", FIELD - 200).rsplit(",", 1)[0])
    assert answer.status == 200 and is_version(answer.etag)
    cost.check()


OTHER_LISTS = {
    "foreign tags": 'W/"x",',
    "commas": ",",
    "tags of other versions": 'W/"v0123456789012345678901-gzip",',
    "open quotes": 'W/"',
    "stars": "*,",
}


@pytest.mark.parametrize("unit", OTHER_LISTS.values(), ids=OTHER_LISTS.keys())
def test_lists_of_other_tags(server, unit):
    cost = Cost(server)
    answer = server.get("/p/plain", [("Accept-Encoding", fill("gzip;q=0,"))], tag=fill(unit))
    assert answer.status == 200 and is_version(answer.etag)
    cost.check()


@pytest.mark.parametrize("before", range(4))
def test_honest_lists_still_match(server, before):
    """One member of each of several codings, and the one that this client reads comes last."""
    tag = server.get("/p/plain").etag
    others = [with_suffix(tag, s) for s in ("-br", "-zstd", "-deflate")[:before]]
    gzip = with_suffix(tag, "-gzip")
    answer = server.get("/p/plain", [("Accept-Encoding", "gzip")], tag=", ".join([*others, gzip]))
    assert answer.status == 304 and answer.etag == gzip
    answer = server.get("/p/plain", tag=", ".join([*others, gzip, tag]))
    assert answer.status == 304 and answer.etag == tag


@pytest.mark.parametrize("count, tagged", [(1, True), (4, True), (5, False), (9, False)])
def test_responses_with_many_codings(new_httpd, new_backend, count, tagged):
    """No tag names more codings than a request is ever held against."""
    backend = new_backend()
    codings = [f"c{i}" for i in range(count)]
    backend.default.headers.append(("Content-Encoding", ", ".join(codings)))
    server = new_httpd(SITE.replace("@BACKEND@", backend.url), "proxy")
    accepts = [("Accept-Encoding", ", ".join(codings))]
    full = server.get("/p/plain", accepts)
    assert full.status == 200 and is_version(full.etag) == tagged, full
    if tagged:
        assert full.etag.endswith("-" + "+".join(codings) + '"')
        assert server.get("/p/plain", accepts, tag=full.etag).status == 304
        assert server.get("/p/plain", [("Accept-Encoding", "c0")] if count > 1 else [], tag=full.etag).status == 200


HOSTS = [*range(245, 262), *range(780, 1030)]


def test_host_of_every_length(server):
    """Lengths around those where a longer prefix is needed and where the room on the stack ends."""
    children = server.children()
    with server.connect() as connection:
        for length in HOSTS:
            host = "h" * (length - 1)
            full = connection.request("GET", "/p/plain", host=host + "z")
            assert full.status == 200 and is_version(full.etag), length
            upper = connection.request("GET", "/p/plain", [("If-None-Match", full.etag)],
                                       host=host.upper() + "Z")
            assert upper.status == 304 and upper.etag == full.etag, length
            other = connection.request("GET", "/p/plain", [("If-None-Match", full.etag)],
                                       host=host + "y")
            assert other.status == 200 and other.etag != full.etag, length
    assert server.children() == children


HTACCESS = '<Directory "@ROOT@/htdocs">\nAllowOverride FileInfo\n</Directory>'


def lines(directive, count, names, prefix=""):
    """That many lines of different names; httpd itself takes up to 8 kB in a line."""
    return "".join(f"{directive} " + " ".join(f"{prefix}{line:x}z{name:x}" for name in range(names)) + "\n"
                   for line in range(count))


BOMBS = {
    "names": lines("ETagVersionVary", 8, 1000),
    "names to add": lines("ETagVersionVary", 8, 1000, "+"),
    "lines": lines("ETagVersionVary", 4000, 1),
    "cookies": lines("ETagVersionIdentity", 8, 500, "cookie:"),
    "cookie lines": lines("ETagVersionIdentity", 2000, 1, "cookie:"),
    "models": lines("ETagVersionModels", 8, 1000),
    "models to add": lines("ETagVersionModels", 8, 1000, "+"),
    "model lines": lines("ETagVersionModels", 4000, 1),
}


@pytest.fixture(scope="module")
def customer(shared_httpd):
    server = shared_httpd(HTACCESS, start=False)
    server.write("htdocs/a/x.txt", "a\n")
    return server.start()


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_htaccess(customer, text):
    """Too many names are an error of the customer's own site, found before they cost anything."""
    customer.write("htdocs/a/.htaccess", text)
    customer.log.expect("core:alert.*at most [0-9]+ (names )?are accepted")
    cost = Cost(customer)
    assert customer.get("/a/x.txt").status == 500
    cost.check()
    customer.write("htdocs/a/.htaccess", "")
    assert customer.get("/a/x.txt").status == 200


@pytest.mark.parametrize("sign", ["", "+"])
def test_htaccess_with_many_names(customer, sign):
    """A list that nobody would call short is fine, and the same name counts once."""
    once = " ".join(f"{sign}X-H{i}" for i in range(60))
    customer.write("htdocs/a/.htaccess", "ETagVersion Version\nETagVersionModels m\nETagVersionIdentity none\n"
                   f"ETagVersionUpstreamETag Replace\nETagVersionVary {once}\nETagVersionVary {once}\n")
    customer.bump("m")
    answer = customer.get("/a/x.txt")
    assert answer.members("Vary") == sorted(f"x-h{i}" for i in range(60))
    assert is_version(answer.etag)
    assert customer.get("/a/x.txt", tag=answer.etag).status == 304
    assert customer.get("/a/x.txt", [("X-H59", "1")], tag=answer.etag).status == 200


@pytest.mark.parametrize("sign", ["+", ""])
@pytest.mark.parametrize("each", [1, 100])
def test_htaccess_in_every_folder(customer, each, sign):
    """What every folder on the way to a file says about the list comes to one list."""
    folder, names = f"d{each}{len(sign)}", []
    customer.write(f"htdocs/{folder}/.htaccess",
                   "ETagVersion Version\nETagVersionModels m\nETagVersionUpstreamETag Replace\n")
    for depth in range(20):
        folder += "/d"
        more = [f"X-D{depth}-{i}" for i in range(each)]
        names = [*names, *more] if sign else more
        customer.write(f"htdocs/{folder}/.htaccess", "ETagVersionVary " + " ".join(sign + n for n in more) + "\n")
    customer.write(f"htdocs/{folder}/x.txt", "deep\n")
    customer.bump("m")
    cost = Cost(customer)
    full = customer.get(f"/{folder}/x.txt")
    again = customer.get(f"/{folder}/x.txt", tag=full.etag)
    cost.check()
    assert full.status == 200
    if full.members("Vary") != ["*"]:  # too many to say one by one: the response varies on everything
        assert full.members("Vary") == sorted(n.lower() for n in names)
        assert is_version(full.etag) and again.status == 304
    else:
        assert len(names) > 100 and not is_version(full.etag)
