"""Discretisation error of a model, estimated from the same problem with half the steps and elements.

    error = 4/3 (finer - coarse)        both of second order (Richardson)

An error that depends on the unknowns biases the posterior. A fit (at the prior medians) and a prediction stop if the estimated error exceeds the
setting ``accuracy`` (:func:`check`); the message says how far each setting errs alone, and values that pass, which were tried (:func:`passing`). A
result reports the error relative to the noise (:func:`over_noise`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.coupling import Joint
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.system.observable import Observable

TRIES, SECONDS = 10, 10.0  # refinements, and the time for them, after which no value that passes is named
OF_NOISE = 0.5  # share of the noise, below which an error does not matter
MARGIN = 0.9  # of the stated error, within which a value passes: there are other points than the one tried


@dataclass(frozen=True)
class Knob:
    """A setting that refines: its value, the text with which it is given, and the next finer value, or None at its end."""

    value: float
    finer: Callable[[float], float | None]
    unit: str = ""

    def said(self, value: float) -> str:
        """A value as a user gives it."""
        return f"{value:.6g} {self.unit}".rstrip()


def twice(value: float, most: float = np.inf) -> float | None:
    """Twice as many; None beyond ``most``."""
    return 2 * value if 2 * value <= most else None


def doubling(settings: Sequence[Any], values: Mapping[str, Any], *names: str) -> dict[str, Knob]:
    """Knobs of whole numbers that are doubled, up to the limits of their declared :class:`.Setting`."""
    most = {s.name: np.inf if s.upper is None else s.upper for s in settings}
    return {name: Knob(int(values[name]), partial(twice, most=most[name])) for name in names}


def half(value: float) -> float:
    """Half as large, to three digits."""
    return float(f"{0.5 * value:.3g}")


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Estimator of a model's discretisation error.

    Parameters
    ----------
    coarse, finer : the problem as the model solves it, and with half its steps and elements; theta -> y. Both without random noise.
    stated : largest error allowed, as a share of ``scale``, or of the largest value of each observable if ``scale`` is 0.
    knobs : the settings that refine, by name.
    again : the same estimator for other values of these settings.
    """

    coarse: Kernel | Joint
    finer: Kernel | Joint
    stated: float
    scale: float = 0.0
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    again: Callable[[Mapping[str, float]], Accuracy] | None = None

    def error(self, theta: np.ndarray) -> np.ndarray:
        """Estimate of (y in the limit) - y, (rows,)."""
        return self.both(theta)[1]

    def both(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y and its estimated error at a model's vector; trailing parameters added by error models are ignored."""
        own = theta[: self.coarse.n_in]
        y = self.coarse(own)
        return y, 4.0 / 3.0 * (self.finer(own) - y)

    def worst(self, observables: Sequence[Observable], y: np.ndarray, error: np.ndarray) -> tuple[float, str]:
        """Largest error over its scale, and the observable that has it; NaN if an error is."""
        found = []
        for o in observables:
            scale = self.scale or np.abs(y[o.rows]).max()
            found.append((float(np.abs(error[o.rows]).max() / scale) if scale > 0.0 else 0.0, o.name))
        return max(found, key=lambda f: (np.isnan(f[0]), f[0]))

    def alone(self, observables: Sequence[Observable], theta: np.ndarray, changed: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """For each knob that can be finer, the estimated error of it alone and its next value; this estimator is for settings ``changed``."""
        own, out = theta[: self.coarse.n_in], {}
        y = self.coarse(own)
        for name, knob in self.knobs.items():
            value = knob.finer(knob.value)
            if value is None or self.again is None:
                continue
            try:
                finer = self.again({**changed, name: value}).coarse(own)
            except HmmInferError:  # a value that the model refuses
                continue
            if np.all(np.isfinite(finer)):
                out[name] = (self.worst(observables, y, 4.0 / 3.0 * (finer - y))[0], value)
        return out


def check(model: Any, theta: np.ndarray, where: str) -> None:
    """Raise an error if a model's steps or elements are too large for its stated accuracy at ``theta``; ``where`` names this point in the message.

    A model without a stated accuracy, or without a solution at ``theta``, passes.
    """
    accuracy: Accuracy | None = model.accuracy
    if accuracy is None:
        return
    y, error = accuracy.both(theta)
    if not np.all(np.isfinite(y)):
        return
    worst, name = accuracy.worst(model.observables, y, error)
    if worst <= accuracy.stated:
        return
    of = "" if accuracy.scale else f" of the largest {name.replace('_', ' ')}"
    alone = {k: v for k, (v, _) in accuracy.alone(model.observables, theta, {}).items()}
    each = ", ".join(f"{k} alone {v:.2g}" for k, v in sorted(alone.items(), key=lambda item: -item[1]))
    found, enough = passing(accuracy, model.observables, theta)
    values = " and ".join(f"{k} = {accuracy.knobs[k].said(v)}" for k, v in found.items())
    if enough:
        remedy = f"give {values}, which {'pass' if len(found) > 1 else 'passes'}, or a larger accuracy"
    else:
        remedy = "give a larger accuracy" + (f", or finer values still than {values}, which is as far as was tried" if values else "")
    raise HmmInferError(
        f"Steps and elements are wrong by {worst:.2g}{of} at {where}, more than accuracy = {accuracy.stated:g}"
        + (f" ({each})" if each else "")
        + f"; {remedy}."
    )


def passing(
    accuracy: Accuracy, observables: Sequence[Observable], theta: np.ndarray, only: Sequence[str] | None = None
) -> tuple[dict[str, float], bool]:
    """Values of settings with which the stated accuracy is met at ``theta``, the setting that errs most being refined first, and True; False if the
    finest that were tried in :data:`SECONDS` do not meet it. ``only``: the settings that may change. It must be met by the error of each setting
    alone too: at one point errors of steps and elements can cancel.
    """
    changed: dict[str, float] = {}
    now, start, before = accuracy, time.monotonic(), 0.0
    for _ in range(TRIES):
        y, error = now.both(theta)
        met = np.all(np.isfinite(y)) and now.worst(observables, y, error)[0] <= (MARGIN if changed else 1.0) * accuracy.stated
        if met and not changed:
            return changed, True
        alone = now.alone(observables, theta, changed)
        if met and all(v <= accuracy.stated for v, _ in alone.values()):
            return changed, True
        spent = time.monotonic() - start
        if now.again is None or spent + 2.0 * (spent - before) > SECONDS:  # a finer one takes at least twice as long
            break
        before = spent
        alone = {k: v for k, v in alone.items() if only is None or k in only}
        if not alone:
            break
        name = max(alone, key=lambda k: alone[k][0])
        changed = {**changed, name: alone[name][1]}
        now = now.again(changed)
    return changed, False


def settled(accuracy: Accuracy, theta: np.ndarray, name: str) -> tuple[Accuracy, dict[str, str]]:
    """The accuracy with the setting ``name``, which the user left open, as fine as the stated error needs at ``theta``, and a sentence that says so;
    unchanged if it passes already, or if this setting alone cannot pass. The rows are those of one observable.
    """
    rows = Observable(name, "", np.arange(accuracy.coarse.n_out), "row")
    found, enough = passing(accuracy, [rows], theta, only=(name,))
    if not (found and enough) or accuracy.again is None:
        return accuracy, {}
    return accuracy.again(found), {f"{name}_chosen": f"{accuracy.knobs[name].said(found[name])}, for an error below {accuracy.stated:g}"}


def over_noise(model: Any, theta: np.ndarray, sigma: np.ndarray) -> dict[str, float]:
    """Largest ratio of a row's discretisation error to its noise at ``theta``, as an attribute of a result; empty if the model states no accuracy.
    Where it is not below :data:`OF_NOISE`, a second attribute names values of settings that were tried and bring it there.
    """
    accuracy: Accuracy | None = model.accuracy
    if accuracy is None:
        return {}
    y, error = accuracy.both(theta)
    worst = float(np.max(np.abs(error) / sigma))
    if not np.isfinite(worst):
        return {}
    out: dict[str, Any] = {"discretisation_over_noise": worst}
    if worst >= OF_NOISE:
        # of the quantity that errs most beside its noise, on its own scale
        bad = max(model.observables, key=lambda o: np.max(np.abs(error[o.rows]) / sigma[o.rows]))
        stated = 0.8 * OF_NOISE / worst * accuracy.worst([bad], y, error)[0]
        found, _ = passing(replace(accuracy, stated=stated), [bad], theta)
        if found and accuracy.again is not None and np.max(np.abs(accuracy.again(found).error(theta)) / sigma) < OF_NOISE:
            out["discretisation_remedy"] = " and ".join(f"{k} = {accuracy.knobs[k].said(v)}" for k, v in found.items())
    return out
