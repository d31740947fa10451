"""Predictions: their settings read like those of an experiment, from Python and from text; a run's own settings carried over."""

import pickle
import shutil

import meshio
import numpy as np
import pytest
import xarray as xr

from hmminfer import models
from hmminfer.app import folder as runs
from hmminfer.app.prediction import predict
from hmminfer.app.recipe import Recipe
from hmminfer.errors import HmmInferError
from hmminfer.inference.problem import Problem
from hmminfer.inference.reading import Reading
from hmminfer.inference.results import assemble
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.draws import run_of
from hmminfer.system.experiment import Prediction, prediction
from hmminfer.system.model import Model
from hmminfer.system.tables import read_table

fibre, heat = models.get("fibre_composite"), models.get("heat_composite")
proton, thermo = models.get("proton_conductor"), models.get("thermoelastic_composite")
EVERY = [(system, what) for system in models.names() for what in models.get(system).PREDICTIONS]


def drawn(model, n=3):
    """A result in the format of a fit, its draws from the prior: predictions do not ask where draws come from."""
    problem = Problem.of(model)
    draws = problem.prior_draws(np.random.default_rng(0), n)
    tree = assemble(problem, problem.unconstrain(draws)[None], {}, [], 0, False)
    tree.attrs["method"] = "prior"
    return tree


def saved(tree, folder, recipe):
    """The run folder of a result."""
    folder.mkdir(exist_ok=True)
    recipe.write(folder)
    tree.to_netcdf(folder / runs.RESULT, engine="h5netcdf")
    return folder


def posterior(system="", experiment="", settings="{}", **values):
    """Draws of a run that was never made."""
    variables = {k: (("chain", "draw"), np.atleast_2d(v)) for k, v in values.items()}
    return xr.Dataset(variables, attrs={"model": system, "experiment": experiment, "settings": settings})


# ------------------------------------------------------------------------------------------------------------------ declarations


@pytest.mark.parametrize(("system", "what"), EVERY)
def test_every_prediction_declares_its_settings(system, what):
    """Unit, bounds and default of each, what it is in words; by the same names and units as the experiments it belongs to."""
    p = models.get(system).PREDICTIONS[what]
    assert isinstance(p, Prediction), f"{what}: declare its settings with @prediction(Setting(...), *SCHEMA.settings)"
    assert len(p.description) > 10
    owners = [e for e in models.get(system).EXPERIMENTS.values() if what in e.predictions]
    assert owners, f"{what} belongs to no experiment"
    for s in p.settings:
        assert s.default is not None, f"{s.name} has no default"
        assert np.all(s.read(s.default) == s.read(s.written(s.read(s.default))))
        for theirs in (t for e in owners for t in e.schema.settings if t.name == s.name):
            assert (s.unit, s.kind) == (theirs.unit, theirs.kind), f"{s.name} is taken from a run by its name"


def test_every_experiment_has_a_prediction_of_its_own():
    for system in models.names():
        for name, e in models.get(system).EXPERIMENTS.items():
            assert e.predictions, f"{system}: {name}"
            assert e.predictions.keys() <= models.get(system).PREDICTIONS.keys()


def test_order_names_defaults_and_what_is_for_python_only():
    seen = {}

    @prediction(
        Setting("length", "mm", 7.0, lower=0.0, description="of the thing"),
        Setting("points", default=3, kind="integer"),
        Setting("length", "m", 1.0),
        Setting("side", "mm", 1.0),
        side=5.0,
    )
    def thing(length, points, shape=None, **rest):
        """Prediction model: a thing."""
        seen.update(length=length, points=points, shape=shape, **rest)
        return heat.sizes([10.0])

    assert [s.name for s in thing.settings] == ["length", "points", "side"]
    assert thing.description == "a thing"
    assert "length: of the thing, at least 0 mm (7 mm)" in thing.__doc__
    model = thing("2 cm", None, shape=abs)
    assert seen == {"length": 20.0, "points": 3, "side": 5.0, "shape": abs}
    assert (model.about["length"], model.about["scheme"]) == (20.0, "dense")  # kept with every result
    with pytest.raises(HmmInferError, match=r"settings are length, points, side; give each of them once"):
        thing(1.0, length=2.0)
    with pytest.raises(HmmInferError, match=r"settings are length, points, side"):
        thing(1.0, 2, 3, 4)
    with pytest.raises(HmmInferError, match=r"setting 'lenght'\. Did you mean 'length'"):
        thing(lenght=2.0)
    with pytest.raises(HmmInferError, match="setting 'widht'"):
        prediction(Setting("width", "mm", 1.0), widht=2.0)
    with pytest.raises(HmmInferError, match="'width' is missing; give it in mm"):
        prediction(Setting("width", "mm"))(thing.build)()


