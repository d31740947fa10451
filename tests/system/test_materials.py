"""Defaults that know the material: nothing about it is taken without a word."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from hmminfer import models
from hmminfer.app.cli import app
from hmminfer.app.prediction import table
from hmminfer.app.recipe import Recipe
from hmminfer.diagnostics.checking import checks
from hmminfer.diagnostics.sensitivity import identifiability
from hmminfer.diagnostics.summary import derived_summary, derived_table
from hmminfer.errors import HmmInferError, Unsolved
from hmminfer.inference.problem import Problem
from hmminfer.inference.sampling import preview
from hmminfer.system import materials
from hmminfer.system.derived import affine
from hmminfer.system.materials import constituents
from hmminfer.system.model import Model
from hmminfer.system.parameters import Parameter
from hmminfer.system.priors import HalfNormal, LogNormal, Normal, Uniform
from hmminfer.system.remarks import dear, remarks, taken
from hmminfer.system.tables import RawTable
from hmminfer.terminal import text_of

GLASS = """quantity,specimen,angle [deg],value,unit,sd
youngs_modulus,A,0,45.6,GPa,1.4
youngs_modulus,B,90,16.2,GPa,0.7
shear_modulus,C,,5.83,GPa,0.24
matrix_modulus,resin,,3.35,GPa,0.1
"""
EPOXY = """quantity,specimen,particle_diameter [um],volume_fraction,value,unit,sd
conductivity,BN10,10,0.2,0.45,W/m/K,0.02
conductivity,BN10,10,0.4,1.02,W/m/K,0.05
conductivity,BN50,50,0.4,1.35,W/m/K,0.06
matrix_conductivity,neat,,,0.20,W/m/K,0.01
"""
NANOFLUID = """quantity,specimen,particle_diameter [nm],volume_fraction,value,unit,sd
conductivity,A38,38.4,0.02,0.6406,W/m/K,0.006
conductivity,A38,38.4,0.04,0.6682,W/m/K,0.006
conductivity,A13,13,0.05,0.6804,W/m/K,0.006
matrix_conductivity,water,,,0.613,W/m/K,0.003
"""
UNBOUND = {"cell": "full", "refine": 1}


@pytest.fixture
def file(tmp_path):
    def write(text, *lines):
        path = tmp_path / f"data{len(list(tmp_path.iterdir()))}.csv"
        path.write_text("".join(f"# {line}\n" for line in lines) + text, encoding="utf-8")
        return str(path)

    return write


def mean(tree, name):
    return float(tree["posterior"][name].mean())


@pytest.mark.parametrize(("text", "measured"), [(EPOXY, 0.2), (NANOFLUID, 0.613)])
def test_a_matrix_of_polymer_or_water_is_possible(text, measured, file):
    """It had the prior Normal(220, 15) W/m/K of a metal: 1.000 came out for both."""
    model = models.heat_composite.EXPERIMENTS.particles.model(file(text))
    assert mean(preview(model, seed=1, progress=False), "matrix_conductivity") == pytest.approx(measured, rel=0.2)
    assert remarks(model)[-1].startswith("No material is named: particle_conductivity has a prior wide enough")


def test_glass_is_never_taken_for_carbon(file):
    model = models.fibre_composite.EXPERIMENTS.coupons.model(file(GLASS), **UNBOUND)
    assert not model.fixed
    assert model.parameters["matrix_modulus"].prior == LogNormal(3.35, 1.0)  # measured
    for name, value in {"fibre_axial_modulus": (17.0, 580.0), "fibre_transverse_modulus": (5.0, 200.0)}.items():
        low, high = model.parameters[name].prior.box(2.0)
        assert low < value[0] * 1.1
        assert high > value[1] * 0.9
    assert "fibre_axial_modulus" in remarks(model)[0]
    tree = preview(model, seed=1, draws=500, progress=False)
    assert mean(tree, "fibre_axial_modulus") < 200.0
    assert derived_summary(tree)["mean"]["lamina_modulus[axial]"] == pytest.approx(45.6, abs=3.0)


def test_a_preset_gives_its_values(file):
    for given, settings in (((), {"material": "E-glass/epoxy"}), (('material = "E-glass/epoxy"',), {})):
        model = models.fibre_composite.EXPERIMENTS.coupons.model(file(GLASS, *given), **UNBOUND, **settings)
        told = {p.name: p.prior for p in model.parameters}
        assert told["fibre_axial_modulus"] == told["fibre_transverse_modulus"] == LogNormal(74.0, 0.05)
        assert told["fibre_shear_modulus"].median == pytest.approx(74.0 / 2.42)
        assert told["matrix_modulus"] == LogNormal(3.5, 0.18)
        assert told["matrix_poisson"].mean == 0.35
        assert remarks(model) == []
    one = models.fibre_composite.EXPERIMENTS.coupons.model(file(GLASS), material="E-glass/epoxy", matrix_poisson=0.3, **UNBOUND)
    assert one.fixed == {"matrix_poisson": 0.3}, "what is given comes before the preset"
    lamina = models.thermoelastic_composite.EXPERIMENTS.laminae.model("glass_expansion", material="carbon/epoxy", **UNBOUND)
    assert lamina.fixed["fibre_axial_modulus"] == 72.4, "what a column states comes before it too"


@pytest.mark.parametrize(
    ("material", "said"),
    [
        ("glas/epoxy", r"Unknown material 'glas'\. Did you mean 'glass'\? Known: E-glass, .*aramid"),
        ("epoxy", "is one constituent; name both"),
        ("glass/T300", "'T300' cannot be the matrix"),
        ("cartilage", "tells nothing of fibre_axial_modulus"),
    ],
)
def test_a_wrong_material_is_answered(material, said, file):
    with pytest.raises(HmmInferError, match=said):
        models.fibre_composite.EXPERIMENTS.coupons.model(file(GLASS), material=material, **UNBOUND)


def test_every_preset_is_a_number_with_a_source_and_a_place():
    """A property that no system has, or a value outside a parameter's support, would be an entry that nobody reads."""
    known = {p.name: p for system in models.CATALOGUE for e in models.get(system).EXPERIMENTS.values() for p in _declared(e)}
    for name, c in constituents().items():
        assert c.source or c.made_of, name
        for key, (median, width) in c.properties.items():
            assert 0.0 < width <= 1.0
            assert np.isfinite(median)
            places = [n for n in ([key] if c.whole else [f"{r}_{key}" for r in (*materials.ROLES, "matrix", "fibre_axial")]) if n in known]
            assert places, (name, key)
            for place in places:
                assert known[place].lower <= median <= known[place].upper, (name, place)


