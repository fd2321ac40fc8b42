# SPDX-License-Identifier: Apache-2.0
"""System 4's own tags, for comparison: a mixin for the headers, and Django's ConditionalGetMiddleware for the rest.

Only lab.settings_own switches this on; then httpd's module is off.
"""
from django.conf import settings
from django.middleware.http import ConditionalGetMiddleware
from django.views.decorators.csrf import csrf_exempt

SAFE = "max-age=60, must-revalidate"
UNSAFE = "no-cache, no-store, must-revalidate"


class ETagMixin:
    """Cache-Control as system 4 has it: GET with 200 may be kept for a minute, everything else not at all."""

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = SAFE if request.method == "GET" and response.status_code == 200 else UNSAFE
        return response

    @classmethod
    def as_view(cls, *args, **kwargs):
        """The view behind the middleware: it hashes each finished body, and answers 304 if the client has it."""
        view = super().as_view(*args, **kwargs)

        def conditional(request, *a, **k):
            response = view(request, *a, **k).render()
            return ConditionalGetMiddleware(lambda _: response)(request)
        return csrf_exempt(conditional)


class _Plain:
    """No ETag code: httpd does it."""


def mixin():
    """What the viewsets inherit from: the mixin under lab.settings_own, else nothing."""
    return ETagMixin if getattr(settings, "LAB_OWN_ETAGS", False) else _Plain
