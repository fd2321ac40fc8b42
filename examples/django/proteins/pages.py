# SPDX-License-Identifier: Apache-2.0
"""The pages for people, a generated image, and the family tree as JSON."""
import io

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from PIL import Image, ImageDraw

from lab import versions
from lab.versioned import versioned

from .models import OpticalConfig, Protein, Reference, Spectrum


class ProteinForm(forms.ModelForm):
    class Meta:
        model = Protein
        fields = ["name", "blurb", "year"]


@versioned(Protein, Spectrum, OpticalConfig, Reference, User)
def home(request):
    counts = [(m._meta.verbose_name_plural, m.objects.count()) for m in (Protein, Spectrum, OpticalConfig, Reference)]
    newest = Protein.objects.order_by("-year", "slug")[:8]
    return render(request, "home.html", {"counts": counts, "newest": newest})


@versioned(Protein, User)
def protein_list(request):
    return render(request, "proteins.html", {"proteins": Protein.objects.all()})


@versioned(Spectrum, User)
def protein(request, slug):
    row = get_object_or_404(Protein.objects.select_related("parent").prefetch_related("states__spectra"), slug=slug)
    versions.ensure(f"proteins.Protein:{slug}")
    return render(request, "protein.html", {"protein": row})


@login_required
def edit(request, slug):
    row = get_object_or_404(Protein, slug=slug)
    form = ProteinForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect(row)
    return render(request, "edit.html", {"protein": row, "form": form})


@versioned(Reference, Protein, User)
def references(request):
    return render(request, "references.html", {"references": Reference.objects.prefetch_related("proteins")})


@versioned(Protein)
def lineage(request, slug):
    """The way up to the root, and all descendants."""
    row = get_object_or_404(Protein, slug=slug)
    rows = {p.id: p for p in Protein.objects.all()}
    ancestors, at = [], row.parent_id
    while at and rows[at].slug not in ancestors:
        ancestors.append(rows[at].slug)
        at = rows[at].parent_id

    def tree(node):
        return {"slug": node.slug, "name": node.name, "year": node.year,
                "children": [tree(p) for p in rows.values() if p.parent_id == node.id]}
    return JsonResponse({"ancestors": ancestors, "lineage": tree(row)})


@versioned(Spectrum)
def image(request, slug):
    """The spectra of a protein as a chart."""
    row = get_object_or_404(Protein, slug=slug)
    versions.ensure(f"proteins.Protein:{slug}")
    picture = Image.new("RGB", (480, 220), "white")
    draw = ImageDraw.Draw(picture)
    draw.line([(0, 200), (480, 200)], fill="#888888")
    draw.text((8, 4), row.name.encode("ascii", "replace").decode(), fill="black")
    for spectrum in Spectrum.objects.filter(owner_state__protein=row):
        places = [((wavelength - 350) * 480 / 450, 200 - 180 * value) for wavelength, value in spectrum.points]
        draw.line(places, fill=spectrum.color, width=2)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return HttpResponse(out.getvalue(), content_type="image/png")
