"""Effect of a finite eps on an inference: bias and coverage, with and without the homogenisation error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from arviz_stats.base import array_stats

from hmminfer import models
from hmminfer.inference.grid_posterior import GridPosterior, ScaledAnswers, coverage, likelihoods
from hmminfer.inference.homogenisation import HomogenisationError, learn
from hmminfer.inference.sampling import fit
from hmminfer.macro.resolved import resolved
from hmminfer.system.model import Model

PERIODS = 8  # 1 / eps


def exact(model: Model, values: Mapping[str, Any], fine: int = 32) -> np.ndarray:
    """The resolved problem at eps on meshes finer (``fine`` elements to a period) than those the error is learnt from."""
    assert model.table is not None
    settings, columns, oscillation = model.table.settings, model.table.columns, models.get("heat_composite").oscillation
    points = np.stack([columns["x"], columns["y"]], axis=1)
    a1, a2, m = values["conductivity"], values["conductivity_slope"], int(settings["periods"])
    return resolved(lambda x, y: (a1 + a2 * x) * oscillation(m * x, m * y), settings["source"], fine * m, points)


def against_fit(model: Model, answers: ScaledAnswers, errors: Mapping[str, HomogenisationError]) -> dict[str, Any]:
    """Differences between fit and grid in the means and sds of one data set, in Monte Carlo errors."""
    assert model.table is not None
    out, of_kind = {}, likelihoods(model, model.table, errors)
    for kind in ("extra", "learnt"):
        mean, sd, _ = GridPosterior.of(model, answers, of_kind[kind]).summary()
        asked = errors[kind].applied_to(model) if kind in errors else model
        tree = fit(asked, discrepancy_kind=kind if kind == "extra" else "none", draws=500, tune=300, chains=2, seed=1, cores=1, progress=False)
        away = {}
        for i, name in enumerate(model.parameters.names):
            x: Any = tree["posterior"][name].values
            mcse = [float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=m)) for m in ("mean", "sd")]
            away[name] = [float((x.mean() - mean[i]) / mcse[0]), float((x.std() - sd[i]) / mcse[1])]
        out[kind] = away
    return out


def homogenisation_coverage(quick: bool) -> dict[str, Any]:
    """Larger distance, of both unknowns, of the coverage of 90 % intervals from 0.90; eps = 1/8, homogenisation error learnt as in fit."""
    model = models.get("heat_composite").EXPERIMENTS["periodic"].model("periodic_square", periods=PERIODS)
    count, nodes, draws = (20, 17, 8) if quick else (400, 33, 24)
    truth = ScaledAnswers(model, lambda values: exact(model, values), nodes)
    answers = ScaledAnswers(model, lambda values: model.evaluate(values), 4 * nodes)
    assert model.resolved is not None
    errors = {"learnt": learn(model, model.resolved, draws, progress=False)}
    rng = np.random.default_rng(20261201)  # learn() has a seed of its own
    truths = model.parameters.sample(rng, count)
    found: dict[str, list[Any]] = {name: [] for name in ("none", "extra", *errors)}
    for y in truth(np.log(truths)):
        table = replace(model.table, value=y + model.table.sd * rng.standard_normal(len(y)))
        for name, log_likelihood in likelihoods(model, table, errors).items():
            found[name].append(GridPosterior.of(model, answers, log_likelihood).summary())
    result = {name: coverage(model.parameters.names, truths, rows) for name, rows in found.items()}
    detail = {
        "data sets": count,
        **result,
        "modes": {name: int(e.modes.shape[1]) for name, e in errors.items()},
        "errors of the tables": {"resolved": truth.error(truths[:3]), "homogenised": answers.error(truths[:3])},
    }
    if not quick:
        last = replace(model, table=table)
        detail["fit less grid, in Monte Carlo errors, mean and sd"] = against_fit(last, answers, errors)
    return {"value": max(abs(row["coverage"] - 0.9) for row in result["learnt"].values()), "detail": detail}
