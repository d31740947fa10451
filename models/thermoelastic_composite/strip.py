"""Strips of layers that are warmed or stretched: deflection, extension and temperature over time; two-way coupled, plane stress in the section."""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem
from scipy.sparse import csr_array

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import chain, couple
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.macro.domain import Domain
from hmminfer.macro.thermoelastic import NUMBERS, thermoelastic_kernel
from hmminfer.micro.thermoelastic_cell import ENERGY
from hmminfer.models.thermoelastic_composite.material import AXIAL, CELL, PARAMETERS, answer_of, settled
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.tables import Table

STRIP = Schema(
    experiment="strip",
    description="A strip of layers, free to bend and to stretch from its left end, that is warmed from below or pulled at its right end.",
    quantities={"deflection": "mm", "extension": "mm", "temperature_change": "K"},
    columns=(
        Column("x", "mm", description="from the left end"),
        Column("y", "mm", description="from the lower surface"),
        Column("time", "s", lower=0.0, description="since the load began"),
    ),
    settings=(
        Setting("layup", default="0/90", kind="text", description="layers from below: 0 (fibres along the strip) or 90 (across it)"),
        Setting("length", "mm", default=60.0, lower=0.1),
        Setting("layer_thickness", "mm", default=1.0, lower=1e-3),
        Setting(
            "load",
            default="heat",
            kind="text",
            choices=("heat", "stretch"),
            description="lower surface at a temperature, or a stress on the right end",
        ),
        Setting("temperature_rise", "K", default=50.0, description="of the lower surface", only=("load", "heat")),
        Setting("stress", "MPa", default=100.0, description="on the right end of the then insulated strip", only=("load", "stretch")),
        Setting("ramp", "s", default=2.0, lower=0.0, description="time in which the load rises; 0: at once"),
        Setting("steps", default=40, kind="integer", lower=2, upper=100000, description="time steps up to the last datum"),
        Setting("elements_x", default=10, kind="integer", lower=1, upper=400, description="elements along the strip"),
        Setting("elements_layer", default=1, kind="integer", lower=1, upper=50, description="elements through a layer"),
        *CELL,
    ),
    example_rows=(
        {"quantity": "deflection", "x": 60, "y": 0, "time": 60, "value": -1.18, "unit": "mm", "sd": 0.02},
        {"quantity": "temperature_change", "x": 30, "y": 2, "time": 10, "value": 40.1, "unit": "K", "sd": 0.3},
        {"quantity": "temperature_change", "x": 30, "y": 2, "time": 60, "value": 50.1, "unit": "K", "sd": 0.3},
    ),
)
COMPONENT = {"extension": 0, "deflection": 1, "temperature_change": 2}


@compiled
def section(x, facts, out):
    """Plane stress in the section (strip, thickness) of a layer: Q, beta, c, K from the law's answer, v, k_1f, k_m. facts: 0 or 90, T0."""
    along = facts[0] == 0.0
    a, b, o, shear = (0, 2, 1, 4) if along else (1, 2, 0, 3)  # strip, thickness, free of stress; all in the fibre's axes
    rigid = x[6 * o + o]
    out[0] = x[6 * a + a] - x[6 * a + o] ** 2 / rigid
    out[1] = x[6 * b + b] - x[6 * b + o] ** 2 / rigid
    out[2] = x[6 * a + b] - x[6 * a + o] * x[6 * b + o] / rigid
    out[3] = x[6 * shear + shear]
    out[4] = out[5] = out[8] = out[12] = 0.0
    out[6] = x[36 + a] - x[6 * a + o] / rigid * x[36 + o]
    out[7] = x[36 + b] - x[6 * b + o] / rigid * x[36 + o]
    out[9] = x[42] + facts[1] * ENERGY * x[36 + o] ** 2 / rigid
    out[10] = x[47] * x[48] + (1.0 - x[47]) * x[49] if along else x[43]
    out[11] = x[44]


def _layers(s: Any) -> np.ndarray:
    """Angles of the layers, from below."""
    try:
        angles = np.array([float(a) for a in str(s["layup"]).split("/")])
    except ValueError:
        angles = np.array([np.nan])
    if not np.all(np.isin(angles, (0.0, 90.0))):
        raise HmmInferError(f"layup is {s['layup']!r}; write layers of 0 and 90 from below, like 0/90/0.")
    return angles


