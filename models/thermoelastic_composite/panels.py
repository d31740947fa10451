"""Panel of the thermo-elastic composite: a strip over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.figures.panels import CYCLE, panel
from hmminfer.inference.reading import INTERVAL, Reading, interval


@panel
def in_time(ax: Any, reading: Reading, model: Any) -> None:
    """Every quantity over time at its points: posterior predictive intervals and data, each quantity over its largest value."""
    table = model.table
    for colour, name in zip(CYCLE, dict.fromkeys(table.quantity.tolist()), strict=False):
        rows = np.flatnonzero(table.quantity == name)
        scale = np.abs(table.value[rows]).max()
        low, high = interval(reading.of_rows("posterior_predictive", name) / scale)
        t = table.columns["time"][rows]
        ax.vlines(t, low, high, color=colour, alpha=0.35, lw=4)
        label = f"{name.replace('_', ' ')} / {scale:.3g} {table.unit[rows[0]]}"
        ax.plot(t, table.value[rows] / scale, "o", ms=3, color=colour, label=label)
    ax.set(xlabel="time (s)", ylabel="over the largest value")
    ax.set_title(f"measured (dots), predicted (bars: {INTERVAL})")
    ax.legend()
