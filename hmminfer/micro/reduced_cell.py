"""Reduced basis of the elastic cell: the same law some hundred times cheaper, with an error bound.

Offline the full cell is solved over a box of parameters; proper orthogonal decomposition leaves a few vectors V per load class.
Reflection symmetry splits the six loads into four classes that never mix: {11, 22, 33}, {23}, {13}, {12}. The moduli enter affinely,

    K(p) = sum_q c_q(p) K_q(r),    q over (C22, C23) of fibre and matrix, or C66 of both for the two shears along the fibre,

and the projections V^T K_q(r) V depend on the radius as the mesh moves. In the fibre they do not (a plane problem does not feel its
scale); in the matrix their poles lie where the fibre touches the cell's wall or beyond, at r_t and more, so that a short Chebyshev series
in ln(r_t - r) holds them. Loads live on the phase contrast and are linear in r: with g_a = int_fibre B^T e_a and D the contrast of the
phase matrices,

    C_eff = v C_f + (1 - v) C_m - D M D^T,        M = g^T K^-1 g   (Galerkin: M_N <= M, error quadratic in that of the fluctuations).

Stiffness scales with the matrix, C_eff(s p) = s C_eff(p) for moduli times s: the box is one of p in units of the matrix's modulus.
Online the four small systems are solved directly. Inside the box the answer is that of the reduced basis, outside it that of the full
cell, which stays one keyword away everywhere. The derivative is the exact one of whichever answered.

Error: :meth:`ReducedCell.error_bound` (residual over coercivity) and, tested on prior draws, below 1e-6 relative in C_eff.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from hmminfer.engine.cache import cached_arrays
from hmminfer.engine.fingerprint import fingerprint_of
from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve, band_to_sparse, cholesky, cholesky_solve
from hmminfer.engine.native import compiled
from hmminfer.micro import elastic_cell as full
from hmminfer.micro.cell_mesh import CORE, MAX_FRACTION, MeshArrays
from hmminfer.micro.phases import isotropic, isotropic_pullback, transversely_isotropic, transversely_isotropic_pullback

# class -> loads (Voigt), affine unit matrices, block of degrees of freedom
CLASSES = ((1, 2), (3,), (4,), (5,))
TERMS = 18  # of the Chebyshev series


@compiled
def _series(r, gap, n):
    """Chebyshev polynomials T_0..T_{n-1} of ln(r_t - r) and their derivatives by r, (2, n); ``gap``: middle, half width, r_t."""
    s = (np.log(gap[2] - r) - gap[0]) / gap[1]
    slope = -1.0 / ((gap[2] - r) * gap[1])
    t = np.zeros((2, n))
    t[0, 0] = 1.0
    t[0, 1] = s
    t[1, 1] = slope
    for k in range(2, n):
        t[0, k] = 2.0 * s * t[0, k - 1] - t[0, k - 2]
        t[1, k] = 2.0 * slope * t[0, k - 1] + 2.0 * s * t[1, k - 1] - t[1, k - 2]
    return t


@compiled
def _solve(r, t, c_fibre, c_matrix, operator, load):
    """One load class: u = K^-1 g, (m, N), and M = g^T u, (m, m).

    Rows of ``operator`` (Q_f + Q_m terms, N (N + 1) / 2), packed lower triangles: units of the fibre, then the series of each unit of
    the matrix. ``load`` (2, m, N): g = load[0] + r load[1].
    """
    n_f, terms, n = c_fibre.size, t.shape[1], load.shape[2]
    share = np.empty(operator.shape[0])
    share[:n_f] = c_fibre
    for q in range(c_matrix.size):
        share[n_f + q * terms : n_f + (q + 1) * terms] = c_matrix[q] * t[0]
    k = share @ operator
    factor = np.zeros((n, n))
    at = 0
    for i in range(n):
        factor[i, : i + 1] = k[at : at + i + 1]
        at += i + 1
    g = load[0] + r * load[1]
    u = g.copy()
    if cholesky(factor):
        cholesky_solve(factor, u)
    else:
        u[:] = np.nan
    return u, u @ g.T


@compiled
def _solve_pullback(t, c_fibre, c_matrix, operator, load, u, m_bar):
    """Cotangents of the coefficients and of r for a cotangent ``m_bar`` of M: dM = dg^T u + u^T dg - u^T dK u."""
    n_f, n_m, terms, n = c_fibre.size, c_matrix.size, t.shape[1], load.shape[2]
    bar_u = 0.5 * (m_bar + m_bar.T) @ u
    r_bar = 2.0 * np.sum(bar_u * load[1])
    k_bar = np.zeros(operator.shape[1])
    for a in range(u.shape[0]):
        at = 0
        for i in range(n):
            for j in range(i):
                k_bar[at + j] -= bar_u[a, i] * u[a, j] + bar_u[a, j] * u[a, i]
            k_bar[at + i] -= bar_u[a, i] * u[a, i]
            at += i + 1
    rows = operator @ k_bar
    matrix_bar = np.empty(n_m)
    for q in range(n_m):
        part = rows[n_f + q * terms : n_f + (q + 1) * terms]
        matrix_bar[q] = np.dot(t[0], part)
        r_bar += c_matrix[q] * np.dot(t[1], part)
    return rows[:n_f].copy(), matrix_bar, r_bar


@compiled
def _contrast(c_fibre, c_matrix):
    """D (6, 5): what unit strain k loads onto (g22, g33, g23, g13, g12)."""
    d = np.zeros((6, 5))
    delta = c_fibre - c_matrix
    d[:3, :2] = delta[:3, 1:3]
    for k in range(3, 6):
        d[k, k - 1] = delta[k, k]
    return d


@compiled
def _inside(p, box):
    """True if p, its moduli over that of the matrix, lies in the box."""
    for i in range(p.size):
        x = p[i] / p[5] if i < 3 or i == 5 else p[i]
        if not box[0, i] <= x <= box[1, i]:
            return False
    return True


@compiled
def _online(p, gap, area):
    """Stiffnesses of fibre and matrix, radius, series in the radius, and contrast at p."""
    c_fibre = transversely_isotropic(p[0], p[1], p[2], p[3], p[4])
    c_matrix = isotropic(p[5], p[6])
    r = np.sqrt(p[7] / area)
    return c_fibre, c_matrix, r, _series(r, gap, TERMS), _contrast(c_fibre, c_matrix)


@compiled
def _reduced(p, k0, g0, k1, g1, k2, g2, k3, g3, gap, area):
    """C_eff (36,) of the reduced basis, and u of the four classes."""
    v = p[7]
    c_fibre, c_matrix, r, t, d = _online(p, gap, area)
    plane_f, plane_m, shear_f, shear_m = c_fibre[1, 1:3], c_matrix[1, 1:3], c_fibre[5, 5:], c_matrix[5, 5:]
    m = np.zeros((5, 5))
    u0, m[:2, :2] = _solve(r, t, plane_f, plane_m, k0, g0)
    u1, m[2:3, 2:3] = _solve(r, t, plane_f, plane_m, k1, g1)
    u2, m[3:4, 3:4] = _solve(r, t, shear_f, shear_m, k2, g2)
    u3, m[4:5, 4:5] = _solve(r, t, shear_f, shear_m, k3, g3)
    return (v * c_fibre + (1.0 - v) * c_matrix - d @ m @ d.T).ravel(), u0, u1, u2, u3


@compiled
def _reduced_pullback(p, k0, g0, k1, g1, k2, g2, k3, g3, gap, area, u0, u1, u2, u3, y_bar):
    """The cotangent of p for the cotangent ``y_bar`` of C_eff."""
    v = p[7]
    c_fibre, c_matrix, r, t, d = _online(p, gap, area)
    plane_f, plane_m, shear_f, shear_m = c_fibre[1, 1:3], c_matrix[1, 1:3], c_fibre[5, 5:], c_matrix[5, 5:]
    bar = y_bar.copy().reshape(6, 6)
    bar = 0.5 * (bar + bar.T)
    m_bar = -(d.T @ bar @ d)
    f0, m0, r0 = _solve_pullback(t, plane_f, plane_m, k0, g0, u0, m_bar[:2, :2].copy())
    f1, m1, r1 = _solve_pullback(t, plane_f, plane_m, k1, g1, u1, m_bar[2:3, 2:3].copy())
    f2, m2, r2 = _solve_pullback(t, shear_f, shear_m, k2, g2, u2, m_bar[3:4, 3:4].copy())
    f3, m3, r3 = _solve_pullback(t, shear_f, shear_m, k3, g3, u3, m_bar[4:5, 4:5].copy())

    m = np.zeros((5, 5))
    m[:2, :2] = u0 @ (g0[0] + r * g0[1]).T
    m[2, 2] = np.sum(u1 * (g1[0] + r * g1[1]))
    m[3, 3] = np.sum(u2 * (g2[0] + r * g2[1]))
    m[4, 4] = np.sum(u3 * (g3[0] + r * g3[1]))
    d_bar = -2.0 * (bar @ d @ m)
    fibre_bar, matrix_bar = v * bar, (1.0 - v) * bar
    fibre_bar[:3, 1:3] += d_bar[:3, :2]
    matrix_bar[:3, 1:3] -= d_bar[:3, :2]
    for k in range(3, 6):
        fibre_bar[k, k] += d_bar[k, k - 1]
        matrix_bar[k, k] -= d_bar[k, k - 1]
    fibre_bar[1, 1:3] += f0 + f1
    matrix_bar[1, 1:3] += m0 + m1
    fibre_bar[5, 5] += f2[0] + f3[0]
    matrix_bar[5, 5] += m2[0] + m3[0]
    out = np.empty(8)
    out[:5] = transversely_isotropic_pullback(p[0], p[1], p[2], p[3], p[4], c_fibre, fibre_bar)
    out[5:7] = isotropic_pullback(p[5], p[6], c_matrix, matrix_bar)
    out[7] = np.sum(bar * (c_fibre - c_matrix)) + (r0 + r1 + r2 + r3) * r / (2.0 * v)
    return out


@compiled
def _forward(p, k0, g0, k1, g1, k2, g2, k3, g3, gap, box, a, b, connectivity, slot, is_fibre, gradient, weight, sizes):
    if _inside(p, box):
        return _reduced(p, k0, g0, k1, g1, k2, g2, k3, g3, gap, sizes[0])
    c_eff = full._forward(p, a, b, connectivity, slot, is_fibre, gradient, weight, sizes)[0]
    return c_eff, np.zeros_like(g0[0]), np.zeros_like(g1[0]), np.zeros_like(g2[0]), np.zeros_like(g3[0])


@compiled
def _pullback(p, k0, g0, k1, g1, k2, g2, k3, g3, gap, box, a, b, connectivity, slot, is_fibre, gradient, weight, sizes, u0, u1, u2, u3, y_bar):
    if _inside(p, box):
        return _reduced_pullback(p, k0, g0, k1, g1, k2, g2, k3, g3, gap, sizes[0], u0, u1, u2, u3, y_bar)
    # the full cell's displacements are not carried along for the rare point outside: it is solved once more
    cell = (a, b, connectivity, slot, is_fibre, gradient, weight, sizes)
    return full._pullback(p, *cell, full._forward(p, *cell)[1], y_bar)


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f2 f3 f2 f3 f2 f3 f2 f3 f1 f2 f2 f2 i2 i1 i1 f3 f1 f1", state="f2 f2 f2 f2")


def _unit_matrices() -> list[np.ndarray]:
    """The affine units: stiffness of C22 = C33 (with C44 = (C22 - C23) / 2), of C23, and of C55 = C66."""
    c22, c23, c66 = np.zeros((3, 6, 6))
    c22[1, 1] = c22[2, 2] = 1.0
    c22[3, 3], c23[3, 3] = 0.5, -0.5
    c23[1, 2] = c23[2, 1] = 1.0
    c66[4, 4] = c66[5, 5] = 1.0
    return [c22, c23, c66]


@dataclass(frozen=True, eq=False)
class ReducedCell:
    """Offline result: the online kernel and what the error bound needs."""

    kernel: Kernel
    full: Kernel
    bases: tuple[np.ndarray, ...]
    radii: np.ndarray
    coercivity: np.ndarray

    @cached_property
    def _x(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reference phases and the band factor of X, the cell's stiffness at them and at the middle radius."""
        c_fibre, c_matrix = _phases(self.kernel.example)
        factor, _ = _assemble(self.full, (c_fibre, c_matrix), self.radii[4])
        band_cholesky(factor)
        return c_fibre, c_matrix, factor

    def error_bound(self, p: np.ndarray) -> float:
        """Upper bound of the error of C_eff over its largest entry of each load class, max over entries.

        |C_N - C|_kk = rho_k with rho_k = |r_k|^2 in the dual of the energy norm <= |r_k|^2_X / alpha; X is the stiffness at reference
        phases and radius, alpha the least ratio of phase stiffnesses times the least eigenvalue of geometry (tabulated over r).
        """
        (c_fibre, c_matrix), (x_fibre, x_matrix, factor) = _phases(p), self._x
        r = float(np.sqrt(p[7] / self.full.data[-1][0]))
        ab, load = _assemble(self.full, (c_fibre, c_matrix), r)
        alpha = min(_phase_ratio(c_fibre, x_fibre), _phase_ratio(c_matrix, x_matrix))
        j = int(np.clip(np.searchsorted(self.radii, r), 1, len(self.radii) - 1))
        alpha *= min(self.coercivity[j - 1], self.coercivity[j])
        c_eff = self.kernel(p).reshape(6, 6)
        worst = 0.0
        k_full = band_to_sparse(ab)
        for basis, loads in zip(self.bases, ((0, 1, 2), (3,), (4,), (5,)), strict=True):
            kv = k_full @ basis
            for k in loads:
                u = np.linalg.solve(basis.T @ kv, basis.T @ load[k])
                residual = load[k] - kv @ u
                x = residual[None].copy()
                band_solve(factor, x)
                worst = max(worst, float(residual @ x[0]) / alpha / abs(c_eff[k, k]))
        return worst


