"""Synthetic breakthrough of columns, from a solve with all species and every time scale; written by :mod:`.make_synthetic`."""

from __future__ import annotations

import numpy as np

from hmminfer.macro.resolved_column import resolved_column
from hmminfer.system.tables import RawTable

STIFF_TRUTH = {
    "distribution": 4.0,
    "half_saturation": 1.0,
    "log10_fast_rate": 8.0,
    "slow_capacity": 3.0,
    "exchange_rate": 0.3,
    "dispersivity": 2.5,
    "decay_rate": 0.03,
}
STIFF = (  # name, flow, pulse, inflow
    ("dilute", 12.0, 2.7, 0.05),
    ("middle", 12.0, 2.7, 1.0),
    ("strong", 12.0, 2.7, 10.0),
    ("quick", 24.0, 1.35, 1.0),
)
STIFF_TIMES = (0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 4.5, 5.0, 6.0, 8.0, 12.0, 20.0)
STIFF_SD, STIFF_LEAST = 0.005, 0.02
STIFF_SEED = 20261129


def stiff_column(cells: int = 400, rtol: float = 1e-6) -> tuple[RawTable, str]:
    """Noisy breakthrough curves of columns with all species and every scale, and their provenance."""
    t = STIFF_TRUTH
    rows = []
    fast = 3600.0 * 10.0 ** t["log10_fast_rate"]  # 1/h
    sites = t["distribution"] * t["half_saturation"]
    slow = [t[name] for name in ("slow_capacity", "exchange_rate", "dispersivity", "decay_rate")]
    par = (fast, fast / t["distribution"], sites, *slow)
    for name, flow, pulse, inlet in STIFF:
        y, _ = resolved_column(70.0, 1000.0 * flow / (176.6 * 0.33), inlet, pulse, STIFF_TIMES, par, cells, rtol)
        rows += [
            {
                "quantity": "relative_concentration",
                "specimen": name,
                "time": f"{x:g}",
                "flow": f"{flow:g}",
                "pulse": f"{pulse:g}",
                "inlet": f"{inlet:g}",
                "value": v,
                "unit": "",
                "sd": f"{STIFF_SD:g}",
            }
            for x, v in zip(STIFF_TIMES, y, strict=True)
            if v >= STIFF_LEAST
        ]
    noise = STIFF_SD * np.random.default_rng(STIFF_SEED).standard_normal(len(rows))
    for row, e in zip(rows, noise, strict=True):
        row["value"] = f"{row['value'] + e:.4f}"
    header = ("quantity", "specimen", "time [h]", "flow [mL/h]", "pulse [h]", "inlet [g/m^3]", "value", "unit", "sd")
    settings = {
        "experiment": "columns",
        "length": "70 mm",
        "area": "176.6 mm^2",
        "porosity": 0.33,
        "isotherm": "saturable",
        "differences": "none",
        "step": "0.03 h",
        "accuracy": 0.003,
        "decay_rate": "LogNormal(0.03 1/h, 1)",
        "distribution": "LogNormal(5, 1)",
        "slow_capacity": "LogNormal(3, 1)",
        "exchange_rate": "LogNormal(0.1 1/h, 1.5)",
    }
    raw = RawTable("stiff_column", "", settings, header, rows, list(range(2, 2 + len(rows))), {})
    truth = ", ".join(f"{k} {v:g}" for k, v in t.items())
    return (
        raw,
        f"""title = "Synthetic stiff columns: breakthrough of a solute that binds to sites at 1e8 per second and to slow sites in hours"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the resolved solve below"
units = "concentration over that of the inflow (0.05, 1 and 10 g/m^3), time in h, flow in mL/h"
uncertainty = "independent Gaussian noise, sd {STIFF_SD:g} of the inflow; where less than {STIFF_LEAST:g} leaves, nothing is measured"
licence = "MIT, as the repository"
truth = "{truth}"
notes = "Truth from {cells} finite volumes with dissolved, bound and slow solute each (the model has 50 elements and never integrates the fast \
reaction in time beyond a burst), Radau IIA of order 5 at relative tolerance {rtol:g}, fast rate {10.0 ** t["log10_fast_rate"]:g} per second. \
The columns do not differ (differences = none)."
seed = {STIFF_SEED}
""",
    )


WRITERS = {"stiff_column": stiff_column}
TESTED = ()
