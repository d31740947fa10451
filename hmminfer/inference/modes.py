"""Modes of a log density on unconstrained vectors: searched from many starts, weighed by Laplace's approximation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from hmminfer.errors import HmmInferError
from hmminfer.system.draws import attribute
from hmminfer.terminal import track

LogDensity = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode at ``x`` with log density ``logp``, Laplace covariance (dim, dim) and share ``weight`` of the posterior."""

    x: np.ndarray
    logp: float
    covariance: np.ndarray
    weight: float = 1.0

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draws (n, dim) of the Laplace approximation."""
        value, vector = np.linalg.eigh(self.covariance)
        return self.x + (rng.standard_normal((n, len(self.x))) * np.sqrt(np.maximum(value, 0.0))) @ vector.T

    @property
    def log_evidence(self) -> float:
        """Logarithm of density times volume: logp + log det(2 pi covariance) / 2."""
        return self.logp + 0.5 * np.linalg.slogdet(2 * np.pi * self.covariance)[1]

    def to_dict(self) -> dict[str, Any]:
        return {"x": self.x.tolist(), "logp": self.logp, "weight": self.weight, "sd": np.sqrt(np.diag(self.covariance)).tolist()}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Mode:
        x, sd = (np.array(d[k], dtype=float) for k in ("x", "sd"))
        return cls(x, float(d["logp"]), np.diag(sd**2), float(d["weight"]))


def modes_of(tree: Any) -> list[Mode]:
    """Modes that a result records, with the diagonals of their covariances; empty if none were searched."""
    found: list[Any] = attribute(tree.attrs, "modes", [])
    try:
        return [Mode.from_dict(m) for m in found]
    except (KeyError, TypeError, ValueError):
        raise HmmInferError("The attribute 'modes' of the result holds something that is no mode; take a copy of the result, or fit again.") from None


def find_modes(density: LogDensity, starts: np.ndarray, axial: np.ndarray, searches: int = 16, progress: bool = False) -> list[Mode]:
    """Modes reached from the best of ``starts``, heaviest first; empty when no start has a finite density.

    ``axial`` marks double angles: they are wrapped to [-pi, pi), so that images of one mode count once. A mode whose weight is below 1e-4 of
    the total is dropped, as too small for a chain of its own.
    """
    logp = np.array([density(x)[0] for x in starts])
    order = [i for i in np.argsort(-np.where(np.isfinite(logp), logp, -np.inf)) if np.isfinite(logp[i])][:searches]

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(x)
        return (-value, -gradient) if np.isfinite(value) and np.all(np.isfinite(gradient)) else (1e30, np.zeros_like(x))

    found: list[Mode] = []
    for i in track(order, "searching modes", show=progress):
        result = minimize(negative, starts[i], jac=True, method="L-BFGS-B", options={"maxiter": 300, "maxcor": 30})
        x = wrapped(result.x, axial)
        value = -negative(x)[0]
        if value < -1e29 or any(_same(m, x, value) for m in found):
            continue
        if found and value < max(m.logp for m in found) - 30.0 - len(x):
            continue  # hopeless before its curvature is known
        covariance = _covariance(density, x)
        if covariance is not None:
            found.append(Mode(x, value, covariance))
    return weighed(found)


def weighed(found: Sequence[Mode]) -> list[Mode]:
    """Modes with their shares of the posterior, heaviest first; those below 1e-4 are dropped."""
    if not found:
        return []
    evidence = np.array([m.log_evidence for m in found])
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    kept = [Mode(m.x, m.logp, m.covariance, float(w)) for m, w in zip(found, weight, strict=True) if w > 1e-4]
    return sorted(kept, key=lambda m: -m.weight)


def wrapped(x: np.ndarray, axial: np.ndarray) -> np.ndarray:
    """x with its double angles, marked by ``axial``, in [-pi, pi)."""
    return np.where(axial, np.mod(x + np.pi, 2 * np.pi) - np.pi, x)


def _same(mode: Mode, x: np.ndarray, logp: float) -> bool:
    """True if x has converged to a known mode: within half a standard deviation in the Laplace metric, or on the same flat top."""
    step = x - mode.x
    distance = float(step @ np.linalg.lstsq(mode.covariance, step, rcond=None)[0])
    return distance < 0.25 * max(1.0, len(x) / 4) and abs(logp - mode.logp) < 0.5 * max(1.0, len(x) / 4)


def _covariance(density: LogDensity, x: np.ndarray) -> np.ndarray | None:
    """Inverse of the negative Hessian, by central differences of the exact gradient; directions without a peak get variance 1."""
    n = len(x)
    hessian = np.empty((n, n))
    h = 1e-4
    for i in range(n):
        e = np.zeros(n)
        e[i] = h
        hessian[i] = (density(x - e)[1] - density(x + e)[1]) / (2 * h)
    if not np.all(np.isfinite(hessian)):
        return None
    value, vector = np.linalg.eigh(0.5 * (hessian + hessian.T))
    value = np.where(value > 1e-2, value, 1.0)
    return (vector / value) @ vector.T


def chain_starts(modes: Sequence[Mode], chains: int, rng: np.random.Generator) -> np.ndarray:
    """Starts (chains, dim): each mode gets chains in proportion to its weight (largest remainders), drawn around it with half its Laplace sd."""
    share = np.array([m.weight for m in modes]) * chains
    counts = np.floor(share + 1e-9).astype(int)
    for i in np.argsort(-(share - counts))[: chains - int(counts.sum())]:
        counts[i] += 1
    starts = [m.x + 0.5 * (m.sample(rng, n) - m.x) for m, n in zip(modes, counts, strict=True) if n]
    return np.concatenate(starts)
