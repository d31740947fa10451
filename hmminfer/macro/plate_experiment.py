"""A plate pulled along x, as an experiment: its data file, mesh, loading and measured quantities, for the plate model of any material."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, kron, vstack

from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.macro.plane_stress import plane_stress_kernel
from hmminfer.macro.plate_mesh import Plate, from_file, plate_with_hole, rectangle
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.nuisance import Nuisance, weight
from hmminfer.system.tables import Table

SCALE = {  # kernel units (mm, kN, 1) to canonical units of the table
    "displacement_x": ("um", 1e3),
    "displacement_y": ("um", 1e3),
    "strain_xx": ("microstrain", 1e6),
    "strain_yy": ("microstrain", 1e6),
    "strain_xy": ("microstrain", 1e6),
    "force": ("N", 1e3),
    "apparent_modulus": ("GPa", 1.0),
}
TRANSLATION, ROTATION = 1000.0, 0.5  # um, deg: prior sds of a camera's rigid motion, wide against what is left after aligning it
LOCAL = ("displacement_x", "displacement_y", "strain_xx", "strain_yy", "strain_xy")

PLATE = Schema(
    experiment="plate",
    description="Displacements (digital image correlation), strains and the force of a plate pulled along x. Origin at a corner.",
    quantities={name: unit for name, (unit, _) in SCALE.items()},
    columns=(
        Column("x", "mm", quantities=LOCAL, description="position along the load"),
        Column("y", "mm", quantities=LOCAL, description="position across the load"),
    ),
    settings=(
        Setting("length", "mm", default=100.0, lower=1e-3, description="between the grips", only=("mesh", "")),
        Setting("width", "mm", default=25.0, lower=1e-3, only=("mesh", "")),
        Setting("thickness", "mm", default=1.0, lower=1e-6),
        Setting("hole_radius", "mm", default=0.0, lower=0.0, description="central hole; 0 for none"),
        Setting("load", default="grips", kind="text", choices=("grips", "stress"), description="rigid grips that move, or a uniform end stress"),
        Setting("displacement", "mm", default=0.1, description="of the right grip along x", only=("load", "grips")),
        Setting("stress", "MPa", default=100.0, description="on both ends", only=("load", "stress")),
        Setting("orientation", default="uniform", kind="text", choices=("uniform", "zones", "field"), description="of the fibre"),
        Setting("zones", default=2, kind="integer", lower=1, upper=100, description="equal zones along x, for orientation = zones"),
        Setting("field_x", default=12, kind="integer", lower=1, upper=60, description="basis functions along x, for orientation = field"),
        Setting("field_y", default=9, kind="integer", lower=1, upper=60, description="basis functions along y"),
        Setting("elements_x", default=0, kind="integer", lower=0, upper=400, description="elements along x; 0 chooses"),
        Setting("elements_y", default=0, kind="integer", lower=0, upper=400, description="elements along y, or per eighth of a hole"),
        Setting(
            "rigid_motion",
            default="free",
            kind="text",
            choices=("free", "none"),
            description="of the camera: displacements are known up to a translation and a small rotation, or they are absolute",
        ),
        Setting("mesh", default="", kind="file", description="mesh file (meshio) instead of the rectangle; length and width are then its own"),
        Setting("mesh_unit", default="mm", kind="text", choices=("mm", "m", "cm", "um", "inch"), description="of the coordinates in the mesh file"),
    ),
    example_rows=(
        {"quantity": "displacement_x", "x": 50, "y": 12.5, "value": 51.2, "unit": "um", "sd": 1},
        {"quantity": "displacement_y", "x": 50, "y": 12.5, "value": -3.1, "unit": "um", "sd": 1},
        {"quantity": "force", "value": 2350, "unit": "N", "sd": 25},
    ),
)


def rigid_motion(table: Table, plate: Plate) -> tuple[Nuisance, ...]:
    """Motion of the camera in displacements: a translation, and a small rotation about the middle of the plate (u = -omega (y - y_m), v = omega (x - x_m))."""
    x, y = np.isin(table.quantity, "displacement_x"), np.isin(table.quantity, "displacement_y")
    if table.settings["rigid_motion"] == "none" or not np.any(x | y):
        return ()
    middle = plate.box.mean(axis=0)
    per_degree = np.radians(1.0) * SCALE["displacement_x"][1]  # um for a degree and a millimetre
    turned = np.where(x, -(table.columns["y"] - middle[1]), np.where(y, table.columns["x"] - middle[0], 0.0)) * per_degree
    parts = [
        Nuisance(weight("rigid_x", "um", TRANSLATION, "translation of the camera along x", "u_0"), x.astype(float)),
        Nuisance(weight("rigid_y", "um", TRANSLATION, "translation of the camera along y", "v_0"), y.astype(float)),
        Nuisance(weight("rigid_rotation", "deg", ROTATION, "rotation of the camera", "\\omega"), turned),
    ]
    return tuple(n for n in parts if np.any(n.column))


def plate_geometry(s: Any) -> Plate:
    """The meshed plate for settings of :data:`PLATE`; the mesh does not depend on any parameter."""
    if s["mesh"]:
        return from_file(s["mesh"], s["mesh_unit"])
    if s["hole_radius"] > 0:
        return plate_with_hole(s["length"], s["width"], s["hole_radius"], s["elements_y"] or 5)
    ny = s["elements_y"] or 12
    nx = s["elements_x"] or 2 * int(np.clip(round(0.5 * ny * np.sqrt(s["length"] / s["width"])), 6, 30))
    # grading towards the grips' corners: refining once then moves the posterior of plate_dic by less than 0.1 sd (tested);
    # a field needs its elements in the middle too
    grading, grading_y = (8.0, 8.0) if s["orientation"] == "field" else (60.0, 32.0)
    if s["orientation"] == "field":
        nx = s["elements_x"] or max(nx, 24)
    return rectangle(s["length"], s["width"], nx, ny, grading, grading_y)


def _loading(plate: Plate, s: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Prescribed components, their values (mm), nodal forces (kN), and the unit motion of the right grip."""
    n = len(plate.nodes)
    fixed, value, force, grip = np.zeros((n, 2), bool), np.zeros((n, 2)), np.zeros((n, 2)), np.zeros((n, 2))
    left, right = plate.on_side("left"), plate.on_side("right")
    grip[right, 0] = 1.0
    if s["load"] == "grips":
        fixed[left] = fixed[right] = True
        value[right, 0] = s["displacement"]
    else:
        pull = s["stress"] * 1e-3 * s["thickness"]
        force[:, 0] = pull * (plate.edge_load("right") - plate.edge_load("left"))
        middle = 0.5 * (plate.box[0, 1] + plate.box[1, 1])
        a, b = (side[np.argmin(np.abs(plate.nodes[side, 1] - middle))] for side in (left, right))
        fixed[a] = True  # three pins: no rigid motion, no stress
        fixed[b, 1] = True
    return fixed, value, force, grip


