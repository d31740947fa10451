"""The contact of two phases, as a length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def kapitza_length(values: Mapping[str, Any]) -> Any:
    """k_m / h in um."""
    return 1e6 * np.asarray(values["matrix_conductivity"]) / np.asarray(values["interface_conductance"])


def diffusivity(phase: str, values: Mapping[str, Any]) -> Any:
    """k / c of a phase in mm^2/s."""
    return np.asarray(values[f"{phase}_conductivity"]) / np.asarray(values[f"{phase}_heat_capacity"])
