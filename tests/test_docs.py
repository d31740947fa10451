"""The pages that are written are those that lie there, and what the README says can be done."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hmminfer import models

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("docs_write", ROOT / "docs" / "write.py")
write = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write)


@pytest.fixture(scope="module")
def texts():
    return write.texts()


def test_pages_are_as_written(texts):
    old = [str(path.relative_to(ROOT)) for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert old == [], "run make docs"


def test_every_system_has_its_page_its_picture_and_its_line(texts):
    readme = texts[ROOT / "README.md"]
    for name in models.CATALOGUE:
        assert f"docs/systems/{name}.md" in readme
        assert f"docs/systems/{name}.png" in readme
        assert f"]({name}.png)" in texts[ROOT / "docs" / "systems" / f"{name}.md"]


@pytest.mark.parametrize(
    "page", sorted(p for p in ROOT.glob("**/*.md") if not {".venv", ".venv-locked", "build"} & set(p.parts)), ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_can_be_read_in_three_minutes():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|<img[^>]*>|^    .*$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) < 3 * 230  # words a minute


def test_the_snippet_of_the_readme_runs(tmp_path):
    """As it stands, with few draws and a template for the file."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    code = code.replace("seed=1)", "seed=1, draws=20, tune=20, chains=1, progress=False)").replace(
        "report(posterior)", "report(posterior, show=False)"
    )
    code = code.replace("draws=50)", "draws=2, progress=False)").replace(".predict(posterior)", ".predict(posterior, progress=False)")
    assert code.count("progress=False") == 3
    (tmp_path / "my.csv").write_text(models.get("fibre_composite").EXPERIMENTS.coupons.schema.template(), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
