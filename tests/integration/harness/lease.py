# SPDX-License-Identifier: Apache-2.0
"""Questions about the table of versions that a store's pushes keep up to date."""
import re
import time

from .tags import is_version
from .wait import PATIENCE, until

PUSHED, UNPUSHED, REFUSED, LEADS = "ETV0130", "ETV0131", "ETV0132", "ETV0133"

# Models of the pages /lit/NAME, named in the configuration; those of /by/NAME come from the request.
LITERALS = ("l0", "l1", "l2", "l3")
SITE = """
<Location />
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels m
</Location>
<LocationMatch "^/by/(?<NAME>[^/]+)$">
  ETagVersionModels %{env:MATCH_NAME}
</LocationMatch>
""" + "".join(f"""
<LocationMatch "^/lit/{name}$">
  ETagVersionModels {name}
</LocationMatch>""" for name in LITERALS)
ALIASES = """
AliasMatch "^/(by|lit)/" "@ROOT@/htdocs/x.txt"
"""
KEY = "model_version:m"

# Enough children to tell them apart, and no more come later; places are left for a next generation.
CHILDREN = {
    "event": "StartServers 3\nServerLimit 9\nThreadsPerChild 8\nMaxRequestWorkers 24\n"
             "MinSpareThreads 1\nMaxSpareThreads 24",
    "worker": "StartServers 3\nServerLimit 9\nThreadsPerChild 8\nMaxRequestWorkers 24\n"
              "MinSpareThreads 1\nMaxSpareThreads 24",
    "prefork": "StartServers 6\nServerLimit 6\nMinSpareServers 1\nMaxSpareServers 6\nMaxRequestWorkers 6",
}


def pids(server, tag):
    """The processes that wrote lines with this tag, in order."""
    return [int(re.search(r"\[pid (\d+)", line).group(1)) for line in server.log.lines(tag + ":")]


def leader(server):
    """The process that leads, as far as the log tells; None before the first."""
    found = pids(server, LEADS)
    return found[-1] if found else None


def await_table(server):
    """Until the table is in use."""
    until(lambda: server.log.lines(PUSHED + ":"), "the table to be in use")
    return server


def await_use(server, redis, path="/x.txt"):
    """Until hardly any of several requests ask. The log tells a change back and forth only after a while."""
    def used():
        before = calls(redis, "mget")
        for _ in range(20):
            assert server.get(path).status == 200
        return calls(redis, "mget") - before <= 5
    until(used, "the table to be in use again")


def await_other_leader(server, old):
    return until(lambda: leader(server) not in (None, old) and leader(server), "another leader")


def tag_of(server, path="/x.txt", **more):
    answer = server.get(path, **more)
    assert answer.status == 200 and is_version(answer.etag), f"{server.why(answer)}: {answer}"
    return answer.etag


def await_tag(server, path="/x.txt", **more):
    """A version tag, as soon as there are any."""
    def one():
        answer = server.get(path, **more)
        assert answer.status == 200, answer
        return answer.etag if is_version(answer.etag) else None
    return until(one, "version tags to come back")


def calls(redis, *names):
    """How often each of the commands has run on the server."""
    text = redis("INFO", "commandstats").decode()
    found = {name: int(n) for name, n in re.findall(r"^cmdstat_([^:]+):calls=(\d+)", text, re.M)}
    return [found.get(name, 0) for name in names] if len(names) != 1 else found.get(names[0], 0)


def await_hits(server, redis, path="/x.txt", **more):
    """Until requests are answered from the table; returns the tag. The lease must be long."""
    tag = [None]

    def quiet():
        tag[0] = await_tag(server, path, **more)
        before = calls(redis, "mget")
        return all(server.get(path, tag=tag[0], **more).status == 304 for _ in range(3)) and \
            calls(redis, "mget") == before
    until(quiet, "requests that ask nobody")
    return tag[0]


def await_change(server, tag, acknowledged, lease, path="/x.txt", **more):
    """
    Ask with an old tag until it is refused: at the latest for a request that arrives `lease` seconds
    after the moment of the acknowledgement. Returns how long the tag was good for, and the answer.
    """
    deadline = time.monotonic() + PATIENCE
    good = 0.0
    while True:
        asked = time.monotonic()
        answer = server.get(path, tag=tag, **more)
        if answer.status != 304:
            assert answer.status == 200 and answer.etag != tag, answer
            return good, answer
        good = asked - acknowledged
        assert good <= lease, f"304 for a request {good:.3f} s after the acknowledged change"
        assert asked < deadline


def acknowledged(redis, *command):
    """Run a command; the moment when its answer was here."""
    redis(*command)
    return time.monotonic()
