"""Identifiability: the combinations of unknowns that the data determine, found before any sampling and written in the parameters' names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hmminfer.engine.linalg import one_thread
from hmminfer.errors import HmmInferError
from hmminfer.inference.reading import LONG
from hmminfer.system.parameters import Field, Parameter

GAIN = 0.01  # of a quantity's values: an error of an instrument that would be called small


class Standard:
    """The unknowns of a problem in prior-standardised coordinates u: Normal(0, 1) a priori, except axial angles, which
    keep their shape and have theta = mean + sd u. ln p = ln median + sigma u for a LogNormal prior.
    """

    def __init__(self, problem: Any) -> None:
        if not hasattr(problem, "free"):
            from hmminfer.inference.problem import Problem

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
                u[:, self.u_of[p.name]] = (p.prior.sample(rng, n * p.length).reshape(n, -1) - p.prior.centre) / p.prior.sd
        return u

    def named(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Users' values of u (..., size)."""
        out: dict[str, np.ndarray] = {}
        for p in self.problem.free:
            x = u[..., self.u_of[p.name]]
            x = x * p.scales(*(np.asarray(out[h.name]) for h in p.hyperparameters)) if isinstance(p, Field) else p.prior.quantile(x)
            out[p.name] = x[..., 0] if p.size is None else x
        return out

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Vectors (..., n_in) of the kernel for u (..., size)."""
        named = self.named(u)
        theta = np.broadcast_to(self.base, (*u.shape[:-1], len(self.base))).copy()
        parts = [
            np.radians(2.0 * x) if p.axial and not isinstance(p, Field) else x
            for p in self.physical
            for x in [named[p.name][..., None] if p.size is None else named[p.name]]
        ]
        theta[..., self.it] = np.concatenate(parts, axis=-1)
        return theta

    def sensitivity(self, u: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """S = diag(1 / sigma) dy/du over the model's own unknowns, (rows, unknowns).

        The exact derivative costs a solve per row of data, central differences two per unknown: the cheaper is taken.
        """
        step = np.zeros(self.size)
        step[self.iu] = 1e-4
        if len(self.iu) < len(sigma) / 4:
            columns = [self.model.kernel(self.theta(u + e)) - self.model.kernel(self.theta(u - e)) for e in np.diag(step)[self.iu]]
            return np.stack(columns, axis=1) / 2e-4 / sigma[:, None]
        slope = (self.theta(u + step) - self.theta(u - step))[self.it] / 2e-4
        return self.model.kernel.jacobian(self.theta(u))[:, self.it] * slope / sigma[:, None]

    def regression(self, rng: np.random.Generator, sigma: np.ndarray, n: int = 300) -> np.ndarray:
        """S of a simulated model, (rows, unknowns): slopes of a straight line through n simulations at prior draws, over tolerance and
        scatter around it.
        """
        u = self.prior(rng, n)
        y = self.model.batch(self.theta(u), strict=False)
        u, y = u[np.isfinite(y).all(axis=1)], y[np.isfinite(y).all(axis=1)]
        n = len(u)
        if n < 3 * len(self.iu) + 10:
            return np.full((y.shape[1], len(self.iu)), np.nan)
        x = np.column_stack([np.ones(n), u[:, self.iu]])
        slopes = np.linalg.lstsq(x, y, rcond=None)[0]
        scatter = np.sqrt(np.sum((y - x @ slopes) ** 2, axis=0) / (n - x.shape[1]))
        return slopes[1:].T / np.hypot(sigma, scatter)[:, None]


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Information of the data about the unknowns, estimated before sampling.

    ``singular`` (draws, unknowns): singular values of the sensitivity scaled by noise and prior; the data determine a
    direction whose value is above 1. ``contraction``: 1 - posterior sd / prior sd of each unknown; ``seen``, ``flat``:
    combinations that the data determine, or do not, each with the share of its prior sd that is left; ``fields``: number
    of coefficients of each field that the data determine, and their total number; ``symmetric``: angles whose sign the
    data do not determine; ``absorbed``: errors of an instrument that would pass for values of unknowns, in sentences.
    """

    singular: np.ndarray
    contraction: dict[str, float]
    seen: list[tuple[str, float]]
    flat: list[tuple[str, float]]
    fields: dict[str, tuple[int, int]]
    symmetric: list[str]
    absorbed: list[str]

    def text(self) -> str:
        """The result in words, for readers who know the material rather than the algebra."""
        middle, low, high = (np.quantile(self.singular, q, axis=0) for q in (0.5, 0.05, 0.95))
        middle, low, high = (np.where(v < 1e-9 * v.max(), 0.0, v) for v in (middle, low, high))  # rounding
        values = ", ".join(f"{m:.2g} [{a:.2g} to {b:.2g}]" for m, a, b in zip(middle, low, high, strict=True))
        lines = [
            f"The data see {len(self.seen)} of {len(middle)} directions of the unknowns.",
            f"Singular values of the scaled sensitivity [5 to 95 % of the prior]: {values}.",
        ]
        lines += [f"  seen:     {what}  (to {left:.2g} of its prior sd)" for what, left in self.seen]
        lines += [f"  not seen: {what}  ({left:.2g} of its prior sd is left)" for what, left in self.flat]
        lines += [f"  {name}: {k} of {n} coefficients are seen" for name, (k, n) in self.fields.items()]
        lines.append(
            "The data are expected to narrow: " + ", ".join(f"{k} by {max(v, 0.0):.0%}".replace("%", " %") for k, v in self.contraction.items()) + "."
        )
        lines += [f"Both signs of {name} explain the data equally: expect separate modes." for name in self.symmetric]
        lines += self.absorbed
        return "\n".join(lines)


