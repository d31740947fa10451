"""Recipe: every choice of a run, as the file run.toml that repeats it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hmminfer import __version__, models
from hmminfer.app import entries
from hmminfer.app.entries import FROZEN
from hmminfer.app.storage import write_bytes, write_text
from hmminfer.errors import HmmInferError, abridged, unknown
from hmminfer.system.tables import RawTable, is_file, read_table, toml

if TYPE_CHECKING:
    import xarray as xr

    from hmminfer.inference.problem import Problem
    from hmminfer.system.model import Model

NAME, COPIES = "run.toml", "data"


def fresh_seed() -> int:
    """Random seed, drawn from the operating system's entropy."""
    return int(np.random.SeedSequence().generate_state(1)[0] % 2**31)


def versions_now() -> dict[str, str]:
    """Versions of the packages on which the draws depend."""
    packages = ("pymc", "pytensor", "nutpie", "numba", "numpy")
    return {"hmminfer": __version__, **{p: importlib.metadata.version(p) for p in packages}, "python": platform.python_version()}


LATER = {"rigid_motion": "none"}  # settings that came later, and their value in the run files of before, which do not hold them


@dataclass(frozen=True)
class Recipe:
    """Every choice of a run, named as in :func:`hmminfer.fit`; a choice that is not given takes the model's default.

    ``data``: CSV file, or ``dataset``: name; ``settings`` of the experiment; ``extensions``: draws and seed of each, in order. ``resolved``:
    settings, priors, fixed values and noise of the run with every default written out, so that a file repeats its run even if the defaults
    have changed since; explicit choices override it.
    """

    model: str
    experiment: str = ""
    dataset: str = ""
    data: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    priors: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    noise: Any = None
    discrepancy: str = "none"
    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    seed: int = field(default_factory=fresh_seed)
    target_accept: float = 0.8
    sampler: str = ""
    extensions: tuple[Mapping[str, int], ...] = ()
    resolved: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions_now)

    def __post_init__(self) -> None:
        entries.check({f.name: getattr(self, f.name) for f in fields(self)})

    @cached_property
    def raw(self) -> RawTable:
        """The data as text."""
        if self.data and self.dataset:
            raise HmmInferError("Both a data file and a dataset are given; choose one.")
        if self.data:
            return read_table(self.data)
        return self._experiment(self.experiment).raw(self.dataset or None)

    def _experiment(self, name: str) -> Any:
        known = models.get(self.model).EXPERIMENTS
        if name and name not in known:
            raise unknown("experiment", name, known)
        return known[name or next(iter(known))]

    @cached_property
    def problem(self) -> Problem:
        """The inference problem: model, data, priors, fixed values and noise."""
        models.get(self.model)  # an unknown model is an error before its data are read
        model = self.experiment_model
        from hmminfer.inference.problem import Problem  # takes seconds: mistakes above come at once

        return Problem.of(model, **self.choices)

    @cached_property
    def experiment_model(self) -> Model:
        """The model of the experiment for the data and settings, before priors, fixed values and noise are settled."""
        return self._experiment(self._name).model(self.raw, **self._settings)

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        """Defaults of the run: those recorded in its file; those of 0.1.0 for a file that records none; today's for a new run."""
        if self.resolved.get("as") != FROZEN:
            return self.resolved
        table = tomllib.loads(resources.files(__package__).joinpath(f"defaults_{FROZEN.replace('.', '_')}.toml").read_text(encoding="utf-8"))
        return table.get(self.model, {}).get(self._name, {})

    @property
    def _settings(self) -> dict[str, Any]:
        """Settings as given; the run's defaults for those that neither the data nor the user gave."""
        known = self._defaults.get("settings", {})
        later = {k: v for k, v in LATER.items() if known and k not in known and k in {s.name for s in self._experiment(self._name).schema.settings}}
        return {**{k: v for k, v in {**later, **known}.items() if k not in self.raw.settings}, **self.settings}

    @property
    def _name(self) -> str:
        """Name of the experiment: the one given, else that in the data, else the model's first."""
        return self.experiment or str(self.raw.settings.get("experiment", "")) or next(iter(models.get(self.model).EXPERIMENTS))

    @property
    def _sampler(self) -> str:
        """The chosen sampler, or the one that the experiment needs; known from its schema, without building a model."""
        return self.sampler or ("abc" if self._experiment(self._name).schema.simulated else "nuts")

    @property
    def choices(self) -> dict[str, Any]:
        """Arguments of :func:`hmminfer.fit` that settle the problem."""
        known = self._defaults
        given = {**self.raw.settings, **self.settings, **self.priors, **self.fixed}  # a prior given replaces a fixed default, and so on
        priors, fixed = ({k: v for k, v in known.get(of, {}).items() if k not in given} for of in ("priors", "fixed"))
        if self.resolved.get("as") == FROZEN:  # the table knows all parameters of an experiment, a model those its settings and data leave open
            own = self._open
            priors, fixed = ({k: v for k, v in of.items() if k in own} for of in (priors, fixed))
        noise = known.get("noise") if self.noise is None else self.noise
        return {"noise": noise, "priors": {**priors, **self.priors}, "fixed": {**fixed, **self.fixed}, "discrepancy_kind": self.discrepancy}

    @cached_property
    def _open(self) -> set[str]:
        """Names of the single parameters, and of the amplitudes and lengths of fields, that neither a column of the data nor the model settles."""
        model = self.experiment_model
        stated = {name for row in self.raw.rows for name, cell in row.items() if cell}
        single = {p.name for p in model.parameters if p.size is None and p.name not in model.fixed and p.name not in stated}
        return {*single, *(h.name for p in model.parameters for h in getattr(p, "hyperparameters", ()))}

    def fit(self, store: Path | None = None, progress: bool = True) -> xr.DataTree:
        """Sample with the choices of the recipe, its extensions included."""
        from hmminfer.inference.sampling import fit

        common = {**self.choices, "tune": self.tune, "target_accept": self.target_accept, "sampler": self._sampler, "progress": progress}
        model = self.experiment_model
        kept: dict[str, Any] = {"store": store} if self._sampler == "nuts" else {}
        tree = fit(model, draws=self.draws, chains=self.chains, seed=self.seed, **common, **kept)
        for more in self.extensions:
            tree = fit(model, draws=more["draws"], seed=more["seed"], resume=tree, **common)
        return tree

    def write(self, folder: Path) -> Recipe:
        """Write run.toml and copies of the files it reads; returns the recipe that reads the copies."""
        problem, experiment = self.problem, self._experiment(self._name)
        given = {**experiment.schema.located(self.raw).settings, **self.settings}
        files = {s.name for s in experiment.schema.settings if s.kind == "file" and given.get(s.name)}
        settings = {s.name: s.written(problem.table.settings[s.name]) for s in experiment.schema.settings if s.name not in files}
        written = {k: v for k, v in problem.written().items() if k != "noise" or isinstance(v, str)}
        dataset = "" if self.data else self.dataset or experiment.dataset
        mine = replace(self, sampler=self._sampler, experiment=self._name, dataset=dataset, resolved={"settings": settings, **written})
        named = {**{name: given[name] for name in files}, "data": self.data, "model": self.model}
        copies: dict[Path, str] = {}  # copy -> the file that it is a copy of
        for key, value in named.items():
            if is_file(value):
                change = str(_copied(Path(value), folder / COPIES, copies))
                own: dict[str, Any] = {key: change} if key in ("data", "model") else {"settings": {**mine.settings, key: change}}
                mine = replace(mine, **own)
        write_text(folder / NAME, mine._text(folder))
        return mine

    def _text(self, folder: Path) -> str:
        """The recipe as TOML, with files named from the folder."""

        def plain(value: Any) -> Any:
            inside = isinstance(value, str) and value and Path(value).is_relative_to(folder)
            return Path(value).relative_to(folder).as_posix() if inside else value

        lines = ["# hmminfer: this file repeats the run, by hmminfer fit --run run.toml --output NEW_FOLDER"]
        tables = []
        for key, value in asdict(self).items():
            if key == "extensions":
                for more in value:
                    tables += ["", "[[extensions]]", *(f"{k} = {toml(v)}" for k, v in more.items())]
            elif isinstance(value, Mapping):
                plain_values = {k: v for k, v in value.items() if not isinstance(v, Mapping)}
                for title, entries in ((key, plain_values), *((f"{key}.{k}", v) for k, v in value.items() if isinstance(v, Mapping))):
                    if entries:
                        tables += ["", f"[{title}]", *(f"{toml(k)} = {toml(plain(v))}" for k, v in entries.items())]
            elif value is not None and value != "":
                lines.append(f"{key} = {toml(plain(value))}")
        return "\n".join([*lines, *tables]) + "\n"

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Recipe of a run.toml, or of the folder that holds one."""
        path = Path(path) / NAME if os.path.isdir(path) else Path(path)
        if not is_file(str(path)):  # a pipe would be waited for
            raise HmmInferError(f"There is no run file {abridged(str(path))}; give the run.toml of a run, or the folder that holds it.")
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise HmmInferError(f"The run file '{path}' cannot be read ({error.strerror}); see who may read it.") from None
        except (ValueError, RecursionError) as error:
            raise HmmInferError(f"The run file '{path}' is not valid TOML ({error}); correct that line.") from None
        try:
            return cls._of_file(given, path.parent)
        except HmmInferError as error:
            raise HmmInferError(f"In the run file '{path}': {error}") from None

    @classmethod
    def _of_file(cls, given: dict[str, Any], folder: Path) -> Recipe:
        """Recipe of the entries of a file; files that they name are looked for in its folder."""
        options = given.pop("options", {})  # before 0.2, packing and cell of a fibre composite were no settings
        entries.ENTRIES["settings"]("options", options)
        entries.check(given)
        if not given.get("model"):
            raise HmmInferError('no model is named; add a line model = "fibre_composite".')

        def found(value: Any) -> Any:
            return str(folder / value) if isinstance(value, str) and value and is_file(folder / value) else value

        given = {"resolved": {"as": FROZEN}, **given, "settings": {**options, **given.get("settings", {})}}
        given |= {key: found(given.get(key, "")) for key in ("data", "model")}
        files = {s.name for e in models.get(given["model"]).EXPERIMENTS.values() for s in e.schema.settings if s.kind == "file"}
        given["settings"] = {k: found(v) if k in files else v for k, v in given["settings"].items()}
        return cls(**{**given, "extensions": tuple(given.get("extensions", ()))})


def _copied(file: Path, folder: Path, copies: dict[Path, str]) -> Path:
    """Copy of a file in a folder, under its own name if no other file among ``copies`` has it."""
    source, n = str(file.resolve()), 1
    while copies.setdefault(target := folder / (file.name if n == 1 else f"{file.stem}-{n}{file.suffix}"), source) != source:
        n += 1
    if not (target.exists() and target.samefile(file)):
        folder.mkdir(exist_ok=True)
        write_bytes(target, file.read_bytes())
    return target
