"""What random bursts add to the noise: the spread of a kernel over seeds, measured at a pilot point.

    y_obs = f_seed(theta) + noise,    S = S_obs + S_num,    S_num = diag of the variance of f over seeds

A kernel that draws on fixed random numbers is a smooth function of theta for each seed, and a little another one for another seed. How
much so is measured where it matters, at the point that the data and the priors agree on, and joins the sd of each row. The errors of rows
are correlated and are taken for independent, so they must stay small beside the noise: above half of it a model is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from .data import Table
from .errors import HmmInferError
from .kernel import Kernel
from .linalg import one_thread
from .parameters import HalfNormal, LogNormal, ParameterSet

LIMIT = 0.5  # of the noise; the correlated part then changes a posterior sd by at most some tenths


@one_thread
def pilot(kernel: Kernel, parameters: ParameterSet, fixed: Mapping[str, Any], table: Table) -> np.ndarray:
    """The vector near which the posterior lies: least squares of data and priors, in logarithms where a prior is positive."""
    theta = parameters.vector(fixed)
    where = parameters.slices()
    free = [p for p in parameters if p.name not in fixed]
    index = np.concatenate([np.arange(where[p.name].start, where[p.name].stop) for p in free])
    priors = [p.prior for p in free for _ in range(p.length)]
    logarithmic = np.array([isinstance(q, LogNormal | HalfNormal) for q in priors])
    width = np.array(
        [q.sigma if isinstance(q, LogNormal) else 1.0 if isinstance(q, HalfNormal) else q.sd for q in priors]
    )
    sd = np.where(np.isfinite(table.sd), table.sd, 0.03 * np.sqrt(np.mean(table.value**2)))
    start = theta[index]
    start[logarithmic] = np.log(start[logarithmic])

    def vector(z: np.ndarray) -> np.ndarray:
        out = theta.copy()
        out[index] = np.where(logarithmic, np.exp(np.where(logarithmic, z, 0.0)), z)
        return out

    def residual(z: np.ndarray) -> np.ndarray:
        y = kernel(vector(z))
        misfit = (y - table.value) / sd if np.all(np.isfinite(y)) else np.full(len(y), 1e3)
        return np.concatenate([misfit, (z - start) / width])

    def jacobian(z: np.ndarray) -> np.ndarray:
        x = vector(z)
        j = kernel.jacobian(x)[:, index] * np.where(logarithmic, x[index], 1.0)
        return np.concatenate([np.nan_to_num(j / sd[:, None]), np.diag(1.0 / width)])

    return vector(least_squares(residual, start, jacobian, max_nfev=40, xtol=1e-6).x)


@one_thread
def widened(table: Table, kernels: Sequence[Kernel], theta: np.ndarray, remedy: str) -> tuple[Table, float]:
    """The table with the spread of ``kernels`` (one for each seed) at ``theta`` in its sd, and its largest share of the noise.

    ``remedy`` ends the sentence that is said when the share is above :data:`LIMIT`: what to raise.
    """
    y = np.array([k(theta) for k in kernels])
    if not np.all(np.isfinite(y)):
        return table, 0.0  # no solution at the pilot point: fitting says so with the parameters' names
    spread = np.std(y, axis=0, ddof=1)
    share = spread / np.where(np.isfinite(table.sd), table.sd, np.inf)
    worst = int(np.argmax(share))
    if share[worst] > LIMIT:
        raise HmmInferError(
            f"The bursts' Monte Carlo error is {share[worst]:.2g} of the noise in line {table.line[worst]}, more than {LIMIT:g}; {remedy}."
        )
    return replace(table, sd=np.hypot(table.sd, spread)), float(share[worst])
