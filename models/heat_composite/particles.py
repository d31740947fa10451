"""Bulk composites with particles of known size and content: closed laws of spheres with a resisting surface."""

from __future__ import annotations

import numpy as np

from hmminfer.engine.coupling import couple
from hmminfer.errors import HmmInferError
from hmminfer.macro.bulk import bulk
from hmminfer.micro.particles import SCHEMES, particle_conductivity
from hmminfer.models.heat_composite.contact import kapitza_length
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.derived import Derived
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import MATERIAL, informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal
from hmminfer.system.tables import Table

MATRIX = Parameter("matrix_conductivity", "W/m/K", LogNormal(5.0, 2.0), "conductivity of the matrix", 1e-4, 1e4, "k_m")
PARTICLE = Parameter("particle_conductivity", "W/m/K", LogNormal(30.0, 2.0), "conductivity of the particles", 1e-4, 1e5, "k_p")
CONTACT = Parameter("interface_conductance", "W/m^2/K", LogNormal(1e8, 2.0), "conductance of the surface between the phases", 1.0, 1e13, "h")
KAPITZA = Derived("kapitza_length", "um", kapitza_length, "thickness of matrix that resists like the surface; particles smaller than it insulate")
PARTICLES = Schema(
    experiment="particles",
    description="Effective conductivity of bulk composites with particles of known size and content, and of the neat matrix.",
    quantities={"conductivity": "W/m/K", "matrix_conductivity": "W/m/K"},
    positive=("conductivity", "matrix_conductivity"),
    columns=(
        Column("specimen", kind="text", required=False, description="name of the composite, a label: all share their phases"),
        Column("particle_diameter", "um", lower=1e-3, quantities=("conductivity",), description="mean diameter"),
        Column("volume_fraction", lower=0.0, upper=0.9, quantities=("conductivity",), description="of the particles", shares="all", basis="volume"),
    ),
    settings=(
        MATERIAL,
        Setting(
            "scheme",
            default="dense",
            kind="text",
            choices=SCHEMES,
            description="law of the composite: dense (Bruggeman) or dilute (Hasselman-Johnson)",
        ),
    ),
    example_rows=(
        {"quantity": "conductivity", "specimen": "fine", "particle_diameter": 7, "volume_fraction": 0.4, "value": 182, "unit": "W/m/K", "sd": 7},
        {"quantity": "conductivity", "specimen": "coarse", "particle_diameter": 250, "volume_fraction": 0.4, "value": 272, "unit": "W/m/K", "sd": 11},
        {"quantity": "matrix_conductivity", "specimen": "neat", "value": 220, "unit": "W/m/K", "sd": 15},
    ),
)


def particles(table: Table) -> Model:
    """Bulk composites: row i of y is row i of the table; see :data:`PARTICLES`."""
    direct = table.quantity == "matrix_conductivity"
    rows = np.flatnonzero(table.quantity == "conductivity")
    if rows.size == 0:
        raise HmmInferError("No row of conductivity is given; the neat matrix alone tells nothing of the particles.")
    radius = 0.5e-6 * table.columns["particle_diameter"][rows]
    micro = particle_conductivity(radius, table.columns["volume_fraction"][rows], str(table.settings["scheme"]))
    parameters = ParameterSet((MATRIX, PARTICLE, CONTACT))  # priors wide enough for polymers, liquids, ceramics and metals
    kernel = couple(micro, bulk(len(rows)), range(3), [], [0] * int(direct.sum()), parameters.vector({}), direct)
    about = {"scheme": table.settings["scheme"]}
    observables = by_quantity(table, {"particle_diameter": "um", "volume_fraction": ""})
    told = informed(parameters, kernel, table.settings, table)
    return Model(
        parameters=told.parameters,
        kernel=kernel,
        observables=observables,
        table=table,
        about=about,
        panels=("ratios", "ridge"),
        derived=(KAPITZA,),
        cautions=told.cautions,
    )


@prediction(
    Setting("diameters", "um", tuple(np.geomspace(1.0, 1000.0, 61)), "numbers", lower=1e-3, description="of the particles"),
    Setting("volume_fraction", default=0.4, lower=0.0, upper=0.9, description="of the particles"),
    *PARTICLES.settings,
    small={"diameters": [5.0, 50.0]},
)
def sizes(diameters: np.ndarray, volume_fraction: float, material: str, scheme: str) -> Model:
    """Prediction model: conductivity of composites over particle diameters."""
    kernel = particle_conductivity(0.5e-6 * diameters, np.full(diameters.shape, volume_fraction), scheme)
    parameters = informed(ParameterSet((MATRIX, PARTICLE, CONTACT)), kernel, {"material": material}).parameters
    coords = {"particle_diameter": (diameters, "um")}
    observable = Observable("conductivity", "W/m/K", np.arange(diameters.size), "particle_diameter", coords)
    about = {"scheme": scheme, "volume_fraction": volume_fraction}
    return Model(parameters=parameters, kernel=kernel, observables=(observable,), about=about)


EXPERIMENT = Experiment(
    PARTICLES,
    particles,
    "sic_aluminium",
    "conductivity of composites with particles of known sizes",
    {"sizes": sizes},
    variants=({"scheme": "dilute"},),
)
