"""Peer: the plates in PyMC with a black-box operator around a scikit-fem forward model, sampled by DEMetropolisZ.

The operator remembers its last points, because PyMC's Metropolis steps evaluate the current point again at each step;
this favours the peer, as it halves the cost. So does the start of the chains, at the truth of the synthetic data (the
field at its mean angle). ``python -m benchmarks.peer_black_box plate --draws 500`` (or ``field --budget 60``) prints JSON;
``check`` compares with hmminfer.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.op import Op

from hmminfer.system.parameters import Field

from .common import TRUTH, plate_model, relative_difference, summarise
from .skfem_forward import PlateForward


class BlackBox(Op):
    """theta -> y of a Python function; no gradient."""

    itypes = [pt.dvector]  # noqa: RUF012 - PyTensor's way to declare types
    otypes = [pt.dvector]  # noqa: RUF012

    def __init__(self, function: PlateForward) -> None:
        self.function, self.evaluations = function, 0
        self.recent: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
        """Evaluate the function, unless the point is one of the last few."""
        theta = np.asarray(inputs[0])
        key = theta.tobytes()
        if key not in self.recent:
            self.evaluations += 1
            try:
                self.recent[key] = self.function(theta)
            except (RuntimeError, np.linalg.LinAlgError):  # a singular matrix: PyMC rejects NaN
                self.recent[key] = np.full(self.function.n_out, np.nan)
            while len(self.recent) > 4:
                self.recent.popitem(last=False)
        outputs[0][0] = self.recent[key].copy()


def pymc_model(dataset: str) -> tuple[pm.Model, BlackBox, dict[str, Any]]:
    """PyMC model with hmminfer's priors, its black box, and starting values."""
    data = plate_model(dataset, "full")
    box = BlackBox(PlateForward(data))
    start: dict[str, Any] = {"t": np.radians(2 * TRUTH["fibre_angle"]), "matrix_modulus": TRUTH["matrix_modulus"]}
    with pm.Model() as model:
        t = pm.Normal("t", 0.0, 10.0)
        modulus = pm.LogNormal("matrix_modulus", np.log(4.0), 0.5)
        if "volume_fraction" in data.fixed:
            parts = [t, modulus, pt.constant(float(data.fixed["volume_fraction"]))]
        else:
            parts = [t, modulus, pm.TruncatedNormal("volume_fraction", 0.62, 0.06, lower=0.30, upper=0.80)]
            start["volume_fraction"] = TRUTH["volume_fraction"]
        theta = pt.stack(parts)
        for field in (p for p in data.parameters if isinstance(p, Field)):
            amplitude = pm.HalfNormal("amplitude", field.amplitude.standard_deviation)
            length = pm.LogNormal("length", np.log(field.length_scale.median), field.length_scale.sigma)
            z = pm.Normal("z", 0.0, 1.0, shape=field.length)
            beta = pm.Deterministic("beta", z * field.scales(amplitude, length, sqrt=pt.sqrt))
            theta = pt.concatenate([theta, beta])
            start |= {"t": np.radians(2 * 36.0), "amplitude": 15.0, "length": 40.0, "z": np.zeros(field.length)}
        pm.Normal("observed", box(theta), data.table.sd, observed=data.table.value)
    return model, box, start


def _sample(dataset: str, draws: int, tune: int, chains: int, seed: int) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
    model, box, start = pymc_model(dataset)
    with model, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # object mode and short chains: both are the point here
        step = pm.DEMetropolisZ()
        before, begin = box.evaluations, time.process_time()
        tree = pm.sample(
            draws,
            tune=tune,
            chains=chains,
            cores=1,
            step=step,
            initvals=start,
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
            discard_tuned_samples=True,
        )
        cpu = time.process_time() - begin
    posterior = {k: v.values for k, v in tree["posterior"].data_vars.items()}
    posterior["fibre_angle"] = np.degrees(posterior.pop("t")) / 2
    evaluations = box.evaluations - before
    cost = {
        "cpu_seconds": cpu,
        "evaluations": evaluations,
        "seconds_per_evaluation": cpu / max(evaluations, 1),
        "acceptance": float(tree["sample_stats"]["accepted"].mean()),
        "draws": draws * chains,
        "variant": "scikit-fem, SuperLU, DEMetropolisZ",
    }
    return posterior, cost


