# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A morphogen in a tissue of stochastic cells
#
# Bicoid tells the cells of a fly embryo where they are: much of it at the head, less and less towards the tail. How far does a molecule get
# before it is degraded? Real fluorescence along the egg at rest, mean over embryos.

# %%
import os

import numpy as np

from hmminfer import fit, identifiability, models
from hmminfer.figures.overview import posterior_figure

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 60
tissue = models.get("morphogen_tissue")
gradient = tissue.EXPERIMENTS["gradient"].model("bicoid_profile")
print(identifiability(gradient).text())

# %% [markdown]
# The report says it before anything is sampled: the profile at rest sees the *ratio* of diffusivity and degradation, not their product.

# %%
bicoid = fit(gradient, draws=DRAWS, tune=DRAWS, seed=1, progress=False)
draws = bicoid["posterior"]
length = tissue.decay_length(draws) / 4.9
d, k = (np.log(draws[name].values.ravel()) for name in ("diffusivity", "degradation"))
print(f"decay length {float(length.mean()):.1f} +- {float(length.std()):.1f} % of the egg")
print(f"correlation of ln D and ln k: {np.corrcoef(d, k)[0, 1]:.3f}; sd of ln D {d.std():.2f}, of its prior 1.5")
assert np.corrcoef(d, k)[0, 1] > 0.8
posterior_figure(bicoid, gradient)

# %% [markdown]
# ## Where the equation would be
#
# Nobody wrote a diffusion equation down. At each quadrature point of a coarse grid a patch of four cells is filled with molecules, a burst of
# the chemical Langevin equation runs for some seconds, and its flux and its losses are read off. Here is what one patch answers, beside the
# limit of fast binding.

# %%
from hmminfer.micro.langevin_burst import burst

law = burst(cell_size=2.45, heal=2, measure=3, step=2.0)
at = {"c": 5000.0, "slope": -43.0, "curvature": 0.37, "D": 4.0, "k": 3e-4, "kappa": 1.0, "k_off": 0.5, "D_c": 0.0}
answers = np.array([law(np.array([*at.values(), number])) for number in range(64)])
limit = np.array([-at["D"] * at["slope"] / 2.0, at["k"] * at["c"] / 2.0])
print("flux and loss over the limit:", (answers.mean(axis=0) / limit).round(4), "+-", (answers.std(axis=0) / limit).round(4))

# %% [markdown]
# Random numbers are drawn once and kept, each used with both signs: the profile is then a smooth function of the parameters with an exact
# gradient. What other random numbers would have given is measured and added to the noise. It hardly matters here:

# %%
print(f"Monte Carlo error over the noise of the data, worst row: {gradient.about['monte_carlo_over_noise']}")

# %% [markdown]
# ## Time tells them apart
#
# The same tissue watched while its gradient builds up. These data are synthetic: every molecule of 46 cells was simulated, hop by hop.

