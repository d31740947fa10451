"""Bands of predicted curves."""

import numpy as np
from matplotlib.figure import Figure

from hmminfer.figures.panels import band


def test_draws_without_a_solution_are_left_out_of_a_band_and_none_at_all_is_no_error():
    x, good = np.arange(3.0), np.array([[1.0, 2.0, 3.0], [1.1, 2.1, 3.1]])
    ax = Figure().add_subplot()
    band(ax, x, np.vstack([good, [np.nan, 2.0, 3.0]]))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.median(good, axis=0))
    band(ax, x, np.full((4, 3), np.nan))
    assert len(ax.lines) == 1
