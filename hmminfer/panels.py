"""What all figures share: colours, labels, and panels that any result can show.

Colours are those of Okabe & Ito: posterior blue, data vermilion, prior grey; later modes and chains green and purple.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from cycler import cycler

from .axial import axial_mode, centred, interval, mode_of
from .diagnostics import measured_rows, named_entries, values_of

BLUE, DATA, PRIOR, GREEN, PURPLE, ORANGE, SKY = ("#0072B2", "#D55E00", "#9A9A9A", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CYCLE = (BLUE, GREEN, PURPLE, ORANGE, SKY, DATA)
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "figure.dpi": 110,
    "axes.prop_cycle": cycler(color=CYCLE),
}


def new_figure(width: float, height: float) -> Any:
    import matplotlib.pyplot  # noqa: F401  (lets notebooks display figures)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def styled(draw: Any) -> Any:
    """Run a figure function under STYLE."""
    from functools import wraps

    @wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> Any:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def label_of(name: str, attrs: Any, short: bool = False) -> str:
    index = name[name.index("[") :] if "[" in name else ""
    symbol = f"${attrs['symbol']}$ {index}".strip() if attrs.get("symbol") else name.replace("_", " ")
    text = symbol if short or not attrs.get("symbol") else f"{name.replace('_', ' ')} {f'${attrs["symbol"]}$'}"
    return f"{text} ({attrs['units']})" if attrs.get("units") else text


def draws_or_fixed(tree: xr.DataTree, name: str) -> np.ndarray | None:
    """Draws (all,) of a parameter, or its fixed value, or None."""
    if name in tree["posterior"]:
        return values_of(tree, "posterior", name).reshape(-1)
    held = json.loads(tree.attrs.get("fixed", "{}"))
    return np.array([float(held[name])]) if name in held and np.ndim(held[name]) == 0 else None


def degrees(angle: float) -> str:
    return f"{angle:.1f}°".replace("-", "\N{MINUS SIGN}")


def ratios(ax: Any, tree: xr.DataTree, model: Any = None, limit: int = 20) -> None:
    """Predictive mean and 89 % interval over the measured value, row by row, with the noise around 1."""
    rows = list(measured_rows(tree))[:limit]
    for i, (_, y, sd, _, drawn, _) in enumerate(rows):
        scale = abs(y) or 1.0
        centre = (drawn - y) / scale * 100.0
        low, high = interval(centre)
        ax.plot(
            [-100 * sd / scale, 100 * sd / scale],
            [i, i],
            color=DATA,
            lw=9,
            alpha=0.25,
            solid_capstyle="butt",
            label="measured ± sd" if i == 0 else None,
        )
        ax.plot([low, high], [i, i], color=BLUE, lw=1.6, label="posterior predictive, 89 %" if i == 0 else None)
        ax.plot(centre.mean(), i, "o", color=BLUE, ms=4.5)
    ax.axvline(0.0, color=DATA, lw=0.8)
    ax.set_yticks(range(len(rows)), [r[0].replace("_", " ") for r in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6 - 0.15 * len(rows))
    ax.set_xlabel("predicted minus measured (% of measured)")
    ax.set_title("data against predictions")
    ax.legend(loc="upper center", ncols=2, columnspacing=1.0, handlelength=1.3)


def scores(ax: Any, tree: xr.DataTree, model: Any = None) -> None:
    """Histogram of z = (measured - predictive mean) / predictive sd over the rows, with the standard normal."""
    z = np.array([(y - drawn.mean()) / drawn.std() for _, y, _, _, drawn, _ in measured_rows(tree)])
    reach = max(4.0, float(np.abs(z).max()) + 0.3)
    ax.hist(z, bins=np.linspace(-reach, reach, 25), density=True, color=BLUE, alpha=0.35, label=f"{len(z)} rows")
    x = np.linspace(-reach, reach, 200)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color="black", lw=1.0, label="standard normal")
    ax.set(xlabel="(measured - predicted) / predictive sd", ylabel="density")
    ax.set_title("residuals")
    ax.legend(loc="upper right")


def against(ax: Any, tree: xr.DataTree, model: Any = None) -> None:
    """Measured against predicted; quantities of few rows are left to the table."""
    observed = tree["observed_data"].to_dataset()
    units = set()
    for colour, (name, v) in zip(CYCLE, ((n, v) for n, v in observed.data_vars.items() if v.size > 3), strict=False):
        drawn = values_of(tree, "posterior_predictive", name).reshape(-1, v.size)
        ax.plot(drawn.mean(axis=0), v.values, "o", ms=3, alpha=0.7, color=colour, mew=0, label=str(name).replace("_", " "))
        units.add(v.attrs.get("units", ""))
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    ends = [min(low), max(high)]
    ax.plot(ends, ends, color="black", lw=0.8, zorder=0)
    unit = f" ({name})" if len(units) == 1 and (name := units.pop()) else ""
    ax.set(xlabel=f"predicted{unit}", ylabel=f"measured{unit}")
    ax.set_title("data against predictions")
    ax.legend(loc="upper left")


def before_after(ax: Any, tree: xr.DataTree, name: str, x: np.ndarray, attrs: Any) -> None:
    """Prior and posterior densities of one number, each to its own height; 89 % interval as a bar."""
    prior = {n: v for n, v, _ in named_entries(tree["prior"].to_dataset())}.get(name)
    values = np.concatenate([x.ravel(), prior.ravel()]) if prior is not None else x.ravel()
    first, last = np.quantile(values, [0.002, 0.99 if prior is not None and values.min() > 0 else 0.998])
    edges = np.linspace(first, last, 45)
    if prior is not None:
        height, _ = np.histogram(prior, edges[::2])
        ax.stairs(height / max(height.max(), 1), edges[::2], fill=True, color=PRIOR, alpha=0.45)
    fine = np.linspace(x.min(), x.max(), int(np.clip(0.8 * np.sqrt(x.size), 12, 40)))
    height, _ = np.histogram(x, fine)
    ax.stairs(height / height.max(), fine, fill=True, color=BLUE, alpha=0.55)
    label = mode_of(x) if attrs["axial"] else np.zeros(x.shape, int)
    for k in range(label.max() + 1):
        mode = axial_mode(x[label == k], x.size) if attrs["axial"] else None
        ax.plot((mode.low, mode.high) if mode else interval(x), [-0.07, -0.07], color=BLUE, lw=2.5, solid_capstyle="butt")
    ax.set(yticks=[], ylim=(-0.14, 1.08))
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label_of(name, attrs, short=True), labelpad=1)
    ax.locator_params(axis="x", nbins=4)


def angles(ax: Any, tree: xr.DataTree, model: Any) -> None:
    """Histograms of the axial angles, each mode with its mean, sd and 89 % interval; the nominal angle as a line."""
    entries = [e for e in named_entries(tree["posterior"].to_dataset()) if e[2]["axial"]]
    ax.set_title("fibre orientation")
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
            texts.append((colour, mode, f"{degrees(mode.mean)} ± {mode.sd:.1f}°{share}", name if len(entries) > 1 else ""))
    few = len(texts) <= 3
    for i, (colour, mode, text, name) in enumerate(texts):
        ax.plot([mode.low, mode.high], [-0.04 * peak * (1 + (0 if few else i))] * 2, color=colour, lw=3, solid_capstyle="butt")
        if few:
            ax.annotate(text, (mode.mean, peak * 1.05), ha="center", va="bottom", color=colour, fontweight="bold")
        else:
            ax.plot([], [], color=colour, lw=3, label=f"{name} {text}")
    nominal = _nominal(model)
    for i, angle in enumerate(nominal):
        ax.plot([angle, angle], [0.0, peak], color=DATA, ls="--", lw=1.1, label=f"nominal {angle:g}°" if i == 0 else None)
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
    angle = {str(s): float(a) for s, a in zip(model.table.columns["specimen"], model.table.columns["angle"], strict=True)}
    return [angle[s] for s in hidden if s in angle and np.isfinite(angle[s])]
