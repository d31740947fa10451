"""Imports go one way: read from the source, wing by wing in the order of docs/decisions/0006-wings.md, so that nothing needs to run.

    errors, units, terminal < engine < system < micro, macro < inference < figures < diagnostics < app;  models beside them

An import inside a function counts like any other. A name in text (a catalogue entry, a panel) is no import.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FACE = {"errors", "units", "terminal", "lazy"}  # beside the face, for everyone
ORDER = ["engine", "system", "micro macro", "inference", "figures", "diagnostics", "app"]
RANK = {wing: i for i, level in enumerate(ORDER) for wing in level.split()}
OF_MODELS = {"engine", "system", "micro", "macro", "inference", "figures"}  # what a physical system may import
PROBABILITY = {  # who knows of each library
    "pymc": {"inference/posterior", "inference/sampling", "inference/without_gradient", "inference/stochastic"},
    "nutpie": {"inference/callbacks", "inference/sampling", "inference/starts"},
    "pytensor": {"engine/operator", "inference/posterior", "inference/coordinates", "inference/callbacks"},
    "rich": {"terminal"},
    "pint": {"units"},
}


def sources(root=ROOT):
    """Every module of the package by its dotted name below hmminfer, models and datasets included."""
    out = {}
    for folder, prefix in (("hmminfer", ()), ("models", ("models",)), ("datasets", ("datasets",))):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            if prefix == () and parts[0] in ("models", "datasets"):
                continue  # the links
            parts = (*prefix, *parts)
            out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imports(name, path):
    """(module, line, at top level) of every import of a module, absolute; what is for type checkers alone does not run and does not count."""
    package = ["hmminfer", *name.split(".")] if path.name == "__init__.py" else ["hmminfer", *name.split(".")[:-1]]
    package = [p for p in package if p]
    out = []

    def visit(node, top):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            out.extend((alias.name, node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            out.extend((f"{module}.{alias.name}", node.lineno, top) for alias in node.names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return out


def ours(module, known):
    """The module of this package that an import loads, or None: a name inside a module is that module."""
    parts = module.split(".")
    if parts[0] != "hmminfer":
        return None
    for n in range(len(parts), 0, -1):
        if ".".join(parts[1:n]) in known:
            return ".".join(parts[1:n])
    raise AssertionError(f"{module} is no module of this package")


def wing(name):
    return name.split(".")[0]


def complaints(known, names=None):
    """Every import that goes against the wings, of all modules or of some."""
    out = []
    for name in names or known:
        path = known[name]
        own = wing(name)
        for module, line, _top in imports(name, path):
            where = f"{name}:{line} imports {module}"
            root = module.split(".")[0]
            if root in PROBABILITY and name.replace(".", "/") not in PROBABILITY[root]:
                out.append(f"{where}: {root} is known to {', '.join(sorted(PROBABILITY[root]))} only")
            other = ours(module, known)
            if other is None or wing(other) in FACE or (other == "" and module == "hmminfer.__version__"):
                continue
            to = wing(other)
            if own in FACE:
                out.append(f"{where}: what everyone may import imports nothing of the package")
            elif own == "datasets":
                if to not in ("system", "models", "datasets", *RANK):
                    out.append(where)
            elif own == "models":
                # the catalogue loads systems by name; a system is its own folder, and never another's
                if to not in OF_MODELS | {"models"} or (to == "models" and other.split(".")[:2] != name.split(".")[:2]):
                    out.append(f"{where}: a system imports {', '.join(sorted(OF_MODELS))} and its own folder")
            elif own == "testing":
                if to != "engine":
                    out.append(f"{where}: testing stands on the engine")
            elif own in ("", "__main__"):
                continue  # the face
            elif to in ("models", "datasets"):
                if not (own == "app" and other in ("models", "datasets")):
                    out.append(f"{where}: only app asks the catalogues")
            elif own not in RANK or to not in RANK:
                out.append(f"{where}: '{own}' or '{to}' is no wing of {' < '.join(ORDER)}")
            elif RANK[to] > RANK[own] or (RANK[to] == RANK[own] and to != own):
                out.append(f"{where}: upwards or sideways")
    return out


def circle(known):
    """A circle among the imports at any depth, with the packages that an import loads on its way; [] if there is none."""
    edges = {}
    for name, path in known.items():
        around = set(packages(name))  # loaded before the module, whatever it imports
        loaded = {ours(module, known) for module, _, _ in imports(name, path)} - {None}
        edges[name] = (loaded | {p for other in loaded for p in packages(other)} - around) - {name}
    done, path = set(), []

    def visit(node):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for other in sorted(edges[node]):
            if found := visit(other):
                return found
        path.pop()
        done.add(node)
        return []

    return next((found for name in sorted(edges) if (found := visit(name))), [])


def packages(name):
    """The packages around a module, the top one left out: it imports nothing when it is loaded."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


