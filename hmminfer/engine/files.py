"""Files that are written whole or not at all, with a checksum of their bytes at the end.

Readers of NetCDF (HDF5) and of npz (zip) do not look behind the end of their own format, so the file stays one that any program can read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from pathlib import Path
from typing import Any

MARK = b"\nhmminfer sha256 "
LENGTH = len(MARK) + 64
PART = ".{}-{}.part"  # a file while it is written, by process and thread


def write_whole(path: Path, *parts: Any) -> None:
    """Write a file of bytes whole or not at all: another process sees the old file or the new one. An OSError leaves no part behind."""
    part = path.with_name(PART.format(os.getpid(), threading.get_ident()))
    try:
        with part.open("wb") as file:
            for content in parts:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def is_part(name: str) -> bool:
    """True for the name of a file whose writing was cut short."""
    return name.startswith(".") and name.endswith(PART[-5:])


def write_checked(path: Path, content: Any) -> None:
    """Write bytes and their checksum."""
    write_whole(path, content, MARK, hashlib.sha256(content).hexdigest().encode())


def verified(path: Path) -> bool | None:
    """True if a file has the checksum of its bytes, False if it has another, None if it has none. A pipe or a device is an OSError."""
    digest = hashlib.sha256()
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write
        raise OSError(0, "it is no plain file", str(path))
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size - LENGTH
        file.seek(max(size, 0))
        end = file.read()
        if size < 0 or not end.startswith(MARK):
            return None
        file.seek(0)
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest().encode() == end[len(MARK) :]
