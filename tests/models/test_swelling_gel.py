"""Swelling gel: the charged rod's cell, equilibrium, confined compression, and what their data tell of charge and network."""

import numpy as np
import pytest
from scipy.integrate import solve_bvp
from scipy.optimize import brentq

from hmminfer import models
from hmminfer.diagnostics.sensitivity import identifiability
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.inference.sampling import fit, preview
from hmminfer.macro.confined import resistance
from hmminfer.macro.swelling import interpolation, nodes, pressure
from hmminfer.micro import poisson_boltzmann
from hmminfer.micro.osmotic import donnan_pressures
from hmminfer.micro.poisson_boltzmann import AVOGADRO, bjerrum_length, thermal
from hmminfer.testing import assert_order

gel = models.get("swelling_gel")
RT = thermal(298.15)
TABLE = {  # c_F, c (mol/L): Pi (MPa) of an independent computation, b = 0.64 nm, r_s = 0.55 nm, l_B = 0.714 nm
    (0.2, 0.015): 0.267,
    (0.2, 0.15): 0.0409,
    (0.4, 0.015): 0.647,
    (0.4, 0.15): 0.253,
    (0.4, 0.5): 0.0393,
    (0.4, 1.0): 0.0063,
}


def ideal(charge, salt):
    return RT * (np.sqrt(charge**2 + 4.0 * salt**2) - 2.0 * salt)


def rods(charge, salt, elements=16, spacing=0.64, radius=0.55, bjerrum=0.714):
    facts = np.array([RT, bjerrum])
    kernel = Kernel(poisson_boltzmann.CODE, (np.array([elements]), facts), np.ones(4))
    return kernel(np.array([charge, salt, spacing, radius]))[0]


@pytest.mark.validates(
    "swelling_gel",
    "osmotic pressure of charged rods in six salts and charges",
    against="the table of an independent computation",
    bar="0.51 units of the last digit",
)
@pytest.mark.parametrize("place", TABLE)
def test_rods_against_the_reference_table(place):
    """To half a unit of the table's last digit."""
    digits = len(f"{TABLE[place]}".split(".")[1])
    assert rods(*place) == pytest.approx(TABLE[place], abs=0.51 * 10.0**-digits)


@pytest.mark.validates("swelling_gel", "convergence of the charged cell", against="512 elements", bar="order 4 (within 0.3), 1e-7")
def test_rods_are_of_fourth_order():
    exact = rods(0.4, 0.15, 512)
    assert_order([abs(rods(0.4, 0.15, n) / exact - 1.0) for n in (8, 16, 32)], 4.0, bound=1e-7)


@pytest.mark.validates("swelling_gel", "osmotic pressure of charged rods", against="a collocation solver of the Poisson-Boltzmann cell", bar="1e-6")
def test_rods_against_a_collocation_solver():
    """scipy's solve_bvp in r (not in ln r), to its tolerance."""
    charge, salt, spacing, radius, bjerrum = 0.3, 0.05, 0.7, 0.5, bjerrum_length(298.15)
    edge = np.sqrt(radius**2 + 1.0 / (np.pi * spacing * charge * AVOGADRO))
    k2 = 8.0 * np.pi * bjerrum * AVOGADRO * salt
    r = np.linspace(radius, edge, 201)
    found = solve_bvp(
        lambda r, y: np.stack([y[1], k2 * np.sinh(y[0]) - y[1] / r]),
        lambda a, b: np.array([a[1] + 2.0 * bjerrum / (spacing * radius), b[1]]),
        r,
        np.stack([2.0 + 0.0 * r, 0.0 * r]),
        tol=1e-9,
        max_nodes=100_000,
    )
    expected = 2.0 * RT * salt * (np.cosh(found.y[0, -1]) - 1.0)
    assert found.success
    assert rods(charge, salt, 32, spacing, radius, bjerrum) == pytest.approx(expected, rel=1e-6)


