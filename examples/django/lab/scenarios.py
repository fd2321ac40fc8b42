# SPDX-License-Identifier: Apache-2.0
"""What tests want to happen in the application: POST /_lab/run {"name": ..., "args": {...}}; with LAB_TESTING."""
import json
import time

from django.conf import settings
from django.db import transaction
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from proteins.models import OpticalConfig, Protein, Reference, Spectrum

from . import versions


def save_protein(slug, name):
    row = Protein.objects.get(slug=slug)
    row.name = name
    row.save()
    return {"name": row.name}


def save_spectrum(id, name):
    row = Spectrum.objects.get(pk=id)
    row.name = name
    row.save()
    return {"name": row.name}


def save_state(slug, qy):
    row = Protein.objects.get(slug=slug).states.first()
    row.qy = qy
    row.save()
    return {"state": row.slug}


def create_protein(slug, name):
    return {"id": Protein.objects.create(slug=slug, name=name).pk}


def delete_spectrum(id):
    return {"deleted": Spectrum.objects.get(pk=id).delete()[0]}


def delete_protein(slug):
    return {"deleted": Protein.objects.get(slug=slug).delete()[0]}


def set_m2m(config, spectra):
    """The spectra of an optical configuration, by its id."""
    row = OpticalConfig.objects.get(pk=config)
    row.spectra.set(spectra)
    return {"spectra": sorted(row.spectra.values_list("id", flat=True))}


def clear_m2m(config):
    OpticalConfig.objects.get(pk=config).spectra.clear()
    return {"spectra": []}


def set_references(slug, references):
    """The same from the other side of a relation."""
    Protein.objects.get(slug=slug).references.set(Reference.objects.filter(pk__in=references))
    return {"references": references}


def bulk_update(names, bump=True):
    """Names by slug. No signal tells of it, so the versions are changed by hand: without `bump` they are forgotten."""
    rows = list(Protein.objects.filter(slug__in=names))
    for row in rows:
        row.name = names[row.slug]
    Protein.objects.bulk_update(rows, ["name"])
    if bump:
        versions.changed_objects(rows)
    return {"updated": len(rows)}


def queryset_update(year, blurb, bump=True):
    rows = Protein.objects.filter(year=year)
    updated = rows.update(blurb=blurb)
    if bump:
        versions.changed_objects(rows)
    return {"updated": updated}


def slow_transaction(slug, name, seconds=None):
    """Saves, and commits when LAB_DATA/go is there (or after some seconds); LAB_DATA/saved says that it waits."""
    with transaction.atomic():
        save_protein(slug, name)
        (settings.LAB_DATA / "saved").touch()
        limit = time.monotonic() + (30 if seconds is None else seconds)
        while not (settings.LAB_DATA / "go").exists():
            if time.monotonic() > limit:
                if seconds is None:
                    raise TimeoutError("nobody made the file go")
                break
            time.sleep(0.005)
    return {"name": name}


def rolled_back(slug, name):
    try:
        with transaction.atomic():
            save_protein(slug, name)
            raise InterruptedError
    except InterruptedError:
        return {"name": Protein.objects.get(slug=slug).name}


def bump(models):
    versions.bump(*models)
    return {"bumped": models}


SCENARIOS = {f.__name__: f for f in (
    save_protein, save_spectrum, save_state, create_protein, delete_spectrum, delete_protein, set_m2m, clear_m2m,
    set_references, bulk_update, queryset_update, slow_transaction, rolled_back, bump)}


@csrf_exempt
@require_POST
def run(request):
    asked = json.loads(request.body)
    return JsonResponse(SCENARIOS[asked["name"]](**asked.get("args", {})))
