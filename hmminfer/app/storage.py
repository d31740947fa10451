"""Files of a run: each is written whole or not at all, and a result carries a checksum of its bytes.

The checksum follows the NetCDF file's own end, where readers of NetCDF and HDF5 do not look: a result stays one file that can be moved, and any
program can read it. It is verified before HDF5 opens the file, because HDF5 may read damaged bytes without a word, or never come back from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmminfer.errors import HmmInferError
from hmminfer.inference.modes import modes_of
from hmminfer.system.draws import fixed_of, run_of

if TYPE_CHECKING:
    import xarray as xr

MARK = b"\nhmminfer sha256 "
LENGTH = len(MARK) + 64


def write_whole(path: Path, *parts: Any) -> None:
    """Write a file of bytes whole or not at all; a full disk or a folder that cannot be written is an error, and leaves no part behind."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            for content in parts:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise HmmInferError(f"'{path}' cannot be written ({error.strerror}); free space, or choose another place.") from None


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, text.encode())


def write_netcdf(data: xr.DataTree | xr.Dataset, path: Path) -> None:
    """Write labelled arrays as NetCDF with a checksum; made in memory, because HDF5 does not survive a full disk."""
    content: Any = data.to_netcdf(None, engine="h5netcdf")
    write_whole(path, content, MARK, hashlib.sha256(content).hexdigest().encode())


def read_netcdf(path: Path) -> tuple[xr.DataTree, bool]:
    """A result, and whether it has a checksum; a file that was damaged, or that is no result, is an error."""
    import xarray as xr

    try:
        sealed = _verified(path)
    except OSError as error:
        raise HmmInferError(f"'{path}' cannot be read ({error.strerror}); see who may read it.") from None
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except Exception as error:  # h5py and xarray raise many types for a damaged file
        told = " ".join(str(error).split())
        raise HmmInferError(f"'{path}' cannot be read as a result of hmminfer ({told}); give a posterior.nc that hmminfer fit wrote.") from None
    if "hmminfer" not in tree.attrs or "posterior" not in tree.children:
        raise HmmInferError(f"'{path}' is not a result of hmminfer; give a posterior.nc that hmminfer fit wrote.")
    try:
        for attrs in (tree.attrs, tree["posterior"].attrs):
            fixed_of(attrs)
        run_of(tree)
        modes_of(tree)
    except HmmInferError as error:
        raise HmmInferError(f"'{path}' is damaged: {error}") from None
    return tree, sealed


def _verified(path: Path) -> bool:
    """True if a file has the checksum of its bytes, False if it has none; another checksum is an error."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size - LENGTH
        file.seek(max(size, 0))
        end = file.read()
        if size < 0 or not end.startswith(MARK):
            return False
        file.seek(0)
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    if digest.hexdigest().encode() != end[len(MARK) :]:
        raise HmmInferError(
            f"'{path}' is damaged: its bytes are not those that were written (checksum); take a copy of it, or repeat the run from its run.toml."
        )
    return True
