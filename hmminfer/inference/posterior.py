"""The posterior as a PyMC model, and compiled: log density and exact gradient in the coordinates it is sampled in, and its modes.

This file, :mod:`hmminfer.inference.sampling` and :mod:`hmminfer.inference.stochastic` are the only ones that import pymc.
"""

from __future__ import annotations

import ctypes
import functools
import math
import operator
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pymc.pytensorf import compile as compile_pymc
from pytensor.graph.replace import graph_replace
from pytensor.graph.rewriting.utils import rewrite_graph
from scipy.optimize import minimize

from hmminfer.engine.linalg import one_thread
from hmminfer.engine.operator import apply_vector
from hmminfer.errors import HmmInferError
from hmminfer.inference import discrepancy
from hmminfer.inference.callbacks import nutpie_model
from hmminfer.inference.coordinates import Conditional, coordinates_of
from hmminfer.inference.modes import Mode, find_modes, weighed, wrapped
from hmminfer.inference.problem import BUILT, Problem
from hmminfer.inference.results import predictions
from hmminfer.system.likelihood import POISSON, STUDENT
from hmminfer.system.parameters import Field, Parameter
from hmminfer.system.priors import WRAP, Axial, Beta, Gamma, HalfNormal, LogNormal, Normal, StudentT, Uniform
from hmminfer.terminal import track


class Scaled(Transform):
    """Value variable in standard deviations of the (normal) variable, times ``width``.

    The angle of a fibre is sampled as its double angle in radians, the coefficients of a field as standard normal numbers; both have the name and
    the unit of the parameter in every trace.
    """

    name = "scaled"
    ndim_supp = 0

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def forward(self, value: Any, *inputs: Any) -> Any:
        return value * self.width / inputs[-1]

    def backward(self, value: Any, *inputs: Any) -> Any:
        return value * inputs[-1] / self.width

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return pt.log(inputs[-1] / self.width) + 0.0 * value


def pymc_model(problem: Problem, angles: Mapping[str, Any] | None = None, share: bool = False) -> pm.Model:
    """The posterior as a PyMC model, apart from any model in whose context it is built. Its variables have the names and units of the parameters.

    Where the model has no solution, or a parameter is outside its support, the density is zero. ``angles``: values at which PyMC starts unknown
    angles. With ``share`` the noise, the fixed values and a number that tells problems apart are data of the model, so that its traces carry them.
    """
    table, parameters = problem.table, problem.model.parameters
    with pm.Model(coords={"row": np.arange(len(table))}, model=None) as model:
        variables: dict[str, Any] = {}
        for p in problem.free:
            variables[p.name] = prior_variable(p, p.name, variables, (angles or {}).get(p.name, 0.0))
        parts: list[Any] = []
        inside: list[Any] = []
        for p in parameters:
            if p.name not in variables:
                value = p.to_vector(problem.model.fixed[p.name])
                if share:
                    x = pm.Data(p.name, p.from_vector(value))
                    parts.append(pt.atleast_1d(x) * p.per_unit)
                else:
                    parts.append(pt.constant(value))
                continue
            x = pt.atleast_1d(variables[p.name])
            parts.append(x * p.per_unit)
            if not p.axial and p.prior.outside(p.lower, p.upper) > 0.0:
                inside.append(pt.all((x >= p.lower) & (x <= p.upper)))
        if share:
            pm.Data(BUILT, problem.fingerprint)
        sd = pm.Data("sd", problem.sd, dims="row") if share and problem.law != POISSON else problem.sd
        y = apply_vector(problem.model.kernel, pt.concatenate(parts))
        poisson = problem.law == POISSON
        possible = functools.reduce(operator.and_, inside, ~pt.isnan(y))
        y = pt.switch(possible, y, -1.0 if poisson else np.inf)
        if poisson:
            pm.Poisson("observed", y, observed=table.value.astype(np.int64), dims="row")
        elif problem.law == STUDENT:
            nu = variables[problem.tail[0].name]
            pm.StudentT("observed", nu=nu, mu=y, sigma=_sigma(problem, variables, sd), observed=table.value, dims="row")
        else:
            pm.Normal("observed", y, _sigma(problem, variables, sd), observed=table.value, dims="row")
    return model


def start_angles(problem: Problem) -> dict[str, np.ndarray]:
    """For each unknown angle the value, of 64 on the circle, under which the data are most likely, other unknowns at their prior medians."""
    axial = [p for p in problem.free if p.axial and not isinstance(p, Field)]
    if not axial:
        return {}
    drawn = problem.prior_draws(np.random.default_rng(0), 64)
    draws = {k: v if k in {p.name for p in axial} else np.broadcast_to(np.median(v, axis=0), v.shape) for k, v in drawn.items()}
    draws = problem.aligned(draws)
    logp = problem.log_likelihood(predictions(problem, draws, False, ""), draws).sum(axis=-1)
    return {p.name: draws[p.name][int(np.argmax(logp))] for p in axial}


