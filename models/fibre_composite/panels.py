"""Panels of the fibre composite: its angles, its cross-section to scale, coupons and plates with their fibres, maps of a field."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hmminfer.figures.panels import BLUE, CYCLE, DATA, band, degrees, panel
from hmminfer.inference.axial import axial_mode, centred, mode_of
from hmminfer.inference.reading import INTERVAL, Reading, interval
from hmminfer.macro.orientation import field_basis
from hmminfer.models.fibre_composite.coupons import moduli
from hmminfer.system.parameters import Field


@panel
def section(ax: Any, reading: Reading, model: Any) -> None:
    """Cross-section to scale: fibres of true radius r = sqrt(v_f A / pi), A the area of a cell; light rim: 89 %
    interval.
    """
    from matplotlib.patches import Circle

    v = reading.draws_or_fixed("volume_fraction")
    packing = str(model.about.get("packing", ""))
    ax.set_title("inferred cross-section, to scale")
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


@panel
def body(ax: Any, reading: Reading, model: Any) -> None:
    """Coupon or plate with its fibres at the inferred angle, one drawing for each mode, load arrows along x."""
    x0, y0, length, width = 0.0, 0.0, 100.0, 25.0
    plate = model.scene.get("plate")
    if plate is not None:
        (x0, y0), (x1, y1) = plate.box
        length, width = x1 - x0, y1 - y0
    cases: list[tuple[str, Any, str]] = []  # title, angles of equal zones along x, colour
    posterior = reading["posterior"]
    for name, v in posterior.data_vars.items():
        if v.attrs.get("axial") and v.ndim == 3:
            cases.append(("one angle for each zone", [axial_mode(v.values[..., i], v[..., i].size).mean for i in range(v.shape[2])], BLUE))
        elif v.attrs.get("axial"):
            label = mode_of(v.values)
            for k in range(label.max() + 1):
                mode = axial_mode(v.values[label == k], v.size)
                which = "" if len(cases) == 0 and label.max() == 0 else f"{str(name).replace('_', ' ')}: "
                share = f", {mode.share:.0%} of the draws".replace("%", " %") if label.max() else ""
                cases.append((f"{which}{degrees(mode.mean)} ± {mode.sd:.1f}°{share}", [mode.mean], CYCLE[len(cases) % 6]))
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
            outline(ax, model, -k * shift)
        for at, way in ((x0 - 0.02 * length, -1), (x0 + 1.02 * length, 1)):
            ax.annotate(
                "", (at + way * 0.1 * length, y + width / 2), (at, y + width / 2), arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.2}
            )
    ax.set(xlim=(x0 - 0.14 * length, x0 + 1.14 * length), ylim=(y0 - (len(cases) - 1) * shift - 0.15 * width, y0 + width * 1.5), aspect="equal")
    ax.set_axis_off()
    ax.set_title("inferred fibres, " + ("plate to scale" if plate is not None else "angle to scale"))


def _fibres(ax: Any, zone: Any, angle: float, spacing: float, colour: str) -> None:
    """Parallel lines at ``angle`` (degrees), clipped to a patch."""
    from matplotlib.collections import LineCollection

    (x, y), w, h = zone.get_xy(), zone.get_width(), zone.get_height()
    a = math.radians(angle)
    along, across, reach = np.array([math.cos(a), math.sin(a)]), np.array([-math.sin(a), math.cos(a)]), math.hypot(w, h)
    offsets = np.arange(-reach, reach, spacing)[:, None] * across + np.array([x + w / 2, y + h / 2])
    lines = LineCollection(list(np.stack([offsets - reach * along, offsets + reach * along], axis=1)), colors=colour, lw=1.1, alpha=0.8)
    ax.add_collection(lines, autolim=False)
    lines.set_clip_path(zone)


@panel
def orientation_map(ax: Any, reading: Reading, model: Any) -> None:
    """Circular posterior mean of the fibre angle over a plate, in degrees, with streamlines."""
    gx, gy, mean, _ = _orientation(reading, model)
    _map(ax, model, gx, gy, 0.5 * np.degrees(mean), "cividis", "fibre angle (deg)")
    ax.streamplot(gx, gy, np.cos(0.5 * mean), np.sin(0.5 * mean), color="white", density=0.9, linewidth=0.9, arrowstyle="-")
    ax.set_title("inferred fibre orientation")


@panel
def orientation_sd(ax: Any, reading: Reading, model: Any) -> None:
    """Posterior sd of the fibre angle over a plate, in degrees."""
    gx, gy, _, sd = _orientation(reading, model)
    _map(ax, model, gx, gy, 0.5 * np.degrees(sd), "magma_r", "sd of the angle (deg)")
    ax.set_title("its uncertainty (posterior sd)")


def _orientation(reading: Reading, model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Grid, and circular mean and sd of the double angle t = t_0 + phi(x) beta on it, (y, x)."""
    plate, s = model.scene["plate"], model.scene["settings"]
    p = next(p for p in model.parameters if isinstance(p, Field))
    (x0, y0), (x1, y1) = plate.box
    gx, gy = np.linspace(x0, x1, 81), np.linspace(y0, y1, 41)
    points = np.stack(np.meshgrid(gx, gy), axis=-1).reshape(-1, 2)
    phi, _ = field_basis(points, plate.box, int(s["field_x"]), int(s["field_y"]))
    beta = reading.values("posterior", p.name).reshape(-1, p.length)
    base = reading.draws_or_fixed("fibre_angle")
    pick = np.linspace(0, len(beta) - 1, min(300, len(beta))).astype(int)
    t = np.radians(2.0 * np.broadcast_to(0.0 if base is None else base, len(beta))[pick, None]) + beta[pick] @ phi.T
    mean = np.angle(np.mean(np.exp(1j * t), axis=0))
    away = np.angle(np.exp(1j * (t - mean)))
    shape = (len(gy), len(gx))
    return gx, gy, mean.reshape(shape), np.sqrt(np.mean(away**2, axis=0)).reshape(shape)


