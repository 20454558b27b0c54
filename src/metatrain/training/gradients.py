"""The heart of a training step: the loss of a batch, and its gradient."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metatrain.data.batches import Batch
from metatrain.training.step import Objective, Prediction, predict


class StepResult(NamedTuple):
    """What a step makes of a batch.

    :param loss: a number
    :param gradients: its derivatives by the trainable parameters
    :param predictions: what the errors are counted of
    """

    loss: Tensor
    gradients: Sequence[Tensor]
    predictions: dict[str, Prediction]


Step = Callable[[Batch], StepResult]


class LossOfBatch(torch.nn.Module):
    """A model with the loss that it is trained with.

    :param model: in training mode
    :param objective: the loss
    """

    def __init__(self, model: torch.nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Prediction]]:
        """The loss of a batch, and the predictions."""
        predictions = predict(self.model, batch.graph, self.objective.targets, is_training=True)
        return self.objective.loss(predictions, batch), predictions

    def differentiated(self, batch: Batch) -> StepResult:
        """The loss of a batch and its gradient, by autograd."""
        loss, predictions = self(batch)
        # Asked for the parameters alone, autograd leaves out what only leads back to the
        # pair vectors: the second derivatives of radial functions and spherical harmonics.
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(loss, trainable, materialize_grads=True)
        return StepResult(loss.detach(), gradients, predictions)
