"""Data tables: what is read, what is refused with which sentence, and that the shipped datasets hold."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hmminfer import datasets
from hmminfer.errors import HmmInferError
from hmminfer.system.data import Column, Schema, Setting, write_template
from hmminfer.system.tables import RawTable, read_table, write_table

SCHEMA = Schema(
    experiment="plate",
    quantities={"displacement_x": "um", "force": "kN", "poisson_ratio": ""},
    columns=(
        Column("x", "mm", lower=0.0, upper=200.0, description="distance from the grip", quantities=("displacement_x",)),
        Column("specimen", kind="text", required=False),
    ),
    settings=(
        Setting("length", "mm", default=100.0, lower=0.0, description="between the grips"),
        Setting("elements", kind="integer", default=8, lower=1),
        Setting("packing", kind="text", default="hexagonal", choices=("hexagonal", "square")),
    ),
    example_rows=({"quantity": "displacement_x", "x": 10.0, "value": 12.5, "unit": "um", "sd": 1.0},),
    description="A plate in tension.",
)
HEADER = "quantity,x [mm],specimen,value,unit,sd\n"


@pytest.fixture
def table(tmp_path):
    """Raw table of a file with this text."""

    def read(text):
        path = tmp_path / "plate.csv"
        path.write_text(text, encoding="utf-8")
        return read_table(path)

    return read


def test_units_missing_points_and_unknown_noise(table):
    raw = table(
        '# experiment = "plate"\n# length = "12 cm"\n## a remark = with an equals sign\n# a free comment\n\n'
        "quantity,x [cm],specimen,value,unit,sd\n"
        "displacement_x,1,a,0.002,mm,0.001\n"
        "displacement_x,2,a,,mm,0.001\n"
        "force,,b,5000,N,\n"
        "poisson_ratio,,,30,%,2\n"
    )
    data = SCHEMA.check(raw)
    assert (data.name, data.experiment, len(data), data.n_missing) == ("plate", "plate", 3, 1)
    np.testing.assert_allclose(data.value, [2.0, 5.0, 0.3])
    np.testing.assert_allclose(data.sd, [1.0, math.nan, 0.02])
    np.testing.assert_allclose(data.columns["x"], [10.0, math.nan, math.nan])
    assert data.columns["specimen"].tolist() == ["a", "b", ""]
    assert data.unit.tolist() == ["um", "kN", ""]
    assert data.line.tolist() == [7, 9, 10]
    assert data.settings == {"length": 120.0, "elements": 8, "packing": "hexagonal"}

    force = data.select("force")
    assert len(force) == 1
    assert force.columns["specimen"].tolist() == ["b"]
    with pytest.raises(HmmInferError, match="Did you mean 'force'"):
        data.select("forse")


def test_overrides_replace_settings_of_the_file(table):
    raw = table("# length = 50\n" + HEADER + "force,,,1,N,\n")
    assert SCHEMA.check(raw).settings["length"] == 50.0
    assert SCHEMA.check(raw, length="0.2 m", elements="16").settings == {"length": 200.0, "elements": 16, "packing": "hexagonal"}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_files_as_spreadsheets_write_them(table, separator):
    pad = separator * 3
    rows = (HEADER + "force,,,1,N,0.1\n").replace(",", separator)
    data = SCHEMA.check(table(f'\ufeff"# length = ""12 cm"""{pad}\n# elements = 4{pad}\n{pad}\n{rows}{pad}\n'))
    assert (data.settings["length"], data.settings["elements"], data.line.tolist()) == (120.0, 4, [5])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("forse,,,1,N,0.1", "Line 2: Unknown quantity 'forse'. Did you mean 'force'?"),
        ("force,,,many,N,0.1", "Line 2: value is 'many', which is not a number"),
        ("force,,,inf,N,0.1", "Line 2: value is 'inf', which is not a number"),
        ("force,,,1e999,N,0.1", "Line 2: value is '1e999', which is not finite; leave the cell empty"),
        ("force,,,1,Nn,0.1", "Line 2: Unknown unit 'Nn'"),
        ("force,,,1,mm,0.1", "Line 2: Unit 'mm' (in base units meter) cannot be converted to 'kN'"),
        ("force,,,1,,0.1", "Line 2: the unit of 'force' is empty"),
        ("force,,,1,N,-0.1", "Line 2: sd is -0.1; a standard deviation is positive"),
        ("force,,,1,N,0", "Line 2: sd is 0; a standard deviation is positive"),
        ("force,,,1,N,small", "Line 2: sd is 'small', which is not a number"),
        ("displacement_x,300,,1,um,0.1", "Line 2: column 'x' is 300 mm; it must be between 0 and 200 mm"),
        ("displacement_x,left,,1,um,0.1", "Line 2: x is 'left', which is not a number"),
        ("displacement_x,,,1,um,0.1", "Line 2: column 'x' is empty; 'displacement_x' needs it"),
        ("force,,,,N,", "Every value is empty"),
    ],
)
def test_bad_rows(table, row, message):
    raw = table(HEADER + row + "\n")
    with pytest.raises(HmmInferError) as error:
        SCHEMA.check(raw)
    assert message in str(error.value)
    assert "plate.csv" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantity,x [mm],unit,sd\nforce,,N,\n", "Missing column 'value'"),
        ("quantity,x [mm],valu,unit\nforce,,1,N\n", "Unknown column 'valu'. Did you mean 'value'?"),
        ("quantity,x [s],value,unit\nforce,,1,N\n", "Column 'x': Unit 's'"),
        ("quantity,value [N],unit\nforce,1,N\n", "Column 'value' takes no unit in its header"),
        ("# lenght = 3\n" + HEADER + "force,,,1,N,\n", "Unknown setting 'lenght'. Did you mean 'length'?"),
        ('# length = "3 s"\n' + HEADER + "force,,,1,N,\n", "Setting 'length': Unit 's'"),
        ("# length = -3\n" + HEADER + "force,,,1,N,\n", "Setting 'length' is -3 mm; it must be at least 0 mm"),
        ("# length = true\n" + HEADER + "force,,,1,N,\n", "Setting 'length': 'True' is not a number"),
        ("# elements = 2.5\n" + HEADER + "force,,,1,N,\n", "Setting 'elements' is 2.5; give a whole number"),
        ('# packing = "squar"\n' + HEADER + "force,,,1,N,\n", "Unknown packing 'squar'. Did you mean 'square'?"),
        ('# experiment = "coupons"\n' + HEADER + "force,,,1,N,\n", "experiment 'coupons', not 'plate'"),
    ],
)
def test_bad_headers_and_settings(table, text, message):
    raw = table(text)
    with pytest.raises(HmmInferError) as error:
        SCHEMA.check(raw)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# length = 3\n\n", "is empty"),
        (HEADER, "has a header and no rows"),
        ("quantity,x [mm],x [cm]\n1,2,3\n", "column 'x' more than once"),
        (HEADER + "force,,,1,5,N,0.1\n", "line 2 has 7 cells for 6 columns"),
        ("# length = 3 mm\n" + HEADER, "line 1: setting 'length' is not valid; write # length = \"3 mm\""),
        ("# length = 3\n# length = 4\n" + HEADER, "line 2: setting 'length' is given twice"),
    ],
)
def test_bad_files(table, text, message):
    with pytest.raises(HmmInferError) as error:
        table(text)
    assert message in str(error.value)


