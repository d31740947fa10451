"""Parameters: names, units, supports and priors, and the map between named values and the flat vector of a kernel.

Priors are declared here as plain data; :mod:`hmminfer.inference.posterior` alone turns them into random variables.

An *axial* parameter is an angle known modulo pi. Users see it in degrees, in (-90, 90]; the vector holds the double angle
t = 2 theta in radians, which makes theta and theta + 180 degrees the same point.

A *field* parameter is a smooth random function on the macro domain. The vector holds its coefficients in a fixed basis; its amplitude
and length scale are further unknowns that scale the coefficients in front of the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from hmminfer import units
from hmminfer.errors import HmmInferError, unknown
from hmminfer.system.foreign_priors import as_prior
from hmminfer.system.prior_base import computable
from hmminfer.system.priors import Axial, HalfNormal, LogNormal, Prior

FIELD_PARTS, LENGTH_UNIT = ("amplitude", "length_scale"), "mm"
AMPLITUDE, LENGTH_SCALE = HalfNormal(10.0), LogNormal(30.0, 0.5)  # default priors of a field


@dataclass(frozen=True)
class Parameter:
    """One hidden quantity.

    Parameters
    ----------
    name, unit, description : as users see them; an axial angle is in "deg".
    prior : in ``unit``; a Normal, LogNormal or Uniform that reaches beyond the support (four standard deviations) is cut there.
    lower, upper : physical support; a value outside is an error.
    axial : the vector holds 2 theta in radians.
    symbol : short mathematical name for figures.
    size : number of independent entries (zones); None for a single number.
    nuisance : True for the weights of an error's modes: identifiability of the other parameters is computed with these integrated out.
    """

    name: str
    unit: str
    prior: Prior
    description: str = ""
    lower: float = -math.inf
    upper: float = math.inf
    symbol: str = ""
    axial: bool = False
    size: int | None = None
    nuisance: bool = False

    def __post_init__(self) -> None:
        low, high = self.prior.box(4.0)
        if self.lower <= low and high <= self.upper:
            return
        lower, upper = self.bounds
        if not lower < upper:
            raise HmmInferError(
                f"The prior {self.prior} of '{self.name}' lies outside its support [{self.lower:g}, {self.upper:g}] {self.unit}".rstrip()
                + "; give one inside."
            )
        object.__setattr__(self, "prior", self.prior.within(lower, upper))

    @property
    def length(self) -> int:
        """Entries in the vector."""
        return 1 if self.size is None else self.size

    @property
    def per_unit(self) -> float:
        """Vector entry of one unit: pi / 90 for an axial angle in degrees, else 1."""
        return math.pi / 90.0 if self.axial else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Range of possible values: of the support and the prior's."""
        return max(self.lower, self.prior.bounds[0]), min(self.upper, self.prior.bounds[1])

    def to_vector(self, value: Any, strict: bool = True) -> np.ndarray:
        """Vector entries (..., length) of a user's value: number (for every entry), "3.5 GPa", or array with draws in front.

        A value outside the support is an error, or NaN if not ``strict``.
        """
        x = self._numbers(value)
        if np.any(np.isnan(x)):
            raise HmmInferError(f"Parameter '{self.name}' has a value that is not a number; give it in {self.unit or 'plain numbers'}.")
        outside = (x < self.lower) | (x > self.upper)
        if not strict:
            x = np.where(outside, np.nan, x)
        elif np.any(outside):
            value_outside = f"{x[outside].flat[0]:g} {self.unit}".rstrip()
            raise HmmInferError(
                f"Parameter '{self.name}' = {value_outside} is outside its support [{self.lower:g}, {self.upper:g}]; give a value inside."
            )
        if self.size is None:
            x = x[..., None]
        elif x.ndim == 0:  # one number says the same of every entry
            x = np.full(self.size, x)
        elif x.shape[-1] != self.size:
            raise HmmInferError(
                f"Parameter '{self.name}' needs {self.size} values, got shape {x.shape}; give one for each of the {self.size}, or one for all."
            )
        return np.radians(2.0 * x) if self.axial else x

    @property
    def middle(self) -> np.ndarray:
        """Vector entries (length,) of the prior's median; of a field zeros."""
        return np.full(self.length, self.prior.centre) * self.per_unit

    def held(self, value: Any) -> Any:
        """User's value at which the parameter is held: a number, or an array of its entries where these differ. Draws are refused."""
        entries = np.asarray(self.from_vector(self.to_vector(value)))
        if entries.ndim > (self.size is not None):
            given = ", ".join(f"{x:g}" for x in entries.ravel()[:4])
            asked = f", {'.'.join(given.split(', '))} if a decimal comma was meant" if self.size is None and entries.size == 2 else ""
            what = "one number" if self.size is None else f"one number, or {self.size}"
            raise HmmInferError(
                f"Parameter '{self.name}' is held at {what}, and {entries.size} are given ({given}); write one, with a decimal point{asked}."
            )
        one = self.size is None or (not isinstance(self, Field) and np.all(entries == entries[0]))
        return float(entries.ravel()[0]) if one else entries

    def _numbers(self, value: Any) -> np.ndarray:
        """A user's value in ``unit``, as an array."""
        if isinstance(value, str):
            numbers = np.array(units.parse(value, self.unit)) if self.size is None else units.parse_list(value, self.unit)
            return numbers[0] if numbers.shape == (1,) else numbers
        try:
            x = np.asarray(value)
            if x.dtype.kind not in "iuf":  # true is no number, and a text among numbers has a unit that would be lost
                raise TypeError
            return x.astype(float)
        except (TypeError, ValueError):
            shown = units.shown(str(value))
            raise HmmInferError(
                f"Parameter '{self.name}' is given as {shown}, which is not a number; give it in {self.unit or 'plain numbers'}."
            ) from None

    def from_vector(self, x: np.ndarray) -> np.ndarray:
        """User's value of vector entries (..., length)."""
        x = wrap_axial(x) if self.axial else np.asarray(x)
        return x[..., 0] if self.size is None else x


