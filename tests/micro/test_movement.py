"""Cells that move: exclusion and adhesion against exact laws, what they carry, and the edge of a tissue that spreads."""

import numpy as np
import pytest
from scipy.linalg import expm

from hmminfer.errors import HmmInferError
from hmminfer.macro.patches import spread, steady_profile
from hmminfer.micro.carried import carry
from hmminfer.micro.langevin_burst import burst, quiet
from hmminfer.micro.movement import flux_burst, move, self_diffusivity


@pytest.mark.validates(
    "morphogen_tissue",
    "density of cells that exclude each other",
    against="the diffusion equation of the lattice, 100 runs",
    bar="4.5 standard errors",
)
def test_exclusion_obeys_the_lattice_diffusion_equation():
    """D = m l^2 whatever the density: columns of a sheet after a step, 100 runs; bands of 4.5 standard errors."""
    rng, times, n = np.random.default_rng(7), np.array([5.0, 25.0]), 24
    a = np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)
    a -= np.diag(a.sum(axis=0))
    begin = np.repeat([1, 0], n // 2)
    exact = np.array([expm(a * t) @ begin for t in times])
    runs = np.array([move(rng, np.repeat(begin[:, None], 10, axis=1), 1.0, 0.0, times)[0] for _ in range(100)])
    found = runs.mean(axis=0)
    assert np.all(np.abs(found - exact) < 4.5 * np.sqrt(exact * (1.0 - exact) / 1000.0) + 2e-3)  # 2 of 1,000 where next to none is expected
    over = runs[:, :, n // 2 :].sum(axis=2)  # what has crossed the middle: told to 2 %
    assert over.mean(axis=0) == pytest.approx(exact[:, n // 2 :].sum(axis=1), abs=4.5 * over.std(axis=0).max() / 10.0)
    assert np.all(over.std(axis=0) / 10.0 < 0.02 * over.mean(axis=0))  # else the test says little


def test_a_marked_cell_on_a_line_is_slowed_down():
    """<x^2> = (1 - phi) / phi sqrt(4 m t / pi), while density spreads with 2 m t = 200: 60 lines; the limit is off by O(1 / sqrt(t))."""
    rng, phi, found = np.random.default_rng(8), 0.5, []
    for _ in range(60):
        sites = (rng.random((300, 1)) < phi).astype(int)
        at = np.nonzero(sites)[0]
        steps = move(rng, sites, 1.0, 0.0, np.array([100.0]))[2][0]
        found.append(np.mean(steps[(at > 75) & (at < 225)] ** 2))
    assert np.mean(found) == pytest.approx((1.0 - phi) / phi * np.sqrt(400.0 / np.pi), abs=4.0 * np.std(found) / np.sqrt(60.0) + 1.0)


@pytest.mark.validates(
    "morphogen_tissue", "arrangements of cells that hold on to each other", against="Boltzmann's law of all 20 of them", bar="4.5 standard errors"
)
def test_adhesion_keeps_detailed_balance():
    """3 cells on a line of 6: all 20 arrangements in proportion to exp(E pairs), by the correlation of neighbours and the mean density."""
    from itertools import combinations

    adhesion = 0.8
    states = [np.isin(np.arange(6), c).astype(int) for c in combinations(range(6), 3)]
    pairs = np.array([np.sum(s[1:] * s[:-1]) for s in states])
    p = np.exp(adhesion * pairs) / np.exp(adhesion * pairs).sum()
    rng, n, seen = np.random.default_rng(9), 4000, []
    sites = states[0][:, None]
    for _ in range(n):
        sites = move(rng, sites, 1.0, adhesion, np.array([20.0]))[1]
        seen.append(sites[:, 0])
    x = np.array(seen)
    error = 4.5 / np.sqrt(n / 2.0)  # records are nearly independent (relaxation within some 10 time units); numbers lie between 0 and 2
    assert np.mean(np.sum(x[:, 1:] * x[:, :-1], axis=1)) == pytest.approx(p @ pairs, abs=error)
    assert x.mean(axis=0) == pytest.approx(p @ np.array(states), abs=0.5 * error)
    flat = np.mean(pairs)
    assert p @ pairs - flat > 3.0 * error  # without adhesion the test would fail


def test_flux_of_a_patch_without_adhesion_is_that_of_diffusion():
    rng = np.random.default_rng(10)
    for density in (0.2, 0.6):
        flux, error = flux_burst(rng, 2.0, 0.0, density, -0.03, replicas=400)
        assert error < 0.15 * 0.06
        assert flux == pytest.approx(0.06, abs=4.0 * error)
    weak, weak_error = flux_burst(rng, 2.0, 0.0, 0.5, -0.001, replicas=100, least=0.03)
    assert weak == pytest.approx(0.002, abs=4.0 * weak_error)
    assert weak_error < 0.001


@pytest.mark.validates(
    "morphogen_tissue",
    "diffusivity of a marked cell in a full sheet",
    against="1 / (pi - 1), the square lattice's correlation factor",
    bar="4 standard errors and 3 %",
)
def test_a_marked_cell_among_many():
    """Alone it has all of m l^2; in a full sheet a vacancy's walk leaves 1 / (pi - 1) of (1 - phi) m l^2, the square lattice's correlation factor."""
    rng = np.random.default_rng(15)
    alone, error = self_diffusivity(rng, 2.0, 0.0, 0.02, rows=128, replicas=100)
    assert error < 0.025 * 2.0
    assert alone == pytest.approx(2.0 * 0.98, abs=4.0 * error)
    full, error = self_diffusivity(rng, 2.0, 0.0, 0.97, replicas=60)
    exact = 2.0 * 0.03 / (np.pi - 1.0)
    assert error < 0.03 * exact
    assert full == pytest.approx(exact, abs=4.0 * error + 0.03 * exact)  # it rises by as much as there are vacancies
    held, error = self_diffusivity(rng, 2.0, 0.8, 0.5, replicas=10)
    assert held + 4.0 * error < 0.5 * self_diffusivity(rng, 2.0, 0.0, 0.5, replicas=10)[0]  # cells that hold on get nowhere
    with pytest.raises(HmmInferError, match="no diffusivity to measure"):
        self_diffusivity(rng, 1.0, 0.0, 1.0)


@pytest.mark.validates(
    "morphogen_tissue",
    "decay length where cells carry molecules",
    against="every molecule and every moving cell",
    bar="2.5 % (noise of the cells' diffusivity 1 %)",
)
def test_molecules_carried_by_moving_cells():
    """Every molecule and every moving cell of a sheet against bursts that know how cells diffuse among cells: decay length 10, 4.8 if they stood still.

    One run of 20 relaxation times tells the decay length to 1 %, which is also the error of the cells' diffusivity and of k / k_off.
    """
    rng, columns, rows, motility, share = np.random.default_rng(16), 50, 16, 6.0, 0.5
    hop, bind, unbind = 0.32, 1.0, 1.0
    residence = (1.0 + bind / (4.0 * hop)) / unbind  # a molecule comes back to its cell until it hops away
    of_cells, error = self_diffusivity(rng, motility, 0.0, share, residence=residence, replicas=60)
    assert error < 0.01 * of_cells
    kappa = share * bind / unbind
    k = (hop + kappa * of_cells) / (kappa * 100.0)
    d_eff, relaxation = (hop + kappa * of_cells) / (1.0 + kappa), (1.0 + kappa) / (k * kappa)
    sites = np.zeros((columns, rows), int)
    for u in range(columns):
        sites[u, rng.permutation(rows)[: rows // 2]] = 1
    times = relaxation * (4.0 + 0.1 * np.arange(200))
    seen = carry(rng, sites, 20.0 * rows * d_eff / 10.0, [hop, bind, unbind, k], motility, 0.0, times)
    profile = seen.sum(axis=1).mean(axis=0)[:25] / rows
    law = quiet(burst(1.0, 2, heal=40, measure=10, step=0.04, blocks=1))

    def coarse(of_cells):
        kernel = steady_profile(law, [hop, k, kappa, unbind, of_cells], 2.0 * d_eff, columns, 17, 2.0, np.arange(25) + 0.5, 20.0)
        x = kernel.example.copy()
        x[-1] = 0.0  # no background
        return 20.0 * kernel(x)

    def length(u):
        return -1.0 / np.polyfit(np.arange(20), np.log(u[2:22]), 1)[0]

    assert seen[:, 1].sum() / seen[:, 0].sum() == pytest.approx(kappa * unbind / (unbind + k), rel=0.02)
    assert length(profile) == pytest.approx(length(coarse(of_cells)), rel=0.025)
    assert profile == pytest.approx(coarse(of_cells), rel=0.12)
    assert length(coarse(0.0)) < 0.6 * length(profile)
    with pytest.raises(HmmInferError, match="are positive"):
        carry(rng, sites, 0.0, [1.0, 1.0, 1.0, 1.0], 1.0, 0.0, times)


@pytest.mark.validates("morphogen_tissue", "edge of a spreading tissue of density 0.8", against="all moving cells", bar="0.03 in density")
def test_spreading_front_of_a_tissue_with_adhesion():
    """Coarse projection against all cells: the edge of a sheet of density 0.8 after 400 tries of each cell, E = 0.5.

    The profiles differ by the 3 % noise of D in each of 10 leaps, by 0.4 % of the full runs' and by H^2 / 24 u'' = 0.01; without
    adhesion (D = 1) or with D of half the density they differ by more than 0.05.
    """
    rng, adhesion, n = np.random.default_rng(11), 0.5, 12
    begin = np.repeat([0.8, 0.0], n // 2)

    def filled():
        sites = np.zeros((120, 32), int)
        for u in range(60):
            sites[u, rng.permutation(32)[: int(25.6 + rng.random())]] = 1
        return sites

    full = np.mean([move(rng, filled(), 1.0, adhesion, np.array([400.0]))[0][0] for _ in range(6)], axis=0)
    full = full.reshape(n, 10).mean(axis=1)

    def front(e):
        def law(c, s):
            return flux_burst(rng, 1.0, e, c, s, columns=12, heal=4.0, measure=6.0, replicas=30, least=0.02)[0]

        return spread(law, begin, 10.0, 40.0, 10)

    coarse = front(adhesion)
    assert coarse[-1].sum() == pytest.approx(begin.sum(), rel=1e-12)  # cells are conserved
    assert np.sqrt(np.mean((coarse[-1] - full) ** 2)) < 0.03
    assert np.sqrt(np.mean((front(0.0)[-1] - full) ** 2)) > 0.05
