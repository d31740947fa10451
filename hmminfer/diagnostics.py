"""Whether a result can be trusted: axial summaries, identifiability, checks with advice, calibration, and a report.

    summary(tree)              mean, sd, 89 % interval and convergence of every unknown, by modes for an axial angle
    identifiability(problem)   before sampling: which combinations of the unknowns the data see, in their own names
    checks(tree)               what to look at after sampling, each with a sentence of advice
    report(tree, problem)      all of it, printed, with figures
    sbc(model)                 simulation-based calibration of priors, likelihood and sampler

An axial angle theta is known modulo 180 degrees: everything about it is computed on the double angle t = 2 theta.
"""

from __future__ import annotations

import io
import json
import logging
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from scipy import optimize, special, stats

from .errors import HmmInferError
from .parameters import Field, HalfNormal, LogNormal, Normal, Parameter, Prior, Uniform
from .progress import track

SHARE = 0.89  # of the intervals, as everywhere in ArviZ 1.x
LONG = 20  # entries from which a vector appears in tables only through its hyperparameters

# --------------------------------------------------------------------------------------------------------- axial angles


@dataclass(frozen=True)
class AxialMode:
    """One mode of an axial angle: its ``share`` of the draws, circular mean, sd and 89 % interval in degrees.

    ``mean`` is in (-90, 90]; ``low`` < ``mean`` < ``high`` run on across the seam (86 to 93). ``sd`` is the root mean
    square of the deviations from the mean, wrapped to +-90: 52 degrees for an angle of which nothing is known.
    """

    share: float
    mean: float
    sd: float
    low: float
    high: float


def axial_modes(draws_deg: Any) -> list[AxialMode]:
    """Separate modes of an axial angle's draws (any shape, degrees), largest first; one if no gap parts them."""
    theta = np.asarray(draws_deg, dtype=float)
    label = _mode_of(theta)
    return [_axial_mode(theta[label == k], theta.size) for k in range(label.max() + 1)]


def _axial_mode(theta: np.ndarray, total: int) -> AxialMode:
    away, mean = _centred(theta)
    low, high = _hdi(away)
    return AxialMode(theta.size / total, mean, float(np.sqrt(np.mean(away**2))), mean + low, mean + high)


def _centred(theta: np.ndarray) -> tuple[np.ndarray, float]:
    """Deviations from the circular mean arg(mean exp(2 i theta)) / 2, in (-90, 90], and the mean, in degrees."""
    mean = 0.5 * np.degrees(np.angle(np.mean(np.exp(2j * np.radians(theta)))))
    return 90.0 - np.mod(90.0 - (theta - mean), 180.0), float(mean)


def _hdi(x: np.ndarray) -> tuple[float, float]:
    """Shortest interval that holds 89 % of the draws."""
    x = np.sort(x, axis=None)
    n = math.ceil(SHARE * len(x))
    i = int(np.argmin(x[n - 1 :] - x[: len(x) - n + 1]))
    return float(x[i]), float(x[i + n - 1])


