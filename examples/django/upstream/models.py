# SPDX-License-Identifier: Apache-2.0
"""The seven kinds of records of system 4."""
from django.db import models


class _Named(models.Model):
    name = models.CharField(max_length=80)

    class Meta:
        abstract = True


class Organism(_Named):
    taxon = models.IntegerField(default=0)


class Site(_Named):
    latitude = models.FloatField(default=0)
    longitude = models.FloatField(default=0)


class Sample(_Named):
    organism = models.ForeignKey(Organism, on_delete=models.CASCADE, null=True)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, null=True)


class Run(_Named):
    machine = models.CharField(max_length=40, default="")


class Read(_Named):
    bases = models.TextField(default="")


class Label(_Named):
    colour = models.CharField(max_length=7, default="#808080")


class Note(_Named):
    text = models.TextField(default="")


KINDS = {"organisms": Organism, "sites": Site, "samples": Sample, "runs": Run, "reads": Read, "labels": Label,
         "notes": Note}
