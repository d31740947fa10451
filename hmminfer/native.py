"""Calls from compiled code to compiled code that the compiler does not look into.

Numba links a callee's code into every caller and optimises it again at each level: a cell, a plate, their coupling, the graph of a whole
posterior and the sampler's entry point would compile the same loops five times over (minutes). A *sealed* function is compiled once,
registered as a symbol of the process, as LAPACK's routines are, and called by name with numba's own calling convention: no copy, no
conversion. Cached callers refer to the symbol, so it is registered as soon as a code is built, in every process.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

_KINDS = {"f": types.float64, "i": types.int64}


def array_types(spec: str) -> tuple[types.Array, ...]:
    """Numba types of a spec such as "f1 i2": float64 vector, int64 matrix; C-contiguous."""
    return tuple(types.Array(_KINDS[item[0]], int(item[1]), "C") for item in spec.split())


def seal(function: Any, spec: str, symbol: str) -> Any:
    """An njit function that calls ``function`` (a dispatcher taking arrays as in ``spec``) through the process symbol ``symbol``."""
    expected = array_types(spec)
    function.compile(expected)
    compiled = function.overloads[expected]
    result = compiled.signature.return_type
    llvm.add_symbol(symbol, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))

    @intrinsic
    def call(typing_context: Any, arguments: Any) -> Any:
        given = tuple(arguments.types)
        # a read-only array has the same layout in memory, and kernels write to no argument
        if [(a.dtype, a.ndim, a.layout) for a in given] != [(e.dtype, e.ndim, e.layout) for e in expected]:
            raise TypingError(f"{symbol} takes {expected}, got {given}")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = context.call_conv.get_function_type(result, expected)
            target = cgutils.get_or_insert_function(builder.module, kind, symbol)
            items = cgutils.unpack_tuple(builder, values[0])
            status, out = context.call_conv.call_function(builder, target, result, expected, items)
            with cgutils.if_unlikely(builder, status.is_error):  # out of memory is all that can happen
                context.call_conv.return_status_propagate(builder, status)
            return out

        return result(arguments), codegen

    @njit(error_model="numpy")
    def sealed(*arguments):
        return call(arguments)

    return sealed
