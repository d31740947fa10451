"""Priors as plain data: each class describes itself, so the rest of the package needs no list of them.

A prior provides its bounds, its quantiles, its log density and the transform to the unbounded number that samplers use. Tables, samplers
without gradient, the identifiability report and data files use these methods. Only :mod:`hmminfer.inference.posterior` maps a prior to PyMC:
a new prior is one class here, one line there, and its name in the two faces (CONTRIBUTING).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from scipy import special, stats

from hmminfer import units
from hmminfer.errors import HmmInferError, unknown
from hmminfer.system.prior_base import Prior


@dataclass(frozen=True)
class Normal(Prior):
    """Normal(mean, sd), truncated to [lower, upper]."""

    mean: float
    standard_deviation: float
    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        if not (self.standard_deviation > 0 and self.lower < self.upper and math.isfinite(self.mean)):
            raise HmmInferError(f"{self} needs a finite mean, a positive standard deviation and lower < upper; correct the prior.")

    @property
    def bounds(self) -> tuple[float, float]:
        return self.lower, self.upper

    def box(self, width: float = 4.0) -> tuple[float, float]:
        reach = width * self.standard_deviation
        return max(self.mean - reach, self.lower), min(self.mean + reach, self.upper)

    def within(self, lower: float, upper: float) -> Prior:
        return replace(self, lower=max(lower, self.lower), upper=min(upper, self.upper))

    def quantile(self, u: Any) -> Any:
        a, b = (special.ndtr((x - self.mean) / self.standard_deviation) for x in (self.lower, self.upper))
        return self.mean + self.standard_deviation * special.ndtri(a + (b - a) * special.ndtr(u))

    def _log_kernel(self, x: float) -> float:
        return -0.5 * ((x - self.mean) / self.standard_deviation) ** 2

    def _frozen(self) -> Any:
        a, b = ((x - self.mean) / self.standard_deviation for x in (self.lower, self.upper))
        return stats.truncnorm(a, b, loc=self.mean, scale=self.standard_deviation)


@dataclass(frozen=True)
class LogNormal(Prior):
    """ln x ~ Normal(ln median, sigma), truncated to [lower, upper]: ``sigma`` is about the relative standard deviation.

    ``median`` is the median before truncation.
    """

    median: float
    sigma: float
    lower: float = 0.0
    upper: float = math.inf
    PLAIN: ClassVar[tuple[str, ...]] = ("sigma",)

    def __post_init__(self) -> None:
        if not self.median > 0 or not self.sigma > 0:
            raise HmmInferError(f"{self} needs a positive median and a positive sigma; correct the prior.")
        if not 0.0 <= self.lower < self.upper:
            raise HmmInferError(f"{self} needs 0 <= lower < upper; correct the prior.")

    @property
    def bounds(self) -> tuple[float, float]:
        return self.lower, self.upper

    @property
    def cut(self) -> bool:
        """True if a bound truncates the law."""
        return self.lower > 0.0 or math.isfinite(self.upper)

    @property
    def normal(self) -> tuple[float, float, bool]:
        return math.log(self.median), self.sigma, True

    def box(self, width: float = 4.0) -> tuple[float, float]:
        return max(self.median * math.exp(-width * self.sigma), self.lower), min(self.median * math.exp(width * self.sigma), self.upper)

    def within(self, lower: float, upper: float) -> Prior:
        return replace(self, lower=max(lower, self.lower), upper=min(upper, self.upper))

    def quantile(self, u: Any) -> Any:
        if not self.cut:
            return self.median * np.exp(self.sigma * u)
        a, b = self._ends()
        low, high = special.ndtr(a), special.ndtr(b)
        return self.median * np.exp(self.sigma * special.ndtri(low + (high - low) * special.ndtr(u)))

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        return np.asarray(self.quantile(rng.standard_normal(size))) if self.cut else super().sample(rng, size)

    def logpdf(self, x: Any) -> np.ndarray:
        if not self.cut:
            return super().logpdf(x)
        inside = (np.asarray(x) >= self.lower) & (np.asarray(x) <= self.upper)
        a, b = self._ends()
        return np.where(inside, super().logpdf(x) - np.log(special.ndtr(b) - special.ndtr(a)), -np.inf)

    @property
    def centre(self) -> float:
        return float(self.quantile(0.0)) if self.cut else super().centre

    @property
    def sd(self) -> float:
        if not self.cut:
            return super().sd
        (a, b), s = self._ends(), self.sigma
        first, second = ((special.ndtr(b - k * s) - special.ndtr(a - k * s)) * math.exp(0.5 * (k * s) ** 2) for k in (1, 2))
        share = special.ndtr(b) - special.ndtr(a)
        return float(self.median * math.sqrt(second / share - (first / share) ** 2))

    def log_density(self, z: float) -> float:
        return super().log_density(z) if self.cut else -0.5 * ((z - math.log(self.median)) / self.sigma) ** 2

    def _ends(self) -> tuple[float, float]:
        """Bounds in standard deviations of the logarithm."""
        low = (math.log(self.lower / self.median) if self.lower > 0.0 else -math.inf) / self.sigma
        return low, (math.log(self.upper / self.median) if math.isfinite(self.upper) else math.inf) / self.sigma

    def _frozen(self) -> Any:
        return stats.lognorm(self.sigma, scale=self.median)


@dataclass(frozen=True)
class Uniform(Prior):
    """Uniform on [lower, upper]."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower < self.upper or not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            raise HmmInferError(f"Uniform({self.lower:g}, {self.upper:g}) needs finite bounds, lower < upper; correct the prior.")

    @property
    def bounds(self) -> tuple[float, float]:
        return self.lower, self.upper

    def box(self, width: float = 4.0) -> tuple[float, float]:
        return self.lower, self.upper

    def quantile(self, u: Any) -> Any:
        return self.lower + (self.upper - self.lower) * special.ndtr(u)

    def _log_kernel(self, x: float) -> float:
        return 0.0

    def _frozen(self) -> Any:
        return stats.uniform(self.lower, self.upper - self.lower)


