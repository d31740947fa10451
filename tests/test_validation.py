"""The claims of docs/validation.md stand beside the tests that hold them; here their numbers are compared with what those tests assert."""

import ast
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
    """(claim, test function, module) of every marker."""
    out = []
    for path in sorted(folder.rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for test in module.body:
            for mark in getattr(test, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.validates":
                    system, what = (ast.literal_eval(a) for a in mark.args)
                    named = {k.arg: ast.literal_eval(k.value) for k in mark.keywords}
                    where = f"tests/{path.relative_to(folder).as_posix()}::{test.name}"
                    out.append((Claim(system, what, named["against"], named["bar"], where), test, module))
    return out


def numbers_of(text):
    """Numbers of a bar as floats; those in % as shares."""
    return [float(number) * (0.01 if percent else 1.0) for number, percent in NUMBER.findall(text)]


def numbers_in(test, module):
    """Constants that a test, its other decorators, and the functions and constants of its file and of hmminfer.testing that it names, contain."""
    testing = ast.parse((TESTS.parent / "hmminfer" / "testing.py").read_text(encoding="utf-8"))
    own = [d for d in test.decorator_list if "validates" not in ast.unparse(d)] + [test.args, *test.body]
    names = {n.id for part in own for n in ast.walk(part) if isinstance(n, ast.Name)}
    for other in (*module.body, *testing.body):
        targets = [t.id for t in getattr(other, "targets", []) if isinstance(t, ast.Name)]
        if getattr(other, "name", None) in names - {test.name} or set(targets) & names:
            own.append(other)
    return {float(n.value) for part in own for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, int | float)}


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


def test_a_claim_that_its_test_does_not_hold_is_seen(tmp_path):
    text = "@pytest.mark.validates('all', 'a sum', against='arithmetic', bar='{}')\ndef test_sum():\n    assert abs(0.1 + 0.2 - 0.3) < 1e-9\n"
    file = tmp_path / "test_sum.py"
    file.write_text(text.format("1e-9"), encoding="utf-8")
    assert unfounded(tmp_path) == []
    for wrong in ("1e-10", "2 %"):
        file.write_text(text.format(wrong), encoding="utf-8")
        assert len(unfounded(tmp_path)) == 1


@pytest.mark.parametrize(("text", "numbers"), [("1.6e-4", [1.6e-4]), ("2 % (noise 1 %)", [0.02, 0.01]), ("order 4 (within 0.4)", [4.0, 0.4])])
def test_numbers_of_a_bar(text, numbers):
    assert numbers_of(text) == pytest.approx(numbers)
