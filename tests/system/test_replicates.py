"""Rows that repeat a measurement, in every experiment of the catalogue: each is predicted as the first is, and each counts."""

from dataclasses import replace

import numpy as np
import pytest

from hmminfer import models

ALL = [(s, e) for s in models.CATALOGUE for e in models.get(s).EXPERIMENTS]
SIMULATED = [("morphogen_tissue", "spreading")]
FINER = {"strip": {"steps": 80}, "growth": {"steps": 64}, "confined": {"steps": 16}}  # the smallest grids in time do not reach the first data
COARSER = {"periodic": {"elements": 2, "cell_elements": 8}}


@pytest.mark.parametrize(("system", "experiment"), ALL, ids=lambda name: name)
def test_repeated_rows_are_predicted_alike_and_each_is_kept(system, experiment):
    """Every row twice, the copies at the end: no row is dropped, merged or moved, and the order of the table is that of y."""
    entry = models.get(system).EXPERIMENTS[experiment]
    raw = entry.raw()
    step = 7 if len(raw.rows) > 40 else 1
    rows, lines = raw.rows[::step], raw.lines[::step]
    once, twice = replace(raw, rows=rows, lines=lines), replace(raw, rows=rows * 2, lines=lines + [n + 10_000 for n in lines])
    given = {**entry.small, **FINER.get(experiment, {}), **COARSER.get(experiment, {})}
    single, double = (entry.model(r, **given) for r in (once, twice))
    assert len(double.table) == 2 * len(single.table) == double.n_out
    if (system, experiment) in SIMULATED:
        y = double.kernel(double.vector())
    else:
        y = double.evaluate()
        np.testing.assert_allclose(np.sort(y), np.sort(np.tile(single.evaluate(), 2)), rtol=1e-9)
    at = {line: i for i, line in enumerate(double.table.line.tolist())}
    for line, i in at.items():
        if line < 10_000:
            np.testing.assert_allclose(y[at[line + 10_000]], y[i], rtol=1e-12, err_msg=f"line {line}")
    assert sum(map(len, double.table.replicates)) >= 2 * len(single.table)
