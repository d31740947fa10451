"""Several experiments on one material as one model: shared parameters, and the parts of each experiment's model in the joint one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hmminfer.engine.coupling import Joint
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.system.accuracy import Accuracy
from hmminfer.system.nuisance import Nuisance
from hmminfer.system.observable import Observable
from hmminfer.system.parameters import Parameter, ParameterSet
from hmminfer.system.tables import Table


def joined(models: Sequence[Any], shared: Sequence[str], labels: Sequence[str] | None = None) -> dict[str, Any]:
    """Fields of the model of several experiments, see :meth:`hmminfer.Model.joint`."""
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
    named = [{p.name: p.name if p.name in shared else f"{p.name}_{label}" for p in m.parameters} for m, label in zip(models, labels, strict=True)]
    derived = tuple(d.of(names, label) for m, names, label in zip(models, named, labels, strict=True) for d in m.derived)
    cautions = tuple(partial(_caution_of_part, m, names, caution) for m, names in zip(models, named, strict=True) for caution in m.cautions)
    costs = tuple(partial(_cost_of_part, names, cost) for m, names in zip(models, named, strict=True) for cost in m.costs)
    observables = tuple(
        _labelled(o, label, int(offset)) for m, label, offset in zip(models, labels, offsets[:-1], strict=True) for o in m.observables
    )
    accuracies = [m.accuracy for m in models]
    joint_accuracy = _joint_accuracy(accuracies, indices, kernel.example)
    if joint_accuracy is None:  # of different scales, or not all known: each as it is
        for m in models:
            m.check_accuracy(m.vector(), "the prior medians")
    tables = [m.table for m in models]
    table = _joined(tables) if all(t is not None for t in tables) else None
    about = {**models[0].about, "joint": ", ".join(labels), "shared": ", ".join(shared)}
    first = models[0]
    return {
        "name": first.name,
        "experiment": f"joint {first.experiment}",
        "parameters": everything,
        "kernel": kernel,
        "observables": observables,
        "fixed": fixed,
        "table": table,
        "about": about,
        "scene": first.scene,
        "panels": first.panels,
        "home": first.home,
        "accuracy": joint_accuracy,
        "advice": " or ".join(dict.fromkeys(m.advice for m in models if m.advice)),
        "likelihood": first.likelihood,
        "nuisances": tuple(
            _of_part(n, label, int(o), m.n_out, kernel.n_out)
            for m, label, o in zip(models, labels, offsets, strict=False)
            for n in m.nuisances
            if n.parameter.name not in shared
        ),
        "derived": derived,
        "cautions": cautions,
        "costs": costs,
    }


def _caution_of_part(part: Any, names: Mapping[str, str], caution: Any, joint: Any) -> str:
    """Sentence of one experiment among several, with the priors and fixed values of the joint model."""
    own = tuple(replace(joint.parameters[other], name=name) for name, other in names.items())
    fixed = {name: joint.fixed[other] for name, other in names.items() if other in joint.fixed}
    return str(caution(replace(part, parameters=ParameterSet(own), fixed=fixed)))


def _cost_of_part(names: Mapping[str, str], cost: Any, draws: Mapping[str, Any], where: str) -> str:
    """Sentence on the cost of one experiment among several at draws of the joint model."""
    return str(cost({name: draws[other] for name, other in names.items() if other in draws}, where))


def _joint_accuracy(parts: Sequence[Accuracy | None], indices: Sequence[Sequence[int]], example: np.ndarray) -> Accuracy | None:
    """Accuracy of several experiments as one, with the largest of their stated errors and the settings that all have; None unless all state an
    accuracy, on the same scale.
    """
    known = [a for a in parts if a is not None]
    if len(known) < len(parts) or len({a.scale for a in known}) > 1:
        return None
    own = tuple(np.array(index)[: a.coarse.n_in] for a, index in zip(known, indices, strict=True))
    coarse, finer = (
        Joint(tuple(k for k in kernels if isinstance(k, Kernel)), own, example) for kernels in ([a.coarse for a in known], [a.finer for a in known])
    )
    knobs = {name: knob for name, knob in known[0].knobs.items() if all(name in a.knobs for a in known)}
    again = partial(_joint_again, known, indices, example)
    return Accuracy(coarse, finer, max(a.stated for a in known), known[0].scale, knobs, again)


def _joint_again(known: Sequence[Accuracy], indices: Sequence[Sequence[int]], example: np.ndarray, changes: Mapping[str, float]) -> Accuracy:
    """The joint accuracy with other settings, the same in all experiments."""
    parts = [a.again(changes) if a.again is not None else a for a in known]
    found = _joint_accuracy(parts, indices, example)
    assert found is not None
    return found


def _labelled(o: Observable, label: str, offset: int) -> Observable:
    """An observable of one experiment among several: all its names carry the experiment's label."""
    coords = {f"{name}_{label}": value for name, value in o.coords.items()}
    return Observable(f"{o.name}_{label}", o.unit, o.rows + offset, f"{o.dim}_{label}", coords)


def _of_part(n: Nuisance, label: str, offset: int, rows: int, total: int) -> Nuisance:
    """A nuisance of one experiment among several."""
    column = np.zeros(total)
    column[offset : offset + rows] = n.column
    return replace(n, parameter=replace(n.parameter, name=f"{n.parameter.name}_{label}"), column=column)


def _joined(tables: Sequence[Any]) -> Table:
    first = tables[0]
    columns = {k: np.concatenate([t.columns[k] for t in tables]) for k in first.columns}
    given = {k: v for k, v in first.given.items() if all(t.given.get(k) == v for t in tables)}
    merged = {k: np.concatenate([getattr(t, k) for t in tables]) for k in ("quantity", "value", "sd", "unit", "line")}
    sums = {k: sum(getattr(t, k) for t in tables) for k in ("n_missing", "n_left_out")}
    return replace(first, columns=columns, given=given, warnings=tuple(w for t in tables for w in t.warnings), **sums, **merged)
