"""Imports go one way, and few files know of PyMC, PyTensor and nutpie: read from the source, so that nothing needs to run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# what each layer may import of the package, beside the leaves that anyone may: a module not listed here fails the test
LEAVES = {"errors", "units", "progress", "cache"}
RANK = {
    "errors": 0,
    "units": 1,
    "cache": 1,
    "progress": 1,
    "tables": 2,
    "data": 3,
    "native": 2,
    "parameters": 3,
    "kernel": 3,
    "linalg": 4,
    "line": 4,
    "likelihood": 4,
    "simulation": 4,
    "law": 5,
    "closure": 5,
    "micro": 6,
    "macro": 6,
    "coupling": 7,
    "accuracy": 7.5,
    "model": 8,
    "experiment": 9,
    "models": 11,
    "operator": 9,
    "testing": 9,
    "discrepancy": 9,
    "homogenisation": 9,
    "grid_posterior": 10,
    "datasets": 9,
    "modes": 8,
    "axial": 9,
    "results": 9,
    "prediction": 12,
    "callbacks": 10,
    "problem": 10,
    "coordinates": 11,
    "posterior": 12,
    "stochastic": 13,
    "inference": 14,
    "recipe": 15,
    "montecarlo": 10,
    "sensitivity": 14,
    "calibration": 15,
    "diagnostics": 16,
    "panels": 17,
    "specimen": 18,
    "figures": 19,
    "sampling_figures": 19,
    "runs": 20,
    "console": 20,
    "cli": 21,
    "__main__": 22,
}
# lazily, inside functions, a lower layer may reach up for convenience: the doors are listed
DOORS = {("model", "operator"), ("experiment", "datasets"), ("model", "inference"), ("diagnostics", "figures"), ("diagnostics", "sampling_figures")}
PROBABILITY = {"pymc", "pytensor", "nutpie", "arviz"}
PROBABILISTIC = {
    "operator",
    "callbacks",
    "coordinates",
    "posterior",
    "inference",
    "stochastic",
    "results",
    "axial",
    "sensitivity",
    "calibration",
    "panels",
    "specimen",
    "sampling_figures",
    "diagnostics",
    "figures",
    "recipe",
    "runs",
    "console",
    "cli",
}


def files():
    found = [p for p in (ROOT / "hmminfer").glob("*.py") if p.name != "__init__.py"]
    for folder in ("micro", "macro"):
        found += (ROOT / "hmminfer" / folder).glob("*.py")
    found += [p for p in (ROOT / "models").glob("*.py") if p.name != "__init__.py"]
    return sorted(found)


def layer(path):
    folder = path.parent.name
    return folder if folder in ("micro", "macro", "models") else path.stem


def imports(path):
    """(module, at top level, line) of every import, absolute names; TYPE_CHECKING blocks do not run and do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["hmminfer"] + ([path.parent.name] if path.parent.name in ("micro", "macro", "models", "datasets") else [])
    out = []

    def visit(node, top):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            out.extend((alias.name, top, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            out.append((module, top, node.lineno))
            out.extend((f"{module}.{alias.name}", top, node.lineno) for alias in node.names if module.startswith("hmminfer"))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(tree, True)
    return out


def target(module):
    """Layer of an absolute module name of this package, or None."""
    parts = module.split(".")
    if parts[0] != "hmminfer" or len(parts) < 2:
        return None
    return parts[1] if parts[1] in RANK else None


@pytest.mark.parametrize("path", files(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_imports_go_one_way(path):
    own = layer(path)
    assert own in RANK, f"{path.name} is a new layer: say in tests/test_layers.py where it stands"
    for module, top, line in imports(path):
        other = target(module)
        if other is None or other == own:
            continue
        if other in LEAVES:
            continue
        where = f"{path.name}:{line} imports {module}"
        if (own, other) in DOORS:
            assert not top, f"{where} at module level; this door opens lazily only"
            continue
        assert RANK[other] < RANK[own], f"{where}: upwards or sideways"
        if own in ("micro", "macro"):
            assert other not in ("micro", "macro"), f"{where}: micro and macro do not know each other"


def test_every_name_that_is_imported_from_the_package_is_a_known_layer():
    """Else a rename would silently leave the test above without anything to check."""
    known = set(RANK) | {"__version__", "models", "datasets"}
    for path in files():
        for module, _, line in imports(path):
            parts = module.split(".")
            if parts[0] == "hmminfer" and len(parts) == 2:
                assert parts[1] in known, f"{path.name}:{line} imports {module}"


@pytest.mark.parametrize("path", files(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_probability_stays_above_physics(path):
    own = layer(path)
    for module, _top, line in imports(path):
        root = module.split(".")[0]
        where = f"{path.name}:{line} imports {module}"
        if root == "pytensor":
            # the operator is the one door; coordinates, priors and likelihood are written in PyTensor's tensors
            assert own in ("operator", "posterior") or (own == "coordinates" and module.startswith("pytensor.tensor")), where
        if root == "pymc":
            assert own in ("posterior", "inference", "stochastic"), where
        if root == "nutpie":
            assert own in ("callbacks", "inference"), where
        if root in PROBABILITY:
            assert own in PROBABILISTIC, where


def test_models_never_import_each_other():
    systems = {p.stem for p in (ROOT / "models").glob("*.py") if p.name != "__init__.py"}
    for path in (ROOT / "models").glob("*.py"):
        for module, top, line in imports(path):
            parts = module.split(".")
            if path.name == "__init__.py":
                assert not (top and parts[-1] in systems), f"__init__.py:{line} loads {module} eagerly"
            elif parts[:2] == ["hmminfer", "models"]:
                assert not systems & set(parts[2:]) - {path.stem}, f"{path.name}:{line} imports {module}"


def test_the_parser_of_this_test_sees_what_it_must(tmp_path):
    (tmp_path / "micro").mkdir()
    file = tmp_path / "micro" / "cell.py"
    file.write_text(
        "from ..macro import lamina\nfrom .. import operator\nfrom . import phases\n"
        "def f():\n    import pymc.math\nif TYPE_CHECKING:\n    from ..model import Model\n"
    )
    found = {(module, top) for module, top, _ in imports(file)}
    assert ("hmminfer.macro", True) in found
    assert ("hmminfer.operator", True) in found
    assert ("hmminfer.micro.phases", True) in found
    assert ("pymc.math", False) in found
    assert not any("Model" in module for module, _ in found)
    with pytest.raises(AssertionError, match=r"do not know each other|upwards or sideways"):
        test_imports_go_one_way(file)
    with pytest.raises(AssertionError, match="imports pymc"):
        test_probability_stays_above_physics(file)
