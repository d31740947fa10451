"""Coordinates v in which the posterior of a field is nearly standard normal: few steps a draw, little tuning, no funnel.

The field's hyperparameters (amplitude a, length l) and unknown noise stay as they are, v = x. Given these, the model linearised at a mode
gives a normal law for the block g of all other unknowns (field coefficients, angle, moduli), and v is standard normal under this law:

    g = P^-1 b + P^(-1/2) v,    P = H + diag(1 / s(a, l)^2, 1 / prior variance),    H = J^T W J,    b = H g0 + J^T W (y_obs - y(g0))

so the conditional mean and sd of a coefficient follow the hyperparameters. (The coordinates z = g / s give a funnel for a well-observed field,
g itself for a poorly observed one.) The posterior is exactly the same for any values of H and b: they only decide how fast it is sampled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from scipy.linalg import solve_triangular

from hmminfer.inference.modes import Mode
from hmminfer.inference.problem import Problem
from hmminfer.system.parameters import Field


class Plain:
    """Coordinates v = x of a problem without fields, for which the sampler's own adaptation of its mass matrix is as good."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def symbolic(self, v: Any, arrays: Any) -> tuple[Any, Any]:
        """x and log |dx/dv| of a symbolic v."""
        return v, pt.zeros(())

    def to_v(self, x: np.ndarray) -> np.ndarray:
        return x

    def sample(self, mode: Mode, rng: np.random.Generator, n: int) -> np.ndarray:
        """Laplace draws of x (n, dim) around a mode."""
        return mode.sample(rng, n)

    def standardise(self, modes: list[Mode]) -> None:
        """No effect: these coordinates have no arrays to choose."""


