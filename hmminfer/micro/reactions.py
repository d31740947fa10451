"""Reactions between species in a well-mixed place, by mass action, and an L-stable integrator with steps that are given.

    dy/dt = sum_j r_j nu_j,    r_j = k_j prod_i y_i^(p_ji)

``powers`` p (reactions, species) and ``change`` nu (reactions, species) are the network, k (reactions,) its rates. Whole powers and any
changes make it the general polynomial system, so an oscillator that is no chemistry can be written too.

SDIRK2 of Alexander 1977 (gamma = 1 - 1/sqrt 2): order two, L-stable (a rate of 1e9 per second is damped at steps of hours), stiffly accurate,
and linear invariants such as totals are kept to rounding. The steps are data: they depend on no parameter.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.linalg import dense_solve
from hmminfer.engine.native import compiled
from hmminfer.engine.sdirk import GAMMA, KAPPA

ITERATIONS = 25
CLOSE = 1e-7  # of Newton's method: after a step this small the next one ends at rounding


@compiled
def _power(x, n):
    out = 1.0
    for _ in range(n):
        out *= x
    return out


@compiled
def speeds(y, k, powers, of_species):
    """Speeds r (reactions,) of all reactions, and their derivatives ``of_species`` (reactions, species), overwritten."""
    r = np.empty(k.size)
    for j in range(k.size):
        r[j] = k[j]
        for i in range(y.size):
            r[j] *= _power(y[i], powers[j, i])
        for m in range(y.size):
            d = 0.0
            if powers[j, m] > 0:
                d = k[j] * powers[j, m] * _power(y[m], powers[j, m] - 1)
                for i in range(y.size):
                    if i != m:
                        d *= _power(y[i], powers[j, i])
            of_species[j, m] = d
    return r


@compiled
def stage(y, base, k, powers, change, h):
    """Overwrite the guess ``y`` with the solution of y = base + h f(y), Newton's method to rounding; whether it was found."""
    n = y.size
    of_species, matrix, step = np.empty((k.size, n)), np.empty((n, n)), np.empty(n)
    last = False
    for _ in range(ITERATIONS):
        r = speeds(y, k, powers, of_species)
        for a in range(n):
            step[a] = base[a] - y[a]
            for j in range(k.size):
                step[a] += h * change[j, a] * r[j]
            for b in range(n):
                matrix[a, b] = 1.0 if a == b else 0.0
                for j in range(k.size):
                    matrix[a, b] -= h * change[j, a] * of_species[j, b]
        dense_solve(matrix, step)
        small = True
        for a in range(n):
            y[a] += step[a]
            small = small and abs(step[a]) <= CLOSE * abs(y[a]) + 1e-300
        if last or not np.isfinite(y.sum()):
            return last
        last = small
    return False


@compiled
def advance(y, k, powers, change, steps):
    """Overwrite ``y`` with the state after all ``steps`` (durations); NaN where a step cannot be solved."""
    first, base = y.copy(), y.copy()
    for h in steps:
        found = stage(first, base, k, powers, change, GAMMA * h)
        for i in range(y.size):
            base[i] += KAPPA * (first[i] - base[i])
            y[i] = first[i]
        found = found and stage(y, base, k, powers, change, GAMMA * h)
        for i in range(y.size):
            y[i] = y[i] if found else np.nan
            first[i] = base[i] = y[i]
        if not found:
            return
