"""The cells of a row of data, from text to numbers in canonical units; each error is one sentence that says what to write."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hmminfer import units
from hmminfer.errors import HmmInferError
from hmminfer.system.settings import within

MISSING = ("", "n/a", "na", "#n/a", "#na", "nan", "null", "none", "-", "\u2013", "\u2014", "missing", "--")
_COUNTED = ("", "1", "-", "count", "counts", "dimensionless")
_UNUSUAL, _EXACT, _FAR = 10.0, 1e-6, 1e6  # an sd over its value, an sd under its value, and a value over the usual, that are asked about


@dataclass(frozen=True)
class Column:
    """One column beside quantity, value, unit and sd; its numbers are in ``unit`` unless the header gives another: ``x [mm]``.

    A ``required`` column must be filled in every row or, if ``quantities`` names some, in the rows of these quantities.
    A blank cell elsewhere reads as NaN, or as "" for text. A cell may give its own unit: ``0.96 %``.

    ``shares``: numbers up to 1 in % may be meant as shares of one, and are asked about unless the cell gives its unit: "any" such number, or only
    if "all" are such, where small percentages are usual too. ``basis`` of a ratio: "volume", "mass" or "amount"; a unit that says another is
    refused. ``remedy``: what to write instead of a cell that cannot be read.
    """

    name: str
    unit: str = ""
    kind: Literal["number", "text"] = "number"
    required: bool = True
    lower: float = -math.inf
    upper: float = math.inf
    description: str = ""
    quantities: tuple[str, ...] = ()
    shares: Literal["", "any", "all"] = ""
    basis: str = ""
    remedy: str = ""

    @property
    def heading(self) -> str:
        """Header cell: ``angle [deg]``."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def needed_by(self, quantity: str) -> bool:
        """True if a row of this quantity must hold the column."""
        return self.required and (not self.quantities or quantity in self.quantities)

    def read(self, text: str, unit: str, quantity: str, comma: bool = False) -> float | str:
        """Content of a cell in ``self.unit``; ``unit`` is that of the header."""
        if self.kind == "text":
            if not text and self.needed_by(quantity):
                raise HmmInferError(f"column {self.name!r} is empty; {quantity!r} needs it, so fill it in.")
            return text
        if is_missing(text):
            if self.needed_by(quantity):
                raise HmmInferError(f"column {self.name!r} is empty; {quantity!r} needs it, so fill it in.")
            return math.nan
        try:
            number, own = _number_and_unit(self.name, text, comma)
            _same_basis(self.name, own or unit, self.basis)
            number = units.convert(number, own or unit or self.unit, self.unit)
        except HmmInferError as error:
            raise HmmInferError(f"{error} {self.remedy}".rstrip()) from None
        within(f"column {self.name!r}", _finite(self.name, number, text, "write a number"), self)
        return number

    def doubts(self, cells: Sequence[tuple[str, int]], unit: str, comma: bool, label: str) -> str:
        """Complaint about cells (text, line) in % that look like shares of one; empty if none do."""
        plain = [(units.number(text, comma), line) for text, line in cells if not is_missing(text) and units.is_plain(text, comma)]
        plain = [(x, line) for x, line in plain if x > 0.0]  # 0 is the same either way
        few = [(x, line) for x, line in plain if x <= 1.0]
        if not self.shares or not units.is_percent(unit or self.unit) or not few or (self.shares == "all" and len(few) < len(plain)):
            return ""
        x, line = few[0]
        if len(few) == len(plain):
            header = f"'{self.name} [1]'"
            return (
                f"No {self.name} is above {max(x for x, _ in few):g} %, and it is in %: {100 * x:g} and not {x:g}. For shares of one write the header as "
                f"{header}; if {x:g} % is meant, write '{x:g} %' in the cells."
            )
        return (
            f"{label} {line}: {self.name} is {x:g} % beside others above 1 %: write {100 * x:g} if a share of one is meant, or '{x:g} %' in the cell if "
            f"it is right ({len(few)} of {len(plain)} rows are such)."
        )


def is_missing(text: str) -> bool:
    """True for a blank cell and for n/a, NaN, - and the like."""
    return text.lower() in MISSING


def count(row: Mapping[str, str], comma: bool) -> tuple[float, float]:
    """Count of a row; it has neither unit nor sd."""
    value, own = _number_and_unit("value", row["value"], comma)
    unit = own or row["unit"]
    if not math.isfinite(value) or value < 0.0 or value != round(value):
        raise HmmInferError(f"{row['quantity']!r} is {value:g}; counts are whole numbers of at least 0: correct it, or leave the cell empty.")
    if unit.lower() not in _COUNTED:
        raise HmmInferError(f"the unit of {row['quantity']!r} is {units.shown(unit)}, but it is counted; leave the unit empty.")
    if not is_missing(row.get("sd", "")):
        raise HmmInferError(f"sd is {row['sd']}, but {row['quantity']!r} is counted: its expectation sets how it varies; leave the sd empty.")
    return value, math.nan


