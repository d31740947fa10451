# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A tow-steered plate: the fibre angle as a field
#
# The fibre turns along the plate. The angle is a Gaussian process on the double angle (108 coefficients, amplitude and length scale inferred), and one
# adjoint solve gives the gradient by all of them. `tow_steered_plate` is synthetic, from a finer plate and cell and a known path of the fibre.

# %%
import os

import numpy as np

from hmminfer import fit, models
from hmminfer.macro.orientation import field_basis

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 500))  # tested with 60
fibre = models.get("fibre_composite")
plate = fibre.EXPERIMENTS["plate"].model("tow_steered_plate")
print(len(plate.vector()), "entries in the parameter vector,", plate.about["unknowns"], "displacements")

# %%
posterior = fit(plate, draws=DRAWS, tune=DRAWS, chains=2, seed=5, progress=False)
p = posterior["posterior"]

# %% [markdown]
# The angle on a line through the middle, against the truth:

# %%
box = plate.scene["plate"].box
line = np.stack([np.linspace(5, 95, 10), np.full(10, 25.0)], axis=1)
phi, _ = field_basis(line, box, 12, 9)
t = np.radians(2 * p["fibre_angle"].values)[..., None] + p["angle_field"].values @ phi.T
theta = 0.5 * np.degrees(t)
truth = 20 + 25 * np.sin(np.pi * line[:, 0] / 100) + 6 * np.cos(np.pi * line[:, 1] / 50)
mean, sd = theta.mean(axis=(0, 1)), theta.std(axis=(0, 1))
for x, a, b, c in zip(line[:, 0], truth, mean, sd, strict=True):
    print(f"x = {x:4.0f} mm: truth {a:5.1f}, posterior {b:5.1f} +- {c:.1f} deg")
assert np.max(np.abs(mean - truth)) < 6.0
