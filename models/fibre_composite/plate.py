"""Plates and coupons in grips: plane stress, quadratic elements; the fibre angle a number, one for each zone, or a field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hmminfer.engine.coupling import couple
from hmminfer.macro import plate_experiment
from hmminfer.macro.orientation import MARGIN, field_basis, zone_basis
from hmminfer.macro.plate_experiment import LOCAL, SCALE, check_size, plate_geometry, plate_kernel, rigid_motion, size_of
from hmminfer.macro.plate_mesh import Plate
from hmminfer.models.fibre_composite.material import ANGLE, CELL, law_of, settled
from hmminfer.system.data import Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Field, Parameter, ParameterSet
from hmminfer.system.priors import Axial, HalfNormal, LogNormal, Normal
from hmminfer.system.tables import Table

PLATE = replace(plate_experiment.PLATE, settings=(*plate_experiment.PLATE.settings, *CELL))


def _orientation(plate: Plate, s: Any) -> tuple[np.ndarray, tuple[Parameter, ...]]:
    """Basis of the double angle at the quadrature points, and its parameters."""
    points = plate.quadrature_points.reshape(-1, 2)
    if s["orientation"] == "uniform":
        return np.ones((len(points), 1)), (ANGLE,)
    if s["orientation"] == "zones":
        n = int(s["zones"])
        zones = Parameter("fibre_angle", "deg", Axial(), "fibre angle of each zone along x", -180.0, 180.0, "\\theta", axial=True, size=n)
        return zone_basis(points, plate.box, n), (zones,)
    phi, frequencies = field_basis(points, plate.box, int(s["field_x"]), int(s["field_y"]))
    field = Field(
        "angle_field",
        "deg",
        Normal(0.0, 1.0),
        "coefficients of the fibre angle's variation",
        symbol="\\theta(x)",
        axial=True,
        size=phi.shape[1],
        frequencies=frequencies,
        amplitude=HalfNormal(15.0),
        length_scale=LogNormal(MARGIN * float(np.max(np.ptp(plate.box, axis=0))), 0.5),
    )
    return np.hstack([np.ones((len(points), 1)), phi]), (ANGLE, field)


def plate(table: Table, geometry: Plate | None = None, angle: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None) -> Model:
    """Plate in plane stress: row i of y is row i of the table; see :data:`PLATE` for quantities, columns and settings.

    ``geometry`` replaces the plate of the settings; ``angle(x, y)`` in degrees makes the orientation known (a tow-steered design).
    """
    own = geometry is not None or table.settings["mesh"]
    geometry = plate_geometry(table.settings) if geometry is None else geometry
    check_size(table, geometry)
    if own:  # what is said and recorded of the plate is then the mesh's
        table = replace(table, settings={**table.settings, **size_of(geometry)})
    s = table.settings
    phi, angles = _orientation(geometry, s)
    known = np.zeros(len(phi))
    if angle is not None:
        xy = geometry.quadrature_points.reshape(-1, 2)
        phi, angles, known = np.zeros((len(xy), 0)), (), np.radians(2.0 * angle(xy[:, 0], xy[:, 1]))
    macro = plate_kernel(table, geometry, phi, known)
    micro = law_of(s)
    parameters = ParameterSet((*micro.parameters, *angles))
    turned = {p.name: 25.0 if p.size is None else np.full(p.length, 25.0) for p in angles if not isinstance(p, Field)}
    kernel = couple(micro.kernel, macro, range(8), range(8, parameters.size), [], parameters.vector(turned))
    about = {k: s[k] for k in ("packing", "cell", "refine")} | {"nodes": len(geometry.nodes), "unknowns": int(macro.data[5].size)}
    about |= {k: s[k] for k in ("length", "width", "thickness", "load", "orientation")}
    return Model(
        **settled(parameters, micro, s, table),
        kernel=kernel,
        observables=by_quantity(table, {"x": "mm", "y": "mm"}),
        table=table,
        about=about,
        scene={"plate": geometry, "settings": s},
        panels=_panels(table, angles),
        nuisances=rigid_motion(table, geometry),
    )


def _panels(table: Table, angles: tuple[Parameter, ...]) -> tuple[str, ...]:
    """Panels of a plate's figure: maps if the angle is a field, residuals over the plate if there are many points."""
    field = any(isinstance(p, Field) for p in angles)
    data = ("against", "residual_map") if len(table) > 12 else ("ratios", "scores")
    return ("orientation_map" if field else "angles", *data, "section", "orientation_sd" if field else "body")


@prediction(
    Setting("nx", default=41, kind="integer", lower=2, upper=2001, description="points along x"),
    Setting("ny", default=21, kind="integer", lower=2, upper=2001, description="points along y"),
    *PLATE.pick(*(s.name for s in PLATE.settings if s.name != "rigid_motion")),
    small={"refine": 1, "cell": "full", "elements_x": 4, "elements_y": 2, "nx": 3, "ny": 3},
)
def plate_fields(nx: int, ny: int, angle: Callable[..., Any] | None = None, **settings: Any) -> Model:
    """Prediction model: displacements and strains on a grid over a plate, and the force under grips.

    ``angle(x, y)`` in degrees makes the orientation known.
    """
    geometry: Any = None
    grid = np.zeros((0, 2))

    def rows(s: dict[str, Any]) -> tuple[list[str], dict[str, np.ndarray]]:
        nonlocal geometry, grid
        geometry = plate_geometry(s)
        (x0, y0), (x1, y1) = geometry.box
        axes = np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        grid = grid[~geometry.outside(grid)]
        names = [str(q) for q in np.repeat(LOCAL, len(grid))]
        names += ["force"] if s["load"] == "grips" else []
        return names, {"x": np.tile(grid[:, 0], 5), "y": np.tile(grid[:, 1], 5)}

    table = PLATE.blank(settings, rows)
    s = table.settings
    model = plate(table, geometry, angle)
    n = len(grid)
    coords = {"x": (grid[:, 0], "mm"), "y": (grid[:, 1], "mm")}
    observables = [Observable(name, SCALE[name][0], np.arange(i * n, (i + 1) * n), "point", coords) for i, name in enumerate(LOCAL)]
    if s["load"] == "grips":
        observables.append(Observable("force", "N", np.array([5 * n]), "grip"))
    return model.as_prediction(*observables)


@prediction(*PLATE.pick("length", "width", "thickness"), *CELL, width=12.5, small={"refine": 1, "cell": "full"})
def clamped_coupon(**settings: Any) -> Model:
    """Prediction model: apparent modulus F l / (w h delta) of an off-axis coupon in rigid grips."""
    model = plate(PLATE.blank(settings, lambda _: (["apparent_modulus"], {})))
    return model.as_prediction(Observable("apparent_modulus", "GPa", np.array([0]), "coupon"))


EXPERIMENT = Experiment(
    PLATE,
    plate,
    "plate_dic",
    "displacement field and force of a plate",
    {"fields": plate_fields, "clamped_coupon": clamped_coupon},
    small={"refine": 1, "cell": "full", "elements_x": 4, "elements_y": 2},
    variants=(
        {"orientation": "zones", "zones": 2},
        {"orientation": "field", "field_x": 3, "field_y": 2},
        {"hole_radius": 5, "elements_y": 2, "length": 140},
    ),
)
