import dataclasses

import pytest
import torch

from metatrain.data.batches import BatchColumns
from metatrain.data.columns import Columns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.data.reading import read_columns

CUTOFF = 3.0


@pytest.fixture
def columns(files, energy_source):
    sources = [
        energy_source(files / "isolated_atoms.xyz"),
        energy_source(files / "mptrj.xyz", forces="forces", stress="stress"),
    ]
    both = Columns.concatenate([read_columns(source) for source in sources])
    values = both.values | {"mtt::charge": torch.rand(len(both.types), 2, dtype=torch.float64)}
    charges = torch.arange(len(both), dtype=torch.float64) - 4
    inputs = {"charge": charges, "spin_multiplicity": charges + 5}
    return dataclasses.replace(both, values=values, inputs=inputs)


@pytest.fixture
def batches(columns):
    pairs = find_pairs(columns, CUTOFF)
    return BatchColumns(columns, pairs, torch.float64, torch.device("cpu"))


@pytest.mark.parametrize("systems", [[7, 2, 0, 9, 4], [3, 4, 5, 6], [9], [0], [1, 2, 4], [5, 5]])
def test_a_batch_is_what_its_systems_are_on_their_own(columns, batches, systems):
    graph, values, forces, stress = batches.batch(torch.tensor(systems))
    alone = columns.select(systems)
    pairs = find_pairs(alone, CUTOFF)
    first_atoms = alone.offsets[:-1].repeat_interleave(pairs.offsets.diff())
    assert torch.equal(graph.types, alone.types)
    assert torch.equal(graph.positions, alone.positions)
    assert torch.equal(graph.cells, alone.cells)
    assert torch.equal(graph.system, alone.system_of_atom)
    assert torch.equal(graph.centers, pairs.centers + first_atoms)
    assert torch.equal(graph.neighbors, pairs.neighbors + first_atoms)
    assert torch.equal(graph.vectors, pairs.vectors)
    assert graph.charges.tolist() == [system - 4 for system in systems]
    assert graph.spin_multiplicities.tolist() == [system + 1 for system in systems]
    for labels, expected in (
        (values, alone.values),
        (forces, alone.forces),
        (stress, alone.stress),
    ):
        assert labels.keys() == expected.keys()
        for name in labels:
            torch.testing.assert_close(
                labels[name], expected[name], equal_nan=True, rtol=0.0, atol=0.0
            )


@pytest.mark.parametrize("systems", [[7, 2, 9], [4, 5, 6]])
def test_centers_ascend_and_indices_are_int64(batches, systems):
    graph = batches.batch(torch.tensor(systems)).graph
    assert (graph.centers.diff() >= 0).all()
    for index in (graph.types, graph.centers, graph.neighbors, graph.system, graph.charges):
        assert index.dtype == torch.int64


def test_a_batch_of_single_atoms_has_no_pairs(batches):
    graph = batches.batch(torch.tensor([3, 0])).graph
    assert graph.vectors.shape == (0, 3)
    assert graph.system.tolist() == [0, 1]


def test_a_data_set_may_be_empty(columns):
    nothing = columns.select([])
    pairs = find_pairs(nothing, CUTOFF)
    assert len(BatchColumns(nothing, pairs, torch.float64, torch.device("cpu"))) == 0
    assert nothing.atomic_types() == []


def test_numbers_have_the_precision_of_the_network(columns):
    pairs = find_pairs(columns, CUTOFF)
    batches = BatchColumns(columns, pairs, torch.float32, torch.device("cpu"))
    batch = batches.batch(torch.tensor([4, 8]))
    assert batch.graph.vectors.dtype == batch.values["energy"].dtype == torch.float32
    # float32 positions would give other vectors: the difference has to be taken before
    exact = pairs.select(torch.tensor([4, 8])).vectors
    assert torch.equal(batch.graph.vectors, exact.float())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("is_full", [False, True])
def test_batches_are_on_the_gpu_whether_the_data_set_fits_there_or_not(
    columns, monkeypatch, is_full
):
    if is_full:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 0))
    gpu, pairs = torch.device("cuda"), find_pairs(columns, CUTOFF)
    found, expected = (
        BatchColumns(columns, pairs, torch.float32, device).batch(torch.tensor([7, 2, 9]))
        for device in (gpu, torch.device("cpu"))
    )
    for one, other in zip(found.graph, expected.graph, strict=True):
        assert one.is_cuda
        assert torch.equal(one.cpu(), other)
