"""Every kernel of the package, small: leaves, compositions, each model of the catalogue. Shared by the tests that hold for all."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import skfem
from conftest import small_box
from scipy.sparse import csr_array, eye_array

from hmminfer import models
from hmminfer.engine.coupling import Joint, affine, beside, couple, each
from hmminfer.macro.column import column_kernel
from hmminfer.macro.coupons import KINDS, long_coupons
from hmminfer.macro.domain import Domain
from hmminfer.macro.elliptic import elliptic_kernel
from hmminfer.macro.orientation import field_basis, zone_basis
from hmminfer.macro.parabolic import parabolic_kernel
from hmminfer.macro.patches import profile_history
from hmminfer.macro.plane_stress import plane_stress_kernel
from hmminfer.macro.plate_mesh import rectangle
from hmminfer.macro.thermoelastic import thermoelastic_kernel
from hmminfer.micro.conductive_cell import conductive_cell
from hmminfer.micro.conductive_table import conductive_table
from hmminfer.micro.elastic_cell import EXAMPLE, elastic_cell
from hmminfer.micro.laminate import conductive_laminate, laminate
from hmminfer.micro.langevin_burst import burst
from hmminfer.micro.particles import particle_conductivity
from hmminfer.micro.pattern_cell import pattern_cell
from hmminfer.micro.poisson_boltzmann import rod_in_cell
from hmminfer.micro.reaction_burst import BINDING, burst_kernel, storage_kernel
from hmminfer.micro.reduced_cell import reduced_cell
from hmminfer.micro.thermoelastic_cell import thermoelastic_cell
from hmminfer.micro.two_phase import thermal_identities
from hmminfer.system.data import write_template
from hmminfer.system.model import Model
from hmminfer.system.tables import RawTable


def coupon_rows(n_angles):
    kind = np.array(list(KINDS.values()) * 2)
    angle_of = np.array([i % n_angles if n_angles and i < 4 else -1 for i in range(8)])
    return long_coupons(kind, angle_of, np.linspace(0.3, 2.0, 8))


@functools.cache
def plate(load="grips", orientation="uniform"):
    mesh = rectangle(20.0, 10.0, 3, 2)
    n = len(mesh.nodes)
    fixed, value, force = np.zeros((n, 2), bool), np.zeros((n, 2)), np.zeros((n, 2))
    left, right = mesh.on_side("left"), mesh.on_side("right")
    reactions = []
    if load == "grips":
        fixed[left] = fixed[right] = True
        value[right, 0] = 0.1
        virtual = np.zeros((n, 2))
        virtual[right, 0] = 1.0
        reactions = [virtual, 3.0 * virtual]
    else:
        force[:, 0] = 0.1 * (mesh.edge_load("right") - mesh.edge_load("left"))
        fixed[left[0]] = True
        fixed[right[0], 1] = True
    points = mesh.quadrature_points.reshape(-1, 2)
    phi = {
        "uniform": None,
        "zones": zone_basis(points, mesh.box, 2),
        "field": field_basis(points, mesh.box, 3, 2)[0],
        "known": np.zeros((len(points), 0)),
    }[orientation]
    rng = np.random.default_rng(0)
    free = np.flatnonzero(~fixed.ravel())
    rows = eye_array(2 * n, format="csr")[rng.choice(free, 7, replace=False)]
    order = rng.permutation(7 + len(reactions))
    return plane_stress_kernel(mesh, 1.3, fixed, value, force, csr_array(rows), reactions, order, phi, 0.4 + 0.01 * points[:, 0])


@functools.cache
def coupled():
    """Cell, coupons and a parameter that is measured by itself, with shares of theta out of order and one entry unused."""
    example = np.concatenate([[0.9], EXAMPLE[::-1], [0.4, 1.1]])
    return couple(elastic_cell("hexagonal", 1), coupon_rows(2), range(8, 0, -1), [10, 9], [3, 3], example)


@functools.cache
def stacked():
    """Three experiments on one material: two coupons of different angle, and a plate that shares the first angle."""
    cell = elastic_cell("square", 1)
    example = np.concatenate([EXAMPLE, [0.4, 0.9, 0.7]])  # the last entry is read by no part
    parts = [couple(cell, coupon_rows(1), range(8), [8], [5], np.concatenate([EXAMPLE, [0.4]])) for _ in range(2)]
    parts.append(couple(cell, plate("stress"), range(8), [8], [], np.concatenate([EXAMPLE, [0.4]])))
    indices = ([*range(8), 8], [*range(8), 9], [*range(8), 8])
    return Joint(tuple(parts), tuple(np.array(i) for i in indices), example)


@functools.cache
def joint():
    parts = [model_of("fibre_composite", "coupons"), model_of("fibre_composite", "coupons")]
    return Model.joint(parts, ["fibre_angle", "volume_fraction"], ["cold", "hot"])


# small settings by system and experiment or prediction; one that needs none is not named
@functools.cache
def model_of(system, experiment, variant=0):
    """Model of an experiment for its own template, with its quick settings: what a user's first file gives."""
    exp = models.get(system).EXPERIMENTS[experiment]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.csv"
        write_template(path, exp.schema)
        return exp.model(path, **{**exp.small, **({}, *exp.variants)[variant]})


