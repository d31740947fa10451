"""The kernel contract, held by every kernel of the package: each leaf, each composition, each model of the catalogue."""

import functools
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from conftest import small_box
from pytensor.compile.mode import get_mode
from pytensor.gradient import NullTypeGradError
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import MergeOptimizer
from scipy.sparse import csr_array, eye_array

from hmminfer import models
from hmminfer.coupling import Joint, couple
from hmminfer.data import write_template
from hmminfer.errors import HmmInferError
from hmminfer.kernel import Code, Kernel
from hmminfer.macro.coupons import KINDS, long_coupons
from hmminfer.macro.orientation import field_basis, zone_basis
from hmminfer.macro.plane_stress import plane_stress_kernel
from hmminfer.macro.plate_mesh import rectangle
from hmminfer.micro.elastic_cell import EXAMPLE, elastic_cell
from hmminfer.micro.reduced_cell import reduced_cell
from hmminfer.model import Model
from hmminfer.operator import Forward, Vjp, apply_vector, data_variable
from hmminfer.testing import assert_contract, assert_gradient, assert_taylor


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
    return plane_stress_kernel(
        mesh, 1.3, fixed, value, force, csr_array(rows), reactions, order, phi, 0.4 + 0.01 * points[:, 0]
    )


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


# small settings by experiment or prediction; a system that needs none is not named
SMALL = {
    "plate": {"options": {"refine": 1, "cell": "full"}, "settings": {"elements_x": 4, "elements_y": 2}},
    "coupons": {"options": {"refine": 1, "cell": "full"}},
    "moduli": {"refine": 1, "cell": "full", "angles": [0.0, 20.0, 90.0]},
    "fields": {"refine": 1, "cell": "full", "elements_x": 4, "elements_y": 2, "nx": 3, "ny": 3},
    "clamped_coupon": {"refine": 1, "cell": "full"},
}
VARIANTS = {
    "plate": [
        {},
        {"orientation": "zones", "zones": 2},
        {"orientation": "field", "field_x": 3, "field_y": 2},
        {"hole_radius": 5, "elements_y": 2, "length": 140},
    ],
}


@functools.cache
def model_of(system, experiment, variant=0):
    """Model of an experiment for its own template: what a user's first file gives."""
    exp = models.get(system).EXPERIMENTS[experiment]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.csv"
        write_template(path, exp.schema)
        small = SMALL.get(experiment, {})
        settings = {**small.get("settings", {}), **VARIANTS.get(experiment, [{}])[variant]}
        return exp.model(path, small.get("options"), **settings)


@functools.cache
def prediction_of(system, name):
    return models.get(system).PREDICTIONS[name](**SMALL.get(name, {}))


LEAVES = {
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
}
CATALOGUE = {
    f"{system}: {name}{' ' + str(i) if i else ''}": functools.partial(
        lambda s, n, i: model_of(s, n, i).kernel, system, name, i
    )
    for system in models.names()
    for name in models.get(system).EXPERIMENTS
    for i in range(len(VARIANTS.get(name, [{}])))
} | {
    f"{system}: predict {name}": functools.partial(lambda s, n: prediction_of(s, n).kernel, system, name)
    for system in models.names()
    for name in models.get(system).PREDICTIONS
}
KERNELS = LEAVES | CATALOGUE
JOINT = {"stacked": stacked, "fibre_composite: joint": lambda: joint().kernel}
every_kernel = pytest.mark.parametrize("name", KERNELS)
also_joint = pytest.mark.parametrize("name", KERNELS | JOINT)


def points_near(kernel, rng, n=3, spread=0.03):
    size = np.maximum(np.abs(kernel.example), 0.1)
    return kernel.example + spread * size * rng.uniform(-1, 1, (n, kernel.n_in))


# ---------------------------------------------------------------------------------------------------------------- contract


@every_kernel
def test_contract(name):
    assert_contract(KERNELS[name]())


@also_joint
def test_gradient(name):
    assert_gradient((KERNELS | JOINT)[name]())


@also_joint
def test_taylor(name):
    assert_taylor((KERNELS | JOINT)[name]())


