"""Coordinates of problems with fields: they change nothing but the speed, and Gauss-Newton in them finds the field."""

import numpy as np
import pytest

from hmminfer import models
from hmminfer.inference.posterior import Compiled
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import fit, preview
from hmminfer.system.data import write_template

fibre = models.get("fibre_composite")


def plate_with_field(path):
    """A small plate with a field of 3 x 2 coefficients, noisy displacements made by itself at an angle that varies along x."""
    experiment = fibre.EXPERIMENTS["plate"]
    write_template(path, experiment.schema)
    settings = {"elements_x": 6, "elements_y": 3, "orientation": "field", "field_x": 3, "field_y": 2}
    template = experiment.model(path, cell="full", refine=1, **settings)
    x, y = np.meshgrid(np.linspace(10, 90, 9), np.linspace(3, 22, 4))
    rows = ['# experiment = "plate"', '# length = "100 mm"', '# width = "25 mm"', "quantity,x,y,value,unit,sd"]
    for quantity in ("displacement_x", "displacement_y"):
        rows += [f"{quantity},{a:.4f},{b:.4f},0,um,0.5" for a, b in zip(x.ravel(), y.ravel(), strict=True)]
    path.write_text("\n".join(rows) + "\n")
    facts = {p.name: 1.0 * template.vector()[i] for i, p in enumerate(template.parameters) if i < 8}
    facts.pop("matrix_modulus")
    model = experiment.model(path, cell="full", refine=1, **settings, **facts)
    truth = {"matrix_modulus": 3.6, "fibre_angle": 30.0, "angle_field": 0.6 * np.array([1.0, -2.0, 0.5, 0.3, 0.8, -0.4])}
    y_true = model.evaluate(truth)
    noise = np.random.default_rng(3).normal(0.0, 0.5, len(y_true))
    lines = [line.replace(",0,um", f",{v:.6f},um") for line, v in zip(rows[4:], y_true + noise, strict=True)]
    path.write_text("\n".join([*rows[:4], *lines]) + "\n")
    return experiment.model(path, cell="full", refine=1, **settings, **facts)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return Compiled(Problem.of(plate_with_field(tmp_path_factory.mktemp("field") / "field.csv")))


@pytest.fixture(scope="module")
def found(compiled):
    return compiled.modes(seed=2)


def volume(coordinates, v):
    """log |dx/dv| by differences."""
    steps = 1e-5 * np.eye(len(v))
    slope = np.stack([coordinates.to_x(v + e) - coordinates.to_x(v - e) for e in steps], axis=1) / 2e-5
    return np.linalg.slogdet(slope)[1]


def density_in_x(compiled, x):
    v = compiled.coordinates.to_v(x)
    return compiled(v)[0] - volume(compiled.coordinates, v)


@pytest.mark.validates("all", "log density in standardised coordinates (a plate with a field)", against="PyMC's own density", bar="1e-5")
def test_any_arrays_give_the_same_posterior(compiled, found, rng):
    """The density in x, at points around the mode, with the arrays of the mode, of another point, and with none."""
    compiled.standardise(found)
    arrays = dict(compiled.coordinates.arrays)
    x = compiled.coordinates.sample(found[0], rng, 3)
    expected = [density_in_x(compiled, p) for p in x]
    compiled.coordinates.linearise(x[0])
    compiled._update()
    assert not np.allclose(compiled.coordinates.arrays["information"], arrays["information"])
    np.testing.assert_allclose([density_in_x(compiled, p) for p in x], expected, atol=1e-5)
    compiled.coordinates.arrays = {k: np.zeros_like(a) for k, a in arrays.items()}
    compiled._update()
    np.testing.assert_allclose([density_in_x(compiled, p) for p in x], expected, atol=1e-5)
    compiled.standardise(found)
    # and it is PyMC's
    from hmminfer.inference.posterior import pymc_model

    model = pymc_model(compiled.problem)
    names = [model.rvs_to_values[rv].name for rv in model.free_RVs]
    shapes = {k: np.shape(v) for k, v in model.initial_point().items()}
    logp = model.compile_logp()
    for p, value in zip(x, expected, strict=True):
        start, point = 0, {}
        for name in names:
            size = int(np.prod(shapes[name], dtype=int))
            point[name] = p[start : start + size].reshape(shapes[name])
            start += size
        assert float(logp(point)) == pytest.approx(value, abs=1e-5)


def test_round_trip_and_gradient(compiled, found, rng):
    compiled.standardise(found)
    v = compiled.coordinates.to_v(found[0].x) + 0.3 * rng.standard_normal(compiled.size)
    np.testing.assert_allclose(compiled.coordinates.to_v(compiled.coordinates.to_x(v)), v, atol=1e-8)
    _, gradient = compiled(v)
    for _ in range(5):
        direction = rng.standard_normal(compiled.size)
        numeric = (compiled(v + 1e-4 * direction)[0] - compiled(v - 1e-4 * direction)[0]) / 2e-4
        assert numeric == pytest.approx(float(gradient @ direction), abs=1e-4 * np.linalg.norm(gradient))


def test_the_posterior_is_nearly_standard_normal_in_them(compiled, found):
    """Minus the Hessian by the block at the mode is the identity, up to what the model bends."""
    compiled.standardise(found)
    v = compiled.coordinates.to_v(found[0].x)
    steps = 1e-3 * np.eye(compiled.size)
    hessian = np.array([compiled(v - e)[1] - compiled(v + e)[1] for e in steps]) / 2e-3
    block = hessian[np.ix_(compiled.coordinates.in_x, compiled.coordinates.in_x)]
    assert np.all(np.abs(np.linalg.eigvalsh(0.5 * (block + block.T)) - 1.0) < 0.3)
    assert np.linalg.norm(compiled(v)[1]) < 0.1


def test_a_field_is_found_and_sampled_without_divergences(compiled, found):
    """The field's angle at the data, not its coefficients: those and the constant angle trade against each other."""
    model = compiled.problem.model
    assert len(found) == 1
    tree = fit(model, draws=150, tune=200, chains=2, seed=4, progress=False)
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    assert float(tree["sample_stats"]["n_steps"].mean()) < 16.0
    y, data = tree["fitted"]["observed"].values.reshape(300, -1), tree["observed_data"]["observed"].values
    chi2 = np.mean(((y.mean(axis=0) - data) / 0.5) ** 2)
    assert 0.5 < chi2 < 1.4
    laplace = preview(model, draws=400, seed=4, progress=False)
    for name in ("matrix_modulus", "angle_field_amplitude"):
        a, b = (np.log(t["posterior"][name].values) for t in (tree, laplace))
        assert abs(a.mean() - b.mean()) < 0.5 * a.std(), name
        assert 0.6 < b.std() / a.std() < 1.6, name
