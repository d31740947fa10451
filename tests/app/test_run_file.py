"""A run file says everything: repeated, it gives its run whatever the defaults have become; files of 0.1.0 keep the defaults of then."""

import tomllib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from hmminfer import models
from hmminfer.app import folder as runs
from hmminfer.app.recipe import Recipe
from hmminfer.engine.kernel import Kernel
from hmminfer.errors import HmmInferError
from hmminfer.inference import noise as noises
from hmminfer.system.parameters import ParameterSet
from hmminfer.system.priors import LogNormal, Normal, parse_prior

FILMS = {"settings": {"water": "levels", "lowest_humidity": "90 %"}, "priors": {"interface_thickness": "LogNormal(40 nm, 0.7)"}, "noise": "infer"}
OLD = """
model = "fibre_composite"
experiment = "coupons"
dataset = "raghavan_meshii"
discrepancy = "none"
draws = 50
tune = 50
chains = 1
seed = 3
target_accept = 0.8
sampler = "nuts"

[options]
packing = "square"
cell = "full"

[settings]
hidden = "none"

[fixed]
volume_fraction = "0.6"
"""


def laws(problem):
    """All that decides the posterior, beside the data: priors of the unknowns, fixed values, noise, and the answer at one place."""
    kernel = problem.model.kernel
    assert isinstance(kernel, Kernel)
    return ({p.name: (p.prior, p.unit) for p in problem.free}, dict(problem.model.fixed), problem.sd.tolist(), kernel(kernel.example).tolist())


def written(recipe, folder):
    folder.mkdir()
    recipe.write(folder)
    return tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))


def test_every_default_is_said(tmp_path):
    found = written(Recipe("proton_conductor", experiment="films", seed=1, **FILMS), tmp_path / "run")
    recipe = Recipe.read(tmp_path / "run")
    schema = models.get("proton_conductor").EXPERIMENTS["films"].schema
    assert found["resolved"]["settings"].keys() == {s.name for s in schema.settings}
    assert found["resolved"]["noise"] == "infer(3%)"
    unknown = {p.name: p for p in recipe.problem.free}
    assert found["resolved"]["priors"].keys() == unknown.keys()
    assert {"noise_scale_conductivity", "interface_thickness"} <= unknown.keys()
    for name, text in found["resolved"]["priors"].items():
        assert parse_prior(text, unknown[name].unit) == unknown[name].prior, name
    assert found["resolved"].get("fixed", {}).keys() == set(recipe.problem.model.fixed)
    assert found["priors"] == FILMS["priors"]  # what was given stands as it was given


@pytest.mark.parametrize(
    "choices",
    [
        {"model": "proton_conductor", "experiment": "films", **FILMS},
        {
            "model": "fibre_composite",
            "experiment": "plate",
            "dataset": "tow_steered_plate",
            "settings": {"field_x": 3, "field_y": 2, "cell": "full", "refine": 1},
        },
        {"model": "heat_composite", "discrepancy": "extra", "fixed": {"matrix_conductivity": "221 W/m/K"}, "noise": {"conductivity": "9 W/m/K"}},
        {"model": "morphogen_tissue", "experiment": "counts", "settings": {"nodes": 7}},
    ],
    ids=lambda c: c["model"],
)
def test_a_run_file_settles_what_was_settled(choices, tmp_path):
    first = Recipe(seed=1, **choices)
    written(first, tmp_path / "run")
    assert laws(Recipe.read(tmp_path / "run").problem) == laws(first.problem)


def with_other_defaults(monkeypatch, system, experiment):
    """The system as a later version may have it: another prior, another fixed value, another default of a setting, another rule of noise."""
    exp = models.get(system).EXPERIMENTS[experiment]
    build = exp.build

    def other(table, **python):
        model = build(table, **python)
        changed = tuple(
            replace(p, prior=LogNormal(p.prior.median * 1.5, p.prior.sigma)) if isinstance(p.prior, LogNormal) else p for p in model.parameters
        )
        return replace(model, parameters=ParameterSet(changed), fixed={k: 0.9 * v for k, v in model.fixed.items()})

    other.__module__ = build.__module__
    monkeypatch.setattr(exp, "build", other)
    settings = tuple(
        replace(s, default=3) if s.name == "refine" else replace(s, default="dilute") if s.name == "scheme" else s for s in exp.schema.settings
    )
    assert settings != exp.schema.settings
    monkeypatch.setattr(exp, "schema", replace(exp.schema, settings=settings))
    monkeypatch.setattr(noises, "ASSUMED", 0.05)


