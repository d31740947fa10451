"""How rows of data are called in checks and figures."""

import numpy as np
import xarray as xr

from hmminfer import models
from hmminfer.inference.reading import _labels
from hmminfer.system.model import Model
from hmminfer.system.remarks import remarks


def rows(**coords):
    n = len(next(iter(coords.values())))
    return xr.DataArray(np.zeros(n), dims="row", coords={"row": np.arange(n), **{k: ("row", np.asarray(v)) for k, v in coords.items()}})


def test_rows_of_one_specimen_are_told_apart_by_what_differs():
    assert _labels(rows(line=[5, 6])) == ["line 5", "line 6"]
    assert _labels(rows(line=[5, 6, 7], specimen=["A", "B", ""], angle=[0.0, 90.0, 45.0])) == ["A", "B", "line 7"]
    assert _labels(rows(line=[5, 6], specimen=["A", "A"], angle=[0.0, 90.0])) == ["A, angle 0", "A, angle 90"]
    assert _labels(rows(line=[5, 6], specimen=["A", "A"], side=["left", "right"])) == ["A, side left", "A, side right"]
    assert _labels(rows(line=[5, 6], specimen=["A", "A"], angle=[90.0, 90.0])) == ["A, line 5", "A, line 6"]


def test_many_rows_of_one_specimen_are_named():
    """It was quadratic in the rows, and would not end here."""
    names = _labels(rows(line=np.arange(20_000), specimen=np.repeat("A", 20_000), time=np.arange(20_000.0)))
    assert names[-1] == "A, time 19999"


def test_a_joint_model_says_what_its_experiments_say(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("quantity,specimen,angle [deg],value,unit,sd\nyoungs_modulus,A,0,140,GPa,4\nyoungs_modulus,A,90,9,GPa,1\n", encoding="utf-8")
    one = models.fibre_composite.EXPERIMENTS.coupons.model(file)
    joint = Model.joint([one, one], ["matrix_modulus"], ["a", "b"])
    assert [s for s in remarks(joint) if s.startswith("No material is named")]
    assert len(joint.costs) == 2
    soft = joint.with_priors({"matrix_modulus": "LogNormal(0.01 GPa, 0.1, lower=0.01, upper=0.02)"})
    assert any("full cell answers" in s for s in remarks(soft))
