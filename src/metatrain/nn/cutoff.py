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
    return half_cosine((distances - (cutoff - width)) / width)


def half_cosine(phase: Tensor) -> Tensor:
    """One where the phase is below zero, zero above one, a half cosine between.

    :param phase: (E,) where in the shell a pair is: (distance - inner radius) / width
    :return: (E,)
    """
    return 0.5 * (1.0 + torch.cos(math.pi * phase.clamp(0.0, 1.0)))


def bump(phase: Tensor) -> Tensor:
    """One where the phase is below zero, zero above one, and smooth to any order.

    f(s) = (1 + tanh(cot(pi s))) / 2

    :param phase: (E,) where in the shell a pair is: (distance - inner radius) / width
    :return: (E,)
    """
    # there tanh has long reached its limits, and the cotangent is still finite
    angle = math.pi * phase.clamp(1e-6, 1.0 - 1e-6)
    # 1 / tan(angle) has the same value, but a second derivative of huge terms in the middle
    return 0.5 * (1.0 + torch.tanh(torch.cos(angle) / torch.sin(angle)))