@every_kernel
def test_arguments_that_cannot_be_written_to(name, rng):
    """Read-only arrays, as JAX, Arrow and memory maps hand them over, give the same answer."""
    kernel = KERNELS[name]()
    x = points_near(kernel, rng, 1)[0]
    expected = kernel(x)
    x.flags.writeable = False
    np.testing.assert_array_equal(kernel(x), expected)
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


# ------------------------------------------------------------------------------------------------------------- operator


@also_joint
def test_compiled_operator_equals_plain_call(name, rng):
    """NUMBA and the pure Python linker against the kernel itself, value and gradient; falling back to object mode is an error."""
    kernel = (KERNELS | JOINT)[name]()
    theta, weight = pt.vector("theta"), pt.vector("weight")
    y = apply_vector(kernel, theta)
    slope = pytensor.grad((weight * y).sum(), theta)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = [
            pytensor.function([theta, weight], [y, slope], mode=mode)
            for mode in ("NUMBA", get_mode("FAST_COMPILE").clone(linker="py"))
        ]
    nodes = [node.op for node in compiled[0].maker.fgraph.toposort()]
    parts = len(kernel.parts) if isinstance(kernel, Joint) else 1
    assert sum(isinstance(op, Forward) for op in nodes) == parts, "value and gradient share one forward"
    assert sum(isinstance(op, Vjp) for op in nodes) == parts
    for x in points_near(kernel, rng, 2):
        w = rng.standard_normal(kernel.n_out)
        value, bar = kernel.value_and_pullback(x, w)
        for function in compiled:
            got, got_bar = function(x, w)
            # the same machine code up to how PyTensor's fast math reorders a sum
            np.testing.assert_allclose(got, value, rtol=1e-12, atol=1e-12 * np.abs(value).max())
            np.testing.assert_allclose(got_bar, bar, rtol=1e-12, atol=1e-12 * np.abs(bar).max())
    nan = np.full(kernel.n_in, np.nan)
    for function in compiled:
        got, got_bar = function(nan, w)
        assert np.all(np.isnan(got))
        assert np.any(np.isnan(got_bar))


@every_kernel
def test_operators_are_small_and_equal(name):
    kernel = KERNELS[name]()
    op = Forward(kernel)
    again = Forward(Kernel(kernel.code, kernel.data, kernel.example.copy()))
    assert op == again
    assert hash(op) == hash(again)
    packed = pickle.dumps(op)
    assert len(packed) < 2000, "by recipe, never by value"
    assert pickle.loads(packed) == op
    vjp = Vjp(props=op.props)
    assert vjp != op
    assert pickle.loads(pickle.dumps(vjp)) == vjp
    theta = pt.vector()
    graph = FunctionGraph(outputs=[apply_vector(kernel, theta) + apply_vector(kernel, theta)], clone=True)
    MergeOptimizer().rewrite(graph)
    assert sum(isinstance(node.op, Forward) for node in graph.apply_nodes) == 1, "equal applications merge"


def test_operators_of_different_kernels_differ():
    ops = [Forward(make()) for make in KERNELS.values()]
    assert len({op.fingerprint for op in ops}) > 5
    assert Forward(elastic_cell("square", 1)) != Forward(elastic_cell("hexagonal", 2))
    assert Forward(plate()) != Forward(plate("stress"))


def test_data_variables_are_the_same_each_time():
    arrays = LEAVES["reduced cell"]().data
    large = [a for a in arrays if a.nbytes > 20_000]
    assert large
    first, second = [data_variable(a) for a in arrays], [data_variable(a) for a in arrays]
    assert all(a is b for a, b in zip(first, second, strict=True) if a.owner is None and hasattr(a, "get_value"))
    other = data_variable(large[0].copy())
    assert other is not data_variable(large[0])


def test_float32_is_refused():
    with (
        pytensor.config.change_flags(floatX="float32"),
        pytest.raises(HmmInferError, match=r"set pytensor.config.floatX = 'float64'"),
    ):
        apply_vector(elastic_cell("square", 1), pt.vector(dtype="float64"))


def test_second_derivatives_are_refused_not_zero():
    theta = pt.vector()
    y = apply_vector(coupon_rows(1), theta)
    slope = pytensor.grad(y.sum(), theta)
    with pytest.raises(NullTypeGradError, match="first derivatives only"):
        pytensor.grad(slope.sum(), theta)


