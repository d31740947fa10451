"""A column with every species and every time scale resolved, for synthetic data and comparisons; :mod:`.column` with a burst replaces it.

    dA/dt  = (a_L v A_x - v A)_x - r - R_k ds/dt - decay A
    dB/dt  = r = k_f A (1 - B / S) - k_b B              (S infinite: A <-> B)
    ds/dt  = alpha (A - s)

Finite volumes with central fluxes, Danckwerts' inlet, c_x = 0 at the outlet; SciPy's implicit solvers with the exact banded Jacobian.
Reference code: used by tests, benchmarks and the script that writes the synthetic data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csc_array


def resolved_column(
    length: float,
    velocity: float,
    inlet: float,
    pulse: float,
    times: Any,
    parameters: Any,
    cells: int = 400,
    rtol: float = 1e-6,
    method: str = "Radau",
) -> tuple[np.ndarray, dict[str, float]]:
    """Outlet concentration over inflow at ``times`` (increasing), and the numbers of right sides and factorisations of the solver.

    ``parameters``: k_f, k_b (1 / time), S (concentration of sites; infinite for a linear isotherm), R_k, alpha, a_L, decay.
    """
    k_f, k_b, sites, slow_store, alpha, a_l, decay = parameters
    h, v = length / cells, velocity
    times = np.asarray(times, float)
    a, b, s = slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)
    cell = np.arange(cells)

    def rhs(t: float, y: np.ndarray, c_in: float) -> np.ndarray:
        c, bound, slow = y[a], y[b], y[s]
        flux = np.empty(cells + 1)
        flux[0], flux[-1] = v * c_in, v * c[-1]
        flux[1:-1] = 0.5 * v * (c[:-1] + c[1:]) - a_l * v / h * (c[1:] - c[:-1])
        out = np.empty_like(y)
        out[b] = k_f * c * (1.0 - bound / sites) - k_b * bound
        out[s] = alpha * (c - slow)
        out[a] = (flux[:-1] - flux[1:]) / h - out[b] - slow_store * out[s] - decay * c
        return out

    def jacobian(t: float, y: np.ndarray, c_in: float) -> Any:
        c, bound = y[a], y[b]
        by_c, by_bound = k_f * (1.0 - bound / sites), -k_f * c / sites - k_b
        spread = a_l * v / h
        leave = np.full(cells, 2.0 * spread)
        leave[0], leave[-1] = spread + 0.5 * v, spread + 0.5 * v
        entries = [
            (3 * cell, 3 * cell, -leave / h - by_c - slow_store * alpha - decay),
            (3 * cell[1:], 3 * cell[:-1], np.full(cells - 1, (spread + 0.5 * v) / h)),
            (3 * cell[:-1], 3 * cell[1:], np.full(cells - 1, (spread - 0.5 * v) / h)),
            (3 * cell, 3 * cell + 1, -by_bound),
            (3 * cell, 3 * cell + 2, np.full(cells, slow_store * alpha)),
            (3 * cell + 1, 3 * cell, by_c),
            (3 * cell + 1, 3 * cell + 1, by_bound),
            (3 * cell + 2, 3 * cell, np.full(cells, alpha)),
            (3 * cell + 2, 3 * cell + 2, np.full(cells, -alpha)),
        ]
        row, column, value = (np.concatenate(x) for x in zip(*entries, strict=True))
        return csc_array((value, (row, column)), shape=(3 * cells, 3 * cells))

    y, out = np.zeros(3 * cells), []
    work = {"right sides": 0.0, "factorisations": 0.0}
    for c_in, start, end in ((inlet, 0.0, min(pulse, times[-1])), (0.0, pulse, times[-1])):
        if end <= start:
            continue
        at = times[(times > start) & (times <= end)]
        banded = {"lband": 3, "uband": 3} if method == "LSODA" else {"jac": jacobian}
        done = solve_ivp(rhs, (start, end), y, method, np.unique(np.append(at, end)), args=(c_in,), rtol=rtol, atol=1e-3 * rtol * inlet, **banded)
        if not done.success:
            raise RuntimeError(f"the resolved column stopped at {done.t[-1]:g}: {done.message}")
        out.append(done.y[3 * cells - 3, : at.size] / inlet)
        y = done.y[:, -1]
        work["right sides"] += done.nfev
        work["factorisations"] += done.nlu
    return np.concatenate(out), work
