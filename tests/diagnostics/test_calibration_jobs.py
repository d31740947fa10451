"""Calibration on any executor: the same ranks everywhere, workers that die, and a folder from which it goes on."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
from kernel_catalogue import model_of

from hmminfer.diagnostics import jobs
from hmminfer.diagnostics.calibration import SBC, sbc
from hmminfer.engine.fingerprint import fingerprint_of
from hmminfer.errors import HmmInferError

N = 6
THIRD = int(np.random.SeedSequence(3, spawn_key=(2,)).generate_state(1)[0]) % 2**31


def from_the_prior(problem, seed, mark=None):
    """A quick sampler that is wrong, but depends on all that it is given. In the third job, if the mark is not there, it makes it and dies as if killed."""
    if mark is not None and not os.path.exists(mark) and seed == THIRD:
        open(mark, "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    rng = np.random.default_rng([seed, round(1e6 * abs(float(problem.table.value[0])))])
    return {p.name: p.prior.sample(rng, 19 * p.length).reshape((19, p.length) if p.size else 19) for p in problem.free}


@pytest.fixture(scope="module")
def blocks():
    """A model whose scene holds a mesh with functions of its own."""
    return model_of("heat_composite", "blocks")


def calibrated(model, n=N, posterior=from_the_prior, **options):
    return sbc(model, n=n, draws=19, seed=3, posterior=posterior, progress=False, **options)


def assert_equal(a, b):
    assert a.ranks.keys() == b.ranks.keys()
    for name in a.ranks:
        np.testing.assert_array_equal(a.ranks[name], b.ranks[name])


def test_a_cluster_gives_the_same_ranks_outlives_a_killed_worker_and_goes_on(blocks, tmp_path):
    """Two workers on a local cluster, one killed in a job; a second call finds these jobs, does the rest and equals one process."""
    from distributed import Client, LocalCluster

    deadly = partial(from_the_prior, mark=str(tmp_path / "mark"))
    with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        executor = client.get_executor(retries=2)
        first = calibrated(blocks, N - 2, deadly, executor=executor, folder=tmp_path / "kept")
        assert (tmp_path / "mark").exists(), "a worker was killed"
        second = calibrated(blocks, N, deadly, executor=executor, folder=tmp_path / "kept")
    assert (first.resumed, second.resumed) == (0, N - 2)
    assert_equal(second, calibrated(blocks))


def test_processes_give_the_same_ranks_and_what_finished_before_one_died_is_kept(blocks, tmp_path):
    deadly = partial(from_the_prior, mark=str(tmp_path / "mark"))
    with pytest.raises(HmmInferError, match=r"A worker process ended before its job did.*Run again"):
        calibrated(blocks, posterior=deadly, workers=2, folder=tmp_path / "kept")
    finished = len(list((tmp_path / "kept").glob("[0-9]*.json")))
    assert finished < N
    again = calibrated(blocks, posterior=deadly, workers=2, folder=tmp_path / "kept")
    assert again.resumed == finished
    assert_equal(again, calibrated(blocks))


KILLED = """
import sys
from functools import partial
from test_calibration_jobs import calibrated, from_the_prior, model_of
calibrated(model_of("heat_composite", "blocks"), posterior=partial(from_the_prior, mark=sys.argv[1]), folder=sys.argv[2])
"""


def test_a_killed_calibration_goes_on_in_another_process(blocks, tmp_path, capsys):
    """Killed in its third job; a damaged file is one job more to do, the whole ones are not done again."""
    mark, folder = str(tmp_path / "mark"), tmp_path / "kept"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "77"}
    killed = subprocess.run([sys.executable, "-c", KILLED, mark, str(folder)], env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["0.json", "1.json", "jobs.json"]
    (folder / "1.json").write_text('{"ranks": {"cond', encoding="utf-8")
    seen = partial(from_the_prior, mark=mark)
    again = sbc(blocks, n=N, draws=19, seed=3, posterior=seen, folder=folder)
    assert f"calibration: 1 of 6 data sets are finished in '{folder}'" in capsys.readouterr().err
    assert again.resumed == 1
    assert_equal(again, calibrated(blocks))
    assert calibrated(blocks, N - 1, posterior=seen, folder=folder).resumed == N - 1
    assert not list(folder.glob("*.part"))


def test_a_folder_of_another_problem_is_refused(blocks, tmp_path):
    folder = tmp_path / "kept"
    calibrated(blocks, 1, folder=folder)
    other = [
        (lambda: calibrated(blocks.with_priors({"conductivity": "LogNormal(50 W/m/K, 2.1)"}), 1, folder=folder), "of another problem;"),
        (lambda: calibrated(replace(blocks, table=replace(blocks.table, sd=1.1 * blocks.table.sd)), 1, folder=folder), "of another problem;"),
        (lambda: calibrated(blocks, 1, partial(from_the_prior, mark="x"), folder=folder), "of another sampler;"),
        (lambda: calibrated(blocks, 1, noise_factor=0.7, folder=folder), r"of another noise_factor \(1.0, not 0.7\);"),
        (lambda: sbc(blocks, 1, 19, 4, posterior=from_the_prior, progress=False, folder=folder), r"another seed \(3, not 4\), problem; give a new"),
    ]
    for call, message in other:
        with pytest.raises(HmmInferError, match=message):
            call()
    assert calibrated(replace(blocks, table=replace(blocks.table, value=2.0 * blocks.table.value)), 1, folder=folder).resumed == 1  # data are made
    assert fingerprint_of(partial(from_the_prior, mark="x")) not in (
        fingerprint_of(partial(from_the_prior, mark="y")),
        fingerprint_of(from_the_prior),
    )
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(HmmInferError, match="holds something else than finished jobs; give a new"):
        calibrated(blocks, 1, folder=tmp_path)
    with pytest.raises(HmmInferError, match="cannot be made"):
        calibrated(blocks, 1, folder=tmp_path / "notes.txt")


def test_what_jobs_share_is_sent_to_a_worker_once():
    """Jobs are a number and a hash; on any executor the results are those of one process, and no more are submitted than were asked for."""
    sent, futures, running = [], [], []

    class Counting(ThreadPoolExecutor):
        def submit(self, fn, *args):
            sent.append(len(args) > 3)
            futures.append(super().submit(fn, *args))
            running.append(sum(not f.done() for f in futures))
            return futures[-1]

    numbers = range(50)
    with Counting(1) as executor:
        done = dict(jobs.stream(scaled, {"scale": np.arange(1000.0)}, iter(numbers), executor, ahead=4))
    assert done == {k: 999.0 * k for k in numbers} == dict(jobs.stream(scaled, {"scale": np.arange(1000.0)}, numbers, None, 4))
    assert 1 <= sum(sent) <= 4, "with what is shared: at most what was under way when the worker did not have it"
    assert max(running) <= 4
    with ThreadPoolExecutor(1) as executor:
        assert dict(jobs.stream(scaled, {"scale": np.arange(3.0)}, [5], executor, ahead=4)) == {5: 10.0}
    assert len(jobs._held) == 1, "a worker holds what its last job needed, no more"


def scaled(k, scale):
    return float(k * scale[-1])


def test_a_sampler_of_a_notebook_reaches_processes(blocks):
    """A function within a function goes with its code; one that holds what cannot be sent is named."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        there = calibrated(blocks, 2, lambda problem, seed: from_the_prior(problem, seed), executor=executor)
        lock = threading.Lock()
        with pytest.raises(HmmInferError, match=r"The calibration cannot be sent .* posterior cannot be pickled"):
            calibrated(blocks, 2, lambda problem, seed: lock and from_the_prior(problem, seed), executor=executor)
    assert_equal(there, calibrated(blocks, 2))


