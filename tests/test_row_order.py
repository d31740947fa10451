"""Row i of y is row i of the data file, whatever the order of the file: a user's ``observed=`` is the column of the file."""

import numpy as np
import pytest

from hmminfer import models

EXPERIMENTS = [(s, e) for s in models.names() for e in models.get(s).EXPERIMENTS]


@pytest.mark.parametrize(("system", "name"), EXPERIMENTS)
def test_rows_of_y_are_those_of_the_file(system, name, tmp_path):
    experiment = models.get(system).EXPERIMENTS[name]
    path = tmp_path / "data.csv"
    path.write_text(experiment.schema.template(), encoding="utf-8")
    model = experiment.model(path, **experiment.small)
    lines = model.table.line.tolist()
    assert lines == sorted(lines), "the rows that are used keep the order of the file"
    order = np.arange(len(lines))[::-1]
    plain, turned = experiment.build(model.table), experiment.build(model.table.take(order))
    assert turned.table.line.tolist() == lines[::-1]
    theta = plain.vector()
    moved = turned.kernel(turned.vector(plain.parameters.values(theta)))
    assert plain.kernel(theta)[order] == pytest.approx(moved, rel=1e-9, abs=1e-12)
