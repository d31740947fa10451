"""Unidirectional laminae: moduli, expansion and conductivity measured along and across the fibres, and those of the neat matrix."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.coupling import couple
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError, unknown
from hmminfer.micro.phases import PHASES, phases_of
from hmminfer.models.thermoelastic_composite.material import AXIAL, CELL, INDEX, PARAMETERS, THERMAL, answer_of, settled
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import ParameterSet
from hmminfer.system.priors import Normal
from hmminfer.system.remarks import of_columns
from hmminfer.system.tables import Table

PROPERTIES = {
    "axial_modulus": "GPa",
    "transverse_modulus": "GPa",
    "shear_modulus": "GPa",
    "poisson_ratio": "",
    "axial_expansion": "um/m/K",
    "transverse_expansion": "um/m/K",
    "axial_conductivity": "W/m/K",
    "transverse_conductivity": "W/m/K",
}
DIRECT = ("matrix_modulus", "matrix_expansion", "matrix_conductivity")
LAMINAE = Schema(
    experiment="laminae",
    description="Moduli, thermal expansion and conductivity of a unidirectional lamina along (axial) and across (transverse) its fibres.",
    quantities={**PROPERTIES, "matrix_modulus": "GPa", "matrix_expansion": "um/m/K", "matrix_conductivity": "W/m/K"},
    positive=tuple(q for q in (*PROPERTIES, *DIRECT) if q.endswith(("modulus", "conductivity"))),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the lamina; one is fitted, see the setting specimen"),
        *(
            Column(
                p.name,
                p.unit,
                required=False,
                lower=p.lower,
                upper=p.upper,
                description=f"known {p.description}; blank: as the settings say",
                shares="all" if p.name == "volume_fraction" else "",
                basis="volume" if p.name == "volume_fraction" else "",
            )
            for p in PHASES
        ),
    ),
    settings=(Setting("specimen", default="", kind="text", description="lamina to fit; needed where the file holds several"), *CELL),
    example_rows=(
        {"quantity": "axial_expansion", "specimen": "A", "volume_fraction": 0.57, "value": 0.0, "unit": "um/m/K", "sd": 0.05},
        {"quantity": "transverse_expansion", "specimen": "A", "volume_fraction": 0.57, "value": 29.0, "unit": "um/m/K", "sd": 1.0},
        {"quantity": "axial_modulus", "specimen": "A", "volume_fraction": 0.57, "value": 135, "unit": "GPa", "sd": 4},
    ),
)


@compiled
def properties(x, facts, out):
    """x: the law's answer, then v, k_1f, k_m. facts: number of the property in the order of PROPERTIES."""
    kind = int(facts[0])
    c = x[:36].copy().reshape(6, 6)
    adjugate = np.empty_like(c[:3, :3])  # of the block of normal strains; shears are apart in an aligned cell
    for i in range(3):
        for j in range(3):
            a, b, d, e = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            adjugate[j, i] = c[a, d] * c[b, e] - c[a, e] * c[b, d]
    det = c[0, 0] * adjugate[0, 0] + c[0, 1] * adjugate[1, 0] + c[0, 2] * adjugate[2, 0]
    if kind < 2:
        out[0] = det / adjugate[kind, kind]
    elif kind == 2:
        out[0] = c[5, 5]
    elif kind == 3:
        out[0] = -adjugate[0, 1] / adjugate[0, 0]
    elif kind < 6:
        i = kind - 4
        out[0] = (adjugate[i, 0] * x[36] + adjugate[i, 1] * x[37] + adjugate[i, 2] * x[38]) / det
    elif kind == 6:
        out[0] = x[47] * x[48] + (1.0 - x[47]) * x[49]
    else:
        out[0] = x[43]


def laminae(table: Table) -> Model:
    """One lamina: row i of y is row i of the (selected) table; see :data:`LAMINAE`."""
    s = table.settings
    names = [str(n) for n in dict.fromkeys(table.columns["specimen"].astype(str))]
    if s["specimen"] and s["specimen"] not in names:
        raise unknown("specimen", s["specimen"], names)
    if not s["specimen"] and len(names) > 1:
        raise HmmInferError(f"The data hold {len(names)} laminae; choose one with the setting specimen: {', '.join(names)}.")
    table = table.take(np.flatnonzero(table.columns["specimen"].astype(str) == (s["specimen"] or names[0])))
    direct = np.isin(table.quantity, DIRECT)
    kind = [list(PROPERTIES).index(q) for q in table.quantity if q in PROPERTIES]
    micro, example = answer_of(s)
    known, content = {}, {}
    for p in PHASES:
        given = np.unique(table.columns[p.name][np.isfinite(table.columns[p.name])])
        if given.size > 1:
            raise HmmInferError(f"Lamina {s['specimen'] or names[0]!r} has several values of {p.name}; it can have one.")
        if given.size and p.name == "volume_fraction":
            content[p.name] = Normal(float(given[0]), 0.02, 0.01, 0.9)
        elif given.size:
            known[p.name] = float(given[0])
    observe = closure(properties, np.array(kind, float)[:, None], 1, example)
    index = [INDEX[q] for q in table.quantity if q in DIRECT]
    kernel = couple(micro, observe, range(len(PARAMETERS)), AXIAL, index, micro.example, direct)
    about = {k: s[k] for k in ("packing", "cell", "refine", "reference")} | {"specimen": s["specimen"] or names[0]}
    parts = settled(kernel, micro, s, table, known)
    parts["parameters"] = parts["parameters"].replaced(content)
    parts["cautions"] = (*parts["cautions"], partial(of_columns, names=tuple(known)))
    return Model(**parts, kernel=kernel, observables=by_quantity(table, {}), table=table, about=about, panels=("ratios", "scores"))


@prediction(*CELL, small={"cell": "full", "refine": 1})
def lamina_properties(**s: Any) -> Model:
    """Prediction model: moduli, expansions and conductivities of a lamina."""
    micro, example = answer_of(s)
    observe = closure(properties, np.arange(8.0)[:, None], 1, example)
    kernel = couple(micro, observe, range(len(PARAMETERS)), AXIAL, [], micro.example)
    observables = tuple(Observable(q, u, np.array([i]), "lamina") for i, (q, u) in enumerate(PROPERTIES.items()))
    told = informed(ParameterSet((*phases_of(str(s["packing"])), *THERMAL)), kernel, s)
    return Model(parameters=told.parameters, kernel=kernel, observables=observables)


EXPERIMENT = Experiment(
    LAMINAE,
    laminae,
    "carbon_expansion",
    "moduli, expansion and conductivity of a lamina",
    {"lamina_properties": lamina_properties},
    small={"cell": "full", "refine": 1},
)