class Conditional:
    """Coordinates of a problem with fields, see the docstring of this module."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        where, in_theta = problem.positions(), problem.model.parameters.slices()
        self.size = sum(p.length for p in problem.free)
        every, theta = np.arange(self.size), np.arange(problem.model.parameters.size)
        self.block = [p for p in problem.free if p.name in in_theta]
        self.in_x = np.concatenate([every[where[p.name]] for p in self.block])
        self.in_theta = np.concatenate([theta[in_theta[p.name]] for p in self.block])
        self.rest = np.setdiff1d(every, self.in_x)
        ends = np.cumsum([0, *(p.length for p in self.block)])
        self.part = {p.name: slice(int(a), int(b)) for p, a, b in zip(self.block, ends[:-1], ends[1:], strict=True)}
        self.hyper = {f.name: [where[h.name].start for h in f.hyperparameters] for f in problem.fields}
        # a normal guess at the priors of the others, in x
        draws = problem.unconstrain(problem.prior_draws(np.random.default_rng(0), 2000))[:, self.in_x]
        self.precision, self.mean = 1.0 / draws.var(axis=0), draws.mean(axis=0)
        for f in problem.fields:
            self.mean[self.part[f.name]] = 0.0
        self.arrays = {"information": np.zeros((ends[-1], ends[-1])), "shift": np.zeros(ends[-1])}

    def symbolic(self, v: Any, arrays: Any) -> tuple[Any, Any]:
        """x and log |dx/dv| of a symbolic v."""
        scales, precision = {}, []
        for p in self.block:
            if isinstance(p, Field):
                a, ell = (h.prior.from_unconstrained(v[i], pt.exp) for h, i in zip(p.hyperparameters, self.hyper[p.name], strict=True))
                scales[p.name] = p.scales(a, ell, sqrt=pt.sqrt)
                precision.append(1.0 / scales[p.name] ** 2)
            else:
                precision.append(pt.constant(self.precision[self.part[p.name]]))
        root = pt.linalg.cholesky(arrays["information"] + pt.diag(pt.concatenate(precision)))
        w = pt.linalg.solve_triangular(root, arrays["shift"], lower=True) + v[self.in_x]
        g = pt.linalg.solve_triangular(root.T, w, lower=False)
        volume = -pt.sum(pt.log(pt.diag(root)))
        x = v
        for p in self.block:
            value = g[self.part[p.name]]
            if p.name in scales:
                value = value / scales[p.name]
                volume -= pt.sum(pt.log(scales[p.name]))
            x = pt.set_subtensor(x[self.problem.positions()[p.name]], value)
        return x, volume

    def standardise(self, modes: list[Mode]) -> None:
        """Linearise at the heaviest mode."""
        self.linearise(modes[0].x)

    def _scales(self, x: np.ndarray) -> np.ndarray:
        """Factors that turn x into the block g: s for fields, one for the others."""
        out = np.ones(len(self.in_x))
        named = self.problem.constrain(x)
        for f in self.problem.fields:
            out[self.part[f.name]] = f.scales(*(named[h.name] for h in f.hyperparameters))
        return out

    def _root(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cholesky factor of P at the hyperparameters of x, and s."""
        s = self._scales(x)
        return np.linalg.cholesky(self.arrays["information"] + np.diag(self._prior_precision(s))), s

    def _prior_precision(self, s: np.ndarray) -> np.ndarray:
        out = self.precision.copy()
        for f in self.problem.fields:
            out[self.part[f.name]] = 1.0 / s[self.part[f.name]] ** 2
        return out

    def to_x(self, v: np.ndarray) -> np.ndarray:
        root, s = self._root(v)
        x = v.copy()
        w = solve_triangular(root, self.arrays["shift"], lower=True) + v[self.in_x]
        x[self.in_x] = solve_triangular(root, w, lower=True, trans="T") / s
        return x

    def to_v(self, x: np.ndarray) -> np.ndarray:
        root, s = self._root(x)
        v = x.copy()
        v[self.in_x] = root.T @ (x[self.in_x] * s) - solve_triangular(root, self.arrays["shift"], lower=True)
        return v

    def sample(self, mode: Mode, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draws of x (n, dim) around a mode: hyperparameters and noise from the Laplace approximation, the block conditional on each of them."""
        v = np.tile(self.to_v(mode.x), (n, 1))
        rest = np.ix_(self.rest, self.rest)
        v[:, self.rest] = rng.multivariate_normal(mode.x[self.rest], mode.covariance[rest], n, method="cholesky")
        v[:, self.in_x] += rng.standard_normal((n, len(self.in_x)))
        return np.stack([self.to_x(row) for row in v])

    def covariance(self, v: np.ndarray, of_rest: np.ndarray) -> np.ndarray:
        """Covariance of x around v, if v has the covariance ``of_rest`` in the hyperparameters and noise, and the identity in the block."""
        slope = np.empty((self.size, self.size))
        for i in range(self.size):
            e = np.zeros(self.size)
            e[i] = 1e-4
            slope[:, i] = (self.to_x(v + e) - self.to_x(v - e)) / 2e-4
        middle = np.eye(self.size)
        middle[np.ix_(self.rest, self.rest)] = of_rest
        return slope @ middle @ slope.T

    # --- Gauss-Newton on the block, hyperparameters held

    def _residual(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """theta, weighted misfit (y_obs - y) / sigma, and sigma."""
        named = self.problem.constrain(x)
        theta = self.problem.model.vector({p.name: named[p.name] for p in self.block})
        sigma = self.problem.sigma_of(named)
        return theta, (self.problem.table.value - self.problem.model.kernel(theta)) / sigma, sigma

    def objective(self, x: np.ndarray) -> float:
        """Half the chi-square plus the prior's part for the block; infinite if there is no solution."""
        s = self._scales(x)
        r = self._residual(x)[1]
        prior = self._prior_precision(s) * (x[self.in_x] * s - self.mean) ** 2
        value = 0.5 * float(r @ r) + 0.5 * float(prior.sum())
        return value if np.isfinite(value) else np.inf

    def linearise(self, x: np.ndarray) -> np.ndarray:
        """Set H and b at x; returns the gradient of :meth:`objective` with respect to the block g."""
        theta, r, sigma = self._residual(x)
        s = self._scales(x)
        slope = np.ones(len(self.in_x))
        for p in self.block:
            if p.name not in self.hyper and not p.axial:
                e, at = np.zeros(self.size), self.in_x[self.part[p.name]]
                e[at] = 1e-5
                up, down = (self.problem.constrain(y)[p.name] for y in (x + e, x - e))
                slope[self.part[p.name]] = (up - down) / 2e-5
        jacobian = self.problem.model.kernel.jacobian(theta)[:, self.in_theta] * slope / sigma[:, None]
        information = jacobian.T @ jacobian
        g = x[self.in_x] * s
        precision = np.where(self._is_field(), 0.0, self.precision)
        self.arrays = {"information": information, "shift": information @ g + jacobian.T @ r + precision * self.mean}
        return -jacobian.T @ r + self._prior_precision(s) * (g - self.mean)

    def _is_field(self) -> np.ndarray:
        out = np.zeros(len(self.in_x), bool)
        for f in self.problem.fields:
            out[self.part[f.name]] = True
        return out

    def improve(self, x: np.ndarray, steps: int = 15) -> tuple[np.ndarray, float]:
        """Levenberg-Marquardt from x over the block; the point reached and its objective."""
        value, damping = self.objective(x), 1e-3
        for _ in range(steps):
            gradient = self.linearise(x)
            s = self._scales(x)
            curvature = self.arrays["information"] + np.diag(self._prior_precision(s))
            gain = 0.0
            while damping < 1e8:
                trial = x.copy()
                trial[self.in_x] -= np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient) / s
                new = self.objective(trial)
                if new < value:
                    gain, x, value, damping = value - new, trial, new, max(damping / 10.0, 1e-12)
                    break
                damping *= 10.0
            if gain < 1e-3:
                break
        return x, value


def coordinates_of(problem: Problem) -> Plain | Conditional:
    """Conditional coordinates for a problem with fields, plain ones for any other."""
    return Conditional(problem) if problem.fields else Plain()
