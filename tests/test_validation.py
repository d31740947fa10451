"""The claims of docs/validation.md stand beside the tests that hold them; here their numbers are compared with what those tests assert."""

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from hmminfer import models

TESTS = Path(__file__).parent
NUMBER = re.compile(r"(?<![\w.])(\d+\.?\d*(?:e[-+]?\d+)?)( %)?")


class Claim(NamedTuple):
    """A claim: of which system, what, held to what, within which bar, by which test."""

    system: str
    what: str
    against: str
    bar: str
    test: str


def claims(folder=TESTS):
    """All claims, in the order of files and lines."""
    return [claim for claim, _, _ in _found(folder)]


def _found(folder):
    """(claim, test function, module) of every marker; one that is not written as the others are is an error."""
    out = []
    for path in sorted(folder.rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        where = f"tests/{path.relative_to(folder).as_posix()}"
        unseen = {id(n) for n in ast.walk(module) if isinstance(n, ast.Attribute) and n.attr == "validates"}
        for test in module.body:
            for mark in getattr(test, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.validates":
                    unseen.discard(id(mark.func))
                    out.append((_claim(mark, f"{where}::{test.name}"), test, module))
        if unseen:
            raise ValueError(f"{where}: a claim stands as @pytest.mark.validates(...) over a function of the module, and nowhere else")
    return out


def _claim(mark, where):
    """Claim of a marker, its words read without running anything."""
    words = [*mark.args, *(k.value for k in mark.keywords)]
    names = [k.arg for k in mark.keywords]
    if len(mark.args) != 2 or names != ["against", "bar"] or not all(isinstance(w, ast.Constant) and isinstance(w.value, str) for w in words):
        raise ValueError(f"{where}: write validates(system, what, against=..., bar=...) with texts as they are")
    return Claim(*(w.value for w in words), where)


def numbers_of(text):
    """Numbers of a bar as floats; those in % as shares."""
    return [float(number) * (0.01 if percent else 1.0) for number, percent in NUMBER.findall(text)]


def numbers_in(test, module):
    """Constants that a test, its other decorators, and the functions and constants of its file and of hmminfer.testing that it names, contain."""
    own = [d for d in test.decorator_list if "validates" not in ast.unparse(d)] + [test.args, *test.body]
    names = {n.id for part in own for n in ast.walk(part) if isinstance(n, ast.Name)}
    for other in (*module.body, *_testing().body):
        targets = [t.id for t in getattr(other, "targets", []) if isinstance(t, ast.Name)]
        if getattr(other, "name", None) in names - {test.name} or set(targets) & names:
            own.append(other)
    return {float(n.value) for part in own for n in ast.walk(part) if isinstance(n, ast.Constant) and type(n.value) in (int, float)}


@functools.cache
def _testing():
    """Source of the checks that tests share: orders and tolerances are their defaults."""
    return ast.parse((TESTS.parent / "hmminfer" / "testing.py").read_text(encoding="utf-8"))


def unfounded(folder):
    """Claims with a number that their test does not hold."""
    out = []
    for claim, test, module in _found(folder):
        held = numbers_in(test, module)
        out += [f"{claim.test}: {n:g} of '{claim.bar}'" for n in numbers_of(claim.bar) if not any(abs(n - h) <= 1e-9 * abs(h) for h in held)]
    return out


def test_the_numbers_of_claims_are_those_of_their_tests():
    assert unfounded(TESTS) == []


def test_every_system_has_claims_and_none_is_said_twice():
    found = claims()
    for name in models.CATALOGUE:
        assert sum(c.system == name for c in found) >= 3, name
    assert {c.system for c in found} == {"all", *models.CATALOGUE}
    assert len({(c.system, c.what, c.against) for c in found}) == len(found)
    assert all(all(c) for c in found), "no word is missing"


def test_a_claim_that_its_test_does_not_hold_is_seen(tmp_path):
    text = "@pytest.mark.validates('all', 'a sum', against='arithmetic', bar='{}')\ndef test_sum():\n    assert abs(0.1 + 0.2 - 0.3) < 1e-9\n"
    file = tmp_path / "test_sum.py"
    file.write_text(text.format("1e-9"), encoding="utf-8")
    assert unfounded(tmp_path) == []
    for wrong in ("1e-10", "2 %"):
        file.write_text(text.format(wrong), encoding="utf-8")
        assert len(unfounded(tmp_path)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "BAR = '1e-9'\n@pytest.mark.validates('all', 'a sum', against='arithmetic', bar=BAR)\ndef test_sum(): ...\n",
        "@pytest.mark.validates('all', 'a sum', against='arithmetic', bar=1e-9)\ndef test_sum(): ...\n",
        "@pytest.mark.validates('all', 'a sum', 'arithmetic', '1e-9')\ndef test_sum(): ...\n",
        "class TestSum:\n    @pytest.mark.validates('all', 'a sum', against='arithmetic', bar='1e-9')\n    def test_sum(self): ...\n",
        "pytestmark = pytest.mark.validates('all', 'a sum', against='arithmetic', bar='1e-9')\n",
    ],
    ids=["a name", "a number", "no names of arguments", "in a class", "for a module"],
)
def test_a_claim_that_could_be_missed_is_an_error(tmp_path, text):
    (tmp_path / "test_sum.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="validates"):
        claims(tmp_path)


@pytest.mark.parametrize(
    ("body", "n"),
    [
        ("LIMIT = 1e-9\n{}    assert x < LIMIT\n", 0),
        ("def bound():\n    return 1e-9\n{}    assert x < bound()\n", 0),
        ("def other():\n    return 1e-9\n{}    assert x < 1e-8\n", 1),
        ("LIMIT = 1e-8\n{}    assert x < LIMIT\n", 1),
    ],
    ids=["a constant", "a helper", "a function that is not named", "another constant"],
)
def test_numbers_are_found_one_name_further(tmp_path, body, n):
    head = "@pytest.mark.validates('all', 'a sum', against='arithmetic', bar='1e-9')\ndef test_sum(x):\n"
    (tmp_path / "test_sum.py").write_text(body.format(head), encoding="utf-8")
    assert len(unfounded(tmp_path)) == n


@pytest.mark.parametrize(("text", "numbers"), [("1.6e-4", [1.6e-4]), ("2 % (noise 1 %)", [0.02, 0.01]), ("order 4 (within 0.4)", [4.0, 0.4])])
def test_numbers_of_a_bar(text, numbers):
    assert numbers_of(text) == pytest.approx(numbers)
