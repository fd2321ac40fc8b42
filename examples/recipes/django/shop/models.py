# SPDX-License-Identifier: Apache-2.0
from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=40)


class Item(models.Model):
    name = models.CharField(max_length=40)
    tags = models.ManyToManyField(Tag, related_name="items")
