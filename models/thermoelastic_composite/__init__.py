r"""Thermo-elastic composite: infer expansion, conductivity and content of the phases from how a composite expands, bends and cools.

        micro: periodic cell, seven loads          macro: lamina, strip of layers
           ___________                                ____________________________
          |   .-"-.   |  six macro strains           |  90  o o o o o o o o o o o |  warm it: it bends
          |  ( fib )  |  and a temperature           |   0  ===================== |  stretch it: it cools
          |___`-.-'___|

Free energy per volume 1/2 eps:C:eps - theta beta:eps - c theta^2 / (2 T0), beta = C alpha, theta = T - T0. The cell gives C_eff, beta_eff and
c_eps,eff (:mod:`hmminfer.micro.thermoelastic_cell`; or a reduced elastic cell and the exact identities of two-phase composites,
:mod:`hmminfer.micro.two_phase`), and across the fibre the conductivity (:mod:`hmminfer.micro.conductive_table`); along it conduction is
the mean of the phases', exactly.

    laminae   moduli, expansion and conductivity of unidirectional laminae
    strip     layers with fibres along the strip (0) or across it (90), two-way coupled thermo-elasticity of its section in plane stress
              (:mod:`hmminfer.macro.thermoelastic`): deflection, extension and temperature in time

Given C_eff, the two expansions of a lamina are two numbers for three unknown ones of the phases: along a carbon fibre they tell the fibre's,
across it the matrix's; alone they leave an exact ridge with the volume fraction. The heat capacity tells nothing of the microstructure.

References: Levin 1967, Rosen & Hashin 1970 (exact), Timoshenko 1925 (bimetal strips), Perrins et al. 1979 (conduction). Data: Bowles &
Tompkins 1989; Soden, Hinton & Kaddour 1998.
"""

from hmminfer.models.thermoelastic_composite import laminae, strip
from hmminfer.models.thermoelastic_composite.laminae import lamina_properties
from hmminfer.models.thermoelastic_composite.material import KNOWN, T300_934, law
from hmminfer.models.thermoelastic_composite.strip import strip_history
from hmminfer.system.experiment import Experiments

__all__ = ["EXPERIMENTS", "KNOWN", "PREDICTIONS", "T300_934", "lamina_properties", "law", "strip_history"]

EXPERIMENTS = Experiments("thermoelastic_composite", laminae.EXPERIMENT, strip.EXPERIMENT)
PREDICTIONS = EXPERIMENTS.predictions
