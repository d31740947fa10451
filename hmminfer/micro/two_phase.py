"""Exact identities of two-phase composites: what the stiffness of a composite says of its expansion and heat capacity.

An aligned composite of transversely isotropic phases, of square or hexagonal symmetry, answers to strains (e1, e2, e2) through C11, C12 and
K = C22 + C23. The fluctuations that such strains, or a temperature, set off are one field times the jump of the in-plane stress, hence

    C11 = <C11> - 2 mu d12^2,   C12 = <C12> - mu d12 d22,   K = <K> - mu d22^2,       d12 = [C12],  d22 = [K],  b2 = [beta2]
    beta1 = <beta1> - 2 mu d12 b2,   beta2 = <beta2> - mu d22 b2,   c_eps,eff = <c_p> - T0 (<alpha . C alpha> - 2 mu b2^2)

with jumps [.] = fibre - matrix and one number mu of the geometry and the stiffnesses. These are Levin's (1967, Mech. Solids 2:58) and Rosen &
Hashin's (1970, Int. J. Eng. Sci. 8:157) identities, without their pole where the phases are equally stiff in one direction. A reduced basis of
the elastic cell so gives the thermal data too. Phases as in :mod:`.thermoelastic_cell`.

Vector in:  C_eff (36), then E1f, E2f, G12f, nu12f, nu23f, Em, num, v, alpha1f, alpha2f, alpha_m, c_f, c_m.
Vector out: C_eff (36), beta_eff (6), c_eps,eff. Exact; NaN where the phases are equally stiff in both directions.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.native import compiled
from hmminfer.micro.thermoelastic_cell import ENERGY, REFERENCE, thermoelastic_cell


@compiled
def _axisymmetric(e1, e2, nu12, nu23):
    """C11, C12, C22 + C23 of a transversely isotropic phase."""
    d = 1.0 - nu23 - 2.0 * nu12**2 * e2 / e1
    return e1 * (1.0 - nu23) / d, nu12 * e2 / d, e2 / d


@compiled
def identities(x, facts, out):
    """facts: T0."""
    p = x[36:]
    v, a1, a2, am = p[7], p[8], p[9], p[10]
    f11, f12, f22 = _axisymmetric(p[0], p[1], p[3], p[4])
    m11, m12, m22 = _axisymmetric(p[5], p[5], p[6], p[6])
    f1, f2 = f11 * a1 + 2.0 * f12 * a2, f12 * a1 + f22 * a2  # beta of the fibre, along and across
    m1, m2 = (m11 + 2.0 * m12) * am, (m12 + m22) * am
    d12, d22, b2 = f12 - m12, f22 - m22, f2 - m2
    less11 = v * f11 + (1.0 - v) * m11 - x[0]
    less12 = v * f12 + (1.0 - v) * m12 - 0.5 * (x[1] + x[2])
    less22 = v * f22 + (1.0 - v) * m22 - 0.5 * (x[7] + x[14] + 2.0 * x[8])
    size = 2.0 * d12**2 + d22**2  # mu from all three stiffnesses by least squares: no single jump is divided by
    mu = (2.0 * d12**2 * less11 + 4.0 * d12 * d22 * less12 + d22**2 * less22) / size**2
    out[:36] = x[:36]
    out[36] = v * f1 + (1.0 - v) * m1 - 2.0 * mu * d12 * b2
    out[37] = out[38] = v * f2 + (1.0 - v) * m2 - mu * d22 * b2
    out[39] = out[40] = out[41] = 0.0
    rest = v * (f1 * a1 + 2.0 * f2 * a2) + (1.0 - v) * (m1 + 2.0 * m2) * am - 2.0 * mu * b2**2
    out[42] = v * p[11] + (1.0 - v) * p[12] - facts[0] * ENERGY * rest


def thermal_identities(reference: float = REFERENCE) -> Kernel:
    """Kernel of the identities at T0 = ``reference`` (K)."""
    cell = thermoelastic_cell("square", 1, reference)
    return closure(identities, [[reference]], 43, np.concatenate([cell(cell.example)[:36], cell.example]))
