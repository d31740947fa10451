"""From a model and its data to a posterior: the PyMC model, its modes, sampling, and the labelled result. The only file that imports pymc.

    problem = Problem.of(model, noise=..., priors=..., fixed=...)      what is asked
    tree = fit(model, ...)                                             sampled with NUTS (nutpie), SMC or DE Metropolis
    tree = preview(model, ...)                                         modes and Laplace approximation, in seconds
    pymc_model = build(model, ...)                                     the same posterior as a PyMC model, to go on by hand

Before the chains start, the posterior's modes are searched from prior draws; chains start in the modes in proportion to their Laplace weights,
so that none is lost in a corner that holds no mass, and separate modes (plus and minus theta) are found and said.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from threadpoolctl import threadpool_limits

from . import discrepancy, units
from .data import Table
from .errors import HmmInferError, unknown
from .model import Model
from .modes import Mode, chain_starts, find_modes
from .operator import apply_vector
from .parameters import (
    WRAP,
    Axial,
    Field,
    HalfNormal,
    LogNormal,
    Normal,
    Parameter,
    Prior,
    Uniform,
    wrap_axial,
)
from .results import assemble, extend, field_scales, hyperparameters

SAMPLERS = ("nuts", "smc", "demetropolis")


@dataclass(frozen=True, eq=False)
class Problem:
    """A model with its priors and fixed values settled, and a likelihood.

    ``sd`` (rows,): known noise; ``noise``: unknown scales of it, one for each quantity (empty when known); ``extra``: discrepancy.
    """

    model: Model
    table: Table
    sd: np.ndarray
    noise: tuple[Parameter, ...]
    extra: tuple[Parameter, ...]
    choices: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Model,
        noise: Any = None,
        priors: Mapping[str, Prior | str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        discrepancy_kind: str = "none",
    ) -> Problem:
        """Settle what is known and unknown; see :func:`fit` for the arguments."""
        if model.table is None:
            raise HmmInferError(
                f"Model '{model.name}' ({model.experiment}) has no data; build it from a table or a dataset to fit it."
            )
        for name in {**(priors or {}), **(fixed or {})}:
            model.parameters[name]
        both = set(priors or {}) & set(fixed or {})
        if both:
            raise HmmInferError(f"{', '.join(sorted(both))} cannot be fixed and have a prior; choose one.")
        model = model.with_priors(priors or {})
        held = dict(model.fixed)
        for name, value in (fixed or {}).items():
            p = model.parameters[name]
            held[name] = float(p.from_vector(p.to_vector(value))) if p.size is None else value
        model = Model(**{**model.__dict__, "fixed": held})
        table = model.table
        assert table is not None
        sd, scales = _noise(table, noise)
        extra = discrepancy.parameters(discrepancy_kind, table)
        choices = {"noise": noise, "priors": priors, "fixed": fixed, "discrepancy": discrepancy_kind}
        return cls(model, table, sd, scales, extra, {k: v for k, v in choices.items() if v})

    @property
    def free(self) -> tuple[Parameter, ...]:
        """Unknowns in the order of the random variables: the model's, then hyperparameters of fields, noise, discrepancy."""
        out: list[Parameter] = []
        for p in self.model.parameters:
            if p.name not in self.model.fixed:
                out.extend([*hyperparameters(p), p] if isinstance(p, Field) else [p])
        return (*out, *self.noise, *self.extra)

    def value_name(self, p: Parameter) -> str:
        """Name of the random variable behind a parameter."""
        return (
            f"{p.name}_double"
            if p.axial and not isinstance(p, Field)
            else f"{p.name}_z"
            if isinstance(p, Field)
            else p.name
        )

    def pymc(self) -> pm.Model:
        """The posterior as a PyMC model."""
        table = self.table
        with pm.Model(coords={"row": np.arange(len(table))}) as model:
            variables: dict[str, Any] = {}
            for p in self.free:
                variables[p.name] = self._variable(p, variables)
            parts = []
            for p in self.model.parameters:
                parts.append(
                    variables[p.name] if p.name in variables else pt.constant(p.to_vector(self.model.fixed[p.name]))
                )
            y = apply_vector(self.model.kernel, pt.concatenate([pt.atleast_1d(x) for x in parts]))
            pm.Normal("observed", y, self._sigma(variables), observed=table.value, dims="row")
        return model

    def _variable(self, p: Parameter, variables: Mapping[str, Any]) -> Any:
        """Random variable(s) of one unknown; returns what enters the kernel's vector."""
        name = self.value_name(p)
        if isinstance(p, Field):
            z = pm.Normal(name, 0.0, 1.0, shape=p.length)
            amplitude, length = (variables[h.name] for h in hyperparameters(p))
            return z * p.scales(amplitude, length, sqrt=pt.sqrt)
        shape = () if p.size is None else p.size
        if isinstance(p.prior, Axial):
            t = pm.Normal(name, 0.0, WRAP, shape=shape)
            if p.prior.concentration > 0:
                pm.Potential(
                    f"{p.name}_prior", pt.sum(p.prior.concentration * pt.cos(t - math.radians(2 * p.prior.mean)))
                )
            return t
        prior = p.prior
        if isinstance(prior, LogNormal):
            return pm.LogNormal(name, math.log(prior.median), prior.sigma, shape=shape)
        if isinstance(prior, Uniform):
            return pm.Uniform(name, prior.lower, prior.upper, shape=shape)
        if isinstance(prior, HalfNormal):
            return pm.HalfNormal(name, prior.standard_deviation, shape=shape)
        assert isinstance(prior, Normal)
        if math.isinf(prior.lower) and math.isinf(prior.upper):
            return pm.Normal(name, prior.mean, prior.standard_deviation, shape=shape)
        lower, upper = (None if math.isinf(b) else b for b in (prior.lower, prior.upper))
        return pm.TruncatedNormal(name, prior.mean, prior.standard_deviation, lower=lower, upper=upper, shape=shape)

    def _sigma(self, v: Mapping[str, Any]) -> Any:
        """Noise sd of every row, known or symbolic; also serves plain numbers."""
        sigma: Any = self.sd
        for group, base in ((self.noise, None), (self.extra, discrepancy.scale(self.table))):
            if group:
                which = self._group_of(group)
                values = pt.stack([pt.as_tensor_variable(v[p.name]) for p in group])[which]
                sigma = sigma * values if base is None else pt.sqrt(sigma**2 + (values * base) ** 2)
        return sigma

    def _group_of(self, group: tuple[Parameter, ...]) -> np.ndarray:
        names = list(dict.fromkeys(self.table.quantity.tolist()))
        return np.array([names.index(q) for q in self.table.quantity])

    def sigma_of(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Noise sd (..., rows) for named draws."""
        sigma = self.sd
        if self.noise:
            sigma = sigma * np.stack([draws[p.name] for p in self.noise], axis=-1)[..., self._group_of(self.noise)]
        if self.extra:
            tau = np.stack([draws[p.name] for p in self.extra], axis=-1)[..., self._group_of(self.extra)]
            sigma = np.sqrt(sigma**2 + (tau * discrepancy.scale(self.table)) ** 2)
        return sigma

    # --- between unconstrained vectors x and named draws

    def prior_draws(self, rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
        """Named prior draws of every unknown; a field appears as its coefficients and its z."""
        out: dict[str, np.ndarray] = {}
        for p in self.free:
            if isinstance(p, Field):
                z = rng.standard_normal((size, p.length))
                amplitude, length = (out[h.name] for h in hyperparameters(p))
                out[self.value_name(p)] = z
                out[p.name] = z * np.stack([p.scales(a, ell) for a, ell in zip(amplitude, length, strict=True)])
            else:
                draws = p.prior.sample(rng, size * p.length).reshape(size, p.length)
                out[p.name] = draws[:, 0] if p.size is None else draws
        return out

    def unconstrain(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Unconstrained vectors (n, dim) in the order of PyMC's value variables."""
        parts = []
        for p in self.free:
            x = np.asarray(draws[self.value_name(p) if isinstance(p, Field) else p.name], dtype=float)
            x = x[:, None] if x.ndim == 1 else x
            parts.append(x if isinstance(p, Field) else np.radians(2 * x) if p.axial else _forward(p.prior, x))
        return np.concatenate(parts, axis=1)

    def constrain(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Named values in users' units of unconstrained vectors (..., dim)."""
        out: dict[str, np.ndarray] = {}
        start = 0
        for p in self.free:
            part = x[..., start : start + p.length]
            start += p.length
            if isinstance(p, Field):
                amplitude, length = (out[h.name] for h in hyperparameters(p))
                out[p.name] = part * field_scales(p, amplitude, length)
                continue
            value = wrap_axial(part) if p.axial else _backward(p.prior, part)
            out[p.name] = value[..., 0] if p.size is None else value
        return out

    def axial_positions(self) -> np.ndarray:
        """Which entries of the unconstrained vector are double angles."""
        return np.concatenate([np.full(p.length, p.axial and not isinstance(p, Field)) for p in self.free])


def _forward(prior: Prior, x: np.ndarray) -> np.ndarray:
    """PyMC's default transform of each prior: log for positive ones, logit of the share for intervals."""
    lower, upper = _bounds(prior)
    if math.isfinite(lower) and math.isfinite(upper):
        return np.log(x - lower) - np.log(upper - x)
    if math.isfinite(lower):
        return np.log(x - lower)
    return -np.log(upper - x) if math.isfinite(upper) else x


def _backward(prior: Prior, x: np.ndarray) -> np.ndarray:
    lower, upper = _bounds(prior)
    if math.isfinite(lower) and math.isfinite(upper):
        return lower + (upper - lower) / (1.0 + np.exp(-x))
    if math.isfinite(lower):
        return lower + np.exp(x)
    return upper - np.exp(-x) if math.isfinite(upper) else x


def _bounds(prior: Prior) -> tuple[float, float]:
    if isinstance(prior, LogNormal | HalfNormal):
        return 0.0, math.inf
    return (prior.lower, prior.upper) if isinstance(prior, Normal | Uniform) else (-math.inf, math.inf)


def _noise(table: Table, noise: Any) -> tuple[np.ndarray, tuple[Parameter, ...]]:
    """Known sd of every row, and the unknown scales when it is to be inferred."""
    if noise is None:
        missing = np.flatnonzero(~np.isfinite(table.sd))
        if missing.size:
            raise HmmInferError(
                f"{missing.size} rows have no sd, the first in line {table.line[missing[0]]}; fill the column in, or give noise as a number, "
                "a share such as '3%', one value for each quantity, or 'infer'."
            )
        return table.sd, ()
    rms = discrepancy.scale(table)
    if isinstance(noise, str) and noise == "infer":
        base = np.where(np.isfinite(table.sd), table.sd, 0.03 * rms)
        names = dict.fromkeys(table.quantity.tolist())
        return base, tuple(
            Parameter(
                f"noise_scale_{q}",
                "",
                LogNormal(1.0, 1.0),
                f"noise of {q} over the stated sd (3 % of rms where none)",
                0.0,
            )
            for q in names
        )
    if isinstance(noise, str) and noise.strip().endswith("%"):
        sd = units.parse(noise, "") * np.abs(table.value)
    elif isinstance(noise, Mapping):
        sd = np.array(table.sd)
        for q, value in noise.items():
            if q not in table.quantity:
                raise unknown("quantity", q, dict.fromkeys(table.quantity.tolist()))
            rows = table.quantity == q
            sd[rows] = units.parse(value, str(table.unit[rows][0]))
    else:
        try:
            sd = np.broadcast_to(np.asarray(noise, dtype=float), (len(table),)).copy()
        except ValueError:
            raise HmmInferError(
                f"The noise {noise!r} is not one number or one for each of the {len(table)} rows; give it in the unit of the rows, "
                "as a share such as '3%', as one value for each quantity, or as 'infer'."
            ) from None
    bad = np.flatnonzero(~(np.isfinite(sd) & (sd > 0)))
    if bad.size:
        raise HmmInferError(
            f"The noise of {table.quantity[bad[0]]} in line {table.line[bad[0]]} is {sd[bad[0]]:g} {table.unit[bad[0]]}".rstrip()
            + "; a standard deviation is positive and finite, and a share in % needs a value that is not zero."
        )
    return sd, ()


def build(model: Model, **choices: Any) -> pm.Model:
    """The posterior of a model and its data as a PyMC model; ``choices`` as in :func:`fit`."""
    return Problem.of(model, **choices).pymc()


class Compiled:
    """The compiled log density and gradient of a problem, on unconstrained vectors."""

    def __init__(self, problem: Problem) -> None:
        import nutpie

        self.problem = problem
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*object mode.*")
            self.nutpie = nutpie.compile_pymc_model(problem.pymc(), backend="numba")

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.nutpie.logp_func(np.ascontiguousarray(x, dtype=float))
        return float(value), np.asarray(gradient)

    def modes(self, seed: int, progress: bool = False, searches: int | None = None) -> list[Mode]:
        """Modes of the posterior, heaviest first; an error names the reason when no start has a solution.

        ``searches``: optimisations from the best prior draws; 16, or 4 for a field, whose many directions cost as many gradients each.
        """
        searches = searches or (16 if self.nutpie.n_dim < 30 else 4)
        rng = np.random.default_rng(seed)
        starts = self.problem.unconstrain(self.problem.prior_draws(rng, 20 * searches))
        with threadpool_limits(1, "blas"):
            found = find_modes(self, starts, self.problem.axial_positions(), searches, progress)
        if not found:
            centre = {k: float(v[0]) for k, v in self.problem.constrain(starts[:1]).items() if np.ndim(v) == 1}
            raise HmmInferError(
                f"No start has a solution: the model failed at {len(starts)} prior draws, for example at {centre}. Widen or move the priors "
                "to values the model can be solved for, and check that every datum and sd is finite."
            )
        return found


def preview(model: Model, *, draws: int = 1000, seed: int = 0, progress: bool = True, **choices: Any) -> xr.DataTree:
    """Fast look: modes and Gaussian (Laplace) approximation of the posterior, as draws in the format of :func:`fit`."""
    problem = Problem.of(model, **choices)
    compiled = Compiled(problem)
    found = compiled.modes(seed, progress)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(draws, [m.weight for m in found])
    x = np.concatenate([m.sample(rng, n) for m, n in zip(found, counts, strict=True)])[None]
    tree = assemble(problem, x, {}, found, seed, progress)
    tree.attrs["method"] = "laplace"
    return tree


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
    sampler: str = "nuts",
    cores: int | None = None,
    progress: bool = True,
    store: Any = None,
    resume: xr.DataTree | None = None,
) -> xr.DataTree:
    """Sample the posterior of a model and its data.

    Parameters
    ----------
    noise : None for the sd of each row; a number or array (units of the rows); "3%" of each value; {"quantity": "1 um"}; or "infer".
    priors : other priors by name, as objects or text: {"matrix_modulus": "LogNormal(3.5 GPa, 0.2)"}; frees a fixed parameter.
    fixed : values by name, numbers or text with units.
    discrepancy_kind : "none", or "extra" for an inferred model error for each quantity.
    draws, tune, chains, seed : of the sampler; a seed is drawn and recorded when none is given.
    sampler : "nuts" (gradients), "smc" or "demetropolis" (without).
    store : folder for draws while sampling (zarr), so that a killed run keeps them; NUTS only.
    resume : an earlier result of the same problem; its chains go on from their last points and the draws are appended.

    Returns
    -------
    DataTree with posterior, prior, prior_predictive, posterior_predictive, log_likelihood, log_prior, observed_data, sample_stats. Units, fixed
    values, modes and versions are in the attributes. An interrupt keeps what was drawn.
    """
    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    for name, value, least in (("draws", draws, 1), ("tune", tune, 1), ("chains", chains, 1)):
        if value < least:
            raise HmmInferError(f"{name} is {value}; give a whole number of at least {least}.")
    if resume is not None and sampler != "nuts":
        raise HmmInferError(f"A run of the sampler '{sampler}' cannot be resumed; run it again with more draws.")
    seed = int(np.random.SeedSequence().generate_state(1)[0] % 2**31) if seed is None else int(seed)
    problem = Problem.of(model, noise=noise, priors=priors, fixed=fixed, discrepancy_kind=discrepancy_kind)
    if sampler != "nuts":
        return _fit_without_gradient(problem, sampler, draws, tune, chains, seed, progress)
    compiled = Compiled(problem)
    if resume is None:
        found = compiled.modes(seed, progress)
        starts = chain_starts(found, chains, np.random.default_rng(seed))
    else:
        found = [Mode.from_dict(m) for m in json.loads(resume.attrs["modes"])]
        starts = np.asarray(resume["sampler_state"]["last"].values)
        chains = len(starts)
    trace, interrupted = _nuts(compiled, starts, draws, tune, chains, seed, cores, progress, store)
    x, stats = _unpack(trace, resume is not None)
    tree = assemble(problem, x, stats, found, seed, progress)
    tree.attrs.update(method="nuts", interrupted=int(interrupted), tune=tune)
    return tree if resume is None else extend(resume, tree)


def _nuts(
    compiled: Compiled,
    starts: np.ndarray,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    cores: int | None,
    progress: bool,
    store: Any,
) -> tuple[Any, bool]:
    """Run nutpie from given starts; True when the user interrupted it."""
    import dataclasses
    import threading

    import nutpie

    lock, taken = threading.Lock(), [0]

    def start(chain_seed: Any = None) -> np.ndarray:
        # nutpie asks once for each chain, in order; a start that fails is asked for again and gets the next one
        with lock:
            taken[0] += 1
            return np.ascontiguousarray(starts[(taken[0] - 1) % len(starts)])

    ready = dataclasses.replace(compiled.nutpie, initial_point_func=start)
    kwargs: dict[str, Any] = {"zarr_store": nutpie.zarr_store.LocalStore(str(store))} if store is not None else {}
    interrupted = False
    with threadpool_limits(1, "blas"):
        sampler = nutpie.sample(
            ready, draws=draws, tune=tune, chains=chains, seed=seed, cores=cores, progress_bar=progress, save_warmup=False,
            adaptation="low_rank", target_accept=0.9, store_unconstrained=True, blocking=False, **kwargs,
        )  # fmt: skip
        try:
            trace = sampler.wait()
        except KeyboardInterrupt:
            interrupted = True
            trace = sampler.abort()
        except RuntimeError as error:
            raise HmmInferError(
                f"The sampler could not start: {error}. Check the data and priors, or try another seed."
            ) from None
    return trace, interrupted


def _unpack(trace: Any, every_chain: bool = False) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Unconstrained draws (chain, draw, dim) and sampler statistics.

    After an interrupt chains differ in length, and some may not have begun: the chains kept are those that keep the most draws
    when cut to one length, or all of them where they go on from an earlier run (``every_chain``).
    """
    stats = trace["sample_stats"].to_dataset()
    x = np.asarray(stats["unconstrained_draw"].values, dtype=float)
    complete = np.isfinite(x).all(axis=2) & np.isfinite(stats["energy"].values) if x.size else np.zeros((1, 1), bool)
    length = np.logical_and.accumulate(complete, axis=1).sum(axis=1)
    longest = np.argsort(-length, kind="stable")
    total = length[longest] * np.arange(1, len(length) + 1)
    chains = longest[: len(length) if every_chain else int(np.argmax(total)) + 1]
    n = int(length[chains].min())
    if n == 0:
        raise HmmInferError(
            "The run was interrupted before any draw was kept; run it again, with a smaller tune to see draws sooner."
        )
    chains = np.sort(chains)
    names = {
        "diverging": "diverging",
        "energy": "energy",
        "n_steps": "n_steps",
        "depth": "tree_depth",
        "step_size": "step_size",
        "logp": "lp",
    }
    kept = {new: stats[old].values[chains, :n] for old, new in names.items() if old in stats}
    return x[chains, :n], kept


def recover(
    problem: Problem, store: Any, *, seed: int, tune: int, resume: xr.DataTree | None = None, progress: bool = True
) -> xr.DataTree:
    """The result of a killed run from the draws in its ``store``; the arguments are those of its :func:`fit`."""
    with xr.open_datatree(str(store), engine="zarr", consolidated=False) as trace:
        x, stats = _unpack(trace, resume is not None)
    if resume is not None:
        found = [Mode.from_dict(m) for m in json.loads(resume.attrs["modes"])]
        if np.array_equal(np.asarray(resume["sampler_state"]["last"].values), x[:, -1]):
            return resume  # killed after its draws were appended and before the store was removed
    else:
        found = Compiled(problem).modes(seed, progress)
    tree = assemble(problem, x, stats, found, seed, progress)
    tree.attrs.update(method="nuts", interrupted=1, tune=tune)
    return tree if resume is None else extend(resume, tree)


def _fit_without_gradient(
    problem: Problem, sampler: str, draws: int, tune: int, chains: int, seed: int, progress: bool
) -> xr.DataTree:
    """SMC or DE Metropolis, for models without gradients or with separate modes."""
    with problem.pymc(), threadpool_limits(1, "blas"):
        common: dict[str, Any] = {
            "draws": draws,
            "chains": chains,
            "random_seed": seed,
            "progressbar": progress,
            "cores": 1,
        }
        if sampler == "smc":  # noqa: SIM108 (two calls with a paragraph of arguments read better apart)
            trace = pm.sample_smc(**common)
        else:
            trace = pm.sample(tune=tune, step=pm.DEMetropolisZ(), compute_convergence_checks=False, **common)
    posterior = trace["posterior"].to_dataset()
    parts = []
    for p in problem.free:
        v = posterior[problem.value_name(p)].values
        v = v[..., None] if v.ndim == 2 else v
        parts.append(v if isinstance(p, Field) or p.axial else _forward(p.prior, v))
    tree = assemble(problem, np.concatenate(parts, axis=2), {}, [], seed, progress)
    tree.attrs.update(method=sampler, interrupted=0, tune=tune)
    return tree
