r"""Cells that move: an exclusion process with adhesion on a line or a sheet.

    a cell tries each neighbouring site at rate m exp(-E c), c = number of cells it touches (the contacts it would lose), and moves there
    if it is empty

E = 0 is the symmetric simple exclusion process: the mean density obeys the lattice diffusion equation with D = m l^2 exactly, whatever the
density, while one marked cell is slowed down; on a line <x^2> = (1 - phi) / phi sqrt(4 m t / pi) in cells (Arratia 1983). With adhesion
detailed balance holds for the lattice gas with energy -E for each pair of neighbours, and D(phi) has no closed form on a sheet: it is asked of
bursts. (On a square sheet that gas parts into two phases beyond E = 1.763; D > 0 below.)

Sites are (columns, rows): walls at both ends of the columns, periodic along the rows; one row is a line. Rejection: every cell tries at
its largest rate and is refused with the right probability, so the process is exact in continuous time. Time in units of 1 / m's unit.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError


@compiled
def neighbour(direction, u, v, columns, rows):
    """Site next to (u, v): walls at both ends of the columns (then the first is -1), periodic along the rows."""
    if direction == 0:
        return u - 1, v
    if direction == 1:
        return (u + 1 if u + 1 < columns else -1), v
    if direction == 2:
        return u, (v - 1 if v > 0 else rows - 1)
    return u, (v + 1 if v + 1 < rows else 0)


@compiled
def count_contacts(occupied, u, v):
    """Occupied sites next to (u, v)."""
    columns, rows = occupied.shape
    c = 0
    if u > 0:
        c += occupied[u - 1, v]
    if u + 1 < columns:
        c += occupied[u + 1, v]
    if rows > 1:
        c += occupied[u, v - 1 if v > 0 else rows - 1] + occupied[u, v + 1 if v + 1 < rows else 0]
    return c


@compiled
def _try(rng, occupied, x, y, i, chance):
    """One attempt of cell ``i`` at a random neighbouring site; its step along x if it moves, and whether it moved."""
    columns, rows = occupied.shape
    direction = int(rng.random() * (2 if rows == 1 else 4))
    u, v = x[i], y[i]
    to_u, to_v = neighbour(direction, u, v, columns, rows)
    if to_u < 0 or occupied[to_u, to_v] > 0:
        return 0, False
    if chance.size > 1 and rng.random() >= chance[count_contacts(occupied, u, v)]:
        return 0, False
    occupied[u, v] = 0
    occupied[to_u, to_v] = 1
    x[i], y[i] = to_u, to_v
    return to_u - u, True


@compiled
def chances(adhesion):
    """exp(-E c) for c contacts; one entry where there is no adhesion, so that contacts need not be counted."""
    return np.exp(-adhesion * np.arange(5)) if adhesion > 0.0 else np.ones(1)


@compiled
def places_of(occupied):
    x, y = np.nonzero(occupied)
    return x.copy(), y.copy()


@compiled
def _run(rng, occupied, motility, adhesion, times):
    now = occupied.copy()
    columns, rows = now.shape
    x, y = places_of(now)
    moved, steps = np.zeros(x.size, np.int64), np.zeros((times.size, x.size), np.int64)
    chance = chances(adhesion)
    density = np.zeros((times.size, columns))
    per_cell = motility * (2 if rows == 1 else 4)
    t, attempts = 0.0, 0
    for k in range(times.size):
        while x.size > 0:
            t += -np.log(1.0 - rng.random()) / (per_cell * x.size)
            if t > times[k]:
                break  # the exponential law forgets
            attempts += 1
            i = int(rng.random() * x.size)
            step, _ = _try(rng, now, x, y, i, chance)
            moved[i] += step
        t = times[k]
        steps[k] = moved
        for i in range(x.size):
            density[k, x[i]] += 1.0 / rows
    return density, now, steps, attempts


def move(rng: np.random.Generator, occupied: np.ndarray, motility: float, adhesion: float, times: np.ndarray) -> tuple:
    """Density of each column at increasing ``times`` (times, columns), the last sites, steps of each cell along x (times, cells; in the order
    of its first site) and attempts made.
    """
    check_settings(motility, adhesion)
    sites = np.ascontiguousarray(occupied, dtype=np.int64)
    if sites.ndim != 2 or np.any((sites != 0) & (sites != 1)):
        raise HmmInferError("Sites are an array (columns, rows) of 0 (empty) and 1 (a cell); correct it.")
    return _run(rng, sites, float(motility), float(adhesion), np.asarray(times, float))


def contacts(occupied: np.ndarray) -> float:
    """Cells that a cell touches, on average; 0 where there is none."""
    s = np.asarray(occupied)
    pairs = np.sum(s[1:] * s[:-1]) + (np.sum(s * np.roll(s, 1, axis=1)) if s.shape[1] > 1 else 0)
    return float(2.0 * pairs / max(s.sum(), 1))


def spreading(
    rng: np.random.Generator, columns: int, rows: int, filled: int, share: float, motility: float, adhesion: float, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Density of each column (times, columns) and contacts of a cell (times,) of a tissue that spreads from its first ``filled`` columns.

    There each site holds a cell with probability ``share`` at time 0; ``times`` increase, in the unit of 1 / ``motility``.
    """
    sites = np.zeros((columns, rows), np.int64)
    sites[:filled] = rng.random((filled, rows)) < share
    density, touching = np.empty((len(times), columns)), np.empty(len(times))
    for k, wait in enumerate(np.diff(times, prepend=0.0)):
        if wait > 0.0:
            _, sites, _, _ = move(rng, sites, motility, adhesion, np.array([wait]))
        density[k], touching[k] = sites.mean(axis=1), contacts(sites)
    return density, touching


