"""Body-fitted quadratic mesh of a fibre in its periodic cell, moving smoothly with the fibre radius.

The mesh is an O-grid: a polygonal core, rings out to the circle, rings on to the cell boundary. A node sits at

    x_i(r) = a_i + r b_i

so every position, and with it every matrix, is smooth in the radius r. The radius follows from the volume fraction v so that
the area of the *discrete* fibre is exact: r^2 = v A / k, with A the cell's area and k the area of the discrete unit disc.
Square cells have 4 sides and one square core block; hexagonal ones 6 sides and a core of three rhombi, so that nodes fall on all
corners and pair across every lattice direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from skfem import ElementQuad2
from skfem.quadrature import get_quadrature
from skfem.refdom import RefQuad

from hmminfer.engine.native import compiled
from hmminfer.errors import unknown

CORE = 0.55  # circumradius of the core polygon over the fibre radius: keeps every angle between 45 and 135 degrees
MAX_FRACTION = {"square": np.pi / 4, "hexagonal": np.pi / (2 * np.sqrt(3))}


class MeshArrays(NamedTuple):
    """The arrays of a mesh as compiled code takes them, one argument for seven; integers are of 64 bits.

    ``a``, ``b`` (nodes, 2): positions x = a + r b; ``connectivity`` (elements, 9) of nodes; ``slot`` (nodes,): the periodic node a mesh node
    stands for, or -1 for the pinned one; ``is_fibre`` (elements,): 1 in the fibre and 0 in the matrix; ``gradient`` (points, 9, 2) and
    ``weight`` (points,): reference shape-function gradients and quadrature weights.
    """

    a: np.ndarray
    b: np.ndarray
    connectivity: np.ndarray
    slot: np.ndarray
    is_fibre: np.ndarray
    gradient: np.ndarray
    weight: np.ndarray


@compiled
def geometry(coords, shape_gradient, grad):
    """Physical gradients of the nine shape functions at one point into ``grad`` (9, 2); returns det J."""
    j00 = j01 = j10 = j11 = 0.0
    for n in range(9):
        j00 += shape_gradient[n, 0] * coords[n, 0]
        j01 += shape_gradient[n, 1] * coords[n, 0]
        j10 += shape_gradient[n, 0] * coords[n, 1]
        j11 += shape_gradient[n, 1] * coords[n, 1]
    det = j00 * j11 - j01 * j10
    for n in range(9):
        grad[n, 0] = (shape_gradient[n, 0] * j11 - shape_gradient[n, 1] * j10) / det
        grad[n, 1] = (shape_gradient[n, 1] * j00 - shape_gradient[n, 0] * j01) / det
    return det


@compiled
def element_coordinates(e, r, mesh, coords):
    """Places of an element's nodes at fibre radius r into ``coords`` (9, 2)."""
    for n in range(9):
        node = mesh.connectivity[e, n]
        coords[n, 0] = mesh.a[node, 0] + r * mesh.b[node, 0]
        coords[n, 1] = mesh.a[node, 1] + r * mesh.b[node, 1]


@compiled
def velocity_gradient(e, grad, mesh):
    """L = sum_n b_n (x) grad N_n = d(dx/dr)/dx at one point: d|J| = |J| tr L dr, d(grad N) = -L^T grad N dr."""
    l22 = l23 = l32 = l33 = 0.0
    for n in range(9):
        node = mesh.connectivity[e, n]
        l22 += mesh.b[node, 0] * grad[n, 0]
        l23 += mesh.b[node, 0] * grad[n, 1]
        l32 += mesh.b[node, 1] * grad[n, 0]
        l33 += mesh.b[node, 1] * grad[n, 1]
    return l22, l23, l32, l33


@dataclass(frozen=True, eq=False)
class CellMesh:
    """Nine-node quadrilaterals of one periodic cell of unit area: the arrays of :class:`MeshArrays`; ``disc_area``: k above."""

    packing: str
    a: np.ndarray
    b: np.ndarray
    connectivity: np.ndarray
    slot: np.ndarray
    is_fibre: np.ndarray
    gradient: np.ndarray
    weight: np.ndarray
    disc_area: float

    @property
    def arrays(self) -> MeshArrays:
        """The contiguous arrays that compiled code takes, and with which the data of a cell's kernel begin."""
        fields = (getattr(self, name) for name in MeshArrays._fields)
        return MeshArrays(*(np.ascontiguousarray(x, float if x.dtype == float else np.int64) for x in fields))

    @property
    def n_slots(self) -> int:
        return int(self.slot.max()) + 1

    def radius(self, volume_fraction: float) -> float:
        """Radius at which the discrete fibre fills ``volume_fraction`` of the unit cell."""
        return float(np.sqrt(volume_fraction / self.disc_area))

    def largest_fraction(self) -> float:
        """Largest volume fraction that is sure to mesh: 99 % of the touching one, less where a coarse mesh folds before."""
        for v in 0.99 * MAX_FRACTION[self.packing] * np.linspace(1.0, 0.8, 81):
            x = self.a + self.radius(v) * self.b
            if np.linalg.det(np.einsum("qnk,eni->eqik", self.gradient, x[self.connectivity])).min() > 0:
                return float(v)
        raise AssertionError("the mesh folds")  # a mesh that cannot be built, not a user's mistake


