"""Shared by all sides of a comparison: the same model and data, clean processes, and one way to summarise draws."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from arviz_stats.base import array_stats

from hmminfer import models
from hmminfer.system.model import Model

from . import ONE_THREAD

TRUTH = {"fibre_angle": 27.0, "matrix_modulus": 3.8, "volume_fraction": 0.58}  # of plate_dic, see its provenance


def plate_model(dataset: str, cell: str = "reduced") -> Model:
    """Our model of a plate dataset, with absolute displacements as the peers have them; ``cell``: "full" solves the cell itself, as they do."""
    experiment = models.get("fibre_composite").EXPERIMENTS["plate"]
    return experiment.model(dataset, cell=cell, rigid_motion="none")


def in_one_thread(module: str, *arguments: Any) -> dict[str, Any]:
    """Run ``python -m module arguments`` with every thread pool at one, and read the JSON of its last line."""
    command = [sys.executable, "-m", module, *(str(a) for a in arguments)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} ended with code {done.returncode}; its message is above.")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_seconds() -> float:
    """CPU time of this process, all threads, and of its finished children."""
    use = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in use)


def circumstances() -> dict[str, Any]:
    """Commit, time, processor and load of a figure, so that an old figure can be recognised."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "commit": asked.stdout.strip() or "unknown",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} x {(names or [platform.machine()])[0]}",
        "load": round(os.getloadavg()[0], 2),
    }


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readlines()
    except OSError:
        return []


def summarise(draws: Mapping[str, np.ndarray], axial: Sequence[str] = ("fibre_angle",)) -> dict[str, Any]:
    """Means, sds, their Monte Carlo errors, worst R-hat and worst ESS of draws (chain, draw) or (chain, draw, entry).

    Axial angles (degrees) are averaged on the circle; their R-hat and ESS are those of cos t and sin t, t = 2 theta.
    """
    out: dict[str, Any] = {"mean": {}, "sd": {}, "mcse": {}, "ess": {}, "rhat": {}}
    scalars = {}
    for name, x in draws.items():  # a vector counts by its entries
        x = np.asarray(x, float)
        scalars |= {name: x} if x.ndim == 2 else {f"{name}[{i}]": x[:, :, i] for i in range(x.shape[2])}
    for name, x in scalars.items():
        views = {name: x}
        if name in axial:
            t = np.radians(2.0 * x)
            views = {f"cos 2 {name}": np.cos(t), f"sin 2 {name}": np.sin(t)}
            centre = 0.5 * np.degrees(np.angle(np.mean(np.exp(1j * t))))
            x = centre + np.mod(x - centre + 90.0, 180.0) - 90.0
        out["mean"][name], out["sd"][name] = float(x.mean()), float(x.std(ddof=1))
        out["mcse"][name] = float(array_stats.mcse(x, chain_axis=0, draw_axis=1))
        for label, v in views.items():
            out["ess"][label] = float(array_stats.ess(v, chain_axis=0, draw_axis=1))
            out["rhat"][label] = float(array_stats.rhat(v, chain_axis=0, draw_axis=1))
    out["min_ess"], out["max_rhat"] = (float(f(list(out[k].values()))) for f, k in ((np.min, "ess"), (np.max, "rhat")))
    return out


def assert_same_posterior(ours: Mapping[str, Any], theirs: Mapping[str, Any], names: Sequence[str] = tuple(TRUTH)) -> None:
    """Raise an error unless the means agree within 4 Monte Carlo standard errors of both sides together, and the sds within 15 %.

    Otherwise a comparison of speeds means nothing. With so few effective draws that 15 % is within the noise of an sd, 4 of its standard errors
    are allowed.
    """
    noise = np.sqrt(0.5 / ours["min_ess"] + 0.5 / theirs["min_ess"])
    allowed = max(np.log(1.15), 4.0 * noise)
    for name in names:
        difference = abs(ours["mean"][name] - theirs["mean"][name])
        error = np.hypot(ours["mcse"][name], theirs["mcse"][name])
        ratio = ours["sd"][name] / theirs["sd"][name]
        if not difference < 4.0 * error:
            raise AssertionError(f"posterior means of {name} differ by {difference / error:.1f} Monte Carlo standard errors (4 allowed).")
        if not abs(np.log(ratio)) < allowed:
            raise AssertionError(f"posterior sds of {name} have the ratio {ratio:.3f} (up to {np.exp(allowed):.2f} either way allowed).")


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over the largest entry."""
    return float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b)))
