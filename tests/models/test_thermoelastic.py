"""Thermo-elastic composite: exact identities of the cell, coupled strips against closed forms, balance of heat, real laminae."""

from functools import cache

import numpy as np
import pytest
import skfem
from conftest import small_box
from scipy.optimize import least_squares

from hmminfer import models
from hmminfer.diagnostics.checking import checks
from hmminfer.engine.coupling import couple
from hmminfer.errors import HmmInferError
from hmminfer.inference.sampling import preview
from hmminfer.macro.domain import Domain
from hmminfer.macro.parabolic import parabolic_kernel
from hmminfer.macro.thermoelastic import MILLI, thermoelastic_kernel, unit_matrices
from hmminfer.micro.cell_mesh import cell_mesh
from hmminfer.micro.elastic_cell import elastic_cell, energies
from hmminfer.micro.phases import isotropic, transversely_isotropic
from hmminfer.micro.thermoelastic_cell import ENERGY, REFERENCE, _phases, thermoelastic_cell
from hmminfer.micro.two_phase import thermal_identities
from hmminfer.system.data import write_template
from hmminfer.system.model import Model
from hmminfer.testing import assert_order

thermo = models.get("thermoelastic_composite")

# E1f, E2f, G12f, nu12f, nu23f, Em, num, v, alphas, capacities; isotropic fibres from (E, nu)
GRAPHITE = np.array([235.0, 14.0, 28.0, 0.2, 0.25, 4.8, 0.34, 0.6, -0.9, 9.0, 54.0, 1.3, 1.4])
SILENKA = np.array([74.0, 74.0, 74.0 / 2.4, 0.2, 0.2, 3.35, 0.35, 0.6, 4.9, 4.9, 58.0, 2.1, 1.4])
LY556 = np.array([80.0, 80.0, 80.0 / 2.4, 0.2, 0.2, 3.35, 0.35, 0.62, 4.9, 4.9, 58.0, 2.1, 1.4])
BORON = np.array([379.3, 379.3, 379.3 / 2.2, 0.1, 0.1, 68.3, 0.3, 0.47, 8.1, 8.1, 23.0, 2.5, 2.4])


def expansions(y):
    return np.linalg.solve(y[:36].reshape(6, 6), y[36:42])


# --- the cell


