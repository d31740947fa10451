"""Sentences to say before sampling: data that contradict what is taken as known, a material without a name, a dear cell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from hmminfer.system.parameters import Field
from hmminfer.system.priors import Prior
from hmminfer.system.settings import Setting

DRAWS = 200
FAR = 3.0  # standard deviations
ASSUMED = 0.05  # of a value: its sd where none is stated


def remarks(model: Any) -> list[str]:
    """All sentences for a model whose priors and fixed values are settled."""
    return list(dict.fromkeys([*contradictions(model), *filter(None, (caution(model) for caution in model.cautions)), *dear(model)]))


def dear(model: Any, draws: Mapping[str, Any] | None = None) -> list[str]:
    """Sentences on what the model costs at named draws of the posterior, or, without them, over the prior."""
    where = "prior" if draws is None else "posterior"
    if draws is None:
        rng = np.random.default_rng(0)
        draws = {p.name: p.prior.sample(rng, DRAWS) for p in model.parameters if not isinstance(p, Field) and p.size is None}
    return [said for cost in model.costs if (said := cost({**draws, **model.fixed}, where))]


def taken(settings: Iterable[Setting], given: Collection[str], values: Mapping[str, Any], model: Any) -> str:
    """A sentence on the facts about a specimen and its test that were not ``given``; else "". A default of 0 means none, and numbers without a unit
    belong to the method.
    """
    own = model.parameters.names
    facts = [s for s in settings if s.unit and s.kind == "number" and s.default not in (0.0, s.upper, None) and s.name not in (*given, *own)]
    facts = [s for s in facts if not s.only[0] or str(values.get(s.only[0])) == s.only[1]]
    if not facts:
        return ""
    names = ", ".join(f"{s.name} = {s.shown}" for s in facts)
    return f"Not given, and taken: {names}. Give yours where they differ, with --set or as a line of the data file (# {facts[0].name} = ...)."


def contradictions(model: Any) -> list[str]:
    """Rows that measure a parameter itself and disagree with the value it is held at, or with its prior."""
    table, out = model.table, []
    if table is None:
        return []
    for p in model.parameters:
        for row in np.flatnonzero(table.quantity == p.name):
            value, sd = float(table.value[row]), float(table.sd[row])
            sd = sd if np.isfinite(sd) else ASSUMED * abs(value)
            said = f"Line {table.line[row]} measures {p.name} as {value:g} +- {sd:.2g} {p.unit}".rstrip()
            if p.name in model.fixed:
                held = float(np.asarray(model.fixed[p.name]).flat[0])
                if abs(value - held) > FAR * sd:
                    out.append(f"{said}, but it is taken as known, {held:g} {p.unit}".rstrip() + ": correct one of them, or free it with a prior.")
            elif _far(p.prior, value, sd):
                out.append(f"{said}, far from its prior {p.prior}: correct one of them.")
    return out


def _far(prior: Prior, value: float, sd: float) -> bool:
    """True if the value lies further from a prior's centre than three standard deviations of both together."""
    centre, width, logarithmic = prior.normal
    if logarithmic:
        return value <= 0.0 or abs(np.log(value) - centre) > FAR * np.hypot(width, sd / value)
    return abs(value - centre) > FAR * float(np.hypot(width, sd))


def of_columns(model: Any, names: Iterable[str]) -> str:
    """A sentence if a column of the data states another value of a parameter than the one it is held at; else ""."""
    for name in names:
        stated = model.table.columns[name]
        stated = stated[np.isfinite(stated)]
        held = model.fixed.get(name)
        if held is not None and stated.size and not np.allclose(stated, held, rtol=0.01):
            return f"The column {name} of the data says {stated[0]:g}, but {held:g} is taken as known: correct one of them."
    return ""


def unnamed(model: Any, wide: Mapping[str, Prior], example: str) -> str:
    """A sentence if the material has no name, like ``example``, and unknowns still have the ``wide`` priors of their system; else ""."""
    left = [p.name for p in model.parameters if p.name in wide and p.name not in model.fixed and p.prior == wide[p.name]]
    if not left:
        return ""
    names = ", ".join(left[:8]) + (" and others" if len(left) > 8 else "")
    return (
        f"No material is named: {names} {'has a prior' if len(left) == 1 else 'have priors'} wide enough for any. Name it "
        f'(--set material="{example}", or a line of the data file), or give values (--fix) or priors (--prior).'
    )
