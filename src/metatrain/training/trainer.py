"""The gradient trainer: one for every differentiable architecture."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from metatrain import checkpoint, plugins
from metatrain.data.dataset import Dataset
from metatrain.data.target import Target
from metatrain.errors import MetatrainError, did_you_mean
from metatrain.hypers import plain, with_options
from metatrain.log import logger
from metatrain.losses import expand
from metatrain.model import GraphModel
from metatrain.training.batching import tell_of_sizes
from metatrain.training.hypers import GradientHypers
from metatrain.training.learnable import Learnable
from metatrain.training.loggers import LogSession
from metatrain.training.loop import Data, Loop
from metatrain.training.memory import keep_freed_memory
from metatrain.training.precision import check_precision, tell_of_precision
from metatrain.training.scripting import check_scriptable, check_values
from metatrain.training.standardizing import standardization_for
from metatrain.training.step import Objective

CHECKPOINT_VERSION = 1


class GradientTrainer:
    """Fits the weights of a :class:`GraphModel` by gradient descent.

    Energies per atom, forces and stress enter the loss. Baseline and scale are fitted
    before the first step.

    :param train_hypers: the options under ``architecture.training``
    """

    Hypers: ClassVar[type] = GradientHypers

    def __init__(self, train_hypers: GradientHypers) -> None:
        self.hypers = train_hypers
        self._saved: dict[str, Any] | None = None
        self._content: dict[str, Any] = {}
        self._model: GraphModel | None = None
        self._loop: Loop | None = None

    @classmethod
    def complete_hypers(
        cls, hypers: GradientHypers, targets: Mapping[str, Target]
    ) -> GradientHypers:
        """The options with the loss of every target written out, and all names looked up."""
        terms = {name: term.as_container() for name, term in expand(hypers.loss, targets).items()}
        _build("optimizers", hypers.optimizer, "optimizer")
        _build("schedulers", hypers.scheduler, "scheduler")
        for logger_asked in hypers.loggers:
            _build("loggers", logger_asked, "loggers")
        if isinstance(hypers.atomic_baseline, Mapping):
            check_targets(hypers.atomic_baseline, targets, "atomic_baseline")
            _check_baselines(hypers.atomic_baseline, targets)
        check_targets(hypers.fixed_scaling_weights, targets, "fixed_scaling_weights")
        check_targets(hypers.per_structure_targets, targets, "per_structure_targets")
        for name in hypers.per_structure_targets:
            if not targets[name].is_extensive:
                raise MetatrainError(
                    f"architecture.training.per_structure_targets.{name}: has no sum over the "
                    "atoms of a structure; remove it."
                )
        return dataclasses.replace(hypers, loss=terms)

    def train(
        self,
        model: GraphModel,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
        checkpoint_dir: Path,
    ) -> None:
        """Train ``model`` in place; it is left with the best weights.

        :param model: a new model, or that of the checkpoint this trainer was loaded from
        :param devices: the first one is used
        :param train_datasets: learned from, together
        :param val_datasets: compared with, together; without any the last weights are kept
        :param checkpoint_dir: gets ``last.ckpt``, ``best.ckpt``, and what loggers write
        """
        val_datasets = [dataset for dataset in val_datasets if len(dataset)]
        if not val_datasets:
            self._check_that_nothing_needs_validation()
        check_scriptable(model)
        check_precision(self.hypers.precision, devices[0], train_datasets[0].dtype)
        tell_of_precision(self.hypers.precision)
        training = Learnable.of(train_datasets, model)
        if len(training.pairs.centers) == 0:
            logger.warning("no training system has two atoms within the cutoff, %s", model.cutoff)
        model.to(device=devices[0], dtype=train_datasets[0].dtype)
        keep_freed_memory()
        if self._saved is None:
            model.standardization = standardization_for(model, training, self.hypers)
            model.untrained_targets = frozenset()
        data = Data(
            training.batches(model, devices[0]),
            Learnable.of(val_datasets, model).batches(model, devices[0]) if val_datasets else None,
        )
        check_values(model, data.training.batch(torch.arange(1)).graph)
        self._loop = self._new_loop(model, devices[0], data)
        tell_of_sizes(data.training, self.hypers.batch_size, self._loop.steps_per_epoch)
        if self._saved is not None:
            self._check_that_it_can_go_on(self._saved)
            self._loop.restore(self._saved, self._saved["hypers"]["learning_rate"])
        log = _Loggers(self.hypers.loggers, checkpoint_dir)
        try:
            self._loop.run(checkpoint_dir, self.save_checkpoint, log)
        finally:
            log.close()
        self._finish(model)

    def _check_that_nothing_needs_validation(self) -> None:
        if self.hypers.early_stopping_patience is not None:
            raise MetatrainError(
                "architecture.training.early_stopping_patience: early stopping needs a "
                "validation set; add one or remove the option."
            )
        scheduler = _build("schedulers", self.hypers.scheduler, "scheduler")
        if getattr(scheduler, "follows_validation", False):
            raise MetatrainError(
                f"architecture.training.scheduler: {self.hypers.scheduler!r} follows the errors "
                "of a validation set; add one or take another schedule, such as 'cosine'."
            )

    def _check_that_it_can_go_on(self, saved: dict[str, Any]) -> None:
        optimizers = saved["hypers"]["optimizer"], self.hypers.optimizer
        schedulers = saved["hypers"]["scheduler"], self.hypers.scheduler
        # an optimizer's state does not depend on its options; a schedule's may
        for option, before, now in (
            ("optimizer", *map(_name, optimizers)),
            ("scheduler", *schedulers),
        ):
            if before != now:
                raise MetatrainError(
                    f"architecture.training.{option}: is {now!r}, but the checkpoint holds the "
                    f"state of {before!r}; restart with that, or start a new run."
                )
        before, now = saved["hypers"]["batch_size"], plain(self.hypers.batch_size)
        if saved["progress"]["step"] and before != now:
            raise MetatrainError(
                f"architecture.training.batch_size: is {now}, but the checkpoint stands in the "
                f"middle of an epoch with batches of {before}; restart with {before}, or from "
                "best.ckpt."
            )

    def _new_loop(self, model: GraphModel, device: torch.device, data: Data) -> Loop:
        targets = model.dataset_info.targets
        objective = Objective(
            targets,
            expand(self.hypers.loss, targets),
            model.standardization.scales_on(device, model.dtype),
            frozenset(self.hypers.per_structure_targets),
        )
        build_optimizer = _build("optimizers", self.hypers.optimizer, "optimizer")
        trainable = [p for p in model.parameters() if p.requires_grad]
        self._model = model
        return Loop(
            model,
            self.hypers,
            objective=objective,
            data=data,
            optimizer=build_optimizer(
                trainable, self.hypers.learning_rate, self.hypers.weight_decay
            ),
            scheduler=_build("schedulers", self.hypers.scheduler, "scheduler"),
        )

    def _finish(self, model: GraphModel) -> None:
        """Leave the best weights in the model, and remember the last ones for checkpoints."""
        assert self._loop is not None
        progress = self._loop.progress
        self._content = self._loop.as_container()
        self._content["weights"] = {k: v.clone() for k, v in self._content["weights"].items()}
        if self._loop.is_stopped_early:
            logger.info("stopped early: no improvement since epoch %d", progress.best_epoch)
        if self._loop.best_weights is not None:
            logger.info("keeping the weights of epoch %d, the best", progress.best_epoch)
            model.load_state_dict(self._loop.best_weights)
        else:
            has_validation = self._loop.data.validation is not None
            why = (
                "the validation tells no best one"
                if has_validation
                else "there is no validation set"
            )
            logger.info("%s: keeping the weights of the last epoch", why)
            model.load_state_dict(self._loop.usable_weights())
        model.eval()

    def save_checkpoint(self, path: Path) -> None:
        """Write the model with its best weights, and all that is needed to go on."""
        assert self._loop is not None
        assert self._model is not None
        state = self._content or self._loop.as_container()
        model = self._model.as_container()
        best = self._loop.best_weights or self._loop.usable_weights()
        model["weights"] = {name: value.detach().cpu() for name, value in best.items()}
        trainer = {"version": CHECKPOINT_VERSION, "hypers": plain(self.hypers)}
        checkpoint.save(path, {"model": model, "trainer": trainer | state})

    @classmethod
    def load_checkpoint(cls, path: Path, train_hypers: GradientHypers) -> Self:
        """A trainer that goes on where the checkpoint was written."""
        try:
            content = checkpoint.load(path)["trainer"]
            version = int(content["version"])
        except (KeyError, TypeError, ValueError) as error:
            raise MetatrainError(f"{path}: has no state of a trainer to go on from.") from error
        if version > CHECKPOINT_VERSION:
            raise MetatrainError(
                f"{path}: has version {version} of the trainer's state, newer than "
                f"{CHECKPOINT_VERSION}; install the metatrain that wrote it."
            )
        trainer = cls(train_hypers)
        trainer._saved = content
        return trainer


class _Loggers:
    """Several loggers as one."""

    def __init__(self, asked: list[Any], directory: Path) -> None:
        self.sessions: list[LogSession] = [
            _build("loggers", one, "loggers")(directory) for one in asked
        ]

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Hand the metrics on."""
        for session in self.sessions:
            session.log(step, metrics)

    def close(self) -> None:
        """Close all."""
        for session in self.sessions:
            session.close()


