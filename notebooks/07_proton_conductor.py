# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A layered proton conductor
#
# Films of Nafion a few nanometres thin conduct protons half as well as thick ones: next to the substrate lies a layer of another structure.
# How thick is it, and how well does it conduct? Real films of 4 to 300 nm on silica, at 95 % relative humidity and four temperatures.

# %%
import os

import numpy as np

from hmminfer import fit, models
from hmminfer.diagnostics.checking import checks
from hmminfer.figures.overview import posterior_figure

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 120
proton = models.get("proton_conductor")
films = proton.EXPERIMENTS["films"]
model = films.model("nafion_films")
posterior = fit(model, draws=DRAWS, tune=DRAWS, seed=1, progress=False)
for name, x in posterior["posterior"].items():
    print(f"{name}: {float(x.mean()):.1f} +- {float(x.std()):.1f} {x.attrs['units']}")
posterior_figure(posterior, model)

# %% [markdown]
# Films thinner than the layer see the layer only, so its conductivity is known well; its thickness is known less well (a film of 55 nm is
# nearly all layer, one of 160 nm half).
#
# ## What the model cannot say
#
# The fit above keeps the rows at 95 %. With all humidities, Springer's law for thick membranes is asked to hold for films too. It does not,
# and the checks say so: the posterior of such a fit is not to be believed.

# %%
everything = fit(films.model("nafion_films", lowest_humidity=0.0), draws=DRAWS, tune=DRAWS, seed=2, progress=False)
for tree, name in ((posterior, "95 %"), (everything, "all humidities")):
    worst = next(c for c in checks(tree) if c.name.startswith("predictive"))
    print(f"{name}: {worst.name} {'holds' if worst.ok else 'FAILS'}, found {worst.value}")
assert not worst.ok

# %% [markdown]
# Conductivities of their own at each humidity, one temperature, one thickness of the layer for all: this fits, and narrows the layer.

# %%
levels = films.model("nafion_films", water="levels", temperature="333.15 K", lowest_humidity="40 %", reference_temperature="333.15 K")
own = fit(levels, draws=DRAWS, tune=DRAWS, seed=3, progress=False)["posterior"]
d = np.log(own["interface_thickness"].values)
print(f"layer at 60 deg C: {np.exp(d.mean()):.0f} nm, sd of its logarithm {d.std():.2f}")
print("bulk", own["bulk_conductivity"].mean(("chain", "draw")).values.round(2), "mS/cm at", levels.about["levels"])
print("layer", own["interface_conductivity"].mean(("chain", "draw")).values.round(2))

# %% [markdown]
# ## Membranes
#
# Two membranes of one kind: the thicker looks like a better conductor. A contact resistance explains it. (Two numbers, two unknowns: a
# demonstration.)

# %%
membranes = proton.EXPERIMENTS["membranes"].model("nafion_membranes")
two = fit(membranes, draws=DRAWS, tune=DRAWS, seed=4, progress=False)["posterior"]
s = two["mobility"].values * proton.springer(22.0, proton.SPRINGER_ENERGY, 298.0)
print(f"conductivity {s.mean():.3f} +- {s.std():.3f} S/cm, contacts {float(two['contact_resistance'].mean()):.3f} ohm cm^2")

# %% [markdown]
# A membrane at work: protons drag water from the anode to the cathode, diffusion brings some of it back, and the anode dries.

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots()
for current in (0.0, 0.5, 1.0, 1.5):
    y = proton.water_profile(50.0, 80.0, 80.0, current, 353.15).predict(two, draws=50, progress=False)
    ax.plot(y["depth"], y["water_content"].mean("sample"), label=f"{current} A/cm$^2$: {y['area_resistance'].mean().item():.3f} ohm cm$^2$")
ax.set(xlabel="depth from the anode (um)", ylabel="water molecules per acid group")
ax.legend()
