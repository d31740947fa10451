"""The material: stiffness, thermal stress, heat capacity and conductivity of the composite from its phases, and the settings of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.coupling import beside, couple
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import unknown
from hmminfer.micro.conductive_table import conductive_table
from hmminfer.micro.phases import PHASES, phases_of
from hmminfer.micro.reduced_materials import beyond, cell_of_materials
from hmminfer.micro.thermoelastic_cell import REFERENCE, thermoelastic_cell
from hmminfer.micro.two_phase import thermal_identities
from hmminfer.system.data import Setting
from hmminfer.system.derived import Derived
from hmminfer.system.materials import MATERIAL, informed
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Normal

THERMAL = (
    Parameter("fibre_axial_expansion", "um/m/K", Normal(2.0, 4.0), "expansion along the fibre", -50.0, 100.0, "\\alpha_{1f}"),
    Parameter("fibre_transverse_expansion", "um/m/K", LogNormal(10.0, 0.8), "expansion across the fibre", -50.0, 200.0, "\\alpha_{2f}"),
    Parameter("matrix_expansion", "um/m/K", LogNormal(40.0, 0.7), "expansion of the matrix", -50.0, 500.0, "\\alpha_m"),
    Parameter("fibre_heat_capacity", "MJ/m^3/K", LogNormal(2.0, 0.35), "heat capacity of the fibre at constant stress", 1e-3, 100.0, "c_f"),
    Parameter("matrix_heat_capacity", "MJ/m^3/K", LogNormal(2.0, 0.35), "heat capacity of the matrix at constant stress", 1e-3, 100.0, "c_m"),
    Parameter("fibre_axial_conductivity", "W/m/K", LogNormal(8.0, 1.5), "conductivity along the fibre", 1e-4, 1e4, "k_{1f}"),
    Parameter("fibre_transverse_conductivity", "W/m/K", LogNormal(3.0, 1.5), "conductivity across the fibre", 1e-4, 1e4, "k_{2f}"),
    Parameter("matrix_conductivity", "W/m/K", LogNormal(1.0, 1.6), "conductivity of the matrix", 1e-4, 1e4, "k_m"),
)
PARAMETERS = (*PHASES, *THERMAL)
INDEX = {p.name: i for i, p in enumerate(PARAMETERS)}
# T300 in 934 epoxy (Bowles & Tompkins 1989), as an example of a material that exists; parameters that no datum depends on are held at these values
KNOWN = {
    "fibre_axial_modulus": 233.0,
    "fibre_transverse_modulus": 23.1,
    "fibre_shear_modulus": 8.96,
    "fibre_axial_poisson": 0.2,
    "fibre_transverse_poisson": 0.4,
    "matrix_modulus": 4.35,
    "matrix_poisson": 0.37,
    "fibre_heat_capacity": 1.3,
    "matrix_heat_capacity": 1.4,
    "fibre_axial_conductivity": 8.0,
    "fibre_transverse_conductivity": 1.0,
    "matrix_conductivity": 0.2,
}
T300_934 = {"volume_fraction": 0.57, "fibre_axial_expansion": -0.54, "fibre_transverse_expansion": 10.1, "matrix_expansion": 43.9}
CELL = (
    MATERIAL,
    Setting("packing", default="hexagonal", kind="text", choices=("hexagonal", "square"), description="of the fibres"),
    Setting(
        "cell",
        default="reduced",
        kind="text",
        choices=("reduced", "full"),
        description="micro problem: reduced basis with exact identities, or solved",
    ),
    Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
    Setting("reference", "K", default=REFERENCE, lower=1.0, description="temperature T0 at which nothing is strained"),
)
AXIAL = [INDEX[n] for n in ("volume_fraction", "fibre_axial_conductivity", "matrix_conductivity")]  # conduction along the fibre


def law(packing: str = "hexagonal", cell: str = "reduced", refine: int = 4, reference: float = REFERENCE) -> Kernel:
    """:data:`PARAMETERS` -> C_eff (36), beta_eff (6), c_eps,eff, then conductivities 22, 33, 23 across the fibre and the mean capacity."""
    example = ParameterSet(PARAMETERS).vector({**KNOWN, **T300_934})
    if cell not in ("reduced", "full"):
        raise unknown("cell", cell, ("reduced", "full"))
    if cell == "full":
        mechanics = thermoelastic_cell(packing, refine, reference)
    else:
        reduced = cell_of_materials(packing, refine).kernel
        mechanics = couple(reduced, thermal_identities(reference), range(8), range(13), [], example[:13])
    names = ("matrix_conductivity", "fibre_transverse_conductivity", "matrix_conductivity")  # the third: contact, perfect here
    index = [INDEX[n] for n in (*names, "volume_fraction", "matrix_heat_capacity", "fibre_heat_capacity")]
    return beside(mechanics, conductive_table(packing, refine), range(13), index, example)


def answer_of(s: Any) -> tuple[Kernel, np.ndarray]:
    """The law for the settings, and an example of the numbers a macro problem takes: the law's answer, then v, k_1f, k_m."""
    micro = law(str(s["packing"]), str(s["cell"]), int(s["refine"]), float(s["reference"]))
    return micro, np.concatenate([micro(micro.example), micro.example[AXIAL]])


def settled(kernel: Kernel, micro: Kernel, s: Any, table: Any = None, columns: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Parts of a model that the material decides: parameters, values that the columns state or no datum sees, derived quantities, cautions."""
    columns = columns or {}
    told = informed(ParameterSet((*phases_of(str(s["packing"])), *THERMAL)), kernel, s, table, {**KNOWN, **T300_934})
    costs = (partial(beyond, str(s["packing"]), [p.name for p in told.parameters][:8]),) if s["cell"] == "reduced" else ()
    derived = (
        Derived("lamina_modulus", "GPa", partial(_of_lamina, micro, 0), "of the aligned composite", ("axial", "transverse", "shear")),
        Derived("lamina_expansion", "um/m/K", partial(_of_lamina, micro, 1), "of the aligned composite", ("axial", "transverse")),
    )
    return {"parameters": told.parameters, "fixed": {**told.held, **columns}, "derived": derived, "cautions": told.cautions, "costs": costs}


def _of_lamina(micro: Kernel, what: int, values: Mapping[str, Any]) -> np.ndarray:
    """E_1, E_2, G_12 (..., 3), or the expansions alpha_1, alpha_2 (..., 2), for draws of the phases."""
    theta = ParameterSet(PARAMETERS).vector({p.name: values[p.name] for p in PARAMETERS})
    y = np.array([micro(row) for row in theta.reshape(-1, theta.shape[-1])])
    compliance = np.linalg.inv(y[:, :36].reshape(-1, 6, 6))
    moduli, expansions = 1.0 / np.diagonal(compliance, axis1=1, axis2=2)[:, [0, 1, 5]], np.einsum("nij,nj->ni", compliance, y[:, 36:42])[:, :2]
    return (expansions if what else moduli).reshape(*theta.shape[:-1], -1)
