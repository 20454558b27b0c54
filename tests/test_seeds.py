"""One seed, many independent streams."""

import numpy as np
import pytest
import torch

from metatrain.seeds import stream_seed


def test_a_stream_is_the_same_every_time_and_on_every_machine():
    assert stream_seed(1, "split") == 1111147736231784747


def test_seed_stream_and_index_each_make_another_stream():
    seeds = {
        stream_seed(seed, stream, index)
        for seed in (0, 1, 2**31)
        for stream in ("split", "order", "training")
        for index in range(50)
    }
    assert len(seeds) == 3 * 3 * 50


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**64 - 1])
def test_seeds_suit_the_generators_of_numpy_and_torch(seed):
    value = stream_seed(seed, "order", 10**6)
    np.random.default_rng(value)
    torch.Generator().manual_seed(value)


def test_neighboring_seeds_give_unrelated_numbers():
    draws = [np.random.default_rng(stream_seed(s, "order")).random(1000) for s in (1, 2)]
    # the correlation of 1000 independent pairs is 0.03, give or take
    assert abs(np.corrcoef(draws)[0, 1]) < 0.15
