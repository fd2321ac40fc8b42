# SPDX-License-Identifier: Apache-2.0
"""What reached Django, counted where nothing can be in front of it."""
import itertools
import os

from django.conf import settings

_calls = itertools.count(1)


class CountCalls:
    """Outermost: a line `METHOD path?query user status` for each request, in LAB_DATA/calls.log."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.path = str(settings.LAB_DATA / "calls.log")

    def __call__(self, request):
        response = self.get_response(request)
        line = f"{request.method} {request.get_full_path()} {_user(request)} {response.status_code}\n"
        # One write in append mode: lines of several threads and processes do not mix.
        log = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(log, line.encode("utf-8", "backslashreplace"))
        finally:
            os.close(log)
        if settings.LAB_DEBUG:
            response["X-Backend-Call"] = str(next(_calls))
        return response


def _user(request):
    """The name, looked up only for requests that bring a session: the response's Vary is final by now."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return "-"
    user = getattr(request, "user", None)
    return user.get_username() if user is not None and user.is_authenticated else "-"
