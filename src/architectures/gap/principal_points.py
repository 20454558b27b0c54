"""A kernel model of degree two without coefficients that cancel each other."""

import torch
from torch import Tensor


def principal_points(points: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal points, and coefficients, with which a model of degree two is the same.

    sum_m c_m (p . p_m)^2 = p^T A p with A = sum_m c_m p_m p_m^T. The eigenvectors of A are
    points too, and its eigenvalues are their coefficients. Those of sparse points that are
    much alike reach 1e9 with both signs, which leaves energies with rounding errors of 1e-7;
    eigenvalues do not. There are also fewer of them, if points are more than features.

    :param points: (M, F)
    :param coefficients: (M, 1)
    :return: (R, F) and (R, 1), R = min(M, F)
    """
    basis, triangle = torch.linalg.qr(points.T)  # (F, R), (R, M)
    values, vectors = torch.linalg.eigh((triangle * coefficients.T) @ triangle.T)
    return (basis @ vectors).T.contiguous(), values.unsqueeze(1)
