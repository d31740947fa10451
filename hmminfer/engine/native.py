"""Calls between compiled functions that the compiler neither inlines nor compiles again.

Numba links a callee's code into every caller and optimises it again at each level: a cell, a plate, their coupling, the graph of a whole
posterior and the sampler's entry point would compile the same loops five times over (minutes). A *sealed* function is compiled once,
registered as a symbol of the process, as LAPACK's routines are, and called by name with numba's own calling convention: no copy, no
conversion. Cached callers refer to the symbol, so it is registered as soon as a code is built, in every process.
"""

from __future__ import annotations

import builtins
import dis
from types import CodeType, FunctionType
from typing import Any

import llvmlite.binding as llvm
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from hmminfer.engine.fingerprint import KEPT, fingerprint_of

_KINDS = {"f": types.float64, "i": types.int64}


def array_types(spec: str) -> tuple[types.Array, ...]:
    """Numba types of a spec such as "f1 i2": float64 vector, int64 matrix; C-contiguous."""
    return tuple(types.Array(_KINDS[item[0]], int(item[1]), "C") for item in spec.split())


def seal(function: Any, spec: str, symbol: str) -> Any:
    """An njit function that calls ``function`` (a dispatcher taking arrays as in ``spec``) through the process symbol ``symbol``."""
    expected = array_types(spec)
    _, folded = function._compiler.fold_argument_types(expected, {})  # a *rest argument is one tuple to the compiled function
    folded = tuple(folded)
    function.compile(folded)
    compiled = function.overloads[folded]
    result = compiled.signature.return_type
    llvm.add_symbol(symbol, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))

    @intrinsic
    def call(typing_context: Any, arguments: Any) -> Any:
        given = tuple(arguments.types)
        # a read-only array has the same layout in memory, and kernels write to no argument
        if [(a.dtype, a.ndim, a.layout) for a in given] != [(e.dtype, e.ndim, e.layout) for e in expected]:
            raise TypingError(f"{symbol} takes {expected}, got {given}")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = context.call_conv.get_function_type(result, folded)
            target = cgutils.get_or_insert_function(builder.module, kind, symbol)
            items = cgutils.unpack_tuple(builder, values[0])
            if folded != expected:
                last = len(folded) - 1
                items = [*items[:last], context.make_tuple(builder, folded[last], items[last:])]
            status, out = context.call_conv.call_function(builder, target, result, folded, items)
            with cgutils.if_unlikely(builder, status.is_error):  # out of memory is all that can happen
                context.call_conv.return_status_propagate(builder, status)
            return out

        return result(arguments), codegen

    def sealed(*arguments):
        return call(arguments)

    sealed.__name__ = sealed.__qualname__ = symbol  # fingerprints of callers tell sealed functions apart by it
    return njit(error_model="numpy")(sealed)


def compiled(function: Any = None, *, fastmath: Any = False) -> Any:
    """Decorator: ``numba.njit`` with its disk cache, in which a function is found by the fingerprint of all code it reaches.

    Numba alone looks at the file that defines a function, and not at what is compiled into it from other files: after an edit there, or an
    upgrade, it would answer with the old code.
    """
    if function is None:
        return lambda f: compiled(f, fastmath=fastmath)
    known = {function.__name__, *function.__globals__, *vars(builtins)}  # its own name too: a function may call itself
    if unknown := sorted(_loaded(function.__code__) - known):
        raise NameError(f"{function.__module__}.{function.__name__} is compiled before {', '.join(unknown)} is defined; move its definition up.")
    kept, name = fingerprint_of(function), function.__qualname__
    function.__qualname__ = f"{name}_{kept}"  # numba reads the name of its cache file from here, once
    dispatcher = njit(cache=True, error_model="numpy", fastmath=fastmath)(function)
    function.__qualname__ = name
    setattr(function, KEPT, kept)
    return dispatcher


def specialise(template: Any, **bindings: Any) -> Any:
    """The plain function ``template`` compiled with some of its global names bound to other functions and constants.

    Unlike a closure the result is kept in numba's disk cache.
    """
    return compiled(FunctionType(template.__code__, {**template.__globals__, **bindings}, template.__name__))


def _loaded(code: CodeType) -> set[str]:
    """Global names that a function reads."""
    return {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
