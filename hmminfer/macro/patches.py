r"""Equation-free profiles: instead of a macro equation, bursts of simulation in patches of cells give fluxes and losses, and steps are projected.

                 J ->  o-[patch]-o-[patch]-o-[patch]-o-[patch]-o  closed       o  macro node, u in molecules per cell
                       0          element 1          element 2     L

    int (du/dt) phi_i = int F phi_i' - int R phi_i + J phi_i(0)        quadratic elements of length h, two Gauss points, lumped mass (Simpson)

Lift: a patch at a Gauss point is filled so that it has u, u' and u'' there. The law makes the burst and restricts it:
law(u, u', u'', theta, number of the burst) -> flux F, loss R  (:mod:`hmminfer.micro.langevin_burst`). Patches cover only a part of the line; the
cells between them are never simulated.

    steady      du/dt = 0 by Newton's method to rounding; gradient by the implicit function theorem
    in time     coarse projective integration: bursts at u_n and at the midpoint, then a leap of Delta (explicit, order two);
                or the same balance with implicit leaps (SDIRK2 of Alexander 1977, L-stable, Newton's method). Exact tangents along both

Vector in:  theta, J (um/s molecules per cell), gain, background.
Vector out: row i is  gain (w_i . u) + background,  at a time for a history.
Error:      order four in h at the nodes and between them (cubic interpolation), two in Delta. An explicit leap beyond the stability limit
            gives NaN.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_lu, band_lu_solve
from hmminfer.engine.native import compiled, specialise
from hmminfer.engine.sdirk import GAMMA, KAPPA
from hmminfer.errors import HmmInferError
from hmminfer.macro.time_grid import time_grid

POINT = 0.5 * (1.0 + np.array([-1.0, 1.0]) / np.sqrt(3.0))
ITERATIONS = 40
LIFTED = 3  # numbers a patch is filled by: u, u', u''
OTHER = 3  # numbers of the vector beside theta: J, gain, background

law_forward: Any = None  # bound when the templates are compiled
law_pullback: Any = None
ask: Any = None
stage: Any = None


def slope_of(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least-squares slopes of ``values`` (times, ...): the restriction of a burst of which only counts are known."""
    centred = times - times.mean()
    return np.tensordot(centred / np.sum(centred**2), values, axes=1)


def spread(flux: Any, density: np.ndarray, spacing: float, leap: float, steps: int, loss: Any = None, source: float = 0.0) -> np.ndarray:
    """Densities (steps + 1, volumes) between closed ends: coarse projective Euler with finite volumes.

    ``flux(u, u')`` is evaluated at each face and ``loss(u)`` (none by default) in each volume, at each leap. Both can be any burst, also of a jump
    process, because only values are needed. ``source`` flows into the first volume. Stable for leaps below spacing^2 / (2 D).
    """
    out = np.empty((steps + 1, len(density)))
    out[0] = density
    for k in range(steps):
        u = out[k]
        middle, fall = 0.5 * (u[1:] + u[:-1]), np.diff(u) / spacing
        through = np.array([source, *(flux(float(c), float(s)) for c, s in zip(middle, fall, strict=True)), 0.0])
        lost = 0.0 if loss is None else np.array([loss(float(c)) for c in u])
        out[k + 1] = u - leap * (np.diff(through) / spacing + lost)
    return out


