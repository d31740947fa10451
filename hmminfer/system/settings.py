"""Settings: known facts of an experiment or a prediction, declared with unit, bounds and choices, and how each is read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from hmminfer import errors, units
from hmminfer.errors import HmmInferError
from hmminfer.system.tables import is_file, toml


class Bounded(Protocol):
    """A number that is declared with a unit, bounds, and what to write instead of one outside."""

    @property
    def unit(self) -> str: ...
    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...
    @property
    def remedy(self) -> str: ...


@dataclass(frozen=True)
class Setting:
    """One known fact of an experiment or a prediction, such as a length. A setting without a default must be given.

    The ``kind`` "numbers" is a list of at least one number, all within the bounds; it is read as an array. A "file" is the path of one: beside
    the data file that gives it, or in the working folder if the user gives it. ``shares``: of a setting in %, a plain number between 0 and 1
    may be meant as a share of one, and is asked about. ``remedy``: what to write instead of a number out of bounds.
    ``only``: another setting and the value of it for which this one counts.
    """

    name: str
    unit: str = ""
    default: Any = None
    kind: Literal["number", "text", "integer", "numbers", "file"] = "number"
    choices: tuple[str, ...] = ()
    lower: float = -math.inf
    upper: float = math.inf
    description: str = ""
    shares: bool = False
    remedy: str = ""
    only: tuple[str, str] = ("", "")

    def read(self, value: Any) -> Any:
        """Value in ``unit`` from a number or text with a unit, or several; an error names the setting."""
        if self.kind in ("text", "file"):
            return self._text(value)
        try:
            if self.kind == "numbers":
                numbers = units.parse_list(value, self.unit)
            else:  # str() so that true, a list or a date is refused as text is
                numbers = np.array([units.parse(value if type(value) in (int, float) else str(value), self.unit)])
        except (HmmInferError, OverflowError) as error:
            raise HmmInferError(f"Setting {self.name!r}: {error}") from error
        for number in numbers.tolist():
            within(f"Setting {self.name!r}", number, self)
        if self.kind == "numbers":
            return numbers
        if self.shares and 0.0 < number < 1.0 and units.is_plain(value):
            raise HmmInferError(
                f"Setting {self.name!r} is {number:g}, and it is in %: write '{100 * number:g} %' if a share of one is meant, or '{number:g} %'."
            )
        if self.kind == "integer":
            if number != int(number):
                raise HmmInferError(f"Setting {self.name!r} is {number:g}; give a whole number.")
            return int(number)
        return number

    def _text(self, value: Any) -> str:
        if not isinstance(value, str | int | float | Path) or isinstance(value, bool):
            raise HmmInferError(
                f"Setting {self.name!r} is {units.shown(str(value))}, which is no text; write it in quotes, several with commas in it."
            )
        text = str(value)
        if self.choices and text not in self.choices:
            raise errors.unknown(self.name, text, self.choices)
        if self.kind == "file" and text and not is_file(text):
            raise HmmInferError(f"Setting {self.name!r}: there is no file {units.shown(text)}; check its name and folder.")
        return text

    def written(self, value: Any) -> Any:
        """A value returned by :meth:`read`, in a form that :meth:`read` accepts again: numbers as text with their unit."""
        if self.kind in ("text", "integer", "file"):
            return value
        return f"{', '.join(repr(float(x)) for x in np.atleast_1d(value))} {self.unit}".rstrip()

    @property
    def shown(self) -> str:
        """Default as text: "50 um", "1 to 1000 um (61)"."""
        if self.default is None:
            return "must be given"
        if self.kind in ("text", "file"):
            return self.default or "none"
        numbers = np.atleast_1d(self.default)
        ends = f"{numbers[0]:g}" if numbers.size == 1 else f"{numbers[0]:g} to {numbers[-1]:g}"
        return f"{ends} {self.unit}".rstrip() + (f" ({numbers.size})" if numbers.size > 1 else "")

    @property
    def facts(self) -> str:
        """Description, bounds and choices in words."""
        choices = f"one of {', '.join(self.choices)}" if self.choices else ""
        name, value = self.only
        only = f"for {name} = {value}" if value else f"without a {name}" if name else ""
        return ", ".join(filter(None, (self.description, only, bounds(self).strip(), choices)))

    @property
    def line(self) -> str:
        """The line of a data file that gives the default; "?" is refused when read, and must be filled in."""
        value = "?" if self.default is None else self.default
        if self.kind == "numbers" and value != "?":
            value = self.written(value)
        elif self.unit and (value == "?" or not isinstance(value, str)):
            value = f"{value} {self.unit}"
        return f"# {self.name} = {toml(value)}"


def read_settings(known: Iterable[Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """All known settings, read and checked: the given value, or the default of a setting that is not given or None."""
    settings = {s.name: s for s in known}
    for name in given:
        if name not in settings:
            raise errors.unknown("setting", name, settings)
    read = {}
    for name, setting in settings.items():
        value = setting.default if given.get(name) is None else given[name]
        if value is None:
            raise HmmInferError(f"Setting {name!r} is missing; give it in {units.name(setting.unit)}.")
        read[name] = setting.read(value)
    return read


def within(what: str, number: float, limits: Bounded) -> None:
    """Raise an error if a number is out of bounds; it says what to write instead."""
    if limits.lower <= number <= limits.upper:
        return
    remedy = f" {limits.remedy}" if limits.remedy else ""
    if not limits.unit and limits.upper <= 1.0 < number <= 100.0 * limits.upper:
        remedy = f" If it is in %, say so: '{number:g} %' in the cell, or [%] in the header.{remedy}"
    raise HmmInferError(f"{what} is {number:g} {limits.unit}".rstrip() + f"; it must be{bounds(limits)}.{remedy}")


def bounds(limits: Bounded) -> str:
    """Bounds in words: " between 0 and 100 %"; empty if there are none."""
    low, high, unit = limits.lower, limits.upper, f" {limits.unit}".rstrip()
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" at least {low:g}{unit}"
    return f" at most {high:g}{unit}" if math.isinf(low) else f" between {low:g} and {high:g}{unit}"