def _declared(experiment):
    return experiment.model(**({"rods": "unknown"} if experiment.system == "swelling_gel" else {})).parameters


def test_unnamed_rods_are_asked_for_where_they_are_to_be_known():
    gel = models.swelling_gel.EXPERIMENTS.equilibrium
    plain = RawTable("x", "", {}, ("quantity", "bath", "value", "unit", "sd"), [dict(ROW)], [2])
    with pytest.raises(HmmInferError, match="give both, name the material"):
        gel.model(plain, rods="known")
    assert "charge_spacing" not in gel.model(plain, rods="known", material="cartilage", micro_nodes=8).parameters.names
    assert gel.model(plain, micro_nodes=8, micro_elements=4).parameters["charge_spacing"].prior.sigma > 0.4


ROW = {"quantity": "swelling_pressure", "bath": "150", "value": "0.05", "unit": "MPa", "sd": "0.01"}


def test_a_datum_against_what_is_taken_as_known_is_said(file, tmp_path, monkeypatch):
    data = file(EPOXY)
    model = models.heat_composite.EXPERIMENTS.particles.model(data, matrix_conductivity="220 W/m/K")
    assert remarks(model)[0].startswith("Line 5 measures matrix_conductivity as 0.2 +- 0.01 W/m/K, but it is taken as known, 220 W/m/K")
    found = checks(preview(model, seed=1, progress=False, noise="5%"))
    assert [c.advice for c in found if c.name == "data"] == [remarks(model)[0]]
    metal = models.heat_composite.EXPERIMENTS.particles.model(data, material="alumina/aluminium")
    assert "far from its prior LogNormal(200, 0.2)" in remarks(metal)[0]
    lamina = models.thermoelastic_composite.EXPERIMENTS.laminae.model("glass_expansion", fibre_axial_modulus="233 GPa", **UNBOUND)
    assert any("The column fibre_axial_modulus of the data says 72.4, but 233" in s for s in remarks(lamina))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["fit", "heat_composite", "--data", data, "--fix", "matrix_conductivity=220", "--draws", "0", "--seed", "1"])
    assert done.exit_code == 0
    assert "Note: Line 5 measures matrix_conductivity" in done.output
    assert remarks(models.heat_composite.EXPERIMENTS.particles.model(data, material="alumina/epoxy")) == []


