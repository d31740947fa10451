"""Tables as people write them: numbers, percentages, missing values, spreadsheets and frames; and that no table ends in a traceback."""

import string
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hmminfer import datasets, models, units
from hmminfer.errors import HmmInferError
from hmminfer.system.data import Column, Schema, Setting
from hmminfer.system.parameters import Parameter
from hmminfer.system.priors import LogNormal
from hmminfer.system.tables import from_frame, read_table

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, database=None)
SCHEMA = Schema(
    experiment="films",
    quantities={"modulus": "GPa", "swelling": "", "temperature": "K", "count": ""},
    columns=(
        Column("specimen", kind="text", required=False),
        Column("humidity", "%", required=False, lower=0.0, upper=100.0, shares="any"),
        Column("position", "%", required=False, lower=0.0, upper=100.0, shares="all"),
        Column("volume_fraction", required=False, lower=0.0, upper=0.9, basis="volume", shares="all"),
    ),
    settings=(
        Setting("strain", "%", default=10.0, lower=0.0, upper=60.0, shares=True),
        Setting("elements", default=8, kind="integer"),
        Setting("note", default="", kind="text"),
        Setting("times", "s", default=(1.0, 2.0), kind="numbers"),
    ),
    positive=("modulus",),
    counted=("count",),
    basis={"swelling": "volume"},
    definitions={"swelling": "swollen volume over dry volume"},
    example_rows=({"quantity": "modulus", "value": 100.0, "unit": "GPa", "sd": 3},),
)
HEADER = "quantity,specimen,humidity [%],position [%],volume_fraction,value,unit,sd\n"


@contextmanager
def sentence(length, about=""):
    """What is refused here is refused in an error of the package, of at most so many characters."""
    said = about
    try:
        yield
    except HmmInferError as error:
        said = str(error)
    assert len(said) < length
    assert about in said


@pytest.fixture
def checked(tmp_path):
    """Table of a file with this text."""

    def check(text, **given):
        path = tmp_path / "films.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return SCHEMA.check(read_table(path), **given)

    return check


@pytest.mark.parametrize(
    ("row", "value", "sd"),
    [
        ("modulus,,,,,140,GPa,3 %", 140.0, 4.2),
        ("modulus,,,,,140,GPa,3%", 140.0, 4.2),
        ("modulus,,,,,140 GPa,,4000 MPa", 140.0, 4.0),
        ("modulus,,,,,1.4 x 10^2,GPa,", 140.0, np.nan),
        ("modulus,,,,,20,Msi,", 137.895, np.nan),
        ("modulus,,,,,20,10^6 psi,NaN", 137.895, np.nan),
        ("swelling,,,,,\u22122,,", -2.0, np.nan),
        ("swelling,,,,,3,mL/mL,", 3.0, np.nan),
        ("count,,,,,3,counts,n/a", 3.0, np.nan),
    ],
)
def test_values_and_sds_as_people_write_them(checked, row, value, sd):
    table = checked(HEADER + row + "\n")
    np.testing.assert_allclose([table.value[0], table.sd[0]], [value, sd], rtol=1e-5)


