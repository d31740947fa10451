"""What models say of the error of their own steps and elements."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hmminfer import models
from hmminfer.diagnostics.checking import checks
from hmminfer.errors import HmmInferError
from hmminfer.inference.montecarlo import pilot
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import preview
from hmminfer.models.morphogen_tissue.tissue import kernel_of
from hmminfer.system import accuracy
from hmminfer.system.accuracy import Accuracy, Knob, check, over_noise, twice
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable

TISSUE = models.get("morphogen_tissue")


def of_tissue(model):
    """Four times finer in everything."""
    c = model.table.columns
    return kernel_of(model.table.settings, c["position"], c.get("time"), still=4)


def again(system, experiment, data, **settings):
    """The same experiment with other settings."""
    build = models.get(system).EXPERIMENTS[experiment].model
    return lambda model: build(data, **settings).accuracy.coarse


CASES = {
    "a gradient": ("morphogen_tissue", "gradient", "bicoid_profile", {}, of_tissue),
    "counts": ("morphogen_tissue", "counts", "morphogen_counts", {}, of_tissue),
    "leaps of a tissue": ("morphogen_tissue", "growth", "morphogen_growth", {}, of_tissue),
    "creep of a gel": (
        "swelling_gel",
        "confined",
        "confined_creep",
        {"micro": "donnan"},
        again("swelling_gel", "confined", "confined_creep", micro="donnan", steps=960, elements=96),
    ),
    "columns": (
        "reactive_transport",
        "columns",
        "stiff_column",
        {},
        again("reactive_transport", "columns", "stiff_column", step="0.005 h", elements=400),
    ),
}


@pytest.mark.validates("all", "stated error of steps and elements", against="a solve several times finer", bar="a factor of 2")
@pytest.mark.parametrize("name", CASES)
def test_the_error_that_is_stated_is_the_error(name):
    """Against a solve several times finer: the largest error of a row is told to a factor of two, and is what the setting allows."""
    system, experiment, data, settings, finest = CASES[name]
    model = models.get(system).EXPERIMENTS[experiment].model(data, **settings)
    accuracy = model.accuracy
    theta = model.vector()[: accuracy.coarse.n_in]
    exact = finest(model)(theta)
    told, true = np.max(np.abs(accuracy.error(theta))), np.max(np.abs(exact - accuracy.coarse(theta)))
    assert 0.5 * true < told < 2.0 * true
    assert true < accuracy.stated * (accuracy.scale or np.max(np.abs(exact)))


def test_a_result_says_its_error_beside_the_noise():
    model = models.get("morphogen_tissue").EXPERIMENTS["growth"].model("morphogen_growth")
    tree = preview(model, seed=1, progress=False)
    at = pilot(model.kernel, model.parameters, model.fixed, model.table)
    found = over_noise(model, at, model.table.sd)["discretisation_over_noise"]
    assert tree.attrs["discretisation_over_noise"] == pytest.approx(found, rel=0.2)
    assert 0.01 < found < 0.5
    (row,) = [c for c in checks(tree) if c.name.startswith("steps and elements")]
    assert row.ok
    tree.attrs["discretisation_over_noise"] = 0.8
    (row,) = [c for c in checks(tree) if c.name.startswith("steps and elements")]
    assert not row.ok
    assert "too coarse" in row.advice
    assert over_noise(replace(model, accuracy=None), at, model.table.sd) == {}


def test_experiments_joined_keep_their_accuracy():
    columns = models.get("reactive_transport").EXPERIMENTS["columns"].model
    parts = [columns("stiff_column", accuracy=a) for a in (1e-5, 2e-5)]
    together = Model.joint(parts, [p.name for p in parts[0].parameters])
    single = parts[0].accuracy.error(parts[0].vector())
    np.testing.assert_allclose(together.accuracy.error(together.vector()), np.tile(single, 2), rtol=1e-12)
    with pytest.raises(HmmInferError, match="at the prior medians, more than accuracy = 2e-05"):
        Problem.of(together)
    gel = models.get("swelling_gel").EXPERIMENTS["confined"].model("confined_creep", micro="donnan", accuracy=1e-5)
    with pytest.raises(HmmInferError, match="more than accuracy = 1e-05"):  # of another scale: refused at once
        Model.joint([columns("stiff_column"), gel], [])


def test_few_values_are_all_judged_and_many_by_their_middle(monkeypatch):
    monkeypatch.setattr(accuracy, "SECONDS", 0.0)  # advice is not the question here
    history = TISSUE.history([10.0], [1.0, 4.0])
    for order in ([1.0, 30.0], [30.0, 1.0]):
        with pytest.raises(HmmInferError, match="at these values, more than accuracy"):
            history.predict(degradation=np.array(order), progress=False)
    many = np.append(np.full(20, 1.0), 30.0)
    assert history.predict(degradation=many, progress=False)["intensity"].shape == (21, 2)


def test_nothing_is_said_where_there_is_no_solution_and_a_finer_failure_is_an_error():
    model = models.get("morphogen_tissue").EXPERIMENTS["growth"].model("morphogen_growth")
    nowhere = np.full(model.vector().shape, np.nan)
    model.check_accuracy(nowhere, "nowhere")
    broken = replace(model.accuracy.finer, data=tuple(np.full_like(d, np.nan) if d.dtype == float else d for d in model.accuracy.finer.data))
    bad = replace(model, accuracy=Accuracy(model.accuracy.coarse, broken, 0.5))
    with pytest.raises(HmmInferError, match="wrong by nan of the largest intensity at the prior medians"):
        bad.check_accuracy(model.vector(), "the prior medians")


TOO_COARSE = {  # system, experiment, data, settings, the setting that errs alone; None where several do
    "step of columns": ("reactive_transport", "columns", "stiff_column", {"accuracy": 1e-3, "elements": 160}, "step"),
    "elements of columns": ("reactive_transport", "columns", "stiff_column", {"accuracy": 1.5e-4, "step": "0.004 h"}, "elements"),
    "both of columns": ("reactive_transport", "columns", "stiff_column", {"accuracy": 1e-4}, None),
    "steps of a gel": ("swelling_gel", "confined", "confined_creep", {"micro": "donnan", "steps": 24, "accuracy": 0.002}, None),
    "nodes of a tissue": ("morphogen_tissue", "gradient", "bicoid_profile", {"nodes": 9}, "nodes"),
    "leaps of a tissue": ("morphogen_tissue", "growth", "morphogen_growth", {"accuracy": 1e-3}, None),
}


@pytest.mark.parametrize("name", TOO_COARSE)
def test_a_refusal_names_what_errs_and_its_advice_passes(name):
    """The values advised are set, as text, and nothing else: the model is then accepted. What does not err is not touched."""
    system, experiment, data, settings, alone = TOO_COARSE[name]
    build = models.get(system).EXPERIMENTS[experiment].model
    model = build(data, **settings)
    with pytest.raises(HmmInferError, match=r"give .* = .*, which pass") as refused:
        model.check_accuracy(model.vector(), "the prior medians")
    advice = re.search(r"give (.*), which pass", str(refused.value))[1]
    changes = dict(part.split(" = ") for part in advice.split(" and "))
    assert alone is None or list(changes) == [alone]
    assert re.search(rf"\({next(iter(changes)) if alone else ''}", str(refused.value))
    better = build(data, **{**settings, **changes})
    better.check_accuracy(better.vector(), "the prior medians")


def test_what_cannot_pass_is_said():
    model = models.get("reactive_transport").EXPERIMENTS["columns"].model("stiff_column", accuracy=1e-3)
    stuck = replace(model.accuracy, knobs={"elements": model.accuracy.knobs["elements"]}, again=lambda changes: stuck)
    with pytest.raises(
        HmmInferError, match=r"\(elements alone 0\); give a larger accuracy, or finer values still than elements = 100, which is as far"
    ):
        check(replace(model, accuracy=stuck), model.vector(), "the prior medians")


def test_a_step_left_open_is_chosen_and_one_that_is_given_is_kept():
    build = models.get("reactive_transport").EXPERIMENTS["columns"].model
    chosen = build("pfos_columns", accuracy=1e-3)
    assert chosen.about["step_chosen"] == "0.0106 h, for an error below 0.001"
    chosen.check_accuracy(chosen.vector(), "the prior medians")
    given = build("pfos_columns", accuracy=1e-3, step="0.04 h")
    assert "step_chosen" not in given.about
    with pytest.raises(HmmInferError, match=r"more than accuracy = 0\.001 \(step alone"):
        given.check_accuracy(given.vector(), "the prior medians")


def test_a_step_too_large_for_the_noise_is_named_with_one_that_is_not():
    """The advice, followed, brings the error below half the noise."""
    columns = models.get("reactive_transport").EXPERIMENTS["columns"]
    model = columns.model("stiff_column", elements=48, accuracy=0.05)
    theta = model.vector()
    sigma = np.full(model.n_out, 0.7 * float(np.max(np.abs(model.accuracy.error(theta)))))
    found = over_noise(model, theta, sigma)
    assert found["discretisation_over_noise"] > 0.5
    values = dict(part.split(" = ") for part in found["discretisation_remedy"].split(" and "))
    again = columns.model("stiff_column", **{"elements": 48, "accuracy": 0.05, **values})
    assert over_noise(again, theta, sigma)["discretisation_over_noise"] < 0.5


def test_the_remedy_is_for_the_quantity_that_errs_beside_its_noise():
    """A errs 1e-3 with an sd of 2e-4, B errs 0.1 with an sd of 10: finer steps of B alone would help nothing."""

    def answer(steps):
        return lambda theta: np.array([1.0 - 0.064 / steps["a"] ** 2, 10.0 - 6.4 / steps["b"] ** 2])

    def estimator(steps):
        knobs = {k: Knob(v, twice) for k, v in steps.items()}
        finer = answer({k: 2 * v for k, v in steps.items()})
        return Accuracy(Called(answer(steps)), Called(finer), 1.0, 0.0, knobs, lambda changes: estimator({**steps, **changes}))

    class Called:
        n_in, n_out = 1, 2

        def __init__(self, f):
            self.f = f

        def __call__(self, theta):
            return self.f(theta)

    observables = (Observable("a", "", np.array([0]), "a_row"), Observable("b", "", np.array([1]), "b_row"))
    model = SimpleNamespace(accuracy=estimator({"a": 8, "b": 8}), observables=observables)
    found = over_noise(model, np.zeros(1), np.array([2e-4, 10.0]))
    assert found["discretisation_over_noise"] == pytest.approx(5.0)
    assert found["discretisation_remedy"] == "a = 32"
