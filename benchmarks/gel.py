"""Swelling gel: what a gradient costs, and how long whole posteriors of the systems with nonlinear, fast and random cells take."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from hmminfer import models
from hmminfer.inference import fit

from .common import summarise
from .operator import interleaved

POSTERIORS = {  # system: (experiment, dataset)
    "swelling_gel": ("equilibrium", "cartilage_salt"),
    "swelling_gel, creep": ("confined", "confined_creep"),
    "reactive_transport": ("columns", "pfos_columns"),
    "morphogen_tissue": ("gradient", "bicoid_profile"),
}


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
    """Full NUTS fits of a dataset of each system, 4 chains, to R-hat below 1.01, compilation not counted: the slowest of them."""
    rates = {}
    for name, (experiment, dataset) in POSTERIORS.items():
        system = name.split(",")[0]
        if system not in models.names():
            continue
        model = models.get(system).EXPERIMENTS[experiment].model(dataset)
        with threadpool_limits(1, "blas"):
            fit(model, draws=5, tune=5, chains=1, seed=1, progress=False)
            begin = time.perf_counter()
            draws = 200 if quick else 1000
            tree = fit(model, draws=draws, tune=500, chains=4, seed=1, progress=False)
            seconds = time.perf_counter() - begin
        axial = [p.name for p in model.parameters if p.axial]
        names = [p.name for p in model.parameters if p.name in tree["posterior"]]
        found = summarise({k: tree["posterior"][k].values for k in names}, axial)
        rates[name] = {
            "per minute": 60.0 / seconds,
            "seconds": seconds,
            "draws": 4 * draws,
            "R-hat": found["max_rhat"],
            "ESS": found["min_ess"],
            "divergences": int(tree["sample_stats"]["diverging"].sum()),
        }
    return {"value": min(r["per minute"] for r in rates.values()), "detail": rates}
