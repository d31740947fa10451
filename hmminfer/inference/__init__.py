"""From a model and its data to a posterior, and the labelled result."""

import os
import sys
from pathlib import Path

from hmminfer.engine.cache import writable_folder
from hmminfer.errors import HmmInferError


def _prepare_pytensor() -> None:
    """Choose PyTensor's folders, before it is imported and reads them.

    A home that cannot be written is an error here; there it is one in the middle of an import. The source of each function that it compiles is left
    in the temporary folder for good by default; in a folder of its own, old ones are cleared away.
    """
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "pytensor" in sys.modules:
        return
    place = Path.home() / ".pytensor"
    parent = next(p for p in (place, *place.parents) if p.exists())
    if "compiledir" not in flags and not os.access(parent, os.W_OK | os.X_OK):
        raise HmmInferError(
            f"PyTensor cannot compile in '{place}', which cannot be written; set HOME to a folder that can, or PYTENSOR_FLAGS=base_compiledir=FOLDER."
        )
    sources = writable_folder("pytensor")
    if sources and "generated_src_dir" not in flags and "," not in sources:
        os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, (flags, f"generated_src_dir={sources}")))


_prepare_pytensor()