@pytest.mark.validates(
    "thermoelastic_composite",
    "expansions and heat capacity of two phases on any mesh",
    against="Levin 1967, Rosen & Hashin 1970",
    bar="1e-12, capacity 1e-13",
)
@pytest.mark.parametrize("packing", ["square", "hexagonal"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("p", [GRAPHITE, SILENKA, BORON], ids=["graphite", "glass", "boron"])
def test_levin_and_rosen_hashin_hold_on_any_mesh(packing, n, p):
    kernel = thermoelastic_cell(packing, n)
    y = kernel(p)
    v = p[7]
    s = np.linalg.inv(y[:36].reshape(6, 6))
    s_f, s_m = np.linalg.inv(transversely_isotropic(*p[:5])), np.linalg.inv(isotropic(*p[5:7]))
    a_f, a_m = np.array([p[8], p[9], p[9], 0, 0, 0]), np.array([p[10]] * 3 + [0] * 3)
    mean = v * s_f + (1 - v) * s_m
    concentration = (s - mean) @ np.linalg.inv(s_f - s_m)
    levin = v * a_f + (1 - v) * a_m + concentration @ (a_f - a_m)
    assert expansions(y) == pytest.approx(levin, rel=1e-12, abs=1e-12 * np.abs(levin).max())
    d = np.linalg.inv(s_f - s_m) @ (a_f - a_m)
    c_p = v * p[11] + (1 - v) * p[12] + REFERENCE * ENERGY * d @ (s - mean) @ d
    beta = y[36:42]
    assert y[42] + REFERENCE * ENERGY * beta @ s @ beta == pytest.approx(c_p, rel=1e-13)
    assert c_p < v * p[11] + (1 - v) * p[12]  # the correction is negative
    # the identities as a law of their own
    other = thermal_identities()(np.concatenate([y[:36], p]))
    assert other == pytest.approx(y, rel=1e-11, abs=1e-11 * np.abs(y[:36]).max())
    assert y[:36] == pytest.approx(elastic_cell(packing, n)(p[:8]), rel=1e-12, abs=1e-12 * np.abs(y[:36]).max())


def test_identities_where_the_phases_are_equally_stiff_across():
    """Levin's strain has a pole there; in this form nothing is divided by the jump that vanishes."""
    p = GRAPHITE.copy()
    f22 = p[5] / ((1 + p[6]) * (1 - 2 * p[6]))  # C22 + C23 of the matrix
    p[1] = f22 * (1 - p[4]) / (1 + 2 * p[3] ** 2 * f22 / p[0])  # and of the fibre
    for shift in (0.0, 1e-9, 1e-4):
        q = p.copy()
        q[1] *= 1.0 + shift
        y = thermoelastic_cell("hexagonal", 2)(q)
        assert thermal_identities()(np.concatenate([y[:36], q])) == pytest.approx(y, rel=1e-10, abs=1e-10)


@pytest.mark.validates(
    "thermoelastic_composite", "thermal data of a reduced elastic cell by exact identities", against="the full thermo-elastic cell", bar="1e-5"
)
def test_a_reduced_elastic_cell_gives_the_thermal_data(small_reduced):
    law = couple(small_reduced.kernel, thermal_identities(), range(8), range(13), [], thermoelastic_cell().example)
    rng = np.random.default_rng(0)
    low, high = small_box()
    for _ in range(5):
        p = np.concatenate([rng.uniform(low, high), GRAPHITE[8:]])
        assert law(p)[36:] == pytest.approx(thermoelastic_cell("hexagonal", 1)(p)[36:], rel=1e-5, abs=1e-8)


REFERENCES = {  # expansions of an independent finite element cell, Richardson-extrapolated, 1e-6/K
    "graphite, square": ("square", GRAPHITE, -0.070, 32.548),
    "graphite, hexagonal": ("hexagonal", GRAPHITE, -0.077, 32.689),
    "boron/aluminium, square": ("square", BORON, 10.994, 16.695),
    "boron/aluminium, hexagonal": ("hexagonal", BORON, 10.982, 16.731),
    "E-glass/LY556, hexagonal": ("hexagonal", LY556, 6.439, 27.756),
    "E-glass/MY750, square": ("square", SILENKA, 6.745, 28.197),
    "E-glass/MY750, hexagonal": ("hexagonal", SILENKA, 6.693, 29.076),
}


@pytest.mark.validates(
    "thermoelastic_composite", "expansions along and across the fibre", against="an independent table", bar="1.5e-3 um/m/K along, 3e-4 across"
)
@pytest.mark.parametrize("name", REFERENCES)
def test_expansions_of_the_reference_table(name):
    packing, p, along, across = REFERENCES[name]
    a = expansions(thermoelastic_cell(packing, 4)(p))
    assert a[0] == pytest.approx(along, abs=1.5e-3)
    assert a[1] == pytest.approx(across, rel=3e-4)


@pytest.mark.validates(
    "thermoelastic_composite", "heat capacities at constant strain and at constant stress", against="an independent calculation", bar="3e-4"
)
def test_heat_capacity_of_the_reference():
    """c_eps,eff - <c_eps> of B/Al and graphite/epoxy at 293 K, hexagonal, and c_p - <c_p>, c_p - c_eps; J/m^3/K."""
    for p, strain, stress, both in ((BORON, 3.2, -4132.66, 50796.0), (GRAPHITE, 3271.0, -3290.08, 9365.0)):
        y = thermoelastic_cell("hexagonal", 4, 293.0)(p)
        v = p[7]
        a_f, a_m = np.array([p[8], p[9], p[9], 0, 0, 0]), np.array([p[10]] * 3 + [0] * 3)
        c_f, c_m = transversely_isotropic(*p[:5]), isotropic(*p[5:7])
        means = v * p[11] + (1 - v) * p[12]
        at_strain = means - 293.0 * ENERGY * (v * a_f @ c_f @ a_f + (1 - v) * a_m @ c_m @ a_m)
        beta = y[36:42]
        c_p = y[42] + 293.0 * ENERGY * beta @ expansions(y)
        assert 1e6 * (y[42] - at_strain) == pytest.approx(strain, rel=3e-4, abs=0.05)  # the reference's digits
        assert 1e6 * (c_p - means) == pytest.approx(stress, rel=3e-4)
        assert 1e6 * (c_p - y[42]) == pytest.approx(both, rel=3e-4)


@pytest.mark.validates(
    "thermoelastic_composite", "energy and entropy of cell and composite", against="Hill-Mandel with its thermal extension", bar="1e-12"
)
def test_hill_mandel_with_its_thermal_extension():
    """<sigma : eps> = <sigma> : <eps> and <entropy> = beta_eff : E + c_eps,eff theta / T0 for any E and theta, from the fields themselves."""
    kernel = thermoelastic_cell("hexagonal", 2)
    p = GRAPHITE
    y, w = kernel.code.forward(p, *kernel.data)
    c_f, c_m, unit = _phases(p)
    mesh = cell_mesh("hexagonal", 2)
    r = mesh.radius(p[7])
    e, theta = 100.0 * np.random.default_rng(0).standard_normal(6), 20.0  # microstrain, K
    total = np.broadcast_to(e, (2, 1, 6))  # one field: eps = E + B w; the other: what the phases would like, -alpha theta
    fields = np.ascontiguousarray(np.concatenate([total, theta * unit[:, 6:]], axis=1))
    moving = np.stack([e @ w[:6] + theta * w[6], np.zeros(w.shape[1])])
    m = energies(c_f, c_m, fields, moving, r, mesh.arrays)
    stress = y[:36].reshape(6, 6) @ e - y[36:42] * theta
    assert m[0, 0] + m[0, 1] == pytest.approx(stress @ e, rel=1e-12)
    at_rest = energies(c_f, c_m, unit[:, 6:].copy(), 0.0 * w[:1], r, mesh.arrays)[0, 0]  # <alpha : C : alpha>
    capacity = p[7] * p[11] + (1 - p[7]) * p[12] - REFERENCE * ENERGY * at_rest
    entropy = -ENERGY * m[0, 1] / theta + capacity * theta / REFERENCE
    assert entropy == pytest.approx(ENERGY * y[36:42] @ e + y[42] * theta / REFERENCE, rel=1e-12)


def test_equal_phases_are_their_own_composite():
    p = np.array([70.0, 70.0, 70.0 / 2.66, 0.33, 0.33, 70.0, 0.33, 0.4, 23.0, 23.0, 23.0, 2.42, 2.42])
    y = thermoelastic_cell("square", 2)(p)
    assert expansions(y)[:3] == pytest.approx([23.0] * 3, rel=1e-12)
    assert y[:36] == pytest.approx(isotropic(70.0, 0.33).ravel(), rel=1e-11, abs=1e-9)
    c_p = y[42] + REFERENCE * ENERGY * y[36:42] @ expansions(y)
    assert c_p == pytest.approx(2.42, rel=1e-13)
    assert np.all(np.isnan(thermal_identities()(np.concatenate([y[:36], p]))))  # not defined there, and says so


@pytest.mark.parametrize(("entry", "value"), [(0, -1.0), (6, 0.5), (7, 0.95), (11, -1.0), (12, 0.0), (9, np.nan)])
def test_phases_that_do_not_exist_are_nan(entry, value):
    kernel = thermoelastic_cell("hexagonal", 1)
    p = kernel.example.copy()
    p[entry] = value
    assert np.all(np.isnan(kernel(p)))
    assert np.any(np.isnan(kernel.value_and_pullback(p, np.ones(43))[1]))


# --- strips


@cache
def plane(e=70.0, nu=0.33, alpha=23.0, c=2.42, k=200.0, t0=293.0):
    """Plane-stress data of an isotropic solid; c at constant stress."""
    q = e / (1 - nu**2)
    beta = e * alpha / (1 - nu)
    at_strain = c - t0 * ENERGY * 3.0 * alpha**2 * e / (1 - 2 * nu)
    beta3, rigid = e * alpha / (1 - 2 * nu), e * (1 - nu) / ((1 + nu) * (1 - 2 * nu))
    return np.array([q, q, q * nu, e / (2 + 2 * nu), 0, 0, beta, beta, 0, at_strain + t0 * ENERGY * beta3**2 / rigid, k, k, 0])


def strip(nx, ny, length, height, fixed_of, load, amplitude, duration, steps, rows, zone=None, t0=293.0, held=None):
    """Kernel of a rectangle; ``rows``: (component, x, y, time)."""
    domain = Domain(skfem.MeshQuad.init_tensor(np.linspace(0, length, nx + 1), np.linspace(0, height, ny + 1)))
    n = len(domain.nodes)
    fixed = fixed_of(domain)
    value = domain.interpolation(np.array([r[1:3] for r in rows]))[0].toarray()
    observe = np.zeros((len(rows), n, 3))
    for i, r in enumerate(rows):
        observe[i, :, r[0]] = value[i]
    held = held or (lambda t: np.zeros((len(t), n, 3)))
    zone = np.zeros(nx * ny, int) if zone is None else zone(domain)
    return thermoelastic_kernel(
        domain, fixed, held, load(domain), amplitude, duration, steps, observe.reshape(len(rows), -1), np.array([r[3] for r in rows]), zone, t0
    ), domain


def rollers(domain):
    fixed = np.zeros((len(domain.nodes), 3), bool)
    fixed[domain.on_side("left"), 0] = True
    fixed[np.intersect1d(domain.on_side("left"), domain.on_side("bottom")), 1] = True
    return fixed


def pull(domain):
    out = np.zeros((1, len(domain.nodes), 3))
    out[0, :, 0] = domain.edge_load("right")
    return out


@pytest.mark.validates("thermoelastic_composite", "cooling of stretched aluminium", against="the isentropic law, -0.277 K at 100 MPa", bar="1e-10")
def test_stretching_aluminium_cools_it():
    """dT = -T0 alpha dsigma / c_p: -0.277 K at 100 MPa; the stretch is the isentropic one."""
    alpha, c = 22.9, 2.42
    kernel, _ = strip(3, 2, 10.0, 2.0, rollers, pull, lambda t: np.full((len(t), 1), 0.1), 1.0, 4, [(2, 5.0, 1.0, 1.0), (0, 10.0, 0.3, 1.0)])
    theta, u = kernel(plane(alpha=alpha, c=c))
    assert theta == pytest.approx(-0.277, abs=5e-4)
    exact = -293.0 * alpha * 1e-6 * 0.1 / (c * 1e-3)  # the stress is uniform: no more than linear in it
    assert theta == pytest.approx(exact, rel=1e-10)
    assert u == pytest.approx(10.0 * (0.1 / 70.0 + 1e-6 * alpha * exact), rel=1e-10)


@pytest.mark.validates("thermoelastic_composite", "curvature of a bimetal strip", against="Timoshenko 1925", bar="1e-6")
def test_a_bimetal_strip_bends_as_timoshenko_says():
    """Long strip of two isotropic layers, warmed: curvature 6 (a1 - a2) dT (1 + m)^2 / (h (3 (1 + m)^2 + (1 + m n)(m^2 + 1 / (m n))))."""

    def nothing(domain):
        return np.zeros((1, len(domain.nodes), 3))

    def fixed(domain):
        f = rollers(domain)
        f[:, 2] = True
        return f

    length, thick = 60.0, (1.0, 2.0)
    nodes = []

    def held(t):
        out = np.zeros((len(t), nodes[0], 3))
        out[:, :, 2] = 40.0
        return out

    rows = [(1, 0.0, 1.0, 2.0), (1, 20.0, 1.0, 2.0)]
    nodes.append((2 * 24 + 1) * (2 * 3 + 1))
    kernel, domain = strip(
        24,
        3,
        length,
        sum(thick),
        fixed,
        nothing,
        lambda t: np.zeros((len(t), 1)),
        2.0,
        2,
        rows,
        lambda d: (d.quadrature_points[..., 1].mean(axis=1) > thick[0]).astype(int),
        held=held,
    )
    assert len(domain.nodes) == nodes[0]
    e, alpha = (70.0, 200.0), (23.0, 12.0)
    y = kernel(np.concatenate([plane(e[0], 0.3, alpha[0]), plane(e[1], 0.3, alpha[1])]))
    m, n = thick[0] / thick[1], e[0] / e[1]
    curvature = 6.0 * (alpha[0] - alpha[1]) * 1e-6 * 40.0 * (1 + m) ** 2 / (3.0 * (3 * (1 + m) ** 2 + (1 + m * n) * (m**2 + 1 / (m * n))))
    # u_y = kappa x^2 / 2 with the middle of the strip at x = 0; layers expand along y alike at both places
    assert 2.0 * (y[1] - y[0]) / 20.0**2 == pytest.approx(curvature, rel=1e-6)  # exact but for the ends


@pytest.mark.validates("thermoelastic_composite", "balance of heat at each step", against="what has entered", bar="1e-11")
def test_heat_is_balanced_at_every_step():
    """Sum of c theta + T0 beta : eps over the body: unchanged when insulated and stretched, otherwise what has entered; to rounding."""
    layers = np.concatenate([plane(), plane(150.0, 0.2, 5.0, 1.6, 5.0)])

    def both(domain):
        out = np.concatenate([pull(domain), np.zeros((1, len(domain.nodes), 3))])
        out[1, :, 2] = domain.edge_load("bottom")
        return out

    kernel, domain = strip(
        6,
        2,
        12.0,
        2.0,
        rollers,
        both,
        lambda t: np.stack([0.2 * np.minimum(t, 0.3), 0.4 * np.ones_like(t)], axis=1),
        1.0,
        10,
        [(2, 3.0, 1.0, 1.0)],
        lambda d: (d.quadrature_points[..., 1].mean(axis=1) > 1.0).astype(int),
    )
    _, z, *_ = kernel.code.forward(layers, *kernel.data)
    dofs, zone = kernel.data[:2]
    unit = unit_matrices(domain, 293.0)
    heat = np.array([0.0] * 11)
    for e in range(len(dofs)):
        g = np.einsum("k,kij->ij", layers[13 * zone[e] + 6 : 13 * zone[e] + 10], unit[e, 6:10])[2::3]
        heat += np.array([np.sum(g @ z[0, t, dofs[e]]) for t in range(11)])
    entered = 0.4 * 12.0 * np.linspace(0.0, 1.0, 11)
    assert heat == pytest.approx(entered, abs=1e-11 * entered[-1])


@pytest.mark.validates("thermoelastic_composite", "temperatures without coupling", against="the solver of pure conduction", bar="1e-9")
def test_without_coupling_it_is_conduction():
    """T0 -> 0: the temperature is that of the parabolic solver."""
    rows = [(2, 5.0, 1.0, 0.5), (2, 2.0, 0.5, 1.0)]

    def fixed(domain):
        f = rollers(domain)
        f[domain.on_side("bottom"), 2] = True
        return f

    side = Domain(skfem.MeshQuad.init_tensor(np.linspace(0, 10.0, 6), np.linspace(0, 2.0, 3)))
    below = np.isin(np.arange(len(side.nodes)), side.on_side("bottom"))
    held = np.zeros((len(side.nodes), 3))
    held[below, 2] = 10.0
    kernel, domain = strip(
        5,
        2,
        10.0,
        2.0,
        fixed,
        pull,
        lambda t: np.full((len(t), 1), 0.1),
        1.0,
        20,
        rows,
        t0=0.0,
        held=lambda t: np.broadcast_to(held, (len(t), *held.shape)),
    )
    x = plane(t0=0.0)
    observe = domain.interpolation(np.array([r[1:3] for r in rows]))[0]
    other = parabolic_kernel(domain, below, 10.0 * below, np.zeros(len(below)), 10.0 * below, 1.0, 20, observe, np.array([0.5, 1.0]))
    expected = other(np.array([x[10] * MILLI, x[11] * MILLI, 0.0, x[9] * MILLI]))
    assert kernel(x) == pytest.approx(expected, rel=1e-9)


@pytest.mark.validates("thermoelastic_composite", "coupled transients in the time step", against="a run of 640 steps", bar="order 2 (within 0.35)")
def test_second_order_in_time():
    layers = np.concatenate([plane(), plane(150.0, 0.2, 5.0, 1.6, 5.0)])
    rows = [(2, 4.0, 0.5, 1.0), (1, 12.0, 0.0, 1.0)]

    def run(steps):
        kernel, _ = strip(
            4,
            2,
            12.0,
            2.0,
            rollers,
            pull,
            lambda t: 0.2 * np.sin(2.0 * t)[:, None] ** 2,
            1.0,
            steps,
            rows,
            lambda d: (d.quadrature_points[..., 1].mean(axis=1) > 1.0).astype(int),
        )
        return kernel(layers)

    exact = run(640)
    errors = np.abs(np.array([run(n) for n in (10, 20, 40)]) - exact)
    for i in range(2):
        assert_order(list(errors[:, i]), 2.0, 0.35)


def test_the_layer_across_cools_a_hundredfold():
    """Thermoelastic stress analysis: along carbon fibres expansion vanishes, across them it does not."""
    values = {**thermo.KNOWN, **thermo.T300_934}
    change = {}
    for layup in ("0", "90"):
        model = thermo.strip_history(3, 2e-3, layup=layup, load="stretch", stress="50 MPa", ramp="1e-4 s", cell="full", refine=1, elements_x=2)
        change[layup] = model.predict(values, progress=False)["temperature_above"].values[-1]
    assert abs(change["90"] / change["0"]) > 50.0
    assert change["90"] < -0.1


def test_a_load_at_once_is_a_short_ramp():
    """A ramp of 0 is the limit of short ones: the difference falls with the ramp."""
    values = {**thermo.KNOWN, **thermo.T300_934}

    def history(ramp):
        model = thermo.strip_history(3, 8.0, ramp=ramp, steps=320, cell="full", refine=1, elements_x=2)
        return model.predict(values, progress=False)["deflection"].values

    at_once, *short = (history(ramp) for ramp in (0.0, 0.2, 0.1, 0.05))
    away = [np.max(np.abs(y - at_once)) for y in short]
    assert_order(away, 1.0, 0.2)
    assert away[-1] < 0.01 * np.abs(at_once).max()


def test_the_strips_template_is_what_its_model_gives(tmp_path):
    """A fit of the untouched template: every example row within three of its sds of T300/934, the sign of the bend included."""
    experiment = thermo.EXPERIMENTS["strip"]
    write_template(tmp_path / "my.csv", experiment.schema)
    model = experiment.model(tmp_path / "my.csv", cell="full", refine=1)
    y = model.evaluate({**thermo.KNOWN, **thermo.T300_934})
    assert np.all(np.abs(model.table.value - y) < 3.0 * model.table.sd)


@pytest.mark.validates(
    "thermoelastic_composite",
    "unknowns of the stretched and the heated strip",
    against="the truth of the finer model that made their data",
    bar="3 posterior standard deviations",
)
@pytest.mark.parametrize("name", ["stretched_strip", "heated_strip"])
def test_strips_recover_their_truth(name):
    """Maximum of the posterior and its curvature, on data of the finer model: every unknown within three sds of its truth, and told
    much better than by its prior. By least squares, which takes a tenth of what a preview does.
    """
    model = thermo.EXPERIMENTS["strip"].model(name, cell="full", refine=2)
    truth = {"volume_fraction": 0.54, "matrix_expansion": 48.0, "matrix_conductivity": 0.25}
    free = [p for p in model.parameters if p.name not in model.fixed]
    assert {p.name for p in free} < set(truth)
    centre, sd = np.array([[p.prior.centre, p.prior.sd] for p in free]).T  # the priors are wide: normal ones of the same size will do

    def residuals(z):
        y = model.evaluate(dict(zip((p.name for p in free), centre + sd * z, strict=True)))
        return np.concatenate([(y - model.table.value) / model.table.sd, z])

    found = least_squares(residuals, np.zeros(len(free)), x_scale=0.1, diff_step=1e-4)
    spread = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    exact = (np.array([truth[p.name] for p in free]) - centre) / sd
    assert np.all(np.abs(found.x - exact) < 3.0 * spread)
    assert np.all(spread < 0.1)
    n = len(model.table)
    assert 2.0 * found.cost == pytest.approx(n, abs=4.0 * np.sqrt(2.0 * n))  # and the data are explained


# --- laminae and fits


@pytest.mark.validates(
    "thermoelastic_composite",
    "expansion of resin and fibre from two real laminae",
    against="an independent estimate, 43.9 and -0.59 um/m/K",
    bar="3 um/m/K, fibre 0.08 um/m/K",
)
def test_laplace_of_two_real_laminae_together():
    """T300 in 5208 and in 934 share fibre and resin: the reference's estimate has resin 43.9 +- 2.0, fibre -0.59 +- 0.04 (um/m/K)."""
    experiment = thermo.EXPERIMENTS["laminae"]
    priors = {
        "matrix_expansion": "Normal(43.9 um/m/K, 6)",  # those of the reference's estimate
        "fibre_axial_expansion": "Normal(-0.54 um/m/K, 0.2)",
        "fibre_transverse_expansion": "Normal(10.1 um/m/K, 2.5)",
    }
    small = {"cell": "full", "refine": 1, **priors}
    parts = [experiment.model("carbon_expansion", specimen=s, **small) for s in ("T300/5208", "T300/934")]
    shared = ["fibre_axial_expansion", "fibre_transverse_expansion", "matrix_expansion"]
    model = Model.joint(parts, shared, ["5208", "934"])
    posterior = preview(model, draws=2000, seed=1, progress=False)["posterior"]
    resin, fibre = (posterior[k].values for k in ("matrix_expansion", "fibre_axial_expansion"))
    assert resin.mean() == pytest.approx(43.9, abs=3.0)
    assert resin.std() == pytest.approx(2.5, rel=0.4)
    assert fibre.mean() == pytest.approx(-0.59, abs=0.08)
    assert fibre.std() < 0.08


@pytest.mark.parametrize(("specimen", "fits"), [("E-glass/epoxy", True), ("E-glass/MY750", False)])
def test_a_glass_lamina_off_the_model_is_flagged(specimen, fits):
    """E-glass/MY750: 8.6e-6/K along the fibre against 6.7e-6/K of every exact model, 28 % off."""
    model = thermo.EXPERIMENTS["laminae"].model("glass_expansion", specimen=specimen, cell="full", refine=1)
    if not fits:
        row = list(model.table.quantity).index("axial_expansion")
        values = {"volume_fraction": 0.6, "matrix_expansion": 58.0, "fibre_axial_expansion": 4.9, "fibre_transverse_expansion": 4.9}
        y = model.evaluate(values)
        assert model.table.value[row] / y[row] - 1.0 == pytest.approx(0.28, abs=0.02)
    tree = preview(model, draws=1000, seed=1, progress=False)
    flagged = [c for c in checks(tree) if not c.ok and c.name.startswith(("predictive", "chi2", "pushed", "data within"))]
    assert bool(flagged) is not fits


def test_expansions_alone_leave_a_ridge():
    model = thermo.EXPERIMENTS["laminae"].model("carbon_expansion", cell="full", refine=1, volume_fraction="Normal(0.57, 0.1, 0.3, 0.8)")
    posterior = preview(model, draws=2000, seed=2, progress=False)["posterior"]
    v, a = (posterior[k].values.ravel() for k in ("volume_fraction", "matrix_expansion"))
    # two expansions for four unknowns: the content is told to half its prior sd, the resin hardly better than by its prior,
    # and what is left of both lies along one line, blurred by the fibre's own transverse expansion; 2,000 draws tell r to 0.01
    assert np.corrcoef(v, a)[0, 1] == pytest.approx(0.80, abs=0.04)
    assert a.std() > 0.75 * model.parameters["matrix_expansion"].prior.sd


def test_what_it_refuses():
    experiment = thermo.EXPERIMENTS["laminae"]
    with pytest.raises(HmmInferError, match="specimen"):
        experiment.model("carbon_expansion", specimen="T300/9340")
    with pytest.raises(HmmInferError, match="hold 4 laminae; choose one"):
        experiment.model("carbon_expansion", specimen="")
    with pytest.raises(HmmInferError, match="layup is '0/45'; write layers of 0 and 90"):
        thermo.strip_history(5, layup="0/45")
    with pytest.raises(HmmInferError, match="cannot resolve data at time"):
        thermo.strip_history(31, steps=10)
    with pytest.raises(HmmInferError, match="outside the domain"):
        thermo.EXPERIMENTS["strip"].model("heated_strip", length="20 mm")
