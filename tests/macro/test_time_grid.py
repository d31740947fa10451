"""Time steps for data at given times: what is refused, and that advice followed is accepted."""

import re

import numpy as np
import pytest

from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.macro.time_grid import time_grid


def test_rows_lie_between_two_steps():
    grid = time_grid([0.0, 0.55, 0.9, 1.0], 1.0, 10)
    assert (grid.step + grid.share) * grid.dt == pytest.approx([0.0, 0.55, 0.9, 1.0], rel=1e-14)
    assert np.all((grid.share >= 0.0) & (grid.share <= 1.0 + 1e-12))
    assert grid.stages[-1] == pytest.approx([0.9 + 0.1 * (1.0 - np.sqrt(0.5)), 1.0])


def test_advice_is_accepted_when_followed(rng):
    """Whatever the times: the number of steps that a message asks for is enough, and one fewer is not."""
    for duration, first, rise in zip(rng.uniform(0.1, 1e4, 200), rng.uniform(0.003, 0.1, 200), rng.uniform(0.003, 0.1, 200), strict=True):
        for kind, (times, ramp) in {"data": ([first * duration, duration], 0.0), "load": ([duration], rise * duration)}.items():
            with pytest.raises(HmmInferError, match=f"cannot resolve (a )?{kind}") as caught:
                time_grid(times, duration, 3, ramp)
            steps = int(re.search(r"at least (\d+) steps", str(caught.value))[1])
            time_grid(times, duration, steps, ramp)
            with pytest.raises(HmmInferError, match="cannot resolve"):
                time_grid(times, duration, steps - 1, ramp)
    for first, steps in ((3.94, 46), (30.77, 92), (30.34, 76)):  # where two steps of the quotient are longer than the time, by rounding
        time_grid([first, 0.5 * steps * first], 0.5 * steps * first, steps)


def test_what_is_refused(tmp_path):
    with pytest.raises(HmmInferError, match=r"2 rows are measured outside the computed time, the first at 1\.1 of 0 to 1"):
        time_grid([0.5, 1.1, np.nan], 1.0, 10)
    with pytest.raises(HmmInferError, match="Every row is at time 0, before anything has changed; add rows"):
        time_grid([0.0, 0.0], 0.0, 10)
    text = "quantity,x [mm],y [mm],time [s],value,unit,sd\ntemperature,25,10,0,300,K,1\n"
    (tmp_path / "still.csv").write_text(text)
    with pytest.raises(HmmInferError, match="Every row is at time 0"):
        models.get("heat_composite").EXPERIMENTS["plate"].model(tmp_path / "still.csv", state="transient")
    thermo = models.get("thermoelastic_composite")
    with pytest.raises(HmmInferError, match=r"cannot resolve a load that rises in 0\.5; give at least 1200 steps"):
        thermo.strip_history(31, 600.0, ramp="0.5 s", cell="full", refine=1, elements_x=2)
