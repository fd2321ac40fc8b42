# SPDX-License-Identifier: Apache-2.0
"""Sites that bump by themselves, and questions about their pages."""
import threading
import time

from .tags import is_version
from .wait import until

MODEL = "m"
# What hosts say about a store that is not there.
NO_STORE = r"ETV01(01|06|07|08|11|12|13|17|20|31|51)"
SITE = f"""
<Location />
  ETagVersion Version
  ETagVersionModels {MODEL}
  ETagVersionInvalidate models
</Location>
"""


def proxied(backend, options=""):
    """Everything comes from a backend, but what the test's own handlers serve."""
    return f"ProxyPass /bump !\nProxyPass / {backend.url}/ disablereuse=on {options}\n"


def stored(url, freshness="strict", patience="5s"):
    """Lines for a store that may be slow on a busy machine."""
    return (f"ETagVersionStore {url}\nETagVersionFreshness {freshness}\n"
            f"ETagVersionStoreTimeout connect={patience} command={patience}\n")


def page_tag(server, path="/page", **more):
    """The version tag of a page, which is served at once."""
    answer = server.get(path, **more)
    assert answer.status == 200 and is_version(answer.etag), f"{server.why(answer)}: {answer}"
    return answer.etag


def await_pages(server, old, path="/page", **more):
    """
    Until a page has a tag again, and is answered from it; returns it. The old tag must not be good meanwhile.
    """
    found = [None]

    def tagged():
        answer = server.get(path, tag=old, **more)
        assert answer.status == 200, f"304 to a tag of old data: {answer}"
        found[0] = answer.etag
        return is_version(answer.etag)
    until(tagged, f"version tags for {path}")
    assert found[0] != old
    assert server.get(path, tag=found[0], **more).status == 304
    return found[0]


def post(server):
    """A POST on its way; the connection."""
    client = server.connect()
    client.send(b"POST /page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    return client


class Data:
    """An application with one number. POST /page commits a new one, and answers when the test says so."""

    def __init__(self, origin):
        self.origin, self.number, self.committed_at = origin, 0, 0.0
        self.lock = threading.Lock()
        self.hold_before = self.hold_after = None
        origin.default = self.answer

    def answer(self, exchange):
        if exchange.method == "POST":
            if self.hold_before:
                exchange.wait(self.hold_before)
            with self.lock:
                self.number += 1
                self.committed_at = time.monotonic()
            if self.hold_after:
                exchange.wait(self.hold_after)
        body = f"{self.number}\n".encode()
        exchange.head(f"Content-Length: {len(body)}")
        if exchange.method != "HEAD":
            exchange.send(body)
