"""Where a run begins that does not begin from nothing, and whether it may."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from metatrain.checkpoint import RunRecord
from metatrain.data.target import DatasetInfo
from metatrain.errors import MetatrainError
from metatrain.hypers import plain
from metatrain.hypers.check import defaults
from metatrain.log import logger
from metatrain.options import Options
from metatrain.training.hypers import FinetuneHypers, GradientHypers
from metatrain.workflows.checkpoints import Checkpoint, written_by
from metatrain.workflows.files import newest_checkpoint


@dataclass(frozen=True)
class Restart:
    """A run that goes on where a checkpoint was written.

    :param checkpoint: the checkpoint
    :param run: the run that wrote it
    :param options: its complete options
    """

    checkpoint: Checkpoint
    run: RunRecord
    options: dict[str, Any]

    @classmethod
    def of(cls, checkpoint: Checkpoint, options: Options) -> "Restart":
        """Check that the checkpoint belongs to the options."""
        assert checkpoint.run is not None
        path = checkpoint.path
        stored: Any = OmegaConf.to_container(OmegaConf.create(checkpoint.run.options))
        given = options.as_container()
        _check_same(
            given["architecture"]["model"],
            stored["architecture"]["model"],
            "architecture.model",
            f"in the run of --restart {path}; a restart needs the same model",
        )
        for name in ("training_set", "validation_set", "test_set"):
            _check_same(
                _without_paths(given[name]),
                _without_paths(stored[name]),
                name,
                f"in the run of --restart {path}; other data or another split need a new run",
            )
        return cls(checkpoint, checkpoint.run, stored)

    def parts(self, info: DatasetInfo, training: Any) -> tuple[Any, Any]:
        """Model and trainer.

        :param info: of the data
        :param training: options of the trainer
        """
        logger.info("going on from %s", self.checkpoint.path)
        model = _restarted(self.checkpoint.model(), info, self.checkpoint)
        return model, self.checkpoint.trainer(training)


@dataclass(frozen=True)
class FineTuning:
    """A new run that begins with the weights of a checkpoint.

    :param checkpoint: the checkpoint
    :param model: what is in it
    """

    checkpoint: Checkpoint
    model: Any

    @classmethod
    def of(cls, checkpoint: Checkpoint, options: Options) -> "FineTuning":
        """Load the model, and check that the options don't ask for another one."""
        model = checkpoint.model()
        schema = checkpoint.architecture.model_hypers
        if schema is not None and hasattr(model, "hypers"):
            default, found = _flat(defaults(schema)), _flat(plain(model.hypers))
            for key, asked in _flat(plain(options.architecture.model)).items():
                # what has its default value was probably not asked for
                if asked != default.get(key):
                    reason = (
                        f"in {checkpoint.path}; leave it out, for the checkpoint brings its own"
                    )
                    _check_option(asked, found.get(key), f"architecture.model{key}", reason)
        return cls(checkpoint, model)

    def completed(self, options: Options) -> Options:
        """The options with those of the model that is there, and where it comes from."""
        model = getattr(self.model, "hypers", options.architecture.model)
        training = options.architecture.training
        if isinstance(training, GradientHypers) and training.finetune is None:
            training = dataclasses.replace(
                training, finetune=FinetuneHypers(str(self.checkpoint.path))
            )
        architecture = dataclasses.replace(options.architecture, model=model, training=training)
        return dataclasses.replace(options, architecture=architecture)

    def parts(self, info: DatasetInfo, training: Any) -> tuple[Any, Any]:
        """Model and trainer, as in :meth:`Restart.parts`."""
        logger.info("beginning with the weights of %s", self.checkpoint.path)
        trainer_class = self.checkpoint.architecture.trainer_class
        return _restarted(self.model, info, self.checkpoint), trainer_class(training)


def _restarted(model: Any, info: DatasetInfo, checkpoint: Checkpoint) -> Any:
    """The model made ready for this data; a ``ValueError`` is how it refuses that."""
    try:
        return model.restart(info)
    except ValueError as error:
        raise MetatrainError(f"{checkpoint.path}: {error}") from error


def beginning(restart: str | None, options: Options) -> Restart | FineTuning | None:
    """Where a run begins; ``None`` if from nothing.

    :param restart: a checkpoint to go on from, or ``"auto"`` for the newest
    """
    # an architecture without Hypers takes a plain dictionary
    finetune = plain(options.architecture.training).get("finetune")
    read_from = finetune.get("read_from") if isinstance(finetune, dict) else None
    if restart is None:
        if read_from is None:
            return None
        return FineTuning.of(_checkpoint(Path(read_from), options, _FINE_TUNE), options)
    path = newest_checkpoint() if restart == "auto" else Path(restart)
    checkpoint = _checkpoint(path, options, "--restart")
    if checkpoint.run is None:
        logger.info(
            "%s is of published metatrain: its weights are the beginning of a new run", path
        )
        return FineTuning.of(checkpoint, options)
    return Restart.of(checkpoint, options)


_FINE_TUNE = "architecture.training.finetune.read_from"


def _checkpoint(path: Path, options: Options, where: str) -> Checkpoint:
    """The checkpoint at ``path``, if it is of the architecture that the options ask for."""
    name, _ = written_by(path)
    # either may say its package: 'package:name'
    if name.rpartition(":")[2] != options.architecture.name.rpartition(":")[2]:
        raise MetatrainError(
            f"{where} {path}: is a checkpoint of {name!r}, but the options ask for "
            f"{options.architecture.name!r}."
        )
    return Checkpoint.of(path)


def _check_same(now: Any, before: Any, where: str, reason: str) -> None:
    """Refuse options that differ from those of the run that is restarted."""
    before, now = _flat(before), _flat(now)
    for key in sorted(before.keys() | now.keys()):
        _check_option(now.get(key), before.get(key), f"{where}{key}", reason)


def _check_option(now: Any, before: Any, where: str, reason: str) -> None:
    if now != before:
        raise MetatrainError(f"{where}: is {now!r}, but {before!r} {reason}.")


def _without_paths(section: Any) -> Any:
    """The same section without the places of files: these may have moved."""
    if isinstance(section, list):
        return [_without_paths(item) for item in section]
    if not isinstance(section, dict):
        return section
    return {key: _without_paths(item) for key, item in section.items() if key != "read_from"}


def _flat(section: Any, key: str = "") -> dict[str, Any]:
    """A nested section as one level, with keys such as ``.soap.cutoff.radius``."""
    if not isinstance(section, dict):
        return {key: section}
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{key}.{name}")
    return flat
