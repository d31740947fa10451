"""Figures for judging a sampling run: prior against posterior, predictions against data, traces and ranks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from hmminfer.figures.panels import CYCLE, PRIOR, against, before_after, label_of, new_figure, ratios, scores, styled
from hmminfer.inference.reading import Reading


@styled
def prior_posterior_figure(result: xr.DataTree | Reading) -> Any:
    """Prior (grey) and posterior (blue) of every unknown."""
    reading = Reading.of(result)
    entries = reading.entries
    columns = min(4, len(entries))
    rows = math.ceil(len(entries) / columns)
    figure = new_figure(2.7 * columns, 1.9 * rows + 0.3)
    for i, e in enumerate(entries):
        before_after(figure.add_subplot(rows, columns, i + 1), reading, e)
    figure.suptitle("Prior (grey) and posterior (blue), each to its own height; bars: 89 % intervals", x=0.01, ha="left", fontsize=9.5)
    return figure


@styled
def predictive_figure(result: xr.DataTree | Reading) -> Any:
    """Data against posterior predictive, row by row for up to 20 rows, else measured over predicted values; beside it the residuals."""
    figure = new_figure(9.5, 3.6)
    reading = Reading.of(result)
    few = len(reading.rows) <= 20
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    if few:
        ratios(left, reading)
    else:
        against(left, reading)
        left.set_title("data against predictions")
    scores(right, reading)
    return figure


@styled
def trace_figure(result: xr.DataTree | Reading) -> Any:
    """Draws in order, one line for each chain, for up to 12 unknowns; divergences as ticks below. Axial angles in degrees."""
    reading = Reading.of(result)
    entries = reading.entries[:12]
    figure = new_figure(9.5, 1.35 * len(entries) + 0.5)
    bad = reading.values("sample_stats", "diverging") if "diverging" in reading["sample_stats"] else None
    axes = figure.subplots(len(entries), 2, width_ratios=(1, 3), squeeze=False)
    for (left, right), e in zip(axes, entries, strict=True):
        x = e.draws
        edges = np.linspace(x.min(), x.max(), 36)
        for c, chain in enumerate(x):
            colour = CYCLE[c % 6]
            left.stairs(np.histogram(chain, edges, density=True)[0], edges, color=colour, lw=0.9)
            right.plot(chain, color=colour, lw=0.5, alpha=0.8)
        if bad is not None and bad.any():
            right.plot(np.flatnonzero(bad.any(axis=0)), np.full(int(bad.any(axis=0).sum()), x.min()), "|", color="black", ms=7)
        left.set(yticks=[], xlabel=label_of(e))
        left.spines["left"].set_visible(False)
        right.margins(x=0.005)
    axes[-1, 1].set_xlabel("draw")
    axes[0, 1].set_title(f"{len(entries[0].draws)} chains" + ("; ticks: divergences" if bad is not None and bad.any() else ""))
    return figure


@styled
def rank_figure(result: xr.DataTree | Reading) -> Any:
    """Histograms of each chain's ranks among all draws, flat if the chains agree. Ranks of an axial angle are those of cos 2 theta.

    The grey band holds 98 % of the bars of independent draws.
    """
    from scipy import stats

    reading = Reading.of(result)
    entries = reading.entries[:12]
    columns = min(3, len(entries))
    rows = math.ceil(len(entries) / columns)
    figure = new_figure(3.2 * columns, 1.9 * rows + 0.4)
    for i, e in enumerate(entries):
        ax = figure.add_subplot(rows, columns, i + 1)
        v = np.cos(np.radians(2.0 * e.draws)) if e.axial else e.draws
        rank = stats.rankdata(v).reshape(v.shape) - 0.5
        bins = int(np.clip(v.shape[1] // 50, 5, 20))
        low, high = stats.binom.ppf([0.01, 0.99], v.shape[1], 1.0 / bins) * bins / v.shape[1]
        ax.axhspan(low, high, color=PRIOR, alpha=0.25, lw=0)
        for c, chain in enumerate(rank):
            count, edges = np.histogram(chain, bins, range=(0, rank.size))
            ax.stairs(count * bins / v.shape[1], edges / rank.size, color=CYCLE[c % 6], lw=1.1)
        ax.set(ylim=(0, None), xlim=(0, 1), xticks=[0, 0.5, 1])
        ax.set_title(f"cos 2{label_of(e, unit=False)}" if e.axial else label_of(e, unit=False))
    figure.supxlabel("rank among all draws (share)", fontsize=9)
    figure.supylabel("relative frequency", fontsize=9)
    return figure
