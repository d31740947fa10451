"""Morphogen and tissue: stochastic cells against the exact product-Poisson law, bursts and profiles against closed forms, real Bicoid."""

import numpy as np
import pytest
from scipy.linalg import expm

from hmminfer.errors import HmmInferError
from hmminfer.macro.patches import profile_history, slope_of, spread, steady_profile
from hmminfer.macro.projective import amplification
from hmminfer.micro.cells import gillespie, langevin, leap, line, mean_matrix, sheet, steady_mean
from hmminfer.micro.count_burst import count_burst
from hmminfer.micro.langevin_burst import burst, quiet
from hmminfer.testing import assert_order

RATES = np.array([2.0, 3.0, 5.0, 1.0, 0.2])  # hop, bind, unbind, decay of bound and of free


def source(n, rate):
    out = np.zeros(n)
    out[0] = rate
    return out


# --- cells against the exact law


@pytest.fixture(scope="module")
def snapshots():
    """1,200 tissues of 5 cells, all molecules, one relaxation time apart: (times, 2, 5)."""
    j, none = source(5, 60.0), np.zeros(5, np.int64)
    times = 12.0 + 2.0 * np.arange(1200)
    return gillespie(np.random.default_rng(1), line(5), j, RATES, none, none, times)[0]


@pytest.mark.validates(
    "morphogen_tissue",
    "means, variances and covariances of simulated counts",
    against="the product-Poisson law (Gardiner)",
    bar="4.5 standard errors",
)
def test_exact_simulation_gives_independent_poisson_counts(snapshots):
    """Means, variances and covariances of free and bound molecules in every cell; bands of 4.5 standard errors for 75 numbers."""
    n = len(snapshots)
    x = snapshots.reshape(n, -1)
    mean = steady_mean(line(5), source(5, 60.0), RATES).ravel()
    slowest = -np.linalg.eigvals(mean_matrix(line(5), RATES)).real.max()
    rest = np.exp(-2.0 * slowest)  # correlation of means between snapshots; of second moments at most as much
    n *= (1.0 - rest) / (1.0 + rest)
    assert np.all(np.abs(x.mean(axis=0) - mean) < 4.5 * np.sqrt(mean / n))
    assert np.all(np.abs(x.var(axis=0) / mean - 1.0) < 4.5 * np.sqrt((2.0 + 1.0 / mean) / n))
    off = np.corrcoef(x.T)[np.triu_indices(10, 1)]
    assert np.all(np.abs(off) < 4.5 / np.sqrt(n))
    assert mean.max() / mean.min() > 5.0  # a gradient, not one number ten times


@pytest.mark.validates("morphogen_tissue", "tau-leaping in the step", against="exact means", bar="order 1 (within 0.25)")
def test_leaps_converge_to_the_exact_means():
    """Tau-leaping is of first order in the step: the steps' biases fall in proportion, and the finest is within noise."""
    j, none, rng = (source(5, 60000.0), np.zeros(5, np.int64), np.random.default_rng(2))  # many molecules: the noise is 0.1 %
    exact = steady_mean(line(5), j, RATES)
    bias = []
    for dt in (0.1, 0.05, 0.025):
        bias.append(np.mean([leap(rng, line(5), j, RATES, none, none, dt, round(15.0 / dt)) / exact - 1.0 for _ in range(20)], axis=0)[1].mean())
    assert_order(np.abs(bias), 1.0, tolerance=0.25)  # noise of the rate: 0.001 / sqrt(100) over a bias of 0.01


def test_langevin_has_the_poisson_means_and_variances_where_there_are_many():
    rng = np.random.default_rng(3)
    n, scale = 4, 200.0
    rates = np.array([1.0, 1.0, 2.0, 1.0, 0.5])
    exact = steady_mean(line(n), source(n, 10.0 * scale), rates)
    dt, every, kept = 0.02, 50, []
    state = exact.copy()
    for _ in range(8000):
        noise = rng.standard_normal((every, n, 6))
        state = langevin(line(n), source(n, 10.0 * scale), rates, state[0], state[1], dt, noise)
        kept.append(state)
    x = np.array(kept)
    # snapshots are 1 time unit apart and second moments relax at twice the slowest rate, 0.8: (1 - e^-0.8) / (1 + e^-0.8) of them count
    slowest = -np.linalg.eigvals(mean_matrix(line(n), rates)).real.max()
    for moment, rate in ((1, slowest), (2, 2.0 * slowest)):
        count = len(x) * np.tanh(0.5 * rate)
        if moment == 1:
            assert np.all(np.abs(x.mean(axis=0) / exact - 1.0) < 4.5 / np.sqrt(count * exact))
        else:  # explicit steps add dt times half the rate of a mode, 2 % of binding at most and 4 % of hops
            assert np.all(np.abs(x.var(axis=0) / exact - 1.0) < 0.04 + 4.5 * np.sqrt(2.0 / count))


