"""Predictions by name, from text: which of a model's PREDICTIONS, its settings, and named values or a posterior."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from . import models, units
from .errors import HmmInferError, unknown

OPTIONS = ("packing", "cell", "refine")  # of every model of the catalogue that has a micro cell


def predict(
    model: str,
    what: str = "",
    given: Mapping[str, str] | None = None,
    posterior: xr.DataTree | None = None,
    draws: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Observables of the prediction ``what`` (default: the model's first), as from :meth:`hmminfer.Model.predict`.

    ``given`` holds settings and parameters alike, as text with units; several numbers are written 0,15,30.
    """
    module = models.get(model)
    if what and what not in module.PREDICTIONS:
        raise unknown("prediction", what, module.PREDICTIONS)
    what = what or next(iter(module.PREDICTIONS))
    known = _readers(module, what)
    given = dict(given or {})
    settings = {name: known[name](given.pop(name)) for name in known if name in given}
    built = module.PREDICTIONS[what](**settings)
    for name in given:
        if name not in built.parameters.names:
            raise unknown("setting or parameter", name, [*known, *built.parameters.names])
    values = {name: _numbers(text, built.parameters[name].unit) for name, text in given.items()}
    swept = {k: v for k, v in values.items() if np.ndim(v) and built.parameters[k].size is None}
    if len({len(v) for v in swept.values()}) > 1 or (swept and posterior is not None):
        raise HmmInferError(
            f"{', '.join(swept)}: give one value each beside a posterior, and lists of one length without it."
        )
    result = built.predict(posterior, progress=progress, draws=draws, **values)
    if not swept:
        return result
    coords = {k: ("case", v, {"units": built.parameters[k].unit}) for k, v in swept.items()}
    return result.rename(draw="case").assign_coords(coords)


def _readers(module: ModuleType, what: str) -> dict[str, Any]:
    """Settings that a prediction takes, each with the function that reads its text.

    They are the arguments of its factory, the options of the cell, and those of its experiment where it takes
    ``**settings``.
    """
    own = inspect.signature(module.PREDICTIONS[what]).parameters
    readers: dict[str, Any] = {"packing": str, "cell": str, "refine": _whole}
    for name, argument in own.items():
        if argument.kind is argument.VAR_KEYWORD or name in (*OPTIONS, "angle"):
            continue  # a known angle(x, y) is a function: for Python only
        if isinstance(argument.default, int):
            readers[name] = _whole
        elif isinstance(argument.default, float):
            readers[name] = lambda text: units.parse(text, "mm")
        else:
            readers[name] = lambda text: [units.parse(x, "deg") for x in text.split(",")]
    if "settings" in own:
        schemas = [e.schema for e in module.EXPERIMENTS.values() if what in e.predictions]
        readers |= {s.name: s.read for schema in schemas for s in schema.settings}
    return readers


def _whole(text: str) -> int:
    return int(units.parse(text, ""))


def _numbers(text: str, unit: str) -> Any:
    """One value as text, or several: a vector parameter, or a sweep over a single one."""
    return np.array([units.parse(x.strip(), unit) for x in text.split(",")]) if "," in text else text


def table(dataset: Any) -> Any:
    """One row for each predicted number: its value, or mean, sd and 89 % interval over the draws."""
    parts = []
    for name, variable in dataset.data_vars.items():
        over = [d for d in variable.dims if str(d) in ("chain", "draw", "sample")]
        rest = [d for d in variable.dims if d not in over]
        variable = variable.transpose(*over, *rest)
        x = variable.values.reshape(-1, int(np.prod([variable.sizes[d] for d in rest])))
        each = variable.isel({d: 0 for d in over})
        columns: dict[str, Any] = {"observable": name}
        for key, coordinate in each.coords.items():
            if coordinate.dims and key != "case":
                unit = coordinate.attrs.get("units", "")
                columns[f"{key} [{unit}]" if unit else str(key)] = coordinate.broadcast_like(each).values.ravel()
        if over:
            low, high = np.quantile(x, (0.055, 0.945), axis=0)
            columns |= {"mean": x.mean(axis=0), "sd": x.std(axis=0), "low": low, "high": high}
        else:
            columns["value"] = x[0]
        parts.append(pd.DataFrame({**columns, "unit": variable.attrs.get("units", "")}))
    return pd.concat(parts, ignore_index=True)


def shortened(rows_of: Any, rows: int = 7) -> Any:
    """At most ``rows`` evenly spaced rows of each observable."""
    keep = [
        g.iloc[np.unique(np.linspace(0, len(g) - 1, rows).round().astype(int))]
        for _, g in rows_of.groupby("observable", sort=False)
    ]
    return pd.concat(keep)


def check_file(path: Path) -> None:
    """Refuse a file that exists, or that could not be written at the end of the work."""
    if path.suffix not in (".nc", ".csv"):
        raise HmmInferError(f"'{path}' does not end in .nc or .csv; choose one of these formats by the ending.")
    if path.exists():
        raise HmmInferError(f"'{path}' exists already and is not overwritten; choose another name or move it.")
    if not path.parent.is_dir():
        raise HmmInferError(f"There is no folder '{path.parent}' to write '{path.name}' in; make it first.")


def save(result: xr.Dataset, path: Path) -> None:
    """Write every draw as NetCDF, or the table as CSV."""
    if path.suffix == ".nc":
        result.to_netcdf(path, engine="h5netcdf")
    else:
        table(result).to_csv(path, index=False)
