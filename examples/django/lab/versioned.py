# SPDX-License-Identifier: Apache-2.0
"""Views say which models their responses are made of."""
from functools import wraps

from django.conf import settings

from . import own_etags, versions


class VersionedMixin:
    """For class-based views: `etag_models`."""

    etag_models = ()

    def dispatch(self, request, *args, **kwargs):
        return _answer(super().dispatch, self.etag_models, request, args, kwargs)


class VersionedObjectMixin(VersionedMixin):
    """For views of one object, which has a version of its own, by the field that the URL names it by."""

    def get_object(self):
        instance = super().get_object()
        versions.ensure(f"{versions.label(type(instance))}:{getattr(instance, self.lookup_field)}")
        return instance


def versioned(*models):
    """For functions that are views."""
    def decorate(view):
        @wraps(view)
        def wrapper(request, *args, **kwargs):
            return _answer(view, models, request, args, kwargs)
        return wrapper
    return decorate


def _answer(view, models, request, args, kwargs):
    if not settings.LAB_OWN_ETAGS:
        # httpd compares; the application only sees to it that there is something to compare.
        if request.method in ("GET", "HEAD"):
            versions.ensure(*models)
        return view(request, *args, **kwargs)
    return own_etags.respond(view, models, request, args, kwargs)
