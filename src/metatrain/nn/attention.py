"""Attention of each atom and its pairs among themselves."""

from typing import Any, NamedTuple, Tuple

import torch
from torch import Tensor
from torch.autograd import Function


class Packing(NamedTuple):
    """Rows of single heads: in the order of the tokens, or by atom, head and slot."""

    pack: Tensor  # (R H,) from (T, H)
    unpack: Tensor  # (T H,) and back
    pack_three: Tensor  # (3 R H,) from (T, 3, H): three such packed tensors in one
    unpack_three: Tensor  # (T 3 H,) and back


class TokenLayout(NamedTuple):
    """Where the tokens stand, T = N + E of them: first those of the atoms, then of the pairs.

    They stand in a rectangle with a row for each atom and a slot for each token, R slots in
    all. An empty slot holds the token of the atom, and nothing depends on it.
    """

    tokens: Tensor  # (N, width) the token in each slot
    is_filled: Tensor  # (N, width)
    slots: Tensor  # (T,) the slot of each token
    num_heads: int  # H
    packing: Packing  # TorchScript does without


def token_layout(centers: Tensor, num_atoms: int, num_heads: int) -> TokenLayout:
    """The rectangle for some pairs.

    :param centers: (E,) index of each pair's center, in any order
    :param num_atoms: N
    :param num_heads: H
    """
    device = centers.device
    counts = centers.new_zeros([num_atoms]).index_add(0, centers, torch.ones_like(centers))
    first = counts.cumsum(0) - counts  # (N,) where the pairs of each atom begin in by_center
    by_center = torch.argsort(centers, stable=True)
    # Rows of such lengths fill the registers of processors; others are several times slower.
    padded = torch.div(counts + 8, 8, rounding_mode="floor") * 8
    # The size of a tensor, unlike the value of one, is followed by symbolic tracing.
    width = torch.bincount(padded - 1).shape[0]
    place = torch.arange(width, device=device)
    is_filled = place <= counts.unsqueeze(1)  # (N, width)
    is_pair = is_filled & (place > 0)
    # the last one stands for no pair
    pair_tokens = torch.cat([by_center + num_atoms, by_center.new_zeros(1)])
    pairs = pair_tokens[torch.where(is_pair, first.unsqueeze(1) + place - 1, -1)]
    atoms = torch.arange(num_atoms, device=device)
    tokens = torch.where(is_pair, pairs, atoms.unsqueeze(1))
    starts = atoms * width
    # the place of each pair among those of its atom
    places = torch.argsort(by_center) - first.index_select(0, centers)
    slots = torch.cat([starts, starts.index_select(0, centers) + places + 1])
    packing = Packing(slots, slots, slots, slots)
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        packing = _packing(tokens, slots, num_heads)
    return TokenLayout(tokens, is_filled, slots, num_heads, packing)


def _packing(tokens: Tensor, slots: Tensor, num_heads: int) -> Packing:
    num_atoms, width = tokens.shape
    heads = torch.arange(num_heads, device=tokens.device)
    parts = torch.arange(3, device=tokens.device).unsqueeze(1)
    num_rows = num_atoms * num_heads * width
    token = tokens.unsqueeze(1).expand(num_atoms, num_heads, width).flatten()
    head = heads.view(1, -1, 1).expand(num_atoms, num_heads, width).flatten()
    place = torch.arange(num_rows, device=tokens.device).view(num_atoms, num_heads, width)
    by_slot = place.transpose(1, 2).reshape(num_atoms * width, num_heads)
    unpack = by_slot.index_select(0, slots)  # (T, H)
    return Packing(
        token * num_heads + head,
        unpack.flatten(),
        (token * (3 * num_heads) + head + parts * num_heads).flatten(),
        (unpack.unsqueeze(1) + parts * num_rows).flatten(),
    )