@pytest.mark.validates(
    "morphogen_tissue", "decay length of a lattice of cells", against="closed form; published Dpp values, 19.9346 um", bar="1e-9, 1e-4 um"
)
def test_decay_length_of_the_lattice():
    """lambda = l / arccosh(1 + k / 2w): the published Dpp values on cells of 2.6 um (19.9346 um; the continuum says 19.9205)."""
    k, size = 2.52e-4, 2.6
    w = 0.10 / size**2
    c = steady_mean(line(400), source(400, 1.0), np.array([w, 0.0, 1.0, 0.0, k]))[0]
    length = size / np.log(c[50] / c[51])
    assert length == pytest.approx(size / np.arccosh(1.0 + k / (2.0 * w)), rel=1e-9)
    assert length == pytest.approx(19.9346, abs=1e-4)


def test_a_sheet_with_a_source_along_its_edge_is_a_line():
    columns, rows = 6, 4
    j = np.repeat(source(columns, 30.0), rows)
    flat = steady_mean(line(columns), source(columns, 30.0), RATES)
    assert steady_mean(sheet(columns, rows), j, RATES).reshape(2, columns, rows) == pytest.approx(np.repeat(flat[..., None], rows, axis=2), rel=1e-10)
    none = np.zeros(columns * rows, np.int64)
    x = gillespie(np.random.default_rng(4), sheet(columns, rows), j, RATES, none, none, 12.0 + 5.0 * np.arange(100))[0]
    x = x.reshape(100, 2, columns, rows).mean(axis=(0, 3))
    assert np.all(np.abs(x - flat) < 4.5 * np.sqrt(flat / (100 * rows)))


# --- bursts


def ask(kernel, c=200.0, slope=-2.0, diffusivity=4.0, k=1e-2, kappa=1.0, k_off=1e3, number=0.0, curvature=0.0, of_cells=0.0):
    """(flux, loss) over (D + kappa D_c) / (1 + kappa) and k kappa / (1 + kappa) of the limit."""
    x = np.array([c, slope, curvature, diffusivity, k, kappa, k_off, of_cells, number])
    return kernel(x) / [-(diffusivity + kappa * of_cells) * slope / (1.0 + kappa), k * kappa * c / (1.0 + kappa)]


@pytest.mark.validates("morphogen_tissue", "effective coefficients of a small patch", against="the limit of fast binding", bar="1e-5")
def test_burst_of_a_small_patch_with_fast_binding_has_the_effective_coefficients():
    """Error ((h + l) / lambda)^2 / 8 at most, order two in the patch; k / k_off of the loss, order one in it."""
    errors = []
    for cells in (32, 16, 8):
        error = np.abs(ask(quiet(burst(0.5, cells, heal=200, measure=10, step=20.0, blocks=1))) - 1.0)
        assert np.all(error < (0.5 * (cells + 1.0) / 20.0) ** 2 / 8.0 + 1e-5)
        errors.append(error)
        right = ask(quiet(burst(0.5, cells, heal=200, measure=10, step=20.0, blocks=1)), curvature=200.0 / 20.0**2)
        assert abs(right[1] - 1.0) < 0.1 * error[1]  # with the curvature of a profile at rest the inside stays as it was lifted
    assert_order([e[0] for e in errors], 2.0, tolerance=0.25)
    small = quiet(burst(0.01, 2, heal=200, measure=10, step=20.0, blocks=1))
    for k_off in (0.1, 1.0):
        flux, loss = ask(small, k_off=k_off)
        assert flux == pytest.approx(1.0, abs=1e-5)
        assert 1.0 - loss == pytest.approx(1e-2 / (k_off + 1e-2), rel=0.01)
    assert ask(small, kappa=0.3, diffusivity=7.0) == pytest.approx([1.0, 1.0], abs=2e-5)


