"""Two-way coupled thermo-elasticity of a plane domain: stretching cools, heating bends. Quasi-static, transient, monolithic.

    div sigma = 0,   sigma = Q eps - beta theta                         theta = T - T0
    d/dt (c theta + T0 beta : eps) = div (K grad theta) + heat          T0 times the entropy, linear in theta and eps

Finite elements for displacements and temperature together, three values a node. With the heat content of the nodes, h = M theta + T0 B^T u, a
step of the L-stable method of order two (SDIRK2, gamma = 1 - 1 / sqrt 2; stiffly accurate, so equilibrium holds at every step) solves twice

    | K         -B             | |u    |   | F                                 |
    | T0 B^T     M + gamma dt L | |theta| = | h_n (+ kappa (h_1 - h_n)) + gamma dt q |

with one LU factor for all steps. The two problems are not split, so no step is too long for stability; the sum of h changes only by the heat
that enters, at every step, to rounding. A load that jumps at time 0 leaves h unchanged: the response at that moment is adiabatic.

Vector in:  for each zone Q11, Q22, Q12, Q66, Q16, Q26 (GPa), beta1, beta2, beta6 (kPa/K), c (MJ/m^3/K), K11, K22, K12 (W/m/K): plane data.
Vector out: linear functionals of the nodal values u_x, u_y (mm), theta (K) at times (s), linear between two steps. Loads in kN/mm, W/mm.
Gradient:   discrete adjoint, backward in time with the transposed factor; all stages are kept (2 x steps x unknowns x 8 bytes).
Error:      second order in the step, order degree + 1 in space, where the solution is smooth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_lu, band_lu_solve
from hmminfer.engine.native import compiled
from hmminfer.engine.sdirk import GAMMA, KAPPA
from hmminfer.macro.domain import Domain
from hmminfer.macro.time_grid import time_grid

NUMBERS = 13  # of a zone
EXAMPLE = np.array([70.0, 50.0, 20.0, 22.0, 1.0, 0.5, 1200.0, 1500.0, 100.0, 2.0, 100.0, 200.0, 20.0])
MICRO, MILLI = 1e-6, 1e-3  # lengths in mm, GPa = J/mm^3; kPa/K in GPa/K; MJ/m^3/K in J/mm^3/K; W/m/K in W/mm/K


@compiled
def _matrices(x, zone, unit, scale):
    """Element matrices of the step and, in the rows of the temperature only, of the heat content; ``scale`` = gamma dt."""
    step = np.zeros((zone.size, unit.shape[2], unit.shape[2]))
    heat = np.zeros(step.shape)
    for e in range(zone.size):
        for k in range(NUMBERS):
            a = x[NUMBERS * zone[e] + k]
            step[e] += (a * scale if k >= 10 else a) * unit[e, k]
            if 6 <= k < 10:
                heat[e, 2::3] += a * unit[e, k, 2::3]
    return step, heat


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _times(matrix, dofs, z, first, every):
    """Rows first, first + every, ... of the element matrices times z, summed."""
    out, local = np.zeros(z.size), np.empty(dofs.shape[1])
    for e in range(dofs.shape[0]):
        for j in range(local.size):
            local[j] = z[dofs[e, j]]
        for i in range(first, local.size, every):
            s = 0.0
            for j in range(local.size):
                s += matrix[e, i, j] * local[j]
            out[dofs[e, i]] += s
    return out


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _content_back(heat, dofs, z):
    """The transposed heat content applied to z, of which only the entries of temperatures are read."""
    out, local = np.zeros(z.size), np.empty(dofs.shape[1])
    for e in range(dofs.shape[0]):
        local[:] = 0.0
        for i in range(2, local.size, 3):
            a = z[dofs[e, i]]
            for j in range(local.size):
                local[j] += heat[e, i, j] * a
        for j in range(local.size):
            out[dofs[e, j]] += local[j]
    return out


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _add_outer(weight, v, z, dofs, total):
    for e in range(dofs.shape[0]):
        for i in range(dofs.shape[1]):
            a = weight * v[dofs[e, i]]
            if a != 0.0:
                for j in range(dofs.shape[1]):
                    total[e, i, j] += a * z[dofs[e, j]]


@compiled
def _forward(x, dofs, zone, unit, load, amplitude, held, indptr, indices, values, step, share, scale, sizes):
    """``load`` (loads, values), heat times gamma dt; ``amplitude`` (steps, 2, loads), ``held`` (steps, 2, prescribed): at both stages.

    ``scale`` = [gamma dt], ``sizes`` = [band, unknowns]. State: values at all steps and stages (2, steps + 1, values), factor, pivots.
    """
    band, n_free = sizes[0], sizes[1]
    n_steps, n = amplitude.shape[0], load.shape[1]
    z = np.zeros((2, n_steps + 1, n))
    y = np.full(step.size, np.nan)
    matrix, heat = _matrices(x, zone, unit, scale[0])
    ab = np.zeros((n_free, 3 * band + 1))
    for e in range(zone.size):
        for i in range(dofs.shape[1]):
            for j in range(dofs.shape[1]):
                row, column = dofs[e, i], dofs[e, j]
                if row < n_free and column < n_free:
                    ab[column, 2 * band + row - column] += matrix[e, i, j]
    good = np.all(np.isfinite(x))
    for m in range(x.size // NUMBERS):  # a stiffness and a conductivity that are positive definite, a positive capacity
        q = x[NUMBERS * m : NUMBERS * (m + 1)]
        minor = q[0] * q[1] - q[2] ** 2
        third = q[3] * minor - q[4] * (q[4] * q[1] - q[2] * q[5]) + q[5] * (q[4] * q[2] - q[0] * q[5])
        good = good and q[0] > 0.0 and minor > 0.0 and third > 0.0
        good = good and q[9] > 0.0 and q[10] > 0.0 and q[10] * q[11] - q[12] ** 2 > 0.0
    pivots = np.zeros(n_free, dtype=np.int64)
    if good:
        good, p32 = band_lu(ab, band)
        pivots[:] = p32
        b = np.empty((1, n_free))
        for t in range(n_steps):
            before = _times(heat, dofs, z[0, t], 2, 3)
            content = before.copy()
            for stage in range(2):
                now = np.zeros(n)
                now[n_free:] = held[t, stage]
                rhs = content + amplitude[t, stage] @ load
                if np.any(now != 0.0):
                    rhs -= _times(matrix, dofs, now, 0, 1)
                b[0] = rhs[:n_free]
                band_lu_solve(ab, band, p32, b, False)
                now[:n_free] = b[0]
                if stage == 0:
                    z[1, t] = now
                    content = before + KAPPA * (_times(heat, dofs, now, 2, 3) - before)
                else:
                    z[0, t + 1] = now
        for i in range(step.size):
            s = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                j = indices[k]
                s += values[k] * ((1.0 - share[i]) * z[0, step[i], j] + share[i] * z[0, step[i] + 1, j])
            y[i] = s
    if not good or not np.all(np.isfinite(y)):
        y[:] = np.nan
        z[:] = np.nan
    return y, z, ab, pivots


@compiled
def _pullback(x, dofs, zone, unit, load, amplitude, held, indptr, indices, values, step, share, scale, sizes, z, ab, pivots, y_bar):
    band, n_free = sizes[0], sizes[1]
    n_steps, n = amplitude.shape[0], load.shape[1]
    x_bar = np.zeros(x.size)
    if np.isnan(z[0, 0, 0]) or np.isnan(y_bar[0]):
        x_bar[:] = np.nan
        return x_bar
    _, heat = _matrices(x, zone, unit, scale[0])
    p32 = pivots.astype(np.int32)
    z_bar = np.zeros((n_steps + 1, n))
    for i in range(step.size):
        for k in range(indptr[i], indptr[i + 1]):
            z_bar[step[i], indices[k]] += (1.0 - share[i]) * values[k] * y_bar[i]
            z_bar[step[i] + 1, indices[k]] += share[i] * values[k] * y_bar[i]
    of_step = np.zeros(unit.shape[:1] + unit.shape[2:])
    of_heat = np.zeros(of_step.shape)
    mu, full = np.zeros((1, n_free)), np.zeros(n)
    content_bar = np.zeros(n)  # of the heat content after the step; only its temperature rows are read
    for t in range(n_steps - 1, -1, -1):
        mu[0] = (z_bar[t + 1] + _content_back(heat, dofs, content_bar))[:n_free]
        band_lu_solve(ab, band, p32, mu, True)
        _add_outer(1.0, content_bar, z[0, t + 1], dofs, of_heat)
        full[:n_free] = mu[0]
        _add_outer(-1.0, full, z[0, t + 1], dofs, of_step)
        first_bar = KAPPA * full
        content_bar = (1.0 - KAPPA) * full
        mu[0] = _content_back(heat, dofs, first_bar)[:n_free]
        band_lu_solve(ab, band, p32, mu, True)
        _add_outer(1.0, first_bar, z[1, t], dofs, of_heat)
        full[:n_free] = mu[0]
        _add_outer(-1.0, full, z[1, t], dofs, of_step)
        content_bar += full
    for e in range(zone.size):
        for k in range(NUMBERS):
            s = np.sum(unit[e, k] * of_step[e]) * (scale[0] if k >= 10 else 1.0)
            if 6 <= k < 10:
                s += np.sum(unit[e, k, 2::3] * of_heat[e, 2::3])
            x_bar[NUMBERS * zone[e] + k] += s
    return x_bar


CODE = Code((__name__, "CODE"), _forward, _pullback, data="i2 i1 f4 f2 f3 f3 i1 i1 f1 i1 f1 f1 i1", state="f3 f2 i1")


def unit_matrices(domain: Domain, reference: float) -> np.ndarray:
    """Element matrices (elements, 13, 3 n, 3 n) of unit plane data, values ordered node by node as (u_x, u_y, theta)."""
    g, w = domain.gradients, domain.weights
    shape = np.stack([np.broadcast_to(np.asarray(b[0]), w.shape) for b in domain.basis.basis], axis=-1)
    n_e, n_p, n = shape.shape
    b = np.zeros((n_e, n_p, 3, 3 * n))  # strains of the nodal values
    b[:, :, 0, 0::3] = b[:, :, 2, 1::3] = g[..., 0]
    b[:, :, 1, 1::3] = b[:, :, 2, 0::3] = g[..., 1]
    theta = np.zeros((n_e, n_p, 3 * n))
    theta[:, :, 2::3] = shape
    slope = np.zeros((n_e, n_p, 2, 3 * n))
    slope[:, :, 0, 2::3], slope[:, :, 1, 2::3] = g[..., 0], g[..., 1]

    def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.einsum("ep,epi,epj->eij", w, left, right)

    out = np.zeros((n_e, NUMBERS, 3 * n, 3 * n))
    for k, (i, j) in enumerate(((0, 0), (1, 1), (0, 1), (2, 2), (0, 2), (1, 2))):
        m = product(b[:, :, i], b[:, :, j])
        out[:, k] = m if i == j else m + m.transpose(0, 2, 1)
    for k in range(3):
        m = product(b[:, :, k], theta)
        out[:, 6 + k] = MICRO * (-m + reference * m.transpose(0, 2, 1))
    out[:, 9] = MILLI * product(theta, theta)
    for k, (i, j) in enumerate(((0, 0), (1, 1), (0, 1))):
        m = product(slope[:, :, i], slope[:, :, j])
        out[:, 10 + k] = MILLI * (m if i == j else m + m.transpose(0, 2, 1))
    return out


def thermoelastic_kernel(
    domain: Domain,
    fixed: np.ndarray,
    held: Any,
    load: np.ndarray,
    amplitude: Any,
    duration: float,
    steps: int,
    observe: Any,
    times: np.ndarray,
    zone: np.ndarray,
    reference: float,
    rise: float = 0.0,
) -> Kernel:
    """Kernel of one transient from the unloaded state at T0.

    Parameters
    ----------
    fixed : (nodes, 3) True where u_x, u_y or theta is prescribed; enough displacements to prevent a rigid motion.
    held : function of times (k,) -> prescribed values (k, nodes, 3).
    load : (loads, nodes, 3) nodal forces and heat flows; ``amplitude``: function of times (k,) -> (k, loads).
    duration, steps : the computed time, and the number of its equal steps.
    observe, times : (rows, 3 nodes) sparse functionals, (u_x, u_y, theta) node by node, and the time of each.
    zone : (elements,) index of the zone of each element.
    reference : T0 in K.
    rise : time in which the loads rise, 0 for loads at once; the steps must resolve it.
    """
    grid = time_grid(times, duration, steps, rise)
    u = domain.numbering(np.asarray(fixed, bool))
    everything = np.concatenate([u.free, u.held])
    flows = np.array(load, float).reshape(len(load), -1)
    flows[:, 2::3] *= GAMMA * grid.dt
    observe = csr_array(observe)
    data = (
        u.dofs,
        np.asarray(zone, np.int64),
        unit_matrices(domain, reference),
        flows[:, everything],
        np.asarray(amplitude(grid.stages.ravel()), float).reshape(steps, 2, len(load)),
        np.asarray(held(grid.stages.ravel()), float).reshape(steps, 2, -1)[:, :, u.held],
        observe.indptr.astype(np.int64),
        u.number[observe.indices],
        observe.data.astype(float),
        grid.step,
        grid.share,
        np.array([GAMMA * grid.dt]),
        np.array([u.band, len(u.free)], dtype=np.int64),
    )
    example = np.tile(EXAMPLE, int(np.max(zone)) + 1)
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), example)
