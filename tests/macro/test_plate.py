"""The plane-stress plate: patch test, theoretical order, singular corners, reactions, closed forms, zones and fields."""

import numpy as np
import pytest
import skfem
from plates import C_AS4, MESHES, distorted, everything, grips, nothing, pulled, strains, triangles, turned
from scipy.sparse import csr_array, kron, vstack
from test_coupons import AS4, compliances, observe

from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.macro.orientation import field_basis, zone_basis
from hmminfer.macro.plane_stress import plane_stress_kernel
from hmminfer.macro.plate_mesh import plate_with_hole, rectangle
from hmminfer.testing import assert_gradient, assert_order, assert_taylor


@pytest.mark.validates("fibre_composite", "uniform stress in an off-axis plate", against="patch test", bar="1e-10")
@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("degrees", [0.0, 12.0, -50.0])
def test_patch(mesh, degrees):
    """Uniform stress in an off-axis plate is exact on every mesh: quadratic elements hold all linear displacements."""
    plate, stress, thickness = MESHES[mesh](), 0.1, 1.7
    points = np.random.default_rng(1).uniform(plate.box[0] + 0.1, plate.box[1] - 0.1, (12, 2))
    kernel = plane_stress_kernel(plate, thickness, *pulled(plate, stress, thickness), vstack([strains(plate, points), everything(plate)]).tocsr())
    y = kernel(np.concatenate([C_AS4, [np.radians(2 * degrees)]]))
    s11, s12, s16, _ = compliances(degrees, *AS4)
    exact = stress * np.array([s11, s12, s16])
    np.testing.assert_allclose(y[:36].reshape(3, 12), np.repeat(exact[:, None], 12, 1), rtol=0, atol=1e-10 * exact[0])
    # displacements up to the rigid rotation that the pins choose: u_y vanishes along the bottom edge
    x = plate.nodes - plate.box[0]
    u = np.stack([exact[0] * x[:, 0] + exact[2] * x[:, 1], exact[1] * x[:, 1]], axis=1)
    np.testing.assert_allclose(y[36:].reshape(-1, 2), u, rtol=0, atol=1e-10 * np.abs(u).max())


def test_uniform_stress_force_through_grips_that_let_it_shrink():
    """Ends that move along x only as uniform strain demands: the reaction is stress times area, exactly."""
    plate, thickness, degrees = distorted(2), 1.3, 20.0
    s11, s12, s16, _ = compliances(degrees, *AS4)
    exact = 0.05 * np.array([s11, s12, s16])
    x = plate.nodes - plate.box[0]
    u = np.stack([exact[0] * x[:, 0] + exact[2] * x[:, 1], exact[1] * x[:, 1]], axis=1)
    fixed, _, force, virtual = grips(plate)
    kernel = plane_stress_kernel(plate, thickness, fixed, u, force, csr_array((0, 2 * len(u))), [virtual])
    y = kernel(np.concatenate([C_AS4, [np.radians(2 * degrees)]]))
    np.testing.assert_allclose(y, [0.05 * 10.0 * thickness], rtol=1e-10)


def test_thickness_cancels_under_grips_and_scales_the_force():
    plate = rectangle(20.0, 10.0, 4, 3)
    fixed, value, force, virtual = grips(plate)
    x = np.concatenate([C_AS4, [0.5]])
    one, three = (plane_stress_kernel(plate, h, fixed, value, force, everything(plate), [virtual])(x) for h in (1.0, 3.0))
    np.testing.assert_allclose(three[:-1], one[:-1], rtol=0, atol=1e-13)
    np.testing.assert_allclose(three[-1], 3 * one[-1], rtol=1e-12)


def smooth(x, y):
    """A displacement field (mm) and its gradient, of unit size over the plate."""
    a, b = np.pi / 20.0, np.pi / 10.0
    u = np.stack([np.sin(a * x + 0.3) * np.cos(b * y), 0.7 * np.cos(a * x) * np.sin(b * y + 0.5)])
    d = np.array(
        [
            [a * np.cos(a * x + 0.3) * np.cos(b * y), -b * np.sin(a * x + 0.3) * np.sin(b * y)],
            [-0.7 * a * np.sin(a * x) * np.sin(b * y + 0.5), 0.7 * b * np.cos(a * x) * np.cos(b * y + 0.5)],
        ]
    )
    return u, d


