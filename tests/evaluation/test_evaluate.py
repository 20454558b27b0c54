"""A stream of systems: what is counted, what is written, what is forgotten."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from metatrain.data.frames import Column, Frames
from metatrain.data.reading import read_columns
from metatrain.data.source import DataSource, SystemsSource, TargetSource
from metatrain.data.target import Target
from metatrain.data.writers.extxyz import ExtxyzWriter
from metatrain.evaluation import Evaluation, Predictor, errors_of
from metatrain.metrics import ErrorSums
from pair_model import CPU, ENERGY, labelled, new_model
from tensor_model import TENSORS, TensorModel

CHARGE = Target("mtt::charge", "charge", "e", "atom", num_properties=2)
TARGETS = {"energy": ENERGY, "mtt::charge": CHARGE}


@pytest.fixture(scope="module")
def predictor():
    model = new_model(*TARGETS.values()).export()
    return Predictor(model, TARGETS, length_unit="angstrom", device=CPU, batch_size=4)


def chunk(num_systems=4):
    """Frames as read, with what a file may hold, and their columns."""
    columns = labelled(num_systems, *TARGETS.values())
    everywhere = np.ones(num_systems, dtype=bool)
    frames = Frames(
        offsets=columns.offsets.numpy(),
        types=columns.types.numpy(),
        positions=columns.positions.numpy(),
        cells=columns.cells.numpy(),
        pbc=columns.pbc.numpy(),
        system_data={"name": Column(np.array(num_systems * ["a"], dtype=object), everywhere)},
        atom_data={"tag": Column(np.arange(len(columns.types)), everywhere)},
        system_results={"energy": Column(columns.values["energy"].numpy()[:, 0], everywhere)},
        atom_results={"forces": Column(columns.forces["energy"].numpy(), everywhere)},
    )
    return frames, columns


def test_predictions_stand_beside_what_the_file_had(predictor):
    frames, columns = chunk()
    (found,) = Evaluation(predictor).stream([(frames, columns)])
    predictions = predictor(columns)
    assert set(found.system_data) == {"name", "energy", "stress", "reference_energy"}
    assert set(found.atom_data) == {"tag", "forces", "mtt::charge", "reference_forces"}
    assert found.system_results == found.atom_results == {}
    energy = predictions.values["energy"].squeeze(1).numpy()
    np.testing.assert_array_equal(found.system_data["energy"].values, energy)
    np.testing.assert_array_equal(
        found.atom_data["forces"].values, predictions.forces["energy"].numpy()
    )
    assert found.system_data["reference_energy"] is frames.system_results["energy"]
    assert found.atom_data["reference_forces"] is frames.atom_results["forces"]
    assert found.atom_data["mtt::charge"].values.shape == (16, 2)


def test_tensors_are_written_as_the_numbers_that_are_read(tmp_path):
    targets = {target.name: target for target in TENSORS}
    model = new_model(*TENSORS, model_class=TensorModel).export()
    predictor = Predictor(model, targets, length_unit="angstrom", device=CPU, batch_size=4)
    frames, columns = chunk()
    (found,) = Evaluation(predictor).stream([(frames, columns)])
    with ExtxyzWriter().open(tmp_path / "found.xyz") as file:
        file.write(found)
    source = DataSource(
        "",
        SystemsSource(str(tmp_path / "found.xyz"), None, "angstrom"),
        {
            name: TargetSource(
                str(tmp_path / "found.xyz"),
                None,
                name.replace(":", "_") if target.is_per_atom else name,
                sample_kind=target.sample_kind,
                num_subtargets=target.num_properties,
                rank=target.rank,
                irreps=target.irreps,
            )
            for name, target in targets.items()
        },
    )
    again = read_columns(source)
    for name, values in predictor(columns).values.items():
        assert torch.equal(again.values[name], values)


def test_systems_that_are_no_bulk_have_no_stress(predictor):
    (found,) = Evaluation(predictor).stream([chunk()])
    stress = found.system_data["stress"]
    assert stress.is_present.tolist() == [False, True, False, True]
    assert np.isfinite(stress.values[stress.is_present]).all()


def test_systems_are_as_they_were_read(predictor):
    frames, columns = chunk()
    (found,) = Evaluation(predictor).stream([(frames, columns)])
    for name in ("offsets", "types", "positions", "cells", "pbc"):
        assert getattr(found, name) is getattr(frames, name)


def test_errors_are_those_of_the_whole_stream(predictor):
    _, columns = chunk(6)
    evaluation = Evaluation(predictor)
    parts = [columns.select(range(4)), columns.select([4, 5])]
    for _ in evaluation.stream([(chunk(len(part))[0], part) for part in parts]):
        pass
    predictions = predictor(columns)
    assert evaluation.num_systems == 6
    energy = (predictions.values["energy"] - columns.values["energy"]) / 4
    forces = predictions.forces["energy"] - columns.forces["energy"]
    stress = (predictions.stress["energy"] - columns.stress["energy"])[1::2]
    charge = predictions.values["mtt::charge"] - columns.values["mtt::charge"]
    for name, error in (
        ("energy", energy),
        ("forces", forces),
        ("stress", stress),
        ("mtt::charge", charge),
    ):
        expected = error.square().mean().sqrt()
        assert_close(torch.tensor(evaluation.errors.rmse(name)), expected.float())


def test_labels_that_are_not_there_count_for_nothing(predictor):
    _, columns = chunk()
    errors = ErrorSums()
    predictions = predictor(columns)
    columns.values.clear()
    columns.stress.clear()
    errors_of(predictions, columns, TARGETS, errors)
    assert errors.names == ["forces"]


def test_nothing_of_an_earlier_chunk_is_kept(predictor):
    alive = []

    def chunks():
        for _ in range(5):
            frames, columns = chunk()
            alive.append((weakref.ref(frames), weakref.ref(columns.positions)))
            yield frames, columns
            del frames, columns

    for _ in Evaluation(predictor).stream(chunks()):
        gc.collect()
        earlier = [ref() for pair in alive[:-1] for ref in pair]
        assert all(thing is None for thing in earlier)
