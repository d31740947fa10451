"""Priors that know the material and the data: presets by name, measured constituents, and what the data cannot see.

    # material = "glass/epoxy"          in a data file; --set material="glass/epoxy"; model(..., material="glass/epoxy")

Nothing about a user's material is taken without a word. A parameter has, in this order of precedence: the value or prior that was given for it; the
prior of the preset that was named; a prior of a factor of e about its measurement, if a row measures the very parameter; else the wide prior of its
system. Presets are facts with a source: ``datasets/materials/materials.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError, unknown
from hmminfer.system import datasets
from hmminfer.system.data import Setting
from hmminfer.system.parameters import ParameterSet
from hmminfer.system.priors import HalfNormal, LogNormal, Normal, Prior
from hmminfer.system.remarks import unnamed
from hmminfer.system.tables import Table

ROLES = ("fibre", "particle", "inclusion")  # of the first constituent, where the second is the matrix
ABOUT = ("also", "source", "whole", "made_of", "like", "note")  # entries of a constituent that are no properties
MATERIAL = Setting(
    "material",
    default="",
    kind="text",
    description="its name, like glass/epoxy: handbook values of its constituents become priors; none: wide priors, inferred",
)
MEASURED = 1.0  # width of the logarithm about a measurement: the datum itself, with its sd, says the rest


@dataclass(frozen=True)
class Constituent:
    """One entry of the file: ``properties`` (median, relative width) by name; ``whole``: the names are those of a system's parameters;
    ``note``: what a general name stands for.
    """

    name: str
    source: str
    properties: Mapping[str, tuple[float, float]]
    whole: bool = False
    made_of: str = ""
    note: str = ""


@cache
def constituents() -> dict[str, Constituent]:
    """All constituents by name; other names for them come after."""
    text = (datasets.folder() / "materials" / "materials.toml").read_text(encoding="utf-8")
    found: dict[str, Constituent] = {}
    others: dict[str, Constituent] = {}
    for name, entry in tomllib.loads(text).items():
        properties = {k: (float(v[0]), float(v[1])) for k, v in entry.items() if k not in ABOUT}
        if "like" in entry:
            properties = {**found[entry["like"]].properties, **properties}
        source = entry.get("source", "").strip()
        found[name] = Constituent(name, source, properties, entry.get("whole", False), entry.get("made_of", ""), entry.get("note", ""))
        others |= {other: found[name] for other in entry.get("also", ())}
    return {**found, **others}


def _constituent(name: str) -> Constituent:
    known = {k.lower(): v for k, v in constituents().items()}
    if name.strip().lower() not in known:
        raise unknown("material", name.strip(), constituents())
    return known[name.strip().lower()]


def preset(material: str) -> dict[str, Prior]:
    """Priors by parameter name of a material: "glass/epoxy" (fibre, particle or inclusion, and matrix), or one with a name of its own."""
    first, slash, second = material.partition("/")
    head = _constituent(first)
    if head.made_of:
        return preset(head.made_of)
    if head.whole:
        return {k: _prior(k, *v) for k, v in head.properties.items()}
    if not slash:
        raise HmmInferError(f"The material {material!r} is one constituent; name both, like glass/epoxy: what is embedded, then the matrix.")
    matrix = _constituent(second)
    if matrix.whole or matrix.made_of or "axial_modulus" in matrix.properties:
        raise HmmInferError(
            f"'{second.strip()}' cannot be the matrix of {material!r}: it is no isotropic constituent; name epoxy, polymer, metal or the like."
        )
    return {**_embedded(head.properties), **{f"matrix_{k}": _prior(k, *v) for k, v in matrix.properties.items()}}


def _embedded(properties: Mapping[str, tuple[float, float]]) -> dict[str, Prior]:
    """Priors of what is embedded, under the names of all systems; an isotropic one has equal constants along and across."""
    given = dict(properties)
    if "modulus" in given and "poisson" in given:
        (e, width), (nu, _) = given["modulus"], given["poisson"]
        given["shear_modulus"] = (0.5 * e / (1.0 + nu), width)
    if "transverse_conductivity" in given:  # cylinders lie across a plate
        given.setdefault("conductivity", given["transverse_conductivity"])
    out = {f"{role}_{k}": _prior(k, *v) for role in ROLES for k, v in given.items()}
    for way in ("axial", "transverse"):
        out |= {f"fibre_{way}_{k}": _prior(k, *v) for k, v in given.items() if f"fibre_{way}_{k}" not in out}
    return out


def _prior(name: str, median: float, width: float) -> Prior:
    """LogNormal, or Normal for a Poisson ratio, a share and what is negative."""
    if median <= 0.0 or name.endswith(("poisson", "fraction")):
        return Normal(median, width * abs(median))
    return LogNormal(median, width)


@cache
def _tellable() -> set[str]:
    """Names of the parameters of which some preset tells."""
    out: set[str] = set()
    for c in constituents().values():
        out |= set(c.properties) if c.whole else {*_embedded(c.properties), *(f"matrix_{k}" for k in c.properties)}
    return out


@dataclass(frozen=True)
class Informed:
    """Parameters with priors that know the material and the data, values of those that no datum depends on, and what is to be said of them."""

    parameters: ParameterSet
    held: dict[str, float]
    cautions: tuple[Callable[[Any], str], ...] = ()

    @property
    def parts(self) -> dict[str, Any]:
        """These as parts of a :class:`.Model`."""
        return {"parameters": self.parameters, "fixed": self.held, "cautions": self.cautions}


def informed(
    parameters: ParameterSet,
    kernel: Kernel,
    settings: Mapping[str, Any],
    table: Table | None = None,
    unseen: Mapping[str, float] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> Informed:
    """Parameters as the material named in the settings and the rows of the table suggest.

    ``unseen``: parameters that are held, at this value or the preset's median, if the data do not depend on them at all; otherwise they are inferred.
    ``fixed``: parameters that the model holds in any case, at values that switch a mechanism off.
    """
    unseen = {k: v for k, v in (unseen or {}).items() if k in parameters.names}
    material = str(settings["material"])
    known = {k: v for k, v in (preset(material) if material else {}).items() if k in parameters.names}
    if material and not known:
        raise HmmInferError(f"The material {material!r} tells nothing of {', '.join(parameters.names)}; leave it out, or name another.")
    if table is not None:
        known = {**_measured(parameters, table), **known}
    told = parameters.replaced(known)
    never = not_seen(kernel, told, unseen, fixed or {}) if unseen else set()
    held = {k: known[k].centre if k in known else v for k, v in unseen.items() if k in never}
    wide = {p.name: p.prior for p in parameters if p.name in _tellable() and p.name not in known}
    example = next((c.name for c in constituents().values() if c.whole and wide.keys() & c.properties.keys()), "glass/epoxy")
    cautions = [partial(unnamed, wide=wide, example=example)] if wide and not material else []
    cautions += [partial(_say, note) for part in filter(None, material.split("/")) if (note := _constituent(part).note)]
    return Informed(told, {**held, **(fixed or {})}, tuple(cautions))


def _say(sentence: str, model: Any) -> str:
    return sentence


def _measured(parameters: ParameterSet, table: Table) -> dict[str, Prior]:
    """Priors about the measurement of the very parameter, for positive parameters whose prior is wider."""
    out: dict[str, Prior] = {}
    for p in parameters:
        rows = table.value[table.quantity == p.name]
        if rows.size and isinstance(p.prior, LogNormal) and p.prior.sigma > MEASURED and np.all(rows > 0.0):
            out[p.name] = LogNormal(float(np.exp(np.mean(np.log(rows)))), MEASURED)
    return out


def not_seen(kernel: Kernel, parameters: ParameterSet, names: Iterable[str], fixed: Mapping[str, float]) -> set[str]:
    """Those of ``names`` on which y does not depend, tried at the priors' medians and beside them, with others ``fixed``."""
    where, out = parameters.slices(), set(names)
    for u in (0.0, 0.4):
        theta = parameters.vector({**{p.name: float(p.prior.quantile(u)) for p in parameters if not p.axial and p.size is None}, **fixed})
        y = kernel(theta)
        for name in sorted(out):
            moved = theta.copy()
            moved[where[name]] *= 1.05
            z = kernel(moved)
            if not (np.all(np.isfinite(y)) and np.all(np.isfinite(z)) and np.allclose(z, y, rtol=1e-10, atol=0.0)):
                out.discard(name)
    return out


def scaled(parameters: ParameterSet, scales: Mapping[str, float]) -> ParameterSet:
    """Parameters whose scale is arbitrary (intensities in arbitrary units), their priors multiplied by ``scales``."""
    new: dict[str, Prior] = {}
    for name, factor in scales.items():
        prior = parameters[name].prior
        if isinstance(prior, LogNormal):
            new[name] = replace(prior, median=prior.median * factor)
        elif isinstance(prior, HalfNormal):
            new[name] = HalfNormal(prior.standard_deviation * factor)
        elif isinstance(prior, Normal):
            new[name] = replace(prior, mean=prior.mean * factor, standard_deviation=prior.standard_deviation * factor)
        else:
            raise HmmInferError(f"The prior {prior} of '{name}' has no scale to follow; declare a Normal, HalfNormal or LogNormal.")
    return parameters.replaced(new)