@dataclass(frozen=True)
class Field(Parameter):
    """A zero-mean Gaussian process on the macro domain, through fixed basis functions.

    Coefficients beta_k = amplitude sqrt(S(omega_k; length_scale)) z_k with z_k ~ Normal(0, 1) and S the spectral density of a
    Matern-5/2 covariance in two dimensions (Hilbert-space approximation; Solin & Sarkka 2020, Stat. Comput. 30:419). A field on an axial
    angle is added to its double angle; ``amplitude`` is then in degrees of theta.

    Parameters
    ----------
    frequencies : (size, 2) angular frequencies of the basis functions, 1 / length.
    amplitude, length_scale : priors of the pointwise standard deviation (``unit``) and of the correlation length (mm).
    """

    frequencies: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)), compare=False)
    amplitude: Prior = AMPLITUDE
    length_scale: Prior = LENGTH_SCALE

    @property
    def per_unit(self) -> float:
        """Always 1: coefficients enter the vector unchanged."""
        return 1.0

    def to_vector(self, value: Any, strict: bool = True) -> np.ndarray:
        x = self._numbers(value)
        if x.ndim == 0 or x.shape[-1] != self.size:
            raise HmmInferError(f"Field '{self.name}' takes its {self.size} coefficients, got shape {x.shape}.")
        if np.any(np.isnan(x)):
            raise HmmInferError(f"Field '{self.name}' has coefficients that are not numbers; give {self.size} numbers.")
        return x

    @property
    def middle(self) -> np.ndarray:
        return np.zeros(self.length)

    def from_vector(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x)

    @property
    def hyperparameters(self) -> tuple[Parameter, Parameter]:
        """Amplitude and correlation length as unknowns of their own."""
        return (
            Parameter(f"{self.name}_amplitude", self.unit, self.amplitude, f"standard deviation of {self.name}", 0.0),
            Parameter(f"{self.name}_length", LENGTH_UNIT, self.length_scale, f"correlation length of {self.name}", 0.0),
        )

    def scales(self, amplitude: Any, length_scale: Any, sqrt: Any = np.sqrt) -> Any:
        """Prior standard deviations (..., size) of the coefficients; works for numbers, arrays and scalar symbolic variables.

        Matern-5/2 spectral density in 2-D: S = 10 pi sigma^2 5^(5/2) / l^5 (5 / l^2 + |omega|^2)^(-7/2).
        """
        omega2 = np.sum(self.frequencies**2, axis=1)
        if isinstance(amplitude, np.ndarray):
            amplitude, length_scale = amplitude[..., None], np.asarray(length_scale)[..., None]
        sigma = amplitude * (2.0 * np.pi / 180.0) if self.axial else amplitude
        density = 10.0 * np.pi * 5.0**2.5 / length_scale**5 * (5.0 / length_scale**2 + omega2) ** (-3.5)
        return sigma * sqrt(density)


def wrap_axial(t: Any) -> np.ndarray:
    """theta = t / 2 in degrees, in (-90, 90], from a double angle in radians."""
    return -(np.mod(np.degrees(-np.asarray(t)) + 180.0, 360.0) - 180.0) / 2.0


