"""Plane stress in a plate of unidirectional material with a fibre angle that may vary: finite elements, one factorisation.

    div sigma + b = 0,   sigma = Qbar(t(x)) eps(u),   t = 2 theta = known + sum_k phi_k(x) s_k

Q comes from C_eff by condensation (sigma_33 = sigma_23 = sigma_13 = 0); Qbar(t) from five invariants U1..U5 (Tsai & Pagano 1968).
The angle is taken at quadrature points. Units: GPa = kN / mm^2, mm, kN.

Vector in:  C_eff (36), then the orientation coefficients s (double angle, rad).
Vector out: rows of H u (displacements, strains: any linear functional of the nodal values) and reactions v^T K u, in the given order.
Gradient:   one adjoint solve with the kept factor, dJ = sum_q w (B mu)^T dQbar (B u), mu = reaction weights - adjoint.
Error:      biquadratic elements, displacements third order where the solution is smooth; corners of grips are singular.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve
from hmminfer.engine.native import compiled
from hmminfer.macro.lamina import plane_stress, plane_stress_pullback
from hmminfer.macro.plate_mesh import Plate


@compiled
def _invariants(q):
    u = np.empty(5)
    u[0] = (3.0 * q[0, 0] + 3.0 * q[1, 1] + 2.0 * q[0, 1] + 4.0 * q[2, 2]) / 8.0
    u[1] = (q[0, 0] - q[1, 1]) / 2.0
    u[2] = (q[0, 0] + q[1, 1] - 2.0 * q[0, 1] - 4.0 * q[2, 2]) / 8.0
    u[3] = (q[0, 0] + q[1, 1] + 6.0 * q[0, 1] - 4.0 * q[2, 2]) / 8.0
    u[4] = (q[0, 0] + q[1, 1] - 2.0 * q[0, 1] + 4.0 * q[2, 2]) / 8.0
    return u


@compiled
def _invariants_pullback(u):
    q = np.zeros((3, 3))
    q[0, 0] = (3.0 * u[0] + u[2] + u[3] + u[4]) / 8.0 + 0.5 * u[1]
    q[1, 1] = (3.0 * u[0] + u[2] + u[3] + u[4]) / 8.0 - 0.5 * u[1]
    q[0, 1] = (2.0 * u[0] - 2.0 * u[2] + 6.0 * u[3] - 2.0 * u[4]) / 8.0
    q[2, 2] = (4.0 * u[0] - 4.0 * u[2] - 4.0 * u[3] + 4.0 * u[4]) / 8.0
    return q


@compiled
def _rotated(u, t, out):
    """(Q11, Q22, Q12, Q66, Q16, Q26) at the double angle t for every point: ``out`` (points, 6)."""
    for p in range(t.size):
        c, s = np.cos(t[p]), np.sin(t[p])
        c2, s2 = c * c - s * s, 2.0 * s * c
        out[p, 0] = u[0] + u[1] * c + u[2] * c2
        out[p, 1] = u[0] - u[1] * c + u[2] * c2
        out[p, 2] = u[3] - u[2] * c2
        out[p, 3] = u[4] - u[2] * c2
        out[p, 4] = 0.5 * u[1] * s + u[2] * s2
        out[p, 5] = 0.5 * u[1] * s - u[2] * s2


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _element_stiffness(grad, weight, q, ke):
    """Upper block rows of the element matrix (2 n, 2 n), n nodes; ``grad`` (points, n, 2), ``q`` (points, 6)."""
    n = grad.shape[1]
    ke[:] = 0.0
    sx = np.empty((2, n))
    sy = np.empty((2, n))
    sxy = np.empty((2, n))
    for p in range(weight.size):
        w = weight[p]
        q11, q22, q12, q66, q16, q26 = w * q[p, 0], w * q[p, 1], w * q[p, 2], w * q[p, 3], w * q[p, 4], w * q[p, 5]
        for j in range(n):  # stress of unit displacements of node j along x and y
            gx, gy = grad[p, j, 0], grad[p, j, 1]
            sx[0, j], sx[1, j] = q11 * gx + q16 * gy, q12 * gy + q16 * gx
            sy[0, j], sy[1, j] = q12 * gx + q26 * gy, q22 * gy + q26 * gx
            sxy[0, j], sxy[1, j] = q16 * gx + q66 * gy, q26 * gy + q66 * gx
        for i in range(n):
            gx, gy = grad[p, i, 0], grad[p, i, 1]
            for d in range(2):
                for j in range(n):
                    ke[2 * i, d * n + j] += gx * sx[d, j] + gy * sxy[d, j]
                    ke[2 * i + 1, d * n + j] += gy * sy[d, j] + gx * sxy[d, j]


@compiled
def _strain(e, p, gradient, dofs, u):
    exx = eyy = gxy = 0.0
    for i in range(dofs.shape[1] // 2):
        gx, gy = gradient[e, p, i, 0], gradient[e, p, i, 1]
        ux, uy = u[dofs[e, 2 * i]], u[dofs[e, 2 * i + 1]]
        exx += gx * ux
        eyy += gy * uy
        gxy += gy * ux + gx * uy
    return exx, eyy, gxy


@compiled
def _forward(x, gradient, weight, dofs, phi, known, load, prescribed, indptr, indices, values, virtual, touched, order, band):
    """``dofs`` (elements, 2 n): free ones first, in band order; ``touched``: elements that contribute to a reaction."""
    n_free, n_e, n_p, n = load.size, weight.shape[0], weight.shape[1], gradient.shape[2]
    _, q, full = plane_stress(x[:36].copy().reshape(6, 6))
    t = known + phi @ x[36:]
    rotated = np.empty((t.size, 6))
    invariants = _invariants(q)
    _rotated(invariants, t, rotated)
    u = np.concatenate((load, prescribed))
    ab = np.zeros((n_free, band[0] + 1))
    ke = np.empty((2 * n, 2 * n))
    column = np.empty(2 * n, dtype=np.int64)
    for e in range(n_e):
        _element_stiffness(gradient[e], weight[e], rotated[e * n_p : (e + 1) * n_p], ke)
        for j in range(n):
            column[j] = dofs[e, 2 * j]
            column[n + j] = dofs[e, 2 * j + 1]
        for i in range(2 * n):
            row = dofs[e, i]
            if row >= n_free:
                continue
            for j in range(2 * n):
                c = column[j]
                if c <= row:
                    ab[c, row - c] += ke[i, j]
                elif c >= n_free:
                    u[row] -= ke[i, j] * u[c]
    n_y = order.size
    ok = band_cholesky(ab)
    raw = np.full(n_y, np.nan)
    if ok and not np.isnan(ab[n_free - 1, 0]):
        free = u[:n_free].copy().reshape(1, n_free)
        band_solve(ab, free)
        u[:n_free] = free[0]
        n_h = indptr.size - 1
        for i in range(n_h):
            s = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                s += values[k] * u[indices[k]]
            raw[i] = s
        for r in range(virtual.shape[0]):
            s = 0.0
            for e in touched:
                for p in range(n_p):
                    a = _strain(e, p, gradient, dofs, u)
                    b = _strain(e, p, gradient, dofs, virtual[r])
                    m = rotated[e * n_p + p]
                    s += weight[e, p] * (
                        m[0] * a[0] * b[0]
                        + m[1] * a[1] * b[1]
                        + m[3] * a[2] * b[2]
                        + m[2] * (a[0] * b[1] + a[1] * b[0])
                        + m[4] * (a[0] * b[2] + a[2] * b[0])
                        + m[5] * (a[1] * b[2] + a[2] * b[1])
                    )
            raw[n_h + r] = s
    return raw[order], q, full, rotated, t, u, ab


@compiled
def _pullback(
    x, gradient, weight, dofs, phi, known, load, prescribed, indptr, indices, values, virtual, touched, order, band, q, full, rotated, t, u, ab, y_bar
):
    n_free, n_p = load.size, weight.shape[1]
    out = np.empty(x.size)
    if np.isnan(y_bar[0]) or np.isnan(u[0]) or np.isnan(ab[n_free - 1, 0]):
        out[:] = np.nan
        return out
    raw_bar = np.zeros(order.size)
    for i in range(order.size):
        raw_bar[order[i]] += y_bar[i]
    rhs = np.zeros(u.size)
    n_h = indptr.size - 1
    for i in range(n_h):
        for k in range(indptr[i], indptr[i + 1]):
            rhs[indices[k]] += values[k] * raw_bar[i]
    mu = np.zeros(u.size)
    for r in range(virtual.shape[0]):
        mu += raw_bar[n_h + r] * virtual[r]
    if virtual.shape[0] > 0:  # derivative of mu^T K u by the free displacements
        for e in touched:
            for p in range(n_p):
                b0, b1, b2 = _strain(e, p, gradient, dofs, mu)
                m = rotated[e * n_p + p]
                s0 = weight[e, p] * (m[0] * b0 + m[2] * b1 + m[4] * b2)
                s1 = weight[e, p] * (m[2] * b0 + m[1] * b1 + m[5] * b2)
                s2 = weight[e, p] * (m[4] * b0 + m[5] * b1 + m[3] * b2)
                for i in range(gradient.shape[2]):
                    gx, gy = gradient[e, p, i, 0], gradient[e, p, i, 1]
                    rhs[dofs[e, 2 * i]] += gx * s0 + gy * s2
                    rhs[dofs[e, 2 * i + 1]] += gy * s1 + gx * s2
    adjoint = rhs[:n_free].copy().reshape(1, n_free)
    band_solve(ab, adjoint)
    mu[:n_free] -= adjoint[0]

    inv = _invariants(q)
    inv_bar = np.zeros(5)
    t_bar = np.empty(t.size)
    for e in range(weight.shape[0]):
        for p in range(n_p):
            a0, a1, a2 = _strain(e, p, gradient, dofs, u)
            b0, b1, b2 = _strain(e, p, gradient, dofs, mu)
            w = weight[e, p]
            g11, g22, g66 = w * a0 * b0, w * a1 * b1, w * a2 * b2
            g12 = w * (a0 * b1 + a1 * b0)
            g16 = w * (a0 * b2 + a2 * b0)
            g26 = w * (a1 * b2 + a2 * b1)
            k = e * n_p + p
            c, s = np.cos(t[k]), np.sin(t[k])
            c2, s2 = c * c - s * s, 2.0 * s * c
            even, odd, pair, shear = g11 + g22 - g12 - g66, g11 - g22, g16 + g26, g16 - g26
            inv_bar[0] += g11 + g22
            inv_bar[1] += c * odd + 0.5 * s * pair
            inv_bar[2] += c2 * even + s2 * shear
            inv_bar[3] += g12
            inv_bar[4] += g66
            t_bar[k] = inv[1] * (0.5 * c * pair - s * odd) + 2.0 * inv[2] * (c2 * shear - s2 * even)
    out[:36] = plane_stress_pullback(q, full, _invariants_pullback(inv_bar)).ravel()
    out[36:] = t_bar @ phi
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="f4 f2 i2 f2 f1 f1 f1 i1 i1 f1 f2 i1 i1 i1", state="f2 f2 f2 f1 f1 f2")


def plane_stress_kernel(
    plate: Plate,
    thickness: float,
    fixed: np.ndarray,
    displacement: np.ndarray,
    force: np.ndarray,
    observe: csr_array,
    reactions: Sequence[np.ndarray] = (),
    order: np.ndarray | None = None,
    phi: np.ndarray | None = None,
    known: np.ndarray | float = 0.0,
) -> Kernel:
    """Kernel of one loading of a plate.

    Parameters
    ----------
    fixed, displacement, force : (nodes, 2): True for prescribed components, their values (mm), and nodal forces elsewhere (kN).
    observe : (rows, 2 nodes) linear functionals of the nodal displacements, component fastest.
    reactions : virtual displacements v (nodes, 2); each adds the row v^T K u (kN mm).
    order : output row i is row order[i] of (observe, reactions).
    phi, known : orientation basis (quadrature points, K) and known double angle; default one uniform angle.
    """
    n_nodes = len(plate.nodes)
    u = plate.numbering(np.asarray(fixed, bool))
    n_points = plate.weights.size
    phi = np.ones((n_points, 1)) if phi is None else phi
    observe = csr_array(observe)
    virtual = np.array([np.asarray(v, float).ravel() for v in reactions]).reshape(len(reactions), 2 * n_nodes)
    permuted = np.empty_like(virtual)
    permuted[:, u.number] = virtual
    touched = np.flatnonzero(np.any(permuted[:, u.dofs] != 0.0, axis=(0, 2)))
    n_rows = observe.shape[0] + len(virtual)
    data = (
        plate.gradients,
        plate.weights * thickness,
        u.dofs,
        np.asarray(phi, float),
        np.broadcast_to(np.asarray(known, float), (n_points,)),
        np.asarray(force, float).ravel()[u.free],
        np.asarray(displacement, float).ravel()[u.held],
        observe.indptr.astype(np.int64),
        u.number[observe.indices],
        observe.data,
        permuted,
        touched.astype(np.int64),
        np.arange(n_rows) if order is None else np.asarray(order, np.int64),
        np.array([u.band], dtype=np.int64),
    )
    stiffness = np.diag([130.0, 12.0, 12.0, 4.0, 5.0, 5.0])
    stiffness[:3, :3] += 4.0
    example = np.concatenate([stiffness.ravel(), np.full(phi.shape[1], 0.5 / max(phi.shape[1], 1))])
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), example)
