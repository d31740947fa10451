"""Kernels as PyTensor operators: equal to the plain call, small, strided inputs, other processes, and fingerprints."""

import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from kernel_catalogue import JOINT, KERNELS, LEAVES, coupled, coupon_rows, every_code, every_kernel, plate, points_near
from pytensor.compile.mode import get_mode
from pytensor.gradient import NullTypeGradError
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import MergeOptimizer

from hmminfer.engine.coupling import Joint
from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.operator import Forward, Vjp, apply_vector, data_variable
from hmminfer.errors import HmmInferError
from hmminfer.micro.elastic_cell import elastic_cell


@pytest.mark.validates("all", "compiled operator, value and gradient", against="the plain call of the kernel", bar="1e-12")
@every_code
def test_compiled_operator_equals_plain_call(name, rng):
    """NUMBA and the pure Python linker against the kernel itself, value and gradient; falling back to object mode is an error."""
    kernel = (KERNELS | JOINT)[name]()
    theta, weight = pt.vector("theta"), pt.vector("weight")
    y = apply_vector(kernel, theta)
    slope = pytensor.grad((weight * y).sum(), theta)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = [pytensor.function([theta, weight], [y, slope], mode=mode) for mode in ("NUMBA", get_mode("FAST_COMPILE").clone(linker="py"))]
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
    with pytensor.config.change_flags(floatX="float32"), pytest.raises(HmmInferError, match=r"set pytensor.config.floatX = 'float64'"):
        apply_vector(elastic_cell("square", 1), pt.vector(dtype="float64"))


def test_second_derivatives_are_refused_not_zero():
    theta = pt.vector()
    y = apply_vector(coupon_rows(1), theta)
    slope = pytensor.grad(y.sum(), theta)
    with pytest.raises(NullTypeGradError, match="first derivatives only"):
        pytensor.grad(slope.sum(), theta)


@pytest.mark.parametrize("view", ["every second entry", "column", "reversed", "cotangent is a column", "cotangent is broadcast"])
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
from hmminfer.engine.coupling import couple_code
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
            [sys.executable, "-c", PRINT_FINGERPRINTS], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
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


@pytest.mark.parametrize("module", ["hmminfer.micro.elastic_cell", "hmminfer.macro.lamina", "hmminfer.engine.linalg"])
def test_fingerprint_follows_an_edited_file(tmp_path, module):
    """The real thing: one number changed in a copy of the package changes the fingerprint of what calls it, and nothing else."""
    root = Path(__file__).parents[2]
    shutil.copytree(
        root / "hmminfer", tmp_path / "hmminfer", symlinks=False, ignore=shutil.ignore_patterns("__pycache__", "models", "datasets", "*.nb?")
    )
    file = tmp_path / (module.replace(".", "/") + ".py")
    before, after = {
        "hmminfer.micro.elastic_cell": ("0.5 * (out + out.T)", "0.50001 * (out + out.T)"),
        "hmminfer.macro.lamina": ("np.cos(0.5 * t), np.sin(0.5 * t)", "np.cos(0.50001 * t), np.sin(0.5 * t)"),
        "hmminfer.engine.linalg": ("if not d > 0.0:", "if not d > 1e-300:"),
    }[module]
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    script = PRINT_FINGERPRINTS.replace(" + composed", "").replace("composed = [", "pass  # [")  # composing compiles, which takes a minute

    def fingerprints():
        env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
        run = subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        return np.array(json.loads(run.stdout))

    first = fingerprints()
    file.write_text(text.replace(before, after), encoding="utf-8")
    changed = fingerprints() != first
    expected = {
        # coupons, plate, cell, reduced cell
        "hmminfer.micro.elastic_cell": [False, False, True, True],
        "hmminfer.macro.lamina": [True, False, False, False],
        "hmminfer.engine.linalg": [True, True, True, True],
    }[module]
    assert changed.tolist() == expected
