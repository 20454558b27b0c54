"""A look at each loss whether it is finite."""

import math

import torch
from torch import Tensor


class LossWatch:
    """Finds the first loss that is not finite.

    On a GPU a loss is looked at when the next one is there, which nothing has to wait for.

    :param device: where losses are
    """

    def __init__(self, device: torch.device) -> None:
        self._is_late = device.type == "cuda"
        self._waiting: list[tuple[int, Tensor]] = []
        self._copied: torch.cuda.Event | None = None

    def found(self, step: int, loss: Tensor) -> tuple[int, float] | None:
        """The step and the loss that is not finite, if it is this or an earlier one.

        :param step: the number of the step
        """
        if not self._is_late:
            self._waiting.append((step, loss))
            return self.rest()
        earlier = self.rest()
        copy = torch.empty_like(loss, device="cpu", pin_memory=True)
        copy.copy_(loss, non_blocking=True)
        self._copied = torch.cuda.Event()
        self._copied.record()
        self._waiting.append((step, copy))
        return earlier

    def rest(self) -> tuple[int, float] | None:
        """The same for what was not looked at yet."""
        if self._copied is not None:
            self._copied.synchronize()
            self._copied = None
        values = [(step, loss.item()) for step, loss in self._waiting]
        self._waiting.clear()
        return next((each for each in values if not math.isfinite(each[1])), None)
