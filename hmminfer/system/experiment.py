"""Experiments and predictions: both build a model, an experiment from data and their settings, a prediction from settings alone.

A physical system declares both: experiments with the schema of their data, predictions with their settings.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from hmminfer.errors import HmmInferError, unknown
from hmminfer.system import datasets, nuisance, shown
from hmminfer.system.data import Schema
from hmminfer.system.draws import run_of
from hmminfer.system.model import Model
from hmminfer.system.remarks import taken
from hmminfer.system.settings import Setting, read_settings
from hmminfer.system.tables import RawTable, Table, from_frame, read_table


class Names[T](dict[str, T]):
    """A dict whose entries are also attributes, so that a notebook completes them: ``EXPERIMENTS.coupons`` is ``EXPERIMENTS["coupons"]``."""

    def __missing__(self, name: str) -> T:
        raise unknown("name", name, self)

    def __getattr__(self, name: str) -> T:
        if name in self:
            return self[name]
        if name.startswith("_"):  # what Python and notebooks ask of any object
            raise AttributeError(name)
        raise AttributeError(str(unknown("name", name, self)))

    def __dir__(self) -> list[str]:
        return [*self, *super().__dir__()]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.values()))

    def _repr_html_(self) -> str:
        return "".join(entry._repr_html_() for entry in self.values())  # type: ignore[attr-defined]


@dataclass(eq=False, repr=False)
class Prediction:
    """Builder of a model without data, for settings that are read and checked like those of an experiment.

    ``build(**settings)`` receives all settings as numbers in their units; further arguments in its signature (a function of x and y) can be given
    from Python only. Declared with the decorator :func:`prediction`; called with settings in order or by name, like the function itself.
    ``small``: settings of the quickest complete model, for tests. ``siblings``: the experiments of its system, set by :class:`Experiments`.
    """

    build: Callable[..., Model]
    settings: tuple[Setting, ...]
    small: Mapping[str, Any] = field(default_factory=dict)
    siblings: Experiments | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        lines = [f"{s.name}: {s.facts or 'a setting'} ({s.shown})" for s in self.settings]
        about = {"__doc__": "\n".join([inspect.getdoc(self.build) or "", "", *lines])}
        self.__dict__.update(about, __module__=self.build.__module__, __qualname__=self.build.__qualname__)

    def __repr__(self) -> str:
        return f"Prediction {self.build.__name__}: {self.description}\n  settings {', '.join(s.name for s in self.settings) or 'none'}"

    def _repr_html_(self) -> str:
        return shown.settings_html(f"Prediction {self.build.__name__}: {self.description}", self.settings)

    def __reduce__(self) -> str:  # pickled by its name, like the function it stands for
        return self.build.__qualname__

    @property
    def description(self) -> str:
        """Predicted quantity, from the first line of the docstring."""
        text = " ".join((inspect.getdoc(self.build) or "").split("\n\n")[0].split())
        return text.removeprefix("Prediction model: ").rstrip(".")

    def __call__(self, *values: Any, **given: Any) -> Model:
        """Model for the given settings: numbers, or text with units ("50 um"). A setting that is None or left out takes its default.

        If the model then predicts from a posterior, the settings of the posterior's run replace the defaults, see :meth:`of`.
        """
        given = self._named(values, given)
        names = {s.name for s in self.settings}
        others = [p.name for p in inspect.signature(self.build).parameters.values() if p.kind is not p.VAR_KEYWORD]
        python = {k: given.pop(k) for k in others if k not in names and k in given}
        read = read_settings(self.settings, given)
        model = self.build(**read, **python)
        known = {k: v for k, v in read.items() if np.ndim(v) == 0}
        system = "" if self.siblings is None else self.siblings.system
        about = {**known, **model.about}
        home, again = self.build.__module__, partial(self.of, **given, **python)
        return replace(model, name=system, experiment=self.build.__name__, home=home, about=about, again=again)

    def of(self, posterior: xr.DataTree | xr.Dataset, *values: Any, **given: Any) -> Model:
        """Model with the settings of the run that produced a posterior; settings given here override them."""
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
        """Arguments by name, without those that are None."""
        names = [s.name for s in self.settings]
        if len(values) > len(names) or set(names[: len(values)]) & given.keys():
            raise HmmInferError(f"The settings are {', '.join(names)}; give each of them once, in this order or by name.")
        return {k: v for k, v in {**dict(zip(names, values, strict=False)), **given}.items() if v is not None}

    def taken_from(self, posterior: xr.DataTree | xr.Dataset) -> dict[str, Any]:
        """Settings inherited from the run: all shared names if the prediction belongs to the run's experiment, else only those declared alike."""
        _, name, known = run_of(posterior)
        experiment = None if self.siblings is None else self.siblings.get(name)
        theirs = {}
        if experiment is not None and self not in experiment.predictions.values():
            theirs = {s.name: s for s in experiment.schema.settings}
        return {s.name: known[s.name] for s in self.settings if s.name in known and theirs.get(s.name, s) == s}


