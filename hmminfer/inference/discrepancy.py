"""Model discrepancy: the part of the data that a model cannot explain, in the likelihood.

    none             y = f(theta) + noise
    homogenisation   y = f(theta) + d + noise, d learnt offline from resolved solves (see :mod:`hmminfer.inference.homogenisation`)
    extra            y = f(theta) + noise + d,  d ~ Normal(0, (tau_q s_q)^2) for each measured quantity q, tau_q inferred

s_q is the root mean square of the quantity's data, so tau_q is a relative model error; its prior HalfNormal(0.1) states that models of this
kind are usually right within 10 %.
"""

from __future__ import annotations

import numpy as np

from hmminfer.errors import unknown
from hmminfer.system.parameters import Parameter
from hmminfer.system.priors import HalfNormal
from hmminfer.system.tables import Table

KINDS = ("none", "extra", "homogenisation")


def parameters(kind: str, table: Table) -> tuple[Parameter, ...]:
    """Unknowns that a kind of discrepancy adds to a problem."""
    if kind not in KINDS:
        raise unknown("discrepancy", kind, KINDS)
    if kind != "extra":
        return ()
    names = dict.fromkeys(table.quantity.tolist())
    return tuple(Parameter(f"discrepancy_{q}", "", HalfNormal(0.1), f"relative model error of {q}", 0.0) for q in names)


def scale(table: Table) -> np.ndarray:
    """Root mean square of each row's quantity, (rows,)."""
    out = np.empty(len(table))
    for q in dict.fromkeys(table.quantity.tolist()):
        rows = table.quantity == q
        out[rows] = np.sqrt(np.mean(table.value[rows] ** 2))
    return out
