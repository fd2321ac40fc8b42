# SPDX-License-Identifier: Apache-2.0
"""The resources of system 2. Each has a counter that every change moves on."""
from django.conf import settings
from django.db import models


class Spectrum(models.Model):
    resource = "spectra"
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=2)
    data = models.JSONField(default=list)


class Protein(models.Model):
    resource = "proteins"
    name = models.CharField(max_length=80)
    sequence = models.TextField(default="")


class Reference(models.Model):
    resource = "references"
    title = models.CharField(max_length=200)
    title_de = models.CharField(max_length=200, default="")
    year = models.IntegerField()


class Lineage(models.Model):
    resource = "lineages"
    parent = models.CharField(max_length=80)
    child = models.CharField(max_length=80)
    mutation = models.CharField(max_length=80, default="")


class Collection(models.Model):
    """Belongs to one user, and nobody else sees it."""
    resource = "collections"
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="plan_collections")
    name = models.CharField(max_length=80)


RESOURCES = (Spectrum, Protein, Reference, Lineage, Collection)
