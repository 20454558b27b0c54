"""What tests of the whole share: the command, and one finished run."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from metatrain.export.process import FreshProcess
from runs import Run, ethanol_file, options, run_mtt, write_options

# Systems of tests are tiny: threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Signals act as usual, even where whoever started the tests ignores them."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def process() -> Iterator[FreshProcess]:
    """A process in which one exported file can be proven."""
    with FreshProcess() as process:
        yield process


@pytest.fixture
def mtt(tmp_path: Path) -> Run:
    """The command, run in the test's own folder."""
    return lambda *words: run_mtt(*words, folder=tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``mtt train`` has run: ``model.pt``, ``model.ckpt``, ``outputs/``."""
    folder = tmp_path_factory.mktemp("finished")
    data = ethanol_file(folder / "ethanol.xyz", 20)
    write_options(folder / "options.yaml", options(data))
    done = run_mtt("train", "options.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder
