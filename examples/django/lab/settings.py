# SPDX-License-Identifier: Apache-2.0
"""Settings of the example: django-redis, and versions that are bumped when the transaction is committed.

The environment says where things are: LAB_DATA (folder with db.sqlite3 and calls.log), LAB_REDIS (redis:// or unix://),
LAB_SECRET; and for measurements and tests LAB_TESTING=1 and LAB_CONDITIONAL_GET=1.
"""
import os
import secrets
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
LAB_DATA = Path(os.environ.get("LAB_DATA") or HOME / "data")
LAB_REDIS = os.environ.get("LAB_REDIS") or "redis://127.0.0.1:6379/0"
LAB_TESTING = os.environ.get("LAB_TESTING") == "1"  # /_lab/run, and cheap password hashes
LAB_DEBUG = LAB_TESTING                             # X-Backend-Call in each response

# How versions are kept. The other settings files change these.
LAB_BUMP_ON_COMMIT = True      # False: in the signal, while other transactions still see the old data
LAB_VERSION_TIMEOUT = None     # seconds; None: a version never expires
LAB_OWN_ETAGS = False          # True: lab/own_etags.py answers conditional requests instead of httpd

SECRET_KEY = os.environ.get("LAB_SECRET") or secrets.token_hex(32)
DEBUG = False
ALLOWED_HOSTS = ["*"] if LAB_TESTING else [".localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "lab.urls"
WSGI_APPLICATION = "lab.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "lab",
    "proteins",
    "plan",
    "timelapse",
    "upstream",
]

MIDDLEWARE = [
    "lab.middleware.CountCalls",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if os.environ.get("LAB_CONDITIONAL_GET") == "1":
    MIDDLEWARE.insert(1, "django.middleware.http.ConditionalGetMiddleware")

TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [HOME / "templates"],
    "OPTIONS": {"context_processors": ["django.template.context_processors.request",
                                       "django.contrib.auth.context_processors.auth"]},
}]

DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(LAB_DATA / "db.sqlite3"),
    "OPTIONS": {"timeout": 20},
    "CONN_MAX_AGE": 60,
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def redis_cache():
    """A cache in Redis; without a key prefix and with version 1 its keys begin with ":1:"."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": LAB_REDIS,
        "TIMEOUT": 300,
        "OPTIONS": {"SOCKET_TIMEOUT": 2},
    }


# "default" holds the versions of models, "counters" integers for cache.incr.
CACHES = {"default": redis_cache(), "counters": dict(redis_cache(), TIMEOUT=None)}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
if LAB_TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Reading is for everybody, without cookies; who writes says who he is with each request.
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    # A 404 is nothing to be told of.
    "loggers": {"django.request": {"level": "ERROR"}},
}
