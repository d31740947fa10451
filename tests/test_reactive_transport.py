"""Stiff reacting transport: stiff problems of the literature, bursts, projective steps, columns against closed forms and all species, real data."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit
from scipy.optimize import brentq, least_squares
from scipy.special import erfc, erfcx, lambertw
from scipy.stats import kstest

from hmminfer import datasets, models
from hmminfer.datasets import make_synthetic
from hmminfer.errors import HmmInferError
from hmminfer.linalg import dense_solve, tridiagonal_solve
from hmminfer.macro.column import column_kernel, concentration_points, scales_of, steps_between
from hmminfer.macro.projective import amplification, multiscale, projective
from hmminfer.macro.resolved_column import resolved_column
from hmminfer.micro.burst import BINDING, EXCHANGE, Network, burst_kernel, burst_steps, heal, storage_kernel
from hmminfer.micro.reactions import advance
from hmminfer.testing import assert_order, posterior_by_quadrature

reactive = models.get("reactive_transport")


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

ROBERTSON = (
    np.array([[1, 0, 0], [0, 2, 0], [0, 1, 1]]), np.array([[-1.0, 1, 0], [0, -1, 1], [1, -1, 0]]), np.array([0.04, 3e7, 1e4]),
)  # fmt: skip
ROBERTSON_TABLE = {  # Radau of order 5 at 1e-11: y1, y2
    0.4: (0.985172114, 3.38639538e-5), 4.0: (0.905518679, 2.24047569e-5), 40.0: (0.715827069, 9.18553476e-6),
    400.0: (0.450518668, 3.22290144e-6), 4e3: (0.183202258, 8.94237e-7), 4e4: (0.0389833771, 1.62176832e-7),
    4e5: (4.93827452e-3, 1.98499409e-8), 4e10: (5.20834517e-8, 2.08333818e-13),
}  # fmt: skip


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


def test_robertson():
    """Eleven decades of time at steps of 5 % and 2.5 % of it: order two, so that both together are exact to the digits of the table."""
    table = np.array(list(ROBERTSON_TABLE.values()))
    coarse, fine = robertson(1.05), robertson(np.sqrt(1.05))
    errors = [np.max(np.abs(y / table - 1.0)) for y in (coarse, fine)]
    assert_order(errors, 2.0, 0.1, bound=2e-4)
    digits = np.full(table.shape, 3e-6)  # what is left is of order three, 1e-6; the table has six digits at 4e3
    assert np.all(np.abs((4.0 * fine - coarse) / 3.0 / table - 1.0) < digits)


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


def test_storage_is_the_isotherm():
    c = np.array([0.05, 1.0, 30.0])
    linear, _ = reactive.retardation("linear", c)
    assert linear(np.array([4.0, 8.0])) == pytest.approx(5.0, rel=1e-13)
    langmuir, _ = reactive.retardation("saturable", c)
    assert langmuir(np.array([4.0, 2.0, 8.0])) == pytest.approx(1.0 + 4.0 / (1.0 + c / 2.0), rel=1e-12)
    for bad in ([-4.0, 2.0, 8.0], [4.0, np.nan, 8.0], [4.0, -1.0, 8.0]):
        assert np.all(np.isnan(langmuir(np.array(bad))))


def slow_eigenvalue(equilibrium, fast, slow):
    """Of A <-> B -> C, without the cancellation of the usual formula."""
    trace, determinant = -(equilibrium + 1.0) * fast - slow, equilibrium * fast * slow
    return 2.0 * determinant / (-trace + np.sqrt(trace**2 - 4.0 * determinant))


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


@pytest.mark.parametrize(("form", "order"), [("euler", 1), ("heun", 2), ("midpoint", 2), ("rk4", 4)])
def test_orders_in_the_macro_step_as_eps_vanishes_and_with_eps_fixed(form, order):
    """Error of both methods: C Delta^p for eps = 1e-9; for fixed eps a floor that is proportional to eps is reached."""
    step, scheme = projective(reaction_step, form), multiscale(all_in_a, reaction_step, total, form)
    equilibrium, k = 0.3, 3.0

    def errors(eps, counts):
        p, delta = [equilibrium, eps, k], eps / (1.0 + equilibrium)
        exact = exact_total(equilibrium, eps, k, 1.0)
        return np.array(
            [
                [step([1.0, 0.0], p, 2, delta, 1.0 / n, n)[-1].sum() - exact, scheme([1.0], p, 4, 8, delta, 1.0 / n, n)[-1, 0] - exact]
                for n in counts
            ]
        )  # fmt: skip

    vanishing = np.abs(errors(1e-9, (4, 8, 16)))
    for method in range(2):
        assert_order(vanishing[:2, method], order, 0.15)
    if form == "rk4":  # the macro error is below 1e-8 here: what is left is of the scales not being separated
        floor = np.abs([errors(eps, (32,))[0] for eps in (1e-4, 5e-5)])
        assert floor[0] / floor[1] == pytest.approx(2.0, abs=0.05)
        assert np.all(floor[0] < [2e-5, 2e-4])


# --- columns

LENGTH, VELOCITY = 70.0, 206.0


def test_kreft_zuber_flux_concentration():
    """A long column from which nothing returns: c - a_L c_x at 70 mm against the closed form, second order in mesh and step together."""
    retard, a_l = 4.0, 3.9
    t = np.array([0.6, 1.0, 1.5, 2.0, 3.0])
    v, d = VELOCITY / retard, a_l * VELOCITY / retard
    out, back = (LENGTH - v * t) / np.sqrt(4.0 * d * t), (LENGTH + v * t) / np.sqrt(4.0 * d * t)
    exact = 0.5 * (erfc(out) + np.exp(-(out**2)) * erfcx(back))
    errors = []
    for n in (40, 80, 160):
        place = np.tile([0.5 - 1.0 / n, 0.5, 0.5 + 1.0 / n], t.size)
        kernel = column_kernel(
            [2.0 * LENGTH], [VELOCITY], [1.0], [100.0], np.zeros(3 * t.size), np.repeat(t, 3), [4.0 / n], place=place, elements=n
        )  # fmt: skip
        c = kernel(np.array([retard, 1.0, 0.0, 0.1, a_l, 0.0])).reshape(-1, 3)
        errors.append(np.abs(c[:, 1] - a_l * (c[:, 2] - c[:, 0]) * n / (4.0 * LENGTH) - exact).max())
    assert_order(errors, 2.0, 0.1, bound=3e-4)


def test_moments_of_a_pulse_through_two_sites():
    """Danckwerts' closed vessel: mass and mean are exact in the discrete model, the variance to second order; a slow site adds 2 L R_k / (v alpha)."""
    retard, slow, a_l, alpha, pulse = 4.0, 2.0, 3.9, 1.5, 0.05
    t = np.linspace(0.1, 90.0, 900)
    kernel = column_kernel([LENGTH], [VELOCITY], [1.0], [pulse], np.zeros(t.size), t, [0.1], growth=0.0)
    y = kernel(np.array([retard, 1.0, slow, alpha, a_l, 0.0]))
    # the trapezium of a smooth curve that begins and ends at nothing converges faster than any power
    mass = np.sum(y) * 0.1
    assert mass == pytest.approx(pulse, rel=1e-3)
    mean = np.sum(y * t) / np.sum(y)
    variance = np.sum(y * (t - mean) ** 2) / np.sum(y)
    stay, peclet = LENGTH / VELOCITY * (retard + slow), LENGTH / a_l
    assert mean == pytest.approx(stay + pulse / 2.0, rel=1e-4)
    closed = stay**2 * (2.0 / peclet - 2.0 / peclet**2 * (1.0 - np.exp(-peclet)))
    exchange = 2.0 * LENGTH * slow / (VELOCITY * alpha)
    assert variance == pytest.approx(closed + exchange + pulse**2 / 12.0, rel=2e-3)


