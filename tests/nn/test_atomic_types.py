import pytest
import torch

from metatrain.nn import AtomicTypeIndex


def test_types_are_numbered_in_ascending_order():
    assert AtomicTypeIndex([1, 6, 8])(torch.tensor([8, 1, 6, 6])).tolist() == [2, 0, 1, 1]


def test_types_beyond_the_largest_known_are_refused():
    with pytest.raises((IndexError, RuntimeError), match="index out of range"):
        AtomicTypeIndex([1, 6, 8])(torch.tensor([79]))
