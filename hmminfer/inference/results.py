"""The labelled result of a sampling run: draws with units, predictions, densities and all groups that ArviZ needs, as one DataTree."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from hmminfer import __version__
from hmminfer.inference.modes import Mode
from hmminfer.system.accuracy import over_noise
from hmminfer.system.likelihood import draw, log_density
from hmminfer.system.parameters import Field

LARGEST = 20_000_000  # numbers in one group of predictions (160 MB); beyond, predictions are kept for fewer draws
MANY_ROWS = 5_000  # rows above which the log likelihood is summed over those of each quantity
FEWEST = 20  # draws, for which predictions are kept however many rows there are


def assemble(problem: Any, x: np.ndarray, stats: Mapping[str, np.ndarray], found: list[Mode], seed: int, progress: bool) -> xr.DataTree:
    """The labelled result of unconstrained draws (chain, draw, dim).

    Where rows and draws are too many to keep all their predictions, those of every k-th draw are kept; the attribute ``predictions_every`` is k.
    The log likelihood of many rows is summed over those of each quantity.
    """
    model, table = problem.model, problem.table
    chains, n, _ = x.shape
    rng = np.random.default_rng(seed + 1)
    dims = {"chain": np.arange(chains), "draw": np.arange(n)}
    draws = problem.constrain(x)
    every = min(math.ceil(chains * n * len(table) / LARGEST), max(1, chains * n // FEWEST))
    y, loglik = _predicted(problem, draws, every, progress)
    kept = {"chain": dims["chain"], "draw": dims["draw"][::every]}
    sigma = problem.sigma_of({k: v[:, ::every] for k, v in draws.items()})
    prior = problem.prior_draws(rng, 500)
    of_prior = {k: v[: _affordable(500, len(table))] for k, v in prior.items()}
    y_prior = predictions(problem, of_prior, False, "prior predictive")
    observed = model.to_dataset(table.value)
    law = model.likelihood
    groups = {
        "posterior": _dataset(problem, draws, dims),
        "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}, coords=dims),
        "posterior_predictive": model.to_dataset(draw(law, rng, y, sigma), list(dims), kept),
        "predictions": model.to_dataset(y, list(dims), kept),
        "log_likelihood": xr.Dataset({"observed": (("chain", "draw", "quantity" if len(table) > MANY_ROWS else "row"), loglik)}, coords=dims),
        "log_prior": _log_prior(problem, draws, dims),
        "prior": _dataset(problem, {k: v[None] for k, v in prior.items()}, {"chain": [0], "draw": np.arange(500)}),
        "prior_predictive": model.to_dataset(
            draw(law, rng, y_prior, problem.sigma_of(of_prior))[None], ["chain", "draw"], {"chain": [0], "draw": np.arange(len(y_prior))}
        ),
        "observed_data": observed,
        "constant_data": model.to_dataset(problem.sd),
        "sampler_state": xr.Dataset({"last": (("chain", "dim"), x[:, -1])}),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "hmminfer": __version__,
        "model": model.name,
        "experiment": model.experiment,
        "data": table.name,
        "seed": seed,
        "fixed": json.dumps({k: np.asarray(v).tolist() for k, v in model.fixed.items()}),
        "modes": json.dumps([m.to_dict() for m in found]),
        "choices": json.dumps({k: _jsonable(v) for k, v in problem.choices.items()}),
        "about": json.dumps({k: _jsonable(v) for k, v in model.about.items()}),
    }
    if every > 1:
        tree.attrs["predictions_every"] = every
    if model.accuracy is not None:
        middle = problem.constrain(x.mean(axis=(0, 1)))
        theta = model.vector({p.name: middle[p.name] for p in model.parameters if p.name in middle})
        tree.attrs |= over_noise(model, theta, np.median(sigma.reshape(-1, sigma.shape[-1]), axis=0))
    return tree


def _affordable(draws: int, rows: int) -> int:
    """Number of draws, at most ``draws``, whose predictions of all rows are kept."""
    return min(draws, max(FEWEST, LARGEST // rows))


def _predicted(problem: Any, draws: Mapping[str, np.ndarray], every: int, progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """y of every k-th draw (chain, draw, rows); log likelihood of all draws, of each row or, if they are many, summed over those of each quantity."""
    table, law = problem.table, problem.model.likelihood
    chains, n = next(iter(draws.values())).shape[:2]
    names = list(dict.fromkeys(table.quantity.tolist()))
    rows = [np.flatnonzero(table.quantity == name) for name in names]
    kept, density = [], []
    for block in np.array_split(np.arange(n), min(n, math.ceil(chains * n * len(table) / LARGEST))):
        part = {k: v[:, block] for k, v in draws.items()}
        y = predictions(problem, part, progress, "posterior predictive")
        loglik = log_density(law, table.value, y, problem.sigma_of(part))
        density.append(loglik if len(table) <= MANY_ROWS else np.stack([loglik[..., of].sum(axis=-1) for of in rows], axis=-1))
        kept.append(y[:, block % every == 0])
    return np.concatenate(kept, axis=1), np.concatenate(density, axis=1)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _jsonable(v) for k, v in value.items()}
    return value if isinstance(value, str | int | float) else str(value)


def predictions(problem: Any, draws: Mapping[str, np.ndarray], progress: bool, what: str) -> np.ndarray:
    """y (..., rows) without noise for named draws."""
    names = [p.name for p in problem.model.parameters if p.name in draws]
    theta = problem.model.vector({k: draws[k] for k in names})
    y = problem.model.batch(theta.reshape(-1, theta.shape[-1]), progress, what, strict=False)
    return y.reshape(*theta.shape[:-1], -1)


def prior_predictive(problem: Any, size: int = 500, seed: int = 0, progress: bool = False) -> np.ndarray:
    """Random data (size, rows) from the priors and the noise; NaN where the model has no solution."""
    rng = np.random.default_rng(seed)
    draws = problem.prior_draws(rng, _affordable(size, len(problem.table)))
    y = predictions(problem, draws, progress, "prior predictive")
    return draw(problem.model.likelihood, rng, y, problem.sigma_of(draws))


def _dataset(problem: Any, draws: Mapping[str, np.ndarray], dims: Mapping[str, Any]) -> xr.Dataset:
    """Named draws with units and descriptions."""
    variables = {}
    for p in problem.free:
        value = np.asarray(draws[p.name])
        names = [*dims, *([f"{p.name}_dim"] if value.ndim > len(dims) else [])]
        attrs = {
            "units": p.unit,
            "description": p.description,
            "axial": int(p.axial and not isinstance(p, Field)),
            "symbol": p.symbol,
            "nuisance": int(p.nuisance),
        }
        variables[p.name] = xr.DataArray(value, dims=names, attrs=attrs)
    fixed = json.dumps({k: np.asarray(v).tolist() for k, v in problem.model.fixed.items()})
    about = {"fixed": fixed, "model": problem.model.name, "experiment": problem.model.experiment}
    about["settings"] = json.dumps({k: _jsonable(v) for k, v in problem.model.settings.items()})  # see Prediction.of
    return xr.Dataset(variables, coords=dict(dims), attrs=about)


def _log_prior(problem: Any, draws: Mapping[str, np.ndarray], dims: Mapping[str, Any]) -> xr.Dataset:
    """Log prior density of each unknown, for prior sensitivity by power scaling; that of a field is the density of its z."""
    out = {}
    for p in problem.free:
        value = np.asarray(draws[p.name])
        if isinstance(p, Field):
            amplitude, length = (draws[h.name] for h in p.hyperparameters)
            z = value / p.scales(np.asarray(amplitude), np.asarray(length))
            density = np.sum(-0.5 * z**2 - 0.5 * np.log(2 * np.pi), axis=-1)
        else:
            density = p.prior.logpdf(value)
            density = density.sum(axis=-1) if density.ndim > 2 else density
        out[p.name] = (("chain", "draw"), density)
    return xr.Dataset(out, coords=dict(dims))


def extend(first: xr.DataTree, more: xr.DataTree) -> xr.DataTree:
    """The result ``first`` with the draws of ``more``, the run that resumed it, appended."""
    groups = {}
    for name, node in more.children.items():
        new = node.to_dataset()
        if "draw" in new.dims and name not in ("prior", "prior_predictive"):
            old = first[name].to_dataset()
            new = new.assign_coords(draw=new["draw"].values + first["posterior"].sizes["draw"])
            groups[name] = xr.concat(
                [old, new], dim="draw", combine_attrs="override", data_vars="minimal", coords="minimal", compat="override", join="outer"
            )
        else:
            groups[name] = new
    tree = xr.DataTree.from_dict(groups)
    thinned = {"predictions_every": max(t.attrs.get("predictions_every", 1) for t in (first, more))}
    tree.attrs = {
        **more.attrs,
        **(thinned if thinned["predictions_every"] > 1 else {}),
        "extended_from_seed": first.attrs["seed"],
        "extended_by": more["posterior"].sizes["draw"],
    }
    return tree