def test_slow_decay_takes_what_it_should():
    """A steady column with decay: c(L) of the second-order boundary-value problem in closed form."""
    a_l, decay = 3.9, 0.8
    kernel = column_kernel([LENGTH], [VELOCITY], [2.0], [500.0], [0], [200.0], [0.5], elements=200, factors=False)
    root = np.sqrt(1.0 + 4.0 * a_l * decay / VELOCITY)
    peclet = LENGTH / a_l
    exact = 4.0 * root * np.exp(peclet / 2.0) / ((1 + root) ** 2 * np.exp(root * peclet / 2) - (1 - root) ** 2 * np.exp(-root * peclet / 2))
    assert kernel(np.array([3.0, 1.0, 0.5, a_l, decay]))[0] == pytest.approx(exact, rel=1e-5)  # (Wehner & Wilhelm 1956)


@cache
def all_species(inlet, cells, rtol):
    times = (0.8, 1.2, 2.0, 2.6, 3.2, 4.0, 5.0, 8.0, 20.0)
    par = (3.6e11, 3.6e11 / 4.0, 4.0, 3.0, 0.3, 2.5, 0.03)
    return np.array(times), resolved_column(LENGTH, VELOCITY, inlet, 2.7, times, par, cells, rtol)[0]


@pytest.mark.parametrize(("inlet", "bound"), [(0.05, 4e-4), (3.0, 1.5e-3)])  # at 3 the front sharpens itself
def test_columns_against_all_species_at_every_scale(inlet, bound):
    """A + S <-> AS at 1e8 per second kept in the equations, finite volumes, Radau: second order towards it, through jumps of the inflow."""
    times, exact = all_species(inlet, 400, 1e-6)
    dissolved = concentration_points(*scales_of([inlet]), 8)
    law = storage_kernel(BINDING, dissolved, [4.0, 0.0, 1.0, 1e8])
    x = np.concatenate([law(law.example), [3.0, 0.3, 2.5, 0.03]])
    errors = []
    for refine in (1, 2, 4):
        kernel = column_kernel(
            [LENGTH], [VELOCITY], [inlet], [2.7], np.zeros(times.size), times, [0.08 / refine], 0.05 / refine, points=8,
            elements=50 * refine, factors=False,
        )  # fmt: skip
        errors.append(np.abs(kernel(x) - exact).max())
    assert_order(errors, 2.0, 0.3, bound=bound)


