"""An inference problem: a model with priors and fixed values settled, its noise, and the map between named values and unconstrained vectors.

    problem = Problem.of(model, noise=..., priors=..., fixed=...)

The unconstrained vector x holds the unknowns in the order of ``problem.free``: logarithms of positive ones, logits of bounded ones, double
angles in radians, and of a field its standard normal z. PyMC's default transforms are the same, so x is also its value variables joined.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hmminfer.errors import HmmInferError
from hmminfer.inference import discrepancy
from hmminfer.inference import noise as noises
from hmminfer.inference.homogenisation import known_error
from hmminfer.system.likelihood import NORMAL, POISSON, STUDENT, draw, log_density
from hmminfer.system.model import Model
from hmminfer.system.parameters import Field, Parameter, with_prior, wrap_axial
from hmminfer.system.priors import Prior
from hmminfer.system.tables import Table

BUILT = "built_of"  # name of the number in a built model that tells of which problem it is
REACH = 30.0  # of an unbounded number: a logarithm or logit that far from the median is a value at its bound, up to 1e-13


@dataclass(frozen=True, eq=False)
class Problem:
    """A model with its priors and fixed values settled, and a likelihood.

    ``sd`` (rows,): known noise; ``noise``: its unknown scales, one for each quantity (empty if it is known); ``extra``: unknowns of the
    discrepancy; ``law``: that of a datum given its prediction, see :mod:`hmminfer.system.likelihood`; ``tail``: its own unknown, if it has one;
    ``choices``: the arguments of :meth:`of`.
    """

    model: Model
    table: Table
    sd: np.ndarray
    noise: tuple[Parameter, ...]
    extra: tuple[Parameter, ...]
    law: str = NORMAL
    tail: tuple[Parameter, ...] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Model,
        noise: Any = None,
        priors: Mapping[str, Prior | str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        discrepancy_kind: str = "none",
    ) -> Problem:
        """Problem of a model with data; the arguments are those of :func:`hmminfer.fit`."""
        if not isinstance(model, Model):
            raise HmmInferError(_no_model(model))
        if model.table is None:
            raise HmmInferError(f"Model '{model.name}' ({model.experiment}) has no data; build it from a table or a dataset to fit it.")
        table = model.table
        both = set(priors or {}) & set(fixed or {})
        if both:
            raise HmmInferError(f"{', '.join(sorted(both))} cannot be fixed and have a prior; choose one.")
        if model.likelihood == POISSON and (noise is not None or discrepancy_kind != "none"):
            raise HmmInferError("Counts vary as their expectation says (Poisson); leave out noise and discrepancy.")
        if model.simulated and noise is None and not np.all(np.isfinite(table.sd)):
            raise HmmInferError(
                f"Line {table.line[~np.isfinite(table.sd)][0]} has no sd, which is the tolerance of a simulated value; fill the column in, or give noise "
                "as a number or one for each quantity."
            )
        sd, scales = noises.settled(table, noise)
        heavy = noises.student(noise)[0]
        law = STUDENT if heavy else model.likelihood
        tail: tuple[Parameter, ...] = (noises.TAIL,) if heavy else ()
        extra = discrepancy.parameters(discrepancy_kind, table)
        added = {p.name: p for p in (*scales, *extra, *tail)}
        model = model.with_priors({k: v for k, v in (priors or {}).items() if k not in added})
        held: dict[str, Any] = dict(model.fixed)
        for name, value in (fixed or {}).items():
            if name in added:
                raise HmmInferError(f"{name} has a prior and cannot be fixed; give noise or discrepancy as numbers instead.")
            held[name] = model.parameters[name].held(value)
        model = replace(model, fixed=held)
        scales, extra, tail = (tuple(_with_prior(p, (priors or {}).get(p.name)) for p in group) for group in (scales, extra, tail))
        for p in model.parameters:
            if p.name not in held:
                _refuse_outside(p)
        model.check_accuracy(model.vector(), "the prior medians")
        if discrepancy_kind == "homogenisation":
            error = known_error(model)
            model, sd = error.applied_to(model), error.widened(sd, table)
        choices = {"noise": noise, "priors": priors, "fixed": fixed, "discrepancy": discrepancy_kind}
        problem = cls(model, table, sd, scales, extra, law, tail, {k: v for k, v in choices.items() if v})
        if not problem.free:
            raise HmmInferError(f"Nothing is left to infer: {', '.join(model.parameters.names)} are all fixed; free one, with a prior of its own.")
        return problem

    @property
    def free(self) -> tuple[Parameter, ...]:
        """Unknowns in the order of the random variables: the model's, then hyperparameters of fields, noise, discrepancy."""
        out: list[Parameter] = []
        for p in self.model.parameters:
            if p.name not in self.model.fixed:
                out.extend([*p.hyperparameters, p] if isinstance(p, Field) else [p])
        return (*out, *self.noise, *self.extra, *self.tail)

    def group_of(self, group: tuple[Parameter, ...]) -> np.ndarray:
        names = list(dict.fromkeys(self.table.quantity.tolist()))
        return np.array([names.index(q) for q in self.table.quantity])

    def sigma_of(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Noise sd (..., rows) for named draws."""
        sigma = self.sd
        if self.noise:
            sigma = sigma * np.stack([draws[p.name] for p in self.noise], axis=-1)[..., self.group_of(self.noise)]
        if self.extra:
            tau = np.stack([draws[p.name] for p in self.extra], axis=-1)[..., self.group_of(self.extra)]
            sigma = np.sqrt(sigma**2 + (tau * discrepancy.scale(self.table)) ** 2)
        return sigma

    def log_likelihood(self, y: np.ndarray, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log density of each datum (..., rows) for predictions y without noise and named draws."""
        return log_density(self.law, self.table.value, y, self.sigma_of(draws), self._nu(draws))

    def replicated(self, rng: np.random.Generator, y: np.ndarray, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Random data (..., rows) for predictions y without noise and named draws."""
        return draw(self.law, rng, y, self.sigma_of(draws), self._nu(draws))

    def _nu(self, draws: Mapping[str, np.ndarray]) -> Any:
        return draws[self.tail[0].name] if self.tail else None

    def why_unsolved(self, draw: Mapping[str, Any]) -> str:
        """Explain a failed solve, as part of a message: lists each parameter, fixed ones too, whose reset to its prior median makes the model
        solvable, and all values.
        """
        model = self.model
        values = {p.name: model.fixed[p.name] if p.name in model.fixed else draw[p.name] for p in model.parameters}
        causes = []
        if not np.all(np.isfinite(model.kernel(model.parameters.vector(values)))):
            for name in values:
                moved = model.parameters.vector({k: v for k, v in values.items() if k != name})
                if np.all(np.isfinite(model.kernel(moved))):
                    causes.append(f"the fixed {name}" if name in model.fixed else name)
        because = f" because of {' or '.join(causes)}" if causes else ""
        shown = ", ".join(f"{k} = {np.array2string(np.asarray(v), precision=4)}" for k, v in values.items())
        needs = f" (it may need {model.advice})" if model.advice else ""
        return f"{because}, for example at {shown}{needs}"

    # --- between unconstrained vectors x and named draws

    def prior_draws(self, rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
        """Named prior draws of every unknown; a field appears as its coefficients."""
        out: dict[str, np.ndarray] = {}
        for p in self.free:
            if isinstance(p, Field):
                z = rng.standard_normal((size, p.length))
                amplitude, length = (out[h.name] for h in p.hyperparameters)
                out[p.name] = z * p.scales(amplitude, length)
            else:
                draws = p.prior.sample(rng, size * p.length).reshape(size, p.length)
                out[p.name] = draws[:, 0] if p.size is None else draws
        return out

    def aligned(self, draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Draws with the offsets, gains and rigid motions in them replaced by those that fit the data best, given the other values.

        They are linear, so that no search is needed for them, and their prior may be wide.
        """
        model = self.model
        free = [n for n in model.nuisances if n.parameter.name not in model.fixed]
        if not free:
            return draws
        names = [p.name for p in model.parameters if p.name in draws]
        theta = model.vector({k: draws[k] for k in names}, strict=False)
        where = model.parameters.slices()
        at = [where[n.parameter.name].start for n in free]
        theta[:, at] = 0.0
        width = np.array([n.parameter.prior.sd for n in free])
        out = {k: np.array(v) for k, v in draws.items()}
        for i, f in enumerate(model.batch(theta, strict=False)):
            if np.all(np.isfinite(f)):
                slopes = np.stack([n.column * f if n.relative else n.column for n in free], axis=1) * width / self.sd[:, None]
                weights = np.linalg.solve(slopes.T @ slopes + np.eye(len(free)), slopes.T @ ((self.table.value - f) / self.sd)) * width
                for n, w in zip(free, weights, strict=True):
                    out[n.parameter.name][i] = w
        return out

    def unconstrain(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Unconstrained vectors (..., dim) of named draws (...), in the order of PyMC's value variables."""
        parts = []
        for p in self.free:
            x = np.asarray(draws[p.name], dtype=float)
            if isinstance(p, Field):
                amplitude, length = (np.asarray(draws[h.name]) for h in p.hyperparameters)
                x = x / p.scales(amplitude, length)
            elif p.axial:
                x = np.radians(2.0 * x)
            else:
                x = p.prior.to_unconstrained(x)
            parts.append(x[..., None] if p.size is None else x)
        return np.concatenate(parts, axis=-1)

    def constrain(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Named values in users' units of unconstrained vectors (..., dim)."""
        out: dict[str, np.ndarray] = {}
        start = 0
        for p in self.free:
            part = x[..., start : start + p.length]
            start += p.length
            if isinstance(p, Field):
                amplitude, length = (out[h.name] for h in p.hyperparameters)
                out[p.name] = part * p.scales(np.asarray(amplitude), np.asarray(length))
                continue
            value = wrap_axial(part) if p.axial else p.prior.from_unconstrained(part)
            out[p.name] = value[..., 0] if p.size is None else value
        return out

    def positions(self) -> dict[str, slice]:
        """Slice of each unknown in the unconstrained vector."""
        ends = np.cumsum([0, *(p.length for p in self.free)])
        return {p.name: slice(int(a), int(b)) for p, a, b in zip(self.free, ends[:-1], ends[1:], strict=True)}

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest unconstrained vector: the supports, less what rounding moves, and :data:`REACH` around the median of a bounded prior."""
        low, high = [], []
        for p in self.free:
            ends = np.array([-np.inf, np.inf])
            if not (p.axial or isinstance(p, Field)):
                bounds = p.prior.bounds
                if np.isfinite(bounds).any():
                    ends = float(p.prior.to_unconstrained(p.prior.centre)) + np.array([-REACH, REACH])
                for side, limit in enumerate((p.lower, p.upper)):
                    if bounds[0] < limit < bounds[1]:
                        ends[side] = p.prior.to_unconstrained(limit)
                margin = 1e-9 * np.maximum(1.0, np.abs(ends, where=np.isfinite(ends), out=np.zeros(2)))
                ends += np.array([1.0, -1.0]) * margin
            low += [ends[0]] * p.length
            high += [ends[1]] * p.length
        return np.array(low), np.array(high)

    def written(self) -> dict[str, Any]:
        """Priors of all unknowns, fixed values and noise, as text from which the same problem can be set up again."""
        law = [p for p in self.free if not (p.nuisance and p.size) and not isinstance(p, Field)]  # the others have the one law they can have
        units = {p.name: p.unit for p in self.model.parameters}
        fixed = {k: f"{float(v)!r} {units[k]}".rstrip() if np.ndim(v) == 0 else np.asarray(v).tolist() for k, v in self.model.fixed.items()}
        noise = None if self.model.likelihood == POISSON else noises.written(self.choices.get("noise"))
        return {"priors": {p.name: p.prior.text(p.unit) for p in law}, "fixed": fixed, "noise": noise}

    @property
    def fingerprint(self) -> int:
        """A number that differs between problems with other unknowns, priors, fixed values or noise."""
        return zlib.crc32(json.dumps([self.written(), [p.name for p in self.free]], default=str).encode())

    @property
    def fields(self) -> tuple[Field, ...]:
        """The unknown fields."""
        return tuple(p for p in self.free if isinstance(p, Field))

    def axial_positions(self) -> np.ndarray:
        """Mask of the entries of the unconstrained vector that are double angles."""
        return np.concatenate([np.full(p.length, p.axial and not isinstance(p, Field)) for p in self.free])


def _no_model(given: Any) -> str:
    """Sentence for what somebody takes for a model."""
    if (experiments := getattr(given, "EXPERIMENTS", None)) is not None:
        first, system = next(iter(experiments)), str(given.__name__).rpartition(".")[2]
        return f"{system} is a physical system with the experiments {', '.join(experiments)}; fit one: fit({system}.EXPERIMENTS.{first}.model(data))."
    if hasattr(given, "schema") and hasattr(given, "model"):
        return f"{given.name!r} is an experiment; give it data: fit(EXPERIMENTS.{given.name}.model('my.csv'))."
    if isinstance(given, str):
        return f"{given!r} is text; give a model: hmminfer.models.get('fibre_composite').EXPERIMENTS.coupons.model('my.csv')."
    return f"{type(given).__name__} is no model; build one from data: hmminfer.models.fibre_composite.EXPERIMENTS.coupons.model('my.csv')."


NEVER = 1e-4  # share of a prior outside the support of its parameter; a Normal that is not cut there holds 3e-5 on each side


def _refuse_outside(p: Parameter) -> None:
    """Raise an error if a prior that cannot be cut at the support of its parameter (see :class:`.Parameter`) reaches beyond it."""
    outside = 0.0 if isinstance(p, Field) or p.axial else p.prior.outside(p.lower, p.upper)
    if outside > NEVER:
        raise HmmInferError(
            f"The prior {p.prior} of '{p.name}' reaches outside its support [{p.lower:g}, {p.upper:g}] {p.unit}".rstrip()
            + f" ({outside:.1%} of it); give one inside, such as a LogNormal or Normal, which are cut there.".replace("%", " %")
        )


def _with_prior(p: Parameter, prior: Prior | str | None) -> Parameter:
    """A parameter with another prior, where one is given."""
    return p if prior is None else with_prior(p, prior)
