# SPDX-License-Identifier: Apache-2.0
"""System 3. The views know nothing of tags; `own.…` adds the application's own under lab.settings_own."""
import io
import json
import time

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from PIL import Image as Picture

from lab import own_timelapse as own, versions

from .models import Camera, Image, Settings


def _shown(image):
    return {"id": image.pk, "camera": image.camera.name, "title": image.title, "bytes": len(image.jpeg),
            "taken_at": image.taken_at.isoformat(), "updated_at": image.updated_at.isoformat()}


def _one(pk):
    return get_object_or_404(Image.objects.select_related("camera"), pk=pk)


def _moment(text):
    return parse_datetime(text) if text else timezone.now()


def picture(number):
    """A small picture that differs from all others."""
    out = io.BytesIO()
    Picture.new("RGB", (64, 48), (number * 37 % 256, number * 91 % 256, number * 53 % 256)).save(out, "JPEG")
    return out.getvalue()


# --- images ---------------------------------------------------------------------------------------

def _latest():
    return Image.objects.aggregate(n=Count("id"), latest=Max("updated_at"))


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@own.collection(lambda request: tuple(_latest().values()))
def images(request):
    """The collection: its size and the time of its last change stand in the response's headers."""
    if request.method == "POST":
        return _create(json.loads(request.body))
    rows = list(Image.objects.select_related("camera").order_by("-taken_at", "-id"))
    response = JsonResponse([_shown(image) for image in rows], safe=False)
    response["X-Total-Count"] = len(rows)
    if rows:
        response["Last-Modified"] = http_date(max(image.updated_at for image in rows).timestamp())
    return response


def _create(said):
    camera, _ = Camera.objects.get_or_create(name=said.get("camera", "import"))
    moment = _moment(said.get("updated_at"))
    image = Image.objects.create(camera=camera, title=said.get("title", ""), taken_at=moment, updated_at=moment,
                                 jpeg=picture(said.get("colour", 0)))
    return JsonResponse(_shown(image), status=201)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "PUT", "DELETE"])
@own.composite(lambda request, pk: (pk, _one(pk).updated_at))
def image(request, pk):
    """Metadata of one image."""
    found = _one(pk)
    if request.method == "DELETE":
        found.delete()
        return HttpResponse(status=204)
    if request.method == "PUT":
        found.title, found.updated_at = json.loads(request.body)["title"], timezone.now()
        found.save()
    else:
        versions.ensure(f"image:{pk}")  # httpd makes no versions of names that come from URLs
    response = JsonResponse(_shown(found))
    response["Last-Modified"] = http_date(found.updated_at.timestamp())
    response["X-Updated-At"] = found.updated_at.isoformat()
    return response


@require_safe
@own.content("public, max-age=31536000, immutable")
def file(request, pk):
    """The picture itself, which never changes."""
    found = _one(pk)
    response = HttpResponse(bytes(found.jpeg), content_type="image/jpeg")
    response["Last-Modified"] = http_date(found.taken_at.timestamp())
    return response


@require_safe
@own.content("public, max-age=300")
def count(request):
    return JsonResponse({"count": Image.objects.count()})


@require_safe
@own.content("no-cache")
def overview(request):
    """Made of everything, and nothing says when it changed."""
    rows = Camera.objects.annotate(images=Count("image"), last=Max("image__title")).order_by("name")
    return JsonResponse({camera.name: {"images": camera.images, "last": camera.last} for camera in rows})


# --- settings -------------------------------------------------------------------------------------

def _mine(request):
    return Settings.objects.filter(owner=request.user).first() or Settings(owner=request.user)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@own.timestamp(lambda request: _mine(request).updated_at)
def settings(request):
    """Of the user who asks; POST changes them."""
    mine = _mine(request)
    if request.method == "POST":
        mine.theme = request.POST.get("theme", mine.theme)
        mine.interval = int(request.POST.get("interval", mine.interval))
        mine.updated_at = timezone.now()
        mine.save()
    return JsonResponse({"owner": request.user.get_username(), "theme": mine.theme, "interval": mine.interval})


# --- events ---------------------------------------------------------------------------------------

def _changes(limit):
    """An event for each image that is saved from now on, `limit` of them; comments in between find clients that left."""
    seen = _latest()["latest"]
    yield "event: ready\ndata: {}\n\n"
    silent = 0
    while limit > 0:
        rows = list(Image.objects.filter(updated_at__gt=seen).order_by("updated_at")) if seen else []
        for row in rows[:limit]:
            seen, silent, limit = row.updated_at, 0, limit - 1
            yield f"event: image\ndata: {json.dumps({'id': row.pk, 'title': row.title})}\n\n"
        time.sleep(0.05)
        silent += 1
        if silent % 100 == 0:
            yield ": still here\n\n"


@require_safe
def events(request):
    """Server-sent events, one by one while this runs."""
    response = StreamingHttpResponse(_changes(int(request.GET.get("limit", 1000))), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    return response