@pytest.mark.parametrize(
    "choices",
    [
        {"model": "fibre_composite", "settings": {"cell": "full"}, "fixed": {"fibre_shear_modulus": "25 GPa"}},
        {"model": "heat_composite", "noise": "infer"},
    ],
    ids=lambda c: c["model"],
)
def test_new_defaults_change_no_old_run(choices, tmp_path, monkeypatch):
    first = Recipe(seed=1, **choices)
    written(first, tmp_path / "run")
    before = laws(first.problem)
    with_other_defaults(monkeypatch, choices["model"], first._name)
    assert laws(Recipe.read(tmp_path / "run").problem) == before
    assert laws(Recipe(seed=1, **choices).problem) != before  # the change is one that matters
    (tmp_path / "old.toml").write_text((tmp_path / "run" / "run.toml").read_text().partition("[resolved]")[0], encoding="utf-8")
    assert laws(Recipe.read(tmp_path / "old.toml").problem) == before, "a file of 0.1.0, which says no defaults"


def test_what_is_given_comes_before_what_was_resolved(tmp_path):
    """A copy of a run file may be edited: a prior frees a value that was fixed, a value fixes what had a prior, a setting replaces the default."""
    written(Recipe("fibre_composite", settings={"cell": "full", "refine": 2}, seed=1), tmp_path / "run")
    text = (tmp_path / "run" / "run.toml").read_text(encoding="utf-8")
    text = text.replace("[resolved]", '[priors]\nmatrix_poisson = "Normal(0.36, 0.01)"\n\n[fixed]\nmatrix_modulus = "3.5 GPa"\n\n[resolved]', 1)
    (tmp_path / "edited.toml").write_text(text.replace('"cell" = "full"', '"cell" = "full"\npacking = "square"', 1), encoding="utf-8")
    problem = Recipe.read(tmp_path / "edited.toml").problem
    unknown = {p.name: p.prior for p in problem.free}
    assert unknown["matrix_poisson"] == Normal(0.36, 0.01)
    assert problem.model.fixed["matrix_modulus"] == 3.5
    assert problem.model.about["packing"] == "square"


def test_a_file_of_the_first_version_is_understood(tmp_path):
    """Packing and cell were options then; what its table does not know follows from the settings: a square packing holds fewer fibres."""
    (tmp_path / "run.toml").write_text(OLD, encoding="utf-8")
    recipe = Recipe.read(tmp_path)
    model = recipe.problem.model
    assert model.about["packing"] == "square"
    assert model.about["cell"] == "full"
    assert model.fixed["volume_fraction"] == 0.6
    assert recipe.problem.model.parameters["volume_fraction"].prior.upper == 0.75
    (tmp_path / "wrong.toml").write_text(OLD + "\n[setings]\nx = 1\n", encoding="utf-8")
    with pytest.raises(HmmInferError, match="Did you mean 'settings'"):
        Recipe.read(tmp_path / "wrong.toml")


def test_the_frozen_table_still_fits():
    """It names what 0.1.0 had: experiments, settings and parameters of today, unless one has been taken away, which would break old files."""
    table = tomllib.loads(resources.files("hmminfer.app").joinpath("defaults_0_1_0.toml").read_text(encoding="utf-8"))
    assert table.keys() == set(models.CATALOGUE)
    for system, experiments in table.items():
        known = models.get(system).EXPERIMENTS
        assert experiments.keys() <= known.keys()
        for name, kinds in experiments.items():
            settings = {s.name: s for s in known[name].schema.settings}
            for key, value in kinds["settings"].items():
                settings[key].read(value)
            for text in kinds.get("priors", {}).values():
                assert np.isfinite(parse_prior(*split(text)).centre)


def split(text):
    """A prior's text and the unit that it is written in."""
    words = text.partition("(")[2].rstrip(")").split(",")[0].split(" ", 1)
    return text, words[1] if len(words) > 1 else ""


def test_a_learnt_error_is_applied_once_by_the_command_too(tmp_path):
    """The command hands fit a model and the choices that settle it: settled before, the error would have been there twice, and was refused."""
    small = {"periods": 4, "elements": 4, "cell_elements": 16}
    recipe = Recipe("heat_composite", dataset="periodic_square", settings=small, discrepancy="homogenisation", draws=10, tune=10, chains=1, seed=1)
    tree = runs.run(recipe, tmp_path / "run", progress=False).tree
    assert tree["posterior"]["homogenisation_error"].sizes["draw"] == 10
    assert runs.extend(runs.load(tmp_path / "run"), 5, progress=False).tree["posterior"].sizes["draw"] == 15
