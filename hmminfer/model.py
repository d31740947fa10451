"""Model: parameters, an experiment and the kernel that predicts it; named values in, labelled results out.

Everything up to the observables is physics and knows nothing of probability; :mod:`hmminfer.inference` adds priors and data, and
:mod:`hmminfer.operator` (loaded only when a model is applied to symbolic variables) makes it part of anyone's PyMC model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from .accuracy import Accuracy, check
from .coupling import Joint
from .data import Table
from .errors import HmmInferError
from .kernel import Kernel
from .likelihood import NORMAL
from .linalg import one_thread
from .parameters import Parameter, ParameterSet, Prior
from .simulation import Simulation


@dataclass(frozen=True, eq=False)
class Observable:
    """A named part of y: which rows, their unit, and coordinates along one dimension.

    ``coords`` maps a coordinate's name to (values, unit); all run along ``dim``.
    """

    name: str
    unit: str
    rows: np.ndarray
    dim: str
    coords: dict[str, tuple[np.ndarray, str]] = field(default_factory=dict)


def by_quantity(table: Table, coordinates: Mapping[str, str]) -> tuple[Observable, ...]:
    """One observable for each quantity of a table, its rows in the order of the table; ``coordinates``: columns and their units."""
    out = []
    for name in dict.fromkeys(table.quantity.tolist()):
        rows = np.flatnonzero(table.quantity == name)
        known = {**coordinates, "specimen": ""}
        coords = {f"{name}_{c}": (table.columns[c][rows], unit) for c, unit in known.items() if c in table.columns}
        out.append(Observable(name, str(table.unit[rows[0]]), rows, f"{name}_row", coords))
    return tuple(out)


@dataclass(frozen=True, eq=False)
class Model:
    """Prediction y(theta) of one experiment.

    Parameters
    ----------
    name, experiment : of the physical system and of the experiment.
    parameters : in the order of the kernel's vector.
    kernel : theta -> y.
    observables : the named parts of y.
    fixed : parameters held at a value unless a prior is asked for by name, in users' units.
    table : the data the experiment was set up for, row i of y being row i of the table; None for pure predictions.
    about : facts worth keeping with results (packing, mesh, settings).
    scene : what figures need (plates, bases); not part of the result.
    resolved : named values -> y of the problem with every scale resolved, where it is known: what homogenisation errors are learnt from.
    panels : of the figure of a result: names of :data:`hmminfer.figures.PANELS` or functions (ax, tree, model).
    again : of a prediction: the same with the settings of the run behind a posterior in place of defaults.
    accuracy : what tells the error of its steps and elements, where that is stated.
    advice : which settings to change where there is no solution: "a smaller strain than 60 %".
    likelihood : law of a datum given its prediction, see :mod:`.likelihood`.
    """

    name: str
    experiment: str
    parameters: ParameterSet
    kernel: Kernel | Joint | Simulation
    observables: tuple[Observable, ...]
    fixed: Mapping[str, float] = field(default_factory=dict)
    table: Table | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    scene: Mapping[str, Any] = field(default_factory=dict)
    panels: tuple[Any, ...] = ()
    resolved: Callable[[Mapping[str, Any]], np.ndarray] | None = None
    again: Callable[[Any], Model] | None = None
    accuracy: Accuracy | None = None
    advice: str = ""
    likelihood: str = NORMAL

    def __post_init__(self) -> None:
        for name in self.fixed:
            self.parameters[name]
        if self.kernel.n_in != self.parameters.size:
            raise HmmInferError(f"Model {self.name}: kernel takes {self.kernel.n_in} numbers, parameters give {self.parameters.size}.")

    @property
    def n_out(self) -> int:
        return self.kernel.n_out

    @property
    def simulated(self) -> bool:
        """Whether the answer is drawn at random, without likelihood and gradient."""
        return isinstance(self.kernel, Simulation)

    @property
    def settings(self) -> dict[str, Any]:
        """What a prediction from a fit of this model goes by: the settings given with the data, and names and whole numbers of ``about``."""
        plain = {k: v for k, v in self.about.items() if isinstance(v, str | int)}  # a number in a unit would lose it
        return {**plain, **(self.table.given if self.table is not None else {})}

    def vector(self, values: Mapping[str, Any] | None = None) -> np.ndarray:
        """Vector of named values; what is not named takes its fixed value, or its prior's median."""
        return self.parameters.vector({**self.fixed, **(values or {})})

    def evaluate(self, values: Mapping[str, Any] | None = None) -> np.ndarray:
        """y at named values, (n_out,); an error names the parameter where no solution exists."""
        theta = self.vector(values)
        y = self.kernel(theta)
        if not np.all(np.isfinite(y)):
            raise HmmInferError(self.explain(theta))
        return y

    def explain(self, theta: np.ndarray) -> str:
        """Which parameters keep the model from being solved at ``theta``, and what to do."""
        centre = self.vector()
        culprits = []
        for p, where in zip(self.parameters, self.parameters.slices().values(), strict=True):
            trial = np.array(theta)
            trial[where] = centre[where]
            if not np.array_equal(trial, theta) and np.all(np.isfinite(self.kernel(trial))):
                value = self.parameters.values(np.asarray(theta))[p.name]
                culprits.append(f"{p.name} = {np.round(value, 4)} {p.unit}".rstrip())
        at = ", ".join(culprits) or "the combination of values"
        settings = f", or {self.advice}" if self.advice else ""
        return f"Model '{self.name}' ({self.experiment}) has no solution because of {at}; give a value nearer to its prior{settings}."

    def check_accuracy(self, theta: np.ndarray, where: str) -> None:
        """Refuse steps or elements too large for the stated accuracy at ``theta``, which is named ``where``."""
        check(self, theta, where)

    def predict(self, values: Any = None, progress: bool = True, draws: int | None = None, **named: Any) -> xr.Dataset:
        """Observables for named values or a whole posterior.

        Parameters
        ----------
        values : mapping of names to numbers, text with units ("3.5 GPa") or arrays of draws; or a posterior (DataTree or Dataset)
            with those names, whose run then gives the settings that a prediction was not given. Names that are not given take their
            fixed value or prior median, as the attributes record.
        draws : use at most this many draws of a posterior, evenly spaced.
        named : values by keyword, over those in ``values``.

        Returns
        -------
        Dataset with one variable for each observable, dimensions of the draws first, units in the attributes.
        """
        if self.again is not None and isinstance(values, xr.DataTree | xr.Dataset) and run_of(values)[0] == self.name:
            return self.again(values).predict(values, progress, draws, **named)
        sizes, given = self._draws_of(values, named, draws)
        theta = self.vector(given)
        lead = theta.shape[:-1]
        flat = theta.reshape(-1, theta.shape[-1])
        for middle in flat if len(flat) <= 8 else np.median(flat, axis=0)[None]:
            self.check_accuracy(middle, "these values" if len(flat) <= 8 else "the middle of the draws")
        y = self.batch(flat, progress=progress, what="predicting").reshape(*lead, -1)
        dims = list(sizes) if sizes else [f"draw_{i}" if len(lead) > 1 else "draw" for i in range(len(lead))]
        out = self.to_dataset(y, dims, sizes)
        out.attrs["given"] = ", ".join(sorted(given)) or "nothing: fixed values and prior medians"
        return out

    @one_thread
    def batch(self, thetas: np.ndarray, progress: bool = False, what: str = "computing", strict: bool = True) -> np.ndarray:
        """y for each row of ``thetas``, (n, n_out); a row without a solution is an error, or NaN when not ``strict``."""
        from .progress import track

        y = np.empty((len(thetas), self.n_out))
        for i in track(range(len(thetas)), what, show=progress and len(thetas) > 1):
            y[i] = self.kernel(thetas[i])
            if strict and not np.all(np.isfinite(y[i])):
                raise HmmInferError(self.explain(thetas[i]))
        return y

    def to_dataset(self, y: np.ndarray, dims: Sequence[str] = (), coords: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Observables of y (..., n_out) as labelled arrays."""
        variables = {}
        for o in self.observables:
            along = {k: xr.Variable((o.dim,), v, {"units": u} if u else {}) for k, (v, u) in o.coords.items()}
            local = {**{d: c for d, c in (coords or {}).items() if d in dims}, **along}
            variables[o.name] = xr.DataArray(y[..., o.rows], dims=[*dims, o.dim], coords=local, attrs={"units": o.unit})
        attrs = {"model": self.name, "experiment": self.experiment, **{k: _plain(v) for k, v in self.about.items()}}
        return xr.Dataset(variables, attrs=attrs)

    def _draws_of(self, values: Any, named: Mapping[str, Any], draws: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sample dimensions (name -> coordinate) and named values of what the user gave."""
        if values is None or (isinstance(values, Mapping) and not isinstance(values, xr.Dataset | xr.DataTree)):
            given = {**(values or {}), **named}
            for name in given:
                self.parameters[name]
            return {}, given
        values = draws_of(values)
        dims = [d for d in ("chain", "draw", "sample") if d in values.dims]
        if not dims:
            raise HmmInferError("This dataset has no dimension chain, draw or sample; give a posterior.")
        if draws is not None and draws < 1:
            raise HmmInferError(f"draws is {draws}; give a whole number of at least 1.")
        stacked = values.stack(_s=dims).transpose("_s", ...) if len(dims) > 1 else values.rename({dims[0]: "_s"})
        n = stacked.sizes["_s"]
        keep = np.arange(n) if draws is None or draws >= n else np.linspace(0, n - 1, draws).round().astype(int)
        names = [p.name for p in self.parameters if p.name in values]
        if not names:
            raise HmmInferError(
                f"The posterior holds {', '.join(map(str, values.data_vars)) or 'nothing'}, and '{self.experiment}' of {self.name} takes "
                f"{', '.join(self.parameters.names)}; choose a prediction of the experiment that was fitted."
            )
        given = {name: stacked[name].transpose("_s", ...).values[keep] for name in names}
        held = json.loads(values.attrs.get("fixed", "{}"))  # what the posterior held fixed stays so
        held = {k: v for k, v in held.items() if k in self.parameters.names and k not in given}
        self._same_sizes({k: v.shape[1:] for k, v in given.items()} | {k: np.shape(v) for k, v in held.items()})
        named = {**held, **named}
        if draws is None and len(dims) == 2:
            shape = tuple(values.sizes[d] for d in dims)
            given = {k: v.reshape(*shape, *v.shape[1:]) for k, v in given.items()}
            return {d: values[d].values for d in dims}, {**given, **named}
        return {"sample": keep}, {**given, **named}

    def _same_sizes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse a posterior of another number of zones, levels or blocks than this model has."""
        for name, shape in shapes.items():
            size = self.parameters[name].size
            if shape != (() if size is None else (size,)):
                sizes = f"size {shape[0] if shape else 1} in the posterior and {size or 1} in '{self.experiment}'"
                raise HmmInferError(
                    f"Parameter '{name}' has {sizes}; leave the zones, levels or blocks of the run as they are, or choose a prediction that has them."
                )

    def __call__(self, **variables: Any) -> Any:
        """Symbolic y (n_out,) of PyTensor variables (or numbers) in users' units; axial angles in degrees.

        Parameters that are not given take their fixed value; one without a fixed value must be given.
        """
        from .operator import apply

        return apply(self, variables)

    def with_priors(self, priors: Mapping[str, Prior | str]) -> Model:
        """The same model with other priors; a parameter that gets one is no longer fixed."""
        fixed = {k: v for k, v in self.fixed.items() if k not in priors}
        return replace(self, parameters=self.parameters.replaced(priors), fixed=fixed, again=None)

    @staticmethod
    def joint(models: Sequence[Model], shared: Sequence[str], labels: Sequence[str] | None = None) -> Model:
        """Several experiments as one model: ``shared`` parameters are one number for all, others get a suffix per experiment.

        >>> Model.joint([cold, hot], shared=["fibre_angle"], labels=["295K", "463K"])  # doctest: +SKIP
        """
        if len(models) < 2:
            raise HmmInferError("joint() needs at least two models; use the model itself for one.")
        labels = [str(i) for i in range(len(models))] if labels is None else [str(x) for x in labels]
        if len(labels) != len(models) or len(set(labels)) != len(labels):
            raise HmmInferError(f"joint() needs one distinct label for each of the {len(models)} models, got {labels}.")
        for name in shared:
            for m in models:
                m.parameters[name]
        parameters: list[Parameter] = []
        fixed: dict[str, float] = {}
        where: dict[str, int] = {}
        start = 0
        indices = []
        for m, label in zip(models, labels, strict=True):
            index: list[int] = []
            for p in m.parameters:
                own = p.name if p.name in shared else f"{p.name}_{label}"
                if own not in where:
                    where[own] = start
                    parameters.append(replace(p, name=own))
                    if p.name in m.fixed:
                        fixed[own] = m.fixed[p.name]
                    start += p.length
                index.extend(range(where[own], where[own] + p.length))
            indices.append(index)
        everything = ParameterSet(tuple(parameters))
        parts = tuple(m.kernel for m in models)
        single = tuple(k for k in parts if isinstance(k, Kernel))
        if len(single) < len(parts):
            raise HmmInferError("joint() takes single experiments with a likelihood, not joint models or simulations; give all of them in one call.")
        if len({m.likelihood for m in models}) > 1:
            raise HmmInferError("joint() takes counts or measured values, not both; fit them apart.")
        kernel = Joint(single, tuple(np.array(i) for i in indices), everything.vector(fixed))
        offsets = np.cumsum([0] + [m.n_out for m in models])
        observables = tuple(
            _labelled(o, label, int(offset)) for m, label, offset in zip(models, labels, offsets[:-1], strict=True) for o in m.observables
        )
        accuracies = [m.accuracy for m in models]
        joined = _joint_accuracy(accuracies, indices, kernel.example)
        if joined is None:  # of different scales, or not all known: each as it is
            for m in models:
                m.check_accuracy(m.vector(), "the prior medians")
        tables = [m.table for m in models]
        table = _joined(tables) if all(t is not None for t in tables) else None
        about = {**models[0].about, "joint": ", ".join(labels), "shared": ", ".join(shared)}
        return Model(
            models[0].name,
            "joint " + models[0].experiment,
            everything,
            kernel,
            observables,
            fixed,
            table,
            about,
            models[0].scene,
            models[0].panels,
            accuracy=joined,
            advice=" or ".join(dict.fromkeys(m.advice for m in models if m.advice)),
            likelihood=models[0].likelihood,
        )


def _joint_accuracy(parts: Sequence[Accuracy | None], indices: Sequence[Sequence[int]], example: np.ndarray) -> Accuracy | None:
    """Accuracy of several experiments as one, where all know theirs on one scale; the most generous statement and the first remedy count."""
    known = [a for a in parts if a is not None]
    if len(known) < len(parts) or len({a.scale for a in known}) > 1:
        return None
    own = tuple(np.array(index)[: a.coarse.n_in] for a, index in zip(known, indices, strict=True))
    coarse, finer = (
        Joint(tuple(k for k in kernels if isinstance(k, Kernel)), own, example) for kernels in ([a.coarse for a in known], [a.finer for a in known])
    )
    return Accuracy(coarse, finer, max(a.stated for a in known), known[0].remedy, known[0].scale)


def _labelled(o: Observable, label: str, offset: int) -> Observable:
    """An observable of one experiment among several: all its names carry the experiment's label."""
    coords = {f"{name}_{label}": value for name, value in o.coords.items()}
    return Observable(f"{o.name}_{label}", o.unit, o.rows + offset, f"{o.dim}_{label}", coords)


def _joined(tables: Sequence[Any]) -> Table:
    first = tables[0]
    columns = {k: np.concatenate([t.columns[k] for t in tables]) for k in first.columns}
    given = {k: v for k, v in first.given.items() if all(t.given.get(k) == v for t in tables)}
    merged = {k: np.concatenate([getattr(t, k) for t in tables]) for k in ("quantity", "value", "sd", "unit", "line")}
    return replace(first, columns=columns, n_missing=sum(t.n_missing for t in tables), given=given, **merged)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else str(value)


def draws_of(posterior: xr.DataTree | xr.Dataset) -> xr.Dataset:
    """The draws of a fit: of the whole result, its posterior group, or that as a dataset."""
    if isinstance(posterior, xr.Dataset):
        return posterior
    group = posterior["posterior"] if "posterior" in posterior.children else posterior
    if not group.data_vars:
        raise HmmInferError("This DataTree has no 'posterior' group; give the result of fit(), or a dataset of draws.")
    return group.to_dataset()


def run_of(posterior: xr.DataTree | xr.Dataset) -> tuple[str, str, dict[str, Any]]:
    """System, experiment and settings of the run behind a posterior; empty where it does not say."""
    attrs = draws_of(posterior).attrs
    experiment = str(attrs.get("experiment", "")).removeprefix("joint ")
    return str(attrs.get("model", "")), experiment, json.loads(attrs.get("settings", "{}"))
