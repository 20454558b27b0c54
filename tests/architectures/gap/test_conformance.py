"""GAP in the conformance suite."""

import torch

from metatrain.testing import ForwardTests
from sparse_points import with_points

SMALL = {
    "soap": {"basis": {"max_angular": 2, "radial": {"max_radial": 2}}, "cutoff": {"radius": 4.0}}
}


class TestGap(ForwardTests):
    architecture = "gap"
    model_hypers = SMALL

    def new_model(self, dtype=torch.float64):
        return with_points(super().new_model(dtype))


class TestRepulsion(TestGap):
    model_hypers = SMALL | {"zbl": True}
