"""Layered proton conductor: both means, Springer's values, hydration against closed forms and another solver, real films."""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from numba import njit
from scipy.integrate import solve_bvp

from hmminfer import models
from hmminfer.diagnostics.checking import checks
from hmminfer.engine.closure import closure
from hmminfer.engine.linalg import band_lu, band_lu_solve
from hmminfer.errors import HmmInferError
from hmminfer.inference.sampling import fit, preview
from hmminfer.macro.membrane import ALONG, FLUX, RESISTANCE, UPTAKE, membrane_kernel
from hmminfer.micro.laminate import laminate
from hmminfer.testing import assert_order, posterior_by_quadrature

proton = models.get("proton_conductor")


def test_band_lu_of_an_unsymmetric_matrix_that_needs_pivots(rng):
    n, b = 12, 2
    a = np.triu(np.tril(rng.standard_normal((n, n)), b), -b)
    a[3, 3] = 0.0
    ab = np.zeros((n, 3 * b + 1))
    for i in range(n):
        for j in range(max(0, i - b), min(n, i + b + 1)):
            ab[j, 2 * b + i - j] = a[i, j]
    x = rng.standard_normal((2, n))
    ok, pivots = band_lu(ab, b)
    assert ok
    for matrix, transposed in ((a, False), (a.T, True)):
        rhs = x @ matrix.T
        band_lu_solve(ab, b, pivots, rhs, transposed)
        assert rhs == pytest.approx(x, rel=1e-9)
    assert not band_lu(np.zeros((n, 3 * b + 1)), b)[0]


@njit
def quotient(x, facts, out):
    out[0] = np.exp(-x[0] * facts[0]) / x[1]
    out[1] = x[2] ** 1.5 * np.log(x[0])


def test_complex_step_is_the_derivative_to_rounding():
    kernel = closure(quotient, [[0.7], [1.9]], 2, [1.3, 0.4, 2.0, 3.0], own=1)
    x = kernel.example
    y = kernel(x)
    assert y == pytest.approx([v for a, t in ((1.3, 0.7), (0.4, 1.9)) for v in (np.exp(-a * t) / 2.0, 3.0**1.5 * np.log(a))], rel=1e-15)
    j = kernel.jacobian(x)
    expected = np.zeros((4, 4))
    for row, (a, t) in enumerate(((1.3, 0.7), (0.4, 1.9))):
        e = np.exp(-a * t)
        expected[2 * row, row], expected[2 * row, 2] = -t * e / 2.0, -e / 4.0
        expected[2 * row + 1, row], expected[2 * row + 1, 3] = 3.0**1.5 / a, 1.5 * 3.0**0.5 * np.log(a)
    assert j == pytest.approx(expected, rel=1e-15)
    assert np.all(np.isnan(kernel(np.array([-1.0, 0.4, 2.0, 3.0]))))  # ln of a negative number, in one row


@pytest.mark.validates(
    "proton_conductor", "conductivity of a stack along and across", against="arithmetic and harmonic means with contacts", bar="1e-14"
)
def test_means_of_a_stack(rng):
    k, t, r = rng.uniform(0.1, 3.0, 3), rng.uniform(0.1, 1.0, 3), rng.uniform(0.0, 0.5, 2)
    along, across, resistance = laminate(3, 2)(np.concatenate([np.stack([k, t], axis=1).ravel(), r]))
    assert along == pytest.approx(np.average(k, weights=t), rel=1e-14)
    assert resistance == pytest.approx(np.sum(t / k) + r.sum(), rel=1e-14)
    assert across == pytest.approx(t.sum() / resistance, rel=1e-14)
    assert across <= along  # Jensen; contacts only widen it
    same = laminate(3)(np.array([2.0, 0.1, 2.0, 0.5, 2.0, 0.2]))
    assert same == pytest.approx([2.0, 2.0, 0.4], rel=1e-14)
    for bad in ([-1.0, 0.1, 2.0, 0.5], [1.0, -0.1, 2.0, 0.5]):
        assert np.all(np.isnan(laminate(2)(np.array(bad))))


