"""The catalogue of physical systems: one line each. A system is a module with EXPERIMENTS and PREDICTIONS."""

from __future__ import annotations

import importlib
from types import ModuleType

from hmminfer.errors import unknown

CATALOGUE = {
    "fibre_composite": "fibre orientation, content and phase moduli of a unidirectional composite",
    "heat_composite": "conductivities of phases, their contact and their content from heat flow",
    "proton_conductor": "interface layers, conductivities and contacts of an ionomer from its films and membranes",
    "thermoelastic_composite": "expansion, conductivity and content of the phases from expanding, bending and cooling laminae",
    "swelling_gel": "fixed charge, stiffness and permeability of a charged network from how it swells and creeps in salt water",
    "morphogen_tissue": "diffusion and degradation of a morphogen in a tissue of stochastic cells from the gradient it forms",
    "reactive_transport": "sorption, dispersion and slow kinetics from what leaves packed columns, of reactions at 1e9 per second",
}


def names() -> list[str]:
    """Names of the physical systems."""
    return list(CATALOGUE)


def get(name: str) -> ModuleType:
    """The module of a physical system."""
    if name not in CATALOGUE:
        raise unknown("model", name, CATALOGUE)
    return importlib.import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> ModuleType:
    if name in CATALOGUE:
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
