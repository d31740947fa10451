"""The figure of a result that one shows, drawn with matplotlib.

posterior_figure(tree, model)   the angle, data against predictions, microstructure to scale, prior and posterior
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from .axial import SHARE, axial_mode, centred, mode_of
from .diagnostics import measured_rows, named_entries, values_of
from .panels import (
    BLUE,
    CYCLE,
    DATA,
    against,
    before_after,
    degrees,
    new_figure,
    ratios,
    scores,
    styled,
)
from .parameters import Field
from .specimen import body, orientation_maps, outline, section


@styled
def posterior_figure(tree: xr.DataTree, model: Any) -> Any:
    """(a) fibre orientation, (b) data against predictions, (c) inferred microstructure to scale, (d) prior and
    posterior.
    """
    figure = new_figure(13.0, 7.6)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.05)
    grid = figure.add_gridspec(2, 3, width_ratios=(1.0, 1.0, 1.05))
    top = [figure.add_subplot(grid[0, i]) for i in range(3)]
    section_ax, body_ax = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    fields = [p for p in model.parameters if isinstance(p, Field) and p.name in tree["posterior"]]
    if fields:
        orientation_maps(top[0], body_ax, tree, model, fields[0])
    else:
        _angles(top[0], tree, model)
        body(body_ax, tree, model)
    if model.experiment == "coupons" and "youngs_modulus" in tree["observed_data"]:
        _off_axis(top[1], tree, model)
        ratios(top[2], tree)
    elif "plate" in model.scene and len(list(measured_rows(tree))) > 12:
        against(top[1], tree)
        _residual_map(top[2], tree, model)
    else:
        ratios(top[1], tree)
        scores(top[2], tree)
    section(section_ax, tree, model)
    entries = [e for e in named_entries(tree["posterior"].to_dataset()) if not e[2]["axial"]][:9]
    columns = 2 if len(entries) <= 6 else 3
    inner = grid[1, 2].subgridspec(max(1, math.ceil(len(entries) / columns)), columns, hspace=0.1)
    small = [figure.add_subplot(inner[i // columns, i % columns]) for i in range(len(entries))]
    for ax, (name, x, attrs) in zip(small, entries, strict=True):
        before_after(ax, tree, name, x, attrs)
    if small:
        small[0].set_title("(d) prior (grey) and posterior (blue)")
    return figure


def _angles(ax: Any, tree: xr.DataTree, model: Any) -> None:
    """Histograms of the axial angles, each mode with its mean, sd and 89 % interval; the nominal angle as a line."""
    entries = [e for e in named_entries(tree["posterior"].to_dataset()) if e[2]["axial"]]
    ax.set_title("(a) fibre orientation")
    if not entries:
        ax.text(0.5, 0.5, "no angle is inferred", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    colours = iter(CYCLE * 20)
    peak, texts = 0.0, []
    for name, x, _ in entries:
        label = mode_of(x)
        for k in range(label.max() + 1):
            inside = x[label == k]
            mode, colour = axial_mode(inside, x.size), next(colours)
            away, mean = centred(inside)
            shown = mean + away
            height, edges = np.histogram(shown, bins=int(np.clip(0.8 * np.sqrt(inside.size), 12, 30)))
            height = height / x.size / np.diff(edges)
            ax.stairs(height, edges, fill=True, color=colour, alpha=0.35)
            ax.stairs(height, edges, color=colour, lw=1.0)
            peak = max(peak, height.max())
            share = f"  ({mode.share:.0%})".replace("%", " %") if label.max() else ""
            texts.append(
                (colour, mode, f"{degrees(mode.mean)} ± {mode.sd:.1f}°{share}", name if len(entries) > 1 else "")
            )
    few = len(texts) <= 3
    for i, (colour, mode, text, name) in enumerate(texts):
        ax.plot(
            [mode.low, mode.high],
            [-0.04 * peak * (1 + (0 if few else i))] * 2,
            color=colour,
            lw=3,
            solid_capstyle="butt",
        )
        if few:
            ax.annotate(text, (mode.mean, peak * 1.05), ha="center", va="bottom", color=colour, fontweight="bold")
        else:
            ax.plot([], [], color=colour, lw=3, label=f"{name} {text}")
    nominal = _nominal(model)
    for i, angle in enumerate(nominal):
        ax.plot(
            [angle, angle], [0.0, peak], color=DATA, ls="--", lw=1.1, label=f"nominal {angle:g}°" if i == 0 else None
        )
    if nominal or not few:
        ax.legend(loc="center" if few and len(texts) == 2 else "best", fontsize=8 if len(texts) < 7 else 6)
    ax.set_ylim(-0.08 * peak if few else None, 1.2 * peak)
    ax.margins(x=0.3 if few and len(texts) > 1 else 0.05)
    ax.locator_params(axis="y", nbins=6)
    ax.set(xlabel="fibre angle to the load (deg); bars: 89 % intervals", ylabel="density (1/deg)")


def _nominal(model: Any) -> list[float]:
    """Nominal angles of the coupons whose angle is hidden."""
    if model.table is None or "specimen" not in model.table.columns:
        return []
    hidden = str(model.about.get("hidden_angles", "")).split(", ")
    angle = {
        str(s): float(a) for s, a in zip(model.table.columns["specimen"], model.table.columns["angle"], strict=True)
    }
    return [angle[s] for s in hidden if s in angle and np.isfinite(angle[s])]


def _off_axis(ax: Any, tree: xr.DataTree, model: Any) -> None:
    """E_x over the angle: posterior band and data at their angles; a coupon of hidden angle at its inferred one."""
    from . import models

    curves = models.get(model.name).moduli(**{k: model.about[k] for k in ("packing", "cell", "refine")})
    e = curves.predict(tree, draws=150, progress=False)["youngs_modulus"]
    angle = e["angle"].values
    low, middle, high = np.quantile(e.values, [0.5 - SHARE / 2, 0.5, 0.5 + SHARE / 2], axis=0)
    ax.fill_between(angle, low, high, color=BLUE, alpha=0.25, lw=0)
    ax.plot(angle, middle, color=BLUE, label="posterior, 89 % band")
    table = model.table
    hidden = str(model.about.get("hidden_angles", "")).split(", ")
    first = {
        "known": "measured",
        "hidden": "measured, at the inferred angle",
        "nominal": "the same, at its nominal angle",
    }
    for i in np.flatnonzero(table.quantity == "youngs_modulus"):
        specimen, at = str(table.columns["specimen"][i]), float(table.columns["angle"][i])
        style = {"fmt": "o", "ms": 5, "capsize": 2, "zorder": 3, "lw": 1.1, "color": DATA}
        name = "fibre_angle" if len(hidden) == 1 else f"fibre_angle_{specimen}"
        if specimen not in hidden or name not in tree["posterior"]:
            ax.errorbar(abs(at), table.value[i], table.sd[i], label=first.pop("known", None), **style)
            continue
        x = values_of(tree, "posterior", name)
        mode = axial_mode(x[mode_of(x) == 0], x.size)
        ax.plot(abs(at), table.value[i], "o", mfc="white", color=DATA, ms=5, zorder=3, label=first.pop("nominal", None))
        ax.errorbar(abs(mode.mean), table.value[i], table.sd[i], mode.sd, label=first.pop("hidden", None), **style)
    ax.set(
        yscale="log",
        xlabel="angle from load to fibre (deg)",
        ylabel="Young's modulus along the load (GPa)",
        xticks=[0, 15, 30, 45, 60, 75, 90],
    )
    _plain_log(ax.yaxis, ax.get_ylim())
    ax.set_title("(b) off-axis modulus: model and data")
    ax.legend()


def _plain_log(axis: Any, limits: tuple[float, float]) -> None:
    """Ticks of a log axis as plain numbers at 1, 2, 5."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    ticks = [m * 10.0**k for k in range(-6, 7) for m in (1, 2, 5) if limits[0] <= m * 10.0**k <= limits[1]]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(NullFormatter())