@pytest.mark.validates(
    "proton_conductor",
    "conductivity at 303 K, and water content over humidity",
    against="Springer, Zawodzinski & Gottesfeld 1991",
    bar="5e-4, water content 6e-3",
)
def test_springer_values():
    """Table of the reference computation: conductivity at 303 K and the isotherm."""
    s = [proton.springer(v, proton.SPRINGER_ENERGY, 303.0) for v in (3.0, 6.0, 9.0, 14.0, 22.0)]
    assert s == pytest.approx([0.01216, 0.02757, 0.04299, 0.06869, 0.1098], rel=5e-4)
    assert proton.water_content([0.5, 0.7, 0.9, 1.0]) == pytest.approx([3.49, 5.33, 10.04, 14.00], abs=6e-3)
    line = 0.005139 * np.array([1.0, 2.0, 5.0]) - 0.00326
    smooth = np.array([proton.springer(v, proton.SPRINGER_ENERGY, 303.0) for v in (1.0, 2.0, 5.0)])
    assert np.all(np.abs(smooth / line - 1.0) < [0.8e-2, 1e-6, 1e-12])
    assert proton.springer(0.1, 10.0, 303.0) > 0.0  # the line is negative there


def membrane(bath, law=2.0, current=0.0, what=(RESISTANCE,), position=None, elements=8, thickness=178e-4, temperature=303.0):
    """One membrane of Springer's conductivity; constant diffusivity by default."""
    law_kernel = closure(
        proton.membrane_law, np.zeros((1, 0)), 3, [10.0, 100.0, 1.0, proton.SPRINGER_ENERGY, 0.5, 1.0, 1.0, temperature, current, law]
    )
    theta = [1.0, proton.SPRINGER_ENERGY, 0.5, 1.0, 1.0]
    n = len(what)
    return membrane_kernel(
        law_kernel, theta, np.array([[temperature, current, law]]), np.array([thickness]), np.array([bath]), [0] * n, what, position, elements
    ), np.array(theta)


@pytest.mark.validates(
    "proton_conductor", "resistance of a linear water profile, 8 elements", against="closed form", bar="1e-6, with 64 elements 1e-10"
)
def test_resistance_of_a_linear_water_profile():
    kernel, theta = membrane((4.0, 14.0))
    a, b, length = 0.005139, 0.00326, 178e-4
    exact = length / (a * 10.0) * np.log((14.0 * a - b) / (4.0 * a - b))
    assert exact == pytest.approx(0.47767, abs=1e-5)  # of the reference computation
    value = kernel(np.concatenate([theta, [1e9, 0.0]]))[0]
    assert value == pytest.approx(exact, rel=1e-6)
    assert kernel(np.concatenate([theta, [1e9, 0.02]]))[0] == pytest.approx(value + 0.02, rel=1e-12)
    finer, _ = membrane((4.0, 14.0), elements=64)
    assert finer(np.concatenate([theta, [1e9, 0.0]]))[0] == pytest.approx(exact, rel=1e-10)


@pytest.mark.validates(
    "proton_conductor",
    "flux through transfer, diffusion, transfer; profile under a current",
    against="closed forms",
    bar="1e-10, with a current 1e-7",
)
def test_flux_through_surfaces_in_series():
    """Constant diffusivity: transfer, diffusion and transfer are three resistances; with a current the profile is exponential."""
    what, place = (FLUX, UPTAKE, UPTAKE, UPTAKE), (0.0, 0.0, 0.37, 1.0)
    k, length = 0.02, 178e-4
    c_d = 1e4 * proton.ACID * 3e-6
    kernel, theta = membrane((4.0, 14.0), what=what, position=place)
    flux = -10.0 / (2.0 / k + length / c_d)
    exact = [flux, 4.0 - flux / k, 4.0 - flux / k - 0.37 * length * flux / c_d, 14.0 + flux / k]
    assert kernel(np.concatenate([theta, [k, 0.0]])) == pytest.approx(exact, rel=1e-10)
    kernel, theta = membrane((9.0, 12.0), current=0.5, what=what, position=place, elements=64)
    drag = 2.5 / 22.0 * 0.5 * proton.DRAG  # flux = -c D u' + drag u: u = flux / drag + b exp(drag z / c D)
    grow = np.exp(drag * length / c_d)
    # unknowns flux, b:  flux = k (9 - flux / drag - b),   flux = k (flux / drag + b grow - 12)
    m = np.array([[1.0 + k / drag, k], [1.0 - k / drag, -k * grow]])
    flux, b = np.linalg.solve(m, [9.0 * k, -12.0 * k])
    z = np.array([0.0, 0.37, 1.0]) * length
    exact = [flux, *(flux / drag + b * np.exp(drag * z / c_d))]
    assert kernel(np.concatenate([theta, [k, 0.0]])) == pytest.approx(exact, rel=1e-7)


