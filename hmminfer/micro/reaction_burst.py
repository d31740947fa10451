"""Fast reversible reactions seen from hours: a burst at frozen totals, then what it restricts to.

*Lift*: everything of a total is put into one form. *Micro problem*: a burst of the reactions (1e6 to 1e9 per second), with an L-stable method
whose steps grow from the fastest time to a thousand times the slowest of all rates allowed, then Newton's method for the equilibrium
that the burst has all but reached. *Restrict*: the amounts of the healed state, or the total stored at a given dissolved concentration.

    reaction j:  sum_i left_ji X_i  <->  sum_i right_ji X_i,    forward rate k_j, backward k_j / K_j
    g_j(xi) = K_j prod y_i^left_ji - prod y_i^right_ji = 0,     y = lifted + sum_j xi_j (right_j - left_j)

Gradient by the implicit function theorem at the equilibrium; nothing of the burst is differentiated. The rates k_j say only how fast: their
gradient is exactly zero. Which equilibrium is found where there are several, the burst decides, not Newton's method.

Method: W. E and B. Engquist 2003, Commun. Math. Sci. 1:87 (the micro problem of a system with two time scales).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import dense_solve
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.micro.reactions import advance, speeds

CLOSE = 1e-6  # relative update of Newton's method at the equilibrium after which the next one ends at rounding
BALANCE = 1e-11  # largest imbalance of a healed state, over the sum of both terms of g
FASTEST, SLOWEST = 1e11, 1e4  # relaxation rates (1/s) that the default steps resolve


def burst_steps(fastest: float = FASTEST, slowest: float = SLOWEST, count: int = 11) -> np.ndarray:
    """Durations (s) of a burst's steps: geometric from the fastest relaxation time to a thousand times the slowest."""
    return np.geomspace(1.0 / fastest, 1e3 / slowest, count)


@dataclass(frozen=True, eq=False)
class Network:
    """Reversible reactions: whole powers ``left`` and ``right`` (reactions, species) of the equations above."""

    left: np.ndarray
    right: np.ndarray

    def __post_init__(self) -> None:
        for side in (self.left, self.right):
            if np.asarray(side).ndim != 2 or np.any(np.asarray(side) < 0) or np.any(np.asarray(side) % 1):
                raise HmmInferError("Both sides of a network are tables (reactions, species) of whole numbers, none negative.")

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Powers and changes of all reactions, forward ones first."""
        left, right = np.atleast_2d(self.left), np.atleast_2d(self.right)
        powers = np.concatenate([left, right]).astype(np.int64)
        return powers, np.concatenate([right - left, left - right]).astype(float)


EXCHANGE = Network(np.array([[1, 0]]), np.array([[0, 1]]))  # A <-> B
BINDING = Network(np.array([[1, 1, 0]]), np.array([[0, 0, 1]]))  # A + S <-> AS


@compiled
def _imbalance(y, equilibrium, powers, change, of_extent):
    """g (reactions,), the sum of its terms' sizes, and dg/dxi (reactions, reactions), overwritten; dg/dy is left in the first half of ``of_species``."""
    m, n = equilibrium.size, y.size
    of_species = np.empty((2 * m, n))
    k = np.ones(2 * m)
    for j in range(m):
        k[j] = equilibrium[j]
    r = speeds(y, k, powers, of_species)
    g, size = np.empty(m), np.empty(m)
    for j in range(m):
        g[j], size[j] = r[j] - r[m + j], abs(r[j]) + abs(r[m + j])
        for i in range(n):
            of_species[j, i] -= of_species[m + j, i]
        for a in range(m):
            of_extent[j, a] = 0.0
            for i in range(n):
                of_extent[j, a] += of_species[j, i] * change[a, i]
    return g, size, of_species


@compiled
def _keep_totals(y, lifted, change):
    """Overwrite ``y`` with the nearest lifted + N^T xi: steps of 1e9 rates leave totals wrong by the rounding of their large matrices."""
    m, n = change.shape[0] // 2, y.size
    matrix, extent = np.zeros((m, m)), np.zeros(m)
    for a in range(m):
        for i in range(n):
            extent[a] += change[a, i] * (y[i] - lifted[i])
            for b in range(m):
                matrix[a, b] += change[a, i] * change[b, i]
    dense_solve(matrix, extent)
    for i in range(n):
        y[i] = lifted[i]
        for a in range(m):
            y[i] += change[a, i] * extent[a]


@compiled
def heal(lifted, equilibrium, rate, powers, change, steps):
    """The state on the slow manifold with the totals of ``lifted``: a burst, then Newton's method; NaN where there is none."""
    m = equilibrium.size
    y = lifted.copy()
    good = np.isfinite(lifted.sum()) and lifted.min() >= 0.0 and equilibrium.min() > 0.0 and rate.min() > 0.0
    if good:
        k = np.empty(2 * m)
        for j in range(m):
            k[j], k[m + j] = rate[j], rate[j] / equilibrium[j]
        advance(y, k, powers, change, steps)
        _keep_totals(y, lifted, change)
        of_extent = np.empty((m, m))
        last = False
        for _ in range(20):
            g, _, _ = _imbalance(y, equilibrium, powers, change, of_extent)
            dense_solve(of_extent, g)
            for j in range(m):
                for i in range(y.size):
                    y[i] -= change[j, i] * g[j]
            if last or not np.isfinite(y.sum()):
                break
            last = np.abs(g).max() <= CLOSE * np.abs(y).max()
        g, size, _ = _imbalance(y, equilibrium, powers, change, of_extent)
        for j in range(m):
            good = good and abs(g[j]) <= BALANCE * size[j]
        good = good and y.min() >= 0.0
    if not good:
        y[:] = np.nan
    return y


