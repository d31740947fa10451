r"""Stochastic cells: molecules of a morphogen are made, hop between cells, bind, unbind and are degraded, one by one.

    source j_i           free n_i  --hop-->  each neighbour        free  <--bind/unbind-->  bound b_i  --decay-->  nothing

Every molecule acts for itself, so the network is linear: means obey d/dt mean = A mean + j, and the stationary law is a product of Poisson
laws with these means (exactly; Gardiner, Stochastic Methods, chapter 7). Three simulators of the same cells:

    gillespie   exact, a constant cost for each event (a molecule is drawn from a list); waiting times and choices of the direct method
    leap        tau-leaping with multinomial leaves: never negative, error of first order in the step
    langevin    chemical Langevin equation, Euler-Maruyama: a Gaussian for each channel; means are exact for any step below stability, and
                variances where there are many molecules

Cells lie on a line or a sheet, given by neighbours (cells, directions), -1 at a wall. Randomness comes from the generator that is handed in;
nothing else is remembered. ``rates`` = hop (to each neighbour), bind, unbind, decay of bound, decay of free; 1/s.
"""

from __future__ import annotations

import numpy as np

from hmminfer.engine.native import compiled


def line(n: int) -> np.ndarray:
    """Neighbours (n, 2) of cells on a line with walls at both ends."""
    i = np.arange(n)
    return np.stack([i - 1, np.where(i + 1 < n, i + 1, -1)], axis=1)


def sheet(columns: int, rows: int) -> np.ndarray:
    """Neighbours (columns * rows, 4) of cells on a sheet, cell (x, y) being x * rows + y; walls in x, periodic in y."""
    x, y = np.divmod(np.arange(columns * rows), rows)
    at = x * rows + y
    left, right = np.where(x > 0, at - rows, -1), np.where(x + 1 < columns, at + rows, -1)
    return np.stack([left, right, x * rows + (y - 1) % rows, x * rows + (y + 1) % rows], axis=1)


