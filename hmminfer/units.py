"""Units and numbers: text such as ``"3.5 GPa"`` in, plain floats in one agreed unit out.

Units are written as people write them: ``GPa``, ``N/mm``, ``W m-1 K-1``, ``10^-6/K``, ``Msi``, ``um`` or ``µm``, ``deg``, ``%``, ``vol%``,
``microstrain`` (1e-6). The empty unit ``""`` means dimensionless. Angles do not convert to dimensionless numbers, so that degrees are
never taken for strains. This file alone uses pint, and imports it on first use because that takes about a second.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from hmminfer import errors

if TYPE_CHECKING:
    import pint

COMMON = (
    *("m", "cm", "mm", "um", "nm", "s", "min", "h", "day", "kg", "g", "mol", "K", "degC", "degF", "deg", "rad"),
    *("N", "kN", "mN", "Pa", "kPa", "MPa", "GPa", "N/mm^2", "psi", "ksi", "Msi", "N/mm", "N/m", "J", "W", "V", "A", "W/m", "W/m^3"),
    *("W/m/K", "mW/m/K", "W/cm/K", "W/m^2/K", "1/K", "um/m/K", "ppm/K", "10^-6/K", "MJ/m^3/K", "J/cm^3/K", "kJ/mol", "J/mol"),
    *("S/cm", "mS/cm", "S/m", "ohm*cm^2", "mohm*cm^2", "ohm*m^2", "A/cm^2", "mA/cm^2", "mol/m^2/s", "mol/L", "mmol/L", "M", "mM", "mol/m^3"),
    *("g/m^3", "mg/L", "ug/L", "mL/h", "mL/min", "L/h", "1/s", "1/min", "1/h", "1/day", "um^2/s", "cm^2/s", "m^2/s", "mm^2", "cm^2"),
    *("microstrain", "%", "ppm", "dimensionless"),
)
"""Units offered as the remedy when one is not understood; every other unit that pint knows works too."""

_DIGITS = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(rf"\s*([-+]?{_DIGITS})\s*(.*?)\s*$", re.DOTALL | re.ASCII)
_POWER_OF_TEN = re.compile(rf"([-+]?{_DIGITS})\s*[x*]\s*10\s*(?:\^|\*\*)\s*([-+]?\d{{1,3}})", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?", re.ASCII)
_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
_RAISED = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b\u207a", "0123456789-+")
_LETTER = r"[^\W\d]|[%\u2030\u00b0]"
_SCALE = re.compile(r"(?:[x*]\s*)?(?:10\s*(?:\^|\*\*)\s*([-+]?\d{1,2})|10([-+]\d{1,2})|1[eE]([-+]?\d{1,2}))(?![\w.])\s*\*?\s*", re.ASCII)
_TOKEN = re.compile(rf"\*\*[-+]?\d+(?:\.\d+)?|(?:{_LETTER})(?:{_LETTER}|\d)*|[*/()]|1(?![\w.])")
_LENGTH, _EXPONENT, _DEGREE = 64, 9.0, 16.0  # bounds of a unit: characters, one exponent, all of them; pint would work on 2**10**10 for ever
_SHARES = {  # percentages that say of what
    "volume": ("vol%", "vol.%", "v%", "%v", "%vol", "%v/v", "v/v", "v/v%", "vol-%"),
    "mass": ("wt%", "wt.%", "w%", "%w", "%wt", "%w/w", "w/w", "mass%", "m%", "wt-%"),
    "amount": ("mol%", "mol.%", "at%", "at.%", "mol-%"),
    "": ("%rh", "rh%", "%r.h.", "percent"),
}
_PERCENT = {text: basis for basis, texts in _SHARES.items() for text in texts}
_BASES = {"gram": "mass", "kilogram": "mass", "meter ** 3": "volume", "mole": "amount"}


def number(text: str, decimal_comma: bool = False) -> float:
    """Number written as text: ``"-3.5e-3"``, ``"1.2 x 10^-3"``, and ``"3,5"`` where a ``decimal_comma`` is sure.

    Raises :class:`~hmminfer.errors.HmmInferError` for anything else, with the way to write it.
    """
    plain = text.strip().translate(_SIGNS)
    if decimal_comma and _DECIMAL_COMMA.fullmatch(plain):
        plain = plain.replace(",", ".")
    if power := _POWER_OF_TEN.fullmatch(plain):
        plain = f"{power[1]}e{power[2]}" if "e" not in power[1].lower() else plain
    if re.fullmatch(rf"[-+]?{_DIGITS}", plain, re.ASCII):
        return float(plain)
    raise errors.HmmInferError(f"{shown(text)}, which is not a number; {_advice(plain)}.")


def with_own_unit(text: str, decimal_comma: bool = False) -> tuple[float, str]:
    """Number and unit of a cell: ``"0.96 %"`` -> ``(0.96, "%")``; the unit is empty where the cell holds a number alone."""
    if is_plain(text, decimal_comma):
        return number(text, decimal_comma), ""
    plain = text.strip().translate(_SIGNS)
    if decimal_comma:
        plain = re.sub(r"^([-+]?\d*),(\d)", r"\1.\2", plain, flags=re.ASCII)
    match = _NUMBER.match(plain)
    if match and re.match(rf"/|(?!_)(?:{_LETTER})", match[2]):
        return float(match[1]), match[2]
    return number(text, decimal_comma), ""


def is_plain(value: Any, decimal_comma: bool = False) -> bool:
    """True for a number, and for text that is a number and gives no unit."""
    try:
        number(str(value), decimal_comma)
    except errors.HmmInferError:
        return False
    return True


def _advice(text: str) -> str:
    """The way to write what was meant by a text that is not a number."""
    if "\u00b1" in text or "+/-" in text:
        return "write the value alone, and its standard deviation in the column sd"
    if text[:1] in "<>\u2264\u2265" and text[1:2]:
        return "a limit is not a measurement, so leave the cell empty"
    if re.fullmatch(r"[-+]?[\d ,.'_]*\d[\d ,.'_]*", text, re.ASCII):
        meant = text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else ""
        asked = f"if {meant} is meant, write that: " if meant else ""
        return f"{asked}use digits with a decimal point and no separators"
    return "use digits and a decimal point"


def shown(text: str) -> str:
    """A user's text in quotation marks, shortened, for messages."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def parse(value: str | float, unit: str) -> float:
    """Number in ``unit`` from text with a unit (``"3.5 GPa"``) or from a plain number, which is in ``unit`` already.

    Raises :class:`~hmminfer.errors.HmmInferError` for text that is not a finite number, an unknown unit, or a unit of
    another kind.

    >>> parse("3.5 GPa", "MPa"), parse(3.5, "GPa")
    (3500.0, 3.5)
    """
    if isinstance(value, str):
        result, written = split(value, unit)
        result = convert(result, written, unit) if written else result
    else:
        result = float(value)
    if not math.isfinite(result):
        raise errors.HmmInferError(f"{value!r} is not a finite number; give a number in {name(unit)}.")
    return result


