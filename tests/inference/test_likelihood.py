"""Counts and simulations: laws of a datum other than the Gaussian, from the table to the posterior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hmminfer import datasets, models
from hmminfer.diagnostics.calibration import sbc
from hmminfer.diagnostics.checking import checks
from hmminfer.diagnostics.sensitivity import identifiability
from hmminfer.errors import HmmInferError
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import build, fit, preview
from hmminfer.inference.stochastic import poisson_log_likelihood
from hmminfer.micro.cells import line, steady_mean
from hmminfer.micro.movement import contacts, move, spreading
from hmminfer.system.likelihood import NORMAL, POISSON, draw, log_density
from hmminfer.system.tables import RawTable

tissue = models.get("morphogen_tissue")
COUNTS, SPREADING = tissue.EXPERIMENTS["counts"], tissue.EXPERIMENTS["spreading"]


def test_densities_and_draws(rng):
    f, y = np.array([[0.4, 3.0], [7.0, 20.0]]), np.array([1.0, 4.0])
    np.testing.assert_allclose(log_density(POISSON, y, f, None), stats.poisson.logpmf(y, f), rtol=1e-12)
    np.testing.assert_allclose(log_density(NORMAL, y, f, 0.3), stats.norm.logpdf(y, f, 0.3), rtol=1e-12)
    assert np.all(log_density(POISSON, y, np.array([-1.0, np.nan]), None) == -np.inf)
    assert log_density(POISSON, 0.0, np.array([0.0]), None) == 0.0
    drawn = draw(POISSON, rng, np.full(20000, 3.0), None)
    assert drawn.mean() == pytest.approx(3.0, abs=4.0 * np.sqrt(3.0 / 20000))
    assert drawn.var() == pytest.approx(3.0, rel=0.06)
    assert np.isnan(draw(POISSON, rng, np.array([-1.0]), None))[0]


def test_density_of_counts_is_that_of_pymc():
    problem = Problem.of(COUNTS.model("morphogen_counts"))
    values = {p.name: np.full(p.length, 0.3) if p.size else p.prior.centre for p in problem.free}
    y = problem.model.evaluate(values)
    pymc_model = build(problem.model)
    point = {
        pymc_model.rvs_to_values[v].name: np.asarray(np.log(values[v.name]) if v.name != "monte_carlo_error" else values[v.name])
        for v in pymc_model.free_RVs
    }
    got = pymc_model.compile_logp(vars=pymc_model.observed_RVs)(point)
    assert got == pytest.approx(np.sum(log_density(POISSON, problem.table.value, y, None)), rel=1e-10)
    assert got == pytest.approx(poisson_log_likelihood(y, problem.table.value), rel=1e-10)


@pytest.mark.validates(
    "morphogen_tissue",
    "sampled posterior of a count in each cell",
    against="the exact product-Poisson posterior on a grid",
    bar="0.28 posterior standard deviations, widths 15 %",
)
def test_fit_of_counts_has_the_exact_product_poisson_posterior():
    """NUTS on the bursts' profile, Poisson, against a grid over the exact law of the lattice: k and A of `morphogen_counts`, D known.

    ESS some 500: 4 errors are 0.18 sds of a mean and 13 % of an sd; decay length and amplitude of patches are right to 0.5 %, a tenth of an sd.
    """
    known = {"diffusivity": "0.2 um^2/s", "background": 0.0}
    model = COUNTS.model("morphogen_counts", **known)
    tree = fit(model, draws=500, tune=300, chains=2, seed=1, progress=False)
    n, size = 46, 2.6
    cells = np.round(np.asarray(model.table.columns["position"]) / 100.0 * n - 0.5).astype(int)

    def mean(k):
        source = np.zeros(n)
        source[0] = np.sqrt(0.2 * k / 3600.0) / 2.0 / size
        return steady_mean(line(n), source, np.array([0.2 / size**2, 0.5, 0.5, k / 3600.0, 0.0])).sum(axis=0)[cells]

    k, a = 1.8 * np.exp(np.linspace(-0.6, 0.6, 81)), 60.0 * np.exp(np.linspace(-0.3, 0.3, 81))
    prior = stats.norm.logpdf(np.log(k / 1.08))[:, None] + stats.norm.logpdf(np.log(a / 50.0))
    logp = prior + np.array([[poisson_log_likelihood(b * unit, model.table.value) for b in a] for unit in map(mean, k)])
    w = np.exp(logp - logp.max())
    w /= w.sum()
    assert w[[0, -1]].sum() + w[:, [0, -1]].sum() < 1e-3
    for name, grid, weight in (("degradation", np.log(k), w.sum(axis=1)), ("amplitude", np.log(a), w.sum(axis=0))):
        centre = weight @ grid
        sd = np.sqrt(weight @ (grid - centre) ** 2)
        x = np.log(tree["posterior"][name].values)
        assert x.mean() == pytest.approx(centre, abs=0.28 * sd)
        assert x.std() == pytest.approx(sd, rel=0.15)
    drawn = tree["posterior_predictive"]["observed"].values
    assert np.all(drawn == np.round(drawn))
    assert set(tree.children) >= {"log_likelihood", "prior_predictive", "fitted"}


def far_counts(length=30.0):
    """Ten cells of a tissue of 490 um with a source of 60 molecules, most of them far out, and the law they have exactly."""
    position = np.linspace(2.0, 95.0, 10)
    mean = 60.0 * np.cosh((490.0 - 4.9 * position) / length) / np.sinh(490.0 / length)
    counted = np.random.default_rng(30).poisson(mean)
    rows = [{"quantity": "count", "position": f"{x:g}", "value": f"{v}", "unit": "", "sd": ""} for x, v in zip(position, counted, strict=True)]
    return (RawTable("far", "", {}, ("quantity", "position [%]", "value", "unit", "sd"), rows, list(range(2, 12)), {}), position, counted)


def test_cells_that_hold_none_are_no_impossible_ones():
    """Where next to nothing is expected the bursts' error is larger: expectations stay positive, and the likelihood is the exact one to 0.1."""
    raw, position, counted = far_counts()
    assert np.sum(counted == 0) >= 6
    model = COUNTS.model(raw, diffusivity="0.27 um^2/s", background=0.0)
    difference = []
    for length in (24.0, 27.0, 30.0, 33.0, 36.0):
        k = 0.27 / length**2 * 3600.0
        y = model.evaluate({"degradation": k, "amplitude": 60.0})
        assert np.all(y > 0.0)
        exact = 60.0 * np.cosh((490.0 - 4.9 * position) / length) / np.sinh(490.0 / length)
        ours, theirs = (np.sum(log_density(POISSON, counted, m, None)) for m in (y, exact))
        difference.append(ours - theirs)
    assert np.all(np.abs(difference) < 0.1)
    tree = fit(model, draws=300, tune=300, chains=2, seed=2, progress=False)
    assert int(tree["sample_stats"]["diverging"].sum()) < 6
    assert np.all(np.isfinite([c.ok is None or len(c.advice) for c in checks(tree)]))
    assert not [c for c in checks(tree) if "cannot give :" in c.advice]


