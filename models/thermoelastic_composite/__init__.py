r"""Thermo-elastic composite: infer expansion, conductivity and content of the phases from how a composite expands, bends and cools.

        micro: periodic cell, seven loads          macro: lamina, strip of layers
           ___________                                ____________________________
          |   .-"-.   |  six macro strains           |  90  o o o o o o o o o o o |  warm it: it bends
          |  ( fib )  |  and a temperature           |   0  ===================== |  stretch it: it cools
          |___`-.-'___|

Free energy per volume 1/2 eps:C:eps - theta beta:eps - c theta^2 / (2 T0), beta = C alpha, theta = T - T0. The cell gives C_eff, beta_eff and
c_eps,eff (:mod:`hmminfer.micro.thermoelastic_cell`; or a reduced elastic cell and the exact identities of two-phase composites,
:mod:`hmminfer.micro.two_phase`), and across the fibre the conductivity (:mod:`hmminfer.micro.conductive_table`); along it conduction is
the mean of the phases', exactly.

    laminae   moduli, expansion and conductivity of unidirectional laminae
    strip     layers with fibres along the strip (0) or across it (90), two-way coupled thermo-elasticity of its section in plane stress
              (:mod:`hmminfer.macro.thermoelastic`): deflection, extension and temperature in time

Given C_eff, the two expansions of a lamina are two numbers for three unknown ones of the phases: along a carbon fibre they tell the fibre's,
across it the matrix's; alone they leave an exact ridge with the volume fraction. The heat capacity tells nothing of the microstructure.

References: Levin 1967, Rosen & Hashin 1970 (exact), Timoshenko 1925 (bimetal strips), Perrins et al. 1979 (conduction). Data: Bowles &
Tompkins 1989; Soden, Hinton & Kaddour 1998.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem
from numba import njit
from scipy.sparse import csr_array

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import beside, chain, couple
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError, unknown
from hmminfer.macro.domain import Domain
from hmminfer.macro.thermoelastic import NUMBERS, thermoelastic_kernel
from hmminfer.micro.conductive_table import conductive_table
from hmminfer.micro.phases import PHASES, phases_of
from hmminfer.micro.reduced_cell import reduced_cell
from hmminfer.micro.thermoelastic_cell import ENERGY, REFERENCE, thermoelastic_cell
from hmminfer.micro.two_phase import thermal_identities
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, Experiments, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Normal
from hmminfer.system.tables import Table

THERMAL = (
    Parameter("fibre_axial_expansion", "um/m/K", Normal(-0.6, 0.4), "expansion along the fibre", -50.0, 100.0, "\\alpha_{1f}"),
    Parameter("fibre_transverse_expansion", "um/m/K", LogNormal(9.0, 0.35), "expansion across the fibre", -50.0, 200.0, "\\alpha_{2f}"),
    Parameter("matrix_expansion", "um/m/K", LogNormal(55.0, 0.15), "expansion of the matrix", -50.0, 500.0, "\\alpha_m"),
    Parameter("fibre_heat_capacity", "MJ/m^3/K", LogNormal(1.3, 0.15), "heat capacity of the fibre at constant stress", 1e-3, 100.0, "c_f"),
    Parameter("matrix_heat_capacity", "MJ/m^3/K", LogNormal(1.4, 0.15), "heat capacity of the matrix at constant stress", 1e-3, 100.0, "c_m"),
    Parameter("fibre_axial_conductivity", "W/m/K", LogNormal(8.0, 0.6), "conductivity along the fibre", 1e-4, 1e4, "k_{1f}"),
    Parameter("fibre_transverse_conductivity", "W/m/K", LogNormal(1.0, 0.6), "conductivity across the fibre", 1e-4, 1e4, "k_{2f}"),
    Parameter("matrix_conductivity", "W/m/K", LogNormal(0.2, 0.3), "conductivity of the matrix", 1e-4, 1e4, "k_m"),
)
PARAMETERS = (*PHASES, *THERMAL)
INDEX = {p.name: i for i, p in enumerate(PARAMETERS)}
# T300 in 934 epoxy: what stays known unless a prior or a value is given, and the rest of it
KNOWN = {
    "fibre_axial_modulus": 233.0,
    "fibre_transverse_modulus": 23.1,
    "fibre_shear_modulus": 8.96,
    "fibre_axial_poisson": 0.2,
    "fibre_transverse_poisson": 0.4,
    "matrix_modulus": 4.35,
    "matrix_poisson": 0.37,
    "fibre_heat_capacity": 1.3,
    "matrix_heat_capacity": 1.4,
    "fibre_axial_conductivity": 8.0,
    "fibre_transverse_conductivity": 1.0,
    "matrix_conductivity": 0.2,
}
T300_934 = {"volume_fraction": 0.57, "fibre_axial_expansion": -0.54, "fibre_transverse_expansion": 10.1, "matrix_expansion": 43.9}
CELL = (
    Setting("packing", default="hexagonal", kind="text", choices=("hexagonal", "square"), description="of the fibres"),
    Setting(
        "cell",
        default="reduced",
        kind="text",
        choices=("reduced", "full"),
        description="micro problem: reduced basis with exact identities, or solved",
    ),
    Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
    Setting("reference", "K", default=REFERENCE, lower=1.0, description="temperature T0 at which nothing is strained"),
)


def law(packing: str = "hexagonal", cell: str = "reduced", refine: int = 4, reference: float = REFERENCE) -> Kernel:
    """:data:`PARAMETERS` -> C_eff (36), beta_eff (6), c_eps,eff, then conductivities 22, 33, 23 across the fibre and the mean capacity."""
    example = ParameterSet(PARAMETERS).vector({**KNOWN, **T300_934})
    if cell not in ("reduced", "full"):
        raise unknown("cell", cell, ("reduced", "full"))
    if cell == "full":
        mechanics = thermoelastic_cell(packing, refine, reference)
    elif cell != "reduced":
        raise unknown("cell", cell, ["reduced", "full"])
    else:
        box = np.array([p.prior.box(4.0) for p in phases_of(packing)])
        reduced = reduced_cell(box[:, 0], box[:, 1], packing, refine).kernel
        mechanics = couple(reduced, thermal_identities(reference), range(8), range(13), [], example[:13])
    names = ("matrix_conductivity", "fibre_transverse_conductivity", "matrix_conductivity")  # the third: contact, perfect here
    index = [INDEX[n] for n in (*names, "volume_fraction", "matrix_heat_capacity", "fibre_heat_capacity")]
    return beside(mechanics, conductive_table(packing, refine), range(13), index, example)


AXIAL = [INDEX[n] for n in ("volume_fraction", "fibre_axial_conductivity", "matrix_conductivity")]  # conduction along the fibre

# ---------------------------------------------------------------------------------------------------------------------- laminae

PROPERTIES = {
    "axial_modulus": "GPa",
    "transverse_modulus": "GPa",
    "shear_modulus": "GPa",
    "poisson_ratio": "",
    "axial_expansion": "um/m/K",
    "transverse_expansion": "um/m/K",
    "axial_conductivity": "W/m/K",
    "transverse_conductivity": "W/m/K",
}
DIRECT = ("matrix_modulus", "matrix_expansion", "matrix_conductivity")
LAMINAE = Schema(
    experiment="laminae",
    description="Moduli, thermal expansion and conductivity of a unidirectional lamina along (axial) and across (transverse) its fibres.",
    quantities={**PROPERTIES, "matrix_modulus": "GPa", "matrix_expansion": "um/m/K", "matrix_conductivity": "W/m/K"},
    positive=tuple(q for q in (*PROPERTIES, *DIRECT) if q.endswith(("modulus", "conductivity"))),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the lamina"),
        *(
            Column(p.name, p.unit, required=False, lower=p.lower, upper=p.upper, description=f"known {p.description}; blank: as the settings say")
            for p in PHASES
        ),
    ),
    settings=(Setting("specimen", default="", kind="text", description="lamina to fit; needed where the file holds several"), *CELL),
    example_rows=(
        {"quantity": "axial_expansion", "specimen": "A", "volume_fraction": 0.57, "value": 0.0, "unit": "um/m/K", "sd": 0.05},
        {"quantity": "transverse_expansion", "specimen": "A", "volume_fraction": 0.57, "value": 29.0, "unit": "um/m/K", "sd": 1.0},
        {"quantity": "axial_modulus", "specimen": "A", "volume_fraction": 0.57, "value": 135, "unit": "GPa", "sd": 4},
    ),
)


@njit(cache=True, error_model="numpy")
def properties(x, facts, out):
    """x: the law's answer, then v, k_1f, k_m. facts: number of the property in the order of PROPERTIES."""
    kind = int(facts[0])
    c = x[:36].copy().reshape(6, 6)
    adjugate = np.empty_like(c[:3, :3])  # of the block of normal strains; shears are apart in an aligned cell
    for i in range(3):
        for j in range(3):
            a, b, d, e = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            adjugate[j, i] = c[a, d] * c[b, e] - c[a, e] * c[b, d]
    det = c[0, 0] * adjugate[0, 0] + c[0, 1] * adjugate[1, 0] + c[0, 2] * adjugate[2, 0]
    if kind < 2:
        out[0] = det / adjugate[kind, kind]
    elif kind == 2:
        out[0] = c[5, 5]
    elif kind == 3:
        out[0] = -adjugate[0, 1] / adjugate[0, 0]
    elif kind < 6:
        i = kind - 4
        out[0] = (adjugate[i, 0] * x[36] + adjugate[i, 1] * x[37] + adjugate[i, 2] * x[38]) / det
    elif kind == 6:
        out[0] = x[47] * x[48] + (1.0 - x[47]) * x[49]
    else:
        out[0] = x[43]


