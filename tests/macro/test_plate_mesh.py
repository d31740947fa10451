"""Meshes of plates: holes, files, interpolation at points, points outside."""

import meshio
import numpy as np
import pytest
import skfem
from plates import C_AS4, MESHES, grips, strains, triangles
from scipy.sparse import kron

from hmminfer import models
from hmminfer.errors import HmmInferError
from hmminfer.macro.plane_stress import plane_stress_kernel
from hmminfer.macro.plate_mesh import Plate, from_file, plate_with_hole, rectangle


def test_points_on_both_sides_of_the_rim():
    """Opposite points of the rim, whose mean lies in the hole, are found as each is alone."""
    plate = plate_with_hole(20.0, 10.0, 2.0, 3)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rim = np.array([10.0, 5.0]) + 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    value, _, _ = plate.interpolation(rim)
    np.testing.assert_allclose(value @ plate.nodes, rim, atol=1e-6)


def test_hole_mesh():
    plate = plate_with_hole(60.0, 30.0, 4.0, 4)
    # curved quadratic edges: the area converges with the fourth power, 1e-6 here
    np.testing.assert_allclose(plate.weights.sum(), 60.0 * 30.0 - np.pi * 16.0, rtol=1e-6)
    assert plate.weights.min() > 0
    rim = np.abs(np.hypot(plate.nodes[:, 0] - 30.0, plate.nodes[:, 1] - 15.0) - 4.0) < 1e-9
    assert rim.sum() == 4 * 8 * 2  # four blocks of 2 n elements, two nodes each
    with pytest.raises(HmmInferError, match="A hole of radius 14 mm does not fit a 60 x 30 mm plate"):
        plate_with_hole(60.0, 30.0, 14.0)


@pytest.mark.parametrize("kind", ["quad", "triangle"])
@pytest.mark.parametrize("suffix", [".msh", ".vtu"])
def test_mesh_from_file(tmp_path, kind, suffix):
    own = rectangle(20.0, 10.0, 8, 6) if kind == "quad" else triangles(6)
    path = tmp_path / f"plate{suffix}"
    points = np.hstack([own.mesh.p.T, np.zeros((own.mesh.p.shape[1], 1))])
    stray = np.array([[99.0, 99.0, 0.0]])  # a construction point that no element uses
    cells = [(kind, own.mesh.t.T + 1)]
    if suffix == ".vtu":  # a boundary line among the elements, as mesh generators leave it
        cells.insert(0, ("line", np.array([[1, 2]])))
    meshio.write(path, meshio.Mesh(np.vstack([stray, points]), cells), file_format="gmsh" if suffix == ".msh" else None)
    read = from_file(path)
    np.testing.assert_allclose(read.box, own.box)
    inside = np.random.default_rng(2).uniform([1, 1], [19, 9], (15, 2))
    x = np.concatenate([C_AS4, [0.5]])
    results = []
    for plate in (own, read):
        fixed, value, force, virtual = grips(plate)
        results.append(plane_stress_kernel(plate, 1.0, fixed, value, force, strains(plate, inside), [virtual])(x))
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1e-11)  # the same mesh, numbered otherwise


def test_triangles_agree_with_rectangles():
    x = np.concatenate([C_AS4, [0.5]])
    inside = np.random.default_rng(2).uniform([5, 2], [15, 8], (15, 2))
    results = []
    for plate in (rectangle(20.0, 10.0, 20, 10), triangles(10)):
        fixed, value, force, virtual = grips(plate)
        value_rows = kron(plate.interpolation(inside)[0], np.eye(2)).tocsr()
        results.append(plane_stress_kernel(plate, 1.0, fixed, value, force, value_rows, [virtual])(x))
    # singular corners on both: displacements of 0.1 mm to 1e-4 mm, force to 1 %
    np.testing.assert_allclose(results[1][:-1], results[0][:-1], atol=2e-4)
    np.testing.assert_allclose(results[1][-1], results[0][-1], rtol=1e-2)