def _phase_ratio(c: np.ndarray, reference: np.ndarray) -> float:
    """Largest a with C >= a C_ref on the strains that w can make: bulk and shear in the plane, shear along the fibre."""
    return min((c[1, 1] + c[1, 2]) / (reference[1, 1] + reference[1, 2]), c[3, 3] / reference[3, 3], c[5, 5] / reference[5, 5])


def reduced_cell(
    lower: np.ndarray, upper: np.ndarray, packing: str = "hexagonal", n: int = 4, snapshots: int = 128, tolerance: float = 5e-10
) -> ReducedCell:
    """Train (or recall) the reduced basis on the box ``lower <= p <= upper`` of the cell's eight parameters, in units of the matrix's modulus.

    ``tolerance``: share of the snapshots' energy that the basis may leave out, per load class.
    """
    return _recall(tuple(map(float, lower)), tuple(map(float, upper)), packing, n, snapshots, tolerance)


@lru_cache(maxsize=8)
def _recall(lower: tuple, upper: tuple, packing: str, n: int, snapshots: int, tolerance: float) -> ReducedCell:
    """From the user's cache folder if these very settings and this very code were trained before, else by training."""
    settings = (lower, upper, packing, n, snapshots, tolerance)
    key = repr((CODE.fingerprint, full.CODE.fingerprint, fingerprint_of(_train), CORE, *settings))
    cell = full.elastic_cell(packing, n)
    with np.errstate(all="ignore"), threadpool_limits(1, "blas"):
        arrays = cached_arrays("reduced_cell", key, lambda: _train(cell, packing, lower, upper, snapshots, tolerance))
    operators = [arrays[f"{kind}{i}"] for i in range(4) for kind in ("operator", "load")]
    data = (*operators, arrays["gap"], arrays["box"], *cell.data)
    kernel = Kernel(CODE, tuple(np.ascontiguousarray(x) for x in data), arrays["centre"])
    return ReducedCell(kernel, cell, tuple(arrays[f"basis{i}"] for i in range(4)), arrays["radii"], arrays["coercivity"])


