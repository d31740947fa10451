"""The heterogeneous multiscale method as a composition of kernels.

    theta --(take the law's share)--> law --> effective data --+
      |                                                        +--> macro problem --> y
      +--(take the macro problem's share: angles, fields) -----+
      +--(parameters measured by themselves) ------------------------------------> y

Everything is a :class:`~hmminfer.kernel.Kernel`, so the derivative of the whole is the chain rule written once, in compiled code:
the macro pullback gives the cotangent of the effective data, the law's pullback carries it to the micro parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numba import njit

from .kernel import Code, Kernel


@lru_cache(maxsize=None)
def couple_code(law: Code, macro: Code) -> Code:
    """Code of macro(law(theta[law_index]), theta[macro_index]) followed by theta[direct_index]."""
    (law_forward, law_pullback), (macro_forward, macro_pullback) = law.calls, macro.calls
    law_end = 3 + law.n_data  # data: three index arrays, the law's, the macro problem's
    n_data = law_end + macro.n_data
    law_state = n_data + 1  # state: x, the law's, the macro problem's
    state_end = law_state + law.n_state

    @njit(error_model="numpy")
    def forward(theta, *data):
        law_index, macro_index, direct_index = data[:3]
        law_out = law_forward(theta[law_index], *data[3:law_end])
        x = np.concatenate((law_out[0], theta[macro_index]))
        macro_out = macro_forward(x, *data[law_end:])
        y = np.concatenate((macro_out[0], theta[direct_index]))
        return (y, x, *law_out[1:], *macro_out[1:])

    @njit(error_model="numpy")
    def pullback(theta, *rest):
        law_index, macro_index, direct_index = rest[:3]
        x, y_bar = rest[n_data], rest[-1]
        n_y = y_bar.size - direct_index.size
        n_effective = x.size - macro_index.size
        x_bar = macro_pullback(x, *rest[law_end:n_data], *rest[state_end:-1], y_bar[:n_y].copy())
        law_bar = law_pullback(
            theta[law_index], *rest[3:law_end], *rest[law_state:state_end], x_bar[:n_effective].copy()
        )
        theta_bar = np.zeros(theta.size)
        for i in range(law_index.size):
            theta_bar[law_index[i]] += law_bar[i]
        for i in range(macro_index.size):
            theta_bar[macro_index[i]] += x_bar[n_effective + i]
        for i in range(direct_index.size):
            theta_bar[direct_index[i]] += y_bar[n_y + i]
        return theta_bar

    recipe = (__name__, "couple_code", law.recipe, macro.recipe)
    return Code(recipe, forward, pullback, f"i1 i1 i1 {law.data} {macro.data}", f"f1 {law.state} {macro.state}", leaf=False)


def couple(
    law: Kernel, macro: Kernel, law_index: Sequence[int], macro_index: Sequence[int], direct_index: Sequence[int], example: np.ndarray
) -> Kernel:
    """The coupled kernel: which entries of theta go to the law, to the macro problem (after the effective data), straight to y."""
    indices = tuple(np.asarray(i, dtype=np.int64) for i in (law_index, macro_index, direct_index))
    code = couple_code(law.code, macro.code)
    return Kernel(code, indices + law.data + macro.data, np.ascontiguousarray(example, dtype=float))


@lru_cache(maxsize=None)
def stack_code(first: Code, second: Code) -> Code:
    """Code of (first(theta[i]), second(theta[j])): several experiments that share parameters."""
    (f1, p1), (f2, p2) = first.calls, second.calls
    n1, n_data = 2 + first.n_data, 2 + first.n_data + second.n_data
    state1, state2 = n_data + 1, n_data + 1 + first.n_state  # state: y of the first, its state, that of the second

    @njit(error_model="numpy")
    def forward(theta, *data):
        out1 = f1(theta[data[0]], *data[2:n1])
        out2 = f2(theta[data[1]], *data[n1:])
        return (np.concatenate((out1[0], out2[0])), out1[0], *out1[1:], *out2[1:])

    @njit(error_model="numpy")
    def pullback(theta, *rest):
        y_bar = rest[-1]
        n_y = rest[n_data].size
        bar1 = p1(theta[rest[0]], *rest[2:n1], *rest[state1:state2], y_bar[:n_y].copy())
        bar2 = p2(theta[rest[1]], *rest[n1:n_data], *rest[state2:-1], y_bar[n_y:].copy())
        theta_bar = np.zeros(theta.size)
        for i in range(bar1.size):
            theta_bar[rest[0][i]] += bar1[i]
        for i in range(bar2.size):
            theta_bar[rest[1][i]] += bar2[i]
        return theta_bar

    recipe = (__name__, "stack_code", first.recipe, second.recipe)
    data, state = f"i1 i1 {first.data} {second.data}", f"f1 {first.state} {second.state}"
    return Code(recipe, forward, pullback, data, state, leaf=False)


def stack(kernels: Sequence[Kernel], indices: Sequence[Sequence[int]], example: np.ndarray) -> Kernel:
    """Kernels side by side, each taking its own entries of one theta; outputs concatenated in order."""
    total, where = kernels[0], np.asarray(indices[0], dtype=np.int64)
    everything = np.arange(len(example), dtype=np.int64)
    for i, (kernel, index) in enumerate(zip(kernels[1:], indices[1:], strict=True)):
        code = stack_code(total.code, kernel.code)
        data = (where, np.asarray(index, dtype=np.int64), *total.data, *kernel.data)
        total, where = Kernel(code, data, np.ascontiguousarray(example, dtype=float)), everything
        if i == 0 and len(kernels) == 2:
            break
    return total
