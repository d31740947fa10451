"""Stack of layers with resisting contacts: conduction along and across it, in closed form.

    along    k = sum t_j k_j / t                     arithmetic mean: layers side by side
    across   R = sum t_j / k_j + sum r_i,  k = t / R     harmonic mean: layers and contacts one after another (t = sum t_j)

The cell problem of a laminate has a gradient constant in each layer, so both are exact. A membrane whose conductivity varies through its
thickness is a laminate too: the same two means serve at the scale of lamellae and at the scale of the membrane.

Vector in:  k_j and t_j of each layer (k_0, t_0, k_1, t_1, ...), then the resistances r_i of contacts.
Vector out: k along, k across, R. Any consistent units (R: length per conductivity). Exact.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.native import compiled


@compiled
def means(k, t, r):
    """(k along, k across, R) of layers with conductivities ``k`` and thicknesses ``t`` and contacts ``r``; real or complex numbers."""
    total, along, across = t[0] * 0.0, k[0] * t[0] * 0.0, t[0] / k[0] * 0.0
    for j in range(k.size):
        total += t[j]
        along += t[j] * k[j]
        across += t[j] / k[j]
    for i in range(r.size):
        across += r[i]
    return along / total, total / across, across


@compiled
def _forward(x, layers):
    n = layers[0]
    k, t, r = x[0 : 2 * n : 2].copy(), x[1 : 2 * n : 2].copy(), x[2 * n :].copy()
    if k.min() > 0.0 and t.min() >= 0.0 and t.sum() > 0.0 and (r.size == 0 or r.min() >= 0.0):
        y = np.array(means(k, t, r))
        if np.all(np.isfinite(y)):
            return (y,)
    return (np.full(3, np.nan),)


@compiled
def _pullback(x, layers, y_bar):
    n = layers[0]
    k, t, r = x[0 : 2 * n : 2].copy(), x[1 : 2 * n : 2].copy(), x[2 * n :].copy()
    along, across, resistance = means(k, t, r)
    total = t.sum()
    r_bar = y_bar[2] - y_bar[1] * across / resistance
    out = np.empty(x.size)
    for j in range(n):
        out[2 * j] = y_bar[0] * t[j] / total - r_bar * t[j] / k[j] ** 2
        out[2 * j + 1] = y_bar[0] * (k[j] - along) / total + y_bar[1] / resistance + r_bar / k[j]
    out[2 * n :] = r_bar
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="i1")


def laminate(layers: int, contacts: int = 0) -> Kernel:
    """Kernel of a stack of ``layers`` with ``contacts`` that resist."""
    example = np.concatenate([np.tile([2.0, 0.5], layers) + 0.1 * np.arange(2 * layers), np.full(contacts, 0.2)])
    return Kernel(CODE, (np.array([layers], dtype=np.int64),), example)


@compiled
def inclined(x, facts, out):
    """x: k_m, k_i, h, v, c_m, c_i. facts: half thickness of the included layers, angle (rad) of the layers, 1 where contacts resist."""
    k_m, k_i, h, v, c_m, c_i = x
    half, angle, resisting = facts
    k, t, r = np.empty_like(x[:2]), np.empty_like(x[:2]), np.zeros_like(x[:1])
    k[0], k[1], t[0], t[1] = k_m, k_i, 1.0 - v, v  # of a period taken as one: its two contacts count v / (half h)
    if resisting == 1.0:
        r[0] = v / (half * h)
    along, across, _ = means(k, t, r)
    c, s = np.cos(angle), np.sin(angle)
    out[0], out[1], out[2] = along * c * c + across * s * s, along * s * s + across * c * c, (along - across) * c * s
    out[3] = v * c_i + (1.0 - v) * c_m
    if not (k_m.real > 0.0 and k_i.real > 0.0 and h.real > 0.0 and 0.0 < v.real < 1.0 and c_m.real > 0.0 and c_i.real > 0.0):
        out[:] = np.nan


def conductive_laminate(angle: float = 0.0, interface: bool = False, half: float = 1.0) -> Kernel:
    """Kernel k_m, k_i, h, v, c_m, c_i -> A11, A22, A12, c of layers at ``angle`` (degrees) to x; with contacts that resist, of included
    layers of thickness 2 ``half``. The vectors are those of :mod:`.conductive_cell`; exact.
    """
    example = np.array([1.0, 10.0, 10.0 / half, 0.3, 2.0, 3.0])
    return closure(inclined, [[half, np.radians(angle), float(interface)]], 4, example)
