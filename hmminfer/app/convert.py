"""Tables of other forms, turned into a data file: one column for each quantity, or an export of image correlation; every step is said."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hmminfer import models, units
from hmminfer.app.correlation import PIXEL, TENSOR_SHEAR, TURNED, Export
from hmminfer.app.wide import Wide, number, read_wide
from hmminfer.errors import HmmInferError, unknown
from hmminfer.system.cells import is_missing
from hmminfer.system.data import Schema
from hmminfer.system.tables import RawTable, split_heading


@dataclass(frozen=True)
class Target:
    """Meaning of a column of the file: quantity or column of the data, its unit, and columns that are the same in all its rows."""

    name: str
    unit: str = ""
    at: Mapping[str, float | str] = field(default_factory=dict)


@dataclass
class Series:
    """Measured values of a column in canonical units, their sd, and where they were measured as far as the column says it."""

    quantity: str
    values: list[float]
    sd: list[float]
    at: dict[str, float | str]


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
    columns : name in the file -> quantity or column, with its unit and where it was measured: ``"displacement_x [px]"``,
        ``"temperature [K] at x=10 mm, y=5 mm"``.
    pixel : size of a pixel, "25 um", for what is in pixels.
    y_axis : "up" or "down"; images count downwards, and exports of image correlation are known.
    origin : where the lower left corner of the plate lies in the file's own coordinates, "120, 880 px".
    frame : of several, from 1; the last by default.
    constants : columns that are the same in all rows, and settings of the experiment: ``"12 mL/h"``.
    """
    wide = read_wide(path, frame)
    given = _given(columns or {}, wide.names)
    schemas = _schemas(model, experiment)
    known = {name for schema in schemas.values() for name in (*_measurable(schema), *(c.name for c in schema.columns))}
    targets = {name: given.get(name) or _target(name, wide.export, known) for name in wide.names}
    schema = _schema(schemas, targets, constants or {}, named=bool(model))
    wide.notes += [f"Read as the experiment {schema.experiment!r}."] if len(schemas) > 1 else []
    same, settings = _constants(schema, constants or {})
    targets = {name: _settled(target, schema) for name, target in targets.items()}
    used = _used(targets, schema, set(given), set(same))
    guessed = [name for name, target in used.items() if target.unit and target.unit == _after_underscore(name)[1] and not _with_unit(name)[1]]
    wide.notes += [
        f"{name} is taken in {used[name].unit}, as its name ends; if it is not, say --column '{name}={used[name].name} [unit]'." for name in guessed
    ]
    series, places = _numbers(wide, used, pixel, schema)
    places |= {name: [value] * len(wide.rows) for name, value in same.items()}
    _place(wide, series, places, used, y_axis, origin, pixel)
    rows = _long(series, places, schema)
    others = [name for name in wide.names if name not in used and name]
    wide.notes += [f"Left out: {', '.join(others)}."] if others else []
    quantities = list(dict.fromkeys(row["quantity"] for row in rows))
    if not rows:
        raise HmmInferError(f"'{path}' holds no point with a value; {' '.join(wide.notes)}")
    wide.notes.insert(0, f"{len(rows)} rows of {', '.join(quantities)}.")
    if not any(row["sd"] for row in rows):
        wide.notes.append(f"The sd is not known: fill it in, or give it to fit, --noise '{quantities[0]}=...' or --noise infer.")
    present = [c for c in schema.columns if c.name in places or any(c.name in one.at for one in series)]
    header = ("quantity", *(c.heading for c in present), "value", "unit", "sd")
    return RawTable(path.stem, str(path), {"experiment": schema.experiment, **settings}, header, rows), schema.system, wide.notes


def _given(columns: Mapping[str, str], names: list[str]) -> dict[str, Target]:
    """Meanings that the user states, by names in the file; a name may be written without its unit."""
    bare = {split_heading(name)[0]: name for name in names}
    out = {}
    for name, text in columns.items():
        own = name if name in names else bare.get(name)
        if own is None:
            raise unknown("column of the file", name, names)
        what, _, places = text.partition(" at ") if "=" in text else (text, "", "")
        at = dict(part.split("=", 1) for part in places.split(",") if "=" in part)
        if places and len(at) < len(places.split(",")):
            raise HmmInferError(f"{places!r} says not where {name!r} was measured; write --column '{name}={what} at angle=90 deg, specimen=A'.")
        target, unit = split_heading(what)
        out[own] = Target(target, unit or _with_unit(own)[1] or _after_underscore(own)[1], {k.strip(): v.strip() for k, v in at.items()})
    return out


