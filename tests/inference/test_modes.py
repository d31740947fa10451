"""The search for modes: inside the supports, in bounded time, with what it does shown."""

import time

import numpy as np
import pytest

from hmminfer import models
from hmminfer.inference.modes import find_modes, inside
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import preview

PARTICLES = models.get("heat_composite").EXPERIMENTS["particles"]
BOX = (np.array([-1.0, -5.0]), np.array([2.0, 5.0]))


def normal(x, peak=4.0):
    """Standard normal around (peak, 0)."""
    away = x - np.array([peak, 0.0])
    return -0.5 * float(away @ away), -away


def test_a_mode_beyond_the_box_is_found_on_its_face(rng):
    """There the density falls by exp(-2 d - d^2 / 2) from the face: about a half normal of sd 1 / sqrt(1 + 2^2)."""
    (mode,) = find_modes(normal, rng.normal(0.0, 3.0, (40, 2)), np.zeros(2, bool), box=BOX)
    assert mode.x == pytest.approx([2.0, 0.0], abs=1e-4)
    assert np.diag(mode.covariance) == pytest.approx([0.2, 1.0], rel=1e-3)
    x = inside(lambda n: mode.sample(rng, n), 500, BOX)
    assert np.all((x >= BOX[0]) & (x <= BOX[1]))
    assert 0.15 < np.mean(2.0 - x[:, 0]) < 0.6  # of the exact law: 0.42


def test_no_search_calls_the_density_outside_the_box(rng):
    seen = []

    def watched(x):
        seen.append(x.copy())
        return normal(x)

    find_modes(watched, rng.normal(0.0, 3.0, (40, 2)), np.zeros(2, bool), box=BOX)
    seen = np.array(seen)
    assert np.all((seen >= BOX[0]) & (seen <= BOX[1]))


def test_a_search_without_end_ends_and_says_so(rng, capsys):
    def slow(x):
        time.sleep(0.01)
        return normal(x, 0.0)

    start = time.monotonic()
    found = find_modes(slow, rng.normal(0.0, 3.0, (400, 2)), np.zeros(2, bool), seconds=0.4)
    assert time.monotonic() - start < 3.0
    assert found
    assert "ended after" in capsys.readouterr().err


def test_searches_that_find_nothing_new_end(rng):
    calls = []

    def counted(x):
        calls.append(1)
        return normal(x, 0.0)

    find_modes(counted, rng.normal(0.0, 3.0, (320, 2)), np.zeros(2, bool), searches=300)
    assert len(calls) < 320 + 100


def test_a_box_of_unknowns_holds_the_supports_and_no_more():
    problem = Problem.of(PARTICLES.model("sic_aluminium"), priors={"particle_conductivity": "Normal(300 W/m/K, 100 W/m/K)"})
    for corner in problem.box():
        values = problem.constrain(corner)
        problem.model.vector(values)  # refuses what is outside a support
    p = problem.model.parameters["particle_conductivity"]
    ends = [float(problem.constrain(corner)["particle_conductivity"]) for corner in problem.box()]
    assert ends == pytest.approx((p.lower, p.upper), rel=1e-2)


def test_a_preview_near_the_end_of_a_support_is_a_result(tmp_path):
    """Particles that hardly conduct: a good part of the normal law around the mode would be negative, which nobody asked for."""
    file = tmp_path / "pores.csv"
    rows = "".join(f"conductivity,{d},{d},0.4,{k},W/m/K,1\n" for d, k in ((7, 102), (250, 102.5)))
    file.write_text("quantity,specimen,particle_diameter [um],volume_fraction,value,unit,sd\n" + rows + "matrix_conductivity,,,,220,W/m/K,2\n")
    model = PARTICLES.model(file, particle_conductivity="Normal(60 W/m/K, 12 W/m/K)", interface_conductance=1e9)
    posterior = preview(model, seed=1, draws=200, progress=False)["posterior"]["particle_conductivity"]
    assert 1e-4 <= float(posterior.min()) < 1.0
