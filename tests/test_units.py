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


@pytest.mark.parametrize(
    ("unit", "target", "expected"),
    [
        ("Msi", "GPa", 6.894757),
        ("10^6 psi", "GPa", 6.894757),
        ("W m-1 K-1", "W/m/K", 1.0),
        ("W/mK", "W/m/K", 1.0),
        ("W/m K", "W/m/K", 1.0),
        ("mW/mK", "W/m/K", 1e-3),
        ("W/(mK)", "W/m/K", 1.0),
        ("W/cmK", "W/m/K", 100.0),
        ("W/m2K", "W/m^2/K", 1.0),
        ("W/m\u00b2K", "W/m^2/K", 1.0),
        ("um/mK", "um/m/K", 1.0),
        ("J/kgK", "J/kg/K", 1.0),
        ("1/mK", "1/K", 1e3),
        ("J/mK", "J/K", 1e3),
        ("W m^-1 K^-1", "W/m/K", 1.0),
        ("W\u00b7m\u207b\u00b9\u00b7K\u207b\u00b9", "W/m/K", 1.0),
        ("W/(m.K)", "W/m/K", 1.0),
        ("W/(m K)", "W/m/K", 1.0),
        ("mS cm-1", "S/cm", 1e-3),
        ("mOhm*cm^2", "ohm*cm^2", 1e-3),
        ("mOhm cm2", "ohm*cm^2", 1e-3),
        ("m\u03a9 cm\u00b2", "ohm*cm^2", 1e-3),
        ("/K", "1/K", 1.0),
        ("10^-6/K", "um/m/K", 1.0),
        ("10-6 K-1", "um/m/K", 1.0),
        ("10\u207b\u2076 K\u207b\u00b9", "um/m/K", 1.0),
        ("x10^-6 1/K", "um/m/K", 1.0),
        ("ppm/degC", "um/m/K", 1.0),
        ("ue/degC", "1/K", 1e-6),
        ("\u00b5\u03b5", "", 1e-6),
        ("vol%", "", 0.01),
        ("%RH", "%", 1.0),
        ("N/mm2", "MPa", 1.0),
        ("g/cc", "kg/m^3", 1000.0),
        ("cmH2O", "kPa", 0.0980665),
        ("1", "%", 100.0),
        ("-", "", 1.0),
        ("hrs", "h", 1.0),
    ],
)
def test_units_as_people_write_them(unit, target, expected):
    assert units.factor(unit, target) == pytest.approx(expected, rel=1e-6)


def test_what_journals_write_is_read_where_it_has_one_meaning():
    """W/mK is W/(m K) where a conductivity is due; where a quantity of another kind is due, no reading fits and none is taken."""
    for unit in ("W/m K", "W/mK"):
        with pytest.raises(HmmInferError, match="cannot be converted"):
            units.factor(unit, "W/K")


@pytest.mark.parametrize("unit", ["J/kg K", "W/m*K"])
def test_quotients_that_can_mean_two_things_are_of_another_kind(unit):
    with pytest.raises(HmmInferError, match=r"give the number in W/m/K, mW/m/K"):
        units.factor(unit, "W/m/K")


def test_the_hint_lists_units_of_the_needed_kind_alone():
    with pytest.raises(HmmInferError) as error:
        units.factor("Siemens/cm", "S/cm")
    assert "Known: S/cm, mS/cm, S/m." in str(error.value)


@pytest.mark.parametrize("text", ["3,5", "3,5 GPa"])
def test_a_decimal_comma_is_asked_about(text):
    with pytest.raises(HmmInferError, match=r"3\.5 if the comma in it is a decimal comma"):
        units.parse(text, "GPa")