@pytest.mark.parametrize("missing", ["", "n/a", "NA", "nan", "-", "#N/A", "\u2013"])
def test_missing_values_are_dropped_and_counted(checked, missing):
    table = checked(HEADER + f"modulus,NA,{missing},,,140,GPa,{missing}\nmodulus,,,,,{missing},GPa,3\n")
    assert (len(table), table.n_missing, table.columns["specimen"][0]) == (1, 1, "NA")
    assert np.isnan(table.sd[0])
    assert np.isnan(table.columns["humidity"][0])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("modulus,,96,,,140,GPa,\nmodulus,,0.96,,,140,GPa,", "Line 3: humidity is 0.96 % beside others above 1 %: write 96"),
        (
            "modulus,,0.96,,,140,GPa,",
            "No humidity is above 0.96 %, and it is in %: 96 and not 0.96. For shares of one write the header as 'humidity [1]'",
        ),
        ("modulus,,,0.4,,140,GPa,\nmodulus,,,0.9,,140,GPa,", "No position is above 0.9 %"),
        ("modulus,,,,40,140,GPa,", "it must be between 0 and 0.9. If it is in %, say so: '40 %'"),
        ("modulus,,,,40 wt%,140,GPa,", "volume_fraction is volume over volume, and its unit 'wt%' is mass over mass"),
        ("swelling,,,,,40,g/g,", "swelling: swollen volume over dry volume"),
        ("modulus,,,,,140,GPa,3 GPa m", "Unit 'GPa m'"),
        ("temperature,,,,,25,degC,3 %", "which can mean two things"),
        ("temperature,,,,,25,C,", "Degrees are written degC"),
        ("swelling,,,,,30,%,2 %", "which can mean two things"),
        ("modulus,,,,,140 GPa,MPa,", "give one unit"),
        ("modulus,,,,,140 \u00b1 3,GPa,", "its standard deviation in the column sd"),
        ("modulus,,,,,<140,GPa,", "a limit is not a measurement"),
        ("modulus,,,,,1_000,GPa,", "value is '1_000', which is not a number; use digits with a decimal point and no separators"),
        ("modulus,,,,,2_00.0,GPa,", "no separators"),
        ('modulus,,,,,"1,234",GPa,', "if 1.234 is meant, write that"),
        ("modulus,,,,,\u0663,GPa,", "use digits"),
        ("count,,,,,3,parsec,", "the unit of 'count' is 'parsec', but it is counted"),
        ("count,,,,,3,GPa/0,", "leave the unit empty"),
        ("modulus,,,,,3,GPa**2**99,", "Unknown unit"),
        ("modulus,,,,,3,GPa*2**10**10**10,", "Unknown unit"),
        ("modulus,a", "line 2 has 2 cells for 8 columns: it is cut short before its unit"),
        ("modulus,,,,,140", "it is cut short before its unit"),
        ('modulus,"a,,,,140,GPa,\nmodulus,,,,,1,GPa,', "quotation mark that is not closed"),
    ],
)
def test_what_is_asked(checked, rows, said):
    with pytest.raises(HmmInferError) as error:
        checked(HEADER + rows + "\n")
    assert said in str(error.value)


def test_small_percentages_that_are_meant(checked):
    assert checked(HEADER + "modulus,,96,0.4,,140,GPa,\nmodulus,,0.96 %,30,,140,GPa,\n").columns["humidity"].tolist() == [96.0, 0.96]
    shares = checked(HEADER.replace("humidity [%]", "humidity [1]") + "modulus,,0.96,0 %,0.4,140,GPa,\n")
    assert shares.columns["humidity"][0] == pytest.approx(96.0)
    contents = HEADER.replace("volume_fraction", "volume_fraction [vol%]") + "modulus,,,,{},140,GPa,\n"
    assert checked(contents.format(40)).columns["volume_fraction"][0] == pytest.approx(0.4)
    with pytest.raises(HmmInferError, match=r"No volume_fraction is above 0\.4 %"):
        checked(contents.format(0.4))


def test_settings_in_percent(checked):
    text = HEADER + "modulus,,,,,140,GPa,\n"
    assert checked(text, strain="0.5 %").settings["strain"] == 0.5
    for given_ in ("0.1", 0.1):
        with pytest.raises(HmmInferError, match=r"Setting 'strain' is 0\.1, and it is in %: write '10 %'"):
            checked(text, strain=given_)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_where_cells_are_not_separated_by_them(checked, separator):
    text = HEADER.replace(",", separator) + separator.join(["modulus", "1,5", "95,5", "", "", "140,2", "GPa", "3,5 %"]) + "\n"
    table = checked(text)
    assert (table.value[0], table.columns["humidity"][0], table.columns["specimen"][0]) == (140.2, 95.5, "1,5")
    assert table.sd[0] == pytest.approx(0.035 * 140.2)
    with pytest.raises(HmmInferError, match=r"with a comma \('140,2'\) and with a point \('1\.5'\)"):
        checked(text + separator.join(["modulus", "", "", "", "", "1.5", "GPa", ""]) + "\n")


def test_unicode_text_of_spreadsheets_and_files_that_are_no_text(checked):
    text = HEADER.replace(",", "\t") + "modulus\t\u00b5\t\t\t\t140\tGPa\t\n"
    assert checked(text.encode("utf-16")).columns["specimen"][0] == "\u00b5"
    for data, said in ((HEADER.encode() + b"modulus,\0,,,,1,GPa,", "NUL"), (HEADER.encode("utf-16-le"), "NUL"), (b"\xff\xfe\x00", "not UTF-8")):
        with pytest.raises(HmmInferError, match=said):
            checked(data)