def test_files_that_hold_no_mesh(tmp_path):
    with pytest.raises(HmmInferError, match="does not exist"):
        from_file(tmp_path / "none.msh")
    meshio.Mesh(np.eye(3), [("line", np.array([[0, 1]]))]).write(tmp_path / "line.vtu")
    with pytest.raises(HmmInferError, match=r"no plane triangles or quadrilaterals \(cells found: line\)"):
        from_file(tmp_path / "line.vtu")
    (tmp_path / "text.msh").write_text("not a mesh")
    with pytest.raises(HmmInferError, match="meshio cannot read"):
        from_file(tmp_path / "text.msh")


@pytest.mark.parametrize("mesh", [*MESHES, "hole"])
def test_interpolation_is_exact_for_quadratics(mesh):
    plate = MESHES[mesh]() if mesh != "hole" else plate_with_hole(20.0, 10.0, 2.0, 3)
    rng = np.random.default_rng(3)
    points = rng.uniform(*plate.box, (60, 2))
    points = np.vstack([points[~plate.outside(points)], plate.nodes[:40], plate.box])
    value, dx, dy = plate.interpolation(points)

    def linear(x, y):
        return 1.0 + 2 * x - 3 * y

    def quadratic(x, y):
        return linear(x, y) + 0.2 * x * x - 0.1 * x * y + 0.3 * y * y

    exact = linear if mesh == "hole" else quadratic  # elements with a curved edge are complete to degree 1 only
    nodal = exact(*plate.nodes.T)
    x, y = points.T
    scale = np.abs(nodal).max()
    np.testing.assert_allclose(value @ nodal, exact(x, y), rtol=0, atol=1e-8 * scale)  # rim points are moved inwards by 1e-9
    second = 0.0 if exact is linear else 1.0
    np.testing.assert_allclose(dx @ nodal, 2 + second * (0.4 * x - 0.1 * y), rtol=0, atol=1e-8 * scale)
    np.testing.assert_allclose(dy @ nodal, -3 + second * (-0.1 * x + 0.6 * y), rtol=0, atol=1e-8 * scale)
    np.testing.assert_allclose(np.asarray(value.sum(axis=1)).ravel(), 1.0, atol=1e-12)


@pytest.mark.parametrize("point", [(-0.1, 5.0), (20.001, 5.0), (10.0, 10.1), (10.0, 5.0), (np.nan, 1.0)])
def test_points_outside(point):
    plate = plate_with_hole(20.0, 10.0, 2.0, 3)
    with pytest.raises(HmmInferError, match="1 of 2 points lie outside the plate, the first at x = "):
        plate.interpolation(np.array([[1.0, 1.0], point]))


def test_points_between_the_bounding_box_and_a_file_mesh():
    """An L-shaped mesh: a point in the missing corner is inside the box and outside the plate."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0, 10, 5), np.linspace(0, 10, 5))
    corner = np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 5).all(axis=0))
    plate = Plate(mesh.remove_elements(corner))
    with pytest.raises(HmmInferError, match="outside the plate"):
        plate.interpolation(np.array([[8.0, 8.0]]))


FILE = """# experiment = "plate"
# length = 40
# width = 10
# elements_x = 6
# elements_y = 3
quantity,x [mm],y [mm],value,unit,sd
displacement_x,10,5,30,um,1
displacement_y,10,5,,um,1
strain_xx,{x},5,1000,microstrain,10
force,,,1000,N,10
"""


def test_missing_points_are_dropped(tmp_path):
    path = tmp_path / "plate.csv"
    path.write_text(FILE.format(x=20))
    model = models.get("fibre_composite").EXPERIMENTS["plate"].model(path, cell="full", refine=1, rigid_motion="none")
    assert model.n_out == 3
    assert model.table.n_missing == 1
    y = model.evaluate({"fibre_angle": 0.0})
    # near uniform tension: 0.1 mm over 40 mm is 25 um at 10 mm and 2500 microstrain; E1 about 175 GPa times 10 mm^2 times that
    np.testing.assert_allclose(y[:2], [25.0, 2500.0], rtol=0.02)
    e1 = 1 / np.linalg.inv(model.kernel.code.forward(model.vector(), *model.kernel.data)[1][:36].reshape(6, 6))[0, 0]
    np.testing.assert_allclose(y[2], e1 * 10 * 2.5e-3 * 1e3, rtol=0.02)


def test_measured_points_outside_name_the_line(tmp_path):
    path = tmp_path / "plate.csv"
    path.write_text(FILE.format(x=41))
    with pytest.raises(HmmInferError, match="1 measured points lie outside the plate, the first in line 9 at x = 41"):
        models.get("fibre_composite").EXPERIMENTS["plate"].model(path, cell="full", refine=1)


@pytest.fixture
def in_metres(tmp_path):
    """A mesh of 100 x 25 mm, written in metres."""
    own = rectangle(0.1, 0.025, 8, 4)
    points = np.hstack([own.mesh.p.T, np.zeros((own.mesh.p.shape[1], 1))])
    meshio.write(tmp_path / "metres.vtu", meshio.Mesh(points, [("quad", own.mesh.t.T)]))
    return tmp_path / "metres.vtu"


POINTS = '# experiment = "plate"\nquantity,x [mm],y [mm],value,unit,sd\ndisplacement_x,50,12,51,um,1\napparent_modulus,,,100,GPa,1\n'


def test_a_mesh_in_metres_is_asked_about(in_metres, tmp_path):
    """The mesh's own box is stated, and its unit asked for, whether the file gives a length or not."""
    experiment = models.get("fibre_composite").EXPERIMENTS["plate"]
    small = {"cell": "full", "refine": 1, "mesh": in_metres}
    (tmp_path / "d.csv").write_text(POINTS)
    with pytest.raises(
        HmmInferError, match=r"the mesh covers x 0 to 0\.1, y 0 to 0\.025 mm\. Are the coordinates of the mesh in metres\? Then set mesh_unit = m"
    ):
        experiment.model(tmp_path / "d.csv", **small)
    with pytest.raises(HmmInferError, match="leave length out; if its coordinates are in m, set mesh_unit = m"):
        experiment.model(tmp_path / "d.csv", length="100 mm", **small)
    model = experiment.model(tmp_path / "d.csv", mesh_unit="m", **small)
    assert (model.about["length"], model.about["width"]) == (pytest.approx(100.0), pytest.approx(25.0))


