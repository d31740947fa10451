"""Stiff problems of the literature at steps fixed beforehand, bursts of fast reactions, projective and multiscale steps."""

import numpy as np
import pytest
from numba import njit
from scipy.optimize import brentq
from scipy.special import lambertw

from hmminfer.engine.linalg import dense_solve, tridiagonal_solve
from hmminfer.errors import HmmInferError
from hmminfer.macro.projective import amplification, multiscale, projective
from hmminfer.micro.reaction_burst import BINDING, EXCHANGE, Network, burst_kernel, burst_steps, heal, storage_kernel
from hmminfer.micro.reactions import advance
from hmminfer.testing import assert_order


def test_small_solvers_against_lapack(rng):
    a, b = rng.standard_normal((5, 5)), rng.standard_normal(5)
    a[0, 0] = 0.0  # pivoting is needed
    x, matrix = b.copy(), a.copy()
    dense_solve(matrix, x)
    assert x == pytest.approx(np.linalg.solve(a, b), rel=1e-10)
    low, up, b = rng.uniform(-1, 1, (3, 9))
    diagonal = rng.uniform(3, 4, 9)
    full = np.diag(diagonal) + np.diag(low[1:], -1) + np.diag(up[:-1], 1)
    x = b.copy()
    tridiagonal_solve(low, diagonal, up, x)
    assert x == pytest.approx(np.linalg.solve(full, b), rel=1e-12)


# --- the integrator on stiff problems, steps fixed beforehand

ROBERTSON = (np.array([[1, 0, 0], [0, 2, 0], [0, 1, 1]]), np.array([[-1.0, 1, 0], [0, -1, 1], [1, -1, 0]]), np.array([0.04, 3e7, 1e4]))
ROBERTSON_TABLE = {  # Radau of order 5 at 1e-11: y1, y2
    0.4: (0.985172114, 3.38639538e-5),
    4.0: (0.905518679, 2.24047569e-5),
    40.0: (0.715827069, 9.18553476e-6),
    400.0: (0.450518668, 3.22290144e-6),
    4e3: (0.183202258, 8.94237e-7),
    4e4: (0.0389833771, 1.62176832e-7),
    4e5: (4.93827452e-3, 1.98499409e-8),
    4e10: (5.20834517e-8, 2.08333818e-13),
}


def robertson(ratio):
    """y1 and y2 at the times of the table, with steps that grow by about ``ratio``."""
    powers, change, k = ROBERTSON
    y, t, out = np.array([1.0, 0.0, 0.0]), 1e-6, []
    advance(y, k, powers, change, np.array([t]))
    for end in ROBERTSON_TABLE:
        count = round(np.log(end / t) / np.log(1.05)) * round(np.log(1.05) / np.log(ratio))
        advance(y, k, powers, change, np.diff(np.geomspace(t, end, count + 1)))
        t = end
        out.append(y[:2].copy())
    assert y.sum() == pytest.approx(1.0, abs=1e-13)  # a linear invariant is kept to rounding
    return np.array(out)


@pytest.mark.validates(
    "reactive_transport",
    "Robertson's problem over eleven decades of time",
    against="an implicit Runge-Kutta method of order 5 at 1e-11",
    bar="order 2 (within 0.1), 2e-4; extrapolated 3e-6",
)
def test_robertson():
    """Eleven decades of time at steps of 5 % and 2.5 % of it: order two, so that both together are exact to the digits of the table."""
    table = np.array(list(ROBERTSON_TABLE.values()))
    coarse, fine = robertson(1.05), robertson(np.sqrt(1.05))
    errors = [np.max(np.abs(y / table - 1.0)) for y in (coarse, fine)]
    assert_order(errors, 2.0, 0.1, bound=2e-4)
    digits = np.full(table.shape, 3e-6)  # what is left is of order three, 1e-6; the table has six digits at 4e3
    assert np.all(np.abs((4.0 * fine - coarse) / 3.0 / table - 1.0) < digits)


