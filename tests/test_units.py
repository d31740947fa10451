"""Units: what is understood, what converts exactly, and what is refused with which remedy."""

import math

import numpy as np
import pytest

from hmminfer import units
from hmminfer.errors import HmmInferError


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("3.5 GPa", "MPa", 3500.0),
        (3.5, "GPa", 3.5),
        ("3.5", "GPa", 3.5),
        ("1e3MPa", "GPa", 1.0),
        ("0.5 mm", "um", 500.0),
        ("5 µm", "um", 5.0),
        ("12 deg", "rad", math.radians(12.0)),
        ("2 kN", "N", 2000.0),
        ("100 microstrain", "", 1e-4),
        ("27.8 %", "", 0.278),
        ("20 degC", "K", 293.15),
        ("-5 1/K", "1/K", -5.0),
    ],
)
def test_parse(text, unit, expected):
    assert units.parse(text, unit) == pytest.approx(expected, rel=1e-14)


def test_convert_takes_arrays_and_factor_ignores_offsets():
    np.testing.assert_allclose(units.convert(np.array([0.0, 90.0]), "deg", "rad"), [0.0, math.pi / 2], rtol=1e-15)
    assert units.factor("degC", "K") == 1.0
    assert units.convert(1.0, "GPa", "MPa") == 1000.0


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        ("3 Gpa", "GPa", "Unknown unit 'Gpa'. Did you mean 'GPa'"),
        ("3 micrstrain", "", "Did you mean 'microstrain'"),
        ("3 m", "GPa", "cannot be converted to 'GPa'"),
        ("3 deg", "", "cannot be converted to 'dimensionless'"),  # an angle is not a strain
        ("3 %", "deg", "cannot be converted to 'deg'"),
        ("3 (", "mm", "Unknown unit"),
        ("3 dB", "", "not proportional"),
        ("3,5 GPa", "GPa", "decimal point"),
        ("1 000", "mm", "no separators"),
        ("long", "mm", "'long' is not a number"),
        (math.nan, "mm", "not a finite number"),
    ],
)
def test_refusals_name_the_remedy(value, unit, message):
    with pytest.raises(HmmInferError, match=message.replace("(", r"\(")):
        units.parse(value, unit)
