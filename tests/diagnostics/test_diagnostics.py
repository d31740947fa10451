"""Diagnostics on synthetic draws and on models whose posterior is known in closed form."""

import json
import re
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hmminfer.diagnostics.calibration import sbc
from hmminfer.diagnostics.checking import checks, summary
from hmminfer.diagnostics.reporting import report
from hmminfer.diagnostics.sensitivity import identifiability
from hmminfer.errors import HmmInferError
from hmminfer.inference.axial import axial_modes
from hmminfer.inference.noise import TAIL
from hmminfer.inference.problem import Problem
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import Axial, Gamma, LogNormal, Normal


def wrap(theta):
    return np.mod(theta + 90.0, 180.0) - 90.0


# --- axial angles


@pytest.mark.parametrize("n", [60, 400, 4000])
def test_two_signs_are_two_modes(n):
    rng = np.random.default_rng(n)
    theta = np.where(rng.random(n) < 0.7, 10.0, -10.0) + 0.7 * rng.standard_normal(n)
    modes = axial_modes(theta)
    assert [round(m.mean) for m in modes] == [10, -10]
    assert modes[0].share == np.mean(theta > 0)
    for m in modes:  # sd of an sd from n/4 draws: 0.7 / sqrt(n / 2); the interval of a normal is +- 1.6 sd
        assert abs(m.sd - 0.7) < 4 * 0.7 / np.sqrt(0.5 * n)
        assert m.low < m.mean < m.high
        assert m.high - m.low < 4.0


@pytest.mark.parametrize("centre", [0.0, 37.0, 90.0])
def test_one_mode_anywhere_also_across_the_seam(centre):
    rng = np.random.default_rng(1)
    (mode,) = axial_modes(wrap(centre + 1.5 * rng.standard_normal(2000)))
    assert abs(wrap(mode.mean - centre)) < 4 * 1.5 / np.sqrt(2000)
    assert mode.sd == pytest.approx(1.5, rel=0.08)  # 4 standard errors
    assert mode.high - mode.low == pytest.approx(2 * 1.598 * 1.5, rel=0.1)
    assert mode.low < mode.mean < mode.high


@pytest.mark.parametrize("n", [50, 300, 3000])
def test_an_unknown_or_heavy_tailed_angle_is_one_mode(n):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        (unknown,) = axial_modes(rng.uniform(-90, 90, n))
        assert unknown.sd > 40
        assert len(axial_modes(wrap(0.7 * rng.standard_t(3, n)))) == 1


def test_a_few_draws_between_modes_do_not_join_them():
    rng = np.random.default_rng(3)
    between = rng.uniform(-8, 8, 8)
    theta = np.concatenate([10 + 0.7 * rng.standard_normal(1000), -10 + 0.7 * rng.standard_normal(1000), between])
    assert len(axial_modes(theta)) == 2


# --- summary and checks on a synthetic tree


def tree_of(stiffness, angle, observed=(5.0, 6.0), noise=0.1, prior_mean=5.0, method="nuts"):
    """Result of a made-up fit: draws (chain, draw) of a modulus and an axial angle, two data that see the modulus."""
    rng = np.random.default_rng(0)
    chains, n = stiffness.shape
    dims = ("chain", "draw")

    def values(modulus, theta):
        attrs = {"units": "GPa", "axial": 0, "symbol": "E", "description": ""}
        return xr.Dataset(
            {
                "modulus": (dims, modulus, attrs),
                "fibre_angle": (dims, theta, attrs | {"units": "deg", "axial": 1, "symbol": "\\theta"}),
                "long": (("chain", "draw", "k"), np.zeros((*modulus.shape, 30)), {"axial": 0, "units": ""}),
            }
        )

    def rows(y):
        return xr.Dataset({"stress": (("chain", "draw", "stress_row"), y, {"units": "MPa"})})

    y = stiffness[..., None] + np.array([0.0, 1.0])
    prior = prior_mean + rng.standard_normal((1, 500))
    y_prior = prior[..., None] + np.array([0.0, 1.0]) + noise * rng.standard_normal((1, 500, 2))
    tree = xr.DataTree.from_dict(
        {
            "posterior": values(stiffness, angle),
            "prior": values(prior, rng.uniform(-90, 90, (1, 500))),
            "predictions": rows(y),
            "posterior_predictive": rows(y + noise * rng.standard_normal(y.shape)),
            "prior_predictive": rows(y_prior),
            "observed_data": xr.Dataset({"stress": ("stress_row", np.array(observed))}),
            "constant_data": xr.Dataset({"stress": ("stress_row", np.full(2, noise))}),
            "sample_stats": xr.Dataset({"diverging": (dims, np.zeros((chains, n), bool)), "energy": (dims, rng.standard_normal((chains, n)))}),
        }
    )
    tree.attrs = {"method": method, "modes": json.dumps([]), "model": "made_up", "experiment": "test", "data": "none"}
    return tree


