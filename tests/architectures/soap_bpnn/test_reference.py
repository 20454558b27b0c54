"""Our model with published weights gives the published values."""

import pytest
from torch.testing import assert_close

from published_models import STRUCTURES, TIGHT, PublishedModelTests, double


class TestPublished(PublishedModelTests):
    """With all published models."""


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("checkpoint", ["legacy_multitarget_seed1", "modern_seed2"])
def test_charges_per_atom_are_the_published_ones(load, structures, build_graph, checkpoint, name):
    published = load(checkpoint)
    graph = build_graph([structures[name]], published.model.cutoff)
    charges = published.values(graph)["mtt::charges"]
    (block,) = published.predictions[name]["other"]["mtt::charges"]["blocks"]
    assert_close(charges, double(block["values"]), **TIGHT)
