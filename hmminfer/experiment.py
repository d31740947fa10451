"""Experiment and prediction: what builds a model, from data and their settings, or from settings alone.

A physical system is a file that declares both: experiments with the schema of their data, predictions with their settings.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from .data import RawTable, Schema, Setting, Table, read_settings, read_table
from .errors import HmmInferError, unknown
from .model import Model, run_of


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model without data: what a system predicts for settings that are read and checked like those of an experiment.

    ``build(**settings)`` gets all of them as numbers in their units; what else its signature names (a function of x and y) can be
    given from Python only. Written with the decorator :func:`prediction`; called like the function, in order or by name.
    """

    build: Callable[..., Model]
    settings: tuple[Setting, ...]

    def __post_init__(self) -> None:
        lines = [f"{s.name}: {s.facts or 'a setting'} ({s.shown})" for s in self.settings]
        about = {"__doc__": "\n".join([inspect.getdoc(self.build) or "", "", *lines])}
        self.__dict__.update(about, __module__=self.build.__module__, __qualname__=self.build.__qualname__)

    def __repr__(self) -> str:
        return f"<prediction {self.build.__name__}: {self.description}>"

    def __reduce__(self) -> str:  # pickled by its name, like the function it stands for
        return self.build.__qualname__

    @property
    def description(self) -> str:
        """What is predicted."""
        text = " ".join((inspect.getdoc(self.build) or "").split("\n\n")[0].split())
        return text.removeprefix("Prediction model: ").rstrip(".")

    def __call__(self, *values: Any, **given: Any) -> Model:
        """The model for settings: numbers, or text with units ("50 um"); None and what is left out take their default.

        Predicted from a posterior, the model takes the settings of its run instead of defaults, see :meth:`of`.
        """
        given = self._named(values, given)
        names = {s.name for s in self.settings}
        others = [p.name for p in inspect.signature(self.build).parameters.values() if p.kind is not p.VAR_KEYWORD]
        python = {k: given.pop(k) for k in others if k not in names and k in given}
        read = read_settings(self.settings, given)
        model = self.build(**read, **python)
        known = {k: v for k, v in read.items() if np.ndim(v) == 0}
        return replace(model, about={**known, **model.about}, again=partial(self.of, **given, **python))

    def of(self, posterior: xr.DataTree | xr.Dataset, *values: Any, **given: Any) -> Model:
        """The model with the settings of the run behind a posterior, unless others are given."""
        given = self._named(values, given)
        taken = {k: v for k, v in self.taken_from(posterior).items() if k not in given}
        for s in self.settings:
            if s.name in taken:
                try:
                    s.read(taken[s.name])
                except HmmInferError as error:
                    raise HmmInferError(f"{error} This is from the run: {s.name} = {taken[s.name]}; set another one.") from error
        return replace(self(**given, **taken), again=None)

    def _named(self, values: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, without those that are left to their default."""
        names = [s.name for s in self.settings]
        if len(values) > len(names) or set(names[: len(values)]) & given.keys():
            raise HmmInferError(f"The settings are {', '.join(names)}; give each of them once, in this order or by name.")
        return {k: v for k, v in {**dict(zip(names, values, strict=False)), **given}.items() if v is not None}

    def taken_from(self, posterior: xr.DataTree | xr.Dataset) -> dict[str, Any]:
        """Those settings of the run that this prediction takes too: by their names where it is one of the experiment's own, and of
        another experiment what both declare alike (a cell), for a load of one test need not be that of the other.
        """
        _, name, known = run_of(posterior)
        experiment = getattr(sys.modules[self.build.__module__], "EXPERIMENTS", {}).get(name)
        theirs = {}
        if experiment is not None and self not in experiment.predictions.values():
            theirs = {s.name: s for s in experiment.schema.settings}
        return {s.name: known[s.name] for s in self.settings if s.name in known and theirs.get(s.name, s) == s}


def prediction(*settings: Setting, **defaults: Any) -> Callable[[Callable[..., Model]], Prediction]:
    """Declare the settings of a prediction; the first of a name counts, ``defaults`` replace theirs.

    >>> @prediction(Setting("points", default=41, kind="integer", lower=2), *SCHEMA.settings, length=50.0)  # doctest: +SKIP
    ... def profile(points, **settings): ...
    """
    first = {s.name: s for s in reversed(settings)}
    ordered = [first[name] for name in dict.fromkeys(s.name for s in settings)]
    for name in defaults:
        if name not in first:
            raise unknown("setting", name, first)
    declared = tuple(replace(s, default=defaults.get(s.name, s.default)) for s in ordered)
    return lambda build: Prediction(build, declared)


@dataclass(frozen=True, eq=False)
class Experiment:
    """One way to test a physical system: what its data look like, and the factory that builds the model for them.

    ``build(table, **options)`` returns a Model whose row i of y is row i of the table; ``dataset`` is fitted when none is named.
    ``predictions`` names what can be predicted from its parameters.
    """

    schema: Schema
    build: Callable[..., Model]
    dataset: str
    description: str = ""
    predictions: Mapping[str, Prediction] = field(default_factory=dict)

    def model(self, data: Any = None, options: Mapping[str, Any] | None = None, **settings: Any) -> Model:
        """Model for data: a path to a CSV file, a dataset's name, a :class:`RawTable` or a checked :class:`Table`.

        ``settings`` replace those of the file. One that names a parameter (here or in the file) fixes it to a value ("230 GPa") or
        gives it a prior ("LogNormal(230 GPa, 0.05)").
        """
        from . import datasets

        options = options or {}
        taken = [p for p in inspect.signature(self.build).parameters if p != "table"]
        for name in options:
            if name not in taken:
                raise HmmInferError(
                    f"The experiment '{self.schema.experiment}' has no option '{name}'"
                    + (f"; it takes {', '.join(taken)}." if taken else "; its choices are settings, see its template.")
                )
        if data is None:
            data = self.dataset
        if isinstance(data, Table):
            return self.build(data, **options)
        if not isinstance(data, RawTable):
            text = str(data)
            data = datasets.load(text) if text in datasets.names() or not _looks_like_path(text) else read_table(text)
        known = {"experiment", *(s.name for s in self.schema.settings)}
        facts = {k: v for k, v in {**data.settings, **settings}.items() if k not in known}
        data = replace(data, settings={k: v for k, v in data.settings.items() if k in known})
        model = self.build(self.schema.check(data, **{k: v for k, v in settings.items() if k in known}), **options)
        return _with_facts(model, facts, known)


def _with_facts(model: Model, facts: Mapping[str, Any], known: set[str]) -> Model:
    """Settings that name a parameter say what is known of it: a value fixes it, a prior replaces its prior."""
    for name in facts:
        if name not in model.parameters.names:
            raise unknown("setting or parameter", name, [*sorted(known), *model.parameters.names])
    priors = {k: v for k, v in facts.items() if isinstance(v, str) and "(" in v}
    model = model.with_priors(priors) if priors else model
    values = {k: float(model.parameters[k].from_vector(model.parameters[k].to_vector(v))) for k, v in facts.items() if k not in priors}
    return replace(model, fixed={**model.fixed, **values}) if values else model


def _looks_like_path(text: str) -> bool:
    return "." in text or "/" in text or "\\" in text