def l2(plate, nodal, exact, rigid=False):
    """Root mean square of the difference over the plate, ``rigid``: but for the best rigid motion."""
    basis = skfem.CellBasis(plate.mesh, plate.basis.elem, intorder=8)
    x = np.asarray(basis.global_coordinates())
    e = np.stack([np.asarray(basis.interpolate(nodal[:, k].copy())) for k in range(2)]) - exact(x[0], x[1])
    root = np.sqrt(basis.dx / np.sum(basis.dx))
    e = (e * root).ravel()
    if rigid:
        one, none = np.ones_like(x[0]), np.zeros_like(x[0])
        motions = np.array([[one, none], [none, one], [-x[1], x[0]]]) * root
        motions = motions.reshape(3, -1).T
        e = e - motions @ np.linalg.lstsq(motions, e)[0]
    return float(np.linalg.norm(e))


@pytest.mark.validates("fibre_composite", "displacements of the plate", against="a manufactured solution", bar="order 3 (within 0.2), 7e-4")
@pytest.mark.parametrize("load", ["displacements", "tractions"])
@pytest.mark.parametrize("make", [distorted, triangles], ids=["quadrilaterals", "triangles"])
def test_third_order_with_a_manufactured_solution(make, load):
    """Body force of a smooth solution and, all round, its displacements or its tractions; the angle varies. L2 order 3."""

    def angle(x, y):
        return np.radians(2 * (20.0 + 1.5 * x - 2.0 * y))

    errors = []
    for n in (2, 4, 8):
        plate = make(n)
        basis = skfem.CellBasis(plate.mesh, plate.basis.elem, intorder=8)
        x = np.asarray(basis.global_coordinates())
        _, d = smooth(*x)
        eps = np.stack([d[0, 0], d[1, 1], d[0, 1] + d[1, 0]])
        t = angle(*x)
        q = np.array([turned(np.degrees(v) / 2) for v in t.ravel()]).reshape(*t.shape, 3, 3)
        sigma = np.einsum("epij,jep->iep", q, eps)
        # loads in weak form, f_i = int sigma : eps(N_i): the body force -div sigma inside and the traction sigma n on free edges
        fixed, value, force = nothing(plate)
        force[:, 0] = skfem.LinearForm(lambda v, w: w.sx * v.grad[0] + w.sxy * v.grad[1]).assemble(basis, sx=sigma[0], sxy=sigma[2])
        force[:, 1] = skfem.LinearForm(lambda v, w: w.sy * v.grad[1] + w.sxy * v.grad[0]).assemble(basis, sy=sigma[1], sxy=sigma[2])
        if load == "displacements":
            for side in ("left", "right", "bottom", "top"):
                fixed[plate.on_side(side)] = True
        else:
            fixed = pulled(plate, 0.0)[0]  # three pins
        value[:] = smooth(*plate.nodes.T)[0].T
        points = plate.quadrature_points.reshape(-1, 2)
        none = np.zeros((len(points), 0))
        kernel = plane_stress_kernel(plate, 1.0, fixed, value, force, everything(plate), phi=none, known=angle(*points.T))
        errors.append(l2(plate, kernel(C_AS4).reshape(-1, 2), lambda a, b: smooth(a, b)[0], rigid=load == "tractions"))
    print(errors)
    # both families are smooth images of uniform meshes, so the rate is the theoretical one; fields are of size 1
    assert_order(errors, 3.0, tolerance=0.2, bound=7e-4)


def test_bending_by_a_linear_end_stress():
    """sigma_xx = y - w/2, off axis: strains linear, displacements quadratic, which nine-node elements with straight sides hold exactly."""
    plate, thickness, degrees = distorted(3), 1.0, 25.0
    s11, s12, s16, _ = compliances(degrees, *AS4)
    middle = 5.0
    force = np.zeros((len(plate.nodes), 2))
    for at, sign in zip(plate.box[:, 0], (-1.0, 1.0), strict=True):
        facets = plate.mesh.facets_satisfying(lambda x, at=at: np.abs(x[0] - at) < 1e-9, boundaries_only=True)
        edge = skfem.FacetBasis(plate.mesh, plate.basis.elem, facets=facets, intorder=6)
        force[:, 0] += sign * skfem.LinearForm(lambda v, w: (w.x[1] - middle) * v).assemble(edge)
    fixed, value, _ = pulled(plate, 0.0)
    x, y = (plate.nodes - plate.box[0]).T
    h = y - middle
    value[:] = np.stack([s11 * x * h + 0.5 * s16 * h**2, 0.5 * s12 * h**2 - 0.5 * s11 * x**2], axis=1)  # at the pins
    kernel = plane_stress_kernel(plate, thickness, fixed, value, force, everything(plate))
    found = kernel(np.concatenate([C_AS4, [np.radians(2 * degrees)]])).reshape(-1, 2)
    np.testing.assert_allclose(found, value, rtol=0, atol=1e-10 * np.abs(value).max())  # rounding; measured 1e-13


