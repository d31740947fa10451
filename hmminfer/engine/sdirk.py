"""SDIRK2 (Alexander 1977): two implicit stages of one matrix, of second order and L-stable; what its users share.

(I - gamma dt J) at both stages,   first at t + gamma dt,   last at t + dt from the base   y + kappa (first - y)
"""

import numpy as np

GAMMA = 1.0 - np.sqrt(0.5)
KAPPA = (1.0 - GAMMA) / GAMMA
