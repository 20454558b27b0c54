"""Smooth histograms of distances: how many neighbors of each element are how far away."""

import torch
from torch import Tensor


def descriptors(
    center_rows: Tensor,
    centers: Tensor,
    neighbor_rows: Tensor,
    vectors: Tensor,
    radii: Tensor,
    num_types: int,
    cutoff: float,
) -> Tensor:
    """(N, T + T T K) an atom's element, one-hot, and its histograms in that element's columns.

    :param center_rows: (N,) row of each atom's element among the T known ones
    :param centers: (E,) center of each pair
    :param neighbor_rows: (E,) row of the neighbor's element
    :param vectors: (E, 3) from center to neighbor
    :param radii: (K,) where the histogram's bins are
    """
    num_atoms, num_radii = center_rows.shape[0], radii.shape[0]
    squares = vectors.square().sum(dim=1)  # (E,)
    width = cutoff / num_radii
    bins = torch.exp(-(((squares.sqrt().unsqueeze(1) - radii) / width) ** 2))  # (E, K)
    # three continuous derivatives at the cutoff
    bins = bins * (1.0 - squares / cutoff**2).clamp(min=0.0).pow(4).unsqueeze(1)
    row = (centers * num_types + center_rows[centers]) * num_types + neighbor_rows
    histograms = torch.zeros(
        (num_atoms * num_types * num_types, num_radii), dtype=vectors.dtype, device=vectors.device
    )
    histograms = histograms.index_add(0, row, bins)
    counts = torch.nn.functional.one_hot(center_rows, num_types).to(vectors.dtype)
    return torch.cat([counts, histograms.reshape(num_atoms, -1)], dim=1)