@pytest.mark.validates("swelling_gel", "charged rods without salt", against="Fuoss, Katchalsky & Lifson 1951", bar="2e-5")
def test_rods_without_salt_have_the_closed_form():
    """Fuoss, Katchalsky & Lifson: Pi = R T c_F (1 - beta^2) (1 - r_s^2 / R^2) / (2 xi), xi = (1 - beta^2) / (1 + beta coth(beta ln R / r_s))."""
    charge, xi = 0.2, 0.714 / 0.9
    ratio = 1.0 + 1.0 / (np.pi * 0.9 * charge * AVOGADRO * 0.55**2)
    length = 0.5 * np.log(ratio)
    assert xi > length / (1.0 + length)  # beyond, beta = i gamma
    gamma = brentq(lambda g: xi * (1.0 + g / np.tan(g * length)) - 1.0 - g**2, 1e-6, np.pi / length - 1e-6)
    square = -(gamma**2)
    expected = RT * charge * (1.0 - square) * (1.0 - 1.0 / ratio) / (2.0 * xi)
    # what salt remains adds at order c / c_F; halving it twice shows where it goes
    y = [rods(charge, c, 64, 0.9, 0.55) for c in (4e-5, 2e-5)]
    assert 2.0 * y[1] - y[0] == pytest.approx(expected, rel=2e-5)


@pytest.mark.validates("swelling_gel", "weakly charged rods", against="Donnan's limit", bar="0.01")
def test_weakly_charged_rods_are_donnan():
    """Thin cells of weak charge have one potential: the ratio goes to 1 with the charge density of the rod."""
    ratio = [rods(0.1, 0.05, 32, b, 0.3) / ideal(0.1, 0.05) for b in (0.64, 6.4, 64.0)]
    assert ratio[0] < 0.8
    assert 1.0 - ratio[2] < 0.01
    assert 1.0 - ratio[2] < 0.2 * (1.0 - ratio[1])


@pytest.mark.validates("swelling_gel", "ideal Donnan pressures", against="the table of a reference", bar="6e-4 MPa")
def test_donnan_table():
    """Ideal pressures of the reference (MPa), to their digits."""
    baths, charges = np.array([0.001, 0.015, 0.15, 1.0, 2.0]), np.array([0.1, 0.2, 0.3])
    y = donnan_pressures(charges, baths)(np.array([1.0])).reshape(5, 3)
    table = [[0.243, 0.491, 0.739], [0.184, 0.427, 0.673], [0.0402, 0.1501, 0.3080], [0.0062, 0.0247, 0.0555], [0.0031, 0.0124, 0.0278]]
    np.testing.assert_allclose(y, table, atol=6e-4)


@pytest.mark.validates("swelling_gel", "pressure between the nodes of its table", against="the cell itself, in R T c_F", bar="1e-5")
def test_between_the_nodes_the_polynomial_is_the_cell():
    """24 nodes of ln c_F; the branch point of the ideal pressure nearest to them says 1.69^-24 = 3e-6 of R T c_F."""
    lower, upper, n = gel.RANGE["tissue"]
    facts = np.log([lower, upper])
    for salt in (0.001, 0.15, 2.0):
        coefficients = interpolation(lower, upper, n) @ np.array([rods(q, salt) for q in nodes(lower, upper, n)])
        q = np.geomspace(0.011, 2.9, 37)
        between = np.array([pressure(v, coefficients, facts)[0] for v in q])
        assert np.max(np.abs(between - [rods(v, salt) for v in q]) / (RT * q)) < 1e-5
    assert np.isnan(pressure(0.009, coefficients, facts)[0])


# ------------------------------------------------------------------------------------------------------------------ equilibrium


