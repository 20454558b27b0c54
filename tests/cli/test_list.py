"""`mtt list`, in the tests' own process: loading torch once is enough."""

import pytest

import metatrain
from metatrain import plugins
from metatrain.cli import main
from metatrain.training import GradientHypers


@pytest.fixture
def listed(capsys):
    """What ``mtt list`` prints."""

    def run(*words):
        assert main(["list", *words]) == 0
        return capsys.readouterr().out

    return run


def test_every_kind_is_listed_with_where_it_comes_from(listed):
    lines = listed().splitlines()
    for kind in plugins.KINDS:
        assert any(line.startswith(f"{kind} ") for line in lines), kind
        of_kind = listed(kind).splitlines()
        for name in plugins.installed(kind):
            (line,) = (line for line in of_kind if line.startswith(f"  {name} "))
            assert line in lines
            assert f"metatrain {metatrain.__version__}" in line


def test_architectures_are_listed_with_maintainers_devices_and_dtypes(listed):
    (line,) = (line for line in listed("architectures").splitlines() if "soap_bpnn" in line)
    assert "cuda, cpu" in line
    assert "float32, float64" in line
    assert "@metatrain" in line


def test_no_line_is_wider_than_a_terminal(listed):
    for words in ((), ("soap_bpnn",), ("adam",), ("ase",)):
        assert max(map(len, listed(*words).splitlines())) <= 100


def test_an_architecture_is_shown_with_all_its_options(listed):
    page = listed("soap_bpnn")
    assert "SOAP power spectrum" in page
    assert "soap.cutoff.radius" in page
    for name in GradientHypers.__dataclass_fields__:
        assert f"\n  {name} " in page, name
    assert "Phys. Rev. B 87, 184115 (2013)" in page


def test_another_plug_in_is_shown_with_its_options(listed):
    lines = listed("huber").splitlines()
    assert lines[0] == f"huber: loss of metatrain {metatrain.__version__}"
    assert "  delta  number  1.0      above 0.0" in lines
    assert "      error at which the loss turns linear" in lines
    assert listed("metatrain:huber") == listed("huber")
    assert "options: none" in listed("mse")


def test_one_kind_is_listed_alone(listed):
    lines = listed("losses").splitlines()
    assert [line.split()[0] for line in lines] == ["losses", "huber", "mae", "mse"]


def test_an_unknown_name_is_answered_with_the_nearest(capsys):
    assert main(["list", "soap_bpn"]) == 2
    assert capsys.readouterr().err == (
        "error: mtt list soap_bpn: no such plug-in is installed; did you mean 'soap_bpnn'? "
        "'mtt list' shows what is.\n"
    )