def draws(mean, sd, shape=(4, 500), seed=5):
    return mean + sd * np.random.default_rng(seed).standard_normal(shape)


def two_signs():
    return np.array([1, 1, -1, -1])[:, None] * draws(10.0, 0.7, seed=6)


def found(tree):
    return {c.name.split(" >")[0].split(" <")[0]: c for c in checks(tree)}


def test_chains_in_two_modes_are_two_rows_and_agree_within_each():
    table = summary(tree_of(draws(5.0, 0.1), two_signs()))
    assert list(table.index) == ["modulus", "fibre_angle (mode 1 of 2, 50 %)", "fibre_angle (mode 2 of 2, 50 %)"]  # and no row for the long vector
    angles = table.iloc[1:]
    assert sorted(angles["mean"].round()) == [-10, 10]
    assert (table["r_hat"] < 1.02).all()
    assert (angles["ess_bulk"] > 500).all()
    assert table.loc["modulus", "mcse"] == pytest.approx(0.1 / np.sqrt(2000), rel=0.15)


def test_a_chain_that_disagrees_is_seen_inside_a_mode_too():
    angle = two_signs()
    angle[0] += 1.0
    assert summary(tree_of(draws(5.0, 0.1), angle)).iloc[1:]["r_hat"].max() > 1.1
    modulus = draws(5.0, 0.1)
    modulus[2] += 0.2
    assert summary(tree_of(modulus, two_signs())).loc["modulus", "r_hat"] > 1.1


def test_one_mode_across_the_seam_has_circular_numbers():
    table = summary(tree_of(draws(5.0, 0.1), wrap(draws(90.0, 1.0))))
    row = table.loc["fibre_angle"]
    assert abs(wrap(row["mean"] - 90.0)) < 0.1
    assert row["sd"] == pytest.approx(1.0, rel=0.07)
    assert row["r_hat"] < 1.02


def test_chains_that_jump_between_modes_use_the_draws_of_each():
    angle = draws(10.0, 0.7) * np.where(np.random.default_rng(2).random((4, 500)) < 0.5, 1, -1)
    table = summary(tree_of(draws(5.0, 0.1), angle))
    assert len(table) == 3
    assert (table["r_hat"] < 1.03).all()


def test_a_sound_result_passes_every_check():
    result = found(tree_of(draws(5.0, 0.07), draws(10.0, 0.7, seed=6)))
    assert {k: c.value for k, c in result.items() if c.ok is False} == {}
    assert all(c.advice for c in result.values())


def test_what_hangs_on_priors_is_named_where_the_narrowing_was_computed(monkeypatch):
    """The share of the data is not computed for an angle: nothing is said of its narrowing."""
    table = pd.DataFrame({"prior": [0.3, 0.3], "likelihood": [0.3, 0.3], "diagnosis": ["", ""]}, index=["modulus", "fibre_angle"])
    monkeypatch.setattr(az, "psense_summary", lambda *args, **kwargs: table)
    check = found(with_densities(5.0, 0.1))["prior sensitivity"]
    assert "The data narrow modulus, but where to hangs on the priors" in check.advice
    assert "angle" not in check.advice


