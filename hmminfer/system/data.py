"""Data tables: measurements, read from CSV and checked against the schema of an experiment.

The format is long: one row is one measured number. ::

    # experiment = "plate"
    # length = "100 mm"
    ## a line that begins with two hashes is a remark
    quantity,x [mm],y [mm],value,unit,sd
    displacement_x,10.0,5.0,12.3,um,1.0

Lines ``# key = value`` are TOML and hold the settings of the experiment. ``sd`` is the standard deviation of the noise
(unit of the row); an empty ``sd`` is an unknown noise (NaN), an empty ``value`` a missing point (dropped, counted).
:func:`read_table` reads the text as it stands, :class:`Schema` describes the data that an experiment expects, and
:meth:`Schema.check` turns the text into numbers in canonical units, or raises one error that lists all problems.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hmminfer import errors, units
from hmminfer.errors import HmmInferError
from hmminfer.system.tables import RawTable, Table, csv_text, read_table, split_heading, toml, write_new, write_table

__all__ = ["Column", "RawTable", "Schema", "Setting", "Table", "read_settings", "read_table", "write_table", "write_template"]

_BASE_COLUMNS = ("quantity", "value", "unit", "sd")
_SHOWN = 20  # problems listed in full; a file with more of them usually has one cause


@dataclass(frozen=True)
class Column:
    """One column beside quantity, value, unit and sd; its numbers are in ``unit`` unless the header gives another: ``x [mm]``.

    A ``required`` column must be filled in every row or, if ``quantities`` names some, in the rows of these quantities.
    A blank cell elsewhere reads as NaN, or as "" for text.
    """

    name: str
    unit: str = ""
    kind: Literal["number", "text"] = "number"
    required: bool = True
    lower: float = -math.inf
    upper: float = math.inf
    description: str = ""
    quantities: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """Header cell: ``angle [deg]``."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def needed_by(self, quantity: str) -> bool:
        """True if a row of this quantity must hold the column."""
        return self.required and (not self.quantities or quantity in self.quantities)


@dataclass(frozen=True)
class Setting:
    """One known fact of an experiment or a prediction, such as a length. A setting without a default must be given.

    The ``kind`` "numbers" is a list of at least one number, all within the bounds; it is read as an array.
    """

    name: str
    unit: str = ""
    default: Any = None
    kind: Literal["number", "text", "integer", "numbers"] = "number"
    choices: tuple[str, ...] = ()
    lower: float = -math.inf
    upper: float = math.inf
    description: str = ""

    def read(self, value: Any) -> Any:
        """Value in ``unit`` from a number or text with a unit, or several; an error names the setting."""
        if self.kind == "text":
            if self.choices and value not in self.choices:
                raise errors.unknown(self.name, value, self.choices)
            return str(value)
        try:
            if self.kind == "numbers":
                numbers = units.parse_list(value, self.unit)
            else:  # str() so that true, a list or a date is refused as text is
                numbers = np.array([units.parse(value if type(value) in (int, float) else str(value), self.unit)])
        except HmmInferError as error:
            raise HmmInferError(f"Setting {self.name!r}: {error}") from error
        for number in numbers.tolist():
            _within(f"Setting {self.name!r}", number, self)
        if self.kind == "numbers":
            return numbers
        if self.kind == "integer":
            if number != int(number):
                raise HmmInferError(f"Setting {self.name!r} is {number:g}; give a whole number.")
            return int(number)
        return number

    def written(self, value: Any) -> Any:
        """A value returned by :meth:`read`, in a form that :meth:`read` accepts again: numbers as text with their unit."""
        if self.kind in ("text", "integer"):
            return value
        return f"{', '.join(repr(float(x)) for x in np.atleast_1d(value))} {self.unit}".rstrip()

    @property
    def shown(self) -> str:
        """Default as text: "50 um", "1 to 1000 um (61)"."""
        if self.default is None:
            return "must be given"
        if self.kind == "text":
            return self.default or "none"
        numbers = np.atleast_1d(self.default)
        ends = f"{numbers[0]:g}" if numbers.size == 1 else f"{numbers[0]:g} to {numbers[-1]:g}"
        return f"{ends} {self.unit}".rstrip() + (f" ({numbers.size})" if numbers.size > 1 else "")

    @property
    def facts(self) -> str:
        """Description, bounds and choices in words."""
        choices = f"one of {', '.join(self.choices)}" if self.choices else ""
        return ", ".join(filter(None, (self.description, _bounds(self).strip(), choices)))


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


