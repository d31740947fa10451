# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Your own system in an hour
#
# A physical system is one file: a docstring, the micro law, the macro problem, the form of its data, and what can be predicted. It need not lie in
# the package. The file `packed_filter.py` beside this notebook declares one, a bed of grains through which water falls. Fit, prediction, checks and
# the command line then know it like the others.

# %%
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import solve_ivp

import hmminfer as hm
from hmminfer.inference.reading import interval
from hmminfer.testing import assert_contract, assert_gradient, assert_taylor

os.environ.setdefault("MPLBACKEND", "Agg")
DRAWS = int(os.environ.get("HMMINFER_NOTEBOOK_DRAWS", 1000))  # tested with 200
work = Path(tempfile.mkdtemp())  # yours is wherever you keep your own work
shutil.copy("packed_filter.py", work)

# %% [markdown]
# ## 1. The system
#
# `models.get` takes the path of a file (an installed package can name its systems by the entry point `hmminfer.models` instead, and
# `models.register(module)` takes a module that is loaded already).

# %%
filters = hm.models.get(str(work / "packed_filter.py"))
print(filters.__doc__)

# %% [markdown]
# **The law** is one small compiled function, and the macro problem another. `closure` makes kernels of them: value and exact derivative, by the
# complex step. (A law that solves a cell, or a macro problem with a mesh, is a kernel too; `hmminfer/micro` and `hmminfer/macro` hold many.)

# %%
print(inspect.getsource(filters.permeability.py_func))
print(inspect.getsource(filters.head.py_func))

# %% [markdown]
# **The experiment** says what its data look like. From that alone come the template to fill in, the reading of files with units, and the messages
# about mistakes in them. The builder returns a `Model`: parameters, kernel, observables and the table whose row i is row i of the answer.

# %%
print(inspect.getsource(filters.falling_head))
filters.EXPERIMENTS

# %% [markdown]
# ## 2. Data
#
# Yours come from a bench. Here they come from another model than the one that fits them: with the inertia of the flow (Ergun's term), integrated in
# time.


# %%
def fallen(times, d=200e-6, phi=0.41, length=0.1, first=0.5, ratio=10.0):
    """Head (m) of water with inertia: rho g h / L = (180 mu (1 - phi)^2 / d^2 v + 1.75 rho (1 - phi) / d v^2) / phi^3."""
    a, b = 1.75 * 1000.0 * (1 - phi) / (d * phi**3), 180 * 1e-3 * (1 - phi) ** 2 / (d**2 * phi**3)

    def slope(t, h):
        return -ratio * (-b + np.sqrt(b**2 + 4 * a * 9810.0 * h / length)) / (2 * a)

    return solve_ivp(slope, (0.0, max(times)), [first], t_eval=times, rtol=1e-10).y[0]


times = np.array([5.0, 10, 15, 20, 30, 40, 60])
noisy = 1e3 * fallen(times) + np.random.default_rng(1).normal(0.0, 3.0, times.size)
rows = [f"head,{t:g},{h:.1f},mm,3" for t, h in zip(times, noisy, strict=True)]
lines = ['# experiment = "falling_head"', "quantity,time [s],value,unit,sd", *rows, "porosity,,0.415,,0.01"]
(work / "packed_filter.csv").write_text("\n".join(lines) + "\n")
model = filters.EXPERIMENTS.falling_head.model(work / "packed_filter.csv")
model

# %% [markdown]
# ## 3. Is it right?
#
# The contract that samplers rely on, and the derivative against central differences and by its Taylor remainder: one line each. Do this before
# anything else, and compare the answer with one you know.

# %%
assert_contract(model.kernel)
assert_gradient(model.kernel)
assert_taylor(model.kernel)
known = model.evaluate({"grain_diameter": "200 um", "porosity": 0.41})[:-1]
print("inertia, which the model leaves out, slows the fall by at most", f"{np.max(np.abs(known / fallen(times) / 1e3 - 1)):.2%}".replace("%", " %"))

# %% [markdown]
# ## 4. Fit, check, predict
#
# Before any sampling: the fall alone tells one combination of the two, the weighed porosity both.

# %%
print(hm.identifiability(model).text())

# %%
posterior = hm.fit(model, draws=DRAWS, tune=DRAWS, seed=1, progress=False)
print(hm.summary(posterior)[["mean", "sd", "low", "high", "unit"]])
for check in hm.checks(posterior):
    print(check.name, "|", check.value, "|", check.advice)

# %%
curve = filters.fall(duration="90 s").predict(posterior, draws=200, progress=False)["head"]
low, high = interval(curve.values)  # the shortest that hold 89 %, as everywhere
_, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
ax.fill_between(curve["time"], low, high, alpha=0.4, label="predicted, 89 %")
ax.errorbar(times, noisy, 3.0, fmt="o", ms=4, color="#D55E00", label="measured")
ax.set(xlabel="time (s)", ylabel="head (mm)", title="water in a packed filter")
ax.legend()
hm.figures.posterior_figure(posterior, model)

# %% [markdown]
# ## 5. The command line
#
# It takes the file in the place of a name.


# %%
def command(*arguments):
    """What the shell would show."""
    done = subprocess.run([sys.executable, "-m", "hmminfer", *arguments], cwd=work, capture_output=True, text=True, check=False)
    print("$ hmminfer", *arguments, "\n" + done.stdout[:3000] + done.stderr[-2000:])
    assert done.returncode == 0


command("models", "packed_filter.py")
command("template", "packed_filter.py", "--output", "mine.csv")
command(
    "fit", "packed_filter.py", "--data", "packed_filter.csv", "--draws", "100", "--tune", "100", "--chains", "2", "--seed", "1", "--output", "run"
)
command("predict", "packed_filter.py", "--posterior", "run", "--set", "duration=2 min", "--output", "fall.csv")

# %% [markdown]
# The run keeps a copy of the system's file and of the data, so that it can be repeated elsewhere, to the last digit:

# %%
command("fit", "--run", "run/run.toml", "--output", "again", "--quiet")
first, again = (hm.runs.load(work / name, progress=False).tree["posterior"].to_dataset() for name in ("run", "again"))
assert first.identical(again)

# %% [markdown]
# **What next?** A figure of your own is a function `panel(ax, reading, model)` in the file, named in the model as `panels=("mine", "ratios")`.
# Settings that users may choose belong into the schema. When a system has grown up and should come with the package, its file goes to `models/`, with
# one line in the catalogue.

# %%
shutil.rmtree(work)