def split(value: str, unit: str) -> tuple[float, str]:
    """Number and unit of a text such as ``"3.5 GPa"``; the unit is empty where none is written. ``unit``: for the remedy."""
    text = value.translate(_SIGNS)
    match = _NUMBER.match(text)
    like = f"'3.5 {unit}'".replace(" '", "'")
    if match is None:
        raise errors.HmmInferError(f"{shown(value)} is not a number with a unit; write it like {like}.")
    if re.match(r"[\d.,_'](?!/)", match[2]) and not _SCALE.match(match[2]):  # "3,5" and "1 000": else 3 and 1 of an odd unit
        meant = re.match(r"[-+]?\d+,\d+(?=$|\s*[^\d,.])", text.strip(), re.ASCII)
        asked = f", {meant[0].replace(',', '.')} if the comma in it is a decimal comma" if meant else ""
        raise errors.HmmInferError(f"{shown(value)} is not a number with a unit; use a decimal point and no separators, like {like}{asked}.")
    return float(match[1]), match[2]


def parse_list(value: Any, unit: str) -> npt.NDArray[np.float64]:
    """Numbers in ``unit`` from a number, a sequence of numbers or texts, or text such as ``"0, 15, 30 deg"``.

    A unit after the last number counts for all; otherwise every number has its own, or none has.

    >>> parse_list("1, 2 mm", "um"), parse_list([500, "2 mm"], "um")
    (array([1000., 2000.]), array([ 500., 2000.]))
    """
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        written = [bool((match := _NUMBER.match(part)) and match[2]) for part in parts]
        if any(written) and not all(written):
            if any(written[:-1]):
                message = f"{value!r} gives a unit to some of its numbers; write one after the last, or one for each."
                raise errors.HmmInferError(message)
            last = _NUMBER.match(parts[-1])
            parts = [f"{part} {last[2] if last else ''}" for part in parts[:-1]] + parts[-1:]
        return np.array([parse(part, unit) for part in parts])
    values = np.asarray(value, dtype=object)
    if values.ndim > 1 or values.size == 0:
        raise errors.HmmInferError(f"{value!r} is not a list of numbers; write numbers in {name(unit)}, like 10, 20.")
    return np.array([parse(x if isinstance(x, str) else _plain(x), unit) for x in np.atleast_1d(values)])