each_module = pytest.mark.parametrize("name", sources(), ids=lambda name: name or "hmminfer")


@each_module
def test_imports_go_with_the_wings(name):
    assert complaints(sources(), [name]) == []


def test_there_is_no_circle():
    assert circle(sources()) == []


@each_module
def test_what_is_private_stays_in_its_file(name):
    found = [module for module, _, _ in imports(name, sources()[name]) if module.startswith("hmminfer.")]
    assert [m for m in found if m.rpartition(".")[2].startswith("_") and not m.endswith("__")] == []


@each_module
def test_a_file_can_be_read_in_one_sitting(name):
    lines = len(sources()[name].read_text(encoding="utf-8").splitlines())
    assert lines <= (300 if wing(name) == "models" else 400)


@each_module
def test_docstrings_begin_with_what_they_describe(name):
    """A noun or a verb first: a sentence that begins with a question word must be read to its end before it says of what it speaks."""
    riddles = ("What ", "Whether ", "Which ", "Where ", "At ", "How ", "Who ", "When ")
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    nodes = (node for node in ast.walk(ast.parse(sources()[name].read_text(encoding="utf-8"))) if isinstance(node, kinds))
    assert [text.splitlines()[0] for node in nodes if (text := ast.get_docstring(node) or "").startswith(riddles)] == []


def test_no_module_hides_a_public_function():
    import hmminfer

    assert not {name for name in sources() if "." not in name} & (set(hmminfer.__all__) - {"models", "datasets", "figures"})


@pytest.fixture
def house(tmp_path):
    """A house of a few files, written by the test."""

    def write(**files):
        for wings in ["engine", "system", "micro", "macro", "inference", "models", "datasets"]:
            folder = tmp_path / (wings if wings in ("models", "datasets") else f"hmminfer/{wings}")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
        (tmp_path / "hmminfer" / "__init__.py").touch()
        for place, text in files.items():
            top = place.split("__")[0]
            (tmp_path / ("" if top in ("models", "datasets") else "hmminfer") / f"{place.replace('__', '/')}.py").write_text(text)
        return sources(tmp_path)

    return write


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        ("engine__a", "from hmminfer.system import b", "upwards"),
        ("micro__a", "from ..macro import b", "sideways"),
        ("macro__a", "def f():\n    from hmminfer.inference import b", "upwards"),
        ("system__a", "from hmminfer import models", "only app"),
        ("inference__a", "import rich.table", "known to terminal only"),
        ("models__a", "from hmminfer.models import b", "its own folder"),
    ],
)
def test_this_test_sees_what_it_must(house, place, text, said):
    files = {f"{w}__b": "" for w in ("engine", "system", "macro", "inference", "models")}
    found = complaints(house(**files, **{place: text}))
    assert len(found) == 1
    assert said in found[0]
    assert complaints(house(**files, **{place: "import numpy\nif TYPE_CHECKING:\n    from hmminfer.inference import b"})) == []


def test_a_circle_is_seen_through_packages(house):
    assert circle(house(system__a="from hmminfer.system import b", system__b="def f():\n    from hmminfer.system import a"))
    assert circle(house(system__a="import numpy", system__b="from hmminfer.system import a")) == []
    known = house(system__a="", system__b="from hmminfer.micro import c", micro__c="from hmminfer.system import a")
    assert circle(known) == []
    known["system"].write_text("from hmminfer.system import b")  # then a package loads what needs it
    assert circle(known)
