"""Products of weights, multiplied once for a model whose weights stay as they are."""

from abc import abstractmethod

import torch


class Foldable(torch.nn.Module):
    """A module that multiplies weights with each other before it touches data.

    While the weights are trained, it has to do so in every call. An exported model does it once.
    """

    @abstractmethod
    def fold(self) -> None:
        """Keep the products in place of the weights; the module computes what it did before."""


def fold(module: torch.nn.Module) -> None:
    """Fold all that can be folded in a module, whose weights are not to be trained any more."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, Foldable):
                part.fold()
