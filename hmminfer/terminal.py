"""Printed output: text, tables and progress bars. This file alone knows rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

Printed = Group  # the type of a printed table
WIDTH = 150  # where there is no terminal to ask: files, pipes


def say(*what: Any, err: bool = False) -> None:
    """Print text or tables; text is neither wrapped nor read as markup."""
    terminal = (sys.stderr if err else sys.stdout).isatty()
    _print(Console(stderr=err, markup=False, highlight=False, width=None if terminal else WIDTH), what)


def text_of(*what: Any) -> str:
    """Text that :func:`say` would print, as one string, for files."""
    buffer = io.StringIO()
    _print(Console(file=buffer, markup=False, highlight=False, width=WIDTH), what)
    return buffer.getvalue()


def _print(console: Console, what: Any) -> None:
    for item in what:
        console.print(item, soft_wrap=isinstance(item, str))


def grid(title: str, columns: list[str], rows: list[list[Any]], right: tuple[str, ...] = (), note: str = "") -> Printed:
    """A titled table with a note below; numbers have four digits. Columns of numbers, and those named in ``right``, are right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        number = bool(rows) and all(isinstance(row[i], float | int) for row in rows)
        table.add_column(column, justify="right" if number or column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row))
    return Group(*([Text(title, style="bold")] if title else []), table, *([Text(note, style="dim")] if note else []))


def frame(title: str, table: Any, note: str = "") -> Printed:
    """A pandas table as a printable one; columns that are entirely empty are left out."""
    table = table.dropna(axis=1, how="all")
    return grid(title, [str(c) for c in table.columns], [list(row) for row in table.itertuples(index=False)], note=note)


def track[T](items: Iterable[T], what: str, total: int | None = None, show: bool = True) -> Iterator[T]:
    """Iterate with a progress bar on the terminal (or notebook); silent when ``show`` is False."""
    if not show:
        yield from items
        return
    from rich.progress import track as bar

    yield from bar(items, description=what, total=total, console=Console(stderr=True), transient=True)
