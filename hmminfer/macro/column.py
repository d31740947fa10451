"""Columns through which a solute flows: advection, dispersion, storage, a slow kinetic store, slow decay; nonlinear, implicit, order two.

    d/dt [ T(c) + R_k s ] + decay c = a_L v c_xx - v c_x,      ds/dt = alpha (c - s)              0 < x < L
    v c - a_L v c_x = v c_in(t) at x = 0,    c_x = 0 at x = L,    c = s = 0 at t = 0              (Danckwerts 1953)

c is the dissolved concentration, T(c) = f R(c) c the total in fast equilibrium with it. The law gives the retardation factor R at a few values
of c, at one if R is constant: R is the polynomial through them in u = c / (c + c_s), at the Chebyshev points of 0 < u < c_max / (c_max + c_s); a
law that saturates near c_s is smooth in u. So the micro problem is solved a dozen times for each theta, not at each point of each step of each
iteration. f is a factor of each column on both stores, dissolved content included (a column with more pores, for example).

Linear elements with consistent mass (group finite elements for T), SDIRK2 of :mod:`.parabolic`; s is eliminated at each stage, Newton's method
on a tridiagonal matrix. The steps are data: they end at every jump of c_in and at every time of measurement.

Vector in:  R at the points, f of column 0, 1, ... (or none: all 1), R_k, alpha, a_L, decay.
Vector out: row i is c / c_in of a column at a place and a time.
Gradient:   discrete adjoint, backward through the stages; c and s of all stages are kept (2 x 2 x steps x nodes x 8 bytes).
Error:      second order in the step and the mesh; a jump of c_in is a flux that jumps, and the L-stable method keeps the order away from it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import tridiagonal_solve
from hmminfer.engine.native import compiled
from hmminfer.engine.sdirk import GAMMA, KAPPA
from hmminfer.errors import HmmInferError

ITERATIONS = 40


def concentration_points(c_max: float, c_scale: float, count: int) -> np.ndarray:
    """Concentrations at which a column needs R, increasing."""
    u = 0.5 * c_max / (c_max + c_scale) * (1.0 - np.cos(np.pi * (np.arange(count) + 0.5) / count))
    return c_scale * u / (1.0 - u)


def scales_of(inlet: Any) -> tuple[float, float]:
    """(c_max, c_s) of columns with these inflow concentrations."""
    return float(np.max(inlet)), float(np.sqrt(np.max(inlet) * np.min(inlet)))


def _to_series(count: int) -> np.ndarray:
    """Matrix from values at the points to coefficients of powers of z = 2 u / u_max - 1 (stable for the few points allowed)."""
    from numpy.polynomial import chebyshev

    z = -np.cos(np.pi * (np.arange(count) + 0.5) / count)
    out = np.zeros((count, count))
    for k, row in enumerate(np.eye(count)):
        power = chebyshev.cheb2poly(row)
        out[: power.size, k] = power
    return out @ np.linalg.inv(chebyshev.chebvander(z, count - 1))


@compiled
def _mass_times(u, h, out):
    """out = M u for linear elements of length h."""
    n = u.size - 1
    for i in range(1, n):
        out[i] = h / 6.0 * (u[i - 1] + 4.0 * u[i] + u[i + 1])
    out[0] = h / 6.0 * (2.0 * u[0] + u[1])
    out[n] = h / 6.0 * (2.0 * u[n] + u[n - 1])


@compiled
def _matrix(density, h, flow, spread, low, diagonal, up):
    """M diag(density) + transport: flow = gamma dt v, spread = gamma dt a_L v / h; overwrites its last three arguments."""
    n = density.size - 1
    for i in range(n + 1):
        diagonal[i] = h / 1.5 * density[i] + 2.0 * spread
    for i in range(n):
        low[i + 1] = h / 6.0 * density[i] - spread - 0.5 * flow
        up[i] = h / 6.0 * density[i + 1] - spread + 0.5 * flow
    for i in (0, n):
        diagonal[i] = h / 3.0 * density[i] + spread + 0.5 * flow


@compiled
def _place_in_series(c, scales):
    """z of the polynomial at a concentration; ``scales`` = c_max, c_s."""
    return 2.0 * c / (c + scales[1]) * (scales[0] + scales[1]) / scales[0] - 1.0


@compiled
def _stored(c, series, scales, factor, store, slope, z):
    """Overwrite ``store`` with T(c) and ``slope`` with dT/dc: Horner's rule, all places at once; ``z`` is work space."""
    n = c.size
    for i in range(n):
        store[i], slope[i] = series[-1], 0.0
        z[i] = _place_in_series(c[i], scales)
    for k in range(series.size - 2, -1, -1):
        for i in range(n):
            slope[i] = slope[i] * z[i] + store[i]
            store[i] = store[i] * z[i] + series[k]
    for i in range(n):
        by_c = (1.0 + z[i]) * scales[1] / (c[i] + scales[1])  # c dz/dc
        slope[i] = factor * (store[i] + slope[i] * by_c)
        store[i] *= factor * c[i]


