"""A unidirectional lamina in its plane: reduced compliance and stiffness, and their rotation by the double angle.

Effective data: C_eff (6, 6), Voigt [11, 22, 33, 23, 13, 12], fibre along 1. Plane stress keeps S[{1, 2, 6}, {1, 2, 6}] of S = C^-1.

The stiffness at the fibre angle theta to x follows from t = 2 theta through four invariants of Q and two deviators,

    Qbar(t) = Q0 + cos t Q1 + sin t Q2 + cos 2t Q3 + sin 2t Q4          (Tsai & Pagano 1968)

with Q0..Q4 linear in (Q11, Q22, Q12, Q66); the same holds for the compliance with engineering shears scaled.
"""

import numpy as np

from hmminfer.engine.linalg import spd_inverse
from hmminfer.engine.native import compiled

_IN_PLANE = np.array([0, 1, 5])


@compiled
def plane_stress(c):
    """Reduced compliance S (3, 3) and stiffness Q (3, 3), order [11, 22, 12], and the full compliance (6, 6)."""
    full = spd_inverse(0.5 * (c + c.T))
    s = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            s[i, j] = full[_IN_PLANE[i], _IN_PLANE[j]]
    return s, spd_inverse(s), full


@compiled
def compliance_pullback(full, s_bar):
    """Cotangent of C from that of the reduced compliance."""
    padded = np.zeros((6, 6))
    for i in range(3):
        for j in range(3):
            padded[_IN_PLANE[i], _IN_PLANE[j]] = s_bar[i, j]
    return -(full @ padded @ full)


@compiled
def plane_stress_pullback(q, full, q_bar):
    """Cotangent of C from that of Q: Q = P(C^-1)^-1, so S_bar = -Q Q_bar Q and C_bar = -S S_bar S."""
    s_bar = -(q @ (0.5 * (q_bar + q_bar.T)) @ q)
    return compliance_pullback(full, s_bar)


@compiled
def rotation(t):
    """R (3, 3) with Qbar = R Q R^T for engineering strains, and dR/dt: R carries stress from fibre to load axes."""
    c, s = np.cos(0.5 * t), np.sin(0.5 * t)
    cc, ss, cs = c * c, s * s, c * s
    r = np.array([[cc, ss, -2.0 * cs], [ss, cc, 2.0 * cs], [cs, -cs, cc - ss]])
    # d/dt = 1/2 d/dtheta
    d = np.array([[-cs, cs, -(cc - ss)], [cs, -cs, cc - ss], [0.5 * (cc - ss), -0.5 * (cc - ss), -2.0 * cs]])
    return r, d


@compiled
def strain_rotation(t):
    """T (3, 3) with Sbar = T S T^T (carries engineering strain from fibre to load axes), and dT/dt."""
    r, d = rotation(t)
    for i in range(2):
        for m in (r, d):
            m[i, 2] *= 0.5
            m[2, i] *= 2.0
    return r, d
