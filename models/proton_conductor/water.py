"""Water in an ionomer: its content in equilibrium with vapour, the conductivity it gives (Springer), and constants of both experiments."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.engine.native import compiled

GAS = 8.314462618e-3  # kJ/mol/K
REFERENCE = 303.0  # K, Springer's
SPRINGER_ENERGY = 1268.0 * GAS  # kJ/mol
ACID = 1.98 / 1100.0  # mol/cm^3 of acid groups: dry density over equivalent weight
DRAG = 1e4 / 96485.33212  # mol/m^2/s of protons in 1 A/cm^2
NO_CONTACT = np.zeros(0)


def water_content(activity: Any) -> Any:
    """lambda, water molecules per acid group, in equilibrium with vapour of ``activity`` (0 to 1)."""
    a = np.asarray(activity, float)
    return 0.043 + 17.81 * a - 39.85 * a**2 + 36.0 * a**3


@compiled
def springer(content, energy, temperature):
    """Conductivity (S/cm) at a water content, activation energy (kJ/mol) and temperature (K)."""
    x = (content - 0.00326 / 0.005139) / 0.1
    wet = 0.1 * x if x.real > 30.0 else 0.1 * np.log(1.0 + np.exp(x))
    return 0.005139 * wet * np.exp(energy / GAS * (1.0 / REFERENCE - 1.0 / temperature))
