"""Predictions on a grid of points: the table that asks for them, and the model seen on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hmminfer.system.data import Schema, Setting
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable
from hmminfer.system.tables import Table

SIDE = Setting("n", default=33, kind="integer", lower=2, upper=2001, description="points along each side")


def grid(schema: Schema, settings: Any, nx: int, ny: int, extent: tuple[str | float, ...], more: tuple[str, ...] = ()) -> Table:
    """A table without values: temperatures on a grid, then one row of each of ``more``; ``extent``: numbers, or settings that hold them."""

    def rows(s: dict[str, Any]) -> tuple[list[str], dict[str, np.ndarray]]:
        ends = [s[e] if isinstance(e, str) else e for e in extent]
        x, y = np.meshgrid(np.linspace(0, ends[0], nx), np.linspace(0, ends[1], ny), indexing="ij")
        return ["temperature"] * x.size + list(more), {"x": x.ravel(), "y": y.ravel()}

    return schema.blank(settings, rows)


def as_prediction(model: Model, schema: Schema, n: int, more: Mapping[str, str] = {}) -> Model:
    """A model over a grid of n points, of data of the given schema, as a prediction: points as coordinates; ``more``: further rows and their units."""
    table = model.table
    assert table is not None
    coords = {c.name: (table.columns[c.name][:n], c.unit) for c in schema.columns if c.name in ("x", "y")}
    observables = [Observable("temperature", "K", np.arange(n), "point", coords)]
    observables += [Observable(k, u, np.array([n + i]), f"{k}_row") for i, (k, u) in enumerate(more.items())]
    return model.as_prediction(*observables)
