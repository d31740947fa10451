"""The tissue: its parameters, its bursts, and the kernel of a profile at rest or in time that all of its experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import chain, couple
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.inference.montecarlo import pilot, with_monte_carlo_error
from hmminfer.macro.patches import profile_history, steady_profile
from hmminfer.micro.langevin_burst import burst, quiet
from hmminfer.system.accuracy import Accuracy, Knob, twice
from hmminfer.system.data import Column, Setting
from hmminfer.system.derived import Derived
from hmminfer.system.likelihood import NORMAL, POISSON
from hmminfer.system.materials import scaled
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal
from hmminfer.system.tables import Table

BURST_STEP, HEAL, MEASURE = (2.0, 2, 3)  # s and steps: 4 s to heal are twice 1 / unbinding_rate, and the lift is near equilibrium
SEEDS = 32  # of which the Monte Carlo error is told; the relative error of its sd is then an eighth
# amplitude and background are those of data whose largest value is 1: intensities are in arbitrary units, and the priors follow them (see _following)
TISSUE = ParameterSet(
    (
        Parameter("diffusivity", "um^2/s", LogNormal(1.0, 2.0), "of free molecules", 1e-6, 1e4, "D"),
        Parameter("degradation", "1/h", LogNormal(1.0, 1.5), "rate of bound molecules", 1e-6, 1e4, "k"),
        Parameter("binding_ratio", "", LogNormal(1.0, 0.5), "bound over free molecules in equilibrium", 1e-6, 1e6, "\\kappa"),
        Parameter("unbinding_rate", "1/s", LogNormal(0.5, 0.5), "of bound molecules; fast, so not seen", 1e-3, 1e3, "k_{off}"),
        Parameter("cell_diffusivity", "um^2/s", LogNormal(0.01, 1.0), "of one cell among others, with what is bound to it", 0.0, 1e4, "D_c"),
        Parameter("amplitude", "", LogNormal(1.0, 1.0), "intensity at the source in an endless tissue at rest, J lambda / D_eff", 0.0, 1e9, "A"),
        Parameter(
            "background",
            "",
            Normal(0.0, 0.2),
            "reading where there is no morphogen; of either sign, for one may have been subtracted",
            -1e9,
            1e9,
            "b",
        ),
    )
)
KNOWN = {"binding_ratio": 1.0, "unbinding_rate": 0.5, "cell_diffusivity": 0.0}
EXAMPLE = TISSUE.vector({**KNOWN, "cell_diffusivity": 0.01, "diffusivity": 0.3, "degradation": 1.08, "amplitude": 150.0})
TYPICAL = {"diffusivity": LogNormal(0.3, 1.5), "degradation": LogNormal(1.08, 1.0)}  # about which the Monte Carlo error is measured
COUNTED = ParameterSet(
    (
        *TISSUE.parameters[:5],
        Parameter("amplitude", "", LogNormal(1.0, 1.0), "molecules counted in a cell at the source, in an endless tissue at rest", 0.0, 1e9, "A"),
        Parameter("background", "", HalfNormal(0.1), "false counts of a cell", 0.0, 1e9, "b"),
    )
)
GRID = (
    Setting("length", "um", default=490.0, lower=1.0, description="of the tissue, from the source to the closed end"),
    Setting("cell_size", "um", default=2.45, lower=0.01, description="distance between neighbouring cells (sites that molecules hop between)"),
    Setting("nodes", default=25, kind="integer", lower=5, upper=1001, description="of the coarse grid, an odd number"),
    Setting("patch", default=4, kind="integer", lower=2, upper=100, description="cells of a patch, an even number"),
    Setting("molecules", default=10000.0, lower=1.0, description="for each cell at the source in a burst: many, for its mean is wanted"),
    Setting("seed", default=1, kind="integer", lower=0, description="of the normals that all bursts share"),
    Setting("accuracy", default=0.01, lower=1e-6, description="largest error of elements, patches and leaps, over the largest intensity"),
)
POSITION = Column("position", "%", lower=0.0, upper=100.0, description="along the tissue, of its length", shares="all")
FLOOR = 0.01  # molecules


def decay_length(values: Mapping[str, Any]) -> Any:
    """lambda (um) of named values or draws (units as :data:`TISSUE`): the limit of fast binding and small cells."""
    kappa, of_cells = (np.asarray(values.get(name, KNOWN[name])) for name in ("binding_ratio", "cell_diffusivity"))
    k = np.asarray(values["degradation"]) / 3600.0 * kappa
    return np.sqrt((np.asarray(values["diffusivity"]) + kappa * of_cells) / k)


def _shared(name: str, other: str, values: Mapping[str, Any]) -> Any:
    """Effective (D + kappa D_c) / (1 + kappa), or k kappa / (1 + kappa): what the data see whatever the binding."""
    kappa = np.asarray(values["binding_ratio"])
    rate = np.asarray(values[name]) + kappa * np.asarray(values[other]) if other else kappa * np.asarray(values[name])
    return rate / (1.0 + kappa)


DERIVED = (
    Derived("decay_length", "um", decay_length, "lambda, over which a profile at rest falls to 1/e"),
    Derived("effective_diffusivity", "um^2/s", partial(_shared, "diffusivity", "cell_diffusivity"), "D_eff, of free and bound molecules together"),
    Derived("effective_degradation", "1/h", partial(_shared, "degradation", ""), "k_eff, of free and bound molecules together"),
)


@compiled
def tissue(x, facts, out):
    """x: D, k (1/h), kappa, k_off, D_c, A, b; facts: u_0 -> D, k (1/s), kappa, k_off, D_c, J = u_0 D_eff / lambda, gain A / u_0, b."""
    diffusivity, k, kappa, k_off, of_cells, amplitude, background = x
    rate = k / 3600.0
    out[0], out[1], out[2], out[3], out[4] = diffusivity, rate, kappa, k_off, of_cells
    out[5] = facts[0] * np.sqrt((diffusivity + kappa * of_cells) * rate * kappa) / (1.0 + kappa)
    out[6], out[7] = amplitude / facts[0], background


@compiled
def expected(x, facts, out):
    """Expectation of a count, positive and smooth: where almost no molecules remain a burst's estimate can be
    slightly negative. Adds at most FLOOR / 2.
    """
    out[0] = 0.5 * (x[0] + np.sqrt(x[0] * x[0] + facts[0] * facts[0]))


def kernel_of(s: Mapping[str, Any], position: Any, time: Any = None, seed: int | None = None, still: int = 0) -> Kernel:
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


def finer_nodes(nodes: float) -> float | None:
    """Nodes of a grid with twice as many elements; None above 1001."""
    return 2 * nodes - 1 if 2 * nodes <= 1002 else None


def finer_patch(patch: float) -> float | None:
    """Half as many cells to a patch, an even number; None below 2."""
    return 2 * (int(patch) // 4) if patch >= 4 else None


def errors(s: Mapping[str, Any], position: Any, time: Any) -> dict[str, Any]:
    """Estimate of a model's error of elements, patches and leaps, and the settings to change where it has no solution."""
    steps = "" if time is None else f"more steps than {s['steps']}, "
    slow = f"a cell_diffusivity below {0.5 * s['cell_size'] ** 2 / BURST_STEP:.2g} um^2/s, or larger cells"  # steps of a burst are explicit there
    leaps = "" if time is None else f"{steps}implicit leaps, or " if s["leap"] == "explicit" else f"{steps}or "
    return {"accuracy": accuracy_of(s, position, time), "advice": leaps + slow}


