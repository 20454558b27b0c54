"""`mtt list` where strangers' packages are installed, some of them broken."""

import re

import pytest


@pytest.fixture(scope="module")
def listed(strangers_mtt, tmp_path_factory):
    done = strangers_mtt("list", folder=tmp_path_factory.mktemp("list"))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def row(lines, name):
    (found,) = (line for line in lines if line.startswith(f"  {name} "))
    return found


def test_a_strangers_architecture_is_listed_with_its_package(listed):
    assert re.fullmatch(r"  linear +ada-linear \S+ +cpu +float64 +@ada", row(listed, "linear"))


def test_what_cannot_be_used_is_listed_with_the_reason(listed):
    raising = [line for line in listed if line.startswith("  raises ")]
    assert len(raising) == 2  # an architecture and a reader
    for line in raising:
        assert line.endswith("cannot be imported: OSError: the library of 1843 is gone")
    assert "is not a complete architecture: __maintainers__ is missing" in row(listed, "misses")
    assert row(listed, "listed").endswith("Listed.Hypers is not a dataclass")


def test_a_name_that_two_packages_give_is_listed_with_the_package(listed):
    assert "cannot be imported" in row(listed, "broken-plugins:composition")
    assert "cpu" in row(listed, "ada-linear:composition")


def test_options_of_a_strangers_plug_in_are_shown(strangers_mtt, tmp_path):
    done = strangers_mtt("list", "log_cosh", folder=tmp_path)
    assert done.stdout.startswith("log_cosh: loss of bob-plugins")
    assert "\n  sharpness " in done.stdout
