"""Matrix products of less than full precision."""

import logging

import pytest
import torch

from metatrain import checkpoint
from metatrain.data.batches import BatchColumns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.data.target import Target
from metatrain.errors import MetatrainError
from metatrain.training.precision import products_in
from metatrain.training.step import predict
from pair_model import CPU, ENERGY, labelled, new_model, trained


def test_linear_layers_round_to_bfloat16_and_give_float32():
    layer, x = torch.nn.Linear(5, 3), torch.randn(4, 5)
    with products_in("bf16"):
        found = layer(x)
        assert torch.equal(found, layer.bfloat16()(x.bfloat16()).float())
    assert found.dtype == torch.float32


def test_layers_are_rounded_however_they_are_called_and_only_those_of_float32():
    rows, weights = torch.rand(3, 4), torch.rand(2, 4)
    with products_in("bf16"):
        named = torch.nn.functional.linear(input=rows, weight=weights)
        placed = torch.nn.functional.linear(rows, weights)
        exact = torch.nn.functional.linear(rows.double(), weights.double())
    assert torch.equal(named, placed)
    assert not torch.equal(named, rows @ weights.T)
    assert torch.equal(exact, rows.double() @ weights.double().T)


def test_the_log_says_what_is_computed_in_bfloat16(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="metatrain")
    trained(tmp_path / "full", dtype=torch.float32)
    assert "bfloat16" not in caplog.text
    trained(tmp_path / "bf16", dtype=torch.float32, precision="bf16")
    assert "in training, linear layers multiply in bfloat16" in caplog.text


@pytest.mark.parametrize("asked", ["tf32", "bf16"])
def test_afterwards_products_are_as_before(asked):
    layer, x = torch.nn.Linear(5, 3), torch.randn(4, 5)
    before = layer(x), torch.get_float32_matmul_precision()
    with products_in(asked):
        layer(x)
    assert torch.equal(before[0], layer(x))
    assert before[1] == torch.get_float32_matmul_precision()


def test_forces_of_rounded_products_are_nearly_those_of_full_ones():
    model, targets, columns = new_model(dtype=torch.float32), {"energy": ENERGY}, labelled(2)
    data = BatchColumns(columns, find_pairs(columns, model.cutoff), torch.float32, CPU)
    graph = data.batch(torch.arange(2)).graph
    exact = predict(model, graph, targets, is_training=True)["energy"].forces
    with products_in("bf16"):
        rounded = predict(model, graph, targets, is_training=True)["energy"].forces
    assert 0 < (rounded - exact).abs().max() < 0.02 * exact.abs().max()


def test_training_with_rounded_products_learns_as_well(tmp_path):
    energy = Target("energy", "energy", "eV")
    losses = []
    for precision in ("full", "bf16"):
        folder = tmp_path / precision
        model = new_model(energy, dtype=torch.float32)
        options = {"num_epochs": 30, "learning_rate": 0.02, "precision": precision}
        trained(folder, model=model, dtype=torch.float32, **options)
        history = checkpoint.load(folder / "last.ckpt")["trainer"]["progress"]["history"]
        losses.append(history[-1]["training loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize(
    ("asked", "dtype", "message"),
    [
        ("tf32", torch.float32, "'tf32' is for Nvidia GPUs, the device is cpu; use 'full'"),
        ("bf16", torch.float64, "'bf16' is for float32; with base_precision 64 use 'full'"),
    ],
)
def test_a_precision_that_would_change_nothing_is_refused(tmp_path, asked, dtype, message):
    with pytest.raises(MetatrainError, match=f"architecture.training.precision: {message}"):
        trained(tmp_path, dtype=dtype, precision=asked)
