# SPDX-License-Identifier: Apache-2.0
"""Bumps what the models of these applications change, once for each transaction, after its commit."""
import uuid

import redis
from django.conf import settings
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

store = redis.Redis.from_url(settings.ETAG_REDIS_URL, socket_timeout=1)


def kind(model):
    return model._meta.concrete_model._meta.label           # a proxy counts as what it stands for


def changed(*names, using=None):
    """To be called beside each change of which no signal tells."""
    pending = transaction.get_connection(using).__dict__.setdefault("etag_pending", set())
    pending.update(names)
    transaction.on_commit(lambda: bump(pending), using=using)    # each time: a savepoint takes its own back


def bump(pending):
    if pending:                                                  # the first of a transaction takes all
        store.mset({f"model_version:{name}": uuid.uuid4().hex for name in pending})
        pending.clear()


def saved_or_deleted(sender, instance, using, **_):
    if sender._meta.app_label in settings.ETAG_APPS:
        changed(kind(sender), f"{kind(sender)}:{instance.pk}", using=using)


def related(sender, instance, action, model, pk_set, using, **_):
    if action in ("post_add", "post_remove", "post_clear"):      # both sides may be shown
        others = [f"{kind(model)}:{pk}" for pk in pk_set or ()]
        changed(kind(type(instance)), f"{kind(type(instance))}:{instance.pk}", kind(model), *others, using=using)


def connect():
    """From ready() of an AppConfig."""
    post_save.connect(saved_or_deleted)
    post_delete.connect(saved_or_deleted)
    m2m_changed.connect(related)
