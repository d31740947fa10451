"""Posteriors of models without a gradient or a likelihood, in the format of :func:`.fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from threadpoolctl import threadpool_limits

from hmminfer.engine.simulation import Simulation
from hmminfer.errors import HmmInferError
from hmminfer.inference.interrupts import deferred, nothing_kept
from hmminfer.inference.posterior import pymc_model
from hmminfer.inference.problem import Problem
from hmminfer.inference.results import assemble
from hmminfer.inference.stochastic import abc, sample_smc
from hmminfer.system.parameters import ParameterSet


def fit_by_simulation(problem: Problem, draws: int, chains: int, seed: int, progress: bool) -> xr.DataTree:
    """Approximate Bayesian computation of a simulated model; the noise of each row is its tolerance."""
    model = problem.model
    assert isinstance(model.kernel, Simulation)
    if problem.noise or problem.extra or problem.tail:
        raise HmmInferError("A simulated experiment needs a known tolerance; fill in the column sd, or give noise as numbers.")
    draw = model.kernel.draw
    found = abc(
        lambda values, rng: draw(model.vector(values), rng),
        problem.table.value,
        ParameterSet(problem.free),
        problem.sd,
        draws=draws,
        chains=chains,
        seed=seed,
        progress=progress,
    )
    posterior = found["posterior"].to_dataset()
    x = np.stack([p.prior.to_unconstrained(posterior[p.name].values) for p in problem.free], axis=2)
    # a second simulation at each draw is what data may look like there, and no estimate of the likelihood that was used
    tree = assemble(problem, x, {}, [], seed, progress).drop_nodes("log_likelihood")
    tree.attrs.update(method="abc", interrupted=0, tune=0, epsilon=problem.sd.tolist())
    return tree


def fit_without_gradient(problem: Problem, sampler: str, draws: int, tune: int, chains: int, seed: int, progress: bool) -> xr.DataTree:
    """SMC or DE Metropolis, for models without gradients or with separate modes."""
    with pymc_model(problem), threadpool_limits(1, "blas"), deferred() as interrupt:
        common: dict[str, Any] = {"draws": draws, "chains": chains, "random_seed": seed, "progressbar": progress}
        if sampler == "smc":
            trace = sample_smc(interrupt, **common)
        else:
            try:
                trace = pm.sample(tune=tune, step=pm.DEMetropolisZ(), compute_convergence_checks=False, callback=interrupt.stop, cores=1, **common)
            except ValueError as error:
                if not interrupt.asked:
                    raise
                raise nothing_kept() from error  # no chain has ended its tuning
    posterior = trace["posterior"].to_dataset()
    x = problem.unconstrain({p.name: posterior[p.name].values for p in problem.free})
    tree = assemble(problem, x, {}, [], seed, progress)
    tree.attrs.update(method=sampler, interrupted=int(interrupt.asked), tune=tune)
    return tree
