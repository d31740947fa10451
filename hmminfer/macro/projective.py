"""Time steps far longer than those of the micro simulation: projective integration, and the time stepping of the multiscale method.

A micro simulator is given by one of its steps, ``inner(y, p, h)`` -> the state y after a time h. After k steps the fast transients have decayed;
one more step gives the slope, and the state jumps along it::

    projective(inner, form)                 y itself is projected
    multiscale(lift, inner, restrict, form) a macro state U moves; y = lift(U, p) is set up anew for each slope,
                                            F = weighted mean over the last q steps of d restrict(y) / dt

``form`` names the Runge-Kutta method whose slopes are computed in this way: "euler", "heun", "midpoint", "rk4". Steps, k and q are given and
depend on no parameter. On y' = lambda y, with rho the factor of one inner step, projective Euler multiplies by

    sigma = ((M + 1) rho - M) rho^k,    M = Delta / delta - (k + 1)

stable in two discs: the slow modes of Euler's method with Delta, and fast ones with |rho| below about (delta / Delta)^(1/k).

C. W. Gear and I. G. Kevrekidis 2003, SIAM J. Sci. Comput. 24:1091 (projective forward Euler); P. Lafitte, A. Lejon and G. Samaey 2016,
SIAM J. Numer. Anal. 54:1 (Runge-Kutta); W. E and B. Engquist 2003, Commun. Math. Sci. 1:87, B. Engquist and Y.-H. Tsai 2005, Math. Comp.
74:1707 (bursts whose averages drive a macro solver).
Reference code: used by tests, benchmarks and notebook 09 only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hmminfer.engine.native import specialise
from hmminfer.errors import HmmInferError, unknown

FORMS = {  # lower triangles a (row s - 1 holds a_s1, ..., a_s,s-1), weights b, nodes c of Runge-Kutta methods
    "euler": ([[0.0]], [1.0], [0.0]),
    "heun": ([[0.0, 0.0], [1.0, 0.0]], [0.5, 0.5], [0.0, 1.0]),
    "midpoint": ([[0.0, 0.0], [0.5, 0.0]], [0.0, 1.0], [0.0, 0.5]),
    "rk4": (
        [[0.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
        [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
        [0.0, 0.5, 0.5, 1.0],
    ),
}

inner_step: Any = None  # bound when the templates are compiled
lift_state: Any = None
restrict_state: Any = None
burst: Any = None


def tableau(form: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runge-Kutta coefficients (a, b, c) of a form by its name."""
    if form not in FORMS:
        raise unknown("form of projective integration", form, FORMS)
    a, b, c = (np.array(x) for x in FORMS[form])
    return a, b, c


def _projective_burst(y, p, k, delta):
    """The state after k + 1 inner steps, and the slope of the last."""
    before = y
    for _ in range(k + 1):
        before = y
        y = inner_step(y, p, delta)
    return y, (y - before) / delta


def _project(y, p, k, delta, long_step, n, a, b, c):
    """States at 0, Delta, ..., n Delta (n + 1, size)."""
    out = np.empty((n + 1, y.size))
    out[0] = y
    healing = (k + 1) * delta
    slopes = np.empty((b.size, y.size))
    for i in range(n):
        base, slopes[0] = burst(out[i].copy(), p, k, delta)
        out[i + 1] = base + (long_step - healing) * b[0] * slopes[0]
        for s in range(1, b.size):
            at = base.copy()
            for m in range(s):
                at += (c[s] * long_step - healing) * a[s, m] / c[s] * slopes[m]
            _, slopes[s] = burst(at, p, k, delta)
            out[i + 1] += (long_step - healing) * b[s] * slopes[s]
    return out


def _multiscale_burst(u, p, k, q, delta):
    """Slope of the macro state: a burst of k + q steps from the lifted state, with smooth weights over the last q."""
    y = lift_state(u, p)
    for _ in range(k):
        y = inner_step(y, p, delta)
    before = restrict_state(y, p)
    slope = np.zeros(u.size)
    total = 0.0
    for i in range(q):
        y = inner_step(y, p, delta)
        after = restrict_state(y, p)
        weight = 1.0 - np.cos(2.0 * np.pi * (i + 1.0) / (q + 1.0))
        slope += weight * (after - before) / delta
        total += weight
        before = after
    return slope / total


