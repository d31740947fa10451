"""Quadratic finite elements on a line, for one-dimensional problems inside compiled code.

Element e holds the nodes 2 e, 2 e + 1, 2 e + 2; an integral over it is its length times sum_q WEIGHT_q f(POINT_q), with three Gauss points.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.native import compiled

POINT, WEIGHT = np.polynomial.legendre.leggauss(3)
POINT, WEIGHT = 0.5 * (POINT + 1.0), 0.5 * WEIGHT


@compiled
def shape(s):
    """Shape functions (3,) of an element's nodes at s in [0, 1], and their derivatives with respect to s."""
    n, d = np.empty(3), np.empty(3)
    n[0], n[1], n[2] = (1.0 - s) * (1.0 - 2.0 * s), 4.0 * s * (1.0 - s), s * (2.0 * s - 1.0)
    d[0], d[1], d[2] = 4.0 * s - 3.0, 4.0 - 8.0 * s, 4.0 * s - 1.0
    return n, d
