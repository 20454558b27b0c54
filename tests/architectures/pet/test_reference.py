"""Our model with published weights gives the published values."""

import pytest
import torch
from torch.testing import assert_close

from published_models import STRUCTURES, TIGHT, PublishedModelTests, double, graph_of


class TestPublished(PublishedModelTests):
    """With all published models."""


@pytest.mark.parametrize("name", STRUCTURES)
def test_vectors_tensors_and_charges_are_the_published_ones(load, structures, name):
    published = load("multitarget_seed1")
    values = published.values(graph_of([structures[name]], published.model.cutoff))
    others = published.predictions[name]["other"]
    assert list(others) == [target for target in values if target != "energy"]
    for target_name, expected in others.items():
        target = published.model.dataset_info.targets[target_name]
        found = values[target_name]
        if not target.is_per_atom:
            found = found.sum(dim=0, keepdim=True)
        for layout, block in zip(target.blocks, expected["blocks"], strict=True):
            flat = double(block["values"]).flatten(1)
            assert_close(found[:, layout.columns], flat, **TIGHT)


@pytest.mark.parametrize("name", STRUCTURES)
def test_cutoffs_and_numbers_of_neighbors_are_the_published_ones(published, structures, name):
    neighborhoods = published.model.selection(graph_of([structures[name]], published.model.cutoff))
    expected = published.predictions[name]["cutoff_stats"]
    assert_close(neighborhoods.radii, double(expected["atomic_cutoff"]), **TIGHT)
    counts = torch.bincount(neighborhoods.graph.centers, minlength=len(structures[name]))
    assert counts.tolist() == expected["num_neighbors"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_features_are_the_published_ones(published, structures, name):
    graph = graph_of([structures[name]], published.model.cutoff)
    features, neighborhoods = published.model.features(graph)
    messages = torch.cat(features.messages, dim=1) * neighborhoods.weights.unsqueeze(1)
    of_atoms = torch.cat([*features.nodes, messages.new_zeros(len(graph.types), 0)], dim=1)
    sums = torch.cat([of_atoms.sum(dim=0), messages.sum(dim=0)])[:8]
    expected = double(published.predictions[name]["feature_sum_over_atoms_first8"])
    assert_close(sums, expected, **TIGHT)
