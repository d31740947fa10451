"""Stiff reacting transport: columns against closed forms and against all species at every scale, posteriors, real data."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import erfc, erfcx
from scipy.stats import kstest

from hmminfer import datasets, models
from hmminfer.datasets import synthetic_reaction
from hmminfer.errors import HmmInferError
from hmminfer.inference.problem import Problem
from hmminfer.macro.column import _stored, _to_series, column_kernel, concentration_points, scales_of, steps_between
from hmminfer.macro.resolved_column import resolved_column
from hmminfer.micro.reaction_burst import BINDING, storage_kernel
from hmminfer.testing import assert_order, posterior_by_quadrature

reactive = models.get("reactive_transport")


@pytest.mark.validates("reactive_transport", "storage from bursts, linear and saturable", against="closed forms of the isotherms", bar="1e-12")
def test_storage_is_the_isotherm():
    c = np.array([0.05, 1.0, 30.0])
    linear, _ = reactive.retardation("linear", c)
    assert linear(np.array([4.0, 8.0])) == pytest.approx(5.0, rel=1e-13)
    langmuir, _ = reactive.retardation("saturable", c)
    assert langmuir(np.array([4.0, 2.0, 8.0])) == pytest.approx(1.0 + 4.0 / (1.0 + c / 2.0), rel=1e-12)
    for bad in ([-4.0, 2.0, 8.0], [4.0, np.nan, 8.0], [4.0, -1.0, 8.0]):
        assert np.all(np.isnan(langmuir(np.array(bad))))


# --- columns

LENGTH, VELOCITY = 70.0, 206.0


@pytest.mark.validates(
    "reactive_transport",
    "flux halfway along a column twice as long (not its closed outlet), linear sorption, 160 elements, step refined with the mesh",
    against="the closed form of Kreft & Zuber for an endless column",
    bar="order 2 (within 0.1), 3e-4",
)
def test_kreft_zuber_flux_concentration():
    """A long column from which nothing returns: c - a_L c_x at 70 mm against the closed form, second order in mesh and step together.

    The experiment's outlet is Danckwerts' closed one, see the moments below; at its default step the error is that of the step, whatever the mesh.
    """
    retard, a_l = 4.0, 3.9
    t = np.array([0.6, 1.0, 1.5, 2.0, 3.0])
    v, d = VELOCITY / retard, a_l * VELOCITY / retard
    out, back = (LENGTH - v * t) / np.sqrt(4.0 * d * t), (LENGTH + v * t) / np.sqrt(4.0 * d * t)
    exact = 0.5 * (erfc(out) + np.exp(-(out**2)) * erfcx(back))
    errors = []
    for n in (40, 80, 160):
        place = np.tile([0.5 - 1.0 / n, 0.5, 0.5 + 1.0 / n], t.size)
        kernel = column_kernel([2.0 * LENGTH], [VELOCITY], [1.0], [100.0], np.zeros(3 * t.size), np.repeat(t, 3), [4.0 / n], place=place, elements=n)
        c = kernel(np.array([retard, 1.0, 0.0, 0.1, a_l, 0.0])).reshape(-1, 3)
        errors.append(np.abs(c[:, 1] - a_l * (c[:, 2] - c[:, 0]) * n / (4.0 * LENGTH) - exact).max())
    assert_order(errors, 2.0, 0.1, bound=3e-4)


@pytest.mark.validates(
    "reactive_transport",
    "mass, mean and variance of a pulse through two kinds of sites",
    against="Danckwerts' closed vessel with a slow site",
    bar="1e-3, 1e-4 and 2e-3",
)
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


@pytest.mark.validates("reactive_transport", "steady column with decay", against="Wehner & Wilhelm 1956", bar="1e-5")
def test_slow_decay_takes_what_it_should():
    """A steady column with decay: c(L) of the second-order boundary-value problem in closed form."""
    a_l, decay = 3.9, 0.8
    kernel = column_kernel([LENGTH], [VELOCITY], [2.0], [500.0], [0], [200.0], [0.5], elements=200, factors=False)
    root = np.sqrt(1.0 + 4.0 * a_l * decay / VELOCITY)
    peclet = LENGTH / a_l
    exact = 4.0 * root * np.exp(peclet / 2.0) / ((1 + root) ** 2 * np.exp(root * peclet / 2) - (1 - root) ** 2 * np.exp(-root * peclet / 2))
    assert kernel(np.array([3.0, 1.0, 0.5, a_l, decay]))[0] == pytest.approx(exact, rel=1e-5)  # (Wehner & Wilhelm 1956)


@cache
def all_species(inlet, cells, rtol, fast=1e8):
    """``fast``: forward rate, 1/s."""
    times = (0.8, 1.2, 2.0, 2.6, 3.2, 4.0, 5.0, 8.0, 20.0)
    par = (3600.0 * fast, 3600.0 * fast / 4.0, 4.0, 3.0, 0.3, 2.5, 0.03)
    return np.array(times), resolved_column(LENGTH, VELOCITY, inlet, 2.7, times, par, cells, rtol)[0]


@pytest.mark.validates(
    "reactive_transport",
    "columns with saturable sorption, dilute and saturated",
    against="all species kept, at 1e8 per second, by SciPy's Radau",
    bar="order 2 (within 0.3); 4e-4 dilute, 1.5e-3 saturated",
)
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
            [LENGTH],
            [VELOCITY],
            [inlet],
            [2.7],
            np.zeros(times.size),
            times,
            [0.08 / refine],
            0.05 / refine,
            points=8,
            elements=50 * refine,
            factors=False,
        )
        errors.append(np.abs(kernel(x) - exact).max())
    assert_order(errors, 2.0, 0.3, bound=bound)


@pytest.mark.validates(
    "reactive_transport", "concentrations that fast rates of 1e6 and of 1e9 per second leave, all species kept", against="each other", bar="1e-5"
)
def test_all_species_say_the_same_at_both_ends_of_the_prior_of_the_fast_rate():
    """What the posterior of the fast rate rests on, without the model: 1e6 and 1e9 per second leave one answer, a thousandth of that of 10 per hour."""
    slow, fast, visible = (all_species(1.0, 60, 1e-9, rate)[1] for rate in (1e6, 1e9, 10.0 / 3600.0))
    assert np.abs(visible - fast).max() > 1e-2
    assert np.abs(slow - fast).max() < 1e-5


def test_a_law_is_interpolated_between_the_concentrations_it_is_asked_at():
    """Langmuir's over inflows of 0.05 to 10, half saturation a tenth of their mean to ten times it: T(c) and dT/dc, geometric convergence."""
    scales = np.array(scales_of([0.05, 10.0]))
    assert scales == pytest.approx((10.0, np.sqrt(0.5)))
    c = np.linspace(1e-3, 10.0, 201)
    store, slope, work = np.empty((3, c.size))
    for half in (0.1, 1.0, 10.0):
        for points, bound in ((12, 2e-3), (24, 5e-6)):
            at = concentration_points(*scales, points)
            _stored(c, _to_series(points) @ (1.0 + 5.0 / (1.0 + at / half)), scales, 2.0, store, slope, work)
            assert store == pytest.approx(2.0 * (c + 5.0 * c / (1.0 + c / half)), rel=bound)
            assert slope == pytest.approx(2.0 * (1.0 + 5.0 / (1.0 + c / half) ** 2), rel=20.0 * bound)


