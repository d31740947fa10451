"""The labelled result of a sampling run: draws with units, predictions, densities and all groups that ArviZ needs, as one DataTree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from hmminfer import __version__
from hmminfer.inference.modes import Mode
from hmminfer.system.accuracy import over_noise
from hmminfer.system.likelihood import draw, log_density
from hmminfer.system.parameters import Field


def assemble(problem: Any, x: np.ndarray, stats: Mapping[str, np.ndarray], found: list[Mode], seed: int, progress: bool) -> xr.DataTree:
    """The labelled result of unconstrained draws (chain, draw, dim)."""
    model, table = problem.model, problem.table
    chains, n, _ = x.shape
    rng = np.random.default_rng(seed + 1)
    dims = {"chain": np.arange(chains), "draw": np.arange(n)}
    draws = problem.constrain(x)
    y = predictions(problem, draws, progress, "posterior predictive")
    sigma = problem.sigma_of(draws)
    prior = problem.prior_draws(rng, 500)
    y_prior = predictions(problem, prior, False, "prior predictive")
    observed = model.to_dataset(table.value)
    law = model.likelihood
    loglik = log_density(law, table.value, y, sigma)
    groups = {
        "posterior": _dataset(problem, draws, dims),
        "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}, coords=dims),
        "posterior_predictive": model.to_dataset(draw(law, rng, y, sigma), list(dims), dims),
        "predictions": model.to_dataset(y, list(dims), dims),
        "log_likelihood": xr.Dataset({"observed": (("chain", "draw", "row"), loglik)}, coords=dims),
        "log_prior": _log_prior(problem, draws, dims),
        "prior": _dataset(problem, {k: v[None] for k, v in prior.items()}, {"chain": [0], "draw": np.arange(500)}),
        "prior_predictive": model.to_dataset(
            draw(law, rng, y_prior, problem.sigma_of(prior))[None], ["chain", "draw"], {"chain": [0], "draw": np.arange(500)}
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
    if model.accuracy is not None:
        middle = problem.constrain(x.mean(axis=(0, 1)))
        theta = model.vector({p.name: middle[p.name] for p in model.parameters if p.name in middle})
        tree.attrs |= over_noise(model, theta, np.median(sigma.reshape(-1, sigma.shape[-1]), axis=0))
    return tree


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
    draws = problem.prior_draws(rng, size)
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
            new = new.assign_coords(draw=new["draw"].values + old.sizes["draw"])
            groups[name] = xr.concat(
                [old, new], dim="draw", combine_attrs="override", data_vars="minimal", coords="minimal", compat="override", join="outer"
            )
        else:
            groups[name] = new
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {**more.attrs, "extended_from_seed": first.attrs["seed"], "extended_by": more["posterior"].sizes["draw"]}
    return tree
