"""Synthetic data of composites: plates with fibres, heated plates, locally periodic material, strips; the definition of a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hmminfer import models
from hmminfer.macro.resolved import resolved
from hmminfer.system.tables import RawTable

MATERIAL = {
    "fibre_axial_modulus": 230.0,
    "fibre_transverse_modulus": 15.0,
    "fibre_shear_modulus": 25.0,
    "fibre_axial_poisson": 0.20,
    "fibre_transverse_poisson": 0.25,
    "matrix_poisson": 0.36,
}
HIDDEN = {"matrix_modulus": 3.8, "volume_fraction": 0.58}
RESIN, CONTENT = "LogNormal(4 GPa, 0.5)", "Normal(0.62, 0.06, lower=0.3, upper=0.8)"  # priors with which the files are analysed
CELL_REFINE = 8  # the models use 4
DISPLACEMENT_SD = 1.0  # um, about 0.02 px of a camera that sees 100 mm on 2,000 px
FORCE_SD = 0.01  # relative

CASES: dict[str, dict[str, Any]] = {
    "plate_dic": {
        "settings": {"length": "100 mm", "width": "25 mm", "thickness": "1 mm", "displacement": "0.1 mm"},
        "grid": (15, 8),
        "mesh": {"elements_x": 64, "elements_y": 32},
        "angle": lambda x, y: 27.0 + 0.0 * x,
        "truth": "fibre_angle 27 deg, volume_fraction 0.58, matrix_modulus 3.8 GPa",
        "known": {**MATERIAL, "matrix_modulus": RESIN, "volume_fraction": CONTENT},
        "seed": 20261122,
    },
    "tow_steered_plate": {
        "settings": {"length": "100 mm", "width": "50 mm", "thickness": "1 mm", "displacement": "0.1 mm", "orientation": "field"},
        "grid": (24, 12),
        "mesh": {"elements_x": 64, "elements_y": 32},
        "angle": lambda x, y: 20.0 + 25.0 * np.sin(np.pi * x / 100.0) + 6.0 * np.cos(np.pi * y / 50.0),
        "truth": "fibre_angle(x, y) = 20 + 25 sin(pi x / 100 mm) + 6 cos(pi y / 50 mm) deg, matrix_modulus 3.8 GPa",
        "known": {**MATERIAL, "matrix_modulus": RESIN, "volume_fraction": HIDDEN["volume_fraction"]},
        "seed": 20261123,
    },
}


def measure(name: str) -> tuple[RawTable, dict[str, Any]]:
    """Noisy data of one case as a table, and what its provenance must say."""
    case = CASES[name]
    fibre = models.get("fibre_composite")
    s = {"experiment": "plate", **case["settings"]}
    length, width = (float(s[k].split()[0]) for k in ("length", "width"))
    nx, ny = case["grid"]
    xs = np.linspace(0.05 * length, 0.95 * length, nx)
    ys = np.linspace(0.08 * width, 0.92 * width, ny)
    points = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2).round(3)
    rows = [
        {"quantity": q, "x": f"{x:g}", "y": f"{y:g}", "value": "0", "unit": "um", "sd": f"{DISPLACEMENT_SD:g}"}
        for q in ("displacement_x", "displacement_y")
        for x, y in points
    ]
    rows.append({"quantity": "force", "x": "", "y": "", "value": "0", "unit": "N", "sd": "1"})
    header = ("quantity", "x [mm]", "y [mm]", "value", "unit", "sd")
    raw = RawTable(name, "", s, header, rows, list(range(2, 2 + len(rows))), {})
    truth = fibre.EXPERIMENTS.plate.model(raw, cell="full", refine=CELL_REFINE, angle=case["angle"], **case["mesh"])
    table = truth.table
    assert table is not None
    y = truth.evaluate({**MATERIAL, **HIDDEN})
    sd = np.where(table.quantity == "force", FORCE_SD * np.abs(y), DISPLACEMENT_SD)
    noisy = y + sd * np.random.default_rng(case["seed"]).standard_normal(len(y))
    for row, value, noise in zip(rows, noisy, sd, strict=True):
        row["value"], row["sd"] = f"{value:.3f}", f"{noise:.4g}"
    units = {k: " GPa" if k.endswith("modulus") else "" for k in case["known"]}
    settings = {**s, **{k: f"{v:g}{units[k]}" if units[k] and not isinstance(v, str) else v for k, v in case["known"].items()}}
    facts = {
        "truth": case["truth"],
        "seed": case["seed"],
        "cell_refine": CELL_REFINE,
        "nodes": truth.about["nodes"],
        "unknowns": truth.about["unknowns"],
    }
    return RawTable(name, "", settings, header, rows, raw.lines, {}), facts


def provenance(name: str, facts: dict[str, Any]) -> str:
    """Text of provenance.toml."""
    return f'''title = "Synthetic {name.replace("_", " ")}: displacement field and force of a gripped composite plate"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the finer model below"
units = "displacements in um, force in N, lengths in mm"
uncertainty = "independent Gaussian noise, sd {DISPLACEMENT_SD:g} um on displacements (about 0.02 px), {100 * FORCE_SD:g} % on the force"
licence = "MIT, as the repository"
truth = "{facts["truth"]}"
notes = "Truth from a full hexagonal cell with {facts["cell_refine"]} elements a side (the models use 4) and a plate of {facts["nodes"]} nodes, \
{facts["unknowns"]} unknowns, more than twice finer than the models' default in each direction. The header fixes the fibre, known from other tests."
seed = {facts["seed"]}
'''


HEATED = {
    "length": "50 mm",
    "width": "50 mm",
    "elements_x": 12,
    "elements_y": 12,
    "zones_x": 2,
    "zones_y": 2,
    "matrix_conductivity": "0.25 W/m/K",
    "inclusion_conductivity": "6 W/m/K",
}
HEATED_CONTENT = (0.20, 0.50, 0.45, 0.30)
HEATED_FINE = {"elements_x": 64, "elements_y": 64, "refine": 8, "cell": "full"}  # the model that fits has 12, 12 and 4
HEATED_SEED = 20261124


def heated_plate() -> tuple[RawTable, str]:
    """Noisy temperatures and heat flow of a plate of four zones, and its provenance."""
    xs = ys = np.linspace(4.0, 46.0, 8)
    points = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2).round(3)
    rows = [{"quantity": "temperature", "x": f"{x:g}", "y": f"{y:g}", "value": "0", "unit": "K", "sd": "0.2"} for x, y in points]
    rows.append({"quantity": "heat_flow", "x": "", "y": "", "value": "0", "unit": "W/m", "sd": "0.25"})
    header = ("quantity", "x [mm]", "y [mm]", "value", "unit", "sd")
    raw = RawTable("heated_plate", "", {"experiment": "plate", **HEATED}, header, rows, list(range(2, 2 + len(rows))), {})
    truth = models.get("heat_composite").EXPERIMENTS["plate"].model(raw, **HEATED_FINE)
    y = truth.evaluate({"volume_fraction": HEATED_CONTENT})
    assert truth.table is not None
    noisy = y + truth.table.sd * np.random.default_rng(HEATED_SEED).standard_normal(len(y))
    for row, value in zip(rows, noisy, strict=True):
        row["value"] = f"{value:.3f}"
    return (
        raw,
        f"""title = "Synthetic heated plate: temperatures and heat flow of a composite plate of four zones"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the finer model below"
