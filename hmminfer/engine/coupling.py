"""The heterogeneous multiscale method as a composition of kernels.

    theta --(take the law's share)--> law --> effective data --+
      |                                                        +--> macro problem --> y
      +--(take the macro problem's share: angles, fields) -----+
      +--(parameters measured directly) -----------------------------------------> y

Everything is a :class:`~hmminfer.engine.kernel.Kernel`, so the derivative of the whole is the chain rule written once, in compiled code:
the macro pullback gives the cotangent of the effective data, the law's pullback carries it to the micro parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled, specialise

# The templates below are compiled with these names bound to the parts being composed (see native.specialise).
law_forward: Any = None
law_pullback: Any = None
macro_forward: Any = None
macro_pullback: Any = None
other_forward: Any = None
other_pullback: Any = None
law_end = n_data = law_state = state_end = 0


def _couple_forward(theta, *data):
    """Data: four index arrays, the law's arrays up to ``law_end``, the macro problem's. State: x, the law's, the macro problem's."""
    law_index, macro_index, direct_index, order = data[:4]
    law_out = law_forward(theta[law_index], *data[4:law_end])
    x = np.concatenate((law_out[0], theta[macro_index]))
    macro_out = macro_forward(x, *data[law_end:])
    y = np.concatenate((macro_out[0], theta[direct_index]))
    if order.size > 0:
        y = y[order]
    return (y, x, *law_out[1:], *macro_out[1:])


def _couple_pullback(theta, *rest):
    law_index, macro_index, direct_index, order = rest[:4]
    x, y_bar = rest[n_data], rest[-1].copy()
    if order.size > 0:
        y_bar[order] = rest[-1]
    n_y = y_bar.size - direct_index.size
    n_effective = x.size - macro_index.size
    x_bar = macro_pullback(x, *rest[law_end:n_data], *rest[state_end:-1], y_bar[:n_y].copy())
    law_bar = law_pullback(theta[law_index], *rest[4:law_end], *rest[law_state:state_end], x_bar[:n_effective].copy())
    theta_bar = np.zeros(theta.size)
    for i in range(law_index.size):
        theta_bar[law_index[i]] += law_bar[i]
    for i in range(macro_index.size):
        theta_bar[macro_index[i]] += x_bar[n_effective + i]
    for i in range(direct_index.size):
        theta_bar[direct_index[i]] += y_bar[n_y + i]
    return theta_bar


@cache
def couple_code(law: Code, macro: Code) -> Code:
    """Code of macro(law(theta[law_index]), theta[macro_index]) followed by theta[direct_index], then put in order."""
    end = 4 + law.n_data
    total = end + macro.n_data
    forward = specialise(_couple_forward, law_forward=law.calls[0], macro_forward=macro.calls[0], law_end=end)
    pullback = specialise(
        _couple_pullback,
        law_pullback=law.calls[1],
        macro_pullback=macro.calls[1],
        law_end=end,
        n_data=total,
        law_state=total + 1,
        state_end=total + 1 + law.n_state,
    )
    recipe = (__name__, "couple_code", law.recipe, macro.recipe)
    return Code(recipe, forward, pullback, f"i1 i1 i1 i1 {law.data} {macro.data}", f"f1 {law.state} {macro.state}")


def couple(
    law: Kernel,
    macro: Kernel,
    law_index: Sequence[int],
    macro_index: Sequence[int],
    direct_index: Sequence[int],
    example: np.ndarray,
    direct: np.ndarray | None = None,
) -> Kernel:
    """Kernel of a law coupled to a macro problem: y = (macro(law(theta[law_index]), theta[macro_index]), theta[direct_index]).

    ``example``: one theta at which the whole can be solved. ``direct`` (rows,): True for each row of y that is one of theta's, to put the rows of
    both kinds in the order of a data file.
    """
    order: Any = [] if direct is None else np.argsort(np.argsort(direct, kind="stable"))
    indices = tuple(np.asarray(i, dtype=np.int64) for i in (law_index, macro_index, direct_index, order))
    return Kernel(couple_code(law.code, macro.code), indices + law.data + macro.data, np.ascontiguousarray(example, dtype=float))


def chain(first: Kernel, second: Kernel) -> Kernel:
    """Kernel of second(first(x))."""
    return couple(first, second, range(first.n_in), [], [], first.example)


def _beside_forward(theta, *data):
    """Data: two index arrays, the first law's arrays up to ``law_end``, the other's. State: sizes of the answers, then both laws'."""
    first = law_forward(theta[data[0]], *data[2:law_end])
    other = other_forward(theta[data[1]], *data[law_end:])
    y = np.concatenate((first[0], other[0]))
    if np.isnan(y).any():
        y[:] = np.nan
    return (y, np.array([first[0].size]), *first[1:], *other[1:])


