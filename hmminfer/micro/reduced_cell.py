"""Reduced basis of the elastic cell: the same law some hundred times cheaper, with an error bound.

Offline the full cell is solved over a box of parameters; proper orthogonal decomposition leaves a few vectors V per load class.
Reflection symmetry splits the six loads into four classes that never mix: {11, 22, 33}, {23}, {13}, {12}. The moduli enter affinely,

    K(p) = sum_q c_q(p) K_q(r),    q over (C22, C23) of fibre and matrix, or C66 of both for the two shears along the fibre,

and each V^T K_q(r) V is smooth in the radius, so it is kept as a Chebyshev series in r. Loads live on the phase contrast: with
g_a = int_fibre B^T e_a and D the contrast of the phase matrices,

    C_eff = v C_f + (1 - v) C_m - D M D^T,        M = g^T K^-1 g   (Galerkin: M_N <= M, error quadratic in that of the fluctuations).

Online the four small systems are solved directly. Inside the box the answer is that of the reduced basis, outside it that of the full
cell, which stays one keyword away everywhere. The derivative is the exact one of whichever answered.

Error: :meth:`ReducedCell.error_bound` (residual over coercivity) and, tested on prior draws, below 1e-6 relative in C_eff.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numba import njit
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from ..cache import cached_arrays
from ..kernel import Code, Kernel
from ..linalg import band_cholesky, band_solve, band_to_sparse, cholesky, cholesky_solve
from . import elastic_cell as full
from .cell_mesh import CORE
from .phases import isotropic, isotropic_pullback, transversely_isotropic, transversely_isotropic_pullback

# class -> loads (Voigt), affine unit matrices, block of degrees of freedom
CLASSES = ((1, 2), (3,), (4,), (5,))
# terms of the Chebyshev series in the radius; square cells touch at v = 0.785, a pole near the end of their range
DEGREE = {"hexagonal": 24, "square": 40}


@njit(cache=True, error_model="numpy")
def _series(x, interval, n):
    """Chebyshev polynomials T_0..T_{n-1} of the radius and their derivatives, shape (2, n)."""
    half = 0.5 * (interval[1] - interval[0])
    s = (x - 0.5 * (interval[0] + interval[1])) / half
    t = np.zeros((2, n))
    t[0, 0] = 1.0
    t[0, 1] = s
    t[1, 1] = 1.0 / half
    for k in range(2, n):
        t[0, k] = 2.0 * s * t[0, k - 1] - t[0, k - 2]
        t[1, k] = 2.0 / half * t[0, k - 1] + 2.0 * s * t[1, k - 1] - t[1, k - 2]
    return t


@njit(cache=True, error_model="numpy")
def _block(t, c, operator, load, m_bar):
    """One load class. Returns M (m, m), and the cotangents of c and r for a cotangent ``m_bar`` of M.

    ``t`` (2, degree): the series and its derivative, or (1, degree) for the value alone. ``operator`` (degree, Q, N (N + 1) / 2)
    is packed by rows of the lower triangle, ``load`` (degree, m, N). dM = dg^T u + u^T dg - u^T dK u.
    """
    degree, n_q, size = operator.shape
    m, n = load.shape[1], load.shape[2]
    rows = t.shape[0]
    a = (t @ operator.reshape(degree, n_q * size)).reshape(rows, n_q, size)
    g = (t @ load.reshape(degree, m * n)).reshape(rows, m, n)
    k = np.zeros(size)
    for q in range(n_q):
        k += c[q] * a[0, q]
    factor = np.zeros((n, n))
    at = 0
    for i in range(n):
        factor[i, : i + 1] = k[at : at + i + 1]
        at += i + 1
    c_bar = np.zeros(n_q)
    if not cholesky(factor):
        return np.full((m, m), np.nan), c_bar, np.nan
    u = g[0].copy()
    cholesky_solve(factor, u)
    big_m = u @ g[0].T
    if rows == 1:  # value only
        return big_m, c_bar, 0.0
    bar_u = 0.5 * (m_bar + m_bar.T) @ u
    r_bar = 2.0 * np.sum(bar_u * g[1])
    at = 0
    for i in range(n):
        for j in range(i + 1):
            k[at] = 0.0
            for r in range(m):
                k[at] += bar_u[r, i] * u[r, j] if i == j else bar_u[r, i] * u[r, j] + bar_u[r, j] * u[r, i]
            at += 1
    for q in range(n_q):
        c_bar[q] = -np.dot(k, a[0, q])
        r_bar -= c[q] * np.dot(k, a[1, q])
    return big_m, c_bar, r_bar


@njit(cache=True, error_model="numpy")
def _contrast(c_fibre, c_matrix):
    """D (6, 5): what unit strain k loads onto (g22, g33, g23, g13, g12)."""
    d = np.zeros((6, 5))
    delta = c_fibre - c_matrix
    d[:3, :2] = delta[:3, 1:3]
    for k in range(3, 6):
        d[k, k - 1] = delta[k, k]
    return d


@njit(cache=True, error_model="numpy")
def _coefficients(c_fibre, c_matrix):
    c = np.empty((2, 4))
    c[0] = np.array([c_fibre[1, 1], c_fibre[1, 2], c_matrix[1, 1], c_matrix[1, 2]])
    c[1] = np.array([c_fibre[5, 5], c_matrix[5, 5], 0.0, 0.0])
    return c


@njit(cache=True, error_model="numpy")
def _inside(p, box):
    for i in range(p.size):  # noqa: SIM110 (numba has no generator expressions)
        if not box[0, i] <= p[i] <= box[1, i]:
            return False
    return True


@njit(cache=True, error_model="numpy")
def _reduced(p, y_bar, rows, k0, g0, k1, g1, k2, g2, k3, g3, interval, area):
    """C_eff (36,) of the reduced basis and, with ``rows`` = 2, the cotangent of p for ``y_bar``."""
    c_fibre = transversely_isotropic(p[0], p[1], p[2], p[3], p[4])
    c_matrix = isotropic(p[5], p[6])
    v = p[7]
    r = np.sqrt(v / area)
    t = _series(r, interval, k0.shape[0])[:rows]
    d = _contrast(c_fibre, c_matrix)
    c = _coefficients(c_fibre, c_matrix)
    bar = y_bar.copy().reshape(6, 6)
    bar = 0.5 * (bar + bar.T)
    m_bar = -(d.T @ bar @ d)
    m = np.zeros((5, 5))
    m[:2, :2], cs, r0 = _block(t, c[0], k0, g0, np.ascontiguousarray(m_bar[:2, :2]))
    m[2:3, 2:3], c23, r1 = _block(t, c[0], k1, g1, np.ascontiguousarray(m_bar[2:3, 2:3]))
    m[3:4, 3:4], c13, r2 = _block(t, c[1, :2].copy(), k2, g2, np.ascontiguousarray(m_bar[3:4, 3:4]))
    m[4:5, 4:5], c12, r3 = _block(t, c[1, :2].copy(), k3, g3, np.ascontiguousarray(m_bar[4:5, 4:5]))
    c_eff = v * c_fibre + (1.0 - v) * c_matrix - d @ m @ d.T

    fibre_bar, matrix_bar = v * bar, (1.0 - v) * bar
    d_bar = -2.0 * (bar @ d @ m)
    fibre_bar[:3, 1:3] += d_bar[:3, :2]
    matrix_bar[:3, 1:3] -= d_bar[:3, :2]
    for k in range(3, 6):
        fibre_bar[k, k] += d_bar[k, k - 1]
        matrix_bar[k, k] -= d_bar[k, k - 1]
    cs += c23
    fibre_bar[1, 1] += cs[0]
    fibre_bar[1, 2] += cs[1]
    matrix_bar[1, 1] += cs[2]
    matrix_bar[1, 2] += cs[3]
    fibre_bar[5, 5] += c13[0] + c12[0]
    matrix_bar[5, 5] += c13[1] + c12[1]
    out = np.empty(8)
    out[:5] = transversely_isotropic_pullback(p[0], p[1], p[2], p[3], p[4], c_fibre, fibre_bar)
    out[5:7] = isotropic_pullback(p[5], p[6], c_matrix, matrix_bar)
    out[7] = np.sum(bar * (c_fibre - c_matrix)) + (r0 + r1 + r2 + r3) * r / (2.0 * v)
    return c_eff.ravel(), out


@njit(cache=True, error_model="numpy")
def _forward(p, k0, g0, k1, g1, k2, g2, k3, g3, interval, box, a, b, conn, slot, is_fibre, grad, weight, sizes):
    if _inside(p, box):
        return (_reduced(p, np.zeros(36), 1, k0, g0, k1, g1, k2, g2, k3, g3, interval, sizes[0])[0],)
    return (full._forward(p, a, b, conn, slot, is_fibre, grad, weight, sizes)[0],)


@njit(cache=True, error_model="numpy")
def _pullback(p, k0, g0, k1, g1, k2, g2, k3, g3, interval, box, a, b, conn, slot, is_fibre, grad, weight, sizes, y_bar):
    if _inside(p, box):
        return _reduced(p, y_bar, 2, k0, g0, k1, g1, k2, g2, k3, g3, interval, sizes[0])[1]
    w = full._forward(p, a, b, conn, slot, is_fibre, grad, weight, sizes)[1]
    return full._pullback(p, a, b, conn, slot, is_fibre, grad, weight, sizes, w, y_bar)


CODE = Code(
    (__name__, "CODE"), _forward, _pullback, data="f3 f3 f3 f3 f3 f3 f3 f3 f1 f2 f2 f2 i2 i1 i1 f3 f1 f1", state=""
)


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
        *mesh, sizes = self.full.data
        c_fibre, c_matrix = _phases(self.kernel.example)
        factor, _ = full.assemble(c_fibre, c_matrix, self.radii[4], *mesh, np.int64(sizes[2]))
        band_cholesky(factor)
        return c_fibre, c_matrix, factor

    def error_bound(self, p: np.ndarray) -> float:
        """Upper bound of the error of C_eff over its largest entry of each load class, max over entries.

        |C_N - C|_kk = rho_k with rho_k = |r_k|^2 in the dual of the energy norm <= |r_k|^2_X / alpha; X is the stiffness at reference
        phases and radius, alpha the least ratio of phase stiffnesses times the least eigenvalue of geometry (tabulated over r).
        """
        *mesh, sizes = self.full.data
        (c_fibre, c_matrix), (x_fibre, x_matrix, factor) = _phases(p), self._x
        r = float(np.sqrt(p[7] / sizes[0]))
        ab, load = full.assemble(c_fibre, c_matrix, r, *mesh, np.int64(sizes[2]))
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
    return min(
        (c[1, 1] + c[1, 2]) / (reference[1, 1] + reference[1, 2]), c[3, 3] / reference[3, 3], c[5, 5] / reference[5, 5]
    )


def reduced_cell(
    lower: np.ndarray,
    upper: np.ndarray,
    packing: str = "hexagonal",
    n: int = 4,
    snapshots: int = 128,
    tolerance: float = 2e-10,
) -> ReducedCell:
    """Train (or recall) the reduced basis on the box ``lower <= p <= upper`` of the cell's eight parameters.

    ``tolerance``: share of the snapshots' energy that the basis may leave out, per load class.
    """
    return _recall(tuple(map(float, lower)), tuple(map(float, upper)), packing, n, snapshots, tolerance)


@lru_cache(maxsize=8)
def _recall(lower: tuple, upper: tuple, packing: str, n: int, snapshots: int, tolerance: float) -> ReducedCell:
    """From the user's cache folder if these very settings and this very code were trained before, else by training."""
    key = repr(
        (CODE.fingerprint, full.CODE.fingerprint, DEGREE[packing], CORE, lower, upper, packing, n, snapshots, tolerance)
    )
    cell = full.elastic_cell(packing, n)
    with np.errstate(all="ignore"), threadpool_limits(1, "blas"):
        arrays = cached_arrays(
            "reduced_cell", key, lambda: _train(cell, lower, upper, snapshots, tolerance, DEGREE[packing])
        )
    operators = [arrays[f"{kind}{i}"] for i in range(4) for kind in ("operator", "load")]
    data = (*operators, arrays["interval"], arrays["box"], *cell.data)
    kernel = Kernel(CODE, tuple(np.ascontiguousarray(x) for x in data), arrays["centre"])
    return ReducedCell(
        kernel, cell, tuple(arrays[f"basis{i}"] for i in range(4)), arrays["radii"], arrays["coercivity"]
    )


