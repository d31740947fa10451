"""Discretisation error of a model, estimated from the same problem with half the steps and elements.

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
    coarse, finer : the problem as the model solves it, and with half its steps and elements; theta -> y. Both without random noise.
    stated : largest error allowed, as a share of ``scale``, or of the largest value of each observable if ``scale`` is 0.
    remedy : advice at the end of the error message: "give more steps than 32".
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
    """Raise an error if a model's steps or elements are too large for its stated accuracy at ``theta``; ``where`` names this point in the message.

    A model without a stated accuracy, or without a solution at ``theta``, passes.
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
    """Largest ratio of a row's discretisation error to its noise at ``theta``, as an attribute of a result; empty if the model states no accuracy."""
    accuracy: Accuracy | None = model.accuracy
    if accuracy is None:
        return {}
    worst = np.max(np.abs(accuracy.error(theta)) / sigma)
    return {"discretisation_over_noise": float(worst)} if np.isfinite(worst) else {}