def plate_kernel(table: Table, plate: Plate, phi: np.ndarray, known: np.ndarray | float = 0.0) -> Kernel:
    """Plane-stress kernel of a table: row i of y is row i of the table; ``phi``, ``known``: basis of the double angle and its known part."""
    s = table.settings
    local = np.isin(table.quantity, LOCAL)
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    bad = np.flatnonzero(local)[plate.outside(points[local])]
    if bad.size:
        x, y = points[bad[0]]
        raise HmmInferError(
            f"{bad.size} measured points lie outside the plate, the first in line {table.line[bad[0]]} at x = {x:g}, y = {y:g} mm; the "
            f"{'mesh' if s['mesh'] else 'plate'} covers {plate.extent}. {_scale_asked(plate, points[local], bool(s['mesh']))}"
        )
    if s["load"] == "stress" and np.isin(table.quantity, ("force", "apparent_modulus")).any():
        raise HmmInferError("Under load = stress the force is known, not observed; remove the rows of force or set load = grips.")
    observe, reactions, order = _observation(plate, table, points, local)
    fixed, value, force, grip = _loading(plate, s)
    reaction_rows = [f * grip for f in reactions]
    return plane_stress_kernel(plate, s["thickness"], fixed, value, force, observe, reaction_rows, order, phi, known)


_LENGTHS = {"m": 1e3, "cm": 10.0, "um": 1e-3, "inch": 25.4}


def size_of(plate: Plate) -> dict[str, float]:
    """Length and width (mm) of the meshed plate, whatever it was made from."""
    length, width = np.ptp(plate.box, axis=0).tolist()
    return {"length": length, "width": width}


def check_size(table: Table, plate: Plate) -> None:
    """Refuse a length or width that was given and is not that of the mesh."""
    for name, own in size_of(plate).items():
        if table.settings["mesh"] and name in table.given and abs(table.settings[name] - own) > 0.01 * own:
            ratio = table.settings[name] / own
            unit = next((f"; if its coordinates are in {u}, set mesh_unit = {u}" for u, f in _LENGTHS.items() if 0.98 < ratio / f < 1.02), "")
            raise HmmInferError(f"{name} is given as {table.settings[name]:g} mm, and the mesh covers {plate.extent}: leave {name} out{unit}.")


def _scale_asked(plate: Plate, points: np.ndarray, mesh: bool) -> str:
    """Question about units where points and plate differ in size by orders of magnitude; else what to correct."""
    reach, size = float(np.nanmax(np.abs(points))), float(np.max(np.abs(plate.box)))
    if mesh and reach > 50.0 * size:
        return "Are the coordinates of the mesh in metres? Then set mesh_unit = m."
    if reach > 50.0 * size:
        return "Are x and y in another unit, or in pixels? Write it in the header, like 'x [um]'; 'hmminfer convert' takes a pixel size."
    return f"Correct the points or the {'mesh' if mesh else 'settings'}; the origin is a corner of the plate, and x runs along the load."


def _observation(plate: Plate, table: Table, points: np.ndarray, local: np.ndarray) -> tuple[csr_array, list[float], np.ndarray]:
    """Linear functionals of the nodal displacements, factors of the reaction rows, and the order of both in y."""
    s = table.settings
    value, dx, dy = plate.interpolation(points[local])
    ex, ey = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    form = {
        "displacement_x": lambda: kron(value, ex),
        "displacement_y": lambda: kron(value, ey),
        "strain_xx": lambda: kron(dx, ex),
        "strain_yy": lambda: kron(dy, ey),
        "strain_xy": lambda: kron(dy, ex) + kron(dx, ey),
    }
    blocks: list[Any] = []
    order: list[int] = []
    quantity = table.quantity[local]
    for name in dict.fromkeys(quantity.tolist()):
        rows = np.flatnonzero(quantity == name)
        blocks.append(SCALE[name][1] * csr_array(form[name]())[rows])
        order.extend(np.flatnonzero(local)[rows])
    factors, size = [], size_of(plate)
    for i in np.flatnonzero(~local):
        apparent = size["length"] / (size["width"] * s["thickness"] * s["displacement"])
        factors.append(SCALE["force"][1] if table.quantity[i] == "force" else apparent)
        order.append(int(i))
    observe = vstack(blocks).tocsr() if blocks else csr_array((0, 2 * len(plate.nodes)))
    return observe, factors, np.argsort(np.array(order, dtype=np.int64))
