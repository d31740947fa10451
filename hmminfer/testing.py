"""Checks for authors of models: the kernel contract, exact gradients, orders of convergence."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Kernel


def assert_contract(kernel: Kernel) -> None:
    """Check the contract of a kernel: shapes, dtypes, no writing to arguments, no memory between calls, NaN instead of an exception, pickling by
    recipe.
    """
    x = kernel.example.copy()
    before = [d.copy() for d in kernel.data]
    first = kernel.code.forward(x, *kernel.data)
    second = kernel.code.forward(x, *kernel.data)
    for a, b in zip(first, second, strict=True):
        assert a.flags.c_contiguous, "outputs must be C-contiguous"
        assert np.array_equal(a, b), "two calls differ: hidden state"
    assert first[0].ndim == 1
    assert first[0].dtype == np.float64
    assert np.all(np.isfinite(first[0])), "the example must be solvable"
    y_bar = np.ones_like(first[0])
    x_bar = kernel.code.pullback(x, *kernel.data, *first[1:], y_bar)
    assert x_bar.shape == x.shape
    assert np.all(np.isfinite(x_bar))
    assert np.array_equal(x, kernel.example), "forward or pullback wrote to x"
    for a, b in zip(before, kernel.data, strict=True):
        assert np.array_equal(a, b), "a data array was written to"
    bad = kernel.code.forward(np.full_like(x, np.nan), *kernel.data)
    assert np.all(np.isnan(bad[0])), "a point that cannot be solved must give NaN everywhere"
    assert np.all(np.isnan(kernel.code.pullback(np.full_like(x, np.nan), *kernel.data, *bad[1:], y_bar)) | (x_bar == 0))
    assert pickle.loads(pickle.dumps(kernel.code)) is kernel.code, "the code must pickle by its recipe"


def _cotangent(kernel: Kernel, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random cotangent of order 1 / |y|, so that every output counts alike; bounded for outputs that vanish by symmetry."""
    y = np.abs(kernel(x))
    return rng.standard_normal(kernel.n_out) / np.maximum(y, 1e-3 * y.max())


def _along(kernel: Kernel, x: np.ndarray, v: np.ndarray, y_bar: np.ndarray, h: float) -> float:
    return float(y_bar @ kernel(x + h * v))


def central_difference(function: Callable[[float], float], scale: float = 1.0) -> tuple[float, float]:
    """Derivative of ``function`` at 0, and its measured noise.

    Of Richardson-extrapolated central differences at decreasing steps, the three successive ones that agree best are taken: the middle one is the
    derivative, their spread the noise. (Two could agree by chance far from the plateau.)
    """
    steps = scale * 2.0 ** -np.arange(4, 22, 2)
    d = np.array([(function(h) - function(-h)) / (2 * h) for h in steps])
    d2 = np.array([(function(h / 2) - function(-h / 2)) / h for h in steps])
    rich = (4 * d2 - d) / 3
    spread = np.array([np.ptp(rich[i : i + 3]) for i in range(len(rich) - 2)])
    i = int(np.argmin(spread))
    return float(rich[i + 1]), float(spread[i])


def assert_gradient(
    kernel: Kernel, points: np.ndarray | None = None, directions: int = 5, seed: int = 0, spread: float = 0.03, relative: float = 1e-7
) -> None:
    """Check J^T y_bar against central differences in random directions, at ``points`` (default: three near the example).

    Tolerance: the larger of ``relative`` (of the size of the gradient) and ten times the measured noise of the difference.
    """
    rng = np.random.default_rng(seed)
    if points is None:
        size = np.maximum(np.abs(kernel.example), 0.1)
        points = kernel.example + spread * size * rng.uniform(-1, 1, (3, kernel.n_in))
    for x in np.atleast_2d(points):
        size = np.maximum(np.abs(x), 0.1)
        for _ in range(directions):
            y_bar = _cotangent(kernel, x, rng)
            v = rng.standard_normal(kernel.n_in) * size * 0.1
            _, x_bar = kernel.value_and_pullback(x, y_bar)
            exact = float(x_bar @ v)
            numeric, noise = central_difference(partial(_along, kernel, x, v, y_bar))
            scale = np.linalg.norm(x_bar * v) + 1e-300
            assert abs(exact - numeric) <= max(relative * scale, 10 * noise), (exact, numeric, noise)


def assert_taylor(kernel: Kernel, seed: int = 0, step: float = 0.3) -> None:
    """Check that the remainder y(x + h v) - y(x) - h J v falls at second order: rate in [1.95, 2.05] over three halvings."""
    rng = np.random.default_rng(seed)
    size = np.maximum(np.abs(kernel.example), 0.1)
    v = rng.standard_normal(kernel.n_in) * size * step
    y_bar = _cotangent(kernel, kernel.example, rng)
    y, x_bar = kernel.value_and_pullback(kernel.example, y_bar)
    rest = []
    for h in (0.02, 0.01, 0.005, 0.0025):
        rest.append(abs(y_bar @ (kernel(kernel.example + h * v) - y) - h * (x_bar @ v)))
    if max(rest) < 1e-13 * np.sum(np.abs(y_bar * y)):
        return  # linear: nothing remains but rounding
    rates = np.log2(np.array(rest[:-1]) / np.array(rest[1:]))
    assert np.all((rates > 1.95) & (rates < 2.05)), rates


def assert_order(errors: Sequence[float], order: float, tolerance: float = 0.3, bound: float | None = None) -> None:
    """Check that errors on meshes refined by two fall at the theoretical ``order`` (last rate), and that the last is below ``bound``."""
    rate = np.log2(errors[-2] / errors[-1])
    assert abs(rate - order) < tolerance, f"observed order {rate:.2f}, theory {order}; errors {list(errors)}"
    assert bound is None or errors[-1] < bound, f"error {errors[-1]:.2e} above {bound:.2e}"


def posterior_by_quadrature(compiled: Any, mode: Any, n: int = 10) -> dict[str, tuple[float, float]]:
    """Means and sds of named scalars by a Gauss-Hermite product rule around one mode: the reference for samplers, 1 to 4 unknowns.

    ``compiled``: a posterior (:class:`hmminfer.inference.posterior.Compiled`) whose coordinates are the unconstrained ones; ``mode``: one of its
    modes; ``n``: nodes in each direction. The rule is a little wider than the mode's Laplace covariance, so that the weights fall off inside it.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(n)
    z, w = (np.stack(np.meshgrid(*[a] * len(mode.x), indexing="ij"), -1).reshape(-1, len(mode.x)) for a in (node, weight))
    x = mode.x + z @ np.linalg.cholesky(1.3 * mode.covariance).T
    logp = np.array([compiled(p)[0] for p in x])
    logp += np.log(w).sum(axis=1) + 0.5 * (z**2).sum(axis=1)
    share = np.exp(logp - np.nanmax(logp))
    share = np.where(np.isfinite(share), share, 0.0) / np.nansum(share)
    out = {}
    for name, value in compiled.problem.constrain(x).items():
        mean = float(share @ value)
        out[name] = (mean, float(np.sqrt(share @ (value - mean) ** 2)))
    return out
