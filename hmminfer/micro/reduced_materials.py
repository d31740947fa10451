"""The reduced cell of all materials: one basis for fibres in a matrix 0.1 to 100 times more compliant, and what lies outside it.

In units of the matrix's modulus carbon in epoxy, glass in polyester, cellulose in lignin and silicon carbide in aluminium lie in one box, so that
priors wide enough for any of them cost no training of their own. Beyond (a glass cord in rubber, a volume fraction below 0.1) the full cell answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hmminfer.micro.reduced_cell import ReducedCell, reduced_cell

# least and greatest E1f, E2f, G12f in units of Em, nu12f, nu23f, Em (1), num, v
BOX = np.array([[0.05, 0.1, 0.04, 0.0, 0.0, 1.0, 0.05, 0.10], [5000.0, 100.0, 60.0, 0.45, 0.45, 1.0, 0.45, 0.80]])
LARGEST = {"hexagonal": 0.80, "square": 0.75}  # volume fractions
SLOWER = 150  # the full cell of 4 elements a side over the reduced one: measured 130 to 240


def box_of(packing: str) -> np.ndarray:
    """The box (2, 8) for a packing."""
    box = BOX.copy()
    box[1, 7] = LARGEST[packing]
    return box


def cell_of_materials(packing: str = "hexagonal", n: int = 4) -> ReducedCell:
    """The reduced basis over :func:`box_of`."""
    lower, upper = box_of(packing)
    return reduced_cell(lower, upper, packing, n, snapshots=256, tolerance=2e-10)


def beyond(packing: str, names: Sequence[str], draws: Mapping[str, np.ndarray], where: str) -> str:
    """A sentence if most of these draws of the cell's eight parameters, called ``names``, lie outside the box; else "". ``where`` names the draws."""
    box = box_of(packing)
    scaled = np.stack(np.broadcast_arrays(*(np.asarray(draws[name], dtype=float) for name in names)), axis=-1).reshape(-1, len(names))
    scaled[:, [0, 1, 2, 5]] /= scaled[:, [5]]
    outside = (scaled < box[0]) | (scaled > box[1])
    share = outside.any(axis=1).mean()
    if not share > (0.5 if where == "prior" else 0.05):  # only searches and checks go through the whole prior
        return ""
    called = [f"{name} / {names[5]}" if i < 3 else name for i, name in enumerate(names)]
    worst = int(np.argmax(outside.mean(axis=0)))
    return (
        f"The full cell answers for {100 * share:.0f} % of the {where}, about {SLOWER} times slower than the reduced one: {called[worst]} lies outside "
        f"[{box[0, worst]:g}, {box[1, worst]:g}]. Expect about {1.0 + share * (SLOWER - 1.0):.0f} times the usual time, or give values inside."
    )
