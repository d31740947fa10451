r"""Equation-free profiles: no macro equation is written down; patches of cells are asked for fluxes and losses, and a step is projected.

                 J ->  |--o----[patch]----o----[patch]----o--|  closed            o  macro node, H apart: u (molecules per cell)
                       0        F, R      1      F, R     2  ...  L

    m_i du_i/dt = F_(i-1/2) - F_(i+1/2) - H/2 (R_(i-1/2) + R_(i+1/2)) + J at i = 0,      m_i = H, at both ends H / 2

Lift: the patch between nodes i and i + 1 is filled to u = (u_i + u_(i+1)) / 2 and u' = (u_(i+1) - u_i) / H. Burst and restriction are the
law's:  law(u, u', theta, number of the burst) -> flux F, loss R  (:mod:`hmminfer.micro.burst`). Patches cover a part of the line only; what
lies between them is never simulated. (Linear elements with one point and lumped mass: HMM, and gap-tooth with patches at the faces.)

    steady      du/dt = 0 by Newton's method to rounding; gradient by the implicit function theorem
    in time     coarse projective integration: bursts at u_n and at the midpoint, then a leap of Delta (explicit, order two);
                or the same balance with implicit leaps (SDIRK2 of Alexander 1977, L-stable, Newton's method). Exact tangents along both

Vector in:  theta, J (um/s molecules per cell), gain, background.
Vector out: row i is  gain (w_i . u) + background,  at a time for a history.
Error:      order two in H ((H / lambda)^2 / 12 of a decay length) and in Delta. An explicit leap beyond the stability limit gives NaN.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from ..errors import HmmInferError
from ..kernel import Code, Kernel
from ..linalg import band_lu, band_lu_solve
from ..native import specialise

ITERATIONS = 40
GAMMA = 1.0 - np.sqrt(0.5)
KAPPA = (1.0 - GAMMA) / GAMMA
OTHER = 3  # numbers of the vector beside theta: J, gain, background

law_forward: Any = None  # bound when the templates are compiled
law_pullback: Any = None
ask: Any = None
stage: Any = None


def project(slope: Any, u: Any, leap: float) -> Any:
    """u one leap on, along the slope that a burst showed: the projective step of Gear and Kevrekidis (2003)."""
    return u + leap * slope


def amplification(rho: Any, inner: int, leap: float) -> Any:
    """Factor of a mode over ``inner`` + 1 steps that multiply it by ``rho``, and a leap over ``leap`` more along the last of them."""
    return ((leap + 1.0) * rho - leap) * rho**inner


def slope_of(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least-squares slopes of ``values`` (times, ...): what a burst is restricted to when all it shows are counts."""
    centred = times - times.mean()
    return np.tensordot(centred / np.sum(centred**2), values, axes=1)


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


def _ask(u, theta, spacing, number, *law):
    """Fluxes and losses (patches, 2) at nodal values, and their derivatives (patches, 2, 2 + p) along u, u' and theta."""
    n, p = u.size - 1, theta.size
    answer, derivative = np.empty((n, 2)), np.empty((n, 2, 2 + p))
    at, e = np.empty(3 + p), np.zeros(2)
    at[2 : 2 + p] = theta
    for i in range(n):
        at[0], at[1] = 0.5 * (u[i] + u[i + 1]), (u[i + 1] - u[i]) / spacing
        at[2 + p] = number + i
        out = law_forward(at, *law)
        answer[i] = out[0]
        for j in range(2):
            e[j] = 1.0
            derivative[i, j] = law_pullback(at, *law, *out[1:], e)[: 2 + p]
            e[j] = 0.0
    return answer, derivative


@njit(cache=True, error_model="numpy")
def _balance(answer, spacing, source):
    """m_i du_i/dt of all nodes."""
    n = answer.shape[0]
    out = np.zeros(n + 1)
    out[0] = source
    for i in range(n):
        half = 0.5 * spacing * answer[i, 1]
        out[i] -= answer[i, 0] + half
        out[i + 1] += answer[i, 0] - half
    return out


@njit(cache=True, error_model="numpy")
def _matrix(derivative, spacing):
    """d(balance)/du as a band matrix of half width 1, in the storage of :func:`hmminfer.linalg.band_lu`."""
    n = derivative.shape[0]
    ab = np.zeros((n + 1, 4))
    for i in range(n):
        for side in range(2):  # of the node that changes: i or i + 1
            sign = -1.0 if side == 0 else 1.0
            flux = 0.5 * derivative[i, 0, 0] + sign * derivative[i, 0, 1] / spacing
            half = 0.5 * spacing * (0.5 * derivative[i, 1, 0] + sign * derivative[i, 1, 1] / spacing)
            ab[i + side, 2 - side] -= flux + half
            ab[i + side, 3 - side] += flux - half
    return ab


