r"""Heat in a composite: infer conductivities of the phases and the conductance of their contact from how heat flows through the whole.

        micro: inclusion in its cell           macro: bulk, plate, blocks
           ______________                       __________________________
          |    .-'''-.   |  flux = h [T]   hot |  v_1   |   v_2  |  v_3   | cold
          |   ( k_i   )  |  across the    ---> |        |        |        | --->
          |    `-...-' k_m  surface            |________|________|________|
          |______________|

    particles   effective conductivity of bulk composites with particles of known size: closed laws of spheres with a resisting surface
    plate       temperatures in a plate with cylinders across it, zone by zone; steady, or in time after its ends change:
                c dT/dt - div(A grad T) = 0 with A from the periodic cell of each zone (FE-HMM)
    periodic    -div(a(x, x / eps) grad T) = f, locally periodic: a cell at each macro point (FE-HMM in full), data at a finite eps
    blocks      -div(a grad T) = f on a square of blocks of unknown constant conductivity: a problem of one scale, and the community's
                benchmark for the inversion of coefficients (Aristoff & Bangerth)

One particle size gives one number, 1 / k' = 1 / k_p + 1 / (a h): two sizes or more separate particle and contact. Temperatures alone
identify ratios of conductivities only; a plate needs its heat flow.

References: Hasselman & Johnson 1987, Bruggeman 1935 (spheres); Perrins, McKenzie & McPhedran 1979 (arrays of cylinders); E & Engquist 2003,
Abdulle 2005 (FE-HMM); Aristoff & Bangerth 2023, SIAM Review 65(4) (blocks). Data: Tan et al. 2016, from the abstract.
"""

from hmminfer.models.heat_composite import blocks, particles, periodic, plate
from hmminfer.models.heat_composite.blocks import block_temperatures
from hmminfer.models.heat_composite.particles import sizes
from hmminfer.models.heat_composite.periodic import oscillation, periodic_temperatures
from hmminfer.models.heat_composite.plate import temperatures
from hmminfer.system.experiment import Experiments

__all__ = ["EXPERIMENTS", "PREDICTIONS", "block_temperatures", "oscillation", "periodic_temperatures", "sizes", "temperatures"]

EXPERIMENTS = Experiments("heat_composite", particles.EXPERIMENT, plate.EXPERIMENT, periodic.EXPERIMENT, blocks.EXPERIMENT)
PREDICTIONS = EXPERIMENTS.predictions
