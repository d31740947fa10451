"""Whether a result can be trusted: axial summaries, identifiability, checks with advice, calibration, and a report.

    summary(tree)              mean, sd, 89 % interval and convergence of every unknown, by modes for an axial angle
    identifiability(problem)   before sampling: which combinations of the unknowns the data see, in their own names
    checks(tree)               what to look at after sampling, each with a sentence of advice
    report(tree, problem)      all of it, printed, with figures
    sbc(model)                 simulation-based calibration of priors, likelihood and sampler

An axial angle theta is known modulo 180 degrees: everything about it is computed on the double angle t = 2 theta.
"""

from __future__ import annotations

import io
import json
import logging
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from .axial import LONG, SHARE, AxialMode, axial_mode, axial_modes, interval, mode_of
from .calibration import SBC, sbc
from .errors import HmmInferError
from .sensitivity import Identifiability, identifiability

__all__ = ["SBC", "AxialMode", "Check", "Identifiability", "Report", "axial_modes", "checks", "identifiability", "report", "sbc", "summary"]


def summary(tree: xr.DataTree) -> pd.DataFrame:
    """One row for each unknown: mean, sd, 89 % interval (low, high), unit, ess_bulk, ess_tail, r_hat, mcse.

    An axial angle has circular statistics, the worst R-hat and ESS of cos 2 theta and sin 2 theta, and a row for each
    separate mode with that mode's share of the draws. Chains are started in modes in proportion to their weights and
    may stay there: R-hat and ESS are then taken within each mode (the largest R-hat, the sum of the ESS). Draws of the
    Laplace approximation are independent and have no R-hat.
    """
    sampled = tree.attrs.get("method", "nuts") != "laplace"
    entries = list(named_entries(tree["posterior"].to_dataset()))
    axial = {name: mode_of(x) for name, x, p in entries if p["axial"]}
    groups = _modes_of_chains(list(axial.values()), entries[0][1].shape)
    rows: dict[str, dict[str, Any]] = {}
    for name, x, attrs in entries:
        if not attrs["axial"]:
            low, high = interval(x)
            worst = _convergence([x[chains] for chains in groups]) if sampled else {}
            rows[name] = {"mean": x.mean(), "sd": x.std(), "low": low, "high": high, "unit": attrs["units"], **worst}
            continue
        label = axial[name]
        count = label.max() + 1
        for k in range(count):
            mode = axial_mode(x[label == k], x.size)
            title = name if count == 1 else f"{name} (mode {k + 1} of {count}, {mode.share:.0%})".replace("%)", " %)")
            parts = [_of_mode(f(np.radians(2.0 * x)), label == k) for f in (np.cos, np.sin)]
            both = [_convergence([p]) for p in parts] if sampled else [{}]
            worst = {c: (np.max if c == "r_hat" else np.min)([b[c] for b in both]) for c in both[0]}
            rows[title] = {"mean": mode.mean, "sd": mode.sd, "low": mode.low, "high": mode.high, "unit": attrs["units"], **worst}
    out = pd.DataFrame.from_dict(rows, orient="index")
    out = out.reindex(columns=["mean", "sd", "low", "high", "unit", "ess_bulk", "ess_tail", "r_hat"])
    return out.assign(mcse=out["sd"] / np.sqrt(out["ess_bulk"]))


def named_entries(data: xr.Dataset) -> Any:
    """(label, draws (chain, draw), attributes) of every number that goes into tables."""
    for name, variable in data.data_vars.items():
        x = variable.transpose("chain", "draw", ...).values
        attrs = {"axial": 0, "units": "", "symbol": "", "description": "", **variable.attrs}
        if x.ndim == 2:
            yield str(name), x, attrs
        elif x[0, 0].size <= LONG:
            for i, index in enumerate(np.ndindex(x.shape[2:])):
                yield f"{name}[{i}]", x[(..., *index)], attrs


def values_of(tree: xr.DataTree, group: str, name: Any) -> np.ndarray:
    return np.asarray(tree[group].to_dataset()[name])


