"""Stiffness of the phases from engineering constants, and the derivative back to them.

Voigt order [11, 22, 33, 23, 13, 12] with engineering shears; 1 is the fibre axis. A phase is transversely isotropic about 1
and given by (E1, E2, G12, nu12, nu23), with G23 = E2 / (2 (1 + nu23)); an isotropic one by (E, nu).
"""

from dataclasses import replace

import numpy as np

from hmminfer.engine.linalg import spd_inverse
from hmminfer.engine.native import compiled
from hmminfer.errors import unknown
from hmminfer.system.parameters import Parameter
from hmminfer.system.priors import LogNormal, Normal

# A fibre, a matrix and how much there is of the fibre, with priors wide enough for glass, carbon, aramid, cellulose and ceramics in a polymer or a
# metal: 95 % from 17 to 580 GPa along the fibre, 0.3 to 95 GPa of the matrix. A material's name narrows them (hmminfer.system.materials).
PHASES = (
    Parameter("fibre_axial_modulus", "GPa", LogNormal(100.0, 0.9, 0.1, 2000.0), "Young's modulus along the fibre", 0.1, 2000.0, "E_{1f}"),
    Parameter("fibre_transverse_modulus", "GPa", LogNormal(30.0, 1.0, 0.05, 1000.0), "Young's modulus across the fibre", 0.05, 1000.0, "E_{2f}"),
    Parameter("fibre_shear_modulus", "GPa", LogNormal(12.0, 1.0), "shear modulus along the fibre", 0.05, 1000.0, "G_{12f}"),
    Parameter("fibre_axial_poisson", "", Normal(0.25, 0.08, 0.0, 0.45), "axial Poisson ratio of the fibre", 0.0, 0.5, "\\nu_{12f}"),
    Parameter("fibre_transverse_poisson", "", Normal(0.30, 0.10, 0.0, 0.45), "Poisson ratio across the fibre", 0.0, 0.6, "\\nu_{23f}"),
    Parameter("matrix_modulus", "GPa", LogNormal(5.0, 1.5, 0.01, 500.0), "Young's modulus of the matrix", 0.01, 500.0, "E_m"),
    Parameter("matrix_poisson", "", Normal(0.35, 0.05, 0.05, 0.45), "Poisson ratio of the matrix", 0.0, 0.49, "\\nu_m"),
    Parameter("volume_fraction", "", Normal(0.50, 0.20, 0.02, 0.80), "fibre volume fraction", 0.01, 0.90, "v_f"),
)


def phases_of(packing: str) -> tuple[Parameter, ...]:
    """The parameters for a packing: square cells touch at 0.785, so the support of their volume fraction ends before."""
    if packing not in ("hexagonal", "square"):
        raise unknown("packing", packing, ["hexagonal", "square"])
    if packing == "hexagonal":
        return PHASES
    *others, content = PHASES
    return (*others, replace(content, upper=0.75))


@compiled
def transversely_isotropic(e1, e2, g12, nu12, nu23):
    """6x6 stiffness (the unit of the moduli); NaN where the constants are not those of a stable solid."""
    s = np.zeros((6, 6))
    s[0, 0] = 1.0 / e1
    s[1, 1] = 1.0 / e2
    s[2, 2] = 1.0 / e2
    s[0, 1] = -nu12 / e1
    s[0, 2] = -nu12 / e1
    s[1, 2] = -nu23 / e2
    s[3, 3] = 2.0 * (1.0 + nu23) / e2
    s[4, 4] = 1.0 / g12
    s[5, 5] = 1.0 / g12
    for i in range(3):
        for j in range(i):
            s[i, j] = s[j, i]
    return spd_inverse(s)


@compiled
def transversely_isotropic_pullback(e1, e2, g12, nu12, nu23, c, c_bar):
    """Cotangents of (E1, E2, G12, nu12, nu23) from that of the stiffness: dC = -C dS C."""
    s = -(c @ (0.5 * (c_bar + c_bar.T)) @ c)
    out = np.empty(5)
    across = s[0, 1] + s[1, 0] + s[0, 2] + s[2, 0]
    plane = s[1, 2] + s[2, 1]
    out[0] = (-s[0, 0] + nu12 * across) / e1**2
    out[1] = (-s[1, 1] - s[2, 2] + nu23 * plane - 2.0 * (1.0 + nu23) * s[3, 3]) / e2**2
    out[2] = -(s[4, 4] + s[5, 5]) / g12**2
    out[3] = -across / e1
    out[4] = (2.0 * s[3, 3] - plane) / e2
    return out


@compiled
def isotropic(e, nu):
    """6x6 stiffness of an isotropic phase."""
    return transversely_isotropic(e, e, 0.5 * e / (1.0 + nu), nu, nu)


@compiled
def isotropic_pullback(e, nu, c, c_bar):
    """Cotangents of (E, nu) from that of the stiffness."""
    t = transversely_isotropic_pullback(e, e, 0.5 * e / (1.0 + nu), nu, nu, c, c_bar)
    out = np.empty(2)
    out[0] = t[0] + t[1] + 0.5 * t[2] / (1.0 + nu)
    out[1] = t[3] + t[4] - 0.5 * e / (1.0 + nu) ** 2 * t[2]
    return out