def prior_variable(p: Parameter, name: str, variables: Mapping[str, Any], angle: Any = 0.0) -> Any:
    """Random variable of one unknown, in its unit. An axial one starts at ``angle``: the centre of its wide law, which does not matter on the circle."""
    if isinstance(p, Field):
        amplitude, length = (variables[h.name] for h in p.hyperparameters)
        return pm.Normal(name, 0.0, p.scales(amplitude, length, sqrt=pt.sqrt), shape=p.length, transform=Scaled())
    shape = () if p.size is None else p.size
    if isinstance(p.prior, Axial):
        theta = pm.Normal(name, angle, WRAP / p.per_unit, shape=shape, transform=Scaled(WRAP))
        if p.prior.concentration > 0:
            pm.Potential(f"{p.name}_prior", pt.sum(p.prior.concentration * pt.cos((theta - p.prior.mean) * p.per_unit)))
        return theta
    return PYMC[type(p.prior)](p.prior, name, shape)


def _normal(q: Any, name: str, shape: Any) -> Any:
    if q.bounds == (-math.inf, math.inf):
        return pm.Normal(name, q.mean, q.standard_deviation, shape=shape)
    lower, upper = (None if math.isinf(b) else b for b in q.bounds)
    return pm.TruncatedNormal(name, q.mean, q.standard_deviation, lower=lower, upper=upper, shape=shape)


def _lognormal(q: Any, name: str, shape: Any) -> Any:
    if not q.cut:
        return pm.LogNormal(name, math.log(q.median), q.sigma, shape=shape)
    upper = None if math.isinf(q.upper) else q.upper
    return pm.Truncated(name, pm.LogNormal.dist(math.log(q.median), q.sigma), lower=q.lower, upper=upper, shape=shape)


PYMC: dict[type, Any] = {  # the random variable of each kind of prior
    Normal: _normal,
    LogNormal: _lognormal,
    Uniform: lambda q, name, shape: pm.Uniform(name, q.lower, q.upper, shape=shape),
    HalfNormal: lambda q, name, shape: pm.HalfNormal(name, q.standard_deviation, shape=shape),
    Gamma: lambda q, name, shape: pm.Gamma(name, mu=q.mean, sigma=q.standard_deviation, shape=shape),
    Beta: lambda q, name, shape: pm.Beta(name, q.alpha, q.beta, shape=shape),
    StudentT: lambda q, name, shape: pm.StudentT(name, nu=q.nu, mu=q.mean, sigma=q.scale, shape=shape),
}


def _sigma(problem: Problem, v: Mapping[str, Any], sigma: Any) -> Any:
    """Noise sd of every row from the known ``sigma`` and the unknown scales."""
    for group, base in ((problem.noise, None), (problem.extra, discrepancy.scale(problem.table))):
        if group:
            which = problem.group_of(group)
            values = pt.stack([pt.as_tensor_variable(v[p.name]) for p in group])[which]
            sigma = sigma * values if base is None else pt.sqrt(sigma**2 + (values * base) ** 2)
    return sigma