@pytest.mark.validates(
    "fibre_composite",
    "force of a gripped off-axis plate on the default mesh",
    against="its limit on finer meshes, singular corners included",
    bar="3e-4",
)
def test_gripped_plate_converges_at_the_rate_of_its_corners():
    """Corners of grips are singular: the reaction converges far below the fourth order of smooth energies; rate and error are stated."""
    x = np.concatenate([C_AS4, [np.radians(2 * 20.0)]])
    found = []
    for n in (4, 8, 16, 32):
        plate = rectangle(40.0, 10.0, 2 * n, n)
        fixed, value, force, virtual = grips(plate)
        found.append(plane_stress_kernel(plate, 1.0, fixed, value, force, csr_array((0, 2 * len(plate.nodes))), [virtual])(x)[0])
    change = -np.diff(found)
    rates = np.log2(change[:-1] / change[1:])
    assert np.all(change > 0)  # conforming elements are too stiff under given displacements
    # observed 1.35 and 1.32: twice the exponent 0.66 of the corner's displacement
    np.testing.assert_allclose(rates, 1.33, atol=0.1)
    # what is left on the finest mesh, extrapolated with the observed rate, and on the default grading with a fraction of the elements
    limit = found[-1] - change[-1] / (2 ** rates[-1] - 1)
    plate = rectangle(40.0, 10.0, 24, 12, 60.0, 32.0)
    fixed, value, force, virtual = grips(plate)
    graded = plane_stress_kernel(plate, 1.0, fixed, value, force, csr_array((0, 2 * len(plate.nodes))), [virtual])(x)[0]
    # measured: 2.2e-3 on 16 x 8 equal elements, 1.9e-4 on the 24 x 12 graded ones that the model would choose
    assert 0 < found[1] / limit - 1 < 3e-3
    assert 0 < graded / limit - 1 < 3e-4


@pytest.mark.validates("fibre_composite", "work of the grips", against="twice the elastic energy", bar="1e-12")
@pytest.mark.parametrize("mesh", MESHES)
def test_reaction_is_the_boundary_integral_of_stress_and_twice_the_energy(mesh):
    plate, thickness, degrees, displacement = MESHES[mesh](), 1.4, 25.0, 0.1
    fixed, value, force, virtual = grips(plate, displacement)
    x = np.concatenate([C_AS4, [np.radians(2 * degrees)]])
    kernel = plane_stress_kernel(plate, thickness, fixed, value, force, everything(plate), [virtual, virtual * 0 + np.array([1.0, 0.0])])
    y = kernel(x)
    u, reaction, sum_of_forces = y[:-2].reshape(-1, 2), y[-2], y[-1]
    grad = np.einsum("eqnk,end->eqdk", plate.gradients, u[plate.connectivity])
    eps = np.stack([grad[..., 0, 0], grad[..., 1, 1], grad[..., 0, 1] + grad[..., 1, 0]], axis=-1)
    sigma = eps @ turned(degrees)
    twice_energy = thickness * np.einsum("eqi,eqi,eq->", sigma, eps, plate.weights)
    np.testing.assert_allclose(reaction * displacement, twice_energy, rtol=1e-12)
    # a rigid translation does no work: all nodal forces along x sum to zero
    assert abs(sum_of_forces) < 1e-10 * reaction
    # equilibrium of every slice, in the weak form that elements satisfy: mean of sigma_xx times area = F l / l
    length = plate.box[1, 0] - plate.box[0, 0]
    mean = thickness * np.einsum("eq,eq->", sigma[..., 0], plate.weights) / length
    np.testing.assert_allclose(mean, reaction, rtol=1e-10)


def test_observations_and_reactions_come_in_the_order_asked():
    plate = rectangle(20.0, 10.0, 3, 2)
    fixed, value, force, virtual = grips(plate)
    x = np.concatenate([C_AS4, [0.4]])
    h = strains(plate, np.array([[4.0, 3.0], [9.0, 8.0]]))
    plain = plane_stress_kernel(plate, 1.0, fixed, value, force, h, [virtual, -2 * virtual])
    order = np.array([6, 0, 5, 7, 2, 1, 4, 3])
    mixed = plane_stress_kernel(plate, 1.0, fixed, value, force, h, [virtual, -2 * virtual], order)
    np.testing.assert_array_equal(mixed(x), plain(x)[order])
    y_bar = np.arange(1.0, 9.0)
    back = np.empty(8)
    back[order] = y_bar
    np.testing.assert_allclose(mixed.value_and_pullback(x, y_bar)[1], plain.value_and_pullback(x, back)[1], rtol=1e-12)
    assert plain(x)[7] == -2 * plain(x)[6]