units = "temperatures in K, heat flow in W per metre of thickness, lengths in mm"
uncertainty = "independent Gaussian noise, sd 0.2 K on temperatures (thermography), 0.25 W/m on the flow (about 1 %)"
licence = "MIT, as the repository"
truth = "volume_fraction {", ".join(map(str, HEATED_CONTENT))} (zones along y first)"
notes = "Truth from the full cell with {HEATED_FINE["refine"]} elements a side (the model uses 4) on {HEATED_FINE["elements_x"]} x \
{HEATED_FINE["elements_y"]} biquadratic elements (the model uses 12 x 12). The header fixes both conductivities."
seed = {HEATED_SEED}
""",
    )


GRADED = {**{k: v for k, v in HEATED.items() if not k.startswith("zones")}, "content": "field"}
GRADED_FINE = {**HEATED_FINE, "elements_x": 60, "elements_y": 60, "zones_x": 30, "zones_y": 30, "content": "zones"}
GRADED_SEED = 20261128


def graded_content(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Volume fraction over the plate (mm): a ridge and a slope, no sum of the basis functions that fit it."""
    return 0.30 + 0.16 * np.exp(-(((x - 16.0) / 12.0) ** 2) - ((y - 32.0) / 14.0) ** 2) + 0.002 * (x - 25.0)


