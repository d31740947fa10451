"""Tables of other forms, turned into a data file: one column for each quantity, or an export of image correlation; every step is said."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hmminfer import models, units
from hmminfer.app import correlation
from hmminfer.app.correlation import PIXEL, TENSOR_SHEAR, TURNED, Export
from hmminfer.errors import HmmInferError, unknown
from hmminfer.system.cells import is_missing
from hmminfer.system.data import Schema
from hmminfer.system.tables import SHEETS, RawTable, cells_of, is_file, rows_of, split_heading, text_of


@dataclass
class Wide:
    """A table with a column for each quantity, as text; ``notes``: what was done with it, in sentences."""

    names: list[str]
    rows: list[list[str]]
    comma: bool = False
    export: Export | None = None
    notes: list[str] = field(default_factory=list)


def converted(
    path: Path,
    model: str = "",
    experiment: str = "",
    columns: Mapping[str, str] | None = None,
    pixel: str = "",
    y_axis: str = "",
    origin: str = "",
    frame: int | None = None,
    constants: Mapping[str, str] | None = None,
) -> tuple[RawTable, str, list[str]]:
    """Data of an experiment from a wide file, the system it is of, and sentences about what was done.

    Parameters
    ----------
    columns : name in the file -> quantity or column, with its unit: ``"displacement_x [px]"``.
    pixel : size of a pixel, "25 um", for what is in pixels.
    y_axis : "up" or "down"; images count downwards, and exports of image correlation are known.
    origin : where the lower left corner of the plate lies in the file's own coordinates, "120, 880 px".
    frame : of several, from 1; the last by default.
    constants : columns that are the same in all rows, and settings of the experiment: ``"12 mL/h"``.
    """
    wide = read_wide(path, frame)
    given = dict(columns or {})
    for name in given:
        if name not in wide.names:
            raise unknown("column of the file", name, wide.names)
    targets = {name: _target(name, given, wide.export) for name in wide.names}
    schema = _schema(model, experiment, {target for target, _ in targets.values()})
    same, settings = _constants(schema, constants or {})
    used = _used(targets, schema, given, set(same))
    numbers = _numbers(wide, used, pixel, schema) | {name: [value] * len(wide.rows) for name, value in same.items()}
    _place(wide, numbers, used, y_axis, origin, pixel)
    rows = _long(numbers, schema)
    others = [name for name in wide.names if name not in used and name]
    wide.notes += [f"Left out: {', '.join(others)}."] if others else []
    quantities = list(dict.fromkeys(row["quantity"] for row in rows))
    if not rows:
        raise HmmInferError(f"'{path}' holds no point with a value; {' '.join(wide.notes)}")
    wide.notes.insert(0, f"{len(rows)} rows of {', '.join(quantities)}.")
    if not any(row["sd"] for row in rows):
        wide.notes.append(f"The sd is not known: fill it in, or give it to fit, --noise '{quantities[0]}=...' or --noise infer.")
    present = [c for c in schema.columns if c.name in numbers]
    header = ("quantity", *(c.heading for c in present), "value", "unit", "sd")
    return RawTable(path.stem, str(path), {"experiment": schema.experiment, **settings}, header, rows), schema.system, wide.notes


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
    numbers = [dict(zip(bare, (_number(cell, wide.comma) for cell in row), strict=False)) for row in wide.rows]
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


def _target(name: str, given: Mapping[str, str], export: Export | None) -> tuple[str, str]:
    """Quantity or column of a name in the file, and its unit."""
    bare, unit = split_heading(name)
    if name in given:
        target, own = split_heading(given[name])
        return target, own or unit
    if export is not None and bare in export.columns:
        target, own = split_heading(export.columns[bare])
        return target, unit or own
    return bare.strip().lower().replace(" ", "_"), unit


def _schema(model: str, experiment: str, names: set[str]) -> Schema:
    """Schema of the experiment, found by its name and by what the file holds."""
    known = {(s, e.name): e.schema for s in ([model] if model else models.names()) for e in models.get(s).EXPERIMENTS.values()}
    found = {key: schema for key, schema in known.items() if not experiment or key[1] == experiment}
    if not found:
        raise unknown("experiment", experiment, dict.fromkeys(e for _, e in known))
    if len(found) > 1:
        found = {key: schema for key, schema in found.items() if names & _measurable(schema)}
    if not found:
        raise HmmInferError(
            "No column of the file is a quantity of an experiment; name the system, and say what the columns are: --column 'NAME=QUANTITY'."
        )
    if len(found) > 1:
        choice = [f"{s} --experiment {e}" for s, e in found]
        raise HmmInferError(f"These columns fit several experiments; write which, like 'hmminfer convert FILE {choice[0]}' (of {', '.join(choice)}).")
    return next(iter(found.values()))


def _measurable(schema: Schema) -> set[str]:
    """Names of quantities that a column of a file may be."""
    return {*schema.quantities, *([TENSOR_SHEAR] if "strain_xy" in schema.quantities else [])}


def _constants(schema: Schema, given: Mapping[str, str]) -> tuple[dict[str, float | str], dict[str, str]]:
    """Columns that are the same in all rows, in canonical units, and settings."""
    columns = {c.name: c for c in schema.columns}
    settings = {s.name: s for s in schema.settings}
    for name in given:
        if name not in columns and name not in settings:
            raise unknown("column or setting", name, [*columns, *settings])
    own = {name: value for name, value in given.items() if name not in columns}
    for name, value in own.items():
        settings[name].read(value)
    return {name: columns[name].read(value, "", "") for name, value in given.items() if name in columns}, own


def _used(targets: Mapping[str, tuple[str, str]], schema: Schema, given: Mapping[str, str], same: set[str]) -> dict[str, tuple[str, str]]:
    """Names in the file that the schema takes, with target and unit."""
    columns = {c.name: c for c in schema.columns}
    sds = {form: q for q in schema.quantities for form in (f"{q}_sd", f"sd_{q}")}
    known = {*_measurable(schema), *columns, *sds}
    for name in given:
        if targets[name][0] not in known:
            raise unknown("quantity or column", targets[name][0], [*schema.quantities, *columns])
    used = {name: target for name, target in targets.items() if target[0] in known}
    taken = [target for target, _ in used.values()]
    if twice := sorted({t for t in taken if taken.count(t) > 1}):
        raise HmmInferError(f"Several columns of the file are {', '.join(twice)}; choose one of each with --column.")
    measured = [t for t in taken if t in _measurable(schema)]
    example = f"--column '{next((n for n in targets if n not in used), 'NAME')}={next(iter(schema.quantities))}'"
    if not measured:
        raise HmmInferError(f"No column of the file is a quantity of {schema.experiment!r} ({', '.join(schema.quantities)}); say which, {example}.")
    for c in schema.columns:
        if any(c.needed_by(q) for q in measured) and c.name not in taken and c.name not in same:
            constant = f" or give its value, --set '{c.name}=...'" if c.kind == "text" or c.name not in ("x", "y") else ""
            raise HmmInferError(
                f"Column {c.name!r} is needed, and no column of the file is called so; say which is, --column 'NAME={c.heading}'{constant}."
            )
    for name, (target, unit) in used.items():
        expected = schema.quantities.get(target) or (columns[target].unit if target in columns else schema.quantities.get(sds.get(target, ""), ""))
        if expected and not unit and not (target in columns and columns[target].kind == "text"):
            raise HmmInferError(f"Column {name!r} has no unit; give it, --column '{name}={target} [{expected}]', in whatever unit it is.")
    return used


def _numbers(wide: Wide, used: Mapping[str, tuple[str, str]], pixel: str, schema: Schema) -> dict[str, list[float | str]]:
    """Numbers of each target in its canonical unit, NaN where there is none; text columns as they are."""
    columns = {c.name: c for c in schema.columns}
    out: dict[str, list[float | str]] = {}
    lost = 0
    for j, name in enumerate(wide.names):
        if name not in used:
            continue
        target, unit = used[name]
        cells = [row[j] if j < len(row) else "" for row in wide.rows]
        if target in columns and columns[target].kind == "text":
            out[target] = list(cells)
            continue
        quantity = "strain_xy" if target == TENSOR_SHEAR else target.removesuffix("_sd").removeprefix("sd_") if target not in columns else ""
        canonical = schema.quantities[quantity] if quantity else columns[target].unit
        if unit.strip().lower() in PIXEL:
            slope, offset = _pixel(pixel, canonical, f"Column {name!r} is"), 0.0
        else:
            offset = units.convert(0.0, unit or canonical, canonical)
            slope = units.factor(unit or canonical, canonical)
            offset = 0.0 if target not in columns and target not in schema.quantities else offset
        values = [_number(cell, wide.comma) for cell in cells]
        lost += sum(math.isnan(v) and not is_missing(cell) for v, cell in zip(values, cells, strict=True))
        factor = 2.0 if target == TENSOR_SHEAR else 1.0
        key = "strain_xy" if target == TENSOR_SHEAR else f"sd_{quantity}" if quantity and quantity != target else target
        out[key] = [factor * (slope * v + offset) for v in values]
    if any(target == TENSOR_SHEAR for target, _ in used.values()):
        wide.notes.append("Shear strains were doubled: there they are components of a tensor, here engineering shear.")
    wide.notes += [f"A pixel is {pixel}."] if pixel else []
    wide.notes += [f"{lost} cells hold no number and were dropped."] if lost else []
    return out


def _place(wide: Wide, numbers: dict[str, list[float | str]], used: Mapping[str, tuple[str, str]], y_axis: str, origin: str, pixel: str) -> None:
    """Turn y upwards and move the origin to the lower left corner, in place."""
    if y_axis not in ("", "up", "down"):
        raise unknown("y-axis", y_axis, ("up", "down"))
    if "y" not in numbers:
        if y_axis or origin:
            raise HmmInferError("There is no column y in these data; leave out --y-axis and --origin.")
        return
    if wide.export is not None and not (y_axis or wide.export.y_axis):
        raise HmmInferError(
            f"{wide.export.name} has y upwards or downwards as its coordinate system was chosen; say which, --y-axis up or --y-axis down."
        )
    down = (y_axis or (wide.export.y_axis if wide.export else "up")) == "down"
    x, y = ([float(v) for v in numbers[k]] for k in ("x", "y"))
    finite = [[v for v in values if math.isfinite(v)] for values in (x, y)]
    if not all(finite):
        return
    if origin:
        x0, y0 = _origin(origin, {t: u for t, u in used.values()}, pixel)
    elif down:
        x0, y0 = min(finite[0]), max(finite[1])
        wide.notes.append("The origin is the lowest point measured on the left; give --origin 'x, y' of the plate's lower left corner otherwise.")
    else:
        if min(*finite[0], *finite[1], 0.0) < 0.0:
            wide.notes.append("x or y is negative: give --origin 'x, y' of the plate's lower left corner.")
        return
    sign = -1.0 if down else 1.0
    numbers["x"], numbers["y"] = [v - x0 for v in x], [sign * (v - y0) for v in y]
    if down:
        turned = [k for k in TURNED if k in numbers]
        for k in turned:
            numbers[k] = [-float(v) for v in numbers[k]]
        wide.notes.append(f"y was turned upwards{' and the sign of ' + ' and '.join(turned) + ' changed' if turned else ''}.")


def _origin(origin: str, given: Mapping[str, str], pixel: str) -> tuple[float, float]:
    """Origin in mm, from numbers in the file's own unit or in one written after them."""
    match = re.fullmatch(r"\s*([^,]+),\s*(\S+)\s*(.*?)\s*", origin)
    if match is None:
        raise HmmInferError(f"The origin is {origin!r}; write two numbers, --origin '120, 880 px'.")
    unit = match[3] or given["x"]
    scale = _pixel(pixel, "mm", "The origin is") if unit.lower() in PIXEL else units.factor(unit, "mm")
    return scale * units.number(match[1].split()[0]), scale * units.number(match[2])


