from pathlib import Path

import pytest

from metatrain.data.source import DataSource, GradientSource, SystemsSource, TargetSource

FILES = Path(__file__).parent / "files"


@pytest.fixture
def files():
    return FILES


@pytest.fixture
def energy_source():
    """Builds a source with one energy target, whose gradients are given by their keys."""

    def build(path, *, key="energy", is_required=True, indices=None, systems=None, **gradients):
        path = str(path)
        target = TargetSource(
            path,
            None,
            key,
            quantity="energy",
            unit="eV",
            **{
                name: GradientSource(path, None, gradient_key, is_required)
                for name, gradient_key in gradients.items()
            },
        )
        return DataSource(
            "training_set[0]",
            SystemsSource(str(systems or path), None, "angstrom"),
            {"energy": target},
            indices,
        )

    return build


@pytest.fixture
def write_file(tmp_path):
    """Writes a text file and gives its path."""

    def write(text, name="systems.xyz"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
