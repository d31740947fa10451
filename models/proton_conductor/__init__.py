r"""Layered proton conductor: infer interface layers, conductivities and contacts of an ionomer from its films and membranes.

        micro: a stack of layers                 macro: film along its substrate, membrane between two baths

        =====================  s_1, t_1            film     I -> |=====================| -> I        thickness 4 to 300 nm
        ---------------------  s_2, t_2                          |---- interface layer d|
        =====================  s_1, t_1            membrane      humid | lambda(z) ->  | dry         thickness 10 to 200 um

Lift: every layer sees the water content lambda of its place. Micro problem: conduction in layers, arithmetic mean along, harmonic mean
with contacts across (:mod:`hmminfer.micro.laminate`). Restrict: s along, s across. Conductivity of a layer (Springer, Zawodzinski &
Gottesfeld 1991, J. Electrochem. Soc. 138:2334)

    s(lambda, T) = m (0.005139 lambda - 0.00326) exp(E / R (1 / 303 K - 1 / T))  S/cm,   lambda(a) = 0.043 + 17.81 a - 39.85 a^2 + 36 a^3

with their E = 10.54 kJ/mol as one value of an unknown. Smoothed where it has a kink: the clamp at lambda = 0.634 is a softplus of
width 0.1 (below 0.3 % for lambda > 1). The isotherm is theirs at 30 deg C for vapour, a <= 1; its jump and kink at a = 1 are never met, for a
is known and liquid water has a content of its own.

    films       conductivity along films over thickness, humidity and temperature: an interface layer of thickness d below a bulk-like one
    membranes   area resistance, conductivity along, water flux: steady hydration d/dz (-c D(lambda) lambda' + n_d(lambda) I / F) = 0
                with transfer through the surfaces, n_d = 2.5 lambda / 22, c = 1.8e-3 mol/cm^3 (:mod:`hmminfer.macro.membrane`)

D(lambda): Motupally, Becker & Weidner 2000 (stated up to lambda = 17, and taken beyond it where a bath is liquid water, lambda = 22: an
extrapolation; its two branches joined over +-0.5 around lambda = 3), Springer 1991 (above 4 only: baths below are refused, and a membrane that
drag dries below has no solution), or constant. Data: Paul, McCreery & Karan 2014 (films); Slade et al. 2002 (membranes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hmminfer.engine.closure import closure
from hmminfer.errors import HmmInferError
from hmminfer.macro.membrane import ALONG, FLUX, RESISTANCE, UPTAKE, membrane_kernel
from hmminfer.micro.laminate import means
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, Experiments, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal, Normal
from hmminfer.system.tables import Table

GAS = 8.314462618e-3  # kJ/mol/K
REFERENCE = 303.0  # K, Springer's
SPRINGER_ENERGY = 1268.0 * GAS  # kJ/mol
ACID = 1.98 / 1100.0  # mol/cm^3 of acid groups: dry density over equivalent weight
DRAG = 1e4 / 96485.33212  # mol/m^2/s of protons in 1 A/cm^2
NO_CONTACT = np.zeros(0)


def water_content(activity: Any) -> Any:
    """lambda, water molecules per acid group, in equilibrium with vapour of ``activity`` (0 to 1)."""
    a = np.asarray(activity, float)
    return 0.043 + 17.81 * a - 39.85 * a**2 + 36.0 * a**3


@njit(cache=True, error_model="numpy")
def springer(content, energy, temperature):
    """Conductivity (S/cm) at a water content, activation energy (kJ/mol) and temperature (K)."""
    x = (content - 0.00326 / 0.005139) / 0.1
    wet = 0.1 * x if x.real > 30.0 else 0.1 * np.log(1.0 + np.exp(x))
    return 0.005139 * wet * np.exp(energy / GAS * (1.0 / REFERENCE - 1.0 / temperature))


# ------------------------------------------------------------------------------------------------------------------------ films

FILMS = Schema(
    experiment="films",
    description="Conductivity along thin films on a substrate, at known thickness, relative humidity and temperature.",
    quantities={"conductivity": "mS/cm"},
    positive=("conductivity",),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the film"),
        Column("thickness", "nm", lower=0.1, description="of the film"),
        Column("humidity", "%", lower=0.0, upper=100.0, description="relative humidity"),
        Column("temperature", "K", lower=200.0, upper=500.0),
    ),
    settings=(
        Setting(
            "water", default="springer", kind="text", choices=("springer", "levels"), description="humidity by Springer's law, or free at each level"
        ),
        Setting("lowest_humidity", "%", default=0.0, lower=0.0, upper=100.0, description="rows below are left out"),
        Setting("temperature", "K", default=0.0, lower=0.0, description="fit the rows of one temperature; 0 takes all"),
        Setting(
            "reference_humidity", "%", default=95.0, lower=1.0, upper=100.0, description="at which conductivities are stated, for water = springer"
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
LAYER = Parameter("interface_thickness", "nm", LogNormal(50.0, 0.8), "thickness of the layer at the interface", 0.01, 1e5, "d")
ENERGY = Parameter("activation_energy", "kJ/mol", Normal(20.0, 8.0, 0.0, 100.0), "of conduction", 0.0, 200.0, "E")


def _layer_parameters(levels: int | None) -> tuple[Parameter, ...]:
    bulk, interface = (LogNormal(50.0, 0.8), LogNormal(25.0, 0.8)) if levels is None else (LogNormal(5.0, 2.5),) * 2
    where = "at the reference state" if levels is None else "at each humidity, from the lowest"
    return (
        LAYER,
        ENERGY,
        Parameter("bulk_conductivity", "mS/cm", bulk, f"of the film beyond the layer, {where}", 1e-6, 1e5, "s_b", size=levels),
        Parameter("interface_conductivity", "mS/cm", interface, f"of the layer, {where}", 1e-6, 1e5, "s_i", size=levels),
    )


@njit(cache=True, error_model="numpy")
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


def _refuse_shares(table: Table, *columns: str) -> None:
    """Humidities of 0.95 that mean 95 % would be read as next to dry: a table without a humidity above 1 % is refused."""
    h = np.concatenate([table.columns[name] for name in columns])
    h = h[h > 0.0]  # dry gas is 0 either way; NaN is liquid water
    if h.size and h.max() <= 1.0:
        raise HmmInferError(
            f"No {' or '.join(columns)} is above {h.max():g} %: relative humidity is in %, 95 and not 0.95. Correct it, or write the header "
            f"as '{columns[0]} [dimensionless]' for shares of one."
        )


def films(table: Table) -> Model:
    """Films: row i of y is row i of the (selected) table; see :data:`FILMS`."""
    _refuse_shares(table, "humidity")
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
    one = np.ptp(c["temperature"]) < 0.01  # one temperature says nothing of the activation energy
    known = {"activation_energy": SPRINGER_ENERGY} if one else {}
    about = {k: s[k] for k in ("water", "lowest_humidity", "reference_humidity", "reference_temperature")}
    about |= {} if levels is None else {"levels": ", ".join(f"{v:g} %" for v in levels)}
    observables = by_quantity(table, {"thickness": "nm", "humidity": "%", "temperature": "K"})
    panels: tuple[Any, ...] = (_over_thickness, "ratios" if len(table) <= 24 else "against", "scores")
    return Model(
        parameters=parameters, kernel=kernel, observables=observables, fixed=known, table=table, about=about, scene={"settings": s}, panels=panels
    )


@prediction(
    Setting("thickness", "nm", tuple(np.geomspace(3.0, 1000.0, 61)), "numbers", lower=0.1, description="of the films"),
    Setting("humidity", "%", default=95.0, lower=0.0, upper=100.0, description="relative humidity"),
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


def _over_thickness(ax: Any, reading: Any, model: Model) -> None:
    """Conductivity over thickness: posterior bands and data at the wettest state, one colour for each temperature."""
    table, s = model.table, model.scene["settings"]
    assert table is not None
    c = table.columns
    wettest = c["humidity"] == c["humidity"].max()
    temperatures = np.unique(c["temperature"][wettest])
    colours = [f"C{i}" for i in range(len(temperatures))]
    for temperature, colour in zip(temperatures, colours, strict=True):
        at = wettest & (c["temperature"] == temperature)
        if s["water"] == "springer":
            settings = {k: s[k] for k in ("reference_humidity", "reference_temperature")}
            curve = film_conductivities(None, float(c["humidity"].max()), float(temperature), **settings)
            y = curve.predict(reading.tree, draws=150, progress=False)["conductivity"]
            low, middle, high = np.quantile(y.values, [0.055, 0.5, 0.945], axis=0)
            ax.fill_between(y["thickness"], low, high, color=colour, alpha=0.2, lw=0)
            ax.plot(y["thickness"], middle, color=colour)
        x, value, sd = c["thickness"][at], table.value[at], table.sd[at]
        ax.errorbar(x, value, sd, fmt="o", ms=4, capsize=2, lw=1, color=colour, label=f"{temperature:.0f} K")
    ax.set(xscale="log", yscale="log", xlabel="film thickness (nm)", ylabel="conductivity along the film (mS/cm)")
    for axis in (ax.xaxis.set_major_formatter, ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        axis("{x:g}")
    ax.set_title(f"films at {c['humidity'].max():g} % relative humidity")
    ax.legend()


# -------------------------------------------------------------------------------------------------------------------- membranes

DIFFUSIVITIES = ("motupally", "springer", "constant")
DRIEST = 4.0  # water content below which Springer's diffusivity is not stated
MEMBRANES = Schema(
    experiment="membranes",
    description="Membranes between two baths, humid gas or liquid water: area resistance, conductivity along, water flux.",
    quantities={"area_resistance": "ohm*cm^2", "conductivity_along": "S/cm", "water_flux": "mol/m^2/s"},
    positive=("area_resistance", "conductivity_along"),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the membrane"),
        Column("thickness", "um", lower=0.1, description="of the membrane as it is measured, wet"),
        Column("temperature", "K", lower=200.0, upper=500.0),
        Column("humidity_a", "%", required=False, lower=0.0, upper=100.0, description="relative humidity at z = 0 (anode); blank: liquid water"),
        Column("humidity_c", "%", required=False, lower=0.0, upper=100.0, description="relative humidity at z = L (cathode); blank: liquid water"),
        Column("current_density", "A/cm^2", required=False, description="protons from a to c; blank: none"),
    ),
    settings=(
        Setting("liquid_water_content", default=22.0, lower=1.0, upper=40.0, description="water molecules per acid group in liquid water"),
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
    Parameter("mobility", "", LogNormal(1.0, 0.5), "conductivity over Springer's, where swollen", 1e-6, 1e3, "m"),
    Parameter("activation_energy", "kJ/mol", Normal(20.0, 8.0, 0.0, 100.0), "of conduction", 0.0, 200.0, "E"),
    Parameter("swollen_share", "", Normal(0.5, 0.15, 0.05, 0.95), "share of swollen lamellae", 0.0, 1.0, "f"),
    Parameter("dry_ratio", "", LogNormal(0.3, 0.6), "conductivity of dry lamellae over swollen ones", 1e-6, 1.0, "\\rho"),
    Parameter("water_diffusivity", "", LogNormal(1.0, 0.5), "diffusivity of water over the published law", 1e-6, 1e3, "D"),
    Parameter("water_transfer", "mol/m^2/s", LogNormal(0.01, 1.0), "flux through a surface per unit of water content", 1e-9, 1e6, "k_w"),
    Parameter("contact_resistance", "ohm*cm^2", LogNormal(0.03, 0.7), "of both surfaces together", 0.0, 1e3, "r"),
)
MEMBRANE_KNOWN = {"activation_energy": SPRINGER_ENERGY, "swollen_share": 0.5, "dry_ratio": 1.0, "water_diffusivity": 1.0, "water_transfer": 0.01}
WHAT = {"area_resistance": RESISTANCE, "conductivity_along": ALONG, "water_flux": FLUX, "water_content": UPTAKE}


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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
    theta = parameters.vector({**MEMBRANE_KNOWN, "dry_ratio": 0.3})
    law = closure(membrane_law, np.zeros((1, 0)), 3, np.concatenate([[10.0, 100.0], theta[:5], facts[0]]))
    kernel = membrane_kernel(law, theta[:5], facts, 1e-4 * c["thickness"], bath, specimen, what, position, int(s["elements"]))
    return kernel, parameters


def membranes(table: Table) -> Model:
    """Membranes: row i of y is row i of the table; see :data:`MEMBRANES`. The flux is that of water from a to c."""
    _refuse_shares(table, "humidity_a", "humidity_c")
    s, n = table.settings, len(table)
    kernel, parameters = _membranes(table.columns, s, np.arange(n), [WHAT[q] for q in table.quantity])
    about = {k: s[k] for k in ("diffusivity", "liquid_water_content", "elements")}
    observables = by_quantity(table, {"thickness": "um", "temperature": "K"})
    panels = ("ratios",) if n <= 4 else ("against", "scores")
    return Model(parameters=parameters, kernel=kernel, observables=observables, fixed=MEMBRANE_KNOWN, table=table, about=about, panels=panels)


@prediction(
    Setting("thickness", "um", default=50.0, lower=0.1, description="of the membrane as it is measured, wet"),
    Setting("humidity_a", "%", default=80.0, lower=0.0, upper=100.0, description="relative humidity at z = 0 (anode)"),
    Setting("humidity_c", "%", default=80.0, lower=0.0, upper=100.0, description="relative humidity at z = L (cathode)"),
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
    coords = {"depth": (place * thickness, "um")}
    observables = [Observable("water_content", "", np.arange(points), "depth", coords)]
    observables += [Observable(name, MEMBRANES.quantities[name], np.array([points + i]), "membrane") for i, name in enumerate(more)]
    return Model(parameters=parameters, kernel=kernel, observables=tuple(observables), fixed=MEMBRANE_KNOWN)


_OF_FILMS = {"film_conductivities": film_conductivities}
_OF_MEMBRANES = {"water_profile": water_profile}
EXPERIMENTS = Experiments(
    "proton_conductor",
    Experiment(FILMS, films, "nafion_films", "conductivity along thin films on a substrate", _OF_FILMS, variants=({"water": "levels"},)),
    Experiment(MEMBRANES, membranes, "nafion_membranes", "membranes between two baths", _OF_MEMBRANES, small={"elements": 4}),
)
PREDICTIONS = EXPERIMENTS.predictions
