"""The conductive cell as a table: its answer over all conductivities in microseconds, with a measured error.

The effective conductivity of an array of equal symmetry is isotropic and scales with the matrix, A = k_m kappa(b, s, v), with

    b = (k' - k_m) / (k' + k_m) in (-1, 1),   1 / k' = 1 / k_i + 1 / (h R),   s = k_i / (k_i + h R) in (0, 1)

b is the polarisability of an inclusion in its dipole field, s the share of its surface in its resistance (0 in perfect contact). In these
variables every conductivity and conductance lies in one box, and ln kappa is smooth (in perfect contact it is odd in b, Keller's duality, but for
the mesh): its Chebyshev series, in ln(r_t - r) for the radius r = sqrt v (r_t: where inclusions touch), is computed once from the full cell
(offline) and summed with its exact derivative (online). Where v lies outside the table the full cell answers.

Vector in and out: as in :mod:`.conductive_cell`. Error: relative to the full cell, measured at random points when the table is made.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hmminfer.engine.cache import cached_arrays
from hmminfer.engine.fingerprint import fingerprint_of
from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled
from hmminfer.micro import conductive_cell as full
from hmminfer.micro.cell_mesh import MAX_FRACTION
from hmminfer.terminal import track

FRACTIONS = (0.02, 0.95)  # of the touching fraction: the table's reach
TERMS = {False: (26, 1, 14), True: (44, 8, 18)}  # of b, s and v: without and with a resisting surface
BLOCK = 128  # points summed together: their series stay in the processor's cache, and matrices so small in one thread of BLAS


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _chebyshev(x, t, d):
    """T_k(x) and T_k'(x) of many points x into the rows of ``t`` and ``d`` (terms, points)."""
    for i in range(x.size):
        t[0, i], d[0, i] = 1.0, 0.0
    if t.shape[0] > 1:
        for i in range(x.size):
            t[1, i], d[1, i] = x[i], 1.0
    for k in range(2, t.shape[0]):
        for i in range(x.size):
            t[k, i] = 2.0 * x[i] * t[k - 1, i] - t[k - 2, i]
            d[k, i] = 2.0 * t[k - 1, i] + 2.0 * x[i] * d[k - 1, i] - d[k - 2, i]


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _series(place, coefficients, out):
    """kappa and its derivatives by b, s and w, ``out`` (4, points), at ``place`` (3, points); ``coefficients`` (terms of s, of b, of w).

    The sums over w are matrix products; all other loops run over the points, as vectors.
    """
    ns, nb, nw = coefficients.shape
    n = place.shape[1]
    tb, db, ts, ds, tw, dw = (np.empty((nb, n)), np.empty((nb, n)), np.empty((ns, n)), np.empty((ns, n)), np.empty((nw, n)), np.empty((nw, n)))
    row, along_w = np.empty((nb, n)), np.empty((nb, n))
    _chebyshev(place[0], tb, db)
    _chebyshev(place[1], ts, ds)
    _chebyshev(place[2], tw, dw)
    for k in range(4):
        for i in range(n):
            out[k, i] = 0.0
    for j in range(ns):
        np.dot(coefficients[j], tw, row)
        np.dot(coefficients[j], dw, along_w)
        for k in range(nb):
            for i in range(n):
                a = row[k, i] * ts[j, i]
                out[0, i] += a * tb[k, i]
                out[1, i] += a * db[k, i]
                out[3, i] += along_w[k, i] * ts[j, i] * tb[k, i]
            if ns > 1:
                for i in range(n):
                    out[2, i] += row[k, i] * ds[j, i] * tb[k, i]
    for i in range(n):
        kappa = np.exp(out[0, i])
        out[0, i] = kappa
        out[1, i] *= kappa
        out[2, i] *= 2.0 * kappa  # s runs from 0 to 1
        out[3, i] *= kappa


@compiled
def _place(p, gap, radius):
    """b, 2 s - 1, w; ``gap`` = [middle and half length of ln(r_t - r), r_t, lowest v, highest v, whether surfaces resist, error]."""
    surface = p[2] * radius
    if gap[5] > 0.0:
        k = p[1] * surface / (p[1] + surface)
        s = 2.0 * p[1] / (p[1] + surface) - 1.0
    else:
        k, s = p[1], 0.0
    return (k - p[0]) / (k + p[0]), s, (np.log(gap[2] - np.sqrt(p[3])) - gap[0]) / gap[1]


