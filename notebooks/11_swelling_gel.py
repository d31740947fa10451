# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A swelling gel
#
# Cartilage and gels are networks that carry fixed charge. Counter-ions push water in, the network pulls back, salt in the bath decides who
# wins. What is the charge, and how stiff is the network alone?
#
# ## A micro problem left out makes a confident error
#
# Chondroitin sulphate with a fixed charge of 0.4 mol/L was measured in two salts. Do its pressures tell the charge? In all three fits the
# uncharged part of the pressure is unknown too.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from hmminfer import fit, models
from hmminfer.diagnostics.sensitivity import identifiability
from hmminfer.figures.overview import posterior_figure

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 60
gel = models.get("swelling_gel")
equilibrium = gel.EXPERIMENTS["equilibrium"]
known_charge = 0.4
choices = {
    "ideal Donnan": {"micro": "donnan", "osmotic_coefficient": 1.0},
    "Donnan with a coefficient": {"micro": "donnan"},
    "charged rods": {"micro": "rods"},
}
found = {}
for name, settings in choices.items():
    model = equilibrium.model("chondroitin_sulphate", chain_pressure="HalfNormal(0.6)", **settings)
    found[name] = fit(model, draws=DRAWS, tune=DRAWS, chains=2, seed=1, target_accept=0.95, progress=False)
    x = found[name]["posterior"]["fixed_charge"].values
    print(f"{name}: {x.mean():.3f} +- {x.std():.3f} mol/L, {(x.mean() - known_charge) / x.std():+.1f} sd from the truth")
figure, ax = plt.subplots()
for name, tree in found.items():
    ax.hist(tree["posterior"]["fixed_charge"].values.ravel(), bins=40, density=True, histtype="step", label=name)
ax.axvline(known_charge, color="k", lw=1, label="weighed in")
ax.set(xlabel="fixed charge (mol/L)", ylabel="posterior density", xlim=(0.1, 0.7))
ax.legend()
x = found["ideal Donnan"]["posterior"]["fixed_charge"].values
assert (known_charge - x.mean()) / x.std() > 4.0

# %% [markdown]
# An ideal pressure counts every ion as free. Around a charged rod they are not: Poisson and Boltzmann's equation in the rod's cell says so
# without a coefficient.

# %%
figure, ax = plt.subplots()
for name, settings in choices.items():
    curve = gel.salt_curve(1.0, 2000.0, 40, micro=settings["micro"])  # volume held: the charge is that of the reference state
    coefficient = {"osmotic_coefficient": 1.0 if name.startswith("ideal") else 0.5} if settings["micro"] == "donnan" else {}
    y = curve.predict({"fixed_charge": known_charge, **coefficient})["swelling_pressure"]
    ax.plot(y["bath"], y, label=name)
ax.set(xscale="log", yscale="log", xlabel="salt of the bath (mmol/L)", ylabel="osmotic pressure at 0.4 mol/L (MPa)")
ax.legend()

# %% [markdown]
# ## Cartilage in strong and in weak salt
#
# Real plugs, their modulus in 2 mol/L and in 1 mmol/L.

# %%
bovine = equilibrium.model("cartilage_salt")
posterior = fit(bovine, draws=DRAWS, tune=DRAWS, chains=2, seed=2, progress=False)
for name in ("fixed_charge", "network_modulus"):
    x = posterior["posterior"][name]
    print(f"{name}: {float(x.mean()):.3f} +- {float(x.std()):.3f} {x.attrs['units']}")
posterior_figure(posterior, bovine)

# %% [markdown]
# ## Why a ladder of salts
#
# Before any sampling: what do the data see? One salt, and seven (synthetic, from a finer model: series in full were not found in public).

# %%
ladder = equilibrium.model("salt_ladder")
one = equilibrium.model(ladder.table.take(np.array([4])))
print(identifiability(one, n_draws=20).text(), "\n")
print(identifiability(ladder, n_draws=20).text())

# %% [markdown]
# ## Time: how permeable is it?
#
# A load on a confined plug presses water out of it (synthetic creep, finer mesh and steps).

# %%
creep = gel.EXPERIMENTS["confined"].model("confined_creep")
course = fit(creep, draws=DRAWS, tune=DRAWS, chains=2, seed=3, progress=False)
k = course["posterior"]["permeability"]
print(f"permeability {float(k.mean()):.0f} +- {float(k.std()):.0f} {k.attrs['units']} (truth 400)")
posterior_figure(course, creep)

# %% [markdown]
# And what would the same plug do if its bath were diluted tenfold? A prediction of an experiment never made.

# %%
swelling = gel.course(test="bath", bath=150.0, bath_after=15.0, tare=40.0, end=20000.0).predict(course, draws=50, progress=False)
y = -swelling["displacement"]
figure, ax = plt.subplots()
ax.plot(swelling["time"], y.T, color="C0", alpha=0.2)
ax.set(xscale="log", xlabel="time (s)", ylabel="swelling (um)")
