"""Monte Carlo error of random bursts in the likelihood: the covariance of a kernel over seeds, measured at a pilot point.

    y_obs = f_seed(theta) + noise,    S = S_obs + S_num,    S_num = covariance of f over seeds = V V^T + diag(rest^2)

A kernel that uses fixed random numbers is smooth in theta for a fixed seed; different seeds give slightly different functions. The size of the
differences, and their correlation between rows, are measured at a pilot point: the least-squares fit of data and priors. The columns of V are
the directions in which the error matters beside the noise; as in :mod:`.homogenisation`, their weights are unknowns with a standard normal
prior. This is the Gaussian likelihood with covariance S; in the checks, each row keeps its own residual. A Monte Carlo error above half the
noise of any row is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from hmminfer.engine.kernel import Kernel
from hmminfer.engine.linalg import one_thread
from hmminfer.errors import HmmInferError
from hmminfer.inference.homogenisation import HomogenisationError
from hmminfer.inference.noise import stated_or_assumed
from hmminfer.system.likelihood import POISSON
from hmminfer.system.model import Model
from hmminfer.system.parameters import ParameterSet
from hmminfer.system.tables import Table

LIMIT = 0.5  # of the noise of a row: beyond, the answer would rest on where the covariance was measured
MODELLED = 0.1  # of the noise in a direction: below, its variance is 1 % of it


@one_thread
def pilot(kernel: Kernel, parameters: ParameterSet, fixed: Mapping[str, Any], table: Table) -> np.ndarray:
    """Vector near the posterior: least-squares fit of data and priors, in logarithms of the parameters with a positive prior."""
    theta = parameters.vector(fixed)
    where = parameters.slices()
    free = [p for p in parameters if p.name not in fixed]
    index = np.concatenate([np.arange(where[p.name].start, where[p.name].stop) for p in free])
    priors = [p.prior for p in free for _ in range(p.length)]
    logarithmic = np.array([q.bounds == (0.0, np.inf) for q in priors])
    width = np.array([1.0 if log and not q.normal[2] else q.normal[1] for q, log in zip(priors, logarithmic, strict=True)])
    sd = stated_or_assumed(table)
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
def with_monte_carlo_error(model: Model, kernels: Sequence[Kernel], theta: np.ndarray, remedy: str) -> Model:
    """The model with the spread of ``kernels`` (one for each seed) at ``theta`` in its likelihood, as a covariance.

    A direction in which the error exceeds :data:`MODELLED` times the noise is a mode, whose weight is an unknown with a standard normal prior; the
    rest is added to the column sd (counts have none: for them it is left out, at most 1 % of the variance in any direction). A row whose error
    exceeds :data:`LIMIT` times its noise is an error; ``remedy`` ends its message: what to raise.
    """
    table = model.table
    assert table is not None
    y = np.array([k(theta) for k in kernels])
    if not np.all(np.isfinite(y)):
        return model  # no solution at the pilot point: fitting says so with the parameters' names
    sd = stated_or_assumed(table)
    away = (y - y.mean(axis=0)) / sd / np.sqrt(len(y) - 1.0)
    share = np.sqrt(np.sum(away**2, axis=0))
    worst = int(np.argmax(share))
    if share[worst] > LIMIT:
        raise HmmInferError(
            f"The bursts' Monte Carlo error is {share[worst]:.2g} of the noise in line {table.line[worst]}, more than {LIMIT:g}; {remedy}."
        )
    _, size, vectors = np.linalg.svd(away, full_matrices=False)
    k = int(np.sum(size > MODELLED))
    counted = model.likelihood == POISSON
    modes = (sd * vectors[:k] * size[:k, None]).T
    rest = sd * np.sqrt(np.sum((vectors[k:] * size[k:, None]) ** 2, axis=0)) * (not counted)
    about = {**model.about, "monte_carlo_over_noise": round(float(share[worst]), 3)}
    model = replace(model, about=about)
    error = HomogenisationError(np.zeros(len(sd)), np.ascontiguousarray(modes), rest, relative=False)
    if k == 0:
        return replace(model, table=replace(table, sd=error.widened(table.sd, table)))
    return error.applied_to(model, "monte_carlo_error", "weights of the modes of the bursts' Monte Carlo error")