@functools.cache
def prediction_of(system, name):
    prediction = models.get(system).PREDICTIONS[name]
    return prediction(**prediction.small)


def square(n=3, degree=1):
    side = np.linspace(0.0, 1.0, n + 1)
    return Domain(skfem.MeshQuad.init_tensor(side, side), degree)


@functools.cache
def steady():
    """Two zones, a source, three sides held; values, a gradient and the flow through a side, out of order."""
    domain = square(4, 2)
    fixed = np.zeros(len(domain.nodes), bool)
    for side in ("left", "right", "bottom"):
        fixed[domain.on_side(side)] = True
    zone = (domain.quadrature_points[..., 0] > 0.5).astype(int)
    value, dx, _ = domain.interpolation(np.array([[0.3, 0.4], [0.6, 0.9]]))
    hot = (domain.nodes[:, 0] < 1e-9).astype(float)
    observe = csr_array(np.vstack([value.toarray(), dx.toarray()]))
    load = domain.load(lambda x, y: 3.0 * x + y) + 0.3 * domain.edge_load("top")
    return elliptic_kernel(domain, fixed, hot, load, observe, [hot], zone, np.array([4, 0, 3, 1, 2]))


@functools.cache
def transient():
    """Two zones warming up, their border inside elements; seen between steps."""
    domain = square(4, 1)
    fixed = np.zeros(len(domain.nodes), bool)
    fixed[domain.on_side("left")] = True
    zone = (domain.quadrature_points[..., 1] > 0.6).astype(int)
    observe = csr_array(np.repeat(domain.interpolation(np.array([[0.5, 0.4], [1.0, 0.9]]))[0].toarray(), 2, axis=0))
    times = np.array([0.11, 0.3, 0.2, 0.23])
    return parabolic_kernel(domain, fixed, 2.0 * fixed, domain.load(1.0), 0.5 + domain.nodes[:, 0], 0.3, 12, observe, times, lambda t: 1.0 + t, zone)


@functools.cache
def warming_plate():
    """The heated plate in time with a hexagonal cell at every point: no template has times and no flow, so it is not among VARIANTS."""
    rows = [{"quantity": "temperature", "x": "25", "y": "10", "time": t, "value": "300", "unit": "K", "sd": "1"} for t in ("300", "900")]
    raw = RawTable("warming", "", {}, tuple(rows[0]), rows)
    return (
        models.get("heat_composite")
        .EXPERIMENTS["plate"]
        .model(
            raw,
            state="transient",
            steps=6,
            content="field",
            field_x=2,
            field_y=1,
            packing="hexagonal",
            cell="full",
            refine=1,
            elements_x=2,
            elements_y=1,
        )
        .kernel
    )


