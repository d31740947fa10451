"""Spherical particles in a matrix, with a surface that resists: effective conductivity in closed form.

A particle of radius a behind a surface of conductance h conducts like one of  1 / k' = 1 / k_p + 1 / (a h)  in perfect contact: size enters
through a h alone. Two published laws for the composite, f the volume fraction of particles:

    dilute   k_e = k_m (k' (1 + 2 f) + 2 k_m (1 - f)) / (k' (1 - f) + k_m (2 + f))         Hasselman & Johnson 1987, J. Compos. Mater. 21:508
    dense    1 - f = ((k' - k_e) / (k' - k_m)) (k_m / k_e)^(1/3)      differential effective medium (Bruggeman), better for f >= 0.3

The second is solved for ln k_e by bisection to the last digits; derivatives follow from the implicit function theorem.

Vector in:  k_m, k_p, h.  Vector out: k_e of each row, the unit of k; h in that unit per length of the radii.
Exact for its model; the models themselves differ by some percent at f = 0.4, which a fit should try both ways.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled
from hmminfer.errors import unknown

SCHEMES = ("dilute", "dense")  # numbered in this order for the compiled code, see _effective


@compiled
def _dilute(k, m, f):
    """k_e and its derivatives by k' and k_m."""
    top, bottom = k * (1.0 + 2.0 * f) + 2.0 * m * (1.0 - f), k * (1.0 - f) + m * (2.0 + f)
    e = m * top / bottom
    by_k = m * ((1.0 + 2.0 * f) - (1.0 - f) * top / bottom) / bottom
    by_m = top / bottom + m * (2.0 * (1.0 - f) - (2.0 + f) * top / bottom) / bottom
    return e, by_k, by_m


@compiled
def _dense(k, m, f):
    """k_e and its derivatives by k' and k_m, from  g = (k - e) m^(1/3) - (1 - f) (k - m) e^(1/3) = 0,  e between k and m."""
    if k == m or f == 0.0:
        e = m
    else:
        low, high = (m, k) if k > m else (k, m)
        for _ in range(200):  # halves ln e until neighbours: no tolerance, no dependence on the path
            e = np.sqrt(low * high)
            above = (k - e) * m ** (1.0 / 3.0) - (1.0 - f) * (k - m) * e ** (1.0 / 3.0)
            if (above > 0.0) == (k > m):
                low, high = (e, high) if k > m else (low, e)
            else:
                low, high = (low, e) if k > m else (e, high)
            if high / low - 1.0 < 1e-15:
                break
    third = 1.0 / 3.0
    by_e = -(m**third) - (1.0 - f) * (k - m) * third * e ** (-2.0 * third)
    by_k = m**third - (1.0 - f) * e**third
    by_m = (k - e) * third * m ** (-2.0 * third) + (1.0 - f) * e**third
    return e, -by_k / by_e, -by_m / by_e


@compiled
def _effective(scheme, k, m, f):
    """k_e and its derivatives by k' and k_m, by the law of this number in :data:`SCHEMES`; NaN for any other."""
    if scheme == 0:
        return _dilute(k, m, f)
    if scheme == 1:
        return _dense(k, m, f)
    return np.nan, np.nan, np.nan


@compiled
def _forward(x, radius, fraction, scheme):
    """State: derivatives of each row by x, (rows, 3)."""
    n = radius.size
    y, slope = np.empty(n), np.empty((n, 3))
    m, p, h = x[0], x[1], x[2]
    good = m > 0.0 and p > 0.0 and h > 0.0
    for i in range(n):
        k = 1.0 / (1.0 / p + 1.0 / (radius[i] * h))
        e, by_k, by_m = _effective(scheme[0], k, m, fraction[i])
        y[i] = e if good else np.nan
        slope[i, 0], slope[i, 1], slope[i, 2] = by_m, by_k * (k / p) ** 2, by_k * k * k / (radius[i] * h * h)
    if np.isnan(y).any():
        y[:] = np.nan
        slope[:] = np.nan
    return y, slope


@compiled
def _pullback(x, radius, fraction, scheme, slope, y_bar):
    return y_bar @ slope


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f1 f1 i1", state="f2")


def particle_conductivity(radius: np.ndarray, fraction: np.ndarray, scheme: str = "dense") -> Kernel:
    """Kernel of composites with particles of ``radius`` at volume ``fraction`` (rows,); ``scheme`` of :data:`SCHEMES`."""
    if scheme not in SCHEMES:
        raise unknown("scheme", scheme, SCHEMES)
    data = (np.array(radius, float), np.array(fraction, float), np.array([SCHEMES.index(scheme)], dtype=np.int64))
    return Kernel(CODE, data, np.array([2.0, 7.0, 9.0 / float(np.mean(radius))]))
