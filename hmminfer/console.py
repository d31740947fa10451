"""What the command prints: text and tables on the terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .errors import unknown
from .likelihood import POISSON


def say(*what: Any, err: bool = False) -> None:
    """Print text or tables; text is neither wrapped nor read as markup."""
    terminal = (sys.stderr if err else sys.stdout).isatty()
    console = Console(stderr=err, markup=False, highlight=False, width=None if terminal else 150)
    for item in what:
        console.print(item, soft_wrap=isinstance(item, str))


def grid(title: str, columns: list[str], rows: list[list[Any]]) -> Group:
    """A titled table; numbers have four digits."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        number = bool(rows) and all(isinstance(row[i], float | int) for row in rows)
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row))
    return Group(*([Text(title, style="bold")] if title else []), table)


def frame(title: str, table: Any, index: str = "") -> Group:
    """A pandas table as one to print; missing numbers and empty columns are left out."""
    table = table.reset_index(names=index) if index else table
    table = table.dropna(axis=1, how="all")
    return grid(title, [str(c) for c in table.columns], [list(row) for row in table.itertuples(index=False)])


def asked(problem: Any, recipe: Any) -> list[Any]:
    """What is fitted, to print."""
    model, table = problem.model, problem.table
    counts = {q: int((table.quantity == q).sum()) for q in dict.fromkeys(table.quantity.tolist())}
    number = ", ".join(f"{n} {q}" for q, n in counts.items())
    missing = f"; {table.n_missing} missing" if table.n_missing else ""
    settings = ", ".join(f"{k} = {v}" for k, v in {**table.settings, **model.about}.items())
    noise = f"noise: {recipe.noise or 'sd of each row'}"
    if model.likelihood == POISSON:
        noise = "counts: Poisson's law"
    elif model.simulated:
        noise = f"simulated; tolerance: {recipe.noise or 'sd of each row'}"
    rows = [[p.name, p.unit, prior_text(p), p.description] for p in problem.free]
    lines = [
        f"Model    {model.name}, experiment {model.experiment} ({settings})",
        f"Data     {table.name}: {number}{missing}; {noise}; discrepancy: {recipe.discrepancy}",
        f"Seed     {recipe.seed}",
        "",
        grid("Hidden", ["parameter", "unit", "prior", ""], rows),
    ]
    held = [f"{k} = {v} {model.parameters[k].unit}".rstrip() for k, v in model.fixed.items()]
    return [*lines, "", f"Known    {', '.join(held)}"] if held else lines


def prior_text(p: Any) -> str:
    """Prior as one writes it: LogNormal(4, 0.5)."""
    if hasattr(p, "frequencies"):
        return f"Gaussian process of {p.length} terms"
    values = [f"{v:g}" for v in p.prior.__dict__.values() if abs(v) != float("inf")]
    size = f" x {p.size}" if p.size else ""
    uniform = p.axial and p.prior.__dict__.get("concentration") == 0
    return ("uniform on the circle" if uniform else f"{type(p.prior).__name__}({', '.join(values)})") + size


def modes_text(problem: Any, tree: Any) -> list[str]:
    """Separate modes of the posterior, said plainly."""
    modes = json.loads(tree.attrs["modes"])
    if problem is None or len(modes) < 2:
        return []
    values = [problem.constrain(np.array(m["x"])) for m in modes]
    names = [p.name for p in problem.free if p.axial and p.size is None] or [p.name for p in problem.free if p.size is None]
    unit = {p.name: p.unit for p in problem.free}
    lines = [f"The posterior has {len(modes)} separate modes; each is a possible answer, and their average is none:"]
    for m, v in zip(modes, values, strict=True):
        at = ", ".join(f"{n} = {float(v[n]):.4g} {unit[n]}".rstrip() for n in names[:6])
        lines.append(f"  {100 * m['weight']:3.0f} %  {at}")
    axial = any(p.axial for p in problem.free)
    what = "Another angle, a rosette or a displacement field" if axial else "A measurement of another kind"
    return [*lines, f"{what} would tell them apart.", ""]


