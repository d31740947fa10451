"""Posteriors: against quadrature, from the right starts, repeatable, inside one's own PyMC model."""

import json

import numpy as np
import pymc as pm
import pytest

from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.inference.modes import chain_starts
from hmminfer.inference.posterior import Compiled, pymc_model
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import fit, preview
from hmminfer.system.model import Model
from hmminfer.testing import posterior_by_quadrature

fibre = models.get("fibre_composite")
COARSE = {"elements_x": 12, "elements_y": 4}  # of plate_dic: a third of a millisecond, the same physics


@pytest.fixture(scope="module")
def plate() -> Compiled:
    return Compiled(Problem.of(fibre.EXPERIMENTS["plate"].model("plate_dic", rigid_motion="none", **COARSE)))


@pytest.fixture(scope="module")
def plate_modes(plate):
    return plate.modes(seed=0)


@pytest.mark.validates(
    "all",
    "means and standard deviations of a sampled posterior (plate)",
    against="Gauss-Hermite quadrature of the same density",
    bar="4 Monte Carlo standard errors",
)
def test_plate_posterior_agrees_with_posterior_by_quadrature(plate, plate_modes):
    import arviz as az

    exact = posterior_by_quadrature(plate, plate_modes[0])
    finer = posterior_by_quadrature(plate, plate_modes[0], n=13)
    tree = fit(plate.problem.model, seed=3, draws=800, tune=400, chains=2, progress=False)
    assert set(exact) == {"fibre_angle", "volume_fraction", "matrix_modulus"}
    for name, (mean, sd) in exact.items():
        assert abs(finer[name][0] - mean) < 0.01 * sd  # the rule has converged
        draws = tree["posterior"][name]
        assert abs(float(draws.mean()) - mean) < 4 * float(az.mcse(draws, method="mean")), name
        assert abs(float(draws.std()) - sd) < 4 * float(az.mcse(draws, method="sd")), name
    assert int(tree["sample_stats"]["diverging"].sum()) <= 2
    assert tree["posterior"]["volume_fraction"].dims == ("chain", "draw")


def test_chains_start_in_the_right_basin_for_twenty_seeds(plate):
    truth = {"fibre_angle": 27.0, "volume_fraction": 0.58, "matrix_modulus": 3.8}
    for seed in range(20):
        found = plate.modes(seed=seed, searches=8)
        starts = plate.problem.constrain(chain_starts(found, 4, np.random.default_rng(seed)))
        assert np.all(np.abs(starts["fibre_angle"] - truth["fibre_angle"]) < 5.0), (seed, starts)
        assert np.all(np.abs(starts["volume_fraction"] - truth["volume_fraction"]) < 0.15), (seed, starts)


def test_a_start_in_the_known_trap_ends_in_the_mode_or_holds_no_mass(plate, plate_modes):
    """At -76 degrees and v = 0.75 other tools' chains were lost; whatever an optimiser finds from there must not compete."""
    from scipy.optimize import minimize

    start = {"matrix_modulus": np.array([4.0]), "volume_fraction": np.array([0.75]), "fibre_angle": np.array([-76.0])}
    x = plate.problem.unconstrain(start)[0]
    result = minimize(lambda p: (-plate(p)[0], -plate(p)[1]), x, jac=True, method="L-BFGS-B")
    end = np.where(plate.problem.axial_positions(), np.mod(result.x + np.pi, 2 * np.pi) - np.pi, result.x)
    back = np.linalg.norm(end - plate_modes[0].x) < 0.1  # a small fraction of the posterior's sd in each coordinate
    assert back or plate_modes[0].logp - plate(end)[0] > 100.0


def test_equal_seeds_give_equal_draws(coupons):
    kwargs = {"seed": 11, "draws": 60, "tune": 100, "chains": 2, "progress": False}
    a, b = fit(coupons, **kwargs), fit(coupons, **kwargs)
    for name in a["posterior"].data_vars:
        assert np.array_equal(a["posterior"][name].values, b["posterior"][name].values)
    more = fit(coupons, seed=12, draws=40, tune=60, resume=a, progress=False)
    assert more["posterior"].sizes["draw"] == 100
    assert np.array_equal(more["posterior"]["fibre_angle"].values[:, :60], a["posterior"]["fibre_angle"].values)


