"""The periodic cell: published and independent numbers, closed forms, bounds, and the theoretical order of its error."""

from itertools import pairwise

import numpy as np
import pytest

from hmminfer.errors import HmmInferError
from hmminfer.micro.cell_mesh import CORE, MAX_FRACTION, cell_mesh
from hmminfer.micro.elastic_cell import elastic_cell
from hmminfer.micro.phases import isotropic, transversely_isotropic
from hmminfer.testing import assert_order

PACKINGS = ("square", "hexagonal")


def two_isotropic(e, nu):
    """The five constants of an isotropic fibre."""
    return (e, e, 0.5 * e / (1 + nu), nu, nu)


GRAPHITE = (235.0, 14.0, 28.0, 0.20, 0.25, 4.80, 0.34)
BORON_AL = (*two_isotropic(379.3, 0.10), 68.30, 0.30)
LY556 = (*two_isotropic(80.0, 0.20), 3.35, 0.35)
SILENKA = (*two_isotropic(74.0, 0.20), 3.35, 0.35)

# E1, E2, nu12, nu23, G12, G23: an independent finite-element cell (linear elements, 48 a side, Richardson), as printed
TABLE = [
    ("square", GRAPHITE, 0.60, ("142.949", "9.6124", ".2522", ".3503", "6.0819", "3.1150")),
    ("hexagonal", GRAPHITE, 0.60, ("142.947", "9.1813", ".2525", ".3787", "5.8191", "3.3298")),
    ("square", BORON_AL, 0.47, ("215.335", "143.956", ".1946", ".2551", "54.378", "45.824")),
    ("hexagonal", BORON_AL, 0.47, ("215.307", "133.070", ".1949", ".3100", "54.048", "50.790")),
    ("hexagonal", LY556, 0.62, ("50.895", "12.652", ".2486", ".3965", "4.6345", "4.5301")),
    ("square", SILENKA, 0.60, ("45.768", "14.912", ".2497", ".2649", "4.5772", "3.2539")),
    ("hexagonal", SILENKA, 0.60, ("45.763", "11.798", ".2515", ".4020", "4.3387", "4.2076")),
]
MATERIALS = {"graphite": (GRAPHITE, 0.60), "boron": (BORON_AL, 0.47), "LY556": (LY556, 0.62), "Silenka": (SILENKA, 0.60)}


def stiffness(packing, phases, fraction, n):
    return elastic_cell(packing, n)(np.array([*phases, fraction])).reshape(6, 6)


def constants(c):
    s = np.linalg.inv(c)
    return np.array([1 / s[0, 0], 1 / s[1, 1], -s[0, 1] / s[0, 0], -s[1, 2] / s[1, 1], 1 / s[5, 5], 1 / s[3, 3]])


@pytest.mark.validates(
    "fibre_composite",
    "effective stiffness of the cell",
    against="seven cells of an independent finite-element table",
    bar="1.6e-4 beyond its rounding",
)
@pytest.mark.parametrize(("packing", "phases", "fraction", "printed"), TABLE)
def test_reference_table(packing, phases, fraction, printed):
    found = constants(stiffness(packing, phases, fraction, 6))
    reference = np.array(printed, dtype=float)
    rounding = np.array([0.5 * 10.0 ** -len(p.split(".")[1]) for p in printed])
    # measured: 6 elements a side differ from 12 by at most 1.4e-4 (square glass, G23), and 12 from the table's own
    # extrapolation by 2.1e-5 beyond its rounding
    np.testing.assert_array_less(np.abs(found - reference), rounding + 1.6e-4 * reference)


