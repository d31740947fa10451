"""Transient conduction in a plane domain: finite elements in space, an L-stable implicit method of order two with fixed steps in time.

    c dT/dt - div(A grad T) = f(x) s(t),    T = g or n . A grad T = q on the boundary (constant in time),    T(0) given

A and c are effective data of zones, as in :mod:`.elliptic`. Time steps (SDIRK2 of Alexander 1977, gamma = 1 - 1/sqrt 2) need one matrix

    S = M + gamma dt K:    S Y1 = M T_n + gamma dt F1,    S Y2 = M (T_n + kappa (Y1 - T_n)) + gamma dt F2,    T_(n+1) = Y2

with kappa = (1 - gamma) / gamma, factored once for all steps. The step depends on no parameter.

Vector in:  A11, A22, A12, c of zone 0, then of zone 1, ...
Vector out: row i is a linear functional of the nodal values at a time, between two steps by linear interpolation.
Gradient:   discrete adjoint, backward in time with the kept factor; all stages are kept (2 x steps x nodes x 8 bytes).
Error:      second order in the step, order degree + 1 in space, where the solution is smooth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve
from hmminfer.engine.native import compiled
from hmminfer.engine.sdirk import GAMMA, KAPPA
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import add_stiffness, pieces
from hmminfer.macro.time_grid import time_grid


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _mass_times(c, dofs, zone, unit, u, n_free):
    """Free part of M u, for ``u`` that is zero at prescribed values."""
    out = np.zeros(n_free)
    for e in range(dofs.shape[0]):
        for i in range(dofs.shape[1]):
            row = dofs[e, i]
            if row >= n_free:
                continue
            s = 0.0
            for j in range(dofs.shape[1]):
                k = dofs[e, j]
                if k < n_free:
                    s += unit[e, i, j] * u[k]
            out[row] += c[zone[e]] * s
    return out


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _add_outer(weight, v, u, dofs, total):
    """Add weight v u^T of each element to ``total`` (elements, nodes, nodes)."""
    for e in range(dofs.shape[0]):
        for i in range(dofs.shape[1]):
            a = weight * v[dofs[e, i]]
            for j in range(dofs.shape[1]):
                total[e, i, j] += a * u[dofs[e, j]]


@compiled
def _forward(x, dofs, zone, unit, mass, load, shape, prescribed, start, indptr, indices, values, step, share, dt, sizes):
    """``shape`` (steps, 2): s(t) at both stages; ``step``, ``share`` (rows,): y = (1 - share) H T_step + share H T_(step+1).

    Capacities are integrated piece by piece, as tensors are; ``sizes`` = [band]. State: T and Y1 at all steps (2, steps + 1, unknowns), the factor.
    """
    n_free, n_steps = load.size - prescribed.size, shape.shape[0]
    tensors = x.reshape(-1, 4)
    capacity = tensors[:, 3].copy()
    scale = GAMMA * dt[0]
    ab = np.zeros((n_free, sizes[0] + 1))
    held = np.zeros(load.size)
    held[n_free:] = prescribed
    add_stiffness(tensors, scale, dofs, zone, unit, ab, held)  # -gamma dt K_fp u_p in the free part
    for e in range(dofs.shape[0]):
        for i in range(dofs.shape[1]):
            row = dofs[e, i]
            for j in range(dofs.shape[1]):
                c = dofs[e, j]
                if c <= row < n_free:
                    ab[c, row - c] += capacity[zone[e]] * mass[e, i, j]
    t = np.zeros((2, n_steps + 1, load.size))
    y = np.full(step.size, np.nan)
    if capacity.min() > 0.0 and band_cholesky(ab) and not np.isnan(ab[n_free - 1, 0]):
        t[0, 0, :n_free] = start
        t[:, :, n_free:] = prescribed
        b = np.empty((1, n_free))
        for n in range(n_steps):
            now = t[0, n, :n_free].copy()
            b[0] = _mass_times(capacity, dofs, zone, mass, now, n_free)
            b[0] += held[:n_free] + scale * shape[n, 0] * load[:n_free]
            band_solve(ab, b)
            t[1, n, :n_free] = b[0]
            now += KAPPA * (b[0] - now)
            b[0] = _mass_times(capacity, dofs, zone, mass, now, n_free)
            b[0] += held[:n_free] + scale * shape[n, 1] * load[:n_free]
            band_solve(ab, b)
            t[0, n + 1, :n_free] = b[0]
        for i in range(step.size):
            s = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                s += values[k] * ((1.0 - share[i]) * t[0, step[i], indices[k]] + share[i] * t[0, step[i] + 1, indices[k]])
            y[i] = s
        if np.isnan(y).any():
            y[:] = np.nan
    else:
        t[:] = np.nan
    return y, t, ab


@compiled
def _pullback(x, dofs, zone, unit, mass, load, shape, prescribed, start, indptr, indices, values, step, share, dt, sizes, t, ab, y_bar):
    n_free, n_steps = load.size - prescribed.size, shape.shape[0]
    x_bar = np.zeros(x.size)
    if np.isnan(t[0, 0, 0]) or np.isnan(y_bar[0]):
        x_bar[:] = np.nan
        return x_bar
    tensors = x.reshape(-1, 4)
    capacity = tensors[:, 3].copy()
    scale = GAMMA * dt[0]
    t_bar = np.zeros((n_steps + 1, n_free))
    for i in range(step.size):
        for k in range(indptr[i], indptr[i + 1]):
            if indices[k] < n_free:
                t_bar[step[i], indices[k]] += (1.0 - share[i]) * values[k] * y_bar[i]
                t_bar[step[i] + 1, indices[k]] += share[i] * values[k] * y_bar[i]
    of_stiffness = np.zeros((dofs.shape[0], dofs.shape[1], dofs.shape[1]))
    of_mass = np.zeros(mass.shape)
    mu = np.zeros((1, n_free))
    full, change = np.zeros(load.size), np.zeros(load.size)
    for n in range(n_steps - 1, -1, -1):
        now, first, after = t[0, n, :n_free], t[1, n, :n_free], t[0, n + 1, :n_free]
        mu[0] = t_bar[n + 1]
        band_solve(ab, mu)
        full[:n_free] = mu[0]
        _add_outer(-scale, full, t[0, n + 1], dofs, of_stiffness)
        change[:n_free] = now + KAPPA * (first - now) - after
        _add_outer(1.0, full, change, dofs, of_mass)
        back = _mass_times(capacity, dofs, zone, mass, mu[0], n_free)
        t_bar[n] += (1.0 - KAPPA) * back
        mu[0] = KAPPA * back
        band_solve(ab, mu)
        full[:n_free] = mu[0]
        _add_outer(-scale, full, t[1, n], dofs, of_stiffness)
        change[:n_free] = now - first
        _add_outer(1.0, full, change, dofs, of_mass)
        t_bar[n] += _mass_times(capacity, dofs, zone, mass, mu[0], n_free)
    for p in range(dofs.shape[0]):
        for k in range(3):
            x_bar[4 * zone[p] + k] += np.sum(unit[p, k] * of_stiffness[p])
    for e in range(dofs.shape[0]):
        x_bar[4 * zone[e] + 3] += np.sum(mass[e] * of_mass[e])
    return x_bar


CODE = Code((__name__, "CODE"), _forward, _pullback, data="i2 i1 f4 f3 f1 f2 f1 f1 i1 i1 f1 i1 f1 f1 i1", state="f3 f2")


def parabolic_kernel(
    domain: Domain,
    fixed: np.ndarray,
    value: np.ndarray,
    load: np.ndarray,
    start: np.ndarray,
    duration: float,
    steps: int,
    observe: Any,
    times: np.ndarray,
    shape: Any = None,
    zone: np.ndarray | None = None,
) -> Kernel:
    """Kernel of one transient.

    Parameters
    ----------
    fixed, value, load, zone : as in :func:`.elliptic.elliptic_kernel`, but ``fixed`` may be False everywhere.
    start : (nodes,) values at time 0.
    duration, steps : the computed time, and the number of its equal steps.
    observe, times : (rows, nodes) sparse functionals and (rows,) the time of each.
    shape : s(t) of the load; constant by default.
    """
    grid = time_grid(times, duration, steps)
    u = domain.numbering(np.asarray(fixed, bool)[:, None])
    dofs, of, unit = pieces(domain, zone, u)
    observe = csr_array(observe)
    everything = np.concatenate([u.free, u.held])
    data = (
        dofs,
        of,
        unit,
        domain.unit_mass(zone),
        np.asarray(load, float)[everything],
        np.ones_like(grid.stages) if shape is None else np.asarray(shape(grid.stages), float),
        np.asarray(value, float)[u.held],
        np.asarray(start, float)[u.free],
        observe.indptr.astype(np.int64),
        u.number[observe.indices],
        observe.data.astype(float),
        grid.step,
        grid.share,
        np.array([grid.dt]),
        np.array([u.band], dtype=np.int64),
    )
    example = np.tile([1.3, 0.9, 0.2, 1.5], int(of.max()) + 1)
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), example)
