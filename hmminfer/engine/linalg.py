"""LAPACK from compiled code, and the small dense helpers that every cell and plate needs.

Symmetric positive definite band matrices are kept as ``ab`` of shape (n, b + 1), C-contiguous: row j holds column j of the
lower triangle, ``ab[j, i - j] = A[i, j]`` for ``j <= i <= j + b``. Seen from LAPACK this is its lower band storage.

Importing this module registers the LAPACK symbols in the process; cached compiled code that calls them needs that first.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import scipy.linalg.cython_lapack as cython_lapack
from numba import types
from numba.extending import get_cython_function_address
from threadpoolctl import threadpool_limits

from hmminfer.engine.native import compiled

# Decorator for functions that call kernels many times: on bands as narrow as ours, threads of BLAS only wait for each other (ten times slower
# where several processes share the cores).
one_thread = threadpool_limits.wrap(limits=1, user_api="blas")

_CAPSULE_NAME = ctypes.pythonapi.PyCapsule_GetName
_CAPSULE_NAME.restype, _CAPSULE_NAME.argtypes = ctypes.c_char_p, [ctypes.py_object]


def _lapack(name: str, n_arguments: int) -> types.ExternalFunction:
    """The LAPACK routine ``name`` as a function of ``n_arguments`` pointers, callable from njit code."""
    signature = _CAPSULE_NAME(cython_lapack.__pyx_capi__[name]).decode()
    if "long" in signature or "int64" in signature:  # pragma: no cover - a SciPy built with 64-bit LAPACK integers
        raise ImportError(f"SciPy's {name} takes 64-bit integers here ({signature}); install a SciPy with 32-bit LAPACK.")
    symbol = f"hmminfer_{name}"
    llvm.add_symbol(symbol, get_cython_function_address("scipy.linalg.cython_lapack", name))
    return types.ExternalFunction(symbol, types.void(*[types.voidptr] * n_arguments))


_dpbtrf = _lapack("dpbtrf", 6)
_dpbtrs = _lapack("dpbtrs", 9)
_dgbtrf = _lapack("dgbtrf", 8)


@compiled
def band_cholesky(ab):
    """Overwrite ``ab`` with its band Cholesky factor; True on success (A is positive definite)."""
    uplo = np.full(1, 76, dtype=np.uint8)
    n = np.full(1, ab.shape[0], dtype=np.int32)
    kd = np.full(1, ab.shape[1] - 1, dtype=np.int32)
    ldab = np.full(1, ab.shape[1], dtype=np.int32)
    info = np.zeros(1, dtype=np.int32)
    _dpbtrf(uplo.ctypes, n.ctypes, kd.ctypes, ab.ctypes, ldab.ctypes, info.ctypes)
    return info[0] == 0


@compiled
def band_solve(factor, b):
    """Overwrite the rows of ``b`` (m, n) with the solutions of A x = b for the factor from :func:`band_cholesky`."""
    uplo = np.full(1, 76, dtype=np.uint8)
    n = np.full(1, factor.shape[0], dtype=np.int32)
    kd = np.full(1, factor.shape[1] - 1, dtype=np.int32)
    nrhs = np.full(1, b.shape[0], dtype=np.int32)
    ldab = np.full(1, factor.shape[1], dtype=np.int32)
    ldb = np.full(1, b.shape[1], dtype=np.int32)
    info = np.zeros(1, dtype=np.int32)
    _dpbtrs(uplo.ctypes, n.ctypes, kd.ctypes, nrhs.ctypes, factor.ctypes, ldab.ctypes, b.ctypes, ldb.ctypes, info.ctypes)


@compiled
def band_lu(ab, band):
    """Overwrite ``ab`` with the LU factors (partial pivoting) of a general band matrix of half width ``band``; (success, pivots).

    ``ab`` (n, 3 band + 1): row j holds column j, ``ab[j, 2 band + i - j] = A[i, j]``; the first ``band`` entries of a row are work space.
    """
    n = np.full(1, ab.shape[0], dtype=np.int32)
    k = np.full(1, band, dtype=np.int32)
    ldab = np.full(1, ab.shape[1], dtype=np.int32)
    pivots = np.zeros(ab.shape[0], dtype=np.int32)
    info = np.zeros(1, dtype=np.int32)
    _dgbtrf(n.ctypes, n.ctypes, k.ctypes, k.ctypes, ab.ctypes, ldab.ctypes, pivots.ctypes, info.ctypes)
    return info[0] == 0, pivots


@compiled
def _swap(x, i, j):
    x[i], x[j] = x[j], x[i]


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _dot(a, x):
    s = 0.0
    for k in range(min(a.size, x.size)):
        s += a[k] * x[k]
    return s


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _subtract(x, a, scale):
    for k in range(min(a.size, x.size)):
        x[k] -= scale * a[k]


# LAPACK's dgbtrs calls BLAS twice for each column, which takes longer than the arithmetic on bands as narrow as ours
@compiled
def band_lu_solve(factor, band, pivots, b, transposed):
    """Overwrite the rows of ``b`` (m, n) with solutions of A x = b, or of A^T x = b, for factors from :func:`band_lu`."""
    n, diagonal = factor.shape[0], 2 * band
    for r in range(b.shape[0]):
        x = b[r]
        for j in range(n):  # columns forward, with L or with U^T
            if not transposed:
                _swap(x, j, pivots[j] - 1)
                _subtract(x[j + 1 : j + band + 1], factor[j, diagonal + 1 :], x[j])
            else:
                low = max(0, j - diagonal)
                x[j] = (x[j] - _dot(factor[j, diagonal - j + low : diagonal], x[low:j])) / factor[j, diagonal]
        for j in range(n - 1, -1, -1):  # and back, with U or with L^T
            if not transposed:
                low = max(0, j - diagonal)
                x[j] /= factor[j, diagonal]
                _subtract(x[low:j], factor[j, diagonal - j + low : diagonal], x[j])
            else:
                x[j] -= _dot(factor[j, diagonal + 1 :], x[j + 1 : j + band + 1])
                _swap(x, j, pivots[j] - 1)


# reassociation lets the inner products use vector instructions; NaN still propagates
@compiled(fastmath={"reassoc", "contract", "nsz"})
def cholesky(a):
    """Overwrite the lower triangle of a small dense ``a`` with its Cholesky factor; True if positive definite."""
    n = a.shape[0]
    for j in range(n):
        d = a[j, j]
        for k in range(j):
            d -= a[j, k] * a[j, k]
        if not d > 0.0:
            return False
        d = np.sqrt(d)
        a[j, j] = d
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s / d
    return True


@compiled(fastmath={"reassoc", "contract", "nsz"})
def cholesky_solve(factor, b):
    """Overwrite the rows of ``b`` (m, n) with solutions for a dense factor from :func:`cholesky`."""
    n = factor.shape[0]
    for r in range(b.shape[0]):
        for i in range(n):
            s = b[r, i]
            for k in range(i):
                s -= factor[i, k] * b[r, k]
            b[r, i] = s / factor[i, i]
        for i in range(n - 1, -1, -1):  # by rows of the factor, which are contiguous
            b[r, i] /= factor[i, i]
            for k in range(i):
                b[r, k] -= factor[i, k] * b[r, i]


@compiled
def spd_inverse(a):
    """Inverse of a small symmetric positive definite matrix; NaN everywhere if it is not one."""
    factor = a.copy()
    inverse = np.eye(a.shape[0])
    if cholesky(factor):
        cholesky_solve(factor, inverse)
    else:
        inverse[:] = np.nan
    return inverse


@compiled
def dense_solve(a, b):
    """Overwrite ``b`` (n,) with the solution of A x = b, and ``a`` with its elimination (partial pivoting); for a few unknowns.

    A singular matrix leaves infinities or NaN. For so few unknowns a call of LAPACK would cost more than the elimination itself.
    """
    n = b.size
    for j in range(n):
        p = j
        for i in range(j + 1, n):
            if abs(a[i, j]) > abs(a[p, j]):
                p = i
        if p != j:
            for k in range(j, n):
                a[j, k], a[p, k] = a[p, k], a[j, k]
            b[j], b[p] = b[p], b[j]
        for i in range(j + 1, n):
            f = a[i, j] / a[j, j]
            for k in range(j + 1, n):
                a[i, k] -= f * a[j, k]
            b[i] -= f * b[j]
    for j in range(n - 1, -1, -1):
        for k in range(j + 1, n):
            b[j] -= a[j, k] * b[k]
        b[j] /= a[j, j]


@compiled
def tridiagonal_solve(low, diagonal, up, b):
    """Overwrite ``b`` (n,) with the solution of a tridiagonal system and ``diagonal`` with its inverse pivots; no pivoting.

    ``low[i]``, ``up[i]``: entries left and right of the diagonal in row i (``low[0]`` and the last of ``up`` are not read). For transport matrices
    on a mesh fine enough to make the diagonal dominant. For the transposed system, exchange ``low`` and ``up``, each shifted by one.
    """
    n = b.size
    diagonal[0] = 1.0 / diagonal[0]
    for i in range(1, n):
        f = low[i] * diagonal[i - 1]
        diagonal[i] = 1.0 / (diagonal[i] - f * up[i - 1])
        b[i] -= f * b[i - 1]
    b[n - 1] *= diagonal[n - 1]
    for i in range(n - 2, -1, -1):
        b[i] = (b[i] - up[i] * b[i + 1]) * diagonal[i]


def band_to_sparse(ab: np.ndarray) -> Any:
    """The symmetric matrix of a band as scipy CSR, for work that is done once."""
    from scipy.sparse import csr_array

    column, offset = np.nonzero(ab)
    value = ab[column, offset]
    below = offset > 0
    rows = np.concatenate([column + offset, column[below]])
    columns = np.concatenate([column, (column + offset)[below]])
    return csr_array((np.concatenate([value, value[below]]), (rows, columns)), shape=(len(ab), len(ab)))


def bandwidth_order(graph: Any, positions: np.ndarray | None = None) -> np.ndarray:
    """Permutation of a sparse symmetric graph that keeps the band narrow: the best of reverse Cuthill-McKee and sweeps.

    ``positions`` (n, 2): node coordinates; structured meshes are best swept along their longer direction.
    """
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    graph = graph.tocsr()
    candidates = [np.asarray(reverse_cuthill_mckee(graph, symmetric_mode=True), dtype=np.int64)]
    if positions is not None:
        scaled = np.round(positions / np.ptp(positions), 9)
        candidates += [np.lexsort((scaled[:, 1], scaled[:, 0])), np.lexsort((scaled[:, 0], scaled[:, 1]))]
    rows, columns = graph.nonzero()

    def band(order: np.ndarray) -> int:
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.arange(len(order))
        return int(np.max(np.abs(number[rows] - number[columns])))

    return min(candidates, key=band)
