r"""Likelihoods of counts, and posteriors without a likelihood, where a Gaussian around the expectation is not the right law.

    population means          bursts with fixed normals, Monte Carlo error in the noise, NUTS            fit(model)
    counts, linear network    y_i ~ Poisson(mean_i(theta)), exact                                        poisson_log_likelihood
    counts, any simulator     an unbiased estimate of the likelihood, in a pseudo-marginal chain         pseudo_marginal
    summaries of movement     no likelihood: simulated summaries near the observed ones                  abc

Pseudo-marginal (Andrieu & Roberts 2009): a Metropolis-Hastings chain that keeps the estimate of the point it stands on has the exact
posterior, whatever the variance of the estimate, if the *likelihood* (not its logarithm) is estimated without bias. It mixes well while the
sd of the log estimate is about 1 to 1.5 (Doucet, Pitt, Deligiannidis & Kohn 2015); the result reports this sd. Putting a simulated mean into a
Gaussian log density is a different method, and biased.

Approximate Bayesian computation samples exp(-|s - s_obs|^2 / (2 epsilon^2)) times the prior by sequential Monte Carlo (PyMC): the posterior under
an additional noise of sd epsilon in each summary; epsilon is part of the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from scipy.special import gammaln, logsumexp, xlogy
from threadpoolctl import threadpool_limits

from hmminfer.errors import HmmInferError, whole
from hmminfer.inference.interrupts import Waiting, deferred
from hmminfer.inference.posterior import prior_variable
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.terminal import track


def counts_of(values: Any) -> np.ndarray:
    """Counts as integers; the first value that is not a count raises an error that names it."""
    x = np.asarray(values, dtype=float)
    if x.size == 0:
        raise HmmInferError("There are no counts; give at least one.")
    bad = np.flatnonzero(~(np.isfinite(x.ravel()) & (x.ravel() >= 0.0) & (x.ravel() == np.round(x.ravel()))))
    if bad.size:
        raise HmmInferError(
            f"Count {bad[0] + 1} of {x.size} is {x.ravel()[bad[0]]:g}; counts are whole numbers of at least 0. Intensities are fitted with fit()."
        )
    return x.astype(np.int64)


def poisson_log_likelihood(mean: Any, counts: np.ndarray) -> float:
    """Exact log likelihood of counts in a stationary linear network: independent Poisson laws (constant terms included)."""
    mean = np.asarray(mean, float)
    if not np.all(np.isfinite(mean) & (mean >= 0.0)):
        return -np.inf
    return float(np.sum(xlogy(counts, mean) - mean - gammaln(counts + 1.0)))


def detected_log_likelihood(simulated: np.ndarray, counts: np.ndarray, detection: float) -> float:
    """Log of the unbiased estimate mean_m prod_i Binomial(y_i; n_mi, p) from simulated molecules n (simulations, cells), each detected with
    probability p.
    """
    if not 0.0 < detection < 1.0:
        raise HmmInferError(f"detection is {detection:g}; a chance to be seen lies between 0 and 1.")
    n = np.asarray(simulated, float)
    seen = counts <= n
    missed = np.where(seen, n - counts, 0.0)
    log_p = gammaln(n + 1.0) - gammaln(counts + 1.0) - gammaln(missed + 1.0) + counts * np.log(detection) + missed * np.log1p(-detection)
    return float(logsumexp(np.where(seen, log_p, -np.inf).sum(axis=1)) - np.log(len(n)))


def pseudo_marginal(
    estimate: Callable[[dict[str, float], np.random.Generator], float],
    parameters: ParameterSet,
    *,
    draws: int = 2000,
    tune: int = 1000,
    chains: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> xr.DataTree:
    """Posterior from the log of an unbiased (or exact) likelihood estimate, by adaptive random-walk Metropolis-Hastings.

    Parameters
    ----------
    estimate : (named values, generator) -> log likelihood estimate; -inf where impossible.
    parameters : the unknowns, numbers with priors.

    Returns
    -------
    DataTree with posterior, prior and sample_stats (log likelihood as estimated, acceptance). ``attrs["loglik_sd"]``: sd of 30 estimates
    at the posterior mean.
    """
    for name, value, least in (("draws", draws, 1), ("tune", tune, 1), ("chains", chains, 1), ("seed", seed, 0)):
        whole(name, value, least)
    _plain_numbers(parameters, "pseudo-marginal chains take")
    seeds = np.random.SeedSequence(seed).spawn(chains + 1)
    x, logp, accepted = (np.empty((chains, draws, *shape)) for shape in ((len(parameters),), (), ()))
    for c in track(range(chains), "pseudo-marginal chains", show=progress and chains > 1):
        rng = np.random.default_rng(seeds[c])
        run = _chain(estimate, parameters, draws, tune, rng, progress and chains == 1)
        x[c], logp[c], accepted[c] = run
    rng = np.random.default_rng(seeds[-1])
    names = parameters.names
    centre = dict(zip(names, x.reshape(-1, len(names)).mean(axis=0).tolist(), strict=True))
    spread = float(np.std([estimate(centre, rng) for _ in range(30)]))
    stats = {"lp": logp, "acceptance_rate": accepted}
    tree = _tree(parameters, np.moveaxis(x, -1, 0), rng, {k: (("chain", "draw"), v) for k, v in stats.items()})
    tree.attrs = {"method": "pseudo_marginal", "seed": seed, "tune": tune, "loglik_sd": spread}
    return tree


def _plain_numbers(parameters: ParameterSet, who: str) -> None:
    for p in parameters:
        if p.size is not None or p.axial:
            raise HmmInferError(f"Parameter '{p.name}' is no single number; {who} plain numbers only.")


def _chain(
    estimate: Callable[..., float], parameters: ParameterSet, draws: int, tune: int, rng: np.random.Generator, show: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws (draws, p), estimated log likelihoods and acceptances of one chain, begun at the best of some prior draws."""
    p = len(parameters)
    starts = parameters.sample(rng, 20)
    first = [_named(parameters, s) for s in starts]
    values = [estimate(v, rng) for v in first]
    best = int(np.argmax(values))
    if not np.isfinite(values[best]):
        raise HmmInferError(f"The likelihood is 0 at 20 prior draws, for example at {first[0]}; widen or move the priors.")
    z = np.array([float(q.prior.to_unconstrained(s)) for q, s in zip(parameters, starts[best], strict=True)])
    now = values[best] + _log_prior(parameters, z)
    log_likelihood = values[best]
    root, scale = 0.3 * np.eye(p), 1.0
    past, kept, kept_l, kept_a = [], np.empty((draws, p)), np.empty(draws), np.empty(draws)
    for step in track(range(tune + draws), "pseudo-marginal chain", show=show):
        trial = z + scale * root @ rng.standard_normal(p)
        candidate = estimate(_named(parameters, _constrained(parameters, trial)), rng)
        new = candidate + _log_prior(parameters, trial)
        moved = np.log(rng.random()) < new - now
        if moved:
            z, now, log_likelihood = trial, new, candidate
        if step < tune:  # adapted while tuning only, so that the chain is a Markov chain afterwards
            past.append(z)
            scale *= np.exp((float(moved) - 0.25) / np.sqrt(step + 1.0))
            if step % 50 == 49 and step >= 100:
                covariance = np.cov(np.array(past[len(past) // 3 :]).T).reshape(p, p) + 1e-8 * np.eye(p)
                root = np.linalg.cholesky(covariance) * 2.4 / np.sqrt(p)
                scale = 1.0
        else:
            kept[step - tune] = _constrained(parameters, z)
            kept_l[step - tune], kept_a[step - tune] = log_likelihood, float(moved)
    return kept, kept_l, kept_a


def _constrained(parameters: ParameterSet, z: np.ndarray) -> np.ndarray:
    return np.array([float(q.prior.from_unconstrained(v)) for q, v in zip(parameters, z, strict=True)])


def _named(parameters: ParameterSet, x: np.ndarray) -> dict[str, float]:
    return dict(zip(parameters.names, (float(v) for v in x), strict=True))


def _log_prior(parameters: ParameterSet, z: np.ndarray) -> float:
    """Log prior density of the unconstrained vector, up to a constant."""
    return sum(q.prior.log_density(float(v)) for q, v in zip(parameters, z, strict=True))


def sample_smc(interrupt: Waiting, **choices: Any) -> xr.DataTree:
    """PyMC's sequential Monte Carlo in a block of :func:`.deferred`. It has draws of the posterior at its end only, so an interrupt ends it at once,
    whatever error the compiled code makes of it.
    """
    try:
        with interrupt.at_once():
            return pm.sample_smc(cores=1, **choices)
    except BaseException:
        if interrupt.asked:
            raise KeyboardInterrupt from None
        raise


def abc(
    simulate: Callable[[dict[str, float], np.random.Generator], np.ndarray],
    observed: np.ndarray,
    parameters: ParameterSet,
    epsilon: Any,
    *,
    draws: int = 500,
    chains: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> xr.DataTree:
    """Posterior of a simulator without likelihood, by sequential Monte Carlo with the kernel exp(-|s - s_obs|^2 / (2 epsilon^2)).

    Parameters
    ----------
    simulate : (named values, generator) -> summaries (k,).
    observed : (k,) summaries of the data. epsilon : tolerance of all summaries, or of each (k,); recorded in the attributes.
    """
    observed, near = np.asarray(observed, float), np.broadcast_to(np.asarray(epsilon, float), np.shape(observed))
    if observed.ndim != 1 or observed.size == 0 or not np.all(np.isfinite(observed)):
        raise HmmInferError("The observed summaries are a vector of finite numbers; correct them.")
    _plain_numbers(parameters, "approximate Bayesian computation takes")
    if not np.all(near > 0.0):
        raise HmmInferError(f"epsilon is {np.min(near):g}; a tolerance is positive.")

    def simulated(rng: np.random.Generator, *arguments: Any) -> np.ndarray:
        theta = np.array([np.squeeze(a) for a in arguments[: len(parameters)]])  # the last argument is a size, never used here
        return np.asarray(simulate(_named(parameters, theta), rng), float)

    with warnings.catch_warnings(), pm.Model(), threadpool_limits(1, "blas"), deferred() as interrupt:
        # PyMC 6.4 builds its own Simulator in a way that PyTensor announces to change; nothing here can say it otherwise
        warnings.filterwarnings("ignore", "(RandomVariable Ops will stop|Calling a RandomVariable without)", DeprecationWarning)
        variables = [prior_variable(p, p.name, {}) for p in parameters]
        pm.Simulator("summaries", simulated, *variables, epsilon=near, observed=observed)
        trace = sample_smc(
            interrupt,
            draws=draws,
            chains=chains,
            random_seed=seed,
            progressbar=progress,
            compute_convergence_checks=False,
            compile_kwargs={"mode": "FAST_COMPILE"},  # the simulator is Python: nothing to compile around it
        )
    posterior = trace["posterior"].to_dataset()
    x = np.stack([posterior[name].values for name in parameters.names])
    tree = _tree(parameters, x, np.random.default_rng(seed), {})
    tree.attrs = {"method": "abc", "seed": seed, "epsilon": near.tolist()}
    return tree


def _tree(parameters: ParameterSet, x: np.ndarray, rng: np.random.Generator, stats: Mapping[str, Any]) -> xr.DataTree:
    """Draws (parameters, chain, draw) as a DataTree for ArviZ, with units."""
    dims = {"chain": np.arange(x.shape[1]), "draw": np.arange(x.shape[2])}
    prior = parameters.sample(rng, 500)

    def labelled(p: Parameter, value: np.ndarray) -> xr.DataArray:
        attrs = {"units": p.unit, "description": p.description, "symbol": p.symbol, "axial": 0}
        return xr.DataArray(value, dims=("chain", "draw"), attrs=attrs)

    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({p.name: labelled(p, v) for p, v in zip(parameters, x, strict=True)}, coords=dims),
            "prior": xr.Dataset(
                {p.name: labelled(p, v[None]) for p, v in zip(parameters, prior.T, strict=True)}, coords={"chain": [0], "draw": np.arange(500)}
            ),
            "sample_stats": xr.Dataset(dict(stats), coords=dims),
        }
    )