def _residual_map(ax: Any, tree: xr.DataTree, model: Any) -> None:
    """Residuals in predictive sds at their places; quantities measured at the same points are stacked."""
    observed = tree["observed_data"].to_dataset()
    local = [
        n for n, v in observed.data_vars.items() if f"{n}_x" in v.coords and np.isfinite(v[f"{n}_x"].values).all()
    ][:2]
    (x0, y0), (_, y1) = model.scene["plate"].box
    shift, points = 1.55 * (y1 - y0), None
    for k, name in enumerate(local):
        v = observed[name]
        drawn = values_of(tree, "posterior_predictive", name).reshape(-1, v.size)
        z = (v.values - drawn.mean(axis=0)) / drawn.std(axis=0)
        outline(ax, model, -k * shift)
        points = ax.scatter(
            v[f"{name}_x"],
            v[f"{name}_y"] - k * shift,
            c=z,
            cmap="RdBu_r",
            vmin=-3,
            vmax=3,
            s=13,
            lw=0.3,
            edgecolors="0.4",
        )
        ax.text(x0, y1 - k * shift + 0.06 * shift, str(name).replace("_", " "), fontsize=8)
    if points is not None:
        ax.figure.colorbar(points, ax=ax, label="(measured - predicted) / sd", shrink=0.7, fraction=0.05)
    ax.set(aspect="equal", yticks=[], xlabel="x (mm)")
    ax.spines["left"].set_visible(False)
    ax.set_title("residuals over the plate", pad=14)
