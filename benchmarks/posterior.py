"""The posterior of plate_dic on its default mesh: sampled against quadrature, and every chain in the right basin."""

from __future__ import annotations

from typing import Any

import numpy as np
from arviz_stats.base import array_stats

from hmminfer.inference.modes import chain_starts
from hmminfer.inference.posterior import Compiled
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import fit
from hmminfer.testing import posterior_by_quadrature

from .common import TRUTH, plate_model


def quadrature_mcse(quick: bool) -> dict[str, Any]:
    """Largest difference of posterior means and sds from quadrature on plate_dic, default mesh, in Monte Carlo errors."""
    model = plate_model("plate_dic")
    compiled = Compiled(Problem.of(model))
    exact = posterior_by_quadrature(compiled, compiled.modes(0)[0], n=6 if quick else 12)
    tree = fit(model, draws=200 if quick else 1000, tune=300, chains=2, seed=3, cores=1, progress=False)
    detail, worst = {}, 0.0
    for name, (mean, sd) in exact.items():
        x = tree["posterior"][name].values
        errors = [float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=m)) for m in ("mean", "sd")]
        away = [(x.mean() - mean) / errors[0], (x.std() - sd) / errors[1]]
        detail[name] = {"mean": mean, "sd": sd, "sampled": [x.mean(), x.std()], "in_mcse": away}
        worst = max(worst, *(abs(float(a)) for a in away))
    return {"value": worst, "detail": detail}


def lost_chains(quick: bool) -> dict[str, Any]:
    """First and last points of chains outside the posterior's basin, plate_dic, default mesh, of twenty seeds with two chains each."""
    model = plate_model("plate_dic")
    compiled = Compiled(Problem.of(model))
    seeds = range(3 if quick else 20)
    lost, ends = 0, []
    for seed in seeds:
        starts = compiled.problem.constrain(chain_starts(compiled.modes(seed), 2, np.random.default_rng(seed)))
        tree = fit(model, draws=30, tune=50, chains=2, seed=seed, cores=1, progress=False)
        last = {name: tree["posterior"][name].values[:, -1] for name in TRUTH}
        for where in (starts, last):
            out = np.abs(where["fibre_angle"] - TRUTH["fibre_angle"]) > 5.0
            lost += int(np.sum(out | (np.abs(where["volume_fraction"] - TRUTH["volume_fraction"]) > 0.15)))
        ends.append([round(float(a), 2) for a in last["fibre_angle"]])
    return {"value": float(lost), "detail": {"seeds": len(seeds), "last_angles": ends}}