def test_a_dear_cell_is_said(file):
    """Priors far outside the reduced basis: rubber with glass cords."""
    of = models.fibre_composite.EXPERIMENTS.coupons.model
    model = of(file(GLASS), material="E-glass/epoxy")
    assert remarks(model) == []
    soft = model.with_priors({"matrix_modulus": "LogNormal(0.01 GPa, 0.1, lower=0.01, upper=0.02)"})
    assert remarks(soft)[-1].startswith("The full cell answers for 100 % of the prior, about 150 times slower than the reduced one: fibre_")
    thin = {p.name: np.full(10, p.prior.centre) for p in model.parameters} | {"volume_fraction": np.full(10, 0.05)}
    (said,) = dear(model, thin)
    assert "for 100 % of the posterior" in said
    assert "volume_fraction lies outside [0.1, 0.8]" in said


def test_what_no_datum_sees_is_held_and_the_rest_inferred():
    """Films at the reference temperature tell nothing of the activation energy; at another one it was taken as Nafion's and is inferred."""
    films = models.proton_conductor.EXPERIMENTS.films
    row = {"quantity": "conductivity", "thickness": "10", "humidity": "95", "value": "22", "unit": "mS/cm", "sd": "3"}
    header = ("quantity", "thickness", "humidity", "temperature", "value", "unit", "sd")
    for temperature, held in (("303.15", True), ("333.15", False)):
        model = films.model(RawTable("x", "", {}, header, [{**row, "temperature": temperature}], [2]))
        assert ("activation_energy" in model.fixed) is held
    plate = models.heat_composite.EXPERIMENTS.plate
    warm = plate.model("heated_plate", **plate.small)
    assert {"matrix_heat_capacity", "inclusion_heat_capacity", "interface_conductance"} <= set(warm.fixed)


def test_a_prior_is_cut_to_the_support():
    """A Normal that reaches below zero let the sampler walk where the model has no answer, to an error after it."""
    p = Parameter("volume_fraction", "", Normal(0.3, 0.1), lower=0.01, upper=0.9)
    assert p.prior == Normal(0.3, 0.1, 0.01, 0.9)
    assert Parameter("x", "", Normal(0.36, 0.01), lower=0.0, upper=0.5).prior == Normal(0.36, 0.01)
    assert Parameter("x", "", Uniform(0.0, 2.0), lower=0.5, upper=1.5).prior == Uniform(0.5, 1.5)
    assert Parameter("x", "", HalfNormal(1.0), lower=0.0, upper=1.0).prior == HalfNormal(1.0)
    with pytest.raises(HmmInferError, match=r"outside its support \[0, 1\] GPa; give one inside"):
        Parameter("x", "GPa", Uniform(2.0, 3.0), lower=0.0, upper=1.0)


def test_intensities_have_no_scale_of_their_own():
    """Counts of a camera in other units: the same statement and, but for the unit, the same priors."""
    from dataclasses import replace

    from hmminfer import datasets

    raw = datasets.load("bicoid_profile")
    settings = {k: v for k, v in raw.settings.items() if k not in ("amplitude", "background")}
    texts, priors = [], []
    for factor in (1.0, 1024.0):
        rows = [{**r, "value": repr(factor * float(r["value"])), "sd": repr(factor * float(r["sd"]))} for r in raw.rows]
        model = models.morphogen_tissue.EXPERIMENTS.gradient.model(replace(raw, rows=rows, settings=settings))
        texts.append(identifiability(model, n_draws=8).text())
        priors.append(model.parameters["amplitude"].prior.median / factor)
    assert texts[0] == texts[1]
    assert priors[0] == pytest.approx(priors[1])


# --- derived quantities


def test_derived_quantities_are_in_summary_and_result(file):
    model = models.heat_composite.EXPERIMENTS.particles.model(file(EPOXY), material="alumina/epoxy")
    tree = preview(model, seed=1, draws=300, progress=False)
    k, h, length = (
        tree[g][n].values for g, n in (("posterior", "matrix_conductivity"), ("posterior", "interface_conductance"), ("derived", "kapitza_length"))
    )
    np.testing.assert_allclose(length, 1e6 * k / h)
    assert tree["derived"]["kapitza_length"].attrs["units"] == "um"
    table = derived_summary(tree)
    assert table["low"]["kapitza_length"] < table["mean"]["kapitza_length"] < table["high"]["kapitza_length"]
    assert "Derived from the unknowns" in text_of(*derived_table(tree))
    assert "kapitza_length" not in tree["posterior"]
    assert json.loads(tree.attrs["remarks"]) == []


