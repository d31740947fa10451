"""One progress bar for all long work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def track[T](items: Iterable[T], what: str, total: int | None = None, show: bool = True) -> Iterator[T]:
    """Iterate with a progress bar on the terminal (or notebook); silent when ``show`` is False."""
    if not show:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as bar

    yield from bar(items, description=what, total=total, console=Console(stderr=True), transient=True)
