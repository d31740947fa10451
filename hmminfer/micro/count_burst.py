r"""Burst of a patch of cells by counts: the jump process itself, where :mod:`.langevin_burst` has its Gaussian limit. Values only.

    lift       free n_i ~ Poisson((c + c' x_i) / (1 + kappa)), bound b_i ~ Poisson(kappa ...): the law of the network at rest
    burst      Gillespie's exact simulation, or tau-leaping, of the patch and of a buffer of cells on both sides, whose ends are closed
    heal       the first part, in which free and bound come to terms
    restrict   flux = D times the mean fall of n over the patch,  loss = mean of k b;  both scaled from what the patch then holds to c

A closed end is felt in the middle after about (buffer l)^2 / (4 D); a burst must be shorter, and its buffer is chosen so. The answer is random and
steps with its rates, so it has a standard error and no derivative: it moves coarse projective integration forward
(:func:`hmminfer.macro.patches.spread`) and is what the smooth burst is tested against.
A reference: used by tests only.
"""

from __future__ import annotations

import numpy as np

from hmminfer.errors import HmmInferError
from hmminfer.micro.cells import gillespie, leap, line

METHODS = ("gillespie", "leap")


def count_burst(
    rng: np.random.Generator,
    c: float,
    slope: float,
    theta: np.ndarray,
    cell_size: float,
    cells: int = 4,
    heal: float = 4.0,
    measure: float = 4.0,
    samples: int = 4,
    replicas: int = 64,
    method: str = "gillespie",
    step: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:
    """(flux, loss) at ``c`` molecules for each cell with ``slope`` (1/um), and their standard errors over ``replicas``.

    ``theta`` = D (um^2/s), k (1/s), kappa, k_off (1/s). ``heal``, ``measure`` : s; ``step`` : of a leap, s.
    """
    diffusivity, k, kappa, k_off = np.asarray(theta, dtype=float)
    if cells < 2 or cells % 2 or replicas < 2 or samples < 1 or method not in METHODS:
        raise HmmInferError(
            f"A patch of {cells} cells, {replicas} replicas and {samples} samples by '{method}' cannot be measured; give an even number of cells, "
            f"2 replicas, 1 sample and one of {', '.join(METHODS)}."
        )
    w = diffusivity / cell_size**2
    buffer = int(np.ceil(2.5 * np.sqrt(w * (heal + measure)))) + 2
    n = cells + 2 * buffer
    inside = slice(buffer, buffer + cells)
    mean = c + slope * cell_size * (np.arange(n) - 0.5 * (n - 1))
    if not np.all(mean[inside] >= 0.0):
        raise HmmInferError(
            f"A patch of {cells} cells with {c:g} molecules and slope {slope:g} 1/um would hold fewer than none; take fewer cells, or a smaller slope."
        )
    mean = np.maximum(mean, 0.0)  # far out in a buffer
    rates = np.array([w, kappa * k_off, k_off, k, 0.0])
    none = np.zeros(n)
    times = heal + measure * (np.arange(samples) + 0.5) / samples
    found, held = np.zeros((replicas, 2)), np.zeros(replicas)
    if c == 0.0:
        return found[0], found[0]
    for r in range(replicas):
        free, bound = rng.poisson(mean / (1.0 + kappa)), rng.poisson(kappa * mean / (1.0 + kappa))
        if method == "gillespie":
            seen = gillespie(rng, line(n), none, rates, free, bound, times)[0]
        else:
            seen = np.empty((samples, 2, n), np.int64)
            for s, wait in enumerate(np.diff(times, prepend=0.0)):
                steps = max(1, round(wait / step))
                free, bound = seen[s] = leap(rng, line(n), none, rates, free, bound, wait / steps, steps)
        found[r, 0] = w * cell_size * np.mean(seen[:, 0, buffer] - seen[:, 0, buffer + cells - 1]) / (cells - 1)
        found[r, 1] = k * np.mean(seen[:, 1, inside])
        held[r] = np.mean(seen[:, :, inside].sum(axis=1))
    if not held.any():
        return np.zeros(2), np.zeros(2)
    scale = c / held.mean()  # also less noisy: a patch that happens to hold more loses more
    rest = found - np.outer(held / held.mean(), found.mean(axis=0))
    return scale * found.mean(axis=0), scale * rest.std(axis=0, ddof=1) / np.sqrt(replicas)
