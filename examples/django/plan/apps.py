# SPDX-License-Identifier: Apache-2.0
"""System 2: one integer counter per resource."""
from django.apps import AppConfig


class PlanConfig(AppConfig):
    name = "plan"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import counters
        counters.connect()
