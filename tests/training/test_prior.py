"""A fixed part of the energy: taken from the labels, added by the exported model."""

from typing import Dict

import torch
from torch import Tensor

from metatrain.data.dataset import Dataset
from metatrain.evaluation import Predictor
from metatrain.nn import Graph
from metatrain.training.learnable import Learnable
from pair_model import CPU, ENERGY, PairModel, info_of, labelled, new_model


class Repulsion(torch.nn.Module):
    """(3.5 - r)^4 of each pair, half of it for each atom, in eV."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        distances = graph.vectors.square().sum(dim=1).sqrt()
        energies = 0.5 * (3.5 - distances).clamp(min=0.0) ** 4
        zeros = torch.zeros_like(graph.types, dtype=energies.dtype)
        return {"energy": zeros.index_add(0, graph.centers, energies).unsqueeze(1)}


class WithPrior(PairModel):
    """The pair model, and a repulsion."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.prior = Repulsion()


def silent_model() -> WithPrior:
    """A model whose network says nothing, so that its energy is the prior's."""
    model = new_model(model_class=WithPrior)
    for parameter in model.readouts.parameters():
        torch.nn.init.zeros_(parameter)
    return model


def predictions_of(model, columns):
    return Predictor(
        model.export(), {"energy": ENERGY}, length_unit="angstrom", device=CPU, batch_size=4
    )(columns)


def test_the_exported_model_adds_the_prior_in_the_unit_of_the_target():
    model, columns = silent_model(), labelled(4)
    plain = predictions_of(model, columns).values["energy"]
    model.standardization.scales["energy"][:] = 3.0
    model.standardization.baselines["energy"][:] = 2.0
    found = predictions_of(model, columns).values["energy"]
    assert (plain > 1.0).all()
    torch.testing.assert_close(found, plain + 2.0 * columns.num_atoms.unsqueeze(1))


def test_nothing_is_left_to_learn_of_labels_that_are_the_prior():
    model, columns = silent_model(), labelled(5)
    found = predictions_of(model, columns)
    columns.values["energy"] = found.values["energy"]
    columns.forces["energy"] = found.forces["energy"]
    columns.stress["energy"] = found.stress["energy"]
    left = Learnable.of([Dataset(columns, info_of().targets, torch.float64)], model).columns
    assert left.values["energy"].abs().max() < 1e-10
    assert left.forces["energy"].abs().max() < 1e-10
    is_bulk = columns.pbc.all(dim=1)
    assert left.stress["energy"][is_bulk].abs().max() < 1e-10
    assert left.stress["energy"][~is_bulk].isnan().all()


def test_a_model_without_prior_leaves_the_labels_alone():
    columns = labelled(3)
    data = Dataset(columns, info_of().targets, torch.float64)
    left = Learnable.of([data], new_model()).columns
    assert torch.equal(left.values["energy"], columns.values["energy"])
