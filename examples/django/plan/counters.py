# SPDX-License-Identifier: Apache-2.0
"""`cache_version:{resource}`: an integer that INCR moves on after each commit, and that never expires."""
import logging
import threading

from django.core.cache import caches
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from .models import RESOURCES

log = logging.getLogger(__name__)


def bump(resource):
    """Move the counter on. INCR needs a key; whoever is first makes it, and it has no expiry."""
    counters = caches["counters"]
    counters.add(f"cache_version:{resource}", 0, timeout=None)
    return counters.incr(f"cache_version:{resource}")


def bump_until_told(resource):
    """The data is committed: what Redis does not take now is tried again until it does."""
    try:
        bump(resource)
    except Exception as error:  # each backend has errors of its own
        log.error("the counter of %s will be tried again: %s", resource, error)
        again = threading.Timer(0.1, bump_until_told, (resource,))
        again.daemon = True
        again.start()


def _changed(sender, using, **_):
    transaction.on_commit(lambda: bump_until_told(sender.resource), using=using)


def connect():
    for model in RESOURCES:
        for signal in (post_save, post_delete):
            signal.connect(_changed, sender=model, dispatch_uid=f"plan.{model.resource}")
