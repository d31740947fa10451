"""A membrane between two baths: steady nonlinear transport through its thickness, and its conductivity in this state.

    d/dz G(u, u'; theta) = 0,    G = k (u_a - u) at z = 0,    G = k (u - u_c) at z = L

u is the uptake of the membrane (water, for a proton conductor), G its flux, k the transfer coefficient of each surface. The law is evaluated at
every quadrature point; it returns the flux and the conductivities along and across the membrane, which depend on u:

    law(u, u', theta, facts) -> G, s_along, s_across

    area resistance   R = int dz / s_across + r        mean conductivity along   int s_along dz / L        (r: contacts)

Quadratic elements, Newton's method with backtracking to rounding; no iteration is differentiated: at the solution R(u, theta) = 0 gives
du / dtheta = -R_u^-1 R_theta, one transposed solve for all outputs (implicit function theorem).

Vector in:  theta, k, r.
Vector out: rows, each of a specimen: area resistance, conductivity along, flux, or u at a place.
Error:      fourth order in the element size in R and G, third in u, where the law is smooth.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_lu, band_lu_solve
from hmminfer.engine.line import POINT, WEIGHT, shape
from hmminfer.engine.native import specialise
from hmminfer.errors import HmmInferError

RESISTANCE, ALONG, FLUX, UPTAKE = 0, 1, 2, 3
ITERATIONS = 60

law_forward: Any = None  # bound when the templates are compiled
law_pullback: Any = None
newton: Any = None
law_end = 0


def _newton(at, u, h, k, bath, jacobian, *law):
    """Residual R(u) of one specimen and, if ``jacobian``, its matrix; ``at``: the law's vector, whose first two entries are overwritten."""
    residual = np.zeros(u.size)
    ab = np.zeros((u.size, 7))
    e_flux = np.array([1.0, 0.0, 0.0])
    for e in range(u.size // 2):
        for q in range(3):
            n, d = shape(POINT[q])
            d /= h
            w = WEIGHT[q] * h
            at[0] = at[1] = 0.0
            for i in range(3):
                at[0] += n[i] * u[2 * e + i]
                at[1] += d[i] * u[2 * e + i]
            out = law_forward(at, *law)
            slope = law_pullback(at, *law, *out[1:], e_flux) if jacobian else at
            for i in range(3):
                residual[2 * e + i] -= w * d[i] * out[0][0]
                if jacobian:
                    for j in range(3):
                        ab[2 * e + j, 4 + i - j] -= w * d[i] * (slope[0] * n[j] + slope[1] * d[j])
    residual[0] -= k * (bath[0] - u[0])
    residual[-1] += k * (u[-1] - bath[1])
    ab[0, 4] += k
    ab[u.size - 1, 4] += k
    return residual, ab


def _forward(x, facts, thickness, bath, specimen, what, element, weight, sizes, *law):
    """``sizes`` = [elements]. State: u of every specimen, and its conductivities at the quadrature points (specimens, points, 2)."""
    p, n_e = x.size - 2, sizes[0]
    k, r = x[p], x[p + 1]
    count = thickness.size
    u = np.empty((count, 2 * n_e + 1))
    s = np.empty((count, 3 * n_e, 2))
    at = np.empty(2 + p + facts.shape[1])
    at[2 : 2 + p] = x[:p]
    solved = k > 0.0 and r >= 0.0
    for m in range(count):
        at[2 + p :] = facts[m]
        h = thickness[m] / n_e
        u[m] = bath[m, 0] + (bath[m, 1] - bath[m, 0]) * np.linspace(0.0, 1.0, 2 * n_e + 1)
        scale = np.abs(bath[m]).max()
        last = False
        done = False
        for _ in range(ITERATIONS):
            residual, ab = newton(at, u[m], h, k, bath[m], True, *law)
            good, pivots = band_lu(ab, 2)
            if not good or not np.all(np.isfinite(residual)):
                break
            step = residual.copy().reshape(1, residual.size)
            band_lu_solve(ab, 2, pivots, step, False)
            if last:  # one more step than the tolerance asks for: quadratic convergence ends at rounding
                u[m] -= step[0]
                done = True
                break
            size, share = np.abs(residual).max(), 1.0
            small = np.abs(step).max() < 1e-9 * scale
            while not small and share > 1e-3:
                trial, _ = newton(at, u[m] - share * step[0], h, k, bath[m], False, *law)
                if np.all(np.isfinite(trial)) and np.abs(trial).max() < size:
                    break
                share *= 0.5
            u[m] -= share * step[0]
            last = small
        if not done:
            solved = False
        for e in range(n_e):
            for q in range(3):
                n, d = shape(POINT[q])
                at[0] = at[1] = 0.0
                for i in range(3):
                    at[0] += n[i] * u[m, 2 * e + i]
                    at[1] += d[i] / h * u[m, 2 * e + i]
                s[m, 3 * e + q] = law_forward(at, *law)[0][1:]
    y = np.zeros(what.size)
    for i in range(what.size):
        m = specimen[i]
        h = thickness[m] / n_e
        if what[i] == RESISTANCE:
            y[i] = r
            for q in range(3 * n_e):
                y[i] += h * WEIGHT[q % 3] / s[m, q, 1]
        elif what[i] == ALONG:
            for q in range(3 * n_e):
                y[i] += WEIGHT[q % 3] / n_e * s[m, q, 0]
        elif what[i] == FLUX:
            y[i] = k * (bath[m, 0] - u[m, 0])
        else:
            for j in range(3):
                y[i] += weight[i, j] * u[m, 2 * element[i] + j]
    if not solved or not np.all(np.isfinite(y)):
        y[:] = np.nan
        u[:] = np.nan
    return y, u, s


def _pullback(x, facts, thickness, bath, specimen, what, element, weight, sizes, *rest):
    law = rest[:law_end]
    u, s, y_bar = rest[-3], rest[-2], rest[-1]
    p, n_e = x.size - 2, sizes[0]
    k = x[p]
    out = np.zeros(x.size)
    if np.isnan(u[0, 0]):
        out[:] = np.nan
        return out
    at = np.empty(2 + p + facts.shape[1])
    at[2 : 2 + p] = x[:p]
    for m in range(thickness.size):
        at[2 + p :] = facts[m]
        h = thickness[m] / n_e
        s_bar = np.zeros((3 * n_e, 2))
        u_bar = np.zeros((1, 2 * n_e + 1))
        for i in range(what.size):
            if specimen[i] != m:
                continue
            if what[i] == RESISTANCE:
                out[p + 1] += y_bar[i]
                for q in range(3 * n_e):
                    s_bar[q, 1] -= y_bar[i] * h * WEIGHT[q % 3] / s[m, q, 1] ** 2
            elif what[i] == ALONG:
                for q in range(3 * n_e):
                    s_bar[q, 0] += y_bar[i] * WEIGHT[q % 3] / n_e
            elif what[i] == FLUX:
                out[p] += y_bar[i] * (bath[m, 0] - u[m, 0])
                u_bar[0, 0] -= y_bar[i] * k
            else:
                for j in range(3):
                    u_bar[0, 2 * element[i] + j] += y_bar[i] * weight[i, j]
        answer_bar = np.zeros(3)
        for turn in range(2):  # first the cotangents of the conductivities; then, with the adjoint, that of the flux
            if turn == 1:
                _, ab = newton(at, u[m], h, k, bath[m], True, *law)
                _, pivots = band_lu(ab, 2)
                band_lu_solve(ab, 2, pivots, u_bar, True)
                out[p] += u_bar[0, 0] * (bath[m, 0] - u[m, 0]) - u_bar[0, -1] * (u[m, -1] - bath[m, 1])
            for e in range(n_e):
                for q in range(3):
                    n, d = shape(POINT[q])
                    d /= h
                    at[0] = at[1] = answer_bar[0] = 0.0
                    for i in range(3):
                        at[0] += n[i] * u[m, 2 * e + i]
                        at[1] += d[i] * u[m, 2 * e + i]
                        answer_bar[0] += turn * WEIGHT[q] * h * d[i] * u_bar[0, 2 * e + i]
                    answer_bar[1:] = s_bar[3 * e + q] if turn == 0 else 0.0 * s_bar[0]
                    answer = law_forward(at, *law)
                    back = law_pullback(at, *law, *answer[1:], answer_bar)
                    out[:p] += back[2 : 2 + p]
                    if turn == 0:
                        for i in range(3):
                            u_bar[0, 2 * e + i] += back[0] * n[i] + back[1] * d[i]
    return out


@cache
def membrane_code(law: Code) -> Code:
    """Code of membranes with the law ``law``."""
    calls = {"law_forward": law.calls[0], "law_pullback": law.calls[1]}
    solver = specialise(_newton, **calls)
    forward = specialise(_forward, newton=solver, **calls)
    pullback = specialise(_pullback, newton=solver, law_end=law.n_data, **calls)
    data = f"f2 f1 f2 i1 i1 i1 f2 i1 {law.data}"
    return Code((__name__, "membrane_code", law.recipe), forward, pullback, data.strip(), "f2 f3")


def membrane_kernel(
    law: Kernel,
    parameters: Any,
    facts: np.ndarray,
    thickness: np.ndarray,
    bath: np.ndarray,
    specimen: Any,
    what: Any,
    position: Any = None,
    elements: int = 8,
) -> Kernel:
    """Kernel of several membranes of one material.

    Parameters
    ----------
    law : see above; its vector is u, u', the ``parameters`` (an example of them), the facts.
    facts : (specimens, k) known data of each specimen that the law takes.
    thickness, bath : (specimens,) and (specimens, 2); ``bath`` is u in equilibrium with the baths at z = 0 and z = L.
    specimen, what, position : specimen, quantity and position z / L (for rows of uptake) of each output row.
    """
    what, specimen = np.asarray(what, np.int64), np.asarray(specimen, np.int64)
    place = np.zeros(len(what)) if position is None else np.nan_to_num(np.asarray(position, float))
    if np.any((place < 0.0) | (place > 1.0)):
        raise HmmInferError("A position in a membrane is a share of its thickness, between 0 and 1; correct it.")
    element = np.minimum((place * elements).astype(np.int64), elements - 1)
    weight = np.array([shape.py_func(v)[0] for v in place * elements - element]).reshape(len(what), 3)
    arrays = (np.asarray(facts, float), np.asarray(thickness, float), np.asarray(bath, float), specimen, what, element)
    data = (*(np.ascontiguousarray(a) for a in arrays), weight, np.array([elements], dtype=np.int64), *law.data)
    example = np.concatenate([np.asarray(parameters, float), [1.0, 0.1]])
    return Kernel(membrane_code(law.code), data, example)
