"""Results of offline work, kept in the user's cache folder under a hash of everything they depend on.

A damaged or foreign file is ignored and written anew; removing the folder is always safe. The environment variable HMMINFER_CACHE names another
folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from platformdirs import user_cache_dir


def folder() -> Path:
    """Folder in which results are kept."""
    return Path(os.environ.get("HMMINFER_CACHE") or user_cache_dir("hmminfer"))


def cached_arrays(kind: str, key: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Named arrays for ``key``: read from the cache folder if stored there, otherwise computed by ``compute`` and stored.

    ``key`` must name everything that the arrays depend on, code included.
    """
    path = folder() / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["key"]) == key:
                return {name: stored[name] for name in stored.files if name != "key"}
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        pass
    arrays = compute()
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as out:
            temporary = out.name
            np.savez(out, allow_pickle=False, **{"key": np.array(key), **arrays})
        os.replace(temporary, path)  # atomic: another process sees the whole file or none
    except OSError:  # a folder that cannot be written costs time, not correctness
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return arrays
