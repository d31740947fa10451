"""Files of a run on bad days: damage is seen, a full disk is a sentence, and a kill at any moment loses nothing that was drawn."""

import json
import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hmminfer.app.storage import read_netcdf, write_netcdf, write_text
from hmminfer.engine.files import LENGTH
from hmminfer.errors import HmmInferError
from hmminfer.inference.reading import Reading


def result():
    """The smallest result."""
    draws = xr.Dataset({"a": (("chain", "draw"), np.arange(6.0).reshape(2, 3))}, attrs={"fixed": "{}", "settings": "{}"})
    mode = {"x": [0.0], "logp": 0.0, "weight": 1.0, "sd": [1.0]}
    tree = xr.DataTree.from_dict({"posterior": draws})
    tree.attrs = {"hmminfer": "0", "fixed": json.dumps({"b": 0.36}), "modes": json.dumps([mode]), "method": "nuts"}
    return tree


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("result") / "posterior.nc"
    write_netcdf(result(), path)
    return path


def test_a_result_is_read_as_it_was_written_and_by_any_program(file):
    tree, sealed = read_netcdf(file)
    assert sealed
    assert tree.identical(result())
    with xr.open_datatree(file, engine="h5netcdf") as plain:
        assert plain["posterior"].identical(tree["posterior"])
    assert [p.name for p in file.parent.iterdir()] == ["posterior.nc"]


def test_a_result_without_a_checksum_is_read_and_said_to_have_none(tmp_path):
    result().to_netcdf(tmp_path / "old.nc", engine="h5netcdf")
    tree, sealed = read_netcdf(tmp_path / "old.nc")
    assert not sealed
    assert tree.identical(result())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_no_damaged_byte_is_read_as_a_result(file, tmp_path_factory, data):
    """A flipped bit or a lost end: refused, or the draws are as they were (damage to the mark of the checksum alone)."""
    good = file.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path_factory.getbasetemp() / "damaged.nc"
    damaged.write_bytes(bytes(bad) if data.draw(st.booleans()) else good[:at])
    try:
        tree, sealed = read_netcdf(damaged)
    except HmmInferError:
        return
    assert at >= len(good) - LENGTH
    assert not sealed
    assert tree.identical(result())


@pytest.mark.parametrize("text", ["{", "3", "", '["x"]', '[{"x": 1}]', '{"b": "c"}'])
@pytest.mark.parametrize("name", ["fixed", "settings", "modes"])
def test_attributes_that_no_fit_writes_are_named(name, text, tmp_path):
    path = tmp_path / "posterior.nc"
    result().to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as opened:
        (opened["posterior"] if name == "settings" else opened).attrs[name] = text
    if name == "settings" and text == '{"b": "c"}':
        read_netcdf(path)
        return
    with pytest.raises(HmmInferError, match=rf"damaged: The .*(attribute '{name}'|{name})"):
        read_netcdf(path)


def test_a_group_that_is_missing_is_named():
    with pytest.raises(HmmInferError, match="no group 'prior'"):
        Reading.of(result())["prior"]


@pytest.fixture
def small_files():
    """No file may grow beyond 4 kB, as on a full disk; HDF5 itself crashes there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_a_sentence_and_leaves_what_was_there(tmp_path):
    write_text(tmp_path / "posterior.nc", "the result before")
    with pytest.raises(HmmInferError, match=r"posterior.nc' cannot be written \(File too large\); free space"):
        write_netcdf(result(), tmp_path / "posterior.nc")
    assert (tmp_path / "posterior.nc").read_text() == "the result before"
    assert len(list(tmp_path.iterdir())) == 1


KILLED = """
import os, shutil, signal, sys, types
from pathlib import Path
from hmminfer.app import folder as runs
from hmminfer.app.recipe import Recipe
from hmminfer.app.storage import read_netcdf
from hmminfer.diagnostics import checking
from hmminfer.figures import overview
from hmminfer.inference import sampling
from matplotlib.figure import Figure

here, data = Path(sys.argv[1]), sys.argv[2]
tree, _ = read_netcdf(here / "whole.nc")

def fit(self, store, progress):  # the sampler: draws on the disk, then the result
    chunk = store / "posterior" / "x" / "c" / "0" / "0"
    chunk.mkdir(parents=True)
    (chunk / "0").write_text("draws")
    return tree

Recipe.fit, sampling.recover = fit, lambda *_, **__: tree
overview.posterior_figure, checking.checks = lambda *_: Figure(), lambda *_: []
recipe = Recipe("fibre_composite", data=data, seed=1, draws=20, tune=40, chains=2)
recipe.problem
WRITTEN = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
states = []
for n in range(1000):
    folder = here / "parent" / f"run{n}"
    child = os.fork()
    if child == 0:
        left = [n]
        def hook(event, args):
            if event in WRITTEN and str(folder) in str(args[0]):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
        sys.addaudithook(hook)
        runs.run(recipe, folder, progress=False)
        os._exit(0)
    done = os.waitpid(child, 0)[1] == 0
    if not folder.exists() or not any(folder.iterdir()) or runs._only_begun(folder):
        states.append("begun")
        runs.run(recipe, folder, progress=False)
    else:
        states.append("whole" if (folder / runs.RESULT).exists() else "draws")
    for again in range(2):
        found = runs.load(folder, progress=False)
        assert found.tree["posterior"].identical(tree["posterior"]), n
    assert not found.recovered and not (folder / runs.STORE).exists(), n
    assert Recipe.read(folder).extensions == (), n
    if done:
        break
    shutil.rmtree(here / "parent")
print(n, states.count("begun"), states.count("draws"), states.count("whole"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked after numerical libraries have been loaded")
def test_a_kill_at_any_write_loses_nothing(tmp_path):
    """SIGKILL at each file that a run opens, makes, renames or removes: begun again, recovered or whole, the draws are those of a run left alone."""
    from hmminfer.models import fibre_composite

    experiment = fibre_composite.EXPERIMENTS["coupons"]
    (tmp_path / "my.csv").write_text(experiment.schema.template())
    write_netcdf(result(), tmp_path / "whole.nc")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), str(tmp_path / "my.csv")], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    events, begun, draws, whole = map(int, done.stdout.split()[-4:])
    assert events > 20
    assert min(begun, draws, whole) >= 2
