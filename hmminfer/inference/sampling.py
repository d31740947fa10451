"""From a model and its data to a posterior: sampling, and the labelled result.

    tree = fit(model, ...)                                             sampled with NUTS (nutpie), SMC, DE Metropolis or ABC
    tree = preview(model, ...)                                         modes and Laplace approximation, in seconds
    pymc_model = build(model, ...)                                     the same posterior as a PyMC model, for further work in PyMC

Before NUTS starts, the posterior's modes are searched from prior draws. The chains start in the modes in proportion to their Laplace weights, so
that no chain is lost in a region without mass, and separate modes (plus and minus theta) are found and reported. Fields are sampled in
coordinates of their own (:mod:`hmminfer.inference.coordinates`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import xarray as xr
from threadpoolctl import threadpool_limits

from hmminfer.errors import HmmInferError, interruptible, unknown, whole
from hmminfer.inference.interrupts import deferred, nothing_kept
from hmminfer.inference.laplace import effective_share
from hmminfer.inference.misfit import at_the_mode
from hmminfer.inference.modes import Mode, chain_starts, inside, modes_of
from hmminfer.inference.posterior import Compiled, pymc_model, start_angles
from hmminfer.inference.problem import Problem
from hmminfer.inference.results import assemble, extend, of_trace
from hmminfer.inference.starts import start_of_chain
from hmminfer.inference.without_gradient import fit_by_simulation, fit_without_gradient
from hmminfer.system.model import Model
from hmminfer.system.priors import Prior
from hmminfer.system.remarks import dear
from hmminfer.terminal import say, working

LAPLACE = "laplace"
SAMPLERS = ("nuts", "smc", "demetropolis", "abc", LAPLACE)


def build(
    model: Model,
    *,
    noise: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    discrepancy_kind: str = "none",
    **other: Any,
) -> pm.Model:
    """The posterior of a model and its data as a PyMC model, for further work in PyMC; the arguments are those of :func:`fit`.

    Its variables have the names and units of the result of :func:`fit`, so that traces of either serve the other: PyMC's functions take a result,
    and :meth:`hmminfer.Model.predict`, :func:`hmminfer.checks` and :func:`hmminfer.report` a trace (the latter two with the model beside it).
    Angles start where the data are likely: angle 0 is a saddle, from which no gradient leads away.
    """
    _refuse("build", other)
    problem = Problem.of(model, noise=noise, priors=priors, fixed=fixed, discrepancy_kind=discrepancy_kind)
    return pymc_model(problem, start_angles(problem), share=True)


@interruptible()
def preview(
    model: Model,
    *,
    noise: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    discrepancy_kind: str = "none",
    draws: int = 400,
    seed: int = 0,
    progress: bool = True,
    **other: Any,
) -> xr.DataTree:
    """Fast approximation of the posterior: its modes with a Gaussian (Laplace) around each, as draws in the format of :func:`fit`.

    The arguments are those of :func:`fit`.
    """
    _refuse("preview", other)
    whole("draws", draws)
    whole("seed", seed, 0)
    problem = Problem.of(model, noise=noise, priors=priors, fixed=fixed, discrepancy_kind=discrepancy_kind)
    previewable(model)
    compiled = _compiled(problem, progress)
    found = compiled.modes(seed, progress)
    _tell_costs(problem, found, progress)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(draws, [m.weight for m in found])
    compiled.standardise(found)
    box, sample = problem.box(), compiled.coordinates.sample
    x = np.concatenate([inside(partial(sample, m, rng), n, box) for m, n in zip(found, counts, strict=True)])[None]
    tree = assemble(problem, x, {}, found, seed, progress)
    log_likelihood = np.asarray(tree["log_likelihood"].to_dataset()["observed"])[0].reshape(draws, -1).sum(axis=1)
    tree.attrs.update(method=LAPLACE, interrupted=0, tune=0, effective_share=effective_share(problem, x[0], log_likelihood, found))
    return tree


def completed(
    trace: xr.DataTree,
    model: Model | Problem,
    *,
    noise: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    discrepancy_kind: str = "none",
    seed: int = 0,
    progress: bool = False,
    **other: Any,
) -> xr.DataTree:
    """A result like that of :func:`fit` from a trace that PyMC sampled of :func:`build`, with predictions, densities, units and provenance.

    ``model`` and its choices are those given to :func:`build`; values in the trace that say otherwise are an error.
    """
    _refuse("completed", other)
    choices: dict[str, Any] = {"noise": noise, "priors": priors, "fixed": fixed, "discrepancy_kind": discrepancy_kind}
    problem = model if isinstance(model, Problem) else Problem.of(model, **choices)
    return of_trace(problem, trace, seed, progress)


# arguments that users of PyMC and nutpie try first, and what they are called here
OURS = {
    "random_seed": "seed",
    "progressbar": "progress",
    "progress_bar": "progress",
    "nuts_sampler": "sampler",
    "step": "sampler",
    "prior": "priors",
    "discrepancy": "discrepancy_kind",
    "sigma": "noise",
    "sd": "noise",
    "samples": "draws",
    "num_samples": "draws",
    "warmup": "tune",
    "num_warmup": "tune",
}


def _refuse(function: str, other: Mapping[str, Any]) -> None:
    """Raise an error for an argument that a function does not take, naming the right or nearest one."""
    for name in other:
        known = list(inspect.signature(globals()[function]).parameters)[1:-1]
        ours = OURS.get(name)
        if ours in known:
            raise HmmInferError(f"{function}() takes no argument {name!r}; it is called {ours!r} here.")
        raise unknown(f"argument of {function}()", name, known)


def previewable(model: Model) -> None:
    """Raise an error for a simulated model: it has no density to preview."""
    if model.simulated:
        raise HmmInferError(
            f"The experiment '{model.experiment}' is simulated at random and has no Laplace approximation; leave the preview out, or fit with few draws."
        )


@interruptible()
def fit(
    model: Model,
    *,
    noise: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    discrepancy_kind: str = "none",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    target_accept: float = 0.8,
    sampler: str = "",
    cores: int | None = None,
    progress: bool = True,
    store: Any = None,
    resume: xr.DataTree | None = None,
    **other: Any,
) -> xr.DataTree:
    """Sample the posterior of a model and its data.

    Parameters
    ----------
    noise : None or "column" for the sd of each row; a number or array (units of the rows); "3%" of each value; {"quantity": "1 um"}; or "infer": an
        unknown factor on the sds of each quantity, an sd that is not stated being 3 % of the quantity's root mean square ("infer(5%)": 5 %).
    priors : other priors by name, as objects or text: {"matrix_modulus": "LogNormal(3.5 GPa, 0.2)"}; a prior frees a fixed parameter. A field's
        amplitude and length, noise scales and discrepancies have the names under which they appear in the result.
    fixed : values by name, numbers or text with units.
    discrepancy_kind : "none"; "extra" for an inferred model error for each quantity; "homogenisation" for one learnt from resolved solves.
    draws, tune, chains, seed : of the sampler; a seed is drawn and recorded when none is given.
    target_accept : acceptance rate that NUTS tunes its step to; raise it towards 1 (smaller steps) when there are divergences.
    sampler : "nuts" (gradients; the default), "smc" or "demetropolis" (without gradients), "laplace" (no sampling: :func:`preview`), or "abc":
        approximate Bayesian computation, the only sampler for a model that is simulated at random, and its default; the sd of each row is then its
        tolerance, see :func:`.stochastic.abc`.
    store : folder for draws while sampling (zarr), so that a killed run keeps them; NUTS only.
    resume : an earlier result of the same problem; its chains continue from their last points, and the new draws are appended.

    Returns
    -------
    DataTree with posterior, prior, prior_predictive, posterior_predictive, log_likelihood, log_prior, observed_data, sample_stats. Units, fixed
    values, modes and versions are in the attributes. An interrupt keeps the draws made so far; "smc" and "abc" have none before their end.
    """
    _refuse("fit", other)
    problem = Problem.of(model, noise=noise, priors=priors, fixed=fixed, discrepancy_kind=discrepancy_kind)
    sampler = sampler_of(model, sampler)
    for name, value, least in (("draws", draws, 1), ("tune", tune, 1), ("chains", chains, 1), ("seed", seed or 0, 0)):
        whole(name, value, least)
    if not 0.0 < target_accept < 1.0:
        raise HmmInferError(f"target_accept is {target_accept}; give a rate between 0 and 1, such as 0.8 or 0.95.")
    if resume is not None and sampler != "nuts":
        raise HmmInferError(f"A run of the sampler '{sampler}' cannot be resumed; run it again with more draws.")
    if resume is not None and "fitted" not in resume.children:
        raise HmmInferError("A result of version 0.1.0 can be read and predicted from, but not extended; repeat its run, with more draws.")
    seed = int(np.random.SeedSequence().generate_state(1)[0] % 2**31) if seed is None else int(seed)
    if sampler == LAPLACE:
        return preview(model, noise=noise, priors=priors, fixed=fixed, discrepancy_kind=discrepancy_kind, draws=draws, seed=seed, progress=progress)
    if sampler == "abc":
        return fit_by_simulation(problem, draws, chains, seed, progress)
    if sampler != "nuts":
        return fit_without_gradient(problem, sampler, draws, tune, chains, seed, progress)
    compiled = _compiled(problem, progress)
    if resume is None:
        found = compiled.modes(seed, progress)
        if progress:
            say(at_the_mode(problem, found), err=True)
        _tell_costs(problem, found, progress)
        starts = np.clip(chain_starts(found, chains, np.random.default_rng(seed)), *problem.box())
    else:
        found = modes_of(resume)
        starts = np.asarray(resume["sampler_state"]["last"].values)
        chains = len(starts)
    compiled.standardise(found)
    starts = np.stack([compiled.coordinates.to_v(x) for x in starts])
    x, stats, interrupted = _nuts(compiled, starts, draws, tune, chains, seed, target_accept, cores, progress, store, resume is not None)
    tree = assemble(problem, x, stats, found, seed, progress)
    tree.attrs.update(method="nuts", interrupted=int(interrupted), tune=tune)
    return tree if resume is None else extend(resume, tree)


def _tell_costs(problem: Problem, found: Sequence[Mode], progress: bool) -> None:
    """Say if the model is dear where the posterior lies; where the whole prior is, it was said before."""
    if progress and problem.model.costs and not dear(problem.model):
        x = np.random.default_rng(0).multivariate_normal(found[0].x, found[0].covariance, 200)
        say(*(f"Note: {sentence}" for sentence in dear(problem.model, problem.constrain(x))), err=True)


def _compiled(problem: Problem, progress: bool) -> Compiled:
    """The compiled posterior of a problem."""
    with working("compiling the posterior (the first time about 20 s)", show=progress):
        return Compiled(problem)


def sampler_of(model: Model, asked: str) -> str:
    """The sampler asked for, or by default the model's own; a sampler that does not suit the model is an error."""
    sampler = asked or ("abc" if model.simulated else "nuts")
    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    if (sampler == "abc") != model.simulated:
        only = "is simulated at random, without likelihood and gradient" if model.simulated else "has a likelihood"
        choose = "abc" if model.simulated else "nuts, smc, demetropolis or laplace"
        raise HmmInferError(f"The experiment '{model.experiment}' {only}; choose the sampler {choose}.")
    return sampler


