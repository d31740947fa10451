"""Plates as scikit-fem meshes with quadratic elements: rectangles, plates with a hole, and meshes read from files.

Lengths in mm. See :class:`.domain.Domain` for the arrays of a mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skfem

from hmminfer.errors import HmmInferError
from hmminfer.macro.domain import Domain
from hmminfer.units import factor


@dataclass(frozen=True, eq=False)
class Plate(Domain):
    """A plate of quadratic elements, lengths in mm; ``hole``: centre and radius, for points, messages and figures."""

    hole: tuple[float, float, float] | None = None
    called = "plate"
    unit = " mm"

    @property
    def extent(self) -> str:
        """Extent of the plate, for messages."""
        return super().extent + (", less its hole" if self.hole else "")

    def outside(self, points: np.ndarray) -> np.ndarray:
        """True for points off the bounding box or inside the hole."""
        off = super().outside(points)
        if self.hole is not None:
            x, y, r = self.hole
            off |= np.hypot(points[:, 0] - x, points[:, 1] - y) < r * (1 - 1e-6)
        return off


def _graded(length: float, n: int, ratio: float) -> np.ndarray:
    """Points of n intervals, symmetric; sizes grow geometrically from both ends, ``ratio`` times from an end to the middle.

    The points lie on a fixed smooth map of each half, so that refining n refines every interval alike.
    """
    s = np.linspace(0.0, 2.0, n + 1)
    side = np.minimum(s, 2.0 - s)
    half = side if ratio == 1.0 else (ratio**side - 1.0) / (ratio - 1.0)
    return 0.5 * length * np.where(s <= 1.0, half, 2.0 - half)


def rectangle(length: float, width: float, nx: int, ny: int, grading: float = 1.0, grading_y: float = 1.0) -> Plate:
    """Plate [0, length] x [0, width] with nx by ny elements; ``grading``: size in the middle over size at the ends.

    Corners of grips are singular: with elements that grow geometrically away from them, the displacements gain a digit of accuracy.
    """
    return Plate(skfem.MeshQuad.init_tensor(_graded(length, nx, grading), _graded(width, ny, grading_y)))


def plate_with_hole(length: float, width: float, radius: float, n: int = 6) -> Plate:
    """Rectangle with a central circular hole: blocks around the hole, ``n`` elements per eighth turn, graded towards the rim."""
    if not 0 < 2 * radius < 0.9 * min(length, width):
        raise HmmInferError(f"A hole of radius {radius:g} mm does not fit a {length:g} x {width:g} mm plate; it needs 2 r < 0.9 width.")
    half = 0.5 * min(length, width)
    m = 2 * n
    share = np.linspace(-1.0, 1.0, m + 1)
    layers = n + max(2, int(np.ceil(n * np.log2(half / radius) / 2)))
    growth = (np.geomspace(1.0, half / radius, layers + 1) - 1.0) / (half / radius - 1.0)
    points, quads = [], []
    start = 0
    for side in range(4):  # ring from the circle to a square
        angle = side * np.pi / 2 + share * np.pi / 4
        circle = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        wall = half * circle / np.max(np.abs(circle), axis=1, keepdims=True)
        s = growth[:, None, None]
        block = (1 - s) * circle + s * wall
        points.append(block.reshape(-1, 2))
        quads.append(_lattice(start, layers + 1, m + 1))
        start += (layers + 1) * (m + 1)
    long_axis = 0 if length >= width else 1
    extra = 0.5 * max(length, width) - half
    if extra > 1e-9 * half:
        step = np.ptp(half * np.tan(share * np.pi / 4)) / m
        columns = max(1, int(np.ceil(extra / step / 1.5)))
        t = half * np.tan(share * np.pi / 4)
        for sign in (-1.0, 1.0):
            u = sign * (half + extra * np.linspace(0.0, 1.0, columns + 1))
            block = np.stack(np.meshgrid(u, t, indexing="ij"), axis=-1)
            points.append((block if long_axis == 0 else block[..., ::-1]).reshape(-1, 2))
            quads.append(_lattice(start, columns + 1, m + 1))
            start += (columns + 1) * (m + 1)
    p, q = np.concatenate(points), np.concatenate(quads)
    _, first, inverse = np.unique(np.round(p / radius, 8) + 0.0, axis=0, return_index=True, return_inverse=True)
    p, q = p[first], inverse.ravel()[q]
    x = p[q]
    area = np.sum(x[:, :, 0] * np.roll(x[:, :, 1], -1, 1) - x[:, :, 1] * np.roll(x[:, :, 0], -1, 1), axis=1)
    q[area < 0] = q[area < 0][:, ::-1]
    straight = skfem.MeshQuad(np.ascontiguousarray(p.T), np.ascontiguousarray(q.T))
    curved = skfem.MeshQuad2.from_mesh(straight)
    where = curved.doflocs.copy()
    rim = np.unique(
        skfem.CellBasis(straight, skfem.ElementQuad2())
        .get_dofs(straight.facets_satisfying(lambda c: np.hypot(*c) < radius * 1.0001, boundaries_only=True))
        .all()
    )
    quad2 = skfem.CellBasis(straight, skfem.ElementQuad2())
    target = quad2.doflocs.copy()
    target[:, rim] *= radius / np.hypot(*target[:, rim])
    tree_index = _match(where, quad2.doflocs)
    where[:, tree_index] = target
    where = where + np.array([[0.5 * length], [0.5 * width]])
    mesh = skfem.MeshQuad2(where, curved.t, sort_t=False)
    return Plate(mesh, hole=(0.5 * length, 0.5 * width, radius))


def _match(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Index into the columns of ``a`` for each column of ``b``."""
    from scipy.spatial import cKDTree

    distance, index = cKDTree(a.T).query(b.T)
    if distance.max() > 1e-9 * np.ptp(a):
        raise AssertionError("meshes do not match")
    return index


def _lattice(start: int, rows: int, columns: int) -> np.ndarray:
    grid = start + np.arange(rows * columns).reshape(rows, columns)
    return np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=-1).reshape(-1, 4)


def from_file(path: str | Path, unit: str = "mm") -> Plate:
    """Plate from any 2-D mesh file that meshio reads (triangles or quadrilaterals); ``unit`` of its coordinates, third ones are dropped."""
    path = Path(path)
    if not path.is_file():
        raise HmmInferError(f"Mesh file '{path}' does not exist; check the path.")
    import meshio

    try:
        raw = meshio.read(path)
    except (Exception, SystemExit) as error:  # each reader of meshio raises its own types for a broken file
        raise HmmInferError(f"meshio cannot read '{path}': {error}. Give a mesh format that meshio knows (.msh, .vtu, .inp ...).") from None
    for kind, cls in (("quad", skfem.MeshQuad), ("triangle", skfem.MeshTri)):
        cells = [block.data for block in raw.cells if block.type == kind]
        if cells:
            t = np.concatenate(cells)
            used, compact = np.unique(t, return_inverse=True)
            p = factor(unit, "mm") * np.ascontiguousarray(raw.points[used, :2].T.astype(float))
            if not np.all(np.ptp(p, axis=1) > 0.0):
                raise HmmInferError(f"The mesh '{path}' does not lie in the plane of x and y; export it there, with x along the load.")
            return Plate(cls(p, np.ascontiguousarray(compact.reshape(t.shape).T)))
    found = ", ".join(sorted({block.type for block in raw.cells})) or "none"
    raise HmmInferError(f"'{path}' holds no plane triangles or quadrilaterals (cells found: {found}); export a 2-D mesh.")
