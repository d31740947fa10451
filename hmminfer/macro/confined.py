r"""Confined compression of a swelling network: finite strain, fluid driven through a compressible solid, implicit in time.

          | T(t) or U(t), porous, bath c(t) |        J = 1 + du/dZ                     volume over that of the reference state
        __|_________________________________|__      du/dt = (k / J) ds/dZ             Darcy's law and balance of momentum, s = -T at the top
          | Z = h    u(Z, t)                |        s = s(J; c)                       :mod:`.swelling`: network less osmotic pressure
          | Z = 0    u = 0, no flow         |        k = k_0 ((J - 1 + w) / w)^2 exp(M (J^2 - 1) / 2)    Holmes & Mow 1990

Salt follows the bath at once (it diffuses a thousand times faster than the network consolidates). The specimen starts in equilibrium with its
first bath under a tare load; the measured thickness is that of this state, so h = thickness / J_0. In zeta = Z / h and u / h, with quadratic
elements graded to the drained side,

    h^2 int v (J / k) du/dt dzeta + int v' s dzeta + v(1) T = 0

Time: SDIRK2 (L-stable, order two) with given steps; every stage is solved by Newton's method to rounding. Gradient: discrete adjoint of the
stages, each with its own matrix; all stages are kept (2 x steps x nodes x 8 bytes).

Vector in:  Pi at the nodes, bath after bath; c_0, w, two of the network, A; k_0 (um^4/uN/s = 1e-18 m^4/N/s), M.
Vector out: rows, each at a time: displacement of the top (mm, positive in compression) or compression there (MPa), linear between steps.
Error:      second order in the step, third in the elements (fourth in the displacement of the top), where the solution is smooth.
Sources:    Terzaghi 1943; Holmes & Mow 1990, J. Biomech. 23:1145; Lai, Hou & Mow 1991; SDIRK2: Alexander 1977.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_lu, band_lu_solve
from hmminfer.engine.line import POINT, WEIGHT, shape
from hmminfer.engine.native import compiled
from hmminfer.engine.sdirk import GAMMA, KAPPA
from hmminfer.macro.swelling import N_PARAMETERS, add_to_coefficients, equilibrium, interpolation, network_facts, stress
from hmminfer.macro.time_grid import graded_grid

DISPLACEMENT, COMPRESSION = 0, 1
BY_LOAD, BY_STRAIN = 0, 1
ITERATIONS = 40


@compiled
def resistance(volume, p):
    """J / k (N s/mm^4) and its derivatives with respect to J, w, k_0, M; ``p`` ends in (c_0, w, .., A, k_0, M)."""
    water, k0, m = p[1], p[5], p[6]
    free = volume - 1.0 + water
    a = 1e6 * volume / k0 * (water / free) ** 2 * np.exp(-0.5 * m * (volume**2 - 1.0))
    return (a, a * (1.0 / volume - 2.0 / free - m * volume), a * (2.0 / water - 2.0 / free), -a / k0, -0.5 * a * (volume**2 - 1.0))


@compiled
def _system(y, rate, per_rate, side, p, c, facts, square, jacobian):
    """Internal forces r (nodes but the first) at the values ``y`` and rates, and their band matrix; d rate / d y = ``per_rate``."""
    n_e = side.size - 1
    r, ab = np.zeros(y.size), np.zeros((y.size, 7))
    out = np.empty(9)
    for e in range(n_e):
        h = side[e + 1] - side[e]
        for q in range(3):
            n, d = shape(POINT[q])
            volume, speed = 1.0, 0.0
            for i in range(3):
                k = 2 * e + i - 1
                if k >= 0:
                    volume += d[i] / h * y[k]
                    speed += n[i] * rate[k]
            stress(volume, p, c, facts, out)
            a, a_j, _, _, _ = resistance(volume, p)
            w = WEIGHT[q] * h
            for i in range(3):
                row = 2 * e + i - 1
                if row < 0:
                    continue
                r[row] += w * (square * n[i] * a * speed + d[i] / h * out[0])
                if jacobian:
                    for j in range(3):
                        k = 2 * e + j - 1
                        if k >= 0:
                            ab[k, 4 + row - k] += w * (square * n[i] * (a * per_rate * n[j] + a_j * speed * d[j] / h) + d[i] / h * out[1] * d[j] / h)
    return r, ab


@compiled
def _hold(ab, last):
    """Replace the equation of the top by y = given."""
    for k in range(max(0, last - 2), last + 1):
        ab[k, 4 + last - k] = 1.0 if k == last else 0.0


@compiled
def _stage(base, y, dt, control, target, side, p, c, facts, square):
    """Solve one stage for ``y`` in place; (success, compression of the top)."""
    per_rate, last = 1.0 / (GAMMA * dt), y.size - 1
    final = False
    step = np.empty((1, y.size))
    if control == BY_STRAIN:
        y[last] = target
    for _ in range(ITERATIONS):
        r, ab = _system(y, per_rate * (y - base), per_rate, side, p, c, facts, square, True)
        step[0] = r
        if control == BY_LOAD:
            step[0, last] += target
        else:
            step[0, last] = y[last] - target
            _hold(ab, last)
        good, pivots = band_lu(ab, 2)
        if not good or not np.all(np.isfinite(step)):
            return False, 0.0
        band_lu_solve(ab, 2, pivots, step, False)
        share = 1.0
        for _ in range(20):  # no step may leave the range of the law
            lowest = np.inf
            for e in range(side.size - 1):
                for q in range(3):
                    _, d = shape(POINT[q])
                    slope, move = 0.0, 0.0
                    for i in range(3):
                        k = 2 * e + i - 1
                        if k >= 0:
                            slope += d[i] * y[k]
                            move += d[i] * step[0, k]
                    h = side[e + 1] - side[e]
                    lowest = min(lowest, (p[1] + (slope - share * move) / h) / (p[1] + slope / h))
            if lowest > 0.3:
                break
            share *= 0.5
        y -= share * step[0]
        if final:
            r, _ = _system(y, per_rate * (y - base), per_rate, side, p, c, facts, square, False)
            return np.all(np.isfinite(r)), -r[last]
        final = share == 1.0 and np.abs(step).max() < 1e-8
    return False, 0.0


@compiled
def _forward(x, matrix, facts, side, dt, bath, control, target, first, thickness, step, share, what):
    """``dt``, ``bath``, ``control`` (steps,), ``target`` (steps, 2) at both stages; ``first`` = [first bath], ``thickness`` = [mm, tare, scale of y].

    State: u / h at the nodes but the first, after steps [0] and first stages [1] (2, steps + 1, nodes), and [J_0, compression after each step].
    """
    n, n_tail = matrix.shape[0], N_PARAMETERS + 2
    p = x[x.size - n_tail :].copy()
    n_baths = (x.size - n_tail) // n
    c = np.empty((n_baths, n))
    for b in range(n_baths):
        c[b] = matrix @ x[b * n : (b + 1) * n].copy()
    n_steps, n_y = dt.size, 2 * (side.size - 1)
    u = np.full((2, n_steps + 1, n_y), np.nan)
    more = np.full(n_steps + 2, np.nan)
    y = np.full(step.size, np.nan)
    start = equilibrium(thickness[1], p, c[first[0]], facts)
    if not (np.isfinite(start) and p[5] > 0.0 and np.isfinite(p[6])):
        return y, u, more
    more[0], more[1] = start, thickness[1]
    h = thickness[0] / start
    for i in range(n_y):
        e = (i + 1) // 2
        place = side[e] if i % 2 == 1 else 0.5 * (side[e] + side[e + 1])
        u[:, 0, i] = (start - 1.0) * place
    for s in range(n_steps):
        ends = np.empty(2)
        for k in range(2):
            ends[k] = target[s, k] if control[s] == BY_LOAD else start * (1.0 - target[s, k]) - 1.0
        u[1, s + 1] = u[0, s]
        good, _ = _stage(u[0, s], u[1, s + 1], dt[s], control[s], ends[0], side, p, c[bath[s]], facts, h**2)
        if good:
            base = u[0, s] + KAPPA * (u[1, s + 1] - u[0, s])
            u[0, s + 1] = u[1, s + 1]
            good, more[s + 2] = _stage(base, u[0, s + 1], dt[s], control[s], ends[1], side, p, c[bath[s]], facts, h**2)
        if not good:
            u[:] = np.nan
            return y, u, more
    for i in range(step.size):
        k = step[i]
        if what[i] == DISPLACEMENT:
            y[i] = thickness[2] * h * (start - 1.0 - (1.0 - share[i]) * u[0, k, n_y - 1] - share[i] * u[0, k + 1, n_y - 1])
        else:
            y[i] = thickness[2] * ((1.0 - share[i]) * more[k + 1] + share[i] * more[k + 2])
    return y, u, more


@compiled
def _adjoint_stage(base, y, dt, control, side, p, c, facts, square, y_bar, top_bar, base_bar, p_bar, c_bar):
    """From cotangents of a stage's values and of the compression at its top: adds those of its base, parameters and nodes.

    Returns the cotangents of the target and of h^2; those of nodes are kept as coefficients.
    """
    per_rate, last = 1.0 / (GAMMA * dt), y.size - 1
    rate = per_rate * (y - base)
    _, ab = _system(y, rate, per_rate, side, p, c, facts, square, True)
    v = y_bar.copy().reshape(1, y.size)
    if control == BY_STRAIN:  # compression = -r at the top
        for k in range(max(0, last - 2), last + 1):
            v[0, k] -= top_bar * ab[k, 4 + last - k]
        _hold(ab, last)
    _, pivots = band_lu(ab, 2)
    band_lu_solve(ab, 2, pivots, v, True)
    weight = -v[0]
    target_bar = v[0, last]
    if control == BY_STRAIN:
        weight[last] = -top_bar
    else:  # compression = target, whatever y
        target_bar = top_bar - v[0, last]
    square_bar = 0.0
    out = np.empty(9)
    for e in range(side.size - 1):
        h = side[e + 1] - side[e]
        for q in range(3):
            n, d = shape(POINT[q])
            volume, speed, value, slope = 1.0, 0.0, 0.0, 0.0
            for i in range(3):
                k = 2 * e + i - 1
                if k >= 0:
                    volume += d[i] / h * y[k]
                    speed += n[i] * rate[k]
                    value += n[i] * weight[k]
                    slope += d[i] / h * weight[k]
            stress(volume, p, c, facts, out)
            a, _, of_water, of_k0, of_m = resistance(volume, p)
            w = WEIGHT[q] * h
            square_bar += w * value * a * speed
            for i in range(3):
                k = 2 * e + i - 1
                if k >= 0:
                    base_bar[k] -= w * square * value * a * per_rate * n[i]
            for k in range(N_PARAMETERS):
                p_bar[k] += w * slope * out[2 + k]
            add_to_coefficients(-w * slope, out[7], out[8], c_bar)
            moved = w * square * value * speed
            p_bar[1] += moved * of_water
            p_bar[5] += moved * of_k0
            p_bar[6] += moved * of_m
    return target_bar, square_bar


@compiled
def _pullback(x, matrix, facts, side, dt, bath, control, target, first, thickness, step, share, what, u, more, y_bar):
    n, n_tail = matrix.shape[0], N_PARAMETERS + 2
    x_bar = np.zeros(x.size)
    if np.isnan(u[0, dt.size, 0]) or np.isnan(more[0]):
        x_bar[:] = np.nan
        return x_bar
    p, p_bar = x[x.size - n_tail :].copy(), x_bar[x.size - n_tail :]
    n_baths, n_steps, n_y = (x.size - n_tail) // n, dt.size, u.shape[2]
    c = np.empty((n_baths, n))
    for b in range(n_baths):
        c[b] = matrix @ x[b * n : (b + 1) * n].copy()
    start = more[0]
    h = thickness[0] / start
    u_bar, top_bar = np.zeros((n_steps + 1, n_y)), np.zeros(n_steps + 1)
    start_bar, square_bar = 0.0, 0.0
    for i in range(step.size):
        k, bar = step[i], thickness[2] * y_bar[i]
        if what[i] == DISPLACEMENT:
            u_bar[k, n_y - 1] -= h * (1.0 - share[i]) * bar
            u_bar[k + 1, n_y - 1] -= h * share[i] * bar
            moved = start - 1.0 - (1.0 - share[i]) * u[0, k, n_y - 1] - share[i] * u[0, k + 1, n_y - 1]
            start_bar += bar * (h - h / start * moved)
        else:
            top_bar[k] += (1.0 - share[i]) * bar
            top_bar[k + 1] += share[i] * bar
    base_bar, c_bar = np.empty(n_y), np.zeros((n_baths, n))
    for s in range(n_steps - 1, -1, -1):
        of_c = c_bar[bath[s]]
        base = u[0, s] + KAPPA * (u[1, s + 1] - u[0, s])
        base_bar[:] = 0.0
        of_end, of_square = _adjoint_stage(
            base, u[0, s + 1], dt[s], control[s], side, p, c[bath[s]], facts, h**2, u_bar[s + 1], top_bar[s + 1], base_bar, p_bar, of_c
        )
        square_bar += of_square
        u_bar[s] += (1.0 - KAPPA) * base_bar
        of_first = KAPPA * base_bar
        base_bar[:] = 0.0
        of_middle, of_square = _adjoint_stage(
            u[0, s], u[1, s + 1], dt[s], control[s], side, p, c[bath[s]], facts, h**2, of_first, 0.0, base_bar, p_bar, of_c
        )
        square_bar += of_square
        u_bar[s] += base_bar
        if control[s] == BY_STRAIN:
            start_bar += of_end * (1.0 - target[s, 1]) + of_middle * (1.0 - target[s, 0])
    for i in range(n_y):
        e = (i + 1) // 2
        start_bar += u_bar[0, i] * (side[e] if i % 2 == 1 else 0.5 * (side[e] + side[e + 1]))
    start_bar -= 2.0 * h**2 / start * square_bar
    out = np.empty(9)
    stress(start, p, c[first[0]], facts, out)
    pull = -start_bar / out[1]
    for k in range(N_PARAMETERS):
        p_bar[k] += pull * out[2 + k]
    add_to_coefficients(-pull, out[7], out[8], c_bar[first[0]])
    x_bar[: n_baths * n] = (c_bar @ matrix).ravel()
    return x_bar


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f2 f1 f1 f1 i1 i1 f2 i1 f1 i1 f1 i1", state="f3 f1")


def graded(n: int, ratio: float) -> np.ndarray:
    """n + 1 places from 0 to 1, each interval ``ratio`` times as long as the one before."""
    length = ratio ** np.arange(n)
    return np.concatenate([[0.0], np.cumsum(length) / length.sum()])


def confined_kernel(
    charges: tuple[float, float, int],
    rt: float,
    thickness: float,
    tare: float,
    first_bath: int,
    edges: np.ndarray,
    bath: Any,
    control: Any,
    target: Any,
    what: Any,
    times: Any,
    side: np.ndarray,
    network: int,
    example: Any,
    scale: float = 1.0,
) -> Kernel:
    """Kernel of one confined compression.

    Parameters
    ----------
    charges, rt, network : as in :func:`.swelling.equilibrium_kernel`.
    thickness : mm, in equilibrium with bath ``first_bath`` under the compression ``tare`` (MPa).
    edges : (steps + 1,) times of the steps, s. bath, control (BY_LOAD or BY_STRAIN) : (steps,).
    target : (times (n,), steps (n,)) -> compression (MPa), or strain relative to the initial thickness, at these times within these steps.
    side : (elements + 1,) ends of the elements over the height, from 0 to 1.
    what, times : (rows,) DISPLACEMENT or COMPRESSION, and its time (s).
    example : Pi at the nodes in each bath, the five parameters of the equilibrium, k_0 and M.
    scale : of both outputs; 1000 gives um and kPa.
    """
    grid = graded_grid(times, edges)
    given = np.stack([target(grid.stages[:, k], np.arange(len(grid.stages))) for k in range(2)], axis=1)
    data = (
        interpolation(*charges),
        network_facts(charges[0], charges[1], rt, network),
        side,
        grid.dt,
        np.asarray(bath, np.int64),
        np.asarray(control, np.int64),
        given.astype(float),
        np.array([first_bath], dtype=np.int64),
        np.array([thickness, tare, scale]),
        grid.step,
        grid.share,
        np.asarray(what, np.int64),
    )
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), np.asarray(example, float))
