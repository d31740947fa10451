"""Files of a run: each is written whole or not at all, and a result carries a checksum of its bytes (see :mod:`hmminfer.engine.files`).

The checksum is verified before HDF5 opens the file, because HDF5 may read damaged bytes without a word, or never come back from them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hmminfer.engine.files import verified, write_checked, write_whole
from hmminfer.errors import HmmInferError
from hmminfer.inference.modes import modes_of
from hmminfer.system.draws import fixed_of, run_of

if TYPE_CHECKING:
    import xarray as xr


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a full disk, or a folder that cannot be written, is an error."""
    with _told(path):
        write_whole(path, content)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_netcdf(data: xr.DataTree | xr.Dataset, path: Path) -> None:
    """Write labelled arrays as NetCDF with a checksum; made in memory, because HDF5 does not survive a full disk."""
    with data.to_netcdf(None, engine="h5netcdf") as content, _told(path):
        write_checked(path, content)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """An error of the system on writing a file, in a sentence."""
    try:
        yield
    except OSError as error:
        raise HmmInferError(f"'{path}' cannot be written ({error.strerror}); free space, or choose another place.") from None


def read_netcdf(path: Path) -> tuple[xr.DataTree, bool]:
    """A result, and whether it has a checksum; a file that was damaged, or that is no result, is an error."""
    import xarray as xr

    try:
        whole = verified(path)
    except OSError as error:
        raise HmmInferError(f"'{path}' cannot be read ({error.strerror}); see who may read it.") from None
    if whole is False:
        raise HmmInferError(
            f"'{path}' is damaged: its bytes are not those that were written (checksum); take a copy of it, or repeat the run from its run.toml."
        )
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
    return tree, whole is not None
