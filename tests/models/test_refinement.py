"""The default meshes are fine enough for the default data: refining cell and plate once moves the posterior by less than 0.1 sd."""

import numpy as np
import pytest

from hmminfer import models

fibre = models.get("fibre_composite")
TRUTH = {"fibre_angle": 27.0, "volume_fraction": 0.58, "matrix_modulus": 3.8}


@pytest.mark.validates(
    "fibre_composite",
    "posterior of plate_dic under refinement of cell and plate",
    against="twice finer meshes",
    bar="0.1 posterior standard deviations",
)
def test_refining_cell_and_plate_moves_the_plate_posterior_by_less_than_a_tenth_sd():
    """To first order the shift is (J^T W J + P)^-1 J^T W (y_fine - y) in the unknowns, and the posterior's covariance the inverse."""
    experiment = fibre.EXPERIMENTS["plate"]
    model = experiment.model("plate_dic")
    nodes = model.about["nodes"]
    fine = experiment.model("plate_dic", cell="full", refine=8, elements_x=48, elements_y=24)
    assert fine.about["nodes"] > 3.5 * nodes
    theta = model.vector(TRUTH)
    y, y_fine = model.kernel(theta), fine.kernel(fine.vector(TRUTH))

    where = [model.parameters.slices()[name].start for name in TRUTH]
    step = np.array([0.02, 1e-3, 1e-2])  # rad of the double angle, share, GPa: linear there to 1e-4
    columns = []
    for i, h in zip(where, step, strict=True):
        e = np.zeros(len(theta))
        e[i] = h
        columns.append((model.kernel(theta + e) - model.kernel(theta - e)) / (2 * h))
    jacobian = np.stack(columns, axis=1) / model.table.sd[:, None]
    prior = np.diag([0.0, 0.06**-2, (0.5 * 3.8) ** -2])
    covariance = np.linalg.inv(jacobian.T @ jacobian + prior)
    shift = covariance @ jacobian.T @ ((y_fine - y) / model.table.sd)
    moved = np.abs(shift) / np.sqrt(np.diag(covariance))
    assert np.all(moved < 0.1), dict(zip(TRUTH, moved, strict=True))
    # the finer meshes do change the answer, by micrometres that the test can see
    assert 1e-3 < np.max(np.abs(y_fine - y)[:-1]) < 0.5
