r"""Stiff reacting transport: infer sorption, dispersion and slow kinetics from what leaves columns, in hours, of reactions at 1e6 to 1e9 per second.

        micro: binding at a place            macro: a column of length L, flow Q, pulse of concentration c_in

          A + S  <-->  AS                      c_in _|~~|_  -> |::::::::::::::::::::| ->  c(L, t) / c_in
          k_f  ~ ns .. us                                      0        x          L          hours

Lift: everything dissolved, sites bare. Micro problem: a burst of the fast reaction at frozen totals and the equilibrium it reaches
(:mod:`hmminfer.micro.reaction_burst`). Restrict: T(c), what a place stores when c is dissolved, asked at a few concentrations for each theta. Macro problem
(:mod:`hmminfer.macro.column`)

    d/dt [ T(c) + R_k s ] + decay c = a_L v c_xx - v c_x,    ds/dt = alpha (c - s),    v = Q / (area porosity)

    isotherm      fast reaction                  T(c) / c
    linear        A <-> B                        1 + K
    saturable     A + S <-> AS (Langmuir)        1 + K / (1 + c / c_h)

Several columns: T and R_k of column i take the factor exp(spread z_i), z_i ~ Normal(0, 1), hierarchical.

What hours say of nanoseconds: the equilibrium K only. The fast rate is a parameter all the same; its gradient is exactly zero and its
posterior is its prior, which is the test that the scales are separated. R_k and alpha appear early as their product (slow uptake), so
that R_k alpha is known best where the tail is short or scattered. Retardation and pore volume are the same to a column without a tracer.

Two sites: van Genuchten & Wagenet 1989, Soil Sci. Soc. Am. J. 53:1303. Data: Zheng et al., PFOS in colloidal activated carbon.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import beside, couple
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.figures.panels import CYCLE, band, panel
from hmminfer.macro.column import column_kernel, concentration_points, scales_of
from hmminfer.micro.reaction_burst import BINDING, EXCHANGE, storage_kernel
from hmminfer.system.accuracy import Accuracy, Knob, doubling, half, settled
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.derived import Derived, added, affine
from hmminfer.system.experiment import Experiment, Experiments, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal, Uniform
from hmminfer.system.tables import Table

LN10 = float(np.log(10.0))
GROWTH = 0.05  # of steps with the time since the pulse: five per cent of it
ISOTHERMS, DIFFER = ("linear", "saturable"), ("hierarchical", "none")

COLUMNS = Schema(
    experiment="columns",
    description="Breakthrough of a pulse through packed columns that hold nothing at first: concentration over that of the inflow.",
    quantities={"relative_concentration": ""},
    columns=(
        Column("specimen", kind="text", required=False, description="name of the column; several store unlike amounts; blank: all rows are of one"),
        Column("time", "h", lower=1e-9, description="since the inflow began"),
        Column("flow", "mL/h", lower=1e-9, description="the same in all rows of a specimen, as are pulse and inlet"),
        Column("pulse", "h", lower=1e-9, description="how long the inflow carries the solute"),
        Column("inlet", "g/m^3", lower=1e-12, description="concentration of the inflow"),
        Column("depth", "mm", required=False, lower=0.0, description="where; blank: the outlet"),
    ),
    settings=(
        Setting("length", "mm", default=70.0, lower=1e-3, description="of the packed bed"),
        Setting("area", "mm^2", default=176.6, lower=1e-6, description="of its cross-section"),
        Setting("porosity", lower=0.01, upper=1.0, description="share of the bed that water flows through"),
        Setting("isotherm", default="linear", kind="text", choices=ISOTHERMS, description="of the fast sorption"),
        Setting("differences", default="hierarchical", kind="text", choices=DIFFER, description="between several columns, of what they store"),
        Setting("points", default=12, kind="integer", lower=2, upper=16, description="concentrations at which a saturable law is asked"),
        Setting("elements", default=50, kind="integer", lower=2, upper=5000, description="along the column"),
        Setting("step", "h", default=0.0, lower=0.0, description="while the pulse lasts; 0: 1/4 of passage or pulse, or what accuracy needs"),
        Setting("accuracy", default=0.01, lower=1e-6, description="largest error of mesh and steps, over the inflow"),
    ),
    example_rows=(
        {"quantity": "relative_concentration", "specimen": "A", "time": 1, "flow": 12, "pulse": 2.7, "inlet": 0.2, "value": 0.02, "sd": 0.05},
        {"quantity": "relative_concentration", "specimen": "A", "time": 3, "flow": 12, "pulse": 2.7, "inlet": 0.2, "value": 0.80, "sd": 0.05},
        {"quantity": "relative_concentration", "specimen": "A", "time": 6, "flow": 12, "pulse": 2.7, "inlet": 0.2, "value": 0.05, "sd": 0.05},
        {"quantity": "relative_concentration", "specimen": "B", "time": 1, "flow": 24, "pulse": 1.3, "inlet": 0.2, "value": 0.80, "sd": 0.05},
        {"quantity": "relative_concentration", "specimen": "B", "time": 2, "flow": 24, "pulse": 1.3, "inlet": 0.2, "value": 0.30, "sd": 0.05},
    ),
)
DISTRIBUTION = Parameter("distribution", "", LogNormal(3.0, 2.0), "K: sorbed over dissolved at equilibrium, dilute; k_f / k_b", 1e-6, 1e6, "K")
HALF = Parameter("half_saturation", "g/m^3", LogNormal(1.0, 1.5), "concentration at which half the sites are taken", 1e-9, 1e9, "c_h")
FAST = Parameter("log10_fast_rate", "", Uniform(6.0, 9.0), "of the fast rate k_f in 1/s; unseen by data of hours", 5.0, 10.0, "\\log_{10} k_f")
SPREAD = Parameter("column_spread", "", HalfNormal(0.2), "standard deviation of ln storage between columns", 0.0, 10.0, "\\tau")
DECAY_KNOWN = {"decay_rate": 0.0}


def _slow_parameters(length: float) -> tuple[Parameter, ...]:
    return (
        Parameter("slow_capacity", "", LogNormal(2.0, 1.5), "R_k: stored in slow sites over dissolved, at equilibrium", 0.0, 1e6, "R_k"),
        Parameter("exchange_rate", "1/h", LogNormal(0.1, 2.0), "alpha: of the slow sites", 0.0, 1e6, "\\alpha"),
        Parameter("dispersivity", "mm", LogNormal(0.04 * length, 0.8), "a_L, along the flow", 1e-6 * length, 1e3 * length, "a_L"),
        Parameter("decay_rate", "1/h", LogNormal(0.01, 1.5), "of what is dissolved", 0.0, 1e6, "\\lambda"),
    )


@compiled
def exchange(x, facts, out):
    """x: K, log10 k_f -> lifted B, equilibrium, forward rate of A <-> B."""
    out[0], out[1], out[2] = 0.0 * x[0], x[0], np.exp(LN10 * x[1])


@compiled
def binding(x, facts, out):
    """x: K, c_h, log10 k_f -> lifted S (sites), lifted AS, equilibrium, forward rate of A + S <-> AS (k_f per site)."""
    out[0], out[1], out[2], out[3] = x[0] * x[1], 0.0 * x[0], 1.0 / x[1], np.exp(LN10 * x[2]) / (x[0] * x[1])


@compiled
def factor(x, facts, out):
    """x: z of a column, spread -> its factor."""
    out[0] = np.exp(x[0] * x[1])


def retardation(isotherm: str, dissolved: np.ndarray) -> tuple[Kernel, tuple[Parameter, ...]]:
    """The law T(c) / c at the ``dissolved`` concentrations, and its parameters."""
    known = np.zeros((1, 0))
    parameters = (DISTRIBUTION, FAST) if isotherm == "linear" else (DISTRIBUTION, HALF, FAST)
    at = ParameterSet(parameters).vector({})
    if isotherm == "linear":
        lift, law = closure(exchange, known, 3, at), storage_kernel(EXCHANGE, dissolved, [0.0, 5.0, 1e8])
    else:
        lift, law = closure(binding, known, 4, at), storage_kernel(BINDING, dissolved, [5.0, 0.0, 1.0, 1e8])
    return couple(lift, law, range(len(at)), [], [], at), parameters


def points_of(s: Any, refine: int = 1) -> int:
    """Number of concentrations at which the law is asked."""
    return 1 if s["isotherm"] == "linear" else refine * int(s["points"])


def _pace(c: Any, s: Any) -> tuple[np.ndarray, np.ndarray]:
    """Velocity of the water (mm/h) and the default step (h) in each column."""
    velocity = 1000.0 * c["flow"] / (s["area"] * s["porosity"])
    return velocity, np.minimum(s["length"] / velocity, c["pulse"]) / 4.0


def _columns_kernel(c: Any, s: Any, column: Any, time: Any, place: Any, several: bool, refine: int = 1) -> Any:
    """Kernel and parameters of columns with flow, pulse and inlet ``c``, seen at rows (column, time, place)."""
    length = s["length"]
    velocity, auto = _pace(c, s)
    if s["step"] > 2.0 * auto.min() * (1.0 + 1e-9):
        raise HmmInferError(
            f"The step {s['step']:g} h is too large: water crosses a column in {np.min(length / velocity):.3g} h and the shortest pulse lasts "
            f"{c['pulse'].min():.3g} h; give at most {2.0 * auto.min():.3g} h, or 0 for half of that."
        )
    step = (np.full(auto.shape, s["step"]) if s["step"] else auto) / refine
    points = points_of(s, refine)
    law, parameters = retardation(s["isotherm"], concentration_points(*scales_of(c["inlet"]), points))
    slow = _slow_parameters(length)
    least = slow[2].prior._frozen().ppf(0.05)
    if length / s["elements"] > 2.0 * least:
        raise HmmInferError(
            f"{s['elements']} elements of {length / s['elements']:.3g} mm cannot resolve a dispersivity of {least:.3g} mm, the 5 % quantile of its "
            f"prior: an element must be shorter than two dispersivities; give at least {int(np.ceil(length / (2.0 * least)))}."
        )
    growth = GROWTH * min(1.0, s["step"] / auto.min() if s["step"] else 1.0) / refine  # all steps are as much smaller as the first
    grid = (step, growth, place, points, refine * int(s["elements"]), several)
    macro = column_kernel(np.full(auto.shape, length), velocity, c["inlet"], c["pulse"], column, time, *grid)
    n, p = len(auto), len(parameters)
    parameters += slow
    if several:
        deviation = Parameter("column_deviation", "", Normal(0.0, 1.0), "z of each column, in order of appearance", -20.0, 20.0, "z", size=n)
        parameters += (SPREAD, deviation)
        factors = closure(factor, np.zeros((n, 0)), 1, np.append(np.linspace(-1.0, 1.0, n), 0.1), own=1)
        index = [*range(p + 5, p + 5 + n), p + 4]
        example = ParameterSet(parameters).vector({})
        law = beside(law, factors, range(p), index, example)
        return couple(law, macro, range(len(example)), range(p, p + 4), [], example), ParameterSet(parameters)
    example = ParameterSet(parameters).vector({})
    return couple(law, macro, range(p), range(p, p + 4), [], example), ParameterSet(parameters)


def _accuracy(c: Any, s: Any, column: Any, time: Any, place: Any, several: bool, changes: Any = None) -> Accuracy:
    """Accuracy of :func:`_columns_kernel` with some settings changed: beside a solve twice finer in mesh, steps and points of the law."""
    s = {**s, **(changes or {})}
    coarse, finer = (_columns_kernel(c, s, column, time, place, several, refine)[0] for refine in (1, 2))
    counts = ["elements"] if s["isotherm"] == "linear" else ["elements", "points"]
    knobs = {"step": Knob(s["step"] or _pace(c, s)[1].min(), half, "h"), **doubling(COLUMNS.settings, s, *counts)}
    return Accuracy(coarse, finer, s["accuracy"], 1.0, knobs, partial(_accuracy, c, s, column, time, place, several))


def _with_accuracy(c: Any, s: Any, *where: Any) -> tuple[Any, ParameterSet, Accuracy, dict[str, str]]:
    """Kernel and parameters of :func:`_columns_kernel`, its accuracy at the prior medians, and the step if 0 was too coarse there."""
    _, parameters = _columns_kernel(c, s, *where)
    accuracy = _accuracy(c, s, *where)
    accuracy, chosen = (accuracy, {}) if s["step"] else settled(accuracy, parameters.vector(DECAY_KNOWN), "step")
    return accuracy.coarse, parameters, accuracy, chosen


def columns(table: Table) -> Model:
    """Columns: row i of y is row i of the table; see :data:`COLUMNS`."""
    s, c = table.settings, table.columns
    negative = np.flatnonzero(table.value < 0.0)
    if negative.size:
        raise HmmInferError(
            f"Line {table.line[negative[0]]}: relative_concentration is {table.value[negative[0]]:g}; a concentration is not negative. "
            "Correct it, or leave the value empty where nothing was found."
        )
    names = list(dict.fromkeys(c["specimen"].tolist()))
    column = np.array([names.index(v) for v in c["specimen"]])
    facts = {}
    for what in ("flow", "pulse", "inlet"):
        first = np.array([c[what][column == m][0] for m in range(len(names))])
        other = np.flatnonzero(np.abs(c[what] - first[column]) > 1e-9 * first[column])
        if other.size:
            raise HmmInferError(
                f"Line {table.line[other[0]]}: {what} is {c[what][other[0]]:g}, but {first[column[other[0]]]:g} in the first row of specimen "
                f"'{names[column[other[0]]]}'; give each specimen one {what}, or other names to others."
            )
        facts[what] = first
    depth = np.where(np.isfinite(c["depth"]), c["depth"], s["length"])
    if np.any(depth > s["length"]):
        raise HmmInferError(f"A depth of {depth.max():g} mm lies outside the column of {s['length']:g} mm; correct it.")
    several = len(names) > 1 and s["differences"] == "hierarchical"
    kernel, parameters, accuracy, chosen = _with_accuracy(facts, s, column, c["time"], depth / s["length"], several)
    observables = by_quantity(table, {"time": "h", "flow": "mL/h"})
    about = {k: s[k] for k in ("isotherm", "length", "area", "porosity", "elements")}
    about |= {"specimens": ", ".join(names), **chosen}
    scene = {"settings": s, "facts": facts, "names": names, "column": column, "several": several}
    velocity, labels = 1000.0 * facts["flow"] / (s["area"] * s["porosity"]), tuple(n or "all" for n in names)
    return Model(
        parameters=parameters,
        kernel=kernel,
        observables=observables,
        fixed=DECAY_KNOWN,
        table=table,
        about=about,
        scene=scene,
        panels=("curves", "ratios" if len(table) <= 24 else "against", "scores"),
        accuracy=accuracy,
        derived=(
            Derived("retardation_factor", "", partial(added, ("distribution", "slow_capacity"), 1.0), "1 + K + R_k: at equilibrium, all sites"),
            Derived("fast_retardation_factor", "", partial(affine, "distribution", 1.0, 1.0), "1 + K, by the fast sites alone"),
            Derived("pore_velocity", "mm/h", partial(affine, "dispersivity", velocity, 0.0 * velocity), "known from flow, area and porosity", labels),
            Derived("dispersion_coefficient", "mm^2/h", partial(affine, "dispersivity", 0.0, velocity), "a_L times the pore velocity", labels),
        ),
    )


@prediction(
    Setting("flow", "mL/h", default=12.0, lower=1e-6, description="through the column"),
    Setting("pulse", "h", default=2.7, lower=1e-6, description="how long the solute flows in"),
    Setting("inlet", "g/m^3", default=0.2, lower=1e-12, description="concentration of the inflow"),
    Setting("duration", "h", default=24.0, lower=1e-6, description="of the prediction"),
    Setting("points_in_time", default=60, kind="integer", lower=1, upper=10000, description="up to the end"),
    *COLUMNS.settings,
    porosity=0.33,
    small={"points_in_time": 3, "duration": 6.0, "elements": 48, "accuracy": 0.05},
)
def breakthrough(flow: float, pulse: float, inlet: float, duration: float, points_in_time: int, **s: Any) -> Model:
    """Prediction model: what leaves a typical column (z = 0) over time."""
    t = np.linspace(0.0, duration, points_in_time + 1)[1:]
    facts = {k: np.array([float(v)]) for k, v in {"flow": flow, "pulse": pulse, "inlet": inlet}.items()}
    kernel, parameters, accuracy, chosen = _with_accuracy(facts, s, np.zeros(t.size, int), t, 1.0, False)
    observable = Observable("relative_concentration", "", np.arange(t.size), "time", {"time": (t, "h")})
    about = {"flow": flow, "pulse": pulse, "inlet": inlet, "isotherm": s["isotherm"], **chosen}
    return Model(parameters=parameters, kernel=kernel, observables=(observable,), fixed=DECAY_KNOWN, about=about, accuracy=accuracy)


@panel
def curves(ax: Any, reading: Any, model: Any) -> None:
    """Breakthrough curves: posterior bands and data, one colour for each column; open dots where the colours begin again."""
    table, scene = model.table, model.scene
    n, column, t = len(scene["names"]), scene["column"], table.columns["time"]
    early = np.linspace(0.0, min(t.max(), 3.0 * scene["facts"]["pulse"].max()), 81)[1:]
    grid = np.unique(np.append(early, np.linspace(0.0, t.max(), 41)[1:]))
    who, when = np.repeat(np.arange(n), grid.size), np.tile(grid, n)
    kernel, parameters = _columns_kernel(scene["facts"], scene["settings"], who, when, 1.0, scene["several"])
    seen = Observable("curve", "", np.arange(n * grid.size), "row")
    dense = Model(parameters=parameters, kernel=kernel, observables=(seen,), fixed=model.fixed)
    y = dense.predict(reading.tree, draws=60, progress=False)["curve"].values.reshape(-1, n, grid.size)
    for m, name in enumerate(scene["names"]):
        at, colour = column == m, CYCLE[m % len(CYCLE)]
        band(ax, grid, y[:, m], None, colour)
        ax.plot(t[at], table.value[at], "o", ms=3.5, color=colour, mfc=colour if m < len(CYCLE) else "white", label=name)
    ax.set(xscale="log" if t.max() > 50.0 * t.min() else "linear", xlabel="time (h)", ylabel="concentration over inflow", title="breakthrough")
    if any(scene["names"]):
        ax.legend(ncols=2)


EXPERIMENTS = Experiments(
    "reactive_transport",
    Experiment(
        COLUMNS,
        columns,
        "pfos_columns",
        "breakthrough of a pulse through packed columns",
        {"breakthrough": breakthrough},
        small={"elements": 48, "accuracy": 0.05, "points": 4, "porosity": 0.33},
        variants=({"isotherm": "saturable", "differences": "none"},),
    ),
)
PREDICTIONS = EXPERIMENTS.predictions