@pytest.mark.validates("swelling_gel", "swelling of a polyelectrolyte gel", against="an independent root of Flory and Rehner's balance", bar="2e-6")
def test_gel_against_an_independent_root():
    """Flory & Rehner with Donnan's ions, in the polymer's share p, by bracketing."""
    baths = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    chi, n, p0, c0, water = 0.45, 200.0, 0.1, 0.7, 55.34

    def balance(p, salt, finite=True):
        charge = c0 * p / p0 * (1.0 - p0) / (1.0 - p)
        stretch = (p0 / p) ** (2.0 / 3.0)
        x = stretch / n if finite else 0.0
        chain = (3.0 - x) / (3.0 * (1.0 - x))
        mix = np.log(1.0 - p) + p + chi * p**2
        return mix + (p0 ** (2 / 3) * p ** (1 / 3) * chain - 0.5 * p) / n - ideal(charge, salt) / (RT * water)

    model = gel.salt_curve(0.1, 1000.0, 5, micro="donnan", network="gel", micro_nodes=60)
    known = {"osmotic_coefficient": 1.0, "fixed_charge": c0, "water_fraction": 0.9, "interaction": chi, "chain_segments": n}
    y = model.predict(known)["swelling_degree"].values
    expected = [1.0 / brentq(balance, p0 / n**1.5 * 1.001, 0.9, args=(c,)) for c in baths]
    gauss = [1.0 / brentq(balance, 1e-7, 0.9, args=(c, False)) for c in baths]
    np.testing.assert_allclose(y, expected, rtol=2e-6)
    # Gaussian chains overswell where the salt is low, and only there
    assert gauss[0] / y[0] > 1.1
    assert gauss[4] / y[4] < 1.01


@pytest.mark.validates(
    "swelling_gel", "modulus and pressure of a held network", against="closed forms for an ideal Donnan pressure", bar="1e-7, pressure 1e-8"
)
def test_held_modulus_is_the_networks_and_the_charges():
    """H + R T c_F^2 / (w sqrt(c_F^2 + 4 c^2)): the reference's small-strain formula for an ideal Donnan pressure."""
    c, c0, w = 0.15, 0.25, 0.8
    model = gel.salt_curve(150.0, 1500.0, 2, micro="donnan", micro_nodes=60)
    y = model.predict({"osmotic_coefficient": 1.0, "fixed_charge": c0, "network_modulus": 0.4, "water_fraction": w})
    expected = 0.4 + RT * c0**2 / (w * np.sqrt(c0**2 + 4.0 * c**2))
    assert float(y["aggregate_modulus"][0]) == pytest.approx(expected, rel=1e-7)
    assert float(y["swelling_pressure"][0]) == pytest.approx(ideal(c0, c), rel=1e-8)


def test_without_charge_a_network_keeps_its_volume():
    model = gel.salt_curve(1.0, 2000.0, 2, micro="donnan", volume="free", micro_nodes=60)
    y = model.predict({"fixed_charge": 0.02, "network_modulus": 50.0})
    assert float(y["volume_ratio"][1]) == pytest.approx(1.0, abs=1e-5)  # 2 mol/L of salt: the charge is drowned
    assert float(y["volume_ratio"][0]) > 1.0


# --------------------------------------------------------------------------------------------------------------------- confined

MATERIAL = {
    "osmotic_coefficient": 0.6,
    "fixed_charge": 0.2,
    "network_modulus": 0.5,
    "permeability": 400.0,
    "water_fraction": 0.8,
    "network_poisson": 0.1,
    "permeability_exponent": 2.0,
}


def settled(tare, bath=150.0, **more):
    """J, modulus and permeability in equilibrium under a compression (MPa)."""
    model = gel.salt_curve(bath, 2.0 * bath, 2, tare, micro="donnan", volume="free")
    y = model.predict({k: v for k, v in {**MATERIAL, **more}.items() if not k.startswith("permeability")})
    p = np.array([0.2, 0.8, 0.5, 0.1, 0.0, 400.0, 2.0])
    volume = float(y["volume_ratio"][0])
    return volume, float(y["aggregate_modulus"][0]), volume / resistance.py_func(volume, p)[0]