@pytest.mark.validates(
    "proton_conductor",
    "steady hydration with Motupally's diffusivity and drag, 8 elements",
    against="a collocation solver",
    bar="1e-6, with 32 elements 1e-8, order 4 (within 0.2)",
)
def test_hydration_against_another_solver():
    """Motupally's diffusivity and drag: collocation to 1e-10 gives the same resistance and flux."""
    k, length, current, t = 0.03, 50e-4, 1.2, 353.15
    bath = (10.0, 6.0)
    drag = 2.5 / 22.0 * current * proton.DRAG

    def rhs(z, y):
        d = 1e4 * proton.ACID * np.array([proton.water_diffusivity(u, t, 0.0) for u in y[0]])
        s = np.array([proton.springer(u, proton.SPRINGER_ENERGY, t) for u in y[0]])
        return np.stack([(drag * y[0] - y[1]) / d, 0.0 * y[1], 1.0 / s])

    z = np.linspace(0.0, length, 200)
    start = np.stack([np.linspace(5.0, 8.0, 200), np.full(200, 0.05), np.zeros(200)])
    other = solve_bvp(
        rhs, lambda a, b: np.array([a[1] - k * (bath[0] - a[0]), b[1] - k * (b[0] - bath[1]), a[2]]), z, start, tol=1e-10, max_nodes=100_000
    )
    assert other.success
    expected = np.array([other.y[2, -1], other.y[1, 0], other.sol(0.5 * length)[0]])
    what, place = (RESISTANCE, FLUX, UPTAKE), (0.0, 0.0, 0.5)
    errors = []
    for n in (4, 8, 16, 32):
        kernel, theta = membrane(bath, 0.0, current, what, place, n, length, t)
        errors.append(np.abs(kernel(np.concatenate([theta, [k, 0.0]])) / expected - 1.0))
    assert np.all(errors[1] < 1e-6)  # eight elements, the default; measured 8e-8
    assert np.all(errors[3] < 1e-8)
    for quantity in np.array(errors).T:
        assert_order(quantity[:3], 4.0, 0.2)


def test_a_membrane_that_cannot_be_solved_is_nan():
    kernel, theta = membrane((4.0, 14.0), what=(RESISTANCE, ALONG))
    for k, r in ((-1.0, 0.0), (0.0, 0.0), (1.0, -0.1), (np.nan, 0.0)):
        x = np.concatenate([theta, [k, r]])
        y, bar = kernel.value_and_pullback(x, np.ones(2))
        assert np.all(np.isnan(y))
        assert np.all(np.isnan(bar))


def test_springers_diffusivity_says_nothing_of_what_drag_dries():
    """Two wet baths and a current that dries the anode's side: Motupally's law gives it 3.8 molecules, Springer's, stated above 4, nothing."""
    what, place = (UPTAKE, UPTAKE), (0.0, 1.0)
    for current, dry in ((0.1, False), (3.0, True)):
        values = {}
        for law in (0.0, 1.0):
            kernel, theta = membrane((5.0, 5.0), law, current, what, place, 16, 50e-4, 353.15)
            values[law], bar = kernel.value_and_pullback(np.concatenate([theta, [0.1, 0.0]]), np.ones(2))
        assert (values[0.0].min() < 4.0) == dry
        assert np.isnan(values[1.0]).all() == np.isnan(bar).all() == dry
    model = proton.water_profile(50.0, 65.0, 65.0, 3.0, 353.15, points=3, diffusivity="springer")
    with pytest.raises(HmmInferError, match="has no solution"):
        model.evaluate({"water_transfer": 0.1})


