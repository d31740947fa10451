"""Thermo-elastic cross-section of a unidirectional composite: phases in; stiffness, thermal stress and heat capacity out.

Free energy of a phase per volume, theta = T - T0:  1/2 eps:C:eps - theta beta:eps - c_eps theta^2 / (2 T0),  beta = C alpha.

Lift: macro strain E and temperature change theta act on the cell, u(y) = E.y + w(y), theta uniform (separated scales).
Micro problem: the elastic cell with a seventh load, the eigenstrain e_7 = -alpha of each phase (E = 0, theta = 1): int B^T C (e_k + B w_k) = 0.
Restrict: the energies A_ij = (1/|Y|) int (e_i + B w_i)^T C (e_j + B w_j) of the seven loads hold everything,

    C_eff = A[:6, :6],    beta_eff = -A[:6, 7],    c_eps,eff = <c_p> - T0 A_77

(c_p at constant stress is what tables give; c_eps,eff is the composite's at constant strain, and adding T0 beta_eff . S_eff beta_eff its c_p).
Stationary in w, so the derivative of the discrete data needs no further solve (see :mod:`.elastic_cell`).

Vector in:  E1f, E2f, G12f, nu12f, nu23f, Em, num, v, alpha1f, alpha2f, alpha_m, c_f, c_m.
Vector out: C_eff (36, Voigt [11, 22, 33, 23, 13, 12]), beta_eff (6), c_eps,eff. With GPa, 1e-6/K and MJ/m^3/K: beta in kPa/K = 1e-6 GPa/K.
Error:      fourth order in the element size; Levin's and Rosen & Hashin's identities hold to rounding on any mesh.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve
from hmminfer.engine.native import compiled
from hmminfer.micro.cell_mesh import MeshArrays
from hmminfer.micro.elastic_cell import EXAMPLE, assemble, elastic_cell, energies, energies_pullback
from hmminfer.micro.phases import isotropic, isotropic_pullback, transversely_isotropic, transversely_isotropic_pullback

REFERENCE = 293.15  # K, T0
ENERGY = 1e-9  # GPa (1e-6)^2 / K in MJ/m^3/K^2


@compiled
def _phases(p):
    """Stiffnesses of fibre and matrix, and the seven unit strains in each."""
    unit = np.zeros((2, 7, 6))
    for m in range(2):
        for k in range(6):
            unit[m, k, k] = 1.0
    unit[0, 6, 0], unit[0, 6, 1], unit[0, 6, 2] = -p[8], -p[9], -p[9]
    unit[1, 6, :3] = -p[10]
    return transversely_isotropic(p[0], p[1], p[2], p[3], p[4]), isotropic(p[5], p[6]), unit


@compiled
def _forward(p, a, b, connectivity, slot, is_fibre, gradient, weight, sizes, reference):
    """``sizes`` = [disc area, largest volume fraction, band]; ``reference`` = [T0]. State: w (7, dofs)."""
    mesh = MeshArrays(a, b, connectivity, slot, is_fibre, gradient, weight)
    c_fibre, c_matrix, unit = _phases(p)
    v = p[7]
    bad = not (0.0 < v < sizes[1]) or np.isnan(c_fibre[0, 0]) or np.isnan(c_matrix[0, 0]) or not np.all(np.isfinite(p))
    if not bad and p[11] > 0.0 and p[12] > 0.0:
        r = np.sqrt(v / sizes[0])
        ab, w = assemble(c_fibre, c_matrix, unit, r, mesh, np.int64(sizes[2]))
        if band_cholesky(ab):
            band_solve(ab, w)
            m = energies(c_fibre, c_matrix, unit, w, r, mesh)
            y = np.empty(43)
            y[:36] = m[:6, :6].copy().ravel()
            y[36:42] = -m[:6, 6]
            y[42] = v * p[11] + (1.0 - v) * p[12] - reference[0] * ENERGY * m[6, 6]
            return y, w
    return np.full(43, np.nan), np.full((7, 3 * (slot.max() + 1)), np.nan)


@compiled
def _pullback(p, a, b, connectivity, slot, is_fibre, gradient, weight, sizes, reference, w, y_bar):
    mesh = MeshArrays(a, b, connectivity, slot, is_fibre, gradient, weight)
    c_fibre, c_matrix, unit = _phases(p)
    r = np.sqrt(p[7] / sizes[0])
    bar = np.zeros((7, 7))
    bar[:6, :6] = y_bar[:36].copy().reshape(6, 6)
    bar[:6, 6] = -y_bar[36:42]
    bar[6, 6] = -reference[0] * ENERGY * y_bar[42]
    bar = 0.5 * (bar + bar.T)
    phase_bar, unit_bar, r_bar = energies_pullback(c_fibre, c_matrix, unit, w, bar, r, mesh)
    out = np.empty(13)
    out[:5] = transversely_isotropic_pullback(p[0], p[1], p[2], p[3], p[4], c_fibre, phase_bar[0])
    out[5:7] = isotropic_pullback(p[5], p[6], c_matrix, phase_bar[1])
    out[7] = r_bar * r / (2.0 * p[7]) + y_bar[42] * (p[11] - p[12])
    out[8] = -unit_bar[0, 6, 0]
    out[9] = -unit_bar[0, 6, 1] - unit_bar[0, 6, 2]
    out[10] = -np.sum(unit_bar[1, 6, :3])
    out[11], out[12] = y_bar[42] * p[7], y_bar[42] * (1.0 - p[7])
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f2 f2 i2 i1 i1 f3 f1 f1 f1", state="f2")


@cache
def thermoelastic_cell(packing: str = "hexagonal", n: int = 2, reference: float = REFERENCE) -> Kernel:
    """Kernel of the cell with ``n`` elements along each side of its polygon; ``reference``: T0 in K."""
    example = np.concatenate([EXAMPLE, [-0.6, 10.0, 55.0, 1.6, 1.9]])
    return Kernel(CODE, (*elastic_cell(packing, n).data, np.array([float(reference)])), example)
