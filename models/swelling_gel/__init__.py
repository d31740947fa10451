r"""Swelling gel and cartilage: infer fixed charge, stiffness and permeability of a charged network from how it swells and creeps in salt water.

        micro: charge and salt                    macro: the whole swells, or is pressed
          c_F fixed,  c+ , c-   |  bath c             ______________            ____|____ T
        - + - + -               |  + -               |              |          |_________| porous
          +  - + -              |   - +              |     J(c)     |          |  J(Z,t) |
        - + - + -               | -  +               |______________|          |_________| closed

Lift: the volume J of a point sets the fixed charge of its water, c_F = c_0 w / (J - 1 + w). Micro problem: ions in equilibrium with the bath,

    donnan    one potential for all the water, an osmotic coefficient phi for what that leaves out (phi = 1: ideal)
    rods      Poisson and Boltzmann's equation around a charged rod in its cylinder (:mod:`hmminfer.micro.poisson_boltzmann`): no coefficient

Restrict: osmotic pressure Pi(J, c). Macro problem: the network balances it (:mod:`hmminfer.macro.swelling`), or does not yet, and water flows
(:mod:`hmminfer.macro.confined`).

    equilibrium   pressure, modulus, volume, swelling degree against bath salt: tissue (neo-Hookean, strained along one axis), or gel
                  (Flory & Rehner, finite chains, swelling freely)
    confined      creep, stress relaxation, a change of bath in confined compression

What is identified: one salt gives one sum of charge and network; a ladder of salts from far below to far above c_F separates them. c_0 and phi are
told apart by the salt at which the pressure falls, c ~ c_F / 2, and by nothing else. With phi fixed at 1, c_0 comes out small and certain. A time
gives k_0 only together with the modulus, which the final strain gives.

References: Buschmann & Grodzinsky 1995; Lai, Hou & Mow 1991; Holmes & Mow 1990; Flory & Rehner 1943. Data: Ehrlich et al. 1998, Zimmerman et
al. 2021, from their abstracts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hmminfer.engine.coupling import couple, each, known
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.macro import swelling
from hmminfer.macro.confined import BY_LOAD, BY_STRAIN, COMPRESSION, DISPLACEMENT, confined_kernel, graded
from hmminfer.macro.swelling import GEL, TISSUE, equilibrium_kernel
from hmminfer.micro.osmotic import donnan_pressures, rod_pressures
from hmminfer.micro.poisson_boltzmann import thermal
from hmminfer.system.accuracy import Accuracy
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, Experiments, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal
from hmminfer.system.tables import Table

CHARGE = Parameter("fixed_charge", "mol/L", LogNormal(0.2, 0.5), "of the water in the reference state", 1e-3, 10.0, "c_0")
WATER = Parameter("water_fraction", "", Normal(0.8, 0.04, 0.5, 0.99), "of the reference state, by volume", 0.05, 0.999, "w")
NETWORKS = {
    "tissue": (
        Parameter("network_modulus", "MPa", LogNormal(0.4, 0.5), "confined modulus of the network alone, at J = 1", 1e-5, 1e3, "H"),
        Parameter("network_poisson", "", Normal(0.1, 0.05, 0.0, 0.45), "Poisson ratio of the network alone", -0.5, 0.49, "\\nu"),
    ),
    "gel": (
        Parameter("interaction", "", Normal(0.45, 0.05, 0.0, 0.6), "Flory's chi of polymer and water", -1.0, 2.0, "\\chi"),
        Parameter("chain_segments", "", LogNormal(200.0, 0.5), "segments of a chain between two crosslinks", 2.0, 1e5, "N"),
    ),
}
CHAINS = Parameter("chain_pressure", "MPa*L^2/mol^2", HalfNormal(0.6), "pressure of the uncharged chains over c_F^2", 0.0, 100.0, "A")
COEFFICIENT = Parameter("osmotic_coefficient", "", Normal(0.5, 0.15, 0.05, 1.0), "measured over ideal pressure of the ions", 0.0, 2.0, "\\phi")
RODS = (
    Parameter("charge_spacing", "nm", LogNormal(0.64, 0.1), "length of rod for each charge", 0.05, 10.0, "b"),
    Parameter("rod_radius", "nm", LogNormal(0.55, 0.1), "of the polymer, hydrated", 0.05, 10.0, "r_s"),
)
MICRO = ("rods", "donnan")
KNOWN = {"water_fraction": 0.8, "network_poisson": 0.1, "chain_pressure": 0.0, "permeability_exponent": 2.0}
RANGE = {"tissue": (0.01, 3.0, 24), "gel": (1e-3, 10.0, 40)}  # fixed charges (mol/L) between which the micro problem is asked, and how many
WHAT = {
    "osmotic_pressure": swelling.PRESSURE_AT,
    "swelling_pressure": swelling.PRESSURE,
    "volume_ratio": swelling.VOLUME,
    "aggregate_modulus": swelling.MODULUS,
    "swelling_degree": swelling.DEGREE,
}
UNITS = {"osmotic_pressure": "MPa", "swelling_pressure": "MPa", "volume_ratio": "", "aggregate_modulus": "MPa", "swelling_degree": ""}
COMMON = (
    Setting("micro", default="rods", kind="text", choices=MICRO, description="rods (Poisson-Boltzmann), or donnan with an osmotic coefficient"),
    Setting(
        "rods", default="known", kind="text", choices=("known", "unknown"), description="spacing and radius: known, or unknown parameters around them"
    ),
    Setting("spacing", "nm", default=0.64, lower=0.05, upper=10.0, description="length of a rod for each charge (chondroitin sulphate: 0.64)"),
    Setting("radius", "nm", default=0.55, lower=0.05, upper=10.0, description="of a rod (chondroitin sulphate: 0.55)"),
    Setting("temperature", "K", default=298.15, lower=273.15, upper=373.15),
    Setting("micro_nodes", default=0, kind="integer", lower=0, upper=200, description="micro problems in each bath; 0: 24 for tissue, 40 for gels"),
    Setting("micro_elements", default=16, kind="integer", lower=4, upper=512, description="between a rod and its cell's edge, for micro = rods"),
)


def _range(s: Any, network: str) -> tuple[float, float, int]:
    """Least and greatest fixed charge (mol/L), and how many places between."""
    lower, upper, usual = RANGE[network]
    return lower, upper, int(s["micro_nodes"]) or usual


def _law(s: Any, baths: np.ndarray, network: str) -> tuple[Kernel, tuple[Parameter, ...]]:
    """Osmotic pressure at the macro problem's nodes in each bath (mol/L), and the parameters of the micro problem."""
    charges = swelling.nodes(*_range(s, network))
    temperature = float(s["temperature"])
    if s["micro"] == "donnan":
        return donnan_pressures(charges, baths, temperature), (COEFFICIENT,)
    places, cell = rod_pressures(charges, baths, temperature, int(s["micro_elements"]))
    rods = (s["spacing"], s["radius"])
    law = couple(places, each(cell, len(charges) * len(baths)), [0, 1], [], [], np.array(rods))
    if s["rods"] == "known":  # the micro problem depends on nothing unknown: solved once, before any likelihood
        return known(law(np.array(rods))), ()
    return law, tuple(replace(p, prior=LogNormal(v, 0.1)) for p, v in zip(RODS, rods, strict=True))


