"""Model: parameters, an experiment and the kernel that predicts it; named values in, labelled results out.

The prediction itself contains no probability. :mod:`hmminfer.inference.sampling` combines it with priors, data and noise;
:mod:`hmminfer.engine.operator` (loaded only when a model is applied to symbolic variables) makes it a part of any PyMC model.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import xarray as xr

from hmminfer.engine.coupling import Joint
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.linalg import one_thread
from hmminfer.engine.simulation import Simulation
from hmminfer.errors import HmmInferError, Unsolved, interruptible
from hmminfer.system import pickling, shown
from hmminfer.system.accuracy import Accuracy, check
from hmminfer.system.derived import Derived
from hmminfer.system.draws import draws_of, named_draws, run_of
from hmminfer.system.joint import joined
from hmminfer.system.likelihood import NORMAL
from hmminfer.system.nuisance import Nuisance
from hmminfer.system.observable import Observable, labelled
from hmminfer.system.parameters import Field, ParameterSet
from hmminfer.system.priors import Prior
from hmminfer.system.tables import Table


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Model:
    """Prediction y(theta) of one experiment.

    A call with PyTensor variables or numbers by name returns the symbolic y, with exact gradient, for use in any PyMC model.
    A model can be pickled and copied, whatever was replaced in it, see :mod:`.pickling`.

    Parameters
    ----------
    parameters : in the order of the kernel's vector.
    kernel : theta -> y.
    observables : the named parts of y.
    fixed : values of parameters that are held fixed, in users' units; a prior given by name frees a parameter.
    table : the data the experiment was set up for, row i of y being row i of the table; None for pure predictions.
    about : facts worth keeping with results (packing, mesh, settings).
    scene : objects that figures need (plates, bases); not part of the result.
    resolved : named values -> y of the problem with every scale resolved, if there is one; homogenisation errors are learnt from it.
    panels : panels of the main figure of a result: names of general panels or of functions in the system's own file ``panels``; see
        :mod:`hmminfer.figures.overview`.
    again : for a prediction: posterior -> the same model with the settings of the posterior's run in place of defaults.
    accuracy : estimator of the error of its steps and elements, if an accuracy is stated.
    advice : settings to change if there is no solution: "a smaller strain than 60 %".
    likelihood : law of a datum given its prediction, see :mod:`.likelihood`.
    nuisances : errors of the instruments (see :mod:`.nuisance`); an experiment adds them to the kernel, a prediction leaves them out.
    derived : quantities that a field speaks of, computed from the draws, see :mod:`.derived`.
    cautions : functions of the model as it is settled that return a sentence to say before sampling, or "", see :mod:`.remarks`.
    costs : functions of named draws and of what they are draws of ("prior") that return a sentence if the model is dear there, or "".
    name, experiment, home : name of the physical system, name of the experiment, and the module that declares it; set by the experiment.
    """

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
    nuisances: tuple[Nuisance, ...] = ()
    derived: tuple[Derived, ...] = ()
    cautions: tuple[Callable[[Model], str], ...] = ()
    costs: tuple[Callable[[Mapping[str, np.ndarray], str], str], ...] = ()
    name: str = ""
    experiment: str = ""
    home: str = ""

    def __post_init__(self) -> None:
        for name in self.fixed:
            self.parameters[name]
        if self.kernel.n_in != self.parameters.size:
            raise HmmInferError(f"Model {self.name}: kernel takes {self.kernel.n_in} numbers, parameters give {self.parameters.size}.")
        object.__setattr__(self, "__doc__", shown.model_help(self))  # of this model: help(model) and a notebook's model? show it

    @property
    def n_out(self) -> int:
        return self.kernel.n_out

    @property
    def simulated(self) -> bool:
        """True if the answer is drawn at random, without likelihood and gradient."""
        return isinstance(self.kernel, Simulation)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings stored with a fit, used as defaults by later predictions: those given with the data, and texts and whole numbers of ``about``."""
        plain = {k: v for k, v in self.about.items() if isinstance(v, str | int)}  # a number in a unit would lose it
        return {**plain, **(self.table.given if self.table is not None else {})}

    def vector(self, values: Mapping[str, Any] | None = None, strict: bool = True) -> np.ndarray:
        """Vector of named values; a parameter that is not named takes its fixed value, or its prior's median.

        A value outside its support is an error, or NaN if not ``strict``.
        """
        return self.parameters.vector({**self.fixed, **(values or {})}, strict)

    @one_thread
    def evaluate(self, values: Mapping[str, Any] | None = None) -> np.ndarray:
        """y at named values, (n_out,); if there is no solution, an error names the parameters that prevent it."""
        theta = self.vector(values)
        if theta.ndim > 1:
            raise HmmInferError(f"These are {len(theta)} sets of values; predict takes draws, and evaluate one number for each parameter.")
        y = self.kernel(theta)
        if not np.all(np.isfinite(y)):
            raise HmmInferError(self.explain(theta))
        return y

    def explain(self, theta: np.ndarray) -> str:
        """Explain a failed solve: names each parameter whose reset to its fixed value or prior median makes the model solvable, and the remedy."""
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
        """Raise an error if steps or elements are too large for the stated accuracy at ``theta``; ``where`` names this point in the message."""
        check(self, theta, where)

    @interruptible()
    def predict(self, values: Any = None, progress: bool = True, draws: int | None = None, **named: Any) -> xr.Dataset:
        """Observables for named values or a whole posterior.

        Parameters
        ----------
        values : mapping of names to numbers, text with units ("3.5 GPa") or arrays of draws; or a posterior (DataTree or Dataset)
            with those names. Settings that a prediction was not given are then those of the posterior's run. Parameters that are not
            among named values take their fixed value or prior median and are listed in the attribute ``assumed`` of the result, the others in
            ``given``; of a posterior, a parameter that is neither in it nor fixed is an error.
        draws : use at most this many draws of a posterior, evenly spaced.
        named : values by keyword; they override those in ``values``.

        Returns
        -------
        Dataset with one variable for each observable, dimensions of the draws first, units in the attributes. Draws of a posterior for which there
        is no solution are NaN, with a warning and the attribute ``unsolved``; values that are given must have one.
        """
        if self.again is not None and isinstance(values, xr.DataTree | xr.Dataset) and run_of(values)[0] == self.name:
            return self.again(values).predict(values, progress, draws, **named)
        sizes, given = named_draws(self.parameters, (self.name, self.experiment), values, named, draws)
        if sizes:
            self._all_known(values, given)
        theta = self.vector(given)
        lead = theta.shape[:-1]
        flat = theta.reshape(-1, theta.shape[-1])
        for middle in flat if len(flat) <= 8 else np.median(flat, axis=0)[None]:
            self.check_accuracy(middle, "these values" if len(flat) <= 8 else "the middle of the draws")
        y = self.batch(flat, progress=progress, what="predicting", strict=not sizes)
        unsolved = int((~np.isfinite(y).all(axis=1)).sum())
        if unsolved == len(y):
            raise HmmInferError(self.explain(flat[0]))
        y = y.reshape(*lead, -1)
        dims = list(sizes) if sizes else [f"draw_{i}" if len(lead) > 1 else "draw" for i in range(len(lead))]
        out = self.to_dataset(y, dims, sizes)
        rest = {p: self.fixed.get(p.name, p.prior.centre) for p in self.parameters if p.name not in given and not isinstance(p, Field)}
        out.attrs["assumed"] = ", ".join(f"{p.name} = {shown.number(v)} {p.unit}".rstrip() for p, v in rest.items())
        if unsolved:
            out.attrs["unsolved"] = f"{unsolved} of {len(flat)} draws have no solution in '{self.experiment}' and are left empty."
            warnings.warn(out.attrs["unsolved"], Unsolved, stacklevel=2)
        out.attrs["given"] = ", ".join(sorted(given)) or "nothing: fixed values and prior medians"
        return out

    def _all_known(self, posterior: Any, given: Mapping[str, Any]) -> None:
        """Raise an error for a parameter that is neither in a posterior nor fixed: its prior median would pass for something known."""
        missing = [p.name for p in self.parameters if p.name not in given and p.name not in self.fixed and not p.nuisance]
        if missing:
            name, own = missing[0], [str(k) for k in draws_of(posterior).data_vars]
            near = [k for k in own if k.startswith(f"{name}_")]
            hint = f" (the posterior has {', '.join(near)})" if near else ""
            raise HmmInferError(
                f"{', '.join(missing)} of '{self.experiment}' {'are' if missing[1:] else 'is'} neither in the posterior nor fixed{hint}; give a value by "
                f"name: predict(posterior, {name}=...), or what your model held: predict(posterior, **model.fixed); in the shell --set {name}=..."
            )

    @one_thread
    def batch(self, thetas: np.ndarray, progress: bool = False, what: str = "computing", strict: bool = True) -> np.ndarray:
        """y for each row of ``thetas``, (n, n_out); a row without a solution is an error, or NaN if not ``strict``."""
        from hmminfer.terminal import track

        y = np.empty((len(thetas), self.n_out))
        for i in track(range(len(thetas)), what, show=progress and len(thetas) > 1):
            y[i] = self.kernel(thetas[i]) if np.all(np.isfinite(thetas[i])) else np.nan
            if strict and not np.all(np.isfinite(y[i])):
                raise HmmInferError(self.explain(thetas[i]))
        return y

    def to_dataset(self, y: np.ndarray, dims: Sequence[str] = (), coords: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Observables of y (..., n_out) as labelled arrays."""
        return labelled(self.observables, y, dims, coords, model=self.name, experiment=self.experiment, **self.about)

    def __call__(self, **variables: Any) -> Any:
        """Symbolic y (n_out,) of PyTensor variables (or numbers) in users' units; axial angles in degrees.

        Parameters that are not given take their fixed value; one without a fixed value must be given.
        """
        from hmminfer.engine.operator import apply

        return apply(self.parameters, self.fixed, self.kernel, variables)

    def as_prediction(self, *observables: Observable) -> Model:
        """The same model without data: other ``observables`` of y, no table, no panels, no resolved problem."""
        return replace(self, observables=observables, table=None, panels=(), resolved=None, nuisances=())

    def with_priors(self, priors: Mapping[str, Prior | str]) -> Model:
        """The same model with other priors; a parameter that gets one is no longer fixed."""
        fixed = {k: v for k, v in self.fixed.items() if k not in priors}
        return replace(self, parameters=self.parameters.replaced(priors), fixed=fixed, again=None)

    @staticmethod
    def joint(models: Sequence[Model], shared: Sequence[str], labels: Sequence[str] | None = None) -> Model:
        """Several experiments as one model: each ``shared`` parameter is one unknown for all, the others get a suffix for each experiment.

        >>> Model.joint([cold, hot], shared=["fibre_angle"], labels=["295K", "463K"])  # doctest: +SKIP
        """
        return Model(**joined(models, shared, labels))

    def __reduce__(self) -> tuple:
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        data = pickling.packed(parts, f"Model '{self.name}' ({self.experiment})")
        return pickling.unpacked, (type(self), pickling.place(self.home), data)

    @property
    def __signature__(self) -> inspect.Signature:
        """Arguments of a call, for help(model) and notebooks: the parameters by name, fixed ones with their value as default."""
        kind, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
        return inspect.Signature([inspect.Parameter(p.name, kind, default=self.fixed.get(p.name, empty)) for p in self.parameters])

    def __repr__(self) -> str:
        return shown.model_text(self)

    def _repr_html_(self) -> str:
        return shown.model_html(self)