def graded_plate() -> tuple[RawTable, str]:
    """Noisy temperatures and heat flow of a plate whose volume fraction varies smoothly, and its provenance."""
    side = np.linspace(3.0, 47.0, 12)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2).round(3)
    rows = [{"quantity": "temperature", "x": f"{x:g}", "y": f"{y:g}", "value": "0", "unit": "K", "sd": "0.1"} for x, y in points]
    rows.append({"quantity": "heat_flow", "x": "", "y": "", "value": "0", "unit": "W/m", "sd": "0.25"})
    header = ("quantity", "x [mm]", "y [mm]", "value", "unit", "sd")
    settings = {"experiment": "plate", **GRADED}
    raw = RawTable("graded_plate", "", settings, header, rows, list(range(2, 2 + len(rows))), {})
    truth = models.get("heat_composite").EXPERIMENTS["plate"].model(raw, **GRADED_FINE)
    middle = (np.arange(30) + 0.5) * 50.0 / 30.0
    y = truth.evaluate({"volume_fraction": graded_content(*np.meshgrid(middle, middle, indexing="ij")).ravel()})
    assert truth.table is not None
    noisy = y + truth.table.sd * np.random.default_rng(GRADED_SEED).standard_normal(len(y))
    for row, value in zip(rows, noisy, strict=True):
        row["value"] = f"{value:.3f}"
    return (
        raw,
        f"""title = "Synthetic graded plate: temperatures and heat flow of a composite plate whose volume fraction varies smoothly"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the finer model below"
units = "temperatures in K, heat flow in W per metre of thickness, lengths in mm"
uncertainty = "independent Gaussian noise, sd 0.1 K on temperatures (thermography), 0.25 W/m on the flow (about 1 %)"
licence = "MIT, as the repository"
truth = "volume_fraction(x, y) = 0.30 + 0.16 exp(-((x - 16) / 12)^2 - ((y - 32) / 14)^2) + 0.002 (x - 25), x and y in mm"
notes = "Truth from the full cell with {GRADED_FINE["refine"]} elements a side (the model uses 4) in each of 30 x 30 zones, on {GRADED_FINE["elements_x"]} x \
{GRADED_FINE["elements_y"]} biquadratic elements (the model uses 12 x 12 and a cell at each quadrature point). The header fixes both conductivities."
seed = {GRADED_SEED}
""",
    )


PERIODIC_EPS = 1.0 / 32.0
PERIODIC_SLOW = (1.0, 0.8)
PERIODIC_SEED = 20261125


