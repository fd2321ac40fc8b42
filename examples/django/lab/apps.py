# SPDX-License-Identifier: Apache-2.0
"""Connects the versions with the models when all of them are there."""
from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "lab"

    def ready(self):
        from . import versions
        versions.connect()
