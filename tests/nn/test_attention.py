"""Attention in rectangles is attention atom by atom."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from metatrain.nn import neighborhood_attention, token_layout
from metatrain.nn.attention import _packing

NUM_HEADS, SIZE = 2, 3
SCALE = 0.7
COUNTS = [0, 1, 12, 3, 0, 5, 8, 2]


def shuffled_centers(counts):
    """Centers of pairs, as many as each atom is to have, in no order."""
    numbers = torch.tensor(counts, dtype=torch.int64)
    centers = torch.repeat_interleave(torch.arange(len(counts)), numbers)
    return centers[torch.randperm(len(centers), generator=torch.Generator().manual_seed(0))]


def inputs(counts):
    num_tokens = len(counts) + sum(counts)
    generator = torch.Generator().manual_seed(1)
    shape = (num_tokens, 3 * NUM_HEADS * SIZE)
    projected = torch.randn(shape, dtype=torch.float64, generator=generator)
    weights = torch.rand(num_tokens, dtype=torch.float64, generator=generator)
    return projected.requires_grad_(), weights.log().requires_grad_()


def one_by_one(projected, log_weights, centers, num_atoms):
    """The definition, for each atom and head."""
    result = torch.zeros(len(projected), NUM_HEADS * SIZE, dtype=projected.dtype)
    parts = projected.view(-1, 3, NUM_HEADS, SIZE)
    for atom in range(num_atoms):
        tokens = torch.cat([torch.tensor([atom]), num_atoms + torch.nonzero(centers == atom)[:, 0]])
        query, key, value = parts[tokens].unbind(1)
        scores = SCALE * torch.einsum("ahd,bhd->hab", query, key) + log_weights[tokens]
        mixed = torch.einsum("hab,bhd->ahd", scores.softmax(dim=2), value)
        result = result.index_copy(0, tokens, mixed.flatten(1))
    return result


@pytest.mark.parametrize("counts", [COUNTS, [3], [0, 0], [40, 2, 1], []])
def test_it_is_the_softmax_over_the_tokens_of_each_atom(counts):
    centers = shuffled_centers(counts)
    projected, log_weights = inputs(counts)
    layout = token_layout(centers, len(counts), NUM_HEADS)
    found = neighborhood_attention(projected, log_weights, layout, SCALE)
    assert_close(found, one_by_one(projected, log_weights, centers, len(counts)))


def test_every_token_has_a_slot_of_its_own():
    layout = token_layout(shuffled_centers(COUNTS), len(COUNTS), NUM_HEADS)
    num_tokens = len(COUNTS) + sum(COUNTS)
    assert layout.tokens.flatten()[layout.slots].tolist() == list(range(num_tokens))
    assert int(layout.is_filled.sum()) == num_tokens
    assert layout.tokens.shape == (len(COUNTS), 16)


def test_first_and_second_derivatives_are_those_of_finite_differences():
    layout = token_layout(shuffled_centers([0, 3, 1]), 3, NUM_HEADS)
    function = lambda *given: neighborhood_attention(*given, layout, SCALE)  # noqa: E731
    assert gradcheck(function, inputs([0, 3, 1]))
    assert gradgradcheck(function, inputs([0, 3, 1]))


def derivatives(layout, counts=COUNTS):
    """The result, its first derivatives, and derivatives of these."""
    given = inputs(counts)
    value = neighborhood_attention(*given, layout, SCALE)
    first = torch.autograd.grad(value.square().sum(), given, create_graph=True)
    return value, *first, *torch.autograd.grad(sum(x.square().sum() for x in first), given)


def test_what_stands_in_empty_slots_does_not_matter_for_any_derivative():
    layout = token_layout(shuffled_centers(COUNTS), len(COUNTS), NUM_HEADS)
    other = torch.where(layout.is_filled, layout.tokens, 5)
    packing = _packing(other, layout.slots, NUM_HEADS)
    changed = layout._replace(tokens=other, packing=packing)
    for found, expected in zip(derivatives(changed), derivatives(layout), strict=True):
        assert_close(found, expected, rtol=0, atol=0)


def test_without_atoms_there_are_derivatives_of_nothing():
    layout = token_layout(shuffled_centers([]), 0, NUM_HEADS)
    assert [len(found) for found in derivatives(layout, [])] == [0] * 5


def test_torchscript_gives_the_same():
    def attend(projected, log_weights, centers, num_atoms: int):
        layout = token_layout(centers, num_atoms, 2)
        return neighborhood_attention(projected, log_weights, layout, 0.7)

    scripted = torch.jit.script(attend)
    centers = shuffled_centers(COUNTS)
    for _ in range(3):  # TorchScript optimizes code in its second and third run
        results = []
        for function in (attend, scripted):
            given = inputs(COUNTS)
            value = function(*given, centers, len(COUNTS))
            results.append((value, *torch.autograd.grad(value.square().sum(), given)))
        for found, expected in zip(*results, strict=True):
            assert_close(found, expected)
