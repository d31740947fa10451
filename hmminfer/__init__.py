"""hmminfer: what a material's hidden microstructure must be, from how a piece of it behaves as a whole.

    >>> import hmminfer as hm                                                              # doctest: +SKIP
    >>> model = hm.models.fibre_composite.EXPERIMENTS["coupons"].model("raghavan_meshii")  # doctest: +SKIP
    >>> tree = hm.fit(model)                                                               # doctest: +SKIP
    >>> hm.report(tree)                                                                    # doctest: +SKIP

What is listed below is the public face. Each name is loaded on first use: pymc and the kernels take seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, figures, models, runs, stochastic
    from .data import read_table
    from .diagnostics import checks, identifiability, report, sbc, summary
    from .errors import HmmInferError
    from .inference import build, fit, preview
    from .model import Model
    from .parameters import Axial, HalfNormal, LogNormal, Normal, Parameter, Uniform

__version__ = "0.1.0"

__all__ = [
    "Axial",
    "HalfNormal",
    "HmmInferError",
    "LogNormal",
    "Model",
    "Normal",
    "Parameter",
    "Uniform",
    "__version__",
    "build",
    "checks",
    "datasets",
    "figures",
    "fit",
    "identifiability",
    "models",
    "preview",
    "read_table",
    "report",
    "runs",
    "sbc",
    "stochastic",
    "summary",
]

_HOME = {
    "data": ("read_table",),
    "diagnostics": ("checks", "identifiability", "report", "sbc", "summary"),
    "errors": ("HmmInferError",),
    "inference": ("build", "fit", "preview"),
    "model": ("Model",),
    "parameters": ("Axial", "HalfNormal", "LogNormal", "Normal", "Parameter", "Uniform"),
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}
_MODULES = ("datasets", "figures", "models", "runs", "stochastic")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _WHERE:
        value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = value  # found directly from now on
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
