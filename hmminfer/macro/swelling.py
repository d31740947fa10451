r"""Equilibrium of a charged network with its bath: swelling, and stiffness and osmotic pressure in the swollen state.

    s(J) + T = 0,    s(J) = sigma(J) - Pi(c_F(J)) - A c_F(J)^2,    c_F(J) = c_0 w / (J - 1 + w)

J: volume relative to the reference state, of which the share w is water, with the fixed charge c_0 in it. In the reference state a tissue's
network is free of stress, and a gel's chains are as crosslinked. T: external compression. sigma is the stress of the network itself,

    tissue, strained along one axis    sigma = (mu (J^2 - 1) + lambda ln J) / J,    H = lambda + 2 mu,  nu = lambda / (2 (lambda + mu))
    gel, swelling freely (isotropic)   sigma = R T / v_1 [ln(1 - p) + p + chi p^2 + (p l^2 F(l^2 / N) - p / 2) / N],   p = (1 - w) / J, l = J^(1/3)

the second being Flory & Rehner's for water (v_1 its molar volume) and chains of N segments, F(X) = (3 - X) / (3 (1 - X)) their finite
extensibility (Cohen's inverse Langevin function; F = 1 for Gaussian chains). The law gives Pi at Chebyshev nodes of ln c_F; between them Pi / c_F
is interpolated by a polynomial. A c_F^2 is the contribution of the uncharged chains. Outside the nodes' range the result is NaN.

Vector in:  Pi at the nodes, bath after bath; then c_0, w, (H, nu) or (chi, N), A.
Vector out: rows, each in a bath: Pi + A c_F^2 at a given c_F (PRESSURE_AT), at c_0 (PRESSURE_OF), or at equilibrium; J; modulus J ds/dJ;
            swelling degree J / (1 - w).
Gradient:   at equilibrium dJ = -s_p dp / s_J (implicit function theorem), exact for the discrete model.
Error:      the polynomial is within 1e-5 R T c_F of the law with 24 nodes from 0.01 to 3 mol/L.
Sources:    Flory & Rehner 1943; Cohen 1991, Rheol. Acta 30:270; Lai, Hou & Mow 1991, J. Biomech. Eng. 113:245 (triphasic equilibrium).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError

PRESSURE_AT, PRESSURE_OF, PRESSURE, VOLUME, MODULUS, DEGREE = range(6)
TISSUE, GEL = 0, 1
N_PARAMETERS = 5  # c_0, w, two of the network, A
WATER = 55.34  # mol/L, 1 / v_1 at 25 deg C
STEP = 1e-40  # of the complex step


def nodes(lower: float, upper: float, n: int = 32) -> np.ndarray:
    """Fixed charges (mol/L) at which the law is evaluated: Chebyshev nodes of ln c_F between two values."""
    a, b = np.log(lower), np.log(upper)
    return np.exp(0.5 * (a + b) + 0.5 * (b - a) * np.cos(np.pi * (np.arange(n) + 0.5) / n))


def interpolation(lower: float, upper: float, n: int) -> np.ndarray:
    """(n, n) from Pi at the :func:`nodes` to the Chebyshev coefficients of Pi / c_F."""
    j, k = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.where(j == 0, 1.0, 2.0) / n * np.cos(np.pi * j * (k + 0.5) / n)
    return matrix / nodes(lower, upper, n)


@compiled
def pressure(charge, c, bounds):
    """Pi, dPi/dc_F and the place xi in [-1, 1] of c_F among the nodes, for the coefficients ``c``; real or complex."""
    width = bounds[1] - bounds[0]
    xi = (2.0 * np.log(charge) - bounds[0] - bounds[1]) / width
    b1, b2, d1, d2 = 0.0 * xi, 0.0 * xi, 0.0 * xi, 0.0 * xi
    for k in range(c.size - 1, 0, -1):  # Clenshaw's recurrence and its derivative
        b1, b2, d1, d2 = 2.0 * xi * b1 - b2 + c[k], b1, 2.0 * b1 + 2.0 * xi * d1 - d2, d1
    g = xi * b1 - b2 + c[0]
    slope = (b1 + xi * d1 - d2) * 2.0 / width
    if abs(xi.real) > 1.0:
        g = g * np.nan
    return charge * g, g + slope, xi


@compiled
def stress(volume, p, c, facts, out):
    """out: s, s_J, then s with respect to the five of ``p``, c_F, xi. ``facts`` = [ln c_F least, greatest, R T / v_1, network]."""
    charge0, water, first, second, chains = p[0], p[1], p[2], p[3], p[4]
    free = volume - 1.0 + water
    charge = charge0 * water / free
    pi, slope, xi = pressure(charge, c, facts)
    pi += chains * charge**2
    slope += 2.0 * chains * charge
    if facts[3] == TISSUE:
        mu, lam = first * (1.0 - 2.0 * second) / (2.0 * (1.0 - second)), first * second / (1.0 - second)
        log = np.log(volume)
        sigma = (mu * (volume**2 - 1.0) + lam * log) / volume
        sigma_j = (2.0 * mu * volume + lam / volume - sigma) / volume
        of_first = sigma / first
        of_second = first / (1.0 - second) ** 2 * (log - 0.5 * (volume**2 - 1.0)) / volume
        of_water = 0.0 * volume
    else:
        rt, part = facts[2], (1.0 - water) / volume
        stretch = volume ** (2.0 / 3.0)
        x = stretch / second
        f, f_x = (3.0 - x) / (3.0 * (1.0 - x)), 2.0 / (3.0 * (1.0 - x) ** 2)
        if x.real >= 1.0:
            f = f * np.nan
        chain = part * stretch * f
        of_part = -part / (1.0 - part) + 2.0 * first * part + (stretch * f - 0.5) / second
        sigma = rt * (np.log(1.0 - part) + part + first * part**2 + (chain - 0.5 * part) / second)
        sigma_j = rt * (-part * of_part + part * stretch * (2.0 / 3.0) * (f + x * f_x) / second) / volume
        of_water = -rt * of_part / volume
        of_first = rt * part**2
        of_second = -rt * (chain - 0.5 * part + part * stretch * f_x * x) / second**2
    out[0] = sigma - pi
    out[1] = sigma_j + slope * charge / free
    out[2] = -slope * charge / charge0
    out[3] = of_water - slope * charge0 * (volume - 1.0) / free**2
    out[4], out[5], out[6] = of_first, of_second, -(charge**2)
    out[7], out[8] = charge, xi


@compiled
def add_to_coefficients(weight, charge, xi, bar):
    """Add ``weight`` dPi/dc at c_F to ``bar``, the cotangent of the coefficients."""
    t0, t1 = weight * charge, weight * charge * xi
    for k in range(bar.size):
        bar[k] += t0
        t0, t1 = t1, 2.0 * xi * t1 - t0


@compiled
def equilibrium(load, p, c, facts):
    """J at which s(J) + ``load`` = 0; NaN if there is none within the nodes' range, or if no material has the parameters p."""
    if not (p[0] > 0.0 and 0.0 < p[1] < 1.0 and p[2] > 0.0):
        return np.nan
    out = np.empty(9)
    inside = 1e-9 * (facts[1] - facts[0])
    low = 1.0 - p[1] + p[1] * p[0] / np.exp(facts[1] - inside)
    high = 1.0 - p[1] + p[1] * p[0] / np.exp(facts[0] + inside)
    if facts[3] == GEL:
        high = min(high, (1.0 - 1e-9) * p[3] ** 1.5)
    elif not -1.0 < p[3] < 0.5:
        return np.nan
    stress(low, p, c, facts, out)
    below = out[0] + load
    stress(high, p, c, facts, out)
    if not (below < 0.0 and out[0] + load > 0.0):
        return np.nan
    for _ in range(80):
        middle = np.sqrt(low * high)
        stress(middle, p, c, facts, out)
        if out[0] + load < 0.0:
            low = middle
        else:
            high = middle
    volume = np.sqrt(low * high)
    for _ in range(3):  # to rounding
        stress(volume, p, c, facts, out)
        volume -= (out[0] + load) / out[1]
    stress(volume, p, c, facts, out)
    return volume if out[1] > 0.0 and np.isfinite(out[0]) else np.nan


