"""Simulation-based calibration: data made from the prior, and the ranks of the truth in its posteriors."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from hmminfer.diagnostics import jobs
from hmminfer.diagnostics.importance import TRUSTED, importance
from hmminfer.diagnostics.sensitivity import Standard
from hmminfer.engine.fingerprint import fingerprint_of
from hmminfer.errors import HmmInferError
from hmminfer.inference.reading import LONG
from hmminfer.system.likelihood import POISSON, draw, log_density
from hmminfer.system.parameters import Field
from hmminfer.terminal import say, track

Sampler = Callable[[Any, int], Mapping[str, np.ndarray]]
AHEAD = 64  # jobs that are with an executor at a time, at least: a cluster of that many workers has enough to do


@dataclass(frozen=True, eq=False, repr=False)
class SBC:
    """Ranks (n,) of the true values among ``draws`` posterior draws, for each scalar quantity.

    ``pareto_k`` (n,): Pareto k of the default sampler's importance weights; draws can be trusted below 0.7. NaN for other samplers, which are
    taken at their word. ``resumed``: number of data sets that were found finished in the folder.
    """

    ranks: dict[str, np.ndarray]
    draws: int
    pareto_k: np.ndarray
    resumed: int = 0

    @property
    def trusted(self) -> np.ndarray:
        """Mask (n,) of the data sets whose draws can be trusted; ``p`` and ``ok`` count no others.

        They are chosen by their data and weights, without the truth: given the data its rank among good draws is uniform all the same.
        """
        return ~(self.pareto_k >= TRUSTED)

    @cached_property
    def p(self) -> dict[str, float]:
        """p-value (chi2) of uniform ranks over the trusted data sets, for each quantity; NaN if there are none."""
        return {name: _uniformity(ranks[self.trusted], self.draws) for name, ranks in self.ranks.items()}

    @property
    def p_value(self) -> float:
        """Smallest p-value, corrected for the number of quantities (Bonferroni); NaN if no draws can be trusted."""
        return float(np.minimum(min(self.p.values()) * len(self.p), 1.0))

    @property
    def ok(self) -> bool:
        """True if at least half of the data sets can be trusted and no quantity is miscalibrated at the 1 % level."""
        return bool(2 * self.trusted.sum() >= len(self.trusted) and self.p_value > 0.01)

    def text(self) -> str:
        """The result in words."""
        n, counted = len(self.trusted), int(self.trusted.sum())
        verdict = "Calibrated" if self.ok else "Not known to be calibrated" if 2 * counted < n else "Miscalibrated"
        lines = [f"{verdict}: p = {self.p_value:.2g} for uniform ranks of {len(self.p)} quantities over {counted} of {n} data sets."]
        lines += [f"  {name}: p = {p:.2g}" for name, p in self.p.items()]
        if counted < n:
            lines.append(
                f"Not counted: {n - counted}, whose draws cannot be trusted (Pareto k of {TRUSTED} or more); a posterior= of your own can do better."
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.text()


def sbc(
    model: Any,
    n: int = 100,
    draws: int = 99,
    seed: int = 0,
    noise_factor: float = 1.0,
    posterior: Sampler | None = None,
    workers: int = 1,
    progress: bool = True,
    executor: Executor | None = None,
    folder: str | Path | None = None,
) -> SBC:
    """Simulation-based calibration (Talts et al. 2018): truths from the prior, data y + sigma noise, rank of the truth.

    Ranks among the posterior's draws are uniform when priors, likelihood and sampler agree. An axial angle enters as
    cos 2 theta, which is the same for both signs; the log likelihood is ranked too, because it is the most sensitive to
    wrong noise (Modrak et al. 2023). Equal seeds give equal ranks, whoever computes them.

    >>> client = dask.distributed.Client("scheduler:8786")  # doctest: +SKIP
    >>> client.upload_file("my_system.py")  # a system of one's own; the workers have hmminfer  # doctest: +SKIP
    >>> sbc(model, n=1000, executor=client.get_executor(retries=2), folder="calibration")  # doctest: +SKIP

    Parameters
    ----------
    model : a model with data (their layout and sd are used) or a problem.
    n, draws, seed, progress : number of simulated data sets, number of posterior draws, seed, progress bar.
    noise_factor : multiplies the sd the posterior assumes; anything but 1 must fail (0.7 is the negative control).
    posterior : (problem, seed) -> named independent draws, for example by :func:`hmminfer.fit`; the default is adaptive
        importance sampling, for problems without fields.
    workers : number of processes (more than one needs ``if __name__ == "__main__"`` in a script); of an executor's workers, if they are more than 64.
    executor : any executor of :mod:`concurrent.futures` in place of processes of its own; of a cluster, for example.
    folder : keeps each finished data set in a file. The same call goes on where one that was killed stopped, and with a larger ``n`` adds to it.
    """
    std = Standard(model)
    if posterior is None and any(isinstance(p, Field) for p in std.problem.free):
        raise HmmInferError("The default sampler of sbc() does not do fields; give posterior=, a function (problem, seed) -> draws.")
    if std.model.simulated:
        raise std.model.kernel.refusal()
    if std.model.likelihood == POISSON and noise_factor != 1.0:
        raise HmmInferError("Counts have no noise to scale: noise_factor is 1 for them; give a wrong posterior= as negative control.")
    bank = std.prior(np.random.default_rng(seed), 1000)
    y_bank = std.model.batch(std.theta(bank), strict=False)
    solved = np.isfinite(y_bank).all(axis=1)
    bank, y_bank = bank[solved], y_bank[solved]
    if len(bank) < 10:
        raise HmmInferError("The model could not be solved at almost every prior draw; widen or move the priors.")
    shared = dict(std=std, bank=bank, y_bank=y_bank, draws=draws, factor=noise_factor, posterior=posterior, seed=seed)
    results: dict[int, Any] = {}
    kept = None if folder is None else Path(folder)
    if kept is not None:
        facts = {"seed": int(seed), "draws": int(draws), "noise_factor": float(noise_factor), "sampler": fingerprint_of(_rank, posterior)}
        results = {k: r for k, r in jobs.finished(kept, {**facts, "problem": _numbers(std, bank, y_bank)}).items() if k < n}
    resumed = len(results)
    if resumed and progress:
        say(f"calibration: {resumed} of {n} data sets are finished in '{kept}'", err=True)
    own = ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if executor is None and workers > 1 else None
    ahead = 2 * workers if own else max(AHEAD, 2 * workers)
    todo = [k for k in range(n) if k not in results]
    try:
        with closing(jobs.stream(_rank, shared, todo, own or executor, ahead)) as stream:
            for k, result in track(stream, "calibration", len(todo), progress):
                results[k] = result
                if kept is not None:
                    jobs.keep(kept, k, result)
    finally:
        if own:
            own.shutdown(cancel_futures=True)
    ordered = [results[k] for k in range(n)]
    ranks = {name: np.array([r["ranks"][name] for r in ordered]) for name in ordered[0]["ranks"]}
    return SBC(ranks, draws, np.array([r["pareto_k"] for r in ordered]), resumed)


def _uniformity(ranks: np.ndarray, draws: int) -> float:
    """p-value (chi2) of ranks that should be uniform on 0 ... draws; NaN of none."""
    if len(ranks) == 0:
        return math.nan
    edges = np.linspace(0, draws + 1, min(int(np.clip(len(ranks) // 10, 4, 20)), draws + 1) + 1)
    found, possible = (np.histogram(r + 0.5, edges)[0] for r in (ranks, np.arange(draws + 1)))  # not every bin holds equally many ranks
    return float(stats.chisquare(found, possible * (len(ranks) / (draws + 1))).pvalue)


def _numbers(std: Standard, bank: np.ndarray, y_bank: np.ndarray) -> str:
    """Hash of a problem as numbers: its unknowns, predictions and noise at the prior draws; whatever was changed is seen in them."""
    named = std.named(bank)
    digest = hashlib.sha256(repr([(std.model.likelihood, *named), y_bank.shape]).encode())
    for array in (*named.values(), y_bank, std.problem.sigma_of(named)):
        digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
    return digest.hexdigest()


def _rank(
    k: int, std: Standard, bank: np.ndarray, y_bank: np.ndarray, draws: int, factor: float, posterior: Sampler | None, seed: int
) -> dict[str, Any]:
    """Ranks of the truth of data set k, and Pareto k. Truth, data and posterior are drawn with the seed of (seed, k)."""
    sequence = np.random.SeedSequence(seed, spawn_key=(k,))
    rng = np.random.default_rng(sequence)
    problem = std.problem
    u, y = _truth(std, rng)
    truth = {name: np.asarray(v)[None] for name, v in std.named(u).items()}
    law = problem.model.likelihood
    data = draw(law, rng, y, problem.sigma_of(truth)[..., : len(y)].reshape(-1))
    assumed = replace(problem, table=replace(problem.table, value=data), sd=problem.sd * factor)
    pareto_k = math.nan
    if posterior is None:
        fitted = Standard(assumed)
        x, y_x, pareto_k = importance(fitted, data, bank, y_bank, draws, rng)
        named = fitted.named(x)
    else:
        named = {name: np.asarray(v) for name, v in posterior(assumed, int(sequence.generate_state(1)[0]) % 2**31).items()}
        theta = std.model.vector({name: v for name, v in named.items() if name in std.model.parameters.names})
        y_x = std.model.batch(theta, strict=False)
    for where, values in ((truth, y[None]), (named, y_x)):
        sigma = assumed.sigma_of(where)
        where["log_likelihood"] = np.sum(log_density(law, data, values, sigma), axis=-1)
    axial = {p.name for p in problem.free if p.axial and not isinstance(p, Field)}
    ranks = {}
    for name, true in truth.items():
        if np.asarray(true)[0].size > LONG:
            continue
        for i, (a, b) in enumerate(zip(np.reshape(true, (1, -1))[0], np.reshape(named[name], (len(y_x), -1)).T, strict=True)):
            a, b = (np.cos(np.radians(2.0 * v)) if name in axial else v for v in (a, b))
            ranks[name if np.ndim(true) == 1 else f"{name}[{i}]"] = round(float(np.mean(b < a)) * draws)
    return {"ranks": ranks, "pareto_k": pareto_k}


def _truth(std: Standard, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A prior draw u at which the model can be solved, and its y."""
    for _ in range(1000):
        u = std.prior(rng, 1)
        y = std.model.batch(std.theta(u), strict=False)
        if np.isfinite(y).all():
            return u[0], y[0]
    raise HmmInferError("The model could not be solved at 1000 prior draws; widen or move the priors.")