def apparent(aspect, degrees=10.0, ny=8):
    """Apparent over long-coupon modulus of an AS4 coupon in rigid grips, on the mesh that the model would choose."""
    width = 10.0
    nx = int(np.clip(round(1.75 * ny * np.sqrt(aspect)), 8, 60))
    plate = rectangle(aspect * width, width, nx, ny, 4.0, 2.0)
    fixed, value, force, virtual = grips(plate)
    kernel = plane_stress_kernel(plate, 1.0, fixed, value, force, csr_array((0, 2 * len(plate.nodes))), [virtual])
    f = kernel(np.concatenate([C_AS4, [np.radians(2 * degrees)]]))[0]
    return f * aspect * width / (width * 0.1) / observe("youngs_modulus", degrees)[0]


def pagano_halpin(aspect, degrees=10.0, constants=AS4):
    s11, _, s16, s66 = compliances(degrees, *constants)
    return 1 / (1 - 3 * s16**2 / (s11 * (3 * s66 + 2 * s11 * aspect**2)))


@pytest.mark.validates("fibre_composite", "apparent modulus of clamped off-axis coupons", against="independent finite elements", bar="1.2e-3")
@pytest.mark.parametrize(("aspect", "reference", "formula"), [(4, 1.150, 1.175), (8, 1.052, 1.067), (12, 1.025, 1.033), (20, 1.009, 1.012)])
def test_clamped_coupon(aspect, reference, formula):
    ratio = apparent(aspect)
    # independent finite elements, printed with three decimals; our own error at the singular corners is 7e-4 (see above)
    np.testing.assert_allclose(ratio, reference, atol=1.2e-3)
    np.testing.assert_allclose(pagano_halpin(aspect), formula, atol=6e-4)
    # the beam formula overestimates the constraint: between it and no constraint
    assert 1.0 < ratio < pagano_halpin(aspect)


def test_long_limit_of_the_clamped_coupon():
    excess = [apparent(a) - 1 for a in (20, 40, 80)]
    # the constraint falls with the square of the length, as in the formula
    np.testing.assert_allclose(np.log2(np.array(excess[:-1]) / excess[1:]), 2.0, atol=0.2)
    assert excess[-1] < 1e-3
    # on axis there is no shear coupling to constrain, only the Poisson contraction near the grips
    assert abs(apparent(20, 0.0) - 1) < 1e-3


def test_clamped_coupon_of_the_model():
    fibre = models.get("fibre_composite")
    model = fibre.clamped_coupon(200.0, 10.0, refine=2, cell="full")
    long = fibre.moduli([10.0], refine=2, cell="full")
    ratio = model.evaluate({"fibre_angle": 10.0})[0] / long.evaluate()[0]
    s = np.linalg.inv(fibre.law(cell="full", refine=2).kernel(long.vector()).reshape(6, 6))
    bound = pagano_halpin(20.0, 10.0, (1 / s[0, 0], 1 / s[1, 1], 1 / s[5, 5], -s[0, 1] / s[0, 0]))
    assert 1 + 0.6 * (bound - 1) < ratio < bound  # AS4 at this length: three quarters of the formula's excess


@pytest.mark.validates("fibre_composite", "stress at the rim of an open hole", against="Lekhnitskii 1968", bar="3 %")
@pytest.mark.parametrize(("degrees", "expected"), [(0.0, 6.030), (90.0, 2.486)])
def test_stress_concentration_of_an_open_hole(degrees, expected):
    """Lekhnitskii: K_T = 1 + sqrt(2 (sqrt(Ex / Ey) - nu_xy) + Ex / Gxy) at the rim, across the load."""
    e1, e2, g12, nu12 = AS4
    ex, ey, nu = (e1, e2, nu12) if degrees == 0 else (e2, e1, nu12 * e2 / e1)
    exact = 1 + np.sqrt(2 * (np.sqrt(ex / ey) - nu) + ex / g12)
    np.testing.assert_allclose(exact, expected, atol=6e-4)
    width, radius = 40.0, 2.0  # W / D = 10
    plate = plate_with_hole(2 * width, width, radius, 8)
    rows = vstack([strains(plate, np.array([[width, width / 2 + sign * radius]])) for sign in (1, -1)]).tocsr()
    kernel = plane_stress_kernel(plate, 1.0, *pulled(plate, 1.0), rows)
    eps = kernel(np.concatenate([C_AS4, [np.radians(2 * degrees)]])).reshape(2, 3).T
    stress = turned(degrees) @ eps
    # stated: 3 %; measured 1.2 % and 1.6 %, of which the finite width (W / D = 10) accounts for about 1 %
    np.testing.assert_allclose(stress[0], expected, rtol=0.03)
    np.testing.assert_allclose(stress[0, 0], stress[0, 1], rtol=1e-6)  # mirror symmetry of load and material
    # the rim carries no traction: sigma_yy and sigma_xy vanish there
    assert np.abs(stress[1:]).max() < 0.02 * expected  # measured 1 %