def test_a_membrane_of_lamellae_conducts_better_along():
    model = proton.water_profile(50.0, 80.0, 80.0)
    y = model.predict({"dry_ratio": 0.2, "swollen_share": 0.4, "activation_energy": proton.SPRINGER_ENERGY, "mobility": 1.0})
    s = proton.springer(proton.water_content(0.8), proton.SPRINGER_ENERGY, 333.15)
    assert y["conductivity_along"].item() == pytest.approx(s * (0.4 + 0.6 * 0.2), rel=1e-10)
    across = 50e-4 / s * (0.4 + 0.6 / 0.2) + model.vector()[-1]
    assert y["area_resistance"].item() == pytest.approx(across, rel=1e-10)
    assert y["water_content"].values == pytest.approx(proton.water_content(0.8), rel=1e-12)
    assert y["water_flux"].item() == pytest.approx(0.0, abs=1e-12)


# --- films


@pytest.mark.validates("proton_conductor", "conductivity of films over their thickness", against="two layers side by side", bar="1e-6")
def test_film_is_two_layers_side_by_side():
    t = np.array([4.0, 40.0, 300.0])
    y = proton.film_conductivities(t).evaluate({"interface_thickness": 80.0, "bulk_conductivity": 60.0, "interface_conductivity": 20.0})
    exact = 60.0 - 40.0 * np.minimum(80.0 / t, 1.0)
    assert y == pytest.approx(exact, rel=1e-6)
    near = proton.film_conductivities([80.0]).evaluate({"interface_thickness": 80.0, "bulk_conductivity": 60.0, "interface_conductivity": 20.0})
    assert near == pytest.approx([20.0 + 40.0 * 0.02 * np.log(2.0)], rel=1e-12)  # the smoothed corner
    hot = proton.film_conductivities([80.0], temperature=333.15).evaluate({"activation_energy": 25.0})
    cold = proton.film_conductivities([80.0]).evaluate({"activation_energy": 25.0})
    assert hot / cold == pytest.approx(np.exp(25.0 / proton.GAS * (1 / 303.15 - 1 / 333.15)), rel=1e-12)


@pytest.mark.validates(
    "proton_conductor", "interface layer of real films at 95 % humidity", against="an independent estimate, 94 nm", bar="0.5 of its logarithm"
)
def test_films_at_95_percent():
    """Interface layer and conductivities of real films at 30 deg C: Laplace against the reference's estimate, d = 94 nm (ln sd 0.5)."""
    model = proton.EXPERIMENTS["films"].model("nafion_films", temperature="303.15 K")
    assert len(model.table) == 5
    posterior = fit(model, draws=300, tune=300, chains=2, seed=1, progress=False)["posterior"]
    d = np.log(posterior["interface_thickness"].values)
    assert abs(d.mean() - np.log(94.0)) < 0.5
    assert 0.25 < d.std() < 0.6
    assert float(posterior["interface_conductivity"].mean()) == pytest.approx(21.2, abs=2.0)
    assert float(posterior["bulk_conductivity"].median()) == pytest.approx(54.3, abs=12.0)


def test_free_conductivities_at_each_humidity_share_the_layer():
    """60 deg C, 40 % and more: the reference's estimate is d = 42 nm (ln sd 0.10) with 15 % noise, here 22 %."""
    settings = {"temperature": "333.15 K", "water": "levels", "lowest_humidity": "40 %", "reference_temperature": "333.15 K"}
    model = proton.EXPERIMENTS["films"].model("nafion_films", **settings)
    tree = preview(model, seed=1, draws=1000, progress=False)
    assert float(np.log(tree["posterior"]["interface_thickness"]).mean()) == pytest.approx(np.log(42.0), abs=0.2)
    s_b = tree["posterior"]["bulk_conductivity"].values.reshape(-1, 4)
    assert np.all(np.diff(s_b.mean(axis=0)) > 0)