def test_counts_have_no_noise_to_scale():
    with pytest.raises(HmmInferError, match="no noise to scale"):
        sbc(COUNTS.model("morphogen_counts"), n=2, noise_factor=0.7, progress=False)


def test_counts_are_whole_numbers_without_sd():
    raw = datasets.load("morphogen_counts")

    def changed(**cells):
        return RawTable(raw.name, "", raw.settings, raw.header, [{**raw.rows[0], **cells}, *raw.rows[1:]], raw.lines, {})

    for cells, words in (
        ({"value": "2.5"}, "'count' is 2.5; counts are whole numbers of at least 0"),
        ({"value": "-1"}, "'count' is -1; counts are whole numbers"),
        ({"value": "many"}, "'many', which is not a number"),
        ({"sd": "3"}, "sd is 3, but 'count' is counted"),
    ):
        with pytest.raises(HmmInferError, match=words):
            COUNTS.model(changed(**cells))
    assert COUNTS.model(changed(value="")).table.n_missing == 1
    with pytest.raises(HmmInferError, match="counts or measured values, not both"):
        type(COUNTS.model("morphogen_counts")).joint(
            [COUNTS.model("morphogen_counts"), tissue.EXPERIMENTS["gradient"].model("bicoid_profile")], ["diffusivity"]
        )
    text = COUNTS.schema.template()
    assert "whole numbers; leave unit and sd empty" in text
    assert "standard deviation" not in text
    assert "sd: the tolerance" in SPREADING.schema.template()


# --- simulated


def small(seed=21, motility=1.5, adhesion=0.6):
    """A spreading sheet of 24 x 24, seen once; fewer and coarser summaries, wider tolerance."""
    density, touching = spreading(np.random.default_rng(seed), 24, 24, 12, 1.0, motility, adhesion, np.array([8.0]))
    seen = density[0].reshape(4, 6).mean(axis=1)
    rows = [
        {"quantity": "density", "position": f"{25.0 * (i + 0.5):g}", "time": "8", "value": f"{v:.4f}", "unit": "", "sd": "0.04"}
        for i, v in enumerate(seen)
    ]
    rows.append({"quantity": "contacts", "position": "", "time": "8", "value": f"{touching[0]:.4f}", "unit": "", "sd": "0.1"})
    settings = {"columns": 24, "rows": 24, "band": 6}
    raw = RawTable("sheet", "", settings, ("quantity", "position [%]", "time [h]", "value", "unit", "sd"), rows, list(range(2, 7)), {})
    return SPREADING.model(raw)


