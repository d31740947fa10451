"""Bad input, as the issue lists it: one clear sentence names the thing and the remedy, and nothing is lost."""

import re

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import hmminfer as hm
from hmminfer.app import folder as runs
from hmminfer.app import recipe
from hmminfer.app.cli import app

COUPONS = '# experiment = "coupons"\nquantity,specimen,angle [deg],value,unit,sd\n'
PLATE = '# experiment = "plate"\nquantity,x [mm],y [mm],value,unit,sd\n'
GOOD = COUPONS + "youngs_modulus,A,10,140,GPa,4\n"


def refused(*args, code=1):
    """What a command that must fail says on stderr."""
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    said = re.sub(r"^[^\n]*: (\d+ of \d+, )?\d+ s\n", "", result.stderr, flags=re.MULTILINE)  # progress, on a slow machine
    assert said.startswith("Error: ")
    return said


FIT = ("fit", "fibre_composite")
PREDICT = ("predict", "fibre_composite")

# what is asked -> what the sentence must hold: the thing, and the nearest name or the remedy
CASES = {
    "unknown model": (("fit", "fiber_composite"), "model 'fiber_composite'", "Did you mean 'fibre_composite'?"),
    "no model": (("fit",), "No model", "hmminfer fit fibre_composite"),
    "model to predict": (("predict", "fibre"), "model 'fibre'", "fibre_composite"),
    "model of a template": (("template", "fibre_composit"), "fibre_composit'", "Did you mean 'fibre_composite'?"),
    "unknown dataset": ((*FIT, "--dataset", "raghavan_mesh"), "dataset", "Did you mean 'raghavan_meshii'?"),
    "dataset to show": (("datasets", "plate"), "dataset 'plate'", "Did you mean 'plate_dic'?"),
    "unknown experiment": ((*FIT, "--experiment", "coupon"), "experiment 'coupon'", "Did you mean 'coupons'?"),
    "data of another experiment": ((*FIT, "--experiment", "plate", "--dataset", "wwfe_laminae"), "'coupons'", "plate"),
    "no such file": ((*FIT, "--data", "nowhere.csv"), "no file 'nowhere.csv'", "check its name"),
    "unknown setting": ((*FIT, "--set", "temperatur=463 K"), "'temperatur'", "Did you mean 'temperature'?"),
    "setting without value": ((*FIT, "--set", "temperature"), "'temperature'", "--set name=value"),
    "temperature not in data": ((*FIT, "--set", "temperature=300 K"), "300 K", "295"),
    "unknown parameter, fixed": ((*FIT, "--fix", "volume_frction=0.6"), "'volume_frction'", "'volume_fraction'"),
    "unknown parameter, prior": ((*FIT, "--prior", "matrix_modul=Normal(4, 1)"), "'matrix_modul'", "'matrix_modulus'"),
    "unknown prior": ((*FIT, "--prior", "matrix_modulus=LogNorm(4, 1)"), "'LogNorm'", "Did you mean 'LogNormal'?"),
    "prior with bad numbers": ((*FIT, "--prior", "matrix_modulus=LogNormal(-4, 1)"), "LogNormal", "positive median"),
    "prior of an angle": ((*FIT, "--prior", "fibre_angle=Normal(10, 1)"), "'fibre_angle'", "Axial"),
    "fixed and with prior": ((*FIT, "--fix", "matrix_modulus=4", "--prior", "matrix_modulus=LogNormal(4, 1)"), "matrix_modulus", "choose"),
    "unknown unit": ((*FIT, "--fix", "matrix_modulus=3.5 Gpa"), "unit 'Gpa'", "Did you mean 'GPa'?"),
    "unit of another kind": ((*FIT, "--fix", "matrix_modulus=3.5 mm"), "'mm'", "GPa"),
    "decimal comma, fixed": ((*FIT, "--fix", "matrix_modulus=3,5"), "'3,5' is not a number", "3.5 if the comma in it is a decimal comma"),
    "decimal comma with a unit, fixed": ((*FIT, "--fix", "matrix_modulus=3,5 GPa"), "'3,5 GPa' is not a number", "3.5 if the comma"),
    "decimal comma, set": ((*FIT, "--set", "temperature=295,5 K"), "Setting 'temperature'", "295.5 if the comma"),
    "tower of powers": ((*FIT, "--fix", "matrix_modulus=3 GPa*2**10**10**10"), "Unknown unit", "GPa, Pa"),
    "outside the support, fixed": ((*FIT, "--fix", "volume_fraction=1.2"), "'volume_fraction' = 1.2", "[0.01, 0.9]"),
    "outside the support, predicted": ((*PREDICT, "--set", "volume_fraction=-0.1"), "-0.1", "give a value inside"),
    "not a number": ((*FIT, "--fix", "volume_fraction=nan"), "'nan'", "not a number"),
    "negative noise": ((*FIT, "--noise", "-3%"), "noise of youngs_modulus", "positive"),
    "negative noise of a quantity": ((*FIT, "--noise", "shear_modulus=-1 GPa"), "noise of shear_modulus", "positive"),
    "noise below the rounding": ((*FIT, "--noise", "youngs_modulus=1e-300"), "less than the rounding", "noise of the measurement"),
    "negative seed": ((*FIT, "--seed", "-1"), "seed is -1", "at least 0"),
    "seed of more than 64 bits": ((*FIT, "--seed", "9" * 30), "seed is 999", "2^63 - 1"),
    "name of a run too long": ((*FIT, "--quiet", "--output", "a" * 300), "cannot be made (File name too long)", "another --output"),
    "name of a prediction too long": ((*PREDICT, "--output", "a" * 300 + ".csv"), "too long", "at most 255"),
    "posterior with a name too long": ((*PREDICT, "--posterior", "a" * 5000), "no run 'aaa", "hmminfer fit wrote"),
    "noise of an unknown quantity": ((*FIT, "--noise", "young_modulus=1 GPa"), "'young_modulus'", "'youngs_modulus'"),
    "noise that is no noise": ((*FIT, "--noise", "a lot"), "'a lot'", "'infer'"),
    "unknown discrepancy": ((*FIT, "--discrepancy", "extr", "--draws", "0"), "'extr'", "Did you mean 'extra'?"),
    "unknown sampler": ((*FIT, "--sampler", "nut", "--quiet"), "sampler 'nut'", "Did you mean 'nuts'?"),
    "negative draws": ((*FIT, "--draws", "-5", "--quiet"), "draws is -5", "between 0 and"),
    "acceptance above one": ((*FIT, "--target-accept", "1.2", "--quiet"), "target_accept is 1.2", "between 0 and 1"),
    "unknown cell": ((*FIT, "--set", "cell=ful"), "cell 'ful'", "Did you mean 'full'?"),
    "unknown packing": ((*FIT, "--set", "packing=hexagon"), "'hexagon'", "Did you mean 'hexagonal'?"),
    "unknown prediction": ((*PREDICT, "--what", "modul"), "prediction 'modul'", "Did you mean 'moduli'?"),
    "setting of a prediction": ((*PREDICT, "--what", "fields", "--set", "lenght=10 mm"), "'lenght'", "'length'"),
    "length that is none": ((*PREDICT, "--what", "fields", "--set", "length=10 GPa"), "'length'", "mm"),
    "no solution": (
        (*PREDICT, "--set", "fibre_axial_modulus=1", "--set", "fibre_transverse_modulus=900"),
        "no solution because of",
        "nearer to its prior",
    ),
    "prior outside its support": ((*FIT, "--prior", "matrix_poisson=Uniform(0.6, 0.7)"), "matrix_poisson", "[0, 0.49]"),
    "no start has a solution": (
        (*FIT, "--prior", "fibre_axial_modulus=LogNormal(1, 0.01)", "--fix", "fibre_transverse_modulus=900"),
        "could not be solved",
        "priors",
    ),
    "conductivity that is not positive": (
        ("fit", "heat_composite", "--fix", "particle_conductivity=-300"),
        "'particle_conductivity' = -300",
        "give a value inside",
    ),
    "inclusions that overlap": (("fit", "heat_composite", "--experiment", "plate", "--fix", "volume_fraction=0.95"), "volume_fraction", "inside"),
    "contents at which cylinders touch": (
        ("predict", "heat_composite", "--what", "temperatures", "--set", "volume_fraction=0.8"),
        "no solution because of volume_fraction",
        "nearer",
    ),
    "a cell that does not tile": (
        ("fit", "heat_composite", "--experiment", "periodic", "--set", "cell_periods=1.3"),
        "1.3 periods does not tile",
        "whole number",
    ),
    "contents at which cylinders touch, fixed": (
        (
            "fit",
            "heat_composite",
            "--experiment",
            "plate",
            "--fix",
            "volume_fraction=0.8",
            "--set",
            "zones_x=1",
            "--set",
            "zones_y=1",
            "--prior",
            "inclusion_conductivity=LogNormal(3, 1)",
        ),
        "because of the fixed volume_fraction",
        "fix values",
    ),
    "contents at which cylinders touch, fixed for every zone": (
        ("fit", "heat_composite", "--experiment", "plate", "--fix", "volume_fraction=0.8", "--prior", "inclusion_conductivity=LogNormal(3, 1)"),
        "because of the fixed volume_fraction",
        "volume_fraction = 0.8",
    ),
    "nothing left unknown": (
        ("fit", "heat_composite", "--fix", "particle_conductivity=300", "--fix", "interface_conductance=1e8", "--fix", "matrix_conductivity=220"),
        "Nothing is left to infer",
        "free one",
    ),
    "blocks that do not divide": (("fit", "heat_composite", "--experiment", "blocks", "--set", "elements=30"), "30 elements", "multiple of 8"),
    "a step too long for the data": (
        ("fit", "thermoelastic_composite", "--experiment", "strip", "--set", "steps=10"),
        "cannot resolve data at time",
        "at least",
    ),
    "data outside the strip": (("fit", "thermoelastic_composite", "--experiment", "strip", "--set", "length=20 mm"), "outside the domain", "Correct"),
    "layers at an odd angle": (("fit", "thermoelastic_composite", "--experiment", "strip", "--set", "layup=0/45"), "'0/45'", "0 and 90"),
    "lamina of another name": (("fit", "thermoelastic_composite", "--set", "specimen=T300/93"), "specimen 'T300/93'", "'T300/934'"),
    "humidity above saturation": (
        ("predict", "proton_conductor", "--what", "film_conductivities", "--set", "humidity=120"),
        "'humidity' is 120 %",
        "between 0 and 100 %",
    ),
    "no films that wet": (("fit", "proton_conductor", "--set", "lowest_humidity=99 %"), "No row is left", "lower lowest_humidity"),
    "a reaction rate that is negative": (
        ("fit", "reactive_transport", "--fix", "exchange_rate=-1 1/h"),
        "'exchange_rate' = -1",
        "give a value inside",
    ),
    "a step too large for the stated accuracy": (
        ("fit", "reactive_transport", "--set", "accuracy=1e-4"),
        "more than accuracy = 0.0001",
        "which pass",
    ),
    "cells faster than a burst can step": (
        ("fit", "morphogen_tissue", "--fix", "cell_diffusivity=2"),
        "because of the fixed cell_diffusivity",
        "a cell_diffusivity below 1.5 um^2/s",
    ),
    "counts with a noise": (
        ("fit", "morphogen_tissue", "--experiment", "counts", "--noise", "5%"),
        "Counts vary as their expectation says",
        "leave out noise",
    ),
    "a gradient of what is simulated": (
        ("fit", "morphogen_tissue", "--experiment", "spreading", "--sampler", "nuts"),
        "simulated at random",
        "choose the sampler abc",
    ),
    "an unknown tolerance": (
        ("fit", "morphogen_tissue", "--experiment", "spreading", "--noise", "infer"),
        "needs a known tolerance",
        "fill in the column sd",
    ),
    "simulation where there is a likelihood": (
        ("fit", "morphogen_tissue", "--sampler", "abc"),
        "has a likelihood",
        "nuts, smc, demetropolis or laplace",
    ),
    "no room for the tissue": (
        ("predict", "morphogen_tissue", "--what", "front", "--set", "columns=4", "--set", "filled=5"),
        "4 columns cannot hold a tissue",
        "give more columns",
    ),
    "leaps too large for data that soon": (
        ("fit", "morphogen_tissue", "--experiment", "growth", "--set", "steps=2"),
        "cannot resolve data at time 900 s",
        "at least 32 steps",
    ),
    "leaps too large for the stated accuracy": (
        ("fit", "morphogen_tissue", "--experiment", "growth", "--set", "accuracy=1e-3"),
        "more than accuracy = 0.001",
        "which pass",
    ),
    "explicit leaps beyond stability": (
        ("predict", "morphogen_tissue", "--what", "history", "--set", "leap=explicit", "--set", "nodes=49", "--set", "patch=2"),
        "A leap of this history is too large",
        "or implicit leaps",
    ),
    "steps of a gel too large for the stated accuracy": (
        ("fit", "swelling_gel", "--experiment", "confined", "--set", "steps=12", "--set", "elements=2"),
        "of the largest displacement at the prior medians, more than accuracy = 0.005",
        "give steps = ",
    ),
    "a strain that cannot be solved for": (
        ("predict", "swelling_gel", "--what", "course", "--set", "test=relaxation", "--set", "ramp=100", "--set", "strain=60", "--set", "bath=1"),
        "no solution",
        "a smaller strain or a longer ramp",
    ),
    "a step longer than the water's passage": (("fit", "reactive_transport", "--set", "step=0.5 h"), "step 0.5 h is too large", "give at most"),
    "a mesh that cannot resolve dispersion": (
        ("fit", "reactive_transport", "--set", "elements=10"),
        "10 elements of 7 mm cannot resolve",
        "give at least",
    ),
    "a flow that is negative": (("predict", "reactive_transport", "--what", "breakthrough", "--set", "flow=-3"), "'flow' is -3", "must be at least"),
    "output of no known kind": ((*PREDICT, "--output", "p.xlsx"), "'p.xlsx'", ".nc or .csv"),
    "no such run": (("report", "no_run"), "no run 'no_run'", "hmminfer fit"),
    "no such run to extend": (("extend", "no_run"), "no run 'no_run'", "hmminfer fit"),
    "no such run file": (("fit", "--run", "no_run.toml"), "no_run.toml", "run.toml of a run"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_sentence(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args, thing, remedy = CASES[case]
    said = refused(*args)
    assert thing in said
    assert remedy in said
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


HEAT, PROTON, THERMO = (("predict", f"{name}", "--what") for name in ("heat_composite", "proton_conductor", "thermoelastic_composite"))
PREDICTED = {
    "no model to predict": (("predict",), "No model", "hmminfer predict fibre_composite"),
    "more particles than room": ((*HEAT, "sizes", "--set", "volume_fraction=1.4"), "'volume_fraction' is 1.4", "between 0 and 0.9"),
    "unknown scheme": ((*HEAT, "sizes", "--set", "scheme=densee"), "scheme 'densee'", "Did you mean 'dense'?"),
    "size of another kind": ((*HEAT, "sizes", "--set", "diameters=10 K"), "'diameters'", "um"),
    "sizes of several units": ((*HEAT, "sizes", "--set", "diameters=1 um, 2, 3 mm"), "'diameters'", "one after the last"),
    "one negative size": ((*HEAT, "sizes", "--set", "diameters=10,-3"), "'diameters' is -3 um", "at least 0.001 um"),
    "negative membrane": ((*PROTON, "water_profile", "--set", "thickness=-5"), "'thickness' is -5 um", "at least 0.1 um"),
    "frozen membrane": ((*PROTON, "water_profile", "--set", "temperature=-5"), "'temperature' is -5 K", "between 200 and 500 K"),
    "no points": ((*PROTON, "water_profile", "--set", "points=0"), "'points' is 0", "between 2 and"),
    "half a point": ((*PROTON, "water_profile", "--set", "points=2.5"), "'points' is 2.5", "whole number"),
    "negative film": ((*PROTON, "film_conductivities", "--set", "thickness=-5"), "'thickness' is -5 nm", "at least 0.1 nm"),
    "film at absolute zero": ((*PROTON, "film_conductivities", "--set", "temperature=0"), "'temperature' is 0 K", "between 200 and 500 K"),
    "unknown cell of a lamina": ((*THERMO, "lamina_properties", "--set", "cell=ful"), "cell 'ful'", "Did you mean 'full'?"),
    "negative reference": ((*THERMO, "lamina_properties", "--set", "reference=-30"), "'reference' is -30 K", "at least 1 K"),
    "no grid": ((*HEAT, "temperatures", "--set", "nx=0"), "'nx' is 0", "between 2 and"),
    "one point in time": ((*THERMO, "strip_history", "--set", "points=1"), "'points' is 1", "between 2 and"),
    "a plate in time": ((*HEAT, "temperatures", "--set", "state=transient"), "steady state only", "set state = steady"),
    "cell that does not tile, predicted": (
        (*HEAT, "periodic_temperatures", "--set", "cell_periods=1.3"),
        "1.3 periods does not tile",
        "whole number",
    ),
    "parameter of another experiment": ((*HEAT, "sizes", "--set", "conductivity=1"), "'conductivity'", "particle_conductivity"),
    "content of three zones of two": (
        (*HEAT, "temperatures", "--set", "zones_x=2", "--set", "volume_fraction=0.2,0.3,0.4"),
        "'volume_fraction' needs 2 values",
        "one for each",
    ),
    "prediction to explain": ((*HEAT, "size", "--help"), "prediction 'size'", "Did you mean 'sizes'?"),
}


@pytest.mark.parametrize("case", PREDICTED)
def test_a_mistake_in_a_prediction_is_one_sentence(case, tmp_path):
    args, thing, remedy = PREDICTED[case]
    said = refused(*args, "--output", tmp_path / "p.csv")
    assert thing in said
    assert remedy in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_same_mistakes_from_python():
    from hmminfer.micro.particles import particle_conductivity

    heat, thermo = hm.models.heat_composite, hm.models.thermoelastic_composite
    with pytest.raises(hm.HmmInferError, match=r"scheme 'densee'\. Did you mean 'dense'"):
        heat.sizes(scheme="densee")
    with pytest.raises(hm.HmmInferError, match=r"scheme 'densee'\. Did you mean 'dense'"):
        particle_conductivity(np.ones(1), np.full(1, 0.4), "densee")
    with pytest.raises(hm.HmmInferError, match=r"cell 'ful'\. Did you mean 'full'"):
        thermo.law(cell="ful")
    with pytest.raises(hm.HmmInferError, match=r"'volume_fraction' is 1\.4"):
        heat.sizes([10.0], 1.4)
    drawn = xr.Dataset({"matrix_conductivity": ("draw", [200.0])})
    with pytest.raises(hm.HmmInferError, match="draws is 0; give a whole number"):
        heat.sizes().predict(drawn, draws=0)


BAD_DATA = {
    "not finite": (COUPONS + "youngs_modulus,A,10,1e999,GPa,4\n", "Line 3", "not finite"),
    "text": (COUPONS + "youngs_modulus,A,10,stiff,GPa,4\n", "'stiff'", "use digits"),
    "missing column": ("quantity,specimen,angle [deg],value,sd\nyoungs_modulus,A,10,140,4\n", "'unit'", "add it"),
    "unknown column": (GOOD.replace("specimen", "specimn"), "'specimn'", "Did you mean 'specimen'?"),
    "unknown quantity": (GOOD.replace("youngs_m", "young_m"), "'young_modulus'", "Did you mean 'youngs_modulus'?"),
    "unknown unit": (GOOD.replace("GPa", "Gpa"), "'Gpa'", "Did you mean 'GPa'?"),
    "wrong unit": (GOOD.replace("GPa", "mm"), "'mm'", "GPa"),
    "negative sd": (GOOD.replace(",4\n", ",-4\n"), "sd is -4", "positive"),
    "no sd": (GOOD.replace(",4\n", ",\n"), "no sd", "'infer'"),
    "cells too many": (GOOD.replace(",4\n", ",4,5,6\n"), "line 3", "6 columns"),
    "empty cell": (GOOD.replace("A,10,", "A,,"), "'angle'", "fill it in"),
    "no rows": (COUPONS, "no rows", "add one row"),
    "nothing": ("", "is empty", "template"),
    "outside the plate": (PLATE + "displacement_x,500,5,10,um,1\n", "outside the plate", "Correct the points"),
    "humidity outside 0 to 1": (
        '# experiment = "films"\nquantity,thickness [nm],humidity [%],temperature [K],value,unit,sd\nconductivity,10,130,303,20,mS/cm,2\n',
        "humidity' is 130 %",
        "between 0 and 100",
    ),
    "negative concentration": (
        '# experiment = "columns"\n# porosity = 0.33\nquantity,time [h],flow [mL/h],pulse [h],inlet [g/m^3],value,unit,sd\n'
        "relative_concentration,3,12,2.7,0.2,-0.1,,0.05\n",
        "Line 4: relative_concentration is -0.1",
        "leave the value empty",
    ),
    "count that is no whole number": (
        '# experiment = "counts"\nquantity,position [%],value,unit,sd\ncount,10,12,,\ncount,20,7.5,,\n',
        "Line 4: 'count' is 7.5",
        "whole numbers of at least 0",
    ),
    "simulated tissue without a tolerance": (
        '# experiment = "spreading"\nquantity,position [%],time [h],value,unit,sd\ndensity,50,10,0.5,,\n',
        "Line 3 has no sd",
        "fill the column in",
    ),
    "profile of a tissue without a value": (
        '# experiment = "gradient"\nquantity,position [%],value,unit,sd\nintensity,10,,,1\n',
        "Every value is empty",
        "fill in at least one",
    ),
    "bath of a gel saltier than the range": (
        '# experiment = "equilibrium"\nquantity,bath [mmol/L],value,unit,sd\naggregate_modulus,9000,0.5,MPa,0.1\n',
        "'bath' is 9000 mmol/L",
        "between 0.001 and 5000",
    ),
    "unknown experiment": (PLATE.replace('"plate"', '"plat"') + "force,,,9,N,1\n", "'plat'", "Did you mean 'plate'?"),
    "known fibre outside support": ("# volume_fraction = 3\n" + GOOD, "'volume_fraction'", "give a value inside"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_named_with_their_line(case, tmp_path):
    text, thing, remedy = BAD_DATA[case]
    (tmp_path / "my.csv").write_text(text)
    system = "proton_conductor" if "humidity" in case else "fibre_composite"
    known = {"concentration": "reactive_transport", "count": "morphogen_tissue", "tissue": "morphogen_tissue", "gel": "swelling_gel"}
    system = next((name for word, name in known.items() if word in case.split()), system)
    said = refused("fit", system, "--data", tmp_path / "my.csv", "--output", tmp_path / "out")
    assert thing in said
    assert remedy in said
    assert not (tmp_path / "out").exists()


def test_data_shapes_that_do_not_fit(coupons):
    with pytest.raises(hm.HmmInferError, match=r"not one number or one for each of the 5 rows"):
        hm.build(coupons, noise=np.ones(4))
    with pytest.raises(hm.HmmInferError, match=r"noise of .* is nan"):
        hm.build(coupons, noise=np.full(5, np.nan))
    plate = hm.models.fibre_composite.plate_fields(5, 3, orientation="zones", zones=2, elements_x=8, elements_y=2)
    with pytest.raises(hm.HmmInferError, match=r"'fibre_angle' needs 2 values, got shape \(3,\)"):
        plate.predict(fibre_angle=[1.0, 2.0, 3.0])


def test_results_are_never_overwritten(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "notes.txt").write_text("mine")
    for args in ((*FIT, "--output", kept), (*FIT, "--output", kept / "notes.txt")):
        said = refused(*args)
        assert "exists already" in said
        assert "choose another --output" in said
    (tmp_path / "p.csv").write_text("mine")
    for args in ((*PREDICT, "--output", tmp_path / "p.csv"), ("template", "fibre_composite", "--output", tmp_path / "p.csv")):
        assert "exists already and is not overwritten" in refused(*args)
    assert (kept / "notes.txt").read_text() == (tmp_path / "p.csv").read_text() == "mine"
    with pytest.raises(hm.HmmInferError, match="exists already"):
        runs.run(recipe.Recipe("fibre_composite"), kept)


def test_no_start_with_a_solution(coupons, monkeypatch):
    """The search for modes says so when every prior draw fails, with an example of what was tried."""
    from hmminfer.inference.coordinates import coordinates_of
    from hmminfer.inference.posterior import Compiled
    from hmminfer.inference.problem import Problem

    def not_compiled(self, problem):
        self.problem, self.coordinates = problem, coordinates_of(problem)

    monkeypatch.setattr(Compiled, "__init__", not_compiled)
    monkeypatch.setattr(Compiled, "__call__", lambda self, x: (-np.inf, np.zeros_like(x)))
    with pytest.raises(hm.HmmInferError, match=r"No start has a solution.*matrix_modulus.*Widen or move the priors"):
        Compiled(Problem.of(coupons)).modes(0, searches=16)


def test_an_interrupt_before_the_first_draw_leaves_nothing(tmp_path, monkeypatch):
    from hmminfer.inference import sampling as inference

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "fit", interrupted)
    result = CliRunner().invoke(app, [*FIT, "--quiet", "--output", str(tmp_path / "out")])
    assert result.exit_code == 130
    assert "Interrupted: nothing was drawn yet" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_stopped_before_its_first_draw_says_how_to_repeat_it(tmp_path):
    recipe.Recipe("fibre_composite", seed=1).write(tmp_path)
    (tmp_path / "draws.zarr").mkdir()
    said = refused("report", tmp_path)
    assert "stopped before its first draw" in said
    assert f"--run {tmp_path / 'run.toml'} --output {tmp_path}" in said
    runs.check_new(tmp_path, again=True)  # no result is lost by taking the folder again
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(hm.HmmInferError, match="exists already"):
        runs.check_new(tmp_path, again=True)


def test_files_that_are_no_results(tmp_path):
    (tmp_path / "posterior.nc").write_text("no")
    assert "cannot be read as a result" in refused("report", tmp_path)
    assert "no file" not in refused("report", tmp_path / "posterior.nc")
    (tmp_path / "empty").mkdir()
    assert "holds no posterior.nc" in refused("report", tmp_path / "empty")


def test_bad_run_files(tmp_path):
    file = tmp_path / "run.toml"
    for text, words in {
        'model = "fibre_composite"\ndraw = 3': ("'draw'", "Did you mean 'draws'?"),
        "model = fibre": ("not valid TOML", "correct that line"),
        "draws = 3": ("no model is named", "add a line"),
        'model = "fibre_composite"\nseed = "x"': ("seed is 'x'", "whole number"),
        'model = "fibre_composite"\nsampler = "nut"': ("sampler 'nut'", "Did you mean 'nuts'?"),
    }.items():
        file.write_text(text)
        said = refused("fit", "--run", file, "--quiet", "--output", tmp_path / "out")
        assert all(word in said for word in words), said
    file.write_text('model = "fibre_composite"')
    assert "leave the other choices out" in refused("fit", "--run", file, "--draws", "5")


@pytest.mark.parametrize("args", [("ft",), ("fit", "fibre_composite", "--drawz", "3"), ("extend",)])
def test_wrong_usage_is_explained(args):
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "Usage" in result.stderr


COMPOSITES = {  # data of the three other systems: system, file, thing, remedy
    "volume fraction above one": (
        "thermoelastic_composite",
        '# experiment = "laminae"\nquantity,volume_fraction,value,unit,sd\naxial_modulus,1.4,135,GPa,4\n',
        "Line 3: column 'volume_fraction' is 1.4",
        "between 0.01 and 0.9",
    ),
    "volume fraction below zero": (
        "thermoelastic_composite",
        '# experiment = "laminae"\nquantity,volume_fraction,value,unit,sd\naxial_modulus,-0.3,135,GPa,4\n',
        "column 'volume_fraction' is -0.3",
        "between 0.01 and 0.9",
    ),
    "modulus below zero": (
        "thermoelastic_composite",
        '# experiment = "laminae"\nquantity,value,unit,sd\naxial_modulus,-135,GPa,4\n',
        "Line 3: axial_modulus is -135 GPa",
        "cannot be zero or negative",
    ),
    "conductivity below zero": (
        "heat_composite",
        "quantity,particle_diameter [um],volume_fraction,value,unit,sd\nconductivity,7,0.4,-182,W/m/K,7\n",
        "Line 2: conductivity is -182 W/m/K",
        "cannot be zero or negative",
    ),
    "conductivity of zero": (
        "proton_conductor",
        "quantity,thickness [nm],humidity [%],temperature [K],value,unit,sd\nconductivity,10,95,303,0,mS/cm,2\n",
        "Line 2: conductivity is 0 mS/cm",
        "cannot be zero or negative",
    ),
    "humidity as a share": (
        "proton_conductor",
        "quantity,thickness [nm],humidity [%],temperature [K],value,unit,sd\nconductivity,10,0.95,303,20,mS/cm,2\n",
        "No humidity is above 0.95 %",
        "95 and not 0.95",
    ),
    "humidity of a bath as a share": (
        "proton_conductor",
        '# experiment = "membranes"\nquantity,thickness [um],temperature [K],humidity_a [%],value,unit,sd\narea_resistance,60,298,0.5,0.07,ohm*cm^2,0.004\n',
        "No humidity_a is above 0.5 %",
        "humidity_a [1]",
    ),
}


@pytest.mark.parametrize("case", COMPOSITES)
def test_bad_data_of_the_composites(case, tmp_path):
    system, text, thing, remedy = COMPOSITES[case]
    (tmp_path / "my.csv").write_text(text)
    experiment = re.match(r'# experiment = "(\w+)"', text)
    more = ("--experiment", experiment[1]) if experiment else ()
    said = refused("fit", system, "--data", tmp_path / "my.csv", "--output", tmp_path / "out", *more)
    assert thing in said
    assert remedy in said
    assert not (tmp_path / "out").exists()


def test_humidity_as_a_share_of_one_where_the_header_says_so(tmp_path):
    (tmp_path / "my.csv").write_text(
        "quantity,thickness [nm],humidity [dimensionless],temperature [K],value,unit,sd\nconductivity,10,0.95,303,20,mS/cm,2\n"
    )
    model = hm.models.get("proton_conductor").EXPERIMENTS["films"].model(tmp_path / "my.csv")
    assert model.table.columns["humidity"] == pytest.approx([95.0])


TISSUE = '# experiment = "gradient"\nquantity,position [%],value,unit,sd\n'
TISSUE_CASES = {
    "patch larger than its spacing": (TISSUE + "intensity,10,100,,5\n", ("--set", "patch=20"), "patch of 49 um", "fewer cells"),
    "empty profile": (TISSUE + "intensity,10,,,5\n", (), "Every value is empty", "fill in"),
    "no position in reach": (TISSUE + "intensity,10,100,,5\n", ("--set", "from=50 %"), "profile is empty", "widen from and to"),
    "position outside the tissue": (TISSUE + "intensity,130,100,,5\n", (), "'position' is 130 %", "between 0 and 100 %"),
    "negative rate": (TISSUE + "intensity,10,100,,5\n", ("--fix", "degradation=-1"), "'degradation' = -1 1/h", "give a value inside"),
    "too few molecules": (TISSUE + "intensity,90,10,,0.01\n", ("--set", "molecules=20"), "Monte Carlo error", "raise molecules"),
}


@pytest.mark.parametrize("case", TISSUE_CASES)
def test_bad_input_of_the_tissue(case, tmp_path):
    text, options, thing, remedy = TISSUE_CASES[case]
    (tmp_path / "my.csv").write_text(text)
    said = refused("fit", "morphogen_tissue", "--data", tmp_path / "my.csv", *options, "--output", tmp_path / "out")
    assert thing in said
    assert remedy in said
    assert not (tmp_path / "out").exists()