def _beside_pullback(theta, *rest):
    y_bar, n = rest[-1], rest[n_data][0]
    first_bar = law_pullback(theta[rest[0]], *rest[2:law_end], *rest[law_state:state_end], y_bar[:n].copy())
    other_bar = other_pullback(theta[rest[1]], *rest[law_end:n_data], *rest[state_end:-1], y_bar[n:].copy())
    theta_bar = np.zeros(theta.size)
    for i in range(first_bar.size):
        theta_bar[rest[0][i]] += first_bar[i]
    for i in range(other_bar.size):
        theta_bar[rest[1][i]] += other_bar[i]
    return theta_bar


@cache
def beside_code(first: Code, other: Code) -> Code:
    """Code of two laws that share one vector of parameters."""
    end = 2 + first.n_data
    total = end + other.n_data
    forward = specialise(_beside_forward, law_forward=first.calls[0], other_forward=other.calls[0], law_end=end)
    pullback = specialise(
        _beside_pullback,
        law_pullback=first.calls[1],
        other_pullback=other.calls[1],
        law_end=end,
        n_data=total,
        law_state=total + 1,
        state_end=total + 1 + first.n_state,
    )
    recipe = (__name__, "beside_code", first.recipe, other.recipe)
    return Code(recipe, forward, pullback, f"i1 i1 {first.data} {other.data}", f"i1 {first.state} {other.state}")


def beside(first: Kernel, other: Kernel, index: Sequence[int], other_index: Sequence[int], example: np.ndarray) -> Kernel:
    """Kernel of two laws side by side: y = (first(theta[index]), other(theta[other_index]))."""
    indices = tuple(np.asarray(i, dtype=np.int64) for i in (index, other_index))
    code = beside_code(first.code, other.code)
    return Kernel(code, indices + first.data + other.data, np.ascontiguousarray(example, dtype=float))


def _each_forward(x, *data):
    """Data: [number of points, outputs of the law], then the law's arrays. State: the law's Jacobian at every point (n, outputs, inputs)."""
    n, m = data[0][0], data[0][1]
    k = x.size // n
    y = np.empty(n * m)
    jacobian = np.empty((n, m, k))
    e = np.zeros(m)
    for i in range(n):
        at = x[i * k : (i + 1) * k].copy()
        out = law_forward(at, *data[1:])
        y[i * m : (i + 1) * m] = out[0]
        for j in range(m):
            e[j] = 1.0
            jacobian[i, j] = law_pullback(at, *data[1:], *out[1:], e)
            e[j] = 0.0
    if np.isnan(y).any():
        y[:] = np.nan
    return y, jacobian


def _each_pullback(x, *rest):
    jacobian, y_bar = rest[-2], rest[-1]
    n, m, k = jacobian.shape
    x_bar = np.zeros(x.size)
    for i in range(n):
        for j in range(m):
            for a in range(k):
                x_bar[i * k + a] += jacobian[i, j, a] * y_bar[i * m + j]
    return x_bar


@cache
def each_code(law: Code) -> Code:
    """Code of one law evaluated at many points."""
    forward = specialise(_each_forward, law_forward=law.calls[0], law_pullback=law.calls[1])
    pullback = specialise(_each_pullback)
    return Code((__name__, "each_code", law.recipe), forward, pullback, f"i1 {law.data}", "f3")


