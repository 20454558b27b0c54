"""The power spectrum without its second half: p_(l q q') and p_(l q' q) are the same number."""

from typing import List

import torch
from torch import Tensor

from metatrain.nn import power_spectrum


class HalfSpectrum(torch.nn.Module):
    """Power spectra of which each number that stands twice is kept once, times sqrt(2).

    Scalar products and lengths are those of the whole power spectra. The factor
    (2 l + 1)^(-1/2), with which they would be overlaps of densities averaged over rotations,
    is left out: where large l count more, environments differ more, and the fit is better
    conditioned (on silicon its coefficients are 9 times smaller, at the same errors).

    :param num_columns: Q_l, number of columns of the coefficients of each l
    """

    def __init__(self, num_columns: list[int]) -> None:
        super().__init__()
        self.num_columns = num_columns
        kept, mirrored, factors, first = [], [], [], 0
        for size in num_columns:
            row, column = torch.triu_indices(size, size)
            kept.append(first + row * size + column)
            mirrored.append(first + column * size + row)
            factors.append((1.0 + (row != column)).double().sqrt())
            first += size * size
        self.num_features = len(torch.cat(kept))
        self.kept: Tensor
        self.mirrored: Tensor
        self.factors: Tensor
        self.register_buffer("kept", torch.cat(kept), persistent=False)
        self.register_buffer("mirrored", torch.cat(mirrored), persistent=False)
        self.register_buffer("factors", torch.cat(factors), persistent=False)

    def forward(self, coefficients: List[Tensor]) -> Tensor:
        """The power spectra.

        :param coefficients: for each l (N, 2 l + 1, Q_l)
        :return: (N, F)
        """
        return power_spectrum(coefficients).index_select(1, self.kept) * self.factors

    def matrices(self, spectra: Tensor) -> list[Tensor]:
        """The same as whole symmetric matrices: for each l (N, Q_l, Q_l).

        :param spectra: (N, F)
        """
        sizes = [size * size for size in self.num_columns]
        whole = spectra.new_empty(len(spectra), sum(sizes))
        whole[:, self.kept] = whole[:, self.mirrored] = spectra / self.factors
        blocks = whole.split(sizes, dim=1)
        return [
            block.reshape(-1, size, size)
            for block, size in zip(blocks, self.num_columns, strict=True)
        ]


def normalised(spectra: Tensor) -> Tensor:
    """The same vectors with length one.

    :param spectra: (N, F)
    """
    return spectra / spectra.square().sum(dim=1, keepdim=True).sqrt()
