"""The command line as a user meets it: fit, repeat, extend, predict, report, template; killed runs are recovered."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import hmminfer
from hmminfer.app import folder as runs
from hmminfer.app.cli import app

SMALL = ["--draws", "20", "--tune", "40", "--chains", "2", "--seed", "1", "--quiet"]
# a short run with fewer than a hundred draws: what ArviZ and NumPy say about that is no concern here
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def strict_numpy():
    """Samplers overflow and reject: the floating point rules of the other tests do not hold for whole runs."""


def command(*args, code=0):
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output + str(result.exception)
    assert "Traceback" not in result.output
    return result.output


def posterior(folder):
    with xr.open_datatree(Path(folder) / "posterior.nc", engine="h5netcdf") as tree:
        return tree["posterior"].to_dataset().load()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A short fit of the coupons from a file of the user's own."""
    here = tmp_path_factory.mktemp("run")
    data = here / "my.csv"
    command("template", "fibre_composite", "--output", data)
    out = command("fit", "fibre_composite", "--data", data, "--fix", "fibre_shear_modulus=25 GPa", *SMALL, "--output", here / "run")
    assert f"Saved in {here / 'run'}" in out
    data.unlink()  # the run holds its own copy
    return here / "run"


def test_help_and_version_come_at_once():
    start = time.perf_counter()
    code = "import sys, hmminfer.app.cli; print('pymc' in sys.modules, 'numba' in sys.modules, 'xarray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3
    assert time.perf_counter() - start < 20.0  # a second on a free machine
    assert hmminfer.__version__ in command("--version")
    for name in ("fit", "predict", "report", "extend", "template", "models", "datasets"):
        assert name in command("--help")
        command(name, "--help")


