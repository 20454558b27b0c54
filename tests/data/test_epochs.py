"""Which systems go through a step together."""

import numpy as np
import pytest
import torch

from metatrain.data.epochs import BalancedBatches, EqualBatches

SIZES = np.minimum(np.random.default_rng(0).lognormal(3.2, 0.7, 2000).astype(int) + 1, 400)
SHARES = SIZES / 500
KINDS = [EqualBatches(50, 8), BalancedBatches(SHARES[:50])]


def systems_of(batches):
    return torch.cat(batches).sort().values.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_has_every_system_once_whatever_its_seed(kind):
    for batches in (kind.in_order(), kind.shuffled(1), kind.shuffled(2)):
        assert systems_of(batches) == list(range(50))


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_differ_and_a_seed_repeats_one(kind):
    first, again, second = ([batch.tolist() for batch in kind.shuffled(s)] for s in (1, 1, 2))
    assert first == again
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_seed_the_order_is_kept(kind):
    assert torch.equal(torch.cat(kind.in_order()), torch.arange(50))


def test_the_last_of_equal_batches_may_be_smaller():
    assert [len(batch) for batch in EqualBatches(10, 4).shuffled(7)] == [4, 4, 2]


@pytest.mark.parametrize("seed", range(3))
def test_balanced_batches_are_full_to_a_few_percent(seed):
    batches = BalancedBatches(SHARES).shuffled(seed)
    loads = [SIZES[batch].sum() for batch in batches]
    assert max(loads) <= 500
    assert min(loads) > 0.95 * 500


def test_all_epochs_have_the_number_of_batches_that_was_said_before():
    for sizes in (SHARES, np.arange(1, 41) / 60, np.full(500, 27 / 216), np.full(7, 0.6)):
        batches = BalancedBatches(sizes)
        assert {len(batches.shuffled(seed)) for seed in range(5)} == {batches.num_batches}
    assert BalancedBatches(np.full(500, 27 / 216)).num_batches == 63


def test_a_system_that_is_larger_than_a_batch_is_one_of_its_own():
    batches = BalancedBatches(np.array([0.2, 3.0, 0.2, 1.5]))
    assert sorted(map(sorted, map(torch.Tensor.tolist, batches.shuffled(0)))) == [[0, 2], [1], [3]]
    assert [batch.tolist() for batch in batches.in_order()] == [[0], [1], [2], [3]]
    assert BalancedBatches(np.array([2.0])).num_batches == 1


def test_a_full_batch_is_not_too_full_from_rounding():
    assert BalancedBatches(np.full(30, 0.1)).num_batches == 3
    assert len(BalancedBatches(np.full(30, 0.1)).in_order()) == 3


def test_other_systems_meet_in_each_epoch_though_they_are_packed_by_size():
    batches = BalancedBatches(np.linspace(0.05, 0.3, 60))
    first, second = ({frozenset(b.tolist()) for b in batches.shuffled(seed)} for seed in (0, 1))
    assert len(first & second) < len(first) / 2


@pytest.mark.parametrize("share", [1e-12, 1e-300])
def test_a_batch_may_be_much_larger_than_the_data(share):
    batches = BalancedBatches(np.full(5, share))
    assert batches.num_batches == 1
    assert sorted(torch.cat(batches.shuffled(0)).tolist()) == [0, 1, 2, 3, 4]
    assert len(batches.in_order()) == 1