def value_and_sd(row: Mapping[str, str], unit: str, positive: bool, basis: str, comma: bool) -> tuple[float, float]:
    """Value and standard deviation of a row in ``unit``; each cell may give its own unit, and the sd a share of the value in %."""
    quantity = row["quantity"]
    number, own = _number_and_unit("value", row["value"], comma)
    if own and row["unit"] and own != row["unit"]:
        raise HmmInferError(f"value is {row['value']!r} and its unit {row['unit']!r}; give one unit.")
    written = own or row["unit"] or unit
    if unit and not (own or row["unit"]):
        raise HmmInferError(f"the unit of {quantity!r} is empty; write it, for example {unit!r}.")
    _same_basis(quantity, written, basis)
    value = _finite("value", units.convert(number, written, unit), row["value"], "leave the cell empty for a missing point")
    if positive and value <= 0.0:
        raise HmmInferError(f"{quantity} is {value:g} {unit}; it cannot be zero or negative: correct its sign or leave the cell empty.")
    text = row.get("sd", "")
    if is_missing(text):
        return value, math.nan
    sd, own = _number_and_unit("sd", text, comma)
    _finite("sd", sd, text, "leave the cell empty where the noise is not known")
    if sd <= 0.0:
        raise HmmInferError(f"sd is {sd:g}; a standard deviation is positive, or empty where it is not known.")
    if not units.is_percent(own):
        return value, sd * units.factor(own or written, unit)
    if units.is_percent(written) or units.has_offset(written, unit):
        raise HmmInferError(f"sd is {text!r} of a value in {written!r}, which can mean two things; write the number alone, in {written!r}.")
    if value == 0.0:
        raise HmmInferError(f"sd is {text!r} of a value of zero; write it as a number in {units.name(written)!r}.")
    return value, 0.01 * sd * abs(value)


def implausible(quantity: str, unit: str, rows: Sequence[tuple[float, float, int]], usual: Sequence[float], positive: bool, label: str) -> list[str]:
    """Sentences about an sd or a value of one quantity that is hard to believe; ``rows``: value, sd and line, ``usual``: examples.

    An sd is compared with its value where that cannot be zero, else with the root mean square of the quantity.
    """
    largest = max(abs(v) for v, _, _ in rows)
    rms = largest * math.sqrt(sum((v / largest) ** 2 for v, _, _ in rows) / len(rows)) if largest > 0.0 else math.inf
    size = (lambda v: abs(v)) if positive else (lambda v: rms)
    asked = {
        "more than ten times that: are value and sd exchanged, or of different units?": [r for r in rows if r[1] > _UNUSUAL * size(r[0])],
        "less than a millionth of that: is it the sd?": [r for r in rows if math.isfinite(size(r[0])) and r[1] < _EXACT * size(r[0])],
    }
    told = []
    for question, found in asked.items():
        for v, s, line in found[:1]:
            told.append(f"{label} {line}: the sd of {quantity} is {s:g} {unit}".rstrip() + f" and the value {v:g}, {question}{_more(found)}")
    low, high = (min(map(abs, usual)) / _FAR if positive else -1.0, max(map(abs, usual)) * _FAR) if usual else (-1.0, math.inf)
    far = [r for r in rows if not low <= abs(r[0]) <= high]
    for v, _, line in far[:1]:
        told.append(f"{label} {line}: {quantity} is {v:g} {unit}".rstrip() + f", where {usual[0]:g} would be usual: is the unit right?{_more(far)}")
    return told


def _more(found: Sequence[object]) -> str:
    return f" ({len(found)} rows)" if len(found) > 1 else ""


def _same_basis(what: str, unit: str, basis: str) -> None:
    """Refuse a ratio that is taken of another thing than the quantity: masses where volumes are compared."""
    if basis and unit and (theirs := units.basis(unit)) and theirs != basis:
        raise HmmInferError(
            f"{what} is {basis} over {basis}, and its unit {unit!r} is {theirs} over {theirs}: convert the numbers with the densities and leave the "
            "unit empty."
        )


def _number_and_unit(name: str, text: str, comma: bool) -> tuple[float, str]:
    """Number and the cell's own unit, empty if it gives none."""
    try:
        return units.with_own_unit(text, comma)
    except HmmInferError as error:
        raise HmmInferError(f"{name} is {error}") from None


def _finite(name: str, number: float, text: str, remedy: str) -> float:
    if not math.isfinite(number):
        raise HmmInferError(f"{name} is {units.shown(text)}, which is not finite; {remedy}.")
    return number