@pytest.mark.parametrize(
    "setting", ["[" * 3000, "9" * 5000, "{a = 1}", "1e400", "true", "[[1]]", "[]", "1979-05-27", '"' + "x" * 5000 + '"', "inf", "[1, true]"]
)
@pytest.mark.parametrize("name", ["strain", "elements", "times", "note"])
def test_settings_of_every_shape_are_read_or_refused(checked, name, setting):
    with sentence(600, about=name):
        checked(f"# {name} = {setting}\n{HEADER}modulus,,,,,140,GPa,\n")


def test_spreadsheets(tmp_path, checked):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ['# strain = "5 %"'],
        [],
        HEADER.strip().split(","),
        ["modulus", 7, 95.5, None, 0.4, 140.25, "GPa", "3 %"],
        ["modulus", "b", None, None, None, "n/a", "GPa"],
    ):
        sheet.append(row)
    book.save(tmp_path / "films.xlsx")
    table = SCHEMA.check(read_table(tmp_path / "films.xlsx"))
    assert (table.value.tolist(), table.n_missing, table.settings["strain"], table.line.tolist()) == ([140.25], 1, 5.0, [4])
    assert (table.columns["specimen"][0], table.columns["humidity"][0]) == ("7", 95.5)
    book.create_sheet("more").append(["something"])
    book.save(tmp_path / "two.xlsx")
    with pytest.raises(HmmInferError, match="has several sheets"):
        read_table(tmp_path / "two.xlsx")
    sheet.title = "data"
    book.save(tmp_path / "named.xlsx")
    assert len(SCHEMA.check(read_table(tmp_path / "named.xlsx"))) == 1
    (tmp_path / "broken.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(HmmInferError, match="cannot be read as a spreadsheet"):
        read_table(tmp_path / "broken.xlsx")


def test_frames_are_tables():
    """A DataFrame of the columns of a file is that file; messages name its rows by position."""
    own = datasets.load("raghavan_meshii")
    frame = pd.read_csv(datasets.path("raghavan_meshii") / "data.csv", comment="#")
    experiment = models.get("fibre_composite").EXPERIMENTS["coupons"]
    table, same = (experiment.schema.check(raw) for raw in (experiment.raw(frame), replace(own, settings={})))
    np.testing.assert_array_equal(table.value, same.value)
    np.testing.assert_array_equal(table.columns["angle"], same.columns["angle"])
    frame["value"] = frame["value"].astype(object)
    frame.loc[3, "value"] = "many"
    frame.index = frame.index + 100
    with pytest.raises(HmmInferError, match="Row 3: value is 'many'"):
        experiment.schema.check(experiment.raw(frame))
    with pytest.raises(HmmInferError, match="no rows"):
        from_frame(frame[:0])
    for odd in (3, [1, 2], object(), {"value": 1}):
        with pytest.raises(HmmInferError, match="Data are a file, the name of a dataset or a DataFrame"):
            experiment.raw(odd)


def test_paths_that_are_none(tmp_path):
    for name in ("x" * 5000 + ".csv", str(tmp_path / ("y" * 300 + ".csv")), "a\0b.csv", str(tmp_path)):
        with pytest.raises(HmmInferError, match="There is no file"):
            read_table(name)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("modulus,,,,,0.08,GPa,140", "Line 2: the sd of modulus is 140 GPa and the value 0.08, more than ten times that: are value and sd exchanged"),
        ("modulus,,,,,140,GPa,1e-12", "less than a millionth of that: is it the sd?"),
        ("swelling,,,,,3,,1e-9", "less than a millionth"),
        ("modulus,,,,,1.4e11,GPa,4e9", "where 100 would be usual: is the unit right?"),
        ("modulus,,,,,1.4e-9,GPa,4e-11", "is the unit right?"),
    ],
)
def test_what_is_hard_to_believe_is_said(checked, rows, said):
    told = checked(HEADER + rows + "\n").warnings
    assert len(told) == 1
    assert said in told[0]
    assert told[0] in repr(checked(HEADER + rows + "\n"))


def test_what_is_usual_is_not_remarked(checked):
    assert checked(HEADER + "modulus,,,,,140,GPa,4\nswelling,,,,,0,,1\nswelling,,,,,3,,1\ntemperature,,,,,300,K,\ncount,,,,,7,,\n").warnings == ()


@pytest.mark.parametrize("system", models.names())
def test_the_datasets_are_believed(system):
    for experiment in models.get(system).EXPERIMENTS.values():
        known = {s.name for s in experiment.schema.settings}
        raw = experiment.raw()
        table = experiment.schema.check(replace(raw, settings={k: v for k, v in raw.settings.items() if k in known}))
        assert table.warnings == ()