def _steady_forward(x, start, weights, grid, *law):
    """``start`` (nodes,): first iterate; ``grid`` = [H]. State: u, and the law's derivatives there (a last step of rounding aside)."""
    p = x.size - OTHER
    source, gain, background = x[p:]
    spacing = grid[0]
    u = start.copy()
    derivative = np.empty((u.size - 1, 2, 2 + p))
    last = done = False
    for _ in range(ITERATIONS):
        answer, derivative = ask(u, x[:p], spacing, 0, *law)
        residual = _balance(answer, spacing, source).reshape(1, u.size)
        ab = _matrix(derivative, spacing)
        if not np.all(np.isfinite(residual)):
            break
        good, pivots = band_lu(ab, 1)
        if not good:
            break
        band_lu_solve(ab, 1, pivots, residual, False)
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
    p, spacing = x.size - OTHER, grid[0]
    x_bar = np.zeros(x.size)
    if np.isnan(u[0]):
        x_bar[:] = np.nan
        return x_bar
    adjoint = (-x[p + 1] * (y_bar @ weights)).reshape(1, u.size)
    ab = _matrix(derivative, spacing)
    _, pivots = band_lu(ab, 1)
    band_lu_solve(ab, 1, pivots, adjoint, True)
    for i in range(u.size - 1):
        left, right = adjoint[0, i], adjoint[0, i + 1]
        x_bar[:p] += (right - left) * derivative[i, 0, 2:] - 0.5 * spacing * (right + left) * derivative[i, 1, 2:]
    x_bar[p] = adjoint[0, 0]
    x_bar[p + 1] = y_bar @ (weights @ u)
    x_bar[p + 2] = y_bar.sum()
    return x_bar


@njit(cache=True, error_model="numpy")
def _along(derivative, d_u, spacing, p):
    """d(balance) (nodes, p + 1) along theta and J, at values whose derivatives are ``d_u``."""
    n = d_u.shape[0]
    out = np.zeros((n, p + 1))
    out[0, p] = 1.0
    for i in range(n - 1):
        for a in range(p + 1):
            mean, fall = 0.5 * (d_u[i, a] + d_u[i + 1, a]), (d_u[i + 1, a] - d_u[i, a]) / spacing
            flux = derivative[i, 0, 0] * mean + derivative[i, 0, 1] * fall
            half = 0.5 * spacing * (derivative[i, 1, 0] * mean + derivative[i, 1, 1] * fall)
            if a < p:
                flux += derivative[i, 0, 2 + a]
                half += 0.5 * spacing * derivative[i, 1, 2 + a]
            out[i, a] -= flux + half
            out[i + 1, a] += flux - half
    return out


def _stage(base, d_base, mass, reach, theta, source, spacing, number, *law):
    """v = base + reach rate(v) by Newton's method, and its tangents by the implicit function theorem; NaN where it fails."""
    n, p = base.size, theta.size
    v, d_v = base.copy(), np.full(d_base.shape, np.nan)
    last = False
    for _ in range(ITERATIONS):
        answer, derivative = ask(v, theta, spacing, number, *law)
        step = (mass * (v - base) - reach * _balance(answer, spacing, source)).reshape(1, n)
        ab = -reach * _matrix(derivative, spacing)
        ab[:, 2] += mass
        if not np.all(np.isfinite(step)):
            break
        good, pivots = band_lu(ab, 1)
        if not good:
            break
        band_lu_solve(ab, 1, pivots, step, False)
        v = v - step[0]
        if last:
            right = np.ascontiguousarray((mass * d_base.T + reach * _along(derivative, 0.0 * d_base, spacing, p).T))
            band_lu_solve(ab, 1, pivots, right, False)
            return v, np.ascontiguousarray(right.T)
        last = np.abs(step).max() < 1e-6 * np.abs(v).max()
    v[:] = np.nan
    return v, d_v


