"""Homogenisation error: the difference of resolved and homogenised answers, learnt offline and carried in the likelihood.

    y_obs = f(theta) + d + noise,    d = m + B z(theta) + V xi + rest,    xi ~ Normal(0, I),  rest ~ Normal(0, diag r^2)

The differences  resolved - HMM  at draws from the prior are regressed on z, the unknowns in prior sds (their logarithms for log-normal priors):
m and B are intercept and slopes, V the principal modes of the residuals, and r the sd of what these modes leave out. If the error scales with
the answer, relative differences d / f are used. The weights xi are further unknowns with a standard normal prior, and r is added to the noise.
With xi integrated out, this is the Gaussian likelihood with covariance V V^T + diag(r^2 + sd^2); in the checks, each row keeps its own residual.

    fit(model, discrepancy_kind="homogenisation")      for a model with a resolved problem (Model.resolved); learnt once, then kept on disk
    fit(learn(model, resolved).applied_to(model))      resolved: named values -> y of any resolved problem, in the rows of the model
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hmminfer.engine.cache import cached_arrays
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.shift import shifted
from hmminfer.errors import HmmInferError
from hmminfer.system.model import Model
from hmminfer.system.parameters import Field, Parameter, ParameterSet
from hmminfer.system.priors import Normal
from hmminfer.system.tables import Table
from hmminfer.terminal import track


@dataclass(frozen=True, eq=False)
class HomogenisationError:
    """Gaussian model of resolved - HMM: ``mean`` (rows,), ``modes`` (rows, k), ``rest`` (rows,) sd; ``relative``: True for relative differences.

    ``slopes`` (rows, p): slopes of the mean along unknowns in prior sds, whose places in the model's vector are ``index`` (p,); none by default.
    """

    mean: np.ndarray
    modes: np.ndarray
    rest: np.ndarray
    relative: bool
    slopes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    index: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def shifts(self, model: Model, thetas: np.ndarray) -> np.ndarray:
        """The mean difference at each vector (n, size) of the model, (n, rows)."""
        if self.index.size == 0:
            return np.broadcast_to(self.mean, (len(thetas), len(self.mean)))
        return self.mean + standard(model, thetas, self.index) @ self.slopes.T

    def widened(self, sd: np.ndarray, table: Table) -> np.ndarray:
        """The noise ``sd`` (rows,) combined with ``rest``, the sd of what the modes leave out."""
        return np.hypot(sd, self.rest * np.abs(table.value) if self.relative else self.rest)

    def applied_to(self, model: Model, name: str = "homogenisation_error", description: str = "weights of the modes of resolved - HMM") -> Model:
        """The model with this error: a further unknown ``name`` (k weights), and a column sd that includes ``rest``.

        ``fit(model, discrepancy_kind="homogenisation")`` adds ``rest`` to any noise that is given (:meth:`widened`). Here it is a part of the
        column sd, so a ``noise`` given to fit replaces both.
        """
        if model.table is None or not isinstance(model.kernel, Kernel):
            raise HmmInferError("A homogenisation error is applied to the model of one experiment with data.")
        if len(self.mean) != model.n_out:
            raise HmmInferError(f"The error was learnt for {len(self.mean)} rows, the model has {model.n_out}; learn it anew.")
        k = self.modes.shape[1]
        weights = Parameter(name, "", Normal(0.0, 1.0), description, size=k, symbol="\\xi", nuisance=True)
        slopes = self.slopes if self.index.size else np.zeros((len(self.mean), 0))
        units, logarithmic = _units(model, self.index)
        kernel = shifted(model.kernel, self.modes, self.relative, self.mean, slopes, self.index, units, logarithmic)
        table = replace(model.table, sd=self.widened(model.table.sd, model.table))
        about = {**model.about, name: f"{k} modes, {'relative' if self.relative else 'absolute'}"}
        parameters = ParameterSet((*model.parameters, weights))
        return replace(model, parameters=parameters, kernel=kernel, table=table, about=about)


def _units(model: Model, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale (2, p) of the priors of vector entries, and 1 for each entry (p,) for which they are those of the logarithm."""
    entries = [p for p in model.parameters for _ in range(p.length)]
    units, logarithmic = np.ones((2, len(index))), np.zeros(len(index), np.int64)
    for k, i in enumerate(index):
        *units[:, k], logarithmic[k] = entries[i].prior.normal
    return units, logarithmic