def prediction(*settings: Setting, small: Mapping[str, Any] | None = None, **defaults: Any) -> Callable[[Callable[..., Model]], Prediction]:
    """Decorator that declares the settings of a prediction. Of settings with the same name the first counts; ``defaults`` are new defaults by name.

    >>> @prediction(Setting("points", default=41, kind="integer", lower=2), *SCHEMA.settings, length=50.0)  # doctest: +SKIP
    ... def profile(points, **settings): ...
    """
    first = {s.name: s for s in reversed(settings)}
    ordered = [first[name] for name in dict.fromkeys(s.name for s in settings)]
    for name in defaults:
        if name not in first:
            raise unknown("setting", name, first)
    declared = tuple(replace(s, default=defaults.get(s.name, s.default)) for s in ordered)
    return lambda build: Prediction(build, declared, small or {})


@dataclass(eq=False, repr=False)
class Experiment:
    """One way to test a physical system: the schema of its data, and the function that builds the model for them.

    Parameters
    ----------
    schema : form of the data; its name is the experiment's.
    build : ``build(table)`` returns a :class:`Model` whose row i of y is row i of the table. Further arguments in its signature (a mesh) can be
        given from Python only.
    dataset : default data: the name of a dataset of the package, or the path of a CSV file.
    description : one line, for lists.
    predictions : predictions from its parameters, by name.
    small : settings of the quickest complete model, for the tests that every kernel must pass; ``variants``: further sets of settings that reach
        other code, each tested on top of ``small``.
    """

    schema: Schema
    build: Callable[..., Model]
    dataset: str
    description: str = ""
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[Mapping[str, Any], ...] = ()
    system: str = field(default="", init=False)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.schema.experiment

    def model(self, data: Any = None, **settings: Any) -> Model:
        """Model for data: a path to a CSV file or spreadsheet, a dataset's name, a pandas DataFrame with the columns of a data file, a
        :class:`RawTable` or a checked :class:`Table`.

        ``settings`` replace those of the file. A setting that names a parameter (here or in the file) fixes it to a value ("230 GPa")
        or gives it a prior ("LogNormal(230 GPa, 0.05)").
        """
        python = {k: settings.pop(k) for k in list(inspect.signature(self.build).parameters)[1:] if k in settings}
        known = {"experiment", *(s.name for s in self.schema.settings)}
        facts = {k: v for k, v in settings.items() if k not in known}
        asked = {k: v for k, v in settings.items() if k in known}
        if isinstance(data, Table):
            if asked:
                raise HmmInferError(f"A checked table has its settings already; give {', '.join(asked)} with the file or the dataset instead.")
            table = data
        else:
            raw = self.schema.located(self.raw(data))
            facts = {**{k: v for k, v in raw.settings.items() if k not in known}, **facts}
            table = self.schema.check(replace(raw, settings={k: v for k, v in raw.settings.items() if k in known}), **asked)
        model = replace(self.build(table, **python), name=self.system, experiment=self.name, home=self.build.__module__)
        if not isinstance(data, Table) and not raw.provenance:  # a dataset of the package is complete
            said = partial(taken, self.schema.settings, [*raw.settings, *asked], dict(table.settings))
            model = replace(model, cautions=(*model.cautions, said))
        if model.table is not None and len(model.table) < len(table):
            model = replace(model, table=replace(model.table, n_left_out=len(table) - len(model.table)))
        errors = {k: v for k, v in facts.items() if nuisance.is_nuisance(k)}
        model = nuisance.observed(model, (*model.nuisances, *nuisance.asked(model.observables, model.table or table, errors)))
        return _with_facts(model, {k: v for k, v in facts.items() if k not in errors}, known)

    def raw(self, data: Any = None) -> RawTable:
        """Data as text, from a path, a dataset's name or a DataFrame; by default the experiment's own dataset."""
        if isinstance(data, RawTable):
            return data
        if type(data).__name__ == "DataFrame" and hasattr(data, "to_numpy"):  # of pandas, which need not be loaded to know
            return from_frame(data)
        if data is not None and not isinstance(data, str | os.PathLike):
            raise HmmInferError(f"Data are a file, the name of a dataset or a DataFrame, not a {type(data).__name__}; give one of these.")
        text = os.fspath(self.dataset if data is None else data)
        return datasets.load(text) if text in datasets.names() or not _looks_like_path(text) else read_table(text)

    def __repr__(self) -> str:
        quantities = ", ".join(f"{q} [{u}]" if u else q for q, u in self.schema.quantities.items())
        lines = [f"Experiment {self.name}: {self.description}", f"  data     {quantities}; default: {self.dataset}"]
        return "\n".join(
            [*lines, f"  settings {', '.join(s.name for s in self.schema.settings) or 'none'}", f"  predicts {', '.join(self.predictions)}"]
        )

    def _repr_html_(self) -> str:
        quantities = shown.html_table(f"Experiment {self.name}: {self.description}", ["quantity", "unit"], list(self.schema.quantities.items()))
        return quantities + shown.settings_html("Settings", self.schema.settings)


