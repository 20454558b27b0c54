"""The one loop over epochs and steps that serves every gradient-trained architecture."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metatrain.data.batches import Batch, BatchColumns
from metatrain.errors import Interrupted, MetatrainError
from metatrain.log import LiveLine, duration, live_line, logger
from metatrain.metrics import ErrorSums, MetricNames
from metatrain.model import GraphModel
from metatrain.seeds import stream_seed
from metatrain.training import report
from metatrain.training.augmentation import Augmentation
from metatrain.training.batching import batching
from metatrain.training.compiling import step_of
from metatrain.training.gradients import LossOfBatch, Step
from metatrain.training.hypers import GradientHypers
from metatrain.training.interruption import delayed_interruption
from metatrain.training.loggers import LogSession
from metatrain.training.loss_watch import LossWatch
from metatrain.training.precision import products_in
from metatrain.training.prefetch import prefetched
from metatrain.training.state import Average, Progress, Weights, copy_of
from metatrain.training.step import Objective, predict


@dataclass(frozen=True)
class Data:
    """What is learned from and what is compared with, ready to be sliced into batches."""

    training: BatchColumns
    validation: BatchColumns | None


class Loop:
    """Trains a model, epoch after epoch.

    Order and randomness of an epoch follow from the seed and the number of the epoch, so
    that a run that goes on from a checkpoint repeats what an unbroken run would have done.

    :param model: on its device, in its precision
    :param hypers: the trainer's options
    :param objective: the loss
    :param data: training and validation set with standardized labels
    :param optimizer: of the model's trainable parameters
    :param scheduler: the schedule plug-in
    """

    def __init__(
        self,
        model: GraphModel,
        hypers: GradientHypers,
        *,
        objective: Objective,
        data: Data,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
    ) -> None:
        self.model = model
        self.hypers = hypers
        self.objective = objective
        self.data = data
        self.optimizer = optimizer
        self.loss = LossOfBatch(model, objective)
        self.step: Step = self.loss.differentiated
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.batching = batching(data.training, hypers.batch_size)
        self.validation_batches = (
            batching(data.validation, hypers.batch_size).in_order() if data.validation else []
        )
        self.steps_per_epoch = self.batching.num_batches
        num_steps = self.steps_per_epoch * hypers.num_epochs
        self.warmup_steps = int(hypers.warmup_fraction * num_steps)
        self.follows_validation = getattr(scheduler, "follows_validation", False)
        self.scheduler = scheduler(optimizer, num_steps - self.warmup_steps)
        is_turning = hypers.augmentation
        if is_turning is None:
            is_turning = not model.is_rotation_invariant
        self.augmentation = Augmentation(objective.targets) if is_turning else None
        self.average = None if hypers.ema_decay is None else Average(model, hypers.ema_decay)
        self.progress = Progress()
        self.watch = LossWatch(self.parameters[0].device)
        self.best_weights: Weights | None = None
        self.names = MetricNames.of(model.dataset_info)
        # the hub fills in the seed; elsewhere torch's own does
        self.seed = torch.initial_seed() if hypers.seed is None else hypers.seed
        self.random_state = torch.get_rng_state()
        self.last_saved: Path | None = None
        # of the last step
        self.learning_rate = hypers.learning_rate

    def run(self, checkpoint_dir: Path, save: Callable[[Path], None], log: LogSession) -> None:
        """Train to the last epoch, or until stopped early or by a signal.

        :param checkpoint_dir: where ``last.ckpt`` and ``best.ckpt`` go
        :param save: writes a checkpoint
        :param log: takes the metrics of each epoch
        :raises Interrupted: after a signal, when the state is saved
        """
        last = checkpoint_dir / "last.ckpt"
        for epoch, metrics in enumerate(self.progress.history, start=1):
            log.log(epoch, metrics)
        if self.progress.epoch < self.hypers.num_epochs:
            self._compile()
            logger.info("errors are RMSE%s", " (MAE)" if self.hypers.log_mae else "")
        if self.best_weights is not None:
            save(checkpoint_dir / "best.ckpt")
        clock = _Clock(self.hypers.num_epochs - self.progress.epoch)
        with delayed_interruption() as signal_received, live_line() as live:
            while self.progress.epoch < self.hypers.num_epochs and not self.is_stopped_early:
                for _ in self._training_steps(live, clock):
                    number = signal_received()
                    if number is not None:
                        self._check(self.watch.rest())
                        self.random_state = torch.get_rng_state()
                        save(last)
                        raise Interrupted(number, last)
                is_best = self._finish_epoch(log, clock)
                is_last = self.progress.epoch == self.hypers.num_epochs or self.is_stopped_early
                if is_last or self.progress.epoch % self.hypers.checkpoint_interval == 0:
                    save(last)
                    self.last_saved = last
                if is_best:
                    save(checkpoint_dir / "best.ckpt")
                number = signal_received()
                if number is not None:
                    save(last)
                    raise Interrupted(number, last)

    def _compile(self) -> None:
        """Compile the step, if that is asked for."""
        self.model.train()
        with products_in(self.hypers.precision):
            self.step = step_of(self.loss, self.data.training, self.hypers, self.steps_per_epoch)

    @property
    def is_stopped_early(self) -> bool:
        """Whether the validation has not improved for as long as the user wants to wait."""
        patience = self.hypers.early_stopping_patience
        waited = self.progress.epoch - self.progress.best_epoch
        return patience is not None and waited >= patience

    def _training_steps(self, live: LiveLine, clock: "_Clock") -> Iterator[None]:
        """Run the rest of the current epoch, giving way after every step but the last."""
        progress = self.progress
        self.model.train()
        if progress.step == 0:
            progress.begin_epoch()
            torch.manual_seed(stream_seed(self.seed, "training", progress.epoch))
        else:
            torch.set_rng_state(self.random_state)
        batches = self.batching.shuffled(stream_seed(self.seed, "order", progress.epoch))
        rest = batches[progress.step :]
        for batch in prefetched(self.data.training.batch, rest, self.hypers.num_workers or 0):
            self._training_step(batch)
            live.show(self._live_text(clock))
            if progress.step < len(batches):
                yield

    def _training_step(self, batch: Batch) -> None:
        if self.augmentation is not None:
            batch = self.augmentation(batch)
        with products_in(self.hypers.precision):
            loss, gradients, predictions = self.step(batch)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        if self.hypers.grad_clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.hypers.grad_clip_norm)
        self._check(self.watch.found(self.progress.step + 1, loss))
        with self._warmed_up():
            self.optimizer.step()
        if self._global_step >= self.warmup_steps and not self.follows_validation:
            self.scheduler.step()
        if self.average is not None:
            self.average.update()
        self.objective.add_errors(self.progress.errors, predictions, batch)
        num_systems = batch.graph.cells.shape[0]
        self.progress.loss = self.progress.loss + loss.double() * num_systems
        self.progress.num_systems += num_systems
        self.progress.step += 1

    def _check(self, not_finite: tuple[int, float] | None) -> None:
        """Stop the run at a step whose loss is not finite."""
        if not_finite is not None:
            step, value = not_finite
            is_first = step == 1 and self.progress.epoch == 0
            raise self._diverged(f"step {step}: the loss is {value}", is_first=is_first)

    def _diverged(self, what: str, *, is_first: bool = False) -> MetatrainError:
        if is_first:
            return MetatrainError(
                f"epoch 1, {what} before any weight was changed: the model itself gives what is "
                "not finite for some training system, or a label is very large."
            )
        saved = "nothing was saved yet"
        if self.last_saved is not None:
            saved = f"{self.last_saved} holds the last good state"
        return MetatrainError(
            f"epoch {self.progress.epoch + 1}, {what}; a smaller "
            f"architecture.training.learning_rate or a grad_clip_norm may help; {saved}."
        )

    @property
    def _global_step(self) -> int:
        return self.progress.epoch * self.steps_per_epoch + self.progress.step

    @contextmanager
    def _warmed_up(self) -> Iterator[None]:
        """Within this context the learning rate is what warm-up leaves of it."""
        scheduled = [group["lr"] for group in self.optimizer.param_groups]
        factor = min(1.0, (self._global_step + 1) / (self.warmup_steps + 1))
        for group in self.optimizer.param_groups:
            group["lr"] *= factor
        self.learning_rate = self.optimizer.param_groups[0]["lr"]
        yield
        for group, rate in zip(self.optimizer.param_groups, scheduled, strict=True):
            group["lr"] = rate

    def _finish_epoch(self, log: LogSession, clock: "_Clock") -> bool:
        """Validate and log; tell whether the epoch is the best so far."""
        progress = self.progress
        self._check(self.watch.rest())
        # a loss shows what the steps before it did: the last step of an epoch has none after
        # it, and its weights would replace the last good ones
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
            raise self._diverged("the weights are not finite after the last step")
        progress.epoch += 1
        progress.step = 0
        self.random_state = torch.get_rng_state()
        metrics = {"learning rate": self.learning_rate}
        metrics["training loss"] = float(progress.loss) / progress.num_systems
        metrics |= self.names.metrics("training", progress.errors)
        is_best = False
        if self.data.validation is not None:
            loss, errors = self._validate(self.data.validation)
            metrics["validation loss"] = loss
            metrics |= self.names.metrics("validation", errors)
            metric = report.best_metric(self.hypers.best_model_metric, loss, errors)
            if self.follows_validation:
                self.scheduler.step(metric)
            if metric < progress.best_metric:
                is_best = True
                progress.best_metric, progress.best_epoch = metric, progress.epoch
                self.best_weights = copy_of(self.usable_weights())
        progress.history.append(metrics)
        log.log(progress.epoch, metrics)
        clock.tick()
        self._log_line(metrics, clock)
        return is_best

    def _log_line(self, metrics: dict[str, float], clock: "_Clock") -> None:
        epoch, num_epochs = self.progress.epoch, self.hypers.num_epochs
        is_end = epoch in (1, num_epochs) or self.is_stopped_early
        if is_end or epoch % self.hypers.log_interval == 0:
            text = report.line(epoch, num_epochs, metrics, show_mae=self.hypers.log_mae)
            logger.info("%s | %s", text, clock.text())

    def _live_text(self, clock: "_Clock") -> str:
        progress = self.progress
        fraction = progress.step / self.steps_per_epoch
        return (
            f"epoch {progress.epoch + 1}/{self.hypers.num_epochs}, "
            f"step {progress.step}/{self.steps_per_epoch}, {clock.text(fraction)}"
        )

    def _validate(self, data: BatchColumns) -> tuple[float, ErrorSums]:
        """Loss and errors of the weights that would be kept."""
        errors, total = ErrorSums(), 0.0
        with self._weights_in_model(self.usable_weights()):
            self.model.eval()
            for batch in map(data.batch, self.validation_batches):
                predictions = predict(
                    self.model, batch.graph, self.objective.targets, is_training=False
                )
                loss = self.objective.loss(predictions, batch)
                total += loss.item() * batch.graph.cells.shape[0]
                self.objective.add_errors(errors, predictions, batch)
        return total / len(data), errors

    def usable_weights(self) -> Weights:
        """The current weights; with a running average, that."""
        weights = self.model.state_dict()
        return weights if self.average is None else weights | self.average.values

    @contextmanager
    def _weights_in_model(self, weights: Weights) -> Iterator[None]:
        if self.average is None:
            yield
            return
        raw = copy_of(self.model.state_dict())
        self.model.load_state_dict(weights)
        try:
            yield
        finally:
            self.model.load_state_dict(raw)

    def as_container(self) -> dict[str, Any]:
        """All that :meth:`restore` needs."""
        return {
            "weights": _on_cpu(self.model.state_dict()),
            "average": None if self.average is None else _on_cpu(self.average.values),
            "best_weights": None if self.best_weights is None else _on_cpu(self.best_weights),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "random_state": self.random_state,
            "progress": self.progress.as_container(),
        }

    def restore(self, container: dict[str, Any], learning_rate: float) -> None:
        """Go on where :meth:`as_container` was called.

        :param container: what it gave
        :param learning_rate: the option of that run; options of this one take effect
        """
        device = self.parameters[0].device
        self.model.load_state_dict(container["weights"])
        if self.average is not None:
            self.average.load(container["average"] or container["weights"])
        best = container["best_weights"]
        self.best_weights = best and {name: value.to(device) for name, value in best.items()}
        fresh = [
            {name: value for name, value in group.items() if name not in ("params", "lr")}
            for group in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(container["optimizer"])
        self.scheduler.load_state_dict(container["scheduler"])
        for group, options in zip(self.optimizer.param_groups, fresh, strict=True):
            group.update(options)
            group["lr"] *= self.hypers.learning_rate / learning_rate
        if hasattr(self.scheduler, "base_lrs"):
            self.scheduler.base_lrs = [g["initial_lr"] for g in self.optimizer.param_groups]
        self.random_state = container["random_state"]
        self.progress = Progress.from_container(container["progress"], device)


def _on_cpu(weights: dict[str, Tensor]) -> Weights:
    return {name: value.detach().cpu() for name, value in weights.items()}


class _Clock:
    """Time per epoch and time left."""

    def __init__(self, num_epochs: int) -> None:
        self.num_epochs = num_epochs
        self.finished = 0
        self.start = self.epoch_start = time.perf_counter()
        self.last_epoch = math.nan

    def tick(self) -> None:
        """An epoch has ended."""
        now = time.perf_counter()
        self.last_epoch = now - self.epoch_start
        self.epoch_start = now
        self.finished += 1

    def text(self, fraction: float = 0.0) -> str:
        """Such as ``1.4 s/epoch, 2 min 05 s left``.

        :param fraction: how much of the running epoch is done
        """
        done = self.finished + fraction
        per_epoch = (time.perf_counter() - self.start) / done
        left = (self.num_epochs - done) * per_epoch
        shown = per_epoch if math.isnan(self.last_epoch) else self.last_epoch
        return f"{duration(shown)}/epoch, {duration(left)} left"
