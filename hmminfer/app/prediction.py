"""Predictions of a system by name, with settings and values as text, from named values or a posterior."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hmminfer import models, units
from hmminfer.app.storage import write_netcdf, write_text
from hmminfer.errors import HmmInferError, Unsolved, abridged, unknown
from hmminfer.inference.reading import SAID, interval
from hmminfer.system.draws import run_of


def predict(
    model: str,
    what: str = "",
    given: Mapping[str, str] | None = None,
    posterior: xr.DataTree | None = None,
    draws: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Observables of the prediction ``what``, as from :meth:`hmminfer.Model.predict`; by default the first of the experiment that was fitted.

    ``given`` holds settings and parameters alike, as text with units; several numbers are written 0,15,30. Settings that are not given
    are taken from the posterior's run if it has them; the attribute ``run_settings`` of the result lists these.
    """
    module = models.get(model)
    if posterior is not None and (fitted := run_of(posterior)[0] or module.EXPERIMENTS.system) != module.EXPERIMENTS.system:
        raise HmmInferError(f"The posterior is one of {fitted}, not of {model}; predict {fitted}, or give another run.")
    if what and what not in module.PREDICTIONS:
        raise unknown("prediction", what, module.PREDICTIONS)
    asked = module.PREDICTIONS[what or _first(module, posterior)]
    given = dict(given or {})
    names = [s.name for s in asked.settings]
    settings = {name: given.pop(name) for name in names if name in given}
    built = asked(**settings) if posterior is None else asked.of(posterior, **settings)
    for name in given:
        if name not in built.parameters.names:
            raise unknown("setting or parameter", name, [*names, *built.parameters.names])
    values = {name: _numbers(name, text, built.parameters[name].unit) for name, text in given.items()}
    swept = {k: v for k, v in values.items() if np.ndim(v) and built.parameters[k].size is None}
    if len({len(v) for v in swept.values()}) > 1 or (swept and posterior is not None):
        raise HmmInferError(f"{', '.join(swept)}: give one value each beside a posterior, and lists of one length without it.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unsolved)  # said below the table
        result = built.predict(posterior, progress=progress, draws=draws, **values)
    if posterior is not None:
        taken = {k: v for k, v in asked.taken_from(posterior).items() if k not in settings}
        result.attrs["run_settings"] = ", ".join(f"{k} = {v}" for k, v in taken.items() if v != "")
    if not swept:
        return result
    coords = {k: ("case", v, {"units": built.parameters[k].unit}) for k, v in swept.items()}
    return result.rename(draw="case").assign_coords(coords)


def _first(module: ModuleType, posterior: xr.DataTree | None) -> str:
    """Name of the default prediction: the first of the experiment that was fitted, or of the system."""
    experiment = module.EXPERIMENTS.get("" if posterior is None else run_of(posterior)[1])
    known = (experiment.predictions if experiment else None) or module.PREDICTIONS
    if not known:
        raise HmmInferError(f"The system '{module.EXPERIMENTS.system}' declares no prediction; give its Experiment some: predictions={{name: ...}}.")
    return next(iter(known))


def _numbers(name: str, text: str, unit: str) -> Any:
    """One value as text, or several: a vector parameter, or a sweep over a single one."""
    try:
        return units.parse_list(text, unit) if "," in text else text
    except HmmInferError as error:
        raise HmmInferError(f"Parameter '{name}': {error}") from error


def table(dataset: Any) -> Any:
    """One row for each predicted number: its value, or mean, sd and shortest 89 % interval (low, high) over the draws."""
    parts = []
    for name, variable in dataset.data_vars.items():
        over = [d for d in variable.dims if str(d) in ("chain", "draw", "sample")]
        rest = [d for d in variable.dims if d not in over]
        variable = variable.transpose(*over, *rest)
        x = variable.values.reshape(-1, int(np.prod([variable.sizes[d] for d in rest])))
        x = x[np.isfinite(x).all(axis=1)]
        each = variable.isel({d: 0 for d in over})
        columns: dict[str, Any] = {"observable": name}
        for key, coordinate in each.coords.items():
            if coordinate.dims and key != "case":
                unit = coordinate.attrs.get("units", "")
                columns[f"{key} [{unit}]" if unit else str(key)] = coordinate.broadcast_like(each).values.ravel()
        if over:
            low, high = interval(x)
            columns |= {"mean": x.mean(axis=0), "sd": x.std(axis=0), "low": low, "high": high}
        else:
            columns["value"] = x[0]
        parts.append(pd.DataFrame({**columns, "unit": variable.attrs.get("units", "")}))
    return pd.concat(parts, ignore_index=True)


def note(result: xr.Dataset) -> str:
    """Definition of the columns low and high of a prediction's table; empty if the prediction has no draws."""
    return SAID if {"chain", "draw", "sample"} & {str(d) for d in result.dims} else ""


def shortened(rows_of: Any, rows: int = 7) -> Any:
    """Evenly spaced rows of each observable, ``rows`` at most."""
    keep = [g.iloc[np.unique(np.linspace(0, len(g) - 1, rows).round().astype(int))] for _, g in rows_of.groupby("observable", sort=False)]
    return pd.concat(keep)


def check_file(path: Path) -> None:
    """Raise an error for an output file that exists already, or that could not be written later."""
    if path.suffix not in (".nc", ".csv"):
        raise HmmInferError(f"'{path}' does not end in .nc or .csv; choose one of these formats by the ending.")
    if os.path.lexists(path):
        raise HmmInferError(f"'{path}' exists already and is not overwritten; choose another name or move it.")
    if not os.path.isdir(path.parent):
        raise HmmInferError(f"There is no folder '{path.parent}' to write '{path.name}' in; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise HmmInferError(f"The folder '{path.parent}' cannot be written in; choose another --output.")
    longest = os.pathconf(path.parent, "PC_NAME_MAX")
    if len(os.fsencode(path.name)) > longest:
        raise HmmInferError(f"The name {abridged(path.name)} is too long to write to; choose one of at most {longest} letters.")


def save(result: xr.Dataset, path: Path) -> None:
    """Write every draw as NetCDF, or the table as CSV."""
    if path.suffix == ".nc":
        write_netcdf(result, path)
    else:
        write_text(path, table(result).to_csv(index=False))
