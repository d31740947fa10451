"""The forward model of the plates as a user of scikit-fem and SciPy would write it: assemble, condense, solve, observe.

Same elements and meshes as hmminfer: the cell's nodes come from its mesh, the plate is its scikit-fem mesh. Matrices
are factorised by SuperLU with the ordering that measured fastest. A cell whose radius has not changed keeps its basis,
and a plate of one angle is a sum of six matrices assembled once; with a field it is assembled at each evaluation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementQuad2, ElementVector, LinearForm, MeshQuad, MeshQuad2
from skfem.helpers import grad

from hmminfer.macro.orientation import field_basis
from hmminfer.micro.cell_mesh import cell_mesh
from hmminfer.system.model import Model

CONSTANTS = ("axial_modulus", "transverse_modulus", "shear_modulus", "axial_poisson", "transverse_poisson")
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def strain(u: Any) -> tuple[Any, Any, Any]:
    """[11, 22, 2 x 12] of a displacement in the plane of the mesh."""
    g = np.asarray(grad(u))  # plain arrays: indexing a DiscreteField copies
    return g[0, 0], g[1, 1], g[0, 1] + g[1, 0]


@BilinearForm
def plane_energy(u, v, w):
    a, b, c = strain(u), strain(v), np.asarray(w.c)
    return (
        (c[0, 0] * a[0] + c[0, 1] * a[1] + c[0, 2] * a[2]) * b[0]
        + (c[1, 0] * a[0] + c[1, 1] * a[1] + c[1, 2] * a[2]) * b[1]
        + (c[2, 0] * a[0] + c[2, 1] * a[1] + c[2, 2] * a[2]) * b[2]
    )


@LinearForm
def plane_load(v, w):
    b, c = strain(v), np.asarray(w.c)
    return -(c[0] * b[0] + c[1] * b[1] + c[2] * b[2])


@BilinearForm
def shear_energy(u, v, w):
    return w.g * (grad(u)[0] * grad(v)[0] + grad(u)[1] * grad(v)[1])


@LinearForm
def shear_load(v, w):
    return -w.g * grad(v)[w.axis]


def _factorise(matrix: Any) -> Any:
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A")


def phase_stiffness(e1: float, e2: float, g12: float, nu12: float, nu23: float) -> np.ndarray:
    """6x6 stiffness, order [11, 22, 33, 23, 13, 12]."""
    s = np.zeros((6, 6))
    s[0, 0], s[1, 1], s[2, 2] = 1 / e1, 1 / e2, 1 / e2
    s[0, 1] = s[1, 0] = s[0, 2] = s[2, 0] = -nu12 / e1
    s[1, 2] = s[2, 1] = -nu23 / e2
    s[3, 3], s[4, 4], s[5, 5] = 2 * (1 + nu23) / e2, 1 / g12, 1 / g12
    return np.linalg.inv(s)


class Cell:
    """Effective stiffness of the periodic cell."""

    def __init__(self, packing: str, refine: int) -> None:
        mesh = cell_mesh(packing, refine)
        corners, t = np.unique(mesh.connectivity[:, [0, 6, 8, 2]], return_inverse=True)
        start = (mesh.a + mesh.radius(0.6) * mesh.b).T
        straight = MeshQuad(start[:, corners], t.reshape(-1, 4).T, sort_t=False)
        self.mesh, self.cell = MeshQuad2.from_mesh(straight), mesh
        lattice = np.round(2 * ElementQuad2().doflocs).astype(int) @ [3, 1]
        self.node = np.empty(self.mesh.doflocs.shape[1], int)
        self.node[self.mesh.dofs.element_dofs.T] = mesh.connectivity[:, lattice]
        slot = mesh.slot[self.node]
        seen = np.flatnonzero(slot >= 0)
        shape = (len(slot), mesh.n_slots)
        self.periodic = csr_array((np.ones(len(seen)), (seen, slot[seen])), shape=shape)  # u = P u_periodic
        self.fraction = -1.0

    def _bases(self, fraction: float) -> None:
        if fraction != self.fraction:
            nodes = self.cell.a + self.cell.radius(fraction) * self.cell.b
            mesh = replace(self.mesh, doflocs=nodes[self.node].T)
            self.plane = Basis(mesh, ElementVector(ElementQuad2()), intorder=5)
            self.scalar = Basis(mesh, ElementQuad2(), intorder=5)
            x, y = self.plane.split_indices()
            p = self.periodic.tocoo()
            rows, columns = np.concatenate([x[p.row], y[p.row]]), np.concatenate([p.col, p.col + self.cell.n_slots])
            shape = (self.plane.N, 2 * self.cell.n_slots)
            self.both = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
            self.fraction = fraction

    def stiffness(self, fibre: np.ndarray, matrix: np.ndarray, fraction: float) -> np.ndarray:
        """C_eff = <C> - F^T K^-1 F over the six unit strains."""
        self._bases(fraction)
        where = np.broadcast_to(self.cell.is_fibre[:, None], self.plane.dx.shape)

        def at(i: int, j: int) -> np.ndarray:
            return np.where(where, fibre[i, j], matrix[i, j])

        out = fraction * fibre + (1.0 - fraction) * matrix
        inner, outer = (1, 2, 3), (0, 1, 2, 3)
        c = np.array([[at(i, j) for j in inner] for i in inner])
        k = self.both.T @ plane_energy.assemble(self.plane, c=c) @ self.both
        loads = [plane_load.assemble(self.plane, c=np.array([at(i, j) for i in inner])) for j in outer]
        f = self.both.T @ np.array(loads).T
        out[:4, :4] -= f.T @ _factorise(k).solve(f)
        g = at(5, 5)  # G13 = G12 in both phases
        k = self.periodic.T @ shear_energy.assemble(self.scalar, g=g) @ self.periodic
        f = self.periodic.T @ np.array([shear_load.assemble(self.scalar, g=g, axis=axis) for axis in (1, 0)]).T
        out[4:, 4:] -= f.T @ _factorise(k).solve(f)
        return out


class PlateForward:
    """(t = 2 theta in rad, matrix modulus, volume fraction, field coefficients) -> y in the order of the table."""

    def __init__(self, model: Model) -> None:
        plate, self.settings, table = model.scene["plate"], model.scene["settings"], model.table
        assert table is not None
        self.known = {k: float(v) for k, v in model.fixed.items()}
        self.cell = Cell(model.about["packing"], int(model.about["refine"]))
        self.basis = Basis(plate.mesh, ElementVector(ElementQuad2()), intorder=5)
        left = self.basis.get_dofs(lambda x: np.isclose(x[0], 0.0))
        right = self.basis.get_dofs(lambda x: np.isclose(x[0], self.settings["length"]))
        self.grip = np.concatenate([right.nodal["u^1"], right.facet["u^1"]])
        self.held = np.concatenate([left.all(), right.all()])
        self.free = self.basis.complement_dofs(self.held)
        self.prescribed = self.basis.zeros()
        self.prescribed[self.grip] = self.settings["displacement"]
        scalar = Basis(plate.mesh, ElementQuad2(), intorder=5)
        self.phi = None
        if self.settings["orientation"] == "field":
            points = np.asarray(scalar.global_coordinates()).transpose(1, 2, 0).reshape(-1, 2)
            self.phi, _ = field_basis(points, plate.box, int(self.settings["field_x"]), int(self.settings["field_y"]))
        self.rows = [np.flatnonzero(table.quantity == f"displacement_{axis}") for axis in "xy"]
        self.force_rows = np.flatnonzero(table.quantity == "force")
        xy = np.stack([table.columns["x"], table.columns["y"]])
        self.probes = [scalar.probes(xy[:, rows]) for rows in self.rows]
        self.components = self.basis.split_indices()
        self.n_out = len(table)
        self.unit = None
        if self.phi is None:  # one angle: the matrix is linear in the six plane-stress stiffnesses
            self.unit = [self._assemble(np.array([[{i, j} == {a, b} for b in range(3)] for a in range(3)])) for i, j in PAIRS]

    def _assemble(self, c: np.ndarray) -> Any:
        """Matrix of the plate for a stiffness (3, 3), or (3, 3, elements, points)."""
        c = self.settings["thickness"] * c.astype(float)
        if c.ndim == 2:
            c = np.broadcast_to(c[:, :, None, None], (3, 3, *self.basis.dx.shape))
        return plane_energy.assemble(self.basis, c=c).tocsr()

    def lamina(self, modulus: float, fraction: float) -> np.ndarray:
        """Plane-stress stiffness Q (3, 3) along and across the fibre."""
        k = self.known
        fibre = phase_stiffness(*(k[f"fibre_{name}"] for name in CONSTANTS))
        nu = k["matrix_poisson"]
        matrix = phase_stiffness(modulus, modulus, 0.5 * modulus / (1 + nu), nu, nu)
        compliance = np.linalg.inv(self.cell.stiffness(fibre, matrix, fraction))
        return np.linalg.inv(compliance[np.ix_([0, 1, 5], [0, 1, 5])])

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Prediction y(theta)."""
        q = self.lamina(theta[1], theta[2])
        t = theta[0] if self.phi is None else theta[0] + (self.phi @ theta[3:]).reshape(self.basis.dx.shape)
        c, s = np.cos(0.5 * t), np.sin(0.5 * t)
        r = np.array([[c * c, s * s, -2 * c * s], [s * s, c * c, 2 * c * s], [c * s, -c * s, c * c - s * s]])
        turned = np.einsum("ij...,jk,lk...->il...", r, q, r)
        k = self._assemble(turned) if self.unit is None else sum(turned[p] * m for p, m in zip(PAIRS, self.unit, strict=True))
        u = self.prescribed.copy()
        u[self.free] = _factorise(k[self.free][:, self.free]).solve(-(k @ u)[self.free])
        y = np.empty(self.n_out)
        for rows, probe, component in zip(self.rows, self.probes, self.components, strict=True):
            y[rows] = 1e3 * (probe @ u[component])
        y[self.force_rows] = 1e3 * np.sum((k @ u)[self.grip])
        return y
