r"""Charged rod in its cylinder of salt water: the osmotic pressure of a network of polyelectrolyte, from its fixed charge and its bath.

          R           phi'' + phi' / r = kappa^2 sinh phi              r_s < r < R
      .-'''''-.       phi' = -2 l_B / (b r_s) at r = r_s (the rod),    phi' = 0 at r = R (the next rod's cell begins)
     /   ___   \
    |  r_s( )   |     pi (R^2 - r_s^2) b c_F N_A = 1   (one charge for each length b of rod: c_F of them per volume of water)
     \         /      kappa^2 = 8 pi l_B N_A c
      `-.___.-'       Pi = 2 R T c (cosh phi(R) - 1)

*Lift*: the fixed charge c_F of the water sets the cell's radius. *Micro problem*: the potential phi = e |psi| / kT, equilibrium with a bath of
monovalent salt c. *Restrict*: at r = R there is no field, so the pressure there is osmotic alone. Ions crowd at the rod and count less
at R: Pi lies below Donnan's, which has phi constant.

Discretisation: quadratic elements, equal in x = ln r, where the problem reads phi_xx = kappa^2 r^2 sinh phi; it minimises a convex energy, so
Newton's method with bounded steps finds its one solution. No iteration is differentiated: with G(phi, p) = 0 converged to rounding,
dPi/dp = Pi_p - lambda^T G_p, G_phi lambda = Pi_phi (implicit function theorem), the rod's cell changing its size with c_F included.

Vector in:  c_F, c (mol/L), b, r_s (nm).
Vector out: Pi (MPa).
Error:      fourth order in the elements; at the default 16 below 3e-6 of Pi, or 1e-9 MPa where Pi is less than 1e-4 MPa.
Source:     Fuoss, Katchalsky & Lifson 1951 (cell model); Buschmann & Grodzinsky 1995, J. Biomech. Eng. 117:179 (cartilage).
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.kernel import Code, Kernel
from hmminfer.engine.linalg import band_cholesky, band_solve
from hmminfer.engine.line import POINT, WEIGHT, shape
from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError

GAS = 8.314462618  # J/mol/K
AVOGADRO = 0.602214076  # charges per nm^3 in 1 mol/L
ITERATIONS = 200
BOUND = 2.0  # of a Newton step in phi; sinh makes longer ones useless


def thermal(temperature: float) -> float:
    """R T in MPa per mol/L."""
    return 1e-3 * GAS * temperature


def bjerrum_length(temperature: float) -> float:
    """Length (nm) at which two charges in water interact by kT; permittivity of Malmberg & Maryott 1956."""
    t = temperature - 273.15
    permittivity = 87.740 - 0.40008 * t + 9.398e-4 * t**2 - 1.410e-6 * t**3
    return 1.671e4 / (permittivity * temperature)  # e^2 / (4 pi eps_0 k) = 1.671e4 nm K


@compiled
def _cell(x, facts):
    """L = ln(R / r_s), L with respect to ln c_F (= to ln b = half of that to ln r_s), kappa^2, xi = l_B / b."""
    charge, salt, spacing, radius = x
    q = 1.0 / (np.pi * spacing * charge * AVOGADRO * radius**2)
    return 0.5 * np.log(1.0 + q), -0.5 * q / (1.0 + q), 8.0 * np.pi * facts[1] * AVOGADRO * salt, facts[1] / spacing


@compiled
def _sources(length, k2, radius, n_e):
    """Weights of sinh phi in the weak form over s = (ln r - ln r_s) / L in [0, 1], (elements, points)."""
    w = np.empty((n_e, 3))
    for e in range(n_e):
        for q in range(3):
            w[e, q] = WEIGHT[q] / n_e * length * k2 * radius**2 * np.exp(2.0 * length * (e + POINT[q]) / n_e)
    return w


@compiled
def _system(phi, length, xi, sources):
    """Residual G of the weak form and its band matrix."""
    n_e = phi.size // 2
    h = 1.0 / n_e
    g, ab = np.zeros(phi.size), np.zeros((phi.size, 3))
    g[0] = -2.0 * xi
    for e in range(n_e):
        for q in range(3):
            n, d = shape(POINT[q])
            value, slope = 0.0, 0.0
            for i in range(3):
                value += n[i] * phi[2 * e + i]
                slope += d[i] * phi[2 * e + i]
            w, up = sources[e, q], np.exp(value)
            sinh, cosh = 0.5 * (up - 1.0 / up), 0.5 * (up + 1.0 / up)
            for i in range(3):
                g[2 * e + i] += WEIGHT[q] / (h * length) * d[i] * slope + w * sinh * n[i]
                for j in range(i + 1):
                    ab[2 * e + j, i - j] += WEIGHT[q] / (h * length) * d[i] * d[j] + w * cosh * n[i] * n[j]
    return g, ab


@compiled
def _forward(x, elements, facts):
    """``facts`` = [R T, l_B]. State: phi at the nodes."""
    length, _, k2, xi = _cell(x, facts)
    phi = np.full(2 * elements[0] + 1, np.nan)
    y = np.full(1, np.nan)
    if not (x.min() > 0.0 and np.isfinite(length) and np.isfinite(k2) and np.isfinite(xi)):
        return y, phi
    start = np.arcsinh(0.5 * x[0] / x[1])  # Donnan's potential, and the rod's above it
    for i in range(phi.size):
        phi[i] = start + min(xi, 2.0) * length * (1.0 - i / (phi.size - 1.0)) ** 2
    last = False
    sources = _sources(length, k2, x[3], elements[0])
    for _ in range(ITERATIONS):
        g, ab = _system(phi, length, xi, sources)
        step = g.copy().reshape(1, g.size)
        if not np.all(np.isfinite(g)) or not band_cholesky(ab):
            break
        band_solve(ab, step)
        size = np.abs(step).max()
        phi -= step[0] * min(1.0, BOUND / max(size, 1e-300))
        if last:  # one more step than the tolerance asks for: quadratic convergence ends at rounding
            y[0] = 4.0 * facts[0] * x[1] * np.sinh(0.5 * phi[phi.size - 1]) ** 2
            break
        last = size < 1e-7
    if not np.isfinite(y[0]):
        y[0] = np.nan
        phi[:] = np.nan
    return y, phi


@compiled
def _pullback(x, elements, facts, phi, y_bar):
    out = np.full(4, np.nan)
    if np.isnan(phi[0]):
        return out
    charge, salt, spacing, radius = x
    length, dlength, k2, xi = _cell(x, facts)
    sources = _sources(length, k2, radius, elements[0])
    _, ab = _system(phi, length, xi, sources)
    band_cholesky(ab)
    n_e, end = elements[0], phi[phi.size - 1]
    h = 1.0 / n_e
    adjoint = np.zeros((1, phi.size))
    adjoint[0, phi.size - 1] = 2.0 * facts[0] * salt * np.sinh(end) * y_bar[0]
    band_solve(ab, adjoint)
    v = adjoint[0]
    of_length, of_source = 0.0, 0.0  # lambda^T dG/dL, and lambda^T of G's part in k2 radius^2
    for e in range(n_e):
        for q in range(3):
            n, d = shape(POINT[q])
            value, slope, w, dw = 0.0, 0.0, 0.0, 0.0
            for i in range(3):
                value += n[i] * phi[2 * e + i]
                slope += d[i] * phi[2 * e + i]
                w += n[i] * v[2 * e + i]
                dw += d[i] * v[2 * e + i]
            s = (e + POINT[q]) * h
            source = sources[e, q] * np.sinh(value) * w
            of_length += source * (1.0 / length + 2.0 * s) - WEIGHT[q] / (h * length**2) * dw * slope
            of_source += source
    out[0] = -of_length * dlength / charge
    out[1] = -of_source / salt + 4.0 * facts[0] * np.sinh(0.5 * end) ** 2 * y_bar[0]
    out[2] = -(of_length * dlength - (-2.0 * v[0]) * xi) / spacing
    out[3] = -(2.0 * of_length * dlength + 2.0 * of_source) / radius
    return out


CODE = Code((__name__, "CODE"), _forward, _pullback, data="i1 f1", state="f1")


def rod_in_cell(temperature: float = 298.15, elements: int = 16) -> Kernel:
    """Kernel c_F, c, b, r_s -> Pi at a temperature (K)."""
    if elements < 2:
        raise HmmInferError(f"elements is {elements}; the cell of a rod needs at least 2.")
    facts = np.array([thermal(temperature), bjerrum_length(temperature)])
    return Kernel(CODE, (np.array([elements], dtype=np.int64), facts), np.array([0.4, 0.1, 0.8, 0.6]))
