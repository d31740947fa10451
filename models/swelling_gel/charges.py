"""The charged network: its parameters, the osmotic pressure of its ions (the micro problem), and the settings of both experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hmminfer.engine.coupling import couple, each, known
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.macro import swelling
from hmminfer.micro.osmotic import donnan_pressures, rod_pressures
from hmminfer.system.data import Setting
from hmminfer.system.materials import MATERIAL, preset
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal

CHARGE = Parameter("fixed_charge", "mol/L", LogNormal(0.2, 1.0), "of the water in the reference state", 1e-3, 10.0, "c_0")
WATER = Parameter("water_fraction", "", Normal(0.8, 0.12, 0.2, 0.99), "of the reference state, by volume", 0.05, 0.999, "w")
NETWORKS = {
    "tissue": (
        Parameter("network_modulus", "MPa", LogNormal(0.3, 1.5), "confined modulus of the network alone, at J = 1", 1e-5, 1e3, "H"),
        Parameter("network_poisson", "", Normal(0.2, 0.12, 0.0, 0.45), "Poisson ratio of the network alone", -0.5, 0.49, "\\nu"),
    ),
    "gel": (
        Parameter("interaction", "", Normal(0.45, 0.10, 0.0, 0.6), "Flory's chi of polymer and water", -1.0, 2.0, "\\chi"),
        Parameter("chain_segments", "", LogNormal(200.0, 1.0), "segments of a chain between two crosslinks", 2.0, 1e5, "N"),
    ),
}
CHAINS = Parameter("chain_pressure", "MPa*L^2/mol^2", HalfNormal(0.6), "pressure of the uncharged chains over c_F^2", 0.0, 100.0, "A")
COEFFICIENT = Parameter("osmotic_coefficient", "", Normal(0.5, 0.15, 0.05, 1.0), "measured over ideal pressure of the ions", 0.0, 2.0, "\\phi")
RODS = (
    Parameter("charge_spacing", "nm", LogNormal(0.5, 0.5), "length of rod for each charge", 0.05, 10.0, "b"),
    Parameter("rod_radius", "nm", LogNormal(0.6, 0.4), "of the polymer, hydrated", 0.05, 10.0, "r_s"),
)
MICRO = ("rods", "donnan")
PURE_WATER = "Deionised water that stands in air holds about 0.003 mmol/L of ions; 0.9 % saline is 154 mmol/L."  # pH 5.6; 9 g/L of NaCl
IDEAL = {"chain_pressure": 0.0}  # no pressure of the uncharged chains, unless it is given a prior
UNSEEN = {  # where no datum depends on them: a solution has no network
    "fixed_charge": 0.2,
    "water_fraction": 0.8,
    "network_modulus": 0.4,
    "network_poisson": 0.1,
    "interaction": 0.45,
    "chain_segments": 200.0,
    "permeability_exponent": 2.0,
}
RANGE = {"tissue": (0.01, 3.0, 24), "gel": (1e-3, 10.0, 40)}  # fixed charges (mol/L) of the micro problem: least, greatest, their number
COMMON = (
    MATERIAL,
    Setting("micro", default="rods", kind="text", choices=MICRO, description="rods (Poisson-Boltzmann), or donnan with an osmotic coefficient"),
    Setting(
        "rods", default="unknown", kind="text", choices=("known", "unknown"), description="spacing and radius: held at what is given, or parameters"
    ),
    Setting(
        "spacing", "nm", default=0.0, lower=0.0, upper=10.0, description="length of a rod for each charge; 0: as the material says, or not known"
    ),
    Setting("radius", "nm", default=0.0, lower=0.0, upper=10.0, description="of a rod; 0: as the material says, or not known"),
    Setting("temperature", "K", default=298.15, lower=273.15, upper=373.15),
    Setting("micro_nodes", default=0, kind="integer", lower=0, upper=200, description="micro problems in each bath; 0: 24 for tissue, 40 for gels"),
    Setting(
        "micro_elements", default=16, kind="integer", lower=4, upper=512, description="between a rod and its cell's edge", only=("micro", "rods")
    ),
)


def charge_range(s: Any, network: str) -> tuple[float, float, int]:
    """Least and greatest fixed charge (mol/L), and the number of places from one to the other."""
    lower, upper, usual = RANGE[network]
    return lower, upper, int(s["micro_nodes"]) or usual


def law_of(s: Any, baths: np.ndarray, network: str) -> tuple[Kernel, tuple[Parameter, ...]]:
    """Osmotic pressure at the macro problem's nodes in each bath (mol/L), and the parameters of the micro problem."""
    charges = swelling.nodes(*charge_range(s, network))
    temperature = float(s["temperature"])
    if s["micro"] == "donnan":
        return donnan_pressures(charges, baths, temperature), (COEFFICIENT,)
    places, cell = rod_pressures(charges, baths, temperature, int(s["micro_elements"]))
    named = preset(str(s["material"])) if s["material"] else {}
    given = [
        s[k] or (named[p.name].centre if p.name in named and s["rods"] == "known" else 0.0) for k, p in zip(("spacing", "radius"), RODS, strict=True)
    ]
    rods = np.array([v or p.prior.centre for v, p in zip(given, RODS, strict=True)])
    law = couple(places, each(cell, len(charges) * len(baths)), [0, 1], [], [], rods)
    if s["rods"] == "known":  # the micro problem depends on nothing unknown: solved once, before any likelihood
        if not all(given):
            raise HmmInferError(
                "The rods are to be known, and their spacing or radius is not: give both, name the material (material = cartilage, or chondroitin "
                "sulphate), or set rods = unknown."
            )
        return known(law(rods)), ()
    return law, tuple(replace(p, prior=LogNormal(v, 0.1)) if v else p for p, v in zip(RODS, given, strict=True))


def distinct_baths(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Distinct baths in mol/L of values in mmol/L, and the index of each value among them."""
    baths, which = np.unique(1e-3 * np.asarray(values, float), return_inverse=True)
    return baths, which


def example_of(law: Kernel, parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray]:
    """A material that exists and lies inside all supports: as the macro problem's vector, and as all parameters."""
    theta = parameters.vector({"chain_pressure": 0.1})
    return np.concatenate([law(theta[: law.n_in]), theta[law.n_in :]]), theta


def coupled_kernel(law: Kernel, macro: Kernel, theta: np.ndarray) -> Kernel:
    """Kernel of law and macro problem: the law takes the first parameters, the macro problem its answer and all others."""
    return couple(law, macro, range(law.n_in), range(law.n_in, theta.size), [], theta)
