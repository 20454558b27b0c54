"""Constants that keep all digits of float64 in a model that is cast to float32 and back."""

import torch
from torch import Tensor


def exact_parts(numbers: Tensor) -> Tensor:
    """Float32 numbers that add up to ``numbers``, the largest first, in the default precision.

    A buffer of them is cast with its model without a loss. With rounded constants, a model that
    is trained in float32 would be another function in float64, and not rotation-invariant.

    :param numbers: float64, of any shape
    :return: (3, ...)
    """
    rest = numbers
    parts = []
    for _ in range(3):
        parts.append(rest.float())
        rest = rest - parts[-1]
    return torch.stack(parts).to(torch.get_default_dtype())


def exact(parts: Tensor) -> Tensor:
    """The numbers, as well as the precision of the parts holds them."""
    if parts.dtype == torch.float32:
        return parts[0]
    return parts.sum(dim=0)
