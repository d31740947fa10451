"""Posterior quantiles of the benchmark of Aristoff and Bangerth with their Monte Carlo errors, for comparison with other codes.

    python -m benchmarks.aristoff_bangerth OUTPUT.csv [--density "log theta"] [--draws 2000] [--chains 4] [--seed 1]

One line for each block, counted from 0 along each axis: q05, q25, q50, q75, q95 of ln theta over all chains,
each with its Monte Carlo error, then bulk ESS and R-hat. The two files in benchmarks/results are its output for both densities.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from arviz_stats.base import array_stats

from hmminfer import models
from hmminfer.inference.sampling import fit

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
DENSITIES = ("theta", "log theta")


def rows(x: np.ndarray, density: str) -> list[dict[str, Any]]:
    """Quantiles and errors of draws (chain, draw, block) of ln theta."""
    n = round(np.sqrt(x.shape[2]))
    out = []
    for block, draws in enumerate(np.moveaxis(x, 2, 0)):
        row: dict[str, Any] = {"density": density, "block_x": block // n, "block_y": block % n}
        for level, value in zip(LEVELS, np.quantile(draws, LEVELS), strict=True):
            error = array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="quantile", prob=level)
            row |= {f"q{100 * level:02.0f}": f"{value:.4f}", f"q{100 * level:02.0f}_mcse": f"{float(error):.4f}"}
        row["ess"] = f"{float(array_stats.ess(draws, chain_axis=0, draw_axis=1)):.0f}"
        row["r_hat"] = f"{float(array_stats.rhat(draws, chain_axis=0, draw_axis=1)):.4f}"
        out.append(row)
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aristoff_bangerth", description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--density", choices=DENSITIES, default=DENSITIES[0], help="over which the prior is a density")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--tune", type=int, default=500)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begin = time.process_time()
    model = models.get("heat_composite").EXPERIMENTS["blocks"].model("aristoff_bangerth", density=options.density)
    tree = fit(model, draws=options.draws, tune=options.tune, chains=options.chains, seed=options.seed, cores=1, progress=False)
    posterior: Any = tree["posterior"]
    table = rows(np.log(posterior["conductivity"].values), options.density)
    with options.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    stats: Any = tree["sample_stats"]
    print(
        f"{options.chains} x {options.draws} draws, {int(stats['diverging'].sum())} divergences, "
        f"{int(stats['n_steps'].sum())} gradients while drawing, {time.process_time() - begin:.0f} CPU seconds; "
        f"least ESS {min(float(row['ess']) for row in table):.0f}, "
        f"largest R-hat {max(float(row['r_hat']) for row in table):.3f}; written to {options.output}."
    )


if __name__ == "__main__":
    main()
