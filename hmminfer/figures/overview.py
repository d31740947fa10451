"""Main figure of a result: the panels that its model names, then prior and posterior densities of the unknowns.

An entry of ``Model.panels`` is a name from :data:`PANELS`; or the name of a function ``panel(ax, reading, model)`` in the model's own module or
in the file ``panels`` of its folder, looked up when a figure is drawn; or such a function itself. A model without panels gets its data against
the predictions, and the residuals.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import warnings
from typing import Any

import xarray as xr

from hmminfer.errors import Unsolved, unknown
from hmminfer.figures import panels
from hmminfer.figures.panels import before_after, new_figure, styled
from hmminfer.inference.reading import Reading

PANELS = {name: f for name, f in vars(panels).items() if getattr(f, "is_panel", False)}  # that any result can show
FEW = 12  # rows up to which each is shown by itself


def panel_of(wanted: Any, model: Any) -> Any:
    """Function of a panel that a model names; a function is returned as it is."""
    if not isinstance(wanted, str):
        return wanted
    if wanted in PANELS:
        return PANELS[wanted]
    folder = model.home.rpartition(".")[0]  # of a system that has one; a single file holds its own panels
    beside = f"{folder}.panels"
    for name in (model.home, beside):
        if name in sys.modules or (folder and name == beside and importlib.util.find_spec(name)):
            found = getattr(importlib.import_module(name), wanted, None)
            if getattr(found, "is_panel", False):
                return found
    raise unknown("panel", wanted, PANELS)


@styled
def posterior_figure(result: xr.DataTree | Reading, model: Any) -> Any:
    """Figure of the model's panels, lettered; the last place holds prior and posterior densities of up to nine numbers, axial angles left out."""
    reading = Reading.of(result)
    wanted = model.panels or (("ratios" if len(reading.rows) <= FEW else "against"), "scores")
    chosen = [panel_of(p, model) for p in wanted]
    entries = [e for e in reading.entries if not e.axial][:9]
    cells = len(chosen) + bool(entries)
    columns = 2 if cells in (2, 4) else 3
    rows = math.ceil(cells / columns)
    figure = new_figure(13.0 * columns / 3.0, 3.8 * rows)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.05)
    grid = figure.add_gridspec(rows, columns, width_ratios=(*[1.0] * (columns - 1), 1.05))
    for i, panel in enumerate(chosen):
        ax = figure.add_subplot(grid[i // columns, i % columns])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Unsolved)  # a picture leaves such draws out; the checks count them
            panel(ax, reading, model)
        _letter(ax, i)
    if entries:
        _priors(figure, grid[len(chosen) // columns, len(chosen) % columns :], reading, entries, len(chosen))
    return figure


def _letter(ax: Any, i: int) -> None:
    ax.set_title(f"({chr(ord('a') + i)}) {ax.get_title(loc='left')}")


def _priors(figure: Any, place: Any, reading: Reading, entries: list, i: int) -> None:
    """Prior and posterior of the numbers that are not angles."""
    columns = 2 if len(entries) <= 6 else 3
    inner = place.subgridspec(max(1, math.ceil(len(entries) / columns)), columns, hspace=0.1)
    small = [figure.add_subplot(inner[k // columns, k % columns]) for k in range(len(entries))]
    for ax, e in zip(small, entries, strict=True):
        before_after(ax, reading, e)
    small[0].set_title("prior (grey) and posterior (blue)")
    _letter(small[0], i)
