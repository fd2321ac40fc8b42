# SPDX-License-Identifier: Apache-2.0
"""The application for gunicorn and for mod_wsgi."""
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lab.settings")
application = get_wsgi_application()

from lab import versions  # noqa: E402  pylint: disable=wrong-import-position

versions.ensure(*versions.models())
