"""To add a system nothing is edited beyond one line in the catalogue: the tutorial's system, put into a copy of the tree, is found everywhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hmminfer import models
from hmminfer.errors import HmmInferError

ROOT = Path(__file__).parent.parent
LINE = '    "packed_filter": "grain size and porosity of a bed of grains from how fast water falls through it",\n'
DATA = '# experiment = "falling_head"\nquantity,time [s],value,unit,sd\nhead,10,322,mm,3\nhead,30,134,mm,3\nporosity,,0.415,,0.01\n'
PAGE = """
import importlib.util
spec = importlib.util.spec_from_file_location("write", "docs/write.py")
write = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write)
print(write.page("packed_filter", write.claims()))
print(write.readme([]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree with the system among the models, and one line more in the catalogue."""
    copy = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.nb?")
    for folder in ("hmminfer", "models", "datasets", "tests", "docs", "notebooks"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=ignored)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    shutil.copy(ROOT / "notebooks" / "packed_filter.py", copy / "models")
    (copy / "models" / "packed_filter.csv").write_text(DATA, encoding="utf-8")
    catalogue = copy / "models" / "__init__.py"
    text = catalogue.read_text(encoding="utf-8")
    catalogue.write_text(text.replace("CATALOGUE = {\n", "CATALOGUE = {\n" + LINE), encoding="utf-8")
    return copy


def run(tree, *command):
    env = {**os.environ, "PYTHONPATH": str(tree), "NUMBA_CACHE_DIR": str(tree / "numba"), "HMMINFER_CACHE": str(ROOT / "build" / "cache")}
    done = subprocess.run([sys.executable, *command], cwd=tree, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return done.stdout


def test_one_line_is_all(tree):
    changed = subprocess.run(
        ["diff", "-rq", "--no-dereference", str(ROOT / "models"), str(tree / "models")], capture_output=True, text=True, check=False
    )
    lines = [line for line in changed.stdout.splitlines() if "__pycache__" not in line and "nb" not in line.rpartition(".")[2]]
    assert len(lines) == 3, lines  # the file, its data, and the catalogue
    one = subprocess.run(["diff", str(ROOT / "models/__init__.py"), str(tree / "models/__init__.py")], capture_output=True, text=True, check=False)
    assert [line for line in one.stdout.splitlines() if line[0] in "<>"] == [f"> {LINE}".rstrip("\n")]


@pytest.mark.timeout(900)
def test_contract_gradient_operator_and_layers_are_tested_without_a_line(tree):
    chosen = ["tests/engine/test_kernels.py", "tests/engine/test_operator.py", "-k", "packed_filter"]
    out = run(tree, "-m", "pytest", "-n", "0", "-q", *chosen)
    assert int(out.rpartition(" passed")[0].split()[-1]) >= 8, out
    assert "4 passed" in run(tree, "-m", "pytest", "-n", "0", "-q", "tests/test_layers.py", "-k", "packed_filter")


def test_commands_and_pages_know_it(tree):
    assert "packed_filter" in run(tree, "-m", "hmminfer", "models")
    assert "falling_head" in run(tree, "-m", "hmminfer", "models", "packed_filter")
    fitted = run(tree, "-m", "hmminfer", "fit", "packed_filter", "--draws", "40", "--tune", "40", "--chains", "1", "--seed", "1", "--output", "run")
    assert "grain_diameter" in fitted
    assert (tree / "run" / "figure.png").stat().st_size > 0
    assert "head" in run(tree, "-m", "hmminfer", "predict", "packed_filter", "--posterior", "run", "--set", "points=3")
    pages = run(tree, "-c", PAGE)
    assert "| `grain_diameter` | um | LogNormal(200, 0.7) |" in pages
    assert "docs/systems/packed_filter.md" in pages


def test_a_system_from_outside(tmp_path):
    """By its file; what is no system, or no file, or takes a name that is taken, is refused with a remedy."""
    with pytest.raises(HmmInferError, match=r"no file 'nothing\.py'; give the name of a system \(fibre_composite"):
        models.get("nothing.py")
    (tmp_path / "no_system.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(HmmInferError, match=r"declares no physical system; write EXPERIMENTS = "):
        models.get(str(tmp_path / "no_system.py"))
    (tmp_path / "json.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(HmmInferError, match=r"'json' is another module.*rename the file"):
        models.get(str(tmp_path / "json.py"))
    with pytest.raises(HmmInferError, match="taken by a system of the package"):
        models.register(models.get("heat_composite"))
    file = tmp_path / "my_filter.py"
    shutil.copy(ROOT / "notebooks" / "packed_filter.py", file)
    module = models.get(str(file))
    try:
        assert models.get("packed_filter") is module is models.get(str(file))
        assert "packed_filter" in models.names()
        assert models.describe()["packed_filter"].startswith("Packed filter: infer")
        (tmp_path / "copy").mkdir()
        shutil.copy(file, tmp_path / "copy" / "my_filter.py")
        assert models.get(str(tmp_path / "copy" / "my_filter.py")) is module, "the copy that a run keeps"
        (tmp_path / "copy" / "my_filter.py").write_text("x = 2\n", encoding="utf-8")
        with pytest.raises(HmmInferError, match="another module"):
            models.get(str(tmp_path / "copy" / "my_filter.py"))
    finally:
        models._registered.clear()
        sys.modules.pop("my_filter", None)
        sys.path.remove(str(tmp_path.resolve()))
