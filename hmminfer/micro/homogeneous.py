"""No microstructure: an isotropic coefficient as a law, for zones of plain material and for problems of one scale.

Vector in: k.  Vector out: A11, A22, A12 = k, k, 0. Exact. NaN unless k > 0.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled


@compiled
def _forward(x):
    k = x[0] if x[0] > 0.0 else np.nan
    return (np.array([k, k, 0.0 * k]),)


@compiled
def _pullback(x, y_bar):
    return np.array([y_bar[0] + y_bar[1] if x[0] > 0.0 else np.nan])


CODE = Code((__name__, "CODE"), _forward, _pullback, data="")


@cache
def isotropic() -> Kernel:
    """Kernel of a homogeneous isotropic material."""
    return Kernel(CODE, (), np.array([1.0]))