@dataclass(frozen=True)
class HalfNormal(Prior):
    """|Normal(0, sd)|."""

    standard_deviation: float
    BOUNDS: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __post_init__(self) -> None:
        if not self.standard_deviation > 0:
            raise HmmInferError(f"{self} needs a positive standard deviation; correct the prior.")

    def box(self, width: float = 4.0) -> tuple[float, float]:
        return 0.0, width * self.standard_deviation

    def quantile(self, u: Any) -> Any:
        return self.standard_deviation * special.ndtri(0.5 + 0.5 * special.ndtr(u))

    def _log_kernel(self, x: float) -> float:
        return -0.5 * (x / self.standard_deviation) ** 2

    def _frozen(self) -> Any:
        return stats.halfnorm(scale=self.standard_deviation)


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma law of a positive number by its mean and standard deviation: shape (mean / sd)^2."""

    mean: float
    standard_deviation: float
    BOUNDS: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __post_init__(self) -> None:
        if not (self.mean > 0 and self.standard_deviation > 0):
            raise HmmInferError(f"{self} needs a positive mean and a positive standard deviation; correct the prior.")

    def _frozen(self) -> Any:
        return stats.gamma((self.mean / self.standard_deviation) ** 2, scale=self.standard_deviation**2 / self.mean)


@dataclass(frozen=True)
class Beta(Prior):
    """Beta(alpha, beta) law of a share between 0 and 1: density proportional to x^(alpha - 1) (1 - x)^(beta - 1)."""

    alpha: float
    beta: float
    PLAIN: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    BOUNDS: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and self.beta > 0):
            raise HmmInferError(f"{self} needs a positive alpha and a positive beta; correct the prior.")

    def _frozen(self) -> Any:
        return stats.beta(self.alpha, self.beta)


@dataclass(frozen=True)
class StudentT(Prior):
    """Student's t law about ``mean`` with heavy tails: ``scale`` in the unit, ``nu`` degrees of freedom (above 2)."""

    nu: float
    mean: float
    scale: float
    PLAIN: ClassVar[tuple[str, ...]] = ("nu",)

    def __post_init__(self) -> None:
        if not (self.nu > 2 and self.scale > 0 and math.isfinite(self.mean)):
            raise HmmInferError(f"{self} needs nu > 2 (a finite variance), a finite mean and a positive scale; correct the prior.")

    def _frozen(self) -> Any:
        return stats.t(self.nu, loc=self.mean, scale=self.scale)


