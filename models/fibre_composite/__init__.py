r"""Unidirectional fibre composite: infer fibre orientation, content and phase moduli from how coupons and plates deform.

        y                      micro: periodic cell          macro: coupon or plate
        |   / / / / /             ___________                 ________________
        |  / / / / /  theta      |   .-"-.   |              |=|  / / / / / /  |=>
        +-----------> x          |  ( fib )  |              |=|_/_/_/_/_/_/_ _|=>
                                 |___`-.-'___|

The law is the periodic cross-section cell in generalised plane strain (:mod:`hmminfer.micro.elastic_cell`): phases and volume fraction in,
6x6 stiffness out. The angle enters only by rotation, so one cell solve serves a whole plate.

    long coupons      1 / E_x = S11(theta), ...                      exact, grips do not matter
    plate             div sigma = 0, plane stress, quadratic elements; gripped or loaded by a stress
    clamped coupon    the plate with rigid grips, seen through its apparent modulus F l / (w h delta)

References: Hashin 1979 (composite cylinders), Sun & Vaidya 1996 (periodic cells), Tsai & Pagano 1968 (rotation), Lekhnitskii 1968 (open
hole), Pagano & Halpin 1968 (clamped coupons). Data: Raghavan & Meshii; Soden, Hinton & Kaddour 1998.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hmminfer.coupling import couple
from hmminfer.data import Column, Schema, Setting, Table
from hmminfer.errors import HmmInferError, unknown
from hmminfer.experiment import Experiment, prediction
from hmminfer.law import LinearLaw
from hmminfer.macro.coupons import KINDS, long_coupons
from hmminfer.macro.orientation import MARGIN, field_basis, zone_basis
from hmminfer.macro.plate_experiment import LOCAL, PLATE, SCALE, plate_geometry, plate_kernel
from hmminfer.macro.plate_mesh import Plate
from hmminfer.micro.elastic_cell import elastic_cell
from hmminfer.micro.phases import phases_of
from hmminfer.micro.reduced_cell import reduced_cell
from hmminfer.model import Model, Observable, by_quantity
from hmminfer.parameters import Axial, Field, HalfNormal, LogNormal, Normal, Parameter, ParameterSet

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


CELL = (  # of every prediction, by the names of the options of the experiments
    Setting("packing", default="hexagonal", kind="text", choices=("hexagonal", "square"), description="of the fibres"),
    Setting("cell", default="reduced", kind="text", choices=("reduced", "full"), description="micro problem: reduced basis, or solved"),
    Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
)

# ---------------------------------------------------------------------------------------------------------------- long coupons

COUPONS = Schema(
    experiment="coupons",
    description="Elastic constants of long coupons: tension at an angle to the fibre, shear, Poisson ratio, shear coupling, neat matrix.",
    quantities={"youngs_modulus": "GPa", "shear_modulus": "GPa", "poisson_ratio": "", "shear_coupling": "", "matrix_modulus": "GPa"},
    positive=("youngs_modulus", "shear_modulus", "matrix_modulus"),
    columns=(
        Column("specimen", kind="text", description="name of the coupon; rows of one coupon share its angle"),
        Column(
            "angle",
            "deg",
            lower=-180.0,
            upper=180.0,
            quantities=("youngs_modulus", "shear_coupling"),
            description="nominal angle from the load to the fibre",
        ),
        Column("temperature", "K", required=False, lower=0.0, description="temperature of the test"),
    ),
    settings=(
        Setting("hidden", default="off-axis", kind="text", description="coupons of unknown angle: off-axis, none, or names with commas"),
        Setting("temperature", "K", default=0.0, lower=0.0, description="which temperature to fit; 0 takes the first in the file"),
        Setting("specimen", default="all", kind="text", description="fit the rows of one specimen only, or all"),
    ),
    example_rows=(
        {"quantity": "youngs_modulus", "specimen": "A", "angle": 0, "value": 140, "unit": "GPa", "sd": 4},
        {"quantity": "youngs_modulus", "specimen": "B", "angle": 10, "value": 78, "unit": "GPa", "sd": 2.4},
        {"quantity": "youngs_modulus", "specimen": "C", "angle": 90, "value": 9.5, "unit": "GPa", "sd": 0.3},
        {"quantity": "shear_modulus", "specimen": "D", "value": 5.2, "unit": "GPa", "sd": 0.2},
        {"quantity": "matrix_modulus", "specimen": "resin", "value": 3.6, "unit": "GPa", "sd": 0.1},
    ),
)


def coupons(table: Table, packing: str = "hexagonal", cell: str = "reduced", refine: int = 4) -> Model:
    """Long coupons: row i of y is row i of the (selected) table; see :data:`COUPONS` for the columns.

    Coupons named in the setting ``hidden`` have an unknown angle; by default all whose nominal angle is neither 0 nor 90 degrees.
    """
    table = _selected(table)
    specimen, nominal = table.columns["specimen"].astype(str), table.columns["angle"]
    turned = np.isin(table.quantity, ("youngs_modulus", "shear_coupling", "poisson_ratio")) & np.isfinite(nominal)
    names = list(dict.fromkeys(specimen[turned & (np.abs(np.abs(nominal) - 45.0) < 44.99)]))
    asked = str(table.settings.get("hidden", "off-axis"))
    if asked != "off-axis":
        chosen = [] if asked == "none" else [s.strip() for s in asked.split(",")]
        for name in chosen:
            if name not in specimen:
                raise unknown("specimen", name, dict.fromkeys(specimen))
        names = chosen
    angles = [
        ANGLE if len(names) == 1 else Parameter(f"fibre_angle_{n}", "deg", Axial(), f"fibre angle of {n}", -180, 180, "\\theta", True) for n in names
    ]

    direct = table.quantity == "matrix_modulus"
    kind = np.array([KINDS.get(q, 0) for q in table.quantity[~direct]])
    angle_of = np.array([names.index(s) if s in names and t else -1 for s, t in zip(specimen[~direct], turned[~direct], strict=True)], int)
    known = np.radians(2.0 * np.where(np.isfinite(nominal), nominal, 0.0))[~direct]
    micro = law(packing, cell, refine)
    parameters = ParameterSet((*micro.parameters, *angles))
    kernel = couple(
        micro.kernel,
        long_coupons(kind, angle_of, known),
        law_index=range(8),
        macro_index=range(8, 8 + len(angles)),
        direct_index=[5] * int(direct.sum()),
        example=parameters.vector({**FIXED, **{a.name: 10.0 for a in angles}}),
    )
    order = np.concatenate([np.flatnonzero(~direct), np.flatnonzero(direct)])
    table = table.take(order)
    about = {"packing": packing, "cell": cell, "refine": refine, "hidden_angles": ", ".join(names) or "none"}
    return Model(
        "fibre_composite",
        "coupons",
        parameters,
        kernel,
        by_quantity(table, {"angle": "deg"}),
        FIXED,
        table,
        about,
        panels=("angles", "off_axis" if "youngs_modulus" in table.quantity else "scores", "ratios", "section", "body"),
    )


def _selected(table: Table) -> Table:
    """Rows of one temperature and, if asked, one specimen; rows without a temperature belong to all."""
    keep = np.ones(len(table), bool)
    temperature = table.columns["temperature"]
    known = temperature[np.isfinite(temperature)]
    if known.size:
        wanted = float(table.settings.get("temperature", 0.0)) or float(known[0])
        if wanted not in known:
            raise HmmInferError(f"No row was measured at {wanted:g} K; the data hold {', '.join(f'{t:g}' for t in np.unique(known))} K.")
        keep &= ~np.isfinite(temperature) | (temperature == wanted)
    specimen = str(table.settings.get("specimen", "all"))
    if specimen != "all":
        if specimen not in table.columns["specimen"]:
            raise unknown("specimen", specimen, dict.fromkeys(table.columns["specimen"].astype(str)))
        keep &= table.columns["specimen"] == specimen
    return table.take(np.flatnonzero(keep))


@prediction(Setting("angles", "deg", tuple(range(91)), "numbers", lower=-180.0, upper=180.0, description="from the load to the fibre"), *CELL)
def moduli(angles: np.ndarray, packing: str, cell: str, refine: int) -> Model:
    """Prediction model: Young's modulus, shear modulus, Poisson ratio and shear coupling over load angles."""
    n = len(angles)
    micro = law(packing, cell, refine)
    parameters = ParameterSet(micro.parameters)
    macro = long_coupons(np.repeat(list(KINDS.values()), n), np.full(4 * n, -1), np.tile(np.radians(2 * angles), 4))
    kernel = couple(micro.kernel, macro, range(8), [], [], parameters.vector(FIXED))
    units = {"youngs_modulus": "GPa", "shear_modulus": "GPa"}
    observables = tuple(
        Observable(name, units.get(name, ""), np.arange(k * n, (k + 1) * n), "angle", {"angle": (angles, "deg")}) for name, k in KINDS.items()
    )
    return Model("fibre_composite", "moduli", parameters, kernel, observables, FIXED, None, {"packing": packing})


