"""Conduction: cost of many cells, independence of the cost from eps, and the benchmark of Aristoff and Bangerth."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import skfem
from threadpoolctl import threadpool_limits

from hmminfer import models
from hmminfer.engine.coupling import couple, each
from hmminfer.engine.kernel import Kernel
from hmminfer.inference.sampling import fit
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import elliptic_kernel
from hmminfer.macro.resolved import resolved
from hmminfer.micro.conductive_table import conductive_table, table_error

from .common import summarise
from .operator import _ms, bare, gradient_function, interleaved


def _heat() -> Any:
    return models.get("heat_composite")


def bare_solve(macro: Kernel, x: np.ndarray) -> Any:
    """One bare factorisation and solve of an elliptic problem's own band matrix."""
    _, u, _ = macro.code.forward(x, *macro.data)
    dofs, zone, unit, load, prescribed = macro.data[:5]
    band, stride = macro.data[-1]
    n = load.size - prescribed.size
    ab = np.zeros((n, band + 1))
    from hmminfer.macro.elliptic import add_stiffness

    add_stiffness(x.reshape(-1, stride), 1.0, dofs, zone, unit, ab, np.zeros_like(u))
    rhs = np.ones((1, n))
    return lambda: bare(ab, rhs)


def many_cells(quick: bool) -> dict[str, Any]:
    """2,048 quadrature points with a cell and two micro parameters each: value and gradient over one macro solve."""
    side = np.linspace(0.0, 1.0, 33)
    domain = Domain(skfem.MeshTri.init_tensor(side, side), 1)
    n = domain.weights.size
    fixed = domain.boundary
    points = np.stack(np.meshgrid(*[np.linspace(0.1, 0.9, 9)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    zone = np.arange(n).reshape(domain.weights.shape)
    observe = domain.interpolation(points)[0]
    macro = elliptic_kernel(domain, fixed, np.zeros(len(fixed)), domain.load(1.0), observe, zone=zone, stride=4)
    law = conductive_table("square", 4)
    rng = np.random.default_rng(0)
    theta = np.concatenate([[1.0, 1.0, 1.0, 1.0], np.exp(rng.normal(1.5, 0.5, n)), rng.uniform(0.2, 0.6, n)])
    index = [i for p in range(n) for i in (0, 4 + p, 1, 4 + n + p, 2, 3)]
    kernel = couple(each(law, n), macro, index, [], [], theta)
    y = kernel(theta)
    effective = each(law, n)(theta[index])
    functions = {
        "value and gradient": gradient_function(kernel, theta, 0.9 * y, np.full(len(y), 1e-3)),
        "macro factorisation and solve": bare_solve(macro, effective),
    }
    t = interleaved(functions, 50 if quick else 300)
    detail = {**_ms(t), "points": n, "parameters": 2 * n, "unknowns": int((~fixed).sum()), "error of the table": table_error(law)}
    return {"value": t["value and gradient"] / t["macro factorisation and solve"], "detail": detail}


TRUTH = {"conductivity": 1.0, "conductivity_slope": 0.8}
FINE = 20  # bilinear elements to a period of the resolved solve, extrapolated from these and half as many


def _periodic(**settings: Any) -> Any:
    """FE-HMM model that solves the cell of every macro point, as needed for a pattern that does not scale."""
    return _heat().EXPERIMENTS["periodic"].model("periodic_square", **{"cell": "full", **settings})


def _resolved(period: int, fine: int = FINE) -> tuple[np.ndarray, float]:
    """Values of the resolved problem at eps = 1 / period, ``fine`` elements to a period, and CPU seconds."""
    table = _periodic().table
    points = np.stack([table.columns["x"], table.columns["y"]], axis=1)
    oscillation = _heat().oscillation
    begin = time.process_time()
    u = resolved(lambda x, y: (1.0 + 0.8 * x) * oscillation(period * x, period * y), 1.0, fine * period, points)
    return u, time.process_time() - begin


@cache
def _eps(quick: bool) -> dict[int, tuple[np.ndarray, float]]:
    return {period: _resolved(period) for period in ((8, 16) if quick else (8, 16, 32, 64))}


def cost_flat_in_eps(quick: bool) -> dict[str, Any]:
    """HMM value and gradient at the smallest eps over the same at 1/8; the ratio of the resolved solver for comparison."""
    runs = _eps(quick)
    last = max(runs)
    functions, misfit = {}, {}
    for period in (8, last):  # a model of its own for each eps, with the data of that eps
        model = _periodic(periods=period)
        theta, data = model.vector(TRUTH), runs[period][0]
        functions[f"HMM, eps = 1/{period}"] = gradient_function(model.kernel, theta, data, model.table.sd)
        misfit[period] = float(np.sqrt(np.mean(((model.kernel(theta) - data) / model.table.sd) ** 2)))
    t = interleaved(functions, 30 if quick else 100)
    names = list(functions)
    detail = {**_ms(t), **{f"resolved, eps = 1/{p} (s)": s for p, (_, s) in runs.items()}}
    detail["ratio of the resolved solver"] = runs[last][1] / runs[8][1]
    detail["misfit at the truth by period, in sds of the noise"] = misfit
    return {"value": t[names[1]] / t[names[0]], "detail": detail}


def resolved_over_hmm(quick: bool) -> dict[str, Any]:
    """CPU of a resolved solve at the smallest eps over HMM (value, every cell solved), each 0.15 % from the solution it approximates."""
    runs = _eps(quick)
    last = max(runs)
    exact = _periodic(cell="scaled", elements=32, cell_elements=128).evaluate(TRUTH)  # the homogenised problem: 1e-6
    converged = _resolved(8, 48)[0]  # the mesh's own error is a matter of elements to a period, and the same at every eps
    seconds, errors = {}, {}
    for cell in ("full", "scaled"):
        model = _periodic(elements=4, cell=cell)
        theta = model.vector(TRUTH)
        errors[cell] = float(np.max(np.abs(model.kernel(theta) - exact)) / exact.max())
        count = 20 if cell == "full" else 1000
        begin = time.process_time()
        for _ in range(count):
            model.kernel(theta)
        seconds[cell] = (time.process_time() - begin) / count
    detail = {
        "HMM value (ms)": {cell: 1e3 * t for cell, t in seconds.items()},
        "HMM error, micro and macro": errors,
        "resolved (s)": runs[last][1],
        "error of the resolved mesh": float(np.max(np.abs(runs[8][0] - converged)) / converged.max()),
        "ratio where one cell is scaled": runs[last][1] / seconds["scaled"],
        "homogenisation error by period": {p: float(np.max(np.abs(u - exact)) / exact.max()) for p, (u, _) in runs.items()},
    }
    return {"value": runs[last][1] / seconds["full"], "detail": detail}


def _blocks() -> Any:
    return _heat().EXPERIMENTS["blocks"].model("aristoff_bangerth")


@cache
def _ab_times(quick: bool) -> dict[str, float]:
    model = _blocks()
    a = np.ones((8, 8))
    a[1:3, 1:3], a[5:7, 5:7] = 0.1, 10.0
    theta = a.ravel()
    both = gradient_function(model.kernel, theta, model.table.value, model.table.sd)
    law = each(_homogeneous(), 64)
    macro = model.scene["macro"]
    functions = {"value and gradient": both, "factorisation and solve": bare_solve(macro, law(theta))}
    return interleaved(functions, 200 if quick else 2000)


def _homogeneous() -> Kernel:
    from hmminfer.micro.homogeneous import isotropic

    return isotropic()


def ab_value_gradient_us(quick: bool) -> dict[str, Any]:
    """Aristoff-Bangerth: value and gradient of the misfit, microseconds."""
    t = _ab_times(quick)
    return {"value": 1e6 * t["value and gradient"], "detail": _ms(t)}


def ab_solve_ratio(quick: bool) -> dict[str, Any]:
    """Aristoff-Bangerth: value and gradient over one banded factorisation and solve."""
    t = _ab_times(quick)
    return {"value": t["value and gradient"] / t["factorisation and solve"], "detail": _ms(t)}


def metropolis(model: Any, draws: int, seed: int) -> tuple[np.ndarray, float]:
    """Random-walk Metropolis in ln theta with the same forward, step tuned to 0.23 in a first part: draws (draws, 64), CPU seconds."""
    rng = np.random.default_rng(seed)
    kernel, table, prior = model.kernel, model.table, model.parameters["conductivity"].prior
    x = np.zeros(64)

    def density(x: np.ndarray) -> float:
        r = (kernel.code.forward(np.exp(x), *kernel.data)[0] - table.value) / table.sd
        return -0.5 * float(r @ r) - 0.5 * float(np.sum(((x - np.log(prior.median)) / prior.sigma) ** 2))

    begin = time.process_time()
    now, step, kept = density(x), 0.1, np.empty((draws, 64))
    for i in range(-draws // 4, draws):
        trial = x + step * rng.standard_normal(64)
        new = density(trial)
        accepted = np.log(rng.random()) < new - now
        if accepted:
            x, now = trial, new
        if i < 0:
            step *= np.exp(0.1 * (float(accepted) - 0.23))
        else:
            kept[i] = x
    return kept, time.process_time() - begin


@cache
def _ab_sampled(quick: bool) -> dict[str, Any]:
    """Both samplers on ln theta: NUTS by fit, and random-walk Metropolis, one core."""
    model = _blocks()
    draws, chains = (300, 2) if quick else (2000, 4)
    with threadpool_limits(1, "blas"):
        fit(model, draws=5, tune=5, chains=1, seed=1, cores=1, progress=False)  # compilation is not charged
        begin = time.process_time()
        tree = fit(model, draws=draws, tune=500, chains=chains, seed=1, cores=1, progress=False)
        cpu = time.process_time() - begin
        x = np.log(tree["posterior"]["conductivity"].values)
        ours = summarise({"ln theta": x}, ())
        size = 20_000 if quick else 200_000
        walks = [metropolis(model, size, seed) for seed in (1, 2)]
        theirs = summarise({"ln theta": np.stack([w[0][::20] for w in walks])}, ())
    quantiles = {q: np.quantile(x, q, axis=(0, 1)).round(3).tolist() for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return {
        "ours": {**ours, "cpu_seconds": cpu, "gradients": int(tree["sample_stats"]["n_steps"].sum()), "draws": draws * chains},
        "divergences": int(tree["sample_stats"]["diverging"].sum()),
        "metropolis": {**theirs, "cpu_seconds": sum(w[1] for w in walks), "evaluations": int(2.5 * size)},
        "quantiles of ln theta": quantiles,
    }


def ab_min_ess_per_s(quick: bool) -> dict[str, Any]:
    """Aristoff-Bangerth: least ESS of ln theta per CPU second of fit, tuning included, on one core."""
    run = _ab_sampled(quick)
    return {"value": run["ours"]["min_ess"] / run["ours"]["cpu_seconds"], "detail": run}


def ab_ess_vs_metropolis(quick: bool) -> dict[str, Any]:
    """Aristoff-Bangerth: least ESS of ln theta per CPU second over that of random-walk Metropolis with the same forward."""
    run = _ab_sampled(quick)
    rates = {k: run[k]["min_ess"] / run[k]["cpu_seconds"] for k in ("ours", "metropolis")}
    return {"value": rates["ours"] / rates["metropolis"], "detail": {"per_second": rates}}


def ab_gradients_per_ess(quick: bool) -> dict[str, Any]:
    """Aristoff-Bangerth: gradients for one effective draw of the worst ln theta, while drawing."""
    run = _ab_sampled(quick)
    return {"value": run["ours"]["gradients"] / run["ours"]["min_ess"], "detail": {"divergences": run["divergences"]}}
