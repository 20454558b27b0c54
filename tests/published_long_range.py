"""Published models with long-range features in our architectures, and tests of them."""

import dataclasses
import json
from typing import ClassVar

import pytest
import torch
from torch.testing import assert_close

from metatrain.data.target import Target
from metatrain.model import GraphModel
from metatrain.training.step import Prediction, predict
from published_models import ARCHITECTURES, TIGHT, double, graph_of, read_structures

ENERGY = Target("energy", "energy", "eV", has_forces=True, has_stress=True)


class PublishedLongRangeTests:
    """What holds for a published model with long-range features.

    Molecules and crystals of the reference are one batch.

    :cvar model_class: the architecture's model
    :cvar name: of the model in the folder ``reference`` of the architecture
    """

    model_class: ClassVar[type[GraphModel]]
    name: ClassVar[str]

    @property
    def folder(self):
        return ARCHITECTURES / self.name.partition("/")[0] / "reference"

    def model(self, **long_range):
        """The published model with some of its options changed."""
        path = self.folder / f"{self.name.replace('/', '_')}.ckpt"
        published = self.model_class.load_checkpoint(path)
        options = dataclasses.replace(published.hypers.long_range, **long_range)
        hypers = dataclasses.replace(published.hypers, long_range=options)
        model = self.model_class(hypers, published.dataset_info)
        model.load_state_dict(published.state_dict())
        return model.to(torch.float64).eval()

    def made(self):
        """What the published package said, and the options and the seed it was told."""
        path = self.folder / f"predictions_{self.name.replace('/', '_')}.json"
        return json.loads(path.read_text())

    def found_and_expected(self, model, kind):
        """What our model and the published one say of all structures, as sums."""
        expected = self.made()["predictions"][kind]
        structures = read_structures()
        graph = graph_of([structures[name] for name in expected], model.cutoff)
        found = predict(model, graph, {"energy": ENERGY}, is_training=False)["energy"]
        num_atoms = torch.bincount(graph.system).double()
        energies = found.values.detach().squeeze(1) * num_atoms
        strain = found.strain * num_atoms.view(-1, 1, 1)
        return Prediction(energies, found.forces, strain), Prediction(
            double([one["energy"] for one in expected.values()]),
            torch.cat([double(one["forces"]) for one in expected.values()]),
            double([one["dE_dstrain"] for one in expected.values()]),
        )

    def test_energies_forces_and_stress_with_ewald_sums_are_the_published_ones(self) -> None:
        # the published sum has fewer waves, but with these short ones it has converged, too
        found, expected = self.found_and_expected(self.model(), "ewald")
        assert_close(found.values, expected.values, **TIGHT)
        assert_close(found.forces, expected.forces, **TIGHT)
        assert_close(found.strain, expected.strain, **TIGHT)

    def test_energies_and_forces_are_those_of_the_published_mesh_up_to_its_error(self) -> None:
        default = self.model(kspace_resolution=1.33)
        found, expected = self.found_and_expected(default, "mesh")
        # its potentials are good to 1e-3, of which these new models make less than 1e-4
        assert_close(found.values, expected.values, rtol=0, atol=1e-4)
        assert_close(found.forces, expected.forces, rtol=0, atol=1e-4)

    def test_a_reader_is_told_of_the_mesh(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("INFO"):
            self.model()
        assert "the published package predicts with a mesh" in caplog.text
