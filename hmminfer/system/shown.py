"""Models, data, experiments and predictions as a few lines of text, and as tables in a notebook."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

ROWS = 10  # of data that a notebook shows


def number(value: Any) -> str:
    """A value, or the first of several, in four digits."""
    x = np.asarray(value, dtype=float)
    if x.size == 1:
        return f"{float(x.flat[0]):.4g}"
    return "[" + ", ".join(f"{v:.4g}" for v in x.flat[:3]) + (", ...]" if x.size > 3 else "]")


def story(docstring: str | None) -> str:
    """A docstring for readers of pages and terminals: names without the markup of references."""
    return re.sub(r":\w+:`[~.]*([^`]+)`", r"\1", (docstring or "").strip())


def prior_text(p: Any) -> str:
    """The prior of a parameter as text: LogNormal(4, 0.5)."""
    if hasattr(p, "frequencies"):
        return f"Gaussian process of {p.length} terms"
    return str(p.prior) + (f" x {p.size}" if p.size else "")


def counted(table: Any) -> str:
    """Number of rows of each quantity: "3 youngs_modulus, 1 shear_modulus"."""
    names = table.quantity.tolist()
    return ", ".join(f"{names.count(q)} {q}" for q in dict.fromkeys(names))


def rows_told(table: Any) -> str:
    """Rows that are missing or left out, and replicates: "; 2 missing; 20 left out by the settings; 3 replicates of youngs_modulus"."""
    told = [f"{n} {what}" for n, what in ((table.n_missing, "missing"), (table.n_left_out, "left out by the settings")) if n]
    repeats: dict[str, list[int]] = {}
    for rows in table.replicates:
        repeats.setdefault(str(table.quantity[rows[0]]), []).append(len(rows))
    for quantity, sizes in repeats.items():
        each = f"{sizes[0]}" if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}"
        told.append(
            f"{each} replicates of {quantity}" + (f" in each of {len(sizes)} places" if len(sizes) > 1 else "") + ", independent of each other"
        )
    return "".join(f"; {text}" for text in told)


def table_text(table: Any) -> str:
    """A data table in a few lines."""
    settings = ", ".join(f"{k} = {v}" for k, v in table.given.items())
    lines = [f"Table {table.name!r} of the experiment {table.experiment!r}: {counted(table)}{rows_told(table)}"]
    return "\n  ".join([*lines, *([settings] if settings else []), *table.warnings])


def table_html(table: Any) -> str:
    """The first rows of a data table, with units."""
    names = [c for c in table.columns if not _blank(table.columns[c])]
    head = ["line", "quantity", *names, "value", "sd", "unit"]
    rows = [
        [table.line[i], table.quantity[i], *(table.columns[c][i] for c in names), f"{table.value[i]:.6g}", f"{table.sd[i]:.3g}", table.unit[i]]
        for i in range(min(ROWS, len(table)))
    ]
    more = f"<p>and {len(table) - ROWS} rows more</p>" if len(table) > ROWS else ""
    return (
        html_table(f"{table.name}: {counted(table)}{rows_told(table)}", head, rows)
        + more
        + "".join(f"<p>{html.escape(w)}</p>" for w in table.warnings)
    )


def model_text(model: Any) -> str:
    """A model in a few lines: unknown parameters, fixed parameters, and data."""
    unknown = [f"{p.name} [{p.unit}]" if p.unit else p.name for p in model.parameters if p.name not in model.fixed]
    held = [f"{k} = {number(v)} {model.parameters[k].unit}".rstrip() for k, v in model.fixed.items()]
    lines = [f"Model {model.name}, {model.experiment}: {len(model.parameters)} parameters -> {model.n_out} values", _line("unknown", unknown)]
    lines += [_line("known", held)] if held else []
    lines += [f"  data     {model.table.name}: {counted(model.table)}"] if model.table is not None else []
    return "\n".join(lines)


def model_help(model: Any) -> str:
    """Parameters that a call of a model takes, one a line, for help(model)."""
    lines = [
        "Symbolic prediction for a PyMC model: call it with PyTensor variables or numbers by name, axial angles in degrees.",
        "",
        "Parameters",
        "----------",
    ]
    for p in model.parameters:
        held = f"; {number(model.fixed[p.name])} where not given" if p.name in model.fixed else ""
        lines.append(f"{p.name}{f' ({p.unit})' if p.unit else ''} : {p.description}{f', {p.size} values' if p.size else ''}{held}")
    return "\n".join([*lines, "", "Methods: predict, evaluate, with_priors, joint; see help(hmminfer.Model)."])


def model_html(model: Any) -> str:
    """Parameters with units, priors and fixed values, and rows of data."""
    rows = [
        [
            p.name,
            p.unit,
            f"fixed: {number(model.fixed[p.name])}" if p.name in model.fixed else prior_text(p),
            f"[{p.lower:g}, {p.upper:g}]",
            p.description,
        ]
        for p in model.parameters
    ]
    out = html_table(f"{model.name}, {model.experiment}", ["parameter", "unit", "prior", "support", ""], rows)
    return out + (table_html(model.table) if model.table is not None else "")


def settings_html(title: str, settings: Iterable[Any]) -> str:
    """Settings with their defaults, bounds and choices."""
    return html_table(title, ["setting", "default", ""], [[s.name, s.shown, s.facts] for s in settings])


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A plain table; every cell is escaped."""
    cells = lambda row, tag: "".join(f"<{tag} style='text-align:left'>{html.escape(str(x))}</{tag}>" for x in row)  # noqa: E731
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><caption style='text-align:left'><b>{html.escape(title)}</b></caption><tr>{cells(columns, 'th')}</tr>{body}</table>"


def _blank(column: np.ndarray) -> bool:
    return bool(np.isnan(column).all()) if column.dtype.kind == "f" else not any(map(str, column))


def _line(title: str, items: Sequence[str]) -> str:
    shown = ", ".join(items[:12]) + (f", and {len(items) - 12} more" if len(items) > 12 else "")
    return f"  {title:<8} {shown or 'nothing'}"
