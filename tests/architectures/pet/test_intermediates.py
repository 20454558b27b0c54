"""Values inside the model are the published ones, pair by pair."""

import json

import pytest
import torch
from torch.testing import assert_close

from metatrain.nn import both_directions
from published_models import ARCHITECTURES, TIGHT, double, graph_of

EDGES = {
    "default_seed0": "intermediate_pet_edges_diamond_primitive.json",
    "adaptive_solver_seed2": "intermediate_pet_adaptive_solver_edges_diamond_primitive.json",
}
NAMES_OF_MODULES = {
    "gnn{layer}/block{block}/attention_output/": "featurizer.layers.{layer}.blocks.{block}.attention",
    "gnn{layer}/block{block}/output/": "featurizer.layers.{layer}.blocks.{block}",
    "gnn{layer}/output/": "featurizer.layers.{layer}",
}


def recorded(model, graph):
    """What each module gave in one evaluation."""
    outputs, handles = {}, []
    for name, module in model.named_modules():
        hook = lambda _, __, output, name=name: outputs.update({name: output})  # noqa: E731
        handles.append(module.register_forward_hook(hook))
    model(graph)
    for handle in handles:
        handle.remove()
    return outputs


def order_of(expected, graph):
    """For each published pair the index of ours."""
    ours = torch.cat([graph.centers.unsqueeze(1), graph.neighbors.unsqueeze(1), graph.shifts], 1)
    theirs = torch.cat(
        [
            double(expected[f"edges/{key}"]).view(len(ours), -1)
            for key in ("center", "neighbor", "cell_shift")
        ],
        dim=1,
    )
    same = (theirs.long().unsqueeze(1) == ours).all(dim=2)
    assert (same.sum(dim=1) == 1).all()
    return same.int().argmax(dim=1)


@pytest.mark.parametrize("checkpoint", list(EDGES))
def test_pairs_through_images_their_weights_and_their_reverses(load, structures, checkpoint):
    expected = json.loads((ARCHITECTURES / "pet/reference" / EDGES[checkpoint]).read_text())
    published = load(checkpoint)
    graph, weights, _ = published.model.selection(
        graph_of([structures["diamond_primitive"]], published.model.cutoff)
    )
    order = order_of(expected, graph)
    assert_close(graph.vectors[order], double(expected["edges/vector"]), **TIGHT)
    assert_close(weights[order], double(expected["edges/cutoff_weight"]), **TIGHT)
    half = len(order) // 2
    reverse_of_ours = (torch.arange(len(order)) + half) % len(order)
    reverse = order[torch.tensor(expected["edges/reverse_edge_index"]).long()]
    assert (reverse_of_ours[order] == reverse).all()


@pytest.mark.parametrize("checkpoint", ["default_seed0", "multitarget_seed1"])
def test_tokens_after_each_block_and_messages_after_each_layer(load, structures, checkpoint):
    published = load(checkpoint)
    graph = graph_of([structures["water"]], published.model.cutoff)
    selected, _, _ = published.model.selection(graph)
    outputs = recorded(published.model, graph)
    expected = published.intermediates
    order = order_of(expected, selected)
    num_atoms = len(graph.types)
    for layer in range(2):
        for key, module in NAMES_OF_MODULES.items():
            for block in range(2):
                name = key.format(layer=layer, block=block)
                found = outputs[module.format(layer=layer, block=block)]
                if "attention" in name:
                    nodes, pairs = found.split([num_atoms, len(order)])
                else:
                    nodes, pairs = found
                if isinstance(pairs, list):
                    (pairs,) = pairs  # one part
                suffix = "_token" if "attention" in name else ""
                assert_close(nodes, expected[f"{name}node{suffix}"], **TIGHT)
                assert_close(pairs[order], expected[f"{name}edge{suffix}"], **TIGHT)
        combination = outputs[f"featurizer.combinations.{layer}"][order]
        assert_close(combination, expected[f"gnn{layer}/combination_mlp_output"], **TIGHT)
    features, _ = published.model.features(graph)
    assert_close(features.nodes[0], expected["gnn1/after_exchange/node"], **TIGHT)
    assert_close(features.messages[0][order], expected["gnn1/after_exchange/edge"], **TIGHT)


@pytest.mark.parametrize("checkpoint", ["default_seed0", "multitarget_seed1"])
def test_heads_of_each_target(load, structures, checkpoint):
    published = load(checkpoint)
    graph = graph_of([structures["water"]], published.model.cutoff)
    order = order_of(published.intermediates, published.model.selection(graph)[0])
    outputs = recorded(published.model, graph)
    for k, target in enumerate(published.model.target_names):
        expected = published.intermediates
        nodes = outputs[f"readouts.{k}.layers.0.node_head"]
        pairs = outputs[f"readouts.{k}.layers.0.pair_head"][order]
        assert_close(nodes, expected[f"head/{target}/0/node"], **TIGHT)
        assert_close(pairs, expected[f"head/{target}/0/edge"], **TIGHT)


def test_a_pair_whose_reverse_is_missing_is_left_out(structures):
    graph = graph_of([structures["water"]], 4.5)
    fewer = graph._replace(
        vectors=graph.vectors[1:],
        centers=graph.centers[1:],
        neighbors=graph.neighbors[1:],
        shifts=graph.shifts[1:],
    )
    forward, reverse = both_directions(fewer)
    assert len(forward) == 2
    assert (fewer.vectors[forward] == -fewer.vectors[reverse]).all()