def _polygon(packing: str) -> np.ndarray:
    """Vertices of the unit-area cell, counter-clockwise."""
    if packing == "square":
        angle = np.pi / 4 + np.pi / 2 * np.arange(4)
        return np.sqrt(0.5) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if packing == "hexagonal":
        angle = np.pi / 3 * np.arange(6)
        return np.sqrt(2 / (3 * np.sqrt(3))) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    raise unknown("packing", packing, MAX_FRACTION)


def _core_blocks(corners: np.ndarray, n: int) -> list[np.ndarray]:
    """Lattices (2n+1, 2n+1, 2) of the core polygon with the given unit corners."""
    s = np.linspace(0.0, 1.0, 2 * n + 1)[:, None, None]
    t = np.linspace(0.0, 1.0, 2 * n + 1)[None, :, None]
    if len(corners) == 4:
        c0, c1, c2, c3 = corners
        return [(1 - s) * ((1 - t) * c0 + t * c3) + s * ((1 - t) * c1 + t * c2)]
    return [s * corners[i] + t * corners[(i + 2) % 6] for i in (0, 2, 4)]


def _nine_nodes(grid: np.ndarray) -> np.ndarray:
    """Connectivity (elements, 9) of a doubled lattice of node numbers, in lattice order."""
    cells = [grid[i : i + 3, j : j + 3].ravel() for i in range(0, grid.shape[0] - 2, 2) for j in range(0, grid.shape[1] - 2, 2)]
    return np.array(cells)


