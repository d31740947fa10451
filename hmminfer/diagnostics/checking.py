"""Checks of a result after sampling, each with a value found and a sentence of advice."""

from __future__ import annotations

import json
import logging
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from hmminfer.diagnostics.summary import shown_r_hat, summary
from hmminfer.inference.axial import axial_modes
from hmminfer.inference.laplace import FAR_OFF
from hmminfer.inference.misfit import FAR, Misfit, driven
from hmminfer.inference.modes import modes_of
from hmminfer.inference.noise import SCALE_OF
from hmminfer.inference.reading import LONG, Entry, Reading
from hmminfer.system.accuracy import OF_NOISE
from hmminfer.system.draws import attribute
from hmminfer.terminal import Printed, grid

UNSOLVED = "The model has no solution at any draw: see its settings, and the priors."
AGREE = 1.01  # R-hat of chains that agree (Vehtari et al. 2021)
FINEST, COARSEST = 1e-7, 10.0  # sd of a row over its value, or the largest of its quantity, beyond which a unit or a digit is wrong
SURPRISE = 100.0  # times what the model gives, from which a unit is more likely wrong than the priors


@dataclass(frozen=True)
class Check:
    """Outcome of one check: the value found, ``ok`` (None for a note, or if the check does not apply), and advice."""

    name: str
    value: str
    ok: bool | None
    advice: str


def checks(tree: xr.DataTree | Reading, problem: Any = None) -> list[Check]:
    """All checks of a result of :func:`hmminfer.fit` or :func:`hmminfer.preview`: sampler, data, priors, modes.

    A trace that PyMC sampled of :func:`hmminfer.build` needs its ``problem`` (or model) beside it.
    """
    reading = Reading.of(tree, problem)
    of_each = (_doubts, _sampling, _thinned, _predictive, _noise, _prior_predictive, _steps, _pushed, _sensitivity_check, _modes_check)
    return [found for check in of_each for found in check(reading)]


def checks_table(found: list[Check]) -> Printed:
    """Table of checks with their advice, as printed by the command and in reports."""
    word = {True: "ok", False: "LOOK", None: "note"}
    return grid("Checks", ["", "check", "found", "advice"], [[word[c.ok], c.name, c.value, c.advice] for c in found])


def _doubts(reading: Reading) -> list[Check]:
    """Sentences on data that are hard to believe or contradict what is taken as known, said once more with the result."""
    return [Check("data", "doubtful", False, sentence) for sentence in json.loads(reading.tree.attrs.get("doubts", "[]"))]


def _sampling(reading: Reading) -> list[Check]:
    if reading.method == "laplace":
        share = float(reading.tree.attrs.get("effective_share", math.nan))
        found = "Laplace approximation" + ("" if math.isnan(share) else f", {100 * share:.0f} % effective")
        advice = "A preview draws from a Gaussian around each mode; sample with fit() before you conclude."
        if share < FAR_OFF:
            advice += " Here the posterior is no Gaussian: its middle and its width may both be off."
        return [Check("sampling", found, False if share < FAR_OFF else None, advice)]
    import arviz as az

    table, tree = summary(reading), reading.tree
    r_hat, bulk, tail = table["r_hat"].max(), table["ess_bulk"].min(), table["ess_tail"].min()
    agree = bool(r_hat < AGREE)
    more = "Chains agree." if agree else "Chains differ: sample longer; if it stays, look at the trace for a chain in a mode of its own."
    if not agree and len(reading.rows) < len(reading.prior):
        more += f" {len(reading.rows)} data do not hold {len(reading.prior)} unknowns: name the material, narrow priors, or fix what is known."
    out = [Check(f"R-hat < {AGREE:g}", f"{shown_r_hat(r_hat)} ({table['r_hat'].idxmax()})", agree, more)]
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
    """Each row's z = (observed - predictive mean) / predictive sd; P(chi2 replicated > chi2 observed), see :class:`.Misfit`.

    The bound on |z| is the one that the largest of n standard normals stays below in 95 % of cases.
    """
    rows = reading.rows
    solved = np.logical_and.reduce([np.isfinite(reading.of_rows("fitted", k)).all(axis=1) for k in reading.measured])
    out = []
    if not solved.all():
        advice = "The others are left out: the approximation reaches beyond what the model can be solved for." if solved.any() else UNSOLVED
        out.append(Check("draws solved", f"{solved.sum()} of {solved.size}", None if solved.any() else False, advice))
    if not solved.any():
        return out
    names = [r.name for r in rows]
    y = np.array([r.observed for r in rows])
    away = y - np.array([r.predictive.mean() for r in rows])
    spread = np.array([r.predictive.std() for r in rows])
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
    out.append(Check(f"predictive |z| < {bound:.1f}", f"{np.abs(z[worst[0]]):.1f} ({names[worst[0]]})", ok, advice))
    if reading.method != "abc":  # there the prediction is random too, and no row has a noise of its own
        clean, drawn = ({k: reading.of_rows(group, k) for k in reading.measured} for group in ("fitted", "posterior_predictive"))
        misfit = Misfit.of(reading.measured, clean, drawn)
        advice = misfit.advice([e.name for e, _, _ in _driven(reading)]) + _in_view_of(reading, misfit.ok)
        out.append(Check("chi2 p-value > 0.05", misfit.value, misfit.ok, advice))
        if misfit.pattern:
            out.append(Check("residuals like noise", "smooth", False, misfit.pattern))
    return out


