"""Results of many rows: what is kept is bounded, said, and the same as without the bound."""

import numpy as np
import pytest

from hmminfer.diagnostics.checking import _thinned
from hmminfer.inference import results
from hmminfer.inference.problem import Problem
from hmminfer.inference.reading import Reading


@pytest.fixture
def problem(coupons):
    return Problem.of(coupons)


def assembled(problem, n=40):
    x = problem.unconstrain(problem.prior_draws(np.random.default_rng(1), 2 * n)).reshape(2, n, -1)
    return results.assemble(problem, x, {}, [], 3, False)


def test_predictions_of_some_draws_are_those_of_all(problem, monkeypatch):
    whole = assembled(problem)
    assert "predictions_every" not in whole.attrs
    assert _thinned(Reading.of(whole)) == []
    rows = len(problem.table)
    monkeypatch.setattr(results, "LARGEST", 20 * rows)  # 20 of 80 draws
    monkeypatch.setattr(results, "MANY_ROWS", rows - 1)
    small = assembled(problem)
    assert small["posterior"].equals(whole["posterior"])
    assert small.attrs["predictions_every"] == 4
    assert _thinned(Reading.of(small))[0].value == "of one draw in 4"
    kept = whole["fitted"].to_dataset().isel(draw=slice(0, None, 4))
    assert small["fitted"].to_dataset().equals(kept)
    assert small["posterior_predictive"].sizes["draw"] == 10
    assert small["prior_predictive"].sizes["draw"] == 20
    every_row, summed = (t["log_likelihood"]["observed"] for t in (whole, small))
    assert summed.sizes["quantity"] == len(set(problem.table.quantity.tolist()))
    np.testing.assert_allclose(summed.sum("quantity"), every_row.sum("row"), rtol=1e-12)


def test_an_extension_of_a_thinned_result_counts_all_draws(problem, monkeypatch):
    monkeypatch.setattr(results, "LARGEST", 20 * len(problem.table))
    first = assembled(problem)
    both = results.extend(first, assembled(problem, 30))
    assert both["posterior"].sizes["draw"] == 70
    assert both["fitted"]["draw"].values.tolist() == [*range(0, 40, 4), *range(40, 70, 3)]
    assert both.attrs["predictions_every"] == 4


def test_repeated_fits_share_their_callbacks(problem):
    """Numba keeps compiled code for good: a callback for each fit would grow the process by megabytes."""
    from hmminfer.inference import callbacks
    from hmminfer.inference.posterior import Compiled

    one, other = (Compiled(problem) for _ in range(2))
    assert one.nutpie.compiled_logp_func is other.nutpie.compiled_logp_func
    assert not np.shares_memory(one.nutpie.user_data, other.nutpie.user_data)
    before = callbacks._callback.cache_info().misses
    assert Compiled(problem)(np.zeros(one.size))[0] == one(np.zeros(one.size))[0]
    assert callbacks._callback.cache_info().misses == before
