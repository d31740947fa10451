"""Run files: every entry has a type and a range, and whatever a file holds, it is read or refused in a sentence."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmminfer.app.entries import ENTRIES
from hmminfer.app.recipe import Recipe
from hmminfer.errors import HmmInferError
from hmminfer.system.tables import toml

MODEL = 'model = "fibre_composite"\n'
REFUSED = {  # lines of a file -> what the sentence must hold
    "chains = 1e400": "chains is inf",
    "chains = {}": "chains is {}",
    "versions = []": "versions is []",
    "tune = 1e400": "tune is inf",
    "seed = [[1]]": "seed is [[1]]",
    "seed = -1": "seed is -1; give a whole number of at least 0",
    "seed = 99999999999999999999999": "between 0 and 2^63 - 1",
    "draws = true": "draws is True",
    "draws = 10.5": "draws is 10.5",
    "experiment = ['coupons']": "experiment is ['coupons']",
    "settings = [1]": "settings is [1]; give a table",
    "settings = {temperature = {a = 1}}": "settings.temperature is {'a': 1}",
    "settings = {temperature = 1979-05-27}": "settings.temperature is 1979-05-27",
    "priors = 3": "priors is 3",
    "priors = {matrix_modulus = 3}": "priors.matrix_modulus is 3",
    "fixed = [1]": "fixed is [1]",
    "fixed = {matrix_modulus = ['a']}": "fixed.matrix_modulus[0] is 'a'",
    "noise = [{a = 1}]": "noise[0] is {'a': 1}",
    "noise = {youngs_modulus = [1]}": "noise.youngs_modulus is [1]",
    "data = 3": "data is 3",
    "options = 3": "options is 3",
    "extensions = [1]": "extensions[0] is 1",
    "extensions = [{draws = 3}]": "extensions[0] has no seed",
    "extensions = [{draws = 3, seed = 1, tune = 3}]": "Unknown entry of extensions[0] 'tune'",
    "resolved = {settngs = {}}": "Did you mean 'settings'?",
    "target_accept = 1": "target_accept is 1; give a rate",
    'data = "a\\u0000b"': "characters that can be written",
}


@pytest.mark.parametrize("line", REFUSED)
def test_an_entry_of_another_kind_is_named(line, tmp_path):
    (tmp_path / "run.toml").write_text(MODEL + line)
    with pytest.raises(HmmInferError, match="In the run file") as said:
        Recipe.read(tmp_path)
    assert REFUSED[line] in str(said.value)


def test_the_command_line_and_python_are_checked_alike():
    with pytest.raises(HmmInferError, match="seed is -1"):
        Recipe("fibre_composite", seed=-1)
    with pytest.raises(HmmInferError, match="model is 3"):
        Recipe(3)  # type: ignore[arg-type]


def test_every_field_of_a_recipe_has_its_entry():
    assert list(ENTRIES) == list(Recipe.__dataclass_fields__)


def test_a_name_too_long_for_the_system_is_no_file(tmp_path):
    with pytest.raises(HmmInferError, match="There is no run file"):
        Recipe.read("a" * 5000)
    (tmp_path / "run.toml").write_text(f'model = "{"a" * 5000}"')
    with pytest.raises(HmmInferError, match=r"Unknown model 'aaa.{40,60}aaa'"):
        Recipe.read(tmp_path)


def test_two_files_of_one_name_are_both_kept(tmp_path):
    from hmminfer.app.recipe import _copied

    copies: dict = {}
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "my.csv").write_text(name)
    kept = [_copied(tmp_path / name / "my.csv", tmp_path / "data", copies).read_text() for name in "aab"]
    assert kept == ["a", "a", "b"]


scalars = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from(["coupons", "3 GPa", "nuts", "0.1.0", "Normal(3, 1)", 10**400, 1e308, "../run.toml"]),
    st.dates(),
    st.datetimes(),
)
names = st.sampled_from([*ENTRIES, "options", "as", "draws", "matrix_modulus", "cell", "x"])
junk = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6)


def written(value):
    """A value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if isinstance(value, datetime.date) else toml(value)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(names, junk, min_size=1, max_size=3))
def test_whatever_a_run_file_holds_is_read_or_refused(tmp_path_factory, entries):
    folder = tmp_path_factory.getbasetemp()
    (folder / "run.toml").write_text("".join(f"{k} = {written(v)}\n" for k, v in ({"model": "fibre_composite"} | entries).items()), encoding="utf-8")
    try:
        recipe = Recipe.read(folder / "run.toml")
    except HmmInferError:
        return
    (folder / "again.toml").write_text(recipe._text(folder), encoding="utf-8")
    assert Recipe.read(folder / "again.toml").seed == recipe.seed  # what is accepted can be written, and read again
