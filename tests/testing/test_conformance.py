"""The conformance suite passes what is right, and fails each thing that is wrong."""

import inspect
from pathlib import Path
from typing import Dict

import pytest
import torch
from torch import Tensor
from torch.jit.frontend import FrontendError

from metatrain.nn import Graph
from metatrain.testing import GraphModelTests
from pair_model import PairModel, architecture_of


class TestPairModel(GraphModelTests):
    """Every test of the suite, for a model that is right."""

    plugin = architecture_of(PairModel)


class Turned(PairModel):
    """Looks at one direction more than at the others."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        stretch = torch.tensor([1.0, 1.0, 1.1], dtype=graph.vectors.dtype)
        values = torch.tanh(self.density(graph._replace(vectors=graph.vectors * stretch)))
        return {"energy": values[:, :1]}


class Handed(PairModel):
    """Tells left from right."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph)[:, :1])
        first = torch.zeros_like(graph.positions)
        weights = (1.0 - (graph.vectors / self.cutoff).square().sum(1, keepdim=True)) ** 3
        types = graph.types[graph.neighbors].unsqueeze(1)
        first = first.index_add(0, graph.centers, graph.vectors * weights)
        second = torch.zeros_like(graph.positions)
        second = second.index_add(0, graph.centers, graph.vectors * weights**2 * types)
        third = torch.zeros_like(graph.positions)
        third = third.index_add(0, graph.centers, graph.vectors * weights**3 * types**2)
        volume = (torch.linalg.cross(first, second) * third).sum(dim=1, keepdim=True)
        return {"energy": values + 0.01 * volume}


class Jumping(PairModel):
    """Has no cutoff function."""

    def density(self, graph: Graph) -> Tensor:
        squares = (graph.vectors / self.cutoff).square().sum(dim=1, keepdim=True)
        zeros = torch.zeros_like(self.center_shifts(graph.types))
        factors = self.neighbor_factors(graph.types[graph.neighbors])
        return zeros.index_add(0, graph.centers, torch.exp(-squares) * factors)


class Kinked(PairModel):
    """Has a cutoff function whose slope jumps."""

    def density(self, graph: Graph) -> Tensor:
        squares = (graph.vectors / self.cutoff).square().sum(dim=1, keepdim=True)
        zeros = torch.zeros_like(self.center_shifts(graph.types))
        factors = self.neighbor_factors(graph.types[graph.neighbors])
        return zeros.index_add(0, graph.centers, (1.0 - squares) * factors)


class Averaging(PairModel):
    """Divides by the number of atoms of the system: energies do not grow with it."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph))[:, :1] + 1.0
        return {"energy": values / torch.bincount(graph.system)[graph.system].unsqueeze(1)}


class Mixing(PairModel):
    """Lets the systems of a batch see each other."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph))[:, :1]
        return {"energy": values - values.mean()}


class Counting(PairModel):
    """Treats atoms by their place in the list."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph))[:, :1]
        return {"energy": values * (1.0 + 0.1 * torch.arange(len(values)).unsqueeze(1))}


class Listing(PairModel):
    """Treats the neighbors of an atom by their place in the list."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        weights = 1.0 + 0.1 * (torch.arange(len(graph.vectors)) % 2).unsqueeze(1)
        values = self.density(graph._replace(vectors=graph.vectors * weights))
        return {"energy": torch.tanh(values)[:, :1]}


class Placed(PairModel):
    """Knows where it is in space."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph))[:, :1]
        return {"energy": values + 0.01 * graph.positions[:, :1]}


class Detached(PairModel):
    """Hides a part of its input from autograd."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        shape = torch.tanh(self.density(graph._replace(vectors=graph.vectors.detach())))
        return {"energy": shape[:, :1] * torch.tanh(self.density(graph))[:, 1:2]}


