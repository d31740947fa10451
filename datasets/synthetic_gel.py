"""Synthetic data of charged networks, from finer models than any that fits them; written by :mod:`.make_synthetic`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hmminfer import models
from hmminfer.system.tables import RawTable

RODS = {"rods": "known", "spacing": "0.64 nm", "radius": "0.55 nm"}  # chondroitin sulphate
TISSUE = {"water_fraction": 0.8, "network_modulus": "LogNormal(0.4 MPa, 0.5)", "network_poisson": 0.1}
CHARGE = {"fixed_charge": "LogNormal(0.2 mol/L, 0.5)"}
GEL_FINE = {"micro_elements": 96, "micro_nodes": 80}  # the model has 16 and 32
GELS: dict[str, dict[str, Any]] = {  # places where it is measured, with relative and absolute sd
    "salt_ladder": {
        "experiment": "equilibrium",
        "settings": {"volume": "held"},
        "rows": [(q, "bath [mmol/L]", b) for q in ("aggregate_modulus",) for b in (1, 5, 15, 50, 150, 500, 2000)],
        "unit": "MPa",
        "sd": 0.03,
        "known": {**RODS, **CHARGE, **TISSUE},
        "truth": {"fixed_charge": 0.25, "network_modulus": 0.45},
        "title": "confined modulus of a charged tissue in seven baths",
        "seed": 20261201,
    },
    "gel_swelling": {
        "experiment": "equilibrium",
        "settings": {"network": "gel"},
        "rows": [("swelling_degree", "bath [mmol/L]", b) for b in (1, 3, 10, 30, 100, 300, 1000)],
        "unit": "",
        "sd": 0.02,
        "known": {
            "water_fraction": 0.9,
            **RODS,
            **CHARGE,
            "interaction": "Normal(0.45, 0.05, lower=0, upper=0.6)",
            "chain_segments": "LogNormal(200, 0.5)",
        },
        "truth": {"fixed_charge": 0.6, "interaction": 0.45, "chain_segments": 150.0},
        "title": "swelling degree of a polyelectrolyte gel prepared with 10 % polymer",
        "seed": 20261202,
    },
    "confined_creep": {
        "experiment": "confined",
        "settings": {"test": "creep", "thickness": "1 mm", "bath": "150 mmol/L", "tare": "40 kPa", "load": "60 kPa"},
        "rows": [("displacement", "time [s]", t) for t in (60, 120, 240, 480, 900, 1500, 2400, 3600, 5400, 7200, 10800, 14400)],
        "unit": "um",
        "sd": 0.0,
        "least": 1.0,
        "finer": {"steps": 480, "elements": 48},
        "known": {
            "fixed_charge": "LogNormal(0.25 mol/L, 0.05)",
            **RODS,
            **TISSUE,
            "permeability": "LogNormal(400 um^4/uN/s, 0.7)",
            "permeability_exponent": 2.0,
        },
        "truth": {"fixed_charge": 0.25, "network_modulus": 0.45, "permeability": 400.0},
        "title": "creep of a charged tissue in confined compression",
        "seed": 20261203,
    },
}


def gels(name: str) -> tuple[RawTable, str]:
    """Noisy data of one case of :data:`GELS`, and its provenance."""
    case = GELS[name]
    place = case["rows"][0][1]
    rows = [{"quantity": q, place.split()[0]: f"{x:g}", "value": "0", "unit": case["unit"], "sd": "1"} for q, _, x in case["rows"]]
    settings = {"experiment": case["experiment"], **case["settings"], **case.get("known", {})}
    raw = RawTable(name, "", settings, ("quantity", place, "value", "unit", "sd"), rows, list(range(2, 2 + len(rows))), {})
    finer = {**GEL_FINE, **case.get("finer", {})}
    y = models.get("swelling_gel").EXPERIMENTS[case["experiment"]].model(raw, **finer).evaluate(case["truth"])
    sd = case["sd"] * y + case.get("least", 0.0)
    noisy = y + sd * np.random.default_rng(case["seed"]).standard_normal(len(y))
    for row, value, s in zip(rows, noisy, sd, strict=True):
        row["value"], row["sd"] = f"{value:.5g}", f"{s:.3g}"
    noise = f"{100 * case['sd']:g} % of each value" if case["sd"] else f"{case['least']:g} {case['unit']}"
    truth = ", ".join(f"{k} {v:g}" for k, v in case["truth"].items())
    meshes = ", ".join(f"{k} {v}" for k, v in finer.items())
    return (
        raw,
        f"""title = "Synthetic: {case["title"]}"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the finer model below"
units = "as the columns say; salt in mmol/L, fixed charge in mol/L"
uncertainty = "independent Gaussian noise, sd {noise}"
licence = "MIT, as the repository"
truth = "{truth}; charged rods (Poisson-Boltzmann), everything else as the model's defaults"
notes = "Truth from a finer model: {meshes}. Measured series of this kind in full were not found in public; the real datasets have end baths only."
seed = {case["seed"]}
""",
    )


WRITERS = {name: partial(gels, name) for name in GELS}
TESTED = ()