class Experiments(Names[Experiment]):
    """The experiments of one physical system by name, and their predictions. Both learn the system's name here."""

    system: str
    predictions: Names[Prediction]

    def __init__(self, system: str, *experiments: Experiment) -> None:
        super().__init__({e.name: e for e in experiments})
        self.__dict__["system"] = system
        self.__dict__["predictions"] = Names({k: p for e in experiments for k, p in e.predictions.items()})
        for e in experiments:
            e.system = system
            e.schema = replace(e.schema, system=system, elsewhere=_elsewhere(e, experiments))
        for p in self.predictions.values():
            p.siblings = self


def _elsewhere(own: Experiment, experiments: Sequence[Experiment]) -> dict[str, str]:
    """Other experiments that have a quantity or column, by its name, for messages."""
    found: dict[str, list[str]] = {}
    for e in experiments:
        if e is not own:
            for name in (*e.schema.quantities, *(c.name for c in e.schema.columns)):
                found.setdefault(name, []).append(repr(e.name))
    return {name: " or ".join(names) for name, names in found.items()}


def _with_facts(model: Model, facts: Mapping[str, Any], known: set[str]) -> Model:
    """Model with the settings that name a parameter applied: a value fixes the parameter, a prior replaces its prior."""
    for name in facts:
        if name not in model.parameters.names:
            raise unknown("setting or parameter", name, [*sorted(known), *model.parameters.names])
    priors = {k: v for k, v in facts.items() if isinstance(v, str) and "(" in v}
    model = model.with_priors(priors) if priors else model
    values = {k: model.parameters[k].held(v) for k, v in facts.items() if k not in priors}
    return replace(model, fixed={**model.fixed, **values}) if values else model


def _looks_like_path(text: str) -> bool:
    return "." in text or "/" in text or "\\" in text
