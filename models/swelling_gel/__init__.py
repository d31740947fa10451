r"""Swelling gel and cartilage: infer fixed charge, stiffness and permeability of a charged network from how it swells and creeps in salt water.

        micro: charge and salt                    macro: the whole swells, or is pressed
          c_F fixed,  c+ , c-   |  bath c             ______________            ____|____ T
        - + - + -               |  + -               |              |          |_________| porous
          +  - + -              |   - +              |     J(c)     |          |  J(Z,t) |
        - + - + -               | -  +               |______________|          |_________| closed

Lift: the volume J of a point sets the fixed charge of its water, c_F = c_0 w / (J - 1 + w). Micro problem: ions in equilibrium with the bath,

    donnan    one potential for all the water, an osmotic coefficient phi for what that leaves out (phi = 1: ideal)
    rods      Poisson and Boltzmann's equation around a charged rod in its cylinder (:mod:`hmminfer.micro.poisson_boltzmann`): no coefficient

Restrict: osmotic pressure Pi(J, c). Macro problem: the network balances it (:mod:`hmminfer.macro.swelling`), or does not yet, and water flows
(:mod:`hmminfer.macro.confined`).

    equilibrium   pressure, modulus, volume, swelling degree against bath salt: tissue (neo-Hookean, strained along one axis), or gel
                  (Flory & Rehner, finite chains, swelling freely)
    confined      creep, stress relaxation, a change of bath in confined compression

Identifiability: one salt gives one sum of charge and network; a ladder of salts from far below to far above c_F separates them. c_0 and phi are
told apart by the salt at which the pressure falls, c ~ c_F / 2, and by nothing else. With phi fixed at 1, c_0 comes out small and certain. A time
gives k_0 only together with the modulus, which the final strain gives.

References: Buschmann & Grodzinsky 1995; Lai, Hou & Mow 1991; Holmes & Mow 1990; Flory & Rehner 1943. Data: Ehrlich et al. 1998, Zimmerman et
al. 2021, from their abstracts.
"""

from hmminfer.models.swelling_gel import confined, equilibrium
from hmminfer.models.swelling_gel.charges import RANGE
from hmminfer.models.swelling_gel.confined import course
from hmminfer.models.swelling_gel.equilibrium import salt_curve
from hmminfer.system.experiment import Experiments

__all__ = ["EXPERIMENTS", "PREDICTIONS", "RANGE", "course", "salt_curve"]

EXPERIMENTS = Experiments("swelling_gel", equilibrium.EXPERIMENT, confined.EXPERIMENT)
PREDICTIONS = EXPERIMENTS.predictions