def _map(ax: Any, model: Any, gx: np.ndarray, gy: np.ndarray, value: np.ndarray, cmap: str, label: str) -> None:
    image = ax.pcolormesh(gx, gy, value, cmap=cmap, shading="gouraud")
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.6, fraction=0.06)
    outline(ax, model)
    ax.set(aspect="equal", xlabel="x (mm)", ylabel="y (mm)", xlim=gx[[0, -1]], ylim=gy[[0, -1]])


def outline(ax: Any, model: Any, shift: float = 0.0) -> None:
    from matplotlib.patches import Circle, Rectangle

    plate = model.scene["plate"]
    (x0, y0), (x1, y1) = plate.box
    ax.add_patch(Rectangle((x0, y0 + shift), x1 - x0, y1 - y0, fill=False, ec="0.3", lw=0.9, zorder=4))
    if plate.hole is not None:
        ax.add_patch(Circle((plate.hole[0], plate.hole[1] + shift), plate.hole[2], fc="white", ec="0.3", lw=0.9, zorder=4))


@panel
def off_axis(ax: Any, reading: Reading, model: Any) -> None:
    """E_x over the angle: posterior band and data at their angles; a coupon of hidden angle at its inferred one."""
    curves = moduli(**{k: model.about[k] for k in ("packing", "cell", "refine")})
    e = curves.predict(reading.tree, draws=150, progress=False)["youngs_modulus"]
    band(ax, e["angle"].values, e.values.reshape(-1, e.shape[-1]), f"posterior, {INTERVAL}")
    table = model.table
    hidden = str(model.about.get("hidden_angles", "")).split(", ")
    first = {"known": "measured", "hidden": "measured, at the inferred angle", "nominal": "the same, at its nominal angle"}
    for i in np.flatnonzero(table.quantity == "youngs_modulus"):
        specimen, at = str(table.columns["specimen"][i]), float(table.columns["angle"][i])
        style = {"fmt": "o", "ms": 5, "capsize": 2, "zorder": 3, "lw": 1.1, "color": DATA}
        name = "fibre_angle" if len(hidden) == 1 else f"fibre_angle_{specimen}"
        if specimen not in hidden or name not in reading["posterior"]:
            ax.errorbar(abs(at), table.value[i], table.sd[i], label=first.pop("known", None), **style)
            continue
        x = reading.values("posterior", name)
        mode = axial_mode(x[mode_of(x) == 0], x.size)
        ax.plot(abs(at), table.value[i], "o", mfc="white", color=DATA, ms=5, zorder=3, label=first.pop("nominal", None))
        ax.errorbar(abs(mode.mean), table.value[i], table.sd[i], mode.sd, label=first.pop("hidden", None), **style)
    ax.set(yscale="log", xlabel="angle from load to fibre (deg)", ylabel="Young's modulus along the load (GPa)", xticks=[0, 15, 30, 45, 60, 75, 90])
    _plain_log(ax.yaxis, ax.get_ylim())
    ax.set_title("off-axis modulus: model and data")
    ax.legend()


