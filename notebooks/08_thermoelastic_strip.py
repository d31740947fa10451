# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Layers that bend when warmed and cool when stretched
#
# Carbon fibres hardly expand along their axis, the resin does. A lamina's two expansions therefore tell of the fibre (along) and of the resin
# (across). Two real laminae that share fibre and resin, T300 in 5208 and in 934, together:

# %%
import os

import numpy as np

from hmminfer import Model, fit, models
from hmminfer.diagnostics.checking import checks
from hmminfer.figures.overview import posterior_figure

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 60
thermo = models.get("thermoelastic_composite")
laminae = thermo.EXPERIMENTS["laminae"]
parts = [laminae.model("carbon_expansion", specimen=s) for s in ("T300/5208", "T300/934")]
shared = ["fibre_axial_expansion", "fibre_transverse_expansion", "matrix_expansion"]
both = Model.joint(parts, shared=shared, labels=["5208", "934"])
posterior = fit(both, draws=DRAWS, tune=DRAWS, seed=1, progress=False)["posterior"]
for name in shared:
    print(f"{name}: {float(posterior[name].mean()):.2f} +- {float(posterior[name].std()):.2f} um/m/K")

# %% [markdown]
# Not every lamina in the literature obeys: no two-phase composite of these constituents expands like the glass lamina E-glass/MY750 as it is
# listed. The checks flag it.

# %%
glass = laminae.model("glass_expansion", specimen="E-glass/MY750", cell="full", refine=2)
tree = fit(glass, draws=DRAWS, tune=DRAWS, chains=2, seed=2, progress=False)
for c in checks(tree):
    if not c.ok:
        print(f"{c.name}: {c.value}")

# %% [markdown]
# ## A strip of two layers
#
# Warmed from below, a strip with fibres along it below and across it above bends. The final bow tells the mismatch of the layers, the time it
# takes their conductivity.

# %%
strip = thermo.EXPERIMENTS["strip"]
heated = strip.model("heated_strip")
tree = fit(heated, draws=DRAWS // 2, tune=DRAWS // 2, chains=2, seed=3, progress=False)
for name, truth in (("matrix_expansion", 48.0), ("matrix_conductivity", 0.25)):
    x = tree["posterior"][name]
    print(f"{name}: {float(x.mean()):.3f} +- {float(x.std()):.3f}, truth {truth}")
posterior_figure(tree, heated)

# %% [markdown]
# Stretched, the two layers cool differently, for expansion and cooling are two sides of one coefficient; then heat flows between them. Fibres
# along the strip give almost no signal, fibres across it a large one: thermography of a stretched laminate sees the layup.

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots()
values = {**thermo.KNOWN, **thermo.T300_934}
for layup in ("0/90", "90/0"):
    y = thermo.strip_history(41, 12.0, layup=layup, load="stretch").predict(values, progress=False)
    ax.plot(y["time"], y["temperature_below"], label=f"{layup}, below")
    ax.plot(y["time"], y["temperature_above"], "--", label=f"{layup}, above")
ax.set(xlabel="time (s)", ylabel="temperature change (K)")
ax.legend()
print(f"{np.min(y['temperature_below'].values):.3f} K at most")
