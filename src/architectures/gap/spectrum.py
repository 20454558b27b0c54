"""The power spectrum without its second half: p_(l q q') and p_(l q' q) are the same number."""

import math
from typing import List

import torch
from torch import Tensor

from metatrain.nn import power_spectrum


class HalfSpectrum(torch.nn.Module):
    """Power spectra p_(l q q') = (2 l + 1)^(-1/2) sum over m of c_(l m q) c_(l m q').

    Each number that stands twice is kept once, times sqrt(2): scalar products and lengths
    are those of the whole power spectra. With the factor they are overlaps of densities,
    averaged over rotations (A. P. Bartok, R. Kondor, G. Csanyi, Phys. Rev. B 87, 184115).

    :param num_columns: Q_l, number of columns of the coefficients of each l
    """

    def __init__(self, num_columns: list[int]) -> None:
        super().__init__()
        self.num_columns = num_columns
        kept, mirrored, factors, duals, first = [], [], [], [], 0
        for degree, size in enumerate(num_columns):
            row, column = torch.triu_indices(size, size)
            kept.append(first + row * size + column)
            mirrored.append(first + column * size + row)
            twice = (1.0 + (row != column)).double().sqrt()
            factors.append(twice / math.sqrt(2 * degree + 1))
            duals.append(1.0 / twice / math.sqrt(2 * degree + 1))
            first += size * size
        self.num_features = len(torch.cat(kept))
        self.kept: Tensor
        self.mirrored: Tensor
        self.factors: Tensor
        self.duals: Tensor
        self.register_buffer("kept", torch.cat(kept), persistent=False)
        self.register_buffer("mirrored", torch.cat(mirrored), persistent=False)
        self.register_buffer("factors", torch.cat(factors), persistent=False)
        self.register_buffer("duals", torch.cat(duals), persistent=False)

    def forward(self, coefficients: List[Tensor]) -> Tensor:
        """The power spectra.

        :param coefficients: for each l (N, 2 l + 1, Q_l)
        :return: (N, F)
        """
        return power_spectrum(coefficients).index_select(1, self.kept) * self.factors

    def matrices(self, spectra: Tensor) -> list[Tensor]:
        """Symmetric matrices S_l: the product with the spectrum of c is sum_l tr(c_l S_l c_l^T).

        :param spectra: (N, F)
        :return: for each l (N, Q_l, Q_l)
        """
        sizes = [size * size for size in self.num_columns]
        whole = spectra.new_empty(len(spectra), sum(sizes))
        whole[:, self.kept] = whole[:, self.mirrored] = spectra * self.duals
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