@dataclass(frozen=True)
class Schema:
    """Form of an experiment's data: ``quantities`` (name -> canonical unit), columns, settings, example rows.

    ``positive`` quantities, such as moduli and conductivities, must be above zero; ``counted`` ones must be whole numbers of at least 0 and have
    no sd of their own. ``simulated``: the model's answer is drawn at random, and the sd is the tolerance of approximate Bayesian computation.
    """

    experiment: str
    quantities: dict[str, str]
    columns: tuple[Column, ...] = ()
    settings: tuple[Setting, ...] = ()
    example_rows: tuple[dict[str, Any], ...] = ()
    description: str = ""
    positive: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    simulated: bool = False

    def check(self, raw: RawTable, **overrides: Any) -> Table:
        """Convert every unit and check everything; ``overrides`` replace settings of the file.

        Raises one :class:`HmmInferError` that lists all problems, each with its line in the file.
        """
        problems: list[str] = []

        def attempt(function: Callable[..., Any], *args: Any, where: str = "") -> Any:
            """Result of the call; None after an error, whose message is kept, so that one pass finds every problem."""
            try:
                return function(*args)
            except HmmInferError as error:
                problems.append(where + str(error))
                return None

        given = {**raw.settings, **overrides}
        experiment = given.pop("experiment", self.experiment)
        if experiment != self.experiment:
            problems.append(f"The data are of experiment {experiment!r}, not {self.experiment!r}; choose that one.")
        for name in sorted(given.keys() - {setting.name for setting in self.settings}):
            problems.append(str(errors.unknown("setting", name, [s.name for s in self.settings])))
        settings: dict[str, Any] = {}
        for setting in self.settings:
            value = given.get(setting.name, setting.default)
            if value is None:
                problems.append(f"Setting {setting.name!r} is missing; add a line '{_setting_line(setting)}'.")
            else:
                settings[setting.name] = attempt(setting.read, value)

        known = {column.name: column for column in self.columns}
        header = dict(split_heading(heading) for heading in raw.header)
        for name in header:
            if name not in known and name not in _BASE_COLUMNS:
                problems.append(str(errors.unknown("column", name, [*_BASE_COLUMNS, *known])))
            elif name in known and known[name].kind == "number":
                attempt(units.factor, header[name] or known[name].unit, known[name].unit, where=f"Column {name!r}: ")
            elif header[name]:
                problems.append(f"Column {name!r} takes no unit in its header; write {name!r} alone.")
        needed = ["quantity", "value", "unit", *(c.name for c in self.columns if c.required and not c.quantities)]
        if missing := [name for name in needed if name not in header]:
            problems.append(f"Missing column {', '.join(map(repr, missing))}; add it to the header and to every row.")
        if problems:  # rows read under a wrong header would only repeat the same complaint on every line
            raise _report(raw, problems)

        kept: list[tuple[str, float, float, int, list[Any]]] = []
        for row, line in zip(raw.rows, raw.lines or range(1, len(raw.rows) + 1), strict=True):
            where = f"Line {line}: "
            row = {name: str(row.get(name, "")).strip() for name in header}
            if (quantity := row["quantity"]) not in self.quantities:
                problems.append(where + str(errors.unknown("quantity", quantity, self.quantities)))
            elif row["value"]:
                at = [attempt(_cell, c, row.get(c.name, ""), header.get(c.name, ""), quantity, where=where) for c in self.columns]
                numbers = attempt(self._value_and_sd, row, where=where)
                kept.append((quantity, *(numbers or (math.nan, math.nan)), line, at))
        if not problems and not kept:
            problems.append("Every value is empty; fill in at least one.")
        if problems:
            raise _report(raw, problems)
        quantities = [quantity for quantity, *_ in kept]
        return Table(
            name=raw.name,
            experiment=self.experiment,
            quantity=np.array(quantities),
            columns={column.name: np.array([at[i] for *_, at in kept]) for i, column in enumerate(self.columns)},
            value=np.array([value for _, value, *_ in kept]),
            sd=np.array([sd for _, _, sd, *_ in kept]),
            unit=np.array([self.quantities[quantity] for quantity in quantities]),
            line=np.array([line for *_, line, _ in kept]),
            settings=settings,
            n_missing=len(raw.rows) - len(kept),
            provenance=raw.provenance,
            given={s.name: s.written(settings[s.name]) for s in self.settings if s.name in given},
        )

    def _value_and_sd(self, row: Mapping[str, str]) -> tuple[float, float]:
        quantity = row["quantity"]
        if quantity in self.counted:
            return _count(row)
        return _value_and_sd(row, self.quantities[quantity], quantity in self.positive)

    def blank(self, settings: Mapping[str, Any], rows: Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]]) -> Table:
        """A table without values, for predictions. ``settings`` are read and checked, defaults filled in; ``rows`` maps them to the quantity of each
        row and to columns by name (shorter ones are continued with NaN).
        """
        s = read_settings(self.settings, settings)
        quantity, given = rows(s)
        n = len(quantity)
        columns = {c.name: np.full(n, np.nan) for c in self.columns}
        for name, values in given.items():
            columns[name][: len(values)] = values
        unit = np.array([self.quantities[q] for q in quantity])
        nothing = np.full(n, np.nan)
        return Table("grid", self.experiment, np.array(quantity), columns, nothing, nothing, unit, np.arange(n), s, 0, {})

    def pick(self, *names: str) -> tuple[Setting, ...]:
        """Settings of the given names, for a prediction that takes no others."""
        known = {s.name: s for s in self.settings}
        return tuple(known[name] for name in names)

    def template(self) -> str:
        """CSV text to fill in: every quantity, column and setting explained, then example rows to replace."""
        remarks = [f"Data of the experiment '{self.experiment}'. {self.description}".rstrip()]
        remarks.append("One row is one measured number. Lines with two hashes are remarks; replace the example rows.")
        remarks.append("quantity: what was measured, one of:")
        remarks += [f"    {name} ({units.name(unit)})" for name, unit in self.quantities.items()]
        for c in self.columns:
            need = f"needed for {', '.join(c.quantities)}" if c.quantities else "needed"
            need = need if c.required else "may be blank"
            remarks.append(f"{c.heading}: " + ", ".join(filter(None, (c.description, _bounds(c).strip(), c.kind, need))))
        remarks.append("value: the number; leave it empty for a missing point")
        if self.simulated:
            remarks.append("unit: unit of value and sd; any unit of the right kind, empty for dimensionless")
            remarks.append("sd: the tolerance, how near simulated values must come, beyond what happens at random")
        elif set(self.counted) < set(self.quantities):
            remarks.append("unit: unit of value and sd; any unit of the right kind, empty for dimensionless")
            remarks.append("sd: standard deviation of the noise; leave it empty where it is not known")
        if self.counted:
            remarks.append(f"{', '.join(self.counted)}: whole numbers; leave unit and sd empty")
        lines = [f"## {remark}" for remark in remarks]
        lines.append(f"# experiment = {json.dumps(self.experiment)}")
        for s in self.settings:
            lines += [f"## {s.name}: {s.facts}", _setting_line(s)]
        names = ["quantity", *(c.name for c in self.columns), "value", "unit", "sd"]
        headings = ["quantity", *(c.heading for c in self.columns), "value", "unit", "sd"]
        return "\n".join(lines) + "\n" + csv_text([headings, *([row.get(n, "") for n in names] for row in self.example_rows)])