@pytest.mark.validates("fibre_composite", "symmetry of the hexagonal cell", against="transverse isotropy", bar="1e-12")
@pytest.mark.parametrize("material", MATERIALS)
def test_hexagonal_cell_is_transversely_isotropic(material):
    c = stiffness("hexagonal", *MATERIALS[material], 2)
    # the mesh has the cell's six-fold symmetry, so the discrete tensor has it too, to rounding: far below the 1e-4 of theory + mesh
    np.testing.assert_allclose((c[1, 1] - c[1, 2]) / 2, c[3, 3], rtol=1e-12)
    np.testing.assert_allclose(c[1, 1], c[2, 2], rtol=1e-12)
    np.testing.assert_allclose(c[4, 4], c[5, 5], rtol=1e-12)
    np.testing.assert_allclose(c[0, 1], c[0, 2], rtol=1e-12)


def test_square_cell_is_tetragonal():
    c = stiffness("square", BORON_AL, 0.47, 6)
    np.testing.assert_allclose(c[1, 1], c[2, 2], rtol=1e-12)
    np.testing.assert_allclose(c[4, 4], c[5, 5], rtol=1e-12)
    # the reference prints 57.354 and 45.838 from an unextrapolated mesh, 3e-4 above its own extrapolated G23 = 45.824
    np.testing.assert_allclose([(c[1, 1] - c[1, 2]) / 2, c[3, 3]], [57.354, 45.838], rtol=5e-4)
    np.testing.assert_allclose([c[1, 1], c[0, 1]], [c[2, 2], c[0, 2]], rtol=1e-12)


@pytest.mark.validates("fibre_composite", "cell of two equal phases", against="the phase itself", bar="1e-12")
@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("fraction", [0.05, 0.35, 0.74])
def test_equal_phases(packing, fraction):
    e, nu = 3.7, 0.31
    c = stiffness(packing, (*two_isotropic(e, nu), e, nu), fraction, 2)
    exact = isotropic(e, nu)
    np.testing.assert_allclose(c, exact, atol=1e-12 * exact[0, 0], rtol=0)


def cylinders(phases, v):
    """Composite cylinder assemblage: E1, nu12, k, G12 and the bounds of G23 (Hashin 1979)."""
    e1, _, g12, nu12, _, em, num = phases
    fibre, matrix = transversely_isotropic(*phases[:5]), isotropic(em, num)
    kf, km = ((c[1, 1] + c[1, 2]) / 2 for c in (fibre, matrix))
    gf, gm, vm = fibre[3, 3], matrix[3, 3], 1 - v
    den = vm / kf + v / km + 1 / gm
    k = km + v / (1 / (kf - km) + vm / (km + gm))
    g = gm + v / (1 / (g12 - gm) + vm / (2 * gm))
    axial = v * e1 + vm * em + 4 * v * vm * (nu12 - num) ** 2 / den
    poisson = v * nu12 + vm * num + v * vm * (nu12 - num) * (1 / km - 1 / kf) / den
    lower = gm + v / (1 / (gf - gm) + vm * (km + 2 * gm) / (2 * gm * (km + gm)))
    ratio, b1, b2 = gf / gm, km / (km + 2 * gm), kf / (kf + 2 * gf)
    al, rho = (b1 - ratio * b2) / (1 + ratio * b2), (ratio + b1) / (ratio - 1)
    upper = gm * (1 + (1 + b1) * v / (rho - v * (1 + 3 * b1**2 * vm**2 / (al * v**3 + 1))))
    return axial, poisson, k, g, lower, upper


@pytest.mark.validates(
    "fibre_composite", "moduli of the hexagonal cell", against="Hashin's composite cylinders (Hashin 1979)", bar="5e-3, shear along the fibre 1e-2"
)
@pytest.mark.parametrize("material", MATERIALS)
def test_hashin_cylinders(material):
    phases, v = MATERIALS[material]
    c = stiffness("hexagonal", phases, v, 4)
    e1, _, nu12, _, g12, g23 = constants(c)
    axial, poisson, bulk, shear, lower, upper = cylinders(phases, v)
    # stated agreement of a hexagonal array with the assemblage, far above the mesh error (3e-4 at 4 elements a side)
    np.testing.assert_allclose([e1, nu12, (c[1, 1] + c[1, 2]) / 2], [axial, poisson, bulk], rtol=5e-3)
    np.testing.assert_allclose(g12, shear, rtol=1e-2)
    assert lower < g23 < upper