@pytest.mark.validates("swelling_gel", "creep at small strain", against="Terzaghi's series", bar="3e-5")
def test_small_creep_is_terzaghis():
    """u = F h / H (1 - 2 sum exp(-(n + 1/2)^2 pi^2 t / tau) / ((n + 1/2) pi)^2), tau = h^2 / (H k), of the swollen state."""
    times = np.array([60.0, 200.0, 600.0, 1500.0])
    volume, modulus, k = settled(0.02)
    load = 1e-3  # kPa: strains of 1e-6 show nothing of the finite strain
    model = gel.EXPERIMENTS["confined"].model(table("displacement", times, "um"), micro="donnan", tare=20.0, load=load, steps=240, elements=24)
    y = model.evaluate(MATERIAL)
    m = (np.arange(400) + 0.5) * np.pi
    tau = 1.0 / (modulus * k)
    series = 1.0 - 2.0 * np.sum(np.exp(-np.outer(times / tau, m**2)) / m**2, axis=1)
    np.testing.assert_allclose(y, 1e3 * 1e-3 * load / modulus * series, rtol=3e-5)  # mesh and step, 240 steps
    assert volume > 1.0


def table(quantity, times, unit, value=1.0):
    from hmminfer.system.tables import RawTable

    rows = [{"quantity": quantity, "time": f"{t:.10g}", "value": f"{value}", "unit": unit, "sd": "1"} for t in times]
    header = ("quantity", "time [s]", "value", "unit", "sd")
    return RawTable("t", "", {"experiment": "confined"}, header, rows, list(range(len(rows))), {})


@pytest.mark.validates("swelling_gel", "relaxation at small strain", against="the series of a ramp", bar="2e-4")
def test_small_relaxation_is_the_series():
    """Ramp of strain e over t_0: sigma / (H e) = (tau / t_0) (g(t) - g(t - t_0)), g = t / tau + 2 / pi^2 sum (1 - exp(-n^2 pi^2 t / tau)) / n^2."""
    volume, modulus, k = settled(0.02)
    tau = 1.0 / (modulus * k)
    ramp, strain = 0.2 * tau, 1e-4  # %
    times = np.array([ramp, 0.4 * tau, tau])
    model = gel.EXPERIMENTS["confined"].model(
        table("compression", times, "kPa"), micro="donnan", test="relaxation", tare=20.0, ramp=ramp, strain=f"{strain} %", steps=480, elements=24
    )
    y = (model.evaluate(MATERIAL) - 20.0) / (1e3 * modulus * 0.01 * strain)
    np.testing.assert_allclose(y, [2.5258, 1.12130, 1.00032], rtol=2e-4)  # the reference's values
    assert volume > 1.0


@pytest.mark.validates("swelling_gel", "drained limit of creep at finite strain", against="the new equilibrium", bar="1e-7")
@pytest.mark.validates(
    "swelling_gel", "first instants of creep at finite strain", against="the layer that has drained, 2 sqrt(t / pi tau)", bar="15 %"
)
def test_creep_ends_in_the_new_equilibrium():
    """Drained limit, at finite strain; the undrained one is no displacement at the start."""
    before, modulus, k = settled(0.02)
    after, _, _ = settled(0.12)
    model = gel.EXPERIMENTS["confined"].model(table("displacement", [10.0, 5e4], "um"), micro="donnan", tare=20.0, load=100.0, steps=300, elements=24)
    early, late = model.evaluate(MATERIAL)
    assert late == pytest.approx(1e3 * (1.0 - after / before), rel=1e-7)
    tau = 1.0 / (modulus * k)  # thickness 1 mm; at first a layer of 2 sqrt(t / pi tau) has drained (15 %: finite strain)
    assert early / late == pytest.approx(2.0 * np.sqrt(10.0 / (np.pi * tau)), rel=0.15)


