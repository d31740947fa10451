"""Modes of a log density on unconstrained vectors: searched from many starts, weighed by Laplace's approximation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, minimize

from hmminfer.errors import HmmInferError
from hmminfer.system.draws import attribute
from hmminfer.terminal import say, track, working

LogDensity = Callable[[np.ndarray], tuple[float, np.ndarray]]
SECONDS = 120.0  # of all searches together
ROUNDS = 5  # of one search, while they gain
EVALUATIONS = 1000  # of one search
ALIKE = 8  # searches in a row that find nothing new: a second mode as easily reached as the first is missed once in 256 times
STEP = 1e-4  # of the difference quotients of the gradient


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


def find_modes(
    density: LogDensity,
    starts: np.ndarray,
    axial: np.ndarray,
    searches: int = 16,
    progress: bool = False,
    box: tuple[np.ndarray, np.ndarray] | None = None,
    seconds: float = SECONDS,
) -> list[Mode]:
    """Modes reached from the best of ``starts``, heaviest first; empty when no start has a finite density.

    ``axial`` marks double angles: they are wrapped to [-pi, pi), so that images of one mode count once. ``box``: lowest and highest x, which no
    search leaves; a mode may lie on its faces. A mode whose weight is below 1e-4 of the total is dropped, as too small for a chain of its own.
    After :data:`ALIKE` searches in a row without a new mode the others are left out. A search that takes more than ``seconds`` in all ends with
    what it has found, and says so.
    """
    low, high = (np.full(starts.shape[1], v) for v in (-np.inf, np.inf)) if box is None else box
    end = time.monotonic() + seconds
    starts = np.clip(starts, low, high)
    logp = np.full(len(starts), -np.inf)
    for i in track(range(len(starts)), "trying starts", show=progress):
        logp[i] = density(starts[i])[0]
        if time.monotonic() > end - 0.5 * seconds and np.isfinite(logp).any():
            break
    order = [i for i in np.argsort(-np.where(np.isfinite(logp), logp, -np.inf)) if np.isfinite(logp[i])][:searches]

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(x)
        return (-value, -gradient) if np.isfinite(value) and np.all(np.isfinite(gradient)) else (1e30, np.zeros_like(x))

    def in_time(_: np.ndarray) -> None:
        if time.monotonic() > end:
            raise StopIteration

    found: list[Mode] = []
    tried = since = 0
    with working("searching modes", len(order), progress) as done:
        for i in order:
            options = {"maxiter": 300, "maxfun": EVALUATIONS, "maxcor": 30}
            x = _descended(negative, starts[i], Bounds(low, high), options, in_time)
            done()
            tried += 1
            x = wrapped(np.clip(x, low, high), axial)
            mode = _new_mode(density, x, -negative(x)[0], found, low, high)
            found += [mode] if mode is not None else []
            since = 0 if mode is not None else since + 1
            if found and (since == ALIKE or time.monotonic() > end):
                break
    if time.monotonic() > end and found:
        say(
            f"The search for modes took more than {seconds:.0f} s and ended after {tried} of {len(order)} searches: there may be other modes, or better "
            "ones. Look at R-hat and at the misfit; fix what is known, or give nearer priors.",
            err=True,
        )
    return weighed(found)


def _descended(negative: Callable, x: np.ndarray, box: Bounds, options: dict[str, Any], callback: Callable) -> np.ndarray:
    """Point that a descent from x reaches, in turns without bounds and inside the box.

    Without bounds the first step is short, so that it does not end where there is no solution, after which any line search gives up; the box
    stops at a bound what would run along it for ever.
    """
    value = np.inf

    def within(x: np.ndarray) -> tuple[float, np.ndarray]:
        return negative(x) if np.all((x >= box.lb) & (x <= box.ub)) else (1e30, np.zeros_like(x))

    for _ in range(ROUNDS):
        before = value
        for bounds in (None, box):
            result = minimize(within, np.clip(x, box.lb, box.ub), jac=True, method="L-BFGS-B", bounds=bounds, options=options, callback=callback)
            if result.fun < value:
                x, value = result.x, float(result.fun)
        if before - value < 1e-3:
            break
    return x


def _new_mode(density: LogDensity, x: np.ndarray, value: float, found: Sequence[Mode], low: np.ndarray, high: np.ndarray) -> Mode | None:
    """The mode at x, or None if there is no solution, if it is one of those found, or if it is hopeless beside them."""
    if value < -1e29 or any(_same(m, x, value) for m in found):
        return None
    if found and value < max(m.logp for m in found) - 30.0 - len(x):
        return None  # hopeless before its curvature is known
    covariance = _covariance(density, x, low, high)
    return None if covariance is None else Mode(x, value, covariance)


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


def _covariance(density: LogDensity, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Inverse of the negative Hessian, by central differences of the exact gradient; directions without a peak get variance 1.

    On a face of the box [low, high] the density falls from the face like exp(-|slope| distance): the slope's square joins the curvature, so that
    the half normal law has this length.
    """
    n, h = len(x), STEP
    hessian = np.empty((n, n))
    inside = np.clip(x, low + h, high - h)
    for i in range(n):
        e = np.zeros(n)
        e[i] = h
        hessian[i] = (density(inside - e)[1] - density(inside + e)[1]) / (2 * h)
    slope = np.where((x <= low) | (x >= high), density(inside)[1], 0.0)
    if not np.all(np.isfinite(hessian)) or not np.all(np.isfinite(slope)):
        return None
    value, vector = np.linalg.eigh(0.5 * (hessian + hessian.T) + np.diag(slope**2))
    value = np.where(value > 1e-2, value, 1.0)
    return (vector / value) @ vector.T


def inside(draw: Callable[[int], np.ndarray], n: int, box: tuple[np.ndarray, np.ndarray], tries: int = 50) -> np.ndarray:
    """n of the points that ``draw(n)`` returns, those outside the box drawn again; what is never inside is moved to its faces."""
    x = draw(n)
    for _ in range(tries):
        out = np.flatnonzero(((x < box[0]) | (x > box[1])).any(axis=1))
        if out.size == 0:
            return x
        x[out] = draw(out.size)
    return np.clip(x, *box)


def chain_starts(modes: Sequence[Mode], chains: int, rng: np.random.Generator) -> np.ndarray:
    """Starts (chains, dim): each mode gets chains in proportion to its weight (largest remainders), drawn around it with half its Laplace sd."""
    share = np.array([m.weight for m in modes]) * chains
    counts = np.floor(share + 1e-9).astype(int)
    for i in np.argsort(-(share - counts))[: chains - int(counts.sum())]:
        counts[i] += 1
    starts = [m.x + 0.5 * (m.sample(rng, n) - m.x) for m, n in zip(modes, counts, strict=True) if n]
    return np.concatenate(starts)
