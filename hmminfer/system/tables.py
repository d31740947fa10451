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
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hmminfer import errors
from hmminfer.errors import HmmInferError
from hmminfer.system import shown
from hmminfer.system.sheets import SHEETS, sheet_rows

_SETTING = re.compile(r"#\s*([A-Za-z_]\w*)\s*=(?!=)\s*(.*)")
_SETTING_LENGTH = 4000  # characters; a setting is a number, a word or a list of some
REACHED = ("quantity", "value", "unit")  # columns that a row must reach; further cells may be left off


@dataclass(frozen=True)
class RawTable:
    """A data file as text: ``settings`` of its comments, ``rows`` by column names without units, ``lines``: their line numbers in the file.

    ``folder``: where files that its settings name are looked for; ``label``: what a line number counts in messages; ``decimal_comma``: True where
    "3,5" is a number, for the cells are not separated by commas.
    """

    name: str
    source: str
    settings: dict[str, Any]
    header: tuple[str, ...]
    rows: list[dict[str, str]]
    lines: list[int] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    label: str = "Line"
    decimal_comma: bool = False


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no single truth value to compare by
class Table:
    """Checked data: arrays of one length in canonical units; ``sd`` is NaN where unknown, ``line`` as in the file.

    ``settings`` are complete; ``given`` holds, as text with units, those that the file or the user gave. ``warnings``: sentences about what is
    hard to believe in the data. ``n_missing``: rows without a value, ``n_left_out``: rows that the settings leave out.
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
    warnings: tuple[str, ...] = ()
    n_left_out: int = 0

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

    @property
    def replicates(self) -> list[npt.NDArray[np.int64]]:
        """Rows that repeat a measurement: groups of two or more with equal quantity and equal columns."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, key in enumerate(zip(self.quantity.tolist(), *(map(str, c.tolist()) for c in self.columns.values()), strict=True)):
            groups.setdefault(key, []).append(i)
        return [np.array(rows) for rows in groups.values() if len(rows) > 1]