def _multiscale(u, p, k, q, delta, long_step, n, a, b):
    """Macro states at 0, Delta, ..., n Delta (n + 1, size)."""
    out = np.empty((n + 1, u.size))
    out[0] = u
    slopes = np.empty((b.size, u.size))
    for i in range(n):
        out[i + 1] = out[i]
        for s in range(b.size):
            at = out[i].copy()
            for m in range(s):
                at += long_step * a[s, m] * slopes[m]
            slopes[s] = burst(at, p, k, q, delta)
            out[i + 1] += long_step * b[s] * slopes[s]
    return out


def _check(k: int, delta: float, long_step: float, shortest: float) -> None:
    if k < 0 or not delta > 0.0 or not long_step > 0.0:
        raise HmmInferError(f"k = {k}, delta = {delta:g}, Delta = {long_step:g}: give k >= 0 and positive steps.")
    if (k + 1) * delta > shortest * long_step * (1.0 + 1e-12):
        raise HmmInferError(
            f"{k + 1} inner steps of {delta:g} do not fit before the first jump of a macro step of {long_step:g} (to {shortest * long_step:g}); "
            "take a longer macro step, or fewer inner steps."
        )


def projective(inner: Any, form: str = "euler") -> Callable[..., np.ndarray]:
    """Projective integration with the compiled ``inner(y, p, h) -> y``: a function (y, p, k, delta, Delta, n) -> states (n + 1, size)."""
    a, b, c = tableau(form)
    shortest = float(c[c > 0.0].min(initial=1.0))
    run = specialise(_project, burst=specialise(_projective_burst, inner_step=inner))

    def integrate(y: Any, p: Any, k: int, delta: float, long_step: float, n: int) -> np.ndarray:
        _check(k, delta, long_step, shortest)
        y, p = (np.array(v, dtype=float) for v in (y, p))
        return run(y, p, k, float(delta), float(long_step), n, a, b, c)

    return integrate


def multiscale(lift: Any, inner: Any, restrict: Any, form: str = "euler") -> Callable[..., np.ndarray]:
    """Time stepping of the multiscale method: a function (U, p, k, q, delta, Delta, n) -> macro states (n + 1, size).

    ``lift(U, p) -> y``, ``inner(y, p, h) -> y`` and ``restrict(y, p) -> U`` are compiled; k steps let transients decay, q steps are averaged.
    """
    a, b, _ = tableau(form)
    run = specialise(_multiscale, burst=specialise(_multiscale_burst, lift_state=lift, inner_step=inner, restrict_state=restrict))

    def integrate(u: Any, p: Any, k: int, q: int, delta: float, long_step: float, n: int) -> np.ndarray:
        if q < 1:
            raise HmmInferError(f"q is {q}: a slope needs at least one step.")
        _check(k + q - 1, delta, long_step, 1.0)
        u, p = (np.array(v, dtype=float) for v in (u, p))
        return run(u, p, k, q, float(delta), float(long_step), n, a, b)

    return integrate


def amplification(form: str, rho: Any, k: int, ratio: float) -> np.ndarray:
    """Factor sigma of one projective step on y' = lambda y; ``rho``: factor of one inner step (complex), ``ratio`` = Delta / delta."""
    a, b, c = tableau(form)
    rho = np.asarray(rho, dtype=complex)
    base, slope = rho ** (k + 1), (rho - 1.0) * rho**k  # of one; slopes times delta
    slopes = [slope]
    for s in range(1, b.size):
        jump = (c[s] * ratio - (k + 1)) / c[s]
        slopes.append(slope * (base + jump * sum(a[s, m] * slopes[m] for m in range(s))))
    return base + (ratio - (k + 1)) * sum(weight * value for weight, value in zip(b, slopes, strict=True))
