# SPDX-License-Identifier: Apache-2.0
"""System 3: images that cameras take, users' settings, and an event stream. lab.versions bumps its models."""
from django.apps import AppConfig


class TimelapseConfig(AppConfig):
    name = "timelapse"
    default_auto_field = "django.db.models.BigAutoField"
