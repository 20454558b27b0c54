"""The compiled training step: forward, forces, loss and its gradient as one graph."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils import _pytree as pytree

from metatrain.data.batches import Batch, BatchColumns
from metatrain.log import duration, logger
from metatrain.training.gradients import LossOfBatch, Step, StepResult
from metatrain.training.hypers import GradientHypers
from metatrain.training.step import Prediction

LONG_RUN = 20_000
"""Steps from which ``auto`` compiles: to compile takes as long as some thousand of them."""
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-10, "tf32": 5e-3, "bf16": 2e-2}
"""How much compiled and uncompiled may differ, relative to the largest element of a tensor."""
NEGLIGIBLE = 1e-3
"""Part of the largest element of all gradients below which differences are mere rounding."""
NUM_SEARCHED = 1000
"""Systems among which those of the example are looked for."""


def step_of(
    loss: LossOfBatch, data: BatchColumns, hypers: GradientHypers, num_batches: int
) -> Step:
    """What gives loss and gradient of each batch, compiled if that is asked for and works.

    :param loss: the model with its loss, in training mode
    :param data: the training set
    :param hypers: the trainer's options
    :param num_batches: of an epoch
    """
    asked, weights = hypers.compile, next(loss.parameters())
    is_long = num_batches * hypers.num_epochs >= LONG_RUN and weights.device.type == "cpu"
    if asked == "off" or (asked == "auto" and not is_long):
        return loss.differentiated
    logger.info(
        "compiling the training step, as architecture.training.compile is %r; this takes a minute, "
        "or many with a large model, and a few seconds once it is known",
        asked,
    )
    begin = time.perf_counter()
    size = max(1, len(data) // num_batches)
    try:
        step = CompiledStep(loss, _example(data, size))
        tolerance = TOLERANCES.get(hypers.precision, TOLERANCES[weights.dtype])
        other = data.batch(torch.arange(len(data))[-max(1, size // 2) :])
        difference = step.checked(other, tolerance)
    except MemoryError:
        raise
    # a compiler raises whatever it likes
    except Exception as error:  # noqa: BLE001
        reason = " ".join(str(error).split()) or type(error).__name__
        logger.warning(
            "the training step is not compiled: %.200s; training goes on without", reason
        )
        return loss.differentiated
    logger.info(
        "compiled the training step in %s; it gives the same to %.0e",
        duration(time.perf_counter() - begin),
        difference,
    )
    return step


class CompiledStep:
    """Loss and gradient of a batch from one compiled graph; by autograd for unforeseen sizes.

    :param loss: the model with its loss, in training mode
    :param example: some batch
    """

    def __init__(self, loss: LossOfBatch, example: Batch) -> None:
        # this takes a second, for which only those wait who compile
        from metatrain.training.tracing import Compiled, check_compiler  # noqa: PLC0415

        check_compiler(example.graph.vectors.device)
        self._loss = loss
        self._example = example
        _, self._form_of_batch = pytree.tree_flatten(example)
        self._form_of_result: Any = None
        self._is_told = False
        self._tensors = dict(loss.named_parameters()) | dict(loss.named_buffers())
        self._compiled = Compiled(self._function, self._arguments(example), len(self._tensors))

    def __call__(self, batch: Batch) -> StepResult:
        """Loss, gradient and predictions."""
        result = self._by_compiled(batch)
        if result is not None:
            return result
        if not self._is_told:
            logger.info("for batches of some sizes the compiled step was not made: they go without")
            self._is_told = True
        return self._loss.differentiated(batch)

    def checked(self, other: Batch, tolerance: float) -> float:
        """The largest relative difference to what autograd gives, after a look that it is small.

        :param other: a batch of another size than the example
        """
        differences: list[float] = []
        for batch in (self._example, other):
            found = self._by_compiled(batch)
            if found is None:
                raise ValueError("it would be made for few sizes of batches alone")
            differences += _differences(found, self._loss.differentiated(batch))
        # what is not a number is not below anything
        wrong = [each for each in differences if not each <= tolerance]
        if wrong:
            raise ValueError(f"it would give other numbers, by {wrong[0]:.0e} of the largest")
        return max(differences)

    def _by_compiled(self, batch: Batch) -> StepResult | None:
        values = self._compiled(self._arguments(batch))
        if values is None:
            return None
        loss, gradients, predictions = pytree.tree_unflatten(values, self._form_of_result)
        return StepResult(
            loss, gradients, {name: Prediction(**fields) for name, fields in predictions.items()}
        )

    def _function(self, arguments: Sequence[Tensor]) -> list[Tensor]:
        """The step as a function of tensors alone."""
        named = {
            name: argument.detach().requires_grad_() if tensor.requires_grad else argument
            for (name, tensor), argument in zip(self._tensors.items(), arguments, strict=False)
        }
        batch = pytree.tree_unflatten(list(arguments[len(named) :]), self._form_of_batch)
        loss, predictions = functional_call(self._loss, named, (batch,))
        trained = [tensor for tensor in named.values() if tensor.requires_grad]
        gradients = torch.autograd.grad(loss, trained, materialize_grads=True)
        fields = {
            name: {field: value for field, value in vars(prediction).items() if value is not None}
            for name, prediction in predictions.items()
        }
        leaves, self._form_of_result = pytree.tree_flatten((loss, gradients, fields))
        return [leaf.detach() for leaf in leaves]

    def _arguments(self, batch: Batch) -> list[Tensor]:
        leaves, _ = pytree.tree_flatten(batch)
        return [*(tensor.detach() for tensor in self._tensors.values()), *leaves]


def _example(data: BatchColumns, size: int) -> Batch:
    """A batch of so many systems, with as many atomic types as they can have."""
    pool = data.batch(torch.arange(min(len(data), NUM_SEARCHED))).graph
    types = pool.types.unique()
    with_type = [int(pool.system[pool.types == each][0]) for each in types]
    # what does not fit is left out
    systems = dict.fromkeys([*with_type, *range(len(data))][: size + len(with_type)])
    return data.batch(torch.tensor(sorted(list(systems)[:size])))


def _differences(found: StepResult, expected: StepResult) -> list[float]:
    """How much each tensor of two results differs, relative to what is large in them."""
    largest = max(float(gradient.abs().max()) for gradient in expected.gradients)
    differences = [_relative(found.loss, expected.loss)]
    differences += [
        _relative(one, other, NEGLIGIBLE * largest)
        for one, other in zip(found.gradients, expected.gradients, strict=True)
    ]
    for name, prediction in expected.predictions.items():
        for field, value in vars(prediction).items():
            if value is not None:
                differences.append(_relative(getattr(found.predictions[name], field), value))
    return differences


def _relative(found: Tensor, expected: Tensor, least: float = 0.0) -> float:
    """The largest difference of two tensors, relative to their largest element."""
    difference = float((found - expected).detach().abs().max())
    return difference / max(float(expected.detach().abs().max()), least) if difference else 0.0
