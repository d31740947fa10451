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
from typing import Any

import numpy as np

from hmminfer import units
from hmminfer.errors import HmmInferError, abridged, unknown
from hmminfer.system.priors import Axial, HalfNormal, LogNormal, Prior, parse_prior

FIELD_PARTS, LENGTH_UNIT = ("amplitude", "length_scale"), "mm"
AMPLITUDE, LENGTH_SCALE = HalfNormal(10.0), LogNormal(30.0, 0.5)  # default priors of a field


@dataclass(frozen=True)
class Parameter:
    """One hidden quantity.

    Parameters
    ----------
    name, unit, description : as users see them; an axial angle is in "deg".
    prior : in ``unit``.
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

    @property
    def length(self) -> int:
        """Entries in the vector."""
        return 1 if self.size is None else self.size

    @property
    def per_unit(self) -> float:
        """Vector entry of one unit: pi / 90 for an axial angle in degrees, else 1."""
        return math.pi / 90.0 if self.axial else 1.0

    def to_vector(self, value: Any) -> np.ndarray:
        """Vector entries (..., length) of a user's value: number (for every entry), "3.5 GPa", or array with draws in front."""
        x = _numbers(self, units.parse(value, self.unit) if isinstance(value, str) else value)
        if np.any(np.isnan(x)):
            raise HmmInferError(f"Parameter '{self.name}' has a value that is not a number; give it in {self.unit or 'plain numbers'}.")
        outside = (x < self.lower) | (x > self.upper)
        if np.any(outside):
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

    def from_vector(self, x: np.ndarray) -> np.ndarray:
        """User's value of vector entries (..., length)."""
        x = wrap_axial(x) if self.axial else np.asarray(x)
        return x[..., 0] if self.size is None else x


def _numbers(parameter: Parameter, value: Any) -> np.ndarray:
    """A value as an array of floats; anything else is an error."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        kind = "its coefficients, which are numbers" if isinstance(parameter, Field) else "a number, text with a unit, or an array of numbers"
        raise HmmInferError(f"'{parameter.name}' is {abridged(value)}; give {kind}.") from None


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

    def to_vector(self, value: Any) -> np.ndarray:
        x = _numbers(self, value)
        if x.ndim == 0 or x.shape[-1] != self.size:
            raise HmmInferError(f"Field '{self.name}' takes its {self.size} coefficients, got shape {x.shape}.")
        if np.any(np.isnan(x)):
            raise HmmInferError(f"Field '{self.name}' has coefficients that are not numbers; give {self.size} numbers.")
        return x

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

    def vector(self, values: Mapping[str, Any]) -> np.ndarray:
        """Vector(s) (..., size) of named values; a name that is not given takes its prior's median (a field: zero)."""
        for name in values:
            self[name]
        parts = []
        for p in self.parameters:
            default: Any = np.zeros(p.length) if isinstance(p, Field) else p.prior.centre
            if p.size is not None and not isinstance(p, Field):
                default = np.full(p.size, default)
            parts.append(p.to_vector(values.get(p.name, default)))
        try:
            lead = np.broadcast_shapes(*(x.shape[:-1] for x in parts))
        except ValueError:
            counts = [f"{p.name} {x.shape[:-1]}" for p, x in zip(self.parameters, parts, strict=True) if x.ndim > 1]
            raise HmmInferError(f"The draws given do not match: {', '.join(counts)}; give as many of each, or one.") from None
        return np.concatenate([np.broadcast_to(x, lead + x.shape[-1:]) for x in parts], axis=-1)

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
                change: dict[str, Any] = {part: parse_prior(prior, unit) if isinstance(prior, str) else prior}
                new[owner] = replace(new[owner], **change)
                continue
            if name not in new:
                raise unknown("parameter", name, [*new, *hyper])
            p = new[name]
            new[name] = replace(p, prior=parse_prior(prior, p.unit) if isinstance(prior, str) else prior)
            if p.axial and not isinstance(new[name].prior, Axial):
                raise HmmInferError(f"'{name}' is an axial angle and takes an Axial(mean, concentration) prior; or fix it to a value.")
        return ParameterSet(tuple(new.values()))


def flat(parameters: Iterable[Parameter | Iterable[Parameter]]) -> ParameterSet:
    """One set from parameters and groups of parameters."""
    out: list[Parameter] = []
    for p in parameters:
        out.extend([p] if isinstance(p, Parameter) else p)
    return ParameterSet(tuple(out))