def test_each_defect_fails_its_own_check():
    good = {"stiffness": draws(5.0, 0.07), "angle": draws(10.0, 0.7, seed=6)}
    assert found(tree_of(**good, observed=(5.0, 9.0)))["predictive |z|"].ok is False
    assert found(tree_of(**good, observed=(5.0, 9.0)))["chi2 p-value"].ok is False
    assert found(tree_of(**good, prior_mean=20.0))["data within prior predictive 95 %"].ok is False
    pushed = found(tree_of(**good, prior_mean=2.0))["pushed"]
    assert pushed.ok is False
    assert re.fullmatch(r"modulus 5 \+- 0\.0\d+ GPa is pushed up from its prior [12]\.?\d* GPa \(89 %: 0\.\d+ to 3\.\d\)", pushed.value)
    bounded = 6.0 - np.abs(draws(0.0, 0.2))
    assert "upper bound" in found(tree_of(bounded, good["angle"]))["pushed"].value
    tree = tree_of(**good)
    tree["sample_stats"]["diverging"][0, 3] = True
    assert found(tree)["divergences = 0"].ok is False
    tree = tree_of(**good)
    tree["sample_stats"]["energy"][:] = np.cumsum(draws(0.0, 1.0, seed=9), axis=1)
    assert found(tree)["E-BFMI"].ok is False
    stuck = draws(5.0, 0.07)
    stuck[0] = 5.0 + 0.07 * np.cumsum(stuck[0] - 5.0)
    result = found(tree_of(stuck, good["angle"]))
    assert result["R-hat"].ok is False
    assert result["ESS bulk"].ok is False


def test_two_modes_are_said_and_a_preview_says_it_is_one():
    assert "50 %" in found(tree_of(draws(5.0, 0.07), two_signs()))["modes"].value
    result = found(tree_of(draws(5.0, 0.07, (1, 300)), draws(10.0, 0.7, (1, 300)), method="laplace"))
    assert result["sampling"].ok is None
    assert "R-hat" not in result


def with_densities(prior_mean, noise):
    """Result of the exact posterior of a modulus with prior Normal(prior_mean, 1) and two data, with the densities that power scaling needs."""
    precision = 1.0 + 2.0 / noise**2
    modulus = draws((prior_mean + 2.0 * 5.0 / noise**2) / precision, 1.0 / np.sqrt(precision), (4, 1000))
    tree = tree_of(modulus, draws(10.0, 0.7, (4, 1000), seed=6), noise=noise, prior_mean=prior_mean)
    y, dims = tree["predictions"]["stress"].values, ("chain", "draw")
    tree["log_likelihood"] = xr.DataTree(xr.Dataset({"observed": ((*dims, "row"), -0.5 * ((y - np.array([5.0, 6.0])) / noise) ** 2)}))
    tree["log_prior"] = xr.DataTree(xr.Dataset({k: (dims, -0.5 * (modulus - prior_mean) ** 2 if k == "modulus" else 0 * modulus) for k in NUMBERS}))
    return tree


NUMBERS = ("modulus", "fibre_angle")


def test_a_prior_that_gives_most_of_the_precision_is_told_with_its_share():
    """Prior precision 1, two data of precision 1/4: the data give a third; nothing contradicts the prior."""
    check = found(with_densities(5.0, 2.0))["prior sensitivity"]
    assert check.ok is None
    share = int(re.search(r"modulus (\d+) %", check.advice)[1])
    assert share == pytest.approx(33, abs=5)  # of the variance of 4000 draws
    assert "conflict" not in check.advice
    assert "disagree" not in check.advice
    sharp = found(with_densities(5.0, 0.1))["prior sensitivity"]
    assert sharp.ok
    assert "more than half of the precision" in sharp.advice


