"""Probability law of a datum given its prediction f; :mod:`hmminfer.inference.posterior` builds the same laws in PyMC.

normal    y ~ Normal(f, sigma)            measured values and means of many
student   y ~ StudentT(nu, f, sigma)      measured values with outliers; sigma is the scale, nu the degrees of freedom
poisson   y ~ Poisson(f)                  counts; f is their expectation, sigma is not used
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln, xlogy

NORMAL, STUDENT, POISSON = "normal", "student", "poisson"


def log_density(kind: str, y: Any, f: np.ndarray, sigma: Any, nu: Any = None) -> np.ndarray:
    """Log density of each datum, (..., rows); -inf where there is no prediction, or a negative one of a count."""
    if kind == POISSON:
        possible = f >= 0.0
        mean = np.where(possible, f, 1.0)
        return np.where(possible, xlogy(y, mean) - mean - gammaln(np.asarray(y) + 1.0), -np.inf)
    z = (y - f) / sigma
    if kind == NORMAL:
        out = -0.5 * z**2 - np.log(sigma * np.sqrt(2.0 * np.pi))
    else:
        nu = np.asarray(nu)[..., None]
        out = gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * nu) - np.log(sigma) - 0.5 * (nu + 1.0) * np.log1p(z**2 / nu)
    return np.where(np.isnan(f), -np.inf, out)


def draw(kind: str, rng: np.random.Generator, f: np.ndarray, sigma: Any, nu: Any = None) -> np.ndarray:
    """Random data for the predictions f; NaN where a prediction is NaN, or negative for counts."""
    if kind == NORMAL:
        return f + sigma * rng.standard_normal(np.shape(f))
    if kind == STUDENT:
        return f + sigma * rng.standard_t(np.broadcast_to(np.asarray(nu)[..., None], np.shape(f)))
    return np.where(f >= 0.0, rng.poisson(np.where(f >= 0.0, f, 0.0)), np.nan)
