"""Splits of one data set into training, validation and test."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metatrain.errors import MetatrainError


class Split(NamedTuple):
    """Which systems belong to which part; ascending, disjoint, together all of them."""

    training: Tensor
    validation: Tensor
    test: Tensor


def split_randomly(num_systems: int, *, validation: float, test: float, seed: int) -> Split:
    """A random split with given fractions for validation and test.

    A part gets ``floor(fraction * num_systems)`` systems, but at least one if its fraction
    is not zero; training gets the rest, which must not be empty.

    :param num_systems: S
    :param validation: fraction of the systems, from 0 to below 1
    :param test: fraction of the systems, from 0 to below 1
    :param seed: seed of this split alone
    """
    for name, fraction in (("validation_set", validation), ("test_set", test)):
        if not 0 <= fraction < 1:
            raise MetatrainError(
                f"{name}: {fraction} is no fraction of the training set; "
                "expected at least 0 and less than 1."
            )
    num_validation = _size_of_part(num_systems, validation)
    num_test = _size_of_part(num_systems, test)
    num_training = num_systems - num_validation - num_test
    if num_training < 1:
        raise MetatrainError(
            f"training_set: of {num_systems} systems, {num_validation} go to validation "
            f"(fraction {validation:g}) and {num_test} to test (fraction {test:g}), which leaves "
            "nothing to train on; lower the fractions or give more systems."
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(num_systems))
    parts = order.split([num_training, num_validation, num_test])
    return Split(*(part.sort().values for part in parts))


def _size_of_part(num_systems: int, fraction: float) -> int:
    if fraction == 0:
        return 0
    # 0.29 * 100 is a little less than 29 in floating point
    return max(1, math.floor(fraction * num_systems + 1e-9))