def _train(
    cell: Kernel, lower: tuple, upper: tuple, snapshots: int, tolerance: float, degree: int
) -> dict[str, np.ndarray]:
    """Snapshots over the box, their principal vectors, operators as series in the radius, coercivity over the radius."""
    *mesh, sizes = cell.data
    band = np.int64(sizes[2])
    low, high = np.array(lower), np.array(upper)
    high[7] = min(high[7], 0.97 * sizes[1])
    points = qmc.Sobol(8, seed=1).random(snapshots)
    points[:, 7] = 0.5 - 0.5 * np.cos(np.pi * points[:, 7])  # more towards both ends of the radius
    log = np.array([True, True, True, False, False, True, False, False])
    lo, hi = (np.where(log, np.log(np.where(log, x, 1.0)), x) for x in (low, high))
    draws = lo + points * (hi - lo)
    draws[:, log] = np.exp(draws[:, log])
    centre = _centre(lo, hi, log)
    radii = np.sqrt(np.linspace(low[7], high[7], 9) / sizes[0])
    x = band_to_sparse(full.assemble(*_phases(centre), radii[4], *mesh, band)[0])

    found: list[list[np.ndarray]] = [[], [], [], []]
    for p in draws:
        _, w = cell.code.forward(p, *cell.data)
        if np.isfinite(w[0, 0]):
            for i, loads in enumerate(((0, 1, 2), (3,), (4,), (5,))):
                found[i].extend(w[k] for k in loads)
    bases = tuple(_principal(np.array(f).T, x, tolerance) for f in found)

    interval = np.array([radii[0], radii[-1]])
    theta = np.pi * (np.arange(degree) + 0.5) / degree
    nodes = 0.5 * (interval[0] + interval[1]) + 0.5 * (interval[1] - interval[0]) * np.cos(theta)
    to_series = 2.0 / degree * np.cos(np.outer(np.arange(degree), theta))
    to_series[0] *= 0.5
    out = {"interval": interval, "box": np.stack([low, high]), "centre": centre, "radii": radii}
    out["coercivity"] = np.array([_least_eigenvalue(_phases(centre), r, mesh, band, x) for r in radii])
    for i, (operator, load) in enumerate(_project(bases, nodes, mesh, band)):
        out[f"operator{i}"] = np.tensordot(to_series, operator, 1)
        out[f"load{i}"] = np.tensordot(to_series, load, 1)
        out[f"basis{i}"] = bases[i]
    return out


