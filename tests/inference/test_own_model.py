"""Inside a user's own PyMC model: shapes, names, starts and densities are right or refused, and traces of build() and results of fit() serve each other."""

import arviz as az
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import stats

import hmminfer
from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import build, completed, fit
from hmminfer.system.foreign_priors import as_prior
from hmminfer.system.priors import Beta, Gamma, HalfNormal, LogNormal, Normal, StudentT, Uniform

FIXED = {"matrix_poisson": 0.34}


@pytest.fixture(scope="module")
def model():
    return models.fibre_composite.EXPERIMENTS.coupons.model()


@pytest.fixture(scope="module")
def result(model):
    return fit(model, fixed=FIXED, draws=60, tune=60, chains=2, seed=1, progress=False)


@pytest.fixture(scope="module")
def trace(model):
    with build(model, fixed=FIXED):
        return pm.sample(60, tune=60, chains=2, random_seed=1, progressbar=False, compute_convergence_checks=False)


def values(model):
    return {p.name: model.fixed.get(p.name, 10.0 if p.axial else p.prior.centre) for p in model.parameters}


@pytest.mark.parametrize("wrong", [pt.dvector("v"), pt.constant(np.ones(3)), np.ones(3), [3.5, 3.6]])
def test_a_vector_for_a_number_is_refused(model, wrong):
    with pytest.raises(HmmInferError, match="'matrix_modulus'"):
        model(**{**values(model), "matrix_modulus": wrong})


def test_the_length_of_a_vector_is_checked_when_built_and_when_evaluated():
    zones = models.fibre_composite.EXPERIMENTS.plate.model(
        orientation="zones", zones=2, cell="full", refine=1, elements_x=4, elements_y=2, rigid_motion="none"
    )
    known = {p.name: zones.fixed.get(p.name, p.prior.centre) for p in zones.parameters}
    for wrong in (pt.dscalar("a"), pt.constant(np.ones(3))):
        with pytest.raises(HmmInferError, match=r"'fibre_angle' is a variable of .*it has 2 entries"):
            zones(**{**known, "fibre_angle": wrong})
    angle = pt.dvector("angle")
    f = pytensor.function([angle], zones(**{**known, "fibre_angle": angle}))
    np.testing.assert_allclose(f(np.array([20.0, 30.0])), zones.evaluate({**known, "fibre_angle": [20.0, 30.0]}), rtol=1e-12)
    with pytest.raises(Exception, match=r"(?i)shape"):
        f(np.array([20.0, 30.0, 40.0]))


def test_it_is_isolated_from_the_model_around_it(model):
    with pm.Model() as around:
        pm.Normal("mine")
        build(model)
        fit(model, draws=5, tune=5, chains=1, seed=1, progress=False)
    assert set(around.named_vars) == {"mine"}


def test_a_trace_of_build_is_predicted_checked_and_reported(model, trace, tmp_path):
    curve = models.fibre_composite.moduli(angles=[0.0, 10.0, 90.0])
    y = curve.predict(trace, progress=False)["youngs_modulus"]
    one = {k: float(v[0, 3]) for k, v in trace["posterior"].data_vars.items() if k != "fibre_angle"}
    assert y.values[0, 3] == pytest.approx(
        curve.evaluate({**{k: v for k, v in model.fixed.items() if k in curve.parameters.names}, **one, **FIXED})[:3], rel=1e-12
    ), "its fixed values too"
    with pytest.raises(HmmInferError, match="give its model beside it"):
        hmminfer.checks(trace)
    whole = completed(trace, model, fixed=FIXED)
    assert any("predictive" in c.name for c in hmminfer.checks(whole))
    assert "fibre_angle" in hmminfer.report(whole, model, folder=tmp_path / "report", show=False).text
    with pytest.raises(HmmInferError, match="another matrix_poisson"):
        completed(trace, model)
    with pytest.raises(HmmInferError, match="another noise"):
        completed(trace, model, fixed=FIXED, noise="7%")
    with pytest.raises(HmmInferError, match="other priors than the model has"):
        completed(trace, model, fixed=FIXED, priors={"matrix_modulus": "LogNormal(3.6 GPa, 0.2)"})
    for own in (trace.drop_nodes("constant_data"), trace.copy()):
        if "constant_data" in own.children:
            own["constant_data"] = own["constant_data"].to_dataset()[["sd"]]
        with pytest.raises(HmmInferError, match="a model of one's own has priors and noise that are not known here"):
            hmminfer.checks(own, Problem.of(model, fixed=FIXED))


def test_pymc_goes_on_with_a_result_of_fit(model, result):
    with build(model, fixed=FIXED):
        drawn = pm.sample_posterior_predictive(result, random_seed=1, progressbar=False)["posterior_predictive"]["observed"]
        again = pm.compute_log_likelihood(result.drop_nodes("log_likelihood"), progressbar=False)["log_likelihood"]["observed"]
    assert np.abs(drawn.mean(("chain", "draw")).values / result["fitted"]["observed"].mean(("chain", "draw")).values - 1.0).max() < 0.03
    np.testing.assert_allclose(again.values, result["log_likelihood"]["observed"].values, rtol=1e-9, atol=1e-9)


