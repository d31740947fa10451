"""Long coupons: uniform stress, so the moduli follow from the rotated compliance alone (grips do not matter).

Vector in:  C_eff (36), then the double angle t of each coupon.
Vector out: one number for each observed row, after ``kind``:

    YOUNG     E_x      = 1 / S11(t)              tension along x at the fibre angle theta = t / 2
    SHEAR     G_xy     = 1 / S66(t)
    POISSON   nu_xy    = -S12(t) / S11(t)
    COUPLING  eta_xy,x = S16(t) / S11(t)         shear strain over axial strain in tension

Dimensionless or in the unit of C_eff. Exact, no discretisation.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled
from hmminfer.macro.lamina import compliance_pullback, plane_stress, strain_rotation

KINDS = {"youngs_modulus": 0, "shear_modulus": 1, "poisson_ratio": 2, "shear_coupling": 3}


@compiled
def _value(kind, s):
    """Observable, and its derivative with respect to the entries of the rotated compliance (3, 3)."""
    d = np.zeros((3, 3))
    if kind == 0:
        d[0, 0] = -1.0 / s[0, 0] ** 2
        return 1.0 / s[0, 0], d
    if kind == 1:
        d[2, 2] = -1.0 / s[2, 2] ** 2
        return 1.0 / s[2, 2], d
    j = 1 if kind == 2 else 2
    sign = -1.0 if kind == 2 else 1.0
    d[0, j] = sign / s[0, 0]
    d[0, 0] = -sign * s[0, j] / s[0, 0] ** 2
    return sign * s[0, j] / s[0, 0], d


@compiled
def _forward(x, kind, angle_of, known):
    """``angle_of[row]``: index of the row's hidden angle after the 36, or -1 for the known double angle ``known[row]``."""
    s, _, full = plane_stress(x[:36].copy().reshape(6, 6))
    y = np.empty(kind.size)
    for i in range(kind.size):
        t = known[i] if angle_of[i] < 0 else x[36 + angle_of[i]]
        r, _ = strain_rotation(t)
        y[i], _ = _value(kind[i], r @ s @ r.T)
    return y, s, full


@compiled
def _pullback(x, kind, angle_of, known, s, full, y_bar):
    out = np.zeros(x.size)
    s_bar = np.zeros((3, 3))
    for i in range(kind.size):
        t = known[i] if angle_of[i] < 0 else x[36 + angle_of[i]]
        r, dr = strain_rotation(t)
        _, d = _value(kind[i], r @ s @ r.T)
        d = 0.5 * y_bar[i] * (d + d.T)
        s_bar += r.T @ d @ r
        if angle_of[i] >= 0:
            out[36 + angle_of[i]] += 2.0 * np.sum(d * (dr @ s @ r.T))
    out[:36] = compliance_pullback(full, s_bar).ravel()
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="i1 i1 f1", state="f2 f2")


def long_coupons(kind: np.ndarray, angle_of: np.ndarray, known: np.ndarray) -> Kernel:
    """Kernel of coupons: ``kind`` (rows,) values of :data:`KINDS`; see :func:`_forward` for the other two."""
    n_angles = int(angle_of.max(initial=-1)) + 1
    example = np.concatenate([np.diag([150.0, 12.0, 12.0, 4.0, 5.0, 5.0]).ravel(), np.full(n_angles, 0.4)])
    data = (np.asarray(kind, np.int64), np.asarray(angle_of, np.int64), np.asarray(known, float))
    return Kernel(CODE, tuple(np.ascontiguousarray(d) for d in data), example)
