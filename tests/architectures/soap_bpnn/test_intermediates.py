"""Values inside the model, for water, are the published ones."""

import pytest
import torch
from torch.testing import assert_close

from metatrain.nn import neighborhoods, power_spectrum, shifted_cosine

# float64 with sums in another order
TIGHT = {"rtol": 1e-11, "atol": 1e-12}
CHECKPOINTS = ["default_seed0", "legacy_multitarget_seed1", "modern_seed2"]


@pytest.fixture(params=CHECKPOINTS)
def loaded(request, load):
    return load(request.param)


@pytest.fixture
def water(loaded, structures, build_graph):
    return build_graph([structures["water"]], loaded.model.cutoff)


def expansion_of(model, graph):
    types = model.type_index(graph.types)
    pairs = neighborhoods(graph.centers, torch.arange(len(types)))
    return model.expansion(graph.vectors, types[graph.neighbors], pairs, model.num_types)


def to_published_order(model, rows):
    """Invariants with the channel fastest, as published."""
    channels = model.expansion.channels.num_channels
    blocks, offset = [], 0
    for count in model.expansion.radial_counts:
        size = (channels * count) ** 2
        block = rows[:, offset : offset + size].view(-1, channels, count, channels, count)
        blocks.append(block.permute(0, 2, 1, 4, 3).flatten(1))
        offset += size
    return torch.cat(blocks, dim=1)


def test_cutoff_and_radial_functions(loaded):
    expansion, expected = loaded.model.expansion, loaded.intermediates
    distances = expected["radial/r"]
    weights = shifted_cosine(distances, expansion.cutoff, expansion.cutoff_width)
    assert_close(weights, expected["cutoff_function"], **TIGHT)
    assert expansion.radial_counts == expected["radial/n_per_l"].tolist()
    assert_close(expansion.radial(distances), expected["radial/value_l_concatenated"], **TIGHT)


def test_spherical_harmonics(loaded):
    vectors = loaded.intermediates["angular/vectors"]
    harmonics = loaded.model.expansion.angular(vectors / vectors.norm(dim=1, keepdim=True))
    assert_close(harmonics, loaded.intermediates["angular/Y_lm_l_concatenated"], **TIGHT)


def test_expansion(loaded, water):
    channels = loaded.model.expansion.channels.num_channels
    for degree, coefficients in enumerate(expansion_of(loaded.model, water)):
        expected = loaded.intermediates[f"expansion/l{degree}/atom_m_n_species"]
        ours = coefficients.unflatten(2, (channels, -1)).transpose(2, 3)  # (N, 2 l + 1, n, a)
        assert_close(ours, expected, **TIGHT)


@pytest.mark.parametrize("checkpoint", ["default_seed0", "legacy_multitarget_seed1"])
def test_power_spectrum_norm_and_hidden_features_of_each_type(
    load, structures, build_graph, checkpoint
):
    loaded = load(checkpoint)
    graph = build_graph([structures["water"]], loaded.model.cutoff)
    expected = loaded.intermediates
    invariants = power_spectrum(expansion_of(loaded.model, graph))
    features, rows, _ = loaded.model.hidden_features(graph)
    for key, group in enumerate(loaded.model.type_index(torch.tensor([1, 8])).tolist()):
        atoms = expected[f"power_spectrum_atoms/key{key}"].long()
        published = to_published_order(loaded.model, invariants[atoms])
        assert_close(published, expected[f"power_spectrum/key{key}"], **TIGHT)
        normalised = loaded.model.networks.members[group][0](invariants[atoms])
        normalised = to_published_order(loaded.model, normalised)
        assert_close(normalised, expected[f"layernorm/key{key}"], **TIGHT)
        assert_close(features[rows[atoms]], expected[f"hidden/key{key}"], **TIGHT)


def test_power_spectrum_norm_and_hidden_features_with_embedded_types(load, structures, build_graph):
    loaded = load("modern_seed2")
    graph = build_graph([structures["water"]], loaded.model.cutoff)
    model, expected = loaded.model, loaded.intermediates
    invariants = power_spectrum(expansion_of(model, graph))
    encoded = invariants * model.center_encoding(model.type_index(graph.types))
    normalised = model.networks.members[0][0](encoded)
    features, rows, _ = model.hidden_features(graph)
    assert_close(to_published_order(model, normalised), expected["layernorm"], **TIGHT)
    assert_close(features[rows], expected["hidden"], **TIGHT)
