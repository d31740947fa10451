"""Named values and the flat vector, axial angles, priors as densities, and the field's basis as a covariance."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from hmminfer.errors import HmmInferError
from hmminfer.macro.orientation import field_basis
from hmminfer.micro.phases import PHASES
from hmminfer.models.fibre_composite.material import ANGLE
from hmminfer.system.parameters import Field, Parameter, ParameterSet, flat, wrap_axial
from hmminfer.system.priors import Axial, HalfNormal, LogNormal, Normal, Uniform, parse_prior

ZONES = Parameter("zone_angle", "deg", Axial(), axial=True, size=3, lower=-180, upper=180)
POINTS = np.zeros((1, 2))
FIELD = Field("angle_field", "deg", Normal(0, 1), axial=True, size=6, frequencies=field_basis(POINTS, np.array([[0.0, 0.0], [100.0, 50.0]]), 3, 2)[1])
ALL = ParameterSet((*PHASES, ANGLE, ZONES, FIELD))


def test_round_trip(rng):
    vector = ALL.sample(rng, 7)
    assert vector.shape == (7, ALL.size) == (7, 8 + 1 + 3 + 6)
    values = ALL.values(vector)
    assert list(values) == ALL.names
    assert values["volume_fraction"].shape == (7,)
    assert values["zone_angle"].shape == (7, 3)
    back = ALL.vector(values)
    axial = np.r_[8:12]
    np.testing.assert_allclose(np.delete(back, axial, 1), np.delete(vector, axial, 1), rtol=1e-15)
    # a double angle comes back modulo a full turn
    np.testing.assert_allclose(np.exp(1j * back[:, axial]), np.exp(1j * vector[:, axial]), atol=1e-14)
    one = ALL.vector({"fibre_angle": 30.0, "matrix_modulus": "4100 MPa"})
    assert one.shape == (ALL.size,)
    np.testing.assert_allclose(one[[5, 8]], [4.1, np.radians(60.0)])
    assert one[7] == pytest.approx(PHASES[7].prior.centre)
    np.testing.assert_array_equal(one[12:], 0.0)  # a field's default: no variation


def test_draws_broadcast_over_the_others():
    v = ALL.vector({"matrix_modulus": np.array([3.0, 4.0]), "fibre_angle": np.full((5, 2), 10.0)})
    assert v.shape == (5, 2, ALL.size)
    np.testing.assert_array_equal(v[3, :, 5], [3.0, 4.0])


def test_labels_and_slices_cover_the_vector():
    assert len(ALL.labels()) == ALL.size
    assert ALL.labels()[9] == "zone_angle[0]"
    covered = np.concatenate([np.arange(ALL.size)[s] for s in ALL.slices().values()])
    np.testing.assert_array_equal(covered, np.arange(ALL.size))


def test_axial_wrapping():
    degrees = np.array([-90.0, -89.0, -45.0, 0.0, 45.0, 89.0, 90.0, 91.0, 135.0, 180.0, 270.0, -180.0, 100.0 + 180 * 7])
    expected = np.array([90.0, -89.0, -45.0, 0.0, 45.0, 89.0, 90.0, -89.0, -45.0, 0.0, 90.0, 0.0, -80.0])
    found = wrap_axial(np.radians(2 * degrees))
    # (-90, 90]: the one point of the circle where rounding decides may come out at either end
    np.testing.assert_allclose(np.exp(2j * np.radians(found)), np.exp(2j * np.radians(expected)), atol=1e-12)
    inside = np.abs(expected) < 90
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-11)
    assert np.all((found > -90 - 1e-9) & (found <= 90 + 1e-9))
    for a in (90.0, 30.0, -30.0):
        assert ANGLE.from_vector(ANGLE.to_vector(a)) == pytest.approx(a)
        np.testing.assert_allclose(np.exp(1j * ANGLE.to_vector(a)), np.exp(1j * ANGLE.to_vector(a - 180.0 if a > 0 else a + 180.0)), atol=1e-14)


PRIORS = [
    (Normal(3.0, 0.5), -np.inf, np.inf),
    (Normal(0.62, 0.06, 0.55, 0.80), 0.55, 0.80),
    (LogNormal(4.0, 0.5), 0.0, np.inf),
    (Uniform(-1.0, 3.0), -1.0, 3.0),
    (HalfNormal(2.0), 0.0, np.inf),
    (Axial(), -90.0, 90.0),
    (Axial(20.0, 3.0), -90.0, 90.0),
    (Axial(85.0, 8.0), -90.0, 90.0),
]


@pytest.mark.parametrize(("prior", "lower", "upper"), PRIORS, ids=lambda p: str(p)[:40])
def test_priors_are_densities(prior, lower, upper, rng):
    reach = prior.sd * (30 if isinstance(prior, LogNormal) else 12)
    low, high = (lower, upper) if isinstance(prior, Axial) else (max(lower, prior.centre - reach), min(upper, prior.centre + reach))

    def density(x):
        return float(np.exp(prior.logpdf(x)))

    total = quad(density, low, high, limit=200, points=[prior.centre] if low < prior.centre < high else None)[0]
    assert total == pytest.approx(1.0, abs=1e-7)  # the tails left out are smaller: 30 sd of the log-normal, 12 of a normal
    draws = prior.sample(rng, 20_000)
    assert draws.shape == (20_000,)
    assert np.all((draws >= lower) & (draws <= upper))
    if not isinstance(prior, Axial):
        mean = quad(lambda x: x * density(x), low, high, limit=200)[0]
        sd = math.sqrt(quad(lambda x: (x - mean) ** 2 * density(x), low, high, limit=200)[0])
        assert prior.sd == pytest.approx(sd, rel=1e-5)  # the same tails, weighted by their square
        assert quad(density, low, prior.centre, limit=200)[0] == pytest.approx(0.5, abs=1e-6)  # the centre is the median
        # 20,000 draws: the standard error of an sd is 0.5 % for a normal, 1.2 % with the log-normal's tail
        assert draws.std() == pytest.approx(prior.sd, rel=0.05)
        assert np.median(draws) == pytest.approx(prior.centre, abs=0.05 * prior.sd)
        inside = np.mean((draws >= prior.box(4.0)[0]) & (draws <= prior.box(4.0)[1]))
        assert inside > 1 - 1e-3
    else:
        t = np.radians(2 * draws)
        resultant = np.mean(np.exp(1j * t))
        kappa = prior.concentration
        exact = quad(lambda u: np.cos(u) * np.exp(kappa * np.cos(u)), 0, np.pi)[0] / quad(lambda u: np.exp(kappa * np.cos(u)), 0, np.pi)[0]
        # mean direction and resultant length within 5 standard errors
        target = exact * np.exp(2j * np.radians(prior.mean))
        assert abs(resultant - target) < 5 / math.sqrt(20_000)
        # density repeats after half a turn
        np.testing.assert_allclose(prior.logpdf(np.array([10.0])), prior.logpdf(np.array([-170.0])), rtol=1e-12)


def test_boxes():
    assert Normal(0.62, 0.06, 0.30, 0.80).box(4.0) == pytest.approx((0.38, 0.80))
    assert Normal(1.0, 0.5).box(2.0) == pytest.approx((0.0, 2.0))
    assert LogNormal(4.0, 0.5).box(4.0) == pytest.approx((4 * math.exp(-2), 4 * math.exp(2)))
    assert Uniform(1.0, 2.0).box() == (1.0, 2.0)
    assert HalfNormal(2.0).box(3.0) == (0.0, 6.0)
    assert Axial().box() == (-90.0, 90.0)


def test_axial_standard_deviation():
    """Uniform: 180 / sqrt(12) degrees; concentrated: 28.65 / sqrt(kappa)."""
    assert Axial().sd == pytest.approx(180 / math.sqrt(12))
    assert Axial(0.0, 400.0).sd == pytest.approx(0.5 * math.degrees(1 / math.sqrt(400)), rel=1e-3)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("LogNormal(3.5 GPa, 0.2)", "GPa", LogNormal(3.5, 0.2)),
        ("LogNormal(3500 MPa, 0.2)", "GPa", LogNormal(3.5, 0.2)),
        (" Normal( 0.6 , 0.03, lower=0.3, upper=inf ) ", "", Normal(0.6, 0.03, 0.3)),
        ("Normal(60 %, 3 %)", "", Normal(0.6, 0.03)),
        ("Uniform(-1e-1, +2)", "", Uniform(-0.1, 2.0)),
        ("HalfNormal(2)", "deg", HalfNormal(2.0)),
        ("Axial()", "deg", Axial()),
        ("Axial(0.5 rad, 3)", "deg", Axial(math.degrees(0.5), 3.0)),
    ],
)
def test_parse_prior(text, unit, expected):
    found = parse_prior(text, unit)
    assert type(found) is type(expected)
    for name in expected.__dataclass_fields__:
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Gama(1, 2)", "Did you mean 'Gamma'"),
        ("LogNormall(1, 2)", "Did you mean 'LogNormal'"),
        ("3.5 GPa", "Cannot read the prior '3.5 GPa'; write it as"),
        ("Normal(1, 2", "Cannot read the prior"),
        ("Normal(1)", "Wrong arguments in the prior 'Normal(1)'; Normal takes (mean, standard_deviation, lower, upper)"),
        ("Normal(1, 2, 3, 4, 5)", "Wrong arguments"),
        ("Normal(1, 2, low=3)", "Wrong arguments"),
        ("Normal(1 s, 2)", "cannot be converted to 'GPa'"),
        ("Normal(one, 2)", "is not a number with a unit"),
        ("Normal(1, -2)", "positive standard deviation"),
        ("Normal(1, 0)", "positive standard deviation"),
        ("LogNormal(-1, 0.2)", "positive median"),
        ("LogNormal(1, 0)", "positive sigma"),
        ("Uniform(2, 1)", "lower < upper"),
        ("HalfNormal(-1)", "positive standard deviation"),
        ("HalfNormal(0)", "positive standard deviation"),
        ("Normal(nan, 1)", ""),
        ("Normal(1-2, 1)", ""),
        ("Normal(.e, 1)", ""),
        ("Axial(0, -1)", "concentration"),
    ],
)
def test_priors_that_cannot_be(text, message):
    with pytest.raises(HmmInferError) as error:
        parse_prior(text, "GPa")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("volume_fraction", 0.95, "Parameter 'volume_fraction' = 0.95 is outside its support [0.01, 0.9]"),
        ("volume_fraction", [0.5, -0.2], "Parameter 'volume_fraction' = -0.2 is outside its support [0.01, 0.9]"),
        ("matrix_modulus", "-3 GPa", "'matrix_modulus' = -3 GPa is outside its support"),
        ("matrix_modulus", "3 mm", "cannot be converted to 'GPa'"),
        ("matrix_modulus", float("nan"), "'matrix_modulus' has a value that is not a number; give it in GPa"),
        ("matrix_modulus", "much", "is not a number with a unit"),
        ("matrix_poisson", 0.5, "'matrix_poisson' = 0.5"),
        ("fibre_angle", 181.0, "'fibre_angle' = 181 deg is outside its support [-180, 180]"),
        ("zone_angle", [1.0, 2.0], "'zone_angle' needs 3 values, got shape (2,)"),
        ("angle_field", np.zeros(5), "Field 'angle_field' takes its 6 coefficients, got shape (5,)"),
        ("angle_field", np.full(6, np.nan), "angle_field"),
        ("fibre_angel", 3.0, "Unknown parameter 'fibre_angel'. Did you mean 'fibre_angle'?"),
    ],
)
def test_values_that_cannot_be(name, value, message):
    with pytest.raises(HmmInferError) as error:
        ALL.vector({name: value})
    assert message in str(error.value)


def test_one_number_for_every_zone():
    """A number for a vector parameter is that number for each entry, in units and angles too; a fixed one stays one number."""
    many = ALL.vector({"zone_angle": [7.0, 7.0, 7.0]})
    assert np.array_equal(ALL.vector({"zone_angle": 7.0}), many)
    assert np.array_equal(ALL.vector({"zone_angle": "7 deg"}), many)


def test_support_error_names_the_value_that_is_outside():
    """Of several draws, the one outside, whichever is largest."""
    with pytest.raises(HmmInferError, match=r"= 0\.005 "):
        ALL.vector({"volume_fraction": [0.5, 0.005, 0.6]})


def test_names_do_not_repeat():
    with pytest.raises(HmmInferError, match="Parameter names repeat: fibre_angle"):
        ParameterSet((ANGLE, ANGLE))
    assert flat([ANGLE, PHASES[:2]]).names == ["fibre_angle", "fibre_axial_modulus", "fibre_transverse_modulus"]


def test_replaced_priors():
    new = ALL.replaced({"matrix_modulus": "Normal(4000 MPa, 200 MPa)", "fibre_angle": Axial(10.0, 5.0)})
    assert new["matrix_modulus"].prior == Normal(4.0, 0.2)
    assert new["fibre_angle"].prior == Axial(10.0, 5.0)
    assert ALL["matrix_modulus"].prior == PHASES[5].prior
    with pytest.raises(HmmInferError, match="axial angle and takes an Axial"):
        ALL.replaced({"fibre_angle": "Normal(10, 3)"})
    with pytest.raises(HmmInferError, match="Unknown parameter"):
        ALL.replaced({"angle": "Axial()"})


# --------------------------------------------------------------------------------------------------------------------- fields


def matern(r, sigma, ell):
    z = math.sqrt(5) * r / ell
    return sigma**2 * (1 + z + z**2 / 3) * np.exp(-z)


@pytest.mark.validates(
    "all",
    "covariance of a field, length scales of 15, 20 and 30 % of the box",
    against="Matern 5/2 in two dimensions",
    bar="0.005, 0.01 and 0.08 of the variance",
)
@pytest.mark.parametrize(("ell", "n", "bound"), [(15.0, (40, 40), 0.005), (20.0, (32, 32), 0.01), (30.0, (24, 24), 0.08)])
def test_field_basis_reproduces_the_matern_covariance(ell, n, bound):
    """sum_k S(w_k) phi_k(x) phi_k(y) against sigma^2 Matern-5/2 in the middle of the domain.

    Two parts are lost. The spectrum beyond the last frequency: (1 + (w l)^2 / 5)^(-5/2) of the variance, below 1 % here. And the images that
    the zero at the edge of the extended box makes, a Matern of twice the distance to it: 85 mm from the outermost points here, 0.2 % of the
    variance for l = 15, 1 % for 20 and 4 % for 30 from each near side. Measured in all: 0.0055 for l = 20, 0.066 for 30.
    """
    box = np.array([[0.0, 0.0], [100.0, 100.0]])
    rng = np.random.default_rng(0)
    x = np.vstack([[50.0, 50.0], rng.uniform(30, 70, (25, 2))])
    phi, frequencies = field_basis(x, box, *n)
    field = Field("f", "", Normal(0, 1), size=phi.shape[1], frequencies=frequencies)
    sigma = 1.7
    covariance = (phi * field.scales(sigma, ell) ** 2) @ phi.T
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    error = np.abs(covariance - matern(distance, sigma, ell)).max() / sigma**2
    assert error < bound


@pytest.mark.parametrize(("length", "width"), [(100.0, 50.0), (100.0, 25.0)])
def test_field_keeps_its_amplitude_at_the_models_default_length_scale(length, width):
    """At the median of the default prior, 0.4 plate lengths, the amplitude must mean the standard deviation it is said to be."""
    box = np.array([[0.0, 0.0], [length, width]])
    phi, frequencies = field_basis(box.mean(axis=0)[None], box, 12, 9)
    field = Field("f", "", Normal(0, 1), size=108, frequencies=frequencies)
    sd = np.sqrt(np.sum((phi[0] * field.scales(1.0, 0.4 * length)) ** 2))
    assert sd == pytest.approx(1.0, abs=0.1)  # a tenth is well inside what a prior of amplitude can matter


def test_field_scales_convert_degrees_to_the_double_angle():
    """An amplitude of 1 degree of theta is 2 degrees of t, in radians."""
    plain = Field("f", "", Normal(0, 1), size=6, frequencies=FIELD.frequencies)
    np.testing.assert_allclose(FIELD.scales(1.0, 30.0), np.radians(2.0) * plain.scales(1.0, 30.0), rtol=1e-14)
    assert np.all(np.diff(FIELD.scales(1.0, 30.0)[np.argsort((FIELD.frequencies**2).sum(1))]) <= 0)  # rough modes are small


def test_field_basis_is_orthonormal_on_the_extended_box():
    box = np.array([[0.0, 0.0], [100.0, 40.0]])
    centre, half = box.mean(axis=0), 0.5 * np.ptp(box, axis=0) + 0.4 * 100.0
    nodes, weights = np.polynomial.legendre.leggauss(40)
    grid = np.stack(np.meshgrid(*(centre[i] + half[i] * nodes for i in (0, 1)), indexing="ij"), axis=-1).reshape(-1, 2)
    w = np.outer(weights * half[0], weights * half[1]).ravel()
    phi, frequencies = field_basis(grid, box, 4, 3)
    np.testing.assert_allclose(phi.T @ (w[:, None] * phi), np.eye(12), atol=1e-12)
    assert frequencies.shape == (12, 2)
    np.testing.assert_allclose(frequencies[0], np.pi / (2 * half))


MODULUS = Parameter("matrix_modulus", "GPa", LogNormal(3.5, 0.2), lower=0.0)
CONTENT = Parameter("volume_fraction", "", LogNormal(0.4, 0.2), lower=0.0, upper=0.9, size=3)


@pytest.mark.parametrize(
    ("parameter", "value", "held"),
    [
        (MODULUS, 3.5, 3.5),
        (MODULUS, "3500 MPa", 3.5),
        (MODULUS, np.float64(3.5), 3.5),
        (CONTENT, 0.3, 0.3),
        (CONTENT, [0.3, 0.3, 0.3], 0.3),
        (CONTENT, "0.2, 0.3, 0.4", [0.2, 0.3, 0.4]),
        (CONTENT, "30 %", 0.3),
    ],
)
def test_values_at_which_a_parameter_is_held(parameter, value, held):
    np.testing.assert_allclose(parameter.held(value), held)
    assert isinstance(parameter.held(value), float) == (np.ndim(held) == 0)


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        (
            MODULUS,
            [3.0, 5.0],
            r"'matrix_modulus' is held at one number, and 2 are given \(3, 5\); write one, with a decimal point, 3\.5 if a decimal",
        ),
        (MODULUS, [1.0], "is held at one number"),
        (MODULUS, "3,5", r"3\.5 if the comma in it is a decimal comma"),
        (MODULUS, ["3 GPa"], "which is not a number"),
        (MODULUS, [[1.0], [2.0, 3.0]], "which is not a number"),
        (MODULUS, {"a": 1}, "which is not a number"),
        (MODULUS, None, "which is not a number"),
        (MODULUS, True, "which is not a number"),
        (CONTENT, [0.2, 0.3], "needs 3 values"),
        (CONTENT, [[0.2, 0.3, 0.4]], "is held at one number, or 3"),
    ],
)
def test_what_is_no_value_to_hold_is_refused(parameter, value, said):
    with pytest.raises(HmmInferError, match=said):
        parameter.held(value)
