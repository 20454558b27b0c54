"""`mtt new`; what it writes is installed, tested and trained in ``packages``."""

import ase.io
import pytest

from metatrain.cli import main
from metatrain.workflows.new_package import render


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_a_package_and_says_what_to_do_next(folder, capsys):
    assert main(["new", "my-net"]) == 0
    told = capsys.readouterr().out
    assert "cd my-net" in told
    assert "pip install -e '.[test]'" in told
    assert (folder / "my-net/src/my_net/model.py").is_file()
    assert 'my_net = "my_net"' in (folder / "my-net/pyproject.toml").read_text()
    assert not (folder / "my-net/LICENSE").exists()


def test_the_model_has_less_than_80_lines():
    assert len(render("src/model.py", "my_net").splitlines()) < 80


def test_the_example_has_energies_forces_and_stress_that_differ(folder):
    assert main(["new", "my_net", "-o", "deep/inside"]) == 0
    systems = ase.io.read(folder / "deep/inside/example/copper_gold.xyz", ":")
    assert len({round(atoms.get_potential_energy(), 6) for atoms in systems}) == len(systems)
    assert all(set(atoms.calc.results) == {"energy", "forces", "stress"} for atoms in systems)


def test_what_is_there_is_never_overwritten(folder, capsys):
    (folder / "my_net").mkdir()
    assert main(["new", "my_net"]) == 2
    assert capsys.readouterr().err == (
        "error: mtt new: my_net exists already; choose another place with -o.\n"
    )
    assert not list((folder / "my_net").iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("3d_net", "'3d_net' is no name of a Python package; use letters, digits and '_'"),
        ("my net", "'my net' is no name of a Python package"),
        ("réseau", "'réseau' is no name of a Python package"),
        ("class", "'class' is no name of a Python package"),
        ("../net", "'../net' is no name of a Python package"),
        ("soap-bpnn", "'soap_bpnn' is an architecture that is installed; choose another"),
        ("json", "'json' is a Python package that is installed"),
        ("torch", "'torch' is a Python package that is installed"),
        ("metatrain", "'metatrain' is a Python package that is installed"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name, reason, folder, capsys):
    assert main(["new", name]) == 2
    assert reason in capsys.readouterr().err
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_is_an_error(folder, capsys):
    (folder / "file").touch()
    assert main(["new", "my_net", "-o", "file/my_net"]) == 2
    assert "mtt new: file/my_net cannot be written" in capsys.readouterr().err
