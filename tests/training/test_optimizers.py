"""Optimizers do what torch's do."""

import pytest
import torch
from torch.testing import assert_close

from metatrain.training.optimizers import Adam, AdamW


def after_steps(optimizer, parameter, num_steps):
    for _ in range(num_steps):
        parameter.grad = parameter.detach() ** 3 - 1.0
        optimizer.step()
    return parameter.detach()


def new_parameter():
    return torch.nn.Parameter(torch.tensor([0.5, 2.0, -1.0]))


@pytest.mark.parametrize("plugin", [Adam, AdamW])
def test_steps_are_those_of_torch(plugin):
    ours, theirs = new_parameter(), new_parameter()
    of_torch = getattr(torch.optim, plugin.__name__)
    found = after_steps(plugin()([ours], 0.1, 0.01), ours, 5)
    optimizer = of_torch([theirs], lr=0.1, weight_decay=0.01, fused=True)
    assert_close(found, after_steps(optimizer, theirs, 5), rtol=0, atol=0)


def test_a_step_leaves_no_graph_behind():
    parameter = new_parameter()
    optimizer = Adam()([parameter], 0.1, 0.0)
    after_steps(optimizer, parameter, 1)
    assert parameter.is_leaf
    assert parameter.grad_fn is None


def test_state_that_is_loaded_goes_on():
    unbroken, broken = new_parameter(), new_parameter()
    expected = after_steps(Adam()([unbroken], 0.1, 0.0), unbroken, 4)
    before = Adam()([broken], 0.1, 0.0)
    after_steps(before, broken, 2)
    after = Adam()([broken], 0.1, 0.0)
    after.load_state_dict(before.state_dict())
    assert_close(after_steps(after, broken, 2), expected, rtol=0, atol=0)