def _target(name: str, export: Export | None, known: set[str]) -> Target:
    """Quantity or column of a name in the file, and its unit: of ``"Time [min]"``, ``"time (min)"`` and ``"time_min"`` alike."""
    bare, unit = _with_unit(name)
    if export is not None and bare in export.columns:
        target, own = split_heading(export.columns[bare])
        return Target(target, unit or own)
    plain = bare.strip().lower().replace(" ", "_")
    start, end = _after_underscore(bare)
    return Target(start.lower(), end) if plain not in known and start.lower() in known and not unit else Target(plain, unit)


def _settled(target: Target, schema: Schema) -> Target:
    """The same with its places as numbers in canonical units, so that 0 deg and 0deg are one place; a place that is no column is named later."""
    columns = {c.name: c for c in schema.columns}
    unit = "1" if target.name in schema.arbitrary and units.is_arbitrary(target.unit) else target.unit
    return replace(target, unit=unit, at={k: columns[k].read(str(v), "", "") if k in columns else v for k, v in target.at.items()})


def _with_unit(name: str) -> tuple[str, str]:
    """Name and unit of a heading, brackets or not: of ``"filler vol%"`` it is vol%."""
    bare, unit = split_heading(name)
    start, _, end = bare.rpartition(" ")
    return (start, end) if not unit and start and units.is_percent(end) else (bare, unit)


def _after_underscore(name: str) -> tuple[str, str]:
    """Name and unit of ``"time_min"``; no unit where the end is none."""
    start, _, end = name.strip().replace(" ", "_").rpartition("_")
    return (start, end) if start and not end.isdigit() and units.is_unit(end) else (name, "")


def _schemas(model: str, experiment: str) -> dict[tuple[str, str], Schema]:
    """Schemas of the experiments that may be meant, by system and name."""
    known = {(s, e.name): e.schema for s in ([model] if model else models.names()) for e in models.get(s).EXPERIMENTS.values()}
    found = {key: schema for key, schema in known.items() if not experiment or key[1] == experiment}
    if not found:
        raise unknown("experiment", experiment, dict.fromkeys(e for _, e in known))
    return found


def _schema(found: Mapping[tuple[str, str], Schema], targets: Mapping[str, Target], same: Iterable[str], named: bool) -> Schema:
    """Schema of the one experiment that the columns of the file fit."""
    if len(found) == 1:
        return next(iter(found.values()))
    names = {target.name for target in targets.values()}
    present = {*names, *same, *(place for target in targets.values() for place in target.at)}
    fitting = {key: schema for key, schema in found.items() if names & _measurable(schema)}
    if not fitting:
        of = "; ".join(f"{e}: {', '.join(schema.quantities)}" for (_, e), schema in found.items())
        what = f"of {next(iter(found))[0]} ({of})" if named else "that is known; name the system, 'hmminfer convert FILE SYSTEM' (hmminfer models)"
        example = f"--column '{next(iter(targets))}=QUANTITY'"
        raise HmmInferError(f"No column of the file ({', '.join(map(repr, targets))}) is a quantity {what}; say what the columns are, {example}.")
    if len(fitting) > 1:  # those that lack none of their columns
        whole = {key: s for key, s in fitting.items() if all(c.name in present for c in s.columns if any(c.needed_by(q) for q in names))}
        fitting = whole if len(whole) == 1 else fitting
    if len(fitting) > 1:
        choice = [f"{s} --experiment {e}" for s, e in fitting]
        raise HmmInferError(f"These columns fit several experiments; write which, like 'hmminfer convert FILE {choice[0]}' (of {', '.join(choice)}).")
    return next(iter(fitting.values()))


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


