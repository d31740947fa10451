"""Units: text such as ``"3.5 GPa"`` in, plain floats in one agreed unit out.

Units are written as people write them: ``GPa``, ``N/mm``, ``1/K``, ``um`` or ``µm``, ``deg``, ``%``, ``microstrain``
(1e-6). The empty unit ``""`` means dimensionless. Angles do not convert to dimensionless numbers, so that degrees are
never taken for strains. This file alone uses pint, and imports it on first use because that takes about a second.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from hmminfer import errors

if TYPE_CHECKING:
    import pint

COMMON = (
    *("m", "cm", "mm", "um", "nm", "s", "min", "h", "day", "kg", "g", "mol", "K", "degC", "deg", "rad"),
    *("N", "kN", "mN", "Pa", "kPa", "MPa", "GPa", "N/mm", "N/m", "J", "W", "Hz", "V", "A"),
    *("W/m/K", "1/K", "microstrain", "%", "dimensionless"),
)
"""Units offered as the remedy when one is not understood; every other unit that pint knows works too."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$", re.DOTALL)


def parse(value: str | float, unit: str) -> float:
    """Number in ``unit`` from text with a unit (``"3.5 GPa"``) or from a plain number, which is in ``unit`` already.

    Raises :class:`~hmminfer.errors.HmmInferError` for text that is not a finite number, an unknown unit, or a unit of
    another kind.

    >>> parse("3.5 GPa", "MPa"), parse(3.5, "GPa")
    (3500.0, 3.5)
    """
    if isinstance(value, str):
        match = _NUMBER.match(value)
        if match is None:
            raise errors.HmmInferError(f"{value!r} is not a number with a unit; write it like '3.5 {unit}'.")
        number, written = float(match[1]), match[2]
        if re.match(r"[\d.,](?!/)", written):  # "3,5" and "1 000" would otherwise be read as 3 and 1 of an odd unit
            raise errors.HmmInferError(f"{value!r} is not a number with a unit; use a decimal point and no separators, like '3.5 {unit}'.")
        number = convert(number, written, unit) if written else number
    else:
        number = float(value)
    if not math.isfinite(number):
        raise errors.HmmInferError(f"{value!r} is not a finite number; give a number in {name(unit)}.")
    return number


def parse_list(value: Any, unit: str) -> npt.NDArray[np.float64]:
    """Numbers in ``unit`` from a number, a sequence of numbers or texts, or text such as ``"0, 15, 30 deg"``.

    A unit after the last number counts for all; otherwise every number has its own, or none has.

    >>> parse_list("1, 2 mm", "um"), parse_list([500, "2 mm"], "um")
    (array([1000., 2000.]), array([ 500., 2000.]))
    """
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        written = [bool((match := _NUMBER.match(part)) and match[2]) for part in parts]
        if any(written) and not all(written):
            if any(written[:-1]):
                message = f"{value!r} gives a unit to some of its numbers; write one after the last, or one for each."
                raise errors.HmmInferError(message)
            last = _NUMBER.match(parts[-1])
            parts = [f"{part} {last[2] if last else ''}" for part in parts[:-1]] + parts[-1:]
        return np.array([parse(part, unit) for part in parts])
    values = np.asarray(value, dtype=object)
    if values.ndim > 1 or values.size == 0:
        raise errors.HmmInferError(f"{value!r} is not a list of numbers; write numbers in {name(unit)}, like 10, 20.")
    return np.array([parse(x if isinstance(x, str) else _plain(x), unit) for x in np.atleast_1d(values)])


def _plain(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise errors.HmmInferError(f"{value!r} is not a number; give numbers, or text with a unit.") from None


@overload
def convert(values: float, from_unit: str, to_unit: str) -> float: ...
@overload
def convert(values: npt.NDArray[np.float64], from_unit: str, to_unit: str) -> npt.NDArray[np.float64]: ...
def convert(values: Any, from_unit: str, to_unit: str) -> Any:
    """Number or array from one unit to another: ``slope * values + offset`` (the offset is for degC and the like)."""
    slope, offset = _affine(from_unit.strip(), to_unit.strip())
    return slope * values + offset


def factor(from_unit: str, to_unit: str) -> float:
    """Factor from ``from_unit`` to ``to_unit``, for differences and standard deviations, in which offsets cancel."""
    return _affine(from_unit.strip(), to_unit.strip())[0]


def name(unit: str) -> str:
    """The unit as shown in messages: ``"dimensionless"`` for the empty one."""
    return unit or "dimensionless"


@functools.cache
def _affine(from_unit: str, to_unit: str) -> tuple[float, float]:
    if from_unit == to_unit:  # nothing to convert, so pint is not needed at all
        return 1.0, 0.0
    source, target = _unit(from_unit), _unit(to_unit)
    # root units, not dimensions: pint holds an angle to be dimensionless, but its root unit is the radian
    source_root, target_root = (_registry().get_root_units(unit)[1] for unit in (source, target))
    if source_root != target_root:
        raise errors.HmmInferError(
            f"Unit {name(from_unit)!r} (in base units {source_root}) cannot be converted to {name(to_unit)!r} "
            f"({target_root}); give the number in {name(to_unit)} or another unit of the same kind."
        )
    zero, one, two = (_registry().Quantity(x, source).to(target).magnitude for x in (0.0, 1.0, 2.0))
    if not math.isclose(two - one, one - zero, rel_tol=1e-6):
        raise errors.HmmInferError(f"Unit {from_unit!r} is not proportional to {name(to_unit)!r}; give the number in {name(to_unit)}.")
    # 1 GPa = 1000 MPa comes out exactly; only an offset unit pays the rounding of a difference
    return (one, 0.0) if zero == 0.0 else (round(one - zero, 12), zero)


@functools.cache
def _unit(text: str) -> pint.Unit:
    try:
        return _registry().parse_units(text)
    except Exception as error:  # pint raises a different type for each way a unit can be malformed
        for unit in COMMON:
            if unit.lower() == text.lower():
                message = f"Unknown unit {text!r}. Did you mean {unit!r}? Capital letters matter in units."
                raise errors.HmmInferError(message) from error
        raise errors.unknown("unit", text, COMMON) from error


@functools.cache
def _registry() -> pint.UnitRegistry[float]:
    import pint

    return pint.UnitRegistry()
