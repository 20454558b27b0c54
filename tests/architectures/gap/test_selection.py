"""Which environments become sparse points."""

import math

import torch

from architectures.gap.selection import farthest_points


def on_circle(*degrees):
    """Unit vectors at the given angles."""
    angles = torch.tensor([math.radians(angle) for angle in degrees], dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_each_point_is_the_farthest_from_those_before():
    (picked,) = farthest_points([on_circle(0, 10, 60, 90, 45)], 4)
    assert picked.tolist() == [0, 3, 4, 2]


def test_copies_are_not_picked_twice():
    (picked,) = farthest_points([on_circle(0, 90, 0, 90, 90)], 5)
    assert picked.tolist() == [0, 1]


def test_every_type_has_a_point_and_a_diverse_one_has_more():
    alike, diverse = on_circle(0, 1, 2, 3), on_circle(0, 30, 60, 90)
    picked = farthest_points([alike, diverse, torch.zeros(0, 2, dtype=torch.float64)], 5)
    assert [len(rows) for rows in picked] == [1, 4, 0]


def test_fewer_environments_than_points_are_all_picked():
    (picked,) = farthest_points([on_circle(0, 20, 70)], 500)
    assert sorted(picked.tolist()) == [0, 1, 2]
