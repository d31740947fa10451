"""The labelled result of a sampling run: draws with units, predictions, densities and all groups that ArviZ needs, as one DataTree."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from hmminfer import __version__
from hmminfer.errors import HmmInferError
from hmminfer.inference.modes import Mode
from hmminfer.inference.problem import BUILT
from hmminfer.system.accuracy import over_noise
from hmminfer.system.parameters import Field
from hmminfer.system.remarks import contradictions, remarks
from hmminfer.terminal import working

PRIOR_DRAWS = 500
LARGEST = 20_000_000  # numbers in one group of predictions (160 MB); beyond, predictions are kept for fewer draws
MANY_ROWS = 5_000  # rows above which the log likelihood is summed over those of each quantity
FEWEST = 20  # draws, for which predictions are kept however many rows there are


def assemble(problem: Any, x: np.ndarray, stats: Mapping[str, np.ndarray], found: list[Mode], seed: int, progress: bool) -> xr.DataTree:
    """The labelled result of unconstrained draws (chain, draw, dim).

    What belongs to data is one variable ``observed`` along ``row``, as ArviZ expects it, in the order of the file; the coordinates ``quantity`` and
    ``unit`` say which is what. ``fitted`` are the predictions of these data without noise.

    Where rows and draws are too many to keep all their predictions, those of every k-th draw are kept; the attribute ``predictions_every`` is k.
    The log likelihood of many rows is summed over those of each quantity, along ``quantity``.
    """
    model, table = problem.model, problem.table
    chains, n, _ = x.shape
    rng = np.random.default_rng(seed + 1)
    dims = {"chain": np.arange(chains), "draw": np.arange(n)}
    prior_dims = {"chain": [0], "draw": np.arange(PRIOR_DRAWS)}
    draws = problem.constrain(x)
    along = row_coordinates(model, table)
    every = min(math.ceil(chains * n * len(table) / LARGEST), max(1, chains * n // FEWEST))
    quantity = along["quantity"][1]
    names = np.unique(quantity).tolist() if len(table) > MANY_ROWS else []  # of the sums of the log likelihood
    y, loglik = _predicted(problem, draws, [quantity == name for name in names], every, progress)
    loglik_dims = {**dims, **({"quantity": names} if names else along)}
    kept, kept_dims = {k: v[:, ::every] for k, v in draws.items()}, {**dims, "draw": dims["draw"][::every]}
    prior = problem.prior_draws(rng, PRIOR_DRAWS)
    of_prior = {k: v[: _affordable(PRIOR_DRAWS, len(table))] for k, v in prior.items()}
    y_prior = predictions(problem, of_prior, progress, "prior predictive")

    def rows(values: np.ndarray, over: Mapping[str, Any] | None = None, name: str = "observed") -> xr.Dataset:
        lead = dict(over or {})
        return xr.Dataset({name: ((*lead, "row"), values)}, coords={**lead, **along})

    groups = {
        "posterior": _dataset(problem, draws, dims),
        "sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}, coords=dims),
        "posterior_predictive": rows(problem.replicated(rng, y, kept), kept_dims),
        "fitted": rows(y, kept_dims),
        "log_likelihood": xr.Dataset({"observed": ((*dims, "quantity" if names else "row"), loglik)}, coords=loglik_dims),
        "log_prior": _log_prior(problem, draws, dims),
        "prior": _dataset(problem, {k: v[None] for k, v in prior.items()}, prior_dims),
        "prior_predictive": rows(problem.replicated(rng, y_prior, of_prior)[None], {"chain": [0], "draw": np.arange(len(y_prior))}),
        "observed_data": rows(table.value),
        "constant_data": rows(problem.sd, name="sd"),
        "sampler_state": xr.Dataset({"last": (("chain", "dim"), x[:, -1])}),
    }
    if model.derived:
        with working("derived quantities", show=progress):
            groups["derived"] = _derived(model, draws, dims)
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
        "remarks": json.dumps(remarks(model)),
        "doubts": json.dumps([*table.warnings, *contradictions(model)]),
    }
    if every > 1:
        tree.attrs["predictions_every"] = every
    if model.accuracy is not None:
        middle = problem.constrain(x.mean(axis=(0, 1)))
        theta = model.vector({p.name: middle[p.name] for p in model.parameters if p.name in middle})
        tree.attrs |= over_noise(model, theta, np.median(np.reshape(problem.sigma_of(kept), (-1, len(table))), axis=0))
    return tree


def _affordable(draws: int, rows: int) -> int:
    """Number of draws, at most ``draws``, whose predictions of all rows are kept."""
    return min(draws, max(FEWEST, LARGEST // rows))


def _predicted(problem: Any, draws: Mapping[str, np.ndarray], groups: Sequence[Any], every: int, progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """y of every k-th draw (chain, draw, rows); log likelihood of all draws, of each row or summed over each of ``groups`` of rows, if there are any."""
    chains, n = next(iter(draws.values())).shape[:2]
    kept, density = [], []
    for block in np.array_split(np.arange(n), min(n, math.ceil(chains * n * len(problem.table) / LARGEST))):
        part = {k: v[:, block] for k, v in draws.items()}
        y = predictions(problem, part, progress, "posterior predictive")
        loglik = problem.log_likelihood(y, part)
        density.append(np.stack([loglik[..., of].sum(axis=-1) for of in groups], axis=-1) if groups else loglik)
        kept.append(y[:, block % every == 0])
    return np.concatenate(kept, axis=1), np.concatenate(density, axis=1)


def of_trace(problem: Any, trace: xr.DataTree, seed: int = 0, progress: bool = False) -> xr.DataTree:
    """The labelled result of a trace that PyMC sampled of the problem's model."""
    if not isinstance(trace, xr.DataTree) or "posterior" not in trace.children:
        raise HmmInferError("This is no trace: it has no group 'posterior'; give what pm.sample() returned.")
    posterior = trace["posterior"].to_dataset()
    missing = [p.name for p in problem.free if p.name not in posterior]
    more = [n for n in problem.model.fixed if n in posterior]
    if missing or more:
        said = [f"has no {', '.join(missing)}"] * bool(missing) + [f"samples {', '.join(more)}, which is fixed in the model"] * bool(more)
        raise HmmInferError(f"The trace {' and '.join(said)}; give the noise, priors and fixed values that its model was built with.")
    known = trace["constant_data"].to_dataset() if "constant_data" in trace.children else xr.Dataset()
    for name, value in {"sd": problem.sd, **problem.model.fixed}.items():
        if name in known and not np.allclose(known[name].values, value, rtol=1e-9, atol=0.0):
            what = "noise" if name == "sd" else name
            raise HmmInferError(f"The trace was sampled with another {what} than the model has; give the choices that build() had.")
    if BUILT not in known:
        raise HmmInferError(
            "The trace does not say that it was sampled of hmminfer.build(model); a model of one's own has priors and noise that are not known here. "
            "Its convergence is seen with az.summary(trace), and predict(trace) takes it. A trace of build() is to come from pm.sample(), of any "
            "nuts_sampler, which keeps what build() put in: nutpie.sample() does not."
        )
    if int(known[BUILT]) != problem.fingerprint:
        raise HmmInferError("The trace was sampled with other priors than the model has; give the choices that build() had.")
    draws = {p.name: posterior[p.name].transpose("chain", "draw", ...).values for p in problem.free}
    stats = trace["sample_stats"].to_dataset() if "sample_stats" in trace.children else xr.Dataset()
    kept = {str(k): v.values for k, v in stats.data_vars.items() if v.dims == ("chain", "draw")}
    tree = assemble(problem, problem.unconstrain(draws), kept, [], seed, progress)
    tree.attrs.update(method="nuts", interrupted=0)
    return tree