@compiled
def _inside(p, gap):
    positive = p[0] > 0.0 and p[1] > 0.0 and p[2] > 0.0 and p[4] > 0.0 and p[5] > 0.0
    return positive and gap[3] <= p[3] <= gap[4] and p[1] < np.inf


@compiled
def _forward(p, coefficients, gap, a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes):
    """State: kappa and its derivatives."""
    if _inside(p, gap):
        place, kappa = np.empty((3, 1)), np.empty((4, 1))
        place[0, 0], place[1, 0], place[2, 0] = _place(p, gap, sizes[3])
        _series(place, coefficients, kappa)
        k = p[0] * kappa[0, 0]
        return np.array([k, k, 0.0, p[3] * p[5] + (1.0 - p[3]) * p[4]]), kappa[:, 0].copy()
    y = full._forward(p, a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes)[0]
    return y, np.full(4, y[0] / p[0])


@compiled
def _carry(p, gap, radius, kappa, y_bar, out):
    """The cotangent of p inside the table, into ``out``."""
    out[:] = 0.0
    bar = y_bar[0] + y_bar[1]
    m, surface = p[0], p[2] * radius
    r = np.sqrt(p[3])
    out[3] = bar * m * kappa[3] / (gap[1] * (r - gap[2]) * 2.0 * r) + y_bar[3] * (p[5] - p[4])
    out[4], out[5] = y_bar[3] * (1.0 - p[3]), y_bar[3] * p[3]
    k = p[1] * surface / (p[1] + surface) if gap[5] > 0.0 else p[1]
    slope = bar * m * kappa[1] * 2.0 / (k + m) ** 2  # db = 2 (m dk - k dm) / (k + m)^2
    out[0] = bar * kappa[0] - slope * k
    if gap[5] > 0.0:
        total = (p[1] + surface) ** 2
        out[1] = slope * m * surface**2 / total + bar * m * kappa[2] * surface / total
        out[2] = (slope * m * p[1] ** 2 / total - bar * m * kappa[2] * p[1] / total) * radius
    else:
        out[1] = slope * m


@compiled
def _pullback(p, coefficients, gap, a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes, kappa, y_bar):
    if not _inside(p, gap):  # solved once more for the rare point outside
        cell = (a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes)
        _, w, parts = full._forward(p, *cell)
        return full._pullback(p, *cell, w, parts, y_bar)
    out = np.empty(6)
    _carry(p, gap, sizes[3], kappa, y_bar, out)
    return out


@compiled
def _each_forward(x, count, coefficients, gap, a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes):
    """Many points in one loop, :data:`BLOCK` at a time: what a call costs would be most of it. State: kappa, derivatives (points, 4)."""
    n, cell = count[0], (a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes)
    y, state = np.empty(4 * n), np.empty((n, 4))
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        place, kappa = np.zeros((3, size)), np.empty((4, size))
        for i in range(size):
            p = x[6 * (begin + i) : 6 * (begin + i) + 6]
            if _inside(p, gap):
                place[0, i], place[1, i], place[2, i] = _place(p, gap, sizes[3])
        _series(place, coefficients, kappa)
        for i in range(size):
            at = begin + i
            p = x[6 * at : 6 * at + 6]
            if _inside(p, gap):
                for k in range(4):
                    state[at, k] = kappa[k, i]
                y[4 * at] = y[4 * at + 1] = p[0] * kappa[0, i]
                y[4 * at + 2] = 0.0
                y[4 * at + 3] = p[3] * p[5] + (1.0 - p[3]) * p[4]
            else:
                y[4 * at : 4 * at + 4], state[at] = _forward(p.copy(), coefficients, gap, *cell)
    if np.isnan(y).any():
        y[:] = np.nan
    return y, state


