# SPDX-License-Identifier: Apache-2.0
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"
    default_auto_field = "django.db.models.AutoField"

    def ready(self):
        import versions  # which needs the settings
        versions.connect()
