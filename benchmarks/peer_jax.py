"""Peer: the model of ``plate_dic`` in JAX with NumPyro's NUTS and a dense mass matrix.

The chains start at the truth of the synthetic data (27 degrees, 0.58, 3.8 GPa), which favours the peer: no search is charged.
Compilation is timed separately and charged to no side. The posterior is a narrow ridge, and NUTS with its default unit mass
matrix spends about 5,000 gradients a chain before its first adaptation; ``mass="laplace"`` (the default here, again in favour of
the peer) starts it from the inverse Hessian. ``python -m benchmarks.peer_jax --draws 300`` prints one line of JSON;
``--check`` compares value and gradient with hmminfer's full cell; ``--time`` measures both solvers.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro.infer import NUTS, init_to_value
from numpyro.infer.util import initialize_model

from .common import TRUTH, plate_model, relative_difference, summarise
from .jax_forward import forward_function

SOLVERS = ("band", "dense")
POINT = np.array([np.radians(2 * TRUTH["fibre_angle"]), TRUTH["matrix_modulus"], TRUTH["volume_fraction"]])


def misfit_function(solver: str) -> Any:
    """Compiled x = (t, matrix modulus, volume fraction) -> (half the chi-square, its gradient)."""
    model = plate_model("plate_dic", "full")
    forward = forward_function(model, solver)
    value, sd = model.table.value, model.table.sd
    return jax.jit(jax.value_and_grad(lambda x: 0.5 * jnp.sum(((forward(x[0], x[1], x[2]) - value) / sd) ** 2)))


def time_solvers(repeats: int = 5) -> dict[str, float]:
    """CPU seconds per value and gradient with each solver."""
    out = {}
    for solver in SOLVERS:
        function = misfit_function(solver)
        jax.block_until_ready(function(jnp.array(POINT)))
        times = []
        for k in range(repeats):
            start = time.process_time()
            jax.block_until_ready(function(jnp.array(POINT) * (1.0 + 1e-4 * k)))
            times.append(time.process_time() - start)
        out[solver] = float(np.median(times))
    return out


def check(solver: str) -> dict[str, float]:
    """Relative differences of value and gradient from hmminfer's full cell, away from the truth."""
    model = plate_model("plate_dic", "full")
    x = np.array([np.radians(2 * 31.0), 4.2, 0.61])
    theta = model.vector({"fibre_angle": 31.0, "matrix_modulus": x[1], "volume_fraction": x[2]})
    y = model.kernel(theta)
    residual = (y - model.table.value) / model.table.sd**2
    _, theta_bar = model.kernel.value_and_pullback(theta, residual)
    where = model.parameters.slices()
    ours = np.array([theta_bar[where[name].start] for name in TRUTH])
    _, gradient = misfit_function(solver)(jnp.array(x))
    forward = jax.jit(forward_function(model, solver))
    return {"value": relative_difference(forward(*x), y), "gradient": float(np.max(np.abs(np.asarray(gradient) / ours - 1.0)))}


def inverse_hessian(potential: Any, z: dict[str, Any]) -> tuple[np.ndarray, int]:
    """Inverse Hessian of the potential at the unconstrained point ``z`` by differences; number of gradients used."""
    x, unravel = ravel_pytree(z)
    gradient = jax.jit(jax.grad(lambda v: potential(unravel(v))))
    steps = 1e-3 * np.eye(x.size)
    hessian = np.array([(gradient(x + h) - gradient(x - h)) / 2e-3 for h in steps])
    return np.linalg.inv(0.5 * (hessian + hessian.T)), 2 * x.size


def run(draws: int, tune: int, chains: int, seed: int, solver: str | None = None, mass: str = "laplace") -> dict[str, Any]:
    """Sample ``plate_dic``: posterior summary, CPU seconds (tuning included), leapfrog steps, time of compilation."""
    costs = time_solvers() if solver is None else {}
    variant = solver or min(costs, key=costs.__getitem__)
    data = plate_model("plate_dic", "full")
    forward = forward_function(data, variant)

    def model() -> None:
        t = numpyro.sample("t", dist.Normal(0.0, 10.0))
        modulus = numpyro.sample("matrix_modulus", dist.LogNormal(np.log(4.0), 0.5))
        fraction = numpyro.sample("volume_fraction", dist.TruncatedNormal(0.62, 0.06, low=0.30, high=0.80))
        numpyro.sample("observed", dist.Normal(forward(t, modulus, fraction), data.table.sd), obs=data.table.value)

    start = dict(zip(("t", "matrix_modulus", "volume_fraction"), POINT, strict=True))
    strategy = init_to_value(values=start)
    keys = jax.random.split(jax.random.PRNGKey(seed), chains)
    begin = time.process_time()
    inverse, gradients = None, 0
    if mass == "laplace":
        info = initialize_model(keys[0], model, init_strategy=strategy)
        inverse, gradients = inverse_hessian(info.potential_fn, info.param_info.z)
    kernel = NUTS(model, dense_mass=True, inverse_mass_matrix=inverse, init_strategy=strategy)
    states = [kernel.init(key, tune, None, (), {}) for key in keys]
    step = jax.jit(lambda state: kernel.sample(state, (), {})).lower(states[0]).compile()
    constrain = kernel.postprocess_fn((), {})
    compile_seconds = time.process_time() - begin

    begin = time.process_time()
    positions, tuning, divergences = [], 0, 0
    for state in states:
        chain = []
        for i in range(tune + draws):
            state = step(state)
            gradients += int(state.num_steps)
            tuning += int(state.num_steps) * (i < tune)
            if i >= tune:
                divergences += int(state.diverging)
                chain.append({k: np.asarray(v) for k, v in state.z.items()})
        positions.append({k: np.array([z[k] for z in chain]) for k in chain[0]})
    cpu = time.process_time() - begin
    sampled = [jax.vmap(constrain)(z) for z in positions]
    stacked = {k: np.stack([np.asarray(z[k]) for z in sampled]) for k in sampled[0]}
    named = {"fibre_angle": np.degrees(stacked["t"]) / 2, **{k: stacked[k] for k in ("matrix_modulus", "volume_fraction")}}
    return {
        **summarise(named),
        "cpu_seconds": cpu,
        "compile_seconds": compile_seconds,
        "gradients": gradients,
        "tuning_gradients": tuning,
        "seconds_per_gradient": cpu / gradients,
        "divergences": divergences,
        "draws": draws * chains,
        "variant": f"{variant} solver, {mass} mass matrix at the start",
        "solver_seconds": costs,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("draws", 300), ("tune", 300), ("chains", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--solver", choices=SOLVERS)
    parser.add_argument("--mass", choices=("laplace", "identity"), default="laplace")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--time", action="store_true")
    a = parser.parse_args()
    if a.check:
        print(json.dumps({s: check(s) for s in ([a.solver] if a.solver else SOLVERS)}))
    elif a.time:
        print(json.dumps(time_solvers()))
    else:
        print(json.dumps(run(a.draws, a.tune, a.chains, a.seed, a.solver, a.mass)))


if __name__ == "__main__":
    main()
