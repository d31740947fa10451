"""hmminfer: inference of a material's hidden microstructure from measurements on a whole piece of it.

    >>> import hmminfer as hm                                                              # doctest: +SKIP
    >>> model = hm.models.fibre_composite.EXPERIMENTS["coupons"].model("raghavan_meshii")  # doctest: +SKIP
    >>> tree = hm.fit(model)                                                               # doctest: +SKIP
    >>> hm.report(tree)                                                                    # doctest: +SKIP

The names listed below are the public interface. Each is loaded on first use, because pymc and the kernels take seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hmminfer.lazy import public

if TYPE_CHECKING:
    from hmminfer import datasets, models
    from hmminfer.app import folder as runs
    from hmminfer.diagnostics.calibration import sbc
    from hmminfer.diagnostics.checking import checks
    from hmminfer.diagnostics.reporting import report
    from hmminfer.diagnostics.sensitivity import identifiability
    from hmminfer.diagnostics.summary import summary
    from hmminfer.errors import HmmInferError
    from hmminfer.figures import overview as figures
    from hmminfer.inference import homogenisation, stochastic
    from hmminfer.inference.problem import Problem
    from hmminfer.inference.sampling import build, completed, fit, preview
    from hmminfer.system.model import Model
    from hmminfer.system.parameters import Parameter
    from hmminfer.system.priors import Axial, Beta, Gamma, HalfNormal, LogNormal, Normal, StudentT, Uniform
    from hmminfer.system.tables import read_table

__version__ = "0.2.0.dev0"

__all__ = [
    "Axial",
    "Beta",
    "Gamma",
    "HalfNormal",
    "HmmInferError",
    "LogNormal",
    "Model",
    "Normal",
    "Parameter",
    "Problem",
    "StudentT",
    "Uniform",
    "__version__",
    "build",
    "checks",
    "completed",
    "datasets",
    "figures",
    "fit",
    "homogenisation",
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

# where each public name lives, and the public names of whole modules
_HOME = {
    "errors": ("HmmInferError",),
    "system.model": ("Model",),
    "system.parameters": ("Parameter",),
    "system.priors": ("Axial", "Beta", "Gamma", "HalfNormal", "LogNormal", "Normal", "StudentT", "Uniform"),
    "system.tables": ("read_table",),
    "inference.problem": ("Problem",),
    "inference.sampling": ("build", "completed", "fit", "preview"),
    "diagnostics.checking": ("checks",),
    "diagnostics.summary": ("summary",),
    "diagnostics.sensitivity": ("identifiability",),
    "diagnostics.calibration": ("sbc",),
    "diagnostics.reporting": ("report",),
}
_MODULES = {
    "datasets": "datasets",
    "figures": "figures",
    "homogenisation": "inference.homogenisation",
    "models": "models",
    "runs": "app.folder",
    "stochastic": "inference.stochastic",
}
__getattr__, __dir__ = public(__name__, _HOME, _MODULES)
