"""Posterior of two positive unknowns on a grid: a reference without sampling, quick enough for hundreds of data sets.

For models whose answers y scale as 1 / x_1 if both unknowns are multiplied by one factor, as temperatures do with conductivities: x_1 y then
depends on the ratio x_2 / x_1 alone, and is tabulated once. Reference code: used by the calibrations (bias, coverage) of tests and benchmarks only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from hmminfer.errors import HmmInferError
from hmminfer.inference import discrepancy
from hmminfer.inference.homogenisation import HomogenisationError
from hmminfer.system.model import Model
from hmminfer.system.tables import Table

INSIDE = (0.05, 0.95)  # of a central 90 % interval
TURN = np.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]])  # no two points of a grid share a coordinate

LogLikelihood = Callable[[np.ndarray, np.ndarray], np.ndarray]  # answers (n, rows), x (n, 2) -> (n,)


@dataclass(frozen=True, eq=False)
class ScaledAnswers:
    """Answers of ``solve`` (named values -> (rows,)) as a function of (ln x_1, ln x_2), from a table of ``nodes`` values of their difference.

    Doubling both conductivities halves the temperature, in the resolved problem and in the homogenised one, so a table over their ratio is enough.
    """

    model: Model
    solve: Callable[[Mapping[str, Any]], np.ndarray]
    nodes: int

    @cached_property
    def table(self) -> CubicSpline:
        """Answers at x_1 = 1 over ln x_2, to five prior sds of the ratio's logarithm."""
        median, sigma = prior(self.model)
        centre, reach = median[1] - median[0], 5.0 * float(np.hypot(*sigma))
        q = np.linspace(centre - reach, centre + reach, self.nodes)
        return CubicSpline(q, [self.solve(dict(zip(self.model.parameters.names, (1.0, np.exp(a)), strict=True))) for a in q])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.table(x[:, 1] - x[:, 0]) * np.exp(-x[:, :1])

    def at(self, values: Mapping[str, Any]) -> np.ndarray:
        """Answers at named values."""
        return self(np.log([[values[name] for name in self.model.parameters.names]]))[0]

    def error(self, thetas: np.ndarray) -> float:
        """Largest relative difference between tabulated and solved answers at ``thetas``."""
        named = [dict(zip(self.model.parameters.names, theta, strict=True)) for theta in thetas]
        return max(float(np.max(np.abs(self.at(v) / self.solve(v) - 1.0))) for v in named)


