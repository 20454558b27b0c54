"""Where a run begins that does not begin from nothing, and whether it may."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from metatrain.checkpoint import RunRecord
from metatrain.data.target import DatasetInfo
from metatrain.errors import MetatrainError
from metatrain.hypers import plain, restored
from metatrain.log import logger
from metatrain.options import Options
from metatrain.training.hypers import FinetuneHypers, GradientHypers
from metatrain.workflows.checkpoints import Checkpoint, written_by
from metatrain.workflows.files import is_same_name, newest_checkpoint


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
        given, before = options.as_container(), stored["architecture"]
        reason = f"in the run of --restart {path}; a restart needs the same model"
        if before["training"].get("finetune") is None:
            _check_same(given["architecture"]["model"], before["model"], _MODEL, reason)
        else:
            _check_given(options, before["model"], reason)
        for name in ("training_set", "validation_set", "test_set"):
            _check_same(
                _without_paths(given[name]),
                _without_paths(stored[name]),
                name,
                f"in the run of --restart {path}; other data or another split need a new run",
            )
        return cls(checkpoint, checkpoint.run, stored)

    def completed(self, options: Options) -> Options:
        """The options with those of the model that the run began with."""
        model = self.options["architecture"]["model"]
        schema = self.checkpoint.architecture.model_hypers
        return _with(options, model=restored(schema, model))

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
        reason = f"in {checkpoint.path}; leave it out, for the checkpoint brings its own"
        _check_given(options, plain(_hypers_of(model, checkpoint, options)), reason)
        return cls(checkpoint, model)

    def completed(self, options: Options) -> Options:
        """The options with those of the model that is there, and where it comes from."""
        model = _hypers_of(self.model, self.checkpoint, options)
        training = options.architecture.training
        if isinstance(training, GradientHypers) and training.finetune is None:
            training = dataclasses.replace(
                training, finetune=FinetuneHypers(str(self.checkpoint.path))
            )
        return _with(options, model=model, training=training)

    def parts(self, info: DatasetInfo, training: Any) -> tuple[Any, Any]:
        """Model and trainer, as in :meth:`Restart.parts`."""
        logger.info("beginning with the weights of %s", self.checkpoint.path)
        trainer_class = self.checkpoint.architecture.trainer_class
        return _restarted(self.model, info, self.checkpoint), trainer_class(training)


def _hypers_of(model: Any, checkpoint: Checkpoint, options: Options) -> Any:
    """The options of a model, where it has some of the kind that its architecture declares."""
    schema = checkpoint.architecture.model_hypers
    found = getattr(model, "hypers", None)
    is_known = schema is not None and isinstance(found, schema)
    return found if is_known else options.architecture.model


def _with(options: Options, **changes: Any) -> Options:
    """The options with other ones of model or trainer."""
    return dataclasses.replace(
        options, architecture=dataclasses.replace(options.architecture, **changes)
    )


def _check_given(options: Options, before: dict[str, Any], reason: str) -> None:
    """Refuse those options of the model that the file gives and that the model does not have."""
    now, before = _flat(plain(options.architecture.model)), _flat(before)
    for key in _flat(plain(options.architecture.given_model)):
        _check_option(now.get(key), before.get(key), f"{_MODEL}{key}", reason)


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
    path = newest_checkpoint(options.architecture.name) if restart == "auto" else Path(restart)
    checkpoint = _checkpoint(path, options, "--restart")
    if checkpoint.run is None:
        logger.info(
            "%s is of published metatrain: its weights are the beginning of a new run", path
        )
        return FineTuning.of(checkpoint, options)
    return Restart.of(checkpoint, options)


_MODEL = "architecture.model"
_FINE_TUNE = "architecture.training.finetune.read_from"


def _checkpoint(path: Path, options: Options, where: str) -> Checkpoint:
    """The checkpoint at ``path``, if it is of the architecture that the options ask for."""
    name, _ = written_by(path)
    if not is_same_name(name, options.architecture.name):
        raise MetatrainError(
            f"{where} {path}: is a checkpoint of {name!r}, but the options ask for "
            f"{options.architecture.name!r}."
        )
    return Checkpoint.of(path, trusted=options.architecture.name)


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
