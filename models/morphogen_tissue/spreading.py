"""A spreading tissue: cells that move by exclusion and hold on to each other, simulated one by one; no likelihood, no gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hmminfer.engine.simulation import Simulation
from hmminfer.errors import HmmInferError
from hmminfer.micro.movement import spreading
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Uniform
from hmminfer.system.tables import Table

MOVING = ParameterSet(
    (
        Parameter("motility", "1/h", LogNormal(1.0, 0.7), "tries of a cell in each direction", 1e-6, 1e6, "m"),
        Parameter("adhesion", "", Uniform(0.0, 1.5), "energy of a contact over that of the cell's fluctuations", 0.0, 1.7, "E"),
    )
)
SPREADING = Schema(
    experiment="spreading",
    description="A tissue spreads from the first columns of a sheet.",
    simulated=True,
    quantities={"density": "", "contacts": ""},
    columns=(
        Column("position", "%", lower=0.0, upper=100.0, description="middle of a band across the sheet", quantities=("density",), shares="all"),
        Column("time", "h", lower=0.0, description="since the cells were let go"),
    ),
    settings=(
        Setting("columns", default=48, kind="integer", lower=4, upper=2000, description="sites along the sheet"),
        Setting("rows", default=48, kind="integer", lower=1, upper=2000, description="sites across it, periodic"),
        Setting("band", default=8, kind="integer", lower=1, upper=200, description="columns over which a density is taken"),
        Setting("filled", "%", default=50.0, lower=1.0, upper=99.0, description="of the columns, that hold the tissue at first"),
        Setting("share", default=1.0, lower=0.01, upper=1.0, description="of their sites that hold a cell"),
    ),
    example_rows=(
        {"quantity": "density", "position": 45, "time": 30, "value": 0.55, "sd": 0.03},
        {"quantity": "density", "position": 55, "time": 30, "value": 0.37, "sd": 0.03},
        {"quantity": "density", "position": 65, "time": 30, "value": 0.17, "sd": 0.03},
        {"quantity": "contacts", "time": 30, "value": 3.1, "sd": 0.1},
    ),
)


def _simulation(s: Mapping[str, Any], of_density: np.ndarray, position: np.ndarray, time: np.ndarray) -> Simulation:
    """Densities of bands at positions (%), and contacts elsewhere, at times (h)."""
    columns, rows, band = int(s["columns"]), int(s["rows"]), int(s["band"])
    filled = round(0.01 * s["filled"] * columns)
    if not 0 < filled < columns or band > columns:
        raise HmmInferError(
            f"{columns} columns cannot hold a tissue on {s['filled']:g} % of them and bands of {band}; give more columns, or a narrower band."
        )
    times, when = np.unique(time, return_inverse=True)
    first = np.clip(np.round(0.01 * np.where(of_density, position, 0.0) * columns - 0.5 * band).astype(int), 0, columns - band)

    def draw(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not (theta[0] > 0.0 and theta[1] >= 0.0):
            return np.full(len(time), np.nan)
        density, touching = spreading(rng, columns, rows, filled, s["share"], theta[0], theta[1], times)
        total = np.concatenate([np.zeros((len(times), 1)), np.cumsum(density, axis=1)], axis=1)
        return np.where(of_density, (total[when, first + band] - total[when, first]) / band, touching[when])

    return Simulation(draw, MOVING.vector({}), len(time))


def spread_out(table: Table) -> Model:
    """A spreading tissue: row i of y is row i of the table; see :data:`SPREADING`."""
    s, of_density = table.settings, table.quantity == "density"
    simulation = _simulation(s, of_density, table.columns["position"], table.columns["time"])
    about = {k: s[k] for k in ("columns", "rows", "band")}
    observables = by_quantity(table, {"position": "%", "time": "h"})
    panels = ("over_position", "of_movement", "scores")
    return Model(parameters=MOVING, kernel=simulation, observables=observables, table=table, about=about, scene={"settings": s}, panels=panels)


@prediction(Setting("time", "h", (0.0, 20.0, 40.0, 80.0), "numbers", lower=0.0, description="since the cells were let go"), *SPREADING.settings)
def front(time: np.ndarray, **settings: Any) -> Model:
    """Prediction model: density along a sheet of moving cells, one simulation for each draw."""
    columns, band = int(settings["columns"]), int(settings["band"])
    position = 100.0 * (np.arange(columns // band) + 0.5) * band / columns
    x, when = (v.ravel() for v in np.meshgrid(position, time, indexing="ij"))
    simulation = _simulation(settings, np.full(x.size, True), x, when)
    observable = Observable("density", "", np.arange(x.size), "row", {"position": (x, "%"), "time": (when, "h")})
    return Model(parameters=MOVING, kernel=simulation, observables=(observable,))


EXPERIMENT = Experiment(SPREADING, spread_out, "tissue_front", "cells that move and hold on to each other", {"front": front})