@compiled
def _forward(x, matrix, facts, what, bath, load, charge):
    """``matrix``: see :func:`interpolation`; per row ``what``, ``bath``, ``load`` T (infinite: J is held at 1), ``charge`` c_F (PRESSURE_AT).

    State: J of each row.
    """
    n = matrix.shape[0]
    p = x[x.size - N_PARAMETERS :].copy()
    y, volume, out = np.empty(what.size), np.ones(what.size), np.empty(9)
    for i in range(what.size):
        c = matrix @ x[bath[i] * n : (bath[i] + 1) * n].copy()
        if what[i] == PRESSURE_AT or what[i] == PRESSURE_OF:
            at = charge[i] if what[i] == PRESSURE_AT else p[0]
            y[i] = pressure(at, c, facts)[0] + p[4] * at**2
            continue
        volume[i] = 1.0 if np.isinf(load[i]) else equilibrium(load[i], p, c, facts)
        stress(volume[i], p, c, facts, out)
        if what[i] == PRESSURE:
            y[i] = pressure(out[7], c, facts)[0] + p[4] * out[7] ** 2
        elif what[i] == MODULUS:
            y[i] = volume[i] * out[1]
        else:
            y[i] = volume[i] / (1.0 - p[1]) if what[i] == DEGREE else volume[i]
    if not np.all(np.isfinite(y)):
        y[:] = np.nan
    return y, volume