@one_thread
def identifiability(problem: Any, n_draws: int = 50, seed: int = 0) -> Identifiability:
    """Identifiability report of a problem (or of a model with data), from the linearised data at prior draws.

    S = diag(1 / sigma) dy/du with u standardised by the prior and sigma in proportion to the predictions (:func:`_size`); the posterior covariance
    in u is (I + S^T S)^-1. A field's coefficients f, and the weights of an error's modes, act on the other unknowns like correlated noise,
    S <- (I + S_f S_f^T)^(-1/2) S, which marginalises them. The logarithms of the covariances are averaged over the prior;
    directions whose eigenvalue is above 1/2 are flat. Costly models use fewer draws (at least 8).
    """
    std = Standard(problem)
    problem, rng = std.problem, np.random.default_rng(seed)
    fields = [p for p in std.physical if isinstance(p, Field)]
    aside = [p for p in std.physical if isinstance(p, Field) or p.nuisance]
    plain = [p for p in std.physical if not (isinstance(p, Field) or p.nuisance)]
    names = [p.name if p.size is None else f"{p.name}[{i}]" for p in plain for i in range(p.length)]
    scale = np.concatenate([np.repeat(_power(p), p.length) for p in plain]) if plain else np.zeros(0)
    place = {p.name: np.flatnonzero(np.isin(std.iu, np.arange(std.size)[std.u_of[p.name]])) for p in std.physical}
    index = np.concatenate([place[p.name] for p in plain]).astype(int) if plain else np.zeros(0, int)
    n = int(np.clip(2000 // min(len(problem.sd), 2 * len(std.iu)), 8, n_draws)) if len(std.iu) > LONG else n_draws
    draws = std.prior(rng, n)
    sigma = np.broadcast_to(problem.sigma_of(std.named(draws)), (n, len(problem.sd)))
    singular, logs, sds, counts, unseen = [], [], [], [], []
    for u, scale_of in zip(draws[:1] if std.model.simulated else draws, sigma, strict=False):
        if std.model.simulated:
            S, errors = std.regression(rng, scale_of), {}
        else:
            y = std.model.kernel(std.theta(u))
            scale_of = scale_of * _size(problem.table, y)
            S, errors = std.sensitivity(u, scale_of), _errors(problem.table.quantity, y, scale_of)
        if not np.all(np.isfinite(S)):
            continue
        counts.append([int(np.sum(np.linalg.svd(S[:, place[p.name]], compute_uv=False) > 1.0)) for p in fields])
        if aside:
            f = S[:, np.concatenate([place[p.name] for p in aside])]
            root = np.linalg.cholesky(np.eye(len(S)) + f @ f.T)
            S, errors = np.linalg.solve(root, S), {k: np.linalg.solve(root, d) for k, d in errors.items()}
        S = S[:, index]
        unseen.append({k: _into(S, d) for k, d in errors.items()})
        _, value, vt = np.linalg.svd(np.vstack([S, np.zeros((len(index), len(index)))]), full_matrices=False)
        singular.append(value)
        logs.append((vt.T * -np.log1p(value**2)) @ vt)
        sds.append(np.sqrt(np.sum(vt.T**2 / (1.0 + value**2), axis=1)))
    if not singular:
        first = {k: v[0] for k, v in std.named(draws[:1]).items()}
        raise HmmInferError(
            f"The model could not be solved at any of {n} prior draws{problem.why_unsolved(first)}. Move the priors, or fix values, to what "
            "it can be solved for."
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
    return Identifiability(np.array(singular), contraction, groups[0], groups[1], seen_of, _symmetric(std, draws[:8]), _absorbed(unseen, names))


def _size(table: Any, y: np.ndarray) -> np.ndarray:
    """Root mean square of predictions over that of the data, of each row's quantity: noise that is 3 % of the data is taken as 3 % of predictions that
    are ten times as large, for it is near the data that the posterior lies.
    """
    ratio = np.ones(len(y))
    for name in dict.fromkeys(table.quantity.tolist()):
        rows = table.quantity == name
        observed, predicted = (np.sqrt(np.mean(v[rows] ** 2)) for v in (table.value, y))
        ratio[rows] = predicted / observed if observed > 0.0 and predicted > 0.0 else 1.0
    return ratio


def _errors(quantity: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of an instrument over the noise, (rows,), by their words: a gain, and an offset where it is another pattern than the gain, of
    :data:`GAIN` of each quantity's values.
    """
    out = {}
    for name in dict.fromkeys(quantity.tolist()):
        rows = quantity == name
        size = np.sqrt(np.mean(y[rows] ** 2)) if np.all(np.isfinite(y)) else 0.0
        out[f"A gain error of {100 * GAIN:g} % in {name}"] = np.where(rows, GAIN * y / sigma, 0.0)
        if np.ptp(y[rows]) > 0.1 * size:
            out[f"An offset of {100 * GAIN:g} % of the root mean square in {name}"] = np.where(rows, GAIN * size / sigma, 0.0)
    return out


def _into(S: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Shifts of the estimates over their posterior sds, (I + S^T S)^-1 S^T d / sd, by an error d of the data; 0 where the misfit that remains
    would be noticed: more than two standard deviations of the chi-square.
    """
    left, value, right = np.linalg.svd(np.vstack([S, np.zeros((S.shape[1], S.shape[1]))]), full_matrices=False)  # S may have fewer rows than columns
    shift = right.T @ (value / (1.0 + value**2) * (left[: len(d)].T @ d))
    sd = np.sqrt(np.sum(right.T**2 / (1.0 + value**2), axis=1))
    rest = d - S @ shift
    return np.where(rest @ rest < 2.0 * np.sqrt(2.0 * len(d)), shift / sd, 0.0)


def _absorbed(unseen: list[dict[str, np.ndarray]], names: list[str]) -> list[str]:
    """Sentences on errors that move an unknown by more than half its posterior sd and are not noticed, at the median of the draws."""
    out = []
    for what in dict.fromkeys(k for each in unseen for k in each):
        shift = np.median([np.abs(each.get(what, np.zeros(len(names)))) for each in unseen], axis=0)
        moved = [i for i in np.argsort(-shift)[:3] if shift[i] > 0.5]
        if moved:
            out.append(f"{what} would go unseen into " + ", ".join(f"{names[i]} ({shift[i]:.1f} of its posterior sd)" for i in moved) + ".")
    return out


def _power(p: Parameter) -> float:
    """Derivative d ln p / du at the prior's centre, for positive parameters, whose combinations are written as powers; 0 for the others."""
    _, width, logarithmic = p.prior.normal
    if logarithmic:
        return 1.0 / width
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
    """A direction in words: a product of powers if all its members are positive parameters, else a sum in prior sds."""
    big = [i for i in np.argsort(-np.abs(v)) if abs(v[i]) > 0.3 * np.abs(v).max()]
    v = v * np.sign(v[big[0]])
    if len(big) == 1:
        return names[big[0]]
    if np.any(scale[big] == 0.0):
        return " ".join(f"{'-+'[int(v[i] > 0)]} {abs(v[i]):.1f} {names[i]}" for i in big).removeprefix("+ ") + " (in prior sds)"
    power = v * scale / np.max(np.abs(v[big] * scale[big]))
    text = ""
    for i in big:
        exponent = f"{abs(power[i]):.1g}"
        text += (" * " if power[i] > 0 else " / ") + names[i] + ("" if exponent == "1" else f"^{exponent}")
    return text.removeprefix(" * ")


def _symmetric(std: Standard, draws: np.ndarray) -> list[str]:
    """Axial unknowns with y(t) = y(-t) within a thousandth of the noise at every draw; several are also tested with all signs changed together."""
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