def _plain_log(axis: Any, limits: tuple[float, float]) -> None:
    """Ticks of a log axis as plain numbers at 1, 2, 5."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    ticks = [m * 10.0**k for k in range(-6, 7) for m in (1, 2, 5) if limits[0] <= m * 10.0**k <= limits[1]]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(NullFormatter())


@panel
def residual_map(ax: Any, reading: Reading, model: Any) -> None:
    """Residuals in predictive sds at their places; quantities measured at the same points are stacked."""
    local = [n for n, v in reading.measured.items() if "x" in v.coords and np.isfinite(v["x"].values).all()][:2]
    (x0, y0), (_, y1) = model.scene["plate"].box
    shift, points = 1.55 * (y1 - y0), None
    for k, name in enumerate(local):
        v = reading.measured[name]
        drawn = reading.of_rows("posterior_predictive", name)
        z = (v.values - drawn.mean(axis=0)) / drawn.std(axis=0)
        outline(ax, model, -k * shift)
        points = ax.scatter(v["x"], v["y"] - k * shift, c=z, cmap="RdBu_r", vmin=-3, vmax=3, s=13, lw=0.3, edgecolors="0.4")
        ax.text(x0, y1 - k * shift + 0.06 * shift, str(name).replace("_", " "), fontsize=8)
    if points is not None:
        ax.figure.colorbar(points, ax=ax, label="(measured - predicted) / sd", shrink=0.7, fraction=0.05)
    ax.set(aspect="equal", yticks=[], xlabel="x (mm)")
    ax.spines["left"].set_visible(False)
    ax.set_title("residuals over the plate", pad=14)


@panel
def angles(ax: Any, reading: Reading, model: Any) -> None:
    """Histograms of the axial angles, each mode with its mean, sd and 89 % interval; the nominal angle as a line."""
    entries = [e for e in reading.entries if e.axial]
    ax.set_title("fibre orientation")
    if not entries:
        ax.text(0.5, 0.5, "no angle is inferred", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    colours = iter(CYCLE * 20)
    peak = 0.0
    texts: list[tuple[str, Any, str, str]] = []
    for e in entries:
        x, label = e.draws, mode_of(e.draws)
        for k in range(label.max() + 1):
            inside = x[label == k]
            mode, colour = axial_mode(inside, x.size), next(colours)
            away, mean = centred(inside)
            shown = mean + away
            count, edges = np.histogram(shown, bins=int(np.clip(0.8 * np.sqrt(inside.size), 12, 30)))
            height = count / x.size / np.diff(edges)
            ax.stairs(height, edges, fill=True, color=colour, alpha=0.35)
            ax.stairs(height, edges, color=colour, lw=1.0)
            peak = max(peak, float(height.max()))
            share = f"  ({mode.share:.0%})".replace("%", " %") if label.max() else ""
            texts.append((colour, mode, f"{degrees(mode.mean)} ± {mode.sd:.1f}°{share}", e.name if len(entries) > 1 else ""))
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
