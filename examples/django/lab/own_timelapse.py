# SPDX-License-Identifier: Apache-2.0
"""System 3's own tags, for comparison. Only lab.settings_own switches them on; then httpd's module is off.

They are as the original's: a tag is made of what the view looks at (a timestamp, a number and a timestamp, a count and
the latest timestamp, or the bytes), of nothing else, and a 304 says nothing but the tag. So two users whose settings
have the same timestamp share a tag, and a collection that loses one image and is given an older one keeps its tag.
"""
import functools
import hashlib

from django.conf import settings
from django.http import HttpResponse


def timestamp_etag(moment):
    return f'"{int(moment.timestamp())}"'


def composite_etag(number, moment):
    return f'"{number}-{int(moment.timestamp())}"'


def collection_etag(count, latest):
    return f'"{count}-{int(latest.timestamp()) if latest else 0}"'


def content_etag(body):
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def extract_etags(header):
    """The tags of an If-None-Match, without their W/."""
    return [tag.strip()[2:] if tag.strip().startswith("W/") else tag.strip() for tag in header.split(",")]


def validate_etag_match(request, etag):
    sent = extract_etags(request.headers.get("If-None-Match", ""))
    return "*" in sent or etag in sent


def _not_modified(etag):
    response = HttpResponse(status=304)
    response["ETag"] = etag
    return response


def _switched(decorate):
    """The decorator counts only under lab.settings_own."""
    return decorate if getattr(settings, "LAB_OWN_ETAGS", False) else lambda view: view


def _from_data(make, cache_control):
    """A tag that is known before the response is made."""
    def argued(look):
        def decorate(view):
            @functools.wraps(view)
            def tagged(request, *args, **kwargs):
                if request.method not in ("GET", "HEAD"):
                    return view(request, *args, **kwargs)
                looked = look(request, *args, **kwargs)
                etag = make(*looked) if isinstance(looked, tuple) else make(looked)
                if validate_etag_match(request, etag):
                    return _not_modified(etag)
                response = view(request, *args, **kwargs)
                response["ETag"], response["Cache-Control"] = etag, cache_control
                return response
            return tagged
        return _switched(decorate)
    return argued


timestamp = _from_data(timestamp_etag, "private, max-age=300")
composite = _from_data(composite_etag, "public, max-age=0, must-revalidate")
collection = _from_data(collection_etag, "public, max-age=0, must-revalidate")


def content(cache_control):
    """A tag of the finished body."""
    def decorate(view):
        @functools.wraps(view)
        def tagged(request, *args, **kwargs):
            response = view(request, *args, **kwargs)
            if response.status_code != 200:
                return response
            etag = content_etag(response.content)
            if validate_etag_match(request, etag):
                return _not_modified(etag)
            response["ETag"], response["Cache-Control"] = etag, cache_control
            return response
        return tagged
    return _switched(decorate)
