r"""Burst of a patch of stochastic cells: what morphogen flows through its middle and is lost in it, at a given macro state.

    lift       c molecules in a cell on average, with slope c' and curvature c'': free n_i = (c + c' x_i + c'' (x_i^2 - <x^2>) / 2) / (1 + kappa)
               and bound kappa n_i, plus Gaussian fluctuations sqrt(n) z of the product-Poisson law at fixed quantiles z
    burst      chemical Langevin equation of n_i and b_i: hops at rate w = D / l^2 each way, binding kappa k_off, unbinding k_off,
               degradation k of the bound, which travel with their cells at D_c / l^2 each way; cells beyond the ends stay at the lifted mean
    heal       the first steps, in which free and bound come to terms
    restrict   flux = mean of w l (n_i - n_(i+1)) + (D_c / l) (b_i - b_(i+1)) over the middle bond,  loss = mean of k b;  over the steps
               after healing

The step is drift-implicit (stable for any rate; binding has come to rest after some steps of about 1 / k_off), noise explicit:

    (1 - dt A) x_(s+1) = x_s + sum over channels of nu sqrt(rate(x_s) dt) z_s

The normals z are data (common random numbers), each used with both signs (antithetic pair), so the answer is a smooth function of c, c', c'',
D, k, kappa, k_off and its tangents along the same path are its exact derivative. Rates enter the roots through p(n) = (n + sqrt(n^2 + 1)) / 2,
which is smooth at 0: above 5 molecules it exceeds n by less than 1 %. The drift is linear and the noise has mean zero whatever its size, so
means are unbiased at any count; only the variance of the estimate is changed where there are few molecules. What moves through the middle
bond by noise alone is left out of the flux (its mean is zero: a control variate), and so is the noise of travelling cells, whose diffusivity
D_c is that of one marked cell among the others (:func:`.movement.self_diffusivity`); their steps are explicit: D_c dt / l^2 up to 1/2.

Vector in:  c, c' (1/um), c'' (1/um^2), D (um^2/s), k (1/s), kappa, k_off (1/s), D_c (um^2/s), number of the burst (which normals it takes; no
            derivative).
Vector out: flux (um/s), loss (1/s); both are molecules per cell.
Error:      k / k_off of the loss. Where c'' is not what diffusion and degradation make of it, the inside of the patch drifts away while its
            ends are held: by ((h + l) / lambda)^2 / 8 at most, for a patch of length h without curvature.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError

INPUTS = 8  # with a derivative


@compiled
def _positive(n):
    """p(n), smooth and positive, and its derivative."""
    root = np.sqrt(n * n + 1.0)
    return 0.5 * (n + root), 0.5 * (1.0 + n / root)


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _factor(diagonal, off, n):
    """Inverse pivots, and what a row takes of the next, of a tridiagonal matrix with constant entries (Thomas)."""
    inverse, share = np.empty(n), np.empty(n)
    inverse[0] = 1.0 / diagonal
    for i in range(n):
        if i > 0:
            inverse[i] = 1.0 / (diagonal - off * share[i - 1])
        share[i] = off * inverse[i]
    return inverse, share


# loops and not array expressions: these would ask for memory in the innermost loop
@compiled(fastmath={"reassoc", "contract", "nsz"})
def _solve(inverse, share, off, right):
    """Overwrite the columns of ``right`` (cells, columns) with solutions for the factors from :func:`_factor`."""
    n, m = right.shape
    for a in range(m):
        right[0, a] *= inverse[0]
    for i in range(1, n):
        for a in range(m):
            right[i, a] = (right[i, a] - off * right[i - 1, a]) * inverse[i]
    for i in range(n - 2, -1, -1):
        for a in range(m):
            right[i, a] -= share[i] * right[i + 1, a]


# reassociation lets the tangents use vector instructions; NaN still propagates
@compiled(fastmath={"reassoc", "contract", "nsz"})
def _forward(x, noise, step, sizes):
    """``noise`` (blocks, steps + 1, 3 cells + 1); ``step`` = [dt, l]; ``sizes`` = [cells, healing steps, sets of normals, signs: 2 or 1].

    State: Jacobian (2, 9).
    """
    cells, heal, sets, signs = sizes
    dt, size = step
    y, jacobian = np.zeros(2), np.zeros((2, INPUTS + 1))
    c, slope, curvature, diffusivity, k, kappa, k_off, of_cells = x[:INPUTS]
    carried = of_cells / size**2
    positive = diffusivity > 0.0 and k > 0.0 and kappa > 0.0 and k_off > 0.0
    if not (positive and 0.0 <= carried * dt <= 0.5 and np.isfinite(c + slope + curvature)):
        y[:] = np.nan
        jacobian[:] = np.nan
        return y, jacobian
    w, k_on = diffusivity / size**2, kappa * k_off
    # derivatives of the rates along the inputs c, c', c'', D, k, kappa, k_off, D_c
    d_rates = np.zeros((5, INPUTS))
    d_w, d_on, d_off, d_k, d_c = d_rates[0], d_rates[1], d_rates[2], d_rates[3], d_rates[4]
    d_w[3], d_k[4], d_on[5], d_on[6], d_off[6], d_c[7] = 1.0 / size**2, 1.0, k_off, kappa, 1.0, 1.0 / size**2
    # lifted means, cells beyond both ends included
    mean, d_mean = np.empty(cells + 2), np.zeros((cells + 2, INPUTS))
    for i in range(cells + 2):
        place = (i - 0.5 * (cells + 1)) * size
        bend = 0.5 * (place * place - size * size * (cells * cells - 1) / 12.0)  # whose mean over the patch is 0
        mean[i] = (c + slope * place + curvature * bend) / (1.0 + kappa)
        d_mean[i, 0], d_mean[i, 1], d_mean[i, 2] = 1.0 / (1.0 + kappa), place / (1.0 + kappa), bend / (1.0 + kappa)
        d_mean[i, 5] = -mean[i] / (1.0 + kappa)
    beta = 1.0 + dt * (k_off + k)
    diagonal, off = 1.0 + 2.0 * dt * w + dt * k_on - dt * dt * k_off * k_on / beta, -dt * w
    inverse, share = _factor(diagonal, off, cells)
    steps = noise.shape[1] - 1
    root_dt = np.sqrt(dt)
    first = int(np.round(x[INPUTS])) * sets
    weight = 1.0 / (signs * sets * (steps - heal))
    free, bound = np.empty(cells + 2), np.empty(cells + 2)
    d_free, d_bound = np.empty((cells + 2, INPUTS)), np.empty((cells + 2, INPUTS))
    right, d_right = np.empty((cells, 1)), np.empty((cells, INPUTS))
    kick, d_kick = np.empty(cells), np.empty((cells, INPUTS))
    p, d_p = np.empty(cells + 2), np.empty(cells + 2)
    for replica in range(signs * sets):
        z = noise[(first + replica // signs) % noise.shape[0]]
        sign = 1.0 if replica % signs == 0 else -1.0
        free[:], d_free[:] = mean, d_mean
        bound[:], d_bound[:] = kappa * mean, kappa * d_mean
        d_bound[:, 5] += mean
        for i in range(cells):
            value, slope_p = _positive(mean[i + 1])
            root = np.sqrt(value)
            free[i + 1] += sign * root * z[0, i]
            d_free[i + 1] += (sign * z[0, i] * 0.5 * slope_p / root) * d_mean[i + 1]
            value, slope_p = _positive(kappa * mean[i + 1])
            root = np.sqrt(value)
            bound[i + 1] += sign * root * z[0, cells + i]
            d_bound[i + 1] *= 1.0 + sign * z[0, cells + i] * 0.5 * slope_p / root
        for s in range(1, steps + 1):
            for i in range(cells + 2):
                p[i], d_p[i] = _positive(free[i])
            for i in range(cells):
                right[i, 0] = free[i + 1]
                for a in range(INPUTS):
                    d_right[i, a] = d_free[i + 1, a]
            for j in range(cells + 1):  # noise of the hops over bond j, between cells j - 1 and j
                both = p[j] + p[j + 1]
                root = np.sqrt(w * both)
                move = sign * root_dt * z[s, j]
                along = 0.5 * move / root
                for a in range(INPUTS):
                    d_move = along * (d_w[a] * both + w * (d_p[j] * d_free[j, a] + d_p[j + 1] * d_free[j + 1, a]))
                    if j < cells:
                        d_right[j, a] += d_move
                    if j > 0:
                        d_right[j - 1, a] -= d_move
                if j < cells:
                    right[j, 0] += move * root
                if j > 0:
                    right[j - 1, 0] -= move * root
            for i in range(cells):
                q, d_q = _positive(bound[i + 1])
                root = np.sqrt(k_on * p[i + 1] + k_off * q)
                move = sign * root_dt * z[s, cells + 1 + i]  # binding less unbinding
                along = 0.5 * move / root
                lost_root = np.sqrt(k * q)
                lost = sign * root_dt * z[s, 2 * cells + 1 + i]
                lost_along = 0.5 * lost / lost_root
                apart = bound[i] - 2.0 * bound[i + 1] + bound[i + 2]  # of the cells on both sides, which come and go
                kick[i] = bound[i + 1] + dt * carried * apart + move * root - lost * lost_root
                right[i, 0] += dt * k_off * kick[i] / beta - move * root
                for a in range(INPUTS):
                    d_move = along * (d_on[a] * p[i + 1] + k_on * d_p[i + 1] * d_free[i + 1, a] + d_off[a] * q + k_off * d_q * d_bound[i + 1, a])
                    d_lost = lost_along * (d_k[a] * q + k * d_q * d_bound[i + 1, a])
                    d_apart = d_bound[i, a] - 2.0 * d_bound[i + 1, a] + d_bound[i + 2, a]
                    d_kick[i, a] = d_bound[i + 1, a] + dt * (d_c[a] * apart + carried * d_apart) + d_move - d_lost
                    d_right[i, a] -= d_move
            right[0, 0] += dt * w * mean[0]
            right[cells - 1, 0] += dt * w * mean[cells + 1]
            _solve(inverse, share, off, right)
            for i in range(cells):
                free[i + 1] = right[i, 0]
                bound[i + 1] = (kick[i] + dt * k_on * free[i + 1]) / beta
            for i in range(cells):
                bend = free[i] - 2.0 * free[i + 1] + free[i + 2]
                for a in range(INPUTS):
                    d_kick[i, a] += dt * (d_on[a] * free[i + 1] - (d_off[a] + d_k[a]) * bound[i + 1])
                    d_right[i, a] += dt * (d_w[a] * bend - d_on[a] * free[i + 1] + d_off[a] * bound[i + 1]) + dt * k_off / beta * d_kick[i, a]
            for a in range(INPUTS):
                d_right[0, a] += dt * w * d_mean[0, a]
                d_right[cells - 1, a] += dt * w * d_mean[cells + 1, a]
            _solve(inverse, share, off, d_right)
            for i in range(cells):
                for a in range(INPUTS):
                    d_free[i + 1, a] = d_right[i, a]
                    d_bound[i + 1, a] = (d_kick[i, a] + dt * k_on * d_right[i, a]) / beta
            if s > heal:
                left = cells // 2
                fall, of_bound = free[left] - free[left + 1], bound[left] - bound[left + 1]
                y[0] += weight * size * (w * fall + carried * of_bound)
                for a in range(INPUTS):
                    along = d_w[a] * fall + w * (d_free[left, a] - d_free[left + 1, a])
                    along += d_c[a] * of_bound + carried * (d_bound[left, a] - d_bound[left + 1, a])
                    jacobian[0, a] += weight * size * along
                for i in range(1, cells + 1):
                    y[1] += weight * k / cells * bound[i]
                    for a in range(INPUTS):
                        jacobian[1, a] += weight / cells * (d_k[a] * bound[i] + k * d_bound[i, a])
    if not (np.isfinite(y[0]) and np.isfinite(y[1])):
        y[:] = np.nan
        jacobian[:] = np.nan
    return y, jacobian


@compiled
def _pullback(x, noise, step, sizes, jacobian, y_bar):
    return y_bar[0] * jacobian[0] + y_bar[1] * jacobian[1]


BURST = Code((__name__, "BURST"), _forward, _pullback, data="f3 f1 i1", state="f2")


def burst(
    cell_size: float,
    cells: int = 4,
    pairs: int = 1,
    heal: int = 8,
    measure: int = 8,
    step: float = 1.0,
    blocks: int = 64,
    seed: int = 0,
    antithetic: bool = True,
) -> Kernel:
    """Kernel of a burst.

    Parameters
    ----------
    cell_size : l, um. cells : of a patch, an even number, so that a bond lies in the middle.
    pairs : antithetic pairs of replicas; single replicas where not ``antithetic``. heal, measure : steps of ``step`` (s) before and while one looks.
    blocks : sets of normals that bursts take in turn; ``seed`` : of the normals.
    """
    if cells < 2 or cells % 2:
        raise HmmInferError(f"A patch of {cells} cells has no bond in its middle; give an even number of cells.")
    for name, value in (("cell_size", cell_size), ("pairs", pairs), ("measure", measure), ("step", step), ("blocks", blocks)):
        if not value > 0:
            raise HmmInferError(f"{name} of a burst is {value:g}; give a positive number.")
    noise = np.random.default_rng(seed).standard_normal((max(blocks, pairs), heal + measure + 1, 3 * cells + 1))
    sizes = np.array([cells, heal, pairs, 1 + int(antithetic)], dtype=np.int64)
    example = np.array([200.0, -2.0, 0.3, 0.9, 0.2, 1.3, 0.8, 0.1, 3.0])
    return Kernel(BURST, (noise, np.array([step, cell_size]), sizes), example)


def quiet(law: Kernel) -> Kernel:
    """The same burst with all normals at rest: its mean, for the network is linear. What is left of an error is that of steps and grids."""
    noise, step, sizes = law.data
    single = np.array([*sizes[:2], 1, 1], dtype=np.int64)
    return Kernel(law.code, (np.zeros_like(noise[:1]), step, single), law.example)
