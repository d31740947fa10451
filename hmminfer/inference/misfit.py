"""Distance of data from a fitted model, what the residuals look like, and what to do about it; the same sentences before and after sampling.

    chi2 = sum ((observed - y) / sigma)^2 over the rows, at the draw where it is least

p is the share of draws whose replicated data lie further from their y than the observed data do. Infer the noise is advised only for residuals that
look like noise, and never while a parameter is driven to a bound or far from its prior: more noise would hide what drives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from hmminfer.inference.modes import Mode
from hmminfer.system.parameters import Field

FEW = 400  # draws below which a histogram of 30 bins tells nothing of its ends
FAR = 2.0  # prior sds from the prior median, from which a parameter is driven
EDGE = 0.01  # of the way from the prior median to a bound
NOISE = 10.0  # times the stated sd, above which a scatter is no noise that was stated too small
MISSED = 100.0  # sds by which even a model error does not miss: a wrong unit, sd or label
REPLICATES = 1000  # draws that are enough for a p-value


@dataclass(frozen=True)
class Misfit:
    """``per_row``: chi2 over the number of rows, ``quantities``: by quantity; ``p``: see this module; ``smooth``: for quantities whose residuals go
    together with those of neighbours, the correlation and the coordinates; ``tilted``: those of them that an offset and a slope explain.
    """

    per_row: float
    p: float
    quantities: Mapping[str, float]
    smooth: Mapping[str, tuple[float, str]]
    tilted: tuple[str, ...] = ()

    @classmethod
    def of(cls, observed: Mapping[Any, xr.DataArray], clean: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray]) -> Misfit:
        """Misfit of ``observed`` data for predictions without (``clean``) and with noise (``drawn``), both (draws, rows) for each quantity."""
        thin = max(1, -(-len(next(iter(clean.values()))) // REPLICATES))
        solved = np.logical_and.reduce([np.isfinite(v[::thin]).all(axis=1) for v in clean.values()])
        squares: dict[str, np.ndarray] = {}
        scores: dict[str, np.ndarray] = {}
        replicated = np.zeros(int(solved.sum()))
        for name in clean:
            y, noisy = clean[name][::thin][solved], drawn[name][::thin][solved]
            sigma = np.sqrt(np.mean((noisy - y) ** 2, axis=0))
            sigma = np.where(sigma > 0.0, sigma, np.min(sigma, where=sigma > 0.0, initial=np.inf))  # all counts drawn may be 0
            scores[name] = (observed[name].values - y) / sigma
            squares[name] = np.sum(scores[name] ** 2, axis=1)
            replicated += np.sum(((noisy - y) / sigma) ** 2, axis=1)
        total = np.sum(list(squares.values()), axis=0)
        if not total.size:
            return cls(np.nan, 0.0, {}, {})
        best = int(np.argmin(total))
        rows = {name: observed[name].size for name in clean}
        smooth, tilted = {}, []
        for name in clean:
            z = scores[name][best]
            places, names = _places(observed[name])
            together = _together(z, places) if names else 0.0
            if together > max(0.5, 4.0 / np.sqrt(len(z))) and np.mean(z**2) > 0.5:
                smooth[name] = (together, ", ".join(names))
                tilted += [name] if _explained(z, places) > 0.7 else []
        quantities = {name: float(squares[name][best]) / rows[name] for name in clean}
        return cls(float(total[best]) / sum(rows.values()), float(np.mean(replicated >= total)), quantities, smooth, tuple(tilted))

    @property
    def ok(self) -> bool:
        """True if the noise explains the misfit."""
        return self.p > 0.05

    @property
    def pattern(self) -> str:
        """Sentence on residuals that the noise explains in their size, but not in their order; "" if there are none."""
        if not self.ok or not self.smooth:
            return ""
        name, (correlation, along) = max(self.smooth.items(), key=lambda item: item[1][0])
        return (
            f"Residuals of {name} are smooth over {along} (neighbours correlate by {correlation:.2f}): the model misses something, and rows that "
            "err together count as independent, so that the intervals are too narrow. Correct the model, or the instrument; more noise does not help."
        )

    @property
    def value(self) -> str:
        """p-value and chi2, as printed."""
        return f"{self.p:.2f} (chi2 / rows = {self.per_row:.3g})"

    def advice(self, driven: Sequence[str] = ()) -> str:
        """Description of the residuals, and what to do; ``driven``: parameters at a bound or far from their priors, in words."""
        if self.ok:
            return "The misfit is what the noise explains."
        if not self.quantities:
            return "No draw could be solved: see the settings and priors."
        off = [name for name, v in sorted(self.quantities.items(), key=lambda i: -i[1]) if v > max(2.0, 0.02 * max(self.quantities.values()))]
        off = off or [max(self.quantities, key=lambda name: self.quantities[name])]
        worst = np.sqrt(self.quantities[off[0]])
        some = len(off) < len(self.quantities)
        text = f"{', '.join(off)} {'misses' if len(off) == 1 else 'miss'} the model by {worst:.3g} sd"
        text += (" and the other quantities do not" if some else "") + ": "
        seen = [name for name in off if name in self.smooth]
        if worst > (MISSED if seen else NOISE):
            text += "no noise does that. Look at the unit, the sd and the labels"
        elif seen:
            along = self.smooth[seen[0]]
            text += f"the residuals are smooth over {along[1]} (neighbours correlate by {along[0]:.2f}), so that they are no noise. "
            text += "An offset and a slope explain them: a" if seen[0] in self.tilted else "A"
            text += " zero point, drift or rigid motion of the instrument, a load or boundary other than assumed, or a model error. Correct it"
            text += "" if driven else ', or allow for it: discrepancy "extra"'
        elif some:
            text += f"look at the unit, sd and calibration of {' and '.join(off)}"
        elif driven:
            text += "look at units, sds, labels and at what the model leaves out"
        else:
            text += "scattered like noise that is larger than stated. Correct the sd, or infer the noise"
        if driven:
            text += f". Do not infer the noise: it would hide what drives {', '.join(driven)}"
        return text + "."


def driven(x: np.ndarray, before: np.ndarray, bounds: Sequence[float] = ()) -> tuple[float, str]:
    """Prior sds by which the mean of draws x lies from the median of the prior draws ``before``, in the logarithm if that is more; and the bound
    ("lower", "upper") at which x lies or piles up, "" for neither.
    """
    middle = np.median(before)
    z = (x.mean() - middle) / before.std()
    if before.min() > 0 and x.mean() > 0:
        z = max(z, (np.log(x.mean()) - np.median(np.log(before))) / np.log(before).std(), key=abs)
    for name, bound, nearest in zip(("lower", "upper"), bounds, (x.min(), x.max()), strict=False):
        way = abs(middle - bound)
        if np.isfinite(bound) and (abs(x.mean() - bound) < EDGE * way or (abs(nearest - bound) < 0.1 * way and _piled(x, before) == name)):
            return float(z), name
    return float(z), "" if len(bounds) else _piled(x, before)


def _piled(x: np.ndarray, before: np.ndarray) -> str:
    """End of the range ("lower", "upper") at which the density is within a factor of two of its peak and the prior's is not; "" for
    neither. Two standard errors are added to the prior's count, because a parameter that the data do not inform has the prior's shape.
    """
    if x.size < FEW:
        return ""
    now, then = (np.histogram(v, bins=30)[0] for v in (x, before))
    for name, i in (("lower", 0), ("upper", -1)):
        if now[i] > 0.5 * now.max() and not then[i] + 2.0 * np.sqrt(then[i]) > 0.5 * then.max():
            return name
    return ""


def at_the_mode(problem: Any, found: Sequence[Mode]) -> str:
    """The misfit at the modes, in one sentence, before the posterior is sampled."""
    rng = np.random.default_rng(0)
    prior, names, values = problem.prior_draws(rng, 500), [], problem.constrain(np.array([m.x for m in found]))
    for p in problem.free:
        if p.size is None and not p.axial and not isinstance(p, Field):
            z, edge = driven(values[p.name][:1], prior[p.name], p.bounds)
            names += [f"{p.name} ({values[p.name][0]:.3g} {p.unit}".rstrip() + ")"] if abs(z) >= FAR or edge else []
    model, table = problem.model, problem.table
    theta = model.vector({p.name: values[p.name] for p in model.parameters if p.name in values})
    many = -(-REPLICATES // len(found))
    y = np.repeat(model.batch(theta, strict=False), many, axis=0)
    replicated = problem.replicated(rng, y, {k: np.repeat(v, many, axis=0) for k, v in values.items()})
    clean, drawn = (model.to_dataset(v, ["draw"]) for v in (y, replicated))
    found_ = Misfit.of(model.to_dataset(table.value), *({k: v.values for k, v in d.data_vars.items()} for d in (clean, drawn)))
    return f"At the mode, chi2 p-value {found_.value}: {found_.advice(names)}"


def _places(values: xr.DataArray) -> tuple[np.ndarray, list[str]]:
    """Coordinates of the rows of a quantity that vary (rows, coordinates), each over its range, and their names."""
    columns, names = [], []
    for key, c in values.coords.items():
        v = c.values
        if key not in ("row", "line") and v.ndim == 1 and v.dtype.kind in "if" and np.isfinite(v).all() and np.ptp(v) > 0:
            columns.append((v - v.min()) / np.ptp(v))
            names.append(str(key).removeprefix(f"{values.name}_"))
    return np.array(columns).T, names


def _together(z: np.ndarray, places: np.ndarray) -> float:
    """Correlation about zero of residuals with that of the nearest other row."""
    if len(z) < 8:
        return 0.0
    near = cKDTree(places).query(places, 2)[1]
    other = np.where(near[:, 0] == np.arange(len(z)), near[:, 1], near[:, 0])
    return float(np.mean(z * z[other]) / np.sqrt(np.mean(z**2) * np.mean(z[other] ** 2)))


def _explained(z: np.ndarray, places: np.ndarray) -> float:
    """Share of the sum of squares that an offset and a slope over the coordinates explain."""
    a = np.column_stack([np.ones(len(z)), places])
    left = z - a @ np.linalg.lstsq(a, z, rcond=None)[0]
    return 1.0 - float(left @ left) / float(z @ z)