def test_burst_heals_what_the_lift_left_open():
    """Where k is not small beside k_off bound molecules are fewer than the lift says: a burst that is not healed misses it."""
    healed, not_healed = (ask(quiet(burst(0.01, 2, heal=h, measure=1, step=0.2, blocks=1)), k=0.5, k_off=1.0)[1] for h in (100, 0))
    assert healed == pytest.approx(1.0 / 1.5, rel=0.01)
    assert not_healed > 0.9


def test_burst_is_unbiased_at_any_count_and_antithetic_noise_falls_with_the_count():
    sd = []
    for c in (3.0, 30.0, 3000.0):
        kernel = burst(2.0, 4, heal=2, measure=3, step=1.0, blocks=400, seed=5)
        y = np.array([ask(kernel, c, -0.02 * c, 0.5, 1e-3, 1.0, 0.8, i) for i in range(400)])
        exact = ask(quiet(kernel), c, -0.02 * c, 0.5, 1e-3, 1.0, 0.8)
        assert np.all(np.abs(y.mean(axis=0) - exact) < 4.0 * y.std(axis=0) / 20.0)
        sd.append(y.std(axis=0))
    assert np.log10(sd[1] / sd[2]) == pytest.approx([2.0, 2.0], abs=0.1)  # 1 / c: the first order, 1 / sqrt(c), cancels in a pair


def test_fluctuations_in_a_burst_are_those_of_the_product_poisson_law():
    """Bound molecules of a healed patch, 3,000 single replicas: variance = mean / cells in the mean over cells, so cells are independent.

    The implicit step of length dt damps a mode of rate a by 1 / (1 + a dt / 2): 2 % of binding, 1 % of hops; 4.5 errors of the variance are 12 %.
    """
    kernel = burst(1.0, 4, heal=150, measure=1, step=0.02, blocks=3000, seed=14, antithetic=False)
    c, k, kappa = 400.0, 1e-3, 1.0
    loss = np.array([kernel(np.array([c, 0.0, 0.0, 0.5, k, kappa, 1.0, 0.0, i]))[1] for i in range(3000)])
    bound = loss / k
    assert bound.mean() == pytest.approx(200.0, abs=4.5 * np.sqrt(50.0 / 3000.0))
    assert bound.var() == pytest.approx(200.0 / 4.0, rel=0.12 + 0.03)
    paired = burst(1.0, 4, heal=150, measure=1, step=0.02, blocks=300, seed=14)
    pairs = np.array([paired(np.array([c, 0.0, 0.0, 0.5, k, kappa, 1.0, 0.0, i]))[1] for i in range(300)]) / k
    assert pairs.var() < 0.01 * bound.var() / 2.0  # what pairing is for


def test_bursts_of_counts_have_the_flux_and_loss_of_the_limit(rng):
    """Lifted by Poisson's law, run by Gillespie or by short leaps: 4.5 standard errors, of 2 % of the flux and 0.1 % of the loss, and k / k_off."""
    theta = np.array([0.5, 0.005, 1.5, 0.5])
    d, k, kappa, _ = theta
    c, slope = 600.0, -20.0
    limit = np.array([-d * slope, k * kappa * c]) / (1.0 + kappa)
    for method in ("gillespie", "leap"):
        found, error = count_burst(rng, c, slope, theta, 1.0, cells=8, replicas=300, method=method, step=0.02)
        assert np.all(error < [0.02 * limit[0], 0.001 * limit[1]])
        assert np.all(np.abs(found - limit) < 4.5 * error + 0.01 * limit)
    assert np.all(count_burst(rng, 0.0, 0.0, theta, 1.0)[0] == 0.0)
    for call, words in (
        (lambda: count_burst(rng, 1.0, -20.0, theta, 1.0), "would hold fewer than none"),
        (lambda: count_burst(rng, c, slope, theta, 1.0, cells=3), "give an even number of cells"),
        (lambda: count_burst(rng, c, slope, theta, 1.0, method="ssa"), "'ssa' cannot be measured"),
    ):
        with pytest.raises(HmmInferError, match=words):
            call()


