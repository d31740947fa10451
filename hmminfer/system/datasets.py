"""The datasets that come with the package: one folder each, with ``data.csv`` (or ``data.nc``) and ``provenance.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from hmminfer import errors
from hmminfer.system.tables import RawTable, read_table

_HERE = Path(__file__).parent.parent / "datasets"


def folder() -> Path:
    """Folder of all datasets."""
    return _HERE


def names() -> list[str]:
    """Names of all datasets, sorted."""
    return sorted(file.parent.name for file in _HERE.glob("*/provenance.toml"))


def path(name: str) -> Path:
    """Folder of a dataset; an unknown name raises :class:`~hmminfer.errors.HmmInferError` with the nearest known one."""
    if name not in names():
        raise errors.unknown("dataset", name, names())
    return _HERE / name


def load(name: str) -> RawTable:
    """The data table of a dataset as text, with its provenance; a schema's ``check`` turns it into numbers."""
    return replace(read_table(path(name) / "data.csv"), name=name, source=f"dataset {name}", provenance=describe(name))


def describe(name: str) -> dict[str, Any]:
    """Provenance of a dataset: source, authors, how it was transcribed, confidence, units, uncertainty, notes."""
    return tomllib.loads((path(name) / "provenance.toml").read_text(encoding="utf-8"))
