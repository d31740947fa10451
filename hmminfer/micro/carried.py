r"""Cells that move and carry molecules: both processes of this folder at once, molecule by molecule and cell by cell.

    free     at a site of a sheet: hops to each neighbouring site; binds where the site holds a cell
    bound    to a cell: unbinds at the cell's site, is degraded, and goes wherever its cell goes
    cell     tries each neighbouring site, and moves there if it is empty and its contacts let it go (:mod:`.movement`)

Exact in continuous time, by rejection: everything happens at its largest rate and is refused with the right probability. What the coarse model
makes of it: kappa of a site is the share of occupied sites times that of an occupied one, and D_c is the diffusivity of one marked cell.
``rates`` = hop (to each neighbour), bind (at an occupied site), unbind, decay of bound; motility and adhesion as in :mod:`.movement`.
A reference: used by tests only.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.native import compiled
from hmminfer.errors import HmmInferError
from hmminfer.micro.cells import grown
from hmminfer.micro.movement import chances, check_settings, count_contacts, neighbour, places_of


@compiled
def _run(rng, occupied, source, rates, motility, adhesion, times):
    hop, bind, unbind, decay = rates
    columns, rows = occupied.shape
    directions = 2 if rows == 1 else 4
    x, y = places_of(occupied)
    holder = np.full((columns, rows), -1, np.int64)  # which cell a site holds
    taken = np.zeros((columns, rows), np.int64)  # whether, as contacts are counted
    for i in range(x.size):
        holder[x[i], y[i]], taken[x[i], y[i]] = i, 1
    chance = chances(adhesion)
    of_free, of_bound, of_cell = directions * hop + bind, unbind + decay, directions * motility
    free, bound = np.empty(1024, np.int64), np.empty(1024, np.int64)  # sites (u * rows + v), and cells
    n_free = n_bound = 0
    out = np.zeros((times.size, 2, columns))
    t = 0.0
    for record in range(times.size):
        while True:
            total = source + n_free * of_free + n_bound * of_bound + x.size * of_cell
            t += -np.log(1.0 - rng.random()) / total
            if t > times[record]:
                break  # the exponential law forgets
            at = rng.random() * total
            if at < n_free * of_free:
                i = min(int(at / of_free), n_free - 1)
                at -= i * of_free
                u, v = free[i] // rows, free[i] % rows
                if at < directions * hop:
                    to_u, to_v = neighbour(min(int(at / hop), directions - 1), u, v, columns, rows)
                    if to_u >= 0:
                        free[i] = to_u * rows + to_v
                elif holder[u, v] >= 0:
                    if n_bound == bound.size:
                        bound = grown(bound)
                    bound[n_bound] = holder[u, v]
                    n_bound += 1
                    n_free -= 1
                    free[i] = free[n_free]
                continue
            at -= n_free * of_free
            if at < x.size * of_cell:
                i = min(int(at / of_cell), x.size - 1)
                at -= i * of_cell
                to_u, to_v = neighbour(min(int(at / motility), directions - 1), x[i], y[i], columns, rows)
                if to_u < 0 or holder[to_u, to_v] >= 0:
                    continue
                if chance.size > 1 and rng.random() >= chance[count_contacts(taken, x[i], y[i])]:
                    continue
                holder[x[i], y[i]], taken[x[i], y[i]] = -1, 0
                holder[to_u, to_v], taken[to_u, to_v] = i, 1
                x[i], y[i] = to_u, to_v
                continue
            at -= x.size * of_cell
            if at < n_bound * of_bound:
                i = min(int(at / of_bound), n_bound - 1)
                cell = bound[i]
                n_bound -= 1
                bound[i] = bound[n_bound]
                if at - i * of_bound >= unbind:
                    continue
                place = x[cell] * rows + y[cell]
            else:
                place = int(rng.random() * rows)  # anywhere in the first column
            if n_free == free.size:
                free = grown(free)
            free[n_free] = place
            n_free += 1
        t = times[record]
        for i in range(n_free):
            out[record, 0, free[i] // rows] += 1.0
        for i in range(n_bound):
            out[record, 1, x[bound[i]]] += 1.0
    return out


def carry(
    rng: np.random.Generator, occupied: np.ndarray, source: float, rates: np.ndarray, motility: float, adhesion: float, times: np.ndarray
) -> np.ndarray:
    """Free and bound molecules of each column (times, 2, columns) at increasing ``times``, from none at 0.

    ``occupied`` (columns, rows): 1 where a site holds a cell at first. ``source``: molecules made in the first column in a unit of time.
    """
    check_settings(motility, adhesion)
    rates = np.asarray(rates, dtype=float)
    if rates.shape != (4,) or not np.all(rates > 0.0) or not source > 0.0:
        raise HmmInferError("The source and the four rates (hop, bind, unbind, decay of bound) are positive; correct them.")
    sites = np.ascontiguousarray(occupied, dtype=np.int64)
    return _run(rng, sites, float(source), rates, float(motility), float(adhesion), np.asarray(times, float))
