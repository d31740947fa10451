"""Bases for the fibre's double angle over a macro domain: zones, and a smooth Gaussian field.

The basis of a field consists of the sine eigenfunctions of the Laplacian on the domain's bounding box, extended on every side so that
their zeros at the edge have no effect: by 0.4 of the longer side, which is also the default correlation length of a field (Hilbert-space
approximation of a Gaussian process; Solin & Sarkka 2020; Riutort-Mayol et al. 2023).
"""

import numpy as np

MARGIN = 0.4  # of the longer side, added to the box on every side


def field_basis(points: np.ndarray, box: np.ndarray, n_x: int, n_y: int) -> tuple[np.ndarray, np.ndarray]:
    """phi (points, n_x n_y) and angular frequencies (n_x n_y, 2) in 1 / length.

    phi_jk = sin(w_j (x + L_x)) sin(w_k (y + L_y)) / sqrt(L_x L_y) about the centre, w_j = j pi / (2 L_x).
    """
    centre, half = 0.5 * (box[0] + box[1]), 0.5 * (box[1] - box[0]) + MARGIN * float(np.max(box[1] - box[0]))
    parts, frequencies = [], []
    for axis, n in ((0, n_x), (1, n_y)):
        w = np.arange(1, n + 1) * np.pi / (2.0 * half[axis])
        parts.append(np.sin((points[:, axis, None] - centre[axis] + half[axis]) * w) / np.sqrt(half[axis]))
        frequencies.append(w)
    phi = (parts[0][:, :, None] * parts[1][:, None, :]).reshape(len(points), -1)
    both = np.stack(np.meshgrid(*frequencies, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.ascontiguousarray(phi), both


def zone_basis(points: np.ndarray, box: np.ndarray, n: int) -> np.ndarray:
    """Indicator (points, n) of n equal zones along x."""
    share = (points[:, 0] - box[0, 0]) / (box[1, 0] - box[0, 0])
    zone = np.clip((share * n).astype(int), 0, n - 1)
    return np.eye(n)[zone]
