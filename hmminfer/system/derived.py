"""Derived quantities: what a field speaks of (a decay length, a retardation factor, effective moduli), computed from draws of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Derived:
    """A quantity that follows from the parameters.

    ``formula`` takes their values by name, in users' units, numbers or arrays (...) of draws, fixed values included, and returns an array (...),
    or (..., n) for a quantity with ``labels`` (one for each specimen or zone).
    """

    name: str
    unit: str
    formula: Callable[[Mapping[str, Any]], Any]
    description: str = ""
    labels: tuple[str, ...] = ()

    def __call__(self, values: Mapping[str, Any]) -> np.ndarray:
        return np.asarray(self.formula(values), dtype=float)

    def of(self, names: Mapping[str, str], suffix: str) -> Derived:
        """The same quantity of one experiment among several, whose parameters have other ``names``."""
        return replace(self, name=f"{self.name}_{suffix}", formula=partial(_renamed, self.formula, dict(names)))


def _renamed(formula: Callable[[Mapping[str, Any]], Any], names: Mapping[str, str], values: Mapping[str, Any]) -> Any:
    return formula({own: values[other] for own, other in names.items()})


def affine(name: str, offset: Any, slope: Any, values: Mapping[str, Any]) -> np.ndarray:
    """Formula of ``offset + slope`` times a parameter; several slopes give as many entries."""
    x = np.asarray(values[name], dtype=float)
    return offset + (x[..., None] * slope if np.ndim(slope) else x * slope)


def added(names: Sequence[str], offset: float, values: Mapping[str, Any]) -> np.ndarray:
    """Formula of ``offset`` plus the sum of parameters."""
    return np.asarray(offset + sum(np.asarray(values[name], dtype=float) for name in names))