def run_plate(draws: int, tune: int, chains: int, seed: int) -> dict[str, Any]:
    """Sample ``plate_dic``: posterior summary, CPU seconds with tuning, evaluations of the forward model."""
    posterior, cost = _sample("plate_dic", draws, tune, chains, seed)
    return {**summarise(posterior), **cost}


def run_field(budget: float, chains: int, seed: int, reference: float | None = None) -> dict[str, Any]:
    """Sample ``tow_steered_plate`` for about ``budget`` CPU seconds, half of them tuning, and report how far it got.

    ``reference``: mean log likelihood of a converged posterior; the log likelihood reached is compared with it.
    """
    data = plate_model("tow_steered_plate", "full")
    forward = PlateForward(data)
    theta = np.zeros(3 + data.parameters["angle_field"].length)
    theta[:3] = np.radians(72.0), 3.8, data.fixed["volume_fraction"]
    forward(theta)
    begin = time.process_time()
    for k in range(5):
        forward(theta * (1.0 + 1e-3 * (np.arange(theta.size) == 1) * k))
    each = (time.process_time() - begin) / 5
    steps = max(20, int(budget / each / chains / 2))
    posterior, cost = _sample("tow_steered_plate", steps, steps, chains, seed)
    summary = summarise({k: v for k, v in posterior.items() if k != "z"})
    worst = {k: summary[k] for k in ("min_ess", "max_rhat")}
    last = [np.array([posterior["fibre_angle"][c, -1], posterior["matrix_modulus"][c, -1]]) for c in range(chains)]
    loglik = []
    for c, (angle, modulus) in enumerate(last):
        theta[:3] = np.radians(2 * angle), modulus, data.fixed["volume_fraction"]
        theta[3:] = posterior["beta"][c, -1]
        loglik.append(log_likelihood(forward(theta), data.table))
    named = ("fibre_angle", "matrix_modulus", "amplitude", "length")
    return {
        **worst,
        **cost,
        "mean": {k: summary["mean"][k] for k in named},
        "sd": {k: summary["sd"][k] for k in named},
        "log_likelihood_reached": loglik,
        "log_likelihood_reference": reference,
        "steps": 2 * steps * chains,
    }


def log_likelihood(y: np.ndarray, table: Any) -> float:
    """Log likelihood of the data for a prediction."""
    z = (y - table.value) / table.sd
    return float(-0.5 * np.sum(z**2) - np.sum(np.log(table.sd)) - 0.5 * len(z) * np.log(2 * np.pi))


def check() -> dict[str, Any]:
    """Relative differences from hmminfer's full cell, and seconds per evaluation, for both datasets."""
    out = {}
    for dataset in ("plate_dic", "tow_steered_plate"):
        model = plate_model(dataset, "full")
        values: dict[str, Any] = {"fibre_angle": 31.0, "matrix_modulus": 4.2}
        theta = np.array([np.radians(62.0), 4.2, 0.61])
        if "volume_fraction" in model.fixed:
            values["angle_field"] = np.random.default_rng(0).normal(0, 1.0, model.parameters["angle_field"].length)
            theta = np.concatenate([[np.radians(62.0), 4.2, model.fixed["volume_fraction"]], values["angle_field"]])
        else:
            values["volume_fraction"] = 0.61
        forward = PlateForward(model)
        difference = relative_difference(forward(theta), model.evaluate(values))
        begin = time.process_time()
        forward(theta * (1 + 1e-6 * (np.arange(theta.size) < 2)))
        out[dataset] = {"difference": difference, "seconds": time.process_time() - begin}
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("plate", "field", "check"))
    for name, default in (("draws", 500), ("tune", 500), ("chains", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--budget", type=float, default=120.0, help="CPU seconds of the field")
    parser.add_argument("--reference", type=float, help="mean log likelihood of a converged posterior")
    a = parser.parse_args()
    if a.what == "check":
        result = check()
    elif a.what == "plate":
        result = run_plate(a.draws, a.tune, a.chains, a.seed)
    else:
        result = run_field(a.budget, a.chains, a.seed, a.reference)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
