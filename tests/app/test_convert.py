"""Tables of other forms become data files: exports of image correlation, a column for each quantity; and what is asked on the way."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from hmminfer import models
from hmminfer.app.cli import app
from hmminfer.system.tables import read_table

DICE = """***
*** Digital Image Correlation Engine (DICe)
*** Coordinates given with (0,0) as upper left corner of image, x positive right, y positive down
***
SUBSET_ID,COORDINATE_X,COORDINATE_Y,DISPLACEMENT_X,DISPLACEMENT_Y,SIGMA,GAMMA,VSG_STRAIN_XX,VSG_STRAIN_YY,VSG_STRAIN_XY
0,3.0E+01,2.10E+02,5.5,-9.2,7.2E-03,7.5E-02,0,0,0
1,5.0E+01,2.25E+02,5.7,-9.1,8.1E-03,8.5E-02,0,0,0
2,3.0E+01,2.40E+02,0.0,0.0,-1.0,0.0,0,0,0
"""
VIC = """"x","y","u","v","sigma","exx","eyy","exy"
10,900,1.5,-0.5,0.01,0.001,-0.0003,0.0002
20,880,1.6,-0.6,-1,0,0,0
20,860,1.7,-0.4,0.02,0.0011,-0.0002,0.0003
"""
GOM = """# camera : 12MP
# calibration_object : CP 20 / 175x140mm\u00b2
####
#        ID;    x_undef [mm];    y_undef [mm];    z_undef [mm];    u [mm];    v [mm];    w [mm];    epsx [%];    epsy [%];    epsxy [1];    epseqv [%]
         1;    -80.05;    84.97;    0.15;    0.0036;    0.0592;    -0.158;    -0.18;    -0.11;    -0.0006;    0.31
         2;    -79.05;    84.97;    0.15;    NaN;    NaN;    NaN;    NaN;    NaN;    NaN;    NaN
         3;    -78.05;    85.97;    0.15;    0.0030;    0.0600;    -0.158;    -0.20;    -0.12;    0.0004;    0.31
