"""Conduction in a square cell of any known pattern: a(y) = sum_m x_m phi_m(y) on a regular grid of bilinear elements.

For coefficients that vary smoothly or jump along grid lines: locally periodic media a(x, x / eps), with slow factors x_m asked at each macro
point, and random checkerboards, with the same realisation for every x (common random numbers). A cell may hold several periods.

Boundary conditions of the micro problem div a grad u = 0 under a macro gradient G (E, Ming & Zhang 2005; Yue & E 2007):

    periodic     u = G.y + w, w periodic: no modelling error where the cell holds whole periods
    dirichlet    u = G.y on the boundary
    flux         n . a grad u = n . q on the boundary for the constant q whose mean gradient is G (linear fluxes)

With any other cell, or one that does not hold whole periods, the error is a few times period over cell size, whatever the grid: see the
numbers in the tests before inferring conductivities with one.

Vector in: x.  Vector out: A11, A22, A12, the unit of a. Error: second order in the grid where a is smooth in each element; where it is smooth
everywhere, the answers on two grids extrapolate to an error of fourth order (``meshes`` = 2): for s = c (sin 2 pi y1 + 9/8)(cos 2 pi y2 + 9/8),
whose tensor is the identity, 2.4 % and 0.60 % on 16 and 32 elements to a period, together 0.010 %. This s varies 289-fold over a period; the error
grows with that range and with what varies within an element, so that a sharper pattern is to be tried on two grids first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_array

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve, bandwidth_order
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError, unknown

BOUNDARIES = ("periodic", "dirichlet", "flux")


@compiled
def _answer(x, forms, flux):
    """A = sum x_m F_m, or its inverse where fluxes were prescribed."""
    a00 = a11 = a01 = 0.0
    for m in range(x.size):
        a00 += x[m] * forms[m, 0, 0]
        a11 += x[m] * forms[m, 1, 1]
        a01 += x[m] * forms[m, 0, 1]
    if flux:
        det = a00 * a11 - a01 * a01
        return np.array([a11 / det, a00 / det, -a01 / det])
    return np.array([a00, a11, a01])


@compiled
def _forward(x, phi, slot, gradient, rim, sizes):
    """``phi`` (elements, points, terms); ``slot`` (elements, 4), -1 where nothing is solved; ``rim`` (2, slots): boundary load of unit fluxes;
    ``sizes`` = [band, slots, flux or not]. State: forms <phi_m g_i . g_j> (terms, 2, 2) of the gradients g of both unit problems.
    """
    n_e, n_p, n_m = phi.shape
    flux = sizes[2] == 1
    ab = np.zeros((sizes[1], sizes[0] + 1))
    w = rim.copy()
    share = 1.0 / (n_e * n_p)
    positive = True
    for e in range(n_e):
        for q in range(n_p):
            a = 0.0
            for m in range(n_m):
                a += x[m] * phi[e, q, m]
            positive = positive and a > 0.0
            a *= share
            for i in range(4):
                si = slot[e, i]
                if si < 0:
                    continue
                g0, g1 = a * gradient[q, i, 0], a * gradient[q, i, 1]
                if not flux:
                    w[0, si] -= g0
                    w[1, si] -= g1
                for j in range(4):
                    sj = slot[e, j]
                    if 0 <= sj <= si:
                        ab[sj, si - sj] += g0 * gradient[q, j, 0] + g1 * gradient[q, j, 1]
    forms = np.full((n_m, 2, 2), np.nan)
    if not positive or not band_cholesky(ab):
        return np.full(3, np.nan), forms
    band_solve(ab, w)
    forms[:] = 0.0
    total = np.zeros((2, 2))
    for e in range(n_e):
        for q in range(n_p):
            for k in range(2):
                total[k, 0] = total[k, 1] = 0.0
                if not flux:
                    total[k, k] = 1.0
                for i in range(4):
                    s = slot[e, i]
                    if s >= 0:
                        total[k, 0] += gradient[q, i, 0] * w[k, s]
                        total[k, 1] += gradient[q, i, 1] * w[k, s]
            g00 = total[0, 0] ** 2 + total[0, 1] ** 2
            g11 = total[1, 0] ** 2 + total[1, 1] ** 2
            g01 = total[0, 0] * total[1, 0] + total[0, 1] * total[1, 1]
            for m in range(n_m):
                f = share * phi[e, q, m]
                forms[m, 0, 0] += f * g00
                forms[m, 1, 1] += f * g11
                forms[m, 0, 1] += f * g01
                forms[m, 1, 0] += f * g01
    return _answer(x, forms, flux), forms


@compiled
def _pullback(x, phi, slot, gradient, rim, sizes, forms, y_bar):
    bar = np.array([[y_bar[0], 0.5 * y_bar[2]], [0.5 * y_bar[2], y_bar[1]]])
    if sizes[2] == 1:  # A = S^-1 and dS = -sum F_m dx_m: dA = A (sum F_m dx_m) A
        y = _answer(x, forms, True)
        a = np.array([[y[0], y[2]], [y[2], y[1]]])
        bar = a @ bar @ a
    out = np.empty(x.size)
    for m in range(x.size):
        out[m] = np.sum(bar * forms[m])
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f3 i2 f3 f2 i1", state="f3")


@compiled
def _two_forward(x, phi, slot, gradient, rim, sizes, coarse_phi, coarse_slot, coarse_gradient, coarse_rim, coarse_sizes):
    """(4 A_h - A_2h) / 3: the error of order h^2 cancels."""
    y, forms = _forward(x, phi, slot, gradient, rim, sizes)
    coarse_y, coarse_forms = _forward(x, coarse_phi, coarse_slot, coarse_gradient, coarse_rim, coarse_sizes)
    return (4.0 * y - coarse_y) / 3.0, forms, coarse_forms


@compiled
def _two_pullback(x, phi, slot, gradient, rim, sizes, coarse_phi, coarse_slot, coarse_gradient, coarse_rim, coarse_sizes, forms, coarse_forms, y_bar):
    fine = _pullback(x, phi, slot, gradient, rim, sizes, forms, y_bar)
    coarse = _pullback(x, coarse_phi, coarse_slot, coarse_gradient, coarse_rim, coarse_sizes, coarse_forms, y_bar)
    return (4.0 * fine - coarse) / 3.0


TWO = Code((__name__, "TWO"), _two_forward, _two_pullback, data=f"{CODE.data} {CODE.data}", state="f3 f3")


def pattern_cell(
    phi: Callable[[np.ndarray, np.ndarray], list] | np.ndarray,
    n: int = 16,
    boundary: str = "periodic",
    corner: tuple[float, float] = (0.0, 0.0),
    size: float = 1.0,
    meshes: int = 1,
) -> Kernel:
    """Kernel of a cell with n x n elements.

    Parameters
    ----------
    phi : function (y1, y2) -> list of terms, on the cell ``corner`` + [0, size]^2 in units of the period; or an array (m, m) of phase
        numbers, a checkerboard of m x m squares filling the cell, whose x are the conductivities of the phases.
    boundary : of :data:`BOUNDARIES`; a periodic cell should hold whole periods.
    meshes : 2 extrapolates from n x n and n/2 x n/2 elements, for a that is smooth; at the corners of a checkerboard the order is lower
        than the extrapolation takes it to be, and little is won.
    """
    if boundary not in BOUNDARIES:
        raise unknown("boundary condition of the cell", boundary, BOUNDARIES)
    if meshes not in (1, 2) or (meshes == 2 and n % 2):
        raise HmmInferError(f"A cell of {n} x {n} elements on {meshes} meshes: give 1 mesh, or 2 and an even number of elements.")
    data = _grid(phi, n, boundary, corner, size)
    if meshes == 2:
        data += _grid(phi, n // 2, boundary, corner, size)
    return Kernel(CODE if meshes == 1 else TWO, data, np.linspace(1.0, 2.0, data[0].shape[-1]))


def _grid(
    phi: Callable[[np.ndarray, np.ndarray], list] | np.ndarray, n: int, boundary: str, corner: tuple[float, float], size: float
) -> tuple[np.ndarray, ...]:
    """Arrays of one grid, in the order in which the compiled code takes them."""
    at = 0.5 + 0.5 / np.sqrt(3.0) * np.array([-1.0, 1.0])
    local = np.array([(s, t) for s in at for t in at])
    s, t = local.T
    corners = [np.stack(g, axis=-1) for g in ([t - 1, s - 1], [1 - t, -s], [t, s], [-t, 1 - s])]
    gradient = n * np.stack(corners, axis=1)  # on the unit square: A has no length
    i, j = (v.ravel() for v in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    if callable(phi):
        y1, y2 = (c + size / n * (k[:, None] + u) for c, k, u in zip(corner, (i, j), (s, t), strict=True))
        terms = np.stack([np.broadcast_to(np.asarray(p, float), y1.shape) for p in phi(y1, y2)], axis=-1)
    else:
        phases = np.asarray(phi, int)
        m = len(phases)
        if phases.shape != (m, m) or n % m:
            raise HmmInferError(
                f"A checkerboard of shape {phases.shape} does not tile a cell of {n} x {n} elements; give a square one whose side divides {n}."
            )
        mine = phases[i * m // n, j * m // n]
        terms = np.repeat((mine[:, None] == np.arange(phases.max() + 1))[:, None, :], 4, axis=1).astype(float)
    node = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    if boundary == "periodic":
        node = node[np.ix_(np.r_[0:n, 0], np.r_[0:n, 0])]
    connectivity = np.stack([node[i, j], node[i + 1, j], node[i + 1, j + 1], node[i, j + 1]], axis=1)
    solved = np.zeros((n + 1) ** 2, bool)
    solved[connectivity] = True
    if boundary == "dirichlet":
        solved[np.unique(np.concatenate([node[0], node[-1], node[:, 0], node[:, -1]]))] = False
    else:
        solved[0] = False  # known up to a constant
    slot, band = _numbered(connectivity, solved)
    rim = np.zeros((2, int(solved.sum())))
    if boundary == "flux":
        weight = np.full(n + 1, 1.0 / n)
        weight[[0, -1]] *= 0.5
        number = np.full((n + 1) ** 2, -1)
        number[connectivity] = slot
        for k, (low, high) in enumerate(((node[0], node[-1]), (node[:, 0], node[:, -1]))):
            for nodes, sign in ((low, -1.0), (high, 1.0)):
                keep = number[nodes] >= 0
                rim[k, number[nodes[keep]]] += sign * weight[keep]
    sizes = np.array([band, rim.shape[1], int(boundary == "flux")], dtype=np.int64)
    return tuple(np.ascontiguousarray(d) for d in (terms, slot, gradient, rim, sizes))


def _numbered(connectivity: np.ndarray, solved: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of the solved nodes in narrow-band order at the elements' corners (-1 elsewhere), and the half band."""
    rows, columns = np.repeat(connectivity, 4, axis=1).ravel(), np.tile(connectivity, (1, 4)).ravel()
    graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(len(solved),) * 2)
    order = bandwidth_order(graph)
    order = order[solved[order]]
    number = np.full(len(solved), -1, dtype=np.int64)
    number[order] = np.arange(len(order))
    slot = number[connectivity]
    low = np.where(slot >= 0, slot, len(order)).min(axis=1)
    return slot, int(np.max(np.maximum(slot.max(axis=1) - low, 0)))
