"""Functions that let a pair fade out as its distance reaches the cutoff."""

import math

import torch
from torch import Tensor


def shifted_cosine(distances: Tensor, cutoff: float, width: float) -> Tensor:
    """Weight of a pair: one in the inner region, zero at the cutoff, a half cosine between.

    f(r) = (1 + cos(pi (r - cutoff + width) / width)) / 2 for cutoff - width <= r < cutoff,
    one below and zero beyond.

    :param distances: (E,) lengths of the pair vectors [length]
    :param cutoff: where the weight reaches zero [length]
    :param width: thickness of the shell in which the weight falls [length]
    :return: (E,)
    """
    phase = ((distances - (cutoff - width)) / width).clamp(0.0, 1.0)
    return 0.5 * (1.0 + torch.cos(math.pi * phase))