@pytest.mark.validates("morphogen_tissue", "growing profile by bursts of counts, of the amplitude", against="the mean of every cell", bar="5 %")
def test_growth_by_bursts_of_counts(rng):
    """Coarse projection of leaping patches against the mean of every cell, 8 volumes of 5 cells, within 5 % of the amplitude: H^2, and noise."""
    d, k, kappa, k_off, n = 4.0, 0.04, 1.0, 2.0, 40
    j = source(n, 20.0)
    a = mean_matrix(line(n), np.array([d, kappa * k_off, k_off, k, 0.0]))
    rest = np.linalg.solve(a, -np.concatenate([j, np.zeros(n)]))
    exact = (rest - expm(a * 40.0) @ rest).reshape(2, n).sum(axis=0).reshape(8, 5).mean(axis=1)

    def ask(c, s):
        c = max(c, 0.0)  # a noisy leap may leave less than nothing
        s = np.sign(s) * min(abs(s), c / 2.0)  # nearly empty patches cannot hold a slope: as steep as they can
        return count_burst(rng, c, s, [d, k, kappa, k_off], 1.0, cells=4, heal=1.0, measure=1.0, replicas=40, method="leap", step=0.04)[0]

    coarse = spread(lambda c, s: ask(c, s)[0], np.zeros(8), 5.0, 2.5, 16, loss=lambda c: ask(c, 0.0)[1], source=j[0])
    assert np.max(np.abs(coarse[-1] - exact)) < 0.05 * exact[0]


@pytest.mark.validates("morphogen_tissue", "variance of a burst's slope", against="a random walk of known intensity (noise 2.2 %)", bar="10 %")
def test_variance_of_the_slope_of_a_burst_of_counts():
    """6 a / (5 M tau): counts of a short burst are a random walk of intensity a; 4,000 bursts tell a variance to 4.5 x 2.2 %."""
    rng, tau = np.random.default_rng(6), 0.02
    j, k, n = 500.0, 1.0, 500
    times = np.linspace(tau / 200, tau, 200)
    rates = np.array([0.0, 0.0, 1.0, 0.0, k])
    x = np.array([gillespie(rng, line(1), np.array([j]), rates, np.array([n]), np.zeros(1, np.int64), times)[0][:, 0, 0] for _ in range(4000)])
    slopes = slope_of(times, x.T.astype(float))
    assert slopes.var() == pytest.approx(6.0 * (j + k * n) / (5.0 * tau), rel=0.1)


# --- projection


@pytest.mark.validates("morphogen_tissue", "amplification of a projective step", against="its polynomial", bar="1e-10")
def test_projective_step_amplifies_as_its_polynomial_says():
    """Free and bound molecules of one cell, stiff: each eigenmode grows by ((M + 1) rho - M) rho^k exactly, stable or not."""
    a = mean_matrix(line(1), np.array([0.0, 40.0, 60.0, 1.0, 0.0]))
    value, vector = np.linalg.eig(a)
    step, inner = 0.009, 2
    for leap_over in (5.0, 40.0, 400.0):
        for i in range(2):
            u = vector[:, i]
            for _ in range(inner):
                u = u + step * a @ u
            last = u + step * a @ u
            u = last + leap_over * (last - u)
            sigma = amplification("euler", 1.0 + step * value[i], inner, leap_over + inner + 1.0)
            assert u == pytest.approx(sigma * vector[:, i], rel=1e-10)
    rho = 1.0 + step * value.min()
    healed, raw = (abs(amplification("euler", rho, k, 40.0 + k + 1.0)) for k in (inner, 0))
    assert healed < 1.0 < raw  # the fast mode needs inner steps


# --- profiles

LENGTH, POINTS = 100.0, np.array([5.0, 20.0, 33.0, 50.0])
LIMIT = np.array([1.0, 0.01, 1.0, 1e7, 0.0])  # D, k, kappa, k_off, D_c with lambda = 10: small cells, fast binding
SOURCE = 1000.0 * np.sqrt(0.01) / 2.0


def at_rest(nodes, noise=False):
    law = burst(0.01, 2, heal=2, measure=1, step=0.1, blocks=1)
    return steady_profile(law if noise else quiet(law), LIMIT, SOURCE, LENGTH, nodes, 0.02, POINTS, 1000.0)


@pytest.mark.validates("morphogen_tissue", "profile at rest", against="closed form", bar="order 4 (within 0.3), 2e-6")
def test_profile_at_rest_converges_to_the_closed_form_at_fourth_order():
    exact = np.cosh((LENGTH - POINTS) / 10.0) / np.sinh(LENGTH / 10.0)
    errors = []
    for nodes in (21, 41, 81):
        kernel = at_rest(nodes)
        x = kernel.example.copy()
        x[-1] = 0.0
        errors.append(np.max(np.abs(kernel(x) - exact)[1:]))  # the first place is interpolated from one side at the first of the grids
    assert_order(errors, 4.0, tolerance=0.3, bound=2e-6)