def _baths(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Distinct baths in mol/L of values in mmol/L, and which of them each value is."""
    baths, which = np.unique(1e-3 * np.asarray(values, float), return_inverse=True)
    return baths, which


def _known(parameters: ParameterSet) -> dict[str, float]:
    """What is held unless a prior is asked for."""
    return {k: v for k, v in KNOWN.items() if k in parameters.names}


def _example(law: Kernel, parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray]:
    """A material that exists and lies inside all supports: as the macro problem's vector, and as all parameters."""
    theta = parameters.vector({**_known(parameters), "chain_pressure": 0.1})
    return np.concatenate([law(theta[: law.n_in]), theta[law.n_in :]]), theta


def _coupled(law: Kernel, macro: Kernel, theta: np.ndarray) -> Kernel:
    """Law of the first parameters, macro problem of all others."""
    return couple(law, macro, range(law.n_in), range(law.n_in, theta.size), [], theta)


# ------------------------------------------------------------------------------------------------------------------ equilibrium

EQUILIBRIUM = Schema(
    experiment="equilibrium",
    description="A charged network, or a solution of its polymer, in equilibrium with baths of different salt.",
    quantities=UNITS,
    positive=tuple(UNITS),
    columns=(
        Column("specimen", kind="text", required=False, description="name; the setting 'specimen' fits one of several"),
        Column("bath", "mmol/L", lower=1e-3, upper=5000.0, description="monovalent salt of the bath"),
        Column("fixed_charge", "mol/L", required=False, lower=0.0, upper=5.0, description="of an osmotic_pressure; blank: the unknown fixed_charge"),
        Column("load", "MPa", required=False, lower=0.0, description="compression under which it is in equilibrium; blank: none"),
    ),
    settings=(
        *COMMON,
        Setting(
            "network", default="tissue", kind="text", choices=tuple(NETWORKS), description="tissue strained along one axis, or gel swelling freely"
        ),
        Setting("volume", default="held", kind="text", choices=("held", "free"), description="tissue: held at J = 1 by its fibres, or free to swell"),
        Setting("specimen", default="all", kind="text", description="fit the rows of one specimen only, or all"),
    ),
    example_rows=(
        {"quantity": "aggregate_modulus", "specimen": "plug", "bath": 2000, "value": 0.42, "unit": "MPa", "sd": 0.03},
        {"quantity": "aggregate_modulus", "specimen": "plug", "bath": 150, "value": 0.75, "unit": "MPa", "sd": 0.05},
        {"quantity": "aggregate_modulus", "specimen": "plug", "bath": 1, "value": 1.27, "unit": "MPa", "sd": 0.1},
        {"quantity": "swelling_pressure", "specimen": "plug", "bath": 150, "value": 0.05, "unit": "MPa", "sd": 0.01},
    ),
)


def _equilibrium(c: Any, quantity: np.ndarray, s: Any) -> tuple[Kernel, ParameterSet]:
    """Kernel of rows of ``quantity`` with the columns ``c``, and its parameters."""
    network = str(s["network"])
    if network == "tissue" and (quantity == "swelling_degree").any():
        raise HmmInferError("A swelling_degree is that of a gel; set network = gel, or give a volume_ratio.")
    if network == "gel" and (quantity == "aggregate_modulus").any():
        raise HmmInferError("A gel swells freely here and has no aggregate_modulus; set network = tissue, or remove the row.")
    baths, which = _baths(c["bath"])
    law, micro = _law(s, baths, network)
    parameters = ParameterSet((*micro, CHARGE, WATER, *NETWORKS[network], CHAINS))
    at = quantity == "osmotic_pressure"
    unknown = at & ~np.isfinite(c["fixed_charge"])
    what = np.array([WHAT[q] for q in quantity])
    what[unknown] = swelling.PRESSURE_OF
    load = np.nan_to_num(c["load"])
    if network == "tissue" and s["volume"] == "held":
        if (load > 0.0).any() or (quantity == "volume_ratio").any():
            raise HmmInferError("A volume that is held neither follows a load nor is a result; set volume = free.")
        load = np.full(len(quantity), np.inf)
    charge = np.where(at, c["fixed_charge"], np.nan)
    example, theta = _example(law, parameters)
    kind = TISSUE if network == "tissue" else GEL
    rt = thermal(float(s["temperature"]))
    macro = equilibrium_kernel(_range(s, network), len(baths), what, which, load, charge, rt, kind, example)
    return _coupled(law, macro, theta), parameters


def equilibrium(table: Table) -> Model:
    """Equilibria: row i of y is row i of the (selected) table; see :data:`EQUILIBRIUM`."""
    s = table.settings
    if s["specimen"] != "all":
        keep = table.columns["specimen"] == s["specimen"]
        if not keep.any():
            raise HmmInferError(f"No row is of specimen {s['specimen']!r}; it has {', '.join(sorted(set(table.columns['specimen'])))}.")
        table = table.take(np.flatnonzero(keep))
    kernel, parameters = _equilibrium(table.columns, table.quantity, s)
    held = _known(parameters)
    solution = bool(np.all(table.quantity == "osmotic_pressure"))
    if solution:  # no network is there
        held |= {"network_modulus": 0.4} if s["network"] == "tissue" else {"interaction": 0.45, "chain_segments": 200.0}
        if np.isfinite(table.columns["fixed_charge"]).all():
            held["fixed_charge"] = 0.2
    about = {k: s[k] for k in ("micro", "network", "volume", "temperature")}
    panels = (_over_salt, "ratios" if len(table) <= 20 else "against", "scores")
    observables = by_quantity(table, {"bath": "mmol/L"})
    return Model(
        parameters=parameters, kernel=kernel, observables=observables, fixed=held, table=table, about=about, scene={"settings": s}, panels=panels
    )


@prediction(
    Setting("lowest", "mmol/L", default=1.0, lower=1e-3, upper=5000.0, description="salt of the first bath"),
    Setting("highest", "mmol/L", default=2000.0, lower=1e-3, upper=5000.0, description="salt of the last bath"),
    Setting("points", default=25, kind="integer", lower=2, upper=1000, description="baths, equally far apart in ln c"),
    Setting("load", "MPa", default=0.0, lower=0.0, description="compression, for volume = free"),
    *(x for x in EQUILIBRIUM.settings if x.name != "specimen"),
    small={"points": 2, "network": "gel", "micro": "donnan", "micro_nodes": 10},
)
def salt_curve(lowest: float, highest: float, points: int, load: float, **s: Any) -> Model:
    """Prediction model: equilibrium over the salt of the bath: swelling pressure, modulus or swelling degree, volume."""
    if not lowest < highest:
        raise HmmInferError(f"The baths go from {lowest:g} to {highest:g} mmol/L; give lowest < highest.")
    bath = np.geomspace(lowest, highest, points)
    names = ["swelling_pressure", "aggregate_modulus" if s["network"] == "tissue" else "swelling_degree"]
    if s["network"] == "gel" or s["volume"] == "free":
        names.append("volume_ratio")
    n = len(names) * points
    columns = {"bath": np.tile(bath, len(names)), "load": np.full(n, load), "fixed_charge": np.full(n, np.nan)}
    kernel, parameters = _equilibrium(columns, np.repeat(names, points), s)
    observables = tuple(
        Observable(name, UNITS[name], np.arange(i * points, (i + 1) * points), "bath", {"bath": (bath, "mmol/L")}) for i, name in enumerate(names)
    )
    return Model(parameters=parameters, kernel=kernel, observables=observables, fixed=_known(parameters))


def _over_salt(ax: Any, reading: Any, model: Model) -> None:
    """What was measured most, over the salt of the bath: data and posterior bands."""
    table, s = model.table, model.scene["settings"]
    assert table is not None
    name = max(dict.fromkeys(table.quantity.tolist()), key=lambda q: int(np.sum(table.quantity == q)))
    rows = table.quantity == name
    bath, value, sd = table.columns["bath"][rows], table.value[rows], table.sd[rows]
    ax.errorbar(bath, value, sd, fmt="o", ms=4, capsize=2, lw=1, color="C1", label="measured")
    x = np.geomspace(0.5 * bath.min(), min(2.0 * bath.max(), 5000.0), 25)
    if name == "osmotic_pressure":
        charge = table.columns["fixed_charge"][rows][0]
        columns = {"bath": x, "load": np.zeros(25), "fixed_charge": np.full(25, charge)}
        kernel, parameters = _equilibrium(columns, np.full(25, name), s)
        curve = Model(parameters=parameters, kernel=kernel, observables=(Observable(name, "MPa", np.arange(25), "bath"),), fixed=model.fixed)
    else:
        curve = salt_curve(
            x[0], x[-1], 25, **{k: s[k] for k in ("micro", "rods", "spacing", "radius", "micro_nodes", "network", "volume", "temperature")}
        )
    y = curve.predict(reading.tree, draws=150, progress=False)[name].values
    low, middle, high = np.quantile(y, [0.055, 0.5, 0.945], axis=0)
    ax.fill_between(x, low, high, color="C0", alpha=0.25, lw=0)
    ax.plot(x, middle, color="C0", label="posterior")
    ax.set(xscale="log", xlabel="salt of the bath (mmol/L)", ylabel=f"{name.replace('_', ' ')} ({UNITS[name] or '1'})")
    ax.set_title(f"over the bath, micro problem: {s['micro']}")
    ax.legend()


# --------------------------------------------------------------------------------------------------------------------- confined

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
        Setting("bath", "mmol/L", default=150.0, lower=1e-3, upper=5000.0, description="monovalent salt of the first bath"),
        Setting("bath_after", "mmol/L", default=15.0, lower=1e-3, upper=5000.0, description="salt after time 0, for test = bath"),
        Setting("tare", "kPa", default=5.0, lower=0.0, description="compression before"),
        Setting("load", "kPa", default=50.0, lower=0.0, description="compression beyond the tare, for test = creep"),
        Setting("strain", "%", default=10.0, lower=0.0, upper=60.0, description="of the thickness, for test = relaxation"),
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
        "permeability", "um^4/uN/s", LogNormal(400.0, 0.7), "hydraulic, in the reference state (1 um^4/uN/s = 1e-18 m^4/N/s)", 1e-6, 1e9, "k_0"
    ),
    Parameter("permeability_exponent", "", Normal(2.0, 2.0, 0.0, 20.0), "M of Holmes and Mow: how it falls when pressed", 0.0, 50.0, "M"),
)


