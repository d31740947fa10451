"""Panel of the proton conductor: films over their thickness."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.figures.panels import CYCLE, band, panel
from hmminfer.inference.reading import Reading
from hmminfer.models.proton_conductor.films import film_conductivities


@panel
def over_thickness(ax: Any, reading: Reading, model: Any) -> None:
    """Conductivity over thickness: posterior bands and data at the wettest state, one colour for each temperature."""
    table, s = model.table, model.scene["settings"]
    c = table.columns
    wettest = c["humidity"] == c["humidity"].max()
    for i, temperature in enumerate(np.unique(c["temperature"][wettest])):
        at, colour = wettest & (c["temperature"] == temperature), CYCLE[i % len(CYCLE)]
        if s["water"] == "springer":
            settings = {k: s[k] for k in ("reference_humidity", "reference_temperature")}
            curve = film_conductivities(None, float(c["humidity"].max()), float(temperature), **settings)
            y = curve.predict(reading.tree, draws=150, progress=False)["conductivity"]
            band(ax, y["thickness"].values, y.values.reshape(-1, y.shape[-1]), None, colour)
        x, value, sd = c["thickness"][at], table.value[at], table.sd[at]
        ax.errorbar(x, value, sd, fmt="o", ms=4, capsize=2, lw=1, color=colour, label=f"{temperature:.0f} K")
    ax.set(xscale="log", yscale="log", xlabel="film thickness (nm)", ylabel="conductivity along the film (mS/cm)")
    for axis in (ax.xaxis.set_major_formatter, ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        axis("{x:g}")
    ax.set_title(f"films at {c['humidity'].max():g} % relative humidity")
    ax.legend()