def test_missing_and_unreadable_files(tmp_path):
    (tmp_path / "coupons.csv").write_bytes(HEADER.encode() + b"force,,\xb5,1,N,\n")
    with pytest.raises(HmmInferError, match=r"did you mean 'coupons\.csv'"):
        read_table(tmp_path / "coupon.csv")
    with pytest.raises(HmmInferError, match="check its name and folder"):
        read_table(tmp_path / "nowhere" / "coupon.csv")
    with pytest.raises(HmmInferError, match="save it as 'CSV UTF-8'"):
        read_table(tmp_path / "coupons.csv")


def test_all_problems_are_reported_at_once(table):
    rows = "".join(f"force,,,1,N,-{i + 1}\n" for i in range(30))
    raw = table(HEADER + "forse,,,1,N,\nforce,,,1,N,\nforce,,,x,N,\n" + rows)
    with pytest.raises(HmmInferError) as error:
        SCHEMA.check(raw)
    message = str(error.value)
    assert "(32 problems)" in message
    assert "Line 2:" in message
    assert "Line 3:" not in message
    assert "Line 4:" in message
    assert message.endswith("and 12 more.")


def test_a_complaint_that_lines_share_is_said_once(table):
    with pytest.raises(HmmInferError) as error:
        SCHEMA.check(table(HEADER + "force,,,1,Msi,\n" * 5))
    assert str(error.value).count("Msi") == 1
    assert "Lines 2, 3, 4 and 2 more: " in str(error.value)


def test_a_template_is_valid_explains_itself_and_is_never_overwritten(tmp_path):
    path = tmp_path / "mine.csv"
    write_template(path, SCHEMA)
    data = SCHEMA.check(read_table(path))
    assert data.settings == {"length": 100.0, "elements": 8, "packing": "hexagonal"}
    assert (data.value.tolist(), data.sd.tolist(), data.columns["x"].tolist()) == ([12.5], [1.0], [10.0])
    text = path.read_text(encoding="utf-8")
    for piece in (
        "x [mm]: distance from the grip, between 0 and 200 mm, number, needed for displacement_x",
        "force (kN)",
        "one of hexagonal, square",
    ):
        assert piece in text
    with pytest.raises(HmmInferError, match="exists already and is not overwritten"):
        write_template(path, SCHEMA)
    assert path.read_text(encoding="utf-8") == text
    with pytest.raises(HmmInferError, match="cannot be written"):
        write_template(tmp_path / "no folder" / "mine.csv", SCHEMA)


