"""Thin films on a substrate: conductivity along them over thickness, humidity and temperature; an interface layer lies below a bulk-like one."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.engine.closure import closure
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.micro.laminate import means
from hmminfer.models.proton_conductor.water import GAS, NO_CONTACT, REFERENCE, SPRINGER_ENERGY, springer, water_content
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import MATERIAL, informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Normal
from hmminfer.system.tables import Table

FILMS = Schema(
    experiment="films",
    description="Conductivity along thin films on a substrate, at known thickness, relative humidity and temperature.",
    quantities={"conductivity": "mS/cm"},
    positive=("conductivity",),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the film, a label: all films share one material"),
        Column("thickness", "nm", lower=0.1, description="of the film"),
        Column("humidity", "%", lower=0.0, upper=100.0, description="relative humidity", shares="any"),
        Column("temperature", "K", lower=200.0, upper=500.0),
    ),
    settings=(
        MATERIAL,
        Setting(
            "water", default="springer", kind="text", choices=("springer", "levels"), description="humidity by Springer's law, or free at each level"
        ),
        Setting("lowest_humidity", "%", default=0.0, lower=0.0, upper=100.0, description="rows below are left out", shares=True),
        Setting("temperature", "K", default=0.0, lower=0.0, description="fit the rows of one temperature; 0 takes all"),
        Setting(
            "reference_humidity",
            "%",
            default=95.0,
            lower=1.0,
            upper=100.0,
            description="at which conductivities are stated, for water = springer",
            shares=True,
        ),
        Setting("reference_temperature", "K", default=303.15, lower=200.0, upper=500.0, description="at which conductivities are stated"),
    ),
    example_rows=(
        {
            "quantity": "conductivity",
            "specimen": "thin",
            "thickness": 10,
            "humidity": 95,
            "temperature": 303.15,
            "value": 22.1,
            "unit": "mS/cm",
            "sd": 3.5,
        },
        {
            "quantity": "conductivity",
            "specimen": "thin",
            "thickness": 10,
            "humidity": 95,
            "temperature": 333.15,
            "value": 62.4,
            "unit": "mS/cm",
            "sd": 10,
        },
        {
            "quantity": "conductivity",
            "specimen": "thick",
            "thickness": 300,
            "humidity": 95,
            "temperature": 303.15,
            "value": 43.9,
            "unit": "mS/cm",
            "sd": 7,
        },
    ),
)
LAYER = Parameter("interface_thickness", "nm", LogNormal(30.0, 1.2), "thickness of the layer at the interface", 0.01, 1e5, "d")
ENERGY = Parameter("activation_energy", "kJ/mol", Normal(25.0, 15.0, 0.0, 150.0), "of conduction", 0.0, 200.0, "E")


def _layer_parameters(levels: int | None) -> tuple[Parameter, ...]:
    """Layer, energy and both conductivities: one value each, or one for each of so many ``levels`` of humidity."""
    bulk, interface = (LogNormal(20.0, 1.5),) * 2 if levels is None else (LogNormal(5.0, 2.5),) * 2
    where = "at the reference state" if levels is None else "at each humidity, from the lowest"
    return (
        LAYER,
        ENERGY,
        Parameter("bulk_conductivity", "mS/cm", bulk, f"of the film beyond the layer, {where}", 1e-6, 1e5, "s_b", size=levels),
        Parameter("interface_conductivity", "mS/cm", interface, f"of the layer, {where}", 1e-6, 1e5, "s_i", size=levels),
    )


@compiled
def film(x, facts, out):
    """x: d, E, s_b (levels), s_i (levels). facts: thickness, level, factor of the water content, T, reference T, levels."""
    thickness, level, water, temperature, reference, levels = facts
    energy = x[1] / GAS * (1.0 / reference - 1.0 / temperature)
    state = water * np.exp(energy)
    covered = (1.0 - x[0] / thickness) / 0.02  # share of the film that the layer takes: min(d / t, 1), smooth over 0.02
    share = x[0] / thickness if covered.real > 30.0 else 1.0 - 0.02 * np.log(1.0 + np.exp(covered))
    k, t = np.empty_like(x[:2]), np.empty_like(x[:2])
    k[0], k[1] = x[2 + int(levels) + int(level)] * state, x[2 + int(level)] * state
    t[0], t[1] = share, 1.0 - share
    out[0] = means(k, t, NO_CONTACT)[0]


def _film_kernel(thickness: Any, humidity: Any, temperature: Any, s: Any, levels: np.ndarray | None) -> Any:
    """Kernel of films, and their parameters; ``levels``: the humidities with conductivities of their own."""
    thickness, humidity, temperature = np.broadcast_arrays(thickness, humidity, temperature)
    parameters = ParameterSet(_layer_parameters(None if levels is None else len(levels)))
    level, water = np.zeros(thickness.size), np.ones(thickness.size)
    if levels is None:
        wet = [springer(water_content(h / 100.0), 0.0, REFERENCE) for h in (*humidity, s["reference_humidity"])]
        water = np.array(wet[:-1]) / wet[-1]
    else:
        level = np.argmin(np.abs(levels[None] - humidity[:, None]), axis=1)
    constant = np.full(thickness.size, s["reference_temperature"])
    count = np.full(thickness.size, 1 if levels is None else len(levels))
    facts = np.stack([thickness, level, water, temperature, constant, count], axis=1)
    return closure(film, facts, 1, parameters.vector({})), parameters


def films(table: Table) -> Model:
    """Films: row i of y is row i of the (selected) table; see :data:`FILMS`."""
    s = table.settings
    keep = table.columns["humidity"] >= s["lowest_humidity"] - 1e-9
    if s["temperature"]:
        keep &= np.abs(table.columns["temperature"] - s["temperature"]) < 0.01
    if not keep.any():
        raise HmmInferError("No row is left at this humidity and temperature; lower lowest_humidity or change temperature.")
    table = table.take(np.flatnonzero(keep))
    c = table.columns
    levels = np.unique(c["humidity"]) if s["water"] == "levels" else None
    kernel, parameters = _film_kernel(c["thickness"], c["humidity"], c["temperature"], s, levels)
    # at the reference temperature alone nothing depends on the activation energy
    told = informed(parameters, kernel, s, table, {"activation_energy": SPRINGER_ENERGY})
    about = {k: s[k] for k in ("water", "lowest_humidity", "reference_humidity", "reference_temperature")}
    about |= {} if levels is None else {"levels": ", ".join(f"{v:g} %" for v in levels)}
    observables = by_quantity(table, {"thickness": "nm", "humidity": "%", "temperature": "K"})
    return Model(
        parameters=told.parameters,
        kernel=kernel,
        observables=observables,
        fixed=told.held,
        cautions=told.cautions,
        table=table,
        about=about,
        scene={"settings": s},
        panels=("over_thickness", "ratios" if len(table) <= 24 else "against", "scores"),
    )


@prediction(
    Setting("thickness", "nm", tuple(np.geomspace(3.0, 1000.0, 61)), "numbers", lower=0.1, description="of the films"),
    Setting("humidity", "%", default=95.0, lower=0.0, upper=100.0, description="relative humidity", shares=True),
    Setting("temperature", "K", default=303.15, lower=200.0, upper=500.0, description="of the films"),
    *FILMS.pick("water", "reference_humidity", "reference_temperature"),
    small={"thickness": [5.0, 80.0]},
)
def film_conductivities(thickness: np.ndarray, humidity: float, temperature: float, **settings: Any) -> Model:
    """Prediction model: conductivity of films over thickness, at one humidity and temperature."""
    if settings["water"] != "springer":
        raise HmmInferError("Free levels say nothing of other humidities; predict with water = springer.")
    n = thickness.size
    kernel, parameters = _film_kernel(thickness, np.full(n, humidity), np.full(n, temperature), settings, None)
    observable = Observable("conductivity", "mS/cm", np.arange(n), "thickness", {"thickness": (thickness, "nm")})
    return Model(parameters=parameters, kernel=kernel, observables=(observable,))


EXPERIMENT = Experiment(
    FILMS,
    films,
    "nafion_films",
    "conductivity along thin films on a substrate",
    {"film_conductivities": film_conductivities},
    variants=({"water": "levels"},),
)