def test_lists_of_numbers():
    s = Setting("angles", "deg", (0.0, 90.0), "numbers", lower=-180.0, upper=180.0)
    for given in ([0, 45], (0.0, "45 deg"), "0, 45", "0 deg, 45 deg", "0, 0.78539816339744831 rad", np.array([0.0, 45.0])):
        assert s.read(given) == pytest.approx([0.0, 45.0], abs=1e-12)
    assert s.read(30) == s.read("30") == s.read(["30"]) == np.array([30.0])
    for bad, said in {
        "0, 200": r"'angles' is 200 deg; it must be between -180 and 180 deg",
        "0 deg, 1, 2 rad": "to some of its numbers; write one after the last",
        "0, fast": "'fast",
        "0,,1": "not a number",
        "1 mm": "'mm'",
    }.items():
        with pytest.raises(HmmInferError, match=said):
            s.read(bad)
    for bad in ([], [[1.0]], [1.0, np.nan], [None]):
        with pytest.raises(HmmInferError, match="'angles'"):
            s.read(bad)
    assert s.shown == "0 to 90 deg (2)"


def test_a_list_in_a_data_file(tmp_path):
    schema = Schema("e", {"q": ""}, (Column("x", required=False),), (Setting("times", "s", (1.0, 2.0), "numbers"),))
    assert '# times = "1.0, 2.0 s"' in schema.template()
    for text in ("[60, 120]", '"1, 2 min"'):
        (tmp_path / "e.csv").write_text(f"# times = {text}\nquantity,x,value,unit,sd\nq,,1,,1\n")
        table = schema.check(read_table(tmp_path / "e.csv"))
        np.testing.assert_array_equal(table.settings["times"], [60.0, 120.0])
        assert table.given == {"times": "60.0, 120.0 s"}


# ---------------------------------------------------------------------------------------------------------------------- units

SMALL = {"cell": "full", "refine": "1"}
SAME = {  # text with a unit -> numbers in the unit of the setting, from Python
    "membrane": ("proton_conductor", "water_profile", {"thickness": "0.02 mm"}, {"thickness": 20.0}),
    "membrane, its unit": ("proton_conductor", "water_profile", {"thickness": "60 um"}, {"thickness": 60}),
    "humid": ("proton_conductor", "water_profile", {"humidity_a": "60 %"}, {"humidity_a": 60.0}),
    "current": ("proton_conductor", "water_profile", {"current_density": "5000 A/m^2"}, {"current_density": 0.5}),
    "film": ("proton_conductor", "film_conductivities", {"thickness": "0.01 um"}, {"thickness": [10.0]}),
    "films": ("proton_conductor", "film_conductivities", {"thickness": "10,80 nm"}, {"thickness": (10, 80)}),
    "warm film": ("proton_conductor", "film_conductivities", {"temperature": "60 degC"}, {"temperature": 333.15}),
    "particle": ("heat_composite", "sizes", {"diameters": "10 um"}, {"diameters": 10.0}),
    "particles": ("heat_composite", "sizes", {"diameters": "0.01, 0.1 mm"}, {"diameters": [10.0, 100.0]}),
    "scheme": ("heat_composite", "sizes", {"scheme": "dilute"}, {"scheme": "dilute"}),
    "angle": ("fibre_composite", "moduli", {"angles": "0.5235987755982988 rad", **SMALL}, {"angles": 30.0, "cell": "full", "refine": 1}),
}


@pytest.mark.parametrize("case", SAME)
def test_text_with_units_is_what_numbers_are(case):
    system, what, text, numbers = SAME[case]
    from_text = predict(system, what, text, progress=False)
    from_python = models.get(system).PREDICTIONS[what](**numbers).predict(progress=False)
    for name in from_python.data_vars:
        np.testing.assert_allclose(from_text[name], from_python[name], rtol=1e-12)
    cell = {k: v for k, v in numbers.items() if k in SMALL}
    assert not from_text.equals(models.get(system).PREDICTIONS[what](**cell).predict(progress=False))


