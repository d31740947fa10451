"""Exact identities of two-phase composites: what the stiffness of a composite says of its expansion and heat capacity.

If both phases are strained by E0 with (C_f - C_m) E0 = beta_f - beta_m and warmed by theta = 1, stress is the same in both,
s0 = C_f (E0 - alpha_f): no fluctuation arises, whatever the geometry. Hence, for any stiffness C_eff of any two-phase microstructure,

    beta_eff = C_eff E0 - s0                       (Levin 1967, Mech. Solids 2:58, in stresses)
    c_eps,eff = <c_eps> + T0 (<beta> - beta_eff) . E0        (Rosen & Hashin 1970, Int. J. Eng. Sci. 8:157)

so a reduced basis of the elastic cell gives the thermal data too. Phases as in :mod:`.thermoelastic_cell`; E0 = (e1, e2, e2).

Vector in:  C_eff (36), then E1f, E2f, G12f, nu12f, nu23f, Em, num, v, alpha1f, alpha2f, alpha_m, c_f, c_m.
Vector out: C_eff (36), beta_eff (6), c_eps,eff. Exact; NaN where the phases are equally stiff (E0 is not defined there).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..closure import closure
from ..kernel import Kernel
from .thermoelastic_cell import ENERGY, REFERENCE, thermoelastic_cell


@njit(cache=True, error_model="numpy")
def _axisymmetric(e1, e2, nu12, nu23):
    """C11, C12, C22 + C23: what a transversely isotropic phase answers to strains (e1, e2, e2)."""
    d = 1.0 - nu23 - 2.0 * nu12**2 * e2 / e1
    return e1 * (1.0 - nu23) / d, nu12 * e2 / d, e2 / d


@njit(cache=True, error_model="numpy")
def identities(x, facts, out):
    """facts: T0."""
    reference = facts[0]
    p = x[36:]
    v, a1, a2, am = p[7], p[8], p[9], p[10]
    f11, f12, f22 = _axisymmetric(p[0], p[1], p[3], p[4])
    m11, m12, m22 = _axisymmetric(p[5], p[5], p[6], p[6])
    beta_f1, beta_f2 = f11 * a1 + 2.0 * f12 * a2, f12 * a1 + f22 * a2
    beta_m1, beta_m2 = m11 * am + 2.0 * m12 * am, m12 * am + m22 * am
    d11, d12, d22 = f11 - m11, f12 - m12, f22 - m22
    b1, b2 = beta_f1 - beta_m1, beta_f2 - beta_m2
    det = d11 * d22 - 2.0 * d12 * d12
    e1, e2 = (d22 * b1 - 2.0 * d12 * b2) / det, (d11 * b2 - d12 * b1) / det
    s1, s2 = f11 * e1 + 2.0 * f12 * e2 - beta_f1, f12 * e1 + f22 * e2 - beta_f2
    out[:36] = x[:36]
    for i in range(6):
        out[36 + i] = x[6 * i] * e1 + (x[6 * i + 1] + x[6 * i + 2]) * e2
    out[36] -= s1
    out[37] -= s2
    out[38] -= s2
    energy_f = beta_f1 * a1 + 2.0 * beta_f2 * a2  # alpha . C alpha: c_p - c_eps over T0
    energy_m = beta_m1 * am + 2.0 * beta_m2 * am
    mean1, mean2 = v * beta_f1 + (1.0 - v) * beta_m1, v * beta_f2 + (1.0 - v) * beta_m2
    more = (mean1 - out[36]) * e1 + (2.0 * mean2 - out[37] - out[38]) * e2
    capacity = v * p[11] + (1.0 - v) * p[12]
    out[42] = capacity + reference * ENERGY * (more - v * energy_f - (1.0 - v) * energy_m)


def thermal_identities(reference: float = REFERENCE) -> Kernel:
    """Kernel of both identities at T0 = ``reference`` (K)."""
    cell = thermoelastic_cell("square", 1, reference)
    return closure(identities, [[reference]], 43, np.concatenate([cell(cell.example)[:36], cell.example]))