def _nuts(
    compiled: Compiled,
    starts: np.ndarray,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    target_accept: float,
    cores: int | None,
    progress: bool,
    store: Any,
    every_chain: bool,
) -> tuple[np.ndarray, dict[str, np.ndarray], bool]:
    """Run nutpie from given starts: draws and statistics as :func:`_unpack` gives them, and True if the user interrupted it."""
    ready = replace(compiled.nutpie, initial_point_func=start_of_chain(starts, seed))
    kwargs: dict[str, Any] = {"zarr_store": nutpie.zarr_store.LocalStore(str(store))} if store is not None else {}
    with threadpool_limits(1, "blas"):
        sampler = nutpie.sample(
            ready,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            cores=cores,
            progress_bar=progress,
            save_warmup=False,
            adaptation="low_rank",
            target_accept=target_accept,
            blocking=False,
            **kwargs,
        )
        trace = None
        with deferred() as interrupt:  # an interrupt, or an impatient second one, must not come between the sampler and its draws
            while trace is None:
                try:
                    trace = sampler.abort() if interrupt.asked else sampler.wait(timeout=0.1)
                except TimeoutError:
                    continue
                except RuntimeError as error:
                    raise _failure(error, store) from None
            return *_unpack(trace, every_chain), interrupt.asked


