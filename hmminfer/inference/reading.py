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
from hmminfer.system.draws import fixed_of

LONG = 20  # entries from which a vector appears in tables only through its hyperparameters
INTERVAL = f"{SHARE:.0%} interval".replace("%", " %")
SAID = f"Intervals are the shortest that hold {SHARE:.0%} of the draws.".replace("%", " %")

__all__ = ["INTERVAL", "LONG", "SAID", "Entry", "Reading", "Row", "interval"]


@dataclass(frozen=True, eq=False)
class Entry:
    """One number that was inferred: an unknown, or one entry of a short vector; ``draws`` (chain, draw) in ``unit``."""

    name: str
    draws: np.ndarray
    unit: str = ""
    symbol: str = ""
    axial: bool = False


@dataclass(frozen=True, eq=False)
class Row:
    """One datum: measured value and noise sd; draws of its prediction without noise, with noise, and with noise from the prior."""

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
    def of(cls, result: xr.DataTree | Reading) -> Reading:
        """Reading of a result; anything else is an error."""
        if isinstance(result, Reading):
            return result
        if not isinstance(result, xr.DataTree) or "posterior" not in result.children:
            raise HmmInferError("This is no result of fit() or preview(): it has no group 'posterior'; give the whole DataTree.")
        return cls(result)

    def __getitem__(self, group: str) -> xr.Dataset:
        """A group of the result; one that the result lacks is an error."""
        if group not in self.tree.children:
            raise HmmInferError(f"This result has no group '{group}'; take the whole result that fit() or preview() gave.")
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
        x = self.values(group, name)
        return x.reshape(-1, x.shape[-1])

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
        about = {"unit": a.get("units", ""), "symbol": a.get("symbol", ""), "axial": bool(a.get("axial", 0))}
        if x.ndim == 2:
            yield Entry(str(name), x, **about)
        elif x[0, 0].size <= LONG:
            for i, index in enumerate(np.ndindex(x.shape[2:])):
                yield Entry(f"{name}[{i}]", x[(..., *index)], **about)


def _rows(reading: Reading) -> Any:
    observed = reading["observed_data"]
    for name, values in observed.data_vars.items():
        known = f"{name}_specimen"
        labels = [str(x) for x in observed[known].values] if known in observed.coords else [f"[{i}]" for i in range(values.size)]
        clean, predictive, prior = (reading.of_rows(g, name) for g in ("predictions", "posterior_predictive", "prior_predictive"))
        sd = reading.values("constant_data", name)
        for i, label in enumerate(labels):
            yield Row(f"{name} {label}", float(values[i]), float(sd[i]), clean[:, i], predictive[:, i], prior[:, i])