def each(law: Kernel, n: int) -> Kernel:
    """Kernel of one law evaluated at n points, each with its own inputs: (inputs of point 0, of point 1, ...) -> (outputs of point 0, ...).

    The forward also computes the Jacobian at each point, by one pullback of the law for each output, so the pullback solves nothing. A law
    with a faster method brings its own code (``Code.each``).
    """
    count = np.array([n, law.n_out], dtype=np.int64)
    return Kernel(law.code.each or each_code(law.code), (count, *law.data), np.tile(law.example, n))


@compiled
def _affine_forward(theta, matrix, offset, link):
    x = matrix @ theta + offset
    return (np.exp(x) if link[0] else x,)


@compiled
def _affine_pullback(theta, matrix, offset, link, x_bar):
    x = matrix @ theta + offset
    if np.isnan(x).any():
        return np.full(theta.size, np.nan)
    return (x_bar * np.exp(x) if link[0] else x_bar) @ matrix


AFFINE = Code((__name__, "AFFINE"), _affine_forward, _affine_pullback, data="f2 f1 i1")


def affine(matrix: np.ndarray, offset: np.ndarray | float = 0.0, log: bool = False) -> Kernel:
    """Kernel of theta -> matrix theta + offset, or of its exponential if ``log``: for parameters that vary over a macro domain, with one row for
    each point at which laws are evaluated.
    """
    matrix = np.ascontiguousarray(matrix, dtype=float)
    shift = np.ascontiguousarray(np.broadcast_to(np.asarray(offset, float), len(matrix)))
    return Kernel(AFFINE, (matrix, shift, np.array([int(log)], dtype=np.int64)), np.full(matrix.shape[1], 0.5))


@compiled
def _known_forward(theta, values):
    return (values.copy(),)


@compiled
def _known_pullback(theta, values, y_bar):
    return np.zeros(theta.size)


KNOWN = Code((__name__, "KNOWN"), _known_forward, _known_pullback, data="f1")


def known(values: np.ndarray) -> Kernel:
    """Law without parameters: effective data computed beforehand, for a micro problem that depends on no unknown."""
    return Kernel(KNOWN, (np.ascontiguousarray(values, dtype=float),), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Joint:
    """Several kernels side by side, each with its own entries of one theta; their outputs are concatenated. Has the interface of a kernel.

    The parts are composed outside compiled code: each is evaluated separately, and in a PyTensor graph parts with the same code are compiled once.
    """

    parts: tuple[Kernel, ...]
    indices: tuple[np.ndarray, ...]
    example: np.ndarray

    @property
    def n_in(self) -> int:
        return int(self.example.size)

    @property
    def n_out(self) -> int:
        return sum(k.n_out for k in self.parts)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """y of all parts; NaN everywhere if one cannot be solved."""
        y = np.concatenate([k(x[i]) for k, i in zip(self.parts, self.indices, strict=True)])
        return y if np.all(np.isfinite(y)) else np.full_like(y, np.nan)

    def value_and_pullback(self, x: np.ndarray, y_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``y(x)`` and ``J(x)^T y_bar``."""
        x_bar, values, start = np.zeros(self.n_in), [], 0
        for kernel, index in zip(self.parts, self.indices, strict=True):
            y, bar = kernel.value_and_pullback(x[index], y_bar[start : start + kernel.n_out])
            np.add.at(x_bar, index, bar)
            values.append(y)
            start += kernel.n_out
        y = np.concatenate(values)
        solved = np.all(np.isfinite(y))
        return (y, x_bar) if solved else (np.full_like(y, np.nan), np.full_like(x_bar, np.nan))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Dense J of shape (n_out, n_in)."""
        out = np.zeros((self.n_out, self.n_in))
        start = 0
        for kernel, index in zip(self.parts, self.indices, strict=True):
            np.add.at(out[start : start + kernel.n_out].T, index, kernel.jacobian(x[index]).T)
            start += kernel.n_out
        return out
