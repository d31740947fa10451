"""Long coupons against the closed forms of off-axis compliance, and clamped coupons against independent finite elements."""

import numpy as np
import pytest

from hmminfer.macro.coupons import KINDS, long_coupons
from hmminfer.models import fibre_composite

AS4 = (126.0, 11.0, 6.6, 0.28)  # E1, E2, G12 (GPa), nu12


def lamina(e1, e2, g12, nu12):
    """A 6 x 6 stiffness with these in-plane constants; the others do not matter in plane stress."""
    s = np.zeros((6, 6))
    s[0, 0], s[1, 1], s[2, 2] = 1 / e1, 1 / e2, 1 / e2
    s[0, 1] = s[1, 0] = s[0, 2] = s[2, 0] = -nu12 / e1
    s[1, 2] = s[2, 1] = -0.4 / e2
    s[3, 3], s[4, 4], s[5, 5] = 2.8 / e2, 1 / g12, 1 / g12
    return np.linalg.inv(s)


def observe(kind, degrees, constants=AS4):
    """One kind of observable of a lamina at known angles."""
    degrees = np.atleast_1d(np.asarray(degrees, float))
    n = len(degrees)
    kernel = long_coupons(np.full(n, KINDS[kind]), np.full(n, -1), np.radians(2 * degrees))
    return kernel(lamina(*constants).ravel())


def compliances(degrees, e1, e2, g12, nu12):
    """S11, S12, S16, S66 of the rotated lamina in closed form."""
    a = np.radians(degrees)
    c, s = np.cos(a), np.sin(a)
    s11 = c**4 / e1 + s**4 / e2 + c**2 * s**2 * (1 / g12 - 2 * nu12 / e1)
    s16 = 2 * c**3 * s * (1 + nu12) / e1 - 2 * c * s**3 * (1 / e2 + nu12 / e1) - c * s * (c**2 - s**2) / g12
    s12 = c**2 * s**2 * (1 / e1 + 1 / e2 - 1 / g12) - (c**4 + s**4) * nu12 / e1
    s66 = 4 * c**2 * s**2 * (1 / e1 + 1 / e2 + 2 * nu12 / e1) + (c**2 - s**2) ** 2 / g12
    return s11, s12, s16, s66


DEGREES = np.array([-90.0, -61.0, -45.0, -7.5, 0.0, 2.0, 10.0, 33.0, 45.0, 72.0, 90.0, 135.0])


@pytest.mark.validates(
    "fibre_composite", "moduli and coupling of long off-axis coupons", against="closed forms of the rotated compliance", bar="1e-12"
)
@pytest.mark.parametrize("constants", [AS4, (45.6, 16.2, 5.83, 0.278), (10.0, 10.0, 10.0 / 2.6, 0.3)], ids=["AS4", "glass", "isotropic"])
def test_closed_forms(constants):
    s11, s12, s16, s66 = compliances(DEGREES, *constants)
    # rounding of a 6 x 6 inverse and two rotations: condition number about 40
    np.testing.assert_allclose(observe("youngs_modulus", DEGREES, constants), 1 / s11, rtol=1e-12)
    np.testing.assert_allclose(observe("shear_modulus", DEGREES, constants), 1 / s66, rtol=1e-12)
    np.testing.assert_allclose(observe("poisson_ratio", DEGREES, constants), -s12 / s11, atol=1e-12)
    np.testing.assert_allclose(observe("shear_coupling", DEGREES, constants), s16 / s11, atol=1e-12)


def test_parity_and_period():
    for kind, sign in (("youngs_modulus", 1), ("shear_modulus", 1), ("poisson_ratio", 1), ("shear_coupling", -1)):
        there = observe(kind, DEGREES)
        np.testing.assert_allclose(observe(kind, -DEGREES), sign * there, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(observe(kind, DEGREES + 180.0), there, rtol=1e-12, atol=1e-14)  # an axis has no head


def test_shear_coupling_of_as4():
    """Values listed with two decimals for this lamina."""
    degrees = [2, 5, 10, 15, 20, 30, 45, 60]
    expected = [-0.57, -1.27, -1.85, -1.89, -1.70, -1.23, -0.68, -0.32]
    # half a digit, and a little more: two entries (2 and 45 degrees, exactly -0.5647 and -0.6748) were rounded outwards
    np.testing.assert_allclose(observe("shear_coupling", degrees), expected, atol=0.0054)


@pytest.mark.validates(
    "fibre_composite", "modulus at ten degrees from tabulated lamina constants", against="five values predicted by Raghavan & Meshii", bar="0.05 GPa"
)
@pytest.mark.parametrize(
    ("e1", "e2", "g12", "predicted"),
    [
        (200.0, 14.0, 14.73, 150.0),
        (196.0, 13.2, 13.57, 144.2),
        (195.6, 12.92, 12.99, 142.0),
        (193.1, 12.62, 12.55, 139.2),
        (191.6, 9.52, 12.12, 136.5),
    ],
)
def test_modulus_at_ten_degrees_of_raghavan_and_meshii(e1, e2, g12, predicted):
    """Predicted from the tabulated E1, E2, G at five temperatures, nu12 = 0.3; printed with one decimal."""
    np.testing.assert_allclose(observe("youngs_modulus", 10.0, (e1, e2, g12, 0.3)), predicted, atol=0.05)


def test_angle_implied_at_295_kelvin():
    """The tabulated shear modulus and E(10 deg) = 146.44 GPa imply 10.5 degrees (one decimal)."""
    degrees = np.linspace(9.0, 12.0, 301)
    values = observe("youngs_modulus", degrees, (200.0, 14.0, 14.73, 0.3))
    np.testing.assert_allclose(np.interp(-146.44, -values, degrees), 10.5, atol=0.05)


def test_hidden_and_known_angles_agree(rng):
    kinds = np.array([0, 1, 2, 3, 0, 3])
    t = rng.uniform(-3, 3, 3)
    which = np.array([0, 1, 2, 0, 2, 1])
    c = lamina(*AS4).ravel()
    hidden = long_coupons(kinds, which, np.zeros(6))(np.concatenate([c, t]))
    known = long_coupons(kinds, np.full(6, -1), t[which])(c)
    np.testing.assert_array_equal(hidden, known)


def test_every_modulus_over_all_angles():
    """The prediction model gives the same curves as its rows one by one, and its ends are the principal constants."""
    model = fibre_composite.moduli([0.0, 30.0, 90.0], refine=2, cell="full")
    out = model.predict()
    stiff = np.linalg.inv(fibre_composite.law(cell="full", refine=2).kernel(model.vector()).reshape(6, 6))
    e1, e2, g12, nu12 = 1 / stiff[0, 0], 1 / stiff[1, 1], 1 / stiff[5, 5], -stiff[0, 1] / stiff[0, 0]
    s11, s12, s16, s66 = compliances(np.array([0.0, 30.0, 90.0]), e1, e2, g12, nu12)
    for name, exact in (("youngs_modulus", 1 / s11), ("shear_modulus", 1 / s66), ("poisson_ratio", -s12 / s11), ("shear_coupling", s16 / s11)):
        np.testing.assert_allclose(out[name].values, exact, rtol=1e-11, atol=1e-12)
    assert out["youngs_modulus"].attrs["units"] == "GPa"


def test_neat_matrix_row_is_the_parameter_itself(coupons):
    y = coupons.evaluate({"matrix_modulus": 5.125})
    (row,) = np.flatnonzero(coupons.table.quantity == "matrix_modulus")
    assert y[row] == 5.125
