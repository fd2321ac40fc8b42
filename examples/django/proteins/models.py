# SPDX-License-Identifier: Apache-2.0
"""Fluorescent proteins, their states and spectra; microscopes' optical configurations; articles.

version_names() tells lab.versions whose versions a change of the object concerns, besides its model's.
"""
import json

from django.db import models
from django.urls import reverse


class Protein(models.Model):
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=80)
    seq = models.TextField(blank=True)
    blurb = models.TextField(blank=True)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="children")
    year = models.PositiveIntegerField(default=2000)

    class Meta:
        ordering = ["slug"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("protein", args=[self.slug])

    def version_names(self):
        # Its children show whose children they are, and lose their parent when it is deleted.
        return [f"proteins.Protein:{slug}" for slug in (self.slug, *self.children.values_list("slug", flat=True))]


class State(models.Model):
    protein = models.ForeignKey(Protein, models.CASCADE, related_name="states")
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=40, default="default")
    ex_max = models.PositiveIntegerField()
    em_max = models.PositiveIntegerField()
    ext_coeff = models.PositiveIntegerField()
    qy = models.FloatField()

    class Meta:
        ordering = ["slug"]

    def __str__(self):
        return self.slug

    @property
    def brightness(self):
        return round(self.ext_coeff * self.qy / 1000, 2)

    def version_names(self):
        return [f"proteins.State:{self.slug}", f"proteins.Protein:{self.protein.slug}"]


class Spectrum(models.Model):
    CATEGORIES = [("p", "protein"), ("d", "dye"), ("f", "filter"), ("l", "light source"), ("c", "camera")]
    SUBTYPES = [("ex", "excitation"), ("em", "emission"), ("ab", "absorption"), ("2p", "two-photon"),
                ("bp", "band pass"), ("pd", "power distribution"), ("qe", "quantum efficiency")]

    name = models.CharField(max_length=100)
    category = models.CharField(max_length=1, choices=CATEGORIES)
    subtype = models.CharField(max_length=2, choices=SUBTYPES)
    owner_state = models.ForeignKey(State, models.CASCADE, null=True, blank=True, related_name="spectra")
    color = models.CharField(max_length=7)
    peak = models.PositiveIntegerField()
    data = models.TextField()  # JSON: [[wavelength, value], ...]

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "spectra"

    def __str__(self):
        return self.name

    @property
    def points(self):
        return json.loads(self.data)

    def version_names(self):
        names = [f"proteins.Spectrum:{self.pk}"]
        return names + (self.owner_state.version_names() if self.owner_state else [])


class OpticalConfig(models.Model):
    name = models.CharField(max_length=80, unique=True)
    microscope = models.CharField(max_length=80)
    comments = models.TextField(blank=True)
    spectra = models.ManyToManyField(Spectrum, related_name="optical_configs", blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self):
        return self.name


class Reference(models.Model):
    doi = models.CharField(max_length=80, unique=True)
    title = models.CharField(max_length=300)
    authors = models.CharField(max_length=300)
    journal = models.CharField(max_length=80)
    year = models.PositiveIntegerField()
    proteins = models.ManyToManyField(Protein, related_name="references", blank=True)

    class Meta:
        ordering = ["-year", "doi"]

    def __str__(self):
        return self.doi
