"""A table with a column for each quantity, as it lies in a file: delimited text, a spreadsheet, or an export of image correlation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from hmminfer import units
from hmminfer.app import correlation
from hmminfer.app.correlation import Export
from hmminfer.errors import HmmInferError
from hmminfer.system.cells import is_missing
from hmminfer.system.tables import SHEETS, cells_of, is_file, rows_of, split_heading, text_of


@dataclass
class Wide:
    """A table with a column for each quantity, as text; ``notes``: what was done with it, in sentences."""

    names: list[str]
    rows: list[list[str]]
    comma: bool = False
    export: Export | None = None
    notes: list[str] = field(default_factory=list)


def read_wide(path: Path, frame: int | None = None) -> Wide:
    """The table of a file; failed points of an export are dropped and counted."""
    if not is_file(path):
        raise HmmInferError(f"There is no file '{path}'; check its name and folder.")
    if path.suffix.lower() == ".mat":
        arrays, number, count = correlation.ncorr_columns(path, frame)
        rows = [[repr(float(x)) for x in row] for row in zip(*arrays.values(), strict=True)]
        wide = Wide(list(arrays), rows, export=correlation.NCORR)
        wide.notes += [f"Frame {number} of {count}, in the reference configuration."]
    elif path.suffix.lower() in SHEETS:
        cells = [row for _, row in cells_of(path)[0]]
        wide = Wide(cells[0] if cells else [], cells[1:], comma=True)
    else:
        body = _with_header(text_of(path, "cp1252").splitlines())  # of its names and numbers, all letters are plain
        first = next((line for line in body if line.strip()), "")
        if not re.search(r"[,;\t]", first):
            body = [re.sub(r"\s+", "\t", line.strip()) for line in body]
        found, _, separator = rows_of(body, path)
        cells = [row for _, row in found]
        wide = Wide(cells[0] if cells else [], cells[1:], comma=separator != ",")
    if not wide.rows:
        raise HmmInferError(f"'{path}' has no rows under a header; give a table with a name over each column.")
    if beyond := max((len(row) for row in wide.rows), default=0) - len(wide.names):
        wide.notes += [f"Cells beyond the {len(wide.names)} names of the header are left out."] if beyond > 0 else []
    if twice := sorted({name for name in wide.names if name and wide.names.count(name) > 1}):
        raise HmmInferError(f"'{path}' has column {', '.join(map(repr, twice))} more than once; keep one of each.")
    wide.export = wide.export or correlation.export_of([_bare(name) for name in wide.names])
    _drop_failed(wide, path)
    return wide


def _with_header(lines: list[str]) -> list[str]:
    """Lines without DICe's remarks; the last comment is the header where numbers follow it and it has a name for each: ``#  ID; x [mm]``."""
    lines = ["" if line.startswith("***") else line for line in lines]
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)
    separator = next((mark for mark in ";\t," if mark in "".join(lines[first : first + 1])), "")
    if first and lines[first - 1].startswith("#") and separator:
        cells, names = lines[first].split(separator), lines[first - 1].lstrip("# ").split(separator)
        if len(cells) == len(names) and all(units.is_plain(cell) or is_missing(cell.strip()) for cell in cells):
            lines[first - 1] = separator.join(name.strip() for name in names)
    return lines


def _bare(name: str) -> str:
    return split_heading(name)[0]


def _drop_failed(wide: Wide, path: Path) -> None:
    """Drop failed points of an export, and strains that were never computed."""
    if wide.export is None:
        return
    wide.notes.append(f"Read as an export of {wide.export.name}.")
    bare = [_bare(name) for name in wide.names]
    numbers = [dict(zip(bare, (number(cell, wide.comma) for cell in row), strict=False)) for row in wide.rows]
    if any(row.get("MODEL_DISPLACEMENT_X", 0.0) for row in numbers):
        raise HmmInferError(
            f"'{path}' is of a stereo analysis, whose pixels are no displacements; map its own, --column 'MODEL_DISPLACEMENT_X=displacement_x [mm]'."
        )
    kept = [i for i, row in enumerate(numbers) if not wide.export.failed(row)]
    if len(kept) < len(wide.rows):
        wide.notes.append(f"{len(wide.rows) - len(kept)} of {len(wide.rows)} points failed there and were dropped.")
    empty = [
        name for name in bare if name in wide.export.columns and "strain" in wide.export.columns[name] and not any(numbers[i].get(name) for i in kept)
    ]
    keep = [j for j, name in enumerate(bare) if name not in empty]
    wide.notes += [f"{', '.join(empty)} are zero everywhere, so were not computed there, and are left out."] if empty else []
    wide.rows = [[wide.rows[i][j] for j in keep if j < len(wide.rows[i])] for i in kept]
    wide.names = [wide.names[j] for j in keep]


def number(cell: str, comma: bool) -> float:
    """A cell as a number; NaN where it holds none."""
    try:
        return units.number(cell, comma and "," in cell)
    except HmmInferError:
        return math.nan
