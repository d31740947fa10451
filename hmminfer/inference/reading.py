"""A result, read once into named numbers and rows of data, for tables, checks and panels.

reading = Reading.of(tree)          of a result of fit() or preview(); a reading is returned as it is
reading.entries, reading.prior      every single number that was inferred, with its draws
reading.rows                        every datum with its predictions
interval(draws)                     the interval of every table, figure and prediction
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from hmminfer.errors import HmmInferError
from hmminfer.inference.axial import SHARE, interval
from hmminfer.inference.problem import Problem
from hmminfer.inference.results import of_trace
from hmminfer.system.draws import fixed_of

GROUPS = ("fitted", "posterior_predictive", "prior", "prior_predictive", "observed_data", "constant_data")  # that tables and checks read
TRACE = (
    "To a trace of build() give its model beside it, or complete it: hmminfer.completed(trace, model, ...) with the noise, priors and fixed values "
    "that build() had."
)
LONG = 20  # entries from which a vector appears in tables only through its hyperparameters
INTERVAL = f"{SHARE:.0%} interval".replace("%", " %")
SAID = f"Intervals are the shortest that hold {SHARE:.0%} of the draws.".replace("%", " %")

__all__ = ["INTERVAL", "LONG", "SAID", "Entry", "Reading", "Row", "interval"]


@dataclass(frozen=True, eq=False)
class Entry:
    """One number that was inferred: an unknown, or one entry of a short vector; ``draws`` (chain, draw) in ``unit``, inside ``bounds``."""

    name: str
    draws: np.ndarray
    unit: str = ""
    symbol: str = ""
    axial: bool = False
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Row:
    """One datum: measured value and noise sd; draws of its prediction without noise, with noise, and with noise from the prior.

    Draws of the posterior at which the model has no solution are left out, unless it has none at any of them.
    """

    name: str
    observed: float
    sd: float
    clean: np.ndarray
    predictive: np.ndarray
    prior: np.ndarray


@dataclass(frozen=True, eq=False)
class Reading:
    """A result as named numbers and rows of data, computed on first access."""

    tree: xr.DataTree

    @classmethod
    def of(cls, result: xr.DataTree | Reading, problem: Any = None) -> Reading:
        """Reading of a result; a trace of PyMC is completed with its ``problem`` (or model), anything else is an error."""
        if isinstance(result, Reading):
            return result
        if not isinstance(result, xr.DataTree) or "posterior" not in result.children:
            raise HmmInferError("This is no result of fit() or preview(): it has no group 'posterior'; give the whole DataTree.")
        if "predictions" in result.children and "fitted" not in result.children:
            return cls(_of_old(result))
        if problem is not None and any(group not in result.children for group in GROUPS):
            return cls(of_trace(problem if isinstance(problem, Problem) else Problem.of(problem), result))
        if "observed_data" in result.children and "quantity" not in result["observed_data"].coords:
            raise HmmInferError(f"This trace was not made by fit() or preview(). {TRACE}")
        return cls(result)

    def __getitem__(self, group: str) -> xr.Dataset:
        """A group of the result; one that the result lacks is an error."""
        if group not in self.tree.children:
            raise HmmInferError(f"This result has no group '{group}'; take the whole result that fit() or preview() gave. {TRACE}")
        return self.tree[group].to_dataset()

    @property
    def method(self) -> str:
        """Method by which the draws were made: nuts, laplace, smc, demetropolis or abc."""
        return str(self.tree.attrs.get("method", "nuts"))

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every number of the posterior that goes into tables."""
        return tuple(_entries(self["posterior"]))

    @cached_property
    def prior(self) -> dict[str, np.ndarray]:
        """Prior draws (chain, draw) of the same numbers, by name."""
        return {e.name: e.draws for e in _entries(self["prior"])}

    @cached_property
    def derived(self) -> tuple[Entry, ...]:
        """Every number of the derived quantities; none in a result that holds none."""
        return tuple(_entries(self["derived"])) if "derived" in self.tree.children else ()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Every datum with its predictions."""
        return tuple(_rows(self))

    def values(self, group: str, name: Any) -> np.ndarray:
        """Array of one variable of a group."""
        found = self[group]
        if name not in found:
            raise HmmInferError(f"The group '{group}' of this result has no '{name}'; take the whole result that fit() or preview() gave.")
        return np.asarray(found[name])

    def of_rows(self, group: str, name: Any) -> np.ndarray:
        """Draws (all, rows) of one measured quantity in ``posterior_predictive`` or another group of predictions."""
        x = self.values(group, "observed")[..., self._rows_of(name)]
        return x.reshape(-1, x.shape[-1])

    def _rows_of(self, name: Any) -> np.ndarray:
        return np.flatnonzero(self.values("observed_data", "quantity") == str(name))

    @cached_property
    def measured(self) -> dict[str, xr.DataArray]:
        """The data of each measured quantity, with the columns of the file as coordinates."""
        data = self["observed_data"]["observed"]
        out = {}
        for name in dict.fromkeys(data["quantity"].values.tolist()):
            out[name] = data[self._rows_of(name)]
            out[name].attrs["units"] = str(out[name]["unit"].values[0])
        return out

    def draws_or_fixed(self, name: str) -> np.ndarray | None:
        """Draws (all,) of a parameter, or its fixed value, or None."""
        if name in self["posterior"]:
            return self.values("posterior", name).reshape(-1)
        held = fixed_of(self.tree.attrs)
        return np.array([float(held[name])]) if name in held and np.ndim(held[name]) == 0 else None


def _entries(data: xr.Dataset) -> Any:
    for name, variable in data.data_vars.items():
        x = variable.transpose("chain", "draw", ...).values
        a = variable.attrs
        about = {"unit": a.get("units", ""), "symbol": a.get("symbol", ""), "axial": bool(a.get("axial", 0)), "bounds": tuple(a.get("support", ()))}
        if x.ndim == 2:
            yield Entry(str(name), x, **about)
        elif x[0, 0].size <= LONG:
            known = f"{name}_of"  # names of the entries, where they have some
            labels = variable.coords[known].values.tolist() if known in variable.coords else range(x[0, 0].size)
            for label, index in zip(labels, np.ndindex(x.shape[2:]), strict=True):
                yield Entry(f"{name}[{label}]", x[(..., *index)], **about)


def _rows(reading: Reading) -> Any:
    sd = reading.values("constant_data", "sd")
    for name, values in reading.measured.items():
        labels = _labels(values)
        clean, predictive, prior = (reading.of_rows(g, name) for g in ("fitted", "posterior_predictive", "prior_predictive"))
        solved = np.isfinite(clean).all(axis=1)
        clean, predictive = (clean[solved], predictive[solved]) if solved.any() else (clean, predictive)
        for i, (label, row) in enumerate(zip(labels, values["row"].values, strict=True)):
            yield Row(f"{name} {label}", float(values[i]), float(sd[row]), clean[:, i], predictive[:, i], prior[:, i])


def _labels(values: xr.DataArray) -> list[str]:
    """Labels that tell the rows of a quantity apart: specimen, where one specimen has several the column in which they differ, or the line of the file."""
    lines = [f"line {x}" for x in values["line"].values] if "line" in values.coords else [f"[{i}]" for i in range(values.size)]
    if "specimen" not in values.coords:
        return lines
    names = values["specimen"].values.astype(str)
    columns = [c for c in values.coords if c not in ("row", "line", "specimen") and values[c].ndim == 1]
    out = lines if not names.size else [name or line for name, line in zip(names.tolist(), lines, strict=True)]
    for name in np.unique(names[names != ""]):
        rows = np.flatnonzero(names == name)
        if len(rows) == 1:
            continue
        apart = next((c for c in columns if len(np.unique(values[c].values[rows].astype(str))) == len(rows)), None)
        for i in rows:
            value = "" if apart is None else values[apart].values[i]
            told = value if isinstance(value, str) else f"{value:g}"
            out[i] = f"{name}, {lines[i]}" if apart is None else f"{name}, {apart} {told}"
    return out


def _of_old(tree: xr.DataTree) -> xr.DataTree:
    """A result of version 0.1.0, in which each quantity was a variable of its own, in the present layout (rows sorted by quantity)."""
    names = list(tree["observed_data"].data_vars)
    sizes = [tree["observed_data"][n].size for n in names]
    along: dict[str, Any] = {"row": np.arange(sum(sizes)), "quantity": ("row", np.repeat(names, sizes).astype(str))}
    along["unit"] = ("row", np.repeat([tree["observed_data"][n].attrs.get("units", "") for n in names], sizes).astype(str))
    for name in names:
        for coordinate in tree["observed_data"][name].coords:
            column = str(coordinate).removeprefix(f"{name}_")
            if column != coordinate and all(f"{n}_{column}" in tree["observed_data"].coords for n in names):
                along[column] = ("row", np.concatenate([tree["observed_data"].coords[f"{n}_{column}"].values for n in names]))
    out = tree.copy()
    new = {"predictions": "fitted"}
    for group in ("predictions", "posterior_predictive", "prior_predictive", "observed_data", "constant_data"):
        data = tree[group].to_dataset()
        lead = [d for d in ("chain", "draw") if d in data.dims]
        values = np.concatenate([data[n].transpose(*lead, ...).values for n in names], axis=-1)
        variable = "sd" if group == "constant_data" else "observed"
        coordinates = {**{d: data[d] for d in lead if d in data.coords}, **along}
        out[new.get(group, group)] = xr.DataTree(xr.Dataset({variable: ((*lead, "row"), values)}, coords=coordinates))
    return out