WRAP = 10.0  # sd of t = 2 theta before wrapping: flat on the circle to exp(-50), and smooth for the sampler everywhere


@dataclass(frozen=True)
class Axial(Prior):
    """Angle modulo 180 degrees, uniform by default; else density proportional to exp(concentration cos 2(theta - mean)).

    ``mean`` in degrees. For a large concentration the angle's standard deviation is about 28.6 / sqrt(concentration) degrees.
    """

    mean: float = 0.0
    concentration: float = 0.0
    PLAIN: ClassVar[tuple[str, ...]] = ("concentration",)

    def __post_init__(self) -> None:
        if not self.concentration >= 0:
            raise HmmInferError(f"{self} needs a concentration of at least 0 (uniform); correct the prior.")

    def box(self, width: float = 4.0) -> tuple[float, float]:
        return -90.0, 90.0

    def quantile(self, u: Any) -> Any:
        """Mean + sd u: a circle has no quantiles."""
        return self.centre + self.sd * u

    @property
    def centre(self) -> float:
        return self.mean

    @property
    def sd(self) -> float:
        return 0.5 * math.degrees(math.pi / math.sqrt(3.0 + self.concentration * math.pi**2))

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        t = rng.vonmises(math.radians(2 * self.mean), self.concentration, size)
        return 0.5 * np.degrees(t)

    def logpdf(self, x: Any) -> np.ndarray:
        t = np.radians(2.0 * (np.asarray(x) - self.mean))
        return np.asarray(stats.vonmises.logpdf(t, self.concentration)) + math.log(math.pi / 90.0)

    def __str__(self) -> str:
        return super().__str__() if self.concentration > 0 else "uniform on the circle"


PRIORS = {kind.__name__: kind for kind in Prior.__subclasses__()}


def parse_prior(text: str, unit: str = "") -> Prior:
    """Prior from text such as ``LogNormal(3.5 GPa, 0.2)`` or ``Normal(0.6, 0.03, lower=0.3)``; quantities convert to ``unit``."""
    match = re.fullmatch(r"\s*([A-Za-z]+)\s*\(([^()]*)\)\s*", text)
    if match is None:
        raise HmmInferError(f"Cannot read the prior {text!r}; write it as LogNormal(3.5 GPa, 0.2) or Normal(0.6, 0.03).")
    if match[1] not in PRIORS:
        raise unknown("prior", match[1], PRIORS)
    kind = PRIORS[match[1]]
    order = [f.name for f in fields(kind)]
    given: dict[str, float] = {}
    items = [part.strip() for part in match[2].split(",") if part.strip()]
    for i, item in enumerate(items):
        key, eq, value = item.rpartition("=")
        name = key.strip() if eq else order[i] if i < len(order) else ""
        if name not in order or name in given:
            raise HmmInferError(f"Wrong arguments in the prior {text!r}; {kind.__name__} takes ({', '.join(order)}).")
        try:
            given[name] = float(value)
        except ValueError:
            given[name] = units.parse(value.strip(), "" if name in kind.PLAIN else unit)
    try:
        return kind(**given)
    except TypeError:
        raise HmmInferError(f"Wrong arguments in the prior {text!r}; {kind.__name__} takes ({', '.join(order)}).") from None
