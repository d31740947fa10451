"""PyTensor functions as the C callbacks that nutpie's sampler calls.

``nutpie.compile_pymc_model`` links a copy of the whole posterior into two callbacks and optimises it again, in every process: 20 seconds
for the smallest model. Here a callback calls PyTensor's compiled function, which is in the disk cache, by its address: one second. It finds that
address, and those of the shared arrays, in the table that nutpie hands to every call, so callbacks are compiled once for all functions of one type
and shape. (Numba never gives compiled code back: one callback for each fit would add 3 MB each.) The arrays can be changed in place.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from llvmlite import ir
from numba import carray, cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic
from nutpie.compile_pymc import CompiledPyMCModel, address_as_void_pointer

from hmminfer.engine.native import array_types

_POINTER = types.CPointer(types.double)
_DENSITY = (
    """
def density(dim, x, gradient, value, user):
    table = carray(user, ({size},), np.int64)
    result = call(table[{at}], (carray(x, ({n},)), {shared}))
    logp, slope, out = result[0].item(), result[1], carray(gradient, ({n},))
    carray(value, (1,))[0] = logp
    finite = np.isfinite(logp)
    for i in range({n}):
        out[i] = slope[i]
        finite = finite and np.isfinite(slope[i])
    return 0 if finite else 3
""",
    types.int64(types.uint64, _POINTER, _POINTER, _POINTER, types.voidptr),
)
_EXPAND = (
    """
def expand(dim, size, x, expanded, user):
    table = carray(user, ({size},), np.int64)
    result = call(table[{at}], (carray(x, ({n},)), {shared}))[0]
    out = carray(expanded, ({n},))
    for i in range({n}):
        out[i] = result[i]
    return 0
""",
    types.int64(types.uint64, types.uint64, _POINTER, _POINTER, types.voidptr),
)


def _compiled(function: Any, arrays: list[np.ndarray]) -> Any:
    """Machine code of the PyTensor ``function`` of a vector and of shared ``arrays``."""
    dispatcher = function.vm.jit_fn
    expected = array_types(" ".join(["f1", *(f"{a.dtype.kind}{a.ndim}" for a in arrays)]))
    _, folded = dispatcher._compiler.fold_argument_types(expected, {})  # a *rest argument is one tuple to the compiled function
    dispatcher.compile(tuple(folded))
    return dispatcher.overloads[tuple(folded)]


@cache
def _caller(result: Any, arguments: tuple) -> Any:
    """Function (address, arguments) for compiled code: calls the machine code at an address, with numba's own calling convention."""

    @intrinsic
    def call(typing_context: Any, address: Any, given: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = context.call_conv.get_function_type(result, arguments)
            target = builder.inttoptr(values[0], ir.PointerType(kind))
            items, last = cgutils.unpack_tuple(builder, values[1]), len(arguments) - 1
            if isinstance(arguments[last], types.BaseTuple):
                items = [*items[:last], context.make_tuple(builder, arguments[last], items[last:])]
            status, out = context.call_conv.call_function(builder, target, result, arguments, items)
            with cgutils.if_unlikely(builder, status.is_error):  # out of memory is all that can happen
                context.call_conv.return_status_propagate(builder, status)
            return out

        return result(address, given), codegen

    return call


@cache
def _callback(template: tuple[str, Any], n: int, at: int, size: int, shapes: tuple, result: Any, arguments: tuple) -> Any:
    """C function of a vector of length n, whose function and arrays stand in a table of ``size`` addresses from place ``at``."""
    source, signature = template
    shared = ", ".join(f"carray(pointer(table[{at + 1 + i}]), {shape}, np.{dtype})" for i, (shape, dtype) in enumerate(shapes))
    scope: dict[str, Any] = {"call": _caller(result, arguments), "carray": carray, "pointer": address_as_void_pointer, "np": np}
    exec(source.format(n=n, at=at, size=size, shared=shared), scope)
    return cfunc(signature, error_model="numpy")(scope[source.split()[1].partition("(")[0]])


def nutpie_model(density: Any, expand: Any, n: int, arrays: dict[Any, np.ndarray]) -> CompiledPyMCModel:
    """Model of n unknowns for ``nutpie.sample``: variable "x", (n,), in its trace.

    ``density``, ``expand``: PyTensor functions v -> (log density, gradient) and v -> x, compiled with mode NUMBA. ``arrays``: shared variable of
    these functions -> the contiguous array used for it, which the caller must keep alive. A call of a callback passes the address of ``user_data``.
    """
    parts = [(template, f, [arrays[s] for s in f.get_shared()]) for template, f in ((_DENSITY, density), (_EXPAND, expand))]
    size, callbacks = sum(1 + len(used) for *_, used in parts), []
    table: list[int] = []
    for template, function, used in parts:
        code = _compiled(function, used)
        shapes = tuple((a.shape, a.dtype.name) for a in used)
        callbacks.append(_callback(template, n, len(table), size, shapes, code.signature.return_type, code.signature.args))
        table += [code.library.get_pointer_to_function(code.fndesc.llvm_func_name), *(a.ctypes.data for a in used)]
    return CompiledPyMCModel(
        _n_dim=n,
        dims={},
        _coords={"unconstrained_parameter": pd.Index([f"v_{i}" for i in range(n)])},
        _shapes={"x": (n,)},
        compiled_logp_func=callbacks[0],
        compiled_expand_func=callbacks[1],
        initial_point_func=lambda seed: np.zeros(n),
        shared_data={},
        shared_var_keys={},
        user_data=np.array(table, dtype=np.int64),
        n_expanded=n,
        shape_info=(["x"], [slice(0, n)], [(n,)]),
        logp_func=density,  # kept, because the table holds the address of its machine code
        expand_func=expand,
        reparameterized_names=[],
    )