def test_steps_end_at_every_event():
    t = steps_between([0.3, 2.0, 50.0], [1.0], 0.1, 0.05)
    for event in (0.0, 0.3, 1.0, 2.0, 50.0):
        assert np.min(np.abs(t - event)) == 0.0
    assert np.all(np.diff(t) > 0.0)
    assert steps_between([1.3, 1.3 + 1e-12], [], 0.5, 0.0)[-2:] == pytest.approx([1.3, 1.3], abs=2e-12)  # as good as one
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
    raw, text = synthetic_reaction.stiff_column(200, 1e-5)
    kept = datasets.load("stiff_column")
    assert kept.settings == raw.settings
    a, b = (np.array([float(r["value"]) for r in t.rows]) for t in (raw, kept))
    assert np.max(np.abs(a - b)) < 0.1 * synthetic_reaction.STIFF_SD
    assert str(synthetic_reaction.STIFF_SEED) in text


@pytest.mark.validates(
    "reactive_transport", "unknowns of the stiff columns", against="the truth that made their data, all species kept", bar="3 standard deviations"
)
def test_columns_of_all_species_give_back_what_made_them():
    """Linearised at the truth, in logarithms: each unknown within 3 sd, the misfit what the noise is, K and c_h apart from each other."""
    model = reactive.EXPERIMENTS["columns"].model("stiff_column")
    truth = model.vector(synthetic_reaction.STIFF_TRUTH)
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
        self.theta, self.at = model.vector(), [model.parameters.names.index(n) for n in self.names]

    def constrain(self, x):
        return dict(zip(self.names, np.exp(x).T, strict=True))

    def scores(self, x):
        """Residuals over their sd, then of the priors."""
        theta = self.theta.copy()
        theta[self.at] = np.exp(x)
        y = self.model.kernel(theta)
        return np.concatenate([(y - self.model.table.value) / self.model.table.sd, (x - self.prior[:, 0]) / self.prior[:, 1]])

    def __call__(self, x):
        return (-0.5 * np.sum(self.scores(x) ** 2),)


