"""Long coupons: elastic constants measured on them, 1 / E_x = S11(theta) and the like; exact, the grips do not matter."""

from __future__ import annotations

import numpy as np

from hmminfer.engine.coupling import couple
from hmminfer.errors import HmmInferError, unknown
from hmminfer.macro.coupons import KINDS, long_coupons
from hmminfer.models.fibre_composite.material import ANGLE, CELL, law, law_of, settled
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.experiment import Experiment, prediction
from hmminfer.system.materials import informed
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable, by_quantity
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import Axial
from hmminfer.system.tables import Table

COUPONS = Schema(
    experiment="coupons",
    description="Elastic constants of long coupons: tension at an angle to the fibre, shear, Poisson ratio, shear coupling, neat matrix.",
    quantities={"youngs_modulus": "GPa", "shear_modulus": "GPa", "poisson_ratio": "", "shear_coupling": "", "matrix_modulus": "GPa"},
    positive=("youngs_modulus", "shear_modulus", "matrix_modulus"),
    columns=(
        Column("specimen", kind="text", description="name of the coupon; rows of one coupon share its angle, all coupons one material"),
        Column(
            "angle",
            "deg",
            lower=-180.0,
            upper=180.0,
            quantities=("youngs_modulus", "shear_coupling"),
            description="nominal angle from the load to the fibre",
        ),
        Column("temperature", "K", required=False, lower=0.0, description="temperature of the test"),
    ),
    settings=(
        Setting("hidden", default="off-axis", kind="text", description="coupons of unknown angle: off-axis, none, or names with commas"),
        Setting("temperature", "K", default=0.0, lower=0.0, description="which temperature to fit; 0 takes the first in the file"),
        Setting("specimen", default="all", kind="text", description="fit the rows of one specimen only, or all"),
        *CELL,
    ),
    example_rows=(
        {"quantity": "youngs_modulus", "specimen": "A", "angle": 0, "value": 140, "unit": "GPa", "sd": 4},
        {"quantity": "youngs_modulus", "specimen": "B", "angle": 10, "value": 78, "unit": "GPa", "sd": 2.4},
        {"quantity": "youngs_modulus", "specimen": "C", "angle": 90, "value": 9.5, "unit": "GPa", "sd": 0.3},
        {"quantity": "shear_modulus", "specimen": "D", "value": 5.2, "unit": "GPa", "sd": 0.2},
        {"quantity": "matrix_modulus", "specimen": "resin", "value": 3.6, "unit": "GPa", "sd": 0.1},
    ),
)


def coupons(table: Table) -> Model:
    """Long coupons: row i of y is row i of the (selected) table; see :data:`COUPONS` for the columns.

    Coupons named in the setting ``hidden`` have an unknown angle; by default all whose nominal angle is neither 0 nor 90 degrees.
    """
    s, table = table.settings, _selected(table)
    specimen, nominal = table.columns["specimen"].astype(str), table.columns["angle"]
    turned = np.isin(table.quantity, ("youngs_modulus", "shear_coupling", "poisson_ratio")) & np.isfinite(nominal)
    names = list(dict.fromkeys(specimen[turned & (np.abs(np.abs(nominal) - 45.0) < 44.99)]))
    asked = str(s["hidden"])
    if asked != "off-axis":
        chosen = [] if asked == "none" else [s.strip() for s in asked.split(",")]
        for name in chosen:
            if name not in specimen:
                raise unknown("specimen", name, dict.fromkeys(specimen))
        names = chosen
    angles = [
        ANGLE if len(names) == 1 else Parameter(f"fibre_angle_{n}", "deg", Axial(), f"fibre angle of {n}", -180, 180, "\\theta", True) for n in names
    ]

    direct = table.quantity == "matrix_modulus"
    kind = np.array([KINDS.get(q, 0) for q in table.quantity[~direct]])
    angle_of = np.array([names.index(s) if s in names and t else -1 for s, t in zip(specimen[~direct], turned[~direct], strict=True)], int)
    known = np.radians(2.0 * np.where(np.isfinite(nominal), nominal, 0.0))[~direct]
    micro = law_of(s)
    parameters = ParameterSet((*micro.parameters, *angles))
    kernel = couple(
        micro.kernel,
        long_coupons(kind, angle_of, known),
        law_index=range(8),
        macro_index=range(8, 8 + len(angles)),
        direct_index=[5] * int(direct.sum()),
        example=parameters.vector({a.name: 10.0 for a in angles}),
        direct=direct,
    )
    about = {k: s[k] for k in ("packing", "cell", "refine")} | {"hidden_angles": ", ".join(names) or "none"}
    moduli = "off_axis" if "youngs_modulus" in table.quantity else "scores"
    return Model(
        **settled(parameters, micro, s, table),
        kernel=kernel,
        observables=by_quantity(table, {"angle": "deg"}),
        table=table,
        about=about,
        panels=("angles", moduli, "ratios", "section", "body") if names else (moduli, "ratios", "section"),
    )


def _selected(table: Table) -> Table:
    """Rows of one temperature and, if asked, one specimen; rows without a temperature belong to all."""
    keep = np.ones(len(table), bool)
    temperature = table.columns["temperature"]
    known = temperature[np.isfinite(temperature)]
    if known.size:
        wanted = float(table.settings.get("temperature", 0.0)) or float(known[0])
        if wanted not in known:
            raise HmmInferError(f"No row was measured at {wanted:g} K; the data hold {', '.join(f'{t:g}' for t in np.unique(known))} K.")
        keep &= ~np.isfinite(temperature) | (temperature == wanted)
    specimen = str(table.settings.get("specimen", "all"))
    if specimen != "all":
        if specimen not in table.columns["specimen"]:
            raise unknown("specimen", specimen, dict.fromkeys(table.columns["specimen"].astype(str)))
        keep &= table.columns["specimen"] == specimen
    return table.take(np.flatnonzero(keep))


@prediction(Setting("angles", "deg", tuple(range(91)), "numbers", lower=-180.0, upper=180.0, description="from the load to the fibre"), *CELL)
def moduli(angles: np.ndarray, material: str, packing: str, cell: str, refine: int) -> Model:
    """Prediction model: Young's modulus, shear modulus, Poisson ratio and shear coupling over load angles."""
    n = len(angles)
    micro = law(packing, cell, refine)
    parameters = informed(ParameterSet(micro.parameters), micro.kernel, {"material": material}).parameters
    macro = long_coupons(np.repeat(list(KINDS.values()), n), np.full(4 * n, -1), np.tile(np.radians(2 * angles), 4))
    kernel = couple(micro.kernel, macro, range(8), [], [], parameters.vector({}))
    units = {"youngs_modulus": "GPa", "shear_modulus": "GPa"}
    observables = tuple(
        Observable(name, units.get(name, ""), np.arange(k * n, (k + 1) * n), "angle", {"angle": (angles, "deg")}) for name, k in KINDS.items()
    )
    return Model(parameters=parameters, kernel=kernel, observables=observables, about={"packing": packing})


EXPERIMENT = Experiment(COUPONS, coupons, "raghavan_meshii", "moduli of long coupons", {"moduli": moduli}, small={"refine": 1, "cell": "full"})