"""
MATCHID = """Image X[Pixel],Image Y[Pixel],Horizontal Displacement U[Pixel],Vertical Displacement V[Pixel],Sigma,{0}: Exx,{0}: Exy,
1680,730,-0.6,-3.3,0.0002,-0.0015,-0.00016,
1190,1430,0.02,-1.0,0.0001,-0.0006,0.00024,
""".format("Strain-global frame")
PYVALE = "subset_x,subset_y,displacement_u,displacement_v,converged,cost\n225,225,1.0,-1.0,1,1.0,0,0\n240,225,1.0,-1.0,0,1.0,0,0\n240,240,1.0,-1.0,1,1.0,0,0\n"
VIC_3D = '"X","Y","Z","U","V","W","exx","eyy","exy","sigma"\n1,2,0,0.01,0.02,0,0.001,0.0,0.0002,0.01\n3,4,0,0.03,0.04,0,0.001,0.0,0.0002,0.01\n'


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """What the command says, and the checked table of what it writes (None if it refuses)."""
    monkeypatch.chdir(tmp_path)

    def run(text, *options, name="file.csv"):
        if isinstance(text, str):
            (tmp_path / name).write_text(text, encoding="utf-8")
        result = CliRunner().invoke(app, ["convert", name, *options])
        assert "Traceback" not in result.output
        if result.exit_code:
            assert result.stderr.startswith("Error: ")
            assert result.stderr.count("\n") == 1
            return result.stderr, None
        raw = read_table(tmp_path / "file_long.csv")
        system = result.stdout.split("hmminfer fit ")[1].split()[0]
        schema = models.get(system).EXPERIMENTS[raw.settings["experiment"]].schema
        return result.stdout, schema.check(raw)

    return run


def test_dice(convert):
    """Pixels become lengths, y is turned with the sign of what points along it, failed points are dropped and counted."""
    said, table = convert(DICE, "--experiment", "plate", "--pixel", "20 um")
    assert table.quantity.tolist() == ["displacement_x"] * 2 + ["displacement_y"] * 2
    np.testing.assert_allclose(table.value, [110.0, 114.0, 184.0, 182.0])
    np.testing.assert_allclose(table.columns["x"][:2], [0.0, 0.4])
    np.testing.assert_allclose(table.columns["y"][:2], [0.3, 0.0])
    for words in (
        "1 of 3 points failed",
        "y was turned upwards and the sign of displacement_y changed",
        "VSG_STRAIN_XX",
        "zero everywhere",
        "Left out: SUBSET_ID",
    ):
        assert words in said
    assert "lowest point measured" in said
    assert "lowest point measured" not in convert(DICE, "--pixel", "20 um", "--origin", "10, 300 px", "--output", "b.csv")[0]


def test_vic_2d(convert):
    said, table = convert(VIC, "--pixel", "0.02 mm", "--origin", "0, 1000")
    rows = {q: table.select(q) for q in ("displacement_y", "strain_xx", "strain_xy")}
    np.testing.assert_allclose(rows["displacement_y"].value, [10.0, 8.0])
    np.testing.assert_allclose(rows["strain_xx"].value, [1000.0, 1100.0])
    np.testing.assert_allclose(rows["strain_xy"].value, [-400.0, -600.0])  # engineering shear, its sign turned with y
    np.testing.assert_allclose(rows["strain_xx"].columns["y"], [2.0, 2.8])
    assert "Shear strains were doubled" in said


def test_turning_y_is_exact():
    """Strains of a turned field are those of the field turned: with v' = -v and y' = -y, du/dy + dv/dx changes its sign, the others do not."""
    a, b, c, d = 1e-3, 2e-4, -3e-4, 5e-4  # u = a x + b y, v = c x + d y
    turned = np.diag([1.0, -1.0]) @ np.array([[a, b], [c, d]]) @ np.diag([1.0, -1.0])
    np.testing.assert_allclose([turned[0, 0], turned[1, 1], turned[0, 1] + turned[1, 0]], [a, d, -(b + c)])


def test_vic_3d_asks_for_its_axis(convert):
    assert "--y-axis up or --y-axis down" in convert(VIC_3D)[0]
    _, table = convert(VIC_3D, "--y-axis", "up")
    np.testing.assert_allclose(table.select("displacement_y").value, [20.0, 40.0])
    np.testing.assert_allclose(table.columns["x"][:2], [1.0, 3.0])


def test_aramis(convert, tmp_path):
    """Its header is the last comment, its remarks are in another encoding, and points that were lost are NaN."""
    (tmp_path / "file.csv").write_bytes(GOM.encode("cp1252"))
    assert "--y-axis up or --y-axis down" in convert(None)[0]
    said, table = convert(None, "--y-axis", "up", "--origin", "-100, 0")
    np.testing.assert_allclose(table.select("displacement_x").value, [3.6, 3.0])
    np.testing.assert_allclose(table.columns["x"][:2], [19.95, 21.95])
    np.testing.assert_allclose(table.select("strain_xx").value, [-1800.0, -2000.0])
    np.testing.assert_allclose(table.select("strain_xy").value, [-1200.0, 800.0])
    assert "1 of 3 points failed" in said
    (tmp_path / "file_long.csv").unlink()
    assert "x or y is negative: give --origin" in convert(None, "--y-axis", "up")[0]


def test_matchid(convert):
    _, table = convert(MATCHID, "--pixel", "10 um")
    np.testing.assert_allclose(table.select("displacement_y").value, [33.0, 10.0])
    np.testing.assert_allclose(table.select("strain_xy").value, [320.0, -480.0])
    np.testing.assert_allclose(table.columns["y"][:2], [7.0, 0.0])


def test_rows_longer_than_their_header(convert):
    said, table = convert(PYVALE, "--pixel", "10 um")
    np.testing.assert_allclose(table.select("displacement_y").value, [10.0, 10.0])
    assert "1 of 3 points failed" in said
    assert "Cells beyond the 6 names of the header are left out" in said


FIELDS = {"u": np.array([[0.0, 0.2], [0.4, 0.6]]), "v": np.array([[0.0, 0.1], [0.1, 0.1]])}


def check_ncorr(said, table):
    u = table.select("displacement_x")
    np.testing.assert_allclose(u.value, [200.0, 400.0, 600.0])  # saved in mm
    np.testing.assert_allclose(u.columns["x"], [0.1, 0.0, 0.1])  # (3 + 1) pixels of 25 um between points
    np.testing.assert_allclose(u.columns["y"], [0.1, 0.0, 0.0])
    np.testing.assert_allclose(table.select("displacement_y").value, [-100.0] * 3)
    assert "1 of 4 points failed" in said


def test_ncorr(convert, tmp_path):
    frame = {f"plot_{k}_ref_formatted": v for k, v in FIELDS.items()}
    savemat(tmp_path / "file.mat", {"data_dic_save": {"displacements": frame, "dispinfo": {"spacing": 3.0, "pixtounits": 0.025}}})
    said, table = convert(None, "--pixel", "25 um", name="file.mat")
    check_ncorr(said, table)
    assert "Frame 1 of 1" in said
    (tmp_path / "other.mat").write_bytes((tmp_path / "file.mat").read_bytes()[:300])
    assert "is not a saved analysis of Ncorr" in convert(None, "--pixel", "25 um", name="other.mat")[0]


def test_ncorr_of_several_frames_in_the_newer_file(convert, tmp_path):
    with h5py.File(tmp_path / "file.mat", "w") as file:
        saved = file.create_group("data_dic_save")
        for k, v in FIELDS.items():
            several = saved.create_dataset(f"displacements/plot_{k}_ref_formatted", (2, 1), dtype=h5py.ref_dtype)
            for i in range(2):
                several[i, 0] = file.create_dataset(f"#refs#/{k}{i}", data=(i * v).T).ref
        saved.create_dataset("dispinfo/spacing", data=[[3.0]])
        saved.create_dataset("dispinfo/pixtounits", data=[[0.025]])
    check_ncorr(*convert(None, "--pixel", "25 um", name="file.mat"))
    assert "give --frame from 1 to 2" in convert(None, "--pixel", "25 um", "--frame", "3", name="file.mat")[0]


BREAKTHROUGH = "t (min),C/C0,sd\n10,0.2,0.01\n20,0.5,n/a\n30,x,\n"
COLUMNS = ("reactive_transport", "--column", "C/C0=relative_concentration", "--column", "t (min)=time", "--column", "sd=relative_concentration_sd")


def test_a_column_for_each_quantity(convert):
    said, table = convert(
        BREAKTHROUGH,
        *COLUMNS,
        "--set",
        "flow=12 mL/h",
        "--set",
        "pulse=30 min",
        "--set",
        "inlet=1 g/m^3",
        "--set",
        "length=5 cm",
        "--set",
        "porosity=0.4",
    )
    np.testing.assert_allclose(table.value, [0.2, 0.5])
    np.testing.assert_allclose(table.columns["time"], [1 / 6, 1 / 3])
    np.testing.assert_allclose(table.columns["pulse"], [0.5, 0.5])
    np.testing.assert_allclose(table.sd, [0.01, np.nan])
    assert table.settings["length"] == 50.0
    assert "1 cells hold no number" in said


LAMINA = "material,Vf,E1 (GPa),E2 (GPa),G12_GPa,nu12\nKevlar,0.6,80,5.5,2.2,0.34\nother,0.5,70,5.0,2.0,0.35\n"
ENGINEERING = ("fibre_composite", "--column", "material=specimen", "--column", "E1=youngs_modulus at angle=0 deg")


def test_several_columns_of_one_quantity(convert):
    """Columns of one quantity say where each was measured; names may be written without their units, and units after an underscore are read."""
    more = ("--column", "E2=youngs_modulus at angle=90 deg", "--column", "G12_GPa=shear_modulus [GPa]", "--column", "nu12=poisson_ratio")
    _, table = convert(LAMINA, *ENGINEERING, *more)
    modulus = table.select("youngs_modulus")
    np.testing.assert_allclose(modulus.value, [80.0, 70.0, 5.5, 5.0])
    np.testing.assert_allclose(modulus.columns["angle"], [0, 0, 90, 90])
    assert modulus.columns["specimen"].tolist() == ["Kevlar", "other"] * 2
    np.testing.assert_allclose(table.select("shear_modulus").value, [2.2, 2.0])


def test_units_after_an_underscore(convert):
    options = ("--column", "C_C0=relative_concentration", "--set", "flow=12 mL/h", "--set", "pulse=30 min", "--set", "inlet=1 g/m^3")
    _, table = convert("time_min,C_C0\n10,0.2\n20,0.5\n", "reactive_transport", *options, "--set", "length=5 cm", "--set", "porosity=0.4")
    np.testing.assert_allclose(table.columns["time"], [1 / 6, 1 / 3])


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (BREAKTHROUGH, COLUMNS, "Columns 'flow', 'pulse', 'inlet' are needed, and no column of the file is called so"),
        (BREAKTHROUGH, COLUMNS, "or, where it is the same in all rows, its value: --set 'flow=...' --set 'pulse=...'"),
        (BREAKTHROUGH, ("reactive_transport", "--column", "C/C=relative_concentration"), "Unknown column of the file 'C/C'. Did you mean 'C/C0'?"),
        (BREAKTHROUGH, ("reactive_transport", "--column", "C/C0=concentration"), "Did you mean 'relative_concentration'"),
        (BREAKTHROUGH, (), "name the system"),
        (BREAKTHROUGH, ("morphogen_tissue",), "is a quantity of morphogen_tissue (gradient: "),
        (LAMINA, (*ENGINEERING, "--column", "E2=youngs_modulus at angel=90 deg"), "Unknown quantity or column 'angel'. Did you mean 'angle'?"),
        (LAMINA, (*ENGINEERING, "--column", "E2=youngs_modulus"), "Column 'angle' is needed"),
        (LAMINA, (*ENGINEERING, "--column", "E2=youngs_modulus at angle=0 deg"), "or say how they differ"),
        (LAMINA, (*ENGINEERING, "--column", "E2=youngs_modulus at angle=0 deg, B"), "says not where 'E2' was measured"),
        (BREAKTHROUGH, (*COLUMNS, "--set", "flux=3"), "Unknown column or setting 'flux'"),
        (DICE, ("--experiment", "plate"), "Column 'COORDINATE_X' is in pixels; give the size of one with its unit, --pixel '25 um'"),
        (DICE, ("--pixel", "25"), "give the size of one with its unit"),
        (DICE, ("--experiment", "plat"), "Did you mean 'plate'"),
        (VIC, ("--pixel", "-1 mm"), "must be above zero"),
        (VIC, ("--pixel", "1 mm", "--y-axis", "left"), "Unknown y-axis 'left'"),
        (VIC, ("--pixel", "1 mm", "--origin", "corner"), "write two numbers"),
        ("x,y,temperature\n1,2,300\n", ("heat_composite", "--experiment", "plate"), "Column 'x' has no unit; give it, --column 'x=x [mm]'"),
        ("temperature [K],x [mm],y [mm]\n300,1,2\n", (), "fit several experiments"),
        ("temperature [K]\nx\n", ("heat_composite", "--experiment", "plate"), "say which is, --column 'NAME=x [mm]' --column 'NAME=y [mm]'."),
        ("", (), "has no rows"),
        ("a,a\n1,2\n", (), "more than once"),
        (DICE, ("--column", "nonsense"), "is not a name and what it is"),
    ],
)
def test_what_is_asked(convert, text, options, said):
    answer, table = convert(text, *options)
    assert table is None
    assert said in answer


def test_stereo_analyses_are_not_read_as_pixels(convert):
    header, *rows = DICE.splitlines()[4:]
    text = "\n".join([header + ",MODEL_DISPLACEMENT_X", *(row + ",0.01" for row in rows)])
    assert "is of a stereo analysis" in convert(text, "--pixel", "25 um")[0]


def test_headings_without_brackets(convert):
    _, table = convert(
        "filler vol%\tk (W/mK)\n5\t0.21\n10\t0.24\n",
        "heat_composite",
        "--column",
        "filler vol%=volume_fraction",
        "--column",
        "k=conductivity",
        "--set",
        "particle_diameter=30 um",
    )
    np.testing.assert_allclose(table.columns["volume_fraction"], [0.05, 0.1])
    np.testing.assert_allclose(table.value, [0.21, 0.24])


def test_the_experiment_that_lacks_no_column_is_taken(convert):
    """Growth of a gradient needs times, and a profile has none."""
    said, table = convert("position [%],intensity\n10,0.9\n20,0.6\n", "morphogen_tissue", "--column", "intensity=intensity [1]")
    assert table.experiment == "gradient"
    assert "Read as the experiment 'gradient'." in said


def test_a_place_of_one_series_never_passes_for_that_of_another(convert):
    """Times of two curves side by side: the second's would have replaced the first's."""
    text = "tA,cA,tB,cB\n1,0.1,10,0.2\n2,0.3,20,0.4\n"
    columns = ("--column", "tA=time [h] at specimen=A", "--column", "cA=relative_concentration at specimen=A")
    more = ("--column", "tB=time [h] at specimen=B", "--column", "cB=relative_concentration at specimen=B")
    said, table = convert(text, "reactive_transport", *columns, *more)
    assert table is None
    assert "is no measured quantity itself; convert a file of each specimen" in said


def test_an_sd_finds_its_values_however_its_place_is_spelt(convert):
    text = "E1,E2,s1,s2\n80,5.5,2,0.2\n"
    values = ("--column", "E1=youngs_modulus [GPa] at angle=0 deg", "--column", "E2=youngs_modulus [GPa] at angle=90deg", "--set", "specimen=A")
    sds = ("--column", "s1=youngs_modulus_sd [GPa] at angle=0.0deg", "--column", "s2=youngs_modulus_sd [GPa] at angle=90 deg")
    _, table = convert(text, "fibre_composite", *values, *sds)
    np.testing.assert_allclose(table.sd, [2.0, 0.2])
    said, _ = convert(text, "fibre_composite", *values, *sds[:3], "s2=youngs_modulus_sd [GPa] at angle=45 deg", "--output", "b.csv")
    assert "An sd of youngs_modulus at angle = 45.0 has no column of values there" in said


def test_arbitrary_units_are_of_what_has_an_arbitrary_scale(convert):
    said, table = convert("position [%],intensity [a.u.]\n10,0.9\n20,0.6\n", "morphogen_tissue", "--experiment", "gradient")
    np.testing.assert_allclose(table.value, [0.9, 0.6])
    options = ("--set", "flow=12 mL/h", "--set", "pulse=30 min", "--set", "inlet=1 g/m^3", "--set", "length=5 cm", "--set", "porosity=0.4")
    said, table = convert("time [h],relative_concentration [a.u.]\n1,350\n", "reactive_transport", *options, "--output", "b.csv")
    assert table is None
    assert "Unknown unit 'a.u.'" in said


def test_a_unit_that_only_a_name_tells_is_said(convert):
    options = ("--column", "c=relative_concentration", "--set", "flow=12 mL/h", "--set", "pulse=30 min", "--set", "inlet=1 g/m^3")
    said, _ = convert("time_min,c\n10,0.2\n", "reactive_transport", *options, "--set", "length=5 cm", "--set", "porosity=0.4")
    assert "time_min is taken in min, as its name ends" in said