def _modes_of_chains(labels: list[np.ndarray], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Groups of chains that live in the same mode of every axial angle; one of all when chains move."""
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
    """Draws of one mode as (chain, draw): of chains that spend a fifth of their time there, cut to one length."""
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


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, whether it is well (None: a note, or not applicable), and what to do."""

    name: str
    value: str
    ok: bool | None
    advice: str


def checks(tree: xr.DataTree) -> list[Check]:
    """All checks of a result of :func:`hmminfer.fit` or :func:`hmminfer.preview`: sampler, data, priors, modes."""
    return [*_sampling(tree), *_predictive(tree), *_steps(tree), *_pushed(tree), _sensitivity_check(tree), _modes_check(tree)]


def _sampling(tree: xr.DataTree) -> list[Check]:
    if tree.attrs.get("method", "nuts") == "laplace":
        return [
            Check(
                "sampling", "Laplace approximation", None, "A preview draws from a Gaussian around each mode; sample with fit() before you conclude."
            )
        ]
    import arviz as az

    table = summary(tree)
    r_hat, bulk, tail = table["r_hat"].max(), table["ess_bulk"].min(), table["ess_tail"].min()
    more = "Chains differ: sample longer; if it stays, look at the trace for a chain in a mode of its own."
    out = [Check("R-hat < 1.01", f"{r_hat:.3f} ({table['r_hat'].idxmax()})", bool(r_hat < 1.01), "Chains agree." if r_hat < 1.01 else more)]
    for name, value, row in (("bulk", bulk, table["ess_bulk"].idxmin()), ("tail", tail, table["ess_tail"].idxmin())):
        advice = "Enough independent draws." if value > 400 else "Draw more: the Monte Carlo error of means (bulk) or interval ends (tail) is large."
        out.append(Check(f"ESS {name} > 400", f"{value:.0f} ({row})", bool(value > 400), advice))
    stats_ = tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else xr.Dataset()
    if "diverging" in stats_:
        n = int(stats_["diverging"].sum())
        advice = "None." if n == 0 else "The sampler met curvature it cannot follow: tighten vague priors, or fix what the data do not see."
        out.append(Check("divergences = 0", str(n), n == 0, advice))
    if "energy" in stats_:
        low = float(np.min(az.bfmi(np.asarray(stats_["energy"]))))
        advice = "Energies mix." if low > 0.3 else "Heavy tails are explored slowly: tighten vague priors or sample longer."
        out.append(Check("E-BFMI > 0.3", f"{low:.2f} (worst chain)", low > 0.3, advice))
    return out


def measured_rows(tree: xr.DataTree) -> Any:
    """(label, observed, noise sd, noise-free draws, predictive draws, prior predictive draws) of each datum."""
    observed = tree["observed_data"].to_dataset()
    for name, values in observed.data_vars.items():
        labels = (
            [str(x) for x in observed[f"{name}_specimen"].values] if f"{name}_specimen" in observed.coords else [f"[{i}]" for i in range(values.size)]
        )
        groups = (values_of(tree, g, name).reshape(-1, values.size) for g in ("predictions", "posterior_predictive", "prior_predictive"))
        clean, predictive, prior = groups
        sd = values_of(tree, "constant_data", name)
        for i, label in enumerate(labels):
            yield f"{name} {label}", float(values[i]), float(sd[i]), clean[:, i], predictive[:, i], prior[:, i]


def _predictive(tree: xr.DataTree) -> list[Check]:
    """Each row's z = (observed - predictive mean) / predictive sd; P(chi2 replicated > chi2 observed); data within
    the prior predictive.

    The bound on |z| is the one that the largest of n standard normals stays below in 95 % of cases.
    """
    rows = list(measured_rows(tree))
    names = [r[0] for r in rows]
    y, sd = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    clean, drawn, prior = (np.stack([r[i] for r in rows], axis=1) for i in (3, 4, 5))
    away, spread = y - drawn.mean(axis=0), drawn.std(axis=0)
    z = np.where(away == 0.0, 0.0, away / np.where(spread > 0.0, spread, 1e-300))  # all counts drawn may be 0
    bound = float(stats.norm.isf(0.025 / len(y)))
    worst = np.argsort(-np.abs(z))
    ok = bool(np.abs(z).max() < bound)
    advice = (
        "Every datum is one the fitted model could give."
        if ok
        else "The model cannot give "
        + ", ".join(f"{names[i]} (z = {z[i]:+.1f})" for i in worst[:3] if abs(z[i]) > bound)
        + ": a wrong datum, too small an sd, or a model discrepancy."
    )
    out = [Check(f"predictive |z| < {bound:.1f}", f"{np.abs(z[worst[0]]):.1f} ({names[worst[0]]})", ok, advice)]
    if tree.attrs.get("method") != "abc":  # there the prediction is random too, and no row has a noise of its own
        replicated, observed = (np.sum(((v - clean) / sd) ** 2, axis=1) for v in (drawn, y))
        p = float(np.mean(replicated >= observed))
        advice = (
            "The misfit is what the noise explains."
            if p > 0.05
            else "The misfit is larger than the noise explains: infer the noise or a discrepancy, and see the residuals."
        )
        out.append(Check("chi2 p-value > 0.05", f"{p:.2f}", p > 0.05, advice))
    low, high = np.nanquantile(prior, [0.025, 0.975], axis=0)
    outside = [n for n, v, a, b in zip(names, y, low, high, strict=True) if not a <= v <= b]
    ok = len(outside) <= 0.1 * len(y)
    shown = ", ".join(outside[:4]) + (" ..." if len(outside) > 4 else "")
    advice = "The priors expected such data." if ok else f"The priors did not expect {shown}: check units and labels, or widen the priors."
    return [*out, Check("data within prior predictive 95 %", f"{len(y) - len(outside)} of {len(y)} rows", ok, advice)]


def _steps(tree: xr.DataTree) -> list[Check]:
    """Error of steps and elements at the posterior mean, over the noise of the row where it is largest; where the model states it."""
    worst = float(tree.attrs.get("discretisation_over_noise", math.nan))
    if math.isnan(worst):
        return []
    ok = worst < 0.5
    advice = "They are fine enough." if ok else "They are too coarse for such data: take more of them, and fit again."
    return [Check("steps and elements < 0.5 of the noise", f"{worst:.2g}", ok, advice)]


def _pushed(tree: xr.DataTree) -> list[Check]:
    """Parameters whose posterior mean lies 2 prior sd from the prior median, or that pile up on a bound."""
    prior = dict((name, x) for name, x, _ in named_entries(tree["prior"].to_dataset()))
    out = []
    for name, x, attrs in named_entries(tree["posterior"].to_dataset()):
        if attrs["axial"] or name not in prior:
            continue
        before, unit = prior[name].ravel(), f" {attrs['units']}".rstrip()
        z = (x.mean() - np.median(before)) / before.std()
        if before.min() > 0:
            z = max(z, (np.log(x.mean()) - np.median(np.log(before))) / np.log(before).std(), key=abs)
        edge = _piled(x, before)
        if abs(z) < 2.0 and not edge:
            continue
        way = "up" if z > 0 else "down"
        now, then = f"{x.mean():.3g} +- {x.std():.2g}{unit}", f"{np.median(before):.3g} +- {before.std():.2g}{unit}"
        words = f"{name} {now} is pushed {way} from its prior {then}"
        words += f" and piles up on its {edge} bound" if edge else ""
        advice = (
            "Either the prior is wrong, or the model lacks something and this parameter makes up for it (a model "
            "discrepancy): do not read it as measured."
        )
        out.append(Check("pushed", words, False, advice))
    return out or [Check("pushed", "none", True, "No parameter is driven far from its prior.")]


def _piled(x: np.ndarray, before: np.ndarray) -> str:
    """Which end of its range the density is highest at, within a factor of two, where the prior's is not; "" for
    neither. The prior's gets two standard errors of its count: a parameter that the data do not see has the prior's shape.
    """
    now, then = (np.histogram(v, bins=30)[0] for v in (x, before))
    for name, i in (("lower", 0), ("upper", -1)):
        if now[i] > 0.5 * now.max() and not then[i] + 2.0 * np.sqrt(then[i]) > 0.5 * then.max():
            return name
    return ""


def _sensitivity_check(tree: xr.DataTree) -> Check:
    """Power scaling of prior and likelihood by 1 % (Kallioinen et al. 2024), through ArviZ."""
    name = "prior sensitivity < 0.05"
    if tree.attrs.get("method", "nuts") == "laplace" or not {"log_prior", "log_likelihood"} <= set(tree.children):
        return Check(name, "not applicable", None, "Needs draws of the posterior with log_prior and log_likelihood.")
    import arviz as az

    numbers = [
        str(k)
        for k, v in tree["posterior"].data_vars.items()
        if v.isel(chain=0, draw=0).size <= LONG and not v.attrs.get("nuisance", 0)  # weights of a known law are their prior
    ]
    log = logging.getLogger("arviz_stats")
    level = log.level
    log.setLevel(logging.ERROR)  # it would print what the advice below says
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ArviZ warns of Pareto k of the power scaling, which says the same
            table = az.psense_summary(tree, var_names=numbers)
    except (ValueError, KeyError) as error:
        return Check(name, "not applicable", None, f"ArviZ could not compute it: {error}.")
    finally:
        log.setLevel(level)
    found = {str(k): str(v) for k, v in table["diagnosis"].items() if "potential" in str(v)}
    if not found:
        return Check(name, f"{table['prior'].max():.2f}", True, "Conclusions do not hang on the priors.")
    words = "; ".join(f"{k}: {v.removeprefix('potential ')}" for k, v in found.items())
    advice = "Say in the conclusions that these depend on their priors; refit with another prior to see how much."
    return Check(name, f"{table['prior'].max():.2f}", False, f"{words}. {advice}")


def _modes_check(tree: xr.DataTree) -> Check:
    many = []
    for name, x, attrs in named_entries(tree["posterior"].to_dataset()):
        modes = axial_modes(x) if attrs["axial"] else []
        if len(modes) > 1:
            many.append(f"{name}: " + ", ".join(f"{m.mean:.1f} +- {m.sd:.1f} ({m.share:.0%})".replace("%", " %") for m in modes))
    weights = [m["weight"] for m in json.loads(tree.attrs.get("modes", "[]"))]
    found = f"{len(weights)} found by search" if weights else "not searched"
    if many:
        advice = "The data do not tell these apart: report all, or add a measurement that does (a rosette, a field)."
        return Check("modes", "; ".join(many), None, advice)
    return Check(
        "modes",
        found,
        True if len(weights) < 2 else None,
        "One mode." if len(weights) < 2 else "Compare the chains: modes may differ in other unknowns.",
    )


@dataclass(frozen=True, eq=False)
class Report:
    """What :func:`report` found; ``figures`` by name; ``text`` as printed."""

    summary: pd.DataFrame
    checks: list[Check]
    identifiability: Identifiability | None
    figures: dict[str, Any]
    text: str

    @property
    def ok(self) -> bool:
        """No check failed."""
        return all(c.ok is not False for c in self.checks)


def report(tree: xr.DataTree, problem: Any = None, folder: str | Path | None = None, show: bool = True) -> Report:
    """Summary, checks and figures of a result; with its problem (or model) also what the data can see.

    ``folder`` receives report.txt and the figures as PNG; files that exist there are an error. ``show`` prints, and
    displays in notebooks.
    """
    from rich.console import Console

    from . import figures, sampling_figures

    plots: dict[str, Callable[[], Any]] = {
        "predictive": lambda: sampling_figures.predictive_figure(tree),
        "prior_posterior": lambda: sampling_figures.prior_posterior_figure(tree),
    }
    if tree.attrs.get("method", "nuts") != "laplace":
        plots |= {"trace": lambda: sampling_figures.trace_figure(tree), "rank": lambda: sampling_figures.rank_figure(tree)}
    model = getattr(problem, "model", problem)
    if model is not None:
        plots = {"posterior": lambda: figures.posterior_figure(tree, model), **plots}
    targets = [Path(folder) / name for name in ("report.txt", *(f"{k}.png" for k in plots))] if folder is not None else []
    for path in targets:
        if path.exists():
            raise HmmInferError(f"'{path}' exists already and is not overwritten; give another folder, or remove it.")
    table, found = summary(tree), checks(tree)
    seen = identifiability(problem) if problem is not None else None
    buffer = io.StringIO()
    for console in [Console(file=buffer, width=140), *([Console()] if show else [])]:
        for part in _tables(tree, table, found):
            console.print(part)
        if seen is not None:
            console.print("\n[bold]What the data can see, before sampling[/bold]")
            console.print(seen.text(), markup=False, highlight=False)
    made = {name: make() for name, make in plots.items()}
    if targets:
        targets[0].parent.mkdir(parents=True, exist_ok=True)
        targets[0].write_text(buffer.getvalue(), encoding="utf-8")
        for path, figure in zip(targets[1:], made.values(), strict=True):
            figure.savefig(path, dpi=150)
    if show and "ipykernel" in sys.modules:
        from IPython.display import display

        for figure in made.values():
            display(figure)
    return Report(table, found, seen, made, buffer.getvalue())


def _tables(tree: xr.DataTree, table: pd.DataFrame, found: list[Check]) -> list[Any]:
    from rich.table import Table as RichTable

    first = RichTable(title="{} ({}): {}".format(*(tree.attrs.get(k, "") for k in ("model", "experiment", "data"))), title_justify="left")
    for column in ("unknown", "mean", "sd", f"{SHARE:.0%} interval".replace("%", " %"), "unit", "ESS bulk", "ESS tail", "R-hat"):
        first.add_column(column, justify="left" if column in ("unknown", "unit") else "right")
    for name, r in table.iterrows():
        ess = ["-" if math.isnan(r[c]) else f"{r[c]:.0f}" for c in ("ess_bulk", "ess_tail")]
        first.add_row(
            str(name),
            f"{r['mean']:.4g}",
            f"{r['sd']:.2g}",
            f"{r['low']:.4g} to {r['high']:.4g}",
            r["unit"],
            *ess,
            "-" if math.isnan(r["r_hat"]) else f"{r['r_hat']:.3f}",
        )
    second = RichTable("", "check", "found", "advice", title="Checks", title_justify="left", show_lines=False)
    for c in found:
        mark = {True: "[green]ok[/green]", False: "[red]look[/red]", None: "note"}[c.ok]
        second.add_row(mark, c.name, c.value, c.advice)
    return [first, second]
