"""Synthetic data of a morphogen's gradient, every molecule of every cell simulated; written by :mod:`.make_synthetic`."""

from __future__ import annotations

import numpy as np

from hmminfer.data import RawTable
from hmminfer.micro.cells import gillespie, line

MORPHOGEN = {"length": "119.6 um", "cell_size": "2.6 um", "nodes": 13, "patch": 2}
MORPHOGEN_CELLS, MORPHOGEN_TISSUES = 46, 10
MORPHOGEN_TRUTH = {
    "diffusivity": 0.2,
    "degradation": 1.8144,
    "binding_ratio": 1.0,
    "unbinding_rate": 0.5,
}  # um^2/s, 1/h, -, 1/s
MORPHOGEN_MOLECULES, MORPHOGEN_GAIN, MORPHOGEN_BACKGROUND, MORPHOGEN_READING = 100.0, 1.2, 6.0, 1.0
MORPHOGEN_SEED = 20261129


def morphogen_growth() -> tuple[RawTable, str]:
    """Noisy intensities of a gradient building up, every molecule of every cell simulated, and its provenance."""
    size = float(str(MORPHOGEN["length"]).split()[0]) / MORPHOGEN_CELLS
    d, k, kappa, k_off = MORPHOGEN_TRUTH.values()
    k /= 3600.0
    source, none = np.zeros(MORPHOGEN_CELLS), np.zeros(MORPHOGEN_CELLS, np.int64)
    source[0] = MORPHOGEN_MOLECULES * np.sqrt(d * k * kappa) / (1.0 + kappa) / size
    rates = np.array([d / size**2, kappa * k_off, k_off, k, 0.0])
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
                {
                    "quantity": "intensity",
                    "position": f"{place:.4f}",
                    "time": f"{hour:g}",
                    "value": f"{value:.3f}",
                    "unit": "",
                    "sd": f"{sd:.3f}",
                }
            )
    header = ("quantity", "position [%]", "time [h]", "value", "unit", "sd")
    raw = RawTable(
        "morphogen_growth", "", {"experiment": "growth", **MORPHOGEN}, header, rows, list(range(2, 2 + len(rows))), {}
    )
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


WRITERS = {"morphogen_growth": morphogen_growth}
