"""The forward model of ``plate_dic`` as a user of JAX would write it: cell and plate by finite elements, float64, jit.

Chosen for speed, as someone who knows the method would:

* in-plane and antiplane problems of the cell decouple and are solved apart, with all unit strains as right-hand sides;
* C_eff is an energy, stationary in the fluctuation w: ``stop_gradient(w)`` leaves its gradient exact, with no adjoint;
* one uniform fibre angle makes the plate's matrix linear in the six plane-stress stiffnesses: its band is one product;
* the plate's solve has an implicit-function rule (``custom_vjp``) that reuses the factor; no dense cotangent is formed.

``solver`` is "dense" (LAPACK Cholesky inside XLA) or "band" (SciPy's banded Cholesky through ``pure_callback``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from hmminfer.engine.linalg import bandwidth_order
from hmminfer.micro.cell_mesh import cell_mesh
from hmminfer.system.model import Model

jax.config.update("jax_enable_x64", True)
CONSTANTS = ("axial_modulus", "transverse_modulus", "shear_modulus", "axial_poisson", "transverse_poisson")
PAIRS = ((0, 0), (1, 1), (0, 1), (2, 2), (0, 2), (1, 2))  # Q11, Q22, Q12, Q66, Q16, Q26


def _factor_solve(ab: Any, rhs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Banded Cholesky factor and solution; NaN where the matrix is not positive definite."""
    ab, rhs = np.asarray(ab), np.asarray(rhs)
    try:
        factor = scipy.linalg.cholesky_banded(ab, lower=True, check_finite=False)
        return factor, scipy.linalg.cho_solve_banded((factor, True), rhs, check_finite=False)
    except np.linalg.LinAlgError:
        return np.full_like(ab, np.nan), np.full_like(rhs, np.nan)


def _resolve(factor: Any, rhs: Any) -> np.ndarray:
    return scipy.linalg.cho_solve_banded((np.asarray(factor), True), np.asarray(rhs), check_finite=False)


class Pattern:
    """Places of the entries of element matrices in the global one; numbers below 0 or from ``free`` on are left out."""

    def __init__(self, dofs: np.ndarray, free: int, solver: str) -> None:
        rows = np.broadcast_to(dofs[:, :, None], (*dofs.shape, dofs.shape[1]))
        columns = rows.transpose(0, 2, 1)
        self.free, self.solver = free, solver
        inside = (rows >= 0) & (columns >= 0) & (rows < free) & (columns < free)
        if solver == "band":
            inside &= rows >= columns
            self.band = int((rows - columns)[inside].max())
            self.shape = (self.band + 1, free)
            where = (rows - columns) * free + columns
        else:
            self.shape = (free, free)
            where = rows * free + columns
        self.source, self.where = np.flatnonzero(inside), where[inside]

    def assemble(self, elements: Any) -> Any:
        """Scatter-add element matrices (elements, n, n) into the global matrix."""
        out = jnp.zeros(self.shape[0] * self.shape[1])
        return out.at[self.where].add(elements.ravel()[self.source]).reshape(self.shape)

    def factor_solve(self, matrix: Any, rhs: Any) -> tuple[Any, Any]:
        """Factor, and solution for ``rhs`` (free,) or (free, m)."""
        if self.solver == "dense":
            factor = jax.scipy.linalg.cholesky(matrix, lower=True)
            return factor, jax.scipy.linalg.cho_solve((factor, True), rhs)
        result = (jax.ShapeDtypeStruct(self.shape, float), jax.ShapeDtypeStruct(rhs.shape, float))
        return jax.pure_callback(_factor_solve, result, matrix, rhs)

    def resolve(self, factor: Any, rhs: Any) -> Any:
        """Solution with a factor at hand."""
        if self.solver == "dense":
            return jax.scipy.linalg.cho_solve((factor, True), rhs)
        return jax.pure_callback(_resolve, jax.ShapeDtypeStruct(rhs.shape, float), factor, rhs)


def phase_stiffness(e1: Any, e2: Any, g12: Any, nu12: Any, nu23: Any) -> tuple[Any, Any]:
    """Stiffness blocks of [11, 22, 33, 23] and of [13, 12] of a transversely isotropic phase."""
    zero = 0.0 * e1
    compliance = [
        [1 / e1, -nu12 / e1, -nu12 / e1, zero],
        [-nu12 / e1, 1 / e2, -nu23 / e2, zero],
        [-nu12 / e1, -nu23 / e2, 1 / e2, zero],
        [zero, zero, zero, 2 * (1 + nu23) / e2],
    ]
    return jnp.linalg.inv(jnp.array(compliance)), g12 * jnp.eye(2)


