# SPDX-License-Identifier: Apache-2.0
"""Fixtures: factories that remove what they made, and the judge of the error logs."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import fastcgi, httpd as httpd_module, redis as redis_module  # noqa: E402
from harness.backend import HttpBackend  # noqa: E402
from harness.drip import DripProxy  # noqa: E402
from harness.origin import Origin  # noqa: E402
from harness.sentinel import SentinelGroup  # noqa: E402


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
