import pytest
import torch

from metatrain.data.splits import split_randomly
from metatrain.errors import MetatrainError


def test_parts_are_disjoint_and_complete():
    split = split_randomly(103, validation=0.2, test=0.1, seed=3)
    assert [len(part) for part in split] == [73, 20, 10]
    assert torch.equal(torch.cat(list(split)).sort().values, torch.arange(103))


def test_a_seed_gives_the_same_split_and_another_seed_another():
    first, second, third = (
        split_randomly(50, validation=0.3, test=0.0, seed=seed).validation for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_fractions_are_exact_where_floating_point_is_not():
    assert len(split_randomly(100, validation=0.29, test=0.57, seed=0).test) == 57


def test_a_small_fraction_gives_one_system_and_none_gives_none():
    split = split_randomly(5, validation=0.01, test=0.0, seed=0)
    assert [len(part) for part in split] == [4, 1, 0]


def test_fractions_that_leave_nothing_to_train_on_are_refused_with_the_numbers():
    with pytest.raises(MetatrainError, match=r"of 2 systems, 1 go to validation.* and 1 to test"):
        split_randomly(2, validation=0.1, test=0.1, seed=0)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 50])
def test_what_is_no_fraction_is_refused(fraction):
    with pytest.raises(MetatrainError, match="test_set"):
        split_randomly(10, validation=0.1, test=fraction, seed=0)
