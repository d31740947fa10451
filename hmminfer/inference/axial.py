"""Angles known modulo 180 degrees: separate modes, circular means and intervals, on the double angle t = 2 theta."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

SHARE = 0.89  # of the intervals, as everywhere in ArviZ 1.x


@dataclass(frozen=True)
class AxialMode:
    """One mode of an axial angle: its ``share`` of the draws, circular mean, sd and 89 % interval in degrees.

    ``mean`` is in (-90, 90]; ``low`` < ``mean`` < ``high`` are continued beyond +-90 where needed (86 to 93). ``sd`` is the
    root mean square of the deviations from the mean, wrapped to +-90: 52 degrees for a uniform angle.
    """

    share: float
    mean: float
    sd: float
    low: float
    high: float


def axial_modes(draws_deg: Any) -> list[AxialMode]:
    """Separate modes of an axial angle's draws (any shape, degrees), largest first; one mode if no gap separates the draws."""
    theta = np.asarray(draws_deg, dtype=float)
    label = mode_of(theta)
    return [axial_mode(theta[label == k], theta.size) for k in range(label.max() + 1)]


def axial_mode(theta: np.ndarray, total: int) -> AxialMode:
    away, mean = centred(theta)
    low, high = interval(away)
    return AxialMode(theta.size / total, mean, float(np.sqrt(np.mean(away**2))), mean + low, mean + high)


def centred(theta: np.ndarray) -> tuple[np.ndarray, float]:
    """Deviations from the circular mean arg(mean exp(2 i theta)) / 2, in (-90, 90], and the mean, in degrees."""
    mean = 0.5 * np.degrees(np.angle(np.mean(np.exp(2j * np.radians(theta)))))
    return 90.0 - np.mod(90.0 - (theta - mean), 180.0), float(mean)


def interval(x: np.ndarray) -> tuple[Any, Any]:
    """Shortest interval that holds 89 % of the draws (n,), or of each column of draws (n, columns): lower and upper ends.

    All intervals of this package, in tables, figures and predictions, are computed by this function.
    """
    x = np.sort(x, axis=0)
    n = math.ceil(SHARE * len(x))
    i = np.argmin(x[n - 1 :] - x[: len(x) - n + 1], axis=0)
    if x.ndim == 1:
        return float(x[i]), float(x[i + n - 1])
    column = np.arange(x.shape[1])
    return x[i, column], x[i + n - 1, column]


def mode_of(theta: np.ndarray) -> np.ndarray:
    """Number of the mode of each draw; 0 is the largest mode.

    The density of t = 2 theta, smoothed by half the distance that holds a tenth of the draws, is cut at its minima; a
    cut stays where the density falls below 5 % of the lower peak beside it (two normals five sds apart) and both sides
    hold more than 2 % of the draws.
    """
    t = np.mod(2.0 * theta, 360.0)
    ordered, n = np.sort(t, axis=None), t.size
    width = 0.5 * float(np.median(np.mod(np.roll(ordered, -max(2, n // 10)) - ordered, 360.0)))
    count = np.bincount((2.0 * ordered).astype(int) % 720, minlength=720) / n
    smooth = np.exp(-0.5 * (np.arange(361) * np.radians(np.clip(width, 0.7, 30.0))) ** 2)
    density = np.fft.irfft(np.fft.rfft(count) * smooth, 720)
    density = np.maximum(density, 1e-6 * density.max())
    cuts = np.flatnonzero((density < np.roll(density, 1)) & (density <= np.roll(density, -1)))
    while len(cuts) > 1:
        pieces = [np.arange(a, b if b > a else b + 720) % 720 for a, b in zip(cuts, np.roll(cuts, -1), strict=True)]
        peak = np.array([density[p].max() if count[p].sum() > max(0.02, 2.5 / n) else 0.0 for p in pieces])
        lower = np.minimum(peak, np.roll(peak, 1))  # of the pieces after and before each cut
        depth = density[cuts] / np.maximum(lower, 1e-300)
        worst = int(np.argmax(depth))
        if depth[worst] < 0.05:
            break
        cuts = np.delete(cuts, worst)
    if len(cuts) < 2:
        return np.zeros(theta.shape, dtype=int)
    label = np.searchsorted(cuts, 2.0 * t) % len(cuts)
    order = np.argsort(-np.bincount(label.ravel(), minlength=len(cuts)), kind="stable")
    return np.argsort(order)[label]
