"""The misfit in words: what is said of residuals, and that its advice, followed, ends the complaint."""

import numpy as np
import pytest
import xarray as xr

from hmminfer import models
from hmminfer.inference.misfit import Misfit, at_the_mode, driven
from hmminfer.inference.modes import Mode
from hmminfer.inference.problem import Problem

N, SD = 60, 0.1


def misfit(rng, displacement, force, sd=SD):
    """Data of two quantities for a model that predicts zero everywhere: 60 displacements over x, 5 forces."""
    x = np.linspace(0.0, 100.0, N)
    data = xr.Dataset(
        {
            "displacement": xr.DataArray(displacement, dims="displacement_row", coords={"displacement_x": ("displacement_row", x)}),
            "force": xr.DataArray(force, dims="force_row"),
        }
    )
    clean = {"displacement": np.zeros((300, N)), "force": np.zeros((300, 5))}
    return Misfit.of(data, clean, {k: v + sd * rng.standard_normal(v.shape) for k, v in clean.items()})


def noise(rng, n, factor=1.0):
    """Scattered data whose squares sum up to their expectation."""
    z = rng.standard_normal(n)
    return factor * SD * z / np.sqrt(np.mean(z**2))


def test_noise_as_stated_is_no_misfit(rng):
    found = misfit(rng, noise(rng, N), noise(rng, 5))
    assert found.ok
    assert found.per_row == pytest.approx(1.0, rel=0.05)  # of the sd from 300 draws
    assert found.advice() == "The misfit is what the noise explains."


def test_an_offset_and_a_slope_are_no_noise_and_gone_when_corrected(rng):
    scatter, x = noise(rng, N), np.linspace(0.0, 100.0, N)
    found = misfit(rng, scatter + 1.0 + 0.01 * x, noise(rng, 5))
    said = found.advice()
    assert not found.ok
    assert "displacement misses" in said
    assert "smooth over x" in said
    assert "An offset and a slope explain them" in said
    assert "infer the noise" not in said
    assert 'discrepancy "extra"' in said
    assert misfit(rng, scatter, noise(rng, 5)).ok


def test_a_wave_is_a_model_error(rng):
    said = misfit(rng, noise(rng, N) + np.sin(np.arange(N) / 4.0), noise(rng, 5)).advice()
    assert "smooth over x" in said
    assert "offset and a slope" not in said


def test_a_wave_as_large_as_the_noise_is_no_noise(rng):
    """The size of inferred noise always fits; residuals that go together are said all the same, and those of noise are not."""
    wave = np.sin(np.arange(N) / 4.0)
    found = misfit(rng, SD * wave / np.sqrt(np.mean(wave**2)), noise(rng, 5))
    assert found.ok
    assert found.pattern.startswith("Residuals of displacement are smooth over x (neighbours correlate by 0.9")
    assert not any(misfit(rng, noise(rng, N), noise(rng, 5)).pattern for _ in range(200))


def test_noise_larger_than_stated_is_inferred_and_then_explained(rng):
    data = noise(rng, N, 3.0), noise(rng, 5, 3.0)
    said = misfit(rng, *data).advice()
    assert "by 3" in said.replace("2.9", "3")
    assert "infer the noise" in said
    assert misfit(rng, *data, sd=3.0 * SD).ok


def test_one_quantity_off_is_named_alone(rng):
    said = misfit(rng, noise(rng, N), noise(rng, 5, 6.0)).advice()
    assert said.startswith("force misses the model by 6")
    assert "unit, sd and calibration of force" in said
    assert "noise" not in said


def test_what_no_noise_does_is_a_unit(rng):
    said = misfit(rng, noise(rng, N, 1e3), noise(rng, 5, 1e3)).advice()
    assert "no noise does that" in said
    assert "infer" not in said


def test_the_noise_is_not_inferred_while_a_parameter_is_driven(rng):
    """More noise would hide what drives it."""
    found = misfit(rng, noise(rng, N, 3.0), noise(rng, 5, 3.0))
    assert "Do not infer the noise: it would hide what drives volume_fraction." in found.advice(["volume_fraction"])


def test_a_bound_is_seen_near_it_and_only_there(rng):
    before = rng.normal(0.62, 0.06, 500)
    at = 0.8 - 0.001 * np.abs(rng.standard_normal(1000))
    assert driven(at, before, (0.3, 0.8))[1] == "upper"
    assert driven(at, before, (0.3, 0.9))[1] == ""
    assert driven(at[:1], before, (0.3, 0.8))[1] == "upper"  # a mode alone


def test_the_mode_is_judged_before_sampling():
    """A conductivity below what any particle makes of the matrix: far from the data at the best point that there is."""
    model = models.get("heat_composite").EXPERIMENTS["particles"].model("sic_aluminium")
    problem = Problem.of(model)
    x = problem.unconstrain({p.name: np.array([p.prior.centre]) for p in problem.free})[0]
    said = at_the_mode(problem, [Mode(x, 0.0, np.eye(len(x)))])
    assert said.startswith("At the mode, chi2 p-value ")
    assert "chi2 / rows = " in said
    bad = Problem.of(model, noise=1e-3)
    assert "conductivity misses the model" in at_the_mode(bad, [Mode(x, 0.0, np.eye(len(x)))])
