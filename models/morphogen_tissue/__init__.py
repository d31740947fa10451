r"""Morphogen in a tissue: infer how fast molecules diffuse and are degraded from the gradient they form, without writing its equation down.

    micro: cells that exchange molecules             macro: the profile along the tissue

      o  o  o  o   hop w = D / l^2 each way          |\                  J  source at x = 0 (flux of molecules)
      |  |  |  |   bind kappa k_off, unbind k_off    | `-.__             A  amplitude, b background: y = A u / u_0 + b
      x  x  x  x   bound are degraded at rate k      |      `---.___     closed at x = L

Lift a patch of a few cells to the macro state, let a Langevin burst heal and run, restrict it to flux and loss
(:mod:`hmminfer.micro.langevin_burst`), balance them between the nodes of a coarse grid: at rest by Newton's method, or in time by coarse projective
integration (:mod:`hmminfer.macro.patches`). Fixed normals and antithetic pairs make y(theta) smooth with an exact gradient; what another
seed would give is measured and joins the likelihood (:mod:`hmminfer.inference.montecarlo`).

Limits known in closed form (tests hold the bursts to them; nothing here uses them, except to define the amplitude):

    D_eff = (D + kappa D_c) / (1 + kappa),  k_eff = k kappa / (1 + kappa),  lambda = sqrt(D_eff / k_eff),  A = J lambda / D_eff (with the gain)
    at rest     A cosh((L - x) / lambda) / sinh(L / lambda) + b
    in time     local accumulation time (1 + x / lambda) / (2 k_eff)   (Berezhkovskii, Sample & Shvartsman 2010)

D_c is the diffusivity of one cell among the others, which carries what is bound to it: 0 where cells stay, else what
:func:`hmminfer.micro.movement.self_diffusivity` measures for cells that exclude each other and hold on; kappa is then that of a site, whether it
holds a cell or not.

What data can tell: a profile at rest gives lambda only, that is D / k (a ridge); D and k apart need time. kappa and k_off are not seen
without a contrast between bound and free and are fixed unless given a prior.

    gradient    the profile at rest: means, Gaussian. Data: Bicoid in the fly embryo (FlyEx)
    growth      the profile while it builds up: means, Gaussian
    counts      molecules counted in single cells at rest: Poisson, exactly (the network is linear)
    spreading   cells that move by exclusion and hold on to each other (:mod:`hmminfer.micro.movement`): density and contacts of a spreading
                tissue, simulated cell by cell; no likelihood, so approximate Bayesian computation, its tolerance the column sd

Counts of other networks, from a simulator, have pseudo-marginal chains: :mod:`hmminfer.inference.stochastic`.
"""

from hmminfer.models.morphogen_tissue import profile as profiles
from hmminfer.models.morphogen_tissue import spreading
from hmminfer.models.morphogen_tissue.profile import history, profile
from hmminfer.models.morphogen_tissue.spreading import front
from hmminfer.models.morphogen_tissue.tissue import decay_length
from hmminfer.system.experiment import Experiments

__all__ = ["EXPERIMENTS", "PREDICTIONS", "decay_length", "front", "history", "profile"]

EXPERIMENTS = Experiments("morphogen_tissue", *profiles.EXPERIMENTS, spreading.EXPERIMENT)
PREDICTIONS = EXPERIMENTS.predictions
