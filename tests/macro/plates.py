"""What the tests of plates share: loadings, observations, and meshes of each kind."""

import numpy as np
import skfem
from scipy.sparse import eye_array, kron, vstack
from test_coupons import AS4, lamina

from hmminfer.macro.lamina import rotation
from hmminfer.macro.plate_mesh import Plate, rectangle

C_AS4 = lamina(*AS4).ravel()


def turned(degrees):
    """Plane-stress stiffness of the AS4 lamina in load axes."""
    s = np.linalg.inv(C_AS4.reshape(6, 6))[np.ix_([0, 1, 5], [0, 1, 5])]
    r, _ = rotation(np.radians(2 * degrees))
    return r @ np.linalg.inv(s) @ r.T


def everything(plate):
    """All nodal displacements as observations."""
    return eye_array(2 * len(plate.nodes), format="csr")


def strains(plate, points):
    """Rows of exx, eyy, gxy at the points, in blocks."""
    _, dx, dy = plate.interpolation(points)
    ex, ey = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    return vstack([kron(dx, ex), kron(dy, ey), kron(dy, ex) + kron(dx, ey)]).tocsr()


def nothing(plate):
    shape = (len(plate.nodes), 2)
    return np.zeros(shape, bool), np.zeros(shape), np.zeros(shape)


def grips(plate, displacement=0.1):
    fixed, value, force = nothing(plate)
    fixed[plate.on_side("left")] = fixed[plate.on_side("right")] = True
    value[plate.on_side("right"), 0] = displacement
    virtual = np.zeros_like(value)
    virtual[plate.on_side("right"), 0] = 1.0
    return fixed, value, force, virtual


def pulled(plate, stress, thickness=1.0):
    """Uniform end stress (GPa) and three pins."""
    fixed, value, force = nothing(plate)
    force[:, 0] = stress * thickness * (plate.edge_load("right") - plate.edge_load("left"))
    corners = [np.argmin(np.hypot(*(plate.nodes - plate.box[i]).T)) for i in (0, 1)]
    low_right = np.argmin(np.hypot(*(plate.nodes - [plate.box[1, 0], plate.box[0, 1]]).T))
    fixed[corners[0]] = True
    fixed[low_right, 1] = True
    return fixed, value, force


def distorted(n, amount=0.15, length=20.0, width=10.0):
    """Quadrilaterals with their inner corners moved by a smooth map: no element is a rectangle, the outline is."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0, length, 2 * n + 1), np.linspace(0, width, n + 1))
    p = mesh.p.copy()
    bump = np.sin(np.pi * p[0] / length) * np.sin(np.pi * p[1] / width)
    p += amount * width / 2 * bump * np.array([[0.7], [-1.0]])
    return Plate(skfem.MeshQuad(p, mesh.t))


def triangles(n, length=20.0, width=10.0):
    return Plate(skfem.MeshTri.init_tensor(np.linspace(0, length, 2 * n + 1), np.linspace(0, width, n + 1)))


MESHES = {"rectangles": lambda: rectangle(20.0, 10.0, 4, 3, 3.0, 2.0), "distorted": lambda: distorted(3), "triangles": lambda: triangles(3)}
