"""Text and tables that the command prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from hmminfer.errors import HmmInferError, unknown
from hmminfer.inference.modes import modes_of
from hmminfer.system.likelihood import POISSON
from hmminfer.system.shown import counted, prior_text, rows_told, story
from hmminfer.terminal import Printed, grid, say

PREVIEW = "Preview (Gaussian approximation)"


def asked(problem: Any, recipe: Any) -> list[Any]:
    """Model, data, unknowns with their priors and fixed values of a fit, to print."""
    model, table = problem.model, problem.table
    units_of = _units_of_settings(model)
    known = {**table.settings, **model.about}
    settings = ", ".join(
        f"{k} = {f'{v:.6g} {units_of[k]}'.rstrip() if k in units_of and isinstance(v, float) else v}" for k, v in known.items() if str(v) != ""
    )
    noise = f"noise: {recipe.noise or 'sd of each row'}"
    if model.likelihood == POISSON:
        noise = "counts: Poisson's law"
    elif model.simulated:
        noise = f"simulated; tolerance: {recipe.noise or 'sd of each row'}"
    rows = [[p.name, p.unit, prior_text(p), p.description] for p in problem.free]
    lines = [
        f"Model    {model.name}, experiment {model.experiment}" + (f" ({settings})" if settings else ""),
        f"Data     {table.name}: {counted(table)}{rows_told(table)}; {noise}; discrepancy: {recipe.discrepancy}",
        *(f"Note     {warning}" for warning in table.warnings),
        f"Seed     {recipe.seed}",
        "",
        grid("Hidden", ["parameter", "unit", "prior", ""], rows),
    ]
    held = [f"{k} = {v} {model.parameters[k].unit}".rstrip() for k, v in model.fixed.items()]
    return [*lines, "", f"Known    {', '.join(held)}"] if held else lines


def _units_of_settings(model: Any) -> dict[str, str]:
    """Units of the settings of a model's experiment; of a joint model, which has several, none."""
    from hmminfer import models

    try:
        return {s.name: s.unit for s in models.get(model.name).EXPERIMENTS[model.experiment].schema.settings}
    except (HmmInferError, KeyError):
        return {}


def modes_text(problem: Any, tree: Any) -> list[str]:
    """Separate modes of the posterior, in words; empty if there is one mode."""
    if problem is None:
        return []
    found = modes_of(tree)
    modes = [m for m in found if m.weight >= 0.005]  # a smaller one would be printed as 0 %
    small = len(found) - len(modes)
    told = [f"The search found {small} further mode{'s' if small > 1 else ''} of less than 0.5 % of the posterior.", ""] if small else []
    if len(modes) < 2:
        return told
    values = [problem.constrain(m.x) for m in modes]
    names = [p.name for p in problem.free if p.axial and p.size is None] or [p.name for p in problem.free if p.size is None]
    unit = {p.name: p.unit for p in problem.free}
    lines = [f"The posterior has {len(modes)} separate modes; each is a possible answer, and their average is none:"]
    for m, v in zip(modes, values, strict=True):
        at = ", ".join(f"{n} = {float(v[n]):.4g} {unit[n]}".rstrip() for n in names[:6])
        lines.append(f"  {100 * m.weight:3.0f} %  {at}")
    axial = any(p.axial for p in problem.free)
    what = "Another angle, a rosette or a displacement field" if axial else "A measurement of another kind"
    return [*lines, f"{what} would tell them apart.", "", *told]


def prior_table(problem: Any, seed: int) -> Printed:
    """Intervals that priors and noise predict, beside the data."""
    from hmminfer.inference.reading import INTERVAL, interval
    from hmminfer.inference.results import prior_predictive

    y = prior_predictive(problem, 500, seed)
    low, high = interval(y[np.isfinite(y).all(axis=1)])
    table = problem.table
    shown = np.unique(np.linspace(0, len(table) - 1, min(12, len(table))).round().astype(int))
    rows = [
        [
            str(table.quantity[i]),
            float(table.value[i]),
            float(low[i]),
            float(high[i]),
            str(table.unit[i]),
            "" if low[i] <= table.value[i] <= high[i] else "outside",
        ]
        for i in shown
    ]
    return grid(f"Prior predictive ({INTERVAL})", ["quantity", "data", "low", "high", "unit", ""], rows)


