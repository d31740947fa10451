"""The figure of a result that one shows: panels that the model names, then prior and posterior of every number.

A model says in ``panels`` what its system is best seen by: names from :data:`PANELS`, or functions ``panel(ax, tree, model)`` of its own.
Without any, its data are shown against the predictions.
"""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from .diagnostics import measured_rows, named_entries
from .panels import against, angles, before_after, new_figure, ratios, scores, styled
from .specimen import body, off_axis, orientation_map, orientation_sd, residual_map, section

PANELS = {f.__name__: f for f in (angles, against, ratios, scores, body, section, off_axis, orientation_map, orientation_sd, residual_map)}
FEW = 12  # rows up to which each is shown by itself


@styled
def posterior_figure(tree: xr.DataTree, model: Any) -> Any:
    """The model's panels, lettered, and prior and posterior densities of up to nine numbers in the last place."""
    wanted = model.panels or (("ratios" if len(list(measured_rows(tree))) <= FEW else "against"), "scores")
    panels = [PANELS[p] if isinstance(p, str) else p for p in wanted]
    entries = [e for e in named_entries(tree["posterior"].to_dataset()) if not e[2]["axial"]][:9]
    cells = len(panels) + bool(entries)
    columns = 2 if cells in (2, 4) else 3
    rows = math.ceil(cells / columns)
    figure = new_figure(13.0 * columns / 3.0, 3.8 * rows)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.05)
    grid = figure.add_gridspec(rows, columns, width_ratios=(*[1.0] * (columns - 1), 1.05))
    for i, panel in enumerate(panels):
        ax = figure.add_subplot(grid[i // columns, i % columns])
        panel(ax, tree, model)
        _letter(ax, i)
    if entries:
        _priors(figure, grid[len(panels) // columns, len(panels) % columns :], tree, entries, len(panels))
    return figure


def _letter(ax: Any, i: int) -> None:
    ax.set_title(f"({chr(ord('a') + i)}) {ax.get_title(loc='left')}")


def _priors(figure: Any, place: Any, tree: xr.DataTree, entries: list, i: int) -> None:
    """Prior and posterior of the numbers that are not angles."""
    columns = 2 if len(entries) <= 6 else 3
    inner = place.subgridspec(max(1, math.ceil(len(entries) / columns)), columns, hspace=0.1)
    small = [figure.add_subplot(inner[k // columns, k % columns]) for k in range(len(entries))]
    for ax, (name, x, attrs) in zip(small, entries, strict=True):
        before_after(ax, tree, name, x, attrs)
    small[0].set_title("prior (grey) and posterior (blue)")
    _letter(small[0], i)