def mean_matrix(neighbours: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """A (2 cells, 2 cells) of d/dt (free, bound) = A (free, bound) + (j, 0)."""
    n = len(neighbours)
    hop, bind, unbind, decay, decay_free = rates
    a = np.zeros((2 * n, 2 * n))
    i = np.arange(n)
    for d in range(neighbours.shape[1]):
        to = neighbours[:, d]
        inside = to >= 0
        np.add.at(a, (to[inside], i[inside]), hop)
        a[i[inside], i[inside]] -= hop
    a[i, i] -= bind + decay_free
    a[i, n + i] += unbind
    a[n + i, i] += bind
    a[n + i, n + i] -= unbind + decay
    return a


def steady_mean(neighbours: np.ndarray, source: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Stationary means (2, cells) of free and bound molecules: those of the product-Poisson law."""
    a = mean_matrix(neighbours, rates)
    return np.linalg.solve(a, -np.concatenate([source, np.zeros(len(source))])).reshape(2, -1)


@compiled
def _spread(counts):
    """Cell of each molecule, with room to grow."""
    places = np.empty(2 * counts.sum() + 1024, np.int64)
    k = 0
    for i in range(counts.size):
        for _ in range(counts[i]):
            places[k] = i
            k += 1
    return places, k


@compiled
def grown(places):
    more = np.empty(2 * places.size, np.int64)
    more[: places.size] = places
    return more


@compiled
def gillespie(rng, neighbours, source, rates, free, bound, times):
    """Free and bound molecules (times, 2, cells) at increasing ``times``, from ``free`` and ``bound`` at 0; exact. And the events."""
    hop, bind, unbind, decay, decay_free = rates
    n, directions = neighbours.shape
    walk = directions * hop  # a hop into a wall does nothing
    of_free, of_bound = walk + bind + decay_free, unbind + decay
    made = source.sum()
    f, n_f = _spread(free)
    b, n_b = _spread(bound)
    out = np.zeros((times.size, 2, n), np.int64)
    t, events = 0.0, 0
    for k in range(times.size):
        while True:
            total = made + n_f * of_free + n_b * of_bound
            if total <= 0.0:
                t = times[k]
                break
            step = -np.log(1.0 - rng.random()) / total
            if t + step > times[k]:  # the exponential law forgets: the clock starts anew at the time of a record
                t = times[k]
                break
            t += step
            events += 1
            u = rng.random() * total
            if u < n_f * of_free:
                i = min(int(u / of_free), n_f - 1)
                u -= i * of_free
                if u < walk:
                    to = neighbours[f[i], min(int(u / hop), directions - 1)]
                    if to >= 0:
                        f[i] = to
                else:
                    if u < walk + bind:
                        if n_b == b.size:
                            b = grown(b)
                        b[n_b] = f[i]
                        n_b += 1
                    n_f -= 1
                    f[i] = f[n_f]
                continue
            u -= n_f * of_free
            if u < n_b * of_bound:
                i = min(int(u / of_bound), n_b - 1)
                place = b[i]
                n_b -= 1
                b[i] = b[n_b]
                if u - i * of_bound >= unbind:
                    continue
            else:
                u -= n_b * of_bound
                place = 0
                while u >= source[place] and place < n - 1:
                    u -= source[place]
                    place += 1
            if n_f == f.size:
                f = grown(f)
            f[n_f] = place
            n_f += 1
        for i in range(n_f):
            out[k, 0, f[i]] += 1
        for i in range(n_b):
            out[k, 1, b[i]] += 1
    return out, events


@compiled
def leap(rng, neighbours, source, rates, free, bound, dt, steps):
    """Free and bound molecules (2, cells) after ``steps`` of ``dt``: in a step each molecule acts at most once.

    A molecule leaves its state with probability 1 - exp(-(sum of its rates) dt), and where it goes has the odds of the rates.
    """
    hop, bind, unbind, decay, decay_free = rates
    n, directions = neighbours.shape
    of_free, of_bound = directions * hop + bind + decay_free, unbind + decay
    leave_free, leave_bound = 1.0 - np.exp(-of_free * dt), 1.0 - np.exp(-of_bound * dt)
    now = np.empty((2, n), np.int64)
    now[0], now[1] = free, bound
    for _ in range(steps):
        new = now.copy()
        for i in range(n):
            if source[i] > 0.0:
                new[0, i] += rng.poisson(source[i] * dt)
            gone = rng.binomial(now[0, i], leave_free) if now[0, i] > 0 else 0
            rest = of_free
            for d in range(directions):
                k = rng.binomial(gone, min(hop / rest, 1.0)) if gone > 0 else 0
                gone -= k
                rest -= hop
                if neighbours[i, d] >= 0:
                    new[0, i] -= k
                    new[0, neighbours[i, d]] += k
            new[0, i] -= gone
            if gone > 0 and bind > 0.0:
                new[1, i] += rng.binomial(gone, min(bind / rest, 1.0))
            gone = rng.binomial(now[1, i], leave_bound) if now[1, i] > 0 else 0
            if gone > 0:
                new[1, i] -= gone
                new[0, i] += rng.binomial(gone, unbind / of_bound)
        now = new
    return now


@compiled
def langevin(neighbours, source, rates, free, bound, dt, noise):
    """Free and bound molecules (2, cells), real numbers, after len(noise) steps of ``dt``; explicit Euler-Maruyama.

    ``noise`` (steps, cells, 4 + directions): standard normals of production, binding and unbinding together (one Gaussian is the
    difference of two), both decays, and hops in each direction. Square roots are of max(rate, 0).
    """
    hop, bind, unbind, decay, decay_free = rates
    n, directions = neighbours.shape
    now = np.empty((2, n))
    now[0], now[1] = free, bound
    for s in range(len(noise)):
        new = now.copy()
        for i in range(n):
            z = noise[s, i]
            f, b = max(now[0, i], 0.0), max(now[1, i], 0.0)
            to = (bind * now[0, i] - unbind * now[1, i]) * dt + np.sqrt((bind * f + unbind * b) * dt) * z[1]
            new[0, i] += source[i] * dt + np.sqrt(source[i] * dt) * z[0] - to
            new[0, i] -= decay_free * now[0, i] * dt + np.sqrt(decay_free * f * dt) * z[3]
            new[1, i] += to - decay * now[1, i] * dt - np.sqrt(decay * b * dt) * z[2]
            for d in range(directions):
                if neighbours[i, d] >= 0:
                    move = hop * now[0, i] * dt + np.sqrt(hop * f * dt) * z[4 + d]
                    new[0, i] -= move
                    new[0, neighbours[i, d]] += move
        now = new
    return now
