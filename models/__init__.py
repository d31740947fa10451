"""The catalogue of physical systems: one line each. A system is a module with EXPERIMENTS and PREDICTIONS.

A system may live outside this package, and then works alike everywhere (fit, predict, the command line):

    hmminfer fit my_system.py                       a file, by its path; from Python models.get("my_system.py")
    models.register(module)                         a module that is loaded already
    [project.entry-points."hmminfer.models"]        an installed package: my_system = "my_package.my_system"
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from hmminfer.errors import HmmInferError, unknown

CATALOGUE = {
    "fibre_composite": "fibre orientation, content and phase moduli of a unidirectional composite",
    "heat_composite": "conductivities of phases, their contact and their content from heat flow",
    "proton_conductor": "interface layers, conductivities and contacts of an ionomer from its films and membranes",
    "thermoelastic_composite": "expansion, conductivity and content of the phases from expanding, bending and cooling laminae",
    "swelling_gel": "fixed charge, stiffness and permeability of a charged network from how it swells and creeps in salt water",
    "morphogen_tissue": "diffusion and degradation of a morphogen in a tissue of stochastic cells from the gradient it forms",
    "reactive_transport": "sorption, dispersion and slow kinetics from what leaves packed columns, of reactions at 1e9 per second",
}
_registered: dict[str, ModuleType] = {}


def names() -> list[str]:
    """Names of the physical systems: those of the package, of installed packages, and those registered."""
    return list(dict.fromkeys([*CATALOGUE, *_installed(), *_registered]))


def describe() -> dict[str, str]:
    """A line for each system."""
    return {name: CATALOGUE[name] if name in CATALOGUE else _first_line(get(name)) for name in names()}


def get(name: str) -> ModuleType:
    """The module of a physical system, by its name or by the path of a file ``my_system.py``."""
    text = str(name)
    if text in _registered:
        return _registered[text]
    if text in CATALOGUE:
        return importlib.import_module(f"{__name__}.{text}")
    if text in _installed():
        return register(_installed()[text].load(), text)
    if text.endswith(".py"):
        return register(_loaded(Path(text)))
    raise unknown("model", text, names())


def register(module: ModuleType, name: str = "") -> ModuleType:
    """Make a module with EXPERIMENTS a physical system of this session, under ``name`` or the name its EXPERIMENTS have; returns it."""
    experiments: Any = getattr(module, "EXPERIMENTS", None)
    if not hasattr(experiments, "predictions"):
        where = getattr(module, "__file__", None) or module.__name__
        raise HmmInferError(f"'{where}' declares no physical system; write EXPERIMENTS = Experiments(name, Experiment(...)), as the tutorial does.")
    name = name or experiments.system
    if name in CATALOGUE:
        raise HmmInferError(f"The name '{name}' is taken by a system of the package; give yours another.")
    _registered[name] = module
    return module


def _loaded(path: Path) -> ModuleType:
    """The module of a file; its folder becomes importable, so that other processes find the functions of its kernels by name."""
    if not path.is_file():
        raise HmmInferError(f"There is no file '{path}'; give the name of a system ({', '.join(names())}) or the path of one's own.")
    name = path.stem
    known = sys.modules.get(name)
    if known is None and name.isidentifier() and name not in sys.stdlib_module_names:
        sys.path.insert(0, str(path.resolve().parent))  # as for a script: its folder comes first
        importlib.invalidate_caches()
        return importlib.import_module(name)
    file = getattr(known, "__file__", None)
    if file is not None and Path(file).read_bytes() == path.read_bytes():  # the file itself, or the copy that a run keeps of it
        assert known is not None
        return known
    raise HmmInferError(f"'{path}' cannot be loaded: '{name}' is another module, or no name in Python; rename the file.")


@cache
def _installed() -> dict[str, EntryPoint]:
    """Systems of installed packages."""
    return {e.name: e for e in entry_points(group="hmminfer.models") if e.name not in CATALOGUE}


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().partition("\n")[0]


def __getattr__(name: str) -> ModuleType:
    if name in names():
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return names()