def test_draws_that_cannot_be_trusted_are_not_counted_and_said():
    """Ranks that are uniform where they count, and all zero where Pareto k is high: the second do not matter, unless they are most."""
    uniform = np.tile(np.arange(20), 4)
    both, k = np.concatenate([uniform, np.zeros(40, int)]), np.concatenate([np.full(80, 0.3), np.full(40, 0.9)])
    good = SBC({"modulus": both}, 19, k)
    assert good.ok
    assert "over 80 of 120 data sets" in good.text()
    assert "Not counted: 40, whose draws cannot be trusted" in repr(good)
    assert not SBC({"modulus": both}, 19, np.full(120, np.nan)).ok  # of another sampler: taken at its word
    assert not SBC({"modulus": both}, 19, np.where(k > 0.5, 0.3, 0.9)).ok
    most = SBC({"modulus": uniform}, 19, np.where(np.arange(80) < 30, 0.3, np.inf))
    assert most.p_value > 0.01
    assert not most.ok
    assert most.text().startswith("Not known to be calibrated")
    none = SBC({"modulus": uniform}, 19, np.full(80, np.inf))
    assert np.isnan(none.p_value)
    assert not none.ok
    assert "Not counted" not in SBC({"modulus": uniform}, 19, np.full(80, np.nan)).text()


def test_bins_that_hold_unequally_many_ranks_are_no_miscalibration():
    """23 ranks in 20 bins are 1 or 2 in each: exactly uniform ranks pass, however many; 8 ranks are 8 bins at most."""
    for draws in (22, 7):
        ranks = np.tile(np.arange(draws + 1), 1000)
        assert SBC({"modulus": ranks}, draws, np.full(len(ranks), np.nan)).p["modulus"] == pytest.approx(1.0)
