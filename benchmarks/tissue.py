"""A tissue of stochastic cells: cost of simulating all molecules of all cells over that of patches, bursts and leaps, at equal error."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.linalg import expm

from hmminfer.macro.patches import profile_history
from hmminfer.micro.cells import gillespie, langevin, line
from hmminfer.micro.langevin_burst import burst

CELLS, MOLECULES, LIFETIMES = 1000, 100.0, 2.0  # molecules: for each cell at the source in the end
DECAY, RATIO, UNBIND = (1.0, 1.0, 1000.0)  # of bound molecules (so k_eff = 1/2), bound over free, binding a thousand times faster
ROWS = np.array([0.1, 0.3, 0.5, 0.8, 1.1, 1.5, 2.0, 2.5, 3.0, 4.0])  # in decay lengths


def exact_mean(source: float, rates: np.ndarray, t: float) -> np.ndarray:
    """Mean total molecules (cells,) at ``t``: cosine modes of the line, each a system of two."""
    hop, bind, unbind, decay, _ = rates
    place = np.arange(CELLS) + 0.5
    out = np.zeros(CELLS)
    for m in range(CELLS):
        q = np.pi * m / CELLS
        a = np.array([[-2.0 * hop * (1.0 - np.cos(q)) - bind, unbind], [bind, -unbind - decay]])
        share = source * np.cos(0.5 * q) * (1.0 if m == 0 else 2.0) / CELLS
        out += np.linalg.solve(a, (expm(a * t) - np.eye(2)) @ [share, 0.0]).sum() * np.cos(q * place)
    return out


def _smoothing(nodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Counts of a full simulation as rows of data: least squares on the coarse grid's own quadratic elements, read at the rows."""
    h = nodes[2] - nodes[0]

    def values(x: np.ndarray) -> np.ndarray:
        e = np.minimum((x / h).astype(int), len(nodes) // 2 - 1)
        s = x / h - e
        out = np.zeros((len(x), len(nodes)))
        shapes = ((1.0 - s) * (1.0 - 2.0 * s), 4.0 * s * (1.0 - s), s * (2.0 * s - 1.0))
        for j, shape in enumerate(shapes):
            out[np.arange(len(x)), 2 * e + j] = shape
        return out

    return values(rows) @ np.linalg.pinv(values(np.arange(CELLS) + 0.5))


def tissue_speedup(quick: bool) -> dict[str, Any]:
    """1,000 cells, all molecules (Gillespie), over patches with Langevin bursts and leaps, at equal root-mean-square error of the profile."""
    length = 50.0  # decay length, cells
    k_eff = DECAY * RATIO / (1.0 + RATIO)
    d_eff = k_eff * length**2
    rates = np.array([d_eff * (1.0 + RATIO), RATIO * UNBIND, UNBIND, DECAY, 0.0])
    source = MOLECULES * d_eff / length
    t_end = LIFETIMES / k_eff
    exact = exact_mean(source, rates, t_end)
    rows = ROWS * length
    at_rows = np.interp(rows, np.arange(CELLS) + 0.5, exact)

    # equation-free: elements of one decay length, leaps below the limit of stability
    elements = round(CELLS / length)
    nodes, h = 2 * elements + 1, CELLS / elements
    steps = int(np.ceil(1.3 * t_end * 12.0 * d_eff / h**2))
    theta = [d_eff * (1.0 + RATIO), DECAY, RATIO, UNBIND, 0.0]

    def coarse(molecules: float, pairs: int, seed: int) -> Any:
        law = burst(1.0, 4, pairs, 2, 3, 1.0 / UNBIND, 256 * pairs, seed)
        scale = molecules / MOLECULES
        return profile_history(law, theta, scale * source, float(CELLS), nodes, 4.0, rows, t_end, steps, molecules)

    def error_of(molecules: float, pairs: int) -> dict[str, float]:
        y, spent = [], []
        for seed in range(8 if quick else 16):
            kernel = coarse(molecules, pairs, seed)
            x = kernel.example.copy()
            x[-1] = 0.0
            kernel(x)
            begin = time.process_time()
            y.append(MOLECULES * kernel(x))
            spent.append(time.process_time() - begin)
        bias, noise = np.mean(y, axis=0) - at_rows, np.std(y, axis=0, ddof=1)
        rms = [float(np.sqrt(np.mean(v**2)) / MOLECULES) for v in (bias, noise)]
        return {"pairs": pairs, "bias": rms[0], "noise": rms[1], "rmse": float(np.hypot(*rms)), "seconds": float(np.median(spent))}

    # every molecule of every cell
    none, runs = np.zeros(CELLS, np.int64), 3 if quick else 8
    j = np.concatenate([[source], np.zeros(CELLS - 1)])
    rng = np.random.default_rng(0)
    smooth = _smoothing(np.linspace(0.0, CELLS, nodes), rows)
    gillespie(rng, line(CELLS), j, rates, none, none, np.array([1e-4 * t_end]))  # compiled
    begin, found, events = time.process_time(), [], 0
    for _ in range(runs):
        counts, n = gillespie(rng, line(CELLS), j, rates, none, none, np.array([t_end]))
        found.append(smooth @ counts[0].sum(axis=0))
        events += n
    seconds = (time.process_time() - begin) / runs
    # the counts are exactly Poisson, so the noise of a smoothed run needs no further runs; the runs check it
    noise = float(np.sqrt(np.mean(smooth**2 @ exact)) / MOLECULES)
    measured = float(np.sqrt(np.mean((np.array(found) - smooth @ exact) ** 2)) / MOLECULES)
    if not 0.5 < measured / noise < 2.0:
        raise AssertionError(f"noise of a full run is {measured:.2e}, the exact law says {noise:.2e}")
    bias = float(np.sqrt(np.mean((smooth @ exact - at_rows) ** 2)) / MOLECULES)

    # as many pairs of bursts as bring the coarse profile to the error of one full run
    for pairs in (1, 2, 4, 8, 16, 32):
        same = error_of(MOLECULES, pairs)
        if same["rmse"] <= noise:
            break
    else:
        raise AssertionError(f"32 pairs of bursts leave an error of {same['rmse']:.2e}, one full run {noise:.2e}")
    many = error_of(100.0 * MOLECULES, 1)

    def full_seconds(target: float) -> float:
        """Seconds of as many full runs as give the mean of their counts this error, if smoothing adds no bias (in favour of the full simulation)."""
        return seconds * noise**2 / target**2

    # all cells by Langevin's equation, an antithetic pair: what variance reduction alone would do without patches and leaps
    dt = 0.2 / (2.0 * rates[0] + rates[1] + UNBIND)
    few = 200
    z = rng.standard_normal((few, CELLS, 6))
    langevin(line(CELLS), j, rates, exact / 2.0, exact / 2.0, dt, z[:1])
    begin = time.process_time()
    langevin(line(CELLS), j, rates, exact / 2.0, exact / 2.0, dt, z)
    pair = 2.0 * (time.process_time() - begin) / few * t_end / dt
    detail = {
        "cells": CELLS,
        "decay length (cells)": length,
        "cells in patches": 4 * (nodes - 1),
        "leaps": steps,
        "estimator": "full: least squares of all counts on the quadratic elements of the coarse grid; equation-free: coarse profile",
        "variance reduction": "equation-free: antithetic pairs of Langevin bursts with fixed normals, flux by its intensity; full: none",
        "equation-free, molecules as in the tissue": same,
        "equation-free, 100 times the molecules": many,
        "full run": {"seconds": seconds, "events": events / runs, "noise": noise, "noise measured": measured, "bias of smoothing": bias},
        "full runs for the same error": full_seconds(same["rmse"]) / seconds,
        "full runs for the error of 100 times the molecules": full_seconds(many["rmse"]) / seconds,
        "ratio with 100 times the molecules (runs extrapolated)": full_seconds(many["rmse"]) / many["seconds"],
        "one antithetic pair of all cells by Langevin (extrapolated) over one of the patches": pair / many["seconds"],
        "note": "seconds of the equation-free profile include its exact tangents; the network is linear, so that errors can be told exactly: "
        "its mean equations would be cheaper than either",
    }
    return {"value": full_seconds(same["rmse"]) / same["seconds"], "detail": detail}