def _answer(s: Any) -> tuple[Kernel, np.ndarray]:
    """The law for the settings, and an example of what a macro problem is told: its answer, then v, k_1f, k_m."""
    micro = law(str(s["packing"]), str(s["cell"]), int(s["refine"]), float(s["reference"]))
    return micro, np.concatenate([micro(micro.example), micro.example[AXIAL]])


def laminae(table: Table) -> Model:
    """One lamina: row i of y is row i of the (selected and sorted) table; see :data:`LAMINAE`."""
    s = table.settings
    names = [str(n) for n in dict.fromkeys(table.columns["specimen"].astype(str))]
    if s["specimen"] and s["specimen"] not in names:
        raise unknown("specimen", s["specimen"], names)
    if not s["specimen"] and len(names) > 1:
        raise HmmInferError(f"The data hold {len(names)} laminae; choose one with the setting specimen: {', '.join(names)}.")
    table = table.take(np.flatnonzero(table.columns["specimen"].astype(str) == (s["specimen"] or names[0])))
    direct = np.isin(table.quantity, DIRECT)
    table = table.take(np.concatenate([np.flatnonzero(~direct), np.flatnonzero(direct)]))
    kind = [list(PROPERTIES).index(q) for q in table.quantity if q in PROPERTIES]
    micro, example = _answer(s)
    parameters = ParameterSet((*phases_of(str(s["packing"])), *THERMAL))
    known = dict(KNOWN)
    for p in PHASES:
        given = np.unique(table.columns[p.name][np.isfinite(table.columns[p.name])])
        if given.size > 1:
            raise HmmInferError(f"Lamina {s['specimen'] or names[0]!r} has several values of {p.name}; it can have one.")
        if given.size and p.name == "volume_fraction":
            parameters = parameters.replaced({p.name: Normal(float(given[0]), 0.02, 0.01, 0.9)})
        elif given.size:
            known[p.name] = float(given[0])
    if not np.any(np.char.find(table.quantity.astype(str), "expansion") >= 0):
        known |= {k: v for k, v in T300_934.items() if k.endswith("expansion")}
    for what, name in (("axial", "fibre_axial"), ("transverse", "fibre_transverse"), ("transverse", "matrix")):
        if f"{what}_conductivity" in table.quantity or f"{name}_conductivity" in table.quantity:
            del known[f"{name}_conductivity"]
    observe = closure(properties, np.array(kind, float)[:, None], 1, example)
    index = [INDEX[q] for q in table.quantity if q in DIRECT]
    kernel = couple(micro, observe, range(len(PARAMETERS)), AXIAL, index, micro.example)
    about = {k: s[k] for k in ("packing", "cell", "refine", "reference")} | {"specimen": s["specimen"] or names[0]}
    observables = by_quantity(table, {})
    return Model(parameters=parameters, kernel=kernel, observables=observables, fixed=known, table=table, about=about, panels=("ratios", "scores"))