def cell_function(packing: str, refine: int, solver: str) -> Callable[..., tuple[Any, Any]]:
    """(fibre blocks, matrix blocks, volume fraction) -> effective stiffness blocks (4, 4) and (2, 2)."""
    mesh = cell_mesh(packing, refine)
    slot = mesh.slot[mesh.connectivity]
    both = np.where(slot[:, :, None] >= 0, 2 * slot[:, :, None] + np.arange(2), -1).reshape(len(slot), 18)
    plane, anti = Pattern(both, 2 * mesh.n_slots, solver), Pattern(slot, mesh.n_slots, solver)
    is_fibre = mesh.is_fibre[:, None, None]

    def geometry(v: Any) -> tuple[Any, Any]:
        x = (mesh.a + jnp.sqrt(v / mesh.disc_area) * mesh.b)[mesh.connectivity]
        j = jnp.einsum("qnk,eni->eqik", mesh.gradient, x)
        det = j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
        row2 = jnp.stack([j[..., 1, 1], -j[..., 1, 0]], -1) / det[..., None]
        row3 = jnp.stack([-j[..., 0, 1], j[..., 0, 0]], -1) / det[..., None]
        grad = jnp.einsum("qnk,eqik->eqin", mesh.gradient, jnp.stack([row2, row3], -2))  # (e, q, 2, 9)
        return grad, mesh.weight * det

    def strain_matrices(grad: Any) -> tuple[Any, Any]:
        g2, g3 = grad[..., 0, :], grad[..., 1, :]
        zero = jnp.zeros_like(g2)
        rows = [(zero, zero), (g2, zero), (zero, g3), (g3, g2)]  # 11, 22, 33, 23
        in_plane = jnp.stack([jnp.stack(r, -1).reshape(*g2.shape[:-1], 18) for r in rows], -2)
        return in_plane, jnp.stack([g3, g2], -2)  # 13, 12

    def fluctuations(pattern: Pattern, dofs: np.ndarray, b: Any, c: Any, dx: Any) -> Any:
        """Element values (elements, n, loads) of the fluctuations of all unit strains."""
        cb = dx[..., None, None] * jnp.einsum("eij,eqjn->eqin", c, b)
        n_e, n = len(dofs), b.shape[-1]
        stiffness = jnp.einsum("ekn,ekm->enm", b.reshape(n_e, -1, n), cb.reshape(n_e, -1, n))
        load = -jnp.sum(cb, axis=1).transpose(0, 2, 1)
        target = np.where(dofs >= 0, dofs, pattern.free).ravel()  # the pinned node falls off the end
        rhs = jnp.zeros((pattern.free + 1, c.shape[-1])).at[target].add(load.reshape(-1, c.shape[-1]))[:-1]
        _, w = pattern.factor_solve(pattern.assemble(stiffness), rhs)
        return jnp.concatenate([w, jnp.zeros((1, w.shape[1]))])[target].reshape(n_e, n, -1)

    def energy(w: Any, b: Any, c: Any, dx: Any) -> Any:
        strain = jnp.eye(c.shape[-1]) + jnp.einsum("eqin,enk->eqik", b, w)
        stress = jnp.einsum("eij,eqjk->eqik", c, dx[..., None, None] * strain)
        k = strain.shape[-1]
        return strain.reshape(-1, k).T @ stress.reshape(-1, k)

    def cell(fibre: tuple[Any, Any], matrix: tuple[Any, Any], v: Any) -> tuple[Any, Any]:
        grad, dx = geometry(v)
        out = []
        cases = zip((plane, anti), (both, slot), strain_matrices(grad), fibre, matrix, strict=True)
        for pattern, dofs, b, c_fibre, c_matrix in cases:
            c = jnp.where(is_fibre, c_fibre, c_matrix)
            w = jax.lax.stop_gradient(fluctuations(pattern, dofs, *jax.lax.stop_gradient((b, c, dx))))
            out.append(energy(w, b, c, dx))
        return out[0], out[1]

    return cell