@compiled
def _pullback(x, matrix, facts, what, bath, load, charge, volume, y_bar):
    n, start = matrix.shape[0], x.size - N_PARAMETERS
    p = x[start:].copy()
    x_bar = np.zeros(x.size)
    out, tangent = np.empty(9), np.empty(9, dtype=np.complex128)
    at = np.empty(N_PARAMETERS, dtype=np.complex128)
    solved = True
    for i in range(what.size):
        c = matrix @ x[bath[i] * n : (bath[i] + 1) * n].copy()
        of_nodes, of_c = x_bar[bath[i] * n : (bath[i] + 1) * n], np.zeros(n)
        if what[i] == PRESSURE_AT or what[i] == PRESSURE_OF:
            q = charge[i] if what[i] == PRESSURE_AT else p[0]
            value, slope, xi = pressure(q, c, facts)
            solved = solved and np.isfinite(value + p[4])
            add_to_coefficients(y_bar[i], q, xi, of_c)
            of_nodes += of_c @ matrix
            x_bar[start + 4] += y_bar[i] * q**2
            if what[i] == PRESSURE_OF:
                x_bar[start] += y_bar[i] * (slope + 2.0 * p[4] * q)
            continue
        j = volume[i]
        stress(j, p, c, facts, out)
        free, of_volume = j - 1.0 + p[1], 0.0
        if what[i] == PRESSURE:  # the network balances it: Pi = sigma + T, and sigma = s + Pi knows no charge
            _, slope, _ = pressure(out[7], c, facts)
            slope += 2.0 * p[4] * out[7]
            add_to_coefficients(y_bar[i], out[7], out[8], of_c)
            x_bar[start] += y_bar[i] * slope * out[7] / p[0]
            x_bar[start + 1] += y_bar[i] * slope * p[0] * (j - 1.0) / free**2
            x_bar[start + 4] += y_bar[i] * out[7] ** 2
            of_volume = -y_bar[i] * slope * out[7] / free
        elif what[i] == MODULUS:
            at[:] = p
            stress(j + STEP * 1j, at, c, facts, tangent)
            of_volume = y_bar[i] * (out[1] + j * tangent[1].imag / STEP)
            for k in range(N_PARAMETERS):
                at[k] += STEP * 1j
                stress(j + 0j, at, c, facts, tangent)
                at[k] = p[k]
                x_bar[start + k] += y_bar[i] * j * tangent[1].imag / STEP
            t0, t1, d0, d1 = 1.0, out[8], 0.0, 1.0  # s_J = .. + d(c_F T_k) / dc_F c_F / free
            for k in range(n):
                of_c[k] += y_bar[i] * j * out[7] / free * (t0 + d0 * 2.0 / (facts[1] - facts[0]))
                t0, t1, d0, d1 = t1, 2.0 * out[8] * t1 - t0, d1, 2.0 * t1 + 2.0 * out[8] * d1 - d0
        else:
            of_volume = y_bar[i]
            if what[i] == DEGREE:
                of_volume /= 1.0 - p[1]
                x_bar[start + 1] += y_bar[i] * j / (1.0 - p[1]) ** 2
        pull = 0.0 if np.isinf(load[i]) else -of_volume / out[1]
        for k in range(N_PARAMETERS):
            x_bar[start + k] += pull * out[2 + k]
        add_to_coefficients(-pull, out[7], out[8], of_c)
        of_nodes += of_c @ matrix
        solved = solved and np.isfinite(j)
    if not solved:
        x_bar[:] = np.nan
    return x_bar


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f2 f1 i1 i1 f1 f1", state="f1")


def network_facts(lower: float, upper: float, rt: float, network: int) -> np.ndarray:
    """The known data ``facts`` that :func:`stress` takes; ``rt`` in MPa per mol/L."""
    return np.array([np.log(lower), np.log(upper), rt * WATER, float(network)])


def equilibrium_kernel(
    charges: tuple[float, float, int], baths: int, what: Any, bath: Any, load: Any, charge: Any, rt: float, network: int, example: Any
) -> Kernel:
    """Kernel of equilibria.

    Parameters
    ----------
    charges : least and greatest fixed charge (mol/L) and number of :func:`nodes`.
    baths : number of baths; ``bath`` (rows,): index of each row's bath.
    what, load, charge : (rows,) quantity, compression (MPa; infinite to hold J at 1), fixed charge of a PRESSURE_AT.
    rt : R T in MPa per mol/L. network : TISSUE or GEL.
    example : Pi at the nodes in each bath and the five parameters, at which the equilibria can be solved.
    """
    charge, what = np.asarray(charge, float), np.asarray(what, np.int64)
    given = charge[what == PRESSURE_AT]
    beyond = (given < charges[0]) | (given > charges[1]) | ~np.isfinite(given)
    if beyond.any():
        raise HmmInferError(
            f"A fixed charge is {given[beyond][0]:g} mol/L; the micro problem is asked between {charges[0]:g} and {charges[1]:g} mol/L."
        )
    facts = network_facts(charges[0], charges[1], rt, network)
    indices = (what, np.asarray(bath, np.int64))
    data = (interpolation(*charges), facts, *indices, np.asarray(load, float), np.nan_to_num(charge, nan=1.0))
    if len(example) != baths * charges[2] + N_PARAMETERS:
        raise HmmInferError(f"{len(example)} numbers are given for {baths} baths of {charges[2]} nodes.")
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), np.asarray(example, float))
