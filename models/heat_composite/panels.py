"""Panels of heat in a composite: the ridge of two conductivities, maps of a content field and of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.figures.panels import panel
from hmminfer.inference.reading import Reading
from hmminfer.macro.orientation import field_basis
from hmminfer.models.heat_composite.particles import CONTACT, MATRIX, PARTICLE


@panel
def ridge(ax: Any, reading: Reading, model: Any) -> None:
    """Particle against matrix: the ridge along which a better matrix asks for worse particles; colour: their contact."""
    if not all(p.name in reading["posterior"] for p in (MATRIX, PARTICLE, CONTACT)):
        ax.text(0.5, 0.5, "a conductivity is known", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    m, k, h = (reading["posterior"][p.name].values.ravel() for p in (MATRIX, PARTICLE, CONTACT))
    dots = ax.scatter(m, k, c=np.log10(h), s=3, cmap="viridis")
    ax.figure.colorbar(dots, ax=ax, label="log10 $h$ (W/m²/K), contact", shrink=0.8)
    wide = ["log" if x.min() > 0.0 and x.max() > 30.0 * x.min() else "linear" for x in (m, k)]
    ax.set(xlabel="matrix conductivity $k_m$ (W/m/K)", ylabel="particle conductivity $k_p$ (W/m/K)", xscale=wide[0], yscale=wide[1])
    ax.set_title("matrix against particle")


@panel
def content_mean(ax: Any, reading: Reading, model: Any) -> None:
    """Posterior mean of the volume fraction over the plate."""
    v, extent = _contents(reading, model)
    _map(ax, v.mean(axis=0), extent, "mm", "cividis", "volume fraction, posterior mean")


@panel
def content_sd(ax: Any, reading: Reading, model: Any) -> None:
    """Posterior sd of the volume fraction over the plate."""
    v, extent = _contents(reading, model)
    _map(ax, v.std(axis=0), extent, "mm", "magma_r", "volume fraction, posterior sd")


def _contents(reading: Reading, model: Any) -> tuple[np.ndarray, tuple[float, ...]]:
    """Draws of the volume fraction on a grid (draws, y, x), and the extent of the plate."""
    s, limit, box = model.scene["settings"], model.scene["limit"], model.scene["domain"].box
    sides = [np.linspace(box[0, i], box[1, i], 41) for i in range(2)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    phi, _ = field_basis(grid, box, int(s["field_x"]), int(s["field_y"]))
    posterior = reading["posterior"].stack(sample=("chain", "draw")).transpose("sample", ...)
    name = "volume_fraction"
    base = posterior[name].values[:, None] if name in posterior else model.fixed[name]
    odds = base / (limit - base) * np.exp(posterior["content_field"].values @ phi.T)
    return (limit * odds / (1.0 + odds)).reshape(-1, 41, 41), (*box[:, 0], *box[:, 1])


@panel
def block_medians(ax: Any, reading: Reading, model: Any) -> None:
    """Posterior median of ln a, block by block."""
    x, extent = _blocks(reading, model)
    _map(ax, np.median(x, axis=0), extent, "m", "RdBu_r", "posterior median of ln a")


@panel
def block_sds(ax: Any, reading: Reading, model: Any) -> None:
    """Posterior sd of ln a, block by block."""
    x, extent = _blocks(reading, model)
    _map(ax, x.std(axis=0), extent, "m", "magma_r", "posterior sd of ln a")


def _blocks(reading: Reading, model: Any) -> tuple[np.ndarray, tuple[float, ...]]:
    """Draws of ln a (draws, y, x), and the extent of the square."""
    n, side = int(model.about["blocks"]), model.scene["settings"]["side"]
    x = np.log(reading["posterior"]["conductivity"].values.reshape(-1, n, n))
    return x.transpose(0, 2, 1), (0.0, side, 0.0, side)


def _map(ax: Any, value: np.ndarray, extent: tuple[float, ...], unit: str, cmap: str, title: str) -> None:
    """An image of ``value`` (y, x); diverging colours are centred on zero."""
    reach = {"vmin": -np.abs(value).max(), "vmax": np.abs(value).max()} if cmap.startswith("RdBu") else {}
    image = ax.imshow(value, origin="lower", extent=extent, cmap=cmap, **reach)
    ax.figure.colorbar(image, ax=ax, shrink=0.8)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})")
    ax.set_title(title)
