# SPDX-License-Identifier: Apache-2.0
"""A small shop with Django: shows when versions.py bumps. SHOP_REDIS and SHOP_DB are files."""
import contextlib
import os

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"], INSTALLED_APPS=["shop.apps.ShopConfig"], ROOT_URLCONF=__name__, USE_TZ=True,
    SECRET_KEY="of this example",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SHOP_DB"]}},
    ETAG_REDIS_URL=f"unix://{os.environ['SHOP_REDIS']}", ETAG_APPS={"shop"})

import django  # noqa: E402  (Django wants its settings first)

django.setup()

import versions  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from shop.models import Item, Tag  # noqa: E402

with connection.schema_editor() as schema:
    schema.create_model(Tag)
    schema.create_model(Item)


def answer(data=None, status=200):
    return JsonResponse(data, safe=False, status=status)


def shown(item):
    return {"id": item.id, "name": item.name, "tags": [tag.name for tag in item.tags.all()]}


def items(request):
    if request.method == "POST":
        with transaction.atomic():
            item = Item.objects.create(name=request.GET["name"])
        return answer({"id": item.id}, 201)
    return answer([shown(item) for item in Item.objects.order_by("id")])


def one(request, number):
    item = Item.objects.filter(id=number).first()
    if item and request.method == "PUT":
        item.name = request.GET["name"]
        item.save()
    elif item and request.method == "DELETE":
        item.delete()
    return answer(shown(item) if item and item.id else None, 200 if item else 404)


def bulk(request):
    with transaction.atomic():
        numbers = Item.objects.values_list("id", flat=True)
        versions.changed("shop.Item", *(f"shop.Item:{number}" for number in numbers))
        Item.objects.update(name=request.GET["name"])        # sends no signals
    return answer()


def label(request):
    with transaction.atomic():
        tag, _ = Tag.objects.get_or_create(name=request.GET["name"])
        tag.items.set(Item.objects.filter(id=1))              # from the other side of the relation
    return answer()


def rollback(request):
    with contextlib.suppress(KeyError), transaction.atomic():
        Item(id=1, name=request.GET["name"]).save()
        raise KeyError("changed my mind")
    return answer()


def savepoint(request):
    with transaction.atomic():
        with contextlib.suppress(KeyError), transaction.atomic():
            Item(id=2, name="lost").save()
            raise KeyError("only the inner one")
        Item(id=1, name=request.GET["name"]).save()
    return answer()


def order(request):
    def token():
        return (versions.store.get("model_version:shop.Item") or b"").decode()
    seen = {"before": token()}
    with transaction.atomic():
        with transaction.atomic():
            Item(id=1, name=request.GET["name"]).save()
        seen["inside"] = token()
    return answer({**seen, "after": token()})


urlpatterns = [path("items", items), path("items/<int:number>", one), path("items/bulk", bulk),
               path("items/rollback", rollback), path("items/savepoint", savepoint), path("items/order", order),
               path("items/label", label)]
application = get_wsgi_application()
