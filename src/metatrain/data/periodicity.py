"""In how many directions the systems of a data set are periodic, and whether a model takes that."""

from collections.abc import Collection

import torch

from metatrain.data.columns import Columns
from metatrain.errors import MetatrainError


def check_periodicity(
    columns: Columns, known: Collection[int], *, where: str, way_out: str
) -> None:
    """Refuse what a model cannot treat, naming the first system that is so.

    :param columns: the systems
    :param known: in how many directions systems may be periodic
    :param where: the beginning of the message, such as ``"test_set: "``
    :param way_out: the end of the message
    """
    numbers = columns.pbc.sum(dim=1)
    is_known = torch.isin(numbers, torch.tensor(sorted(known)))
    if not is_known.all():
        system = int(torch.nonzero(~is_known)[0])
        raise MetatrainError(
            f"{where}{columns.origin.where(system)}: is periodic in {int(numbers[system])} of 3 "
            f"directions, but the model takes systems periodic in "
            f"{' or '.join(map(str, sorted(known)))} only; {way_out}."
        )
