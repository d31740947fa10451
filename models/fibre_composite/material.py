"""The material: stiffness of the composite from its phases, and the settings of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Kernel
from hmminfer.errors import unknown
from hmminfer.micro.elastic_cell import elastic_cell
from hmminfer.micro.phases import phases_of
from hmminfer.micro.reduced_materials import beyond, cell_of_materials
from hmminfer.system.data import Setting
from hmminfer.system.derived import Derived
from hmminfer.system.law import LinearLaw
from hmminfer.system.materials import MATERIAL, informed
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import Axial

ANGLE = Parameter("fibre_angle", "deg", Axial(), "angle from the loading direction to the fibre", -180.0, 180.0, "\\theta", axial=True)


def law(packing: str = "hexagonal", cell: str = "reduced", refine: int = 4) -> LinearLaw:
    """Stiffness of the composite from its phases.

    ``cell``: "reduced" (reduced basis of all materials; the full cell answers outside its box, see :mod:`hmminfer.micro.reduced_materials`) or
    "full"; ``refine``: elements along each side of the cell; the error of C_eff falls with its fourth power (2e-4 at 4 for glass/epoxy).
    """
    phases = phases_of(packing)
    if cell == "full":
        kernel = elastic_cell(packing, refine)
    elif cell == "reduced":
        kernel = cell_of_materials(packing, refine).kernel
    else:
        raise unknown("cell", cell, ["reduced", "full"])
    return LinearLaw(phases, kernel, "stiffness", "GPa", (6, 6))


CELL = (  # settings of every experiment and prediction
    MATERIAL,
    Setting("packing", default="hexagonal", kind="text", choices=("hexagonal", "square"), description="of the fibres"),
    Setting("cell", default="reduced", kind="text", choices=("reduced", "full"), description="micro problem: reduced basis, or solved"),
    Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
)


def law_of(settings: Any) -> LinearLaw:
    """The law for settings :data:`CELL`."""
    return law(str(settings["packing"]), str(settings["cell"]), int(settings["refine"]))


def settled(parameters: ParameterSet, micro: LinearLaw, s: Any, table: Any = None) -> dict[str, Any]:
    """Parts of a model that the material decides: parameters with priors that know it, moduli of the lamina, and what is to be said of them."""
    told = informed(parameters, micro.kernel, s, table)
    costs = (partial(beyond, str(s["packing"]), [p.name for p in told.parameters][:8]),) if s["cell"] == "reduced" else ()
    return {"parameters": told.parameters, "derived": (moduli_of_lamina(micro),), "cautions": told.cautions, "costs": costs}


def moduli_of_lamina(micro: LinearLaw) -> Derived:
    """Effective moduli of the aligned composite, as a derived quantity."""
    formula = partial(_moduli, micro.kernel, ParameterSet(micro.parameters))
    return Derived("lamina_modulus", "GPa", formula, "of the aligned composite", ("axial", "transverse", "shear"))


def _moduli(kernel: Kernel, parameters: ParameterSet, values: Mapping[str, Any]) -> np.ndarray:
    """E_1, E_2 and G_12 (..., 3) for draws of the phases."""
    theta = parameters.vector({p.name: values[p.name] for p in parameters})
    compliance = np.linalg.inv([kernel(row).reshape(6, 6) for row in theta.reshape(-1, theta.shape[-1])])
    out = 1.0 / np.diagonal(compliance, axis1=1, axis2=2)[:, [0, 1, 5]]
    return out.reshape(*theta.shape[:-1], 3)