def _train(cell: Kernel, packing: str, lower: tuple, upper: tuple, snapshots: int, tolerance: float) -> dict[str, np.ndarray]:
    """Snapshots over the box, their principal vectors, operators as series in the radius, coercivity over the radius."""
    sizes = cell.data[-1]
    low, high = np.array(lower), np.array(upper)
    high[7] = min(high[7], 0.97 * sizes[1])
    # half of the points crowd towards the faces of the box, half are corners: a reduced basis is worst where it has to extrapolate
    inside, corner = qmc.Sobol(8, seed=1).random(snapshots).reshape(2, -1, 8)
    points = np.concatenate([0.5 - 0.5 * np.cos(np.pi * inside), np.round(corner)])
    log = np.array([True, True, True, False, False, True, False, False])
    lo, hi = (np.where(log, np.log(np.where(log, x, 1.0)), x) for x in (low, high))
    draws = lo + points * (hi - lo)
    draws[:, log] = np.exp(draws[:, log])
    centre = _centre(lo, hi, log)
    radii = np.sqrt(np.linspace(low[7], high[7], 9) / sizes[0])
    x = band_to_sparse(_assemble(cell, _phases(centre), radii[4])[0])

    found: list[list[np.ndarray]] = [[], [], [], []]
    for p in draws:
        _, w = cell.code.forward(p, *cell.data)
        if np.isfinite(w[0, 0]):
            for i, loads in enumerate(((0, 1, 2), (3,), (4,), (5,))):
                found[i].extend(w[k] for k in loads)
    bases = tuple(_principal(np.array(f).T, x, tolerance) for f in found)

    touching = float(np.sqrt(MAX_FRACTION[packing] / sizes[0]))
    ends = np.log(touching - radii[[-1, 0]])
    gap = np.array([ends.mean(), 0.5 * (ends[1] - ends[0]), touching])
    out = {"gap": gap, "box": np.stack([low, high]), "centre": centre, "radii": radii}
    out["coercivity"] = np.array([_least_eigenvalue(cell, _phases(centre), r, x) for r in radii])
    for i, (operator, load) in enumerate(_project(cell, bases, gap)):
        out[f"operator{i}"], out[f"load{i}"], out[f"basis{i}"] = operator, load, bases[i]
    return out


