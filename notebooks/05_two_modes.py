# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Two modes from one coupon
#
# The modulus of an off-axis coupon is even in its angle: +theta and -theta explain it equally. The tool finds both modes, starts chains in both and
# reports them apart. A rosette (shear coupling) is odd in the angle and removes one.

# %%
import os
from dataclasses import replace

from hmminfer import datasets, fit, models
from hmminfer.inference.axial import axial_modes

DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 300
fibre = models.get("fibre_composite")
one = fibre.EXPERIMENTS["coupons"].model("raghavan_meshii")
posterior = fit(one, draws=DRAWS, tune=DRAWS, seed=6, progress=False)
found = axial_modes(posterior["posterior"]["fibre_angle"].values)
for mode in found:
    print(f"{100 * mode.share:.0f} % at {mode.mean:.1f} +- {mode.sd:.1f} degrees")
assert len(found) == 2

# %% [markdown]
# Add a rosette on the same coupon: a synthetic reading, what the posterior's mean has at +10.3 degrees, with 5 % noise.

# %%
p = posterior["posterior"]
means = {name: float(p[name].mean()) for name in p.data_vars if name != "fibre_angle"}
coupling = fibre.moduli([10.3]).predict(means)["shear_coupling"].item()
print(f"shear coupling at +10.3 degrees {coupling:.2f}, at -10.3 degrees {-coupling:.2f}")
raw = datasets.load("raghavan_meshii")
rosette = {"quantity": "shear_coupling", "specimen": "10", "angle": "10", "temperature": "295", "unit": "", "sd": "0.1"}
rosette["value"] = f"{coupling:.4f}"
both = fibre.EXPERIMENTS["coupons"].model(replace(raw, rows=[*raw.rows[:5], rosette], lines=list(range(1, 7))))
posterior = fit(both, draws=DRAWS, tune=DRAWS, seed=7, progress=False)
found = axial_modes(posterior["posterior"]["fibre_angle"].values)
for mode in found:
    print(f"{100 * mode.share:.0f} % at {mode.mean:.1f} +- {mode.sd:.1f} degrees")
assert len(found) == 1
assert found[0].mean > 0