def test_derived_quantities_of_the_systems():
    """Each by its own formula, at one value of every parameter."""
    tissue = models.morphogen_tissue.EXPERIMENTS.counts.model(nodes=7, accuracy=0.5)
    values = {"diffusivity": 2.0, "degradation": 3.6, "binding_ratio": 3.0, "cell_diffusivity": 0.0}
    found = {d.name: d(values) for d in tissue.derived}
    assert found == {"decay_length": pytest.approx(np.sqrt(2.0 / 3e-3)), "effective_diffusivity": 0.5, "effective_degradation": pytest.approx(2.7)}
    assert found["decay_length"] == pytest.approx(np.sqrt(found["effective_diffusivity"] / (found["effective_degradation"] / 3600.0)))
    columns = models.reactive_transport.EXPERIMENTS.columns.model("stiff_column", elements=48, accuracy=0.05)
    values = {"distribution": np.array([4.0]), "slow_capacity": np.array([0.5]), "dispersivity": np.array([2.0])}
    found = {d.name: d(values) for d in columns.derived}
    speed = 1000.0 * 12.0 / (176.6 * 0.33)
    assert found["retardation_factor"] == [5.5]
    assert found["fast_retardation_factor"] == [5.0]
    np.testing.assert_allclose(found["pore_velocity"], [[speed, speed, speed, 2.0 * speed]])
    np.testing.assert_allclose(found["dispersion_coefficient"], 2.0 * found["pore_velocity"])
    assert affine("x", 1.0, 2.0, {"x": 3.0}) == 7.0


def test_moduli_of_the_lamina_are_those_that_coupons_measure(file):
    fibre = models.fibre_composite
    model = fibre.EXPERIMENTS.coupons.model(file(GLASS), material="glass/epoxy", **UNBOUND)
    y, (moduli,) = model.evaluate({"volume_fraction": 0.6}), model.derived
    theta = model.parameters.values(model.vector({"volume_fraction": 0.6}))
    np.testing.assert_allclose(moduli({k: np.array([v]) for k, v in theta.items()})[0], y[:3], rtol=1e-10)


def test_derived_quantities_of_a_joint_model(file):
    of = models.heat_composite.EXPERIMENTS.particles.model
    joint = Model.joint([of(file(EPOXY)), of(file(NANOFLUID))], ["particle_conductivity"], ["a", "b"])
    values = {
        "matrix_conductivity_a": 0.2,
        "matrix_conductivity_b": 0.6,
        "interface_conductance_a": 1e7,
        "interface_conductance_b": 1e6,
        "particle_conductivity": 9.0,
    }
    assert {d.name: float(d(values)) for d in joint.derived} == {"kapitza_length_a": pytest.approx(0.02), "kapitza_length_b": pytest.approx(0.6)}


def test_an_old_lamina_keeps_its_defaults(file, tmp_path):
    """A run file of 0.1.0 whose data named no constants took those of T300/934, and their priors."""
    text = "quantity,specimen,volume_fraction,value,unit,sd\naxial_expansion,A,0.57,0.0,um/m/K,0.05\ntransverse_expansion,A,0.57,29.0,um/m/K,1.0\n"
    (tmp_path / "run.toml").write_text(
        f'model = "thermoelastic_composite"\nexperiment = "laminae"\ndata = "{file(text)}"\nseed = 1\n', encoding="utf-8"
    )
    problem: Problem = Recipe.read(tmp_path).problem
    assert problem.model.fixed["fibre_axial_modulus"] == 233.0
    assert problem.model.parameters["matrix_expansion"].prior == LogNormal(55.0, 0.15)
    assert problem.model.parameters["volume_fraction"].prior.mean == 0.57


