"""What a finite eps does to an inference: bias and coverage, with and without the homogenisation error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from arviz_stats.base import array_stats
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from hmminfer import discrepancy, models
from hmminfer.data import Table
from hmminfer.homogenisation import HomogenisationError, learn
from hmminfer.inference import fit
from hmminfer.macro.resolved import resolved
from hmminfer.model import Model

PERIODS = 8  # 1 / eps
NAMES = ("conductivity", "conductivity_slope")
LIKELIHOODS = ("none", "extra", "learnt")
INSIDE = (0.05, 0.95)  # of a central 90 % interval
TURN = np.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]])  # no two points of a grid share a coordinate

LogLikelihood = Callable[[np.ndarray, np.ndarray], np.ndarray]  # answers (n, rows), (a_1, a_2) (n, 2) -> (n,)


def exact(model: Model, values: Mapping[str, Any], fine: int = 32) -> np.ndarray:
    """The resolved problem at eps on meshes finer (``fine`` elements to a period) than those the error is learnt from."""
    assert model.table is not None
    settings, columns, oscillation = model.table.settings, model.table.columns, models.get("heat_composite").oscillation
    points = np.stack([columns["x"], columns["y"]], axis=1)
    a1, a2, m = values["conductivity"], values["conductivity_slope"], int(settings["periods"])
    return resolved(lambda x, y: (a1 + a2 * x) * oscillation(m * x, m * y), settings["source"], fine * m, points)


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of ``solve``, named values -> (rows,), over (ln a_1, ln a_2) from a table over their difference.

    Twice the conductivity halves the temperature, resolved or not, so that one ratio is all there is to tabulate.
    """

    model: Model
    solve: Callable[[Mapping[str, Any]], np.ndarray]
    nodes: int

    @cached_property
    def table(self) -> CubicSpline:
        """Answers at a_1 = 1 over ln a_2, to five prior sds of the ratio's logarithm."""
        median, sigma = prior(self.model)
        centre, reach = median[1] - median[0], 5.0 * float(np.hypot(*sigma))
        q = np.linspace(centre - reach, centre + reach, self.nodes)
        return CubicSpline(q, [self.solve(dict(zip(NAMES, (1.0, np.exp(a)), strict=True))) for a in q])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.table(x[:, 1] - x[:, 0]) * np.exp(-x[:, :1])

    def at(self, values: Mapping[str, Any]) -> np.ndarray:
        """Answers at named values."""
        return self(np.log([[values[name] for name in NAMES]]))[0]

    def error(self, thetas: np.ndarray) -> float:
        """Largest relative difference from the solves themselves."""
        named = [dict(zip(NAMES, theta, strict=True)) for theta in thetas]
        return max(float(np.max(np.abs(self.at(v) / self.solve(v) - 1.0))) for v in named)


