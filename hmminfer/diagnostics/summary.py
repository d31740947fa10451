"""The summary of a result: mean, sd, interval and convergence of every unknown; and the table in which it is printed.

An axial angle theta is known modulo 180 degrees: all its statistics are computed on the double angle t = 2 theta.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hmminfer.inference.axial import axial_mode, mode_of
from hmminfer.inference.reading import INTERVAL, SAID, Reading, interval
from hmminfer.terminal import Printed, grid


def summary(tree: xr.DataTree | Reading) -> pd.DataFrame:
    """One row for each unknown: mean, sd, shortest 89 % interval (low, high), unit, ess_bulk, ess_tail, r_hat, mcse.

    An axial angle has circular statistics, the worst R-hat and ESS of cos 2 theta and sin 2 theta, and a row for each
    separate mode with that mode's share of the draws. Chains are started in modes in proportion to their weights and
    may stay there: R-hat and ESS are then taken within each mode (the largest R-hat, the sum of the ESS). Draws of the
    Laplace approximation are independent and have no R-hat.
    """
    reading = Reading.of(tree)
    sampled = reading.method != "laplace"
    axial = {e.name: mode_of(e.draws) for e in reading.entries if e.axial}
    groups = _modes_of_chains(list(axial.values()), reading.entries[0].draws.shape)
    rows: dict[str, dict[str, Any]] = {}
    for e in reading.entries:
        name, x = e.name, e.draws
        if not e.axial:
            low, high = interval(x.ravel())
            worst = _convergence([x[chains] for chains in groups]) if sampled else {}
            rows[name] = {"mean": x.mean(), "sd": x.std(), "low": low, "high": high, "unit": e.unit, **worst}
            continue
        label = axial[name]
        count = label.max() + 1
        for k in range(count):
            mode = axial_mode(x[label == k], x.size)
            title = name if count == 1 else f"{name} (mode {k + 1} of {count}, {mode.share:.0%})".replace("%)", " %)")
            parts = [_of_mode(f(np.radians(2.0 * x)), label == k) for f in (np.cos, np.sin)]
            both = [_convergence([p]) for p in parts] if sampled else [{}]
            worst = {c: (np.max if c == "r_hat" else np.min)([b[c] for b in both]) for c in both[0]}
            rows[title] = {"mean": mode.mean, "sd": mode.sd, "low": mode.low, "high": mode.high, "unit": e.unit, **worst}
    out = pd.DataFrame.from_dict(rows, orient="index")
    out = out.reindex(columns=["mean", "sd", "low", "high", "unit", "ess_bulk", "ess_tail", "r_hat"])
    return out.assign(mcse=out["sd"] / np.sqrt(out["ess_bulk"]))


def derived_summary(tree: xr.DataTree | Reading) -> pd.DataFrame:
    """One row for each derived quantity (effective moduli, a decay length): mean, sd, shortest 89 % interval (low, high), unit.

    It follows from the unknowns and has no convergence of its own. Draws where it does not exist are left out.
    """
    rows = {}
    for e in Reading.of(tree).derived:
        x = e.draws[np.isfinite(e.draws)]
        low, high = interval(x) if x.size else (math.nan, math.nan)
        sd = x.std() if x.size and np.ptp(x) > 1e-12 * np.abs(x).max() else 0.0 if x.size else math.nan  # what is known has no sd of rounding
        rows[e.name] = {"mean": x.mean() if x.size else math.nan, "sd": sd, "low": low, "high": high, "unit": e.unit}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "low", "high", "unit"])


def derived_table(tree: xr.DataTree | Reading) -> list[Any]:
    """The derived quantities as printed below a summary; nothing for a result that has none."""
    table = derived_summary(tree)
    rows = [[str(name), f"{r['mean']:.4g}", f"{r['sd']:.2g}", f"{r['low']:.4g} to {r['high']:.4g}", r["unit"]] for name, r in table.iterrows()]
    columns = ["derived", "mean", "sd", INTERVAL, "unit"]
    return ["", grid("Derived from the unknowns", columns, rows, right=("mean", "sd", INTERVAL))] if rows else []


def _modes_of_chains(labels: list[np.ndarray], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Groups of chains that stay in the same mode of every axial angle; a single group of all chains if chains change modes."""
    every = [np.arange(shape[0])]
    if not labels:
        return every
    home = np.stack([np.round(np.median(x, axis=1)).astype(int) for x in labels], axis=1)
    moved = max(float(np.mean(x != h[:, None])) for x, h in zip(labels, home.T, strict=True))
    if moved > 0.01:
        return every
    _, group = np.unique(home, axis=0, return_inverse=True)
    return [np.flatnonzero(group.ravel() == g) for g in range(group.max() + 1)]


def _of_mode(x: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Draws of one mode as (chain, draw), cut to one length; only of chains with at least a fifth of the draws of the chain with most draws there."""
    n = inside.sum(axis=1)
    keep = np.flatnonzero(n >= max(4, 0.2 * n.max()))
    return np.stack([x[c, inside[c]][: n[keep].min()] for c in keep]) if keep.size else x[:, :0]


def _convergence(groups: list[np.ndarray]) -> dict[str, float]:
    """R-hat (the worst) and effective sample sizes (summed) over groups of chains; a lone chain is halved."""
    import arviz as az

    out = []
    for x in groups:
        if x.shape[1] < 8:
            return {"ess_bulk": math.nan, "ess_tail": math.nan, "r_hat": math.nan}
        halves = x if len(x) > 1 else np.stack(np.split(x[0, : x.shape[1] // 2 * 2], 2))
        out.append((float(az.ess(x)), float(az.ess(x, method="tail", prob=(0.05, 0.95))), float(az.rhat(halves))))
    bulk, tail, r_hat = np.array(out).T
    return {"ess_bulk": bulk.sum(), "ess_tail": tail.sum(), "r_hat": r_hat.max()}


def shown_r_hat(value: float) -> str:
    """R-hat as tables and checks show it."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def summary_table(table: pd.DataFrame, title: str = "Posterior") -> Printed:
    """A summary as printed after a fit or a preview, in a report and in summary.txt."""
    rows = []
    for name, r in table.iterrows():
        ess = ["-" if math.isnan(r[c]) else f"{r[c]:.0f}" for c in ("ess_bulk", "ess_tail")]
        r_hat = shown_r_hat(r["r_hat"])
        rows.append([str(name), f"{r['mean']:.4g}", f"{r['sd']:.2g}", f"{r['low']:.4g} to {r['high']:.4g}", r["unit"], *ess, r_hat])
    columns = ["unknown", "mean", "sd", INTERVAL, "unit", "ESS bulk", "ESS tail", "R-hat"]
    return grid(title, columns, rows, right=("mean", "sd", INTERVAL, "ESS bulk", "ESS tail", "R-hat"), note=SAID)
