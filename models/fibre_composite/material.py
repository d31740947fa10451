"""The material: stiffness of the composite from its phases, and the settings of its cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.errors import unknown
from hmminfer.micro.elastic_cell import elastic_cell
from hmminfer.micro.phases import phases_of
from hmminfer.micro.reduced_cell import reduced_cell
from hmminfer.system.data import Setting
from hmminfer.system.law import LinearLaw
from hmminfer.system.parameters import Parameter
from hmminfer.system.priors import Axial

FIXED = {"fibre_axial_poisson": 0.20, "fibre_transverse_poisson": 0.25, "matrix_poisson": 0.36}
ANGLE = Parameter("fibre_angle", "deg", Axial(), "angle from the loading direction to the fibre", -180.0, 180.0, "\\theta", axial=True)


def law(packing: str = "hexagonal", cell: str = "reduced", refine: int = 4, phases: tuple[Parameter, ...] | None = None) -> LinearLaw:
    """Stiffness of the composite from its phases.

    ``cell``: "reduced" (reduced basis over the prior box, +- 4 sd; the full cell answers outside) or "full"; ``refine``: elements along
    each side of the cell; the error of C_eff falls with its fourth power (2e-4 at 4 for glass/epoxy).
    """
    phases = phases_of(packing) if phases is None else phases
    if cell == "full":
        kernel = elastic_cell(packing, refine)
    elif cell == "reduced":
        box = np.array([p.prior.box(4.0) for p in phases])
        kernel = reduced_cell(box[:, 0], box[:, 1], packing, refine).kernel
    else:
        raise unknown("cell", cell, ["reduced", "full"])
    return LinearLaw(phases, kernel, "stiffness", "GPa", (6, 6))


CELL = (  # settings of every experiment and prediction
    Setting("packing", default="hexagonal", kind="text", choices=("hexagonal", "square"), description="of the fibres"),
    Setting("cell", default="reduced", kind="text", choices=("reduced", "full"), description="micro problem: reduced basis, or solved"),
    Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
)


def law_of(settings: Any) -> LinearLaw:
    """The law for settings :data:`CELL`."""
    return law(str(settings["packing"]), str(settings["cell"]), int(settings["refine"]))
