# SPDX-License-Identifier: Apache-2.0
"""Fixtures: factories that remove what they made, and the judge of the error logs."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import fastcgi, httpd as httpd_module, redis as redis_module  # noqa: E402
from harness.backend import HttpBackend  # noqa: E402
from harness.drip import DripProxy  # noqa: E402
from harness.lab import Lab  # noqa: E402
from harness.nginx import Nginx  # noqa: E402
from harness.origin import Origin  # noqa: E402
from harness.sentinel import SentinelGroup  # noqa: E402
from harness.varnish import Varnish  # noqa: E402


def _servers():
    made = []

    def make(conf="", modules="", start=True, **more):
        server = httpd_module.Httpd(conf, modules, **more)
        made.append(server)
        return server.start() if start else server
    yield make
    problems = [p for server in reversed(made) for p in server.dispose()]
    assert not problems, "error log or end of httpd:\n" + "\n".join(problems)


def _closing(kind):
    made = []

    def make(*args, **more):
        made.append(kind(*args, **more))
        return made[-1]
    yield make
    for thing in reversed(made):
        thing.close()


def _fixture(name, function, scope, *args):
    def wrapper():
        yield from function(*args)
    wrapper.__name__ = name
    return pytest.fixture(scope=scope, name=name)(wrapper)


# httpd ends before the stores that it listens to: it would complain about their end.
@pytest.fixture
def new_httpd(new_redis):  # pylint: disable=unused-argument
    yield from _servers()


@pytest.fixture(scope="module")
def shared_httpd(shared_redis):  # pylint: disable=unused-argument
    yield from _servers()


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory, worker_id):
    """A folder that all workers see, for the database that they copy."""
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "lab"


def _labs(folder):
    made = []

    def make(**more):
        made.append(Lab(folder, start=False, **more))
        return made[-1].start()
    yield make
    problems = [p for lab in reversed(made) for p in lab.close()]
    assert not problems, "error log or end of httpd:\n" + "\n".join(problems)


@pytest.fixture
def new_lab(lab_folder):
    yield from _labs(lab_folder)


@pytest.fixture(scope="module")
def shared_lab(lab_folder):
    yield from _labs(lab_folder)


# new_*: per test; shared_*: for servers that the tests of a file use together.
new_backend = _fixture("new_backend", _closing, "function", HttpBackend)
shared_backend = _fixture("shared_backend", _closing, "module", HttpBackend)
new_origin = _fixture("new_origin", _closing, "function", Origin)
shared_origin = _fixture("shared_origin", _closing, "module", Origin)
new_fastcgi = _fixture("new_fastcgi", _closing, "function", fastcgi.FastCgi)
new_php = _fixture("new_php", _closing, "function", fastcgi.PhpFpm)
new_redis = _fixture("new_redis", _closing, "function", redis_module.RedisServer)
shared_redis = _fixture("shared_redis", _closing, "module", redis_module.RedisServer)
new_sentinels = _fixture("new_sentinels", _closing, "function", SentinelGroup)
new_drip = _fixture("new_drip", _closing, "function", DripProxy)


def _browsers():
    from harness.browser import Browser  # pylint: disable=import-outside-toplevel; selenium is needed for these alone
    yield from _closing(Browser)


new_browser = _fixture("new_browser", _browsers, "function")
shared_browser = _fixture("shared_browser", _browsers, "module")
new_nginx = _fixture("new_nginx", _closing, "function", Nginx)
shared_nginx = _fixture("shared_nginx", _closing, "module", Nginx)
new_varnish = _fixture("new_varnish", _closing, "function", Varnish)
shared_varnish = _fixture("shared_varnish", _closing, "module", Varnish)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What a test asks for says what it is. The GraphQL tests are of the module, whatever else they use."""
    for item in items:
        if "test_graphql" in item.nodeid:
            continue
        for mark, things in (("systems", "lab nginx varnish browser"), ("browser", "browser")):
            if {f"{kind}_{thing}" for kind in ("new", "shared") for thing in things.split()} & set(item.fixturenames):
                item.add_marker(mark)


@pytest.fixture(autouse=True)
def judge_error_logs():
    """After each test: no server may have logged anything bad that the test did not announce."""
    yield
    problems = [p for server in list(httpd_module.LIVE) for p in server.log.problems()]
    assert not problems, "error log:\n" + "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of each running server's error log with a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when == "call":
        for server in list(httpd_module.LIVE):
            tail = "\n".join(line for line in server.log.text().splitlines()[-60:]
                             if not line.endswith("the backend is not asked"))
            report.sections.append((f"error log of {server.root.name}", tail))