def test_a_conflict_is_one_where_the_priors_did_not_expect_the_data():
    check = found(with_densities(9.0, 1.0))["prior sensitivity"]
    assert check.ok is False
    assert "modulus: prior and data disagree" in check.advice


def test_an_sd_or_a_unit_that_cannot_be_is_named():
    good = {"stiffness": draws(5.0, 0.07), "angle": draws(10.0, 0.7, seed=6)}
    assert "sd plausible" not in found(tree_of(**good))
    fine = tree_of(draws(5.0, 1e-12), good["angle"], noise=1e-12)
    assert found(fine)["sd plausible"].value == "an sd of 1e-12 for stress = 6"
    assert "check the sd and its unit" in found(fine)["sd plausible"].advice
    assert "say nothing" in found(tree_of(**good, noise=100.0))["sd plausible"].advice
    huge = found(tree_of(**good, observed=(5e9, 6e9), noise=1e8))
    assert "times what the model gives: its unit is implausible" in huge["data within prior predictive 95 %"].advice
    assert "infer the noise" not in huge["chi2 p-value"].advice
    assert huge["chi2 p-value"].ok is False


def test_draws_without_a_solution_are_left_out_and_counted():
    tree = tree_of(draws(5.0, 0.07), draws(10.0, 0.7, seed=6))
    for group in ("predictions", "posterior_predictive"):
        tree[group]["stress"][0, 3:8] = np.nan
    result = found(tree)
    assert result["draws solved"].value == "1995 of 2000"
    assert "nan" not in "".join(c.value for c in result.values())
    assert result["predictive |z|"].ok
    assert result["chi2 p-value"].ok
    for group in ("predictions", "posterior_predictive"):
        tree[group]["stress"][:] = np.nan
    nowhere = found(tree)
    assert nowhere["draws solved"].ok is False
    assert "no solution at any draw" in nowhere["draws solved"].advice
    assert "predictive |z|" not in nowhere


def test_report_writes_and_does_not_overwrite(tmp_path):
    tree = tree_of(draws(5.0, 0.07), two_signs())
    made = report(tree, folder=tmp_path / "run", show=False)
    assert made.ok
    assert "mode 1 of 2" in (tmp_path / "run" / "report.txt").read_text(encoding="utf-8")
    pictures = {"trace.png", "rank.png", "predictive.png", "prior_posterior.png"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"report.txt", *pictures}
    with pytest.raises(HmmInferError, match="exists already"):
        report(tree, folder=tmp_path / "run", show=False)


# --- identifiability and calibration on models in closed form


class Formula:
    """y(theta) in place of a compiled kernel; the derivative by complex step."""

    def __init__(self, formula):
        self.formula = formula

    def __call__(self, x):
        return self.formula(np.asarray(x, dtype=float))

    def jacobian(self, x):
        return np.stack([self.formula(x + 1e-30j * e).imag / 1e-30 for e in np.eye(len(x))], axis=1)


@dataclass
class FormulaModel:
    """What diagnostics use of a model."""

    parameters: ParameterSet
    kernel: Any
    fixed: dict = field(default_factory=dict)
    likelihood: str = "normal"
    simulated: bool = False

    def vector(self, values=None):
        return self.parameters.vector(values or {})

    def batch(self, thetas, strict=True):
        return np.stack([self.kernel(x) for x in thetas])


@dataclass
class FormulaProblem:
    model: FormulaModel
    sd: np.ndarray
    table: Any = None
    noise: tuple = ()
    law: str = "normal"
    tail: tuple = ()
    log_likelihood, replicated, _nu = Problem.log_likelihood, Problem.replicated, Problem._nu

    @property
    def free(self):
        return (*self.model.parameters, *self.tail)

    def sigma_of(self, draws):
        return self.sd

    def why_unsolved(self, draw):
        return ""


@dataclass
class Data:
    value: np.ndarray

    @property
    def quantity(self):
        return np.full(len(self.value), "stress")


