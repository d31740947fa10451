"""Every notebook runs from top to bottom, as a script of its own, with fewer draws than a reader would take: it says how many."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
TESTED = re.compile(r"^DRAWS = .*# tested with (\d+)$", re.MULTILINE)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9]*.py")), ids=lambda p: p.stem)
@pytest.mark.timeout(900)
def test_notebook(path):
    cells = jupytext.read(path).cells
    assert cells[0].cell_type == "markdown"
    assert any(c.cell_type == "code" for c in cells)
    # a kernel would add seconds and hide nothing: the cells are run in order by the interpreter
    found = TESTED.search(path.read_text(encoding="utf-8"))
    env = {**os.environ, "MPLBACKEND": "Agg", **({"HMMINFER_NOTEBOOK_DRAWS": found[1]} if found else {})}
    result = subprocess.run([sys.executable, str(path)], env=env, capture_output=True, text=True, cwd=FOLDER, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
