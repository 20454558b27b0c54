import torch

from metatrain.nn import Grouped, group_sizes


def test_each_group_of_rows_is_treated_by_its_own_module():
    grouped = Grouped(torch.nn.Linear(2, 3) for _ in range(3))
    rows = torch.randn(4, 2)
    out = grouped(rows, [1, 0, 3])
    torch.testing.assert_close(out[:1], grouped.members[0](rows[:1]))
    torch.testing.assert_close(out[1:], grouped.members[2](rows[1:]))


def test_sizes_count_the_atoms_of_each_group():
    assert group_sizes(torch.tensor([2, 0, 2, 2]), 4) == [1, 0, 3, 0]


def test_scripted_is_the_same():
    grouped = Grouped(torch.nn.Linear(2, 3) for _ in range(2))
    rows = torch.randn(4, 2)
    torch.testing.assert_close(torch.jit.script(grouped)(rows, [3, 1]), grouped(rows, [3, 1]))
