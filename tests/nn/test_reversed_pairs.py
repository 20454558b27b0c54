"""Pairs and their reverses."""

import ase
import torch

from metatrain.nn import both_directions
from metatrain.testing import systems
from published_models import graph_of


def test_every_pair_has_one_reverse_through_the_same_image():
    graph = graph_of([systems.crystal(), systems.molecule(), systems.chain()], 4.0)
    forward, reverse = both_directions(graph)
    every = torch.cat([forward, reverse])
    assert every.sort().values.tolist() == list(range(len(graph.centers)))
    assert (graph.centers[forward] == graph.neighbors[reverse]).all()
    assert (graph.shifts[forward] == -graph.shifts[reverse]).all()
    assert (graph.vectors[forward] == -graph.vectors[reverse]).all()


def test_images_at_the_same_distance_are_told_apart():
    atom = ase.Atoms("C", cell=[2.0, 2.0, 2.0], pbc=True)
    graph = graph_of([atom], 4.0)
    forward, reverse = both_directions(graph)
    assert len(forward) == 13  # half of the 6 + 12 + 8 nearest images
    assert (graph.vectors[forward] == -graph.vectors[reverse]).all()


def test_a_pair_without_a_reverse_is_left_out():
    graph = graph_of([systems.molecule()], 4.0)
    for removed in range(len(graph.centers)):
        kept = torch.arange(len(graph.centers)) != removed
        rest = graph._replace(
            vectors=graph.vectors[kept],
            centers=graph.centers[kept],
            neighbors=graph.neighbors[kept],
            shifts=graph.shifts[kept],
        )
        forward, reverse = both_directions(rest)
        assert len(forward) == len(graph.centers) // 2 - 1
        assert (rest.vectors[forward] == -rest.vectors[reverse]).all()


def test_no_pairs_at_all():
    assert both_directions(graph_of([systems.lone_atom()], 4.0)).shape == (2, 0)