def of_columns(*names, **settings):
    """Model of some of the real columns."""
    raw = datasets.load("pfos_columns")
    kept = [i for i, row in enumerate(raw.rows) if row["specimen"] in names]
    raw = replace(raw, rows=[raw.rows[i] for i in kept], lines=[raw.lines[i] for i in kept])
    return reactive.EXPERIMENTS["columns"].model(raw, **settings)


@pytest.mark.validates(
    "reactive_transport",
    "sampled posterior of a real column, four unknowns",
    against="quadrature of the density written out by hand",
    bar="0.25 posterior standard deviations, widths 25 %",
)
def test_posterior_of_a_real_column():
    """NUTS against quadrature of the density written out by hand, four unknowns; the fast rate's posterior is its prior."""
    from hmminfer.inference.sampling import fit

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
    typical = model.vector({"distribution": 1.2 * 4.4 - 1, "slow_capacity": 8.4, "exchange_rate": 0.025, "dispersivity": 8.0, "column_spread": 0.0})
    assert model.kernel(theta) == pytest.approx(model.kernel(typical), abs=1e-10)


def test_what_data_do_not_see_is_not_said_to_pile_up(rng):
    """Draws of a uniform prior as posterior: neither bound is named; draws heaped on a bound still are."""
    from hmminfer.inference.misfit import _piled

    flat = [_piled(rng.uniform(6, 9, 800), rng.uniform(6, 9, 500)) for _ in range(50)]
    assert flat.count("") == 50
    assert _piled(6.0 + rng.exponential(0.1, 800), rng.normal(7.5, 0.5, 500)) == "lower"


def test_predictions_follow_a_posterior():
    import xarray as xr

    curve = reactive.breakthrough(24.0, 1.35, duration=6.0, points_in_time=12)
    draws = xr.Dataset({"distribution": (("chain", "draw"), [[2.0, 4.0]]), "column_spread": (("chain", "draw"), [[0.1, 0.1]])})
    rest = {p.name: p.prior.centre for p in curve.parameters if p.name not in draws and p.name not in curve.fixed}
    y = curve.predict(draws, progress=False, **rest)["relative_concentration"].values[0]
    first = [np.argmax(v > 0.2) for v in y]
    assert first[0] < first[1]  # more sorption, later


def test_what_it_refuses(tmp_path):
    head = '# experiment = "columns"\n# porosity = 0.33\n{}quantity,specimen,time [h],flow [mL/h],pulse [h],inlet [g/m^3],value,unit,sd\n'
    row = "relative_concentration,A,{},{},2.7,{},{},,0.05\n"
    cases = {
        (head.format("") + row.format(3, 12, 0.2, -0.1)): "Line 4: relative_concentration is -0.1; a concentration is not negative",
        (head.format("") + row.format(3, 12, -0.2, 0.5)): "'inlet' is -0.2 g/m\\^3; it must be at least",
        (head.format("") + row.format(3, -12, 0.2, 0.5)): "'flow' is -12 mL/h; it must be at least",
        (head.format("") + row.format(0, 12, 0.2, 0.5)): "'time' is 0 h; it must be at least",
        (head.format("") + row.format(3, 12, 0.2, 0.5) + row.format(4, 24, 0.2, 0.5)): "flow is 24, but 12 in the first row of specimen 'A'",
        (head.format('# step = "1 h"\n') + row.format(3, 12, 0.2, 0.5)): "step 1 h is too large: .* give at most 0.17 h",
        (head.format("# elements = 20\n") + row.format(3, 12, 0.2, 0.5)): "cannot resolve a dispersivity of 0.751 mm.* give at least 47",
        (head.format("# accuracy = 1e-5\n") + row.format(1.6, 12, 0.2, 0.5)): "more than accuracy = 1e-05 .*give step = ",
        (head.format('# isotherm = "langmuir"\n') + row.format(3, 12, 0.2, 0.5)): "langmuir",
    }
    bad = tmp_path / "bad.csv"
    for text, words in cases.items():
        bad.write_text(text)
        with pytest.raises(HmmInferError, match=words):
            Problem.of(reactive.EXPERIMENTS["columns"].model(str(bad)))
    for call, words in (
        (lambda: reactive.breakthrough(flow=-1.0), "'flow' is -1 mL/h; it must be"),
        (lambda: column_kernel([70.0], [1.0], [1.0], [1.0], [0], [0.0], [0.1]), "empty at time 0"),
        (lambda: column_kernel([70.0], [1.0], [1.0], [1.0], [0], [1.0], [0.1], place=1.2), "share of its length"),
        (lambda: column_kernel([70.0], [-1.0], [1.0], [1.0], [0], [1.0], [0.1]), "must be positive"),
    ):
        with pytest.raises(HmmInferError, match=words):
            call()
