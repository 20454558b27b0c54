"""Which environments become sparse points."""

import torch
from torch import Tensor

LEAST_DISTANCE = 1e-12
"""Squared distance below which two normalised power spectra are the same environment."""


def farthest_points(spectra: list[Tensor], num_points: int) -> list[Tensor]:
    """Environments picked one by one, each as far as possible from those picked before.

    Environments of two types are farther from each other than any of one type, so that
    every type has its share, and a type of many different environments has more.

    :param spectra: for each type (N_t, F), normalised power spectra
    :param num_points: how many to pick, of all types together
    :return: for each type the rows that are picked; fewer if others are copies of these
    """
    picked: list[list[int]] = [[] for _ in spectra]
    # squared distance to the nearest point picked; at first nothing is near
    distances = [torch.full_like(rows[:, 0], torch.inf) for rows in spectra]
    for _ in range(num_points):
        farthest = [float(of_type.max()) if len(of_type) else 0.0 for of_type in distances]
        kind = max(range(len(farthest)), key=farthest.__getitem__)
        if farthest[kind] <= LEAST_DISTANCE:
            break
        row = int(distances[kind].argmax())
        picked[kind].append(row)
        to_point = 2.0 - 2.0 * (spectra[kind] @ spectra[kind][row])
        distances[kind] = torch.minimum(distances[kind], to_point)
    return [torch.tensor(rows, dtype=torch.int64) for rows in picked]
