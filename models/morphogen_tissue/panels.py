"""Panels of a tissue: its profile with the data, the ridge of the two rates, and the edge of a spreading tissue."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.figures.panels import BLUE, CYCLE, PRIOR, band, panel
from hmminfer.inference.reading import Reading
from hmminfer.models.morphogen_tissue.spreading import MOVING
from hmminfer.models.morphogen_tissue.tissue import KNOWN, TISSUE, decay_length


@panel
def over_position(ax: Any, reading: Reading, model: Any) -> None:
    """Data and posterior bands over the tissue, one colour for each time."""
    table = model.table
    name = str(table.quantity[0])
    rows_of = table.quantity == name
    drawn = reading.of_rows("fitted", name)
    y = np.full((len(drawn), len(table)), np.nan)
    y[:, rows_of] = drawn
    position, time = table.columns["position"], table.columns.get("time", np.zeros(len(table)))
    for i, t in enumerate(np.unique(time[rows_of])):
        rows = np.flatnonzero(rows_of & (time == t))
        rows = rows[np.argsort(position[rows], kind="stable")]
        colour = CYCLE[i % len(CYCLE)]
        band(ax, position[rows], y[:, rows], colour=colour)
        label = f"{t:g} h" if "time" in table.columns else None
        ax.errorbar(position[rows], table.value[rows], table.sd[rows], fmt="o", ms=3, lw=1, color=colour, label=label)
    ax.set(xlabel="position (% of the length)", ylabel=name, title="profile along the tissue")
    if "time" in table.columns:
        ax.legend()


@panel
def ridge(ax: Any, reading: Reading, model: Any) -> None:
    """Diffusivity against degradation, prior (grey) and posterior, with a line of one decay length."""
    names = [n for n in ("degradation", "diffusivity") if n in reading["posterior"]]
    for group, colour, size in (("prior", PRIOR, 6), ("posterior", BLUE, 3)):
        draws = [reading[group][n].values.ravel()[:2000] for n in names]
        if len(draws) == 2:
            ax.scatter(*draws, s=size, color=colour, lw=0, alpha=0.6, label=group)
        elif draws:
            ax.hist(draws[0], 30, density=True, color=colour, alpha=0.6, label=group)
    if len(names) == 2:
        known = {n: float(model.fixed[n]) if n in model.fixed else float(np.median(reading["posterior"][n])) for n in KNOWN}
        middle = float(np.median(decay_length({n: reading["posterior"][n].values for n in names} | known)))
        first, last = np.quantile(reading["prior"]["degradation"].values, [0.01, 0.99])
        k = np.geomspace(first, last, 50)
        along = known["binding_ratio"] * (middle**2 * k / 3600.0 - known["cell_diffusivity"])
        ax.plot(k[along > 0.0], along[along > 0.0], "k--", lw=1, label=f"decay length {middle:.0f} um")
        ax.set(xscale="log", yscale="log", ylabel="diffusivity (um$^2$/s)")
    ax.set_title("what the profile tells of the rates")
    if names:
        ax.set_xlabel(f"{names[0]} ({TISSUE[names[0]].unit})")
        ax.legend()
    else:
        ax.axis("off")
        ax.text(0.5, 0.5, "both rates are known", ha="center", transform=ax.transAxes)


@panel
def of_movement(ax: Any, reading: Reading, model: Any) -> None:
    """Motility against adhesion, prior (grey) and posterior."""
    for group, colour, size in (("prior", PRIOR, 6), ("posterior", BLUE, 4)):
        values = {n: reading[group][n].values.ravel() for n in MOVING.names if n in reading[group]}
        if len(values) == 2:
            ax.scatter(*values.values(), s=size, color=colour, lw=0, alpha=0.6, label=group)
        else:
            ax.hist(next(iter(values.values())), 30, density=True, color=colour, alpha=0.6, label=group)
    ax.set(xlabel=f"{next(iter(values))}", ylabel="adhesion" if len(values) == 2 else "density", title="what the tissue's edge tells")
    if "motility" in values:
        ax.set(xscale="log", xlabel="motility (1/h)")
    ax.legend()
