# SPDX-License-Identifier: Apache-2.0
"""Clients that keep for themselves what they got: curl with its files of tags, and a caching client of Python."""
import itertools
import subprocess
from types import SimpleNamespace

from . import places
from .tags import is_version
from .wait import PATIENCE

_ids = itertools.count(1)


class Curl:
    """Each run compares with the tag of the run before, and keeps file and tag."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder

    def __call__(self, path, *options):
        """The status, and httpd's word for why."""
        request_id = f"curl-{next(_ids)}"
        run = subprocess.run(
            [places.program("curl"), "-sS", "--etag-save", "tag", "--etag-compare", "tag", "-o", "page",
             "-w", "%{http_code}", "-H", f"X-Req: {request_id}", *options,
             f"http://localhost:{self.server.port}{path}"],
            cwd=self.folder, text=True, timeout=PATIENCE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert run.returncode == 0, run.stdout
        return int(run.stdout), self.server.why(SimpleNamespace(id=request_id))

    @property
    def tag(self):
        return (self.folder / "tag").read_text().strip()

    @property
    def page(self):
        return (self.folder / "page").read_text()


def new_cache():
    from cachecontrol.cache import DictCache  # pylint: disable=import-outside-toplevel; needed for these tests alone
    return DictCache()


class Caching:
    """A session of requests with a cache; `cookies` and `accept` are the user's."""

    def __init__(self, server, calls, cache=None, cookies=None, accept="gzip"):
        self.server, self.calls = server, calls
        import requests  # pylint: disable=import-outside-toplevel
        from cachecontrol import CacheControl  # pylint: disable=import-outside-toplevel
        self.session = CacheControl(requests.Session(), cache=new_cache() if cache is None else cache)
        self.session.trust_env = False
        self.session.headers["Accept-Encoding"] = accept
        self.session.cookies.update(cookies or {})

    def get(self, path, method="GET", **headers):
        request_id = f"py-{next(_ids)}"
        answer = self.session.request(method, f"http://localhost:{self.server.port}{path}", timeout=PATIENCE,
                                      headers={"X-Req": request_id, **headers})
        answer.id = request_id
        return answer

    def fetched(self, path, text, **headers):
        """What was not in the cache, or was no good any more."""
        answer = self.get(path, **headers)
        assert answer.status_code == 200 and not answer.from_cache and answer.text == text, answer.text[:20]
        assert is_version(answer.headers["ETag"])
        return answer

    def revalidated(self, path, text, why="early-304"):
        """The page of before, because httpd said 304 and did not ask the application."""
        calls = self.calls(path)
        answer = self.get(path)
        assert answer.status_code == 200 and answer.from_cache and answer.text == text, answer.text[:20]
        assert self.server.logged(answer)[:2] == (304, why)
        assert self.calls(path) == calls + (why != "early-304")
        return answer

    def close(self):
        self.session.close()