def _in_view_of(reading: Reading, ok: bool) -> str:
    """Sentences that say how much a fit proves, or that all specimens were taken as one material."""
    unknowns = [e for e in reading.entries if e.name in reading.prior]
    if ok and any(e.name.startswith(SCALE_OF) for e in reading.entries):
        return " It was inferred, and so explains any: compare its size with that of the instrument."
    if ok and len(reading.rows) <= len(unknowns):
        return f" With {len(reading.rows)} data for {len(unknowns)} unknowns it could hardly be otherwise."
    settings: dict[str, Any] = attribute(reading.tree["posterior"].attrs, "settings", {})
    specimens = {str(v) for q in reading.measured.values() if "specimen" in q.coords for v in q.coords["specimen"].values} - {""}
    if not ok and len(specimens) > 1 and settings.get("specimen") == "all":
        return f" All {len(specimens)} specimens are taken as one material: --set specimen=NAME fits one."
    return ""


def _noise(reading: Reading) -> list[Check]:
    """The sd of the rows over their values; a check only where it is beyond what instruments measure."""
    out = []
    for name, values in reading.measured.items():
        sd, unit, size = reading.values("constant_data", "sd")[values["row"].values], str(values.attrs.get("units", "")), np.abs(values.values)
        fine, coarse = sd < FINEST * size, sd > COARSEST * size.max()
        if fine.any() or coarse.all():
            i = int(np.argmin(sd / np.where(size > 0.0, size, np.inf) if fine.any() else -sd))
            words = f"an sd of {sd[i]:.2g} {unit}".rstrip() + f" for {name} = {values.values[i]:.4g} {unit}".rstrip()
            what = "No instrument measures so finely" if fine.any() else "Such data say nothing"
            out.append(Check("sd plausible", words, False, f"{what}: check the sd and its unit, and that value and sd are not exchanged."))
    return out


def _prior_predictive(reading: Reading) -> list[Check]:
    """Data within the prior predictive, and the factor by which a datum is beyond what priors and fitted model give, which is often that of a unit."""
    rows = reading.rows
    outside, far = _unexpected(reading), []
    for name, values in reading.measured.items():  # of a whole quantity: single rows may be near zero
        size = np.sqrt(np.mean(values.values**2))
        for group in ("prior_predictive", "fitted"):
            squares = np.mean(reading.of_rows(group, name) ** 2, axis=1)
            expected = np.sqrt(np.nanmedian(squares)) if np.isfinite(squares).any() else 0.0
            if size > SURPRISE * expected > 0.0:
                far.append((size / expected, name))
    ok = len(outside) <= 0.1 * len(rows)
    shown = ", ".join(outside[:4]) + (" ..." if len(outside) > 4 else "")
    advice = "The priors expected such data." if ok else f"The priors did not expect {shown}: check units and labels, or widen the priors."
    if not ok and far:
        factor, name = max(far)
        advice = f"{name} is {factor:.1g} times what the model gives: its unit is implausible. Correct the unit, the value or the priors."
    return [Check("data within prior predictive 95 %", f"{len(rows) - len(outside)} of {len(rows)} rows", ok, advice)]


def _unexpected(reading: Reading) -> list[str]:
    """Rows outside the central 95 % of the prior predictive, by more than the chance of its few draws."""
    rows = reading.rows
    drawn = np.stack([r.prior for r in rows], axis=1)
    tail = max(0.0, 0.025 - 2.0 * math.sqrt(0.025 * 0.975 / len(drawn)))
    low, high = np.nanquantile(drawn, [tail, 1.0 - tail], axis=0)
    return [r.name for r, a, b in zip(rows, low, high, strict=True) if not a <= r.observed <= b]


