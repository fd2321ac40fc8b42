# SPDX-License-Identifier: Apache-2.0
from django.urls import path

from . import views

urlpatterns = [
    path("images/", views.images),
    path("images/count/", views.count),
    path("images/<int:pk>/", views.image),
    path("images/<int:pk>/file.jpg", views.file),
    path("overview/", views.overview),
    path("settings/", views.settings),
    path("events/", views.events),
]