@dataclass(frozen=True)
class ParameterSet:
    """Parameters in the order of a kernel's vector."""

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise HmmInferError(f"Parameter names repeat: {', '.join(n for n in set(names) if names.count(n) > 1)}.")

    def __iter__(self):
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        for p in self.parameters:
            if p.name == name:
                return p
        raise unknown("parameter", name, self.names)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(p.name for p in self.parameters)

    @property
    def names(self) -> list[str]:
        return [p.name for p in self.parameters]

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(p.length for p in self.parameters)

    def slices(self) -> dict[str, slice]:
        """Slice of each parameter in the vector."""
        out, start = {}, 0
        for p in self.parameters:
            out[p.name] = slice(start, start + p.length)
            start += p.length
        return out

    def labels(self) -> list[str]:
        """One label for each entry of the vector."""
        return [p.name if p.size is None else f"{p.name}[{i}]" for p in self.parameters for i in range(p.length)]

    def vector(self, values: Mapping[str, Any], strict: bool = True) -> np.ndarray:
        """Vector(s) (..., size) of named values; a name that is not given takes its prior's median (a field: zero).

        A value outside its support is an error, or NaN if not ``strict``.
        """
        for name in values.keys() - self._known:
            raise unknown("parameter", name, self.names)
        parts = [p.to_vector(values[p.name], strict) if p.name in values else p.middle for p in self.parameters]
        try:
            lead = np.broadcast_shapes(*(x.shape[:-1] for x in parts))
        except ValueError:
            counts = [f"{p.name} {x.shape[:-1]}" for p, x in zip(self.parameters, parts, strict=True) if x.ndim > 1]
            raise HmmInferError(f"The draws given do not match: {', '.join(counts)}; give as many of each, or one.") from None
        return np.concatenate([np.broadcast_to(x, lead + x.shape[-1:]) for x in parts] if lead else parts, axis=-1)

    def values(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Named values of vector(s) (..., size)."""
        return {name: self[name].from_vector(np.asarray(vector)[..., s]) for name, s in self.slices().items()}

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Prior draws of the vector, shape (size, self.size)."""
        parts = []
        for p in self.parameters:
            if isinstance(p, Field):
                scales = p.scales(p.amplitude.sample(rng, size), p.length_scale.sample(rng, size))
                parts.append(scales * rng.standard_normal((size, p.length)))
            else:
                draws = p.prior.sample(rng, size * p.length).reshape(size, p.length)
                parts.append(np.radians(2.0 * draws) if p.axial else draws)
        return np.concatenate(parts, axis=1)

    def replaced(self, priors: Mapping[str, Prior | str]) -> ParameterSet:
        """The same set with other priors, by name; a field's amplitude and length are named ``FIELD_amplitude`` and ``FIELD_length``."""
        new = {p.name: p for p in self.parameters}
        hyper = {
            h.name: (p.name, part) for p in self.parameters if isinstance(p, Field) for h, part in zip(p.hyperparameters, FIELD_PARTS, strict=True)
        }
        for name, prior in priors.items():
            if name in hyper:
                owner, part = hyper[name]
                unit = self[owner].unit if part == "amplitude" else LENGTH_UNIT
                change: dict[str, Any] = {part: as_prior(prior, name, unit)}
                new[owner] = replace(new[owner], **change)
                continue
            if name not in new:
                raise unknown("parameter", name, [*new, *hyper])
            new[name] = with_prior(new[name], prior)
        return ParameterSet(tuple(new.values()))


def with_prior(p: Parameter, prior: Any) -> Parameter:
    """A parameter with another prior; one that cannot be computed with is refused."""
    law = as_prior(prior, p.name, p.unit)
    if p.axial and not isinstance(law, Axial):
        raise HmmInferError(f"'{p.name}' is an axial angle and takes an Axial(mean, concentration) prior; or fix it to a value.")
    try:
        new = replace(p, prior=law)
        sound = p.axial or computable(new.prior, p.lower, p.upper)
    except ArithmeticError:
        sound = False
    if not sound:
        raise HmmInferError(
            f"The prior {law} of '{p.name}' cannot be computed with: its middle must lie within [{p.lower:g}, {p.upper:g}], and its width be finite and "
            "comparable to it."
        )
    return new


def flat(parameters: Iterable[Parameter | Iterable[Parameter]]) -> ParameterSet:
    """One set from parameters and groups of parameters."""
    out: list[Parameter] = []
    for p in parameters:
        out.extend([p] if isinstance(p, Parameter) else p)
    return ParameterSet(tuple(out))
