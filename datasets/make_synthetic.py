"""Write the synthetic datasets plate_dic and tow_steered_plate. Run: python -m hmminfer.datasets.make_synthetic FOLDER

The truth is computed on a plate mesh and a cell at least twice finer than any model that fits the data (no inverse crime); noise and seed
are recorded in each provenance.toml. The files in this folder were written by this script; a test repeats it and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from hmminfer import models
from hmminfer.data import RawTable, write_table

MATERIAL = {
    "fibre_axial_modulus": 230.0,
    "fibre_transverse_modulus": 15.0,
    "fibre_shear_modulus": 25.0,
    "fibre_axial_poisson": 0.20,
    "fibre_transverse_poisson": 0.25,
    "matrix_poisson": 0.36,
}
HIDDEN = {"matrix_modulus": 3.8, "volume_fraction": 0.58}
CELL_REFINE = 8  # the models use 4
DISPLACEMENT_SD = 1.0  # um, about 0.02 px of a camera that sees 100 mm on 2,000 px
FORCE_SD = 0.01  # relative

CASES: dict[str, dict[str, Any]] = {
    "plate_dic": {
        "settings": {"length": "100 mm", "width": "25 mm", "thickness": "1 mm", "displacement": "0.1 mm"},
        "grid": (15, 8),
        "mesh": {"elements_x": 64, "elements_y": 32},
        "angle": lambda x, y: 27.0 + 0.0 * x,
        "truth": "fibre_angle 27 deg, volume_fraction 0.58, matrix_modulus 3.8 GPa",
        "known": MATERIAL,
        "seed": 20261122,
    },
    "tow_steered_plate": {
        "settings": {
            "length": "100 mm",
            "width": "50 mm",
            "thickness": "1 mm",
            "displacement": "0.1 mm",
            "orientation": "field",
        },
        "grid": (24, 12),
        "mesh": {"elements_x": 64, "elements_y": 32},
        "angle": lambda x, y: 20.0 + 25.0 * np.sin(np.pi * x / 100.0) + 6.0 * np.cos(np.pi * y / 50.0),
        "truth": "fibre_angle(x, y) = 20 + 25 sin(pi x / 100 mm) + 6 cos(pi y / 50 mm) deg, matrix_modulus 3.8 GPa",
        "known": {**MATERIAL, "volume_fraction": HIDDEN["volume_fraction"]},
        "seed": 20261123,
    },
}


def measure(name: str) -> tuple[RawTable, dict[str, Any]]:
    """Noisy data of one case as a table, and what its provenance must say."""
    case = CASES[name]
    fibre = models.get("fibre_composite")
    s = {"experiment": "plate", **case["settings"]}
    length, width = (float(s[k].split()[0]) for k in ("length", "width"))
    nx, ny = case["grid"]
    xs = np.linspace(0.05 * length, 0.95 * length, nx)
    ys = np.linspace(0.08 * width, 0.92 * width, ny)
    points = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2).round(3)
    rows = [
        {"quantity": q, "x": f"{x:g}", "y": f"{y:g}", "value": "0", "unit": "um", "sd": f"{DISPLACEMENT_SD:g}"}
        for q in ("displacement_x", "displacement_y")
        for x, y in points
    ]
    rows.append({"quantity": "force", "x": "", "y": "", "value": "0", "unit": "N", "sd": "1"})
    header = ("quantity", "x [mm]", "y [mm]", "value", "unit", "sd")
    raw = RawTable(name, "", s, header, rows, list(range(2, 2 + len(rows))), {})
    table = fibre.PLATE.check(raw, **case["mesh"])
    truth = fibre.plate(table, cell="full", refine=CELL_REFINE, angle=case["angle"])
    y = truth.evaluate({**MATERIAL, **HIDDEN})
    sd = np.where(table.quantity == "force", FORCE_SD * np.abs(y), DISPLACEMENT_SD)
    noisy = y + sd * np.random.default_rng(case["seed"]).standard_normal(len(y))
    for row, value, noise in zip(rows, noisy, sd, strict=True):
        row["value"], row["sd"] = f"{value:.3f}", f"{noise:.4g}"
    units = {k: " GPa" if k.endswith("modulus") else "" for k in case["known"]}
    settings = {**s, **{k: f"{v:g}{units[k]}" if units[k] else v for k, v in case["known"].items()}}
    facts = {
        "truth": case["truth"],
        "seed": case["seed"],
        "cell_refine": CELL_REFINE,
        "nodes": truth.about["nodes"],
        "unknowns": truth.about["unknowns"],
    }
    return RawTable(name, "", settings, header, rows, raw.lines, {}), facts


def provenance(name: str, facts: dict[str, Any]) -> str:
    """Text of provenance.toml."""
    return f'''title = "Synthetic {name.replace("_", " ")}: displacement field and force of a gripped composite plate"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the finer model below"
units = "displacements in um, force in N, lengths in mm"
uncertainty = "independent Gaussian noise, sd {DISPLACEMENT_SD:g} um on displacements (about 0.02 px), {100 * FORCE_SD:g} % on the force"
licence = "MIT, as the repository"
truth = "{facts["truth"]}"
notes = "Truth from a full hexagonal cell with {facts["cell_refine"]} elements a side (the models use 4) and a plate of {facts["nodes"]} nodes, \
{facts["unknowns"]} unknowns, more than twice finer than the models' default in each direction. The header fixes the fibre, known from other tests."
seed = {facts["seed"]}
'''


def main(folder: str) -> None:
    """Write every case below ``folder``; existing files are not overwritten."""
    for name in CASES:
        raw, facts = measure(name)
        path = Path(folder) / name
        path.mkdir(parents=True, exist_ok=True)
        write_table(path / "data.csv", raw, remarks=(f"Synthetic: {facts['truth']}; see provenance.toml.",))
        (path / "provenance.toml").write_text(provenance(name, facts))
        print(f"{path}: {len(raw.rows)} rows")


if __name__ == "__main__":
    main(sys.argv[1])
