"""Write what is found, not listed: the pages of the systems, the table of the README and the validation page.

    make docs                                   texts
    make docs ARGS="--pictures"                 texts, and a figure of each system's first experiment (a fit each: some minutes)
    make docs ARGS="--pictures swelling_gel"    texts, and the figure of one

A test compares the texts with the files.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hmminfer import datasets, models
from hmminfer.system.shown import prior_text, story

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- systems: written by make docs -->", "<!-- end of systems -->"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(x).replace("|", "\\|").replace("\n", " ") for x in row) + " |" for row in lines)


def claims() -> list[Any]:
    """The claims that tests hold, see tests/test_validation.py."""
    spec = importlib.util.spec_from_file_location("claims_of_tests", ROOT / "tests" / "test_validation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.claims()


def title(module: Any) -> tuple[str, str]:
    """Name and purpose of a system, from the first line of its docstring: "Heat in a composite: infer ..."."""
    name, _, purpose = (module.__doc__ or "").strip().partition("\n")[0].partition(":")
    return name, purpose.strip()


def page(name: str, held: list[Any]) -> str:
    """The page of one system."""
    module = models.get(name)
    head, purpose = title(module)
    told = story(module.__doc__).partition("\n")[2].strip("\n")
    parts = [f"# {head}", f"`{name}`: {purpose[:1].upper()}{purpose[1:]}"]
    if (ROOT / "docs" / "systems" / f"{name}.png").exists():
        first = next(iter(module.EXPERIMENTS.values()))
        parts.append(f"![A fit of {first.dataset}]({name}.png)\n\n*`hmminfer fit {name}`: the dataset `{first.dataset}`, {first.description}.*")
    parts.append(f"```text\n{told}\n```")
    rows = [
        [
            f"`{k}`",
            e.description,
            ", ".join(f"{q} [{u}]" if u else q for q, u in e.schema.quantities.items()),
            f"`{e.dataset}`",
            ", ".join(f"`{p}`" for p in e.predictions),
        ]
        for k, e in module.EXPERIMENTS.items()
    ]
    parts += ["## Experiments", table(["experiment", "", "measured", "dataset", "predictions"], rows)]
    for key, e in module.EXPERIMENTS.items():
        if e.schema.settings:
            parts += [f"Settings of `{key}`", table(["setting", "default", ""], [[f"`{s.name}`", s.shown, s.facts] for s in e.schema.settings])]
    parts.append("## Parameters")
    seen: dict[str, list[str]] = {}
    for key, e in module.EXPERIMENTS.items():
        model = e.model()
        rows = [
            [f"`{p.name}`", p.unit, f"fixed: {model.fixed[p.name]:g}" if p.name in model.fixed else prior_text(p), p.description]
            for p in model.parameters
            if not p.nuisance
        ]
        seen.setdefault(table(["parameter", "unit", "prior", ""], rows), []).append(f"`{key}`")
    parts += [f"Of {', '.join(keys)}, with its default dataset\n\n{text}" for text, keys in seen.items()]
    parts.append("## Predictions")
    for key, p in module.PREDICTIONS.items():
        parts += [f"`{key}`: {p.description}", table(["setting", "default", ""], [[f"`{s.name}`", s.shown, s.facts] for s in p.settings])]
    used = {n: datasets.describe(n) for n in datasets.names() if belongs(n, module)}
    parts += ["## Data", table(["dataset", "", "source"], [[f"`{n}`", d["title"], d.get("source", "")] for n, d in used.items()])]
    own = [c for c in held if c.system == name]
    if own:
        parts += ["## Held to", validation(own)]
    if found := [p.name for p in sorted((ROOT / "notebooks").glob("[0-9]*.py")) if name in p.read_text(encoding="utf-8")]:
        parts += ["## Notebooks", ", ".join(f"[{n}](../../notebooks/{n})" for n in found)]
    return "\n\n".join(parts) + "\n"


def belongs(dataset: str, module: Any) -> bool:
    """True if a dataset belongs to a system: it names one of its experiments and holds only quantities of that experiment."""
    if not (datasets.path(dataset) / "data.csv").exists():
        return False
    raw = datasets.load(dataset)
    experiment = module.EXPERIMENTS.get(raw.settings.get("experiment", ""))
    return experiment is not None and {row["quantity"] for row in raw.rows} <= experiment.schema.quantities.keys()


def validation(held: list[Any]) -> str:
    """Claims as a table."""
    rows = [[c.what, c.against, c.bar, f"`{c.test.removeprefix('tests/')}`"] for c in held]
    return table(["", "held to", "within", "by the test"], rows)


def validation_page(held: list[Any]) -> str:
    """All claims, system by system."""
    parts = [
        "# Validation",
        "Each row is a claim that a test holds, with the bound that the test enforces; the claims stand beside the tests (`@pytest.mark.validates`), and a "
        "test compares their numbers with the assertions. Written by `make docs`.",
    ]
    for name in ["all", *models.CATALOGUE]:
        own = [c for c in held if c.system == name]
        if own:
            parts += [f"## {'Every kernel and every posterior' if name == 'all' else title(models.get(name))[0]}", validation(own)]
    return "\n\n".join(parts) + "\n"


def readme(held: list[Any]) -> str:
    """The README with the table of the systems as it is now: one picture and one line each."""
    cells = []
    for name in models.CATALOGUE:
        head, purpose = title(models.get(name))
        picture = f'<img src="docs/systems/{name}.png" width="260" alt="{head}">' if (ROOT / "docs" / "systems" / f"{name}.png").exists() else ""
        cells.append(f"| {picture} | **[{head}](docs/systems/{name}.md)** `{name}`<br>{purpose[:1].upper()}{purpose[1:]} |")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    body = "\n".join([BEGIN, "", "| | |", "|---|---|", *cells, "", END])
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: body, text, flags=re.DOTALL)


def texts() -> dict[Path, str]:
    """Every file that is written, with its text."""
    held = claims()
    pages = {ROOT / "docs" / "systems" / f"{name}.md": page(name, held) for name in models.CATALOGUE}
    return {**pages, ROOT / "docs" / "validation.md": validation_page(held), ROOT / "README.md": readme(held)}


def picture(name: str) -> None:
    """The figure of a fit of a system's first experiment, small enough for a page."""
    from hmminfer import fit
    from hmminfer.figures import posterior_figure

    model = next(iter(models.get(name).EXPERIMENTS.values())).model()
    tree = fit(model, draws=500, tune=500, chains=4, seed=1, progress=True)
    posterior_figure(tree, model).savefig(ROOT / "docs" / "systems" / f"{name}.png", dpi=70)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write pages of the systems, the table of the README and the validation page.")
    parser.add_argument("--pictures", nargs="*", choices=[*models.CATALOGUE, []], metavar="NAME", help="draw the figures of these systems, or of all")
    chosen = parser.parse_args().pictures
    for name in [] if chosen is None else chosen or models.CATALOGUE:
        picture(name)
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
