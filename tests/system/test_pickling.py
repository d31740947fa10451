"""A model is sent anywhere: all of the catalogue, what was made of them, a system from a file, and what cannot be sent and says so."""

import copy
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from kernel_catalogue import MODELS, every_model, joint, model_of, prediction_of

from hmminfer import models
from hmminfer.engine import kernel
from hmminfer.errors import HmmInferError
from hmminfer.inference.problem import Problem
from hmminfer.system.data import write_template

ROOT = Path(__file__).parents[2]
READ = "import pickle, sys; model = pickle.load(open(sys.argv[1], 'rb')); print(model.evaluate().tobytes().hex(), model.home)"


def codes(model):
    return [k.code for k in getattr(model.kernel, "parts", (model.kernel,)) if hasattr(k, "code")]


def assert_same(there, here):
    np.testing.assert_array_equal(there.evaluate(), here.evaluate())
    assert all(a is b for a, b in zip(codes(there), codes(here), strict=True))
    for part in ("name", "experiment", "home", "settings", "fixed"):
        assert repr(getattr(there, part)) == repr(getattr(here, part))
    assert [p.prior for p in there.parameters] == [p.prior for p in here.parameters]
    assert there.scene.keys() == here.scene.keys()
    for part in ("table", "resolved", "again", "accuracy"):
        assert (getattr(there, part) is None) == (getattr(here, part) is None)
    assert there.to_dataset(there.evaluate()).identical(here.to_dataset(here.evaluate()))


@every_model
def test_every_model_of_the_catalogue_can_be_pickled_and_copied(name):
    model = MODELS[name]()
    data = pickle.dumps(model)
    assert len(data) < 3_000_000
    assert_same(pickle.loads(data), model)
    assert_same(copy.deepcopy(model), model)


def answer(data):
    model = pickle.loads(data)
    return model.evaluate(), [code.fingerprint for code in codes(model)], pickle.dumps(model)


def test_what_was_made_of_models_reaches_a_spawned_process_and_comes_back():
    """Functions within functions, meshes, priors of one's own, data replaced, experiments together, predictions: y to the last bit."""
    blocks, periodic = model_of("heat_composite", "blocks"), model_of("heat_composite", "periodic")
    made = [
        blocks.with_priors({"conductivity": "LogNormal(3 W/m/K, 0.3)"}),
        replace(blocks, table=replace(blocks.table, value=2.0 * blocks.table.value), fixed={"conductivity": np.array([1.0, 2.0, 3.0, 4.0])}),
        Problem.of(periodic, fixed={"conductivity_slope": 0.3}).model,
        periodic.as_prediction(*periodic.observables),
        model_of("morphogen_tissue", "spreading"),
        prediction_of("heat_composite", "block_temperatures"),
        joint(),
    ]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        answers = list(pool.map(answer, [pickle.dumps(m) for m in made]))
    for model, (y, fingerprints, data) in zip(made, answers, strict=True):
        np.testing.assert_array_equal(y, model.evaluate())
        assert fingerprints == [code.fingerprint for code in codes(model)]
        assert_same(pickle.loads(data), model)
    there = pickle.loads(answers[2][2])
    values = {"conductivity": 1.2, "conductivity_slope": 0.3, "periods": 1}
    np.testing.assert_array_equal(there.resolved({**values}), made[2].resolved({**values}))


@pytest.fixture
def filter_file(tmp_path):
    """The tutorial's system in a file, as a user's own."""
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "sent_filter.py"
    shutil.copy(ROOT / "notebooks" / "packed_filter.py", file)
    yield file
    models._registered.clear()
    sys.modules.pop("sent_filter", None)
    sys.path.remove(str(file.parent.resolve()))


def test_a_system_in_a_file_of_its_own(filter_file, tmp_path):
    """Another process finds the file where it was; another version of it, or none, is refused."""
    experiment = models.get(str(filter_file)).EXPERIMENTS.falling_head
    write_template(tmp_path / "heads.csv", experiment.schema)
    model = experiment.model(tmp_path / "heads.csv")
    sent = tmp_path / "model.pickle"
    sent.write_bytes(pickle.dumps(model))

    def read():
        return subprocess.run([sys.executable, "-c", READ, str(sent)], cwd=tmp_path, capture_output=True, text=True, check=False)

    done = read()
    assert done.stdout.split() == [model.evaluate().tobytes().hex(), "sent_filter"], done.stderr
    text = filter_file.read_text(encoding="utf-8")
    filter_file.write_text(text.replace("(180.0 *", "(181.0 *"), encoding="utf-8")
    assert "is not the same here as where it was pickled; use the same files" in read().stderr
    filter_file.unlink()
    assert "No module named 'sent_filter'); install that module here too" in read().stderr


def test_what_cannot_be_pickled_is_named():
    model = replace(model_of("heat_composite", "particles"), scene={"mesh": 1, "lock": threading.Lock()})
    with pytest.raises(HmmInferError, match=r"'heat_composite' \(particles\) cannot be sent .* scene: lock cannot be pickled \(.*; leave it out"):
        pickle.dumps(model)


def test_code_that_was_edited_since_is_refused(monkeypatch):
    code = model_of("heat_composite", "particles").kernel.code
    data = pickle.dumps(code)
    monkeypatch.setitem(code.__dict__, "fingerprint", "another")
    assert kernel.rebuild(code.recipe) is code
    with pytest.raises(HmmInferError, match="not the same here"):
        pickle.loads(data)
