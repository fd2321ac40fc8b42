# SPDX-License-Identifier: Apache-2.0
"""Versions of models: what the application writes, and httpd reads.

The version of a model is the value of the cache's key `model_version:app_label.ModelName`, that of one object has
`:slug` or `:id` behind it. It is set to something new whenever the data has changed; only that it differs counts.
"""
import contextlib
import logging
import secrets
import threading
import time
from datetime import datetime, timezone

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import signals

VERSION_TIMEOUT = settings.LAB_VERSION_TIMEOUT  # a version that expires takes all tags with it
PREFIX = "model_version:"
VERSIONED_APPS = ("proteins", "timelapse")

log = logging.getLogger(__name__)


# --- names ----------------------------------------------------------------------------------------

def label(model):
    """`proteins.Protein`; a proxy counts as the model that it stands for."""
    return model if isinstance(model, str) else model._meta.concrete_model._meta.label


def names_of(instance):
    """All names that a change of this object concerns: its model, itself, and what shows it."""
    model = label(type(instance))
    extra = getattr(instance, "version_names", None)
    return {model, *(extra() if extra else [f"{model}:{instance.pk}"])}


def new_version():
    """A timestamp for people; the random part makes sure that no version comes again."""
    return f"{datetime.now(timezone.utc).isoformat()}-{secrets.token_hex(4)}"


# --- reading --------------------------------------------------------------------------------------

def ensure(*which):
    """Make versions where there are none (first start, Redis was emptied); an outage is no reader's problem."""
    try:
        keys = [PREFIX + label(m) for m in which]
        for key in set(keys) - set(cache.get_many(keys)):
            cache.add(key, new_version(), timeout=VERSION_TIMEOUT)
    except Exception as error:  # each backend has errors of its own
        log.warning("versions cannot be read: %s", error)


def get_model_version(*which):
    """One text for several models; absent versions are made. Fails without Redis."""
    keys = [PREFIX + label(m) for m in which]
    found = cache.get_many(keys)
    for key in keys:
        if key not in found:
            cache.add(key, new_version(), timeout=VERSION_TIMEOUT)
            found[key] = cache.get(key)
    return "|".join(found[key] for key in keys)


# --- bumping --------------------------------------------------------------------------------------

def bump(*which):
    """New versions, now. What Redis does not take is tried again until it does."""
    _deliver({label(m) for m in which})


def changed(names, using=None):
    """New versions when the data can be seen by others: after the commit, unless the settings say otherwise."""
    names = set(names)
    if not settings.LAB_BUMP_ON_COMMIT:
        bump(*names)
    else:
        transaction.on_commit(lambda: bump(*names), using=using)


def changed_objects(objects, using=None):
    """For what sends no signals: bulk_update, bulk_create, QuerySet.update and delete by SQL."""
    changed(set().union(*(names_of(o) for o in objects)), using)


_paused = False
_owed = set()
_lock = threading.Lock()


def _deliver(names):
    if _paused or not names:
        return
    try:
        failed = cache.set_many({PREFIX + n: new_version() for n in names}, timeout=VERSION_TIMEOUT)
        if failed:
            raise OSError(f"not stored: {failed}")
    except Exception as error:
        log.error("versions of %s not written, will be tried again: %s", ", ".join(sorted(names)), error)
        with _lock:
            if not _owed:
                threading.Thread(target=_pay, daemon=True).start()
            _owed.update(names)


def _pay():
    """Until everything is delivered, or the process ends: then the data is newer than its version says."""
    while True:
        time.sleep(0.1)
        with _lock:
            names = set(_owed)
        try:
            if cache.set_many({PREFIX + n: new_version() for n in names}, timeout=VERSION_TIMEOUT):
                continue
        except Exception:
            continue
        with _lock:
            _owed.difference_update(names)
            if not _owed:
                log.warning("versions of %s written", ", ".join(sorted(names)))
                return


@contextlib.contextmanager
def paused():
    """While data is loaded that nobody has seen yet."""
    global _paused
    _paused = True
    try:
        yield
    finally:
        _paused = False


# --- signals --------------------------------------------------------------------------------------

def models():
    """All models that have versions."""
    found = [m for app in VERSIONED_APPS for m in apps.get_app_config(app).get_models()]
    return [*found, apps.get_model("auth", "User")]


def connect():
    """Called once, when all models are known."""
    for model in models():
        signals.pre_save.connect(_before_save, sender=model)
        signals.post_save.connect(_saved, sender=model)
        signals.pre_delete.connect(_before_delete, sender=model)
        signals.post_delete.connect(_deleted, sender=model)
        for field in model._meta.many_to_many:
            signals.m2m_changed.connect(_related, sender=field.remote_field.through)


def _before_save(sender, instance, raw, using, **_):
    """An object that moves to another owner or slug concerns the old one, too."""
    old = None if raw or instance.pk is None else sender._base_manager.using(using).filter(pk=instance.pk).first()
    instance._names_before = names_of(old) if old else set()


def _saved(sender, instance, using, update_fields=None, **_):
    # A login is no change of what pages show of a user.
    if set(update_fields or ()) != {"last_login"}:
        changed(names_of(instance) | getattr(instance, "_names_before", set()), using)


def _before_delete(sender, instance, **_):
    """Afterwards nothing points to it any more."""
    instance._names_before = names_of(instance)


def _deleted(sender, instance, using, **_):
    changed(instance._names_before, using)


def _related(sender, instance, action, model, pk_set, using, reverse=False, **_):
    """Both sides have changed; what is cleared must be looked up before it is gone."""
    if action == "pre_clear":
        instance._cleared = _others(sender, instance, model, reverse, using)
    elif action in ("post_add", "post_remove"):
        others = model._base_manager.using(using).filter(pk__in=pk_set)
        changed({label(model)}.union(names_of(instance), *(names_of(o) for o in others)), using)
    elif action == "post_clear":
        changed({label(model)}.union(names_of(instance), instance.__dict__.pop("_cleared", set())), using)


def _others(through, instance, model, reverse, using):
    """Names of the objects on the other side of a many-to-many relation."""
    mine, theirs = None, None
    for field in through._meta.get_fields():
        if field.is_relation and field.related_model is type(instance)._meta.concrete_model and mine is None:
            mine = field.name
        elif field.is_relation:
            theirs = field.name
    ids = through._base_manager.using(using).filter(**{mine: instance.pk}).values_list(theirs, flat=True)
    return set().union(*(names_of(o) for o in model._base_manager.using(using).filter(pk__in=list(ids))))