def _phases(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return transversely_isotropic(*p[:5]), isotropic(*p[5:7])


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


def _project(bases: Any, nodes: Any, mesh: Any, band: Any) -> Any:
    """V^T K_q(r) V (packed lower triangles) and V^T g(r) at the Chebyshev nodes, for the four classes."""
    c22, c23, c66 = _unit_matrices()
    zero = np.zeros((6, 6))
    pairs = [(c22, zero), (c23, zero), (zero, c22), (zero, c23), (c66, zero), (zero, c66)]
    units_of = ([0, 1, 2, 3], [0, 1, 2, 3], [4, 5], [4, 5])
    operators = [
        np.empty((len(nodes), len(u), v.shape[1] * (v.shape[1] + 1) // 2)) for u, v in zip(units_of, bases, strict=True)
    ]
    loads = [np.empty((len(nodes), len(k), v.shape[1])) for k, v in zip(CLASSES, bases, strict=True)]
    for j, r in enumerate(nodes):
        matrices = [band_to_sparse(full.assemble(*pair, r, *mesh, band)[0]) for pair in pairs]
        _, g = full.assemble(np.eye(6), zero, r, *mesh, band)
        for i, basis in enumerate(bases):
            lower = np.tril_indices(basis.shape[1])
            for q, unit in enumerate(units_of[i]):
                operators[i][j, q] = (basis.T @ (matrices[unit] @ basis))[lower]
            loads[i][j] = -(g[list(CLASSES[i])] @ basis)
    return zip(operators, loads, strict=True)


def _least_eigenvalue(reference: Any, r: float, mesh: Any, band: Any, x: Any) -> float:
    """Least eigenvalue of the reference cell at radius r relative to X: one over the largest of X relative to it (Lanczos)."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    ab, _ = full.assemble(*reference, r, *mesh, band)
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