@pytest.mark.parametrize(
    "view", ["every second entry", "column", "reversed", "cotangent is a column", "cotangent is broadcast"]
)
def test_graphs_that_hand_over_strided_vectors(view, rng):
    """What users write around a model (columns of a matrix, stacked specimens, a bare sum) compiles as it stands."""
    kernel = coupon_rows(1)
    x = points_near(kernel, rng, 1)[0]
    n = kernel.n_in
    given = pt.matrix("given")
    value = np.zeros((2 * n, 2))
    value[:n, 0] = x
    theta = given[:n, 0]
    if view == "every second entry":
        value[::2, 0] = x
        theta = given.T.flatten()[: 2 * n : 2]
    elif view == "reversed":
        value[:n, 0] = x[::-1]
        theta = given[:n, 0][::-1]
    elif view.startswith("cotangent"):
        theta = given[:n].T.flatten()[:n]
    y = apply_vector(kernel, theta)
    if view == "cotangent is a column":
        weights = np.stack([rng.standard_normal(kernel.n_out), np.zeros(kernel.n_out)], axis=1)
        cost = (pt.stack([y, 2 * y], axis=1) * weights).sum()
        w = weights[:, 0]
    else:
        w = np.ones(kernel.n_out)
        cost = y.sum()
    function = pytensor.function([given], [y, pytensor.grad(cost, given)], mode="NUMBA")
    got, slope = function(value)
    expected, bar = kernel.value_and_pullback(x, w)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    np.testing.assert_allclose(slope[np.abs(slope) > 0].sum(), bar.sum(), rtol=1e-10)


def test_batches_by_vectorisation(rng):
    """Blockwise over a matrix of thetas equals row by row."""
    kernel = coupon_rows(1)
    row = pt.vector("theta")
    batch = pt.matrix("batch")
    many = pytensor.graph.replace.vectorize_graph(apply_vector(kernel, row), {row: batch})
    x = points_near(kernel, rng, 4)
    np.testing.assert_allclose(pytensor.function([batch], many)(x), [kernel(v) for v in x], rtol=1e-12)


# ------------------------------------------------------------------------------------------------------- other processes


def _evaluate(packed, x, data):
    op = pickle.loads(packed)
    y = op.code.forward(x, *data)
    return y[0], op.code.pullback(x, *data, *y[1:], np.ones(y[0].size)), op.fingerprint


def test_spawned_processes_agree():
    """Operators travel to new interpreters, which register LAPACK and find the code again by its recipe."""
    jobs = [(pickle.dumps(Forward(k)), k.example, k.data) for k in (coupled(), plate())]
    here = [_evaluate(*job) for job in jobs]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        there = pool.starmap(_evaluate, jobs, chunksize=1)
        again = pool.starmap(_evaluate, jobs[::-1], chunksize=1)[::-1]
    for a, b, c in zip(here, there, again, strict=True):
        for other in (b, c):
            np.testing.assert_array_equal(a[0], other[0])
            np.testing.assert_array_equal(a[1], other[1])
            assert a[2] == other[2]


PRINT_FINGERPRINTS = """
import json
from hmminfer.coupling import couple_code
from hmminfer.macro import coupons, plane_stress
from hmminfer.micro import elastic_cell, reduced_cell
codes = [coupons.CODE, plane_stress.CODE, elastic_cell.CODE, reduced_cell.CODE]
composed = [couple_code(elastic_cell.CODE, coupons.CODE)]
print(json.dumps([c.fingerprint for c in codes + composed]))
"""