def _phases(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return transversely_isotropic(*p[:5]), isotropic(*p[5:7])


def _assemble(cell: Kernel, phases: tuple[np.ndarray, np.ndarray], r: float) -> tuple[np.ndarray, np.ndarray]:
    """Band stiffness of the full cell and its six loads, for a pair of phase matrices at fibre radius r."""
    *arrays, sizes = cell.data
    return full.assemble(*phases, full.UNIT, r, MeshArrays(*arrays), np.int64(sizes[2]))


def _centre(lo: np.ndarray, hi: np.ndarray, log: np.ndarray) -> np.ndarray:
    middle = 0.5 * (lo + hi)
    return np.where(log, np.exp(middle), middle)


def _principal(snapshots: np.ndarray, x: Any, tolerance: float) -> np.ndarray:
    """Proper orthogonal decomposition in the X norm, each snapshot scaled to norm one."""
    gram = snapshots.T @ (x @ snapshots)
    scale = 1.0 / np.sqrt(np.diag(gram))
    value, vector = np.linalg.eigh(gram * np.outer(scale, scale))
    value, vector = value[::-1], vector[:, ::-1]
    kept = int(np.searchsorted(-(value.sum() - np.cumsum(value)), -tolerance * value.sum())) + 1
    basis = (snapshots * scale) @ vector[:, :kept]
    for _ in range(2):  # orthonormal in X to rounding
        basis = basis @ np.linalg.inv(np.linalg.cholesky(basis.T @ (x @ basis))).T
    return basis


def _project(cell: Kernel, bases: Any, gap: np.ndarray) -> Any:
    """Operator and load of the four classes, as :func:`_solve` takes them: interpolation at the Chebyshev points of ln(r_t - r)."""
    theta = np.pi * (np.arange(TERMS) + 0.5) / TERMS
    nodes = gap[2] - np.exp(gap[0] + gap[1] * np.cos(theta))
    to_series = 2.0 / TERMS * np.cos(np.outer(np.arange(TERMS), theta))
    to_series[0] *= 0.5
    c22, c23, c66 = _unit_matrices()
    zero = np.zeros((6, 6))
    units_of = ((c22, c23), (c22, c23), (c66,), (c66,))

    def packed(first: Any, second: Any, r: float, basis: np.ndarray) -> np.ndarray:
        k = band_to_sparse(_assemble(cell, (first, second), r)[0])
        return (basis.T @ (k @ basis))[np.tril_indices(basis.shape[1])]

    for units, basis, rows in zip(units_of, bases, CLASSES, strict=True):
        fibre = np.stack([packed(unit, zero, nodes[0], basis) for unit in units])
        matrix = [to_series @ np.stack([packed(zero, unit, r, basis) for r in nodes]) for unit in units]
        at_two = [-(_assemble(cell, (np.eye(6), zero), r)[1][list(rows)] @ basis) for r in nodes[[0, -1]]]
        slope = (at_two[1] - at_two[0]) / (nodes[-1] - nodes[0])
        yield np.concatenate([fibre, *matrix]), np.stack([at_two[0] - nodes[0] * slope, slope])


def _least_eigenvalue(cell: Kernel, reference: Any, r: float, x: Any) -> float:
    """Least eigenvalue of the reference cell at radius r relative to X: one over the largest of X relative to it (Lanczos)."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    ab, _ = _assemble(cell, reference, r)
    k = band_to_sparse(ab)
    band_cholesky(ab)

    def solve(v: np.ndarray) -> np.ndarray:
        b = np.array(v, dtype=float).reshape(1, -1)
        band_solve(ab, b)
        return b[0]

    inverse = LinearOperator(k.shape, matvec=solve, dtype=float)
    start = np.random.default_rng(0).normal(size=len(ab))
    top = eigsh(x, k=1, M=k, Minv=inverse, which="LM", tol=1e-3, v0=start, return_eigenvectors=False)
    return float(1.0 / top[0])
