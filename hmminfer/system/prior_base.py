"""Everything that a prior tells of itself, with defaults from its SciPy distribution; the kinds of priors are in :mod:`.priors`.

The transform is PyMC's default for the bounds: ln(x - lower) above a lower bound, -ln(upper - x) below an upper one, the logit between both.
"""

from __future__ import annotations

import cmath
import functools
import math
import warnings
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Prior:
    """Prior law of a number, in the parameter's unit. Fields named in ``PLAIN`` have no unit."""

    PLAIN: ClassVar[tuple[str, ...]] = ()
    BOUNDS: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def _frozen(self) -> Any:
        """The law as a frozen SciPy distribution."""
        raise NotImplementedError

    @property
    def bounds(self) -> tuple[float, float]:
        """Support."""
        return self.BOUNDS

    def box(self, width: float = 4.0) -> tuple[float, float]:
        """Interval between the quantiles that a normal law has at +- ``width`` standard deviations, inside the support."""
        return float(self.quantile(-width)), float(self.quantile(width))

    def outside(self, lower: float, upper: float) -> float:
        """Probability outside [lower, upper]."""
        a, b = self.bounds
        if lower <= a and b <= upper:
            return 0.0
        law = self._frozen()
        return float(law.cdf(lower) if a < lower else 0.0) + float(law.sf(upper) if b > upper else 0.0)

    def within(self, lower: float, upper: float) -> Prior:
        """The law truncated to [lower, upper]; a kind that cannot be truncated stays as it is."""
        return self

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Independent draws."""
        return np.asarray(self._frozen().rvs(size=size, random_state=rng))

    def logpdf(self, x: Any) -> np.ndarray:
        """Log density."""
        return np.asarray(self._frozen().logpdf(x))

    def quantile(self, u: Any) -> Any:
        """Value x with P(X <= x) = Phi(u), Phi being the standard normal distribution function."""
        return self._frozen().ppf(special.ndtr(u))

    @property
    def centre(self) -> float:
        """Median."""
        return _median(self)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(self._frozen().std())

    @property
    def normal(self) -> tuple[float, float, bool]:
        """Centre and width of the nearest normal law; True if that is a law of the logarithm."""
        return self.centre, self.sd, False

    def to_unconstrained(self, x: Any) -> Any:
        """Unbounded number of a value."""
        lower, upper = self.bounds
        if math.isfinite(lower) and math.isfinite(upper):
            return np.log(x - lower) - np.log(upper - x)
        if math.isfinite(lower):
            return np.log(x - lower)
        return -np.log(upper - x) if math.isfinite(upper) else x

    def from_unconstrained(self, z: Any, exp: Any = np.exp) -> Any:
        """Inverse of :meth:`to_unconstrained`; with the ``exp`` of complex or symbolic numbers also for those."""
        lower, upper = self.bounds
        if math.isfinite(lower) and math.isfinite(upper):
            return lower + (upper - lower) / (1.0 + exp(-z))
        if math.isfinite(lower):
            return lower + exp(z)
        return upper - exp(-z) if math.isfinite(upper) else z

    def log_density(self, z: float) -> float:
        """Log density of the unbounded number z, up to a constant; the Jacobian dx/dz is computed by a complex step."""
        x = self.from_unconstrained(complex(z, 1e-30), cmath.exp)
        return math.log(x.imag / 1e-30) + self._log_kernel(x.real)

    def _log_kernel(self, x: float) -> float:
        """Log density of a value, up to a constant."""
        return float(self.logpdf(x))

    def text(self, unit: str = "") -> str:
        """The prior as text, to the last digit: "LogNormal(3.5 GPa, 0.2)"; :func:`parse_prior` reads it."""
        return self._written(unit, repr)

    def __str__(self) -> str:
        return self._written("", lambda v: f"{v:g}")

    def _written(self, unit: str, number: Any) -> str:
        parts = []
        for f in fields(self):
            value = float(getattr(self, f.name))
            if value != f.default:  # optional arguments are written by name
                text = number(value) + ("" if f.name in self.PLAIN or not unit else f" {unit}")
                parts.append(text if f.default is MISSING else f"{f.name}={text}")
        return f"{type(self).__name__}({', '.join(parts)})"


def computable(prior: Prior, lower: float, upper: float) -> bool:
    """True if a prior has a middle within [lower, upper], a density there, and a transform that comes back: not of widths that are infinite, below the
    rounding of its middle, or astronomically larger than the support.
    """
    numbers = [float(getattr(prior, f.name)) for f in fields(prior) if f.name not in ("lower", "upper")]
    a, b = prior.bounds
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = np.append(prior.sample(np.random.default_rng(0), 64), prior.centre)
            back = prior.from_unconstrained(prior.to_unconstrained(x), np.exp)
            density = prior.logpdf(x[-1])
    except (ArithmeticError, ValueError):
        return False
    inside = max(a, lower) < x[-1] < min(b, upper)
    return bool(inside and np.isfinite(np.array([*numbers, float(density)])).all() and np.allclose(back, x, rtol=1e-6, atol=0.0))


@functools.lru_cache(maxsize=1000)
def _median(prior: Prior) -> float:
    """Median by SciPy, which takes a millisecond and is asked for at every default value."""
    return float(prior._frozen().median())
