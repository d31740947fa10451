"""Temperatures in a plate with cylinders or layers across it, zone by zone or as a field; steady, or in time after its ends change."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import skfem

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import chain, couple, each
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import elliptic_kernel
from hmminfer.macro.orientation import MARGIN, field_basis
from hmminfer.macro.parabolic import parabolic_kernel
from hmminfer.micro.conductive_cell import conductive_cell
from hmminfer.micro.conductive_table import conductive_table
from hmminfer.micro.laminate import conductive_laminate
from hmminfer.models.heat_composite.contact import diffusivity, kapitza_length
from hmminfer.models.heat_composite.grids import as_prediction, grid
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.derived import Derived
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import MATERIAL, informed
from hmminfer.system.model import Model
from hmminfer.system.observable import by_quantity
from hmminfer.system.parameters import Field, Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal
from hmminfer.system.tables import Table

PLATE = Schema(
    experiment="plate",
    description="Temperatures in a plate of matrix with cylinders across it, its left end hot and its right end cold, its sides insulated.",
    quantities={"temperature": "K", "heat_flow": "W/m"},
    columns=(
        Column("x", "mm", quantities=("temperature",), description="position along the flow"),
        Column("y", "mm", quantities=("temperature",), description="position across the flow"),
        Column("time", "s", required=False, lower=0.0, description="since the ends changed; blank when steady"),
    ),
    settings=(
        MATERIAL,
        Setting("length", "mm", default=100.0, lower=1e-3),
        Setting("width", "mm", default=20.0, lower=1e-3),
        Setting("hot", "K", default=350.0, lower=0.0, description="temperature of the left end"),
        Setting("cold", "K", default=300.0, lower=0.0, description="temperature of the right end"),
        Setting("state", default="steady", kind="text", choices=("steady", "transient"), description="transient: the ends change at time 0"),
        Setting("initial", "K", default=300.0, lower=0.0, description="temperature before", only=("state", "transient")),
        Setting("steps", default=100, kind="integer", lower=2, upper=100000, description="time steps up to the last datum"),
        Setting(
            "content", default="zones", kind="text", choices=("zones", "field"), description="volume fraction by zones, or a smooth Gaussian field"
        ),
        Setting("field_x", default=5, kind="integer", lower=1, upper=20, description="basis functions of the field along x"),
        Setting("field_y", default=5, kind="integer", lower=1, upper=20, description="basis functions along y"),
        Setting("zones_x", default=1, kind="integer", lower=1, upper=50, description="zones of volume fraction along x"),
        Setting("zones_y", default=1, kind="integer", lower=1, upper=50, description="zones along y"),
        Setting(
            "packing", default="square", kind="text", choices=("square", "hexagonal", "laminate"), description="cylinders across the plate, or layers"
        ),
        Setting("layer_angle", "deg", default=0.0, description="from the flow to the layers of packing = laminate"),
        Setting("contact", default="perfect", kind="text", choices=("perfect", "resisting"), description="between cylinder and matrix"),
        Setting(
            "inclusion_radius", "um", default=5.0, lower=1e-3, description="of the cylinders, half thickness of layers; matters where contact resists"
        ),
        Setting("cell", default="table", kind="text", choices=("table", "full"), description="micro problem: tabulated series, or solved"),
        Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
        Setting("elements_x", default=24, kind="integer", lower=1, upper=400, description="elements along x, rounded up to whole zones"),
        Setting("elements_y", default=6, kind="integer", lower=1, upper=400, description="elements along y"),
    ),
    example_rows=(
        {"quantity": "temperature", "x": 25, "y": 10, "value": 337.4, "unit": "K", "sd": 0.2},
        {"quantity": "temperature", "x": 75, "y": 10, "value": 312.6, "unit": "K", "sd": 0.2},
        {"quantity": "heat_flow", "value": 5.9, "unit": "W/m", "sd": 0.1},
    ),
)
PHASES = (
    Parameter("matrix_conductivity", "W/m/K", LogNormal(1.0, 1.6), "conductivity of the matrix", 1e-4, 1e4, "k_m"),
    Parameter("inclusion_conductivity", "W/m/K", LogNormal(5.0, 1.8), "conductivity of the inclusions", 1e-4, 1e5, "k_i"),
    Parameter("interface_conductance", "W/m^2/K", LogNormal(1e5, 2.5), "conductance of their surface", 1.0, 1e13, "h"),
    Parameter("matrix_heat_capacity", "MJ/m^3/K", LogNormal(2.0, 0.35), "heat capacity of the matrix", 1e-3, 100.0, "c_m"),
    Parameter("inclusion_heat_capacity", "MJ/m^3/K", LogNormal(2.0, 0.35), "heat capacity of the inclusions", 1e-3, 100.0, "c_i"),
)
UNSEEN = {"interface_conductance": 1e5, "matrix_heat_capacity": 1.7, "inclusion_heat_capacity": 1.7}  # in perfect contact, in the steady state


def plate(table: Table) -> Model:
    """Plate in zones: row i of y is row i of the table; see :data:`PLATE`. Lengths in mm, MJ and MW per volume: units that agree."""
    s = table.settings
    zones = (int(s["zones_x"]), int(s["zones_y"]))
    n = [zones[i] * int(np.ceil(s[k] / zones[i])) for i, k in enumerate(("elements_x", "elements_y"))]
    sides = [np.linspace(0.0, s[k], n[i] + 1) for i, k in enumerate(("length", "width"))]
    domain = Domain(skfem.MeshQuad.init_tensor(*sides))
    share = domain.quadrature_points / domain.box[1]
    cell = [np.minimum((share[..., i] * zones[i]).astype(int), zones[i] - 1) for i in range(2)]
    zone = cell[0] * zones[1] + cell[1]
    field = s["content"] == "field"
    if field:  # a cell at every quadrature point
        if zones != (1, 1):
            raise HmmInferError("A field of the volume fraction needs no zones; leave out zones_x and zones_y.")
        zone = np.arange(zone.size).reshape(zone.shape)
    left, right = domain.on_side("left"), domain.on_side("right")
    fixed, value = np.zeros(len(domain.nodes), bool), np.zeros(len(domain.nodes))
    fixed[left] = fixed[right] = True
    value[left], value[right] = s["hot"], s["cold"]
    macro = _steady(table, domain, fixed, value, zone) if s["state"] == "steady" else _transient(table, domain, fixed, value, zone)

    contact = (s["contact"] == "resisting", 1e-6 * s["inclusion_radius"])
    if s["packing"] == "laminate":
        micro = conductive_laminate(s["layer_angle"], *contact)
    else:
        make = conductive_table if s["cell"] == "table" else conductive_cell
        micro = make(str(s["packing"]), int(s["refine"]), *contact)
    count = int(zone.max()) + 1
    limit = {"square": 0.75, "hexagonal": 0.85, "laminate": 0.90}[s["packing"]]
    content = Parameter(
        "volume_fraction",
        "",
        Normal(0.4, 0.15, 0.02, limit),
        "of the inclusions" + (", zone by zone" if count > 1 else ""),
        0.001,
        0.9,
        "v",
        size=None if count == 1 or field else count,
    )
    if field:
        points, size = domain.quadrature_points.reshape(-1, 2), (int(s["field_x"]), int(s["field_y"]))
        phi, frequencies = field_basis(points, domain.box, *size)
        variation = Field(
            "content_field",
            "",
            Normal(0.0, 1.0),
            "coefficients of the variation of ln(v / (limit - v))",
            symbol="v(x)",
            size=phi.shape[1],
            frequencies=frequencies,
            amplitude=HalfNormal(0.5),
            length_scale=LogNormal(MARGIN * float(np.max(np.ptp(domain.box, axis=0))), 0.5),
        )
        parameters = ParameterSet((*PHASES, content, variation))
        example = parameters.vector({"volume_fraction": 0.3})
        facts = np.hstack([np.full((count, 1), limit), phi])
        spread = closure(graded, facts, 6, example)
        kernel = chain(spread, chain(each(micro, count), macro))
    else:
        parameters = ParameterSet((*PHASES, content))
        law_index = [i for z in range(count) for i in (0, 1, 2, 5 + z, 3, 4)]
        example = parameters.vector({"volume_fraction": 0.3 if count == 1 else np.linspace(0.2, 0.5, count)})
        kernel = couple(each(micro, count), macro, law_index, [], [], example)
    told = informed(parameters, kernel, s, table, UNSEEN)
    derived = [Derived("kapitza_length", "um", kapitza_length, "thickness of matrix that resists like the surface")] if contact[0] else []
    if s["state"] == "transient":
        derived += [Derived(f"{phase}_diffusivity", "mm^2/s", partial(diffusivity, phase), f"of the {phase}") for phase in ("matrix", "inclusion")]
    about = {k: s[k] for k in ("state", "packing", "contact", "content", "zones_x", "zones_y")}
    observables = by_quantity(table, {"x": "mm", "y": "mm", "time": "s"})
    scene = {"domain": domain, "settings": s, "limit": limit}
    panels = ("content_mean", "content_sd", "against", "scores") if field else ()
    return Model(**told.parts, kernel=kernel, observables=observables, table=table, about=about, scene=scene, panels=panels, derived=tuple(derived))


@compiled
def graded(x, facts, out):
    """x: k_m, k_i, h, c_m, c_i, v, coefficients b of the field. facts: largest v, phi of a point -> the vector of its cell.

    v(x) = limit o / (1 + o) with the odds o = v / (limit - v) exp(phi b): between 0 and the limit whatever the field.
    """
    limit = facts[0]
    odds = x[5] / (limit - x[5])
    s = 0.0 * odds
    for k in range(1, facts.size):
        s += facts[k] * x[5 + k]
    odds *= np.exp(s)
    out[0], out[1], out[2], out[3], out[4], out[5] = x[0], x[1], x[2], limit * odds / (1.0 + odds), x[3], x[4]


def _steady(table: Table, domain: Domain, fixed: np.ndarray, value: np.ndarray, zone: np.ndarray) -> Any:
    """Temperatures, and the heat flow through the left end per thickness."""
    flow = table.quantity == "heat_flow"
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)[~flow]
    order = np.argsort(np.concatenate([np.flatnonzero(~flow), np.flatnonzero(flow)]))
    hot = np.zeros(len(fixed))
    hot[domain.on_side("left")] = 1.0
    observe = domain.interpolation(points)[0]
    return elliptic_kernel(domain, fixed, value, 0.0 * value, observe, [hot] * int(flow.sum()), zone, order, stride=4)


def _transient(table: Table, domain: Domain, fixed: np.ndarray, value: np.ndarray, zone: np.ndarray) -> Any:
    """Temperatures in time."""
    s = table.settings
    if (table.quantity == "heat_flow").any():
        raise HmmInferError("Heat flow is observed in the steady state only; remove its rows or set state = steady.")
    times = table.columns["time"]
    if not np.isfinite(times).all():
        line = table.line[np.flatnonzero(~np.isfinite(times))[0]]
        raise HmmInferError(f"Line {line} has no time; with state = transient every row needs one.")
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    start = np.where(fixed, value, s["initial"])
    return parabolic_kernel(
        domain, fixed, value, np.zeros(len(fixed)), start, float(times.max()), int(s["steps"]), domain.interpolation(points)[0], times, zone=zone
    )


POINTS = (
    Setting("nx", default=41, kind="integer", lower=2, upper=2001, description="points along x"),
    Setting("ny", default=9, kind="integer", lower=2, upper=2001, description="points along y"),
)


@prediction(*POINTS, *PLATE.settings, small={"nx": 3, "ny": 2, "cell": "full", "refine": 1, "elements_x": 4, "elements_y": 2})
def temperatures(nx: int, ny: int, **settings: Any) -> Model:
    """Prediction model: steady temperatures on a grid over a plate, and the heat flow."""
    table = grid(PLATE, settings, nx, ny, ("length", "width"), ("heat_flow",))
    if table.settings["state"] != "steady":
        raise HmmInferError("Temperatures over a plate are predicted in the steady state only; set state = steady.")
    return as_prediction(plate(table), PLATE, nx * ny, {"heat_flow": "W/m"})


EXPERIMENT = Experiment(
    PLATE,
    plate,
    "heated_plate",
    "temperatures in a plate with cylinders or layers, steady or in time",
    {"temperatures": temperatures},
    small={"cell": "full", "refine": 1, "elements_x": 4, "elements_y": 2},
    variants=({"zones_x": 2, "contact": "resisting"}, {"packing": "laminate", "layer_angle": 30}),
)
