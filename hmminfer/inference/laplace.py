"""Distance of the Gaussians of a preview from the posterior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special, stats

from hmminfer.inference.modes import Mode, wrapped

FAR_OFF = 0.2  # effective share of the draws, below which the posterior is no Gaussian


def effective_share(problem: Any, x: np.ndarray, log_likelihood: np.ndarray, found: Sequence[Mode]) -> float:
    """Effective share of draws x (n, dim) from the Gaussians around the modes ``found``, (sum w)^2 / (n sum w^2) for the importance weights
    w = p(x) / q(x): 1 if they are the posterior. NaN with fields.

    ``log_likelihood`` (n,) of the draws, minus infinity or NaN where there is no solution.
    """
    if problem.fields:
        return math.nan
    axial = problem.axial_positions()
    log_prior, start = np.zeros(len(x)), 0
    for p in problem.free:
        own = x[:, start : start + p.length]
        if p.axial:  # x is the double angle in radians, a law on the circle in degrees
            log_prior += p.prior.logpdf(np.degrees(own) / 2.0).sum(axis=1)
        else:
            log_prior += [sum(p.prior.log_density(float(v)) for v in row) for row in own]
        start += p.length
    parts = [
        math.log(m.weight) + stats.multivariate_normal.logpdf(wrapped(x - m.x, axial), np.zeros(len(m.x)), m.covariance, allow_singular=True)
        for m in found
    ]
    weights = np.where(np.isfinite(log_likelihood), log_likelihood, -np.inf) + log_prior - special.logsumexp(parts, axis=0)
    if not np.isfinite(weights.max()):
        return 0.0
    w = np.exp(weights - weights.max())
    return float(w.sum() ** 2 / (w @ w) / len(w))