def write_template(path: str | Path, schema: Schema) -> None:
    """Write ``schema.template()`` to a new file. An existing file is never overwritten."""
    write_new(Path(path), schema.template())


def _count(row: Mapping[str, str]) -> tuple[float, float]:
    value = _number("value", row["value"], "leave the cell empty for a missing point")
    if value < 0.0 or value != round(value):
        raise HmmInferError(f"{row['quantity']!r} is {value:g}; counts are whole numbers of at least 0: correct it, or leave the cell empty.")
    if row.get("sd"):
        raise HmmInferError(f"sd is {row['sd']}, but {row['quantity']!r} is counted: its expectation sets how it varies; leave the sd empty.")
    return value, math.nan


def _value_and_sd(row: Mapping[str, str], unit: str, positive: bool) -> tuple[float, float]:
    written = row["unit"] or unit
    if unit and not row["unit"]:
        raise HmmInferError(f"the unit of {row['quantity']!r} is empty; write it, for example {unit!r}.")
    value = units.convert(_number("value", row["value"], "leave the cell empty for a missing point"), written, unit)
    if positive and value <= 0.0:
        raise HmmInferError(f"{row['quantity']} is {value:g} {unit}; it cannot be zero or negative: correct its sign or leave the cell empty.")
    if not row.get("sd"):
        return value, math.nan
    sd = _number("sd", row["sd"], "leave the cell empty where the noise is not known")
    if sd <= 0.0:
        raise HmmInferError(f"sd is {sd:g}; a standard deviation is positive, or empty where it is not known.")
    return value, sd * units.factor(written, unit)


