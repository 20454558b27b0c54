"""A Gap whose sparse points are environments of the test systems, without any fit."""

import torch

from architectures.gap import Gap
from architectures.gap.spectrum import normalised
from metatrain.data.batches import BatchColumns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.nn import Graph
from metatrain.testing import systems


def graph_of(atoms: list, cutoff: float) -> Graph:
    columns = systems.columns_of(atoms)
    pairs = find_pairs(columns, cutoff)
    batches = BatchColumns(columns, pairs, dtype=torch.float64, device=torch.device("cpu"))
    return batches.batch(torch.arange(len(columns))).graph


def with_points(model: Gap) -> Gap:
    """The model with two points of each type, and coefficients of order one."""
    graph = graph_of(systems.everything(), model.cutoff)
    types = model.type_index(graph.types)
    spectra = normalised(model.spectrum(model.coefficients(graph, types)))
    generator = torch.Generator().manual_seed(0)
    for kind, kernel in enumerate(model.sparse_kernels()):
        points = spectra[types == kind][:2]
        size = (len(points), sum(model.num_values))
        kernel.set(points, torch.randn(size, generator=generator, dtype=torch.float64))
    return model
