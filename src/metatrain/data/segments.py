"""Arrays that hold one segment of rows per system, one after the other."""

import torch
from torch import Tensor


def offsets_of(counts: Tensor) -> Tensor:
    """Where each segment begins, and the end of the last.

    :param counts: (S,) number of rows of each segment
    :return: (S + 1,)
    """
    offsets = counts.new_zeros(len(counts) + 1)
    torch.cumsum(counts, dim=0, out=offsets[1:])
    return offsets


def sent(tensor: Tensor, device: torch.device | None) -> Tensor:
    """The same on a device; nobody waits for a GPU to have taken it.

    :param device: ``None`` is the CPU
    """
    if device is None or device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    # from other memory a copy is made when the GPU has done all that was asked before
    return tensor.pin_memory().to(device, non_blocking=True)


def repeat_per_row(values: Tensor, offsets: Tensor) -> Tensor:
    """One value per row from one value per segment, on the device of the values.

    :param values: (S,) one per segment
    :param offsets: (S + 1,) where each segment begins, on the CPU
    """
    counts = sent(offsets.diff(), values.device)
    return torch.repeat_interleave(values, counts, output_size=int(offsets[-1]))


def segment_of_row(offsets: Tensor) -> Tensor:
    """The segment that each row belongs to.

    :param offsets: (S + 1,) where each segment begins, on the CPU
    """
    return repeat_per_row(torch.arange(len(offsets) - 1), offsets)


def rows_of(
    offsets: Tensor, segments: Tensor, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """The rows of some segments, in the order in which the segments are named.

    :param offsets: (S + 1,) where each segment begins, on the CPU
    :param segments: (B,) the segments to take, on the CPU
    :param device: where the rows are wanted
    :return: the rows, and (B + 1,) where each taken segment begins among them, on the CPU
    """
    starts = offsets[segments]
    taken = offsets_of(offsets[segments + 1] - starts)
    shifts = repeat_per_row(sent(starts - taken[:-1], device), taken)
    return shifts.add_(torch.arange(len(shifts), device=device)), taken
