"""Membranes between two baths: area resistance, conductivity along and water flux, from the steady hydration through the thickness."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.macro.membrane import ALONG, FLUX, RESISTANCE, UPTAKE, membrane_kernel
from hmminfer.micro.laminate import means
from hmminfer.models.proton_conductor.water import ACID, DRAG, NO_CONTACT, REFERENCE, SPRINGER_ENERGY, springer, water_content
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.derived import Derived
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import MATERIAL, informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Normal
from hmminfer.system.tables import Table

DIFFUSIVITIES = ("motupally", "springer", "constant")
DRIEST = 4.0  # water content below which Springer's diffusivity is not stated


def _humidity(name: str, where: str) -> Column:
    about = f"relative humidity at {where}; blank: liquid water"
    return Column(name, "%", required=False, lower=0.0, upper=100.0, description=about, shares="any")


MEMBRANES = Schema(
    experiment="membranes",
    description="Membranes between two baths, humid gas or liquid water: area resistance, conductivity along, water flux.",
    quantities={"area_resistance": "ohm*cm^2", "conductivity_along": "S/cm", "water_flux": "mol/m^2/s"},
    positive=("area_resistance", "conductivity_along"),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the membrane, a label: all membranes share one material"),
        Column("thickness", "um", lower=0.1, description="of the membrane as it is measured, wet"),
        Column("temperature", "K", lower=200.0, upper=500.0),
        _humidity("humidity_a", "z = 0 (anode)"),
        _humidity("humidity_c", "z = L (cathode)"),
        Column("current_density", "A/cm^2", required=False, description="protons from a to c; blank: none"),
    ),
    settings=(
        MATERIAL,
        Setting(
            "liquid_water_content", default=22.0, lower=1.0, upper=40.0, description="water molecules per acid group in liquid water (Nafion: 22)"
        ),
        Setting("diffusivity", default="motupally", kind="text", choices=DIFFUSIVITIES, description="of water; constant: 3e-6 cm^2/s"),
        Setting("elements", default=8, kind="integer", lower=1, upper=200, description="through the thickness"),
    ),
    example_rows=(
        {"quantity": "area_resistance", "specimen": "thin", "thickness": 60, "temperature": 298.15, "value": 0.07, "unit": "ohm*cm^2", "sd": 0.004},
        {"quantity": "area_resistance", "specimen": "thick", "thickness": 208, "temperature": 298.15, "value": 0.16, "unit": "ohm*cm^2", "sd": 0.008},
        {
            "quantity": "water_flux",
            "thickness": 50,
            "temperature": 333,
            "humidity_a": 90,
            "humidity_c": 3,
            "value": 0.01,
            "unit": "mol/m^2/s",
            "sd": 0.001,
        },
    ),
)
MEMBRANE = (
    Parameter("mobility", "", LogNormal(1.0, 1.0), "conductivity over Springer's, where swollen", 1e-6, 1e3, "m"),
    Parameter("activation_energy", "kJ/mol", Normal(25.0, 15.0, 0.0, 150.0), "of conduction", 0.0, 200.0, "E"),
    Parameter("swollen_share", "", Normal(0.5, 0.15, 0.05, 0.95), "share of swollen lamellae", 0.0, 1.0, "f"),
    Parameter("dry_ratio", "", LogNormal(0.3, 0.6), "conductivity of dry lamellae over swollen ones", 1e-6, 1.0, "\\rho"),
    Parameter("water_diffusivity", "", LogNormal(1.0, 1.0), "diffusivity of water over the published law", 1e-6, 1e3, "D"),
    Parameter("water_transfer", "mol/m^2/s", LogNormal(0.01, 2.0), "flux through a surface per unit of water content", 1e-9, 1e6, "k_w"),
    Parameter("contact_resistance", "ohm*cm^2", LogNormal(0.03, 1.5), "of both surfaces together", 0.0, 1e3, "r"),
)
UNIFORM = {"dry_ratio": 1.0}  # no lamellae, unless it is given a prior
UNSEEN = {
    "activation_energy": SPRINGER_ENERGY,
    "swollen_share": 0.5,
    "water_diffusivity": 1.0,
    "water_transfer": 0.01,
}  # where no datum tells of them
WHAT = {"area_resistance": RESISTANCE, "conductivity_along": ALONG, "water_flux": FLUX, "water_content": UPTAKE}


@compiled
def water_diffusivity(content, temperature, law):
    """D (cm^2/s) of Motupally (law 0), of Springer (1; NaN below 4 molecules, where it says nothing), or constant (2)."""
    if law.real == 2.0:
        return 3e-6 + 0.0 * content
    if law.real == 1.0:
        if content.real < DRIEST - 1e-9:  # drag can dry the inside of a membrane between wet baths
            return np.nan + 0.0 * content
        cubic = 2.563 - 0.33 * content + 0.0264 * content**2 - 0.000671 * content**3
        return 1e-6 * cubic * np.exp(2416.0 * (1.0 / REFERENCE - 1.0 / temperature))
    dry = 3.10e-3 * content * (np.exp(0.28 * content) - 1.0)
    wet = 4.17e-4 * content * (1.0 + 161.0 * np.exp(-content))
    share = 1.0 / (1.0 + np.exp(-(content - 3.0) / 0.125))
    return (dry + share * (wet - dry)) * np.exp(-2436.0 / temperature)


@compiled
def membrane_law(x, facts, out):
    """x: lambda, lambda' (1/cm), m, E, f, rho, D factor, T (K), I (A/cm^2), law of D -> flux (mol/m^2/s), s along, s across (S/cm)."""
    content, slope, mobility, energy, share, ratio, factor, temperature, current, law = x
    diffusivity = factor * water_diffusivity(content, temperature, law)
    out[0] = -1e4 * ACID * diffusivity * slope + 2.5 * content / 22.0 * current * DRAG
    s = mobility * springer(content, energy, temperature)
    k, t = np.empty_like(x[:2]), np.empty_like(x[:2])
    k[0], k[1] = s, ratio * s
    t[0], t[1] = share, 1.0 - share
    out[1], out[2], _ = means(k, t, NO_CONTACT)


