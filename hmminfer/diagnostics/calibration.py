"""Simulation-based calibration: data made from the prior, and the ranks of the truth in its posteriors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from hmminfer.diagnostics.sensitivity import Standard
from hmminfer.engine.linalg import one_thread
from hmminfer.errors import HmmInferError
from hmminfer.inference.reading import LONG
from hmminfer.system.likelihood import POISSON, draw, log_density
from hmminfer.system.parameters import Field
from hmminfer.terminal import track

Sampler = Callable[[Any, int], Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class SBC:
    """Ranks (n,) of the true values among ``draws`` posterior draws, and p-values of their uniformity (chi2), for each
    scalar quantity.

    ``pareto_k`` (n,): Pareto k of the default sampler's importance weights; its draws can be trusted below 0.7. NaN for
    other samplers.
    """

    ranks: dict[str, np.ndarray]
    p: dict[str, float]
    draws: int
    pareto_k: np.ndarray

    @property
    def p_value(self) -> float:
        """Smallest p-value, corrected for the number of quantities (Bonferroni)."""
        return min(1.0, min(self.p.values()) * len(self.p))

    @property
    def ok(self) -> bool:
        """True if no quantity is miscalibrated at the 1 % level."""
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
    cos 2 theta, which is the same for both signs; the log likelihood is ranked too, because it is the most sensitive to
    wrong noise (Modrak et al. 2023).

    Parameters
    ----------
    model : a model with data (their layout and sd are used) or a problem.
    n, draws, seed, progress : number of simulated data sets, number of posterior draws, seed, progress bar.
    noise_factor : multiplies the sd the posterior assumes; anything but 1 must fail (0.7 is the negative control).
    posterior : (problem, seed) -> named independent draws, for example by :func:`hmminfer.fit`; the default is adaptive
        importance sampling, for problems without fields.
    workers : number of processes.
    """
    std = Standard(model)
    if posterior is None and any(isinstance(p, Field) for p in std.problem.free):
        raise HmmInferError("The default sampler of sbc() does not do fields; give posterior=, a function (problem, seed) -> draws.")
    if std.model.simulated:
        raise std.model.kernel.refusal()
    if std.model.likelihood == POISSON and noise_factor != 1.0:
        raise HmmInferError("Counts have no noise to scale: noise_factor is 1 for them; give a wrong posterior= as negative control.")
    rng = np.random.default_rng(seed)
    bank = std.prior(rng, 1000)
    y_bank = std.model.batch(std.theta(bank), strict=False)
    solved = np.isfinite(y_bank).all(axis=1)
    bank, y_bank = bank[solved], y_bank[solved]
    if len(bank) < 10:
        raise HmmInferError("The model could not be solved at almost every prior draw; widen or move the priors.")
    truths = np.random.default_rng(seed + 1).integers(len(bank), size=n) if n > len(bank) else np.arange(n)
    jobs = [
        (std, bank[i], y_bank[i], np.delete(bank, i, 0), np.delete(y_bank, i, 0), draws, noise_factor, posterior, seed + 1000 + k)
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
    law = problem.model.likelihood
    data = draw(law, rng, y, problem.sigma_of(truth)[..., : len(y)].reshape(-1))
    assumed = replace(problem, table=replace(problem.table, value=data), sd=problem.sd * factor)
    k = math.nan
    if posterior is None:
        fitted = Standard(assumed)
        x, y_x, k = _importance(fitted, data, bank, y_bank, draws, rng)
        named = fitted.named(x)
    else:
        named = {name: np.asarray(v) for name, v in posterior(assumed, seed).items()}
        theta = std.model.vector({name: v for name, v in named.items() if name in std.model.parameters.names})
        y_x = std.model.batch(theta, strict=False)
    for where, values in ((truth, y[None]), (named, y_x)):
        sigma = assumed.sigma_of(where)
        where["log_likelihood"] = np.sum(log_density(law, data, values, sigma), axis=-1)
    axial = {p.name for p in problem.free if p.axial and not isinstance(p, Field)}
    out = {}
    for name, true in truth.items():
        if np.asarray(true)[0].size > LONG:
            continue
        for i, (a, b) in enumerate(zip(np.reshape(true, (1, -1))[0], np.reshape(named[name], (len(y_x), -1)).T, strict=True)):
            a, b = (np.cos(np.radians(2.0 * v)) if name in axial else v for v in (a, b))
            out[name if np.ndim(true) == 1 else f"{name}[{i}]"] = round(float(np.mean(b < a)) * draws)
    return out, k


@one_thread
def _importance(
    std: Standard, data: np.ndarray, bank: np.ndarray, y_bank: np.ndarray, draws: int, rng: np.random.Generator
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

    def target(u: np.ndarray, y: np.ndarray) -> np.ndarray:
        sigma = std.problem.sigma_of(std.named(u))
        out = np.sum(log_density(std.model.likelihood, data, y, sigma), axis=-1)
        out = out - 0.5 * np.sum(u[..., ~axial] ** 2, axis=-1)
        for p in prior:
            out = out + p.prior.concentration * np.sum(np.cos(np.radians(2.0 * p.prior.sd * u[..., std.u_of[p.name]])), axis=-1)
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

    best = np.argsort(-target(bank, y_bank))[:6]
    centres: list[np.ndarray] = []
    shapes: list[np.ndarray] = []
    for i in best:
        x = optimize.least_squares(residual, bank[i], slope, method="trf", max_nfev=30, x_scale=1.0).x
        s = slope(x)
        covariance = np.linalg.inv(s.T @ s + np.diag(axial * 1.0))
        for image in (x, np.where(axial, 2.0 * centre - x, x)):
            image = wrap(image)
            flips = np.where(axial & (image != wrap(x)), -1.0, 1.0)
            if all(wrap(image - c) @ np.linalg.solve(v, wrap(image - c)) > 1.0 for c, v in zip(centres, shapes, strict=True)):
                centres.append(image)
                shapes.append(1.3 * covariance * np.outer(flips, flips))
    weight = np.full(len(centres), 1.0 / len(centres))
    for size in (400, 600, 1500):
        which = rng.choice(len(centres), size, p=weight)
        steps = stats.multivariate_t.rvs(np.zeros(std.size), np.eye(std.size), df=6, size=size, random_state=rng).reshape(size, -1)
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
        log_w = target(u, y) - proposal
        w = np.exp(log_w - special.logsumexp(log_w))
        kept = _reshape(u, np.minimum(w, np.sort(w)[-20]), np.exp(parts - proposal), centres, shapes, wrap)
        if size != 1500:
            weight, centres, shapes = kept
    from arviz_stats.base import array_stats

    smooth, k = array_stats.psislw(np.minimum(log_w.max() - log_w, 700.0))  # takes minus the log weights
    chosen = rng.choice(len(u), draws, p=np.exp(smooth) / np.exp(smooth).sum())
    return u[chosen], y[chosen], float(k)


def _reshape(u: np.ndarray, w: np.ndarray, share: np.ndarray, centres: list, shapes: list, wrap: Callable) -> tuple[np.ndarray, list, list]:
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
