# SPDX-License-Identifier: Apache-2.0
"""Images with the time of their last change, and settings of users."""
from django.conf import settings
from django.db import models
from django.utils import timezone


class Camera(models.Model):
    name = models.CharField(max_length=40)

    def version_names(self):
        """No response shows a camera alone."""
        return []


class Image(models.Model):
    """`updated_at` is set by who saves: an import from an archive keeps the archive's."""
    camera = models.ForeignKey(Camera, on_delete=models.CASCADE)
    title = models.CharField(max_length=80, default="")
    taken_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    jpeg = models.BinaryField(default=b"")

    def version_names(self):
        """What lab.versions bumps with each change, besides timelapse.Image."""
        return [f"image:{self.pk}"]


class Settings(models.Model):
    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="timelapse_settings")
    theme = models.CharField(max_length=20, default="light")
    interval = models.IntegerField(default=60)
    updated_at = models.DateTimeField(default=timezone.now)

    def version_names(self):
        return []
