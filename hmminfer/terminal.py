"""Printed output: text, tables and progress bars. This file alone knows rich."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import cache
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

Printed = Group  # the type of a printed table
WIDTH = 150  # where there is no terminal to ask: files, pipes
EVERY = 10.0  # seconds between two lines on what is being done


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
    """Iterate with the progress shown by :func:`working`."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with working(what, total, show) as done:
        for item in items:
            yield item
            done()


@contextmanager
def working(what: str, total: int | None = None, show: bool = True) -> Iterator[Callable[[], None]]:
    """Show what is being done and the seconds that it has taken; silent when ``show`` is False.

    On a terminal or in a notebook a bar that disappears at the end; elsewhere a line every :data:`EVERY` seconds on stderr. The function that the
    context yields is to be called after each of ``total`` parts.
    """
    if not show:
        yield lambda: None
        return
    console = _progress()
    if console.is_terminal or console.is_jupyter:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), *([BarColumn(), MofNCompleteColumn()] if total else []), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)
        return
    count, ended, start = [0], threading.Event(), time.monotonic()

    def lines() -> None:
        while not ended.wait(EVERY):
            part = f"{count[0]} of {total}, " if total else ""
            say(f"{what}: {part}{time.monotonic() - start:.0f} s", err=True)

    def done() -> None:
        count[0] += 1

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()


@cache
def _progress() -> Console:
    """The one console of all bars: a bar that starts while another runs is then drawn below it."""
    return Console(stderr=True)