def _history_forward(x, start, weights, grid, step, share, sizes, *law):
    """``grid`` = [H, Delta]; ``step``, ``share`` (rows,): u between two steps, linear; ``sizes`` = [implicit].

    State: w . u of the rows, and its tangents (rows, p + 1).
    """
    p = x.size - OTHER
    source, gain, background = x[p:]
    spacing, leap = grid
    n = start.size
    u, du = start.copy(), np.zeros((n, p + 1))
    seen, d_seen = np.zeros(step.size), np.zeros((step.size, p + 1))
    mass = np.full(n, spacing)
    mass[0] = mass[-1] = 0.5 * spacing
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
            v, dv = stage(u, du, mass, GAMMA * leap, theta, source, spacing, first, *law)
            base, d_base = u + KAPPA * (v - u), du + KAPPA * (dv - du)
            u, du = stage(base, d_base, mass, GAMMA * leap, theta, source, spacing, first + n - 1, *law)
            continue
        at, d_at = u, du
        for half in range(2):
            answer, derivative = ask(at, theta, spacing, first + half * (n - 1), *law)
            rate = _balance(answer, spacing, source) / mass
            d_rate = _along(derivative, d_at, spacing, p)
            reach = 0.5 * leap if half == 0 else leap
            for i in range(n):
                for a in range(p + 1):
                    d_rate[i, a] = du[i, a] + reach * d_rate[i, a] / mass[i]
            at, d_at = u + reach * rate, d_rate
            # the fastest mode of the grid is beyond the limit of an explicit leap
            if not leap * (4.0 * np.abs(derivative[:, 0, 1]).max() / spacing**2 + np.abs(derivative[:, 1, 0]).max()) < 2.0:
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
    """Code of a steady profile whose patches ask ``law``."""
    asked = specialise(_ask, law.fingerprint, law_forward=law.calls[0], law_pullback=law.calls[1])
    forward = specialise(_steady_forward, law.fingerprint, ask=asked)
    pullback = specialise(_steady_pullback, law.fingerprint)
    return Code((__name__, "steady_code", law.recipe), forward, pullback, f"f1 f2 f1 {law.data}", "f1 f3")


@cache
def history_code(law: Code) -> Code:
    """Code of a profile in time whose patches ask ``law``."""
    asked = specialise(_ask, law.fingerprint, law_forward=law.calls[0], law_pullback=law.calls[1])
    solver = specialise(_stage, law.fingerprint, ask=asked)
    forward = specialise(_history_forward, law.fingerprint, ask=asked, stage=solver)
    pullback = specialise(_history_pullback, law.fingerprint)
    return Code((__name__, "history_code", law.recipe), forward, pullback, f"f1 f2 f1 i1 f1 i1 {law.data}", "f1 f2")


def _checked(length: float, nodes: int, patch: float, points: Any) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, and weights of the rows."""
    if nodes < 4:
        raise HmmInferError(f"A profile of {nodes} nodes cannot be interpolated; give at least 4.")
    place = np.linspace(0.0, length, nodes)
    if not patch < place[1]:
        raise HmmInferError(
            f"A patch of {patch:g} um is larger than the spacing of {place[1]:g} um between nodes; take fewer cells for a patch, or fewer nodes."
        )
    points = np.asarray(points, float)
    if points.size == 0:
        raise HmmInferError("The profile is empty; give at least one position.")
    if np.any((points < 0.0) | (points > length)):
        raise HmmInferError(f"Positions lie between 0 and {length:g} um; correct {points[(points < 0) | (points > length)][0]:g} um.")
    return place, interpolation(place, points)


def steady_profile(law: Kernel, theta: Any, source: float, length: float, nodes: int, patch: float, points: Any, scale: float) -> Kernel:
    """Kernel of a steady profile on [0, ``length``] with a source at 0 and a closed end.

    Parameters
    ----------
    law : see above; ``theta``: an example of its parameters, ``source`` of J, for which the profile is near ``scale`` at 0.
    patch : length of a patch, um; it must be smaller than the spacing of the nodes.
    points : (rows,) where one looks, um.
    """
    place, weights = _checked(length, nodes, patch, points)
    start = scale * np.exp(-4.0 * place / length)
    data = (start, weights, np.array([place[1]]), *law.data)
    return Kernel(steady_code(law.code), data, np.concatenate([np.asarray(theta, float), [source, 1.0 / scale, 0.1]]))


def profile_history(
    law: Kernel, theta: Any, source: float, length: float, nodes: int, patch: float, points: Any, times: Any, steps: int, scale: float,
    start: Any = 0.0, implicit: bool = False,
) -> Kernel:  # fmt: skip
    """Kernel of a profile in time, from ``start`` (molecules per cell at the nodes); ``steps`` leaps to the last of ``times`` (s).

    The other arguments are those of :func:`steady_profile`.
    """
    place, weights = _checked(length, nodes, patch, points)
    times = np.broadcast_to(np.asarray(times, float), len(weights))
    if np.any(times < 0.0) or not times.max() > 0.0 or steps < 1:
        raise HmmInferError("A history has times of at least 0, one of them positive, and at least one step; correct them.")
    leap = times.max() / steps
    step = np.minimum((times / leap).astype(np.int64), steps - 1)
    begin = np.ascontiguousarray(np.broadcast_to(np.asarray(start, float), nodes))
    data = (begin, weights, np.array([place[1], leap]), step, times / leap - step, np.array([int(implicit)]), *law.data)
    return Kernel(history_code(law.code), data, np.concatenate([np.asarray(theta, float), [source, 1.0 / scale, 0.1]]))