def accuracy_of(s: Mapping[str, Any], position: Any, time: Any, changes: Mapping[str, float] | None = None) -> Accuracy:
    """Accuracy with some settings changed."""
    s = {**s, **(changes or {})}
    coarse, finer = (kernel_of(s, position, time, still=n) for n in (1, 2))
    knobs = {"nodes": Knob(int(s["nodes"]), finer_nodes), "patch": Knob(int(s["patch"]), finer_patch)}
    if time is not None:
        knobs["steps"] = Knob(int(s["steps"]), twice)
    return Accuracy(coarse, finer, s["accuracy"], 0.0, knobs, partial(accuracy_of, s, position, time))


def stable(kernel: Kernel, s: Mapping[str, Any]) -> None:
    """Refuse leaps that are too large for the grid."""
    if not np.all(np.isfinite(kernel(kernel.example))):
        raise HmmInferError(
            f"A leap of this history is too large for {s['nodes']} nodes at the prior's medians; give more steps than {s['steps']}, or implicit leaps."
        )


def _following(parameters: ParameterSet, table: Table) -> ParameterSet:
    """Parameters whose amplitude and background have the scale of the data; of a table of zeros, or without values, that of one."""
    top = float(np.max(np.abs(table.value), initial=0.0))
    return scaled(parameters, dict.fromkeys(("amplitude", "background"), top)) if top > 0.0 else parameters


def model_of(table: Table, time: Any) -> Model:
    """Model of a table of intensities or counts at positions, at rest or at times (h), the Monte Carlo error of its bursts in the likelihood."""
    s, position = table.settings, table.columns["position"]
    kernel = kernel_of(s, position, time)
    stable(kernel, s)
    counted = table.experiment == "counts"
    parameters = _following(COUNTED if counted else TISSUE, table)
    theta = pilot(kernel, parameters.replaced(TYPICAL), KNOWN, table)
    others = [kernel_of(s, position, time, int(s["seed"]) + 1000 + i) for i in range(SEEDS)]
    about = {k: s[k] for k in ("length", "cell_size", "nodes", "patch", "molecules")}
    observables = by_quantity(table, {"position": "%"} | ({} if time is None else {"time": "h"}))
    panels: tuple[Any, ...] = ("over_position", "ridge", "scores")
    model = Model(
        parameters=parameters,
        kernel=kernel,
        observables=observables,
        fixed=KNOWN,
        table=table,
        about=about,
        scene={"settings": s},
        panels=panels,
        derived=DERIVED,
        **errors(s, position, time),
        likelihood=POISSON if counted else NORMAL,
    )
    model = with_monte_carlo_error(model, others, theta, f"raise molecules above {s['molecules']:g}")
    if not counted:
        return model
    assert isinstance(model.kernel, Kernel)
    rows = np.full((len(table), 1), FLOOR)
    return replace(model, kernel=chain(model.kernel, closure(expected, rows, 1, np.ones(len(table)), own=1)))


def predicted(s: Mapping[str, Any], position: np.ndarray, time: Any) -> Model:
    """Intensities at positions (%), at rest or at times (h), without data."""
    kernel = kernel_of(s, position, time)
    stable(kernel, s)
    coords = {"position": (position, "%")} | ({} if time is None else {"time": (time, "h")})
    observable = Observable("intensity", "", np.arange(len(position)), "row" if time is not None else "position", coords)
    return Model(parameters=TISSUE, kernel=kernel, observables=(observable,), fixed=KNOWN, **errors(s, position, time))
