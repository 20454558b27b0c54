import torch

from metatrain.nn import fill_slots, neighborhoods

CENTERS = torch.tensor([0, 0, 2, 3, 3, 3])  # atom 1 has no neighbors


def test_each_pair_gets_a_slot_in_the_row_of_its_center():
    pairs = neighborhoods(CENTERS, torch.tensor([2, 0, 3, 1]))
    assert (pairs.num_rows, pairs.width) == (4, 3)
    assert pairs.slots.tolist() == [6, 7, 9, 3, 4, 5]


def test_sum_over_slots_is_the_sum_over_neighbors():
    values = torch.randn(6, 2)
    pairs = neighborhoods(CENTERS, torch.arange(4))
    filled = fill_slots(values, pairs.slots, pairs.num_rows * pairs.width).view(4, 3, 2)
    expected = torch.zeros(4, 2).index_add(0, CENTERS, values)
    torch.testing.assert_close(filled.sum(dim=1), expected)


def test_atoms_without_any_pair_have_no_slots():
    pairs = neighborhoods(CENTERS[:0], torch.arange(2))
    assert (pairs.num_rows, pairs.width, len(pairs.slots)) == (2, 0, 0)
    assert fill_slots(torch.zeros(0, 5), pairs.slots, 0).shape == (0, 5)
