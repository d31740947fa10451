"""Checks of a result after sampling, each with a value found and a sentence of advice."""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from hmminfer.diagnostics.summary import shown_r_hat, summary
from hmminfer.inference.axial import axial_modes
from hmminfer.inference.modes import modes_of
from hmminfer.inference.reading import LONG, Reading
from hmminfer.terminal import Printed, grid

FEW = 400  # draws below which a histogram of 30 bins tells nothing of its ends


@dataclass(frozen=True)
class Check:
    """Outcome of one check: the value found, ``ok`` (None for a note, or if the check does not apply), and advice."""

    name: str
    value: str
    ok: bool | None
    advice: str


def checks(tree: xr.DataTree | Reading) -> list[Check]:
    """All checks of a result of :func:`hmminfer.fit` or :func:`hmminfer.preview`: sampler, data, priors, modes."""
    reading = Reading.of(tree)
    of_each = (_sampling, _thinned, _predictive, _steps, _pushed, _sensitivity_check, _modes_check)
    return [found for check in of_each for found in check(reading)]


def checks_table(found: list[Check]) -> Printed:
    """Table of checks with their advice, as printed by the command and in reports."""
    word = {True: "ok", False: "LOOK", None: "note"}
    return grid("Checks", ["", "check", "found", "advice"], [[word[c.ok], c.name, c.value, c.advice] for c in found])


def _sampling(reading: Reading) -> list[Check]:
    if reading.method == "laplace":
        return [
            Check(
                "sampling", "Laplace approximation", None, "A preview draws from a Gaussian around each mode; sample with fit() before you conclude."
            )
        ]
    import arviz as az

    table, tree = summary(reading), reading.tree
    r_hat, bulk, tail = table["r_hat"].max(), table["ess_bulk"].min(), table["ess_tail"].min()
    more = "Chains differ: sample longer; if it stays, look at the trace for a chain in a mode of its own."
    out = [Check("R-hat < 1.01", f"{shown_r_hat(r_hat)} ({table['r_hat'].idxmax()})", bool(r_hat < 1.01), "Chains agree." if r_hat < 1.01 else more)]
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


def _thinned(reading: Reading) -> list[Check]:
    """A note if the predictions of some draws only are kept, see :func:`hmminfer.inference.results.assemble`."""
    every = int(reading.tree.attrs.get("predictions_every", 1))
    advice = "So many rows and draws: predictions of the other draws are not kept. Nothing else is thinned."
    return [Check("predictions", f"of one draw in {every}", None, advice)] if every > 1 else []


def _predictive(reading: Reading) -> list[Check]:
    """Each row's z = (observed - predictive mean) / predictive sd; P(chi2 replicated > chi2 observed); data within
    the prior predictive.

    The bound on |z| is the one that the largest of n standard normals stays below in 95 % of cases.
    """
    rows = reading.rows
    names = [r.name for r in rows]
    y, sd = np.array([r.observed for r in rows]), np.array([r.sd for r in rows])
    clean, drawn, prior = (np.stack([getattr(r, of) for r in rows], axis=1) for of in ("clean", "predictive", "prior"))
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
    if reading.method != "abc":  # there the prediction is random too, and no row has a noise of its own
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


def _steps(reading: Reading) -> list[Check]:
    """Largest ratio of a row's discretisation error to its noise at the posterior mean; no check for a model that states no accuracy."""
    worst = float(reading.tree.attrs.get("discretisation_over_noise", math.nan))
    if math.isnan(worst):
        return []
    ok = worst < 0.5
    advice = "They are fine enough." if ok else "They are too coarse for such data: take more of them, and fit again."
    return [Check("steps and elements < 0.5 of the noise", f"{worst:.2g}", ok, advice)]


def _pushed(reading: Reading) -> list[Check]:
    """Parameters whose posterior mean lies at least 2 prior sds from the prior median, or that pile up on a bound."""
    out = []
    for e in reading.entries:
        name, x = e.name, e.draws
        if e.axial or name not in reading.prior:
            continue
        before, unit = reading.prior[name].ravel(), f" {e.unit}".rstrip()
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
    """End of the range ("lower", "upper") at which the density is within a factor of two of its peak and the prior's is not; "" for
    neither. Two standard errors are added to the prior's count, because a parameter that the data do not inform has the prior's shape.
    """
    if x.size < FEW:
        return ""
    now, then = (np.histogram(v, bins=30)[0] for v in (x, before))
    for name, i in (("lower", 0), ("upper", -1)):
        if now[i] > 0.5 * now.max() and not then[i] + 2.0 * np.sqrt(then[i]) > 0.5 * then.max():
            return name
    return ""


def _sensitivity_check(reading: Reading) -> list[Check]:
    """Power scaling of prior and likelihood by 1 % (Kallioinen et al. 2024), through ArviZ."""
    name = "prior sensitivity < 0.05"
    tree = reading.tree
    if reading.method == "laplace" or not {"log_prior", "log_likelihood"} <= set(tree.children):
        return [Check(name, "not applicable", None, "Needs draws of the posterior with log_prior and log_likelihood.")]
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
        return [Check(name, "not applicable", None, f"ArviZ could not compute it: {error}.")]
    finally:
        log.setLevel(level)
    found = {str(k): str(v) for k, v in table["diagnosis"].items() if "potential" in str(v)}
    if not found:
        return [Check(name, f"{table['prior'].max():.2f}", True, "Conclusions do not hang on the priors.")]
    words = "; ".join(f"{k}: {v.removeprefix('potential ')}" for k, v in found.items())
    advice = "Say in the conclusions that these depend on their priors; refit with another prior to see how much."
    return [Check(name, f"{table['prior'].max():.2f}", False, f"{words}. {advice}")]


def _modes_check(reading: Reading) -> list[Check]:
    many = []
    for e in reading.entries:
        modes = axial_modes(e.draws) if e.axial else []
        if len(modes) > 1:
            many.append(f"{e.name}: " + ", ".join(f"{m.mean:.1f} +- {m.sd:.1f} ({m.share:.0%})".replace("%", " %") for m in modes))
    weights = [m.weight for m in modes_of(reading.tree)]
    found = f"{len(weights)} found by search" if weights else "not searched"
    if many:
        advice = "The data do not tell these apart: report all, or add a measurement that does (a rosette, a field)."
        return [Check("modes", "; ".join(many), None, advice)]
    one = len(weights) < 2
    return [Check("modes", found, True if one else None, "One mode." if one else "Compare the chains: modes may differ in other unknowns.")]
