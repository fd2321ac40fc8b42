# SPDX-License-Identifier: Apache-2.0
"""Free ports on the loopback interface, a range of their own for each pytest worker.

The ranges lie below the kernel's ephemeral ports, so a client's local port never takes one. Between
looking and binding another run of the tests may still win: whoever listens retries with the next.
"""
import os
import socket

_FIRST, _EACH, _WORKERS = 20000, 1000, 12
_next = None


def _range_start():
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return _FIRST + int(worker[2:]) % _WORKERS * _EACH


def _is_free(port, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host="127.0.0.1"):
    """A port that nobody listens on right now; never the same one twice in a row."""
    global _next
    if _next is None:
        _next = os.getpid() % _EACH  # runs of the tests beside each other begin at different places
    for _ in range(_EACH):
        port = _range_start() + _next % _EACH
        _next += 1
        if _is_free(port, host):
            return port
    raise AssertionError("no free port in this worker's range")