@compiled
def _stage(c, stored, slow, series, scales, factor, slow_store, alpha, a_l, decay, h, v, inlet, dt, work):
    """Overwrite the guess ``c`` with the solution of one stage of length dt (gamma included) from ``stored`` and ``slow``; True if found."""
    n = c.size
    exchange = alpha * dt / (1.0 + alpha * dt)
    linear = series.size == 1
    store, slope, low, diagonal, up, residual, density = work
    for _ in range(ITERATIONS):
        _stored(c, series, scales, factor, store, slope, density)
        for i in range(n):
            density[i] = store[i] - stored[i] + factor * slow_store * exchange * (c[i] - slow[i]) + dt * decay * c[i]
        _mass_times(density, h, residual)
        spread, flow = dt * a_l * v / h, dt * v
        for i in range(1, n - 1):
            residual[i] += 0.5 * flow * (c[i + 1] - c[i - 1]) - spread * (c[i + 1] - 2.0 * c[i] + c[i - 1])
        residual[0] += 0.5 * flow * (c[0] + c[1]) - spread * (c[1] - c[0]) - flow * inlet
        residual[n - 1] += 0.5 * flow * (c[n - 1] - c[n - 2]) + spread * (c[n - 1] - c[n - 2])
        for i in range(n):
            density[i] = slope[i] + factor * slow_store * exchange + dt * decay
        _matrix(density, h, flow, spread, low, diagonal, up)
        tridiagonal_solve(low, diagonal, up, residual)
        size = 0.0
        for i in range(n):
            c[i] -= residual[i]
            size = max(size, abs(residual[i]))
        if linear or not size > 3e-8 * scales[0]:  # convergence is quadratic: what is left is the square of this
            return np.isfinite(size)
    return False


@compiled
def _split(x, n_points, n_columns):
    """R, f (ones where x holds none), and (R_k, alpha, a_L, decay)."""
    factors = np.ones(n_columns)
    if x.size > n_points + 4:
        factors[:] = x[n_points : n_points + n_columns]
    return x[:n_points].copy(), factors, (x[-4], x[-3], x[-2], x[-1])


@compiled
def _times(matrix, x):
    """matrix @ x, without BLAS: quicker to compile, and as quick for a dozen numbers."""
    out = np.zeros(matrix.shape[0])
    for i in range(matrix.shape[0]):
        for j in range(x.size):
            out[i] += matrix[i, j] * x[j]
    return out


@compiled
def _forward(x, facts, first, dt, inlet, column, step, node, share, to_series, scales, sizes):
    """``facts`` (columns, 3): L, v, c_in of the pulse; ``first`` (columns + 1,): a column's steps; ``inlet`` (steps,): c at x < 0.

    ``sizes`` = [elements]. State: c and s (steps, 2, nodes) at both stages.
    """
    columns, n = facts.shape[0], sizes[0] + 1
    r, factors, (slow_store, alpha, a_l, decay) = _split(x, to_series.shape[0], columns)
    c, s = np.zeros((dt.size, 2, n)), np.zeros((dt.size, 2, n))
    y = np.full(step.size, np.nan)
    series = _times(to_series, r)
    solved = r.min() > 0.0 and factors.min() > 0.0 and slow_store >= 0.0 and alpha >= 0.0 and a_l > 0.0 and decay >= 0.0
    solved = solved and np.isfinite(x.sum())
    work = np.empty((7, n))
    for m in range(columns):
        h = facts[m, 0] / sizes[0]
        now, stored, slow = np.zeros(n), np.zeros(n), np.zeros(n)
        for k in range(first[m], first[m + 1]):
            if not solved:
                break
            rate = alpha * GAMMA * dt[k]
            base, slow_base = stored.copy(), slow.copy()
            for g in range(2):
                solved = solved and _stage(
                    now, base, slow_base, series, scales, factors[m], slow_store, alpha, a_l, decay, h, facts[m, 1], inlet[k], GAMMA * dt[k], work
                )
                if g == 0:
                    _stored(now, series, scales, factors[m], base, work[0], work[1])
                for i in range(n):
                    c[k, g, i] = now[i]
                    s[k, g, i] = (slow_base[i] + rate * now[i]) / (1.0 + rate)
                    if g == 0:
                        base[i] = stored[i] + KAPPA * (base[i] - stored[i])
                        slow_base[i] = slow[i] + KAPPA * (s[k, 0, i] - slow[i])
                    else:
                        slow[i] = s[k, 1, i]
            _stored(now, series, scales, factors[m], stored, work[0], work[1])
    if solved:
        for i in range(step.size):
            at, j = c[step[i], 1], node[i]
            y[i] = ((1.0 - share[i]) * at[j] + share[i] * at[j + 1]) / facts[column[i], 2]
    else:
        c[:] = np.nan
    return y, c, s


