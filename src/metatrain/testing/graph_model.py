"""Tests of what is special about graph models: scripting, tracing, exact restarts."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from metatrain.data.batches import BatchColumns
from metatrain.data.neighbor_lists import find_pairs
from metatrain.data.target import DatasetInfo, Target
from metatrain.hypers import restored
from metatrain.model import GraphModel
from metatrain.nn.graph import Graph
from metatrain.testing import systems
from metatrain.testing.architecture import ENERGY, ArchitectureTests, assert_close
from metatrain.training.scripting import check_values
from metatrain.training.step import predict


def with_moved_weights(model: GraphModel) -> GraphModel:
    """The same model, with weights that are no more those of a new one.

    Many layers begin with factors of one and offsets of zero, with which a mistake does nothing. To each
    weight a random number of size 0.1 is added.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            change = torch.randn(weights.shape, generator=generator, dtype=weights.dtype)
            weights.add_(change, alpha=0.1)
    return model


class ForwardTests(ArchitectureTests):
    """What every :class:`metatrain.model.GraphModel` fulfils, however it is trained."""

    def graph(self, dtype: torch.dtype = torch.float64) -> Graph:
        """All test systems as one graph."""
        columns = systems.columns_of(self.everything())
        pairs = find_pairs(columns, self.new_model().cutoff)
        batches = BatchColumns(columns, pairs, dtype=dtype, device=torch.device("cpu"))
        return batches.batch(torch.arange(len(columns))).graph

    def test_scripted_gives_what_eager_gives(self) -> None:
        model, graph = self.new_model(), self.graph()
        scripted = torch.jit.script(model)
        # TorchScript optimizes code in its second and third run
        for _ in range(3):
            self._check_same(scripted, model, graph)

    def test_traced_gives_what_eager_gives(self) -> None:
        model, graph = self.new_model(), self.graph()

        def of_tensors(*tensors: Tensor) -> dict[str, Tensor]:
            return model(Graph(*tensors))

        traced = make_fx(of_tensors)(*graph)
        self._check_same(lambda graph: traced(*graph), model, graph)

    def _check_same(self, other: Any, model: Any, graph: Graph) -> None:
        """Values and their derivatives by pair vectors, positions and cells are equal."""
        results = []
        for function in (other, model):
            leaves = [
                leaf.clone().requires_grad_()
                for leaf in (graph.vectors, graph.positions, graph.cells)
            ]
            changed = dict(zip(("vectors", "positions", "cells"), leaves, strict=True))
            values = function(graph._replace(**changed))["energy"]
            gradients = torch.autograd.grad(values.sum(), leaves, materialize_grads=True)
            results.append((values.detach(), *gradients))
        for found, expected in zip(*results, strict=True):
            assert_close(found, expected)

    def test_targets_that_are_named_are_those_of_all(self) -> None:
        model_class = self.plugin.model_class
        if not model_class.takes_targets():
            return
        targets = {"energy": ENERGY, "mtt::other": Target("mtt::other")}
        info = DatasetInfo("angstrom", list(systems.ATOMIC_TYPES), targets)
        hypers = restored(self.plugin.model_hypers, self.model_hypers)
        check_values(model_class(hypers, info).to(torch.float64), self.graph())

    def test_training_sees_what_the_exported_model_computes(self) -> None:
        model, graph = with_moved_weights(self.new_model()), self.graph()
        found = predict(_WithPrior(model), graph, {"energy": ENERGY}, is_training=False)["energy"]
        exported = self.predict(self.everything(), model.export())
        num_atoms = torch.bincount(graph.system)
        assert_close(found.values.squeeze(1) * num_atoms, exported.values["energy"].squeeze(1))
        assert found.forces is not None
        assert found.strain is not None
        assert_close(found.forces, exported.forces["energy"])
        volumes = torch.linalg.det(graph.cells).abs()
        is_bulk = volumes > 0
        stress = found.strain * (num_atoms / volumes).reshape(-1, 1, 1)
        assert_close(stress[is_bulk], exported.stress["energy"][is_bulk])


class GraphModelTests(ForwardTests):
    """What every graph model fulfils that is trained by gradients, beside the rest."""

    def test_a_restarted_training_ends_as_the_unbroken_one(self, tmp_path: Path) -> None:
        hypers = {
            "num_epochs": 3,
            "batch_size": 2,
            "ema_decay": 0.9,
            "seed": 3,
            "loggers": [f"{__name__}:KeepFirstCheckpoint"],
            **self.training_hypers,
        }
        unbroken, trainer = self.trained(tmp_path, hypers)
        first = tmp_path / "first.ckpt"
        model = self.plugin.model_class.load_checkpoint(first).restart(self.info)
        resumed = self.plugin.trainer_class.load_checkpoint(first, trainer.hypers)
        data = self.dataset()
        resumed.train(model, [torch.device("cpu")], [data], [data], tmp_path / "resumed")
        for name, weight in unbroken.state_dict().items():
            assert torch.equal(weight, model.state_dict()[name]), name


class _WithPrior(torch.nn.Module):
    """The network and its prior, which training takes from the labels beforehand."""

    def __init__(self, model: GraphModel) -> None:
        super().__init__()
        self.model = model
        self.uses_positions = model.uses_positions

    def forward(self, graph: Graph) -> dict[str, Tensor]:
        """Values per atom (a new model has scales of one and no baseline)."""
        fixed = self.model.prior(graph)
        values = self.model(graph)
        return {name: of + fixed[name] if name in fixed else of for name, of in values.items()}


@dataclass(frozen=True)
class KeepFirstCheckpoint:
    """A logger that keeps the checkpoint of the first epoch as ``first.ckpt``."""

    def __call__(self, directory: Path) -> "KeepFirstCheckpoint.Session":
        """Start with the checkpoints of this folder."""
        return self.Session(directory)

    @dataclass
    class Session:
        """The run whose checkpoint is kept."""

        directory: Path

        def log(self, step: int, metrics: dict[str, float]) -> None:  # noqa: ARG002
            """Keep what the epoch before has saved."""
            last = self.directory / "last.ckpt"
            if step == 2 and last.exists():
                shutil.copy(last, self.directory / "first.ckpt")

        def close(self) -> None:
            """Nothing is open."""
