"""A preview tells of data that the model cannot give, before the long run: displacements with the rigid motion that every camera adds."""

from dataclasses import replace

import numpy as np

from hmminfer import models
from hmminfer.diagnostics.checking import checks
from hmminfer.inference.sampling import preview


def said(model):
    return {c.name.split(" >")[0]: c for c in checks(preview(model, seed=1, progress=False))}


def test_a_rigid_motion_is_told_and_its_advice_helps():
    """Taken as absolute, moved by (12, -8) um and turned by 0.03 degrees, the content ends at its bound; without that motion nothing is said."""
    model = models.get("fibre_composite").EXPERIMENTS["plate"].model("plate_dic", rigid_motion="none")
    table = model.table
    x, y = table.columns["x"], table.columns["y"]
    of_x, of_y = table.quantity == "displacement_x", table.quantity == "displacement_y"
    um, turn = {"mm": 1e-3, "um": 1.0}[str(table.unit[of_x][0])], np.radians(0.03)
    motion = np.zeros(len(table))
    motion[of_x] = um * (12.0 - 1e3 * turn * (y - y[of_x].mean())[of_x])
    motion[of_y] = um * (-8.0 + 1e3 * turn * (x - x[of_x].mean())[of_y])
    found = said(replace(model, table=replace(table, value=table.value + motion)))
    assert found["chi2 p-value"].ok is False
    assert "smooth over x, y" in found["chi2 p-value"].advice
    assert "rigid motion of the instrument" in found["chi2 p-value"].advice
    assert "Do not infer the noise: it would hide what drives" in found["chi2 p-value"].advice
    assert found["pushed"].ok is False
    right = said(model)
    assert right["chi2 p-value"].ok
    assert right["pushed"].ok


def test_a_rigid_motion_that_is_free_is_found_and_leaves_the_material_as_it_is():
    """The same displacements by default: the camera's motion is an unknown, found to 0.5 um, and angle, content and resin are those of the truth."""
    model = models.get("fibre_composite").EXPERIMENTS["plate"].model("plate_dic")
    table = model.table
    moved = model.kernel(model.vector({"rigid_x": 12.0, "rigid_y": -8.0, "rigid_rotation": 0.03})) - model.kernel(model.vector())
    posterior = preview(replace(model, table=replace(table, value=table.value + moved)), seed=1, progress=False)["posterior"]
    mean, sd = posterior.mean(), posterior.std()
    for name, truth in {"fibre_angle": 27.0, "volume_fraction": 0.58, "matrix_modulus": 3.8}.items():
        assert abs(float(mean[name]) - truth) < 3.0 * float(sd[name]), name
    for name, truth in {"rigid_x": 12.0, "rigid_y": -8.0}.items():
        assert abs(float(mean[name]) - truth) < 0.5, name
    assert abs(float(mean["rigid_rotation"]) - 0.03) < 2e-3
