"""Packages with a mistake: one line says which and why, before any data is read."""

import pytest

from runs import options

REASONS = {
    "raises": "'raises' of package 'broken-plugins' cannot be imported: OSError: the library of "
    "1843 is gone",
    "misses": "__maintainers__ is missing",
    "nowhere": "Nowhere.__supported_devices__ names 'analytical_engine', a device that does not",
    "listed": "Listed.Hypers is not a dataclass",
    "composition": "several packages give 'composition'; write ada-linear:composition or "
    "broken-plugins:composition",
    "broken-plugins:composition": "cannot be imported: OSError: the library of 1843 is gone",
}


@pytest.fixture(scope="module")
def refusals(refusals_of):
    """What is said of each of them."""
    return refusals_of(
        {name: options("garbage.xyz") | {"architecture": {"name": name}} for name in REASONS}
    )


@pytest.mark.parametrize("name", REASONS)
def test_a_broken_architecture_is_refused_in_one_line(refusals, name):
    assert "architecture.name: " in refusals[name]
    assert REASONS[name] in refusals[name]


def test_the_list_shows_what_is_broken_and_why_beside_the_rest(strangers_mtt, tmp_path):
    done = strangers_mtt("list", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.split()]
    names = [line.split()[0] for line in lines]
    for name in REASONS.keys() - {"composition"}:
        assert REASONS[name].rpartition(": ")[2] in lines[names.index(name)]
    assert {"linear", "ada-linear:composition", "soap_bpnn", "log_cosh", "heavy_ball"} <= {*names}
