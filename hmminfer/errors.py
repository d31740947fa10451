"""The error type of the package: its message says what is wrong, with which thing, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HmmInferError(ValueError):
    """Error for bad input, or for a point that cannot be computed. The message ends in a remedy; the CLI prints it without a traceback."""


def unknown(kind: str, name: object, known: Iterable[str]) -> HmmInferError:
    """Error for a name that is not among ``known``, with the nearest known name as the remedy.

    >>> str(unknown("parameter", "vf", ["volume_fraction", "fibre_angle"]))
    "Unknown parameter 'vf'. Known: volume_fraction, fibre_angle."
    """
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return HmmInferError(f"Unknown {kind} {str(name)!r}.{hint} Known: {', '.join(names) or 'none'}.")
