"""Models as bytes, for other processes and machines.

All parts travel as they are: arrays by value, compiled code by its recipe, functions without a name of their own (closures, lambdas) with their
code. Nothing is built again, so y is the same to the last bit, whatever was replaced since an experiment built the model.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cloudpickle

from hmminfer.errors import HmmInferError


def packed(parts: Mapping[str, Any], what: str) -> bytes:
    """Named parts as bytes; the error for one that cannot be pickled names it. ``what``: the whole, for the message."""
    try:
        return cloudpickle.dumps(dict(parts))
    except HmmInferError:  # of a model among the parts
        raise
    except Exception as error:  # whatever a foreign object raises when it is asked for its state
        raise HmmInferError(
            f"{what} cannot be sent to another process: {_culprit(parts)} cannot be pickled ({error}); leave it out, or give what it is made from."
        ) from error


def _culprit(parts: Mapping[str, Any], within: str = "") -> str:
    """Name of the first part that cannot be pickled; of a mapping, its entry."""
    for name, part in parts.items():
        try:
            cloudpickle.dumps(part)
        except Exception:
            return _culprit(part, f"{name}: ") if isinstance(part, Mapping) and not within else f"{within}{name}"
    return f"{within}the whole"


def place(module: str) -> tuple[str, str]:
    """A module's name, and the file of one that stands alone: from it another process can load a system that is not installed."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return module, str(Path(file).resolve()) if file and "." not in module and module != "__main__" else ""


def unpacked(kind: type, home: tuple[str, str], data: bytes) -> Any:
    """The object of ``kind`` with the parts in ``data``; ``home``: the :func:`place` of the module that declares its system."""
    module, file = home
    try:
        if file and Path(file).is_file() and module not in sys.modules and find_spec(module) is None:
            sys.path.append(str(Path(file).parent))
            importlib.invalidate_caches()
        return kind(**pickle.loads(data))
    except (ImportError, AttributeError) as error:
        raise HmmInferError(
            f"The model cannot be read in this process ({error}); install that module here too, or put its file where Python finds it (what a notebook "
            "or a script declares belongs into a file)."
        ) from error