def test_a_plate_of_a_mesh_file_has_the_size_of_the_mesh(in_metres, tmp_path):
    """An apparent modulus, F l / (w h d), uses the length and width of the mesh, not those of the settings' defaults (100 and 25 mm)."""
    experiment = models.get("fibre_composite").EXPERIMENTS["plate"]
    text = '# experiment = "plate"\nquantity,x [mm],y [mm],value,unit,sd\napparent_modulus,,,100,GPa,1\n'
    (tmp_path / "d.csv").write_text(text)
    small = {"cell": "full", "refine": 1}
    model = experiment.model(tmp_path / "d.csv", mesh=in_metres, mesh_unit="cm", **small)  # 1 x 0.25 mm
    same = experiment.model(tmp_path / "d.csv", length=1, width=0.25, elements_x=8, elements_y=4, **small)
    np.testing.assert_allclose(model.evaluate({"fibre_angle": 0.0}), same.evaluate({"fibre_angle": 0.0}), rtol=0.02)
    again = experiment.model(tmp_path / "d.csv", mesh=in_metres, **{k: model.table.settings[k] for k in ("length", "width", "mesh_unit")}, **small)
    assert again.table.settings == model.table.settings  # a run file records all settings, and repeats the run


def test_points_in_pixels_are_asked_about(tmp_path):
    (tmp_path / "d.csv").write_text(POINTS.replace("50,12,", "5000,1200,") + "displacement_x,9000,100,51,um,1\n")
    with pytest.raises(HmmInferError, match="or in pixels"):
        models.get("fibre_composite").EXPERIMENTS["plate"].model(tmp_path / "d.csv", cell="full", refine=1)


def test_a_mesh_in_another_plane(tmp_path):
    own = rectangle(20.0, 10.0, 4, 2)
    points = np.stack([own.mesh.p[0], np.zeros(own.mesh.p.shape[1]), own.mesh.p[1]], axis=1)
    meshio.write(tmp_path / "xz.vtu", meshio.Mesh(points, [("quad", own.mesh.t.T)]))
    with pytest.raises(HmmInferError, match="does not lie in the plane of x and y"):
        from_file(tmp_path / "xz.vtu")
    (tmp_path / "broken.inp").write_text("*NODE\n1, a, b\n")
    with pytest.raises(HmmInferError, match="meshio cannot read"):
        from_file(tmp_path / "broken.inp")
