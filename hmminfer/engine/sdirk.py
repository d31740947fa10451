"""Constants of the time-stepping method SDIRK2 (Alexander 1977): second order, L-stable, two implicit stages with the same matrix.

I - gamma dt J at both stages,   first stage at t + gamma dt from y,   last stage at t + dt from y + kappa (first - y)
"""

import numpy as np

GAMMA = 1.0 - np.sqrt(0.5)
KAPPA = (1.0 - GAMMA) / GAMMA
