# SPDX-License-Identifier: Apache-2.0
"""Three cameras with forty images each, and settings that all users were given at one moment."""
from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model

from .models import Camera, Image, Settings
from .views import picture

_BEGIN = datetime(2025, 5, 1, 6, 0, tzinfo=timezone.utc)


def load():
    """Fill the empty tables; users are there already."""
    cameras = [Camera.objects.create(name=name) for name in ("garden", "roof", "street")]
    Image.objects.bulk_create(
        Image(camera=cameras[number % 3], title=f"image {number}", jpeg=picture(number),
              taken_at=_BEGIN + timedelta(minutes=10 * number), updated_at=_BEGIN + timedelta(minutes=10 * number))
        for number in range(1, 121))
    Settings.objects.bulk_create(
        Settings(owner=user, theme=f"theme of {user.get_username()}", updated_at=_BEGIN)
        for user in get_user_model().objects.all())
