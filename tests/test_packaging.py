"""The built wheel, not the checkout: installed elsewhere and imported from elsewhere, it must hold everything."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

IMPORT_EVERYTHING = """
import importlib, pathlib, pkgutil, sys

target = pathlib.Path(sys.argv[1]).resolve()
import hmminfer, hmminfer.datasets, hmminfer.models

for package in (hmminfer, hmminfer.datasets, hmminfer.models):
    assert pathlib.Path(package.__file__).resolve().is_relative_to(target), package.__file__
modules = [module.name for module in pkgutil.walk_packages(hmminfer.__path__, "hmminfer.")]
for module in modules:
    importlib.import_module(module)
for name in hmminfer.datasets.names():
    hmminfer.datasets.describe(name)
    if (hmminfer.datasets.path(name) / "data.csv").exists():
        assert hmminfer.datasets.load(name).rows
print("version", hmminfer.__version__)
print("modules", *modules)
print("datasets", *hmminfer.datasets.names())
"""


def run(*command, cwd):
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Wheel built by way of the sdist, as a release is."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    return next(folder.glob("*.whl"))


def test_the_wheel_works_elsewhere(wheel, tmp_path):
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--no-index"]
    run(*pip, "--target", str(target), str(wheel), cwd=tmp_path)
    # -P and a path of our own, so that neither the current folder nor an editable install can be what is imported
    code = f"import sys; sys.path.insert(0, {str(target)!r})\n" + IMPORT_EVERYTHING
    out = dict(line.partition(" ")[::2] for line in run(sys.executable, "-P", "-c", code, str(target), cwd=tmp_path).splitlines())
    assert out["datasets"].split() == sorted(file.parent.name for file in ROOT.glob("datasets/*/provenance.toml"))
    files = [*(ROOT / "hmminfer").rglob("*.py"), *(ROOT / "models").rglob("*.py")]
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    assert {"hmminfer/py.typed", "hmminfer/app/defaults_0_1_0.toml"} <= in_wheel
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        assert (name if name.startswith("hmminfer/") else f"hmminfer/{name}") in in_wheel


def test_the_benchmarks_can_be_asked():
    """They are run by hand and take long: that they can be imported and know their cases is seen here."""
    said = run(sys.executable, "-m", "benchmarks", "--help", cwd=ROOT)
    for name in ("ess_vs_jax", "many_cells", "gel_gradient_cost", "stiff_speedup", "tissue_speedup"):
        assert name in said