def _failure(error: RuntimeError, store: Any) -> HmmInferError:
    """The sampler's error in a sentence, without the stack trace of its own language."""
    told = " ".join(str(error).partition("Stack backtrace")[0].split())
    if "os error" in told:
        return HmmInferError(f"The draws cannot be stored in '{store}' ({told.rpartition(': ')[2].strip()}); free space, or choose another place.")
    return HmmInferError(f"The sampler could not start: {told}. Check the data and priors, or try another seed.")


def _unpack(trace: Any, every_chain: bool = False) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Unconstrained draws (chain, draw, dim) and sampler statistics.

    After an interrupt chains differ in length, and some may not have begun: the chains kept are those that keep the most draws
    when cut to one length, or all of them if they continue an earlier run (``every_chain``).
    """
    stats = trace["sample_stats"].to_dataset()
    x = np.asarray(trace["posterior"]["x"].values, dtype=float)
    complete = np.isfinite(x).all(axis=2) & np.isfinite(stats["energy"].values) if x.size else np.zeros((1, 1), bool)
    length = np.logical_and.accumulate(complete, axis=1).sum(axis=1)
    longest = np.argsort(-length, kind="stable")
    total = length[longest] * np.arange(1, len(length) + 1)
    chains = longest[: len(length) if every_chain else int(np.argmax(total)) + 1]
    n = int(length[chains].min())
    if n == 0:
        raise nothing_kept()
    chains = np.sort(chains)
    names = {"mean_tree_accept": "acceptance_rate", "depth": "tree_depth", "logp": "lp"}
    names |= {name: name for name in ("diverging", "energy", "n_steps", "step_size")}
    kept = {new: stats[old].values[chains, :n] for old, new in names.items() if old in stats}
    return x[chains, :n], kept


def recover(problem: Problem, store: Any, *, seed: int, tune: int, resume: xr.DataTree | None = None, progress: bool = True) -> xr.DataTree:
    """The result of a killed run from the draws in its ``store``; the arguments are those of its :func:`fit`."""
    with xr.open_datatree(str(store), engine="zarr", consolidated=False) as trace:
        ways = {every: _unpack(trace, every) for every in {False, resume is not None}}
    x, stats = ways[resume is not None]
    if resume is not None:
        found = modes_of(resume)
        last = np.asarray(resume["sampler_state"]["last"].values)
        if any(np.array_equal(last, drawn[:, -1]) for drawn, _ in ways.values()):
            return resume  # killed after its draws were written and before the store was removed
    else:
        found = Compiled(problem).modes(seed, progress)
    tree = assemble(problem, x, stats, found, seed, progress)
    tree.attrs.update(method="nuts", interrupted=1, tune=tune)
    return tree if resume is None else extend(resume, tree)
