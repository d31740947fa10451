"""Panels of the swelling gel: equilibria over the salt of the bath, confined compression over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hmminfer.figures.panels import DATA, band, panel
from hmminfer.inference.reading import INTERVAL, Reading
from hmminfer.models.swelling_gel.confined import CONFINED, course
from hmminfer.models.swelling_gel.equilibrium import UNITS, equilibrium_kernel_of, salt_curve
from hmminfer.system.model import Model
from hmminfer.system.observable import Observable

STYLE: Any = {"fmt": "o", "ms": 4, "capsize": 2, "lw": 1, "color": DATA, "label": "measured"}
SHARED = ("micro", "rods", "spacing", "radius", "micro_nodes", "network", "volume", "temperature")  # settings of the curve, as those of the fit


@panel
def over_salt(ax: Any, reading: Reading, model: Any) -> None:
    """The quantity with most data over the salt of the bath: data and posterior band."""
    table, s = model.table, model.scene["settings"]
    name = max(dict.fromkeys(table.quantity.tolist()), key=lambda q: int(np.sum(table.quantity == q)))
    rows = table.quantity == name
    bath = table.columns["bath"][rows]
    ax.errorbar(bath, table.value[rows], table.sd[rows], **STYLE)
    x = np.geomspace(0.5 * bath.min(), min(2.0 * bath.max(), 5000.0), 25)
    if name == "osmotic_pressure":
        charge = table.columns["fixed_charge"][rows][0]
        columns = {"bath": x, "load": np.zeros(25), "fixed_charge": np.full(25, charge)}
        kernel, parameters = equilibrium_kernel_of(columns, np.full(25, name), s)
        curve = Model(parameters=parameters, kernel=kernel, observables=(Observable(name, "MPa", np.arange(25), "bath"),), fixed=model.fixed)
    else:
        curve = salt_curve(x[0], x[-1], 25, **{k: s[k] for k in SHARED})
    y = curve.predict(reading.tree, draws=150, progress=False)[name].values
    band(ax, x, y.reshape(-1, x.size), f"posterior, {INTERVAL}")
    ax.set(xscale="log", xlabel="salt of the bath (mmol/L)", ylabel=f"{name.replace('_', ' ')} ({UNITS[name] or '1'})")
    ax.set_title(f"over the bath, micro problem: {s['micro']}")
    ax.legend()


@panel
def over_time(ax: Any, reading: Reading, model: Any) -> None:
    """The quantity of the first datum over time: data and posterior band."""
    table, s = model.table, model.scene["settings"]
    name = str(table.quantity[0])
    rows = table.quantity == name
    t = table.columns["time"]
    curve = course(41, float(t[t > 0.0].min()), float(t.max()), **s)
    curve = replace(curve, accuracy=None, again=None)  # a picture, not a result
    y = curve.predict(reading.tree, draws=100, progress=False)[name]
    band(ax, y["time"].values, y.values.reshape(-1, y.shape[-1]), f"posterior, {INTERVAL}")
    ax.errorbar(t[rows], table.value[rows], table.sd[rows], **STYLE)
    ax.set(xscale="log", xlabel="time (s)", ylabel=f"{name} ({CONFINED.quantities[name]})")
    ax.set_title(f"{s['test']} in confined compression")
    ax.legend()