@prediction(*CELL, small={"cell": "full", "refine": 1})
def lamina_properties(**s: Any) -> Model:
    """Prediction model: moduli, expansions and conductivities of a lamina."""
    micro, example = _answer(s)
    observe = closure(properties, np.arange(8.0)[:, None], 1, example)
    kernel = couple(micro, observe, range(len(PARAMETERS)), AXIAL, [], micro.example)
    observables = tuple(Observable(q, u, np.array([i]), "lamina") for i, (q, u) in enumerate(PROPERTIES.items()))
    return Model(parameters=ParameterSet((*phases_of(str(s["packing"])), *THERMAL)), kernel=kernel, observables=observables, fixed=KNOWN)


# ------------------------------------------------------------------------------------------------------------------------ strip

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
        Setting("temperature_rise", "K", default=50.0, description="of the lower surface, for load = heat"),
        Setting("stress", "MPa", default=100.0, description="on the right end, for load = stretch; the strip is then insulated"),
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


@njit(cache=True, error_model="numpy")
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
    try:
        angles = np.array([float(a) for a in str(s["layup"]).split("/")])
    except ValueError:
        angles = np.array([np.nan])
    if not np.all(np.isin(angles, (0.0, 90.0))):
        raise HmmInferError(f"layup is {s['layup']!r}; write layers of 0 and 90 from below, like 0/90/0.")
    return angles


