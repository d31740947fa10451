"""The figure of a result that one shows, drawn with matplotlib.

    posterior_figure(tree, model)   the angle, data against predictions, microstructure to scale, prior and posterior

Colours are those of Okabe & Ito: posterior blue, data vermilion, prior grey; later modes and chains green and purple.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import xarray as xr

from .axial import SHARE, axial_mode, centred, interval, mode_of
from .diagnostics import measured_rows, named_entries, values_of
from .parameters import Field

BLUE, DATA, PRIOR, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2",
    "#D55E00",
    "#9A9A9A",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
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


def _fixed(tree: xr.DataTree, name: str) -> np.ndarray | None:
    """Draws (all,) of a parameter, or its fixed value, or None."""
    if name in tree["posterior"]:
        return values_of(tree, "posterior", name).reshape(-1)
    held = json.loads(tree.attrs.get("fixed", "{}"))
    return np.array([float(held[name])]) if name in held and np.ndim(held[name]) == 0 else None


# --------------------------------------------------------------------------------------------------- the figure to show


@styled
def posterior_figure(tree: xr.DataTree, model: Any) -> Any:
    """(a) fibre orientation, (b) data against predictions, (c) inferred microstructure to scale, (d) prior and
    posterior.
    """
    figure = new_figure(13.0, 7.6)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.05)
    grid = figure.add_gridspec(2, 3, width_ratios=(1.0, 1.0, 1.05))
    top = [figure.add_subplot(grid[0, i]) for i in range(3)]
    section, body = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    fields = [p for p in model.parameters if isinstance(p, Field) and p.name in tree["posterior"]]
    if fields:
        _orientation_maps(top[0], body, tree, model, fields[0])
    else:
        _angles(top[0], tree, model)
        _body(body, tree, model)
    if model.experiment == "coupons" and "youngs_modulus" in tree["observed_data"]:
        _off_axis(top[1], tree, model)
        ratios(top[2], tree)
    elif "plate" in model.scene and len(list(measured_rows(tree))) > 12:
        against(top[1], tree)
        _residual_map(top[2], tree, model)
    else:
        ratios(top[1], tree)
        scores(top[2], tree)
    _section(section, tree, model)
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
                (colour, mode, f"{_degrees(mode.mean)} ± {mode.sd:.1f}°{share}", name if len(entries) > 1 else "")
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


def _degrees(angle: float) -> str:
    return f"{angle:.1f}°".replace("-", "\N{MINUS SIGN}")


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


def ratios(ax: Any, tree: xr.DataTree, limit: int = 20) -> None:
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


def scores(ax: Any, tree: xr.DataTree) -> None:
    """Histogram of z = (measured - predictive mean) / predictive sd over the rows, with the standard normal."""
    z = np.array([(y - drawn.mean()) / drawn.std() for _, y, _, _, drawn, _ in measured_rows(tree)])
    reach = max(4.0, float(np.abs(z).max()) + 0.3)
    ax.hist(z, bins=np.linspace(-reach, reach, 25), density=True, color=BLUE, alpha=0.35, label=f"{len(z)} rows")
    x = np.linspace(-reach, reach, 200)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color="black", lw=1.0, label="standard normal")
    ax.set(xlabel="(measured - predicted) / predictive sd", ylabel="density")
    ax.set_title("residuals")
    ax.legend(loc="upper right")


def against(ax: Any, tree: xr.DataTree) -> None:
    """Measured against predicted; quantities of few rows are left to the table."""
    observed = tree["observed_data"].to_dataset()
    units = set()
    for colour, (name, v) in zip(CYCLE, ((n, v) for n, v in observed.data_vars.items() if v.size > 3), strict=False):
        drawn = values_of(tree, "posterior_predictive", name).reshape(-1, v.size)
        ax.plot(
            drawn.mean(axis=0), v.values, "o", ms=3, alpha=0.7, color=colour, mew=0, label=str(name).replace("_", " ")
        )
        units.add(v.attrs.get("units", ""))
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    ends = [min(low), max(high)]
    ax.plot(ends, ends, color="black", lw=0.8, zorder=0)
    unit = f" ({units.pop()})" if len(units) == 1 else ""
    ax.set(xlabel=f"predicted{unit}", ylabel=f"measured{unit}")
    ax.set_title("(b) data against predictions")
    ax.legend(loc="upper left")


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
        _outline(ax, model, -k * shift)
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


def _outline(ax: Any, model: Any, shift: float = 0.0) -> None:
    from matplotlib.patches import Circle, Rectangle

    plate = model.scene["plate"]
    (x0, y0), (x1, y1) = plate.box
    ax.add_patch(Rectangle((x0, y0 + shift), x1 - x0, y1 - y0, fill=False, ec="0.3", lw=0.9, zorder=4))
    if plate.hole is not None:
        ax.add_patch(
            Circle((plate.hole[0], plate.hole[1] + shift), plate.hole[2], fc="white", ec="0.3", lw=0.9, zorder=4)
        )


# ---------------------------------------------------------------------------------------------- inferred microstructure


def _section(ax: Any, tree: xr.DataTree, model: Any) -> None:
    """Cross-section to scale: fibres of true radius r = sqrt(v_f A / pi), A the area of a cell; light rim: 89 %
    interval.
    """
    from matplotlib.patches import Circle

    v = _fixed(tree, "volume_fraction")
    packing = str(model.about.get("packing", ""))
    ax.set_title("(c) inferred cross-section, to scale")
    ax.set_axis_off()
    if v is None or packing not in ("hexagonal", "square"):
        ax.text(0.5, 0.5, "no single volume fraction", ha="center", va="center", transform=ax.transAxes)
        return
    row = math.sqrt(3.0) / 2.0 if packing == "hexagonal" else 1.0
    radius = lambda f: math.sqrt(f * row / math.pi)  # noqa: E731  (spacing 1, one fibre per area ``row``)
    low, high = interval(v) if v.size > 1 else (v[0], v[0])
    width, height = 5.0, 3.2
    ax.add_patch(_box(0, 0, width, height, fc="#F3E3C3", ec="none"))
    frame = _box(0, 0, width, height, fc="none", ec="0.3", lw=0.9, zorder=4)
    ax.add_patch(frame)
    for j in range(-1, 6):
        for i in range(-1, 7):
            centre = (i + (0.5 * (j % 2) if packing == "hexagonal" else 0.0), 0.3 + j * row)
            for f, colour in ((high, "#A8A8A8"), (low, "#4A4A4A")):
                circle = Circle(centre, radius(f), fc=colour, ec="none")
                ax.add_patch(circle)
                circle.set_clip_path(frame)
    d = 2.0 * radius(v.mean())
    ax.plot([0, d], [-0.18, -0.18], color="black", lw=2, solid_capstyle="butt")
    ax.text(d + 0.1, -0.18, "one fibre diameter", va="center", fontsize=8)
    known = f"{v.mean():.3f} ± {v.std():.3f}" if v.size > 1 else f"{v[0]:g} (known)"
    ax.text(0.0, -0.55, f"volume fraction {known}, {packing} packing", va="center", fontsize=8.5)
    if v.size > 1:
        ax.text(width, -0.18, "light rim: 89 % interval", va="center", ha="right", fontsize=8)
    ax.set(xlim=(-0.1, width + 0.1), ylim=(-0.75, height + 0.1), aspect="equal")


def _box(x: float, y: float, w: float, h: float, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), w, h, **style)


def _body(ax: Any, tree: xr.DataTree, model: Any) -> None:
    """Coupon or plate with its fibres at the inferred angle, one drawing for each mode, load arrows along x."""
    x0, y0, length, width = 0.0, 0.0, 100.0, 25.0
    plate = model.scene.get("plate")
    if plate is not None:
        (x0, y0), (x1, y1) = plate.box
        length, width = x1 - x0, y1 - y0
    cases: list[tuple[str, Any, str]] = []  # title, angles of equal zones along x, colour
    posterior = tree["posterior"].to_dataset()
    for name, v in posterior.data_vars.items():
        if v.attrs.get("axial") and v.ndim == 3:
            cases.append(
                (
                    "one angle for each zone",
                    [axial_mode(v.values[..., i], v[..., i].size).mean for i in range(v.shape[2])],
                    BLUE,
                )
            )
        elif v.attrs.get("axial"):
            label = mode_of(v.values)
            for k in range(label.max() + 1):
                mode = axial_mode(v.values[label == k], v.size)
                which = "" if len(cases) == 0 and label.max() == 0 else f"{str(name).replace('_', ' ')}: "
                share = f", {mode.share:.0%} of the draws".replace("%", " %") if label.max() else ""
                cases.append(
                    (f"{which}{_degrees(mode.mean)} ± {mode.sd:.1f}°{share}", [mode.mean], CYCLE[len(cases) % 6])
                )
    cases = cases[:4] or [("no angle is inferred", [], BLUE)]
    shift = width * 1.75
    for k, (title, angles, colour) in enumerate(cases):
        y = y0 - k * shift
        ax.text(x0, y + width * 1.08, title, color=colour, fontsize=8.5, va="bottom")
        for i, angle in enumerate(angles):
            zone = _box(x0 + i * length / len(angles), y, length / len(angles), width, fc="#F6F6F6", ec="0.3", lw=0.9)
            ax.add_patch(zone)
            _fibres(ax, zone, angle, width / 9.0, colour)
        if plate is not None and plate.hole is not None:
            _outline(ax, model, -k * shift)
        for at, way in ((x0 - 0.02 * length, -1), (x0 + 1.02 * length, 1)):
            ax.annotate(
                "",
                (at + way * 0.1 * length, y + width / 2),
                (at, y + width / 2),
                arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.2},
            )
    ax.set(
        xlim=(x0 - 0.14 * length, x0 + 1.14 * length),
        ylim=(y0 - (len(cases) - 1) * shift - 0.15 * width, y0 + width * 1.5),
        aspect="equal",
    )
    ax.set_axis_off()
    ax.set_title("inferred fibres, " + ("plate to scale" if plate is not None else "angle to scale"))


def _fibres(ax: Any, zone: Any, angle: float, spacing: float, colour: str) -> None:
    """Parallel lines at ``angle`` (degrees), clipped to a patch."""
    from matplotlib.collections import LineCollection

    (x, y), w, h = zone.get_xy(), zone.get_width(), zone.get_height()
    a = math.radians(angle)
    along, across, reach = np.array([math.cos(a), math.sin(a)]), np.array([-math.sin(a), math.cos(a)]), math.hypot(w, h)
    offsets = np.arange(-reach, reach, spacing)[:, None] * across + np.array([x + w / 2, y + h / 2])
    lines = LineCollection(
        list(np.stack([offsets - reach * along, offsets + reach * along], axis=1)), colors=colour, lw=1.1, alpha=0.8
    )
    ax.add_collection(lines, autolim=False)
    lines.set_clip_path(zone)


def _orientation_maps(ax: Any, ax_sd: Any, tree: xr.DataTree, model: Any, p: Field) -> None:
    """Posterior of theta(x) = (t_0 + phi(x) beta) / 2: circular mean with streamlines, and sd, in degrees."""
    from .macro.orientation import field_basis

    plate, s = model.scene["plate"], model.scene["settings"]
    (x0, y0), (x1, y1) = plate.box
    gx, gy = np.linspace(x0, x1, 81), np.linspace(y0, y1, 41)
    points = np.stack(np.meshgrid(gx, gy), axis=-1).reshape(-1, 2)
    phi, _ = field_basis(points, plate.box, int(s["field_x"]), int(s["field_y"]))
    beta = values_of(tree, "posterior", p.name).reshape(-1, p.length)
    base = _fixed(tree, "fibre_angle")
    pick = np.linspace(0, len(beta) - 1, min(300, len(beta))).astype(int)
    t = np.radians(2.0 * np.broadcast_to(0.0 if base is None else base, len(beta))[pick, None]) + beta[pick] @ phi.T
    mean = np.angle(np.mean(np.exp(1j * t), axis=0))
    away = np.angle(np.exp(1j * (t - mean)))
    theta, sd = (0.5 * np.degrees(v).reshape(len(gy), len(gx)) for v in (mean, np.sqrt(np.mean(away**2, axis=0))))
    for axis, value, cmap, title, label in (
        (ax, theta, "cividis", "(a) inferred fibre orientation", "fibre angle (deg)"),
        (ax_sd, sd, "magma_r", "its uncertainty (posterior sd)", "sd of the angle (deg)"),
    ):
        image = axis.pcolormesh(gx, gy, value, cmap=cmap, shading="gouraud")
        axis.figure.colorbar(image, ax=axis, label=label, shrink=0.6, fraction=0.06)
        _outline(axis, model)
        axis.set(aspect="equal", xlabel="x (mm)", ylabel="y (mm)", xlim=(x0, x1), ylim=(y0, y1))
        axis.set_title(title)
    ax.streamplot(
        gx,
        gy,
        np.cos(0.5 * mean).reshape(theta.shape),
        np.sin(0.5 * mean).reshape(theta.shape),
        color="white",
        density=0.9,
        linewidth=0.9,
        arrowstyle="-",
    )


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
        ax.plot(
            (mode.low, mode.high) if mode else interval(x), [-0.07, -0.07], color=BLUE, lw=2.5, solid_capstyle="butt"
        )
    ax.set(yticks=[], ylim=(-0.14, 1.08))
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label_of(name, attrs, short=True), labelpad=1)
    ax.locator_params(axis="x", nbins=4)
