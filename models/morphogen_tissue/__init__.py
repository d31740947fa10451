r"""Morphogen in a tissue: infer how fast molecules diffuse and are degraded from the gradient they form, without writing its equation down.

    micro: cells that exchange molecules             macro: the profile along the tissue

      o  o  o  o   hop w = D / l^2 each way          |\                  J  source at x = 0 (flux of molecules)
      |  |  |  |   bind kappa k_off, unbind k_off    | `-.__             A  amplitude, b background: y = A u / u_0 + b
      x  x  x  x   bound are degraded at rate k      |      `---.___     closed at x = L

Lift a patch of a few cells to the macro state, let a Langevin burst heal and run, restrict it to flux and loss
(:mod:`hmminfer.micro.langevin_burst`), balance them between the nodes of a coarse grid: at rest by Newton's method, or in time by coarse projective
integration (:mod:`hmminfer.macro.patches`). Fixed normals and antithetic pairs make y(theta) smooth with an exact gradient; what another
seed would give is measured and joins the likelihood (:mod:`hmminfer.inference.montecarlo`).

Limits known in closed form (tests hold the bursts to them; nothing here uses them, except to define the amplitude):

    D_eff = (D + kappa D_c) / (1 + kappa),  k_eff = k kappa / (1 + kappa),  lambda = sqrt(D_eff / k_eff),  A = J lambda / D_eff (with the gain)
    at rest     A cosh((L - x) / lambda) / sinh(L / lambda) + b
    in time     local accumulation time (1 + x / lambda) / (2 k_eff)   (Berezhkovskii, Sample & Shvartsman 2010)

D_c is the diffusivity of one cell among the others, which carries what is bound to it: 0 where cells stay, else what
:func:`hmminfer.micro.movement.self_diffusivity` measures for cells that exclude each other and hold on; kappa is then that of a site, whether it
holds a cell or not.

What data can tell: a profile at rest gives lambda only, that is D / k (a ridge); D and k apart need time. kappa and k_off are not seen
without a contrast between bound and free and are fixed unless given a prior.

    gradient    the profile at rest: means, Gaussian. Data: Bicoid in the fly embryo (FlyEx)
    growth      the profile while it builds up: means, Gaussian
    counts      molecules counted in single cells at rest: Poisson, exactly (the network is linear)
    spreading   cells that move by exclusion and hold on to each other (:mod:`hmminfer.micro.movement`): density and contacts of a spreading
                tissue, simulated cell by cell; no likelihood, so approximate Bayesian computation, its tolerance the column sd

Counts of other networks, from a simulator, have pseudo-marginal chains: :mod:`hmminfer.inference.stochastic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import chain, couple
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.simulation import Simulation
from hmminfer.errors import HmmInferError
from hmminfer.inference.montecarlo import pilot, with_monte_carlo_error
from hmminfer.macro.patches import profile_history, steady_profile
from hmminfer.micro.langevin_burst import burst, quiet
from hmminfer.micro.movement import spreading
from hmminfer.system.accuracy import Accuracy
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, Experiments, prediction
from hmminfer.system.likelihood import NORMAL, POISSON
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal, Uniform
from hmminfer.system.tables import Table

BURST_STEP, HEAL, MEASURE = (2.0, 2, 3)  # s and steps: 4 s to heal are twice 1 / unbinding_rate, and the lift is near equilibrium
SEEDS = 32  # of which the Monte Carlo error is told; the relative error of its sd is then an eighth

TISSUE = ParameterSet(
    (
        Parameter("diffusivity", "um^2/s", LogNormal(0.3, 1.5), "of free molecules", 1e-6, 1e4, "D"),
        Parameter("degradation", "1/h", LogNormal(1.08, 1.0), "rate of bound molecules", 1e-6, 1e4, "k"),
        Parameter("binding_ratio", "", LogNormal(1.0, 0.5), "bound over free molecules in equilibrium", 1e-6, 1e6, "\\kappa"),
        Parameter("unbinding_rate", "1/s", LogNormal(0.5, 0.5), "of bound molecules; fast, so not seen", 1e-3, 1e3, "k_{off}"),
        Parameter("cell_diffusivity", "um^2/s", LogNormal(0.01, 1.0), "of one cell among others, with what is bound to it", 0.0, 1e4, "D_c"),
        Parameter("amplitude", "", LogNormal(150.0, 1.0), "intensity at the source in an endless tissue at rest, J lambda / D_eff", 0.0, 1e9, "A"),
        Parameter(
            "background",
            "",
            Normal(0.0, 10.0),
            "reading where there is no morphogen; of either sign, for one may have been subtracted",
            -1e9,
            1e9,
            "b",
        ),
    )
)
KNOWN = {"binding_ratio": 1.0, "unbinding_rate": 0.5, "cell_diffusivity": 0.0}
EXAMPLE = TISSUE.vector({**KNOWN, "cell_diffusivity": 0.01})


def decay_length(values: Mapping[str, Any]) -> Any:
    """lambda (um) of named values or draws (units as :data:`TISSUE`): the limit of fast binding and small cells."""
    kappa, of_cells = (np.asarray(values.get(name, KNOWN[name])) for name in ("binding_ratio", "cell_diffusivity"))
    k = np.asarray(values["degradation"]) / 3600.0 * kappa
    return np.sqrt((np.asarray(values["diffusivity"]) + kappa * of_cells) / k)


@njit(cache=True, error_model="numpy")
def tissue(x, facts, out):
    """x: D, k (1/h), kappa, k_off, D_c, A, b; facts: u_0 -> D, k (1/s), kappa, k_off, D_c, J = u_0 D_eff / lambda, gain A / u_0, b."""
    diffusivity, k, kappa, k_off, of_cells, amplitude, background = x
    rate = k / 3600.0
    out[0], out[1], out[2], out[3], out[4] = diffusivity, rate, kappa, k_off, of_cells
    out[5] = facts[0] * np.sqrt((diffusivity + kappa * of_cells) * rate * kappa) / (1.0 + kappa)
    out[6], out[7] = amplitude / facts[0], background


FLOOR = 0.01  # molecules


@njit(cache=True, error_model="numpy")
def expected(x, facts, out):
    """Expectation of a count, positive and smooth: bursts leave next to nothing as a little less than nothing; biased by FLOOR / 2 at most."""
    out[0] = 0.5 * (x[0] + np.sqrt(x[0] * x[0] + facts[0] * facts[0]))


_GRID = (
    Setting("length", "um", default=490.0, lower=1.0, description="of the tissue, from the source to the closed end"),
    Setting("cell_size", "um", default=2.45, lower=0.01, description="distance between neighbouring cells (sites that molecules hop between)"),
    Setting("nodes", default=25, kind="integer", lower=5, upper=1001, description="of the coarse grid, an odd number"),
    Setting("patch", default=4, kind="integer", lower=2, upper=100, description="cells of a patch, an even number"),
    Setting("molecules", default=10000.0, lower=1.0, description="for each cell at the source in a burst: many, for its mean is wanted"),
    Setting("seed", default=1, kind="integer", lower=0, description="of the normals that all bursts share"),
    Setting("accuracy", default=0.01, lower=1e-6, description="largest error of elements, patches and leaps, over the largest intensity"),
)
_POSITION = Column("position", "%", lower=0.0, upper=100.0, description="along the tissue, of its length")
GRADIENT = Schema(
    experiment="gradient",
    description="Intensity of a morphogen along a tissue, at rest.",
    quantities={"intensity": ""},
    columns=(_POSITION,),
    settings=(
        *_GRID,
        Setting("from", "%", default=0.0, lower=0.0, upper=100.0, description="positions before are left out"),
        Setting("to", "%", default=100.0, lower=0.0, upper=100.0, description="positions beyond are left out"),
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
    columns=(_POSITION, Column("time", "h", lower=0.0, description="since the source began")),
    settings=(
        *_GRID,
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
    columns=(Column("specimen", kind="text", required=False, description="name of the tissue"), _POSITION),
    settings=_GRID,
    example_rows=(
        {"quantity": "count", "specimen": "A", "position": 5, "value": 71},
        {"quantity": "count", "specimen": "A", "position": 20, "value": 25},
        {"quantity": "count", "specimen": "B", "position": 20, "value": 31},
        {"quantity": "count", "specimen": "B", "position": 60, "value": 2},
    ),
)
COUNTED = ParameterSet(
    (
        *TISSUE.parameters[:5],
        Parameter("amplitude", "", LogNormal(50.0, 1.0), "molecules counted in a cell at the source, in an endless tissue at rest", 0.0, 1e9, "A"),
        Parameter("background", "", HalfNormal(1.0), "false counts of a cell", 0.0, 1e9, "b"),
    )
)

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
        Column("position", "%", lower=0.0, upper=100.0, description="middle of a band across the sheet", quantities=("density",)),
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


def _kernel(s: Mapping[str, Any], position: Any, time: Any = None, seed: int | None = None, still: int = 0) -> Kernel:
    """Kernel of intensities at positions (%), at rest or at times (h).

    ``still``: 1 for bursts without noise; 2 for them with half the cells, patches, elements and leaps, and a quarter of their steps.
    """
    if len(np.atleast_1d(position)) == 0:
        raise HmmInferError("The profile is empty; give at least one position.")
    finer, molecules = max(still, 1), s["molecules"]
    cell, cells, nodes = s["cell_size"] / finer, int(s["patch"]), finer * (int(s["nodes"]) - 1) + 1
    part = finer * finer  # of a burst's steps: what hops in one stays below a cell
    law = burst(cell, cells, 1, HEAL * part, MEASURE * part, BURST_STEP / part, 256, s["seed"] if seed is None else seed)
    law = quiet(law) if still else law
    front = closure(tissue, [[molecules]], 8, EXAMPLE)
    theta = front(front.example)
    places = 0.01 * s["length"] * np.asarray(position, float)
    common = (law, theta[:5], theta[5], s["length"], nodes, cell * cells, places)
    if time is None:
        macro = steady_profile(*common, molecules)
    else:
        implicit = s["leap"] == "implicit" or finer > 1  # stable on any grid
        seconds = 3600.0 * np.asarray(time, float)
        macro = profile_history(*common, seconds, finer * int(s["steps"]), molecules, 0.0, implicit)
    return couple(front, macro, range(7), [], [], front.example)


def _errors(s: Mapping[str, Any], position: Any, time: Any) -> dict[str, Any]:
    """What tells a model's error of elements, patches and leaps, and which settings to change where it has no solution."""
    steps = "" if time is None else f"more steps than {s['steps']}, "
    remedy = f"give {steps}more nodes than {s['nodes']}, or fewer cells to a patch than {s['patch']}"
    coarse, finer = (_kernel(s, position, time, still=n) for n in (1, 2))
    slow = f"a cell_diffusivity below {0.5 * s['cell_size'] ** 2 / BURST_STEP:.2g} um^2/s, or larger cells"  # steps of a burst are explicit there
    leaps = "" if time is None else f"{steps}implicit leaps, or " if s["leap"] == "explicit" else f"{steps}or "
    return {"accuracy": Accuracy(coarse, finer, s["accuracy"], remedy), "advice": leaps + slow}


