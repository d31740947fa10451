"""Synthetic data of tissues, every molecule of every cell or every moving cell simulated; written by :mod:`.make_synthetic`."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.micro.cells import gillespie, line
from hmminfer.micro.movement import spreading
from hmminfer.system.tables import RawTable

RATES = {"diffusivity": "LogNormal(0.3 um^2/s, 1.5)", "degradation": "LogNormal(1.08 1/h, 1)"}  # priors with which the files are analysed
INTENSITY = {**RATES, "amplitude": "LogNormal(150, 1)", "background": "Normal(0, 10)"}
COUNT = {**RATES, "amplitude": "LogNormal(50, 1)", "background": "HalfNormal(1)"}
MORPHOGEN = {"length": "119.6 um", "cell_size": "2.6 um", "nodes": 17, "patch": 2}
MORPHOGEN_CELLS, MORPHOGEN_TISSUES = 46, 10
MORPHOGEN_TRUTH = {"diffusivity": 0.2, "degradation": 1.8144, "binding_ratio": 1.0, "unbinding_rate": 0.5}  # um^2/s, 1/h, -, 1/s
MORPHOGEN_MOLECULES, MORPHOGEN_GAIN, MORPHOGEN_BACKGROUND, MORPHOGEN_READING = 100.0, 1.2, 6.0, 1.0
MORPHOGEN_SEED = 20261129


COUNTS_MOLECULES, COUNTS_TISSUES, COUNTS_SEED = 60.0, 5, 20261130
FRONT: dict[str, Any] = {"columns": 48, "rows": 48, "band": 8, "filled": "50 %"}
FRONT_TRUTH = {"motility": 1.5, "adhesion": 0.6}
FRONT_TOLERANCE, FRONT_SEED = {"density": 0.03, "contacts": 0.06}, 20261201


def _tissue(molecules: float) -> tuple[np.ndarray, np.ndarray]:
    """Source (cells,) and rates of a line of cells with this many molecules at the source, in the end."""
    size = float(str(MORPHOGEN["length"]).split()[0]) / MORPHOGEN_CELLS
    d, k, kappa, k_off = MORPHOGEN_TRUTH.values()
    k /= 3600.0
    source = np.zeros(MORPHOGEN_CELLS)
    source[0] = molecules * np.sqrt(d * k * kappa) / (1.0 + kappa) / size
    return source, np.array([d / size**2, kappa * k_off, k_off, k, 0.0])


def _raw(name: str, settings: dict, header: tuple[str, ...], rows: list[dict[str, str]]) -> RawTable:
    return RawTable(name, "", settings, header, rows, list(range(2, 2 + len(rows))), {})


def morphogen_growth() -> tuple[RawTable, str]:
    """Noisy intensities of a gradient building up, every molecule of every cell simulated, and its provenance."""
    d, k, kappa, k_off = MORPHOGEN_TRUTH.values()
    k /= 3600.0
    none = np.zeros(MORPHOGEN_CELLS, np.int64)
    source, rates = _tissue(MORPHOGEN_MOLECULES)
    hours = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    rng = np.random.default_rng(MORPHOGEN_SEED)
    total = np.zeros((len(hours), MORPHOGEN_CELLS))
    for _ in range(MORPHOGEN_TISSUES):
        total += gillespie(rng, line(MORPHOGEN_CELLS), source, rates, none, none, 3600.0 * hours)[0].sum(axis=1)
    rows = []
    for i in range(0, 40, 4):  # two neighbouring cells are read together
        for t, hour in enumerate(hours):
            counted = total[t, i : i + 2].sum()
            share = MORPHOGEN_GAIN / (2 * MORPHOGEN_TISSUES)
            value = share * counted + MORPHOGEN_BACKGROUND + MORPHOGEN_READING * rng.standard_normal()
            sd = np.hypot(share * np.sqrt(counted + 1.0), MORPHOGEN_READING)
            place = 100.0 * (i + 1.0) / MORPHOGEN_CELLS
            rows.append(
                {"quantity": "intensity", "position": f"{place:.4f}", "time": f"{hour:g}", "value": f"{value:.3f}", "unit": "", "sd": f"{sd:.3f}"}
            )
    header = ("quantity", "position [%]", "time [h]", "value", "unit", "sd")
    raw = _raw("morphogen_growth", {"experiment": "growth", **MORPHOGEN, **INTENSITY}, header, rows)
    return (
        raw,
        f"""title = "Synthetic morphogen gradient building up: mean over {MORPHOGEN_TISSUES} tissues of {MORPHOGEN_CELLS} cells"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact: every hop, binding, unbinding and decay of every molecule was simulated (Gillespie's direct method)"
units = "intensity in arbitrary units, position in % of the length, time in h since the source began"
uncertainty = "sd of a reading, {MORPHOGEN_READING:g}, and of the counted molecules (Poisson: the square root of what was counted), as a column"
licence = "MIT, as the repository"
truth = "diffusivity {d} um^2/s, degradation {MORPHOGEN_TRUTH["degradation"]} 1/h, binding_ratio {kappa:g}, unbinding_rate {k_off} 1/s, amplitude \
{MORPHOGEN_MOLECULES * MORPHOGEN_GAIN:g}, background {MORPHOGEN_BACKGROUND:g}"
notes = "No patch, no coarse grid, no projection and no Langevin noise: the full tissue, cell by cell, molecule by molecule; {MORPHOGEN_GAIN} \
units of intensity for each, two neighbouring cells read together. The effective diffusivity {d / (1 + kappa):g} um^2/s and \
decay rate {k * kappa / (1 + kappa):.3g} 1/s are those published for Dpp in the wing disc."
seed = {MORPHOGEN_SEED}
""",
    )


def morphogen_counts() -> tuple[RawTable, str]:
    """Molecules in single cells of a gradient at rest, counted once in each tissue, and its provenance."""
    source, rates = _tissue(COUNTS_MOLECULES)
    none, rng = np.zeros(MORPHOGEN_CELLS, np.int64), np.random.default_rng(COUNTS_SEED)
    end = 12.0 * 2.0 / rates[3]  # 12 lifetimes: the start is forgotten to 6e-6
    rows = []
    for tissue in range(COUNTS_TISSUES):
        counted = gillespie(rng, line(MORPHOGEN_CELLS), source, rates, none, none, np.array([end]))[0][0].sum(axis=0)
        for i in range(0, 40, 3):
            place = f"{100.0 * (i + 0.5) / MORPHOGEN_CELLS:.4f}"
            rows.append({"quantity": "count", "specimen": "ABCDE"[tissue], "position": place, "value": f"{counted[i]}", "unit": "", "sd": ""})
    d, _, kappa, k_off = MORPHOGEN_TRUTH.values()
    settings = {"experiment": "counts", **MORPHOGEN, **COUNT}
    return (
        _raw("morphogen_counts", settings, ("quantity", "specimen", "position [%]", "value", "unit", "sd"), rows),
        f"""title = \
"Synthetic counts of morphogen molecules in single cells of {COUNTS_TISSUES} tissues at rest"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed"
confidence = "exact: every hop, binding, unbinding and decay of every molecule was simulated (Gillespie's direct method) for 12 lifetimes"
units = "molecules of a cell, free and bound; position of its middle in % of the length"
uncertainty = "none: counted. Counts vary from tissue to tissue by Poisson's law"
licence = "MIT, as the repository"
truth = "diffusivity {d} um^2/s, degradation {MORPHOGEN_TRUTH["degradation"]} 1/h, binding_ratio {kappa:g}, unbinding_rate {k_off} 1/s, amplitude \
{COUNTS_MOLECULES:g} molecules, background 0"
notes = "No patch, no coarse grid and no Langevin noise: the full tissue, molecule by molecule; every third of its cells is counted."
seed = {COUNTS_SEED}
""",
    )


def tissue_front() -> tuple[RawTable, str]:
    """Density and contacts of a spreading sheet of cells, seen twice, and its provenance."""
    rng, hours = np.random.default_rng(FRONT_SEED), np.array([10.0, 30.0])
    columns, n, band = FRONT["columns"], FRONT["rows"], FRONT["band"]
    density, touching = spreading(rng, columns, n, columns // 2, 1.0, FRONT_TRUTH["motility"], FRONT_TRUTH["adhesion"], hours)
    seen = density.reshape(len(hours), -1, band).mean(axis=2)
    rows = []
    for t, hour in enumerate(hours):
        for i, value in enumerate(seen[t]):
            place = f"{100.0 * (i + 0.5) * band / columns:g}"
            rows.append({"quantity": "density", "position": place, "value": f"{value:.4f}", "sd": f"{FRONT_TOLERANCE['density']:g}"})
            rows[-1] |= {"time": f"{hour:g}", "unit": ""}
        rows.append({"quantity": "contacts", "position": "", "value": f"{touching[t]:.4f}", "sd": f"{FRONT_TOLERANCE['contacts']:g}"})
        rows[-1] |= {"time": f"{hour:g}", "unit": ""}
    settings = {"experiment": "spreading", **FRONT}
    return (
        _raw("tissue_front", settings, ("quantity", "position [%]", "time [h]", "value", "unit", "sd"), rows),
        f"""title = \
"Synthetic tissue that spreads: density of bands and contacts of a cell, one sheet seen twice"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed"
confidence = "exact: every step of every cell was simulated (exclusion with adhesion, continuous time)"
units = "density in cells per site, contacts in cells touched by a cell; position in % of the sheet, time in h"
uncertainty = "none was added: cells move at random. The column sd is the tolerance of approximate Bayesian computation"
licence = "MIT, as the repository"
truth = "motility {FRONT_TRUTH["motility"]} 1/h, adhesion {FRONT_TRUTH["adhesion"]}"
notes = "A sheet of {columns} x {n} sites, its first half filled; a band is {band} columns. A fit simulates sheets of the same size with other random numbers."
seed = {FRONT_SEED}
""",
    )


WRITERS = {"morphogen_growth": morphogen_growth, "morphogen_counts": morphogen_counts, "tissue_front": tissue_front}
TESTED = ("morphogen_growth", "morphogen_counts", "tissue_front")
