"""Errors of instruments that are common to many rows: an offset, a gain, the rigid motion of a camera. Each is a weight with a normal prior.

    y_i = f_i(theta) (1 + sum_g G_ig gamma_g) + sum_k O_ik c_k + noise

A gain is gamma (of all rows of one quantity), an offset or a rigid motion is c. The weights are unknowns of the posterior like all others: their draws
are in the result, and predictions of the data are conditional on them. A known sensor can be fixed, and its prior changed, by name.

    calibration = 3 %                 a gain of every measured quantity, Normal(0, 0.03): calibration_deflection, ...
    calibration_deflection = 3 %      of this quantity alone
    offset_temperature = 0.5 K        a common offset of this quantity, Normal(0, 0.5 K)
    offset_temperature = 0.5 K per specimen      one for each value of a column of text, where each has a sensor of its own

are understood by every experiment, in the data file, as ``--set`` and as keywords; a build may declare further ones (:attr:`Model.nuisances`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hmminfer import units
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.shift import shifted
from hmminfer.errors import HmmInferError, unknown
from hmminfer.system.likelihood import POISSON
from hmminfer.system.observable import Observable
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import Normal
from hmminfer.system.tables import Table

GAIN, OFFSET = "calibration", "offset"


@dataclass(frozen=True, eq=False)
class Nuisance:
    """One error of an instrument: ``parameter`` is its weight, ``column`` (rows,) what a weight of one adds to y, or to y / f if ``relative``."""

    parameter: Parameter
    column: np.ndarray
    relative: bool = False


def weight(name: str, unit: str, sd: float, description: str, symbol: str = "") -> Parameter:
    """The weight of a nuisance: Normal(0, sd) in ``unit``."""
    return Parameter(name, unit, Normal(0.0, sd), description, symbol=symbol, nuisance=True)


def is_nuisance(setting: str) -> bool:
    """True for the name of a setting that asks for a gain or an offset."""
    return setting == GAIN or setting.startswith((f"{GAIN}_", f"{OFFSET}_"))


def asked(observables: Sequence[Observable], table: Table, settings: Mapping[str, Any]) -> list[Nuisance]:
    """Gains and offsets that settings ask for, for the measured quantities ``observables`` of a table."""
    known = {o.name: o for o in observables}
    out: dict[str, dict[str, list[Nuisance]]] = {}
    for name, value in settings.items():
        kind, _, quantity = name.partition("_")
        if quantity and quantity not in known:
            raise unknown(f"quantity of {kind}", quantity, known)
        for o in [known[quantity]] if quantity else known.values():
            unit = "" if kind == GAIN else o.unit
            what = f"gain error of {o.name}" if kind == GAIN else f"offset of {o.name}"
            size, _, per = str(value).partition(" per ")
            sd, of = _sd(name, size, unit), np.zeros(len(table), dtype=bool)
            of[o.rows] = True
            if quantity or o.name not in out.get(kind, {}):  # the setting of one quantity counts before that of all
                out.setdefault(kind, {})[o.name] = [
                    Nuisance(
                        weight(f"{kind}_{o.name}{end}", unit, sd, what + told, "\\gamma" if kind == GAIN else "c"),
                        (of & same).astype(float),
                        kind == GAIN,
                    )
                    for end, told, same in _groups(name, per.strip(), table, of)
                ]
    return [n for each in out.values() for several in each.values() for n in several]


def _groups(name: str, per: str, table: Table, of: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Ends of names and descriptions, and masks, of the rows that share an error: all, or those of one value of the column ``per``."""
    if not per:
        return [("", "", np.ones(len(table), dtype=bool))]
    texts = [k for k, v in table.columns.items() if v.dtype.kind in "UO"]
    if per not in texts:
        raise unknown(f"column of text for {name}", per, texts)
    values = list(dict.fromkeys(table.columns[per][of].tolist()))
    ends = [re.sub(r"\W+", "_", v).strip("_") or "unnamed" for v in values]
    if twice := [end for end in ends if ends.count(end) > 1]:
        same = ", ".join(repr(v) for v, end in zip(values, ends, strict=True) if end == twice[0])
        raise HmmInferError(f"{name}: the names {same} of {per} differ in signs alone; give them names that differ in letters or digits.")
    return [(f"_{end}", f" of {v or 'unnamed'}", table.columns[per] == v) for v, end in zip(values, ends, strict=True)]


def observed(model: Any, nuisances: Sequence[Nuisance]) -> Any:
    """The model as its instruments see it; the weights are its last parameters."""
    if not nuisances:
        return model
    if not isinstance(model.kernel, Kernel) or model.likelihood == POISSON:
        raise HmmInferError(f"The experiment '{model.experiment}' counts or simulates; it takes neither calibration nor offset.")
    kernel, parameters = model.kernel, list(model.parameters)
    for relative in (True, False):
        group = [n for n in nuisances if n.relative == relative]
        if group:
            kernel = shifted(kernel, np.stack([n.column for n in group], axis=1), relative)
            parameters += [n.parameter for n in group]
    return replace(model, kernel=kernel, parameters=ParameterSet(tuple(parameters)), nuisances=tuple(nuisances))


def _sd(name: str, value: Any, unit: str) -> float:
    """Standard deviation from text such as "3 %" or "0.5 degC": a difference, to which the zero of a scale does not matter."""
    number, own = units.split(str(value), unit)
    sd = number * units.factor(own or unit, unit)
    if not sd > 0.0:
        raise HmmInferError(
            f"{name} is {value}; give the standard deviation of that error, a positive number in {units.name(unit) if unit else '%'}."
        )
    if name.startswith(GAIN) and sd >= 1.0:
        raise HmmInferError(f"{name} is {value}, a gain that is wrong by {100 * sd:g} %; write '{number:g} %' if that is meant.")
    return sd