def _stable(kernel: Kernel, s: Mapping[str, Any]) -> None:
    """Refuse leaps that are too large for the grid."""
    if not np.all(np.isfinite(kernel(kernel.example))):
        raise HmmInferError(
            f"A leap of this history is too large for {s['nodes']} nodes at the prior's medians; give more steps than {s['steps']}, or implicit leaps."
        )


def _model(table: Table, time: Any) -> Model:
    s, position = table.settings, table.columns["position"]
    kernel = _kernel(s, position, time)
    _stable(kernel, s)
    counted = table.experiment == "counts"
    parameters = COUNTED if counted else TISSUE
    theta = pilot(kernel, parameters, KNOWN, table)
    others = [_kernel(s, position, time, int(s["seed"]) + 1000 + i) for i in range(SEEDS)]
    about = {k: s[k] for k in ("length", "cell_size", "nodes", "patch", "molecules")}
    observables = by_quantity(table, {"position": "%"} | ({} if time is None else {"time": "h"}))
    panels: tuple[Any, ...] = (_over_position, _ridge, "scores")
    model = Model(
        parameters=parameters,
        kernel=kernel,
        observables=observables,
        fixed=KNOWN,
        table=table,
        about=about,
        scene={"settings": s},
        panels=panels,
        **_errors(s, position, time),
        likelihood=POISSON if counted else NORMAL,
    )
    model = with_monte_carlo_error(model, others, theta, f"raise molecules above {s['molecules']:g}")
    if not counted:
        return model
    assert isinstance(model.kernel, Kernel)
    rows = np.full((len(table), 1), FLOOR)
    return replace(model, kernel=chain(model.kernel, closure(expected, rows, 1, np.ones(len(table)), own=1)))


