"""Checkpoints of any architecture: who wrote them, and what is in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from metatrain import checkpoint, published
from metatrain.checkpoint import RunRecord
from metatrain.errors import MetatrainError
from metatrain.plugins import Architecture, installed, is_installed, load_architecture
from metatrain.workflows.files import check_is_checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose architecture is installed.

    :param path: the file
    :param architecture: the one that wrote it
    :param run: the run that wrote it; ``None`` if that was a run of published metatrain
    """

    path: Path
    architecture: Architecture
    run: RunRecord | None

    @classmethod
    def of(cls, path: Path, trusted: str | None = None) -> "Checkpoint":
        """Find out who wrote a checkpoint; if that is not installed, says what to install.

        :param trusted: the ``module:Thing`` that the user names; a file alone must not choose
            what is imported
        """
        name, run = written_by(path)
        if name != trusted and not is_installed("architectures", name):
            raise MetatrainError(
                f"{path}: was written by {name!r}, which is not installed; to import it is to run "
                f"what it holds: if you trust it, say so: -a {name}"
            )
        if run is None:
            return cls(path, load_architecture(name, str(path)), run)
        try:
            return cls(path, _architecture_of(run, path), run)
        except MetatrainError as error:
            wanted = f"{run.architecture['package']}=={run.architecture['version']}"
            raise MetatrainError(
                f"{str(error).rstrip('.')}; the checkpoint was written by {wanted}: install that."
            ) from error

    def model(self) -> Any:
        """The model, ready to be used."""
        with checkpoint.opened_content(self.path) as content:
            return self._loaded(self.architecture.model_class, content)

    def trainer(self, train_hypers: Any) -> Any:
        """The trainer that goes on where the checkpoint was written.

        :param train_hypers: its options
        """
        with checkpoint.opened_content(self.path) as content:
            return self._loaded(self.architecture.trainer_class, content, train_hypers)

    def _loaded(self, loader: Any, *arguments: Any) -> Any:
        """What ``load_checkpoint`` gives; a failure tells of versions if they differ."""
        try:
            return loader.load_checkpoint(*arguments)
        except (MetatrainError, MemoryError):
            raise
        except Exception as error:
            wrote = self.run and self.run.architecture
            if not wrote or wrote["version"] == self.architecture.version:
                raise
            reason = " ".join(str(error).split())
            raise MetatrainError(
                f"{self.path}: written by {wrote['package']}=={wrote['version']}, and "
                f"{self.architecture.version}, which is installed, cannot read it "
                f"({type(error).__name__}: {reason}); install that."
            ) from error


def _architecture_of(run: RunRecord, path: Path) -> Architecture:
    """The architecture of a run, which has to come from the same package."""
    name, package = run.architecture["name"], run.architecture["package"]
    full_name = f"{package}:{name}"
    # another package may give the same name by now
    several = full_name in installed("architectures")
    found = load_architecture(full_name if several else name, str(path))
    if found.package != package:
        raise MetatrainError(f"{path}: {name!r} is here an architecture of {found.package!r}")
    return found


def written_by(path: Path) -> tuple[str, RunRecord | None]:
    """Name of the architecture that wrote a checkpoint, and the run, as in :class:`Checkpoint`."""
    check_is_checkpoint(path)
    if published.is_published(path):
        return published.architecture_of(path), None
    run = checkpoint.run_of(path)
    if run is None:
        # says what is wrong with what is no checkpoint at all
        checkpoint.load(path)
        raise MetatrainError(f"{path}: does not say which architecture wrote it.")
    _check_options(run, path)
    return run.architecture["name"], run


def _check_options(run: RunRecord, path: Path) -> None:
    """Refuse a record whose options are not the complete ones of a run."""
    try:
        options = OmegaConf.to_container(OmegaConf.create(run.options))
    except (OmegaConfBaseException, YAMLError):
        options = None
    sections = {"architecture", "training_set", "validation_set", "test_set", "seed"}
    if not isinstance(options, dict) or not sections <= options.keys():
        raise MetatrainError(
            f"{path}: is damaged; its record of the run's options is not complete."
        )
