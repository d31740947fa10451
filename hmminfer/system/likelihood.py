"""Probability law of a datum given its prediction f; :mod:`hmminfer.inference.posterior` builds the same laws in PyMC.

normal    y ~ Normal(f, sigma)     measured values and means of many
poisson   y ~ Poisson(f)           counts; f is their expectation, sigma is not used
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln, xlogy

NORMAL, POISSON = "normal", "poisson"


def log_density(kind: str, y: Any, f: np.ndarray, sigma: Any) -> np.ndarray:
    """Log density of each datum, (..., rows); -inf where the prediction of a count is negative or missing."""
    if kind == NORMAL:
        return -0.5 * ((y - f) / sigma) ** 2 - np.log(sigma * np.sqrt(2.0 * np.pi)) + 0.0 * f
    possible = f >= 0.0
    mean = np.where(possible, f, 1.0)
    return np.where(possible, xlogy(y, mean) - mean - gammaln(np.asarray(y) + 1.0), -np.inf)


def draw(kind: str, rng: np.random.Generator, f: np.ndarray, sigma: Any) -> np.ndarray:
    """Random data for the predictions f; NaN where a prediction is NaN, or negative for counts."""
    if kind == NORMAL:
        return f + sigma * rng.standard_normal(np.shape(f))
    return np.where(f >= 0.0, rng.poisson(np.where(f >= 0.0, f, 0.0)), np.nan)