def oriented(phi=None, known=0.0):
    plate = rectangle(20.0, 10.0, 5, 3)
    fixed, value, force, virtual = grips(plate)
    points = np.array([[4.0, 3.0], [9.0, 8.0], [15.0, 5.0]])
    rows = vstack([strains(plate, points), kron(plate.interpolation(points)[0], np.eye(2))]).tocsr()
    return plate, lambda phi, known: plane_stress_kernel(plate, 1.0, fixed, value, force, rows, [virtual], None, phi, known)


def test_zones_of_equal_angle_are_uniform():
    plate, build = oriented()
    points = plate.quadrature_points.reshape(-1, 2)
    uniform = build(None, 0.0)(np.concatenate([C_AS4, [0.6]]))
    zones = build(zone_basis(points, plate.box, 2), 0.0)
    np.testing.assert_allclose(zones(np.concatenate([C_AS4, [0.6, 0.6]])), uniform, rtol=0, atol=1e-13)
    assert np.abs(zones(np.concatenate([C_AS4, [0.6, 0.2]])) - uniform).max() > 1e-4
    basis = zone_basis(points, plate.box, 3)
    np.testing.assert_array_equal(basis.sum(axis=1), 1.0)
    np.testing.assert_array_equal(np.flatnonzero(basis[:, 0]), np.flatnonzero(points[:, 0] < 20 / 3))


def test_field_with_zero_coefficients_is_uniform():
    plate, build = oriented()
    points = plate.quadrature_points.reshape(-1, 2)
    phi, _ = field_basis(points, plate.box, 4, 3)
    uniform = build(None, 0.0)(np.concatenate([C_AS4, [0.6]]))
    both = build(np.hstack([np.ones((len(points), 1)), phi]), 0.0)
    np.testing.assert_allclose(both(np.concatenate([C_AS4, [0.6], np.zeros(12)])), uniform, rtol=0, atol=1e-13)
    known = build(np.zeros((len(points), 0)), 0.6)
    np.testing.assert_allclose(known(C_AS4), uniform, rtol=0, atol=1e-13)
    # a known angle and coefficients add up
    s = 0.1 * np.random.default_rng(0).standard_normal(12)
    np.testing.assert_allclose(build(phi, 0.6)(np.concatenate([C_AS4, s])), both(np.concatenate([C_AS4, [0.6], s])), rtol=0, atol=1e-13)


def test_gradient_of_a_field_by_one_adjoint_solve():
    plate, build = oriented()
    phi, _ = field_basis(plate.quadrature_points.reshape(-1, 2), plate.box, 4, 3)
    kernel = build(phi, 0.5)
    x = np.concatenate([C_AS4, 0.3 * np.random.default_rng(4).standard_normal(12)])
    assert_gradient(kernel, points=x[None])
    jacobian = kernel.jacobian(x)
    assert np.all(np.abs(jacobian[:, 36:]).max(axis=0) > 0), "every coefficient is felt"
    assert_taylor(kernel)


def test_rotating_plate_and_load_by_half_a_turn_changes_nothing():
    """theta and theta + 180 degrees are one material; theta and -theta mirror the shear."""
    _, build = oriented()
    kernel = build(None, 0.0)
    y = kernel(np.concatenate([C_AS4, [0.6]]))
    np.testing.assert_allclose(kernel(np.concatenate([C_AS4, [0.6 + 2 * np.pi]])), y, rtol=0, atol=1e-12)
    mirrored = kernel(np.concatenate([C_AS4, [-0.6]]))
    np.testing.assert_allclose(mirrored[-1], y[-1], rtol=1e-10)  # the force is even in theta: two modes
    assert np.abs(mirrored - y).max() > 1e-4  # the field is not


def test_nothing_left_to_solve():
    plate = rectangle(2.0, 1.0, 1, 1)
    everywhere = np.ones((len(plate.nodes), 2), bool)
    with pytest.raises(HmmInferError, match="nothing is left to solve"):
        plane_stress_kernel(plate, 1.0, everywhere, np.zeros_like(everywhere, float), np.zeros_like(everywhere, float), everything(plate))