def outcome(run: Any, quiet: bool = False) -> None:
    """Print the summary, the checks and the folder of a run; if quiet, only the checks that failed and the folder."""
    from hmminfer.diagnostics.checking import checks, checks_table
    from hmminfer.diagnostics.summary import derived_table, summary, summary_table
    from hmminfer.inference.reading import Reading

    reading = Reading.of(run.tree)
    if not quiet:
        say(summary_table(summary(reading), PREVIEW if reading.method == "laplace" else "Posterior"), *derived_table(reading), "")
        say(*modes_text(run.problem, run.tree))
    if quiet:  # otherwise said before sampling
        say(*(f"Note: {warning}" for warning in run.problem.table.warnings), err=True)
    found = [c for c in checks(reading) if c.ok is False or not quiet]
    if found:
        say(checks_table(found), "")
    say(f"Saved in {run.folder}")
    if not quiet:
        say(*(f"  {file.name}" for file in sorted(run.folder.iterdir())), f"More: hmminfer report {run.folder}")
    if run.tree.attrs.get("interrupted", 0):
        size = run.tree["posterior"].sizes
        more = f"; go on with hmminfer extend {run.folder} --draws N" if reading.method == "nuts" else ""
        say(f"Interrupted: {size['draw']} draws of {size['chain']} {'chains' if size['chain'] > 1 else 'chain'} are kept and usable{more}", err=True)


def model_page(name: str) -> list[Any]:
    """The catalogue, or one physical system: its experiments with their data, description, settings, predictions and parameters."""
    from hmminfer import models

    if not name:
        return [grid("", ["model", ""], [list(row) for row in models.describe().items()]), "More: hmminfer models MODEL"]
    module = models.get(name)
    rows: list[list[Any]] = [[key, ", ".join(e.schema.quantities), e.dataset, e.description] for key, e in module.EXPERIMENTS.items()]
    page: list[Any] = [grid(f"Experiments of {name}: the one that fits your data", ["--experiment", "measured", "dataset", ""], rows), ""]
    page += [f"A file to fill in: hmminfer template {name} --experiment NAME", "", story(module.__doc__), ""]
    for key, e in module.EXPERIMENTS.items():
        page += [f"Experiment {key}: {e.description}; predictions: {', '.join(e.predictions)}", _settings(e.schema.settings), ""]
    page += predictions_page(name)
    tables: dict[tuple, list[str]] = {}  # experiments that share their parameters share a table
    for key, e in module.EXPERIMENTS.items():
        known = [(p.name, p.unit, prior_text(p), f"[{p.lower:g}, {p.upper:g}]", p.description) for p in e.model().parameters if not p.nuisance]
        tables.setdefault(tuple(known), []).append(key)
    for kinds, keys in tables.items():
        title = "Parameters" if len(tables) == 1 else f"Parameters of {', '.join(keys)}"
        page += [grid(title, ["parameter", "unit", "prior", "support", ""], [list(row) for row in kinds]), ""]
    return page[:-1]


def predictions_page(name: str, what: str = "") -> list[Any]:
    """The predictions of a physical system, or one of them, with their settings."""
    from hmminfer import models

    known = models.get(name).PREDICTIONS
    if what and what not in known:
        raise unknown("prediction", what, known)
    page: list[Any] = []
    for key in [what] if what else known:
        page += [f"Prediction {key}: {known[key].description}", _settings(known[key].settings), ""]
    return page


def _settings(settings: Any) -> Printed:
    """Settings with their defaults, bounds and choices."""
    return grid("", ["--set", "default", ""], [[s.name, s.shown, s.facts] for s in settings])


def dataset_page(name: str) -> list[Any]:
    """List of all datasets, or the provenance of one."""
    from hmminfer import datasets

    if not name:
        rows = [[n, datasets.load(n).settings.get("experiment", ""), datasets.describe(n)["title"]] for n in datasets.names()]
        return [grid("", ["dataset", "experiment", ""], rows), "More: hmminfer datasets NAME"]
    about = datasets.describe(name)
    head = f"{name}: {len(datasets.load(name).rows)} rows in {datasets.path(name) / 'data.csv'}"
    return [head, "", *(f"{key}: {str(value).strip()}" for key, value in about.items())]
