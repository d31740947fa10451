"""Starts of the chains, assigned by the chain's number, so that equal seeds give equal draws in whatever order the chains request their starts.

nutpie requests a start with a number from the chain's own random stream, and does not say which chain it is for. These numbers depend only on
the run's seed and the chain's number. So they are found beforehand, by a run of the smallest possible model with the same seed, one chain at a
time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import nutpie
from nutpie.compiled_pyfunc import from_pyfunc


def numbers_of_chains(seed: int, chains: int) -> list[int]:
    """Numbers with which the chains of a run request their starts, in the order of the chains."""
    asked: list[int] = []

    def start(number: Any) -> np.ndarray:
        asked.append(int(number))
        return np.ones(1)

    model = from_pyfunc(
        1,
        lambda: lambda x: (-0.5 * float(x @ x), -x),
        lambda *_: lambda x, **__: {"x": x},
        [np.dtype("float64")],
        [(1,)],
        ["x"],
        make_initial_point_fn=start,
    )
    nutpie.sample(model, draws=1, tune=1, chains=chains, seed=seed, cores=1, progress_bar=False, return_raw_trace=True)
    return asked[:chains]


def start_of_chain(starts: np.ndarray, seed: int) -> Callable[[Any], np.ndarray]:
    """Function for nutpie that returns the start of the chain that calls it.

    A chain whose start fails calls again with a new number, and gets another start that depends on that number alone.
    """
    order = {number: i for i, number in enumerate(numbers_of_chains(seed, len(starts)))} if len(starts) > 1 else {}
    lock = threading.Lock()

    def start(number: Any = None) -> np.ndarray:
        with lock:
            first = order.pop(int(number), None) if number is not None else None
            return np.ascontiguousarray(starts[first if first is not None else int(number or 0) % len(starts)])

    return start
