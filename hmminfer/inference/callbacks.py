"""PyTensor functions as the C callbacks that nutpie's sampler calls.

``nutpie.compile_pymc_model`` links a copy of the whole posterior into two callbacks and optimises it again, in every process: 20 seconds
for the smallest model. Here a callback calls PyTensor's compiled function, which is in the disk cache, by its symbol (see
:mod:`hmminfer.engine.native`), with the addresses of the shared arrays written into it: one second. The arrays can be changed in place.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pandas as pd
from numba import carray, cfunc, types
from nutpie.compile_pymc import CompiledPyMCModel, address_as_void_pointer

from hmminfer.engine.native import seal

_count = itertools.count()

_DENSITY = """
def density(dim, x, gradient, value, user):
    result = call(carray(x, ({n},)), {shared})
    logp, slope, out = result[0].item(), result[1], carray(gradient, ({n},))
    carray(value, (1,))[0] = logp
    finite = np.isfinite(logp)
    for i in range({n}):
        out[i] = slope[i]
        finite = finite and np.isfinite(slope[i])
    return 0 if finite else 3
"""

_EXPAND = """
def expand(dim, size, x, expanded, user):
    result = call(carray(x, ({n},)), {shared})[0]
    out = carray(expanded, ({n},))
    for i in range({n}):
        out[i] = result[i]
    return 0
"""


def _callback(template: str, function: Any, n: int, arrays: list[np.ndarray], signature: Any) -> Any:
    """C function of the PyTensor ``function`` of a vector of length n and of shared ``arrays``, which must not move in memory."""
    name = template.split()[1].partition("(")[0]
    spec = " ".join(["f1", *(f"{a.dtype.kind}{a.ndim}" for a in arrays)])
    # the source holds addresses, so its compilation is not cached and any unused name will do
    call = seal(function.vm.jit_fn, spec, f"hmminfer_{name}_{os.getpid()}_{next(_count)}")
    shared = ", ".join(f"carray(pointer({a.ctypes.data}), {a.shape}, np.{a.dtype.name})" for a in arrays)
    scope: dict[str, Any] = {"call": call, "carray": carray, "pointer": address_as_void_pointer, "np": np}
    exec(template.format(n=n, shared=shared), scope)
    return cfunc(signature, error_model="numpy")(scope[name])


def nutpie_model(density: Any, expand: Any, n: int, arrays: dict[Any, np.ndarray]) -> CompiledPyMCModel:
    """Model of n unknowns for ``nutpie.sample``: variable "x", (n,), in its trace.

    ``density``, ``expand``: PyTensor functions v -> (log density, gradient) and v -> x, compiled with mode NUMBA. ``arrays``: shared variable of
    these functions -> the contiguous array used for it, which the caller must keep alive.
    """
    pointer = types.CPointer(types.double)
    logp = _callback(
        _DENSITY, density, n, [arrays[s] for s in density.get_shared()], types.int64(types.uint64, pointer, pointer, pointer, types.voidptr)
    )
    x = _callback(
        _EXPAND, expand, n, [arrays[s] for s in expand.get_shared()], types.int64(types.uint64, types.uint64, pointer, pointer, types.voidptr)
    )
    return CompiledPyMCModel(
        _n_dim=n,
        dims={},
        _coords={"unconstrained_parameter": pd.Index([f"v_{i}" for i in range(n)])},
        _shapes={"x": (n,)},
        compiled_logp_func=logp,
        compiled_expand_func=x,
        initial_point_func=lambda seed: np.zeros(n),
        shared_data={},
        shared_var_keys={},
        user_data=np.zeros(1),
        n_expanded=n,
        shape_info=(["x"], [slice(0, n)], [(n,)]),
        logp_func=None,
        expand_func=None,
        reparameterized_names=[],
    )