def plate_function(model: Model, solver: str) -> Callable[[Any], Any]:
    """Qbar (3, 3) -> y, in the order of the table: displacements (um) and the force (N) of a gripped plate."""
    plate, s, table = model.scene["plate"], model.scene["settings"], model.table
    assert table is not None
    n, conn = len(plate.nodes), plate.connectivity
    left, right = plate.on_side("left"), plate.on_side("right")
    held = np.isin(np.arange(n), np.concatenate([left, right]))
    order = bandwidth_order(_graph(conn, n), plate.nodes)
    nodes = np.concatenate([order[~held[order]], order[held[order]]])
    number = np.empty(n, int)
    number[nodes] = np.arange(n)
    free = 2 * int((~held).sum())
    dofs = (2 * number[conn][:, :, None] + np.arange(2)).reshape(len(conn), -1)
    prescribed, grip = np.zeros(2 * n), np.zeros(2 * n)
    grip[2 * number[right]] = 1.0
    prescribed[2 * number[right]] = s["displacement"]

    g = plate.gradients  # (elements, points, nodes, 2)
    b = np.zeros((*g.shape[:2], 3, dofs.shape[1]))
    b[:, :, 0, 0::2], b[:, :, 1, 1::2] = g[..., 0], g[..., 1]
    b[:, :, 2, 0::2], b[:, :, 2, 1::2] = g[..., 1], g[..., 0]
    dx = plate.weights * s["thickness"]
    pattern = Pattern(dofs, free, solver)
    matrices, loads = [], []
    for i, j in PAIRS:  # the matrix is linear in the six stiffnesses
        d = np.zeros((3, 3))
        d[i, j] = d[j, i] = 1.0
        element = np.einsum("eqin,eq,ij,eqjm->enm", b, dx, d, b, optimize=True)
        matrices.append(np.asarray(pattern.assemble(element)).ravel())
        rhs = np.zeros(2 * n)
        np.add.at(rhs, dofs, -np.einsum("enm,em->en", element, prescribed[dofs]))
        loads.append(rhs[:free])
    matrices, loads = np.array(matrices), np.array(loads)
    pick = tuple(np.array(PAIRS).T)

    def strains(u: Any) -> Any:
        return jnp.einsum("eqin,en->eqi", b, u[dofs])

    @jax.custom_vjp
    def solve(q: Any) -> Any:
        return forward(q)[0]

    def forward(q: Any) -> tuple[Any, tuple[Any, Any]]:
        q6 = q[pick]
        factor, u = pattern.factor_solve((q6 @ matrices).reshape(pattern.shape), q6 @ loads)
        u = jnp.concatenate([u, prescribed[free:]])
        return u, (factor, u)

    def backward(kept: tuple[Any, Any], u_bar: Any) -> tuple[Any]:
        factor, u = kept
        adjoint = jnp.concatenate([pattern.resolve(factor, u_bar[:free]), jnp.zeros(2 * n - free)])
        return (-jnp.einsum("eqi,eqj,eq->ij", strains(adjoint), strains(u), dx),)

    solve.defvjp(forward, backward)
    local = np.char.startswith(table.quantity.astype(str), "displacement")
    value = plate.interpolation(np.stack([table.columns["x"], table.columns["y"]], 1)[local]).__getitem__(0).tocsr()
    component = (table.quantity[local] == "displacement_y").astype(int)
    weights = value.data.reshape(int(local.sum()), -1)
    seen = 2 * number[value.indices].reshape(weights.shape) + component[:, None]
    touched = np.unique(np.flatnonzero((grip[dofs] != 0).any(axis=1)))
    grip_strain = np.einsum("eqin,en->eqi", b[touched], grip[dofs[touched]]) * dx[touched][..., None]
    place = np.argsort(np.concatenate([np.flatnonzero(local), np.flatnonzero(~local)]))

    def observe(q: Any) -> Any:
        u = solve(q)
        felt = jnp.einsum("eqin,en->eqi", b[touched], u[dofs[touched]])
        force = jnp.einsum("eqi,ij,eqj->", grip_strain, q, felt)
        y = jnp.concatenate([1e3 * jnp.sum(weights * u[seen], axis=1), 1e3 * force[None]])
        return y[place]

    return observe


def _graph(connectivity: np.ndarray, n: int) -> Any:
    from scipy.sparse import coo_array

    m = connectivity.shape[1]
    rows, columns = np.repeat(connectivity, m, axis=1).ravel(), np.tile(connectivity, (1, m)).ravel()
    return coo_array((np.ones(rows.size), (rows, columns)), shape=(n, n))


def forward_function(model: Model, solver: str) -> Callable[[Any, Any, Any], Any]:
    """(t = 2 theta in rad, matrix modulus in GPa, volume fraction) -> y."""
    known = {k: float(v) for k, v in model.fixed.items()}
    cell = cell_function(model.about["packing"], int(model.about["refine"]), solver)
    plate = plate_function(model, solver)
    fibre = phase_stiffness(*(known[f"fibre_{name}"] for name in CONSTANTS))
    nu = known["matrix_poisson"]

    def forward(t: Any, matrix_modulus: Any, volume_fraction: Any) -> Any:
        e = matrix_modulus
        in_plane, antiplane = cell(fibre, phase_stiffness(e, e, 0.5 * e / (1 + nu), nu, nu), volume_fraction)
        s4, s2 = jnp.linalg.inv(in_plane), jnp.linalg.inv(antiplane)
        q = jnp.linalg.inv(jnp.zeros((3, 3)).at[:2, :2].set(s4[:2, :2]).at[2, 2].set(s2[1, 1]))
        c, s = jnp.cos(0.5 * t), jnp.sin(0.5 * t)
        r = jnp.array([[c * c, s * s, -2 * c * s], [s * s, c * c, 2 * c * s], [c * s, -c * s, c * c - s * s]])
        return plate(r @ q @ r.T)

    return forward