def test_a_minute_of_a_strip():
    settings = {"points": "3", "elements_x": "2", "steps": "8", "ramp": "10 s", "layer_thickness": "1 cm", **SMALL}
    minute = predict("thermoelastic_composite", "strip_history", {**settings, "duration": "1 min"}, progress=False)
    model = thermo.strip_history(3, 60.0, 8, elements_x=2, ramp=10.0, layer_thickness=10.0, cell="full", refine=1)
    np.testing.assert_allclose(minute["deflection"], model.predict(progress=False)["deflection"], rtol=1e-12)
    assert minute["time"].values.tolist() == [30.0, 60.0]


# -------------------------------------------------------------------------------------------------------- the run's own settings


@pytest.fixture(scope="module")
def heated():
    """Prior draws of the heated plate: 50 x 50 mm and 2 x 2 zones, by the settings of its file."""
    return drawn(heat.EXPERIMENTS["plate"].model("heated_plate", refine=1))


def test_a_run_is_predicted_with_its_own_plate(heated):
    """On a grid that holds the points of the data, the prediction is the fit's own: mesh, zones and lengths are the run's."""
    table = heat.EXPERIMENTS["plate"].model("heated_plate").table
    y = predict("heat_composite", "", {"nx": "26", "ny": "26"}, heated, progress=False)
    assert y.attrs["experiment"] == "temperatures"
    assert (float(y["x"].max()), float(y["y"].max())) == (50.0, 50.0)
    points = np.stack([y["x"].values, y["y"].values], axis=1)
    rows = table.quantity == "temperature"
    data = np.stack([table.columns["x"], table.columns["y"]], axis=1)[rows]
    at = np.argmin(np.abs(points[None] - data[:, None]).sum(axis=2), axis=1)
    assert np.abs(points[at] - data).max() < 1e-9
    fitted = Reading.of(heated)["fitted"]["observed"]
    own = fitted.values[..., fitted["quantity"].values == "temperature"]
    np.testing.assert_allclose(y["temperature"].values[..., at], own, atol=1e-9)
    for part in ("length = 50.0 mm", "zones_x = 2", "elements_y = 12", "refine = 1"):
        assert part in y.attrs["run_settings"]


def test_the_user_has_the_last_word(heated):
    longer = predict("heat_composite", "temperatures", {"length": "8 cm", "nx": "3", "ny": "2"}, heated, progress=False)
    assert (float(longer["x"].max()), float(longer["y"].max())) == (80.0, 50.0)
    assert "length" not in longer.attrs["run_settings"]
    of = heat.temperatures.of(heated["posterior"], 3, 2, length=80.0).predict(heated, progress=False)
    called = heat.temperatures(3, 2, length="80 mm").predict(heated["posterior"].to_dataset(), progress=False)
    xr.testing.assert_equal(longer, of)
    xr.testing.assert_equal(longer, called)
    with pytest.raises(
        HmmInferError, match=r"'volume_fraction' has size 4 in the posterior and 2 in 'temperatures'; leave the zones, levels or blocks"
    ):
        predict("heat_composite", "temperatures", {"zones_y": "1"}, heated, progress=False)
    held = heated["posterior"].to_dataset().drop_vars("volume_fraction")
    held = held.assign(matrix_conductivity=(("chain", "draw"), np.ones((1, 3))))
    held.attrs = {"fixed": '{"volume_fraction": [0.1, 0.2]}'}
    with pytest.raises(HmmInferError, match=r"'volume_fraction' has size 2 in the posterior and 1"):
        heat.temperatures(refine=1).predict(held, progress=False)


def test_a_run_folder_is_predicted_with_its_scheme(tmp_path):
    """Dense is the default of fit and prediction; a run with the dilute law stays with it, from the folder and from Python."""
    tree = drawn(heat.EXPERIMENTS["particles"].model("sic_aluminium", scheme="dilute"))
    folder = saved(tree, tmp_path / "run", Recipe("heat_composite", settings={"scheme": "dilute"}, seed=1))
    run = runs.load(folder)
    own, dilute, called, dense = (
        y["conductivity"].values
        for y in (
            predict("heat_composite", "sizes", None, run.tree, progress=False),
            heat.sizes(scheme="dilute").predict(tree, progress=False),
            heat.sizes().predict(tree["posterior"], progress=False),
            predict("heat_composite", "sizes", {"scheme": "dense"}, run.tree, progress=False),
        )
    )
    np.testing.assert_array_equal(own, dilute)
    np.testing.assert_array_equal(own, called)
    assert np.abs(dense / dilute - 1.0).max() > 0.01