def test_a_law_is_interpolated_between_the_concentrations_it_is_asked_at():
    """Twelve points over inflows of 0.05 to 10: R and dT/dc of a Langmuir law through the column's polynomial, by observing one small step."""
    inlet = np.array([0.05, 10.0])
    scales = scales_of(inlet)
    assert scales == pytest.approx((10.0, np.sqrt(0.5)))
    c = np.linspace(0.0, 10.0, 201)
    for half in (0.1, 1.0, 10.0):
        errors = []
        for n in (6, 12, 24):
            at = concentration_points(*scales, n)
            u = at / (at + scales[1])
            fit = np.polynomial.Chebyshev.fit(u, 1.0 + 5.0 / (1.0 + at / half), n - 1, domain=[0.0, 10.0 / (10.0 + scales[1])])
            errors.append(np.abs(fit(c / (c + scales[1])) - 1.0 - 5.0 / (1.0 + c / half)).max())
        assert errors[1] < 1e-3
        assert errors[2] < 1e-6


def test_steps_end_at_every_event():
    t = steps_between([0.3, 2.0, 50.0], [1.0], 0.1, 0.05)
    for event in (0.0, 0.3, 1.0, 2.0, 50.0):
        assert np.min(np.abs(t - event)) == 0.0
    assert np.all(np.diff(t) > 0.0)
    late = t[1:] > 1.0
    assert np.all(np.diff(t)[late] <= 0.1 + 0.05 * (t[1:][late] - 1.0) + 1e-12)


def test_columns_that_cannot_be_solved_are_nan():
    kernel = column_kernel([LENGTH], [VELOCITY], [1.0], [2.0], [0, 0], [1.0, 3.0], [0.1])
    good = np.array([4.0, 1.0, 2.0, 0.1, 3.0, 0.0])
    assert np.all(np.isfinite(kernel(good)))
    for entry, value in ((0, -4.0), (1, 0.0), (2, -1.0), (3, -0.1), (4, 0.0), (5, -0.1), (4, np.nan), (0, np.inf)):
        x = good.copy()
        x[entry] = value
        y, bar = kernel.value_and_pullback(x, np.ones(2))
        assert np.all(np.isnan(y))
        assert np.all(np.isnan(bar))


# --- data


def test_the_script_repeats_the_stiff_columns():
    """Half the cells and a looser tolerance give the file's numbers to a tenth of their noise: same truth, seed and code."""
    raw, text = make_synthetic.stiff_column(200, 1e-5)
    kept = datasets.load("stiff_column")
    assert kept.settings == raw.settings
    a, b = (np.array([float(r["value"]) for r in t.rows]) for t in (raw, kept))
    assert np.max(np.abs(a - b)) < 0.1 * make_synthetic.STIFF_SD
    assert str(make_synthetic.STIFF_SEED) in text


