"""Temperatures in a square of blocks of unknown constant conductivity: a problem of one scale, and a benchmark of the community."""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem

from hmminfer.engine.coupling import chain, each
from hmminfer.errors import HmmInferError
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import elliptic_kernel
from hmminfer.micro.homogeneous import isotropic
from hmminfer.models.heat_composite.grids import SIDE, as_prediction, grid
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.model import Model
from hmminfer.system.observable import by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal
from hmminfer.system.tables import Table

BLOCKS = Schema(
    experiment="blocks",
    description="A square of blocks of unknown constant conductivity, heated everywhere, its edge held at zero; temperature against the edge.",
    quantities={"temperature": "K"},
    columns=(Column("x", "m", description="from a corner"), Column("y", "m", description="from a corner")),
    settings=(
        Setting("side", "m", default=1.0, lower=1e-6, description="of the square"),
        Setting("source", "W/m^3", default=10.0, description="heat produced everywhere"),
        Setting("blocks", default=8, kind="integer", lower=1, upper=32, description="along each side"),
        Setting("elements", default=32, kind="integer", lower=1, upper=512, description="bilinear elements along each side, a multiple of blocks"),
        Setting(
            "density",
            default="theta",
            kind="text",
            choices=("theta", "log theta"),
            description="over which the prior exp(-(ln theta)^2 / 8) is a density: ln theta ~ Normal(4, 2^2), or Normal(0, 2^2)",
        ),
    ),
    example_rows=(
        {"quantity": "temperature", "x": 0.5, "y": 0.5, "value": 0.71, "unit": "K", "sd": 0.05},
        {"quantity": "temperature", "x": 0.25, "y": 0.5, "value": 0.60, "unit": "K", "sd": 0.05},
    ),
)


def blocks(table: Table) -> Model:
    """-div(a grad T) = f, one conductivity a for each block (block (i, j) along x and y is number i blocks + j)."""
    s = table.settings
    n, m = int(s["blocks"]), int(s["elements"])
    if m % n:
        raise HmmInferError(f"{m} elements do not divide into {n} blocks; give a multiple of {n}.")
    side = np.linspace(0.0, s["side"], m + 1)
    domain = Domain(skfem.MeshQuad.init_tensor(side, side), degree=1)
    number = np.minimum((domain.quadrature_points / s["side"] * n).astype(int), n - 1)
    fixed = domain.boundary
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    zone, observe = number[..., 0] * n + number[..., 1], domain.interpolation(points)[0]
    macro = elliptic_kernel(domain, fixed, np.zeros(len(fixed)), domain.load(s["source"]), observe, zone=zone)
    median = np.exp(4.0) if s["density"] == "theta" else 1.0
    prior = LogNormal(float(median), 2.0)
    conductivity = Parameter("conductivity", "W/m/K", prior, "of each block", 1e-12, 1e12, "a", size=n * n)
    kernel = chain(each(isotropic(), n * n), macro)
    about = {k: s[k] for k in ("blocks", "elements", "density")}
    scene = {"domain": domain, "settings": s, "macro": macro}
    observables = by_quantity(table, {"x": "m", "y": "m"})
    return Model(
        parameters=ParameterSet((conductivity,)),
        kernel=kernel,
        observables=observables,
        table=table,
        about=about,
        scene=scene,
        panels=("block_medians", "block_sds", "against", "scores"),
    )


@prediction(SIDE, *BLOCKS.settings, small={"n": 4, "blocks": 2, "elements": 4})
def block_temperatures(n: int, **settings: Any) -> Model:
    """Prediction model: temperatures on a grid over the square of blocks."""
    return as_prediction(blocks(grid(BLOCKS, settings, n, n, ("side", "side"))), BLOCKS, n * n)


EXPERIMENT = Experiment(
    BLOCKS,
    blocks,
    "aristoff_bangerth",
    "temperatures in a square of unknown blocks",
    {"block_temperatures": block_temperatures},
    small={"blocks": 2, "elements": 8},
)
