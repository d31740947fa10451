"""The kernel contract, held by every kernel of the package, and what kernels answer where there is no solution."""

import numpy as np
import pytest
from kernel_catalogue import JOINT, KERNELS, also_joint, coupon_rows, every_kernel, joint, model_of, points_near, stacked

from hmminfer.engine.coupling import couple
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.micro.elastic_cell import EXAMPLE, elastic_cell
from hmminfer.testing import assert_contract, assert_gradient, assert_taylor


@every_kernel
def test_contract(name):
    assert_contract(KERNELS[name]())


@pytest.mark.validates(
    "all",
    "gradient of every kernel",
    against="extrapolated central differences, five random directions at three points",
    bar="1e-7, or ten times the noise of the difference",
)
@also_joint
def test_gradient(name):
    assert_gradient((KERNELS | JOINT)[name]())


@pytest.mark.validates(
    "all", "derivative of every kernel: remainder of the Taylor series", against="second order over three halvings", bar="rate 1.95 to 2.05"
)
@also_joint
def test_taylor(name):
    # at the medians of wide priors the breakthrough is steep: its third order is felt at the usual step, where the rates fall towards 2
    assert_taylor((KERNELS | JOINT)[name](), step=0.01 if "breakthrough" in name else 0.3)


@every_kernel
def test_arguments_that_cannot_be_written_to(name, rng):
    """Read-only arrays, as JAX, Arrow and memory maps hand them over, give the same answer."""
    kernel = KERNELS[name]()
    x = points_near(kernel, rng, 1)[0]
    expected = kernel(x)
    x.flags.writeable = False
    compiled = len(kernel.code.forward.signatures)
    np.testing.assert_array_equal(kernel(x), expected)
    assert len(kernel.code.forward.signatures) == compiled, "nothing is compiled once more"
    with pytest.raises(HmmInferError, match="takes a vector of length"):
        kernel(np.zeros(kernel.n_in + 1))


@also_joint
def test_vjp_is_linear_and_rows_of_the_jacobian(name, rng):
    kernel = (KERNELS | JOINT)[name]()
    x = kernel.example
    a, b = rng.standard_normal((2, kernel.n_out))
    bar_a, bar_b = (kernel.value_and_pullback(x, v)[1] for v in (a, b))
    both = kernel.value_and_pullback(x, 2 * a - 3 * b)[1]
    scale = np.abs(2 * bar_a).max() + np.abs(3 * bar_b).max()
    np.testing.assert_allclose(both, 2 * bar_a - 3 * bar_b, rtol=0, atol=1e-11 * scale)  # rounding of sums that cancel
    np.testing.assert_array_equal(kernel.value_and_pullback(x, np.zeros(kernel.n_out))[1], 0.0)


UNPHYSICAL = {
    "negative fibre modulus": (0, -1.0),
    "zero fibre modulus": (1, 0.0),
    "negative shear modulus": (2, -1.0),
    "axial Poisson ratio beyond stability": (3, 4.0),
    "transverse Poisson ratio 1": (4, 1.0),
    "negative matrix modulus": (5, -3.5),
    "incompressible matrix": (6, 0.5),
    "matrix Poisson ratio -1": (6, -1.0),
    "touching fibres": (7, 0.95),
    "volume fraction 0": (7, 0.0),
    "negative volume fraction": (7, -0.2),
    "infinite modulus": (0, np.inf),
    "not a number": (3, np.nan),
}


@pytest.mark.parametrize("kernel", ["cell, square, 1", "cell, hexagonal, 2", "reduced cell", "fibre_composite: coupons", "fibre_composite: plate"])
@pytest.mark.parametrize("case", UNPHYSICAL)
def test_unphysical_points_give_nan(kernel, case):
    kernel = KERNELS[kernel]()
    entry, value = UNPHYSICAL[case]
    x = kernel.example.copy()
    x[entry] = value
    y, bar = kernel.value_and_pullback(x, np.ones(kernel.n_out))
    physical = y if kernel.n_out == 36 else y[:-1]  # the neat matrix modulus in the coupons' template is the parameter itself
    assert np.all(np.isnan(physical)), y
    assert np.any(np.isnan(bar))
    # nothing is remembered: the next good point is answered as before
    assert np.all(np.isfinite(kernel(kernel.example)))


@pytest.mark.parametrize("name", ["plate, grips", "plate, stress", "coupons, hidden angles"])
def test_macro_problems_refuse_effective_data_that_are_no_stiffness(name):
    kernel = KERNELS[name]()
    for bad in (-np.eye(6), np.zeros((6, 6)), np.diag([1.0, 1, 1, 1, 1, -1]), np.full((6, 6), np.nan), np.full((6, 6), np.inf)):
        x = kernel.example.copy()
        x[:36] = bad.ravel()
        y, bar = kernel.value_and_pullback(x, np.ones(kernel.n_out))
        assert np.all(np.isnan(y))
        assert np.any(np.isnan(bar))


def test_wrong_data_arrays_are_named():
    cell = elastic_cell("square", 1)
    with pytest.raises(HmmInferError, match="takes 8 data arrays, got 7"):
        Kernel(cell.code, cell.data[:-1], cell.example)
    wrong = list(cell.data)
    wrong[2] = wrong[2].astype(np.int32)
    with pytest.raises(HmmInferError, match=r"Data array 2 of kernel .* got int32"):
        Kernel(cell.code, tuple(wrong), cell.example)
    wrong = list(cell.data)
    wrong[0] = np.asfortranarray(wrong[0])
    with pytest.raises(HmmInferError, match="Data array 0"):
        Kernel(cell.code, tuple(wrong), cell.example)


def test_stack_takes_each_part_its_own_entries(rng):
    kernel = stacked()
    x = points_near(kernel, rng, 1)[0]
    y = kernel(x)
    cell = elastic_cell("square", 1)
    first = couple(cell, coupon_rows(1), range(8), [8], [5], np.concatenate([EXAMPLE, [0.4]]))
    np.testing.assert_allclose(y[:9], first(x[:9]), rtol=1e-13)
    np.testing.assert_allclose(y[9:18], first(x[[*range(8), 9]]), rtol=1e-13)
    assert kernel.value_and_pullback(x, np.ones(y.size))[1][10] == 0.0
    x[7] = 2.0
    assert np.all(np.isnan(kernel(x)))


def test_joint_shares_what_it_should(rng):
    model = joint()
    assert model.parameters.names.count("fibre_angle") == 1
    one = model_of("fibre_composite", "coupons")
    y = model.evaluate({"fibre_angle": 12.0, "matrix_modulus_cold": 5.0, "matrix_modulus_hot": 3.0})
    cold = one.evaluate({"fibre_angle": 12.0, "matrix_modulus": 5.0})
    hot = one.evaluate({"fibre_angle": 12.0, "matrix_modulus": 3.0})
    np.testing.assert_allclose(y, np.concatenate([cold, hot]), rtol=1e-12)
