"""The published models in our architecture, structures, and the published values."""

import pytest
import torch

from architectures.soap_bpnn import SoapBpnn
from published_models import ARCHITECTURES, PublishedModel, graph_of, read_structures

CHECKPOINTS = {
    "test_v9": "soap_bpnn_test_v9.ckpt.gz",
    "default_seed0": "soap_bpnn_default_seed0.ckpt",
    "legacy_multitarget_seed1": "soap_bpnn_legacy_multitarget_seed1.ckpt",
    "modern_seed2": "soap_bpnn_modern_seed2.ckpt",
}


def load_published(name, dtype=torch.float64):
    file = ARCHITECTURES / "soap_bpnn/reference" / CHECKPOINTS[name]
    return PublishedModel.of(SoapBpnn.load_checkpoint(file).to(dtype), f"soap_bpnn/{name}")


@pytest.fixture(scope="session")
def structures():
    return read_structures()


@pytest.fixture(scope="session", params=list(CHECKPOINTS))
def published(request):
    return load_published(request.param)


@pytest.fixture(scope="session")
def load():
    return load_published


@pytest.fixture(scope="session")
def build_graph():
    return graph_of
