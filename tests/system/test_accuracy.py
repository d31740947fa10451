"""What models say of the error of their own steps and elements."""

from dataclasses import replace

import numpy as np
import pytest

from hmminfer import models
from hmminfer.diagnostics.checking import checks
from hmminfer.errors import HmmInferError
from hmminfer.inference.montecarlo import pilot
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import preview
from hmminfer.models.morphogen_tissue.tissue import kernel_of
from hmminfer.system.accuracy import Accuracy, over_noise
from hmminfer.system.model import Model

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


def test_few_values_are_all_judged_and_many_by_their_middle():
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
    bad = replace(model, accuracy=Accuracy(model.accuracy.coarse, broken, 0.5, "give more steps"))
    with pytest.raises(HmmInferError, match="wrong by nan of the largest intensity at the prior medians"):
        bad.check_accuracy(model.vector(), "the prior medians")
