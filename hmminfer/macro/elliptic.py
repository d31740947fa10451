"""Steady conduction (heat, charge, water, a pressure) in a plane domain: linear or quadratic finite elements, one factorisation.

    -div(A grad u) = f   in the domain,    u = g or  n . A grad u = q  on its boundary

A is the effective tensor that micro problems give: one for each *zone*, a zone being any set of quadrature points, down to one point each
(finite element heterogeneous multiscale method, FE-HMM: E, Ming & Zhang 2005; Abdulle 2005).

Vector in:  A11, A22, A12 of zone 0, then of zone 1, ...; further numbers that a law gives for a zone are ignored.
Vector out: rows of H u (values, derivatives: any linear functional of the nodal values) and of v^T (K u - f) (flow through a boundary
on which v is one), in the given order.
Gradient:   one adjoint solve with the kept factor, dJ/dA_k = -lambda^T K_k u summed over the pieces of a zone.
Error:      order degree + 1 in u, degree in its gradient, where the solution is smooth, in addition to the error of A itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.macro.domain import Domain, Numbering


@compiled(fastmath={"reassoc", "contract", "nsz"})
def add_stiffness(x, scale, dofs, zone, unit, ab, u):
    """Add scale K to the band ``ab`` of the free unknowns, and -scale K u of the prescribed ones to the free part of ``u``; ``x`` (zones, >= 3)."""
    n_free, n = ab.shape[0], dofs.shape[1]
    for p in range(dofs.shape[0]):
        a11, a22, a12 = scale * x[zone[p], 0], scale * x[zone[p], 1], scale * x[zone[p], 2]
        for i in range(n):
            row = dofs[p, i]
            if row >= n_free:
                continue
            for j in range(n):
                c = dofs[p, j]
                if c <= row:
                    ab[c, row - c] += a11 * unit[p, 0, i, j] + a22 * unit[p, 1, i, j] + a12 * unit[p, 2, i, j]
                elif c >= n_free:
                    u[row] -= (a11 * unit[p, 0, i, j] + a22 * unit[p, 1, i, j] + a12 * unit[p, 2, i, j]) * u[c]


@compiled(fastmath={"reassoc", "contract", "nsz"})
def stiffness_times(x, dofs, zone, unit, u):
    """K u over all unknowns, prescribed ones included."""
    out = np.zeros(u.size)
    for p in range(dofs.shape[0]):
        a11, a22, a12 = x[zone[p], 0], x[zone[p], 1], x[zone[p], 2]
        for i in range(dofs.shape[1]):
            s = 0.0
            for j in range(dofs.shape[1]):
                s += (a11 * unit[p, 0, i, j] + a22 * unit[p, 1, i, j] + a12 * unit[p, 2, i, j]) * u[dofs[p, j]]
            out[dofs[p, i]] += s
    return out


@compiled(fastmath={"reassoc", "contract", "nsz"})
def add_stiffness_bar(v, u, dofs, zone, unit, x_bar):
    """Add d(v^T K u)/dA to ``x_bar``."""
    for p in range(dofs.shape[0]):
        s0 = s1 = s2 = 0.0
        for i in range(dofs.shape[1]):
            vi = v[dofs[p, i]]
            for j in range(dofs.shape[1]):
                w = vi * u[dofs[p, j]]
                s0 += w * unit[p, 0, i, j]
                s1 += w * unit[p, 1, i, j]
                s2 += w * unit[p, 2, i, j]
        x_bar[zone[p], 0] += s0
        x_bar[zone[p], 1] += s1
        x_bar[zone[p], 2] += s2


@compiled
def rows_times(indptr, indices, values, u, out):
    """``out[i]`` = row i of a sparse matrix times u."""
    for i in range(indptr.size - 1):
        s = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            s += values[k] * u[indices[k]]
        out[i] = s


@compiled
def _forward(x, dofs, zone, unit, load, prescribed, indptr, indices, values, virtual, order, sizes):
    """``load`` (all unknowns): int f N and boundary flows; ``virtual`` (rows, all unknowns); ``sizes`` = [band, numbers of a zone]."""
    n_free = load.size - prescribed.size
    u = np.concatenate((load[:n_free], prescribed))
    ab = np.zeros((n_free, sizes[0] + 1))
    add_stiffness(x.reshape(-1, sizes[1]), 1.0, dofs, zone, unit, ab, u)
    raw = np.full(order.size, np.nan)
    if band_cholesky(ab) and not np.isnan(ab[n_free - 1, 0]):
        free = u[:n_free].copy().reshape(1, n_free)
        band_solve(ab, free)
        u[:n_free] = free[0]
        n_h = indptr.size - 1
        rows_times(indptr, indices, values, u, raw)
        if virtual.shape[0] > 0:
            raw[n_h:] = virtual @ (stiffness_times(x.reshape(-1, sizes[1]), dofs, zone, unit, u) - load)
    else:
        u[:] = np.nan
    return raw[order], u, ab


@compiled
def _pullback(x, dofs, zone, unit, load, prescribed, indptr, indices, values, virtual, order, sizes, u, ab, y_bar):
    n_free = load.size - prescribed.size
    x_bar = np.zeros(x.size)
    if np.isnan(u[0]) or np.isnan(y_bar[0]):
        x_bar[:] = np.nan
        return x_bar
    raw_bar = np.zeros(order.size)
    for i in range(order.size):
        raw_bar[order[i]] += y_bar[i]
    n_h = indptr.size - 1
    mu = np.zeros(u.size)
    if virtual.shape[0] > 0:
        mu += raw_bar[n_h:] @ virtual
    rhs = stiffness_times(x.reshape(-1, sizes[1]), dofs, zone, unit, mu) if virtual.shape[0] > 0 else np.zeros(u.size)
    for i in range(n_h):
        for k in range(indptr[i], indptr[i + 1]):
            rhs[indices[k]] += values[k] * raw_bar[i]
    adjoint = rhs[:n_free].copy().reshape(1, n_free)
    band_solve(ab, adjoint)
    mu[:n_free] -= adjoint[0]
    add_stiffness_bar(mu, u, dofs, zone, unit, x_bar.reshape(-1, sizes[1]))
    return x_bar


CODE = Code((__name__, "CODE"), _forward, _pullback, data="i2 i1 f4 f1 f1 i1 i1 f1 f2 i1 i1", state="f1 f2")


def pieces(domain: Domain, zone: np.ndarray | None, unknowns: Numbering) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dofs, zone, unit matrices) of the pieces of a domain; by default one zone everywhere."""
    if zone is None:
        zone = np.zeros(domain.weights.shape, dtype=np.int64)
    element, of, unit = domain.unit_stiffness(np.asarray(zone, np.int64))
    return np.ascontiguousarray(unknowns.dofs[element]), np.ascontiguousarray(of), unit