class Dividing(PairModel):
    """Divides by the number of neighbors, be there any or not."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        density = self.density(graph)
        zeros = torch.zeros_like(density)
        counts = zeros.index_add(0, graph.centers, torch.ones_like(density)[graph.centers])
        return {"energy": (density / counts)[:, :1]}


class Coarse(PairModel):
    """Computes in single precision, whatever it is asked for."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph).to(torch.float32))
        return {"energy": values[:, :1].to(graph.vectors.dtype)}


class OnlyDouble(PairModel):
    """Has a constant that does not follow the precision of the network."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        constant = torch.ones(self.hypers.num_features, 1, dtype=torch.float64)
        return {"energy": torch.tanh(self.density(graph)) @ constant}


class Forgetful(PairModel):
    """Keeps a weight where no checkpoint finds it."""

    def __init__(self, hypers, dataset_info) -> None:
        super().__init__(hypers, dataset_info)
        self.hidden: float = float(torch.rand(()))

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        return {"energy": self.hidden * torch.tanh(self.density(graph))[:, :1]}


class Untraceable(PairModel):
    """Chooses its way by values."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph))[:, :1]
        if bool(values.sum() > 1e6):
            values = values * 2.0
        return {"energy": values}


class Unscriptable(PairModel):
    """Uses Python that TorchScript does not know."""

    def forward(self, graph: Graph) -> Dict[str, Tensor]:
        values = torch.tanh(self.density(graph))[:, :1]
        return dict(sorted([("energy", values)], key=lambda item: item[0]))


ROTATION = "test_rotation_turns_forces_and_stress_and_leaves_energies"
INVERSION = "test_inversion_turns_forces_and_leaves_energies"
CUTOFF = "test_energy_and_forces_do_not_jump_at_the_cutoff"
SUPERCELL = "test_energy_of_a_supercell_is_a_multiple"
MOLECULES = "test_energy_of_two_distant_molecules_is_the_sum"
BATCH = "test_a_batch_gives_what_one_by_one_gives"
FORCES = "test_forces_are_the_negative_derivative_of_the_energy"
STRESS = "test_stress_is_the_derivative_of_the_energy_by_strain"
ISOLATED = "test_atoms_without_neighbors_are_finite_and_feel_no_force"


@pytest.mark.parametrize(
    ("model", "tests"),
    [
        (Turned, [ROTATION]),
        (Handed, [INVERSION]),
        (Jumping, [CUTOFF]),
        (Kinked, [CUTOFF]),
        (Averaging, [SUPERCELL, MOLECULES]),
        (Mixing, [BATCH]),
        (Counting, ["test_order_of_atoms_does_not_matter", SUPERCELL]),
        (Listing, ["test_order_of_pairs_does_not_matter"]),
        (Placed, ["test_translation_and_wrapping_do_not_matter", MOLECULES]),
        (Detached, [FORCES, STRESS]),
        (Dividing, [ISOLATED]),
        (Coarse, [FORCES, STRESS]),
        (OnlyDouble, ["test_all_supported_dtypes_agree"]),
        (Forgetful, ["test_a_saved_model_loads_and_predicts_the_same"]),
        (Untraceable, ["test_traced_gives_what_eager_gives"]),
        (Unscriptable, ["test_scripted_gives_what_eager_gives"]),
    ],
)
def test_a_broken_model_fails_the_test_of_what_it_breaks(model, tests, tmp_path):
    suite = TestPairModel()
    suite.plugin = architecture_of(model)
    for name in tests:
        with pytest.raises((AssertionError, RuntimeError, FrontendError)):
            run(suite, name, tmp_path)


class Excused(Turned):
    """Says that it only learns to look at all directions alike."""

    is_rotation_invariant = False


def test_what_is_not_turned_may_be_excused(tmp_path):
    suite = TestPairModel()
    suite.plugin = architecture_of(Excused)
    for name in (ROTATION, INVERSION):
        run(suite, name, tmp_path)


def run(suite: GraphModelTests, name: str, folder: Path) -> None:
    """Call one test as pytest would."""
    test = getattr(suite, name)
    test(folder) if inspect.signature(test).parameters else test()
