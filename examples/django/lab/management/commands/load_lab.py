# SPDX-License-Identifier: Apache-2.0
"""Fills a migrated database: the data of all apps, and two users."""
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from lab import versions

USERS = {"alice": "alice-of-the-lab", "bob": "bob-of-the-lab"}


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args, **options):
        with versions.paused(), transaction.atomic():
            for name, password in USERS.items():
                User.objects.create_user(name, f"{name}@example.org", password)
            for config in apps.get_app_configs():
                if find_spec(f"{config.name}.fixtures_data"):
                    import_module(f"{config.name}.fixtures_data").load()
        self.stdout.write("loaded")
