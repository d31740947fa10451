"""The entries of a run file, each with its type and its range.

A :class:`~hmminfer.app.recipe.Recipe` is checked against them however it was made: from a file, the command line or Python. What the names and
texts inside mean (a parameter, a unit, a prior) is judged where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hmminfer.errors import HmmInferError, abridged, unknown, whole

Entry = Callable[[str, Any], None]  # (name, value): an error if the value is not one for this entry
FROZEN = "0.1.0"  # the last version whose run files did not record the defaults
MANY = 10**9  # draws of a chain, far above what a disk holds


def _refusal(name: str, value: Any, kind: str) -> HmmInferError:
    return HmmInferError(f"{name} is {abridged(value)}; give {kind}.")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def text(name: str, value: Any) -> None:
    """Text that a file can hold."""
    if not isinstance(value, str):
        raise _refusal(name, value, 'text, in quotes: "..."')
    if any(c in "\0\x7f" or "\ud800" <= c <= "\udfff" for c in value):
        raise _refusal(name, value, "text of characters that can be written (UTF-8)")


def value(name: str, given: Any) -> None:
    """One value: text with a unit, or a finite number."""
    if isinstance(given, str):
        text(name, given)
    elif not _is_number(given):
        raise _refusal(name, given, 'a finite number, or text: "3.5 GPa"')


def number(name: str, given: Any) -> None:
    """Finite number."""
    if not _is_number(given):
        raise _refusal(name, given, "a finite number")


def several(entry: Entry) -> Entry:
    """One value, or a list of entries of one kind."""

    def check(name: str, given: Any) -> None:
        if not isinstance(given, list | tuple):
            value(name, given)
            return
        for i, item in enumerate(given):
            entry(f"{name}[{i}]", item)

    return check


def noise(name: str, given: Any) -> None:
    """Noise of all rows, of each row, or of each quantity by name."""
    if isinstance(given, Mapping):
        table(value)(name, given)
    elif given is not None:
        several(number)(name, given)


def rate(name: str, given: Any) -> None:
    """Number between 0 and 1."""
    if not _is_number(given) or not 0.0 < given < 1.0:
        raise _refusal(name, given, "a rate between 0 and 1, such as 0.8 or 0.95")


def count(least: int, most: int) -> Entry:
    """Whole number between two bounds."""

    def check(name: str, given: Any) -> None:
        whole(name, given, least, most)

    return check


def table(entry: Entry) -> Entry:
    """Table of entries of one kind, under names that the user chooses."""

    def check(name: str, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise _refusal(name, given, f"a table: a line [{name}], then lines like key = value")
        for key, item in given.items():
            text(f"a key of {name}", key)
            entry(f"{name}.{key}", item)

    return check


def record(**known: Entry) -> Entry:
    """Table whose keys are known."""

    def check(name: str, given: Any) -> None:
        table(lambda *_: None)(name, given)
        for key, item in given.items():
            if key not in known:
                raise unknown(f"entry of {name}", key, known)
            known[key](f"{name}.{key}", item)

    return check


def extensions(name: str, given: Any) -> None:
    """List of extensions, each with its draws and its seed."""
    if not isinstance(given, list | tuple):
        raise _refusal(name, given, "a list of tables: lines [[extensions]], each with draws = and seed =")
    for i, item in enumerate(given):
        where = f"{name}[{i}]"
        record(draws=DRAWS, seed=SEED)(where, item)
        for key in ("draws", "seed"):
            if key not in item:
                raise HmmInferError(f"{where} has no {key}; add a line {key} = with a whole number.")


def frozen(name: str, given: Any) -> None:
    """Version whose defaults are kept apart from the files."""
    if given != FROZEN:
        raise _refusal(name, given, f'"{FROZEN}", or leave it out')


DRAWS, SEED = count(1, MANY), count(0, 2**63 - 1)
ENTRIES: dict[str, Entry] = {
    "model": text,
    "experiment": text,
    "dataset": text,
    "data": text,
    "settings": table(several(value)),
    "priors": table(text),
    "fixed": table(several(number)),
    "noise": noise,
    "discrepancy": text,
    "draws": count(0, MANY),
    "tune": count(1, MANY),
    "chains": count(1, 10_000),
    "seed": SEED,
    "target_accept": rate,
    "sampler": text,
    "extensions": extensions,
    "resolved": record(**{"as": frozen, "settings": table(several(value)), "priors": table(text), "fixed": table(several(number)), "noise": noise}),
    "versions": table(text),
}


def check(given: Mapping[str, Any]) -> None:
    """Raise an error for the first entry that is not known, or not of its type and range."""
    for key, item in given.items():
        if key not in ENTRIES:
            raise unknown("entry", key, ENTRIES)
        ENTRIES[key](key, item)
