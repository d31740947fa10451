"""Random simulation, of single cells for example, used in place of a kernel.

A simulation has the shapes of a kernel but no derivative: the path of a jump process is piecewise constant in its rates, so a pathwise gradient
would be zero or wrong. A call draws with a generator seeded by theta itself, so equal theta give equal answers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hmminfer.errors import HmmInferError


@dataclass(frozen=True, eq=False)
class Simulation:
    """``draw(theta, generator) -> y`` (n_out,); ``example``: one theta."""

    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    example: np.ndarray
    n_out: int

    @property
    def n_in(self) -> int:
        return int(self.example.size)

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """One simulated y; NaN where theta is not finite."""
        theta = np.ascontiguousarray(theta, dtype=float)
        if not np.all(np.isfinite(theta)):
            return np.full(self.n_out, np.nan)
        return self.draw(theta, np.random.default_rng(zlib.crc32(theta.tobytes())))

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Always an error: a simulation has no derivative."""
        raise self.refusal()

    def refusal(self) -> HmmInferError:
        """Error raised when a gradient or likelihood of a simulated model is requested."""
        return HmmInferError(
            "This answer is simulated at random: it has neither likelihood nor gradient; fit it with the sampler 'abc', the default for it."
        )
