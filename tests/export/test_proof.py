"""The proof accepts what is right, and refuses what only looks right."""

from typing import Dict

import pytest
import torch
from metatomic.torch import ModelMetadata
from torch import Tensor

from metatrain.data.target import Target
from metatrain.export.process import FreshProcess
from metatrain.export.proof import ExportError, prove
from metatrain.nn import Foldable, Graph
from metatrain.workflows.export import write
from pair_model import ENERGY, PairModel, new_model, trained


class Detached(PairModel):
    """Right values whose derivatives lack a part."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        squares = (graph.vectors.detach() / self.cutoff).square().sum(dim=1, keepdim=True)
        whole = (graph.vectors / self.cutoff).square().sum(dim=1, keepdim=True)
        fading = (1.0 - squares).clamp(min=0.0) ** 3 * torch.exp(-whole)
        zeros = torch.zeros_like(graph.positions[:, :1])
        return {"energy": zeros.index_add(0, graph.centers, fading)}


class Constant(PairModel):
    """Looks at the elements alone."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energy": self.center_shifts(graph.types)[:, :1]}


class Derived(PairModel):
    """Has features that are derivatives themselves."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        vectors = graph.vectors
        if not vectors.requires_grad:
            vectors = vectors.detach().requires_grad_()
        whole = (vectors / self.cutoff).square().sum(dim=1, keepdim=True)
        density = (1.0 - whole).clamp(min=0.0) ** 4 * torch.exp(-whole)
        gradient = torch.autograd.grad([density.sum()], [vectors], create_graph=True)[0]
        assert gradient is not None
        zeros = torch.zeros_like(graph.positions[:, :1])
        squares = gradient.square().sum(dim=1, keepdim=True)
        return {"energy": torch.tanh(zeros.index_add(0, graph.centers, squares))}


class WronglyFolded(PairModel, Foldable):
    """Is another model once it is folded."""

    def fold(self) -> None:
        self.neighbor_factors.weight.mul_(1.01)


class NotANumber(PairModel):
    """Gives NaN in memory and in the file alike."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energy": 0.0 * self.density(graph)[:, :1] / 0.0}


def saved(model, path):
    exported = model.export()
    exported.save(path)
    return exported


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_right_model_is_accepted(tmp_path, dtype, process):
    targets = [ENERGY, Target("mtt::gap", reduction="mean"), Target("mtt::q", sample_kind="atom")]
    exported = saved(new_model(*targets, dtype=dtype), tmp_path / "model.pt")
    agreement = prove(process, tmp_path / "model.pt", exported, None)
    assert agreement.value < 1e-6
    assert agreement.difference < 1e-7


def test_a_model_without_forces_is_accepted(tmp_path, process):
    exported = saved(new_model(model_class=Constant), tmp_path / "model.pt")
    assert prove(process, tmp_path / "model.pt", exported, None).gradient == 0


def test_a_model_whose_features_are_derivatives_is_accepted(tmp_path, process):
    exported = saved(new_model(model_class=Derived), tmp_path / "model.pt")
    assert prove(process, tmp_path / "model.pt", exported, None).difference < 1e-7
    trained(tmp_path / "run", model=new_model(model_class=Derived), num_epochs=1)


def test_products_of_weights_that_are_not_those_of_the_model_are_refused(tmp_path, process):
    model = new_model(model_class=WronglyFolded)
    with pytest.raises(ExportError, match=r"products of weights, .* make another model"):
        write(model, tmp_path / "model.pt", None, ModelMetadata(), process=process)
    assert not (tmp_path / "model.pt").exists()


def test_right_values_with_wrong_forces_are_refused(tmp_path, process):
    exported = saved(new_model(model_class=Detached), tmp_path / "model.pt")
    with pytest.raises(ExportError, match=r"forces or stress .* differ from finite differences"):
        prove(process, tmp_path / "model.pt", exported, None)


def test_a_file_whose_weights_were_changed_is_refused(tmp_path, process):
    exported = saved(new_model(), tmp_path / "model.pt")
    with torch.no_grad():
        exported.module.network.neighbor_factors.weight[6] += 0.1
    with pytest.raises(ExportError, match="differs from the one in memory: values by"):
        prove(process, tmp_path / "model.pt", exported, None)


def test_a_file_that_has_another_baseline_is_refused(tmp_path, process):
    exported = saved(new_model(), tmp_path / "model.pt")
    exported.module.targets[0].baseline += 0.01
    with pytest.raises(ExportError, match="differs from the one in memory: values by"):
        prove(process, tmp_path / "model.pt", exported, None)


def test_nan_is_refused(tmp_path, process):
    exported = saved(new_model(model_class=NotANumber), tmp_path / "model.pt")
    with pytest.raises(ExportError, match="values by nan"):
        prove(process, tmp_path / "model.pt", exported, None)


def test_a_file_that_does_not_load_is_refused(tmp_path, process):
    exported = saved(new_model(), tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:5000])
    with pytest.raises(ExportError, match="does not run on its own"):
        prove(process, tmp_path / "model.pt", exported, None)


def test_a_process_that_is_not_asked_ends_with_its_context():
    with FreshProcess() as process:
        assert process._process.poll() is None
    assert process._process.poll() is not None