def _plain(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise errors.HmmInferError(f"{shown(str(value))} is not a number; give numbers, or text with a unit.") from None


@overload
def convert(values: float, from_unit: str, to_unit: str) -> float: ...
@overload
def convert(values: npt.NDArray[np.float64], from_unit: str, to_unit: str) -> npt.NDArray[np.float64]: ...
def convert(values: Any, from_unit: str, to_unit: str) -> Any:
    """Number or array from one unit to another: ``slope * values + offset`` (the offset is for degC and the like)."""
    slope, offset = _affine(from_unit.strip(), to_unit.strip())
    return slope * values + offset


def factor(from_unit: str, to_unit: str) -> float:
    """Factor from ``from_unit`` to ``to_unit``, for differences and standard deviations, in which offsets cancel."""
    return _affine(from_unit.strip(), to_unit.strip())[0]


def has_offset(from_unit: str, to_unit: str) -> bool:
    """True if zero of one unit is not zero of the other, so that a share of a value means nothing: degC and K."""
    return _affine(from_unit.strip(), to_unit.strip())[1] != 0.0


def is_percent(unit: str) -> bool:
    """True for % and its relatives (vol%, %RH)."""
    return unit.strip() == "%" or unit.replace(" ", "").lower() in _PERCENT


def basis(unit: str) -> str:
    """Kind of what a ratio compares, where its unit says so: "volume" for vol% and mL/mL, "mass" for wt% and g/g, "amount"; else "".

    >>> basis("wt%"), basis("g/g"), basis("%")
    ('mass', 'mass', '')
    """
    if (known := _PERCENT.get(unit.replace(" ", "").lower())) is not None:
        return known
    parts = unit.split("/")
    if len(parts) != 2 or not all(map(str.strip, parts)):
        return ""
    try:
        roots = {str(_registry().get_root_units(_unit(part.strip())[1])[1]) for part in parts}
    except errors.HmmInferError:
        return ""
    return _BASES.get(roots.pop(), "") if len(roots) == 1 else ""


def is_arbitrary(unit: str) -> bool:
    """True for arbitrary units, which an intensity has: a.u., arb. units."""
    return re.fullmatch(r"(a\.\s*u\.?|arb\.?\s*(u\.|units?))", unit.strip(), re.IGNORECASE) is not None


def is_unit(text: str) -> bool:
    """True if a text is a unit.

    >>> is_unit("min"), is_unit("W/m/K"), is_unit("front")
    (True, True, False)
    """
    try:
        return bool(text) and _unit(text) is not None
    except errors.HmmInferError:
        return False


def name(unit: str) -> str:
    """The unit as shown in messages: ``"dimensionless"`` for the empty one."""
    return unit or "dimensionless"


@functools.cache
def _affine(from_unit: str, to_unit: str) -> tuple[float, float]:
    if from_unit == to_unit:  # nothing to convert, so pint is not needed at all
        return 1.0, 0.0
    target_scale, target = _unit(to_unit)
    # root units, not dimensions: pint holds an angle to be dimensionless, but its root unit is the radian
    target_root = _registry().get_root_units(target)[1]
    try:
        scale, source = _unit(from_unit)
    except errors.HmmInferError as error:
        raise _unknown(from_unit, to_unit, target_root) from error
    source_root = _registry().get_root_units(source)[1]
    if source_root != target_root:
        celsius = f" Degrees are written deg{from_unit}." if to_unit == "K" and from_unit in ("C", "F") else ""
        raise errors.HmmInferError(
            f"Unit {name(from_unit)!r} (in base units {source_root}) cannot be converted to {name(to_unit)!r} "
            f"({target_root}); give the number in {_choice(to_unit, target_root)} or another unit of the same kind.{celsius}"
        )
    zero, one, two = (_registry().Quantity(x, source).to(target).magnitude for x in (0.0, 1.0, 2.0))
    if not math.isfinite(two) or one == zero or not math.isclose(two - one, one - zero, rel_tol=1e-6):
        raise errors.HmmInferError(f"Unit {from_unit!r} is not proportional to {name(to_unit)!r}; give the number in {name(to_unit)}.")
    # 1 GPa = 1000 MPa comes out exactly; only an offset unit pays the rounding of a difference
    slope, offset = (one, 0.0) if zero == 0.0 else (round(one - zero, 12), zero)
    return slope * scale / target_scale, offset / target_scale


def _unknown(text: str, to_unit: str, root: Any) -> errors.HmmInferError:
    """Error for a unit that is not understood; it lists units of the needed kind, and the one that differs in capitals alone."""
    for unit in COMMON:
        if unit.lower() == text.lower():
            return errors.HmmInferError(f"Unknown unit {text!r}. Did you mean {unit!r}? Capital letters matter in units.")
    return errors.unknown("unit", text if len(text) <= _LENGTH else text[:_LENGTH] + "...", _alike(to_unit, root))


def _alike(unit: str, root: Any) -> list[str]:
    """The unit asked for, and common ones of its kind."""
    return [name(unit), *(u for u in COMMON if u != name(unit) and _registry().get_root_units(_unit(u)[1])[1] == root)]


def _choice(unit: str, root: Any) -> str:
    return ", ".join(_alike(unit, root)[:5])


@functools.cache
def _unit(text: str) -> tuple[float, pint.Unit]:
    """Scale and pint's unit of a text; pint sees nothing but names, products, quotients and small exponents."""
    scale, plain = _spelt(text)
    tokens = _TOKEN.findall(plain)
    exponents = [abs(float(token[2:])) for token in tokens if token.startswith("**")]
    if "".join(tokens) != plain or max(exponents, default=0.0) > _EXPONENT or sum(exponents) > _DEGREE or "****" in plain:
        raise errors.HmmInferError(f"Unknown unit {shown(text)}; write it in products and quotients of units with small exponents, like W/m^2/K.")
    try:
        return scale, _registry().parse_units(plain)
    except Exception as error:  # pint raises a different type for each way a unit can be malformed
        raise errors.HmmInferError(f"Unknown unit {shown(text)}; write it like GPa, W/m/K or um/m/K.") from error


def _spelt(text: str) -> tuple[float, str]:
    """Leading power of ten, and the rest in pint's spelling: ``"10^-6 K\u207b\u00b9"`` -> ``(1e-6, "K**-1")``."""
    if len(text) > _LENGTH:
        raise errors.HmmInferError(f"Unknown unit {shown(text)}; a unit has at most {_LENGTH} characters.")
    if text.strip() in ("1", "-", "\u2013", "dimensionless"):
        return 1.0, ""
    if is_percent(text):
        return 1.0, "%"
    text = re.sub(r"[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b]+", lambda m: "^" + m[0].translate(_RAISED), text).translate(_SIGNS).strip()
    scale = 1.0
    if match := _SCALE.match(text):
        scale, text = 10.0 ** int(match[1] or match[2] or match[3]), text[match.end() :]
    # W/mK and W/m2 K, as journals write W/(m K); of one and of an energy, mK is a millikelvin
    text = re.sub(r"(?<=W|m)/\s*(?:\(([kmcu]?[mg](?:\^?-?[23])?)[\s.]?K\)|([kmcu]?[mg](?:\^?-?[23])?)[\s.]?K)$", r"/\1\2/K", text)
    text = re.sub(r"(?<=J)/\s*(?:\((k?g)[\s.]?K\)|(k?g)[\s.]?K)$", r"/\1\2/K", text)
    text = re.sub(r"\s*(\*\*|[*/^()])\s*", r"\1", text).replace("^", "**")
    text = re.sub(rf"((?:{_LETTER})+)([-+]?\d{{1,2}})(?![\w.])", r"\1**\2", text)  # cm-1, mm2
    text = re.sub(rf"(?<=[^\W\d])\.(?=[^\W\d])|(?<=[\w)%\u00b0])\s+(?=(?:{_LETTER}|\())", "*", text)  # W/(m.K), S m
    return scale, "1" + text if text.startswith("/") else text


@functools.cache
def _registry() -> pint.UnitRegistry[float]:
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry()
    for line in (
        "million_psi = 1e6 * psi = Msi",
        "@alias ohm = Ohm = Ohms",
        "@alias hour = hrs",
        "@alias microstrain = \u00b5\u03b5 = \u03bc\u03b5 = ue",
    ):
        registry.define(line)
    return registry
