"""Meshed macro domains: a scikit-fem mesh as the plain arrays that a finite element problem needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import skfem
from scipy.sparse import coo_array, csr_array

from hmminfer.engine.linalg import bandwidth_order
from hmminfer.errors import HmmInferError

# elements and the order of the quadrature that theory asks of their stiffness; a linear triangle takes its centre alone
ELEMENTS = {
    ("Quadrilateral", 1): (skfem.ElementQuad1, 3),
    ("Quadrilateral", 2): (skfem.ElementQuad2, 5),
    ("Triangular", 1): (skfem.ElementTriP1, None),
    ("Triangular", 2): (skfem.ElementTriP2, 5),
}
BLOCK = 20_000  # points that are looked for at once


@dataclass(frozen=True, eq=False)
class Numbering:
    """Numbering of the nodal values for the solver. ``number``: position of each value (node by node, component fastest); ``free`` and ``held``:
    unknown and prescribed values in this order; ``dofs``: positions (elements, nodes x components); ``band``: half-bandwidth of the matrix of the
    free values.
    """

    number: np.ndarray
    free: np.ndarray
    held: np.ndarray
    dofs: np.ndarray
    band: int


@dataclass(frozen=True, eq=False)
class Domain:
    """A meshed domain. ``mesh``: any 2-D scikit-fem mesh of quadrilaterals or triangles; ``degree`` of the elements, 1 or 2.

    Quadrature: linear triangles 1 point, bilinear quadrilaterals 4, quadratic elements 7 and 9.
    """

    mesh: skfem.Mesh
    degree: int = 2

    called = "domain"  # in messages, with the unit of length
    unit = ""

    @property
    def extent(self) -> str:
        """Extent of the domain, for messages."""
        (x0, y0), (x1, y1) = self.box
        return f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g}{self.unit}"

    @cached_property
    def basis(self) -> skfem.CellBasis:
        """Scalar basis with the quadrature of :data:`ELEMENTS`."""
        element, order = ELEMENTS[self.mesh.refdom.name, self.degree]
        if order is None:
            return skfem.CellBasis(self.mesh, element(), quadrature=(np.array([[1 / 3], [1 / 3]]), np.array([0.5])))
        return skfem.CellBasis(self.mesh, element(), intorder=order)

    @cached_property
    def nodes(self) -> np.ndarray:
        """Coordinates (nodes, 2)."""
        return np.ascontiguousarray(self.basis.doflocs.T)

    @cached_property
    def connectivity(self) -> np.ndarray:
        """Nodes of each element (elements, nodes per element)."""
        return np.ascontiguousarray(self.basis.element_dofs.T.astype(np.int64))

    @cached_property
    def gradients(self) -> np.ndarray:
        """Shape-function gradients (elements, points, nodes per element, 2)."""
        grads = np.stack([b[0].grad for b in self.basis.basis])  # node, component, element, point
        return np.ascontiguousarray(grads.transpose(2, 3, 0, 1))

    @cached_property
    def weights(self) -> np.ndarray:
        """Quadrature weights times Jacobian (elements, points)."""
        return np.ascontiguousarray(self.basis.dx)

    @cached_property
    def quadrature_points(self) -> np.ndarray:
        """Coordinates of the quadrature points (elements, points, 2)."""
        return np.ascontiguousarray(np.asarray(self.basis.global_coordinates()).transpose(1, 2, 0))

    @cached_property
    def box(self) -> np.ndarray:
        """Lower and upper corner, (2, 2)."""
        return np.stack([self.nodes.min(axis=0), self.nodes.max(axis=0)])

    def unit_stiffness(self, zone: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Element matrices of the three unit tensors, for each *piece*: the quadrature points of an element that lie in one zone.

        ``zone`` (elements, points): index of the tensor A at each quadrature point. Returns the element and the zone of each piece and its
        matrices (pieces, 3, nodes, nodes), so that A11 m[0] + A22 m[1] + A12 m[2] = int grad N_i . A grad N_j over the piece.
        """
        pieces, of = _pieces(zone)
        g, w = self.gradients, self.weights
        x, y = g[..., 0].reshape(len(of), -1), g[..., 1].reshape(len(of), -1)
        out = np.zeros((len(pieces), 3, x.shape[1], x.shape[1]))
        for k, (a, b) in enumerate(((x, x), (y, y), (x, y))):
            m = np.einsum("p,pi,pj->pij", w.ravel(), a, b)
            np.add.at(out[:, k], of, m if k < 2 else m + m.transpose(0, 2, 1))
        return pieces[:, 0], pieces[:, 1], out

    def unit_mass(self, zone: np.ndarray | None = None) -> np.ndarray:
        """int N_i N_j over each piece of :meth:`unit_stiffness`, (pieces, nodes, nodes); without ``zone`` over each element.

        The quadrature of the stiffness integrates it exactly. Linear triangles, with their one point and one zone, take a finer one here.
        """
        basis = self.basis if self.weights.shape[1] > 1 else skfem.CellBasis(self.mesh, self.basis.elem, intorder=2)
        values = np.stack([np.asarray(v[0]) for v in basis.basis])  # node, element, point
        zone = np.zeros(self.weights.shape, np.int64) if zone is None else zone
        pieces, of = _pieces(np.broadcast_to(zone, basis.dx.shape))
        out = np.zeros((len(pieces), len(values), len(values)))
        np.add.at(out, of, np.einsum("iep,jep,ep->epij", values, values, basis.dx).reshape(len(of), *out.shape[1:]))
        return out

    def load(self, source: Callable[[np.ndarray, np.ndarray], np.ndarray] | float) -> np.ndarray:
        """int source(x, y) N_i, (nodes,)."""
        b = skfem.CellBasis(self.mesh, self.basis.elem, intorder=5)
        x, y = np.asarray(b.global_coordinates())
        f = source(x, y) if callable(source) else np.full_like(x, float(source))
        return skfem.LinearForm(lambda v, w: w.f * v).assemble(b, f=f)

    def numbering(self, fixed: np.ndarray) -> Numbering:
        """Numbering for a problem; ``fixed`` (nodes, components) is True for prescribed values. Free values come first, in narrow-band order."""
        n, components = fixed.shape
        nodal = self.connectivity
        rows, columns = np.repeat(nodal, nodal.shape[1], axis=1).ravel(), np.tile(nodal, (1, nodal.shape[1])).ravel()
        graph = coo_array((np.ones(rows.size), (rows, columns)), shape=(n, n))
        order = bandwidth_order(graph, self.nodes)
        ordered = (components * order[:, None] + np.arange(components)).ravel()
        held = np.asarray(fixed, bool).ravel()[ordered]
        if held.all():
            raise HmmInferError(f"Every value on the {self.called} is prescribed; nothing is left to solve.")
        number = np.empty(n * components, dtype=np.int64)
        number[np.concatenate([ordered[~held], ordered[held]])] = np.arange(n * components)
        dofs = number[(components * nodal[:, :, None] + np.arange(components)).reshape(len(nodal), -1)]
        n_free = int((~held).sum())
        inside = np.where(dofs < n_free, dofs, -1)
        low = np.where(inside >= 0, inside, n_free).min(axis=1)
        band = int(np.max(np.maximum(inside.max(axis=1) - low, 0)))
        return Numbering(number, ordered[~held], ordered[held], np.ascontiguousarray(dofs), band)

    def on_side(self, side: str) -> np.ndarray:
        """Nodes on the left, right, bottom or top edge of the bounding box."""
        axis, which = {"left": (0, 0), "right": (0, 1), "bottom": (1, 0), "top": (1, 1)}[side]
        hit = np.abs(self.nodes[:, axis] - self.box[which, axis]) < 1e-6 * np.ptp(self.box[:, axis])
        return np.flatnonzero(hit)

    @property
    def boundary(self) -> np.ndarray:
        """True for nodes on the edge of the bounding box, (nodes,)."""
        out = np.zeros(len(self.nodes), bool)
        for side in ("left", "right", "bottom", "top"):
            out[self.on_side(side)] = True
        return out

    def edge_load(self, side: str) -> np.ndarray:
        """int N_i ds over the facets of a side, (nodes,): consistent nodal shares of a uniform traction or flux."""
        axis, which = {"left": (0, 0), "right": (0, 1), "bottom": (1, 0), "top": (1, 1)}[side]
        value, tol = self.box[which, axis], 1e-6 * np.ptp(self.box[:, axis])
        facets = self.mesh.facets_satisfying(lambda x: np.abs(x[axis] - value) < tol, boundaries_only=True)
        edge = skfem.FacetBasis(self.mesh, self.basis.elem, facets=facets, intorder=5)
        return skfem.LinearForm(lambda v, _: v).assemble(edge)

    def interpolation(self, points: np.ndarray) -> tuple[csr_array, csr_array, csr_array]:
        """Matrices (points, nodes) of the value and of the x and y derivatives at ``points`` (n, 2)."""
        points = np.asarray(points, dtype=float)
        elements = self._elements_of(points)
        mapping = self.mesh.mapping()
        local = mapping.invF(points.T[:, :, None], tind=elements)  # (2, n, 1)
        parts = [self.basis.elem.gbasis(mapping, local, i, tind=elements)[0] for i in range(self.connectivity.shape[1])]
        rows = np.repeat(np.arange(len(points)), len(parts))
        columns = self.connectivity[elements].ravel()
        shape = (len(points), len(self.nodes))

        def matrix(values: list[np.ndarray]) -> csr_array:
            return csr_array((np.stack(values, axis=1).ravel(), (rows, columns)), shape=shape)

        value = matrix([np.asarray(p)[:, 0] for p in parts])
        return value, matrix([p.grad[0][:, 0] for p in parts]), matrix([p.grad[1][:, 0] for p in parts])

    def _elements_of(self, points: np.ndarray) -> np.ndarray:
        outside = self.outside(points)
        if outside.any():
            i = int(np.argmax(outside))
            raise HmmInferError(
                f"{int(outside.sum())} of {len(points)} points lie outside the {self.called}, the first at x = {points[i, 0]:g}, y = "
                f"{points[i, 1]:g}{self.unit}; the {self.called} spans {self.extent}. Correct or remove them."
            )
        if len(points) == 0:
            return np.zeros(0, dtype=np.int64)
        try:
            # in blocks, because the finder compares every point with many elements at once
            return np.concatenate([self._finder(x, y) for x, y in (points[i : i + BLOCK].T for i in range(0, len(points), BLOCK))])
        except ValueError:  # a point on the rim can lie outside by rounding
            return np.array([self._element_at(point) for point in points])

    def _element_at(self, point: np.ndarray) -> int:
        """Element that holds a point, or holds one of eight points a rounding error away from it."""
        reach = 1e-9 * float(np.ptp(self.box))
        for angle in (None, *(np.pi / 4 * np.arange(8))):
            x, y = point if angle is None else point + reach * np.array([np.cos(angle), np.sin(angle)])
            try:
                return int(self._finder(np.array([x]), np.array([y]))[0])
            except ValueError:
                continue
        raise HmmInferError(
            f"The point x = {point[0]:g}, y = {point[1]:g}{self.unit} lies outside the {self.called}, in no element of its mesh; correct "
            "or remove it."
        )

    @cached_property
    def _finder(self):
        if isinstance(self.mesh, skfem.MeshQuad2):  # straight chords of the rim lie inside the hole: nothing is lost
            corners, t = np.unique(self.mesh.t, return_inverse=True)
            return skfem.MeshQuad(self.mesh.doflocs[:, corners], t.reshape(self.mesh.t.shape)).element_finder()
        return self.mesh.element_finder()

    def outside(self, points: np.ndarray) -> np.ndarray:
        """True for points outside the bounding box."""
        tol = 1e-9 * np.ptp(self.box)
        off = np.any((points < self.box[0] - tol) | (points > self.box[1] + tol), axis=1) | ~np.isfinite(points).all(axis=1)
        return off


def _pieces(zone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Element and zone of each piece, (pieces, 2), and the piece of each quadrature point, for ``zone`` (elements, points)."""
    key = np.stack([np.repeat(np.arange(len(zone)), zone.shape[1]), zone.ravel()], axis=1)
    pieces, of = np.unique(key, axis=0, return_inverse=True)
    return pieces, of.ravel()