def test_every_name_of_the_public_face_can_be_had():
    import hmminfer

    assert sorted(hmminfer.__all__) == list(hmminfer.__all__) == dir(hmminfer)
    for name in hmminfer.__all__:
        assert getattr(hmminfer, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        hmminfer.no_such_name  # noqa: B018


def test_catalogues():
    assert "fibre_composite" in command("models")
    page = command("models", "fibre_composite")
    assert "volume_fraction" in page
    assert "hole_radius" in page
    assert "raghavan_meshii" in command("datasets")
    assert "licence" in command("datasets", "plate_dic")


def test_a_run_folder_holds_everything(folder):
    for name in ("posterior.nc", "run.toml", "summary.txt", "summary.csv", "figure.png", "data/my.csv"):
        assert (folder / name).stat().st_size > 0, name
    assert not (folder / "draws.zarr").exists()
    recipe = tomllib.loads((folder / "run.toml").read_text())
    assert recipe["data"] == "data/my.csv"
    assert recipe["seed"] == 1
    assert recipe["fixed"] == {"fibre_shear_modulus": "25 GPa"}
    assert {"pymc", "nutpie", "numba", "python", "hmminfer"} <= recipe["versions"].keys()
    draws = posterior(folder)
    assert dict(draws.sizes) == {"chain": 2, "draw": 20}
    assert draws["matrix_modulus"].attrs["units"] == "GPa"
    assert "fibre_shear_modulus" not in draws
    assert "fibre_angle" in (folder / "summary.txt").read_text()


def test_a_run_file_repeats_the_run_and_an_extension_appends(folder, tmp_path):
    """Repeated in another place, the draws are equal to the last bit; the extension keeps them and goes on."""
    command("fit", "--run", folder / "run.toml", "--output", tmp_path / "again", "--quiet")
    first, again = posterior(folder), posterior(tmp_path / "again")
    assert first.identical(again)
    command("extend", tmp_path / "again", "--draws", "10", "--quiet")
    longer = posterior(tmp_path / "again")
    assert dict(longer.sizes) == {"chain": 2, "draw": 30}
    xr.testing.assert_identical(longer.isel(draw=slice(20)), first)
    assert not np.any(np.isin(longer["matrix_modulus"].values[:, 20:], first["matrix_modulus"].values))
    recipe = tomllib.loads((tmp_path / "again" / "run.toml").read_text())
    assert recipe["extensions"] == [{"draws": 10, "seed": recipe["extensions"][0]["seed"]}]
    assert recipe["extensions"][0]["seed"] != recipe["seed"]
    assert not (tmp_path / "again" / "draws.zarr").exists()


def test_predict_from_a_posterior_and_from_values(folder, tmp_path):
    out = command("predict", "fibre_composite", "--posterior", folder, "--draws", "7", "--output", tmp_path / "p.nc", "--quiet")
    assert "separate modes" in out or "Saved" in out
    with xr.open_dataset(tmp_path / "p.nc", engine="h5netcdf") as result:
        assert result["youngs_modulus"].dims == ("sample", "angle")
        assert result["youngs_modulus"].shape == (7, 91)
        assert result["youngs_modulus"].attrs["units"] == "GPa"
    values = ["--set", "volume_fraction=0.6", "--set", "matrix_modulus=3500 MPa", "--set", "angles=0,90"]
    out = command("predict", "fibre_composite", *values, "--output", tmp_path / "p.csv")
    assert "youngs_modulus" in out
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "observable,angle [deg],value,unit"
    assert len(lines) == 1 + 4 * 2
    out = command("predict", "fibre_composite", "--what", "clamped_coupon", "--value", "fibre_angle=0,15,30", "--set", "width=10 mm")
    moduli = [float(line.split()[2]) for line in out.splitlines() if line.startswith("apparent_modulus")]
    assert len(moduli) == 3
    assert moduli[0] > moduli[1] > moduli[2]


def test_units_of_settings_are_those_of_the_system(tmp_path):
    """50 um were read as 0.05 um of a membrane, right units of films and humidities refused."""
    resistance = {}
    for text in ("thickness=50 um", "thickness=0.05 mm", "thickness=50", "thickness=100 um"):
        file = tmp_path / f"{len(resistance)}.csv"
        args = ("--set", text, "--set", "humidity_a=80 %", "--set", "current_density=0 A/m^2", "--quiet")
        command("predict", "proton_conductor", "--what", "water_profile", *args, "--output", file)
        rows = [line.split(",") for line in file.read_text().splitlines()]
        resistance[text] = next(float(r[rows[0].index("value")]) for r in rows if r[0] == "area_resistance")
    first, same, plain, double = resistance.values()
    assert first == pytest.approx(same, rel=1e-12)
    assert first == plain
    # equally humid on both sides it is uniform: beside the contacts, 0.03 ohm cm^2, resistance grows with thickness
    assert double - 0.03 == pytest.approx(2.0 * (first - 0.03), rel=1e-9)
    assert first - 0.03 > 0.05


def test_predictions_are_listed_with_their_settings():
    page = command("predict", "proton_conductor", "--help")
    for part in ("Usage", "--posterior", "Prediction film_conductivities: conductivity of films over thickness", "Prediction water_profile"):
        assert part in page
    assert re.search(r"thickness +50 um +of the membrane as it is measured, wet, at least 0.1 um", page)
    assert re.search(r"humidity +95 % +relative humidity, between 0 and 100 %", page)
    one = command("predict", "heat_composite", "--what", "sizes", "--help")
    assert re.search(r"scheme +dense .*one of dilute, dense", one)
    assert re.search(r"diameters +1 to 1000 um \(61\)", one)
    assert "temperatures" not in one
    assert "hmminfer predict MODEL --help" in command("predict", "--help")
    assert "Prediction moduli" in command("models", "fibre_composite")


def test_a_run_is_predicted_with_its_settings(folder, tmp_path):
    """The packing of the run from its folder, said so; the folder's prediction is that of its experiment."""
    tree = runs.load(folder).tree
    about = json.loads(tree["posterior"].attrs["settings"])
    assert (about["packing"], about["cell"], about["refine"]) == ("hexagonal", "reduced", 4)
    args = ("predict", "fibre_composite", "--posterior", folder, "--draws", "3", "--set", "angles=0,45 deg")
    out = command(*args)
    assert "Settings of the run: packing = hexagonal, cell = reduced, refine = 4" in out
    out = command(*args, "--set", "refine=2", "--set", "cell=full", "--output", tmp_path / "p.nc")
    assert "Settings of the run: packing = hexagonal\n" in out
    with xr.open_dataset(tmp_path / "p.nc", engine="h5netcdf") as result:
        assert (result.attrs["refine"], result.attrs["cell"], result.attrs["packing"]) == (2, "full", "hexagonal")
        assert result["angle"].values.tolist() == [0.0, 45.0]


def test_report(folder, tmp_path):
    out = command("report", folder, "--output", tmp_path / "report")
    assert "R-hat" in out
    assert (tmp_path / "report" / "report.txt").stat().st_size > 0


def test_a_preview_alone_is_saved_and_nothing_is_sampled(tmp_path):
    out = command("fit", "fibre_composite", "--preview", "--seed", "1", "--output", tmp_path / "run")
    assert "Preview (Gaussian approximation)" in out
    for name in ("posterior.nc", "summary.txt", "figure.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    tree = runs.load(tmp_path / "run").tree
    assert tree.attrs["method"] == "laplace"
    assert tree["posterior"].sizes == {"chain": 1, "draw": 1000}
    command("fit", "--run", tmp_path / "run", "--output", tmp_path / "again", "--quiet")
    assert posterior(tmp_path / "again").identical(posterior(tmp_path / "run"))
    assert "sampled by laplace; only nuts can go on" in command("extend", tmp_path / "run", code=1)
    assert tomllib.loads((tmp_path / "run" / "run.toml").read_text())["sampler"] == "laplace"


def test_a_preview_with_draws_comes_before_sampling(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "run", lambda recipe, *_, **__: asked.append(recipe) or sys.exit(0))
    out = command("fit", "fibre_composite", "--preview", "--draws", "10", "--seed", "1", "--output", tmp_path / "run")
    assert "Preview (Gaussian approximation)" in out
    assert (asked[0].sampler, asked[0].draws) == ("", 10)


def test_previews_come_before_sampling(tmp_path):
    args = ["--draws", "0", "--preview", "--prior-predictive", "--seed", "1", "--output", tmp_path / "none"]
    out = command("fit", "fibre_composite", *args)
    for text in ("LogNormal(280, 0.3)", "Prior predictive", "Preview", "2 separate modes", "chi2 / rows", "Nothing was sampled"):
        assert text in out
    assert not (tmp_path / "none").exists()


def test_a_killed_run_is_recovered(tmp_path):
    """SIGKILL while sampling: what was stored becomes the posterior."""
    args = ["fit", "fibre_composite", "--draws", "5000", "--tune", "40", "--chains", "2", "--seed", "1", "--quiet"]
    process = _sampling(tmp_path / "killed", args)
    process.send_signal(signal.SIGSTOP)  # few draws, so that the recovery is quick
    with pytest.raises(runs.HmmInferError, match="being sampled by another process"):
        runs.load(tmp_path / "killed")
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "posterior.nc").exists()
    run = runs.load(tmp_path / "killed", progress=False)
    assert run.recovered
    assert run.tree["posterior"].sizes["chain"] in (1, 2)  # chains that hold the most draws when cut to one length
    assert run.tree["posterior"].sizes["draw"] >= 16
    assert np.isfinite(run.tree["posterior"]["matrix_modulus"].values).all()
    assert len(posterior(run.folder)["draw"]) == run.tree["posterior"].sizes["draw"]
    assert not (run.folder / "draws.zarr").exists()
    assert not runs.load(tmp_path / "killed").recovered


@pytest.mark.parametrize("sent", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)], ids=["interrupt", "termination and an impatient interrupt"])
def test_an_interrupt_keeps_what_was_drawn(tmp_path, sent):
    args = ["fit", "fibre_composite", "--draws", "5000", "--tune", "40", "--chains", "2", "--seed", "1", "--quiet"]
    process = _sampling(tmp_path / "stopped", args)
    for sign in sent:
        process.send_signal(sign)
        time.sleep(0.05)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    assert "are kept and usable" in err
    assert "Traceback" not in err
    n = posterior(tmp_path / "stopped").sizes["draw"]
    assert 16 <= n < 5000
    assert str(n) in err


def _sampling(folder, args):
    """A process that has begun to store draws in every chain."""
    command_line = [sys.executable, "-m", "hmminfer", *args, "--output", str(folder)]
    process = subprocess.Popen(
        command_line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite run in the background hands down an ignored SIGINT
    )
    draws = folder / "draws.zarr" / "posterior" / "x" / "c"
    deadline = time.monotonic() + 250
    while not all((draws / chain / "1").exists() for chain in "01"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no draws in time"
        time.sleep(0.1)
    return process