def neighborhood_attention(
    projected: Tensor, log_weights: Tensor, layout: TokenLayout, scale: float
) -> Tensor:
    """Each token of an atom looks at all tokens of that atom.

    y_a = sum over b of softmax_b(scale q_a . k_b + log_weight_b) v_b, for each head

    :param projected: (T, 3 D) queries, keys and values of all tokens, each head by head
    :param log_weights: (T,) is added to the scores of each key
    :param layout: which tokens belong together, and how many heads there are
    :param scale: factor of the scores
    :return: (T, D), head by head
    """
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return _attention(projected, log_weights, layout, scale)
    return _Attention.apply(projected, log_weights, layout, scale)


def _attention(projected: Tensor, log_weights: Tensor, layout: TokenLayout, scale: float) -> Tensor:
    """The same, with derivatives left to autograd."""
    num_atoms, width = layout.is_filled.shape
    num_heads = layout.num_heads
    features = projected.shape[1] // 3
    size = features // num_heads
    own = projected.index_select(0, layout.tokens.flatten())
    heads = own.view(num_atoms, width, 3, num_heads, size).permute(2, 0, 3, 1, 4)
    query, key, value = heads.reshape(3, num_atoms * num_heads, width, size).unbind(0)
    scores = torch.baddbmm(_bias(log_weights, layout), query, key.transpose(1, 2), alpha=scale)
    mixed = torch.bmm(torch.softmax(scores, dim=2), value)
    mixed = mixed.view(num_atoms, num_heads, width, size).transpose(1, 2)
    return mixed.reshape(num_atoms * width, features).index_select(0, layout.slots)


def _bias(log_weights: Tensor, layout: TokenLayout) -> Tensor:
    """What is added to scores (N H, 1, width)."""
    of_slots = log_weights.index_select(0, layout.tokens.flatten()).view(layout.tokens.shape)
    return _for_scores(of_slots.masked_fill(~layout.is_filled, -float("inf")), layout.num_heads)


def _for_scores(of_slots: Tensor, num_heads: int) -> Tensor:
    """Numbers of the keys (N, width), the same for each head (N H, 1, width)."""
    num_atoms, width = of_slots.shape
    of_heads = of_slots.unsqueeze(1).expand(num_atoms, num_heads, width)
    return of_heads.reshape(num_atoms * num_heads, 1, width)


def _summed(scores: Tensor, layout: TokenLayout) -> Tensor:
    """(T,) sums over heads and queries."""
    num_atoms, width = layout.is_filled.shape
    sums = scores.view(num_atoms, layout.num_heads * width, width).sum(dim=1)
    return sums.flatten().index_select(0, layout.slots)


def _rows_of_heads(packed: Tensor, layout: TokenLayout) -> Tensor:
    """(N H, width, d), a view of (R H, d)."""
    num_atoms, width = layout.is_filled.shape
    return packed.view(num_atoms * layout.num_heads, width, packed.shape[1])


