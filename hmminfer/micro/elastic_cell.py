"""Periodic cross-section of a unidirectional composite in generalised plane strain: phases in, effective stiffness out.

Lift: the macro strain E (six components) acts on the cell, u(y) = E.y + w(y) with w periodic and independent of the fibre axis 1.
Micro problem: find w with int grad v : C(y) : (E + grad w) = 0 for every periodic v, three displacements a node:

    e22 = w2,2   e33 = w3,3   g23 = w2,3 + w3,2   g13 = w1,3   g12 = w1,2        (11 feels no w)

Restrict: C_eff[i, j] = (1/|Y|) int (e_i + B w_i)^T C (e_j + B w_j), one factorisation for all six unit strains.

The problem is self-adjoint, so the exact derivative of the discrete C_eff needs no further solve: moduli enter through C, and the
volume fraction through the moving nodes x = a + r b (see :mod:`.cell_mesh`), whose shape terms are differentiated in closed form.

Vector in:  E1f, E2f, G12f, nu12f, nu23f, Em, num, v   (moduli in one unit, GPa by convention).
Vector out: C_eff, 36 numbers, Voigt order [11, 22, 33, 23, 13, 12], the unit of the moduli.
Error: fourth order in the element size (energy of biquadratic elements on a body-fitted mesh).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve
from hmminfer.engine.native import compiled
from hmminfer.micro.cell_mesh import MeshArrays, cell_mesh, element_coordinates, geometry, velocity_gradient
from hmminfer.micro.phases import isotropic, isotropic_pullback, transversely_isotropic, transversely_isotropic_pullback

UNIT = np.stack([np.eye(6), np.eye(6)])  # unit strains in fibre and matrix
EXAMPLE = np.array([230.0, 15.0, 18.0, 0.20, 0.25, 3.5, 0.36, 0.60])


@compiled
def assemble(c_fibre, c_matrix, unit, r, mesh, band):
    """Band stiffness of the cell and its load vectors -int B^T C e_k, for any pair of phase matrices.

    ``unit`` (2, loads, 6): the strains e_k that the loads impose in fibre and in matrix, :data:`UNIT` for the six macro strains.

    Degrees of freedom: 2 s and 2 s + 1 for (w2, w3) of slot s, then 2 S + s for w1, which no phase couples to them.
    """
    n_slots = mesh.slot.max() + 1
    ab = np.zeros((3 * n_slots, band + 1))
    load = np.zeros((unit.shape[1], 3 * n_slots))
    stress = np.stack((unit[0] @ c_fibre, unit[1] @ c_matrix))
    coords = np.empty((9, 2))
    grad = np.empty((9, 2))
    for e in range(mesh.connectivity.shape[0]):
        c = c_fibre if mesh.is_fibre[e] else c_matrix
        s = stress[0] if mesh.is_fibre[e] else stress[1]
        element_coordinates(e, r, mesh, coords)
        for q in range(mesh.weight.size):
            jw = mesh.weight[q] * geometry(coords, mesh.gradient[q], grad)
            for i in range(9):
                si = mesh.slot[mesh.connectivity[e, i]]
                if si < 0:
                    continue
                gi2, gi3 = jw * grad[i, 0], jw * grad[i, 1]
                for k in range(unit.shape[1]):
                    load[k, 2 * si] -= gi2 * s[k, 1] + gi3 * s[k, 3]
                    load[k, 2 * si + 1] -= gi3 * s[k, 2] + gi2 * s[k, 3]
                    load[k, 2 * n_slots + si] -= gi3 * s[k, 4] + gi2 * s[k, 5]
                for j in range(9):
                    sj = mesh.slot[mesh.connectivity[e, j]]
                    if sj < 0 or sj > si:
                        continue
                    g2, g3 = grad[j, 0], grad[j, 1]
                    d = 2 * (si - sj)
                    ab[2 * sj, d] += gi2 * c[1, 1] * g2 + gi3 * c[3, 3] * g3
                    ab[2 * sj, d + 1] += gi3 * c[2, 1] * g2 + gi2 * c[3, 3] * g3
                    ab[2 * sj + 1, d] += gi3 * c[2, 2] * g3 + gi2 * c[3, 3] * g2
                    if d > 0:
                        ab[2 * sj + 1, d - 1] += gi2 * c[1, 2] * g3 + gi3 * c[3, 3] * g2
                    ab[2 * n_slots + sj, si - sj] += gi3 * c[4, 4] * g3 + gi2 * c[5, 5] * g2
    return ab, load


@compiled
def _strains(e, grad, w, unit, mesh, strain):
    """Total strains of the loads at one point: ``strain[k] = e_k + B w_k``; ``unit`` (loads, 6)."""
    n_slots = w.shape[1] // 3
    strain[:] = unit
    for i in range(9):
        s = mesh.slot[mesh.connectivity[e, i]]
        if s < 0:
            continue
        g2, g3 = grad[i, 0], grad[i, 1]
        for k in range(strain.shape[0]):
            w2, w3, w1 = w[k, 2 * s], w[k, 2 * s + 1], w[k, 2 * n_slots + s]
            strain[k, 1] += g2 * w2
            strain[k, 2] += g3 * w3
            strain[k, 3] += g3 * w2 + g2 * w3
            strain[k, 4] += g3 * w1
            strain[k, 5] += g2 * w1


@compiled
def energies(c_fibre, c_matrix, unit, w, r, mesh):
    """Restriction: int (e_i + B w_i)^T C (e_j + B w_j), (loads, loads), for fluctuations ``w`` (loads, dofs); the cell has unit area."""
    n_loads = unit.shape[1]
    out = np.zeros((n_loads, n_loads))
    coords = np.empty((9, 2))
    grad = np.empty((9, 2))
    strain = np.empty((n_loads, 6))
    for e in range(mesh.connectivity.shape[0]):
        c = c_fibre if mesh.is_fibre[e] else c_matrix
        element_coordinates(e, r, mesh, coords)
        for q in range(mesh.weight.size):
            jw = mesh.weight[q] * geometry(coords, mesh.gradient[q], grad)
            _strains(e, grad, w, unit[0] if mesh.is_fibre[e] else unit[1], mesh, strain)
            out += jw * (strain @ c @ strain.T)
    return 0.5 * (out + out.T)


@compiled
def _forward(p, a, b, connectivity, slot, is_fibre, gradient, weight, sizes):
    """p -> (C_eff.ravel(), w); ``sizes`` = [disc area, largest volume fraction, band]."""
    mesh = MeshArrays(a, b, connectivity, slot, is_fibre, gradient, weight)
    c_fibre = transversely_isotropic(p[0], p[1], p[2], p[3], p[4])
    c_matrix = isotropic(p[5], p[6])
    v = p[7]
    bad = not (0.0 < v < sizes[1]) or np.isnan(c_fibre[0, 0]) or np.isnan(c_matrix[0, 0])
    if not bad:
        r = np.sqrt(v / sizes[0])
        ab, w = assemble(c_fibre, c_matrix, UNIT, r, mesh, np.int64(sizes[2]))
        if band_cholesky(ab):
            band_solve(ab, w)
            return energies(c_fibre, c_matrix, UNIT, w, r, mesh).ravel(), w
    return np.full(36, np.nan), np.full((6, 3 * (slot.max() + 1)), np.nan)


@compiled
def energies_pullback(c_fibre, c_matrix, unit, w, bar, r, mesh):
    """Derivative of the energies at fixed w for a symmetric cotangent ``bar`` (loads, loads): of C and of the unit strains in fibre and
    matrix, (2, 6, 6) and (2, loads, 6), and of the radius through d|J| and d(grad N).
    """
    n_slots = w.shape[1] // 3
    phase_bar = np.zeros((2, 6, 6))
    unit_bar = np.zeros(unit.shape)
    r_bar = 0.0
    coords = np.empty((9, 2))
    grad = np.empty((9, 2))
    strain = np.empty((unit.shape[1], 6))
    for e in range(mesh.connectivity.shape[0]):
        fibre = 0 if mesh.is_fibre[e] else 1
        c = c_fibre if mesh.is_fibre[e] else c_matrix
        element_coordinates(e, r, mesh, coords)
        for q in range(mesh.weight.size):
            jw = mesh.weight[q] * geometry(coords, mesh.gradient[q], grad)
            _strains(e, grad, w, unit[fibre], mesh, strain)
            weighted = bar @ strain  # row k: sum over i of bar[k, i] strain[i]
            phase_bar[fibre] += jw * (strain.T @ weighted)
            l22, l23, l32, l33 = velocity_gradient(e, grad, mesh)
            stress = weighted @ c  # row k: the stress of the weighted strains
            unit_bar[fibre] += 2.0 * jw * stress
            energy = 0.0
            for k in range(stress.shape[0]):
                for m in range(6):
                    energy += stress[k, m] * strain[k, m]
            r_bar += jw * (l22 + l33) * energy
            for n in range(9):
                s = mesh.slot[mesh.connectivity[e, n]]
                if s < 0:
                    continue
                d2 = -(l22 * grad[n, 0] + l32 * grad[n, 1])
                d3 = -(l23 * grad[n, 0] + l33 * grad[n, 1])
                for k in range(stress.shape[0]):
                    w2, w3, w1 = w[k, 2 * s], w[k, 2 * s + 1], w[k, 2 * n_slots + s]
                    r_bar += (
                        2.0
                        * jw
                        * (
                            stress[k, 1] * d2 * w2
                            + stress[k, 2] * d3 * w3
                            + stress[k, 3] * (d3 * w2 + d2 * w3)
                            + stress[k, 4] * d3 * w1
                            + stress[k, 5] * d2 * w1
                        )
                    )
    return phase_bar, unit_bar, r_bar


@compiled
def _pullback(p, a, b, connectivity, slot, is_fibre, gradient, weight, sizes, w, y_bar):
    """Derivative of the energy form at fixed w: moduli through C, the volume fraction through dr/dv."""
    mesh = MeshArrays(a, b, connectivity, slot, is_fibre, gradient, weight)
    c_fibre = transversely_isotropic(p[0], p[1], p[2], p[3], p[4])
    c_matrix = isotropic(p[5], p[6])
    r = np.sqrt(p[7] / sizes[0])
    bar = y_bar.copy().reshape(6, 6)
    bar = 0.5 * (bar + bar.T)
    phase_bar, _, r_bar = energies_pullback(c_fibre, c_matrix, UNIT, w, bar, r, mesh)
    out = np.empty(8)
    out[:5] = transversely_isotropic_pullback(p[0], p[1], p[2], p[3], p[4], c_fibre, phase_bar[0])
    out[5:7] = isotropic_pullback(p[5], p[6], c_matrix, phase_bar[1])
    out[7] = r_bar * r / (2.0 * p[7])
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f2 f2 i2 i1 i1 f3 f1 f1", state="f2")


@cache
def elastic_cell(packing: str = "hexagonal", n: int = 2) -> Kernel:
    """Kernel of the full cell with ``n`` elements along each side of the cell's polygon."""
    mesh = cell_mesh(packing, n)
    numbers = mesh.slot[mesh.connectivity]
    reach = max(int(row[row >= 0].max() - row[row >= 0].min()) for row in numbers)
    sizes = np.array([mesh.disc_area, mesh.largest_fraction(), 2 * reach + 1])
    return Kernel(CODE, (*mesh.arrays, sizes), EXAMPLE)