def _steps(reading: Reading) -> list[Check]:
    """Largest ratio of a row's discretisation error to its noise at the posterior mean; no check for a model that states no accuracy."""
    worst = float(reading.tree.attrs.get("discretisation_over_noise", math.nan))
    if math.isnan(worst):
        return []
    ok, finer = worst < OF_NOISE, reading.tree.attrs.get("discretisation_remedy", "finer ones, or a smaller accuracy")
    advice = "They are fine enough." if ok else f"They are too coarse for such data: give {finer}, and fit again."
    return [Check(f"steps and elements < {OF_NOISE} of the noise", f"{worst:.2g}", ok, advice)]


def _driven(reading: Reading) -> list[tuple[Entry, float, str]]:
    """Entries at a bound or far from their prior, with the prior sds and the bound, see :func:`.driven`."""
    out = []
    for e in reading.entries:
        if not e.axial and e.name in reading.prior:
            z, edge = driven(e.draws, reading.prior[e.name].ravel(), e.bounds)
            out += [(e, z, edge)] if abs(z) >= FAR or edge else []
    return out


def _pushed(reading: Reading) -> list[Check]:
    """Parameters whose posterior mean lies at least 2 prior sds from the prior median, or that lie or pile up on a bound."""
    out = []
    for e, z, edge in _driven(reading):
        x, before, unit = e.draws, reading.prior[e.name].ravel(), f" {e.unit}".rstrip()
        way = "up" if z > 0 else "down"
        low, high = np.quantile(before, [0.055, 0.945])  # of a heavy tail the sd hangs on a few draws
        now, then = f"{x.mean():.3g} +- {x.std():.2g}{unit}", f"{np.median(before):.3g}{unit} (89 %: {low:.2g} to {high:.2g})"
        words = f"{e.name} {now} is pushed {way} from its prior {then}"
        words += f" and lies on its {edge} bound" if edge else ""
        advice = (
            "Either the prior is wrong, or the model lacks something and this parameter makes up for it (a model "
            "discrepancy): do not read it as measured."
        )
        out.append(Check("pushed", words, False, advice))
    return out or [Check("pushed", "none", True, "No parameter is driven far from its prior.")]


def _from_data(reading: Reading) -> dict[str, float]:
    """Share of each unknown's precision that the data give, 1 - (posterior sd / prior sd)^2, of the logarithm where the prior is positive and skewed."""
    out = {}
    for e in reading.entries:
        before = reading.prior.get(e.name)
        if e.axial or before is None:
            continue
        skewed = min(before.min(), e.draws.min()) > 0.0 and stats.skew(before, axis=None) > 1.0
        now, then = (np.log(v) if skewed else v for v in (e.draws, before))
        out[e.name] = max(0.0, 1.0 - float(np.var(now) / np.var(then)))
    return out


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
    value = f"{table['prior'].max():.2f}"
    conflict = [str(k) for k, v in table["diagnosis"].items() if "conflict" in str(v)]
    if conflict and len(_unexpected(reading)) > 0.1 * len(reading.rows):
        advice = f"{', '.join(conflict)}: prior and data disagree, for the priors did not expect such data; find out which is wrong."
        return [Check(name, value, False, advice)]
    from_data = _from_data(reading)
    weak = {k: v for k, v in from_data.items() if v < 0.5}
    moved = [str(k) for k, v in table["prior"].items() if float(v) > 0.05 and from_data.get(str(k), 0.0) >= 0.5]
    if not weak and not moved:
        return [Check(name, value, True, "The data give more than half of the precision of every unknown.")]
    shares = ", ".join(f"{k} {v:.0%}".replace("%", " %") for k, v in sorted(weak.items(), key=lambda item: item[1]))
    said = [f"Of the precision of these the data give the smaller part, the prior the rest; say so with the result: {shares}."] if weak else []
    if moved:
        said.append(f"The data narrow {', '.join(moved)}, but where to hangs on the priors, those of other unknowns too: see what other priors give.")
    return [Check(name, value, None, " ".join(said))]


def _modes_check(reading: Reading) -> list[Check]:
    many = []
    for e in reading.entries:
        modes = axial_modes(e.draws) if e.axial else []
        if len(modes) > 1:
            many.append(f"{e.name}: " + ", ".join(f"{m.mean:.1f} +- {m.sd:.1f} ({m.share:.0%})".replace("%", " %") for m in modes))
    weights = [m.weight for m in modes_of(reading.tree)]
    if not weights and not many:
        return [Check("modes", "not searched", None, "The sampler began without a search: chains that agree may all be in one mode of several.")]
    found = f"{len(weights)} found by search"
    if many:
        advice = "The data do not tell these apart: report all, or add a measurement that does (a rosette, a field)."
        return [Check("modes", "; ".join(many), None, advice)]
    one = len(weights) < 2
    return [Check("modes", found, True if one else None, "No other was found." if one else "Compare the chains: modes may differ in other unknowns.")]