@compiled
def _each_pullback(x, count, coefficients, gap, a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes, state, y_bar):
    x_bar, cell = np.empty(x.size), (a, b, connectivity, slot, is_fibre, gradient, weight, edges, form, sizes)
    for i in range(count[0]):
        p, bar = x[6 * i : 6 * i + 6], y_bar[4 * i : 4 * i + 4]
        if _inside(p, gap):
            _carry(p, gap, sizes[3], state[i], bar, x_bar[6 * i : 6 * i + 6])
        else:
            x_bar[6 * i : 6 * i + 6] = _pullback(p.copy(), coefficients, gap, *cell, state[i], bar.copy())
    return x_bar


_DATA = "f3 f1 f2 f2 i2 i1 i1 f3 f1 i3 f3 f1"
EACH = Code((__name__, "EACH"), _each_forward, _each_pullback, data=f"i1 {_DATA}", state="f2")
CODE = Code((__name__, "CODE"), _forward, _pullback, data=_DATA, state="f1", each=EACH)


@cache
def conductive_table(packing: str = "square", n: int = 4, interface: bool = False, radius: float = 1.0) -> Kernel:
    """Kernel of the tabulated cell; arguments as :func:`.conductive_cell.conductive_cell`. The table is made once and kept on disk."""
    cell = full.conductive_cell(packing, n, interface, radius)
    code = fingerprint_of(_make, full._forward)
    key = repr((packing, n, interface, TERMS[interface], FRACTIONS, code))
    unit = full.conductive_cell(packing, n, interface)
    arrays = cached_arrays("conductive_table", key, lambda: _make(unit, packing, TERMS[interface], interface))
    data = (arrays["coefficients"], arrays["gap"], *cell.data)
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), cell.example)


def table_error(kernel: Kernel) -> float:
    """Largest relative error of the table against the full cell that was measured when it was made."""
    return float(kernel.data[1][6])


def _make(cell: Kernel, packing: str, terms: tuple[int, int, int], interface: bool) -> dict[str, np.ndarray]:
    """Chebyshev interpolation in b, s and ln(r_t - r), and its error at random points, a third of them on the faces of the box."""
    low, high = (f * MAX_FRACTION[packing] for f in FRACTIONS)
    high = min(high, float(cell.data[-1][1]))
    touching = np.sqrt(MAX_FRACTION[packing])
    ends = np.log(touching - np.sqrt([high, low]))
    middle, half = ends.mean(), 0.5 * (ends[1] - ends[0])

    def log_kappa(b: float, s: float, w: float) -> float:
        k = (1.0 + b) / (1.0 - b)
        k_i, surface = (k / (1.0 - s), k / s) if interface else (k, 1.0)
        r = touching - np.exp(middle + half * w)
        return float(np.log(cell(np.array([1.0, k_i, surface, r * r, 1.0, 1.0]))[0]))

    angles = [np.pi * (np.arange(m) + 0.5) / m for m in terms]
    b, s, w = (np.cos(t) for t in angles)
    s = 0.5 * (s + 1.0) if interface else np.zeros(1)
    values: Any = np.array([[[log_kappa(x, y, z) for z in w] for y in s] for x in track(b, "making a table of the cell, once", show=len(s) > 1)])
    for axis, (m, t) in enumerate(zip(terms, angles, strict=True)):
        to_series = 2.0 / m * np.cos(np.outer(np.arange(m), t))
        to_series[0] *= 0.5
        values = np.moveaxis(np.tensordot(to_series, values, axes=(1, axis)), 0, axis)
    values = np.ascontiguousarray(values.transpose(1, 0, 2))
    rng = np.random.default_rng(0)
    at = rng.uniform(-1.0, 1.0, (3, 300))
    for i in range(300):
        if i % 9 < 3:
            at[i % 9, i] = np.copysign(1.0, at[i % 9, i])
    at[:2] *= 0.99999  # the faces themselves are phases that insulate or conduct without limit
    if not interface:
        at[1] = 0.0
    found = np.empty((4, 300))
    _series(at, values, found)
    exact = np.exp([log_kappa(x, 0.5 * (y + 1.0) if interface else 0.0, z) for x, y, z in at.T])
    error = float(np.max(np.abs(found[0] / exact - 1.0)))
    gap = np.array([middle, half, touching, low, high, float(interface), error])
    return {"coefficients": values, "gap": gap}
