"""Errors of instruments as unknowns: gains, offsets, and the rigid motion of a camera."""

import numpy as np
import pytest

from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.inference.problem import Problem
from hmminfer.testing import assert_gradient

PLATE = models.fibre_composite.EXPERIMENTS.plate
SMALL = {"cell": "full", "refine": 1, "elements_x": 4, "elements_y": 2}


def test_the_rigid_motion_of_a_camera_is_free_unless_a_setting_says_no():
    absolute, free = PLATE.model(rigid_motion="none", **SMALL), PLATE.model(**SMALL)
    assert [n for n in free.parameters.names if n not in absolute.parameters.names] == ["rigid_x", "rigid_y", "rigid_rotation"]
    moved = {"rigid_x": 12.0, "rigid_y": -8.0, "rigid_rotation": 0.03}
    table = free.table
    x, y = table.columns["x"], table.columns["y"]
    away = free.evaluate({"fibre_angle": 25.0, **moved}) - absolute.evaluate({"fibre_angle": 25.0})
    turn = np.radians(0.03) * 1e3
    expected = np.where(
        table.quantity == "displacement_x", 12.0 - turn * (y - 12.5), np.where(table.quantity == "displacement_y", -8.0 + turn * (x - 50.0), 0.0)
    )
    np.testing.assert_allclose(away, expected, atol=1e-9)


def test_offset_and_gain_are_asked_for_by_settings():
    plain = models.fibre_composite.EXPERIMENTS.coupons.model()
    model = models.fibre_composite.EXPERIMENTS.coupons.model(calibration="3 %", offset_shear_modulus="0.5 GPa")
    p = model.parameters
    assert p["calibration_youngs_modulus"].prior.sd == pytest.approx(0.03)
    assert p["offset_shear_modulus"].prior.sd == pytest.approx(0.5)
    y, f = model.evaluate({"calibration_youngs_modulus": 0.1, "offset_shear_modulus": 2.0}), plain.evaluate()
    young, shear = (model.table.quantity == q for q in ("youngs_modulus", "shear_modulus"))
    np.testing.assert_allclose(y, np.where(young, 1.1 * f, np.where(shear, f + 2.0, f)), rtol=1e-12)
    with pytest.raises(HmmInferError, match="Unknown quantity of offset"):
        models.fibre_composite.EXPERIMENTS.coupons.model(offset_temperature="1 K")
    with pytest.raises(HmmInferError, match="standard deviation of that error"):
        models.fibre_composite.EXPERIMENTS.coupons.model(calibration="-3 %")


def test_starts_have_the_best_rigid_motion():
    problem = Problem.of(PLATE.model(**SMALL))
    draws = problem.prior_draws(np.random.default_rng(0), 3)
    aligned = problem.aligned(draws)
    misfit = []
    for d in (draws, aligned):
        y = problem.model.batch(problem.model.vector({k: d[k] for k in problem.model.parameters.names if k in d}), strict=False)
        misfit.append(np.sum(((problem.table.value - y) / problem.sd) ** 2, axis=1))
    assert np.all(misfit[1] < misfit[0])
    assert np.all(aligned["fibre_angle"] == draws["fibre_angle"])


def test_gradients_of_nuisances_are_exact():
    model = PLATE.model(calibration_force="5 %", **SMALL)
    assert_gradient(model.kernel)


def test_counts_take_no_calibration():
    with pytest.raises(HmmInferError, match="neither calibration nor offset"):
        models.morphogen_tissue.EXPERIMENTS.spreading.model(calibration="3 %")


def test_a_model_knows_the_errors_of_its_instruments():
    """Those asked for by settings too, so that searches start with their best values."""
    model = models.fibre_composite.EXPERIMENTS.coupons.model(offset_shear_modulus="0.5 GPa")
    assert [n.parameter.name for n in model.nuisances] == ["offset_shear_modulus"]
    problem = Problem.of(model)
    draws = problem.prior_draws(np.random.default_rng(0), 3)
    assert not np.array_equal(problem.aligned(draws)["offset_shear_modulus"], draws["offset_shear_modulus"])


def test_a_gain_without_its_percent_is_asked_about():
    with pytest.raises(HmmInferError, match="write '3 %'"):
        models.fibre_composite.EXPERIMENTS.coupons.model(calibration=3)


def test_each_sensor_may_have_an_error_of_its_own():
    """An offset per specimen is an unknown for each; the rows of one share it."""
    model = models.fibre_composite.EXPERIMENTS.coupons.model(offset_youngs_modulus="2 GPa per specimen")
    table = model.table
    names = [p.name for p in model.parameters if p.nuisance]
    specimens = list(dict.fromkeys(table.columns["specimen"][table.quantity == "youngs_modulus"].tolist()))
    assert names == [f"offset_youngs_modulus_{s}" for s in specimens]
    moved = model.evaluate({names[1]: 5.0}) - model.evaluate()
    np.testing.assert_allclose(
        moved, np.where((table.quantity == "youngs_modulus") & (table.columns["specimen"] == specimens[1]), 5.0, 0.0), atol=1e-9
    )
    with pytest.raises(HmmInferError, match=r"Unknown column of text for offset_youngs_modulus 'sensor'\. Known: specimen"):
        models.fibre_composite.EXPERIMENTS.coupons.model(offset_youngs_modulus="2 GPa per sensor")


def test_names_of_specimens_become_names_of_unknowns(tmp_path):
    """A slash would end in PyMC's error, after the model was set up; two names that differ in signs alone are refused."""
    header = "quantity,specimen,angle [deg],value,unit,sd\n"
    file = tmp_path / "a.csv"
    file.write_text(header + "youngs_modulus,S/1,0,140,GPa,4\nyoungs_modulus,B 2,90,9,GPa,1\n", encoding="utf-8")
    model = models.fibre_composite.EXPERIMENTS.coupons.model(file, calibration_youngs_modulus="3 % per specimen")
    assert [p.name for p in model.parameters if p.nuisance] == ["calibration_youngs_modulus_S_1", "calibration_youngs_modulus_B_2"]
    file.write_text(header + "youngs_modulus,S/1,0,140,GPa,4\nyoungs_modulus,S-1,90,9,GPa,1\n", encoding="utf-8")
    with pytest.raises(HmmInferError, match="differ in signs alone"):
        models.fibre_composite.EXPERIMENTS.coupons.model(file, calibration_youngs_modulus="3 % per specimen")
