"""The error type of the package: its message says what is wrong, with which thing, and what to do."""

from __future__ import annotations

import contextlib
import difflib
import operator
from collections.abc import Iterable, Iterator
from typing import Any


class HmmInferError(ValueError):
    """Error for bad input, or for a point that cannot be computed. The message ends in a remedy; the CLI prints it without a traceback."""


class Interrupted(HmmInferError):
    """Error for a run that was interrupted before it had a draw to keep."""


class Unsolved(UserWarning):
    """Warning that some draws of a posterior have no solution in what is predicted from them."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Context, or decorator, in which an interrupt that falls into a call of compiled code is raised as what it is: there it comes as a SystemError."""
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def unknown(kind: str, name: object, known: Iterable[str]) -> HmmInferError:
    """Error for a name that is not among ``known``, with the nearest known name as the remedy.

    >>> str(unknown("parameter", "vf", ["volume_fraction", "fibre_angle"]))
    "Unknown parameter 'vf'. Known: volume_fraction, fibre_angle."
    """
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return HmmInferError(f"Unknown {kind} {abridged(str(name))}.{hint} Known: {', '.join(names) or 'none'}.")


LARGEST = 2**63 - 1  # whole numbers that files can hold


def whole(name: str, value: Any, least: int = 1, most: int = LARGEST) -> int:
    """A whole number between ``least`` and ``most``; anything else, true and false included, is an error that names the argument.

    >>> whole("draws", 10)
    10
    """
    number = None if isinstance(value, bool) or not hasattr(value, "__index__") else operator.index(value)
    if number is None or not least <= number <= most:
        bounds = f"of at least {least}" if most == LARGEST else f"between {least} and {most}"
        bounds = f"between {least} and 2^63 - 1" if number is not None and number > most == LARGEST else bounds
        raise HmmInferError(f"{name} is {abridged(value)}; give a whole number {bounds}.")
    return number


def abridged(value: Any, longest: int = 60) -> str:
    """Value as it appears in a message: its beginning and its end if it is long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= longest else f"{text[: longest - 20]} ... {text[-12:]}"