def gradient(table: Table) -> Model:
    """Profile at rest: row i of y is row i of the (selected) table; see :data:`GRADIENT`."""
    c, s = table.columns["position"], table.settings
    keep = (c >= s["from"]) & (c <= s["to"])
    if not keep.any():
        raise HmmInferError(f"No position lies from {s['from']:g} to {s['to']:g} %: the profile is empty; widen from and to.")
    return _model(table.take(np.flatnonzero(keep)), None)


def growth(table: Table) -> Model:
    """Profile while it builds up: row i of y is row i of the table; see :data:`GROWTH`."""
    return _model(table, table.columns["time"])


def counts(table: Table) -> Model:
    """Counted molecules: row i of y is row i of the table; see :data:`COUNTS`."""
    sd = np.sqrt(table.value + 1.0)  # what Poisson's law says of them, for pictures and reports
    return _model(replace(table, sd=sd), None)


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
    panels = (_over_position, _of_movement, "scores")
    return Model(parameters=MOVING, kernel=simulation, observables=observables, table=table, about=about, scene={"settings": s}, panels=panels)


def _predicted(s: Mapping[str, Any], position: np.ndarray, time: Any) -> Model:
    kernel = _kernel(s, position, time)
    _stable(kernel, s)
    coords = {"position": (position, "%")} | ({} if time is None else {"time": (time, "h")})
    observable = Observable("intensity", "", np.arange(len(position)), "row" if time is not None else "position", coords)
    return Model(parameters=TISSUE, kernel=kernel, observables=(observable,), fixed=KNOWN, **_errors(s, position, time))