def test_options_of_the_cell_are_carried_over():
    coupons = fibre.EXPERIMENTS["coupons"].model(packing="square", cell="full", refine=1)
    tree = drawn(coupons)
    assert run_of(tree)[:2] == ("fibre_composite", "coupons")
    about = fibre.moduli.of(tree, [0.0, 90.0]).about
    assert (about["packing"], about["cell"], about["refine"]) == ("square", "full", 1)
    fitted = tree["fitted"]["observed"]
    fitted = fitted[..., fitted["quantity"].values == "youngs_modulus"]
    own, at = fitted.sel(draw=0, chain=0).values, fitted["angle"].values
    y = fibre.moduli.of(tree, at).predict(tree, progress=False)["youngs_modulus"].sel(draw=0, chain=0).values
    straight = np.isin(at, (0.0, 90.0))  # the coupon between them has an angle of its own
    assert straight.sum() == 2
    np.testing.assert_allclose(y[straight], own[straight], rtol=1e-12)


def test_defaults_of_an_experiment_are_not_a_choice_of_the_run():
    """Films are fitted at all temperatures by temperature = 0: no temperature for a prediction. One that was chosen is."""
    every = proton.EXPERIMENTS["films"].model("nafion_films")
    one = proton.EXPERIMENTS["films"].model("nafion_films", temperature="60 degC")
    assert "temperature" not in every.settings
    made = posterior("proton_conductor", "films", settings='{"temperature": "333.15 K"}', activation_energy=[20.0])
    assert one.settings["temperature"] == "333.15 K"
    assert proton.film_conductivities.of(made, [80.0]).about["temperature"] == 333.15
    assert proton.film_conductivities.of(posterior(activation_energy=[20.0]), [80.0]).about["temperature"] == 303.15


def test_a_setting_of_the_run_that_cannot_be_used_is_said():
    made = posterior("proton_conductor", "films", settings='{"temperature": "0.0 K"}', activation_energy=[20.0])
    with pytest.raises(HmmInferError, match=r"between 200 and 500 K\. This is from the run: temperature = 0\.0 K; set another"):
        proton.film_conductivities.of(made)
    assert proton.film_conductivities.of(made, temperature=300.0).about["temperature"] == 300.0
    made = posterior("heat_composite", "plate", settings='{"state": "transient"}', matrix_conductivity=[0.3])
    with pytest.raises(HmmInferError, match="steady state only; set state = steady"):
        heat.temperatures.of(made)


def test_settings_of_another_experiment_count_where_they_are_declared_alike():
    """Cells are those of the material; elements of one square are not those of the other."""
    lamina = posterior("thermoelastic_composite", "laminae", '{"reference": "250.0 K", "refine": 2}', matrix_expansion=[50.0])
    assert thermo.strip_history.taken_from(lamina) == {"reference": "250.0 K", "refine": 2}
    square = posterior("heat_composite", "periodic", '{"elements": 16, "source": "2.0 W/m^3"}', conductivity=[1.0])
    assert heat.periodic_temperatures.taken_from(square) == {"elements": 16, "source": "2.0 W/m^3"}
    assert heat.block_temperatures.taken_from(square) == {}


def test_joint_runs_share_what_they_have_in_common(tmp_path):
    data = proton.EXPERIMENTS["films"]
    hot, cold = (data.model("nafion_films", temperature=t, lowest_humidity=90.0) for t in (333.15, 303.15))
    joint = Model.joint([cold, hot], shared=["interface_thickness"], labels=["cold", "hot"])
    assert joint.table.given == {"lowest_humidity": "90.0 %"}


