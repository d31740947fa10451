"""Observables: the named parts of a model's vector of predictions, with units and coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from hmminfer.system.tables import Table


@dataclass(frozen=True, eq=False)
class Observable:
    """A named part of y: its rows, their unit, and coordinates along one dimension.

    ``coords`` maps a coordinate's name to (values, unit); all run along ``dim``.
    """

    name: str
    unit: str
    rows: np.ndarray
    dim: str
    coords: dict[str, tuple[np.ndarray, str]] = field(default_factory=dict)


def by_quantity(table: Table, coordinates: Mapping[str, str]) -> tuple[Observable, ...]:
    """One observable for each quantity of a table, its rows in the order of the table; ``coordinates``: columns and their units."""
    out = []
    for name in dict.fromkeys(table.quantity.tolist()):
        rows = np.flatnonzero(table.quantity == name)
        known = {**coordinates, "specimen": ""}
        coords = {f"{name}_{c}": (table.columns[c][rows], unit) for c, unit in known.items() if c in table.columns}
        out.append(Observable(name, str(table.unit[rows[0]]), rows, f"{name}_row", coords))
    return tuple(out)


def labelled(
    observables: Sequence[Observable], y: np.ndarray, dims: Sequence[str] = (), coords: Mapping[str, Any] | None = None, **attrs: Any
) -> xr.Dataset:
    """Observables of y (..., n_out) as arrays with units; ``dims`` name the leading dimensions, ``coords`` their coordinates."""
    variables = {}
    for o in observables:
        along = {k: xr.Variable((o.dim,), v, {"units": u} if u else {}) for k, (v, u) in o.coords.items()}
        local = {**{d: c for d, c in (coords or {}).items() if d in dims}, **along}
        variables[o.name] = xr.DataArray(y[..., o.rows], dims=[*dims, o.dim], coords=local, attrs={"units": o.unit})
    return xr.Dataset(variables, attrs={k: v if isinstance(v, int | float | str) else str(v) for k, v in attrs.items()})