def standard(model: Model, thetas: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Entries of vectors (n, size) in sds of their prior, (n, p)."""
    (centre, scale), logarithmic = _units(model, index)
    x = np.array(thetas)[:, index]
    x[:, logarithmic == 1] = np.log(x[:, logarithmic == 1])
    return (x - centre) / scale


def _free(model: Model) -> np.ndarray:
    """Places in the vector of the unknowns that get slopes; angles and fields get none, the modes describe their effect."""
    where = model.parameters.slices()
    plain = [p for p in model.parameters if p.name not in model.fixed and not p.axial and not isinstance(p, Field)]
    return np.array([i for p in plain for i in range(where[p.name].start, where[p.name].stop)], dtype=np.int64)


def learn(
    model: Model,
    resolved: Callable[[Mapping[str, Any]], np.ndarray],
    draws: int = 24,
    relative: bool = True,
    share: float = 0.99,
    seed: int = 0,
    progress: bool = True,
) -> HomogenisationError:
    """Learn resolved - HMM from prior draws of the model's unknowns.

    Parameters
    ----------
    resolved : named values (floats or arrays, users' units) -> y (rows,) of the resolved problem.
    draws : number of resolved solves; a dozen are enough for the mean, the modes need some tens.
    relative : model d / f, for answers that do not change sign; else d.
    share : share of the variance that the modes keep; the rest is added to each row's noise.
    """
    if draws < 4:
        raise HmmInferError(f"draws is {draws}; at least 4 resolved solves are needed for a mean and a spread, tens for modes.")
    rng = np.random.default_rng(seed)
    thetas = model.parameters.sample(rng, draws)
    where = model.parameters.slices()
    for name, value in model.fixed.items():
        thetas[:, where[name]] = model.parameters[name].to_vector(value)
    for p in model.parameters:
        if p.nuisance:  # an instrument's error is none of the model's
            thetas[:, where[p.name]] = 0.0
    differences = []
    for theta in track(thetas, "resolved solves", show=progress):
        f = model.kernel(theta)
        named = {k: v if np.ndim(v) else float(v) for k, v in model.parameters.values(theta).items()}
        y = np.asarray(resolved(named), dtype=float)
        if y.shape != f.shape:
            raise HmmInferError(f"The resolved problem gives {y.shape[0]} values, the model {f.size}; they must be the same rows.")
        d = y / f - 1.0 if relative else y - f
        if not np.all(np.isfinite(d)):
            at = ", ".join(f"{k} = {np.round(v, 4)}" for k, v in named.items())
            raise HmmInferError(f"No finite difference of resolved and HMM at {at}; narrow the priors, or set relative=False.")
        differences.append(d)
    d = np.array(differences)
    index = _free(model)
    if len(index) > draws // 4:  # too few solves to tell slopes from chance
        index = index[:0]
    regressors = np.hstack([np.ones((draws, 1)), standard(model, thetas, index)])
    fitted = np.linalg.lstsq(regressors, d, rcond=None)[0]
    known = regressors.shape[1]
    _, size, vectors = np.linalg.svd((d - regressors @ fitted) / np.sqrt(draws - known), full_matrices=False)
    power = np.cumsum(size**2) / np.sum(size**2)
    k = int(np.searchsorted(power, share)) + 1
    widen = np.sqrt(1.0 + known / draws)  # mean and slopes are estimates too
    modes = widen * (vectors[:k] * size[:k, None]).T
    rest = widen * np.sqrt(np.maximum(np.sum((vectors[k:] * size[k:, None]) ** 2, axis=0), 0.0))
    return HomogenisationError(fitted[0], modes, rest, relative, np.ascontiguousarray(fitted[1:].T), index)


def known_error(model: Model, progress: bool = True) -> HomogenisationError:
    """Homogenisation error of a model from its own resolved problem, learnt once for its priors and kept on disk."""
    resolved = model.resolved
    if resolved is None:
        raise HmmInferError(
            f"The experiment '{model.experiment}' of '{model.name}' knows no resolved problem; learn the error from one of your own: "
            "hmminfer.inference.homogenisation.learn(model, resolved)."
        )
    if not isinstance(model.kernel, Kernel):
        raise HmmInferError("A homogenisation error is applied to the model of one experiment; apply it before joint().")
    digest = hashlib.sha256(b"".join(d.tobytes() for d in model.kernel.data)).hexdigest()
    priors = [(p.name, repr(p.prior)) for p in model.parameters if p.name not in model.fixed]
    key = repr((model.kernel.code.fingerprint, digest, priors, sorted(model.fixed.items()), sorted(model.about.items())))

    def compute() -> dict[str, np.ndarray]:
        e = learn(model, resolved, progress=progress)
        return {"mean": e.mean, "modes": e.modes, "rest": e.rest, "slopes": e.slopes, "index": e.index}

    return HomogenisationError(**cached_arrays("homogenisation", key, compute), relative=True)
