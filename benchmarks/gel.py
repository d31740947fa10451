"""Swelling gel: cost of a gradient; and the time of whole posteriors of the systems with nonlinear, fast and random cells."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hmminfer import models
from hmminfer.inference.sampling import fit

from .common import summarise
from .operator import interleaved

POSTERIORS = {  # system: (experiment, dataset, target_accept); smaller steps for columns that differ, whose posterior has a neck
    "swelling_gel": ("equilibrium", "cartilage_salt", 0.8),
    "swelling_gel, creep": ("confined", "confined_creep", 0.8),
    "reactive_transport": ("columns", "pfos_columns", 0.95),
    "morphogen_tissue": ("gradient", "bicoid_profile", 0.8),
    "morphogen_tissue, counts": ("counts", "morphogen_counts", 0.8),
}
R_HAT = 1.01


def gel_gradient_cost(quick: bool) -> dict[str, Any]:
    """Value and gradient over value alone, confined compression with the Poisson-Boltzmann cell."""
    model = models.get("swelling_gel").EXPERIMENTS["confined"].model("confined_creep", rods="unknown")
    kernel, table = model.kernel, model.table
    theta = model.vector({"chain_pressure": 0.1})
    y_bar = np.ones(len(table))

    def value() -> None:
        kernel.code.forward(theta, *kernel.data)

    def both() -> None:
        _, *state = kernel.code.forward(theta, *kernel.data)
        kernel.code.pullback(theta, *kernel.data, *state, y_bar)

    t = interleaved({"value": value, "value and gradient": both}, 20 if quick else 200)
    detail = {f"{k} (ms)": 1e3 * v for k, v in t.items()}
    return {"value": t["value and gradient"] / t["value"], "detail": detail}


def posteriors_per_minute(quick: bool) -> dict[str, Any]:
    """Full NUTS fits per minute, 4 chains, to R-hat below 1.01, compilation not counted: one dataset of each system, the slowest of them.

    A fit that does not reach this R-hat in 1,000 draws is run again with twice as many, and again; only the run that reaches it counts.
    """
    rates = {}
    for name, (experiment, dataset, target_accept) in POSTERIORS.items():
        system = name.split(",")[0]
        model = models.get(system).EXPERIMENTS[experiment].model(dataset)
        axial = [p.name for p in model.parameters if p.axial]
        with threadpool_limits(1, "blas"):
            fit(model, draws=5, tune=5, chains=1, seed=1, progress=False)
            for draws in (200,) if quick else (1000, 2000, 4000):
                begin = time.perf_counter()
                tree = fit(model, draws=draws, tune=500, chains=4, seed=1, target_accept=target_accept, progress=False)
                seconds = time.perf_counter() - begin
                names = [p.name for p in model.parameters if p.name in tree["posterior"]]
                found = summarise({k: tree["posterior"][k].values for k in names}, axial)
                if found["max_rhat"] < R_HAT:
                    break
            else:
                if not quick:
                    raise AssertionError(f"R-hat of {name} is {found['max_rhat']:.3f} after {4 * draws} draws")
        rates[name] = {
            "per minute": 60.0 / seconds,
            "seconds": seconds,
            "draws": 4 * draws,
            "R-hat": found["max_rhat"],
            "ESS": found["min_ess"],
            "divergences": int(tree["sample_stats"]["diverging"].sum()),
            "target_accept": target_accept,
        }
    return {"value": min(r["per minute"] for r in rates.values()), "detail": rates}