def read_table(path: str | Path) -> RawTable:
    """Read a data file (CSV, or a spreadsheet) as text; only its form is checked here (:meth:`Schema.check` judges the content)."""
    path = Path(path)
    if not is_file(path):
        folder = path.parent
        near = difflib.get_close_matches(path.name[:200], [p.name for p in folder.iterdir()] if is_folder(folder) else [], n=1)
        hint = f"did you mean '{near[0]}'?" if near else "check its name and folder."
        raise HmmInferError(f"There is no file '{str(path)[:200]}': {hint}")
    rows, comments, separator = cells_of(path)
    settings: dict[str, Any] = {}
    for number, line in comments:
        if match := _SETTING.match(line):
            _read_setting(settings, match[1], match[2], f"'{path}', line {number}")
    if not rows:
        raise HmmInferError(f"'{path}' is empty; write a template to see what it should hold.")
    header = tuple(rows[0][1])
    while header and not header[-1]:
        header = header[:-1]
    names = [split_heading(heading)[0] for heading in header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise HmmInferError(f"'{path}' has column {', '.join(map(repr, twice))} more than once; keep one of each.")
    if not rows[1:]:
        raise HmmInferError(f"'{path}' has a header and no rows; add one row for each measured number.")
    reach = max((names.index(name) + 1 for name in REACHED if name in names), default=0)
    for number, row in rows[1:]:
        where = f"'{path}', line {number} has {len(row)} cells for {len(names)} columns"
        if any(row[len(names) :]):
            raise HmmInferError(f"{where}; use a decimal point and no comma inside a cell.")
        if len(row) < reach:
            raise HmmInferError(f"{where}: it is cut short before its {names[reach - 1]}; complete it, with empty cells where nothing is known.")
    text = [dict.fromkeys(names, "") | dict(zip(names, row, strict=False)) for _, row in rows[1:]]
    lines = [number for number, _ in rows[1:]]
    return RawTable(path.stem, str(path), settings, header, text, lines, folder=str(path.parent), decimal_comma=separator != ",")


def from_frame(frame: Any) -> RawTable:
    """A pandas DataFrame as text, with the columns of a data file; messages name rows by their position, from 0."""
    header = tuple(str(name).strip() for name in frame.columns)
    names = [split_heading(heading)[0] for heading in header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise HmmInferError(f"The DataFrame has column {', '.join(map(repr, twice))} more than once; keep one of each.")
    blank = frame.isna().to_numpy()
    cells = frame.to_numpy(dtype=object)
    rows = [
        {name: "" if blank[i, j] else str(cells[i, j]).strip() for j, name in enumerate(names)}  # str of a float is exact
        for i in range(len(frame))
    ]
    if not rows:
        raise HmmInferError("The DataFrame has no rows; give one for each measured number.")
    return RawTable("DataFrame", "DataFrame", {}, header, rows, list(range(len(rows))), label="Row", decimal_comma=True)


def cells_of(path: Path) -> tuple[list[tuple[int, list[str]]], list[tuple[int, str]], str]:
    """Rows of cells that hold something, and the lines of comments, both with their line numbers; and the character that separates cells."""
    if path.suffix.lower() in SHEETS:
        rows = [(number, [cell.strip() for cell in row]) for number, row in sheet_rows(path)]
        comments = [(number, " ".join(filter(None, row))) for number, row in rows if row and row[0].startswith("#")]
        return [(n, row) for n, row in rows if any(row) and not row[0].startswith("#")], comments, ""
    return rows_of(text_of(path).splitlines(), path)


def rows_of(body: list[str], path: Path) -> tuple[list[tuple[int, list[str]]], list[tuple[int, str]], str]:
    """Rows, comments and separator of the lines of a text file, as :func:`cells_of`; lines of comments are blanked."""
    comments, reader, rows = [], None, []
    try:
        for i, line in enumerate(body):
            # a spreadsheet quotes such a line and fills it up with commas
            line = line.strip().rstrip(",;\t")
            line = next(csv.reader([line]))[0] if line.startswith('"#') else line
            if line.startswith("#"):
                body[i] = ""
                comments.append((i + 1, line))
        first = next((line for line in body if line.strip(" ,;\t")), "")
        separator = max(",;\t", key=first.count)
        reader = csv.reader(body, delimiter=separator, skipinitialspace=True, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        line_number = reader.line_num if reader else i + 1
        raise HmmInferError(f"'{path}', line {line_number} is no row of cells ({error}); look for a quotation mark that is not closed.") from error
    return rows, comments, separator


def text_of(path: Path, otherwise: str = "") -> str:
    """Text of a file in UTF-8, in the UTF-16 that spreadsheets call Unicode text, or ``otherwise`` in another encoding."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        if not otherwise:
            raise HmmInferError(f"'{path}' is not UTF-8 text; save it as 'CSV UTF-8'.") from error
        text = data.decode(otherwise, errors="replace")
    except OSError as error:
        raise HmmInferError(f"'{path}' cannot be read ({error.strerror}); check its permissions.") from error
    if "\0" in text:
        raise HmmInferError(f"'{path}' is not a text file (it holds NUL characters); save it as 'CSV UTF-8'.")
    return text


def is_file(path: str | Path) -> bool:
    """True for the path of a file; False for what is no path at all, such as a text too long for one."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """True for the path of a folder; False for what is no path at all."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def write_table(path: str | Path, raw: RawTable, remarks: Iterable[str] = ()) -> None:
    """Write a raw table so that :func:`read_table` returns the same table. An existing file is never overwritten."""
    lines = [*(f"## {remark}" for remark in remarks), *(f"# {k} = {toml(v)}" for k, v in raw.settings.items())]
    names = [split_heading(heading)[0] for heading in raw.header]
    body = csv_text([list(raw.header), *([row.get(name, "") for name in names] for row in raw.rows)])
    write_new(Path(path), "".join(line + "\n" for line in lines) + body)


def split_heading(heading: str) -> tuple[str, str]:
    """Name and unit of a header cell: ``"x [mm]"`` and ``"x (mm)" -> ("x", "mm")``, ``"specimen" -> ("specimen", "")``."""
    match = re.fullmatch(r"(.*?)\s*(?:\[(.*)\]|\((.*)\))", heading.strip())
    return (match[1], (match[2] or match[3] or "").strip()) if match and match[1] else (heading.strip(), "")


def _read_setting(settings: dict[str, Any], key: str, text: str, where: str) -> None:
    if key in settings:
        raise HmmInferError(f"{where}: setting {key!r} is given twice; keep one.")
    try:
        if len(text) > _SETTING_LENGTH:
            raise ValueError
        settings |= tomllib.loads(f"{key} = {text}")
    except (ValueError, RecursionError) as error:
        short = text if len(text) <= 60 else text[:57] + "..."
        remedy = f'write # {key} = "{short.replace('"', "")}" with quotes, or begin a remark with ##'
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