# %%
growing = tissue.EXPERIMENTS["growth"].model("morphogen_growth")
growth = fit(growing, draws=max(DRAWS // 4, 30), tune=max(DRAWS // 4, 30), chains=2, seed=2, progress=False)
for name, truth in (("diffusivity", 0.2), ("degradation", 1.8144), ("amplitude", 120.0), ("background", 6.0)):
    x = growth["posterior"][name]
    print(f"{name}: {float(x.mean()):.3f} +- {float(x.std()):.3f} {x.attrs['units']}  (truth {truth})")
    assert abs(float(x.mean()) - truth) < 4.0 * float(x.std())

# %% [markdown]
# ## Counts in single cells
#
# Where molecules are counted the Gaussian is not the right likelihood. In a linear network the counts at rest are Poisson, exactly: five tissues, every
# third cell, some with no molecule at all.

# %%
counted = tissue.EXPERIMENTS["counts"].model("morphogen_counts")
cells_seen = fit(counted, draws=DRAWS // 2, tune=DRAWS // 2, chains=2, seed=4, progress=False)
length = tissue.decay_length(cells_seen["posterior"])
print(f"decay length {float(length.mean()):.1f} +- {float(length.std()):.1f} um (truth 19.9)")
print(f"molecules at the source {float(cells_seen['posterior']['amplitude'].mean()):.0f} (truth 60)")
assert abs(float(length.mean()) - 19.9) < 4.0 * float(length.std())
posterior_figure(cells_seen, counted)

# %% [markdown]
# A simulator that knows nothing of Poisson's law gives the same posterior, if it estimates the *likelihood* without bias: the pseudo-marginal chain, here
# on four cells.

# %%
from hmminfer.inference.stochastic import counts_of, detected_log_likelihood, poisson_log_likelihood, pseudo_marginal
from hmminfer.micro.cells import gillespie, line, steady_mean
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.priors import LogNormal

unknown = ParameterSet(
    (
        Parameter("degradation", "1/h", LogNormal(1.0, 0.6), "of bound molecules"),
        Parameter("production", "1/h", LogNormal(12.0, 0.6), "in the first cell"),
    )
)
counts, seen, cells = counts_of([8, 4, 2, 1]), 0.5, line(4)


def network(v):
    return np.array([v["production"], 0.0, 0.0, 0.0]), np.array([3.0, 4.0, 4.0, 2.0 * v["degradation"], 0.0])


def exact(v, rng):
    return poisson_log_likelihood(seen * steady_mean(cells, *network(v)).sum(axis=0), counts)


def simulated(v, rng):
    none, times = np.zeros(4, int), (5.0 + 0.5 * np.arange(40)) / v["degradation"]
    molecules = gillespie(rng, cells, *network(v), none, none, times)[0].sum(axis=1)
    return detected_log_likelihood(molecules, counts, seen)


for name, log_likelihood in (("exact", exact), ("simulated", simulated)):
    tree = pseudo_marginal(log_likelihood, unknown, draws=2 * DRAWS, tune=500, seed=3, progress=False)
    k = np.log(tree["posterior"]["degradation"].values)
    print(f"{name}: ln k = {k.mean():.2f} +- {k.std():.2f}; sd of the log likelihood {tree.attrs['loglik_sd']:.2f}")

# %% [markdown]
# ## Cells that move
#
# Cells that exclude each other and hold on to their neighbours: nobody knows their diffusivity as a function of density. Bursts do. The edge
# of a tissue spreads; twelve coarse volumes and bursts in patches against every cell of the sheet.

# %%
import matplotlib.pyplot as plt

from hmminfer.macro.patches import spread
from hmminfer.micro.movement import flux_burst, move

rng, begin = np.random.default_rng(4), np.repeat([0.8, 0.0], 6)
sites = np.zeros((120, 32), int)
for column in range(60):
    sites[column, rng.permutation(32)[: int(25.6 + rng.random())]] = 1
full = np.mean([move(rng, sites, 1.0, 0.5, np.array([400.0]))[0][0] for _ in range(4)], axis=0)


def ask(density, slope):
    return flux_burst(rng, 1.0, 0.5, density, slope, heal=4.0, measure=6.0, replicas=30, least=0.02)[0]


coarse = spread(ask, begin, 10.0, 40.0, 10)
figure, ax = plt.subplots()
ax.step(np.arange(120), full, where="mid", lw=0.8, label="every cell, mean of 4 sheets")
ax.plot(10.0 * np.arange(12) + 4.5, coarse[-1], "o", label="bursts in patches, projected")
ax.set(xlabel="column of cells", ylabel="share of sites that hold a cell", title="spreading edge of a tissue with adhesion")
ax.legend()
assert np.sqrt(np.mean((coarse[-1] - full.reshape(12, 10).mean(axis=1)) ** 2)) < 0.04

# %% [markdown]
# ## What a tissue's edge tells of its cells
#
# One sheet, seen twice: densities and how many others a cell touches. There is no likelihood; sheets are simulated and compared, within a
# tolerance that is part of the answer. Fast cells that hold on and slow cells that do not spread alike: a ridge.

# %%
sheet = tissue.EXPERIMENTS["spreading"].model("tissue_front")
edge = fit(sheet, draws=max(DRAWS // 5, 30), chains=1, seed=5, progress=False)
for name, truth in (("motility", 1.5), ("adhesion", 0.6)):
    x = edge["posterior"][name]
    print(f"{name}: {float(x.mean()):.2f} +- {float(x.std()):.2f} {x.attrs['units']}  (truth {truth})")
posterior_figure(edge, sheet)

# %% [markdown]
# ## Cells that carry what is bound to them
#
# A cell among others gets on more slowly than one alone, the more so the longer it is followed and the more it holds on. What is bound to it goes where it
# goes, which lengthens the gradient.

# %%
from hmminfer.micro.movement import self_diffusivity

for adhesion in (0.0, 0.8):
    in_sites, error = self_diffusivity(rng, 1.0, adhesion, 0.5, residence=3.0)
    of_cells = 0.02 * in_sites  # um^2/s, where one cell alone has 0.02
    reach = tissue.decay_length({"diffusivity": 0.02, "degradation": 0.9, "binding_ratio": 2.0, "cell_diffusivity": of_cells})
    print(f"adhesion {adhesion}: {in_sites:.2f} +- {error:.2f} of a lone cell's diffusivity; decay length {reach:.1f} um")
