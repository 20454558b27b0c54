import sys

import pytest

from metatrain.data import readers, writers
from metatrain.errors import MetatrainError

READER = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Rows:
    suffixes = (".rows",)

    def __call__(self, path): ...
    def open(self, path): ...
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Two packages that read and write the same suffix, and one that cannot be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for package, source in {"blue": READER, "green": READER, "grey": "import nowhere"}.items():
        info = tmp_path / f"{package}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        entry = f"{package}_rows = {package}_rows:Rows"
        groups = [f"[metatrain.{kind}]\n{entry}\n" for kind in ("readers", "writers")]
        (info / "entry_points.txt").write_text("\n".join(groups))
        (tmp_path / f"{package}_rows.py").write_text(source)
    yield
    for package in ("blue", "green", "grey"):
        sys.modules.pop(f"{package}_rows", None)


def refusal(find, path, name=None):
    with pytest.raises(MetatrainError) as caught:
        find(path, name, "systems")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_suffix_that_two_readers_claim_needs_the_name_of_one(installed):
    assert refusal(readers.find, "data.rows") == (
        "systems: several readers claim '.rows': blue_rows, green_rows; name one as 'reader'."
    )
    assert type(readers.find("data.rows", "green_rows", "systems")).__module__ == "green_rows"


def test_a_suffix_that_two_writers_claim_is_refused(installed):
    assert refusal(writers.find, "data.rows").endswith("green_rows; choose another suffix.")


def test_a_broken_reader_harms_nobody_who_does_not_name_it(installed):
    assert type(readers.find("data.xyz", None, "systems")).__name__ == "ExtxyzReader"
    assert "cannot be imported" in refusal(readers.find, "data.xyz", "grey_rows")


def test_a_suffix_that_nobody_claims_tells_of_readers_that_are_broken(installed):
    message = refusal(readers.find, "data.grey")
    assert "none of the readers claims the suffix of 'data.grey'" in message
    assert "'grey_rows'" in message
    assert "No module named 'nowhere'" in message
