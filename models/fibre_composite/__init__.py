r"""Unidirectional fibre composite: infer fibre orientation, content and phase moduli from how coupons and plates deform.

        y                      micro: periodic cell          macro: coupon or plate
        |   / / / / /             ___________                 ________________
        |  / / / / /  theta      |   .-"-.   |              |=|  / / / / / /  |=>
        +-----------> x          |  ( fib )  |              |=|_/_/_/_/_/_/_ _|=>
                                 |___`-.-'___|

The law is the periodic cross-section cell in generalised plane strain (:mod:`hmminfer.micro.elastic_cell`): phases and volume fraction in,
6x6 stiffness out. The angle enters only by rotation, so one cell solve serves a whole plate.

    long coupons      1 / E_x = S11(theta), ...                      exact, grips do not matter
    plate             div sigma = 0, plane stress, quadratic elements; gripped or loaded by a stress
    clamped coupon    the plate with rigid grips, seen through its apparent modulus F l / (w h delta)

References: Hashin 1979 (composite cylinders), Sun & Vaidya 1996 (periodic cells), Tsai & Pagano 1968 (rotation), Lekhnitskii 1968 (open
hole), Pagano & Halpin 1968 (clamped coupons). Data: Raghavan & Meshii; Soden, Hinton & Kaddour 1998.
"""

from hmminfer.models.fibre_composite import coupons, plate
from hmminfer.models.fibre_composite.coupons import moduli
from hmminfer.models.fibre_composite.material import law
from hmminfer.models.fibre_composite.plate import clamped_coupon, plate_fields
from hmminfer.system.experiment import Experiments

__all__ = ["EXPERIMENTS", "PREDICTIONS", "clamped_coupon", "law", "moduli", "plate_fields"]

EXPERIMENTS = Experiments("fibre_composite", coupons.EXPERIMENT, plate.EXPERIMENT)
PREDICTIONS = EXPERIMENTS.predictions
