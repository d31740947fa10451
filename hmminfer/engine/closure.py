"""Kernels from one formula: a pointwise law written once, its derivative by the complex step.

    y_i = f(x_i, s; facts_i)        x_i: entries of x that belong to row i, s: entries that all rows share

``f(x, facts, out)`` is an njit function that works for real and complex numbers alike: arithmetic, ``np.exp``, ``np.log``, powers and
comparisons of ``.real``. Called with x + i h e_j, h = 1e-40, it gives df/dx_j as Im f / h, exact to rounding, because no difference is taken.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import specialise

formula: Any = None  # bound when the templates are compiled
STEP = 1e-40


def _forward(x, facts, sizes):
    """``facts`` (rows, k); ``sizes`` = [own numbers of a row, outputs of a row]."""
    n, own, m = facts.shape[0], sizes[0], sizes[1]
    shared = x.size - n * own
    at = np.empty(own + shared)
    at[own:] = x[n * own :]
    y = np.empty(n * m)
    for i in range(n):
        at[:own] = x[i * own : (i + 1) * own]
        formula(at, facts[i], y[i * m : (i + 1) * m])
    if not np.all(np.isfinite(y)):
        y[:] = np.nan
    return (y,)


def _pullback(x, facts, sizes, y_bar):
    n, own, m = facts.shape[0], sizes[0], sizes[1]
    shared = x.size - n * own
    at = np.empty(own + shared, dtype=np.complex128)
    out = np.empty(m, dtype=np.complex128)
    x_bar = np.zeros(x.size)
    solved = True
    for i in range(n):
        at[:own] = x[i * own : (i + 1) * own]
        at[own:] = x[n * own :]
        for j in range(at.size):
            at[j] += STEP * 1j
            formula(at, facts[i], out)
            at[j] = at[j].real
            s = 0.0
            for k in range(m):
                s += y_bar[i * m + k] * (out[k].imag / STEP)
                solved = solved and np.isfinite(out[k].real)
            x_bar[i * own + j if j < own else n * own + j - own] += s
    if not solved:
        x_bar[:] = np.nan
    return x_bar


@cache
def closure_code(module: str, name: str) -> Code:
    """Code of the formula ``name`` in ``module``."""
    function = getattr(importlib.import_module(module), name)
    forward, pullback = (specialise(template, formula=function) for template in (_forward, _pullback))
    return Code((__name__, "closure_code", module, name), forward, pullback, data="f2 i1")


def closure(formula: Any, facts: Any, outputs: int, example: Any, own: int = 0) -> Kernel:
    """Kernel of a formula: (own entries of row 0, of row 1, ..., shared entries) -> (outputs of row 0, of row 1, ...).

    Parameters
    ----------
    formula : a module-level njit function ``f(x, facts, out)``, x being a row's own entries followed by the shared ones.
    facts : (rows, k) known data of each row.
    outputs : number of outputs that the formula writes for a row.
    own : number of entries of x that belong to one row only.
    example : one vector of the kernel at which the formula is finite.
    """
    function = formula.py_func
    data = (np.ascontiguousarray(facts, dtype=float), np.array([own, outputs], dtype=np.int64))
    return Kernel(closure_code(function.__module__, function.__name__), data, np.array(example, dtype=float))
