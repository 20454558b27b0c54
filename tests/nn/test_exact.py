import math

import torch

from metatrain.nn.exact import exact, exact_parts

NUMBERS = torch.tensor([math.pi, -math.e * 1e-9, 1e20 / 3.0, 0.0], dtype=torch.float64)


def test_a_cast_to_float32_and_back_costs_no_digits():
    parts = exact_parts(NUMBERS).float().double()
    torch.testing.assert_close(exact(parts), NUMBERS, rtol=0, atol=0)


def test_in_float32_they_are_the_rounded_numbers():
    torch.testing.assert_close(exact(exact_parts(NUMBERS).float()), NUMBERS.float(), rtol=0, atol=0)