@compiled
def heal_pullback(y, equilibrium, powers, change, y_bar):
    """(lifted_bar, equilibrium_bar) of a healed state: y = lifted + N^T xi with g(y, K) = 0."""
    m, n = equilibrium.size, y.size
    of_extent = np.empty((m, m))
    _, _, of_species = _imbalance(y, equilibrium, powers, change, of_extent)
    adjoint = np.empty(m)
    for j in range(m):
        adjoint[j] = 0.0
        for i in range(n):
            adjoint[j] -= change[j, i] * y_bar[i]
    dense_solve(of_extent.T.copy(), adjoint)
    lifted_bar, equilibrium_bar = y_bar.copy(), np.empty(m)
    for j in range(m):
        left = 1.0  # dg_j / dK_j
        for i in range(n):
            lifted_bar[i] += adjoint[j] * of_species[j, i]
            for _ in range(powers[j, i]):
                left *= y[i]
        equilibrium_bar[j] = adjoint[j] * left
    return lifted_bar, equilibrium_bar


@compiled
def _burst_forward(x, powers, change, steps):
    n, m = powers.shape[1], powers.shape[0] // 2
    return (heal(x[:n], x[n : n + m], x[n + m :], powers, change, steps),)


@compiled
def _burst_pullback(x, powers, change, steps, y_bar):
    n, m = powers.shape[1], powers.shape[0] // 2
    x_bar = np.zeros(x.size)
    y = heal(x[:n], x[n : n + m], x[n + m :], powers, change, steps)
    lifted_bar, equilibrium_bar = heal_pullback(y, x[n : n + m], powers, change, y_bar)
    for i in range(n + m):
        x_bar[i] = lifted_bar[i] if i < n else equilibrium_bar[i - n]
    if np.isnan(y[0]):
        x_bar[:] = np.nan
    return x_bar


BURST = Code((__name__, "BURST"), _burst_forward, _burst_pullback, data="i2 f2 f1")


def burst_kernel(network: Network, example: Any, steps: np.ndarray | None = None) -> Kernel:
    """Kernel of a burst: lifted amounts of all species, equilibrium constants, forward rates -> amounts on the slow manifold."""
    given = burst_steps() if steps is None else np.ascontiguousarray(steps, dtype=float)
    return Kernel(BURST, (*network.arrays, given), np.array(example, dtype=float))


@compiled
def _storage_forward(x, powers, change, steps, dissolved):
    """State: the healed state at each concentration."""
    n, m = powers.shape[1], powers.shape[0] // 2
    lifted = np.empty(n)
    for i in range(n - 1):
        lifted[1 + i] = x[i]
    equilibrium, rate = x[n - 1 : n - 1 + m], x[n - 1 + m :]
    y, states = np.full(dissolved.size, np.nan), np.full((dissolved.size, n), np.nan)
    first = np.zeros(n)
    first[0] = 1.0
    ratio = 1.0
    for a in range(dissolved.size):
        c = dissolved[a]
        lifted[0] = c * ratio  # the first guess of a total is the last point's
        last = False
        for _ in range(60):  # Newton's method for the total: healed(total)_0 = c
            healed = heal(lifted, equilibrium, rate, powers, change, steps)
            if last or np.isnan(healed[0]):
                break
            slope, _ = heal_pullback(healed, equilibrium, powers, change, first)
            step = (c - healed[0]) / slope[0]
            lifted[0] += step
            last = abs(step) <= 1e-9 * lifted[0]
        if last:
            ratio = lifted[0] / c
            y[a] = ratio
            for i in range(n):
                states[a, i] = healed[i]
    if np.isnan(y).any():
        y[:] = np.nan
    return y, states


@compiled
def _storage_pullback(x, powers, change, steps, dissolved, states, y_bar):
    n, m = powers.shape[1], powers.shape[0] // 2
    x_bar = np.zeros(x.size)
    first = np.zeros(n)
    first[0] = 1.0
    for a in range(dissolved.size):
        lifted_bar, equilibrium_bar = heal_pullback(states[a], x[n - 1 : n - 1 + m], powers, change, first)
        weight = -y_bar[a] / dissolved[a] / lifted_bar[0]
        for i in range(n - 1):
            x_bar[i] += weight * lifted_bar[1 + i]
        for j in range(m):
            x_bar[n - 1 + j] += weight * equilibrium_bar[j]
    if np.isnan(states).any():
        x_bar[:] = np.nan
    return x_bar


STORAGE = Code((__name__, "STORAGE"), _storage_forward, _storage_pullback, data="i2 f2 f1 f1", state="f2")


def storage_kernel(network: Network, dissolved: Any, example: Any, steps: np.ndarray | None = None) -> Kernel:
    """Kernel of what a place stores: total over dissolved concentration of the first species, at each of ``dissolved`` (positive).

    Vector in:  lifted amounts of the other species, equilibrium constants, forward rates.
    Vector out: total / c at each concentration c (a retardation factor): the total whose burst ends at c, by Newton's method.
    """
    given = burst_steps() if steps is None else np.ascontiguousarray(steps, dtype=float)
    c = np.ascontiguousarray(dissolved, dtype=float)
    if not np.all(c > 0.0):
        raise HmmInferError(f"A dissolved concentration is {c.min():g}; give positive ones.")
    return Kernel(STORAGE, (*network.arrays, given, c), np.array(example, dtype=float))
