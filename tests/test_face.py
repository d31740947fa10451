"""What a user meets first: names that load nothing heavy, completion in a notebook, and objects that show themselves in a few lines."""

import inspect
import pydoc
import subprocess
import sys

import pytest

import hmminfer
from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.inference.sampling import build, fit, preview

HEAVY = ("pymc", "pytensor", "numba", "scipy", "matplotlib")
PROBLEM = ("noise", "priors", "fixed", "discrepancy_kind")


def loaded(code):
    """Which heavy libraries are loaded after some code."""
    script = f"import sys\n{code}\nprint(*(m for m in {HEAVY} if m in sys.modules))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_importing_loads_nothing_heavy():
    assert loaded("import hmminfer") == []
    assert loaded("import hmminfer; dir(hmminfer); dir(hmminfer.models); hmminfer.datasets.names()") == []
    assert not {"matplotlib", "pymc"} & set(loaded("import hmminfer.models as m; [m.get(n) for n in m.names()]")), (
        "listing systems draws and samples nothing"
    )


def test_the_catalogue_completes_systems_and_nothing_else():
    assert dir(models) == sorted(models.names())
    assert set(models.CATALOGUE) <= set(dir(models))
    assert models.fibre_composite is models.get("fibre_composite")


def test_experiments_and_predictions_are_attributes_too():
    for system in models.CATALOGUE:
        module = models.get(system)
        for names in (module.EXPERIMENTS, module.PREDICTIONS):
            assert set(names) <= set(dir(names))
            for name in names:
                assert getattr(names, name) is names[name]
        assert list(module.PREDICTIONS) == list(dict.fromkeys(k for e in module.EXPERIMENTS.values() for k in e.predictions))
    with pytest.raises(AttributeError, match="Did you mean 'coupons'"):
        models.fibre_composite.EXPERIMENTS.coupon  # noqa: B018


def test_everything_shows_itself_in_a_few_lines(coupons):
    module = models.get("fibre_composite")
    plate = module.EXPERIMENTS["plate"].model("tow_steered_plate", cell="full", refine=1, field_x=3, field_y=2)
    for thing in (coupons, plate, coupons.table, plate.table, module.EXPERIMENTS["plate"], module.PREDICTIONS["fields"]):
        assert len(repr(thing)) < 1200
        assert repr(thing).count("\n") <= 4
        assert "<table>" in thing._repr_html_()
    assert "matrix_modulus [GPa]" in repr(coupons)
    assert "fibre_axial_poisson = 0.2" in repr(coupons)
    assert "4 youngs_modulus" in repr(coupons.table) or "youngs_modulus" in repr(coupons.table)
    html = coupons._repr_html_()
    for word in ("LogNormal(4, 0.5)", "GPa", "fixed: 0.36", "raghavan_meshii", "modulus of the matrix"):
        assert word in html, word
    assert "hole_radius" in module.EXPERIMENTS["plate"]._repr_html_()
    assert "<b>" in module.EXPERIMENTS._repr_html_()


def test_html_escapes_what_users_wrote(coupons):
    from dataclasses import replace

    table = replace(coupons.table, name="<script>")
    assert "<script>" not in replace(coupons, table=table)._repr_html_()


def test_a_call_lists_its_parameters(coupons):
    signature = inspect.signature(coupons)
    assert list(signature.parameters) == coupons.parameters.names
    assert signature.parameters["matrix_poisson"].default == 0.36
    assert signature.parameters["matrix_modulus"].default is inspect.Parameter.empty
    page = pydoc.render_doc(coupons, renderer=pydoc.plaintext)
    for p in coupons.parameters:
        assert p.name in page
    assert "GPa" in page


def test_fit_preview_and_build_ask_alike():
    of = [inspect.signature(f).parameters for f in (fit, preview, build)]
    for name in PROBLEM:
        assert len({(str(p[name].annotation), p[name].default, p[name].kind) for p in of}) == 1
    for name in ("draws", "seed", "progress"):
        assert str(of[0][name].annotation).removesuffix(" | None") == of[1][name].annotation


@pytest.mark.parametrize(
    ("function", "given", "said"),
    [
        (fit, "random_seed", "it is called 'seed' here"),
        (fit, "progressbar", "it is called 'progress' here"),
        (fit, "nuts_sampler", "it is called 'sampler' here"),
        (preview, "random_seed", "it is called 'seed' here"),
        (build, "prior", "it is called 'priors' here"),
        (fit, "chain", "Did you mean 'chains'"),
        (build, "random_seed", "Known: noise, priors, fixed, discrepancy_kind"),
    ],
)
def test_arguments_of_others_are_answered_with_ours(coupons, function, given, said):
    with pytest.raises(HmmInferError, match=said):
        function(coupons, **{given: 1})


def test_types_are_told():
    from importlib import resources

    assert resources.files("hmminfer").joinpath("py.typed").is_file()
    assert hmminfer.Problem.of.__doc__
