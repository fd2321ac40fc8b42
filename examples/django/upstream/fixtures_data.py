# SPDX-License-Identifier: Apache-2.0
"""Some twenty records of each kind."""
from .models import KINDS, Organism, Sample, Site


def load():
    """Fill the empty tables."""
    for name, model in KINDS.items():
        if model is not Sample:
            model.objects.bulk_create(model(name=f"{name[:-1]} {number}") for number in range(1, 21))
    pairs = zip(Organism.objects.order_by("id"), Site.objects.order_by("id"))
    Sample.objects.bulk_create(
        Sample(name=f"sample {number}", organism=organism, site=site) for number, (organism, site) in enumerate(pairs, 1))