class Compiled:
    """The log density of a problem and its gradient, compiled for nutpie, in coordinates v (see :mod:`hmminfer.inference.coordinates`).

    Without fields v is the unconstrained vector x itself.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.coordinates = coordinates_of(problem)
        base = pymc_model(problem)
        self.size = sum(p.length for p in problem.free)
        v = pt.vector("v", shape=(self.size,))
        data = {name: pytensor.shared(value, name) for name, value in self.coordinates.arrays.items()}
        x, volume = self.coordinates.symbolic(v, data)
        parts, start = {}, 0
        for rv in base.free_RVs:
            value = base.rvs_to_values[rv]
            shape = tuple(int(n) for n in rv.shape.eval()) if rv.ndim else ()
            length = math.prod(shape)
            parts[value] = x[start : start + length].reshape(shape).astype(value.dtype)
            start += length
        in_x: Any = rewrite_graph(base.logp(), include=["canonicalize", "stabilize"])
        logp = graph_replace(in_x, parts) + volume
        with warnings.catch_warnings(), base:
            warnings.filterwarnings("error", message=".*object mode.*")
            density = compile_pymc([v], [logp, pytensor.grad(logp, v)], mode="NUMBA")
            expand = compile_pymc([v], [x], mode="NUMBA", on_unused_input="ignore")
        # the callbacks know these arrays by their addresses: they are written to and never replaced
        self._arrays = {s: np.array(s.get_value(borrow=True), order="C", copy=s in data.values()) for f in (density, expand) for s in f.get_shared()}
        self._data = {name: self._arrays.get(s) for name, s in data.items()}
        self.nutpie = nutpie_model(density, expand, self.size, self._arrays)
        kinds = (ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)
        self._call = ctypes.CFUNCTYPE(*kinds)(self.nutpie.compiled_logp_func.address)

    def __call__(self, v: np.ndarray) -> tuple[float, np.ndarray]:
        v = np.ascontiguousarray(v, dtype=float)
        gradient, value = np.empty(self.size), np.empty(1)
        self._call(self.size, v.ctypes.data, gradient.ctypes.data, value.ctypes.data, self.nutpie.user_data.ctypes.data)
        return float(value[0]), gradient

    def _update(self) -> None:
        """Copy the arrays of the present coordinates to the compiled function."""
        for name, value in self.coordinates.arrays.items():
            target = self._data[name]
            if target is not None:
                np.copyto(target, value)

    def standardise(self, modes: list[Mode]) -> None:
        """Choose coordinates in which the posterior with these modes is nearly standard normal."""
        self.coordinates.standardise(modes)
        self._update()

    @one_thread
    def modes(self, seed: int, progress: bool = False, searches: int | None = None) -> list[Mode]:
        """Modes of the posterior in x, heaviest first; if no start has a solution, an error names the reason.

        ``searches``: number of optimisations, from the best prior draws; by default 16, or 2 for a field, whose linearisation costs a solve for
        each datum.
        """
        rng = np.random.default_rng(seed)
        if isinstance(self.coordinates, Conditional):
            return self._field_modes(self.coordinates, rng, searches or 2, progress)
        searches = searches or 16
        starts = self.problem.unconstrain(self.problem.aligned(self.problem.prior_draws(rng, 20 * searches)))
        found = find_modes(self, starts, self.problem.axial_positions(), searches, progress, self.problem.box())
        if not found:
            raise self._no_start(starts)
        return found

    def _no_start(self, starts: np.ndarray) -> HmmInferError:
        drawn = {k: v[0] for k, v in self.problem.constrain(starts[:1]).items()}
        return HmmInferError(
            f"No start has a solution: the model failed at {len(starts)} prior draws{self.problem.why_unsolved(drawn)}. Widen or move the "
            "priors, or fix values, to what the model can be solved for, and check that every datum and sd is finite."
        )

    def _field_modes(self, coordinates: Conditional, rng: np.random.Generator, searches: int, progress: bool) -> list[Mode]:
        """Modes over the hyperparameters with the rest integrated out, because the joint mode of a field and its amplitude means little.

        Starts are prior draws of the other unknowns with a flat field; Gauss-Newton fits the field to the data, after which v is nearly normal.
        """
        draws = self.problem.prior_draws(rng, 40 * searches)
        for f in self.problem.fields:
            draws[f.name][:] = 0.0
            for h in f.hyperparameters:
                draws[h.name][:] = np.median(draws[h.name])
        starts = self.problem.unconstrain(self.problem.aligned(draws))
        misfit = np.array([coordinates.objective(x) for x in track(starts, "trying starts", show=progress)])
        order = [i for i in np.argsort(misfit) if np.isfinite(misfit[i])][:searches]
        if not order:
            raise self._no_start(starts)
        reached = [coordinates.improve(starts[i]) for i in track(order, "searching modes", show=progress)]
        least = min(value for _, value in reached)
        found: list[Mode] = []
        for x, value in sorted(reached, key=lambda r: r[1]):
            if value > least + 30.0 + len(x) or any(self._near(m.x, x) for m in found):
                continue
            mode = self._field_mode(coordinates, x)
            if not any(self._near(m.x, mode.x) for m in found):
                found.append(mode)
        return weighed(found)

    def _near(self, a: np.ndarray, b: np.ndarray) -> bool:
        """True if two points are one mode: a tenth of a unit in each direction, images of a double angle alike."""
        return bool(np.linalg.norm(wrapped(a - b, self.problem.axial_positions())) < 0.1 * np.sqrt(len(a)))

    def _field_mode(self, coordinates: Conditional, x: np.ndarray) -> Mode:
        def negative(v: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self(v)
            return (-value, -gradient) if np.isfinite(value) and np.all(np.isfinite(gradient)) else (1e30, np.zeros_like(v))

        for _ in range(2):  # linearised anew at the mode
            coordinates.linearise(x)
            self._update()
            v = minimize(negative, coordinates.to_v(x), jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
            x = coordinates.to_x(v)
        rest, step = coordinates.rest, np.eye(len(v)) * 1e-3
        hessian = np.array([(self(v - step[i])[1] - self(v + step[i])[1])[rest] for i in rest]) / 2e-3
        value, vector = np.linalg.eigh(0.5 * (hessian + hessian.T))
        of_rest = (vector / np.where(value > 1e-2, value, 1.0)) @ vector.T
        covariance = coordinates.covariance(v, of_rest)
        # log density in x, so that weights of modes can be compared
        volume = 0.5 * (np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(of_rest)[1])
        return Mode(x, self(v)[0] - volume, covariance)
