"""Confined compression: displacement or compression of a tissue over time, after a load (creep), a strain (relaxation) or a new bath."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.macro.confined import BY_LOAD, BY_STRAIN, COMPRESSION, DISPLACEMENT, confined_kernel, graded
from hmminfer.macro.swelling import TISSUE
from hmminfer.micro.poisson_boltzmann import thermal
from hmminfer.models.swelling_gel.charges import (
    CHAINS,
    CHARGE,
    COMMON,
    IDEAL,
    NETWORKS,
    PURE_WATER,
    UNSEEN,
    WATER,
    charge_range,
    coupled_kernel,
    distinct_baths,
    example_of,
    law_of,
)
from hmminfer.system.accuracy import Accuracy, doubling
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.derived import Derived
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Normal
from hmminfer.system.tables import Table

TESTS = ("creep", "relaxation", "bath")
CONFINED = Schema(
    experiment="confined",
    description="Confined compression of a charged tissue: a load (creep), a strain (stress relaxation) or a new bath, seen in time.",
    quantities={"displacement": "um", "compression": "kPa"},
    columns=(Column("time", "s", lower=0.0, description="since the load, strain or bath changed"),),
    settings=(
        *COMMON,
        Setting("test", default="creep", kind="text", choices=TESTS, description="what changes at time 0"),
        Setting("thickness", "mm", default=1.0, lower=1e-3, description="in equilibrium with the first bath under the tare"),
        Setting("bath", "mmol/L", default=150.0, lower=1e-3, upper=5000.0, description="monovalent salt of the first bath", remedy=PURE_WATER),
        Setting(
            "bath_after", "mmol/L", default=15.0, lower=1e-3, upper=5000.0, description="salt after time 0", only=("test", "bath"), remedy=PURE_WATER
        ),
        Setting("tare", "kPa", default=5.0, lower=0.0, description="compression before"),
        Setting("load", "kPa", default=50.0, lower=0.0, description="compression beyond the tare", only=("test", "creep")),
        Setting("strain", "%", default=10.0, lower=0.0, upper=60.0, description="of the thickness", only=("test", "relaxation"), shares=True),
        Setting("ramp", "s", default=0.0, lower=0.0, description="time in which load or strain is applied"),
        Setting("steps", default=60, kind="integer", lower=6, upper=5000, description="time steps up to the last datum, short ones first"),
        Setting("elements", default=12, kind="integer", lower=2, upper=200, description="through the thickness"),
        Setting("accuracy", default=0.005, lower=1e-6, description="largest error of steps and elements, over the largest value of a quantity"),
    ),
    example_rows=(
        {"quantity": "displacement", "time": 100, "value": 20.5, "unit": "um", "sd": 1},
        {"quantity": "displacement", "time": 1000, "value": 54.0, "unit": "um", "sd": 1},
        {"quantity": "displacement", "time": 10000, "value": 71.0, "unit": "um", "sd": 1},
    ),
)
PERMEABILITY = (
    Parameter(
        "permeability", "um^4/uN/s", LogNormal(1000.0, 1.5), "hydraulic, in the reference state (1 um^4/uN/s = 1e-18 m^4/N/s)", 1e-6, 1e9, "k_0"
    ),
    Parameter("permeability_exponent", "", Normal(2.0, 2.0, 0.0, 20.0), "M of Holmes and Mow: how it falls when pressed", 0.0, 50.0, "M"),
)


def _consolidation(values: Mapping[str, Any]) -> Any:
    """H k_0 (MPa um^4/uN/s are um^2/s): water leaves a layer of thickness L in about L^2 over it."""
    return np.asarray(values["network_modulus"]) * np.asarray(values["permeability"])


def _edges(end: float, ramp: float, steps: int) -> np.ndarray:
    """Times of the steps: a third of them while the load rises, then ever longer ones."""
    rising = 0 if ramp == 0.0 else max(2, steps // 3)
    rest = steps - rising
    later = ramp + (end if not rising else max(end - ramp, ramp)) * graded(rest, 1000.0 ** (1.0 / rest))
    return np.concatenate([np.linspace(0.0, ramp, rising + 1)[:-1], later]) if rising else later


def _halved(edges: np.ndarray) -> np.ndarray:
    """The same edges with each step cut in two."""
    return np.insert(edges, np.arange(1, edges.size), 0.5 * (edges[1:] + edges[:-1]))


def _accuracy(table: Table, changes: Mapping[str, float]) -> Accuracy:
    """Accuracy with other steps or elements."""
    accuracy = confined(replace(table, settings={**table.settings, **changes})).accuracy
    assert accuracy is not None
    return accuracy


def confined(table: Table) -> Model:
    """Confined compression: row i of y is row i of the table; see :data:`CONFINED`."""
    s = table.settings
    end, ramp, test, steps = float(table.columns["time"].max()), float(s["ramp"]), str(s["test"]), int(s["steps"])
    if test == "bath" and ramp > 0.0:
        raise HmmInferError("A bath is changed at once; leave out the setting 'ramp'.")
    if test == "relaxation" and ramp == 0.0:
        raise HmmInferError("A strain applied at once has no finite stress; give the setting 'ramp'.")
    tare, edges = 1e-3 * s["tare"], _edges(end, ramp, steps)
    baths, which = distinct_baths([s["bath"], s["bath_after"] if test == "bath" else s["bath"]])
    law, micro = law_of(s, baths, "tissue")
    parameters = ParameterSet((*micro, CHARGE, WATER, *NETWORKS["tissue"], CHAINS, *PERMEABILITY))

    def target(t: np.ndarray, _: np.ndarray) -> np.ndarray:
        share = np.minimum(t / ramp, 1.0) if ramp > 0.0 else np.ones_like(t)
        if test == "relaxation":
            return 0.01 * s["strain"] * share
        return tare + (1e-3 * s["load"] * share if test == "creep" else 0.0 * share)

    what = np.where(table.quantity == "displacement", DISPLACEMENT, COMPRESSION)
    example, theta = example_of(law, parameters)

    def macro(edges: np.ndarray, side: np.ndarray) -> Kernel:
        control = np.full(len(edges) - 1, BY_STRAIN if test == "relaxation" else BY_LOAD)
        return confined_kernel(
            charge_range(s, "tissue"),
            thermal(float(s["temperature"])),
            float(s["thickness"]),
            tare,
            int(which[0]),
            edges,
            np.full(control.size, which[1]),
            control,
            target,
            what,
            table.columns["time"],
            side,
            TISSUE,
            example,
            scale=1e3,
        )

    side = 1.0 - graded(int(s["elements"]), 1.12)[::-1]
    kernel = coupled_kernel(law, macro(edges, side), theta)
    finer = coupled_kernel(law, macro(_halved(edges), _halved(side)), theta)
    accuracy = Accuracy(kernel, finer, s["accuracy"], 0.0, doubling(CONFINED.settings, s, "steps", "elements"), partial(_accuracy, table))
    change = {"creep": "a smaller load or a longer ramp", "relaxation": "a smaller strain or a longer ramp", "bath": "baths nearer to each other"}
    about = {k: s[k] for k in ("micro", "test", "thickness", "bath", "steps", "elements")}
    told = informed(parameters, kernel, s, table, UNSEEN, IDEAL)
    return Model(
        **told.parts,
        kernel=kernel,
        observables=by_quantity(table, {"time": "s"}),
        derived=(Derived("consolidation_coefficient", "um^2/s", _consolidation, "H k_0, of the network without its charges"),),
        table=table,
        about=about,
        scene={"settings": s},
        panels=("over_time", "against", "scores"),
        accuracy=accuracy,
        advice=change[test],
    )


@prediction(
    Setting("points", default=41, kind="integer", lower=2, upper=10000, description="times, equally far apart in ln t"),
    Setting("start", "s", default=0.0, lower=0.0, description="the first time; 0: a hundredth of the last"),
    Setting("end", "s", default=10000.0, lower=1e-3, description="the last time"),
    *CONFINED.settings,
    small={
        "points": 2,
        "end": 20000,
        "micro": "donnan",
        "micro_nodes": 8,
        "steps": 9,
        "elements": 2,
        "tare": 40,
        "test": "relaxation",
        "ramp": 200,
        "strain": 2,
    },
)
def course(points: int, start: float, end: float, **settings: Any) -> Model:
    """Prediction model: displacement and compression of the top over time."""
    if not start < end:
        raise HmmInferError(f"The course goes from {start:g} to {end:g} s; give start < end.")
    time = np.geomspace(start or 1e-2 * end, end, points)

    def rows(_: dict[str, Any]) -> tuple[list[str], dict[str, np.ndarray]]:
        return ["displacement"] * points + ["compression"] * points, {"time": np.tile(time, 2)}

    model = confined(CONFINED.blank(settings, rows))
    observables = (
        Observable(name, unit, np.arange(i * points, (i + 1) * points), "time", {"time": (time, "s")})
        for i, (name, unit) in enumerate(CONFINED.quantities.items())
    )
    return model.as_prediction(*observables)


EXPERIMENT = Experiment(
    CONFINED,
    confined,
    "confined_creep",
    "creep, relaxation and swelling in confined compression",
    {"course": course},
    small={"micro_nodes": 8, "micro_elements": 4, "steps": 8, "elements": 2, "tare": 40},
    variants=({"micro": "donnan", "test": "bath"},),
)
