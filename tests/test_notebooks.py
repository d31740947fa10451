"""Every notebook runs from top to bottom, as a script of its own, with fewer draws than a reader would take."""

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
DRAWS = {
    "01_first_fit": 300,
    "03_plate_dic": 200,
    "04_tow_steered_plate": 60,
    "05_two_modes": 300,
    "06_heat_in_a_composite": 120,
    "07_proton_conductor": 120,
    "08_thermoelastic_strip": 60,
    "09_stiff_reactor": 30,
    "10_morphogen": 60,
    "11_swelling_gel": 60,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9]*.py")), ids=lambda p: p.stem)
@pytest.mark.timeout(900)
def test_notebook(path):
    cells = jupytext.read(path).cells
    assert cells[0].cell_type == "markdown"
    assert any(c.cell_type == "code" for c in cells)
    # a kernel would add seconds and hide nothing: the cells are run in order by the interpreter
    env = {**os.environ, "MPLBACKEND": "Agg", "HMMINFER_NOTEBOOK_DRAWS": str(DRAWS.get(path.stem, 200))}
    result = subprocess.run([sys.executable, str(path)], env=env, capture_output=True, text=True, cwd=FOLDER, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
