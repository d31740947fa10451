"""Write the synthetic datasets. Run: python -m hmminfer.datasets.make_synthetic FOLDER

Each file ``synthetic_*.py`` beside this one holds some of them: ``WRITERS``, name -> function that returns the table and its provenance, and
``TESTED``, the names that a test writes again and compares (the others take longer and share their code). The truth is computed on meshes, cells and
steps at least twice finer than those of any model that fits the data (no inverse crime); noise and seed are recorded in each provenance.toml.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from hmminfer.system.tables import RawTable, write_table

Writer = Callable[[], tuple[RawTable, str]]


def scripts() -> list[ModuleType]:
    """The files that write synthetic datasets."""
    found = sorted(file.stem for file in Path(__file__).parent.glob("synthetic_*.py"))
    return [importlib.import_module(f"hmminfer.datasets.{name}") for name in found]


def writers() -> dict[str, Writer]:
    """The writer of every synthetic dataset."""
    return {name: write for script in scripts() for name, write in script.WRITERS.items()}


def main(folder: str) -> None:
    """Write every synthetic dataset below ``folder``; existing files are not overwritten."""
    for name, write in writers().items():
        raw, text = write()
        path = Path(folder) / name
        path.mkdir(parents=True, exist_ok=True)
        write_table(path / "data.csv", raw, remarks=("Synthetic, see provenance.toml.",))
        (path / "provenance.toml").write_text(text)
        print(f"{path}: {len(raw.rows)} rows")


if __name__ == "__main__":
    main(sys.argv[1])