@pytest.mark.validates(
    "swelling_gel", "confined compression in the time step", against="extrapolated 960 and 1920 steps", bar="order 2 (within 0.3), 2e-5"
)
def test_confined_compression_is_of_second_order_in_time():
    times = [400.0, 1000.0]

    def solve(steps):
        return (
            gel.EXPERIMENTS["confined"]
            .model(table("displacement", times, "um"), micro="donnan", tare=20.0, load=50.0, ramp=200.0, steps=steps, elements=6)
            .evaluate(MATERIAL)
        )

    exact = (4.0 * solve(1920) - solve(960)) / 3.0
    errors = [np.max(np.abs(solve(n) / exact - 1.0)) for n in (60, 120, 240)]
    assert_order(errors, 2.0, bound=2e-5)


# ------------------------------------------------------------------------------------------------------------------- posteriors


def charge_of(dataset, **settings):
    tree = fit(
        gel.EXPERIMENTS["equilibrium"].model(dataset, chain_pressure="HalfNormal(0.6)", **settings),
        draws=300,
        tune=300,
        chains=2,
        seed=1,
        progress=False,
    )
    return tree["posterior"]["fixed_charge"].values.ravel(), tree


@pytest.mark.validates(
    "swelling_gel",
    "fixed charge of chondroitin sulphate by charged rods",
    against="the known charge; an ideal Donnan pressure must be off by more than 4",
    bar="2.5 posterior standard deviations",
)
def test_ideal_donnan_is_confidently_wrong_and_the_cell_is_not():
    """Chondroitin sulphate of known charge, 0.4 mol/L: its pressures in two salts, the chains' own pressure unknown in all fits."""
    x, _ = charge_of("chondroitin_sulphate", micro="donnan", osmotic_coefficient=1.0)
    assert (0.4 - x.mean()) / x.std() > 4.0
    assert x.std() < 0.1 * x.mean()
    x, _ = charge_of("chondroitin_sulphate", micro="donnan")
    assert abs(0.4 - x.mean()) / x.std() < 2.0
    x, _ = charge_of("chondroitin_sulphate", micro="rods")
    assert abs(0.4 - x.mean()) / x.std() < 2.5


def test_cartilage_charge_of_an_ideal_pressure():
    """The reference's naive estimate from the two end baths: 273 mmol/L; with an osmotic coefficient charge and coefficient are a ridge."""
    experiment = gel.EXPERIMENTS["equilibrium"]
    naive = preview(experiment.model("cartilage_salt", micro="donnan", osmotic_coefficient=1.0), draws=2000, seed=1, progress=False)
    x = naive["posterior"]["fixed_charge"].values
    assert x.mean() == pytest.approx(0.273, abs=0.5 * x.std())
    ridge = fit(experiment.model("cartilage_salt", micro="donnan"), draws=500, tune=500, chains=2, seed=1, progress=False)["posterior"]
    logs = [np.log(ridge[k].values.ravel()) for k in ("fixed_charge", "osmotic_coefficient")]
    assert np.corrcoef(*logs)[0, 1] < -0.6  # far below both ranges the product alone is seen; the coefficient's prior ends the ridge
    assert np.std(logs[0] + logs[1]) < 0.75 * np.std(logs[0])  # independent ones would make it more than 1


def test_a_ladder_of_salts_separates_charge_from_network_and_one_salt_does_not():
    experiment = gel.EXPERIMENTS["equilibrium"]
    ladder = experiment.model("salt_ladder")
    report = identifiability(ladder, n_draws=20, seed=0)
    assert not report.flat
    one = ladder.table.take(np.array([4]))
    alone = identifiability(experiment.model(one), n_draws=20, seed=0)
    assert "fixed_charge" in alone.text()
    assert "network_modulus" in alone.text()
    assert alone.flat
    posterior = preview(ladder, draws=2000, seed=1, progress=False)["posterior"]
    for name, truth in (("fixed_charge", 0.25), ("network_modulus", 0.45)):
        x = posterior[name].values
        assert abs(x.mean() - truth) < 2.5 * x.std()