def test_fingerprints_do_not_depend_on_the_process():
    found = []
    for seed in ("0", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", PRINT_FINGERPRINTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(run.stdout))
    assert found[0] == found[1]
    assert len(set(found[0])) == 5


SCALE = 2.0
TABLE = np.array([1.0, 2.0])


def _helper(x):
    return SCALE * x + 0.5


def _toy(constant, default=1.0):
    """A code whose constant, helper, closure and globals can be varied; nothing is compiled."""

    def forward(x, a, extra=default):
        return (_helper(x) * 3.0 + constant + TABLE[0],)

    def pullback(x, a, y_bar):
        return y_bar * 3.0 * SCALE

    return Code(("tests", "toy"), forward, pullback, "f1")


def test_fingerprint_follows_constants_helpers_closures_and_globals(monkeypatch):
    base = _toy(1.0).fingerprint
    assert _toy(1.0).fingerprint == base
    assert _toy(1.5).fingerprint != base, "a constant in a closure"
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "SCALE", 2.5)
    assert _toy(1.0).fingerprint != base, "a global of a helper"
    monkeypatch.undo()
    assert _toy(1.0).fingerprint == base
    monkeypatch.setattr(module, "TABLE", np.array([1.0, 3.0]))
    assert _toy(1.0).fingerprint != base, "a global array"
    monkeypatch.undo()
    monkeypatch.setattr(module, "_helper", lambda x: SCALE * x + 0.75)
    assert _toy(1.0).fingerprint != base, "a constant in a helper"
    monkeypatch.undo()
    assert _toy(1.0, default=2.0).fingerprint != base, "a default argument"


@pytest.mark.parametrize("module", ["hmminfer.micro.elastic_cell", "hmminfer.macro.lamina", "hmminfer.linalg"])
def test_fingerprint_follows_an_edited_file(tmp_path, module):
    """The real thing: one number changed in a copy of the package changes the fingerprint of what calls it, and nothing else."""
    root = Path(__file__).parent.parent
    shutil.copytree(
        root / "hmminfer",
        tmp_path / "hmminfer",
        symlinks=False,
        ignore=shutil.ignore_patterns("__pycache__", "models", "datasets", "*.nb?"),
    )
    file = tmp_path / (module.replace(".", "/") + ".py")
    before, after = {
        "hmminfer.micro.elastic_cell": ("0.5 * (out + out.T)", "0.50001 * (out + out.T)"),
        "hmminfer.macro.lamina": ("np.cos(0.5 * t), np.sin(0.5 * t)", "np.cos(0.50001 * t), np.sin(0.5 * t)"),
        "hmminfer.linalg": ("if not d > 0.0:", "if not d > 1e-300:"),
    }[module]
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    script = PRINT_FINGERPRINTS.replace(" + composed", "").replace(
        "composed = [", "pass  # ["
    )  # composing compiles, which takes a minute

    def fingerprints():
        env = {
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        }
        run = subprocess.run(
            [sys.executable, "-P", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        return np.array(json.loads(run.stdout))

    first = fingerprints()
    file.write_text(text.replace(before, after), encoding="utf-8")
    changed = fingerprints() != first
    expected = {
        # coupons, plate, cell, reduced cell
        "hmminfer.micro.elastic_cell": [False, False, True, True],
        "hmminfer.macro.lamina": [True, False, False, False],
        "hmminfer.linalg": [True, True, True, True],
    }[module]
    assert changed.tolist() == expected


# ---------------------------------------------------------------------------------------------------------- bad points

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


@pytest.mark.parametrize(
    "kernel",
    ["cell, square, 1", "cell, hexagonal, 2", "reduced cell", "fibre_composite: coupons", "fibre_composite: plate"],
)
@pytest.mark.parametrize("case", UNPHYSICAL)
def test_unphysical_points_give_nan(kernel, case):
    kernel = KERNELS[kernel]()
    entry, value = UNPHYSICAL[case]
    x = kernel.example.copy()
    x[entry] = value
    y, bar = kernel.value_and_pullback(x, np.ones(kernel.n_out))
    physical = (
        y if kernel.n_out == 36 else y[:-1]
    )  # the neat matrix modulus in the coupons' template is the parameter itself
    assert np.all(np.isnan(physical)), y
    assert np.any(np.isnan(bar))
    # nothing is remembered: the next good point is answered as before
    assert np.all(np.isfinite(kernel(kernel.example)))


@pytest.mark.parametrize("name", ["plate, grips", "plate, stress", "coupons, hidden angles"])
def test_macro_problems_refuse_effective_data_that_are_no_stiffness(name):
    kernel = KERNELS[name]()
    for bad in (
        -np.eye(6),
        np.zeros((6, 6)),
        np.diag([1.0, 1, 1, 1, 1, -1]),
        np.full((6, 6), np.nan),
        np.full((6, 6), np.inf),
    ):
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