def prior_table(problem: Any, seed: int) -> Group:
    """What the priors predict, beside the data."""
    from .results import prior_predictive

    y = prior_predictive(problem, 500, seed)
    low, high = np.nanquantile(y, (0.055, 0.945), axis=0)
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
    return grid("Prior predictive (89 %)", ["quantity", "data", "low", "high", "unit", ""], rows)


def checks_table(found: list[Any]) -> Group:
    """Checks of a result with their advice."""
    word = {True: "ok", False: "LOOK", None: ""}
    return grid("Checks", ["check", "found", "", ""], [[c.name, c.value, word[c.ok], c.advice] for c in found])


def outcome(run: Any, quiet: bool = False) -> None:
    """What came out of a run, and where it is; when quiet, only what to look at and where."""
    from .diagnostics import checks, summary

    if not quiet:
        say(frame("Posterior", summary(run.tree), "parameter"), "", *modes_text(run.problem, run.tree))
    found = [c for c in checks(run.tree) if c.ok is False or not quiet]
    if found:
        say(checks_table(found), "")
    say(f"Saved in {run.folder}")
    if not quiet:
        say(*(f"  {file.name}" for file in sorted(run.folder.iterdir())), f"More: hmminfer report {run.folder}")
    if run.tree.attrs["interrupted"]:
        size = run.tree["posterior"].sizes
        kept = f"{size['draw']} draws of {size['chain']} chains are kept and usable"
        say(f"Interrupted: {kept}; go on with hmminfer extend {run.folder} --draws N", err=True)


def model_page(name: str) -> list[Any]:
    """The catalogue, or one physical system."""
    from . import models

    if not name:
        return [grid("", ["model", ""], [list(row) for row in models.CATALOGUE.items()]), "More: hmminfer models MODEL"]
    module = models.get(name)
    page: list[Any] = [(module.__doc__ or "").strip(), ""]
    for key, e in module.EXPERIMENTS.items():
        page.append(f"Experiment {key}: {e.description}; data: {e.dataset}; predictions: {', '.join(e.predictions)}")
        page += [_settings(e.schema.settings), ""]
    page += predictions_page(name)
    tables: dict[tuple, list[str]] = {}  # experiments that share their parameters share a table
    for key, e in module.EXPERIMENTS.items():
        rows = [(p.name, p.unit, prior_text(p), f"[{p.lower:g}, {p.upper:g}]", p.description) for p in e.model().parameters if not p.nuisance]
        tables.setdefault(tuple(rows), []).append(key)
    for kinds, keys in tables.items():
        title = "Parameters" if len(tables) == 1 else f"Parameters of {', '.join(keys)}"
        page += [grid(title, ["parameter", "unit", "prior", "support", ""], [list(row) for row in kinds]), ""]
    return page[:-1]


def predictions_page(name: str, what: str = "") -> list[Any]:
    """The predictions of a physical system, or one of them, with what can be set."""
    from . import models

    known = models.get(name).PREDICTIONS
    if what and what not in known:
        raise unknown("prediction", what, known)
    page: list[Any] = []
    for key in [what] if what else known:
        page += [f"Prediction {key}: {known[key].description}", _settings(known[key].settings), ""]
    return page


def _settings(settings: Any) -> Group:
    """Settings with their defaults, bounds and choices."""
    return grid("", ["--set", "default", ""], [[s.name, s.shown, s.facts] for s in settings])


def dataset_page(name: str) -> list[Any]:
    """All datasets, or where one comes from."""
    from . import datasets

    if not name:
        rows = [[n, datasets.load(n).settings.get("experiment", ""), datasets.describe(n)["title"]] for n in datasets.names()]
        return [grid("", ["dataset", "experiment", ""], rows), "More: hmminfer datasets NAME"]
    about = datasets.describe(name)
    head = f"{name}: {len(datasets.load(name).rows)} rows in {datasets.path(name) / 'data.csv'}"
    return [head, "", *(f"{key}: {str(value).strip()}" for key, value in about.items())]