def history(steps, implicit, nodes=13, times=(20.0, 60.0, 100.0)):
    points, when = (v.ravel() for v in np.meshgrid(POINTS[:3], times, indexing="ij"))
    law = quiet(burst(0.01, 2, heal=2, measure=1, step=0.1, blocks=1))
    return profile_history(law, LIMIT, SOURCE, LENGTH, nodes, 0.02, points, when, steps, 1000.0, 0.0, implicit)


def value(kernel):
    x = kernel.example.copy()
    x[-1] = 0.0
    return kernel(x)


@pytest.mark.validates("morphogen_tissue", "profile in time, in the leap", against="400 implicit leaps", bar="order 2 (within 0.3), 3e-4")
def test_history_is_of_second_order_in_the_leap():
    reference = value(history(400, True))  # its own error is 4 % of the finest below
    for implicit, counts in ((True, (20, 40, 80)), (False, (40, 80, 160))):
        errors = [np.max(np.abs(value(history(n, implicit)) - reference)) for n in counts]
        assert_order(errors, 2.0, tolerance=0.3, bound=3e-4)


@pytest.mark.validates("morphogen_tissue", "profile in time, of the amplitude", against="means of every cell, by the matrix exponential", bar="1 %")
def test_history_against_every_cell_of_the_tissue():
    """Matrix exponential of all free and bound means of 100 cells; patches hold 64 of them. 1 % of the amplitude: h^4 and (h / lambda)^2."""
    size, n = 2.0, 100
    d, k, kappa, k_off = 2.0, 0.01, 1.0, 2.0
    j = source(n, 1000.0 * np.sqrt(d * k * kappa) / (1.0 + kappa) / size)
    a = mean_matrix(line(n), np.array([d / size**2, kappa * k_off, k_off, k, 0.0]))
    steady = steady_mean(line(n), j, np.array([d / size**2, kappa * k_off, k_off, k, 0.0])).ravel()
    cells, times = np.array([3, 8, 15, 30]), np.array([50.0, 150.0, 400.0])
    exact = np.array([[(steady - expm(a * t) @ steady).reshape(2, n).sum(axis=0)[c] for t in times] for c in cells])
    law = quiet(burst(size, 2, heal=2, measure=3, step=0.5, blocks=1))
    points, when = (v.ravel() for v in np.meshgrid((cells + 0.5) * size, times, indexing="ij"))
    kernel = profile_history(law, [d, k, kappa, k_off, 0.0], j[0] * size, n * size, 33, 2 * size, points, when, 80, 1000.0, 0.0, True)
    assert np.max(np.abs(1000.0 * value(kernel).reshape(4, 3) - exact)) < 0.01 * 1000.0


@pytest.mark.validates("morphogen_tissue", "local accumulation time", against="Berezhkovskii, Sample & Shvartsman 2010", bar="1 %")
def test_local_accumulation_time():
    """tau(x) = (1 + x / lambda) / (2 k_eff), as the area between the profile in time and the one at rest (Berezhkovskii et al. 2010)."""
    times = np.linspace(0.0, 3000.0, 76)
    y = value(history(150, True, 21, times)).reshape(3, -1)
    share = 1.0 - y / y[:, -1:]
    tau = np.sum(0.5 * (share[:, 1:] + share[:, :-1]) * np.diff(times), axis=1)
    assert tau == pytest.approx((1.0 + POINTS[:3] / 10.0) / (2.0 * 0.005), rel=0.01)


def test_explicit_leaps_beyond_the_stability_limit_are_no_answer():
    """The fastest mode of quadratic elements with lumped mass decays at 24 D / h^2 + k, D and k effective."""
    h = LENGTH / 6.0
    limit = 2.0 / (24.0 * 0.5 / h**2 + 0.005)
    end = (100.0,)
    assert np.all(np.isfinite(value(history(int(100.0 / limit) + 1, False, times=end))))
    assert np.all(np.isnan(value(history(int(100.0 / limit), False, times=end))))
    assert np.all(np.isfinite(value(history(2, True, times=end))))


def test_a_history_wants_two_steps_before_its_first_datum():
    with pytest.raises(HmmInferError, match=r"time step 25 s cannot resolve data at time 20 s: .* give at least 10 steps"):
        history(4, True)
    with pytest.raises(HmmInferError, match="Every row is at time 0"):
        history(4, False, times=(0.0,))