def strip(table: Table) -> Model:
    """A strip of layers: row i of y is row i of the table; see :data:`STRIP`. Its left end slides: it is half of one twice as long."""
    s = table.settings
    angles = _layers(s)
    height, per = len(angles) * s["layer_thickness"], int(s["elements_layer"])
    sides = np.linspace(0.0, s["length"], int(s["elements_x"]) + 1), np.linspace(0.0, height, len(angles) * per + 1)
    domain = Domain(skfem.MeshQuad.init_tensor(*sides))
    middle = domain.quadrature_points[..., 1].mean(axis=1)
    zone = np.minimum((middle / s["layer_thickness"]).astype(int), len(angles) - 1)
    n = len(domain.nodes)
    fixed, rise, load = np.zeros((n, 3), bool), np.zeros((n, 3)), np.zeros((1, n, 3))
    left, below = domain.on_side("left"), domain.on_side("bottom")
    fixed[left, 0] = True
    fixed[np.intersect1d(left, below), 1] = True
    if s["load"] == "heat":
        fixed[below, 2] = True
        rise[below, 2] = s["temperature_rise"]
    else:
        load[0, :, 0] = 1e-3 * s["stress"] * domain.edge_load("right")

    def ramp(t: np.ndarray) -> np.ndarray:
        return np.minimum(t / s["ramp"], 1.0) if s["ramp"] > 0.0 else np.ones_like(t)

    value = domain.interpolation(np.stack([table.columns["x"], table.columns["y"]], axis=1))[0]
    column = 3 * value.indices + np.repeat([COMPONENT[q] for q in table.quantity], np.diff(value.indptr))
    observe = csr_array((value.data, column, value.indptr), shape=(len(table), 3 * n))
    times = table.columns["time"]
    macro = thermoelastic_kernel(
        domain,
        fixed,
        lambda t: ramp(t)[:, None, None] * rise,
        load,
        lambda t: ramp(t)[:, None],
        float(times.max()),
        int(s["steps"]),
        observe,
        times,
        zone,
        float(s["reference"]),
        float(s["ramp"]),
    )
    micro, example = answer_of(s)
    facts = np.stack([angles, np.full(len(angles), s["reference"])], axis=1)
    plane = closure(section, facts, NUMBERS, example)
    kernel = couple(micro, chain(plane, macro), range(len(PARAMETERS)), AXIAL, [], micro.example)
    about = {k: s[k] for k in ("layup", "load", "packing", "cell", "refine")}
    return Model(
        **settled(kernel, micro, s, table),
        kernel=kernel,
        observables=by_quantity(table, {"x": "mm", "y": "mm", "time": "s"}),
        table=table,
        about=about,
        scene={"domain": domain, "settings": s},
        panels=("in_time", "against" if len(table) > 12 else "ratios", "scores"),
    )


@prediction(
    Setting("points", default=31, kind="integer", lower=2, upper=10001, description="in time, the beginning included"),
    Setting("duration", "s", default=60.0, lower=1e-9, description="since the load began"),
    Setting("steps", default=0, kind="integer", lower=0, upper=100000, description="time steps; 0: two for each point, 40 at least"),
    *STRIP.settings,
    small={"points": 3, "cell": "full", "refine": 1, "elements_x": 2, "steps": 8, "ramp": 10, "layer_thickness": 10},
)
def strip_history(points: int, duration: float, steps: int, **settings: Any) -> Model:
    """Prediction model: tip deflection and extension, and temperature of both surfaces half-way, over time."""
    where = {"deflection": (1.0, 0.0), "extension": (1.0, 0.5), "temperature_below": (0.5, 0.0), "temperature_above": (0.5, 1.0)}
    times = np.linspace(0.0, duration, points)[1:]

    def rows(s: dict[str, Any]) -> tuple[list[str], dict[str, np.ndarray]]:
        height = len(_layers(s)) * s["layer_thickness"]
        quantity = [name if name in COMPONENT else "temperature_change" for name in where for _ in times]
        x, y = (np.repeat([w[i] for w in where.values()], len(times)) for i in range(2))
        return quantity, {"x": x * s["length"], "y": y * height, "time": np.tile(times, len(where))}

    model = strip(STRIP.blank({"steps": steps or max(40, 2 * points), **settings}, rows))
    coords = {"time": (times, "s")}
    observables = (
        Observable(name, STRIP.quantities.get(name, "K"), np.arange(i * len(times), (i + 1) * len(times)), "time", coords)
        for i, name in enumerate(where)
    )
    return model.as_prediction(*observables)


EXPERIMENT = Experiment(
    STRIP,
    strip,
    "heated_strip",
    "layers that bend when warmed and cool when stretched",
    {"strip_history": strip_history},
    small={"cell": "full", "refine": 1, "elements_x": 2, "steps": 12, "ramp": 10, "layer_thickness": 10},
    variants=({"load": "stretch", "layup": "0/90"},),
)