def test_low_humidity_is_flagged():
    """Springer's dependence on humidity does not hold for films: the checks say so, at 95 % they do not."""
    for lowest, fits in (("90 %", True), ("0 %", False)):
        model = proton.EXPERIMENTS["films"].model("nafion_films", lowest_humidity=lowest)
        tree = preview(model, draws=1000, seed=1, progress=False)
        found = {c.name: c for c in checks(tree)}
        assert found["chi2 p-value > 0.05"].ok is fits
        assert next(c for n, c in found.items() if n.startswith("predictive")).ok is fits


@pytest.mark.validates("proton_conductor", "posterior of real membranes", against="quadrature", bar="4 Monte Carlo standard errors")
def test_membranes_posterior_against_quadrature():
    from hmminfer.inference.posterior import Compiled
    from hmminfer.inference.problem import Problem

    model = proton.EXPERIMENTS["membranes"].model("nafion_membranes")
    compiled = Compiled(Problem.of(model))
    exact = posterior_by_quadrature(compiled, compiled.modes(0)[0], n=20)
    posterior = fit(model, draws=500, tune=300, chains=2, seed=2, progress=False)["posterior"]
    for name, (mean, sd) in exact.items():  # within four Monte Carlo errors
        x = posterior[name].values
        for kind, value, truth in (("mean", x.mean(), mean), ("sd", x.std(), sd)):
            assert abs(value - truth) < 4.0 * float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method=kind))
    # two resistances, two unknowns: s = (208 - 60) um / (0.16 - 0.07) ohm cm^2 = 0.164 S/cm, r = 0.0335 ohm cm^2 (the reference's)
    s = posterior["mobility"].values * proton.springer(22.0, proton.SPRINGER_ENERGY, 298.0)
    assert s.mean() == pytest.approx(0.164, abs=1.5 * s.std())
    assert float(posterior["contact_resistance"].mean()) == pytest.approx(0.0335, abs=0.005)


def test_what_it_refuses(tmp_path):
    text = '# experiment = "films"\nquantity,thickness [nm],humidity [%],temperature [K],value,unit,sd\nconductivity,10,{},303,20,mS/cm,2\n'
    bad = tmp_path / "bad.csv"
    for humidity in ("120", "-5"):
        bad.write_text(text.format(humidity))
        with pytest.raises(HmmInferError, match=rf"humidity' is {humidity} %; it must be between 0 and 100 %"):
            proton.EXPERIMENTS["films"].model(str(bad))
    with pytest.raises(HmmInferError, match="No row is left"):
        proton.EXPERIMENTS["films"].model("nafion_films", temperature="298 K")
    with pytest.raises(HmmInferError, match=r"'humidity' is 101 %; it must be between 0 and 100 %"):
        proton.film_conductivities(humidity=101.0)
    with pytest.raises(HmmInferError, match="say nothing of other humidities"):
        proton.film_conductivities(water="levels")
    with pytest.raises(HmmInferError, match=r"'humidity_c' is -1 %; it must be between 0 and 100 %"):
        proton.water_profile(humidity_c=-1.0)
    with pytest.raises(HmmInferError, match=r"holds above 4 .* a bath gives 2\.3"):
        proton.water_profile(humidity_a=20.0, diffusivity="springer")
    with pytest.raises(HmmInferError, match="share of its thickness"):
        membrane((4.0, 14.0), what=(UPTAKE,), position=(1.2,))


def test_predictions_take_a_fit_or_its_posterior_group():
    import xarray as xr

    tree = preview(proton.EXPERIMENTS["membranes"].model("nafion_membranes"), seed=1, draws=50, progress=False)
    curve = proton.water_profile(points=3)
    whole, group = (curve.predict(t, draws=5, progress=False) for t in (tree, tree["posterior"]))
    xr.testing.assert_identical(whole, group)
    with pytest.raises(HmmInferError, match="no 'posterior' group"):
        curve.predict(xr.DataTree(), progress=False)