def interpolation(nodes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights (points, nodes) of cubic interpolation through the four nearest nodes."""
    weights = np.zeros((len(points), len(nodes)))
    spacing = nodes[1] - nodes[0]
    first = np.clip(np.floor((points - nodes[0]) / spacing).astype(int) - 1, 0, len(nodes) - 4)
    s = (points - nodes[first]) / spacing
    for a in range(4):
        others = [b for b in range(4) if b != a]
        weights[np.arange(len(points)), first + a] = np.prod([(s - b) / (a - b) for b in others], axis=0)
    return weights


@compiled
def _lift(q, h):
    """Value, slope and curvature at Gauss point ``q`` (rows) of the quadratic shape functions of an element's nodes (columns)."""
    at = POINT[q]
    out = np.empty((LIFTED, 3))
    out[0, 0], out[0, 1], out[0, 2] = (1.0 - at) * (1.0 - 2.0 * at), 4.0 * at * (1.0 - at), at * (2.0 * at - 1.0)
    out[1, 0], out[1, 1], out[1, 2] = (4.0 * at - 3.0) / h, (4.0 - 8.0 * at) / h, (4.0 * at - 1.0) / h
    out[2, 0], out[2, 1], out[2, 2] = 4.0 / h**2, -8.0 / h**2, 4.0 / h**2
    return out


def _ask(u, theta, h, number, *law):
    """Fluxes and losses (patches, 2) at nodal values, and their derivatives (patches, 2, 3 + p) along u, u', u'' and theta."""
    n, p = u.size - 1, theta.size
    answer, derivative = np.empty((n, 2)), np.empty((n, 2, LIFTED + p))
    at, e = np.empty(LIFTED + p + 1), np.zeros(2)
    at[LIFTED : LIFTED + p] = theta
    for i in range(n):
        lift = _lift(i % 2, h)
        for m in range(LIFTED):
            at[m] = 0.0
            for j in range(3):
                at[m] += lift[m, j] * u[i - i % 2 + j]
        at[LIFTED + p] = number + i
        out = law_forward(at, *law)
        answer[i] = out[0]
        for j in range(2):
            e[j] = 1.0
            derivative[i, j] = law_pullback(at, *law, *out[1:], e)[: LIFTED + p]
            e[j] = 0.0
    return answer, derivative


@compiled
def _balance(answer, h, source):
    """m_i du_i/dt of all nodes."""
    n = answer.shape[0]
    out = np.zeros(n + 1)
    out[0] = source
    for i in range(n):
        lift = _lift(i % 2, h)
        for j in range(3):
            out[i - i % 2 + j] += 0.5 * h * (answer[i, 0] * lift[1, j] - answer[i, 1] * lift[0, j])
    return out


@compiled
def _matrix(derivative, h):
    """d(balance)/du as a band matrix of half width 2, in the storage of :func:`hmminfer.engine.linalg.band_lu`."""
    n = derivative.shape[0]
    ab = np.zeros((n + 1, 7))
    for i in range(n):
        lift = _lift(i % 2, h)
        for j in range(3):
            flux = loss = 0.0
            for m in range(LIFTED):
                flux += derivative[i, 0, m] * lift[m, j]
                loss += derivative[i, 1, m] * lift[m, j]
            for k in range(3):
                ab[i - i % 2 + j, 4 + k - j] += 0.5 * h * (flux * lift[1, k] - loss * lift[0, k])
    return ab


@compiled
def _along(derivative, d_u, h, p):
    """d(balance) (nodes, p + 1) along theta and J, at values whose derivatives are ``d_u``."""
    n = derivative.shape[0]
    out = np.zeros((n + 1, p + 1))
    out[0, p] = 1.0
    for i in range(n):
        lift = _lift(i % 2, h)
        first = i - i % 2
        for a in range(p + 1):
            flux = derivative[i, 0, LIFTED + a] if a < p else 0.0
            loss = derivative[i, 1, LIFTED + a] if a < p else 0.0
            for j in range(3):
                for m in range(LIFTED):
                    flux += derivative[i, 0, m] * lift[m, j] * d_u[first + j, a]
                    loss += derivative[i, 1, m] * lift[m, j] * d_u[first + j, a]
            for j in range(3):
                out[first + j, a] += 0.5 * h * (flux * lift[1, j] - loss * lift[0, j])
    return out


def _steady_forward(x, start, weights, grid, *law):
    """``start`` (nodes,): first iterate; ``grid`` = [h]. State: u, and the law's derivatives there (before a last step of the size of rounding)."""
    p = x.size - OTHER
    source, gain, background = x[p:]
    h = grid[0]
    u = start.copy()
    derivative = np.empty((u.size - 1, 2, LIFTED + p))
    last = done = False
    for _ in range(ITERATIONS):
        answer, derivative = ask(u, x[:p], h, 0, *law)
        residual = _balance(answer, h, source).reshape(1, u.size)
        ab = _matrix(derivative, h)
        if not np.all(np.isfinite(residual)):
            break
        good, pivots = band_lu(ab, 2)
        if not good:
            break
        band_lu_solve(ab, 2, pivots, residual, False)
        u = u - residual[0]
        if last:  # one more step than the tolerance asks for: quadratic convergence ends at rounding
            done = True
            break
        last = np.abs(residual).max() < 1e-6 * np.abs(u).max()
    y = gain * (weights @ u) + background
    if not done or not np.all(np.isfinite(y)):
        y[:] = np.nan
        u[:] = np.nan
    return y, u, derivative


def _steady_pullback(x, start, weights, grid, *rest):
    u, derivative, y_bar = rest[-3], rest[-2], rest[-1]
    p, h = x.size - OTHER, grid[0]
    x_bar = np.zeros(x.size)
    if np.isnan(u[0]):
        x_bar[:] = np.nan
        return x_bar
    adjoint = (-x[p + 1] * (y_bar @ weights)).reshape(1, u.size)
    ab = _matrix(derivative, h)
    _, pivots = band_lu(ab, 2)
    band_lu_solve(ab, 2, pivots, adjoint, True)
    x_bar[: p + 1] = adjoint[0] @ _along(derivative, np.zeros((u.size, p + 1)), h, p)
    x_bar[p + 1] = y_bar @ (weights @ u)
    x_bar[p + 2] = y_bar.sum()
    return x_bar


def _stage(base, d_base, mass, reach, theta, source, h, number, *law):
    """v = base + reach rate(v) by Newton's method, and its tangents by the implicit function theorem; NaN where it fails."""
    n, p = base.size, theta.size
    v, d_v = base.copy(), np.full(d_base.shape, np.nan)
    last = False
    for _ in range(ITERATIONS):
        answer, derivative = ask(v, theta, h, number, *law)
        step = (mass * (v - base) - reach * _balance(answer, h, source)).reshape(1, n)
        ab = -reach * _matrix(derivative, h)
        ab[:, 4] += mass
        if not np.all(np.isfinite(step)):
            break
        good, pivots = band_lu(ab, 2)
        if not good:
            break
        band_lu_solve(ab, 2, pivots, step, False)
        v = v - step[0]
        if last:
            right = np.ascontiguousarray(mass * d_base.T + reach * _along(derivative, 0.0 * d_base, h, p).T)
            band_lu_solve(ab, 2, pivots, right, False)
            return v, np.ascontiguousarray(right.T)
        last = np.abs(step).max() < 1e-6 * np.abs(v).max()
    v[:] = np.nan
    return v, d_v


def _history_forward(x, start, weights, grid, step, share, sizes, *law):
    """``grid`` = [h, Delta]; ``step``, ``share`` (rows,): u between two steps, linear; ``sizes`` = [implicit].

    State: w . u of the rows, and its tangents (rows, p + 1).
    """
    p = x.size - OTHER
    source, gain, background = x[p:]
    h, leap = grid
    n = start.size
    u, du = start.copy(), np.zeros((n, p + 1))
    seen, d_seen = np.zeros(step.size), np.zeros((step.size, p + 1))
    mass = np.zeros(n)
    for e in range(n // 2):
        mass[2 * e] += h / 6.0
        mass[2 * e + 1] += 4.0 * h / 6.0
        mass[2 * e + 2] += h / 6.0
    theta = x[:p].copy()
    for k in range(step.max() + 2):
        for i in range(step.size):  # both ends of the leap in which a row lies
            part = 1.0 - share[i] if k == step[i] else share[i] if k == step[i] + 1 else 0.0
            if part != 0.0:
                for j in range(n):
                    seen[i] += part * weights[i, j] * u[j]
                    d_seen[i] += part * weights[i, j] * du[j]
        if k > step.max() or np.isnan(u[0]):
            break
        first = 2 * k * (n - 1)  # number of the first burst of this leap
        if sizes[0] == 1:
            v, dv = stage(u, du, mass, GAMMA * leap, theta, source, h, first, *law)
            base, d_base = u + KAPPA * (v - u), du + KAPPA * (dv - du)
            u, du = stage(base, d_base, mass, GAMMA * leap, theta, source, h, first + n - 1, *law)
            continue
        at, d_at = u, du
        for half in range(2):
            answer, derivative = ask(at, theta, h, first + half * (n - 1), *law)
            rate = _balance(answer, h, source) / mass
            d_rate = _along(derivative, d_at, h, p)
            reach = 0.5 * leap if half == 0 else leap
            for i in range(n):
                for a in range(p + 1):
                    d_rate[i, a] = du[i, a] + reach * d_rate[i, a] / mass[i]
            at, d_at = u + reach * rate, d_rate
            # the fastest mode of the grid is beyond the limit of an explicit leap (means: a burst of few molecules is noisy)
            if not leap * (24.0 * np.abs(np.mean(derivative[:, 0, 1])) / h**2 + np.mean(derivative[:, 1, 0])) < 2.0:
                at[:] = np.nan
        u, du = at, d_at
    y = gain * seen + background
    if np.isnan(u[0]) or not np.all(np.isfinite(y)):
        y[:] = np.nan
        seen[:] = np.nan
    return y, seen, d_seen


def _history_pullback(x, *rest):
    seen, d_seen, y_bar = rest[-3], rest[-2], rest[-1]
    p = x.size - OTHER
    x_bar = np.empty(x.size)
    x_bar[: p + 1] = x[p + 1] * (y_bar @ d_seen)
    x_bar[p + 1] = y_bar @ seen
    x_bar[p + 2] = y_bar.sum()
    if np.isnan(seen).any():
        x_bar[:] = np.nan
    return x_bar


@cache
def steady_code(law: Code) -> Code:
    """Code of a steady profile whose patches have the law ``law``."""
    asked = specialise(_ask, law_forward=law.calls[0], law_pullback=law.calls[1])
    forward = specialise(_steady_forward, ask=asked)
    pullback = specialise(_steady_pullback)
    return Code((__name__, "steady_code", law.recipe), forward, pullback, f"f1 f2 f1 {law.data}", "f1 f3")


@cache
def history_code(law: Code) -> Code:
    """Code of a profile in time whose patches have the law ``law``."""
    asked = specialise(_ask, law_forward=law.calls[0], law_pullback=law.calls[1])
    solver = specialise(_stage, ask=asked)
    forward = specialise(_history_forward, ask=asked, stage=solver)
    pullback = specialise(_history_pullback)
    return Code((__name__, "history_code", law.recipe), forward, pullback, f"f1 f2 f1 i1 f1 i1 {law.data}", "f1 f2")


def _checked(length: float, nodes: int, patch: float, points: Any) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, and weights of the rows."""
    if nodes < 5 or nodes % 2 == 0:
        raise HmmInferError(f"{nodes} nodes do not make quadratic elements; give an odd number of at least 5.")
    place = np.linspace(0.0, length, nodes)
    spacing = 2.0 * place[1] * (1.0 - POINT[1] + POINT[0])  # between the last patch of an element and the first of the next
    if not patch < spacing:
        raise HmmInferError(
            f"A patch of {patch:g} um is larger than the spacing of {spacing:.4g} um between patches; take fewer cells for a patch, or fewer nodes."
        )
    points = np.asarray(points, float)
    if points.size == 0:
        raise HmmInferError("The profile is empty; give at least one position.")
    outside = (points < 0.0) | (points > length * (1.0 + 1e-12))
    if np.any(outside):
        raise HmmInferError(f"Positions lie between 0 and {length:g} um; correct {points[outside][0]:g} um.")
    return place, interpolation(place, points)


def steady_profile(law: Kernel, theta: Any, source: float, length: float, nodes: int, patch: float, points: Any, scale: float) -> Kernel:
    """Kernel of a steady profile on [0, ``length``] with a source at 0 and a closed end.

    Parameters
    ----------
    law : see above; ``theta``, ``source``: example values of its parameters and of J, for which the profile at 0 is near ``scale``.
    nodes : number of nodes, odd; they are evenly spaced. patch : length of a patch, um; it must be smaller than the spacing of patches.
    points : (rows,) positions of the output rows, um.
    """
    place, weights = _checked(length, nodes, patch, points)
    start = scale * np.exp(-4.0 * place / length)
    data = (start, weights, np.array([place[2]]), *law.data)
    return Kernel(steady_code(law.code), data, np.concatenate([np.asarray(theta, float), [source, 1.0 / scale, 0.1]]))


def profile_history(
    law: Kernel,
    theta: Any,
    source: float,
    length: float,
    nodes: int,
    patch: float,
    points: Any,
    times: Any,
    steps: int,
    scale: float,
    start: Any = 0.0,
    implicit: bool = False,
) -> Kernel:
    """Kernel of a profile in time, from ``start`` (molecules per cell at the nodes); ``steps`` leaps to the last of ``times`` (s).

    The other arguments are those of :func:`steady_profile`.
    """
    place, weights = _checked(length, nodes, patch, points)
    times = np.broadcast_to(np.asarray(times, float), len(weights))
    grid = time_grid(times, float(times.max()), steps, unit="s")
    begin = np.ascontiguousarray(np.broadcast_to(np.asarray(start, float), nodes))
    sizes = np.array([int(implicit)])
    data = (begin, weights, np.array([place[2], float(grid.dt)]), grid.step, grid.share, sizes, *law.data)
    return Kernel(history_code(law.code), data, np.concatenate([np.asarray(theta, float), [source, 1.0 / scale, 0.1]]))