def test_one_coupon_has_two_modes_and_a_rosette_removes_one(coupons):
    found = Compiled(Problem.of(coupons)).modes(seed=1)
    angles = sorted(float(Problem.of(coupons).constrain(m.x)["fibre_angle"]) for m in found)
    assert len(angles) == 2
    assert angles[0] == pytest.approx(-angles[1], abs=0.05)
    assert found[0].weight == pytest.approx(0.5, abs=0.02)

    best = max(found, key=lambda m: Problem.of(coupons).constrain(m.x)["fibre_angle"])
    values = {k: float(v) for k, v in Problem.of(coupons).constrain(best.x).items()}
    angle = values.pop("fibre_angle")
    coupling = fibre.moduli([angle]).predict(values)["shear_coupling"].item()
    raw = data_with_rosette(coupling)
    with_rosette = fibre.EXPERIMENTS["coupons"].model(raw)
    only = Compiled(Problem.of(with_rosette)).modes(seed=1)
    assert len(only) == 1
    assert Problem.of(with_rosette).constrain(only[0].x)["fibre_angle"] == pytest.approx(angles[1], abs=0.5)


def data_with_rosette(coupling: float):
    """The coupons at 295 K, and a 45-degree rosette on the off-axis one that reads the given shear coupling."""
    from dataclasses import replace

    from hmminfer import datasets

    raw = datasets.load("raghavan_meshii")
    row = {"quantity": "shear_coupling", "specimen": "10", "angle": "10", "temperature": "295", "unit": "", "sd": "0.1"}
    row["value"] = f"{coupling:.4f}"
    return replace(raw, rows=[*raw.rows[:5], row], lines=list(range(1, 7)))


@pytest.mark.validates(
    "fibre_composite", "fibre angle of real coupons at 295 K", against="independent chains of a cylinder model, 10.3 degrees", bar="0.4 degrees"
)
def test_raghavan_meshii_gives_the_published_angle(coupons):
    """Independent cylinder-model chains gave 10.3 +- 0.7 degrees at 295 K (v near 0.77); Laplace draws suffice to compare."""
    tree = preview(coupons, draws=2000, seed=0, progress=False)
    angle = np.abs(tree["posterior"]["fibre_angle"].values)
    assert angle.mean() == pytest.approx(10.3, abs=0.4)
    assert angle.std() == pytest.approx(0.7, abs=0.2)
    assert tree["posterior"]["volume_fraction"].values.mean() == pytest.approx(0.76, abs=0.03)
    assert json.loads(tree.attrs["fixed"])["matrix_poisson"] == 0.36


def test_joint_shares_what_it_is_told_to(coupons):
    hot = fibre.EXPERIMENTS["coupons"].model(temperature=463)
    shared = [p.name for p in hot.parameters if p.name != "matrix_modulus"]
    joint = Model.joint([coupons, hot], shared=shared, labels=["295K", "463K"])
    assert joint.parameters.size == coupons.parameters.size + 1
    values = {"fibre_angle": 11.0, "volume_fraction": 0.7, "matrix_modulus_295K": 6.0, "matrix_modulus_463K": 4.0}
    y = joint.evaluate(values)
    one = coupons.evaluate({"fibre_angle": 11.0, "volume_fraction": 0.7, "matrix_modulus": 6.0})
    two = hot.evaluate({"fibre_angle": 11.0, "volume_fraction": 0.7, "matrix_modulus": 4.0})
    np.testing.assert_array_equal(y, np.concatenate([one, two]))
    with pytest.raises(HmmInferError, match="Unknown parameter 'angle'"):
        Model.joint([coupons, hot], shared=["angle"])


def test_inside_ones_own_pymc_model(coupons):
    """Two specimens with their own angles around a common one; the gradient of the whole is that of finite differences."""
    with pm.Model() as own:
        mean = pm.Normal("mean", 10.0, 5.0)
        spread = pm.HalfNormal("spread", 2.0)
        angle = pm.Normal("angle", mean, spread, shape=2)
        modulus = pm.LogNormal("modulus", np.log(5.0), 0.3)
        for i in range(2):
            y = coupons(
                fibre_angle=angle[i],
                matrix_modulus=modulus,
                volume_fraction=0.7,
                fibre_axial_modulus=270.0,
                fibre_transverse_modulus=16.0,
                fibre_shear_modulus=60.0,
            )
            pm.Normal(f"y{i}", y, coupons.table.sd, observed=coupons.table.value)
    function = own.logp_dlogp_function(ravel_inputs=True)
    function.set_extra_values({})
    x = np.array([10.0, 0.3, 9.5, 11.0, 1.7])
    value, gradient = function(x)
    assert np.isfinite(value)
    for i in range(len(x)):
        e = np.zeros(len(x))
        e[i] = 1e-5
        numeric = (function(x + e)[0] - function(x - e)[0]) / 2e-5
        assert numeric == pytest.approx(gradient[i], rel=1e-5, abs=1e-4)  # second-order differences of a value near 1e2
    with pytest.raises(HmmInferError, match="Give a variable or a number for"):
        coupons(fibre_angle=10.0)


