"""Effective draws per CPU second against peers: JAX with NumPyro, and a black box in PyMC."""

from __future__ import annotations

from functools import cache
from typing import Any

from .common import assert_same_posterior, in_one_thread

SEED = 7


@cache
def ours(dataset: str, quick: bool) -> dict[str, Any]:
    """Our fit, once for all comparisons."""
    size = (200, 200, 2) if quick else (1000, 200, 4)  # 200 draws of tuning are enough for either dataset
    return in_one_thread("benchmarks.ours", dataset, *_options(*size))


def _options(draws: int, tune: int, chains: int) -> list[Any]:
    return ["--draws", draws, "--tune", tune, "--chains", chains, "--seed", SEED]


def _rate(run: dict[str, Any]) -> float:
    return run["min_ess"] / run["cpu_seconds"]


def _side(run: dict[str, Any], work: str) -> dict[str, Any]:
    """The figures of one side; ``work`` names its count of gradients or evaluations."""
    names = ("min_ess", "max_rhat", "draws", "mean", "sd", "variant", "divergences")
    return {
        **{k: run[k] for k in names if k in run},
        "ess_per_cpu_second": _rate(run),
        f"{work}_per_ess": run[work] / run["min_ess"],
        **{k: v for k, v in run.items() if k.startswith("seconds_per") or k.endswith(("_seconds", "gradients", "evaluations"))},
    }


def ess_vs_jax(quick: bool) -> dict[str, Any]:
    """min-ESS per CPU second on plate_dic over JAX + NumPyro with a dense mass matrix."""
    checked = in_one_thread("benchmarks.peer_jax", "--check")
    if not max(max(d.values()) for d in checked.values()) < 1e-8:
        raise AssertionError(f"the JAX model is not the same model: {checked}")
    we = ours("plate_dic", quick)
    they = in_one_thread("benchmarks.peer_jax", *_options(*((150, 150, 2) if quick else (500, 500, 2))))
    assert_same_posterior(we, they)
    they["drawing_gradients"] = they["gradients"] - they["tuning_gradients"]
    detail = {
        "ours": _side(we, "drawing_gradients"),
        "jax": _side(they, "drawing_gradients"),
        "check": checked,
        "time_per_gradient_ratio": they["seconds_per_gradient"] / we["seconds_per_gradient"],
        "note": "JAX starts at the truth with the inverse Hessian as mass matrix; its compilation is not charged",
    }
    return {"value": _rate(we) / _rate(they), "detail": detail}


def ess_vs_black_box(quick: bool) -> dict[str, Any]:
    """min-ESS per CPU second on plate_dic over a scikit-fem black box with DEMetropolisZ."""
    checked = in_one_thread("benchmarks.peer_black_box", "check")
    if not max(d["difference"] for d in checked.values()) < 1e-6:
        raise AssertionError(f"the scikit-fem model is not the same model: {checked}")
    we = ours("plate_dic", quick)
    they = in_one_thread("benchmarks.peer_black_box", "plate", *_options(*((500, 300, 2) if quick else (1500, 1000, 2))))
    assert_same_posterior(we, they)
    detail = {"ours": _side(we, "drawing_gradients"), "black_box": _side(they, "evaluations"), "check": checked}
    return {"value": _rate(we) / _rate(they), "detail": detail}


def ess_field_vs_black_box(quick: bool) -> dict[str, Any]:
    """min-ESS per CPU second on tow_steered_plate (112 unknowns) over the same black box; if that does not converge, how far it got."""
    we = ours("tow_steered_plate", quick)
    budget = 20 if quick else 300
    options = ["--budget", budget, "--chains", 2, "--seed", SEED, f"--reference={we['log_likelihood']}"]
    they = in_one_thread("benchmarks.peer_black_box", "field", *options)
    named = ("fibre_angle", "matrix_modulus", "angle_field_amplitude", "angle_field_length")
    mine = _side(we, "drawing_gradients") | {k: {n: we[k][n] for n in named} for k in ("mean", "sd")}
    reached = max(they["log_likelihood_reached"])
    converged = they["max_rhat"] < 1.05 and they["min_ess"] > 100
    they["verdict"] = "converges"
    if not converged:
        they["verdict"] = (
            f"does not converge: after {they['evaluations']} evaluations and {they['cpu_seconds']:.0f} CPU s its best "
            f"chain has log likelihood {reached:.0f}, the posterior {we['log_likelihood']:.0f}; R-hat "
            f"{they['max_rhat']:.2f}, ESS {they['min_ess']:.0f}: the value is a ratio to draws that mean little"
        )
    return {"value": _rate(we) / _rate(they), "detail": {"ours": mine, "black_box": they}}
