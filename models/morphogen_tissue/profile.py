"""The profile of a morphogen along a tissue: at rest, while it builds up, and as molecules counted in single cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hmminfer.errors import HmmInferError
from hmminfer.models.morphogen_tissue.tissue import GRID, POSITION, model_of, predicted
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.model import Model
from hmminfer.system.tables import Table

GRADIENT = Schema(
    experiment="gradient",
    description="Intensity of a morphogen along a tissue, at rest.",
    quantities={"intensity": ""},
    arbitrary=("intensity",),
    columns=(POSITION,),
    settings=(
        *GRID,
        Setting("from", "%", default=0.0, lower=0.0, upper=100.0, description="positions before are left out", shares=True),
        Setting("to", "%", default=100.0, lower=0.0, upper=100.0, description="positions beyond are left out", shares=True),
    ),
    example_rows=(
        {"quantity": "intensity", "position": 15, "value": 130, "sd": 7},
        {"quantity": "intensity", "position": 30, "value": 76, "sd": 5},
        {"quantity": "intensity", "position": 60, "value": 26, "sd": 2},
    ),
)
GROWTH = Schema(
    experiment="growth",
    description="Intensity of a morphogen along a tissue while it builds up, from none when the source begins.",
    quantities={"intensity": ""},
    arbitrary=("intensity",),
    columns=(POSITION, Column("time", "h", lower=0.0, description="since the source began")),
    settings=(
        *GRID,
        Setting(
            "leap",
            default="implicit",
            kind="text",
            choices=("implicit", "explicit"),
            description="stable for any step, or coarse projective integration",
        ),
        Setting("steps", default=32, kind="integer", lower=2, upper=100000, description="leaps to the last time"),
    ),
    example_rows=(
        {"quantity": "intensity", "position": 10, "time": 0.5, "value": 60, "sd": 3},
        {"quantity": "intensity", "position": 30, "time": 0.5, "value": 9, "sd": 2},
        {"quantity": "intensity", "position": 10, "time": 3, "value": 100, "sd": 4},
        {"quantity": "intensity", "position": 30, "time": 3, "value": 35, "sd": 3},
    ),
)
COUNTS = Schema(
    experiment="counts",
    description="Molecules counted in single cells of a tissue at rest, free and bound together.",
    quantities={"count": ""},
    counted=("count",),
    columns=(Column("specimen", kind="text", required=False, description="name of the tissue, a label: all tissues share one profile"), POSITION),
    settings=GRID,
    example_rows=(
        {"quantity": "count", "specimen": "A", "position": 5, "value": 71},
        {"quantity": "count", "specimen": "A", "position": 20, "value": 25},
        {"quantity": "count", "specimen": "B", "position": 20, "value": 31},
        {"quantity": "count", "specimen": "B", "position": 60, "value": 2},
    ),
)


def gradient(table: Table) -> Model:
    """Profile at rest: row i of y is row i of the (selected) table; see :data:`GRADIENT`."""
    c, s = table.columns["position"], table.settings
    keep = (c >= s["from"]) & (c <= s["to"])
    if not keep.any():
        raise HmmInferError(f"No position lies from {s['from']:g} to {s['to']:g} %: the profile is empty; widen from and to.")
    return model_of(table.take(np.flatnonzero(keep)), None)


def growth(table: Table) -> Model:
    """Profile while it builds up: row i of y is row i of the table; see :data:`GROWTH`."""
    return model_of(table, table.columns["time"])


def counts(table: Table) -> Model:
    """Counted molecules: row i of y is row i of the table; see :data:`COUNTS`."""
    sd = np.sqrt(table.value + 1.0)  # what Poisson's law says of them, for pictures and reports
    return model_of(replace(table, sd=sd), None)


@prediction(
    Setting("position", "%", tuple(np.linspace(0.0, 100.0, 51)), "numbers", lower=0.0, upper=100.0, description="of the length"),
    *GRID,
    small={"position": [5.0, 15.0, 30.0], "nodes": 9},
)
def profile(position: np.ndarray, **settings: Any) -> Model:
    """Prediction model: the profile at rest over positions."""
    return predicted(settings, position, None)


@prediction(
    Setting("position", "%", (10.0, 30.0, 60.0), "numbers", lower=0.0, upper=100.0, description="of the length"),
    Setting("time", "h", tuple(np.linspace(0.0, 4.0, 17)), "numbers", lower=0.0, description="since the source began"),
    *GROWTH.settings,
    small={"position": [5.0, 20.0], "time": [1.0, 4.0], "nodes": 7, "steps": 8},
)
def history(position: np.ndarray, time: np.ndarray, **settings: Any) -> Model:
    """Prediction model: intensities at positions over times."""
    x, when = (v.ravel() for v in np.meshgrid(position, time, indexing="ij"))
    return predicted(settings, x, when)


EXPERIMENTS = (
    Experiment(GRADIENT, gradient, "bicoid_profile", "profile of a morphogen at rest", {"profile": profile}, small={"nodes": 7}),
    Experiment(
        GROWTH,
        growth,
        "morphogen_growth",
        "profile of a morphogen building up",
        {"history": history},
        small={"nodes": 7, "steps": 12},
        variants=({"leap": "explicit"},),
    ),
    Experiment(COUNTS, counts, "morphogen_counts", "molecules counted in single cells", {"profile": profile}, small={"nodes": 7}),
)