def _mode_of(theta: np.ndarray) -> np.ndarray:
    """Mode of each draw: 0 for the largest.

    The density of t = 2 theta, smoothed by half the distance that holds a tenth of the draws, is cut at its minima; a
    cut stays where the density falls below 5 % of the lower peak beside it (two normals five sds apart) and both sides
    hold more than 2 % of the draws.
    """
    t = np.mod(2.0 * theta, 360.0)
    ordered, n = np.sort(t, axis=None), t.size
    width = 0.5 * float(np.median(np.mod(np.roll(ordered, -max(2, n // 10)) - ordered, 360.0)))
    count = np.bincount((2.0 * ordered).astype(int) % 720, minlength=720) / n
    smooth = np.exp(-0.5 * (np.arange(361) * np.radians(np.clip(width, 0.7, 30.0))) ** 2)
    density = np.fft.irfft(np.fft.rfft(count) * smooth, 720)
    density = np.maximum(density, 1e-6 * density.max())
    cuts = np.flatnonzero((density < np.roll(density, 1)) & (density <= np.roll(density, -1)))
    while len(cuts) > 1:
        pieces = [np.arange(a, b if b > a else b + 720) % 720 for a, b in zip(cuts, np.roll(cuts, -1), strict=True)]
        peak = np.array([density[p].max() if count[p].sum() > max(0.02, 2.5 / n) else 0.0 for p in pieces])
        lower = np.minimum(peak, np.roll(peak, 1))  # of the pieces after and before each cut
        depth = density[cuts] / np.maximum(lower, 1e-300)
        worst = int(np.argmax(depth))
        if depth[worst] < 0.05:
            break
        cuts = np.delete(cuts, worst)
    if len(cuts) < 2:
        return np.zeros(theta.shape, dtype=int)
    label = np.searchsorted(cuts, 2.0 * t) % len(cuts)
    order = np.argsort(-np.bincount(label.ravel(), minlength=len(cuts)), kind="stable")
    return np.argsort(order)[label]


# -------------------------------------------------------------------------------------------------------------- summary


def summary(tree: xr.DataTree) -> pd.DataFrame:
    """One row for each unknown: mean, sd, 89 % interval (low, high), unit, ess_bulk, ess_tail, r_hat, mcse.

    An axial angle has circular statistics, the worst R-hat and ESS of cos 2 theta and sin 2 theta, and a row for each
    separate mode with that mode's share of the draws. Chains are started in modes in proportion to their weights and
    may stay there: R-hat and ESS are then taken within each mode (the largest R-hat, the sum of the ESS). Draws of the
    Laplace approximation are independent and have no R-hat.
    """
    sampled = tree.attrs.get("method", "nuts") != "laplace"
    entries = list(_entries(tree["posterior"].to_dataset()))
    axial = {name: _mode_of(x) for name, x, p in entries if p["axial"]}
    groups = _modes_of_chains(list(axial.values()), entries[0][1].shape)
    rows: dict[str, dict[str, Any]] = {}
    for name, x, attrs in entries:
        if not attrs["axial"]:
            low, high = _hdi(x)
            worst = _convergence([x[chains] for chains in groups]) if sampled else {}
            rows[name] = {"mean": x.mean(), "sd": x.std(), "low": low, "high": high, "unit": attrs["units"], **worst}
            continue
        label = axial[name]
        count = label.max() + 1
        for k in range(count):
            mode = _axial_mode(x[label == k], x.size)
            title = name if count == 1 else f"{name} (mode {k + 1} of {count}, {mode.share:.0%})".replace("%)", " %)")
            parts = [_of_mode(f(np.radians(2.0 * x)), label == k) for f in (np.cos, np.sin)]
            both = [_convergence([p]) for p in parts] if sampled else [{}]
            worst = {c: (np.max if c == "r_hat" else np.min)([b[c] for b in both]) for c in both[0]}
            rows[title] = {
                "mean": mode.mean,
                "sd": mode.sd,
                "low": mode.low,
                "high": mode.high,
                "unit": attrs["units"],
                **worst,
            }
    out = pd.DataFrame.from_dict(rows, orient="index")
    out = out.reindex(columns=["mean", "sd", "low", "high", "unit", "ess_bulk", "ess_tail", "r_hat"])
    return out.assign(mcse=out["sd"] / np.sqrt(out["ess_bulk"]))


def _entries(data: xr.Dataset) -> Any:
    """(label, draws (chain, draw), attributes) of every number that goes into tables."""
    for name, variable in data.data_vars.items():
        x = variable.transpose("chain", "draw", ...).values
        attrs = {"axial": 0, "units": "", "symbol": "", "description": "", **variable.attrs}
        if x.ndim == 2:
            yield str(name), x, attrs
        elif x[0, 0].size <= LONG:
            for i, index in enumerate(np.ndindex(x.shape[2:])):
                yield f"{name}[{i}]", x[(..., *index)], attrs


def _values(tree: xr.DataTree, group: str, name: Any) -> np.ndarray:
    return np.asarray(tree[group].to_dataset()[name])


def _modes_of_chains(labels: list[np.ndarray], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Groups of chains that live in the same mode of every axial angle; one of all when chains move."""
    every = [np.arange(shape[0])]
    if not labels:
        return every
    home = np.stack([np.round(np.median(x, axis=1)).astype(int) for x in labels], axis=1)
    moved = max(float(np.mean(x != h[:, None])) for x, h in zip(labels, home.T, strict=True))
    if moved > 0.01:
        return every
    _, group = np.unique(home, axis=0, return_inverse=True)
    return [np.flatnonzero(group.ravel() == g) for g in range(group.max() + 1)]


def _of_mode(x: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Draws of one mode as (chain, draw): of chains that spend a fifth of their time there, cut to one length."""
    n = inside.sum(axis=1)
    keep = np.flatnonzero(n >= max(4, 0.2 * n.max()))
    return np.stack([x[c, inside[c]][: n[keep].min()] for c in keep]) if keep.size else x[:, :0]


def _convergence(groups: list[np.ndarray]) -> dict[str, float]:
    """R-hat (the worst) and effective sample sizes (summed) over groups of chains; a lone chain is halved."""
    import arviz as az

    out = []
    for x in groups:
        if x.shape[1] < 8:
            return {"ess_bulk": math.nan, "ess_tail": math.nan, "r_hat": math.nan}
        halves = x if len(x) > 1 else np.stack(np.split(x[0, : x.shape[1] // 2 * 2], 2))
        out.append((float(az.ess(x)), float(az.ess(x, method="tail", prob=(0.05, 0.95))), float(az.rhat(halves))))
    bulk, tail, r_hat = np.array(out).T
    return {"ess_bulk": bulk.sum(), "ess_tail": tail.sum(), "r_hat": r_hat.max()}


# ------------------------------------------------------------------------------------------------------ identifiability


class _Standard:
    """The unknowns of a problem in prior-standardised coordinates u: Normal(0, 1) a priori, except axial angles, which
    keep their shape and have theta = mean + sd u. ln p = ln median + sigma u for a LogNormal prior.
    """

    def __init__(self, problem: Any) -> None:
        if not hasattr(problem, "free"):
            from .inference import Problem

            problem = Problem.of(problem)
        self.problem, self.model = problem, problem.model
        self.base = self.model.vector()
        where = self.model.parameters.slices()
        self.u_of, start = {}, 0
        for p in problem.free:
            self.u_of[p.name] = slice(start, start + p.length)
            start += p.length
        self.size = start
        self.physical = [p for p in problem.free if p.name in where]
        self.iu = np.concatenate([np.arange(start)[self.u_of[p.name]] for p in self.physical])
        self.it = np.concatenate([np.arange(len(self.base))[where[p.name]] for p in self.physical])

    def prior(self, rng: np.random.Generator, n: int) -> np.ndarray:
        u = rng.standard_normal((n, self.size))
        for p in self.problem.free:
            if p.axial and not isinstance(p, Field):
                u[:, self.u_of[p.name]] = (
                    p.prior.sample(rng, n * p.length).reshape(n, -1) - p.prior.centre
                ) / p.prior.sd
        return u

    def named(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Users' values of u (..., size)."""
        out: dict[str, np.ndarray] = {}
        for p in self.problem.free:
            x = u[..., self.u_of[p.name]]
            if isinstance(p, Field):
                x = x * p.scales(out[f"{p.name}_amplitude"][..., None], out[f"{p.name}_length"][..., None])
            else:
                x = p.prior.centre + p.prior.sd * x if p.axial else _quantile(p.prior, x)
            out[p.name] = x[..., 0] if p.size is None else x
        return out

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Vectors (..., n_in) of the kernel."""
        named = self.named(u)
        theta = np.broadcast_to(self.base, (*u.shape[:-1], len(self.base))).copy()
        parts = [np.radians(2.0 * x) if p.axial and not isinstance(p, Field) else x for p in self.physical
                 for x in [named[p.name][..., None] if p.size is None else named[p.name]]]  # fmt: skip
        theta[..., self.it] = np.concatenate(parts, axis=-1)
        return theta

    def sensitivity(self, u: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """S = diag(1 / sigma) dy/du over the model's own unknowns, (rows, unknowns).

        The exact derivative costs a solve per row of data, central differences two per unknown: the cheaper is taken.
        """
        step = np.zeros(self.size)
        step[self.iu] = 1e-4
        if len(self.iu) < len(sigma) / 4:
            columns = [
                self.model.kernel(self.theta(u + e)) - self.model.kernel(self.theta(u - e))
                for e in np.diag(step)[self.iu]
            ]
            return np.stack(columns, axis=1) / 2e-4 / sigma[:, None]
        slope = (self.theta(u + step) - self.theta(u - step))[self.it] / 2e-4
        return self.model.kernel.jacobian(self.theta(u))[:, self.it] * slope / sigma[:, None]


def _quantile(prior: Prior, u: np.ndarray) -> np.ndarray:
    """The value whose prior quantile is that of u ~ Normal(0, 1)."""
    if isinstance(prior, LogNormal):
        return prior.median * np.exp(prior.sigma * u)
    if isinstance(prior, HalfNormal):
        return prior.standard_deviation * special.ndtri(0.5 + 0.5 * special.ndtr(u))
    if isinstance(prior, Uniform):
        return prior.lower + (prior.upper - prior.lower) * special.ndtr(u)
    assert isinstance(prior, Normal)
    a, b = (special.ndtr((x - prior.mean) / prior.standard_deviation) for x in (prior.lower, prior.upper))
    return prior.mean + prior.standard_deviation * special.ndtri(a + (b - a) * special.ndtr(u))


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What the data can say about the unknowns, before sampling.

    ``singular`` (draws, unknowns): singular values of the sensitivity scaled by noise and prior; the data see a
    direction whose value is above 1. ``contraction``: 1 - posterior sd / prior sd of each unknown; ``seen``, ``flat``:
    (combination, share of its prior sd that is left); ``fields``: how many coefficients of each field are seen, and of
    how many; ``symmetric``: angles whose sign the data do not see.
    """

    singular: np.ndarray
    contraction: dict[str, float]
    seen: list[tuple[str, float]]
    flat: list[tuple[str, float]]
    fields: dict[str, tuple[int, int]]
    symmetric: list[str]

    def text(self) -> str:
        """For a reader who knows the material, not the algebra."""
        middle, low, high = (np.quantile(self.singular, q, axis=0) for q in (0.5, 0.05, 0.95))
        values = ", ".join(f"{m:.2g} [{a:.2g} to {b:.2g}]" for m, a, b in zip(middle, low, high, strict=True))
        lines = [f"The data see {len(self.seen)} of {len(middle)} directions of the unknowns.",
                 f"Singular values of the scaled sensitivity [5 to 95 % of the prior]: {values}."]  # fmt: skip
        lines += [f"  seen:     {what}  (to {left:.2g} of its prior sd)" for what, left in self.seen]
        lines += [f"  not seen: {what}  ({left:.2g} of its prior sd is left)" for what, left in self.flat]
        lines += [f"  {name}: {k} of {n} coefficients are seen" for name, (k, n) in self.fields.items()]
        lines.append(
            "The data are expected to narrow: "
            + ", ".join(f"{k} by {max(v, 0.0):.0%}".replace("%", " %") for k, v in self.contraction.items())
            + "."
        )
        lines += [f"Both signs of {name} explain the data equally: expect separate modes." for name in self.symmetric]
        return "\n".join(lines)


def identifiability(problem: Any, n_draws: int = 50, seed: int = 0) -> Identifiability:
    """Identifiability report of a problem (or of a model with data), from the linearised data at prior draws.

    S = diag(1 / sigma) dy/du with u standardised by the prior; the posterior covariance in u is (I + S^T S)^-1. A
    field's coefficients f act on the other unknowns like correlated noise, S <- (I + S_f S_f^T)^(-1/2) S, which
    marginalises them. Covariances are averaged over the prior in the logarithm; eigenvalues above 1/2 are flat. Costly
    models use fewer draws (at least 8).
    """
    std = _Standard(problem)
    problem, rng = std.problem, np.random.default_rng(seed)
    fields = [p for p in std.physical if isinstance(p, Field)]
    plain = [p for p in std.physical if not isinstance(p, Field)]
    names = [p.name if p.size is None else f"{p.name}[{i}]" for p in plain for i in range(p.length)]
    scale = np.concatenate([np.repeat(_power(p), p.length) for p in plain]) if plain else np.zeros(0)
    place = {p.name: np.flatnonzero(np.isin(std.iu, np.arange(std.size)[std.u_of[p.name]])) for p in std.physical}
    index = np.concatenate([place[p.name] for p in plain]).astype(int) if plain else np.zeros(0, int)
    n = int(np.clip(2000 // min(len(problem.sd), 2 * len(std.iu)), 8, n_draws)) if len(std.iu) > LONG else n_draws
    draws = std.prior(rng, n)
    sigma = np.broadcast_to(problem.sigma_of(std.named(draws)), (n, len(problem.sd)))
    singular, logs, sds, counts = [], [], [], []
    for u, s in zip(draws, sigma, strict=True):
        S = std.sensitivity(u, s)
        if not np.all(np.isfinite(S)):
            continue
        counts.append([int(np.sum(np.linalg.svd(S[:, place[p.name]], compute_uv=False) > 1.0)) for p in fields])
        if fields:
            f = S[:, np.concatenate([place[p.name] for p in fields])]
            S = np.linalg.solve(np.linalg.cholesky(np.eye(len(s)) + f @ f.T), S)
        S = S[:, index]
        _, value, vt = np.linalg.svd(np.vstack([S, np.zeros((len(index), len(index)))]), full_matrices=False)
        singular.append(value)
        logs.append((vt.T * -np.log1p(value**2)) @ vt)
        sds.append(np.sqrt(np.sum(vt.T**2 / (1.0 + value**2), axis=1)))
    if not singular:
        raise HmmInferError(
            "The model could not be solved at any prior draw; move the priors to values it can be solved for."
        )
    value, vector = np.linalg.eigh(np.mean(logs, axis=0))
    covariance = (vector * np.exp(value)) @ vector.T
    groups = []
    for flat in (False, True):
        v = _simple(vector[:, (np.exp(value) > 0.5) == flat])
        left = np.sqrt(np.einsum("ik,ij,jk->k", v, covariance, v))
        order = np.argsort(left)
        groups.append([(_combination(v[:, k], names, scale), float(left[k])) for k in order])
    contraction = dict(zip(names, 1.0 - np.median(sds, axis=0), strict=True))
    seen_of = {p.name: (int(np.median([c[i] for c in counts])), p.length) for i, p in enumerate(fields)}
    return Identifiability(np.array(singular), contraction, groups[0], groups[1], seen_of, _symmetric(std, draws[:8]))


def _power(p: Parameter) -> float:
    """D ln p / du at the prior's centre, for parameters that may be read as powers; 0 for the others."""
    if isinstance(p.prior, LogNormal):
        return 1.0 / p.prior.sigma
    return abs(p.prior.centre) / p.prior.sd if p.lower >= 0.0 and not p.axial else 0.0


def _simple(v: np.ndarray) -> np.ndarray:
    """The same subspace by orthonormal columns with few large entries (varimax; Kaiser 1958)."""
    k = v.shape[1]
    rotation = np.eye(k)
    for _ in range(100 if k > 1 else 0):
        w = v @ rotation
        a, _, b = np.linalg.svd(v.T @ (w**3 - w * np.mean(w**2, axis=0)))
        rotation = a @ b
    return v @ rotation


def _combination(v: np.ndarray, names: list[str], scale: np.ndarray) -> str:
    """A direction in words: a product of powers where all its members allow it, else a sum in prior sds."""
    big = [i for i in np.argsort(-np.abs(v)) if abs(v[i]) > 0.3 * np.abs(v).max()]
    v = v * np.sign(v[big[0]])
    if len(big) == 1:
        return names[big[0]]
    if np.any(scale[big] == 0.0):
        return (
            " ".join(f"{'-+'[int(v[i] > 0)]} {abs(v[i]):.1f} {names[i]}" for i in big).removeprefix("+ ")
            + " (in prior sds)"
        )
    power = v * scale / np.max(np.abs(v[big] * scale[big]))
    text = ""
    for i in big:
        exponent = f"{abs(power[i]):.1g}"
        text += (" * " if power[i] > 0 else " / ") + names[i] + ("" if exponent == "1" else f"^{exponent}")
    return text.removeprefix(" * ")


def _symmetric(std: _Standard, draws: np.ndarray) -> list[str]:
    """Axial unknowns with y(t) = y(-t) within a thousandth of the noise at every draw; several also turned together."""
    where = std.model.parameters.slices()
    axial = [p.name for p in std.physical if p.axial]
    turns = {name: [name] for name in axial} | ({" and ".join(axial) + " together": axial} if len(axial) > 1 else {})
    out = []
    for title, names in turns.items():
        sign = np.ones(len(std.base))
        for name in names:
            sign[where[name]] = -1.0
        theta = std.theta(draws)
        away = [np.abs(std.model.kernel(x * sign) - std.model.kernel(x)) / std.problem.sd for x in theta]
        if np.nanmax(away) < 1e-3:
            out.append(title)
    return out


# --------------------------------------------------------------------------------------------------------------- checks


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, whether it is well (None: a note, or not applicable), and what to do."""

    name: str
    value: str
    ok: bool | None
    advice: str


def checks(tree: xr.DataTree) -> list[Check]:
    """All checks of a result of :func:`hmminfer.fit` or :func:`hmminfer.preview`: sampler, data, priors, modes."""
    return [*_sampling(tree), *_predictive(tree), *_pushed(tree), _sensitivity_check(tree), _modes_check(tree)]


def _sampling(tree: xr.DataTree) -> list[Check]:
    if tree.attrs.get("method", "nuts") == "laplace":
        return [
            Check(
                "sampling",
                "Laplace approximation",
                None,
                "A preview draws from a Gaussian around each mode; sample with fit() before you conclude.",
            )
        ]
    import arviz as az

    table = summary(tree)
    r_hat, bulk, tail = table["r_hat"].max(), table["ess_bulk"].min(), table["ess_tail"].min()
    more = "Chains differ: sample longer; if it stays, look at the trace for a chain in a mode of its own."
    out = [
        Check(
            "R-hat < 1.01",
            f"{r_hat:.3f} ({table['r_hat'].idxmax()})",
            bool(r_hat < 1.01),
            "Chains agree." if r_hat < 1.01 else more,
        )
    ]
    for name, value, row in (("bulk", bulk, table["ess_bulk"].idxmin()), ("tail", tail, table["ess_tail"].idxmin())):
        advice = (
            "Enough independent draws."
            if value > 400
            else "Draw more: the Monte Carlo error of means (bulk) or interval ends (tail) is large."
        )
        out.append(Check(f"ESS {name} > 400", f"{value:.0f} ({row})", bool(value > 400), advice))
    stats_ = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else xr.Dataset()
    if "diverging" in stats_:
        n = int(stats_["diverging"].sum())
        advice = (
            "None."
            if n == 0
            else "The sampler met curvature it cannot follow: tighten vague priors, or fix what the data do not see."
        )
        out.append(Check("divergences = 0", str(n), n == 0, advice))
    if "energy" in stats_:
        low = float(np.min(az.bfmi(np.asarray(stats_["energy"]))))
        advice = (
            "Energies mix." if low > 0.3 else "Heavy tails are explored slowly: tighten vague priors or sample longer."
        )
        out.append(Check("E-BFMI > 0.3", f"{low:.2f} (worst chain)", low > 0.3, advice))
    return out


def _rows(tree: xr.DataTree) -> Any:
    """(label, observed, noise sd, noise-free draws, predictive draws, prior predictive draws) of each datum."""
    observed = tree["observed_data"].to_dataset()
    for name, values in observed.data_vars.items():
        labels = (
            [str(x) for x in observed[f"{name}_specimen"].values]
            if f"{name}_specimen" in observed.coords
            else [f"[{i}]" for i in range(values.size)]
        )
        groups = (
            _values(tree, g, name).reshape(-1, values.size)
            for g in ("predictions", "posterior_predictive", "prior_predictive")
        )
        clean, predictive, prior = groups
        sd = _values(tree, "constant_data", name)
        for i, label in enumerate(labels):
            yield f"{name} {label}", float(values[i]), float(sd[i]), clean[:, i], predictive[:, i], prior[:, i]


def _predictive(tree: xr.DataTree) -> list[Check]:
    """Each row's z = (observed - predictive mean) / predictive sd; P(chi2 replicated > chi2 observed); data within
    the prior predictive.

    The bound on |z| is the one that the largest of n standard normals stays below in 95 % of cases.
    """
    rows = list(_rows(tree))
    names = [r[0] for r in rows]
    y, sd = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    clean, drawn, prior = (np.stack([r[i] for r in rows], axis=1) for i in (3, 4, 5))
    z = (y - drawn.mean(axis=0)) / drawn.std(axis=0)
    bound = float(stats.norm.isf(0.025 / len(y)))
    worst = np.argsort(-np.abs(z))
    ok = bool(np.abs(z).max() < bound)
    advice = (
        "Every datum is one the fitted model could give."
        if ok
        else "The model cannot give "
        + ", ".join(f"{names[i]} (z = {z[i]:+.1f})" for i in worst[:3] if abs(z[i]) > bound)
        + ": a wrong datum, too small an sd, or a model discrepancy."
    )
    out = [Check(f"predictive |z| < {bound:.1f}", f"{np.abs(z[worst[0]]):.1f} ({names[worst[0]]})", ok, advice)]
    replicated, observed = (np.sum(((v - clean) / sd) ** 2, axis=1) for v in (drawn, y))
    p = float(np.mean(replicated >= observed))
    advice = (
        "The misfit is what the noise explains."
        if p > 0.05
        else "The misfit is larger than the noise explains: infer the noise or a discrepancy, and see the residuals."
    )
    out.append(Check("chi2 p-value > 0.05", f"{p:.2f}", p > 0.05, advice))
    low, high = np.nanquantile(prior, [0.025, 0.975], axis=0)
    outside = [n for n, v, a, b in zip(names, y, low, high, strict=True) if not a <= v <= b]
    ok = len(outside) <= 0.1 * len(y)
    shown = ", ".join(outside[:4]) + (" ..." if len(outside) > 4 else "")
    advice = (
        "The priors expected such data."
        if ok
        else f"The priors did not expect {shown}: check units and labels, or widen the priors."
    )
    return [*out, Check("data within prior predictive 95 %", f"{len(y) - len(outside)} of {len(y)} rows", ok, advice)]


def _pushed(tree: xr.DataTree) -> list[Check]:
    """Parameters whose posterior mean lies 2 prior sd from the prior median, or that pile up on a bound."""
    prior = dict((name, x) for name, x, _ in _entries(tree["prior"].to_dataset()))
    out = []
    for name, x, attrs in _entries(tree["posterior"].to_dataset()):
        if attrs["axial"] or name not in prior:
            continue
        before, unit = prior[name].ravel(), f" {attrs['units']}".rstrip()
        z = (x.mean() - np.median(before)) / before.std()
        if before.min() > 0:
            z = max(z, (np.log(x.mean()) - np.median(np.log(before))) / np.log(before).std(), key=abs)
        edge = _piled(x, before)
        if abs(z) < 2.0 and not edge:
            continue
        way = "up" if z > 0 else "down"
        now, then = f"{x.mean():.3g} +- {x.std():.2g}{unit}", f"{np.median(before):.3g} +- {before.std():.2g}{unit}"
        words = f"{name} {now} is pushed {way} from its prior {then}"
        words += f" and piles up on its {edge} bound" if edge else ""
        advice = (
            "Either the prior is wrong, or the model lacks something and this parameter makes up for it (a model "
            "discrepancy): do not read it as measured."
        )
        out.append(Check("pushed", words, False, advice))
    return out or [Check("pushed", "none", True, "No parameter is driven far from its prior.")]


def _piled(x: np.ndarray, before: np.ndarray) -> str:
    """Which end of its range the density is highest at, within a factor of two, where the prior's is not; "" for
    neither.
    """
    shapes = [np.histogram(v, bins=30)[0] for v in (x, before)]
    for name, i in (("lower", 0), ("upper", -1)):
        now, then = (c[i] > 0.5 * c.max() for c in shapes)
        if now and not then:
            return name
    return ""


def _sensitivity_check(tree: xr.DataTree) -> Check:
    """Power scaling of prior and likelihood by 1 % (Kallioinen et al. 2024), through ArviZ."""
    name = "prior sensitivity < 0.05"
    if tree.attrs.get("method", "nuts") == "laplace" or not {"log_prior", "log_likelihood"} <= set(tree.children):
        return Check(name, "not applicable", None, "Needs draws of the posterior with log_prior and log_likelihood.")
    import arviz as az

    numbers = [str(k) for k, v in tree["posterior"].data_vars.items() if v.isel(chain=0, draw=0).size <= LONG]
    log = logging.getLogger("arviz_stats")
    level = log.level
    log.setLevel(logging.ERROR)  # it would print what the advice below says
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ArviZ warns of Pareto k of the power scaling, which says the same
            table = az.psense_summary(tree, var_names=numbers)
    except (ValueError, KeyError) as error:
        return Check(name, "not applicable", None, f"ArviZ could not compute it: {error}.")
    finally:
        log.setLevel(level)
    found = {str(k): str(v) for k, v in table["diagnosis"].items() if "potential" in str(v)}
    if not found:
        return Check(name, f"{table['prior'].max():.2f}", True, "Conclusions do not hang on the priors.")
    words = "; ".join(f"{k}: {v.removeprefix('potential ')}" for k, v in found.items())
    advice = "Say in the conclusions that these depend on their priors; refit with another prior to see how much."
    return Check(name, f"{table['prior'].max():.2f}", False, f"{words}. {advice}")


def _modes_check(tree: xr.DataTree) -> Check:
    many = []
    for name, x, attrs in _entries(tree["posterior"].to_dataset()):
        modes = axial_modes(x) if attrs["axial"] else []
        if len(modes) > 1:
            many.append(
                f"{name}: " + ", ".join(f"{m.mean:.1f} +- {m.sd:.1f} ({m.share:.0%})".replace("%", " %") for m in modes)
            )
    weights = [m["weight"] for m in json.loads(tree.attrs.get("modes", "[]"))]
    found = f"{len(weights)} found by search" if weights else "not searched"
    if many:
        advice = "The data do not tell these apart: report all, or add a measurement that does (a rosette, a field)."
        return Check("modes", "; ".join(many), None, advice)
    return Check(
        "modes",
        found,
        True if len(weights) < 2 else None,
        "One mode." if len(weights) < 2 else "Compare the chains: modes may differ in other unknowns.",
    )


# --------------------------------------------------------------------------------------------------------------- report


@dataclass(frozen=True, eq=False)
class Report:
    """What :func:`report` found; ``figures`` by name; ``text`` as printed."""

    summary: pd.DataFrame
    checks: list[Check]
    identifiability: Identifiability | None
    figures: dict[str, Any]
    text: str

    @property
    def ok(self) -> bool:
        """No check failed."""
        return all(c.ok is not False for c in self.checks)


def report(tree: xr.DataTree, problem: Any = None, folder: str | Path | None = None, show: bool = True) -> Report:
    """Summary, checks and figures of a result; with its problem (or model) also what the data can see.

    ``folder`` receives report.txt and the figures as PNG; files that exist there are an error. ``show`` prints, and
    displays in notebooks.
    """
    from rich.console import Console

    from . import figures

    plots: dict[str, Callable[[], Any]] = {
        "predictive": lambda: figures.predictive_figure(tree),
        "prior_posterior": lambda: figures.prior_posterior_figure(tree),
    }
    if tree.attrs.get("method", "nuts") != "laplace":
        plots |= {"trace": lambda: figures.trace_figure(tree), "rank": lambda: figures.rank_figure(tree)}
    model = getattr(problem, "model", problem)
    if model is not None:
        plots = {"posterior": lambda: figures.posterior_figure(tree, model), **plots}
    targets = (
        [Path(folder) / name for name in ("report.txt", *(f"{k}.png" for k in plots))] if folder is not None else []
    )
    for path in targets:
        if path.exists():
            raise HmmInferError(f"'{path}' exists already and is not overwritten; give another folder, or remove it.")
    table, found = summary(tree), checks(tree)
    seen = identifiability(problem) if problem is not None else None
    buffer = io.StringIO()
    for console in [Console(file=buffer, width=140), *([Console()] if show else [])]:
        for part in _tables(tree, table, found):
            console.print(part)
        if seen is not None:
            console.print("\n[bold]What the data can see, before sampling[/bold]")
            console.print(seen.text(), markup=False, highlight=False)
    made = {name: make() for name, make in plots.items()}
    if targets:
        targets[0].parent.mkdir(parents=True, exist_ok=True)
        targets[0].write_text(buffer.getvalue(), encoding="utf-8")
        for path, figure in zip(targets[1:], made.values(), strict=True):
            figure.savefig(path, dpi=150)
    if show and "ipykernel" in sys.modules:
        from IPython.display import display

        for figure in made.values():
            display(figure)
    return Report(table, found, seen, made, buffer.getvalue())


def _tables(tree: xr.DataTree, table: pd.DataFrame, found: list[Check]) -> list[Any]:
    from rich.table import Table as RichTable

    first = RichTable(
        title="{} ({}): {}".format(*(tree.attrs.get(k, "") for k in ("model", "experiment", "data"))),
        title_justify="left",
    )
    for column in (
        "unknown",
        "mean",
        "sd",
        f"{SHARE:.0%} interval".replace("%", " %"),
        "unit",
        "ESS bulk",
        "ESS tail",
        "R-hat",
    ):
        first.add_column(column, justify="left" if column in ("unknown", "unit") else "right")
    for name, r in table.iterrows():
        ess = ["-" if math.isnan(r[c]) else f"{r[c]:.0f}" for c in ("ess_bulk", "ess_tail")]
        first.add_row(
            str(name),
            f"{r['mean']:.4g}",
            f"{r['sd']:.2g}",
            f"{r['low']:.4g} to {r['high']:.4g}",
            r["unit"],
            *ess,
            "-" if math.isnan(r["r_hat"]) else f"{r['r_hat']:.3f}",
        )
    second = RichTable("", "check", "found", "advice", title="Checks", title_justify="left", show_lines=False)
    for c in found:
        mark = {True: "[green]ok[/green]", False: "[red]look[/red]", None: "note"}[c.ok]
        second.add_row(mark, c.name, c.value, c.advice)
    return [first, second]


# ---------------------------------------------------------------------------------------------------------- calibration

Sampler = Callable[[Any, int], Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class SBC:
    """Ranks (n,) of the true values among ``draws`` posterior draws, and p-values of their uniformity (chi2), for each
    scalar quantity.

    ``pareto_k`` (n,): of the default sampler's importance weights, below 0.7 where its draws can be trusted; NaN for
    other samplers.
    """

    ranks: dict[str, np.ndarray]
    p: dict[str, float]
    draws: int
    pareto_k: np.ndarray

    @property
    def p_value(self) -> float:
        """Smallest p-value, corrected for how many were looked at (Bonferroni)."""
        return min(1.0, min(self.p.values()) * len(self.p))

    @property
    def ok(self) -> bool:
        """Calibrated, at the 1 % level."""
        return self.p_value > 0.01


def sbc(
    model: Any,
    n: int = 100,
    draws: int = 99,
    seed: int = 0,
    noise_factor: float = 1.0,
    posterior: Sampler | None = None,
    workers: int = 1,
    progress: bool = True,
) -> SBC:
    """Simulation-based calibration (Talts et al. 2018): truths from the prior, data y + sigma noise, rank of the truth.

    Ranks among the posterior's draws are uniform when priors, likelihood and sampler agree. An axial angle enters as
    cos 2 theta, which does not see its sign; the log likelihood is ranked too, for it is the most sensitive to wrong
    noise (Modrak et al. 2023).

    Parameters
    ----------
    model : a model with data (their layout and sd are used) or a problem.
    n, draws, seed, progress : simulated data sets, posterior draws, seed, progress bar.
    noise_factor : multiplies the sd the posterior assumes; anything but 1 must fail (0.7 is the negative control).
    posterior : (problem, seed) -> named independent draws, for example by :func:`hmminfer.fit`; the default is adaptive
        importance sampling, for problems without fields.
    workers : processes.
    """
    std = _Standard(model)
    if posterior is None and any(isinstance(p, Field) for p in std.problem.free):
        raise HmmInferError(
            "The default sampler of sbc() does not do fields; give posterior=, a function (problem, seed) -> draws."
        )
    rng = np.random.default_rng(seed)
    bank = std.prior(rng, 1000)
    y_bank = std.model.batch(std.theta(bank), strict=False)
    solved = np.isfinite(y_bank).all(axis=1)
    bank, y_bank = bank[solved], y_bank[solved]
    if len(bank) < 10:
        raise HmmInferError("The model could not be solved at almost every prior draw; widen or move the priors.")
    truths = np.random.default_rng(seed + 1).integers(len(bank), size=n) if n > len(bank) else np.arange(n)
    jobs = [
        (
            std,
            bank[i],
            y_bank[i],
            np.delete(bank, i, 0),
            np.delete(y_bank, i, 0),
            draws,
            noise_factor,
            posterior,
            seed + 1000 + k,
        )
        for k, i in enumerate(truths)
    ]
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(track(pool.map(_one_rank, jobs), "calibration", n, progress))
    else:
        results = [_one_rank(job) for job in track(jobs, "calibration", show=progress)]
    ranks = {name: np.array([r[0][name] for r in results]) for name in results[0][0]}
    bins = int(np.clip(n // 10, 4, 20))
    edges = np.linspace(0, draws + 1, bins + 1)
    p = {name: float(stats.chisquare(np.histogram(r + 0.5, edges)[0]).pvalue) for name, r in ranks.items()}
    return SBC(ranks, p, draws, np.array([r[1] for r in results]))


def _one_rank(job: tuple) -> tuple[dict[str, int], float]:
    """Ranks of one simulated truth."""
    std, u, y, bank, y_bank, draws, factor, posterior, seed = job
    rng = np.random.default_rng(seed)
    problem = std.problem
    truth = {k: np.asarray(v)[None] for k, v in std.named(u).items()}
    data = y + problem.sigma_of(truth)[..., : len(y)].reshape(-1) * rng.standard_normal(len(y))
    assumed = replace(problem, table=replace(problem.table, value=data), sd=problem.sd * factor)
    k = math.nan
    if posterior is None:
        fitted = _Standard(assumed)
        x, y_x, k = _importance(fitted, data, bank, y_bank, draws, rng)
        named = fitted.named(x)
    else:
        named = {name: np.asarray(v) for name, v in posterior(assumed, seed).items()}
        theta = std.model.vector({name: v for name, v in named.items() if name in std.model.parameters.names})
        y_x = std.model.batch(theta, strict=False)
    for where, values in ((truth, y[None]), (named, y_x)):
        sigma = assumed.sigma_of(where)
        where["log_likelihood"] = np.sum(-0.5 * ((data - values) / sigma) ** 2 - np.log(sigma) + 0.0 * values, axis=-1)
    axial = {p.name for p in problem.free if p.axial and not isinstance(p, Field)}
    out = {}
    for name, true in truth.items():
        if np.asarray(true)[0].size > LONG:
            continue
        for i, (a, b) in enumerate(
            zip(np.reshape(true, (1, -1))[0], np.reshape(named[name], (len(y_x), -1)).T, strict=True)
        ):
            a, b = (np.cos(np.radians(2.0 * v)) if name in axial else v for v in (a, b))
            out[name if np.ndim(true) == 1 else f"{name}[{i}]"] = round(float(np.mean(b < a)) * draws)
    return out, k


def _importance(
    std: _Standard, data: np.ndarray, bank: np.ndarray, y_bank: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Independent posterior draws u, their y, and Pareto k: population Monte Carlo with a mixture of t densities
    (Cappe et al. 2008).

    Components start at modes reached from the best prior draws, with the Gauss-Newton covariance; their images under
    theta -> -theta are added; three rounds of weighted draws move and reshape them, and the last one is resampled.
    """
    prior = [p for p in std.problem.free if p.axial]
    axial = np.zeros(std.size, bool)
    for p in prior:
        axial[std.u_of[p.name]] = True
    period, centre = np.full(std.size, np.inf), np.zeros(std.size)
    for p in prior:
        period[std.u_of[p.name]], centre[std.u_of[p.name]] = 180.0 / p.prior.sd, -p.prior.centre / p.prior.sd

    def wrap(d: np.ndarray) -> np.ndarray:
        return np.where(axial, d - np.where(axial, period, 1.0) * np.round(d / np.where(axial, period, np.inf)), d)

    def log_density(u: np.ndarray, y: np.ndarray) -> np.ndarray:
        sigma = std.problem.sigma_of(std.named(u))
        out = -0.5 * np.sum(((data - y) / sigma) ** 2 + 2.0 * np.log(sigma) + 0.0 * y, axis=-1) - 0.5 * np.sum(
            u[..., ~axial] ** 2, axis=-1
        )
        for p in prior:
            out = out + p.prior.concentration * np.sum(
                np.cos(np.radians(2.0 * p.prior.sd * u[..., std.u_of[p.name]])), axis=-1
            )
        return np.where(np.isfinite(out), out, -np.inf)

    sigma0 = np.broadcast_to(std.problem.sigma_of(std.named(np.zeros(std.size))), data.shape)
    free = np.isin(np.arange(std.size), std.iu)
    gauss = (~axial).astype(float)

    def residual(x: np.ndarray) -> np.ndarray:
        y = std.model.kernel(std.theta(x))
        return np.concatenate([np.where(np.isfinite(y), (y - data) / sigma0, 1e6), gauss * x])

    def slope(x: np.ndarray) -> np.ndarray:
        s = np.zeros((len(data), std.size))
        s[:, free] = np.nan_to_num(std.sensitivity(x, sigma0))
        return np.vstack([s, np.diag(gauss)])

    best = np.argsort(-log_density(bank, y_bank))[:6]
    centres: list[np.ndarray] = []
    shapes: list[np.ndarray] = []
    for i in best:
        x = optimize.least_squares(residual, bank[i], slope, method="trf", max_nfev=30, x_scale=1.0).x
        s = slope(x)
        covariance = np.linalg.inv(s.T @ s + np.diag(axial * 1.0))
        for image in (x, np.where(axial, 2.0 * centre - x, x)):
            image = wrap(image)
            flips = np.where(axial & (image != wrap(x)), -1.0, 1.0)
            if all(
                wrap(image - c) @ np.linalg.solve(v, wrap(image - c)) > 1.0
                for c, v in zip(centres, shapes, strict=True)
            ):
                centres.append(image)
                shapes.append(1.3 * covariance * np.outer(flips, flips))
    weight = np.full(len(centres), 1.0 / len(centres))
    for size in (400, 600, 1500):
        which = rng.choice(len(centres), size, p=weight)
        steps = stats.multivariate_t.rvs(
            np.zeros(std.size), np.eye(std.size), df=6, size=size, random_state=rng
        ).reshape(size, -1)
        u = np.stack([wrap(centres[c] + np.linalg.cholesky(shapes[c]) @ e) for c, e in zip(which, steps, strict=True)])
        y = np.full((size, len(data)), np.nan)
        near = np.all(np.abs(u[:, ~axial]) < 4.0, axis=1)  # beyond is 1e-4 of the prior, and outside a reduced basis
        y[near] = std.model.batch(std.theta(u[near]), strict=False)
        parts = np.stack(
            [
                np.log(w + 1e-300) + stats.multivariate_t.logpdf(wrap(u - c), np.zeros(std.size), v, df=6)
                for w, c, v in zip(weight, centres, shapes, strict=True)
            ]
        )
        proposal = special.logsumexp(parts, axis=0)
        log_w = log_density(u, y) - proposal
        w = np.exp(log_w - special.logsumexp(log_w))
        kept = _reshape(u, np.minimum(w, np.sort(w)[-20]), np.exp(parts - proposal), centres, shapes, wrap)
        if size != 1500:
            weight, centres, shapes = kept
    from arviz_stats.base import array_stats

    smooth, k = array_stats.psislw(np.minimum(log_w.max() - log_w, 700.0))  # takes minus the log weights
    chosen = rng.choice(len(u), draws, p=np.exp(smooth) / np.exp(smooth).sum())
    return u[chosen], y[chosen], float(k)


def _reshape(
    u: np.ndarray, w: np.ndarray, share: np.ndarray, centres: list, shapes: list, wrap: Callable
) -> tuple[np.ndarray, list, list]:
    """Weight, centre and covariance of each component from weighted draws; one that lost its mass is dropped."""
    out: list[tuple[float, np.ndarray, np.ndarray]] = []
    for c, v, r in zip(centres, shapes, share, strict=True):
        mass = w * r
        total = mass.sum()
        if total < 1e-3 * w.sum():
            continue
        p = mass / total
        d = wrap(u - c)
        mean = p @ d
        effective = 1.0 / np.sum(p**2)
        trust = effective / (effective + 2.0 * len(c))  # few effective draws say little about a covariance
        out.append((total, wrap(c + trust * mean), trust * ((d - mean).T * p) @ (d - mean) + (1.0 - trust) * v))
    total = np.array([o[0] for o in out])
    return total / total.sum(), [o[1] for o in out], [o[2] for o in out]