def test_a_prediction_says_what_it_was_not_given():
    """Medians of wide priors are no material: they are listed, and a name replaces them."""
    fibre = models.fibre_composite
    said = fibre.moduli([0.0], **UNBOUND).predict({"volume_fraction": 0.6}).attrs["assumed"]
    assert "fibre_axial_modulus = 99.95 GPa" in said
    assert "volume_fraction" not in said
    assert (
        "fibre_axial_modulus = 74 GPa" in fibre.moduli([0.0], material="E-glass/epoxy", **UNBOUND).predict({"volume_fraction": 0.6}).attrs["assumed"]
    )
    done = CliRunner().invoke(app, ["predict", "heat_composite", "--what", "sizes", "--set", "diameters=5,50 um", "--set", "material=alumina/epoxy"])
    assert "Not given, and taken at a fixed value or the prior's median: matrix_conductivity = 0.2 W/m/K" in done.output


def test_the_example_of_a_material_is_one_of_the_system(file):
    row = {"quantity": "conductivity", "thickness": "10", "humidity": "95", "temperature": "300", "value": "22", "unit": "mS/cm", "sd": "3"}
    films = models.proton_conductor.EXPERIMENTS.films.model(RawTable("films", "", {"experiment": "films"}, tuple(row), [row]))
    assert any('material="Nafion"' in sentence for sentence in remarks(films))


def test_draws_of_a_posterior_without_a_solution_are_said_and_left_out():
    """Fibres that are no material (2 nu12^2 E2 / E1 > 1 - nu23) come of approximate posteriors; neither a prediction nor a figure fails of them."""
    curve = models.fibre_composite.moduli(angles=[0.0, 90.0])
    draws = {p.name: np.full((1, 4), float(curve.fixed.get(p.name, p.prior.centre))) for p in curve.parameters}
    draws["fibre_axial_modulus"][0, 1], draws["fibre_transverse_modulus"][0, 1] = 1.0, 900.0
    posterior = xr.Dataset({k: (("chain", "draw"), v) for k, v in draws.items()})
    with pytest.warns(Unsolved, match="1 of 4 draws have no solution in 'moduli' and are left empty"):
        result = curve.predict(posterior, progress=False)
    assert np.isfinite(result["youngs_modulus"]).all("angle").values.tolist() == [[True, False, True, True]]
    assert np.isfinite(table(result)["mean"]).all()
    with pytest.raises(HmmInferError, match="no solution because of"):
        curve.predict(posterior.isel(draw=[1]), progress=False)


def test_facts_of_a_specimen_that_were_not_given_are_said(file):
    """Half the length of a column is half its retardation; a package's own dataset is complete, and a stress does not count under grips."""
    columns = models.reactive_transport.EXPERIMENTS.columns
    pulse = "quantity,time [h],flow [mL/h],pulse [h],inlet [g/m^3],value,unit,sd\nrelative_concentration,1,12,0.5,1,0.4,,0.02\n"
    (said,) = [s for s in remarks(columns.model(file(pulse, "porosity = 0.4", 'area = "3 cm^2"'), elements=48, accuracy=0.05)) if "taken" in s]
    assert said.startswith("Not given, and taken: length = 70 mm. Give yours")
    assert not any("taken:" in s for s in remarks(columns.model(elements=48, accuracy=0.05)))
    plate = "quantity,x [mm],y [mm],value,unit,sd\ndisplacement_x,50,10,40,um,1\n"
    (said,) = [s for s in remarks(models.fibre_composite.EXPERIMENTS.plate.model(file(plate))) if "taken:" in s]
    assert "displacement = 0.1 mm" in said
    assert "stress" not in said


def test_a_general_name_covers_its_grades_and_says_so(file):
    """Fibres of 231 to 377 GPa are sold as carbon; a prior of 4 % about the first would put the others' stiffness into the volume fraction."""
    for name, note, grades in (("carbon", "name the grade (T300)", (231.0, 377.0)), ("Kevlar", "name it (Kevlar 49)", (75.0, 180.0))):
        model = models.fibre_composite.EXPERIMENTS.coupons.model(file(GLASS), material=f"{name}/epoxy")
        assert any(note in sentence for sentence in remarks(model))
        prior = model.parameters["fibre_axial_modulus"].prior
        assert all(abs(np.log(g / prior.median)) < 2.0 * prior.sigma for g in grades)


def test_the_example_of_what_was_taken_is_one_that_was_taken():
    """A stress does not count for a heated strip, and is neither taken nor the example."""
    model = models.thermoelastic_composite.EXPERIMENTS.strip
    said = taken(model.schema.settings, [], {"load": "heat"}, SimpleNamespace(parameters=SimpleNamespace(names=[])))
    assert "stress" not in said
    assert said.endswith("(# length = ...).")
