"""Building blocks of physical systems: priors, parameters, laws, data, likelihood, model, experiment.

    from hmminfer.system import Column, Experiment, Experiments, LogNormal, Model, Observable, Parameter, ParameterSet, Schema, Setting, prediction

The tutorial notebook ``12_your_own_system`` declares a system outside the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hmminfer.lazy import public

if TYPE_CHECKING:
    from hmminfer.system.accuracy import Accuracy
    from hmminfer.system.data import Column, Schema, Setting
    from hmminfer.system.experiment import Experiment, Experiments, Prediction, prediction
    from hmminfer.system.law import LinearLaw
    from hmminfer.system.model import Model
    from hmminfer.system.observable import Observable, by_quantity
    from hmminfer.system.parameters import Field, Parameter, ParameterSet
    from hmminfer.system.priors import Axial, Beta, Gamma, HalfNormal, LogNormal, Normal, Prior, StudentT, Uniform
    from hmminfer.system.tables import Table, read_table

__all__ = [
    "Accuracy",
    "Axial",
    "Beta",
    "Column",
    "Experiment",
    "Experiments",
    "Field",
    "Gamma",
    "HalfNormal",
    "LinearLaw",
    "LogNormal",
    "Model",
    "Normal",
    "Observable",
    "Parameter",
    "ParameterSet",
    "Prediction",
    "Prior",
    "Schema",
    "Setting",
    "StudentT",
    "Table",
    "Uniform",
    "by_quantity",
    "prediction",
    "read_table",
]

_HOME = {
    "accuracy": ("Accuracy",),
    "data": ("Column", "Schema", "Setting"),
    "experiment": ("Experiment", "Experiments", "Prediction", "prediction"),
    "law": ("LinearLaw",),
    "model": ("Model",),
    "observable": ("Observable", "by_quantity"),
    "parameters": ("Field", "Parameter", "ParameterSet"),
    "priors": ("Axial", "Beta", "Gamma", "HalfNormal", "LogNormal", "Normal", "Prior", "StudentT", "Uniform"),
    "tables": ("Table", "read_table"),
}
__getattr__, __dir__ = public(__name__, _HOME)
