# SPDX-License-Identifier: Apache-2.0
from django.db import migrations, models
from django.db.models.deletion import CASCADE, SET_NULL

from proteins.models import Spectrum


def key():
    return ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Protein", [
            key(),
            ("slug", models.SlugField(max_length=60, unique=True)),
            ("name", models.CharField(max_length=80)),
            ("seq", models.TextField(blank=True)),
            ("blurb", models.TextField(blank=True)),
            ("year", models.PositiveIntegerField(default=2000)),
            ("parent", models.ForeignKey(to="proteins.protein", on_delete=SET_NULL, blank=True, null=True,
                                         related_name="children")),
        ], {"ordering": ["slug"]}),
        migrations.CreateModel("State", [
            key(),
            ("slug", models.SlugField(max_length=80, unique=True)),
            ("name", models.CharField(default="default", max_length=40)),
            ("ex_max", models.PositiveIntegerField()),
            ("em_max", models.PositiveIntegerField()),
            ("ext_coeff", models.PositiveIntegerField()),
            ("qy", models.FloatField()),
            ("protein", models.ForeignKey(to="proteins.protein", on_delete=CASCADE, related_name="states")),
        ], {"ordering": ["slug"]}),
        migrations.CreateModel("Spectrum", [
            key(),
            ("name", models.CharField(max_length=100)),
            ("category", models.CharField(choices=Spectrum.CATEGORIES, max_length=1)),
            ("subtype", models.CharField(choices=Spectrum.SUBTYPES, max_length=2)),
            ("color", models.CharField(max_length=7)),
            ("peak", models.PositiveIntegerField()),
            ("data", models.TextField()),
            ("owner_state", models.ForeignKey(to="proteins.state", on_delete=CASCADE, blank=True, null=True,
                                              related_name="spectra")),
        ], {"ordering": ["id"], "verbose_name_plural": "spectra"}),
        migrations.CreateModel("Reference", [
            key(),
            ("doi", models.CharField(max_length=80, unique=True)),
            ("title", models.CharField(max_length=300)),
            ("authors", models.CharField(max_length=300)),
            ("journal", models.CharField(max_length=80)),
            ("year", models.PositiveIntegerField()),
            ("proteins", models.ManyToManyField(to="proteins.Protein", blank=True, related_name="references")),
        ], {"ordering": ["-year", "doi"]}),
        migrations.CreateModel("OpticalConfig", [
            key(),
            ("name", models.CharField(max_length=80, unique=True)),
            ("microscope", models.CharField(max_length=80)),
            ("comments", models.TextField(blank=True)),
            ("spectra", models.ManyToManyField(to="proteins.Spectrum", blank=True, related_name="optical_configs")),
        ], {"ordering": ["id"]}),
    ]
