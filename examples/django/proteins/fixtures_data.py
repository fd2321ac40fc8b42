# SPDX-License-Identifier: Apache-2.0
"""Data of a realistic size, the same each time. The names are real, the numbers are made up."""
import json
import math
import random

from .models import OpticalConfig, Protein, Reference, Spectrum, State

FAMILIES = [
    ("avGFP", 395, 508,
     "EGFP Emerald mEGFP sfGFP Clover mClover3 mNeonGreen Sapphire T-Sapphire Superecliptic".split()),
    ("Azurite", 383, 450, "EBFP EBFP2 mTagBFP2 Electra1 Electra2 mBlueberry".split()),
    ("ECFP", 434, 476, "Cerulean mCerulean3 mTurquoise mTurquoise2 SCFP3A mTFP1 Aquamarine".split()),
    ("EYFP", 513, 527, "Venus mVenus Citrine mCitrine SYFP2 YPet mGold".split()),
    ("DsRed", 558, 583, "mCherry mStrawberry mOrange mOrange2 tdTomato mRFP1 mPlum mRuby3 mScarlet mScarlet3".split()),
    ("eqFP578", 552, 578, "TagRFP mKate2 mKate TagRFP-T Katushka mNeptune mCardinal FusionRed".split()),
    ("EosFP", 506, 516, "mEos2 mEos3 mEos4b tdEos Dendra2 mMaple3 Kaede".split()),
    ("iRFP713", 690, 713, "iRFP670 iRFP682 iRFP702 iRFP720 miRFP670 miRFP703 miRFP709 miRFP720".split()),
]
DYES = ("Alexa-350 Alexa-405 Alexa-488 Alexa-532 Alexa-546 Alexa-568 Alexa-594 Alexa-647 Alexa-700 Alexa-750 ATTO-390 "
        "ATTO-425 ATTO-488 ATTO-532 ATTO-550 ATTO-565 ATTO-594 ATTO-647N ATTO-655 Cy2 Cy3 Cy3B Cy5 Cy5.5 Cy7 DAPI FITC "
        "TRITC Texas-Red JF-503 JF-525 JF-549 JF-585 JF-646 SiR").split()
CAMERAS = "Prime-95B Flash-4.0 iXon-897 Zyla-4.2 Kinetix Evolve-512 Orca-Fusion Retiga-R6 pco.edge QImaging".split()
MICROSCOPES = ["Nikon Ti2", "Zeiss LSM 880", "Leica SP8", "Olympus IX83", "Yokogawa CSU-X1", "Light sheet"]
JOURNALS = ["Nature Methods", "Nature Biotechnology", "PNAS", "Biochemistry", "Journal of Cell Biology", "Cell"]
AUTHORS = "Abe Berg Costa Diaz Evans Fischer Garcia Haas Ito Jensen Khan Lopez Meyer Novak Okada Petrov Rossi".split()


def slug_of(name):
    return name.lower().replace(".", "-").replace(" ", "-")


def colour(wavelength):
    """A colour for a wavelength, good enough for a chart."""
    hue = min(max((wavelength - 380) / 320, 0), 1)
    return "#%02x%02x%02x" % (int(255 * hue), int(255 * (1 - abs(2 * hue - 1))), int(255 * (1 - hue)))


def curve(peak, width, skew=1.0):
    """Points of a bell that falls off slower to one side."""
    points = []
    for wavelength in range(peak - 60, peak + 61, 3):
        distance = wavelength - peak
        sigma = width * (skew if distance > 0 else 1)
        points.append([wavelength, round(math.exp(-distance * distance / (2 * sigma * sigma)), 4)])
    return json.dumps(points, separators=(",", ":"))


def spectrum(name, category, subtype, peak, width, state=None, skew=1.0):
    return Spectrum(name=name, category=category, subtype=subtype, peak=peak, color=colour(peak), owner_state=state,
                    data=curve(peak, width, skew))