def test_columns_of_all_species_give_back_what_made_them():
    """Linearised at the truth, in logarithms: each unknown within 3 sd, the misfit what the noise is, K and c_h apart from each other."""
    model = reactive.EXPERIMENTS["columns"].model("stiff_column")
    truth = model.vector(make_synthetic.STIFF_TRUTH)
    table = model.table
    seen = np.array([p != "log10_fast_rate" for p in model.parameters.names])
    jacobian = model.kernel.jacobian(truth)
    assert np.all(jacobian[:, ~seen] == 0.0)
    jacobian = jacobian[:, seen] * truth[seen] / table.sd[:, None]
    residual = (table.value - model.kernel(truth)) / table.sd
    covariance = np.linalg.inv(jacobian.T @ jacobian)
    moved = covariance @ jacobian.T @ residual
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(moved) < 3.0 * sd), moved / sd
    chi2 = np.sum((residual - jacobian @ moved) ** 2)
    assert abs(chi2 - 41.0) < 3.0 * np.sqrt(2.0 * 41.0)  # 47 rows, 6 unknowns
    assert np.all(sd[:2] < 0.02)


class Density:
    """The posterior of one real column written out by hand: Gaussian noise of the table's sd, log-normal priors, x = ln of the unknowns."""

    names = ("distribution", "slow_capacity", "exchange_rate", "dispersivity")

    def __init__(self, model):
        self.model, self.problem = model, self
        self.prior = np.array([[np.log(p.prior.median), p.prior.sigma] for p in map(model.parameters.__getitem__, self.names)])

    def constrain(self, x):
        return dict(zip(self.names, np.exp(x).T, strict=True))

    def scores(self, x):
        """Residuals over their sd, then of the priors."""
        y = self.model.kernel(self.model.vector(self.constrain(x)))
        return np.concatenate([(y - self.model.table.value) / self.model.table.sd, (x - self.prior[:, 0]) / self.prior[:, 1]])

    def __call__(self, x):
        return (-0.5 * np.sum(self.scores(x) ** 2),)


def of_columns(*names, **settings):
    """Model of some of the real columns."""
    experiment = reactive.EXPERIMENTS["columns"]
    table = experiment.schema.check(datasets.load("pfos_columns"), **settings)
    return experiment.model(table.take(np.flatnonzero(np.isin(table.columns["specimen"], names))))


def test_posterior_of_a_real_column():
    """NUTS against quadrature of the density written out by hand, four unknowns; the fast rate's posterior is its prior."""
    from hmminfer.inference import fit

    model = of_columns("12a")
    posterior = fit(model, draws=500, tune=300, chains=2, seed=3, progress=False)["posterior"]
    x = np.log([posterior[n].values.ravel() for n in Density.names])
    around = SimpleNamespace(x=x.mean(axis=1), covariance=np.cov(x))
    exact = posterior_by_quadrature(Density(model), around, n=8)
    for name, (mean, sd) in exact.items():
        draws = posterior[name].values
        assert draws.mean() == pytest.approx(mean, abs=0.25 * sd), name  # 4 MCSE at an ESS of 300
        assert draws.std() == pytest.approx(sd, rel=0.25)
    fast = posterior["log10_fast_rate"].values.ravel()
    assert kstest((fast[::3] - 6.0) / 3.0, "uniform").pvalue > 0.01


def test_of_slow_sites_only_the_product_is_known():
    """All real columns, Gauss-Newton at the mode: ln R_k and ln alpha correlate beyond -0.8, their sum is known better than either."""
    model = of_columns("12a", "12b", "12c", "24a", "24b", "24c", "24d", differences="none")
    found = least_squares(Density(model).scores, np.log([3.4, 7.0, 0.025, 8.0]))
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    sd = np.sqrt(np.diag(covariance))
    assert covariance[1, 2] / (sd[1] * sd[2]) < -0.8
    along = np.array([0.0, 1.0, 1.0, 0.0])
    assert np.sqrt(along @ covariance @ along) < 0.75 * min(sd[1:3])
    # the retardation that an independent fit of these columns and three more found, R = 4.23, is within what replicates differ by
    assert 1.0 + np.exp(found.x[0]) == pytest.approx(4.23, rel=0.1)


