"""Public names of a package, loaded on first use because numba and pymc take seconds to import."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def public(
    package: str, home: Mapping[str, tuple[str, ...]], modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    ``home``: module -> the public names that it holds; ``modules``: public name -> the module that it stands for.
    """
    where = {name: module for module, names in home.items() for name in names}
    whole = dict(modules or {})

    def get(name: str) -> Any:
        if name in whole:
            return importlib.import_module(f"{package}.{whole[name]}")
        if name in where:
            value = getattr(importlib.import_module(f"{package}.{where[name]}"), name)
            setattr(sys.modules[package], name, value)  # found directly from now on
            return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: list(sys.modules[package].__all__)