def test_a_setting_without_a_default_must_be_filled_in(tmp_path):
    schema = replace(SCHEMA, settings=(Setting("width", "mm"),))
    with pytest.raises(HmmInferError, match="Setting 'width' is missing; add a line"):
        schema.check(RawTable("t", "", {}, ("quantity", "value", "unit"), [{"quantity": "force", "value": "1", "unit": "N"}]))
    write_template(tmp_path / "t.csv", schema)
    with pytest.raises(HmmInferError, match=r"Setting 'width': '\? mm' is not a number"):
        schema.check(read_table(tmp_path / "t.csv"))


def test_written_tables_come_back(tmp_path, table):
    raw = table('# experiment = "plate"\n# length = "12 cm"\n' + HEADER + 'force,,"a, ""b""",1,N,0.1\n')
    write_table(tmp_path / "copy.csv", raw, remarks=("made by a test",))
    again = read_table(tmp_path / "copy.csv")
    assert (again.settings, again.header, again.rows) == (raw.settings, raw.header, raw.rows)
    with pytest.raises(HmmInferError, match="not overwritten"):
        write_table(tmp_path / "copy.csv", raw)


COUPONS = Schema(
    experiment="coupons",
    quantities={"youngs_modulus": "GPa", "shear_modulus": "GPa", "poisson_ratio": "", "matrix_modulus": "GPa"},
    columns=(
        Column("specimen", kind="text"),
        Column("angle", "deg", lower=-90.0, upper=90.0, quantities=("youngs_modulus",)),
        Column("temperature", "K", required=False, lower=0.0),
    ),
)


def test_raghavan_meshii():
    raw = datasets.load("raghavan_meshii")
    data = COUPONS.check(replace(raw, settings={"experiment": "coupons"}))  # the header also says what is taken of the material
    assert (len(data), data.n_missing) == (25, 0)
    np.testing.assert_allclose(data.sd, 0.03 * data.value, rtol=1e-3)
    ten = data.select("youngs_modulus")
    ten_degrees = ten.columns["specimen"] == "10"
    assert ten.columns["angle"][ten_degrees].tolist() == [10.0] * 5
    assert ten.columns["temperature"][ten_degrees].tolist() == [295.0, 373.0, 403.0, 433.0, 463.0]
    assert ten.value[ten_degrees].tolist() == [146.44, 133.26, 129.18, 124.80, 120.44]
    assert data.value.sum() == pytest.approx(976.3 + 654.12 + 62.26 + 65.96 + 25.32)  # column sums of the source


def test_wwfe_laminae():
    data = COUPONS.check(datasets.load("wwfe_laminae"))
    assert len(data) == 12
    specimens = set(data.columns["specimen"].tolist())
    assert specimens == set(data.provenance["lamina"])
    assert data.select("poisson_ratio").value.tolist() == [0.28, 0.278, 0.278]
    for constituents in data.provenance["lamina"].values():
        assert constituents["fibre"] in data.provenance["fibre"]
        assert constituents["matrix"] in data.provenance["matrix"]


@pytest.mark.parametrize("name", datasets.names())
def test_every_dataset_says_where_it_comes_from(name):
    provenance = datasets.describe(name)
    for key in ("title", "source", "authors", "year", "transcribed", "confidence", "units", "uncertainty", "licence"):
        assert provenance.get(key), key
    assert datasets.path(name).is_dir()


def test_unknown_dataset():
    with pytest.raises(HmmInferError, match=r"Unknown dataset 'raghavan'\. Did you mean 'raghavan_meshii'"):
        datasets.load("raghavan")


def test_a_setting_may_name_a_file_beside_the_data(tmp_path, monkeypatch):
    """Read from another folder, the mesh is still found; a text that happens to name a file is no file."""
    for name in ("plate.msh", "grips"):
        (tmp_path / name).write_text("")
    (tmp_path / "d.csv").write_text('# mesh = "plate.msh"\n# load = "grips"\nquantity,value,unit\nforce,1,N\n')
    schema = replace(SCHEMA, settings=(Setting("mesh", kind="file", default=""), Setting("load", kind="text", default="grips")), columns=())
    monkeypatch.chdir("/")
    assert schema.check(read_table(tmp_path / "d.csv")).settings == {"mesh": str(tmp_path / "plate.msh"), "load": "grips"}
    with pytest.raises(HmmInferError, match=r"Setting 'mesh': there is no file 'none\.msh'"):
        schema.check(read_table(tmp_path / "d.csv"), mesh="none.msh")
