import functools
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf

from metatrain import plugins
from metatrain.options import Options, parse
from metatrain.options.json_schema import file_schema

ENTRY_POINTS = """\
[metatrain.architectures]
toy = toy_architecture

[metatrain.readers]
plain = toy_architecture
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a data file, and the toy architecture as an installed package."""
    site = tmp_path / "site"
    info = site / "toy_package-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    work = tmp_path / "work"
    work.mkdir()
    (work / "water.xyz").write_text("1\n\nH 0 0 0\n")
    (work / "forces.xyz").write_text("1\n\nH 0 0 0\n")
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def schema(folder):
    """The JSON schema of options files for the toy architecture."""
    return _schema()


@functools.cache
def _schema() -> Draft202012Validator:
    return Draft202012Validator(file_schema([plugins.load_architecture("toy", "tests")]))


@pytest.fixture
def read(folder: Path, schema):
    """Options from the text of a file; an editor would take it, too."""

    def read_text(text: str, *overrides: str) -> Options:
        (folder / "options.yaml").write_text(text)
        options = parse("options.yaml", list(overrides))
        if not overrides:
            schema.validate(OmegaConf.to_container(OmegaConf.create(text)))
        return options

    return read_text