def problem(formula, sd, *parameters):
    sd = np.array(sd)
    return FormulaProblem(FormulaModel(ParameterSet(parameters), Formula(formula)), sd, Data(np.zeros(len(sd))))


A = Parameter("modulus", "GPa", LogNormal(10.0, 0.3), lower=0.0)
B = Parameter("fraction", "", LogNormal(0.5, 0.3), lower=0.0)
C = Parameter("offset", "", Normal(0.0, 2.0))
T = Parameter("fibre_angle", "deg", Axial(), axial=True)


def test_a_product_is_seen_and_its_quotient_is_not():
    result = identifiability(problem(lambda x: np.array([x[0] * x[1], 2 * x[0] * x[1]]), [0.05, 0.1], A, B))
    assert [what for what, _ in result.flat] in (["modulus / fraction"], ["fraction / modulus"])
    assert [what for what, _ in result.seen] in (["modulus * fraction"], ["fraction * modulus"])
    assert "see 1 of 2 directions" in result.text()
    assert result.flat[0][1] == pytest.approx(1.0, abs=1e-6)
    # half of each one's prior variance is left when only the product is seen
    for value in result.contraction.values():
        assert value == pytest.approx(1 - np.sqrt(0.5), abs=0.01)


def test_contraction_of_a_linear_gaussian_problem_is_exact():
    result = identifiability(problem(lambda x: x[:1] * 3.0, [1.5], C))
    assert result.singular == pytest.approx(3.0 * 2.0 / 1.5 * np.ones((50, 1)))
    assert result.contraction["offset"] == pytest.approx(1 - 1 / np.sqrt(1 + 16.0))


def test_an_error_of_the_instrument_that_passes_for_a_parameter_is_said():
    """y = modulus x at five x: a gain of 1 % is a modulus of 1 % more, 22 sds of the posterior; an offset is seen in the residuals. With an unknown
    offset it is that which takes it.
    """
    x = np.linspace(1.0, 3.0, 5)
    sharp = identifiability(problem(lambda v: v[0] * x, np.full(5, 0.01), A))
    (said,) = sharp.absorbed
    assert said.startswith("A gain error of 1 % in stress would go unseen into modulus (")
    assert said in sharp.text()
    sd = 0.01 / np.sqrt(np.sum(x**2))
    assert float(said.split("(")[1].split()[0]) == pytest.approx(0.01 * 10.0 / sd, rel=0.2)  # at the middle of the prior draws
    both = identifiability(problem(lambda v: v[0] * x + v[1], np.full(5, 0.01), A, C)).absorbed
    assert [text for text in both if text.startswith("An offset of 1 %") and "into offset" in text]
    assert identifiability(problem(lambda v: v[0] * x, np.full(5, 2.0), A)).absorbed == []
    identifiability(problem(lambda v: v[0] * v[1] * x, np.full(5, 1e-13), A, B))  # an implausible sd is for the checks to tell


def test_the_sign_of_an_angle_is_said_to_be_unseen_only_where_it_is():
    even = problem(lambda x: np.array([x[0] * (2 + np.cos(x[1]))]), [0.1], A, T)
    odd = problem(lambda x: np.array([x[0] * (2 + np.cos(x[1])), np.sin(x[1])]), [0.1, 0.1], A, T)
    assert identifiability(even, 10).symmetric == ["fibre_angle"]
    assert "Both signs of fibre_angle" in identifiability(even, 10).text()
    assert identifiability(odd, 10).symmetric == []


def test_a_point_without_solution_is_left_out_and_none_at_all_is_an_error():
    with pytest.raises(HmmInferError, match="could not be solved"):
        identifiability(problem(lambda x: x[:1] * np.nan, [1.0], C), 5)


def mixed(x):
    return np.array([np.log(x[0]), x[1], np.log(x[0]) + np.cos(x[2]), x[1] * x[0] / 10.0])


@pytest.mark.validates(
    "all",
    "simulation-based calibration",
    against="uniform ranks (Talts et al. 2018); the control with the noise times 0.7 must fail",
    bar="uniform; the control with 0.7 fails",
)
def test_calibration_passes_and_its_negative_control_fails():
    p = problem(mixed, [0.1, 0.5, 0.2, 1.0], A, C, T)
    good = sbc(p, n=40, seed=1, progress=False)
    assert good.ok, good.p
    assert np.mean(good.pareto_k < 0.7) > 0.9
    assert set(good.ranks) == {"modulus", "offset", "fibre_angle", "log_likelihood"}
    assert not sbc(p, n=40, seed=1, noise_factor=0.7, progress=False).ok


def test_calibration_knows_students_noise():
    """Heavy tails in the data and in the posterior agree; a posterior with the normal law of the same scale is too sure, and found to be."""
    p = problem(lambda x: np.full(5, x[0]), [0.3] * 5, C)
    p.law, p.tail = "student", (replace(TAIL, prior=Gamma(2.5, 0.1)),)
    assert sbc(p, n=100, seed=4, progress=False).ok

    def normal(assumed, seed):
        precision = 1.0 / 2.0**2 + 5.0 / 0.3**2
        mean = assumed.table.value.sum() / 0.3**2 / precision
        rng = np.random.default_rng(seed)
        return {"offset": mean + rng.standard_normal(49) / np.sqrt(precision), "noise_nu": assumed.tail[0].prior.sample(rng, 49)}

    assert not sbc(p, n=100, draws=49, seed=4, posterior=normal, progress=False).ok


@pytest.mark.validates(
    "all",
    "simulation-based calibration of counts",
    against="uniform ranks; Gaussian counts of half the standard deviation must fail",
    bar="uniform; the control fails",
)
def test_calibration_of_counts_and_its_negative_control():
    """Four counts of 1.5 and 3 on average; a posterior that takes them for Gaussian with half of their sd is wrong, and found to be."""
    few = Parameter("mean", "", LogNormal(1.5, 0.8), lower=0.0)
    p = problem(lambda x: np.array([x[0], x[0], 2.0 * x[0], 2.0 * x[0]]), [0.6, 0.6, 0.9, 0.9], few)
    p.model.likelihood = p.law = "poisson"
    assert sbc(p, n=150, seed=3, progress=False).ok

    def gaussian(assumed, seed):
        x = np.exp(np.linspace(-3.5, 3.5, 400) * 0.8) * 1.5
        y = np.stack([p.model.kernel(np.array([v])) for v in x])
        logp = -0.5 * np.sum(((y - assumed.table.value) / assumed.sd) ** 2, axis=1) - 0.5 * np.linspace(-3.5, 3.5, 400) ** 2
        w = np.exp(logp - logp.max())
        return {"mean": np.random.default_rng(seed).choice(x, 99, p=w / w.sum())}

    assert not sbc(p, n=150, seed=3, posterior=gaussian, progress=False).ok


def test_calibration_of_a_given_sampler_catches_one_that_is_too_sure():
    p = problem(lambda x: x[:1] * 1.0, [1.0], C)

    def exact(assumed, seed, sd=1.0):
        variance = 1 / (1 / 4 + 1 / assumed.sd[0] ** 2)
        mean = variance * assumed.table.value[0] / assumed.sd[0] ** 2
        return {"offset": mean + sd * np.sqrt(variance) * np.random.default_rng(seed).standard_normal(99)}

    assert sbc(p, n=200, posterior=exact, progress=False).ok
    assert not sbc(p, n=200, posterior=lambda q, s: exact(q, s, 0.6), progress=False).ok


def test_a_field_needs_its_own_sampler():
    from hmminfer.system.parameters import Field

    f = Field("f", "deg", Normal(0, 1), size=2, frequencies=np.ones((2, 2)), axial=True)
    fake = SimpleNamespace(free=(f,), model=FormulaModel(ParameterSet((f,)), Formula(lambda x: x)), sd=np.ones(2))
    with pytest.raises(HmmInferError, match="posterior="):
        sbc(fake, n=2)
