# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Forward prediction, and the design of a test
#
# A posterior is a material one can load in ways nobody has tried yet.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from hmminfer import models, preview

fibre = models.get("fibre_composite")
os.environ.setdefault("MPLBACKEND", "Agg")

# %% [markdown]
# A quick posterior of the coupons (modes and their Gaussian approximation; seconds instead of minutes):

# %%
coupons = fibre.EXPERIMENTS["coupons"].model("raghavan_meshii")
posterior = preview(coupons, draws=400, seed=1, progress=False)

# %% [markdown]
# Moduli over all load angles, for every draw:

# %%
curves = fibre.moduli(np.linspace(0, 90, 31)).predict(posterior, progress=False)
low, middle, high = curves["youngs_modulus"].quantile([0.05, 0.5, 0.95], dim=["chain", "draw"]).values
figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
axis.fill_between(curves["angle"], low, high, alpha=0.3)
axis.plot(curves["angle"], middle)
axis.set(xlabel="load angle to the fibre [deg]", ylabel="Young's modulus [GPa]")
assert middle[0] > 180.0 > middle[-1]

# %% [markdown]
# A plate with a hole under a new load: displacement and strain fields, with units.

# %%
plate = fibre.plate_fields(nx=25, ny=9, length="100 mm", width="36 mm", hole_radius="4 mm", load="stress", stress="50 MPa")
field = plate.predict({"fibre_angle": "30 deg", "volume_fraction": 0.6}, progress=False)
field

# %%
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
map_ = axis.tricontourf(field["x"], field["y"], field["strain_xy"], levels=21)
figure.colorbar(map_, label="shear strain [microstrain]")
axis.set(xlabel="x [mm]", ylabel="y [mm]", aspect="equal")

# %% [markdown]
# ## Which coupon angle tells the shear modulus of the fibre?
#
# Sensitivity of E(theta) to each unknown, for 3 % noise: the best angle is where the derivative is largest.

# %%
table = coupons.table
angles = np.array([5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0])
design = fibre.moduli(angles)
theta = design.vector({"volume_fraction": 0.6})
jacobian = design.kernel.jacobian(theta)[: len(angles)]
y = design.kernel(theta)[: len(angles)]
where = design.parameters.slices()["fibre_shear_modulus"].start
gain = np.abs(jacobian[:, where] * theta[where] / (0.03 * y))
print(dict(zip(angles.tolist(), gain.round(2).tolist(), strict=True)))
best = float(angles[np.argmax(gain)])
print(f"a coupon at {best:g} degrees tells most about the fibre's shear modulus")
assert 10.0 <= best <= 45.0

# %% [markdown]
# Rigid grips raise the apparent modulus of a short off-axis coupon; how long must it be?

# %%
for length in (50.0, 100.0, 250.0):
    clamped = fibre.clamped_coupon(length, 12.5).predict({"fibre_angle": 10.0})["apparent_modulus"].item()
    free = fibre.moduli([10.0]).predict({})["youngs_modulus"].item()
    print(f"length {length:5.0f} mm: apparent modulus {100 * (clamped / free - 1):.1f} % above that of a long coupon")