def test_replicates_are_said(checked):
    text = HEADER + "modulus,a,95,,,140,GPa,4\n" * 3 + "modulus,b,95,,,140,GPa,4\nswelling,,,,,3,,\nswelling,,,,,3,,\n"
    assert "3 replicates of modulus, independent of each other; 2 replicates of swelling" in repr(checked(text))


def test_a_quantity_of_another_experiment_is_sent_there():
    films = models.get("proton_conductor").EXPERIMENTS["films"]
    frame = pd.DataFrame({"quantity": ["area_resistance"], "thickness": 10, "humidity": 95, "temperature": 300, "value": 1, "unit": "ohm*cm^2"})
    with pytest.raises(HmmInferError, match="It belongs to the experiment 'membranes'"):
        films.schema.check(films.raw(frame))
    coupons = models.get("fibre_composite").EXPERIMENTS["coupons"]
    with pytest.raises(HmmInferError) as error:
        coupons.schema.check(coupons.raw(pd.DataFrame({"SUBSET_ID": [0], "COORDINATE_X": 3, "DISPLACEMENT_X": 1})))
    assert "some belong to the experiment 'plate'" in str(error.value)
    assert "'hmminfer convert FILE fibre_composite --experiment plate'" in str(error.value)
    assert str(error.value).count("\n") == 1


# --- any table is read or refused in a sentence

CELLS = st.one_of(
    st.sampled_from(["modulus", "swelling", "GPa", "140", "3 %", "", "n/a", "1,5", '"', "#", "-1", "1e999", "%", "g/g", "10^99 K", "\u00b5", "=1+1"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12),
)
NAMES = st.sampled_from([*HEADER.strip().split(","), "x", "humidity", "quantity [m]", ""])


@QUICK
@given(header=st.lists(NAMES, max_size=9), rows=st.lists(st.lists(CELLS, max_size=9), max_size=4), mark=st.sampled_from(",;\t"))
def test_any_table_is_read_or_refused(tmp_path, header, rows, mark):
    file = tmp_path / "any.csv"
    file.write_bytes("\n".join(mark.join(row) for row in [header, *rows]).encode())
    with sentence(10_000):
        SCHEMA.check(read_table(file))


@QUICK
@given(row=st.lists(CELLS, min_size=8, max_size=8))
def test_any_row_under_a_good_header_is_read_or_refused(row):
    frame = pd.DataFrame([row], columns=HEADER.strip().split(","))
    with sentence(10_000):
        assert np.isfinite(SCHEMA.check(from_frame(frame)).value).all()


@QUICK
@given(data=st.binary(max_size=200))
@example(data=b'"' + b"x" * 200_000)
@example(data=b"quantity,value,unit\n" + b"x" * 200_000)
@example(data=b"# a = " + b"[" * 50_000)
@example(data=b'"#' + b"x" * 200_000)
def test_any_bytes_are_read_or_refused(tmp_path, data):
    file = tmp_path / "any.csv"
    file.write_bytes(data)
    with sentence(10_000):
        SCHEMA.check(read_table(file))


UNIT = st.one_of(
    st.text(string.ascii_letters + string.digits + "*/^()-+. %\u00b5\u00b2\u207b\u00b7\u00b0_", max_size=30),
    st.lists(st.sampled_from(["GPa", "m", "K", "**", "2", "10", "^", "/", "*", "(", ")", " ", "-1", "99", "%", "degC", "e"]), max_size=12).map(
        "".join
    ),
)


@QUICK
@given(unit=UNIT)
@example(unit="GPa**2**99")
@example(unit="3 GPa*2**10**10**10")
@example(unit="(" * 60)
@example(unit="Q" * 5000)
def test_any_unit_is_converted_or_refused(unit):
    for target in ("GPa", "", "K"):
        with sentence(600):
            assert np.isfinite(units.convert(1.0, unit, target))


@QUICK
@given(x=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_is_written(x):
    assert units.number(repr(x)) == x
    assert units.parse(f"{x!r} GPa", "GPa") == x


@QUICK
@given(
    value=st.one_of(
        st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8), st.lists, max_leaves=6), st.binary(max_size=3)
    )
)
def test_any_setting_and_any_value_of_a_parameter_is_read_or_refused(value):
    parameters = (Parameter("modulus", "GPa", LogNormal(3.0, 0.5), lower=0.0), Parameter("share", "", LogNormal(1.0, 0.5), size=2))
    for read in (*(s.read for s in SCHEMA.settings), *(p.held for p in parameters)):
        with sentence(600):
            read(value)
