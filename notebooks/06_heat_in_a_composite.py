# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Heat in a composite
#
# Metal with ceramic particles conducts heat better or worse depending on the particles, and on how well they touch the metal. A particle of
# radius a behind a surface of conductance h conducts like one of 1 / k' = 1 / k_p + 1 / (a h): one particle size gives one number, two sizes
# separate the particle from its contact.

# %%
import os

import numpy as np

from hmminfer import fit, models
from hmminfer.figures.overview import posterior_figure

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 120
heat = models.get("heat_composite")
particles = heat.EXPERIMENTS["particles"]
for name in ("sic_aluminium", "diamond_aluminium"):
    posterior = fit(particles.model(name), draws=DRAWS, tune=DRAWS, seed=1, progress=False)["posterior"]
    k, h = posterior["particle_conductivity"], posterior["interface_conductance"]
    print(f"{name}: particle {float(k.mean()):.0f} +- {float(k.std()):.0f} W/m/K, contact {float(h.mean()):.2g} +- {float(h.std()):.1g} W/m^2/K")

# %% [markdown]
# Two numbers for three unknowns: the matrix keeps its prior, and the posterior is a ridge along which a better matrix asks for worse particles.
# The law of the composite is a choice too: Bruggeman's ("dense", the default) and Hasselman and Johnson's ("dilute") read the same data
# differently, for diamond by about one posterior sd.

# %%
for scheme in ("dense", "dilute"):
    tree = fit(particles.model("diamond_aluminium", scheme=scheme), draws=DRAWS, tune=DRAWS, seed=2, progress=False)
    k, m = (np.log(tree["posterior"][n].values.ravel()) for n in ("particle_conductivity", "matrix_conductivity"))
    print(f"{scheme}: particle {np.exp(k.mean()):.0f} W/m/K, correlation with the matrix {np.corrcoef(k, m)[0, 1]:.2f}")
posterior_figure(tree, particles.model("diamond_aluminium", scheme=scheme))

# %% [markdown]
# ## A plate, zone by zone
#
# Cylinders across a plate, denser in some zones than in others; a camera sees temperatures, a sensor the heat flow. Each zone has a cell of
# its own, the plate asks each for its conductivity.

# %%
plate = heat.EXPERIMENTS["plate"].model("heated_plate")
tree = fit(plate, draws=DRAWS, tune=DRAWS, chains=2, seed=3, progress=False)
v = tree["posterior"]["volume_fraction"].values.reshape(-1, 4)
truth = np.array([0.20, 0.50, 0.45, 0.30])
print("volume fractions", v.mean(axis=0).round(3), "+-", v.std(axis=0).round(3), "truth", truth)
assert np.all(np.abs(v.mean(axis=0) - truth) < 3.5 * v.std(axis=0))

# %% [markdown]
# Temperatures alone identify ratios of conductivities only. Without the heat flow, all zones may conduct more or less together:

# %%
from dataclasses import replace

from hmminfer import datasets

raw = datasets.load("heated_plate")
blind = heat.EXPERIMENTS["plate"].model(replace(raw, rows=raw.rows[:-1], lines=raw.lines[:-1]))
w = fit(blind, draws=DRAWS, tune=DRAWS, chains=2, seed=4, progress=False)["posterior"]["volume_fraction"].values.reshape(-1, 4)
print("sd with the flow", v.std(axis=0).round(3), "without", w.std(axis=0).round(3))
assert w.std() > v.std()

# %% [markdown]
# ## The benchmark of Aristoff and Bangerth
#
# 64 blocks of unknown conductivity under a wide prior, 169 temperatures: the community's test for samplers. The gradient of all 64 costs one
# adjoint solve. (`fit(model, draws=..., seed=...)` samples it; here only its size and one gradient.)

# %%
blocks = heat.EXPERIMENTS["blocks"].model("aristoff_bangerth")
theta = blocks.vector({"conductivity": np.ones(64)})
y, gradient = blocks.kernel.value_and_pullback(theta, np.ones(169))
print(f"{blocks.n_out} temperatures of {theta.size} conductivities; gradient of their sum by block (1, 1): {gradient[0]:.4f}")
