"""Input of a prediction: named values, or the draws of a posterior with the values that its run held fixed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from hmminfer.errors import HmmInferError, abridged, whole
from hmminfer.system.parameters import ParameterSet


def draws_of(posterior: xr.DataTree | xr.Dataset) -> xr.Dataset:
    """Draws of a fit as a dataset, from the whole result, its posterior group, or that group as a dataset."""
    if isinstance(posterior, xr.Dataset):
        return posterior
    if not isinstance(posterior, xr.DataTree):
        group = getattr(posterior, "posterior", None)  # InferenceData of ArviZ before 1.0
        if isinstance(group, xr.Dataset):
            return group
        raise HmmInferError(f"{type(posterior).__name__} is no posterior; give the result of fit(), a DataTree, or a dataset of draws.")
    group = posterior["posterior"] if "posterior" in posterior.children else posterior
    if not group.data_vars:
        raise HmmInferError("This DataTree has no 'posterior' group; give the result of fit(), or a dataset of draws.")
    return group.to_dataset()


def run_of(posterior: xr.DataTree | xr.Dataset) -> tuple[str, str, dict[str, Any]]:
    """System, experiment and settings of the run that produced a posterior; empty where it does not record them."""
    attrs = draws_of(posterior).attrs
    experiment = str(attrs.get("experiment", "")).removeprefix("joint ")
    return str(attrs.get("model", "")), experiment, attribute(attrs, "settings", {})


def attribute[T](attrs: Mapping[Any, Any], name: str, empty: T) -> T:
    """An attribute that a result keeps as JSON, of the type of ``empty``, which is the value where the result does not record it."""
    try:
        found = json.loads(attrs[name]) if name in attrs else empty
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, type(empty)):
        raise HmmInferError(f"The attribute '{name}' of the result is {abridged(attrs[name])}, which no fit writes; take a copy of it, or fit again.")
    return found


def fixed_of(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Fixed values of a result by name, numbers or lists of numbers."""
    fixed: dict[str, Any] = attribute(attrs, "fixed", {})
    for name, value in fixed.items():
        try:
            np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise HmmInferError(f"The result holds {name} fixed at {abridged(value)}, which is no number; take a copy of it, or fit again.") from None
    return fixed


def named_draws(
    parameters: ParameterSet, whose: tuple[str, str], values: Any, named: Mapping[str, Any], draws: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sample dimensions (name -> coordinate) and named values of the input of a prediction: named values, or a posterior.

    ``whose``: names of the system and of the prediction, for messages. Values that were fixed in the posterior's run stay fixed; those in
    ``named`` override all others. ``draws``: use at most this many draws, evenly spaced.
    """
    if values is None or (isinstance(values, Mapping) and not isinstance(values, xr.Dataset | xr.DataTree)):
        given = {**(values or {}), **named}
        for name in given:
            parameters[name]
        return {}, given
    beside = values["constant_data"].to_dataset() if isinstance(values, xr.DataTree) and "constant_data" in values.children else xr.Dataset()
    values = draws_of(values)
    dims = [d for d in ("chain", "draw", "sample") if d in values.dims]
    if not dims:
        raise HmmInferError("This dataset has no dimension chain, draw or sample; give a posterior.")
    if draws is not None:
        whole("draws", draws)
    stacked = values.stack(_s=dims).transpose("_s", ...) if len(dims) > 1 else values.rename({dims[0]: "_s"})
    n = stacked.sizes["_s"]
    keep = np.arange(n) if draws is None or draws >= n else np.linspace(0, n - 1, draws).round().astype(int)
    names = [p.name for p in parameters if p.name in values]
    if not names:
        raise HmmInferError(
            f"The posterior holds {', '.join(map(str, values.data_vars)) or 'nothing'}, and '{whose[1]}' of {whose[0]} takes "
            f"{', '.join(parameters.names)}; choose a prediction of the experiment that was fitted."
        )
    given = {name: stacked[name].transpose("_s", ...).values[keep] for name in names}
    held = {str(k): v.values for k, v in beside.data_vars.items()} | fixed_of(values.attrs)
    held = {k: v for k, v in held.items() if k in parameters.names and k not in given}
    _same_sizes(parameters, whose[1], {k: v.shape[1:] for k, v in given.items()} | {k: np.shape(v) for k, v in held.items()})
    named = {**held, **named}
    if draws is None and len(dims) == 2:
        shape = tuple(values.sizes[d] for d in dims)
        given = {k: v.reshape(*shape, *v.shape[1:]) for k, v in given.items()}
        return {d: values[d].values for d in dims}, {**given, **named}
    return {"sample": keep}, {**given, **named}


def _same_sizes(parameters: ParameterSet, what: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise an error if a posterior has another number of zones, levels or blocks than the prediction."""
    for name, shape in shapes.items():
        size = parameters[name].size
        if shape != (() if size is None else (size,)):
            sizes = f"size {shape[0] if shape else 1} in the posterior and {size or 1} in '{what}'"
            raise HmmInferError(
                f"Parameter '{name}' has {sizes}; leave the zones, levels or blocks of the run as they are, or choose a prediction that has them."
            )
