"""Equilibria with baths of different salt: pressure, modulus, volume and swelling degree of a network, or pressure of its polymer in solution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.macro import swelling
from hmminfer.macro.swelling import GEL, TISSUE, equilibrium_kernel
from hmminfer.micro.poisson_boltzmann import thermal
from hmminfer.models.swelling_gel.charges import (
    CHAINS,
    CHARGE,
    COMMON,
    IDEAL,
    NETWORKS,
    PURE_WATER,
    UNSEEN,
    WATER,
    charge_range,
    coupled_kernel,
    distinct_baths,
    example_of,
    law_of,
)
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.derived import Derived
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import ParameterSet
from hmminfer.system.tables import Table

WHAT = {
    "osmotic_pressure": swelling.PRESSURE_AT,
    "swelling_pressure": swelling.PRESSURE,
    "volume_ratio": swelling.VOLUME,
    "aggregate_modulus": swelling.MODULUS,
    "swelling_degree": swelling.DEGREE,
}
UNITS = {"osmotic_pressure": "MPa", "swelling_pressure": "MPa", "volume_ratio": "", "aggregate_modulus": "MPa", "swelling_degree": ""}
EQUILIBRIUM = Schema(
    experiment="equilibrium",
    description="A charged network, or a solution of its polymer, in equilibrium with baths of different salt.",
    quantities=UNITS,
    positive=tuple(UNITS),
    definitions={
        "volume_ratio": "volume over that of the reference state",
        "swelling_degree": "swollen volume over that of the dry polymer; from the swollen over the dry mass m: 1 + (m - 1) rho, rho the density of the dry "
        "polymer over that of water",
    },
    basis={"volume_ratio": "volume", "swelling_degree": "volume"},
    columns=(
        Column(
            "specimen", kind="text", required=False, description="name; the setting 'specimen' fits one of several, otherwise all are of one material"
        ),
        Column("bath", "mmol/L", lower=1e-3, upper=5000.0, description="monovalent salt of the bath", remedy=PURE_WATER),
        Column("fixed_charge", "mol/L", required=False, lower=0.0, upper=5.0, description="of an osmotic_pressure; blank: the unknown fixed_charge"),
        Column("load", "MPa", required=False, lower=0.0, description="compression under which it is in equilibrium; blank: none"),
    ),
    settings=(
        *COMMON,
        Setting(
            "network", default="tissue", kind="text", choices=tuple(NETWORKS), description="tissue strained along one axis, or gel swelling freely"
        ),
        Setting("volume", default="held", kind="text", choices=("held", "free"), description="tissue: held at J = 1 by its fibres, or free to swell"),
        Setting("specimen", default="all", kind="text", description="fit the rows of one specimen only, or all"),
    ),
    example_rows=(
        {"quantity": "aggregate_modulus", "specimen": "plug", "bath": 2000, "value": 0.42, "unit": "MPa", "sd": 0.03},
        {"quantity": "aggregate_modulus", "specimen": "plug", "bath": 150, "value": 0.75, "unit": "MPa", "sd": 0.05},
        {"quantity": "aggregate_modulus", "specimen": "plug", "bath": 1, "value": 1.27, "unit": "MPa", "sd": 0.1},
        {"quantity": "swelling_pressure", "specimen": "plug", "bath": 150, "value": 0.05, "unit": "MPa", "sd": 0.01},
    ),
)


def equilibrium_kernel_of(c: Any, quantity: np.ndarray, s: Any) -> tuple[Kernel, ParameterSet]:
    """Kernel of rows of ``quantity`` with the columns ``c``, and its parameters."""
    network = str(s["network"])
    if network == "tissue" and (quantity == "swelling_degree").any():
        raise HmmInferError("A swelling_degree is that of a gel; set network = gel, or give a volume_ratio.")
    if network == "gel" and (quantity == "aggregate_modulus").any():
        raise HmmInferError("A gel swells freely here and has no aggregate_modulus; set network = tissue, or remove the row.")
    baths, which = distinct_baths(c["bath"])
    law, micro = law_of(s, baths, network)
    parameters = ParameterSet((*micro, CHARGE, WATER, *NETWORKS[network], CHAINS))
    at = quantity == "osmotic_pressure"
    unknown = at & ~np.isfinite(c["fixed_charge"])
    what = np.array([WHAT[q] for q in quantity])
    what[unknown] = swelling.PRESSURE_OF
    load = np.nan_to_num(c["load"])
    if network == "tissue" and s["volume"] == "held":
        if (load > 0.0).any() or (quantity == "volume_ratio").any():
            raise HmmInferError("A volume that is held neither follows a load nor is a result; set volume = free.")
        load = np.full(len(quantity), np.inf)
    charge = np.where(at, c["fixed_charge"], np.nan)
    example, theta = example_of(law, parameters)
    kind = TISSUE if network == "tissue" else GEL
    rt = thermal(float(s["temperature"]))
    macro = equilibrium_kernel(charge_range(s, network), len(baths), what, which, load, charge, rt, kind, example)
    return coupled_kernel(law, macro, theta), parameters


def equilibrium(table: Table) -> Model:
    """Equilibria: row i of y is row i of the (selected) table; see :data:`EQUILIBRIUM`."""
    s = table.settings
    if s["specimen"] != "all":
        keep = table.columns["specimen"] == s["specimen"]
        if not keep.any():
            raise HmmInferError(f"No row is of specimen {s['specimen']!r}; it has {', '.join(sorted(set(table.columns['specimen'])))}.")
        table = table.take(np.flatnonzero(keep))
    kernel, parameters = equilibrium_kernel_of(table.columns, table.quantity, s)
    told = informed(parameters, kernel, s, table, UNSEEN, IDEAL)
    derived = (Derived("youngs_modulus", "MPa", _youngs, "of the network alone"),) if s["network"] == "tissue" else ()
    about = {k: s[k] for k in ("micro", "network", "volume", "temperature")}
    return Model(
        **told.parts,
        kernel=kernel,
        observables=by_quantity(table, {"bath": "mmol/L"}),
        derived=derived,
        table=table,
        about=about,
        scene={"settings": s},
        panels=("over_salt", "ratios" if len(table) <= 20 else "against", "scores"),
    )


def _youngs(values: Mapping[str, Any]) -> Any:
    """E = H (1 + nu) (1 - 2 nu) / (1 - nu)."""
    modulus, nu = (np.asarray(values[k]) for k in ("network_modulus", "network_poisson"))
    return modulus * (1.0 + nu) * (1.0 - 2.0 * nu) / (1.0 - nu)


@prediction(
    Setting("lowest", "mmol/L", default=1.0, lower=1e-3, upper=5000.0, description="salt of the first bath", remedy=PURE_WATER),
    Setting("highest", "mmol/L", default=2000.0, lower=1e-3, upper=5000.0, description="salt of the last bath", remedy=PURE_WATER),
    Setting("points", default=25, kind="integer", lower=2, upper=1000, description="baths, equally far apart in ln c"),
    Setting("load", "MPa", default=0.0, lower=0.0, description="compression", only=("volume", "free")),
    *(x for x in EQUILIBRIUM.settings if x.name != "specimen"),
    small={"points": 2, "network": "gel", "micro": "donnan", "micro_nodes": 10},
)
def salt_curve(lowest: float, highest: float, points: int, load: float, **s: Any) -> Model:
    """Prediction model: equilibrium over the salt of the bath: swelling pressure, modulus or swelling degree, volume."""
    if not lowest < highest:
        raise HmmInferError(f"The baths go from {lowest:g} to {highest:g} mmol/L; give lowest < highest.")
    bath = np.geomspace(lowest, highest, points)
    names = ["swelling_pressure", "aggregate_modulus" if s["network"] == "tissue" else "swelling_degree"]
    if s["network"] == "gel" or s["volume"] == "free":
        names.append("volume_ratio")
    n = len(names) * points
    columns = {"bath": np.tile(bath, len(names)), "load": np.full(n, load), "fixed_charge": np.full(n, np.nan)}
    kernel, parameters = equilibrium_kernel_of(columns, np.repeat(names, points), s)
    parameters = informed(parameters, kernel, s).parameters
    observables = tuple(
        Observable(name, UNITS[name], np.arange(i * points, (i + 1) * points), "bath", {"bath": (bath, "mmol/L")}) for i, name in enumerate(names)
    )
    return Model(parameters=parameters, kernel=kernel, observables=observables, fixed=IDEAL)


EXPERIMENT = Experiment(
    EQUILIBRIUM,
    equilibrium,
    "chondroitin_sulphate",
    "pressure, stiffness and volume against bath salt",
    {"salt_curve": salt_curve},
    small={"rods": "unknown", "micro_nodes": 8, "micro_elements": 4},
    variants=({"micro": "donnan", "volume": "free"},),
)
