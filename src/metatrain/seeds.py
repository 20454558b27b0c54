"""One seed for a run; an independent stream of random numbers for each use of it."""

import zlib

import numpy as np


def stream_seed(seed: int, stream: str, index: int = 0) -> int:
    """Seed of one stream, such as ``"split"`` or ``"order"``.

    Streams are independent, so that a change in one use of randomness leaves the others
    as they were. With ``index`` (an epoch, say) a stream needs no state of its own: a
    restarted run draws what the run that was never stopped would have drawn.

    :param seed: the seed of the run
    :param stream: name of the stream
    :param index: position within the stream
    :return: a seed for numpy's or torch's generators
    """
    entropy = [seed, zlib.crc32(stream.encode()), index]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