def test_known_rods_are_the_unknown_ones_at_their_values():
    """Effective data computed beforehand, or inside every likelihood: one model."""
    experiment = gel.EXPERIMENTS["equilibrium"]
    beforehand, inside = experiment.model("salt_ladder"), experiment.model("salt_ladder", rods="unknown")
    assert [n for n in inside.parameters.names if n not in beforehand.parameters.names] == ["charge_spacing", "rod_radius"]
    values = {"fixed_charge": 0.3, "network_modulus": 0.4}
    y = inside.evaluate({**values, "charge_spacing": 0.64, "rod_radius": 0.55})
    np.testing.assert_allclose(beforehand.evaluate(values), y, rtol=1e-12)
    assert np.abs(inside.evaluate({**values, "charge_spacing": 0.7, "rod_radius": 0.55}) / y - 1.0).max() > 1e-2


def test_creep_gives_the_permeability():
    model = gel.EXPERIMENTS["confined"].model("confined_creep")
    posterior = preview(model, draws=500, seed=1, progress=False)["posterior"]
    for name, truth in (("permeability", 400.0), ("network_modulus", 0.45)):
        x = posterior[name].values
        assert abs(x.mean() - truth) < 2.5 * x.std()
        assert x.std() < 0.15 * truth


def test_gel_series_gives_charge_and_chains():
    model = gel.EXPERIMENTS["equilibrium"].model("gel_swelling")
    posterior = preview(model, draws=1000, seed=1, progress=False)["posterior"]
    for name, truth in (("fixed_charge", 0.6), ("chain_segments", 150.0)):
        x = posterior[name].values
        assert abs(x.mean() - truth) < 2.5 * x.std()


BAD = {
    "no salt": ({"bath": 0.0}, "bath"),
    "a bath saltier than the model's range": ({"bath": 6000.0}, "bath"),
    "a modulus below zero": ({"value": -0.5}, "cannot be zero or negative"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_out_of_range(case):
    given, message = BAD[case]
    with pytest.raises(HmmInferError, match=message):
        gel.EXPERIMENTS["equilibrium"].model(equilibrium_table(**given))


def equilibrium_table(**row):
    from hmminfer.system.tables import RawTable

    row = {"quantity": "aggregate_modulus", "bath": 150.0, "value": 0.5, "unit": "MPa", "sd": 0.1, **row}
    names = [k for k in row if k not in ("quantity", "value", "unit", "sd")]
    header = (
        "quantity",
        *[{"bath": "bath [mmol/L]", "load": "load [MPa]", "fixed_charge": "fixed_charge [mol/L]"}[k] for k in names],
        "value",
        "unit",
        "sd",
    )
    return RawTable("t", "", {"experiment": "equilibrium"}, header, [{k: str(v) for k, v in row.items()}], [2], {})


def test_what_contradicts_itself_is_refused():
    experiment = gel.EXPERIMENTS["equilibrium"]
    with pytest.raises(HmmInferError, match="volume = free"):
        experiment.model(equilibrium_table(load=0.1))
    with pytest.raises(HmmInferError, match="network = gel"):
        experiment.model(equilibrium_table(quantity="swelling_degree", unit=""))
    with pytest.raises(HmmInferError, match="network = tissue"):
        experiment.model(equilibrium_table(), network="gel")
    with pytest.raises(HmmInferError, match="mol/L"):
        experiment.model(equilibrium_table(quantity="osmotic_pressure", unit="MPa", fixed_charge=0.001))
    confined = gel.EXPERIMENTS["confined"]
    with pytest.raises(HmmInferError, match="raise 'steps'"):
        confined.model(table("displacement", [1.0, 10000.0], "um"), steps=6)
    with pytest.raises(HmmInferError, match="ramp"):
        confined.model(table("compression", [1000.0], "kPa"), test="relaxation")
    with pytest.raises(HmmInferError, match="time 0"):
        confined.model(table("displacement", [0.0], "um"))