@compiled
def _stage_pullback(c, slow, stored_bar, slow_bar, c_bar, series, scales, factor, slow_store, alpha, a_l, decay, h, v, dt, out, series_bar, work):
    """Cotangents of a stage's starting values, overwriting those of its answers; adds those of (f, R_k, alpha, a_L, decay) to ``out``.

    ``slow``: s at the start; ``c_bar``: of the concentrations themselves, as observed.
    """
    n = c.size
    exchange = alpha * dt / (1.0 + alpha * dt)
    store, slope, low, diagonal, up, mu, density = work
    _stored(c, series, scales, factor, store, slope, density)
    for i in range(n):
        density[i] = slope[i] + factor * slow_store * exchange + dt * decay
        mu[i] = c_bar[i] + stored_bar[i] * slope[i] + slow_bar[i] * exchange
    flow, spread = dt * v, dt * a_l * v / h
    _matrix(density, h, flow, spread, low, diagonal, up)
    down = np.empty(n)
    for i in range(1, n):
        down[i] = up[i - 1]
    for i in range(n - 1):
        density[i] = low[i + 1]
    tridiagonal_solve(down, diagonal, density, mu)
    _mass_times(mu, h, up)
    of_exchange, of_factor = 0.0, 0.0
    for i in range(n):
        change = c[i] - slow[i]
        weight = stored_bar[i] - up[i]  # cotangent of T(c_i) with c held
        of_factor += weight * store[i] / factor - up[i] * slow_store * exchange * change
        out[1] -= up[i] * factor * exchange * change
        of_exchange += change * (slow_bar[i] - up[i] * factor * slow_store)
        out[4] -= dt * up[i] * c[i]
        power, z = weight * factor * c[i], _place_in_series(c[i], scales)
        for k in range(series.size):
            series_bar[k] += power
            power *= z
        if i < n - 1:
            out[3] -= dt * v / h * (c[i + 1] - c[i]) * (mu[i + 1] - mu[i])
        stored_bar[i] = up[i]
        slow_bar[i] = slow_bar[i] * (1.0 - exchange) + up[i] * factor * slow_store * exchange
    out[0] += of_factor
    out[2] += of_exchange * dt / (1.0 + alpha * dt) ** 2


@compiled
def _pullback(x, facts, first, dt, inlet, column, step, node, share, to_series, scales, sizes, c, s, y_bar):
    columns, n = facts.shape[0], sizes[0] + 1
    r, factors, (slow_store, alpha, a_l, decay) = _split(x, to_series.shape[0], columns)
    x_bar = np.zeros(x.size)
    if np.isnan(c[0, 0, 0]):
        x_bar[:] = np.nan
        return x_bar
    seen = np.zeros((dt.size, n))
    for i in range(step.size):
        weight = y_bar[i] / facts[column[i], 2]
        seen[step[i], node[i]] += (1.0 - share[i]) * weight
        seen[step[i], node[i] + 1] += share[i] * weight
    series = _times(to_series, r)
    series_bar, nothing, work = np.zeros(r.size), np.zeros(n), np.empty((7, n))
    for m in range(columns):
        h = facts[m, 0] / sizes[0]
        out = np.zeros(5)
        stored_bar, slow_bar = np.zeros(n), np.zeros(n)
        for k in range(first[m + 1] - 1, first[m] - 1, -1):
            slow = s[k - 1, 1].copy() if k > first[m] else nothing.copy()
            between = slow + KAPPA * (s[k, 0] - slow)
            _stage_pullback(
                c[k, 1],
                between,
                stored_bar,
                slow_bar,
                seen[k],
                series,
                scales,
                factors[m],
                slow_store,
                alpha,
                a_l,
                decay,
                h,
                facts[m, 1],
                GAMMA * dt[k],
                out,
                series_bar,
                work,
            )
            stored_rest, slow_rest = (1.0 - KAPPA) * stored_bar, (1.0 - KAPPA) * slow_bar
            stored_bar *= KAPPA
            slow_bar *= KAPPA
            _stage_pullback(
                c[k, 0],
                slow,
                stored_bar,
                slow_bar,
                nothing,
                series,
                scales,
                factors[m],
                slow_store,
                alpha,
                a_l,
                decay,
                h,
                facts[m, 1],
                GAMMA * dt[k],
                out,
                series_bar,
                work,
            )
            stored_bar += stored_rest
            slow_bar += slow_rest
        if x.size > r.size + 4:
            x_bar[r.size + m] = out[0]
        for i in range(4):
            x_bar[x.size - 4 + i] += out[1 + i]
    for i in range(r.size):
        for j in range(r.size):
            x_bar[j] += series_bar[i] * to_series[i, j]
    return x_bar


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f2 i1 f1 f1 i1 i1 i1 f1 f2 f1 i1", state="f3 f3")


