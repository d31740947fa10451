"""The report of a result: summary, checks, identifiability, and figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from hmminfer.diagnostics.checking import Check, checks, checks_table
from hmminfer.diagnostics.sensitivity import Identifiability, identifiability
from hmminfer.diagnostics.summary import derived_table, summary, summary_table
from hmminfer.errors import HmmInferError
from hmminfer.figures.overview import posterior_figure
from hmminfer.figures.sampling_figures import predictive_figure, prior_posterior_figure, rank_figure, trace_figure
from hmminfer.inference.reading import Reading
from hmminfer.terminal import say, text_of


@dataclass(frozen=True, eq=False)
class Report:
    """Result of :func:`report`; ``figures`` by name; ``text`` as printed."""

    summary: pd.DataFrame
    checks: list[Check]
    identifiability: Identifiability | None
    figures: dict[str, Any]
    text: str

    @property
    def ok(self) -> bool:
        """True if no check failed."""
        return all(c.ok is not False for c in self.checks)

    def __repr__(self) -> str:
        look = ", ".join(dict.fromkeys(c.name for c in self.checks if c.ok is False))
        return (
            f"Report of {len(self.summary)} unknowns and {len(self.checks)} checks (to look at: {look or 'none'}); figures {', '.join(self.figures)}"
        )


def report(tree: xr.DataTree | Reading, problem: Any = None, folder: str | Path | None = None, show: bool = True) -> Report:
    """Summary, checks and figures of a result; if its problem (or model) is given, also its identifiability.

    ``folder`` receives report.txt and the figures as PNG; files that exist there are an error. ``show``: print the report,
    and display the figures in a notebook.
    """
    reading = Reading.of(tree, problem)
    plots: dict[str, Callable[[], Any]] = {
        "predictive": partial(predictive_figure, reading),
        "prior_posterior": partial(prior_posterior_figure, reading),
    }
    if reading.method != "laplace":
        plots |= {"trace": partial(trace_figure, reading), "rank": partial(rank_figure, reading)}
    model = getattr(problem, "model", problem)
    if model is not None:
        plots = {"posterior": partial(posterior_figure, reading, model), **plots}
    targets = [Path(folder) / name for name in ("report.txt", *(f"{k}.png" for k in plots))] if folder is not None else []
    for path in targets:
        if path.exists():
            raise HmmInferError(f"'{path}' exists already and is not overwritten; give another folder, or remove it.")
    table, found = summary(reading), checks(reading)
    seen = identifiability(problem) if problem is not None else None
    title = "{} ({}): {}".format(*(reading.tree.attrs.get(k, "") for k in ("model", "experiment", "data")))
    parts = [] if seen is None else ["What the data can see, before sampling", seen.text(), ""]
    parts += [summary_table(table, title), *derived_table(reading), "", checks_table(found)]
    if show:
        say(*parts)
    made = {name: make() for name, make in plots.items()}
    if targets:
        targets[0].parent.mkdir(parents=True, exist_ok=True)
        targets[0].write_text(text_of(*parts), encoding="utf-8")
        for path, figure in zip(targets[1:], made.values(), strict=True):
            figure.savefig(path, dpi=150)
    if show and "ipykernel" in sys.modules:
        from IPython.display import display

        for figure in made.values():
            display(figure)
    return Report(table, found, seen, made, text_of(*parts))
