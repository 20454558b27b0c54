"""What `mtt new` writes is installed, listed, tested and trained, as its README says."""

import re

import pytest

from packages.environment import fresh_environment, install
from runs import run_command, run_mtt


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """An interpreter with the package installed, and the folder of the package."""
    folder = tmp_path_factory.mktemp("generated")
    done = run_mtt("new", "my-net", folder=folder)
    assert done.returncode == 0, done.stderr
    python = fresh_environment(folder / "environment")
    install(python, folder / "my-net")
    return python, folder / "my-net"


def test_it_is_listed_with_its_options(generated):
    python, folder = generated
    done = run_command(python, "-m", "metatrain", "list", "my_net", folder=folder)
    assert done.stdout.startswith("my_net: architecture of my-net 0.1.0\n")
    assert re.search(r"^  num_channels +whole number +32 +at least 1$", done.stdout, re.MULTILINE)


def test_its_tests_pass(generated):
    python, folder = generated
    done = run_command(python, "-m", "pytest", folder=folder)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout


def test_it_trains_on_its_example(generated):
    python, folder = generated
    fewer = ["-r", "architecture.training.num_epochs=10"]
    words = ["-m", "metatrain", "train", "options.yaml", *fewer]
    done = run_command(python, *words, folder=folder / "example")
    assert done.returncode == 0, done.stderr
    assert (folder / "example/model.pt").is_file()
    # the forces themselves are 2000 meV/A in the mean
    assert float(re.search(r"test forces: RMSE (\S+),", done.stdout)[1]) < 700