def load_proteins(dice):
    acids = "ACDEFGHIKLMNPQRSTVWY"
    rows, parents = [], {}
    for root, ex, em, names in FAMILIES:
        for name in [root, *names]:
            row = Protein(slug=slug_of(name), name=name, year=dice.randint(1992, 2022),
                          seq="M" + "".join(dice.choice(acids) for _ in range(dice.randint(220, 245))),
                          blurb=f"{name} belongs to the family of {root}, with an emission around {em} nm.")
            row.at = (ex + dice.randint(-12, 25), em + dice.randint(-8, 25))
            parents[row.slug] = None if name == root else slug_of(root)
            rows.append(row)
    Protein.objects.bulk_create(rows)
    rows = {p.slug: (p, next(r for r in rows if r.slug == p.slug).at) for p in Protein.objects.all()}
    for slug, (row, _) in rows.items():
        row.parent = rows[parents[slug]][0] if parents[slug] else None
    Protein.objects.bulk_update([row for row, _ in rows.values()], ["parent"])
    return rows


def load_states(dice, proteins):
    for row, (ex, em) in proteins.values():
        kinds = ["green", "red"] if "eos" in row.slug or row.slug in ("dendra2", "kaede") else ["default"]
        for number, kind in enumerate(kinds):
            State.objects.bulk_create([State(protein=row, slug=f"{row.slug}-{kind}", name=kind, ex_max=ex + 50 * number,
                                             em_max=em + 60 * number, ext_coeff=dice.randrange(20000, 140000, 500),
                                             qy=round(dice.uniform(0.1, 0.95), 2))])
    return list(State.objects.select_related("protein"))


def load_spectra(dice, states):
    rows = []
    for state in states:
        title = state.protein.name + ("" if state.name == "default" else f" ({state.name})")
        rows.append(spectrum(f"{title} excitation", "p", "ex", state.ex_max, 22, state, 0.7))
        rows.append(spectrum(f"{title} emission", "p", "em", state.em_max, 16, state, 1.6))
        if dice.random() < 0.4:
            rows.append(spectrum(f"{title} two-photon", "p", "2p", 2 * state.ex_max - 60, 25, state))
    for number, name in enumerate(DYES):
        peak = 350 + 12 * number
        rows.append(spectrum(f"{name} absorption", "d", "ab", peak, 20, None, 0.7))
        rows.append(spectrum(f"{name} emission", "d", "em", peak + 22, 17, None, 1.6))
    for centre in range(400, 790, 5):
        for width in dice.sample([10, 20, 25, 40, 50], 3):
            rows.append(spectrum(f"Band pass {centre}/{width}", "f", "bp", centre, width / 2))
    for edge in range(400, 790, 15):
        rows.append(spectrum(f"Long pass {edge}", "f", "bp", edge, 30))
    for line in (365, 385, 405, 440, 445, 455, 470, 488, 505, 514, 532, 550, 561, 575, 594, 635, 640, 660, 685, 730):
        rows.append(spectrum(f"Laser {line}", "l", "pd", line, 2))
    for name in CAMERAS:
        rows.append(spectrum(f"Camera {name}", "c", "qe", dice.randrange(520, 640, 10), 60))
    Spectrum.objects.bulk_create(rows)


def load_configs(dice):
    ids = {kind: list(Spectrum.objects.filter(category=kind).values_list("id", flat=True)) for kind in "flc"}
    OpticalConfig.objects.bulk_create(
        OpticalConfig(name=f"{scope} {channel}", microscope=scope, comments=f"{channel} channel")
        for scope in MICROSCOPES for channel in ("DAPI", "GFP", "TRITC", "Cy5"))
    through = OpticalConfig.spectra.through
    through.objects.bulk_create(
        through(opticalconfig_id=config.id, spectrum_id=i) for config in OpticalConfig.objects.all()
        for i in [*dice.sample(ids["f"], 3), dice.choice(ids["l"]), dice.choice(ids["c"])])


def load_references(dice, proteins):
    names = sorted(proteins)
    Reference.objects.bulk_create(
        Reference(doi=f"10.1000/lab.{number:04}", year=1994 + number % 29, journal=dice.choice(JOURNALS),
                  authors=", ".join(dice.sample(AUTHORS, 3)),
                  title=f"A {dice.choice(['brighter', 'faster maturing', 'monomeric', 'photostable'])} variant of "
                        f"{proteins[dice.choice(names)][0].name}")
        for number in range(80))
    through = Reference.proteins.through
    through.objects.bulk_create(
        through(reference_id=row.id, protein_id=proteins[slug][0].id)
        for row in Reference.objects.all() for slug in dice.sample(names, 2))


def load():
    """Fills empty tables; sends no signals."""
    dice = random.Random(20)
    proteins = load_proteins(dice)
    load_spectra(dice, load_states(dice, proteins))
    load_configs(dice)
    load_references(dice, proteins)
