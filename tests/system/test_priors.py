"""Priors describe themselves: densities, quantiles and transforms agree with each other, with SciPy and with PyMC; text writes what text reads."""

import math
from itertools import pairwise

import numpy as np
import pymc as pm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from hmminfer.errors import HmmInferError
from hmminfer.inference.posterior import PYMC, prior_variable
from hmminfer.system.parameters import Field, HalfNormal, Parameter, ParameterSet
from hmminfer.system.prior_base import _median
from hmminfer.system.priors import PRIORS, Axial, Beta, Gamma, LogNormal, Normal, Prior, StudentT, Uniform, parse_prior

EACH = [
    Normal(3.0, 0.5),
    Normal(0.62, 0.06, 0.55, 0.80),
    Normal(0.0, 1.0, lower=0.3),
    LogNormal(4.0, 0.5),
    LogNormal(4.0, 0.5, lower=3.0),
    LogNormal(4.0, 0.5, upper=5.0),
    LogNormal(4.0, 0.5, lower=1.0, upper=30.0),
    Uniform(-1.0, 3.0),
    HalfNormal(2.0),
    Gamma(3.0, 1.5),
    Gamma(2.0, 4.0),
    Beta(2.0, 5.0),
    StudentT(4.0, 1.0, 0.5),
]
every = pytest.mark.parametrize("prior", EACH, ids=str)


def test_all_kinds_are_tried():
    assert {type(p) for p in EACH} | {Axial} == set(PRIORS.values()) == {*PYMC, Axial}


@every
def test_density_and_quantiles_agree(prior):
    """The density integrates to Phi(u) up to the quantile of u, and to one over the bounds; integrated in the unbounded coordinate."""
    low, high = prior.bounds

    def density(z):
        x = prior.from_unconstrained(complex(z, 1e-30), np.exp)
        return float(np.exp(prior.logpdf(x.real))) * x.imag / 1e-30

    def share(u):
        edges = prior.to_unconstrained(np.array([prior.quantile(v) for v in (-7.0, -3.0, -1.0, 1.0, 3.0, 7.0) if v < u] + [prior.quantile(u)]))
        return sum(quad(density, a, b, limit=200)[0] for a, b in pairwise(edges))

    assert share(7.0) == pytest.approx(1.0, abs=1e-7)  # 7 sds of a normal law leave 1e-12 out
    for u in (-2.0, -0.5, 0.0, 1.5):
        assert share(u) == pytest.approx(stats.norm.cdf(u), abs=1e-7)
    assert prior.centre == pytest.approx(prior.quantile(0.0), rel=1e-9, abs=1e-12)
    np.testing.assert_array_equal(prior.logpdf(np.array([x for x in (low - 0.1, high + 0.1) if math.isfinite(x)])), -np.inf)


@every
def test_draws_have_the_moments_said(prior, rng):
    x = prior.sample(rng, 40_000)
    low, high = prior.bounds
    assert x.shape == (40_000,)
    assert np.all((x >= low) & (x <= high))
    # a standard error of 0.5 % for a normal law, 3 % with the tail of a t law of 4 degrees of freedom, whose fourth moment is infinite
    assert x.std() == pytest.approx(prior.sd, rel=0.15 if isinstance(prior, StudentT) else 0.03)
    grid = np.linspace(-6.0, 6.0, 4001)
    assert stats.kstest(x[:4000], lambda v: np.interp(v, prior.quantile(grid), stats.norm.cdf(grid))).pvalue > 1e-4
    a, b = prior.box(4.0)
    assert low <= a < prior.centre < b <= high
    assert np.mean((x >= a) & (x <= b)) > 1 - 1e-3


@every
def test_the_transform_is_the_one_of_pymc(prior, rng):
    """Density in PyMC's own unbounded coordinate, and the value behind it: what the samplers see."""
    with pm.Model() as model:
        prior_variable(Parameter("p", "", prior), "p", {})
    (value,) = model.value_vars
    logp = model.compile_logp()
    z = np.array([-1.3, 0.2, 0.9])
    ours = [prior.log_density(float(v)) for v in z]
    theirs = [float(logp({value.name: v})) for v in z]
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=1e-9, atol=1e-9)  # up to a constant
    x = prior.from_unconstrained(z)
    np.testing.assert_allclose(prior.to_unconstrained(x), z, rtol=1e-10)
    jacobian = [math.log(prior.from_unconstrained(complex(v, 1e-30), np.exp).imag / 1e-30) for v in z]
    np.testing.assert_allclose(
        prior.logpdf(x) + jacobian, theirs, rtol=1e-6, atol=1e-6
    )  # constant included; PyMC's log gamma and log cdf hold to 1e-7


@every
@pytest.mark.parametrize("unit", ["", "GPa"])
def test_text_writes_what_text_reads(prior, unit):
    assert parse_prior(prior.text(unit), unit) == prior
    assert parse_prior(str(prior)) == prior  # these have few digits


