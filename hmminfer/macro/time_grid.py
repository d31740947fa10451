"""Time steps for data at given times, shared by all transient problems.

A step is taken by a two-stage implicit method (see :mod:`.parabolic`); values between two steps are interpolated linearly. The grid is fixed by
the data and the number of steps, never by a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmminfer.engine.sdirk import GAMMA
from hmminfer.errors import HmmInferError

ROUNDING = 1e-12  # relative: the advice of a message is no less than what the next call accepts


@dataclass(frozen=True, eq=False)
class TimeGrid:
    """Steps of length ``dt``, one number or one for each; ``stages`` (steps, 2) times of both stages.

    Row i lies ``share[i]`` of a step after step ``step[i]``.
    """

    dt: float | np.ndarray
    stages: np.ndarray
    step: np.ndarray
    share: np.ndarray


def time_grid(times: np.ndarray, duration: float, steps: int, rise: float = 0.0, unit: str = "") -> TimeGrid:
    """Grid of ``steps`` equal steps over [0, ``duration``], for rows at ``times``; ``rise``: time in which the load rises, 0 for a load at once.

    ``unit`` of the times, for messages.
    """
    times = np.asarray(times, float)
    _inside(times, duration)
    dt, shown = duration / steps, f" {unit}".rstrip()
    first = np.unique(times[times > 0])
    if first.size and first[0] < 2.0 * dt * (1 - ROUNDING):
        raise HmmInferError(
            f"The time step {dt:g}{shown} cannot resolve data at time {first[0]:g}{shown}: at least two steps must come before; "
            f"give at least {int(np.ceil(2.0 * duration / first[0]))} steps."
        )
    if 0.0 < rise < dt * (1 - ROUNDING):
        raise HmmInferError(
            f"The time step {dt:g}{shown} cannot resolve a load that rises in {rise:g}{shown}; give at least {int(np.ceil(duration / rise))} steps, "
            "a longer ramp, or a ramp of 0 for a load at once."
        )
    step = np.minimum((times / dt * (1 + ROUNDING)).astype(np.int64), steps - 1)
    stages = dt * (np.arange(steps)[:, None] + np.array([GAMMA, 1.0]))
    return TimeGrid(dt, stages, step, times / dt - step)


def graded_grid(times: np.ndarray, edges: np.ndarray) -> TimeGrid:
    """Grid of the unequal steps between ``edges`` (steps + 1,), the first at 0, for rows at ``times``."""
    times, edges = np.asarray(times, float), np.asarray(edges, float)
    _inside(times, float(edges[-1]))
    first = np.unique(times[times > 0])
    if first.size and first[0] < edges[2] * (1 - ROUNDING):
        raise HmmInferError(
            f"The time steps cannot resolve data at time {first[0]:g}: at least two steps must come before, and the second ends at "
            f"{edges[2]:g}; raise 'steps', or leave such rows out."
        )
    dt = np.diff(edges)
    step = np.clip(np.searchsorted(edges, times * (1 - ROUNDING), side="right") - 1, 0, dt.size - 1)
    stages = edges[:-1, None] + dt[:, None] * np.array([GAMMA, 1.0])
    return TimeGrid(dt, stages, step.astype(np.int64), (times - edges[step]) / dt[step])


def _inside(times: np.ndarray, duration: float) -> None:
    late = (times < 0) | (times > duration * (1 + ROUNDING)) | ~np.isfinite(times)
    if late.any():
        raise HmmInferError(
            f"{int(late.sum())} rows are measured outside the computed time, the first at {times[late][0]:g} of 0 to {duration:g}; "
            "lengthen the duration or remove them."
        )
    if not duration > 0.0:
        raise HmmInferError("Every row is at time 0, before anything has changed; add rows at later times.")
