"""From a model and its data to a posterior, and the labelled result."""

import os
import sys
from pathlib import Path

from hmminfer.errors import HmmInferError


def _check_home() -> None:
    """Raise an error if PyTensor could not write to its folder: it would end with an error of its own, or in the middle of a compilation."""
    if "pytensor" in sys.modules or "compiledir" in os.environ.get("PYTENSOR_FLAGS", ""):
        return
    place = Path.home() / ".pytensor"
    parent = next(p for p in (place, *place.parents) if p.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise HmmInferError(
            f"PyTensor cannot compile in '{place}', which cannot be written; set HOME to a folder that can, or PYTENSOR_FLAGS=base_compiledir=FOLDER."
        )


_check_home()
