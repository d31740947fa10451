r"""Packed filter: infer grain size and porosity of a bed of grains from how fast water falls through it.

        |  |  h(t)        micro: a channel between grains       macro: the whole filter in a falling-head test
        |~~|
     ___|  |___           k = d^2 phi^3 / (180 (1 - phi)^2)     dh/dt = -(k rho g / mu) (A / a) h / L
    |oooooooooo|          (Kozeny and Carman)                    h(t) = h_0 exp(-(k rho g / mu) (A / a) t / L)
    |oooooooooo|  L
    |__________|          k permeability, d grain diameter, phi porosity; A, a cross-sections of the bed and of the standpipe

The fall tells k alone: d and phi lie on a ridge until the porosity is measured by itself (by weighing).

References: Kozeny 1927; Carman 1937, Trans. Inst. Chem. Eng. 15:150. A system of its own, outside the package: see notebook 12.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import couple
from hmminfer.engine.native import compiled
from hmminfer.system import (
    Column,
    Experiment,
    Experiments,
    LogNormal,
    Model,
    Normal,
    Observable,
    Parameter,
    ParameterSet,
    Schema,
    Setting,
    Table,
    by_quantity,
    prediction,
)

# What is hidden: name, unit, prior, a description, and the physical support outside of which a value is refused.
PARAMETERS = ParameterSet(
    (
        Parameter("grain_diameter", "um", LogNormal(200.0, 0.7), "mean diameter of the grains", 1.0, 1e4, "d"),
        Parameter("porosity", "", Normal(0.4, 0.05, lower=0.2, upper=0.6), "share of the bed that is not grain", 0.01, 0.99, "\\phi"),
    )
)
RHO_G_OVER_MU = 9.81e6  # of water at 20 degC, 1 / (m s): 1000 kg/m^3 * 9.81 m/s^2 / 1.0e-3 Pa s


# The micro law, written once. Its exact derivative comes with it: closure() calls it with complex numbers.
@compiled
def permeability(x, facts, out):
    """Vector in: d (um), phi. Vector out: k (um^2). Facts: none."""
    out[0] = x[0] ** 2 * x[1] ** 3 / (180.0 * (1.0 - x[1]) ** 2)


# The macro problem: what is observed of the whole, given the law's answer.
@compiled
def head(x, facts, out):
    """x: k (um^2). Facts of a row: time (s), h_0 (mm), bed length (mm), A / a."""
    rate = 1e-12 * x[0] * RHO_G_OVER_MU * facts[3] / (1e-3 * facts[2])
    out[0] = facts[1] * np.exp(-rate * facts[0])


# The data: quantities with units, columns, settings, and rows that show how a file looks.
FALLING_HEAD = Schema(
    experiment="falling_head",
    description="Head of water above a packed bed while it runs through; the porosity if it was weighed.",
    quantities={"head": "mm", "porosity": ""},
    positive=("head", "porosity"),
    columns=(Column("time", "s", lower=0.0, quantities=("head",), description="since the valve was opened"),),
    settings=(
        Setting("bed_length", "mm", default=100.0, lower=1.0, description="of the packed bed"),
        Setting("first_head", "mm", default=500.0, lower=1.0, description="of the water at time 0"),
        Setting("area_ratio", default=10.0, lower=1e-3, description="cross-section of the bed over that of the standpipe"),
    ),
    example_rows=(
        {"quantity": "head", "time": 10, "value": 389, "unit": "mm", "sd": 4},
        {"quantity": "head", "time": 30, "value": 236, "unit": "mm", "sd": 4},
        {"quantity": "porosity", "value": 0.41, "sd": 0.01},
    ),
)


def _kernel(times: np.ndarray, s: dict, direct: list[int]):
    """The fall at given times after the law; entries of theta that are measured by themselves come last."""
    law = closure(permeability, np.zeros((1, 0)), 1, PARAMETERS.vector({}))
    facts = np.stack([times, *(np.full(len(times), s[k]) for k in ("first_head", "bed_length", "area_ratio"))], axis=1)
    fall = closure(head, facts, 1, law(law.example))
    return couple(law, fall, range(2), [], direct, law.example)


def falling_head(table: Table) -> Model:
    """The model for a table: row i of y is row i of the table that it keeps."""
    weighed = table.quantity == "porosity"
    table = table.take(np.concatenate([np.flatnonzero(~weighed), np.flatnonzero(weighed)]))
    times = table.columns["time"][table.quantity == "head"]
    kernel = _kernel(times, table.settings, [1] * int(weighed.sum()))
    return Model(parameters=PARAMETERS, kernel=kernel, observables=by_quantity(table, {"time": "s"}), table=table)


# A prediction has settings and no data.
@prediction(
    Setting("duration", "s", default=60.0, lower=1e-3, description="of the fall"),
    Setting("points", default=31, kind="integer", lower=2, upper=10001, description="in time"),
    *FALLING_HEAD.settings,
    small={"points": 4},
)
def fall(duration: float, points: int, **settings) -> Model:
    """Prediction model: head of water over time."""
    times = np.linspace(0.0, duration, points)
    observable = Observable("head", "mm", np.arange(points), "time", {"time": (times, "s")})
    return Model(parameters=PARAMETERS, kernel=_kernel(times, settings, []), observables=(observable,))


EXPERIMENTS = Experiments(
    "packed_filter",
    Experiment(
        FALLING_HEAD, falling_head, str(Path(__file__).with_name("packed_filter.csv")), "how fast water falls through a packed bed", {"fall": fall}
    ),
)
PREDICTIONS = EXPERIMENTS.predictions