@pytest.mark.validates(
    "reactive_transport",
    "Van der Pol's oscillator at mu = 1000: before, between and after its jumps",
    against="reference values",
    bar="1e-8, 2e-4 and 4e-4",
)
def test_van_der_pol():
    """mu = 1000 as a polynomial system; steps refined where its two jumps are known to be: before, between and after them."""
    powers = np.array([[0, 1], [0, 1], [2, 1], [1, 0]])
    change = np.array([[1.0, 0], [0, 1], [0, -1], [0, -1]])
    k, y, errors = np.array([1.0, 1000.0, 1000.0, 1.0]), np.array([2.0, 0.0]), []
    layer = np.geomspace(1e-6, 0.1, 60)
    stretches = (
        (1.59676895, [layer, np.full(1000, (500.0 - layer.sum()) / 1000)]),
        (-1.86364625, [np.full(2000, 306.0 / 2000), np.full(40_000, 2.0 / 40_000), np.full(1000, 0.192)]),
        (1.70616773, [np.full(2000, 613.0 / 2000), np.full(60_000, 3.0 / 60_000), np.full(1000, 0.384)]),
    )
    for reference, steps in stretches:
        advance(y, k, powers, change, np.concatenate(steps))
        errors.append(abs(y[0] - reference))
    # a jump of width 1e-3 passed at steps of 5e-5: (1e-3 / 5e-5)^-2 = 2.5e-3 of its own width times mu dy/dt after it, twice
    assert np.all(np.array(errors) < [1e-8, 2e-4, 4e-4])


@pytest.mark.validates("reactive_transport", "Brusselator over one period", against="its return to where it began", bar="order 2 (within 0.3), 2e-4")
def test_brusselator():
    """A = 1, B = 3 returns after its period: order two in a uniform step."""
    powers = np.array([[0, 0], [2, 1], [1, 0], [1, 0]])
    change = np.array([[1.0, 0], [1, -1], [-1, 1], [-1, 0]])
    k, period = np.array([1.0, 1.0, 3.0, 1.0]), 7.15691992
    errors = []
    for n in (1000, 2000, 4000):
        y = np.array([1.0, 1.0])
        advance(y, k, powers, change, np.full(10 * n, period / n))
        before = y.copy()
        advance(y, k, powers, change, np.full(n, period / n))
        errors.append(np.abs(y - before).max())
    assert_order(errors, 2.0, 0.3, bound=2e-4)


@pytest.mark.validates(
    "reactive_transport", "all reactions of Michaelis and Menten", against="the quasi-steady state, which is wrong by eps", bar="order 1 (within 0.1)"
)
def test_michaelis_menten_is_wrong_by_eps():
    """The quasi-steady state against all reactions, enzyme 4, 2 and 1 % of the substrate: the error halves."""
    powers = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 1]])  # S + E -> C, C -> S + E, C -> E
    change = np.array([[-1.0, -1, 1], [1, 1, -1], [0, 1, -1]])
    errors = []
    for enzyme in (0.04, 0.02, 0.01):
        y = np.array([1.0, enzyme, 0.0])
        advance(y, np.array([2.0, 1.0, 1.0]) / enzyme, powers, change, np.append(np.geomspace(1e-6, 1e-2, 200), np.full(400, 1e-2)))
        t = np.geomspace(1e-6, 1e-2, 200).sum() + 4.0
        quasi = float(np.real(lambertw(np.exp(1.0 - t))))  # K_m = V_max = S_0 = 1
        errors.append(abs(y[0] - quasi))
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert rates == pytest.approx(1.0, abs=0.1)


# --- bursts


@pytest.mark.validates("reactive_transport", "end of a burst", against="exact equilibria", bar="1e-13")
def test_bursts_end_in_the_exact_equilibrium():
    k = burst_kernel(EXCHANGE, [2.0, 0.3, 4.0, 1e8])
    assert k(k.example) == pytest.approx([2.3 / 5.0, 2.3 * 4.0 / 5.0], rel=1e-14)
    k = burst_kernel(BINDING, [2.0, 3.0, 0.1, 4.0, 1e8])
    half = 2.1 - 3.1 - 0.25
    free = 0.5 * (half + np.sqrt(half**2 + 2.1))
    assert k(k.example) == pytest.approx([free, free + 1.0, 2.1 - free], rel=1e-13)
    # what the totals are lifted into is forgotten
    assert heal(np.array([0.0, 1.0, 2.1]), k.example[3:4], k.example[4:], *k.data) == pytest.approx(k(k.example), rel=1e-13)


