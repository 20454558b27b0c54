"""SOAP-BPNN in the conformance suite, with each kind of treatment of atomic types."""

from metatrain.testing import GraphModelTests

SMALL = {
    "soap": {"max_angular": 2, "max_radial": 2, "cutoff": {"radius": 4.0}},
    "bpnn": {"num_neurons_per_layer": 4},
}


class TestNetworkPerType(GraphModelTests):
    architecture = "soap_bpnn"
    model_hypers = SMALL


class TestEmbeddedTypes(GraphModelTests):
    architecture = "soap_bpnn"
    model_hypers = SMALL | {"legacy": False}


class TestRepulsion(GraphModelTests):
    architecture = "soap_bpnn"
    model_hypers = SMALL | {"zbl": True}
