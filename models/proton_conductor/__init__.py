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

from hmminfer.models.proton_conductor import films, membranes
from hmminfer.models.proton_conductor.films import film_conductivities
from hmminfer.models.proton_conductor.membranes import membrane_law, water_diffusivity, water_profile
from hmminfer.models.proton_conductor.water import ACID, DRAG, GAS, SPRINGER_ENERGY, springer, water_content
from hmminfer.system.experiment import Experiments

__all__ = [
    "ACID",
    "DRAG",
    "EXPERIMENTS",
    "GAS",
    "PREDICTIONS",
    "SPRINGER_ENERGY",
    "film_conductivities",
    "membrane_law",
    "springer",
    "water_content",
    "water_diffusivity",
    "water_profile",
]

EXPERIMENTS = Experiments("proton_conductor", films.EXPERIMENT, membranes.EXPERIMENT)
PREDICTIONS = EXPERIMENTS.predictions