def elliptic_kernel(
    domain: Domain,
    fixed: np.ndarray,
    value: np.ndarray,
    load: np.ndarray,
    observe: Any,
    virtual: Sequence[np.ndarray] = (),
    zone: np.ndarray | None = None,
    order: np.ndarray | None = None,
    stride: int = 3,
) -> Kernel:
    """Kernel of one steady problem.

    Parameters
    ----------
    fixed, value : (nodes,) True where u is prescribed, and its value there.
    load : (nodes,) load vector of the source and of prescribed flows, see :meth:`Domain.load` and :meth:`Domain.edge_load`.
    observe : (rows, nodes) sparse: linear functionals of the nodal values.
    virtual : fields v (nodes,), one row v^T (K u - load) each: the flow into the domain where v is one on a boundary, zero on others.
    zone : (elements, points) index of the tensor at each quadrature point.
    order : output row i is row order[i] of (observe, virtual).
    stride : number of entries that the law gives for a zone.
    """
    fixed = np.asarray(fixed, bool)
    if not fixed.any():
        raise HmmInferError("The value is prescribed nowhere, so it is known up to a constant only; prescribe it somewhere.")
    u = domain.numbering(fixed[:, None])
    dofs, of, unit = pieces(domain, zone, u)
    observe = csr_array(observe)
    n_zones = int(of.max()) + 1
    everything = np.concatenate([u.free, u.held])
    fields = np.array([np.asarray(v, float) for v in virtual]).reshape(len(virtual), len(fixed))[:, everything]
    data = (
        dofs,
        of,
        unit,
        np.asarray(load, float)[everything],
        np.asarray(value, float)[u.held],
        observe.indptr.astype(np.int64),
        u.number[observe.indices],
        observe.data.astype(float),
        fields,
        np.arange(observe.shape[0] + len(fields)) if order is None else np.asarray(order, np.int64),
        np.array([u.band, stride], dtype=np.int64),
    )
    example = np.tile([1.3, 0.9, 0.2, *[1.0] * (stride - 3)], n_zones)
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), example)
