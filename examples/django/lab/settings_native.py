# SPDX-License-Identifier: Apache-2.0
"""Django's own Redis cache (Django 4.0 and later) in the place of django-redis."""
from .settings import *  # noqa: F401,F403
from .settings import LAB_REDIS


def redis_cache():
    """The same keys; the values are pickles of another protocol."""
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": LAB_REDIS,
        "TIMEOUT": 300,
        "OPTIONS": {"socket_timeout": 2},
    }


CACHES = {"default": redis_cache(), "counters": dict(redis_cache(), TIMEOUT=None)}
