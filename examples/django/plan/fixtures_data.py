# SPDX-License-Identifier: Apache-2.0
"""Data of system 2: a list of spectra of about 140 KB, and something of each other resource."""
import math

from .models import Lineage, Protein, Reference, Spectrum

_LETTERS = "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTT"


def _curve(peak, width):
    """Pairs of wavelength and intensity around a peak."""
    return [[wave, round(math.exp(-((wave - peak) / width) ** 2), 3)] for wave in range(peak - 90, peak + 90, 3)]


def load():
    """Fill the empty tables; without signals, since nobody has read anything yet."""
    Spectrum.objects.bulk_create(
        Spectrum(name=f"FP{number:03d} {kind}", kind=kind, data=_curve(400 + 2 * number + shift, 20 + number % 17))
        for number in range(90) for kind, shift in (("ex", 0), ("em", 22)))
    Protein.objects.bulk_create(
        Protein(name=f"FP{number:03d}", sequence=_LETTERS[number % 50:] + _LETTERS[:number % 50]) for number in range(85))
    Reference.objects.bulk_create(
        Reference(title=f"A new fluorescent protein, part {number}", year=1992 + number % 30,
                  title_de=f"Ein neues fluoreszierendes Protein, Teil {number}") for number in range(1, 41))
    Lineage.objects.bulk_create(
        Lineage(parent=f"FP{number // 2:03d}", child=f"FP{number:03d}", mutation=f"S{60 + number}T")
        for number in range(1, 85))
