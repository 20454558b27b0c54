"""Attention of each atom and its pairs among themselves, without a slot per missing neighbor."""

from typing import Any, List, NamedTuple, Tuple

import torch
from torch import Tensor
from torch.autograd import Function


class Packing(NamedTuple):
    """Rows of single heads: in the order of the tokens, or by rectangle, atom, head and slot."""

    pack: Tensor  # (R H,) from (T, H)
    unpack: Tensor  # (T H,) and back
    pack_three: Tensor  # (3 R H,) from (T, 3, H): three such packed tensors in one
    unpack_three: Tensor  # (T 3 H,) and back


class TokenLayout(NamedTuple):
    """Where the tokens stand, T = N + E of them: first those of the atoms, then of the pairs.

    Atoms of similar numbers of neighbors make up a rectangle: a row for each atom, a slot
    for each token, R slots in all. An empty slot holds the token of the atom, and nothing
    depends on it.
    """

    rows: List[int]  # of each rectangle
    widths: List[int]
    tokens: Tensor  # (R,) the token in each slot
    is_filled: Tensor  # (R,)
    slots: Tensor  # (T,) the slot of each token
    num_heads: int  # H
    packing: Packing  # TorchScript does without


def token_layout(centers: Tensor, num_atoms: int, num_heads: int) -> TokenLayout:
    """The rectangles for some pairs.

    :param centers: (E,) index of each pair's center, in any order
    :param num_atoms: N
    :param num_heads: H
    """
    device = centers.device
    counts = centers.new_zeros([num_atoms]).index_add(0, centers, torch.ones_like(centers))
    first = counts.cumsum(0) - counts  # (N,) where the pairs of each atom begin in by_center
    by_center = torch.argsort(centers, stable=True)
    # the last one stands for no pair
    pair_tokens = torch.cat([by_center + num_atoms, by_center.new_zeros(1)])
    starts = torch.zeros_like(counts)  # (N,) the slot of each atom's own token
    rows: List[int] = []
    widths: List[int] = []
    tokens: List[Tensor] = []
    is_filled: List[Tensor] = []
    num_slots = 0
    ascending = torch.argsort(counts, stable=True)
    # Four rectangles leave few slots empty, and small systems do not pay for more.
    for k in range(4):
        atoms = ascending[k * num_atoms // 4 : (k + 1) * num_atoms // 4]
        own_counts = counts.index_select(0, atoms)
        # The size of a tensor, unlike the value of one, is followed by symbolic tracing.
        longest = torch.bincount(own_counts).shape[0]
        # Rows of such lengths fill the registers of processors; others are several times slower.
        width = (longest + 7) // 8 * 8
        place = torch.arange(width, device=device)
        filled = place <= own_counts.unsqueeze(1)  # (rows, width)
        is_pair = filled & (place > 0)
        pairs = first.index_select(0, atoms).unsqueeze(1) + place - 1
        pairs = pair_tokens[torch.where(is_pair, pairs, -1)]
        tokens.append(torch.where(is_pair, pairs, atoms.unsqueeze(1)).flatten())
        is_filled.append(filled.flatten())
        row = torch.arange(atoms.shape[0], device=device)
        starts = starts.index_copy(0, atoms, num_slots + row * width)
        rows.append(atoms.shape[0])
        widths.append(width)
        num_slots = num_slots + atoms.shape[0] * width
    places = 1 + torch.argsort(by_center) - first.index_select(0, centers)
    slots = torch.cat([starts, starts.index_select(0, centers) + places])
    every = torch.cat(tokens)
    packing = Packing(slots, slots, slots, slots)
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        packing = _packing(rows, widths, every, slots, num_heads)
    return TokenLayout(rows, widths, every, torch.cat(is_filled), slots, num_heads, packing)


def _packing(
    rows: List[int], widths: List[int], tokens: Tensor, slots: Tensor, num_heads: int
) -> Packing:
    heads = torch.arange(num_heads, device=tokens.device)
    parts = torch.arange(3, device=tokens.device).unsqueeze(1)
    token_and_head: List[Tensor] = []
    places: List[Tensor] = []
    num_rows = 0
    sizes = [n * w for n, w in zip(rows, widths, strict=True)]
    for n, w, own in zip(rows, widths, tokens.split(sizes), strict=True):
        both = torch.stack(torch.broadcast_tensors(own.view(n, 1, w), heads.view(1, -1, 1)))
        token_and_head.append(both.flatten(1))
        place = num_rows + torch.arange(n * num_heads * w, device=tokens.device)
        places.append(place.view(n, num_heads, w).transpose(1, 2).reshape(n * w, num_heads))
        num_rows = num_rows + n * num_heads * w
    token, head = torch.cat(token_and_head, dim=1)
    unpack = torch.cat(places).index_select(0, slots)  # (T, H)
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
    width, num_heads = projected.shape[1] // 3, layout.num_heads
    size = width // num_heads
    own = projected.index_select(0, layout.tokens).split(_sizes(layout))
    biases = _biases(log_weights, layout)
    results: List[Tensor] = []
    for k, n in enumerate(layout.rows):
        w = layout.widths[k]
        heads = own[k].view(n, w, 3, num_heads, size).permute(2, 0, 3, 1, 4)
        heads = heads.reshape(3, n * num_heads, w, size)
        scores = torch.baddbmm(biases[k], heads[0], heads[1].transpose(1, 2), alpha=scale)
        mixed = torch.bmm(torch.softmax(scores, dim=2), heads[2])
        mixed = mixed.view(n, num_heads, w, size).transpose(1, 2)
        results.append(mixed.reshape(n * w, width))
    return torch.cat(results).index_select(0, layout.slots)


def _sizes(layout: TokenLayout) -> List[int]:
    """The number of slots of each rectangle."""
    return [n * w for n, w in zip(layout.rows, layout.widths)]  # noqa: B905 (TorchScript)


def _biases(log_weights: Tensor, layout: TokenLayout) -> List[Tensor]:
    """What is added to scores: for each rectangle (rows H, 1, width)."""
    of_slots = log_weights.index_select(0, layout.tokens)
    return _for_scores(of_slots.masked_fill(~layout.is_filled, -float("inf")), layout)


def _for_scores(of_slots: Tensor, layout: TokenLayout) -> List[Tensor]:
    """Numbers of the keys (R,), the same for each head: by rectangle (rows H, 1, width)."""
    of_heads: List[Tensor] = []
    for k, own in enumerate(of_slots.split(_sizes(layout))):
        of_rows = own.view(layout.rows[k], 1, layout.widths[k])
        of_heads.append(of_rows.repeat_interleave(layout.num_heads, 0))
    return of_heads


def _summed(scores: List[Tensor], layout: TokenLayout) -> Tensor:
    """(T,) sums over heads and queries."""
    sums = [
        own.view(n, layout.num_heads * w, w).sum(dim=1).flatten()
        for own, n, w in zip(scores, layout.rows, layout.widths, strict=True)
    ]
    return torch.cat(sums).index_select(0, layout.slots)


class _Heads(NamedTuple):
    """Queries, keys and values in one rectangle, or changes of them, each (rows H, width, d)."""

    query: Tensor
    key: Tensor
    value: Tensor


def _rectangles(packed: Tensor, layout: TokenLayout) -> List[Tensor]:
    """For each rectangle (rows H, width, d), views of (R H, d)."""
    h, size = layout.num_heads, packed.shape[1]
    parts = packed.split([length * h for length in _sizes(layout)])
    return [
        part.view(n * h, w, size)
        for part, n, w in zip(parts, layout.rows, layout.widths, strict=True)
    ]


def _heads_of(packed: Tensor, layout: TokenLayout) -> List[_Heads]:
    """For each rectangle, views of (3 R H, d)."""
    parts = [_rectangles(part, layout) for part in packed.view(3, -1, packed.shape[1])]
    return [_Heads(*own) for own in zip(*parts, strict=True)]


class _Attention(Function):
    """Attention with derivatives that take few passes over memory."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, log_weights: Tensor, layout: TokenLayout, scale: float
    ) -> Tensor:
        size = projected.shape[1] // (3 * layout.num_heads)
        packed = projected.view(-1, size).index_select(0, layout.packing.pack_three)
        mixed, attention = [], []
        for heads, bias, looks in zip(
            _heads_of(packed, layout),
            _biases(log_weights, layout),
            _looking(layout, packed.dtype),
            strict=True,
        ):
            scores = torch.baddbmm(bias, heads.query, heads.key.mT, alpha=scale)
            own = torch.softmax(scores, dim=2) * looks
            mixed.append(torch.bmm(own, heads.value).view(-1, size))
            attention.append(own)
        ctx.layout, ctx.scale = layout, scale
        ctx.save_for_backward(projected, log_weights, packed, *attention)
        result = torch.cat(mixed).index_select(0, layout.packing.unpack)
        return result.view(projected.shape[0], layout.num_heads * size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        gradients = _AttentionGradient.apply(ctx.layout, ctx.scale, gradient, *ctx.saved_tensors)
        return *gradients, None, None


def _looking(layout: TokenLayout, dtype: torch.dtype) -> List[Tensor]:
    """For each rectangle (rows H, width, 1) one where a slot is filled.

    An empty slot looks at nothing, so that nothing comes from there in derivatives either.
    """
    looks = layout.is_filled.to(dtype).split(_sizes(layout))
    return [
        own.view(n, w, 1).repeat_interleave(layout.num_heads, 0)
        for own, n, w in zip(looks, layout.rows, layout.widths, strict=True)
    ]


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
        *attention: Tensor,
    ) -> Tuple[Tensor, Tensor]:
        size = packed.shape[1]
        of_mixed = gradient.reshape(-1, size).index_select(0, layout.packing.pack)
        by_query, by_key, by_value, of_scores = [], [], [], []
        for heads, own, of_out in zip(
            _heads_of(packed, layout), attention, _rectangles(of_mixed, layout), strict=True
        ):
            of_attention = torch.bmm(of_out, heads.value.mT)
            change = _softmax_gradient(of_attention, own)
            by_query.append(_product(change, heads.key, scale))
            by_key.append(_product(change.mT, heads.query, scale))
            by_value.append(torch.bmm(own.mT, of_out))
            of_scores.append(change)
        of_packed = torch.cat([own.view(-1, size) for own in by_query + by_key + by_value])
        ctx.layout, ctx.scale = layout, scale
        ctx.save_for_backward(packed, of_mixed, *attention, *of_scores)
        of_projected = of_packed.index_select(0, layout.packing.unpack_three)
        return of_projected.view(projected.shape), _summed(of_scores, layout)

    @staticmethod
    def backward(ctx: Any, by_projected: Tensor, by_weights: Tensor) -> Any:
        layout, scale = ctx.layout, ctx.scale
        packed, of_mixed, *saved = ctx.saved_tensors
        num = len(layout.rows)
        size = packed.shape[1]
        changes = by_projected.reshape(-1, size).index_select(0, layout.packing.pack_three)
        of_packed, by_mixed = torch.empty_like(packed), torch.empty_like(of_mixed)
        of_weights = []
        for heads, change, out, bias, gradient, attention, of_scores, of_gradient in zip(
            _heads_of(packed, layout),
            _heads_of(changes, layout),
            _heads_of(of_packed, layout),
            _for_scores(by_weights.index_select(0, layout.tokens), layout),
            _rectangles(of_mixed, layout),
            saved[:num],
            saved[num:],
            _rectangles(by_mixed, layout),
            strict=True,
        ):
            # by S, by P and so on: what changes with dS, dP and so on
            by_scores = torch.baddbmm(bias, change.query, heads.key.mT, alpha=scale)
            by_scores.baddbmm_(heads.query, change.key.mT, alpha=scale)
            by_scores.sub_((by_scores * attention).sum(dim=2, keepdim=True))
            by_attention = attention * by_scores
            by_scores.mul_(of_scores)
            by_scores.addcmul_(attention, torch.bmm(gradient, change.value.mT))
            by_scores.addcmul_(attention, by_scores.sum(dim=2, keepdim=True), value=-1.0)
            torch.baddbmm(out.query, by_scores, heads.key, beta=0, alpha=scale, out=out.query)
            out.query.baddbmm_(of_scores, change.key, alpha=scale)
            torch.baddbmm(out.key, by_scores.mT, heads.query, beta=0, alpha=scale, out=out.key)
            out.key.baddbmm_(of_scores.mT, change.query, alpha=scale)
            torch.bmm(by_attention.mT, gradient, out=out.value)
            torch.bmm(attention, change.value, out=of_gradient)
            of_gradient.baddbmm_(by_attention, heads.value)
            of_weights.append(by_scores)
        by_gradient = by_mixed.index_select(0, layout.packing.unpack).view(
            layout.slots.shape[0], layout.num_heads * size
        )
        of_projected = of_packed.index_select(0, layout.packing.unpack_three)
        return (
            None,
            None,
            by_gradient,
            of_projected.view(by_projected.shape),
            _summed(of_weights, layout),
            *[None] * (1 + num),
        )


def _softmax_gradient(gradient: Tensor, attention: Tensor) -> Tensor:
    """P (G − sum over keys of P G)."""
    function = torch.ops.aten._softmax_backward_data  # noqa: SLF001 (there is no public name)
    return function(gradient, attention, 2, attention.dtype)


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """The product of matrices, times ``scale``."""
    return torch.baddbmm(left.new_zeros(1), left, right, beta=0, alpha=scale)
