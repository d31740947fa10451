"""Priors as other packages write them: SciPy's frozen distributions are understood, for everything else a sentence says what to write."""

from __future__ import annotations

import math
from typing import Any

from hmminfer.errors import HmmInferError
from hmminfer.system.prior_base import Prior
from hmminfer.system.priors import Beta, Gamma, HalfNormal, LogNormal, Normal, StudentT, Uniform, parse_prior

ORIGIN = ("lognorm", "gamma", "beta", "halfnorm")  # kinds of SciPy whose location must be 0


def as_prior(value: Any, name: str, unit: str) -> Prior:
    """Prior of the parameter ``name`` from a prior, text such as "LogNormal(3.5 GPa, 0.2)", or a frozen distribution of scipy.stats."""
    if isinstance(value, Prior):
        return value
    if isinstance(value, str):
        return parse_prior(value, unit)
    if hasattr(value, "dist") and hasattr(value.dist, "_parse_args"):
        return _of_scipy(value, name)
    example = f"hmminfer.LogNormal(3.5, 0.2), or text: 'LogNormal(3.5 {unit}, 0.2)'".replace(" ,", ",")
    if type(value).__module__.split(".")[0] in ("pytensor", "pymc"):
        raise HmmInferError(
            f"The prior of '{name}' is a random variable of PyMC; write it as {example}. In a PyMC model of your own, call the model with variables."
        )
    if isinstance(value, int | float):
        raise HmmInferError(f"The prior of '{name}' is the number {value:g}; a known value belongs into fixed={{{name!r}: {value:g}}}.")
    raise HmmInferError(f"The prior of '{name}' is {value!r}, which does not say its law; write {example}.")


def _of_scipy(frozen: Any, name: str) -> Prior:
    kind = frozen.dist.name
    shape, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    if (kind in ORIGIN and loc != 0.0) or (kind == "beta" and scale != 1.0):
        raise HmmInferError(f"The prior of '{name}', scipy.stats.{kind}, is shifted or stretched; give it with loc = 0 (and beta with scale = 1).")
    laws = {
        "norm": lambda: Normal(loc, scale),
        "truncnorm": lambda: Normal(loc, scale, loc + shape[0] * scale, loc + shape[1] * scale),
        "lognorm": lambda: LogNormal(scale, shape[0]),
        "uniform": lambda: Uniform(loc, loc + scale),
        "halfnorm": lambda: HalfNormal(scale),
        "gamma": lambda: Gamma(shape[0] * scale, math.sqrt(shape[0]) * scale),
        "beta": lambda: Beta(*shape),
        "t": lambda: StudentT(shape[0], loc, scale),
    }
    if kind not in laws:
        raise HmmInferError(f"The prior of '{name}', scipy.stats.{kind}, has no counterpart here; those of {', '.join(laws)} have.")
    return laws[kind]()