def strip(table: Table) -> Model:
    """A strip of layers: row i of y is row i of the table; see :data:`STRIP`. Half of one twice as long, for its left end slides."""
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
    micro, example = _answer(s)
    facts = np.stack([angles, np.full(len(angles), s["reference"])], axis=1)
    plane = closure(section, facts, NUMBERS, example)
    kernel = couple(micro, chain(plane, macro), range(len(PARAMETERS)), AXIAL, [], micro.example)
    known = {**KNOWN, **{k: T300_934[k] for k in ("fibre_axial_expansion", "fibre_transverse_expansion")}}
    about = {k: s[k] for k in ("layup", "load", "packing", "cell", "refine")}
    observables = by_quantity(table, {"x": "mm", "y": "mm", "time": "s"})
    scene = {"domain": domain, "settings": s}
    return Model(
        parameters=ParameterSet((*phases_of(str(s["packing"])), *THERMAL)),
        kernel=kernel,
        observables=observables,
        fixed=known,
        table=table,
        about=about,
        scene=scene,
        panels=(_in_time, "against" if len(table) > 12 else "ratios", "scores"),
    )


def _in_time(ax: Any, reading: Any, model: Model) -> None:
    """Every quantity over time at its points: posterior predictive bands and data, each quantity over its largest value."""
    table = model.table
    assert table is not None
    c = table.columns
    for k, name in enumerate(dict.fromkeys(table.quantity.tolist())):
        rows = np.flatnonzero(table.quantity == name)
        scale = np.abs(table.value[rows]).max()
        drawn = reading["posterior_predictive"][name].values.reshape(-1, len(rows)) / scale
        low, high = np.quantile(drawn, [0.055, 0.945], axis=0)
        order = np.argsort(c["time"][rows], kind="stable")
        t = c["time"][rows][order]
        ax.vlines(t, low[order], high[order], color=f"C{k}", alpha=0.35, lw=4)
        label = f"{name.replace('_', ' ')} / {scale:.3g} {table.unit[rows[0]]}"
        ax.plot(t, table.value[rows][order] / scale, "o", ms=3, color=f"C{k}", label=label)
    ax.set(xlabel="time (s)", ylabel="over the largest value")
    ax.set_title("measured (dots), predicted (89 % bands)")
    ax.legend()


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
    observables = tuple(
        Observable(name, STRIP.quantities.get(name, "K"), np.arange(i * len(times), (i + 1) * len(times)), "time", coords)
        for i, name in enumerate(where)
    )
    return Model(parameters=model.parameters, kernel=model.kernel, observables=observables, fixed=model.fixed, about=model.about, scene=model.scene)


_OF_LAMINAE = {"lamina_properties": lamina_properties}
_OF_STRIPS = {"strip_history": strip_history}
EXPERIMENTS = Experiments(
    "thermoelastic_composite",
    Experiment(
        LAMINAE, laminae, "carbon_expansion", "moduli, expansion and conductivity of a lamina", _OF_LAMINAE, small={"cell": "full", "refine": 1}
    ),
    Experiment(
        STRIP,
        strip,
        "heated_strip",
        "layers that bend when warmed and cool when stretched",
        _OF_STRIPS,
        small={"cell": "full", "refine": 1, "elements_x": 2, "steps": 12, "ramp": 10, "layer_thickness": 10},
        variants=({"load": "stretch", "layup": "0/90"},),
    ),
)
PREDICTIONS = EXPERIMENTS.predictions