def periodic_square() -> tuple[RawTable, str]:
    """Noisy temperatures of a resolved solve at a finite eps, and its provenance."""
    oscillation = models.get("heat_composite").oscillation
    axis = np.linspace(0.125, 0.875, 7)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    n = round(32 / PERIODIC_EPS)  # 32 elements to a period, and 16; no cell of the model's

    def a(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (PERIODIC_SLOW[0] + PERIODIC_SLOW[1] * x) * oscillation(x / PERIODIC_EPS, y / PERIODIC_EPS)

    u = resolved(a, 1.0, n, points)
    sd = 5e-4
    noisy = u + sd * np.random.default_rng(PERIODIC_SEED).standard_normal(len(u))
    rows = [
        {"quantity": "temperature", "x": f"{x:g}", "y": f"{y:g}", "value": f"{v:.6f}", "unit": "K", "sd": f"{sd:g}"}
        for (x, y), v in zip(points, noisy, strict=True)
    ]
    header = ("quantity", "x [m]", "y [m]", "value", "unit", "sd")
    known = {"conductivity": "LogNormal(1 W/m/K, 0.5)", "conductivity_slope": "LogNormal(0.8 W/m^2/K, 0.5)"}
    raw = RawTable("periodic_square", "", {"experiment": "periodic", **known}, header, rows, list(range(2, 2 + len(rows))), {})
    return (
        raw,
        f"""title = "Synthetic square of locally periodic material, resolved at eps = 1/{1 / PERIODIC_EPS:g}"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the resolved solve below"
units = "temperatures in K, lengths in m"
uncertainty = "independent Gaussian noise, sd {sd:g} K (about 1 % of the largest temperature)"
licence = "MIT, as the repository"
truth = "a_1 = {PERIODIC_SLOW[0]:g} W/m/K, a_2 = {PERIODIC_SLOW[1]:g} W/m^2/K"
notes = "Truth from {n} x {n} and half as many bilinear elements that resolve every oscillation, 32 to a period, extrapolated to no mesh; \
the model homogenises. \
Coefficient (a_1 + a_2 x) s(x / eps), s as the model's; source 1 W/m^3, edge at 0 K."
seed = {PERIODIC_SEED}
""",
    )


def aristoff_bangerth(elements: int = 256) -> tuple[RawTable, str]:
    """The noiseless data of the benchmark: bicubic elements, 13 x 13 points."""
    import skfem
    from scipy.sparse.linalg import splu
    from skfem.helpers import dot, grad

    side = np.linspace(0.0, 1.0, elements + 1)
    basis = skfem.CellBasis(skfem.MeshQuad.init_tensor(side, side), skfem.ElementQuadP(3), intorder=6)
    x, y = np.asarray(basis.global_coordinates())
    i, j = (np.minimum((v * 8).astype(int), 7) for v in (x, y))
    a = np.ones((8, 8))
    a[1:3, 1:3] = 0.1
    a[5:7, 5:7] = 10.0
    k = skfem.BilinearForm(lambda u, v, w: w.a * dot(grad(u), grad(v))).assemble(basis, a=a[i, j])
    f = skfem.LinearForm(lambda v, _: 10.0 * v).assemble(basis)
    free = np.setdiff1d(np.arange(basis.N), basis.get_dofs().all())
    u = np.zeros(basis.N)
    options = {"SymmetricMode": True}  # symmetric positive definite: no pivoting, a symmetric ordering
    factor = splu(k[free][:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", options=options, diag_pivot_thresh=0.0)
    u[free] = factor.solve(f[free])
    grid = np.arange(1, 14)
    p, q = (v.ravel() for v in np.meshgrid(grid, grid, indexing="ij"))
    value = basis.probes(np.stack([p, q]) / 14.0) @ u
    rows = [
        {"quantity": "temperature", "x": f"{m / 14:.12g}", "y": f"{n / 14:.12g}", "value": f"{v:.8f}", "unit": "K", "sd": "0.05"}
        for m, n, v in zip(p, q, value, strict=True)
    ]
    header = ("quantity", "x [m]", "y [m]", "value", "unit", "sd")
    raw = RawTable("aristoff_bangerth", "", {"experiment": "blocks"}, header, rows, list(range(2, 2 + len(rows))), {})
    return (
        raw,
        '''title = "The benchmark of Aristoff and Bangerth for Bayesian inversion: 64 blocks of unknown conductivity"
source = "D. Aristoff and W. Bangerth, 'A benchmark for the Bayesian inversion of coefficients in partial differential equations', arXiv 2102.07263"
authors = ["D. Aristoff", "W. Bangerth"]
year = 2023
journal = "SIAM Review"
transcribed = "not transcribed: regenerated by datasets/make_synthetic.py of this repository from the problem's definition"
confidence = """
Four of the 169 values are quoted in this project's references and agree to 1.1e-8: 0.06076512 at (1/14, 1/14), 0.71192853 at
(3/14, 3/14), 0.94391546 at (4/14, 4/14), 0.71219287 at (1/2, 1/2). The published file itself was not consulted."""
units = "the benchmark is dimensionless: a square of 1 m, 10 W/m^3, 1 W/m/K say the same"
uncertainty = "the likelihood's sd is 0.05 by definition; the data carry no noise"
licence = "facts of a published benchmark; computed here"
truth = "conductivity 1, but 0.1 in blocks (2..3, 2..3) and 10 in blocks (6..7, 6..7), counted from 1"
notes = """
Truth on 256 x 256 bicubic elements; the model uses the benchmark's own 32 x 32 bilinear ones. The prior's density over theta is proportional
to exp(-(ln theta)^2 / 8), which is ln theta ~ Normal(4, 2^2); the setting density = "log theta" takes ln theta ~ Normal(0, 2^2)."""
''',
    )


STRIP = {"layup": "0/90", "length": "60 mm", "layer_thickness": "1 mm"}
T300_934 = {  # what is known of the material
    "fibre_axial_modulus": "233 GPa",
    "fibre_transverse_modulus": "23.1 GPa",
    "fibre_shear_modulus": "8.96 GPa",
    "fibre_axial_poisson": 0.2,
    "fibre_transverse_poisson": 0.4,
    "matrix_modulus": "4.35 GPa",
    "matrix_poisson": 0.37,
    "fibre_axial_expansion": "-0.54 um/m/K",
    "fibre_transverse_expansion": "10.1 um/m/K",
    "matrix_expansion": "LogNormal(55 um/m/K, 0.15)",
    "fibre_heat_capacity": "1.3 MJ/m^3/K",
    "matrix_heat_capacity": "1.4 MJ/m^3/K",
    "fibre_axial_conductivity": "8 W/m/K",
    "fibre_transverse_conductivity": "1 W/m/K",
}
STRIPS: dict[str, dict[str, Any]] = {  # (quantity, x, y, unit, sd) at each time
    "heated_strip": {
        "settings": {**STRIP, "load": "heat", "temperature_rise": "50 K", "ramp": "2 s"},
        "known": {"volume_fraction": 0.54, "matrix_conductivity": "LogNormal(0.2 W/m/K, 0.3)", **T300_934},
        "times": np.linspace(4.0, 60.0, 15),
        "look": (("deflection", 60, 0, "mm", 0.01), ("temperature_change", 30, 2, "K", 0.3)),
        "title": "deflection and temperature of two layers of carbon/epoxy, 0/90, warmed from below",
        "seed": 20261126,
    },
    "stretched_strip": {
        "settings": {**STRIP, "load": "stretch", "stress": "100 MPa", "ramp": "1 s"},
        "known": {"matrix_conductivity": 0.25, **T300_934, "volume_fraction": CONTENT},
        "times": np.linspace(2.0, 13.0, 12),
        "look": (("extension", 60, 1, "mm", 0.001), ("temperature_change", 30, 0, "K", 0.004), ("temperature_change", 30, 2, "K", 0.004)),
        "title": "extension and temperature of two layers of carbon/epoxy, 0/90, pulled along",
        "seed": 20261127,
    },
}
STRIP_TRUTH = {"volume_fraction": 0.54, "matrix_expansion": 48.0, "matrix_conductivity": 0.25}
STRIP_FINE = {"elements_x": 40, "elements_layer": 4, "steps": 320, "refine": 8, "cell": "full"}  # the model has 10, 1, 40 and 4


def strips(name: str) -> tuple[RawTable, str]:
    """Noisy data of one strip of :data:`STRIPS`, and its provenance."""
    case = STRIPS[name]
    rows = [
        {"quantity": q, "x": f"{x:g}", "y": f"{y:g}", "time": f"{t:g}", "value": "0", "unit": u, "sd": f"{sd:g}"}
        for q, x, y, u, sd in case["look"]
        for t in case["times"]
    ]
    header = ("quantity", "x [mm]", "y [mm]", "time [s]", "value", "unit", "sd")
    settings = {"experiment": "strip", **case["settings"], **case["known"]}
    raw = RawTable(name, "", settings, header, rows, list(range(2, 2 + len(rows))), {})
    truth = models.get("thermoelastic_composite").EXPERIMENTS["strip"].model(raw, **STRIP_FINE)
    y = truth.evaluate(STRIP_TRUTH)
    assert truth.table is not None
    noisy = y + truth.table.sd * np.random.default_rng(case["seed"]).standard_normal(len(y))
    for row, value in zip(rows, noisy, strict=True):
        row["value"] = f"{value:.5f}"
    noise = ", ".join(dict.fromkeys(f"{sd:g} {u} ({q.replace('_', ' ')})" for q, _, _, u, sd in case["look"]))
    return (
        raw,
        f"""title = "Synthetic {name.replace("_", " ")}: {case["title"]}"
source = "synthetic: written by datasets/make_synthetic.py of this repository"
authors = "The hmminfer authors"
year = 2026
transcribed = "not transcribed: computed, then noise added"
confidence = "exact up to the discretisation of the finer model below"
units = "displacements in mm, temperature in K above the start, lengths in mm, time in s"
uncertainty = "independent Gaussian noise, sd {noise}"
licence = "MIT, as the repository"
truth = "volume_fraction {STRIP_TRUTH["volume_fraction"]}, matrix_expansion {STRIP_TRUTH["matrix_expansion"]:g} um/m/K, \
matrix_conductivity {STRIP_TRUTH["matrix_conductivity"]} W/m/K"
notes = "Truth from the full cell with {STRIP_FINE["refine"]} elements a side (the model uses 4), {STRIP_FINE["elements_x"]} x \
8 biquadratic elements (10 x 2) and {STRIP_FINE["steps"]} time steps (40). Fibre and matrix otherwise as the header says, \
T300/934."
seed = {case["seed"]}
""",
    )


def plates(name: str) -> tuple[RawTable, str]:
    """One case of :data:`CASES` and its provenance."""
    raw, facts = measure(name)
    return raw, provenance(name, facts)


WRITERS: dict[str, Callable[[], tuple[RawTable, str]]] = {
    **{name: partial(plates, name) for name in CASES},
    "heated_plate": heated_plate,
    "graded_plate": graded_plate,
    "periodic_square": periodic_square,
    "aristoff_bangerth": aristoff_bangerth,
    **{name: partial(strips, name) for name in STRIPS},
}
TESTED = ("plate_dic", "heated_plate")