@pytest.mark.validates(
    "fibre_composite", "transverse shear modulus and its bounds", against="an independent calculation, bounds of Hashin 1979", bar="5e-4, bounds 2e-4"
)
@pytest.mark.parametrize(
    ("material", "lower", "g23", "upper"), [("graphite", 3.2863, 3.3301, 3.4521), ("boron", 49.99, 50.80, 54.52), ("Silenka", 3.825, 4.209, 4.910)]
)
def test_printed_bounds_of_the_transverse_shear_modulus(material, lower, g23, upper):
    *_, low, high = cylinders(*MATERIALS[material])
    np.testing.assert_allclose([low, high], [lower, upper], rtol=2e-4)  # four printed digits
    # the reference prints its unextrapolated value here, up to 4e-4 above its own table; our mesh adds 5e-5
    np.testing.assert_allclose(stiffness("hexagonal", *MATERIALS[material], 6)[3, 3], g23, rtol=5e-4)


@pytest.mark.validates("fibre_composite", "stiffness between the bounds", against="Voigt and Reuss", bar="1e-13 of the size")
@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("material", MATERIALS)
def test_voigt_and_reuss_bounds(packing, material):
    phases, v = MATERIALS[material]
    c = stiffness(packing, phases, v, 2)
    fibre, matrix = transversely_isotropic(*phases[:5]), isotropic(*phases[5:])
    voigt = v * fibre + (1 - v) * matrix
    reuss = np.linalg.inv(v * np.linalg.inv(fibre) + (1 - v) * np.linalg.inv(matrix))
    np.testing.assert_allclose(c, c.T, rtol=0, atol=0)
    size = voigt[0, 0]
    assert np.linalg.eigvalsh(voigt - c).min() > -1e-13 * size  # equal along the fibre up to rounding
    assert np.linalg.eigvalsh(c - reuss).min() > -1e-13 * size
    assert np.linalg.eigvalsh(c).min() > 0
    assert np.linalg.eigvalsh(voigt - c).max() > 0.1 * matrix[3, 3]  # and the cell is not just the Voigt bound


@pytest.mark.validates(
    "fibre_composite",
    "convergence of the cell in the element size",
    against="its own finer meshes, biquadratic elements",
    bar="order 4 (within 0.4); 2e-5 square, 6e-5 hexagonal",
)
@pytest.mark.parametrize(("packing", "fraction", "meshes", "bound"), [("square", 0.3, (4, 8, 16), 2e-5), ("hexagonal", 0.4, (2, 4, 8), 6e-5)])
def test_fourth_order(packing, fraction, meshes, bound):
    """Energy of biquadratic elements on a body-fitted quadratic mesh: order 4. Differences of successive halvings fall alike."""
    c = [stiffness(packing, BORON_AL, fraction, n) for n in meshes]
    scale = np.sqrt(np.outer(np.diag(c[-1]), np.diag(c[-1])))
    errors = [np.abs((a - b) / scale).max() for a, b in pairwise(c)]
    # the slowest entry is the transverse shear; its rate rises towards 4 from below: square 3.55 (3, 6, 12), 3.63 (4, 8, 16),
    # 3.73 (6, 12, 24 at other phases); hexagonal 3.82 (2, 4, 8), 3.90 (3, 6, 12). Third order would give 3.0
    assert_order(errors, 4.0, tolerance=0.4, bound=bound)


