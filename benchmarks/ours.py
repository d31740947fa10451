"""Our side of the comparison: ``fit`` of a plate dataset in a process of its own, with the figures the peers report.

The cost is the CPU time of the whole of ``fit`` (search of the modes, tuning, draws, predictions) less that of compiling
the same problem again, because compilation is not charged to the peers either; the search is also timed separately.
The reduced basis of the cell is offline work, done once for a model and kept: its time is reported, not charged.
``python -m benchmarks.ours plate_dic`` prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from hmminfer.inference.posterior import Compiled
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import fit

from .common import plate_model, summarise
from .operator import nutpie_function


def run(dataset: str, draws: int, tune: int, chains: int, seed: int) -> dict[str, Any]:
    """Fit a dataset with NUTS and summarise it."""
    begin = time.process_time()
    model = plate_model(dataset)
    offline = time.process_time() - begin
    problem = Problem.of(model)
    Compiled(problem)  # fills the caches
    begin = time.process_time()
    compiled = Compiled(problem)
    compile_seconds = time.process_time() - begin
    begin = time.process_time()
    compiled.standardise(compiled.modes(seed))
    search_seconds = time.process_time() - begin
    begin = time.process_time()
    tree = fit(model, draws=draws, tune=tune, chains=chains, seed=seed, cores=1, progress=False)
    cpu = time.process_time() - begin - compile_seconds
    posterior = {k: np.asarray(v.values) for k, v in tree["posterior"].data_vars.items()}
    steps = int(tree["sample_stats"]["n_steps"].sum())
    last = compiled.coordinates.to_v(tree["sampler_state"]["last"].values[0])
    gradient = nutpie_function(compiled.nutpie, np.ascontiguousarray(last))
    begin = time.process_time()
    for _ in range(100):
        gradient()
    per_gradient = (time.process_time() - begin) / 100
    return {
        **summarise(posterior),
        "cpu_seconds": cpu,
        "compile_seconds": compile_seconds,
        "search_seconds": search_seconds,
        "offline_seconds": offline,
        "drawing_gradients": steps,
        "seconds_per_gradient": per_gradient,
        "divergences": int(tree["sample_stats"]["diverging"].sum()),
        "draws": draws * chains,
        "log_likelihood": float(tree["log_likelihood"]["observed"].sum("row").mean()),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    for name, default in (("draws", 500), ("tune", 500), ("chains", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    print(json.dumps(run(a.dataset, a.draws, a.tune, a.chains, a.seed)))


if __name__ == "__main__":
    main()