def self_diffusivity(
    rng: np.random.Generator, motility: float, adhesion: float, density: float, residence: float = np.inf, rows: int = 32, replicas: int = 16
) -> tuple[float, float]:
    """Diffusivity of one marked cell among cells of this ``density`` (sites^2 for each unit of time), and its standard error.

    What a molecule sees that stays with a cell for an exponential time of mean ``residence``: <x^2> / (2 residence) over such times. A cell that
    has moved can move back, its neighbours elsewhere cannot: the longer it is followed the less it gets on; for ever: half the growth of
    its mean square displacement between 40 and 80 / ``motility``. Cells that begin four sds from both ends of a long sheet count. (On a line
    a marked cell cannot pass and has no diffusivity in the end.)
    """
    check_settings(motility, adhesion)
    if not 0.0 < density < 1.0 or rows < 2 or replicas < 2 or not residence > 0.0:
        raise HmmInferError(
            f"A marked cell of density {density:g} on {rows} rows of sites, seen {replicas} times for {residence:g}, has no diffusivity to "
            "measure; give a density between 0 and 1, at least 2 rows and 2 replicas, and a positive residence."
        )
    ever = np.isinf(residence)
    times = np.array([40.0, 80.0]) / motility if ever else -residence * np.log1p(-(np.arange(40) + 0.5) / 40.0)
    margin = int(4.0 * np.sqrt(2.0 * motility * times[-1])) + 1
    columns = 2 * margin + 48
    found = np.empty(replicas)
    for i in range(replicas):
        sites = (rng.random((columns, rows)) < density).astype(np.int64)
        begin = np.nonzero(sites)[0]
        inside = (begin >= margin) & (begin < columns - margin)
        square = np.mean(move(rng, sites, motility, adhesion, times)[2][:, inside] ** 2, axis=1)
        found[i] = (square[1] - square[0]) / (2.0 * (times[1] - times[0])) if ever else square.sum() / (2.0 * times.sum())
    return float(found.mean()), float(found.std(ddof=1) / np.sqrt(replicas))


def check_settings(motility: float, adhesion: float) -> None:
    if not motility > 0.0 or not adhesion >= 0.0:
        raise HmmInferError(f"motility is {motility:g} and adhesion {adhesion:g}; the first is positive, the second at least 0.")


@compiled
def _flux(rng, motility, adhesion, density, slope, columns, rows, heal, measure, samples, replicas):
    chance = chances(adhesion)
    per_cell = motility * (2 if rows == 1 else 4)
    left = columns // 2 - 1
    found = np.zeros(replicas)
    order = np.arange(rows)
    for replica in range(replicas):
        sites = np.zeros((columns, rows), np.int64)
        # the number of cells in a column is its mean, rounded at random; their places are random
        for u in range(columns):
            wanted = min(max(density + slope * (u - 0.5 * (columns - 1)), 0.0), 1.0) * rows
            count = int(wanted + rng.random())
            for v in range(min(count, rows)):  # the first of a shuffle of all places
                other = v + int(rng.random() * (rows - v))
                order[v], order[other] = order[other], order[v]
                sites[u, order[v]] = 1
        x, y = places_of(sites)
        t, due, seen = 0.0, heal, 0
        while seen < samples:
            t += -np.log(1.0 - rng.random()) / (per_cell * max(x.size, 1))
            while seen < samples and t > due:
                # what would flow through the middle now: the mean of the hops given the sites, less noisy than hops
                for v in range(rows):
                    if sites[left, v] != sites[left + 1, v]:
                        from_u = left if sites[left, v] == 1 else left + 1
                        rate = chance[count_contacts(sites, from_u, v)] if chance.size > 1 else 1.0
                        found[replica] += (motility * rate if from_u == left else -motility * rate) / (rows * samples)
                seen += 1
                due = heal + measure * seen / samples
            if x.size > 0:
                _try(rng, sites, x, y, int(rng.random() * x.size), chance)
    return found


def flux_burst(
    rng: np.random.Generator,
    motility: float,
    adhesion: float,
    density: float,
    slope: float,
    columns: int = 12,
    rows: int = 32,
    heal: float = 3.0,
    measure: float = 5.0,
    samples: int = 20,
    replicas: int = 16,
    least: float = 0.0,
) -> tuple[float, float]:
    """Flux through the middle of a patch (cells for each row and unit of time), and its standard error over ``replicas``.

    Lift to ``density`` (share of sites) and ``slope`` (for each column), heal, measure; times in units of 1 / ``motility``. The ends of
    the patch are closed, which reaches the middle after about (columns / 2)^2 / 4 of these units: keep heal + measure below. A slope below
    ``least`` is lifted to it and the flux scaled back: the noise does not shrink with the slope, and the response is linear to second order.
    """
    check_settings(motility, adhesion)
    if columns < 4 or columns % 2 or rows < 1 or replicas < 2 or samples < 1:
        raise HmmInferError(
            f"A patch of {columns} columns and {rows} rows with {replicas} replicas and {samples} samples cannot be measured; give an even number of "
            "at least 4 columns, 1 row, 2 replicas and 1 sample."
        )
    lifted = np.copysign(max(abs(slope), least, 1e-12), slope)
    found = _flux(
        rng, float(motility), float(adhesion), float(density), float(lifted), columns, rows, heal / motility, measure / motility, samples, replicas
    ) * (slope / lifted)
    return float(found.mean()), float(found.std(ddof=1) / np.sqrt(replicas))
