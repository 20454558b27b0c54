"""Units: which ones exist, how they convert, and which are handy to read."""

import re

from metatrain.errors import MetatrainError, did_you_mean

# Common units of each quantity, the first being the one that conversions are tried with.
_UNITS_OF = {
    "length": ("angstrom", "A", "nm", "bohr", "um", "mm", "cm", "m"),
    "energy": ("eV", "meV", "Hartree", "Ry", "kcal/mol", "kJ/mol", "J"),
    "force": ("eV/angstrom", "eV/A", "meV/A", "Hartree/bohr", "kcal/mol/A"),
    "pressure": ("eV/angstrom^3", "eV/A^3", "GPa", "bar", "atm", "Pa"),
    "mass": ("u", "dalton", "g", "kg", "electron_mass"),
    "charge": ("e", "C"),
    "velocity": ("angstrom/fs", "A/fs", "A/ps", "nm/ps"),
    "momentum": ("u*angstrom/fs", "u*A/fs"),
}
_COMMON_UNITS = tuple(unit for units in _UNITS_OF.values() for unit in units)

# Errors of good potentials are some meV: in eV they would be rows of zeros.
_HANDY = {
    "ev": (1000.0, "meV"),
    "ev/a": (1000.0, "meV/A"),
    "ev/a^3": (1000.0, "meV/A^3"),
}


def conversion_factor(found: str, wanted: str, where: str) -> float:
    """The factor that turns a number in ``found`` into one in ``wanted``.

    :param found: the unit that the numbers have
    :param wanted: the unit that they are to have
    :param where: key of ``found`` in the options file, for messages
    """
    for unit in (found, wanted):
        _check_known(unit, "", where)
    if found == wanted:
        return 1.0
    try:
        return _factor(found, wanted)
    except (RuntimeError, ValueError) as error:
        raise MetatrainError(
            f"{where}: {found!r} cannot be converted into {wanted!r}, "
            "they are units of different quantities"
        ) from error


def check_unit(unit: str, quantity: str, where: str) -> None:
    """Refuse a unit that does not exist, or that belongs to another quantity.

    :param unit: the unit to check, an expression such as ``"kcal/mol/A"``
    :param quantity: what is measured; of an unlisted one, any existing unit will do
    :param where: key of the unit in the options file, for messages
    """
    _check_known(unit, quantity, where)
    if quantity not in _UNITS_OF:
        return
    allowed = _UNITS_OF[quantity]
    if unit in allowed:
        return
    try:
        _factor(unit, allowed[0])
    except (RuntimeError, ValueError) as error:
        raise MetatrainError(
            f"{where}: {unit!r} is no unit of {quantity}; use one such as {_listed(allowed)}"
        ) from error


def force_unit(energy: str, length: str) -> str:
    """Unit of forces where energies and lengths have the given units."""
    return f"{energy}/{_as_factor(length)}"


def stress_unit(energy: str, length: str) -> str:
    """Unit of stress where energies and lengths have the given units."""
    return f"{energy}/{_as_factor(length)}^3"


def handy(unit: str) -> tuple[float, str]:
    """The factor and the name of the unit in which errors of ``unit`` are shown.

    :return: ``(1000.0, "meV/A")`` for ``"eV/angstrom"``; ``(1.0, unit)`` where no other
        unit reads better
    """
    short = re.sub(r"angstrom", "a", unit.lower().replace(" ", ""))
    return _HANDY.get(short, (1.0, unit))


def _check_known(unit: str, quantity: str, where: str) -> None:
    """Refuse what is no unit at all, with examples for the quantity or for all."""
    if unit in _COMMON_UNITS:
        return
    examples = _UNITS_OF.get(quantity) or tuple(units[0] for units in _UNITS_OF.values())
    try:
        _factor(unit, unit)
    except (RuntimeError, ValueError) as error:
        suggestion = did_you_mean(unit, _UNITS_OF.get(quantity, _COMMON_UNITS))
        raise MetatrainError(
            f"{where}: {unit!r} is no known unit{suggestion or ';'} "
            f"known are {_listed(examples)} and more"
        ) from error


def _factor(found: str, wanted: str) -> float:
    from metatomic.torch import unit_conversion_factor  # noqa: PLC0415 (takes half a second)

    return float(unit_conversion_factor(found, wanted))


def _as_factor(unit: str) -> str:
    """The unit in brackets where it is an expression, to stand behind a slash."""
    return unit if unit.isalpha() else f"({unit})"


def _listed(units: tuple[str, ...]) -> str:
    return ", ".join(repr(unit) for unit in units)