def prior(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds of (ln a_1, ln a_2)."""
    priors: Any = [model.parameters[name].prior for name in NAMES]
    return np.log([p.median for p in priors]), np.array([p.sigma for p in priors])


def noise_only(table: Table) -> LogLikelihood:
    """y = f + noise."""
    return lambda f, _: -0.5 * np.sum(((table.value - f) / table.sd) ** 2, axis=1)


def extra_variance(table: Table) -> LogLikelihood:
    """y = f + noise + d, d ~ Normal(0, (tau s)^2): tau with its prior summed over a logarithmic grid."""
    (unknown,) = discrepancy.parameters("extra", table)
    tau = np.geomspace(1e-4, 1.0, 60)
    variance = table.sd**2 + (tau[:, None] * discrepancy.scale(table)) ** 2
    of_tau = unknown.prior.logpdf(tau) + np.log(tau) - 0.5 * np.log(variance).sum(axis=1)
    return lambda f, _: logsumexp(of_tau - 0.5 * (table.value - f) ** 2 @ (1.0 / variance).T, axis=1)


def with_error(model: Model, table: Table, error: HomogenisationError) -> LogLikelihood:
    """y = f (1 + m + B z + V xi) + noise and rest, the weights xi integrated out."""
    if not error.relative:
        raise ValueError("this likelihood is written for relative errors.")
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
class Posterior:
    """Points (n, 2) of (a_1, a_2) and their shares (n,)."""

    points: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, model: Model, answers: Answers, log_likelihood: LogLikelihood) -> Posterior:
        """On a grid over (ln a_1, ln a_2), from the prior's size brought down to the posterior's own."""
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
    """All that are compared, by name."""
    learnt = {name: with_error(model, table, error) for name, error in errors.items()}
    return {"none": noise_only(table), "extra": extra_variance(table), **learnt}


def compared(truths: np.ndarray, found: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Coverage, bias and width for each parameter of one likelihood."""
    mean, sd, ends = (np.array(part) for part in zip(*found, strict=True))
    inside = (truths > ends[:, :, 0]) & (truths < ends[:, :, 1])
    fifths = np.array_split(np.argsort(truths[:, 1] / truths[:, 0]), 5)  # the relative error is a function of the ratio
    out = {}
    for i, name in enumerate(NAMES):
        coverage, bias = float(inside[:, i].mean()), (mean - truths)[:, i]
        away = bias / sd[:, i]
        out[name] = {
            "coverage": coverage,
            "its standard error": float(np.sqrt(coverage * (1.0 - coverage) / len(truths))),
            "of each hundred": [float(part.mean()) for part in np.split(inside[:, i], range(100, len(truths), 100))],
            "mean bias in posterior sds": float(away.mean()),
            "root mean square of it": float(np.sqrt(np.mean(away**2))),
            "mean by fifths of a_2 / a_1": [float(away[f].mean()) for f in fifths],
            "coverage by fifths": [float(inside[f, i].mean()) for f in fifths],
            "mean relative bias": float(np.mean(bias / truths[:, i])),
            "median width": float(np.median(ends[:, i, 1] - ends[:, i, 0])),
        }
    return out


def against_fit(model: Model, answers: Answers, errors: Mapping[str, HomogenisationError]) -> dict[str, Any]:
    """Means and sds of one data set by fit less those of the grid, in Monte Carlo errors."""
    assert model.table is not None
    out, of_kind = {}, likelihoods(model, model.table, errors)
    for kind in ("extra", "learnt"):
        mean, sd, _ = Posterior.of(model, answers, of_kind[kind]).summary()
        asked = errors[kind].applied_to(model) if kind in errors else model
        tree = fit(
            asked,
            discrepancy_kind=kind if kind == "extra" else "none",
            draws=500,
            tune=300,
            chains=2,
            seed=1,
            cores=1,
            progress=False,
        )
        away = {}
        for i, name in enumerate(NAMES):
            x: Any = tree["posterior"][name].values
            mcse = [float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=m)) for m in ("mean", "sd")]
            away[name] = [float((x.mean() - mean[i]) / mcse[0]), float((x.std() - sd[i]) / mcse[1])]
        out[kind] = away
    return out


def homogenisation_coverage(quick: bool) -> dict[str, Any]:
    """Distance from 0.90 of the coverage of 90 % intervals, eps = 1/8, error as fit learns it; the worse one."""
    small = {"elements": 4, "cell_elements": 8} if quick else {}
    model = models.get("heat_composite").EXPERIMENTS["periodic"].model("periodic_square", periods=PERIODS, **small)
    count, nodes, draws = (20, 17, 8) if quick else (400, 33, 24)
    truth = Answers(model, lambda values: exact(model, values, 16 if quick else 32), nodes)
    answers = Answers(model, lambda values: model.evaluate(values), 4 * nodes)
    assert model.resolved is not None
    errors = {"learnt": learn(model, model.resolved, draws, progress=False)}
    rng = np.random.default_rng(20261201)  # learn() has a seed of its own
    truths = model.parameters.sample(rng, count)
    found: dict[str, list[Any]] = {name: [] for name in LIKELIHOODS}
    for y in truth(np.log(truths)):
        table = replace(model.table, value=y + model.table.sd * rng.standard_normal(len(y)))
        for name, log_likelihood in likelihoods(model, table, errors).items():
            found[name].append(Posterior.of(model, answers, log_likelihood).summary())
    result = {name: compared(truths, rows) for name, rows in found.items()}
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
