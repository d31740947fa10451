"""Exports of digital image correlation: the columns, axes and marks of failure of each program.

Images count y downwards, a plate upwards: y is turned, and with it the signs of what points along y once. All state tensor shear, half of the
engineering shear of a plate's data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hmminfer.errors import HmmInferError

PIXEL = ("px", "pixel", "pixels", "pix")
TURNED = ("displacement_y", "strain_xy")  # quantities that change sign when y is turned
TENSOR_SHEAR = "strain_xy_tensor"
_STRAINS = {"exx": "strain_xx [1]", "eyy": "strain_yy [1]", "exy": f"{TENSOR_SHEAR} [1]"}
_SHIFTS = {"u": "displacement_x [px]", "v": "displacement_y [px]"}


@dataclass(frozen=True)
class Export:
    """One program's export: names that mark it, targets with units by name, failed points; ``y_axis`` is empty where the user must say it."""

    name: str
    marks: tuple[str, ...]
    columns: Mapping[str, str]
    failed: Callable[[Mapping[str, float]], bool]
    y_axis: str = "down"

    def recognises(self, names: list[str]) -> bool:
        """True if a header is of this export."""
        return set(self.marks) <= set(names)


def _negative_sigma(row: Mapping[str, float]) -> bool:
    return any(row.get(name, 0.0) < 0.0 for name in ("SIGMA", "sigma", "Sigma"))


EXPORTS = (
    Export(
        "DICe",
        ("COORDINATE_X", "COORDINATE_Y", "DISPLACEMENT_X", "DISPLACEMENT_Y"),
        {
            "COORDINATE_X": "x [px]",
            "COORDINATE_Y": "y [px]",
            "DISPLACEMENT_X": "displacement_x [px]",
            "DISPLACEMENT_Y": "displacement_y [px]",
            "VSG_STRAIN_XX": "strain_xx [1]",
            "VSG_STRAIN_YY": "strain_yy [1]",
            "VSG_STRAIN_XY": f"{TENSOR_SHEAR} [1]",
        },
        _negative_sigma,
    ),
    Export(
        "VIC-3D",
        ("X", "Y", "Z", "U", "V", "W"),
        {"X": "x [mm]", "Y": "y [mm]", "U": "displacement_x [mm]", "V": "displacement_y [mm]", **_STRAINS},
        _negative_sigma,
        y_axis="",  # of the coordinate system that was chosen there
    ),
    Export(
        "GOM / ARAMIS",
        ("x_undef", "y_undef", "u", "v"),
        {
            "x_undef": "x [mm]",
            "y_undef": "y [mm]",
            "u": "displacement_x [mm]",
            "v": "displacement_y [mm]",
            "epsx": "strain_xx [%]",
            "epsy": "strain_yy [%]",
            "epsxy": f"{TENSOR_SHEAR} [1]",
        },
        lambda row: math.isnan(row.get("u", 0.0)),
        y_axis="",
    ),
    Export(
        "MatchID",
        ("Image X", "Image Y", "Horizontal Displacement U", "Vertical Displacement V"),
        {
            "Image X": "x [px]",
            "Image Y": "y [px]",
            "Horizontal Displacement U": "displacement_x [px]",
            "Vertical Displacement V": "displacement_y [px]",
            "Strain-global frame: Exx": "strain_xx [1]",
            "Strain-global frame: Eyy": "strain_yy [1]",
            "Strain-global frame: Exy": f"{TENSOR_SHEAR} [1]",
        },
        _negative_sigma,
    ),
    Export(
        "pyvale",
        ("subset_x", "subset_y", "displacement_u", "displacement_v"),
        {"subset_x": "x [px]", "subset_y": "y [px]", "displacement_u": "displacement_x [px]", "displacement_v": "displacement_y [px]"},
        lambda row: row.get("converged", 1.0) == 0.0,
    ),
    Export("VIC-2D", ("x", "y", "u", "v", "sigma"), {"x": "x [px]", "y": "y [px]", **_SHIFTS, **_STRAINS}, _negative_sigma),
)
NCORR = Export("Ncorr", (), {"x": "x [px]", "y": "y [px]", **_SHIFTS, **_STRAINS}, lambda row: row["u"] == 0.0 and row["v"] == 0.0)


def export_of(names: list[str]) -> Export | None:
    """The program that wrote a header of these names, if it is known."""
    return next((export for export in EXPORTS if export.recognises(names)), None)


def ncorr_columns(path: Path, frame: int | None) -> tuple[dict[str, np.ndarray], int, int]:
    """Columns x, y, u, v (pixels of the reference image) and strains of a saved Ncorr analysis, the frame taken (from 1), and their number.

    The reference-configuration fields of ``data_dic_save`` are read; points stand ``spacing + 1`` pixels apart, and u and v are in ``pixtounits``.
    """
    try:
        saved = _matlab(path)
        frames = saved["displacements"]
        number = len(frames) if frame is None else frame
        if not 1 <= number <= len(frames):
            raise HmmInferError(f"'{path}' holds {len(frames)} frames; give --frame from 1 to {len(frames)}.")
        info = saved["dispinfo"]
        step, scale = float(np.ravel(info["spacing"])[0]) + 1.0, float(np.ravel(info["pixtounits"])[0])
        fields = {k: np.asarray(frames[number - 1][f"plot_{k}_ref_formatted"], float) / scale for k in ("u", "v")}
        if len(strains := saved.get("strains", [])) >= number:
            fields |= {k: np.asarray(strains[number - 1][f"plot_{k}_ref_formatted"], float) for k in _STRAINS}
    except (KeyError, IndexError, TypeError, ValueError, OSError, NotImplementedError) as error:
        if isinstance(error, HmmInferError):
            raise
        raise HmmInferError(f"'{path}' is not a saved analysis of Ncorr ({error!r}); save it there with its displacements formatted.") from error
    rows, columns = np.indices(fields["u"].shape, dtype=float)
    everything: dict[str, np.ndarray] = {"x": np.multiply(columns, step), "y": np.multiply(rows, step), **fields}
    return {k: v.ravel() for k, v in everything.items()}, number, len(frames)


def _matlab(path: Path) -> dict[str, Any]:
    """``data_dic_save`` of a MATLAB file of either generation, frames as lists of dicts of arrays."""
    import h5py  # type: ignore[import-untyped]

    if not h5py.is_hdf5(path):
        from scipy.io import loadmat

        saved = loadmat(path, simplify_cells=True)["data_dic_save"]
        return {k: [v] if k in ("displacements", "strains") and isinstance(v, dict) else v for k, v in saved.items()}
    with h5py.File(path) as file:
        top: Any = file["data_dic_save"]

        def arrays(name: str) -> list[dict[str, np.ndarray]]:
            fields = {k: v for k, v in top[name].items() if k.startswith("plot_")}
            several = any(v.dtype == object for v in fields.values())
            count = max(v.size for v in fields.values()) if several else 1
            # MATLAB stores columns first
            return [{k: file[v[()].ravel()[i]][()].T if v.dtype == object else v[()].T for k, v in fields.items()} for i in range(count)]

        info = {k: top["dispinfo"][k][()] for k in ("spacing", "pixtounits")}
        return {"dispinfo": info, **{k: arrays(k) for k in ("displacements", "strains") if k in top}}