def _membranes(c: Any, s: Any, specimen: Any, what: Any, position: Any = None) -> Any:
    """Kernel of membranes, one for each entry of the columns ``c``."""
    humidity = np.stack([c["humidity_a"], c["humidity_c"]], axis=1)
    bath = np.where(np.isfinite(humidity), water_content(humidity / 100.0), s["liquid_water_content"])
    if s["diffusivity"] == "springer" and bath.min() < DRIEST:
        raise HmmInferError(
            f"Springer's diffusivity holds above {DRIEST:g} water molecules per acid group; a bath gives {bath.min():.2f}. "
            "Set diffusivity = motupally."
        )
    facts = np.stack([c["temperature"], np.nan_to_num(c["current_density"]), np.full(len(bath), DIFFUSIVITIES.index(s["diffusivity"]))], axis=1)
    parameters = ParameterSet(MEMBRANE)
    theta = parameters.vector({**UNSEEN, "dry_ratio": 0.3})
    law = closure(membrane_law, np.zeros((1, 0)), 3, np.concatenate([[10.0, 100.0], theta[:5], facts[0]]))
    kernel = membrane_kernel(law, theta[:5], facts, 1e-4 * c["thickness"], bath, specimen, what, position, int(s["elements"]))
    return kernel, parameters


def membranes(table: Table) -> Model:
    """Membranes: row i of y is row i of the table; see :data:`MEMBRANES`. The flux is that of water from a to c."""
    s, n = table.settings, len(table)
    kernel, parameters = _membranes(table.columns, s, np.arange(n), [WHAT[q] for q in table.quantity])
    about = {k: s[k] for k in ("diffusivity", "liquid_water_content", "elements")}
    observables = by_quantity(table, {"thickness": "um", "temperature": "K"})
    panels = ("ratios",) if n <= 4 else ("against", "scores")
    told = informed(parameters, kernel, s, table, UNSEEN, UNIFORM)
    return Model(
        parameters=told.parameters,
        kernel=kernel,
        observables=observables,
        fixed=told.held,
        table=table,
        about=about,
        panels=panels,
        derived=(Derived("swollen_conductivity", "S/cm", partial(_swollen, float(s["liquid_water_content"])), "in liquid water, at 303 K"),),
        cautions=told.cautions,
    )


def _swollen(content: float, values: Any) -> Any:
    """Conductivity of the swollen lamellae at a water content and Springer's temperature."""
    return np.asarray(values["mobility"]) * springer(content, 0.0, REFERENCE)


@prediction(
    Setting("thickness", "um", default=50.0, lower=0.1, description="of the membrane as it is measured, wet"),
    Setting("humidity_a", "%", default=80.0, lower=0.0, upper=100.0, description="relative humidity at z = 0 (anode)", shares=True),
    Setting("humidity_c", "%", default=80.0, lower=0.0, upper=100.0, description="relative humidity at z = L (cathode)", shares=True),
    Setting("current_density", "A/cm^2", default=0.0, description="protons from a to c"),
    Setting("temperature", "K", default=333.15, lower=200.0, upper=500.0),
    Setting("points", default=41, kind="integer", lower=2, upper=10001, description="through the thickness"),
    *MEMBRANES.settings,
    small={"points": 3, "elements": 4, "humidity_c": 30.0, "current_density": 0.5},
)
def water_profile(thickness: float, points: int, **s: Any) -> Model:
    """Prediction model: water content through a membrane, its area resistance, conductivity along and water flux."""
    bath = ("humidity_a", "humidity_c", "current_density", "temperature")
    columns = {"thickness": np.array([thickness]), **{k: np.array([s[k]]) for k in bath}}
    place = np.linspace(0.0, 1.0, points)
    more = ("area_resistance", "conductivity_along", "water_flux")
    what = [UPTAKE] * points + [WHAT[name] for name in more]
    kernel, parameters = _membranes(columns, s, np.zeros(points + 3, int), what, np.append(place, np.zeros(3)))
    parameters = informed(parameters, kernel, s).parameters
    coords = {"depth": (place * thickness, "um")}
    observables = [Observable("water_content", "", np.arange(points), "depth", coords)]
    observables += [Observable(name, MEMBRANES.quantities[name], np.array([points + i]), "membrane") for i, name in enumerate(more)]
    return Model(parameters=parameters, kernel=kernel, observables=tuple(observables), fixed=UNIFORM)


EXPERIMENT = Experiment(
    MEMBRANES, membranes, "nafion_membranes", "membranes between two baths", {"water_profile": water_profile}, small={"elements": 4}
)
