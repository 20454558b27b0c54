"""Targets: one flat row of values inside, blocks with components at the borders."""

import pytest
import torch
from metatensor.torch import Labels, TensorMap

from metatrain.data.target import DatasetInfo, Target
from tensor_model import DIPOLE, MOMENTS, SHIELDING, TENSORS

CHARGE = Target("mtt::charge", sample_kind="atom", num_properties=2)


def tensor_map(target, num_samples=3):
    """Values that count up, and the same as a ``TensorMap``."""
    values = torch.arange(num_samples * target.num_values).double().reshape(num_samples, -1)
    width = len(target.sample_names)
    samples = Labels(target.sample_names, torch.arange(num_samples).repeat(width, 1).T)
    return values, TensorMap(target.keys, target.tensor_blocks(values, samples))


@pytest.mark.parametrize(
    ("target", "shapes", "components"),
    [
        (CHARGE, [(3, 2)], []),
        (DIPOLE, [(3, 3, 1)], ["xyz"]),
        (SHIELDING, [(3, 3, 3, 2)], ["xyz_1", "xyz_2"]),
        (MOMENTS, [(3, 1, 2), (3, 5, 2), (3, 3, 2), (3, 1, 2)], ["o3_mu"]),
    ],
)
def test_blocks_have_the_components_of_the_target(target, shapes, components):
    _, found = tensor_map(target)
    assert [tuple(block.values.shape) for block in found.blocks()] == shapes
    assert [component.names for component in found.block(0).components] == [
        [name] for name in components
    ]
    assert target.num_values == sum(block.values[0].numel() for block in found.blocks())


def test_keys_and_components_of_spherical_tensors_count_as_the_field_does():
    keys, block = MOMENTS.layout.keys, MOMENTS.layout.block({"o3_lambda": 2, "o3_sigma": 1})
    assert keys.names == ["o3_lambda", "o3_sigma"]
    assert keys.values.tolist() == [[0, 1], [2, 1], [1, -1], [0, -1]]
    assert block.components[0].values.flatten().tolist() == [-2, -1, 0, 1, 2]
    assert DIPOLE.layout.keys.names == ["_"]
    assert DIPOLE.layout.block().components[0].values.flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("target", [CHARGE, *TENSORS])
def test_flat_values_come_back_whatever_the_order_of_the_blocks(target):
    values, found = tensor_map(target)
    order = list(reversed(range(len(found.keys))))
    blocks = [found.block(i).copy() for i in order]
    turned_round = TensorMap(Labels(found.keys.names, found.keys.values[order]), blocks)
    assert torch.equal(target.flat_values(found), values)
    assert torch.equal(target.flat_values(turned_round), values)


def test_within_a_block_the_property_counts_fastest():
    values, found = tensor_map(SHIELDING)
    assert found.block().values[1, 2, 0, 1] == values[1, (2 * 3 + 0) * 2 + 1]


def test_scalars_and_proper_tensors_of_degree_zero_do_not_turn():
    assert CHARGE.is_invariant.all()
    assert not DIPOLE.is_invariant.any()
    assert MOMENTS.is_invariant.tolist() == [True] * 2 + [False] * 18
    assert [target.is_scalar for target in (CHARGE, *TENSORS)] == [True] + [False] * 4


def test_targets_come_back_from_a_checkpoint():
    info = DatasetInfo("angstrom", [1], {target.name: target for target in (CHARGE, *TENSORS)})
    assert DatasetInfo.from_container(info.as_container()) == info
