# SPDX-License-Identifier: Apache-2.0
"""Conditional requests by the application itself, as such code often looks: for comparison, see settings_own.

It saves the work of rendering, and it has these faults, each of which a test shows:

- its 304 carries the ETag alone: Cache-Control and Vary of the 200 are lost, and caches forget them;
- the versions expire after as many seconds as clients keep the response: hardly a revalidation ever hits;
- the tag is made of versions alone, so all URLs with the same models share it;
- an outage of Redis is an error for each reader;
- versions are bumped before the commit (LAB_BUMP_ON_COMMIT), so old data can be stamped with the new version;
- a version that another program writes as an integer is an error, because the versions are joined as texts.
"""
import hashlib

from django.contrib.auth.models import User
from django.http import HttpResponseNotModified

from . import versions

MAX_AGE = 600


def tag_of(models):
    text = versions.get_model_version(*models)
    return 'W/"%s"' % hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def parse(header):
    """The tags of If-None-Match."""
    return [part.strip() for part in header.split(",") if part.strip()]


def respond(view, models, request, args, kwargs):
    """304 without calling the view, or its response with the tag."""
    if request.method not in ("GET", "HEAD") or User in models:  # pages that name their user are left alone
        return view(request, *args, **kwargs)
    tag = tag_of(models)
    if tag in parse(request.headers.get("If-None-Match", "")):
        response = HttpResponseNotModified()
        response["ETag"] = tag
        return response
    response = view(request, *args, **kwargs)
    if response.status_code == 200:
        response["ETag"] = tag
        response["Cache-Control"] = f"public, max-age={MAX_AGE}"
        response["Vary"] = "Accept-Encoding"
    return response