def _pixel(size: str, unit: str, what: str) -> float:
    """Size of a pixel in ``unit``; ``what`` needs it, in words."""
    if not size or units.is_plain(size):
        raise HmmInferError(f"{what} in pixels; give the size of one with its unit, --pixel '25 um'.")
    number = units.parse(size, unit)
    if not number > 0.0:
        raise HmmInferError(f"The size of a pixel is {size}; it must be above zero.")
    return number


def _long(numbers: Mapping[str, list[float | str]], schema: Schema) -> list[dict[str, str]]:
    """Rows of one measured number each; missing ones are left out."""
    rows = []
    present = [c for c in schema.columns if c.name in numbers]
    for quantity, unit in schema.quantities.items():
        for i, value in enumerate(numbers.get(quantity, [])):
            if not math.isfinite(float(value)):
                continue
            at = {c.name: _shown(numbers[c.name][i]) for c in present if not c.quantities or quantity in c.quantities}
            sd = _shown(numbers[f"sd_{quantity}"][i]) if f"sd_{quantity}" in numbers else ""
            rows.append({"quantity": quantity, **at, "value": _shown(value), "unit": unit, "sd": sd})
    return rows


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value + 0.0:.9g}" if math.isfinite(value) else ""


def _number(cell: str, comma: bool) -> float:
    """A cell as a number; NaN where it holds none."""
    try:
        return units.number(cell, comma and "," in cell)
    except HmmInferError:
        return math.nan
