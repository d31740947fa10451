r"""Heat in a composite: infer conductivities of the phases and the conductance of their contact from how heat flows through the whole.

        micro: inclusion in its cell           macro: bulk, plate, blocks
           ______________                       __________________________
          |    .-'''-.   |  flux = h [T]   hot |  v_1   |   v_2  |  v_3   | cold
          |   ( k_i   )  |  across the    ---> |        |        |        | --->
          |    `-...-' k_m  surface            |________|________|________|
          |______________|

    particles   effective conductivity of bulk composites with particles of known size: closed laws of spheres with a resisting surface
    plate       temperatures in a plate with cylinders across it, zone by zone; steady, or in time after its ends change:
                c dT/dt - div(A grad T) = 0 with A from the periodic cell of each zone (FE-HMM)
    periodic    -div(a(x, x / eps) grad T) = f, locally periodic: a cell at each macro point (FE-HMM in full), data at a finite eps
    blocks      -div(a grad T) = f on a square of blocks of unknown constant conductivity: a problem of one scale, and the community's
                benchmark for the inversion of coefficients (Aristoff & Bangerth)

One particle size gives one number, 1 / k' = 1 / k_p + 1 / (a h): two sizes or more separate particle and contact. Temperatures alone
identify ratios of conductivities only; a plate needs its heat flow.

References: Hasselman & Johnson 1987, Bruggeman 1935 (spheres); Perrins, McKenzie & McPhedran 1979 (arrays of cylinders); E & Engquist 2003,
Abdulle 2005 (FE-HMM); Aristoff & Bangerth 2023, SIAM Review 65(4) (blocks). Data: Tan et al. 2016, from the abstract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import skfem
from numba import njit

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import affine, chain, couple, each
from hmminfer.errors import HmmInferError
from hmminfer.macro.bulk import bulk
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import elliptic_kernel
from hmminfer.macro.orientation import MARGIN, field_basis
from hmminfer.macro.parabolic import parabolic_kernel
from hmminfer.macro.resolved import resolved
from hmminfer.micro.conductive_cell import conductive_cell
from hmminfer.micro.conductive_table import conductive_table
from hmminfer.micro.homogeneous import isotropic
from hmminfer.micro.laminate import conductive_laminate
from hmminfer.micro.particles import SCHEMES, particle_conductivity
from hmminfer.micro.pattern_cell import BOUNDARIES, pattern_cell
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, Experiments, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Field, Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal
from hmminfer.system.tables import Table

MATRIX = Parameter("matrix_conductivity", "W/m/K", Normal(220.0, 15.0, 1.0), "conductivity of the matrix", 1e-4, 1e4, "k_m")
PARTICLE = Parameter("particle_conductivity", "W/m/K", LogNormal(300.0, 0.35), "conductivity of the particles", 1e-4, 1e5, "k_p")
CONTACT = Parameter("interface_conductance", "W/m^2/K", LogNormal(1e8, 1.5), "conductance of the surface between the phases", 1.0, 1e13, "h")

# -------------------------------------------------------------------------------------------------------------------- particles

PARTICLES = Schema(
    experiment="particles",
    description="Effective conductivity of bulk composites with particles of known size and content, and of the neat matrix.",
    quantities={"conductivity": "W/m/K", "matrix_conductivity": "W/m/K"},
    positive=("conductivity", "matrix_conductivity"),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the composite"),
        Column("particle_diameter", "um", lower=1e-3, quantities=("conductivity",), description="mean diameter"),
        Column("volume_fraction", lower=0.0, upper=0.9, quantities=("conductivity",), description="of the particles"),
    ),
    settings=(
        Setting(
            "scheme",
            default="dense",
            kind="text",
            choices=SCHEMES,
            description="law of the composite: dense (Bruggeman) or dilute (Hasselman-Johnson)",
        ),
    ),
    example_rows=(
        {"quantity": "conductivity", "specimen": "fine", "particle_diameter": 7, "volume_fraction": 0.4, "value": 182, "unit": "W/m/K", "sd": 7},
        {"quantity": "conductivity", "specimen": "coarse", "particle_diameter": 250, "volume_fraction": 0.4, "value": 272, "unit": "W/m/K", "sd": 11},
        {"quantity": "matrix_conductivity", "specimen": "neat", "value": 220, "unit": "W/m/K", "sd": 15},
    ),
)


def particles(table: Table) -> Model:
    """Bulk composites: row i of y is row i of the (sorted) table; see :data:`PARTICLES`."""
    direct = table.quantity == "matrix_conductivity"
    table = table.take(np.concatenate([np.flatnonzero(~direct), np.flatnonzero(direct)]))
    rows = np.flatnonzero(table.quantity == "conductivity")
    if rows.size == 0:
        raise HmmInferError("No row of conductivity is given; the neat matrix alone tells nothing of the particles.")
    radius = 0.5e-6 * table.columns["particle_diameter"][rows]
    micro = particle_conductivity(radius, table.columns["volume_fraction"][rows], str(table.settings["scheme"]))
    parameters = ParameterSet((MATRIX, PARTICLE, CONTACT))
    kernel = couple(micro, bulk(len(rows)), range(3), [], [0] * int(direct.sum()), parameters.vector({}))
    about = {"scheme": table.settings["scheme"]}
    observables = by_quantity(table, {"particle_diameter": "um", "volume_fraction": ""})
    return Model(parameters=parameters, kernel=kernel, observables=observables, table=table, about=about, panels=("ratios", _ridge))


@prediction(
    Setting("diameters", "um", tuple(np.geomspace(1.0, 1000.0, 61)), "numbers", lower=1e-3, description="of the particles"),
    Setting("volume_fraction", default=0.4, lower=0.0, upper=0.9, description="of the particles"),
    *PARTICLES.settings,
    small={"diameters": [5.0, 50.0]},
)
def sizes(diameters: np.ndarray, volume_fraction: float, scheme: str) -> Model:
    """Prediction model: conductivity of composites over particle diameters."""
    parameters = ParameterSet((MATRIX, PARTICLE, CONTACT))
    kernel = particle_conductivity(0.5e-6 * diameters, np.full(diameters.shape, volume_fraction), scheme)
    coords = {"particle_diameter": (diameters, "um")}
    observable = Observable("conductivity", "W/m/K", np.arange(diameters.size), "particle_diameter", coords)
    about = {"scheme": scheme, "volume_fraction": volume_fraction}
    return Model(parameters=parameters, kernel=kernel, observables=(observable,), about=about)


def _ridge(ax: Any, reading: Any, model: Model) -> None:
    """Particle against matrix: the ridge along which a better matrix asks for worse particles; colour: their contact."""
    if not all(p.name in reading["posterior"] for p in (MATRIX, PARTICLE, CONTACT)):
        ax.text(0.5, 0.5, "a conductivity is known", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    m, k, h = (reading["posterior"][p.name].values.ravel() for p in (MATRIX, PARTICLE, CONTACT))
    dots = ax.scatter(m, k, c=np.log10(h), s=3, cmap="viridis")
    ax.figure.colorbar(dots, ax=ax, label="log10 of the interface conductance $h$ (W/m²/K)", shrink=0.8)
    ax.set(xlabel="matrix conductivity $k_m$ (W/m/K)", ylabel="particle conductivity $k_p$ (W/m/K)")
    ax.set_title("what the sizes separate")


# ------------------------------------------------------------------------------------------------------------------------ plate

PLATE = Schema(
    experiment="plate",
    description="Temperatures in a plate of matrix with cylinders across it, its left end hot and its right end cold, its sides insulated.",
    quantities={"temperature": "K", "heat_flow": "W/m"},
    columns=(
        Column("x", "mm", quantities=("temperature",), description="position along the flow"),
        Column("y", "mm", quantities=("temperature",), description="position across the flow"),
        Column("time", "s", required=False, lower=0.0, description="since the ends changed; blank when steady"),
    ),
    settings=(
        Setting("length", "mm", default=100.0, lower=1e-3),
        Setting("width", "mm", default=20.0, lower=1e-3),
        Setting("hot", "K", default=350.0, lower=0.0, description="temperature of the left end"),
        Setting("cold", "K", default=300.0, lower=0.0, description="temperature of the right end"),
        Setting("state", default="steady", kind="text", choices=("steady", "transient"), description="transient: the ends change at time 0"),
        Setting("initial", "K", default=300.0, lower=0.0, description="temperature before, for state = transient"),
        Setting("steps", default=100, kind="integer", lower=2, upper=100000, description="time steps up to the last datum"),
        Setting(
            "content", default="zones", kind="text", choices=("zones", "field"), description="volume fraction by zones, or a smooth Gaussian field"
        ),
        Setting("field_x", default=5, kind="integer", lower=1, upper=20, description="basis functions of the field along x"),
        Setting("field_y", default=5, kind="integer", lower=1, upper=20, description="basis functions along y"),
        Setting("zones_x", default=1, kind="integer", lower=1, upper=50, description="zones of volume fraction along x"),
        Setting("zones_y", default=1, kind="integer", lower=1, upper=50, description="zones along y"),
        Setting(
            "packing", default="square", kind="text", choices=("square", "hexagonal", "laminate"), description="cylinders across the plate, or layers"
        ),
        Setting("layer_angle", "deg", default=0.0, description="from the flow to the layers of packing = laminate"),
        Setting("contact", default="perfect", kind="text", choices=("perfect", "resisting"), description="between cylinder and matrix"),
        Setting(
            "inclusion_radius", "um", default=5.0, lower=1e-3, description="of the cylinders, half thickness of layers; matters where contact resists"
        ),
        Setting("cell", default="table", kind="text", choices=("table", "full"), description="micro problem: tabulated series, or solved"),
        Setting("refine", default=4, kind="integer", lower=1, upper=16, description="elements along a side of the cell"),
        Setting("elements_x", default=24, kind="integer", lower=1, upper=400, description="elements along x, rounded up to whole zones"),
        Setting("elements_y", default=6, kind="integer", lower=1, upper=400, description="elements along y"),
    ),
    example_rows=(
        {"quantity": "temperature", "x": 25, "y": 10, "value": 337.4, "unit": "K", "sd": 0.2},
        {"quantity": "temperature", "x": 75, "y": 10, "value": 312.6, "unit": "K", "sd": 0.2},
        {"quantity": "heat_flow", "value": 5.9, "unit": "W/m", "sd": 0.1},
    ),
)
PHASES = (
    Parameter("matrix_conductivity", "W/m/K", LogNormal(0.3, 0.5), "conductivity of the matrix", 1e-4, 1e4, "k_m"),
    Parameter("inclusion_conductivity", "W/m/K", LogNormal(3.0, 1.0), "conductivity of the inclusions", 1e-4, 1e5, "k_i"),
    Parameter("interface_conductance", "W/m^2/K", LogNormal(1e5, 1.5), "conductance of their surface", 1.0, 1e13, "h"),
    Parameter("matrix_heat_capacity", "MJ/m^3/K", LogNormal(1.7, 0.2), "heat capacity of the matrix", 1e-3, 100.0, "c_m"),
    Parameter("inclusion_heat_capacity", "MJ/m^3/K", LogNormal(1.7, 0.2), "heat capacity of the inclusions", 1e-3, 100.0, "c_i"),
)
KNOWN = {"interface_conductance": 1e5, "matrix_heat_capacity": 1.7, "inclusion_heat_capacity": 1.7}


def plate(table: Table) -> Model:
    """Plate in zones: row i of y is row i of the table; see :data:`PLATE`. Lengths in mm, MJ and MW per volume: units that agree."""
    s = table.settings
    zones = (int(s["zones_x"]), int(s["zones_y"]))
    n = [zones[i] * int(np.ceil(s[k] / zones[i])) for i, k in enumerate(("elements_x", "elements_y"))]
    sides = [np.linspace(0.0, s[k], n[i] + 1) for i, k in enumerate(("length", "width"))]
    domain = Domain(skfem.MeshQuad.init_tensor(*sides))
    share = domain.quadrature_points / domain.box[1]
    cell = [np.minimum((share[..., i] * zones[i]).astype(int), zones[i] - 1) for i in range(2)]
    zone = cell[0] * zones[1] + cell[1]
    field = s["content"] == "field"
    if field:  # a cell at every quadrature point
        if zones != (1, 1):
            raise HmmInferError("A field of the volume fraction needs no zones; leave out zones_x and zones_y.")
        zone = np.arange(zone.size).reshape(zone.shape)
    left, right = domain.on_side("left"), domain.on_side("right")
    fixed, value = np.zeros(len(domain.nodes), bool), np.zeros(len(domain.nodes))
    fixed[left] = fixed[right] = True
    value[left], value[right] = s["hot"], s["cold"]
    macro = _steady(table, domain, fixed, value, zone) if s["state"] == "steady" else _transient(table, domain, fixed, value, zone)

    contact = (s["contact"] == "resisting", 1e-6 * s["inclusion_radius"])
    if s["packing"] == "laminate":
        micro = conductive_laminate(s["layer_angle"], *contact)
    else:
        make = conductive_table if s["cell"] == "table" else conductive_cell
        micro = make(str(s["packing"]), int(s["refine"]), *contact)
    count = int(zone.max()) + 1
    limit = {"square": 0.75, "hexagonal": 0.85, "laminate": 0.90}[s["packing"]]
    content = Parameter(
        "volume_fraction",
        "",
        Normal(0.4, 0.15, 0.02, limit),
        "of the inclusions" + (", zone by zone" if count > 1 else ""),
        0.001,
        0.9,
        "v",
        size=None if count == 1 or field else count,
    )
    if field:
        points, size = domain.quadrature_points.reshape(-1, 2), (int(s["field_x"]), int(s["field_y"]))
        phi, frequencies = field_basis(points, domain.box, *size)
        variation = Field(
            "content_field",
            "",
            Normal(0.0, 1.0),
            "coefficients of the variation of ln(v / (limit - v))",
            symbol="v(x)",
            size=phi.shape[1],
            frequencies=frequencies,
            amplitude=HalfNormal(0.5),
            length_scale=LogNormal(MARGIN * float(np.max(np.ptp(domain.box, axis=0))), 0.5),
        )
        parameters = ParameterSet((*PHASES, content, variation))
        example = parameters.vector({"volume_fraction": 0.3})
        facts = np.hstack([np.full((count, 1), limit), phi])
        spread = closure(graded, facts, 6, example)
        kernel = chain(spread, chain(each(micro, count), macro))
    else:
        parameters = ParameterSet((*PHASES, content))
        law_index = [i for z in range(count) for i in (0, 1, 2, 5 + z, 3, 4)]
        example = parameters.vector({"volume_fraction": 0.3 if count == 1 else np.linspace(0.2, 0.5, count)})
        kernel = couple(each(micro, count), macro, law_index, [], [], example)
    known = dict(KNOWN)
    if s["contact"] == "resisting":
        del known["interface_conductance"]
    about = {k: s[k] for k in ("state", "packing", "contact", "content", "zones_x", "zones_y")}
    observables = by_quantity(table, {"x": "mm", "y": "mm", "time": "s"})
    scene = {"domain": domain, "settings": s, "limit": limit}
    panels = (partial(_content_map, of="mean"), partial(_content_map, of="sd"), "against", "scores") if field else ()
    return Model(parameters=parameters, kernel=kernel, observables=observables, fixed=known, table=table, about=about, scene=scene, panels=panels)


@njit(cache=True, error_model="numpy")
def graded(x, facts, out):
    """x: k_m, k_i, h, c_m, c_i, v, coefficients b of the field. facts: largest v, phi of a point -> the vector of its cell.

    v(x) = limit o / (1 + o) with the odds o = v / (limit - v) exp(phi b): between 0 and the limit whatever the field.
    """
    limit = facts[0]
    odds = x[5] / (limit - x[5])
    s = 0.0 * odds
    for k in range(1, facts.size):
        s += facts[k] * x[5 + k]
    odds *= np.exp(s)
    out[0], out[1], out[2], out[3], out[4], out[5] = x[0], x[1], x[2], limit * odds / (1.0 + odds), x[3], x[4]


def _content_map(ax: Any, reading: Any, model: Model, of: str) -> None:
    """Posterior mean or sd of the volume fraction over the plate."""
    s, limit, box = model.scene["settings"], model.scene["limit"], model.scene["domain"].box
    sides = [np.linspace(box[0, i], box[1, i], 41) for i in range(2)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    phi, _ = field_basis(grid, box, int(s["field_x"]), int(s["field_y"]))
    posterior = reading["posterior"].stack(sample=("chain", "draw")).transpose("sample", ...)
    name = "volume_fraction"
    base = posterior[name].values[:, None] if name in posterior else model.fixed[name]
    odds = base / (limit - base) * np.exp(posterior["content_field"].values @ phi.T)
    v = (limit * odds / (1.0 + odds)).reshape(-1, 41, 41)
    value, cmap = (v.mean(axis=0), "cividis") if of == "mean" else (v.std(axis=0), "magma_r")
    _map(ax, value, (*box[:, 0], *box[:, 1]), "mm", cmap, f"volume fraction, posterior {of}")


def _map(ax: Any, value: np.ndarray, extent: tuple[float, ...], unit: str, cmap: str, title: str) -> None:
    """An image of ``value`` (y, x); diverging colours are centred on zero."""
    reach = {"vmin": -np.abs(value).max(), "vmax": np.abs(value).max()} if cmap.startswith("RdBu") else {}
    image = ax.imshow(value, origin="lower", extent=extent, cmap=cmap, **reach)
    ax.figure.colorbar(image, ax=ax, shrink=0.8)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})")
    ax.set_title(title)


def _steady(table: Table, domain: Domain, fixed: np.ndarray, value: np.ndarray, zone: np.ndarray) -> Any:
    """Temperatures, and the heat flow through the left end per thickness."""
    flow = table.quantity == "heat_flow"
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)[~flow]
    order = np.argsort(np.concatenate([np.flatnonzero(~flow), np.flatnonzero(flow)]))
    hot = np.zeros(len(fixed))
    hot[domain.on_side("left")] = 1.0
    observe = domain.interpolation(points)[0]
    return elliptic_kernel(domain, fixed, value, 0.0 * value, observe, [hot] * int(flow.sum()), zone, order, stride=4)


def _transient(table: Table, domain: Domain, fixed: np.ndarray, value: np.ndarray, zone: np.ndarray) -> Any:
    """Temperatures in time."""
    s = table.settings
    if (table.quantity == "heat_flow").any():
        raise HmmInferError("Heat flow is observed in the steady state only; remove its rows or set state = steady.")
    times = table.columns["time"]
    if not np.isfinite(times).all():
        line = table.line[np.flatnonzero(~np.isfinite(times))[0]]
        raise HmmInferError(f"Line {line} has no time; with state = transient every row needs one.")
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    start = np.where(fixed, value, s["initial"])
    return parabolic_kernel(
        domain, fixed, value, np.zeros(len(fixed)), start, float(times.max()), int(s["steps"]), domain.interpolation(points)[0], times, zone=zone
    )


# ----------------------------------------------------------------------------------------------------------------------- blocks

BLOCKS = Schema(
    experiment="blocks",
    description="A square of blocks of unknown constant conductivity, heated everywhere, its edge held at zero; temperature against the edge.",
    quantities={"temperature": "K"},
    columns=(Column("x", "m", description="from a corner"), Column("y", "m", description="from a corner")),
    settings=(
        Setting("side", "m", default=1.0, lower=1e-6, description="of the square"),
        Setting("source", "W/m^3", default=10.0, description="heat produced everywhere"),
        Setting("blocks", default=8, kind="integer", lower=1, upper=32, description="along each side"),
        Setting("elements", default=32, kind="integer", lower=1, upper=512, description="bilinear elements along each side, a multiple of blocks"),
        Setting(
            "density",
            default="theta",
            kind="text",
            choices=("theta", "log theta"),
            description="over which the prior exp(-(ln theta)^2 / 8) is a density: ln theta ~ Normal(4, 2^2), or Normal(0, 2^2)",
        ),
    ),
    example_rows=(
        {"quantity": "temperature", "x": 0.5, "y": 0.5, "value": 0.71, "unit": "K", "sd": 0.05},
        {"quantity": "temperature", "x": 0.25, "y": 0.5, "value": 0.60, "unit": "K", "sd": 0.05},
    ),
)


def blocks(table: Table) -> Model:
    """-div(a grad T) = f, one conductivity a for each block (block (i, j) along x and y is number i blocks + j)."""
    s = table.settings
    n, m = int(s["blocks"]), int(s["elements"])
    if m % n:
        raise HmmInferError(f"{m} elements do not divide into {n} blocks; give a multiple of {n}.")
    side = np.linspace(0.0, s["side"], m + 1)
    domain = Domain(skfem.MeshQuad.init_tensor(side, side), degree=1)
    number = np.minimum((domain.quadrature_points / s["side"] * n).astype(int), n - 1)
    fixed = domain.boundary
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    zone, observe = number[..., 0] * n + number[..., 1], domain.interpolation(points)[0]
    macro = elliptic_kernel(domain, fixed, np.zeros(len(fixed)), domain.load(s["source"]), observe, zone=zone)
    median = np.exp(4.0) if s["density"] == "theta" else 1.0
    prior = LogNormal(float(median), 2.0)
    conductivity = Parameter("conductivity", "W/m/K", prior, "of each block", 1e-12, 1e12, "a", size=n * n)
    kernel = chain(each(isotropic(), n * n), macro)
    about = {k: s[k] for k in ("blocks", "elements", "density")}
    scene = {"domain": domain, "settings": s, "macro": macro}
    observables = by_quantity(table, {"x": "m", "y": "m"})
    return Model(
        parameters=ParameterSet((conductivity,)),
        kernel=kernel,
        observables=observables,
        table=table,
        about=about,
        scene=scene,
        panels=(partial(_block_map, of="median"), partial(_block_map, of="sd"), "against", "scores"),
    )


def _block_map(ax: Any, reading: Any, model: Model, of: str) -> None:
    """Posterior median or sd of ln a, block by block."""
    n, side = int(model.about["blocks"]), model.scene["settings"]["side"]
    x = np.log(reading["posterior"]["conductivity"].values.reshape(-1, n * n))
    value = np.median(x, axis=0) if of == "median" else x.std(axis=0)
    cmap = "RdBu_r" if of == "median" else "magma_r"
    _map(ax, value.reshape(n, n).T, (0.0, side, 0.0, side), "m", cmap, f"posterior {of} of ln a")


# --------------------------------------------------------------------------------------------------------------------- periodic

PERIODIC = Schema(
    experiment="periodic",
    description="A unit square of locally periodic material, heated everywhere, its edge held at zero; temperature against the edge.",
    quantities={"temperature": "K"},
    columns=(Column("x", "m", lower=0.0, upper=1.0), Column("y", "m", lower=0.0, upper=1.0)),
    settings=(
        Setting("source", "W/m^3", default=1.0, description="heat produced everywhere"),
        Setting("periods", default=32, kind="integer", lower=1, upper=256, description="1 / eps; known to the homogenisation error only"),
        Setting("elements", default=8, kind="integer", lower=2, upper=256, description="macro elements along each side"),
        Setting("degree", default=2, kind="integer", lower=1, upper=2, description="of the macro elements"),
        Setting("cell", default="scaled", kind="text", choices=("scaled", "full"), description="one solve scaled, or one at each macro point"),
        Setting("cell_elements", default=32, kind="integer", lower=4, upper=128, description="micro elements along a period"),
        Setting("cell_meshes", default=2, kind="integer", lower=1, upper=2, description="2: extrapolated from this mesh and half of it"),
        Setting("cell_periods", default=1.0, lower=0.5, upper=16.0, description="side of the cell in periods"),
        Setting("boundary", default="periodic", kind="text", choices=BOUNDARIES, description="of the micro problem"),
    ),
    example_rows=(
        {"quantity": "temperature", "x": 0.5, "y": 0.5, "value": 0.052, "unit": "K", "sd": 0.001},
        {"quantity": "temperature", "x": 0.25, "y": 0.5, "value": 0.043, "unit": "K", "sd": 0.001},
    ),
)
SLOW = (
    Parameter("conductivity", "W/m/K", LogNormal(1.0, 0.5), "a_1, homogenised conductivity at x = 0", 1e-6, 1e6, "a_1"),
    Parameter("conductivity_slope", "W/m^2/K", LogNormal(0.8, 0.5), "a_2, its increase along x", 0.0, 1e6, "a_2"),
)


def oscillation(y1: np.ndarray, y2: np.ndarray) -> np.ndarray:
    """s(y), of period one; its homogenised tensor is exactly the identity."""
    return 64.0 / (9.0 * np.sqrt(17.0)) * (np.sin(2 * np.pi * y1) + 1.125) * (np.cos(2 * np.pi * y2) + 1.125)


def periodic(table: Table) -> Model:
    """-div(a grad T) = f with a(x) = (a_1 + a_2 x_1) s(x / eps), scales separated: FE-HMM, a cell at each x_1 of a quadrature point.

    The cells do not know eps, and no more does the cost; what a finite eps adds is the homogenisation error. An effective tensor is
    homogeneous of degree one in the coefficient, so that cells which differ by a factor alone are one cell, scaled: that is exact, and free
    while sampling; cell = full solves each of them at each theta all the same.
    """
    s = table.settings
    side = np.linspace(0.0, 1.0, int(s["elements"]) + 1)
    domain = Domain(skfem.MeshQuad.init_tensor(side, side), int(s["degree"]))
    x = domain.quadrature_points[..., 0].round(12)
    places, zone = np.unique(x, return_inverse=True)  # a does not vary along y but by its oscillation
    if s["boundary"] == "periodic" and s["cell_periods"] != round(s["cell_periods"]):
        raise HmmInferError(
            f"A periodic cell of {s['cell_periods']:g} periods does not tile the material; give a whole number of periods, or another boundary."
        )
    meshes, corner = int(s["cell_meshes"]), 0.5 * (1.0 - s["cell_periods"])
    n = meshes * round(s["cell_elements"] * s["cell_periods"] / meshes)
    cell = pattern_cell(lambda y1, y2: [oscillation(y1, y2)], n, str(s["boundary"]), (corner, corner), s["cell_periods"], meshes)
    slow = np.stack([np.ones(len(places)), places], axis=1)
    scaled = s["cell"] == "scaled"
    law = affine(np.kron(slow, cell(np.ones(1))[:, None])) if scaled else chain(affine(slow), each(cell, len(places)))
    fixed = domain.boundary
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    observe = domain.interpolation(points)[0]
    macro = elliptic_kernel(domain, fixed, np.zeros(len(fixed)), domain.load(s["source"]), observe, zone=zone.reshape(x.shape))
    parameters = ParameterSet(SLOW)
    kernel = chain(law, macro)

    def resolved_values(values: Mapping[str, Any]) -> np.ndarray:
        a1, a2, m = values["conductivity"], values["conductivity_slope"], int(s["periods"])
        return resolved(lambda x, y: (a1 + a2 * x) * oscillation(m * x, m * y), s["source"], 24 * m, points)

    about = {k: s[k] for k in ("periods", "elements", "cell", "cell_elements", "cell_meshes", "cell_periods", "boundary")}
    return Model(
        parameters=parameters, kernel=kernel, observables=by_quantity(table, {"x": "m", "y": "m"}), table=table, about=about, resolved=resolved_values
    )


# ------------------------------------------------------------------------------------------------------------------ predictions


POINTS = (
    Setting("nx", default=41, kind="integer", lower=2, upper=2001, description="points along x"),
    Setting("ny", default=9, kind="integer", lower=2, upper=2001, description="points along y"),
)


@prediction(*POINTS, *PLATE.settings, small={"nx": 3, "ny": 2, "cell": "full", "refine": 1, "elements_x": 4, "elements_y": 2})
def temperatures(nx: int, ny: int, **settings: Any) -> Model:
    """Prediction model: steady temperatures on a grid over a plate, and the heat flow."""
    table = _grid(PLATE, settings, nx, ny, ("length", "width"), ("heat_flow",))
    if table.settings["state"] != "steady":
        raise HmmInferError("Temperatures over a plate are predicted in the steady state only; set state = steady.")
    return _as_prediction(plate(table), "temperatures", nx * ny, {"heat_flow": "W/m"})


SIDE = Setting("n", default=33, kind="integer", lower=2, upper=2001, description="points along each side")


@prediction(SIDE, *BLOCKS.settings, small={"n": 4, "blocks": 2, "elements": 4})
def block_temperatures(n: int, **settings: Any) -> Model:
    """Prediction model: temperatures on a grid over the square of blocks."""
    return _as_prediction(blocks(_grid(BLOCKS, settings, n, n, ("side", "side"))), "block_temperatures", n * n, {})


@prediction(SIDE, *PERIODIC.settings, small={"n": 3, "elements": 2, "cell_elements": 4})
def periodic_temperatures(n: int, **settings: Any) -> Model:
    """Prediction model: temperatures on a grid over the square of locally periodic material, scales separated (eps to zero)."""
    model = periodic(_grid(PERIODIC, settings, n, n, (1.0, 1.0)))
    return _as_prediction(model, "periodic_temperatures", n * n, {})


def _grid(schema: Schema, settings: Any, nx: int, ny: int, extent: tuple[str | float, ...], more: tuple[str, ...] = ()) -> Table:
    """A table without values: temperatures on a grid, then one row of each of ``more``; ``extent``: numbers, or settings that hold them."""

    def rows(s: dict[str, Any]) -> tuple[list[str], dict[str, np.ndarray]]:
        ends = [s[e] if isinstance(e, str) else e for e in extent]
        x, y = np.meshgrid(np.linspace(0, ends[0], nx), np.linspace(0, ends[1], ny), indexing="ij")
        return ["temperature"] * x.size + list(more), {"x": x.ravel(), "y": y.ravel()}

    return schema.blank(settings, rows)


def _as_prediction(model: Model, name: str, n: int, more: dict[str, str]) -> Model:
    """A model over a grid of n points as a prediction: no table, points as coordinates."""
    table = model.table
    assert table is not None
    schema = EXPERIMENTS[model.experiment].schema
    coords = {c.name: (table.columns[c.name][:n], c.unit) for c in schema.columns if c.name in ("x", "y")}
    observables = [Observable("temperature", "K", np.arange(n), "point", coords)]
    observables += [Observable(k, u, np.array([n + i]), f"{k}_row") for i, (k, u) in enumerate(more.items())]
    return replace(model, experiment=name, observables=tuple(observables), table=None, panels=(), resolved=None)


_OF_PARTICLES = {"sizes": sizes}
_OF_PLATES = {"temperatures": temperatures}
_OF_BLOCKS = {"block_temperatures": block_temperatures}
_OF_PERIODIC = {"periodic_temperatures": periodic_temperatures}
EXPERIMENTS = Experiments(
    "heat_composite",
    Experiment(
        PARTICLES,
        particles,
        "sic_aluminium",
        "conductivity of composites with particles of known sizes",
        _OF_PARTICLES,
        variants=({"scheme": "dilute"},),
    ),
    Experiment(
        PLATE,
        plate,
        "heated_plate",
        "temperatures in a plate with cylinders or layers, steady or in time",
        _OF_PLATES,
        small={"cell": "full", "refine": 1, "elements_x": 4, "elements_y": 2},
        variants=({"zones_x": 2, "contact": "resisting"}, {"packing": "laminate", "layer_angle": 30}),
    ),
    Experiment(
        PERIODIC,
        periodic,
        "periodic_square",
        "temperatures in a square of locally periodic material",
        _OF_PERIODIC,
        small={"elements": 2, "cell": "full", "cell_elements": 4},
    ),
    Experiment(BLOCKS, blocks, "aristoff_bangerth", "temperatures in a square of unknown blocks", _OF_BLOCKS, small={"blocks": 2, "elements": 8}),
)
PREDICTIONS = EXPERIMENTS.predictions