def test_the_burst_heals_and_newton_only_polishes():
    """Over the prior box, rates 1e6 to 1e9: the burst alone is within 1e-7 of the equilibrium, and the answer is the same at any rate."""
    powers, change = BINDING.arrays
    for rate in (1e6, 1e9):
        for strength in (0.1, 5.0, 100.0):
            k = np.array([rate, rate / strength])
            y = np.array([3.0, 1.0, 0.0])
            advance(y, k, powers, change, burst_steps())
            assert abs(strength * y[0] * y[1] / y[2] - 1.0) < 1e-7
            healed = heal(np.array([3.0, 1.0, 0.0]), np.array([strength]), np.array([rate]), powers, change, burst_steps())
            assert healed == pytest.approx(y, rel=1e-6)


def test_rates_that_only_set_the_speed_have_no_gradient():
    for kernel in (burst_kernel(BINDING, [2.0, 3.0, 0.1, 4.0, 1e8]), storage_kernel(EXCHANGE, [1.0], [0.0, 4.0, 1e8])):
        slow, fast = kernel.example.copy(), kernel.example.copy()
        slow[-1], fast[-1] = 1e6, 1e9
        assert kernel(slow) == pytest.approx(kernel(fast), rel=1e-12)
        assert np.all(kernel.jacobian(slow)[:, -1] == 0.0)


def test_chains_of_reactions_share_their_species():
    """A <-> B <-> C and 2 A <-> D at once: each reaction is balanced and the total kept."""
    net = Network(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [2, 0, 0, 0]]), np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    k = burst_kernel(net, [3.0, 0.1, 0.1, 0.1, 2.0, 0.5, 1.5, 1e8, 1e7, 1e9])
    a, b, c, d = k(k.example)
    assert [b / a, c / b, d / a**2, a + b + c + 2.0 * d] == pytest.approx([2.0, 0.5, 1.5, 3.4], rel=1e-12)


def slow_eigenvalue(equilibrium, fast, slow):
    """Of A <-> B -> C, without the cancellation of the usual formula."""
    trace, determinant = -(equilibrium + 1.0) * fast - slow, equilibrium * fast * slow
    return 2.0 * determinant / (-trace + np.sqrt(trace**2 - 4.0 * determinant))


@pytest.mark.validates("reactive_transport", "slow rate seen through a burst at 1e9 per second", against="the exact slow eigenvalue", bar="1e-11")
def test_slow_rate_seen_through_a_burst():
    """A <-> B at 1e9 per second, B -> C in hours: k K / (1 + K), the exact slow eigenvalue, and an hour of all reactions."""
    k = 1e-3
    seen = k * burst_kernel(EXCHANGE, [1.0, 0.0, 0.3, 3e8])(np.array([1.0, 0.0, 0.3, 3e8]))[1]
    assert seen == pytest.approx(2.3076923e-4, rel=1e-7)
    assert seen == pytest.approx(slow_eigenvalue(0.3, 1e9, k), rel=1e-11)
    y = np.array([1.0, 0.0])
    steps = np.geomspace(1e-11, 20.0, 400)
    advance(y, np.array([3e8, 1e9, k]), np.array([[1, 0], [0, 1], [0, 1]]), np.array([[-1.0, 1], [1, -1], [0, -1]]), steps)
    t = steps.sum()
    assert t > 250.0
    # to what rates of 1e9 leave: linear solves with entries of 1e10 lose 1e-6 of the total by their rounding (a burst is put right)
    assert y.sum() == pytest.approx(np.exp(-seen * t), rel=1e-5)


# --- projective and multiscale steps


@njit
def decay_step(y, p, h):
    return y + h * p * y


@njit
def reaction_step(y, p, h):
    """Explicit Euler step of A <-> B (rate 1 / p[1], equilibrium p[0]), B -> C (p[2])."""
    fast = (p[0] * y[0] - y[1]) / p[1]
    out = y.copy()
    out[0] -= h * fast
    out[1] += h * (fast - p[2] * y[1])
    return out


@njit
def all_in_a(u, p):
    return np.array([u[0], 0.0])


@njit
def total(y, p):
    return np.array([y[0] + y[1]])


@pytest.mark.parametrize("form", ["euler", "heun", "midpoint", "rk4"])
def test_amplification_is_what_the_steps_do(form):
    rates = np.array([-0.4, -3.0, -950.0, -1000.0, -1050.0])
    delta, k, ratio = 1e-3, 2, 100.0
    y = projective(decay_step, form)(np.ones(5), rates, k, delta, ratio * delta, 3)
    sigma = amplification(form, 1.0 + rates * delta, k, ratio).real
    assert y == pytest.approx(sigma ** np.arange(4)[:, None], rel=1e-10, abs=1e-13)
    if form == "euler":
        rho, m = 1.0 + rates * delta, ratio - 3.0
        assert sigma == pytest.approx(((m + 1.0) * rho - m) * rho**k, rel=1e-11, abs=1e-15)


