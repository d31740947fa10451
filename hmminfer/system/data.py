"""Data tables: measurements, read from CSV and checked against the schema of an experiment.

The format is long: one row is one measured number. ::

    # experiment = "plate"
    # length = "100 mm"
    ## a line that begins with two hashes is a remark
    quantity,x [mm],y [mm],value,unit,sd
    displacement_x,10.0,5.0,12.3,um,1.0

Lines ``# key = value`` are TOML and hold the settings of the experiment. ``sd`` is the standard deviation of the noise
(unit of the row, or a share of the value: ``3 %``); an empty ``sd`` is an unknown noise (NaN), an empty ``value`` a missing point (dropped,
counted). :func:`read_table` reads the text as it stands, :class:`Schema` describes the data that an experiment expects, and
:meth:`Schema.check` turns the text into numbers in canonical units, or raises one error that lists all problems.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hmminfer import errors, units
from hmminfer.errors import HmmInferError
from hmminfer.system import cells
from hmminfer.system.cells import Column
from hmminfer.system.settings import Setting, bounds, read_settings
from hmminfer.system.tables import RawTable, Table, csv_text, is_file, read_table, split_heading, write_new, write_table

__all__ = ["Column", "RawTable", "Schema", "Setting", "Table", "read_settings", "read_table", "write_table", "write_template"]

_BASE_COLUMNS = ("quantity", "value", "unit", "sd")
_SHOWN = 20  # problems listed in full; a file with more of them usually has one cause


@dataclass(frozen=True)
class Schema:
    """Form of an experiment's data: ``quantities`` (name -> canonical unit), columns, settings, example rows.

    ``positive`` quantities, such as moduli and conductivities, must be above zero; ``counted`` ones must be whole numbers of at least 0 and have
    no sd of their own. ``simulated``: the model's answer is drawn at random, and the sd is the tolerance of approximate Bayesian computation.
    ``definitions``: what a quantity is, where its name does not say it; ``basis`` of quantities that are ratios, see :class:`Column`;
    ``arbitrary``: quantities whose scale means nothing, so that their unit may be a.u.
    ``system`` and ``elsewhere`` (quantity or column -> other experiments that have it) are for messages, set by the catalogue.
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
    definitions: Mapping[str, str] = field(default_factory=dict)
    basis: Mapping[str, str] = field(default_factory=dict)
    arbitrary: tuple[str, ...] = ()
    system: str = ""
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def check(self, raw: RawTable, **overrides: Any) -> Table:
        """Convert every unit and check everything; ``overrides`` replace settings of the file.

        Raises one :class:`HmmInferError` that lists all problems, each with its line in the file.
        """
        problems: list[tuple[str, str]] = []  # place and message

        def attempt(function: Callable[..., Any], *args: Any, where: str = "", about: str = "") -> Any:
            """Result of the call; None after an error, whose message is kept, so that one pass finds every problem."""
            try:
                return function(*args)
            except HmmInferError as error:
                problems.append((where, about + str(error)))
                return None

        raw = self.located(raw)
        settings, given = self._read_settings({**raw.settings, **overrides}, attempt)
        header = self._read_header(raw, attempt)
        comma = False if problems else attempt(self._decimal_comma, raw, header)
        if problems:  # rows read under a wrong header would only repeat the same complaint on every line
            raise _report(raw, problems)

        kept: list[tuple[str, float, float, int, list[Any]]] = []
        seen: list[tuple[int, dict[str, str]]] = []
        for row, line in zip(raw.rows, raw.lines or range(1, len(raw.rows) + 1), strict=True):
            where = f"{raw.label} {line}"
            row = {name: str(row.get(name, "")).strip() for name in header}
            if (quantity := row["quantity"]) not in self.quantities:
                problems.append((where, self._unknown("quantity", quantity, self.quantities)))
            elif not cells.is_missing(row["value"]):
                at = [attempt(c.read, row.get(c.name, ""), header.get(c.name, ""), quantity, comma, where=where) for c in self.columns]
                numbers = attempt(self._value_and_sd, row, comma, where=where)
                kept.append((quantity, *(numbers or (math.nan, math.nan)), line, at))
                seen.append((line, row))
        for c in self.columns if not problems else ():
            if doubt := c.doubts([(row.get(c.name, ""), line) for line, row in seen], header.get(c.name, ""), comma, raw.label):
                problems.append(("", doubt))
        if not problems and not kept:
            problems.append(("", "Every value is empty; fill in at least one."))
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
            warnings=tuple(self._warnings(kept, raw.label)),
        )

    def located(self, raw: RawTable) -> RawTable:
        """The same table with files that its settings name found beside the data file, wherever one stands."""
        files = {s.name for s in self.settings if s.kind == "file"}
        found = {k: str(Path(raw.folder) / v) for k, v in raw.settings.items() if k in files and isinstance(v, str) and v}
        return replace(raw, settings={**raw.settings, **{k: v for k, v in found.items() if is_file(v)}}) if raw.folder else raw

    def _read_settings(self, given: dict[str, Any], attempt: Callable[..., Any]) -> tuple[dict[str, Any], set[str]]:
        """All settings, read, and the names of those given."""
        experiment = given.pop("experiment", self.experiment)
        if experiment != self.experiment:
            attempt(_refuse, f"The data are of experiment {experiment!r}, not {self.experiment!r}; choose that one.")
        for name in sorted(given.keys() - {setting.name for setting in self.settings}):
            attempt(_refuse, str(errors.unknown("setting", name, [s.name for s in self.settings])))
        settings: dict[str, Any] = {}
        for setting in self.settings:
            value = given.get(setting.name, setting.default)
            if value is None:
                attempt(_refuse, f"Setting {setting.name!r} is missing; add a line '{setting.line}'.")
            else:
                settings[setting.name] = attempt(setting.read, value)
        return settings, set(given)

    def _read_header(self, raw: RawTable, attempt: Callable[..., Any]) -> dict[str, str]:
        """Unit in the header of each column, by name."""
        known = {column.name: column for column in self.columns}
        header = dict(split_heading(heading) for heading in raw.header)
        strange = [name for name in header if name not in known and name not in _BASE_COLUMNS]
        if "quantity" not in header or len(strange) > 2:
            attempt(_refuse, self._not_long(list(header)))
            return header
        for name in header:
            if name in strange:
                attempt(_refuse, self._unknown("column", name, [*_BASE_COLUMNS, *known]))
            elif name in known and known[name].kind == "number":
                attempt(units.factor, header[name] or known[name].unit, known[name].unit, about=f"Column {name!r}: ")
            elif header[name]:
                attempt(_refuse, f"Column {name!r} takes no unit in its header; write {name!r} alone.")
        needed = ["quantity", "value", "unit", *(c.name for c in self.columns if c.required and not c.quantities)]
        if missing := [name for name in needed if name not in header]:
            attempt(_refuse, f"Missing column {', '.join(map(repr, missing))}; add it to the header and to every row.")
        return header

    def _not_long(self, names: list[str]) -> str:
        """Sentence for a file of another form."""
        shown = ", ".join(repr(name[:30]) for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        own = any(name.lower() in self.quantities for name in names)
        other = next((self.elsewhere[name.lower()] for name in names if name.lower() in self.elsewhere), "") if not own else ""
        belong = f" (some belong to the experiment {other})" if other else ""
        command = f"{self.system or 'SYSTEM'} --experiment {re.sub("'| or .*", '', other) or self.experiment}"
        return (
            f"Its columns {shown} are not those of the experiment {self.experiment!r}{belong}, whose rows hold one measured number each, in the columns "
            f"{', '.join(['quantity', *(c.heading for c in self.columns), 'value', 'unit', 'sd'])}: fill in what 'hmminfer template {command}' writes, "
            f"or turn a table with a column for each quantity, or an export of image correlation, into it with 'hmminfer convert FILE {command}'."
        )

    def _unknown(self, kind: str, name: str, known: Any) -> str:
        """Sentence for an unknown quantity or column, and the experiment that it belongs to."""
        other = self.elsewhere.get(name, "")
        return str(errors.unknown(kind, name[:60], known)) + (f" It belongs to the experiment {other}." if other else "")

    def _decimal_comma(self, raw: RawTable, header: Mapping[str, str]) -> bool:
        """True if numbers are written with a decimal comma; both ways in one file are refused."""
        if not raw.decimal_comma:
            return False
        numbers = ["value", "sd", *(c.name for c in self.columns if c.kind == "number" and c.name in header)]
        texts = [str(row.get(name, "")) for row in raw.rows for name in numbers]
        comma = next((text for text in texts if re.match(r"\s*[-+]?\d*,\d", text)), "")
        point = next((text for text in texts if re.match(r"\s*[-+]?\d*\.\d", text)), "")
        if comma and point:
            raise HmmInferError(f"Numbers are written with a comma ({comma!r}) and with a point ({point!r}); use the decimal point for all.")
        return bool(comma)

    def _warnings(self, kept: list[tuple[str, float, float, int, list[Any]]], label: str) -> list[str]:
        """Sentences about values and sds that are hard to believe."""
        told = []
        for quantity, unit in self.quantities.items():
            rows = [(value, sd, line) for q, value, sd, line, _ in kept if q == quantity]
            usual = [
                float(units.convert(float(r["value"]), r.get("unit") or unit, unit))
                for r in self.example_rows
                if r["quantity"] == quantity and r["value"]
            ]
            if rows and quantity not in self.counted:
                told += cells.implausible(quantity, unit, rows, usual, quantity in self.positive, label)
        return told

    def _value_and_sd(self, row: Mapping[str, str], comma: bool) -> tuple[float, float]:
        quantity = row["quantity"]
        if quantity in self.counted:
            return cells.count(row, comma)
        if quantity in self.arbitrary and units.is_arbitrary(row["unit"]):
            row = {**row, "unit": ""}
        try:
            return cells.value_and_sd(row, self.quantities[quantity], quantity in self.positive, self.basis.get(quantity, ""), comma)
        except HmmInferError as error:
            unlike = self.basis.get(quantity) and units.basis(row["unit"])
            raise HmmInferError(
                f"{error} ({quantity}: {self.definitions[quantity]}.)" if unlike and quantity in self.definitions else str(error)
            ) from None

    def blank(self, settings: Mapping[str, Any], rows: Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]]) -> Table:
        """A table without values, for predictions. ``settings`` have been read; defaults are filled in. ``rows`` maps them to the quantity of each
        row and to columns by name (shorter ones are continued with NaN).
        """
        s = {**read_settings(self.settings, {}), **settings}
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
        told = {name: f": {text}" for name, text in self.definitions.items()}
        remarks += [f"    {name} ({units.name(unit)}){told.get(name, '')}" for name, unit in self.quantities.items()]
        for c in self.columns:
            need = f"needed for {', '.join(c.quantities)}" if c.quantities else "needed"
            need = need if c.required else "may be blank"
            remarks.append(f"{c.heading}: " + ", ".join(filter(None, (c.description, bounds(c).strip(), c.kind, need, c.remedy.rstrip(".")))))
        remarks.append("value: the number; leave it empty for a missing point")
        if self.simulated:
            remarks.append("unit: unit of value and sd; any unit of the right kind, empty for dimensionless")
            remarks.append("sd: the tolerance, how near simulated values must come, beyond what happens at random")
        elif set(self.counted) < set(self.quantities):
            remarks.append("unit: unit of value and sd; any unit of the right kind, empty for dimensionless")
            remarks.append("sd: standard deviation of the noise, or its share of the value (3 %); leave it empty where it is not known")
            remarks.append("rows that repeat a measurement are replicates, independent of each other: each counts with its own sd")
        if self.counted:
            remarks.append(f"{', '.join(self.counted)}: whole numbers; leave unit and sd empty")
        lines = [f"## {remark}" for remark in remarks]
        lines.append(f"# experiment = {json.dumps(self.experiment)}")
        for s in self.settings:
            lines += [f"## {s.name}: {s.facts}", s.line]
        names = ["quantity", *(c.name for c in self.columns), "value", "unit", "sd"]
        headings = ["quantity", *(c.heading for c in self.columns), "value", "unit", "sd"]
        return "\n".join(lines) + "\n" + csv_text([headings, *([row.get(n, "") for n in names] for row in self.example_rows)])


def write_template(path: str | Path, schema: Schema) -> None:
    """Write ``schema.template()`` to a new file. An existing file is never overwritten."""
    write_new(Path(path), schema.template())


def _refuse(message: str) -> None:
    raise HmmInferError(message)


def _report(raw: RawTable, problems: list[tuple[str, str]]) -> HmmInferError:
    """One error of all problems; a complaint that several lines share is said once, with their numbers."""
    places: dict[str, list[str]] = {}
    for where, message in problems:
        places.setdefault(message, []).append(where.removeprefix(f"{raw.label} "))
    said = []
    for message, lines in places.items():
        if not lines[0]:
            said.append(message)
            continue
        more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
        said.append(f"{raw.label}{'s' * (len(lines) > 1)} {', '.join(lines[:3])}{more}: {message}")
    head = f"The data '{raw.source or raw.name}' cannot be used ({len(problems)} problem{'s' * (len(problems) > 1)}):"
    rest = [f"and {len(said) - _SHOWN} more."] if len(said) > _SHOWN else []
    return HmmInferError("\n  ".join([head, *said[:_SHOWN], *rest]))