def _heads_of(packed: Tensor, layout: TokenLayout) -> Tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, or changes of them: views of (3 R H, d)."""
    query, key, value = packed.view(3, -1, packed.shape[1])
    return (
        _rows_of_heads(query, layout),
        _rows_of_heads(key, layout),
        _rows_of_heads(value, layout),
    )


class _Attention(Function):
    """Attention with derivatives that take few passes over memory."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, log_weights: Tensor, layout: TokenLayout, scale: float
    ) -> Tensor:
        size = projected.shape[1] // (3 * layout.num_heads)
        packed = projected.view(-1, size).index_select(0, layout.packing.pack_three)
        query, key, value = _heads_of(packed, layout)
        scores = torch.baddbmm(_bias(log_weights, layout), query, key.mT, alpha=scale)
        # An empty slot looks at nothing, so that nothing comes from there in derivatives either.
        looks = _for_scores(layout.is_filled.to(packed.dtype), layout.num_heads).mT
        attention = torch.softmax(scores, dim=2) * looks
        mixed = torch.bmm(attention, value).view(-1, size)
        ctx.layout, ctx.scale = layout, scale
        ctx.save_for_backward(projected, log_weights, packed, attention)
        result = mixed.index_select(0, layout.packing.unpack)
        return result.view(projected.shape[0], layout.num_heads * size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        gradients = _AttentionGradient.apply(ctx.layout, ctx.scale, gradient, *ctx.saved_tensors)
        return *gradients, None, None


class _AttentionGradient(Function):
    """The derivatives of a function of y by queries, keys, values and weights.

    With G the derivative by y, P the attention and S the scores: dP = G v^T,
    dS = P (dP − sum over keys of P dP), dq = dS k, dk = dS^T q, dv = P^T G.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 (as apply gives them)
        ctx: Any,
        layout: TokenLayout,
        scale: float,
        gradient: Tensor,
        projected: Tensor,
        log_weights: Tensor,  # noqa: ARG004 (the graph leads there)
        packed: Tensor,
        attention: Tensor,
    ) -> Tuple[Tensor, Tensor]:
        size = packed.shape[1]
        of_mixed = gradient.reshape(-1, size).index_select(0, layout.packing.pack)
        query, key, value = _heads_of(packed, layout)
        of_out = _rows_of_heads(of_mixed, layout)
        of_scores = _softmax_gradient(torch.bmm(of_out, value.mT), attention)
        by_query = _product(of_scores, key, scale)
        by_key = _product(of_scores.mT, query, scale)
        by_value = torch.bmm(attention.mT, of_out)
        of_packed = torch.cat([own.view(-1, size) for own in (by_query, by_key, by_value)])
        ctx.layout, ctx.scale = layout, scale
        ctx.save_for_backward(packed, of_mixed, attention, of_scores)
        of_projected = of_packed.index_select(0, layout.packing.unpack_three)
        return of_projected.view(projected.shape), _summed(of_scores, layout)

    @staticmethod
    def backward(ctx: Any, by_projected: Tensor, by_weights: Tensor) -> Any:
        layout, scale = ctx.layout, ctx.scale
        packed, of_mixed, attention, of_scores = ctx.saved_tensors
        size = packed.shape[1]
        query, key, value = _heads_of(packed, layout)
        gradient = _rows_of_heads(of_mixed, layout)
        changes = by_projected.reshape(-1, size).index_select(0, layout.packing.pack_three)
        change_query, change_key, change_value = _heads_of(changes, layout)
        # by S, by P and so on: what changes with dS, dP and so on
        of_slots = by_weights.index_select(0, layout.tokens.flatten()).view(layout.tokens.shape)
        bias = _for_scores(of_slots, layout.num_heads)
        by_scores = torch.baddbmm(bias, change_query, key.mT, alpha=scale)
        by_scores.baddbmm_(query, change_key.mT, alpha=scale)
        by_scores.sub_((by_scores * attention).sum(dim=2, keepdim=True))
        by_attention = attention * by_scores
        by_scores.mul_(of_scores)
        by_scores.addcmul_(attention, torch.bmm(gradient, change_value.mT))
        by_scores.addcmul_(attention, by_scores.sum(dim=2, keepdim=True), value=-1.0)
        of_query = _product(by_scores, key, scale)
        of_query.baddbmm_(of_scores, change_key, alpha=scale)
        of_key = _product(by_scores.mT, query, scale)
        of_key.baddbmm_(of_scores.mT, change_query, alpha=scale)
        of_value = torch.bmm(by_attention.mT, gradient)
        of_packed = torch.cat([own.view(-1, size) for own in (of_query, of_key, of_value)])
        by_mixed = torch.bmm(attention, change_value).baddbmm_(by_attention, value).view(-1, size)
        return (
            None,
            None,
            by_mixed.index_select(0, layout.packing.unpack).view(-1, layout.num_heads * size),
            of_packed.index_select(0, layout.packing.unpack_three).view(by_projected.shape),
            _summed(by_scores, layout),
            None,
            None,
        )


def _softmax_gradient(gradient: Tensor, attention: Tensor) -> Tensor:
    """P (G − sum over keys of P G)."""
    function = torch.ops.aten._softmax_backward_data  # noqa: SLF001 (there is no public name)
    return function(gradient, attention, 2, attention.dtype)


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """The product of matrices, times ``scale``."""
    return torch.baddbmm(left.new_zeros(1), left, right, beta=0, alpha=scale)
