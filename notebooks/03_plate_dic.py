# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A plate seen by digital image correlation
#
# `plate_dic` is synthetic: displacements of a gripped plate at 120 points with 1 um noise and the force with 1 %, computed on meshes more than twice
# finer than the model's (no inverse crime). The fibre is known from other tests; angle, fibre content and matrix modulus are hidden.

# %%
import os

import numpy as np

import hmminfer
from hmminfer import fit, models

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 200
fibre = models.get("fibre_composite")
plate = fibre.EXPERIMENTS["plate"].model("plate_dic")
print(plate.about["unknowns"], "unknowns;", "fixed:", plate.fixed)

# %%
print(hmminfer.identifiability(plate).text())

# %%
posterior = fit(plate, draws=DRAWS, tune=DRAWS // 2, chains=2, seed=4, progress=False)
hmminfer.summary(posterior)

# %% [markdown]
# The field tells the sign of the angle, so there is one mode; content and matrix modulus trade off along a ridge.

# %%
p = posterior["posterior"]
truth = {"fibre_angle": 27.0, "volume_fraction": 0.58, "matrix_modulus": 3.8}
for name, value in truth.items():
    z = (float(p[name].mean()) - value) / float(p[name].std())
    print(f"{name}: {float(p[name].mean()):.3f} +- {float(p[name].std()):.3f}, truth {value} ({z:+.1f} sd)")
    assert abs(z) < 3.5
ridge = np.corrcoef(p["volume_fraction"].values.ravel(), p["matrix_modulus"].values.ravel())[0, 1]
print(f"correlation of volume fraction and matrix modulus {ridge:.2f}")
assert ridge < -0.8
