"""Temperatures in a square of locally periodic material: a cell at each macro point (FE-HMM), data at a finite period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import skfem

from hmminfer.engine.coupling import affine, chain, each
from hmminfer.errors import HmmInferError
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import elliptic_kernel
from hmminfer.macro.resolved import resolved
from hmminfer.micro.pattern_cell import BOUNDARIES, pattern_cell
from hmminfer.models.heat_composite.grids import SIDE, as_prediction, grid
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal
from hmminfer.system.tables import Table

PERIODIC = Schema(
    experiment="periodic",
    description="A unit square of locally periodic material, heated everywhere, its edge held at zero; temperature against the edge.",
    quantities={"temperature": "K"},
    columns=(Column("x", "m", lower=0.0, upper=1.0), Column("y", "m", lower=0.0, upper=1.0)),
    settings=(
        Setting("source", "W/m^3", default=1.0, description="heat produced everywhere"),
        Setting("periods", default=32, kind="integer", lower=1, upper=256, description="1 / eps; known to the homogenisation error only"),
        Setting("elements", default=8, kind="integer", lower=2, upper=256, description="macro elements along each side"),
        Setting("degree", default=2, kind="integer", lower=1, upper=2, description="of the macro elements"),
        Setting("cell", default="scaled", kind="text", choices=("scaled", "full"), description="one solve scaled, or one at each macro point"),
        Setting("cell_elements", default=32, kind="integer", lower=4, upper=128, description="micro elements along a period"),
        Setting("cell_meshes", default=2, kind="integer", lower=1, upper=2, description="2: extrapolated from this mesh and half of it"),
        Setting("cell_periods", default=1.0, lower=0.5, upper=16.0, description="side of the cell in periods"),
        Setting("boundary", default="periodic", kind="text", choices=BOUNDARIES, description="of the micro problem"),
    ),
    example_rows=(
        {"quantity": "temperature", "x": 0.5, "y": 0.5, "value": 0.052, "unit": "K", "sd": 0.001},
        {"quantity": "temperature", "x": 0.25, "y": 0.5, "value": 0.043, "unit": "K", "sd": 0.001},
    ),
)
SLOW = (
    Parameter("conductivity", "W/m/K", LogNormal(1.0, 1.5), "a_1, homogenised conductivity at x = 0", 1e-6, 1e6, "a_1"),
    Parameter("conductivity_slope", "W/m^2/K", LogNormal(0.8, 1.5), "a_2, its increase along x", 0.0, 1e6, "a_2"),
)


def oscillation(y1: np.ndarray, y2: np.ndarray) -> np.ndarray:
    """s(y), of period one; its homogenised tensor is exactly the identity."""
    return 64.0 / (9.0 * np.sqrt(17.0)) * (np.sin(2 * np.pi * y1) + 1.125) * (np.cos(2 * np.pi * y2) + 1.125)


def periodic(table: Table) -> Model:
    """-div(a grad T) = f with a(x) = (a_1 + a_2 x_1) s(x / eps), scales separated: FE-HMM, a cell at each x_1 of a quadrature point.

    The cells do not know eps, and no more does the cost; what a finite eps adds is the homogenisation error. An effective tensor is
    homogeneous of degree one in the coefficient, so that cells which differ by a factor alone are one cell, scaled: that is exact, and free
    while sampling; cell = full solves each of them at each theta all the same.
    """
    s = table.settings
    side = np.linspace(0.0, 1.0, int(s["elements"]) + 1)
    domain = Domain(skfem.MeshQuad.init_tensor(side, side), int(s["degree"]))
    x = domain.quadrature_points[..., 0].round(12)
    places, zone = np.unique(x, return_inverse=True)  # a does not vary along y but by its oscillation
    if s["boundary"] == "periodic" and s["cell_periods"] != round(s["cell_periods"]):
        raise HmmInferError(
            f"A periodic cell of {s['cell_periods']:g} periods does not tile the material; give a whole number of periods, or another boundary."
        )
    meshes, corner = int(s["cell_meshes"]), 0.5 * (1.0 - s["cell_periods"])
    n = meshes * round(s["cell_elements"] * s["cell_periods"] / meshes)
    cell = pattern_cell(lambda y1, y2: [oscillation(y1, y2)], n, str(s["boundary"]), (corner, corner), s["cell_periods"], meshes)
    slow = np.stack([np.ones(len(places)), places], axis=1)
    scaled = s["cell"] == "scaled"
    law = affine(np.kron(slow, cell(np.ones(1))[:, None])) if scaled else chain(affine(slow), each(cell, len(places)))
    fixed = domain.boundary
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    observe = domain.interpolation(points)[0]
    macro = elliptic_kernel(domain, fixed, np.zeros(len(fixed)), domain.load(s["source"]), observe, zone=zone.reshape(x.shape))
    parameters = ParameterSet(SLOW)
    kernel = chain(law, macro)

    def resolved_values(values: Mapping[str, Any]) -> np.ndarray:
        a1, a2, m = values["conductivity"], values["conductivity_slope"], int(s["periods"])
        return resolved(lambda x, y: (a1 + a2 * x) * oscillation(m * x, m * y), s["source"], 24 * m, points)

    about = {k: s[k] for k in ("periods", "elements", "cell", "cell_elements", "cell_meshes", "cell_periods", "boundary")}
    return Model(
        parameters=parameters, kernel=kernel, observables=by_quantity(table, {"x": "m", "y": "m"}), table=table, about=about, resolved=resolved_values
    )


@prediction(SIDE, *PERIODIC.settings, small={"n": 3, "elements": 2, "cell_elements": 4})
def periodic_temperatures(n: int, **settings: Any) -> Model:
    """Prediction model: temperatures on a grid over the square of locally periodic material, scales separated (eps to zero)."""
    model = periodic(grid(PERIODIC, settings, n, n, (1.0, 1.0)))
    return as_prediction(model, PERIODIC, n * n)


EXPERIMENT = Experiment(
    PERIODIC,
    periodic,
    "periodic_square",
    "temperatures in a square of locally periodic material",
    {"periodic_temperatures": periodic_temperatures},
    small={"elements": 2, "cell": "full", "cell_elements": 4},
)
