"""When a loss that is not finite is noticed."""

import math

import pytest
import torch

from metatrain.training.loss_watch import LossWatch


def losses(device):
    return (
        LossWatch(device),
        torch.tensor(1.0, device=device),
        torch.tensor(math.inf, device=device),
    )


def test_on_the_cpu_it_is_noticed_at_once():
    watch, good, bad = losses(torch.device("cpu"))
    assert watch.found(1, good) is None
    assert watch.found(2, bad) == (2, math.inf)
    assert watch.rest() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_is_noticed_a_step_later_or_when_asked_for():
    watch, good, bad = losses(torch.device("cuda"))
    assert watch.found(1, bad) is None
    assert watch.found(2, good) == (1, math.inf)
    assert watch.found(3, bad) is None
    assert watch.rest() == (3, math.inf)
