"""Cost of the operator, the gradient and the micro problem relative to the necessary work: in one process, interleaved."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from numba import njit
from threadpoolctl import threadpool_limits

from hmminfer import models
from hmminfer.engine.kernel import Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve

from .common import TRUTH, plate_model


def interleaved(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each function, called in turn so that a busy machine slows all alike."""
    for function in functions.values():
        function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    with threadpool_limits(1, "blas"):
        for _ in range(repeats):
            for name, function in functions.items():
                start = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def gradient_function(kernel: Kernel, theta: np.ndarray, value: np.ndarray, sd: np.ndarray) -> Callable[[], Any]:
    """Raw compiled value and gradient of the misfit: forward, residual and pullback in one compiled call."""
    forward, pullback = kernel.code.forward, kernel.code.pullback

    @njit(error_model="numpy")
    def both(theta, value, precision, *data):
        out = forward(theta, *data)
        return out[0], pullback(theta, *data, *out[1:], (value - out[0]) * precision)

    return lambda: both(theta, value, 1.0 / sd**2, *kernel.data)


def forward_function(kernel: Kernel, theta: np.ndarray) -> Callable[[], Any]:
    """Raw compiled forward."""
    forward = kernel.code.forward
    return lambda: forward(theta, *kernel.data)


def nutpie_function(compiled: Any, x: np.ndarray) -> Callable[[], Any]:
    """Nutpie's own C function of value and gradient, called as its sampler does: by pointers, no Python inside."""
    pointer = ctypes.POINTER(ctypes.c_double)
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, pointer, pointer, pointer, ctypes.c_void_p)
    function = prototype(compiled.compiled_logp_func.address)
    gradient, value = np.empty_like(x), np.empty(())
    user = compiled.user_data
    arguments = (len(x), *(a.ctypes.data_as(pointer) for a in (x, gradient, value)), user.ctypes.data_as(ctypes.c_void_p))

    def call() -> np.ndarray:
        if function(*arguments) != 0:
            raise RuntimeError("nutpie's compiled function failed at the test point")
        return gradient

    return call


def operator_overhead(quick: bool) -> dict[str, Any]:
    """Nutpie logp and gradient over raw njit forward and pullback, plate of about 2,000 unknowns."""
    from hmminfer.inference.posterior import Compiled
    from hmminfer.inference.problem import Problem

    model = plate_model("plate_dic")
    compiled = Compiled(Problem.of(model))
    x = compiled.problem.unconstrain({name: np.array([value]) for name, value in TRUTH.items()})[0]
    raw = gradient_function(model.kernel, model.vector(TRUTH), model.table.value, model.table.sd)
    t = interleaved({"nutpie": nutpie_function(compiled.nutpie, x), "raw": raw}, 200 if quick else 1000)
    return {"value": t["nutpie"] / t["raw"], "detail": {**_ms(t), "unknowns": model.about["unknowns"], "parameters": len(x)}}


def evaluate_over_kernel(quick: bool) -> dict[str, Any]:
    """One evaluation of the coupons by named values, units and defaults included, over its compiled kernel alone."""
    model = models.fibre_composite.EXPERIMENTS.coupons.model()
    theta, values = model.vector(), {"volume_fraction": 0.6}  # the others are defaults, whose medians are to be remembered
    t = interleaved({"evaluate": lambda: model.evaluate(values), "kernel": lambda: model.kernel(theta)}, 200 if quick else 2000)
    return {"value": t["evaluate"] / t["kernel"], "detail": _ms(t)}


def gradient_cost(quick: bool) -> dict[str, Any]:
    """Forward and pullback over forward, orientation field of more than 100 coefficients."""
    model = plate_model("tow_steered_plate")
    size = model.parameters["angle_field"].length
    theta = model.vector({"fibre_angle": 36.0, "matrix_modulus": 3.8, "angle_field": np.random.default_rng(1).normal(0, 0.05, size)})
    functions = {
        "gradient": gradient_function(model.kernel, theta, model.table.value, model.table.sd),
        "forward": forward_function(model.kernel, theta),
    }
    t = interleaved(functions, 100 if quick else 500)
    return {"value": t["gradient"] / t["forward"], "detail": {**_ms(t), "coefficients": size, "unknowns": model.about["unknowns"]}}


@njit(error_model="numpy")
def bare(ab, rhs):
    """One factorisation and solve of a band matrix and nothing else: the least possible work."""
    factor, b = ab.copy(), rhs.copy()
    band_cholesky(factor)
    band_solve(factor, b)
    return b


def likelihood_over_macro_solve(quick: bool) -> dict[str, Any]:
    """Plate value and gradient, reduced cell included, over one bare banded factorisation and solve of its matrix."""
    model = plate_model("plate_dic")
    theta = model.vector(TRUTH)
    ab = plate_band(model)
    rhs = np.ones((1, len(ab)))
    lower = np.asfortranarray(ab.T)

    def scipy_banded() -> np.ndarray:
        factor = scipy.linalg.cholesky_banded(lower, lower=True, check_finite=False)
        return scipy.linalg.cho_solve_banded((factor, True), rhs[0], check_finite=False)

    # a block-tridiagonal Cholesky of dense blocks (dpotrf, dtrsm, dsyrk) was tried too: 1.8 times slower than dpbtrf
    reference = bare(ab, rhs)[0]
    if not np.allclose(scipy_banded(), reference, rtol=1e-8):
        raise AssertionError("the two bare solvers disagree")
    functions = {
        "likelihood": gradient_function(model.kernel, theta, model.table.value, model.table.sd),
        "dpbtrf and dpbtrs, compiled": lambda: bare(ab, rhs),
        "scipy cholesky_banded": scipy_banded,
    }
    t = interleaved(functions, 200 if quick else 1000)
    floor = min(v for k, v in t.items() if k != "likelihood")
    detail = {**_ms(t), "unknowns": len(ab), "half_band": ab.shape[1] - 1}
    return {"value": t["likelihood"] / floor, "detail": detail}


def plate_band(model: Any) -> np.ndarray:
    """Band matrix (n, b + 1) of the plate for a typical lamina at 27 degrees, in as narrow a band as hmminfer's."""
    from skfem import Basis, ElementQuad2, ElementVector

    from hmminfer.engine.linalg import bandwidth_order

    from .skfem_forward import plane_energy

    plate = model.scene["plate"]
    basis = Basis(plate.mesh, ElementVector(ElementQuad2()), intorder=5)
    q = np.array([[95.0, 27.0, 42.0], [27.0, 17.0, 16.0], [42.0, 16.0, 29.0]])  # GPa, 27 degrees
    k = plane_energy.assemble(basis, c=np.broadcast_to(q[:, :, None, None], (3, 3, *basis.dx.shape))).tocsr()
    held = basis.get_dofs({"left": lambda x: np.isclose(x[0], 0.0), "right": lambda x: np.isclose(x[0], plate.box[1, 0])})
    free = basis.complement_dofs(held)
    k = k[free][:, free]
    # both components of a node side by side, nodes in the sweep with the narrower band
    places = basis.doflocs[:, free].T
    order = bandwidth_order(k, np.round(places, 9))
    k = k[order][:, order].tocoo()
    ab = np.zeros((len(free), int(np.max(k.row - k.col)) + 1))
    keep = k.row >= k.col
    ab[k.col[keep], (k.row - k.col)[keep]] = k.data[keep]
    return ab


def _ms(times: dict[str, float]) -> dict[str, float]:
    return {f"{name} (ms)": 1e3 * t for name, t in times.items()}
