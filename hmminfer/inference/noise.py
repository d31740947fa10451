"""The noise of the data: known for each row, or unknown up to a scale for each quantity.

A row without a stated noise is given the share :data:`ASSUMED` of the root mean square of its quantity. If the noise is inferred, this is only
the unit of its scale, whose prior is wide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hmminfer import units
from hmminfer.errors import HmmInferError, unknown
from hmminfer.inference.discrepancy import scale
from hmminfer.system.parameters import Parameter
from hmminfer.system.priors import Gamma, LogNormal
from hmminfer.system.tables import Table

ASSUMED = 0.03
ROUNDING = 1e-13  # relative error of a solve in double precision, at best
COLUMN = "column"  # the noise of the data's own column sd, by name
SCALE_OF = "noise_scale_"  # and the name of the quantity: unknown factor of its sd
TAIL = Parameter("noise_nu", "", Gamma(20.0, 14.0), "degrees of freedom of the noise; small where there are outliers", 0.0, symbol="\\nu")
"""Juarez & Steel 2010 (J. Bus. Econ. Stat. 28:52) recommend Gamma(2, 0.1), which has this mean and standard deviation."""


def stated_or_assumed(table: Table, share: float = ASSUMED) -> np.ndarray:
    """The sd of each row; for a row that states none, a share of the root mean square of its quantity."""
    return np.where(np.isfinite(table.sd), table.sd, share * scale(table))


def student(noise: Any) -> tuple[bool, Any]:
    """True if a noise has Student's law, and the noise of its scales: "student" is that of the column sd, "student(3%)" is "3%"."""
    match = re.fullmatch(r"\s*student\s*(?:\((.*)\))?\s*", noise) if isinstance(noise, str) else None
    return (False, noise) if match is None else (True, match[1])


def settled(table: Table, noise: Any) -> tuple[np.ndarray, tuple[Parameter, ...]]:
    """Known sd of every row, and the unknown scales of a noise that is inferred; ``noise`` as in :func:`hmminfer.fit`."""
    noise = student(noise)[1]
    if noise is None or (isinstance(noise, str) and noise == COLUMN):
        missing = np.flatnonzero(~np.isfinite(table.sd))
        if missing.size:
            raise HmmInferError(
                f"{missing.size} rows have no sd, the first in line {table.line[missing[0]]}; fill the column in, or give noise as a number, "
                "a share such as '3%', one value for each quantity, or 'infer'."
            )
        return table.sd, ()
    if isinstance(noise, str) and (share := _inferred(noise)) is not None:
        return stated_or_assumed(table, share), tuple(
            Parameter(f"{SCALE_OF}{q}", "", LogNormal(1.0, 1.0), f"noise of {q} over the stated sd ({share * 100:g} % of rms where none)", 0.0)
            for q in dict.fromkeys(table.quantity.tolist())
        )
    if isinstance(noise, str) and noise.strip().endswith("%"):
        sd = units.parse(noise, "") * np.abs(table.value)
    elif isinstance(noise, Mapping):
        sd = np.array(table.sd)
        for q, value in noise.items():
            if q not in table.quantity:
                raise unknown("quantity", q, dict.fromkeys(table.quantity.tolist()))
            rows = table.quantity == q
            share = _share(q, value, str(table.unit[rows][0]))
            sd[rows] = units.parse(value, str(table.unit[rows][0])) if share is None else share * np.abs(table.value[rows])
    else:
        try:
            if isinstance(noise, str) and "_" in noise:  # Python's own spelling of 10 is 1_0
                raise ValueError(noise)
            sd = np.broadcast_to(np.asarray(noise, dtype=float), (len(table),)).copy()
        except (ValueError, TypeError):
            raise HmmInferError(
                f"The noise {noise!r} is not one number or one for each of the {len(table)} rows; give it in the unit of the rows, "
                "as a share such as '3%', as one value for each quantity, or as 'infer'."
            ) from None
    if (small := np.flatnonzero(sd < ROUNDING * np.abs(table.value))).size and not np.any(sd <= 0):
        i = small[0]
        raise HmmInferError(
            f"The noise of {table.quantity[i]} in line {table.line[i]} is {sd[i]:g} {table.unit[i]}".rstrip()
            + f", less than the rounding of its value {table.value[i]:g}; give the noise of the measurement."
        )
    bad = np.flatnonzero(~(np.isfinite(sd) & (sd > 0)))
    if bad.size:
        raise HmmInferError(
            f"The noise of {table.quantity[bad[0]]} in line {table.line[bad[0]]} is {sd[bad[0]]:g} {table.unit[bad[0]]}".rstrip()
            + "; a standard deviation is positive and finite, and a share in % needs a value that is not zero."
        )
    return sd, ()


def written(noise: Any) -> Any:
    """The same noise with every default written out: "column" for None, "infer(3%)" for "infer"."""
    if noise is None:
        return COLUMN
    heavy, scales = student(noise)
    if heavy:
        return f"student({written(scales)})"
    return f"infer({ASSUMED * 100:g}%)" if isinstance(noise, str) and noise == "infer" else noise


def _share(quantity: str, value: Any, unit: str) -> float | None:
    """The share of each value that "3 %" or "3 % of value" means; None for an sd. Of a number without a unit, "3 %" may be either, and is refused."""
    match = re.fullmatch(r"(.*%)\s*(of\s+(?:the\s+)?values?)?\s*", value) if isinstance(value, str) else None
    if match is None or (units.is_percent(unit) and not match[2]):
        return None
    if not unit and not match[2]:
        sd = units.parse(match[1], "")
        raise HmmInferError(
            f"The noise {value} of {quantity} may be a share of each value, or {sd:g}: write '{match[1].strip()} of value', or '{sd:g}'."
        )
    return units.parse(match[1], "")


def _inferred(noise: str) -> float | None:
    """The assumed share of "infer" or "infer(5%)"; None for other noise."""
    if noise == "infer":
        return ASSUMED
    match = re.fullmatch(r"infer\((.*)\)", noise)
    return None if match is None else units.parse(match[1], "")