def _cell(column: Column, text: str, unit: str, quantity: str) -> float | str:
    if not text:
        if column.needed_by(quantity):
            raise HmmInferError(f"column {column.name!r} is empty; {quantity!r} needs it, so fill it in.")
        return math.nan if column.kind == "number" else ""
    if column.kind == "text":
        return text
    number = units.convert(_number(column.name, text, "write a number"), unit or column.unit, column.unit)
    _within(f"column {column.name!r}", number, column)
    return number


def _number(name: str, text: str, remedy: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise HmmInferError(f"{name} is {text!r}, which is not a number; use digits and a decimal point.") from None
    if not math.isfinite(number):
        raise HmmInferError(f"{name} is {text!r}, which is not finite; {remedy}.")
    return number


def _within(what: str, number: float, limits: Column | Setting) -> None:
    if not limits.lower <= number <= limits.upper:
        raise HmmInferError(f"{what} is {number:g} {limits.unit}".rstrip() + f"; it must be{_bounds(limits)}.")


def _bounds(limits: Column | Setting) -> str:
    low, high, unit = limits.lower, limits.upper, f" {limits.unit}".rstrip()
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" at least {low:g}{unit}"
    return f" at most {high:g}{unit}" if math.isinf(low) else f" between {low:g} and {high:g}{unit}"


def _setting_line(setting: Setting) -> str:
    value = "?" if setting.default is None else setting.default  # "?" is refused when read: it must be filled in
    if setting.kind == "numbers" and value != "?":
        value = setting.written(value)
    elif setting.unit and (value == "?" or not isinstance(value, str)):
        value = f"{value} {setting.unit}"
    return f"# {setting.name} = {toml(value)}"


def _report(raw: RawTable, problems: list[str]) -> HmmInferError:
    head = f"The data '{raw.source or raw.name}' cannot be used ({len(problems)} problem{'s' * (len(problems) > 1)}):"
    more = [f"and {len(problems) - _SHOWN} more."] if len(problems) > _SHOWN else []
    return HmmInferError("\n  ".join([head, *problems[:_SHOWN], *more]))