def test_contacts_and_spreading(rng):
    block = np.zeros((6, 4), int)
    block[:3] = 1
    assert contacts(block) == pytest.approx(2.0 * (8 + 12) / 12)  # 8 pairs along, 12 around
    assert contacts(np.array([[1], [1], [0], [1]])) == pytest.approx(2.0 / 3.0)
    assert contacts(np.zeros((3, 3))) == 0.0
    density, touching = spreading(rng, 20, 10, 8, 1.0, 1.0, 0.0, np.array([0.0, 5.0]))
    assert density[0] == pytest.approx([1.0] * 8 + [0.0] * 12)
    assert density[1].sum() == pytest.approx(8.0)  # cells are conserved
    assert density[1, 8:].sum() > 0.5
    assert touching[1] < touching[0]


def test_abc_of_a_spreading_tissue_through_fit(tmp_path):
    """The truth within the 95 % intervals, both narrower than their priors; the result says what it is."""
    model = small()
    tree = fit(model, draws=120, chains=1, seed=3, progress=False)
    assert tree.attrs["method"] == "abc"
    assert tree.attrs["epsilon"] == [0.04] * 4 + [0.1]
    assert "log_likelihood" not in tree.children
    for name, truth in (("motility", 1.5), ("adhesion", 0.6)):
        low, high = np.quantile(tree["posterior"][name], [0.025, 0.975])
        assert low < truth < high
    assert tree["posterior"]["adhesion"].std() < 0.8 * 1.5 / np.sqrt(12.0)
    assert not [c for c in checks(tree) if c.name.startswith("chi2")]  # random predictions have no noise of their own
    seen = identifiability(model)
    assert seen.contraction["adhesion"] > 0.2
    y = tissue.front([8.0]).predict(tree, draws=5)["density"].values
    assert y.shape == (5, 4)  # the sheet of the run
    assert y.mean(axis=1) == pytest.approx(0.5)


def test_a_simulation_is_no_function_with_a_gradient():
    model = small()
    theta = model.vector({"motility": 1.0})
    assert np.array_equal(model.kernel(theta), model.kernel(theta))
    assert not np.array_equal(model.kernel(theta), model.kernel(theta * (1.0 + 1e-9)))
    assert np.all(np.isnan(model.kernel(np.full(2, np.nan))))
    for call, words in (
        (lambda: build(model), "neither likelihood nor gradient"),
        (lambda: preview(model, progress=False), "no Laplace approximation"),
        (lambda: model.kernel.jacobian(theta), "fit it with the sampler 'abc'"),
        (lambda: fit(model, sampler="smc"), "simulated at random, .* choose the sampler abc"),
        (lambda: fit(replace(model, kernel=small().kernel), noise="infer"), "needs a known tolerance"),
        (lambda: fit(model, priors={"motility": "StudentT(3, 1, 0.5)"}), r"of 'motility' reaches outside its support"),
        (lambda: sbc(model, n=2), "neither likelihood nor gradient"),
    ):
        with pytest.raises(HmmInferError, match=words):
            call()
    with pytest.raises(HmmInferError, match="motility is -1"):
        move(np.random.default_rng(0), np.ones((3, 1)), -1.0, 0.0, np.array([1.0]))


def test_shares_of_each_value_for_one_quantity():
    """A share in % is of each value, as in the column sd; of a quantity without a unit it may be a number too, and is asked about."""
    model = models.fibre_composite.EXPERIMENTS.coupons.model()
    problem = Problem.of(model, noise={"youngs_modulus": "3 %", "shear_modulus": "0.5 GPa", "matrix_modulus": "2 % of value"})
    table = problem.table
    for name, sd in (("youngs_modulus", 0.03 * table.value), ("shear_modulus", np.full(len(table), 0.5)), ("matrix_modulus", 0.02 * table.value)):
        rows = table.quantity == name
        np.testing.assert_allclose(problem.sd[rows], sd[rows])
    file = models.reactive_transport.EXPERIMENTS.columns
    with pytest.raises(HmmInferError, match=r"write '2 % of value', or '0\.02'"):
        Problem.of(file.model(), noise={"relative_concentration": "2 %"})
