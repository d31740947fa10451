"""Fingerprints of compiled functions: hashes of all code and constants that a function reaches, helpers in other files included.

Whatever is kept on disk (machine code, tables, reduced bases, PyTensor's functions) is found by such a hash, so that nothing outlives its source.
"""

from __future__ import annotations

import functools
import hashlib
import types
from typing import Any

import numpy as np

OURS = __name__.split(".")[0]  # the package whose modules are looked into: all of it, not this wing alone
KEPT = "__fingerprint__"  # attribute of a compiled function that holds its fingerprint


def fingerprint_of(*functions: Any) -> str:
    """Hash of functions: their bytecode, constants and defaults, and those of all functions and arrays that they reach."""
    digest = hashlib.sha256()
    seen: set[int] = set()
    for function in functions:
        _hash_object(function, digest, seen)
    return digest.hexdigest()[:24]


def _hash_object(thing: Any, digest: Any, seen: set[int]) -> None:
    """Feed a function into ``digest``: code, constants, defaults, closures and the globals it names."""
    function = getattr(thing, "py_func", thing)
    if id(function) in seen:
        return
    if isinstance(function, functools.partial):
        function = (function.func, *function.args, *sorted(function.keywords.items()))
    if isinstance(function, types.FunctionType):
        seen.add(id(function))
        if kept := getattr(function, KEPT, ""):
            digest.update(kept.encode())
            return
        # with its module: what is kept on disk names the modules it came from, and could not be read after a move
        digest.update(f"{function.__module__}.{function.__name__}".encode())
        _hash_code(function.__code__, digest)
        for cell in function.__closure__ or ():
            _hash_object(cell.cell_contents, digest, seen)
        _hash_object(function.__defaults__, digest, seen)
        names = sorted(_global_names(function.__code__))
        for name in names:
            if name in function.__globals__:
                digest.update(name.encode())
                _hash_global(function.__globals__[name], names, digest, seen)
    elif isinstance(function, np.ndarray):
        digest.update(str((function.dtype, function.shape)).encode() + function.tobytes())
    elif isinstance(function, (int, float, str, bool, type(None))):
        digest.update(repr(function).encode())
    elif isinstance(function, tuple):
        for item in function:
            _hash_object(item, digest, seen)
    else:  # modules, builtins, types, external functions: by name
        digest.update(str(getattr(function, "__name__", getattr(function, "symbol", type(function).__name__))).encode())


def _hash_global(value: Any, names: list[str], digest: Any, seen: set[int]) -> None:
    """Feed the value of a global name; of a module, what ``names`` name of it: all of our own, elsewhere what numba compiles into the caller."""
    if not isinstance(value, types.ModuleType):
        _hash_object(value, digest, seen)
        return
    digest.update(value.__name__.encode())
    ours = value.__name__.split(".")[0] == OURS
    for name in names:
        attribute = getattr(value, name, None)
        if attribute is not None and (ours or hasattr(attribute, "py_func") or isinstance(attribute, (int, float, np.ndarray))):
            _hash_object(attribute, digest, seen)


def _hash_code(code: types.CodeType, digest: Any) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _hash_code(constant, digest)
        else:
            digest.update(repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant).encode())


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names