def test_noise_priors_and_fixed_values_by_name(coupons):
    problem = Problem.of(coupons, noise="infer", priors={"matrix_poisson": "Normal(0.36, 0.02, 0.2, 0.45)"}, fixed={"fibre_angle": "10 deg"})
    names = [p.name for p in problem.free]
    assert "fibre_angle" not in names
    assert "matrix_poisson" in names
    assert "noise_scale_youngs_modulus" in names
    assert Problem.of(coupons, noise="5%").sd == pytest.approx(0.05 * coupons.table.value)
    with pytest.raises(HmmInferError, match="Did you mean 'fibre_angle'"):
        Problem.of(coupons, fixed={"fiber_angle": 10})
    for several in ([3, 5], (3.0, 5.0), np.array([3.0, 5.0])):
        with pytest.raises(HmmInferError, match="held at one number, and 2 are given"):
            Problem.of(coupons, fixed={"matrix_modulus": several})
    x = problem.unconstrain(problem.prior_draws(np.random.default_rng(0), 5))
    again = problem.unconstrain({k: v for k, v in problem.constrain(x).items()})
    np.testing.assert_allclose(np.where(problem.axial_positions(), 0, again - x), 0.0, atol=1e-9)
    initial = pymc_model(problem).initial_point()
    assert sum(np.size(v) for v in initial.values()) == x.shape[1]


@pytest.mark.filterwarnings("ignore")  # short chains, and PyMC's own words about them
@pytest.mark.parametrize("sampler", ["smc", "demetropolis"])
def test_samplers_without_gradients_give_the_same_kind_of_result(coupons, sampler):
    known = {"fibre_axial_modulus": 260.0, "fibre_transverse_modulus": 17.4, "fibre_shear_modulus": 73.0}
    size = {"draws": 300, "tune": 600} if sampler == "demetropolis" else {"draws": 200}
    with np.errstate(all="ignore"):
        tree = fit(coupons, sampler=sampler, fixed=known, chains=2, seed=5, progress=False, **size)
    assert tree.attrs["method"] == sampler
    assert {"posterior_predictive", "log_likelihood", "log_prior", "observed_data"} <= set(tree.children)
    modulus = tree["posterior"]["matrix_modulus"]
    assert modulus.dims == ("chain", "draw")
    # the neat resin alone says 6.5 +- 0.2 GPa
    assert float(modulus.mean()) == pytest.approx(6.54, abs=0.15)
    with pytest.raises(HmmInferError, match="cannot be resumed"):
        fit(coupons, sampler=sampler, resume=tree, progress=False)


def test_zones_and_a_hole_are_fitted_and_drawn():
    """An angle for each of two zones of a plate with a hole: data of its own, laid on the template's points."""
    from dataclasses import replace

    from hmminfer.figures.overview import posterior_figure

    settings = {"orientation": "zones", "zones": 2, "hole_radius": 4, "elements_y": 2}
    raw = fibre_data(settings)
    options = {"cell": "full", "refine": 1}
    template = fibre.EXPERIMENTS["plate"].model(raw, **options)
    y = template.evaluate({"fibre_angle": np.array([20.0, 40.0])})
    rows = [{**row, "value": f"{v:.6f}"} for row, v in zip(raw.rows, y, strict=True)]
    known = {p.name: float(template.vector()[i]) for i, p in enumerate(template.parameters) if i < 8}
    model = fibre.EXPERIMENTS["plate"].model(replace(raw, rows=rows), **options, **known)
    tree = preview(model, draws=100, seed=0, progress=False)
    np.testing.assert_allclose(tree["posterior"]["fibre_angle"].mean(["chain", "draw"]), [20.0, 40.0], atol=1.0)
    figure = posterior_figure(tree, model)
    figure.canvas.draw()


def fibre_data(settings):
    """Displacements at a grid of points, values still to be filled in."""
    from hmminfer.system.tables import RawTable

    rows = [
        {"quantity": q, "x": f"{x:g}", "y": f"{y:g}", "value": "0", "unit": "um", "sd": "0.5"}
        for q in ("displacement_x", "displacement_y")
        for x in (10, 25, 40, 60, 75, 90)
        for y in (4, 12.5, 21)
    ]
    header = ("quantity", "x", "y", "value", "unit", "sd")
    return RawTable("grid", "made in the test", settings, header, rows, list(range(1, len(rows) + 1)))
