"""The proof of an export, for cutoffs whose kinks lie anywhere among its test systems."""

import dataclasses

import pytest
import torch

from architectures.soap_bpnn.hypers import BpnnHypers, CutoffHypers, SoapBpnnHypers, SoapHypers
from architectures.soap_bpnn.model import SoapBpnn
from metatrain.data.target import DatasetInfo, Target
from metatrain.export.proof import prove

INFO = DatasetInfo(
    "angstrom", [1, 6, 8], {"energy": Target("energy", "energy", "eV", has_forces=True)}
)


@pytest.mark.parametrize(
    ("radius", "width"), [(6.0, 0.5), (6.0, 1.2), (5.0, 1.0), (5.0, 0.1), (4.0, 0.5)]
)
def test_a_right_export_is_accepted_with_any_cutoff(tmp_path, radius, width):
    torch.manual_seed(0)
    soap = SoapHypers(max_angular=2, max_radial=2, cutoff=CutoffHypers(radius, width))
    hypers = SoapBpnnHypers(soap=soap, bpnn=BpnnHypers(num_neurons_per_layer=8))
    model = SoapBpnn(hypers, INFO)
    # reference energies as large as those of all-electron calculations
    baselines = {"energy": torch.tensor([[-13.0], [-1030.0], [-2040.0]], dtype=torch.float64)}
    model.standardization = dataclasses.replace(model.standardization, baselines=baselines)
    exported = model.export()
    exported.save(tmp_path / "model.pt")
    assert prove(tmp_path / "model.pt", exported, None).difference < 1e-4