def steps_between(events: Any, jumps: Any, step: float, growth: float) -> np.ndarray:
    """Times at which steps end, from 0: at every event, with steps of at most ``step`` + ``growth`` x (time since the last jump)."""
    at = np.unique(np.concatenate([[0.0], np.asarray(events, float), np.asarray(jumps, float)]))
    jumps = np.asarray(jumps, float)
    times = [np.zeros(1)]
    for a, b in pairwise(at):
        last = jumps[jumps <= a].max(initial=0.0)
        inside = [a + step + growth * (a - last)]
        while inside[-1] < b - 1e-9 * b:
            inside.append(inside[-1] + step + growth * (inside[-1] - last))
        stretched = a + (np.array(inside) - a) * (b - a) / (inside[-1] - a)
        stretched[-1] = b
        times.append(stretched)
    return np.concatenate(times)


def column_kernel(
    length: Any,
    velocity: Any,
    inlet: Any,
    pulse: Any,
    column: Any,
    times: Any,
    step: Any,
    growth: float = 0.05,
    place: Any = 1.0,
    points: int = 1,
    elements: int = 50,
    factors: bool = True,
) -> Kernel:
    """Kernel of several columns of one material.

    Parameters
    ----------
    length, velocity, inlet, pulse : (columns,) length, velocity of water in the pores, concentration of the inflow, and how long it lasts.
    column, times, place : (rows,) index of the column, time, and position as a share of the length.
    step, growth : (columns,) and number, see :func:`steps_between`; steps grow only after the pulse.
    points : number of concentrations at which R is given (16 are plenty), see :func:`concentration_points`; c_max is the largest of ``inlet``,
        c_s the geometric mean of the largest and the smallest.
    factors : True if the vector holds f.
    """
    column, times = np.asarray(column, np.int64), np.asarray(times, float)
    facts = np.stack(np.broadcast_arrays(length, velocity, inlet, pulse, step), axis=1).astype(float)
    if not np.all(facts > 0.0):
        raise HmmInferError("Length, velocity, inflow concentration, pulse and step of a column must be positive.")
    if not np.all(times > 0.0):
        raise HmmInferError(f"A time of measurement is {times.min():g}; a column is empty at time 0: give positive times.")
    place = np.broadcast_to(np.asarray(place, float), times.shape)
    if np.any((place < 0.0) | (place > 1.0)):
        raise HmmInferError("A place in a column is a share of its length, between 0 and 1; correct it.")
    ends, on, first, row_step = [], [], [0], np.zeros(len(times), np.int64)
    for m, (_, _, c_in, end, dt) in enumerate(facts):
        rows = np.flatnonzero(column == m)
        last = times[rows].max(initial=dt)
        events = times[rows]
        grid = steps_between(np.append(events[events < end], min(end, last)), [], dt, 0.0)
        if last > end:
            grid = np.append(grid, end + steps_between(events[events > end] - end, [], dt, growth)[1:])
        row_step[rows] = first[-1] + np.searchsorted(grid, times[rows] * (1.0 - 1e-12)) - 1
        ends.append(np.diff(grid))
        on.append(np.where(grid[1:] <= end * (1.0 + 1e-12), c_in, 0.0))
        first.append(first[-1] + len(grid) - 1)
    node = np.minimum((place * elements).astype(np.int64), elements - 1)
    data = (
        facts[:, :3],
        np.array(first, np.int64),
        np.concatenate(ends),
        np.concatenate(on),
        column,
        row_step,
        node,
        place * elements - node,
        _to_series(points),
        np.array(scales_of(facts[:, 2])),
        np.array([elements], np.int64),
    )
    f = np.linspace(0.9, 1.1, len(facts) if factors else 0)
    example = np.concatenate([np.linspace(4.0, 3.6, points), f, [2.0, 0.3, 0.05 * facts[0, 0], 0.02]])
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), example)
