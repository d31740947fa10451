"""Run the benchmarks: a table on the screen and ``build/bench.json``, {"name": {"value": .., "detail": ..}}.

    make bench ARGS="--only NAME"            or: python -m benchmarks [--only NAME ...] [--quick]

Figures of cases that are not run again stay in the file; each row records its commit, its time and its machine. A case that fails is reported
with its reason and the others go on; the exit code is then 1. A figure that misses its target is shown in yellow: it is a finding, not a failure.
Ratios of CPU times suffer from other processes: run on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import conduction, coverage, fuzz, gel, operator, posterior, reaction, sampling, tissue, whole
from .common import circumstances, cpu_seconds

OUTPUT = Path("build") / "bench.json"
CASES = {  # name: (function, relation to reach, target)
    "operator_overhead": (operator.operator_overhead, "<=", 1.10),
    "evaluate_over_kernel": (operator.evaluate_over_kernel, "<=", 3.0),
    "gradient_cost": (operator.gradient_cost, "<=", 1.6),
    "likelihood_over_macro_solve": (operator.likelihood_over_macro_solve, "<=", 3.0),
    "ess_vs_jax": (sampling.ess_vs_jax, ">=", 20.0),
    "ess_vs_black_box": (sampling.ess_vs_black_box, ">=", 100.0),
    "ess_field_vs_black_box": (sampling.ess_field_vs_black_box, ">=", 1000.0),
    "quadrature_mcse": (posterior.quadrature_mcse, "<=", 4.0),
    "lost_chains": (posterior.lost_chains, "<=", 0.0),
    "cost_flat_in_eps": (conduction.cost_flat_in_eps, "<=", 1.1),
    "resolved_over_hmm": (conduction.resolved_over_hmm, ">=", 300.0),
    "many_cells": (conduction.many_cells, "<=", 5.0),
    "ab_value_gradient_us": (conduction.ab_value_gradient_us, "", None),
    "ab_solve_ratio": (conduction.ab_solve_ratio, "<=", 2.0),
    "ab_min_ess_per_s": (conduction.ab_min_ess_per_s, "", None),
    "ab_ess_vs_metropolis": (conduction.ab_ess_vs_metropolis, ">=", 50.0),
    "ab_gradients_per_ess": (conduction.ab_gradients_per_ess, "", None),
    "homogenisation_coverage": (coverage.homogenisation_coverage, "<=", 0.06),
    "gel_gradient_cost": (gel.gel_gradient_cost, "<=", 2.0),
    "posteriors_per_minute": (gel.posteriors_per_minute, "", None),
    "tissue_speedup": (tissue.tissue_speedup, ">=", 5.0),
    "stiff_speedup": (reaction.stiff_speedup, ">=", 10.0),
    "burst_cost_flat": (reaction.burst_cost_flat, "<=", 1.1),
    "splitting_over_multiscale": (reaction.splitting_over_multiscale, "", None),
    "cold_start_s": (whole.cold_start_s, "", None),
    "warm_start_s": (whole.warm_start_s, "", None),
    "fuzz": (fuzz.fuzz, "<=", 0.0),
    "memory_mb": (whole.memory_mb, "", None),
}


def reached(value: float, relation: str, target: float | None) -> bool:
    """True if a figure meets its target; one without a target always does."""
    return target is None or (value <= target if relation == "<=" else value >= target)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of hmminfer against its floor and its peers.")
    parser.add_argument("--only", action="append", choices=list(CASES), metavar="NAME", help=f"one of {', '.join(CASES)}; may be repeated")
    parser.add_argument("--quick", action="store_true", help="short runs: figures are rough")
    options = parser.parse_args()
    console = Console()
    results: dict[str, Any] = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    failed = False
    table = Table("name", "value", "target", "what")
    for name in options.only or CASES:
        function, relation, target = CASES[name]
        console.print(f"{name} ...", style="dim")
        begin, cpu = time.perf_counter(), cpu_seconds()
        goal = f"{relation} {target:g}" if target is not None else "report"
        try:
            result = function(options.quick)
        except Exception as error:  # one case must not take the others with it
            failed = True
            results.pop(name, None)
            table.add_row(name, "failed", goal, f"{type(error).__name__}: {error}", style="red")
            continue
        took = {"quick": options.quick, "took_s": round(time.perf_counter() - begin, 1), "cpu_s": round(cpu_seconds() - cpu, 1)}
        result["detail"] |= {**took, **circumstances()}
        results[name] = result
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(json.dumps(results, indent=1) + "\n")
        what = " ".join((function.__doc__ or "").split())
        table.add_row(name, f"{result['value']:.4g}", goal, what, style="" if reached(result["value"], relation, target) else "yellow")
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
