"""How a data set is divided into batches, by the option ``batch_size``."""

import numpy as np

from metatrain.data.batches import BatchColumns
from metatrain.data.epochs import BalancedBatches, EqualBatches
from metatrain.log import logger
from metatrain.training.hypers import BatchBudget


def batching(data: BatchColumns, size: int | BatchBudget) -> EqualBatches | BalancedBatches:
    """The batches of any epoch.

    :param size: the number of systems per batch, or what they may cost
    """
    if isinstance(size, BatchBudget):
        return BalancedBatches(_shares(data, size))
    return EqualBatches(len(data), size)


def tell_of_sizes(data: BatchColumns, size: int | BatchBudget, num_batches: int) -> None:
    """Log how large batches will be where the option does not say it.

    :param num_batches: of an epoch
    """
    if isinstance(size, BatchBudget):
        logger.info(
            "%d training steps per epoch, with %.3g systems each",
            num_batches,
            len(data) / num_batches,
        )
        num_alone = int((_shares(data, size) > 1).sum())
        if num_alone:
            logger.info(
                "%d of the %d training systems are larger than batch_size, up to %d atoms and %d "
                "pairs: each of them is a batch of its own",
                num_alone,
                len(data),
                data.num_atoms.max(),
                data.num_pairs.max(),
            )
    elif size > len(data):
        logger.info(
            "batch_size %d is more than the %d training systems: one batch holds them all",
            size,
            len(data),
        )


def _shares(data: BatchColumns, budget: BatchBudget) -> np.ndarray:
    """(S,) the part of a batch that each system takes, of what there is least of."""
    shares = np.zeros(len(data))
    for counts, most in ((data.num_atoms, budget.atoms), (data.num_pairs, budget.pairs)):
        if most is not None:
            # a system without pairs costs something, too
            shares = np.maximum(shares, counts.clamp(min=1).numpy() / most)
    return shares
