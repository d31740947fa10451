"""Compiled code never outlives its source: an edit in a function of another file changes the answer, and taking it back changes it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hmminfer
from hmminfer.engine.native import compiled

ROOT = Path(hmminfer.__file__).parent


def run(folder: Path, script: str) -> float:
    """The number that a new process prints, whose modules and compiled code are in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT.parent)]), "NUMBA_CACHE_DIR": str(folder / "numba")}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_an_edit_in_a_callee_of_another_file_is_seen_and_so_is_its_return(tmp_path):
    head = "from hmminfer.engine.native import compiled\n"
    helper = tmp_path / "helper.py"
    source = f"{head}FACTOR = 2.0\n\n@compiled\ndef inner(x):\n    return FACTOR * x\n\n@compiled\ndef middle(x):\n    return inner(x)\n"
    helper.write_text(source)
    (tmp_path / "caller.py").write_text(f"import helper\n{head}\n@compiled\ndef outer(x):\n    return helper.middle(x)\n")
    ask = "import caller; print(caller.outer(3.0))"
    assert run(tmp_path, ask) == 6.0
    edit(helper, "FACTOR * x", "FACTOR * x + 1.0")
    assert run(tmp_path, ask) == 7.0, "code of a callee"
    edit(helper, "FACTOR = 2.0", "FACTOR = 5.0")
    assert run(tmp_path, ask) == 16.0, "a constant that a callee names"
    helper.write_text(source)
    assert run(tmp_path, ask) == 6.0, "back again"


def test_an_edit_inside_the_package_reaches_the_kernels_that_call_it(tmp_path):
    shutil.copytree(ROOT, tmp_path / "hmminfer", ignore=shutil.ignore_patterns("__pycache__", "datasets"))
    ask = (
        "import numpy as np; from hmminfer.macro.coupons import long_coupons\n"
        "kernel = long_coupons(np.zeros(1), np.zeros(1), np.zeros(1)); print(kernel(kernel.example)[0])"
    )
    before = run(tmp_path, ask)
    edit(tmp_path / "hmminfer" / "macro" / "lamina.py", "s[i, j] = full[", "s[i, j] = 1.1 * full[")
    assert run(tmp_path, ask) == pytest.approx(before / 1.1, rel=1e-12)


def test_every_compiled_function_is_found_by_its_fingerprint():
    files = [f for wing in ("engine", "system", "micro", "macro", "inference", "models") for f in (ROOT / wing).rglob("*.py")]
    blind = [f.name for f in files if "cache=True" in f.read_text() and f.name != "native.py"]
    assert not blind, "numba's own cache does not see edits in other files; use compiled of engine/native.py"


def test_a_name_that_is_not_defined_yet_is_refused():
    def early(x):
        return not_there(x)  # noqa: F821

    with pytest.raises(NameError, match="compiled before not_there is defined"):
        compiled(early)
