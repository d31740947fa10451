"""Discretisation error of a model, estimated from the same problem solved twice finer.

    error = 4/3 (finer - coarse)        both of second order (Richardson)

An error that depends on the unknowns biases the posterior. A fit (at the prior medians) and a prediction stop if the estimated error exceeds the
setting ``accuracy`` (:func:`check`); a result reports the error relative to the noise (:func:`over_noise`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hmminfer.engine.coupling import Joint
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Estimator of a model's discretisation error.

    Parameters
    ----------
    coarse, finer : the problem as the model solves it, and with half its steps and elements; theta -> y. Random parts at rest in both.
    stated : largest error, as a share of ``scale``; of the largest value of each observable where that is 0.
    remedy : what to change: "give more steps than 32".
    """

    coarse: Kernel | Joint
    finer: Kernel | Joint
    stated: float
    remedy: str
    scale: float = 0.0

    def error(self, theta: np.ndarray) -> np.ndarray:
        """Estimate of (y in the limit) - y, (rows,)."""
        return self.both(theta)[1]

    def both(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y and its estimated error at a model's vector; trailing parameters added by error models are ignored."""
        own = theta[: self.coarse.n_in]
        y = self.coarse(own)
        return y, 4.0 / 3.0 * (self.finer(own) - y)


def check(model: Any, theta: np.ndarray, where: str) -> None:
    """Refuse a model whose steps or elements are too large for its stated accuracy at ``theta``, which is named ``where``.

    Where the model has no solution at all nothing is said here.
    """
    accuracy: Accuracy | None = model.accuracy
    if accuracy is None:
        return
    y, error = (np.abs(v) for v in accuracy.both(theta))
    if not np.all(np.isfinite(y)):
        return
    for o in model.observables:
        scale = accuracy.scale or y[o.rows].max()
        worst = error[o.rows].max() / scale if scale > 0.0 else 0.0
        if not worst <= accuracy.stated:
            of = "" if accuracy.scale else f" of the largest {o.name.replace('_', ' ')}"
            raise HmmInferError(
                f"Steps and elements are wrong by {worst:.2g}{of} at {where}, more than accuracy = {accuracy.stated:g}; {accuracy.remedy}, "
                "or a larger accuracy."
            )


def over_noise(model: Any, theta: np.ndarray, sigma: np.ndarray) -> dict[str, float]:
    """The largest error of a row over its noise at ``theta``, as an attribute of a result; none where the model does not tell it."""
    accuracy: Accuracy | None = model.accuracy
    if accuracy is None:
        return {}
    worst = np.max(np.abs(accuracy.error(theta)) / sigma)
    return {"discretisation_over_noise": float(worst)} if np.isfinite(worst) else {}