def test_a_mesh_file_is_found_where_the_run_lies_now(tmp_path):
    """A setting that names a file means the copy in the run's folder, wherever that has been moved."""
    mesh = tmp_path / "my.msh"
    corners = np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 25.0], [0.0, 25.0]])
    meshio.write_points_cells(mesh, np.c_[corners, np.zeros(4)], [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))], file_format="gmsh22")
    written = saved(
        xr.DataTree.from_dict({"posterior": posterior(settings=f'{{"mesh": "{mesh}"}}', matrix_modulus=[3.5])}),
        tmp_path / "run",
        Recipe("fibre_composite", experiment="plate", settings={"mesh": str(mesh)}, seed=1),
    )
    with xr.open_datatree(written / runs.RESULT, engine="h5netcdf") as tree:
        tree = tree.load()
    tree.attrs["hmminfer"] = "0.1.0"
    tree.to_netcdf(written / "new.nc", engine="h5netcdf")
    (written / "new.nc").replace(written / runs.RESULT)
    shutil.move(written, tmp_path / "moved")
    mesh.unlink()
    assert fibre.plate_fields.taken_from(runs.load(tmp_path / "moved").tree) == {"mesh": str(tmp_path / "moved" / "data" / "my.msh")}


def test_what_is_predicted_by_default_is_of_the_run():
    assert predict("heat_composite", progress=False).attrs["experiment"] == "sizes"
    made = posterior("heat_composite", "periodic", conductivity=[1.0], conductivity_slope=[0.8])
    small = {"n": "3", "elements": "2", "cell_elements": "4"}
    assert predict("heat_composite", "", small, made, progress=False).attrs["experiment"] == "periodic_temperatures"
    with pytest.raises(HmmInferError, match=r"one of heat_composite, not of fibre_composite; predict heat_composite"):
        predict("fibre_composite", "", None, made)
    with pytest.raises(HmmInferError, match=r"holds conductivity, conductivity_slope, and 'sizes' of heat_composite takes matrix_cond.*choose a"):
        predict("heat_composite", "sizes", None, made, progress=False)


def test_periodic_material_at_its_data_points():
    """The middle of the grid is what the experiment of the same settings says there; the edge is held at zero."""
    settings = {"elements": 4, "cell_elements": 8, "source": 2.0}
    y = heat.periodic_temperatures(5, **settings).predict(conductivity=1.3, conductivity_slope=0.4, progress=False)
    t = y["temperature"].values.reshape(5, 5)
    model = heat.EXPERIMENTS["periodic"].model("periodic_square", **settings)
    at = np.stack([model.table.columns["x"], model.table.columns["y"]], axis=1)
    own = model.evaluate({"conductivity": 1.3, "conductivity_slope": 0.4})
    where = {(float(x), float(v)): i for i, (x, v) in enumerate(zip(y["x"].values, y["y"].values, strict=True))}
    common = [(where[tuple(p)], own[i]) for i, p in enumerate(at.tolist()) if tuple(p) in where]
    assert len(common) >= 9
    for i, value in common:
        assert t.ravel()[i] == pytest.approx(value, rel=1e-12)
    assert np.abs(t[[0, -1]]).max() == np.abs(t[:, [0, -1]]).max() == 0.0
    assert t[1, 2] > t[3, 2]  # the conductivity increases along x
    assert y["x"].attrs["units"] == "m"


def test_what_a_user_made_of_a_prediction_stays():
    """A model with priors of its own, or posteriors of another system, take nothing from a run; predictions can be pickled."""
    model = heat.sizes([10.0])
    other = posterior("fibre_composite", "coupons", settings='{"scheme": "dilute"}', matrix_conductivity=[220.0])
    dilute = other.assign_attrs(model="heat_composite")
    centre = model.predict(matrix_conductivity=220.0, progress=False)["conductivity"].item()
    rest = {p.name: p.prior.centre for p in model.parameters if p.name != "matrix_conductivity"}
    for made, like, dense in (
        (model, other, True),
        (model.with_priors({}), dilute, True),
        (pickle.loads(pickle.dumps(heat.sizes))([10.0]), dilute, False),
    ):
        value = made.predict(like, progress=False, **{k: v for k, v in rest.items() if k in made.parameters.names})["conductivity"].item()
        assert (value == pytest.approx(centre, rel=1e-12)) is dense
    assert pickle.loads(pickle.dumps(heat.sizes)) is heat.sizes


def test_draws_that_do_not_match_are_said():
    model = heat.sizes([10.0])
    with pytest.raises(HmmInferError, match=r"do not match: matrix_conductivity \(2,\), particle_conductivity \(3,\)"):
        model.predict(matrix_conductivity=[200.0, 210.0], particle_conductivity=[300.0, 310.0, 320.0])
    with pytest.raises(HmmInferError, match="no dimension chain, draw or sample"):
        model.predict(xr.Dataset({"matrix_conductivity": 200.0}))
