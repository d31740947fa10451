"""Results of offline work, kept in the user's cache folder under a hash of everything they depend on.

A damaged or foreign file is ignored and written anew; removing the folder is always safe. The environment variable HMMINFER_CACHE names another
folder. :func:`check_private` refuses caches that others may write.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
from platformdirs import user_cache_dir

from hmminfer.engine.files import verified, write_checked
from hmminfer.errors import HmmInferError


def folder() -> Path:
    """Folder in which results are kept."""
    return Path(os.environ.get("HMMINFER_CACHE") or user_cache_dir("hmminfer"))


def writable_folder(name: str) -> str:
    """Path of a folder inside the cache folder; "" if it cannot be made or written."""
    place = (folder() / name).absolute()
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
    return str(place) if os.access(place, os.W_OK) else ""


def cached_arrays(kind: str, key: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Named arrays for ``key``: read from the cache folder if stored there, otherwise computed by ``compute`` and stored.

    ``key`` must name everything that the arrays depend on, code included.
    """
    path = folder() / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    with contextlib.suppress(Exception):  # whatever is wrong with the file, or with the cache, costs time and not correctness
        if verified(path):
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["key"]) == key:
                    return {name: stored[name] for name in stored.files if name != "key"}
    arrays = compute()
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{"key": np.array(key), **arrays})
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with content.getbuffer() as view:
            write_checked(path, view)
    return arrays


def check_private() -> None:
    """Raise an error if others may write a cache that is read here: numba's indices are pickles, and what lies there is run.

    Trusted are the user, root, and the owner of this package, whose code runs anyway. Groups are trusted too, because many systems give each user a
    group of his own, and containers a user without a name that is in the group of the files.
    """
    if not hasattr(os, "geteuid"):  # Windows keeps caches in the user's profile
        return
    trusted = {os.geteuid(), 0, Path(__file__).stat().st_uid}
    numba = os.environ.get("NUMBA_CACHE_DIR", "")
    caches = {"NUMBA_CACHE_DIR": Path(numba or user_cache_dir("numba", appauthor=False)), "HMMINFER_CACHE": folder()}
    for variable, place in caches.items():
        try:
            found = place.stat()
        except OSError:
            continue  # not there yet: it is made for the user
        open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        if open_to_all or found.st_uid not in trusted:
            who = "everybody may write to it" if open_to_all else f"it belongs to another user ({found.st_uid})"
            remedy = f"chmod o-w '{place}', or " if open_to_all and found.st_uid == os.geteuid() else ""
            raise HmmInferError(
                f"The cache folder '{place}' holds compiled code that is run, and {who}; {remedy}set {variable} to a folder of yours."
            )