def row_coordinates(model: Any, table: Any) -> dict[str, Any]:
    """Coordinates along the rows of the data: number, quantity, unit, line of the file, and every column that holds something."""
    quantity = np.empty(len(table), dtype=object)
    for o in model.observables:
        quantity[o.rows] = o.name
    known = {"quantity": quantity.astype(str), "unit": table.unit.astype(str), "line": table.line}
    for name, values in table.columns.items():
        text = values.dtype.kind in "UO"
        if np.any(values.astype(str) != "") if text else np.any(np.isfinite(values)):
            known.setdefault(name, values.astype(str) if text else values)
    return {"row": np.arange(len(table)), **{k: ("row", v) for k, v in known.items()}}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _jsonable(v) for k, v in value.items()}
    return value if isinstance(value, str | int | float) else str(value)


def predictions(problem: Any, draws: Mapping[str, np.ndarray], progress: bool, what: str) -> np.ndarray:
    """y (..., rows) without noise for named draws."""
    names = [p.name for p in problem.model.parameters if p.name in draws]
    theta = problem.model.vector({k: draws[k] for k in names}, strict=False)
    y = problem.model.batch(theta.reshape(-1, theta.shape[-1]), progress, what, strict=False)
    return y.reshape(*theta.shape[:-1], -1)


def prior_predictive(problem: Any, size: int = 500, seed: int = 0, progress: bool = False) -> np.ndarray:
    """Random data (size, rows) from the priors and the noise; NaN where the model has no solution."""
    rng = np.random.default_rng(seed)
    draws = problem.prior_draws(rng, _affordable(size, len(problem.table)))
    y = predictions(problem, draws, progress, "prior predictive")
    return problem.replicated(rng, y, draws)


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
        if not (p.axial or isinstance(p, Field)):
            attrs["support"] = p.bounds
        variables[p.name] = xr.DataArray(value, dims=names, attrs=attrs)
    fixed = json.dumps({k: np.asarray(v).tolist() for k, v in problem.model.fixed.items()})
    about = {"fixed": fixed, "model": problem.model.name, "experiment": problem.model.experiment}
    about["settings"] = json.dumps({k: _jsonable(v) for k, v in problem.model.settings.items()})  # see Prediction.of
    return xr.Dataset(variables, coords=dict(dims), attrs=about)


def _derived(model: Any, draws: Mapping[str, np.ndarray], dims: Mapping[str, Any]) -> xr.Dataset:
    """Draws of the derived quantities of a model, with units and descriptions."""
    out, coords = {}, dict(dims)
    for d in model.derived:
        value = np.broadcast_to(d({**model.fixed, **draws}), (*(len(v) for v in dims.values()), *([len(d.labels)] if d.labels else [])))
        names = list(dims)
        if d.labels:
            names.append(f"{d.name}_of")
            coords[names[-1]] = list(d.labels)
        out[d.name] = xr.DataArray(value.copy(), dims=names, attrs={"units": d.unit, "description": d.description})
    return xr.Dataset(out, coords=coords)


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
