# SPDX-License-Identifier: Apache-2.0
"""System 4: seven viewsets, which nothing bumps."""
from django.apps import AppConfig


class UpstreamConfig(AppConfig):
    name = "upstream"
    default_auto_field = "django.db.models.BigAutoField"