def _lattice_basis() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Biquadratic shape functions in lattice order: values and gradients at Gauss points, weights (3 x 3, degree 5)."""
    points, weight = get_quadrature(RefQuad, 5)
    element = ElementQuad2()
    order = []
    for xi in (0.0, 0.5, 1.0):
        for eta in (0.0, 0.5, 1.0):
            order.append(int(np.argmin(np.hypot(*(element.doflocs - [xi, eta]).T))))
    value = np.stack([element.lbasis(points, i)[0] for i in order], axis=1)
    gradient = np.stack([element.lbasis(points, i)[1].T for i in order], axis=1)
    return value, np.ascontiguousarray(gradient), weight


def cell_mesh(packing: str = "hexagonal", n: int = 2, fibre_rings: int | None = None, matrix_rings: int | None = None) -> CellMesh:
    """Mesh with ``n`` elements along each side of the polygon; refining n refines everything at once."""
    polygon = _polygon(packing)
    sides = len(polygon)
    rings_f = n if fibre_rings is None else fibre_rings
    rings_m = n if matrix_rings is None else matrix_rings
    unit = polygon / np.linalg.norm(polygon[0])

    a_parts: list[np.ndarray] = []
    b_parts: list[np.ndarray] = []
    blocks: list[tuple[np.ndarray, bool]] = []
    start = 0

    def add(a: np.ndarray, b: np.ndarray, is_fibre: bool) -> None:
        nonlocal start
        grid = start + np.arange(a.shape[0] * a.shape[1]).reshape(a.shape[:2])
        a_parts.append(a.reshape(-1, 2))
        b_parts.append(b.reshape(-1, 2))
        blocks.append((_nine_nodes(grid), is_fibre))
        start += grid.size

    for block in _core_blocks(CORE * unit, n):
        add(np.zeros_like(block), block, True)
    share = np.linspace(0.0, 1.0, 2 * n + 1)
    for side in range(sides):
        p0, p1 = unit[side], unit[(side + 1) % sides]
        base = np.arctan2(p0[1], p0[0])
        angle = base + 2 * np.pi / sides * share
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        core = CORE * ((1 - share)[:, None] * p0 + share[:, None] * p1)
        half = np.pi / sides
        reach = np.linalg.norm(polygon[0]) * np.cos(half) / np.cos(angle - base - half)
        wall = reach[:, None] * circle
        s = np.linspace(0.0, 1.0, 2 * rings_f + 1)[:, None, None]
        add(np.zeros((2 * rings_f + 1, 2 * n + 1, 2)), (1 - s) * core + s * circle, True)
        s = np.linspace(0.0, 1.0, 2 * rings_m + 1)[:, None, None]
        add(s * wall + 0 * circle, (1 - s) * circle + 0 * wall, False)

    a, b = np.concatenate(a_parts), np.concatenate(b_parts)
    connectivity = np.concatenate([c for c, _ in blocks])
    is_fibre = np.concatenate([np.full(len(c), f) for c, f in blocks])

    # nodes shared by blocks: same place at two radii, so same (a, b)
    _, first, inverse = np.unique(np.round(np.hstack([a, b]), 9) + 0.0, axis=0, return_index=True, return_inverse=True)
    a, b, connectivity = a[first], b[first], inverse.ravel()[connectivity]

    _, gradient, weight = _lattice_basis()
    jacobian = np.einsum("qnk,eni->eqik", gradient, b[connectivity[is_fibre]])
    disc_area = float(np.einsum("eq,q->", np.linalg.det(jacobian), weight))
    if disc_area < 0:  # lattices run clockwise: swap their two directions once, for all elements
        connectivity = connectivity.reshape(-1, 3, 3).transpose(0, 2, 1).reshape(-1, 9)
        disc_area = -disc_area
    for i, element in enumerate(connectivity):  # core and rings may differ in orientation
        x = a[element] + 0.4 * b[element]
        if np.linalg.det(np.einsum("qnk,ni->qik", gradient, x)).min() < 0:
            connectivity[i] = element.reshape(3, 3).T.ravel()
    jacobian = np.einsum("qnk,eni->eqik", gradient, b[connectivity[is_fibre]])
    disc_area = float(np.einsum("eq,q->", np.linalg.det(jacobian), weight))
    slot = _periodic_slots(a, b, connectivity, polygon)
    return CellMesh(packing, a, b, connectivity, slot, is_fibre, gradient, weight, disc_area)


def _periodic_slots(a: np.ndarray, b: np.ndarray, connectivity: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Number the periodic nodes so that the band is narrow; the fibre's centre is pinned (slot -1)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    from hmminfer.engine.linalg import bandwidth_order

    wall = np.flatnonzero(np.abs(b).max(axis=1) < 1e-12)
    tree = cKDTree(a[wall])
    sides = len(polygon)
    left, right = [], []
    for side in range(sides):
        middle = 0.5 * (polygon[side] + polygon[(side + 1) % sides])
        distance, mate = tree.query(a[wall] + 2 * middle)
        hit = distance < 1e-9
        on_opposite = a[wall] @ middle / (middle @ middle) < -1 + 1e-9
        if not np.array_equal(hit, on_opposite):
            raise AssertionError("periodic nodes do not pair")  # a mesh that cannot be built, not a user's mistake
        left.append(wall[hit])
        right.append(wall[mate[hit]])
    i, j = np.concatenate(left), np.concatenate(right)
    same = coo_matrix((np.ones(len(i)), (i, j)), shape=(len(a), len(a)))
    n_classes, label = connected_components(same, directed=False)

    centre = int(np.argmin(np.abs(a).sum(axis=1) + np.abs(b).sum(axis=1)))
    nodes = label[connectivity]
    rows, columns = np.repeat(nodes, 9, axis=1).ravel(), np.tile(nodes, (1, 9)).ravel()
    order = bandwidth_order(coo_matrix((np.ones(rows.size), (rows, columns)), shape=(n_classes, n_classes)))
    order = order[order != label[centre]]
    number = np.full(n_classes, -1)
    number[order] = np.arange(len(order))
    return number[label]


def with_interface(mesh: CellMesh) -> tuple[CellMesh, np.ndarray, np.ndarray]:
    """The mesh with its nodes on the fibre's surface doubled, so that a field may jump there.

    Returns the mesh, the nodes of each edge of the surface (edges, 2, 3) on the fibre's and on the matrix's side, and int N_i N_j ds over
    each edge at unit radius, (edges, 3, 3).
    """
    on_circle = np.flatnonzero((np.abs(mesh.a).max(axis=1) < 1e-12) & (np.abs(np.linalg.norm(mesh.b, axis=1) - 1.0) < 1e-9))
    double = np.arange(len(mesh.a))
    double[on_circle] = len(mesh.a) + np.arange(len(on_circle))
    a, b = (np.concatenate([x, x[on_circle]]) for x in (mesh.a, mesh.b))
    connectivity = mesh.connectivity.copy()
    outer = ~mesh.is_fibre
    connectivity[outer] = double[connectivity[outer]]

    faces = ((0, 1, 2), (6, 7, 8), (0, 3, 6), (2, 5, 8))  # of a nine-node element in lattice order
    inner = [e[list(f)] for e in mesh.connectivity[outer] for f in faces if np.isin(e[list(f)], on_circle).all()]
    edges = np.stack([np.array(inner), double[np.array(inner)]], axis=1)
    point, weight = np.polynomial.legendre.leggauss(4)
    s = 0.5 * (point + 1.0)
    value = np.stack([(1 - s) * (1 - 2 * s), 4 * s * (1 - s), s * (2 * s - 1)])
    slope = np.stack([4 * s - 3, 4 - 8 * s, 4 * s - 1])
    speed = np.linalg.norm(np.einsum("eni,nq->eqi", mesh.b[edges[:, 0]], slope), axis=2)
    form = np.einsum("iq,jq,eq,q->eij", value, value, speed, 0.5 * weight)

    touching = np.concatenate([connectivity, edges.reshape(len(edges), 6)[:, [0, 1, 2, 3, 4, 5, 3, 4, 5]]])
    slot = _periodic_slots(a, b, touching, _polygon(mesh.packing))
    return replace(mesh, a=a, b=b, connectivity=connectivity, slot=slot), edges, form