@functools.cache
def thermoelastic():
    """Two zones, pulled and heated, one edge at a temperature that rises; values between steps."""
    domain = Domain(skfem.MeshQuad.init_tensor(np.linspace(0.0, 6.0, 3), np.linspace(0.0, 2.0, 3)))
    n = len(domain.nodes)
    fixed, load = np.zeros((n, 3), bool), np.zeros((2, n, 3))
    left, top = domain.on_side("left"), domain.on_side("top")
    fixed[left, 0] = True
    fixed[left[0], 1] = True
    fixed[top, 2] = True
    load[0, :, 0], load[1, :, 2] = domain.edge_load("right"), domain.edge_load("bottom")
    observe = np.zeros((4, n, 3))
    for i, component in enumerate((0, 1, 2, 2)):
        observe[i, domain.on_side("right")[i // 2], component] = 1.0
    return thermoelastic_kernel(
        domain,
        fixed,
        lambda t: 5.0 * t[:, None, None] * fixed * (np.arange(3) == 2),
        load,
        lambda t: np.stack([0.1 * t, 0.3 + t], axis=1),
        1.0,
        8,
        observe.reshape(4, -1),
        np.array([1.0, 0.55, 0.25, 0.9]),
        np.array([0, 1, 1, 0]),
        300.0,
    )


@functools.cache
def patches():
    """A coarse profile in time whose patches are Langevin bursts, from a start that is not empty; the models hold the other ways to step."""
    law = burst(2.0, heal=1, measure=2, step=2.0)
    places, times = [10.0, 35.0, 70.0], [4.0, 5.3, 8.0]
    return profile_history(law, [0.9, 0.2, 1.3, 0.8, 0.1], 30.0, 80.0, 5, 8.0, places, times, 5, 100.0, 50.0, True)


@functools.cache
def two_columns():
    """Two columns of a weakly nonlinear law, seen inside and at the outlet, before and after the end of their pulses."""
    return column_kernel(
        [70.0, 70.0],
        [206.0, 412.0],
        [0.2, 0.4],
        [2.67, 1.3],
        [0, 0, 0, 1, 1],
        [1.0, 3.0, 30.0, 0.5, 2.0],
        [0.1, 0.05],
        place=[1.0, 0.63, 1.0, 1.0, 0.3],
        points=2,
        elements=20,
    )


LEAVES = {
    "columns": two_columns,
    "burst": lambda: burst_kernel(BINDING, [2.0, 3.0, 0.2, 1.4, 1e8]),
    "storage": lambda: storage_kernel(BINDING, [0.5, 2.0, 10.0], [20.0, 0.1, 0.2, 1e7]),
    "cell, square, 1": lambda: elastic_cell("square", 1),
    "cell, hexagonal, 2": lambda: elastic_cell("hexagonal", 2),
    "reduced cell": lambda: reduced_cell(*small_box(), "hexagonal", 1, snapshots=32).kernel,
    "coupons, hidden angles": lambda: coupon_rows(2),
    "coupons, known angles": lambda: coupon_rows(0),
    "plate, grips": plate,
    "plate, stress": lambda: plate("stress"),
    "plate, zones": lambda: plate("grips", "zones"),
    "plate, field": lambda: plate("grips", "field"),
    "plate, known angle": lambda: plate("stress", "known"),
    "coupled": coupled,
    "conductive cell": lambda: conductive_cell("hexagonal", 2),
    "conductive cell, resisting": lambda: conductive_cell("square", 1, True, 2.0),
    "conductive table": lambda: conductive_table("square", 1),
    "conductive table, resisting": lambda: conductive_table("hexagonal", 1, True, 3.0),
    "particles, dense": lambda: particle_conductivity(np.array([1.0, 20.0]), np.array([0.4, 0.2])),
    "steady": steady,
    "transient": transient,
    "heated plate in time, a field": warming_plate,
    **{
        f"pattern cell, {b}": functools.partial(lambda b: pattern_cell(np.array([[0, 1], [2, 0]]), 6, b), b)
        for b in ("periodic", "dirichlet", "flux")
    },
    "thermoelastic cell": lambda: thermoelastic_cell("square", 1),
    "identities of two phases": thermal_identities,
    "side by side": lambda: beside(conductive_table("square", 1), laminate(2), [3, 1, 0, 2, 1, 0], [1, 0, 3, 2], np.array([2.0, 0.7, 0.3, 1.1])),
    "coupled thermo-elasticity": thermoelastic,
    "rod in its cell": lambda: rod_in_cell(elements=4),
    "laminate": lambda: laminate(3, 2),
    "inclined layers": lambda: conductive_laminate(25.0, True, 2.0),
    "Langevin burst": lambda: burst(2.45),
    "profile by patches": patches,
    "affine": lambda: affine(np.array([[1.0, 0.3], [0.2, 0.9], [0.5, 0.1]]), 0.2),
    "affine, exponential": lambda: affine(np.array([[1.0, 0.3], [0.2, 0.9], [0.5, 0.1]]), 0.2, log=True),
    "a table at three points": lambda: each(conductive_table("square", 1), 3),
    "a law at three points": lambda: each(conductive_cell("square", 1), 3),
}
MODELS = {
    f"{system}: {name}{' ' + str(i) if i else ''}": functools.partial(model_of, system, name, i)
    for system in models.names()
    for name, experiment in models.get(system).EXPERIMENTS.items()
    for i in range(1 + len(experiment.variants))
} | {
    f"{system}: predict {name}": functools.partial(prediction_of, system, name)
    for system in models.names()
    for name in models.get(system).PREDICTIONS
}
SIMULATED = ("spreading", "front")  # drawn at random: no kernels
CATALOGUE = {name: functools.partial(lambda make: make().kernel, make) for name, make in MODELS.items() if name.split()[-1] not in SIMULATED}
KERNELS = LEAVES | CATALOGUE
# predictions share the codes of experiments, but for these
ALONE = ("heat_composite: predict periodic_temperatures", "reactive_transport: predict breakthrough")
CODES = {name: make for name, make in KERNELS.items() if ": predict " not in name or name in ALONE}
JOINT = {"stacked": stacked, "fibre_composite: joint": lambda: joint().kernel}

every_model = pytest.mark.parametrize("name", MODELS)
every_kernel = pytest.mark.parametrize("name", KERNELS)
also_joint = pytest.mark.parametrize("name", KERNELS | JOINT)
every_code = pytest.mark.parametrize("name", CODES | JOINT)


def points_near(kernel, rng, n=3, spread=0.03):
    size = np.maximum(np.abs(kernel.example), 0.1)
    return kernel.example + spread * size * rng.uniform(-1, 1, (n, kernel.n_in))