def prior(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of (ln x_1, ln x_2)."""
    priors: Any = [p.prior for p in model.parameters]
    return np.log([p.median for p in priors]), np.array([p.sigma for p in priors])


def noise_only(table: Table) -> LogLikelihood:
    """Log likelihood of y = f + noise."""
    return lambda f, _: -0.5 * np.sum(((table.value - f) / table.sd) ** 2, axis=1)


def extra_variance(table: Table) -> LogLikelihood:
    """Log likelihood of y = f + noise + d, d ~ Normal(0, (tau s)^2); tau is integrated out with its prior on a logarithmic grid."""
    (unknown,) = discrepancy.parameters("extra", table)
    tau = np.geomspace(1e-4, 1.0, 60)
    variance = table.sd**2 + (tau[:, None] * discrepancy.scale(table)) ** 2
    of_tau = unknown.prior.logpdf(tau) + np.log(tau) - 0.5 * np.log(variance).sum(axis=1)
    return lambda f, _: logsumexp(of_tau - 0.5 * (table.value - f) ** 2 @ (1.0 / variance).T, axis=1)


def with_error(model: Model, table: Table, error: HomogenisationError) -> LogLikelihood:
    """Log likelihood of y = f (1 + m + B z + V xi) + noise and rest, the weights xi integrated out."""
    if not error.relative:
        raise HmmInferError("The grid posterior takes relative homogenisation errors; learn the error with relative=True.")
    variance = error.widened(table.sd, table) ** 2

    def of(f: np.ndarray, theta: np.ndarray) -> np.ndarray:
        r = table.value - f * (1.0 + error.shifts(model, theta))
        b = f[:, :, None] * error.modes
        a = np.eye(b.shape[2]) + np.einsum("nri,r,nrj->nij", b, 1.0 / variance, b)
        c = np.einsum("nri,nr->ni", b, r / variance)
        gain = np.einsum("ni,ni->n", c, np.linalg.solve(a, c[:, :, None])[:, :, 0])
        return 0.5 * (gain - np.sum(r**2 / variance, axis=1) - np.linalg.slogdet(a)[1])

    return of


@dataclass(frozen=True, eq=False)
class GridPosterior:
    """Points (n, 2) of the unknowns and their shares (n,)."""

    points: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, model: Model, answers: ScaledAnswers, log_likelihood: LogLikelihood) -> GridPosterior:
        """Posterior on a grid over (ln x_1, ln x_2); the grid starts with the prior's size and shrinks in several passes to the posterior's."""
        median, sigma = prior(model)
        centre, covariance = median, np.diag(sigma**2)
        for reach, n in [*[(5.0, 25)] * 8, (6.0, 121)]:
            side = np.linspace(-reach, reach, n)
            z = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2) @ TURN
            x = centre + z @ np.linalg.cholesky(covariance).T
            log_p = log_likelihood(answers(x), np.exp(x)) - 0.5 * np.sum(((x - median) / sigma) ** 2, axis=1)
            share = np.exp(log_p - logsumexp(log_p))
            centre = share @ x
            spacing = (side[1] - side[0]) ** 2  # a posterior between two points is not narrower than their distance
            covariance = ((x - centre).T * share) @ (x - centre) + spacing * covariance
        return cls(np.exp(x), share)

    def summary(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means (2,), sds (2,) and ends (2, 2) of the central 90 % intervals."""
        mean = self.share @ self.points
        sd = np.sqrt(self.share @ (self.points - mean) ** 2)
        ends = []
        for x in self.points.T:
            order = np.argsort(x)
            ends.append(np.interp(INSIDE, np.cumsum(self.share[order]) - 0.5 * self.share[order], x[order]))
        return mean, sd, np.array(ends)


def likelihoods(model: Model, table: Table, errors: Mapping[str, HomogenisationError]) -> dict[str, LogLikelihood]:
    """All likelihoods that are compared, by name."""
    learnt = {name: with_error(model, table, error) for name, error in errors.items()}
    return {"none": noise_only(table), "extra": extra_variance(table), **learnt}


def coverage(names: Sequence[str], truths: np.ndarray, found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Coverage, bias and width for each unknown of one likelihood: ``truths`` (data sets, 2), ``found`` their summaries."""
    mean, sd, ends = (np.array(part) for part in zip(*found, strict=True))
    inside = (truths > ends[:, :, 0]) & (truths < ends[:, :, 1])
    fifths = np.array_split(np.argsort(truths[:, 1] / truths[:, 0]), 5)  # the relative error is a function of the ratio
    out = {}
    for i, name in enumerate(names):
        share, bias = float(inside[:, i].mean()), (mean - truths)[:, i]
        away = bias / sd[:, i]
        out[name] = {
            "coverage": share,
            "its standard error": float(np.sqrt(share * (1.0 - share) / len(truths))),
            "of each hundred": [float(part.mean()) for part in np.split(inside[:, i], range(100, len(truths), 100))],
            "mean bias in posterior sds": float(away.mean()),
            "root mean square of it": float(np.sqrt(np.mean(away**2))),
            "mean by fifths of x_2 / x_1": [float(away[f].mean()) for f in fifths],
            "coverage by fifths": [float(inside[f, i].mean()) for f in fifths],
            "mean relative bias": float(np.mean(bias / truths[:, i])),
            "median width": float(np.median(ends[:, i, 1] - ends[:, i, 0])),
        }
    return out