def _used(targets: Mapping[str, Target], schema: Schema, given: set[str], same: set[str]) -> dict[str, Target]:
    """Names in the file that the schema takes, and what they are."""
    columns = {c.name: c for c in schema.columns}
    known = {*_measurable(schema), *columns, *_sds(schema)}
    for name in given:
        for told in (targets[name].name, *targets[name].at):
            if told not in (known if told == targets[name].name else columns):
                raise unknown("quantity or column", told, [*schema.quantities, *columns])
    used = {name: target for name, target in targets.items() if target.name in known}
    if placed := [name for name, target in used.items() if target.name in columns and target.at]:
        raise HmmInferError(
            f"Column {placed[0]!r} says where it was measured, and is no measured quantity itself; convert a file of each specimen or curve, and join them."
        )
    taken: list[tuple[Any, ...]] = [(target.name, *sorted(target.at.items())) for target in used.values()]
    if twice := sorted({t[0] for t in taken if taken.count(t) > 1}):
        at = f"--column 'NAME={twice[0]} at {next(iter(columns), 'specimen')}=...'"
        raise HmmInferError(f"Several columns of the file are {', '.join(twice)}; choose one of each with --column, or say how they differ, {at}.")
    measured = [target for target in used.values() if target.name in _measurable(schema)]
    example = f"--column '{next((n for n in targets if n not in used), 'NAME')}={next(iter(schema.quantities))}'"
    if not measured:
        raise HmmInferError(f"No column of the file is a quantity of {schema.experiment!r} ({', '.join(schema.quantities)}); say which, {example}.")
    present = {target.name for target in used.values()} | same
    lacking = [c for c in schema.columns if any(c.needed_by(target.name) and c.name not in {*present, *target.at} for target in measured)]
    if lacking:
        say = " ".join(f"--column 'NAME={c.heading}'" for c in lacking)
        same_in_all = [c.name for c in lacking if c.kind == "text" or c.name not in ("x", "y")]
        constant = f"; or, where it is the same in all rows, its value: {' '.join(f"--set '{c}=...'" for c in same_in_all)}" if same_in_all else ""
        what = "Columns " + ", ".join(repr(c.name) for c in lacking) + " are" if len(lacking) > 1 else f"Column {lacking[0].name!r} is"
        raise HmmInferError(f"{what} needed, and no column of the file is called so; say which is, {say}{constant}.")
    for name, target in used.items():
        column = columns.get(target.name)
        expected = column.unit if column else schema.quantities[_quantity(target.name, schema)]
        if expected and not target.unit and not (column and column.kind == "text"):
            raise HmmInferError(f"Column {name!r} has no unit; give it, --column '{name}={target.name} [{expected}]', in whatever unit it is.")
    return used


def _sds(schema: Schema) -> dict[str, str]:
    """Quantity by the names that a column of its sd may have."""
    return {form: q for q in schema.quantities for form in (f"{q}_sd", f"sd_{q}")}


def _quantity(target: str, schema: Schema) -> str:
    """Quantity that a target is, or whose sd it is."""
    return "strain_xy" if target == TENSOR_SHEAR else _sds(schema).get(target, target)


