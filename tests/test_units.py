import pytest

from metatrain import units
from metatrain.errors import MetatrainError


@pytest.mark.parametrize(
    ("found", "wanted", "factor"),
    [
        ("eV", "meV", 1000.0),
        ("angstrom", "nm", 0.1),
        # CODATA 2018: 1 Hartree = 27.211386245988 eV, 1 bohr = 0.529177210903 angstrom
        ("Hartree/bohr", "eV/A", 27.211386245988 / 0.529177210903),
        # 1 eV/angstrom^3 = 1.602176634e-19 J / 1e-30 m^3 = 160.2176634 GPa
        ("eV/A^3", "GPa", 160.2176634),
        ("kcal/mol", "kJ/mol", 4.184),
    ],
)
def test_units_convert(found, wanted, factor):
    assert units.conversion_factor(found, wanted, "here") == pytest.approx(factor, rel=1e-7)


def test_a_unit_is_itself_exactly():
    assert units.conversion_factor("kcal/mol/A", "kcal/mol/A", "here") == 1.0


def test_units_of_forces_and_stress_follow_from_those_of_energy_and_length():
    assert units.force_unit("eV", "A") == "eV/A"
    assert units.stress_unit("eV", "A") == "eV/A^3"
    for energy, length in [("kcal/mol", "nm"), ("Ry", "bohr"), ("eV", "(1e-10*m)")]:
        units.check_unit(units.force_unit(energy, length), "force", "here")
        units.check_unit(units.stress_unit(energy, length), "pressure", "here")


@pytest.mark.parametrize(
    ("unit", "quantity"),
    [("kcal/mol", "energy"), ("Bohr", "length"), ("GPa", "pressure"), ("D", "dipole"), ("", "")],
)
def test_a_unit_of_its_quantity_is_taken(unit, quantity):
    units.check_unit(unit, quantity, "here")


@pytest.mark.parametrize(
    ("unit", "quantity", "message"),
    [
        ("agstrom", "length", "a.b: 'agstrom' is no known unit; did you mean 'angstrom'? known are 'angstrom', 'A'"),
        ("xyzzy", "", "a.b: 'xyzzy' is no known unit; known are 'angstrom'"),
        ("eV/", "energy", "a.b: 'eV/' is no known unit"),
        ("eV", "length", "a.b: 'eV' is no unit of length; use one such as 'angstrom', 'A', 'nm'"),
        ("eV", "force", "a.b: 'eV' is no unit of force; use one such as 'eV/angstrom'"),
    ],
)  # fmt: skip
def test_a_wrong_unit_is_explained(unit, quantity, message):
    with pytest.raises(MetatrainError) as caught:
        units.check_unit(unit, quantity, "a.b")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_units_of_different_quantities_do_not_convert():
    with pytest.raises(MetatrainError, match=r"^a.b: 'eV' cannot be converted into 'angstrom'"):
        units.conversion_factor("eV", "angstrom", "a.b")


@pytest.mark.parametrize(
    ("unit", "factor", "name"),
    [
        ("eV", 1000.0, "meV"),
        ("eV/angstrom", 1000.0, "meV/A"),
        ("ev/A", 1000.0, "meV/A"),
        ("eV/Angstrom^3", 1000.0, "meV/A^3"),
        ("kcal/mol", 1.0, "kcal/mol"),
        ("meV", 1.0, "meV"),
        ("", 1.0, ""),
    ],
)
def test_errors_are_shown_in_a_handy_unit(unit, factor, name):
    assert units.handy(unit) == (factor, name)
    assert not unit or factor == pytest.approx(units.conversion_factor(unit, name, "here"))