@prediction(
    Setting("position", "%", tuple(np.linspace(0.0, 100.0, 51)), "numbers", lower=0.0, upper=100.0, description="of the length"),
    *_GRID,
    small={"position": [5.0, 15.0, 30.0], "nodes": 9},
)
def profile(position: np.ndarray, **settings: Any) -> Model:
    """Prediction model: the profile at rest over positions."""
    return _predicted(settings, position, None)


@prediction(
    Setting("position", "%", (10.0, 30.0, 60.0), "numbers", lower=0.0, upper=100.0, description="of the length"),
    Setting("time", "h", tuple(np.linspace(0.0, 4.0, 17)), "numbers", lower=0.0, description="since the source began"),
    *GROWTH.settings,
    small={"position": [5.0, 20.0], "time": [1.0, 4.0], "nodes": 7, "steps": 8},
)
def history(position: np.ndarray, time: np.ndarray, **settings: Any) -> Model:
    """Prediction model: intensities at positions over times."""
    x, when = (v.ravel() for v in np.meshgrid(position, time, indexing="ij"))
    return _predicted(settings, x, when)


@prediction(Setting("time", "h", (0.0, 20.0, 40.0, 80.0), "numbers", lower=0.0, description="since the cells were let go"), *SPREADING.settings)
def front(time: np.ndarray, **settings: Any) -> Model:
    """Prediction model: density along a sheet of moving cells, one simulation for each draw."""
    columns, band = int(settings["columns"]), int(settings["band"])
    position = 100.0 * (np.arange(columns // band) + 0.5) * band / columns
    x, when = (v.ravel() for v in np.meshgrid(position, time, indexing="ij"))
    simulation = _simulation(settings, np.full(x.size, True), x, when)
    observable = Observable("density", "", np.arange(x.size), "row", {"position": (x, "%"), "time": (when, "h")})
    return Model(parameters=MOVING, kernel=simulation, observables=(observable,))


def _over_position(ax: Any, reading: Any, model: Model) -> None:
    """Data and posterior bands over the tissue, one colour for each time."""
    table = model.table
    assert table is not None
    name = str(table.quantity[0])
    rows_of = table.quantity == name
    y = np.full((reading["predictions"][name].values[..., 0].size, len(table)), np.nan)
    y[:, rows_of] = reading["predictions"][name].values.reshape(len(y), -1)
    position, time = table.columns["position"], table.columns.get("time", np.zeros(len(table)))
    for i, t in enumerate(np.unique(time[rows_of])):
        rows = np.flatnonzero(rows_of & (time == t))
        rows = rows[np.argsort(position[rows], kind="stable")]
        low, middle, high = np.quantile(y[:, rows], [0.055, 0.5, 0.945], axis=0)
        ax.fill_between(position[rows], low, high, color=f"C{i}", alpha=0.2, lw=0)
        ax.plot(position[rows], middle, color=f"C{i}")
        label = f"{t:g} h" if "time" in table.columns else None
        ax.errorbar(position[rows], table.value[rows], table.sd[rows], fmt="o", ms=3, lw=1, color=f"C{i}", label=label)
    ax.set(xlabel="position (% of the length)", ylabel=name, title="profile along the tissue")
    if "time" in table.columns:
        ax.legend()


def _ridge(ax: Any, reading: Any, model: Model) -> None:
    """Diffusivity against degradation, prior (grey) and posterior, with a line of one decay length."""
    names = [n for n in ("degradation", "diffusivity") if n in reading["posterior"]]
    for group, colour, size in (("prior", "0.7", 6), ("posterior", "C0", 3)):
        draws = [reading[group][n].values.ravel()[:2000] for n in names]
        if len(draws) == 2:
            ax.scatter(*draws, s=size, color=colour, lw=0, alpha=0.6, label=group)
        elif draws:
            ax.hist(draws[0], 30, density=True, color=colour, alpha=0.6, label=group)
    if len(names) == 2:
        known = {n: float(model.fixed[n]) if n in model.fixed else float(np.median(reading["posterior"][n])) for n in KNOWN}
        middle = float(np.median(decay_length({n: reading["posterior"][n].values for n in names} | known)))
        first, last = np.quantile(reading["prior"]["degradation"].values, [0.01, 0.99])
        k = np.geomspace(first, last, 50)
        along = known["binding_ratio"] * (middle**2 * k / 3600.0 - known["cell_diffusivity"])
        ax.plot(k[along > 0.0], along[along > 0.0], "k--", lw=1, label=f"decay length {middle:.0f} um")
        ax.set(xscale="log", yscale="log", ylabel="diffusivity (um$^2$/s)")
    ax.set_title("what the profile tells of the rates")
    if names:
        ax.set_xlabel(f"{names[0]} ({TISSUE[names[0]].unit})")
        ax.legend()
    else:
        ax.axis("off")
        ax.text(0.5, 0.5, "both rates are known", ha="center", transform=ax.transAxes)


def _of_movement(ax: Any, reading: Any, model: Model) -> None:
    """Motility against adhesion, prior (grey) and posterior."""
    for group, colour, size in (("prior", "0.7", 6), ("posterior", "C0", 4)):
        values = {n: reading[group][n].values.ravel() for n in MOVING.names if n in reading[group]}
        if len(values) == 2:
            ax.scatter(*values.values(), s=size, color=colour, lw=0, alpha=0.6, label=group)
        else:
            ax.hist(next(iter(values.values())), 30, density=True, color=colour, alpha=0.6, label=group)
    ax.set(xlabel=f"{next(iter(values))}", ylabel="adhesion" if len(values) == 2 else "density", title="what the tissue's edge tells")
    if "motility" in values:
        ax.set(xscale="log", xlabel="motility (1/h)")
    ax.legend()


EXPERIMENTS = Experiments(
    "morphogen_tissue",
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
    Experiment(SPREADING, spread_out, "tissue_front", "cells that move and hold on to each other", {"front": front}),
)
PREDICTIONS = EXPERIMENTS.predictions