def test_real_columns_differ_and_share():
    """Seven columns: nothing is said of the fast rate, and each column has a factor of its own, asserted through the model."""
    model = reactive.EXPERIMENTS["columns"].model("pfos_columns")
    assert len(model.table) == 56
    theta = model.vector({"distribution": 3.4, "slow_capacity": 7.0, "exchange_rate": 0.025, "dispersivity": 8.0, "column_spread": 0.2})
    where = model.parameters.slices()
    rng = np.random.default_rng(0)
    theta[where["column_deviation"]] = rng.standard_normal(7)
    y, bar = model.kernel.value_and_pullback(theta, rng.standard_normal(56))
    assert bar[where["log10_fast_rate"]] == 0.0
    other = theta.copy()
    other[where["column_deviation"].start + 3] += 0.5
    changed = np.abs(model.kernel(other) - y) > 1e-12
    assert set(model.table.columns["specimen"][changed]) == {"24a"}
    # a factor on all storage is the same as a larger R and R_k for all
    theta[where["column_deviation"]] = np.log(1.2) / 0.2
    typical = model.vector({"distribution": 1.2 * 4.4 - 1.0, "slow_capacity": 1.2 * 7.0, "exchange_rate": 0.025, "dispersivity": 8.0, "column_spread": 0.0})  # fmt: skip
    assert model.kernel(theta) == pytest.approx(model.kernel(typical), abs=1e-10)


def test_predictions_follow_a_posterior():
    import xarray as xr

    curve = reactive.breakthrough(24.0, 1.35, duration=6.0, points_in_time=12)
    draws = xr.Dataset({"distribution": (("chain", "draw"), [[2.0, 4.0]]), "column_spread": (("chain", "draw"), [[0.1, 0.1]])})
    y = curve.predict(draws, progress=False)["relative_concentration"].values[0]
    first = [np.argmax(v > 0.2) for v in y]
    assert first[0] < first[1]  # more sorption, later


def test_what_it_refuses(tmp_path):
    head = '# experiment = "columns"\n{}quantity,specimen,time [h],flow [mL/h],pulse [h],inlet [g/m^3],value,unit,sd\n'
    row = "relative_concentration,A,{},{},2.7,{},{},,0.05\n"
    cases = {
        (head.format("") + row.format(3, 12, 0.2, -0.1)): "Line 3: relative_concentration is -0.1; a concentration is not negative",
        (head.format("") + row.format(3, 12, -0.2, 0.5)): "'inlet' is -0.2 g/m\\^3; it must be at least",
        (head.format("") + row.format(3, -12, 0.2, 0.5)): "'flow' is -12 mL/h; it must be at least",
        (head.format("") + row.format(0, 12, 0.2, 0.5)): "'time' is 0 h; it must be at least",
        (head.format("") + row.format(3, 12, 0.2, 0.5) + row.format(4, 24, 0.2, 0.5)): "flow is 24, but 12 in the first row of specimen 'A'",
        (head.format('# step = "1 h"\n') + row.format(3, 12, 0.2, 0.5)): "step 1 h is too large: .* give at most 0.17 h",
        (head.format("# elements = 20\n") + row.format(3, 12, 0.2, 0.5)): "cannot resolve a dispersivity of 0.751 mm.* give at least 47",
        (head.format("# accuracy = 1e-5\n") + row.format(1.6, 12, 0.2, 0.5)): "more than accuracy = 1e-05; give a smaller step",
        (head.format('# isotherm = "langmuir"\n') + row.format(3, 12, 0.2, 0.5)): "langmuir",
    }  # fmt: skip
    bad = tmp_path / "bad.csv"
    for text, words in cases.items():
        bad.write_text(text)
        with pytest.raises(HmmInferError, match=words):
            reactive.EXPERIMENTS["columns"].model(str(bad))
    for call, words in (
        (lambda: reactive.breakthrough(flow=-1.0), "flow is -1"),
        (lambda: column_kernel([70.0], [1.0], [1.0], [1.0], [0], [0.0], [0.1]), "empty at time 0"),
        (lambda: column_kernel([70.0], [1.0], [1.0], [1.0], [0], [1.0], [0.1], place=1.2), "share of its length"),
        (lambda: column_kernel([70.0], [-1.0], [1.0], [1.0], [0], [1.0], [0.1]), "must be positive"),
        (lambda: storage_kernel(EXCHANGE, [-1.0], [0.0, 4.0, 1e8]), "concentration is -1"),
        (lambda: Network(np.array([[0.5, 0]]), np.array([[0, 1]])), "whole numbers"),
        (lambda: projective(decay_step, "rk5"), "form of projective integration 'rk5'.*rk4"),
        (lambda: projective(decay_step)([1.0], [-1.0], 9, 1e-3, 5e-3, 1), "do not fit"),
        (lambda: projective(decay_step)([1.0], [-1.0], -1, 1e-3, 1.0, 1), "k >= 0"),
        (lambda: multiscale(all_in_a, reaction_step, total)([1.0], [1.0], 1, 0, 1e-3, 1.0, 1), "at least one step"),
    ):
        with pytest.raises(HmmInferError, match=words):
            call()
