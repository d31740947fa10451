"""Errors added to what a kernel predicts: weighted modes, absolute or relative, and a mean that may depend on the parameters.

    y = f(theta) + d   or   y = f(theta) (1 + d),    d = m + B z(theta) + V xi

V (rows, k) are known modes and their weights xi further parameters, after those of f: the rigid motion of a camera, the offset or gain of a
sensor, the error of homogenisation. z are entries of theta (or their logarithms), centred and scaled.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled, specialise

law_forward: Any = None  # bound when the templates are compiled
law_pullback: Any = None


def _forward(theta, *data):
    """Data: [inputs of the law, relative or not], m, V, B, index of each z, its (2, k) centre and scale, 1 where logarithmic; then the law's.

    State: f, then the law's.
    """
    n = data[0][0]
    out = law_forward(theta[:n].copy(), *data[7:])
    d = shift(theta, data[0], data[1], data[2], data[3], data[4], data[5], data[6])
    y = out[0] * (1.0 + d) if data[0][1] == 1 else out[0] + d
    return (y, out[0], *out[1:])


def _pullback(theta, *rest):
    n, relative, y_bar = rest[0][0], rest[0][1] == 1, rest[-1]
    f = rest[n_data]
    d = shift(theta, rest[0], rest[1], rest[2], rest[3], rest[4], rest[5], rest[6])
    if np.isnan(f[0]) or np.isnan(d[0]):
        return np.full(theta.size, np.nan)
    f_bar = y_bar * (1.0 + d) if relative else y_bar.copy()
    d_bar = y_bar * f if relative else y_bar.copy()
    law_bar = law_pullback(theta[:n].copy(), *rest[7:n_data], *rest[after:-1], f_bar)
    z_bar = d_bar @ rest[3]
    for k in range(z_bar.size):
        at = rest[4][k]
        law_bar[at] += z_bar[k] / (rest[5][1, k] * (theta[at] if rest[6][k] == 1 else 1.0))
    return np.concatenate((law_bar, d_bar @ rest[2]))


@compiled
def shift(theta, sizes, mean, modes, slopes, index, units, logarithmic):
    """d = m + B z(theta) + V xi."""
    z = np.empty(index.size)
    for k in range(index.size):
        x = theta[index[k]]
        z[k] = ((np.log(x) if logarithmic[k] == 1 else x) - units[0, k]) / units[1, k]
    return mean + modes @ theta[sizes[0] :] + slopes @ z


n_data = after = 0


@cache
def shifted_code(law: Code) -> Code:
    """Code of a law with weighted modes added; the weights follow the law's parameters in the vector."""
    forward = specialise(_forward, law_forward=law.calls[0])
    pullback = specialise(_pullback, law_pullback=law.calls[1], n_data=7 + law.n_data, after=8 + law.n_data)
    return Code((__name__, "shifted_code", law.recipe), forward, pullback, f"i1 f1 f2 f2 i1 f2 i1 {law.data}", f"f1 {law.state}".strip())


def shifted(
    kernel: Kernel,
    modes: np.ndarray,
    relative: bool = False,
    mean: np.ndarray | None = None,
    slopes: np.ndarray | None = None,
    index: Any = (),
    units: np.ndarray | None = None,
    logarithmic: Any = (),
) -> Kernel:
    """Kernel with modes (rows, k) added to its answer, and a mean m (rows,) and slopes B (rows, p) along the entries ``index`` of its vector.

    ``units`` (2, p): centre and scale of these entries, or of their logarithms where ``logarithmic`` is 1.
    """
    n, k = modes.shape
    arrays = (
        np.array([kernel.n_in, int(relative)], np.int64),
        np.zeros(n) if mean is None else mean,
        modes,
        np.zeros((n, 0)) if slopes is None else slopes,
        np.asarray(index, np.int64),
        np.zeros((2, 0)) if units is None else units,
        np.asarray(logarithmic, np.int64),
    )
    data = (*(np.ascontiguousarray(a) for a in arrays), *kernel.data)
    return Kernel(shifted_code(kernel.code), data, np.concatenate([kernel.example, np.full(k, 0.1)]))
