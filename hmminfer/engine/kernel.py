"""Interface between physics and probability: one vector in, one vector out, with the exact transpose of its derivative.

A :class:`Code` is three compiled functions; a :class:`Kernel` is a code with its known arrays bound::

    forward(x, *data)                     -> (y, *state)
    pullback(x, *data, *state, y_bar)     -> x_bar      J^T y_bar of the discrete forward, exactly
    pushforward(x, *data, *state, x_dot)  -> y_dot      J x_dot (optional)

Laws, macro problems and whole models are all kernels; :mod:`hmminfer.engine.coupling` composes them. The contract, which
:func:`hmminfer.testing.assert_contract` checks:

* every argument and result is a C-contiguous float64 or int64 array (``x``, ``y``, ``x_bar`` one-dimensional float64);
* nothing is written to an argument, no Python object is touched, no exception is raised, nothing is kept between calls;
* ``state`` holds the results of the forward that the pullback reuses, such as factors; its shapes do not depend on ``x``;
* a point that cannot be solved gives ``y`` full of NaN, and the pullback there gives NaN.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from hmminfer.engine.fingerprint import fingerprint_of
from hmminfer.engine.native import array_types, seal
from hmminfer.errors import HmmInferError

Recipe = tuple  # nested tuples of strings and ints


@dataclass(frozen=True, eq=False)
class Code:
    """Compiled functions of a kernel, and the recipe by which another process finds or rebuilds them.

    Parameters
    ----------
    recipe : ``("module", "attribute")`` of a module-level code, or ``("module", "factory", *arguments)`` whose
        arguments are ints, strings or recipes. Strings and ints only, because the PyTensor operator is compared, hashed and pickled by it.
    forward, pullback, pushforward : numba dispatchers with the signatures above.
    each : code that evaluates many points at once, if that is faster than one by one; its first data array is [points, outputs].
    data, state : types of the arrays after ``x`` and after ``y``: "f2 i1" is a float64 matrix and an int64 vector.
    """

    recipe: Recipe
    forward: Any
    pullback: Any
    data: str
    state: str = ""
    pushforward: Any = None
    each: Code | None = None

    def __reduce__(self) -> tuple[Callable, tuple]:
        return _same, (self.recipe, self.fingerprint)

    @property
    def n_data(self) -> int:
        return len(self.data.split())

    @property
    def n_state(self) -> int:
        return len(self.state.split())

    @cached_property
    def calls(self) -> tuple[Any, Any]:
        """(forward, pullback) for use inside other compiled code, sealed (see :mod:`hmminfer.engine.native`)."""
        inputs = f"f1 {self.data}"
        return (
            seal(self.forward, inputs, f"hmminfer_{self.fingerprint}_forward"),
            seal(self.pullback, f"{inputs} {self.state} f1", f"hmminfer_{self.fingerprint}_pullback"),
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all bytecode, constants and closures reached from the functions: an edited kernel gets a new cache entry."""
        return fingerprint_of(self.forward, self.pullback, self.pushforward)


@cache
def rebuild(recipe: Recipe) -> Code:
    """The code that a recipe names; the same object for the same recipe."""
    module, name, *arguments = recipe
    target = getattr(importlib.import_module(module), name)
    if isinstance(target, Code):
        return target
    return target(*(rebuild(a) if isinstance(a, tuple) else a for a in arguments))


def _same(recipe: Recipe, fingerprint: str) -> Code:
    """The code that a recipe names, if it is the code that was pickled: another machine may hold another version of a file."""
    code = rebuild(recipe)
    if code.fingerprint != fingerprint:
        raise HmmInferError(
            f"The code {recipe} is not the same here as where it was pickled; use the same files, and the same versions of hmminfer and Python, in both."
        )
    return code


@dataclass(frozen=True, eq=False)
class Kernel:
    """A code with its known arrays bound: the map ``x -> y`` and its exact derivative.

    Parameters
    ----------
    code : the compiled functions.
    data : the arrays the functions take after ``x``; float64 or int64, C-contiguous.
    example : one ``x`` at which the forward can be solved; fixes the shapes of ``y`` and ``state``.
    """

    code: Code
    data: tuple[np.ndarray, ...]
    example: np.ndarray
    _signature: dict = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.data) != self.code.n_data:
            raise HmmInferError(f"Kernel {self.code.recipe} takes {self.code.n_data} data arrays, got {len(self.data)}.")
        for i, (array, kind) in enumerate(zip(self.data, array_types(self.code.data), strict=True)):
            if array.dtype.name != kind.dtype.name or array.ndim != kind.ndim or not array.flags.c_contiguous:
                raise HmmInferError(f"Data array {i} of kernel {self.code.recipe} must be {kind}, got {array.dtype} of shape {array.shape}.")

    def __getstate__(self) -> dict[str, Any]:
        """Without the data packed once more, which are made again when they are needed."""
        return {k: v for k, v in self.__dict__.items() if k != "packed"}

    @property
    def n_in(self) -> int:
        return int(self.example.size)

    @property
    def n_out(self) -> int:
        return self.shapes[0][0]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of ``(y, *state)``, measured once at ``example``."""
        if "shapes" not in self._signature:
            out = self.code.forward(self.example, *self.data)
            self._signature["shapes"] = tuple(tuple(int(n) for n in a.shape) for a in out)
            self._signature["dtypes"] = tuple(str(a.dtype) for a in out)
        return self._signature["shapes"]

    @property
    def dtypes(self) -> tuple[str, ...]:
        _ = self.shapes
        return self._signature["dtypes"]

    @cached_property
    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """All floating point data in one vector and all integers in another."""
        floats, ints = ([d.ravel() for d in self.data if d.dtype.kind == kind] for kind in "fi")
        return np.concatenate([np.zeros(0), *floats]), np.concatenate([np.zeros(0, np.int64), *ints])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """``y(x)``; NaN where it cannot be solved."""
        return self.code.forward(self._vector(x), *self.data)[0]

    def value_and_pullback(self, x: np.ndarray, y_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``y(x)`` and ``J(x)^T y_bar``."""
        x = self._vector(x)
        y, *state = self.code.forward(x, *self.data)
        return y, self.code.pullback(x, *self.data, *state, np.ascontiguousarray(y_bar, dtype=float))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Dense J of shape (n_out, n_in): by columns through ``pushforward`` where that is shorter, else by rows."""
        x = self._vector(x)
        y, *state = self.code.forward(x, *self.data)
        if self.code.pushforward is not None and self.n_in < y.size:
            columns = [self.code.pushforward(x, *self.data, *state, e) for e in np.eye(self.n_in)]
            return np.stack(columns, axis=1)
        return np.stack([self.code.pullback(x, *self.data, *state, e) for e in np.eye(y.size)])

    def _vector(self, x: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(x, dtype=float)
        if not x.flags.writeable:  # to the compiler an array of another type: it would compile everything once more
            x = x.copy()
        if x.shape != self.example.shape:
            raise HmmInferError(f"Kernel {self.code.recipe} takes a vector of length {self.n_in}, got shape {x.shape}.")
        return x
