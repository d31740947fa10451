"""The two forms of a data table, text and numbers, and the CSV files that hold the text.

Only the form of a file is checked here; :mod:`hmminfer.system.data` checks the content and converts units.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hmminfer import errors
from hmminfer.errors import HmmInferError
from hmminfer.system import shown

_SETTING = re.compile(r"#\s*([A-Za-z_]\w*)\s*=(?!=)\s*(.*)")


@dataclass(frozen=True)
class RawTable:
    """A data file as text: ``settings`` of its comments, ``rows`` by column names without units, ``lines``: their line numbers in the file."""

    name: str
    source: str
    settings: dict[str, Any]
    header: tuple[str, ...]
    rows: list[dict[str, str]]
    lines: list[int] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no single truth value to compare by
class Table:
    """Checked data: arrays of one length in canonical units; ``sd`` is NaN where unknown, ``line`` as in the file.

    ``settings`` are complete; ``given`` holds, as text with units, those that the file or the user gave.
    """

    name: str
    experiment: str
    quantity: npt.NDArray[np.str_]
    columns: dict[str, npt.NDArray[Any]]
    value: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    unit: npt.NDArray[np.str_]
    line: npt.NDArray[np.int64]
    settings: dict[str, Any]
    n_missing: int
    provenance: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return shown.table_text(self)

    def _repr_html_(self) -> str:
        return shown.table_html(self)

    def select(self, quantity: str) -> Table:
        """The rows of one quantity, in the order of the file."""
        if quantity not in self.quantity:
            raise errors.unknown("quantity", quantity, sorted(set(self.quantity.tolist())))
        return self.take(np.flatnonzero(self.quantity == quantity))

    def take(self, rows: npt.NDArray[np.int64]) -> Table:
        """The given rows, in the given order."""
        arrays = {name: getattr(self, name)[rows] for name in ("quantity", "value", "sd", "unit", "line")}
        return replace(self, columns={name: column[rows] for name, column in self.columns.items()}, **arrays)


def read_table(path: str | Path) -> RawTable:
    """Read a data file as text; only its form is checked here (:meth:`Schema.check` judges the content)."""
    path = Path(path)
    if not path.is_file():
        folder = path.parent
        near = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir()] if folder.is_dir() else [], n=1)
        hint = f"did you mean '{near[0]}'?" if near else "check its name and folder."
        raise HmmInferError(f"There is no file '{path}': {hint}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise HmmInferError(f"'{path}' is not UTF-8 text; save it as 'CSV UTF-8'.") from error
    settings: dict[str, Any] = {}
    body = text.splitlines()
    for i, line in enumerate(body):
        # a spreadsheet quotes such a line and fills it up with commas
        line = line.strip().rstrip(",;\t")
        line = next(csv.reader([line]))[0] if line.startswith('"#') else line
        if line.startswith("#"):
            body[i] = ""
            if match := _SETTING.match(line):
                _read_setting(settings, match[1], match[2], f"'{path}', line {i + 1}")
    for key, value in settings.items():  # a setting that names a file beside the data means that file, wherever one stands
        if isinstance(value, str) and value and (path.parent / value).is_file():
            settings[key] = str(path.parent / value)
    first = next((line for line in body if line.strip(" ,;\t")), None)
    if first is None:
        raise HmmInferError(f"'{path}' is empty; write a template to see what it should hold.")
    reader = csv.reader(body, delimiter=max(",;\t", key=first.count), skipinitialspace=True)
    cells = [([cell.strip() for cell in row], reader.line_num) for row in reader if any(map(str.strip, row))]
    header = tuple(cells[0][0])
    while header and not header[-1]:
        header = header[:-1]
    names = [split_heading(heading)[0] for heading in header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise HmmInferError(f"'{path}' has column {', '.join(map(repr, twice))} more than once; keep one of each.")
    for row, number in cells[1:]:
        if any(row[len(names) :]):
            what = f"has {len(row)} cells for {len(names)} columns"
            raise HmmInferError(f"'{path}', line {number} {what}; use a decimal point and no comma inside a cell.")
    if not cells[1:]:
        raise HmmInferError(f"'{path}' has a header and no rows; add one row for each measured number.")
    rows = [dict.fromkeys(names, "") | dict(zip(names, row, strict=False)) for row, _ in cells[1:]]
    return RawTable(path.stem, str(path), settings, header, rows, [number for _, number in cells[1:]])


def write_table(path: str | Path, raw: RawTable, remarks: tuple[str, ...] = ()) -> None:
    """Write a raw table so that :func:`read_table` returns the same table. An existing file is never overwritten."""
    lines = [*(f"## {remark}" for remark in remarks), *(f"# {k} = {toml(v)}" for k, v in raw.settings.items())]
    names = [split_heading(heading)[0] for heading in raw.header]
    body = csv_text([list(raw.header), *([row.get(name, "") for name in names] for row in raw.rows)])
    write_new(Path(path), "".join(line + "\n" for line in lines) + body)


def split_heading(heading: str) -> tuple[str, str]:
    """Name and unit of a header cell: ``"x [mm]" -> ("x", "mm")``, ``"specimen" -> ("specimen", "")``."""
    match = re.fullmatch(r"(.*?)\s*\[(.*)\]", heading.strip())
    return (match[1], match[2].strip()) if match else (heading.strip(), "")


def _read_setting(settings: dict[str, Any], key: str, text: str, where: str) -> None:
    if key in settings:
        raise HmmInferError(f"{where}: setting {key!r} is given twice; keep one.")
    try:
        settings |= tomllib.loads(f"{key} = {text}")
    except tomllib.TOMLDecodeError as error:
        remedy = f'write # {key} = "{text.replace('"', "")}" with quotes, or begin a remark with ##'
        raise HmmInferError(f"{where}: setting {key!r} is not valid; {remedy}.") from error


def toml(value: Any) -> str:
    """Value as TOML."""
    return json.dumps(value, ensure_ascii=False)  # text, numbers, true, false and lists are written alike in TOML and JSON


def csv_text(rows: list[list[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_new(path: Path, text: str) -> None:
    """Write text to a file that must not exist yet."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise HmmInferError(f"'{path}' exists already and is not overwritten; choose another name or move it.") from None
    except OSError as error:
        raise HmmInferError(f"'{path}' cannot be written ({error.strerror}); choose another folder.") from error