def test_units_belong_to_some_arguments_only():
    assert parse_prior("LogNormal(3500 MPa, 20 %, upper=10 GPa)", "GPa") == LogNormal(3.5, 0.2, upper=10.0)
    assert parse_prior("StudentT(4, 3500 MPa, 0.5)", "GPa") == StudentT(4.0, 3.5, 0.5)
    assert parse_prior("Beta(2, 5)", "%") == Beta(2.0, 5.0)
    with pytest.raises(HmmInferError, match="cannot be converted"):
        parse_prior("LogNormal(3.5 GPa, 0.2 GPa)", "GPa")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Gamma(0, 1)", "positive mean"),
        ("Beta(1, -1)", "positive beta"),
        ("StudentT(2, 0, 1)", "nu > 2"),
        ("LogNormal(1, 0.2, lower=-1)", "0 <= lower < upper"),
        ("LogNormal(1, 0.2, lower=3, upper=2)", "lower < upper"),
        ("Uniform(0, inf)", "finite bounds"),
        ("Gamma(1, 2, 3)", "takes (mean, standard_deviation)"),
        ("Gamma(1, mean=2)", "takes (mean, standard_deviation)"),
    ],
)
def test_priors_that_cannot_be(text, said):
    with pytest.raises(HmmInferError) as error:
        parse_prior(text)
    assert said in str(error.value)


def test_a_prior_is_one_class(rng):
    """What the rest of the package asks of a prior it finds in the class: nothing else is edited to add one, beside the line for PyMC."""

    class Exponential(Prior):
        """Exponential law of a given mean."""

        bounds = (0.0, math.inf)

        def _frozen(self):
            return stats.expon(scale=2.0)

    parameter = Parameter("rate", "1/s", Exponential())
    draws = ParameterSet((parameter,)).sample(rng, 1000)
    assert draws.min() > 0.0
    assert parameter.prior.centre == pytest.approx(2.0 * math.log(2.0))
    assert parameter.prior.normal == (parameter.prior.centre, 2.0, False)
    assert parameter.prior.box(4.0)[1] == pytest.approx(-2.0 * math.log(stats.norm.sf(4.0)))
    assert parameter.prior.log_density(0.3) == pytest.approx(0.3 - math.exp(0.3) / 2.0 - math.log(2.0))


def test_priors_of_a_fields_amplitude_and_length():
    field = Field("angle_field", "deg", Normal(0, 1), axial=True, size=6, frequencies=np.ones((6, 2)))
    changed = ParameterSet((field,)).replaced({"angle_field_amplitude": "HalfNormal(5 deg)", "angle_field_length": LogNormal(12.0, 0.3)})[
        "angle_field"
    ]
    assert [h.prior for h in changed.hyperparameters] == [HalfNormal(5.0), LogNormal(12.0, 0.3)]
    with pytest.raises(HmmInferError, match="Did you mean 'angle_field_length'"):
        ParameterSet((field,)).replaced({"angle_field_lenght": "LogNormal(12 mm, 0.3)"})


NUMBER = st.one_of(
    st.floats(-1e3, 1e3),
    st.floats(),
    st.sampled_from(["nan", "inf", "-inf", "1_0", "3 GPa", "3 MPa", "3 parsec", "0", "-1", "1e400", "1e-320", "", "lower=1", "upper=2", "x=1"]),
)
TEXT = st.builds(
    lambda name, numbers: f"{name}({', '.join(map(str, numbers))})",
    st.sampled_from([*PRIORS, "Exponential", "normal", ""]),
    st.lists(NUMBER, max_size=5),
)
MODULUS = ParameterSet((Parameter("modulus", "GPa", LogNormal(3.0, 0.2), "", 0.1, 2000.0),))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(text=TEXT)
def test_any_text_is_a_prior_of_its_parameter_or_refused(text):
    """A prior that is accepted has a centre and draws within the support, a density there, and is read back from what it writes."""
    refusal = ""
    try:
        p = MODULUS.replaced({"modulus": text})["modulus"]
    except HmmInferError as error:
        refusal = str(error)
    assert len(refusal) < 400
    if refusal:
        return
    prior = p.prior
    assert parse_prior(prior.text("GPa"), "GPa") == prior
    assert 0.1 <= prior.centre <= 2000.0
    drawn = prior.sample(np.random.default_rng(0), 50)
    assert np.isfinite(drawn).all()
    assert prior.outside(0.1, 2000.0) > 0.0 or np.all((drawn >= 0.1) & (drawn <= 2000.0)), "a problem refuses the others"
    assert math.isfinite(float(prior.logpdf(prior.centre)))
    z = prior.to_unconstrained(np.array([prior.centre]))
    np.testing.assert_allclose(prior.from_unconstrained(z, np.exp), prior.centre, rtol=1e-6)


def test_medians_are_remembered():
    """SciPy takes a millisecond for one, and every default value asks."""
    before = _median.cache_info().hits
    assert Gamma(3.0, 1.5).centre == Gamma(3.0, 1.5).centre
    assert _median.cache_info().hits > before