def _edges(end: float, ramp: float, steps: int) -> np.ndarray:
    """Times of the steps: a third of them while the load rises, then ever longer ones."""
    rising = 0 if ramp == 0.0 else max(2, steps // 3)
    rest = steps - rising
    later = ramp + (end if not rising else max(end - ramp, ramp)) * graded(rest, 1000.0 ** (1.0 / rest))
    return np.concatenate([np.linspace(0.0, ramp, rising + 1)[:-1], later]) if rising else later


def _halved(edges: np.ndarray) -> np.ndarray:
    """Each step in two."""
    return np.insert(edges, np.arange(1, edges.size), 0.5 * (edges[1:] + edges[:-1]))


def confined(table: Table) -> Model:
    """Confined compression: row i of y is row i of the table; see :data:`CONFINED`."""
    s = table.settings
    end, ramp, test, steps = float(table.columns["time"].max()), float(s["ramp"]), str(s["test"]), int(s["steps"])
    if test == "bath" and ramp > 0.0:
        raise HmmInferError("A bath is changed at once; leave out the setting 'ramp'.")
    if test == "relaxation" and ramp == 0.0:
        raise HmmInferError("A strain applied at once has no finite stress; give the setting 'ramp'.")
    tare, edges = 1e-3 * s["tare"], _edges(end, ramp, steps)
    baths, which = _baths([s["bath"], s["bath_after"] if test == "bath" else s["bath"]])
    law, micro = _law(s, baths, "tissue")
    parameters = ParameterSet((*micro, CHARGE, WATER, *NETWORKS["tissue"], CHAINS, *PERMEABILITY))

    def target(t: np.ndarray, _: np.ndarray) -> np.ndarray:
        share = np.minimum(t / ramp, 1.0) if ramp > 0.0 else np.ones_like(t)
        if test == "relaxation":
            return 0.01 * s["strain"] * share
        return tare + (1e-3 * s["load"] * share if test == "creep" else 0.0 * share)

    what = np.where(table.quantity == "displacement", DISPLACEMENT, COMPRESSION)
    example, theta = _example(law, parameters)

    def macro(edges: np.ndarray, side: np.ndarray) -> Kernel:
        control = np.full(len(edges) - 1, BY_STRAIN if test == "relaxation" else BY_LOAD)
        return confined_kernel(
            _range(s, "tissue"),
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
    kernel = _coupled(law, macro(edges, side), theta)
    finer = _coupled(law, macro(_halved(edges), _halved(side)), theta)
    accuracy = Accuracy(kernel, finer, s["accuracy"], f"give more steps than {steps} or more elements than {s['elements']}")
    change = {"creep": "a smaller load or a longer ramp", "relaxation": "a smaller strain or a longer ramp", "bath": "baths nearer to each other"}
    about = {k: s[k] for k in ("micro", "test", "thickness", "bath", "steps", "elements")}
    observables = by_quantity(table, {"time": "s"})
    panels = (_over_time, "against", "scores")
    return Model(
        parameters=parameters,
        kernel=kernel,
        observables=observables,
        fixed=_known(parameters),
        table=table,
        about=about,
        scene={"settings": s},
        panels=panels,
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
    observables = tuple(
        Observable(name, unit, np.arange(i * points, (i + 1) * points), "time", {"time": (time, "s")})
        for i, (name, unit) in enumerate(CONFINED.quantities.items())
    )
    return replace(model, experiment="course", observables=observables, table=None, about={}, scene={}, panels=())


def _over_time(ax: Any, reading: Any, model: Model) -> None:
    """What was measured over time: data and posterior bands."""
    table, s = model.table, model.scene["settings"]
    assert table is not None
    name = str(table.quantity[0])
    rows = table.quantity == name
    t = table.columns["time"]
    curve = course(41, float(t[t > 0.0].min()), float(t.max()), **s)
    curve = replace(curve, accuracy=None, again=None)  # a picture, not a result
    y = curve.predict(reading.tree, draws=100, progress=False)[name]
    low, middle, high = np.quantile(y.values, [0.055, 0.5, 0.945], axis=0)
    ax.fill_between(y["time"], low, high, color="C0", alpha=0.25, lw=0)
    ax.plot(y["time"], middle, color="C0", label="posterior")
    ax.errorbar(t[rows], table.value[rows], table.sd[rows], fmt="o", ms=4, capsize=2, lw=1, color="C1", label="measured")
    ax.set(xscale="log", xlabel="time (s)", ylabel=f"{name} ({CONFINED.quantities[name]})")
    ax.set_title(f"{s['test']} in confined compression")
    ax.legend()


_OF_EQUILIBRIUM = {"salt_curve": salt_curve}
_OF_CONFINED = {"course": course}
EXPERIMENTS = Experiments(
    "swelling_gel",
    Experiment(
        EQUILIBRIUM,
        equilibrium,
        "chondroitin_sulphate",
        "pressure, stiffness and volume against bath salt",
        _OF_EQUILIBRIUM,
        small={"rods": "unknown", "micro_nodes": 8, "micro_elements": 4},
        variants=({"micro": "donnan", "volume": "free"},),
    ),
    Experiment(
        CONFINED,
        confined,
        "confined_creep",
        "creep, relaxation and swelling in confined compression",
        _OF_CONFINED,
        small={"micro_nodes": 8, "micro_elements": 4, "steps": 8, "elements": 2, "tare": 40},
        variants=({"micro": "donnan", "test": "bath"},),
    ),
)
PREDICTIONS = EXPERIMENTS.predictions
