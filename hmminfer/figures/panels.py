"""Colours, labels and helpers of all figures, and the panels that any result can show.

Colours are those of Okabe & Ito: posterior blue, data vermilion, prior grey; later modes and chains green and purple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cycler import cycler

from hmminfer.inference.axial import axial_mode, mode_of
from hmminfer.inference.reading import Entry, Reading, interval

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


def panel[F: Callable[..., None]](draw: F) -> F:
    """Mark a function ``(ax, reading, model)`` as a panel, which models name as text."""
    draw.is_panel = True  # type: ignore[attr-defined]
    return draw


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


def label_of(e: Entry, unit: bool = True) -> str:
    """Symbol (or name) of a number, with its unit."""
    index = e.name[e.name.index("[") :] if "[" in e.name else ""
    symbol = f"${e.symbol}$ {index}".strip() if e.symbol else e.name.replace("_", " ")
    return f"{symbol} ({e.unit})" if e.unit and unit else symbol


def degrees(angle: float) -> str:
    return f"{angle:.1f}°".replace("-", "\N{MINUS SIGN}")


def band(ax: Any, x: np.ndarray, draws: np.ndarray, label: str | None = None, colour: str = BLUE) -> None:
    """Predicted curves: the interval of draws (n, points) over x, and their median as a line; draws without a solution are left out."""
    draws = draws[np.isfinite(draws).all(axis=1)]
    if not len(draws):
        return
    low, high = interval(draws)
    ax.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
    ax.plot(x, np.median(draws, axis=0), color=colour, label=label)


def _on_two_lines(name: str) -> str:
    """A long label, broken at the blank nearest its middle."""
    blanks = [i for i, c in enumerate(name) if c == " "]
    if len(name) < 26 or not blanks:
        return name
    at = min(blanks, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:at]}\n{name[at + 1 :]}"


@panel
def ratios(ax: Any, reading: Reading, model: Any = None, limit: int = 20) -> None:
    """Predicted minus measured value in % of the measured one, for the first ``limit`` rows: predictive mean, 89 % interval, and +- the noise sd."""
    rows = reading.rows[:limit]
    for i, row in enumerate(rows):
        y, sd, drawn = row.observed, row.sd, row.predictive
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
    ax.set_yticks(range(len(rows)), [_on_two_lines(r.name.replace("_", " ")) for r in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6 - 0.15 * len(rows))
    ax.set_xlabel("predicted minus measured (% of measured)")
    ax.set_title("data against predictions")
    ax.legend(loc="upper center", ncols=2, columnspacing=1.0, handlelength=1.3)


@panel
def scores(ax: Any, reading: Reading, model: Any = None) -> None:
    """Histogram of z = (measured - predictive mean) / predictive sd over the rows, with the standard normal."""
    z = np.array([(r.observed - r.predictive.mean()) / r.predictive.std() for r in reading.rows])
    reach = max(4.0, float(np.abs(z).max()) + 0.3)
    ax.hist(z, bins=np.linspace(-reach, reach, 25), density=True, color=BLUE, alpha=0.35, label=f"{len(z)} rows")
    x = np.linspace(-reach, reach, 200)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color="black", lw=1.0, label="standard normal")
    ax.set(xlabel="(measured - predicted) / predictive sd", ylabel="density")
    ax.set_title("residuals")
    ax.legend(loc="upper right")


@panel
def against(ax: Any, reading: Reading, model: Any = None) -> None:
    """Measured values over predictive means; quantities of three rows or fewer are left out."""
    units = set()
    for colour, (name, v) in zip(CYCLE, ((n, v) for n, v in reading.measured.items() if v.size > 3), strict=False):
        drawn = reading.of_rows("posterior_predictive", name)
        ax.plot(np.nanmean(drawn, axis=0), v.values, "o", ms=3, alpha=0.7, color=colour, mew=0, label=str(name).replace("_", " "))
        units.add(v.attrs.get("units", ""))
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    ends = [min(low), max(high)]
    ax.plot(ends, ends, color="black", lw=0.8, zorder=0)
    unit = f" ({name})" if len(units) == 1 and (name := units.pop()) else ""
    ax.set(xlabel=f"predicted{unit}", ylabel=f"measured{unit}")
    ax.set_title("data against predictions")
    ax.legend(loc="upper left")


def before_after(ax: Any, reading: Reading, e: Entry) -> None:
    """Prior and posterior densities of one number, each scaled to its own height; bars: 89 % intervals, for an axial angle one for each mode."""
    x, prior = e.draws, reading.prior.get(e.name)
    values = np.concatenate([x.ravel(), prior.ravel()]) if prior is not None else x.ravel()
    decades = values.min() > 0.0 and np.quantile(values, 0.97) > 100.0 * np.quantile(values, 0.03)  # the density is then that of the logarithm
    spaced = np.geomspace if decades else np.linspace
    first, last = np.quantile(values, [0.002, 0.99 if prior is not None and values.min() > 0 and not decades else 0.998])
    edges = spaced(first, last, 45)
    if prior is not None:
        height, _ = np.histogram(prior, edges[::2])
        ax.stairs(height / max(height.max(), 1), edges[::2], fill=True, color=PRIOR, alpha=0.45)
    fine = spaced(x.min(), x.max(), int(np.clip(0.8 * np.sqrt(x.size), 12, 40)))
    height, _ = np.histogram(x, fine)
    ax.stairs(height / height.max(), fine, fill=True, color=BLUE, alpha=0.55)
    label = mode_of(x) if e.axial else np.zeros(x.shape, int)
    for k in range(label.max() + 1):
        mode = axial_mode(x[label == k], x.size) if e.axial else None
        ax.plot((mode.low, mode.high) if mode else interval(x.ravel()), [-0.07, -0.07], color=BLUE, lw=2.5, solid_capstyle="butt")
    ax.set(yticks=[], ylim=(-0.14, 1.08))
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label_of(e), labelpad=1)
    if decades:
        ax.set_xscale("log")
    else:
        ax.locator_params(axis="x", nbins=4)