def _name(asked: Any) -> Any:
    """The name in what an option asks for."""
    return asked.get("type") if isinstance(asked, Mapping) else asked


def _build(kind: str, asked: Any, option: str) -> Any:
    """The plug-in that an option asks for: a name, or ``{type: NAME}`` with options beside."""
    where = f"architecture.training.{option}"
    given = {"type": asked} if isinstance(asked, str) else asked
    if not isinstance(given, Mapping) or "type" not in given:
        raise MetatrainError(f"{where}: found {asked!r}, expected a name or {{type: NAME, ...}}.")
    options = dict(given)
    plugin = plugins.load(kind, options.pop("type"), where)
    return with_options(plugin, options, where)


def _check_baselines(named: Any, targets: Mapping[str, Target]) -> None:
    for name in named:
        if not targets[name].is_invariant.any():
            raise MetatrainError(
                f"architecture.training.atomic_baseline.{name}: its values turn with the system, "
                "which a value per atomic type cannot; remove it."
            )


def check_targets(named: Any, targets: Mapping[str, Target], option: str) -> None:
    """Refuse an option of the trainer that names a target there is not."""
    for name in named:
        if name not in targets:
            raise MetatrainError(
                f"architecture.training.{option}.{name}: no such target"
                f"{did_you_mean(str(name), targets) or ';'} the training set has: {', '.join(targets)}."
            )
