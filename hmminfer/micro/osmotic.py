r"""Osmotic pressure of a charged network at the places where a macro problem asks for it: over fixed charge, in each bath.

    Donnan              Pi = phi R T (sqrt(c_F^2 + 4 c^2) - 2 c)          phi: osmotic coefficient, 1 when ideal
    Poisson-Boltzmann   charged rods in cylinders (:mod:`.poisson_boltzmann`), no coefficient

The macro state of a swelling network is its volume, and volume enters the pressure through the fixed charge c_F of its water alone. So the
micro problem is asked once for each bath at fixed nodes of ln c_F, and what lies between them is a polynomial of the macro problem.

Vector in:  phi; or the charge spacing b and the radius r_s of rods (nm).
Vector out: Pi (MPa) at each node, bath after bath.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.micro.poisson_boltzmann import rod_in_cell, thermal


@compiled
def donnan(x, facts, out):
    """x: phi. facts: c_F, c (mol/L), R T (MPa per mol/L)."""
    charge, salt, rt = facts
    out[0] = x[0] * rt * charge**2 / (np.sqrt(charge**2 + 4.0 * salt**2) + 2.0 * salt)


@compiled
def _cell_of(x, facts, out):
    """x: b, r_s. facts: c_F, c -> the vector of a rod's cell."""
    out[0], out[1], out[2], out[3] = facts[0] + 0.0 * x[0], facts[1] + 0.0 * x[0], x[0], x[1]


def _places(charges: np.ndarray, baths: np.ndarray) -> np.ndarray:
    """(baths x charges, 2): c_F and c of each place, c_F fastest."""
    charges, baths = np.asarray(charges, float), np.asarray(baths, float)
    for name, value in (("fixed charge", charges), ("bath", baths)):
        if value.size == 0 or not np.all(value > 0.0):
            raise HmmInferError(f"A {name} is {value.min() if value.size else 'not given'}; it must be positive.")
    return np.stack([np.tile(charges, len(baths)), np.repeat(baths, len(charges))], axis=1)


def donnan_pressures(charges: np.ndarray, baths: np.ndarray, temperature: float = 298.15) -> Kernel:
    """Kernel phi -> Pi at ``charges`` in ``baths`` (mol/L), by Donnan's equilibrium."""
    places = _places(charges, baths)
    facts = np.hstack([places, np.full((len(places), 1), thermal(temperature))])
    return closure(donnan, facts, 1, [0.7])


def rod_pressures(charges: np.ndarray, baths: np.ndarray, temperature: float = 298.15, elements: int = 16) -> tuple[Kernel, Kernel]:
    """Kernels (b, r_s -> a cell at each place, one cell), to be asked at every place: Pi at ``charges`` in ``baths``, by Poisson-Boltzmann."""
    return closure(_cell_of, _places(charges, baths), 4, [0.64, 0.55]), rod_in_cell(temperature, elements)