def test_a_parameter_that_is_neither_in_a_posterior_nor_fixed_is_refused(result):
    part = result["posterior"].to_dataset().drop_vars("fibre_shear_modulus")
    with pytest.raises(HmmInferError, match="fibre_shear_modulus of 'moduli' is neither in the posterior nor fixed"):
        models.fibre_composite.moduli().predict(part, progress=False)


def test_no_solution_and_no_support_is_no_density(model):
    """LogNormal(60, 1.0) reaches beyond the support of the fibre's shear modulus; it is cut there, and no draw can raise afterwards."""
    problem = Problem.of(model, priors={"fibre_shear_modulus": "LogNormal(60, 1.0)"})
    p = next(p for p in problem.free if p.name == "fibre_shear_modulus")
    drawn = problem.prior_draws(np.random.default_rng(0), 20000)["fibre_shear_modulus"]
    assert p.lower <= drawn.min()
    assert drawn.max() <= p.upper
    with pytest.raises(HmmInferError, match="reaches outside its support"):
        Problem.of(model, priors={"volume_fraction": "StudentT(4, 0.6, 0.1)"})
    outside = {p.name: np.array([p.prior.centre]) for p in problem.free} | {"volume_fraction": np.array([1.2])}
    y = hmminfer.inference.results.predictions(problem, outside, False, "")
    assert np.isnan(y).all()
    assert np.all(problem.log_likelihood(y, outside) == -np.inf)


def test_noise_of_students_law_shrugs_an_outlier_off(tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "wrong.csv"
    rows = [f"matrix_modulus,resin,{v:.3f},GPa,0.1" for v in [*(3.5 + 0.1 * rng.standard_normal(9)), 9.0]]
    file.write_text(
        "quantity,specimen,value,unit,sd\n" + "\n".join(rows) + "\nyoungs_modulus,A,140,GPa,4\n".replace("A,140", "A,140"), encoding="utf-8"
    )
    text = (
        file.read_text().replace("quantity,specimen,value", "quantity,specimen,angle,value").replace("resin,", "resin,,").replace("A,140", "A,0,140")
    )
    file.write_text(text, encoding="utf-8")
    model = models.fibre_composite.EXPERIMENTS.coupons.model(file)
    problem = Problem.of(model, noise="student")
    assert problem.law == "student"
    assert [p.name for p in problem.tail] == ["noise_nu"]
    tree = hmminfer.preview(model, noise="student", seed=1, progress=False)
    plain = hmminfer.preview(model, seed=1, progress=False)
    assert float(tree["posterior"]["matrix_modulus"].median()) == pytest.approx(3.5, abs=0.15)
    assert float(plain["posterior"]["matrix_modulus"].median()) > 3.9
    at = {p.name: np.array([p.prior.centre if p.name != "noise_nu" else 3.0]) for p in problem.free}
    y = problem.table.value[None] + 0.3
    expected = stats.t.logpdf(problem.table.value, 3.0, y[0], problem.sd)
    np.testing.assert_allclose(problem.log_likelihood(y, at)[0], expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pareto k: so few draws
def test_functions_of_arviz_take_a_result(result, tmp_path):
    result.to_netcdf(tmp_path / "result.nc")
    with xr.open_datatree(tmp_path / "result.nc") as read:
        for tree in (result, read.load()):
            for f in (az.loo, az.loo_pit, az.summary, az.ess, az.rhat, az.hdi, az.psense, az.bfmi, az.loo_expectations, az.mcse):
                f(tree)
    data = result["observed_data"]["observed"]
    assert data["quantity"].values[0] == "youngs_modulus"
    assert data["row"].values.tolist() == list(range(data.size))
    assert "acceptance_rate" in result["sample_stats"]


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        (stats.norm(3.5, 0.2), Normal(3.5, 0.2)),
        (stats.lognorm(0.2, scale=3.5), LogNormal(3.5, 0.2)),
        (stats.uniform(1.0, 2.0), Uniform(1.0, 3.0)),
        (stats.halfnorm(scale=2.0), HalfNormal(2.0)),
        (stats.gamma(4.0, scale=0.5), Gamma(2.0, 1.0)),
        (stats.beta(2.0, 3.0), Beta(2.0, 3.0)),
        (stats.t(4.0, 1.0, 0.5), StudentT(4.0, 1.0, 0.5)),
    ],
)
def test_frozen_distributions_of_scipy_are_priors(given, ours):
    assert as_prior(given, "x", "GPa") == ours


@pytest.mark.parametrize(
    ("given", "sentence"),
    [((3.5, 0.2), "does not say its law"), (3.5, "belongs into fixed="), (stats.expon(), "no counterpart"), (stats.lognorm(0.2, 1.0), "loc = 0")],
)
def test_other_priors_are_answered(given, sentence):
    with pytest.raises(HmmInferError, match=sentence):
        as_prior(given, "x", "GPa")
    with pytest.raises(HmmInferError, match="random variable of PyMC"):
        as_prior(pm.Normal.dist(), "x", "GPa")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("fibre_composite", "is text"),
        (models.fibre_composite, "EXPERIMENTS.coupons"),
        (models.fibre_composite.EXPERIMENTS.coupons, "give it data"),
        (3, "no model"),
    ],
)
def test_what_is_no_model_is_answered(given, sentence):
    with pytest.raises(HmmInferError, match=sentence):
        fit(given)


def test_a_misspelt_experiment_is_answered():
    with pytest.raises(HmmInferError, match="coupons"):
        models.fibre_composite.EXPERIMENTS["coupon"]
