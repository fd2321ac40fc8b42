# SPDX-License-Identifier: Apache-2.0
from django.urls import path

from . import api, pages

urlpatterns = [
    path("api/proteins/", api.ProteinList.as_view()),
    path("api/proteins/<slug:slug>/", api.ProteinDetail.as_view()),
    path("api/states/", api.StateList.as_view()),
    path("api/spectra/", api.SpectrumList.as_view()),
    path("api/spectra/<int:pk>/", api.SpectrumDetail.as_view()),
    path("api/optical-configs/", api.OpticalConfigList.as_view()),
    path("api/references/", api.ReferenceList.as_view()),
    path("", pages.home, name="home"),
    path("proteins/", pages.protein_list, name="proteins"),
    path("proteins/<slug:slug>/", pages.protein, name="protein"),
    path("proteins/<slug:slug>/edit/", pages.edit, name="edit"),
    path("proteins/<slug:slug>/image.png", pages.image, name="image"),
    path("proteins/<slug:slug>/lineage.json", pages.lineage, name="lineage"),
    path("references/", pages.references, name="references"),
]