def test_stability_limits_of_projective_euler():
    """Fast modes may lie within (delta / Delta)^(1/k) of the inner rate; slow ones see Euler's method with Delta."""
    delta, ratio = 1e-3, 1e4
    run = projective(decay_step)
    for k in (1, 2, 3):
        limit = brentq(lambda r: abs(complex(amplification("euler", r, k, ratio))) - 1.0, 1e-6, 0.5)  # noqa: B023
        assert limit == pytest.approx(ratio ** (-1.0 / k), rel=0.12)  # next term: one part in k of the limit itself
        for share, stable in ((0.97, True), (1.03, False)):
            y = run([1.0], [(share * limit - 1.0) / delta], k, delta, ratio * delta, 40)
            assert bool(abs(y[-1, 0]) < 1.0) is stable
    for rate, stable in ((-1.95, True), (-2.05, False)):
        y = run([1.0], [rate / (ratio * delta)], 2, delta, ratio * delta, 40)
        assert bool(abs(y[-1, 0]) < 1.0) is stable


def exact_total(equilibrium, eps, k, t):
    """A + B from A = 1, B = 0 at the rates of ``reaction_step``; both eigenvalues without cancellation."""
    slow = -slow_eigenvalue(equilibrium, 1.0 / eps, k)
    fast = k * equilibrium / eps / slow
    modes = np.array([[1.0 / eps, 1.0 / eps], [slow + equilibrium / eps, fast + equilibrium / eps]])
    share = np.linalg.solve(modes, [1.0, 0.0])
    return float((modes.sum(axis=0) * share) @ [np.exp(slow * t), 0.0])


@pytest.mark.validates(
    "reactive_transport",
    "projective and multiscale steps (Euler, Heun, midpoint, RK4) as eps vanishes",
    against="the exact solution",
    bar="orders 1, 2, 2 and 4 (within 0.15)",
)
@pytest.mark.parametrize(("form", "order"), [("euler", 1), ("heun", 2), ("midpoint", 2), ("rk4", 4)])
def test_orders_in_the_macro_step_as_eps_vanishes_and_with_eps_fixed(form, order):
    """Error of both methods: C Delta^p for eps = 1e-9; for fixed eps a floor that is proportional to eps is reached."""
    step, scheme = projective(reaction_step, form), multiscale(all_in_a, reaction_step, total, form)
    equilibrium, k = 0.3, 3.0

    def errors(eps, counts):
        p, delta = [equilibrium, eps, k], eps / (1.0 + equilibrium)
        exact = exact_total(equilibrium, eps, k, 1.0)
        return np.array(
            [[step([1.0, 0.0], p, 2, delta, 1.0 / n, n)[-1].sum() - exact, scheme([1.0], p, 4, 8, delta, 1.0 / n, n)[-1, 0] - exact] for n in counts]
        )

    vanishing = np.abs(errors(1e-9, (4, 8, 16)))
    for method in range(2):
        assert_order(vanishing[:2, method], order, 0.15)
    if form == "rk4":  # the macro error is below 1e-8 here: what is left is of the scales not being separated
        floor = np.abs([errors(eps, (32,))[0] for eps in (1e-4, 5e-5)])
        assert floor[0] / floor[1] == pytest.approx(2.0, abs=0.05)
        assert np.all(floor[0] < [2e-5, 2e-4])


def test_what_bursts_and_steps_refuse():
    for call, words in (
        (lambda: storage_kernel(EXCHANGE, [-1.0], [0.0, 4.0, 1e8]), "concentration is -1"),
        (lambda: Network(np.array([[0.5, 0]]), np.array([[0, 1]])), "whole numbers"),
        (lambda: projective(decay_step, "rk5"), "form of projective integration 'rk5'.*rk4"),
        (lambda: projective(decay_step)([1.0], [-1.0], 9, 1e-3, 5e-3, 1), "do not fit"),
        (lambda: projective(decay_step)([1.0], [-1.0], -1, 1e-3, 1.0, 1), "k >= 0"),
        (lambda: multiscale(all_in_a, reaction_step, total)([1.0], [1.0], 1, 0, 1e-3, 1.0, 1), "at least one step"),
    ):
        with pytest.raises(HmmInferError, match=words):
            call()