# ------------------------------------------------------------------------------------------------------------------- plates


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


def plate(
    table: Table,
    packing: str = "hexagonal",
    cell: str = "reduced",
    refine: int = 4,
    mesh: Plate | None = None,
    angle: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Model:
    """Plate in plane stress: row i of y is row i of the table; see :data:`PLATE` for quantities, columns and settings.

    ``mesh`` replaces the plate's own mesh; ``angle(x, y)`` in degrees makes the orientation known (a tow-steered design).
    """
    s = table.settings
    geometry = plate_geometry(s) if mesh is None else mesh
    phi, angles = _orientation(geometry, s)
    known = np.zeros(len(phi))
    if angle is not None:
        xy = geometry.quadrature_points.reshape(-1, 2)
        phi, angles, known = np.zeros((len(xy), 0)), (), np.radians(2.0 * angle(xy[:, 0], xy[:, 1]))
    macro = plate_kernel(table, geometry, phi, known)
    micro = law(packing, cell, refine)
    parameters = ParameterSet((*micro.parameters, *angles))
    turned = {p.name: 25.0 if p.size is None else np.full(p.length, 25.0) for p in angles if not isinstance(p, Field)}
    kernel = couple(micro.kernel, macro, range(8), range(8, parameters.size), [], parameters.vector({**FIXED, **turned}))
    about = {"packing": packing, "cell": cell, "refine": refine, "nodes": len(geometry.nodes), "unknowns": int(macro.data[5].size)}
    about |= {k: s[k] for k in ("length", "width", "thickness", "load", "orientation")}
    return Model(
        "fibre_composite",
        "plate",
        parameters,
        kernel,
        by_quantity(table, {"x": "mm", "y": "mm"}),
        FIXED,
        table,
        about,
        {"plate": geometry, "settings": s},
        _panels(table, angles),
    )


def _panels(table: Table, angles: tuple[Parameter, ...]) -> tuple[str, ...]:
    """What a plate is best seen by: maps where there is a field, residuals over the plate where there are many points."""
    field = any(isinstance(p, Field) for p in angles)
    data = ("against", "residual_map") if len(table) > 12 else ("ratios", "scores")
    return ("orientation_map" if field else "angles", *data, "section", "orientation_sd" if field else "body")


@prediction(
    Setting("nx", default=41, kind="integer", lower=2, upper=2001, description="points along x"),
    Setting("ny", default=21, kind="integer", lower=2, upper=2001, description="points along y"),
    *PLATE.settings,
    *CELL,
)
def plate_fields(nx: int, ny: int, packing: str, cell: str, refine: int, angle: Callable[..., Any] | None = None, **settings: Any) -> Model:
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
    model = plate(table, packing, cell, refine, geometry, angle)
    n = len(grid)
    coords = {"x": (grid[:, 0], "mm"), "y": (grid[:, 1], "mm")}
    observables = [Observable(name, SCALE[name][0], np.arange(i * n, (i + 1) * n), "point", coords) for i, name in enumerate(LOCAL)]
    if s["load"] == "grips":
        observables.append(Observable("force", "N", np.array([5 * n]), "grip"))
    return Model(model.name, "plate_fields", model.parameters, model.kernel, tuple(observables), FIXED, None, model.about, model.scene)


@prediction(*PLATE.pick("length", "width", "thickness"), *CELL, width=12.5)
def clamped_coupon(packing: str, cell: str, refine: int, **settings: Any) -> Model:
    """Prediction model: apparent modulus F l / (w h delta) of an off-axis coupon in rigid grips."""
    model = plate(PLATE.blank(settings, lambda _: (["apparent_modulus"], {})), packing, cell, refine)
    return Model(
        model.name,
        "clamped_coupon",
        model.parameters,
        model.kernel,
        (Observable("apparent_modulus", "GPa", np.array([0]), "coupon"),),
        FIXED,
        None,
        model.about,
        model.scene,
    )


_OF_COUPONS = {"moduli": moduli}
_OF_PLATES = {"fields": plate_fields, "clamped_coupon": clamped_coupon}
PREDICTIONS = {**_OF_COUPONS, **_OF_PLATES}
EXPERIMENTS = {
    "coupons": Experiment(COUPONS, coupons, "raghavan_meshii", "moduli of long coupons", _OF_COUPONS),
    "plate": Experiment(PLATE, plate, "plate_dic", "displacement field and force of a plate", _OF_PLATES),
}