def _numbers(wide: Wide, used: Mapping[str, Target], pixel: str, schema: Schema) -> tuple[list[Series], dict[str, list[float | str]]]:
    """Series and columns in canonical units, NaN where there is no number; text columns as they are."""
    columns = {c.name: c for c in schema.columns}
    sds = _sds(schema)
    places: dict[str, list[float | str]] = {}
    series: dict[tuple[Any, ...], Series] = {}
    spread: dict[tuple[Any, ...], list[float]] = {}
    lost = 0
    for j, name in enumerate(wide.names):
        if name not in used:
            continue
        target = used[name]
        cells = [row[j] if j < len(row) else "" for row in wide.rows]
        if (column := columns.get(target.name)) is not None and column.kind == "text":
            places[target.name] = list(cells)
            continue
        quantity = _quantity(target.name, schema)
        canonical = column.unit if column else schema.quantities[quantity]
        if target.unit.strip().lower() in PIXEL:
            slope, offset = _pixel(pixel, canonical, f"Column {name!r} is"), 0.0
        else:
            slope = units.factor(target.unit or canonical, canonical)
            offset = 0.0 if target.name in sds else units.convert(0.0, target.unit or canonical, canonical)
        slope *= 2.0 if target.name == TENSOR_SHEAR else 1.0
        values = [number(cell, wide.comma) for cell in cells]
        lost += sum(math.isnan(v) and not is_missing(cell) for v, cell in zip(values, cells, strict=True))
        values = [slope * v + offset for v in values]
        key = (quantity, *sorted(target.at.items()))
        if column:
            places[target.name] = list(values)
        elif target.name in sds:
            spread[key] = values
        else:
            series[key] = Series(quantity, values, [], dict(target.at))
    if lonely := [key for key in spread if len(key) > 1 and key not in series]:
        raise HmmInferError(
            f"An sd of {lonely[0][0]} at {', '.join(f'{k} = {v}' for k, v in lonely[0][1:])} has no column of values there; correct one."
        )
    for key, one in series.items():
        one.sd = spread.get(key) or spread.get(key[:1]) or [math.nan] * len(one.values)
    if any(target.name == TENSOR_SHEAR for target in used.values()):
        wide.notes.append("Shear strains were doubled: there they are components of a tensor, here engineering shear.")
    wide.notes += [f"A pixel is {pixel}."] if pixel else []
    wide.notes += [f"{lost} cells hold no number and were dropped."] if lost else []
    return list(series.values()), places


def _place(
    wide: Wide, series: list[Series], places: dict[str, list[float | str]], used: Mapping[str, Target], y_axis: str, origin: str, pixel: str
) -> None:
    """Turn y upwards and move the origin to the lower left corner, in place."""
    if y_axis not in ("", "up", "down"):
        raise unknown("y-axis", y_axis, ("up", "down"))
    if "y" not in places:
        if y_axis or origin:
            raise HmmInferError("There is no column y in these data; leave out --y-axis and --origin.")
        return
    if wide.export is not None and not (y_axis or wide.export.y_axis):
        raise HmmInferError(
            f"{wide.export.name} has y upwards or downwards as its coordinate system was chosen; say which, --y-axis up or --y-axis down."
        )
    down = (y_axis or (wide.export.y_axis if wide.export else "up")) == "down"
    x, y = ([float(v) for v in places[k]] for k in ("x", "y"))
    finite = [[v for v in values if math.isfinite(v)] for values in (x, y)]
    if not all(finite):
        return
    if origin:
        x0, y0 = _origin(origin, {t.name: t.unit for t in used.values()}, pixel)
    elif down:
        x0, y0 = min(finite[0]), max(finite[1])
        wide.notes.append("The origin is the lowest point measured on the left; give --origin 'x, y' of the plate's lower left corner otherwise.")
    else:
        if min(*finite[0], *finite[1], 0.0) < 0.0:
            wide.notes.append("x or y is negative: give --origin 'x, y' of the plate's lower left corner.")
        return
    sign = -1.0 if down else 1.0
    places["x"], places["y"] = [v - x0 for v in x], [sign * (v - y0) for v in y]
    if down:
        turned = [one for one in series if one.quantity in TURNED]
        for one in turned:
            one.values = [-v for v in one.values]
        signs = f" and the sign of {' and '.join(one.quantity for one in turned)} changed" if turned else ""
        wide.notes.append(f"y was turned upwards{signs}.")


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


def _long(series: Iterable[Series], places: Mapping[str, list[float | str]], schema: Schema) -> list[dict[str, str]]:
    """Rows of one measured number each; missing ones are left out."""
    rows = []
    order = list(schema.quantities)
    for one in sorted(series, key=lambda s: order.index(s.quantity)):
        own = [c.name for c in schema.columns if not c.quantities or one.quantity in c.quantities]
        for i, (value, sd) in enumerate(zip(one.values, one.sd, strict=True)):
            if math.isfinite(value):
                at = {name: _shown(one.at[name] if name in one.at else places[name][i]) for name in own if name in one.at or name in places}
                rows.append({"quantity": one.quantity, **at, "value": _shown(value), "unit": schema.quantities[one.quantity], "sd": _shown(sd)})
    return rows


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value + 0.0:.9g}" if math.isfinite(value) else ""