def test_coarsest_square_mesh_near_touching_fibres():
    """No folded element wherever the kernel answers."""
    mesh = cell_mesh("square", 1)
    v = 0.9999 * elastic_cell("square", 1).data[-1][1]
    x = mesh.a + mesh.radius(v) * mesh.b
    assert np.linalg.det(np.einsum("qnk,eni->eqik", mesh.gradient, x[mesh.connectivity])).min() > 0


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_mesh_fraction_pairing_and_shape(packing, n):
    mesh = cell_mesh(packing, n)
    sides = 4 if packing == "square" else 6
    # elastic_cell answers below 0.99 of the touching fraction
    for v in (0.01, 0.3, 0.6, 0.7, (0.98 if n == 1 else 0.99) * MAX_FRACTION[packing]):
        x = mesh.a + mesh.radius(v) * mesh.b
        jacobian = np.einsum("qnk,eni->eqik", mesh.gradient, x[mesh.connectivity])
        det = np.linalg.det(jacobian)
        assert det.min() > 0, f"folded element at v = {v}"
        area = det @ mesh.weight
        # exact by construction: rounding of a few hundred additions
        assert abs(area[mesh.is_fibre].sum() - v) < 1e-13
        assert abs(area.sum() - 1.0) < 1e-13
    # every wall node has its mate: 2 n + 1 nodes a side, corners shared by 2 sides and joined into 1 (square) or 2 (hexagonal) classes
    wall = np.flatnonzero((np.abs(mesh.b).max(axis=1) < 1e-12) & (np.abs(mesh.a).max(axis=1) > 0.1))  # less the centre
    assert len(wall) == sides * 2 * n
    corners = 1 if packing == "square" else 2
    classes = (sides // 2) * (2 * n - 1) + corners
    assert len(np.unique(mesh.slot[wall])) == classes
    assert mesh.n_slots == len(mesh.a) - len(wall) + classes - 1  # and one node is pinned
    assert np.count_nonzero(mesh.slot < 0) == 1
    # mates differ by a lattice vector
    for slot in np.unique(mesh.slot[wall]):
        x = mesh.a[wall[mesh.slot[wall] == slot]]
        apart = np.linalg.norm(x - x[0], axis=1)[1:]
        lattice = 1.0 if packing == "square" else np.sqrt(2 / np.sqrt(3))
        allowed = lattice * np.array([1.0, np.sqrt(2.0)]) if packing == "square" else np.array([lattice])
        assert np.abs(apart[:, None] - allowed).min(axis=1).max(initial=0.0) < 1e-12


def test_core_polygon_lies_inside_the_fibre():
    assert 0.3 < CORE < 0.9


def test_unknown_packing():
    with pytest.raises(HmmInferError, match=r"Unknown packing 'hexagon'. Did you mean 'hexagonal'"):
        cell_mesh("hexagon", 2)


@pytest.mark.parametrize("packing", PACKINGS)
def test_scaling(packing):
    kernel = elastic_cell(packing, 2)
    p = np.array([*GRAPHITE, 0.6])
    k = np.array([7.0, 7.0, 7.0, 1.0, 1.0, 7.0, 1.0, 1.0])
    np.testing.assert_allclose(kernel(p * k), 7.0 * kernel(p), rtol=1e-12, atol=1e-11)
    # hence, by Euler's theorem, the moduli's derivatives weigh up to the value itself
    y = kernel(p)
    _, bar = kernel.value_and_pullback(p, np.eye(36)[7])
    np.testing.assert_allclose(bar[[0, 1, 2, 5]] @ p[[0, 1, 2, 5]], y[7], rtol=1e-12)


def test_limits_of_the_volume_fraction():
    kernel = elastic_cell("hexagonal", 2)
    p = np.array([*GRAPHITE, 1e-6])
    matrix = isotropic(*GRAPHITE[5:])
    # dilute: linear in v, a stiff fibre adds (235 / 4.8 at most) v relative
    np.testing.assert_allclose(kernel(p).reshape(6, 6), matrix, atol=1e-4 * matrix[0, 0])
    for v in (0.0, -0.1, MAX_FRACTION["hexagonal"], 1.0):
        p[7] = v
        assert np.all(np.isnan(kernel(p)))
